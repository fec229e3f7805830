//! Deployments: status, counters, promotion, verdicts of users.

use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, WallTime};
use drover_model::{Deployment, DeploymentHealth, DeploymentStatus, DeploymentUpdate, Evaluation, Job, description};

use crate::event::Payload;
use crate::rows::{Alloc, DeploymentSlot};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

impl Transaction<'_> {
    pub(crate) fn put_deployment(&mut self, mut deployment: Deployment) {
        let (index, time) = (self.index(), self.state.time);
        deployment.modify_index = index;
        deployment.modify_time = time;
        let id = deployment.id;
        match self.state.deployment(id).cloned() {
            Some(old) => {
                // Status and counters are this store's; a plan only changes what is wanted.
                deployment.status = old.status;
                deployment.status_description.clone_from(&old.status_description);
                deployment.create_index = old.create_index;
                deployment.create_time = old.create_time;
                for (name, group) in &mut deployment.groups {
                    if let Some(counted) = old.groups.get(name) {
                        group.placed = counted.placed;
                        group.healthy = counted.healthy;
                        group.unhealthy = counted.unhealthy;
                        group.placed_canaries.clone_from(&counted.placed_canaries);
                        group.promoted = counted.promoted;
                        group.require_progress_by = counted.require_progress_by;
                    }
                }
            }
            None => {
                deployment.create_index = index;
                deployment.create_time = time;
                let slot: DeploymentSlot = self.slot();
                self.state.deployment_ids.insert(id, slot);
                self.state.deployments_by_job.insert(((&deployment.job_id).into(), slot), ());
            }
        }
        self.write_deployment(deployment);
    }

    fn write_deployment(&mut self, mut deployment: Deployment) {
        deployment.modify_index = self.index();
        deployment.modify_time = self.state.time;
        let Some(slot) = self.state.deployment_ids.get(&deployment.id).copied() else { return };
        self.touch(Table::Deployments);
        self.touched.deployments.insert(deployment.id);
        let job = self.state.job_slot(&deployment.job_id);
        let deployment = Arc::new(deployment);
        self.state.deployments.insert(slot, Arc::clone(&deployment));
        self.told(Payload::Deployment(deployment));
        if let Some(job) = job {
            self.refresh_status(job);
        }
    }

    pub(crate) fn set_deployment_status(&mut self, id: DeploymentId, status: DeploymentStatus, description: &str) {
        let Some(row) = self.state.deployment(id).cloned() else { return };
        let mut deployment = Deployment::clone(&row);
        let time = self.state.time;
        if matches!(status, DeploymentStatus::Paused | DeploymentStatus::Running) && deployment.status.is_active() {
            // Whoever holds it or lets it go on gives it time anew (DEP-026).
            for group in deployment.groups.values_mut().filter(|group| group.progress_deadline_ns > 0) {
                group.require_progress_by = WallTime(time.0.saturating_add(group.progress_deadline_ns));
            }
        }
        deployment.status = status;
        description.clone_into(&mut deployment.status_description);
        let (job_id, version, create_index) = (deployment.job_id.clone(), deployment.job_version, deployment.job_create_index);
        self.write_deployment(deployment);
        if status == DeploymentStatus::Successful
            && let Some(slot) = self.state.job_slot(&job_id)
            && self.state.job_at(slot).is_some_and(|row| row.job().create_index == create_index)
        {
            self.mark_stable(slot, version, true);
        }
    }

    /// Moves the counters of the deployment that an allocation belongs to.
    pub(crate) fn count_deployment(&mut self, old: Option<&Alloc>, new: &Alloc) {
        let Some(id) = new.deployment else { return };
        let Some(row) = self.state.deployment(id).cloned() else { return };
        let joined = old.is_none_or(|old| old.deployment != new.deployment);
        let before = old.filter(|_| !joined).and_then(Alloc::is_healthy);
        let after = new.is_healthy();
        if !joined && before == after {
            return;
        }
        let time = self.state.time;
        let mut deployment = Deployment::clone(&row);
        let Some(group) = deployment.groups.get_mut(new.group_name()) else { return };
        if joined {
            group.placed += 1;
            if new.canary {
                group.placed_canaries.push(new.id);
            }
            if group.require_progress_by.is_zero() && group.progress_deadline_ns > 0 {
                group.require_progress_by = WallTime(time.0.saturating_add(group.progress_deadline_ns));
            }
        }
        match (before, after) {
            (None, Some(true)) => group.healthy += 1,
            (None, Some(false)) => group.unhealthy += 1,
            (Some(true), Some(false)) => {
                group.healthy = group.healthy.saturating_sub(1);
                group.unhealthy += 1;
            }
            _ => {}
        }
        let verdict_moves = after == Some(true) || before == Some(true);
        if before != after
            && verdict_moves
            && group.progress_deadline_ns > 0
            && let Some((health, _)) = new.health
        {
            let by = WallTime(health.time.0.saturating_add(group.progress_deadline_ns));
            group.require_progress_by = group.require_progress_by.max(by);
        }
        self.write_deployment(deployment);
    }

    fn active(&self, id: DeploymentId) -> Result<Deployment, ApplyError> {
        let row = self.state.deployment(id).ok_or_else(|| ApplyError::NotFound("deployment not found".to_owned()))?;
        if row.status.is_active() {
            Ok(Deployment::clone(row))
        } else {
            Err(ApplyError::Refused(format!("can't change terminal deployment: it is {}", row.status)))
        }
    }

    pub(crate) fn deployment_status(
        &mut self,
        update: &DeploymentUpdate,
        eval: Option<Evaluation>,
        revert: Option<Arc<Job>>,
    ) -> Result<(), ApplyError> {
        self.active(update.id)?;
        self.set_deployment_status(update.id, update.status, &update.description);
        if let Some(job) = revert {
            self.store_version(job, None);
        }
        self.upsert_evals(eval.into_iter().map(|eval| self.stamped(eval)).collect())
    }

    pub(crate) fn deployment_promote(
        &mut self,
        id: DeploymentId,
        groups: Option<&[String]>,
        eval: Option<Evaluation>,
    ) -> Result<(), ApplyError> {
        let mut deployment = self.active(id)?;
        let time = self.state.time;
        let selected = |name: &str| groups.is_none_or(|groups| groups.iter().any(|group| group == name));
        let mut canaries: Vec<AllocId> = Vec::new();
        let mut short = Vec::new();
        for (name, group) in &mut deployment.groups {
            if !selected(name) {
                continue;
            }
            let healthy = group
                .placed_canaries
                .iter()
                .filter(|id| self.state.alloc(**id).is_some_and(|alloc| !alloc.terminal() && alloc.is_healthy() == Some(true)));
            let healthy = u32::try_from(healthy.count()).unwrap_or(u32::MAX);
            if healthy < group.desired_canaries && !group.promoted {
                short.push(format!("Task group {name:?} has {healthy}/{} healthy allocations", group.desired_canaries));
                continue;
            }
            group.promoted = true;
            if group.progress_deadline_ns > 0 {
                group.require_progress_by = WallTime(time.0.saturating_add(group.progress_deadline_ns));
            }
            canaries.extend(&group.placed_canaries);
        }
        if !short.is_empty() {
            let count = if short.len() == 1 { "1 error".to_owned() } else { format!("{} errors", short.len()) };
            return Err(ApplyError::Refused(format!("{count} occurred:\n\t* {}\n\n", short.join("\n\t* "))));
        }
        if !deployment.requires_promotion() {
            description::RUNNING.clone_into(&mut deployment.status_description);
        }
        self.write_deployment(deployment);
        let index = self.index();
        for id in canaries {
            if let Some(row) = self.state.alloc(id).cloned()
                && row.canary
            {
                let mut alloc = Alloc::clone(&row);
                alloc.canary = false;
                alloc.alloc_modify_index = index;
                self.write_alloc(alloc);
            }
        }
        self.upsert_evals(eval.into_iter().collect())
    }

    pub(crate) fn deployment_health(
        &mut self,
        id: DeploymentId,
        healthy: &[AllocId],
        unhealthy: &[AllocId],
        update: Option<DeploymentUpdate>,
        eval: Option<Evaluation>,
    ) -> Result<(), ApplyError> {
        self.active(id)?;
        let (index, time) = (self.index(), self.state.time);
        let verdicts = healthy.iter().map(|id| (id, true)).chain(unhealthy.iter().map(|id| (id, false)));
        for (alloc_id, good) in verdicts {
            let Some(row) = self.state.alloc(*alloc_id).cloned().filter(|alloc| alloc.deployment == Some(id)) else {
                return Err(ApplyError::Refused(format!("alloc {alloc_id} is not part of deployment {id}")));
            };
            if row.is_healthy() == Some(good) || row.is_healthy() == Some(false) {
                continue;
            }
            let mut alloc = Alloc::clone(&row);
            alloc.health = Some((DeploymentHealth { healthy: good, time }, index));
            alloc.alloc_modify_index = index;
            self.write_alloc(alloc);
        }
        if let Some(update) = update {
            self.set_deployment_status(update.id, update.status, &update.description);
        }
        self.upsert_evals(eval.into_iter().collect())
    }

    pub(crate) fn remove_deployment(&mut self, id: DeploymentId) {
        if let Some(slot) = self.state.deployment_ids.remove(&id)
            && let Some(row) = self.state.deployments.remove(&slot)
        {
            self.touch(Table::Deployments);
            self.touched.deployments.insert(id);
            self.state.deployments_by_job.remove(&((&row.job_id).into(), slot));
        }
    }
}
