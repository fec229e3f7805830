//! From a scenario to the state it describes.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, Id, NodeId};
use drover_model::mirror::Carried;
use drover_model::{
    Affinity, AllocatedResources, AllocatedTask, ClientStatus, Constraint, DelayFunction, Deployment, DeploymentGroup, DeploymentHealth,
    DeploymentStatus, DesiredStatus, DesiredTransition, DisconnectStrategy, EphemeralDisk, EvalStatus, Evaluation, Hook, HostVolume, Job,
    JobId, JobType, LogConfig, MigrateStrategy, NetworkResource, Node, NodeAddress, NodeDriver, NodeNetwork, NodePool, NodeResources,
    NodeScore, NodeStatus, PlacementMetrics, Port, PortMapping, PreemptionConfig, RescheduleEvent, RescheduleOutcome, ReschedulePolicy,
    Resources, SchedulerAlgorithm, SchedulerConfig, Service, Spread, SpreadTarget, StatusChange, Task, TaskGroup, TaskLifecycle, TaskState,
    TaskStatus, Trigger, UpdateStrategy,
};
use drover_state::{Alloc, Fixture, JobRow, JobSlot, JobStatus, JobVersion, NodeRow, RareFields, Slot, Snapshot};
use serde_json::Value;

use super::input::{NOW, duration, flag, list, members, number, string_map, strings, text, time, time_or_zero};

/// The log entry that registered the first job; later ones and later versions count on.
const FIRST_JOB: u64 = 100;
/// The log entry of the first allocation.
const FIRST_ALLOC: u64 = 1_000;
/// The log entry of the newest state.
const INDEX: u64 = 5_000;

