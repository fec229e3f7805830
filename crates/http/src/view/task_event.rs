//! Events of tasks: the kind's name, the sentence shown, and the details under the names that clients know.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_api as api;
use drover_model::{TaskEvent, TaskEventKind, TaskState};

/// A task's state.
pub fn task_state(state: &TaskState) -> api::TaskState {
    api::TaskState {
        state: state.status.text().to_owned(),
        failed: state.failed,
        restarts: u64::from(state.restarts),
        last_restart: super::time(state.last_restart),
        started_at: super::time(state.started_at),
        finished_at: super::time(state.finished_at),
        events: Some(state.events.iter().map(task_event).collect()),
        paused: String::new(),
    }
}

/// One event.
pub fn task_event(event: &TaskEvent) -> api::TaskEvent {
    let mut out = api::TaskEvent { time: event.time.0, ..api::TaskEvent::default() };
    let mut details: BTreeMap<String, String> = BTreeMap::new();
    let mut detail = |name: &str, value: String| {
        details.insert(name.to_owned(), value);
    };
    let (kind, display) = match &event.kind {
        TaskEventKind::Received => ("Received", "Task received by client".to_owned()),
        TaskEventKind::Setup(message) => {
            detail("message", message.clone());
            out.message.clone_from(message);
            ("Task Setup", message.clone())
        }
        TaskEventKind::Started => ("Started", "Task started by client".to_owned()),
        TaskEventKind::Terminated { exit_code, signal, oom_killed, message } => {
            detail("exit_code", exit_code.to_string());
            detail("signal", signal.to_string());
            detail("oom_killed", oom_killed.to_string());
            out.exit_code = i64::from(*exit_code);
            out.signal = i64::from(*signal);
            let mut display = format!("Exit Code: {exit_code}");
            if *signal != 0 {
                display.push_str(&format!(", Signal: {signal}"));
            }
            if !message.is_empty() {
                detail("exit_message", message.clone());
                out.message.clone_from(message);
                display.push_str(&format!(", Exit Message: {message:?}"));
            }
            ("Terminated", display)
        }
        TaskEventKind::Restarting { delay_ns, reason } => {
            detail("start_delay", delay_ns.to_string());
            detail("restart_reason", reason.clone());
            out.start_delay = *delay_ns;
            out.restart_reason.clone_from(reason);
            let delay = duration(*delay_ns);
            let plain = reason.is_empty() || reason == "Restart within policy";
            ("Restarting", if plain { format!("Task restarting in {delay}") } else { format!("{reason} - Task restarting in {delay}") })
        }
        TaskEventKind::NotRestarting { reason, fails_task } => {
            detail("restart_reason", reason.clone());
            if *fails_task {
                detail("fails_task", "true".to_owned());
            }
            out.restart_reason.clone_from(reason);
            out.fails_task = *fails_task;
            let display = if reason.is_empty() { "Task exceeded restart policy".to_owned() } else { reason.clone() };
            ("Not Restarting", display)
        }
        TaskEventKind::Killing { kill_timeout_ns, reason, fails_task } => {
            let timeout = duration(*kill_timeout_ns);
            if *kill_timeout_ns > 0 {
                detail("kill_timeout", timeout.clone());
                out.kill_timeout = *kill_timeout_ns;
            }
            if *fails_task {
                detail("fails_task", "true".to_owned());
                out.fails_task = true;
            }
            let display = match (reason.as_str(), *kill_timeout_ns) {
                ("", 0) => "Sent interrupt".to_owned(),
                ("", _) => format!("Sent interrupt. Waiting {timeout} before force killing"),
                (reason, _) => reason.to_owned(),
            };
            ("Killing", display)
        }
        TaskEventKind::Killed(error) => {
            if !error.is_empty() {
                detail("kill_error", error.clone());
                out.kill_error.clone_from(error);
            }
            ("Killed", if error.is_empty() { "Task successfully killed".to_owned() } else { error.clone() })
        }
        TaskEventKind::DriverFailure(error) => {
            detail("driver_error", error.clone());
            out.driver_error.clone_from(error);
            ("Driver Failure", if error.is_empty() { "Failed to start task".to_owned() } else { error.clone() })
        }
        TaskEventKind::FailedValidation(error) => {
            detail("validation_error", error.clone());
            out.validation_error.clone_from(error);
            ("Failed Validation", if error.is_empty() { "Validation of task failed".to_owned() } else { error.clone() })
        }
        TaskEventKind::SetupFailure { message, fails_task } => {
            detail("setup_error", message.clone());
            if *fails_task {
                detail("fails_task", "true".to_owned());
            }
            out.setup_error.clone_from(message);
            out.fails_task = *fails_task;
            ("Setup Failure", if message.is_empty() { "Task setup failed".to_owned() } else { message.clone() })
        }
        TaskEventKind::HookFailed(message) => {
            detail("message", message.clone());
            out.message.clone_from(message);
            ("Task hook failed", message.clone())
        }
        TaskEventKind::HookMessage(message) => {
            detail("message", message.clone());
            out.message.clone_from(message);
            ("Task hook message", message.clone())
        }
        TaskEventKind::DownloadingArtifacts => ("Downloading Artifacts", "Client is downloading artifacts".to_owned()),
        TaskEventKind::FailedArtifactDownload(error) => {
            detail("download_error", error.clone());
            out.download_error.clone_from(error);
            ("Failed Artifact Download", if error.is_empty() { "Failed to download artifacts".to_owned() } else { error.clone() })
        }
        TaskEventKind::RestartSignaled(reason) => {
            if !reason.is_empty() {
                detail("restart_reason", reason.clone());
                out.restart_reason.clone_from(reason);
            }
            ("Restart Signaled", if reason.is_empty() { "Task signaled to restart".to_owned() } else { reason.clone() })
        }
        TaskEventKind::Signaling { signal, reason } => {
            detail(if reason.is_empty() { "signal" } else { "task_signal" }, signal.clone());
            if !reason.is_empty() {
                out.task_signal.clone_from(signal);
            }
            ("Signaling", if reason.is_empty() { "Task being sent a signal".to_owned() } else { reason.clone() })
        }
        TaskEventKind::SiblingFailed(task) => {
            detail("failed_sibling", task.clone());
            out.failed_sibling.clone_from(task);
            ("Sibling Task Failed", format!("Task's sibling {task:?} failed"))
        }
        TaskEventKind::LeaderDead => ("Leader Task Dead", "Leader Task in Group dead".to_owned()),
        TaskEventKind::MainDead => ("Main Tasks Dead", "Main tasks in the group died".to_owned()),
        TaskEventKind::AllocUnhealthy(message) => {
            detail("message", message.clone());
            out.message.clone_from(message);
            ("Alloc Unhealthy", message.clone())
        }
        TaskEventKind::ShutdownDelay(delay_ns) => {
            let delay = duration(*delay_ns);
            ("Waiting for shutdown delay", format!("Waiting for shutdown_delay of {delay} before killing the task."))
        }
        TaskEventKind::SkippingShutdownDelay => ("Skipping shutdown delay", "Skipping shutdown_delay before killing the task.".to_owned()),
        TaskEventKind::Restored => ("Restored", "Task found and reattached after a restart of the client".to_owned()),
        TaskEventKind::RestoreFailed(reason) => {
            detail("message", reason.clone());
            out.message.clone_from(reason);
            ("Failed Restoring Task", reason.clone())
        }
        TaskEventKind::TemplateWaiting(what) => ("Template", what.clone()),
        TaskEventKind::Generic { source, message } => {
            detail("message", message.clone());
            out.message.clone_from(message);
            out.generic_source.clone_from(source);
            (source.as_str(), message.clone())
        }
    };
    out.r#type = kind.to_owned();
    out.display_message = display;
    out.details = Some(details);
    out
}

