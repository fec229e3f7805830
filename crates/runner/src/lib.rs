//! The decisions of a node: when a task starts, starts again or ends, what an allocation's state is, whether it is healthy, what its
//! tasks find in their environment. Values in, values out; the client acts.

pub mod alloc;
pub mod check_restart;
pub mod driver_watch;
pub mod environment;
pub mod health;
pub mod lifecycle;
pub mod restart;
pub mod service;
pub mod status;

pub use alloc::{Action, AllocMachine, Event, Exit, LaunchFailure, Now, StopReason};
