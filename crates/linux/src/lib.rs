//! What the rest of the product asks of the Linux kernel: processes, control groups, namespaces and mounts, users, signals, file
//! system figures, and the facts a node reports about itself.
//!
//! This is the only crate with `unsafe` code; every block says why it is sound. Readers of `/proc` and `/sys` are split into a
//! function that reads and a pure one that parses.
#![expect(unsafe_code, reason = "the kernel is reached here so that no other crate needs unsafe code")]

pub mod capabilities;
pub mod cgroup;
pub mod child;
pub mod fingerprint;
pub mod isolation;
pub mod memory;
pub mod path;
pub mod poll;
pub mod process;
pub mod signal;
pub mod socket;
pub mod terminal;
pub mod user;
pub mod watch;

/// A process id as the kernel gives it out.
pub type Pid = i32;

/// Whether this process runs with the rights of root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
