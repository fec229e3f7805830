//! Blocked evaluations: wait for room or for a node that qualifies, one per job.
//!
//! What an evaluation waits for is a verdict per class of nodes. Evaluations with the same verdicts share a group, so that
//! a node that frees room costs a look at each distinct group and then only the evaluations that it may help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use drover_base::{EvalId, Monotonic, NodeId};
use drover_model::{Evaluation, Index, JobId, JobType, Trigger};

/// How long it is remembered that a class got room.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// How often what is older is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(5 * 60);

/// What counts as one: a job, or a system job on one node.
type Subject = (JobId, Option<NodeId>);
type Verdicts = BTreeMap<String, bool>;

/// The evaluations that wait for room.
#[derive(Default)]
pub struct Blocked {
    by_subject: BTreeMap<Subject, Arc<Evaluation>>,
    subjects: BTreeMap<EvalId, Subject>,
    /// Those that any node may help.
    escaped: BTreeSet<EvalId>,
    /// The others by their verdicts on classes.
    by_verdicts: BTreeMap<Verdicts, BTreeSet<EvalId>>,
    by_node: BTreeMap<NodeId, BTreeSet<EvalId>>,
    /// Those that ran out of attempts rather than of room.
    contended: BTreeSet<EvalId>,
    /// The last entry at which nodes of a class got room, and when that was.
    freed: BTreeMap<String, (Index, Monotonic)>,
    /// The last entry at which any node got room.
    any_freed: Index,
    forgot: Monotonic,
    duplicates: Vec<Arc<Evaluation>>,
}

/// What became of an evaluation that was to wait.
#[derive(Debug)]
pub enum Waits {
    /// It waits.
    Yes,
    /// Another one of its job waits already and is newer: this one is to be cancelled.
    Superseded,
    /// Room came up since it was processed: run it now.
    RunNow(Arc<Evaluation>),
}

fn subject(eval: &Evaluation) -> Subject {
    (eval.job_id.clone(), eval.node_id.filter(|_| matches!(eval.kind, JobType::System | JobType::Sysbatch)))
}

/// What decides which of two evaluations of a job is the newer one.
fn age(eval: &Evaluation) -> Index {
    eval.create_index.max(eval.snapshot_index)
}

/// A class that was found unfit never helps; an unknown one may.
fn may_help(verdicts: &Verdicts, class: &str) -> bool {
    verdicts.get(class).copied().unwrap_or(true)
}

impl Blocked {
    /// Takes an evaluation in. Of two of one job the newer one stays; the other is a duplicate.
    pub fn block(&mut self, eval: Arc<Evaluation>) -> Waits {
        let subject = subject(&eval);
        if let Some(existing) = self.by_subject.get(&subject) {
            if existing.id == eval.id {
                self.remove(eval.id);
            } else if age(existing) > age(&eval) {
                self.duplicates.push(eval);
                return Waits::Superseded;
            } else {
                let older = existing.id;
                let older = self.remove(older);
                self.duplicates.extend(older);
            }
        }
        if self.missed(&eval) {
            return Waits::RunNow(eval);
        }
        if eval.trigger == Trigger::MaxPlanAttempts {
            self.contended.insert(eval.id);
        }
        if eval.escaped_computed_class {
            self.escaped.insert(eval.id);
        } else {
            match self.by_verdicts.get_mut(&eval.class_eligibility) {
                Some(group) => {
                    group.insert(eval.id);
                }
                None => {
                    self.by_verdicts.insert(eval.class_eligibility.clone(), BTreeSet::from([eval.id]));
                }
            }
        }
        if let Some(node) = subject.1 {
            self.by_node.entry(node).or_default().insert(eval.id);
        }
        self.subjects.insert(eval.id, subject.clone());
        self.by_subject.insert(subject, eval);
        Waits::Yes
    }

    /// Whether room that may help came up after the evaluation's snapshot.
    fn missed(&self, eval: &Evaluation) -> bool {
        if self.any_freed <= eval.snapshot_index {
            return false;
        }
        eval.escaped_computed_class
            || self.freed.iter().any(|(class, (index, _))| *index > eval.snapshot_index && may_help(&eval.class_eligibility, class))
    }

