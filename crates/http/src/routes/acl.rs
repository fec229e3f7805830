//! Access control: `/v1/acl/*`.

use std::sync::Arc;

use drover_api as api;
use drover_model::acl::{AclRole, AclToken, PolicyRow, TokenType};
use drover_state::{Snapshot, Table};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{List, one, value};
use crate::access::{Caller, require};
use crate::agent::Agent;
use crate::blocking::At;
use crate::error::ApiError;
use crate::filter::Kind;
use crate::page::{CreateKey, IdKey};
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::view;

/// Fields that are durations, as texts or in nanoseconds.
const DURATIONS: [&str; 2] = ["ExpirationTTL", "MaxTokenTTL"];

/// The server, while ACLs are on.
fn enabled(agent: &Agent) -> Result<&drover_server::Server, ApiError> {
    let server = agent.server()?;
    if server.acl_enabled() { Ok(server) } else { Err(ApiError::bad_request("ACL support disabled")) }
}

/// Whether ACLs are on and the caller has a management token.
fn managed<'a>(agent: &'a Agent, request: &Request) -> Result<&'a drover_server::Server, ApiError> {
    let server = enabled(agent)?;
    require(request.caller().rights.is_management())?;
    Ok(server)
}

/// The body, durations as texts or as nanoseconds.
async fn body<T: DeserializeOwned>(request: &mut Request) -> Result<T, ApiError> {
    let mut value: Value = request.json().await?;
    for (name, given) in value.as_object_mut().into_iter().flatten() {
        if DURATIONS.iter().any(|duration| name.eq_ignore_ascii_case(duration))
            && let Some(nanoseconds) = given.as_i64()
        {
            *given = Value::String(drover_base::time::go_duration(nanoseconds));
        }
    }
    serde_json::from_value(value).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// `PUT /v1/acl/bootstrap`.
pub async fn bootstrap(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let server = enabled(&agent)?;
    let given: api::BootstrapRequest = request.json_optional().await?.unwrap_or_default();
    let (token, index) = server.acl_bootstrap(&given.bootstrap_secret).await?;
    Ok(Reply::json(&view::acl_token(&server.snapshot(), &token))?.index(index))
}

/// The policies that a caller has: those of the token, or those attached to the task whose identity it is.
fn policies_of<'a>(snapshot: &'a Snapshot, caller: &Caller) -> Vec<&'a Arc<PolicyRow>> {
    match (&caller.token, caller.rights.workload()) {
        (Some(token), _) => snapshot.policies_of(token),
        (None, Some(workload)) => snapshot.policies_of_workload(workload),
        (None, None) => Vec::new(),
    }
}

fn has_policy(snapshot: &Snapshot, caller: &Caller, name: &str) -> bool {
    caller.rights.is_management() || policies_of(snapshot, caller).iter().any(|row| row.policy.name == name)
}

/// `GET /v1/acl/policies`.
pub async fn policies(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    let (prefix, caller) = (request.query.get("prefix").to_owned(), request.caller().clone());
    value(&*agent, &request, |snapshot| {
        let fits = |name: &str| name.starts_with(&prefix) && has_policy(snapshot, &caller, name);
        let found = snapshot.acl_policies().filter(|row| fits(&row.policy.name));
        let value: Vec<api::ACLPolicyListStub> = found.map(|row| view::acl_policy_stub(row)).collect();
        Ok(At { index: snapshot.table_index(Table::AclPolicies), value })
    })
    .await
}

/// `GET /v1/acl/policy/{name}`.
pub async fn policy(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = enabled(&agent)?;
    let name = request.parameter("name").to_owned();
    if name.is_empty() {
        return Err(ApiError::bad_request("Missing Policy Name"));
    }
    let allowed = name == drover_model::acl::ANONYMOUS || has_policy(&server.snapshot(), request.caller(), &name);
    require(allowed)?;
    one(&*agent, &request, "ACL policy not found", |snapshot| {
        let found = snapshot.acl_policy(&name);
        let index = found.map_or_else(|| snapshot.table_index(Table::AclPolicies), |row| row.policy.modify_index);
        Ok(At { index, value: found.map(|row| view::acl_policy(row)) })
    })
    .await
}

