//! Deployments.

use std::collections::BTreeMap;

use drover_macros::Wire;

/// The JSON object `Deployment`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Deployment {
    pub id: String,
    pub namespace: String,
    pub job_id: String,
    pub job_version: u64,
    pub job_modify_index: u64,
    pub job_spec_modify_index: u64,
    pub job_create_index: u64,
    /// ENT.
    pub is_multiregion: bool,
    pub task_groups: Option<BTreeMap<String, Option<DeploymentState>>>,
    /// Running | paused | failed | successful | cancelled | blocked | unblocking | initializing | pending.
    pub status: String,
    /// Human text; UI and CLI show it verbatim.
    pub status_description: String,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: i64,
    pub modify_time: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub eval_priority: i64,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `DeploymentState`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentState {
    pub placed_canaries: Option<Vec<String>>,
    pub auto_revert: bool,
    /// Nanoseconds.
    pub progress_deadline: i64,
    /// RFC 3339 or null when unset; zero time is sent as null.
    pub require_progress_by: Option<String>,
    pub promoted: bool,
    pub desired_canaries: i64,
    pub desired_total: i64,
    pub placed_allocs: i64,
    pub healthy_allocs: i64,
    pub unhealthy_allocs: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub auto_promote: bool,
}

/// The JSON object `DeploymentAllocHealthRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentAllocHealthRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub deployment_id: String,
    #[wire("HealthyAllocationIDs")]
    pub healthy_allocation_ids: Option<Vec<String>>,
    #[wire("UnhealthyAllocationIDs")]
    pub unhealthy_allocation_ids: Option<Vec<String>>,
}

/// The JSON object `DeploymentPauseRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentPauseRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub deployment_id: String,
    pub pause: bool,
}

/// The JSON object `DeploymentPromoteRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentPromoteRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub deployment_id: String,
    pub all: bool,
    pub groups: Option<Vec<String>>,
    pub promoted_at: i64,
}

/// The JSON object `DeploymentUnblockRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentUnblockRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    pub deployment_id: String,
}

/// The JSON object `DeploymentUpdateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentUpdateResponse {
    pub eval_id: String,
    pub eval_create_index: u64,
    pub deployment_modify_index: u64,
    pub reverted_job_version: Option<u64>,
    /// Reply metadata also in headers.
    pub index: u64,
}
