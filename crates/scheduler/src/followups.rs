//! Evaluations that wait for a time: one for all that is due close together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, EvalId};
use drover_model::{Evaluation, Trigger};
use drover_state::Alloc;

use crate::reconcile::{Later, WaitFor};

/// What is due within this time of the first shares an evaluation (REC-033, REC-061).
const WINDOW: Duration = Duration::from_secs(5);

/// The evaluations that wait, and which one each allocation waits for.
#[derive(Debug, Default)]
pub(crate) struct Followups {
    pub(crate) evals: Vec<Evaluation>,
    pub(crate) of: BTreeMap<AllocId, (Arc<Alloc>, EvalId)>,
}

/// Makes the evaluations for what is to be looked at later; `make` gives each its id and origin.
pub(crate) fn followups(mut later: Vec<Later>, mut make: impl FnMut(Trigger) -> Evaluation) -> Followups {
    later.sort_by_key(|later| (later.wait, later.at, later.alloc.id));
    let mut out = Followups::default();
    let mut open: Option<WaitFor> = None;
    for Later { alloc, at, wait } in later {
        let joins = open == Some(wait) && out.evals.last().is_some_and(|last| at.since(last.wait_until) < WINDOW);
        if !joins {
            let first = open != Some(wait);
            let (trigger, description) = match wait {
                // Only the first of several says that it is about a delay.
                WaitFor::Reschedule if first => (Trigger::AllocReschedule, "created for delayed rescheduling"),
                WaitFor::Reschedule => (Trigger::AllocFailure, ""),
                WaitFor::ClientStop => (Trigger::AllocFailure, "created for delayed rescheduling"),
                WaitFor::DisconnectTimeout => (Trigger::MaxDisconnectTimeout, "created for delayed disconnect timeout"),
            };
            let mut eval = make(trigger);
            eval.wait_until = at;
            description.clone_into(&mut eval.status_description);
            out.evals.push(eval);
            open = Some(wait);
        }
        if let Some(eval) = out.evals.last() {
            // Of two that it waits for, an allocation keeps the one that replaces it; the other finds it by itself.
            out.of.entry(alloc.id).or_insert((alloc, eval.id));
        }
    }
    out
}
