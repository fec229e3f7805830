//! What this agent measures every few seconds, under the names that dashboards know: the work of the region as far as one server
//! sees it, and what this node has to give and has given.

use std::collections::BTreeMap;

use drover_client::ClientHandle;
use drover_http::telemetry::Measured;
use drover_http::view;

use drover_model::{ClientStatus, DesiredStatus, EvalStatus, JobType, NodeStatus, TaskStates};
use drover_server::Server;
use drover_server::state::{JobStatus, Snapshot};

/// Above so many jobs there are no figures of single ones.
const JOBS_MAX: usize = 1000;

/// Collects values.
#[derive(Default)]
struct Values(Vec<Measured>);

impl Values {
    fn put(&mut self, name: impl Into<String>, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.push(Measured { name: name.into(), labels, value });
    }
}

/// All of it, as it is now.
pub(super) fn look(server: &Server, client: Option<&ClientHandle>) -> Vec<Measured> {
    let mut values = Values::default();
    let state = server.snapshot();
    let raft = server.raft_status();
    values.put("nomad.raft.appliedIndex", &[], raft.applied as f64);
    values.put("nomad.raft.lastIndex", &[], raft.last_index as f64);
    values.put("nomad.state.snapshotIndex", &[], state.index() as f64);
    values.put("nomad.nomad.autopilot.healthy", &[], f64::from(u8::from(raft.known_leader)));
    values.put("nomad.nomad.autopilot.failure_tolerance", &[], 0.0);
    if raft.leader {
        evaluations(&mut values, &state);
        jobs(&mut values, &state);
        let up = state.nodes().filter(|(_, row)| row.status == NodeStatus::Ready).count();
        values.put("nomad.nomad.heartbeat.active", &[], up as f64);
    }
    if let Some(client) = client {
        node(&mut values, &state, client);
    }
    values.0
}

/// What waits for the scheduler, and what waits for room.
fn evaluations(values: &mut Values, state: &Snapshot) {
    let (mut ready, mut waiting, mut blocked): (BTreeMap<&str, u64>, u64, u64) = (BTreeMap::new(), 0, 0);
    for eval in state.evals() {
        match eval.status {
            EvalStatus::Pending if eval.wait_until.is_zero() => *ready.entry(eval.kind.text()).or_default() += 1,
            EvalStatus::Pending => waiting += 1,
            EvalStatus::Blocked => blocked += 1,
            _ => {}
        }
    }
    for kind in [JobType::Service, JobType::Batch, JobType::System, JobType::Sysbatch] {
        let count = ready.get(kind.text()).copied().unwrap_or(0);
        values.put(format!("nomad.nomad.broker.{}.ready", kind.text()), &[], count as f64);
    }
    values.put("nomad.nomad.broker.total_ready", &[], ready.values().sum::<u64>() as f64);
    values.put("nomad.nomad.broker.total_waiting", &[], waiting as f64);
    values.put("nomad.nomad.blocked_evals.total_blocked", &[], blocked as f64);
}

/// How many jobs there are in which state, and how their groups stand.
fn jobs(values: &mut Values, state: &Snapshot) {
    let mut counts = [(JobStatus::Pending, 0_u64), (JobStatus::Running, 0), (JobStatus::Dead, 0)];
    let mut total = 0;
    for row in state.jobs() {
        total += 1;
        for (status, count) in &mut counts {
            *count += u64::from(row.status == *status);
        }
    }
    for (status, count) in counts {
        values.put(format!("nomad.nomad.job_status.{}", status.text()), &[], count as f64);
    }
    if total > JOBS_MAX {
        return;
    }
    for row in state.jobs() {
        let summary = view::summary(row);
        for (group, found) in summary.summary.iter().flatten() {
            let labels = [("job", row.id().id.as_str()), ("task_group", group.as_str()), ("namespace", row.id().namespace.as_str())];
            for (name, count) in [
                ("queued", found.queued),
                ("complete", found.complete),
                ("failed", found.failed),
                ("running", found.running),
                ("starting", found.starting),
                ("lost", found.lost),
                ("unknown", found.unknown),
            ] {
                values.put(format!("nomad.nomad.job_summary.{name}"), &labels, count as f64);
            }
        }
    }
}

/// What runs here, and what is left.
fn node(values: &mut Values, state: &Snapshot, client: &ClientHandle) {
    let id = client.node_id();
    let Some((slot, row)) = state.node_slot(id).zip(state.node(id)) else { return };
    let shown = view::node(row);
    let id = id.to_string();
    let class = if shown.node_class.is_empty() { "none" } else { shown.node_class.as_str() };
    let labels = [
        ("node_id", id.as_str()),
        ("datacenter", shown.datacenter.as_str()),
        ("node_class", class),
        ("node_pool", shown.node_pool.as_str()),
        ("node_status", shown.status.as_str()),
        ("node_scheduling_eligibility", shown.scheduling_eligibility.as_str()),
    ];
    let mut allocs = BTreeMap::from([("pending", 0_u64), ("running", 0), ("terminal", 0), ("blocked", 0), ("migrating", 0)]);
    let mut tasks = BTreeMap::from([("pending", 0_u64), ("running", 0), ("dead", 0)]);
    for alloc in state.allocs_of_node(slot) {
        let state = match (alloc.client_status, alloc.desired) {
            (ClientStatus::Running, _) => "running",
            (ClientStatus::Pending | ClientStatus::Unknown, DesiredStatus::Run) => "pending",
            _ => "terminal",
        };
        *allocs.entry(state).or_default() += 1;
        for (_, task) in alloc.tasks.iter().flat_map(TaskStates::iter) {
            *tasks.entry(task.status.text()).or_default() += 1;
        }
    }
    for (name, count) in allocs {
        values.put(format!("nomad.client.allocations.{name}"), &labels, count as f64);
    }
    for (name, count) in tasks {
        values.put(format!("nomad.client.tasks.{name}"), &labels, count as f64);
    }
    let (all, kept) = (shown.node_resources.unwrap_or_default(), shown.reserved_resources.unwrap_or_default());
    let given = [("cpu", row.live.cpu_mhz), ("memory", row.live.memory_mb), ("disk", row.live.disk_mb)];
    let whole = [
        all.cpu.cpu_shares as f64 - kept.cpu.cpu_shares as f64,
        all.memory.memory_mb as f64 - kept.memory.memory_mb as f64,
        all.disk.disk_mb as f64 - kept.disk.disk_mb as f64,
    ];
    for ((name, given), whole) in given.into_iter().zip(whole) {
        values.put(format!("nomad.client.allocated.{name}"), &labels, f64::from(given));
        values.put(format!("nomad.client.unallocated.{name}"), &labels, (whole - f64::from(given)).max(0.0));
    }
}
