//! `acl bootstrap` and `acl policy|token|role`.

use drover_api::{ACLPolicy, ACLRole, ACLRolePolicyLink, ACLToken, ACLTokenRoleLink, JobACL};
use serde_json::{Value, json};

use super::node_pool::{decoded, input};
use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::row;
use crate::sdk::{Client, Query, segment};
use crate::text::{pairs, table};

pub(super) const SHOW_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const POLICY_APPLY_FLAGS: &[Flag] = &[
    Flag::value("description", "text", "What the policy is for."),
    Flag::value("job", "job", "Attach the policy to the workloads of this job in the namespace given with -namespace."),
    Flag::value("group", "group", "Attach it to this group of the job alone."),
    Flag::value("task", "task", "Attach it to this task of the group alone."),
];
pub(super) const TOKEN_CREATE_FLAGS: &[Flag] = &[
    Flag::value("name", "name", "The name of the token."),
    Flag::value("type", "client|management", "The kind of token. Default client."),
    Flag::switch("global", "The token is good in every region."),
    Flag::values("policy", "policy", "A policy of the token. May be given several times."),
    Flag::values("role-id", "id", "A role of the token. May be given several times."),
    Flag::values("role-name", "name", "A role of the token. May be given several times."),
    Flag::value("ttl", "duration", "How long the token lasts."),
    Flag::value("accessor", "id", "The accessor of the token, with its secret from a file or standard input."),
    super::JSON,
    super::TEMPLATE,
];
pub(super) const TOKEN_UPDATE_FLAGS: &[Flag] = &[
    Flag::value("name", "name", "The name of the token."),
    Flag::value("type", "client|management", "The kind of token."),
    Flag::values("policy", "policy", "The policies of the token, in place of those that it has."),
    Flag::values("role-id", "id", "The roles of the token, in place of those that it has."),
    Flag::values("role-name", "name", "The roles of the token, in place of those that it has."),
];
pub(super) const ROLE_CREATE_FLAGS: &[Flag] = &[
    Flag::value("name", "name", "The name of the role."),
    Flag::value("description", "text", "What the role is for."),
    Flag::values("policy", "policy", "A policy of the role. May be given several times."),
    super::JSON,
    super::TEMPLATE,
];
pub(super) const ROLE_UPDATE_FLAGS: &[Flag] = &[
    Flag::value("name", "name", "The name of the role."),
    Flag::value("description", "text", "What the role is for."),
    Flag::values("policy", "policy", "A policy of the role. May be given several times."),
    Flag::switch("no-merge", "Replace the role instead of adding to it."),
    super::JSON,
    super::TEMPLATE,
];
pub(super) const ROLE_INFO_FLAGS: &[Flag] = &[Flag::switch("by-name", "The argument is a name."), super::JSON, super::TEMPLATE];

pub(super) fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// A time of the API as it is shown in full.
pub(super) fn moment(text: Option<&str>) -> String {
    match text.and_then(|text| text.split_once('T')) {
        Some((date, time)) => format!("{date} {} +0000 UTC", time.trim_end_matches('Z')),
        None => "<none>".to_owned(),
    }
}

