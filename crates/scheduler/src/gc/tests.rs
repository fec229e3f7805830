//! What may go, against recorded decisions and on small states.

use std::sync::Arc;

use drover_macros::proves;
use drover_model::{DeploymentStatus, EvalStatus, Job, RescheduleEvent, ReschedulePolicy, Trigger, VersionTag};
use drover_state::JobSlot;

use super::*;
use crate::fixtures::{self, NOW, World, at, job_id, records};

const LONG_AGO: Duration = Duration::from_secs(100 * 3600);

#[proves("GC-005", "GC-006")]
#[test]
fn recorded_verdicts_on_allocations_agree() {
    let records = records("scheduler-gc-alloc.jsonl");
    assert!(records.len() >= 92);
    for record in records {
        let (given, wanted) = (&record["alloc"], &record["job"]);
        let mut job = fixtures::job("web", JobType::Service);
        job.stop = wanted["stop"].as_bool().unwrap_or(false);
        let policy = ReschedulePolicy {
            unlimited: wanted["reschedule_unlimited"].as_bool().unwrap_or(false),
            attempts: u32::try_from(wanted["reschedule_attempts"].as_u64().unwrap_or(0)).unwrap(),
            interval: Duration::from_secs(wanted["reschedule_interval"].as_u64().unwrap_or(0)),
            ..ReschedulePolicy::default()
        };
        job.groups_mut()[0].reschedule_policy = (!wanted["no_reschedule_policy"].as_bool().unwrap_or(false)).then_some(policy);
        let mut world = World::new();
        let (slot, job) = world.job(job);
        let node = world.node(1, |_| {});
        let mut alloc = fixtures::alloc(1, &(slot, Arc::clone(&job)), (node, 1));
        alloc.desired = DesiredStatus::parse(given["desired"].as_str().unwrap()).unwrap();
        alloc.client_status = ClientStatus::parse(given["client"].as_str().unwrap()).unwrap();
        alloc.modify_time = at(&given["modify_time"]);
        alloc.rare.next = given["has_next"].as_bool().filter(|next| *next).map(|_| AllocId::from_random(9));
        let events: Vec<RescheduleEvent> = given["reschedule_events"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|time| RescheduleEvent { time: at(time), ..RescheduleEvent::default() })
            .collect();
        alloc.rare.reschedules = (!events.is_empty()).then(|| Arc::new(events));
        let mut row = JobRow::new(job, None, 1);
        row.status = JobStatus::parse(wanted["status"].as_str().unwrap_or("running")).unwrap();
        let row = (!wanted.is_null()).then_some(&row);
        let found = collectable(&alloc, row, NOW, at(&record["cutoff"]));
        assert_eq!(found, record["eligible"].as_bool().unwrap(), "{record}");
    }
}

/// Things that ended long ago.
struct Past {
    world: World,
    node: (drover_state::NodeSlot, u128),
    evals: u128,
}

impl Past {
    fn new() -> Self {
        let mut world = World::new();
        let node = (world.node(1, |_| {}), 1);
        Self { world, node, evals: 0 }
    }

    fn job(&mut self, job: Job, status: JobStatus, tagged: bool) -> (JobSlot, Arc<Job>) {
        let job = Arc::new(Job { submit_time: NOW - LONG_AGO, ..job });
        let mut row = JobRow::new(Arc::clone(&job), None, 1);
        row.status = status;
        row.versions[0].tag = tagged.then(|| VersionTag { name: "good".into(), ..VersionTag::default() });
        (self.world.fixture.job(row), job)
    }

    fn eval(&mut self, job: &Job, status: EvalStatus, age: Duration) -> EvalId {
        self.evals += 1;
        let id = EvalId::from_random(1_000 + self.evals);
        let mut eval = Evaluation::new(id, job.id.clone(), job.kind, 50, Trigger::JobRegister, NOW - age);
        eval.status = status;
        self.world.fixture.eval(eval);
        id
    }

    fn alloc(&mut self, job: &(JobSlot, Arc<Job>), eval: EvalId, status: ClientStatus, age: Duration) -> AllocId {
        self.world.alloc(job, self.node, |alloc| {
            alloc.eval_id = eval;
            alloc.client_status = status;
            alloc.modify_time = NOW - age;
        })
    }

    fn find(self) -> Garbage {
        find(&self.world.fixture.finish(), NOW, &Thresholds::default())
    }
}

#[proves("GC-002", "GC-003", "GC-004")]
#[test]
fn an_evaluation_goes_once_it_is_old_and_so_are_all_its_allocations() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let mut past = Past::new();
    let job = past.job(fixtures::job("web", JobType::Service), JobStatus::Running, false);
    let gone = past.eval(&job.1, EvalStatus::Complete, hours(2));
    let old = past.alloc(&job, gone, ClientStatus::Complete, hours(2));
    let stays = past.eval(&job.1, EvalStatus::Complete, hours(2));
    let ended = past.alloc(&job, stays, ClientStatus::Complete, hours(2));
    past.alloc(&job, stays, ClientStatus::Running, hours(2));
    past.eval(&job.1, EvalStatus::Complete, Duration::from_secs(1800));
    past.eval(&job.1, EvalStatus::Blocked, hours(2));
    let garbage = past.find();
    assert_eq!((garbage.evals, garbage.allocs), (vec![gone], vec![old, ended]));
}

