//! Searching by prefix over all kinds of objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_model::variable::Variable;
use drover_state::{JobRow, Snapshot, Table};

use super::State;
use crate::access::{Capability, NodePoolCapability, Scope, VariableCapability, require};
use crate::error::ApiError;
use crate::ids;
use crate::reply::{Meta, Reply};
use crate::request::Request;

/// Matches of one kind that are sent.
const MATCHES_MAX: usize = 20;

/// Every kind by its name in requests, in the order that error texts have them.
pub(super) const CONTEXTS: [&str; 12] = [
    "allocs",
    "jobs",
    "nodes",
    "node_pools",
    "evals",
    "deployment",
    "plugins",
    "volumes",
    "scaling_policy",
    "vars",
    "namespaces",
    "host_volumes",
];

/// `PUT /v1/search`.
pub async fn prefix<S: State>(source: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let asked: api::SearchRequest = request.json().await?;
    let scope = Scope {
        asked: request.namespace().to_owned(),
        rights: Arc::clone(&request.caller().rights),
        capability: Some(Capability::ReadJob),
    };
    let all = asked.context == "all";
    if !all && !CONTEXTS.contains(&asked.context.as_str()) {
        return Err(unknown_context(&asked.context));
    }
    require(all || searchable(&scope, &asked.context))?;
    let seen = |context: &&str| (all || *context == asked.context) && searchable(&scope, context);
    let snapshot = source.snapshot();
    let mut matches = BTreeMap::new();
    let mut truncations = BTreeMap::new();
    for context in CONTEXTS.into_iter().filter(seen) {
        if is_id(context) && !is_digits(&asked.prefix) {
            if !all {
                matches.insert(context.to_owned(), None);
                truncations.insert(context.to_owned(), false);
            }
            continue;
        }
        let (found, more) = prefix_matches(&snapshot, context, &scope, &asked.prefix);
        truncations.insert(context.to_owned(), more);
        matches.insert(context.to_owned(), (!found.is_empty()).then_some(found));
    }
    let tables = CONTEXTS.into_iter().filter(seen).filter_map(table);
    let index = tables.map(|table| snapshot.table_index(table)).max().unwrap_or(0);
    let response = api::SearchResponse {
        matches: Some(matches),
        truncations: Some(truncations),
        index,
        known_leader: true,
        ..api::SearchResponse::default()
    };
    Ok(Reply::json(&response)?.meta(&Meta::at(index)))
}

pub(super) fn unknown_context(given: &str) -> ApiError {
    let known = CONTEXTS.join(" ");
    ApiError::by_text(format!("context must be one of [{known}] or 'all' for all contexts; got {given:?}"))
}

/// Digits of a full id.
const ID_DIGITS: usize = 32;

/// Whether objects of a kind are known by ids. Prefixes of ids are digits; other texts match none of these.
fn is_id(context: &str) -> bool {
    matches!(context, "allocs" | "nodes" | "evals" | "deployment")
}

fn is_digits(text: &str) -> bool {
    text.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}

/// What starts with a text, and whether there is more of it than is sent.
pub(super) fn prefix_matches(snapshot: &Snapshot, context: &str, scope: &Scope, prefix: &str) -> (Vec<String>, bool) {
    let wanted = if is_id(context) { prefix.replace('-', "").to_ascii_lowercase() } else { prefix.to_owned() };
    if is_id(context) && (!is_digits(prefix) || wanted.len() > ID_DIGITS) {
        return (Vec::new(), false);
    }
    let mut found = candidates(snapshot, context, scope, &wanted);
    let more = found.len() > MATCHES_MAX;
    found.truncate(MATCHES_MAX);
    (found, more)
}

/// Whether the caller may search among objects of a kind at all.
pub(super) fn searchable(scope: &Scope, context: &str) -> bool {
    let rights = &scope.rights;
    let may = |capability: Capability| match scope.asked.as_str() {
        "*" => rights.some_namespace(capability),
        namespace => rights.namespace(namespace, capability),
    };
    match context {
        "nodes" => rights.node_read(),
        "node_pools" => rights.some_node_pool(),
        "namespaces" => Capability::ALL.iter().any(|capability| rights.some_namespace(*capability)),
        "vars" => rights.some_variable(&scope.asked),
        "plugins" => rights.plugin_list(),
        "volumes" => may(Capability::CsiListVolume) || may(Capability::ReadJob),
        "host_volumes" => may(Capability::HostVolumeRead),
        _ => may(Capability::ReadJob),
    }
}

