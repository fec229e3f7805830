//! Objects of access control as the API shows them.

use drover_api as api;
use drover_api::wire::Base64;
use drover_base::WallTime;
use drover_base::time::go_duration;
use drover_model::acl::{AclRole, AclToken, AuthMethod, BindingRule, OneTimeToken, PolicyRow, TokenType};
use drover_state::Snapshot;
use sha2::Digest;

use super::{list, time};

/// How the API shows no time at all in some places.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// What stands in place of a secret.
const REDACTED: &str = "redacted";

/// Equal for objects that say the same.
fn digest(parts: &[&str]) -> Option<Base64> {
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    Some(Base64(hash.finalize().to_vec()))
}

fn duration(nanoseconds: i64) -> String {
    if nanoseconds == 0 { String::new() } else { go_duration(nanoseconds) }
}

fn or_never(at: WallTime) -> String {
    time(at).unwrap_or_else(|| NEVER.to_owned())
}

fn target(row: &PolicyRow) -> Option<api::JobACL> {
    row.policy.target.as_ref().map(|target| api::JobACL {
        namespace: target.namespace.clone(),
        job_id: target.job.clone(),
        group: target.group.clone(),
        task: target.task.clone(),
    })
}

fn policy_digest(row: &PolicyRow) -> Option<Base64> {
    let policy = &row.policy;
    digest(&[&policy.name, &policy.description, &policy.rules, &format!("{:?}", policy.target)])
}

/// A policy.
pub fn acl_policy(row: &PolicyRow) -> api::ACLPolicy {
    let policy = &row.policy;
    api::ACLPolicy {
        name: policy.name.clone(),
        description: policy.description.clone(),
        rules: policy.rules.clone(),
        rules_json: Some(row.rules.clone()),
        job_acl: target(row),
        create_index: policy.create_index,
        modify_index: policy.modify_index,
        hash: policy_digest(row),
    }
}

/// A policy on a list.
pub fn acl_policy_stub(row: &PolicyRow) -> api::ACLPolicyListStub {
    let policy = &row.policy;
    api::ACLPolicyListStub {
        name: policy.name.clone(),
        description: policy.description.clone(),
        job_acl: target(row),
        create_index: policy.create_index,
        modify_index: policy.modify_index,
        hash: policy_digest(row),
    }
}

fn roles(snapshot: &Snapshot, token: &AclToken) -> Option<Vec<api::ACLTokenRoleLink>> {
    let known = token.roles.iter().filter_map(|id| snapshot.acl_role(id));
    list(known.map(|role| api::ACLTokenRoleLink { id: role.id.clone(), name: role.name.clone() }).collect())
}

fn policies(token: &AclToken) -> Option<Vec<String>> {
    (token.kind == TokenType::Client).then(|| token.policies.clone())
}

fn token_digest(token: &AclToken) -> Option<Base64> {
    digest(&[&token.name, token.kind.text(), &token.policies.join(" "), &token.roles.join(" "), &token.global.to_string()])
}

/// A token with its secret.
pub fn acl_token(snapshot: &Snapshot, token: &AclToken) -> api::ACLToken {
    api::ACLToken {
        accessor_id: token.accessor.clone(),
        secret_id: token.secret.clone(),
        name: token.name.clone(),
        r#type: token.kind.text().to_owned(),
        policies: policies(token),
        roles: roles(snapshot, token),
        global: token.global,
        create_time: or_never(token.create_time),
        expiration_time: time(token.expiration_time),
        expiration_ttl: duration(token.expiration_ttl_ns),
        create_index: token.create_index,
        modify_index: token.modify_index,
        hash: token_digest(token),
    }
}

/// What somebody without a token is shown as their own.
pub fn acl_no_token(accessor: &str, name: &str, policies: Option<Vec<String>>) -> api::ACLToken {
    api::ACLToken {
        accessor_id: accessor.to_owned(),
        name: name.to_owned(),
        r#type: TokenType::Client.text().to_owned(),
        policies,
        create_time: NEVER.to_owned(),
        ..api::ACLToken::default()
    }
}

/// A token on a list, without its secret.
pub fn acl_token_stub(snapshot: &Snapshot, token: &AclToken) -> api::ACLTokenListStub {
    api::ACLTokenListStub {
        accessor_id: token.accessor.clone(),
        name: token.name.clone(),
        r#type: token.kind.text().to_owned(),
        policies: policies(token),
        roles: roles(snapshot, token),
        global: token.global,
        create_time: time(token.create_time),
        expiration_time: time(token.expiration_time),
        create_index: token.create_index,
        modify_index: token.modify_index,
        hash: token_digest(token),
    }
}

