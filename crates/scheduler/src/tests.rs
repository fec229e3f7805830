//! Whole evaluations on small clusters: the plan is committed through the store, and the next evaluation looks again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, EvalId, NodeId, Rng, WallTime};
use drover_model::command::{Change, RegisterJob};
use drover_model::*;
use drover_state::{Alloc, Snapshot, Store};

use crate::verify::verify;
use crate::{Context, process};

struct Region {
    store: Store,
    index: u64,
    now: WallTime,
    rng: Rng,
}

fn job_id(name: &str) -> JobId {
    JobId { namespace: "default".into(), id: name.into() }
}

fn service(count: u32) -> Job {
    let task = Task {
        name: "t".into(),
        driver: "mock_driver".into(),
        resources: Resources { cpu: 100, memory_mb: 100, ..Resources::default() },
        ..Task::default()
    };
    let update = UpdateStrategy {
        max_parallel: 1,
        stagger: Duration::from_secs(30),
        min_healthy_time: Duration::from_secs(10),
        healthy_deadline: Duration::from_secs(300),
        progress_deadline: Duration::from_secs(600),
        ..UpdateStrategy::default()
    };
    let group = TaskGroup {
        name: "g".into(),
        count,
        tasks: vec![task],
        ephemeral_disk: EphemeralDisk { size_mb: 10, ..EphemeralDisk::default() },
        reschedule_policy: Some(ReschedulePolicy {
            delay: Duration::from_secs(30),
            delay_function: DelayFunction::Exponential,
            max_delay: Duration::from_secs(3600),
            unlimited: true,
            ..ReschedulePolicy::default()
        }),
        update: Some(update),
        ..TaskGroup::default()
    };
    Job {
        id: job_id("web"),
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: Arc::new(vec![group]),
        ..Job::default()
    }
}

impl Region {
    fn new(nodes: u128) -> Self {
        let mut region = Self { store: Store::default(), index: 0, now: WallTime(1_000_000_000_000), rng: Rng::new(7) };
        for number in 1..=nodes {
            let driver = NodeDriver { detected: true, healthy: true, ..NodeDriver::default() };
            let address = NodeAddress { alias: "default".into(), address: format!("10.0.0.{number}"), ..NodeAddress::default() };
            let node = Node {
                id: NodeId::from_random(number),
                name: format!("n{number}"),
                datacenter: "dc1".into(),
                node_pool: "default".into(),
                attributes: BTreeMap::from([("kernel.name".into(), "linux".into()), ("unique.number".into(), number.to_string())]),
                drivers: BTreeMap::from([("mock_driver".into(), driver)]),
                resources: NodeResources {
                    cpu_mhz: 1000,
                    memory_mb: 1000,
                    disk_mb: 1000,
                    networks: vec![NodeNetwork { mode: "host".into(), addresses: vec![address], ..NodeNetwork::default() }],
                    ..NodeResources::default()
                },
                ..Node::default()
            };
            region.apply(Change::RegisterNode { node: Box::new(node), evals: vec![] });
            region.apply(Change::NodeStatus { id: NodeId::from_random(number), status: NodeStatus::Ready, event: None, evals: vec![] });
        }
        region
    }

    fn apply(&mut self, change: Change) {
        self.index += 1;
        let applied = self.store.apply(self.index, Command { time: self.now, change });
        assert_eq!(applied.result, Ok(()));
    }

    fn state(&self) -> Snapshot {
        self.store.snapshot()
    }

    fn register(&mut self, job: Job) {
        self.apply(Change::RegisterJob(Box::new(RegisterJob {
            job: Arc::new(job),
            eval: None,
            submission: None,
            enforce_index: None,
            keep_version: false,
            scaling: None,
        })));
    }

    /// Evaluates the job once and commits the plan.
    fn evaluate(&mut self) -> crate::Outcome {
        let state = self.state();
        let row = state.job(&job_id("web")).cloned();
        let kind = row.map_or(JobType::Service, |row| row.job().kind);
        let id = EvalId::from_random(self.rng.next_u128());
        let eval = Evaluation::new(id, job_id("web"), kind, 50, Trigger::JobRegister, self.now);
        let mut context = Context { now: self.now, rng: self.rng.fork() };
        let mut outcome = process(&state, &eval, &mut context);
        let verified = verify(&state, outcome.plan.clone());
        assert!(!verified.partial, "a plan on fresh state fits");
        self.apply(Change::Plans(vec![verified.plan]));
        let evals = outcome.followups.clone();
        self.apply(Change::Evaluations(evals));
        outcome.plan.job_version = 0;
        outcome
    }

