//! Whether a new version of a group needs its tasks restarted (REC-046, REC-047).

use std::collections::BTreeMap;

use drover_model::change::{Change as _, Effect};
use drover_model::{Job, Task, TaskGroup};
use drover_state::Alloc;

/// What a new version means for allocations of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They go on running, if their node still qualifies (REC-049).
    InPlace,
    /// They go on running, wherever they are (REC-050).
    Unchecked,
    /// They are replaced.
    Destructive,
}

/// The verdicts on earlier versions of a group, each worked out once.
pub struct Verdicts<'a> {
    job: &'a Job,
    group: &'a TaskGroup,
    known: BTreeMap<(u64, u64), Change>,
}

impl<'a> Verdicts<'a> {
    /// None yet, against this version.
    pub fn new(job: &'a Job, group: &'a TaskGroup) -> Self {
        Self { job, group, known: BTreeMap::new() }
    }

    /// The verdict on an allocation's version.
    pub fn of(&mut self, alloc: &Alloc) -> Change {
        let (job, group) = (self.job, self.group);
        *self.known.entry((alloc.job.create_index, alloc.job.version)).or_insert_with(|| {
            let old = alloc.task_group();
            if destructive(&alloc.job, old, job, group) {
                Change::Destructive
            } else if only_run_duration(&alloc.job, old, job, group) {
                Change::Unchecked
            } else {
                Change::InPlace
            }
        })
    }
}

fn only_run_duration(old_job: &Job, old: &TaskGroup, new_job: &Job, new: &TaskGroup) -> bool {
    let same_nodes = (&old_job.datacenters, &old_job.node_pool, &old_job.constraints, old_job.priority)
        == (&new_job.datacenters, &new_job.node_pool, &new_job.constraints, new_job.priority);
    old.max_run_duration != new.max_run_duration
        && same_nodes
        && TaskGroup { max_run_duration: new.max_run_duration, ..old.clone() } == *new
}

/// Whether allocations of `old` must be replaced to become `new`; otherwise they are updated in place. Each field says so itself;
/// metadata counts as the task sees it, wherever it was written.
pub fn destructive(old_job: &Job, old: &TaskGroup, new_job: &Job, new: &TaskGroup) -> bool {
    let meta_differs =
        |task: &Task| old.task(&task.name).is_some_and(|before| merged_meta(old_job, old, before) != merged_meta(new_job, new, task));
    old.effect(new) == Effect::Replace || new.tasks.iter().any(meta_differs)
}

fn merged_meta<'a>(job: &'a Job, group: &'a TaskGroup, task: &'a Task) -> BTreeMap<&'a String, &'a String> {
    job.meta.iter().chain(&group.meta).chain(&task.meta).collect()
}
