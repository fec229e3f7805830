//! Constraints that a job does not write down because they follow from what it uses.

use drover_api as api;

/// Adds to each group what its services, signals and network ask of nodes. A constraint that is there is not added again.
pub fn imply_constraints(job: &mut api::Job) {
    for group in job.task_groups.iter_mut().flatten() {
        let mut wanted: Vec<(String, &str, String)> = Vec::new();
        let signals = signals(group);
        if !signals.is_empty() {
            wanted.push(("${attr.os.signals}".to_owned(), "set_contains", signals.join(",")));
        }
        let tasks = || group.tasks.iter().flatten();
        let group_services = || group.services.iter().flatten();
        let provided_by = |provider: &str| {
            group_services().chain(tasks().flat_map(|task| task.services.iter().flatten())).any(|service| service.provider == provider)
        };
        if provided_by("nomad") {
            wanted.push(("${attr.nomad.service_discovery}".to_owned(), "=", "true".to_owned()));
            if group_services()
                .chain(tasks().flat_map(|task| task.services.iter().flatten()))
                .any(|service| service.provider == "nomad" && service.checks.as_ref().is_some_and(|checks| !checks.is_empty()))
            {
                wanted.push(("${attr.nomad.version}".to_owned(), "semver", ">= 1.4.0".to_owned()));
            }
        }
        if group_services().any(|service| service.provider == "consul") {
            wanted.push(("${attr.consul.version}".to_owned(), "semver", ">= 1.8.0".to_owned()));
        }
        let identities = tasks().any(|task| {
            task.identities.as_ref().is_some_and(|identities| !identities.is_empty()) || task.vault.is_some() && task.identities.is_some()
        }) || group_services().any(|service| service.identity.is_some());
        if identities {
            wanted.push(("${attr.nomad.version}".to_owned(), "semver", ">= 1.7.0-a".to_owned()));
        }
        if group.networks.iter().flatten().any(|network| network.mode == "bridge") {
            for plugin in ["bridge", "firewall", "host-local", "loopback", "portmap"] {
                wanted.push((format!("${{attr.plugins.cni.version.{plugin}}}"), "semver", ">= 0.4.0".to_owned()));
            }
        }
        for (l_target, operand, r_target) in wanted {
            let constraints = group.constraints.get_or_insert_default();
            if !constraints.iter().any(|there| there.l_target == l_target && there.operand == operand && there.r_target == r_target) {
                constraints.push(api::Constraint { l_target, operand: operand.to_owned(), r_target });
            }
        }
    }
}

/// The signals that tasks of the group are sent, sorted, each once.
fn signals(group: &api::TaskGroup) -> Vec<String> {
    let mut signals: Vec<String> = Vec::new();
    for task in group.tasks.iter().flatten() {
        signals.extend((!task.kill_signal.is_empty()).then(|| task.kill_signal.clone()));
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
