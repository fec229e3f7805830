//! Jobs and their children, nodes and their drains: what one entry does to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, EvalId, NodeId, WallTime};
use drover_macros::proves;
use drover_model::command::{Change, ChildKind, NewChild, RegisterJob};
use drover_model::*;

use crate::fixture::Fixture;
use crate::persist::{SnapshotReader, write_snapshot};
use crate::rows::{Alloc, JobRow, JobStatus, NodeRow, Rare};
use crate::store::{Applied, ApplyError, Store, Transaction};
use crate::tables::Snapshot;

struct World {
    store: Store,
    index: Index,
}

impl World {
    fn new() -> Self {
        Self { store: Store::default(), index: 0 }
    }

    fn apply(&mut self, change: Change) -> Applied {
        self.index += 1;
        let time = WallTime(i64::try_from(self.index).unwrap() * 1_000_000_000);
        self.store.apply(self.index, Command { time, change })
    }

    fn state(&self) -> Snapshot {
        self.store.snapshot()
    }

    fn job(&self, name: &str) -> Arc<JobRow> {
        Arc::clone(self.state().job(&id(name)).unwrap_or_else(|| panic!("no job {name}")))
    }

    fn node(&self) -> Arc<NodeRow> {
        Arc::clone(self.state().node(NodeId::from_random(1)).unwrap())
    }
}

fn id(name: &str) -> JobId {
    JobId { namespace: "default".into(), id: name.into() }
}

fn job(name: &str) -> Job {
    let group = TaskGroup { name: "g".into(), count: 1, tasks: vec![Task::default()], ..TaskGroup::default() };
    Job { id: id(name), kind: JobType::Batch, priority: 50, task_groups: Arc::new(vec![group]), ..Job::default() }
}

fn template(name: &str) -> Job {
    Job { parameterized: Some(Parameterized::default()), meta: BTreeMap::from([("k".into(), "parent".into())]), ..job(name) }
}

fn periodic(name: &str) -> Job {
    Job { periodic: Some(Periodic { enabled: true, spec: "* * * * *".into(), ..Periodic::default() }), ..job(name) }
}

fn register(job: Job) -> RegisterJob {
    RegisterJob { job: Arc::new(job), eval: None, submission: None, enforce_index: None, keep_version: false, scaling: None }
}

fn put(job: Job) -> Change {
    Change::RegisterJob(Box::new(register(job)))
}

fn dispatch(parent: &str, number: u128, token: &str) -> NewChild {
    NewChild {
        parent: id(parent),
        id: format!("{parent}/dispatch-1-{number:08x}"),
        kind: ChildKind::Dispatch {
            payload: b"hello".to_vec(),
            meta: BTreeMap::from([("k".to_owned(), number.to_string())]),
            token: token.into(),
            priority: 0,
        },
        eval_id: EvalId::from_random(number),
    }
}

fn launch(parent: &str, seconds: i64) -> NewChild {
    NewChild {
        parent: id(parent),
        id: format!("{parent}/periodic-{seconds}"),
        kind: ChildKind::Launch { at: WallTime(seconds * 1_000_000_000) },
        eval_id: EvalId::from_random(0x1000 + u128::try_from(seconds).unwrap()),
    }
}

#[proves("PER-014", "PER-016", "PER-020")]
#[test]
fn a_dispatched_child_and_its_evaluation_are_one_entry_and_share_what_they_run() {
    let mut world = World::new();
    world.apply(put(template("letter")));
    let applied = world.apply(Change::Children(vec![dispatch("letter", 7, "")]));
    let (parent, child) = (world.job("letter"), world.job("letter/dispatch-1-00000007"));
    let child = child.job();
    assert_eq!((child.parent_id.as_str(), child.name.as_str(), child.dispatched), ("letter", "letter/dispatch-1-00000007", true));
    assert_eq!((child.payload.as_slice(), child.meta["k"].as_str(), child.priority), (b"hello".as_slice(), "7", 50));
    assert!(Arc::ptr_eq(&child.task_groups, &parent.job().task_groups));
    let state = world.state();
    let eval = state.eval(EvalId::from_random(7)).unwrap();
    assert_eq!((eval.create_index, child.create_index, eval.job_modify_index), (applied.index, applied.index, child.job_modify_index));
    assert_eq!(eval.trigger, Trigger::JobRegister);
    assert!(parent.job().is_parent() && !child.is_parent());
}

