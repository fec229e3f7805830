//! Reading allocations.

use std::sync::Arc;

use drover_base::AllocId;
use drover_server::Concern;
use drover_state::{Alloc, Snapshot, Table};
use http::StatusCode;

use super::ordered::Ordered;
use super::{State, one};
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::reply::Reply;
use crate::request::Request;
use crate::{ids, view};

/// `GET /v1/allocations`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let resources = request.query.boolean("resources", status)?.unwrap_or(false);
    let states = request.query.boolean("task_states", status)?.unwrap_or(true);
    let prefix = ids::prefix(request.query.get("prefix"), "alloc")?;
    let scope = request.scope();
    let request = request.about(Concern::Table(Table::Allocs));
    let list = Ordered {
        prefix: &prefix,
        fits: |alloc: &Alloc| scope.includes(&alloc.job.id.namespace),
        full: |snapshot: &Snapshot, alloc: &Alloc| view::alloc(snapshot, alloc),
        stub: |snapshot: &Snapshot, alloc: &Alloc| view::alloc_stub(snapshot, alloc, resources, states),
        kind: Kind::Allocation,
    };
    list.by_creation(&*source, &request).await
}

/// The id in the path.
pub(crate) fn id(request: &Request) -> Result<AllocId, ApiError> {
    ids::full(request.parameter("alloc_id"), "alloc")
}

/// `GET /v1/allocation/{alloc_id}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let request = request.about(Concern::Alloc(id));
    one(&*source, &request, "alloc not found", |snapshot| {
        let found = snapshot.alloc(id);
        let index = found.map_or_else(|| snapshot.table_index(Table::Allocs), |alloc| alloc.modify_index);
        Ok(At { index, value: found.map(|alloc| view::alloc(snapshot, alloc)) })
    })
    .await
}

/// `GET /v1/allocation/{alloc_id}/services`.
pub async fn services<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let request = request.about(Concern::Table(Table::Services));
    one(&*source, &request, "allocation not found", |snapshot| {
        let found = snapshot.alloc(id).map(|_| {
            let services = snapshot.services_of_alloc(id).map(|service| view::service(service));
            services.collect::<Vec<_>>()
        });
        let index = if found.is_some() { snapshot.table_index(Table::Services) } else { 0 };
        Ok(At { index, value: found })
    })
    .await
}
