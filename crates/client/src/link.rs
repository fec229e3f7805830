//! How a client reaches servers: a trait, so that one process can hold both roles, a network can lie between them, or a simulation.

use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, Monotonic, NodeId};
use drover_model::{AllocUpdate, Allocation, Node, ServiceRegistration};
use futures::future::BoxFuture;
use tokio::sync::mpsc;

/// Changes waiting between the link and the client; a link that finds it full waits.
pub const DESIRED_CHANGES_MAX: usize = 64;

/// What servers answer to a registration or heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The next heartbeat is due within this time.
    pub heartbeat_ttl: Duration,
    /// The servers lost sight of the node and wait for the state of each of its allocations.
    pub sync: bool,
    /// Whether the node takes placements.
    pub eligible: bool,
    /// Where the servers of the region are reached, as `host:port`.
    pub servers: Vec<String>,
    /// What all servers of the region can do.
    pub feature_level: u32,
}

impl Registered {
    /// The next heartbeat is due within `ttl`; the node takes placements, and nothing else is told.
    pub fn within(ttl: Duration) -> Self {
        Self { heartbeat_ttl: ttl, sync: false, eligible: true, servers: Vec::new(), feature_level: 0 }
    }
}

/// What the servers said last, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// What they said.
    pub answer: Registered,
    /// When.
    pub at: Monotonic,
}

/// A change of what a node shall run.
#[derive(Debug, Clone)]
pub enum DesiredChange {
    /// Everything, first of all and whenever the stream cannot tell what was missed. What is not in it is to be removed.
    Snapshot(Vec<Arc<Allocation>>),
    /// New and changed allocations, and those that are gone from the servers.
    Delta { upserts: Vec<Arc<Allocation>>, removals: Vec<AllocId> },
}

/// Why servers could not be asked, or what they refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Worth another try.
    #[error("servers cannot be reached: {0}")]
    Unreachable(String),
    /// The servers do not know this node (any more); it has to register again.
    #[error("node not found")]
    UnknownNode,
    /// What was to be deleted is gone already.
    #[error("not found")]
    NotFound,
    /// Not worth another try.
    #[error("{0}")]
    Refused(String),
}

/// The servers, as a client sees them.
pub trait ServerLink: Send + Sync + 'static {
    /// Registers the node, or registers it anew with other facts.
    fn register_node(&self, node: Node) -> BoxFuture<'_, Result<Registered, LinkError>>;

    /// Says that the node is alive.
    fn heartbeat(&self, node: NodeId) -> BoxFuture<'_, Result<Registered, LinkError>>;

    /// The allocations of the node: a snapshot, then changes as they are committed. The stream ends when the link is lost.
    fn desired_allocs(&self, node: NodeId) -> BoxFuture<'_, Result<mpsc::Receiver<DesiredChange>, LinkError>>;

    /// Reports states of allocations; returns once they are committed.
    fn update_allocs(&self, node: NodeId, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), LinkError>>;

    /// Puts services into the catalogue. All must belong to the node.
    fn upsert_services(&self, node: NodeId, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), LinkError>>;

    /// The identity of a task of the node, signed by the region.
    fn task_identity(&self, node: NodeId, alloc: AllocId, task: String) -> BoxFuture<'_, Result<String, LinkError>>;

    /// Takes a service out of the catalogue.
    fn delete_service(&self, node: NodeId, namespace: String, id: String) -> BoxFuture<'_, Result<(), LinkError>>;
}
