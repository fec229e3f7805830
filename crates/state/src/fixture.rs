//! States as tests describe them: rows of any content, with consistent slots, indexes and counts.
//!
//! Nothing decides here. What a history of commands would be too long to reach (an allocation of an old version on a lost
//! node, a deployment with given counters) is put down as it would lie in the tables.

use std::sync::Arc;

use drover_base::WallTime;
use drover_model::{Deployment, Evaluation, Index, Namespace, NodePool, SchedulerConfig};

use crate::persist::recount;
use crate::rows::{Alloc, DeploymentSlot, EvalSlot, JobRow, JobSlot, NodeRow, NodeSlot, Slot};
use crate::tables::Snapshot;

/// A state under construction.
#[derive(Debug)]
pub struct Fixture {
    state: Snapshot,
}

impl Fixture {
    /// An empty state at an index and a time.
    pub fn new(index: Index, time: WallTime) -> Self {
        let mut state = crate::Store::default().snapshot();
        (state.index, state.time, state.feature_level) = (index, time, drover_model::command::FORMAT);
        Self { state }
    }

    /// Sets the scheduler's settings.
    pub fn scheduler_config(&mut self, config: SchedulerConfig) {
        self.state.scheduler_config = Arc::new(config);
    }

    /// Puts down a node pool.
    pub fn node_pool(&mut self, pool: NodePool) {
        self.state.node_pools.insert(Arc::from(pool.name.as_str()), Arc::new(pool));
    }

    /// Puts down a namespace.
    pub fn namespace(&mut self, namespace: Namespace) {
        self.state.namespaces.insert(Arc::from(namespace.name.as_str()), Arc::new(namespace));
    }

    /// The next slot, also for rows that are gone.
    pub fn slot<K>(&mut self) -> Slot<K> {
        let slot = Slot::new(self.state.next_slot);
        self.state.next_slot += 1;
        slot
    }

    /// Puts down a job with its versions.
    pub fn job(&mut self, row: JobRow) -> JobSlot {
        let slot = self.slot();
        self.state.name_job(row.id(), slot);
        self.state.jobs.insert(slot, Arc::new(row));
        slot
    }

    /// Puts down a node.
    pub fn node(&mut self, row: NodeRow) -> NodeSlot {
        let slot = self.slot();
        self.state.node_ids.insert(row.node.id, slot);
        self.state.nodes.insert(slot, Arc::new(row));
        slot
    }

    /// Puts down an allocation; its job and node are found by their slots.
    pub fn alloc(&mut self, alloc: Alloc) {
        let slot = self.slot();
        self.state.index_alloc(slot, &alloc);
        self.state.allocs.insert(slot, Arc::new(alloc));
    }

    /// Puts down an evaluation.
    pub fn eval(&mut self, eval: Evaluation) {
        let slot: EvalSlot = self.slot();
        self.state.eval_ids.insert(eval.id, slot);
        self.state.evals_by_job.insert(((&eval.job_id).into(), slot), ());
        self.state.evals.insert(slot, Arc::new(eval));
    }

    /// Puts down a deployment.
    pub fn deployment(&mut self, deployment: Deployment) {
        let slot: DeploymentSlot = self.slot();
        self.state.deployment_ids.insert(deployment.id, slot);
        self.state.deployments_by_job.insert(((&deployment.job_id).into(), slot), ());
        self.state.deployments.insert(slot, Arc::new(deployment));
    }

    /// The state, with everything counted that is counted from rows.
    pub fn finish(mut self) -> Snapshot {
        recount(&mut self.state);
        self.state
    }
}

impl Snapshot {
    /// Enters an allocation into the indexes over allocations.
    pub(crate) fn index_alloc(&mut self, slot: Slot<Alloc>, alloc: &Alloc) {
        self.alloc_ids.insert(alloc.id, slot);
        self.allocs_by_job.insert((alloc.job_slot, slot), ());
        self.allocs_by_node.insert((alloc.node_slot, slot), ());
        self.allocs_by_eval.insert((alloc.eval_id, slot), ());
        if let Some(deployment) = alloc.deployment {
            self.allocs_by_deployment.insert((deployment, slot), ());
        }
    }
}
