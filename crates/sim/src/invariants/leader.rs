//! What the leader's services must keep: children, nodes, drains, evaluations that wait, and what is collected.

use std::collections::{BTreeMap, BTreeSet};

use drover_base::NodeId;
use drover_model::{EvalStatus, JobId, JobType, NodeStatus, Trigger};
use drover_server::state::{Alloc, JobStatus, NodeRow, Snapshot};

use super::{Broken, broken};

/// What can be seen in one state.
pub(super) fn check(state: &Snapshot, out: &mut Vec<Broken>) {
    children(state, out);
    drains(state, out);
}

/// INV-15 and INV-64: parents count their children, and a token has made one child.
fn children(state: &Snapshot, out: &mut Vec<Broken>) {
    let mut counts: BTreeMap<(&str, &str), [u32; 3]> = BTreeMap::new();
    let mut tokens = BTreeSet::new();
    for row in state.jobs() {
        let job = row.job();
        if job.parent_id.is_empty() {
            continue;
        }
        let count = counts.entry((&job.id.namespace, &job.parent_id)).or_default();
        count[match row.status {
            JobStatus::Pending => 0,
            JobStatus::Running => 1,
            JobStatus::Dead => 2,
        }] += 1;
        let token = &job.dispatch_idempotency_token;
        if !token.is_empty() && !tokens.insert((&job.id.namespace, &job.parent_id, token)) {
            broken!(out, "INV-64", "token {token} has made more than one child of {}", job.parent_id);
        }
    }
    for row in state.jobs() {
        let told = [row.children.pending, row.children.running, row.children.dead];
        let counted = counts.get(&(row.id().namespace.as_str(), row.id().id.as_str())).copied().unwrap_or_default();
        if told != counted {
            broken!(out, "INV-15", "{} counts {told:?} children and has {counted:?}", row.id());
        }
        let alone = row.job().periodic.as_ref().is_some_and(|periodic| periodic.prohibit_overlap);
        if alone && counted[0] + counted[1] > 1 {
            broken!(out, "INV-65", "{} has {} children at work that must not overlap", row.id(), counted[0] + counted[1]);
        }
    }
}

/// A node that drains takes nothing.
fn drains(state: &Snapshot, out: &mut Vec<Broken>) {
    for (_, row) in state.nodes() {
        if row.drain.is_some() && (row.eligible || row.ready()) {
            broken!(out, "INV-51", "node {} drains and takes placements", row.node.name);
        }
    }
}

/// What one step may change.
pub(super) fn check_step(before: &Snapshot, after: &Snapshot, out: &mut Vec<Broken>) {
    nodes(before, after, out);
    leaving(before, after, out);
    paced(before, after, out);
    collected(before, after, out);
}

fn live_on(state: &Snapshot, node: NodeId) -> impl Iterator<Item = &std::sync::Arc<Alloc>> {
    let slot = state.node_slot(node);
    slot.into_iter().flat_map(|slot| state.allocs_of_node(slot)).filter(|alloc| !alloc.client_terminal())
}

/// INV-50.
fn nodes(before: &Snapshot, after: &Snapshot, out: &mut Vec<Broken>) {
    for (_, now) in after.nodes().filter(|(_, row)| row.status == NodeStatus::Ready) {
        let Some(then) = before.node(now.node.id).filter(|then| then.status != NodeStatus::Ready) else { continue };
        match then.status {
            NodeStatus::Disconnected => broken!(out, "INV-50", "node {} went from disconnected to ready at once", now.node.name),
            NodeStatus::Initializing => {
                let told = then.last_alloc_update_index > then.last_missed_heartbeat_index;
                let live = live_on(before, now.node.id).count();
                if !told && live > 0 {
                    broken!(out, "INV-50", "node {} is ready although nothing is known of {live} allocations", now.node.name);
                }
            }
            NodeStatus::Down | NodeStatus::Ready => {}
        }
    }
}

fn on_its_way(alloc: &Alloc) -> bool {
    alloc.transition.migrate == Some(true)
}

/// Whether this very step is somebody's wish to stop an allocation of a job, which looks as if a drain moved it.
fn asked_for(state: &Snapshot, job: &JobId) -> bool {
    state.evals_of_job(job).any(|eval| eval.trigger == Trigger::AllocStop && eval.create_index == state.index())
}

