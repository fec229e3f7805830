//! Loops that watch deployments, heartbeats and garbage.

use std::sync::PoisonError;
use std::time::Duration;

use drover_base::DeploymentId;
use drover_model::command::Change;
use drover_model::{Job, Trigger};
use drover_scheduler::deployments::{Action, Watcher, evaluation};
use drover_scheduler::gc;

use crate::server::Server;

/// The wait after a change that could not be committed.
const RETRY: Duration = Duration::from_secs(1);
/// Deployments looked at together at most this often, so that many verdicts make one evaluation (DEP-027).
const DEPLOYMENT_BATCH: Duration = Duration::from_millis(50);

pub(super) async fn deployments(server: Server) {
    let mut watcher = Watcher::default();
    let leader = &server.0.leader;
    loop {
        let deadline = Watcher::next_deadline(&server.snapshot());
        let due = tokio::select! {
            () = leader.deployment_wake.notified() => false,
            () = server.0.clock.sleep_until_wall(deadline) => true,
        };
        let mut ids = std::mem::take(&mut *leader.deployments.lock().unwrap_or_else(PoisonError::into_inner));
        if due {
            ids.extend(server.snapshot().deployments().filter(|deployment| deployment.status.is_active()).map(|deployment| deployment.id));
        }
        for id in ids {
            let actions = watcher.look(&server.snapshot(), id, server.0.clock.now());
            for action in actions {
                if let Err(error) = perform(&server, action).await {
                    tracing::warn!(deployment_id = %id, %error, "deployment step failed, trying again");
                    watcher.clear();
                    leader.deployments.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
                    server.0.clock.sleep(RETRY).await;
                    leader.deployment_wake.notify_one();
                }
            }
        }
        server.0.clock.sleep(DEPLOYMENT_BATCH).await;
    }
}

async fn perform(server: &Server, action: Action) -> Result<(), crate::EndpointError> {
    match action {
        Action::Evaluate(id) => {
            let Some(eval) = server.deployment_eval(id) else { return Ok(()) };
            server.propose(Change::Evaluations(vec![eval])).await?;
        }
        Action::AllowReschedule(id, transitions) => {
            let evals = server.deployment_eval(id).into_iter().collect();
            server.propose(Change::Transitions { transitions, evals }).await?;
        }
        Action::Promote(id) => {
            let eval = server.deployment_eval(id);
            server.propose(Change::DeploymentPromote { id, groups: None, eval }).await?;
        }
        Action::Fail { update, revert } => {
            let eval = server.deployment_eval(update.id);
            tracing::info!(deployment_id = %update.id, reason = %update.description, "deployment failed");
            let revert = revert.map(|job| server.again(&job));
            server.propose(Change::DeploymentStatus { update, eval, revert }).await?;
        }
    }
    Ok(())
}

impl Server {
    /// An evaluation of a deployment's job.
    pub(crate) fn deployment_eval(&self, id: DeploymentId) -> Option<drover_model::Evaluation> {
        let state = self.snapshot();
        let deployment = state.deployment(id)?;
        let kind = state.job(&deployment.job_id)?.job().kind;
        Some(evaluation(deployment, kind, self.0.entropy.id(), self.stamp()))
    }

    /// An older version as it is registered again.
    pub(crate) fn again(&self, job: &Job) -> std::sync::Arc<Job> {
        std::sync::Arc::new(Job { submit_time: self.stamp(), stop: false, ..job.clone() })
    }

    /// Collects garbage in bounded entries; `force` ignores ages.
    ///
    /// # Errors
    /// When a change cannot be committed.
    pub async fn collect_garbage(&self, force: bool) -> Result<(), crate::EndpointError> {
        let thresholds = if force { gc::Thresholds::none() } else { self.0.config.gc_thresholds };
        let garbage = gc::find(&self.snapshot(), self.0.clock.now(), &thresholds);
        for gc::Garbage { evals, allocs, jobs, deployments, nodes } in garbage.batches(gc::REMOVED_MAX) {
            self.propose(Change::Collect { evals, allocs, jobs, deployments, nodes }).await?;
        }
        Ok(())
    }

    /// Evaluations and where they are: ready, waiting behind their job, with a worker, delayed, blocked.
    pub fn eval_counts(&self) -> [usize; 5] {
        self.0.leader.counts()
    }

    /// The trigger of an evaluation that a user asked for.
    pub(crate) fn user_trigger() -> Trigger {
        Trigger::JobRegister
    }
}

pub(super) async fn heartbeats(server: Server) {
    loop {
        let deadline = server.heartbeats().next_deadline();
        tokio::select! {
            () = server.0.leader.heartbeat_wake.notified() => {}
            () = server.0.clock.sleep_until(deadline) => {}
        }
        let missed = server.heartbeats().missed(server.0.clock.monotonic());
        for node in missed {
            server.node_missed(node).await;
        }
    }
}

pub(super) async fn garbage(server: Server) {
    loop {
        server.0.clock.sleep(server.0.config.gc_interval).await;
        let collected = async {
            server.collect_garbage(false).await?;
            server.collect_tokens().await
        };
        if let Err(error) = collected.await {
            tracing::warn!(%error, "garbage collection failed, trying again later");
        }
    }
}
