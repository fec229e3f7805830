//! Reading nodes.

use std::sync::Arc;

use drover_api as api;
use drover_base::NodeId;
use drover_server::{Concern, why};
use drover_state::{NodeRow, Snapshot, Table};
use http::StatusCode;

use super::ordered::Ordered;
use super::{State, one, value};
use crate::access::Capability;
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::reply::Reply;
use crate::request::Request;
use crate::{ids, view};

/// `GET /v1/nodes`.
pub async fn list<S: State>(source: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let field = |name: &str| {
        let wrong = |error: ApiError| ApiError::bad_request(format!("Failed to parse node list fields: {}", error.text));
        request.query.boolean(name, StatusCode::BAD_REQUEST).map_err(wrong)
    };
    let resources = field("resources")?.unwrap_or(false);
    let os = field("os")?.unwrap_or(false);
    let prefix = ids::prefix(request.query.get("prefix"), "node")?;
    // The order of this list cannot be turned round.
    request.query.remove("reverse");
    let request = request.about(Concern::Table(Table::Nodes));
    let list = Ordered {
        prefix: &prefix,
        fits: |_: &NodeRow| true,
        full: |_: &Snapshot, row: &NodeRow| view::node(row),
        stub: |_: &Snapshot, row: &NodeRow| view::node_stub(row, resources, os),
        kind: Kind::Node,
    };
    list.by_id(&*source, &request).await
}

/// The id in the path.
pub(crate) fn id(request: &Request) -> Result<NodeId, ApiError> {
    ids::full(request.parameter("node_id"), "node")
}

/// `GET /v1/node/{node_id}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let id = id(&request)?;
    let request = request.about(Concern::Node(id));
    one(&*source, &request, "node not found", |snapshot| {
        let found = snapshot.node(id);
        let index = found.map_or_else(|| snapshot.table_index(Table::Nodes), |row| row.modify_index);
        let value = found.map(|row| api::Node { why: view::why(why::node(snapshot, row)), ..view::node(row) });
        Ok(At { index, value })
    })
    .await
}

/// `GET /v1/node/{node_id}/allocations`.
pub async fn allocations<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let rights = Arc::clone(&request.caller().rights);
    // What can be no id of a node has no allocations.
    let Ok(id) = id(&request) else {
        return value(&*source, &request, |snapshot| {
            Ok(At { index: snapshot.table_index(Table::Allocs), value: Vec::<api::Allocation>::new() })
        })
        .await;
    };
    let request = request.about(Concern::Node(id));
    value(&*source, &request, |snapshot| {
        let found: Vec<_> = snapshot.node_slot(id).into_iter().flat_map(|slot| snapshot.allocs_of_node(slot)).collect();
        let index = found.iter().map(|alloc| alloc.modify_index).max();
        let found = found.into_iter().filter(|alloc| rights.namespace(&alloc.job.id.namespace, Capability::ReadJob));
        let allocs: Vec<api::Allocation> = found.map(|alloc| view::alloc(snapshot, alloc)).collect();
        Ok(At { index: index.unwrap_or_else(|| snapshot.table_index(Table::Allocs)), value: allocs })
    })
    .await
}
