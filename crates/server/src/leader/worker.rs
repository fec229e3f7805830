//! A scheduler worker: takes evaluations as they are ready, works them out one after the other on the state as it will be,
//! and hands their plans to the applier. While those are being committed it works on. When very many come in, it gathers them for
//! a moment ([`crate::pace`]), so that their ends share log entries.

use std::sync::Arc;
use std::time::Duration;

use drover_base::Rng;
use drover_model::Evaluation;
use drover_rt::TaskScope;
use drover_scheduler::broker::Token;
use drover_scheduler::reconcile::newest_deployment;
use drover_scheduler::{Attempts, Context, Ending, Outcome, conclude, give_up, process};
use drover_state::Snapshot;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::applier::Verdict;
use super::{Answer, PlanRequest};
use crate::error::EndpointError;
use crate::pace::Pace;
use crate::server::Server;

/// Evaluations worked out on one state at most.
const BATCH_EVALS_MAX: usize = 64;
/// Allocations placed on one state, after which the batch is as good as full.
const BATCH_ALLOCS_MAX: usize = 4_000;
/// Evaluations whose plans are being committed at most; beyond that the worker waits.
const IN_FLIGHT_MAX: usize = 256;
/// How long the state may lag behind an evaluation (EVL-022).
const STATE_LIMIT: Duration = Duration::from_secs(5);

/// An evaluation in a worker's hands.
struct Turn {
    eval: Arc<Evaluation>,
    token: Token,
    attempts: Attempts,
}

/// A turn that was worked out, with what came of it.
struct Worked {
    turn: Turn,
    outcome: Outcome,
    ending: Ending,
}

/// How a turn went on.
enum Next {
    /// It is over.
    Over,
    /// Something did not fit: once more on newer state.
    Again(Box<Turn>),
}

