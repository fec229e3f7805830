//! What is asked and answered about jobs.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::wire::Base64;
use crate::{Job, JobDiff, Multiregion};

/// The JSON object `JobRegisterRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobRegisterRequest {
    /// Embedded WriteRequest: beats the query string; see conventions 7.
    pub region: String,
    /// Embedded WriteRequest: after the query string, before Job.Namespace.
    pub namespace: String,
    /// Embedded WriteRequest: body copy of the token; the header wins.
    pub secret_id: String,
    pub submission: Option<JobSubmission>,
    pub job: Option<Job>,
    /// Check JobModifyIndex before writing.
    #[wire(omit_empty)]
    pub enforce_index: bool,
    /// 0 with EnforceIndex means the job must not exist.
    #[wire(omit_empty)]
    pub job_modify_index: u64,
    /// ENT soft-mandatory sentinel override.
    #[wire(omit_empty)]
    pub policy_override: bool,
    /// Keep current group counts.
    #[wire(omit_empty)]
    pub preserve_counts: bool,
    /// Keep current task resources.
    #[wire(omit_empty)]
    pub preserve_resources: bool,
    /// 0 or 1..100.
    #[wire(omit_empty)]
    pub eval_priority: i64,
}

/// The JSON object `JobSubmission`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobSubmission {
    /// Raw job file text.
    pub source: String,
    /// Hcl2 | hcl1 | json.
    pub format: String,
    /// URL-escaped at rest, unescaped on read; default: null when empty.
    pub variable_flags: Option<BTreeMap<String, String>>,
    /// HCL variable file text.
    pub variables: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub namespace: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub job_id: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub version: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub job_modify_index: u64,
}

/// The JSON object `JobRegisterResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobRegisterResponse {
    /// "" for periodic and parameterized jobs.
    pub eval_id: String,
    pub eval_create_index: u64,
    pub job_modify_index: u64,
    /// Multi-line text, "" when none.
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

/// The JSON object `JobDeregisterResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDeregisterResponse {
    pub eval_id: String,
    pub eval_create_index: u64,
    pub job_modify_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
    /// Internal, clients ignore it.
    pub volume_eval_id: String,
    /// Internal, clients ignore it.
    pub volume_eval_index: u64,
}

/// The JSON object `JobValidateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobValidateRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: not read; Job.Namespace counts.
    pub namespace: String,
    /// Embedded WriteRequest: not read.
    pub secret_id: String,
    pub job: Option<Job>,
}

/// The JSON object `JobValidateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobValidateResponse {
    /// Always true.
    pub driver_config_validated: bool,
    /// Null when valid.
    pub validation_errors: Option<Vec<String>>,
    /// Joined text of all errors.
    pub error: String,
    pub warnings: String,
}

/// The JSON object `JobsParseRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobsParseRequest {
    /// HCL2 text.
    #[wire("JobHCL")]
    pub job_hcl: String,
    /// HCL variable file text.
    pub variables: String,
    pub canonicalize: bool,
}

/// The JSON object `JobListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobListStub {
    pub id: String,
    pub parent_id: String,
    pub name: String,
    #[wire(omit_empty)]
    pub namespace: String,
    pub datacenters: Option<Vec<String>>,
    pub r#type: String,
    pub priority: i64,
    pub periodic: bool,
    pub parameterized_job: bool,
    pub stop: bool,
    /// Pending | running | dead.
    pub status: String,
    pub status_description: String,
    /// Queued and running counts per group.
    pub job_summary: Option<JobSummary>,
    pub create_index: u64,
    pub modify_index: u64,
    pub job_modify_index: u64,
    /// Unix nanoseconds.
    pub submit_time: i64,
    /// Null unless ?meta=true.
    pub meta: Option<BTreeMap<String, String>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub node_pool: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub multiregion: Option<Multiregion>,
}

/// The JSON object `JobSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobSummary {
    pub job_id: String,
    pub namespace: String,
    pub summary: Option<BTreeMap<String, TaskGroupSummary>>,
    pub children: Option<JobChildrenSummary>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `TaskGroupSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupSummary {
    pub queued: i64,
    pub complete: i64,
    pub failed: i64,
    pub running: i64,
    pub starting: i64,
    pub lost: i64,
    /// Disconnected clients.
    pub unknown: i64,
}

/// The JSON object `JobChildrenSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobChildrenSummary {
    pub pending: i64,
    pub running: i64,
    pub dead: i64,
}

/// The JSON object `JobVersionsResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobVersionsResponse {
    pub versions: Option<Vec<Job>>,
    pub diffs: Option<Vec<JobDiff>>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `ScalingRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingRequest {
    /// Embedded WriteRequest: not read by the server.
    pub region: String,
    /// Embedded WriteRequest: not read by the server.
    pub namespace: String,
    /// Embedded WriteRequest: not read by the server.
    pub secret_id: String,
    /// Null records an event without changing the count.
    pub count: Option<i64>,
    /// Map with Job, Group (Namespace) keys.
    pub target: Option<BTreeMap<String, String>>,
    pub message: String,
    /// Marks the event as an error.
    pub error: bool,
    pub meta: Option<BTreeMap<String, Option<Value>>>,
    pub policy_override: bool,
    pub job_modify_index: u64,
}

/// The JSON object `JobScaleStatusResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobScaleStatusResponse {
    pub job_id: String,
    pub namespace: String,
    pub job_create_index: u64,
    pub job_modify_index: u64,
    pub job_stopped: bool,
    pub task_groups: Option<BTreeMap<String, TaskGroupScaleStatus>>,
}

