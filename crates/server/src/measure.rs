//! What a server measures of the region, under the names that dashboards know. Only the leader knows of the work that waits, so
//! only the leader tells of it.

use drover_state::{JobStatus, Snapshot};

use crate::server::Server;

/// Jobs whose summaries are told; with more, only what all of them come to is.
const JOBS_TOLD_MAX: usize = 400;

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// Its name, with dots.
    pub name: &'static str,
    /// What it is about.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Gauge {
    /// A measurement that is about the agent as a whole.
    pub fn new(name: &'static str, value: impl Into<f64>) -> Self {
        Self { name, labels: Vec::new(), value: value.into() }
    }

    /// The same about something.
    #[must_use]
    pub fn about(mut self, label: &'static str, what: impl Into<String>) -> Self {
        self.labels.push((label, what.into()));
        self
    }

    fn count(name: &'static str, count: usize) -> Self {
        Self::new(name, count as f64)
    }
}

impl Server {
    /// What there is to measure now.
    pub fn gauges(&self) -> Vec<Gauge> {
        let status = self.raft_status();
        let mut out = vec![
            Gauge::count("nomad.raft.appliedIndex", usize::try_from(status.applied).unwrap_or(usize::MAX)),
            Gauge::count("nomad.raft.lastIndex", usize::try_from(status.last_index).unwrap_or(usize::MAX)),
            Gauge::count("nomad.state.snapshotIndex", usize::try_from(self.snapshot().index()).unwrap_or(usize::MAX)),
        ];
        if status.leader {
            self.of_the_leader(&mut out);
        }
        out
    }

    fn of_the_leader(&self, out: &mut Vec<Gauge>) {
        let work = self.0.leader.work();
        let state = self.snapshot();
        out.extend([
            Gauge::count("nomad.nomad.broker.total_ready", work.broker.ready),
            Gauge::count("nomad.nomad.broker.total_unacked", work.broker.outstanding),
            Gauge::count("nomad.nomad.broker.total_pending", work.broker.pending),
            Gauge::count("nomad.nomad.broker.total_waiting", work.broker.waiting),
            Gauge::count("nomad.nomad.broker.total_cancelable", work.broker.cancelable),
            Gauge::count("nomad.nomad.blocked_evals.total_blocked", work.blocked),
            Gauge::count("nomad.nomad.blocked_evals.total_escaped", work.escaped),
            Gauge::new("nomad.nomad.blocked_evals.total_quota_limit", 0.0),
            Gauge::count("nomad.nomad.plan.queue_depth", work.plans),
            Gauge::count("nomad.nomad.heartbeat.active", self.heartbeats().expected()),
            Gauge::new("nomad.nomad.autopilot.healthy", if self.ready() { 1.0 } else { 0.0 }),
            Gauge::new("nomad.nomad.autopilot.failure_tolerance", 0.0),
        ]);
        jobs(&state, out);
    }
}

/// How jobs stand.
fn jobs(state: &Snapshot, out: &mut Vec<Gauge>) {
    let (mut pending, mut running, mut dead, mut told) = (0, 0, 0, 0);
    for row in state.jobs() {
        match row.status {
            JobStatus::Pending => pending += 1,
            JobStatus::Running => running += 1,
            JobStatus::Dead => dead += 1,
        }
        told += 1;
        if told > JOBS_TOLD_MAX {
            continue;
        }
        for (group, summary) in &row.summary {
            let (id, parent) = (row.id(), &row.job().parent_id);
            let about = |name: &'static str, value: u32| {
                let gauge = Gauge::new(name, value)
                    .about("job", if parent.is_empty() { id.id.clone() } else { parent.clone() })
                    .about("namespace", id.namespace.clone())
                    .about("task_group", group.clone());
                // Children of one parent are told apart by what comes after its name.
                let child = id.id.strip_prefix(parent.as_str()).filter(|_| !parent.is_empty());
                match child.map(|rest| rest.trim_start_matches('/')) {
                    Some(rest) if rest.starts_with("periodic-") => gauge.about("periodic_id", rest.trim_start_matches("periodic-")),
                    Some(rest) => gauge.about("dispatch_id", rest.trim_start_matches("dispatch-")),
                    None => gauge,
                }
            };
            out.extend([
                about("nomad.nomad.job_summary.queued", summary.queued),
                about("nomad.nomad.job_summary.complete", summary.complete),
                about("nomad.nomad.job_summary.failed", summary.failed),
                about("nomad.nomad.job_summary.running", summary.running),
                about("nomad.nomad.job_summary.starting", summary.starting),
                about("nomad.nomad.job_summary.lost", summary.lost),
                about("nomad.nomad.job_summary.unknown", summary.unknown),
            ]);
        }
    }
    out.extend([
        Gauge::count("nomad.nomad.job_status.pending", pending),
        Gauge::count("nomad.nomad.job_status.running", running),
        Gauge::count("nomad.nomad.job_status.dead", dead),
    ]);
}
