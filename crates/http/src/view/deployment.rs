//! Deployments.

use drover_api as api;
use drover_model::Deployment;

use super::{list, time};

/// A deployment.
pub fn deployment(deployment: &Deployment) -> api::Deployment {
    let groups = deployment.groups.iter().map(|(name, group)| {
        let state = api::DeploymentState {
            placed_canaries: list(group.placed_canaries.iter().map(ToString::to_string).collect()),
            auto_revert: group.auto_revert,
            auto_promote: group.auto_promote,
            progress_deadline: group.progress_deadline_ns,
            require_progress_by: time(group.require_progress_by),
            promoted: group.promoted,
            desired_canaries: i64::from(group.desired_canaries),
            desired_total: i64::from(group.desired_total),
            placed_allocs: i64::from(group.placed),
            healthy_allocs: i64::from(group.healthy),
            unhealthy_allocs: i64::from(group.unhealthy),
        };
        (name.clone(), Some(state))
    });
    api::Deployment {
        id: deployment.id.to_string(),
        namespace: deployment.job_id.namespace.clone(),
        job_id: deployment.job_id.id.clone(),
        job_version: deployment.job_version,
        job_modify_index: deployment.job_modify_index,
        job_spec_modify_index: deployment.job_spec_modify_index,
        job_create_index: deployment.job_create_index,
        is_multiregion: false,
        task_groups: Some(groups.collect()),
        status: deployment.status.text().to_owned(),
        status_description: deployment.status_description.clone(),
        create_index: deployment.create_index,
        modify_index: deployment.modify_index,
        create_time: deployment.create_time.0,
        modify_time: deployment.modify_time.0,
        eval_priority: i64::from(deployment.eval_priority),
        why: None,
    }
}
