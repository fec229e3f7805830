//! Rules that a canonical job must meet. All problems are found at once and nested as the API's clients know them.

use std::collections::BTreeSet;
use std::fmt;

use drover_api as api;
use drover_base::time::go_duration;

/// Problems, each a sentence; shown as a counted, nested list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobProblems(pub Vec<String>);

impl JobProblems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    fn check(&mut self, broken: bool, problem: impl FnOnce() -> String) {
        if broken {
            self.0.push(problem());
        }
    }

    /// Adds what is in `inner`, if anything, as one problem under a heading.
    fn nest(&mut self, heading: impl fmt::Display, inner: Self) {
        if !inner.0.is_empty() {
            self.0.push(format!("{heading}: {inner}"));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for JobProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "1 error occurred:\n\t* {one}\n\n"),
            many => write!(f, "{} errors occurred:\n\t* {}\n\n", many.len(), many.join("\n\t* ")),
        }
    }
}

impl std::error::Error for JobProblems {}

/// The longest accepted job id, in bytes.
const JOB_ID_MAX: usize = 4096;
const MIN_INTERVAL: i64 = 5_000_000_000;

/// All problems of a canonical job.
pub fn validate(job: &api::Job) -> JobProblems {
    let mut problems = JobProblems::default();
    let (id, name) = (text(&job.id), text(&job.name));
    problems.check(text(&job.region).is_empty(), || "Missing job region".to_owned());
    if id.is_empty() {
        problems.add("Missing job ID");
    } else {
        problems.check(id.contains(' '), || "Job ID contains a space".to_owned());
        problems.check(id.contains('\0'), || "Job ID contains a null character".to_owned());
        problems.check(id.len() > JOB_ID_MAX, || format!("Job ID is longer than {JOB_ID_MAX} bytes"));
    }
    problems.check(name.is_empty(), || "Missing job name".to_owned());
    problems.check(name.contains('\0'), || "Job Name contains a null character".to_owned());
    let kind = text(&job.r#type);
    match kind {
        "service" | "batch" | "system" | "sysbatch" => {}
        "_core" => problems.add("job type cannot be core"),
        other => problems.add(format!("Invalid job type: {other:?}")),
    }
    let priority = job.priority.unwrap_or(0);
    problems.check(!(1..=100).contains(&priority), || "job priority must be between [1, 100]".to_owned());
    for datacenter in job.datacenters.iter().flatten() {
        problems.check(datacenter.is_empty(), || "Job datacenter must be non-empty string".to_owned());
    }
    constraints(&mut problems, job.constraints.as_deref(), false);
    affinities_and_spreads(&mut problems, kind, job.affinities.as_deref(), job.spreads.as_deref());
    let groups = job.task_groups.as_deref().unwrap_or_default();
    problems.check(groups.is_empty(), || "Missing job task groups".to_owned());
    for (position, group) in groups.iter().enumerate() {
        let name = text(&group.name);
        if name.is_empty() {
            problems.add(format!("Job task group {} missing name", position + 1));
        } else if let Some(first) = groups[..position].iter().position(|earlier| text(&earlier.name) == name) {
            problems.add(format!("Job task group {} redefines '{name}' from group {}", position + 1, first + 1));
        }
        problems.check(group.shutdown_delay.is_some_and(|delay| delay < 0), || "ShutdownDelay must be a positive value".to_owned());
        let count = group.count.unwrap_or(1);
        problems.check(kind == "system" && count > 1, || {
            format!("Job task group {name} has count {count}. Count cannot exceed 1 with system scheduler")
        });
    }
    for group in groups {
        let mut inner = JobProblems::default();
        task_group(&mut inner, kind, group);
        problems.nest(format_args!("Task group {} validation failed", text(&group.name)), inner);
    }
    let batch = matches!(kind, "batch" | "sysbatch");
    if let Some(periodic) = &job.periodic {
        problems.check(!batch, || "Periodic can only be used with \"batch\" or \"sysbatch\" scheduler".to_owned());
        let (spec, specs) = (text(&periodic.spec), periodic.specs.as_deref().unwrap_or_default());
        let mut inner = JobProblems::default();
        if periodic.enabled.unwrap_or(true) {
            inner.check(spec.is_empty() && specs.is_empty(), || "Must specify a spec".to_owned());
            inner.check(!spec.is_empty() && !specs.is_empty(), || "Only cron or crons may be used".to_owned());
        }
        if !inner.is_empty() {
            problems.add(inner.to_string());
        }
    }
    if let Some(parameterized) = &job.parameterized_job {
        problems.check(!batch, || "Parameterized job can only be used with \"batch\" or \"sysbatch\" scheduler".to_owned());
        let mut inner = JobProblems::default();
        let payload = parameterized.payload.as_str();
        inner.check(!matches!(payload, "optional" | "required" | "forbidden"), || format!("Unknown payload requirement: {payload:?}"));
        let optional: BTreeSet<&String> = parameterized.meta_optional.iter().flatten().collect();
        let both: Vec<&str> =
            parameterized.meta_required.iter().flatten().filter(|key| optional.contains(key)).map(String::as_str).collect();
        inner.check(!both.is_empty(), || {
            format!("Required and optional meta keys should be disjoint. Following keys exist in both: [{}]", both.join(" "))
        });
        if !inner.is_empty() {
            problems.add(inner.to_string());
        }
    }
    problems
}

/// Things that are accepted and probably not meant.
pub fn warnings(job: &api::Job) -> Vec<String> {
    let mut warnings = Vec::new();
    for group in job.task_groups.iter().flatten() {
        if let Some(update) = &group.update {
            let count = group.count.unwrap_or(1);
            let max_parallel = update.max_parallel.unwrap_or(0);
            if max_parallel > count && count > 1 {
                warnings.push(format!(
                    "Group {:?} has warnings: 1 error occurred:\n\t* Update max parallel count is greater than task group count ({max_parallel} > {count}). A destructive change would result in the simultaneous replacement of all allocations.\n\n",
                    text(&group.name)
                ));
            }
        }
        for task in group.tasks.iter().flatten() {
            let has_services = task.services.as_ref().is_some_and(|services| !services.is_empty());
            if has_services && task.shutdown_delay == 0 {
                let (task, group) = (&task.name, text(&group.name));
                warnings.push(format!("task {task:?} in group {group:?} defines services, but has no shutdown_delay set"));
            }
        }
    }
    warnings
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn constraints(problems: &mut JobProblems, constraints: Option<&[api::Constraint]>, of_task: bool) {
    for (position, constraint) in constraints.into_iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        let operand = constraint.operand.as_str();
        let (left, right) = (constraint.l_target.as_str(), constraint.r_target.as_str());
        let mut needs_left = true;
        match operand {
            "" => inner.add("Missing constraint operand"),
            "distinct_hosts" => {
                needs_left = false;
                inner.check(of_task, || format!("Constraint {} has disallowed Operand at task level: {operand}", position + 1));
            }
            "distinct_property" => match right.parse::<u64>() {
                _ if right.is_empty() => {}
                Ok(0) => inner.add("Distinct Property must have an allowed count of 1 or greater: 0 < 1"),
                Ok(_) => {}
                Err(_) => inner
                    .add(format!("Failed to convert RTarget {right:?} to uint64: strconv.ParseUint: parsing {right:?}: invalid syntax")),
            },
            "is_set" | "is_not_set" | "attribute_is_set" | "attribute_is_not_set" => {
                inner.check(!right.is_empty(), || format!("Operator {operand:?} does not support an RTarget"));
            }
            "regexp" => {
                if let Err(error) = regex::Regex::new(right) {
                    let reason = error.to_string();
                    inner.add(format!("Regular expression failed to compile: {}", reason.lines().last().unwrap_or_default().trim()));
                }
            }
            "=" | "==" | "is" | "!=" | "not" | "<" | "<=" | ">" | ">=" => {
                inner.check(right.is_empty(), || format!("Operator {operand:?} requires an RTarget"));
            }
            "version" | "semver" | "set_contains" | "set_contains_all" | "set_contains_any" => {
                inner.check(right.is_empty(), || format!("Operator {operand:?} requires an RTarget"));
            }
            other => {
                needs_left = false;
                inner.add(format!("Unknown constraint type {other:?}"));
            }
        }
        if needs_left && left.is_empty() {
            inner.add("no attribute provided but is required by operator");
        }
        for target in [left, right] {
            inner.check(unsupported_reference(target), || format!("unsupported attribute {target:?}"));
        }
        problems.nest(format_args!("Constraint {} validation failed", position + 1), inner);
    }
}

/// Whether the text refers to something that the scheduler cannot know.
fn unsupported_reference(target: &str) -> bool {
    let Some(name) = target.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else { return false };
    let known = ["node.unique.id", "node.unique.name", "node.datacenter", "node.class", "node.pool"];
    !known.contains(&name) && !["attr.", "meta.", "device."].iter().any(|prefix| name.starts_with(prefix))
}

fn affinities_and_spreads(problems: &mut JobProblems, kind: &str, affinities: Option<&[api::Affinity]>, spreads: Option<&[api::Spread]>) {
    let system = kind == "system";
    problems.check(system && affinities.is_some_and(|list| !list.is_empty()), || "System jobs may not have an affinity block".to_owned());
    problems.check(system && spreads.is_some_and(|list| !list.is_empty()), || "System jobs may not have a spread block".to_owned());
    if system {
        return;
    }
    for (position, affinity) in affinities.into_iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        match affinity.operand.as_str() {
            "" => inner.add("Missing affinity operand"),
            "=" | "==" | "is" | "!=" | "not" | "<" | "<=" | ">" | ">=" | "version" | "semver" | "regexp" | "set_contains"
            | "set_contains_all" | "set_contains_any" => {
                inner.check(affinity.r_target.is_empty(), || format!("Operator {:?} requires an RTarget", affinity.operand));
            }
            other => inner.add(format!("Unknown affinity operator {other:?}")),
        }
        inner.check(affinity.l_target.is_empty(), || "No LTarget provided but is required".to_owned());
        let weight = affinity.weight.unwrap_or(50);
        inner.check(!(-100..=100).contains(&weight), || "Affinity weight must be within the range [-100,100]".to_owned());
        inner.check(weight == 0, || "Affinity weight cannot be zero".to_owned());
        problems.nest(format_args!("Affinity {} validation failed", position + 1), inner);
    }
    for (position, spread) in spreads.into_iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        inner.check(spread.attribute.is_empty(), || "Missing spread attribute".to_owned());
        let weight = spread.weight.unwrap_or(50);
        inner.check(!(1..=100).contains(&weight), || "Spread block must have a positive weight from 0 to 100".to_owned());
        let (mut seen, mut sum) = (BTreeSet::new(), 0);
        for target in spread.spread_target.iter().flatten() {
            inner.check(!seen.insert(&target.value), || format!("Spread target value {:?} already defined", target.value));
            inner
                .check(target.percent > 100, || format!("Spread target percentage for value {:?} must be between 0 and 100", target.value));
            sum += target.percent.min(1_000);
        }
        inner.check(sum > 100, || format!("Sum of spread target percentages must not be greater than 100%; got {sum}%"));
        problems.nest(format_args!("Spread {} validation failed", position + 1), inner);
    }
}

