//! Plan verification: what of a plan fits the newest state plus the plans in flight (EVL-038, EVL-040).

use std::collections::BTreeMap;

use drover_model::Plan;
use drover_state::{Ask, NodeSlot, Snapshot, Usage, fit};

/// Usage of nodes as it will be once the plans in flight are applied.
#[derive(Debug, Default)]
pub struct InFlight {
    usage: BTreeMap<NodeSlot, Usage>,
}

/// What became of a plan.
#[derive(Debug)]
pub struct Verified {
    /// The part that may be committed.
    pub plan: Plan,
    /// Whether something was left out, so that the scheduler must look again.
    pub partial: bool,
}

/// Cuts a plan down to what fits, and counts that as in flight.
///
/// Stops always fit. A placement fits if its node takes placements and has room (SCH-047). With `all_at_once` one
/// misfit takes all placements out.
pub fn verify(state: &Snapshot, in_flight: &mut InFlight, mut plan: Plan) -> Verified {
    let mut touched: BTreeMap<NodeSlot, Usage> = BTreeMap::new();
    let usage_of = |touched: &mut BTreeMap<NodeSlot, Usage>, slot: NodeSlot, in_flight: &InFlight| {
        let current = || in_flight.usage.get(&slot).cloned().or_else(|| state.node_at(slot).map(|row| row.live.clone()));
        touched.entry(slot).or_insert_with(|| current().unwrap_or_default()).clone()
    };
    for stop in &plan.stops {
        if let Some(alloc) = state.alloc(stop.id).filter(|alloc| !alloc.terminal()) {
            let mut usage = usage_of(&mut touched, alloc.node_slot, in_flight);
            usage.remove(&Ask::of(&alloc.resources));
            touched.insert(alloc.node_slot, usage);
        }
    }
    let job_is_there = state.job(&plan.job_id).is_some_and(|row| row.job().create_index == plan.job_create_index);
    let wanted = plan.placements.len();
    let mut kept = Vec::with_capacity(wanted);
    for placement in std::mem::take(&mut plan.placements) {
        let node = state.node_slot(placement.node_id).and_then(|slot| state.node_at(slot).map(|row| (slot, row)));
        let Some((slot, row)) = node.filter(|(_, row)| job_is_there && row.ready()) else { continue };
        if state.alloc(placement.id).is_some() {
            continue;
        }
        let ask = Ask::of(&placement.resources);
        let mut usage = usage_of(&mut touched, slot, in_flight);
        if fit(&row.node.resources, row.node.max_allocs, &usage, &ask).is_ok() {
            usage.add(&ask);
            touched.insert(slot, usage);
            kept.push(placement);
        }
    }
    let partial = kept.len() < wanted;
    if partial && plan.all_at_once {
        kept.clear();
        plan.stops.clear();
        plan.in_place.clear();
        plan.deployment = None;
        plan.deployment_updates.clear();
        touched.clear();
    }
    plan.placements = kept;
    in_flight.usage.append(&mut touched);
    Verified { plan, partial }
}
