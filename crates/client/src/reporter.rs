//! Reports states of allocations to the servers: what changed goes out at once, what changes meanwhile goes with the next batch.
//!
//! A change of an allocation's own state is urgent. What only adds to its story waits a moment for company. Nothing is sent before the
//! servers were first reached, and nothing that they have acknowledged already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, Monotonic, NodeId, Rng};
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
    updates: BTreeMap<AllocId, (AllocUpdate, bool)>,
    urgent: usize,
    /// When the first of the others is to go out at the latest.
    others_due: Option<Monotonic>,
}

impl Waiting {
    fn add(&mut self, now: Monotonic, update: AllocUpdate, urgent: bool) {
        let before = self.updates.get(&update.id).is_some_and(|(_, urgent)| *urgent);
        let urgent = urgent || before;
        if urgent && !before {
            self.urgent += 1;
        }
        if !urgent {
            self.others_due.get_or_insert(now + PATIENCE);
        }
        self.updates.insert(update.id, (update, urgent));
    }
}

/// When to look again.
enum Next {
    /// Something is to be sent now.
    Send(Vec<AllocUpdate>),
    /// Something is to be sent then, unless something urgent comes first.
    At(Monotonic),
    Idle,
}

/// Takes updates in; [`run`] sends them.
#[derive(Default)]
pub(crate) struct Reporter {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Reporter {
    /// Adds an update in place of an earlier one that still waits.
    pub(crate) fn report(&self, now: Monotonic, update: AllocUpdate, urgent: bool) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).add(now, update, urgent);
        self.changed.notify_one();
    }

    /// Takes what is urgent, or everything once the others have waited long enough.
    fn next(&self, now: Monotonic) -> Next {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let due = waiting.others_due.is_some_and(|due| due <= now);
        if waiting.urgent == 0 && !due {
            return waiting.others_due.map_or(Next::Idle, Next::At);
        }
        let chosen: Vec<AllocId> =
            waiting.updates.iter().filter(|(_, (_, urgent))| due || *urgent).map(|(id, _)| *id).take(BATCH_MAX).collect();
        let batch: Vec<(AllocUpdate, bool)> = chosen.iter().filter_map(|id| waiting.updates.remove(id)).collect();
        waiting.urgent -= batch.iter().filter(|(_, urgent)| *urgent).count();
        if waiting.updates.len() == waiting.urgent {
            waiting.others_due = None;
        }
        Next::Send(batch.into_iter().map(|(update, _)| update).collect())
    }

    /// Puts a batch back that could not be sent; newer updates win.
    fn put_back(&self, now: Monotonic, batch: Vec<AllocUpdate>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for update in batch {
            match waiting.updates.remove(&update.id) {
                Some((newer, urgent)) => {
                    waiting.urgent -= usize::from(urgent);
                    waiting.add(now, newer, true);
                }
                None => waiting.add(now, update, true),
            }
        }
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
        let batch = match reporter.next(clock.monotonic()) {
            Next::Send(batch) => batch,
            Next::At(due) => {
                tokio::select! {
                    () = clock.sleep_until(Some(due)) => {}
                    () = reporter.changed.notified() => {}
                }
                continue;
            }
            Next::Idle => {
                reporter.changed.notified().await;
                continue;
            }
        };
        match link.update_allocs(node, batch.clone()).await {
            Ok(()) => batch.iter().for_each(&acknowledge),
            Err(LinkError::Refused(reason)) => {
                tracing::error!(%reason, count = batch.len(), "servers refused allocation updates");
            }
            Err(error) => {
                tracing::warn!(%error, count = batch.len(), "allocation updates could not be sent");
                reporter.put_back(clock.monotonic(), batch);
                let jitter = rng.below(RETRY.as_millis() as u64 / 2);
                clock.sleep(RETRY + Duration::from_millis(jitter)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;
    use drover_model::ClientStatus;

    fn update(number: u128, description: &str) -> AllocUpdate {
        AllocUpdate {
            id: AllocId::from_random(number),
            status: ClientStatus::Running,
            description: description.to_owned(),
            tasks: BTreeMap::new(),
            health: None,
        }
    }

    fn sent(reporter: &Reporter, now: Monotonic) -> Vec<String> {
        match reporter.next(now) {
            Next::Send(batch) => batch.into_iter().map(|update| update.description).collect(),
            Next::At(_) | Next::Idle => Vec::new(),
        }
    }

    #[proves("CLI-005")]
    #[test]
    fn urgent_updates_go_at_once_and_others_within_a_second() {
        let reporter = Reporter::default();
        let at = |millis: u64| Monotonic(0) + Duration::from_millis(millis);
        reporter.report(at(0), update(1, "story"), false);
        reporter.report(at(10), update(2, "change"), true);
        assert_eq!(sent(&reporter, at(10)), ["change"]);
        assert!(matches!(reporter.next(at(10)), Next::At(due) if due == at(1000)));
        reporter.report(at(20), update(1, "longer story"), false);
        assert_eq!(sent(&reporter, at(1000)), ["longer story"]);
        assert!(matches!(reporter.next(at(1000)), Next::Idle));
        // What could not be sent goes first, unless something newer is there.
        reporter.report(at(1100), update(3, "new"), false);
        reporter.put_back(at(1100), vec![update(3, "old"), update(4, "other")]);
        assert_eq!(sent(&reporter, at(1100)), ["new", "other"]);
        assert!(matches!(reporter.next(at(9000)), Next::Idle));
    }
}
