//! How well a node suits: the mean of the parts that apply (SCH-030 and following).

use std::collections::BTreeMap;

use drover_base::NodeId;
use drover_model::{Affinity, NodeScore};
use drover_state::{Ask, NodeRow, Usage};

use crate::constraint::{holds, resolve};

/// The highest value of the packing score.
const PACKING_MAX: f64 = 18.0;

/// What ranking looks at beside the node.
pub struct Ranking<'a> {
    /// What the group asks for.
    pub ask: &'a Ask,
    /// The group's count.
    pub desired: u32,
    /// Allocations of the same job and group on the node.
    pub collisions: u32,
    /// Whether the allocation being replaced failed here.
    pub penalty: bool,
    /// The affinities of job, group and tasks.
    pub affinities: &'a [&'a Affinity],
}

/// BestFit v3: 20 − (10^free_cpu + 10^free_memory), each the free share after the placement, cut to 0…18.
fn packing(row: &NodeRow, usage: &Usage, ask: &Ask) -> f64 {
    let size = &row.node.resources;
    let free = |total: u32, reserved: u32, used: u32, asked: u32| {
        let capacity = f64::from(total.saturating_sub(reserved));
        if capacity == 0.0 { 0.0 } else { 1.0 - f64::from(used.saturating_add(asked)) / capacity }
    };
    let cpu = free(size.cpu_mhz, size.reserved_cpu_mhz, usage.cpu_mhz, ask.cpu_mhz);
    let memory = free(size.memory_mb, size.reserved_memory_mb, usage.memory_mb, ask.memory_mb);
    (20.0 - (10f64.powf(cpu) + 10f64.powf(memory))).clamp(0.0, PACKING_MAX)
}

/// The score of a node.
pub fn score(row: &NodeRow, usage: &Usage, ranking: &Ranking<'_>) -> NodeScore {
    let mut parts = BTreeMap::from([("binpack".to_owned(), packing(row, usage, ranking.ask) / PACKING_MAX)]);
    if ranking.desired > 1 && ranking.collisions > 0 {
        let share = f64::from(ranking.collisions + 1) / f64::from(ranking.desired);
        parts.insert("job-anti-affinity".to_owned(), -share);
    }
    if ranking.penalty {
        parts.insert("node-reschedule-penalty".to_owned(), -1.0);
    }
    if let Some(affinity) = affinity(row, ranking.affinities) {
        parts.insert("node-affinity".to_owned(), affinity);
    }
    let total = parts.values().sum::<f64>() / parts.len() as f64;
    NodeScore { node_id: row.node.id, parts, total }
}

/// Matched weight over the sum of absolute weights; no part of the score when nothing matches.
fn affinity(row: &NodeRow, affinities: &[&Affinity]) -> Option<f64> {
    let total: f64 = affinities.iter().map(|affinity| f64::from(affinity.weight).abs()).sum();
    let matched: f64 = affinities
        .iter()
        .filter(|affinity| {
            let (left, right) = (resolve(&affinity.l_target, &row.node), resolve(&affinity.r_target, &row.node));
            holds(&affinity.operand, left.as_deref(), right.as_deref())
        })
        .map(|affinity| f64::from(affinity.weight))
        .sum();
    (total > 0.0 && matched != 0.0).then(|| matched / total)
}

/// Whether `a` is the better of two nodes: the higher score; the lower id where scores are equal, so that the choice is
/// a function of the state alone.
pub fn better(a: (&NodeScore, NodeId), b: (&NodeScore, NodeId)) -> bool {
    a.0.total.total_cmp(&b.0.total).then(b.1.cmp(&a.1)).is_gt()
}
