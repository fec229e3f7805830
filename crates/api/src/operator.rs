//! Operator, namespaces, quotas, variables and what remains.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::wire::Base64;
use crate::{JobListStub, NUMAResource, NodeListStub, RequestedDevice, SchedulerConfiguration, VariableLock};

/// The JSON object `AutopilotConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AutopilotConfiguration {
    /// Default: true.
    pub cleanup_dead_servers: bool,
    /// Go duration string both ways; default: "200ms".
    pub last_contact_threshold: String,
    /// Default: 250.
    pub max_trailing_logs: u64,
    /// Default: 0.
    pub min_quorum: u64,
    /// Go duration string both ways; default: "10s".
    pub server_stabilization_time: String,
    /// Default: false.
    pub enable_redundancy_zones: bool,
    /// Default: false.
    pub disable_upgrade_migration: bool,
    /// Default: false.
    pub enable_custom_upgrades: bool,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `AutopilotUpgrade`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AutopilotUpgrade {
    /// ENT.
    pub status: String,
    /// ENT.
    pub target_version: String,
    /// ENT.
    pub target_version_voters: Option<Vec<String>>,
    /// ENT.
    pub target_version_non_voters: Option<Vec<String>>,
    /// ENT.
    pub target_version_read_replicas: Option<Vec<String>>,
    /// ENT.
    pub other_version_voters: Option<Vec<String>>,
    /// ENT.
    pub other_version_non_voters: Option<Vec<String>>,
    /// ENT.
    pub other_version_read_replicas: Option<Vec<String>>,
    /// ENT.
    pub redundancy_zones: Option<BTreeMap<String, AutopilotZoneUpgradeVersions>>,
}

/// The JSON object `AutopilotZoneUpgradeVersions`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AutopilotZoneUpgradeVersions {
    /// ENT.
    pub target_version_voters: Option<Vec<String>>,
    /// ENT.
    pub target_version_non_voters: Option<Vec<String>>,
    /// ENT.
    pub other_version_voters: Option<Vec<String>>,
    /// ENT.
    pub other_version_non_voters: Option<Vec<String>>,
}

/// The JSON object `AutopilotZone`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AutopilotZone {
    /// ENT.
    pub servers: Option<Vec<String>>,
    /// ENT.
    pub voters: Option<Vec<String>>,
    /// ENT.
    pub failure_tolerance: i64,
}

/// The JSON object `GenericResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct GenericResponse {
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `KeyringDeleteResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct KeyringDeleteResponse {
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `KeyringRotateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct KeyringRotateResponse {
    /// Reply metadata also in headers.
    pub index: u64,
    pub key: Option<RootKeyMeta>,
}

/// The JSON object `RootKeyMeta`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RootKeyMeta {
    pub key_id: String,
    /// Aes256-gcm.
    pub algorithm: String,
    /// Unix nanoseconds.
    pub create_time: i64,
    pub create_index: u64,
    pub modify_index: u64,
    /// Active | inactive | rekeying | prepublished | deprecated.
    pub state: String,
    /// Unix nanoseconds.
    pub publish_time: i64,
}

/// The JSON object `LeadershipTransferResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct LeadershipTransferResponse {
    /// Wire object only has ID and Address.
    pub from: RaftServer,
    /// Wire object only has ID and Address.
    pub to: RaftServer,
    pub noop: bool,
    /// Null.
    pub err: Option<Value>,
}

/// The JSON object `RaftServer`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RaftServer {
    pub id: String,
    pub node: String,
    pub address: String,
    pub leader: bool,
    pub voter: bool,
    pub raft_protocol: String,
}

