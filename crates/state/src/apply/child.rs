//! Children of periodic and parameterized jobs: made from their parent as it is at this entry, sharing what they run.

use std::sync::Arc;

use drover_model::command::{ChildKind, NewChild};
use drover_model::{Evaluation, Job, JobId, Trigger};

use crate::rows::JobStatus;
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

impl Transaction<'_> {
    /// Makes children. One whose parent is gone, stopped or of another kind by now is left out, and so is a second one with
    /// the token or the time of a first: whoever asked for it finds that one in the state.
    pub(crate) fn children(&mut self, children: Vec<NewChild>) -> Result<(), ApplyError> {
        for child in children {
            self.child(child);
        }
        Ok(())
    }

    fn child(&mut self, new: NewChild) {
        let NewChild { parent, id, kind, eval_id } = new;
        let (Some(slot), Some(row)) = (self.state.job_slot(&parent), self.state.job(&parent).cloned()) else { return };
        let job = row.job();
        if job.stop {
            return;
        }
        let id = JobId { namespace: parent.namespace.clone(), id };
        let trigger = match kind {
            ChildKind::Dispatch { .. } => Trigger::JobRegister,
            ChildKind::Launch { .. } => Trigger::PeriodicJob,
        };
        let child = match kind {
            ChildKind::Dispatch { payload, meta, token, priority } => {
                let taken = || self.state.dispatched(&parent, &token).is_some();
                if !job.is_parameterized() || self.state.job_slot(&id).is_some() || (!token.is_empty() && taken()) {
                    return;
                }
                let mut all = job.meta.clone();
                all.extend(meta);
                Job {
                    meta: all,
                    payload,
                    dispatched: true,
                    dispatch_idempotency_token: token,
                    priority: if priority == 0 { job.priority } else { priority },
                    ..child_of(job, id)
                }
            }
            ChildKind::Launch { at } => {
                if !job.is_periodic() || job.is_parameterized() {
                    return;
                }
                if at > row.last_launch {
                    let index = self.index();
                    let row = self.job_mut(slot);
                    row.last_launch = at;
                    row.modify_index = index;
                    self.touch(Table::Jobs);
                    self.touched.jobs.insert(parent);
                }
                if self.state.job_slot(&id).is_some() {
                    return;
                }
                Job { periodic: None, ..child_of(job, id) }
            }
        };
        let child = Job { submit_time: self.state.time, ..child };
        let (id, runs) = (child.id.clone(), !child.is_parent());
        let eval = Evaluation::new(eval_id, id.clone(), child.kind, child.priority, trigger, self.state.time);
        self.insert_job(child, None);
        if runs {
            let eval = self.stamped(eval);
            self.upsert_eval(eval);
        }
        self.job_event(&id);
    }

    /// A job with a parent changed its status, came or went.
    pub(crate) fn count_child(&mut self, job: &Job, before: Option<JobStatus>, after: Option<JobStatus>) {
        if job.parent_id.is_empty() || before == after {
            return;
        }
        let parent = JobId { namespace: job.id.namespace.clone(), id: job.parent_id.clone() };
        let Some(slot) = self.state.job_slot(&parent) else { return };
        let index = self.index();
        let row = self.job_mut(slot);
        if let Some(count) = before.map(|status| row.children.of(status)) {
            *count = count.saturating_sub(1);
        }
        if let Some(status) = after {
            *row.children.of(status) += 1;
        }
        row.summary_index = index;
        self.touch(Table::Summaries);
        self.touched.jobs.insert(parent);
    }
}

/// A copy of the parent under another id, without what is only the parent's.
fn child_of(parent: &Arc<Job>, id: JobId) -> Job {
    Job { name: id.id.clone(), parent_id: parent.id.id.clone(), id, version: 0, create_index: 0, job_modify_index: 0, ..Job::clone(parent) }
}
