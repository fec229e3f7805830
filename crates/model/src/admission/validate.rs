//! Rules that a canonical job must meet. All problems are found at once and nested as the API's clients know them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use drover_api as api;
use drover_base::time::go_duration;
use drover_lang::cron::{Cron, Zone};
use drover_lang::version::{Rules, VersionConstraint};

use super::identities::Peers;
use super::services::{group_services, mesh, task_services};
use super::tasks;

/// Problems, each a sentence; shown as a counted, nested list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobProblems {
    /// The sentences, those about parts of the job nested in one under a heading.
    pub texts: Vec<String>,
    /// Every single problem with what of the job it is about.
    pub found: Vec<Found>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The field of the job, as `TaskGroups[0].Tasks[1].Driver`; the object around it where no field is to blame.
    pub path: String,
    /// What is wrong with it.
    pub text: String,
}

/// Where in the object that is looked at the next problem is.
pub(super) struct At<'a> {
    problems: &'a mut JobProblems,
    path: String,
}

impl At<'_> {
    pub(super) fn add(self, problem: impl Into<String>) {
        let text = problem.into();
        self.problems.found.push(Found { path: self.path, text: text.clone() });
        self.problems.texts.push(text);
    }

    pub(super) fn check(self, broken: bool, problem: impl FnOnce() -> String) {
        if broken {
            self.add(problem());
        }
    }

    /// Adds what is in `inner`, if anything, as one problem under a heading.
    pub(super) fn nest(self, heading: impl fmt::Display, inner: JobProblems) {
        if !inner.is_empty() {
            self.problems.texts.push(format!("{heading}: {inner}"));
            self.found(inner);
        }
    }

    /// Adds what is in `inner` as one problem that is told in these words.
    pub(super) fn nest_as(self, text: String, inner: JobProblems) {
        self.problems.texts.push(text);
        self.found(inner);
    }

    /// Adds what is in `inner`, if anything, as one problem without a heading.
    pub(super) fn list(self, inner: JobProblems) {
        if !inner.is_empty() {
            self.problems.texts.push(inner.to_string());
            self.found(inner);
        }
    }

    fn found(self, inner: JobProblems) {
        self.problems.found.extend(inner.found.into_iter().map(|Found { path, text }| {
            let path = match (self.path.as_str(), path.as_str()) {
                ("", _) => path,
                (_, "") => self.path.clone(),
                (outer, inner) => format!("{outer}.{inner}"),
            };
            Found { path, text }
        }));
    }
}

impl JobProblems {
    /// The problems of a field, or of an object in one, of what is looked at.
    pub(super) fn at(&mut self, path: impl Into<String>) -> At<'_> {
        At { problems: self, path: path.into() }
    }

    /// The problems of an entry of a list.
    pub(super) fn entry(&mut self, field: &str, position: usize) -> At<'_> {
        self.at(format!("{field}[{position}]"))
    }

    /// The problems of an object that are told beside those of what is around it.
    pub(super) fn within(&mut self, path: &str, rules: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        rules(&mut inner);
        self.texts.append(&mut inner.texts);
        self.at(path).found(inner);
    }

    pub(super) fn add(&mut self, problem: impl Into<String>) {
        self.at("").add(problem);
    }

    pub(super) fn check(&mut self, broken: bool, problem: impl FnOnce() -> String) {
        self.at("").check(broken, problem);
    }

    pub(super) fn nest(&mut self, heading: impl fmt::Display, inner: Self) {
        self.at("").nest(heading, inner);
    }

    /// Adds what only the region knows to be wrong with a part of the job.
    pub fn push(&mut self, path: &str, problem: impl Into<String>) {
        self.at(path).add(problem);
    }

    /// What a job is refused with before anything else is looked at: what its service mesh asks for cannot be made.
    pub fn refusal(&self) -> Option<&str> {
        self.texts.iter().map(String::as_str).find(|problem| problem.starts_with(CANNOT_BE_MADE))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

impl fmt::Display for JobProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.texts.as_slice() {
            [one] => write!(f, "1 error occurred:\n\t* {one}\n\n"),
            many => write!(f, "{} errors occurred:\n\t* {}\n\n", many.len(), many.join("\n\t* ")),
        }
    }
}

impl std::error::Error for JobProblems {}

/// How problems begin that end the reading of a job at a server.
pub(super) const CANNOT_BE_MADE: &str = "error in job mutator connect: ";

/// The longest accepted job id, in bytes.
const JOB_ID_MAX: usize = 4096;
const MIN_INTERVAL: i64 = 5_000_000_000;
/// Attempts that are looked at to see whether they fit; more never do.
const RESCHEDULE_ATTEMPTS_SHOWN: i64 = 100_000;
/// The longest description for the web UI, in characters.
const UI_DESCRIPTION_MAX: usize = 1000;

/// All problems of a canonical job.
pub fn validate(job: &api::Job) -> JobProblems {
    validate_with(job, &Peers::default())
}

