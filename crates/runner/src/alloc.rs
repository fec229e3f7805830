//! One allocation: which of its tasks start, start again, are killed and in which order, and when all is over.
//!
//! The machine holds no handle to anything. The client tells it what happened ([`Event`]) and does what it says ([`Action`]); the same
//! events at the same times with the same seed give the same actions. Every event may be told twice without harm.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::{Monotonic, Rng, WallTime};
use drover_model::mirror::nanoseconds;
use drover_model::{RestartPolicy, Task, TaskEvent, TaskEventKind, TaskGroup, TaskState, TaskStatus};

use crate::lifecycle::{self, Member, Role};
use crate::restart::{Decision, Outcome, RestartTracker};

/// The longest time between a kill signal and force that a client grants unless configured otherwise.
pub const KILL_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// The first wait before a kill that failed is tried again; each further one is four times as long.
const KILL_RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest wait before a kill is tried again.
const KILL_RETRY_MAX: Duration = Duration::from_secs(120);
/// Kills tried before a task counts as gone.
const KILL_ATTEMPTS_MAX: u32 = 5;

/// The time of an event, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub wall: WallTime,
    pub monotonic: Monotonic,
}

/// How a task's process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    pub code: i32,
    pub signal: i32,
    pub out_of_memory: bool,
    /// What the driver adds; anything makes the end a failure.
    pub message: String,
}

impl Exit {
    fn is_success(&self) -> bool {
        self.code == 0 && self.signal == 0 && !self.out_of_memory && self.message.is_empty()
    }
}

/// Why a task did not get to run.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchFailure {
    /// What to show.
    pub event: TaskEventKind,
    /// Whether the restart policy may be asked.
    pub recoverable: bool,
}

/// Why an allocation is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopReason {
    /// Shown in the kill events; empty for the usual words.
    pub text: String,
    /// Leave out the waits before signals.
    pub no_shutdown_delay: bool,
    /// Leave out what runs after the main tasks.
    pub skip_poststop: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The allocation's own preparations are done, or failed with this message.
    SetUp(Result<(), String>),
    /// Something to show about a task that changes nothing else.
    Note { task: String, kind: TaskEventKind },
    /// A task's preparations are done and its process runs, or not.
    Launched { task: String, result: Result<(), LaunchFailure> },
    /// A task's process ended.
    Exited { task: String, exit: Exit },
    /// Somebody wants tasks restarted: one, or all that run.
    Restart { task: Option<String>, reason: String },
    /// A check wants tasks restarted; this counts as a failure. None means all that run.
    CheckRestart { task: Option<String>, reason: String },
    /// A task must end as failed, with this reason.
    KillFailed { task: String, reason: String },
    /// The allocation has to end.
    Stop(StopReason),
    /// The servers were reached.
    ServersContacted,
    /// After a restart of the agent: this task runs and is watched again.
    Reattached { task: String },
    /// After a restart of the agent: this task is gone or out of reach, and nothing of it is left.
    ReattachFailed { task: String, reason: String },
    /// A kill could not be carried out.
    KillError { task: String, error: String },
    /// Everything outside the tasks is cleared up.
    TornDown,
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Prepare the allocation itself; answer with [`Event::SetUp`].
    SetUp,
    /// Prepare and start a task; answer with [`Event::Launched`], and with [`Event::Exited`] when it ends.
    Launch { task: String },
    /// Signal a task and kill it once the time is over. Its end comes as [`Event::Exited`].
    Kill { task: String, timeout: Duration },
    /// Take the services of a task out of the catalogue.
    Deregister { task: String },
    /// Take the services of the group out of the catalogue.
    DeregisterGroup,
    /// Clear up after the tasks; answer with [`Event::TornDown`].
    TearDown,
}

/// Where a task stands, beyond what is shown of it.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    /// Not released by the order of the group, or not to be started before the servers were reached.
    Waiting {
        needs_contact: bool,
    },
    /// Being prepared and started; to be killed as soon as it runs.
    Launching {
        kill: bool,
    },
    Running,
    /// Being ended in order to be started again.
    Restarting {
        counts: bool,
    },
    /// Waiting to be started again.
    Backoff {
        until: Monotonic,
    },
    /// Being killed: the signal goes out then, or went out.
    Killing {
        signal_at: Option<Monotonic>,
        attempts: u32,
    },
    Dead,
}

