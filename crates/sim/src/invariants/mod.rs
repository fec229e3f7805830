//! What must hold in every state and between states that follow each other (INV-… of the ledger).
//!
//! Shares no code with what it checks: sums, links and counters are worked out again here, the slow way.

mod leader;

use std::collections::{BTreeMap, BTreeSet};

use drover_base::NodeId;
use drover_model::{Hook, JobType};
use drover_server::state::{Alloc, Snapshot, SnapshotReader, Table, write_snapshot};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The ledger's id.
    pub id: &'static str,
    /// What was found.
    pub what: String,
}

macro_rules! broken {
    ($out:expr, $id:literal, $($text:tt)*) => { $out.push(Broken { id: $id, what: format!($($text)*) }) };
}
pub(crate) use broken;

/// Everything that can be seen in one state.
pub fn check(state: &Snapshot) -> Vec<Broken> {
    let mut out = Vec::new();
    capacity(state, &mut out);
    links(state, &mut out);
    deployments(state, &mut out);
    services(state, &mut out);
    summaries(state, &mut out);
    leader::check(state, &mut out);
    replay(state, &mut out);
    out
}

/// What is cheap enough for every step: capacity and registrations, and what one step may change.
pub fn check_step(before: &Snapshot, after: &Snapshot) -> Vec<Broken> {
    let mut out = Vec::new();
    for table in Table::ALL {
        if after.table_index(*table) < before.table_index(*table) {
            broken!(out, "INV-17", "the index of {table} went from {} to {}", before.table_index(*table), after.table_index(*table));
        }
    }
    for alloc in after.allocs() {
        match before.alloc(alloc.id) {
            Some(old) => {
                unchanged(old, alloc, &mut out);
                preempted(before, after, alloc, &mut out);
            }
            None => {
                let ready = before.node(alloc.node_id).is_some_and(|row| row.ready());
                if !ready {
                    broken!(out, "INV-51", "{} was placed on node {} that does not take placements", alloc.name(), alloc.node_id);
                }
            }
        }
    }
    capacity(after, &mut out);
    services(after, &mut out);
    leader::check_step(before, after, &mut out);
    out
}

fn unchanged(old: &Alloc, new: &Alloc, out: &mut Vec<Broken>) {
    let key = |alloc: &Alloc| (alloc.create_index, alloc.name(), alloc.job.id.clone(), alloc.node_id);
    if key(old) != key(new) {
        broken!(out, "INV-03", "allocation {} changed from {:?} to {:?}", new.id, key(old), key(new));
    }
    if old.client_terminal() && !new.client_terminal() {
        broken!(out, "INV-03", "allocation {} went from {} back to {}", new.id, old.client_status, new.client_status);
    }
}

/// INV-01 and INV-02, and that the running totals say the same as a recount.
fn capacity(state: &Snapshot, out: &mut Vec<Broken>) {
    #[derive(Default)]
    struct Sum {
        cpu: u64,
        memory: u64,
        disk: u64,
        allocs: u32,
        ports: BTreeSet<(String, u16)>,
    }
    let mut sums: BTreeMap<NodeId, Sum> = BTreeMap::new();
    // What was on a node that was purged belongs to nobody any more, even if that node comes again before it is given up.
    let placed = |alloc: &&std::sync::Arc<Alloc>| state.node_slot(alloc.node_id) == Some(alloc.node_slot);
    for alloc in state.allocs().filter(|alloc| !alloc.terminal()).filter(placed) {
        let sum = sums.entry(alloc.node_id).or_default();
        let (mut before, mut main, mut after) = ((0, 0), (0, 0), (0, 0));
        for (name, task) in &alloc.resources.tasks {
            let own = (u64::from(task.cpu_mhz), u64::from(task.memory_mb));
            match alloc.resources.lifecycles.get(name) {
                Some(lifecycle) if lifecycle.hook == Hook::Prestart => {
                    before = (before.0 + own.0, before.1 + own.1);
                    if lifecycle.sidecar {
                        main = (main.0 + own.0, main.1 + own.1);
                    }
                }
                Some(lifecycle) if lifecycle.hook == Hook::Poststop => after = (after.0 + own.0, after.1 + own.1),
                _ => main = (main.0 + own.0, main.1 + own.1),
            }
        }
        sum.cpu += before.0.max(main.0).max(after.0);
        sum.memory += before.1.max(main.1).max(after.1);
        sum.disk += u64::from(alloc.resources.disk_mb);
        sum.allocs += 1;
        for port in alloc.resources.ports.iter().filter(|port| !port.ignore_collision) {
            if !sum.ports.insert((port.host_ip.clone(), port.value)) {
                broken!(out, "INV-02", "port {} of node {} is given twice", port.value, alloc.node_id);
            }
        }
    }
    for (_, row) in state.nodes() {
        let size = &row.node.resources;
        let sum = sums.remove(&row.node.id).unwrap_or_default();
        let room = [
            ("cpu", sum.cpu, size.cpu_mhz.saturating_sub(size.reserved_cpu_mhz)),
            ("memory", sum.memory, size.memory_mb.saturating_sub(size.reserved_memory_mb)),
            ("disk", sum.disk, size.disk_mb.saturating_sub(size.reserved_disk_mb)),
        ];
        for (dimension, used, capacity) in room {
            if used > u64::from(capacity) {
                broken!(out, "INV-01", "node {} holds {used} of {capacity} {dimension}", row.node.name);
            }
        }
        let counted = (u64::from(row.live.cpu_mhz), u64::from(row.live.memory_mb), u64::from(row.live.disk_mb), row.live.allocs);
        let summed = (sum.cpu, sum.memory, sum.disk, sum.allocs);
        if counted != summed {
            broken!(out, "INV-01", "node {} counts {counted:?} and holds {summed:?}", row.node.name);
        }
    }
}