#[proves("PER-019")]
#[test]
fn one_token_makes_one_child_however_often_it_comes() {
    let mut world = World::new();
    world.apply(put(template("letter")));
    world.apply(put(template("other")));
    // In one entry, in the next, and for another parent.
    world.apply(Change::Children(vec![dispatch("letter", 1, "once"), dispatch("letter", 2, "once")]));
    world.apply(Change::Children(vec![dispatch("letter", 3, "once"), dispatch("other", 4, "once")]));
    let state = world.state();
    assert_eq!((state.children(&id("letter")).count(), state.children(&id("other")).count()), (1, 1));
    assert_eq!(state.dispatched(&id("letter"), "once").unwrap().id().id, "letter/dispatch-1-00000001");
    assert!(state.eval(EvalId::from_random(2)).is_none() && state.eval(EvalId::from_random(3)).is_none());
    // It is worth as long as its child is there.
    world.apply(Change::DeregisterJob { id: id("letter/dispatch-1-00000001"), purge: true, eval: None });
    world.apply(Change::Children(vec![dispatch("letter", 5, "once")]));
    assert_eq!(world.state().dispatched(&id("letter"), "once").unwrap().id().id, "letter/dispatch-1-00000005");
}

#[proves("PER-017")]
#[test]
fn a_stopped_parent_or_one_of_another_kind_gets_no_child() {
    let mut world = World::new();
    world.apply(put(job("plain")));
    world.apply(put(template("letter")));
    world.apply(Change::DeregisterJob { id: id("letter"), purge: false, eval: None });
    world.apply(Change::Children(vec![dispatch("letter", 1, ""), dispatch("plain", 2, ""), dispatch("gone", 3, ""), launch("plain", 60)]));
    assert_eq!(world.state().jobs().count(), 2);
    assert_eq!(world.state().evals().count(), 0);
}

#[proves("PER-001", "PER-006", "PER-007", "PER-010")]
#[test]
fn a_launch_makes_a_child_without_times_once_and_is_remembered() {
    let mut world = World::new();
    world.apply(put(periodic("tick")));
    world.apply(Change::Children(vec![launch("tick", 60)]));
    world.apply(Change::Children(vec![launch("tick", 60), launch("tick", 120)]));
    let (parent, child) = (world.job("tick"), world.job("tick/periodic-60"));
    assert_eq!(parent.last_launch, WallTime(120_000_000_000));
    assert!(child.job().periodic.is_none() && !child.job().is_parent());
    assert_eq!(world.state().children(&id("tick")).count(), 2);
    assert_eq!(world.state().evals().filter(|eval| eval.trigger == Trigger::PeriodicJob).count(), 2);
}

#[proves("PER-005", "PER-023")]
#[test]
fn what_happens_to_the_parent_leaves_children_as_they_are() {
    let mut world = World::new();
    world.apply(put(template("letter")));
    world.apply(Change::Children(vec![dispatch("letter", 1, "")]));
    let before = world.job("letter/dispatch-1-00000001");
    let mut changed = template("letter");
    changed.groups_mut()[0].count = 9;
    world.apply(put(changed));
    world.apply(Change::DeregisterJob { id: id("letter"), purge: false, eval: None });
    let after = world.job("letter/dispatch-1-00000001");
    assert_eq!(before.job(), after.job());
    assert!(!after.job().stop);
    assert_eq!(world.job("letter").status, JobStatus::Dead);
}

