//! Defaults of a job, by job type, and the merging of job-wide policies into groups and of group policies into tasks.

use std::collections::BTreeMap;

use drover_api as api;

use super::identities::{Peers, service_identity_name};

/// What a job takes from where it is registered.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The agent's region.
    pub region: &'a str,
    /// The namespace of the request.
    pub namespace: &'a str,
}

pub(super) const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Fills in every default, so that replies have no absent field where the contract allows none.
pub fn canonicalize(job: &mut api::Job, surroundings: &Surroundings<'_>) {
    let region = job.region.take().unwrap_or_default();
    job.region = Some(if region.is_empty() || region == "global" { surroundings.region.to_owned() } else { region });
    default_text(&mut job.namespace, surroundings.namespace);
    job.id.get_or_insert_default();
    let id = job.id.clone().unwrap_or_default();
    default_text(&mut job.name, &id);
    default_text(&mut job.r#type, "service");
    if job.priority.unwrap_or(0) == 0 {
        job.priority = Some(50);
    }
    job.all_at_once.get_or_insert(false);
    if job.datacenters.as_ref().is_none_or(Vec::is_empty) {
        job.datacenters = Some(vec!["*".to_owned()]);
    }
    default_text(&mut job.node_pool, "default");
    for text in [
        &mut job.parent_id,
        &mut job.dispatch_idempotency_token,
        &mut job.consul_namespace,
        &mut job.vault_namespace,
        &mut job.nomad_token_id,
    ] {
        text.get_or_insert_default();
    }
    job.stop.get_or_insert(false);
    drop_empty_map(&mut job.meta);
    affinities(&mut job.affinities);
    spreads(&mut job.spreads);
    if let Some(periodic) = &mut job.periodic {
        periodic.enabled.get_or_insert(true);
        periodic.spec.get_or_insert_default();
        periodic.specs.get_or_insert_default();
        default_text(&mut periodic.spec_type, "cron");
        periodic.prohibit_overlap.get_or_insert(false);
        default_text(&mut periodic.time_zone, "UTC");
    }
    if let Some(parameterized) = &mut job.parameterized_job
        && parameterized.payload.is_empty()
    {
        parameterized.payload = "optional".to_owned();
    }

    let kind = job.r#type.clone().unwrap_or_default();
    let updates = matches!(kind.as_str(), "service" | "system");
    let (job_update, job_reschedule, job_migrate) = (job.update.clone(), job.reschedule.take(), job.migrate.take());
    job.update = Some(stored_job_update(job_update.as_ref(), updates));
    let (namespace, job_id) = (job.namespace.clone().unwrap_or_default(), id);
    for group in job.task_groups.iter_mut().flatten() {
        let job = JobWide { kind: &kind, namespace: &namespace, id: &job_id };
        if updates {
            group.update = Some(merge_update(job_update.as_ref(), group.update.as_ref()));
        } else if job_update.as_ref().is_some_and(says_something) {
            // Not allowed there; kept so that it is said.
            group.update = Some(merge_update(job_update.as_ref(), group.update.as_ref()));
        }
        let asked = group.reschedule_policy.take().or_else(|| job_reschedule.clone().filter(|_| !matches!(job.kind, "service" | "batch")));
        group.reschedule_policy = reschedule(job.kind, job_reschedule.as_ref(), asked.as_ref()).or(asked);
        if kind == "service" || job_migrate.is_some() {
            group.migrate = Some(migrate(job_migrate.as_ref(), group.migrate.as_ref()));
        }
        task_group(group, &job);
    }
}

/// Brings a canonical job into the form that is stored: without what is not kept, with the tasks and ports that its
/// services bring along, and with the constraints that follow from all of it.
pub fn complete(job: &mut api::Job) {
    complete_with(job, &Peers::default());
}

/// The same where agents speak to Vault or Consul.
pub fn complete_with(job: &mut api::Job, peers: &Peers) {
    let (kind, namespace) = (job.r#type.clone().unwrap_or_default(), job.namespace.clone().unwrap_or_default());
    let id = job.id.clone().unwrap_or_default();
    let wide = JobWide { kind: &kind, namespace: &namespace, id: &id };
    for group in job.task_groups.iter_mut().flatten() {
        let known =
            |volume: &Option<api::VolumeRequest>| volume.as_ref().is_some_and(|volume| matches!(volume.r#type.as_str(), "host" | "csi"));
        if let Some(volumes) = &mut group.volumes {
            volumes.retain(|_, volume| known(volume));
        }
        for service in
            group.services.iter_mut().flatten().chain(group.tasks.iter_mut().flatten().flat_map(|task| task.services.iter_mut().flatten()))
        {
            for check in service.checks.iter_mut().flatten() {
                check.advertise.clear();
            }
            if let Some(sidecar) = service.connect.as_mut().and_then(|connect| connect.sidecar_task.as_mut()) {
                canonical_sidecar(sidecar);
            }
        }
        for task in group.tasks.iter_mut().flatten() {
            if let Some(mounts) = &mut task.volume_mounts {
                mounts.retain(|mount| mount.volume.as_ref().is_some_and(|volume| !volume.is_empty()));
            }
        }
        super::connect::expand(group);
        // The identity that every task has went to the proxy's task.
        for service in group.services.iter_mut().flatten() {
            let sidecar = service.connect.as_mut().and_then(|connect| connect.sidecar_task.as_mut());
            if let Some(identities) = sidecar.and_then(|sidecar| sidecar.identities.as_mut()) {
                identities.retain(|identity| !is_default(identity));
            }
        }
        let name = group.name.clone().unwrap_or_default();
        let restart = group.restart_policy.clone();
        for task in group.tasks.iter_mut().flatten() {
            canonical_task(task, &wide, &name, restart.as_ref());
        }
        super::identities::imply_identities(group, peers);
    }
    super::imply_constraints(job);
}

fn canonical_sidecar(sidecar: &mut api::SidecarTask) {
    sidecar.kill_timeout.get_or_insert(5 * SECOND);
    canonical_log(sidecar.log_config.get_or_insert_default());
    canonical_resources(sidecar.resources.get_or_insert_default());
    sidecar.shutdown_delay.get_or_insert(0);
    for mount in sidecar.volume_mounts.iter_mut().flatten() {
        canonical_mount(mount);
    }
}

fn canonical_log(log: &mut api::LogConfig) {
    log.max_files.get_or_insert(10);
    log.max_file_size_mb.get_or_insert(10);
    log.disabled.get_or_insert(false);
    log.enabled = None;
}

fn canonical_mount(mount: &mut api::VolumeMount) {
    mount.read_only.get_or_insert(false);
    default_text(&mut mount.propagation_mode, "private");
    mount.se_linux_label.get_or_insert_default();
}

struct JobWide<'a> {
    kind: &'a str,
    namespace: &'a str,
    id: &'a str,
}

fn default_text(text: &mut Option<String>, default: &str) {
    if text.as_ref().is_none_or(String::is_empty) {
        *text = Some(default.to_owned());
    }
}

fn drop_empty_map(map: &mut Option<BTreeMap<String, String>>) {
    if map.as_ref().is_some_and(BTreeMap::is_empty) {
        *map = None;
    }
}

fn affinities(affinities: &mut Option<Vec<api::Affinity>>) {
    for affinity in affinities.iter_mut().flatten() {
        affinity.weight.get_or_insert(50);
    }
}

fn spreads(spreads: &mut Option<Vec<api::Spread>>) {
    for spread in spreads.iter_mut().flatten() {
        spread.weight.get_or_insert(50);
    }
}

/// Whether a job-wide update was written by somebody: the one of a stored job has nothing in it for jobs that end.
fn says_something(update: &api::UpdateStrategy) -> bool {
    let numbers =
        [update.stagger, update.max_parallel, update.min_healthy_time, update.healthy_deadline, update.progress_deadline, update.canary];
    numbers.iter().any(|number| number.is_some_and(|number| number != 0))
        || update.health_check.as_ref().is_some_and(|text| !text.is_empty())
        || update.auto_revert == Some(true)
        || update.auto_promote == Some(true)
}

/// What a reply shows as the job-wide update: only the step, whatever was asked for; the groups have the rest.
fn stored_job_update(asked: Option<&api::UpdateStrategy>, updates: bool) -> api::UpdateStrategy {
    let asked = asked.cloned().unwrap_or_default();
    let rolling = updates && asked.max_parallel.unwrap_or(1) > 0;
    api::UpdateStrategy {
        stagger: Some(if rolling { asked.stagger.unwrap_or(30 * SECOND) } else { 0 }),
        max_parallel: Some(if updates { asked.max_parallel.unwrap_or(1) } else { 0 }),
        health_check: Some(String::new()),
        min_healthy_time: Some(0),
        healthy_deadline: Some(0),
        progress_deadline: Some(0),
        canary: Some(0),
        auto_revert: Some(false),
        auto_promote: Some(false),
    }
}

pub(super) fn merge_update(job: Option<&api::UpdateStrategy>, group: Option<&api::UpdateStrategy>) -> api::UpdateStrategy {
    let empty = api::UpdateStrategy::default();
    let (job, group) = (job.unwrap_or(&empty), group.unwrap_or(&empty));
    let text = |group: &Option<String>, job: &Option<String>, default: &str| {
        let chosen = group.clone().or_else(|| job.clone()).filter(|text| !text.is_empty());
        Some(chosen.unwrap_or_else(|| default.to_owned()))
    };
    api::UpdateStrategy {
        stagger: group.stagger.or(job.stagger).or(Some(30 * SECOND)),
        max_parallel: group.max_parallel.or(job.max_parallel).or(Some(1)),
        health_check: text(&group.health_check, &job.health_check, "checks"),
        min_healthy_time: group.min_healthy_time.or(job.min_healthy_time).or(Some(10 * SECOND)),
        healthy_deadline: group.healthy_deadline.or(job.healthy_deadline).or(Some(5 * MINUTE)),
        progress_deadline: group.progress_deadline.or(job.progress_deadline).or(Some(10 * MINUTE)),
        canary: group.canary.or(job.canary).or(Some(0)),
        auto_revert: group.auto_revert.or(job.auto_revert).or(Some(false)),
        auto_promote: group.auto_promote.or(job.auto_promote).or(Some(false)),
    }
}

fn migrate(job: Option<&api::MigrateStrategy>, group: Option<&api::MigrateStrategy>) -> api::MigrateStrategy {
    let empty = api::MigrateStrategy::default();
    let (job, group) = (job.unwrap_or(&empty), group.unwrap_or(&empty));
    let health_check = group.health_check.clone().or_else(|| job.health_check.clone()).filter(|text| !text.is_empty());
    api::MigrateStrategy {
        max_parallel: group.max_parallel.or(job.max_parallel).or(Some(1)),
        health_check: Some(health_check.unwrap_or_else(|| "checks".to_owned())),
        min_healthy_time: group.min_healthy_time.or(job.min_healthy_time).or(Some(10 * SECOND)),
        healthy_deadline: group.healthy_deadline.or(job.healthy_deadline).or(Some(5 * MINUTE)),
    }
}

fn reschedule(kind: &str, job: Option<&api::ReschedulePolicy>, group: Option<&api::ReschedulePolicy>) -> Option<api::ReschedulePolicy> {
    let default = match kind {
        "service" => (0, 0, 30 * SECOND, "exponential", HOUR, true),
        "batch" => (1, 24 * HOUR, 5 * SECOND, "constant", 0, false),
        _ => return None,
    };
    let empty = api::ReschedulePolicy::default();
    let (job, group) = (job.unwrap_or(&empty), group.unwrap_or(&empty));
    let (attempts, interval, delay, function, max_delay, unlimited) = default;
    let function_of = |policy: &api::ReschedulePolicy| policy.delay_function.clone().filter(|text| !text.is_empty());
    Some(api::ReschedulePolicy {
        attempts: group.attempts.or(job.attempts).or(Some(attempts)),
        interval: group.interval.or(job.interval).or(Some(interval)),
        delay: group.delay.or(job.delay).or(Some(delay)),
        delay_function: function_of(group).or_else(|| function_of(job)).or_else(|| Some(function.to_owned())),
        max_delay: group.max_delay.or(job.max_delay).or(Some(max_delay)),
        unlimited: group.unlimited.or(job.unlimited).or(Some(unlimited)),
    })
}

fn restart(kind: &str, group: Option<&api::RestartPolicy>, task: Option<&api::RestartPolicy>) -> api::RestartPolicy {
    let (attempts, interval) = if matches!(kind, "batch" | "sysbatch") { (3, 24 * HOUR) } else { (2, 30 * MINUTE) };
    let empty = api::RestartPolicy::default();
    let (group, task) = (group.unwrap_or(&empty), task.unwrap_or(&empty));
    let mode = task.mode.clone().or_else(|| group.mode.clone()).filter(|text| !text.is_empty());
    api::RestartPolicy {
        interval: task.interval.or(group.interval).or(Some(interval)),
        attempts: task.attempts.or(group.attempts).or(Some(attempts)),
        delay: task.delay.or(group.delay).or(Some(15 * SECOND)),
        mode: Some(mode.unwrap_or_else(|| "fail".to_owned())),
        render_templates: task.render_templates.or(group.render_templates).or(Some(false)),
    }
}

fn task_group(group: &mut api::TaskGroup, job: &JobWide<'_>) {
    let name = group.name.get_or_insert_default().clone();
    if let Some(scaling) = &mut group.scaling {
        scaling.enabled.get_or_insert(true);
        if scaling.min.is_none() {
            scaling.min = Some(group.count.unwrap_or(1));
        }
        if scaling.r#type.is_empty() {
            scaling.r#type = "horizontal".to_owned();
        }
        scaling.target = Some(scaling_target(job, &name, None));
    }
    if group.count.is_none() {
        group.count = Some(group.scaling.as_ref().and_then(|scaling| scaling.min).unwrap_or(1));
    }
    drop_empty_map(&mut group.meta);
    affinities(&mut group.affinities);
    spreads(&mut group.spreads);
    group.restart_policy = Some(restart(job.kind, group.restart_policy.as_ref(), None));
    let disk = group.ephemeral_disk.get_or_insert_default();
    disk.sticky.get_or_insert(false);
    disk.migrate.get_or_insert(false);
    disk.size_mb.get_or_insert(300);
    // Three attributes of old say nothing any more.
    group.stop_after_client_disconnect = None;
    group.max_client_disconnect = None;
    group.prevent_reschedule_on_lost = Some(false);
    if let Some(disconnect) = &mut group.disconnect {
        disconnect.replace.get_or_insert(true);
        disconnect.lost_after.get_or_insert(0);
        default_text(&mut disconnect.reconcile, "best_score");
    }
    if let Some(consul) = &mut group.consul
        && consul.cluster.is_empty()
    {
        consul.cluster = "default".to_owned();
    }
    networks(&mut group.networks);
    for service in group.services.iter_mut().flatten() {
        canonical_service(service, job, &name, None);
    }
    let group_restart = group.restart_policy.clone();
    for task in group.tasks.iter_mut().flatten() {
        canonical_task(task, job, &name, group_restart.as_ref());
    }
}

fn scaling_target(job: &JobWide<'_>, group: &str, task: Option<&str>) -> BTreeMap<String, String> {
    let mut target = BTreeMap::from([
        ("Namespace".to_owned(), job.namespace.to_owned()),
        ("Job".to_owned(), job.id.to_owned()),
        ("Group".to_owned(), group.to_owned()),
    ]);
    if let Some(task) = task {
        target.insert("Task".to_owned(), task.to_owned());
    }
    target
}

fn networks(networks: &mut Option<Vec<api::NetworkResource>>) {
    for network in networks.iter_mut().flatten() {
        network.device.clear();
        for port in network.reserved_ports.iter_mut().flatten().chain(network.dynamic_ports.iter_mut().flatten()) {
            if port.host_network.is_empty() {
                port.host_network = "default".to_owned();
            }
        }
    }
}

fn canonical_service(service: &mut api::Service, job: &JobWide<'_>, group: &str, task: Option<&str>) {
    let base = task.map_or_else(|| format!("{}-{group}", job.id), |task| format!("{}-{group}-{task}", job.id));
    if service.name.is_empty() {
        service.name.clone_from(&base);
    }
    for (variable, value) in [("${JOB}", job.id), ("${TASKGROUP}", group), ("${TASK}", task.unwrap_or("")), ("${BASE}", base.as_str())] {
        if service.name.contains(variable) {
            service.name = service.name.replace(variable, value);
        }
    }
    for (text, default) in [
        (&mut service.address_mode, "auto"),
        (&mut service.on_update, "require_healthy"),
        (&mut service.provider, "consul"),
        (&mut service.namespace, job.namespace),
    ] {
        if text.is_empty() {
            *text = default.to_owned();
        }
    }
    if service.cluster.is_empty() {
        service.cluster = "default".to_owned();
    }
    if let Some(task) = task
        && service.task_name.is_empty()
    {
        service.task_name = task.to_owned();
    }
    for list in [&mut service.tags, &mut service.canary_tags] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            *list = None;
        }
    }
    for map in [&mut service.meta, &mut service.canary_meta, &mut service.tagged_addresses] {
        drop_empty_map(map);
    }
    if let Some(weights) = &mut service.weights {
        weights.passing = if weights.passing == 0 { 1 } else { weights.passing };
        weights.warning = if weights.warning == 0 { 1 } else { weights.warning };
    }
    if service.provider == "consul" && service.identity.is_some() {
        let name = service_identity_name(service);
        if let Some(identity) = &mut service.identity {
            identity.name = name;
            identity.service_name.clone_from(&service.name);
        }
    }
    let shared_restart = service.check_restart.take();
    for check in service.checks.iter_mut().flatten() {
        if check.name.is_empty() {
            check.name = format!("service: \"{}\" check", service.name);
        }
        if check.on_update.is_empty() {
            check.on_update.clone_from(&service.on_update);
        }
        if check.task_name.is_empty() {
            check.task_name.clone_from(&service.task_name);
        }
        check.failures_before_critical = check.failures_before_critical.max(0);
        check.failures_before_warning = check.failures_before_warning.max(0);
        check.success_before_passing = check.success_before_passing.max(0);
        merge_check_restart(&mut check.check_restart, shared_restart.as_ref());
    }
}

