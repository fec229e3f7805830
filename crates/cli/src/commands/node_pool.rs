//! `node pool list|info|apply|delete|jobs|nodes|init`.

use std::collections::BTreeMap;

use drover_api::{JobListStub, NodeListStub, NodePool, NodePoolSchedulerConfiguration};
use drover_lang::{Problem, Source, config};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve::job_table;
use crate::row;
use crate::sdk::{Client, Query, segment};
use crate::text::{pairs, short, table};

pub(super) const LIST_FLAGS: &[Flag] = &[super::FILTER, super::PAGE_TOKEN, super::PER_PAGE, super::JSON, super::TEMPLATE];
pub(super) const INFO_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const NODES_FLAGS: &[Flag] = &[super::FILTER, super::PAGE_TOKEN, super::PER_PAGE, super::VERBOSE, super::JSON, super::TEMPLATE];
pub(super) const APPLY_FLAGS: &[Flag] = &[Flag::switch("json", "The file is JSON.")];
pub(super) const INIT_FLAGS: &[Flag] =
    &[Flag::value("out", "hcl|json", "The form of the file. Default hcl."), Flag::switch("quiet", "Say nothing.")];

const EXAMPLE_HCL: &str = r#"node_pool "example" {
  description = "Example node pool"

  # Information about the pool, for people and programs.
  meta {
    environment = "prod"
    owner       = "sre"
  }

  # Settings of the scheduler for the nodes of this pool.
  #   scheduler_config {
  #     scheduler_algorithm             = "spread"
  #     memory_oversubscription_enabled = true
  #   }
}
"#;
const EXAMPLE_JSON: &str = r#"{
  "Name": "example",
  "Description": "Example node pool",
  "Meta": {
    "environment": "prod",
    "owner": "sre"
  }
}
"#;

/// The largest file that is read, in bytes.
const FILE_MAX: usize = 1 << 20;

pub(super) fn decoded<T: serde::de::DeserializeOwned>(value: Value, attempt: &str) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::new(format!("{attempt}: {error}")))
}

/// Says how long identities last in words, as clients of the API print it.
fn spell_ttl(pool: &mut Value) {
    if let Some(ttl) = pool.get("NodeIdentityTTL").and_then(Value::as_i64) {
        pool["NodeIdentityTTL"] = Value::String(drover_base::time::go_duration(ttl));
    }
}

pub(super) async fn list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let answer = client.get::<Value>("/v1/node/pools", &super::paged(context)).await.attempt("Error querying node pools")?;
    if context.formatted() {
        let mut value = answer.value;
        value.as_array_mut().into_iter().flatten().for_each(spell_ttl);
        return context.print_formatted(&value);
    }
    let pools: Vec<NodePool> = decoded(answer.value, "Error querying node pools")?;
    if pools.is_empty() {
        context.ui.output("No node pools");
        return Ok(0);
    }
    let mut rows = vec![row!["Name", "Description"]];
    rows.extend(pools.iter().map(|pool| row![pool.name, pool.description]));
    context.ui.output(table(&rows));
    super::next_page(context, "drover node pool list", &["filter", "per-page"], &answer.meta.next_token);
    Ok(0)
}

/// Finds a pool by name or prefix.
async fn found(client: &Client, given: &str, attempt: &str) -> Result<Value, Failure> {
    let pools = client.get::<Vec<Value>>("/v1/node/pools", &Query::new().set("prefix", given)).await.attempt(attempt)?.value;
    let name = |pool: &Value| pool["Name"].as_str().unwrap_or_default().to_owned();
    let exact = pools.iter().find(|pool| name(pool) == given);
    match (exact, pools.as_slice()) {
        (Some(pool), _) => Ok(pool.clone()),
        (None, [pool]) => Ok(pool.clone()),
        (None, []) => Err(Failure::new(format!("{attempt}: No node pool with prefix {given:?} found"))),
        (None, several) => {
            let names: Vec<String> = several.iter().map(name).collect();
            Err(Failure::new(format!("{attempt}: Prefix {given:?} matched multiple node pools\n\n{}", names.join("\n"))))
        }
    }
}

