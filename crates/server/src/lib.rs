//! The server role: endpoints that propose changes, the state behind consensus, and the leader's services.
//!
//! Reads hand out immutable snapshots. Everything that waits for change hangs on the apply loop: [`Server::changed`],
//! the push to clients, the event stream, the leader's services.

mod calls;
mod channel;
mod concern;
mod config;
mod dispatches;
mod endpoints;
mod error;
mod events;
mod feed;
pub mod files;
mod keyring;
mod leader;
mod link;
mod machine;
mod measure;
mod pace;
pub mod regions;
mod reports;
mod server;
pub mod shared;

pub use calls::NoPath;
pub use channel::AgentChannel;
pub use concern::Concern;
pub use config::{AclConfig, Config, EntryLimits, Observer, PlantedBug, ResetFile};
pub use dispatches::Dispatched;
pub use drover_scheduler::dispatch::Request as DispatchRequest;
pub use drover_scheduler::why;
pub use drover_state as state;
pub use endpoints::{
    AskedLock, Deregistered, Items, Planned, REDACTED, Registered, UpdatedDeployment, VariableOutcome, VariableRequest, format_warnings,
};
pub use error::EndpointError;
pub use events::{Entry as EventEntry, EventLag, Subscription};
pub use feed::{Change as AllocChange, Feed};
pub use keyring::{Claims, PublicKey};
pub use leader::{Activity, Worker, WorkerConfig};
pub use link::{Heartbeat, HeartbeatError};
pub use machine::Region;
pub use measure::Gauge;
pub use server::{Server, StartError};
