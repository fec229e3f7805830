//! `operator snapshot`: the whole state in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_state::{Archive, Snapshot, read_archive};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::row;
use crate::sdk::Query;
use crate::text::{bytes, pairs, table};

pub(super) const SAVE_FLAGS: &[Flag] =
    &[Flag::switch("stale", "Let a server answer that does not lead."), Flag::switch("redact", "Take the secrets of the keyring out.")];
pub(super) const INSPECT_FLAGS: &[Flag] = &[super::JSON];
pub(super) const STATE_FLAGS: &[Flag] = &[Flag::value("filter", "expression", "Only objects that match.")];

fn usage(error: String) -> Failure {
    Failure::usage(error)
}

pub(super) async fn save(context: &mut Context) -> Outcome {
    let now = context.clock.now();
    let name = match context.arguments() {
        [] => {
            let time = crate::text::Zone::utc().time(now);
            format!("nomad-state-{}-{}.snap", time.split('T').next().unwrap_or("").replace('-', ""), now.0 / 1_000_000_000)
        }
        [name] => name.clone(),
        _ => return Err(usage("This command takes one argument: <filename>".to_owned())),
    };
    let path = context.environment.directory.join(&name);
    if path.exists() {
        return Err(usage(format!("Destination file already exists: {name:?}")));
    }
    let client = context.client()?;
    let query = if context.flags.on("stale") { Query::new().set("stale", true) } else { Query::new() };
    let response = client.raw(reqwest::Method::GET, "/v1/operator/snapshot", &query, None).await.attempt("Failed to get snapshot")?;
    let code = response.status().as_u16();
    let digest = response.headers().get("digest").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let broken = |error: &dyn std::fmt::Display| Failure::new(format!("Failed to download snapshot file: {error}"));
    let body = response.bytes().await.map_err(|error| broken(&error))?;
    if code != 200 {
        let text = String::from_utf8_lossy(&body);
        return Err(Failure::new(format!("Failed to get snapshot: Unexpected response code: {code} ({})", text.trim_end())));
    }
    let found = format!("sha-256={}", STANDARD.encode(Sha256::digest(&body)));
    if !digest.is_empty() && digest != found {
        return Err(broken(&format!("its checksum is {found}, the server said {digest}")));
    }
    let body = if context.flags.on("redact") { redacted(&body).map_err(|error| broken(&error))? } else { body.to_vec() };
    // What is cut off must never look like a whole file.
    let unfinished = path.with_file_name(format!("{}.tmp", path.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&unfinished, &body).and_then(|()| std::fs::rename(&unfinished, &path)).map_err(|error| broken(&error))?;
    context.ui.output(format!("State file written to {name}"));
    Ok(0)
}

fn open(context: &Context, name: &str) -> Result<(PathBuf, Vec<u8>), String> {
    let path = context.environment.directory.join(name);
    let read = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("open {name}: no such file or directory"),
        _ => format!("open {name}: {error}"),
    });
    Ok((path, read?))
}

pub(super) async fn restore(context: &mut Context) -> Outcome {
    let name = context.one_argument("<filename>")?;
    let (_, body) = open(context, &name).map_err(|error| Failure::new(format!("Error opening snapshot file: {error:?}")))?;
    let client = context.client()?;
    let response = client.raw(reqwest::Method::PUT, "/v1/operator/snapshot", &Query::new(), Some(body)).await;
    let response = response.attempt("Failed to get restore snapshot")?;
    let code = response.status().as_u16();
    if code != 200 {
        let text = response.text().await.unwrap_or_default();
        return Err(Failure::new(format!("Failed to get restore snapshot: Unexpected response code: {code} ({})", text.trim_end())));
    }
    context.ui.output("Snapshot Restored");
    Ok(0)
}

fn read(context: &Context, name: &str, attempt: &str) -> Result<(Archive, Snapshot), Failure> {
    let (_, body) = open(context, name).map_err(|error| Failure::new(format!("Error opening snapshot file: {error}")))?;
    let wrong = |error: drover_state::ArchiveError| {
        let text = error.to_string();
        let text = text.strip_prefix("failed to decompress snapshot: ").unwrap_or(&text);
        // A file that ends before it has begun is simply at its end.
        Failure::new(format!("{attempt}: {}", if text == "unexpected EOF" { "EOF" } else { text }))
    };
    let archive = read_archive(&body).map_err(wrong)?;
    let state = archive.state().map_err(wrong)?;
    Ok((archive, state))
}

