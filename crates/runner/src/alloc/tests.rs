//! How an allocation's tasks begin, end and begin again, told as events and the actions that follow.

use super::*;
use drover_macros::proves;
use drover_model::{Hook, RestartMode, TaskLifecycle};

fn task(name: &str) -> Task {
    Task { name: name.to_owned(), driver: "mock_driver".to_owned(), kill_timeout: Duration::from_secs(5), ..Task::default() }
}

fn with_hook(name: &str, hook: Hook, sidecar: bool) -> Task {
    Task { lifecycle: Some(TaskLifecycle { hook, sidecar }), ..task(name) }
}

fn group(attempts: u32, tasks: Vec<Task>) -> TaskGroup {
    TaskGroup {
        name: "g".to_owned(),
        tasks,
        restart_policy: RestartPolicy {
            attempts,
            interval: Duration::from_secs(60),
            delay: Duration::from_secs(1),
            mode: RestartMode::Fail,
            ..RestartPolicy::default()
        },
        ..TaskGroup::default()
    }
}

/// Plays the client: carries time, and remembers what it was told to do.
struct Play {
    machine: AllocMachine,
    now: Now,
    log: Vec<Action>,
}

const BATCH: MachineOptions = MachineOptions { job_is_batch: true, kill_timeout_max: KILL_TIMEOUT_MAX, seed: 1 };
const SERVICE: MachineOptions = MachineOptions { job_is_batch: false, kill_timeout_max: KILL_TIMEOUT_MAX, seed: 1 };

impl Play {
    fn start(group: &TaskGroup, options: MachineOptions) -> Self {
        let mut play = Self::with(AllocMachine::new(group, options));
        play.tell(Event::SetUp(Ok(())));
        play
    }

    fn with(machine: AllocMachine) -> Self {
        let now = Now { wall: WallTime(1_000_000_000), monotonic: Monotonic(0) };
        let mut play = Self { machine, now, log: Vec::new() };
        let actions = play.machine.begin(now);
        play.log.extend(actions);
        play
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.machine.handle(self.now, event);
        self.log.extend(actions.clone());
        actions
    }

    fn wait(&mut self, seconds: f64) -> Vec<Action> {
        let step = Duration::from_secs_f64(seconds);
        self.now = Now { wall: self.now.wall + step, monotonic: self.now.monotonic + step };
        self.tell(Event::Tick)
    }

    fn runs(&mut self, task: &str) -> Vec<Action> {
        self.tell(Event::Launched { task: task.to_owned(), result: Ok(()) })
    }

    fn exits(&mut self, task: &str, code: i32) -> Vec<Action> {
        self.tell(Event::Exited { task: task.to_owned(), exit: Exit { code, ..Exit::default() } })
    }

    fn launched(&self) -> Vec<&str> {
        self.log.iter().filter_map(|action| if let Action::Launch { task } = action { Some(task.as_str()) } else { None }).collect()
    }

    fn killed(&self) -> Vec<&str> {
        self.log.iter().filter_map(|action| if let Action::Kill { task, .. } = action { Some(task.as_str()) } else { None }).collect()
    }

    fn status(&self, task: &str) -> (TaskStatus, bool) {
        let state = self.machine.state(task).expect("task");
        (state.status, state.failed)
    }

    fn events(&self, task: &str) -> Vec<&'static str> {
        self.machine.state(task).expect("task").events.iter().map(|event| word(&event.kind)).collect()
    }
}

fn word(kind: &TaskEventKind) -> &'static str {
    match kind {
        TaskEventKind::Received => "Received",
        TaskEventKind::Started => "Started",
        TaskEventKind::Terminated { .. } => "Terminated",
        TaskEventKind::Restarting { .. } => "Restarting",
        TaskEventKind::NotRestarting { .. } => "Not Restarting",
        TaskEventKind::Killing { .. } => "Killing",
        TaskEventKind::Killed(_) => "Killed",
        TaskEventKind::DriverFailure(_) => "Driver Failure",
        TaskEventKind::RestartSignaled(_) => "Restart Signaled",
        TaskEventKind::SiblingFailed(_) => "Sibling Task Failed",
        TaskEventKind::LeaderDead => "Leader Task Dead",
        TaskEventKind::MainDead => "Main Tasks Dead",
        TaskEventKind::ShutdownDelay(_) => "Waiting for shutdown delay",
        TaskEventKind::SkippingShutdownDelay => "Skipping shutdown delay",
        TaskEventKind::SetupFailure { .. } => "Setup Failure",
        TaskEventKind::RestoreFailed(_) => "Failed Restoring Task",
        _ => "other",
    }
}

