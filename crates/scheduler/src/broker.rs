//! The evaluation broker: hands each pending evaluation to at most one worker at a time, at least once overall.
//!
//! Of a job one evaluation is ready or outstanding at a time; later ones wait behind it, and once it is done only the best
//! of them goes on: the rest would find nothing left to do and are to be cancelled. What is not acknowledged in time, or
//! refused, comes again after a delay, up to a limit of deliveries; then it goes to a queue of its own, whose reader
//! records the failure and makes a follow-up.
//!
//! A disabled broker, as on every server that does not lead, is empty and takes nothing in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover_base::{EvalId, Monotonic, WallTime};
use drover_model::{EvalStatus, Evaluation, Index, JobId, JobType, Trigger};

/// How long a worker may hold an evaluation.
pub const NACK_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an evaluation is delivered before it counts as failed.
pub const DELIVERY_LIMIT: u32 = 3;
/// The wait before the second delivery.
const FIRST_NACK_DELAY: Duration = Duration::from_secs(1);
/// The wait before later ones, for each delivery after the first.
const NACK_DELAY: Duration = Duration::from_secs(20);
/// The wait before the follow-up of a failed evaluation.
const FOLLOW_UP_WAIT: Duration = Duration::from_secs(60);
/// Up to so much is added to it at random.
const FOLLOW_UP_SPREAD: Duration = Duration::from_secs(300);
/// How many evaluations are cancelled in one log entry.
pub const CANCEL_BATCH: usize = 728;

/// Proves that a worker holds an evaluation.
pub type Token = u64;

/// What a worker takes from: evaluations of some types of jobs, or those that were delivered too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues(u8);

impl Queues {
    /// Evaluations of every type of job.
    pub const ALL_TYPES: Self = Self(0b1111);
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Evaluations that were delivered too often.
    pub const FAILED: Self = Self(0b1_0000);

    /// Evaluations of one type of job.
    pub fn of(kind: JobType) -> Self {
        Self(1 << Self::position(kind))
    }

    /// Those and these.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn position(kind: JobType) -> usize {
        match kind {
            JobType::Service => 0,
            JobType::Batch => 1,
            JobType::System => 2,
            JobType::Sysbatch => 3,
        }
    }

    fn holds(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }
}

/// The position of the queue of those that were delivered too often.
const FAILED: usize = 4;
/// How many queues there are.
const QUEUES: usize = 5;

/// An answer about an evaluation that the caller does not hold, or holds while its plan is being committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Nobody holds it.
    #[error("evaluation is not outstanding")]
    NotOutstanding,
    /// Somebody else holds it.
    #[error("token of evaluation does not match")]
    OtherHolder,
    /// Its timer stands still because its plan is being committed.
    #[error("evaluation is paused while its plan is committed")]
    Paused,
}

/// Order within a queue: priority, then age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    priority: Reverse<u8>,
    create_index: Index,
    arrived: u64,
}

/// Order behind a job: priority, then the newest change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PendingRank {
    priority: Reverse<u8>,
    modify_index: Reverse<Index>,
    arrived: u64,
}

struct Held {
    eval: Arc<Evaluation>,
    token: Token,
    /// When it is taken back; none while the timer stands still.
    deadline: Option<Monotonic>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delay {
    /// After a refusal; keeps the place of its job.
    Refused,
    /// Asked for a duration.
    Wait,
    /// Asked for a time.
    Until,
}

/// How many evaluations are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be taken by the next worker.
    pub ready: usize,
    /// Behind another one of their job.
    pub pending: usize,
    /// With a worker.
    pub outstanding: usize,
    /// Waiting for their time, whatever for.
    pub waiting: usize,
    /// Of these, waiting for a time that they were made for.
    pub delayed: usize,
    /// Unneeded, to be cancelled.
    pub cancelable: usize,
}

impl Counts {
    /// All that the broker still has to deliver.
    pub fn total(&self) -> usize {
        self.ready + self.pending + self.outstanding + self.waiting
    }
}

/// The broker of the leader.
#[derive(Default)]
pub struct Broker {
    enabled: bool,
    arrivals: u64,
    tokens: u64,
    ready: [BTreeMap<Rank, Arc<Evaluation>>; QUEUES],
    pending: BTreeMap<JobId, BTreeMap<PendingRank, Arc<Evaluation>>>,
    pending_count: usize,
    /// The one evaluation of each job that is ready, held, or refused and waiting.
    busy: BTreeMap<JobId, EvalId>,
    held: BTreeMap<EvalId, Held>,
    deadlines: BTreeSet<(Monotonic, EvalId)>,
    delayed: BTreeMap<(Monotonic, EvalId), (Arc<Evaluation>, Delay)>,
    /// Evaluations taken in, with how often each was delivered.
    deliveries: BTreeMap<EvalId, u32>,
    /// What comes back once its holder is done.
    requeue: BTreeMap<EvalId, Arc<Evaluation>>,
    cancelable: Vec<Arc<Evaluation>>,
}

