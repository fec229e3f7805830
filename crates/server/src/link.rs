//! What clients say to servers: registration, heartbeats, reports, services; and noticing those that fall silent.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::{EvalId, Monotonic, NodeId, WallTime};
use drover_model::command::Change;
use drover_model::{AllocUpdate, EvalStatus, Evaluation, Node, NodeEvent, NodeStatus, ServiceRegistration, Trigger};
use drover_raft::ProposeError;
use drover_state::{NodeRow, Snapshot};

use crate::error::{EndpointError, NOT_FOUND};
use crate::feed::Feed;
use crate::server::Server;

/// When nodes must be heard of next.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats {
    due: BTreeMap<NodeId, Monotonic>,
}

impl Heartbeats {
    pub(crate) fn expect(&mut self, node: NodeId, by: Monotonic) {
        self.due.insert(node, by);
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.due.values().min().copied()
    }

    /// Nodes that were not heard of in time; each is named once.
    pub(crate) fn missed(&mut self, now: Monotonic) -> Vec<NodeId> {
        let missed: Vec<NodeId> = self.due.iter().filter(|(_, by)| **by <= now).map(|(node, _)| *node).collect();
        for node in &missed {
            self.due.remove(node);
        }
        missed
    }
}

/// The answer to a registration or heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The next one is due within this time.
    pub ttl: Duration,
}

