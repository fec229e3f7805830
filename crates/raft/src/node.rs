//! A server's part in consensus: opening it, proposing, and watching it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_rt::Disk;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, v2::RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{BasicNode, Config, OptionalSend, RaftNetworkFactory, SnapshotPolicy};

use crate::log::{DiskLogOptions, LogStore};
use crate::machine::{Adapter, Machine, SnapshotData};
use crate::types::{Entry, Reply, Runtime, Types, Vote};

/// Where the log and snapshots live.
#[derive(Clone)]
pub enum Storage {
    /// In memory; gone with the process.
    Memory,
    /// Under a directory, durable before anything is acknowledged.
    Disk {
        /// The disk.
        disk: Arc<dyn Disk>,
        /// `data_dir/raft`.
        directory: PathBuf,
        /// Sizes of the log.
        log: DiskLogOptions,
    },
}

/// How consensus runs.
#[derive(Clone)]
pub struct Options {
    /// This server; ids are never used again.
    pub id: u64,
    /// This server's address for the others.
    pub address: String,
    /// Where the log lives.
    pub storage: Storage,
    /// How long the log may become.
    pub limits: Arc<LogLimits>,
    /// Seeds the election timeouts.
    pub seed: u64,
}

/// How long the log may become; may be changed while consensus runs.
#[derive(Debug)]
pub struct LogLimits {
    snapshot_every: AtomicU64,
    trailing_logs: AtomicU64,
}

impl LogLimits {
    /// A snapshot is taken after `snapshot_every` entries, and `trailing_logs` entries are kept behind it.
    pub fn new(snapshot_every: u64, trailing_logs: u64) -> Self {
        Self { snapshot_every: AtomicU64::new(snapshot_every), trailing_logs: AtomicU64::new(trailing_logs) }
    }

    /// Other limits from now on.
    pub fn set(&self, snapshot_every: u64, trailing_logs: u64) {
        self.snapshot_every.store(snapshot_every, Ordering::Relaxed);
        self.trailing_logs.store(trailing_logs, Ordering::Relaxed);
    }
}

/// Consensus cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log or snapshot cannot be opened.
    #[error("open raft storage")]
    Storage(#[from] io::Error),
    /// openraft refused.
    #[error("start raft: {0}")]
    Start(String),
}

/// A proposal that was not committed, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another server leads, or none.
    #[error("No cluster leader")]
    NotLeader,
    /// The server is stopping or its storage failed.
    #[error("raft stopped: {0}")]
    Stopped(String),
}

/// Where consensus stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftStatus {
    /// This server leads and has caught up.
    pub leader: bool,
    /// Some server leads.
    pub known_leader: bool,
    /// The term.
    pub term: u64,
    /// The last entry in the log.
    pub last_index: u64,
    /// The last entry applied.
    pub applied: u64,
    /// The last entry that a snapshot holds, and its term.
    pub snapshot: (u64, u64),
    /// Why consensus has ended on this server, if it has.
    pub failed: Option<String>,
}

type Raft = openraft::Raft<Types, Adapter>;

/// This server's part in consensus. Clones share it.
#[derive(Clone)]
pub struct Consensus {
    raft: Raft,
    seed: u64,
    trimming: Arc<Trimming>,
}

/// What keeps the log short. openraft's own policies cannot change once it runs, so they are off.
struct Trimming {
    limits: Arc<LogLimits>,
    /// Nobody asks for entries of the only server again, and in memory they would stay.
    keeps_none: bool,
    /// The entry that was the last one when a snapshot was last asked for.
    asked_at: AtomicU64,
    /// The snapshot behind which entries were last removed, and how many were to stay.
    removed_behind: Mutex<(u64, u64)>,
}

/// Runs a call into openraft where it finds the seeded randomness it asks for.
async fn scoped<F: Future>(seed: u64, future: F) -> F::Output {
    Runtime::scope(seed, future).await
}

impl Consensus {
    /// Opens the storage, joins the region of one, and starts an election at once.
    ///
    /// # Errors
    /// When the storage cannot be opened or is damaged.
    pub async fn open(options: Options, machine: Arc<dyn Machine>) -> Result<Self, OpenError> {
        let (log, adapter) = match &options.storage {
            Storage::Memory => (LogStore::memory(), Adapter::in_memory(machine)),
            Storage::Disk { disk, directory, log } => {
                (LogStore::open(Arc::clone(disk), directory, log.clone())?, Adapter::on_disk(machine, Arc::clone(disk), directory)?)
            }
        };
        let config = Config {
            cluster_name: "drover".to_owned(),
            // The only voter waits for nobody: it asks for its election itself, and each tick (13/64 of this) wakes the machine.
            heartbeat_interval: 5_000,
            election_timeout_min: 15_000,
            election_timeout_max: 25_000,
            enable_pre_vote: Some(true),
            // See `overdue`.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            // Buffers of one server with callers in the same process; the library's are for clusters under load.
            api_channel_size: Some(1_024),
            notification_channel_size: Some(1_024),
            ..Config::default()
        };
        let config = Arc::new(config.validate().map_err(|error| OpenError::Start(error.to_string()))?);
        let seed = options.seed;
        let start = async {
            let raft = Raft::new(options.id, config, NoPeers, log, adapter).await.map_err(|error| OpenError::Start(error.to_string()))?;
            let initialized = raft.is_initialized().await.map_err(|error| OpenError::Start(error.to_string()))?;
            if initialized {
                raft.trigger().elect(false).await.map_err(|error| OpenError::Start(error.to_string()))?;
            } else {
                let members = BTreeMap::from([(options.id, BasicNode::new(options.address.clone()))]);
                raft.initialize(members).await.map_err(|error| OpenError::Start(error.to_string()))?;
            }
            Ok::<_, OpenError>(raft)
        };
        let raft = scoped(seed, start).await?;
        let trimming = Trimming {
            limits: options.limits,
            keeps_none: matches!(options.storage, Storage::Memory),
            asked_at: AtomicU64::new(0),
            removed_behind: Mutex::default(),
        };
        Ok(Self { raft, seed, trimming: Arc::new(trimming) })
    }