    fn live(&self) -> Vec<Arc<Alloc>> {
        self.state().allocs().filter(|alloc| !alloc.terminal()).cloned().collect()
    }

    fn report(&mut self, id: AllocId, status: ClientStatus, healthy: Option<bool>) {
        let health = healthy.map(|healthy| DeploymentHealth { healthy, time: self.now });
        let task = TaskState {
            status: if status.is_terminal() { TaskStatus::Dead } else { TaskStatus::Running },
            failed: status == ClientStatus::Failed,
            finished_at: if status.is_terminal() { self.now } else { WallTime::ZERO },
            ..TaskState::default()
        };
        let update = AllocUpdate { id, status, description: String::new(), tasks: BTreeMap::from([("t".into(), task)]), health };
        self.apply(Change::AllocUpdates { updates: vec![update], evals: vec![] });
    }

    fn all_healthy(&mut self) {
        for alloc in self.live() {
            if alloc.is_healthy().is_none() {
                self.report(alloc.id, ClientStatus::Running, Some(true));
            }
        }
    }

    fn indexes(&self) -> Vec<u32> {
        let mut indexes: Vec<u32> = self.live().iter().map(|alloc| alloc.index).collect();
        indexes.sort_unstable();
        indexes
    }

    /// Evaluates with everything healthy until nothing changes, and checks that this comes.
    fn settle(&mut self) {
        for _ in 0..50 {
            self.all_healthy();
            for alloc in
                self.state().allocs().filter(|alloc| alloc.server_terminal() && !alloc.client_terminal()).cloned().collect::<Vec<_>>()
            {
                self.report(alloc.id, ClientStatus::Complete, None);
            }
            let outcome = self.evaluate();
            if outcome.plan.placements.is_empty()
                && outcome.plan.stops.is_empty()
                && outcome.plan.in_place.is_empty()
                && outcome.plan.deployment_updates.is_empty()
            {
                return;
            }
        }
        panic!("the job does not settle");
    }
}

#[test]
fn a_new_job_is_placed_under_the_lowest_numbers_and_its_deployment_succeeds() {
    let mut region = Region::new(2);
    region.register(service(3));
    let outcome = region.evaluate();
    assert_eq!(outcome.plan.placements.len(), 3);
    assert_eq!(region.indexes(), [0, 1, 2]);
    let deployment = region.state().latest_deployment(&job_id("web")).cloned().unwrap();
    assert_eq!((deployment.groups["g"].desired_total, deployment.groups["g"].placed), (3, 3));
    region.settle();
    let state = region.state();
    let deployment = state.latest_deployment(&job_id("web")).unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Successful);
    assert!(state.job(&job_id("web")).unwrap().versions[0].stable);
    assert!(region.evaluate().plan.placements.is_empty(), "and nothing more happens");
}

#[test]
fn scaling_down_stops_the_highest_numbers_and_up_fills_the_lowest() {
    let mut region = Region::new(2);
    region.register(service(4));
    region.evaluate();
    region.settle();
    region.register(service(2));
    region.settle();
    assert_eq!(region.indexes(), [0, 1]);
    region.register(service(3));
    region.settle();
    assert_eq!(region.indexes(), [0, 1, 2]);
}

fn changed(count: u32) -> Job {
    let mut job = service(count);
    job.groups_mut()[0].tasks[0].env.insert("VERSION".into(), "2".into());
    job
}

#[test]
fn an_update_replaces_max_parallel_at_a_time_as_the_new_ones_become_healthy() {
    let mut region = Region::new(2);
    region.register(service(3));
    region.evaluate();
    region.settle();
    region.register(changed(3));
    let outcome = region.evaluate();
    assert_eq!((outcome.plan.placements.len(), outcome.plan.stops.len()), (1, 1));
    assert_eq!(region.evaluate().plan.placements.len(), 0, "the first one is not healthy yet");
    region.settle();
    assert!(region.live().iter().all(|alloc| alloc.job.version == 1));
    assert_eq!(region.indexes(), [0, 1, 2]);
    assert_eq!(region.state().latest_deployment(&job_id("web")).unwrap().status, DeploymentStatus::Successful);
}

