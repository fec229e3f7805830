//! Who waits for what: a read that is held is woken by a change of what it reads, not by every entry of the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drover_base::{AllocId, DeploymentId, EvalId, NodeId};
use drover_model::JobId;
use drover_state::{Snapshot, Table, Touched};
use tokio::sync::Notify;

/// What somebody waits for a change of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Whatever changes.
    #[default]
    All,
    /// Any row of a table.
    Table(Table),
    /// A job, or its allocations, evaluations or deployments.
    Job(JobId),
    /// A node or its allocations.
    Node(NodeId),
    /// An allocation.
    Alloc(AllocId),
    /// An evaluation.
    Eval(EvalId),
    /// A deployment.
    Deployment(DeploymentId),
    /// The registrations of a service, by namespace and name.
    Service(String, String),
}

/// Who waits, by what for; entries go away with the last who waits.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<BTreeMap<Concern, Waiters>>);

#[derive(Default)]
struct Waiters {
    wake: Arc<Notify>,
    count: usize,
}

/// One who waits; woken by [`Ticket::wake`].
pub(crate) struct Ticket<'a> {
    waiting: &'a Waiting,
    concern: &'a Concern,
    pub(crate) wake: Arc<Notify>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        if let Some(waiters) = waiting.get_mut(self.concern) {
            waiters.count -= 1;
            if waiters.count == 0 {
                waiting.remove(self.concern);
            }
        }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Concern, Waiters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more waits. A change after this wakes it.
    pub(crate) fn join<'a>(&'a self, concern: &'a Concern) -> Ticket<'a> {
        let mut waiting = self.lock();
        let waiters = waiting.entry(concern.clone()).or_default();
        waiters.count += 1;
        Ticket { waiting: self, concern, wake: Arc::clone(&waiters.wake) }
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.lock().values().for_each(|waiters| waiters.wake.notify_waiters());
    }

    /// Wakes those whom an entry concerns, with the state after it.
    pub(crate) fn tell(&self, touched: &Touched, state: &Snapshot) {
        let waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        let wake = |concern: &Concern| {
            if let Some(waiters) = waiting.get(concern) {
                waiters.wake.notify_waiters();
            }
        };
        touched.tables.iter().for_each(|table| wake(&Concern::Table(*table)));
        if waiting.keys().all(|concern| matches!(concern, Concern::Table(_))) {
            return;
        }
        touched.jobs.iter().for_each(|id| wake(&Concern::Job(id.clone())));
        touched.nodes.iter().for_each(|id| wake(&Concern::Node(*id)));
        touched.services.iter().for_each(|(namespace, name)| wake(&Concern::Service(namespace.clone(), name.clone())));
        // What is gone was some job's and some node's, who knows which.
        let mut gone = false;
        for id in &touched.allocs {
            wake(&Concern::Alloc(*id));
            match state.alloc(*id) {
                Some(alloc) => {
                    wake(&Concern::Job(alloc.job.id.clone()));
                    wake(&Concern::Node(alloc.node_id));
                }
                None => gone = true,
            }
        }
        for id in &touched.evals {
            wake(&Concern::Eval(*id));
            match state.eval(*id) {
                Some(eval) => wake(&Concern::Job(eval.job_id.clone())),
                None => gone = true,
            }
        }
        for id in &touched.deployments {
            wake(&Concern::Deployment(*id));
            match state.deployment(*id) {
                Some(deployment) => wake(&Concern::Job(deployment.job_id.clone())),
                None => gone = true,
            }
        }
        if gone {
            let of = |concern: &Concern| matches!(concern, Concern::Job(_) | Concern::Node(_));
            waiting.iter().filter(|(concern, _)| of(concern)).for_each(|(_, waiters)| waiters.wake.notify_waiters());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use drover_base::WallTime;
    use drover_model::command::{Change, RegisterJob};
    use drover_model::{Command, Evaluation, Job, JobType, Trigger};
    use drover_state::Store;

    use super::*;

    fn id(name: &str) -> JobId {
        JobId { namespace: "default".to_owned(), id: name.to_owned() }
    }

    #[test]
    fn a_change_wakes_those_it_concerns_and_nobody_else() {
        let waiting = Waiting::default();
        let eval = EvalId::from_random(1);
        let concerns = [
            Concern::Job(id("web")),
            Concern::Job(id("other")),
            Concern::Table(Table::Jobs),
            Concern::Table(Table::Nodes),
            Concern::Eval(eval),
            Concern::Eval(EvalId::from_random(2)),
        ];
        let tickets: Vec<_> = concerns.iter().map(|concern| waiting.join(concern)).collect();
        let mut held: Vec<_> = tickets.iter().map(|ticket| Box::pin(ticket.wake.notified())).collect();
        held.iter_mut().for_each(|wait| assert!(!wait.as_mut().enable()));
        let mut woken = || {
            let mut context = Context::from_waker(Waker::noop());
            held.iter_mut().map(|wait| wait.as_mut().poll(&mut context).is_ready()).collect::<Vec<_>>()
        };
        let mut store = Store::default();
        let job = Job { id: id("web"), ..Job::default() };
        let register =
            RegisterJob { job: Arc::new(job), eval: None, submission: None, enforce_index: None, keep_version: false, scaling: None };
        let applied = store.apply(1, Command { time: WallTime(1), change: Change::RegisterJob(Box::new(register)) });
        waiting.tell(&applied.touched, &store.snapshot());
        assert_eq!(woken(), [true, false, true, false, false, false]);
        drop(held);
        let mut held: Vec<_> = tickets.iter().map(|ticket| Box::pin(ticket.wake.notified())).collect();
        held.iter_mut().for_each(|wait| assert!(!wait.as_mut().enable()));
        let of_job = Evaluation::new(eval, id("web"), JobType::Service, 50, Trigger::JobRegister, WallTime(1));
        let applied = store.apply(2, Command { time: WallTime(2), change: Change::Evaluations(vec![of_job]) });
        waiting.tell(&applied.touched, &store.snapshot());
        let mut context = Context::from_waker(Waker::noop());
        let woken: Vec<_> = held.iter_mut().map(|wait| wait.as_mut().poll(&mut context).is_ready()).collect();
        assert_eq!(woken, [true, false, false, false, true, false]);
        drop(held);
        drop(tickets);
        assert!(waiting.lock().is_empty(), "who is gone leaves nothing behind");
    }
}