#[derive(Debug, Clone)]
struct TaskMachine {
    role: Role,
    leader: bool,
    kill_timeout: Duration,
    shutdown_delay: Duration,
    tracker: RestartTracker,
    phase: Phase,
    state: TaskState,
}

/// Why every task is being killed.
#[derive(Debug, Clone)]
struct KillAll {
    /// Told to each task before its kill.
    because: Option<TaskEventKind>,
    reason: StopReason,
    /// No signal before this: the group's own wait.
    not_before: Option<Monotonic>,
}

/// Where the allocation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    SettingUp,
    Running,
    TearingDown,
    Over,
}

/// One allocation's machine.
#[derive(Debug, Clone)]
pub struct AllocMachine {
    tasks: BTreeMap<String, TaskMachine>,
    stage: Stage,
    kill_all: Option<KillAll>,
    group_shutdown_delay: Duration,
    contacted: bool,
    rng: Rng,
    changed: bool,
}

/// What the machine needs to know beside the group.
#[derive(Debug, Clone, Copy)]
pub struct MachineOptions {
    pub job_is_batch: bool,
    pub kill_timeout_max: Duration,
    pub seed: u64,
}

fn policy_of(group: &TaskGroup, task: &Task) -> RestartPolicy {
    group.restart_policy_of(task).clone()
}

impl AllocMachine {
    /// A machine for an allocation that is new here.
    pub fn new(group: &TaskGroup, options: MachineOptions) -> Self {
        let tasks = group.tasks.iter().map(|task| {
            let machine = TaskMachine::new(group, task, options, TaskState::default(), Phase::Waiting { needs_contact: false });
            (task.name.clone(), machine)
        });
        Self {
            tasks: tasks.collect(),
            stage: Stage::New,
            kill_all: None,
            group_shutdown_delay: group.shutdown_delay.unwrap_or_default(),
            contacted: true,
            rng: Rng::new(options.seed),
            changed: true,
        }
    }

    /// A machine for an allocation that was here before the agent restarted, from the states that were stored. Tasks that ran are
    /// expected to be reported as [`Event::Reattached`] or [`Event::ReattachFailed`]; tasks that had not started wait for the servers.
    pub fn restored(group: &TaskGroup, options: MachineOptions, mut states: BTreeMap<String, TaskState>) -> Self {
        let mut machine = Self::new(group, options);
        machine.contacted = false;
        for task in &group.tasks {
            let Some(state) = states.remove(&task.name) else { continue };
            let phase = match state.status {
                TaskStatus::Dead => Phase::Dead,
                TaskStatus::Running => Phase::Running,
                TaskStatus::Pending => Phase::Waiting { needs_contact: true },
            };
            machine.tasks.insert(task.name.clone(), TaskMachine::new(group, task, options, state, phase));
        }
        machine
    }

    /// Takes what may change without a restart from a newer version of the job.
    pub fn update(&mut self, group: &TaskGroup, options: MachineOptions) {
        self.group_shutdown_delay = group.shutdown_delay.unwrap_or_default();
        for task in &group.tasks {
            if let Some(machine) = self.tasks.get_mut(&task.name) {
                machine.kill_timeout = task.kill_timeout.min(options.kill_timeout_max);
                machine.shutdown_delay = task.shutdown_delay;
                machine.tracker.set_policy(policy_of(group, task));
            }
        }
    }

    /// The states of the tasks by name.
    pub fn states(&self) -> BTreeMap<String, TaskState> {
        self.tasks.iter().map(|(name, task)| (name.clone(), task.state.clone())).collect()
    }

    /// The state of one task.
    pub fn state(&self, task: &str) -> Option<&TaskState> {
        self.tasks.get(task).map(|task| &task.state)
    }

    /// The role of each task.
    pub fn roles(&self) -> BTreeMap<String, Role> {
        self.tasks.iter().map(|(name, task)| (name.clone(), task.role)).collect()
    }

    /// Whether something shown has changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether every task is dead.
    pub fn all_dead(&self) -> bool {
        self.tasks.values().all(|task| task.phase == Phase::Dead)
    }

    /// Whether everything is cleared up and nothing will happen any more.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether the allocation is on its way to its end.
    pub fn is_stopping(&self) -> bool {
        self.kill_all.is_some() || matches!(self.stage, Stage::TearingDown | Stage::Over)
    }

