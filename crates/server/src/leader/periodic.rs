//! Launches children of periodic jobs when they are due.

use std::sync::PoisonError;
use std::time::Duration;

use drover_base::EvalId;
use drover_model::JobId;
use drover_model::command::{Change, ChildKind, NewChild};
use drover_scheduler::periodic::{Launch, Launcher, child_id};

use super::drains::RECHECK;
use crate::error::EndpointError;
use crate::server::Server;

/// The wait before launches are written again that could not be written.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn run(server: Server) {
    let mut launcher = Launcher::default();
    let missed = launcher.take_up(&server.snapshot(), server.0.clock.now());
    launch(&server, missed).await;
    loop {
        let now = server.0.clock.now();
        let deadline = launcher.next_deadline().map(|deadline| deadline.min(now + RECHECK));
        tokio::select! {
            () = server.0.leader.periodic_wake.notified() => {}
            () = server.0.clock.sleep_until_wall(deadline) => {}
        }
        let changed = std::mem::take(&mut *server.0.leader.periodic.lock().unwrap_or_else(PoisonError::into_inner));
        let (state, now) = (server.snapshot(), server.0.clock.now());
        // What is due goes first: a change of the job now must not make it forgotten.
        let due = launcher.launches(&state, now);
        for job in changed {
            launcher.track(&state, &job, now);
        }
        launch(&server, due).await;
    }
}

/// Writes launches until they are written; the same child is never made twice.
async fn launch(server: &Server, launches: Vec<Launch>) {
    if launches.is_empty() {
        return;
    }
    let children: Vec<NewChild> = launches.iter().map(|launch| child(server, launch)).collect();
    tracing::debug!(count = children.len(), "launching periodic jobs");
    while let Err(error) = server.propose(Change::Children(children.clone())).await {
        tracing::warn!(%error, "periodic jobs could not be launched, trying again");
        server.0.clock.sleep(RETRY).await;
    }
}

fn child(server: &Server, launch: &Launch) -> NewChild {
    NewChild {
        parent: launch.parent.clone(),
        id: child_id(&launch.parent.id, launch.at),
        kind: ChildKind::Launch { at: launch.at },
        eval_id: server.0.entropy.id(),
    }
}

impl Server {
    /// Launches a child of a periodic job now, whether or not another one is at work. Returns its evaluation and the entry.
    ///
    /// # Errors
    /// When there is no such job, or it is not periodic.
    pub async fn force_periodic(&self, id: &JobId) -> Result<(EvalId, u64), EndpointError> {
        let state = self.snapshot();
        let job = state.job(id).ok_or_else(|| EndpointError::internal("job not found"))?.job();
        if !job.is_periodic() || job.is_parameterized() {
            return Err(EndpointError::internal("can't force launch non-periodic job"));
        }
        if job.stop {
            return Err(EndpointError::internal("can't force launch inactive job"));
        }
        let child = child(self, &Launch { parent: id.clone(), at: self.0.clock.now() });
        let (name, eval_id) = (child.id.clone(), child.eval_id);
        let index = self.propose(Change::Children(vec![child])).await?;
        let state = self.snapshot();
        let made = JobId { namespace: id.namespace.clone(), id: name };
        // A second one within the same second is the first one.
        let eval = state.eval(eval_id).or_else(|| state.evals_of_job(&made).next());
        eval.map(|eval| (eval.id, index)).ok_or_else(|| EndpointError::internal("job not found"))
    }
}