const DEAD: (TaskStatus, bool) = (TaskStatus::Dead, false);
const FAILED: (TaskStatus, bool) = (TaskStatus::Dead, true);

#[proves("CLI-022", "CLI-023", "CLI-026")]
#[test]
fn the_whole_lifecycle_runs_in_order() {
    let tasks = vec![
        with_hook("pre", Hook::Prestart, false),
        with_hook("side", Hook::Prestart, true),
        task("main"),
        with_hook("post", Hook::Poststart, false),
        with_hook("bye", Hook::Poststop, false),
    ];
    let mut play = Play::start(&group(0, tasks), BATCH);
    assert_eq!(play.launched(), ["pre", "side"]);
    play.runs("pre");
    play.exits("pre", 0);
    assert_eq!(play.launched(), ["pre", "side"]);
    play.runs("side");
    assert_eq!(play.launched(), ["pre", "side", "main"]);
    play.runs("main");
    assert_eq!(play.launched(), ["pre", "side", "main", "post"]);
    play.runs("post");
    play.exits("post", 0);
    play.exits("main", 0);
    assert_eq!(play.killed(), ["side"]);
    play.exits("side", 0);
    assert_eq!(play.launched(), ["pre", "side", "main", "post", "bye"]);
    play.runs("bye");
    assert_eq!(play.exits("bye", 0), [Action::TearDown]);
    play.tell(Event::TornDown);
    assert!(play.machine.is_over());
    assert_eq!(play.events("side"), ["Received", "Started", "Main Tasks Dead", "Killing", "Terminated", "Killed"]);
    assert_eq!(play.events("main"), ["Received", "Started", "Terminated"]);
    assert!(play.machine.states().values().all(TaskState::successful));
}

#[proves("CLI-024", "CLI-027", "CLI-033", "CLI-015")]
#[test]
fn a_failed_prestart_ends_the_others_and_poststop_still_runs() {
    let tasks = vec![with_hook("pre", Hook::Prestart, false), task("main"), with_hook("bye", Hook::Poststop, false)];
    let mut play = Play::start(&group(0, tasks), BATCH);
    play.runs("pre");
    play.exits("pre", 1);
    assert_eq!((play.status("pre"), play.status("main")), (FAILED, DEAD));
    assert_eq!(play.events("main"), ["Received", "Sibling Task Failed", "Killing"]);
    assert_eq!(play.launched(), ["pre", "bye"]);
    play.runs("bye");
    assert_eq!(play.exits("bye", 0), [Action::TearDown]);
    assert!(play.machine.states().values().all(|state| !state.finished_at.is_zero()));
    assert_eq!(crate::status::of_tasks(play.machine.states().values()).0, drover_model::ClientStatus::Failed);
}

#[proves("CLI-028")]
#[test]
fn the_end_of_the_leader_ends_the_others() {
    let boss = Task { leader: true, ..task("boss") };
    let mut play = Play::start(&group(0, vec![boss, task("crew")]), BATCH);
    play.runs("boss");
    play.runs("crew");
    play.exits("boss", 0);
    assert_eq!(play.killed(), ["crew"]);
    play.exits("crew", 0);
    assert_eq!(play.events("crew"), ["Received", "Started", "Leader Task Dead", "Killing", "Terminated", "Killed"]);
    assert_eq!((play.status("boss"), play.status("crew")), (DEAD, DEAD));
}