/// The id of a label: any one-to-one mapping does.
pub(crate) fn id<K>(kind: &str, label: &str) -> Id<K> {
    let mut bits = 0xcbf2_9ce4_8422_2325_u128;
    for byte in kind.bytes().chain([b'/']).chain(label.bytes()) {
        bits = (bits ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    Id::from_random(bits)
}

/// The cluster of a scenario, and its evaluation.
pub(crate) struct World {
    pub(crate) state: Snapshot,
    pub(crate) eval: Evaluation,
    /// The text of a trigger that no version of Drover knows.
    pub(crate) unknown_trigger: Option<String>,
    /// Labels by id, of every kind of object.
    pub(crate) labels: BTreeMap<String, String>,
}

/// A job with its versions as the scenario has them, oldest first.
struct Versions {
    slot: JobSlot,
    jobs: Vec<Arc<Job>>,
    purged: bool,
}

impl World {
    pub(crate) fn of(scenario: &Value) -> Self {
        Builder { scenario, fixture: Fixture::new(INDEX, NOW), labels: BTreeMap::new(), jobs: BTreeMap::new(), last_job: JobId::default() }
            .build()
    }

    pub(crate) fn label(&self, id: impl ToString) -> String {
        self.labels.get(&id.to_string()).cloned().unwrap_or_else(|| "new".to_owned())
    }
}

struct Builder<'a> {
    scenario: &'a Value,
    fixture: Fixture,
    labels: BTreeMap<String, String>,
    jobs: BTreeMap<JobId, Versions>,
    last_job: JobId,
}

/// `namespace/id` or just the id.
fn job_id(name: &str, namespace: &str) -> JobId {
    let (namespace, id) = name.split_once('/').unwrap_or((namespace, name));
    JobId { namespace: namespace.to_owned(), id: id.to_owned() }
}

impl Builder<'_> {
    fn build(mut self) -> World {
        let scenario = self.scenario;
        self.fixture.scheduler_config(scheduler_config(&scenario["config"]));
        for pool in list(&scenario["pools"]) {
            self.fixture.node_pool(NodePool {
                name: text(&pool["name"], "").to_owned(),
                scheduler_algorithm: pool["algorithm"].as_str().map(|name| SchedulerAlgorithm::parse(name).unwrap()),
                memory_oversubscription: pool["memory_oversubscription"].as_bool(),
                ..NodePool::default()
            });
        }
        let nodes: BTreeMap<&str, Slot<NodeRow>> = list(&scenario["nodes"])
            .iter()
            .map(|input| {
                let label = text(&input["id"], "");
                let id = self.name::<NodeId>(id("node", label), label);
                let row = node(input, id);
                (label, self.fixture.node(row))
            })
            .collect();
        self.put_jobs();
        self.name_history();
        for (position, input) in list(&scenario["allocs"]).iter().enumerate() {
            let id = self.name::<AllocId>(id("alloc", text(&input["id"], "")), text(&input["id"], ""));
            let node_label = text(&input["node"], "");
            let node_slot = nodes.get(node_label).copied().unwrap_or_else(|| self.fixture.slot());
            let index = FIRST_ALLOC + position as u64;
            if let Some(alloc) = self.alloc(input, id, node_slot, index) {
                self.fixture.alloc(alloc);
            }
        }
        for input in list(&scenario["deployments"]) {
            let deployment = self.deployment(input);
            self.fixture.deployment(deployment);
        }
        for input in list(&scenario["evals"]) {
            let mut eval = self.eval(input);
            eval.wait_until = time_or_zero(&input["wait_until"]);
            self.fixture.eval(eval);
        }
        let eval = self.eval(&scenario["eval"]);
        let trigger = text(&scenario["eval"]["trigger"], "job-register");
        let unknown_trigger = Trigger::parse(trigger).is_none().then(|| trigger.to_owned());
        World { state: self.fixture.finish(), eval, unknown_trigger, labels: self.labels }
    }

    /// Names what the reschedule history of allocations speaks of.
    fn name_history(&mut self) {
        for alloc in list(&self.scenario["allocs"]) {
            for event in list(&alloc["reschedule_events"]) {
                let label = text(&event["prev_alloc"], "");
                self.name::<AllocId>(id("alloc", label), label);
            }
        }
    }

    fn name<T: ToString + Copy>(&mut self, id: T, label: &str) -> T {
        self.labels.insert(id.to_string(), label.to_owned());
        id
    }

    fn put_jobs(&mut self) {
        let mut order: Vec<JobId> = Vec::new();
        let mut versions: BTreeMap<JobId, Vec<Job>> = BTreeMap::new();
        let mut purged = Vec::new();
        for (position, input) in list(&self.scenario["jobs"]).iter().enumerate() {
            let id = job_id(text(&input["id"], ""), text(&input["namespace"], "default"));
            self.last_job = id.clone();
            let index = FIRST_JOB + position as u64;
            let before = versions.entry(id.clone()).or_default();
            if before.is_empty() {
                order.push(id.clone());
            }
            if flag(&input["purged"], false) {
                purged.push(id);
                continue;
            }
            let mut job = job(input, id, index);
            if let Some(last) = before.last() {
                job.create_index = last.create_index;
                job.version = last.version + 1;
                if flag(&input["stop"], false) {
                    job = Job { stop: true, version: job.version, job_modify_index: index, ..last.clone() };
                }
            }
            before.push(job);
        }
        let successful: Vec<(JobId, u64)> = list(&self.scenario["deployments"])
            .iter()
            .filter(|input| input["status"] == "successful")
            .map(|input| (self.job_of(&input["job"]), number(&input["version"], 0)))
            .collect();
        for id in order {
            let jobs: Vec<Arc<Job>> = versions.remove(&id).unwrap_or_default().into_iter().map(Arc::new).collect();
            let purged = purged.contains(&id);
            let entries = jobs.iter().rev().map(|job| JobVersion {
                job: Arc::clone(job),
                stable: successful.contains(&(id.clone(), job.version)),
                tag: None,
                submission: None,
            });
            let row = JobRow {
                versions: entries.collect(),
                status: JobStatus::Running,
                modify_index: jobs.last().map_or(0, |job| job.job_modify_index),
                summary: BTreeMap::new(),
                summary_index: 0,
                scaling: BTreeMap::new(),
                live_allocs: 0,
                open_evals: 0,
                last_launch: Default::default(),
                children: Default::default(),
            };
            let slot = if purged { self.fixture.slot() } else { self.fixture.job(row) };
            self.jobs.insert(id, Versions { slot, jobs, purged });
        }
    }

    fn job_of(&self, name: &Value) -> JobId {
        name.as_str().map_or_else(|| self.last_job.clone(), |name| job_id(name, "default"))
    }

    fn alloc(&self, input: &Value, id: AllocId, node_slot: Slot<NodeRow>, index: u64) -> Option<Alloc> {
        let of_eval = self.job_of(&self.scenario["eval"]["job"]);
        let job_id = input["job"].as_str().map_or(of_eval, |name| job_id(name, "default"));
        let versions = self.jobs.get(&job_id).unwrap_or_else(|| panic!("{job_id} has no versions"));
        if versions.purged {
            // Purging took them along.
            return None;
        }
        let newest = || versions.jobs.iter().rev().find(|job| !job.stop).unwrap();
        let wanted = |version: u64| versions.jobs.iter().find(|job| job.version == version).unwrap();
        let job = input["version"].as_u64().map_or_else(newest, wanted);
        let group = text(&input["group"], &job.task_groups[0].name);
        let position = job.task_groups.iter().position(|there| there.name == group).unwrap();
        let tasks: BTreeMap<String, TaskState> =
            members(&input["tasks"]).into_iter().map(|(name, state)| (name.clone(), task_state(state))).collect();
        let events: Vec<RescheduleEvent> = list(&input["reschedule_events"]).iter().map(reschedule_event).collect();
        let contacts: Vec<StatusChange> = list(&input["client_states"])
            .iter()
            .map(|state| StatusChange { status: ClientStatus::parse(text(&state["value"], "")).unwrap(), time: time(&state["at"], 0.0) })
            .collect();
        let node_id = self::id("node", text(&input["node"], ""));
        let scores = input["score"].as_f64().map(|total| NodeScore { node_id, parts: BTreeMap::new(), total });
        let metrics = PlacementMetrics { scores: scores.into_iter().collect(), ..PlacementMetrics::default() };
        let modify_time = time(&input["modify_time"], -1800.0);
        let health = input["healthy"].as_bool().map(|healthy| (DeploymentHealth { healthy, time: modify_time }, index));
        let optional = |value: &Value| value.as_bool();
        Some(Alloc {
            id,
            job_slot: versions.slot,
            job: Arc::clone(job),
            group: u16::try_from(position).unwrap(),
            index: number(&input["index"], 0),
            node_slot,
            node_id,
            eval_id: self::id("eval", "past"),
            deployment: input["deployment"].as_str().map(|label| self::id("deployment", label)),
            canary: flag(&input["canary"], false),
            health,
            resources: Arc::new(resources(&job.task_groups[position], input)),
            desired: DesiredStatus::parse(text(&input["desired"], "run")).unwrap(),
            transition: DesiredTransition {
                migrate: optional(&input["transition_migrate"]),
                reschedule: optional(&input["transition_reschedule"]),
                force_reschedule: optional(&input["transition_force_reschedule"]),
                no_shutdown_delay: None,
                migrate_disable_placement: optional(&input["transition_migrate_disable_placement"]),
            },
            client_status: ClientStatus::parse(text(&input["client"], "running")).unwrap(),
            tasks: (!tasks.is_empty()).then(|| tasks.into()),
            rare: RareFields {
                followup_eval: input["followup"].as_str().map(|label| self::id("eval", label)),
                previous: input["previous"].as_str().map(|label| self::id("alloc", label)),
                next: input["next"].as_str().map(|label| self::id("alloc", label)),
                reschedules: (!events.is_empty()).then(|| Arc::new(events)),
                reschedule_outcome: input["last_reschedule"].as_str().map(|text| RescheduleOutcome::parse(text).unwrap()),
                contacts: (!contacts.is_empty()).then(|| Arc::new(contacts)),
                preempted_by: input["preempted_by"].as_str().map(|label| self::id("alloc", label)),
                ..RareFields::default()
            }
            .into(),
            metrics: Arc::new(metrics),
            create_index: index,
            modify_index: index,
            alloc_modify_index: index,
            create_time: time(&input["create_time"], -3600.0),
            modify_time,
            job_status: JobStatus::Running,
        })
    }

    fn deployment(&mut self, input: &Value) -> Deployment {
        let label = text(&input["id"], "");
        let id = self.name::<DeploymentId>(id("deployment", label), label);
        let job_id = self.job_of(&input["job"]);
        let version: u64 = number(&input["version"], 0);
        let job = self.jobs[&job_id].jobs.iter().find(|job| job.version == version).cloned().unwrap();
        let status = DeploymentStatus::parse(text(&input["status"], "running")).unwrap();
        let groups = members(&input["groups"]).into_iter().map(|(name, group)| {
            let strategy = job.group(name).and_then(|group| group.update.as_ref());
            let group = DeploymentGroup {
                auto_revert: strategy.is_some_and(|update| update.auto_revert),
                auto_promote: strategy.is_some_and(|update| update.auto_promote),
                promoted: flag(&group["promoted"], false),
                placed_canaries: list(&group["placed_canaries"]).iter().map(|label| self::id("alloc", text(label, ""))).collect(),
                desired_canaries: number(&group["desired_canaries"], 0),
                desired_total: number(&group["desired_total"], 0),
                placed: number(&group["placed"], 0),
                healthy: number(&group["healthy"], 0),
                unhealthy: number(&group["unhealthy"], 0),
                progress_deadline_ns: number::<i64>(&group["progress_deadline"], 600) * 1_000_000_000,
                require_progress_by: time(&Value::Null, 600.0),
            };
            (name.clone(), group)
        });
        Deployment {
            id,
            job_id: job_id.clone(),
            job_version: version,
            job_modify_index: job.job_modify_index,
            job_spec_modify_index: job.job_modify_index,
            job_create_index: job.create_index,
            groups: groups.collect(),
            status,
            status_description: String::new(),
            eval_priority: job.priority,
            create_index: FIRST_ALLOC,
            modify_index: FIRST_ALLOC,
            create_time: time(&Value::Null, -1800.0),
            modify_time: time(&Value::Null, -1800.0),
        }
    }

    fn eval(&mut self, input: &Value) -> Evaluation {
        let label = text(&input["id"], "eval").to_owned();
        let id = self.name::<EvalId>(id("eval", &label), &label);
        let job_id = self.job_of(&input["job"]);
        let job = self.jobs.get(&job_id).and_then(|versions| versions.jobs.last());
        let (kind, priority) = job.map_or((JobType::Service, 50), |job| (job.kind, job.priority));
        // What no version knows is like a trigger that only the leader's own evaluations have.
        let trigger = Trigger::parse(text(&input["trigger"], "job-register")).unwrap_or(Trigger::Scheduled);
        let mut eval = Evaluation::new(id, job_id, kind, priority, trigger, NOW);
        eval.status = EvalStatus::parse(text(&input["status"], "pending")).unwrap();
        eval
    }
}