impl Broker {
    /// A broker that takes evaluations in.
    pub fn enabled() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// Starts to take evaluations in.
    pub fn enable(&mut self) {
        self.enabled = true;
    }

    /// Drops everything, timers included, and takes nothing in until it is enabled again. Tokens given out are worth
    /// nothing from here on.
    pub fn disable(&mut self) {
        *self = Self { tokens: self.tokens, ..Self::default() };
    }

    /// Whether it takes evaluations in.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Takes an evaluation in; at once, or when its time has come. One that is known already is not taken in again.
    pub fn enqueue(&mut self, now: Monotonic, wall: WallTime, eval: Arc<Evaluation>) {
        if eval.wait_until > wall {
            let at = now + eval.wait_until.since(wall);
            return self.delay(at, eval, Delay::Until);
        }
        if self.enabled && !self.deliveries.contains_key(&eval.id) {
            self.deliveries.insert(eval.id, 0);
            self.queue(eval);
        }
    }

    /// Takes an evaluation in after `wait`.
    pub fn enqueue_after(&mut self, now: Monotonic, wait: Duration, eval: Arc<Evaluation>) {
        self.delay(now + wait, eval, Delay::Wait);
    }

    /// Takes an evaluation in that may be outstanding: then it comes again once its holder is done with it, unless the
    /// holder refuses it, in which case it comes again anyway.
    pub fn enqueue_again(&mut self, now: Monotonic, wall: WallTime, eval: Arc<Evaluation>) {
        if self.held.contains_key(&eval.id) {
            self.requeue.insert(eval.id, eval);
        } else {
            self.enqueue(now, wall, eval);
        }
    }

    fn delay(&mut self, at: Monotonic, eval: Arc<Evaluation>, delay: Delay) {
        if self.enabled && !self.deliveries.contains_key(&eval.id) {
            self.deliveries.insert(eval.id, 0);
            self.delayed.insert((at, eval.id), (eval, delay));
        }
    }

    fn queue(&mut self, eval: Arc<Evaluation>) {
        self.arrivals += 1;
        let arrived = self.arrivals;
        match self.busy.get(&eval.job_id) {
            Some(busy) if *busy != eval.id => {
                let rank = PendingRank { priority: Reverse(eval.priority), modify_index: Reverse(eval.modify_index), arrived };
                self.pending.entry(eval.job_id.clone()).or_default().insert(rank, eval);
                self.pending_count += 1;
            }
            busy => {
                if busy.is_none() {
                    self.busy.insert(eval.job_id.clone(), eval.id);
                }
                let rank = Rank { priority: Reverse(eval.priority), create_index: eval.create_index, arrived };
                self.ready[Queues::position(eval.kind)].insert(rank, eval);
            }
        }
    }

    /// The best evaluation of these queues, with a token that only its holder knows.
    pub fn dequeue(&mut self, now: Monotonic, queues: Queues) -> Option<(Arc<Evaluation>, Token)> {
        let firsts = (0..QUEUES).filter(|position| queues.holds(*position));
        let (_, position) = firsts.filter_map(|position| self.ready[position].keys().next().map(|rank| (*rank, position))).min()?;
        let (_, eval) = self.ready[position].pop_first()?;
        self.tokens += 1;
        *self.deliveries.entry(eval.id).or_default() += 1;
        let deadline = now + NACK_TIMEOUT;
        self.deadlines.insert((deadline, eval.id));
        self.held.insert(eval.id, Held { eval: Arc::clone(&eval), token: self.tokens, deadline: Some(deadline) });
        Some((eval, self.tokens))
    }

    fn held(&self, id: EvalId, token: Token) -> Result<&Held, NotHeld> {
        let held = self.held.get(&id).ok_or(NotHeld::NotOutstanding)?;
        if held.token == token { Ok(held) } else { Err(NotHeld::OtherHolder) }
    }

    /// Whether the token holds the evaluation (EVL-037).
    pub fn holds(&self, id: EvalId, token: Token) -> bool {
        self.held(id, token).is_ok()
    }

    /// The holder is done with it. The best evaluation behind it is ready now; the others of its job are to be cancelled.
    ///
    /// # Errors
    /// When the token does not hold the evaluation, or its timer stands still.
    pub fn ack(&mut self, now: Monotonic, wall: WallTime, id: EvalId, token: Token) -> Result<(), NotHeld> {
        if self.held(id, token)?.deadline.is_none() {
            return Err(NotHeld::Paused);
        }
        let Some(held) = self.release(id) else { return Err(NotHeld::NotOutstanding) };
        self.deliveries.remove(&id);
        self.busy.remove(&held.eval.job_id);
        if let Some(mut pending) = self.pending.remove(&held.eval.job_id) {
            self.pending_count -= pending.len();
            if let Some((_, best)) = pending.pop_first() {
                self.queue(best);
            }
            for stale in pending.into_values().rev() {
                self.deliveries.remove(&stale.id);
                self.cancelable.push(stale);
            }
        }
        if let Some(again) = self.requeue.remove(&id) {
            self.enqueue(now, wall, again);
        }
        Ok(())
    }

