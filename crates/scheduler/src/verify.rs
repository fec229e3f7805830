//! Plan verification: what of a plan fits a state, which is the newest with the plans in flight counted ([`Snapshot::anticipate`])
//! (EVL-038…043).

use std::collections::{BTreeMap, BTreeSet};

use drover_base::{AllocId, NodeId};
use drover_model::{Contact, NodeStatus, Plan};
use drover_state::{Alloc, Ask, Misfit, NodeRow, NodeSlot, Snapshot, Usage, fit};

/// Why a plan's changes on a node are not committed, in the words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such node.
    #[error("node does not exist")]
    Missing,
    /// It does not run yet.
    #[error("node is not ready for placements")]
    NotReady,
    /// It takes no placements.
    #[error("node is not eligible")]
    NotEligible,
    /// It is out of contact for good.
    #[error("node is down and contains invalid updates")]
    Down,
    /// It is out of contact.
    #[error("node is disconnected and contains invalid updates")]
    Disconnected,
    /// Somebody else took the room.
    #[error("{}", _0.text())]
    Short(Misfit),
}

/// What became of a plan.
#[derive(Debug)]
pub struct Verified {
    /// The part that may be committed.
    pub plan: Plan,
    /// Whether something was left out, so that the scheduler must look again on newer state.
    pub partial: bool,
    /// Nodes whose changes were left out, and why.
    pub rejected: Vec<(NodeId, Rejection)>,
}

/// What a plan changes on one node.
#[derive(Default)]
struct Changes {
    updates: Vec<AllocId>,
    places: bool,
}

/// Cuts a plan down to what fits.
///
/// Stops alone always fit (EVL-041). A node whose state does not allow what the plan changes stays as it is, and where
/// there is no room left the placements that find none are left out (EVL-039); with `all_at_once` all is left out
/// (EVL-040).
pub fn verify(state: &Snapshot, mut plan: Plan) -> Verified {
    let job_is_there = state.job(&plan.job_id).is_some_and(|row| row.job().create_index == plan.job_create_index);
    let mut nodes: BTreeMap<NodeId, Changes> = BTreeMap::new();
    for update in &plan.in_place {
        if let Some(alloc) = state.alloc(update.id)
            && (update.to_newest || update.contact != Contact::Same)
        {
            nodes.entry(alloc.node_id).or_default().updates.push(update.id);
        }
    }
    for placement in &plan.placements {
        nodes.entry(placement.node_id).or_default().places = true;
    }
    let lost: BTreeSet<AllocId> = plan.in_place.iter().filter(|update| update.contact == Contact::Lost).map(|update| update.id).collect();
    let mut rejected: BTreeMap<NodeId, Rejection> = BTreeMap::new();
    for (node_id, changes) in &nodes {
        if let Err(why) = admitted(state, *node_id, changes, &lost) {
            rejected.insert(*node_id, why);
        }
    }
    // What goes is gone on every node, whatever becomes of the rest: stops always fit.
    let mut touched: BTreeMap<NodeSlot, Usage> = BTreeMap::new();
    free(state, &mut touched, &plan);
    // Who is evicted for one placement must not make room for another, so such a node takes all or nothing.
    let evicts: BTreeSet<NodeId> = plan.preemptions.iter().filter_map(|gone| state.alloc(gone.id)).map(|alloc| alloc.node_id).collect();
    let mut short: BTreeMap<AllocId, (NodeId, Misfit)> = BTreeMap::new();
    for placement in &plan.placements {
        if rejected.contains_key(&placement.node_id) {
            continue;
        }
        let Some(slot) = state.node_slot(placement.node_id) else { continue };
        let (Some(row), Some(usage)) = (state.node_at(slot), usage_of(state, &mut touched, slot)) else { continue };
        let ask = Ask::of(&placement.resources);
        match fit(&row.node.resources, row.node.max_allocs, usage, &ask) {
            Ok(()) => usage.add(&ask),
            Err(misfit) if evicts.contains(&placement.node_id) => {
                rejected.insert(placement.node_id, Rejection::Short(misfit));
            }
            Err(misfit) => {
                short.insert(placement.id, (placement.node_id, misfit));
            }
        }
    }
    // A job that is gone or was purged and registered anew gets nothing (EVL-048), and nothing is placed twice.
    let stale = |id: AllocId| !job_is_there || state.alloc(id).is_some() || short.contains_key(&id);
    let partial = !rejected.is_empty() || plan.placements.iter().any(|placement| stale(placement.id));
    if !partial {
        return Verified { plan, partial, rejected: Vec::new() };
    }
    if plan.all_at_once {
        plan = Plan {
            all_at_once: true,
            job_version: plan.job_version,
            job_create_index: plan.job_create_index,
            ..Plan::new(plan.eval_id, plan.job_id, plan.priority)
        };
    } else {
        cut(state, &mut plan, &rejected, stale);
    }
    let of_placements = short.into_values().map(|(node, misfit)| (node, Rejection::Short(misfit)));
    let rejected: BTreeMap<NodeId, Rejection> = of_placements.chain(rejected).collect();
    Verified { plan, partial, rejected: rejected.into_iter().collect() }
}

