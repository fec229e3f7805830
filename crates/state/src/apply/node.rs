//! Nodes: registration, status, eligibility, drains.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_base::{NodeId, WallTime};
use drover_model::{DrainSpec, DrainStatus, DrainStrategy, Evaluation, LastDrain, Node, NodeEvent, NodeStatus};

use crate::event::{EventKind, Payload};
use crate::rows::{NodeRow, NodeSlot};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

/// How many events of a node are kept.
const EVENTS_KEPT: usize = 10;
/// Why a node cannot take placements now.
const DRAINING: &str = "can not set node's scheduling eligibility to eligible while it is draining";

impl Transaction<'_> {
    pub(crate) fn register_node(&mut self, node: Node, evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        let (index, time, id) = (self.index(), self.state.time, node.id);
        self.ensure_node_pool(&node.node_pool);
        let slot = match self.state.node_slot(id) {
            Some(slot) => {
                let row = self.node_mut(slot);
                if row.node.secret_id != node.secret_id {
                    return Err(ApplyError::Refused("node secret ID does not match. Not registering node.".to_owned()));
                }
                // What the servers hold about a node outlives its registrations (NOD-003); its status changes by heartbeats.
                row.class = node.computed_class();
                row.node = Arc::new(node);
                row.modify_index = index;
                if row.status != NodeStatus::Ready {
                    push_event(row, event("Node re-registered", "Cluster", index, time));
                }
                slot
            }
            None => {
                let slot: NodeSlot = self.slot();
                let mut row = NodeRow::new(node, index, time);
                push_event(&mut row, event("Node registered", "Cluster", index, time));
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
        let out_of_contact = |status| matches!(status, NodeStatus::Down | NodeStatus::Disconnected);
        if out_of_contact(status) && !out_of_contact(row.status) {
            row.last_missed_heartbeat_index = index;
        }
        row.status = status;
        row.status_time = time;
        row.modify_index = index;
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
        if eligible && row.drain.is_some() {
            return Err(ApplyError::Refused(DRAINING.to_owned()));
        }
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

    /// Starts, changes or cancels a drain (NOD-028, NOD-030, NOD-038).
    pub(crate) fn node_drain(
        &mut self,
        id: NodeId,
        spec: Option<DrainSpec>,
        mark_eligible: bool,
        meta: BTreeMap<String, String>,
        accessor: String,
        evals: Vec<Evaluation>,
    ) -> Result<(), ApplyError> {
        let slot = self.find_node(id)?;
        let (index, time) = (self.index(), self.state.time);
        let row = self.node_mut(slot);
        let before = row.drain.take();
        row.modify_index = index;
        let message = match (spec, before) {
            (Some(spec), before) => {
                let deadline = u64::try_from(spec.deadline_ns).ok().filter(|nanoseconds| *nanoseconds > 0);
                let force_deadline = deadline.map_or(WallTime::ZERO, |nanoseconds| time + Duration::from_nanos(nanoseconds));
                let started_at = before.map_or(time, |drain| drain.started_at);
                row.drain = Some(DrainStrategy { spec, force_deadline, started_at });
                row.eligible = false;
                let kept = row.last_drain.take().filter(|_| before.is_some());
                let mut last = kept.unwrap_or(LastDrain { started_at: time, ..LastDrain::default() });
                last.status = DrainStatus::Draining;
                row.last_drain = Some(noted(last, meta, accessor, time));
                Some(if before.is_some() { "Node drain strategy updated" } else { "Node drain strategy set" })
            }
            (None, Some(_)) => {
                row.eligible = mark_eligible;
                let mut last = row.last_drain.take().unwrap_or_default();
                last.status = DrainStatus::Canceled;
                row.last_drain = Some(noted(last, meta, accessor, time));
                Some("Node drain disabled")
            }
            (None, None) => {
                row.eligible = mark_eligible || row.eligible;
                None
            }
        };
        if let Some(message) = message {
            push_event(row, event(message, "Drain", index, time));
        }
        if row.eligible {
            self.touched.freed.insert(id);
        }
        if spec.is_some() {
            self.state.draining.insert(slot, ());
        } else {
            self.state.draining.remove(&slot);
        }
        self.node_changed(slot, EventKind::NodeDrain);
        self.upsert_evals(evals)
    }

    /// Nodes have been left by all that had to leave; they stay without new placements.
    pub(crate) fn drains_done(&mut self, nodes: &[NodeId], deadline_reached: bool) -> Result<(), ApplyError> {
        let (index, time) = (self.index(), self.state.time);
        for id in nodes {
            let Some(slot) = self.state.node_slot(*id) else { continue };
            let row = self.node_mut(slot);
            if row.drain.take().is_none() {
                continue;
            }
            row.modify_index = index;
            if let Some(last) = &mut row.last_drain {
                last.status = DrainStatus::Complete;
                last.updated_at = time;
            }
            let mut done = event("Node drain complete", "Drain", index, time);
            if deadline_reached {
                done.details.insert("deadline_reached".to_owned(), "true".to_owned());
            }
            push_event(row, done);
            self.state.draining.remove(&slot);
            self.node_changed(slot, EventKind::NodeDrain);
        }
        Ok(())
    }

    pub(crate) fn purge_node(&mut self, id: NodeId, evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        self.find_node(id)?;
        self.remove_node(id);
        self.upsert_evals(evals)
    }

    pub(crate) fn remove_node(&mut self, id: NodeId) {
        if let Some(slot) = self.state.node_ids.remove(&id)
            && let Some(row) = self.state.nodes.remove(&slot)
        {
            self.state.capacity.forget(&row);
            self.state.draining.remove(&slot);
            self.touch(Table::Nodes);
            self.touched.nodes.insert(id);
            self.event(EventKind::NodeDeregistration, Payload::Node(row));
        }
    }
}

/// The record of a drain with what was noted now; what was noted before stays unless something else is.
fn noted(mut last: LastDrain, meta: BTreeMap<String, String>, accessor: String, time: WallTime) -> LastDrain {
    last.updated_at = time;
    if !meta.is_empty() {
        last.meta = meta;
    }
    if !accessor.is_empty() {
        last.accessor = accessor;
    }
    last
}

fn event(message: &str, subsystem: &str, index: u64, time: WallTime) -> NodeEvent {
    NodeEvent { message: message.to_owned(), subsystem: subsystem.to_owned(), details: BTreeMap::new(), time, create_index: index }
}

fn push_event(row: &mut NodeRow, event: NodeEvent) {
    row.events.push(event);
    let surplus = row.events.len().saturating_sub(EVENTS_KEPT);
    row.events.drain(..surplus);
}