    /// The holder gives it up: it comes again later, or counts as failed.
    ///
    /// # Errors
    /// When the token does not hold the evaluation.
    pub fn nack(&mut self, now: Monotonic, id: EvalId, token: Token) -> Result<(), NotHeld> {
        self.held(id, token)?;
        self.take_back(now, id);
        Ok(())
    }

    fn take_back(&mut self, now: Monotonic, id: EvalId) {
        let Some(held) = self.release(id) else { return };
        self.requeue.remove(&id);
        let deliveries = self.deliveries.get(&id).copied().unwrap_or(0);
        if deliveries >= DELIVERY_LIMIT {
            self.arrivals += 1;
            let rank = Rank { priority: Reverse(held.eval.priority), create_index: held.eval.create_index, arrived: self.arrivals };
            self.ready[FAILED].insert(rank, held.eval);
            return;
        }
        let wait = if deliveries <= 1 { FIRST_NACK_DELAY } else { NACK_DELAY * (deliveries - 1) };
        self.delayed.insert((now + wait, id), (held.eval, Delay::Refused));
    }

    fn release(&mut self, id: EvalId) -> Option<Held> {
        let held = self.held.remove(&id)?;
        if let Some(deadline) = held.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(held)
    }

    fn set_deadline(&mut self, id: EvalId, token: Token, deadline: Option<Monotonic>) -> Result<(), NotHeld> {
        self.held(id, token)?;
        if let Some(held) = self.held.get_mut(&id) {
            if let Some(old) = std::mem::replace(&mut held.deadline, deadline) {
                self.deadlines.remove(&(old, id));
            }
            self.deadlines.extend(deadline.map(|deadline| (deadline, id)));
        }
        Ok(())
    }

    /// Its plan waits to be committed: the holder cannot be late until that is over.
    ///
    /// # Errors
    /// When the token does not hold the evaluation.
    pub fn pause(&mut self, id: EvalId, token: Token) -> Result<(), NotHeld> {
        self.set_deadline(id, token, None)
    }

    /// Its plan was answered, or the holder asks for more time: the full time runs again.
    ///
    /// # Errors
    /// When the token does not hold the evaluation.
    pub fn restart_timer(&mut self, now: Monotonic, id: EvalId, token: Token) -> Result<(), NotHeld> {
        self.set_deadline(id, token, Some(now + NACK_TIMEOUT))
    }

    /// Takes back what is late, and readies what has waited long enough.
    pub fn tick(&mut self, now: Monotonic) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let (eval, _) = entry.remove();
            self.queue(eval);
        }
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.take_back(now, id);
        }
    }

    /// The next moment [`Self::tick`] could change anything.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let delayed = self.delayed.keys().next().map(|(at, _)| *at);
        let held = self.deadlines.first().map(|(at, _)| *at);
        delayed.into_iter().chain(held).min()
    }

    /// Up to `max` evaluations that are to be cancelled; they are the caller's from here on.
    pub fn take_cancelable(&mut self, max: usize) -> Vec<Arc<Evaluation>> {
        let count = self.cancelable.len().min(max);
        self.cancelable.drain(..count).collect()
    }

    /// How many evaluations are where.
    pub fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.iter().map(BTreeMap::len).sum(),
            pending: self.pending_count,
            outstanding: self.held.len(),
            waiting: self.delayed.len(),
            delayed: self.delayed.values().filter(|(_, delay)| *delay == Delay::Until).count(),
            cancelable: self.cancelable.len(),
        }
    }

    /// What is there to be done now: all but what waits for its time. Cheap, for admission.
    pub fn load(&self) -> usize {
        self.ready.iter().map(BTreeMap::len).sum::<usize>() + self.pending_count + self.held.len()
    }
}

/// What is written about an evaluation that was delivered too often: that it failed, and a follow-up that tries again
/// later, unless its job is gone (EVL-014, EVL-015). `unit` in 0…1 spreads follow-ups over time.
pub fn give_up(eval: &Evaluation, job_exists: bool, follow_up: EvalId, unit: f64, now: WallTime) -> Vec<Evaluation> {
    let mut failed = Evaluation::clone(eval);
    failed.status = EvalStatus::Failed;
    failed.status_description = format!("evaluation reached delivery limit ({DELIVERY_LIMIT})");
    failed.modify_time = now;
    if !job_exists {
        return vec![failed];
    }
    let mut next = Evaluation::new(follow_up, eval.job_id.clone(), eval.kind, eval.priority, Trigger::FailedFollowUp, now);
    next.job_modify_index = eval.job_modify_index;
    next.previous_eval = Some(eval.id);
    next.wait_until = now + FOLLOW_UP_WAIT + FOLLOW_UP_SPREAD.mul_f64(unit.clamp(0.0, 1.0));
    failed.next_eval = Some(next.id);
    vec![failed, next]
}

#[cfg(test)]
mod tests;