#[proves("PER-010", "PER-030")]
#[test]
fn a_parent_counts_its_children_and_a_restored_one_counts_the_same() {
    let mut world = World::new();
    world.apply(put(template("letter")));
    world.apply(Change::Children((1..=3).map(|number| dispatch("letter", number, "")).collect()));
    let count = |world: &World| {
        let counts = world.job("letter").children;
        (counts.pending, counts.running, counts.dead)
    };
    assert_eq!(count(&world), (3, 0, 0));
    let done = |number| {
        let mut eval = Evaluation::clone(world.state().eval(EvalId::from_random(number)).unwrap());
        eval.status = EvalStatus::Complete;
        eval
    };
    let evals = vec![done(1), done(2)];
    world.apply(Change::Evaluations(evals));
    assert_eq!(count(&world), (1, 0, 2));
    world.apply(Change::DeregisterJob { id: id("letter/dispatch-1-00000001"), purge: true, eval: None });
    assert_eq!(count(&world), (1, 0, 1));
    world.apply(Change::DeregisterJob { id: id("letter"), purge: true, eval: None });
    world.apply(put(template("letter")));
    assert_eq!(count(&world), (1, 0, 1), "one that comes back after it was purged counts the children that stayed");
    world.apply(node("secret"));
    world.apply(status(NodeStatus::Ready));
    let child_id = "letter/dispatch-1-00000003";
    let placed = AllocId::from_random(5);
    let Change::Plans(plans) = plan(placed, world.job(child_id).job().create_index) else { unreachable!() };
    world.apply(Change::Plans(plans.into_iter().map(|plan| Plan { job_id: id(child_id), ..plan }).collect()));
    let restored = SnapshotReader::read(&write_snapshot(&world.state())).unwrap();
    let parent = restored.job(&id("letter")).unwrap();
    assert_eq!(parent.children, world.job("letter").children);
    assert_eq!(restored.children(&id("letter")).count(), 2);
    let child = restored.job(&id(child_id)).unwrap();
    assert!(Arc::ptr_eq(child.job(), &restored.alloc(placed).unwrap().job), "allocations share their job again");
    assert!(Arc::ptr_eq(&child.job().task_groups, &parent.job().task_groups), "children share again what they run");
}

#[proves("PER-024")]
#[test]
fn six_versions_are_kept_and_tagged_or_stable_ones_beside_them() {
    let mut world = World::new();
    let version = |number: u32| {
        let mut job = job("web");
        job.groups_mut()[0].count = number;
        put(job)
    };
    world.apply(version(0));
    world.apply(Change::JobStability { id: id("web"), version: 0, stable: true });
    for number in 1..=10 {
        world.apply(version(number));
    }
    let kept = |world: &World| world.job("web").versions.iter().map(|entry| entry.job.version).collect::<Vec<_>>();
    assert_eq!(kept(&world), [10, 9, 8, 7, 6, 5, 0], "the newest stable one is never dropped");
    world.apply(Change::JobStability { id: id("web"), version: 9, stable: true });
    world.apply(version(11));
    assert_eq!(kept(&world), [11, 10, 9, 8, 7, 6]);
}

#[proves("PER-025", "PER-027")]
#[test]
fn the_same_again_is_no_new_version_and_any_change_is() {
    let mut world = World::new();
    let eval = Evaluation::new(EvalId::from_random(1), id("web"), JobType::Batch, 50, Trigger::JobRegister, WallTime(1));
    let first = RegisterJob { eval: Some(eval), ..register(job("web")) };
    let applied = world.apply(Change::RegisterJob(Box::new(first)));
    let state = world.state();
    assert_eq!(state.eval(EvalId::from_random(1)).unwrap().create_index, applied.index, "job and evaluation are one entry");
    world.apply(put(job("web")));
    assert_eq!((world.job("web").job().version, world.job("web").versions.len()), (0, 1));
    world.apply(put(Job { priority: 51, ..job("web") }));
    assert_eq!(world.job("web").job().version, 1);
    world.apply(Change::DeregisterJob { id: id("web"), purge: false, eval: None });
    assert!(world.job("web").job().stop);
    world.apply(Change::DeregisterJob { id: id("web"), purge: true, eval: None });
    assert!(world.state().job(&id("web")).is_none());
}