    /// Returns once this server leads and has applied everything it had, or `false` if it stopped or `limit` has passed.
    pub async fn wait_leader(&self, limit: Duration) -> bool {
        let wait = async {
            let mut metrics = self.raft.metrics();
            loop {
                {
                    let now = metrics.borrow_watched();
                    if now.running_state.is_err() {
                        return false;
                    }
                    let caught_up = now.last_applied.map(|id| id.index) >= now.last_log_index;
                    if now.state.is_leader() && caught_up {
                        return true;
                    }
                }
                if metrics.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit, scoped(self.seed, wait)).await.unwrap_or(false)
    }

    /// Commits a command and returns once it is durable and applied here.
    ///
    /// # Errors
    /// When this server does not lead, is stopping, or its storage failed. The command may then still be committed.
    pub async fn propose(&self, command: Arc<[u8]>) -> Result<Reply, ProposeError> {
        match scoped(self.seed, self.raft.client_write(Entry(command))).await {
            Ok(response) => {
                let (due, upto) = self.overdue();
                if due || upto.is_some() {
                    // Rare, and so not a part of every caller's future.
                    Box::pin(self.trim(due, upto)).await;
                }
                Ok(response.data)
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Err(ProposeError::NotLeader),
            Err(error) => Err(ProposeError::Stopped(error.to_string())),
        }
    }

    /// Whether the log has become long enough for a snapshot, and up to which entry it may be removed since the newest one.
    fn overdue(&self) -> (bool, Option<u64>) {
        let Trimming { limits, keeps_none, asked_at, removed_behind } = self.trimming.as_ref();
        let (applied, snapshot) = {
            let metrics = self.raft.metrics();
            let now = metrics.borrow_watched();
            (now.last_applied.map_or(0, |id| id.index), now.snapshot.map_or(0, |id| id.index))
        };
        let every = limits.snapshot_every.load(Ordering::Relaxed);
        let asked = asked_at.load(Ordering::Relaxed);
        let due = applied.saturating_sub(asked.max(snapshot)) >= every;
        // Of callers that find it due together, one asks.
        let due = due && asked_at.compare_exchange(asked, applied, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let trailing = if *keeps_none { 0 } else { limits.trailing_logs.load(Ordering::Relaxed) };
        let mut removed = removed_behind.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *removed != (snapshot, trailing);
        *removed = (snapshot, trailing);
        (due, snapshot.checked_sub(trailing).filter(|upto| changed && *upto > 0))
    }

    /// Asks for a snapshot, and for the end of what is far enough behind the newest one. A failure is found by whoever watches
    /// consensus.
    async fn trim(&self, due: bool, upto: Option<u64>) {
        if due && let Err(error) = self.snapshot().await {
            tracing::debug!(%error, "no snapshot was asked for");
        }
        if let Some(upto) = upto {
            let asked = async { self.raft.trigger().purge_log(upto).await };
            if let Err(error) = scoped(self.seed, asked).await {
                tracing::debug!(%error, "old entries were not removed");
            }
        }
    }

    /// Where consensus stands now.
    pub fn status(&self) -> RaftStatus {
        let metrics = self.raft.metrics();
        let now = metrics.borrow_watched();
        RaftStatus {
            leader: now.state.is_leader(),
            known_leader: now.current_leader.is_some(),
            term: now.current_term,
            last_index: now.last_log_index.unwrap_or(0),
            applied: now.last_applied.map_or(0, |id| id.index),
            snapshot: now.snapshot.map_or((0, 0), |id| (id.index, id.leader_id.term)),
            failed: now.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Returns the reason once consensus has ended on this server.
    pub async fn failed(&self) -> String {
        let wait = async {
            // These change with the server's role and not with every entry; they end with consensus.
            let mut role = self.raft.server_metrics();
            loop {
                let failed = self.status().failed;
                if failed.is_some() || role.changed().await.is_err() {
                    return failed.or_else(|| self.status().failed).unwrap_or_else(|| "raft has stopped".to_owned());
                }
            }
        };
        scoped(self.seed, wait).await
    }

    /// Takes a snapshot now.
    ///
    /// # Errors
    /// When consensus has ended.
    pub async fn snapshot(&self) -> Result<(), ProposeError> {
        let trigger = async { self.raft.trigger().snapshot().await };
        scoped(self.seed, trigger).await.map_err(|error| ProposeError::Stopped(error.to_string()))
    }

    /// Ends consensus on this server.
    pub async fn shutdown(&self) {
        if let Err(error) = scoped(self.seed, self.raft.shutdown()).await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
    }
}

/// A region of one server has nobody to talk to.
#[derive(Clone, Copy)]
struct NoPeers;

struct NoPeer;

impl RaftNetworkFactory<Types> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, _: u64, _: &BasicNode) -> NoPeer {
        NoPeer
    }
}

fn nobody() -> Unreachable<Types> {
    Unreachable::new(&io::Error::other("this region has one server"))
}

impl RaftNetworkV2<Types> for NoPeer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(nobody().into())
    }

    async fn vote(&mut self, _: VoteRequest<Types>, _: RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(nobody().into())
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: openraft::alias::SnapshotOf<Types, SnapshotData>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(nobody().into())
    }
}