/// INV-05.
fn links(state: &Snapshot, out: &mut Vec<Broken>) {
    for alloc in state.allocs() {
        if let Some(previous) = alloc.rare.previous.and_then(|id| state.alloc(id))
            && previous.rare.next != Some(alloc.id)
            // One that was stopped because what it replaced came back keeps its link; the other may be replaced again.
            && !alloc.server_terminal()
        {
            broken!(out, "INV-05", "{} replaces {}, which is replaced by {:?}", alloc.id, previous.id, previous.rare.next);
        }
        if let Some(next) = alloc.rare.next.and_then(|id| state.alloc(id))
            && next.rare.previous != Some(alloc.id)
        {
            broken!(out, "INV-05", "{} is replaced by {}, which replaces {:?}", alloc.id, next.id, next.rare.previous);
        }
    }
}

/// INV-06 and INV-07.
fn deployments(state: &Snapshot, out: &mut Vec<Broken>) {
    let mut active = BTreeMap::new();
    for deployment in state.deployments() {
        if deployment.status.is_active() {
            *active.entry((deployment.job_id.clone(), deployment.job_create_index)).or_insert(0) += 1;
        }
        for (name, group) in &deployment.groups {
            if group.healthy > group.placed {
                broken!(out, "INV-07", "deployment {} has {} healthy of {} placed in {name}", deployment.id, group.healthy, group.placed);
            }
            // Allocations may have been collected or moved on; what is there must have been counted.
            let of_group = || state.allocs_of_deployment(deployment.id).filter(|alloc| alloc.group_name() == name);
            let healthy = of_group().filter(|alloc| alloc.is_healthy() == Some(true)).count();
            let unhealthy = of_group().filter(|alloc| alloc.is_healthy() == Some(false)).count();
            if healthy > group.healthy as usize || unhealthy > group.unhealthy as usize || of_group().count() > group.placed as usize {
                broken!(
                    out,
                    "INV-07",
                    "deployment {} counts {}/{}/{} in {name} and there are {}/{healthy}/{unhealthy}",
                    deployment.id,
                    group.placed,
                    group.healthy,
                    group.unhealthy,
                    of_group().count()
                );
            }
        }
    }
    for ((job, _), count) in active {
        if count > 1 {
            broken!(out, "INV-06", "job {job} has {count} active deployments");
        }
    }
}

/// INV-09.
fn services(state: &Snapshot, out: &mut Vec<Broken>) {
    for service in state.services() {
        match state.alloc(service.alloc_id) {
            Some(alloc) if !alloc.client_terminal() && alloc.node_id == service.node_id => {}
            Some(alloc) => broken!(out, "INV-09", "service {} stays although its allocation is {}", service.id, alloc.client_status),
            None => broken!(out, "INV-09", "service {} belongs to no allocation", service.id),
        }
    }
}

/// INV-15.
fn summaries(state: &Snapshot, out: &mut Vec<Broken>) {
    for row in state.jobs() {
        let Some(slot) = state.job_slot(row.id()) else { continue };
        let mut counts: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
        for alloc in state.allocs_of_job(slot) {
            *counts.entry(alloc.group_name()).or_default().entry(alloc.client_status.text()).or_default() += 1;
        }
        for (group, summary) in &row.summary {
            let told = [
                ("pending", summary.starting),
                ("running", summary.running),
                ("complete", summary.complete),
                ("failed", summary.failed),
                ("lost", summary.lost),
                ("unknown", summary.unknown),
            ];
            for (status, told) in told {
                let counted = counts.get(group.as_str()).and_then(|counts| counts.get(status)).copied().unwrap_or(0);
                if told != counted {
                    broken!(out, "INV-15", "the summary of {}.{group} says {told} {status}, there are {counted}", row.id());
                }
            }
        }
    }
}

