//! The description of the API as OpenAPI 3.1, made of the table of routes, of what `operations` says of each route, and of
//! the declarations of the API's types.

mod operation;
mod operations;
pub mod pages;

use std::sync::LazyLock;

use bytes::Bytes;
use drover_api::schema::Definitions;
use drover_model::mirror::Text;
use serde_json::{Map, Value, json};

use crate::access::{Access, Forward};
use crate::agent::Agent;
use crate::home::Home;
use crate::route::{Methods, Route};
use operation::{Gives, Operation, Takes};

/// Parameters that many routes heed: the name, its schema and what it does.
const COMMON: &[(&str, &str, &str)] = &[
    ("index", "integer", "Answers once what is asked for is newer than this index, or when `wait` is over."),
    ("wait", "string", "How long to wait for something newer, as a duration; 5 minutes unless told, and at most."),
    ("stale", "boolean", "Whether a server may answer that does not lead."),
    ("region", "string", "The region that answers; the agent's own unless told."),
    ("namespace", "string", "The namespace, `default` unless told; `*` for all in lists."),
    ("prefix", "string", "Only those whose id, or name, begins with this."),
    ("per_page", "integer", "At most so many; all unless told."),
    ("next_token", "string", "Where to go on, from the header `X-Nomad-NextToken` of the page before."),
    ("filter", "string", "Only those that this expression is true of."),
    ("reverse", "boolean", "Whether the order is turned round."),
    ("pretty", "boolean", "Whether the JSON is indented."),
];

/// The description, encoded once.
pub fn document_bytes() -> Bytes {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document(crate::table::table().routes()).to_string()));
    BYTES.clone()
}

/// The description of these routes.
pub fn document(routes: &[Route<Agent>]) -> Value {
    let mut all = Definitions::default();
    let told = operations::all();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = route.pattern.replace("*}", "}");
        let known = told.iter().find_map(|(area, operations)| {
            let operation = operations.iter().find(|operation| operation.path == path && same(operation.methods, route.methods))?;
            Some((*area, operation))
        });
        // What answers any method and is not told of only says what does not exist.
        if known.is_none() && (route.methods == Methods::Any || route.unsupported.is_some()) {
            continue;
        }
        let plain = operation::op(route.methods, "", "", "");
        let (area, operation) = known.unwrap_or((route.pattern.split('/').nth(2).unwrap_or("agent"), &plain));
        for (method, suffix) in methods(operation.methods) {
            // The first route of a path and method is the one that answers.
            if paths.get(&path).is_some_and(|entry| entry.get(method).is_some()) {
                continue;
            }
            let mut described = describe(route, operation, area, method, &mut all);
            let id = if operation.id.is_empty() { spelt(&path) } else { operation.id.to_owned() };
            described["operationId"] = json!(format!("{id}{suffix}"));
            let entry = paths.entry(path.clone()).or_insert_with(|| json!({ "parameters": path_parameters(&path) }));
            entry[*method] = described;
        }
    }
    let tags: Vec<Value> = told.iter().map(|(area, _)| json!({ "name": area })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Drover",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Runs services, batch jobs and system daemons on a fleet of machines.",
            "description": "Keys of objects are read in any case, `null` counts as the empty value, and what a request leaves out has its default.",
            "license": { "name": "See the repository" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "security": [{}, { "token": [] }, { "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "apiKey", "in": "header", "name": "X-Nomad-Token", "description": "The secret of a token." },
                "bearer": { "type": "http", "scheme": "bearer", "description": "The secret of a token." },
            },
            "parameters": common_parameters(),
            "headers": {
                "Index": { "description": "The index to pass next.", "schema": { "type": "integer" } },
                "LastContact": { "description": "Milliseconds since the answering server heard of the leader.", "schema": { "type": "integer" } },
                "KnownLeader": { "description": "Whether there is a leader.", "schema": { "type": "boolean" } },
                "NextToken": { "description": "Where the next page begins, if there is one.", "schema": { "type": "string" } },
            },
            "schemas": all.into_objects(),
        },
    })
}

/// Whether what is told of some methods belongs to a route: what answers any method is told of one.
fn same(told: Methods, route: Methods) -> bool {
    told == route || route == Methods::Any || told == Methods::Get && route == Methods::GetHead
}

/// The methods that are described, each with what makes its operation's name different.
fn methods(methods: Methods) -> &'static [(&'static str, &'static str)] {
    match methods {
        Methods::Get | Methods::GetHead | Methods::Any => &[("get", "")],
        Methods::Write => &[("put", ""), ("post", "ByPost")],
        Methods::Put => &[("put", "")],
        Methods::Post => &[("post", "")],
        Methods::Delete => &[("delete", "")],
    }
}

/// A name for an operation that has none, out of its path.
fn spelt(path: &str) -> String {
    let words = path.split(['/', '{', '}', '-', '_', '.']).filter(|word| !word.is_empty() && *word != "v1");
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } });
    names.map(parameter).collect()
}

fn common_parameters() -> Map<String, Value> {
    let parameter = |name: &str, kind: &str, doc: &str| {
        let mut schema = json!({ "type": kind });
        if kind == "integer" {
            schema["minimum"] = json!(0);
            schema["maximum"] = json!(i64::MAX);
        }
        json!({ "name": name, "in": "query", "description": doc, "schema": schema })
    };
    COMMON.iter().map(|(name, kind, doc)| ((*name).to_owned(), parameter(name, kind, doc))).collect()
}

