//! The evaluation broker: hands each pending evaluation to at most one worker at a time, at least once overall.
//!
//! Of a job one evaluation is outstanding at a time; the rest of its evaluations wait. What is not acknowledged in time,
//! or refused, comes again after a delay, up to a limit of deliveries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover_base::{EvalId, Monotonic};
use drover_model::{Evaluation, JobId};

/// How long a worker may hold an evaluation.
pub const NACK_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an evaluation is delivered before it counts as failed.
pub const DELIVERY_LIMIT: u32 = 3;
/// The wait before the second delivery.
const FIRST_NACK_DELAY: Duration = Duration::from_secs(1);
/// The wait before later ones.
const NACK_DELAY: Duration = Duration::from_secs(20);

/// Proves that a worker holds an evaluation.
pub type Token = u64;

/// What happens to the broker.
#[derive(Clone, Debug)]
pub enum Event {
    /// An evaluation is pending.
    Enqueue(Arc<Evaluation>),
    /// A worker is free.
    Dequeue,
    /// The holder is done.
    Ack(EvalId, Token),
    /// The holder gives up.
    Nack(EvalId, Token),
    /// Time has passed.
    Tick,
}

/// What the broker wants done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Give it to the worker that waits longest.
    Deliver(Arc<Evaluation>, Token),
    /// Mark it failed: it was delivered too often.
    GiveUp(Arc<Evaluation>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    priority: Reverse<u8>,
    arrived: u64,
}

struct Held {
    eval: Arc<Evaluation>,
    token: Token,
    deadline: Monotonic,
}

/// The broker of the leader.
#[derive(Default)]
pub struct Broker {
    arrivals: u64,
    tokens: u64,
    ready: BTreeMap<Rank, Arc<Evaluation>>,
    /// Evaluations of jobs that have one outstanding or ready, in order of rank.
    waiting: BTreeMap<JobId, BTreeMap<Rank, Arc<Evaluation>>>,
    busy: BTreeMap<JobId, EvalId>,
    held: BTreeMap<EvalId, Held>,
    delayed: BTreeMap<(Monotonic, EvalId), Arc<Evaluation>>,
    known: BTreeSet<EvalId>,
    deliveries: BTreeMap<EvalId, u32>,
    free_workers: u32,
}

