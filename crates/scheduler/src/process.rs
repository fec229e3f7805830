//! One evaluation: reconcile, place, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, Rng, WallTime};
use drover_model::{Contact, Evaluation, InPlace, Job, JobType, PlacementMetrics, Plan, Trigger};
use drover_state::Snapshot;

use crate::followups::followups;
use crate::placer::Placer;
use crate::reconcile::{Reconciled, Reconciler};
use crate::system;

/// What comes from outside.
#[derive(Debug)]
pub struct Context {
    /// The time.
    pub now: WallTime,
    /// Ids and ports.
    pub rng: Rng,
}

/// What an evaluation comes to. The plan leaves its executor no choices.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What to do.
    pub plan: Plan,
    /// Groups that could not be placed in full, and why.
    pub failed_groups: BTreeMap<String, Box<PlacementMetrics>>,
    /// Placements still wanted, by group.
    pub queued: BTreeMap<String, u32>,
    /// Wait for room; a system job waits for single nodes.
    pub blocked: Vec<Evaluation>,
    /// Wait for the time of a reschedule.
    pub followups: Vec<Evaluation>,
    /// Evaluations that wait for something that will not happen any more.
    pub cancelled: BTreeSet<EvalId>,
    /// Placements of the plan that was taken, by group.
    pub placing: BTreeMap<String, u32>,
    /// Why nothing was worked out at all; the evaluation fails.
    pub refusal: Option<String>,
    /// Computed classes that were looked at, and whether they qualify.
    pub classes: BTreeMap<u64, bool>,
    /// Whether something other than the class decides.
    pub escaped: bool,
}

impl Outcome {
    /// The plan, to be sent away. What it comes to stays behind for the end of the evaluation.
    pub fn take_plan(&mut self) -> Plan {
        let plan = std::mem::take(&mut self.plan);
        self.plan.annotations.clone_from(&plan.annotations);
        self.plan.preemptions.clone_from(&plan.preemptions);
        for placement in &plan.placements {
            *self.placing.entry(placement.group.to_string()).or_default() += 1;
        }
        plan
    }
}

/// Whether evaluations of this kind of job can be about this (SCH-099).
fn handles(kind: JobType, trigger: Trigger) -> bool {
    match trigger {
        Trigger::Scheduled => false,
        // Nothing of a system job is rescheduled, and nothing of it waits for its nodes to come back.
        Trigger::AllocFailure | Trigger::AllocReschedule | Trigger::MaxDisconnectTimeout | Trigger::MaxPlanAttempts => !system::is(kind),
        Trigger::PeriodicJob => kind != JobType::System,
        Trigger::JobRegister
        | Trigger::JobDeregister
        | Trigger::NodeDrain
        | Trigger::NodeUpdate
        | Trigger::AllocStop
        | Trigger::RollingUpdate
        | Trigger::DeploymentWatcher
        | Trigger::FailedFollowUp
        | Trigger::QueuedAllocs
        | Trigger::Preemption
        | Trigger::JobScaling
        | Trigger::Reconnect => true,
    }
}

/// Works out what an evaluation wants done on a snapshot.
pub fn process(state: &Snapshot, eval: &Evaluation, context: &mut Context) -> Outcome {
    if !handles(eval.kind, eval.trigger) {
        let refusal = format!("scheduler cannot handle '{}' evaluation reason", eval.trigger);
        return Outcome { plan: Plan::new(eval.id, eval.job_id.clone(), eval.priority), refusal: Some(refusal), ..Outcome::default() };
    }
    let job = state.job(&eval.job_id).map(|row| Arc::clone(row.job())).filter(|job| !job.is_parent());
    let slot = state.job_slot(&eval.job_id);
    let allocs = slot.map(|slot| state.allocs_of_job(slot).cloned().collect()).unwrap_or_default();
    let reconciler = Reconciler {
        state,
        job: job.as_ref(),
        now: context.now,
        eval_id: eval.id,
        new_deployment: DeploymentId::from_random(context.rng.next_u128()),
        priority: eval.priority,
    };
    let placer = Placer::new(state, eval, context, job.clone());
    let reconciled = if system::is(eval.kind) {
        let mut questions = system::Questions {
            fits: &mut |alloc| placer.fits_in_place(alloc),
            qualifies: &mut |group, slot| placer.qualifies(group, slot),
        };
        system::reconcile(&reconciler, allocs, &mut questions)
    } else {
        reconciler.run(allocs, &mut |alloc| placer.fits_in_place(alloc))
    };
    carry_out(placer, job.as_ref(), reconciled)
}

