//! Drains against recorded decisions, and whole drains on small states.

use std::sync::Arc;

use drover_macros::proves;
use drover_model::{ClientStatus, DesiredStatus, DrainSpec, Job, MigrateStrategy, NodeStatus};
use drover_state::JobSlot;

use super::*;
use crate::fixtures::{self, NOW, World, health, job_id, records};

#[proves("NOD-031", "NOD-032", "NOD-033")]
#[test]
fn recorded_paces_agree() {
    let records = records("scheduler-drain.jsonl");
    assert!(records.len() >= 45);
    for record in records {
        let mut world = World::new();
        let job = world.job(fixtures::job("web", JobType::Service));
        let (draining, other) = (world.node(1, |_| {}), world.node(2, |_| {}));
        let mut allocs = Vec::new();
        for (number, given) in record["allocs"].as_array().unwrap().iter().enumerate() {
            let on = given["on_draining_node"].as_bool().unwrap_or(false);
            let mut alloc = fixtures::alloc(number as u128 + 1, &job, if on { (draining, 1) } else { (other, 2) });
            alloc.health = given["healthy"].as_bool().and_then(health);
            alloc.transition.migrate = given["transition_migrate"].as_bool();
            alloc.client_status = ClientStatus::parse(given["client"].as_str().unwrap_or("running")).unwrap();
            alloc.desired = DesiredStatus::parse(given["desired"].as_str().unwrap_or("run")).unwrap();
            allocs.push(alloc);
        }
        let number = |key: &str| u32::try_from(record[key].as_u64().unwrap()).unwrap();
        let batch = record["batch"].as_bool().unwrap();
        let found = pace(batch, number("count"), number("max_parallel"), allocs.iter(), |alloc| alloc.node_slot == draining);
        let migrated: Vec<String> = found.migrated.iter().map(ToString::to_string).collect();
        let told = serde_json::json!({ "drain_count": found.now, "drainable": found.drainable, "migrated": migrated, "done": found.done });
        for key in ["drain_count", "drainable", "migrated", "done"] {
            assert_eq!(told[key], record[key], "{key} of {record}");
        }
    }
}

/// A node that drains since [`NOW`].
fn draining(world: &mut World, number: u128, spec: DrainSpec) -> (NodeSlot, u128) {
    let slot = world.node(number, |row| {
        let wait = Duration::from_nanos(u64::try_from(spec.deadline_ns).unwrap_or(0));
        let force_deadline = if spec.deadline_ns > 0 { NOW + wait } else { WallTime::ZERO };
        row.drain = Some(DrainStrategy { spec, force_deadline, started_at: NOW });
        row.eligible = false;
    });
    (slot, number)
}

fn healthy(world: &mut World, job: &(JobSlot, Arc<Job>), node: (NodeSlot, u128), count: usize) -> Vec<AllocId> {
    (0..count).map(|_| world.alloc(job, node, |alloc| alloc.health = health(true))).collect()
}

/// The allocations that are to leave, the nodes that are done, and whether by their deadline.
fn told(actions: &[Action]) -> (Vec<AllocId>, Vec<(NodeId, bool)>) {
    let (mut leave, mut done) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Leave { transitions, .. } => leave.extend(transitions.iter().map(|(id, _)| *id)),
            Action::Done { nodes, deadline_reached } => done.extend(nodes.iter().map(|node| (*node, *deadline_reached))),
        }
    }
    (leave, done)
}

const SLOW: DrainSpec = DrainSpec { deadline_ns: 3_600_000_000_000, ignore_system_jobs: false };

#[proves("NOD-031")]
#[test]
fn services_leave_by_the_number_that_their_group_can_miss() {
    let mut world = World::new();
    let mut spec = fixtures::job("web", JobType::Service);
    spec.groups_mut()[0].migrate = Some(MigrateStrategy { max_parallel: 2, ..MigrateStrategy::default() });
    let job = world.job(spec);
    let node = draining(&mut world, 1, SLOW);
    healthy(&mut world, &job, node, 3);
    let (leave, done) = told(&look(&world.fixture.finish(), NOW));
    assert_eq!((leave.len(), done.len()), (2, 0));
}

#[proves("NOD-033", "NOD-036")]
#[test]
fn at_the_deadline_everything_leaves_and_batch_work_is_not_replaced() {
    let state = |now: WallTime| {
        let mut world = World::new();
        let (service, batch) = (world.job(fixtures::job("web", JobType::Service)), world.job(fixtures::job("sum", JobType::Batch)));
        let system = world.job(fixtures::job("agent", JobType::System));
        let node = draining(&mut world, 1, DrainSpec { deadline_ns: 60_000_000_000, ignore_system_jobs: false });
        healthy(&mut world, &service, node, 3);
        let sum = world.alloc(&batch, node, |_| {});
        world.alloc(&system, node, |_| {});
        let actions = look(&world.fixture.finish(), now);
        (actions, sum)
    };
    let (before, sum) = state(NOW + Duration::from_secs(59));
    let (leave, done) = told(&before);
    assert!(leave.len() == 1 && !leave.contains(&sum) && done.is_empty(), "batch work is left to finish");
    let (after, sum) = state(NOW + Duration::from_secs(60));
    let (leave, done) = told(&after);
    assert_eq!((leave.len(), done), (5, vec![(NodeId::from_random(1), true)]));
    let Action::Leave { transitions, jobs } = &after[0] else { panic!("{after:?}") };
    let of = |id| transitions.iter().find(|(alloc, _)| *alloc == id).unwrap().1;
    assert_eq!(of(sum).migrate_disable_placement, Some(true));
    assert_eq!(transitions.iter().filter(|(_, transition)| transition.migrate_disable_placement.is_some()).count(), 1);
    assert_eq!(jobs.len(), 3);
}