#[proves("PER-026")]
#[test]
fn an_index_that_is_enforced_is_compared_in_the_entry() {
    let mut world = World::new();
    let enforced = |index| Change::RegisterJob(Box::new(RegisterJob { enforce_index: Some(index), ..register(job("web")) }));
    let text = |applied: Applied| applied.result.unwrap_err().to_string();
    assert_eq!(text(world.apply(enforced(5))), "Enforcing job modify index 5: job does not exist");
    assert!(world.apply(enforced(0)).result.is_ok());
    assert_eq!(text(world.apply(enforced(0))), "Enforcing job modify index 0: job already exists");
    assert!(text(world.apply(enforced(9))).starts_with("Enforcing job modify index 9: job exists with conflicting"));
    let now = world.job("web").job().job_modify_index;
    assert!(world.apply(enforced(now)).result.is_ok());
}

/// What `testdata/golden/NAME` says, by line.
fn records(name: &str) -> Vec<serde_json::Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[proves("PER-011", "PER-030")]
#[test]
fn recorded_statuses_of_jobs_agree() {
    let records = records("scheduler-job-status.jsonl");
    assert!(records.len() >= 128);
    for record in records {
        let mut spec = match record["kind"].as_str().unwrap() {
            "periodic" => periodic("web"),
            "parameterized" => template("web"),
            _ => job("web"),
        };
        spec.kind = JobType::parse(record["type"].as_str().unwrap()).unwrap();
        spec.stop = record["stop"].as_bool().unwrap();
        spec.create_index = 1;
        let spec = Arc::new(spec);
        let mut fixture = Fixture::new(10, WallTime(1));
        let slot = fixture.job(JobRow::new(Arc::clone(&spec), None, 1));
        let node = fixture.slot();
        for (number, status) in record["evals"].as_array().unwrap().iter().enumerate() {
            let number = EvalId::from_random(number as u128 + 1);
            let mut eval = Evaluation::new(number, id("web"), spec.kind, 50, Trigger::JobRegister, WallTime(1));
            eval.status = EvalStatus::parse(status.as_str().unwrap()).unwrap();
            eval.create_index = 2;
            fixture.eval(eval);
        }
        for (number, statuses) in record["allocs"].as_array().unwrap().iter().enumerate() {
            fixture.alloc(Alloc {
                id: AllocId::from_random(number as u128 + 1),
                job_slot: slot,
                job: Arc::clone(&spec),
                group: 0,
                index: 0,
                node_slot: node,
                node_id: NodeId::from_random(1),
                eval_id: EvalId::from_random(1),
                deployment: None,
                canary: false,
                health: None,
                resources: Arc::default(),
                desired: DesiredStatus::parse(statuses[0].as_str().unwrap()).unwrap(),
                transition: DesiredTransition::default(),
                client_status: ClientStatus::parse(statuses[1].as_str().unwrap()).unwrap(),
                tasks: None,
                rare: Rare::default(),
                metrics: Arc::default(),
                create_index: 2,
                modify_index: 2,
                alloc_modify_index: 2,
                create_time: WallTime(1),
                modify_time: WallTime(1),
                job_status: JobStatus::Pending,
            });
        }
        let mut state = fixture.finish();
        Transaction::new(&mut state, crate::event::EventKind::EvaluationUpdated).refresh_status(slot);
        let status = state.job_at(slot).unwrap().status;
        assert_eq!(status.text(), record["status"].as_str().unwrap(), "{record}");
    }
}

fn node(secret: &str) -> Change {
    let node = Node { id: NodeId::from_random(1), secret_id: secret.into(), name: "one".into(), ..Node::default() };
    Change::RegisterNode { node: Box::new(node), evals: Vec::new() }
}

