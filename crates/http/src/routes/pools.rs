//! Node pools, and the jobs and nodes in them.

use std::sync::Arc;

use drover_api as api;
use drover_lang::duration::{JsonForm, duration_in_json};
use drover_model::mirror::Mirror;
use drover_model::{NODE_POOL_ALL, NodePool, SchedulerAlgorithm};
use drover_state::{JobRow, NodeRow, Snapshot, Table};
use http::StatusCode;

use super::{List, State, one};
use crate::access::{Capability, NodePoolCapability, require};
use crate::agent::Agent;
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::page::{IdKey, NamespacedKey};
use crate::reply::Reply;
use crate::request::Request;
use crate::view;

/// `GET /v1/node/pools`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let prefix = request.query.get("prefix").to_owned();
    let rights = Arc::clone(&request.caller().rights);
    let list = List {
        rows: |snapshot: &Snapshot| {
            let seen = |pool: &&Arc<NodePool>| rights.node_pool(&pool.name, NodePoolCapability::Read);
            let value = snapshot.node_pools().filter(|pool| pool.name.starts_with(&prefix)).filter(seen).cloned().collect();
            Ok(At { index: snapshot.table_index(Table::NodePools), value })
        },
        key: |pool: &NodePool| IdKey(pool.name.clone()),
        full: |_: &Snapshot, pool: &NodePool| view::node_pool(pool),
        stub: |_: &Snapshot, pool: &NodePool| view::node_pool(pool),
        kind: Kind::Full,
    };
    list.answer(&*source, &request).await
}

/// `GET /v1/node/pool/{pool}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let name = request.parameter("pool").to_owned();
    one(&*source, &request, "node pool not found", |snapshot| {
        let found = snapshot.node_pool(&name);
        let index = found.map_or_else(|| snapshot.table_index(Table::NodePools), |pool| pool.modify_index);
        Ok(At { index, value: found.map(|pool| view::node_pool(pool)) })
    })
    .await
}

fn no_prefix(request: &Request) -> Result<(), ApiError> {
    match request.query.get("prefix") {
        "" => Ok(()),
        _ => Err(ApiError::bad_request("prefix argument not allowed")),
    }
}

/// `GET /v1/node/pool/{pool}/nodes`.
pub async fn nodes<S: State>(source: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    require(request.caller().rights.node_read())?;
    no_prefix(&request)?;
    let flag = |name: &str| request.query.boolean(name, StatusCode::BAD_REQUEST).map(Option::unwrap_or_default);
    let (resources, os) = (flag("resources")?, flag("os")?);
    let name = request.parameter("pool").to_owned();
    request.query.remove("reverse");
    let list = List {
        rows: |snapshot: &Snapshot| {
            let Some(pool) = snapshot.node_pool(&name) else { return Ok(At { index: 0, value: Vec::new() }) };
            let fits = |row: &&Arc<NodeRow>| pool.name == NODE_POOL_ALL || row.node.node_pool == pool.name;
            let value = snapshot.nodes().map(|(_, row)| row).filter(fits).cloned().collect();
            Ok(At { index: snapshot.table_index(Table::Nodes), value })
        },
        key: |row: &NodeRow| IdKey(row.node.id.to_string()),
        full: |_: &Snapshot, row: &NodeRow| view::node(row),
        stub: |_: &Snapshot, row: &NodeRow| view::node_stub(row, resources, os),
        kind: Kind::Full,
    };
    list.answer(&*source, &request).await
}

/// `GET /v1/node/pool/{pool}/jobs`.
pub async fn jobs<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    no_prefix(&request)?;
    let meta = request.query.boolean("meta", StatusCode::INTERNAL_SERVER_ERROR)?.unwrap_or(false);
    let (name, scope) = (request.parameter("pool").to_owned(), request.listing(Capability::ListJobs)?);
    let list = List {
        rows: |snapshot: &Snapshot| {
            if snapshot.node_pool(&name).is_none() {
                return Ok(At { index: 0, value: Vec::new() });
            }
            let fits = |row: &&Arc<JobRow>| scope.includes(&row.id().namespace) && row.job().node_pool == name;
            let index = snapshot.table_index(Table::Jobs).max(snapshot.table_index(Table::Summaries));
            Ok(At { index, value: snapshot.jobs().filter(fits).cloned().collect() })
        },
        key: |row: &JobRow| NamespacedKey(row.id().namespace.clone(), row.id().id.clone()),
        full: |_: &Snapshot, row: &JobRow| view::job(row),
        stub: |snapshot: &Snapshot, row: &JobRow| view::job_stub(snapshot, row, meta),
        kind: Kind::Full,
    };
    list.answer(&*source, &request).await
}

