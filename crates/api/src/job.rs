//! The job specification as clients see it.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::wire::Base64;
use crate::{Consul, NetworkResource, RestartPolicy, Service, Task};

/// The JSON object `Job`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Job {
    /// Default: "global" (replaced by the agent region on registration).
    pub region: Option<String>,
    /// Default: "default".
    pub namespace: Option<String>,
    /// Default: "".
    pub id: Option<String>,
    /// Default: =ID.
    pub name: Option<String>,
    /// Service | batch | system | sysbatch (internal _core); default: "service".
    pub r#type: Option<String>,
    /// Default: 50.
    pub priority: Option<i64>,
    /// Default: false.
    pub all_at_once: Option<bool>,
    /// Default: ("*") (server side).
    pub datacenters: Option<Vec<String>>,
    /// Default: "" (server: namespace default pool, normally "default").
    pub node_pool: Option<String>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
    pub task_groups: Option<Vec<TaskGroup>>,
    /// Default: UpdateStrategy defaults for service and system; absent otherwise.
    pub update: Option<UpdateStrategy>,
    /// ENT.
    pub multiregion: Option<Multiregion>,
    pub spreads: Option<Vec<Spread>>,
    pub periodic: Option<PeriodicConfig>,
    pub parameterized_job: Option<ParameterizedJobConfig>,
    /// Input only; folded into every task group.
    #[wire(omit_empty)]
    pub reschedule: Option<ReschedulePolicy>,
    /// Input only; folded into every task group.
    #[wire(omit_empty)]
    pub migrate: Option<MigrateStrategy>,
    /// Pack.name key marks a nomad-pack job.
    pub meta: Option<BTreeMap<String, String>>,
    #[wire("UI")]
    pub ui: Option<JobUIConfig>,
    /// True after deregistration without purge; default: false.
    pub stop: Option<bool>,
    /// Set for periodic and dispatched children; default: "".
    pub parent_id: Option<String>,
    /// True for dispatched children.
    pub dispatched: bool,
    /// Set on dispatched children.
    pub dispatch_idempotency_token: Option<String>,
    /// Base64; snappy-compressed at rest but sent decompressed on single reads.
    pub payload: Option<Base64>,
    /// ENT; default: "".
    pub consul_namespace: Option<String>,
    /// ENT; default: "".
    pub vault_namespace: Option<String>,
    /// Accessor of the submitter (multiregion use); default: "".
    pub nomad_token_id: Option<String>,
    /// Pending | running | dead; default: "".
    pub status: Option<String>,
    /// Default: "".
    pub status_description: Option<String>,
    /// Default: false.
    pub stable: Option<bool>,
    /// Client value ignored on registration; default: 0.
    pub version: Option<u64>,
    /// Unix nanoseconds.
    pub submit_time: Option<i64>,
    /// Default: 0.
    pub create_index: Option<u64>,
    /// Default: 0.
    pub modify_index: Option<u64>,
    /// Default: 0.
    pub job_modify_index: Option<u64>,
    pub version_tag: Option<JobVersionTag>,
}

/// The JSON object `Constraint`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct Constraint {
    pub l_target: String,
    pub r_target: String,
    /// = | == | is | != | not | ) | )= | ( | (= | distinct_hosts | distinct_property | regexp | version | semver | set_contains | set_contains_all | set_contains_any | is_set | is_not_set.
    pub operand: String,
}

/// The JSON object `Affinity`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Affinity {
    pub l_target: String,
    pub r_target: String,
    /// As Constraint without distinct_*.
    pub operand: String,
    /// -100..100, non-zero; default: 50.
    pub weight: Option<i64>,
}

