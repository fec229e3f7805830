//! Nodes, their resources, drains, pools and statistics.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::wire::Base64;
use crate::{DeviceGroupStats, NetworkResource};

/// The JSON object `Node`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Node {
    pub id: String,
    pub datacenter: String,
    pub name: String,
    /// Host:port clients may dial directly.
    #[wire("HTTPAddr")]
    pub http_addr: String,
    #[wire("TLSEnabled")]
    pub tls_enabled: bool,
    pub attributes: Option<BTreeMap<String, String>>,
    pub node_resources: Option<NodeResources>,
    pub reserved_resources: Option<NodeReservedResources>,
    pub links: Option<BTreeMap<String, String>>,
    pub meta: Option<BTreeMap<String, String>>,
    pub node_class: String,
    /// Default: "default".
    pub node_pool: String,
    pub cgroup_parent: String,
    /// Derived: true when DrainStrategy is set.
    pub drain: bool,
    pub drain_strategy: Option<DrainStrategy>,
    /// Eligible | ineligible; default: "eligible".
    pub scheduling_eligibility: String,
    /// Initializing | ready | down | disconnected.
    pub status: String,
    pub status_description: String,
    /// Unix seconds.
    pub status_updated_at: i64,
    pub events: Option<Vec<NodeEvent>>,
    pub drivers: Option<BTreeMap<String, Option<DriverInfo>>>,
    pub host_volumes: Option<BTreeMap<String, Option<HostVolumeInfo>>>,
    #[wire("GCVolumesOnNodeGC")]
    pub gc_volumes_on_node_gc: bool,
    pub host_networks: Option<BTreeMap<String, Option<HostNetworkInfo>>>,
    #[wire("CSIControllerPlugins")]
    pub csi_controller_plugins: Option<BTreeMap<String, Option<CSIInfo>>>,
    #[wire("CSINodePlugins")]
    pub csi_node_plugins: Option<BTreeMap<String, Option<CSIInfo>>>,
    pub last_drain: Option<DrainMetadata>,
    pub create_index: u64,
    pub modify_index: u64,
    pub node_max_allocs: i64,
    /// Server emits/accepts it; missing from the Go SDK type; always "" on the wire.
    pub secret_id: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub computed_class: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub identity_signing_key_id: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub last_missed_heartbeat_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub last_alloc_update_index: u64,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `NodeResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeResources {
    pub cpu: NodeCpuResources,
    pub memory: NodeMemoryResources,
    pub disk: NodeDiskResources,
    pub networks: Option<Vec<NetworkResource>>,
    pub devices: Option<Vec<NodeDeviceResource>>,
    pub min_dynamic_port: i64,
    pub max_dynamic_port: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub processors: NodeProcessorResources,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub node_networks: Option<Vec<NodeNetworkResource>>,
}

/// The JSON object `NodeCpuResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeCpuResources {
    pub cpu_shares: i64,
    pub total_cpu_cores: u64,
    pub reservable_cpu_cores: Option<Vec<u64>>,
}

/// The JSON object `NodeMemoryResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeMemoryResources {
    #[wire("MemoryMB")]
    pub memory_mb: i64,
}

/// The JSON object `NodeDiskResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeDiskResources {
    #[wire("DiskMB")]
    pub disk_mb: i64,
}

/// The JSON object `NodeDeviceResource`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeDeviceResource {
    pub vendor: String,
    pub r#type: String,
    pub name: String,
    pub instances: Option<Vec<NodeDevice>>,
    pub attributes: Option<BTreeMap<String, Option<Attribute>>>,
}

/// The JSON object `NodeDevice`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeDevice {
    pub id: String,
    pub healthy: bool,
    pub health_description: String,
    pub locality: Option<NodeDeviceLocality>,
}

/// The JSON object `NodeDeviceLocality`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeDeviceLocality {
    pub pci_bus_id: String,
}

/// The JSON object `Attribute`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Attribute {
    pub float: Option<f64>,
    pub int: Option<i64>,
    pub string: Option<String>,
    pub bool: Option<bool>,
    pub unit: String,
}

