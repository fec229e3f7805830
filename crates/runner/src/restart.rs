//! When a task that ended is started again: attempts counted in a window, a delay with jitter, and what follows when attempts run out.
//!
//! # Compatibility
//!
//! The reasons are the texts that users read in task events.

use std::time::Duration;

use drover_base::time::go_duration;
use drover_base::{Monotonic, Rng};
use drover_model::{RestartMode, RestartPolicy};

/// The share of the delay that may be added at random, as its divisor.
const JITTER_DIVISOR: u64 = 4;

/// The reason of a restart within the policy.
pub const WITHIN_POLICY: &str = "Restart within policy";
/// The reason of a restart that waits for the interval to end.
pub const DELAYED: &str = "Exceeded allowed attempts, applying a delay";
/// The reason for not restarting where the policy has no attempts.
pub const NO_RESTARTS: &str = "Policy allows no restarts";
/// The reason for not restarting after an error that no repetition mends.
pub const UNRECOVERABLE: &str = "Error was unrecoverable";

/// How a run of the task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The task did what it should.
    Success,
    /// It ended otherwise, or a failing check ended it.
    Failure,
    /// It did not start, and may the next time.
    StartFailure,
    /// It did not start, and never will.
    FatalStartFailure,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start again after the delay.
    Restart { delay: Duration, reason: &'static str },
    /// The task has done its work.
    Complete,
    /// The task has failed for good.
    Fail { reason: String },
}

/// Counts the attempts of one task.
#[derive(Debug, Clone)]
pub struct RestartTracker {
    policy: RestartPolicy,
    /// Whether an end with success ends the task for good.
    success_ends: bool,
    count: u32,
    /// When the present window began: at the first start, then whenever the one before was over.
    window_began: Option<Monotonic>,
}

impl RestartTracker {
    /// A tracker that has seen nothing.
    pub fn new(policy: RestartPolicy, success_ends: bool) -> Self {
        Self { policy, success_ends, count: 0, window_began: None }
    }

    /// Takes another policy over, keeping what was counted.
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// Notes that the task is being started.
    pub fn starting(&mut self, now: Monotonic) {
        self.window_began.get_or_insert(now);
    }

    /// Decides after the end of a run.
    pub fn decide(&mut self, now: Monotonic, outcome: Outcome, rng: &mut Rng) -> Decision {
        if outcome == Outcome::Success && self.success_ends {
            return Decision::Complete;
        }
        if self.policy.attempts == 0 {
            return Decision::Fail { reason: NO_RESTARTS.to_owned() };
        }
        if outcome == Outcome::FatalStartFailure {
            return Decision::Fail { reason: UNRECOVERABLE.to_owned() };
        }
        let began = *self.window_began.get_or_insert(now);
        let mut window_ends = began + self.policy.interval;
        if now > window_ends {
            self.window_began = Some(now);
            self.count = 0;
            window_ends = now + self.policy.interval;
        }
        self.count += 1;
        if self.count <= self.policy.attempts {
            return Decision::Restart { delay: self.jittered(rng), reason: WITHIN_POLICY };
        }
        match self.policy.mode {
            RestartMode::Delay => Decision::Restart { delay: window_ends.since(now), reason: DELAYED },
            RestartMode::Fail => Decision::Fail {
                reason: format!(
                    "Exceeded allowed attempts {} in interval {} and mode is \"fail\"",
                    self.policy.attempts,
                    go_duration(i64::try_from(self.policy.interval.as_nanos()).unwrap_or(i64::MAX))
                ),
            },
        }
    }

