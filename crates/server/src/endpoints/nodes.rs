//! Nodes: eligibility and evaluation.

use drover_base::{EvalId, NodeId};
use drover_model::Trigger;
use drover_model::command::Change;

use crate::error::EndpointError;
use crate::server::Server;

impl Server {
    /// Says whether a node takes placements. Returns the evaluations made and the log entry.
    ///
    /// # Errors
    /// When there is no such node, or the change cannot be committed.
    pub async fn set_node_eligibility(&self, id: NodeId, eligible: bool) -> Result<(Vec<EvalId>, u64), EndpointError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or_else(|| EndpointError::internal("node not found"))?;
        let message = if eligible { "Node marked as eligible for scheduling" } else { "Node marked as ineligible for scheduling" };
        let event = (row.eligible != eligible).then(|| self.node_event(message));
        let evals = if eligible && !row.eligible { self.evals_of_node(&state, row, Trigger::NodeUpdate) } else { Vec::new() };
        let ids = evals.iter().map(|eval| eval.id).collect();
        let index = self.propose(Change::NodeEligibility { id, eligible, event, evals }).await?;
        Ok((ids, index))
    }

    /// Runs the scheduler for the jobs of a node.
    ///
    /// # Errors
    /// When there is no such node, or the change cannot be committed.
    pub async fn evaluate_node(&self, id: NodeId) -> Result<(Vec<EvalId>, u64), EndpointError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or_else(|| EndpointError::internal("node not found"))?;
        let evals = self.evals_of_node(&state, row, Trigger::NodeUpdate);
        let ids: Vec<EvalId> = evals.iter().map(|eval| eval.id).collect();
        if ids.is_empty() {
            return Ok((ids, state.index()));
        }
        let index = self.propose(Change::Evaluations(evals)).await?;
        Ok((ids, index))
    }
}
