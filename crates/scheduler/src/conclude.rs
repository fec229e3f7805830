//! How an evaluation ends: its final form, what waits for room or for its time, and when it is given up.

use drover_base::{DeploymentId, EvalId, WallTime};
use drover_model::{EvalStatus, Evaluation, Index, JobType, Trigger};
use drover_state::Snapshot;

use crate::process::Outcome;

/// Plans of a service or system job that may be refused in a row (SCH-091).
const ATTEMPTS: u32 = 5;
/// The same for batch and sysbatch jobs, which are many.
const ATTEMPTS_BATCH: u32 = 2;
/// What a blocked evaluation says when nodes ran out.
pub(crate) const NO_ROOM: &str = "created to place remaining allocations";
/// What a blocked evaluation says when others were always faster.
const CONFLICTS: &str = "created due to placement conflicts";

/// What a timeout says that nobody waits for any more (REC-074).
const RECONNECTED: &str = "allocation reconnected";

/// Counts plans that were refused, in whole or in part.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    refused: u32,
    max: u32,
}

impl Attempts {
    /// None yet, for an evaluation of a job of this kind.
    pub fn new(kind: JobType) -> Self {
        Self { refused: 0, max: if kind.is_batch() { ATTEMPTS_BATCH } else { ATTEMPTS } }
    }

    /// Counts a plan that was not committed in full; whether to work the evaluation out again. One that committed
    /// something starts the count over.
    pub fn again(&mut self, progress: bool) -> bool {
        self.refused = if progress { 0 } else { self.refused + 1 };
        self.refused < self.max
    }

    /// How many may be refused.
    pub fn max(&self) -> u32 {
        self.max
    }
}

/// What the end of an evaluation looks at beside its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The time.
    pub now: WallTime,
    /// The state that the outcome was worked out on.
    pub snapshot_index: Index,
    /// The job's newest deployment that is stored.
    pub deployment: Option<DeploymentId>,
}

/// The evaluations to write once the plan is committed: the one at hand in its final form, and what it leads to.
pub fn conclude(state: &Snapshot, eval: &Evaluation, outcome: Outcome, ending: Ending) -> Vec<Evaluation> {
    let Outcome { plan, failed_groups, queued, blocked, followups, cancelled, refusal, placing: _, classes: _, escaped: _ } = outcome;
    let mut done = eval.clone();
    done.modify_time = ending.now;
    done.snapshot_index = ending.snapshot_index;
    if let Some(refusal) = refusal {
        done.status = EvalStatus::Failed;
        done.status_description = refusal;
        return vec![done];
    }
    let mut evals = followups;
    for next in evals.iter_mut().filter(|next| next.trigger == Trigger::AllocReschedule) {
        next.job_modify_index = state.job(&eval.job_id).map_or(0, |row| row.modify_index);
    }
    for waiting in blocked {
        if waiting.id == eval.id {
            // It goes on waiting under its own name.
            evals.push(Evaluation { modify_time: ending.now, ..waiting });
            return evals;
        }
        evals.push(waiting);
    }
    done.status = EvalStatus::Complete;
    done.status_description = String::new();
    // One that waits for a single node has a life of its own (SYS-007).
    let general = evals.iter().find(|next| next.status == EvalStatus::Blocked && next.node_id.is_none());
    done.blocked_eval = general.map(|next| next.id);
    done.next_eval = evals.iter().filter(|next| next.status == EvalStatus::Pending).map(|next| next.id).next_back();
    done.failed_groups = failed_groups;
    done.queued = queued;
    done.annotations = plan.annotations;
    let preempted = || plan.preemptions.iter().map(|preemption| preemption.id).collect();
    done.preempted = (!plan.preemptions.is_empty()).then(preempted);
    done.deployment_id = ending.deployment.or(done.deployment_id);
    let pending = cancelled.into_iter().filter_map(|id| state.eval(id)).filter(|eval| !eval.status.is_terminal());
    evals.extend(pending.map(|waiting| {
        let mut ended = Evaluation::clone(waiting);
        ended.status = EvalStatus::Canceled;
        RECONNECTED.clone_into(&mut ended.status_description);
        ended.modify_time = ending.now;
        ended
    }));
    evals.push(done);
    evals
}

/// The evaluations to write when every plan was refused: the one at hand has failed, and one that waits takes its place
/// (SCH-092). Nodes of system jobs do not compete, so nothing waits for those.
pub fn give_up(eval: &Evaluation, outcome: Outcome, ending: Ending, attempts: Attempts, id: EvalId) -> Vec<Evaluation> {
    let mut failed = eval.clone();
    failed.modify_time = ending.now;
    failed.snapshot_index = ending.snapshot_index;
    failed.status = EvalStatus::Failed;
    failed.status_description = format!("maximum attempts reached ({})", attempts.max());
    failed.queued = outcome.queued;
    for (group, placing) in outcome.placing {
        *failed.queued.entry(group).or_default() += placing;
    }
    failed.failed_groups = outcome.failed_groups;
    failed.annotations = outcome.plan.annotations;
    if matches!(eval.kind, JobType::System | JobType::Sysbatch) {
        return vec![failed];
    }
    let mut waiting = Evaluation::new(id, eval.job_id.clone(), eval.kind, eval.priority, Trigger::MaxPlanAttempts, ending.now);
    waiting.status = EvalStatus::Blocked;
    CONFLICTS.clone_into(&mut waiting.status_description);
    waiting.job_modify_index = eval.job_modify_index;
    waiting.previous_eval = Some(eval.id);
    waiting.snapshot_index = ending.snapshot_index;
    waiting.class_eligibility = crate::placer::class_texts(&outcome.classes);
    waiting.escaped_computed_class = outcome.escaped;
    waiting.queued.clone_from(&failed.queued);
    failed.blocked_eval = Some(waiting.id);
    vec![waiting, failed]
}