fn task_group(problems: &mut JobProblems, kind: &str, group: &api::TaskGroup) {
    let name = text(&group.name);
    let batch = matches!(kind, "batch" | "sysbatch");
    problems.check(name.is_empty(), || "Missing task group name".to_owned());
    problems.check(name.contains('\0'), || "Task group name contains null character".to_owned());
    problems.check(group.count.unwrap_or(1) < 0, || "Task group count can't be negative".to_owned());
    let tasks = group.tasks.as_deref().unwrap_or_default();
    problems.check(tasks.is_empty(), || "Missing tasks for task group".to_owned());
    constraints(problems, group.constraints.as_deref(), false);
    affinities_and_spreads(problems, kind, group.affinities.as_deref(), group.spreads.as_deref());
    if let Some(limit) = group.max_run_duration {
        problems.check(!batch, || format!("Job type {kind:?} does not allow max_run_duration"));
        problems.check(batch && limit <= 0, || "MaxRunDuration must be greater than zero".to_owned());
    }
    if let Some(restart) = &group.restart_policy {
        restart_policy(problems, restart);
    }
    if let Some(reschedule) = &group.reschedule_policy {
        if matches!(kind, "system" | "sysbatch") {
            problems.add("System or sysbatch jobs should not have a reschedule policy");
        } else {
            reschedule_policy(problems, reschedule);
        }
    }
    let disk_mb = group.ephemeral_disk.as_ref().and_then(|disk| disk.size_mb).unwrap_or(300);
    problems.check(disk_mb < 10, || format!("minimum DiskMB value is 10; got {disk_mb}"));
    if let Some(update) = &group.update {
        update_strategy(problems, update);
    }
    if let Some(disconnect) = &group.disconnect {
        disconnect_strategy(problems, kind, disconnect);
    }
    group_network(problems, group);
    let mut leaders = 0;
    for (position, task) in tasks.iter().enumerate() {
        if task.name.is_empty() {
            problems.add(format!("Task {} missing name", position + 1));
        } else if let Some(first) = tasks[..position].iter().position(|earlier| earlier.name == task.name) {
            problems.add(format!("Task {} redefines '{}' from task {}", position + 1, task.name, first + 1));
        }
        leaders += usize::from(task.leader);
    }
    problems.check(leaders > 1, || "Only one task may be marked as leader".to_owned());
    let mains = tasks.iter().filter(|task| task.lifecycle.is_none()).count();
    problems.check(!tasks.is_empty() && mains == 0, || "Task group must have at least one main task".to_owned());
    let mut services = JobProblems::default();
    service_list(&mut services, group, group.services.as_deref().unwrap_or_default(), None);
    problems.nest("Task group service validation failed", services);
    let progress = group.update.as_ref().and_then(|update| update.progress_deadline).unwrap_or(0);
    for task in tasks {
        let mut inner = JobProblems::default();
        validate_task(&mut inner, group, task, disk_mb, progress);
        problems.nest(format_args!("Task {} validation failed", task.name), inner);
    }
}

