//! When a failing check restarts its task: after so many failures in a row, not counting those shortly after a start.

use std::time::Duration;

use drover_base::Monotonic;
use drover_model::CheckRestart;

/// Watches one check.
#[derive(Debug, Clone)]
pub struct CheckWatcher {
    limit: u32,
    grace: Duration,
    grace_ends: Option<Monotonic>,
    failures: u32,
}

impl CheckWatcher {
    /// A watcher as the job asks for; none where failures restart nothing.
    pub fn new(policy: &CheckRestart) -> Option<Self> {
        (policy.limit > 0).then_some(Self { limit: policy.limit, grace: policy.grace, grace_ends: None, failures: 0 })
    }

    /// The task has started (again): a new grace begins.
    pub fn started(&mut self, now: Monotonic) {
        self.grace_ends = Some(now + self.grace);
        self.failures = 0;
    }

    /// A result of the check. True when the task has to be restarted; the watch then waits for [`Self::started`].
    pub fn result(&mut self, now: Monotonic, passed: bool) -> bool {
        let Some(grace_ends) = self.grace_ends else { return false };
        if passed || now < grace_ends {
            self.failures = 0;
            return false;
        }
        self.failures += 1;
        if self.failures < self.limit {
            return false;
        }
        self.grace_ends = None;
        self.failures = 0;
        true
    }
}

/// The reason of such a restart.
pub fn reason(check: &str) -> String {
    format!("healthcheck: check \"{check}\" unhealthy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(0) + Duration::from_secs(seconds)
    }

    #[proves("SVC-028", "SVC-029")]
    #[test]
    fn restarts_after_failures_in_a_row_outside_the_grace() {
        let policy = CheckRestart { limit: 2, grace: Duration::from_secs(5), ignore_warnings: false };
        let mut watcher = CheckWatcher::new(&policy).expect("limit");
        assert!(!watcher.result(at(0), false), "not before the task runs");
        watcher.started(at(1));
        assert!(!watcher.result(at(3), false) && !watcher.result(at(4), false), "not within the grace");
        assert!(!watcher.result(at(7), false));
        assert!(!watcher.result(at(8), true));
        assert!(!watcher.result(at(9), false));
        assert!(watcher.result(at(10), false));
        assert!(!watcher.result(at(11), false), "not again before the task has started anew");
        watcher.started(at(12));
        assert!(!watcher.result(at(16), false), "a new grace");
        assert!(!watcher.result(at(17), false));
        assert!(watcher.result(at(18), false));
        assert!(CheckWatcher::new(&CheckRestart::default()).is_none());
        assert_eq!(reason("c"), "healthcheck: check \"c\" unhealthy");
    }
}