fn status(status: NodeStatus) -> Change {
    let event = NodeEvent { message: format!("now {status}"), ..NodeEvent::default() };
    Change::NodeStatus { id: NodeId::from_random(1), status, event: Some(event), evals: Vec::new() }
}

fn drain(spec: Option<DrainSpec>, mark_eligible: bool, note: &str) -> Change {
    let meta = if note.is_empty() { BTreeMap::new() } else { BTreeMap::from([("note".to_owned(), note.to_owned())]) };
    Change::NodeDrain { id: NodeId::from_random(1), spec, mark_eligible, meta, accessor: "me".into(), evals: Vec::new() }
}

const MINUTE: DrainSpec = DrainSpec { deadline_ns: 60_000_000_000, ignore_system_jobs: false };

#[proves("NOD-001", "NOD-002", "NOD-003")]
#[test]
fn a_node_that_registers_again_keeps_what_the_servers_hold_about_it() {
    let mut world = World::new();
    world.apply(node("secret"));
    assert_eq!(world.node().status, NodeStatus::Initializing);
    let refused = world.apply(node("other")).result.unwrap_err();
    assert_eq!(refused, ApplyError::Refused("node secret ID does not match. Not registering node.".into()));
    world.apply(status(NodeStatus::Ready));
    world.apply(drain(Some(MINUTE), false, "T-1"));
    let before = world.node();
    world.apply(node("secret"));
    let after = world.node();
    assert_eq!((before.status, before.eligible, before.drain), (after.status, after.eligible, after.drain));
    assert_eq!((&before.last_drain, before.events.len()), (&after.last_drain, after.events.len()));
    let names: Vec<&str> = NodeStatus::ALL.iter().map(|status| status.text()).collect();
    assert_eq!(names, ["initializing", "ready", "down", "disconnected"]);
}

#[proves("NOD-009")]
#[test]
fn the_last_ten_events_of_a_node_are_kept() {
    let mut world = World::new();
    world.apply(node("secret"));
    assert_eq!(world.node().events[0].message, "Node registered");
    for _ in 0..6 {
        world.apply(status(NodeStatus::Down));
        world.apply(node("secret"));
    }
    let messages: Vec<String> = world.node().events.iter().map(|event| event.message.clone()).collect();
    assert_eq!(messages.len(), 10);
    assert_eq!(messages[8..], ["now down", "Node re-registered"]);
}

#[proves("NOD-028", "NOD-029", "NOD-030")]
#[test]
fn a_drain_takes_the_node_out_at_once_and_an_update_keeps_its_start() {
    let mut world = World::new();
    world.apply(node("secret"));
    world.apply(status(NodeStatus::Ready));
    assert!(world.node().ready());
    let begun = world.apply(drain(Some(MINUTE), false, "T-1"));
    let row = world.node();
    let start = world.state().time();
    assert!(begun.result.is_ok() && !row.ready() && !row.eligible);
    let drain_now = row.drain.unwrap();
    assert_eq!((drain_now.started_at, drain_now.force_deadline), (start, start + Duration::from_secs(60)));
    assert_eq!(world.state().draining().count(), 1);
    world.apply(drain(Some(MINUTE), false, ""));
    let updated = world.node().drain.unwrap();
    assert_eq!((updated.started_at, updated.force_deadline), (start, world.state().time() + Duration::from_secs(60)));
    assert_eq!(world.node().last_drain.as_ref().unwrap().meta["note"], "T-1");
    for (deadline_ns, forced) in [(0, false), (-1, true)] {
        world.apply(drain(Some(DrainSpec { deadline_ns, ..MINUTE }), false, ""));
        let drain = world.node().drain.unwrap();
        assert!(drain.force_deadline.is_zero());
        assert_eq!(drain.forced(world.state().time() + Duration::from_secs(999_999)), forced);
    }
}

