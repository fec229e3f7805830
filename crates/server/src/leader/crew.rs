//! How many scheduler workers work, and on what: set at the start, and by operators while the server runs. Nothing of it is kept.
//!
//! A worker that is to leave a kind of evaluations alone ends what it waits for first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drover_base::WallTime;
use drover_model::JobType;
use drover_scheduler::broker::Queues;

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
    types: Option<Vec<String>>,
    queues: Option<Queues>,
    workers: Vec<Worker>,
}

/// The scheduler workers.
#[derive(Default)]
pub(crate) struct Crew {
    state: Mutex<State>,
}

impl Crew {
    /// Workers that take jobs of these types, and of every type when none is named or one is not known.
    pub(crate) fn of(types: &[String]) -> Self {
        let queues = if types.is_empty() { None } else { queues(types) };
        let core = (!types.iter().any(|name| name == CORE)).then(|| CORE.to_owned());
        let types = queues.map(|_| types.iter().cloned().chain(core).collect());
        Self { state: Mutex::new(State { types, queues, workers: Vec::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a worker waits, and returns what it may take.
    pub(crate) fn waits(&self, number: usize, now: WallTime) -> Queues {
        let mut state = self.state();
        while state.workers.len() <= number {
            state.workers.push(Worker { id: String::new(), started: now, activity: Activity::Waiting });
        }
        if let Some(worker) = state.workers.get_mut(number) {
            worker.activity = Activity::Waiting;
        }
        state.queues.unwrap_or(Queues::ALL_TYPES)
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
    /// The workers of this server, those that are at rest first.
    pub fn workers(&self) -> Vec<Worker> {
        let wanted = *self.0.workers.borrow();
        let mut state = self.0.crew.state();
        for (number, worker) in state.workers.iter_mut().enumerate() {
            if worker.id.is_empty() {
                worker.id = self.0.entropy.id::<drover_base::id::Node>().to_string();
            }
            if number >= wanted {
                worker.activity = Activity::Paused;
            }
        }
        state.workers.iter().rev().cloned().collect()
    }

    /// What they are to do.
    pub fn worker_config(&self) -> WorkerConfig {
        let kinds = [JobType::Service, JobType::Batch, JobType::System, JobType::Sysbatch];
        let all = || kinds.iter().map(|kind| kind.text().to_owned()).chain([CORE.to_owned()]).collect();
        WorkerConfig { count: *self.0.workers.borrow(), types: self.0.crew.state().types.clone().unwrap_or_else(all) }
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
            state.types = Some(config.types);
            state.queues = Some(queues);
        }
        self.set_workers(config.count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_the_types_that_the_configuration_names() {
        let all = Crew::of(&[]);
        assert_eq!((all.queues(), all.state().types.clone()), (Queues::ALL_TYPES, None));
        let some = Crew::of(&["batch".to_owned(), "system".to_owned()]);
        assert_eq!(some.queues(), Queues::of(JobType::Batch).and(Queues::of(JobType::System)));
        assert_eq!(some.state().types.clone().unwrap(), ["batch", "system", "_core"]);
        assert_eq!(Crew::of(&["nonsense".to_owned()]).queues(), Queues::ALL_TYPES);
    }
}
