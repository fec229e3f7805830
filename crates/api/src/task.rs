//! A task of the job specification and what it is made of.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::{Affinity, Constraint, Consul, Resources, ScalingPolicy, Service};

/// The JSON object `Task`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Task {
    pub name: String,
    pub driver: String,
    pub user: String,
    pub lifecycle: Option<TaskLifecycle>,
    pub config: Option<BTreeMap<String, Option<Value>>>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
    pub env: Option<BTreeMap<String, String>>,
    #[plan(alone)]
    pub services: Option<Vec<Service>>,
    /// Default: Resources defaults.
    pub resources: Option<Resources>,
    /// Default: merged over the group policy.
    pub restart_policy: Option<RestartPolicy>,
    pub meta: Option<BTreeMap<String, String>>,
    /// Nanoseconds; default: 5000000000 (5s).
    pub kill_timeout: Option<i64>,
    /// Default: LogConfig defaults.
    pub log_config: Option<LogConfig>,
    pub artifacts: Option<Vec<TaskArtifact>>,
    pub vault: Option<Vault>,
    pub consul: Option<Consul>,
    pub templates: Option<Vec<Template>>,
    pub dispatch_payload: Option<DispatchPayloadConfig>,
    pub volume_mounts: Option<Vec<VolumeMount>>,
    #[wire("CSIPluginConfig")]
    pub csi_plugin_config: Option<TaskCSIPluginConfig>,
    pub leader: bool,
    /// Nanoseconds.
    pub shutdown_delay: i64,
    pub kill_signal: String,
    pub kind: String,
    #[plan(label = "ScalingPolicy")]
    pub scaling_policies: Option<Vec<ScalingPolicy>>,
    pub secrets: Option<Vec<Secret>>,
    /// Default: {Name:"default",Audience:("nomadproject.io")} (server side).
    pub identity: Option<WorkloadIdentity>,
    #[plan(label = "Identity")]
    pub identities: Option<Vec<WorkloadIdentity>>,
    pub actions: Option<Vec<Action>>,
    pub schedule: Option<TaskSchedule>,
}

/// The JSON object `TaskLifecycle`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskLifecycle {
    /// Prestart | poststart | poststop.
    pub hook: String,
    pub sidecar: bool,
}

/// The JSON object `LogConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct LogConfig {
    /// Default: 10.
    pub max_files: Option<i64>,
    /// Default: 10.
    #[wire("MaxFileSizeMB")]
    pub max_file_size_mb: Option<i64>,
    /// Deprecated input (inverse of Disabled).
    #[wire(omit_empty)]
    pub enabled: Option<bool>,
    /// Default: false.
    pub disabled: Option<bool>,
}

/// The JSON object `VolumeMount`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Volume")]
pub struct VolumeMount {
    pub volume: Option<String>,
    pub destination: Option<String>,
    /// Default: false.
    pub read_only: Option<bool>,
    /// Private | host-to-task | bidirectional; default: "private".
    pub propagation_mode: Option<String>,
    /// Default: "".
    #[wire("SELinuxLabel")]
    pub se_linux_label: Option<String>,
}

/// The JSON object `WorkloadIdentity`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Name")]
pub struct WorkloadIdentity {
    /// "default" is the built-in identity; default: "default" (server side).
    pub name: String,
    #[plan(unchanged)]
    pub audience: Option<Vec<String>>,
    /// Noop | restart | signal.
    pub change_mode: String,
    pub change_signal: String,
    pub env: bool,
    pub file: bool,
    pub filepath: String,
    pub service_name: String,
    /// Nanoseconds.
    #[wire("TTL")]
    pub ttl: i64,
    pub extra_claims: Option<Vec<String>>,
}

/// The JSON object `RestartPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RestartPolicy {
    /// Nanoseconds; default: service/system 1800000000000 (30m), batch/sysbatch 86400000000000 (24h).
    pub interval: Option<i64>,
    /// Default: service/system 2, batch/sysbatch 3.
    pub attempts: Option<i64>,
    /// Nanoseconds; default: 15000000000 (15s).
    pub delay: Option<i64>,
    /// Fail | delay; default: "fail".
    pub mode: Option<String>,
    /// Default: false.
    pub render_templates: Option<bool>,
}