pub(super) async fn info(context: &mut Context) -> Outcome {
    let given = context.one_argument("<node pool>")?;
    context.one_format()?;
    let client = context.client()?;
    let value = found(&client, &given, "Error retrieving node pool").await?;
    if context.formatted() {
        let mut value = value;
        spell_ttl(&mut value);
        return context.print_formatted(&value);
    }
    let pool: NodePool = decoded(value, "Error retrieving node pool")?;
    let mut lines = vec![("Name", pool.name.clone()), ("Description", pool.description.clone())];
    if pool.node_identity_ttl > 0 {
        lines.push(("Node Identity TTL", drover_base::time::go_duration(pool.node_identity_ttl)));
    }
    context.ui.output(pairs(&lines));
    context.ui.output(format!("\n{}", context.title("Metadata")));
    let meta = pool.meta.unwrap_or_default();
    if meta.is_empty() {
        context.ui.output("No metadata");
    } else {
        context.ui.output(pairs(&meta.iter().collect::<Vec<_>>()));
    }
    context.ui.output(format!("\n{}", context.title("Scheduler Configuration")));
    match pool.scheduler_configuration {
        None => context.ui.output("No scheduler configuration"),
        Some(settings) => {
            let mut lines = vec![("Scheduler Algorithm", settings.scheduler_algorithm)];
            if let Some(oversubscribes) = settings.memory_oversubscription_enabled {
                lines.push(("Memory Oversubscription Enabled", oversubscribes.to_string()));
            }
            context.ui.output(pairs(&lines));
        }
    }
    Ok(0)
}

/// The text of a file, or of the input for "-".
pub(super) fn input(context: &Context, path: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("Failed to read input: {error}"));
    let bytes = if path == "-" {
        context.ui.read_input(FILE_MAX).map_err(failed)?
    } else {
        std::fs::read(context.environment.directory.join(path)).map_err(failed)?
    };
    String::from_utf8(bytes).map_err(|_| Failure::new("Failed to parse input content: not UTF-8 text"))
}

/// The pool that a file describes.
fn read(context: &Context, path: &str) -> Result<NodePool, Failure> {
    let text = input(context, path)?;
    let wrong = |reason: String| Failure::new(format!("Failed to parse input content: {reason}"));
    if context.flags.on("json") {
        return serde_json::from_str(&text).map_err(|error| wrong(error.to_string()));
    }
    let problems = |problems: Vec<Problem>| wrong(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let value = config::document(&Source::new(path, text)).map_err(problems)?;
    from_hcl(&value).map_err(wrong)
}

/// The first object of what HCL gives as a list of blocks.
pub(super) fn block<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match &value[name] {
        Value::Array(blocks) => blocks.first(),
        Value::Null => None,
        one => Some(one),
    }
}

