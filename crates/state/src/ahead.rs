//! Counting plans before they are committed, in a copy of the state that nobody else sees.

use drover_base::AllocId;
use drover_model::{ClientStatus, Plan};

use crate::rows::{Alloc, NodeRow, NodeSlot};
use crate::tables::Snapshot;
use crate::usage::Ask;

impl Snapshot {
    /// Counts what a plan takes and frees in the capacity of its nodes and its index, and nothing else: the tables stay as they are.
    ///
    /// What is in the tables already is not counted again, so a plan may be anticipated on any state before or after its
    /// commit; but on one copy only once. An allocation that several plans stop is counted out with the first.
    pub fn anticipate(&mut self, plan: &Plan) {
        for stop in &plan.stops {
            if let Some(alloc) = self.alloc(stop.id).cloned() {
                // What an ended node still holds is free at once; else its client has to say so (SCH-046).
                let gone = stop.client_status.is_some_and(ClientStatus::is_terminal);
                self.anticipate_stop(&alloc, gone);
            }
        }
        for preemption in &plan.preemptions {
            if let Some(alloc) = self.alloc(preemption.id).cloned() {
                self.anticipate_stop(&alloc, false);
            }
        }
        for placement in &plan.placements {
            if self.alloc(placement.id).is_some() {
                continue;
            }
            if let Some(slot) = self.node_slot(placement.node_id) {
                let ask = Ask::of(&placement.resources);
                self.count_ahead(slot, |row| {
                    row.live.add(&ask);
                    row.held.add(&ask);
                });
            }
        }
    }

    /// Whether an allocation leaves with a plan that was anticipated: its room is counted as free already.
    pub fn leaves(&self, id: AllocId) -> bool {
        self.leaving.contains_key(&id)
    }

    fn anticipate_stop(&mut self, alloc: &Alloc, gone: bool) {
        if self.leaving.insert(alloc.id, ()).is_some() {
            return;
        }
        let (live, held) = (!alloc.terminal(), gone && !alloc.client_terminal());
        if live || held {
            let ask = Ask::of(&alloc.resources);
            self.count_ahead(alloc.node_slot, |row| {
                if live {
                    row.live.remove(&ask);
                }
                if held {
                    row.held.remove(&ask);
                }
            });
        }
    }

    fn count_ahead(&mut self, slot: NodeSlot, count: impl FnOnce(&mut NodeRow)) {
        if let Some(row) = self.nodes.get_mut(&slot) {
            let row = std::sync::Arc::make_mut(row);
            count(row);
            self.capacity.update(slot, row);
        }
    }
}
