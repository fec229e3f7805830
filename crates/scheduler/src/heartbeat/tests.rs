//! Heartbeats against recorded decisions.

use std::sync::Arc;

use drover_macros::proves;
use drover_model::{DisconnectStrategy, JobType, StatusChange};

use super::*;
use crate::fixtures::{self, NOW, World, at, records};

#[proves("NOD-016")]
#[test]
fn recorded_times_to_live_lie_within_their_bounds() {
    let records = records("scheduler-heartbeat.jsonl");
    assert!(records.len() >= 66);
    for record in records {
        let number = |key: &str| record[key].as_f64().unwrap();
        let nodes = usize::try_from(record["nodes"].as_u64().unwrap()).unwrap();
        let at_unit = |unit| ttl(nodes, number("rate_per_second"), Duration::from_secs_f64(number("min_ttl")), unit).as_secs_f64();
        for (key, unit) in [("ttl_min", 0.0), ("ttl_max", 1.0)] {
            assert!((at_unit(unit) - number(key)).abs() < 1e-6, "{key} of {record}: {}", at_unit(unit));
            let timeout = number(&key.replace("ttl", "server_timeout"));
            assert!((at_unit(unit) + number("grace") - timeout).abs() < 1e-6, "timeout of {record}");
        }
    }
}

#[proves("NOD-019", "NOD-020")]
#[test]
fn recorded_silences_end_as_they_did() {
    let records = records("scheduler-node-expiry.jsonl");
    assert!(records.len() >= 40);
    for record in records {
        let mut world = World::new();
        let node = world.node(1, |_| {});
        let mut allocs = Vec::new();
        for (number, given) in record["allocs"].as_array().unwrap().iter().enumerate() {
            let mut job = fixtures::job(&format!("job-{number}"), JobType::Service);
            if let Some(seconds) = given["lost_after"].as_u64() {
                let lost_after = Some(Duration::from_secs(seconds));
                job.groups_mut()[0].disconnect = Some(DisconnectStrategy { lost_after, ..DisconnectStrategy::default() });
            }
            let job = world.job(job);
            let mut alloc = fixtures::alloc(number as u128 + 1, &job, (node, 1));
            alloc.desired = DesiredStatus::parse(given["desired"].as_str().unwrap_or("run")).unwrap();
            alloc.client_status = ClientStatus::parse(given["client"].as_str().unwrap_or("running")).unwrap();
            if !given["unknown_since"].is_null() {
                let change = StatusChange { status: ClientStatus::Unknown, time: at(&given["unknown_since"]) };
                alloc.rare.contacts = Some(Arc::new(vec![change]));
            }
            allocs.push(alloc);
        }
        let before = NodeStatus::parse(record["node_status"].as_str().unwrap()).unwrap();
        let after = silent(before, allocs.iter(), NOW);
        assert_eq!(after.text(), record["new_status"].as_str().unwrap(), "{record}");
    }
}

#[proves("NOD-004", "NOD-005", "NOD-006", "NOD-022")]
#[test]
fn a_sign_of_life_makes_a_node_ready_once_its_allocations_are_known() {
    let told = |status, live: bool, missed, synced| {
        let mut world = World::new();
        let node = world.node(1, |row| {
            row.status = status;
            row.last_missed_heartbeat_index = missed;
            row.last_alloc_update_index = synced;
        });
        if live {
            let job = world.job(fixtures::job("web", JobType::Service));
            world.alloc(&job, (node, 1), |_| {});
        }
        let state = world.fixture.finish();
        heard(&state, state.node(NodeId::from_random(1)).unwrap())
    };
    assert_eq!(told(NodeStatus::Ready, true, 5, 3), None);
    assert_eq!(told(NodeStatus::Initializing, false, 0, 0), Some(NodeStatus::Ready), "a new one has nothing to tell");
    assert_eq!(told(NodeStatus::Initializing, true, 5, 3), None, "what has become of its allocations is not known");
    assert_eq!(told(NodeStatus::Initializing, true, 5, 6), Some(NodeStatus::Ready));
    assert_eq!(told(NodeStatus::Disconnected, true, 5, 6), Some(NodeStatus::Initializing), "never ready at once");
    assert_eq!(told(NodeStatus::Down, true, 5, 3), Some(NodeStatus::Ready), "its allocations were given up");
}

#[test]
fn timers_name_each_silent_node_once() {
    let (one, two) = (NodeId::from_random(1), NodeId::from_random(2));
    let mut timers = Timers::default();
    assert!(timers.expect(one, Monotonic(10)));
    assert!(!timers.expect(two, Monotonic(20)));
    assert!(!timers.expect(one, Monotonic(30)), "it was heard of");
    assert_eq!(timers.next_deadline(), Some(Monotonic(20)));
    assert_eq!(timers.missed(Monotonic(25)), [two]);
    assert_eq!(timers.missed(Monotonic(30)), [one]);
    assert_eq!((timers.missed(Monotonic(99)), timers.next_deadline()), (Vec::new(), None));
}
