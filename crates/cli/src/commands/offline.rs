//! What an agent that is stopped has on its disk: `operator raft info|logs|state|migrate-backend`, `operator client-state`.

use std::path::{Path, PathBuf};

use drover_model::Command;
use drover_raft::{StoredContent, StoredLog, inspect};
use drover_state::{SnapshotReader, Store};
use serde_json::{Value, json};

use super::snapshot::{tables, two_spaces};
use crate::command::{Context, Failure, Outcome};
use crate::flags::Flag;

pub(super) const LOGS_FLAGS: &[Flag] = &[Flag::switch("pretty", "Indent the JSON.")];
pub(super) const STATE_FLAGS: &[Flag] =
    &[Flag::value("last-index", "index", "The last entry that is applied; counted from the newest when it is not positive.")];
pub(super) const MIGRATE_FLAGS: &[Flag] = &[Flag::switch("yes", "Ask nothing.")];

fn directory(context: &Context) -> Result<(String, PathBuf), Failure> {
    let given = context.one_argument("<path to data directory>")?;
    let path = context.environment.directory.join(&given);
    Ok((given, path))
}

fn stored(given: &str, path: &Path) -> Result<StoredLog, Failure> {
    inspect(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!("no raft store (raft.db or wal/) found in {given}")),
        _ => Failure::new(format!("failed to read the raft log in {given}: {error}")),
    })
}

pub(super) async fn info(context: &mut Context) -> Outcome {
    let (given, path) = directory(context)?;
    let log = stored(&given, &path)?;
    let index = |entry: Option<&drover_raft::StoredEntry>| entry.map_or(0, |entry| entry.index);
    let shown = log.path.strip_prefix(&context.environment.directory).unwrap_or(&log.path);
    context.ui.output(format!("path:        {}", shown.display()));
    context.ui.output(format!("length:      {}", log.entries.len()));
    context.ui.output(format!("first index: {}", index(log.entries.first())));
    context.ui.output(format!("last index:  {}", index(log.entries.last())));
    Ok(0)
}

/// A command's kind and what it says.
fn described(bytes: &[u8]) -> (String, Value) {
    match Command::from_bytes(bytes) {
        Ok(Some(command)) => {
            let text = format!("{:?}", command.change);
            let kind: String = text.chars().take_while(|letter| letter.is_alphanumeric()).collect();
            (kind, json!({ "Time": command.time.rfc3339(), "Change": text }))
        }
        Ok(None) => ("Unknown".to_owned(), json!({ "Skipped": true })),
        Err(error) => ("Unreadable".to_owned(), json!({ "Error": error.to_string() })),
    }
}

pub(super) async fn logs(context: &mut Context) -> Outcome {
    let (given, path) = directory(context)?;
    let log = stored(&given, &path)?;
    for entry in &log.entries {
        let mut line = serde_json::Map::new();
        let (kind, command) = match &entry.content {
            StoredContent::Blank => ("LogNoop", None),
            StoredContent::Members => ("LogConfiguration", None),
            StoredContent::Command(bytes) => ("LogCommand", Some(described(bytes))),
        };
        line.insert("LogType".to_owned(), json!(kind));
        line.insert("Term".to_owned(), json!(entry.term));
        line.insert("Index".to_owned(), json!(entry.index));
        if let Some((kind, body)) = command {
            line.insert("CommandType".to_owned(), json!(kind));
            line.insert("Body".to_owned(), body);
        }
        let line = Value::Object(line);
        context.ui.output(if context.flags.on("pretty") { two_spaces(&line) } else { line.to_string() });
    }
    Ok(0)
}

