//! Namespaces.

use std::sync::Arc;

use drover_api as api;
use drover_model::{Namespace, NamespaceCapabilities};
use drover_state::Table;

use super::{State, one, value};
use crate::access::require;
use crate::agent::Agent;
use crate::blocking::At;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::Request;
use crate::view;

/// The longest name, in letters.
const NAME_MAX: usize = 128;
/// The longest description, in bytes.
const DESCRIPTION_MAX: usize = 256;

/// `GET /v1/namespaces`. There is no filter and no paging, as in the API that clients know.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let prefix = request.query.get("prefix").to_owned();
    let rights = Arc::clone(&request.caller().rights);
    value(&*source, &request, |snapshot| {
        let found =
            snapshot.namespaces().filter(|namespace| namespace.name.starts_with(&prefix) && rights.any_in_namespace(&namespace.name));
        let value: Vec<api::Namespace> = found.map(|namespace| view::namespace(namespace)).collect();
        Ok(At { index: snapshot.table_index(Table::Namespaces), value })
    })
    .await
}

/// `GET /v1/namespace/{name}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let name = request.parameter("name").to_owned();
    require(request.caller().rights.any_in_namespace(&name))?;
    one(&*source, &request, "Namespace not found", |snapshot| {
        let found = snapshot.namespace(&name);
        let index = found.map_or_else(|| snapshot.table_index(Table::Namespaces), |namespace| namespace.modify_index);
        Ok(At { index, value: found.map(|namespace| view::namespace(namespace)) })
    })
    .await
}

fn domain(namespace: api::Namespace) -> Result<Namespace, ApiError> {
    let mut problems = Vec::new();
    let letters = namespace.name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    if namespace.name.is_empty() || namespace.name.len() > NAME_MAX || !letters {
        problems.push(format!("invalid name {:?}. Must match regex ^[a-zA-Z0-9-]{{1,128}}$", namespace.name));
    }
    if namespace.description.len() > DESCRIPTION_MAX {
        problems.push(format!("description longer than {DESCRIPTION_MAX}"));
    }
    let later = [
        ("NodePoolConfiguration", namespace.node_pool_configuration.is_some()),
        ("VaultConfiguration", namespace.vault_configuration.is_some()),
        ("ConsulConfiguration", namespace.consul_configuration.is_some()),
    ];
    // What would not be enforced is refused: whoever sets it relies on it.
    for (name, _) in later.into_iter().filter(|(_, given)| *given) {
        problems.push(format!("{name} is not supported by this version"));
    }
    if !problems.is_empty() {
        let text = drover_server::EndpointError::problems(&problems).text;
        return Err(ApiError::by_text(format!("Invalid namespace {:?}: {text}", namespace.name)));
    }
    if !namespace.quota.is_empty() {
        return Err(ApiError::by_text(format!("namespace {:?} using non-existent quota {:?}", namespace.name, namespace.quota)));
    }
    let capabilities = namespace.capabilities.map(|capabilities| NamespaceCapabilities {
        enabled_task_drivers: capabilities.enabled_task_drivers.unwrap_or_default(),
        disabled_task_drivers: capabilities.disabled_task_drivers.unwrap_or_default(),
        enabled_network_modes: capabilities.enabled_network_modes.unwrap_or_default(),
        disabled_network_modes: capabilities.disabled_network_modes.unwrap_or_default(),
    });
    Ok(Namespace {
        name: namespace.name,
        description: namespace.description,
        capabilities,
        meta: namespace.meta.unwrap_or_default(),
        required_extra_claims: namespace.required_extra_claims.unwrap_or_default(),
        optional_extra_claims: namespace.optional_extra_claims.unwrap_or_default(),
        ..Namespace::default()
    })
}

async fn put(agent: &Agent, namespace: api::Namespace) -> Result<Reply, ApiError> {
    let namespace = domain(namespace)?;
    Ok(Reply::empty().index(agent.server()?.upsert_namespace(namespace).await?))
}

/// `PUT /v1/namespace`.
pub async fn upsert(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    put(&agent, request.json().await?).await
}

/// `PUT /v1/namespace/{name}`.
pub async fn upsert_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let namespace: api::Namespace = request.json().await?;
    if namespace.name != request.parameter("name") {
        return Err(ApiError::bad_request("Namespace name does not match request path"));
    }
    put(&agent, namespace).await
}

/// `DELETE /v1/namespace/{name}`.
pub async fn delete(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let index = agent.server()?.delete_namespace(request.parameter("name")).await?;
    Ok(Reply::empty().index(index))
}