/// The JSON object `NodeProcessorResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeProcessorResources {
    pub topology: Option<Topology>,
}

/// The JSON object `Topology`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Topology {
    /// NUMA node numbers; the reply carries only Nodes, Distances, Cores and the two overrides.
    pub nodes: Option<Vec<u64>>,
    pub distances: Option<Vec<Vec<u64>>>,
    pub cores: Option<Vec<Core>>,
    pub override_total_compute: u64,
    pub override_withold_compute: u64,
}

/// The JSON object `Core`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Core {
    pub socket_id: u64,
    pub node_id: u64,
    pub id: u64,
    /// True = performance core (a JSON bool, seen in Node.NodeResources.Processors.Topology.Cores).
    pub grade: bool,
    pub disable: bool,
    pub base_speed: u64,
    pub max_speed: u64,
    pub guess_speed: u64,
}

/// The JSON object `NodeNetworkResource`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeNetworkResource {
    pub mode: String,
    pub device: String,
    pub mac_address: String,
    pub speed: i64,
    pub addresses: Option<Vec<NodeNetworkAddress>>,
}

/// The JSON object `NodeNetworkAddress`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeNetworkAddress {
    pub family: String,
    pub alias: String,
    pub address: String,
    pub reserved_ports: String,
    pub gateway: String,
}

/// The JSON object `NodeReservedResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeReservedResources {
    pub cpu: NodeReservedCpuResources,
    pub memory: NodeReservedMemoryResources,
    pub disk: NodeReservedDiskResources,
    pub networks: NodeReservedNetworkResources,
}

/// The JSON object `NodeReservedCpuResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeReservedCpuResources {
    pub cpu_shares: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub reserved_cpu_cores: Option<Vec<u64>>,
}

/// The JSON object `NodeReservedMemoryResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeReservedMemoryResources {
    #[wire("MemoryMB")]
    pub memory_mb: u64,
}

/// The JSON object `NodeReservedDiskResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeReservedDiskResources {
    #[wire("DiskMB")]
    pub disk_mb: u64,
}

/// The JSON object `NodeReservedNetworkResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeReservedNetworkResources {
    pub reserved_host_ports: String,
}

/// The JSON object `DrainStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DrainStrategy {
    /// Nanoseconds; -1 forces now, 0 means none.
    pub deadline: i64,
    pub ignore_system_jobs: bool,
    /// Null without deadline; zero time is sent as null.
    pub force_deadline: Option<String>,
    /// RFC 3339; zero time is sent as null.
    pub started_at: Option<String>,
}

/// The JSON object `NodeEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeEvent {
    pub message: String,
    /// Cluster | Drain | Driver | Heartbeat | Scheduler | Storage.
    pub subsystem: String,
    pub details: Option<BTreeMap<String, String>>,
    /// Zero time is sent as null.
    pub timestamp: Option<String>,
    pub create_index: u64,
}

/// The JSON object `DriverInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DriverInfo {
    pub attributes: Option<BTreeMap<String, String>>,
    pub detected: bool,
    pub healthy: bool,
    pub health_description: String,
    /// Zero time is sent as null.
    pub update_time: Option<String>,
}

/// The JSON object `HostVolumeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeInfo {
    pub path: String,
    pub read_only: bool,
    pub id: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub name: String,
}

/// The JSON object `HostNetworkInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostNetworkInfo {
    pub name: String,
    #[wire("CIDR")]
    pub cidr: String,
    pub interface: String,
    pub reserved_ports: String,
}

/// The JSON object `CSIInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIInfo {
    pub plugin_id: String,
    pub alloc_id: String,
    pub healthy: bool,
    pub health_description: String,
    /// Zero time is sent as null.
    pub update_time: Option<String>,
    pub requires_controller_plugin: bool,
    pub requires_topologies: bool,
    #[wire(omit_empty)]
    pub controller_info: Option<CSIControllerInfo>,
    #[wire(omit_empty)]
    pub node_info: Option<CSINodeInfo>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub provider: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub provider_version: String,
}

