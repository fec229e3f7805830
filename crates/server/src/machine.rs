//! The region's state behind consensus: applies entries, publishes snapshots, and tells who waits what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use drover_base::{AllocId, DeploymentId, EvalId, NodeId};
use drover_model::{Command, DecodeError, JobId};
use drover_raft::{Machine, MachineError, Refusal};
use drover_state::{Snapshot, SnapshotReader, Store, Touched, write_snapshot};
use tokio::sync::{Notify, watch};

use crate::concern::{Concern, Waiting};
use crate::config::Observer;
use crate::error::refusal;
use crate::events::EventBuffer;
use crate::pace::Pace;

/// What changed since the leader's services last looked; a set, so it is bounded by the state.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) evals: BTreeSet<EvalId>,
    pub(crate) deployments: BTreeSet<DeploymentId>,
    pub(crate) freed: BTreeSet<NodeId>,
    pub(crate) jobs: BTreeSet<JobId>,
    pub(crate) nodes: BTreeSet<NodeId>,
}

/// What a node is to be told; a set, so it is bounded by the state.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Everything may be different.
    pub(crate) everything: bool,
    pub(crate) allocs: BTreeSet<AllocId>,
}

/// What changed on one node since its holder last looked.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pending: Mutex<Pending>,
    wake: Notify,
}

impl Watch {
    fn changed(&self, allocs: &[AllocId]) {
        lock(&self.pending).allocs.extend(allocs);
        self.wake.notify_one();
    }

    fn everything_changed(&self) {
        lock(&self.pending).everything = true;
        self.wake.notify_one();
    }

    /// Takes what changed. The newest state read afterwards holds all of it.
    pub(crate) fn take(&self) -> Pending {
        std::mem::take(&mut *lock(&self.pending))
    }

    /// Returns after the next change. Cancel-safe.
    pub(crate) async fn next(&self) {
        self.wake.notified().await;
    }
}

/// A command beside its bytes, which are kept so that no others can lie there.
struct Carried {
    bytes: Arc<[u8]>,
    command: Command,
}

/// Ends the carrying of a command that was not applied.
pub(crate) struct Carrying<'a> {
    region: &'a Region,
    at: usize,
}

impl Drop for Carrying<'_> {
    fn drop(&mut self) {
        lock(&self.region.carried).remove(&self.at);
    }
}

/// The state of the region on this server.
pub struct Region {
    store: Mutex<Store>,
    newest: ArcSwap<Snapshot>,
    index: watch::Sender<u64>,
    changes: Mutex<Changes>,
    changed: Notify,
    /// Who pushes to which node; whoever goes away is swept out when the node is next followed or pushed to.
    pushes: Mutex<BTreeMap<NodeId, Vec<std::sync::Weak<Watch>>>>,
    /// How much is being pushed to all nodes.
    pub(crate) push_pace: Pace,
    pub(crate) events: EventBuffer,
    waiting: Waiting,
    /// Commands that this server proposed, by where their bytes lie: it need not read them from the bytes again.
    carried: Mutex<HashMap<usize, Carried>>,
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
            push_pace: Pace::default(),
            events: EventBuffer::new(event_buffer),
            waiting: Waiting::default(),
            carried: Mutex::default(),
        }
    }

    /// Carries a command past its bytes to where they are applied, as long as what is returned lives.
    pub(crate) fn carry(&self, bytes: &Arc<[u8]>, command: Command) -> Carrying<'_> {
        let at = bytes.as_ptr() as usize;
        lock(&self.carried).insert(at, Carried { bytes: Arc::clone(bytes), command });
        Carrying { region: self, at }
    }

    fn carried(&self, bytes: &[u8]) -> Option<Command> {
        let mut carried = lock(&self.carried);
        let at = bytes.as_ptr() as usize;
        let same = carried.get(&at).is_some_and(|entry| entry.bytes.len() == bytes.len());
        if same { carried.remove(&at).map(|entry| entry.command) } else { None }
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

    /// Returns once something it concerns changed after `index`; may return early. Cancel-safe.
    pub async fn changed_in(&self, index: u64, concern: &Concern) {
        if *concern == Concern::All {
            return self.changed(index).await;
        }
        let ticket = self.waiting.join(concern);
        let mut woken = std::pin::pin!(ticket.wake.notified());
        woken.as_mut().enable();
        // What changed before is not told again.
        if self.snapshot().index() <= index {
            woken.await;
        }
    }

    /// Tells its holder which allocations of the node change in a way that the node must act on.
    pub(crate) fn watch_node(&self, node: NodeId) -> Arc<Watch> {
        let watch = Arc::new(Watch::default());
        let mut pushes = lock(&self.pushes);
        let watchers = pushes.entry(node).or_default();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&watch));
        watch
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

    /// Has every held read look again, and every node that is followed be told everything.
    fn push_everything(&self) {
        self.waiting.wake_all();
        for watcher in lock(&self.pushes).values().flatten().filter_map(std::sync::Weak::upgrade) {
            watcher.everything_changed();
        }
    }

    fn tell(&self, touched: Touched) {
        self.waiting.tell(&touched, &self.snapshot());
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
            let mut pushes = pushes.into_iter().peekable();
            while let Some((node, first)) = pushes.next() {
                let mut allocs = vec![first];
                allocs.extend(std::iter::from_fn(|| pushes.next_if(|(next, _)| *next == node)).map(|(_, alloc)| alloc));
                let Some(watchers) = following.get_mut(&node) else { continue };
                watchers.retain(|watcher| watcher.upgrade().inspect(|watcher| watcher.changed(&allocs)).is_some());
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
        let carried = self.carried(command);
        debug_assert!(
            carried.as_ref().is_none_or(|carried| Command::from_bytes(command).is_ok_and(|read| read.as_ref() == Some(carried))),
            "entry {index} says something else than was proposed: {carried:?}"
        );
        let command = match carried.map_or_else(|| Command::from_bytes(command), |carried| Ok(Some(carried))) {
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
            let index = index + store.ahead_of_log();
            let applied = store.apply(index, command);
            self.publish(&store);
            applied
        };
        self.events.push(applied.index, applied.events);
        if applied.touched.everything {
            self.push_everything();
        }
        self.tell(applied.touched);
        Ok(applied.result.map_err(|error| refusal(&error)))
    }

    fn skip(&self, index: u64) {
        let mut store = lock(&self.store);
        let index = index + store.ahead_of_log();
        store.skip(index);
        self.publish(&store);
    }

    fn shown(&self, index: u64) -> u64 {
        index + lock(&self.store).ahead_of_log()
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
        drop(store);
        self.push_everything();
        Ok(())
    }
}
