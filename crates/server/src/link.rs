//! What clients say to servers: registration, heartbeats, reports, services; and noticing those that fall silent.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::{EvalId, NodeId, WallTime};
use drover_model::command::Change;
use drover_model::{
    AllocUpdate, ClientStatus, Evaluation, Job, JobId, JobType, NODE_POOL_ALL, Node, NodeEvent, NodeStatus, ServiceRegistration, Trigger,
};
use drover_raft::ProposeError;
use drover_scheduler::constraint::datacenter_matches;
use drover_scheduler::heartbeat;
use drover_state::{NodeRow, Snapshot};

use crate::error::{EndpointError, NOT_FOUND};
use crate::feed::Feed;
use crate::server::Server;

/// The wait before the fall of a node is written again that could not be written.
const RETRY: Duration = Duration::from_secs(5);
/// For so long after its return a node is asked for what it has not told.
const ASKED_AGAIN: Duration = Duration::from_secs(300);

/// The answer to a registration or heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The next one is due within this time.
    pub ttl: Duration,
    /// Whether the node takes placements (NOD-023).
    pub eligible: bool,
    /// Whether the servers wait for the state of every allocation of the node before it is ready again (NOD-005).
    pub sync: bool,
    /// Where the servers of the region are reached (NOD-023).
    pub servers: Vec<String>,
    /// What all servers of the region can do (NOD-023).
    pub feature_level: u32,
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
    /// Registers a node, or registers it anew with other facts, and counts as its first sign of life.
    ///
    /// # Errors
    /// When the id is taken by a node with another secret, or the change cannot be committed.
    pub async fn register_node(&self, node: Node) -> Result<Heartbeat, EndpointError> {
        let id = node.id;
        if id.is_nil() || node.name.is_empty() || node.datacenter.is_empty() {
            return Err(EndpointError::internal("missing node ID, name or datacenter for client registration"));
        }
        let state = self.snapshot();
        // What a node has to offer may suit jobs that it did not suit before, or no longer those on it.
        let changed = state.node(id).filter(|row| row.status == NodeStatus::Ready && row.class != node.computed_class());
        let evals = changed.map(|row| self.evals_of_node(&state, row, Trigger::NodeUpdate)).unwrap_or_default();
        self.propose(Change::RegisterNode { node: Box::new(node), evals }).await?;
        match self.heartbeat(id).await {
            Ok(heartbeat) => Ok(heartbeat),
            Err(HeartbeatError::Endpoint(error)) => Err(error),
            Err(HeartbeatError::UnknownNode) => Err(EndpointError::internal("node not found")),
        }
    }

    /// A node is alive. One that was not ready becomes so, at once or once the servers know its allocations again. Of a
    /// ready node nothing is written.
    ///
    /// # Errors
    /// When the node is unknown, or the change cannot be committed.
    pub async fn heartbeat(&self, id: NodeId) -> Result<Heartbeat, HeartbeatError> {
        let state = self.snapshot();
        let row = state.node(id).ok_or(HeartbeatError::UnknownNode)?;
        if let Some(status) = heartbeat::heard(&state, row) {
            let resumed = matches!(row.status, NodeStatus::Down | NodeStatus::Disconnected);
            let event = resumed.then(|| self.node_event("Node reregistered by heartbeat"));
            let evals = self.evals_of_node(&state, row, Trigger::NodeUpdate);
            self.propose(Change::NodeStatus { id, status, event, evals }).await?;
        }
        let state = self.snapshot();
        let row = state.node(id).ok_or(HeartbeatError::UnknownNode)?;
        let config = &self.0.config;
        let unit = drover_base::Rng::new(self.0.entropy.seed()).unit();
        let ttl = heartbeat::ttl(state.node_count(), config.heartbeats_per_second, config.heartbeat_min, unit);
        if self.heartbeats().expect(id, self.0.clock.monotonic() + ttl + config.heartbeat_grace) {
            self.0.leader.wake_heartbeats();
        }
        let servers = vec![config.rpc_address.clone()];
        let sync = row.status == NodeStatus::Initializing || self.left_unknown(&state, row);
        Ok(Heartbeat { ttl, eligible: row.eligible, sync, servers, feature_level: state.feature_level() })
    }

    /// Whether a node that has come back lately has not told of all its allocations: a report about one of them lets it become
    /// ready, and the others would stay out of contact until something happens to them.
    fn left_unknown(&self, state: &Snapshot, row: &NodeRow) -> bool {
        let back_since = Duration::from_nanos(self.0.clock.now().0.saturating_sub(row.status_time.0).try_into().unwrap_or(0));
        if row.status != NodeStatus::Ready || back_since > ASKED_AGAIN {
            return false;
        }
        let mut allocs = state.node_slot(row.node.id).into_iter().flat_map(|slot| state.allocs_of_node(slot));
        allocs.any(|alloc| alloc.client_status == ClientStatus::Unknown && !alloc.server_terminal())
    }

    /// The node's allocations as they change.
    pub fn feed(&self, node: NodeId) -> Feed {
        Feed::new(std::sync::Arc::clone(&self.0.region), self.0.clock.clone(), node)
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
        // What a node says that was given up counts once it is known to be back (NOD-008).
        let away = |status| matches!(status, NodeStatus::Down | NodeStatus::Disconnected);
        if let Some(row) = state.node(node).filter(|row| away(row.status)) {
            return Err(EndpointError::not_yet(format!(
                "node {node} is {} and must send a heartbeat before it reports allocations",
                row.status
            )));
        }
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

    /// One evaluation for each job that a change of the node may concern: those with allocations on it that are not over,
    /// and those that run on every node like it (NOD-015).
    pub(crate) fn evals_of_node(&self, state: &Snapshot, row: &NodeRow, trigger: Trigger) -> Vec<Evaluation> {
        let Some(slot) = state.node_slot(row.node.id) else { return Vec::new() };
        let now: WallTime = self.stamp();
        let mut jobs: BTreeMap<&JobId, &Job> = BTreeMap::new();
        for alloc in state.allocs_of_node(slot) {
            let over = alloc.client_terminal() && (alloc.job.kind.is_batch() || alloc.server_terminal());
            if !over {
                jobs.entry(&alloc.job.id).or_insert(&alloc.job);
            }
        }
        // A sysbatch job waits for an evaluation of its own (SYS-004).
        let system = |job: &&std::sync::Arc<Job>| job.kind == JobType::System && !job.stop && serves(job, row);
        for system in state.system_jobs().map(|row| row.job()).filter(system) {
            jobs.entry(&system.id).or_insert(system);
        }
        let eval = |job: &Job| {
            let id: EvalId = self.0.entropy.id();
            let mut eval = Evaluation::new(id, job.id.clone(), job.kind, job.priority, trigger, now);
            eval.node_id = Some(row.node.id);
            eval.node_modify_index = row.modify_index;
            eval
        };
        jobs.into_values().map(eval).collect()
    }

    /// A node was not heard of in time: it is down or, while its allocations may come back, disconnected; its jobs are
    /// looked at.
    pub(crate) async fn node_missed(&self, id: NodeId) {
        let state = self.snapshot();
        let Some(row) = state.node(id).filter(|row| row.status != NodeStatus::Down) else { return };
        let allocs = state.node_slot(id).into_iter().flat_map(|slot| state.allocs_of_node(slot)).map(AsRef::as_ref);
        let status = heartbeat::silent(row.status, allocs, self.0.clock.now());
        let again = self.0.clock.monotonic() + self.0.config.heartbeat_min;
        if status == NodeStatus::Disconnected {
            // Until nothing can come back any more (NOD-020).
            self.heartbeats().expect(id, again);
        }
        if status == row.status {
            return;
        }
        let evals = self.evals_of_node(&state, row, Trigger::NodeUpdate);
        let event = Some(self.node_event("Node heartbeat missed"));
        tracing::warn!(node_id = %id, %status, "node heartbeat missed");
        if let Err(error) = self.propose(Change::NodeStatus { id, status, event, evals }).await {
            tracing::warn!(node_id = %id, %error, "cannot write that the node is silent, trying again");
            self.heartbeats().expect(id, self.0.clock.monotonic() + RETRY);
        }
    }
}

/// Whether a job that runs on every node means this one.
fn serves(job: &Job, row: &NodeRow) -> bool {
    let pool = job.node_pool == NODE_POOL_ALL || job.node_pool == row.node.node_pool;
    pool && datacenter_matches(&job.datacenters, &row.node.datacenter)
}
