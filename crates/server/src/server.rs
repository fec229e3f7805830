//! Starting a server and proposing changes.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use drover_base::WallTime;
use drover_model::Command;
use drover_model::command::{Change, FORMAT};
use drover_raft::{Consensus, LogLimits, OpenError, Options, RaftStatus, Storage, VersionError, check_version};
use drover_rt::{Clock, Entropy, TaskScope};
use drover_scheduler::heartbeat::Timers;
use drover_state::Snapshot;

use crate::config::Config;
use crate::dispatches::{self, Dispatches};
use crate::error::EndpointError;
use crate::events::Subscription;
use crate::leader::Leader;
use crate::machine::Region;
use crate::regions::{Peer, Regions};
use crate::reports::Reports;

/// A server that does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It ran with a newer protocol before.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Its log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It did not come up in time.
    #[error("the server did not become ready within {0:?}; see the log for what it waits for")]
    Timeout(std::time::Duration),
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) region: Arc<Region>,
    pub(crate) consensus: Consensus,
    pub(crate) log_limits: Arc<LogLimits>,
    pub(crate) leader: Leader,
    pub(crate) crew: crate::leader::Crew,
    pub(crate) heartbeats: Mutex<Timers>,
    pub(crate) dispatches: Dispatches,
    pub(crate) reports: Reports,
    pub(crate) calls: crate::calls::Calls,
    pub(crate) regions: Mutex<Regions>,
    pub(crate) regions_changed: tokio::sync::Notify,
    pub(crate) keyring: crate::keyring::Keyring,
    /// Locks on variables, and when they end.
    pub(crate) locks: Mutex<crate::endpoints::Locks>,
    pub(crate) lock_changed: tokio::sync::Notify,
    /// How many scheduler workers are wanted.
    pub(crate) workers: tokio::sync::watch::Sender<usize>,
    last_stamp: AtomicI64,
    ready: AtomicBool,
}

/// The server as those of other regions know it.
fn own_peer(config: &Config) -> Peer {
    Peer {
        region: config.region.clone(),
        name: config.name.clone(),
        id: config.id.clone(),
        address: config.rpc_address.clone(),
        datacenter: config.datacenter.clone(),
        build: drover_model::NOMAD_VERSION.to_owned(),
        serf_port: config.serf_port,
    }
}

/// A handle to the server; clones share it.
#[derive(Clone)]
pub struct Server(pub(crate) Arc<Inner>);

impl Server {
    /// Opens the log, takes leadership of the region of one, and starts the leader's services in `scope`.
    ///
    /// # Errors
    /// When the log was written by a newer server, cannot be opened or is damaged, or start-up takes too long.
    pub async fn start(config: Config, clock: Clock, entropy: Entropy, scope: &TaskScope) -> Result<Self, StartError> {
        if let Storage::Disk { disk, directory, .. } = &config.storage {
            check_version(disk.as_ref(), directory, drover_raft::PROTOCOL)?;
        }
        let region = Arc::new(Region::observed(config.event_buffer, config.observer.clone()));
        let log_limits = Arc::new(LogLimits::new(config.snapshot_every, config.trailing_logs));
        let options = Options {
            id: 1,
            address: config.rpc_address.clone(),
            storage: config.storage.clone(),
            limits: Arc::clone(&log_limits),
            seed: entropy.seed(),
        };
        let began = clock.monotonic();
        let consensus = Consensus::open(options, Arc::clone(&region) as Arc<dyn drover_raft::Machine>).await?;
        // Opening counts: what has taken the whole time is late even if it has come up.
        let left = config.start_timeout.saturating_sub(clock.monotonic().since(began));
        if left.is_zero() || !consensus.wait_leader(left).await {
            let failed = consensus.status().failed;
            consensus.shutdown().await;
            return Err(match failed {
                Some(reason) => OpenError::Start(reason).into(),
                None => StartError::Timeout(config.start_timeout),
            });
        }
        let (reports, waiting) = Reports::new();
        let (dispatches, asked) = Dispatches::new();
        let server = Self(Arc::new(Inner {
            leader: Leader::new(config.planted),
            crew: crate::leader::Crew::of(&config.worker_types),
            heartbeats: Mutex::default(),
            reports,
            calls: crate::calls::Calls::default(),
            regions: Mutex::new(Regions::new(own_peer(&config), config.join_interval, entropy.seed())),
            regions_changed: tokio::sync::Notify::new(),
            keyring: crate::keyring::Keyring::default(),
            locks: Mutex::default(),
            lock_changed: tokio::sync::Notify::new(),
            workers: tokio::sync::watch::Sender::new(config.workers),
            dispatches,
            last_stamp: AtomicI64::new(region.snapshot().time().0),
            ready: AtomicBool::new(false),
            config,
            clock,
            entropy,
            region,
            consensus,
            log_limits,
        }));
        server.reach_level().await?;
        // What the log told again at the start was told when it happened.
        server.0.region.events.forget();
        server.begin_leading(scope);
        scope.spawn_until_stop("dispatches", dispatches::run(server.clone(), asked));
        scope.spawn_until_stop("reports of nodes", crate::reports::run(server.clone(), waiting));
        server.0.ready.store(true, Ordering::Release);
        Ok(server)
    }

