//! Garbage collection: what nobody needs any more (GC-…).
//!
//! It is worked out on a snapshot and written in bounded entries; each entry looks again whether what it names has become
//! needed since. It belongs to the leader that worked it out and leaves nothing behind that another one would go on with.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use drover_model::{ClientStatus, DesiredStatus, Evaluation, Index, JobId, JobType, NodeStatus};
use drover_state::{Alloc, JobRow, JobStatus, Snapshot};

/// How many objects are removed in one log entry.
pub const REMOVED_MAX: usize = 7_281;

/// How old things are when they may go.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Evaluations and their allocations.
    pub eval: Duration,
    /// Those of batch jobs.
    pub batch_eval: Duration,
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
            batch_eval: Duration::from_secs(24 * 3600),
            job: Duration::from_secs(4 * 3600),
            deployment: Duration::from_secs(3600),
            node: Duration::from_secs(24 * 3600),
        }
    }
}

impl Thresholds {
    /// Everything may go as soon as it is done.
    pub fn none() -> Self {
        let none = Duration::ZERO;
        Self { eval: none, batch_eval: none, job: none, deployment: none, node: none }
    }
}

/// What may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
        self.len() == 0
    }

    /// How many objects it is.
    pub fn len(&self) -> usize {
        self.evals.len() + self.allocs.len() + self.jobs.len() + self.deployments.len() + self.nodes.len()
    }

    /// The same in parts of at most `max` objects. Allocations go before their evaluations, nodes last (GC-013, GC-014).
    pub fn batches(self, max: usize) -> Vec<Self> {
        fn take<T>(from: &mut Vec<T>, to: &mut Vec<T>, room: &mut usize) {
            let count = from.len().min(*room);
            to.extend(from.drain(..count));
            *room -= count;
        }
        let mut rest = self;
        let mut batches = Vec::new();
        while !rest.is_empty() {
            let (mut batch, mut room) = (Self::default(), max.max(1));
            take(&mut rest.allocs, &mut batch.allocs, &mut room);
            take(&mut rest.evals, &mut batch.evals, &mut room);
            take(&mut rest.jobs, &mut batch.jobs, &mut room);
            take(&mut rest.deployments, &mut batch.deployments, &mut room);
            take(&mut rest.nodes, &mut batch.nodes, &mut room);
            batches.push(batch);
        }
        batches
    }
}

/// Whether a job has something left to do for its allocations.
fn live(job: Option<&JobRow>) -> bool {
    job.is_some_and(|row| row.status != JobStatus::Dead && !row.job().stop)
}

/// Whether an allocation that has not changed since `cutoff` may go (GC-005, GC-006).
pub fn collectable(alloc: &Alloc, job: Option<&JobRow>, now: WallTime, cutoff: WallTime) -> bool {
    if !alloc.terminal() || alloc.client_status == ClientStatus::Running || alloc.modify_time > cutoff {
        return false;
    }
    if alloc.desired == DesiredStatus::Stop || alloc.client_status != ClientStatus::Failed || alloc.rare.next.is_some() || !live(job) {
        return true;
    }
    // It may still be replaced.
    let policy = job.and_then(|row| row.job().group(alloc.group_name())).and_then(|group| group.reschedule_policy.as_ref());
    match policy {
        Some(policy) if policy.unlimited => false,
        Some(policy) if policy.enabled() => {
            let last = alloc.rare.reschedules.as_ref().and_then(|events| events.last());
            last.is_some_and(|last| now.since(last.time) > policy.interval)
        }
        _ => true,
    }
}

/// Looks for garbage on one snapshot.
struct Search<'a> {
    state: &'a Snapshot,
    now: WallTime,
}

