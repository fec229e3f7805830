//! Garbage collection: removes what the leader found unneeded, unless it has become needed since.

use drover_base::{AllocId, DeploymentId, EvalId, NodeId};
use drover_model::JobId;

use crate::rows::JobStatus;
use crate::store::{ApplyError, Transaction};

impl Transaction<'_> {
    pub(crate) fn collect(
        &mut self,
        evals: &[EvalId],
        allocs: &[AllocId],
        jobs: &[JobId],
        deployments: &[DeploymentId],
        nodes: &[NodeId],
    ) -> Result<(), ApplyError> {
        for id in allocs {
            if self.state.alloc(*id).is_some_and(|alloc| alloc.terminal()) {
                self.remove_alloc(*id);
            }
        }
        for id in evals {
            if self.state.eval(*id).is_some_and(|eval| eval.status.is_terminal()) {
                self.remove_eval(*id);
            }
        }
        for id in deployments {
            if self.state.deployment(*id).is_some_and(|deployment| !deployment.status.is_active()) {
                self.remove_deployment(*id);
            }
        }
        for id in jobs {
            if let Some(slot) = self.state.job_slot(id)
                && self.state.job_at(slot).is_some_and(|row| row.status == JobStatus::Dead && row.live_allocs == 0)
            {
                self.purge(slot, id);
            }
        }
        for id in nodes {
            let idle = self.state.node_slot(*id).is_some_and(|slot| self.state.allocs_of_node(slot).next().is_none());
            if idle {
                self.remove_node(*id);
            }
        }
        Ok(())
    }
}