fn scheduler_config(input: &Value) -> SchedulerConfig {
    let mut config = SchedulerConfig::initial();
    config.scheduler_algorithm = SchedulerAlgorithm::parse(text(&input["algorithm"], "binpack")).unwrap();
    config.memory_oversubscription_enabled = flag(&input["memory_oversubscription"], false);
    if !input["preemption"].is_null() {
        let kinds = strings(&input["preemption"]);
        let on = |kind: &str| kinds.iter().any(|name| name == kind);
        config.preemption_config = PreemptionConfig {
            system_scheduler_enabled: on("system"),
            sys_batch_scheduler_enabled: on("sysbatch"),
            batch_scheduler_enabled: on("batch"),
            service_scheduler_enabled: on("service"),
        };
    }
    config
}

pub(crate) fn node(input: &Value, id: NodeId) -> NodeRow {
    let mut drivers = BTreeMap::new();
    let mut attributes = BTreeMap::from([
        ("kernel.name".to_owned(), "linux".to_owned()),
        ("arch".to_owned(), "amd64".to_owned()),
        ("nomad.version".to_owned(), "2.0.5".to_owned()),
    ]);
    let given = members(&input["drivers"]).into_iter().map(|(name, health)| (name.clone(), text(health, "").to_owned())).collect();
    let named = if input["drivers"].is_null() { vec![("docker".to_owned(), "healthy".to_owned())] } else { given };
    for (name, health) in named {
        let detected = health != "undetected";
        if detected {
            attributes.insert(format!("driver.{name}"), "1".to_owned());
        }
        drivers.insert(name, NodeDriver { detected, healthy: health == "healthy", ..NodeDriver::default() });
    }
    attributes.extend(string_map(&input["attrs"]));
    let address = |alias: &str, address: &str| NodeAddress {
        alias: alias.to_owned(),
        address: address.to_owned(),
        family: "ipv4".to_owned(),
        ..NodeAddress::default()
    };
    let addresses = match list(&input["host_networks"]) {
        [] => vec![address("default", "192.168.0.100")],
        given => given
            .iter()
            .map(|given| NodeAddress {
                reserved_ports: text(&given["reserved_ports"], "").to_owned(),
                ..address(text(&given["alias"], ""), text(&given["address"], ""))
            })
            .collect(),
    };
    let modes = match strings(&input["network_modes"]) {
        modes if modes.is_empty() => vec!["host".to_owned()],
        modes => modes,
    };
    let networks = modes.into_iter().map(|mode| {
        let addresses = if mode == "host" { addresses.clone() } else { Vec::new() };
        NodeNetwork { mode, device: "eth0".to_owned(), addresses, ..NodeNetwork::default() }
    });
    let cores: u16 = number(&input["cores"], 4);
    let node = Node {
        id,
        name: text(&input["id"], "").to_owned(),
        datacenter: text(&input["dc"], "dc1").to_owned(),
        node_pool: text(&input["pool"], "default").to_owned(),
        node_class: text(&input["class"], "").to_owned(),
        attributes,
        meta: string_map(&input["meta"]),
        resources: NodeResources {
            cpu_mhz: number(&input["cpu"], 4000),
            cores_total: cores,
            reservable_cores: (0..cores).collect(),
            memory_mb: number(&input["memory"], 8192),
            disk_mb: number(&input["disk"], 102_400),
            networks: networks.collect(),
            min_dynamic_port: number(&input["min_dynamic_port"], 20_000),
            max_dynamic_port: number(&input["max_dynamic_port"], 32_000),
            reserved_cpu_mhz: number(&input["reserved_cpu"], 0),
            reserved_cores: list(&input["reserved_cores"]).iter().map(|core| number(core, 0)).collect(),
            reserved_memory_mb: number(&input["reserved_memory"], 0),
            reserved_disk_mb: number(&input["reserved_disk"], 0),
            reserved_ports: text(&input["reserved_ports"], "").to_owned(),
        },
        drivers,
        host_volumes: (!input["host_volumes"].is_null()).then(|| {
            let volume = |access: &Value| HostVolume { path: String::new(), read_only: access == "ro" };
            members(&input["host_volumes"]).into_iter().map(|(name, access)| (name.clone(), volume(access))).collect()
        }),
        max_allocs: number(&input["max_allocs"], 0),
        ..Node::default()
    };
    let class = node.computed_class();
    NodeRow {
        node: Arc::new(node),
        status: NodeStatus::parse(text(&input["status"], "ready")).unwrap(),
        status_description: String::new(),
        status_time: NOW,
        eligible: text(&input["eligibility"], "eligible") == "eligible" && !flag(&input["drain"], false),
        events: Vec::new(),
        create_index: 10,
        modify_index: 10,
        last_missed_heartbeat_index: 0,
        last_alloc_update_index: 0,
        live: Default::default(),
        held: Default::default(),
        class,
        position: Default::default(),
        drain: None,
        last_drain: None,
    }
}