/// Turns wishes into a plan: stops first, then replacements, whose room is free, then further placements (SCH-093).
fn carry_out(mut placer: Placer<'_>, job: Option<&Arc<Job>>, reconciled: Reconciled) -> Outcome {
    let Reconciled { groups, deployment, joins, deployment_updates } = reconciled;
    placer.plan.deployment = deployment;
    placer.plan.joins = joins;
    placer.plan.deployment_updates = deployment_updates;
    let mut later = Vec::new();
    let mut cancelled = BTreeSet::new();
    let (mut replacing, mut placing) = (Vec::new(), Vec::new());
    let mut updates: BTreeMap<AllocId, InPlace> = BTreeMap::new();
    for (name, group) in groups {
        placer.plan.annotations.insert(name.clone(), group.desired);
        for stop in group.stop {
            placer.stop(&stop.alloc, stop.description, stop.client_status);
        }
        for update in group.update {
            let entry = updates.entry(update.alloc.id).or_insert_with(|| InPlace::of(update.alloc.id));
            entry.to_newest |= update.to_newest;
            if update.contact != Contact::Same {
                entry.contact = update.contact;
            }
        }
        if group.held > 0 {
            placer.wants_more(&name, group.held);
        }
        later.extend(group.later);
        cancelled.extend(group.cancel);
        replacing.push((name.clone(), group.replace));
        placing.push((name, group.place));
    }
    let spec_kind = job.map_or(JobType::Service, |job| job.kind);
    let mut attempted: Vec<AllocId> = Vec::new();
    for (name, requests) in replacing.into_iter().chain(placing) {
        attempted.extend(
            requests.iter().filter(|request| !request.reschedules.is_empty()).filter_map(|request| Some(request.previous.as_ref()?.id)),
        );
        match job.filter(|job| !job.stop).and_then(|job| job.group(&name).cloned()) {
            Some(spec) if system::is(spec_kind) => placer.place_on_nodes(&spec, requests),
            Some(spec) => placer.place_all(&spec, requests),
            // Nothing is wanted of a group that the job has no more.
            None => placer.wants_nothing(&name),
        }
    }
    let placed: BTreeSet<AllocId> = placer.plan.placements.iter().filter_map(|placement| placement.previous).collect();
    for id in attempted.into_iter().filter(|id| !placed.contains(id)) {
        updates.entry(id).or_insert_with(|| InPlace::of(id)).no_placement = true;
    }
    let waits = followups(later, |trigger| placer.successor(trigger));
    let mut stops: BTreeMap<AllocId, EvalId> = BTreeMap::new();
    let stopped: BTreeSet<AllocId> = placer.plan.stops.iter().map(|stop| stop.id).collect();
    for (id, (_, eval)) in waits.of {
        if stopped.contains(&id) {
            stops.insert(id, eval);
        } else {
            updates.entry(id).or_insert_with(|| InPlace::of(id)).followup_eval = Some(eval);
        }
    }
    for stop in &mut placer.plan.stops {
        stop.followup_eval = stops.get(&stop.id).copied();
    }
    placer.plan.in_place.extend(updates.into_values());
    let mut outcome = placer.finish(waits.evals);
    outcome.cancelled = cancelled;
    outcome
}
