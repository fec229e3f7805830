//! Allocations: what runs where, task states, files, logs and statistics.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::wire::Base64;
use crate::{AllocationMetric, DNSConfig, Job, NetworkResource, Resources, TaskLifecycle};

/// The JSON object `Allocation`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Allocation {
    #[wire(omit_empty)]
    pub id: String,
    #[wire(omit_empty)]
    pub namespace: String,
    #[wire(omit_empty)]
    pub eval_id: String,
    #[wire(omit_empty)]
    pub name: String,
    #[wire(omit_empty)]
    pub node_id: String,
    #[wire(omit_empty)]
    pub node_name: String,
    #[wire(omit_empty)]
    pub job_id: String,
    /// Full job at placement time; absent in event payloads.
    #[wire(omit_empty)]
    pub job: Option<Job>,
    #[wire(omit_empty)]
    pub task_group: String,
    /// Legacy, may be empty.
    #[wire(omit_empty)]
    pub resources: Option<Resources>,
    /// Legacy, may be empty.
    #[wire(omit_empty)]
    pub task_resources: Option<BTreeMap<String, Option<Resources>>>,
    #[wire(omit_empty)]
    pub allocated_resources: Option<AllocatedResources>,
    #[wire(omit_empty)]
    pub metrics: Option<AllocationMetric>,
    /// Run | stop | evict.
    #[wire(omit_empty)]
    pub desired_status: String,
    #[wire(omit_empty)]
    pub desired_description: String,
    #[wire(omit_empty)]
    pub desired_transition: DesiredTransition,
    /// Pending | running | complete | failed | lost | unknown.
    #[wire(omit_empty)]
    pub client_status: String,
    #[wire(omit_empty)]
    pub client_description: String,
    #[wire(omit_empty)]
    pub task_states: Option<BTreeMap<String, Option<TaskState>>>,
    #[wire(omit_empty)]
    pub deployment_id: String,
    #[wire(omit_empty)]
    pub deployment_status: Option<AllocDeploymentStatus>,
    #[wire(omit_empty)]
    pub followup_eval_id: String,
    #[wire(omit_empty)]
    pub previous_allocation: String,
    #[wire(omit_empty)]
    pub next_allocation: String,
    #[wire(omit_empty)]
    pub reschedule_tracker: Option<RescheduleTracker>,
    #[wire(omit_empty)]
    pub network_status: Option<AllocNetworkStatus>,
    #[wire(omit_empty)]
    pub preempted_allocations: Option<Vec<String>>,
    #[wire(omit_empty)]
    pub preempted_by_allocation: String,
    #[wire(omit_empty)]
    pub create_index: u64,
    #[wire(omit_empty)]
    pub modify_index: u64,
    #[wire(omit_empty)]
    pub alloc_modify_index: u64,
    /// Unix nanoseconds.
    #[wire(omit_empty)]
    pub create_time: i64,
    /// Unix nanoseconds.
    #[wire(omit_empty)]
    pub modify_time: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    #[wire(omit_empty)]
    pub shared_resources: Option<Resources>,
    /// Server emits/accepts it; missing from the Go SDK type; history of client status changes.
    #[wire(omit_empty)]
    pub alloc_states: Option<Vec<AllocState>>,
    /// Server emits/accepts it; missing from the Go SDK type; root key that signed the identities.
    #[wire(omit_empty)]
    pub signing_key_id: String,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `AllocNetworkStatus`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocNetworkStatus {
    pub interface_name: String,
    pub address: String,
    #[wire("AddressIPv6")]
    pub address_ipv6: String,
    #[wire("DNS")]
    pub dns: Option<DNSConfig>,
}

/// The JSON object `AllocState`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocState {
    pub field: u64,
    pub value: String,
    /// Zero time is sent as null.
    pub time: Option<String>,
}