impl Search<'_> {
    fn cutoff(&self, threshold: Duration) -> WallTime {
        self.now - threshold
    }

    /// Whether an evaluation may go, and which of its allocations may (GC-004, GC-007). `whole_job` is when the job may go
    /// with it.
    fn eval(&self, eval: &Evaluation, cutoff: WallTime, whole_job: bool) -> (bool, Vec<AllocId>) {
        if !eval.status.is_terminal() || eval.modify_time > cutoff {
            return (false, Vec::new());
        }
        let job = self.state.job(&eval.job_id);
        let mut total = 0;
        let mut may = Vec::new();
        // What a batch job has achieved is known by its allocations, for as long as the job is there.
        let keeps = eval.kind == JobType::Batch && job.is_some_and(|row| row.status != JobStatus::Dead || !(row.job().stop || whole_job));
        for alloc in self.state.allocs_of_eval(eval.id) {
            total += 1;
            let fits = match job {
                Some(row) if keeps => older(alloc, row) && alloc.terminal() && alloc.modify_time <= cutoff,
                row => collectable(alloc, row.map(|row| row.as_ref()), self.now, cutoff),
            };
            if fits {
                may.push(alloc.id);
            }
        }
        (may.len() == total, may)
    }

    fn evals(&self, thresholds: &Thresholds, garbage: &mut Garbage) {
        for eval in self.state.evals() {
            let threshold = if eval.kind == JobType::Batch { thresholds.batch_eval } else { thresholds.eval };
            let (whole, allocs) = self.eval(eval, self.cutoff(threshold), false);
            garbage.allocs.extend(allocs);
            if whole {
                garbage.evals.push(eval.id);
            }
        }
    }

    fn jobs(&self, threshold: Duration, garbage: &mut Garbage) {
        let cutoff = self.cutoff(threshold);
        for row in self.state.jobs() {
            let job = row.job();
            // A service that is dead but was not stopped may be wanted again (GC-009).
            let over = row.status == JobStatus::Dead && (job.stop || (job.kind.is_batch() && !job.is_parent()));
            let kept = row.versions.iter().any(|version| version.tag.is_some());
            if !over || kept || job.submit_time > cutoff {
                continue;
            }
            let mut of_job = Garbage::default();
            let whole = self.state.evals_of_job(&job.id).all(|eval| {
                let (whole, allocs) = self.eval(eval, cutoff, true);
                of_job.evals.push(eval.id);
                of_job.allocs.extend(allocs);
                whole
            });
            let Some(slot) = self.state.job_slot(&job.id) else { continue };
            // Allocations whose evaluation is gone already count as well.
            let ended = self.state.allocs_of_job(slot).all(|alloc| collectable(alloc, Some(row), self.now, cutoff));
            if whole && ended {
                garbage.jobs.push(job.id.clone());
                garbage.evals.extend(of_job.evals);
                garbage.allocs.extend(of_job.allocs);
            }
        }
    }

    fn deployments(&self, threshold: Duration, garbage: &mut Garbage) {
        for deployment in self.state.deployments() {
            let used = || self.state.allocs_of_deployment(deployment.id).any(|alloc| !alloc.terminal());
            if !deployment.status.is_active() && deployment.modify_time <= self.cutoff(threshold) && !used() {
                garbage.deployments.push(deployment.id);
            }
        }
    }

    fn nodes(&self, threshold: Duration, garbage: &mut Garbage) {
        for (slot, row) in self.state.nodes() {
            let used = || self.state.allocs_of_node(slot).any(|alloc| !alloc.terminal());
            if row.status == NodeStatus::Down && row.status_time <= self.cutoff(threshold) && !used() {
                garbage.nodes.push(row.node.id);
            }
        }
    }
}

/// Whether the allocation was placed for something that the job is not any more.
fn older(alloc: &Alloc, row: &JobRow) -> bool {
    let key = |job: &drover_model::Job| -> (Index, u64) { (job.create_index, job.version) };
    key(&alloc.job) < key(row.job())
}

/// What may go now.
pub fn find(state: &Snapshot, now: WallTime, thresholds: &Thresholds) -> Garbage {
    let search = Search { state, now };
    let mut garbage = Garbage::default();
    search.jobs(thresholds.job, &mut garbage);
    search.evals(thresholds, &mut garbage);
    search.deployments(thresholds.deployment, &mut garbage);
    search.nodes(thresholds.node, &mut garbage);
    once(&mut garbage.evals);
    once(&mut garbage.allocs);
    garbage
}

/// Keeps the first of equal ones.
fn once<T: Ord + Copy>(ids: &mut Vec<T>) {
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
}

#[cfg(test)]
mod tests;
