//! Jobs through generated histories: users change, scale and stop them, allocations end well and badly, nodes go and come back.
//!
//! After each step everything is evaluated and what must hold at any time is checked; in the end, when nothing more happens and
//! all delays are over, each job has exactly what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, EvalId, NodeId, Rng, WallTime};
use drover_macros::proves;
use drover_model::command::{Change, RegisterJob};
use drover_model::{
    AllocUpdate, ClientStatus, DelayFunction, DeploymentHealth, EphemeralDisk, EvalStatus, Evaluation, Job, JobType, NodeStatus,
    ReschedulePolicy, Resources, Task, TaskGroup, TaskState, TaskStatus, Trigger, UpdateStrategy,
};
use drover_scheduler::verify::verify;
use drover_scheduler::{Context, process};
use drover_state::Alloc;
use proptest::prelude::*;

use super::clusters::{NodeWish, Region, assert_sound, cases, job_id};

const NODES: u8 = 5;
const JOBS: u8 = 3;
const COUNT_MAX: u32 = 6;
/// Evaluations of a job within which it has come to rest.
const ROUNDS_MAX: usize = 200;
const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug)]
enum Step {
    /// The job with this count; with another version if `change`.
    Register {
        job: u8,
        count: u32,
        change: bool,
    },
    Stop {
        job: u8,
    },
    /// All that was asked for happened: new ones run and are healthy, stopped ones have ended.
    Clients,
    /// One of the live allocations ends.
    Ends {
        which: u16,
        failed: bool,
    },
    NodeDown {
        node: u8,
    },
    NodeUp {
        node: u8,
    },
    Pass {
        seconds: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..JOBS, 0..=COUNT_MAX, any::<bool>()).prop_map(|(job, count, change)| Step::Register { job, count, change }),
        1 => (0..JOBS).prop_map(|job| Step::Stop { job }),
        5 => Just(Step::Clients),
        5 => (any::<u16>(), any::<bool>()).prop_map(|(which, failed)| Step::Ends { which, failed }),
        1 => (0..NODES).prop_map(|node| Step::NodeDown { node }),
        2 => (0..NODES).prop_map(|node| Step::NodeUp { node }),
        3 => (1u16..400).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// Jobs 0 and 1 are services, the second one with rolling updates; job 2 is a batch job.
fn job(number: u8, count: u32, version: u32) -> Job {
    let kind = if number == 2 { JobType::Batch } else { JobType::Service };
    let policy = ReschedulePolicy {
        attempts: u32::from(kind.is_batch()),
        interval: if kind.is_batch() { DAY } else { Duration::ZERO },
        delay: Duration::from_secs(if kind.is_batch() { 5 } else { 30 }),
        delay_function: DelayFunction::Constant,
        unlimited: !kind.is_batch(),
        ..ReschedulePolicy::default()
    };
    let task = Task {
        name: "t".into(),
        driver: "docker".into(),
        env: BTreeMap::from([("VERSION".to_owned(), version.to_string())]),
        resources: Resources { cpu: 10, memory_mb: 10, ..Resources::default() },
        ..Task::default()
    };
    let update = UpdateStrategy {
        max_parallel: 2,
        min_healthy_time: Duration::from_secs(1),
        healthy_deadline: Duration::from_secs(300),
        progress_deadline: Duration::from_secs(600),
        ..UpdateStrategy::default()
    };
    let group = TaskGroup {
        name: "g".into(),
        count,
        tasks: vec![task],
        ephemeral_disk: EphemeralDisk { size_mb: 10, ..EphemeralDisk::default() },
        reschedule_policy: Some(policy),
        update: (number == 1).then_some(update),
        ..TaskGroup::default()
    };
    Job {
        id: job_id(usize::from(number)),
        kind,
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: Arc::new(vec![group]),
        ..Job::default()
    }
}

struct History {
    region: Region,
    rng: Rng,
    nodes: Vec<NodeId>,
    versions: [u32; JOBS as usize],
}

impl History {
    fn new(seed: u64) -> Self {
        let wish = NodeWish { rack: 0, datacenter: 0, size: 2, healthy: true };
        let region = Region::new(&vec![wish; usize::from(NODES)], seed);
        let nodes = region.state().nodes().map(|(_, row)| row.node.id).collect();
        Self { region, rng: Rng::new(seed), nodes, versions: [0; JOBS as usize] }
    }