/// The JSON object `AllocStopResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocStopResponse {
    pub eval_id: String,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `AllocationRestartRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocationRestartRequest {
    pub task_name: String,
    pub all_tasks: bool,
}

/// The JSON object `AllocSignalRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocSignalRequest {
    /// "" signals every task.
    pub task: String,
    /// Name such as SIGUSR1.
    pub signal: String,
    /// Internal, clients ignore it.
    pub alloc_id: String,
}

/// The JSON object `AllocCheckStatuses`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocCheckStatuses {
    /// Map keyed by check ID.
    #[wire("<check id>")]
    pub _check_id_: AllocCheckStatus,
}

/// The JSON object `AllocCheckStatus`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocCheckStatus {
    pub id: String,
    pub check: String,
    pub group: String,
    /// Healthiness | readiness.
    pub mode: String,
    pub output: String,
    pub service: String,
    pub task: String,
    /// Success | failure | pending.
    pub status: String,
    /// Of HTTP checks; 0 where nobody answered.
    pub status_code: i64,
    /// Unix seconds.
    pub timestamp: i64,
}

/// The JSON object `AllocFileInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocFileInfo {
    pub name: String,
    pub is_dir: bool,
    pub size: i64,
    /// Like -rw-r--r--.
    pub file_mode: String,
    /// Zero time is sent as null.
    pub mod_time: Option<String>,
    /// Only from stat of a file.
    pub content_type: String,
}

/// The JSON object `AllocResourceUsage`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocResourceUsage {
    pub resource_usage: Option<ResourceUsage>,
    pub tasks: Option<BTreeMap<String, Option<TaskResourceUsage>>>,
    pub timestamp: i64,
}

/// The JSON object `ResourceUsage`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ResourceUsage {
    pub memory_stats: Option<MemoryStats>,
    pub cpu_stats: Option<CpuStats>,
    pub device_stats: Option<Vec<DeviceGroupStats>>,
}

/// The JSON object `MemoryStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct MemoryStats {
    #[wire("RSS")]
    pub rss: u64,
    pub cache: u64,
    pub swap: u64,
    pub usage: u64,
    pub max_usage: u64,
    pub kernel_usage: u64,
    pub kernel_max_usage: u64,
    pub measured: Option<Vec<String>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub mapped_file: u64,
}

/// The JSON object `CpuStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CpuStats {
    pub system_mode: f64,
    pub user_mode: f64,
    pub total_ticks: f64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
    pub percent: f64,
    pub measured: Option<Vec<String>>,
}

/// The JSON object `DeviceGroupStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeviceGroupStats {
    pub vendor: String,
    pub r#type: String,
    pub name: String,
    pub instance_stats: Option<BTreeMap<String, Option<DeviceStats>>>,
}

/// The JSON object `DeviceStats`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeviceStats {
    pub summary: Option<StatValue>,
    pub stats: Option<StatObject>,
    /// Zero time is sent as null.
    pub timestamp: Option<String>,
}

/// The JSON object `StatValue`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct StatValue {
    pub float_numerator_val: Option<f64>,
    pub float_denominator_val: Option<f64>,
    pub int_numerator_val: Option<i64>,
    pub int_denominator_val: Option<i64>,
    pub string_val: Option<String>,
    pub bool_val: Option<bool>,
    pub unit: String,
    pub desc: String,
}

/// The JSON object `StatObject`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct StatObject {
    pub nested: Option<BTreeMap<String, Option<StatObject>>>,
    pub attributes: Option<BTreeMap<String, Option<StatValue>>>,
}

/// The JSON object `TaskResourceUsage`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskResourceUsage {
    pub resource_usage: Option<ResourceUsage>,
    pub timestamp: i64,
    pub pids: Option<BTreeMap<String, Option<ResourceUsage>>>,
}

/// The JSON object `StreamFrame`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct StreamFrame {
    pub offset: i64,
    /// Base64.
    pub data: Option<Base64>,
    /// Path such as alloc/logs/web.stdout.0.
    pub file: String,
    /// "" | file deleted | file truncated | log.
    pub file_event: String,
}