    /// Nodes of this class have room: those they may help come back.
    pub fn unblock(&mut self, class: &str, index: Index, now: Monotonic) -> Vec<Arc<Evaluation>> {
        self.freed.insert(class.to_owned(), (index, now));
        self.any_freed = self.any_freed.max(index);
        if now.since(self.forgot) >= FORGET_EVERY {
            self.forgot = now;
            self.freed.retain(|_, (_, at)| now.since(*at) < REMEMBERED);
        }
        let mut helped: Vec<EvalId> = self.escaped.iter().copied().collect();
        for (_, group) in self.by_verdicts.iter().filter(|(verdicts, _)| may_help(verdicts, class)) {
            helped.extend(group);
        }
        self.take(helped)
    }

    /// A node changed: the evaluations of system jobs that wait for it come back.
    pub fn unblock_node(&mut self, node: NodeId) -> Vec<Arc<Evaluation>> {
        let helped = self.by_node.get(&node).map(|group| group.iter().copied().collect()).unwrap_or_default();
        self.take(helped)
    }

    /// Those that only lost a race come back.
    pub fn unblock_contended(&mut self) -> Vec<Arc<Evaluation>> {
        let helped = self.contended.iter().copied().collect();
        self.take(helped)
    }

    /// Whether any lost a race.
    pub fn has_contended(&self) -> bool {
        !self.contended.is_empty()
    }

    fn take(&mut self, ids: Vec<EvalId>) -> Vec<Arc<Evaluation>> {
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn remove(&mut self, id: EvalId) -> Option<Arc<Evaluation>> {
        let subject = self.subjects.remove(&id)?;
        let eval = self.by_subject.remove(&subject)?;
        self.contended.remove(&id);
        if !self.escaped.remove(&id)
            && let Some(group) = self.by_verdicts.get_mut(&eval.class_eligibility)
        {
            group.remove(&id);
            if group.is_empty() {
                self.by_verdicts.remove(&eval.class_eligibility);
            }
        }
        if let Some(node) = subject.1
            && let Some(group) = self.by_node.get_mut(&node)
        {
            group.remove(&id);
            if group.is_empty() {
                self.by_node.remove(&node);
            }
        }
        Some(eval)
    }

    /// The job is gone: what waits for it is not needed any more.
    pub fn untrack(&mut self, job: &JobId) -> Vec<Arc<Evaluation>> {
        self.untrack_older(job, Index::MAX)
    }

    /// The job was placed in full by an evaluation that ended at an index: what has waited for it since before is not needed any
    /// more. What began to wait later is, whatever order the two are heard of in: a new leader hears of the log's end again.
    pub fn untrack_older(&mut self, job: &JobId, ended: Index) -> Vec<Arc<Evaluation>> {
        let from = (job.clone(), None);
        let of_job = self.by_subject.range(from..).take_while(|((of, _), _)| of == job);
        let ids = of_job.filter(|(_, eval)| eval.modify_index < ended).map(|(_, eval)| eval.id).collect();
        self.take(ids)
    }

    /// Evaluations that a newer one of their job made unneeded.
    pub fn take_duplicates(&mut self) -> Vec<Arc<Evaluation>> {
        std::mem::take(&mut self.duplicates)
    }

    /// Drops everything, as when leadership ends.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_subject.len()
    }

