//! Desired against actual: what each group of a job should get, lose or change.
//!
//! Pure over the job, its allocations and its deployments. Nothing is placed here: the result says how many placements
//! are wanted, under which names and what they replace, and `crate::process` has them placed. Every step is a pass over
//! a group's allocations or a sort of them, so a job of n allocations costs at most n log n.
//!
//! `sort` tells apart what happens to each allocation, `group` takes the steps for one group, `reconnect` chooses
//! between an allocation that came back and its replacements, `names` gives numbers, `deployment` starts and ends
//! deployments. System jobs have rules of their own in `crate::system`.

mod contact;
mod deployment;
mod group;
mod names;
mod reconnect;
mod sort;

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{DeploymentId, EvalId, WallTime};
use drover_model::{ClientStatus, Contact, Deployment, DeploymentUpdate, DesiredUpdates, Job, NodeStatus, RescheduleEvent};
use drover_state::{Alloc, NodeSlot, Snapshot};

pub use contact::DisconnectRules;
pub(crate) use contact::must_reconnect;
pub(crate) use deployment::strategy;
pub use deployment::{Deployments, cancelled, newest_deployment};
pub use names::Names;

/// Why an allocation is stopped, as the API shows it.
pub mod reason {
    /// Fewer are wanted, or the job is stopped.
    pub const NOT_NEEDED_ANYMORE: &str = "alloc not needed due to job update";
    /// Moves away.
    pub const MIGRATING: &str = "alloc is being migrated";
    /// Replaced by a new version.
    pub const UPDATING: &str = "alloc is being updated due to job update";
    /// Its node is gone.
    pub const LOST: &str = "alloc is lost since its node is down";
    /// Replaced after a failure.
    pub const RESCHEDULED: &str = "alloc was rescheduled because it failed";
    /// The allocation it replaced came back and is kept.
    pub const RECONNECTED: &str = "alloc not needed due to disconnected client reconnect";
    /// Runs on a node that the job is not for any more, or that takes no new work while the job changed.
    pub const NODE_TAINTED: &str = "alloc not needed as node is tainted";
}

/// A stop.
#[derive(Clone, Debug)]
pub struct StopRequest {
    /// Which.
    pub alloc: Arc<Alloc>,
    /// Why.
    pub description: &'static str,
    /// For allocations whose node cannot report.
    pub client_status: Option<ClientStatus>,
}

impl StopRequest {
    /// A stop of an allocation whose node will carry it out.
    pub fn of(alloc: &Arc<Alloc>, description: &'static str) -> Self {
        Self { alloc: Arc::clone(alloc), description, client_status: None }
    }

    /// The end of an allocation whose node cannot be asked any more.
    pub fn lost(alloc: &Arc<Alloc>) -> Self {
        Self { alloc: Arc::clone(alloc), description: reason::LOST, client_status: Some(ClientStatus::Lost) }
    }
}

/// A placement that is wanted.
#[derive(Clone, Debug, Default)]
pub struct PlaceRequest {
    /// The number within the group.
    pub index: u32,
    /// What it replaces.
    pub previous: Option<Arc<Alloc>>,
    /// Whether the link to what it replaces is kept.
    pub link: bool,
    /// The attempts to remember when a failed one is replaced.
    pub reschedules: Vec<RescheduleEvent>,
    /// As a canary.
    pub canary: bool,
    /// Another version than the newest.
    pub job_version: Option<u64>,
    /// To be stopped only if the placement succeeds; its room is free for it.
    pub stop: Option<(Arc<Alloc>, &'static str)>,
    /// On this node or not at all; for system jobs.
    pub node: Option<NodeSlot>,
}

/// An allocation that stays and is written anew.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    /// Which.
    pub alloc: Arc<Alloc>,
    /// Whether it moves to the newest version.
    pub to_newest: bool,
    /// Whether the servers lost sight of it or see it again.
    pub contact: Contact,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitFor {
    /// The delay before a failed one is replaced.
    Reschedule,
    /// The time after which a disconnected one is given up.
    DisconnectTimeout,
    /// The time after which a node that is out of contact has stopped a lost one.
    ClientStop,
}

/// Something to look at again at a time.
#[derive(Clone, Debug)]
pub struct Later {
    /// Which.
    pub alloc: Arc<Alloc>,
    /// When.
    pub at: WallTime,
    /// Why.
    pub wait: WaitFor,
}

/// What a group should get.
#[derive(Clone, Debug, Default)]
pub struct GroupResult {
    /// Replacements of allocations that stop for them.
    pub replace: Vec<PlaceRequest>,
    /// Further placements.
    pub place: Vec<PlaceRequest>,
    /// Stops.
    pub stop: Vec<StopRequest>,
    /// Updates without restart.
    pub update: Vec<UpdateRequest>,
    /// What to look at again.
    pub later: Vec<Later>,
    /// Follow-ups that lost their cause.
    pub cancel: Vec<EvalId>,
    /// Changes that wait for a promotion and count as queued; of system jobs only.
    pub held: u32,
    /// Counts for people.
    pub desired: DesiredUpdates,
}

/// What a job should get.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// By group.
    pub groups: BTreeMap<String, GroupResult>,
    /// A new deployment, or new totals for the running one.
    pub deployment: Option<Deployment>,
    /// The running deployment, which placements join.
    pub joins: Option<DeploymentId>,
    /// Status changes of deployments.
    pub deployment_updates: Vec<DeploymentUpdate>,
}