#[proves("CLI-029", "CLI-046", "CLI-047", "CLI-052")]
#[test]
fn a_stop_deregisters_waits_and_kills_leader_others_sidecars_then_runs_poststop() {
    let tasks = vec![
        Task { leader: true, shutdown_delay: Duration::from_secs(2), ..task("boss") },
        task("crew"),
        with_hook("side", Hook::Prestart, true),
        with_hook("bye", Hook::Poststop, false),
    ];
    let group = TaskGroup { shutdown_delay: Some(Duration::from_secs(3)), ..group(0, tasks) };
    // The same holds for an allocation found again after a restart of the agent.
    for restored in [false, true] {
        let mut play = Play::start(&group, SERVICE);
        for name in ["side", "boss", "crew"] {
            play.runs(name);
        }
        if restored {
            let machine = AllocMachine::restored(&group, SERVICE, play.machine.states());
            play = Play::with(machine);
            play.tell(Event::SetUp(Ok(())));
            for name in ["side", "boss", "crew"] {
                play.tell(Event::Reattached { task: name.to_owned() });
            }
        }
        play.log.clear();
        assert_eq!(play.tell(Event::Stop(StopReason::default())), [Action::DeregisterGroup]);
        assert_eq!(play.wait(2.9), []);
        assert_eq!(play.wait(0.1), [Action::Deregister { task: "boss".to_owned() }]);
        assert_eq!(play.wait(1.9), []);
        assert_eq!(play.wait(0.1), [Action::Kill { task: "boss".to_owned(), timeout: Duration::from_secs(5) }]);
        play.exits("boss", 0);
        assert_eq!(play.killed(), ["boss", "crew"]);
        play.exits("crew", 0);
        assert_eq!(play.killed(), ["boss", "crew", "side"]);
        assert!(play.launched().is_empty());
        play.exits("side", 0);
        assert_eq!(play.launched(), ["bye"]);
        play.runs("bye");
        assert_eq!(play.exits("bye", 0), [Action::TearDown]);
        let events = play.events("boss");
        assert_eq!(events[events.len() - 4..], ["Killing", "Waiting for shutdown delay", "Terminated", "Killed"]);
    }
}

#[proves("CLI-049")]
#[test]
fn a_stop_without_delays_says_so() {
    let slow = Task { shutdown_delay: Duration::from_secs(60), ..task("web") };
    let group = TaskGroup { shutdown_delay: Some(Duration::from_secs(60)), ..group(0, vec![slow]) };
    let mut play = Play::start(&group, SERVICE);
    play.runs("web");
    play.tell(Event::Stop(StopReason { no_shutdown_delay: true, ..StopReason::default() }));
    assert_eq!(play.killed(), ["web"]);
    assert_eq!(play.events("web"), ["Received", "Started", "Skipping shutdown delay", "Killing"]);
    // The same when it is said only while a delay runs.
    let mut play = Play::start(&group, SERVICE);
    play.runs("web");
    play.tell(Event::Stop(StopReason::default()));
    assert_eq!(play.killed(), Vec::<&str>::new());
    play.tell(Event::Stop(StopReason { no_shutdown_delay: true, ..StopReason::default() }));
    play.wait(0.0);
    // The group's wait is over at once; the task's own is left out as well.
    assert_eq!(play.killed(), ["web"]);
}

#[proves("CLI-050")]
#[test]
fn a_task_that_ends_during_the_delay_is_not_signalled() {
    let slow = Task { shutdown_delay: Duration::from_secs(60), ..task("web") };
    let mut play = Play::start(&group(0, vec![slow]), SERVICE);
    play.runs("web");
    play.tell(Event::Stop(StopReason::default()));
    assert_eq!(play.exits("web", 0), [Action::TearDown]);
    play.wait(61.0);
    assert!(play.killed().is_empty());
    assert_eq!(play.status("web"), DEAD);
}