fn duration(nanoseconds: i64) -> String {
    let total = Duration::from_nanos(nanoseconds.unsigned_abs());
    let fraction = |value: u64, scale: u64| {
        let text = format!("{}.{:0width$}", value / scale, value % scale, width = scale.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let nanoseconds = u64::try_from(total.as_nanos()).unwrap_or(u64::MAX);
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanoseconds, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(nanoseconds, 1_000_000)),
        _ => {
            let seconds = fraction(nanoseconds % 60_000_000_000, 1_000_000_000);
            let minutes = nanoseconds / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;

    use super::*;

    fn shown(kind: TaskEventKind) -> (String, String, Vec<(String, String)>) {
        let event = task_event(&TaskEvent { time: WallTime(1), kind });
        (event.r#type, event.display_message, event.details.unwrap().into_iter().collect())
    }

    #[test]
    fn events_say_what_recorded_ones_say() {
        let (kind, text, details) =
            shown(TaskEventKind::Terminated { exit_code: 130, signal: 2, oom_killed: false, message: String::new() });
        assert_eq!((kind.as_str(), text.as_str()), ("Terminated", "Exit Code: 130, Signal: 2"));
        assert_eq!(details.len(), 3);
        let (_, text, _) = shown(TaskEventKind::Restarting { delay_ns: 532_936_523, reason: "Restart within policy".into() });
        assert_eq!(text, "Task restarting in 532.936523ms");
        let (_, text, details) = shown(TaskEventKind::Killing { kill_timeout_ns: 2_000_000_000, reason: String::new(), fails_task: false });
        assert_eq!(
            (text.as_str(), details),
            ("Sent interrupt. Waiting 2s before force killing", vec![("kill_timeout".into(), "2s".into())])
        );
        let (_, text, _) = shown(TaskEventKind::SiblingFailed("pre".into()));
        assert_eq!(text, "Task's sibling \"pre\" failed");
    }
}