    /// How many of them any node may help.
    pub fn escaped(&self) -> usize {
        self.escaped.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// Whether this one waits.
    pub fn contains(&self, id: EvalId) -> bool {
        self.subjects.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_macros::proves;

    use super::*;

    fn eval(number: u128, job: &str, snapshot_index: Index, fit: &[(&str, bool)]) -> Evaluation {
        let job = JobId { namespace: "default".into(), id: job.into() };
        let mut eval = Evaluation::new(EvalId::from_random(number), job, JobType::Service, 50, Trigger::QueuedAllocs, WallTime(1));
        eval.snapshot_index = snapshot_index;
        eval.modify_index = snapshot_index;
        eval.class_eligibility = fit.iter().map(|(class, fit)| ((*class).to_owned(), *fit)).collect();
        eval
    }

    #[proves("EVL-026")]
    #[test]
    fn a_class_brings_back_what_it_may_help_and_leaves_the_rest() {
        let mut blocked = Blocked::default();
        blocked.block(Arc::new(eval(1, "fit", 10, &[("big", true)])));
        blocked.block(Arc::new(eval(2, "unfit", 10, &[("big", false)])));
        blocked.block(Arc::new(eval(3, "unseen", 10, &[("small", false)])));
        blocked.block(Arc::new(Evaluation { escaped_computed_class: true, ..eval(4, "escaped", 10, &[("big", false)]) }));
        let mut back: Vec<String> = blocked.unblock("big", 11, Monotonic(0)).iter().map(|eval| eval.job_id.id.clone()).collect();
        back.sort();
        assert_eq!(back, ["escaped", "fit", "unseen"]);
        assert_eq!(blocked.len(), 1);
    }

    #[proves("EVL-028")]
    #[test]
    fn room_that_came_up_meanwhile_is_not_missed() {
        let mut blocked = Blocked::default();
        blocked.unblock("big", 20, Monotonic(0));
        assert!(matches!(blocked.block(Arc::new(eval(1, "web", 19, &[("big", true)]))), Waits::RunNow(_)));
        assert!(matches!(blocked.block(Arc::new(eval(2, "web", 20, &[("big", true)]))), Waits::Yes));
        assert!(matches!(blocked.block(Arc::new(eval(3, "other", 19, &[("big", false)]))), Waits::Yes));
    }

    #[proves("EVL-029")]
    #[test]
    fn evaluations_of_system_jobs_wait_for_their_node_and_for_its_class() {
        let system = |number, node| {
            let mut eval = eval(number, "agent", 10, &[("big", true)]);
            eval.kind = JobType::System;
            eval.node_id = Some(NodeId::from_random(node));
            Arc::new(eval)
        };
        let mut blocked = Blocked::default();
        blocked.block(system(1, 1));
        blocked.block(system(2, 2));
        assert_eq!(blocked.len(), 2, "one for each node");
        assert_eq!(blocked.unblock_node(NodeId::from_random(1)).len(), 1);
        assert!(blocked.unblock_node(NodeId::from_random(3)).is_empty());
        assert_eq!(blocked.unblock("big", 11, Monotonic(0)).len(), 1);
    }

    #[proves("EVL-025", "EVL-033")]
    #[test]
    fn a_job_has_one_that_waits_and_none_once_it_is_placed() {
        let mut blocked = Blocked::default();
        blocked.block(Arc::new(eval(1, "web", 10, &[])));
        blocked.block(Arc::new(eval(2, "web", 30, &[])));
        assert!(matches!(blocked.block(Arc::new(eval(3, "web", 20, &[]))), Waits::Superseded));
        let duplicates: Vec<_> = blocked.take_duplicates().iter().map(|eval| eval.id).collect();
        assert_eq!(duplicates, [EvalId::from_random(1), EvalId::from_random(3)]);
        let web = JobId { namespace: "default".into(), id: "web".into() };
        assert!(blocked.untrack_older(&web, 25).is_empty(), "what ended before it began to wait says nothing about it");
        assert_eq!(blocked.untrack(&web).len(), 1);
        assert!(blocked.is_empty() && blocked.by_verdicts.is_empty() && blocked.subjects.is_empty());
    }

    #[test]
    fn one_node_among_fifty_thousand_waiting_costs_what_it_helps() {
        let mut blocked = Blocked::default();
        for number in 0..50_000_u128 {
            let fit = number % 100 == 0;
            blocked.block(Arc::new(eval(number, &format!("job-{number}"), 10, &[("gpu", fit), ("plain", false)])));
        }
        assert_eq!(blocked.by_verdicts.len(), 2, "a look at two groups instead of fifty thousand evaluations");
        assert!(blocked.unblock("plain", 11, Monotonic(0)).is_empty());
        assert_eq!(blocked.unblock("gpu", 12, Monotonic(0)).len(), 500);
        assert_eq!(blocked.unblock("new", 13, Monotonic(0)).len(), 49_500);
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut blocked = Blocked::default();
        blocked.unblock("old", 5, Monotonic(0));
        blocked.unblock("new", 6, Monotonic(0) + REMEMBERED);
        assert_eq!(blocked.freed.keys().collect::<Vec<_>>(), ["new"]);
    }
}