/// The JSON object `TaskArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskArtifact {
    /// Default: "".
    pub getter_source: Option<String>,
    /// Default: null when empty.
    pub getter_options: Option<BTreeMap<String, String>>,
    /// Default: null when empty.
    pub getter_headers: Option<BTreeMap<String, String>>,
    /// Any | file | dir; default: "any".
    pub getter_mode: Option<String>,
    /// Default: false.
    pub getter_insecure: Option<bool>,
    /// Default: "local/", or local/(basename) when GetterMode is file.
    pub relative_dest: Option<String>,
    pub chown: bool,
}

/// The JSON object `Vault`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Vault {
    /// Deprecated input, dropped by the server.
    #[wire(omit_empty)]
    pub policies: Option<Vec<String>>,
    pub role: String,
    /// Default: "".
    pub namespace: Option<String>,
    /// Default: "default".
    pub cluster: String,
    /// Default: true.
    pub env: Option<bool>,
    /// Default: false.
    pub disable_file: Option<bool>,
    /// Noop | restart | signal; default: "restart".
    pub change_mode: Option<String>,
    /// Default: "SIGHUP".
    pub change_signal: Option<String>,
    /// Default: false.
    pub allow_token_expiration: Option<bool>,
}

/// The JSON object `Template`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "DestPath")]
pub struct Template {
    /// Default: "".
    pub source_path: Option<String>,
    /// Default: "".
    pub dest_path: Option<String>,
    /// Default: "".
    pub embedded_tmpl: Option<String>,
    /// Noop | restart | signal | script; default: "restart".
    pub change_mode: Option<String>,
    pub change_script: Option<ChangeScript>,
    /// Default: "SIGHUP" when ChangeMode is signal, else ""; upper-cased.
    pub change_signal: Option<String>,
    /// Default: false.
    pub once: Option<bool>,
    /// Nanoseconds; default: 5000000000 (5s).
    pub splay: Option<i64>,
    /// Default: "0644".
    pub perms: Option<String>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    /// Default: "{{".
    pub left_delim: Option<String>,
    /// Default: "}}".
    pub right_delim: Option<String>,
    /// Default: false.
    pub envvars: Option<bool>,
    /// Nanoseconds; deprecated, ignored; default: 0.
    pub vault_grace: Option<i64>,
    #[plan(label = "Template")]
    pub wait: Option<WaitConfig>,
    /// Default: false.
    pub err_missing_key: Option<bool>,
}

/// The JSON object `ChangeScript`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ChangeScript {
    /// Default: "".
    pub command: Option<String>,
    /// Default: ().
    pub args: Option<Vec<String>>,
    /// Nanoseconds; default: 5000000000 (5s).
    pub timeout: Option<i64>,
    /// Default: false.
    pub fail_on_error: Option<bool>,
    /// Default: false.
    pub run_on_first_render: Option<bool>,
}

/// The JSON object `WaitConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct WaitConfig {
    /// Nanoseconds.
    pub min: Option<i64>,
    /// Nanoseconds.
    pub max: Option<i64>,
}

/// The JSON object `DispatchPayloadConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DispatchPayloadConfig {
    pub file: String,
}

/// The JSON object `TaskCSIPluginConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskCSIPluginConfig {
    pub id: String,
    /// Node | controller | monolith.
    pub r#type: String,
    /// Default: "/csi".
    pub mount_dir: String,
    /// Default: "/local/csi".
    pub stage_publish_base_dir: String,
    /// Nanoseconds; default: 30000000000 (30s).
    pub health_timeout: i64,
}

/// The JSON object `Secret`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Name")]
pub struct Secret {
    pub name: String,
    pub provider: String,
    pub path: String,
    /// Default: null when empty.
    pub config: Option<BTreeMap<String, Option<Value>>>,
    /// Default: null when empty.
    pub env: Option<BTreeMap<String, String>>,
}

/// The JSON object `Action`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct Action {
    pub name: String,
    pub command: String,
    pub args: Option<Vec<String>>,
}

/// The JSON object `TaskSchedule`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskSchedule {
    pub cron: Option<TaskScheduleCron>,
}

/// The JSON object `TaskScheduleCron`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskScheduleCron {
    pub start: String,
    pub end: String,
    pub timezone: String,
}