/// A heartbeat that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The node must register first.
    #[error("node not found")]
    UnknownNode,
    /// The region has no leader, or storage failed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Server {
    /// Registers a node, or registers it anew with other facts; a new one is ready at once.
    ///
    /// # Errors
    /// When the id is taken by a node with another secret, or the change cannot be committed.
    pub async fn register_node(&self, node: Node) -> Result<Heartbeat, EndpointError> {
        let id = node.id;
        if id.is_nil() || node.name.is_empty() || node.datacenter.is_empty() {
            return Err(EndpointError::internal("missing node ID, name or datacenter for client registration"));
        }
        self.propose(Change::RegisterNode { node: Box::new(node), evals: Vec::new() }).await?;
        match self.heartbeat(id).await {
            Ok(heartbeat) => Ok(heartbeat),
            Err(HeartbeatError::Endpoint(error)) => Err(error),
            Err(HeartbeatError::UnknownNode) => Err(EndpointError::internal("node not found")),
        }
    }

    /// A node is alive. One that was not ready becomes so.
    ///
    /// # Errors
    /// When the node is unknown, or the change cannot be committed.
    pub async fn heartbeat(&self, id: NodeId) -> Result<Heartbeat, HeartbeatError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or(HeartbeatError::UnknownNode)?;
        if row.status != NodeStatus::Ready {
            let event = (row.status != NodeStatus::Initializing).then(|| self.node_event("Node reregistered by heartbeat"));
            let evals = self.evals_of_node(&state, row, Trigger::NodeUpdate);
            self.propose(Change::NodeStatus { id, status: NodeStatus::Ready, event, evals }).await?;
        }
        let config = &self.0.config;
        let jitter = config.heartbeat_min.mul_f64(drover_base::Rng::new(self.0.entropy.seed()).unit());
        let ttl = config.heartbeat_min + jitter;
        self.heartbeats().expect(id, self.0.clock.monotonic() + ttl + config.heartbeat_grace);
        self.0.leader.wake();
        Ok(Heartbeat { ttl })
    }

    /// The node's allocations as they change.
    pub fn feed(&self, node: NodeId) -> Feed {
        Feed::new(std::sync::Arc::clone(&self.0.region), node)
    }

    /// Reports of a node about its allocations; what came in from all nodes meanwhile is committed together.
    ///
    /// # Errors
    /// When an allocation is another node's, or the change cannot be committed.
    pub async fn update_allocs(&self, node: NodeId, updates: Vec<AllocUpdate>) -> Result<(), EndpointError> {
        if updates.is_empty() {
            return Ok(());
        }
        let state = self.snapshot();
        let foreign = updates.iter().find(|update| state.alloc(update.id).is_some_and(|alloc| alloc.node_id != node));
        if let Some(update) = foreign {
            return Err(EndpointError::internal(format!("allocation {} belongs to another node", update.id)));
        }
        drop(state);
        self.0.reports.committed(updates).await
    }

    /// Puts services of a node into the catalogue.
    ///
    /// # Errors
    /// When one belongs to another node, or the change cannot be committed.
    pub async fn upsert_services(&self, node: NodeId, services: Vec<ServiceRegistration>) -> Result<(), EndpointError> {
        if let Some(foreign) = services.iter().find(|service| service.node_id != node) {
            return Err(EndpointError::internal(format!("service {} belongs to another node", foreign.id)));
        }
        if services.is_empty() {
            return Ok(());
        }
        self.propose(Change::UpsertServices(services)).await.map(|_| ())
    }

    /// Takes a service out of the catalogue. `false` means that it was not there.
    ///
    /// # Errors
    /// When the change cannot be committed.
    pub async fn remove_service(&self, namespace: &str, id: &str) -> Result<bool, EndpointError> {
        let change = Change::DeleteService { namespace: namespace.to_owned(), id: id.to_owned() };
        let command = drover_model::Command { time: self.stamp(), change };
        let reply = self.0.consensus.propose(std::sync::Arc::from(command.to_bytes())).await;
        match reply {
            Ok(reply) => match reply.result {
                Ok(()) => Ok(true),
                Err(refusal) if refusal.code == NOT_FOUND => Ok(false),
                Err(refusal) => Err(refusal.into()),
            },
            Err(error @ (ProposeError::NotLeader | ProposeError::Stopped(_))) => Err(error.into()),
        }
    }

    pub(crate) fn node_event(&self, message: &str) -> NodeEvent {
        NodeEvent {
            message: message.to_owned(),
            subsystem: "Cluster".to_owned(),
            details: BTreeMap::new(),
            time: self.0.clock.now(),
            create_index: 0,
        }
    }

    /// One evaluation for each job with allocations on the node.
    pub(crate) fn evals_of_node(&self, state: &Snapshot, row: &NodeRow, trigger: Trigger) -> Vec<Evaluation> {
        let Some(slot) = state.node_slot(row.node.id) else { return Vec::new() };
        let now: WallTime = self.stamp();
        let mut jobs = BTreeMap::new();
        for alloc in state.allocs_of_node(slot) {
            if alloc.client_terminal() {
                continue;
            }
            jobs.entry(alloc.job.id.clone()).or_insert_with(|| {
                let id: EvalId = self.0.entropy.id();
                let mut eval = Evaluation::new(id, alloc.job.id.clone(), alloc.job.kind, alloc.job.priority, trigger, now);
                eval.node_id = Some(row.node.id);
                eval.node_modify_index = row.modify_index;
                eval.status = EvalStatus::Pending;
                eval
            });
        }
        jobs.into_values().collect()
    }

    /// A node was not heard of in time: it is down, and its jobs are looked at.
    pub(crate) async fn node_missed(&self, id: NodeId) {
        let state = self.snapshot();
        let Some(row) = state.node(id).filter(|row| row.status != NodeStatus::Down) else { return };
        let evals = self.evals_of_node(&state, row, Trigger::NodeUpdate);
        let event = Some(self.node_event("Node heartbeat missed"));
        tracing::warn!(node_id = %id, "node heartbeat missed, marking it as down");
        if let Err(error) = self.propose(Change::NodeStatus { id, status: NodeStatus::Down, event, evals }).await {
            tracing::warn!(node_id = %id, %error, "cannot mark the node as down, trying again");
            self.heartbeats().expect(id, self.0.clock.monotonic() + Duration::from_secs(5));
        }
    }
}
