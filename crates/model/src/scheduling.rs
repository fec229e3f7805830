//! Settings of the scheduler for a region, and node pools, which may override some of them.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::Index;
use crate::job::JobType;

text_enum! {
    /// Whether full or empty nodes are preferred.
    SchedulerAlgorithm { 0 BinPack = "binpack", 1 Spread = "spread", }
}

mirror! {
    /// Which job types may push others aside.
    PreemptionConfig: PreemptionConfig {
        0 same system_scheduler_enabled: bool,
        1 same sys_batch_scheduler_enabled: bool,
        2 same batch_scheduler_enabled: bool,
        3 same service_scheduler_enabled: bool,
    }
}

mirror! {
    /// Settings of the scheduler for a region. [`SchedulerConfig::initial`] is what a new region starts with.
    SchedulerConfig: SchedulerConfiguration {
        0 text scheduler_algorithm: SchedulerAlgorithm,
        1 domain preemption_config: PreemptionConfig,
        2 same memory_oversubscription_enabled: bool,
        3 same reject_job_registration: bool,
        4 same pause_eval_broker: bool,
        /// Kept and shown, 0 for upstream's default of 100; every feasible node is looked at whatever it says.
        5 same node_limit_for_feasibility_checks: u64,
        6 same create_index: Index,
        7 same modify_index: Index,
    }
}

impl SchedulerConfig {
    /// What a new region starts with: packing, and preemption for system jobs alone (SCH-079).
    pub fn initial() -> Self {
        let preemption_config = PreemptionConfig { system_scheduler_enabled: true, ..PreemptionConfig::default() };
        Self { preemption_config, ..Self::default() }
    }

    /// Whether jobs of a type may push others aside.
    pub fn preempts(&self, kind: JobType) -> bool {
        match kind {
            JobType::Service => self.preemption_config.service_scheduler_enabled,
            JobType::Batch => self.preemption_config.batch_scheduler_enabled,
            JobType::System => self.preemption_config.system_scheduler_enabled,
            JobType::Sysbatch => self.preemption_config.sys_batch_scheduler_enabled,
        }
    }
}

/// How the servers of a region are looked after. [`AutopilotConfig::initial`] is what a new region starts with.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AutopilotConfig {
    /// Whether servers that have failed are removed.
    #[n(0)]
    pub cleanup_dead_servers: bool,
    /// A server that has not heard of the leader for longer is not healthy.
    #[n(1)]
    pub last_contact_threshold_ns: i64,
    /// A server that is more entries behind is not healthy.
    #[n(2)]
    pub max_trailing_logs: u64,
    /// Dead servers are kept while fewer than this would be left.
    #[n(3)]
    pub min_quorum: u64,
    /// How long a server must be healthy before it votes.
    #[n(4)]
    pub server_stabilization_time_ns: i64,
    /// Kept and shown.
    #[n(5)]
    pub enable_redundancy_zones: bool,
    /// Kept and shown.
    #[n(6)]
    pub disable_upgrade_migration: bool,
    /// Kept and shown.
    #[n(7)]
    pub enable_custom_upgrades: bool,
    /// The log entry that made it.
    #[n(8)]
    #[cbor(default)]
    pub create_index: Index,
    /// The log entry that changed it last.
    #[n(9)]
    #[cbor(default)]
    pub modify_index: Index,
}

impl AutopilotConfig {
    /// What a new region starts with.
    pub fn initial() -> Self {
        Self {
            cleanup_dead_servers: true,
            last_contact_threshold_ns: 200_000_000,
            max_trailing_logs: 250,
            server_stabilization_time_ns: 10_000_000_000,
            ..Self::default()
        }
    }
}

/// The pool that nodes and jobs without one belong to.
pub const NODE_POOL_DEFAULT: &str = "default";
/// The pool that stands for every node.
pub const NODE_POOL_ALL: &str = "all";

/// A named set of nodes. `default` and `all` always exist.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodePool {
    /// The name.
    #[n(0)]
    pub name: String,
    /// What it is for.
    #[n(1)]
    #[cbor(default)]
    pub description: String,
    /// Given by users.
    #[n(2)]
    #[cbor(default)]
    pub meta: BTreeMap<String, String>,
    /// In place of the region's algorithm.
    #[n(3)]
    pub scheduler_algorithm: Option<SchedulerAlgorithm>,
    /// In place of the region's setting.
    #[n(4)]
    pub memory_oversubscription: Option<bool>,
    /// How long identities of its nodes last, in nanoseconds; 0 for the usual time.
    #[n(5)]
    #[cbor(default)]
    pub node_identity_ttl_ns: i64,
    /// The log entry that made it.
    #[n(6)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(7)]
    #[cbor(default)]
    pub modify_index: Index,
}

impl NodePool {
    /// A pool that always exists, as a region has it from the start.
    pub fn built_in(name: &str) -> Self {
        let description = if name == NODE_POOL_ALL { "Node pool with all nodes in the cluster." } else { "Default node pool." };
        Self { name: name.to_owned(), description: description.to_owned(), create_index: 1, modify_index: 1, ..Self::default() }
    }

    /// Whether it always exists and cannot be changed or deleted.
    pub fn is_built_in(&self) -> bool {
        self.name == NODE_POOL_ALL || self.name == NODE_POOL_DEFAULT
    }

    /// The algorithm for its nodes.
    pub fn algorithm(&self, region: &SchedulerConfig) -> SchedulerAlgorithm {
        self.scheduler_algorithm.unwrap_or(region.scheduler_algorithm)
    }

    /// Whether tasks on its nodes may use more memory than is reserved for them.
    pub fn oversubscribes(&self, region: &SchedulerConfig) -> bool {
        self.memory_oversubscription.unwrap_or(region.memory_oversubscription_enabled)
    }
}