fn domain(pool: api::NodePool) -> Result<NodePool, ApiError> {
    let mut problems = Vec::new();
    let letters = pool.name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    if pool.name.is_empty() || pool.name.len() > 128 || !letters {
        problems.push(format!("invalid name {:?}, must match regex ^[a-zA-Z0-9-_]{{1,128}}$", pool.name));
    }
    if pool.description.len() > 256 {
        problems.push("description longer than 256".to_owned());
    }
    let settings = pool.scheduler_configuration.unwrap_or_default();
    let algorithm = match settings.scheduler_algorithm.as_str() {
        "" => None,
        text => {
            let known = SchedulerAlgorithm::parse(text);
            if known.is_none() {
                problems.push(format!("invalid scheduler algorithm {text:?}"));
            }
            known
        }
    };
    if !problems.is_empty() {
        let count = if problems.len() == 1 { "1 error".to_owned() } else { format!("{} errors", problems.len()) };
        let lines: String = problems.iter().map(|problem| format!("\t* {problem}\n")).collect();
        return Err(ApiError::bad_request(format!("invalid node pool {:?}: {count} occurred:\n{lines}\n", pool.name)));
    }
    Ok(NodePool {
        name: pool.name,
        description: pool.description,
        meta: pool.meta.unwrap_or_default(),
        scheduler_algorithm: algorithm,
        memory_oversubscription: settings.memory_oversubscription_enabled,
        node_identity_ttl_ns: pool.node_identity_ttl,
        ..NodePool::default()
    })
}

/// The pool that a request carries; how long identities last may be a text such as "24h" there.
async fn body(request: &mut Request) -> Result<api::NodePool, ApiError> {
    let wrong = |reason: String| ApiError::bad_request(reason);
    let mut value: serde_json::Value = request.json().await?;
    for (name, ttl) in value.as_object_mut().into_iter().flatten().filter(|(name, _)| name.eq_ignore_ascii_case("NodeIdentityTTL")) {
        let nanoseconds = duration_in_json(ttl, JsonForm::Lenient).map_err(|error| wrong(format!("{name}: {error}")))?;
        *ttl = nanoseconds.into();
    }
    serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
}

async fn put(agent: &Agent, pool: api::NodePool) -> Result<Reply, ApiError> {
    let pool = domain(pool)?;
    if pool.is_built_in() {
        return Err(ApiError::bad_request(format!("modifying node pool {:?} is not allowed", pool.name)));
    }
    Ok(Reply::empty().index(agent.server()?.upsert_node_pool(pool).await?))
}

/// `PUT /v1/node/pools`.
pub async fn upsert(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let pool = body(&mut request).await?;
    request.permit_named("", &pool.name)?;
    put(&agent, pool).await
}

/// `PUT /v1/node/pool/{pool}`.
pub async fn upsert_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let pool = body(&mut request).await?;
    if pool.name != request.parameter("pool") {
        return Err(ApiError::bad_request("Node pool name does not match request path"));
    }
    request.permit_named("", &pool.name)?;
    put(&agent, pool).await
}

/// `DELETE /v1/node/pool/{pool}`.
pub async fn delete(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let index = agent.server()?.delete_node_pool(request.parameter("pool")).await?;
    Ok(Reply::empty().index(index))
}

/// `GET /v1/operator/scheduler/configuration`.
pub async fn scheduler_config(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let state = agent.server()?.snapshot();
    let config = state.scheduler_config();
    let index = config.modify_index;
    let response = api::SchedulerConfigurationResponse {
        scheduler_config: Some(config.to_api()),
        index,
        known_leader: true,
        ..api::SchedulerConfigurationResponse::default()
    };
    Ok(Reply::json(&response)?.meta(&crate::reply::Meta::at(index)))
}

/// The index that what is stored must have for a change to be made.
pub(crate) fn check_and_set(request: &Request) -> Result<Option<u64>, ApiError> {
    let wrong = |text: &str| {
        let reason = crate::query::not_a_number("ParseUint", text);
        ApiError::bad_request(format!("Error parsing cas value: {reason}"))
    };
    request.query.find("cas").map(|text| text.parse::<u64>().map_err(|_| wrong(text))).transpose()
}

/// `PUT /v1/operator/scheduler/configuration`.
pub async fn set_scheduler_config(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let wrong = |error: ApiError| ApiError::bad_request(format!("Error parsing scheduler config: {}", error.text));
    let body: api::SchedulerConfiguration = request.json().await.map_err(wrong)?;
    let known = body.scheduler_algorithm.is_empty() || SchedulerAlgorithm::parse(&body.scheduler_algorithm).is_some();
    if !known {
        return Err(ApiError::bad_request(format!("invalid scheduler algorithm: {}", body.scheduler_algorithm)));
    }
    let expected = check_and_set(&request)?;
    let (updated, index) = agent.server()?.set_scheduler_config(drover_model::SchedulerConfig::from_api(body), expected).await?;
    let response = api::SchedulerSetConfigurationResponse { updated, index };
    Ok(Reply::json(&response)?.index(index))
}
