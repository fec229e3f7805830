//! Nodes: eligibility, drain, purge and evaluation.

use std::collections::BTreeMap;

use drover_base::{EvalId, NodeId};
use drover_model::command::Change;
use drover_model::{DrainSpec, Trigger};

use crate::error::EndpointError;
use crate::server::Server;

impl Server {
    /// Says whether a node takes placements. Returns the evaluations made and the log entry, 0 if nothing changed (NOD-026).
    ///
    /// # Errors
    /// When there is no such node, it is draining, or the change cannot be committed.
    pub async fn set_node_eligibility(&self, id: NodeId, eligible: bool) -> Result<(Vec<EvalId>, u64), EndpointError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or_else(|| EndpointError::internal("node not found"))?;
        if eligible && row.drain.is_some() {
            return Err(EndpointError::internal("can not set node's scheduling eligibility to eligible while it is draining"));
        }
        if row.eligible == eligible {
            return Ok((Vec::new(), 0));
        }
        let message = if eligible { "Node marked as eligible for scheduling" } else { "Node marked as ineligible for scheduling" };
        let event = Some(self.node_event(message));
        let evals = if eligible { self.evals_of_node(&state, row, Trigger::NodeUpdate) } else { Vec::new() };
        let ids = evals.iter().map(|eval| eval.id).collect();
        let index = self.propose(Change::NodeEligibility { id, eligible, event, evals }).await?;
        Ok((ids, index))
    }

    /// Starts or changes the drain of a node as `by` asked, or cancels it when there is no spec; a cancelled one leaves the node without
    /// new placements unless `mark_eligible`. Returns the evaluations made and the log entry.
    ///
    /// # Errors
    /// When there is no such node, or the change cannot be committed.
    pub async fn drain_node(
        &self,
        id: NodeId,
        spec: Option<DrainSpec>,
        mark_eligible: bool,
        meta: BTreeMap<String, String>,
        by: String,
    ) -> Result<(Vec<EvalId>, u64), EndpointError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or_else(|| EndpointError::internal("node not found"))?;
        let evals = if spec.is_none() && mark_eligible { self.evals_of_node(&state, row, Trigger::NodeUpdate) } else { Vec::new() };
        let ids = evals.iter().map(|eval| eval.id).collect();
        let change = Change::NodeDrain { id, spec, mark_eligible, meta, accessor: by, evals };
        let index = self.propose(change).await?;
        Ok((ids, index))
    }

    /// Forgets a node. What ran on it is lost and replaced. Returns the evaluations made and the log entry.
    ///
    /// # Errors
    /// When there is no such node, or the change cannot be committed.
    pub async fn purge_node(&self, id: NodeId) -> Result<(Vec<EvalId>, u64), EndpointError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or_else(|| EndpointError::internal("node not found"))?;
        let evals = self.evals_of_node(&state, row, Trigger::NodeUpdate);
        let ids = evals.iter().map(|eval| eval.id).collect();
        let index = self.propose(Change::PurgeNode { id, evals }).await?;
        self.heartbeats().forget(id);
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
