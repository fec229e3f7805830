//! Whether a new version of a group needs its tasks restarted (REC-046, REC-047).

use std::collections::BTreeMap;

use drover_model::{Job, NetworkResource, Service, Task, TaskGroup};
use drover_state::Alloc;

/// What a new version means for allocations of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They go on running, if their node still qualifies (REC-049).
    InPlace,
    /// They go on running, wherever they are (REC-050).
    Unchecked,
    /// They are replaced.
    Destructive,
}

/// The verdicts on earlier versions of a group, each worked out once.
pub struct Verdicts<'a> {
    job: &'a Job,
    group: &'a TaskGroup,
    known: BTreeMap<(u64, u64), Change>,
}

impl<'a> Verdicts<'a> {
    /// None yet, against this version.
    pub fn new(job: &'a Job, group: &'a TaskGroup) -> Self {
        Self { job, group, known: BTreeMap::new() }
    }

    /// The verdict on an allocation's version.
    pub fn of(&mut self, alloc: &Alloc) -> Change {
        let (job, group) = (self.job, self.group);
        *self.known.entry((alloc.job.create_index, alloc.job.version)).or_insert_with(|| {
            let old = alloc.task_group();
            if destructive(&alloc.job, old, job, group) {
                Change::Destructive
            } else if only_run_duration(&alloc.job, old, job, group) {
                Change::Unchecked
            } else {
                Change::InPlace
            }
        })
    }
}

fn only_run_duration(old_job: &Job, old: &TaskGroup, new_job: &Job, new: &TaskGroup) -> bool {
    let same_nodes = (&old_job.datacenters, &old_job.node_pool, &old_job.constraints, old_job.priority)
        == (&new_job.datacenters, &new_job.node_pool, &new_job.constraints, new_job.priority);
    old.max_run_duration != new.max_run_duration
        && same_nodes
        && TaskGroup { max_run_duration: new.max_run_duration, ..old.clone() } == *new
}

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