fn restart_policy(problems: &mut JobProblems, policy: &api::RestartPolicy) {
    let mode = text(&policy.mode);
    problems.check(!matches!(mode, "fail" | "delay"), || format!("Unsupported restart mode: {mode:?}"));
    let (attempts, interval, delay) = (policy.attempts.unwrap_or(0), policy.interval.unwrap_or(0), policy.delay.unwrap_or(0));
    problems.check(attempts == 0 && mode == "delay", || "Restart policy \"delay\" with 0 attempts is ambiguous".to_owned());
    problems.check(attempts < 0, || format!("Restart policy attempts can not be negative: {attempts}"));
    problems.check(interval < MIN_INTERVAL, || {
        format!("Interval can not be less than {} (got {})", go_duration(MIN_INTERVAL), go_duration(interval))
    });
    problems.check(attempts.saturating_mul(delay) > interval, || {
        format!(
            "Nomad can't restart the TaskGroup {attempts} times in an interval of {} with a delay of {}",
            go_duration(interval),
            go_duration(delay)
        )
    });
}

fn reschedule_policy(problems: &mut JobProblems, policy: &api::ReschedulePolicy) {
    let (attempts, interval) = (policy.attempts.unwrap_or(0), policy.interval.unwrap_or(0));
    let (delay, max_delay) = (policy.delay.unwrap_or(0), policy.max_delay.unwrap_or(0));
    let unlimited = policy.unlimited.unwrap_or(false);
    let function = text(&policy.delay_function);
    if attempts <= 0 && !unlimited {
        return;
    }
    problems.check(unlimited && (attempts > 0 || interval > 0), || {
        format!("Reschedule Policy with Attempts = {attempts}, Interval = {}, and Unlimited = true is ambiguous", go_duration(interval))
    });
    problems.check(attempts > 0 && interval <= 0 && !unlimited, || "Interval must be a non zero value if Attempts > 0".to_owned());
    problems.check(attempts > 0 && !unlimited && interval < 3 * MIN_INTERVAL, || {
        format!("Interval cannot be less than 15s (got {})", go_duration(interval))
    });
    problems.check(delay < MIN_INTERVAL, || format!("Delay cannot be less than 5s (got {})", go_duration(delay)));
    problems.check(!matches!(function, "constant" | "exponential" | "fibonacci"), || {
        format!("Invalid delay function {function:?}, must be one of [\"constant\" \"exponential\" \"fibonacci\"]")
    });
    if function != "constant" {
        problems.check(max_delay < MIN_INTERVAL, || format!("Max Delay cannot be less than 5s (got {})", go_duration(max_delay)));
        problems.check(max_delay < delay, || {
            format!("Max Delay cannot be less than Delay {} (got {})", go_duration(delay), go_duration(max_delay))
        });
    }
    if !unlimited && attempts > 0 && function == "constant" && attempts.saturating_mul(delay) > interval {
        let possible = interval / delay.max(1);
        problems.add(format!(
            "Nomad can only make {possible} attempts in {} with initial delay {} and delay function {function:?}",
            go_duration(interval),
            go_duration(delay)
        ));
        problems.add(format!(
            "Set the interval to at least {} to accommodate {attempts} attempts",
            go_duration(attempts.saturating_mul(delay))
        ));
    }
}

