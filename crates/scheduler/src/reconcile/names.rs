//! Numbers of a group's allocations (REC-001…004).

use std::collections::{BTreeMap, BTreeSet};

/// The numbers in use, with how often each is.
#[derive(Clone, Debug, Default)]
pub struct Names {
    used: BTreeMap<u32, u32>,
    /// Every number below is in use.
    full_below: u32,
}

impl Names {
    /// The numbers of existing allocations.
    pub fn of(indexes: impl IntoIterator<Item = u32>) -> Self {
        let mut names = Self::default();
        for index in indexes {
            names.take(index);
        }
        names
    }

    /// Counts a number in.
    pub fn take(&mut self, index: u32) {
        *self.used.entry(index).or_default() += 1;
    }

    /// Counts a number out once.
    pub fn release(&mut self, index: u32) {
        if let Some(times) = self.used.get_mut(&index) {
            *times -= 1;
            if *times == 0 {
                self.used.remove(&index);
                self.full_below = self.full_below.min(index);
            }
        }
    }

    /// Whether a number is in use.
    pub fn taken(&self, index: u32) -> bool {
        self.used.contains_key(&index)
    }

    /// The numbers that several allocations have.
    pub fn duplicates(&self) -> impl Iterator<Item = u32> {
        self.used.iter().filter(|(_, times)| **times > 1).map(|(index, _)| *index)
    }

    /// Takes the lowest free number (REC-002).
    pub fn take_lowest(&mut self) -> u32 {
        while self.taken(self.full_below) {
            self.full_below += 1;
        }
        let index = self.full_below;
        self.take(index);
        index
    }

    /// Whether several have a number.
    pub fn shared(&self, index: u32) -> bool {
        self.used.get(&index).is_some_and(|times| *times > 1)
    }

    /// A free number instead of one that another has too.
    pub fn renumber(&mut self, index: u32) -> u32 {
        self.release(index);
        self.take_lowest()
    }

    /// The highest numbers in use, each once, highest first (REC-003).
    pub fn highest(&self, wanted: usize) -> Vec<u32> {
        self.used.keys().rev().take(wanted).copied().collect()
    }

    /// Numbers for canaries of a group of `count`: those that will be replaced, then free ones, then ones beyond (DEP-039).
    pub fn for_canaries(&self, count: u32, wanted: usize, replaced: &BTreeSet<u32>, canaries: &BTreeSet<u32>) -> Vec<u32> {
        let mut chosen: BTreeSet<u32> = replaced.range(..count).filter(|index| !canaries.contains(index)).take(wanted).copied().collect();
        let free = (0..count).filter(|index| !self.taken(*index) && !canaries.contains(index));
        let beyond = (count..).filter(|index| !canaries.contains(index));
        for index in free.chain(beyond) {
            if chosen.len() >= wanted {
                break;
            }
            chosen.insert(index);
        }
        chosen.into_iter().collect()
    }
}
