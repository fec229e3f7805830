//! `acl auth-method` and `acl binding-rule`.

use std::collections::BTreeMap;

use drover_api::{ACLAuthMethod, ACLAuthMethodConfig, ACLAuthMethodListStub, ACLBindingRule, ACLBindingRuleListStub};
use serde_json::Value;

use super::acl::{moment, or_none};
use super::node_pool::{decoded, input};
use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::row;
use crate::sdk::{Query, segment};
use crate::text::{pairs, table};

const TYPE: Flag = Flag::value("type", "OIDC|JWT", "How the method knows who somebody is.");
const TTL: Flag = Flag::value("max-token-ttl", "duration", "How long its tokens last at most.");
const LOCALITY: Flag = Flag::value("token-locality", "local|global", "Where its tokens are good.");
const FORMAT: Flag = Flag::value("token-name-format", "format", "How its tokens are named.");
const DEFAULT: Flag = Flag::switch("default", "Take this method where none is named.");
const CONFIG: Flag = Flag::value("config", "json|@file|-", "Who to believe, as JSON.");
pub(super) const METHOD_CREATE_FLAGS: &[Flag] =
    &[Flag::value("name", "name", "The name of the method."), TYPE, TTL, LOCALITY, FORMAT, DEFAULT, CONFIG, super::JSON, super::TEMPLATE];
pub(super) const METHOD_UPDATE_FLAGS: &[Flag] = &[TYPE, TTL, LOCALITY, FORMAT, DEFAULT, CONFIG, super::JSON, super::TEMPLATE];
const DESCRIPTION: Flag = Flag::value("description", "text", "What the rule is for.");
const SELECTOR: Flag = Flag::value("selector", "expression", "A condition on what the method says about somebody.");
const BIND_TYPE: Flag = Flag::value("bind-type", "role|policy|management", "What somebody gets.");
const BIND_NAME: Flag = Flag::value("bind-name", "name", "Which role or policy.");
pub(super) const RULE_CREATE_FLAGS: &[Flag] =
    &[Flag::value("auth-method", "name", "The auth method."), DESCRIPTION, SELECTOR, BIND_TYPE, BIND_NAME, super::JSON, super::TEMPLATE];
pub(super) const RULE_UPDATE_FLAGS: &[Flag] = &[
    DESCRIPTION,
    SELECTOR,
    BIND_TYPE,
    BIND_NAME,
    Flag::switch("no-merge", "Replace the rule instead of changing what is given."),
    super::JSON,
    super::TEMPLATE,
];

fn list(texts: Option<&Vec<String>>) -> String {
    or_none(&texts.map(|texts| texts.join(",")).unwrap_or_default()).to_owned()
}

fn map(entries: Option<&BTreeMap<String, String>>) -> String {
    match entries {
        Some(entries) if !entries.is_empty() => {
            entries.iter().map(|(key, value)| format!("{{{key}: {value}}}")).collect::<Vec<_>>().join("; ")
        }
        _ => "<none>".to_owned(),
    }
}

fn leeway(text: &str) -> String {
    if text.is_empty() { "0s".to_owned() } else { text.to_owned() }
}

