//! What a server is told at its start.

use std::sync::Arc;
use std::time::Duration;

use drover_raft::Storage;
use drover_scheduler::heartbeat;
use drover_state::Snapshot;

/// Sees every state as it is applied.
pub type Observer = Arc<dyn Fn(&Snapshot) + Send + Sync>;

/// Where an operator lays down that the region may get another first token.
pub trait ResetFile: Send + Sync {
    /// What is laid down; none when nothing is.
    fn read(&self) -> Option<String>;
    /// Takes it away once it was used.
    fn remove(&self);
}

/// What the configuration says about access control.
#[derive(Clone)]
pub struct AclConfig {
    /// Whether callers are held to policies.
    pub enabled: bool,
    /// The shortest time that a token lasts which expires.
    pub token_min_ttl_ns: i64,
    /// The longest.
    pub token_max_ttl_ns: i64,
    /// Lets another first token be made.
    pub reset: Option<Arc<dyn ResetFile>>,
}

impl Default for AclConfig {
    fn default() -> Self {
        Self { enabled: false, token_min_ttl_ns: 60_000_000_000, token_max_ttl_ns: 86_400_000_000_000, reset: None }
    }
}

/// A way to break a server on purpose, so that the simulation can show that it would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// The broker gives an evaluation to two workers at once.
    DoubleDelivery,
    /// The plan applier does not count plans that are in flight.
    StaleCapacity,
}

/// How much the plan applier writes at once.
#[derive(Clone, Copy, Debug)]
pub struct EntryLimits {
    /// Plans in one entry at most.
    pub plans: usize,
    /// Allocations in one entry at most; a plan that commits all or nothing goes alone if it is larger.
    pub allocs: usize,
    /// Entries on their way at once: one is written while the next is verified.
    pub at_once: usize,
    /// Plans that make a second entry on its way worth while; fewer wait for the first.
    pub plans_many: usize,
    /// The same by what is left of larger ones.
    pub allocs_many: usize,
}

impl Default for EntryLimits {
    fn default() -> Self {
        Self { plans: 512, allocs: 2_000, at_once: 2, plans_many: 64, allocs_many: 1_000 }
    }
}

/// Settings of a server.
#[derive(Clone)]
pub struct Config {
    /// Its region.
    pub region: String,
    /// The region in which policies, global tokens, roles, auth methods, binding rules, and while ACLs are on namespaces and node
    /// pools are written. Requests to write them are passed on to it before they come to the endpoints, which refuse them here.
    pub authoritative_region: String,
    /// Its name, without the region.
    pub name: String,
    /// What tells it from a server that has its name later.
    pub id: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Where other agents reach it.
    pub rpc_address: String,
    /// The port that it is listed with among members.
    pub serf_port: u16,
    /// A server of another region that does not answer is tried again after so long at the latest.
    pub join_interval: Duration,
    /// Where the log lives.
    pub storage: Storage,
    /// A snapshot is taken after so many entries.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot.
    pub trailing_logs: u64,
    /// Scheduler workers.
    pub workers: usize,
    /// The types of jobs that they take; all when empty.
    pub worker_types: Vec<String>,
    /// The shortest time within which a node must say that it is alive.
    pub heartbeat_min: Duration,
    /// How many heartbeats are taken in a second by all nodes together; with more nodes each is heard of more seldom.
    pub heartbeats_per_second: f64,
    /// Added to it before a node counts as down.
    pub heartbeat_grace: Duration,
    /// What a node may miss while a new leader takes over.
    pub failover_heartbeat: Duration,
    /// Start-up must be over by then (RFT-037).
    pub start_timeout: Duration,
    /// Entries of the event stream that are kept; 0 when there is none (EVT-012).
    pub event_buffer: usize,
    /// The largest job source that is kept, in bytes.
    pub job_source_max: usize,
    /// Fingerprints and evaluations older than this may be collected without being asked for.
    pub gc_interval: Duration,
    /// How old things are when they may be collected.
    pub gc_thresholds: drover_scheduler::gc::Thresholds,
    /// How many allocations the groups of a job may count together; 0 for any number. System jobs run wherever they fit.
    pub job_max_count: u64,
    /// The highest priority of a job.
    pub job_max_priority: u8,
    /// The Vault and Consul that jobs may use.
    pub peers: drover_model::admission::Peers,
    /// Evaluations that may wait to be worked out; while there are more, registrations and dispatches are turned away with
    /// 429, and come again.
    pub evals_pending_max: usize,
    /// How much the plan applier writes at once; small in simulations, so that little does what much does elsewhere.
    pub entry_limits: EntryLimits,
    /// Whether the region has a keyring, and with it variables.
    pub keyring: bool,
    /// Access control.
    pub acl: AclConfig,
    /// Called in apply with each new state; for simulations.
    pub observer: Option<Observer>,
    /// A bug to plant; for simulations.
    pub planted: Option<PlantedBug>,
}

impl Config {
    /// The defaults, over a storage.
    pub fn new(storage: Storage) -> Self {
        Self {
            region: "global".to_owned(),
            authoritative_region: "global".to_owned(),
            name: "server".to_owned(),
            id: String::new(),
            datacenter: "dc1".to_owned(),
            rpc_address: "127.0.0.1:4647".to_owned(),
            serf_port: 4648,
            join_interval: Duration::from_secs(30),
            storage,
            snapshot_every: 8_192,
            trailing_logs: 10_240,
            workers: 2,
            worker_types: Vec::new(),
            heartbeat_min: Duration::from_secs(10),
            heartbeats_per_second: heartbeat::HEARTBEATS_PER_SECOND,
            heartbeat_grace: Duration::from_secs(10),
            failover_heartbeat: Duration::from_secs(300),
            start_timeout: Duration::from_secs(30),
            event_buffer: 100,
            job_source_max: 1 << 20,
            gc_interval: Duration::from_secs(300),
            gc_thresholds: drover_scheduler::gc::Thresholds::default(),
            job_max_count: 50_000,
            job_max_priority: 100,
            peers: drover_model::admission::Peers::default(),
            evals_pending_max: 200_000,
            entry_limits: EntryLimits::default(),
            keyring: false,
            acl: AclConfig::default(),
            observer: None,
            planted: None,
        }
    }
}