/// The same where agents speak to Vault or Consul.
pub fn validate_with(job: &api::Job, peers: &Peers) -> JobProblems {
    let mut problems = JobProblems::default();
    mesh(&mut problems, job);
    let (id, name) = (text(&job.id), text(&job.name));
    problems.at("Region").check(text(&job.region).is_empty(), || "Missing job region".to_owned());
    if id.is_empty() {
        problems.at("ID").add("Missing job ID");
    } else {
        problems.at("ID").check(id.contains(' '), || "Job ID contains a space".to_owned());
        problems.at("ID").check(id.contains('\0'), || "Job ID contains a null character".to_owned());
        problems.at("ID").check(id.len() > JOB_ID_MAX, || format!("Job ID is longer than {JOB_ID_MAX} bytes"));
    }
    problems.at("Name").check(name.is_empty(), || "Missing job name".to_owned());
    problems.at("Name").check(name.contains('\0'), || "Job Name contains a null character".to_owned());
    let kind = text(&job.r#type);
    match kind {
        "service" | "batch" | "system" | "sysbatch" => {}
        "_core" => problems.at("Type").add("job type cannot be core"),
        other => problems.at("Type").add(format!("Invalid job type: {other:?}")),
    }
    let priority = job.priority.unwrap_or(0);
    problems.at("Priority").check(!(1..=100).contains(&priority), || "job priority must be between [1, 100]".to_owned());
    for datacenter in job.datacenters.iter().flatten() {
        problems.at("Datacenters").check(datacenter.is_empty(), || "Job datacenter must be non-empty string".to_owned());
    }
    constraints(&mut problems, job.constraints.as_deref(), false);
    affinities_and_spreads(&mut problems, kind, job.affinities.as_deref(), job.spreads.as_deref());
    let groups = job.task_groups.as_deref().unwrap_or_default();
    problems.at("").check(groups.is_empty(), || "Missing job task groups".to_owned());
    for (position, group) in groups.iter().enumerate() {
        let name = text(&group.name);
        if name.is_empty() {
            problems.at(format!("TaskGroups[{position}].Name")).add(format!("Job task group {} missing name", position + 1));
        } else if let Some(first) = groups[..position].iter().position(|earlier| text(&earlier.name) == name) {
            problems.at(format!("TaskGroups[{position}].Name")).add(format!(
                "Job task group {} redefines '{name}' from group {}",
                position + 1,
                first + 1
            ));
        }
        problems
            .at("ShutdownDelay")
            .check(group.shutdown_delay.is_some_and(|delay| delay < 0), || "ShutdownDelay must be a positive value".to_owned());
        let count = group.count.unwrap_or(1);
        problems.at(format!("TaskGroups[{position}].Count")).check(kind == "system" && count > 1, || {
            format!("Job task group {name} has count {count}. Count cannot exceed 1 with system scheduler")
        });
    }
    for (position, group) in groups.iter().enumerate() {
        let mut inner = JobProblems::default();
        task_group(&mut inner, kind, group);
        problems.entry("TaskGroups", position).nest(format_args!("Task group {} validation failed", text(&group.name)), inner);
    }
    let batch = matches!(kind, "batch" | "sysbatch");
    if let Some(periodic) = &job.periodic {
        problems.at("Periodic").check(!batch, || "Periodic can only be used with \"batch\" or \"sysbatch\" scheduler".to_owned());
        let (spec, specs) = (text(&periodic.spec), periodic.specs.as_deref().unwrap_or_default());
        let mut inner = JobProblems::default();
        if periodic.enabled.unwrap_or(true) {
            inner.at("Spec").check(spec.is_empty() && specs.is_empty(), || "Must specify a spec".to_owned());
            inner.at("Spec").check(!spec.is_empty() && !specs.is_empty(), || "Only cron or crons may be used".to_owned());
            for spec in specs.iter().map(String::as_str).chain(Some(spec).filter(|spec| !spec.is_empty())) {
                if let Err(error) = Cron::parse(spec) {
                    inner.at("Spec").add(format!("Invalid cron spec {spec:?}: {error}"));
                }
            }
            let zone = text(&periodic.time_zone);
            if let Err(error) = Zone::named(zone) {
                inner.at("TimeZone").add(format!("Invalid time zone {zone:?}: {error}"));
            }
        }
        problems.at("Periodic").list(inner);
    }
    if let Some(parameterized) = &job.parameterized_job {
        problems
            .at("ParameterizedJob")
            .check(!batch, || "Parameterized job can only be used with \"batch\" or \"sysbatch\" scheduler".to_owned());
        let mut inner = JobProblems::default();
        let payload = parameterized.payload.as_str();
        inner
            .at("Payload")
            .check(!matches!(payload, "optional" | "required" | "forbidden"), || format!("Unknown payload requirement: {payload:?}"));
        let optional: BTreeSet<&String> = parameterized.meta_optional.iter().flatten().collect();
        let both: Vec<&str> =
            parameterized.meta_required.iter().flatten().filter(|key| optional.contains(key)).map(String::as_str).collect();
        inner.at("MetaOptional").check(!both.is_empty(), || {
            format!("Required and optional meta keys should be disjoint. Following keys exist in both: [{}]", both.join(" "))
        });
        problems.at("ParameterizedJob").list(inner);
    }
    if let Some(ui) = &job.ui {
        let length = ui.description.chars().count();
        problems.at("UI.Description").check(length > UI_DESCRIPTION_MAX, || {
            format!("UI description must be under {UI_DESCRIPTION_MAX} characters, currently {length}")
        });
    }
    not_built(&mut problems, job, peers);
    problems
}

/// What the language has and this program does not do yet: said when a job is registered, not when it fails to run.
fn not_built(problems: &mut JobProblems, job: &api::Job, peers: &Peers) {
    problems
        .at("Multiregion")
        .check(job.multiregion.is_some(), || "Multiregion jobs are not supported: register the job in each region".to_owned());
    for (position, group) in job.task_groups.iter().flatten().enumerate() {
        let blocks = group.consul.iter().chain(group.tasks.iter().flatten().filter_map(|task| task.consul.as_ref()));
        let services = group.services.iter().chain(group.tasks.iter().flatten().filter_map(|task| task.services.as_ref())).flatten();
        for cluster in blocks.map(|consul| &consul.cluster).chain(services.map(|service| &service.cluster)) {
            problems.entry("TaskGroups", position).check(!matches!(cluster.as_str(), "" | "default"), || {
                format!("Consul cluster {cluster:?} is not configured: only \"default\" is")
            });
        }
        for (place, task) in group.tasks.iter().flatten().enumerate() {
            let at = |field: &str| format!("TaskGroups[{position}].Tasks[{place}].{field}");
            if let Some(vault) = &task.vault {
                let cluster = if vault.cluster.is_empty() { "default" } else { &vault.cluster };
                let problem = format!("Vault {cluster:?} not enabled but used in the job");
                let enabled = peers.vault && cluster == "default";
                let told = problems.texts.contains(&problem);
                problems.at(at("Vault")).check(!enabled && !told, || problem);
                let identity = format!("vault_{cluster}");
                let named = task.identities.iter().flatten().any(|own| own.name == identity);
                problems.at(at("Vault")).check(peers.vault && !named, || {
                    format!(
                        "Task {} uses Vault cluster {cluster} but does not have an identity named {identity} and no default identity is \
                         provided in agent configuration",
                        task.name
                    )
                });
            }
            problems.at(at("Schedule")).check(task.schedule.is_some(), || format!("Task {}: schedules are not supported", task.name));
            let numa = task.resources.as_ref().and_then(|resources| resources.numa.as_ref());
            problems
                .at(at("Resources.NUMA.Affinity"))
                .check(numa.is_some_and(|numa| matches!(numa.affinity.as_str(), "prefer" | "require")), || {
                    format!("Task {}: numa affinity \"prefer\" and \"require\" are not supported", task.name)
                });
            if let (Some(own), Some(shared)) = (&task.consul, &group.consul) {
                problems.at(at("Consul.Partition")).check(
                    !own.partition.is_empty() && !shared.partition.is_empty() && own.partition != shared.partition,
                    || {
                        format!(
                            "task.consul.partition {:?} must match group.consul.partition {:?} if both are set",
                            own.partition, shared.partition
                        )
                    },
                );
            }
        }
    }
}

pub(super) fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn constraints(problems: &mut JobProblems, constraints: Option<&[api::Constraint]>, of_task: bool) {
    for (position, constraint) in constraints.into_iter().flatten().enumerate() {
        let operand = constraint.operand.as_str();
        problems.entry("Constraints", position).check(of_task && matches!(operand, "distinct_hosts" | "distinct_property"), || {
            format!("Constraint {} has disallowed Operand at task level: {operand}", position + 1)
        });
        let mut inner = JobProblems::default();
        constraint_rules(&mut inner, constraint, of_task);
        problems.entry("Constraints", position).nest(format_args!("Constraint {} validation failed", position + 1), inner);
    }
}

/// The rules of one constraint.
pub(super) fn constraint_rules(inner: &mut JobProblems, constraint: &api::Constraint, of_task: bool) {
    let operand = constraint.operand.as_str();
    let (left, right) = (constraint.l_target.as_str(), constraint.r_target.as_str());
    let mut needs_left = true;
    match operand {
        "" => inner.at("Operand").add("Missing constraint operand"),
        "distinct_hosts" => needs_left = false,
        "distinct_property" => match right.parse::<u64>() {
            _ if right.is_empty() || of_task => {}
            Ok(0) => inner.at("RTarget").add("Distinct Property must have an allowed count of 1 or greater: 0 < 1"),
            Ok(_) => {}
            Err(_) => inner
                .at("RTarget")
                .add(format!("Failed to convert RTarget {right:?} to uint64: strconv.ParseUint: parsing {right:?}: invalid syntax")),
        },
        "is_set" | "is_not_set" | "attribute_is_set" | "attribute_is_not_set" => {
            inner.at("RTarget").check(!right.is_empty(), || format!("Operator {operand:?} does not support an RTarget"));
        }
        "regexp" => {
            if let Err(error) = drover_lang::pattern::compile(right) {
                inner.at("RTarget").add(format!("Regular expression failed to compile: {}", pattern_problem(right, &error)));
            }
        }
        "version" => {
            if VersionConstraint::parse(right, Rules::Version).is_err() {
                inner.at("RTarget").add(format!("Version constraint is invalid: malformed constraint: {right}"));
            }
        }
        "semver" => {
            if VersionConstraint::parse(right, Rules::Semver).is_err() {
                inner.at("RTarget").add(format!("Semver constraint is invalid: Malformed constraint: {right}"));
            }
        }
        "=" | "==" | "is" | "!=" | "not" | "<" | "<=" | ">" | ">=" | "set_contains" | "set_contains_all" | "set_contains_any" => {
            inner.at("RTarget").check(right.is_empty(), || format!("Operator {operand:?} requires an RTarget"));
        }
        other => {
            needs_left = false;
            inner.at("Operand").add(format!("Unknown constraint type {other:?}"));
        }
    }
    if needs_left && left.is_empty() {
        inner.add("no attribute provided but is required by operator");
    }
    for target in [left, right] {
        inner.at("LTarget").check(unsupported_reference(target), || format!("unsupported attribute {target:?}"));
    }
}

/// What is wrong with a regular expression, with the part that is.
fn pattern_problem(pattern: &str, error: &str) -> String {
    let (mut depth, mut escaped) = (0_i32, false);
    for letter in pattern.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return format!("error parsing regexp: unexpected ): `{pattern}`");
        }
    }
    if depth > 0 {
        return format!("error parsing regexp: missing closing ): `{pattern}`");
    }
    if error.contains('\n') { format!("error parsing regexp: `{pattern}`") } else { format!("error parsing regexp: {error}") }
}

