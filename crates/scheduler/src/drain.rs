//! Drains: allocations leave a node a few at a time, so that each group keeps as many healthy ones as it allows itself to
//! miss; what is left at the deadline leaves at once. System jobs go last.
//!
//! Everything is worked out anew from a snapshot, so nothing is lost when another server takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drover_base::{AllocId, NodeId, WallTime};
use drover_model::{DesiredTransition, DrainStrategy, JobId, JobType, TaskGroup};
use drover_state::{Alloc, NodeRow, NodeSlot, Snapshot};

/// Deadlines that are this close to one that is due count as due with it.
pub const COALESCE: Duration = Duration::from_secs(5);
/// How many allocations are marked in one log entry.
pub const TRANSITIONS_MAX: usize = 7_281;
/// How many allocations of a group may be missing while it is moved, unless it says so itself.
const MAX_PARALLEL: u32 = 1;

/// What a drain wants written.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Allocations are to leave, and their jobs are to be looked at.
    Leave {
        /// How, by allocation.
        transitions: Vec<(AllocId, DesiredTransition)>,
        /// The jobs.
        jobs: BTreeSet<JobId>,
    },
    /// Nodes are drained.
    Done {
        /// Which.
        nodes: Vec<NodeId>,
        /// Whether their time was up.
        deadline_reached: bool,
    },
}

/// How many of a group leave now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Positions of those that could leave.
    pub drainable: Vec<usize>,
    /// How many of them leave now.
    pub now: usize,
    /// Positions of those that were on a draining node and have ended.
    pub migrated: Vec<usize>,
    /// Whether none is left on a draining node.
    pub done: bool,
}

/// Works out how many allocations of a group leave draining nodes now (NOD-031, NOD-032). A batch group waits for its ends
/// and marks none (NOD-033).
pub fn pace<'a>(
    batch: bool,
    count: u32,
    max_parallel: u32,
    allocs: impl Iterator<Item = &'a Alloc>,
    draining: impl Fn(&Alloc) -> bool,
) -> Pace {
    let mut pace = Pace { done: true, ..Pace::default() };
    let mut healthy: i64 = 0;
    for (position, alloc) in allocs.enumerate() {
        let leaving = alloc.transition.migrate == Some(true);
        if !alloc.terminal() && alloc.health.is_some() && !leaving {
            healthy += 1;
        }
        if !draining(alloc) {
            continue;
        }
        if alloc.client_terminal() {
            pace.migrated.push(position);
            continue;
        }
        pace.done = false;
        if !batch && !leaving {
            pace.drainable.push(position);
        }
    }
    let spare = healthy - (i64::from(count) - i64::from(max_parallel));
    pace.now = usize::try_from(spare).unwrap_or(0).min(pace.drainable.len());
    pace
}

fn max_parallel(group: &TaskGroup) -> u32 {
    group.migrate.as_ref().map_or(MAX_PARALLEL, |migrate| migrate.max_parallel)
}

/// Whether the allocation leaves last: it serves the others.
pub(crate) fn leaves_last(alloc: &Alloc) -> bool {
    matches!(alloc.job.kind, JobType::System | JobType::Sysbatch)
}

/// The next moment at which a deadline makes a difference.
pub fn next_deadline(state: &Snapshot) -> Option<WallTime> {
    let deadlines = state.draining().filter_map(|(_, row)| row.drain).map(|drain| drain.force_deadline);
    deadlines.filter(|deadline| !deadline.is_zero()).min()
}

