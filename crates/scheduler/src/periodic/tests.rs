//! Launch times against recorded ones, and what a launcher makes of them.

use std::sync::Arc;
use std::time::Duration;

use drover_macros::proves;
use drover_model::JobType;
use drover_state::JobStatus;

use super::*;
use crate::fixtures::{self, NOW, World, job_id, records};

fn every_minute(prohibit_overlap: bool) -> Periodic {
    Periodic { enabled: true, spec: "* * * * *".into(), prohibit_overlap, ..Periodic::default() }
}

#[proves("PER-002", "PER-003")]
#[test]
fn recorded_launch_times_agree() {
    let records = records("scheduler-periodic.jsonl");
    assert!(records.len() >= 71);
    for record in records {
        let specs = record["specs"].as_array().unwrap().iter().map(|spec| spec.as_str().unwrap().to_owned()).collect();
        let time_zone = record["time_zone"].as_str().unwrap().to_owned();
        let periodic = Periodic { enabled: true, specs, time_zone, ..Periodic::default() };
        let from: jiff::Timestamp = record["from"].as_str().unwrap().parse().unwrap();
        let next = next_launch(&periodic, WallTime(i64::try_from(from.as_nanosecond()).unwrap()));
        assert_eq!(next.map(WallTime::rfc3339).as_deref(), record["next"].as_str(), "{record}");
    }
}

/// A state with one periodic job that was submitted an hour ago, and a child of it.
fn state(periodic: Periodic, last_launch: WallTime, child: Option<JobStatus>) -> Snapshot {
    let mut world = World::new();
    let mut parent = fixtures::job("tick", JobType::Batch);
    parent.periodic = Some(periodic);
    parent.submit_time = NOW - Duration::from_secs(3600);
    let mut row = JobRow::new(Arc::new(parent), None, 1);
    row.last_launch = last_launch;
    world.fixture.job(row);
    if let Some(status) = child {
        let child = Job { parent_id: "tick".into(), ..fixtures::job("tick/periodic-1", JobType::Batch) };
        let mut row = JobRow::new(Arc::new(child), None, 1);
        row.status = status;
        world.fixture.job(row);
    }
    world.fixture.finish()
}

#[proves("PER-006")]
#[test]
fn a_new_leader_makes_up_for_one_missed_launch() {
    let missed = |periodic, child| Launcher::default().take_up(&state(periodic, NOW - Duration::from_secs(600), child), NOW);
    assert_eq!(missed(every_minute(false), None), [Launch { parent: job_id("tick"), at: NOW }]);
    assert_eq!(missed(every_minute(true), Some(JobStatus::Dead)).len(), 1);
    assert_eq!(missed(every_minute(true), Some(JobStatus::Running)).len(), 0);
    assert_eq!(missed(every_minute(false), Some(JobStatus::Running)).len(), 1);
    let seldom = Periodic { spec: "0 0 1 1 *".into(), ..every_minute(false) };
    assert_eq!(missed(seldom, None).len(), 0);
}

#[proves("PER-004")]
#[test]
fn children_that_must_not_overlap_wait_for_the_one_before_and_time_goes_on() {
    let launched = |prohibit, child| {
        let state = state(every_minute(prohibit), NOW, child);
        let mut launcher = Launcher::default();
        launcher.track(&state, &job_id("tick"), NOW);
        let due = launcher.next_deadline().unwrap();
        let launches = launcher.launches(&state, due);
        assert_eq!(launcher.next_deadline(), Some(due + Duration::from_secs(60)), "the next time is worked out either way");
        launches.len()
    };
    assert_eq!(launched(true, Some(JobStatus::Running)), 0);
    assert_eq!(launched(true, Some(JobStatus::Pending)), 0);
    assert_eq!(launched(true, Some(JobStatus::Dead)), 1);
    assert_eq!(launched(false, Some(JobStatus::Running)), 1);
}

#[proves("PER-005", "PER-007")]
#[test]
fn an_updated_job_is_tracked_anew_and_a_stopped_or_disabled_one_not_at_all() {
    let mut launcher = Launcher::default();
    launcher.track(&state(every_minute(false), NOW, None), &job_id("tick"), NOW);
    let soon = launcher.next_deadline().unwrap();
    launcher.track(&state(Periodic { spec: "0 * * * *".into(), ..every_minute(false) }, NOW, None), &job_id("tick"), NOW);
    assert!(launcher.next_deadline().unwrap() > soon);
    launcher.track(&state(Periodic { enabled: false, ..every_minute(false) }, NOW, None), &job_id("tick"), NOW);
    assert_eq!(launcher.next_deadline(), None);
}

#[proves("PER-007")]
#[test]
fn a_clock_that_goes_back_repeats_no_launch() {
    let launched = NOW + Duration::from_secs(30);
    let state = state(every_minute(false), launched, None);
    let mut launcher = Launcher::default();
    launcher.track(&state, &job_id("tick"), NOW - Duration::from_secs(300));
    assert!(launcher.next_deadline().unwrap() > launched);
}

#[proves("PER-012")]
#[test]
fn jobs_that_are_due_together_all_run() {
    let mut world = World::new();
    for number in 0..50 {
        let mut job = fixtures::job(&format!("tick-{number}"), JobType::Batch);
        job.id.namespace = format!("ns-{}", number % 2);
        job.periodic = Some(every_minute(false));
        world.job(job);
    }
    let state = world.fixture.finish();
    let mut launcher = Launcher::default();
    launcher.take_up(&state, NOW);
    let due = launcher.next_deadline().unwrap();
    let launches = launcher.launches(&state, due);
    assert_eq!(launches.len(), 50);
    assert!(launches.iter().all(|launch| launch.at == due));
}

#[test]
fn a_long_sleep_is_one_launch() {
    let state = state(every_minute(false), NOW, None);
    let mut launcher = Launcher::default();
    launcher.track(&state, &job_id("tick"), NOW);
    assert_eq!(launcher.launches(&state, NOW + Duration::from_secs(86_400)).len(), 1);
    assert_eq!(child_id("tick", NOW), "tick/periodic-1700000000");
}