/// The JSON object `AllocPauseRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocPauseRequest {
    pub task: String,
    /// Pause | run | scheduled.
    pub schedule_state: String,
}

/// The JSON object `AllocGetPauseResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocGetPauseResponse {
    /// "" | force_run | force_pause | scheduled_pause | schedule_resume.
    pub schedule_state: String,
}

/// The JSON object `ExecStreamingInput`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct ExecStreamingInput {
    #[wire("stdin")]
    pub stdin: Option<ExecStreamingIOOperation>,
    #[wire("tty_size")]
    pub tty_size: Option<TerminalSize>,
}

/// The JSON object `ExecStreamingIOOperation`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct ExecStreamingIOOperation {
    /// Base64.
    #[wire("data")]
    pub data: Option<Base64>,
    #[wire("close")]
    pub close: bool,
}

/// The JSON object `TerminalSize`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct TerminalSize {
    #[wire("height")]
    pub height: i64,
    #[wire("width")]
    pub width: i64,
}

/// The JSON object `ExecStreamingOutput`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct ExecStreamingOutput {
    #[wire("stdout")]
    pub stdout: Option<ExecStreamingIOOperation>,
    #[wire("stderr")]
    pub stderr: Option<ExecStreamingIOOperation>,
    /// True together with result ends the session.
    #[wire("exited")]
    pub exited: bool,
    #[wire("result")]
    pub result: Option<ExecStreamingExitResult>,
}

/// The JSON object `ExecStreamingExitResult`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct ExecStreamingExitResult {
    #[wire("exit_code")]
    pub exit_code: i64,
}

/// The JSON object `WebsocketHandshake`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct WebsocketHandshake {
    /// Must be 1.
    #[wire("version")]
    pub version: i64,
    /// ACL secret or JWT.
    #[wire("auth_token")]
    pub auth_token: String,
}

/// The JSON object `AllocationListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocationListStub {
    pub id: String,
    pub eval_id: String,
    pub name: String,
    pub namespace: String,
    pub node_id: String,
    pub node_name: String,
    pub job_id: String,
    pub job_type: String,
    pub job_version: u64,
    pub task_group: String,
    /// Only with ?resources=true.
    pub allocated_resources: Option<AllocatedResources>,
    /// Run | stop | evict.
    pub desired_status: String,
    pub desired_description: String,
    /// Pending | running | complete | failed | lost | unknown.
    pub client_status: String,
    pub client_description: String,
    /// Null with ?task_states=false.
    pub task_states: Option<BTreeMap<String, Option<TaskState>>>,
    pub deployment_status: Option<AllocDeploymentStatus>,
    pub followup_eval_id: String,
    pub next_allocation: String,
    pub reschedule_tracker: Option<RescheduleTracker>,
    pub preempted_allocations: Option<Vec<String>>,
    pub preempted_by_allocation: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub desired_transition: DesiredTransition,
}

/// The JSON object `AllocatedResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedResources {
    pub tasks: Option<BTreeMap<String, Option<AllocatedTaskResources>>>,
    pub shared: AllocatedSharedResources,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub task_lifecycles: Option<BTreeMap<String, Option<TaskLifecycle>>>,
}

/// The JSON object `AllocatedTaskResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedTaskResources {
    pub cpu: AllocatedCpuResources,
    pub memory: AllocatedMemoryResources,
    pub networks: Option<Vec<NetworkResource>>,
    pub devices: Option<Vec<AllocatedDeviceResource>>,
}

/// The JSON object `AllocatedCpuResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedCpuResources {
    pub cpu_shares: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub reserved_cores: Option<Vec<u64>>,
}

/// The JSON object `AllocatedMemoryResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedMemoryResources {
    #[wire("MemoryMB")]
    pub memory_mb: i64,
    #[wire("MemoryMaxMB")]
    pub memory_max_mb: i64,
}

