//! Deployments and jobs that run on every node, in a whole server.

use super::*;
use drover_model::{DeploymentStatus, JobType};

fn in_steps(name: &str, revision: &str, update: api::UpdateStrategy) -> api::Job {
    let mut job = job(name, "service", 2);
    for group in job.task_groups.iter_mut().flatten() {
        group.update = Some(update.clone());
        for task in group.tasks.iter_mut().flatten() {
            task.env = Some(BTreeMap::from([("REVISION".to_owned(), revision.to_owned())]));
        }
    }
    job
}

fn quick() -> api::UpdateStrategy {
    api::UpdateStrategy {
        max_parallel: Some(1),
        health_check: Some("task_states".into()),
        min_healthy_time: Some(1_000_000_000),
        healthy_deadline: Some(60_000_000_000),
        progress_deadline: Some(120_000_000_000),
        ..Default::default()
    }
}

fn latest(state: &Snapshot, name: &str) -> Option<(u64, DeploymentStatus)> {
    state.latest_deployment(&id(name)).map(|deployment| (deployment.job_version, deployment.status))
}

/// Versions of the allocations that are wanted, with how many there are of each.
fn versions(state: &Snapshot, name: &str) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    let slot = state.job_slot(&id(name)).unwrap();
    for alloc in state.allocs_of_job(slot).filter(|alloc| !alloc.server_terminal()) {
        *found.entry(alloc.job.version).or_default() += 1;
    }
    found
}

#[tokio::test(start_paused = true)]
async fn canaries_promote_themselves_and_the_rest_follows() {
    let region = Region::start().await;
    region.node(1).await;
    let update = api::UpdateStrategy { canary: Some(1), auto_promote: Some(true), ..quick() };
    region.register(in_steps("web", "1", update.clone())).await;
    region.until("the first version is out", |state| latest(state, "web") == Some((0, DeploymentStatus::Successful))).await;
    region.register(in_steps("web", "2", update)).await;
    region.until("the second one is out", |state| latest(state, "web") == Some((1, DeploymentStatus::Successful))).await;
    let state = region.server.snapshot();
    assert_eq!(versions(&state, "web"), BTreeMap::from([(1, 2)]));
    assert!(state.job(&id("web")).unwrap().versions[0].stable);
    region.stop().await;
}

#[proves("DEP-058")]
#[tokio::test(start_paused = true)]
async fn a_version_that_never_becomes_healthy_is_taken_back_and_scaling_waits_for_that() {
    let region = Region::start().await;
    let node = region.node(1).await;
    let update = api::UpdateStrategy { auto_revert: Some(true), ..quick() };
    region.register(in_steps("web", "1", update.clone())).await;
    region.until("the first version is out", |state| latest(state, "web") == Some((0, DeploymentStatus::Successful))).await;
    // From here on nothing is reported: the node lives, and its tasks hang.
    node.stop();
    let (server, clock) = (region.server.clone(), region.clock.clone());
    region.scope.spawn_until_stop("heartbeats", async move {
        loop {
            let _ = server.heartbeat(NodeId::from_random(1)).await;
            clock.sleep(Duration::from_secs(4)).await;
        }
    });
    region.register(in_steps("web", "2", update)).await;
    region.until("the second version is on its way", |state| latest(state, "web") == Some((1, DeploymentStatus::Running))).await;
    let target = BTreeMap::from([("Group".to_owned(), "g".to_owned())]);
    let request = api::ScalingRequest { count: Some(3), target: Some(target), ..Default::default() };
    let refused = region.server.scale_job(&id("web"), request).await.unwrap_err();
    assert_eq!(refused.to_string(), "job scaling blocked due to active deployment");
    let back = |state: &Snapshot| state.job(&id("web")).is_some_and(|row| row.job().version == 2);
    region.until("the first version is back as the third", back).await;
    let state = region.server.snapshot();
    let failed = state.deployments().find(|deployment| deployment.job_version == 1).unwrap();
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert_eq!(failed.status_description, "Failed due to progress deadline - rolling back to job version 0");
    let row = state.job(&id("web")).unwrap();
    assert_eq!(row.job().task_groups, row.version(0).unwrap().job.task_groups);
    region.stop().await;
}

#[proves("SYS-003", "SYS-004", "SYS-010")]
#[tokio::test(start_paused = true)]
async fn system_jobs_follow_nodes_and_sysbatch_jobs_wait_for_their_own_evaluations() {
    let region = Region::start().await;
    region.node(1).await;
    region.register(job("everywhere", "system", 1)).await;
    region.register(job("once", "sysbatch", 1)).await;
    let elsewhere = api::Job { datacenters: Some(vec!["mars".into()]), ..job("elsewhere", "system", 1) };
    region.register(elsewhere).await;
    region.until("both run on the first node", |state| running(state, "everywhere") == 1 && running(state, "once") == 1).await;
    region.node(2).await;
    region.until("the second node has it too", |state| running(state, "everywhere") == 2).await;
    let second = Some(NodeId::from_random(2));
    let about: Vec<_> =
        region.server.snapshot().evals().filter(|eval| eval.node_id == second).map(|eval| (eval.job_id.id.clone(), eval.kind)).collect();
    assert!(!about.is_empty() && about.iter().all(|(name, kind)| name == "everywhere" && *kind == JobType::System), "{about:?}");
    assert_eq!(live(&region.server.snapshot(), "once"), 1);

    region.server.set_node_eligibility(NodeId::from_random(2), false).await.unwrap();
    region.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(running(&region.server.snapshot(), "everywhere"), 2, "an ineligible node keeps what it has");
    region.stop().await;
}

#[proves("SYS-029")]
#[tokio::test(start_paused = true)]
async fn a_sysbatch_job_is_dead_when_it_has_run_and_a_system_job_runs_until_it_is_stopped() {
    let region = Region::start().await;
    region.node(1).await;
    region.register(job("always", "system", 1)).await;
    region.register(job("once", "sysbatch", 1)).await;
    region.until("both run", |state| running(state, "always") == 1 && running(state, "once") == 1).await;
    let finished = |name: &str| {
        let state = region.server.snapshot();
        let slot = state.job_slot(&id(name)).unwrap();
        state.allocs_of_job(slot).map(|alloc| report(alloc.id, true, region.clock.now())).collect::<Vec<_>>()
    };
    region.server.update_allocs(NodeId::from_random(1), finished("once")).await.unwrap();
    let status = |state: &Snapshot, name: &str| state.job(&id(name)).unwrap().status;
    region.until("the job is dead", |state| status(state, "once") == JobStatus::Dead).await;
    region.server.update_allocs(NodeId::from_random(1), finished("always")).await.unwrap();
    region.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(status(&region.server.snapshot(), "always"), JobStatus::Running);
    region.stop().await;
}
