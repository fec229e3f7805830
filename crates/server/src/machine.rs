//! The region's state behind consensus: applies entries, publishes snapshots, and tells who waits what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use drover_base::{DeploymentId, EvalId, NodeId};
use drover_model::{Command, DecodeError, JobId};
use drover_raft::{Machine, MachineError, Refusal};
use drover_state::{Snapshot, SnapshotReader, Store, Touched, write_snapshot};
use tokio::sync::{Notify, watch};

use crate::config::Observer;
use crate::error::refusal;
use crate::events::EventBuffer;

/// What changed since the leader's services last looked; a set, so it is bounded by the state.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) evals: BTreeSet<EvalId>,
    pub(crate) deployments: BTreeSet<DeploymentId>,
    pub(crate) freed: BTreeSet<NodeId>,
    pub(crate) jobs: BTreeSet<JobId>,
    pub(crate) nodes: BTreeSet<NodeId>,
}

/// The state of the region on this server.
pub struct Region {
    store: Mutex<Store>,
    newest: ArcSwap<Snapshot>,
    index: watch::Sender<u64>,
    changes: Mutex<Changes>,
    changed: Notify,
    /// Who pushes to which node; whoever goes away is swept out when the node is next followed or pushed to.
    pushes: Mutex<BTreeMap<NodeId, Vec<std::sync::Weak<Notify>>>>,
    pub(crate) events: EventBuffer,
    observer: Option<Observer>,
}

impl Region {
    /// An empty region that keeps so many entries of events.
    pub fn new(event_buffer: usize) -> Self {
        Self::observed(event_buffer, None)
    }

    /// The same, with somebody who sees every state as it is applied.
    pub(crate) fn observed(event_buffer: usize, observer: Option<Observer>) -> Self {
        Self {
            observer,
            store: Mutex::new(Store::default()),
            newest: ArcSwap::from_pointee(Snapshot::default()),
            index: watch::Sender::new(0),
            changes: Mutex::default(),
            changed: Notify::new(),
            pushes: Mutex::default(),
            events: EventBuffer::new(event_buffer),
        }
    }

    /// The newest state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Returns once there is state newer than `index`.
    pub async fn changed(&self, index: u64) {
        let mut newest = self.index.subscribe();
        // The sender lives in `self`, so the wait cannot fail while it is borrowed.
        let _ = newest.wait_for(|now| *now > index).await;
    }

    /// Wakes its holder when allocations of the node change in a way that the node must act on.
    pub(crate) fn watch_node(&self, node: NodeId) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let mut pushes = lock(&self.pushes);
        let watchers = pushes.entry(node).or_default();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&notify));
        notify
    }

    /// What changed since the last call; waits for the first change.
    pub(crate) async fn next_changes(&self) -> Changes {
        loop {
            let notified = self.changed.notified();
            {
                let mut changes = lock(&self.changes);
                let empty = changes.evals.is_empty()
                    && changes.deployments.is_empty()
                    && changes.freed.is_empty()
                    && changes.jobs.is_empty()
                    && changes.nodes.is_empty();
                if !empty {
                    return std::mem::take(&mut changes);
                }
            }
            notified.await;
        }
    }

    fn publish(&self, store: &Store) {
        let snapshot = store.snapshot();
        let index = snapshot.index();
        if let Some(observer) = &self.observer {
            observer(&snapshot);
        }
        self.newest.store(Arc::new(snapshot));
        self.index.send_replace(index);
    }

    fn tell(&self, touched: Touched) {
        let Touched { evals, deployments, freed, jobs, nodes, pushes, .. } = touched;
        if !(evals.is_empty() && deployments.is_empty() && freed.is_empty() && jobs.is_empty() && nodes.is_empty()) {
            let mut changes = lock(&self.changes);
            changes.evals.extend(evals);
            changes.deployments.extend(deployments);
            changes.freed.extend(freed);
            changes.jobs.extend(jobs);
            changes.nodes.extend(nodes);
            drop(changes);
            self.changed.notify_one();
        }
        if !pushes.is_empty() {
            let mut following = lock(&self.pushes);
            for node in pushes {
                let Some(watchers) = following.get_mut(&node) else { continue };
                watchers.retain(|watcher| watcher.upgrade().inspect(|watcher| watcher.notify_one()).is_some());
                if watchers.is_empty() {
                    following.remove(&node);
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine for Region {
    fn apply(&self, index: u64, command: &[u8]) -> Result<Result<(), Refusal>, MachineError> {
        let command = match Command::from_bytes(command) {
            Ok(Some(command)) => command,
            Ok(None) => {
                self.skip(index);
                return Ok(Ok(()));
            }
            Err(error @ (DecodeError::TooNew { .. } | DecodeError::Malformed(_))) => {
                return Err(MachineError(format!("entry {index}: {error}")));
            }
        };
        let applied = {
            let mut store = lock(&self.store);
            let applied = store.apply(index, command);
            self.publish(&store);
            applied
        };
        self.events.push(index, applied.events);
        self.tell(applied.touched);
        Ok(applied.result.map_err(|error| refusal(&error)))
    }

    fn skip(&self, index: u64) {
        let mut store = lock(&self.store);
        store.skip(index);
        self.publish(&store);
    }

    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let state = self.snapshot();
        Box::new(move || write_snapshot(&state))
    }

    fn restore(&self, bytes: &[u8]) -> Result<(), MachineError> {
        let state = SnapshotReader::read(bytes).map_err(|error| MachineError(error.to_string()))?;
        let mut store = lock(&self.store);
        *store = Store::from_snapshot(state);
        self.publish(&store);
        Ok(())
    }
}
