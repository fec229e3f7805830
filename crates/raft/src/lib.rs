//! Consensus: openraft behind our own types, with a log and snapshots of our own on a `drover_rt::Disk`.
//!
//! No `openraft` type leaves this crate and none is written to disk as it is. One code path serves a single voter in
//! memory and a durable one; the simulation runs the same code on virtual time.

mod codec;
mod inspect;
mod log;
mod machine;
mod node;
mod types;
mod version;

pub use inspect::{StoredLog, inspect};
pub use log::{DiskLogOptions, LogError, PlantedBug, StoredContent, StoredEntry};
pub use machine::{Machine, MachineError};
pub use node::{Consensus, LogLimits, OpenError, Options, ProposeError, RaftStatus, Storage};
pub use types::{Refusal, Reply};
pub use version::{PROTOCOL, VersionError, check_version};
