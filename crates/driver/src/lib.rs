//! Drivers: how a task becomes a process. The trait, the registry, the drivers that are built in, and the shim that owns each process
//! so that it outlives the agent.

pub mod exec;
mod executor;
pub mod mock;
pub mod raw_exec;
pub mod registry;
pub mod schema;
pub mod shim;
pub mod task;

pub use executor::Executor;
pub use registry::{Driver, Registry};
pub use task::{
    Capabilities, DriverError, ExecCommand, ExecInput, ExecOutput, ExitResult, FileSystemIsolation, Fingerprint, Health, LogSettings,
    NetworkMode, StartError, Started, TaskConfig, TaskDirectories, TaskHandle, TaskResources, TaskState, TaskStats,
};