fn update_strategy(problems: &mut JobProblems, update: &api::UpdateStrategy) {
    let check = text(&update.health_check);
    problems.check(!matches!(check, "checks" | "task_states" | "manual"), || format!("Invalid health check given: {check:?}"));
    let (max_parallel, canary) = (update.max_parallel.unwrap_or(0), update.canary.unwrap_or(0));
    let (min, deadline) = (update.min_healthy_time.unwrap_or(0), update.healthy_deadline.unwrap_or(0));
    let (progress, stagger) = (update.progress_deadline.unwrap_or(0), update.stagger.unwrap_or(0));
    problems.check(max_parallel < 0, || format!("Max parallel can not be less than zero: {max_parallel} < 0"));
    problems.check(canary < 0, || format!("Canary count can not be less than zero: {canary} < 0"));
    problems
        .check(canary == 0 && update.auto_promote == Some(true), || "Auto Promote requires a Canary count greater than zero".to_owned());
    problems.check(min < 0, || format!("Minimum healthy time may not be less than zero: {}", go_duration(min)));
    problems.check(deadline <= 0, || format!("Healthy deadline must be greater than zero: {}", go_duration(deadline)));
    problems.check(progress < 0, || format!("Progress deadline must be zero or greater: {}", go_duration(progress)));
    problems.check(min >= deadline, || {
        format!("Minimum healthy time must be less than healthy deadline: {} > {}", go_duration(min), go_duration(deadline))
    });
    problems.check(progress != 0 && deadline >= progress, || {
        format!("Healthy deadline must be less than progress deadline: {} > {}", go_duration(deadline), go_duration(progress))
    });
    problems.check(stagger <= 0, || format!("Stagger must be greater than zero: {}", go_duration(stagger)));
}