fn constraint(input: &Value) -> Constraint {
    let part = |position: usize| text(&input[position], "").to_owned();
    Constraint { l_target: part(0), operand: part(1), r_target: part(2) }
}

fn affinity(input: &Value) -> Affinity {
    Affinity {
        l_target: text(&input["l"], "").to_owned(),
        r_target: text(&input["r"], "").to_owned(),
        operand: text(&input["op"], "").to_owned(),
        weight: number(&input["weight"], 50),
    }
}

fn spread(input: &Value) -> Spread {
    let targets = members(&input["targets"]).into_iter();
    Spread {
        attribute: text(&input["attribute"], "").to_owned(),
        weight: number(&input["weight"], 50),
        spread_target: targets.map(|(value, percent)| SpreadTarget { value: value.clone(), percent: number(percent, 0) }).collect(),
    }
}

pub(crate) fn job(input: &Value, id: JobId, index: u64) -> Job {
    let kind = JobType::parse(text(&input["type"], "service")).unwrap();
    let groups = match list(&input["groups"]) {
        [] => vec![group(&Value::Null, kind)],
        groups => groups.iter().map(|input| group(input, kind)).collect(),
    };
    let datacenters = strings(&input["datacenters"]);
    Job {
        name: id.id.clone(),
        id,
        region: "global".to_owned(),
        kind,
        priority: number(&input["priority"], 50),
        all_at_once: flag(&input["all_at_once"], false),
        datacenters: if datacenters.is_empty() { vec!["*".to_owned()] } else { datacenters },
        node_pool: text(&input["pool"], "default").to_owned(),
        constraints: list(&input["constraints"]).iter().map(constraint).collect(),
        affinities: list(&input["affinities"]).iter().map(affinity).collect(),
        spreads: list(&input["spreads"]).iter().map(spread).collect(),
        task_groups: Arc::new(groups),
        stop: flag(&input["stop"], false),
        create_index: index,
        job_modify_index: index,
        ..Job::default()
    }
}

