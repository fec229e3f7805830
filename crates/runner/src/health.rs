//! Whether an allocation is healthy, for its deployment: every task up, and every check passing where checks count, for a while
//! without a break, before a deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::Monotonic;
use drover_base::time::go_duration;
use drover_model::{TaskState, TaskStatus};

use crate::lifecycle::Role;

/// What a deployment asks of an allocation's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    pub min_healthy_time: Duration,
    pub healthy_deadline: Duration,
    /// Whether checks count beside the states of tasks.
    pub uses_checks: bool,
}

/// The verdict, given once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Healthy,
    /// With what to say about which task.
    Unhealthy(Vec<(String, String)>),
}

/// Watches one allocation until its verdict.
#[derive(Debug, Clone)]
pub struct HealthTracker {
    policy: HealthPolicy,
    roles: BTreeMap<String, Role>,
    deadline: Monotonic,
    tasks: BTreeMap<String, TaskState>,
    checks_pass: bool,
    /// Since when everything is as it should be, and how often tasks had been started again then.
    good_since: Option<(Monotonic, u32)>,
    given: bool,
}

fn shown(duration: Duration) -> String {
    go_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

impl HealthTracker {
    /// A tracker of an allocation that begins now. `has_checks` says whether there are checks to wait for.
    pub fn new(policy: HealthPolicy, roles: BTreeMap<String, Role>, has_checks: bool, now: Monotonic) -> Self {
        Self {
            policy,
            roles,
            deadline: now + policy.healthy_deadline,
            tasks: BTreeMap::new(),
            checks_pass: !(policy.uses_checks && has_checks),
            good_since: None,
            given: false,
        }
    }

    /// The tasks stand so now.
    pub fn tasks_changed(&mut self, now: Monotonic, tasks: &BTreeMap<String, TaskState>) -> Option<Verdict> {
        self.tasks.clone_from(tasks);
        self.judge(now)
    }

    /// All checks that count pass, or not.
    pub fn checks_changed(&mut self, now: Monotonic, all_pass: bool) -> Option<Verdict> {
        if self.policy.uses_checks {
            self.checks_pass = all_pass;
        }
        self.judge(now)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Monotonic) -> Option<Verdict> {
        self.judge(now)
    }

    /// When [`Self::tick`] could give a verdict next.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        if self.given {
            return None;
        }
        let good = self.good_since.map(|(since, _)| since + self.policy.min_healthy_time);
        Some(good.map_or(self.deadline, |good| good.min(self.deadline)))
    }

    fn judge(&mut self, now: Monotonic) -> Option<Verdict> {
        if self.given {
            return None;
        }
        // What one task's end does to the others is part of the verdict: it ends them too.
        if self.tasks.iter().any(|(name, task)| self.has_gone_wrong(name, task)) && self.all_have_ended() {
            return self.unhealthy();
        }
        if self.all_up() && self.checks_pass {
            let restarts = self.tasks.values().map(|task| task.restarts).sum();
            let since = match self.good_since {
                Some((since, before)) if before == restarts => since,
                _ => now,
            };
            self.good_since = Some((since, restarts));
            if now.since(since) >= self.policy.min_healthy_time {
                self.given = true;
                return Some(Verdict::Healthy);
            }
        } else {
            self.good_since = None;
        }
        if now >= self.deadline {
            return self.unhealthy();
        }
        None
    }

    fn role(&self, name: &str) -> Role {
        self.roles.get(name).copied().unwrap_or(Role::Main)
    }

    fn has_gone_wrong(&self, name: &str, task: &TaskState) -> bool {
        if task.status != TaskStatus::Dead {
            return false;
        }
        match self.role(name) {
            Role::Main | Role::PrestartSidecar | Role::PoststartSidecar => true,
            Role::Prestart | Role::Poststart => task.failed,
            Role::Poststop => false,
        }
    }

    fn all_have_ended(&self) -> bool {
        self.tasks.iter().all(|(name, task)| task.status == TaskStatus::Dead || self.role(name) == Role::Poststop)
    }

    fn all_up(&self) -> bool {
        self.roles.iter().all(|(name, role)| {
            let task = self.tasks.get(name);
            match role {
                Role::Main | Role::PrestartSidecar | Role::PoststartSidecar => task.is_some_and(|task| task.status == TaskStatus::Running),
                Role::Prestart => task.is_some_and(TaskState::successful),
                Role::Poststart => task.is_some_and(|task| task.status == TaskStatus::Running || task.successful()),
                Role::Poststop => true,
            }
        })
    }

    fn unhealthy(&mut self) -> Option<Verdict> {
        self.given = true;
        let (wait, deadline) = (shown(self.policy.min_healthy_time), shown(self.policy.healthy_deadline));
        let words = |name: &String, task: &TaskState| match task.status {
            TaskStatus::Dead if task.failed => Some("Unhealthy because of failed task".to_owned()),
            TaskStatus::Dead if self.has_gone_wrong(name, task) => Some("Unhealthy because of dead task".to_owned()),
            TaskStatus::Dead => None,
            TaskStatus::Running => Some(format!("Task not running for min_healthy_time of {wait} by healthy_deadline of {deadline}")),
            TaskStatus::Pending => Some(format!("Task not running by healthy_deadline of {deadline}")),
        };
        let reasons = self.tasks.iter().filter_map(|(name, task)| Some((name.clone(), words(name, task)?))).collect();
        Some(Verdict::Unhealthy(reasons))
    }
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;

    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(0) + Duration::from_secs(seconds)
    }

    fn tracker(uses_checks: bool) -> HealthTracker {
        let policy = HealthPolicy { min_healthy_time: Duration::from_secs(10), healthy_deadline: Duration::from_secs(60), uses_checks };
        HealthTracker::new(policy, BTreeMap::from([("web".to_owned(), Role::Main)]), true, at(0))
    }

    fn web(status: TaskStatus, failed: bool, restarts: u32) -> BTreeMap<String, TaskState> {
        BTreeMap::from([("web".to_owned(), TaskState { status, failed, restarts, ..TaskState::default() })])
    }

    #[proves("DEP-012")]
    #[test]
    fn healthy_after_a_while_without_a_break() {
        let mut tracker = tracker(false);
        assert_eq!(tracker.tasks_changed(at(1), &web(TaskStatus::Running, false, 0)), None);
        assert_eq!(tracker.next_deadline(), Some(at(11)));
        assert_eq!(tracker.tasks_changed(at(5), &web(TaskStatus::Pending, false, 1)), None);
        assert_eq!(tracker.tasks_changed(at(6), &web(TaskStatus::Running, false, 1)), None);
        assert_eq!(tracker.tick(at(15)), None);
        assert_eq!(tracker.tick(at(16)), Some(Verdict::Healthy));
        assert_eq!(tracker.tick(at(99)), None);
        assert_eq!(tracker.next_deadline(), None);
    }

    #[test]
    fn a_restart_between_two_looks_starts_the_wait_anew() {
        let mut tracker = tracker(false);
        assert_eq!(tracker.tasks_changed(at(1), &web(TaskStatus::Running, false, 0)), None);
        assert_eq!(tracker.tasks_changed(at(10), &web(TaskStatus::Running, false, 1)), None);
        assert_eq!(tracker.tick(at(12)), None);
        assert_eq!(tracker.tick(at(20)), Some(Verdict::Healthy));
    }

    #[proves("DEP-013")]
    #[test]
    fn checks_that_pass_without_a_break_for_a_while_make_it_healthy() {
        let mut tracker = tracker(true);
        assert_eq!(tracker.tasks_changed(at(1), &web(TaskStatus::Running, false, 0)), None);
        assert_eq!(tracker.checks_changed(at(20), true), None);
        assert_eq!(tracker.checks_changed(at(25), false), None);
        assert_eq!(tracker.checks_changed(at(28), true), None);
        assert_eq!(tracker.tick(at(30)), None, "flapping starts the wait anew");
        assert_eq!(tracker.tick(at(38)), Some(Verdict::Healthy));
    }

    #[test]
    fn checks_count_where_they_are_asked_for() {
        let mut tracker = tracker(true);
        assert_eq!(tracker.tasks_changed(at(1), &web(TaskStatus::Running, false, 0)), None);
        assert_eq!(tracker.tick(at(30)), None);
        assert_eq!(tracker.checks_changed(at(31), true), None);
        assert_eq!(tracker.checks_changed(at(35), false), None);
        assert_eq!(
            tracker.tick(at(60)),
            Some(Verdict::Unhealthy(vec![(
                "web".to_owned(),
                "Task not running for min_healthy_time of 10s by healthy_deadline of 1m0s".to_owned()
            )]))
        );
    }

    #[proves("DEP-015")]
    #[test]
    fn a_failed_or_dead_task_is_unhealthy_at_once() {
        let mut failed = tracker(false);
        let verdict = failed.tasks_changed(at(1), &web(TaskStatus::Dead, true, 0));
        assert_eq!(verdict, Some(Verdict::Unhealthy(vec![("web".to_owned(), "Unhealthy because of failed task".to_owned())])));
        let mut dead = tracker(false);
        let verdict = dead.tasks_changed(at(1), &web(TaskStatus::Dead, false, 0));
        assert_eq!(verdict, Some(Verdict::Unhealthy(vec![("web".to_owned(), "Unhealthy because of dead task".to_owned())])));
        let mut slow = tracker(false);
        assert_eq!(slow.tasks_changed(at(1), &web(TaskStatus::Pending, false, 0)), None);
        let verdict = slow.tick(at(60));
        assert_eq!(verdict, Some(Verdict::Unhealthy(vec![("web".to_owned(), "Task not running by healthy_deadline of 1m0s".to_owned())])));
    }
}