#[proves("CLI-041")]
#[test]
fn a_kill_wins_over_every_restart() {
    let mut play = Play::start(&group(5, vec![task("web")]), SERVICE);
    play.runs("web");
    play.exits("web", 1);
    assert_eq!(play.status("web"), (TaskStatus::Pending, false));
    play.tell(Event::Stop(StopReason::default()));
    assert_eq!(play.status("web"), DEAD);
    play.wait(100.0);
    assert_eq!(play.launched(), ["web"]);
    // Also while it is being restarted, and while it is being started.
    let mut play = Play::start(&group(5, vec![task("web")]), SERVICE);
    play.runs("web");
    play.tell(Event::Restart { task: None, reason: "User requested task to restart".to_owned() });
    play.tell(Event::Stop(StopReason::default()));
    play.exits("web", 0);
    assert_eq!((play.status("web"), play.launched()), (DEAD, vec!["web"]));
    let mut play = Play::start(&group(5, vec![task("web")]), SERVICE);
    play.tell(Event::Stop(StopReason::default()));
    assert!(play.killed().is_empty());
    play.runs("web");
    play.wait(0.0);
    assert_eq!(play.killed(), ["web"]);
    play.exits("web", 1);
    assert_eq!((play.status("web"), play.launched()), (DEAD, vec!["web"]));
}

#[proves("CLI-040", "CLI-014")]
#[test]
fn a_users_restart_is_free_and_a_checks_restart_counts() {
    let mut play = Play::start(&group(1, vec![task("web")]), SERVICE);
    play.runs("web");
    for _ in 0..3 {
        play.tell(Event::Restart { task: Some("web".to_owned()), reason: "User requested task to restart".to_owned() });
        play.exits("web", 0);
        play.runs("web");
    }
    let state = play.machine.state("web").expect("state");
    assert_eq!((state.restarts, state.last_restart, state.events.len()), (3, play.now.wall, 10));
    assert_eq!(play.events("web")[6..], ["Restart Signaled", "Terminated", "Restarting", "Started"]);
    let reason = || "healthcheck: check \"c\" unhealthy".to_owned();
    play.tell(Event::CheckRestart { task: Some("web".to_owned()), reason: reason() });
    play.exits("web", 0);
    assert_eq!(play.status("web"), (TaskStatus::Pending, false));
    play.wait(2.0);
    play.runs("web");
    play.tell(Event::CheckRestart { task: None, reason: reason() });
    play.exits("web", 0);
    assert_eq!(play.status("web"), FAILED);
}

#[proves("CLI-045")]
#[test]
fn a_dead_task_can_be_started_again_unless_it_is_a_poststop_one() {
    let tasks = vec![task("a"), task("b"), with_hook("bye", Hook::Poststop, false)];
    let mut play = Play::start(&group(0, tasks), BATCH);
    play.runs("a");
    play.runs("b");
    play.exits("a", 0);
    play.tell(Event::Restart { task: Some("a".to_owned()), reason: "User requested task to restart".to_owned() });
    assert_eq!(play.launched(), ["a", "b", "a"]);
    play.tell(Event::Restart { task: Some("bye".to_owned()), reason: String::new() });
    assert_eq!(play.launched(), ["a", "b", "a"]);
    play.runs("a");
    play.exits("a", 0);
    play.exits("b", 0);
    assert_eq!(play.launched(), ["a", "b", "a", "bye"]);
    play.runs("bye");
    play.exits("bye", 0);
    play.tell(Event::Restart { task: Some("bye".to_owned()), reason: String::new() });
    assert_eq!(play.launched().len(), 4);
}

#[proves("CLI-020", "CLI-042", "DRV-001")]
#[test]
fn step_failures_ask_the_policy_only_when_they_may_pass() {
    let failure = |recoverable| LaunchFailure { event: TaskEventKind::DriverFailure("no hay".to_owned()), recoverable };
    let mut play = Play::start(&group(1, vec![task("web")]), SERVICE);
    play.tell(Event::Launched { task: "web".to_owned(), result: Err(failure(true)) });
    assert_eq!(play.status("web"), (TaskStatus::Pending, false));
    play.wait(2.0);
    play.tell(Event::Launched { task: "web".to_owned(), result: Err(failure(true)) });
    assert_eq!(play.events("web"), ["Received", "Driver Failure", "Restarting", "Driver Failure", "Not Restarting"]);
    let mut play = Play::start(&group(1, vec![task("web")]), SERVICE);
    play.tell(Event::Launched { task: "web".to_owned(), result: Err(failure(false)) });
    assert_eq!(play.status("web"), FAILED);
    assert_eq!(play.events("web"), ["Received", "Driver Failure", "Not Restarting"]);
}