/// Starts more workers when more are wanted than there are; those that are too many end by themselves.
pub(super) async fn keep_number(server: Server, plans: mpsc::Sender<PlanRequest>, scope: TaskScope) {
    let mut wanted = server.0.workers.subscribe();
    let mut count = server.0.config.workers;
    loop {
        let now = *wanted.borrow_and_update();
        for number in count..now {
            scope.spawn_until_stop("scheduler worker", run(server.clone(), plans.clone(), number));
        }
        count = now;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// The worker of a number, counted from 0; it ends when no more than that many are wanted.
pub(super) async fn run(server: Server, plans: mpsc::Sender<PlanRequest>, number: usize) {
    let mut wanted = server.0.workers.subscribe();
    let mut finishing: FuturesUnordered<BoxFuture<'static, Next>> = FuturesUnordered::new();
    let mut again: Vec<Turn> = Vec::new();
    let mut dequeued: BoxFuture<'_, _> = Box::pin(next_turn(&server, number));
    let (pace, mut last) = (Pace::default(), None);
    loop {
        if again.is_empty() {
            let needed = number < *wanted.borrow_and_update();
            if !needed && finishing.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(next) = finishing.next(), if !finishing.is_empty() => {
                    again.extend(next.again());
                    continue;
                }
                Ok(()) = wanted.changed() => continue,
                first = &mut dequeued, if needed && finishing.len() < IN_FLIGHT_MAX => {
                    server.0.crew.works(number);
                    again.extend(first.map(|(eval, token)| Turn::new(eval, token)));
                    fill(&server, &mut again);
                    let now = server.0.clock.monotonic();
                    if again.len() < BATCH_EVALS_MAX && let Some(until) = pace.hold(now, last) {
                        server.0.clock.sleep_until(Some(until)).await;
                        fill(&server, &mut again);
                    }
                    last = Some(server.0.clock.monotonic());
                    pace.count(now, again.len());
                    dequeued = Box::pin(next_turn(&server, number));
                }
            }
        }
        let batch = std::mem::take(&mut again);
        if let Err(error) = work(&server, &plans, batch, &mut again, &mut finishing).await {
            tracing::warn!(%error, "a scheduler worker cannot go on and waits");
            server.0.clock.sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Waits for the worker's next evaluation.
async fn next_turn(server: &Server, number: usize) -> Option<(Arc<Evaluation>, Token)> {
    let queues = server.0.crew.waits(number, server.0.clock.now());
    server.0.leader.dequeue(server.0.clock.monotonic(), queues).await
}

/// Takes what else is ready, as far as a batch has room for it.
fn fill(server: &Server, batch: &mut Vec<Turn>) {
    let room = BATCH_EVALS_MAX.saturating_sub(batch.len());
    let more = server.0.leader.dequeue_ready(server.0.clock.monotonic(), room, server.0.crew.queues());
    batch.extend(more.into_iter().map(|(eval, token)| Turn::new(eval, token)));
}

impl Next {
    fn again(self) -> Option<Turn> {
        match self {
            Self::Over => None,
            Self::Again(turn) => Some(*turn),
        }
    }
}

impl Turn {
    fn new(eval: Arc<Evaluation>, token: Token) -> Self {
        Self { attempts: Attempts::new(eval.kind), eval, token }
    }

    /// Gives the evaluation back, for an error that may pass.
    fn give_back(&self, server: &Server, error: &EndpointError) {
        tracing::warn!(eval_id = %self.eval.id, job_id = %self.eval.job_id, %error, "evaluation failed and will be tried again");
        server.0.leader.answer(server.moment(), self.eval.id, self.token, &Answer::Again);
    }
}

/// Works a batch out on one state. What finds no room waits for the verdicts on the others: room that these were counted
/// with and do not take would never be announced.
async fn work(
    server: &Server,
    plans: &mpsc::Sender<PlanRequest>,
    batch: Vec<Turn>,
    again: &mut Vec<Turn>,
    finishing: &mut FuturesUnordered<BoxFuture<'static, Next>>,
) -> Result<(), EndpointError> {
    let newest = batch.iter().map(|turn| turn.eval.modify_index).max().unwrap_or(0);
    if !server.reached(newest, STATE_LIMIT).await {
        let error = EndpointError::internal(format!("the state did not reach index {newest} in time"));
        for turn in &batch {
            turn.give_back(server, &error);
        }
        return Ok(());
    }
    let mut state = server.0.leader.ahead.of(&server.snapshot());
    let (mut answers, mut short, mut placed) = (Vec::new(), Vec::new(), 0);
    let mut batch = batch.into_iter().peekable();
    while let Some(turn) = batch.next() {
        if placed >= BATCH_ALLOCS_MAX {
            again.push(turn);
            continue;
        }
        if state.eval(turn.eval.id).is_none_or(|stored| stored.status.is_terminal()) {
            server.0.leader.answer(server.moment(), turn.eval.id, turn.token, &Answer::Done);
            continue;
        }
        let worked = work_out(server, &state, turn);
        placed += worked.outcome.plan.allocs();
        // Nobody places after the last one.
        if !worked.outcome.plan.is_empty() && batch.peek().is_some() {
            Arc::make_mut(&mut state).anticipate(&worked.outcome.plan);
        }
        if worked.outcome.failed_groups.is_empty() {
            answers.push(submit(server, plans, &state, worked).await?);
        } else {
            short.push(worked);
        }
        // Others want the processor too.
        tokio::task::yield_now().await;
    }
    let mut settled = true;
    for (worked, answer) in answers {
        settled &= judge(server, worked, answer, finishing).await;
    }
    // Those that take some room all the same go one after the other, those that take none together.
    let (some, none): (Vec<_>, Vec<_>) = short.into_iter().partition(|worked| worked.outcome.plan.allocs() > 0);
    for worked in some {
        if settled {
            let (worked, answer) = submit(server, plans, &state, worked).await?;
            settled = judge(server, worked, answer, finishing).await;
        } else {
            again.push(worked.turn);
        }
    }
    if !settled {
        again.extend(none.into_iter().map(|worked| worked.turn));
        return Ok(());
    }
    let mut answers = Vec::with_capacity(none.len());
    for worked in none {
        answers.push(submit(server, plans, &state, worked).await?);
    }
    for (worked, answer) in answers {
        judge(server, worked, answer, finishing).await;
    }
    Ok(())
}

fn work_out(server: &Server, state: &Snapshot, turn: Turn) -> Worked {
    let started = server.0.clock.monotonic();
    let mut context = Context { now: server.0.clock.now(), rng: Rng::new(server.0.entropy.seed()) };
    let mut outcome = process(state, &turn.eval, &mut context);
    let took = server.0.clock.monotonic().since(started);
    for metrics in outcome.failed_groups.values_mut() {
        metrics.allocation_time_ns = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
    }
    let made = outcome.plan.deployment.as_ref().map(|deployment| deployment.id);
    let deployment = made.or_else(|| if turn.eval.kind.is_batch() { None } else { newest_deployment(state, &turn.eval.job_id) });
    let ending = Ending { now: server.stamp(), snapshot_index: state.index(), deployment };
    Worked { turn, outcome, ending }
}

type Answered = oneshot::Receiver<Result<Verdict, EndpointError>>;

/// Sends a plan to the applier, with the end of its evaluation.
async fn submit(
    server: &Server,
    plans: &mpsc::Sender<PlanRequest>,
    state: &Snapshot,
    mut worked: Worked,
) -> Result<(Worked, Answered), EndpointError> {
    let (reply, answer) = oneshot::channel();
    let Turn { eval, token, .. } = &worked.turn;
    let plan = worked.outcome.take_plan();
    let then = conclude(state, eval, worked.outcome.clone(), worked.ending);
    // While the plan is in the queue, its evaluation cannot be late (EVL-012).
    server.0.leader.plan_waits(eval.id, *token);
    let request = PlanRequest { eval: Arc::clone(eval), token: *token, plan, needed: state.index(), then, reply };
    plans.send(request).await.map_err(|_| EndpointError::internal("the plan applier has stopped"))?;
    Ok((worked, answer))
}

/// Waits for the verdict and leaves the rest to be finished. Returns whether everything was let through.
async fn judge(server: &Server, worked: Worked, answer: Answered, finishing: &mut FuturesUnordered<BoxFuture<'static, Next>>) -> bool {
    let verdict = answer.await.unwrap_or_else(|_| Err(EndpointError::internal("the plan applier has stopped")));
    let turn = &worked.turn;
    server.0.leader.plan_answered(server.0.clock.monotonic(), turn.eval.id, turn.token);
    match verdict {
        Ok(verdict) => {
            let whole = !verdict.partial;
            finishing.push(Box::pin(finish(server.clone(), worked, verdict)));
            whole
        }
        Err(error) => {
            turn.give_back(server, &error);
            false
        }
    }
}

/// Waits for the commit; then the evaluation is over, or has another turn, or is given up.
async fn finish(server: Server, worked: Worked, verdict: Verdict) -> Next {
    let Worked { mut turn, outcome, ending } = worked;
    let committed = verdict.committed.await.unwrap_or_else(|_| Err(EndpointError::internal("the plan applier has stopped")));
    // What changed between the check and the entry was left out there, and the evaluation with it.
    let written = |id, before| server.snapshot().eval(id).is_none_or(|eval| eval.modify_index > before);
    let whole = !verdict.partial && committed.is_ok() && written(turn.eval.id, turn.eval.modify_index);
    let result = match committed {
        Ok(()) if whole => Ok(()),
        Ok(()) if turn.attempts.again(verdict.progress) => return Next::Again(Box::new(turn)),
        Ok(()) => {
            let evals = give_up(&turn.eval, outcome, ending, turn.attempts, server.0.entropy.id());
            server.propose(drover_model::command::Change::Evaluations(evals)).await.map(|_| ())
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => {
            tracing::debug!(eval_id = %turn.eval.id, job_id = %turn.eval.job_id, "evaluation done");
            server.0.leader.answer(server.moment(), turn.eval.id, turn.token, &Answer::Done);
        }
        Err(error) => turn.give_back(&server, &error),
    }
    Next::Over
}
