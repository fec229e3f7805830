//! The store: the newest snapshot and the one way to change it.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId};
use drover_model::command::Change;
use drover_model::{Command, Index, JobId, SchedulerConfig};

use crate::event::{Event, EventKind, Payload};
use crate::rows::Slot;
use crate::tables::{Snapshot, Table};

/// The level that every region starts at, whatever build starts it: replaying a log gives the same state everywhere.
const FIRST_LEVEL: u32 = 1;

/// Why an entry changed nothing; its proposer is told, the log goes on (RFT-002).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The job's index is not what the request expects.
    #[error("{0}")]
    JobIndex(String),
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// The object's state does not allow it.
    #[error("{0}")]
    Refused(String),
}

/// Objects that an entry changed, for those who wait on them and for the leader's services.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Tables.
    pub tables: BTreeSet<Table>,
    /// Jobs.
    pub jobs: BTreeSet<JobId>,
    /// Nodes.
    pub nodes: BTreeSet<NodeId>,
    /// Allocations that changed in a way that their nodes must act on, by node.
    pub pushes: BTreeSet<(NodeId, AllocId)>,
    /// Allocations.
    pub allocs: BTreeSet<AllocId>,
    /// Evaluations.
    pub evals: BTreeSet<EvalId>,
    /// Deployments.
    pub deployments: BTreeSet<DeploymentId>,
    /// Services by namespace and name.
    pub services: BTreeSet<(String, String)>,
    /// Node pools.
    pub node_pools: BTreeSet<String>,
    /// Namespaces.
    pub namespaces: BTreeSet<String>,
    /// Nodes that have more room, or more to offer, than before.
    pub freed: BTreeSet<NodeId>,
    /// All of it: another state took the place of the old one.
    pub everything: bool,
}

/// What an entry came to.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its index.
    pub index: Index,
    /// Whether it took effect.
    pub result: Result<(), ApplyError>,
    /// What it changed.
    pub touched: Touched,
    /// What the event stream tells.
    pub events: Vec<Event>,
}

/// The state and its history of one region.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) now: Snapshot,
}

impl Default for Store {
    fn default() -> Self {
        let empty = Snapshot { feature_level: FIRST_LEVEL, next_slot: 1, ..Snapshot::default() };
        Self { now: Snapshot { scheduler_config: Arc::new(SchedulerConfig::initial()), ..empty.with_built_ins() } }
    }
}

/// One apply under way: the state being changed and what changed.
pub(crate) struct Transaction<'a> {
    pub(crate) state: &'a mut Snapshot,
    pub(crate) touched: Touched,
    pub(crate) events: Vec<Event>,
    /// What the entry is told as.
    pub(crate) kind: EventKind,
    /// Jobs whose status the entry changed.
    pub(crate) moved: Vec<JobId>,
}

impl Store {
    /// A store over restored state.
    pub fn from_snapshot(now: Snapshot) -> Self {
        Self { now }
    }

    /// How far the index is ahead of the log's.
    pub fn ahead_of_log(&self) -> Index {
        self.now.ahead_of_log
    }

    /// The state now.
    pub fn snapshot(&self) -> Snapshot {
        self.now.clone()
    }

    /// Applies an entry. Entries come in index order, each once.
    pub fn apply(&mut self, index: Index, command: Command) -> Applied {
        let before = self.now.clone();
        self.now.index = index;
        // The leader stamps rising times; a replica must not trust that.
        self.now.time = self.now.time.max(command.time);
        let mut transaction = Transaction::new(&mut self.now, EventKind::of(&command.change));
        let result = transaction.change(command.change);
        transaction.tell_moved();
        let Transaction { mut touched, mut events, .. } = transaction;
        if result.is_err() {
            self.now = Snapshot { index, time: self.now.time, ..before };
            touched = Touched::default();
            events.clear();
        }
        // A restored state may be further than the log.
        let index = self.now.index;
        for table in &touched.tables {
            self.now.table_index[*table as usize] = index;
        }
        Applied { index, result, touched, events }
    }

    /// Moves the index on for an entry that carries no command.
    pub fn skip(&mut self, index: Index) {
        self.now.index = index;
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(state: &'a mut Snapshot, kind: EventKind) -> Self {
        Self { state, touched: Touched::default(), events: Vec::new(), kind, moved: Vec::new() }
    }
}

impl Transaction<'_> {
    /// Tells of jobs whose status is another one, unless that was told.
    fn tell_moved(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut told: BTreeSet<JobId> = self
            .events
            .iter()
            .filter_map(|event| match &event.payload {
                Payload::Job(row) | Payload::DeletedJob(row) => Some(row.id().clone()),
                _ => None,
            })
            .collect();
        for id in std::mem::take(&mut self.moved) {
            if told.insert(id.clone()) {
                self.job_event(&id);
            }
        }
    }