    /// The next moment at which [`Event::Tick`] could change anything.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let group = self.kill_all.as_ref().and_then(|kill| kill.not_before);
        let tasks = self.tasks.values().filter_map(|task| match task.phase {
            Phase::Backoff { until } => Some(until),
            Phase::Killing { signal_at, .. } => signal_at,
            _ => None,
        });
        tasks.chain(group).min()
    }

    /// Begins: to be called once, before any event.
    pub fn begin(&mut self, now: Now) -> Vec<Action> {
        for task in self.tasks.values_mut() {
            if task.state.events.is_empty() {
                task.note(now, TaskEventKind::Received);
            }
        }
        if self.all_dead() {
            // Nothing but clearing up is left of an allocation that was over before.
            self.stage = Stage::TearingDown;
            return vec![Action::TearDown];
        }
        self.stage = Stage::SettingUp;
        vec![Action::SetUp]
    }

    /// Takes an event in and says what to do.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        // Of one that is over there may still be something to tell, and nothing to do.
        if self.stage != Stage::Over || matches!(event, Event::Note { .. }) {
            self.take(now, event, &mut actions);
            self.advance(now, &mut actions);
        }
        actions
    }

    fn take(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Tick => {}
            Event::ServersContacted => self.contacted = true,
            Event::SetUp(Ok(())) => {
                if self.stage == Stage::SettingUp {
                    self.stage = Stage::Running;
                }
            }
            Event::SetUp(Err(message)) => self.fail_set_up(now, &message),
            Event::TornDown => {
                if self.stage == Stage::TearingDown {
                    self.stage = Stage::Over;
                }
            }
            Event::Note { task, kind } => self.with(&task, |task| task.note(now, kind)),
            Event::Launched { task, result } => self.launched(now, &task, result, actions),
            Event::Exited { task, exit } => self.exited(now, &task, &exit),
            Event::Restart { task, reason } => self.restart(now, task.as_deref(), &reason, false, actions),
            Event::CheckRestart { task, reason } => self.restart(now, task.as_deref(), &reason, true, actions),
            Event::KillFailed { task, reason } => {
                let skip = false;
                if let Some(machine) = self.tasks.get_mut(&task) {
                    machine.state.failed = true;
                    machine.kill(now, &task, &reason, true, skip, actions);
                }
                self.changed = true;
            }
            Event::Stop(reason) => self.stop(now, reason, actions),
            Event::Reattached { task } => self.with(&task, |task| task.phase = Phase::Running),
            Event::ReattachFailed { task, reason } => self.with(&task, |task| {
                if task.phase == Phase::Running {
                    task.note(now, TaskEventKind::RestoreFailed(reason));
                    task.state.status = TaskStatus::Pending;
                    task.phase = Phase::Waiting { needs_contact: true };
                }
            }),
            Event::KillError { task, error } => self.with(&task, |task| task.kill_failed(now, &error)),
        }
    }

    fn with(&mut self, name: &str, change: impl FnOnce(&mut TaskMachine)) {
        if let Some(task) = self.tasks.get_mut(name) {
            change(task);
            self.changed = true;
        }
    }

    fn fail_set_up(&mut self, now: Now, message: &str) {
        for task in self.tasks.values_mut().filter(|task| task.phase != Phase::Dead) {
            let message = format!("failed to setup alloc: {message}");
            task.note(now, TaskEventKind::SetupFailure { message, fails_task: true });
            task.state.failed = true;
            task.die(now);
        }
        self.stage = Stage::Running;
        self.changed = true;
    }

    fn launched(&mut self, now: Now, name: &str, result: Result<(), LaunchFailure>, actions: &mut Vec<Action>) {
        let skip_delay = self.kill_all.as_ref().is_some_and(|kill| kill.reason.no_shutdown_delay);
        let reason = self.kill_all.as_ref().map(|kill| kill.reason.text.clone()).unwrap_or_default();
        let Some(task) = self.tasks.get_mut(name) else { return };
        let Phase::Launching { kill } = task.phase else { return };
        self.changed = true;
        match result {
            Ok(()) => {
                task.phase = Phase::Running;
                task.state.status = TaskStatus::Running;
                task.state.started_at = now.wall;
                task.state.finished_at = WallTime::ZERO;
                task.note(now, TaskEventKind::Started);
                if kill {
                    task.kill(now, name, &reason, false, skip_delay, actions);
                }
            }
            Err(failure) => {
                // What ends the task for good has said so already.
                let fatal = matches!(failure.event, TaskEventKind::Killing { fails_task: true, .. });
                task.note(now, failure.event);
                if fatal {
                    task.state.failed = true;
                }
                if kill || fatal {
                    task.die(now);
                } else {
                    let outcome = if failure.recoverable { Outcome::StartFailure } else { Outcome::FatalStartFailure };
                    task.decide(now, outcome, &mut self.rng);
                }
            }
        }
    }

    fn exited(&mut self, now: Now, name: &str, exit: &Exit) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let phase = task.phase.clone();
        if !matches!(phase, Phase::Running | Phase::Restarting { .. } | Phase::Killing { .. }) {
            return;
        }
        self.changed = true;
        task.note(
            now,
            TaskEventKind::Terminated {
                exit_code: exit.code,
                signal: exit.signal,
                oom_killed: exit.out_of_memory,
                message: exit.message.clone(),
            },
        );
        match phase {
            Phase::Killing { .. } => {
                task.note(now, TaskEventKind::Killed(String::new()));
                task.die(now);
            }
            Phase::Restarting { counts: false } => task.back_off(now, Duration::ZERO, ""),
            Phase::Restarting { counts: true } => task.decide(now, Outcome::Failure, &mut self.rng),
            _ => {
                let outcome = if exit.is_success() { Outcome::Success } else { Outcome::Failure };
                task.decide(now, outcome, &mut self.rng);
            }
        }
    }

    fn restart(&mut self, now: Now, wanted: Option<&str>, reason: &str, counts: bool, actions: &mut Vec<Action>) {
        if self.is_stopping() {
            return;
        }
        let over = self.all_dead();
        for (name, task) in &mut self.tasks {
            let named = wanted == Some(name.as_str());
            if !named && wanted.is_some() {
                continue;
            }
            match task.phase {
                Phase::Running => {
                    task.note(now, TaskEventKind::RestartSignaled(reason.to_owned()));
                    task.phase = Phase::Restarting { counts };
                    actions.push(Action::Deregister { task: name.clone() });
                    actions.push(Action::Kill { task: name.clone(), timeout: task.kill_timeout });
                    self.changed = true;
                }
                Phase::Dead if named && !over && task.role != Role::Poststop => {
                    task.note(now, TaskEventKind::RestartSignaled(reason.to_owned()));
                    task.state.failed = false;
                    task.back_off(now, Duration::ZERO, "");
                    self.changed = true;
                }
                _ => {}
            }
        }
    }

    fn stop(&mut self, now: Now, reason: StopReason, actions: &mut Vec<Action>) {
        match &mut self.kill_all {
            Some(kill) => {
                if reason.no_shutdown_delay && !kill.reason.no_shutdown_delay {
                    kill.reason.no_shutdown_delay = true;
                    kill.not_before = None;
                    self.hasten(now);
                }
            }
            None => {
                if reason.no_shutdown_delay {
                    let delayed = |task: &TaskMachine| !task.shutdown_delay.is_zero() || !self.group_shutdown_delay.is_zero();
                    let names: Vec<String> = self.tasks.iter().filter(|(_, task)| delayed(task)).map(|(name, _)| name.clone()).collect();
                    for name in names {
                        self.with(&name, |task| {
                            if task.phase != Phase::Dead {
                                task.note(now, TaskEventKind::SkippingShutdownDelay);
                            }
                        });
                    }
                }
                actions.push(Action::DeregisterGroup);
                let waits = !reason.no_shutdown_delay && !self.group_shutdown_delay.is_zero();
                let not_before = waits.then(|| now.monotonic + self.group_shutdown_delay);
                self.kill_all = Some(KillAll { because: None, reason, not_before });
            }
        }
    }

    /// Sends signals that wait for a delay at once.
    fn hasten(&mut self, now: Now) {
        for task in self.tasks.values_mut() {
            if let Phase::Killing { signal_at: Some(at), .. } = &mut task.phase {
                *at = now.monotonic;
                task.note(now, TaskEventKind::SkippingShutdownDelay);
                self.changed = true;
            }
        }
    }

    /// Does everything that the present state calls for.
    fn advance(&mut self, now: Now, actions: &mut Vec<Action>) {
        if !matches!(self.stage, Stage::SettingUp | Stage::Running) {
            return;
        }
        self.react_to_ends(now, actions);
        self.advance_kill_all(now, actions);
        self.send_due_signals(now, actions);
        if self.stage == Stage::Running {
            self.start_what_may(now, actions);
        }
        if self.all_dead() {
            self.stage = Stage::TearingDown;
            for task in self.tasks.values_mut().filter(|task| task.state.finished_at.is_zero()) {
                task.state.finished_at = now.wall;
            }
            self.changed = true;
            actions.push(Action::TearDown);
        }
    }

    fn members(&self) -> Vec<Member> {
        self.tasks.values().map(|task| Member::new(task.role, &task.state)).collect()
    }

    fn react_to_ends(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.kill_all.is_none() {
            let dead = |task: &TaskMachine| task.phase == Phase::Dead && task.role != Role::Poststop;
            let failed = self.tasks.iter().find(|(_, task)| dead(task) && task.state.failed).map(|(name, _)| name.clone());
            let leader_ended = self.tasks.values().any(|task| task.leader && task.phase == Phase::Dead);
            let because = match (failed, leader_ended) {
                (Some(name), _) => Some(TaskEventKind::SiblingFailed(name)),
                (None, true) => Some(TaskEventKind::LeaderDead),
                (None, false) => None,
            };
            if because.is_some() && self.alive(|task| task.role != Role::Poststop) {
                actions.push(Action::DeregisterGroup);
                self.kill_all = Some(KillAll { because, reason: StopReason::default(), not_before: None });
            }
        }
        if self.kill_all.is_none() && lifecycle::mains_are_dead(&self.members()) {
            for (name, task) in &mut self.tasks {
                // What runs once after the start is let finish; what runs beside the main tasks is not.
                if task.role.is_sidecar() && task.is_killable() {
                    task.note(now, TaskEventKind::MainDead);
                    task.kill(now, name, "", false, false, actions);
                    self.changed = true;
                }
            }
        }
    }

    fn alive(&self, wanted: impl Fn(&TaskMachine) -> bool) -> bool {
        self.tasks.values().any(|task| task.phase != Phase::Dead && wanted(task))
    }

    /// Leader first, then the others, then sidecars; each group once the one before is dead.
    fn advance_kill_all(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some(kill) = self.kill_all.clone() else { return };
        if kill.not_before.is_some_and(|at| now.monotonic < at) {
            return;
        }
        if let Some(kill) = &mut self.kill_all {
            kill.not_before = None;
        }
        let poststop = |task: &TaskMachine| task.role == Role::Poststop;
        let groups: [&dyn Fn(&TaskMachine) -> bool; 3] =
            [&|task| task.leader && !poststop(task), &|task| !task.role.is_sidecar() && !poststop(task), &|task| !poststop(task)];
        for wanted in groups {
            if !self.alive(wanted) {
                continue;
            }
            for (name, task) in &mut self.tasks {
                if wanted(task) && task.is_killable() {
                    if let Some(because) = &kill.because {
                        task.note(now, because.clone());
                    }
                    task.kill(now, name, &kill.reason.text, false, kill.reason.no_shutdown_delay, actions);
                    self.changed = true;
                }
            }
            if self.alive(wanted) {
                return;
            }
        }
        if kill.reason.skip_poststop {
            for task in self.tasks.values_mut().filter(|task| matches!(task.phase, Phase::Waiting { .. })) {
                task.die(now);
                self.changed = true;
            }
        }
    }

    fn send_due_signals(&mut self, now: Now, actions: &mut Vec<Action>) {
        for (name, task) in &mut self.tasks {
            if let Phase::Killing { signal_at: Some(at), .. } = &mut task.phase
                && *at <= now.monotonic
            {
                if let Phase::Killing { signal_at, .. } = &mut task.phase {
                    *signal_at = None;
                }
                actions.push(Action::Kill { task: name.clone(), timeout: task.kill_timeout });
            }
        }
    }

    fn start_what_may(&mut self, now: Now, actions: &mut Vec<Action>) {
        let members = self.members();
        let killing = self.kill_all.is_some();
        for (name, task) in &mut self.tasks {
            let ready = match task.phase {
                Phase::Waiting { needs_contact } => {
                    // What runs after the main tasks belongs to the end, which was not in doubt.
                    let ending = killing && task.role == Role::Poststop;
                    (!killing || ending) && (self.contacted || !needs_contact || ending) && lifecycle::may_start(task.role, &members)
                }
                Phase::Backoff { until } => until <= now.monotonic,
                _ => false,
            };
            if ready {
                task.tracker.starting(now.monotonic);
                task.phase = Phase::Launching { kill: false };
                actions.push(Action::Launch { task: name.clone() });
            }
        }
        // What follows a main task that never ran has nothing to follow.
        if lifecycle::mains_are_dead(&members) || killing {
            for task in self.tasks.values_mut() {
                let useless = matches!(task.role, Role::Poststart | Role::PoststartSidecar)
                    && matches!(task.phase, Phase::Waiting { .. })
                    && !lifecycle::may_start(task.role, &members);
                if useless {
                    task.die(now);
                    self.changed = true;
                }
            }
        }
    }
}

