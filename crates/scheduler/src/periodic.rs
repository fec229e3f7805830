//! Periodic jobs: when their next child is due.
//!
//! A launch is decided by the wall clock and recorded with the child, so that another server goes on where this one stops:
//! it makes up for at most one launch that was missed.

use std::collections::{BTreeMap, BTreeSet};

use drover_base::WallTime;
use drover_lang::cron::{Cron, Zone};
use drover_model::{Job, JobId, Periodic};
use drover_state::{JobRow, Snapshot};

/// The first time after `after` that one of the specs names, or nothing if none does or one cannot be read.
pub fn next_launch(periodic: &Periodic, after: WallTime) -> Option<WallTime> {
    let zone = Zone::named(&periodic.time_zone).ok()?;
    let single = Some(&periodic.spec).filter(|spec| !spec.is_empty() || periodic.specs.is_empty());
    let mut next = None;
    for spec in periodic.specs.iter().chain(single) {
        let launch = Cron::parse(spec).ok()?.next_after(after.0, &zone).map(WallTime);
        next = [next, launch].into_iter().flatten().min();
    }
    // Time goes on, whatever a spec says.
    next.filter(|next| *next > after)
}

/// The id of the child that is launched at a time.
pub fn child_id(parent: &str, at: WallTime) -> String {
    format!("{parent}/periodic-{}", at.seconds())
}

/// A child that is to be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its parent.
    pub parent: JobId,
    /// The time it is launched for.
    pub at: WallTime,
}

/// Whether a child is still at work, or may come to be.
pub fn has_active_child(row: &JobRow) -> bool {
    row.children.pending + row.children.running > 0
}

fn prohibits_overlap(job: &Job) -> bool {
    job.periodic.as_ref().is_some_and(|periodic| periodic.prohibit_overlap)
}

/// Knows when the periodic jobs of a region are due.
#[derive(Debug, Default)]
pub struct Launcher {
    due: BTreeSet<(WallTime, JobId)>,
    by_job: BTreeMap<JobId, WallTime>,
}

impl Launcher {
    /// Takes up all periodic jobs, as when leadership begins. Returns a launch for each job that missed one or more, unless
    /// its children must not overlap and one is at work (PER-006).
    pub fn take_up(&mut self, state: &Snapshot, now: WallTime) -> Vec<Launch> {
        *self = Self::default();
        let mut missed = Vec::new();
        for row in state.periodic_jobs() {
            let job = row.job();
            if let Some(periodic) = job.periodic.as_ref().filter(|_| job.launches()) {
                // Times before this version was submitted were another version's.
                let since = row.last_launch.max(job.submit_time);
                let late = next_launch(periodic, since).is_some_and(|next| next < now);
                if late && !(periodic.prohibit_overlap && has_active_child(row)) {
                    missed.push(Launch { parent: job.id.clone(), at: now });
                }
            }
            self.track(state, &job.id, now);
        }
        missed
    }

    /// A job came, changed or went: its next launch is worked out anew.
    pub fn track(&mut self, state: &Snapshot, id: &JobId, now: WallTime) {
        if let Some(at) = self.by_job.remove(id) {
            self.due.remove(&(at, id.clone()));
        }
        let Some(row) = state.job(id) else { return };
        let Some(periodic) = row.job().periodic.as_ref().filter(|_| row.job().launches()) else { return };
        // A clock that went back does not repeat what was launched.
        if let Some(at) = next_launch(periodic, now.max(row.last_launch)) {
            self.due.insert((at, id.clone()));
            self.by_job.insert(id.clone(), at);
        }
    }

    /// The next moment [`Self::launches`] could name a job.
    pub fn next_deadline(&self) -> Option<WallTime> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Children that are due. A job whose children must not overlap is passed over while one is at work; its time goes on
    /// all the same (PER-004).
    pub fn launches(&mut self, state: &Snapshot, now: WallTime) -> Vec<Launch> {
        let mut launches = Vec::new();
        while let Some((at, parent)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, parent.clone()));
            self.by_job.remove(&parent);
            let Some(row) = state.job(&parent).filter(|row| row.job().launches()) else { continue };
            if !(prohibits_overlap(row.job()) && has_active_child(row)) {
                launches.push(Launch { parent: parent.clone(), at });
            }
            if let Some(next) = row.job().periodic.as_ref().and_then(|periodic| next_launch(periodic, now.max(at))) {
                self.due.insert((next, parent.clone()));
                self.by_job.insert(parent, next);
            }
        }
        launches
    }
}

#[cfg(test)]
mod tests;
