//! Commands: the only way to change replicated state.
//!
//! Each carries the time it was proposed at and every id it creates. New commands go at the end with the next number; a
//! number is never used again. [`FORMAT`] counts the level of the vocabulary: a server refuses to apply what it does not
//! know, so the leader proposes nothing above the lowest level of all servers.

use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use minicbor::{Decode, Encode};

use crate::acl::{AclNames, AclObjects, AclToken};
use crate::allocation::{AllocUpdate, DesiredTransition};
use crate::evaluation::Evaluation;
use crate::job::{Job, JobId, VersionTag};
use crate::namespace::Namespace;
use crate::node::{DrainSpec, Node, NodeEvent, NodeStatus};
use crate::plan::{DeploymentUpdate, Plan};
use crate::scheduling::{AutopilotConfig, NodePool, SchedulerConfig};
use crate::service::ServiceRegistration;
use crate::variable::{RootKey, VariableChange};

/// The highest format of commands and snapshots that this build reads and writes.
pub const FORMAT: u32 = 5;

/// The bit of a command's format that marks it as safe to skip for servers that do not know it (RFT-003).
pub const IGNORABLE: u32 = 1 << 31;

/// The source text of a job, kept beside a version.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Submission {
    /// The text.
    #[n(0)]
    pub source: String,
    /// `hcl2` or `json`.
    #[n(1)]
    pub format: String,
    /// `-var` values.
    #[n(2)]
    #[cbor(default)]
    pub variable_flags: std::collections::BTreeMap<String, String>,
    /// Variable files.
    #[n(3)]
    #[cbor(default)]
    pub variables: String,
}

/// Registers a job or a new version of it, with the evaluation that acts on it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct RegisterJob {
    /// The job; version and indexes are set in apply.
    #[n(0)]
    #[cbor(with = "crate::shared")]
    pub job: Arc<Job>,
    /// None for periodic and parameterized parents.
    #[n(1)]
    pub eval: Option<Evaluation>,
    /// The source text.
    #[n(2)]
    pub submission: Option<Submission>,
    /// Refused unless the stored version has this index (0: unless there is none).
    #[n(3)]
    pub enforce_index: Option<u64>,
    /// Marks the version as stable from the start: a revert to one that was.
    #[n(4)]
    #[cbor(default)]
    pub keep_version: bool,
    /// A scaling event to record, by group.
    #[n(5)]
    pub scaling: Option<(String, ScalingEvent)>,
}

/// A record of a scaling request.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct ScalingEvent {
    /// The new count, unless only a message.
    #[n(0)]
    pub count: Option<i64>,
    /// The count before.
    #[n(1)]
    pub previous_count: i64,
    /// Whether the message is an error.
    #[n(2)]
    pub error: bool,
    /// The message.
    #[n(3)]
    pub message: String,
    /// JSON of what the caller added.
    #[n(4)]
    #[cbor(default)]
    pub meta: String,
    /// The evaluation.
    #[n(5)]
    pub eval_id: Option<EvalId>,
    /// When.
    #[n(6)]
    pub time: WallTime,
    /// The log entry.
    #[n(7)]
    #[cbor(default)]
    pub create_index: u64,
}

/// Why a job gets a child.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ChildKind {
    /// Somebody dispatched it.
    #[n(0)]
    Dispatch {
        /// Given to the tasks.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        payload: Vec<u8>,
        /// Added to the job's.
        #[n(1)]
        meta: std::collections::BTreeMap<String, String>,
        /// A second dispatch with the same token makes no second child; "" for none.
        #[n(2)]
        token: String,
        /// The child's priority; 0 for the parent's.
        #[n(3)]
        priority: u8,
    },
    /// Its time has come.
    #[n(1)]
    Launch {
        /// The time.
        #[n(0)]
        at: WallTime,
    },
}

/// A child of a periodic or parameterized job, with the evaluation that acts on it. What it runs is its parent's.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct NewChild {
    /// The parent.
    #[n(0)]
    pub parent: JobId,
    /// The child's id, in the parent's namespace.
    #[n(1)]
    pub id: String,
    /// Why.
    #[n(2)]
    pub kind: ChildKind,
    /// The evaluation.
    #[n(3)]
    pub eval_id: EvalId,
}

