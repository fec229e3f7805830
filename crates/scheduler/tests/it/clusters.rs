//! Placing on generated clusters: nothing is overfilled or given twice, the choice is the best there is, and it depends on
//! nothing but the state and the evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::{AllocId, EvalId, NodeId, Rng, WallTime};
use drover_macros::proves;
use drover_model::command::{Change, RegisterJob};
use drover_model::{
    Affinity, Command, Constraint, EphemeralDisk, Evaluation, Job, JobId, JobType, NetworkResource, Node, NodeAddress, NodeDriver,
    NodeNetwork, NodeResources, NodeStatus, Plan, Port, PreemptionConfig, Resources, SchedulerAlgorithm, SchedulerConfig, Spread, Task,
    TaskGroup, Trigger,
};
use drover_scheduler::verify::verify;
use drover_scheduler::{Context, Outcome, process};
use drover_state::{Alloc, Ask, Room, Snapshot, Store, Usage, fit, packing};
use proptest::prelude::*;

/// A node: rack, datacenter, size class, free of the driver or not.
#[derive(Clone, Debug)]
pub(super) struct NodeWish {
    pub(super) rack: u8,
    pub(super) datacenter: u8,
    pub(super) size: u8,
    pub(super) healthy: bool,
}

/// A job: how many, how large, and what it minds.
#[derive(Clone, Debug)]
struct JobWish {
    count: u32,
    cpu: u32,
    memory: u32,
    priority: u8,
    spread: bool,
    affinity: bool,
    only_rack: Option<u8>,
    distinct: bool,
    dynamic_port: bool,
    static_port: bool,
    cores: u32,
    batch: bool,
}

impl JobWish {
    fn kind(&self) -> JobType {
        if self.batch { JobType::Batch } else { JobType::Service }
    }
}

fn node_wish() -> impl Strategy<Value = NodeWish> {
    (0u8..4, 0u8..2, 0u8..3, prop::bool::weighted(0.9)).prop_map(|(rack, datacenter, size, healthy)| NodeWish {
        rack,
        datacenter,
        size,
        healthy,
    })
}

fn job_wish() -> impl Strategy<Value = JobWish> {
    let sizes = (1u32..12, 50u32..1_500, 50u32..2_000, 1u8..100);
    let minds = (any::<bool>(), any::<bool>(), prop::option::weighted(0.2, 0u8..4), prop::bool::weighted(0.2));
    let takes = (any::<bool>(), prop::bool::weighted(0.2), prop::sample::select(vec![0u32, 0, 0, 1, 2]), any::<bool>());
    (sizes, minds, takes).prop_map(
        |((count, cpu, memory, priority), (spread, affinity, only_rack, distinct), (dynamic_port, static_port, cores, batch))| JobWish {
            count,
            cpu,
            memory,
            priority,
            spread,
            affinity,
            only_rack,
            distinct,
            dynamic_port,
            static_port,
            cores,
            batch,
        },
    )
}

pub(super) struct Region {
    store: Store,
    index: u64,
    rng: Rng,
    pub(super) now: WallTime,
}