fn disconnect_strategy(problems: &mut JobProblems, kind: &str, disconnect: &api::DisconnectStrategy) {
    let lost_after = disconnect.lost_after.unwrap_or(0);
    problems.check(lost_after < 0, || "lost_after cannot be a negative duration".to_owned());
    problems.check(lost_after > 0 && disconnect.stop_on_client_after.is_some(), || {
        "Disconnect cannot be configured with both lost_after and stop_after".to_owned()
    });
    problems.check(disconnect.stop_on_client_after.is_some() && !matches!(kind, "service" | "batch"), || {
        "stop_after can only be used with service or batch job types".to_owned()
    });
    let reconcile = text(&disconnect.reconcile);
    problems.check(!matches!(reconcile, "" | "best_score" | "longest_running" | "keep_original" | "keep_replacement"), || {
        format!("reconcile option is invalid: {reconcile}")
    });
}

/// Labels are unique in the group, of letters, digits, `_` and `-`, at most 128 long; a static port appears once (NET-002).
fn group_network(problems: &mut JobProblems, group: &api::TaskGroup) {
    let mut inner = JobProblems::default();
    let (mut labels, mut statics) = (BTreeSet::new(), BTreeSet::new());
    let networks = group.networks.as_deref().unwrap_or_default();
    for network in networks {
        let host = network.mode.is_empty() || network.mode == "host";
        let reserved = network.reserved_ports.as_deref().unwrap_or_default();
        let dynamic = network.dynamic_ports.as_deref().unwrap_or_default();
        for port in reserved.iter().chain(dynamic) {
            let label = port.label.as_str();
            inner.check(!label_is_valid(label), || {
                format!("Port label {label:?} is invalid: use 1 to 128 letters, digits, underscores and hyphens")
            });
            inner.check(!labels.insert(label.to_owned()), || format!("Port label {label} already in use by taskgroup network"));
            inner.check(port.to < -1 || port.to > 65_535, || {
                format!("Port {label:?} cannot be mapped to a port ({}) greater than 65535", port.to)
            });
            inner.check(port.ignore_collision && !host, || {
                format!("Port {label:?} collision may not be ignored on non-host network mode {:?}", network.mode)
            });
        }
        for port in reserved {
            let (label, value) = (&port.label, port.value);
            inner.check(value > 65_535, || format!("Port {label} ({value}) cannot be greater than 65535"));
            inner.check(value <= 0, || format!("Port {label} ({value}) must be greater than 0"));
            let key = (port.host_network.clone(), value);
            inner.check(!statics.insert(key) && !port.ignore_collision, || {
                format!("Static port {value} already reserved by taskgroup network")
            });
        }
    }
    problems.nest("Task group network validation failed", inner);
}

