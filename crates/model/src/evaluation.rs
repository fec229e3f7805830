//! Evaluations: requests to make a job's allocations what they should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use minicbor::{Decode, Encode};

use crate::Index;
use crate::job::{JobId, JobType};

text_enum! {
    /// Where an evaluation stands.
    EvalStatus { 0 Pending = "pending", 1 Blocked = "blocked", 2 Complete = "complete", 3 Failed = "failed", 4 Canceled = "canceled", }
}

impl EvalStatus {
    /// Whether nothing more will be done for it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Canceled)
    }
}

text_enum! {
    /// Why an evaluation was made.
    Trigger {
        0 JobRegister = "job-register", 1 JobDeregister = "job-deregister", 2 PeriodicJob = "periodic-job",
        3 NodeDrain = "node-drain", 4 NodeUpdate = "node-update", 5 AllocStop = "alloc-stop", 6 Scheduled = "scheduled",
        7 RollingUpdate = "rolling-update", 8 DeploymentWatcher = "deployment-watcher", 9 FailedFollowUp = "failed-follow-up",
        10 MaxPlanAttempts = "max-plan-attempts", 11 AllocFailure = "alloc-failure", 12 QueuedAllocs = "queued-allocs",
        13 Preemption = "preemption", 14 JobScaling = "job-scaling", 15 MaxDisconnectTimeout = "max-disconnect-timeout",
        16 Reconnect = "reconnect", 17 AllocReschedule = "alloc-reschedule",
    }
}

/// Why nodes were not taken for a group; shared by the allocations of one evaluation and group.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct PlacementMetrics {
    /// Nodes looked at.
    #[n(0)]
    pub nodes_evaluated: u32,
    /// Nodes that do not qualify.
    #[n(1)]
    pub nodes_filtered: u32,
    /// Nodes of the job's pool.
    #[n(2)]
    pub nodes_in_pool: u32,
    /// The pool.
    #[n(3)]
    pub node_pool: String,
    /// Ready nodes by datacenter.
    #[n(4)]
    pub nodes_available: BTreeMap<String, u32>,
    /// Nodes that do not qualify, by class.
    #[n(5)]
    pub class_filtered: BTreeMap<String, u32>,
    /// The same, by what they fail.
    #[n(6)]
    pub constraint_filtered: BTreeMap<String, u32>,
    /// Nodes without room.
    #[n(7)]
    pub nodes_exhausted: u32,
    /// The same, by class.
    #[n(8)]
    pub class_exhausted: BTreeMap<String, u32>,
    /// The same, by what ran out.
    #[n(9)]
    pub dimension_exhausted: BTreeMap<String, u32>,
    /// Scores of the best nodes.
    #[n(10)]
    pub scores: Vec<NodeScore>,
    /// Time spent, in nanoseconds; measured by the worker, so part of the plan and not of apply.
    #[n(11)]
    pub allocation_time_ns: i64,
    /// Further failures of the same group that were not looked at one by one.
    #[n(12)]
    pub coalesced_failures: u32,
    /// What tasks ask for of the dimensions that ran out, by task.
    #[n(13)]
    pub resources_exhausted: Option<BTreeMap<String, ExhaustedResources>>,
}

/// What a task asks for of dimensions that ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ExhaustedResources {
    /// MHz; 0 if there is enough.
    #[n(0)]
    pub cpu_mhz: u32,
    /// MiB; 0 if there is enough.
    #[n(1)]
    pub memory_mb: u32,
}

/// The score of a node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodeScore {
    /// The node.
    #[n(0)]
    pub node_id: NodeId,
    /// Parts by name.
    #[n(1)]
    pub parts: BTreeMap<String, f64>,
    /// Their mean.
    #[n(2)]
    pub total: f64,
}

/// Counts of what a plan would do to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DesiredUpdates {
    /// Left alone.
    #[n(0)]
    pub ignore: u32,
    /// Placed.
    #[n(1)]
    pub place: u32,
    /// Moved.
    #[n(2)]
    pub migrate: u32,
    /// Stopped.
    #[n(3)]
    pub stop: u32,
    /// Updated without a restart.
    #[n(4)]
    pub in_place_update: u32,
    /// Replaced.
    #[n(5)]
    pub destructive_update: u32,
    /// Placed as canaries.
    #[n(6)]
    pub canary: u32,
    /// Preempted elsewhere.
    #[n(7)]
    pub preemptions: u32,
    /// Marked disconnected.
    #[n(8)]
    pub disconnect: u32,
    /// Came back.
    #[n(9)]
    pub reconnect: u32,
    /// Replaced now after a failure.
    #[n(10)]
    pub reschedule_now: u32,
    /// To be replaced later after a failure.
    #[n(11)]
    pub reschedule_later: u32,
}