/// How many cases to try: `DROVER_CASES`, for runs by hand, or so many.
pub(super) fn cases(usual: u32) -> u32 {
    std::env::var("DROVER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

const NOW: WallTime = WallTime(1_700_000_000_000_000_000);

pub(super) fn job_id(number: usize) -> JobId {
    JobId { namespace: "default".into(), id: format!("job-{number}") }
}

impl Region {
    pub(super) fn new(nodes: &[NodeWish], seed: u64) -> Self {
        let mut region = Self { store: Store::default(), index: 0, rng: Rng::new(seed), now: NOW };
        for (number, wish) in nodes.iter().enumerate() {
            let id = NodeId::from_random(region.rng.next_u128());
            let driver = NodeDriver { detected: true, healthy: wish.healthy, ..NodeDriver::default() };
            let address = NodeAddress { alias: "default".into(), address: "10.0.0.1".into(), ..NodeAddress::default() };
            let (cpu_mhz, memory_mb) = [(2_000, 4_000), (4_000, 4_000), (4_000, 8_000)][usize::from(wish.size)];
            let node = Node {
                id,
                name: format!("n{number}"),
                datacenter: format!("dc{}", wish.datacenter),
                node_pool: "default".into(),
                meta: BTreeMap::from([("rack".to_owned(), format!("r{}", wish.rack))]),
                drivers: BTreeMap::from([("docker".to_owned(), driver)]),
                resources: NodeResources {
                    cpu_mhz,
                    memory_mb,
                    disk_mb: 5_000,
                    cores_total: 4,
                    reservable_cores: vec![0, 1, 2, 3],
                    min_dynamic_port: 20_000,
                    max_dynamic_port: 20_007,
                    networks: vec![NodeNetwork { mode: "host".into(), addresses: vec![address], ..NodeNetwork::default() }],
                    ..NodeResources::default()
                },
                ..Node::default()
            };
            region.apply(Change::RegisterNode { node: Box::new(node), evals: vec![] });
            region.apply(Change::NodeStatus { id, status: NodeStatus::Ready, event: None, evals: vec![] });
        }
        region
    }

    pub(super) fn apply(&mut self, change: Change) {
        self.index += 1;
        let applied = self.store.apply(self.index, Command { time: self.now, change });
        assert_eq!(applied.result, Ok(()));
    }

    fn settings(&mut self, algorithm: SchedulerAlgorithm, preemption: bool) {
        let preemption_config = PreemptionConfig { service_scheduler_enabled: preemption, ..PreemptionConfig::default() };
        let config = SchedulerConfig { scheduler_algorithm: algorithm, preemption_config, ..SchedulerConfig::initial() };
        self.apply(Change::SchedulerConfig { config, enforce_index: None });
    }

    fn register(&mut self, number: usize, wish: &JobWish) {
        let task = Task {
            name: "t".into(),
            driver: "docker".into(),
            resources: Resources {
                cpu: if wish.cores > 0 { 0 } else { wish.cpu },
                cores: wish.cores,
                memory_mb: wish.memory,
                ..Resources::default()
            },
            ..Task::default()
        };
        let port = |label: &str, value| Port { label: label.into(), value, ..Port::default() };
        let network = NetworkResource {
            dynamic_ports: if wish.dynamic_port { vec![port("d", 0)] } else { vec![] },
            reserved_ports: if wish.static_port { vec![port("s", 8_080)] } else { vec![] },
            ..NetworkResource::default()
        };
        let mut constraints = Vec::new();
        if let Some(rack) = wish.only_rack {
            constraints.push(Constraint { l_target: "${meta.rack}".into(), r_target: format!("r{rack}"), operand: "!=".into() });
        }
        if wish.distinct {
            constraints.push(Constraint { operand: "distinct_hosts".into(), r_target: "true".into(), ..Constraint::default() });
        }
        let affinity = Affinity { l_target: "${node.datacenter}".into(), r_target: "dc1".into(), operand: "=".into(), weight: 50 };
        let spread = Spread { attribute: "${meta.rack}".into(), weight: 100, spread_target: Vec::new() };
        let group = TaskGroup {
            name: "g".into(),
            count: wish.count,
            tasks: vec![task],
            constraints,
            affinities: if wish.affinity { vec![affinity] } else { vec![] },
            spreads: if wish.spread { vec![spread] } else { vec![] },
            networks: if wish.dynamic_port || wish.static_port { vec![network] } else { vec![] },
            ephemeral_disk: EphemeralDisk { size_mb: 100, ..EphemeralDisk::default() },
            ..TaskGroup::default()
        };
        let job = Job {
            id: job_id(number),
            kind: wish.kind(),
            priority: wish.priority,
            datacenters: vec!["*".into()],
            node_pool: "default".into(),
            task_groups: Arc::new(vec![group]),
            ..Job::default()
        };
        self.apply(Change::RegisterJob(Box::new(RegisterJob {
            job: Arc::new(job),
            eval: None,
            submission: None,
            enforce_index: None,
            keep_version: false,
            scaling: None,
        })));
    }

    pub(super) fn state(&self) -> Snapshot {
        self.store.snapshot()
    }

    fn process(&mut self, number: usize) -> Outcome {
        let job = Arc::clone(self.state().job(&job_id(number)).unwrap().job());
        let eval = Evaluation::new(EvalId::from_random(9), job_id(number), job.kind, job.priority, Trigger::JobRegister, NOW);
        process(&self.state(), &eval, &mut Context { now: NOW, rng: Rng::new(number as u64) })
    }

    pub(super) fn commit(&mut self, plan: Plan) {
        self.apply(Change::SharedPlans(vec![plan]));
    }
}

/// No node is overfilled, no core or port is held twice; counted from the allocations and not from what the state counts.
pub(super) fn assert_sound(state: &Snapshot) {
    for (slot, row) in state.nodes() {
        let (mut cpu, mut memory, mut disk) = (0, 0, 0);
        let (mut cores, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for alloc in state.allocs_of_node(slot).filter(|alloc| !alloc.terminal()) {
            disk += alloc.resources.disk_mb;
            for task in alloc.resources.tasks.values() {
                cpu += task.cpu_mhz;
                memory += task.memory_mb;
                for core in &task.reserved_cores {
                    assert!(cores.insert(*core), "core {core} is held twice");
                }
            }
            for port in &alloc.resources.ports {
                assert!(ports.insert((port.host_ip.clone(), port.value)), "port {} is held twice", port.value);
            }
        }
        let size = &row.node.resources;
        assert!(cpu <= size.cpu_mhz && memory <= size.memory_mb && disk <= size.disk_mb, "{} is overfilled", row.node.name);
    }
}

/// The mean of the parts of a score, worked out from the state with no help of the scheduler's.
struct Naive<'a> {
    state: &'a Snapshot,
    job: &'a Job,
    /// Allocations that are there, by node: those of the group, and what all take.
    of_group: BTreeMap<NodeId, u32>,
    usage: BTreeMap<NodeId, Usage>,
}

impl Naive<'_> {
    fn score(&self, node: &Node) -> f64 {
        let group = &self.job.task_groups[0];
        let wish = &group.tasks[0].resources;
        let size = Room::of(&node.resources);
        let cpu_mhz = if wish.cores > 0 { node.resources.cpu_mhz / 4 * wish.cores } else { wish.cpu };
        let ask = Room { cpu_mhz, memory_mb: wish.memory_mb };
        let algorithm = self.state.scheduler_config().scheduler_algorithm;
        let mut parts = vec![packing(algorithm, size, size.free(&self.usage[&node.id]), ask)];
        let collisions = self.of_group.get(&node.id).copied().unwrap_or(0);
        if collisions > 0 {
            parts.push(-f64::from(collisions + 1) / f64::from(group.count));
        }
        if !group.affinities.is_empty() {
            parts.push(if node.datacenter == "dc1" { 1.0 } else { 0.0 });
        }
        if !group.spreads.is_empty() {
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            for (_, row) in self.state.nodes() {
                if let Some(count) = self.of_group.get(&row.node.id) {
                    *counts.entry(row.node.meta["rack"].as_str()).or_default() += count;
                }
            }
            let (min, max) = (counts.values().min().copied(), counts.values().max().copied());
            let here = counts.get(node.meta["rack"].as_str()).copied().unwrap_or(0);
            let boost = match (min, max) {
                (Some(min), Some(_)) if here != min => (f64::from(min) - f64::from(here)) / f64::from(min),
                (Some(min), Some(max)) if min == max => -1.0,
                (Some(min), Some(max)) => f64::from(max - min) / f64::from(min),
                _ => 0.0,
            };
            if boost != 0.0 {
                parts.push(boost);
            }
        }
        parts.iter().sum::<f64>() / parts.len() as f64
    }

    fn suits(&self, node: &Node, given: &Ask) -> bool {
        let group = &self.job.task_groups[0];
        let met = group.constraints.iter().all(|one| match one.operand.as_str() {
            "distinct_hosts" => self.of_group.get(&node.id).copied().unwrap_or(0) == 0,
            _ => node.meta["rack"] != one.r_target,
        });
        let usage = &self.usage[&node.id];
        let wish = &group.tasks[0].resources;
        // Numbers of dynamic ports and cores differ from node to node; how many are free does not lie.
        let free_cores = (0..4).filter(|core| !usage.core_taken(*core)).count();
        let dynamic = group.networks.first().map_or(0, |network| network.dynamic_ports.len());
        let free_ports = (20_000..=20_007).filter(|port| !usage.ports().any(|held| held.port == *port)).count();
        let cpu_mhz = if wish.cores > 0 { node.resources.cpu_mhz / 4 * wish.cores } else { wish.cpu };
        let fixed = given.ports.iter().filter(|port| port.port == 8_080).copied().collect();
        let ask = Ask { cpu_mhz, cores: vec![], ports: fixed, ..given.clone() };
        met && node.drivers["docker"].healthy
            && free_cores >= wish.cores as usize
            && free_ports >= dynamic
            && fit(&node.resources, 0, usage, &ask).is_ok()
    }
}

/// Every placement of a plan went to a node with the highest score there was at that moment.
fn assert_best(state: &Snapshot, job: &Job, plan: &Plan) {
    let usage = state.nodes().map(|(_, row)| (row.node.id, row.held.clone())).collect();
    let mut naive = Naive { state, job, of_group: BTreeMap::new(), usage };
    for placement in &plan.placements {
        let ask = Ask::of(&placement.resources);
        let chosen = state.node(placement.node_id).unwrap();
        assert!(naive.suits(&chosen.node, &ask), "{} does not suit", chosen.node.name);
        let score = naive.score(&chosen.node);
        for (_, row) in state.nodes().filter(|(_, row)| naive.suits(&row.node, &ask)) {
            let other = naive.score(&row.node);
            assert!(other <= score + 1e-9, "{} has {other}, {} was chosen with {score}", row.node.name, chosen.node.name);
        }
        *naive.of_group.entry(placement.node_id).or_default() += 1;
        naive.usage.get_mut(&placement.node_id).unwrap().add(&ask);
    }
    // What was not placed had no node left.
    if (plan.placements.len() as u32) < job.task_groups[0].count && plan.placements.len() < plan.annotations["g"].place as usize {
        let wish = &job.task_groups[0];
        let static_port = wish.networks.first().is_some_and(|network| !network.reserved_ports.is_empty());
        let port = drover_state::HostPort { port: 8_080, address: drover_state::HostAddress::of("10.0.0.1") };
        let ask = Ask {
            cpu_mhz: wish.tasks[0].resources.cpu,
            memory_mb: wish.tasks[0].resources.memory_mb,
            disk_mb: 100,
            cores: vec![],
            ports: if static_port { vec![port] } else { vec![] },
        };
        let left = state.nodes().find(|(_, row)| naive.suits(&row.node, &ask));
        assert!(left.is_none(), "{:?} still had room", left.map(|(_, row)| &row.node.name));
    }
}

fn shown(plan: &Plan, state: &Snapshot) -> Vec<(String, u32)> {
    let name = |id| state.node(id).unwrap().node.name.clone();
    plan.placements.iter().map(|placement| (name(placement.node_id), placement.index)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(512)) })]

    // Of SCH-004 to SCH-006, which say how many nodes upstream looks at, what users see holds whatever the number: the node
    // taken scores at least as high as any other that qualifies, with affinities and spreads as without.
    #[proves("SCH-004", "SCH-005", "SCH-006", "SCH-008", "SCH-031", "EVL-038", "EVL-040")]
    #[test]
    fn placements_are_the_best_there_are_and_overfill_nothing(
        nodes in prop::collection::vec(node_wish(), 1..14),
        jobs in prop::collection::vec(job_wish(), 1..8),
        spread_algorithm: bool,
        seed: u64,
    ) {
        let algorithm = if spread_algorithm { SchedulerAlgorithm::Spread } else { SchedulerAlgorithm::BinPack };
        // The same cluster twice, with other ids.
        let mut region = Region::new(&nodes, seed);
        let mut twin = Region::new(&nodes, seed ^ 0xffff);
        for region in [&mut region, &mut twin] {
            region.settings(algorithm, false);
        }
        for (number, wish) in jobs.iter().enumerate() {
            region.register(number, wish);
            twin.register(number, wish);
            let state = region.state();
            let outcome = region.process(number);
            let again = region.process(number);
            prop_assert_eq!(&outcome.plan, &again.plan, "the same state and evaluation give the same plan");
            let of_twin = twin.process(number);
            prop_assert_eq!(shown(&outcome.plan, &state), shown(&of_twin.plan, &twin.state()), "ids of nodes mean nothing");
            let job = Arc::clone(state.job(&job_id(number)).unwrap().job());
            assert_best(&state, &job, &outcome.plan);
            let verified = verify(&state, outcome.plan.clone());
            prop_assert!(!verified.partial, "a plan on fresh state fits: {:?}", verified.rejected);
            region.commit(outcome.plan);
            twin.commit(of_twin.plan);
            assert_sound(&region.state());
        }
    }

    #[proves("SCH-078", "SCH-081", "SCH-087", "SCH-088")]
    #[test]
    fn only_allocations_of_clearly_lesser_jobs_of_others_give_way(
        nodes in prop::collection::vec(node_wish(), 1..5),
        jobs in prop::collection::vec(job_wish(), 2..9),
        seed: u64,
    ) {
        let mut region = Region::new(&nodes, seed);
        region.settings(SchedulerAlgorithm::BinPack, true);
        for (number, wish) in jobs.iter().enumerate() {
            region.register(number, wish);
            let state = region.state();
            let plan = region.process(number).plan;
            let victims: Vec<Arc<Alloc>> = plan.preemptions.iter().map(|gone| Arc::clone(state.alloc(gone.id).unwrap())).collect();
            for victim in &victims {
                prop_assert!(victim.job.priority + 10 <= wish.priority && victim.job.id != job_id(number));
                prop_assert!(plan.evals.iter().any(|eval| eval.job_id == victim.job.id && eval.trigger == Trigger::Preemption));
            }
            let verified = verify(&state, plan.clone());
            prop_assert!(!verified.partial, "{:?}", verified.rejected);
            let by: BTreeMap<AllocId, AllocId> = plan.preemptions.iter().map(|gone| (gone.id, gone.by)).collect();
            region.commit(plan);
            let after = region.state();
            for (gone, by) in by {
                let gone = after.alloc(gone).unwrap();
                prop_assert_eq!(gone.desired, drover_model::DesiredStatus::Evict);
                prop_assert_eq!(gone.rare.preempted_by, Some(by));
                prop_assert!(after.alloc(by).unwrap().rare.preempted.as_ref().unwrap().contains(&gone.id));
                prop_assert!(after.evals_of_job(&gone.job.id).any(|eval| eval.trigger == Trigger::Preemption));
            }
            assert_sound(&after);
        }
    }

    #[proves("EVL-036", "EVL-038", "EVL-039", "EVL-040")]
    #[test]
    fn plans_worked_out_on_the_same_state_are_cut_to_what_fits_together(
        nodes in prop::collection::vec(node_wish(), 1..4),
        jobs in prop::collection::vec(job_wish(), 2..6),
        all_at_once: bool,
        preemption: bool,
        seed: u64,
    ) {
        let mut region = Region::new(&nodes, seed);
        region.settings(SchedulerAlgorithm::BinPack, preemption);
        for (number, wish) in jobs.iter().enumerate() {
            region.register(number, wish);
        }
        // Some are there already, and may have to give way to several at once.
        let there = jobs.len() / 2;
        for number in 0..there {
            let plan = region.process(number).plan;
            region.commit(plan);
        }
        let state = region.state();
        let mut ahead = state;
        let mut plans = Vec::new();
        for number in there..jobs.len() {
            let plan = Plan { all_at_once, ..region.process(number).plan };
            let wanted = plan.placements.len();
            let verified = verify(&ahead, plan);
            prop_assert_eq!(verified.partial, verified.plan.placements.len() < wanted);
            prop_assert!(!(all_at_once && verified.partial) || verified.plan.is_empty());
            ahead.anticipate(&verified.plan);
            plans.push(verified.plan);
        }
        region.apply(Change::SharedPlans(plans));
        assert_sound(&region.state());
    }
}