    fn live(&self) -> Vec<Arc<Alloc>> {
        self.region.state().allocs().filter(|alloc| !alloc.terminal()).cloned().collect()
    }

    fn report(&mut self, id: AllocId, status: ClientStatus) {
        let now = self.region.now;
        let state = TaskState {
            status: if status.is_terminal() { TaskStatus::Dead } else { TaskStatus::Running },
            failed: status == ClientStatus::Failed,
            finished_at: if status.is_terminal() { now } else { WallTime::ZERO },
            ..TaskState::default()
        };
        let health = (status == ClientStatus::Running).then_some(DeploymentHealth { healthy: true, time: now });
        let update = AllocUpdate { id, status, description: String::new(), tasks: BTreeMap::from([("t".into(), state)]), health };
        self.region.apply(Change::AllocUpdates { updates: vec![update], evals: vec![] });
    }

    /// Nodes that can be reached do what they were asked to.
    fn clients(&mut self) {
        let state = self.region.state();
        let reached = |alloc: &&Arc<Alloc>| state.node(alloc.node_id).is_some_and(|row| row.status == NodeStatus::Ready);
        for alloc in state.allocs().filter(|alloc| !alloc.client_terminal()).filter(reached) {
            if alloc.server_terminal() {
                self.report(alloc.id, ClientStatus::Complete);
            } else if alloc.client_status == ClientStatus::Pending || alloc.is_healthy().is_none() {
                self.report(alloc.id, ClientStatus::Running);
            }
        }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Register { job: number, count, change } => {
                self.versions[usize::from(number)] += u32::from(change);
                let job = job(number, count, self.versions[usize::from(number)]);
                self.region.apply(Change::RegisterJob(Box::new(RegisterJob {
                    job: Arc::new(job),
                    eval: None,
                    submission: None,
                    enforce_index: None,
                    keep_version: false,
                    scaling: None,
                })));
            }
            Step::Stop { job } => {
                let id = job_id(usize::from(job));
                if self.region.state().job(&id).is_some() {
                    self.region.apply(Change::DeregisterJob { id, purge: false, eval: None });
                }
            }
            Step::Clients => self.clients(),
            Step::Ends { which, failed } => {
                let state = self.region.state();
                // The watcher decides about those of a running deployment; it has tests of its own.
                let deploying = |alloc: &Alloc| {
                    let own = alloc.deployment.and_then(|id| state.deployment(id));
                    own.is_some_and(|deployment| deployment.status.is_active())
                };
                let running: Vec<_> =
                    self.live().into_iter().filter(|alloc| alloc.client_status == ClientStatus::Running && !deploying(alloc)).collect();
                if let Some(alloc) = running.get(usize::from(which) % running.len().max(1)) {
                    self.report(alloc.id, if failed { ClientStatus::Failed } else { ClientStatus::Complete });
                }
            }
            Step::NodeDown { node } => self.node(node, NodeStatus::Down),
            Step::NodeUp { node } => self.node(node, NodeStatus::Ready),
            Step::Pass { seconds } => self.region.now = self.region.now + Duration::from_secs(u64::from(seconds)),
        }
    }

    fn node(&mut self, node: u8, status: NodeStatus) {
        let id = self.nodes[usize::from(node)];
        if self.region.state().node(id).is_some_and(|row| row.status != status) {
            self.region.apply(Change::NodeStatus { id, status, event: None, evals: vec![] });
        }
    }

    /// Evaluates a job; whether anything came of it.
    fn evaluate(&mut self, eval: &Evaluation) -> bool {
        let state = self.region.state();
        let outcome = process(&state, eval, &mut Context { now: self.region.now, rng: self.rng.fork() });
        let row = state.job(&eval.job_id).unwrap();
        let count = row.job().task_groups[0].count as usize;
        let limit = if row.job().stop { 0 } else { count };
        assert!(outcome.plan.placements.len() <= limit, "INV-20: {} placements of {limit}", outcome.plan.placements.len());
        for placement in &outcome.plan.placements {
            let before = placement.previous.and_then(|id| state.alloc(id));
            let done = before.is_some_and(|alloc| {
                row.job().kind.is_batch() && alloc.client_status == ClientStatus::Complete && !alloc.server_terminal()
            });
            assert!(!done, "INV-29: {} succeeded and is run again", before.unwrap().name());
        }
        let verified = verify(&state, outcome.plan.clone());
        assert!(!verified.partial, "a plan on fresh state fits: {:?}", verified.rejected);
        let busy = !outcome.plan.is_empty() || !outcome.followups.is_empty();
        self.region.commit(verified.plan);
        let mut evals = outcome.followups;
        if eval.status == EvalStatus::Pending && state.eval(eval.id).is_some() {
            evals.push(Evaluation { status: EvalStatus::Complete, ..eval.clone() });
        }
        self.region.apply(Change::Evaluations(evals));
        self.check();
        busy
    }

