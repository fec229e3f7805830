//! Variables: `/v1/vars` and `/v1/var/{path}`.

use std::sync::Arc;

use drover_model::variable::{Variable, VariableOperation};
use drover_server::{AskedLock, Items, VariableOutcome, VariableRequest};
use drover_state::{Snapshot, Table};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{List, in_namespace, one};
use crate::access::{Caller, VariableCapability};
use crate::agent::Agent;
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::page::NamespacedKey;
use crate::query::not_a_number;
use crate::reply::Reply;
use crate::request::Request;

/// What is not secret about a variable. A lock is shown to managers, and to whoever holds it.
pub(crate) fn metadata(variable: &Variable, shows_lock: bool) -> Map<String, Value> {
    let duration = drover_base::time::go_duration;
    let lock = variable.lock.as_ref().filter(|_| shows_lock);
    let lock = lock.map(|lock| json!({ "TTL": duration(lock.ttl_ns), "LockDelay": duration(lock.delay_ns), "ID": lock.id }));
    let fields = json!({
        "Namespace": variable.namespace,
        "Path": variable.path,
        "Lock": lock,
        "CreateIndex": variable.create_index,
        "CreateTime": variable.create_time.0,
        "ModifyIndex": variable.modify_index,
        "ModifyTime": variable.modify_time.0,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn with_items(mut fields: Map<String, Value>, items: Option<&Items>) -> Value {
    fields.insert("Items".to_owned(), json!(items));
    Value::Object(fields)
}

/// A refusal with the index that refusals of this route have.
fn refused(error: impl Into<ApiError>) -> Result<Reply, ApiError> {
    Ok(Reply::of_error(error.into()).index(0))
}

/// `GET /v1/vars`.
pub async fn list(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (prefix, namespace) = (request.query.get("prefix").to_owned(), request.namespace().to_owned());
    let caller = request.caller().clone();
    let manager = caller.rights.is_management();
    let list = List {
        rows: |snapshot: &Snapshot| {
            let fits = |variable: &&Arc<Variable>| {
                in_namespace(&namespace, &variable.namespace)
                    && variable.path.starts_with(&prefix)
                    && caller.rights.variable(&variable.namespace, &variable.path, VariableCapability::List)
            };
            let value: Vec<Arc<Variable>> = snapshot.variables().filter(fits).cloned().collect();
            // Nothing to see tells nothing about what there is, not even when it changed.
            let index = if value.is_empty() && !manager { 0 } else { snapshot.table_index(Table::Variables) };
            Ok(At { index: index.max(1), value })
        },
        key: |variable: &Variable| NamespacedKey(variable.namespace.clone(), variable.path.clone()),
        full: |_: &Snapshot, variable: &Variable| json!({ "VariableMetadata": metadata(variable, false) }),
        stub: |_: &Snapshot, variable: &Variable| Value::Object(metadata(variable, manager)),
        kind: Kind::Full,
    };
    list.answer(&*agent, &request).await
}

fn path(request: &Request) -> Result<String, ApiError> {
    match request.parameter("path") {
        "" => Err(ApiError::bad_request("missing variable path")),
        path => Ok(path.to_owned()),
    }
}

/// `GET /v1/var/{path}`.
pub async fn read(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (namespace, path) = (request.namespace().to_owned(), path(&request)?);
    request.permit_named(&namespace, &path)?;
    let manager = request.caller().rights.is_management();
    let server = agent.server()?;
    one(&*agent, &request, "variable not found", |snapshot| {
        let Some(variable) = snapshot.variable(&namespace, &path) else {
            return Ok(At { index: snapshot.table_index(Table::Variables), value: None });
        };
        let items = server.variable_items(snapshot, variable)?;
        Ok(At { index: variable.modify_index, value: Some(with_items(metadata(variable, manager), Some(&items))) })
    })
    .await
}

/// The lock of a body.
fn lock(body: &Value) -> Option<AskedLock> {
    let given = body["Lock"].as_object()?;
    let text = |name: &str| match given.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => format!("{number}ns"),
        _ => String::new(),
    };
    Some(AskedLock { id: text("ID"), ttl: text("TTL"), delay: text("LockDelay") })
}

fn items(body: &Value) -> Result<Items, ApiError> {
    match &body["Items"] {
        Value::Null => Ok(Items::new()),
        Value::Object(given) => given
            .iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                Value::Null => Ok((key.clone(), String::new())),
                other => Err(ApiError::bad_request(format!("Items.{key}: {other} is not a text; values of a variable are texts"))),
            })
            .collect(),
        _ => Err(ApiError::bad_request("Items is an object of texts, such as {\"key\": \"value\"}")),
    }
}