    /// Raises the region's level to what its servers, which is this one, can apply.
    async fn reach_level(&self) -> Result<(), StartError> {
        if self.snapshot().feature_level() < FORMAT {
            self.propose(Change::FeatureLevel(FORMAT)).await.map_err(|error| OpenError::Start(error.to_string()))?;
        }
        Ok(())
    }

    /// Takes a snapshot after so many entries from now on, and keeps so many behind it.
    pub fn set_log_limits(&self, snapshot_every: u64, trailing_logs: u64) {
        self.0.log_limits.set(snapshot_every, trailing_logs);
    }

    /// Has so many scheduler workers from now on. One that is too many ends once its plans are committed.
    pub fn set_workers(&self, count: usize) {
        self.0.workers.send_if_modified(|wanted| std::mem::replace(wanted, count) != count);
    }

    /// The newest state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.region.snapshot()
    }

    /// Returns once there is state newer than `index`. Cancel-safe.
    pub async fn changed(&self, index: u64) {
        self.0.region.changed(index).await;
    }

    /// Returns once something it concerns changed after `index`; may return early. Cancel-safe.
    pub async fn changed_in(&self, index: u64, concern: &crate::Concern) {
        self.0.region.changed_in(index, concern).await;
    }

    /// Returns whether the state reached an index within `limit`.
    pub(crate) async fn reached(&self, index: u64, limit: std::time::Duration) -> bool {
        let wait = async {
            while self.snapshot().index() < index {
                self.changed(self.snapshot().index()).await;
            }
        };
        self.snapshot().index() >= index || self.0.clock.timeout(limit, wait).await.is_some()
    }

    /// The event stream from the closest held entry at or after `index`; from the oldest for 0.
    ///
    /// # Errors
    /// When this server keeps no events.
    pub fn subscribe(&self, index: u64) -> Result<Subscription, EndpointError> {
        if !self.0.region.events.keeps() {
            return Err(EndpointError::internal("the event stream is off: server.enable_event_broker is false on this server"));
        }
        Ok(Subscription::new(Arc::clone(&self.0.region), index))
    }

    /// Where consensus stands.
    pub fn raft_status(&self) -> RaftStatus {
        self.0.consensus.status()
    }

    /// Whether start-up is over.
    pub fn ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the reason once consensus has ended, for example because the disk is full.
    pub async fn failed(&self) -> String {
        self.0.consensus.failed().await
    }

    /// Ends consensus. The scope given at the start must have been stopped.
    pub async fn shutdown(&self) {
        self.0.consensus.shutdown().await;
    }

    /// The time now, for deadlines.
    pub(crate) fn moment(&self) -> crate::leader::Moment {
        crate::leader::Moment { wall: self.0.clock.now(), monotonic: self.0.clock.monotonic() }
    }

    /// The time to stamp a command with: the wall clock, but never earlier than an earlier stamp.
    pub(crate) fn stamp(&self) -> WallTime {
        let now = self.0.clock.now().0;
        let last = self.0.last_stamp.fetch_max(now, Ordering::Relaxed).max(now);
        if last > now {
            // The clock went back: go on from the last stamp.
            return WallTime(self.0.last_stamp.fetch_add(1, Ordering::Relaxed) + 1);
        }
        WallTime(now)
    }

    /// Commits a change and returns its index, once it is durable and applied here.
    pub(crate) async fn propose(&self, change: Change) -> Result<u64, EndpointError> {
        let level = change.level();
        self.propose_at(level, change).await
    }

    /// The same for a change that only servers of this level and above can apply: refused until all have reached it.
    async fn propose_at(&self, level: u32, change: Change) -> Result<u64, EndpointError> {
        let reached = self.snapshot().feature_level();
        if level > reached {
            return Err(EndpointError::internal(format!(
                "this change needs feature level {level}, and the region is at {reached}: not every server runs a build that can apply it; upgrade them all first"
            )));
        }
        let command = Command { time: self.stamp(), change };
        let bytes: Arc<[u8]> = Arc::from(command.to_bytes());
        let _carrying = self.0.region.carry(&bytes, command);
        let reply = self.0.consensus.propose(bytes).await?;
        reply.result.map_err(EndpointError::from)?;
        Ok(reply.index)
    }

    pub(crate) fn heartbeats(&self) -> std::sync::MutexGuard<'_, Timers> {
        self.0.heartbeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod tests;