/// How many rows each kind of object has, and about how large they are.
fn sizes(state: &Snapshot) -> Vec<(&'static str, usize, usize)> {
    fn of<T: minicbor::Encode<()>>(rows: impl Iterator<Item = T>) -> (usize, usize) {
        rows.map(|row| minicbor::to_vec(row).map_or(0, |bytes| bytes.len())).fold((0, 0), |(count, size), row| (count + 1, size + row))
    }
    let versions = state.jobs().flat_map(|row| row.versions.iter().map(|version| version.job.as_ref().clone()));
    let groups = [
        ("Job", of(state.jobs().map(|row| row.job().as_ref().clone()))),
        ("JobVersion", of(versions)),
        ("Node", of(state.nodes().map(|(_, row)| row.node.as_ref().clone()))),
        ("Eval", of(state.evals().map(|row| row.as_ref().clone()))),
        ("Deployment", of(state.deployments().map(|row| row.as_ref().clone()))),
        ("NodePool", of(state.node_pools().map(|row| row.as_ref().clone()))),
        ("Namespace", of(state.namespaces().map(|row| row.as_ref().clone()))),
        ("SchedulerConfig", of(std::iter::once(state.scheduler_config().as_ref().clone()))),
        ("ServiceRegistration", of(state.services().map(|row| row.as_ref().clone()))),
        ("Variables", of(state.variables().map(|row| row.as_ref().clone()))),
        ("WrappedRootKeys", of(state.root_keys().map(|row| row.as_ref().clone()))),
        ("ACLToken", of(state.acl_tokens().map(|row| row.as_ref().clone()))),
        ("ACLPolicy", of(state.acl_policies().map(|row| row.policy.clone()))),
    ];
    groups.into_iter().map(|(name, (count, size))| (name, count, size)).filter(|(_, count, _)| *count > 0).collect()
}

pub(super) async fn inspect(context: &mut Context) -> Outcome {
    let name = context.one_argument("<file>")?;
    let (archive, state) = read(context, &name, "Error inspecting snapshot")?;
    let meta = &archive.meta;
    let mut groups = sizes(&state);
    // Allocations share what they have in common, so they are what is left of the whole.
    let allocs = state.allocs().count();
    let rest = archive.bytes.len().saturating_sub(groups.iter().map(|(_, _, size)| size).sum());
    if allocs > 0 {
        groups.push(("Alloc", allocs, rest));
    } else {
        groups.push(("Index", drover_state::Table::ALL.len(), rest));
    }
    groups.sort_by(|one, other| other.2.cmp(&one.2).then(one.0.cmp(other.0)));
    let total: usize = groups.iter().map(|(_, count, _)| count).sum();
    let created = crate::text::Zone::utc().time(meta.created);
    if context.flags.on("json") {
        let stats: Vec<Value> = groups.iter().map(|(name, count, size)| json!({ "Name": name, "Count": count, "Size": size })).collect();
        let meta = json!({
            "Created": created, "ID": meta.id, "Size": meta.size, "Index": meta.index, "Term": meta.term, "Version": meta.version,
        });
        context.ui.output(crate::text::json(&json!({ "Meta": meta, "Stats": stats })));
        return Ok(0);
    }
    context.ui.output(pairs(&[
        ("Created", created),
        ("ID", meta.id.clone()),
        ("Size", bytes(meta.size)),
        ("Index", meta.index.to_string()),
        ("Term", meta.term.to_string()),
        ("Version", meta.version.to_string()),
    ]));
    let mut rows = vec![row!["Type", "Count", "Size"]];
    rows.extend(groups.iter().map(|(name, count, size)| row![name, count, bytes(*size as u64)]));
    let whole = row!["Total", total, bytes(archive.bytes.len() as u64)];
    rows.push(whole);
    let text = table(&rows);
    let (body, last) = text.rsplit_once('\n').unwrap_or(("", &text));
    context.ui.output(format!("\n{body}\n\n{last}"));
    Ok(0)
}

/// An archive without the material of the keyring.
fn redacted(body: &[u8]) -> Result<Vec<u8>, drover_state::ArchiveError> {
    let archive = read_archive(body)?;
    let state = archive.state()?.without_key_material();
    let bytes = drover_state::write_snapshot(&state);
    Ok(drover_state::write_archive(&bytes, archive.meta.index, archive.meta.term, archive.meta.created))
}

pub(super) async fn redact(context: &mut Context) -> Outcome {
    let name = context.one_argument("<file>")?;
    let (path, body) = open(context, &name).map_err(|error| Failure::new(format!("Error opening snapshot file: {error}")))?;
    let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("Failed to redact snapshot: {error}"));
    let body = redacted(&body).map_err(|error| wrong(&error))?;
    let unfinished = Path::new(&format!("{}.tmp", path.display())).to_owned();
    std::fs::write(&unfinished, body).and_then(|()| std::fs::rename(&unfinished, &path)).map_err(|error| wrong(&error))?;
    context.ui.output("Snapshot redacted");
    Ok(0)
}

pub(super) async fn state(context: &mut Context) -> Outcome {
    let name = context.one_argument("<file>")?;
    let (archive, state) = read(context, &name, "Failed to read archive file")?;
    let meta = json!([{ "ID": archive.meta.id, "Index": archive.meta.index, "Term": archive.meta.term, "Size": archive.meta.size }]);
    let mut tables = tables(&state);
    tables.insert("SnapshotMeta".to_owned(), meta);
    if let Some(filter) = context.flags.text("filter") {
        filtered(&mut tables, filter)?;
    }
    context.ui.output(two_spaces(&json!(tables)));
    Ok(0)
}