fn merge_check_restart(own: &mut Option<api::CheckRestart>, shared: Option<&api::CheckRestart>) {
    match (own.as_mut(), shared) {
        (None, Some(shared)) => *own = Some(shared.clone()),
        (Some(own), Some(shared)) => {
            if own.limit == 0 {
                own.limit = shared.limit;
            }
            own.grace = own.grace.or(shared.grace);
            own.ignore_warnings |= shared.ignore_warnings;
        }
        _ => {}
    }
    if let Some(own) = own {
        own.grace.get_or_insert(SECOND);
    }
}

fn canonical_task(task: &mut api::Task, job: &JobWide<'_>, group: &str, group_restart: Option<&api::RestartPolicy>) {
    task.kill_timeout.get_or_insert(5 * SECOND);
    canonical_log(task.log_config.get_or_insert_default());
    canonical_resources(task.resources.get_or_insert_default());
    task.restart_policy = Some(restart(job.kind, group_restart, task.restart_policy.as_ref()));
    if task.config.as_ref().is_some_and(BTreeMap::is_empty) {
        task.config = None;
    }
    drop_empty_map(&mut task.env);
    drop_empty_map(&mut task.meta);
    affinities(&mut task.affinities);
    for template in task.templates.iter_mut().flatten() {
        canonical_template(template);
    }
    for service in task.services.iter_mut().flatten() {
        canonical_service(service, job, group, Some(&task.name));
    }
    for mount in task.volume_mounts.iter_mut().flatten() {
        canonical_mount(mount);
    }
    for artifact in task.artifacts.iter_mut().flatten() {
        artifact.getter_insecure.get_or_insert(false);
        default_text(&mut artifact.getter_mode, "any");
        let source = artifact.getter_source.as_deref().unwrap_or_default();
        let default = match artifact.getter_mode.as_deref() {
            Some("file") => format!("local/{}", source.rsplit('/').next().unwrap_or_default()),
            _ => "local/".to_owned(),
        };
        default_text(&mut artifact.relative_dest, &default);
    }
    for policy in task.scaling_policies.iter_mut().flatten() {
        policy.enabled.get_or_insert(true);
        policy.min.get_or_insert(0);
        policy.target = Some(scaling_target(job, group, Some(&task.name)));
    }
    if let Some(vault) = &mut task.vault {
        canonical_vault(vault);
    }
    if let Some(consul) = &mut task.consul
        && consul.cluster.is_empty()
    {
        consul.cluster = "default".to_owned();
    }
    if let Some(plugin) = &mut task.csi_plugin_config {
        for (text, default) in [(&mut plugin.mount_dir, "/csi"), (&mut plugin.stage_publish_base_dir, "/local/csi")] {
            if text.is_empty() {
                *text = default.to_owned();
            }
        }
        if plugin.health_timeout == 0 {
            plugin.health_timeout = 30 * SECOND;
        }
    }
    // The identity that every task has may stand among the others; the last one counts.
    if let Some(identities) = &mut task.identities {
        if let Some(position) = identities.iter().rposition(is_default) {
            task.identity = Some(identities.remove(position));
        }
        identities.retain(|identity| !is_default(identity));
    }
    let identity = task.identity.get_or_insert_default();
    identity.name = "default".to_owned();
    if identity.audience.as_ref().is_none_or(Vec::is_empty) {
        identity.audience = Some(vec!["nomadproject.io".to_owned()]);
    }
}

