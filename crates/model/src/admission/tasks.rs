//! Rules for what tasks are made of: resources, templates, artifacts, identities, secrets, volumes, plugins.

use std::collections::BTreeSet;

use drover_api as api;
use drover_base::time::go_duration;

use super::validate::{JobProblems, constraint_rules, escapes, text};

/// The longest name of an identity or a secret.
const NAME_MAX: usize = 128;

pub(super) fn resource_rules(problems: &mut JobProblems, resources: &api::Resources) {
    let (cpu, cores) = (resources.cpu.unwrap_or(0), resources.cores.unwrap_or(0));
    let (memory, max) = (resources.memory_mb.unwrap_or(0), resources.memory_max_mb.unwrap_or(0));
    let mut inner = JobProblems::default();
    inner.at("Cores").check(cores > 0 && cpu > 0, || "Task can only ask for 'cpu' or 'cores' resource, not both.".to_owned());
    inner.at("Cores").check(cores < 0, || format!("cores must not be negative; got {cores}"));
    let mut least = JobProblems::default();
    least.at("CPU").check(cores == 0 && cpu < 1, || format!("minimum CPU value is 1; got {cpu}"));
    least.at("MemoryMB").check(memory < 10, || format!("minimum MemoryMB value is 10; got {memory}"));
    inner.at("").list(least);
    for (position, device) in resources.devices.iter().flatten().enumerate() {
        let mut own = JobProblems::default();
        let parts: Vec<&str> = device.name.split('/').collect();
        own.at("Name").check(parts.len() > 3 || parts.iter().any(|part| part.is_empty()), || {
            "device name must be given as one of the following: type, vendor/type, or vendor/type/name".to_owned()
        });
        for (position, constraint) in device.constraints.iter().flatten().enumerate() {
            match constraint.operand.as_str() {
                operand @ ("distinct_hosts" | "distinct_property") => {
                    own.entry("Constraints", position)
                        .add(format!("Constraint {} validation failed: using unsupported operand {operand:?}", position + 1));
                }
                _ => {
                    let mut rules = JobProblems::default();
                    constraint_rules(&mut rules, constraint, true);
                    own.entry("Constraints", position).nest(format_args!("Constraint {} validation failed", position + 1), rules);
                }
            }
        }
        inner.entry("Devices", position).nest(format_args!("device {} failed validation", position + 1), own);
    }
    if let Some(numa) = &resources.numa {
        inner.at("NUMA.Affinity").check(!matches!(numa.affinity.as_str(), "" | "none" | "prefer" | "require"), || {
            "numa affinity must be one of none, prefer, or require".to_owned()
        });
        for device in numa.devices.iter().flatten() {
            let asked = resources.devices.iter().flatten().any(|own| own.name == *device);
            inner.at("NUMA.Devices").check(!asked, || format!("numa device {device:?} not requested as task resource"));
        }
    }
    inner
        .at("MemoryMaxMB")
        .check(max > 0 && max < memory, || format!("MemoryMaxMB value ({max}) should be larger than MemoryMB value ({memory})"));
    let secrets = resources.secrets_mb.unwrap_or(0);
    inner
        .at("SecretsMB")
        .check(secrets > memory, || format!("SecretsMB value ({secrets}) cannot be larger than MemoryMB value ({memory})"));
    problems.at("Resources").list(inner);
}

pub(super) fn log_rules(problems: &mut JobProblems, log: &api::LogConfig, disk_mb: i64) {
    let (files, size) = (log.max_files.unwrap_or(10), log.max_file_size_mb.unwrap_or(10));
    let mut inner = JobProblems::default();
    inner.at("MaxFiles").check(files < 1, || format!("minimum number of files is 1; got {files}"));
    inner.at("MaxFileSizeMB").check(size < 1, || format!("minimum file size is 1MB; got {size}"));
    let logs_mb = files.saturating_mul(size);
    let disabled = log.disabled == Some(true);
    inner.at("MaxFiles").check(!disabled && disk_mb <= logs_mb, || {
        format!("log storage ({logs_mb} MB) must be less than requested disk capacity ({disk_mb} MB)")
    });
    problems.at("LogConfig").list(inner);
}