/// Where objects of a kind are; none for kinds that do not exist here.
pub(super) fn table(context: &str) -> Option<Table> {
    match context {
        "allocs" => Some(Table::Allocs),
        "jobs" => Some(Table::Jobs),
        "nodes" => Some(Table::Nodes),
        "node_pools" => Some(Table::NodePools),
        "evals" => Some(Table::Evals),
        "deployment" => Some(Table::Deployments),
        "namespaces" => Some(Table::Namespaces),
        "scaling_policy" => Some(Table::Jobs),
        "vars" => Some(Table::Variables),
        _ => None,
    }
}

/// One more than is sent, so that it is known whether there are more.
fn candidates(snapshot: &Snapshot, context: &str, scope: &Scope, wanted: &str) -> Vec<String> {
    let limit = MATCHES_MAX + 1;
    let own = |other: &str| scope.includes(other);
    match context {
        "jobs" => {
            let jobs = super::ordered::jobs_with_prefix(snapshot, scope.namespace(), wanted, None);
            let jobs = jobs.filter(|row| own(&row.id().namespace) && row.id().id.starts_with(wanted));
            jobs.map(|row| row.id().id.clone()).take(limit).collect()
        }
        "nodes" => snapshot.nodes_by_id(ids::range(wanted)).map(|row| row.node.id.to_string()).take(limit).collect(),
        "allocs" => {
            let allocs = snapshot.allocs_by_id(ids::range(wanted)).filter(|alloc| own(&alloc.job.id.namespace));
            allocs.map(|alloc| alloc.id.to_string()).take(limit).collect()
        }
        "evals" => {
            let evals = snapshot.evals_by_id(ids::range(wanted)).filter(|eval| own(&eval.job_id.namespace));
            evals.map(|eval| eval.id.to_string()).take(limit).collect()
        }
        "deployment" => {
            let deployments = snapshot.deployments_by_id(ids::range(wanted)).filter(|deployment| own(&deployment.job_id.namespace));
            deployments.map(|deployment| deployment.id.to_string()).take(limit).collect()
        }
        "vars" => {
            let may = |variable: &Variable| scope.rights.variable(&variable.namespace, &variable.path, VariableCapability::List);
            let asked = |variable: &Variable| scope.asked == "*" || scope.asked == variable.namespace;
            let found = snapshot.variables().filter(|variable| asked(variable) && variable.path.starts_with(wanted) && may(variable));
            found.map(|variable| variable.path.clone()).take(limit).collect()
        }
        "namespaces" => {
            let names = snapshot.namespaces().map(|namespace| &namespace.name);
            names.filter(|name| name.starts_with(wanted) && scope.rights.any_in_namespace(name)).take(limit).cloned().collect()
        }
        "scaling_policy" => {
            let scaled = |row: &&Arc<JobRow>| {
                let of_task = |task: &drover_model::Task| task.scaling_policies.is_some();
                row.job().task_groups.iter().any(|group| group.scaling.is_some() || group.tasks.iter().any(of_task))
            };
            let rows = snapshot.jobs().filter(|row| own(&row.id().namespace)).filter(scaled);
            let ids = rows.flat_map(|row| super::scaling::policies(row)).map(|policy| policy.id);
            let mut found: Vec<String> = ids.filter(|id| id.replace('-', "").starts_with(wanted)).collect();
            found.sort();
            found
        }
        "node_pools" => {
            let names = snapshot.node_pools().map(|pool| &pool.name);
            names
                .filter(|name| name.starts_with(wanted) && scope.rights.node_pool(name, NodePoolCapability::Read))
                .take(limit)
                .cloned()
                .collect()
        }
        _ => Vec::new(),
    }
}