    /// Every job, and what is due by now. Whether anything came of it.
    fn evaluate_all(&mut self) -> bool {
        let state = self.region.state();
        let mut busy = false;
        let now = self.region.now;
        let due = state.evals().filter(|eval| eval.status == EvalStatus::Pending && eval.wait_until <= now);
        let due: Vec<Evaluation> = due.map(|eval| Evaluation::clone(eval)).collect();
        for eval in due {
            self.evaluate(&eval);
            busy = true;
        }
        for row in state.jobs() {
            let id = EvalId::from_random(self.rng.next_u128());
            busy |= self.evaluate(&Evaluation::new(id, row.id().clone(), row.job().kind, 50, Trigger::JobRegister, now));
        }
        busy
    }

    /// What holds at any time.
    fn check(&self) {
        let state = self.region.state();
        assert_sound(&state);
        let mut successors = BTreeSet::new();
        for alloc in state.allocs() {
            if let Some(next) = alloc.rare.next.and_then(|id| state.alloc(id)) {
                assert_eq!(next.rare.previous, Some(alloc.id), "INV-05: {} is followed by one that follows another", alloc.name());
                assert!(successors.insert(next.id), "INV-05: {} follows two", next.name());
            }
            let attempts = alloc.rare.reschedules.as_deref().map_or(0, Vec::len);
            assert!(!alloc.job.kind.is_batch() || attempts <= 1, "INV-28: {} was tried again {attempts} times", alloc.name());
        }
    }

    /// Everything that waits has its time, and all clients do as they are told.
    fn rest(&mut self) {
        for node in 0..NODES {
            self.node(node, NodeStatus::Ready);
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            self.clients();
            quiet = if self.evaluate_all() { 0 } else { quiet + 1 };
            self.region.now = self.region.now + Duration::from_secs(60);
            if quiet > 2 {
                return;
            }
        }
        panic!("the jobs do not come to rest");
    }

    /// What every job has in the end.
    fn check_end(&self) {
        let state = self.region.state();
        for row in state.jobs() {
            let slot = state.job_slot(row.id()).unwrap();
            let of_job: Vec<_> = state.allocs_of_job(slot).collect();
            let live: Vec<_> = of_job.iter().filter(|alloc| !alloc.terminal()).collect();
            let count = if row.job().stop { 0 } else { row.job().task_groups[0].count };
            let mut numbers: Vec<u32> = live.iter().map(|alloc| alloc.index).collect();
            numbers.sort_unstable();
            if row.job().kind.is_batch() {
                let unique: BTreeSet<u32> = numbers.iter().copied().collect();
                assert!(unique.len() == numbers.len() && live.len() <= count as usize, "{}: {numbers:?} of {count}", row.id());
                continue;
            }
            assert_eq!(live.len(), count as usize, "{} has {numbers:?}", row.id());
            let unique: BTreeSet<u32> = numbers.iter().copied().collect();
            assert_eq!(unique.len(), numbers.len(), "{} has {numbers:?}", row.id());
            for alloc in live {
                let newest = &row.job().task_groups[0].tasks[0];
                assert_eq!(alloc.job.task_groups[0].tasks[0].env, newest.env, "{} runs an old version", alloc.name());
                assert_eq!(alloc.client_status, ClientStatus::Running);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(512)) })]

    #[proves("REC-005", "REC-006", "REC-007", "REC-010", "REC-013", "REC-015", "REC-016")]
    #[test]
    fn jobs_have_what_they_ask_for_whatever_happened_before(steps in prop::collection::vec(step(), 1..40), seed: u64) {
        let mut history = History::new(seed);
        for step in &steps {
            history.act(step);
            history.evaluate_all();
        }
        history.rest();
        history.check_end();
    }
}