pub(super) fn template_list(problems: &mut JobProblems, task: &api::Task) {
    let templates = task.templates.as_deref().unwrap_or_default();
    for (position, template) in templates.iter().enumerate() {
        let mut inner = JobProblems::default();
        template_rules(&mut inner, template);
        problems.entry("Templates", position).nest(format_args!("Template {} validation failed", position + 1), inner);
        let destination = text(&template.dest_path);
        let first = templates[..position].iter().position(|other| text(&other.dest_path) == destination);
        if let Some(first) = first.filter(|_| !destination.is_empty()) {
            problems.at(format!("Templates[{position}].DestPath")).add(format!(
                "Template {} has same destination as {}",
                position + 1,
                first + 1
            ));
        }
    }
}

fn template_rules(problems: &mut JobProblems, template: &api::Template) {
    let (source, body) = (text(&template.source_path), text(&template.embedded_tmpl));
    problems.check(source.is_empty() && body.is_empty(), || "Must specify a source path or have an embedded template".to_owned());
    let destination = text(&template.dest_path);
    problems.at("DestPath").check(destination.is_empty(), || "Must specify a destination for the template".to_owned());
    problems.at("DestPath").check(escapes(destination), || "destination escapes allocation directory".to_owned());
    match text(&template.change_mode) {
        "noop" | "restart" => {}
        "signal" => {
            problems
                .at("ChangeSignal")
                .check(text(&template.change_signal).is_empty(), || "Must specify signal value when change mode is signal".to_owned());
            problems.at("ChangeMode").check(template.envvars == Some(true), || "cannot use signals with env var templates".to_owned());
        }
        "script" => match &template.change_script {
            None => problems.at("ChangeMode").add("must specify change script configuration value when change mode is script"),
            Some(script) => problems.at("ChangeScript").check(script.command.as_deref().is_none_or(str::is_empty), || {
                "must specify script path value when change mode is script".to_owned()
            }),
        },
        _ => problems.at("ChangeMode").add("Invalid change mode. Must be one of the following: noop, signal, script, restart"),
    }
    problems.at("Splay").check(template.splay.is_some_and(|splay| splay < 0), || "Must specify positive splay value".to_owned());
    let perms = text(&template.perms);
    problems.at("Perms").check(!perms.is_empty() && u32::from_str_radix(perms, 8).is_err(), || {
        format!("Failed to parse {perms:?} as octal: strconv.ParseUint: parsing {perms:?}: invalid syntax")
    });
    if let Some(wait) = &template.wait
        && let (Some(min), Some(max)) = (wait.min, wait.max)
    {
        problems.at("Wait.Min").check(min > max, || format!("wait min {} is greater than max {}", go_duration(min), go_duration(max)));
    }
}

pub(super) fn artifact_list(problems: &mut JobProblems, task: &api::Task) {
    for (position, artifact) in task.artifacts.iter().flatten().enumerate() {
        let mut inner = JobProblems::default();
        inner.at("GetterSource").check(text(&artifact.getter_source).is_empty(), || "source must be specified".to_owned());
        let mode = text(&artifact.getter_mode);
        inner
            .at("GetterMode")
            .check(!matches!(mode, "any" | "file" | "dir"), || format!("invalid artifact mode {mode:?}; must be one of: any, file, dir"));
        inner.at("RelativeDest").check(escapes(text(&artifact.relative_dest)), || "destination escapes allocation directory".to_owned());
        if let Some(checksum) = artifact.getter_options.as_ref().and_then(|options| options.get("checksum"))
            && let Some(problem) = checksum_problem(checksum)
        {
            inner.at("GetterOptions").add(problem);
        }
        problems.entry("Artifacts", position).nest(format_args!("Artifact {} validation failed", position + 1), inner);
    }
}

fn checksum_problem(checksum: &str) -> Option<String> {
    if checksum.contains("${") {
        return None;
    }
    let Some((kind, value)) = checksum.split_once(':') else {
        return Some(format!("invalid checksum: must be given as \"type:value\"; got {checksum:?}"));
    };
    if kind == "file" {
        return None;
    }
    let bytes = match kind {
        "md5" => 16,
        "sha1" => 20,
        "sha256" => 32,
        "sha512" => 64,
        other => return Some(format!("unsupported checksum type: {other}")),
    };
    if let Some(wrong) = value.chars().find(|letter| !letter.is_ascii_hexdigit()) {
        return Some(format!("invalid checksum: encoding/hex: invalid byte: U+{:04X} {wrong:?}", u32::from(wrong)));
    }
    if value.len() % 2 == 1 {
        return Some("invalid checksum: encoding/hex: odd length hex string".to_owned());
    }
    (value.len() != bytes * 2).then(|| format!("invalid {kind} checksum: {checksum}"))
}

