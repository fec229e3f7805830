//! How many scheduler workers work, and on what: set at the start, and by operators while the server runs. Nothing of it is kept.
//!
//! A worker that is one too many, or that is to leave a kind of evaluations alone, ends what it waits for first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drover_base::WallTime;
use drover_model::JobType;
use drover_rt::TaskScope;
use drover_scheduler::broker::Queues;
use tokio::sync::{Notify, mpsc};

use super::PlanRequest;
use crate::error::EndpointError;
use crate::server::Server;

/// The most workers that an operator may ask for.
const WORKERS_MAX: usize = 128;
/// The housekeeping that every server takes part in.
const CORE: &str = "_core";

/// What workers do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It is not one of those that are to work.
    Paused,
    /// It waits for an evaluation.
    Waiting,
    /// It works.
    Working,
}

/// A worker as operators see it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Made up when somebody first asks.
    pub id: String,
    /// Since when.
    pub started: WallTime,
    /// What it does.
    pub activity: Activity,
}

/// What workers are to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// How many work.
    pub count: usize,
    /// The types of jobs they take, and `_core`.
    pub types: Vec<String>,
}

#[derive(Default)]
struct State {
    wanted: usize,
    types: Vec<String>,
    queues: Option<Queues>,
    workers: Vec<Worker>,
    started_with: Option<(TaskScope, mpsc::Sender<PlanRequest>)>,
}

/// The scheduler workers.
#[derive(Default)]
pub(crate) struct Crew {
    state: Mutex<State>,
    changed: Notify,
}

impl Crew {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the worker is one of those that work, and returns what it may take.
    pub(crate) async fn admitted(&self, number: usize) -> Queues {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                let first = state.workers.len().saturating_sub(state.wanted);
                let admitted = number >= first && state.queues != Some(Queues::NONE);
                if let Some(worker) = state.workers.get_mut(number) {
                    worker.activity = if admitted { Activity::Waiting } else { Activity::Paused };
                }
                if admitted {
                    return state.queues.unwrap_or(Queues::ALL_TYPES);
                }
            }
            changed.await;
        }
    }

    /// What may be taken beside what a worker waited for.
    pub(crate) fn queues(&self) -> Queues {
        self.state().queues.unwrap_or(Queues::ALL_TYPES)
    }

    /// Notes that a worker got what it waited for.
    pub(crate) fn works(&self, number: usize) {
        if let Some(worker) = self.state().workers.get_mut(number) {
            worker.activity = Activity::Working;
        }
    }
}

fn queues(types: &[String]) -> Option<Queues> {
    let kind = |name: &String| JobType::parse(name);
    types.iter().filter(|name| *name != CORE).map(kind).try_fold(Queues::NONE, |all, kind| Some(all.and(Queues::of(kind?))))
}

impl Server {
    /// Starts the workers that the settings ask for.
    pub(super) fn start_crew(&self, scope: &TaskScope, plans: mpsc::Sender<PlanRequest>) {
        {
            let mut state = self.0.crew.state();
            let kinds = [JobType::Service, JobType::Batch, JobType::System, JobType::Sysbatch];
            state.types = kinds.iter().map(|kind| kind.text().to_owned()).chain([CORE.to_owned()]).collect();
            state.wanted = self.0.config.workers;
            state.started_with = Some((scope.clone(), plans));
        }
        self.fill_crew();
    }

    /// Starts workers until there are as many as are wanted; those that are too many are kept, and wait.
    fn fill_crew(&self) {
        let mut state = self.0.crew.state();
        let Some((scope, plans)) = state.started_with.clone() else { return };
        while state.workers.len() < state.wanted {
            let number = state.workers.len();
            state.workers.push(Worker { id: String::new(), started: self.0.clock.now(), activity: Activity::Waiting });
            scope.spawn_until_stop("scheduler worker", super::worker::run(self.clone(), plans.clone(), number));
        }
    }

    /// The workers of this server.
    pub fn workers(&self) -> Vec<Worker> {
        let mut state = self.0.crew.state();
        for worker in state.workers.iter_mut().filter(|worker| worker.id.is_empty()) {
            worker.id = self.0.entropy.id::<drover_base::id::Node>().to_string();
        }
        state.workers.clone()
    }

    /// What they are to do.
    pub fn worker_config(&self) -> WorkerConfig {
        let state = self.0.crew.state();
        WorkerConfig { count: state.wanted, types: state.types.clone() }
    }

    /// Has so many workers work on these types from now on, until this server ends.
    ///
    /// # Errors
    /// When there are too many, a type is not known, or `_core` is missing.
    pub fn set_worker_config(&self, config: WorkerConfig) -> Result<(), EndpointError> {
        let wrong = || EndpointError::bad_request("Invalid request");
        let queues = queues(&config.types).ok_or_else(wrong)?;
        if config.count > WORKERS_MAX || !config.types.iter().any(|name| name == CORE) {
            return Err(wrong());
        }
        {
            let mut state = self.0.crew.state();
            state.wanted = config.count;
            state.types = config.types;
            state.queues = Some(queues);
            let idle = state.workers.len().saturating_sub(config.count);
            for worker in state.workers.iter_mut().take(idle).filter(|worker| worker.activity == Activity::Waiting) {
                worker.activity = Activity::Paused;
            }
        }
        self.fill_crew();
        self.0.crew.changed.notify_waiters();
        Ok(())
    }
}