/// `GET /v1/acl/policy/self`.
pub async fn own_policies(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = agent.server()?;
    let caller = request.caller().clone();
    let snapshot = server.snapshot();
    require(caller.token.is_some() || caller.rights.workload().is_some())?;
    if caller.token.as_ref().is_some_and(|token| token.kind == TokenType::Management) {
        return Ok(Reply::json(&Value::Null)?.meta(&Meta::at(1)));
    }
    let found: Vec<api::ACLPolicyListStub> = policies_of(&snapshot, &caller).into_iter().map(|row| view::acl_policy_stub(row)).collect();
    if caller.token.is_none() {
        // What is attached to a task is not looked up at an index.
        return Ok(Reply::json(&found)?.meta(&Meta { known_leader: false, ..Meta::at(0) }));
    }
    Ok(Reply::json(&found)?.meta(&Meta::at(snapshot.table_index(Table::AclPolicies))))
}

/// `PUT /v1/acl/policy/{name}`.
pub async fn upsert_policy(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    require(request.caller().rights.is_management())?;
    let policy: api::ACLPolicy = request.json().await?;
    if policy.name != request.parameter("name") {
        return Err(ApiError::bad_request("ACL policy name does not match request path"));
    }
    Ok(Reply::empty().index(agent.server()?.upsert_acl_policy(policy).await?))
}

/// `DELETE /v1/acl/policy/{name}`.
pub async fn delete_policy(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = managed(&agent, &request)?;
    Ok(Reply::empty().index(server.delete_acl_policy(request.parameter("name")).await?))
}

/// `GET /v1/acl/tokens`.
pub async fn tokens(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    let prefix = request.query.get("prefix").to_owned();
    let global = request.query.boolean("global", http::StatusCode::BAD_REQUEST)?.unwrap_or(false);
    let rows = |snapshot: &Snapshot| {
        let fits = |token: &&Arc<AclToken>| token.accessor.starts_with(&prefix) && (!global || token.global);
        Ok(At { index: snapshot.table_index(Table::AclTokens), value: snapshot.acl_tokens().filter(fits).cloned().collect() })
    };
    let stub = |snapshot: &Snapshot, token: &AclToken| view::acl_token_stub(snapshot, token);
    if prefix.is_empty() {
        let key = |token: &AclToken| CreateKey(token.create_index, token.accessor.clone());
        List { rows, key, full: stub, stub, kind: Kind::Full }.answer(&*agent, &request).await
    } else {
        List { rows, key: |token: &AclToken| IdKey(token.accessor.clone()), full: stub, stub, kind: Kind::Full }
            .answer(&*agent, &request)
            .await
    }
}

fn own_token(caller: &Caller, accessor: &str) -> bool {
    caller.token.as_ref().is_some_and(|token| token.accessor == accessor)
}

/// `GET /v1/acl/token/{accessor_id}`.
pub async fn token(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    let accessor = request.parameter("accessor_id").to_owned();
    if accessor.is_empty() {
        return Err(ApiError::bad_request("Missing Token Accessor"));
    }
    let caller = request.caller();
    require(caller.rights.is_management() || own_token(caller, &accessor))?;
    crate::ids::full::<()>(&accessor, "acl token")?;
    one(&*agent, &request, "ACL token not found", |snapshot| {
        let found = snapshot.acl_token(&accessor);
        let index = found.map_or_else(|| snapshot.table_index(Table::AclTokens), |token| token.modify_index);
        Ok(At { index, value: found.map(|token| view::acl_token(snapshot, token)) })
    })
    .await
}

/// `GET /v1/acl/token/self`.
pub async fn token_self(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = agent.server()?;
    let caller = request.caller();
    let none = |accessor: &str, name: &str, policies| Ok(Reply::json(&view::acl_no_token(accessor, name, policies))?.meta(&Meta::at(0)));
    if !server.acl_enabled() {
        return none("acls-disabled", "ACLs disabled token", None);
    }
    match &caller.token {
        None if caller.rights.workload().is_some() => Err(ApiError::not_found("ACL token not found").with_meta(Meta::at(0))),
        None => none("anonymous", "Anonymous Token", Some(vec![drover_model::acl::ANONYMOUS.to_owned()])),
        Some(token) => Ok(Reply::json(&view::acl_token(&server.snapshot(), token))?.meta(&Meta::at(token.modify_index))),
    }
}

/// `PUT /v1/acl/token`.
pub async fn upsert_token(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let server = managed(&agent, &request)?;
    let (token, index) = server.upsert_acl_token(body(&mut request).await?).await?;
    Ok(Reply::json(&view::acl_token(&server.snapshot(), &token))?.index(index))
}

