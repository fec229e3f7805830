//! Evaluations.

use std::sync::Arc;

use drover_base::EvalId;
use drover_model::{EvalStatus, Evaluation};

use crate::event::Payload;
use crate::rows::EvalSlot;
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

fn is_open(eval: &Evaluation) -> bool {
    !eval.status.is_terminal()
}

impl Transaction<'_> {
    pub(crate) fn upsert_evals(&mut self, evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        for eval in evals {
            self.upsert_eval(eval);
        }
        Ok(())
    }

    pub(crate) fn upsert_eval(&mut self, mut eval: Evaluation) {
        let index = self.index();
        eval.modify_index = index;
        self.touch(Table::Evals);
        self.touched.evals.insert(eval.id);
        let old = self.state.eval(eval.id).cloned();
        let slot = match (&old, self.state.eval_ids.get(&eval.id)) {
            (Some(old), Some(slot)) => {
                eval.create_index = old.create_index;
                *slot
            }
            _ => {
                eval.create_index = index;
                let slot: EvalSlot = self.slot();
                self.state.eval_ids.insert(eval.id, slot);
                self.state.evals_by_job.insert(((&eval.job_id).into(), slot), ());
                slot
            }
        };
        let eval = Arc::new(eval);
        self.state.evals.insert(slot, Arc::clone(&eval));
        if let Some(job_slot) = self.state.job_slot(&eval.job_id) {
            let was = old.as_ref().is_some_and(|old| is_open(old));
            self.count_open(job_slot, was, is_open(&eval));
            if eval.status != EvalStatus::Pending {
                self.set_queued(job_slot, &eval);
            }
            self.refresh_status(job_slot);
        }
        self.event(self.kind.of_evaluation(), Payload::Evaluation(eval));
    }

    fn count_open(&mut self, job: crate::rows::JobSlot, was: bool, is: bool) {
        if was != is {
            let row = self.job_mut(job);
            row.open_evals = if is { row.open_evals + 1 } else { row.open_evals.saturating_sub(1) };
        }
    }

    fn set_queued(&mut self, job: crate::rows::JobSlot, eval: &Evaluation) {
        let index = self.index();
        let row = self.job_mut(job);
        let mut changed = false;
        for (group, queued) in &eval.queued {
            if let Some(summary) = row.summary.get_mut(group)
                && summary.queued != *queued
            {
                summary.queued = *queued;
                changed = true;
            }
        }
        if changed {
            row.summary_index = index;
            self.touch(Table::Summaries);
        }
    }

    pub(crate) fn remove_eval(&mut self, id: EvalId) {
        if let Some(slot) = self.state.eval_ids.remove(&id)
            && let Some(eval) = self.state.evals.remove(&slot)
        {
            self.touch(Table::Evals);
            self.touched.evals.insert(id);
            self.state.evals_by_job.remove(&((&eval.job_id).into(), slot));
            if let Some(job) = self.state.job_slot(&eval.job_id) {
                self.count_open(job, is_open(&eval), false);
            }
        }
    }
}
