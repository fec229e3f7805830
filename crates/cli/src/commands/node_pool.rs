//! `node pool list|info|apply|delete|jobs|nodes|init`.

use drover_api::{JobListStub, NodeListStub, NodePool};
use drover_lang::diag::underlined;
use drover_lang::specs::{self, Specification};
use drover_lang::{Problem, Source};
use serde::de::DeserializeOwned;
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

pub(super) fn decoded<T: DeserializeOwned>(value: Value, attempt: &str) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::new(format!("{attempt}: {error}")))
}

pub(super) async fn list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let answer = client.get::<Value>("/v1/node/pools", &super::paged(context)).await.attempt("Error querying node pools")?;
    if context.formatted() {
        return context.print_formatted(&answer.value);
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
    specification(context, Specification::NodePool, path, text)
}

/// The object that a file in HCL describes, or everything that is wrong with it, each problem with its line.
pub(super) fn specification<T: DeserializeOwned>(context: &Context, kind: Specification, path: &str, text: String) -> Result<T, Failure> {
    let source = Source::new(if path == "-" { "stdin" } else { path }, text);
    let shown = |problem: &Problem| {
        let line = problem.place.as_ref().map(|place| underlined(place, &[&source])).unwrap_or_default();
        format!("{problem}\n{line}").trim_end().to_owned()
    };
    let wrong = |reason: String| Failure::new(format!("Failed to parse input content: {reason}"));
    let document = specs::parse(kind, &source).map_err(|problems| {
        let errors: Vec<String> = problems.iter().filter(|problem| problem.is_error()).map(shown).collect();
        wrong(errors.join("\n"))
    })?;
    for warning in &document.warnings {
        context.ui.warn(shown(warning));
    }
    document.object().map_err(|error| wrong(error.to_string()))
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
    if std::path::Path::new(&path).exists() {
        return Err(Failure::new(format!("File {path:?} already exists")));
    }
    std::fs::write(&path, content).map_err(|error| Failure::new(format!("Failed to write {path:?}: {error}")))?;
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
        let document = specs::parse(Specification::NodePool, &Source::new("pool.hcl", EXAMPLE_HCL)).unwrap();
        let pool: NodePool = document.object().unwrap();
        let json: NodePool = serde_json::from_str(EXAMPLE_JSON).unwrap();
        assert_eq!(pool, json);
    }
}