impl TaskMachine {
    fn new(group: &TaskGroup, task: &Task, options: MachineOptions, state: TaskState, phase: Phase) -> Self {
        let role = Role::of(task);
        Self {
            role,
            leader: task.leader,
            kill_timeout: task.kill_timeout.min(options.kill_timeout_max),
            shutdown_delay: task.shutdown_delay,
            tracker: RestartTracker::new(policy_of(group, task), role.success_ends(options.job_is_batch)),
            phase,
            state,
        }
    }

    fn note(&mut self, now: Now, kind: TaskEventKind) {
        self.state.push(TaskEvent { time: now.wall, kind });
    }

    fn die(&mut self, now: Now) {
        self.phase = Phase::Dead;
        self.state.status = TaskStatus::Dead;
        self.state.finished_at = now.wall;
    }

    fn back_off(&mut self, now: Now, delay: Duration, reason: &str) {
        self.note(now, TaskEventKind::Restarting { delay_ns: nanoseconds(delay), reason: reason.to_owned() });
        self.state.restarts += 1;
        self.state.last_restart = now.wall;
        self.state.status = TaskStatus::Pending;
        self.phase = Phase::Backoff { until: now.monotonic + delay };
    }

    fn decide(&mut self, now: Now, outcome: Outcome, rng: &mut Rng) {
        match self.tracker.decide(now.monotonic, outcome, rng) {
            Decision::Restart { delay, reason } => self.back_off(now, delay, reason),
            Decision::Complete => self.die(now),
            Decision::Fail { reason } => {
                self.note(now, TaskEventKind::NotRestarting { reason, fails_task: true });
                self.state.failed = true;
                self.die(now);
            }
        }
    }