/// `PUT /v1/acl/token/{accessor_id}`.
pub async fn upsert_token_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    let given: api::ACLToken = body(&mut request).await?;
    if given.accessor_id != request.parameter("accessor_id") {
        return Err(ApiError::bad_request("ACL token accessor does not match request path"));
    }
    let server = managed(&agent, &request)?;
    let (token, index) = server.upsert_acl_token(given).await?;
    Ok(Reply::json(&view::acl_token(&server.snapshot(), &token))?.index(index))
}

/// `DELETE /v1/acl/token/{accessor_id}`.
pub async fn delete_token(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = managed(&agent, &request)?;
    Ok(Reply::empty().index(server.delete_acl_tokens(vec![request.parameter("accessor_id").to_owned()]).await?))
}

/// `PUT /v1/acl/token/onetime`.
pub async fn one_time(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = enabled(&agent)?;
    let token = request.caller().token.clone();
    let token = token.ok_or_else(|| ApiError::by_text("acl token lookup failed: missing secret id"))?;
    let (made, index) = server.make_one_time_token(&token.accessor).await?;
    let response = api::OneTimeTokenUpsertResponse { one_time_token: Some(view::one_time_token(&made)), index };
    Ok(Reply::json(&response)?.index(index))
}

/// `PUT /v1/acl/token/onetime/exchange`.
pub async fn exchange(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let server = enabled(&agent)?;
    let given: api::OneTimeTokenExchangeRequest = request.json().await?;
    if given.one_time_secret_id.is_empty() {
        return Err(ApiError::by_text("one-time token lookup failed: missing secret"));
    }
    let (token, index) = server.exchange_one_time_token(&given.one_time_secret_id).await?;
    let response = api::OneTimeTokenExchangeResponse { token: Some(view::acl_token(&server.snapshot(), &token)), index };
    Ok(Reply::json(&response)?.index(index))
}

fn has_role(caller: &Caller, role: &AclRole) -> bool {
    caller.rights.is_management() || caller.token.as_ref().is_some_and(|token| token.roles.contains(&role.id))
}

/// `GET /v1/acl/roles`.
pub async fn roles(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    let (prefix, caller) = (request.query.get("prefix").to_owned(), request.caller().clone());
    value(&*agent, &request, |snapshot| {
        let found = snapshot.acl_roles().filter(|role| role.id.starts_with(&prefix) && has_role(&caller, role));
        let value: Vec<api::ACLRoleListStub> = found.map(|role| view::acl_role_stub(role)).collect();
        Ok(At { index: snapshot.table_index(Table::AclRoles), value })
    })
    .await
}

async fn found_role<'a>(
    agent: &'a Agent,
    request: &Request,
    find: impl for<'s> Fn(&'s Snapshot) -> Option<&'s Arc<AclRole>>,
) -> Result<Reply, ApiError> {
    let server = enabled(agent)?;
    let caller = request.caller();
    // One that is not there is nobody's but a manager's to know of.
    require(match find(&server.snapshot()) {
        Some(role) => has_role(caller, role),
        None => caller.rights.is_management(),
    })?;
    one(agent, request, "ACL role not found", |snapshot| {
        let found = find(snapshot);
        let index = found.map_or_else(|| snapshot.table_index(Table::AclRoles), |role| role.modify_index);
        Ok(At { index, value: found.map(|role| view::acl_role(role)) })
    })
    .await
}

/// `GET /v1/acl/role/{role_id}`.
pub async fn role(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let id = request.parameter("role_id").to_owned();
    if id.is_empty() {
        return Err(ApiError::bad_request("missing ACL role ID"));
    }
    found_role(&agent, &request, |snapshot| snapshot.acl_role(&id)).await
}

/// `GET /v1/acl/role/name/{role_name}`.
pub async fn role_by_name(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let name = request.parameter("role_name").to_owned();
    if name.is_empty() {
        return Err(ApiError::bad_request("missing ACL role name"));
    }
    found_role(&agent, &request, |snapshot| snapshot.acl_role_by_name(&name)).await
}

async fn put_role(agent: &Agent, given: api::ACLRole) -> Result<Reply, ApiError> {
    let (role, index) = agent.server()?.upsert_acl_role(given).await?;
    Ok(Reply::json(&view::acl_role(&role))?.index(index))
}

/// `PUT /v1/acl/role`.
pub async fn upsert_role(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    put_role(&agent, request.json().await?).await
}

/// `PUT /v1/acl/role/{role_id}`.
pub async fn upsert_role_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    let given: api::ACLRole = request.json().await?;
    if given.id != request.parameter("role_id") {
        return Err(ApiError::bad_request("ACL role ID does not match request path"));
    }
    managed(&agent, &request)?;
    put_role(&agent, given).await
}

