//! Plans: what a scheduler worker wants done, before it is verified against the newest state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use minicbor::{Decode, Encode};

use crate::allocation::ClientStatus;
use crate::deployment::{Deployment, DeploymentStatus};
use crate::evaluation::{DesiredUpdates, Evaluation, PlacementMetrics};
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
    #[cbor(with = "crate::shared::text")]
    pub group: Arc<str>,
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

/// An allocation that makes room for another of a higher priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Preemption {
    /// Which.
    #[n(0)]
    pub id: AllocId,
    /// The placement of the same plan that takes its room.
    #[n(1)]
    pub by: AllocId,
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
    /// Allocations of other jobs that are evicted; only in the shared form ([`crate::plan_form`]).
    #[cbor(skip)]
    pub preemptions: Vec<Preemption>,
    /// Evaluations of the jobs that lose allocations, made in the same entry (SCH-088); only in the shared form.
    #[cbor(skip)]
    pub evals: Vec<Evaluation>,
    /// The deployment that placements and updates of the newest version join, unless `deployment` is given.
    #[n(12)]
    pub joins: Option<DeploymentId>,
}

impl Plan {
    /// A plan without anything to do.
    pub fn new(eval_id: EvalId, job_id: JobId, priority: u8) -> Self {
        Self {
            eval_id,
            job_id,
            priority,
            all_at_once: false,
            placements: Vec::new(),
            stops: Vec::new(),
            in_place: Vec::new(),
            deployment: None,
            deployment_updates: Vec::new(),
            job_version: 0,
            job_create_index: 0,
            annotations: BTreeMap::new(),
            preemptions: Vec::new(),
            evals: Vec::new(),
            joins: None,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.allocs() == 0 && self.deployment.is_none() && self.deployment_updates.is_empty()
    }

    /// How many changes of allocations it holds.
    pub fn allocs(&self) -> usize {
        self.placements.len() + self.stops.len() + self.in_place.len() + self.preemptions.len()
    }

    /// The deployment that its placements join.
    pub fn deployment_to_join(&self) -> Option<DeploymentId> {
        self.deployment.as_ref().map(|deployment| deployment.id).or(self.joins)
    }

    /// Cuts the plan into plans of at most so many changes of allocations, each valid alone when those before it are applied:
    /// the deployment travels in the first, a placement with what it replaces and evicts, and room is freed no later than it is
    /// taken. With `all_at_once` the plan stays whole (EVL-040).
    pub fn chunks_of(mut self, most: usize) -> Vec<Plan> {
        if self.all_at_once || self.allocs() <= most {
            return vec![self];
        }
        let mut evicted: BTreeMap<AllocId, Vec<Preemption>> = BTreeMap::new();
        for preemption in self.preemptions.drain(..) {
            evicted.entry(preemption.by).or_default().push(preemption);
        }
        let replaced: BTreeSet<AllocId> = self.placements.iter().filter_map(|placement| placement.previous).collect();
        let (with_placement, alone): (Vec<Stop>, Vec<Stop>) = self.stops.drain(..).partition(|stop| replaced.contains(&stop.id));
        let mut with_placement: BTreeMap<AllocId, Stop> = with_placement.into_iter().map(|stop| (stop.id, stop)).collect();
        let (placements, in_place) = (std::mem::take(&mut self.placements), std::mem::take(&mut self.in_place));
        let evals = std::mem::take(&mut self.evals);
        let mut chunks = vec![self];
        fn room_for(chunks: &mut Vec<Plan>, count: usize, most: usize) -> &mut Plan {
            let last = chunks.last().expect("there is a first chunk");
            if last.allocs() > 0 && last.allocs() + count > most {
                chunks.push(Plan {
                    job_version: last.job_version,
                    job_create_index: last.job_create_index,
                    joins: last.deployment_to_join(),
                    ..Plan::new(last.eval_id, last.job_id.clone(), last.priority)
                });
            }
            chunks.last_mut().expect("there is a first chunk")
        }
        for stop in alone {
            room_for(&mut chunks, 1, most).stops.push(stop);
        }
        for in_place in in_place {
            room_for(&mut chunks, 1, most).in_place.push(in_place);
        }
        for placement in placements {
            let stop = placement.previous.and_then(|previous| with_placement.remove(&previous));
            let evicted = evicted.remove(&placement.id).unwrap_or_default();
            let chunk = room_for(&mut chunks, 1 + usize::from(stop.is_some()) + evicted.len(), most);
            chunk.stops.extend(stop);
            chunk.preemptions.extend(evicted);
            chunk.placements.push(placement);
        }
        if let Some(last) = chunks.iter_mut().rfind(|chunk| !chunk.preemptions.is_empty()) {
            last.evals = evals;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(number: u128, previous: Option<u128>) -> Placement {
        Placement {
            id: AllocId::from_random(number),
            group: Arc::from("g"),
            index: 0,
            node_id: NodeId::from_random(1),
            resources: Arc::default(),
            previous: previous.map(AllocId::from_random),
            reschedules: Vec::new(),
            canary: false,
            job_version: None,
            metrics: Arc::default(),
        }
    }

    fn stop(number: u128) -> Stop {
        Stop { id: AllocId::from_random(number), description: String::new(), client_status: None, followup_eval: None }
    }

    fn plan() -> Plan {
        let job_id = JobId { namespace: "default".into(), id: "web".into() };
        let mut plan = Plan::new(EvalId::from_random(1), job_id, 50);
        plan.deployment = Some(Deployment { id: DeploymentId::from_random(9), ..Deployment::default() });
        plan.stops = (0..6).map(|number| stop(100 + number)).collect();
        plan.placements = (0..10).map(|number| placement(number, (number < 4).then_some(100 + number))).collect();
        plan.preemptions = vec![Preemption { id: AllocId::from_random(200), by: AllocId::from_random(9) }];
        plan
    }

    #[test]
    fn chunks_are_bounded_hold_everything_once_and_keep_together_what_belongs_together() {
        let whole = plan();
        let chunks = whole.clone().chunks_of(4);
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.allocs() <= 4));
        assert!(chunks[0].deployment.is_some() && chunks[1..].iter().all(|chunk| chunk.deployment.is_none()));
        assert!(chunks.iter().all(|chunk| chunk.deployment_to_join() == Some(DeploymentId::from_random(9))));
        let placed: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.placements).cloned().collect();
        assert_eq!(placed, whole.placements);
        let mut stopped: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.stops).map(|stop| stop.id).collect();
        stopped.sort();
        assert_eq!(stopped, whole.stops.iter().map(|stop| stop.id).collect::<Vec<_>>());
        // Stops without a replacement come first; the others travel with their replacement.
        assert_eq!(chunks[0].stops[0].id, AllocId::from_random(104));
        for chunk in &chunks {
            for placement in &chunk.placements {
                let stopped_here = placement.previous.is_none_or(|previous| chunk.stops.iter().any(|stop| stop.id == previous));
                assert!(stopped_here, "{placement:?}");
            }
            assert!(chunk.preemptions.iter().all(|gone| chunk.placements.iter().any(|placement| placement.id == gone.by)));
        }
    }

    #[test]
    fn a_plan_that_commits_all_or_nothing_is_never_cut() {
        let whole = Plan { all_at_once: true, ..plan() };
        assert_eq!(whole.clone().chunks_of(4), [whole]);
    }
}