#[proves("NOD-036")]
#[test]
fn deadlines_close_to_one_that_is_due_count_with_it() {
    let mut world = World::new();
    let job = world.job(fixtures::job("web", JobType::Service));
    for (number, seconds) in [(1, 60), (2, 64), (3, 70)] {
        let node = draining(&mut world, number, DrainSpec { deadline_ns: seconds * 1_000_000_000, ignore_system_jobs: false });
        healthy(&mut world, &job, node, 1);
    }
    let state = world.fixture.finish();
    assert_eq!(next_deadline(&state), Some(NOW + Duration::from_secs(60)));
    let (_, done) = told(&look(&state, NOW + Duration::from_secs(60)));
    assert_eq!(done, [(NodeId::from_random(1), true), (NodeId::from_random(2), true)]);
}

#[proves("NOD-029")]
#[test]
fn a_deadline_below_zero_is_at_once_and_none_waits_without_end() {
    let left = |deadline_ns| {
        let mut world = World::new();
        let job = world.job(fixtures::job("web", JobType::Service));
        let node = draining(&mut world, 1, DrainSpec { deadline_ns, ignore_system_jobs: false });
        healthy(&mut world, &job, node, 3);
        told(&look(&world.fixture.finish(), NOW + Duration::from_secs(86_400))).0.len()
    };
    assert_eq!((left(-1), left(0), left(1)), (3, 1, 3));
}

#[proves("NOD-034", "NOD-035")]
#[test]
fn system_jobs_leave_last_unless_they_stay() {
    let drained = |others: bool, ignore_system_jobs| {
        let mut world = World::new();
        let (service, system) = (world.job(fixtures::job("web", JobType::Service)), world.job(fixtures::job("agent", JobType::System)));
        let node = draining(&mut world, 1, DrainSpec { deadline_ns: 0, ignore_system_jobs });
        let agent = world.alloc(&system, node, |_| {});
        if others {
            healthy(&mut world, &service, node, 1);
        } else {
            world.alloc(&service, node, |alloc| alloc.client_status = ClientStatus::Complete);
        }
        let (leave, done) = told(&look(&world.fixture.finish(), NOW));
        (leave.contains(&agent), done)
    };
    assert_eq!(drained(true, false), (false, vec![]));
    assert_eq!(drained(false, false), (true, vec![(NodeId::from_random(1), false)]));
    assert_eq!(drained(false, true), (false, vec![(NodeId::from_random(1), false)]));
}

#[proves("NOD-035", "NOD-039")]
#[test]
fn an_empty_node_and_one_that_lost_everything_are_drained_at_once() {
    let mut world = World::new();
    let job = world.job(fixtures::job("web", JobType::Service));
    draining(&mut world, 1, SLOW);
    let (lost, number) = draining(&mut world, 2, SLOW);
    world.alloc(&job, (lost, number), |alloc| {
        alloc.desired = DesiredStatus::Stop;
        alloc.client_status = ClientStatus::Lost;
    });
    let (leave, done) = told(&look(&world.fixture.finish(), NOW));
    assert_eq!((leave.len(), done.len()), (0, 2));
    assert!(done.iter().all(|(_, deadline)| !deadline));
}

#[proves("NOD-037")]
#[test]
fn what_leaves_is_written_in_bounded_entries_with_one_evaluation_a_job() {
    let mut world = World::new();
    let job = world.job(fixtures::job("web", JobType::Service));
    let node = draining(&mut world, 1, DrainSpec { deadline_ns: -1, ignore_system_jobs: false });
    healthy(&mut world, &job, node, 8_000);
    let actions = look(&world.fixture.finish(), NOW);
    let sizes: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Leave { transitions, jobs } => {
                assert_eq!(*jobs, BTreeSet::from([job_id("web")]));
                Some(transitions.len())
            }
            Action::Done { .. } => None,
        })
        .collect();
    assert_eq!(sizes, [7_281, 719]);
}

#[test]
fn nothing_drains_on_nodes_that_do_not() {
    let mut world = World::new();
    let job = world.job(fixtures::job("web", JobType::Service));
    let node = world.node(1, |row| row.status = NodeStatus::Down);
    healthy(&mut world, &job, (node, 1), 3);
    let state = world.fixture.finish();
    assert!(look(&state, NOW).is_empty() && next_deadline(&state).is_none());
}