/// The JSON object `License`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct License {
    /// ENT.
    pub license_id: String,
    /// ENT.
    pub customer_id: String,
    /// ENT.
    pub installation_id: String,
    /// ENT.
    pub issue_time: Option<String>,
    /// ENT.
    pub start_time: Option<String>,
    /// ENT.
    pub expiration_time: Option<String>,
    /// ENT.
    pub termination_time: Option<String>,
    /// ENT.
    pub non_production: bool,
    /// ENT.
    pub product: String,
    /// ENT; free map.
    pub flags: Option<BTreeMap<String, Option<Value>>>,
    /// ENT.
    pub modules: Option<Vec<String>>,
    /// ENT.
    pub features: Option<Vec<String>>,
}

/// The JSON object `LicenseReply`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct LicenseReply {
    /// ENT; ENT.
    pub license: Option<License>,
    /// ENT.
    pub config_outdated: bool,
}

/// The JSON object `Namespace`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Namespace {
    pub name: String,
    pub description: String,
    /// ENT.
    pub quota: String,
    pub capabilities: Option<NamespaceCapabilities>,
    /// ENT.
    pub node_pool_configuration: Option<NamespaceNodePoolConfiguration>,
    /// ENT.
    pub vault_configuration: Option<NamespaceVaultConfiguration>,
    /// ENT.
    pub consul_configuration: Option<NamespaceConsulConfiguration>,
    pub meta: Option<BTreeMap<String, String>>,
    pub create_index: u64,
    pub modify_index: u64,
    pub required_extra_claims: Option<BTreeMap<String, String>>,
    pub optional_extra_claims: Option<BTreeMap<String, String>>,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `NamespaceCapabilities`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NamespaceCapabilities {
    pub enabled_task_drivers: Option<Vec<String>>,
    pub disabled_task_drivers: Option<Vec<String>>,
    pub enabled_network_modes: Option<Vec<String>>,
    pub disabled_network_modes: Option<Vec<String>>,
}

/// The JSON object `NamespaceNodePoolConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NamespaceNodePoolConfiguration {
    pub default: String,
    pub allowed: Option<Vec<String>>,
    pub denied: Option<Vec<String>>,
}

/// The JSON object `NamespaceVaultConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NamespaceVaultConfiguration {
    pub default: String,
    pub allowed: Option<Vec<String>>,
    pub denied: Option<Vec<String>>,
}

/// The JSON object `NamespaceConsulConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NamespaceConsulConfiguration {
    pub default: String,
    pub allowed: Option<Vec<String>>,
    pub denied: Option<Vec<String>>,
}

/// The JSON object `NodePoolLimit`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodePoolLimit {
    /// ENT.
    pub node_pool: String,
    /// ENT.
    #[wire("CPU")]
    pub cpu: Option<i64>,
    /// ENT.
    pub cores: Option<i64>,
    /// ENT.
    #[wire("MemoryMB")]
    pub memory_mb: Option<i64>,
    /// ENT.
    #[wire("MemoryMaxMB")]
    pub memory_max_mb: Option<i64>,
    /// ENT.
    pub devices: Option<Vec<RequestedDevice>>,
    /// ENT.
    #[wire("NUMA")]
    pub numa: Option<NUMAResource>,
    /// ENT.
    #[wire("SecretsMB")]
    pub secrets_mb: Option<i64>,
    /// ENT.
    pub storage: Option<QuotaStorageResources>,
}

/// The JSON object `QuotaStorageResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QuotaStorageResources {
    /// ENT.
    #[wire("VariablesMB")]
    pub variables_mb: i64,
    /// ENT.
    #[wire("HostVolumesMB")]
    pub host_volumes_mb: i64,
}

/// The JSON object `OperatorHealthReply`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OperatorHealthReply {
    pub healthy: bool,
    pub failure_tolerance: i64,
    pub servers: Option<Vec<ServerHealth>>,
    pub leader: String,
    pub voters: Option<Vec<String>>,
    /// ENT.
    #[wire(omit_empty)]
    pub read_replicas: Option<Vec<String>>,
    /// ENT.
    #[wire(omit_empty)]
    pub redundancy_zones: Option<BTreeMap<String, AutopilotZone>>,
    /// ENT.
    #[wire(omit_empty)]
    pub upgrade: Option<AutopilotUpgrade>,
    /// ENT.
    #[wire(omit_empty)]
    pub optimistic_failure_tolerance: i64,
}

