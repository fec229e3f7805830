//! What a group says about nodes that the servers lose sight of (REC-058…080).

use std::time::Duration;

use drover_base::WallTime;
use drover_model::{ClientStatus, TaskGroup};
use drover_state::Alloc;

/// The least time that a node is given to stop tasks it was told to stop by itself.
const STOP_AT_LEAST: Duration = Duration::from_secs(5);

/// How two allocations that stand for the same one are chosen between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The better placed.
    BestScore,
    /// The first.
    Original,
    /// The later.
    Replacement,
    /// The one that runs longer.
    LongestRunning,
}

/// The disconnect rules of a group, however they are spelt.
#[derive(Clone, Copy, Debug)]
pub struct DisconnectRules {
    /// A disconnected allocation is given up after this time; at once without.
    pub lost_after: Option<Duration>,
    /// The node stops a disconnected allocation by itself after this time.
    pub stop_after: Option<Duration>,
    /// Whether a disconnected allocation is replaced before it is given up.
    pub replace: bool,
    /// Which one stays when it comes back.
    pub keep: Keep,
}

impl DisconnectRules {
    /// The rules of a group: its `disconnect` block, else the older attributes.
    pub fn of(group: &TaskGroup) -> Self {
        let positive = |duration: Option<Duration>| duration.filter(|duration| !duration.is_zero());
        match &group.disconnect {
            Some(block) => Self {
                lost_after: positive(block.lost_after),
                stop_after: positive(block.stop_on_client_after),
                replace: block.replace,
                keep: match block.reconcile.as_str() {
                    "keep_original" => Keep::Original,
                    "keep_replacement" => Keep::Replacement,
                    "longest_running" => Keep::LongestRunning,
                    _ => Keep::BestScore,
                },
            },
            None => Self {
                lost_after: positive(group.max_client_disconnect),
                stop_after: positive(group.stop_after_client_disconnect),
                replace: !group.prevent_reschedule_on_lost,
                keep: Keep::BestScore,
            },
        }
    }

    /// Whether allocations outlive a loss of contact.
    pub fn survives(&self) -> bool {
        self.lost_after.is_some()
    }

    /// When a disconnected allocation is given up, if the servers lost sight of it.
    pub fn given_up_at(&self, alloc: &Alloc) -> Option<WallTime> {
        Some(lost_sight_at(alloc)? + self.lost_after?)
    }

    /// When a node that is out of contact has stopped the allocation by itself (REC-075).
    pub fn stopped_by(&self, group: &TaskGroup, lost_at: WallTime) -> Option<WallTime> {
        let kill = group.tasks.iter().map(|task| task.kill_timeout).max().unwrap_or_default();
        Some(lost_at + self.stop_after? + kill.max(STOP_AT_LEAST))
    }
}

/// Since when the servers have not heard of an allocation: the newest run of silence counts (REC-064).
pub(super) fn lost_sight_at(alloc: &Alloc) -> Option<WallTime> {
    let contacts = alloc.rare.contacts.as_ref()?;
    contacts.iter().rev().take_while(|change| change.status == ClientStatus::Unknown).last().map(|change| change.time)
}

/// Whether the servers lost sight of it and have not noted its return yet (REC-065).
pub(crate) fn must_reconnect(alloc: &Alloc) -> bool {
    alloc.rare.contacts.as_ref().and_then(|contacts| contacts.last()).is_some_and(|change| change.status == ClientStatus::Unknown)
}