/// Every value of a flag that may be given several times, also separated by commas.
fn values(context: &Context, flag: &str) -> Vec<String> {
    context.flags.values(flag).iter().flat_map(|text| text.split(',')).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

pub(super) async fn bootstrap(context: &mut Context) -> Outcome {
    context.one_format()?;
    let secret = match context.arguments() {
        [] => String::new(),
        [path] => input(context, path)?.trim().to_owned(),
        _ => return Err(Failure::usage("This command takes up to one argument")),
    };
    let client = context.client()?;
    let body = json!({ "BootstrapSecret": secret });
    let answer = client.put::<_, Value>("/v1/acl/bootstrap", &Query::new(), &body).await.attempt("Error bootstrapping")?;
    show_token(context, answer.value)
}

fn show_token(context: &Context, value: Value) -> Outcome {
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let token: ACLToken = decoded(value, "Error decoding token")?;
    let mut rows = vec![
        ("Accessor ID", token.accessor_id),
        ("Secret ID", token.secret_id),
        ("Name", token.name),
        ("Type", token.r#type.clone()),
        ("Global", token.global.to_string()),
        ("Create Time", moment(Some(&token.create_time))),
        ("Expiry Time", moment(token.expiration_time.as_deref())),
        ("Create Index", token.create_index.to_string()),
        ("Modify Index", token.modify_index.to_string()),
    ];
    if token.r#type == "management" {
        rows.extend([("Policies", "n/a".to_owned()), ("Roles", "n/a".to_owned())]);
        context.ui.output(pairs(&rows));
        return Ok(0);
    }
    rows.push(("Policies", format!("[{}]", token.policies.unwrap_or_default().join(" "))));
    context.ui.output(pairs(&rows));
    context.ui.output(format!("\n{}", context.title("Roles")));
    let roles = token.roles.unwrap_or_default();
    if roles.is_empty() {
        context.ui.output("<none>");
        return Ok(0);
    }
    let mut shown = vec![row!["ID", "Name"]];
    shown.extend(roles.iter().map(|role| row![role.id, role.name]));
    context.ui.output(table(&shown));
    Ok(0)
}

pub(super) async fn policy_apply(context: &mut Context) -> Outcome {
    let [name, path] = context.arguments() else {
        return Err(Failure::usage("This command takes two arguments: <name> and <path>"));
    };
    let (name, path) = (name.clone(), path.clone());
    let text = |flag: &str| context.flags.text(flag).unwrap_or("").to_owned();
    let (namespace, job, group, task) = (text("namespace"), text("job"), text("group"), text("task"));
    for (missing, needed, given) in [
        (namespace.is_empty() && !job.is_empty(), "namespace", "job"),
        (job.is_empty() && !group.is_empty(), "job", "group"),
        (group.is_empty() && !task.is_empty(), "group", "task"),
    ] {
        if missing {
            return Err(Failure::new(format!("-{needed} is required if -{given} is set")));
        }
    }
    let rules = if path == "-" {
        input(context, &path)?
    } else {
        let missing = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(format!("Failed to read file: open {path}: no such file or directory")),
            _ => Failure::new(format!("Failed to read file: open {path}: {error}")),
        };
        std::fs::read_to_string(context.environment.directory.join(&path)).map_err(missing)?
    };
    let job_acl = (!namespace.is_empty()).then_some(JobACL { namespace, job_id: job, group, task });
    let policy = ACLPolicy { name: name.clone(), description: text("description"), rules, job_acl, ..ACLPolicy::default() };
    let client = context.client()?;
    let path = format!("/v1/acl/policy/{}", segment(&name));
    client.put::<_, Value>(&path, &Query::new(), &policy).await.attempt("Error writing ACL policy")?;
    context.ui.output(format!("Successfully wrote {name:?} ACL policy!"));
    Ok(0)
}

pub(super) async fn policy_delete(context: &mut Context) -> Outcome {
    let name = context.one_argument("<name>")?;
    let client = context.client()?;
    client.delete::<Value>(&format!("/v1/acl/policy/{}", segment(&name)), &Query::new()).await.attempt("Error deleting ACL policy")?;
    context.ui.output(format!("Successfully deleted {name} policy!"));
    Ok(0)
}

pub(super) async fn policy_info(context: &mut Context) -> Outcome {
    let name = context.one_argument("<name>")?;
    let client = context.client()?;
    let attempt = "Error fetching info on ACL policy";
    let policy = client.get::<ACLPolicy>(&format!("/v1/acl/policy/{}", segment(&name)), &Query::new()).await.attempt(attempt)?.value;
    context.ui.output(pairs(&[
        ("Name", policy.name),
        ("Description", or_none(&policy.description).to_owned()),
        ("CreateIndex", policy.create_index.to_string()),
        ("ModifyIndex", policy.modify_index.to_string()),
    ]));
    if let Some(target) = policy.job_acl {
        context.ui.output(format!("\n{}", context.title("Associated Workload")));
        context.ui.output(pairs(&[
            ("Namespace", target.namespace),
            ("JobID", or_none(&target.job_id).to_owned()),
            ("Group", or_none(&target.group).to_owned()),
            ("Task", or_none(&target.task).to_owned()),
        ]));
    }
    context.ui.output(format!("\n{}\n\n{}", context.title("Rules"), policy.rules));
    Ok(0)
}