/// The JSON object `ServerHealth`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServerHealth {
    pub id: String,
    pub name: String,
    pub address: String,
    /// Alive | leaving | left | failed.
    pub serf_status: String,
    pub version: String,
    pub leader: bool,
    /// Go duration string; "never" possible for unreachable servers.
    pub last_contact: String,
    pub last_term: u64,
    pub last_index: u64,
    pub healthy: bool,
    pub voter: bool,
    /// RFC 3339 seconds, UTC.
    pub stable_since: Option<String>,
}

/// The JSON object `OperatorUtilizationSnapshotResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OperatorUtilizationSnapshotResponse {
    /// ENT; base64.
    pub bundle: Option<Base64>,
}

/// The JSON object `QuotaLimit`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QuotaLimit {
    /// ENT.
    pub region: String,
    /// ENT.
    pub region_limit: Option<QuotaResources>,
    /// ENT.
    pub variables_limit: Option<i64>,
    /// Standard base64 of bytes; ENT.
    pub hash: Option<Base64>,
}

/// The JSON object `QuotaResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QuotaResources {
    /// ENT.
    #[wire("CPU")]
    pub cpu: Option<i64>,
    /// ENT.
    pub cores: Option<i64>,
    /// ENT.
    #[wire("MemoryMB")]
    pub memory_mb: Option<i64>,
    /// ENT.
    #[wire("MemoryMaxMB")]
    pub memory_max_mb: Option<i64>,
    /// ENT.
    pub devices: Option<Vec<RequestedDevice>>,
    /// ENT.
    #[wire("NUMA")]
    pub numa: Option<NUMAResource>,
    /// ENT.
    #[wire("SecretsMB")]
    pub secrets_mb: Option<i64>,
    /// ENT.
    pub storage: Option<QuotaStorageResources>,
    /// ENT.
    pub node_pools: Option<Vec<NodePoolLimit>>,
}

/// The JSON object `QuotaSpec`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QuotaSpec {
    /// ENT.
    pub name: String,
    /// ENT.
    pub description: String,
    /// ENT.
    pub limits: Option<Vec<QuotaLimit>>,
    /// ENT.
    pub create_index: u64,
    /// ENT.
    pub modify_index: u64,
}

/// The JSON object `QuotaUsage`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct QuotaUsage {
    /// ENT.
    pub name: String,
    /// ENT.
    pub used: Option<BTreeMap<String, Option<QuotaLimit>>>,
    /// ENT.
    pub create_index: u64,
    /// ENT.
    pub modify_index: u64,
}

/// The JSON object `RaftConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RaftConfiguration {
    pub servers: Option<Vec<RaftServer>>,
    pub index: u64,
}

/// The JSON object `Recommendation`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Recommendation {
    /// ENT.
    pub id: String,
    /// ENT.
    pub region: String,
    /// ENT.
    pub namespace: String,
    /// ENT.
    pub job_id: String,
    /// ENT.
    pub job_version: u64,
    /// ENT.
    pub group: String,
    /// ENT.
    pub task: String,
    /// ENT; CPU | MemoryMB.
    pub resource: String,
    /// ENT.
    pub value: i64,
    /// ENT.
    pub current: i64,
    /// ENT.
    pub meta: Option<BTreeMap<String, Option<Value>>>,
    /// ENT.
    pub stats: Option<BTreeMap<String, f64>>,
    /// ENT.
    pub enforce_version: bool,
    /// ENT; unix nanoseconds.
    pub submit_time: i64,
    /// ENT.
    pub create_index: u64,
    /// ENT.
    pub modify_index: u64,
}

