//! Nodes: registration, status, eligibility.

use std::sync::Arc;

use drover_base::NodeId;
use drover_model::{Evaluation, Node, NodeEvent, NodeStatus};

use crate::event::{EventKind, Payload};
use crate::rows::{NodeRow, NodeSlot};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

/// How many events of a node are kept.
const EVENTS_KEPT: usize = 10;

impl Transaction<'_> {
    pub(crate) fn register_node(&mut self, node: Node, evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        let (index, time, id) = (self.index(), self.state.time, node.id);
        let class = node.computed_class();
        self.ensure_node_pool(&node.node_pool);
        let slot = match self.state.node_slot(id) {
            Some(slot) => {
                let row = self.node_mut(slot);
                if row.node.secret_id != node.secret_id {
                    return Err(ApplyError::Refused("node secret ID does not match. Not registering node.".to_owned()));
                }
                row.node = Arc::new(node);
                row.class = class;
                row.modify_index = index;
                if row.status == NodeStatus::Down {
                    row.status = NodeStatus::Initializing;
                    row.status_time = time;
                }
                push_event(row, event("Node re-registered", index, time));
                slot
            }
            None => {
                let slot: NodeSlot = self.slot();
                let mut row = NodeRow {
                    node: Arc::new(node),
                    status: NodeStatus::Initializing,
                    status_description: String::new(),
                    status_time: time,
                    eligible: true,
                    events: Vec::new(),
                    create_index: index,
                    modify_index: index,
                    last_missed_heartbeat_index: 0,
                    last_alloc_update_index: 0,
                    live: Default::default(),
                    held: Default::default(),
                    class,
                    position: Default::default(),
                };
                push_event(&mut row, event("Node registered", index, time));
                self.state.nodes.insert(slot, Arc::new(row));
                self.state.node_ids.insert(id, slot);
                slot
            }
        };
        self.node_changed(slot, EventKind::NodeRegistration);
        self.touched.freed.insert(id);
        self.upsert_evals(evals)
    }

    pub(crate) fn node_mut(&mut self, slot: NodeSlot) -> &mut NodeRow {
        Arc::make_mut(self.state.nodes.get_mut(&slot).expect("callers found the slot in the table"))
    }

    /// Brings the index over free capacity in step with a node.
    pub(crate) fn reindex(&mut self, slot: NodeSlot) {
        if let Some(row) = self.state.nodes.get_mut(&slot) {
            self.state.capacity.update(slot, Arc::make_mut(row));
        }
    }

    fn node_changed(&mut self, slot: NodeSlot, kind: EventKind) {
        self.reindex(slot);
        self.touch(Table::Nodes);
        if let Some(row) = self.state.node_at(slot).cloned() {
            self.touched.nodes.insert(row.node.id);
            self.event(kind, Payload::Node(row));
        }
    }

    fn find_node(&self, id: NodeId) -> Result<NodeSlot, ApplyError> {
        self.state.node_slot(id).ok_or_else(|| ApplyError::NotFound("node not found".to_owned()))
    }

    pub(crate) fn node_status(
        &mut self,
        id: NodeId,
        status: NodeStatus,
        event: Option<NodeEvent>,
        evals: Vec<Evaluation>,
    ) -> Result<(), ApplyError> {
        let slot = self.find_node(id)?;
        let (index, time) = (self.index(), self.state.time);
        let row = self.node_mut(slot);
        row.status = status;
        row.status_time = time;
        row.modify_index = index;
        if matches!(status, NodeStatus::Down | NodeStatus::Disconnected) {
            row.last_missed_heartbeat_index = index;
        }
        if let Some(mut event) = event {
            event.create_index = index;
            push_event(row, event);
        }
        if status == NodeStatus::Ready {
            self.touched.freed.insert(id);
        }
        self.node_changed(slot, EventKind::NodeEvent);
        self.upsert_evals(evals)
    }

    pub(crate) fn node_eligibility(
        &mut self,
        id: NodeId,
        eligible: bool,
        event: Option<NodeEvent>,
        evals: Vec<Evaluation>,
    ) -> Result<(), ApplyError> {
        let slot = self.find_node(id)?;
        let index = self.index();
        let row = self.node_mut(slot);
        row.eligible = eligible;
        row.modify_index = index;
        if let Some(mut event) = event {
            event.create_index = index;
            push_event(row, event);
        }
        if eligible {
            self.touched.freed.insert(id);
        }
        self.node_changed(slot, EventKind::NodeEligibility);
        self.upsert_evals(evals)
    }

    pub(crate) fn remove_node(&mut self, id: NodeId) {
        if let Some(slot) = self.state.node_ids.remove(&id)
            && let Some(row) = self.state.nodes.remove(&slot)
        {
            self.state.capacity.forget(&row);
            self.touch(Table::Nodes);
            self.touched.nodes.insert(id);
            self.event(EventKind::NodeDeregistration, Payload::Node(row));
        }
    }
}

fn event(message: &str, index: u64, time: drover_base::WallTime) -> NodeEvent {
    NodeEvent { message: message.to_owned(), subsystem: "Cluster".to_owned(), details: Default::default(), time, create_index: index }
}

fn push_event(row: &mut NodeRow, event: NodeEvent) {
    row.events.push(event);
    let surplus = row.events.len().saturating_sub(EVENTS_KEPT);
    row.events.drain(..surplus);
}
