//! The deployment watcher: turns health and deadlines into evaluations, promotion, failure and reverts.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, WallTime};
use drover_model::{
    ClientStatus, Deployment, DeploymentGroup, DeploymentStatus, DeploymentUpdate, DesiredTransition, EvalStatus, Evaluation, Job, Trigger,
    description,
};
use drover_state::{Alloc, Snapshot};

use crate::reschedule::{Failure, Verdict, verdict};

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
            let left = state.deployment(id).is_some_and(|deployment| leaves_failed(state, deployment));
            return if left { vec![Action::Evaluate(id)] } else { Vec::new() };
        };
        if deployment.status != DeploymentStatus::Running {
            return Vec::new();
        }
        if let Some(action) = failure(state, deployment, now) {
            return vec![action];
        }
        let mut actions = Vec::new();
        let replaceable: Vec<_> = unhealthy(state, deployment)
            .filter(|alloc| alloc.transition.reschedule != Some(true))
            .map(|alloc| (alloc.id, DesiredTransition { reschedule: Some(true), ..DesiredTransition::default() }))
            .collect();
        if !replaceable.is_empty() {
            actions.push(Action::AllowReschedule(id, replaceable));
        }
        if waits_for_promotion(deployment) && promotes_itself(deployment) && canaries_healthy(state, deployment) {
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

    /// The earliest deadline that would fail a deployment.
    pub fn next_deadline(state: &Snapshot) -> Option<WallTime> {
        state
            .deployments()
            .filter(|deployment| deployment.status == DeploymentStatus::Running && at_deadline(deployment).fails)
            .filter_map(|deployment| cutoff(state, deployment))
            .min()
    }

    /// Forgets what was seen; leadership ended.
    pub fn clear(&mut self) {
        self.seen.clear();
    }
}

/// Whether canaries of a running deployment wait to be promoted.
pub fn waits_for_promotion(deployment: &Deployment) -> bool {
    deployment.status == DeploymentStatus::Running && deployment.requires_promotion()
}

/// Whether every group with canaries of a running deployment promotes by itself; groups without have no say (DEP-045).
pub fn promotes_itself(deployment: &Deployment) -> bool {
    deployment.status == DeploymentStatus::Running
        && deployment.groups.values().filter(|group| group.desired_canaries > 0).all(|group| group.auto_promote)
}

/// Whether a group is complete: promoted where it has canaries, and as many healthy ones live as it wants.
pub fn done(state: &Snapshot, deployment: &Deployment, group: &str) -> bool {
    let Some(wanted) = deployment.groups.get(group) else { return true };
    let live = state
        .allocs_of_deployment(deployment.id)
        .filter(|alloc| alloc.group_name() == group && !alloc.terminal() && alloc.is_healthy() == Some(true));
    (wanted.desired_canaries == 0 || wanted.promoted) && live.count() >= wanted.desired_total as usize
}

/// The earliest deadline of the groups that are not complete (DEP-022).
pub fn cutoff(state: &Snapshot, deployment: &Deployment) -> Option<WallTime> {
    let open = deployment.groups.iter().filter(|(_, group)| !group.require_progress_by.is_zero());
    open.filter(|(name, _)| !done(state, deployment, name)).map(|(_, group)| group.require_progress_by).min()
}

/// What the deadline means for a deployment as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtDeadline {
    /// A group lacks healthy allocations.
    pub fails: bool,
    /// A group that does wants to go back.
    pub reverts: bool,
}

/// Whether a deployment would fail if its deadline were now (DEP-020, DEP-021, DEP-026).
pub fn at_deadline(deployment: &Deployment) -> AtDeadline {
    let lacks = |group: &&DeploymentGroup| {
        // Enough healthy canaries: only the promotion is missing.
        let wanted = if group.desired_canaries > 0 && !group.promoted { group.desired_canaries } else { group.desired_total };
        group.healthy < wanted
    };
    let paused = deployment.status == DeploymentStatus::Paused;
    let mut lacking = deployment.groups.values().filter(lacks).filter(|_| !paused).peekable();
    AtDeadline { fails: lacking.peek().is_some(), reverts: lacking.any(|group| group.auto_revert) }
}

/// Unhealthy allocations that nothing has replaced yet.
fn unhealthy<'a>(state: &'a Snapshot, deployment: &Deployment) -> impl Iterator<Item = &'a Arc<Alloc>> {
    state
        .allocs_of_deployment(deployment.id)
        .filter(|alloc| alloc.is_healthy() == Some(false) && !alloc.server_terminal() && alloc.rare.next.is_none())
}

/// Whether a deployment succeeded over an allocation that had failed in it: while it was under way nobody else replaced that one, and
/// no evaluation has looked at the job since.
fn leaves_failed(state: &Snapshot, deployment: &Deployment) -> bool {
    deployment.status == DeploymentStatus::Successful
        && deployment.groups.values().any(|group| group.unhealthy > 0)
        && unhealthy(state, deployment).any(|alloc| alloc.client_status == ClientStatus::Failed)
        && !state.evals_of_job(&deployment.job_id).any(|eval| eval.create_index > deployment.modify_index)
}

fn failure(state: &Snapshot, deployment: &Deployment, now: WallTime) -> Option<Action> {
    let deadline = at_deadline(deployment);
    if deadline.fails && cutoff(state, deployment).is_some_and(|by| by <= now) {
        return Some(fail(state, deployment, description::PROGRESS_DEADLINE, deadline.reverts));
    }
    let hopeless: Vec<_> = unhealthy(state, deployment).filter(|alloc| !may_retry(deployment, alloc, now)).collect();
    if hopeless.is_empty() {
        return None;
    }
    let reverts = hopeless.iter().any(|alloc| deployment.groups.get(alloc.group_name()).is_some_and(|group| group.auto_revert));
    Some(fail(state, deployment, description::FAILED_ALLOCATIONS, reverts))
}

/// Whether an unhealthy allocation may still be replaced within the deployment (DEP-023, DEP-024).
fn may_retry(deployment: &Deployment, alloc: &Alloc, now: WallTime) -> bool {
    let Some(group) = deployment.groups.get(alloc.group_name()) else { return false };
    if group.progress_deadline_ns == 0 {
        return false;
    }
    let policy = alloc.task_group().reschedule_policy.as_ref();
    verdict(alloc, policy, now, Failure::of(alloc)) != Verdict::No
}

fn canaries_healthy(state: &Snapshot, deployment: &Deployment) -> bool {
    deployment.groups.values().filter(|group| group.desired_canaries > 0 && !group.promoted).all(|group| {
        let healthy = group
            .placed_canaries
            .iter()
            .filter(|id| state.alloc(**id).is_some_and(|alloc| !alloc.terminal() && alloc.is_healthy() == Some(true)));
        healthy.count() == group.desired_canaries as usize
    })
}

/// Whether any group of a deployment goes back to the last stable version when the deployment fails.
pub fn wants_revert(deployment: &Deployment) -> bool {
    deployment.groups.values().any(|group| group.auto_revert)
}

/// The failure of a deployment, with the version to go back to if that is wanted and there is one (DEP-031, DEP-032).
pub fn fail(state: &Snapshot, deployment: &Deployment, why: &str, wants_revert: bool) -> Action {
    let (revert, note) = match (wants_revert, state.job(&deployment.job_id)) {
        (true, Some(row)) => match row.stable_versions().find(|entry| entry.job.version != deployment.job_version) {
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