    fn jittered(&self, rng: &mut Rng) -> Duration {
        let delay = u64::try_from(self.policy.delay.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(delay.saturating_add(rng.below(delay / JITTER_DIVISOR)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;
    use proptest::{prop_assert, proptest};

    fn policy(attempts: u32, mode: RestartMode) -> RestartPolicy {
        RestartPolicy { attempts, interval: Duration::from_secs(60), delay: Duration::from_secs(10), mode, ..RestartPolicy::default() }
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(0) + Duration::from_secs(seconds)
    }

    #[proves("CLI-036", "CLI-037")]
    #[test]
    fn attempts_are_counted_in_a_window_from_the_first_start() {
        let mut rng = Rng::new(1);
        let mut tracker = RestartTracker::new(policy(2, RestartMode::Fail), false);
        tracker.starting(at(0));
        for second in [5, 20] {
            assert!(matches!(tracker.decide(at(second), Outcome::Failure, &mut rng), Decision::Restart { reason: WITHIN_POLICY, .. }));
        }
        assert_eq!(
            tracker.decide(at(50), Outcome::Failure, &mut rng),
            Decision::Fail { reason: "Exceeded allowed attempts 2 in interval 1m0s and mode is \"fail\"".to_owned() }
        );
        // A new window forgets.
        assert!(matches!(tracker.decide(at(61), Outcome::Failure, &mut rng), Decision::Restart { .. }));
    }

    #[proves("CLI-037")]
    #[test]
    fn mode_delay_waits_for_the_window_to_end_and_goes_on() {
        let mut rng = Rng::new(1);
        let mut tracker = RestartTracker::new(policy(1, RestartMode::Delay), false);
        tracker.starting(at(0));
        assert!(matches!(tracker.decide(at(1), Outcome::Failure, &mut rng), Decision::Restart { reason: WITHIN_POLICY, .. }));
        assert_eq!(
            tracker.decide(at(20), Outcome::Failure, &mut rng),
            Decision::Restart { delay: Duration::from_secs(40), reason: DELAYED }
        );
        assert!(matches!(tracker.decide(at(61), Outcome::Failure, &mut rng), Decision::Restart { reason: WITHIN_POLICY, .. }));
    }

    #[proves("CLI-038", "CLI-039")]
    #[test]
    fn success_ends_batch_tasks_and_restarts_services() {
        let mut rng = Rng::new(1);
        let mut batch = RestartTracker::new(policy(0, RestartMode::Fail), true);
        assert_eq!(batch.decide(at(1), Outcome::Success, &mut rng), Decision::Complete);
        assert_eq!(batch.decide(at(1), Outcome::Failure, &mut rng), Decision::Fail { reason: NO_RESTARTS.to_owned() });
        let mut service = RestartTracker::new(policy(1, RestartMode::Fail), false);
        assert!(matches!(service.decide(at(1), Outcome::Success, &mut rng), Decision::Restart { .. }));
        assert!(matches!(service.decide(at(2), Outcome::Success, &mut rng), Decision::Fail { .. }));
    }

    #[proves("CLI-042", "DRV-009")]
    #[test]
    fn an_unrecoverable_start_is_not_repeated_but_a_recoverable_one_counts_as_an_attempt() {
        let mut rng = Rng::new(1);
        let mut tracker = RestartTracker::new(policy(5, RestartMode::Fail), true);
        assert_eq!(tracker.decide(at(1), Outcome::FatalStartFailure, &mut rng), Decision::Fail { reason: UNRECOVERABLE.to_owned() });
        let mut tracker = RestartTracker::new(policy(1, RestartMode::Fail), true);
        assert!(matches!(tracker.decide(at(1), Outcome::StartFailure, &mut rng), Decision::Restart { .. }));
        assert!(matches!(tracker.decide(at(2), Outcome::StartFailure, &mut rng), Decision::Fail { .. }));
        let mut none = RestartTracker::new(policy(0, RestartMode::Fail), true);
        assert_eq!(none.decide(at(1), Outcome::FatalStartFailure, &mut rng), Decision::Fail { reason: NO_RESTARTS.to_owned() });
    }

    /// What a recorded event means to the tracker; what does not come to it is `None`.
    fn outcome(event: &serde_json::Value) -> Option<Outcome> {
        match event["kind"].as_str().unwrap() {
            "exit" if event["exit_code"].as_i64().unwrap_or(0) == 0 && event["signal"].as_i64().unwrap_or(0) == 0 => Some(Outcome::Success),
            "exit" | "restart_failure" => Some(Outcome::Failure),
            "start_error_recoverable" => Some(Outcome::StartFailure),
            "start_error" => Some(Outcome::FatalStartFailure),
            // A user restarts at once and uncounted, and kills end a task whatever its policy says.
            "restart_user" | "killed" | "exit_and_killed" => None,
            other => panic!("unknown event {other}"),
        }
    }

    #[proves("CLI-035", "CLI-036", "CLI-037", "CLI-038", "CLI-039", "CLI-042")]
    #[test]
    fn recorded_restarts_agree() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/scheduler-restart.jsonl");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
        let mut compared = 0;
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let (events, states) = (record["events"].as_array().unwrap(), record["states"].as_array().unwrap());
            // Asking without an event counts as a failure there; here nobody asks unless a task has ended.
            if events.iter().any(|event| event["kind"] == "none") {
                continue;
            }
            let given = &record["policy"];
            let seconds = |key: &str| Duration::from_secs(given[key].as_u64().unwrap());
            let policy = RestartPolicy {
                attempts: u32::try_from(given["attempts"].as_u64().unwrap()).unwrap(),
                interval: seconds("interval"),
                delay: seconds("delay"),
                mode: RestartMode::parse(given["mode"].as_str().unwrap()).unwrap(),
                ..RestartPolicy::default()
            };
            let batch = matches!(record["job_type"].as_str(), Some("batch" | "sysbatch"));
            let success_ends = match record["lifecycle"]["hook"].as_str() {
                None => batch,
                Some(_) => !record["lifecycle"]["sidecar"].as_bool().unwrap_or(false),
            };
            let (mut tracker, mut rng) = (RestartTracker::new(policy, success_ends), Rng::new(compared));
            tracker.starting(at(0));
            for (event, state) in events.iter().zip(states) {
                let Some(outcome) = outcome(event) else { continue };
                let now = Monotonic(0) + Duration::from_secs_f64(event["at"].as_f64().unwrap());
                let found = tracker.decide(now, outcome, &mut rng);
                let wanted = state["reason"].as_str().unwrap_or_default();
                match (state["state"].as_str().unwrap(), &found) {
                    ("Restarting", Decision::Restart { delay, reason }) => {
                        let bound = |key: &str| state[key].as_f64().or(state["delay"].as_f64()).unwrap();
                        let delay = delay.as_secs_f64();
                        assert!(delay >= bound("delay_min") && delay <= bound("delay_max"), "{delay} in {record}");
                        assert_eq!(*reason, wanted, "{record}");
                    }
                    ("Terminated", Decision::Complete) => {}
                    ("Not Restarting", Decision::Fail { reason }) => assert_eq!(reason, wanted, "{record}"),
                    (state, found) => panic!("{found:?} instead of {state} in {record}"),
                }
            }
            compared += 1;
        }
        assert!(compared >= 91, "{compared}");
    }

    proptest! {
        #[proves("CLI-035")]
        #[test]
        fn the_delay_grows_by_up_to_a_quarter(seed: u64) {
            let mut rng = Rng::new(seed);
            let mut tracker = RestartTracker::new(policy(1, RestartMode::Fail), false);
            let Decision::Restart { delay, .. } = tracker.decide(at(0), Outcome::Failure, &mut rng) else {
                panic!("no restart");
            };
            prop_assert!(delay >= Duration::from_secs(10) && delay < Duration::from_millis(12_500));
        }

        #[test]
        fn no_window_has_more_restarts_than_attempts(attempts in 1u32..5, steps in proptest::collection::vec(0u64..40, 1..60)) {
            let mut rng = Rng::new(7);
            let mut tracker = RestartTracker::new(policy(attempts, RestartMode::Fail), false);
            tracker.starting(at(0));
            let (mut now, mut window, mut restarts) = (0, 0, 0);
            for step in steps {
                now += step;
                if now > window + 60 {
                    (window, restarts) = (now, 0);
                }
                match tracker.decide(at(now), Outcome::Failure, &mut rng) {
                    Decision::Restart { .. } => restarts += 1,
                    _ => break,
                }
                prop_assert!(restarts <= attempts);
            }
        }
    }
}