/// Whether the text refers to something that the scheduler cannot know.
fn unsupported_reference(target: &str) -> bool {
    let Some(name) = target.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else { return false };
    let known = ["node.unique.id", "node.unique.name", "node.datacenter", "node.class", "node.pool"];
    !known.contains(&name) && !["attr.", "meta.", "device."].iter().any(|prefix| name.starts_with(prefix))
}

fn affinities_and_spreads(problems: &mut JobProblems, kind: &str, affinities: Option<&[api::Affinity]>, spreads: Option<&[api::Spread]>) {
    let system = kind == "system";
    problems
        .at("Affinities")
        .check(system && affinities.is_some_and(|list| !list.is_empty()), || "System jobs may not have an affinity block".to_owned());
    problems
        .at("Spreads")
        .check(system && spreads.is_some_and(|list| !list.is_empty()), || "System jobs may not have a spread block".to_owned());
    if system {
        return;
    }
    for (position, affinity) in affinities.into_iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        match affinity.operand.as_str() {
            "" => inner.at("Operand").add("Missing affinity operand"),
            "=" | "==" | "is" | "!=" | "not" | "<" | "<=" | ">" | ">=" | "version" | "semver" | "regexp" | "set_contains"
            | "set_contains_all" | "set_contains_any" => {
                inner.at("RTarget").check(affinity.r_target.is_empty(), || format!("Operator {:?} requires an RTarget", affinity.operand));
            }
            other => inner.at("Operand").add(format!("Unknown affinity operator {other:?}")),
        }
        inner.check(affinity.l_target.is_empty(), || "No LTarget provided but is required".to_owned());
        let weight = affinity.weight.unwrap_or(50);
        inner.at("Weight").check(!(-100..=100).contains(&weight), || "Affinity weight must be within the range [-100,100]".to_owned());
        inner.at("Weight").check(weight == 0, || "Affinity weight cannot be zero".to_owned());
        problems.entry("Affinities", position).nest(format_args!("Affinity {} validation failed", position + 1), inner);
    }
    for (position, spread) in spreads.into_iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        inner.at("Attribute").check(spread.attribute.is_empty(), || "Missing spread attribute".to_owned());
        let weight = spread.weight.unwrap_or(50);
        inner.at("Weight").check(!(1..=100).contains(&weight), || "Spread block must have a positive weight from 0 to 100".to_owned());
        let (mut seen, mut sum) = (BTreeSet::new(), 0);
        for target in spread.spread_target.iter().flatten() {
            inner
                .at("SpreadTarget")
                .check(!seen.insert(&target.value), || format!("Spread target value {:?} already defined", target.value));
            inner
                .at("SpreadTarget")
                .check(target.percent > 100, || format!("Spread target percentage for value {:?} must be between 0 and 100", target.value));
            sum += target.percent.min(1_000);
        }
        inner.at("SpreadTarget").check(sum > 100, || format!("Sum of spread target percentages must not be greater than 100%; got {sum}%"));
        problems.entry("Spreads", position).nest(format_args!("Spread {} validation failed", position + 1), inner);
    }
}

