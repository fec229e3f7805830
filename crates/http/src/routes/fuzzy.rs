//! Searching for a part of a name over all kinds of objects, jobs with everything in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_state::{JobRow, Snapshot};

use super::State;
use super::search::{CONTEXTS, prefix_matches, searchable, table, unknown_context};
use crate::access::{Capability, NodePoolCapability, Scope, require};
use crate::error::ApiError;
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::view;

/// The shortest text that is searched for.
const TEXT_MIN: usize = 2;
/// Matches of one kind that are sent.
const MATCHES_MAX: usize = 100;

/// What was found, by kind. Within a kind, the nearer to the start of the name the better.
#[derive(Default)]
struct Found {
    matches: BTreeMap<&'static str, Vec<(usize, api::FuzzyMatch)>>,
    text: String,
}

impl Found {
    fn consider(&mut self, kind: &'static str, name: &str, scope: &[&str]) {
        if let Some(at) = name.to_lowercase().find(&self.text) {
            let scope = (!scope.is_empty()).then(|| scope.iter().map(|part| (*part).to_owned()).collect());
            self.matches.entry(kind).or_default().push((at, api::FuzzyMatch { id: name.to_owned(), scope }));
        }
    }

    fn job(&mut self, row: &JobRow) {
        let (namespace, id) = (row.id().namespace.as_str(), row.id().id.as_str());
        self.consider("jobs", &row.job().name, &[namespace, id]);
        for group in view::job(row).task_groups.iter().flatten() {
            let group_name = group.name.as_deref().unwrap_or_default();
            self.consider("groups", group_name, &[namespace, id]);
            for service in group.services.iter().flatten() {
                self.consider("services", &service.name, &[namespace, id, group_name]);
            }
            for task in group.tasks.iter().flatten() {
                self.consider("tasks", &task.name, &[namespace, id, group_name]);
                for service in task.services.iter().flatten() {
                    self.consider("services", &service.name, &[namespace, id, group_name, &task.name]);
                }
                for (kind, key) in [("images", "image"), ("commands", "command"), ("classes", "class")] {
                    let text = task.config.as_ref().and_then(|config| config.get(key)).and_then(|value| value.as_ref()?.as_str());
                    if let Some(text) = text {
                        self.consider(kind, text, &[namespace, id, group_name, &task.name]);
                    }
                }
            }
        }
    }
}

/// `PUT /v1/search/fuzzy`.
pub async fn search<S: State>(source: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let asked: api::FuzzySearchRequest = request.json().await?;
    let length = asked.text.chars().count();
    if length < TEXT_MIN {
        return Err(ApiError::by_text(format!("fuzzy search query must be at least {TEXT_MIN} characters, got {length}")));
    }
    let context = if asked.context.is_empty() { "all" } else { asked.context.as_str() };
    let all = context == "all";
    if !all && !CONTEXTS.contains(&context) {
        return Err(unknown_context(context));
    }
    let scope = Scope {
        asked: request.namespace().to_owned(),
        rights: Arc::clone(&request.caller().rights),
        capability: Some(Capability::ReadJob),
    };
    require(all || searchable(&scope, context))?;
    let seen = |own: &&str| (all || *own == context) && searchable(&scope, own);
    let snapshot = source.snapshot();
    let mut found = Found { text: asked.text.to_lowercase(), ..Found::default() };
    let mut truncations = BTreeMap::new();
    let mut matches: BTreeMap<String, Option<Vec<api::FuzzyMatch>>> = BTreeMap::new();
    for context in CONTEXTS.into_iter().filter(seen) {
        truncations.insert(context.to_owned(), false);
        if !look(&snapshot, context, &scope, &mut found) {
            // What is known by its id alone is found by the start of it.
            let (ids, more) = prefix_matches(&snapshot, context, &scope, &asked.text);
            truncations.insert(context.to_owned(), more);
            matches.insert(context.to_owned(), Some(ids.into_iter().map(|id| api::FuzzyMatch { id, scope: None }).collect()));
        }
    }
    for (kind, mut own) in found.matches {
        own.sort_by(|left, right| left.0.cmp(&right.0));
        let of_context = if truncations.contains_key(kind) { kind } else { "jobs" };
        if own.len() > MATCHES_MAX {
            truncations.insert(of_context.to_owned(), true);
        }
        matches.insert(kind.to_owned(), Some(own.into_iter().take(MATCHES_MAX).map(|(_, found)| found).collect()));
    }
    let tables = CONTEXTS.into_iter().filter(seen).filter_map(table);
    let index = tables.map(|table| snapshot.table_index(table)).max().unwrap_or(0);
    let response = api::FuzzySearchResponse {
        matches: Some(matches),
        truncations: Some(truncations),
        index,
        known_leader: true,
        ..api::FuzzySearchResponse::default()
    };
    Ok(Reply::json(&response)?.meta(&Meta::at(index)))
}

/// Looks through one kind; false when its objects have no names to look at.
fn look(snapshot: &Snapshot, context: &str, scope: &Scope, found: &mut Found) -> bool {
    let own = |other: &str| scope.includes(other);
    let rights = &scope.rights;
    match context {
        "jobs" => snapshot.jobs().filter(|row| own(&row.id().namespace)).for_each(|row| found.job(row)),
        "nodes" => snapshot.nodes().for_each(|(_, row)| found.consider("nodes", &row.node.name, &[&row.node.id.to_string()])),
        "allocs" => {
            for alloc in snapshot.allocs().filter(|alloc| own(&alloc.job.id.namespace)) {
                found.consider("allocs", &alloc.name(), &[&alloc.job.id.namespace, &alloc.id.to_string()]);
            }
        }
        "namespaces" => snapshot
            .namespaces()
            .filter(|namespace| rights.any_in_namespace(&namespace.name))
            .for_each(|namespace| found.consider("namespaces", &namespace.name, &[])),
        "node_pools" => snapshot
            .node_pools()
            .filter(|pool| rights.node_pool(&pool.name, NodePoolCapability::Read))
            .for_each(|pool| found.consider("node_pools", &pool.name, &[])),
        "plugins" => {}
        _ => return false,
    }
    true
}
