//! The loop around one allocation's machine: carries its actions out, tells it what came of them, and shows the rest of the client
//! how it stands. One task of the runtime per allocation; nothing in it waits for anything but events.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, Monotonic, WallTime};
use drover_driver::TaskHandle;
use drover_model::{
    AllocUpdate, Allocation, ClientStatus, DeploymentHealth, HealthCheck, OnUpdate, Service, ServiceCheck, ServiceProvider, TaskEventKind,
    TaskGroup, TaskState, TaskStatus,
};
use drover_rt::{CancellationToken, TaskScope};
use drover_runner::alloc::MachineOptions;
use drover_runner::check_restart::{self, CheckWatcher};
use drover_runner::health::{HealthPolicy, HealthTracker, Verdict};
use drover_runner::{Action, AllocMachine, Event, Exit, LaunchFailure, Now, StopReason, service, status};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use crate::alloc_dir::AllocDir;
use crate::checks::{self, CheckKind, CheckPlan, Outcome, TlsPlan};
use crate::client::Shared;
use crate::registrar::Order;
use crate::store::{StoredCheck, StoredState};
use crate::task;

/// Commands waiting for one allocation; whoever sends one waits when it is full.
pub(crate) const COMMANDS_MAX: usize = 128;

/// What others ask of an allocation.
#[derive(Debug)]
pub(crate) enum Command {
    Update(Arc<Allocation>),
    /// Stop, clear up and forget. Answered when nothing is left.
    Destroy(Option<oneshot::Sender<()>>),
    Stop(StopReason),
    Restart {
        task: Option<String>,
        all: bool,
        reply: oneshot::Sender<Result<(), String>>,
    },
    Signal {
        task: Option<String>,
        signal: String,
        reply: oneshot::Sender<Result<(), String>>,
    },
    Note {
        task: String,
        kind: TaskEventKind,
    },
    Checked {
        check: String,
        outcome: Outcome,
    },
    ServersContacted,
    Acknowledged(AllocUpdate),
    /// The servers want to hear again how it stands.
    ReportAgain,
}

/// How an allocation stands, for the rest of the client.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) alloc: Arc<Allocation>,
    pub(crate) status: ClientStatus,
    pub(crate) tasks: BTreeMap<String, TaskState>,
    pub(crate) checks: BTreeMap<String, CheckView>,
    /// Every task is dead and everything around them is cleared up.
    pub(crate) over: bool,
    /// When it became so.
    pub(crate) over_since: WallTime,
}

/// A check and its last result.
#[derive(Debug, Clone)]
pub(crate) struct CheckView {
    pub(crate) check: String,
    pub(crate) service: String,
    pub(crate) task: String,
    pub(crate) mode: &'static str,
    pub(crate) result: StoredCheck,
}

/// An allocation's loop as others reach it.
#[derive(Debug, Clone)]
pub(crate) struct AllocHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) view: Arc<Mutex<View>>,
}

impl AllocHandle {
    pub(crate) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last change of the allocation that its loop was told of.
    pub(crate) fn known_index(&self) -> u64 {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).alloc.alloc_modify_index
    }
}

/// Why an allocation whose `max_run_duration` is over is stopped.
const RAN_TOO_LONG: &str = "allocation exceeded max_run_duration";

/// What came of an action.
enum Done {
    Launched { task: String, result: Result<TaskHandle, LaunchFailure> },
    Exited { task: String, exit: Exit },
    Killed { task: String, result: Result<(), String> },
}

/// A check that runs, and what it may do.
struct RunningCheck {
    /// The task whose service it belongs to; none for the group's.
    owner: Option<String>,
    /// The task it restarts; none for all.
    task: Option<String>,
    stop: CancellationToken,
    watcher: Option<CheckWatcher>,
    passed: bool,
    counts_for_health: bool,
}

struct Runner {
    shared: Arc<Shared>,
    alloc: Arc<Allocation>,
    machine: AllocMachine,
    view: Arc<Mutex<View>>,
    own_commands: mpsc::WeakSender<Command>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    events: VecDeque<Event>,
    stored: StoredState,
    status: ClientStatus,
    health: Option<HealthTracker>,
    reported: Option<AllocUpdate>,
    checks: BTreeMap<String, RunningCheck>,
    check_scope: TaskScope,
    stop_text: String,
    restored: bool,
    destroying: bool,
    destroyed: Vec<oneshot::Sender<()>>,
    over: bool,
    /// Something beside the tasks changed since it was last shown.
    unpublished: bool,
    /// When its group's `max_run_duration` is over.
    expires: Option<Monotonic>,
}

