//! Between the state and the broker: pending evaluations go in, workers take them out, blocked ones wait for room, and
//! what is not needed any more or failed too often is written back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_base::{DeploymentId, EvalId, Monotonic, NodeId, Rng, WallTime};
use drover_model::command::Change;
use drover_model::{EvalStatus, Evaluation, JobId};
use drover_scheduler::blocked::{Blocked, Waits};
use drover_scheduler::broker::{Broker, CANCEL_BATCH, Queues, Token, give_up};
use drover_state::Snapshot;
use tokio::sync::{Notify, oneshot};

use crate::config::PlantedBug;
use crate::machine::Changes;
use crate::server::Server;

/// The wait before something is written again that could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// How often evaluations that only lost a race for room come back.
const CONTENDED_EVERY: Duration = Duration::from_secs(60);
/// Why an evaluation is cancelled that a newer one of its job went past.
const WENT_PAST: &str = "canceled after more recent eval was processed";
/// Why an evaluation is cancelled whose job has nothing left to place.
const PLACED: &str = "canceled because the job needs no more placements";

struct Parked {
    queues: Queues,
    give: oneshot::Sender<(Arc<Evaluation>, Token)>,
}

#[derive(Default)]
struct Desk {
    broker: Broker,
    blocked: Blocked,
    workers: VecDeque<Parked>,
    /// Evaluations to be cancelled, and why.
    cancel: VecDeque<(EvalId, String)>,
    contended_at: Option<Monotonic>,
    /// Until when the loop sleeps if nobody wakes it; none is for ever.
    armed: Option<Monotonic>,
    /// The loop has something to look at now.
    attention: bool,
    planted: Option<PlantedBug>,
}

/// The broker and blocked evaluations, shared by the loops.
#[derive(Default)]
pub(crate) struct Leader {
    desk: Mutex<Desk>,
    wake: Notify,
    /// Deployments to look at.
    pub(super) deployments: Mutex<BTreeSet<DeploymentId>>,
    pub(super) deployment_wake: Notify,
    /// Plans in flight.
    pub(super) ahead: super::ahead::Ahead,
    pub(super) heartbeat_wake: Notify,
    /// Nodes that drain and something on them or of their jobs changed.
    pub(super) drain_wake: Notify,
    /// Jobs that changed since the periodic launcher looked.
    pub(super) periodic: Mutex<BTreeSet<JobId>>,
    pub(super) periodic_wake: Notify,
}

/// How a worker ends with an evaluation.
pub(crate) enum Answer {
    Done,
    Again,
}

/// The time as loops see it.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: WallTime,
    pub(crate) monotonic: Monotonic,
}

