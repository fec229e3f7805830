//! Between the state and the broker: pending evaluations go in, workers take them out, blocked ones wait for room.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drover_base::{DeploymentId, EvalId, Monotonic, WallTime};
use drover_model::command::Change;
use drover_model::{EvalStatus, Evaluation};
use drover_scheduler::blocked::{Blocked, Waits};
use drover_scheduler::broker::{Action, Broker, Event, Token};
use drover_state::Snapshot;
use tokio::sync::{Notify, oneshot};

use crate::config::PlantedBug;
use crate::machine::Changes;
use crate::server::Server;

#[derive(Default)]
struct Queues {
    broker: Broker,
    blocked: Blocked,
    workers: VecDeque<oneshot::Sender<(Arc<Evaluation>, Token)>>,
    /// Evaluations whose status must be written: cancelled or failed.
    settle: Vec<Evaluation>,
    planted: Option<PlantedBug>,
}

/// The broker and blocked evaluations, shared by the loops.
#[derive(Default)]
pub(crate) struct Leader {
    queues: Mutex<Queues>,
    wake: Notify,
    /// Deployments to look at.
    pub(super) deployments: Mutex<BTreeSet<DeploymentId>>,
    pub(super) deployment_wake: Notify,
    pub(super) heartbeat_wake: Notify,
}

/// How a worker ends with an evaluation.
pub(crate) enum Answer {
    Done,
    Again,
}

impl Leader {
    pub(crate) fn new(planted: Option<PlantedBug>) -> Self {
        Self { queues: Mutex::new(Queues { planted, ..Queues::default() }), ..Self::default() }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wake(&self) {
        self.heartbeat_wake.notify_one();
    }

    /// Counts of evaluations: ready, waiting behind their job, with a worker, delayed, blocked.
    pub(crate) fn counts(&self) -> [usize; 5] {
        let queues = self.queues();
        let [ready, waiting, held, delayed] = queues.broker.counts();
        [ready, waiting, held, delayed, queues.blocked.len()]
    }

    /// Takes up what the state says is pending or blocked; deadlines are re-armed from now.
    pub(crate) fn take_up(&self, state: &Snapshot, now: WallTime, monotonic: Monotonic) {
        let mut queues = self.queues();
        for eval in state.evals().filter(|eval| !eval.status.is_terminal()) {
            queues.take(Arc::clone(eval), now, monotonic);
        }
        drop(queues);
        let active = state.deployments().filter(|deployment| deployment.status.is_active());
        self.deployments.lock().unwrap_or_else(PoisonError::into_inner).extend(active.map(|deployment| deployment.id));
        self.deployment_wake.notify_one();
        self.wake.notify_one();
    }

    /// Waits for an evaluation.
    pub(super) async fn dequeue(&self, now: Monotonic) -> Option<(Arc<Evaluation>, Token)> {
        let (give, take) = oneshot::channel();
        {
            let mut queues = self.queues();
            queues.workers.push_back(give);
            queues.broker(now, Event::Dequeue);
        }
        take.await.ok()
    }

    pub(super) fn answer(&self, now: Monotonic, id: EvalId, token: Token, answer: &Answer) {
        let event = match answer {
            Answer::Done => Event::Ack(id, token),
            Answer::Again => Event::Nack(id, token),
        };
        self.queues().broker(now, event);
        self.wake.notify_one();
    }

    pub(super) fn holds(&self, id: EvalId, token: Token) -> bool {
        self.queues().broker.holds(id, token)
    }

    fn take_changes(&self, state: &Snapshot, changes: Changes, now: WallTime, monotonic: Monotonic) {
        {
            let mut queues = self.queues();
            for id in changes.evals {
                if let Some(eval) = state.eval(id) {
                    queues.take(Arc::clone(eval), now, monotonic);
                }
            }
            for id in changes.freed {
                if let Some(row) = state.node(id).filter(|row| row.ready()) {
                    for eval in queues.blocked.unblock(&row.class_text(), state.index()) {
                        queues.broker(monotonic, Event::Enqueue(eval));
                    }
                }
            }
            for job in changes.jobs {
                let gone = state.job(&job).is_none_or(|row| row.job().stop);
                if gone && let Some(eval) = queues.blocked.untrack(&job) {
                    queues.cancel(&eval);
                }
            }
        }
        if !changes.deployments.is_empty() {
            self.deployments.lock().unwrap_or_else(PoisonError::into_inner).extend(changes.deployments);
            self.deployment_wake.notify_one();
        }
    }
}

impl Queues {
    fn take(&mut self, eval: Arc<Evaluation>, now: WallTime, monotonic: Monotonic) {
        match eval.status {
            EvalStatus::Pending if eval.wait_until > now => {
                let at = monotonic + eval.wait_until.since(now);
                self.broker.delay(eval, at);
            }
            EvalStatus::Pending => self.broker(monotonic, Event::Enqueue(eval)),
            EvalStatus::Blocked => {
                let (waits, older) = self.blocked.block(eval);
                if let Some(older) = older {
                    self.cancel(&older);
                }
                if let Waits::RunNow(eval) = waits {
                    self.broker(monotonic, Event::Enqueue(eval));
                }
            }
            // The job was placed in full since: what waited for room is not needed any more.
            EvalStatus::Complete if eval.failed_groups.is_empty() && eval.blocked_eval.is_none() => {
                if let Some(older) = self.blocked.untrack(&eval.job_id) {
                    self.cancel(&older);
                }
            }
            _ => {}
        }
    }