fn options(shared: &Shared, alloc: &Allocation) -> MachineOptions {
    MachineOptions {
        job_is_batch: alloc.job.kind.is_batch(),
        kill_timeout_max: shared.config.max_kill_timeout,
        seed: shared.entropy.seed(),
    }
}

/// Starts the loop of an allocation. `state` is what was stored of it before the agent restarted.
pub(crate) fn start(shared: &Arc<Shared>, alloc: Arc<Allocation>, group: &TaskGroup, state: Option<StoredState>) -> AllocHandle {
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    let restored = state.is_some();
    let stored = state.unwrap_or_default();
    let options = options(shared, &alloc);
    let machine = if restored { AllocMachine::restored(group, options, stored.tasks.clone()) } else { AllocMachine::new(group, options) };
    let status = if restored { status::of_tasks(stored.tasks.values()).0 } else { ClientStatus::Pending };
    let view = Arc::new(Mutex::new(View {
        alloc: Arc::clone(&alloc),
        status,
        tasks: machine.states(),
        checks: BTreeMap::new(),
        over: false,
        over_since: WallTime::ZERO,
    }));
    let handle = AllocHandle { commands: commands.clone(), view: Arc::clone(&view) };
    let runner = Runner {
        shared: Arc::clone(shared),
        alloc,
        machine,
        view,
        own_commands: commands.downgrade(),
        work: FuturesUnordered::new(),
        events: VecDeque::new(),
        status,
        health: None,
        reported: stored.acknowledged.clone(),
        checks: BTreeMap::new(),
        check_scope: shared.scope.child(),
        stop_text: String::new(),
        restored,
        destroying: false,
        destroyed: Vec::new(),
        over: false,
        unpublished: false,
        expires: None,
        stored,
    };
    shared.scope.spawn_until_stop("allocation", runner.run(receiver));
    handle
}