pub(super) async fn state(context: &mut Context) -> Outcome {
    let (given, path) = directory(context)?;
    let wanted = match context.flags.text("last-index") {
        None => 0,
        Some(text) => {
            text.parse::<i64>().map_err(|_| Failure::usage(format!("invalid value {text:?} for flag -last-index: parse error")))?
        }
    };
    let log = stored(&given, &path)?;
    let newest = log.entries.last().map_or(0, |entry| entry.index);
    let last = if wanted > 0 { wanted.unsigned_abs() } else { newest.saturating_sub(wanted.unsigned_abs()) };
    let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("failed to replay the raft log in {given}: {error}"));
    let mut store = Store::default();
    let mut applied = 0;
    if let Some((index, _, bytes)) = &log.snapshot {
        store = Store::from_snapshot(SnapshotReader::read(bytes).map_err(|error| wrong(&error))?);
        applied = *index;
    }
    for entry in log.entries.iter().filter(|entry| entry.index > applied && entry.index <= last) {
        let index = entry.index + store.ahead_of_log();
        match &entry.content {
            StoredContent::Command(bytes) => match Command::from_bytes(bytes).map_err(|error| wrong(&error))? {
                Some(command) => drop(store.apply(index, command)),
                None => store.skip(index),
            },
            StoredContent::Blank | StoredContent::Members => store.skip(index),
        }
    }
    context.ui.output(two_spaces(&json!(tables(&store.snapshot()))));
    Ok(0)
}

pub(super) async fn migrate(context: &mut Context) -> Outcome {
    let (given, path) = directory(context)?;
    let log = stored(&given, &path)?;
    let shown = log.path.strip_prefix(&context.environment.directory).unwrap_or(&log.path).display().to_string();
    if !context.flags.on("yes") {
        context
            .ui
            .output(format!("The raft log in {shown} is checked for the form that this version writes.\nThe server must be stopped."));
        let answer = context.ui.ask("\nType 'yes' to confirm migration: ");
        let answer = answer.map_err(|error| Failure::new(format!("Failed to read the answer: {error}")))?;
        if answer.as_deref() != Some("yes") {
            context.ui.output("Migration cancelled.");
            return Ok(0);
        }
    }
    context.ui.output("starting migration pre-flight checks");
    for entry in &log.entries {
        if let StoredContent::Command(bytes) = &entry.content {
            Command::from_bytes(bytes).map_err(|error| Failure::new(format!("Migration failed: entry {}: {error}", entry.index)))?;
        }
    }
    context.ui.output("pre-flight checks passed");
    context.ui.output(format!("The log in {shown} has the one form that there is; nothing had to be migrated."));
    Ok(0)
}

pub(super) async fn client_state(context: &mut Context) -> Outcome {
    let given = context.one_argument("<path to client state directory>")?;
    let directory = context.environment.directory.join(&given);
    let wrong = |text: String| Failure::new(format!("failed to open client state: {text}"));
    if !directory.join("state.redb").is_file() {
        return Err(wrong(format!("failed to create state database: open {given}/state.db: no such file or directory")));
    }
    let (store, remembered) = drover_client::store::Store::open(&directory).map_err(|error| wrong(error.to_string()))?;
    let mut allocs = serde_json::Map::new();
    for one in remembered {
        let state = one.state.unwrap_or_default();
        let tasks: serde_json::Map<String, Value> = state
            .tasks
            .iter()
            .map(|(name, task)| {
                let handle = state.handles.get(name).map(|handle| format!("{handle:?}"));
                (name.clone(), json!({ "State": task.status.text(), "Failed": task.failed, "Restarts": task.restarts, "Handle": handle }))
            })
            .collect();
        let alloc = json!({
            "ID": one.alloc.id.to_string(), "JobID": one.alloc.job.id.id, "Namespace": one.alloc.job.id.namespace,
            "JobVersion": one.alloc.job.version,
        });
        let health = state.health.map(|health| json!({ "Healthy": health.healthy, "Timestamp": health.time.rfc3339() }));
        allocs.insert(one.alloc.id.to_string(), json!({ "Alloc": alloc, "DeployStatus": health, "Tasks": tasks }));
    }
    drop(store);
    context.ui.output(json!({ "Allocations": allocs, "NodeIdentity": "" }).to_string());
    Ok(0)
}
