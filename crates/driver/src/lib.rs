//! Drivers: how a task becomes a process. The trait, the registry, the drivers that are built in, and the shim that owns each process
//! so that it outlives the agent.

pub mod shim;
