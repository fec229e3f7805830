//! An allocation that came back and those that stood in for it: which one stays (REC-065…073).

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, WallTime};
use drover_model::{ClientStatus, Job, TaskGroup};
use drover_state::Alloc;

use super::contact::{DisconnectRules, Keep};
use super::current;

/// The choice about one that came back.
pub(super) struct Choice {
    pub(super) original: Arc<Alloc>,
    /// Whether it stays.
    pub(super) stays: bool,
    /// The replacements that go because it stays, with whether they replaced it directly.
    pub(super) surplus: Vec<(Arc<Alloc>, bool)>,
    /// Its replacements that failed; they are done for either way.
    pub(super) failed: Vec<Arc<Alloc>>,
}

/// Chooses for every one that came back. `others` are the allocations that exist beside them.
pub(super) fn choose(job: &Job, group: &TaskGroup, back: Vec<Arc<Alloc>>, others: &[&Arc<Alloc>]) -> Vec<Choice> {
    let rules = DisconnectRules::of(group);
    let mut successors: BTreeMap<AllocId, Vec<&Arc<Alloc>>> = BTreeMap::new();
    let mut by_index: BTreeMap<u32, Vec<&Arc<Alloc>>> = BTreeMap::new();
    for other in others {
        if let Some(previous) = other.rare.previous {
            successors.entry(previous).or_default().push(*other);
        }
        by_index.entry(other.index).or_default().push(*other);
    }
    back.into_iter()
        .map(|original| {
            // Links lead from one to the next; where one between is gone already, the shared number still does.
            let direct = successors.get(&original.id).into_iter().flatten().copied();
            let indirect = by_index.get(&original.index).into_iter().flatten().copied();
            let chain: Vec<(&Arc<Alloc>, bool)> = direct
                .map(|alloc| (alloc, true))
                .chain(
                    indirect
                        .filter(|alloc| alloc.rare.previous.is_some() && alloc.rare.previous != Some(original.id))
                        .map(|alloc| (alloc, false)),
                )
                .filter(|(alloc, _)| original.rare.next.is_some() && alloc.id != original.id && !alloc.terminal())
                .collect();
            let direct = successors.get(&original.id).into_iter().flatten();
            let failed = direct.filter(|alloc| alloc.client_status == ClientStatus::Failed && !alloc.server_terminal());
            let failed = failed.map(|alloc| Arc::clone(alloc)).collect();
            let stays = may_stay(job, &original) && chain.iter().all(|(other, _)| prefers_original(job, group, &rules, &original, other));
            let surplus = if stays { chain.into_iter().map(|(alloc, direct)| (Arc::clone(alloc), direct)).collect() } else { Vec::new() };
            Choice { original, stays, surplus, failed }
        })
        .collect()
}

/// Whether the original may stay at all (REC-067).
fn may_stay(job: &Job, original: &Alloc) -> bool {
    let transition = &original.transition;
    !original.server_terminal()
        && original.client_status != ClientStatus::Failed
        && transition.migrate != Some(true)
        && transition.reschedule != Some(true)
        && transition.force_reschedule != Some(true)
        && current(job, original)
}

fn prefers_original(job: &Job, group: &TaskGroup, rules: &DisconnectRules, original: &Alloc, replacement: &Alloc) -> bool {
    if current(job, replacement) && !current(job, original) {
        return false;
    }
    match rules.keep {
        Keep::Original => true,
        Keep::Replacement => false,
        Keep::BestScore => better_placed(original, replacement),
        Keep::LongestRunning => match (started_at(group, original), started_at(group, replacement)) {
            (Some(original), Some(replacement)) => original <= replacement,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => better_placed(original, replacement),
        },
    }
}

/// The replacement wins only with a strictly better score, and only if it runs or the original does not (REC-069).
fn better_placed(original: &Alloc, replacement: &Alloc) -> bool {
    let runs = |alloc: &Alloc| alloc.client_status == ClientStatus::Running;
    let replacement_wins = score(replacement) > score(original) && (runs(replacement) || !runs(original));
    !replacement_wins
}

fn score(alloc: &Alloc) -> f64 {
    alloc.metrics.scores.iter().find(|score| score.node_id == alloc.node_id).map_or(0.0, |score| score.total)
}

/// When the leader task, or the first of the main tasks, started.
fn started_at(group: &TaskGroup, alloc: &Alloc) -> Option<WallTime> {
    let started = |name: &str| alloc.tasks.as_ref()?.get(name).map(|state| state.started_at).filter(|time| !time.is_zero());
    let leader = group.tasks.iter().find(|task| task.leader);
    match leader {
        Some(leader) => started(&leader.name),
        None => group.tasks.iter().filter(|task| task.is_main()).filter_map(|task| started(&task.name)).min(),
    }
}