/// The JSON object `AllocatedDeviceResource`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedDeviceResource {
    pub vendor: String,
    pub r#type: String,
    pub name: String,
    #[wire("DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
}

/// The JSON object `AllocatedSharedResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedSharedResources {
    #[wire("DiskMB")]
    pub disk_mb: i64,
    pub networks: Option<Vec<NetworkResource>>,
    pub ports: Option<Vec<PortMapping>>,
}

/// The JSON object `PortMapping`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct PortMapping {
    pub label: String,
    pub value: i64,
    pub to: i64,
    #[wire("HostIP")]
    pub host_ip: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub ignore_collision: bool,
}

/// The JSON object `TaskState`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskState {
    /// Pending | running | dead; default: "pending".
    pub state: String,
    pub failed: bool,
    pub restarts: u64,
    /// Null if never restarted; zero time is sent as null.
    pub last_restart: Option<String>,
    /// Null until started; zero time is sent as null.
    pub started_at: Option<String>,
    /// Null until finished; zero time is sent as null.
    pub finished_at: Option<String>,
    pub events: Option<Vec<TaskEvent>>,
    /// Server emits/accepts it; missing from the Go SDK type; ENT: "" | force_run | force_pause | scheduled_pause | schedule_resume.
    pub paused: String,
}

/// The JSON object `TaskEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskEvent {
    /// Received | Task Setup | Building Task Directory | Downloading Artifacts | Driver | Started | Terminated | Killing | Killed | Restarting | Not Restarting | Restart Signaled | Signaling | Setup Failure | Driver Failure | Failed Validation | Failed Artifact Download | Disk Resources Exceeded | Sibling Task Failed | Leader Task Dead | Main Tasks Dead | Task hook failed | Failed Restoring Task | Plugin became unhealthy | Reconnected | Skipping shutdown delay | Running.
    pub r#type: String,
    /// Unix nanoseconds.
    pub time: i64,
    /// Filled by the HTTP layer.
    pub display_message: String,
    /// Free string map (exit_code, signal, oom_killed, ...).
    pub details: Option<BTreeMap<String, String>>,
    pub message: String,
    pub fails_task: bool,
    pub restart_reason: String,
    pub setup_error: String,
    pub driver_error: String,
    pub driver_message: String,
    pub exit_code: i64,
    pub signal: i64,
    pub kill_reason: String,
    /// Nanoseconds.
    pub kill_timeout: i64,
    pub kill_error: String,
    pub start_delay: i64,
    pub download_error: String,
    pub validation_error: String,
    pub disk_limit: i64,
    /// SDK only, never sent.
    pub disk_size: i64,
    pub failed_sibling: String,
    pub vault_error: String,
    pub task_signal_reason: String,
    pub task_signal: String,
    pub generic_source: String,
}

/// The JSON object `AllocDeploymentStatus`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocDeploymentStatus {
    /// Null while undecided.
    pub healthy: Option<bool>,
    /// RFC 3339; zero time is sent as null.
    pub timestamp: Option<String>,
    pub canary: bool,
    pub modify_index: u64,
}

/// The JSON object `RescheduleTracker`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RescheduleTracker {
    pub events: Option<Vec<RescheduleEvent>>,
    pub last_reschedule: String,
}

/// The JSON object `RescheduleEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RescheduleEvent {
    /// Unix nanoseconds.
    pub reschedule_time: i64,
    pub prev_alloc_id: String,
    pub prev_node_id: String,
    /// Nanoseconds; server emits/accepts it; missing from the Go SDK type.
    pub delay: i64,
}

/// The JSON object `DesiredTransition`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DesiredTransition {
    pub migrate: Option<bool>,
    pub reschedule: Option<bool>,
    pub force_reschedule: Option<bool>,
    pub no_shutdown_delay: Option<bool>,
    pub migrate_disable_placement: Option<bool>,
}
