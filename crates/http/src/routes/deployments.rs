//! Reading deployments.

use std::sync::Arc;

use drover_api as api;
use drover_base::DeploymentId;
use drover_model::Deployment;
use drover_server::{Concern, why};
use drover_state::{Snapshot, Table};

use super::ordered::Ordered;
use super::{State, one, value};
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::reply::Reply;
use crate::request::Request;
use crate::{ids, view};

/// `GET /v1/deployments`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let prefix = ids::prefix(request.query.get("prefix"), "")?;
    let scope = request.scope();
    let request = request.about(Concern::Table(Table::Deployments));
    let full = |_: &Snapshot, deployment: &Deployment| view::deployment(deployment);
    let fits = |deployment: &Deployment| scope.includes(&deployment.job_id.namespace);
    Ordered { prefix: &prefix, fits, full, stub: full, kind: Kind::Full }.by_creation(&*source, &request).await
}

/// The id in the path.
pub(crate) fn id(request: &Request) -> Result<DeploymentId, ApiError> {
    ids::full(request.parameter("deployment_id"), "deployment")
}

/// `GET /v1/deployment/{deployment_id}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let request = request.about(Concern::Deployment(id));
    one(&*source, &request, "deployment not found", |snapshot| {
        let found = snapshot.deployment(id);
        let index = found.map_or_else(|| snapshot.table_index(Table::Deployments), |deployment| deployment.modify_index);
        let value = found
            .map(|deployment| api::Deployment { why: view::why(why::deployment(snapshot, deployment)), ..view::deployment(deployment) });
        Ok(At { index, value })
    })
    .await
}

/// `GET /v1/deployment/allocations/{deployment_id}`.
pub async fn allocations<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let request = request.about(Concern::Table(Table::Allocs));
    value(&*source, &request, |snapshot| {
        let found: Vec<_> = snapshot.allocs_of_deployment(id).collect();
        let index = found.iter().map(|alloc| alloc.modify_index).max();
        let stubs: Vec<api::AllocationListStub> = found.into_iter().map(|alloc| view::alloc_stub(snapshot, alloc, false, true)).collect();
        Ok(At { index: index.unwrap_or_else(|| snapshot.table_index(Table::Allocs)), value: stubs })
    })
    .await
}
