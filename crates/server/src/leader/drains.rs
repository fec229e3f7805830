//! Drains nodes: looks at what changed and at deadlines, and writes what is to leave and what is done.

use std::time::Duration;

use drover_base::WallTime;
use drover_model::command::Change;
use drover_model::{Evaluation, JobId, Trigger};
use drover_scheduler::drain::{Action, look, next_deadline};

use crate::error::EndpointError;
use crate::server::Server;

/// Drains are looked at together at most this often, so that what changes meanwhile goes into one entry (NOD-037).
const BATCH: Duration = Duration::from_millis(200);
/// The wait after a step that could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// A deadline is looked at again at least this often: the wall clock may have jumped.
pub(super) const RECHECK: Duration = Duration::from_secs(10);

pub(super) async fn run(server: Server) {
    loop {
        let now = server.0.clock.now();
        let deadline = next_deadline(&server.snapshot()).map(|deadline| deadline.min(now + RECHECK));
        tokio::select! {
            () = server.0.leader.drain_wake.notified() => {}
            () = server.0.clock.sleep_until_wall(deadline) => {}
        }
        for action in look(&server.snapshot(), server.0.clock.now()) {
            if let Err(error) = perform(&server, action).await {
                tracing::warn!(%error, "a step of a drain failed, trying again");
                server.0.clock.sleep(RETRY).await;
                server.0.leader.drain_wake.notify_one();
                break;
            }
        }
        server.0.clock.sleep(BATCH).await;
    }
}

async fn perform(server: &Server, action: Action) -> Result<(), EndpointError> {
    let change = match action {
        Action::Leave { transitions, jobs } => {
            tracing::info!(allocs = transitions.len(), jobs = jobs.len(), "allocations leave draining nodes");
            let now = server.stamp();
            let evals = jobs.into_iter().filter_map(|job| server.eval_of_job(job, Trigger::NodeDrain, now)).collect();
            Change::Transitions { transitions, evals }
        }
        Action::Done { nodes, deadline_reached } => {
            tracing::info!(?nodes, deadline_reached, "nodes are drained");
            Change::DrainsDone { nodes, deadline_reached }
        }
    };
    server.propose(change).await.map(|_| ())
}

impl Server {
    /// An evaluation of a job, if it is there.
    pub(crate) fn eval_of_job(&self, id: JobId, trigger: Trigger, now: WallTime) -> Option<Evaluation> {
        let state = self.snapshot();
        let job = state.job(&id)?.job();
        let mut eval = Evaluation::new(self.0.entropy.id(), id, job.kind, job.priority, trigger, now);
        eval.job_modify_index = job.job_modify_index;
        Some(eval)
    }
}
