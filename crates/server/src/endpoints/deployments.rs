//! Deployments: promote, fail, pause, verdicts.

use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId};
use drover_model::command::Change;
use drover_model::{Deployment, DeploymentStatus, DeploymentUpdate, description};
use drover_scheduler::deployments::{Action, fail, wants_revert};
use drover_state::Snapshot;

use crate::error::EndpointError;
use crate::server::Server;

/// The answer to a change of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdatedDeployment {
    /// The evaluation that acts on it.
    pub eval_id: Option<EvalId>,
    /// The version that was registered again.
    pub reverted_version: Option<u64>,
    /// The log entry.
    pub index: u64,
}

impl Server {
    fn active<'a>(&self, state: &'a Snapshot, id: DeploymentId, verb: &str) -> Result<&'a Arc<Deployment>, EndpointError> {
        let deployment = state.deployment(id).ok_or_else(|| EndpointError::internal("deployment not found"))?;
        if deployment.status.is_active() {
            Ok(deployment)
        } else {
            Err(EndpointError::internal(format!("can't {verb} terminal deployment")))
        }
    }

    /// Promotes the canaries of all groups, or of these.
    ///
    /// # Errors
    /// When the deployment is over or canaries are not healthy.
    pub async fn promote_deployment(&self, id: DeploymentId, groups: Option<Vec<String>>) -> Result<UpdatedDeployment, EndpointError> {
        self.active(&self.snapshot(), id, "promote")?;
        let eval = self.deployment_eval(id);
        let eval_id = eval.as_ref().map(|eval| eval.id);
        let index = self.propose(Change::DeploymentPromote { id, groups, eval }).await?;
        Ok(UpdatedDeployment { eval_id, reverted_version: None, index })
    }

    /// Fails a deployment; groups with auto-revert go back to the last stable version.
    ///
    /// # Errors
    /// When the deployment is over.
    pub async fn fail_deployment(&self, id: DeploymentId) -> Result<UpdatedDeployment, EndpointError> {
        let state = self.snapshot();
        let deployment = self.active(&state, id, "fail")?;
        let Action::Fail { update, revert } = fail(&state, deployment, description::FAILED_BY_USER, wants_revert(deployment)) else {
            return Err(EndpointError::internal("a deployment that fails has a failure"));
        };
        let eval = self.deployment_eval(id);
        let eval_id = eval.as_ref().map(|eval| eval.id);
        let reverted_version = revert.as_ref().map(|job| job.version);
        let revert = revert.map(|job| self.again(&job));
        let index = self.propose(Change::DeploymentStatus { update, eval, revert }).await?;
        Ok(UpdatedDeployment { eval_id, reverted_version, index })
    }

    /// Pauses or resumes a deployment.
    ///
    /// # Errors
    /// When the deployment is over.
    pub async fn pause_deployment(&self, id: DeploymentId, pause: bool) -> Result<UpdatedDeployment, EndpointError> {
        let state = self.snapshot();
        let deployment = self.active(&state, id, if pause { "pause" } else { "resume" })?;
        let (status, text) = if pause {
            (DeploymentStatus::Paused, description::PAUSED)
        } else if deployment.requires_promotion() {
            (DeploymentStatus::Running, description::NEEDS_PROMOTION)
        } else {
            (DeploymentStatus::Running, description::RUNNING)
        };
        let eval = (!pause).then(|| self.deployment_eval(id)).flatten();
        let eval_id = eval.as_ref().map(|eval| eval.id);
        let update = DeploymentUpdate { id, status, description: text.to_owned() };
        let index = self.propose(Change::DeploymentStatus { update, eval, revert: None }).await?;
        Ok(UpdatedDeployment { eval_id, reverted_version: None, index })
    }

    /// Whether a deployment may be unblocked: it never waits for other regions in a single one.
    ///
    /// # Errors
    /// Always: with the reason.
    pub fn unblock_deployment(&self, id: DeploymentId) -> Result<UpdatedDeployment, EndpointError> {
        self.active(&self.snapshot(), id, "unblock")?;
        Err(EndpointError::internal("can't unblock deployment: it is not part of a job in several regions"))
    }

    /// The user's verdict on allocations of a deployment.
    ///
    /// # Errors
    /// When nothing is named, the deployment is over, or an allocation is not part of it.
    pub async fn set_alloc_health(
        &self,
        id: DeploymentId,
        healthy: Vec<AllocId>,
        unhealthy: Vec<AllocId>,
    ) -> Result<UpdatedDeployment, EndpointError> {
        if healthy.is_empty() && unhealthy.is_empty() {
            return Err(EndpointError::internal("must specify at least one healthy/unhealthy allocation ID"));
        }
        let state = self.snapshot();
        let deployment = self.active(&state, id, "set health of")?;
        let eval = self.deployment_eval(id);
        let eval_id = eval.as_ref().map(|eval| eval.id);
        // One that is said to be unhealthy fails the deployment at once (DEP-034).
        let failing = || fail(&state, deployment, description::FAILED_ALLOCATIONS, wants_revert(deployment));
        let Some(Action::Fail { update, revert }) = (!unhealthy.is_empty()).then(failing) else {
            let index = self.propose(Change::DeploymentHealth { id, healthy, unhealthy, update: None, eval }).await?;
            return Ok(UpdatedDeployment { eval_id, reverted_version: None, index });
        };
        let Some(job) = revert else {
            let index = self.propose(Change::DeploymentHealth { id, healthy, unhealthy, update: Some(update), eval }).await?;
            return Ok(UpdatedDeployment { eval_id, reverted_version: None, index });
        };
        self.propose(Change::DeploymentHealth { id, healthy, unhealthy, update: None, eval: None }).await?;
        let reverted_version = Some(job.version);
        let revert = Some(self.again(&job));
        let index = self.propose(Change::DeploymentStatus { update, eval, revert }).await?;
        Ok(UpdatedDeployment { eval_id, reverted_version, index })
    }
}
