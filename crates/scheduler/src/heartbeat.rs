//! Heartbeats: how often nodes must be heard of, what silence makes of them, and what a sign of life does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drover_base::{Monotonic, NodeId, WallTime};
use drover_model::{ClientStatus, DesiredStatus, NodeStatus};
use drover_state::{Alloc, NodeRow, Snapshot};

/// How many heartbeats a server is willing to take in a second.
pub const HEARTBEATS_PER_SECOND: f64 = 50.0;

/// Within what time a node must be heard of: long enough that all nodes together stay below `rate` heartbeats a second, at
/// least `min`, and up to twice that, by `unit` in 0…1, so that nodes that came together part ways (NOD-016).
pub fn ttl(nodes: usize, rate: f64, min: Duration, unit: f64) -> Duration {
    let shared = if rate > 0.0 { Duration::from_secs_f64(nodes as f64 / rate) } else { Duration::ZERO };
    let least = shared.max(min);
    least + least.mul_f64(unit.clamp(0.0, 1.0))
}

/// When nodes must be heard of next.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<NodeId, Monotonic>,
    order: BTreeSet<(Monotonic, NodeId)>,
}

impl Timers {
    /// Expects a node to be heard of by then; an earlier expectation is dropped. Returns whether this is the next of all.
    pub fn expect(&mut self, node: NodeId, by: Monotonic) -> bool {
        self.forget(node);
        self.due.insert(node, by);
        self.order.insert((by, node));
        self.order.first() == Some(&(by, node))
    }

    /// How many nodes are expected to be heard of.
    pub fn expected(&self) -> usize {
        self.due.len()
    }

    /// Expects nothing of a node any more.
    pub fn forget(&mut self, node: NodeId) {
        if let Some(by) = self.due.remove(&node) {
            self.order.remove(&(by, node));
        }
    }

    /// Expects nothing of anybody, as when leadership ends.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next moment [`Self::missed`] could name a node.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.order.first().map(|(by, _)| *by)
    }

    /// Nodes that were not heard of in time; each is named once.
    pub fn missed(&mut self, now: Monotonic) -> Vec<NodeId> {
        let mut missed = Vec::new();
        while let Some((_, node)) = self.order.first().copied().filter(|(by, _)| *by <= now) {
            self.forget(node);
            missed.push(node);
        }
        missed
    }
}

/// How long the servers wait for an allocation whose node is silent, if they wait at all.
fn patience(alloc: &Alloc) -> Option<Duration> {
    let group = alloc.task_group();
    group.disconnect.as_ref().and_then(|disconnect| disconnect.lost_after).or(group.max_client_disconnect)
}

/// Whether the allocation could still be taken up again if its node came back.
fn may_reconnect(alloc: &Alloc, now: WallTime) -> bool {
    let Some(patience) = patience(alloc).filter(|_| alloc.desired == DesiredStatus::Run) else { return false };
    if alloc.client_status != ClientStatus::Unknown {
        return true;
    }
    let since = alloc.rare.contacts.iter().flat_map(|contacts| contacts.iter()).rev().find(|change| change.status == ClientStatus::Unknown);
    since.is_none_or(|since| since.time + patience > now)
}

/// What a node with these allocations becomes that was not heard of in time (NOD-019, NOD-020).
pub fn silent<'a>(status: NodeStatus, mut allocs: impl Iterator<Item = &'a Alloc>, now: WallTime) -> NodeStatus {
    match status {
        NodeStatus::Ready | NodeStatus::Disconnected if allocs.any(|alloc| may_reconnect(alloc, now)) => NodeStatus::Disconnected,
        _ => NodeStatus::Down,
    }
}

/// What a node becomes that was heard of; `None` when it stays what it is, which is no news (NOD-004…006, NOD-022).
pub fn heard(state: &Snapshot, row: &NodeRow) -> Option<NodeStatus> {
    match row.status {
        NodeStatus::Ready => None,
        // Its allocations were given up.
        NodeStatus::Down => Some(NodeStatus::Ready),
        NodeStatus::Disconnected => Some(NodeStatus::Initializing),
        NodeStatus::Initializing => synced(state, row).then_some(NodeStatus::Ready),
    }
}

/// Whether the servers know what has become of the node's allocations since they last lost sight of it.
pub fn synced(state: &Snapshot, row: &NodeRow) -> bool {
    let mut allocs = state.node_slot(row.node.id).into_iter().flat_map(|slot| state.allocs_of_node(slot));
    row.last_alloc_update_index > row.last_missed_heartbeat_index || !allocs.any(|alloc| !alloc.client_terminal())
}

#[cfg(test)]
mod tests;