pub(super) async fn policy_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let mut found = client.get::<Value>("/v1/acl/policies", &Query::new()).await.attempt("Error listing ACL policies")?.value;
    if context.formatted() {
        // Clients of the API know of no digest.
        found.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut).for_each(|policy| drop(policy.remove("Hash")));
        return context.print_formatted(&found);
    }
    let policies = found.as_array().cloned().unwrap_or_default();
    if policies.is_empty() {
        context.ui.output("No policies found");
        return Ok(0);
    }
    let text = |policy: &Value, name: &str| policy[name].as_str().unwrap_or_default().to_owned();
    let mut rows = vec![row!["Name", "Description"]];
    rows.extend(policies.iter().map(|policy| row![text(policy, "Name"), or_none(&text(policy, "Description"))]));
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn policy_self(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let attempt = "Error fetching info on policy";
    let found = client.get::<Value>("/v1/acl/policy/self", &Query::new()).await.attempt(attempt)?.value;
    let Some(policies) = found.as_array().filter(|policies| !policies.is_empty()) else {
        context.ui.output(if found.is_null() {
            "This is a management token. No individual policies are assigned."
        } else {
            "No policies found for this identity."
        });
        return Ok(0);
    };
    if context.formatted() {
        return context.print_formatted(&found);
    }
    let mut rows = vec![row!["Name", "Job ID", "Group Name", "Task Name"]];
    for policy in policies {
        let part = |name: &str| match policy["JobACL"][name].as_str() {
            None | Some("") => "<unavailable>".to_owned(),
            Some(text) => text.to_owned(),
        };
        rows.push(row![policy["Name"].as_str().unwrap_or_default(), part("JobID"), part("Group"), part("Task")]);
    }
    context.ui.output(table(&rows));
    Ok(0)
}

fn links(context: &Context) -> Option<Vec<ACLTokenRoleLink>> {
    let ids = values(context, "role-id").into_iter().map(|id| ACLTokenRoleLink { id, ..ACLTokenRoleLink::default() });
    let names = values(context, "role-name").into_iter().map(|name| ACLTokenRoleLink { name, ..ACLTokenRoleLink::default() });
    let links: Vec<_> = ids.chain(names).collect();
    (!links.is_empty()).then_some(links)
}

/// Names policies that do not exist: the token gets them all the same.
async fn warn_of_missing(context: &Context, client: &Client, policies: &[String]) {
    for policy in policies {
        if let Err(error) = client.get::<Value>(&format!("/v1/acl/policy/{}", segment(policy)), &Query::new()).await {
            context.ui.warn(format!("Error fetching info on {policy} policy: {error}"));
        }
    }
}

pub(super) async fn token_create(context: &mut Context) -> Outcome {
    context.one_format()?;
    let secret = match context.arguments() {
        [] => String::new(),
        [path] => input(context, path)?.trim().to_owned(),
        _ => return Err(Failure::usage("This command takes up to one argument")),
    };
    let text = |flag: &str| context.flags.text(flag).unwrap_or("").to_owned();
    let policies = values(context, "policy");
    let token = ACLToken {
        accessor_id: text("accessor"),
        secret_id: secret,
        name: text("name"),
        r#type: context.flags.text("type").unwrap_or("client").to_owned(),
        policies: (!policies.is_empty()).then(|| policies.clone()),
        roles: links(context),
        global: context.flags.on("global"),
        expiration_ttl: text("ttl"),
        ..ACLToken::default()
    };
    let client = context.client()?;
    let answer = client.put::<_, Value>("/v1/acl/token", &Query::new(), &token).await.attempt("Error creating token")?;
    warn_of_missing(context, &client, &policies).await;
    show_token(context, answer.value)
}

