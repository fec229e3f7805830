//! One evaluation: reconcile, place, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{Rng, WallTime};
use drover_model::{Evaluation, PlacementMetrics, Plan};
use drover_state::{Alloc, Snapshot};

use crate::placer::Placer;
use crate::reconcile::Reconciler;

/// What comes from outside.
#[derive(Debug)]
pub struct Context {
    /// The time.
    pub now: WallTime,
    /// Ids and ports.
    pub rng: Rng,
}

/// What an evaluation comes to. The plan leaves its executor no choices.
#[derive(Debug)]
pub struct Outcome {
    /// What to do.
    pub plan: Plan,
    /// Groups that could not be placed in full, and why.
    pub failed_groups: BTreeMap<String, PlacementMetrics>,
    /// Placements still wanted, by group.
    pub queued: BTreeMap<String, u32>,
    /// Wait for room; a system job waits for single nodes.
    pub blocked: Vec<Evaluation>,
    /// Wait for the time of a reschedule.
    pub followups: Vec<Evaluation>,
    /// Placements of the plan that was taken, by group.
    pub placing: BTreeMap<String, u32>,
    /// Why nothing was worked out at all; the evaluation fails.
    pub refusal: Option<String>,
    /// Computed classes that were looked at, and whether they qualify.
    pub classes: BTreeMap<String, bool>,
    /// Whether something other than the class decides.
    pub escaped: bool,
}

impl Outcome {
    /// The plan, to be sent away. What it comes to stays behind for the end of the evaluation.
    pub fn take_plan(&mut self) -> Plan {
        let plan = std::mem::take(&mut self.plan);
        self.plan.annotations.clone_from(&plan.annotations);
        for placement in &plan.placements {
            *self.placing.entry(placement.group.to_string()).or_default() += 1;
        }
        plan
    }
}

/// Works out what an evaluation wants done on a snapshot.
pub fn process(state: &Snapshot, eval: &Evaluation, context: &mut Context) -> Outcome {
    let row = state.job(&eval.job_id);
    let job = row.map(|row| Arc::clone(row.job()));
    let slot = state.job_slot(&eval.job_id);
    let allocs = slot.map(|slot| state.allocs_of_job(slot).cloned().collect()).unwrap_or_default();
    let reconciled = Reconciler {
        state,
        job: job.as_ref().filter(|job| !job.is_parent()),
        allocs,
        now: context.now,
        eval_id: eval.id,
        new_deployment: drover_base::DeploymentId::from_random(context.rng.next_u128()),
        priority: eval.priority,
    }
    .run();

    let mut placer = Placer::new(state, eval, context, job.clone());
    placer.plan.deployment = reconciled.deployment;
    placer.plan.deployment_updates = reconciled.deployment_updates;
    let mut later: Vec<(WallTime, Arc<Alloc>)> = Vec::new();
    for (name, group) in reconciled.groups {
        placer.plan.annotations.insert(name.clone(), group.desired);
        for stop in group.stop {
            placer.stop(&stop.alloc, stop.description, stop.client_status);
        }
        for alloc in group.in_place {
            placer.in_place(&alloc);
        }
        later.extend(group.later.into_iter().map(|(alloc, at)| (at, alloc)));
        if let Some(spec) = job.as_ref().and_then(|job| job.group(&name).cloned()) {
            placer.place_all(&spec, group.place);
        }
    }
    let followups = placer.followups(later);
    placer.finish(followups)
}
