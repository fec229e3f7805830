//! Garbage collection: what nobody needs any more (GC-…). `force` ignores ages.

use std::time::Duration;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use drover_model::{JobId, NodeStatus};
use drover_state::{JobStatus, Snapshot};

/// How old things are when they may go.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Evaluations and their allocations.
    pub eval: Duration,
    /// Dead jobs.
    pub job: Duration,
    /// Finished deployments.
    pub deployment: Duration,
    /// Nodes that are down.
    pub node: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            eval: Duration::from_secs(3600),
            job: Duration::from_secs(4 * 3600),
            deployment: Duration::from_secs(3600),
            node: Duration::from_secs(24 * 3600),
        }
    }
}

/// What may go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Evaluations.
    pub evals: Vec<EvalId>,
    /// Allocations.
    pub allocs: Vec<AllocId>,
    /// Jobs.
    pub jobs: Vec<JobId>,
    /// Deployments.
    pub deployments: Vec<DeploymentId>,
    /// Nodes.
    pub nodes: Vec<NodeId>,
}

impl Garbage {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What may go now.
pub fn find(state: &Snapshot, now: WallTime, thresholds: &Thresholds, force: bool) -> Garbage {
    let old = |time: WallTime, limit: Duration| force || now.since(time) >= limit;
    let mut garbage = Garbage::default();
    for eval in state.evals() {
        if !eval.status.is_terminal() || !old(eval.modify_time, thresholds.eval) {
            continue;
        }
        let job = state.job(&eval.job_id);
        let allocs: Vec<_> = state.allocs_of_eval(eval.id).collect();
        let done = allocs.iter().all(|alloc| {
            // The last ones of a batch job are its result; they go with the job.
            let result =
                job.is_some_and(|row| row.job().kind.is_batch() && !row.job().stop && row.job().create_index == alloc.job.create_index);
            alloc.terminal() && alloc.client_terminal() && !result && old(alloc.modify_time, thresholds.eval)
        });
        if done {
            garbage.allocs.extend(allocs.iter().map(|alloc| alloc.id));
            garbage.evals.push(eval.id);
        }
    }
    for row in state.jobs() {
        let job = row.job();
        if row.status != JobStatus::Dead || row.open_evals > 0 || (job.is_parent() && !job.stop) || !old(job.submit_time, thresholds.job) {
            continue;
        }
        let Some(slot) = state.job_slot(&job.id) else { continue };
        if state.allocs_of_job(slot).all(|alloc| alloc.client_terminal()) {
            garbage.jobs.push(job.id.clone());
            garbage.evals.extend(state.evals_of_job(&job.id).filter(|eval| eval.status.is_terminal()).map(|eval| eval.id));
        }
    }
    for deployment in state.deployments() {
        let used = state.allocs_of_deployment(deployment.id).any(|alloc| !alloc.terminal());
        if !deployment.status.is_active() && !used && old(deployment.modify_time, thresholds.deployment) {
            garbage.deployments.push(deployment.id);
        }
    }
    for (slot, row) in state.nodes() {
        let empty = state.allocs_of_node(slot).next().is_none();
        if row.status == NodeStatus::Down && empty && old(row.status_time, thresholds.node) {
            garbage.nodes.push(row.node.id);
        }
    }
    garbage.evals.sort();
    garbage.evals.dedup();
    garbage
}
