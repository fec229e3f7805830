//! A scheduler worker: takes an evaluation, works it out on a snapshot, has its plan committed, and writes what follows.

use std::sync::Arc;

use drover_base::Rng;
use drover_model::command::Change;
use drover_model::{EvalStatus, Evaluation, Trigger};
use drover_scheduler::broker::Token;
use drover_scheduler::{Context, Outcome, process};
use drover_state::Snapshot;
use tokio::sync::{mpsc, oneshot};

use super::{Answer, PlanRequest};
use crate::error::EndpointError;
use crate::server::Server;

/// How often a plan that did not fit is worked out again on newer state.
const PLAN_ATTEMPTS_MAX: u32 = 5;

pub(super) async fn run(server: Server, plans: mpsc::Sender<PlanRequest>) {
    loop {
        let Some((eval, token)) = server.0.leader.dequeue(server.0.clock.monotonic()).await else { continue };
        let answer = match evaluate(&server, &plans, &eval, token).await {
            Ok(()) => Answer::Done,
            Err(error) => {
                tracing::warn!(eval_id = %eval.id, job_id = %eval.job_id, %error, "evaluation failed and will be tried again");
                Answer::Again
            }
        };
        server.0.leader.answer(server.0.clock.monotonic(), eval.id, token, &answer);
    }
}

async fn evaluate(server: &Server, plans: &mpsc::Sender<PlanRequest>, eval: &Arc<Evaluation>, token: Token) -> Result<(), EndpointError> {
    for _ in 0..PLAN_ATTEMPTS_MAX {
        let state: Arc<Snapshot> = server.snapshot();
        if state.eval(eval.id).is_none_or(|stored| stored.status.is_terminal()) {
            return Ok(());
        }
        let started = server.0.clock.monotonic();
        let mut context = Context { now: server.0.clock.now(), rng: Rng::new(server.0.entropy.seed()) };
        let mut outcome = process(&state, eval, &mut context);
        let took = server.0.clock.monotonic().since(started);
        for metrics in outcome.failed_groups.values_mut() {
            metrics.allocation_time_ns = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        }
        let placed = outcome.plan.placements.len();
        if outcome.plan.is_empty() {
            return settle(server, &state, eval, outcome).await;
        }
        let plan = std::mem::replace(&mut outcome.plan, empty_like(eval));
        let annotations = plan.annotations.clone();
        let (reply, answer) = oneshot::channel();
        let request = PlanRequest { plan, eval_id: eval.id, token, reply };
        plans.send(request).await.map_err(|_| EndpointError::internal("the plan applier has stopped"))?;
        let committed = answer.await.map_err(|_| EndpointError::internal("the plan applier has stopped"))??;
        tracing::debug!(eval_id = %eval.id, job_id = %eval.job_id, placed, partial = committed.partial, "plan committed");
        if !committed.partial {
            outcome.plan.annotations = annotations;
            return settle(server, &state, eval, outcome).await;
        }
    }
    // Too much contention: the rest waits its turn as a new evaluation.
    let mut failed = Evaluation::clone(eval);
    failed.status = EvalStatus::Failed;
    "maximum attempts reached (5)".clone_into(&mut failed.status_description);
    let mut follow =
        Evaluation::new(server.0.entropy.id(), eval.job_id.clone(), eval.kind, eval.priority, Trigger::MaxPlanAttempts, server.stamp());
    follow.previous_eval = Some(eval.id);
    failed.next_eval = Some(follow.id);
    server.propose(Change::Evaluations(vec![failed, follow])).await.map(|_| ())
}

fn empty_like(eval: &Evaluation) -> drover_model::Plan {
    drover_model::Plan::new(eval.id, eval.job_id.clone(), eval.priority)
}

/// Writes the evaluation's end, what waits for room, and what waits for its time, in one entry.
async fn settle(server: &Server, state: &Snapshot, eval: &Arc<Evaluation>, outcome: Outcome) -> Result<(), EndpointError> {
    let now = server.stamp();
    let mut evals = outcome.followups;
    let waits_itself = outcome.blocked.as_ref().is_some_and(|blocked| blocked.id == eval.id);
    if let Some(mut blocked) = outcome.blocked {
        blocked.modify_time = now;
        if waits_itself {
            evals.push(blocked);
            return server.propose(Change::Evaluations(evals)).await.map(|_| ());
        }
        evals.push(blocked);
    }
    let mut done = Evaluation::clone(eval);
    done.status = EvalStatus::Complete;
    done.status_description = String::new();
    done.blocked_eval = evals.iter().find(|next| next.status == EvalStatus::Blocked).map(|next| next.id);
    done.failed_groups = outcome.failed_groups;
    done.queued = outcome.queued;
    done.annotations = outcome.plan.annotations;
    done.snapshot_index = state.index();
    done.modify_time = now;
    if let Some(deployment) = server.snapshot().latest_deployment(&eval.job_id) {
        done.deployment_id = Some(deployment.id);
    }
    evals.push(done);
    server.propose(Change::Evaluations(evals)).await.map(|_| ())
}