/// A request to reconcile a job.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Evaluation {
    /// The id.
    #[n(0)]
    pub id: EvalId,
    /// The job.
    #[n(1)]
    pub job_id: JobId,
    /// The job's type.
    #[n(2)]
    pub kind: JobType,
    /// The job's priority.
    #[n(3)]
    pub priority: u8,
    /// Why.
    #[n(4)]
    pub trigger: Trigger,
    /// Where it stands.
    #[n(5)]
    pub status: EvalStatus,
    /// A sentence about the status.
    #[n(6)]
    #[cbor(default)]
    pub status_description: String,
    /// The job's index when it was made.
    #[n(7)]
    #[cbor(default)]
    pub job_modify_index: Index,
    /// The node that changed.
    #[n(8)]
    pub node_id: Option<NodeId>,
    /// The node's index when it was made.
    #[n(9)]
    #[cbor(default)]
    pub node_modify_index: Index,
    /// The deployment.
    #[n(10)]
    pub deployment_id: Option<DeploymentId>,
    /// Not before this time.
    #[n(11)]
    #[cbor(default)]
    pub wait_until: WallTime,
    /// Made because of this one.
    #[n(12)]
    pub next_eval: Option<EvalId>,
    /// What this one was made because of.
    #[n(13)]
    pub previous_eval: Option<EvalId>,
    /// Waits for room in this one's place.
    #[n(14)]
    pub blocked_eval: Option<EvalId>,
    /// Why groups could not be placed.
    #[n(15)]
    #[cbor(default)]
    pub failed_groups: BTreeMap<String, Box<PlacementMetrics>>,
    /// Blocked: computed classes and whether they qualify.
    #[n(16)]
    #[cbor(default)]
    pub class_eligibility: BTreeMap<String, bool>,
    /// Blocked: a node property outside the class decides, so any node may help.
    #[n(17)]
    #[cbor(default)]
    pub escaped_computed_class: bool,
    /// Placements still wanted, by group.
    #[n(18)]
    #[cbor(default)]
    pub queued: BTreeMap<String, u32>,
    /// The state it was processed on.
    #[n(19)]
    #[cbor(default)]
    pub snapshot_index: Index,
    /// When it was made.
    #[n(20)]
    #[cbor(default)]
    pub create_index: Index,
    /// When it last changed.
    #[n(21)]
    #[cbor(default)]
    pub modify_index: Index,
    /// When it was made.
    #[n(22)]
    #[cbor(default)]
    pub create_time: WallTime,
    /// When it last changed.
    #[n(23)]
    #[cbor(default)]
    pub modify_time: WallTime,
    /// What the plan did, by group; for `eval status`.
    #[n(24)]
    #[cbor(default)]
    pub annotations: BTreeMap<String, DesiredUpdates>,
    /// What had to give way to it.
    #[n(25)]
    pub preempted: Option<Vec<AllocId>>,
}

impl Evaluation {
    /// A pending evaluation of a job.
    pub fn new(id: EvalId, job_id: JobId, kind: JobType, priority: u8, trigger: Trigger, now: WallTime) -> Self {
        Self {
            id,
            job_id,
            kind,
            priority,
            trigger,
            status: EvalStatus::Pending,
            status_description: String::new(),
            job_modify_index: 0,
            node_id: None,
            node_modify_index: 0,
            deployment_id: None,
            wait_until: WallTime::ZERO,
            next_eval: None,
            previous_eval: None,
            blocked_eval: None,
            failed_groups: BTreeMap::new(),
            class_eligibility: BTreeMap::new(),
            escaped_computed_class: false,
            queued: BTreeMap::new(),
            snapshot_index: 0,
            create_index: 0,
            modify_index: 0,
            create_time: now,
            modify_time: now,
            annotations: BTreeMap::new(),
            preempted: None,
        }
    }

    /// A shared copy with a change.
    #[must_use]
    pub fn with(self: &Arc<Self>, change: impl FnOnce(&mut Self)) -> Arc<Self> {
        let mut copy = Self::clone(self);
        change(&mut copy);
        Arc::new(copy)
    }
}
