//! Reports states of allocations to the servers: what changed goes out at once, what changes meanwhile goes with the next batch.
//!
//! A change of an allocation's own state is urgent. What only adds to its story waits a moment for company. Nothing is sent before the
//! servers were first reached, and nothing that they have acknowledged already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, NodeId, Rng};
use drover_model::AllocUpdate;
use drover_rt::{Clock, Entropy};
use tokio::sync::{Notify, watch};

use crate::link::{LinkError, ServerLink};

/// How long an update that is not urgent waits for others.
const PATIENCE: Duration = Duration::from_secs(1);
/// The wait before a batch that could not be sent is tried again; up to half is added at random.
const RETRY: Duration = Duration::from_secs(5);
/// Updates in one batch.
const BATCH_MAX: usize = 1000;

/// Told what the servers acknowledged.
pub(crate) type Acknowledge = Box<dyn Fn(&AllocUpdate) + Send + Sync>;

#[derive(Default)]
struct Waiting {
    updates: BTreeMap<AllocId, AllocUpdate>,
    urgent: bool,
}

/// Takes updates in; [`run`] sends them.
#[derive(Default)]
pub(crate) struct Reporter {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Reporter {
    /// Adds an update in place of an earlier one that still waits.
    pub(crate) fn report(&self, update: AllocUpdate, urgent: bool) {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.updates.insert(update.id, update);
            waiting.urgent |= urgent;
        }
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<AllocUpdate> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some((_, update)) = waiting.updates.pop_first()
        {
            batch.push(update);
        }
        waiting.urgent &= !waiting.updates.is_empty();
        batch
    }

    /// Puts a batch back that could not be sent; newer updates win.
    fn put_back(&self, batch: Vec<AllocUpdate>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for update in batch {
            waiting.updates.entry(update.id).or_insert(update);
        }
        waiting.urgent = true;
    }

    /// (anything waits, something urgent waits)
    fn state(&self) -> (bool, bool) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        (!waiting.updates.is_empty(), waiting.urgent)
    }
}

/// Sends what [`Reporter::report`] takes in, for ever.
pub(crate) async fn run(
    reporter: Arc<Reporter>,
    link: Arc<dyn ServerLink>,
    node: NodeId,
    mut contacted: watch::Receiver<bool>,
    clock: Clock,
    entropy: Entropy,
    acknowledge: Acknowledge,
) {
    let mut rng = Rng::new(entropy.seed());
    if contacted.wait_for(|reached| *reached).await.is_err() {
        return;
    }
    loop {
        match reporter.state() {
            (false, _) => {
                reporter.changed.notified().await;
                continue;
            }
            (true, false) => {
                let patience = clock.sleep(PATIENCE);
                tokio::pin!(patience);
                // Ends early when something urgent arrives.
                loop {
                    tokio::select! {
                        () = &mut patience => break,
                        () = reporter.changed.notified() => if reporter.state().1 { break },
                    }
                }
            }
            (true, true) => {}
        }
        let batch = reporter.take();
        if batch.is_empty() {
            continue;
        }
        match link.update_allocs(node, batch.clone()).await {
            Ok(()) => batch.iter().for_each(&acknowledge),
            Err(LinkError::Refused(reason)) => {
                tracing::error!(%reason, count = batch.len(), "servers refused allocation updates");
            }
            Err(error) => {
                tracing::warn!(%error, count = batch.len(), "allocation updates could not be sent");
                reporter.put_back(batch);
                let jitter = rng.below(RETRY.as_millis() as u64 / 2);
                clock.sleep(RETRY + Duration::from_millis(jitter)).await;
            }
        }
    }
}
