//! The push to a node: first everything it shall run, then what changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_base::{AllocId, Monotonic, NodeId};
use drover_model::Allocation;
use drover_rt::Clock;
use drover_state::Snapshot;

use crate::machine::{Region, Watch};

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
    watch: Arc<Watch>,
    clock: Clock,
    started: bool,
    /// When it was told something last.
    told: Option<Monotonic>,
}

impl Feed {
    pub(crate) fn new(region: Arc<Region>, clock: Clock, node: NodeId) -> Self {
        let watch = region.watch_node(node);
        region.push_pace.join();
        Self { region, node, watch, clock, started: false, told: None }
    }

    /// The next change; the first call returns at once. Cancel-safe.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(until) = self.region.push_pace.hold(self.clock.monotonic(), self.told) {
                self.clock.sleep_until(Some(until)).await;
            }
            // Taken before the state is read: what comes in between is told twice rather than not at all.
            let pending = self.watch.take();
            let snapshot = self.region.snapshot();
            if !std::mem::replace(&mut self.started, true) || pending.everything {
                return self.tell(self.everything(&snapshot));
            }
            if !pending.allocs.is_empty() {
                return self.tell(self.changes(&snapshot, &pending.allocs));
            }
            self.watch.next().await;
        }
    }

    fn tell(&mut self, change: Change) -> Change {
        let now = self.clock.monotonic();
        self.region.push_pace.count(now, change.upserts.len() + change.removals.len());
        self.told = Some(now);
        change
    }

    fn everything(&self, state: &Snapshot) -> Change {
        let slot = state.node_slot(self.node);
        let allocs = slot.into_iter().flat_map(|slot| state.allocs_of_node(slot));
        let name = self.name(state);
        Change { full: true, upserts: allocs.map(|alloc| Arc::new(alloc.for_client(&name))).collect(), removals: Vec::new() }
    }

    /// The allocations whose desired state or job moved, and those that are gone (CLI-001).
    fn changes(&self, state: &Snapshot, allocs: &BTreeSet<AllocId>) -> Change {
        let (mut change, name) = (Change::default(), self.name(state));
        for id in allocs {
            match state.alloc(*id) {
                Some(alloc) => change.upserts.push(Arc::new(alloc.for_client(&name))),
                None => change.removals.push(*id),
            }
        }
        change
    }

    fn name(&self, state: &Snapshot) -> String {
        state.node(self.node).map(|row| row.node.name.clone()).unwrap_or_default()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.region.push_pace.leave();
    }
}