/// `DELETE /v1/acl/role/{role_id}`.
pub async fn delete_role(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = managed(&agent, &request)?;
    Ok(Reply::empty().index(server.delete_acl_role(request.parameter("role_id")).await?))
}

/// `GET /v1/acl/auth-methods`: open to all, so that who wants to log in can choose.
pub async fn auth_methods(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    enabled(&agent)?;
    value(&*agent, &request, |snapshot| {
        let value: Vec<api::ACLAuthMethodListStub> = snapshot.auth_methods().map(|method| view::auth_method_stub(method)).collect();
        Ok(At { index: snapshot.table_index(Table::AuthMethods), value })
    })
    .await
}

/// `GET /v1/acl/auth-method/{name}`.
pub async fn auth_method(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    let name = request.parameter("name").to_owned();
    if name.is_empty() {
        return Err(ApiError::bad_request("missing ACL auth-method name"));
    }
    one(&*agent, &request, "ACL auth-method not found", |snapshot| {
        let found = snapshot.auth_method(&name);
        let index = found.map_or_else(|| snapshot.table_index(Table::AuthMethods), |method| method.modify_index);
        Ok(At { index, value: found.map(|method| view::auth_method(method)) })
    })
    .await
}

async fn put_method(agent: &Agent, given: api::ACLAuthMethod) -> Result<Reply, ApiError> {
    let (method, index) = agent.server()?.upsert_auth_method(given).await?;
    Ok(Reply::json(&view::auth_method(&method))?.index(index))
}

/// `PUT /v1/acl/auth-method`.
pub async fn upsert_auth_method(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    put_method(&agent, body(&mut request).await?).await
}

/// `PUT /v1/acl/auth-method/{name}`.
pub async fn upsert_auth_method_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    let given: api::ACLAuthMethod = body(&mut request).await?;
    if given.name != request.parameter("name") {
        return Err(ApiError::bad_request("ACL auth-method name does not match request path"));
    }
    put_method(&agent, given).await
}

/// `DELETE /v1/acl/auth-method/{name}`.
pub async fn delete_auth_method(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = managed(&agent, &request)?;
    Ok(Reply::empty().index(server.delete_auth_method(request.parameter("name")).await?))
}

/// `GET /v1/acl/binding-rules`.
pub async fn binding_rules(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    value(&*agent, &request, |snapshot| {
        let value: Vec<api::ACLBindingRuleListStub> = snapshot.binding_rules().map(|rule| view::binding_rule_stub(rule)).collect();
        Ok(At { index: snapshot.table_index(Table::BindingRules), value })
    })
    .await
}

/// `GET /v1/acl/binding-rule/{rule_id}`.
pub async fn binding_rule(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    let id = request.parameter("rule_id").to_owned();
    if id.is_empty() {
        return Err(ApiError::bad_request("missing ACL binding rule ID"));
    }
    one(&*agent, &request, "ACL binding rule not found", |snapshot| {
        let found = snapshot.binding_rule(&id);
        let index = found.map_or_else(|| snapshot.table_index(Table::BindingRules), |rule| rule.modify_index);
        Ok(At { index, value: found.map(|rule| view::binding_rule(rule)) })
    })
    .await
}

async fn put_rule(agent: &Agent, given: api::ACLBindingRule) -> Result<Reply, ApiError> {
    let (rule, index) = agent.server()?.upsert_binding_rule(given).await?;
    Ok(Reply::json(&view::binding_rule(&rule))?.index(index))
}

/// `PUT /v1/acl/binding-rule`.
pub async fn upsert_binding_rule(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    put_rule(&agent, request.json().await?).await
}

/// `PUT /v1/acl/binding-rule/{rule_id}`.
pub async fn upsert_binding_rule_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    managed(&agent, &request)?;
    let mut given: api::ACLBindingRule = request.json().await?;
    if given.id.is_empty() {
        request.parameter("rule_id").clone_into(&mut given.id);
    } else if given.id != request.parameter("rule_id") {
        return Err(ApiError::bad_request("ACL binding rule ID does not match request path"));
    }
    put_rule(&agent, given).await
}

/// `DELETE /v1/acl/binding-rule/{rule_id}`.
pub async fn delete_binding_rule(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let server = managed(&agent, &request)?;
    Ok(Reply::empty().index(server.delete_binding_rule(request.parameter("rule_id")).await?))
}