fn filtered(tables: &mut BTreeMap<String, Value>, text: &str) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("Failed to evaluate filter: {error}"));
    let filter = drover_lang::filter::Filter::parse(text).map_err(|error| wrong(&error))?;
    for rows in tables.values_mut().filter_map(Value::as_array_mut) {
        // An object that has no such field does not match.
        rows.retain(|row| filter.matches(row, drover_lang::filter::Shape::untyped()).unwrap_or(false));
    }
    Ok(())
}

/// JSON with two spaces per level, as tools of this kind write it.
pub(super) fn two_spaces(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The state as tables of objects; secrets and key material are not among it.
pub(super) fn tables(state: &Snapshot) -> BTreeMap<String, Value> {
    use drover_model::JobView;
    let time = |time: drover_base::WallTime| time.0;
    let list = |rows: Vec<Value>| Value::Array(rows);
    let job = |row: &drover_state::JobRow| json!(row.job().to_api(&JobView::default()));
    let versions = state.jobs().flat_map(|row| row.versions.iter().map(|version| json!(version.job.to_api(&JobView::default()))));
    let allocs = state.allocs().map(|alloc| {
        json!({
            "ID": alloc.id.to_string(), "Namespace": alloc.job.id.namespace, "JobID": alloc.job.id.id, "EvalID": alloc.eval_id.to_string(),
            "NodeID": alloc.node_id.to_string(), "TaskGroup": alloc.task_group().name, "DesiredStatus": alloc.desired.text(),
            "ClientStatus": alloc.client_status.text(), "CreateIndex": alloc.create_index, "ModifyIndex": alloc.modify_index,
        })
    });
    let evals = state.evals().map(|eval| {
        json!({
            "ID": eval.id.to_string(), "Namespace": eval.job_id.namespace, "JobID": eval.job_id.id, "Type": eval.kind.text(),
            "Priority": eval.priority, "Status": eval.status.text(), "TriggeredBy": eval.trigger.text(),
            "CreateIndex": eval.create_index, "ModifyIndex": eval.modify_index,
        })
    });
    let deployments = state.deployments().map(|one| {
        json!({
            "ID": one.id.to_string(), "Namespace": one.job_id.namespace, "JobID": one.job_id.id, "Status": one.status.text(),
            "StatusDescription": one.status_description, "CreateIndex": one.create_index, "ModifyIndex": one.modify_index,
        })
    });
    let nodes = state.nodes().map(|(_, row)| {
        json!({
            "ID": row.node.id.to_string(), "Name": row.node.name, "Datacenter": row.node.datacenter, "NodePool": row.node.node_pool,
            "NodeClass": row.node.node_class, "Status": row.status.text(), "Attributes": row.node.attributes, "Meta": row.node.meta,
        })
    });
    let keys = state.root_keys().map(|key| json!({ "KeyID": key.id, "State": key.state.text(), "CreateTime": time(key.create_time) }));
    let tokens = state.acl_tokens().map(|token| {
        json!({
            "AccessorID": token.accessor, "Name": token.name, "Type": token.kind.text(), "Policies": token.policies,
            "CreateIndex": token.create_index, "ModifyIndex": token.modify_index,
        })
    });
    let policies = state
        .acl_policies()
        .map(|row| json!({ "Name": row.policy.name, "Description": row.policy.description, "Rules": row.policy.rules }));
    let indexes = drover_state::Table::ALL.iter().map(|table| json!({ "Key": table.text(), "Value": state.table_index(*table) }));
    let services = state.services().map(|one| json!({ "ID": one.id, "Namespace": one.namespace, "ServiceName": one.service_name }));
    let pools = state.node_pools().map(|pool| json!({ "Name": pool.name, "Description": pool.description, "Meta": pool.meta }));
    let namespaces = state.namespaces().map(|one| json!({ "Name": one.name, "Description": one.description, "Meta": one.meta }));
    let variables = state.variables().map(|one| json!({ "Namespace": one.namespace, "Path": one.path, "KeyID": one.key_id }));
    let entries = [
        ("ACLPolicies", list(policies.collect())),
        ("ACLTokens", list(tokens.collect())),
        ("Allocs", list(allocs.collect())),
        ("CSIPlugins", list(Vec::new())),
        ("CSIVolumes", list(Vec::new())),
        ("Deployments", list(deployments.collect())),
        ("Evals", list(evals.collect())),
        ("Indexes", list(indexes.collect())),
        (
            "JobSummaries",
            list(
                state
                    .jobs()
                    .map(|row| json!({ "JobID": row.id().id, "Namespace": row.id().namespace, "Summary": format!("{:?}", row.summary) }))
                    .collect(),
            ),
        ),
        ("JobVersions", list(versions.collect())),
        ("Jobs", list(state.jobs().map(|row| job(row)).collect())),
        ("Namespaces", list(namespaces.collect())),
        ("NodePools", list(pools.collect())),
        ("Nodes", list(nodes.collect())),
        ("PeriodicLaunches", list(Vec::new())),
        ("RootKeys", list(keys.collect())),
        ("ScalingEvents", list(Vec::new())),
        ("ScalingPolicies", list(Vec::new())),
        ("ServiceRegistrations", list(services.collect())),
        ("Variables", list(variables.collect())),
    ];
    entries.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect()
}
