//! Counts of a job's allocations by group, kept in the same apply that changes an allocation.

use drover_model::ClientStatus;
use minicbor::{Decode, Encode};

/// Counts of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct GroupSummary {
    /// Wanted and not placed.
    #[n(0)]
    pub queued: u32,
    /// Ended well.
    #[n(1)]
    pub complete: u32,
    /// Ended badly.
    #[n(2)]
    pub failed: u32,
    /// Running.
    #[n(3)]
    pub running: u32,
    /// Placed and not running yet.
    #[n(4)]
    pub starting: u32,
    /// Lost with their node.
    #[n(5)]
    pub lost: u32,
    /// On a node that is out of contact.
    #[n(6)]
    pub unknown: u32,
}

impl GroupSummary {
    /// The count for allocations of this status.
    pub fn of(&mut self, status: ClientStatus) -> &mut u32 {
        match status {
            ClientStatus::Pending => &mut self.starting,
            ClientStatus::Running => &mut self.running,
            ClientStatus::Complete => &mut self.complete,
            ClientStatus::Failed => &mut self.failed,
            ClientStatus::Lost => &mut self.lost,
            ClientStatus::Unknown => &mut self.unknown,
        }
    }
}

/// Counts of a job's children by their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// Not placed yet.
    pub pending: u32,
    /// At work.
    pub running: u32,
    /// Done.
    pub dead: u32,
}

impl ChildCounts {
    /// The count for children of this status.
    pub fn of(&mut self, status: crate::rows::JobStatus) -> &mut u32 {
        match status {
            crate::rows::JobStatus::Pending => &mut self.pending,
            crate::rows::JobStatus::Running => &mut self.running,
            crate::rows::JobStatus::Dead => &mut self.dead,
        }
    }
}

/// Counts of a job.
pub type JobSummary = std::collections::BTreeMap<String, GroupSummary>;