/// What the drains under way want done now.
pub fn look(state: &Snapshot, now: WallTime) -> Vec<Action> {
    let drains: Vec<(NodeSlot, &NodeRow, DrainStrategy)> =
        state.draining().filter_map(|(slot, row)| Some((slot, row.as_ref(), row.drain?))).collect();
    if drains.is_empty() {
        return Vec::new();
    }
    let due = drains.iter().any(|(_, _, drain)| drain.forced(now));
    let horizon = if due { now + COALESCE } else { now };
    let mut leave = Leave::default();
    let (mut in_time, mut forced) = (Vec::new(), Vec::new());
    let mut paced: BTreeSet<(JobId, String)> = BTreeSet::new();
    let draining: BTreeSet<NodeSlot> = drains.iter().map(|(slot, _, _)| *slot).collect();
    for (slot, row, drain) in drains {
        let force = drain.forced(horizon);
        let mut left = Vec::new();
        let mut busy = false;
        for alloc in state.allocs_of_node(slot).filter(|alloc| !alloc.client_terminal()) {
            if leaves_last(alloc) {
                if !drain.spec.ignore_system_jobs {
                    left.push(alloc);
                }
                continue;
            }
            busy = true;
            if force {
                leave.mark(alloc, alloc.job.kind.is_batch());
            } else if !alloc.job.kind.is_batch() {
                paced.insert((alloc.job.id.clone(), alloc.group_name().to_owned()));
            }
        }
        if force || !busy {
            for alloc in left {
                leave.mark(alloc, false);
            }
            if busy { forced.push(row.node.id) } else { in_time.push(row.node.id) }
        }
    }
    for (job, group) in paced {
        leave.group(state, &job, &group, &draining);
    }
    let mut actions = leave.actions();
    for (nodes, deadline_reached) in [(in_time, false), (forced, true)] {
        if !nodes.is_empty() {
            actions.push(Action::Done { nodes, deadline_reached });
        }
    }
    actions
}

#[derive(Default)]
struct Leave {
    transitions: BTreeMap<AllocId, (DesiredTransition, JobId)>,
}

impl Leave {
    /// Marks an allocation; one of a batch job gets no replacement.
    fn mark(&mut self, alloc: &Alloc, without_replacement: bool) {
        if alloc.transition.migrate == Some(true) || alloc.server_terminal() {
            return;
        }
        let transition = DesiredTransition {
            migrate: Some(true),
            migrate_disable_placement: without_replacement.then_some(true),
            ..DesiredTransition::default()
        };
        self.transitions.insert(alloc.id, (transition, alloc.job.id.clone()));
    }

    fn group(&mut self, state: &Snapshot, job: &JobId, name: &str, draining: &BTreeSet<NodeSlot>) {
        // What a job or version does not have any more is stopped without us.
        let Some(group) = state.job(job).and_then(|row| row.job().group(name)) else { return };
        let Some(slot) = state.job_slot(job) else { return };
        let allocs: Vec<_> = state.allocs_of_job(slot).filter(|alloc| alloc.group_name() == name).collect();
        // One that a deadline marks now is not there any more for its group.
        let on_draining = |alloc: &Alloc| draining.contains(&alloc.node_slot);
        let forced = allocs.iter().filter(|alloc| self.transitions.contains_key(&alloc.id) && alloc.health.is_some()).count();
        let pace = pace(false, group.count, max_parallel(group), allocs.iter().map(|alloc| alloc.as_ref()), on_draining);
        let chosen: Vec<usize> = pace
            .drainable
            .iter()
            .copied()
            .filter(|position| !allocs[*position].server_terminal() && !self.transitions.contains_key(&allocs[*position].id))
            .take(pace.now.saturating_sub(forced))
            .collect();
        for position in chosen {
            self.mark(allocs[position], false);
        }
    }

    fn actions(self) -> Vec<Action> {
        let all: Vec<_> = self.transitions.into_iter().collect();
        let part = |part: &[(AllocId, (DesiredTransition, JobId))]| Action::Leave {
            transitions: part.iter().map(|(id, (transition, _))| (*id, *transition)).collect(),
            jobs: part.iter().map(|(_, (_, job))| job.clone()).collect(),
        };
        all.chunks(TRANSITIONS_MAX).map(part).collect()
    }
}

#[cfg(test)]
mod tests;