/// The JSON object `CSIControllerInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIControllerInfo {
    pub supports_create_delete: bool,
    pub supports_attach_detach: bool,
    pub supports_list_volumes: bool,
    pub supports_get_capacity: bool,
    pub supports_create_delete_snapshot: bool,
    pub supports_list_snapshots: bool,
    pub supports_clone: bool,
    pub supports_read_only_attach: bool,
    pub supports_expand: bool,
    pub supports_list_volumes_attached_nodes: bool,
    pub supports_condition: bool,
    pub supports_get: bool,
}

/// The JSON object `CSINodeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSINodeInfo {
    pub id: String,
    pub max_volumes: i64,
    pub accessible_topology: Option<CSITopology>,
    pub requires_node_stage_volume: bool,
    pub supports_stats: bool,
    pub supports_expand: bool,
    pub supports_condition: bool,
}

/// The JSON object `CSITopology`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSITopology {
    pub segments: Option<BTreeMap<String, String>>,
}

/// The JSON object `DrainMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DrainMetadata {
    /// Zero time is sent as null.
    pub started_at: Option<String>,
    /// Zero time is sent as null.
    pub updated_at: Option<String>,
    /// Draining | complete | canceled.
    pub status: String,
    pub accessor_id: String,
    pub meta: Option<BTreeMap<String, String>>,
}

/// The JSON object `NodeListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeListStub {
    pub address: String,
    pub id: String,
    /// Only with ?os=true.
    #[wire(omit_empty)]
    pub attributes: Option<BTreeMap<String, String>>,
    pub datacenter: String,
    pub name: String,
    pub node_class: String,
    /// Default: "default".
    pub node_pool: String,
    pub version: String,
    /// Derived.
    pub drain: bool,
    /// Eligible | ineligible.
    pub scheduling_eligibility: String,
    /// Initializing | ready | down | disconnected.
    pub status: String,
    pub status_description: String,
    pub drivers: Option<BTreeMap<String, Option<DriverInfo>>>,
    /// Only with ?resources=true.
    #[wire(omit_empty)]
    pub node_resources: Option<NodeResources>,
    /// Only with ?resources=true.
    #[wire(omit_empty)]
    pub reserved_resources: Option<NodeReservedResources>,
    /// Null if never drained.
    pub last_drain: Option<DrainMetadata>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; map of host volumes on the node.
    pub host_volumes: Option<BTreeMap<String, Option<HostVolumeInfo>>>,
}

/// The JSON object `NodeEligibilityUpdateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeEligibilityUpdateResponse {
    pub node_modify_index: u64,
    #[wire("EvalIDs")]
    pub eval_ids: Option<Vec<String>>,
    pub eval_create_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `NodeDrainUpdateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeDrainUpdateResponse {
    pub node_modify_index: u64,
    #[wire("EvalIDs")]
    pub eval_ids: Option<Vec<String>>,
    pub eval_create_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `NodeUpdateDrainRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeUpdateDrainRequest {
    /// SDK fills it; the path wins.
    pub node_id: String,
    /// Null stops the drain.
    pub drain_spec: Option<DrainSpec>,
    /// Only with a null DrainSpec.
    pub mark_eligible: bool,
    pub meta: Option<BTreeMap<String, String>>,
}

/// The JSON object `DrainSpec`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DrainSpec {
    /// Nanoseconds; -1 forces now, 0 means none.
    pub deadline: i64,
    pub ignore_system_jobs: bool,
}

/// The JSON object `NodeUpdateEligibilityRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeUpdateEligibilityRequest {
    pub node_id: String,
    /// Eligible | ineligible.
    pub eligibility: String,
    /// Internal, clients ignore it.
    pub node_event: Option<NodeEvent>,
    /// Internal, clients ignore it.
    pub updated_at: i64,
}

/// The JSON object `NodePurgeResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodePurgeResponse {
    #[wire("EvalIDs")]
    pub eval_ids: Option<Vec<String>>,
    pub eval_create_index: u64,
    pub node_modify_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
    /// Nanoseconds; server emits/accepts it; missing from the Go SDK type.
    #[wire("HeartbeatTTL")]
    pub heartbeat_ttl: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub features: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    #[wire("LeaderRPCAddr")]
    pub leader_rpc_addr: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub num_nodes: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub servers: Option<Vec<NodeServerInfo>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub scheduling_eligibility: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub signed_identity: Option<String>,
}