#[proves("NOD-028", "NOD-038")]
#[test]
fn the_end_of_a_drain_is_recorded_and_leaves_the_node_out() {
    let mut world = World::new();
    world.apply(node("secret"));
    world.apply(status(NodeStatus::Ready));
    let last = |world: &World| world.node().last_drain.clone().unwrap();
    world.apply(drain(Some(MINUTE), false, "T-1"));
    world.apply(Change::DrainsDone { nodes: vec![NodeId::from_random(1)], deadline_reached: true });
    let row = world.node();
    assert!(row.drain.is_none() && !row.eligible && world.state().draining().next().is_none());
    assert_eq!(
        (last(&world).status, last(&world).meta["note"].as_str(), last(&world).accessor.as_str()),
        (DrainStatus::Complete, "T-1", "me")
    );
    let event = row.events.last().unwrap();
    assert_eq!(
        (event.message.as_str(), event.subsystem.as_str(), event.details["deadline_reached"].as_str()),
        ("Node drain complete", "Drain", "true")
    );
    world.apply(drain(Some(MINUTE), false, "T-2"));
    world.apply(drain(None, true, "enough"));
    assert_eq!((last(&world).status, last(&world).meta["note"].as_str()), (DrainStatus::Canceled, "enough"));
    assert!(world.node().ready(), "asked to take placements again");
    world.apply(drain(Some(MINUTE), false, ""));
    world.apply(drain(None, false, ""));
    assert!(!world.node().eligible);
}

#[proves("NOD-026")]
#[test]
fn a_draining_node_cannot_take_placements() {
    let mut world = World::new();
    world.apply(node("secret"));
    world.apply(drain(Some(MINUTE), false, ""));
    let eligible = Change::NodeEligibility { id: NodeId::from_random(1), eligible: true, event: None, evals: Vec::new() };
    let refused = world.apply(eligible).result.unwrap_err();
    assert_eq!(refused.to_string(), "can not set node's scheduling eligibility to eligible while it is draining");
}

#[test]
fn drains_and_children_come_back_from_a_snapshot() {
    let mut world = World::new();
    world.apply(node("secret"));
    world.apply(put(periodic("tick")));
    world.apply(Change::Children(vec![launch("tick", 60)]));
    world.apply(drain(Some(MINUTE), false, "T-1"));
    let bytes = write_snapshot(&world.state());
    let restored = SnapshotReader::read(&bytes).unwrap();
    assert_eq!(write_snapshot(&restored), bytes);
    assert_eq!((restored.draining().count(), restored.periodic_jobs().count(), restored.children(&id("tick")).count()), (1, 1, 1));
}

/// A ready node, a job, and a plan that places one allocation of it.
fn placed() -> (World, AllocId) {
    let mut world = World::new();
    world.apply(node("secret"));
    world.apply(status(NodeStatus::Ready));
    world.apply(put(job("web")));
    let id = AllocId::from_random(5);
    world.apply(plan(id, 3));
    (world, id)
}

fn plan(id: AllocId, job_create_index: Index) -> Change {
    let placement = Placement {
        id,
        group: Arc::from("g"),
        index: 0,
        node_id: NodeId::from_random(1),
        resources: Arc::default(),
        reschedules: Vec::new(),
        canary: false,
        job_version: None,
        previous: None,
        metrics: Arc::default(),
    };
    let empty = Plan::new(EvalId::from_random(7), self::id("web"), 50);
    Change::Plans(vec![Plan { placements: vec![placement], job_create_index, ..empty }])
}

#[proves("EVL-048")]
#[test]
fn a_placement_is_left_out_when_its_job_or_node_is_not_there_for_it_any_more() {
    let here = |change: Change| {
        let (mut world, _) = placed();
        world.apply(change);
        let late = AllocId::from_random(6);
        world.apply(plan(late, 3));
        world.state().alloc(late).is_some()
    };
    assert!(here(Change::Evaluations(Vec::new())));
    assert!(!here(Change::DeregisterJob { id: id("web"), purge: false, eval: None }));
    assert!(!here(Change::DeregisterJob { id: id("web"), purge: true, eval: None }));
    assert!(!here(drain(Some(MINUTE), false, "")));
    assert!(!here(status(NodeStatus::Down)));
    assert!(!here(Change::PurgeNode { id: NodeId::from_random(1), evals: Vec::new() }));
}