fn links(role: &AclRole) -> Option<Vec<api::ACLRolePolicyLink>> {
    Some(role.policies.iter().map(|name| api::ACLRolePolicyLink { name: name.clone() }).collect())
}

/// A role.
pub fn acl_role(role: &AclRole) -> api::ACLRole {
    api::ACLRole {
        id: role.id.clone(),
        name: role.name.clone(),
        description: role.description.clone(),
        policies: links(role),
        create_index: role.create_index,
        modify_index: role.modify_index,
        hash: digest(&[&role.id, &role.name, &role.description, &role.policies.join(" ")]),
    }
}

/// A role on a list.
pub fn acl_role_stub(role: &AclRole) -> api::ACLRoleListStub {
    let api::ACLRole { id, name, description, policies, create_index, modify_index, hash } = acl_role(role);
    api::ACLRoleListStub { id, name, description, policies, create_index, modify_index, hash }
}

fn method_digest(method: &AuthMethod) -> Option<Base64> {
    let config = serde_json::to_string(&method.config.0).unwrap_or_default();
    let rest = format!("{} {} {}", method.locality, method.max_token_ttl_ns, method.default);
    digest(&[&method.name, method.kind.text(), &method.token_name_format, &rest, &config])
}

/// An auth method without its secrets.
pub fn auth_method(method: &AuthMethod) -> api::ACLAuthMethod {
    let mut config = method.config.0.clone();
    if !config.oidc_client_secret.is_empty() {
        config.oidc_client_secret = REDACTED.to_owned();
    }
    if let Some(assertion) = &mut config.oidc_client_assertion {
        if !assertion.client_secret.is_empty() {
            assertion.client_secret = REDACTED.to_owned();
        }
        if let Some(key) = assertion.private_key.as_mut().filter(|key| !key.pem_key.is_empty()) {
            key.pem_key = REDACTED.to_owned();
        }
    }
    api::ACLAuthMethod {
        name: method.name.clone(),
        r#type: method.kind.text().to_owned(),
        token_locality: method.locality.text().to_owned(),
        token_name_format: method.token_name_format.clone(),
        max_token_ttl: duration(method.max_token_ttl_ns),
        default: method.default,
        config: Some(config),
        create_time: or_never(method.create_time),
        modify_time: or_never(method.modify_time),
        create_index: method.create_index,
        modify_index: method.modify_index,
        hash: method_digest(method),
    }
}

/// An auth method on a list.
pub fn auth_method_stub(method: &AuthMethod) -> api::ACLAuthMethodListStub {
    api::ACLAuthMethodListStub {
        name: method.name.clone(),
        r#type: method.kind.text().to_owned(),
        default: method.default,
        create_index: method.create_index,
        modify_index: method.modify_index,
        hash: method_digest(method),
    }
}

fn rule_digest(rule: &BindingRule) -> Option<Base64> {
    digest(&[&rule.id, &rule.description, &rule.auth_method, &rule.selector, &rule.bind_type, &rule.bind_name])
}

/// A binding rule.
pub fn binding_rule(rule: &BindingRule) -> api::ACLBindingRule {
    api::ACLBindingRule {
        id: rule.id.clone(),
        description: rule.description.clone(),
        auth_method: rule.auth_method.clone(),
        selector: rule.selector.clone(),
        bind_type: rule.bind_type.clone(),
        bind_name: rule.bind_name.clone(),
        create_time: time(rule.create_time),
        modify_time: time(rule.modify_time),
        create_index: rule.create_index,
        modify_index: rule.modify_index,
        hash: rule_digest(rule),
    }
}

/// A binding rule on a list.
pub fn binding_rule_stub(rule: &BindingRule) -> api::ACLBindingRuleListStub {
    api::ACLBindingRuleListStub {
        id: rule.id.clone(),
        description: rule.description.clone(),
        auth_method: rule.auth_method.clone(),
        create_index: rule.create_index,
        modify_index: rule.modify_index,
        hash: rule_digest(rule),
    }
}

/// A one-time token.
pub fn one_time_token(token: &OneTimeToken) -> api::OneTimeToken {
    api::OneTimeToken {
        one_time_secret_id: token.secret.clone(),
        accessor_id: token.accessor.clone(),
        expires_at: time(token.expires),
        create_index: token.create_index,
        modify_index: token.modify_index,
    }
}