fn is_default(identity: &api::WorkloadIdentity) -> bool {
    identity.name.is_empty() || identity.name == "default"
}

fn canonical_vault(vault: &mut api::Vault) {
    vault.policies = None;
    vault.namespace.get_or_insert_default();
    if vault.cluster.is_empty() {
        vault.cluster = "default".to_owned();
    }
    vault.env.get_or_insert(true);
    vault.disable_file.get_or_insert(false);
    default_text(&mut vault.change_mode, "restart");
    default_text(&mut vault.change_signal, "SIGHUP");
    vault.change_signal = vault.change_signal.take().map(|signal| signal.to_uppercase());
    vault.allow_token_expiration.get_or_insert(false);
}

fn canonical_resources(resources: &mut api::Resources) {
    let cores = *resources.cores.get_or_insert(0);
    resources.cpu.get_or_insert(if cores > 0 { 0 } else { 100 });
    resources.memory_mb.get_or_insert(300);
    resources.memory_max_mb.get_or_insert(0);
    resources.secrets_mb.get_or_insert(0);
    resources.disk_mb = Some(0);
    resources.iops.get_or_insert(0);
    networks(&mut resources.networks);
    for device in resources.devices.iter_mut().flatten() {
        device.count.get_or_insert(1);
        affinities(&mut device.affinities);
    }
}

fn canonical_template(template: &mut api::Template) {
    template.source_path.get_or_insert_default();
    template.dest_path.get_or_insert_default();
    template.embedded_tmpl.get_or_insert_default();
    default_text(&mut template.change_mode, "restart");
    let signals = template.change_mode.as_deref() == Some("signal");
    let signal = template.change_signal.take().unwrap_or_default().to_uppercase();
    template.change_signal = Some(if signals && signal.is_empty() { "SIGHUP".to_owned() } else { signal });
    template.once.get_or_insert(false);
    template.splay.get_or_insert(5 * SECOND);
    default_text(&mut template.perms, "0644");
    default_text(&mut template.left_delim, "{{");
    default_text(&mut template.right_delim, "}}");
    template.envvars.get_or_insert(false);
    template.vault_grace.get_or_insert(0);
    template.err_missing_key.get_or_insert(false);
    if let Some(script) = &mut template.change_script {
        script.command.get_or_insert_default();
        script.args.get_or_insert_default();
        script.timeout.get_or_insert(5 * SECOND);
        script.fail_on_error.get_or_insert(false);
        script.run_on_first_render.get_or_insert(false);
    }
}
