//! Allocations: stop.

use drover_base::{AllocId, EvalId};
use drover_model::command::Change;
use drover_model::{DesiredTransition, Evaluation, Trigger};

use crate::error::EndpointError;
use crate::server::Server;

impl Server {
    /// Stops an allocation and lets the scheduler replace it. Returns the evaluation and the log entry.
    ///
    /// # Errors
    /// When there is no such allocation, or the change cannot be committed.
    pub async fn stop_alloc(&self, id: AllocId, no_shutdown_delay: bool, reschedule: bool) -> Result<(EvalId, u64), EndpointError> {
        let state = self.snapshot();
        let alloc = state.alloc(id).ok_or_else(|| EndpointError::not_found(format!("Unknown allocation \"{id}\"")))?;
        let now = self.stamp();
        let eval = Evaluation::new(self.0.entropy.id(), alloc.job.id.clone(), alloc.job.kind, alloc.job.priority, Trigger::AllocStop, now);
        let eval_id = eval.id;
        // A batch allocation is replaced as if it had failed (REC-025).
        let force = alloc.job.kind.is_batch() && !alloc.client_terminal();
        let transition = DesiredTransition {
            migrate: (!force).then_some(true),
            force_reschedule: force.then_some(true),
            reschedule: Some(reschedule),
            no_shutdown_delay: Some(no_shutdown_delay),
            ..DesiredTransition::default()
        };
        let index = self.propose(Change::Transitions { transitions: vec![(id, transition)], evals: vec![eval] }).await?;
        Ok((eval_id, index))
    }
}