#[test]
fn a_change_of_count_or_services_is_made_in_place() {
    let mut region = Region::new(2);
    region.register(service(2));
    region.evaluate();
    region.settle();
    let before: Vec<AllocId> = region.live().iter().map(|alloc| alloc.id).collect();
    let mut job = service(2);
    job.groups_mut()[0].services.push(Service { name: "web".into(), ..Service::default() });
    region.register(job);
    region.settle();
    assert_eq!(region.live().iter().map(|alloc| alloc.id).collect::<Vec<_>>(), before);
    assert!(region.live().iter().all(|alloc| alloc.job.version == 1));
}

#[test]
fn canaries_run_beside_the_old_ones_until_promotion() {
    let mut region = Region::new(3);
    region.register(service(3));
    region.evaluate();
    region.settle();
    let mut job = changed(3);
    job.groups_mut()[0].update.as_mut().unwrap().canary = 1;
    region.register(job);
    region.evaluate();
    assert_eq!(region.live().len(), 4);
    region.settle();
    assert_eq!(region.live().iter().filter(|alloc| alloc.canary).count(), 1, "nothing moves before promotion");
    let deployment = region.state().latest_deployment(&job_id("web")).cloned().unwrap();
    assert_eq!(deployment.status_description, description::NEEDS_PROMOTION);
    region.apply(Change::DeploymentPromote { id: deployment.id, groups: None, eval: None });
    region.settle();
    assert_eq!(region.indexes(), [0, 1, 2]);
    assert!(region.live().iter().all(|alloc| alloc.job.version == 1 && !alloc.canary));
    assert_eq!(region.state().latest_deployment(&job_id("web")).unwrap().status, DeploymentStatus::Successful);
}

#[test]
fn a_failed_allocation_is_replaced_after_its_delay_and_remembers_it() {
    let mut region = Region::new(2);
    region.register(service(1));
    region.evaluate();
    region.settle();
    let failed = region.live()[0].id;
    region.report(failed, ClientStatus::Failed, None);
    let outcome = region.evaluate();
    assert!(outcome.plan.placements.is_empty());
    assert_eq!(outcome.followups.len(), 1);
    assert_eq!(outcome.followups[0].wait_until, region.now + Duration::from_secs(30));
    assert_eq!(region.state().alloc(failed).unwrap().rare.followup_eval, Some(outcome.followups[0].id));
    assert!(region.evaluate().followups.is_empty(), "one follow-up is enough");
    region.now = region.now + Duration::from_secs(30);
    region.evaluate();
    let state = region.state();
    let replacement = region.live()[0].clone();
    assert_eq!((replacement.rare.previous, replacement.index), (Some(failed), 0));
    assert_eq!(state.alloc(failed).unwrap().rare.next, Some(replacement.id));
    assert_eq!(replacement.rare.reschedules.as_ref().unwrap().len(), 1);
    assert_ne!(replacement.node_id, state.alloc(failed).unwrap().node_id, "another node is better");
}