impl Broker {
    /// Reacts to an event.
    pub fn handle(&mut self, now: Monotonic, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Enqueue(eval) => self.enqueue(eval),
            Event::Dequeue => self.free_workers += 1,
            Event::Ack(id, token) => {
                if self.release(id, token).is_some() {
                    self.forget(id);
                }
            }
            Event::Nack(id, token) => {
                if let Some(eval) = self.release(id, token) {
                    self.again(now, eval, &mut actions);
                }
            }
            Event::Tick => {}
        }
        self.expire(now, &mut actions);
        self.deliver(now, &mut actions);
        actions
    }

    /// Delays an evaluation until `at`; used for follow-ups and after refusals.
    pub fn delay(&mut self, eval: Arc<Evaluation>, at: Monotonic) {
        if self.known.insert(eval.id) {
            self.delayed.insert((at, eval.id), eval);
        }
    }

    /// The next moment [`Event::Tick`] could change anything.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let delayed = self.delayed.keys().next().map(|(at, _)| *at);
        let held = self.held.values().map(|held| held.deadline).min();
        delayed.into_iter().chain(held).min()
    }

    /// Whether the token holds the evaluation (EVL-037).
    pub fn holds(&self, id: EvalId, token: Token) -> bool {
        self.held.get(&id).is_some_and(|held| held.token == token)
    }

    /// Evaluations that are not done, by where they are: ready, waiting behind their job, held, delayed.
    pub fn counts(&self) -> [usize; 4] {
        [self.ready.len(), self.waiting.values().map(BTreeMap::len).sum(), self.held.len(), self.delayed.len()]
    }

    fn enqueue(&mut self, eval: Arc<Evaluation>) {
        if self.known.insert(eval.id) {
            self.queue(eval);
        }
    }

    fn queue(&mut self, eval: Arc<Evaluation>) {
        self.arrivals += 1;
        let rank = Rank { priority: Reverse(eval.priority), arrived: self.arrivals };
        if self.busy.contains_key(&eval.job_id) {
            self.waiting.entry(eval.job_id.clone()).or_default().insert(rank, eval);
        } else {
            self.busy.insert(eval.job_id.clone(), eval.id);
            self.ready.insert(rank, eval);
        }
    }

    fn release(&mut self, id: EvalId, token: Token) -> Option<Arc<Evaluation>> {
        if !self.holds(id, token) {
            return None;
        }
        let held = self.held.remove(&id)?;
        self.next_of_job(&held.eval.job_id);
        Some(held.eval)
    }

    /// The job is free: its next evaluation becomes ready.
    fn next_of_job(&mut self, job: &JobId) {
        self.busy.remove(job);
        let Some(waiting) = self.waiting.get_mut(job) else { return };
        if let Some((rank, eval)) = waiting.pop_first() {
            self.busy.insert(job.clone(), eval.id);
            self.ready.insert(rank, eval);
        }
        if waiting.is_empty() {
            self.waiting.remove(job);
        }
    }

    fn forget(&mut self, id: EvalId) {
        self.known.remove(&id);
        self.deliveries.remove(&id);
    }

    fn again(&mut self, now: Monotonic, eval: Arc<Evaluation>, actions: &mut Vec<Action>) {
        let deliveries = self.deliveries.get(&eval.id).copied().unwrap_or(0);
        if deliveries >= DELIVERY_LIMIT {
            self.forget(eval.id);
            actions.push(Action::GiveUp(eval));
            return;
        }
        let wait = if deliveries <= 1 { FIRST_NACK_DELAY } else { NACK_DELAY };
        self.delayed.insert((now + wait, eval.id), eval);
    }

    fn expire(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let eval = entry.remove();
            self.queue(eval);
        }
        let late: Vec<(EvalId, Token)> =
            self.held.iter().filter(|(_, held)| held.deadline <= now).map(|(id, held)| (*id, held.token)).collect();
        for (id, token) in late {
            if let Some(eval) = self.release(id, token) {
                self.again(now, eval, actions);
            }
        }
    }

    fn deliver(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        while self.free_workers > 0 {
            let Some((_, eval)) = self.ready.pop_first() else { return };
            self.free_workers -= 1;
            self.tokens += 1;
            *self.deliveries.entry(eval.id).or_default() += 1;
            let held = Held { eval: Arc::clone(&eval), token: self.tokens, deadline: now + NACK_TIMEOUT };
            self.held.insert(eval.id, held);
            actions.push(Action::Deliver(eval, self.tokens));
        }
    }
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_model::{JobType, Trigger};

    use super::*;

    fn eval(number: u128, job: &str, priority: u8) -> Arc<Evaluation> {
        let job = JobId { namespace: "default".into(), id: job.into() };
        Arc::new(Evaluation::new(EvalId::from_random(number), job, JobType::Service, priority, Trigger::JobRegister, WallTime(1)))
    }

    fn delivered(actions: &[Action]) -> Vec<(EvalId, Token)> {
        actions.iter().filter_map(|action| if let Action::Deliver(eval, token) = action { Some((eval.id, *token)) } else { None }).collect()
    }

    #[test]
    fn higher_priority_goes_first_and_a_job_has_one_outstanding() {
        let mut broker = Broker::default();
        let now = Monotonic(0);
        let (low, high, second) = (eval(1, "a", 10), eval(2, "b", 90), eval(3, "b", 95));
        for eval in [&low, &high, &second] {
            broker.handle(now, Event::Enqueue(Arc::clone(eval)));
        }
        let first = delivered(&broker.handle(now, Event::Dequeue));
        assert_eq!(first[0].0, high.id);
        // The other one of job b waits although its priority is higher.
        assert_eq!(delivered(&broker.handle(now, Event::Dequeue))[0].0, low.id);
        assert!(broker.handle(now, Event::Dequeue).is_empty());
        assert_eq!(delivered(&broker.handle(now, Event::Ack(high.id, first[0].1)))[0].0, second.id);
    }

    #[test]
    fn an_unacknowledged_evaluation_comes_again_until_the_limit() {
        let mut broker = Broker::default();
        let one = eval(1, "a", 50);
        broker.handle(Monotonic(0), Event::Enqueue(Arc::clone(&one)));
        let mut now = Monotonic(0);
        for round in 1..=DELIVERY_LIMIT {
            let actions = broker.handle(now, Event::Dequeue);
            assert_eq!(delivered(&actions).len(), 1, "delivery {round}");
            now = now + NACK_TIMEOUT;
            let actions = broker.handle(now, Event::Tick);
            if round == DELIVERY_LIMIT {
                assert!(matches!(actions.as_slice(), [Action::GiveUp(eval)] if eval.id == one.id));
            } else {
                assert!(actions.is_empty());
                now = broker.next_deadline().unwrap();
                broker.handle(now, Event::Tick);
            }
        }
        assert_eq!(broker.counts(), [0, 0, 0, 0]);
    }

    #[test]
    fn only_the_newest_holder_may_answer() {
        let mut broker = Broker::default();
        let one = eval(1, "a", 50);
        broker.handle(Monotonic(0), Event::Enqueue(Arc::clone(&one)));
        let token = delivered(&broker.handle(Monotonic(0), Event::Dequeue))[0].1;
        assert!(!broker.holds(one.id, token + 1));
        broker.handle(Monotonic(0), Event::Ack(one.id, token + 1));
        assert!(broker.holds(one.id, token));
        broker.handle(Monotonic(0), Event::Ack(one.id, token));
        assert!(!broker.holds(one.id, token));
    }
}