impl Leader {
    pub(crate) fn new(planted: Option<PlantedBug>) -> Self {
        let desk = Desk { broker: Broker::enabled(), planted, ..Desk::default() };
        Self { desk: Mutex::new(desk), ..Self::default() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake_heartbeats(&self) {
        self.heartbeat_wake.notify_one();
    }

    /// Counts of evaluations: ready, waiting behind their job, with a worker, delayed, blocked.
    pub(crate) fn counts(&self) -> [usize; 5] {
        let desk = self.desk();
        let counts = desk.broker.counts();
        [counts.ready, counts.pending, counts.outstanding, counts.waiting, desk.blocked.len()]
    }

    /// How many evaluations are still to be worked out.
    pub(crate) fn load(&self) -> usize {
        self.desk().broker.load()
    }

    /// Takes up what the state says is pending or blocked; deadlines are re-armed from now.
    pub(crate) fn take_up(&self, state: &Snapshot, moment: Moment) {
        {
            let mut desk = self.desk();
            for eval in state.evals().filter(|eval| !eval.status.is_terminal()) {
                desk.take(Arc::clone(eval), moment);
            }
            desk.deliver(moment);
        }
        let active = state.deployments().filter(|deployment| deployment.status.is_active());
        self.deployments.lock().unwrap_or_else(PoisonError::into_inner).extend(active.map(|deployment| deployment.id));
        self.deployment_wake.notify_one();
        self.drain_wake.notify_one();
        self.wake.notify_one();
        self.wake_heartbeats();
    }

    /// Stops giving evaluations out, and forgets all of them: they stay in the state.
    pub(crate) fn pause_broker(&self) {
        let mut desk = self.desk();
        desk.broker.disable();
        desk.blocked.clear();
        desk.cancel.clear();
    }

    /// Takes evaluations in again, all that are open in the state.
    pub(crate) fn resume_broker(&self, state: &Snapshot, moment: Moment) {
        self.desk().broker.enable();
        self.take_up(state, moment);
    }

    /// Whether evaluations are given out.
    pub(crate) fn broker_enabled(&self) -> bool {
        self.desk().broker.is_enabled()
    }

    /// Waits for an evaluation.
    pub(super) async fn dequeue(&self, now: Monotonic, queues: Queues) -> Option<(Arc<Evaluation>, Token)> {
        let (give, take) = oneshot::channel();
        {
            let mut desk = self.desk();
            desk.workers.push_back(Parked { queues, give });
            // Nothing is taken in here, so the wall clock has no say.
            desk.deliver(Moment { wall: WallTime::ZERO, monotonic: now });
            self.wake_for(&desk);
        }
        take.await.ok()
    }

    /// Evaluations that are ready now, at most so many: workers that wait have been served, so nobody goes short.
    pub(super) fn dequeue_ready(&self, now: Monotonic, most: usize, queues: Queues) -> Vec<(Arc<Evaluation>, Token)> {
        let mut desk = self.desk();
        std::iter::from_fn(|| desk.broker.dequeue(now, queues)).take(most).collect()
    }

    pub(super) fn answer(&self, moment: Moment, id: EvalId, token: Token, answer: &Answer) {
        let mut desk = self.desk();
        let result = match answer {
            Answer::Done => desk.broker.ack(moment.monotonic, moment.wall, id, token),
            Answer::Again => {
                desk.attention = true;
                desk.broker.nack(moment.monotonic, id, token)
            }
        };
        if let Err(error) = result {
            tracing::debug!(eval_id = %id, %error, "the answer of a worker came too late");
        }
        for eval in desk.broker.take_cancelable(usize::MAX) {
            desk.cancel.push_back((eval.id, WENT_PAST.to_owned()));
        }
        desk.deliver(moment);
        self.wake_for(&desk);
    }

    /// Wakes the loop if it would sleep past something.
    fn wake_for(&self, desk: &Desk) {
        let earlier = desk.next_deadline().is_some_and(|at| desk.armed.is_none_or(|armed| at < armed));
        if desk.attention || earlier || !desk.cancel.is_empty() {
            self.wake.notify_one();
        }
    }

    pub(super) fn holds(&self, id: EvalId, token: Token) -> bool {
        self.desk().broker.holds(id, token)
    }

    /// The holder's plan waits to be committed; its time stands still until [`Self::plan_answered`] (EVL-012).
    pub(super) fn plan_waits(&self, id: EvalId, token: Token) {
        // Whoever lost the evaluation learns it from the applier.
        let _ = self.desk().broker.pause(id, token);
    }

    /// The holder has its answer and its full time again.
    pub(super) fn plan_answered(&self, now: Monotonic, id: EvalId, token: Token) {
        let mut desk = self.desk();
        // Whoever lost the evaluation learns it from the applier.
        let _ = desk.broker.restart_timer(now, id, token);
        self.wake_for(&desk);
    }

    fn take_changes(&self, state: &Snapshot, changes: &Changes, moment: Moment) {
        let mut timed = Vec::new();
        {
            let mut desk = self.desk();
            for id in &changes.evals {
                if let Some(eval) = state.eval(*id) {
                    desk.take(Arc::clone(eval), moment);
                }
            }
            desk.freed(state, &changes.freed, moment);
            for job in &changes.jobs {
                let row = state.job(job);
                if row.is_none_or(|row| row.job().stop) {
                    for eval in desk.blocked.untrack(job) {
                        desk.cancel.push_back((eval.id, PLACED.to_owned()));
                    }
                }
                // Children and other jobs without times are many; the launcher need not hear of them.
                if row.is_none_or(|row| row.job().is_periodic()) {
                    timed.push(job.clone());
                }
            }
            desk.deliver(moment);
        }
        if !changes.deployments.is_empty() {
            self.deployments.lock().unwrap_or_else(PoisonError::into_inner).extend(&changes.deployments);
            self.deployment_wake.notify_one();
        }
        if !timed.is_empty() {
            self.periodic.lock().unwrap_or_else(PoisonError::into_inner).extend(timed);
            self.periodic_wake.notify_one();
        }
        if state.draining().next().is_some() {
            self.drain_wake.notify_one();
        }
    }
}

impl Desk {
    fn take(&mut self, eval: Arc<Evaluation>, moment: Moment) {
        match eval.status {
            EvalStatus::Pending => self.broker.enqueue(moment.monotonic, moment.wall, eval),
            EvalStatus::Blocked if self.broker.is_enabled() => self.block(eval, moment),
            // The job was placed in full since: what waited for room is not needed any more (EVL-033).
            EvalStatus::Complete if eval.failed_groups.is_empty() && eval.blocked_eval.is_none() => {
                for older in self.blocked.untrack_older(&eval.job_id, eval.modify_index) {
                    self.cancel.push_back((older.id, PLACED.to_owned()));
                }
            }
            EvalStatus::Blocked | EvalStatus::Complete | EvalStatus::Failed | EvalStatus::Canceled => {}
        }
    }

    fn block(&mut self, eval: Arc<Evaluation>, moment: Moment) {
        if let Waits::RunNow(eval) = self.blocked.block(eval) {
            // Its worker may not be done with it yet.
            self.broker.enqueue_again(moment.monotonic, moment.wall, eval);
        }
        for duplicate in self.blocked.take_duplicates() {
            let why = format!("existing blocked evaluation exists for job {:?}", duplicate.job_id.id);
            self.cancel.push_back((duplicate.id, why));
        }
    }

    /// Room came up on nodes: each class of them is looked at once, however many nodes it has.
    fn freed(&mut self, state: &Snapshot, nodes: &BTreeSet<NodeId>, moment: Moment) {
        let ready = || nodes.iter().filter_map(|id| state.node(*id)).filter(|row| row.ready());
        let classes: BTreeSet<u64> = ready().map(|row| row.class).collect();
        let mut back = Vec::new();
        for class in classes {
            back.extend(self.blocked.unblock(&format!("v1:{class}"), state.index(), moment.monotonic));
        }
        for row in ready() {
            back.extend(self.blocked.unblock_node(row.node.id));
        }
        self.give_back(back, moment);
    }

    fn give_back(&mut self, evals: Vec<Arc<Evaluation>>, moment: Moment) {
        for eval in evals {
            self.broker.enqueue_again(moment.monotonic, moment.wall, eval);
        }
    }

    /// Moves time on. Returns evaluations that were delivered too often, held by the caller.
    fn tick(&mut self, moment: Moment) -> Vec<(Arc<Evaluation>, Token)> {
        self.broker.tick(moment.monotonic);
        match self.contended_at {
            Some(at) if at <= moment.monotonic => {
                self.contended_at = None;
                let back = self.blocked.unblock_contended();
                self.give_back(back, moment);
            }
            None if self.blocked.has_contended() => self.contended_at = Some(moment.monotonic + CONTENDED_EVERY),
            _ => {}
        }
        self.deliver(moment);
        std::iter::from_fn(|| self.broker.dequeue(moment.monotonic, Queues::FAILED)).collect()
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        self.broker.next_deadline().into_iter().chain(self.contended_at).min()
    }

    /// Gives what is ready to workers that wait, the longest waiting first.
    fn deliver(&mut self, moment: Moment) {
        while let Some(worker) = self.workers.pop_front() {
            if worker.give.is_closed() {
                continue;
            }
            let Some((eval, token)) = self.broker.dequeue(moment.monotonic, worker.queues) else {
                self.workers.push_front(worker);
                return;
            };
            if self.planted == Some(PlantedBug::DoubleDelivery)
                && let Some(second) = self.workers.pop_front()
            {
                let _ = second.give.send((Arc::clone(&eval), token));
            }
            let id = eval.id;
            if worker.give.send((eval, token)).is_err() {
                // The worker went away just now.
                let _ = self.broker.nack(moment.monotonic, id, token);
                self.attention = true;
            }
        }
    }

    fn take_cancelled(&mut self) -> Vec<(EvalId, String)> {
        let count = self.cancel.len().min(CANCEL_BATCH);
        self.cancel.drain(..count).collect()
    }
}

/// Feeds the broker from the state, and time.
pub(super) async fn run(server: Server) {
    let leader = &server.0.leader;
    loop {
        let deadline = {
            let mut desk = leader.desk();
            desk.attention = false;
            desk.armed = desk.next_deadline();
            desk.armed
        };
        tokio::select! {
            biased;
            changes = server.0.region.next_changes() => {
                leader.take_changes(&server.snapshot(), &changes, server.moment());
            }
            () = leader.wake.notified() => {}
            () = server.0.clock.sleep_until(deadline) => {}
        }
        let (failed, cancelled) = {
            let mut desk = leader.desk();
            let failed = desk.tick(server.moment());
            (failed, desk.take_cancelled())
        };
        if !cancelled.is_empty() {
            cancel(&server, cancelled).await;
            leader.wake.notify_one();
        }
        if !failed.is_empty() {
            record_failures(&server, failed).await;
        }
    }
}

/// Writes that evaluations are not needed any more; what cannot be written is tried again.
async fn cancel(server: &Server, cancelled: Vec<(EvalId, String)>) {
    let (now, state) = (server.stamp(), server.snapshot());
    let mut evals = Vec::new();
    for (id, why) in &cancelled {
        let Some(eval) = state.eval(*id).filter(|eval| !eval.status.is_terminal()) else { continue };
        let mut eval = Evaluation::clone(eval);
        eval.status = EvalStatus::Canceled;
        eval.status_description.clone_from(why);
        eval.modify_time = now;
        evals.push(eval);
    }
    if !evals.is_empty()
        && let Err(error) = server.propose(Change::Evaluations(evals)).await
    {
        tracing::warn!(%error, "cannot cancel evaluations, trying again");
        server.0.leader.desk().cancel.extend(cancelled);
        server.0.clock.sleep(RETRY).await;
    }
}

/// Writes that evaluations failed, with their follow-ups, in one entry.
async fn record_failures(server: &Server, failed: Vec<(Arc<Evaluation>, Token)>) {
    let (now, state) = (server.stamp(), server.snapshot());
    let mut rng = Rng::new(server.0.entropy.seed());
    let mut evals = Vec::new();
    for (eval, _) in &failed {
        if state.eval(eval.id).is_none_or(|stored| stored.status.is_terminal()) {
            continue;
        }
        tracing::warn!(eval_id = %eval.id, job_id = %eval.job_id, "evaluation reached its delivery limit");
        evals.extend(give_up(eval, state.job(&eval.job_id).is_some(), server.0.entropy.id(), rng.unit(), now));
    }
    let answer = match server.propose(Change::Evaluations(evals)).await {
        Ok(_) => Answer::Done,
        Err(error) => {
            tracing::warn!(%error, "cannot record failed evaluations, trying again");
            server.0.clock.sleep(RETRY).await;
            Answer::Again
        }
    };
    for (eval, token) in failed {
        server.0.leader.answer(server.moment(), eval.id, token, &answer);
    }
}