/// INV-53: system jobs leave last, unless the drain's time is up.
fn leaving(before: &Snapshot, after: &Snapshot, out: &mut Vec<Broken>) {
    let system = |alloc: &Alloc| matches!(alloc.job.kind, JobType::System | JobType::Sysbatch);
    let patient = |row: &&std::sync::Arc<NodeRow>| row.drain.is_some_and(|drain| drain.spec.deadline_ns == 0);
    for (slot, row) in before.draining().filter(|(_, row)| patient(row)) {
        let newly = |alloc: &Alloc| on_its_way(alloc) && before.alloc(alloc.id).is_some_and(|then| !on_its_way(then));
        let moved = |alloc: &Alloc| system(alloc) && newly(alloc) && !asked_for(after, &alloc.job.id);
        for alloc in after.allocs_of_node(slot).filter(|alloc| moved(alloc)) {
            if live_on(before, row.node.id).any(|other| !system(other)) {
                broken!(out, "INV-53", "{} leaves node {} before others have left", alloc.name(), row.node.name);
            }
        }
    }
}

/// How long ago a drain may have been looked at that acts now, in nanoseconds.
const LOOKED_AGO: i64 = 5_000_000_000;

/// INV-52: while a drain has time, the groups of services keep as many healthy allocations as they must not miss. What
/// changed since the drain was looked at counts as it was.
fn paced(before: &Snapshot, after: &Snapshot, out: &mut Vec<Broken>) {
    let lately = |time: drover_base::WallTime| after.time().0 - time.0 <= LOOKED_AGO;
    let mut leave: BTreeMap<(&str, &str, &str), bool> = BTreeMap::new();
    for (slot, row) in before.draining() {
        let Some(drain) = row.drain else { continue };
        let deadline = drain.force_deadline.0;
        // Deadlines that are close to one that is due count as due with it.
        let in_time = drain.spec.deadline_ns >= 0 && (deadline == 0 || deadline - after.time().0 > 2 * LOOKED_AGO);
        for alloc in after.allocs_of_node(slot).filter(|alloc| alloc.job.kind == JobType::Service && on_its_way(alloc)) {
            if before.alloc(alloc.id).is_some_and(|then| !on_its_way(then)) && !asked_for(after, &alloc.job.id) {
                let all = leave.entry((&alloc.job.id.namespace, &alloc.job.id.id, alloc.group_name())).or_insert(true);
                *all &= in_time;
            }
        }
    }
    for (namespace, id, name) in leave.into_iter().filter_map(|(group, in_time)| in_time.then_some(group)) {
        let id = JobId { namespace: namespace.to_owned(), id: id.to_owned() };
        let Some((slot, row)) = after.job_slot(&id).zip(after.job(&id)) else { continue };
        let Some(group) = row.job().group(name).filter(|_| !lately(row.job().submit_time)) else { continue };
        let may_miss = group.migrate.as_ref().map_or(1, |migrate| migrate.max_parallel);
        let must_stay = group.count.saturating_sub(may_miss);
        let of_group = after.allocs_of_job(slot).filter(|alloc| alloc.group_name() == name && alloc.health.is_some());
        let stay = of_group.filter(|alloc| !on_its_way(alloc) && (!alloc.terminal() || lately(alloc.modify_time))).count();
        if stay < must_stay as usize {
            broken!(out, "INV-52", "a drain leaves {id}.{name} with {stay} healthy allocations of {must_stay} that must stay");
        }
    }
}

/// INV-66: what is gone was over, or went with its job.
fn collected(before: &Snapshot, after: &Snapshot, out: &mut Vec<Broken>) {
    // An entry that removes adds nothing, so a look at the numbers is enough for most.
    let (evals, allocs) = (before.evals().count() > after.evals().count(), before.allocs().count() > after.allocs().count());
    for eval in before.evals().filter(|eval| evals && after.eval(eval.id).is_none()) {
        if !eval.status.is_terminal() {
            broken!(out, "INV-66", "evaluation {} was {} and is gone", eval.id, eval.status);
        }
    }
    for alloc in before.allocs().filter(|alloc| allocs && after.alloc(alloc.id).is_none()) {
        let purged = after.job_at(alloc.job_slot).is_none();
        if !alloc.terminal() && !purged {
            broken!(out, "INV-66", "allocation {} was {} and is gone", alloc.name(), alloc.client_status);
        }
    }
    for row in before.jobs() {
        let tagged = row.versions.iter().any(|version| version.tag.is_some());
        if tagged && after.job(row.id()).is_none() && row.live_allocs == 0 && !row.job().stop {
            broken!(out, "INV-66", "job {} has a named version and is gone", row.id());
        }
    }
}

/// What must hold once nothing changes any more: INV-40.
pub(super) fn check_settled(state: &Snapshot, out: &mut Vec<Broken>) {
    let mut waiting = BTreeSet::new();
    for eval in state.evals().filter(|eval| eval.status == EvalStatus::Blocked) {
        let node = eval.node_id.filter(|_| matches!(eval.kind, JobType::System | JobType::Sysbatch));
        if !waiting.insert((eval.job_id.clone(), node)) {
            broken!(out, "INV-40", "more than one evaluation of {} waits for room", eval.job_id);
        }
    }
}
