//! The deployment watcher: turns health and deadlines into evaluations, promotion, failure and reverts.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, WallTime};
use drover_model::{Deployment, DeploymentStatus, DeploymentUpdate, DesiredTransition, EvalStatus, Evaluation, Job, Trigger, description};
use drover_state::{Alloc, Snapshot};

/// What the watcher wants proposed.
#[derive(Clone, Debug)]
pub enum Action {
    /// Run the job's scheduler: health changed.
    Evaluate(DeploymentId),
    /// Let these failed allocations be replaced, and run the scheduler.
    AllowReschedule(DeploymentId, Vec<(AllocId, DesiredTransition)>),
    /// All canaries are healthy and may take over.
    Promote(DeploymentId),
    /// The deployment failed; with the version to go back to, if any.
    Fail {
        /// The change of status.
        update: DeploymentUpdate,
        /// The version to register again.
        revert: Option<Arc<Job>>,
    },
}

/// What was seen of a deployment when it last led to an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    healthy: u32,
    unhealthy: u32,
    promoted: u32,
}

/// The watcher of the leader.
#[derive(Default)]
pub struct Watcher {
    seen: BTreeMap<DeploymentId, Seen>,
}

impl Watcher {
    /// Looks at a deployment after it or its allocations changed, or at its deadline.
    pub fn look(&mut self, state: &Snapshot, id: DeploymentId, now: WallTime) -> Vec<Action> {
        let Some(deployment) = state.deployment(id).filter(|deployment| deployment.status.is_active()) else {
            self.seen.remove(&id);
            return Vec::new();
        };
        if deployment.status != DeploymentStatus::Running {
            return Vec::new();
        }
        if let Some(why) = failure(state, deployment, now) {
            return vec![fail(state, deployment, why)];
        }
        let mut actions = Vec::new();
        let replaceable: Vec<_> = state
            .allocs_of_deployment(id)
            .filter(|alloc| alloc.is_healthy() == Some(false) && !alloc.server_terminal() && alloc.next.is_none())
            .filter(|alloc| alloc.transition.reschedule != Some(true))
            .map(|alloc| (alloc.id, DesiredTransition { reschedule: Some(true), ..DesiredTransition::default() }))
            .collect();
        if !replaceable.is_empty() {
            actions.push(Action::AllowReschedule(id, replaceable));
        }
        if deployment.requires_promotion() && deployment.has_auto_promote() && canaries_healthy(state, deployment) {
            actions.push(Action::Promote(id));
            return actions;
        }
        let seen = Seen {
            healthy: deployment.groups.values().map(|group| group.healthy).sum(),
            unhealthy: deployment.groups.values().map(|group| group.unhealthy).sum(),
            promoted: deployment.groups.values().map(|group| u32::from(group.promoted)).sum(),
        };
        if self.seen.insert(id, seen).unwrap_or_default() != seen && actions.is_empty() {
            actions.push(Action::Evaluate(id));
        }
        actions
    }

    /// The earliest deadline of all deployments.
    pub fn next_deadline(state: &Snapshot) -> Option<WallTime> {
        state
            .deployments()
            .filter(|deployment| deployment.status == DeploymentStatus::Running)
            .filter_map(|deployment| deadline(deployment))
            .min()
    }

    /// Forgets what was seen; leadership ended.
    pub fn clear(&mut self) {
        self.seen.clear();
    }
}

/// The earliest deadline of the groups that are not complete (DEP-022).
fn deadline(deployment: &Deployment) -> Option<WallTime> {
    deployment
        .groups
        .values()
        .filter(|group| !complete(group) && !group.require_progress_by.is_zero())
        .map(|group| group.require_progress_by)
        .min()
}

fn complete(group: &drover_model::DeploymentGroup) -> bool {
    if group.desired_canaries > 0 && !group.promoted {
        // Enough healthy canaries: only the promotion is missing (DEP-021).
        return group.healthy >= group.desired_canaries;
    }
    group.healthy >= group.desired_total
}

fn failure(state: &Snapshot, deployment: &Deployment, now: WallTime) -> Option<&'static str> {
    if deadline(deployment).is_some_and(|by| by <= now) {
        return Some(description::PROGRESS_DEADLINE);
    }
    let hopeless = state.allocs_of_deployment(deployment.id).any(|alloc| {
        alloc.is_healthy() == Some(false) && !alloc.server_terminal() && alloc.next.is_none() && !may_retry(deployment, alloc, now)
    });
    hopeless.then_some(description::FAILED_ALLOCATIONS)
}

/// Whether an unhealthy allocation may still be replaced within the deployment (DEP-023, DEP-024).
fn may_retry(deployment: &Deployment, alloc: &Alloc, now: WallTime) -> bool {
    let Some(group) = deployment.groups.get(alloc.group_name()) else { return false };
    if group.progress_deadline_ns == 0 {
        return false;
    }
    let policy = alloc.task_group().reschedule_policy.as_ref();
    alloc.transition.reschedule == Some(true)
        || crate::reschedule::verdict(alloc, policy, now, crate::reschedule::Failure::of(alloc)) != crate::reschedule::Verdict::No
}

fn canaries_healthy(state: &Snapshot, deployment: &Deployment) -> bool {
    deployment.groups.values().filter(|group| group.desired_canaries > 0 && !group.promoted).all(|group| {
        let healthy = group
            .placed_canaries
            .iter()
            .filter(|id| state.alloc(**id).is_some_and(|alloc| !alloc.terminal() && alloc.is_healthy() == Some(true)));
        healthy.count() >= group.desired_canaries as usize
    })
}

/// The failure of a deployment, with the version to go back to if a group asks for that (DEP-031, DEP-032).
pub fn fail(state: &Snapshot, deployment: &Deployment, why: &str) -> Action {
    let wants_revert = deployment.groups.values().any(|group| group.auto_revert);
    let (revert, note) = match (wants_revert, state.job(&deployment.job_id)) {
        (true, Some(row)) => match row.versions.iter().find(|entry| entry.stable && entry.job.version != deployment.job_version) {
            Some(entry) if same_spec(&entry.job, row.job()) => (
                None,
                format!("{why} - not rolling back to stable job version {} as current job has same specification", entry.job.version),
            ),
            Some(entry) => (Some(Arc::clone(&entry.job)), format!("{why} - rolling back to job version {}", entry.job.version)),
            None => (None, format!("{why} - no stable job version to auto revert to")),
        },
        _ => (None, why.to_owned()),
    };
    let update = DeploymentUpdate { id: deployment.id, status: DeploymentStatus::Failed, description: note };
    Action::Fail { update, revert }
}

fn same_spec(a: &Job, b: &Job) -> bool {
    let plain = |job: &Job| Job { version: 0, submit_time: WallTime::ZERO, create_index: 0, job_modify_index: 0, ..job.clone() };
    plain(a) == plain(b)
}

/// An evaluation on behalf of a deployment.
pub fn evaluation(deployment: &Deployment, kind: drover_model::JobType, id: drover_base::EvalId, now: WallTime) -> Evaluation {
    let mut eval = Evaluation::new(id, deployment.job_id.clone(), kind, deployment.eval_priority, Trigger::DeploymentWatcher, now);
    eval.status = EvalStatus::Pending;
    eval.deployment_id = Some(deployment.id);
    eval
}
