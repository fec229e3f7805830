//! Deployments: the progress of one job version towards health.

use std::collections::BTreeMap;

use drover_base::{AllocId, DeploymentId, WallTime};
use minicbor::{Decode, Encode};

use crate::Index;
use crate::job::JobId;

text_enum! {
    /// Where a deployment stands.
    DeploymentStatus {
        0 Running = "running", 1 Paused = "paused", 2 Failed = "failed", 3 Successful = "successful", 4 Cancelled = "cancelled",
        5 Initializing = "initializing", 6 Pending = "pending", 7 Blocked = "blocked", 8 Unblocking = "unblocking",
    }
}

impl DeploymentStatus {
    /// Whether it may still change.
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Failed | Self::Successful | Self::Cancelled)
    }
}

/// Texts that clients and the web UI show as they are.
pub mod description {
    /// A new deployment.
    pub const RUNNING: &str = "Deployment is running";
    /// Waits for the user.
    pub const NEEDS_PROMOTION: &str = "Deployment is running but requires manual promotion";
    /// Waits for the canaries' health.
    pub const AUTO_PROMOTION: &str = "Deployment is running pending automatic promotion";
    /// Paused by the user.
    pub const PAUSED: &str = "Deployment is paused";
    /// Done.
    pub const SUCCESSFUL: &str = "Deployment completed successfully";
    /// The job was stopped.
    pub const STOPPED_JOB: &str = "Cancelled because job is stopped";
    /// A newer version came.
    pub const NEWER_JOB: &str = "Cancelled due to newer version of job";
    /// An allocation became unhealthy.
    pub const FAILED_ALLOCATIONS: &str = "Failed due to unhealthy allocations";
    /// No progress in time.
    pub const PROGRESS_DEADLINE: &str = "Failed due to progress deadline";
    /// The user said so.
    pub const FAILED_BY_USER: &str = "Deployment marked as failed";
}

/// The progress of one group.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct DeploymentGroup {
    /// Revert to the last stable version on failure.
    #[n(0)]
    pub auto_revert: bool,
    /// Promote once all canaries are healthy.
    #[n(1)]
    pub auto_promote: bool,
    /// Canaries were promoted.
    #[n(2)]
    pub promoted: bool,
    /// The canaries placed.
    #[n(3)]
    pub placed_canaries: Vec<AllocId>,
    /// Canaries wanted.
    #[n(4)]
    pub desired_canaries: u32,
    /// Allocations wanted.
    #[n(5)]
    pub desired_total: u32,
    /// Allocations placed by the deployment.
    #[n(6)]
    pub placed: u32,
    /// Of these, healthy.
    #[n(7)]
    pub healthy: u32,
    /// Of these, unhealthy.
    #[n(8)]
    pub unhealthy: u32,
    /// Nanoseconds within which an allocation must become healthy; 0 for no limit.
    #[n(9)]
    pub progress_deadline_ns: i64,
    /// When the group must have progressed.
    #[n(10)]
    pub require_progress_by: WallTime,
}

/// The progress of one job version.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Deployment {
    /// The id.
    #[n(0)]
    pub id: DeploymentId,
    /// The job.
    #[n(1)]
    pub job_id: JobId,
    /// Its version.
    #[n(2)]
    pub job_version: u64,
    /// The row's index when it was made.
    #[n(3)]
    pub job_modify_index: Index,
    /// The version's index.
    #[n(4)]
    pub job_spec_modify_index: Index,
    /// When the job was first registered; tells a purged and re-registered one apart.
    #[n(5)]
    pub job_create_index: Index,
    /// By group name.
    #[n(6)]
    pub groups: BTreeMap<String, DeploymentGroup>,
    /// Where it stands.
    #[n(7)]
    pub status: DeploymentStatus,
    /// A sentence about the status.
    #[n(8)]
    pub status_description: String,
    /// Priority of the evaluations it makes.
    #[n(9)]
    pub eval_priority: u8,
    /// When it was made.
    #[n(10)]
    #[cbor(default)]
    pub create_index: Index,
    /// When it last changed.
    #[n(11)]
    #[cbor(default)]
    pub modify_index: Index,
    /// When it was made.
    #[n(12)]
    #[cbor(default)]
    pub create_time: WallTime,
    /// When it last changed.
    #[n(13)]
    #[cbor(default)]
    pub modify_time: WallTime,
}

impl Deployment {
    /// Whether any group has canaries that wait for promotion.
    pub fn requires_promotion(&self) -> bool {
        self.groups.values().any(|group| group.desired_canaries > 0 && !group.promoted)
    }

    /// Whether every group with canaries promotes by itself.
    pub fn has_auto_promote(&self) -> bool {
        let canaried = || self.groups.values().filter(|group| group.desired_canaries > 0);
        canaried().next().is_some() && canaried().all(|group| group.auto_promote)
    }
}
