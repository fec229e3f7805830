//! Plans: what a scheduler worker wants done, before it is verified against the newest state.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use minicbor::{Decode, Encode};

use crate::allocation::ClientStatus;
use crate::deployment::{Deployment, DeploymentStatus};
use crate::evaluation::{DesiredUpdates, PlacementMetrics};
use crate::job::JobId;
use crate::resources::AllocatedResources;

/// An attempt to replace a failed allocation.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct RescheduleEvent {
    /// When.
    #[n(0)]
    pub time: WallTime,
    /// What it replaced.
    #[n(1)]
    pub previous_alloc: AllocId,
    /// Where that ran.
    #[n(2)]
    pub previous_node: NodeId,
    /// Nanoseconds of delay.
    #[n(3)]
    pub delay_ns: i64,
}

/// A new allocation.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Placement {
    /// Its id.
    #[n(0)]
    pub id: AllocId,
    /// Its group.
    #[n(1)]
    pub group: String,
    /// Its number within the group.
    #[n(2)]
    pub index: u32,
    /// Where.
    #[n(3)]
    pub node_id: NodeId,
    /// What it is given.
    #[n(4)]
    #[cbor(with = "crate::shared")]
    pub resources: Arc<AllocatedResources>,
    /// What it replaces.
    #[n(5)]
    pub previous: Option<AllocId>,
    /// Whether the replaced one had failed, so that the attempt counts.
    #[n(6)]
    #[cbor(default)]
    pub reschedules: Vec<RescheduleEvent>,
    /// Part of the deployment as a canary.
    #[n(7)]
    #[cbor(default)]
    pub canary: bool,
    /// Of another version than the job's newest: the version to run.
    #[n(8)]
    pub job_version: Option<u64>,
    /// How it was chosen.
    #[n(9)]
    #[cbor(with = "crate::shared")]
    pub metrics: Arc<PlacementMetrics>,
}

/// A stop of an allocation.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Stop {
    /// Which.
    #[n(0)]
    pub id: AllocId,
    /// Shown as its desired description.
    #[n(1)]
    pub description: String,
    /// Set when the node cannot report any more.
    #[n(2)]
    pub client_status: Option<ClientStatus>,
    /// The evaluation that will replace it later.
    #[n(3)]
    pub followup_eval: Option<EvalId>,
}

/// An update of an allocation that needs no restart, or a note on it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct InPlace {
    /// Which.
    #[n(0)]
    pub id: AllocId,
    /// Whether it moves to the job's newest version and into the deployment.
    #[n(1)]
    pub to_newest: bool,
    /// The evaluation that will replace it later.
    #[n(2)]
    pub followup_eval: Option<EvalId>,
    /// What the servers make of its status while its node cannot say, or says again.
    #[n(3)]
    #[cbor(default)]
    pub contact: Contact,
    /// A replacement of the failed allocation was tried and found no node.
    #[n(4)]
    #[cbor(default)]
    pub no_placement: bool,
}

impl InPlace {
    /// A note on an allocation that changes nothing yet.
    pub fn of(id: AllocId) -> Self {
        Self { id, to_newest: false, followup_eval: None, contact: Contact::Same, no_placement: false }
    }
}

text_enum! {
    /// Whether the servers hear from an allocation's node.
    Contact {
        0 Same = "same", 1 Lost = "lost", 2 Back = "back",
    }
}

/// A change of a deployment's status.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct DeploymentUpdate {
    /// Which.
    #[n(0)]
    pub id: DeploymentId,
    /// The new status.
    #[n(1)]
    pub status: DeploymentStatus,
    /// And the sentence.
    #[n(2)]
    pub description: String,
}

/// What one evaluation wants done.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Plan {
    /// The evaluation.
    #[n(0)]
    pub eval_id: EvalId,
    /// The job.
    #[n(1)]
    pub job_id: JobId,
    /// The priority.
    #[n(2)]
    pub priority: u8,
    /// Commit all or nothing.
    #[n(3)]
    #[cbor(default)]
    pub all_at_once: bool,
    /// New allocations.
    #[n(4)]
    #[cbor(default)]
    pub placements: Vec<Placement>,
    /// Stops.
    #[n(5)]
    #[cbor(default)]
    pub stops: Vec<Stop>,
    /// Updates without restart.
    #[n(6)]
    #[cbor(default)]
    pub in_place: Vec<InPlace>,
    /// A new deployment, or new totals for the running one.
    #[n(7)]
    pub deployment: Option<Deployment>,
    /// Status changes of other deployments.
    #[n(8)]
    #[cbor(default)]
    pub deployment_updates: Vec<DeploymentUpdate>,
    /// The job version planned for.
    #[n(9)]
    pub job_version: u64,
    /// When the job was first registered; guards against a purge in between.
    #[n(10)]
    pub job_create_index: u64,
    /// What it comes to, by group.
    #[n(11)]
    #[cbor(default)]
    pub annotations: BTreeMap<String, DesiredUpdates>,
    /// The deployment that placements and updates of the newest version join, unless `deployment` is given.
    #[n(12)]
    pub joins: Option<DeploymentId>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.placements.is_empty()
            && self.stops.is_empty()
            && self.in_place.is_empty()
            && self.deployment.is_none()
            && self.deployment_updates.is_empty()
    }
}
