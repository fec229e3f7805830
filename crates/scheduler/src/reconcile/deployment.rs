//! Deployments as reconciling sees them: which one is current, when one starts, and when it has succeeded.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::WallTime;
use drover_model::{Deployment, DeploymentGroup, DeploymentStatus, DeploymentUpdate, Job, JobType, TaskGroup, UpdateStrategy, description};
use drover_state::Snapshot;

use super::{Reconciled, Reconciler};

/// The deployments of a job during one evaluation.
pub struct Deployments<'a> {
    state: &'a Snapshot,
    job: &'a Arc<Job>,
    /// The deployment of the newest version, unless it succeeded or was cancelled.
    pub(crate) current: Option<Arc<Deployment>>,
    /// New totals for it.
    pub(crate) changed: Option<Deployment>,
    /// A deployment that starts now.
    pub(crate) new: Option<Deployment>,
    /// What a new one looks like before it has groups.
    blank: Deployment,
    updates: Vec<DeploymentUpdate>,
    /// Whether nothing is left to do in any group.
    pub(crate) done: bool,
}

impl<'a> Deployments<'a> {
    /// Finds the current deployment; older active ones are cancelled (DEP-007).
    pub fn of(context: &Reconciler<'a>, job: &'a Arc<Job>) -> Self {
        let mut current = None;
        let mut updates = Vec::new();
        for deployment in context.state.deployments_of_job(&job.id) {
            let same = deployment.job_create_index == job.create_index && deployment.job_version == job.version;
            if same {
                let over = matches!(deployment.status, DeploymentStatus::Successful | DeploymentStatus::Cancelled);
                current = (!over).then(|| Arc::clone(deployment));
            } else if deployment.status.is_active() {
                updates.push(cancelled(deployment, description::NEWER_JOB));
            }
        }
        let blank = Deployment {
            id: context.new_deployment,
            job_id: job.id.clone(),
            job_version: job.version,
            job_modify_index: job.job_modify_index,
            job_spec_modify_index: job.job_modify_index,
            job_create_index: job.create_index,
            groups: BTreeMap::new(),
            status: DeploymentStatus::Running,
            status_description: description::RUNNING.to_owned(),
            eval_priority: context.priority,
            create_index: 0,
            modify_index: 0,
            create_time: context.now,
            modify_time: context.now,
        };
        Self { state: context.state, job, current, changed: None, new: None, blank, updates, done: true }
    }

    /// The current deployment's view of a group.
    pub(crate) fn group(&self, name: &str) -> Option<&DeploymentGroup> {
        self.current.as_ref()?.groups.get(name)
    }

    /// Whether the current deployment has this status.
    pub(crate) fn is(&self, status: DeploymentStatus) -> bool {
        self.current.as_ref().is_some_and(|deployment| deployment.status == status)
    }

    /// Whether the current deployment waits for the user, or for its turn among regions.
    pub(crate) fn paused(&self) -> bool {
        self.is(DeploymentStatus::Paused) || self.is(DeploymentStatus::Pending)
    }

    /// Enters a group into the deployment that starts now.
    pub(crate) fn start(&mut self, group: &TaskGroup, update: &UpdateStrategy, desired_total: u32, desired_canaries: u32) {
        let entry = DeploymentGroup {
            auto_revert: update.auto_revert,
            auto_promote: update.auto_promote,
            promoted: false,
            placed_canaries: Vec::new(),
            desired_canaries,
            desired_total,
            placed: 0,
            healthy: 0,
            unhealthy: 0,
            progress_deadline_ns: i64::try_from(update.progress_deadline.as_nanos()).unwrap_or(i64::MAX),
            require_progress_by: WallTime::ZERO,
        };
        self.new.get_or_insert_with(|| self.blank.clone()).groups.insert(group.name.clone(), entry);
    }

    /// Whether every group of the current deployment is healthy and promoted (DEP-029).
    fn healthy(deployment: &Deployment) -> bool {
        !deployment.requires_promotion()
            && deployment.groups.values().all(|group| group.healthy >= group.desired_total.max(group.desired_canaries))
    }

    /// The version that others than canaries run while canaries are not promoted: that of the newest deployment without
    /// any to promote, else the newest stable one; not below `least` (SCH-096).
    pub(crate) fn version_before(&self, group: &str, least: u64) -> Option<u64> {
        let settled = |deployment: &&Arc<Deployment>| {
            deployment.job_create_index == self.job.create_index
                && (least..self.job.version).contains(&deployment.job_version)
                && deployment.groups.get(group).is_some_and(|state| state.promoted || state.desired_canaries == 0)
        };
        let deployed = self.state.deployments_of_job(&self.job.id).filter(settled).map(|deployment| deployment.job_version).max();
        let stable = || {
            let row = self.state.job(&self.job.id)?;
            row.stable_versions().find(|entry| entry.job.version >= least).map(|entry| entry.job.version)
        };
        let known = || self.state.job(&self.job.id)?.version(least).map(|_| least);
        deployed.or_else(stable).or_else(known).filter(|version| *version != self.job.version)
    }

    /// What the plan says about deployments.
    pub(crate) fn settle(mut self, result: &mut Reconciled) {
        for new in self.new.iter_mut().chain(&mut self.changed).filter(|deployment| deployment.requires_promotion()) {
            let text = if new.has_auto_promote() { description::AUTO_PROMOTION } else { description::NEEDS_PROMOTION };
            text.clone_into(&mut new.status_description);
        }
        if let Some(current) = &self.current {
            let judged = self.changed.as_ref().unwrap_or(current);
            // A paused one makes no progress, so it does not succeed either.
            if self.done && current.status == DeploymentStatus::Running && Self::healthy(judged) {
                self.updates.push(DeploymentUpdate {
                    id: current.id,
                    status: DeploymentStatus::Successful,
                    description: description::SUCCESSFUL.to_owned(),
                });
            }
            result.joins = current.status.is_active().then_some(current.id);
        }
        result.deployment = self.new.or(self.changed);
        result.deployment_updates = self.updates;
    }
}

/// The strategy by which a group is updated in steps, if it is.
pub(crate) fn strategy<'a>(job: &Job, group: &'a TaskGroup) -> Option<&'a UpdateStrategy> {
    let deploys = matches!(job.kind, JobType::Service | JobType::System);
    group.update.as_ref().filter(|update| deploys && update.rolling())
}

/// The end of a deployment that nobody waits for any more.
pub fn cancelled(deployment: &Deployment, why: &str) -> DeploymentUpdate {
    DeploymentUpdate { id: deployment.id, status: DeploymentStatus::Cancelled, description: why.to_owned() }
}

/// The newest deployment of a job, which its evaluations name.
pub fn newest_deployment(state: &Snapshot, job: &drover_model::JobId) -> Option<drover_base::DeploymentId> {
    state.latest_deployment(job).map(|deployment| deployment.id)
}
