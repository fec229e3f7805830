//! Policies of a task group or job: restart, reschedule, update, migrate, disconnect.

use std::time::Duration;

text_enum! {
    /// What follows once the restart attempts of an interval are used up.
    RestartMode { 0 Fail = "fail", 1 Delay = "delay", }
}
text_enum! {
    /// How the reschedule delay grows.
    DelayFunction { 0 Constant = "constant", 1 Exponential = "exponential", 2 Fibonacci = "fibonacci", }
}
text_enum! {
    /// How an allocation's health is found during a deployment.
    HealthCheck { 0 Checks = "checks", 1 TaskStates = "task_states", 2 Manual = "manual", }
}

mirror! {
    /// How often a task is restarted on its node.
    RestartPolicy: RestartPolicy {
        /// The window in which attempts are counted.
        0 nanos_absent interval: Duration,
        /// Attempts in a window.
        1 number_absent attempts: u32,
        /// The wait before a restart; up to a quarter is added at random.
        2 nanos_absent delay: Duration,
        3 text_absent mode: RestartMode,
        4 absent render_templates: bool,
    }
}

mirror! {
    /// When a failed allocation is replaced, possibly on another node.
    ReschedulePolicy: ReschedulePolicy {
        0 number_absent attempts: u32,
        1 nanos_absent interval: Duration,
        2 nanos_absent delay: Duration,
        3 text_absent delay_function: DelayFunction,
        4 nanos_absent max_delay: Duration,
        5 absent unlimited: bool,
    }
}

impl ReschedulePolicy {
    /// Whether anything is ever rescheduled under this policy.
    pub fn enabled(&self) -> bool {
        self.unlimited || self.attempts > 0
    }
}

mirror! {
    /// How a new job version replaces the old one.
    UpdateStrategy: UpdateStrategy {
        0 nanos_absent stagger: Duration,
        1 number_absent max_parallel: u32,
        2 text_absent health_check: HealthCheck,
        3 nanos_absent min_healthy_time: Duration,
        4 nanos_absent healthy_deadline: Duration,
        5 nanos_absent progress_deadline: Duration,
        6 number_absent canary: u32,
        7 absent auto_revert: bool,
        8 absent auto_promote: bool,
    }
}

impl UpdateStrategy {
    /// Whether updates go in steps; `max_parallel = 0` turns the strategy off.
    pub fn rolling(&self) -> bool {
        self.max_parallel > 0
    }
}

mirror! {
    /// How allocations leave a draining node.
    MigrateStrategy: MigrateStrategy {
        0 number_absent max_parallel: u32,
        1 text_absent health_check: HealthCheck,
        2 nanos_absent min_healthy_time: Duration,
        3 nanos_absent healthy_deadline: Duration,
    }
}

mirror! {
    /// What happens when a node loses contact with the servers.
    DisconnectStrategy: DisconnectStrategy {
        0 nanos_maybe lost_after: Option<Duration>,
        1 nanos_maybe stop_on_client_after: Option<Duration>,
        2 absent replace: bool,
        3 absent reconcile: String,
    }
}