#[test]
fn failed_allocations_beyond_a_smaller_count_are_given_up() {
    let mut region = Region::new(3);
    region.register(service(3));
    region.evaluate();
    region.settle();
    for alloc in region.live() {
        region.report(alloc.id, ClientStatus::Failed, None);
    }
    assert_eq!(region.evaluate().followups.len(), 1, "all wait for the same time");
    let mut smaller = service(1);
    smaller.groups_mut()[0].count = 1;
    region.register(smaller);
    let given_up = region.evaluate().plan.stops.len();
    assert_eq!(given_up, 2, "the highest numbers are not waited for any more");
    region.now = region.now + Duration::from_secs(30);
    region.evaluate();
    assert_eq!(region.live().iter().map(|alloc| alloc.index).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_batch_job_that_succeeded_is_not_run_again() {
    let mut region = Region::new(1);
    let mut job = service(2);
    job.kind = JobType::Batch;
    job.groups_mut()[0].update = None;
    region.register(job);
    region.evaluate();
    for alloc in region.live() {
        region.report(alloc.id, ClientStatus::Complete, None);
    }
    assert!(region.evaluate().plan.is_empty());
}

#[test]
fn a_stopped_job_stops_everything() {
    let mut region = Region::new(1);
    region.register(service(2));
    region.evaluate();
    region.apply(Change::DeregisterJob { id: job_id("web"), purge: false, eval: None });
    let outcome = region.evaluate();
    assert_eq!(outcome.plan.stops.len(), 2);
    assert_eq!(outcome.plan.deployment_updates[0].description, description::STOPPED_JOB);
    assert!(region.live().is_empty());
}

#[test]
fn what_does_not_fit_is_blocked_with_the_reason() {
    let mut region = Region::new(1);
    region.register(service(12));
    let outcome = region.evaluate();
    assert_eq!(outcome.plan.placements.len(), 10);
    let failed = &outcome.failed_groups["g"];
    assert_eq!((failed.nodes_exhausted, failed.coalesced_failures), (1, 1));
    assert_eq!(failed.dimension_exhausted, BTreeMap::from([("cpu".to_owned(), 1)]));
    assert_eq!(outcome.queued["g"], 2);
    let blocked = &outcome.blocked[0];
    assert_eq!((blocked.status, blocked.trigger), (EvalStatus::Blocked, Trigger::QueuedAllocs));
    assert!(blocked.class_eligibility.values().all(|fit| *fit));
}

#[test]
fn an_impossible_constraint_names_itself() {
    let mut region = Region::new(2);
    let mut job = service(1);
    job.constraints.push(Constraint { l_target: "${attr.kernel.name}".into(), r_target: "plan9".into(), operand: "=".into() });
    region.register(job);
    let outcome = region.evaluate();
    let failed = &outcome.failed_groups["g"];
    assert_eq!(failed.constraint_filtered, BTreeMap::from([("${attr.kernel.name} = plan9".to_owned(), 2)]));
    assert_eq!(failed.nodes_filtered, 2);
}

#[test]
fn a_lost_node_is_replaced_elsewhere() {
    let mut region = Region::new(2);
    region.register(service(2));
    region.evaluate();
    region.settle();
    let node = region.live()[0].node_id;
    let affected = region.live().iter().filter(|alloc| alloc.node_id == node).count();
    region.apply(Change::NodeStatus { id: node, status: NodeStatus::Down, event: None, evals: vec![] });
    region.evaluate();
    assert_eq!(region.live().len(), 2);
    assert!(region.live().iter().all(|alloc| alloc.node_id != node));
    let lost = region.state().allocs().filter(|alloc| alloc.client_status == ClientStatus::Lost).count();
    assert_eq!(lost, affected);
}

#[test]
fn static_ports_collide_and_dynamic_ones_do_not() {
    let mut region = Region::new(1);
    let mut job = service(2);
    job.groups_mut()[0]
        .networks
        .push(NetworkResource { dynamic_ports: vec![Port { label: "http".into(), ..Port::default() }], ..NetworkResource::default() });
    region.register(job.clone());
    region.evaluate();
    let ports: std::collections::BTreeSet<u16> = region.live().iter().map(|alloc| alloc.resources.ports[0].value).collect();
    assert_eq!(ports.len(), 2);
    assert!(ports.iter().all(|port| (20_000..=32_000).contains(port)));
    assert_eq!(region.live()[0].resources.ports[0].host_ip, "10.0.0.1");
    job.groups_mut()[0].networks[0] = NetworkResource {
        reserved_ports: vec![Port { label: "http".into(), value: 8080, ..Port::default() }],
        ..NetworkResource::default()
    };
    let mut region = Region::new(1);
    region.register(job);
    let outcome = region.evaluate();
    assert_eq!(outcome.plan.placements.len(), 1);
    let exhausted = &outcome.failed_groups["g"].dimension_exhausted;
    assert_eq!(exhausted, &BTreeMap::from([("network: reserved port collision http=8080".to_owned(), 1)]));
}

#[test]
fn a_plan_on_old_state_is_cut_to_what_still_fits() {
    let mut region = Region::new(1);
    region.register(service(6));
    let state = region.state();
    let plan = |seed| {
        let eval = Evaluation::new(EvalId::from_random(seed), job_id("web"), JobType::Service, 50, Trigger::JobRegister, region.now);
        process(&state, &eval, &mut Context { now: region.now, rng: Rng::new(seed as u64) }).plan
    };
    let (one, two) = (plan(1), plan(2));
    let first = verify(&state, one);
    assert!(!first.partial);
    let mut ahead = state.clone();
    ahead.anticipate(&first.plan);
    let second = verify(&ahead, two);
    assert!(second.partial);
    assert_eq!(second.plan.placements.len(), 4);
}