/// The JSON object `TaskGroupScaleStatus`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupScaleStatus {
    pub desired: i64,
    pub placed: i64,
    pub running: i64,
    pub healthy: i64,
    pub unhealthy: i64,
    pub events: Option<Vec<ScalingEvent>>,
}

/// The JSON object `ScalingEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingEvent {
    pub count: Option<i64>,
    pub previous_count: i64,
    pub error: bool,
    pub message: String,
    pub meta: Option<BTreeMap<String, Option<Value>>>,
    /// Null when none.
    pub eval_id: Option<String>,
    /// Unix nanoseconds.
    pub time: i64,
    pub create_index: u64,
}

/// The JSON object `JobRevertRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobRevertRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    /// Must equal the path.
    pub job_id: String,
    pub job_version: u64,
    /// Null means no check.
    pub enforce_prior_version: Option<u64>,
}

/// The JSON object `JobEvaluateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobEvaluateRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    /// Must equal the path.
    pub job_id: String,
    pub eval_options: EvalOptions,
}

/// The JSON object `EvalOptions`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalOptions {
    pub force_reschedule: bool,
}

/// The JSON object `JobDispatchRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDispatchRequest {
    /// Optional; must equal the path.
    pub job_id: String,
    /// Base64, max 16384 bytes decoded.
    pub payload: Option<Base64>,
    pub meta: Option<BTreeMap<String, String>>,
    /// Inserted into the child ID.
    #[wire("IdPrefixTemplate")]
    pub id_prefix_template: String,
    /// Default: parent job priority.
    pub priority: i64,
}

/// The JSON object `JobDispatchResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDispatchResponse {
    pub dispatched_job_id: String,
    pub eval_id: String,
    pub eval_create_index: u64,
    pub job_create_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `JobStabilityRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStabilityRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    /// Must equal the path.
    pub job_id: String,
    pub job_version: u64,
    pub stable: bool,
}

/// The JSON object `JobStabilityResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStabilityResponse {
    /// SDK field that the server never sends.
    pub job_modify_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `JobStatusesRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesRequest {
    pub jobs: Option<Vec<NamespacedID>>,
    pub include_children: bool,
}

/// The JSON object `NamespacedID`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NamespacedID {
    pub namespace: String,
    pub id: String,
}

/// The JSON object `JobStatusesJob`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesJob {
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub r#type: String,
    pub node_pool: String,
    pub datacenters: Option<Vec<String>>,
    pub priority: i64,
    pub version: u64,
    pub submit_time: i64,
    pub modify_index: u64,
    /// Null for parents.
    pub allocs: Option<Vec<JobStatusesAlloc>>,
    /// Sum of group counts.
    pub group_count_sum: i64,
    /// () for periodic/parameterized, null otherwise.
    pub child_statuses: Option<Vec<String>>,
    pub parent_id: String,
    pub latest_deployment: Option<JobStatusesLatestDeployment>,
    pub stop: bool,
    /// True when Meta has pack.name.
    pub is_pack: bool,
    pub status: String,
}

/// The JSON object `JobStatusesAlloc`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesAlloc {
    pub id: String,
    pub group: String,
    pub client_status: String,
    pub node_id: String,
    pub deployment_status: JobStatusesDeployment,
    pub job_version: u64,
    pub followup_eval_id: String,
    pub has_paused_task: bool,
}

/// The JSON object `JobStatusesDeployment`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesDeployment {
    pub canary: bool,
    pub healthy: Option<bool>,
}

/// The JSON object `JobStatusesLatestDeployment`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesLatestDeployment {
    pub id: String,
    pub is_active: bool,
    pub job_version: u64,
    pub status: String,
    pub status_description: String,
    pub all_auto_promote: bool,
    pub requires_promotion: bool,
}

/// The JSON object `JobTagResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobTagResponse {
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
    pub name: String,
    pub description: String,
    pub tagged_time: i64,
}

/// The JSON object `TagVersionRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TagVersionRequest {
    /// Embedded WriteRequest: not read by the server.
    pub region: String,
    /// Embedded WriteRequest: not read by the server.
    pub namespace: String,
    /// Embedded WriteRequest: not read by the server.
    pub secret_id: String,
    /// Version number to tag.
    pub version: u64,
    /// Added in 2.0.1; excludes a non-zero Version.
    pub latest: bool,
    pub description: String,
}

/// The JSON object `JobAction`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobAction {
    pub name: String,
    /// From the embedded Action.
    pub command: String,
    pub args: Option<Vec<String>>,
    pub task_name: String,
    pub task_group_name: String,
}

/// The JSON object `PeriodicForceResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct PeriodicForceResponse {
    pub eval_id: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub eval_create_index: u64,
}

/// The JSON object `ScalingPolicyListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingPolicyListStub {
    pub id: String,
    pub enabled: bool,
    pub r#type: String,
    pub target: Option<BTreeMap<String, String>>,
    pub create_index: u64,
    pub modify_index: u64,
}