/// One change of replicated state.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Change {
    /// Registers a job.
    #[n(0)]
    RegisterJob(#[n(0)] Box<RegisterJob>),
    /// Stops a job, or removes it altogether.
    #[n(1)]
    DeregisterJob {
        /// Which.
        #[n(0)]
        id: JobId,
        /// Remove it instead of keeping it stopped.
        #[n(1)]
        purge: bool,
        /// Acts on it.
        #[n(2)]
        eval: Option<Evaluation>,
    },
    /// A node says what it is.
    #[n(2)]
    RegisterNode {
        /// The node.
        #[n(0)]
        node: Box<Node>,
        /// Evaluations of jobs that it may concern.
        #[n(1)]
        evals: Vec<Evaluation>,
    },
    /// A node's status changed.
    #[n(3)]
    NodeStatus {
        /// Which.
        #[n(0)]
        id: NodeId,
        /// The new status.
        #[n(1)]
        status: NodeStatus,
        /// Why.
        #[n(2)]
        event: Option<NodeEvent>,
        /// Evaluations of the jobs on it.
        #[n(3)]
        evals: Vec<Evaluation>,
    },
    /// Whether a node takes placements.
    #[n(4)]
    NodeEligibility {
        /// Which.
        #[n(0)]
        id: NodeId,
        /// The wish.
        #[n(1)]
        eligible: bool,
        /// Why.
        #[n(2)]
        event: Option<NodeEvent>,
        /// Evaluations that it may concern.
        #[n(3)]
        evals: Vec<Evaluation>,
    },
    /// Reports of a node about its allocations, with evaluations for what failed.
    #[n(5)]
    AllocUpdates {
        /// The reports.
        #[n(0)]
        updates: Vec<AllocUpdate>,
        /// The evaluations.
        #[n(1)]
        evals: Vec<Evaluation>,
    },
    /// New or changed evaluations.
    #[n(6)]
    Evaluations(#[n(0)] Vec<Evaluation>),
    /// Verified plans, with the evaluations that they end or make.
    #[n(7)]
    Plans(#[n(0)] Vec<Plan>),
    /// Marks allocations for stop, restart elsewhere and the like.
    #[n(8)]
    Transitions {
        /// By allocation.
        #[n(0)]
        transitions: Vec<(AllocId, DesiredTransition)>,
        /// Acts on it.
        #[n(1)]
        evals: Vec<Evaluation>,
    },
    /// A deployment's status changed.
    #[n(9)]
    DeploymentStatus {
        /// The change.
        #[n(0)]
        update: DeploymentUpdate,
        /// Acts on it.
        #[n(1)]
        eval: Option<Evaluation>,
        /// The version to go back to, registered in the same entry.
        #[n(2)]
        #[cbor(with = "crate::shared::maybe")]
        #[cbor(default)]
        revert: Option<Arc<Job>>,
    },
    /// Canaries were promoted.
    #[n(10)]
    DeploymentPromote {
        /// Which deployment.
        #[n(0)]
        id: DeploymentId,
        /// Only these groups, or all.
        #[n(1)]
        groups: Option<Vec<String>>,
        /// Acts on it.
        #[n(2)]
        eval: Option<Evaluation>,
    },
    /// The user's verdict on allocations of a deployment.
    #[n(11)]
    DeploymentHealth {
        /// Which deployment.
        #[n(0)]
        id: DeploymentId,
        /// Good ones.
        #[n(1)]
        healthy: Vec<AllocId>,
        /// Bad ones.
        #[n(2)]
        unhealthy: Vec<AllocId>,
        /// A change of status that follows.
        #[n(3)]
        update: Option<DeploymentUpdate>,
        /// Acts on it.
        #[n(4)]
        eval: Option<Evaluation>,
    },
    /// Services that nodes announce.
    #[n(12)]
    UpsertServices(#[n(0)] Vec<ServiceRegistration>),
    /// A service that is gone.
    #[n(13)]
    DeleteService {
        /// Its namespace.
        #[n(0)]
        namespace: String,
        /// Its id.
        #[n(1)]
        id: String,
    },
    /// Objects that nobody needs any more.
    #[n(14)]
    Collect {
        /// Evaluations, with the allocations given.
        #[n(0)]
        evals: Vec<EvalId>,
        /// Allocations.
        #[n(1)]
        allocs: Vec<AllocId>,
        /// Jobs.
        #[n(2)]
        jobs: Vec<JobId>,
        /// Deployments.
        #[n(3)]
        deployments: Vec<DeploymentId>,
        /// Nodes.
        #[n(4)]
        nodes: Vec<NodeId>,
    },
    /// Marks a job version as stable or not.
    #[n(15)]
    JobStability {
        /// Which job.
        #[n(0)]
        id: JobId,
        /// Which version.
        #[n(1)]
        version: u64,
        /// Stable or not.
        #[n(2)]
        stable: bool,
    },
    /// The level that all servers have reached.
    #[n(16)]
    FeatureLevel(#[n(0)] u32),
    /// Records a scaling request that changed no count.
    #[n(17)]
    Scaling {
        /// Which job.
        #[n(0)]
        id: JobId,
        /// Which group.
        #[n(1)]
        group: String,
        /// What to record.
        #[n(2)]
        event: ScalingEvent,
    },
    /// Verified plans as [`Self::Plans`], with what placements share written once. The only form that carries
    /// preemptions, and chunks of a plan after the first.
    #[n(18)]
    SharedPlans(
        #[n(0)]
        #[cbor(with = "crate::plan_form")]
        Vec<Plan>,
    ),
    /// New settings of the scheduler.
    #[n(19)]
    SchedulerConfig {
        /// The settings; indexes are set in apply.
        #[n(0)]
        config: SchedulerConfig,
        /// Refused unless the stored settings have this index.
        #[n(1)]
        enforce_index: Option<u64>,
    },
    /// New or changed node pools; indexes are set in apply.
    #[n(20)]
    UpsertNodePools(#[n(0)] Vec<NodePool>),
    /// Node pools to delete, by name.
    #[n(21)]
    DeleteNodePools(#[n(0)] Vec<String>),
    /// New or changed namespaces; indexes are set in apply.
    #[n(22)]
    UpsertNamespaces(#[n(0)] Vec<Namespace>),
    /// Namespaces to delete, by name.
    #[n(23)]
    DeleteNamespaces(#[n(0)] Vec<String>),
    /// The first token of the region.
    #[n(24)]
    AclBootstrap {
        /// The token.
        #[n(0)]
        token: AclToken,
        /// The index at which the region got its first token, to give it another one; 0 when it has none yet.
        #[n(1)]
        reset: u64,
    },
    /// New or changed objects of access control; indexes are set in apply.
    #[n(25)]
    UpsertAcl(#[n(0)] Box<AclObjects>),
    /// Objects of access control to delete. A one-time token that is not there refuses the whole: it was used.
    #[n(26)]
    DeleteAcl(#[n(0)] AclNames),
    /// A new or changed root key; indexes are set in apply.
    #[n(27)]
    UpsertRootKey(#[n(0)] Box<RootKey>),
    /// A change of a variable; indexes and times are set in apply.
    #[n(28)]
    Variable(#[n(0)] Box<VariableChange>),
    /// Children of periodic and parameterized jobs. One that cannot be made any more is left out, the others are made.
    #[n(40)]
    Children(#[n(0)] Vec<NewChild>),
    /// Starts, changes or cancels the drain of a node.
    #[n(41)]
    NodeDrain {
        /// Which.
        #[n(0)]
        id: NodeId,
        /// How; none cancels.
        #[n(1)]
        spec: Option<DrainSpec>,
        /// Whether the node takes placements once the drain is cancelled.
        #[n(2)]
        mark_eligible: bool,
        /// What whoever asks wants noted.
        #[n(3)]
        #[cbor(default)]
        meta: std::collections::BTreeMap<String, String>,
        /// Who asks.
        #[n(4)]
        #[cbor(default)]
        accessor: String,
        /// Evaluations of the jobs that the node may serve again.
        #[n(5)]
        #[cbor(default)]
        evals: Vec<Evaluation>,
    },
    /// Nodes are drained: nothing is left on them that had to leave.
    #[n(42)]
    DrainsDone {
        /// Which.
        #[n(0)]
        nodes: Vec<NodeId>,
        /// Whether their time was up.
        #[n(1)]
        deadline_reached: bool,
    },
    /// Forgets a node.
    #[n(43)]
    PurgeNode {
        /// Which.
        #[n(0)]
        id: NodeId,
        /// Evaluations of the jobs on it.
        #[n(1)]
        evals: Vec<Evaluation>,
    },
    /// Verified plans and the evaluations that end with them, in one entry: either all of it is there or nothing.
    #[n(60)]
    Results {
        /// As in [`Self::SharedPlans`].
        #[n(0)]
        #[cbor(with = "crate::plan_form")]
        plans: Vec<Plan>,
        /// Evaluations that have ended, and what follows from them.
        #[n(1)]
        evals: Vec<Evaluation>,
    },
    /// Names a version of a job, or takes its name away.
    #[n(70)]
    JobTag {
        /// Which job.
        #[n(0)]
        id: JobId,
        /// Which version.
        #[n(1)]
        version: u64,
        /// The name; none takes it away.
        #[n(2)]
        tag: Option<VersionTag>,
    },
    /// New settings for the care of servers.
    #[n(80)]
    Autopilot {
        /// The settings; indexes are set in apply.
        #[n(0)]
        config: AutopilotConfig,
        /// Refused unless the stored settings have this index.
        #[n(1)]
        enforce_index: Option<u64>,
    },
    /// Replaces the whole state by the one in an archive.
    #[n(81)]
    Restore {
        /// The archive, as it was saved.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        archive: Vec<u8>,
    },
}

impl Change {
    /// The lowest [`FORMAT`] of builds that can apply this change. A kind added later, or a field that must not be
    /// overlooked, answers with the format that it came with; the leader holds such changes back until every server has
    /// reached it.
    pub fn level(&self) -> u32 {
        match self {
            Self::RegisterJob(_)
            | Self::DeregisterJob { .. }
            | Self::RegisterNode { .. }
            | Self::NodeStatus { .. }
            | Self::NodeEligibility { .. }
            | Self::AllocUpdates { .. }
            | Self::Evaluations(_)
            | Self::Plans(_)
            | Self::Transitions { .. }
            | Self::DeploymentStatus { .. }
            | Self::DeploymentPromote { .. }
            | Self::DeploymentHealth { .. }
            | Self::UpsertServices(_)
            | Self::DeleteService { .. }
            | Self::Collect { .. }
            | Self::JobStability { .. }
            | Self::FeatureLevel(_)
            | Self::Scaling { .. } => 1,
            Self::SharedPlans(_)
            | Self::Results { .. }
            | Self::SchedulerConfig { .. }
            | Self::UpsertNodePools(_)
            | Self::DeleteNodePools(_)
            | Self::Children(_)
            | Self::NodeDrain { .. }
            | Self::DrainsDone { .. }
            | Self::PurgeNode { .. } => 2,
            Self::UpsertNamespaces(_) | Self::DeleteNamespaces(_) => 3,
            Self::AclBootstrap { .. }
            | Self::UpsertAcl(_)
            | Self::DeleteAcl(_)
            | Self::UpsertRootKey(_)
            | Self::Variable(_)
            | Self::JobTag { .. } => 4,
            Self::Autopilot { .. } | Self::Restore { .. } => 5,
        }
    }
}

/// A change with the time it was proposed at: one log entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Stamped by the leader, never smaller than that of an earlier entry.
    pub time: WallTime,
    /// What to do.
    pub change: Change,
}

/// A log entry that this build cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer build.
    #[error("log entry has format {found}, this build reads up to {FORMAT}; run a newer build")]
    TooNew {
        /// The entry's format.
        found: u32,
    },
    /// Not a log entry.
    #[error("log entry cannot be read: {0}")]
    Malformed(String),
}

impl Command {
    /// The bytes of the log entry, marked with the level of its change: a server that is older than this build, but not
    /// too old for the change, reads them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let mut encoder = minicbor::Encoder::new(&mut out);
        let written = encoder
            .array(3)
            .and_then(|e| e.u32(self.change.level()))
            .and_then(|e| e.encode(self.time))
            .and_then(|e| e.encode(&self.change))
            .is_ok();
        assert!(written, "a vector takes every byte");
        out
    }

    /// The command of a log entry, or `None` if it is one that may be skipped.
    ///
    /// # Errors
    /// When a newer build wrote it, or the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let malformed = |error: minicbor::decode::Error| DecodeError::Malformed(error.to_string());
        let mut decoder = minicbor::Decoder::new(bytes);
        if decoder.array().map_err(malformed)? != Some(3) {
            return Err(DecodeError::Malformed("expected three parts".to_owned()));
        }
        let format = decoder.u32().map_err(malformed)?;
        if format & !IGNORABLE > FORMAT {
            if format & IGNORABLE != 0 {
                return Ok(None);
            }
            return Err(DecodeError::TooNew { found: format });
        }
        let time = decoder.decode().map_err(malformed)?;
        let change = decoder.decode().map_err(malformed)?;
        Ok(Some(Self { time, change }))
    }
}

#[cfg(test)]
mod tests;