/// The JSON object `TaskGroup`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroup {
    /// Default: "".
    pub name: Option<String>,
    /// Default: Scaling.Min, else 1.
    pub count: Option<i64>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
    pub tasks: Option<Vec<Task>>,
    pub spreads: Option<Vec<Spread>>,
    pub volumes: Option<BTreeMap<String, Option<VolumeRequest>>>,
    /// Default: by job type.
    pub restart_policy: Option<RestartPolicy>,
    pub disconnect: Option<DisconnectStrategy>,
    /// Default: by job type; none for system and sysbatch.
    pub reschedule_policy: Option<ReschedulePolicy>,
    /// Default: EphemeralDisk defaults.
    pub ephemeral_disk: Option<EphemeralDisk>,
    /// Default: merged from Job.Update.
    pub update: Option<UpdateStrategy>,
    /// Default: MigrateStrategy defaults for service, else absent.
    pub migrate: Option<MigrateStrategy>,
    pub networks: Option<Vec<NetworkResource>>,
    pub meta: Option<BTreeMap<String, String>>,
    #[plan(alone)]
    pub services: Option<Vec<Service>>,
    /// Nanoseconds.
    pub shutdown_delay: Option<i64>,
    /// Nanoseconds.
    pub max_run_duration: Option<i64>,
    /// Nanoseconds.
    pub stop_after_client_disconnect: Option<i64>,
    /// Nanoseconds.
    pub max_client_disconnect: Option<i64>,
    #[plan(without = ["Type"])]
    pub scaling: Option<ScalingPolicy>,
    pub consul: Option<Consul>,
    pub prevent_reschedule_on_lost: Option<bool>,
}

/// The JSON object `ScalingPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingPolicy {
    /// Default: group Count.
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// Opaque to the server.
    pub policy: Option<BTreeMap<String, Option<Value>>>,
    /// Default: true.
    pub enabled: Option<bool>,
    /// Horizontal | vertical_cpu | vertical_mem; default: "horizontal".
    pub r#type: String,
    #[plan(untold)]
    pub id: String,
    /// SDK only; use Target.Namespace.
    #[wire(omit_empty)]
    pub namespace: String,
    /// Map with Namespace, Job, Group, Task keys.
    #[plan(untold)]
    pub target: Option<BTreeMap<String, String>>,
    #[plan(untold)]
    pub create_index: u64,
    #[plan(untold)]
    pub modify_index: u64,
}

/// The JSON object `Spread`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Spread {
    pub attribute: String,
    /// 1..100; default: 50.
    pub weight: Option<i64>,
    pub spread_target: Option<Vec<SpreadTarget>>,
}

/// The JSON object `SpreadTarget`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SpreadTarget {
    pub value: String,
    pub percent: u64,
}

/// The JSON object `VolumeRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct VolumeRequest {
    pub name: String,
    /// Host | csi.
    pub r#type: String,
    pub source: String,
    pub read_only: bool,
    pub sticky: bool,
    /// CSI or host volume access mode.
    pub access_mode: String,
    pub attachment_mode: String,
    pub mount_options: Option<CSIMountOptions>,
    /// Append (index) to the source.
    pub per_alloc: bool,
}

/// The JSON object `CSIMountOptions`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIMountOptions {
    #[wire("FSType")]
    pub fs_type: String,
    /// ("(REDACTED)") on reads when set.
    pub mount_flags: Option<Vec<String>>,
}

/// The JSON object `DisconnectStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DisconnectStrategy {
    /// Nanoseconds; default: absent (0 in the SDK helper).
    pub lost_after: Option<i64>,
    /// Nanoseconds.
    #[plan(default = "nil")]
    pub stop_on_client_after: Option<i64>,
    /// Default: true.
    pub replace: Option<bool>,
    /// Best_score | keep_original | keep_replacement | longest_running; default: "best_score".
    pub reconcile: Option<String>,
}

/// The JSON object `ReschedulePolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ReschedulePolicy {
    /// Default: service 0, batch 1, other 0.
    pub attempts: Option<i64>,
    /// Nanoseconds; default: service 0, batch 86400000000000 (24h), other 0.
    pub interval: Option<i64>,
    /// Nanoseconds; default: service 30000000000 (30s), batch 5000000000 (5s), other 0.
    pub delay: Option<i64>,
    /// Constant | exponential | fibonacci; default: service "exponential", batch "constant", other "".
    pub delay_function: Option<String>,
    /// Nanoseconds; default: service 3600000000000 (1h), batch 0, other 0.
    pub max_delay: Option<i64>,
    /// Default: service true, else false.
    pub unlimited: Option<bool>,
}