pub(super) async fn token_delete(context: &mut Context) -> Outcome {
    let accessor = context.one_argument("<token_accessor_id>")?;
    let client = context.client()?;
    client.delete::<Value>(&format!("/v1/acl/token/{}", segment(&accessor)), &Query::new()).await.attempt("Error deleting token")?;
    context.ui.output(format!("Token {accessor} successfully deleted"));
    Ok(0)
}

async fn found_token(client: &Client, accessor: &str) -> Result<Value, Failure> {
    Ok(client.get::<Value>(&format!("/v1/acl/token/{}", segment(accessor)), &Query::new()).await.attempt("Error fetching token")?.value)
}

pub(super) async fn token_info(context: &mut Context) -> Outcome {
    let accessor = context.one_argument("<token_accessor_id>")?;
    let client = context.client()?;
    let token = found_token(&client, &accessor).await?;
    show_token(context, token)
}

pub(super) async fn token_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let found = client.get::<Value>("/v1/acl/tokens", &Query::new()).await.attempt("Error listing ACL tokens")?.value;
    if context.formatted() {
        return context.print_formatted(&found);
    }
    let tokens = found.as_array().cloned().unwrap_or_default();
    if tokens.is_empty() {
        context.ui.output("No tokens found");
        return Ok(0);
    }
    let now = context.clock.now();
    let mut rows = vec![row!["Name", "Type", "Global", "Accessor ID", "Expired"]];
    for token in &tokens {
        let text = |name: &str| token[name].as_str().unwrap_or_default().to_owned();
        let expired = crate::text::parse_time(token["ExpirationTime"].as_str()).is_some_and(|end| end <= now);
        rows.push(row![text("Name"), text("Type"), token["Global"].as_bool().unwrap_or(false), text("AccessorID"), expired]);
    }
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn token_self(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    if context.client_config().token.is_empty() {
        return Err(Failure::new("No token present in the environment or set via the CLI flag"));
    }
    let client = context.client()?;
    let token = client.get::<Value>("/v1/acl/token/self", &Query::new()).await.attempt("Error fetching self token")?.value;
    show_token(context, token)
}