fn task_group(problems: &mut JobProblems, kind: &str, group: &api::TaskGroup) {
    let name = text(&group.name);
    let batch = matches!(kind, "batch" | "sysbatch");
    problems.at("Name").check(name.is_empty(), || "Missing task group name".to_owned());
    problems.at("Name").check(name.contains('\0'), || "Task group name contains null character".to_owned());
    problems.at("Count").check(group.count.unwrap_or(1) < 0, || "Task group count can't be negative".to_owned());
    let tasks = group.tasks.as_deref().unwrap_or_default();
    problems.check(tasks.is_empty(), || "Missing tasks for task group".to_owned());
    constraints(problems, group.constraints.as_deref(), false);
    affinities_and_spreads(problems, kind, group.affinities.as_deref(), group.spreads.as_deref());
    if let Some(limit) = group.max_run_duration {
        problems.at("MaxRunDuration").check(!batch, || format!("Job type {kind:?} does not allow max_run_duration"));
        problems.at("MaxRunDuration").check(batch && limit <= 0, || "MaxRunDuration must be greater than zero".to_owned());
    }
    if let Some(restart) = &group.restart_policy {
        problems.within("RestartPolicy", |inner| restart_policy(inner, restart));
    }
    if let Some(reschedule) = &group.reschedule_policy {
        if matches!(kind, "system" | "sysbatch") {
            problems.at("ReschedulePolicy").add("System or sysbatch jobs should not have a reschedule policy");
        } else {
            problems.within("ReschedulePolicy", |inner| reschedule_policy(inner, reschedule));
        }
    }
    let disk_mb = group.ephemeral_disk.as_ref().and_then(|disk| disk.size_mb).unwrap_or(300);
    problems.at("EphemeralDisk.SizeMB").check(disk_mb < 10, || format!("minimum DiskMB value is 10; got {disk_mb}"));
    if let Some(update) = &group.update {
        if matches!(kind, "service" | "system") {
            problems.within("Update", |inner| update_strategy(inner, update));
        } else {
            problems.at("Update").add(format!("Job type {kind:?} does not allow update block"));
        }
    }
    if let Some(migrate) = &group.migrate {
        if kind == "service" {
            problems.within("Migrate", |inner| migrate_strategy(inner, migrate));
        } else {
            problems.at("Migrate").add(format!("Job type {kind:?} does not allow migrate block"));
        }
    }
    if let Some(disconnect) = &group.disconnect {
        disconnect_strategy(problems, kind, disconnect);
    }
    group_network(problems, group);
    let mut leaders = 0;
    for (position, task) in tasks.iter().enumerate() {
        if task.name.is_empty() {
            problems.entry("Tasks", position).add(format!("Task {} missing name", position + 1));
        } else if let Some(first) = tasks[..position].iter().position(|earlier| earlier.name == task.name) {
            problems.at(format!("Tasks[{position}].Name")).add(format!(
                "Task {} redefines '{}' from task {}",
                position + 1,
                task.name,
                first + 1
            ));
        }
        leaders += usize::from(task.leader);
    }
    problems.at("Tasks").check(leaders > 1, || "Only one task may be marked as leader".to_owned());
    tasks::volume_map(problems, kind, group);
    group_services(problems, group);
    if let Some(scaling) = &group.scaling {
        let mut inner = JobProblems::default();
        scaling_rules(&mut inner, scaling, group.count.unwrap_or(1));
        problems.nest("Task group scaling policy validation failed", inner);
    }
    let progress = group.update.as_ref().and_then(|update| update.progress_deadline).unwrap_or(0);
    for (position, task) in tasks.iter().enumerate() {
        let mut inner = JobProblems::default();
        validate_task(&mut inner, group, task, disk_mb, progress);
        problems.entry("Tasks", position).nest(format_args!("Task {} validation failed", task.name), inner);
    }
}