/// The identities of a task, the default one first.
pub(super) fn identity_list(problems: &mut JobProblems, task: &api::Task) {
    let others = task.identities.iter().flatten().enumerate().map(|(position, identity)| (format!("Identities[{position}]"), identity));
    for (path, identity) in task.identity.iter().map(|identity| ("Identity".to_owned(), identity)).chain(others) {
        let mut inner = JobProblems::default();
        identity_rules(&mut inner, identity);
        problems.at(path).nest(format_args!("Identity {:?} is invalid", identity.name), inner);
    }
}

fn word(name: &str, hyphens: bool) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || hyphens && byte == b'-')
}

fn identity_rules(problems: &mut JobProblems, identity: &api::WorkloadIdentity) {
    let name = identity.name.as_str();
    problems.at("Name").check(!word(name, true), || format!("invalid name {name:?}. Must match regex ^[a-zA-Z0-9-_]{{1,128}}$"));
    for (position, audience) in identity.audience.iter().flatten().enumerate() {
        problems.at("Audience").check(audience.is_empty(), || format!("an empty string is an invalid audience ({})", position + 1));
    }
    let (mode, signal) = (identity.change_mode.as_str(), identity.change_signal.as_str());
    match mode {
        "" | "noop" | "restart" => {
            problems
                .at("ChangeSignal")
                .check(!signal.is_empty(), || format!("can only use change_signal={signal:?} with change_mode=\"signal\""));
        }
        "signal" => {
            problems
                .at("ChangeMode")
                .check(signal.is_empty(), || "change_signal must be specified when using change_mode=\"signal\"".to_owned());
        }
        other => problems.at("ChangeMode").add(format!("invalid change_mode: {other:?}")),
    }
    problems.at("TTL").check(identity.ttl > 0 && name == "default", || "ttl for default identity not yet supported".to_owned());
    problems.at("TTL").check(identity.ttl < 0, || "ttl must be >= 0".to_owned());
    problems
        .at("Filepath")
        .check(!identity.filepath.is_empty() && !identity.file, || "file parameter must be true in order to specify filepath".to_owned());
}

pub(super) fn secret_list(problems: &mut JobProblems, task: &api::Task) {
    let mut seen = BTreeSet::new();
    for (position, secret) in task.secrets.iter().flatten().enumerate() {
        let (name, provider) = (secret.name.as_str(), secret.provider.as_str());
        problems.entry("Secrets", position).check(!seen.insert(name), || format!("Duplicate secret {name:?} found"));
        problems
            .at(format!("Secrets[{position}].Provider"))
            .check(provider == "vault" && task.vault.is_none(), || format!("Secret {name:?} has provider \"vault\" but no vault block"));
        let mut inner = JobProblems::default();
        inner.at("Name").check(!word(name, false), || "secret name must match regex ^[a-zA-Z0-9_]{1,128}$".to_owned());
        inner.at("Provider").check(provider.is_empty(), || "secret provider cannot be empty".to_owned());
        inner.at("Path").check(secret.path.is_empty(), || "secret path cannot be empty".to_owned());
        let (config, env) =
            (secret.config.as_ref().is_some_and(|map| !map.is_empty()), secret.env.as_ref().is_some_and(|map| !map.is_empty()));
        match provider {
            "nomad" | "vault" => inner.at("Env").check(env, || format!("{provider} provider cannot use the env block")),
            other => inner.at("Config").check(config, || format!("custom plugin provider {other} cannot use the config block")),
        }
        problems.entry("Secrets", position).nest(format_args!("Secret {name:?} is invalid"), inner);
    }
}

pub(super) fn vault_rules(problems: &mut JobProblems, task: &api::Task) {
    let Some(vault) = &task.vault else { return };
    let mut inner = JobProblems::default();
    match text(&vault.change_mode) {
        "" | "noop" | "restart" => {}
        "signal" => inner
            .at("ChangeSignal")
            .check(text(&vault.change_signal).is_empty(), || "Signal must be specified when using change mode \"signal\"".to_owned()),
        other => inner.at("ChangeMode").add(format!("Unknown change mode {other:?}")),
    }
    problems.at("Vault").nest("Vault validation failed", inner);
}

/// Anything that can be a word of a command line (ACT-001).
fn is_action_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(|letter: char| letter.is_ascii_whitespace() || letter == '\0')
}