/// A reschedule policy: exactly the fields given, or the default of the job's type.
pub(crate) fn reschedule_policy(input: &Value, kind: JobType) -> Option<ReschedulePolicy> {
    if !input.is_null() {
        return Some(ReschedulePolicy {
            attempts: number(&input["attempts"], 0),
            interval: duration(&input["interval"], 0.0),
            delay: duration(&input["delay"], 0.0),
            // Unknown text becomes the default, as on the way into the domain.
            delay_function: DelayFunction::parse(text(&input["delay_function"], "constant")).unwrap_or_default(),
            max_delay: duration(&input["max_delay"], 0.0),
            unlimited: flag(&input["unlimited"], false),
        });
    }
    let seconds = std::time::Duration::from_secs;
    match kind {
        JobType::Service => Some(ReschedulePolicy {
            delay: seconds(30),
            delay_function: DelayFunction::Exponential,
            max_delay: seconds(3600),
            unlimited: true,
            ..ReschedulePolicy::default()
        }),
        JobType::Batch => {
            Some(ReschedulePolicy { attempts: 1, interval: seconds(86_400), delay: seconds(5), ..ReschedulePolicy::default() })
        }
        JobType::System | JobType::Sysbatch => None,
    }
}

pub(crate) fn group(input: &Value, kind: JobType) -> TaskGroup {
    let tasks = match list(&input["tasks"]) {
        [] => vec![task(&Value::Null)],
        tasks => tasks.iter().map(task).collect(),
    };
    let update = &input["update"];
    let update = (!update.is_null()).then(|| UpdateStrategy {
        stagger: duration(&update["stagger"], 30.0),
        max_parallel: number(&update["max_parallel"], 0),
        min_healthy_time: duration(&update["min_healthy_time"], 10.0),
        healthy_deadline: duration(&update["healthy_deadline"], 300.0),
        progress_deadline: duration(&update["progress_deadline"], 600.0),
        canary: number(&update["canary"], 0),
        auto_revert: flag(&update["auto_revert"], false),
        auto_promote: flag(&update["auto_promote"], false),
        ..UpdateStrategy::default()
    });
    let disconnect = &input["disconnect"];
    let seconds = |value: &Value| (!value.is_null()).then(|| duration(value, 0.0));
    let disconnect = (!disconnect.is_null()).then(|| DisconnectStrategy {
        lost_after: seconds(&disconnect["lost_after"]),
        stop_on_client_after: seconds(&disconnect["stop_on_client_after"]),
        replace: flag(&disconnect["replace"], true),
        reconcile: text(&disconnect["reconcile"], "best_score").to_owned(),
    });
    let volumes: BTreeMap<String, Option<drover_api::VolumeRequest>> = list(&input["volumes"])
        .iter()
        .map(|volume| {
            let request = drover_api::VolumeRequest {
                name: text(&volume["name"], "").to_owned(),
                r#type: text(&volume["type"], "host").to_owned(),
                source: text(&volume["source"], "").to_owned(),
                read_only: flag(&volume["read_only"], false),
                sticky: flag(&volume["sticky"], false),
                per_alloc: flag(&volume["per_alloc"], false),
                ..drover_api::VolumeRequest::default()
            };
            (request.name.clone(), Some(request))
        })
        .collect();
    let network = &input["network"];
    let networks = (!network.is_null()).then(|| NetworkResource {
        mode: text(&network["mode"], "host").to_owned(),
        reserved_ports: list(&network["static"]).iter().map(port).collect(),
        dynamic_ports: list(&network["dynamic"]).iter().map(port).collect(),
        ..NetworkResource::default()
    });
    let migrate = MigrateStrategy { max_parallel: number(&input["migrate_max_parallel"], 1), ..MigrateStrategy::default() };
    TaskGroup {
        name: text(&input["name"], "web").to_owned(),
        count: number(&input["count"], 1),
        constraints: list(&input["constraints"]).iter().map(constraint).collect(),
        affinities: list(&input["affinities"]).iter().map(affinity).collect(),
        spreads: list(&input["spreads"]).iter().map(spread).collect(),
        tasks,
        volumes: (!volumes.is_empty()).then_some(Carried(volumes)),
        disconnect,
        reschedule_policy: reschedule_policy(&input["reschedule"], kind),
        ephemeral_disk: EphemeralDisk {
            sticky: flag(&input["sticky"], false),
            migrate: flag(&input["migrate_disk"], false),
            size_mb: number(&input["disk"], 300),
        },
        update,
        migrate: (kind == JobType::Service).then_some(migrate),
        networks: networks.into_iter().collect(),
        meta: string_map(&input["meta"]),
        max_run_duration: (!input["max_run_duration"].is_null()).then(|| duration(&input["max_run_duration"], 0.0)),
        ..TaskGroup::default()
    }
}