/// The JSON object `NodeServerInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeServerInfo {
    #[wire("RPCAdvertiseAddr")]
    pub rpc_advertise_addr: String,
    #[wire("RPCMajorVersion")]
    pub rpc_major_version: i64,
    #[wire("RPCMinorVersion")]
    pub rpc_minor_version: i64,
    pub datacenter: String,
}

/// The JSON object `NodeEvalResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeEvalResponse {
    /// SDK field never sent; use EvalIDs.
    pub eval_id: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
    /// Nanoseconds; server emits/accepts it; missing from the Go SDK type.
    #[wire("HeartbeatTTL")]
    pub heartbeat_ttl: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    #[wire("EvalIDs")]
    pub eval_ids: Option<Vec<String>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub eval_create_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub node_modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub features: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    #[wire("LeaderRPCAddr")]
    pub leader_rpc_addr: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub num_nodes: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub servers: Option<Vec<NodeServerInfo>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub scheduling_eligibility: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub signed_identity: Option<String>,
}

/// The JSON object `HostStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostStats {
    pub memory: Option<HostMemoryStats>,
    #[wire("CPU")]
    pub cpu: Option<Vec<HostCPUStats>>,
    pub disk_stats: Option<Vec<HostDiskStats>>,
    pub alloc_dir_stats: Option<HostDiskStats>,
    pub device_stats: Option<Vec<DeviceGroupStats>>,
    /// Seconds.
    pub uptime: u64,
    #[wire("CPUTicksConsumed")]
    pub cpu_ticks_consumed: f64,
    /// Server emits/accepts it; missing from the Go SDK type; unix nanoseconds.
    pub timestamp: i64,
}

/// The JSON object `HostMemoryStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostMemoryStats {
    pub total: u64,
    pub available: u64,
    pub used: u64,
    pub free: u64,
}

/// The JSON object `HostCPUStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostCPUStats {
    #[wire("CPU")]
    pub cpu: String,
    pub user: f64,
    pub system: f64,
    pub idle: f64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub total_percent: f64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub total_ticks: f64,
}

/// The JSON object `HostDiskStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostDiskStats {
    pub device: String,
    pub mountpoint: String,
    pub size: u64,
    pub used: u64,
    pub available: u64,
    pub used_percent: f64,
    pub inodes_used_percent: f64,
}

/// The JSON object `NodeMetaApplyRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeMetaApplyRequest {
    pub node_id: String,
    /// Null value deletes a key.
    pub meta: Option<BTreeMap<String, Option<String>>>,
}

/// The JSON object `NodeMetaResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeMetaResponse {
    pub meta: Option<BTreeMap<String, String>>,
    /// Null value marks a deleted static key.
    pub dynamic: Option<BTreeMap<String, Option<String>>>,
    pub r#static: Option<BTreeMap<String, String>>,
}

/// The JSON object `NodePool`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodePool {
    pub name: String,
    pub description: String,
    pub meta: Option<BTreeMap<String, String>>,
    /// Nanoseconds; server emits int nanoseconds; input may be a number or a string like "24h" (SDK sends a string); default: 86400000000000 (24h) (server side).
    #[wire("NodeIdentityTTL")]
    pub node_identity_ttl: i64,
    pub scheduler_configuration: Option<NodePoolSchedulerConfiguration>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `NodePoolSchedulerConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodePoolSchedulerConfiguration {
    /// ENT.
    pub scheduler_algorithm: String,
    /// ENT.
    pub memory_oversubscription_enabled: Option<bool>,
}

/// The JSON object `NodeIdentityGetResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeIdentityGetResponse {
    pub claims: Option<BTreeMap<String, Option<Value>>>,
}

/// The JSON object `NodeIdentityRenewRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeIdentityRenewRequest {
    pub node_id: String,
}

/// The JSON object `NodeIdentityRenewResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeIdentityRenewResponse {}
