//! The state of an allocation as a function of the states of its tasks.

use std::collections::BTreeMap;

use drover_model::{ClientStatus, TaskState, TaskStatus};

/// State and sentence. Any task that failed for good makes it failed; else any that runs makes it running; else any that waits
/// makes it pending; else it is complete.
pub fn of_tasks<'a>(tasks: impl IntoIterator<Item = &'a TaskState>) -> (ClientStatus, &'static str) {
    let (mut failed, mut running, mut pending) = (false, false, false);
    for task in tasks {
        match task.status {
            TaskStatus::Running => running = true,
            TaskStatus::Pending => pending = true,
            TaskStatus::Dead => failed |= task.failed,
        }
    }
    if failed {
        (ClientStatus::Failed, "Failed tasks")
    } else if running {
        (ClientStatus::Running, "Tasks are running")
    } else if pending {
        (ClientStatus::Pending, "No tasks have started")
    } else {
        (ClientStatus::Complete, "All tasks have completed")
    }
}

/// The state to report after `before`: one that is final stays.
pub fn advance(before: ClientStatus, tasks: &BTreeMap<String, TaskState>) -> (ClientStatus, &'static str) {
    let (status, description) = of_tasks(tasks.values());
    if before.is_terminal() && !status.is_terminal() {
        let description = if before == ClientStatus::Failed { "Failed tasks" } else { "All tasks have completed" };
        return (before, description);
    }
    (status, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    fn state(status: TaskStatus, failed: bool) -> TaskState {
        TaskState { status, failed, ..TaskState::default() }
    }

    #[proves("CLI-012")]
    #[test]
    fn the_worst_task_decides() {
        let (pending, running, dead, failed) = (
            state(TaskStatus::Pending, false),
            state(TaskStatus::Running, false),
            state(TaskStatus::Dead, false),
            state(TaskStatus::Dead, true),
        );
        assert_eq!(of_tasks([&pending, &running, &dead, &failed]).0, ClientStatus::Failed);
        assert_eq!(of_tasks([&pending, &running, &dead]).0, ClientStatus::Running);
        assert_eq!(of_tasks([&pending, &dead]).0, ClientStatus::Pending);
        assert_eq!(of_tasks([&dead]), (ClientStatus::Complete, "All tasks have completed"));
    }

    #[proves("CLI-013")]
    #[test]
    fn what_is_final_stays_final() {
        let tasks = BTreeMap::from([("web".to_owned(), state(TaskStatus::Running, false))]);
        assert_eq!(advance(ClientStatus::Failed, &tasks).0, ClientStatus::Failed);
        assert_eq!(advance(ClientStatus::Complete, &tasks).0, ClientStatus::Complete);
        assert_eq!(advance(ClientStatus::Pending, &tasks).0, ClientStatus::Running);
    }
}