fn port(input: &Value) -> Port {
    Port {
        label: text(&input["label"], "").to_owned(),
        value: number(&input["value"], 0),
        to: number(&input["to"], 0),
        host_network: text(&input["host_network"], "default").to_owned(),
        ignore_collision: flag(&input["ignore_collision"], false),
    }
}

fn task(input: &Value) -> Task {
    let cores: u32 = number(&input["cores"], 0);
    let devices: Vec<drover_api::RequestedDevice> = list(&input["devices"])
        .iter()
        .map(|device| drover_api::RequestedDevice {
            name: text(&device["name"], "").to_owned(),
            count: Some(number(&device["count"], 1)),
            ..drover_api::RequestedDevice::default()
        })
        .collect();
    let lifecycle =
        input["hook"].as_str().map(|hook| TaskLifecycle { hook: Hook::parse(hook).unwrap(), sidecar: flag(&input["sidecar"], false) });
    let config: BTreeMap<String, Option<Value>> =
        members(&input["config"]).into_iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    Task {
        name: text(&input["name"], "t").to_owned(),
        driver: text(&input["driver"], "docker").to_owned(),
        user: text(&input["user"], "").to_owned(),
        lifecycle,
        config: (!config.is_empty()).then_some(Carried(config)),
        constraints: list(&input["constraints"]).iter().map(constraint).collect(),
        affinities: list(&input["affinities"]).iter().map(affinity).collect(),
        env: string_map(&input["env"]),
        services: strings(&input["services"]).into_iter().map(|name| Service { name, ..Service::default() }).collect(),
        resources: Resources {
            cpu: number(&input["cpu"], if cores > 0 { 0 } else { 500 }),
            cores,
            memory_mb: number(&input["memory"], 256),
            // A wish without a limit is -1 in the API.
            memory_max_mb: match input["memory_max"].as_i64() {
                Some(-1) => u32::MAX,
                other => u32::try_from(other.unwrap_or(0)).unwrap(),
            },
            secrets_mb: number(&input["secrets"], 0),
            devices: (!devices.is_empty()).then_some(Carried(devices)),
            ..Resources::default()
        },
        meta: string_map(&input["meta"]),
        kill_timeout: duration(&input["kill_timeout"], 5.0),
        log_config: LogConfig {
            max_files: number(&input["log_max_files"], 10),
            max_file_size_mb: number(&input["log_max_file_size"], 10),
            ..LogConfig::default()
        },
        leader: flag(&input["leader"], false),
        ..Task::default()
    }
}