/// Whether a port label may be used; a hyphen becomes an underscore in environment variables.
fn label_is_valid(label: &str) -> bool {
    (1..=128).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn service_list(problems: &mut JobProblems, group: &api::TaskGroup, services: &[api::Service], task: Option<&str>) {
    let mut seen = BTreeSet::new();
    for (position, service) in services.iter().enumerate() {
        let mut inner = JobProblems::default();
        let name = service.name.as_str();
        inner.check(!name.contains("${") && !crate::service_name_is_valid(name), || {
            format!("Service name must be valid per RFC 1123 and can contain only alphanumeric characters or dashes and must be no longer than 63 characters, got {name:?}")
        });
        inner.check(!matches!(service.provider.as_str(), "consul" | "nomad"), || {
            format!("Service provider must be consul or nomad, got {:?}", service.provider)
        });
        inner.check(!matches!(service.address_mode.as_str(), "auto" | "host" | "driver" | "alloc" | "alloc_ipv6"), || {
            format!(
                "Service address_mode must be \"auto\", \"host\", \"driver\", \"alloc\" or \"alloc_ipv6\"; not {:?}",
                service.address_mode
            )
        });
        inner.check(!matches!(service.on_update.as_str(), "require_healthy" | "ignore_warnings" | "ignore"), || {
            format!("Service on_update must be \"require_healthy\", \"ignore_warnings\", or \"ignore\"; not {:?}", service.on_update)
        });
        for check in service.checks.iter().flatten() {
            check_rules(&mut inner, group, service, check);
        }
        inner.check(!seen.insert((name, service.port_label.as_str(), service.provider.as_str())), || {
            format!("Service {name:?} is defined twice with port {:?}", service.port_label)
        });
        let place = task.map_or_else(
            || format!("Service[{position}] {name} validation failed"),
            |_| format!("service[{position}] {name} validation failed"),
        );
        problems.nest(place, inner);
    }
}

fn check_rules(problems: &mut JobProblems, group: &api::TaskGroup, service: &api::Service, check: &api::ServiceCheck) {
    let (kind, native) = (check.r#type.as_str(), service.provider == "nomad");
    let mut inner = JobProblems::default();
    match kind {
        "http" => {
            inner.check(check.path.is_empty(), || "http type must have http path".to_owned());
            inner.check(check.path.contains("://"), || "relative http path can not contain a scheme".to_owned());
        }
        "tcp" => {}
        "script" | "grpc" if native => inner.add(format!("check type {kind:?} is not supported with provider nomad: use http or tcp")),
        "script" => inner.check(check.command.is_empty(), || "script type must have a valid script path".to_owned()),
        "grpc" => {}
        other => inner.add(format!("check type {other:?} is invalid: use http, tcp, script or grpc")),
    }
    inner.check(check.interval < 1_000_000_000, || format!("interval ({}) cannot be lower than 1s", go_duration(check.interval)));
    inner.check(check.timeout < 1_000_000_000, || {
        format!("timeout ({}) is lower than required minimum timeout 1s", go_duration(check.timeout))
    });
    inner.check(native && matches!(check.on_update.as_str(), "ignore_warnings"), || {
        "on_update may only be set to ignore_warnings with provider consul".to_owned()
    });
    if let Some(restart) = &check.check_restart {
        inner.check(restart.limit < 0, || format!("check_restart limit must be at least 0, got {}", restart.limit));
        inner.check(restart.grace.is_some_and(|grace| grace < 0), || "check_restart grace must not be negative".to_owned());
    }
    let needs_port = matches!(kind, "http" | "tcp");
    inner.check(needs_port && check.port_label.is_empty() && service.port_label.is_empty(), || {
        "check needs a port: set it on the check or on the service".to_owned()
    });
    let known_task = check.task_name.is_empty() || group.tasks.iter().flatten().any(|task| task.name == check.task_name);
    inner.check(!known_task, || format!("refers to non-existent task {}", check.task_name));
    problems.nest(format_args!("check {:?} invalid", check.name), inner);
}

fn validate_task(problems: &mut JobProblems, group: &api::TaskGroup, task: &api::Task, disk_mb: i64, progress_ns: i64) {
    problems.check(task.name.is_empty(), || "Missing task name".to_owned());
    problems.check(task.name.contains(['/', '\\']), || "Task name cannot include slashes".to_owned());
    problems.check(task.name.contains('\0'), || "Task name cannot include null characters".to_owned());
    problems.check(matches!(task.name.as_str(), "alloc" | "." | ".."), || format!("Task cannot be named {:?}", task.name));
    problems.check(task.driver.is_empty(), || "Missing task driver".to_owned());
    let kill_timeout = task.kill_timeout.unwrap_or(0);
    problems.check(kill_timeout < 0, || "KillTimeout must be a positive value".to_owned());
    problems.check(progress_ns > 0 && kill_timeout > progress_ns, || {
        format!("KillTimout ({}) longer than the group's ProgressDeadline ({})", go_duration(kill_timeout), go_duration(progress_ns))
    });
    problems.check(task.shutdown_delay < 0, || "ShutdownDelay must be a positive value".to_owned());
    if let Some(resources) = &task.resources {
        resource_rules(problems, resources);
    }
    if let Some(log) = &task.log_config {
        let (files, size) = (log.max_files.unwrap_or(10), log.max_file_size_mb.unwrap_or(10));
        let mut logs = JobProblems::default();
        logs.check(files < 1, || format!("minimum number of files is 1; got {files}"));
        logs.check(size < 1, || format!("minimum file size is 1MB; got {size}"));
        let logs_mb = files.saturating_mul(size);
        let disabled = log.disabled == Some(true);
        logs.check(!disabled && disk_mb <= logs_mb, || {
            format!("log storage ({logs_mb} MB) must be less than requested disk capacity ({disk_mb} MB)")
        });
        if !logs.is_empty() {
            problems.add(logs.to_string());
        }
    }
    constraints(problems, task.constraints.as_deref(), true);
    if let Some(lifecycle) = &task.lifecycle {
        problems.check(!matches!(lifecycle.hook.as_str(), "prestart" | "poststart" | "poststop"), || {
            if lifecycle.hook.is_empty() {
                "Lifecycle validation failed: no lifecycle hook provided".to_owned()
            } else {
                format!("Lifecycle validation failed: invalid hook: {}", lifecycle.hook)
            }
        });
    }
    if let Some(restart) = &task.restart_policy {
        restart_policy(problems, restart);
    }
    let mut destinations = BTreeSet::new();
    for (position, template) in task.templates.iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        template_rules(&mut inner, template);
        problems.nest(format_args!("Template {} validation failed", position + 1), inner);
        let destination = text(&template.dest_path);
        problems.check(!destination.is_empty() && !destinations.insert(destination), || {
            format!("Template {} has same destination as an earlier one", position + 1)
        });
    }
    let mut services = JobProblems::default();
    service_list(&mut services, group, task.services.as_deref().unwrap_or_default(), Some(&task.name));
    for problem in services.0 {
        problems.add(problem);
    }
    if let Some(payload) = &task.dispatch_payload {
        problems
            .check(escapes(&payload.file), || "Dispatch Payload validation failed: destination escapes allocation directory".to_owned());
    }
}

fn resource_rules(problems: &mut JobProblems, resources: &api::Resources) {
    let (cpu, cores) = (resources.cpu.unwrap_or(0), resources.cores.unwrap_or(0));
    let (memory, max) = (resources.memory_mb.unwrap_or(0), resources.memory_max_mb.unwrap_or(0));
    let mut inner = JobProblems::default();
    inner.check(cores > 0 && cpu > 0, || "Task can only ask for 'cpu' or 'cores' resource, not both.".to_owned());
    inner.check(cores < 0, || format!("cores must not be negative; got {cores}"));
    let mut least = JobProblems::default();
    least.check(cores == 0 && cpu < 1, || format!("minimum CPU value is 1; got {cpu}"));
    least.check(memory < 10, || format!("minimum MemoryMB value is 10; got {memory}"));
    if !least.is_empty() {
        inner.add(least.to_string());
    }
    inner.check(max != 0 && max < memory, || format!("MemoryMaxMB value ({max}) should be larger than MemoryMB value ({memory})"));
    let secrets = resources.secrets_mb.unwrap_or(0);
    inner.check(secrets > memory, || format!("SecretsMB value ({secrets}) cannot be larger than MemoryMB value ({memory})"));
    if !inner.is_empty() {
        problems.add(inner.to_string());
    }
}

fn template_rules(problems: &mut JobProblems, template: &api::Template) {
    let (source, body) = (text(&template.source_path), text(&template.embedded_tmpl));
    problems.check(source.is_empty() && body.is_empty(), || "Must specify a source path or have an embedded template".to_owned());
    let destination = text(&template.dest_path);
    problems.check(destination.is_empty(), || "Must specify a destination for the template".to_owned());
    problems.check(escapes(destination), || "destination escapes allocation directory".to_owned());
    let mode = text(&template.change_mode);
    match mode {
        "noop" | "restart" => {}
        "signal" => problems.check(template.envvars == Some(true), || "cannot use signals with env var templates".to_owned()),
        "script" => problems
            .check(template.change_script.as_ref().is_none_or(|script| script.command.as_deref().is_none_or(str::is_empty)), || {
                "must specify a script and its command when change mode is script".to_owned()
            }),
        other => problems.add(format!("Invalid change mode {other:?}: use noop, restart, signal or script")),
    }
    problems.check(template.splay.is_some_and(|splay| splay < 0), || "Must specify positive splay value".to_owned());
    let perms = text(&template.perms);
    problems.check(!perms.is_empty() && u32::from_str_radix(perms, 8).is_err(), || {
        format!("Failed to parse {perms:?} as octal file permissions")
    });
}

/// Whether a relative path leaves the directory it starts from.
pub(crate) fn escapes(path: &str) -> bool {
    let mut depth: i32 = 0;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            part if part.starts_with("${") => {}
            _ => depth += 1,
        }
        if depth < -1 {
            return true;
        }
    }
    false
}