#[proves("GC-002", "GC-007")]
#[test]
fn results_of_a_batch_job_stay_while_the_job_is_there() {
    let days = Duration::from_secs(2 * 86_400);
    let mut past = Past::new();
    let live = past.job(Job { version: 2, ..fixtures::job("sum", JobType::Batch) }, JobStatus::Running, false);
    let eval = past.eval(&live.1, EvalStatus::Complete, days);
    past.alloc(&live, eval, ClientStatus::Complete, days);
    let before = (live.0, Arc::new(Job { version: 1, ..Job::clone(&live.1) }));
    let older = past.alloc(&before, eval, ClientStatus::Complete, days);
    let stopped = past.job(Job { stop: true, ..fixtures::job("old", JobType::Batch) }, JobStatus::Dead, true);
    let gone = past.eval(&stopped.1, EvalStatus::Complete, days);
    past.eval(&stopped.1, EvalStatus::Complete, Duration::from_secs(7_200));
    let garbage = past.find();
    assert_eq!((garbage.evals, garbage.allocs), (vec![gone], vec![older]), "a day counts for batch evaluations, not an hour");
}

#[proves("GC-008", "GC-009", "PER-011")]
#[test]
fn jobs_go_when_they_are_dead_and_nobody_can_want_them_again() {
    let kind = |name: &str, kind| fixtures::job(name, kind);
    let stopped = |name: &str, kind| Job { stop: true, ..fixtures::job(name, kind) };
    let parent = |name: &str, stop| Job { parameterized: Some(Default::default()), stop, ..fixtures::job(name, JobType::Batch) };
    let mut past = Past::new();
    let done = past.job(kind("batch", JobType::Batch), JobStatus::Dead, false);
    let eval = past.eval(&done.1, EvalStatus::Complete, LONG_AGO);
    let alloc = past.alloc(&done, eval, ClientStatus::Complete, LONG_AGO);
    past.job(kind("dispatched", JobType::Sysbatch), JobStatus::Dead, false);
    past.job(stopped("stopped", JobType::Service), JobStatus::Dead, false);
    past.job(parent("template-stopped", true), JobStatus::Dead, false);
    past.job(parent("template", false), JobStatus::Dead, false);
    past.job(kind("service", JobType::Service), JobStatus::Dead, false);
    past.job(kind("running", JobType::Batch), JobStatus::Running, false);
    past.job(stopped("tagged", JobType::Batch), JobStatus::Dead, true);
    let open = past.job(stopped("open", JobType::Batch), JobStatus::Dead, false);
    past.eval(&open.1, EvalStatus::Pending, LONG_AGO);
    let garbage = past.find();
    let names: Vec<String> = garbage.jobs.iter().map(|id| id.id.clone()).collect();
    assert_eq!(names, ["batch", "dispatched", "stopped", "template-stopped"]);
    assert_eq!((garbage.evals, garbage.allocs), (vec![eval], vec![alloc]));
}

#[proves("GC-002", "GC-011", "GC-012")]
#[test]
fn deployments_and_nodes_go_when_nothing_of_them_is_left() {
    let mut past = Past::new();
    let job = past.job(fixtures::job("web", JobType::Service), JobStatus::Running, false);
    let deployment = |number, status, used: bool, past: &mut Past| {
        let id = DeploymentId::from_random(number);
        past.world.fixture.deployment(fixtures::deployment(number, status));
        if used {
            let node = past.node;
            past.world.alloc(&job, node, |alloc| alloc.deployment = Some(id));
        }
        id
    };
    let gone = deployment(1, DeploymentStatus::Failed, false, &mut past);
    deployment(2, DeploymentStatus::Successful, true, &mut past);
    deployment(3, DeploymentStatus::Paused, false, &mut past);
    let down = |row: &mut drover_state::NodeRow| {
        row.status = NodeStatus::Down;
        row.status_time = NOW - LONG_AGO;
    };
    past.world.node(2, down);
    let (used, ended) = ((past.world.node(3, down), 3), (past.world.node(4, down), 4));
    past.world.alloc(&job, used, |_| {});
    past.world.alloc(&job, ended, |alloc| alloc.client_status = ClientStatus::Lost);
    past.world.node(5, |row| {
        row.status = NodeStatus::Down;
        row.status_time = NOW - Duration::from_secs(3600);
    });
    let garbage = past.find();
    assert_eq!(garbage.deployments, [gone]);
    assert_eq!(garbage.nodes, [NodeId::from_random(2), NodeId::from_random(4)]);
}

#[proves("GC-013", "GC-014")]
#[test]
fn removals_come_in_bounded_parts_allocations_first_and_nodes_last() {
    let ids = |count: u128| (0..count).map(AllocId::from_random).collect();
    let garbage = Garbage {
        allocs: ids(10_000),
        evals: vec![EvalId::from_random(1)],
        jobs: vec![job_id("web")],
        deployments: vec![DeploymentId::from_random(1)],
        nodes: vec![NodeId::from_random(1)],
    };
    let parts = garbage.batches(REMOVED_MAX);
    assert_eq!(parts.iter().map(Garbage::len).collect::<Vec<_>>(), [7_281, 2_723]);
    assert!(parts[0].evals.is_empty() && parts[1].evals.len() == 1 && parts[1].nodes.len() == 1);
}

#[proves("GC-013")]
#[test]
fn without_thresholds_what_is_done_goes_at_once() {
    let mut past = Past::new();
    let job = past.job(fixtures::job("web", JobType::Service), JobStatus::Running, false);
    let eval = past.eval(&job.1, EvalStatus::Complete, Duration::ZERO);
    let state = past.world.fixture.finish();
    assert!(find(&state, NOW, &Thresholds::default()).is_empty());
    assert_eq!(find(&state, NOW, &Thresholds::none()).evals, [eval]);
}