fn describe(route: &Route<Agent>, operation: &Operation, area: &str, method: &str, all: &mut Definitions) -> Value {
    let mut parameters: Vec<Value> = COMMON
        .iter()
        .filter(|(name, _, _)| operation.common.contains(name))
        .map(|(name, _, _)| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect();
    for own in &operation.own {
        let mut parameter = json!({ "name": own.name, "in": "query", "description": own.doc, "schema": own.schema });
        if own.required {
            parameter["required"] = json!(true);
        }
        if own.mark {
            parameter["allowEmptyValue"] = json!(true);
        }
        parameters.push(parameter);
    }
    let mut out = json!({
        "tags": [area],
        "summary": operation.summary,
        "description": format!("{} {}", access(route.access), forward(route.forward)),
        "responses": responses(route, operation, all),
    });
    if !parameters.is_empty() {
        out["parameters"] = json!(parameters);
    }
    // A body of a read has no meaning in HTTP, though some are read.
    let body = match operation.takes {
        Takes::Json(schema) if method != "get" => Some(json!({ "application/json": { "schema": schema(all) } })),
        Takes::Bytes => Some(json!({ "application/octet-stream": { "schema": {} } })),
        _ => None,
    };
    if let Some(content) = body {
        out["requestBody"] = json!({ "required": !operation.body_optional, "content": content });
    }
    if matches!(route.access, Access::Public) {
        out["security"] = json!([{}]);
    }
    out
}

fn responses(route: &Route<Agent>, operation: &Operation, all: &mut Definitions) -> Value {
    let mut good = json!({ "description": if operation.good == 204 { "Done." } else { "As asked." } });
    let content = match operation.gives {
        Gives::Nothing => None,
        Gives::Json(schema) => Some(json!({ "application/json": { "schema": schema(all) } })),
        Gives::Bytes => Some(
            json!({ "application/octet-stream": { "schema": {} }, "application/x-gzip": { "schema": {} }, "text/plain": { "schema": {} } }),
        ),
        Gives::Stream => Some(json!({ "application/json": { "schema": {} }, "text/plain": { "schema": {} } })),
        Gives::Upgrade => None,
    };
    if let Some(content) = content {
        good["content"] = content;
    } else if operation.id.is_empty() {
        good["content"] = json!({ "application/json": { "schema": {} } });
    }
    if operation.common.contains(&"index") {
        let mut names = vec![("X-Nomad-Index", "Index"), ("X-Nomad-LastContact", "LastContact"), ("X-Nomad-KnownLeader", "KnownLeader")];
        if operation.common.contains(&"per_page") {
            names.push(("X-Nomad-NextToken", "NextToken"));
        }
        let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
        good["headers"] = names.into_iter().map(|(name, target)| (name.to_owned(), header(target))).collect();
    }
    let mut out: Map<String, Value> = Map::new();
    out.insert(operation.good.to_string(), good);
    // What every route may answer, and then what only this one does.
    let mut failures: Vec<(u16, String)> = vec![
        (400, "Something in the request cannot be read.".to_owned()),
        (405, "The path has no such method.".to_owned()),
        (413, "The body is too large.".to_owned()),
        (429, "Too much at once: try again a little later.".to_owned()),
    ];
    if !matches!(route.access, Access::Public) {
        failures.push((403, "The token may not do that.".to_owned()));
    }
    let passed_on = route.forward != Forward::Local && route.home != Home::Any;
    if passed_on || route.pattern.contains('{') {
        failures.push((404, "There is no such object.".to_owned()));
    }
    if passed_on {
        failures.push((500, "'No path to region': the region that the request is for cannot be reached from here.".to_owned()));
    }
    for (status, when) in failures.into_iter().chain(operation.failures.iter().map(|(status, when)| (*status, (*when).to_owned()))) {
        let answer = out.entry(status.to_string()).or_insert_with(|| {
            json!({ "description": "", "content": { "text/plain": { "schema": { "type": "string" } }, "application/json": { "schema": {} } } })
        });
        if !when.is_empty() {
            answer["description"] = json!(when);
        }
        if answer["description"] == "" {
            answer["description"] = json!("It cannot be done.");
        }
    }
    Value::Object(out)
}

fn access(access: Access) -> String {
    match access {
        Access::Public => "Anybody may ask.".to_owned(),
        Access::Filtered => "Shows what the token may see.".to_owned(),
        Access::Management => "Needs a management token.".to_owned(),
        Access::AnyToken => "Needs a valid token.".to_owned(),
        Access::Namespace(capability) => format!("Needs `{}` in the namespace.", capability.to_text()),
        Access::Listing(capability) => format!("Shows what lies in namespaces where the token has `{}`.", capability.to_text()),
        Access::NodeRead => "Needs `node:read`.".to_owned(),
        Access::NodeWrite => "Needs `node:write`.".to_owned(),
        Access::NodePoolRead => "Needs `read` on the node pool.".to_owned(),
        Access::NodePoolWrite => "Needs `write` on the node pool.".to_owned(),
        Access::NodePoolDelete => "Needs `delete` on the node pool.".to_owned(),
        Access::AgentRead => "Needs `agent:read`.".to_owned(),
        Access::AgentWrite => "Needs `agent:write`.".to_owned(),
        Access::OperatorRead => "Needs `operator:read`.".to_owned(),
        Access::OperatorWrite => "Needs `operator:write`.".to_owned(),
        Access::Operator(capability) => format!("Needs `operator:{}`.", capability.to_text()),
        Access::Variable(capability) => format!("Needs `{}` on the path of the variable.", capability.to_text()),
    }
}

fn forward(forward: Forward) -> &'static str {
    match forward {
        Forward::Local => "The agent answers itself.",
        Forward::Server => "A server answers.",
        Forward::Leader => "The leader answers.",
        Forward::Client => "The client on the node answers.",
    }
}

#[cfg(test)]
mod tests;
