//! The client role: what a node does. It says what it has, takes the allocations it is given, runs them through drivers, and reports.
//!
//! Servers are reached through [`link::ServerLink`] alone; this crate knows neither their state nor their scheduler.

mod alloc;
pub mod alloc_dir;
mod checks;
pub mod client;
pub mod config;
pub mod files;
pub mod fingerprint;
mod gc;
pub mod identity;
pub mod link;
pub mod node_meta;
mod registrar;
mod reporter;
mod stats;
pub mod store;
mod task;
pub mod task_api;
pub mod template;

pub use client::{Client, ClientError, ClientHandle};
pub use config::ClientConfig;
pub use link::{Contact, DesiredChange, LinkError, Registered, ServerLink};
pub use task_api::TaskConnection;
