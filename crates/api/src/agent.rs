//! The agent: health, members, metrics, and what its server's scheduler does.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::AgentConfig;

/// The JSON object `SchedulerConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SchedulerConfiguration {
    /// Binpack | spread; default: "binpack".
    pub scheduler_algorithm: String,
    pub preemption_config: PreemptionConfig,
    pub memory_oversubscription_enabled: bool,
    pub reject_job_registration: bool,
    /// Must be true before deleting evaluations.
    pub pause_eval_broker: bool,
    /// Added in 2.0.1.
    pub node_limit_for_feasibility_checks: u64,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `PreemptionConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct PreemptionConfig {
    pub system_scheduler_enabled: bool,
    pub sys_batch_scheduler_enabled: bool,
    pub batch_scheduler_enabled: bool,
    pub service_scheduler_enabled: bool,
}

/// The JSON object `AgentSelf`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentSelf {
    /// SDK keeps it as a free map; keys are Go field names.
    #[wire("config")]
    pub config: Option<AgentConfig>,
    #[wire("member")]
    #[wire(omit_empty)]
    pub member: AgentMember,
    /// Two-level string map.
    #[wire("stats")]
    pub stats: Option<BTreeMap<String, Option<BTreeMap<String, String>>>>,
}

/// The JSON object `AgentMember`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentMember {
    pub name: String,
    /// IP text.
    pub addr: String,
    pub port: u64,
    pub tags: Option<BTreeMap<String, String>>,
    /// Alive | leaving | left | failed | none.
    pub status: String,
    pub protocol_min: u64,
    pub protocol_max: u64,
    pub protocol_cur: u64,
    pub delegate_min: u64,
    pub delegate_max: u64,
    pub delegate_cur: u64,
}

/// The JSON object `AgentHealthResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct AgentHealthResponse {
    #[wire("client")]
    pub client: Option<AgentHealth>,
    #[wire("server")]
    pub server: Option<AgentHealth>,
}

/// The JSON object `AgentHealth`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentHealth {
    #[wire("ok")]
    pub ok: bool,
    #[wire("message")]
    #[wire(omit_empty)]
    pub message: String,
}

/// The JSON object `ServerMembers`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServerMembers {
    pub server_name: String,
    pub server_region: String,
    #[wire("ServerDC")]
    pub server_dc: String,
    /// Server rows only.
    pub members: Option<Vec<AgentMember>>,
}

/// The JSON object `JoinResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JoinResponse {
    #[wire("num_joined")]
    pub num_joined: i64,
    #[wire("error")]
    pub error: String,
    /// 2.0.4+; SDK treats a non-empty value as an error.
    #[wire("warning")]
    pub warning: String,
}

/// The JSON object `MetricsSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct MetricsSummary {
    /// Text like 2026-01-02 03:04:05 +0000 UTC.
    pub timestamp: String,
    pub gauges: Option<Vec<GaugeValue>>,
    /// Gauges of more digits; there are none.
    pub precision_gauges: Option<Vec<GaugeValue>>,
    /// Usually ().
    pub points: Option<Vec<PointValue>>,
    pub counters: Option<Vec<SampledValue>>,
    pub samples: Option<Vec<SampledValue>>,
}

/// The JSON object `GaugeValue`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct GaugeValue {
    pub name: String,
    pub value: f64,
    pub labels: Option<BTreeMap<String, String>>,
}

/// The JSON object `PointValue`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct PointValue {
    pub name: String,
    pub points: Option<Vec<f64>>,
}

/// The JSON object `SampledValue`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SampledValue {
    pub count: i64,
    pub rate: f64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub name: String,
    pub mean: f64,
    pub stddev: f64,
    pub labels: Option<BTreeMap<String, String>>,
}

/// The JSON object `HostDataResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostDataResponse {
    pub agent_id: String,
    pub host_data: Option<HostData>,
}

/// The JSON object `HostData`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostData {
    #[wire("OS")]
    pub os: String,
    pub network: Option<Vec<BTreeMap<String, String>>>,
    pub resolv_conf: String,
    pub hosts: String,
    pub environment: Option<BTreeMap<String, String>>,
    pub disk: Option<BTreeMap<String, DiskUsage>>,
}

/// The JSON object `DiskUsage`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DiskUsage {
    #[wire("DiskMB")]
    pub disk_mb: i64,
    #[wire("UsedMB")]
    pub used_mb: i64,
}

/// The JSON object `AgentSchedulerWorkerConfigRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentSchedulerWorkerConfigRequest {
    #[wire("num_schedulers")]
    pub num_schedulers: i64,
    #[wire("enabled_schedulers")]
    pub enabled_schedulers: Option<Vec<String>>,
}

/// The JSON object `AgentSchedulerWorkerConfigResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentSchedulerWorkerConfigResponse {
    #[wire("server_id")]
    pub server_id: String,
    #[wire("num_schedulers")]
    pub num_schedulers: i64,
    #[wire("enabled_schedulers")]
    pub enabled_schedulers: Option<Vec<String>>,
}

/// The JSON object `AgentSchedulerWorkersInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentSchedulerWorkersInfo {
    #[wire("server_id")]
    pub server_id: String,
    #[wire("schedulers")]
    pub schedulers: Option<Vec<AgentSchedulerWorkerInfo>>,
}

/// The JSON object `AgentSchedulerWorkerInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentSchedulerWorkerInfo {
    #[wire("id")]
    pub id: String,
    #[wire("enabled_schedulers")]
    pub enabled_schedulers: Option<Vec<String>>,
    #[wire("started")]
    pub started: String,
    #[wire("status")]
    pub status: String,
    #[wire("workload_status")]
    pub workload_status: String,
}

/// The JSON object `KeyringRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct KeyringRequest {
    pub key: String,
}

/// The JSON object `KeyringResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct KeyringResponse {
    pub messages: Option<BTreeMap<String, String>>,
    pub keys: Option<BTreeMap<String, i64>>,
    pub num_nodes: i64,
}