    fn is_killable(&self) -> bool {
        match self.phase {
            Phase::Waiting { .. } | Phase::Running | Phase::Restarting { .. } | Phase::Backoff { .. } => true,
            Phase::Launching { kill } => !kill,
            Phase::Killing { .. } | Phase::Dead => false,
        }
    }

    fn kill(&mut self, now: Now, name: &str, reason: &str, fails: bool, skip_delay: bool, actions: &mut Vec<Action>) {
        let killing =
            TaskEventKind::Killing { kill_timeout_ns: nanoseconds(self.kill_timeout), reason: reason.to_owned(), fails_task: fails };
        match self.phase {
            Phase::Waiting { .. } | Phase::Backoff { .. } => {
                self.note(now, killing);
                self.die(now);
            }
            Phase::Launching { .. } => self.phase = Phase::Launching { kill: true },
            Phase::Running => {
                self.note(now, killing);
                actions.push(Action::Deregister { task: name.to_owned() });
                let waits = !skip_delay && !self.shutdown_delay.is_zero();
                if waits {
                    self.note(now, TaskEventKind::ShutdownDelay(nanoseconds(self.shutdown_delay)));
                }
                let delay = if waits { self.shutdown_delay } else { Duration::ZERO };
                self.phase = Phase::Killing { signal_at: Some(now.monotonic + delay), attempts: 0 };
            }
            Phase::Restarting { .. } => {
                // It has its signal already; only what follows its end changes.
                self.note(now, killing);
                self.phase = Phase::Killing { signal_at: None, attempts: 0 };
            }
            Phase::Killing { .. } | Phase::Dead => {}
        }
    }

    fn kill_failed(&mut self, now: Now, error: &str) {
        match &mut self.phase {
            Phase::Killing { signal_at, attempts } => {
                *attempts += 1;
                if *attempts < KILL_ATTEMPTS_MAX {
                    let wait = KILL_RETRY_FIRST * 4_u32.saturating_pow(*attempts - 1);
                    *signal_at = Some(now.monotonic + wait.min(KILL_RETRY_MAX));
                    return;
                }
                self.note(now, TaskEventKind::Killed(error.to_owned()));
                self.die(now);
            }
            // The task goes on; whoever asked may ask again.
            Phase::Restarting { .. } => self.phase = Phase::Running,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