#[proves("CLI-017")]
#[test]
fn a_failed_preparation_fails_every_task_and_clears_up() {
    let mut play = Play::with(AllocMachine::new(&group(3, vec![task("a"), task("b")]), SERVICE));
    let actions = play.tell(Event::SetUp(Err("no room".to_owned())));
    assert_eq!(actions, [Action::TearDown]);
    assert_eq!((play.status("a"), play.status("b")), (FAILED, FAILED));
    let TaskEventKind::SetupFailure { message, .. } = &play.machine.state("a").expect("state").events[1].kind else {
        panic!("no event");
    };
    assert_eq!(message, "failed to setup alloc: no room");
}

#[proves("CLI-051")]
#[test]
fn a_kill_that_fails_is_tried_again_with_growing_waits() {
    let mut play = Play::start(&group(0, vec![task("web")]), SERVICE);
    play.runs("web");
    play.tell(Event::Stop(StopReason::default()));
    let mut waits = Vec::new();
    for _ in 0..4 {
        play.tell(Event::KillError { task: "web".to_owned(), error: "stuck".to_owned() });
        let wait = play.machine.next_deadline().expect("a retry").since(play.now.monotonic);
        waits.push(wait.as_secs());
        assert!(matches!(play.wait(wait.as_secs_f64())[..], [Action::Kill { .. }]));
    }
    assert_eq!(waits, [5, 20, 80, 120]);
    play.tell(Event::KillError { task: "web".to_owned(), error: "stuck".to_owned() });
    assert_eq!(play.status("web"), DEAD);
}

#[proves("CLI-048")]
#[test]
fn the_client_limits_how_long_a_task_may_take_to_end() {
    let stubborn = Task { kill_timeout: Duration::from_secs(3600), ..task("web") };
    let mut play = Play::start(&group(0, vec![stubborn]), SERVICE);
    play.runs("web");
    play.tell(Event::Stop(StopReason::default()));
    assert_eq!(play.log.last(), Some(&Action::Kill { task: "web".to_owned(), timeout: Duration::from_secs(30) }));
}

#[proves("CLI-032", "CLI-057", "CLI-060")]
#[test]
fn a_restored_allocation_goes_on_where_it_was() {
    let tasks = vec![with_hook("pre", Hook::Prestart, false), task("main"), task("other")];
    let group = group(2, tasks);
    let mut before = Play::start(&group, SERVICE);
    before.runs("pre");
    before.exits("pre", 0);
    before.runs("main");
    before.runs("other");
    let mut play = Play::with(AllocMachine::restored(&group, SERVICE, before.machine.states()));
    play.tell(Event::SetUp(Ok(())));
    play.tell(Event::Reattached { task: "main".to_owned() });
    play.tell(Event::ReattachFailed { task: "other".to_owned(), reason: "gone".to_owned() });
    assert_eq!(play.launched(), Vec::<&str>::new(), "nothing starts before the servers were reached");
    play.tell(Event::ServersContacted);
    assert_eq!(play.launched(), ["other"]);
    assert_eq!(play.machine.state("other").expect("state").restarts, 0);
    // One that was over only clears up.
    let mut over = before.machine.states();
    for state in over.values_mut() {
        state.status = TaskStatus::Dead;
    }
    let play = Play::with(AllocMachine::restored(&group, SERVICE, over));
    assert_eq!(play.log, [Action::TearDown]);
}

#[test]
fn a_failed_sibling_ends_the_others_of_a_service() {
    let mut play = Play::start(&group(0, vec![task("a"), task("b")]), SERVICE);
    play.runs("a");
    play.runs("b");
    play.exits("a", 1);
    assert_eq!(play.killed(), ["b"]);
    play.exits("b", 0);
    assert_eq!(play.events("a"), ["Received", "Started", "Terminated", "Not Restarting"]);
    assert_eq!(play.events("b"), ["Received", "Started", "Sibling Task Failed", "Killing", "Terminated", "Killed"]);
    assert_eq!((play.status("a"), play.status("b")), (FAILED, DEAD));
}