fn cas(request: &Request) -> Result<Option<u64>, ApiError> {
    match request.query.find("cas") {
        None => Ok(None),
        Some(text) => {
            text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("can not parse cas: {}", not_a_number("ParseUint", text))))
        }
    }
}

/// The answer to a change that expected something else: the variable as it is, as far as the caller may see it.
fn conflict(
    server: &drover_server::Server,
    caller: &Caller,
    request: &VariableRequest,
    stored: Option<Variable>,
) -> Result<Reply, ApiError> {
    let (namespace, path) = (&request.namespace, &request.path);
    let bare = || Variable { namespace: namespace.clone(), path: path.clone(), ..Variable::default() };
    // Of a variable that somebody holds, nothing is told.
    let stored = stored.filter(|stored| stored.lock.is_none());
    let index = stored.as_ref().map_or(0, |stored| stored.modify_index);
    let value = match stored {
        Some(stored) if caller.rights.variable(namespace, path, VariableCapability::Read) => {
            let items = server.variable_items(&server.snapshot(), &stored)?;
            with_items(metadata(&stored, false), Some(&items))
        }
        Some(stored) => with_items(metadata(&stored, false), None),
        None => with_items(metadata(&bare(), false), None),
    };
    let reply = Reply::text(value.to_string()).status(StatusCode::CONFLICT);
    let locks = matches!(request.operation, VariableOperation::LockAcquire | VariableOperation::LockRelease);
    Ok(if locks { reply } else { reply.index(index) })
}

/// `PUT /v1/var/{path}`: writes, or acquires, renews or releases the lock.
pub async fn write(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let path = path(&request)?;
    let expected = cas(&request)?;
    let asked: Vec<&str> =
        ["lock-acquire", "lock-renew", "lock-release"].into_iter().filter(|name| request.query.find(name).is_some()).collect();
    let operation = match asked.as_slice() {
        [] => VariableOperation::Set,
        [_, _, ..] => return Err(ApiError::bad_request("multiple lock operations")),
        _ if expected.is_some() => return Err(ApiError::bad_request("CAS can't be used with lock operations")),
        ["lock-release"] => VariableOperation::LockRelease,
        [_] => VariableOperation::LockAcquire,
    };
    let renews = asked == ["lock-renew"];
    let body: Value = request.json().await?;
    let (given, asked_lock) = (items(&body)?, lock(&body));
    if operation == VariableOperation::Set && given.is_empty() {
        return Err(ApiError::bad_request("variable missing required Items object"));
    }
    let namespace = body["Namespace"].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| request.namespace()).to_owned();
    if let Err(error) = request.permit_named(&namespace, &path) {
        return refused(error);
    }
    let caller = request.caller().clone();
    let server = agent.server()?;
    if renews {
        let renewed = server.renew_variable_lock(&namespace, &path, &asked_lock.unwrap_or_default().id)?;
        return Reply::json(&Value::Object(metadata(&renewed, true)));
    }
    let change = VariableRequest { namespace, path, operation, items: given, lock: asked_lock, expected };
    let outcome = match server.change_variable(change.clone()).await {
        Ok(outcome) => outcome,
        Err(error) if error.text.starts_with("time: ") => return Err(error.into()),
        Err(error) => return refused(error),
    };
    match outcome {
        VariableOutcome::Conflict(stored) => conflict(server, &caller, &change, stored),
        VariableOutcome::Done(None, index) => Ok(Reply::empty().index(index)),
        VariableOutcome::Done(Some(stored), index) => {
            let held = operation == VariableOperation::LockAcquire || change.lock.is_some();
            let released = Items::new();
            let items = if operation == VariableOperation::LockRelease { &released } else { &change.items };
            Ok(Reply::json(&with_items(metadata(&stored, held), Some(items)))?.index(index))
        }
    }
}

/// `DELETE /v1/var/{path}`.
pub async fn delete(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let path = path(&request)?;
    let expected = cas(&request)?;
    let namespace = request.namespace().to_owned();
    if let Err(error) = request.permit_named(&namespace, &path) {
        return refused(error);
    }
    let caller = request.caller().clone();
    // Whoever holds the lock says so in a body.
    let body: Option<Value> = request.json_optional().await?;
    let lock = body.as_ref().and_then(lock);
    let server = agent.server()?;
    let change = VariableRequest { namespace, path, operation: VariableOperation::Delete, lock, expected, ..VariableRequest::default() };
    match server.change_variable(change.clone()).await? {
        VariableOutcome::Conflict(stored) => conflict(server, &caller, &change, stored),
        VariableOutcome::Done(_, index) => Ok(Reply::empty().status(StatusCode::NO_CONTENT).index(index)),
    }
}
