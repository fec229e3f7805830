//! Which ended allocations are cleared away when room is short: the one that ended first, first; never one that runs.

use drover_base::{AllocId, WallTime};
use drover_linux::path::FileSystemUse;

/// When room counts as short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) disk_percent: f64,
    pub(crate) inode_percent: f64,
    pub(crate) allocs: usize,
}

/// An allocation as the collector sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: AllocId,
    /// When it was over; none while it is not.
    pub(crate) over_since: Option<WallTime>,
}

/// What to clear away now, at most `parallel` at once.
pub(crate) fn choose(limits: Limits, used: FileSystemUse, mut candidates: Vec<Candidate>, parallel: usize) -> Vec<AllocId> {
    let surplus = candidates.len().saturating_sub(limits.allocs);
    let full = used.used_percent() > limits.disk_percent || used.inodes_used_percent() > limits.inode_percent;
    let wanted = if full { parallel } else { surplus.min(parallel) };
    candidates.retain(|candidate| candidate.over_since.is_some());
    candidates.sort_by_key(|candidate| (candidate.over_since, candidate.id));
    candidates.into_iter().take(wanted).map(|candidate| candidate.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    fn candidate(number: u128, over_since: Option<i64>) -> Candidate {
        Candidate { id: AllocId::from_random(number), over_since: over_since.map(WallTime) }
    }

    fn room(used: u64) -> FileSystemUse {
        FileSystemUse { bytes_total: 100, bytes_used: used, inodes_total: 100, ..FileSystemUse::default() }
    }

    const LIMITS: Limits = Limits { disk_percent: 80.0, inode_percent: 70.0, allocs: 3 };

    #[proves("CLI-075", "CLI-076", "CLI-077")]
    #[test]
    fn the_oldest_ended_goes_first_and_live_ones_never() {
        let all = || vec![candidate(1, Some(30)), candidate(2, None), candidate(3, Some(10)), candidate(4, Some(20))];
        let id = |number| candidate(number, None).id;
        assert_eq!(choose(LIMITS, room(10), all(), 2), [id(3)]);
        assert_eq!(choose(LIMITS, room(81), all(), 2), [id(3), id(4)]);
        let inodes = FileSystemUse { inodes_used: 71, ..room(10) };
        assert_eq!(choose(LIMITS, inodes, all(), 2), [id(3), id(4)]);
        let three = all().split_off(1);
        assert_eq!(choose(LIMITS, room(10), three, 2), Vec::<AllocId>::new());
        let live: Vec<Candidate> = (0..9).map(|number| candidate(number, None)).collect();
        assert_eq!(choose(LIMITS, room(99), live, 2), Vec::<AllocId>::new());
    }
}
