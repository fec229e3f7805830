//! What an agent that is stopped has on its disk: `operator raft info|logs|state|migrate-backend`, `operator client-state`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::snapshot::two_spaces;
use crate::command::{Context, Failure, Outcome};
use crate::files::{FileError, Log};
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

fn unread(given: &str) -> impl Fn(FileError) -> Failure {
    let given = given.to_owned();
    move |error| match error {
        FileError::Missing => Failure::new(format!("no raft store (raft.db or wal/) found in {given}")),
        FileError::Unreadable(reason) => Failure::new(format!("failed to read the raft log in {given}: {reason}")),
    }
}

fn stored(context: &Context) -> Result<(Log, String), Failure> {
    let (given, path) = directory(context)?;
    let log = context.files()?.log(&path).map_err(unread(&given))?;
    let shown = log.path.strip_prefix(&context.environment.directory).unwrap_or(&log.path).display().to_string();
    Ok((log, shown))
}

pub(super) async fn info(context: &mut Context) -> Outcome {
    let (log, shown) = stored(context)?;
    context.ui.output(format!("path:        {shown}"));
    context.ui.output(format!("length:      {}", log.indexes.len()));
    context.ui.output(format!("first index: {}", log.indexes.first().copied().unwrap_or_default()));
    context.ui.output(format!("last index:  {}", log.indexes.last().copied().unwrap_or_default()));
    Ok(0)
}

pub(super) async fn logs(context: &mut Context) -> Outcome {
    let (log, _) = stored(context)?;
    for line in &log.lines {
        context.ui.output(if context.flags.on("pretty") { two_spaces(line) } else { line.to_string() });
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
    let tables = context.files()?.replayed(&path, wanted).map_err(unread(&given))?;
    context.ui.output(two_spaces(&json!(tables)));
    Ok(0)
}

pub(super) async fn migrate(context: &mut Context) -> Outcome {
    let (log, shown) = stored(context)?;
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
    if let Some(line) = log.lines.iter().find(|line| line["CommandType"] == "Unreadable") {
        let reason = line["Body"]["Error"].as_str().unwrap_or_default();
        return Err(Failure::new(format!("Migration failed: entry {}: {reason}", line["Index"])));
    }
    context.ui.output("pre-flight checks passed");
    context.ui.output(format!("The log in {shown} has the one form that there is; nothing had to be migrated."));
    Ok(0)
}

pub(super) async fn client_state(context: &mut Context) -> Outcome {
    let given = context.one_argument("<path to client state directory>")?;
    let path = context.environment.directory.join(&given);
    let told: Value = context.files()?.remembered(&path).map_err(|error| {
        Failure::new(match error {
            FileError::Missing => {
                format!("failed to open client state: failed to create state database: open {given}/state.db: no such file or directory")
            }
            FileError::Unreadable(reason) => format!("failed to open client state: {reason}"),
        })
    })?;
    context.ui.output(told.to_string());
    Ok(0)
}
