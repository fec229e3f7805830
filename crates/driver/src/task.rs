//! What drivers and the client tell each other about a task.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use minicbor::{Decode, Encode};
use serde_json::{Map, Value};

/// Everything a driver needs to start a task.
#[derive(Debug, Clone)]
pub struct TaskConfig {
    /// Names the task for as long as it exists; a restart uses it again.
    pub id: String,
    pub alloc_id: String,
    pub task: String,
    /// Empty for the driver's usual user.
    pub user: String,
    /// The driver's own settings, with everything interpolated.
    pub config: Map<String, Value>,
    pub env: BTreeMap<String, String>,
    pub resources: TaskResources,
    pub directories: TaskDirectories,
    /// None when the job wants no logs.
    pub logs: Option<LogSettings>,
}

/// What a task was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskResources {
    pub cpu_mhz: u64,
    pub memory_mb: u64,
    /// 0 when not set; negative lifts the hard limit.
    pub memory_max_mb: i64,
    pub reserved_cores: Vec<u16>,
}

impl TaskResources {
    /// The hard memory limit in bytes; none when there is none.
    pub fn memory_limit(&self) -> Option<u64> {
        let megabytes = match self.memory_max_mb {
            0 => self.memory_mb,
            max => u64::try_from(max).ok()?,
        };
        (megabytes > 0).then(|| megabytes * 1024 * 1024)
    }

    /// What the task keeps under pressure, when it may use more than that.
    pub fn memory_reserve(&self) -> Option<u64> {
        (self.memory_max_mb != 0 && self.memory_mb > 0).then(|| self.memory_mb * 1024 * 1024)
    }
}

/// Directories of a task on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskDirectories {
    /// Shared by the tasks of the allocation.
    pub shared: PathBuf,
    pub task: PathBuf,
    pub local: PathBuf,
    pub secrets: PathBuf,
    pub logs: PathBuf,
}

/// How much output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    pub max_files: u32,
    pub max_file_size_mb: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { max_files: 10, max_file_size_mb: 10 }
    }
}

/// What is stored to find a task again after the agent was away.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TaskHandle {
    #[n(0)]
    pub driver: String,
    /// The version of `state`.
    #[n(1)]
    pub version: u32,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub state: Vec<u8>,
}

/// A task that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub handle: TaskHandle,
    /// The address of the task's own network, for drivers that make one.
    pub address: Option<std::net::IpAddr>,
}

/// How a task ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ExitResult {
    /// 128 and the signal when a signal ended it; -1 when nobody knows.
    #[n(0)]
    pub code: i32,
    #[n(1)]
    pub signal: i32,
    #[n(2)]
    pub out_of_memory: bool,
    #[n(3)]
    pub error: Option<String>,
}

impl ExitResult {
    /// Whether the task did what it should: code 0, no signal, no error.
    pub fn is_success(&self) -> bool {
        self.code == 0 && self.signal == 0 && self.error.is_none()
    }
}

/// Why a task did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    pub message: String,
    /// Whether starting again may help; only then the restart policy is asked.
    pub recoverable: bool,
}

impl StartError {
    /// A failure that no repetition mends.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), recoverable: false }
    }

    /// A failure that may pass.
    pub fn recoverable(message: impl Into<String>) -> Self {
        Self { message: message.into(), recoverable: true }
    }
}

/// Why a driver could not do what was asked about a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// Callers treat the task as gone already.
    #[error("task not found for given id")]
    NotFound,
    #[error("cannot destroy running task")]
    StillRunning,
    #[error("driver {driver} cannot {what}")]
    Unsupported { driver: &'static str, what: &'static str },
    #[error("plugin is shut down")]
    PluginShutdown,
    #[error("{0}")]
    Failed(String),
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    Running,
    Exited(ExitResult),
}

/// What a task uses now; processor time counts from its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStats {
    pub processes: Vec<i32>,
    pub user_nanoseconds: u64,
    pub system_nanoseconds: u64,
    pub memory_bytes: u64,
    pub memory_max_bytes: u64,
    pub resident_bytes: u64,
    pub cache_bytes: u64,
    pub throttled_periods: u64,
    pub throttled_nanoseconds: u64,
}

/// A command to run where the task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecCommand {
    pub args: Vec<String>,
    pub terminal: bool,
    /// None for no limit.
    pub timeout: Option<Duration>,
}

/// What a command is given while it runs. When no more can come, its input ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecInput {
    Bytes(Vec<u8>),
    /// The terminal has another size.
    Resize {
        rows: u16,
        columns: u16,
    },
}

/// What a command run in a task's context gives, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// Nothing follows.
    Ended {
        code: i32,
        timed_out: bool,
    },
    Failed(String),
}

/// How much of the host's file system a task sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystemIsolation {
    None,
    Chroot,
    Image,
    Unveil,
}

/// Networks that a driver can put a task into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    Host,
    Group,
    Task,
    None,
}

/// What a driver can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    pub send_signals: bool,
    pub exec: bool,
    pub file_system: FileSystemIsolation,
    pub network: &'static [NetworkMode],
    pub mounts: bool,
    pub must_create_network: bool,
    pub dynamic_users: bool,
    /// Whether the driver honours a job that wants no logs.
    pub can_disable_logs: bool,
    /// Whether tasks inherit the agent's environment, less what the denylist names.
    pub inherits_environment: bool,
    /// The user of tasks that name none; none is the agent's.
    pub default_user: Option<&'static str>,
    /// Whether the client's list of refused users applies.
    pub checks_users: bool,
}

/// How usable a driver is on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Undetected,
    Unhealthy,
    Healthy,
}

/// What a driver reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub health: Health,
    pub description: String,
    pub attributes: BTreeMap<String, String>,
}

impl Fingerprint {
    /// Ready for tasks.
    pub fn healthy(driver: &str) -> Self {
        let attributes = BTreeMap::from([(format!("driver.{driver}"), "true".to_owned())]);
        Self { health: Health::Healthy, description: "Healthy".to_owned(), attributes }
    }

    /// Not to be had on this node, and why.
    pub fn undetected(reason: impl Into<String>) -> Self {
        Self { health: Health::Undetected, description: reason.into(), attributes: BTreeMap::new() }
    }
}
