//! Jobs at a glance: each with its allocations, newest deployment and children, as overviews show them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use drover_api as api;
use drover_model::{Deployment, JobId};
use drover_state::{JobRow, Snapshot};
use http::{Method, StatusCode};

use super::State;
use crate::access::Capability;
use crate::blocking::{At, blocking};
use crate::error::ApiError;
use crate::filter::{Filter, Kind};
use crate::page::{RecentKey, page};
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::view;

/// The metadata key by which a job is known as one that a package brought.
const PACK: &str = "pack.name";

/// `GET` and `PUT /v1/jobs/statuses`.
pub async fn list<S: State>(source: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let failed = |error: ApiError| ApiError::by_text(error.text);
    let mut children = request.query.boolean("include_children", StatusCode::BAD_REQUEST)?.unwrap_or(false);
    let mut wanted: Option<BTreeSet<JobId>> = None;
    if request.method != Method::GET {
        let body: api::JobStatusesRequest = request.json().await?;
        children |= body.include_children;
        let given = body.jobs.filter(|jobs| !jobs.is_empty()).ok_or_else(|| ApiError::bad_request("no jobs in request"))?;
        wanted = Some(given.into_iter().map(|job| JobId { namespace: job.namespace, id: job.id }).collect());
    }
    let options = request.read_options()?;
    let pages = request.page_options()?;
    let filter = Filter::parse(&pages.filter, Kind::Full).map_err(failed)?;
    let scope = request.scope();
    let found = blocking(&*source, &request, &options, |snapshot| {
        let rows = snapshot.jobs().filter(|row| match &wanted {
            Some(wanted) => wanted.contains(row.id()) && scope.rights.namespace(&row.id().namespace, Capability::ReadJob),
            None => scope.includes(&row.id().namespace) && (children || row.job().parent_id.is_empty()),
        });
        let key = |row: &&Arc<JobRow>| RecentKey(Reverse(row.modify_index), row.id().id.clone());
        let condition = |row: &&Arc<JobRow>| filter.matches(&view::job(row));
        let condition = filter.is_some().then_some(&condition as crate::page::Condition<'_, &Arc<JobRow>>);
        let page = page(rows, key, condition, &pages).map_err(failed)?;
        let mut index = 0;
        let items: Vec<api::JobStatusesJob> = page.items.iter().map(|row| status(snapshot, row, &mut index)).collect();
        Ok(At { index, value: (items, page.next_token) })
    })
    .await?;
    let (items, next_token) = found.value;
    Ok(Reply::json(&items)?.meta(&Meta::at(found.index).next(next_token)))
}

/// One job; the newest change of anything that is shown goes into `index`.
fn status(snapshot: &Snapshot, row: &JobRow, index: &mut u64) -> api::JobStatusesJob {
    let job = row.job();
    let is_parent = job.is_periodic() || job.is_parameterized();
    *index = (*index).max(row.modify_index);
    let allocs = snapshot.job_slot(row.id()).filter(|_| !is_parent).map(|slot| {
        let allocs = snapshot.allocs_of_job(slot).map(|alloc| {
            *index = (*index).max(alloc.modify_index);
            let health = view::alloc_stub(snapshot, alloc, false, false).deployment_status;
            api::JobStatusesAlloc {
                id: alloc.id.to_string(),
                group: alloc.task_group().name.clone(),
                client_status: alloc.client_status.text().to_owned(),
                node_id: alloc.node_id.to_string(),
                deployment_status: api::JobStatusesDeployment {
                    canary: health.as_ref().is_some_and(|health| health.canary),
                    healthy: health.and_then(|health| health.healthy),
                },
                job_version: alloc.job.version,
                followup_eval_id: alloc.rare.followup_eval.map(|eval| eval.to_string()).unwrap_or_default(),
                has_paused_task: false,
            }
        });
        allocs.collect()
    });
    let child_statuses = is_parent.then(|| snapshot.children(row.id()).map(|child| child.status.text().to_owned()).collect());
    let latest_deployment = snapshot.latest_deployment(row.id()).map(|deployment| {
        *index = (*index).max(deployment.modify_index);
        latest(deployment)
    });
    api::JobStatusesJob {
        id: job.id.id.clone(),
        namespace: job.id.namespace.clone(),
        name: job.name.clone(),
        r#type: job.kind.text().to_owned(),
        node_pool: job.node_pool.clone(),
        datacenters: Some(job.datacenters.clone()),
        priority: i64::from(job.priority),
        version: job.version,
        submit_time: job.submit_time.0,
        modify_index: row.modify_index,
        allocs,
        group_count_sum: job.task_groups.iter().map(|group| i64::from(group.count)).sum(),
        child_statuses,
        parent_id: job.parent_id.clone(),
        latest_deployment,
        stop: job.stop,
        is_pack: job.meta.contains_key(PACK),
        status: row.status.text().to_owned(),
    }
}

fn latest(deployment: &Deployment) -> api::JobStatusesLatestDeployment {
    let with_canaries = || deployment.groups.values().filter(|group| group.desired_canaries > 0);
    api::JobStatusesLatestDeployment {
        id: deployment.id.to_string(),
        is_active: deployment.status.is_active(),
        job_version: deployment.job_version,
        status: deployment.status.text().to_owned(),
        status_description: deployment.status_description.clone(),
        all_auto_promote: deployment.status.is_active() && with_canaries().all(|group| group.auto_promote),
        requires_promotion: deployment.status.is_active() && with_canaries().any(|group| !group.promoted),
    }
}