fn from_hcl(value: &Value) -> Result<NodePool, String> {
    let labelled = block(value, "node_pool").ok_or("expected a node_pool block")?;
    let (name, inner) = labelled.as_object().and_then(|pools| pools.iter().next()).ok_or("a node_pool block needs a name")?;
    let body = match inner {
        Value::Array(blocks) => blocks.first().ok_or("an empty node_pool block")?,
        one => one,
    };
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let mut meta = BTreeMap::new();
    for (key, value) in block(body, "meta").and_then(Value::as_object).into_iter().flatten() {
        meta.insert(key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let settings = block(body, "scheduler_config").map(|settings| NodePoolSchedulerConfiguration {
        scheduler_algorithm: settings["scheduler_algorithm"].as_str().unwrap_or_default().to_owned(),
        memory_oversubscription_enabled: settings["memory_oversubscription_enabled"].as_bool(),
    });
    let ttl = text("node_identity_ttl");
    let node_identity_ttl = if ttl.is_empty() {
        0
    } else {
        drover_lang::duration::parse_duration(&ttl).map_err(|error| format!("node_identity_ttl: {error}"))?
    };
    Ok(NodePool {
        name: name.clone(),
        description: text("description"),
        meta: (!meta.is_empty()).then_some(meta),
        node_identity_ttl,
        scheduler_configuration: settings,
        ..NodePool::default()
    })
}

pub(super) async fn apply(context: &mut Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    let pool = read(context, &path)?;
    let client = context.client()?;
    client.put::<_, Value>("/v1/node/pools", &Query::new(), &pool).await.attempt("Error applying node pool")?;
    context.ui.output(format!("Successfully applied node pool {:?}!", pool.name));
    Ok(0)
}

pub(super) async fn delete(context: &mut Context) -> Outcome {
    let name = context.one_argument("<node-pool>")?;
    let client = context.client()?;
    let path = format!("/v1/node/pool/{}", segment(&name));
    client.delete::<Value>(&path, &Query::new()).await.attempt("Error deleting node pool")?;
    context.ui.output(format!("Successfully deleted node pool {name:?}!"));
    Ok(0)
}

pub(super) async fn jobs(context: &mut Context) -> Outcome {
    let given = context.one_argument("<node-pool>")?;
    context.one_format()?;
    let client = context.client()?;
    let pool: NodePool = decoded(found(&client, &given, "Error retrieving node pool").await?, "Error retrieving node pool")?;
    let path = format!("/v1/node/pool/{}/jobs", segment(&pool.name));
    let answer = client.get::<Value>(&path, &super::paged(context)).await.attempt("Error querying jobs")?;
    if context.formatted() {
        return context.print_formatted(&answer.value);
    }
    let stubs: Vec<JobListStub> = decoded(answer.value, "Error querying jobs")?;
    if stubs.is_empty() {
        context.ui.output("No jobs");
        return Ok(0);
    }
    context.ui.output(job_table(context, &stubs, client.config().namespace == "*"));
    super::next_page(context, &format!("drover node pool jobs {}", pool.name), &["filter", "per-page"], &answer.meta.next_token);
    Ok(0)
}

pub(super) async fn nodes(context: &mut Context) -> Outcome {
    let given = context.one_argument("<node-pool>")?;
    context.one_format()?;
    let client = context.client()?;
    let pool: NodePool = decoded(found(&client, &given, "Error retrieving node pool").await?, "Error retrieving node pool")?;
    let path = format!("/v1/node/pool/{}/nodes", segment(&pool.name));
    let answer = client.get::<Value>(&path, &super::paged(context)).await.attempt("Error querying nodes")?;
    if context.formatted() {
        return context.print_formatted(&answer.value);
    }
    let stubs: Vec<NodeListStub> = decoded(answer.value, "Error querying nodes")?;
    if stubs.is_empty() {
        context.ui.output("No nodes");
        return Ok(0);
    }
    let mut rows = vec![row!["ID", "DC", "Name", "Class", "Drain", "Eligibility", "Status"]];
    for stub in &stubs {
        let id = short(&stub.id, context.verbose());
        let class = if stub.node_class.is_empty() { "<none>" } else { &stub.node_class };
        rows.push(row![id, stub.datacenter, stub.name, class, stub.drain, stub.scheduling_eligibility, stub.status]);
    }
    context.ui.output(table(&rows));
    super::next_page(context, &format!("drover node pool nodes {}", pool.name), &["filter", "per-page"], &answer.meta.next_token);
    Ok(0)
}

pub(super) async fn init(context: &mut Context) -> Outcome {
    let form = context.flags.text("out").unwrap_or("hcl");
    let (content, usual) = match form {
        "hcl" => (EXAMPLE_HCL, "pool.nomad.hcl"),
        "json" => (EXAMPLE_JSON, "pool.nomad.json"),
        other => return Err(Failure::usage(format!("Unsupported output format {other:?}: must be \"hcl\" or \"json\""))),
    };
    let path = match context.arguments() {
        [] => usual.to_owned(),
        [path] => path.clone(),
        _ => return Err(Failure::usage("This command takes no arguments or one: <filename>")),
    };
    let file = context.environment.directory.join(&path);
    if file.exists() {
        return Err(Failure::new(format!("File {path:?} already exists")));
    }
    std::fs::write(&file, content).map_err(|error| Failure::new(format!("Failed to write {path:?}: {error}")))?;
    if !context.flags.on("quiet") {
        context.ui.output(format!("Example node pool specification written to {path}"));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_read_from_its_file() {
        let value = config::document(&Source::new("pool.hcl", EXAMPLE_HCL)).unwrap();
        let pool = from_hcl(&value).unwrap();
        let json: NodePool = serde_json::from_str(EXAMPLE_JSON).unwrap();
        assert_eq!(pool, json);
    }
}