/// The JSON object `EphemeralDisk`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EphemeralDisk {
    /// Default: false.
    pub sticky: Option<bool>,
    /// Default: false.
    pub migrate: Option<bool>,
    /// Default: 300.
    #[wire("SizeMB")]
    pub size_mb: Option<i64>,
}

/// The JSON object `UpdateStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct UpdateStrategy {
    /// Nanoseconds; default: 30000000000 (30s).
    #[plan(untold)]
    pub stagger: Option<i64>,
    /// Default: 1.
    pub max_parallel: Option<i64>,
    /// Checks | task_states | manual; default: "checks".
    pub health_check: Option<String>,
    /// Nanoseconds; default: 10000000000 (10s).
    pub min_healthy_time: Option<i64>,
    /// Nanoseconds; default: 300000000000 (5m).
    pub healthy_deadline: Option<i64>,
    /// Nanoseconds; default: 600000000000 (10m).
    pub progress_deadline: Option<i64>,
    /// Default: 0.
    pub canary: Option<i64>,
    /// Default: false.
    pub auto_revert: Option<bool>,
    /// Default: false.
    pub auto_promote: Option<bool>,
}

/// The JSON object `MigrateStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct MigrateStrategy {
    /// Default: 1.
    pub max_parallel: Option<i64>,
    /// Checks | task_states | manual; default: "checks".
    pub health_check: Option<String>,
    /// Nanoseconds; default: 10000000000 (10s).
    pub min_healthy_time: Option<i64>,
    /// Nanoseconds; default: 300000000000 (5m).
    pub healthy_deadline: Option<i64>,
}

/// The JSON object `Multiregion`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Multiregion {
    /// Default: {MaxParallel:0,OnFailure:""}.
    pub strategy: Option<MultiregionStrategy>,
    /// Default: ().
    pub regions: Option<Vec<MultiregionRegion>>,
}

/// The JSON object `MultiregionStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct MultiregionStrategy {
    /// Default: 0.
    pub max_parallel: Option<i64>,
    /// Default: "".
    pub on_failure: Option<String>,
}

/// The JSON object `MultiregionRegion`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct MultiregionRegion {
    pub name: String,
    /// Default: 1.
    pub count: Option<i64>,
    /// Default: ().
    pub datacenters: Option<Vec<String>>,
    pub node_pool: String,
    /// Default: {}.
    pub meta: Option<BTreeMap<String, String>>,
}

/// The JSON object `PeriodicConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct PeriodicConfig {
    /// Default: true.
    pub enabled: Option<bool>,
    /// Single cron, deprecated in favour of Specs; default: "".
    pub spec: Option<String>,
    /// Default: ().
    pub specs: Option<Vec<String>>,
    /// Cron (test values internal); default: "cron".
    pub spec_type: Option<String>,
    /// Default: false.
    pub prohibit_overlap: Option<bool>,
    /// Default: "UTC".
    pub time_zone: Option<String>,
}

/// The JSON object `ParameterizedJobConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ParameterizedJobConfig {
    /// Optional | required | forbidden; default: "optional" (server side).
    pub payload: String,
    pub meta_required: Option<Vec<String>>,
    pub meta_optional: Option<Vec<String>>,
}

/// The JSON object `JobUIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobUIConfig {
    pub description: String,
    /// Default: null when empty.
    pub links: Option<Vec<JobUILink>>,
}

/// The JSON object `JobUILink`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Label")]
pub struct JobUILink {
    pub label: String,
    /// SDK spelling; decoding is case-insensitive, the server emits Url.
    #[wire("Url")]
    pub url: String,
}

/// The JSON object `JobVersionTag`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobVersionTag {
    pub name: String,
    pub description: String,
    pub tagged_time: i64,
}
