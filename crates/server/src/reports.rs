//! Reports of nodes about their allocations: what comes in from all nodes while an entry is being committed goes into the next one.
//!
//! A node's call returns once its report is durable, so the number of nodes bounds what waits; beyond that callers wait for
//! their turn. When much comes in, an entry gathers for a moment ([`crate::pace`]): nodes wait for the answer before they
//! report again, so what ends on them meanwhile comes in one call.

use std::collections::BTreeMap;

use drover_model::command::Change;
use drover_model::{AllocUpdate, ClientStatus, Evaluation, JobId, Trigger};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use crate::error::EndpointError;
use crate::pace::Pace;
use crate::server::Server;

/// Calls that wait for their turn.
const CALLS_WAITING_MAX: usize = 4_096;
/// Updates in one entry; a single larger report goes alone.
const ENTRY_UPDATES_MAX: usize = 2_000;
/// Entries on their way at once: one is written while the next is put together.
const ENTRIES_MAX: usize = 2;

/// One call.
pub(crate) struct Report {
    updates: Vec<AllocUpdate>,
    reply: oneshot::Sender<Result<(), EndpointError>>,
}

/// Takes reports in.
pub(crate) struct Reports(mpsc::Sender<Report>);

impl Reports {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(CALLS_WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Returns once the updates are committed.
    pub(crate) async fn committed(&self, updates: Vec<AllocUpdate>) -> Result<(), EndpointError> {
        let stopping = || EndpointError::internal("raft stopped: the server is stopping");
        let (reply, answer) = oneshot::channel();
        self.0.send(Report { updates, reply }).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// Commits reports, for ever.
pub(crate) async fn run(server: Server, mut waiting: mpsc::Receiver<Report>) {
    let clock = server.0.clock.clone();
    let (pace, mut last) = (Pace::default(), None);
    let mut on_their_way = FuturesUnordered::new();
    let mut entry = Entry::default();
    loop {
        let hold = pace.hold(clock.monotonic(), last);
        let room = on_their_way.len() < ENTRIES_MAX;
        if room && !entry.is_empty() && (entry.full || hold.is_none()) {
            last = Some(clock.monotonic());
            let Entry { updates, replies, next, .. } = std::mem::take(&mut entry);
            on_their_way.push(commit(server.clone(), updates, replies));
            if let Some(next) = next {
                entry.take(next);
            }
            continue;
        }
        tokio::select! {
            report = waiting.recv(), if !entry.full => match report {
                Some(report) => {
                    pace.count(clock.monotonic(), report.updates.len());
                    entry.take(report);
                    while !entry.full && let Ok(report) = waiting.try_recv() {
                        pace.count(clock.monotonic(), report.updates.len());
                        entry.take(report);
                    }
                }
                None => return,
            },
            Some(()) = on_their_way.next(), if !on_their_way.is_empty() => {}
            () = clock.sleep_until(hold), if room && !entry.is_empty() => {}
        }
    }
}

/// What goes into one entry of the log.
#[derive(Default)]
struct Entry {
    updates: Vec<AllocUpdate>,
    replies: Vec<oneshot::Sender<Result<(), EndpointError>>>,
    full: bool,
    /// Came in and has no room: the beginning of the entry after this.
    next: Option<Report>,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    fn take(&mut self, report: Report) {
        if !self.is_empty() && self.updates.len() + report.updates.len() > ENTRY_UPDATES_MAX {
            (self.full, self.next) = (true, Some(report));
            return;
        }
        self.updates.extend(report.updates);
        self.replies.push(report.reply);
        self.full = self.updates.len() >= ENTRY_UPDATES_MAX;
    }
}

async fn commit(server: Server, updates: Vec<AllocUpdate>, replies: Vec<oneshot::Sender<Result<(), EndpointError>>>) {
    let evals = evaluations(&server, &updates);
    let result = server.propose(Change::AllocUpdates { updates, evals }).await.map(|_| ());
    for reply in replies {
        // A caller that is gone has no use for the answer.
        let _ = reply.send(result.clone());
    }
}

/// One evaluation for each job of which something ended without being asked to: it may have to be replaced.
fn evaluations(server: &Server, updates: &[AllocUpdate]) -> Vec<Evaluation> {
    let state = server.snapshot();
    let mut evals: BTreeMap<JobId, Evaluation> = BTreeMap::new();
    for update in updates.iter().filter(|update| update.status.is_terminal()) {
        let Some(alloc) = state.alloc(update.id) else { continue };
        let ended = !alloc.client_terminal() && !alloc.server_terminal();
        let failed = update.status == ClientStatus::Failed;
        let service_ended = !alloc.job.kind.is_batch();
        if ended && (failed || service_ended) && !alloc.job.stop && !evals.contains_key(&alloc.job.id) {
            let trigger = if failed { Trigger::AllocFailure } else { Trigger::AllocStop };
            let (job, id) = (&alloc.job, server.0.entropy.id());
            evals.insert(job.id.clone(), Evaluation::new(id, job.id.clone(), job.kind, job.priority, trigger, server.stamp()));
        }
    }
    evals.into_values().collect()
}
