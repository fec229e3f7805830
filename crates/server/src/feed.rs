//! The push to a node: first everything it shall run, then what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, NodeId};
use drover_model::{Allocation, Index};
use drover_state::Snapshot;
use tokio::sync::Notify;

use crate::machine::Region;

/// What a node must act on.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Whether this is everything, so that what is not in it is gone.
    pub full: bool,
    /// New and changed allocations.
    pub upserts: Vec<Arc<Allocation>>,
    /// Allocations that the servers have forgotten.
    pub removals: Vec<AllocId>,
}

/// The allocations of a node as they change.
pub struct Feed {
    region: Arc<Region>,
    node: NodeId,
    wake: Arc<Notify>,
    sent: BTreeMap<AllocId, Index>,
    started: bool,
}

impl Feed {
    pub(crate) fn new(region: Arc<Region>, node: NodeId) -> Self {
        let wake = region.watch_node(node);
        Self { region, node, wake, sent: BTreeMap::new(), started: false }
    }

    /// The next change; the first call returns at once. Cancel-safe.
    pub async fn next(&mut self) -> Change {
        loop {
            let snapshot = self.region.snapshot();
            if let Some(change) = self.difference(&snapshot) {
                return change;
            }
            self.wake.notified().await;
        }
    }

    /// What is newer than what was sent: new allocations, and those whose desired state or job moved (CLI-001).
    fn difference(&mut self, state: &Snapshot) -> Option<Change> {
        let mut change = Change { full: !self.started, ..Change::default() };
        let mut seen = BTreeMap::new();
        if let Some(slot) = state.node_slot(self.node) {
            let name = state.node_at(slot).map(|row| row.node.name.clone()).unwrap_or_default();
            for alloc in state.allocs_of_node(slot) {
                seen.insert(alloc.id, alloc.alloc_modify_index);
                if self.sent.get(&alloc.id) != Some(&alloc.alloc_modify_index) {
                    change.upserts.push(Arc::new(alloc.for_client(&name)));
                }
            }
        }
        change.removals = self.sent.keys().filter(|id| !seen.contains_key(*id)).copied().collect();
        self.sent = seen;
        let first = !std::mem::replace(&mut self.started, true);
        (first || !change.upserts.is_empty() || !change.removals.is_empty()).then_some(change)
    }
}
