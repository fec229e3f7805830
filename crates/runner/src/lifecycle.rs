//! The order of a group's tasks: what each task is to the others, and which of them may start or must end as the others go on.

use drover_model::{Hook, Task, TaskState, TaskStatus};

/// What a task is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Prestart,
    PrestartSidecar,
    Main,
    Poststart,
    PoststartSidecar,
    Poststop,
}

impl Role {
    /// The role of a task.
    pub fn of(task: &Task) -> Self {
        match &task.lifecycle {
            None => Self::Main,
            Some(lifecycle) => match (lifecycle.hook, lifecycle.sidecar) {
                (Hook::Prestart, false) => Self::Prestart,
                (Hook::Prestart, true) => Self::PrestartSidecar,
                (Hook::Poststart, false) => Self::Poststart,
                (Hook::Poststart, true) => Self::PoststartSidecar,
                (Hook::Poststop, _) => Self::Poststop,
            },
        }
    }

    /// Whether it runs beside the main tasks for as long as they do.
    pub fn is_sidecar(self) -> bool {
        matches!(self, Self::PrestartSidecar | Self::PoststartSidecar)
    }

    /// Whether an end with success ends the task for good, in a job whose main tasks do so or not.
    pub fn success_ends(self, job_is_batch: bool) -> bool {
        match self {
            Self::Main => job_is_batch,
            Self::Prestart | Self::Poststart | Self::Poststop => true,
            Self::PrestartSidecar | Self::PoststartSidecar => false,
        }
    }
}

/// A task as the others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub role: Role,
    pub status: TaskStatus,
    pub failed: bool,
    /// Whether it has ever run.
    pub has_run: bool,
}

impl Member {
    /// The member with this role and state.
    pub fn new(role: Role, state: &TaskState) -> Self {
        Self { role, status: state.status, failed: state.failed, has_run: !state.started_at.is_zero() }
    }

    fn is_dead(self) -> bool {
        self.status == TaskStatus::Dead
    }

    fn succeeded(self) -> bool {
        self.is_dead() && !self.failed
    }
}

/// Whether tasks of this role may start while the group stands so.
pub fn may_start(role: Role, members: &[Member]) -> bool {
    let all = |wanted: fn(Role) -> bool, holds: fn(Member) -> bool| {
        members.iter().filter(|member| wanted(member.role)).all(|member| holds(*member))
    };
    match role {
        Role::Prestart | Role::PrestartSidecar => true,
        Role::Main => {
            all(|role| role == Role::Prestart, Member::succeeded)
                && all(|role| role == Role::PrestartSidecar, |member| member.status == TaskStatus::Running)
        }
        Role::Poststart | Role::PoststartSidecar => all(
            |role| role == Role::Main,
            // One that has run and ended well has been running.
            |member| member.status == TaskStatus::Running || (member.has_run && member.succeeded()),
        ),
        Role::Poststop => all(|role| role != Role::Poststop, Member::is_dead),
    }
}

/// Whether every main task is dead, so that what runs beside them has nothing left to do.
pub fn mains_are_dead(members: &[Member]) -> bool {
    let mut mains = members.iter().filter(|member| member.role == Role::Main).peekable();
    mains.peek().is_some() && mains.all(|member| member.is_dead())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    fn member(role: Role, text: &str) -> Member {
        let (status, failed) = match text {
            "pending" => (TaskStatus::Pending, false),
            "running" => (TaskStatus::Running, false),
            "dead" => (TaskStatus::Dead, false),
            "failed" => (TaskStatus::Dead, true),
            other => panic!("{other}"),
        };
        Member { role, status, failed, has_run: text != "pending" }
    }

    #[proves("CLI-022", "CLI-023", "CLI-024")]
    #[test]
    fn each_role_waits_for_those_before_it() {
        let table = [
            // prestart, its sidecar, main: may main, poststart, poststop start?
            ("pending", "pending", "pending", [false, false, false]),
            ("running", "running", "pending", [false, false, false]),
            ("dead", "pending", "pending", [false, false, false]),
            ("dead", "running", "pending", [true, false, false]),
            ("dead", "running", "running", [true, true, false]),
            ("failed", "running", "pending", [false, false, false]),
            ("failed", "dead", "dead", [false, true, true]),
            ("dead", "running", "dead", [true, true, false]),
            ("dead", "dead", "failed", [false, false, true]),
        ];
        for (prestart, sidecar, main, expected) in table {
            let members = [
                member(Role::Prestart, prestart),
                member(Role::PrestartSidecar, sidecar),
                member(Role::Main, main),
                member(Role::Poststop, "pending"),
            ];
            let found = [Role::Main, Role::Poststart, Role::Poststop].map(|role| may_start(role, &members));
            assert_eq!(found, expected, "{prestart} {sidecar} {main}");
            assert!(may_start(Role::Prestart, &members) && may_start(Role::PrestartSidecar, &members));
        }
    }

    #[proves("CLI-025")]
    #[test]
    fn success_ends_what_runs_once() {
        let ends = |role: Role| role.success_ends(false);
        assert!(ends(Role::Prestart) && ends(Role::Poststart) && ends(Role::Poststop));
        assert!(!ends(Role::PrestartSidecar) && !ends(Role::PoststartSidecar) && !ends(Role::Main));
        assert!(Role::Main.success_ends(true));
        assert!(!Role::PrestartSidecar.success_ends(true));
    }
}