impl Runner {
    fn now(&self) -> Now {
        Now { wall: self.shared.clock.now(), monotonic: self.shared.clock.monotonic() }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        if !self.restored
            && let Err(error) = self.shared.store.put_alloc(&self.alloc).await
        {
            tracing::error!(alloc_id = %self.alloc.id, %error, "allocation could not be stored");
        }
        self.begin_health();
        self.limit_run();
        if self.restored {
            self.reattach().await;
        }
        let now = self.now();
        let actions = self.machine.begin(now);
        self.perform(actions).await;
        self.settle().await;
        while !self.is_finished() {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                Some(done) = self.work.next(), if !self.work.is_empty() => {
                    // What was said on the way comes before what came of it.
                    while let Ok(command) = commands.try_recv() {
                        self.obey(command).await;
                    }
                    self.finish_work(done).await;
                }
                () = self.shared.clock.sleep_until(deadline) => {
                    self.expire();
                    self.events.push_back(Event::Tick);
                }
            }
            self.settle().await;
        }
        self.vanish().await;
    }

    fn is_finished(&self) -> bool {
        self.destroying && self.over
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        let health = self.health.as_ref().and_then(HealthTracker::next_deadline);
        self.machine.next_deadline().into_iter().chain(health).chain(self.expires).min()
    }

    /// Arms the end of `max_run_duration`, which counts from the placement whatever was restarted since (REC-082).
    fn limit_run(&mut self) {
        let limit = self.alloc.task_group().and_then(|group| group.max_run_duration);
        let now = self.now();
        self.expires = limit.map(|limit| now.monotonic + (self.alloc.create_time + limit).since(now.wall));
    }

    /// Stops the allocation if it has run for as long as it may.
    fn expire(&mut self) {
        if self.expires.is_some_and(|at| at <= self.shared.clock.monotonic()) {
            self.expires = None;
            if !self.machine.is_stopping() {
                self.stop(StopReason { text: RAN_TOO_LONG.to_owned(), skip_poststop: true, ..StopReason::default() });
            }
        }
    }

    /// Feeds waiting events to the machine until nothing is left to do, then shows what changed.
    async fn settle(&mut self) {
        loop {
            while let Some(event) = self.events.pop_front() {
                let ticked = event == Event::Tick;
                let now = self.now();
                let actions = self.machine.handle(now, event);
                self.perform(actions).await;
                if ticked && let Some(health) = &mut self.health {
                    let verdict = health.tick(now.monotonic);
                    self.judge(verdict);
                }
            }
            let changed = self.machine.take_changed();
            if changed && let Some(health) = &mut self.health {
                let verdict = health.tasks_changed(self.shared.clock.monotonic(), &self.machine.states());
                self.judge(verdict);
            }
            if !self.events.is_empty() {
                self.unpublished |= changed;
                continue;
            }
            if changed || self.unpublished {
                self.unpublished = false;
                self.publish().await;
            }
            return;
        }
    }

    fn judge(&mut self, verdict: Option<Verdict>) {
        let Some(verdict) = verdict else { return };
        self.health = None;
        let healthy = verdict == Verdict::Healthy;
        self.stored.health = Some(DeploymentHealth { healthy, time: self.shared.clock.now() });
        if let Verdict::Unhealthy(reasons) = verdict {
            for (task, reason) in reasons {
                self.events.push_back(Event::Note { task, kind: TaskEventKind::AllocUnhealthy(reason) });
            }
        }
        self.unpublished = true;
    }

    /// Stores, shows and reports how the allocation stands.
    async fn publish(&mut self) {
        let tasks = self.machine.states();
        let (next, description) = status::advance(self.status, &tasks);
        let description = if self.stop_text.is_empty() || !next.is_terminal() { description.to_owned() } else { self.stop_text.clone() };
        let status_changed = next != self.status;
        self.status = next;
        if next == ClientStatus::Failed && self.health.is_none() && self.stored.health.is_none() && self.alloc.deployment.is_some() {
            // Nothing here judges its health, but one that failed is not healthy (DEP-016).
            self.stored.health = Some(DeploymentHealth { healthy: false, time: self.shared.clock.now() });
        }
        {
            let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            view.status = next;
            view.tasks.clone_from(&tasks);
        }
        for (name, _) in tasks.iter().filter(|(_, state)| state.status == TaskStatus::Dead) {
            self.shared.task_apis.close(self.alloc.id, name);
        }
        self.stored.tasks.clone_from(&tasks);
        self.store().await;
        let update = AllocUpdate { id: self.alloc.id, status: next, description, tasks, health: self.stored.health };
        if self.reported.as_ref() == Some(&update) {
            return;
        }
        let health_changed = self.reported.as_ref().is_none_or(|before| before.health != update.health);
        let urgent = status_changed || (health_changed && update.health.is_some());
        self.reported = Some(update.clone());
        self.shared.reporter.report(self.shared.clock.monotonic(), update, urgent);
    }

    async fn store(&mut self) {
        if let Err(error) = self.shared.store.put_state(self.alloc.id, &self.stored).await {
            tracing::error!(alloc_id = %self.alloc.id, %error, "state of an allocation could not be stored");
        }
    }

    async fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::SetUp => {
                    let result = self.set_up().await;
                    self.events.push_back(Event::SetUp(result));
                }
                Action::Launch { task } => self.launch(task),
                Action::Kill { task, timeout } => self.kill(task, timeout),
                Action::Deregister { task } => self.deregister(Some(&task)).await,
                Action::DeregisterGroup => self.deregister(None).await,
                Action::TearDown => {
                    self.tear_down().await;
                    self.events.push_back(Event::TornDown);
                }
            }
        }
    }

    async fn set_up(&mut self) -> Result<(), String> {
        let directory = AllocDir::new(&self.shared.config.alloc_dir, self.alloc.id);
        if self.restored && !directory.exists() {
            return Err(format!("allocation directory {} is missing", directory.root().display()));
        }
        directory.create().map_err(|error| format!("pre-run hook \"alloc_dir\" failed: {error}"))?;
        if let Some(group) = self.alloc.task_group()
            && let Some(network) = group.networks.iter().find(|network| !network.is_host())
        {
            return Err(format!("pre-run hook \"network\" failed: network mode \"{}\" is not supported by this version", network.mode));
        }
        self.register(None).await.map_err(|error| format!("pre-run hook \"group_services\" failed: {error}"))
    }

    fn launch(&mut self, name: String) {
        let (shared, alloc, commands) = (Arc::clone(&self.shared), Arc::clone(&self.alloc), self.own_commands.clone());
        let first = !self.stored.prepared.contains(&name);
        if first {
            self.stored.prepared.push(name.clone());
        }
        self.work.push(Box::pin(async move {
            let task = name.clone();
            let note = move |kind| {
                if let Some(commands) = commands.upgrade() {
                    // A full queue loses a line of the story, nothing else.
                    drop(commands.try_send(Command::Note { task: task.clone(), kind }));
                }
            };
            let result = task::launch(shared, alloc, name.clone(), note, first).await;
            Done::Launched { task: name, result }
        }));
    }

    fn driver_of(&self, task: &str) -> Option<Arc<dyn drover_driver::Driver>> {
        let task = self.alloc.task_group()?.task(task)?;
        self.shared.drivers.get(&task.driver)
    }

    fn kill(&mut self, name: String, timeout: Duration) {
        let Some(driver) = self.driver_of(&name) else { return };
        let signal = self.kill_signal(&name);
        let id = task::driver_id(&self.alloc, &name);
        self.work.push(Box::pin(async move {
            let result = match driver.stop(id, signal, timeout).await {
                // The task is gone, and its end is told by whoever waits for it.
                Ok(()) | Err(drover_driver::DriverError::NotFound) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            Done::Killed { task: name, result }
        }));
    }

    fn kill_signal(&self, name: &str) -> i32 {
        let wanted = self.alloc.task_group().and_then(|group| group.task(name)).map_or("", |task| &task.kill_signal);
        let wanted = if wanted.is_empty() { "SIGINT" } else { wanted };
        drover_linux::signal::by_name(wanted).map_or(2, |signal| signal.number)
    }

    fn watch_task(&mut self, name: String, handle: TaskHandle) {
        let Some(driver) = self.driver_of(&name) else { return };
        let id = task::driver_id(&self.alloc, &name);
        self.work.push(Box::pin(async move {
            let exit = task::wait(driver, id, handle).await;
            Done::Exited { task: name, exit }
        }));
    }

    async fn finish_work(&mut self, done: Done) {
        match done {
            Done::Launched { task, result: Ok(handle) } => {
                // Stored before anybody is told that the task runs.
                self.stored.handles.insert(task.clone(), handle.clone());
                self.store().await;
                if let Some(driver) = self.driver_of(&task) {
                    driver.confirm(task::driver_id(&self.alloc, &task)).await;
                }
                self.watch_task(task.clone(), handle);
                self.events.push_back(Event::Launched { task: task.clone(), result: Ok(()) });
                self.task_runs(&task).await;
            }
            Done::Launched { task, result: Err(failure) } => {
                if matches!(failure.event, TaskEventKind::HookFailed(_)) {
                    self.stored.prepared.retain(|prepared| *prepared != task);
                }
                self.events.push_back(Event::Launched { task, result: Err(failure) });
            }
            Done::Exited { task, exit } => {
                self.stored.handles.remove(&task);
                self.deregister(Some(&task)).await;
                self.events.push_back(Event::Exited { task, exit });
            }
            Done::Killed { task, result: Err(error) } => self.events.push_back(Event::KillError { task, error }),
            Done::Killed { result: Ok(()), .. } => {}
        }
    }

    /// Puts the services of a running task into the catalogue and begins its checks' grace.
    async fn task_runs(&mut self, task: &str) {
        if let Err(error) = self.register(Some(task)).await {
            let reason = format!("service registration failed: {error}");
            self.events.push_back(Event::KillFailed { task: task.to_owned(), reason });
        }
        let now = self.shared.clock.monotonic();
        for check in self.checks.values_mut() {
            if check.task.as_deref().is_none_or(|owner| owner == task)
                && let Some(watcher) = &mut check.watcher
            {
                watcher.started(now);
            }
        }
    }

    async fn reattach(&mut self) {
        let running: Vec<String> =
            self.stored.tasks.iter().filter(|(_, state)| state.status == TaskStatus::Running).map(|(name, _)| name.clone()).collect();
        // A task whose files are gone cannot go on; what runs of it is ended.
        let has_directory = AllocDir::new(&self.shared.config.alloc_dir, self.alloc.id).exists();
        for name in running {
            let id = task::driver_id(&self.alloc, &name);
            let outcome = match (self.driver_of(&name), self.stored.handles.get(&name).cloned()) {
                (Some(driver), Some(handle)) => match driver.recover(id.clone(), handle.clone()).await {
                    Ok(()) if has_directory => Ok(handle),
                    Ok(()) => {
                        drop(driver.destroy(id, true).await);
                        Err("its directory is missing".to_owned())
                    }
                    Err(error) => {
                        // Nothing of it may be left running when it is started again.
                        drop(driver.destroy(id, true).await);
                        Err(error.to_string())
                    }
                },
                (None, _) => Err("its driver is not there".to_owned()),
                (_, None) => Err("its handle was not stored".to_owned()),
            };
            match outcome {
                Ok(handle) => {
                    self.reopen_api(&name);
                    self.watch_task(name.clone(), handle);
                    self.events.push_back(Event::Reattached { task: name.clone() });
                    self.task_runs(&name).await;
                }
                Err(reason) => {
                    tracing::warn!(alloc_id = %self.alloc.id, task = %name, %reason, "task could not be found again");
                    self.stored.handles.remove(&name);
                    self.events.push_back(Event::ReattachFailed { task: name, reason });
                    // Jobs that run on every node are not somebody else's meanwhile.
                    if matches!(self.alloc.job.kind, drover_model::JobType::System | drover_model::JobType::Sysbatch) {
                        self.events.push_back(Event::ServersContacted);
                    }
                }
            }
        }
        if *self.shared.contacted.borrow() {
            self.events.push_back(Event::ServersContacted);
        }
    }

    /// Listens again for a task that went on without this agent.
    fn reopen_api(&self, name: &str) {
        let Some(task) = self.alloc.task_group().and_then(|group| group.task(name)) else { return };
        if let Err(error) = task::open_api(&self.shared, &self.alloc, task) {
            tracing::warn!(alloc_id = %self.alloc.id, task = %name, %error, "a task cannot reach the API through its socket any more");
        }
    }

    async fn tear_down(&mut self) {
        let tasks: Vec<String> = self.machine.states().into_keys().collect();
        for task in tasks {
            self.shared.task_apis.close(self.alloc.id, &task);
            self.deregister(Some(&task)).await;
        }
        self.deregister(None).await;
        self.stop_checks(|_| true);
        self.over = true;
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.over = true;
        view.over_since = self.shared.clock.now();
        view.checks.clear();
        drop(view);
        self.stored.checks.clear();
        self.shared.comings_and_goings.send_modify(|count| *count += 1);
    }

    async fn vanish(&mut self) {
        let directory = AllocDir::new(&self.shared.config.alloc_dir, self.alloc.id);
        if let Err(error) = directory.destroy() {
            tracing::error!(alloc_id = %self.alloc.id, %error, "directory of an allocation could not be removed");
        }
        if let Err(error) = self.shared.store.remove(self.alloc.id).await {
            tracing::error!(alloc_id = %self.alloc.id, %error, "allocation could not be forgotten");
        }
        for waiter in self.destroyed.drain(..) {
            let _gone = waiter.send(());
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Update(alloc) => self.update(alloc).await,
            Command::Stop(reason) => self.stop(reason),
            Command::Destroy(waiter) => {
                self.destroyed.extend(waiter);
                self.destroying = true;
                self.stop(StopReason::default());
            }
            Command::Restart { task, all, reply } => {
                let result = self.restart(task, all);
                drop(reply.send(result));
            }
            Command::Signal { task, signal, reply } => {
                let result = self.signal(task, &signal).await;
                drop(reply.send(result));
            }
            Command::Note { task, kind } => self.events.push_back(Event::Note { task, kind }),
            Command::Checked { check, outcome } => self.checked(&check, outcome).await,
            Command::ServersContacted => self.events.push_back(Event::ServersContacted),
            Command::ReportAgain => {
                if let Some(update) = self.reported.clone() {
                    self.shared.reporter.report(self.shared.clock.monotonic(), update, true);
                }
            }
            Command::Acknowledged(update) => {
                self.stored.acknowledged = Some(update);
                self.store().await;
            }
        }
    }

    fn stop(&mut self, reason: StopReason) {
        self.stop_text.clone_from(&reason.text);
        self.events.push_back(Event::Stop(reason));
    }

    fn restart(&mut self, task: Option<String>, all: bool) -> Result<(), String> {
        let reason = match (&task, all) {
            (Some(_), _) => "User requested task to restart",
            (None, true) => "User requested all tasks to restart",
            (None, false) => "User requested running tasks to restart",
        };
        let reason = reason.to_owned();
        let states = self.machine.states();
        match task {
            Some(name) => {
                let state = states.get(&name).ok_or_else(|| format!("Could not find task runner for task: {name}"))?;
                let alive = state.status == TaskStatus::Running;
                if !alive && self.machine.all_dead() {
                    return Err("Task not running".to_owned());
                }
                self.events.push_back(Event::Restart { task: Some(name), reason });
            }
            None if all => {
                for name in states.into_keys() {
                    self.events.push_back(Event::Restart { task: Some(name), reason: reason.clone() });
                }
            }
            None => self.events.push_back(Event::Restart { task: None, reason }),
        }
        Ok(())
    }

    async fn signal(&mut self, wanted: Option<String>, signal: &str) -> Result<(), String> {
        let states = self.machine.states();
        let names: Vec<String> = match wanted {
            Some(name) if states.contains_key(&name) => vec![name],
            Some(_) => return Err("Task not found".to_owned()),
            None => states.keys().cloned().collect(),
        };
        // As recorded: a name that is no signal becomes the one drivers fall back on.
        let number = drover_linux::signal::by_name(signal).map_or(2, |signal| signal.number);
        let mut problems = Vec::new();
        for name in names {
            if states.get(&name).is_none_or(|state| state.status != TaskStatus::Running) {
                problems.push(format!("Failed to signal task: {name}, err: Task not running"));
                continue;
            }
            let Some(driver) = self.driver_of(&name) else { continue };
            if !driver.capabilities().send_signals {
                problems.push(format!("Failed to signal task: {name}, err: driver {} cannot send signals", driver.name()));
                continue;
            }
            let kind = TaskEventKind::Signaling { signal: signal.to_owned(), reason: String::new() };
            self.events.push_back(Event::Note { task: name.clone(), kind });
            if let Err(error) = driver.signal(task::driver_id(&self.alloc, &name), number).await {
                problems.push(format!("Failed to signal task: {name}, err: {error}"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    async fn update(&mut self, alloc: Arc<Allocation>) {
        if alloc.alloc_modify_index <= self.alloc.alloc_modify_index && Arc::ptr_eq(&alloc, &self.alloc) {
            return;
        }
        let new_deployment = alloc.deployment != self.alloc.deployment;
        if new_deployment && self.stored.health.take().is_some() {
            // Stored before the allocation is: a verdict for the deployment before must never be found beside the new one.
            self.store().await;
        }
        let before = std::mem::replace(&mut self.alloc, alloc);
        self.view.lock().unwrap_or_else(PoisonError::into_inner).alloc = Arc::clone(&self.alloc);
        if let Err(error) = self.shared.store.put_alloc(&self.alloc).await {
            tracing::error!(alloc_id = %self.alloc.id, %error, "allocation could not be stored");
        }
        if self.alloc.server_terminal() {
            let no_shutdown_delay = self.alloc.transition.no_shutdown_delay == Some(true);
            self.stop(StopReason { no_shutdown_delay, ..StopReason::default() });
            return;
        }
        let Some(group) = self.alloc.task_group().cloned() else { return };
        let options = options(&self.shared, &self.alloc);
        self.machine.update(&group, options);
        self.limit_run();
        if new_deployment {
            self.health = None;
            self.begin_health();
        }
        self.update_services(&before, &group).await;
    }

    /// Changed services of a job that was updated in place are registered anew; those that are gone are removed.
    async fn update_services(&mut self, before: &Arc<Allocation>, group: &TaskGroup) {
        let old = before.task_group();
        let changed = old.is_none_or(|old| {
            let services = |group: &TaskGroup| -> Vec<Service> {
                group.services.iter().chain(group.tasks.iter().flat_map(|task| &task.services)).cloned().collect()
            };
            services(old) != services(group) || before.canary != self.alloc.canary || before.job.meta != self.alloc.job.meta
        });
        if !changed || self.machine.is_stopping() {
            return;
        }
        let owners: Vec<Option<String>> = std::iter::once(None)
            .chain(self.machine.states().into_iter().filter(|(_, state)| state.status == TaskStatus::Running).map(|(name, _)| Some(name)))
            .collect();
        for owner in owners {
            let owner = owner.as_deref();
            let stale = self.registration_ids(before, owner);
            let fresh = self.registration_ids(&self.alloc, owner);
            let gone: Vec<String> = stale.into_iter().filter(|id| !fresh.contains(id)).collect();
            self.remove_services(gone).await;
            if let Err(error) = self.register(owner).await {
                tracing::warn!(alloc_id = %self.alloc.id, %error, "changed services could not be registered");
            }
        }
    }
}

/// Health for a deployment or a drain.
impl Runner {
    fn begin_health(&mut self) {
        if self.stored.health.is_some() || !self.alloc.health_wanted {
            return;
        }
        let Some(group) = self.alloc.task_group() else { return };
        // Outside a deployment, health sets the pace at which the group leaves nodes (DEP-018).
        let rules = match (self.alloc.deployment, &group.update, &group.migrate) {
            (Some(_), Some(update), _) => Some((update.health_check, update.min_healthy_time, update.healthy_deadline)),
            (None, _, Some(migrate)) => Some((migrate.health_check, migrate.min_healthy_time, migrate.healthy_deadline)),
            _ => None,
        };
        let Some((check, min_healthy_time, healthy_deadline)) = rules.filter(|(check, _, _)| *check != HealthCheck::Manual) else { return };
        let policy = HealthPolicy { min_healthy_time, healthy_deadline, uses_checks: check == HealthCheck::Checks };
        let has_checks = checks_that_count(group) > 0;
        let now = self.shared.clock.monotonic();
        let mut health = HealthTracker::new(policy, self.machine.roles(), has_checks, now);
        // An update in place finds tasks and checks as they are; they may not change again.
        let all_pass = has_checks && self.checks_pass();
        let verdict =
            health.tasks_changed(now, &self.machine.states()).or_else(|| if all_pass { health.checks_changed(now, true) } else { None });
        self.health = Some(health);
        self.judge(verdict);
    }

    /// Whether every check that counts is there and has passed.
    fn checks_pass(&self) -> bool {
        let expected = self.alloc.task_group().map_or(0, checks_that_count);
        let counting = || self.checks.values().filter(|check| check.counts_for_health);
        counting().count() >= expected && counting().all(|check| check.passed)
    }

    async fn checked(&mut self, id: &str, outcome: Outcome) {
        let now = self.shared.clock.now();
        let Some(check) = self.checks.get_mut(id) else { return };
        check.passed = outcome.passed;
        let result = StoredCheck {
            status: if outcome.passed { "success" } else { "failure" }.to_owned(),
            output: outcome.output,
            status_code: outcome.status_code,
            at: now.seconds(),
        };
        let restart = match &mut check.watcher {
            Some(watcher) => watcher.result(self.shared.clock.monotonic(), outcome.passed),
            None => false,
        };
        let task = check.task.clone();
        let name = {
            let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(shown) = view.checks.get_mut(id) else { return };
            shown.result = result.clone();
            shown.check.clone()
        };
        if restart {
            self.events.push_back(Event::CheckRestart { task, reason: check_restart::reason(&name) });
        }
        let all_pass = self.checks_pass();
        if let Some(health) = &mut self.health {
            let verdict = health.checks_changed(self.shared.clock.monotonic(), all_pass);
            self.judge(verdict);
        }
        let changed = self.stored.checks.get(id).is_none_or(|before| before.status != result.status);
        self.stored.checks.insert(id.to_owned(), result);
        if changed {
            self.store().await;
        }
    }
}

/// How many checks of a group hold its health up.
fn checks_that_count(group: &TaskGroup) -> usize {
    let services = group.services.iter().chain(group.tasks.iter().flat_map(|task| &task.services));
    let checks = services.filter(|service| service.provider == ServiceProvider::Nomad).flat_map(|service| &service.checks);
    checks.filter(|check| check.on_update != OnUpdate::Ignore && matches!(check.r#type.as_str(), "tcp" | "http")).count()
}

/// Services and their checks.
impl Runner {
    fn services_of<'a>(alloc: &'a Allocation, owner: Option<&str>) -> Vec<&'a Service> {
        let Some(group) = alloc.task_group() else { return Vec::new() };
        let services = match owner {
            None => Some(&group.services),
            Some(task) => group.task(task).map(|task| &task.services),
        };
        services.into_iter().flatten().filter(|service| service.provider == ServiceProvider::Nomad).collect()
    }

    fn registration_ids(&self, alloc: &Allocation, owner: Option<&str>) -> Vec<String> {
        let services = Self::services_of(alloc, owner);
        if services.is_empty() {
            return Vec::new();
        }
        let task = owner.and_then(|name| alloc.task_group()?.task(name));
        let environment = task::environment(&self.shared, alloc, task, &BTreeMap::new());
        let part = service::owner(alloc, owner);
        services
            .into_iter()
            .map(|found| {
                let name = environment.interpolate(&found.name);
                let label = environment.interpolate(&found.port_label);
                service::registration_id(alloc, &part, &name, &label)
            })
            .collect()
    }

    async fn register(&mut self, owner: Option<&str>) -> Result<(), service::ServiceError> {
        let alloc = Arc::clone(&self.alloc);
        let services = Self::services_of(&alloc, owner);
        if services.is_empty() {
            return Ok(());
        }
        let task = owner.and_then(|name| alloc.task_group()?.task(name));
        let environment = task::environment(&self.shared, &alloc, task, &BTreeMap::new());
        let node = self.shared.node();
        let node_ip = crate::fingerprint::node_ip(&node);
        let mut registrations = Vec::new();
        let mut plans = Vec::new();
        for found in services {
            let registration = service::registration(&alloc, &node, &node_ip, owner, found, &environment)?;
            for check in &found.checks {
                plans.push((registration.clone(), found, check));
            }
            registrations.push(registration);
        }
        for (registration, found, check) in plans {
            let label = environment.interpolate(&check.port_label);
            let address = if label.is_empty() {
                service::ServiceAddress { ip: registration.address.clone(), port: registration.port }
            } else {
                service::address_of(&alloc, &node_ip, &registration.service_name, &label, &check.address_mode, "")?
            };
            self.begin_check(owner, found, &registration.service_name, check, address, &environment);
        }
        drop(self.shared.registrar.send(Order::Register(registrations)).await);
        Ok(())
    }

    fn begin_check(
        &mut self,
        owner: Option<&str>,
        found: &Service,
        service_name: &str,
        check: &ServiceCheck,
        address: service::ServiceAddress,
        environment: &drover_runner::environment::Environment,
    ) {
        let kind = match check.r#type.as_str() {
            "tcp" => CheckKind::Tcp,
            "http" => CheckKind::Http {
                tls: (check.protocol == "https")
                    .then(|| TlsPlan::new(check.tls_skip_verify, environment.interpolate(&check.tls_server_name))),
                method: environment.interpolate(&check.method),
                path: environment.interpolate(&check.path),
                headers: check
                    .header
                    .iter()
                    .flat_map(|header| &header.0)
                    .flat_map(|(name, values)| values.iter().flatten().map(move |value| (name.clone(), value)))
                    .map(|(name, value)| (name, environment.interpolate(value)))
                    .collect(),
                body: environment.interpolate(&check.body),
            },
            // Refused at admission for this provider.
            _ => return,
        };
        let check_name = environment.interpolate(&check.name);
        let id = check_id(&self.alloc, owner, service_name, &check_name, check);
        let named = [&check.task_name, &found.task_name].into_iter().find(|name| !name.is_empty());
        let task = named.map(|name| environment.interpolate(name)).or_else(|| owner.map(str::to_owned));
        let restart_policy = check.check_restart.as_ref().or(found.check_restart.as_ref());
        let mut watcher = restart_policy.and_then(CheckWatcher::new);
        if let (Some(watcher), Some(name)) = (&mut watcher, &task)
            && self.machine.state(name).is_some_and(|state| state.status == TaskStatus::Running)
        {
            watcher.started(self.shared.clock.monotonic());
        }
        let stop = self.check_scope.stop_token().child_token();
        let before = self.stored.checks.get(&id).cloned();
        let running = RunningCheck {
            owner: owner.map(str::to_owned),
            task,
            stop: stop.clone(),
            watcher,
            passed: before.as_ref().is_some_and(|before| before.status == "success"),
            counts_for_health: check.on_update != OnUpdate::Ignore,
        };
        if let Some(replaced) = self.checks.insert(id.clone(), running) {
            replaced.stop.cancel();
        }
        let pending = StoredCheck {
            status: "pending".to_owned(),
            output: "nomad: waiting to run".to_owned(),
            status_code: 0,
            at: self.shared.clock.now().seconds(),
        };
        let shown = CheckView {
            check: check_name,
            service: service_name.to_owned(),
            task: owner.unwrap_or_default().to_owned(),
            mode: if check.on_update == OnUpdate::Ignore { "readiness" } else { "healthiness" },
            result: before.unwrap_or(pending),
        };
        self.view.lock().unwrap_or_else(PoisonError::into_inner).checks.insert(id.clone(), shown);
        let plan = CheckPlan { kind, interval: check.interval, timeout: check.timeout, host: address.ip, port: address.port };
        let (commands, clock) = (self.own_commands.clone(), self.shared.clock.clone());
        self.check_scope.spawn_until_stop("check", async move {
            let report = |outcome: Outcome| {
                let (commands, check) = (commands.upgrade(), id.clone());
                async move {
                    match commands {
                        Some(commands) => commands.send(Command::Checked { check, outcome }).await.is_ok(),
                        None => false,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = checks::watch(plan, clock, report) => {}
            }
        });
    }

    fn stop_checks(&mut self, wanted: impl Fn(Option<&str>) -> bool) {
        let ended: Vec<String> = self.checks.iter().filter(|(_, check)| wanted(check.owner.as_deref())).map(|(id, _)| id.clone()).collect();
        for id in ended {
            if let Some(check) = self.checks.remove(&id) {
                check.stop.cancel();
            }
        }
    }

    async fn deregister(&mut self, owner: Option<&str>) {
        let ids = self.registration_ids(&self.alloc, owner);
        if ids.is_empty() {
            return;
        }
        match owner {
            // Checks of group services go on for as long as the services are there.
            Some(task) => self.stop_checks(|owner| owner == Some(task)),
            None => self.stop_checks(|owner| owner.is_none()),
        }
        self.remove_services(ids).await;
    }

    async fn remove_services(&mut self, ids: Vec<String>) {
        if !ids.is_empty() {
            let namespace = self.alloc.job.id.namespace.clone();
            drop(self.shared.registrar.send(Order::Remove { namespace, ids }).await);
        }
    }
}

/// The id of a check: a digest of everything that tells it from others.
fn check_id(alloc: &Allocation, owner: Option<&str>, service: &str, name: &str, check: &ServiceCheck) -> String {
    use sha2::Digest;
    let text = format!("{}\0{owner:?}\0{service}\0{name}\0{}\0{}\0{}", alloc.id, check.r#type, check.port_label, check.path);
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reports an allocation that cannot even be begun as failed, once.
pub(crate) fn report_impossible(shared: &Shared, id: AllocId, reason: &str) {
    let health = Some(DeploymentHealth { healthy: false, time: shared.clock.now() });
    let update = AllocUpdate { id, status: ClientStatus::Failed, description: reason.to_owned(), tasks: BTreeMap::new(), health };
    shared.reporter.report(shared.clock.monotonic(), update, true);
}