    fn cancel(&mut self, eval: &Evaluation) {
        let mut cancelled = eval.clone();
        cancelled.status = EvalStatus::Canceled;
        "evaluation became unnecessary: the job was evaluated again since".clone_into(&mut cancelled.status_description);
        self.settle.push(cancelled);
    }

    fn broker(&mut self, now: Monotonic, event: Event) {
        for action in self.broker.handle(now, event) {
            match action {
                Action::Deliver(eval, token) => {
                    let worker = self.workers.pop_front();
                    let id = eval.id;
                    if self.planted == Some(PlantedBug::DoubleDelivery)
                        && let Some(second) = self.workers.pop_front()
                    {
                        let _ = second.send((Arc::clone(&eval), token));
                    }
                    let given = worker.is_some_and(|worker| worker.send((eval, token)).is_ok());
                    if !given {
                        // The worker went away while it waited.
                        self.broker(now, Event::Nack(id, token));
                    }
                }
                Action::GiveUp(eval) => {
                    let mut failed = Evaluation::clone(&eval);
                    failed.status = EvalStatus::Failed;
                    "evaluation reached delivery limit".clone_into(&mut failed.status_description);
                    self.settle.push(failed);
                }
            }
        }
    }
}

/// Feeds the broker from the state, and time.
pub(super) async fn run(server: Server) {
    let leader = &server.0.leader;
    loop {
        let deadline = leader.queues().broker.next_deadline();
        tokio::select! {
            biased;
            changes = server.0.region.next_changes() => {
                leader.take_changes(&server.snapshot(), changes, server.0.clock.now(), server.0.clock.monotonic());
            }
            () = leader.wake.notified() => {}
            () = server.0.clock.sleep_until(deadline) => {}
        }
        let settle = {
            let mut queues = leader.queues();
            queues.broker(server.0.clock.monotonic(), Event::Tick);
            std::mem::take(&mut queues.settle)
        };
        if !settle.is_empty() {
            let now = server.stamp();
            let state = server.snapshot();
            let evals = settle.into_iter().filter(|eval| state.eval(eval.id).is_some_and(|stored| !stored.status.is_terminal()));
            let evals: Vec<_> = evals
                .map(|mut eval| {
                    eval.modify_time = now;
                    eval
                })
                .collect();
            if !evals.is_empty()
                && let Err(error) = server.propose(Change::Evaluations(evals)).await
            {
                tracing::warn!(%error, "cannot write the end of evaluations");
            }
        }
    }
}
