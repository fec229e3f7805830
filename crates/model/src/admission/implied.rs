//! Constraints that a job does not write down because they follow from what it uses.

use drover_api as api;

type Wanted = (String, &'static str, String);

fn wanted(l_target: &str, operand: &'static str, r_target: &str) -> Wanted {
    (l_target.to_owned(), operand, r_target.to_owned())
}

/// Adds to each group what its services, secrets, signals and network ask of nodes. A constraint that is there is not
/// added again.
pub fn imply_constraints(job: &mut api::Job) {
    let mut providers: Vec<String> = Vec::new();
    for secret in tasks(job).flat_map(|task| task.secrets.iter().flatten()) {
        if !providers.contains(&secret.provider) {
            providers.push(secret.provider.clone());
        }
    }
    for group in job.task_groups.iter_mut().flatten() {
        let list = group_constraints(group, &providers);
        add(&mut group.constraints, list);
        for task in group.tasks.iter_mut().flatten() {
            let mut list = Vec::new();
            list.extend(task.consul.as_ref().and_then(partition));
            if task.services.iter().flatten().any(|service| service.provider == "consul") {
                list.push(wanted("${attr.consul.version}", "semver", ">= 1.8.0"));
            }
            add(&mut task.constraints, list);
        }
    }
}

fn tasks(job: &api::Job) -> impl Iterator<Item = &api::Task> {
    job.task_groups.iter().flatten().flat_map(|group| group.tasks.iter().flatten())
}

fn partition(consul: &api::Consul) -> Option<Wanted> {
    (!consul.partition.is_empty()).then(|| wanted("${attr.consul.partition}", "=", &consul.partition))
}

fn group_constraints(group: &api::TaskGroup, providers: &[String]) -> Vec<Wanted> {
    let tasks = || group.tasks.iter().flatten();
    let group_services = || group.services.iter().flatten();
    let services = || group_services().chain(tasks().flat_map(|task| task.services.iter().flatten()));
    let mut list: Vec<Wanted> = Vec::new();
    if tasks().any(|task| task.vault.is_some()) {
        list.push(wanted("${attr.vault.version}", "semver", ">= 0.6.1"));
    }
    for provider in providers {
        list.push((format!("${{attr.plugins.secrets.{provider}.version}}"), "is_set", String::new()));
    }
    list.extend(group.consul.as_ref().and_then(partition));
    let signals = signals(group);
    if !signals.is_empty() {
        list.push(wanted("${attr.os.signals}", "set_contains", &signals.join(",")));
    }
    if services().any(|service| service.provider == "nomad") {
        list.push(wanted("${attr.nomad.service_discovery}", "=", "true"));
        if services().any(|service| service.provider == "nomad" && service.checks.as_ref().is_some_and(|checks| !checks.is_empty())) {
            list.push(wanted("${attr.nomad.version}", "semver", ">= 1.4.0"));
        }
    }
    if group_services().any(|service| service.provider == "consul") {
        list.push(wanted("${attr.consul.version}", "semver", ">= 1.8.0"));
    }
    if group.networks.iter().flatten().any(|network| network.mode == "bridge") {
        for plugin in ["bridge", "firewall", "host-local", "loopback", "portmap"] {
            list.push((format!("${{attr.plugins.cni.version.{plugin}}}"), "semver", ">= 0.4.0".to_owned()));
        }
    }
    let transparent = |service: &api::Service| {
        let sidecar = service.connect.as_ref().and_then(|connect| connect.sidecar_service.as_ref());
        sidecar.and_then(|sidecar| sidecar.proxy.as_ref()).is_some_and(|proxy| proxy.transparent_proxy.is_some())
    };
    if group_services().any(transparent) {
        list.push(wanted("${attr.plugins.cni.version.consul-cni}", "semver", ">= 1.4.2"));
        list.push(wanted("${attr.nomad.version}", "semver", ">= 1.8.0-dev"));
    }
    let identities = tasks().any(|task| task.identities.as_ref().is_some_and(|identities| !identities.is_empty()))
        || services().any(|service| service.identity.is_some());
    if identities {
        list.push(wanted("${attr.nomad.version}", "semver", ">= 1.7.0-a"));
    }
    list
}

fn add(constraints: &mut Option<Vec<api::Constraint>>, list: Vec<Wanted>) {
    for (l_target, operand, r_target) in list {
        let constraints = constraints.get_or_insert_default();
        if !constraints.iter().any(|there| there.l_target == l_target && there.operand == operand && there.r_target == r_target) {
            constraints.push(api::Constraint { l_target, operand: operand.to_owned(), r_target });
        }
    }
}

/// The signals that tasks of the group are sent, sorted, each once.
fn signals(group: &api::TaskGroup) -> Vec<String> {
    let mut signals: Vec<String> = Vec::new();
    for task in group.tasks.iter().flatten() {
        signals.extend((!task.kill_signal.is_empty()).then(|| task.kill_signal.clone()));
        if let Some(vault) = &task.vault
            && vault.change_mode.as_deref() == Some("signal")
        {
            signals.extend(vault.change_signal.clone());
        }
        for template in task.templates.iter().flatten() {
            if template.change_mode.as_deref() == Some("signal") {
                signals.extend(template.change_signal.clone());
            }
        }
    }
    signals.sort();
    signals.dedup();
    signals
}