/// The JSON object `RecommendationApplyRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RecommendationApplyRequest {
    /// ENT.
    pub apply: Option<Vec<String>>,
    /// ENT.
    pub dismiss: Option<Vec<String>>,
    /// ENT.
    pub policy_override: bool,
}

/// The JSON object `RecommendationApplyResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RecommendationApplyResponse {
    /// ENT.
    pub updated_jobs: Option<Vec<SingleRecommendationApplyResult>>,
    /// ENT.
    pub errors: Option<Vec<SingleRecommendationApplyError>>,
}

/// The JSON object `SingleRecommendationApplyResult`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SingleRecommendationApplyResult {
    /// ENT.
    pub namespace: String,
    /// ENT.
    pub job_id: String,
    /// ENT.
    pub job_modify_index: u64,
    /// ENT.
    pub eval_id: String,
    /// ENT.
    pub eval_create_index: u64,
    /// ENT.
    pub warnings: String,
    /// ENT.
    pub recommendations: Option<Vec<String>>,
}

/// The JSON object `SingleRecommendationApplyError`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SingleRecommendationApplyError {
    /// ENT.
    pub namespace: String,
    /// ENT.
    pub job_id: String,
    /// ENT.
    pub recommendations: Option<Vec<String>>,
    /// ENT.
    pub error: String,
}

/// The JSON object `SchedulerConfigurationResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SchedulerConfigurationResponse {
    pub scheduler_config: Option<SchedulerConfiguration>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `SchedulerSetConfigurationResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SchedulerSetConfigurationResponse {
    pub updated: bool,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `SentinelPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SentinelPolicy {
    /// ENT.
    pub name: String,
    /// ENT.
    pub description: String,
    /// ENT; submit-job | submit-host-volume | submit-csi-volume.
    pub scope: String,
    /// ENT; advisory | soft-mandatory | hard-mandatory.
    pub enforcement_level: String,
    /// ENT.
    pub policy: String,
    /// ENT.
    pub create_index: u64,
    /// ENT.
    pub modify_index: u64,
}

/// The JSON object `SentinelPolicyListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SentinelPolicyListStub {
    /// ENT.
    pub name: String,
    /// ENT.
    pub description: String,
    /// ENT.
    pub scope: String,
    /// ENT.
    pub enforcement_level: String,
    /// ENT.
    pub create_index: u64,
    /// ENT.
    pub modify_index: u64,
}

/// The JSON object `TaskGroupHostVolumeClaim`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupHostVolumeClaim {
    pub id: String,
    pub namespace: String,
    pub job_id: String,
    pub task_group_name: String,
    pub alloc_id: String,
    pub volume_id: String,
    pub volume_name: String,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `Variable`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Variable {
    /// Default: query namespace, else "default".
    pub namespace: String,
    /// Taken from the URL.
    pub path: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// String map, total size limit 64KiB.
    #[wire(omit_empty)]
    pub items: Option<BTreeMap<String, String>>,
    /// Only for the lock holder or management.
    #[wire(omit_empty)]
    pub lock: Option<VariableLock>,
}

/// The JSON object `VariableItems`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct VariableItems {
    /// Map of string to string.
    #[wire("<key>")]
    pub _key_: String,
}

/// The JSON object `VaultAccessor`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct VaultAccessor {
    pub alloc_id: String,
    pub task: String,
    pub node_id: String,
    pub accessor: String,
    #[wire("CreationTTL")]
    pub creation_ttl: i64,
    pub create_index: u64,
}

/// The JSON object `VaultWorkloadIdentityUpgradeCheck`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct VaultWorkloadIdentityUpgradeCheck {
    pub jobs_without_vault_identity: Option<Vec<JobListStub>>,
    pub outdated_nodes: Option<Vec<NodeListStub>>,
    pub vault_tokens: Option<Vec<VaultAccessor>>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `WriteRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct WriteRequest {
    pub region: String,
    pub namespace: String,
    /// Body copy of the token; read only for job register and plan.
    pub secret_id: String,
}
