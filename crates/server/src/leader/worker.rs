//! A scheduler worker: takes an evaluation, works it out on a snapshot, has its plan committed, and writes what follows.

use std::sync::Arc;
use std::time::Duration;

use drover_base::Rng;
use drover_model::Evaluation;
use drover_model::command::Change;
use drover_scheduler::broker::Token;
use drover_scheduler::reconcile::newest_deployment;
use drover_scheduler::{Attempts, Context, Ending, conclude, give_up, process};
use drover_state::Snapshot;
use tokio::sync::{mpsc, oneshot};

use super::{Answer, PlanRequest};
use crate::error::EndpointError;
use crate::server::Server;

/// How long a worker waits for its state to reach what it was given.
const STATE_WAIT: Duration = Duration::from_secs(5);

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
        server.0.leader.answer(server.moment(), eval.id, token, &answer);
    }
}

async fn evaluate(server: &Server, plans: &mpsc::Sender<PlanRequest>, eval: &Arc<Evaluation>, token: Token) -> Result<(), EndpointError> {
    // What the evaluation is about must be in the state that it is worked out on (EVL-022).
    let behind = || server.snapshot().index() < eval.modify_index;
    if behind() && server.0.clock.timeout(STATE_WAIT, server.changed(eval.modify_index - 1)).await.is_none() {
        return Err(EndpointError::internal(format!("the state has not reached entry {} in time", eval.modify_index)));
    }
    let mut attempts = Attempts::new(eval.kind);
    loop {
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
        let ending = |server: &Server| Ending {
            now: server.stamp(),
            snapshot_index: state.index(),
            deployment: newest_deployment(&server.snapshot(), &eval.job_id),
        };
        if outcome.plan.is_empty() {
            let evals = conclude(&state, eval, outcome, ending(server));
            return server.propose(Change::Evaluations(evals)).await.map(|_| ());
        }
        let placed = outcome.plan.placements.len();
        let (reply, answer) = oneshot::channel();
        let request = PlanRequest { plan: outcome.take_plan(), eval_id: eval.id, token, reply };
        // While the plan is in the queue, its evaluation cannot be late (EVL-012).
        server.0.leader.plan_waits(eval.id, token);
        let sent = plans.send(request).await;
        let answered = answer.await;
        server.0.leader.plan_answered(server.0.clock.monotonic(), eval.id, token);
        sent.map_err(|_| EndpointError::internal("the plan applier has stopped"))?;
        let committed = answered.map_err(|_| EndpointError::internal("the plan applier has stopped"))??;
        tracing::debug!(eval_id = %eval.id, job_id = %eval.job_id, placed, partial = committed.partial, "plan committed");
        if !committed.partial {
            let evals = conclude(&state, eval, outcome, ending(server));
            return server.propose(Change::Evaluations(evals)).await.map(|_| ());
        }
        if !attempts.again(committed.progress) {
            let evals = give_up(eval, outcome, ending(server), attempts, server.0.entropy.id());
            return server.propose(Change::Evaluations(evals)).await.map(|_| ());
        }
    }
}