    fn change(&mut self, change: Change) -> Result<(), ApplyError> {
        match change {
            Change::RegisterJob(register) => self.register_job(*register),
            Change::DeregisterJob { id, purge, eval } => self.deregister_job(&id, purge, eval),
            Change::RegisterNode { node, evals } => self.register_node(*node, evals),
            Change::NodeStatus { id, status, event, evals } => self.node_status(id, status, event, evals),
            Change::NodeEligibility { id, eligible, event, evals } => self.node_eligibility(id, eligible, event, evals),
            Change::AllocUpdates { updates, evals } => self.alloc_updates(updates, evals),
            Change::Evaluations(evals) => self.upsert_evals(evals),
            Change::Plans(plans) | Change::SharedPlans(plans) => self.plans(plans).map(|_| ()),
            Change::Results { plans, evals } => self.results(plans, evals),
            Change::Transitions { transitions, evals } => self.transitions(transitions, evals),
            Change::DeploymentStatus { update, eval, revert } => self.deployment_status(&update, eval, revert),
            Change::DeploymentPromote { id, groups, eval } => self.deployment_promote(id, groups.as_deref(), eval),
            Change::DeploymentHealth { id, healthy, unhealthy, update, eval } => {
                self.deployment_health(id, &healthy, &unhealthy, update, eval)
            }
            Change::UpsertServices(services) => self.upsert_services(services),
            Change::DeleteService { namespace, id } => self.delete_service(&namespace, &id),
            Change::Collect { evals, allocs, jobs, deployments, nodes } => self.collect(&evals, &allocs, &jobs, &deployments, &nodes),
            Change::JobStability { id, version, stable } => self.job_stability(&id, version, stable),
            Change::JobTag { id, version, tag } => self.job_tag(&id, version, tag),
            Change::FeatureLevel(level) => {
                self.state.feature_level = self.state.feature_level.max(level);
                Ok(())
            }
            Change::Scaling { id, group, event } => self.scaling(&id, &group, event),
            Change::Children(children) => self.children(children),
            Change::NodeDrain { id, spec, mark_eligible, meta, accessor, evals } => {
                self.node_drain(id, spec, mark_eligible, meta, accessor, evals)
            }
            Change::DrainsDone { nodes, deadline_reached } => self.drains_done(&nodes, deadline_reached),
            Change::PurgeNode { id, evals } => self.purge_node(id, evals),
            Change::SchedulerConfig { config, enforce_index } => self.scheduler_config(config, enforce_index),
            Change::UpsertNodePools(pools) => self.upsert_node_pools(pools),
            Change::DeleteNodePools(names) => self.delete_node_pools(&names),
            Change::UpsertNamespaces(namespaces) => {
                self.upsert_namespaces(namespaces);
                Ok(())
            }
            Change::DeleteNamespaces(names) => self.delete_namespaces(&names),
            Change::AclBootstrap { token, reset } => self.acl_bootstrap(token, reset),
            Change::UpsertAcl(objects) => self.upsert_acl(*objects),
            Change::DeleteAcl(names) => self.delete_acl(&names),
            Change::UpsertRootKey(key) => {
                self.upsert_root_key(*key);
                Ok(())
            }
            Change::Variable(change) => self.change_variable(*change),
            Change::Autopilot { config, enforce_index } => self.autopilot(config, enforce_index),
            Change::Restore { archive } => self.restore(&archive),
        }
    }

    pub(crate) fn index(&self) -> Index {
        self.state.index
    }

    pub(crate) fn slot<K>(&mut self) -> Slot<K> {
        let slot = Slot::new(self.state.next_slot);
        self.state.next_slot += 1;
        slot
    }

    pub(crate) fn touch(&mut self, table: Table) {
        self.touched.tables.insert(table);
    }

    pub(crate) fn event(&mut self, kind: EventKind, payload: Payload) {
        self.events.push(Event { index: self.state.index, kind, payload });
    }

    /// Tells of an object as the entry is told.
    pub(crate) fn told(&mut self, payload: Payload) {
        self.event(self.kind, payload);
    }
}

#[cfg(test)]
mod tests;