fn usage_of<'a>(state: &Snapshot, touched: &'a mut BTreeMap<NodeSlot, Usage>, slot: NodeSlot) -> Option<&'a mut Usage> {
    let row = state.node_at(slot)?;
    Some(touched.entry(slot).or_insert_with(|| row.live.clone()))
}

/// Counts out what a plan stops and evicts.
fn free(state: &Snapshot, touched: &mut BTreeMap<NodeSlot, Usage>, plan: &Plan) {
    let leaving: BTreeSet<AllocId> = plan.stops.iter().map(|stop| stop.id).chain(plan.preemptions.iter().map(|gone| gone.id)).collect();
    for alloc in leaving.into_iter().filter_map(|id| state.alloc(id)).filter(|alloc| !alloc.terminal() && !state.leaves(alloc.id)) {
        if let Some(usage) = usage_of(state, touched, alloc.node_slot) {
            usage.remove(&Ask::of(&alloc.resources));
        }
    }
}

/// Whether a node's state allows what a plan changes there, leaving room aside.
fn admitted(state: &Snapshot, node_id: NodeId, changes: &Changes, lost: &BTreeSet<AllocId>) -> Result<(), Rejection> {
    let row = state.node(node_id).ok_or(Rejection::Missing)?;
    let only_lost = |allowed: &dyn Fn(&Alloc) -> bool| {
        !changes.places && changes.updates.iter().all(|id| lost.contains(id) && state.alloc(*id).is_some_and(|alloc| allowed(alloc)))
    };
    match row.status {
        NodeStatus::Disconnected if only_lost(&|_| true) => Ok(()),
        NodeStatus::Disconnected => Err(Rejection::Disconnected),
        NodeStatus::Down if only_lost(&waits_for_its_node) => Ok(()),
        NodeStatus::Down => Err(Rejection::Down),
        NodeStatus::Initializing => Err(Rejection::NotReady),
        NodeStatus::Ready if changes.places && !takes_placements(row) => Err(Rejection::NotEligible),
        NodeStatus::Ready => Ok(()),
    }
}

fn takes_placements(row: &NodeRow) -> bool {
    row.ready()
}

/// Whether an allocation is not replaced while its node is out of contact (EVL-043).
fn waits_for_its_node(alloc: &Alloc) -> bool {
    alloc.task_group().disconnect.as_ref().is_some_and(|disconnect| !disconnect.replace)
}

/// Takes out of a plan what is on rejected nodes, and what only makes sense with it.
fn cut(state: &Snapshot, plan: &mut Plan, rejected: &BTreeMap<NodeId, Rejection>, stale: impl Fn(AllocId) -> bool) {
    let mut kept: BTreeSet<AllocId> = BTreeSet::new();
    plan.placements.retain(|placement| {
        let fits = !rejected.contains_key(&placement.node_id) && !stale(placement.id);
        if fits {
            kept.insert(placement.id);
        }
        fits
    });
    let on_rejected = |id: AllocId| state.alloc(id).is_some_and(|alloc| rejected.contains_key(&alloc.node_id));
    // On a rejected node everything stays as it is, but for what cannot run any more and what runs elsewhere from now on.
    let replaced: BTreeSet<AllocId> = plan.placements.iter().filter_map(|placement| placement.previous).collect();
    plan.stops.retain(|stop| stop.client_status.is_some() || !on_rejected(stop.id) || replaced.contains(&stop.id));
    plan.preemptions.retain(|gone| kept.contains(&gone.by));
    plan.in_place.retain(|update| !on_rejected(update.id));
    let losing: BTreeSet<_> = plan.preemptions.iter().filter_map(|gone| state.alloc(gone.id)).map(|alloc| alloc.job.id.clone()).collect();
    plan.evals.retain(|eval| losing.contains(&eval.job_id));
}