#[test]
fn a_placement_runs_the_version_of_its_job_that_it_was_planned_for() {
    let (mut world, first) = placed();
    let late = AllocId::from_random(6);
    world.apply(put(Job { priority: 51, ..job("web") }));
    // The plan was made before, and is put in place after.
    world.apply(plan(late, 3));
    assert_eq!(world.state().alloc(late).unwrap().job.version, 0);
    let move_to = |version| {
        let in_place = InPlace { to_newest: true, ..InPlace::of(first) };
        let empty = Plan::new(EvalId::from_random(8), id("web"), 50);
        Change::Plans(vec![Plan { in_place: vec![in_place], job_create_index: 3, job_version: version, ..empty }])
    };
    for version in [0, 1] {
        world.apply(move_to(version));
        assert_eq!(world.state().alloc(first).unwrap().job.version, version);
    }
    // What nobody remembers is planned again.
    for priority in 52..80 {
        world.apply(put(Job { priority, ..job("web") }));
    }
    let forgotten = AllocId::from_random(9);
    world.apply(plan(forgotten, 3));
    assert!(world.state().alloc(forgotten).is_none());
}

#[proves("EVL-049", "EVL-050")]
#[test]
fn servers_stamp_allocations_and_leave_what_their_node_says_alone() {
    let (mut world, id) = placed();
    let first = Arc::clone(world.state().alloc(id).unwrap());
    assert_eq!((first.create_index, first.create_time, first.modify_time), (4, world.state().time(), world.state().time()));
    let tasks = BTreeMap::from([("t".to_owned(), TaskState { status: TaskStatus::Running, ..TaskState::default() })]);
    let report = AllocUpdate { id, status: ClientStatus::Running, description: "well".into(), tasks: tasks.clone(), health: None };
    world.apply(Change::AllocUpdates { updates: vec![report], evals: Vec::new() });
    let stop = |client_status| {
        let stop = Stop { id, description: "not needed".into(), client_status, followup_eval: None };
        let empty = Plan::new(EvalId::from_random(8), self::id("web"), 50);
        Change::Plans(vec![Plan { stops: vec![stop], job_create_index: 3, ..empty }])
    };
    world.apply(stop(None));
    let stopped = Arc::clone(world.state().alloc(id).unwrap());
    assert_eq!((stopped.desired, stopped.client_status), (DesiredStatus::Stop, ClientStatus::Running));
    world.apply(stop(Some(ClientStatus::Lost)));
    let lost = Arc::clone(world.state().alloc(id).unwrap());
    assert_eq!((lost.client_status, lost.tasks.clone()), (ClientStatus::Lost, Some(tasks.into())));
    assert_eq!((lost.create_index, lost.create_time), (first.create_index, first.create_time));
    assert!(lost.modify_index > first.modify_index && lost.modify_time > first.modify_time);
}

#[proves("GC-010")]
#[test]
fn a_collected_job_leaves_nothing_behind() {
    let mut world = World::new();
    world.apply(put(job("web")));
    world.apply(put(Job { priority: 51, ..job("web") }));
    let event = command::ScalingEvent { count: Some(2), ..command::ScalingEvent::default() };
    world.apply(Change::Scaling { id: id("web"), group: "g".into(), event });
    world.apply(Change::DeregisterJob { id: id("web"), purge: false, eval: None });
    let jobs = vec![id("web")];
    world.apply(Change::Collect { evals: vec![], allocs: vec![], jobs, deployments: vec![], nodes: vec![] });
    assert!(world.state().job(&id("web")).is_none());
    world.apply(put(job("web")));
    let row = world.job("web");
    assert_eq!((row.job().version, row.versions.len(), row.scaling.len()), (0, 1, 0));
    assert!(row.summary.values().all(|counts| *counts == Default::default()));
}