fn restart_policy(problems: &mut JobProblems, policy: &api::RestartPolicy) {
    let mode = text(&policy.mode);
    problems.check(!matches!(mode, "fail" | "delay"), || format!("Unsupported restart mode: {mode:?}"));
    let (attempts, interval, delay) = (policy.attempts.unwrap_or(0), policy.interval.unwrap_or(0), policy.delay.unwrap_or(0));
    problems.at("Mode").check(attempts == 0 && mode == "delay", || "Restart policy \"delay\" with 0 attempts is ambiguous".to_owned());
    problems.at("Attempts").check(attempts < 0, || format!("Restart policy attempts can not be negative: {attempts}"));
    problems.at("Interval").check(interval < MIN_INTERVAL, || {
        format!("Interval can not be less than {} (got {})", go_duration(MIN_INTERVAL), go_duration(interval))
    });
    problems.at("Attempts").check(attempts.saturating_mul(delay) > interval, || {
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
    if unlimited && attempts > 0 {
        let interval = go_duration(interval);
        problems
            .at("Unlimited")
            .add(format!("Reschedule Policy with Attempts = {attempts}, Interval = {interval}, and Unlimited = true is ambiguous"));
        problems.at("Unlimited").add("If Attempts >0, Unlimited cannot also be set to true");
    }
    problems
        .at("Interval")
        .check(attempts > 0 && interval <= 0 && !unlimited, || "Interval must be a non zero value if Attempts > 0".to_owned());
    problems.at("Interval").check(attempts > 0 && !unlimited && interval < 3 * MIN_INTERVAL, || {
        format!("Interval cannot be less than 15s (got {})", go_duration(interval))
    });
    problems.at("Delay").check(delay < MIN_INTERVAL, || format!("Delay cannot be less than 5s (got {})", go_duration(delay)));
    problems.at("DelayFunction").check(!matches!(function, "constant" | "exponential" | "fibonacci"), || {
        format!("Invalid delay function {function:?}, must be one of [\"constant\" \"exponential\" \"fibonacci\"]")
    });
    if function != "constant" {
        problems
            .at("MaxDelay")
            .check(max_delay < MIN_INTERVAL, || format!("Max Delay cannot be less than 5s (got {})", go_duration(max_delay)));
        problems.at("MaxDelay").check(max_delay < delay, || {
            format!("Max Delay cannot be less than Delay {} (got {})", go_duration(delay), go_duration(max_delay))
        });
    }
    if !unlimited && attempts > 0 {
        reschedule_fits(problems, policy);
    }
}

/// Whether the attempts fit into their interval, by the delays that grow between them.
fn reschedule_fits(problems: &mut JobProblems, policy: &api::ReschedulePolicy) {
    let (attempts, interval) = (policy.attempts.unwrap_or(0), policy.interval.unwrap_or(0));
    let (first, ceiling) = (policy.delay.unwrap_or(0), policy.max_delay.unwrap_or(0));
    let function = text(&policy.delay_function);
    let (mut sum, mut possible) = (0_i64, 0_i64);
    let (mut delay, mut before) = (first, 0_i64);
    let told = if function == "constant" { attempts } else { attempts - 1 };
    for attempt in 0..told.min(RESCHEDULE_ATTEMPTS_SHOWN) {
        let limited = if function == "constant" { delay } else { delay.min(ceiling) };
        sum = sum.saturating_add(limited);
        if sum <= interval {
            possible = attempt + 1;
        }
        let next = match function {
            "exponential" => delay.saturating_mul(2),
            "fibonacci" => delay.saturating_add(before),
            _ => delay,
        };
        (before, delay) = (delay, next);
    }
    if sum <= interval {
        return;
    }
    let limits = if function == "constant" {
        format!("initial delay {} and delay function {function:?}", go_duration(first))
    } else {
        format!("initial delay {}, delay function {function:?}, and delay ceiling {}", go_duration(first), go_duration(ceiling))
    };
    problems.at("Attempts").add(format!("Nomad can only make {possible} attempts in {} with {limits}", go_duration(interval)));
    let minute = 60_000_000_000_i64;
    let needed = if function == "constant" { sum } else { sum.saturating_add(minute - 1) / minute * minute };
    problems.at("Interval").add(format!("Set the interval to at least {} to accommodate {attempts} attempts", go_duration(needed)));
}

fn update_strategy(problems: &mut JobProblems, update: &api::UpdateStrategy) {
    let check = text(&update.health_check);
    problems
        .at("HealthCheck")
        .check(!matches!(check, "checks" | "task_states" | "manual"), || format!("Invalid health check given: {check:?}"));
    let (max_parallel, canary) = (update.max_parallel.unwrap_or(0), update.canary.unwrap_or(0));
    let (min, deadline) = (update.min_healthy_time.unwrap_or(0), update.healthy_deadline.unwrap_or(0));
    let (progress, stagger) = (update.progress_deadline.unwrap_or(0), update.stagger.unwrap_or(0));
    problems.at("MaxParallel").check(max_parallel < 0, || format!("Max parallel can not be less than zero: {max_parallel} < 0"));
    problems.at("Canary").check(canary < 0, || format!("Canary count can not be less than zero: {canary} < 0"));
    problems
        .at("AutoPromote")
        .check(canary == 0 && update.auto_promote == Some(true), || "Auto Promote requires a Canary count greater than zero".to_owned());
    problems.at("MinHealthyTime").check(min < 0, || format!("Minimum healthy time may not be less than zero: {}", go_duration(min)));
    problems
        .at("HealthyDeadline")
        .check(deadline <= 0, || format!("Healthy deadline must be greater than zero: {}", go_duration(deadline)));
    problems.at("ProgressDeadline").check(progress < 0, || format!("Progress deadline must be zero or greater: {}", go_duration(progress)));
    problems.at("MinHealthyTime").check(min >= deadline, || {
        format!("Minimum healthy time must be less than healthy deadline: {} > {}", go_duration(min), go_duration(deadline))
    });
    problems.at("HealthyDeadline").check(progress != 0 && deadline >= progress, || {
        format!("Healthy deadline must be less than progress deadline: {} > {}", go_duration(deadline), go_duration(progress))
    });
    problems.at("Stagger").check(stagger <= 0, || format!("Stagger must be greater than zero: {}", go_duration(stagger)));
}

fn migrate_strategy(problems: &mut JobProblems, migrate: &api::MigrateStrategy) {
    let max_parallel = migrate.max_parallel.unwrap_or(1);
    problems.at("MaxParallel").check(max_parallel < 0, || format!("MaxParallel must be >= 0 but found {max_parallel}"));
    let check = text(&migrate.health_check);
    problems.at("HealthCheck").check(!matches!(check, "" | "checks" | "task_states"), || format!("Invalid HealthCheck: {check:?}"));
    let (min, deadline) = (migrate.min_healthy_time.unwrap_or(0), migrate.healthy_deadline.unwrap_or(0));
    problems.at("MinHealthyTime").check(min < 0, || format!("MinHealthyTime is {} and must be >= 0", go_duration(min)));
    problems.at("HealthyDeadline").check(deadline < 0, || format!("HealthyDeadline is {} and must be >= 0", go_duration(deadline)));
    problems.at("MinHealthyTime").check(min > deadline, || "MinHealthyTime must be less than HealthyDeadline".to_owned());
}

fn scaling_rules(problems: &mut JobProblems, scaling: &api::ScalingPolicy, count: i64) {
    match (scaling.min, scaling.max) {
        (_, None) => problems.at("Scaling").add("Scaling policy invalid: missing maximum count"),
        (_, Some(max)) if max < 0 => {
            problems.at("Scaling.Max").add("Scaling policy invalid: maximum count must be specified and non-negative")
        }
        (Some(min), Some(max)) if max < min => {
            problems.at("Scaling.Max").add("Scaling policy invalid: maximum count must not be less than minimum count")
        }
        _ => {}
    }
    problems.at("Scaling.Min").check(scaling.min.is_some_and(|min| min < 0), || {
        "Scaling policy invalid: minimum count must be specified and non-negative".to_owned()
    });
    if let Some(max) = scaling.max {
        problems.at("Count").check(count > max, || {
            "Scaling policy invalid: task group count must not be greater than maximum count in scaling policy".to_owned()
        });
    }
    if let Some(min) = scaling.min.filter(|min| *min >= 0) {
        problems.at("Count").check(count < min, || {
            "Scaling policy invalid: task group count must not be less than minimum count in scaling policy".to_owned()
        });
    }
}

fn disconnect_strategy(problems: &mut JobProblems, kind: &str, disconnect: &api::DisconnectStrategy) {
    let lost_after = disconnect.lost_after.unwrap_or(0);
    problems.at("Disconnect.LostAfter").check(lost_after < 0, || "lost_after cannot be a negative duration".to_owned());
    problems.at("Disconnect.StopOnClientAfter").check(lost_after > 0 && disconnect.stop_on_client_after.is_some(), || {
        "Disconnect cannot be configured with both lost_after and stop_after".to_owned()
    });
    problems
        .at("Disconnect.StopOnClientAfter")
        .check(disconnect.stop_on_client_after.is_some() && !matches!(kind, "service" | "batch"), || {
            "stop_after can only be used with service or batch job types".to_owned()
        });
    let reconcile = text(&disconnect.reconcile);
    problems
        .at("Disconnect.Reconcile")
        .check(!matches!(reconcile, "" | "best_score" | "longest_running" | "keep_original" | "keep_replacement"), || {
            format!("reconcile option is invalid: {reconcile}")
        });
}

/// Labels are unique in the group, of letters, digits, `_` and `-`, at most 128 long; a static port appears once (NET-002).
fn group_network(problems: &mut JobProblems, group: &api::TaskGroup) {
    let mut inner = JobProblems::default();
    let (mut labels, mut statics) = (BTreeSet::new(), BTreeMap::new());
    let own = group.networks.as_deref().unwrap_or_default();
    let own = own.iter().enumerate().map(|(position, network)| (format!("Networks[{position}]"), network));
    let of_tasks = group.tasks.iter().flatten().enumerate().flat_map(|(task, own)| {
        let networks = own.resources.iter().flat_map(|asked| asked.networks.iter().flatten()).enumerate();
        networks.map(move |(position, network)| (format!("Tasks[{task}].Resources.Networks[{position}]"), network))
    });
    for (path, network) in own.chain(of_tasks) {
        let hostname = network.hostname.as_str();
        inner.at(format!("{path}.Hostname")).check(!hostname.is_empty() && !hostname.contains("${") && !is_dns_name(hostname), || {
            "Hostname is not a valid DNS name".to_owned()
        });
        for value in network.cni.iter().flat_map(|cni| cni.args.iter().flatten()).flat_map(|(name, value)| [name, value]) {
            inner.at(format!("{path}.CNI")).check(value.contains(';'), || format!("invalid ';' character in CNI arg value {value:?}"));
        }
        let host = network.mode.is_empty() || network.mode == "host";
        let reserved = network.reserved_ports.as_deref().unwrap_or_default();
        let dynamic = network.dynamic_ports.as_deref().unwrap_or_default();
        let statics_of = |position: usize| format!("{path}.ReservedPorts[{position}]");
        let named = reserved.iter().enumerate().map(|(position, port)| (statics_of(position), port));
        let named = named.chain(dynamic.iter().enumerate().map(|(position, port)| (format!("{path}.DynamicPorts[{position}]"), port)));
        for (path, port) in named {
            let label = port.label.as_str();
            inner.at(format!("{path}.Label")).check(!label_is_valid(label), || {
                format!("Port label {label:?} is invalid: use 1 to 128 letters, digits, underscores and hyphens")
            });
            inner
                .at(format!("{path}.Label"))
                .check(!labels.insert(label.to_owned()), || format!("Port label {label} already in use by taskgroup network"));
            inner.at(format!("{path}.To")).check(port.to < -1 || port.to > 65_535, || {
                format!("Port {label:?} cannot be mapped to a port ({}) greater than 65535", port.to)
            });
            inner.at(format!("{path}.IgnoreCollision")).check(port.ignore_collision && !host, || {
                format!("Port {label:?} collision may not be ignored on non-host network mode {:?}", network.mode)
            });
        }
        for (position, port) in reserved.iter().enumerate() {
            let at = || format!("{}.Value", statics_of(position));
            let (label, value) = (&port.label, port.value);
            inner.at(at()).check(value > 65_535, || format!("Port {label} ({value}) cannot be greater than 65535"));
            inner.at(at()).check(value <= 0, || format!("Port {label} ({value}) must be greater than 0"));
            let key = (port.host_network.clone(), value);
            match statics.get(&key) {
                Some(other) => inner
                    .at(at())
                    .check(!port.ignore_collision, || format!("Static port {value} already reserved by taskgroup network:{other}")),
                None => {
                    statics.insert(key, label.clone());
                }
            }
        }
    }
    problems.nest("Task group network validation failed", inner);
}

fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(|label| (1..=63).contains(&label.len()))
}

/// Whether a port label may be used; a hyphen becomes an underscore in environment variables.
fn label_is_valid(label: &str) -> bool {
    (1..=128).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn validate_task(problems: &mut JobProblems, group: &api::TaskGroup, task: &api::Task, disk_mb: i64, progress_ns: i64) {
    problems.at("Name").check(task.name.is_empty(), || "Missing task name".to_owned());
    problems.at("Name").check(task.name.contains(['/', '\\']), || "Task name cannot include slashes".to_owned());
    problems.at("Name").check(task.name.contains('\0'), || "Task name cannot include null characters".to_owned());
    problems.at("Name").check(matches!(task.name.as_str(), "alloc" | "." | ".."), || format!("Task cannot be named {:?}", task.name));
    problems.at("Driver").check(task.driver.is_empty(), || "Missing task driver".to_owned());
    let kill_timeout = task.kill_timeout.unwrap_or(0);
    problems.at("KillTimeout").check(kill_timeout < 0, || "KillTimeout must be a positive value".to_owned());
    problems.at("KillTimeout").check(progress_ns > 0 && kill_timeout > progress_ns, || {
        format!("KillTimout ({}) longer than the group's ProgressDeadline ({})", go_duration(kill_timeout), go_duration(progress_ns))
    });
    problems.at("ShutdownDelay").check(task.shutdown_delay < 0, || "ShutdownDelay must be a positive value".to_owned());
    if let Some(resources) = &task.resources {
        tasks::resource_rules(problems, resources);
    }
    if let Some(log) = &task.log_config {
        tasks::log_rules(problems, log, disk_mb);
    }
    constraints(problems, task.constraints.as_deref(), true);
    if let Some(lifecycle) = &task.lifecycle {
        problems.at("Lifecycle.Hook").check(!matches!(lifecycle.hook.as_str(), "prestart" | "poststart" | "poststop"), || {
            if lifecycle.hook.is_empty() {
                "Lifecycle validation failed: no lifecycle hook provided".to_owned()
            } else {
                format!("Lifecycle validation failed: invalid hook: {}", lifecycle.hook)
            }
        });
    }
    // What the group's policy breaks was said there.
    if let Some(restart) = task.restart_policy.as_ref().filter(|own| group.restart_policy.as_ref() != Some(own)) {
        problems.within("RestartPolicy", |inner| restart_policy(inner, restart));
    }
    task_services(problems, group, task);
    tasks::template_list(problems, task);
    tasks::artifact_list(problems, task);
    tasks::identity_list(problems, task);
    tasks::vault_rules(problems, task);
    tasks::secret_list(problems, task);
    tasks::mount_list(problems, group, task);
    tasks::plugin_rules(problems, task);
    tasks::action_list(problems, task);
    if let Some(payload) = &task.dispatch_payload {
        problems.at("DispatchPayload.File").check(escapes(&format!("local/{}", payload.file)), || {
            "Dispatch Payload validation failed: destination escapes allocation directory".to_owned()
        });
    }
}

/// Whether a relative path leaves the directory it starts from.
pub(super) fn escapes(path: &str) -> bool {
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
