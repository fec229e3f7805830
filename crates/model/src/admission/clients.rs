//! The defaults that clients fill in before they send a job: what only servers decide stays as it was written.

use drover_api as api;

use super::Surroundings;
use super::canonical::{SECOND, canonicalize, merge_update};

/// Fills in what clients fill in.
///
/// # Compatibility
///
/// `Canonicalize` of `/v1/jobs/parse`.
pub fn canonicalize_as_clients(job: &mut api::Job, surroundings: &Surroundings<'_>) {
    let written = job.clone();
    canonicalize(job, surroundings);
    job.datacenters = written.datacenters;
    job.node_pool = Some(written.node_pool.unwrap_or_default());
    job.dispatch_idempotency_token = written.dispatch_idempotency_token;
    let updates = matches!(job.r#type.as_deref(), Some("service" | "system"));
    job.update = (updates || written.update.is_some()).then(|| merge_update(written.update.as_ref(), None));
    (job.meta, job.reschedule, job.migrate) = (written.meta, written.reschedule, written.migrate);
    if let (Some(parameterized), Some(written)) = (&mut job.parameterized_job, &written.parameterized_job) {
        parameterized.payload.clone_from(&written.payload);
    }
    for text in [&mut job.status, &mut job.status_description] {
        text.get_or_insert_default();
    }
    for index in [&mut job.version, &mut job.create_index, &mut job.modify_index, &mut job.job_modify_index] {
        index.get_or_insert_default();
    }
    job.stable.get_or_insert_default();
    for region in job.multiregion.iter_mut().flat_map(|multiregion| multiregion.regions.iter_mut().flatten()) {
        region.count.get_or_insert(1);
        region.meta.get_or_insert_default();
        region.datacenters.get_or_insert_default();
    }
    let groups = job.task_groups.iter_mut().flatten().zip(written.task_groups.iter().flatten());
    for (group, written) in groups {
        self::group(group, written);
    }
}

fn group(group: &mut api::TaskGroup, written: &api::TaskGroup) {
    group.prevent_reschedule_on_lost = written.prevent_reschedule_on_lost;
    group.stop_after_client_disconnect = written.stop_after_client_disconnect;
    group.max_client_disconnect = written.max_client_disconnect;
    group.meta.clone_from(&written.meta);
    if let (Some(disconnect), Some(written)) = (&mut group.disconnect, &written.disconnect) {
        disconnect.lost_after = written.lost_after;
    }
    if let (Some(scaling), Some(written)) = (&mut group.scaling, &written.scaling) {
        scaling.target.clone_from(&written.target);
    }
    networks(&mut group.networks, &written.networks);
    services(&mut group.services, &written.services);
    for (task, written) in group.tasks.iter_mut().flatten().zip(written.tasks.iter().flatten()) {
        self::task(task, written);
    }
}

fn task(task: &mut api::Task, written: &api::Task) {
    task.identity.clone_from(&written.identity);
    task.identities.clone_from(&written.identities);
    task.env.clone_from(&written.env);
    task.config.clone_from(&written.config);
    task.meta.clone_from(&written.meta);
    services(&mut task.services, &written.services);
    let asked = written.resources.clone().unwrap_or_default();
    if let Some(resources) = &mut task.resources {
        resources.disk_mb = asked.disk_mb;
        resources.iops = asked.iops;
        resources.memory_max_mb = asked.memory_max_mb;
        resources.secrets_mb = asked.secrets_mb;
        networks(&mut resources.networks, &asked.networks);
    }
    if let (Some(vault), Some(written)) = (&mut task.vault, &written.vault) {
        vault.policies.clone_from(&written.policies);
        if written.change_signal.as_ref().is_some_and(|signal| !signal.is_empty()) {
            vault.change_signal.clone_from(&written.change_signal);
        }
    }
    if let (Some(logs), Some(written)) = (&mut task.log_config, &written.log_config) {
        logs.enabled = written.enabled;
    }
    for (policy, written) in task.scaling_policies.iter_mut().flatten().zip(written.scaling_policies.iter().flatten()) {
        policy.enabled = written.enabled;
        policy.min = written.min;
        policy.target.clone_from(&written.target);
    }
}

/// Ports get their host network at the server, and old fields are dropped there.
fn networks(networks: &mut Option<Vec<api::NetworkResource>>, written: &Option<Vec<api::NetworkResource>>) {
    for (network, written) in networks.iter_mut().flatten().zip(written.iter().flatten()) {
        network.device.clone_from(&written.device);
        let ports = [(&mut network.dynamic_ports, &written.dynamic_ports), (&mut network.reserved_ports, &written.reserved_ports)];
        for (ports, written) in ports {
            for (port, written) in ports.iter_mut().flatten().zip(written.iter().flatten()) {
                port.host_network.clone_from(&written.host_network);
            }
        }
    }
}

fn services(services: &mut Option<Vec<api::Service>>, written: &Option<Vec<api::Service>>) {
    for (service, written) in services.iter_mut().flatten().zip(written.iter().flatten()) {
        service.namespace.clone_from(&written.namespace);
        service.task_name.clone_from(&written.task_name);
        service.tags.clone_from(&written.tags);
        service.canary_tags.clone_from(&written.canary_tags);
        service.check_restart.clone_from(&written.check_restart);
        service.identity.clone_from(&written.identity);
        for (check, written) in service.checks.iter_mut().flatten().zip(written.checks.iter().flatten()) {
            check.name.clone_from(&written.name);
            check.task_name.clone_from(&written.task_name);
        }
        let Some(connect) = &mut service.connect else { continue };
        if let Some(task) = &mut connect.sidecar_task {
            task.kill_timeout.get_or_insert(5 * SECOND);
            task.shutdown_delay.get_or_insert(0);
            if let Some(resources) = &mut task.resources {
                resources.cores.get_or_insert(0);
                let affinities = resources.devices.iter_mut().flatten().flat_map(|device| device.affinities.iter_mut().flatten());
                affinities.for_each(|affinity| _ = affinity.weight.get_or_insert(50));
            }
            let logs = task.log_config.get_or_insert_default();
            logs.max_files.get_or_insert(10);
            logs.max_file_size_mb.get_or_insert(10);
            logs.disabled.get_or_insert(false);
        }
        let listeners = connect
            .gateway
            .iter_mut()
            .filter_map(|gateway| gateway.ingress.as_mut())
            .flat_map(|ingress| ingress.listeners.iter_mut().flatten());
        for listener in listeners.filter(|listener| listener.protocol.is_empty()) {
            "tcp".clone_into(&mut listener.protocol);
        }
        if let Some(proxy) = connect.gateway.as_mut().and_then(|gateway| gateway.proxy.as_mut()) {
            proxy.connect_timeout.get_or_insert(5 * SECOND);
        }
    }
}