/// Says whether an allocation may be changed to the newest version where it runs (REC-049).
pub type Fits<'a> = dyn FnMut(&Alloc) -> bool + 'a;

/// What reconciling looks at.
pub struct Reconciler<'a> {
    /// The state.
    pub state: &'a Snapshot,
    /// The job, or `None` if it was purged.
    pub job: Option<&'a Arc<Job>>,
    /// Now.
    pub now: WallTime,
    /// The evaluation at hand.
    pub eval_id: EvalId,
    /// The id for a new deployment.
    pub new_deployment: DeploymentId,
    /// The priority of the evaluation.
    pub priority: u8,
}

impl Reconciler<'_> {
    /// What the job should get, given its allocations of all versions.
    pub fn run(&self, allocs: Vec<Arc<Alloc>>, fits: &mut Fits<'_>) -> Reconciled {
        let mut by_group: BTreeMap<String, Vec<Arc<Alloc>>> = BTreeMap::new();
        for alloc in allocs {
            match by_group.get_mut(alloc.group_name()) {
                Some(group) => group.push(alloc),
                None => {
                    by_group.insert(alloc.group_name().to_owned(), vec![alloc]);
                }
            }
        }
        let Some(job) = self.job.filter(|job| !job.stop) else { return self.stop_everything(by_group) };
        let mut result = Reconciled::default();
        let mut deployments = Deployments::of(self, job);
        for group in job.task_groups.iter() {
            let own = by_group.remove(&group.name).unwrap_or_default();
            let outcome = self.group(job, group, own, &mut deployments, fits);
            result.groups.insert(group.name.clone(), outcome);
        }
        for (name, allocs) in by_group {
            result.groups.insert(name, self.stop_group(allocs));
        }
        deployments.settle(&mut result);
        result
    }

    fn stop_everything(&self, by_group: BTreeMap<String, Vec<Arc<Alloc>>>) -> Reconciled {
        let mut result = Reconciled::default();
        if let Some(job) = self.job {
            for deployment in self.state.deployments_of_job(&job.id).filter(|deployment| deployment.status.is_active()) {
                result.deployment_updates.push(cancelled(deployment, drover_model::description::STOPPED_JOB));
            }
            result.groups = job.task_groups.iter().map(|group| (group.name.clone(), GroupResult::default())).collect();
        }
        for (name, allocs) in by_group {
            result.groups.insert(name, self.stop_group(allocs));
        }
        result
    }

    /// Stops all of a group that the job has no more (REC-006, REC-007).
    pub(crate) fn stop_group(&self, allocs: Vec<Arc<Alloc>>) -> GroupResult {
        let mut result = GroupResult::default();
        for alloc in &allocs {
            let gone = self.node_gone(alloc);
            if alloc.terminal() {
                if alloc.server_terminal() && !alloc.client_terminal() && gone {
                    result.stop.push(StopRequest::lost(alloc));
                }
                continue;
            }
            result.desired.stop += 1;
            result.stop.push(if gone { StopRequest::lost(alloc) } else { StopRequest::of(alloc, reason::NOT_NEEDED_ANYMORE) });
        }
        result
    }

    pub(crate) fn node_status(&self, alloc: &Alloc) -> Option<NodeStatus> {
        self.state.node_at(alloc.node_slot).map(|row| row.status)
    }

    /// Whether the allocation's node is down or not there any more (REC-017, REC-018).
    pub(crate) fn node_gone(&self, alloc: &Alloc) -> bool {
        self.node_status(alloc).is_none_or(|status| status == NodeStatus::Down)
    }
}

/// Whether an allocation runs the newest version.
pub(crate) fn current(job: &Job, alloc: &Alloc) -> bool {
    alloc.job.version == job.version && alloc.job.create_index == job.create_index
}

pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