/// INV-16: a state that goes through a snapshot is the same state.
fn replay(state: &Snapshot, out: &mut Vec<Broken>) {
    let bytes = write_snapshot(state);
    match SnapshotReader::read(&bytes) {
        Ok(restored) => {
            if write_snapshot(&restored) != bytes {
                broken!(out, "INV-16", "a restored snapshot has other bytes");
            }
            for (slot, row) in state.nodes() {
                if restored.node_at(slot).map(|restored| (&restored.live, &restored.held)) != Some((&row.live, &row.held)) {
                    broken!(out, "INV-16", "node {} has other totals after a restore", row.node.name);
                }
            }
        }
        Err(error) => broken!(out, "INV-16", "a snapshot cannot be read again: {error}"),
    }
}

/// INV-25 and the like: what must hold once nothing changes any more.
pub fn check_settled(state: &Snapshot) -> Vec<Broken> {
    let mut out = check(state);
    leader::check_settled(state, &mut out);
    for eval in state.evals() {
        if !eval.status.is_terminal() && eval.status != drover_model::EvalStatus::Blocked && eval.wait_until <= state.time() {
            broken!(out, "INV-41", "evaluation {} of {} is still {}", eval.id, eval.job_id, eval.status);
        }
    }
    lost(state, &mut out);
    for row in state.jobs().filter(|row| !row.job().stop) {
        let Some(slot) = state.job_slot(row.id()) else { continue };
        for group in row.job().task_groups.iter() {
            let live: Vec<_> = state.allocs_of_job(slot).filter(|alloc| !alloc.terminal() && alloc.group_name() == group.name).collect();
            if matches!(row.job().kind, JobType::System | JobType::Sysbatch) {
                let mut nodes = BTreeSet::new();
                for alloc in live.iter().filter(|alloc| !nodes.insert(alloc.node_id)) {
                    broken!(out, "INV-20", "node {} has {} twice", alloc.node_id, alloc.name());
                }
                continue;
            }
            let plain = live.iter().filter(|alloc| !alloc.canary);
            let mut indexes = BTreeSet::new();
            for alloc in plain.clone() {
                if !indexes.insert(alloc.index) {
                    broken!(out, "INV-20", "two allocations are named {}", alloc.name());
                }
            }
            if plain.count() > group.count as usize {
                let each: Vec<_> = live.iter().map(|alloc| told(alloc)).collect();
                let last = state.deployments_of_job(row.id()).next_back().map(|last| (last.status, last.job_version));
                broken!(
                    out,
                    "INV-20",
                    "{}.{} has {each:?} of {} ({:?}), deployment {last:?}",
                    row.id(),
                    group.name,
                    group.count,
                    group.update
                );
            }
        }
    }
    out
}

/// INV-41 seen from the jobs: a service that has less than it asks for has an evaluation that will see to it, or a deployment
/// that somebody must decide about. One that failed may have been collected since: its version never became stable.
fn lost(state: &Snapshot, out: &mut Vec<Broken>) {
    for row in state.jobs().filter(|row| !row.job().stop && row.job().kind == JobType::Service) {
        let Some(slot) = state.job_slot(row.id()) else { continue };
        let cared_for = state.evals_of_job(row.id()).any(|eval| !eval.status.is_terminal());
        let with_deployments = row.job().task_groups.iter().any(|group| group.update.is_some());
        let decided = match state.deployments_of_job(row.id()).next_back() {
            Some(last) => last.job_version != row.job().version || last.status == drover_model::DeploymentStatus::Successful,
            None => !with_deployments || row.stable_versions().any(|entry| entry.job.version == row.job().version),
        };
        if cared_for || !decided {
            continue;
        }
        for group in row.job().task_groups.iter() {
            let live = state.allocs_of_job(slot).filter(|alloc| !alloc.terminal() && alloc.group_name() == group.name).count();
            if live < group.count as usize {
                broken!(out, "INV-41", "{}.{} has {live} of {} and nothing will see to it", row.id(), group.name, group.count);
            }
        }
    }
}

/// INV-27: who is pushed aside is less important by ten or more, and of another job.
fn preempted(before: &Snapshot, after: &Snapshot, alloc: &Alloc, out: &mut Vec<Broken>) {
    let newly = before.alloc(alloc.id).is_some_and(|old| old.rare.preempted_by.is_none());
    let Some(by) = alloc.rare.preempted_by.filter(|_| newly).and_then(|by| after.alloc(by)) else { return };
    let (low, high) = (alloc.job.priority, by.job.priority);
    if low + 10 > high || alloc.job.id == by.job.id {
        broken!(out, "INV-27", "{} of priority {low} makes room for {} of priority {high}", alloc.name(), by.name());
    }
}

/// What matters of an allocation that should not be there.
fn told(alloc: &Alloc) -> String {
    let Alloc { index, canary, desired, client_status, job, health, create_index, transition, .. } = alloc;
    let health = health.as_ref().map(|(health, _)| health);
    format!(
        "[{index}] of version {} created at {create_index}: {desired:?}, {client_status:?}, canary {canary}, {health:?}, {transition:?}",
        job.version
    )
}
