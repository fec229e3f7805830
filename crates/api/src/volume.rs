//! CSI and host volumes.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::{CSITopology, CSIVolume, HostVolume};

/// The JSON object `CSIPluginListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIPluginListStub {
    pub id: String,
    pub provider: String,
    pub controller_required: bool,
    pub controllers_healthy: i64,
    pub controllers_expected: i64,
    pub nodes_healthy: i64,
    pub nodes_expected: i64,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `CSISnapshot`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSISnapshot {
    pub id: String,
    pub external_source_volume_id: String,
    pub size_bytes: i64,
    pub create_time: i64,
    pub is_ready: bool,
    pub source_volume_id: String,
    pub plugin_id: String,
    pub name: String,
    pub secrets: Option<BTreeMap<String, String>>,
    pub parameters: Option<BTreeMap<String, String>>,
}

/// The JSON object `CSISnapshotCreateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSISnapshotCreateRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub snapshots: Option<Vec<CSISnapshot>>,
}

/// The JSON object `CSISnapshotCreateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSISnapshotCreateResponse {
    pub snapshots: Option<Vec<CSISnapshot>>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `CSISnapshotListResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSISnapshotListResponse {
    pub snapshots: Option<Vec<CSISnapshot>>,
    pub next_token: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
}

/// The JSON object `CSIVolumeCreateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeCreateRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub volumes: Option<Vec<CSIVolume>>,
    pub policy_override: bool,
    /// Internal, clients ignore it.
    pub timestamp: i64,
}

/// The JSON object `CSIVolumeCreateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeCreateResponse {
    pub volumes: Option<Vec<CSIVolume>>,
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `CSIVolumeExternalStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeExternalStub {
    pub external_id: String,
    pub capacity_bytes: i64,
    pub volume_context: Option<BTreeMap<String, String>>,
    pub clone_id: String,
    pub snapshot_id: String,
    #[wire("PublishedExternalNodeIDs")]
    pub published_external_node_ids: Option<Vec<String>>,
    pub is_abnormal: bool,
    pub status: String,
}

/// The JSON object `CSIVolumeListExternalResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeListExternalResponse {
    pub volumes: Option<Vec<CSIVolumeExternalStub>>,
    pub next_token: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
}

/// The JSON object `CSIVolumeListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeListStub {
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub external_id: String,
    pub topologies: Option<Vec<CSITopology>>,
    pub access_mode: String,
    pub attachment_mode: String,
    pub current_readers: i64,
    pub current_writers: i64,
    pub schedulable: bool,
    pub plugin_id: String,
    pub provider: String,
    pub controller_required: bool,
    pub controllers_healthy: i64,
    pub controllers_expected: i64,
    pub nodes_healthy: i64,
    pub nodes_expected: i64,
    /// Zero time is sent as null.
    pub resource_exhausted: Option<String>,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: i64,
    pub modify_time: i64,
}

/// The JSON object `CSIVolumeRegisterRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeRegisterRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub volumes: Option<Vec<CSIVolume>>,
    pub policy_override: bool,
    /// Internal, clients ignore it.
    pub timestamp: i64,
}

/// The JSON object `CSIVolumeRegisterResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeRegisterResponse {
    pub volumes: Option<Vec<CSIVolume>>,
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `HostVolumeCreateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeCreateRequest {
    pub volume: Option<HostVolume>,
    pub policy_override: bool,
}

/// The JSON object `HostVolumeCreateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeCreateResponse {
    pub volume: Option<HostVolume>,
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `HostVolumeDeleteResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeDeleteResponse {
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `HostVolumeRegisterRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeRegisterRequest {
    pub volume: Option<HostVolume>,
    pub policy_override: bool,
}

/// The JSON object `HostVolumeRegisterResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeRegisterResponse {
    pub volume: Option<HostVolume>,
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `HostVolumeStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeStub {
    pub namespace: String,
    pub id: String,
    pub name: String,
    pub plugin_id: String,
    pub node_pool: String,
    pub node_id: String,
    pub capacity_bytes: i64,
    pub state: String,
    pub create_index: u64,
    pub create_time: i64,
    pub modify_index: u64,
    pub modify_time: i64,
}