pub(super) async fn token_update(context: &mut Context) -> Outcome {
    let accessor = context.one_argument("<token_accessor_id>")?;
    let client = context.client()?;
    let mut token: ACLToken = decoded(found_token(&client, &accessor).await?, "Error fetching token")?;
    if let Some(name) = context.flags.text("name") {
        name.clone_into(&mut token.name);
    }
    if let Some(kind) = context.flags.text("type") {
        kind.clone_into(&mut token.r#type);
    }
    if context.flags.given("policy") {
        token.policies = Some(values(context, "policy"));
    }
    if context.flags.given("role-id") || context.flags.given("role-name") {
        token.roles = links(context);
    }
    let path = format!("/v1/acl/token/{}", segment(&accessor));
    let answer = client.put::<_, Value>(&path, &Query::new(), &token).await.attempt("Error updating token")?;
    show_token(context, answer.value)
}

fn policies_of(role: &ACLRole) -> String {
    role.policies.iter().flatten().map(|link| link.name.as_str()).collect::<Vec<_>>().join(",")
}

fn show_role(context: &Context, value: Value) -> Outcome {
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let role: ACLRole = decoded(value, "Error decoding ACL role")?;
    context.ui.output(pairs(&[
        ("ID", role.id.clone()),
        ("Name", role.name.clone()),
        ("Description", or_none(&role.description).to_owned()),
        ("Policies", policies_of(&role)),
        ("Create Index", role.create_index.to_string()),
        ("Modify Index", role.modify_index.to_string()),
    ]));
    Ok(0)
}

fn role_links(names: Vec<String>) -> Option<Vec<ACLRolePolicyLink>> {
    (!names.is_empty()).then(|| names.into_iter().map(|name| ACLRolePolicyLink { name }).collect())
}

pub(super) async fn role_create(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let text = |flag: &str| context.flags.text(flag).unwrap_or("").to_owned();
    if text("name").is_empty() {
        return Err(Failure::new("ACL role name must be specified using the -name flag"));
    }
    let policies = values(context, "policy");
    if policies.is_empty() {
        return Err(Failure::new("At least one policy name must be specified using the -policy flag"));
    }
    let role = ACLRole { name: text("name"), description: text("description"), policies: role_links(policies), ..ACLRole::default() };
    let client = context.client()?;
    let answer = client.put::<_, Value>("/v1/acl/role", &Query::new(), &role).await.attempt("Error creating ACL role")?;
    show_role(context, answer.value)
}

pub(super) async fn role_delete(context: &mut Context) -> Outcome {
    let id = context.one_argument("<acl_role_id>")?;
    let client = context.client()?;
    client.delete::<Value>(&format!("/v1/acl/role/{}", segment(&id)), &Query::new()).await.attempt("Error deleting ACL role")?;
    context.ui.output(format!("ACL role {id} successfully deleted"));
    Ok(0)
}

pub(super) async fn role_info(context: &mut Context) -> Outcome {
    let named = context.one_argument("<acl_role_id>")?;
    let client = context.client()?;
    let place = if context.flags.on("by-name") { "role/name" } else { "role" };
    let path = format!("/v1/acl/{place}/{}", segment(&named));
    let role = client.get::<Value>(&path, &Query::new()).await.attempt("Error reading ACL role")?.value;
    show_role(context, role)
}

pub(super) async fn role_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let found = client.get::<Value>("/v1/acl/roles", &Query::new()).await.attempt("Error listing ACL roles")?.value;
    if context.formatted() {
        return context.print_formatted(&found);
    }
    let roles: Vec<ACLRole> = decoded(found, "Error listing ACL roles")?;
    if roles.is_empty() {
        context.ui.output("No ACL roles found");
        return Ok(0);
    }
    let mut rows = vec![row!["ID", "Name", "Description", "Policies"]];
    rows.extend(roles.iter().map(|role| row![role.id, role.name, or_none(&role.description), policies_of(role)]));
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn role_update(context: &mut Context) -> Outcome {
    let id = context.one_argument("<acl_role_id>")?;
    context.one_format()?;
    let text = |flag: &str| context.flags.text(flag).unwrap_or("").to_owned();
    let policies = values(context, "policy");
    let client = context.client()?;
    let path = format!("/v1/acl/role/{}", segment(&id));
    let mut role: ACLRole = client.get::<ACLRole>(&path, &Query::new()).await.attempt("Error reading ACL role")?.value;
    if context.flags.on("no-merge") {
        if text("name").is_empty() {
            return Err(Failure::new("ACL role name must be specified using the -name flag"));
        }
        if policies.is_empty() {
            return Err(Failure::new("At least one policy name must be specified using the -policy flag"));
        }
        role = ACLRole { id, name: text("name"), description: text("description"), policies: role_links(policies), ..ACLRole::default() };
    } else {
        if ["name", "description", "policy"].iter().all(|flag| !context.flags.given(flag)) {
            return Err(Failure::new("Please provide at least one flag to update the ACL role"));
        }
        if let Some(name) = context.flags.text("name") {
            name.clone_into(&mut role.name);
        }
        if let Some(description) = context.flags.text("description") {
            description.clone_into(&mut role.description);
        }
        let mut links = role.policies.take().unwrap_or_default();
        for name in policies {
            if links.iter().all(|link| link.name != name) {
                links.push(ACLRolePolicyLink { name });
            }
        }
        role.policies = Some(links);
    }
    let answer = client.put::<_, Value>(&path, &Query::new(), &role).await.attempt("Error updating ACL role")?;
    show_role(context, answer.value)
}
