//! Things that are accepted and probably not meant.

use drover_api as api;

use super::validate::{JobProblems, text};

/// Whether the scheduler gives tasks more memory than they reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversubscription {
    /// `memory_max` counts.
    On,
    /// `memory_max` is ignored.
    Off,
}

/// All warnings about an admitted job.
pub fn warnings(job: &api::Job, oversubscription: Oversubscription) -> Vec<String> {
    let mut warnings = Vec::new();
    if job.periodic.as_ref().is_some_and(|periodic| !text(&periodic.spec).is_empty()) {
        warnings.push("cron is deprecated and may be removed in a future release. Use crons instead".to_owned());
    }
    let groups = job.task_groups.as_deref().unwrap_or_default();
    let promotes: Vec<bool> =
        groups.iter().filter_map(|group| group.update.as_ref()).map(|update| update.auto_promote == Some(true)).collect();
    if promotes.contains(&true) && (promotes.contains(&false) || promotes.len() < groups.len()) {
        warnings.push("auto_promote must be true for all groups to enable automatic promotion".to_owned());
    }
    for group in groups {
        let mut inner = JobProblems::default();
        group_warnings(&mut inner, group);
        if !inner.is_empty() {
            warnings.push(format!("Group {:?} has warnings: {}", text(&group.name), inner.to_string().trim_end_matches('\n')));
        }
    }
    if oversubscription == Oversubscription::Off {
        for group in groups {
            for task in group.tasks.iter().flatten() {
                if task.resources.as_ref().and_then(|asked| asked.memory_max_mb).is_some_and(|most| most != 0) {
                    warnings.push(format!(
                        "Memory oversubscription is not enabled; Task \"{}.{}\" memory_max value will be ignored. Update the Scheduler Configuration to allow oversubscription.",
                        text(&group.name),
                        task.name
                    ));
                }
            }
        }
    }
    for group in groups {
        shutdown_delays(&mut warnings, group);
    }
    warnings
}

/// Services vanish from the catalogue at the moment when their task is told to stop, unless there is a delay.
fn shutdown_delays(warnings: &mut Vec<String>, group: &api::TaskGroup) {
    let name = text(&group.name);
    let own = group.services.as_deref().unwrap_or_default();
    let tasks = group.tasks.as_deref().unwrap_or_default();
    let delayed = group.shutdown_delay.is_some_and(|delay| delay > 0);
    for task in tasks {
        let has_services = task.services.as_ref().is_some_and(|services| !services.is_empty());
        if has_services && task.shutdown_delay == 0 {
            warnings.push(format!("task {:?} in group {name:?} defines services, but has no shutdown_delay set", task.name));
        }
    }
    if delayed {
        return;
    }
    for service in own {
        if let Some(task) = tasks.iter().find(|task| task.name == service.task_name)
            && task.shutdown_delay == 0
        {
            warnings.push(format!(
                "group {name:?} references task {:?} in a service definition, but the task has no shutdown_delay set",
                task.name
            ));
        }
    }
    // A proxy has a delay of its own.
    let proxied = |service: &api::Service| service.connect.as_ref().is_some_and(|connect| !connect.native);
    if own.iter().any(|service| service.task_name.is_empty() && !proxied(service)) && tasks.iter().all(|task| task.shutdown_delay == 0) {
        warnings.push(format!("group {name:?} defines services, but neither the group nor any of its tasks have shutdown_delay set"));
    }
}

fn group_warnings(inner: &mut JobProblems, group: &api::TaskGroup) {
    if let Some(update) = &group.update {
        let (count, max_parallel) = (group.count.unwrap_or(1), update.max_parallel.unwrap_or(0));
        if max_parallel > count && count > 1 {
            inner.add(format!(
                "Update max parallel count is greater than task group count ({max_parallel} > {count}). A destructive change would result in the simultaneous replacement of all allocations."
            ));
        }
    }
    for network in group.networks.iter().flatten() {
        if network.m_bits.is_some_and(|bits| bits > 0) {
            inner.add("mbits has been deprecated as of Nomad 0.12.0. Please remove mbits from the network block");
        }
    }
    for service in group.services.iter().flatten() {
        if let Some(identity) = &service.identity {
            for warning in identity_warnings(identity) {
                inner.add(format!("Service {:?}: {warning}", service.name));
            }
        }
    }
    for task in group.tasks.iter().flatten() {
        let mut own = JobProblems::default();
        task_warnings(&mut own, task);
        if !own.is_empty() {
            inner.add(format!("Task {:?} has warnings: {own}", task.name));
        }
    }
}

fn task_warnings(inner: &mut JobProblems, task: &api::Task) {
    if let Some(asked) = &task.resources {
        if asked.iops.is_some_and(|operations| operations > 0) {
            inner.add("IOPS has been deprecated as of Nomad 0.9.0. Please remove IOPS from resource block.");
        }
        if asked.networks.as_ref().is_some_and(|networks| !networks.is_empty()) {
            inner.add(
                "task network resources have been deprecated as of Nomad 0.12.0. Please configure networking via group network block.",
            );
        }
    }
    for (position, template) in task.templates.iter().flatten().enumerate() {
        if template.vault_grace.is_some_and(|grace| grace > 0) {
            inner.add(format!(
                "Template[{position}] VaultGrace has been deprecated as of Nomad 0.11 and ignored since Vault 0.5. Please remove VaultGrace / vault_grace from template block."
            ));
        }
    }
    for identity in task.identities.iter().flatten() {
        let list = identity_warnings(identity).into_iter().map(|warning| format!("Identity[{}] {warning}", identity.name)).collect();
        let own = JobProblems { texts: list, found: Vec::new() };
        if !own.is_empty() {
            inner.add(own.to_string());
        }
    }
}

fn identity_warnings(identity: &api::WorkloadIdentity) -> Vec<&'static str> {
    let mut out = Vec::new();
    match identity.audience.as_ref().map_or(0, Vec::len) {
        0 => out.push("identities without an audience are insecure"),
        1 => {}
        _ => out.push("while multiple audiences is allowed, it is more secure to use 1 audience per identity"),
    }
    if identity.env && identity.change_mode != "restart" {
        out.push("using env=true without change_mode=\"restart\" may result in task not getting updated identity");
    }
    if identity.ttl == 0 {
        out.push("identities without an expiration are insecure");
    }
    out
}