pub(crate) fn task_state(input: &Value) -> TaskState {
    TaskState {
        status: TaskStatus::parse(text(&input["state"], "pending")).unwrap(),
        failed: flag(&input["failed"], false),
        started_at: time_or_zero(&input["started_at"]),
        finished_at: time_or_zero(&input["finished_at"]),
        ..TaskState::default()
    }
}

pub(crate) fn reschedule_event(input: &Value) -> RescheduleEvent {
    RescheduleEvent {
        time: time(&input["at"], 0.0),
        previous_alloc: id("alloc", text(&input["prev_alloc"], "")),
        previous_node: id("node", text(&input["prev_node"], "")),
        delay_ns: (input["delay"].as_f64().unwrap_or(0.0) * 1e9) as i64,
    }
}

/// What an allocation was given: what its group asks for, and what the scenario adds.
fn resources(group: &TaskGroup, input: &Value) -> AllocatedResources {
    let mut reserved_cores: Vec<u16> = list(&input["reserved_cores"]).iter().map(|core| number(core, 0)).collect();
    let tasks = group.tasks.iter().map(|task| {
        let asked = &task.resources;
        let cores = std::mem::take(&mut reserved_cores);
        let own = 1000 * u32::try_from(cores.len()).unwrap();
        let task_resources = AllocatedTask {
            cpu_mhz: if cores.is_empty() { asked.cpu } else { own },
            reserved_cores: cores,
            memory_mb: asked.memory_mb + asked.secrets_mb,
            ..AllocatedTask::default()
        };
        (task.name.clone(), task_resources)
    });
    let tasks = tasks.collect();
    let ports = list(&input["ports"]).iter().map(|port| PortMapping {
        label: text(&port["label"], "").to_owned(),
        value: number(&port["value"], 0),
        to: number(&port["to"], 0),
        host_ip: "192.168.0.100".to_owned(),
        ..PortMapping::default()
    });
    AllocatedResources {
        tasks,
        disk_mb: group.ephemeral_disk.size_mb,
        networks: Vec::new(),
        ports: ports.collect(),
        lifecycles: group.tasks.iter().filter_map(|task| Some((task.name.clone(), task.lifecycle.clone()?))).collect(),
    }
}
