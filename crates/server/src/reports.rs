//! Reports of nodes about their allocations: what comes in from all nodes while an entry is being committed goes into the next one.
//!
//! A node's call returns once its report is durable, so the number of nodes bounds what waits; beyond that callers wait for
//! their turn.

use std::collections::BTreeMap;

use drover_model::command::Change;
use drover_model::{AllocUpdate, ClientStatus, Evaluation, JobId, Trigger};
use tokio::sync::{mpsc, oneshot};

use crate::error::EndpointError;
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
    let mut carried = None;
    let mut on_their_way = futures::stream::FuturesUnordered::new();
    loop {
        let first = match carried.take() {
            Some(report) => report,
            None => tokio::select! {
                report = waiting.recv() => match report {
                    Some(report) => report,
                    None => return,
                },
                Some(()) = futures::StreamExt::next(&mut on_their_way), if !on_their_way.is_empty() => continue,
            },
        };
        let (mut updates, mut replies) = (first.updates, vec![first.reply]);
        while updates.len() < ENTRY_UPDATES_MAX {
            let Ok(report) = waiting.try_recv() else { break };
            if updates.len() + report.updates.len() > ENTRY_UPDATES_MAX {
                carried = Some(report);
                break;
            }
            updates.extend(report.updates);
            replies.push(report.reply);
        }
        let evals = evaluations(&server, &updates);
        let entry = server.clone();
        on_their_way.push(async move {
            let result = entry.propose(Change::AllocUpdates { updates, evals }).await.map(|_| ());
            for reply in replies {
                // A caller that is gone has no use for the answer.
                let _ = reply.send(result.clone());
            }
        });
        while on_their_way.len() >= ENTRIES_MAX {
            futures::StreamExt::next(&mut on_their_way).await;
        }
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
