//! Searching for a part of a name over all kinds of objects, jobs with everything in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_model::variable::Variable;
use drover_state::{JobRow, Snapshot};

use super::search::{CONTEXTS, prefix_matches, searchable, table, unknown_context};
use crate::access::{Capability, NodePoolCapability, Scope, VariableCapability, require};
use crate::agent::Agent;
use crate::blocking::Source as _;
use crate::error::ApiError;
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::view;

/// The bounds of a search, as `server.search` sets them.
#[derive(Clone, Copy, Debug)]
struct Limits {
    enabled: bool,
    /// Matches of one kind that are sent.
    sent: usize,
    /// Matches of one kind that are looked for.
    found: usize,
    /// The shortest text that is searched for, in letters.
    shortest: usize,
}

impl Limits {
    /// What is found beyond this is not kept, whatever is set.
    const FOUND_MAX: usize = 10_000;

    fn of(agent: &Agent) -> Self {
        let set = agent.facts.config.server.as_ref().and_then(|server| server.search.as_ref());
        let Some(set) = set else { return Self { enabled: true, sent: 20, found: 100, shortest: 2 } };
        let bound = |number: i64| usize::try_from(number).unwrap_or(0).min(Self::FOUND_MAX);
        Self {
            enabled: set.fuzzy_enabled,
            sent: bound(set.limit_query),
            found: bound(set.limit_results),
            shortest: bound(set.min_term_length),
        }
    }
}

/// What was found, by kind. Within a kind, the nearer to the start of the name the better.
#[derive(Default)]
struct Found {
    matches: BTreeMap<&'static str, Vec<(usize, api::FuzzyMatch)>>,
    text: String,
    /// So many of one kind are kept, and one more, which tells that there are more.
    most: usize,
}

impl Found {
    fn consider(&mut self, kind: &'static str, name: &str, scope: &[&str]) {
        if let Some(at) = name.to_lowercase().find(&self.text) {
            let of_kind = self.matches.entry(kind).or_default();
            if of_kind.len() <= self.most {
                let scope = (!scope.is_empty()).then(|| scope.iter().map(|part| (*part).to_owned()).collect());
                of_kind.push((at, api::FuzzyMatch { id: name.to_owned(), scope }));
            }
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
pub async fn search(source: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let asked: api::FuzzySearchRequest = request.json().await?;
    let limits = Limits::of(&source);
    if !limits.enabled {
        return Err(ApiError::by_text("fuzzy search is not enabled"));
    }
    let (length, shortest) = (asked.text.chars().count(), limits.shortest);
    if length < shortest {
        return Err(ApiError::by_text(format!("fuzzy search query must be at least {shortest} characters, got {length}")));
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
    let mut found = Found { text: asked.text.to_lowercase(), most: limits.found, ..Found::default() };
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
        own.sort_by_key(|(at, _)| *at);
        let of_context = if truncations.contains_key(kind) { kind } else { "jobs" };
        if own.len() > limits.sent {
            truncations.insert(of_context.to_owned(), true);
        }
        matches.insert(kind.to_owned(), Some(own.into_iter().take(limits.sent).map(|(_, found)| found).collect()));
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
        "vars" => {
            let may = |variable: &Variable| rights.variable(&variable.namespace, &variable.path, VariableCapability::List);
            let asked = |variable: &Variable| scope.asked == "*" || scope.asked == variable.namespace;
            for variable in snapshot.variables().filter(|variable| asked(variable) && may(variable)) {
                found.consider("vars", &variable.path, &[&variable.namespace, &variable.path]);
            }
        }
        "plugins" => {}
        _ => return false,
    }
    true
}