pub(super) fn action_list(problems: &mut JobProblems, task: &api::Task) {
    let mut seen = BTreeSet::new();
    for (position, action) in task.actions.iter().flatten().enumerate() {
        let name = action.name.as_str();
        problems.entry("Actions", position).check(!seen.insert(name), || format!("Action {name} defined multiple times"));
        let mut inner = JobProblems::default();
        inner.at("Command").check(action.command.is_empty(), || "command cannot be empty".to_owned());
        inner.at("Name").check(!is_action_name(name), || format!("invalid name '{name}'"));
        problems.entry("Actions", position).nest(format_args!("Action {name} validation failed"), inner);
    }
}

pub(super) fn mount_list(problems: &mut JobProblems, group: &api::TaskGroup, task: &api::Task) {
    for (position, mount) in task.volume_mounts.iter().flatten().enumerate() {
        let volume = text(&mount.volume);
        let known = group.volumes.as_ref().is_some_and(|volumes| volumes.contains_key(volume));
        problems
            .at(format!("VolumeMounts[{position}].Volume"))
            .check(!known, || format!("Volume Mount ({position}) references undefined volume {volume}"));
        let mut inner = JobProblems::default();
        inner.at("Destination").check(mount.destination.is_none(), || "volume mount needs a destination".to_owned());
        let propagation = text(&mount.propagation_mode);
        inner.at("PropagationMode").check(!matches!(propagation, "" | "private" | "host-to-task" | "bidirectional"), || {
            format!("volume mount has an invalid propagation mode: {propagation:?}")
        });
        let label = text(&mount.se_linux_label);
        inner
            .at("SELinuxLabel")
            .check(!matches!(label, "" | "z" | "Z"), || format!("volume mount has an invalid SELinux label: {label:?}"));
        if !inner.is_empty() {
            let text = format!("Volume Mount ({position}) is invalid: \"{inner}\"");
            problems.entry("VolumeMounts", position).nest_as(text, inner);
        }
    }
}

pub(super) fn plugin_rules(problems: &mut JobProblems, task: &api::Task) {
    let Some(plugin) = &task.csi_plugin_config else { return };
    problems.at("CSIPluginConfig.Type").check(!matches!(plugin.r#type.as_str(), "node" | "controller" | "monolith"), || {
        format!("CSIPluginConfig PluginType must be one of 'node', 'controller', or 'monolith', got: {:?}", plugin.r#type)
    });
    let (mount, stage) = (plugin.mount_dir.trim_end_matches('/'), plugin.stage_publish_base_dir.as_str());
    let below = stage.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'));
    problems.at("CSIPluginConfig.StagePublishBaseDir").check(below, || {
        format!(
            "CSIPluginConfig StagePublishBaseDir must not be a subdirectory of MountDir, got: StagePublishBaseDir={stage:?} MountDir={:?}",
            plugin.mount_dir
        )
    });
}

/// The volumes that a group asks for.
pub(super) fn volume_map(problems: &mut JobProblems, kind: &str, group: &api::TaskGroup) {
    let canaries = group.update.as_ref().and_then(|update| update.canary).unwrap_or(0) > 0;
    let count = group.count.unwrap_or(1);
    for (name, volume) in group.volumes.iter().flatten() {
        let Some(volume) = volume else { continue };
        let mut inner = JobProblems::default();
        let csi = volume.r#type == "csi";
        inner.at("Source").check(volume.source.is_empty(), || "volume has an empty source".to_owned());
        if volume.per_alloc {
            inner
                .at("PerAlloc")
                .check(matches!(kind, "system" | "sysbatch"), || "volume cannot be per_alloc for system or sysbatch jobs".to_owned());
            inner.at("PerAlloc").check(canaries, || "volume cannot be per_alloc when canaries are in use".to_owned());
            inner.at("Sticky").check(volume.sticky, || "volume cannot be per_alloc and sticky at the same time".to_owned());
        }
        if csi {
            inner.at("AttachmentMode").check(volume.attachment_mode.is_empty(), || "CSI volumes must have an attachment mode".to_owned());
            match volume.access_mode.as_str() {
                "" => inner.at("AccessMode").add("CSI volumes must have an access mode"),
                "single-node-reader-only" | "multi-node-reader-only" => {
                    inner.at("ReadOnly").check(!volume.read_only, || format!("{} volumes must be read-only", volume.access_mode));
                }
                "single-node-writer" => inner.at("AccessMode").check(count > 1 && !volume.per_alloc, || {
                    "volume with single-node-writer access mode allows only one reader or writer".to_owned()
                }),
                _ => {}
            }
        } else {
            inner.at("MountOptions").check(volume.mount_options.is_some(), || "host volumes cannot have mount options".to_owned());
        }
        problems.at(format!("Volumes.{name}")).nest(format_args!("Task group volume validation for {name} failed"), inner);
    }
}
