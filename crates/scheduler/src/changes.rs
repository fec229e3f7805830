//! Whether a new version of a group needs its tasks restarted (REC-046, REC-047).

use std::collections::BTreeMap;

use drover_model::{Job, NetworkResource, Service, Task, TaskGroup};

/// Whether allocations of `old` must be replaced to become `new`; otherwise they are updated in place.
pub fn destructive(old_job: &Job, old: &TaskGroup, new_job: &Job, new: &TaskGroup) -> bool {
    old.tasks.len() != new.tasks.len()
        || old.ephemeral_disk != new.ephemeral_disk
        || old.volumes != new.volumes
        || old.consul != new.consul
        || networks_differ(&old.networks, &new.networks)
        || connect_differs(&old.services, &new.services)
        || new.tasks.iter().any(|task| {
            old.task(&task.name)
                .is_none_or(|before| task_differs(before, task) || merged_meta(old_job, old, before) != merged_meta(new_job, new, task))
        })
}

fn merged_meta<'a>(job: &'a Job, group: &'a TaskGroup, task: &'a Task) -> BTreeMap<&'a String, &'a String> {
    job.meta.iter().chain(&group.meta).chain(&task.meta).collect()
}

fn networks_differ(old: &[NetworkResource], new: &[NetworkResource]) -> bool {
    let key = |network: &NetworkResource| {
        let ports = |ports: &[drover_model::Port]| ports.to_vec();
        (
            network.mode.clone(),
            network.hostname.clone(),
            network.dns.clone(),
            network.cni.clone(),
            ports(&network.reserved_ports),
            ports(&network.dynamic_ports),
        )
    };
    old.len() != new.len() || old.iter().zip(new).any(|(old, new)| key(old) != key(new))
}

/// Services change in place, but for those that bring a proxy along.
fn connect_differs(old: &[Service], new: &[Service]) -> bool {
    let proxies = |services: &[Service]| -> Vec<_> {
        services
            .iter()
            .filter(|service| service.connect.is_some())
            .map(|service| (service.name.clone(), service.connect.clone(), service.port_label.clone()))
            .collect()
    };
    proxies(old) != proxies(new)
}

fn task_differs(old: &Task, new: &Task) -> bool {
    let resources = |task: &Task| {
        let asked = &task.resources;
        (asked.cpu, asked.cores, asked.memory_mb, asked.memory_max_mb, asked.secrets_mb, asked.devices.clone(), asked.numa.clone())
    };
    old.driver != new.driver
        || old.user != new.user
        || old.config != new.config
        || old.env != new.env
        || old.artifacts != new.artifacts
        || old.templates != new.templates
        || old.vault != new.vault
        || old.consul != new.consul
        || old.secrets != new.secrets
        || old.identity != new.identity
        || old.identities != new.identities
        || old.volume_mounts != new.volume_mounts
        || old.csi_plugin_config != new.csi_plugin_config
        || old.dispatch_payload != new.dispatch_payload
        || old.schedule != new.schedule
        || old.log_config.disabled != new.log_config.disabled
        || resources(old) != resources(new)
        || networks_differ(&old.resources.networks, &new.resources.networks)
        || connect_differs(&old.services, &new.services)
}