fn show_method(context: &Context, value: Value) -> Outcome {
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let method: ACLAuthMethod = decoded(value, "Error decoding ACL auth method")?;
    context.ui.output(pairs(&[
        ("Name", method.name),
        ("Type", method.r#type),
        ("Locality", method.token_locality),
        ("Max Token TTL", method.max_token_ttl),
        ("Token Name Format", method.token_name_format),
        ("Default", method.default.to_string()),
        ("Create Index", method.create_index.to_string()),
        ("Modify Index", method.modify_index.to_string()),
    ]));
    let Some(config) = method.config else { return Ok(0) };
    context.ui.output(format!("\n{}\n", context.title("Auth Method Config")));
    let keys = config.jwt_validation_pub_keys.as_ref().map(|keys| keys.iter().map(|key| key.trim_end()).collect::<Vec<_>>().join(","));
    let text = |text: &str| or_none(text).to_owned();
    context.ui.output(pairs(&[
        ("JWT Validation Public Keys", text(&keys.unwrap_or_default())),
        ("JWKS URL", text(&config.jwks_url)),
        ("OIDC Discovery URL", text(&config.oidc_discovery_url)),
        ("OIDC Client ID", text(&config.oidc_client_id)),
        ("OIDC Client Secret", text(&config.oidc_client_secret)),
        ("OIDC Enable PKCE", config.oidc_enable_pkce.to_string()),
        ("OIDC Disable UserInfo", config.oidc_disable_user_info.to_string()),
        ("OIDC Scopes", list(config.oidc_scopes.as_ref())),
        ("Bound audiences", list(config.bound_audiences.as_ref())),
        ("Bound issuer", list(config.bound_issuer.as_ref())),
        ("Allowed redirects URIs", list(config.allowed_redirect_ur_is.as_ref())),
        ("Discovery CA pem", list(config.discovery_ca_pem.as_ref())),
        ("JWKS CA cert", text(&config.jwks_ca_cert)),
        ("Signing algorithms", list(config.signing_algs.as_ref())),
        ("Expiration Leeway", leeway(&config.expiration_leeway)),
        ("NotBefore Leeway", leeway(&config.not_before_leeway)),
        ("ClockSkew Leeway", leeway(&config.clock_skew_leeway)),
        ("Claim mappings", map(config.claim_mappings.as_ref())),
        ("List claim mappings", map(config.list_claim_mappings.as_ref())),
    ]));
    Ok(0)
}

fn config(context: &Context) -> Result<Option<ACLAuthMethodConfig>, Failure> {
    let Some(given) = context.flags.text("config") else { return Ok(None) };
    let text = match given.strip_prefix('@') {
        Some(path) => input(context, path)?,
        None if given == "-" => input(context, given)?,
        None => given.to_owned(),
    };
    let wrong = |error: serde_json::Error| Failure::new(format!("Error parsing config: {error}"));
    serde_json::from_str(&text).map(Some).map_err(wrong)
}

/// Lays the flags over a method.
fn with_flags(context: &Context, method: &mut ACLAuthMethod) -> Result<(), Failure> {
    let set = |flag: &str, field: &mut String| {
        if let Some(text) = context.flags.text(flag) {
            text.clone_into(field);
        }
    };
    set("token-locality", &mut method.token_locality);
    set("token-name-format", &mut method.token_name_format);
    set("max-token-ttl", &mut method.max_token_ttl);
    if let Some(kind) = context.flags.text("type") {
        method.r#type = kind.to_uppercase();
    }
    if context.flags.given("default") {
        method.default = context.flags.on("default");
    }
    if let Some(config) = config(context)? {
        method.config = Some(config);
    }
    Ok(())
}

pub(super) async fn method_create(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let mut method = ACLAuthMethod { name: context.flags.text("name").unwrap_or("").to_owned(), ..ACLAuthMethod::default() };
    with_flags(context, &mut method)?;
    let missing = if method.name.is_empty() {
        Some("ACL auth method name must be specified using the -name flag")
    } else if !matches!(method.token_locality.as_str(), "local" | "global") {
        Some("Token locality must be set to either 'local' or 'global'")
    } else if method.max_token_ttl.is_empty() {
        Some("Max token TTL must be set to a value between min and max TTL configured for the server.")
    } else if !matches!(method.r#type.as_str(), "OIDC" | "JWT") {
        Some("ACL auth method type must be set to 'OIDC' or 'JWT'")
    } else if method.config.is_none() {
        Some("Must provide ACL auth method config in JSON format")
    } else {
        None
    };
    if let Some(missing) = missing {
        return Err(Failure::new(missing));
    }
    let client = context.client()?;
    let answer = client.put::<_, Value>("/v1/acl/auth-method", &Query::new(), &method).await.attempt("Error creating ACL auth method")?;
    show_method(context, answer.value)
}

pub(super) async fn method_delete(context: &mut Context) -> Outcome {
    let name = context.one_argument("<acl_auth_method_name>")?;
    let client = context.client()?;
    let path = format!("/v1/acl/auth-method/{}", segment(&name));
    client.delete::<Value>(&path, &Query::new()).await.attempt("Error deleting ACL auth method")?;
    context.ui.output(format!("ACL auth method {name} successfully deleted"));
    Ok(0)
}

pub(super) async fn method_info(context: &mut Context) -> Outcome {
    let name = context.one_argument("<acl_auth_method_name>")?;
    let client = context.client()?;
    let path = format!("/v1/acl/auth-method/{}", segment(&name));
    let method = client.get::<Value>(&path, &Query::new()).await.attempt("Error reading ACL auth method")?.value;
    show_method(context, method)
}

pub(super) async fn method_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let found = client.get::<Value>("/v1/acl/auth-methods", &Query::new()).await.attempt("Error listing ACL auth methods")?.value;
    if context.formatted() {
        return context.print_formatted(&found);
    }
    let methods: Vec<ACLAuthMethodListStub> = decoded(found, "Error listing ACL auth methods")?;
    if methods.is_empty() {
        context.ui.output("No ACL auth methods found");
        return Ok(0);
    }
    let mut rows = vec![row!["Name", "Type", "Default"]];
    rows.extend(methods.iter().map(|method| row![method.name, method.r#type, method.default]));
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn method_update(context: &mut Context) -> Outcome {
    let name = context.one_argument("<acl_auth_method_name>")?;
    context.one_format()?;
    let flags = ["type", "max-token-ttl", "token-locality", "token-name-format", "default", "config"];
    if flags.iter().all(|flag| !context.flags.given(flag)) {
        return Err(Failure::new("Please provide at least one flag to update the ACL auth method"));
    }
    let client = context.client()?;
    let path = format!("/v1/acl/auth-method/{}", segment(&name));
    let known = client.get::<ACLAuthMethod>(&path, &Query::new()).await.attempt("Error when retrieving ACL auth method")?.value;
    // What is not given stays as it is on the server: its secrets are not shown to be sent back.
    let mut method = ACLAuthMethod { name, default: known.default, ..ACLAuthMethod::default() };
    with_flags(context, &mut method)?;
    let answer = client.put::<_, Value>(&path, &Query::new(), &method).await.attempt("Error updating ACL auth method")?;
    show_method(context, answer.value)
}

fn show_rule(context: &Context, value: Value) -> Outcome {
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let rule: ACLBindingRule = decoded(value, "Error decoding ACL binding rule")?;
    context.ui.output(pairs(&[
        ("ID", rule.id),
        ("Description", or_none(&rule.description).to_owned()),
        ("Auth Method", rule.auth_method),
        ("Selector", format!("{:?}", rule.selector)),
        ("Bind Type", rule.bind_type),
        ("Bind Name", rule.bind_name),
        ("Create Time", moment(rule.create_time.as_deref())),
        ("Modify Time", moment(rule.modify_time.as_deref())),
        ("Create Index", rule.create_index.to_string()),
        ("Modify Index", rule.modify_index.to_string()),
    ]));
    Ok(0)
}

fn rule_flags(context: &Context, rule: &mut ACLBindingRule) {
    let set = |flag: &str, field: &mut String| {
        if let Some(text) = context.flags.text(flag) {
            text.clone_into(field);
        }
    };
    set("description", &mut rule.description);
    set("selector", &mut rule.selector);
    set("bind-type", &mut rule.bind_type);
    set("bind-name", &mut rule.bind_name);
}

pub(super) async fn rule_create(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let mut rule = ACLBindingRule { auth_method: context.flags.text("auth-method").unwrap_or("").to_owned(), ..ACLBindingRule::default() };
    rule_flags(context, &mut rule);
    if rule.auth_method.is_empty() {
        return Err(Failure::new("ACL binding rule auth method must be specified using the -auth-method flag"));
    }
    if rule.bind_type.is_empty() {
        return Err(Failure::new("ACL binding rule bind type must be specified using the -bind-type flag"));
    }
    let client = context.client()?;
    let answer = client.put::<_, Value>("/v1/acl/binding-rule", &Query::new(), &rule).await.attempt("Error creating ACL binding rule")?;
    show_rule(context, answer.value)
}

pub(super) async fn rule_delete(context: &mut Context) -> Outcome {
    let id = context.one_argument("<acl_binding_rule_id>")?;
    let client = context.client()?;
    let path = format!("/v1/acl/binding-rule/{}", segment(&id));
    client.delete::<Value>(&path, &Query::new()).await.attempt("Error deleting ACL binding rule")?;
    context.ui.output(format!("ACL binding rule {id} successfully deleted"));
    Ok(0)
}

pub(super) async fn rule_info(context: &mut Context) -> Outcome {
    let id = context.one_argument("<acl_binding_rule_id>")?;
    let client = context.client()?;
    let path = format!("/v1/acl/binding-rule/{}", segment(&id));
    let rule = client.get::<Value>(&path, &Query::new()).await.attempt("Error reading ACL binding rule")?.value;
    show_rule(context, rule)
}

pub(super) async fn rule_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let found = client.get::<Value>("/v1/acl/binding-rules", &Query::new()).await.attempt("Error listing ACL binding rules")?.value;
    if context.formatted() {
        return context.print_formatted(&found);
    }
    let rules: Vec<ACLBindingRuleListStub> = decoded(found, "Error listing ACL binding rules")?;
    if rules.is_empty() {
        context.ui.output("No ACL binding rules found");
        return Ok(0);
    }
    let mut rows = vec![row!["ID", "Description", "Auth Method"]];
    rows.extend(rules.iter().map(|rule| row![rule.id, or_none(&rule.description), rule.auth_method]));
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn rule_update(context: &mut Context) -> Outcome {
    let id = context.one_argument("<acl_binding_rule_id>")?;
    context.one_format()?;
    if ["description", "selector", "bind-type", "bind-name"].iter().all(|flag| !context.flags.given(flag)) {
        return Err(Failure::new("Please provide at least one flag to update the ACL binding rule"));
    }
    let client = context.client()?;
    let path = format!("/v1/acl/binding-rule/{}", segment(&id));
    let known = client.get::<ACLBindingRule>(&path, &Query::new()).await.attempt("Error when retrieving ACL binding rule")?.value;
    let mut rule = if context.flags.on("no-merge") {
        if !context.flags.given("bind-type") {
            return Err(Failure::new("ACL binding rule bind type must be specified using the -bind-type flag"));
        }
        ACLBindingRule { id: known.id, auth_method: known.auth_method, ..ACLBindingRule::default() }
    } else {
        known
    };
    rule_flags(context, &mut rule);
    let answer = client.put::<_, Value>(&path, &Query::new(), &rule).await.attempt("Error updating ACL binding rule")?;
    show_rule(context, answer.value)
}
