//! Blocked evaluations: wait for room or for a node that qualifies, one per job.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::EvalId;
use drover_model::{Evaluation, Index, JobId};

/// The evaluations that wait for room.
#[derive(Default)]
pub struct Blocked {
    by_job: BTreeMap<JobId, Arc<Evaluation>>,
    /// The last entry at which nodes of a class got room.
    freed: BTreeMap<String, Index>,
    /// The last entry at which any node got room.
    any_freed: Index,
}

/// What became of an evaluation that was to wait.
#[derive(Debug)]
pub enum Waits {
    /// It waits.
    Yes,
    /// Room came up since it was processed: run it now.
    RunNow(Arc<Evaluation>),
}

impl Blocked {
    /// Takes an evaluation in. An older one of the same job is handed back to be cancelled.
    pub fn block(&mut self, eval: Arc<Evaluation>) -> (Waits, Option<Arc<Evaluation>>) {
        let older = self.by_job.remove(&eval.job_id).filter(|older| older.id != eval.id);
        if self.missed(&eval) {
            return (Waits::RunNow(eval), older);
        }
        self.by_job.insert(eval.job_id.clone(), eval);
        (Waits::Yes, older)
    }

    /// Whether room that may help came up after the evaluation's snapshot.
    fn missed(&self, eval: &Evaluation) -> bool {
        if self.any_freed <= eval.snapshot_index {
            return false;
        }
        eval.escaped_computed_class || self.freed.iter().any(|(class, index)| *index > eval.snapshot_index && may_help(eval, class))
    }

    /// A node of this class has room: those it may help come back.
    pub fn unblock(&mut self, class: &str, index: Index) -> Vec<Arc<Evaluation>> {
        self.freed.insert(class.to_owned(), index);
        self.any_freed = self.any_freed.max(index);
        let helped: Vec<JobId> = self.by_job.iter().filter(|(_, eval)| may_help(eval, class)).map(|(job, _)| job.clone()).collect();
        helped.iter().filter_map(|job| self.by_job.remove(job)).collect()
    }

    /// The job has been placed in full or is gone: its waiting evaluation is cancelled.
    pub fn untrack(&mut self, job: &JobId) -> Option<Arc<Evaluation>> {
        self.by_job.remove(job)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_job.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_job.is_empty()
    }

    /// Whether this one waits.
    pub fn contains(&self, id: EvalId) -> bool {
        self.by_job.values().any(|eval| eval.id == id)
    }
}

/// A class that was found unfit never helps; an unknown one may.
fn may_help(eval: &Evaluation, class: &str) -> bool {
    eval.escaped_computed_class || eval.class_eligibility.get(class).copied().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_model::{JobType, Trigger};

    use super::*;

    fn eval(number: u128, snapshot_index: Index, fit: &[(&str, bool)]) -> Arc<Evaluation> {
        let job = JobId { namespace: "default".into(), id: "web".into() };
        let mut eval = Evaluation::new(EvalId::from_random(number), job, JobType::Service, 50, Trigger::QueuedAllocs, WallTime(1));
        eval.snapshot_index = snapshot_index;
        eval.class_eligibility = fit.iter().map(|(class, fit)| ((*class).to_owned(), *fit)).collect();
        Arc::new(eval)
    }

    #[test]
    fn only_classes_that_may_help_unblock() {
        let mut blocked = Blocked::default();
        blocked.block(eval(1, 10, &[("small", false), ("big", true)]));
        assert!(blocked.unblock("small", 11).is_empty());
        assert_eq!(blocked.unblock("big", 12).len(), 1);
        assert!(blocked.is_empty());
    }

    #[test]
    fn room_that_came_up_meanwhile_is_not_missed() {
        let mut blocked = Blocked::default();
        blocked.unblock("big", 20);
        assert!(matches!(blocked.block(eval(1, 19, &[("big", true)])).0, Waits::RunNow(_)));
        assert!(matches!(blocked.block(eval(1, 20, &[("big", true)])).0, Waits::Yes));
        assert!(matches!(blocked.block(eval(2, 20, &[("big", false)])), (Waits::Yes, Some(_))));
    }
}
