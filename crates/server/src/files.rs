//! What servers leave in files, told without a server: saved states, and the log of one that is stopped.
//!
//! Secrets and the material of keys are never told.

use std::path::{Path, PathBuf};

use drover_model::Command;
use drover_raft::{StoredContent, StoredEntry, inspect};
use drover_state::{Archive, ArchiveError, ArchiveMeta, Snapshot, SnapshotReader, Store, read_archive, write_archive, write_snapshot};
use serde_json::{Value, json};

/// A kind of objects: how many there are, and their bytes.
pub type Kind = (&'static str, usize, usize);

/// What an archive says about itself, and what is in it.
///
/// # Errors
/// When it is not whole, or of a newer build.
pub fn saved(archive: &[u8]) -> Result<(ArchiveMeta, Vec<Kind>), ArchiveError> {
    let (archive, state) = opened(archive)?;
    let mut kinds = sizes(&state);
    // Allocations share what they have in common, so they are what is left of the whole.
    let allocs = state.allocs().count();
    let rest = archive.bytes.len().saturating_sub(kinds.iter().map(|(_, _, size)| size).sum());
    kinds.push(if allocs > 0 { ("Alloc", allocs, rest) } else { ("Index", drover_state::Table::ALL.len(), rest) });
    kinds.sort_by(|one, other| other.2.cmp(&one.2).then(one.0.cmp(other.0)));
    Ok((archive.meta, kinds))
}

fn opened(archive: &[u8]) -> Result<(Archive, Snapshot), ArchiveError> {
    let archive = read_archive(archive)?;
    let state = archive.state()?;
    Ok((archive, state))
}

/// The same archive without the material of the keyring.
///
/// # Errors
/// As of [`saved`].
pub fn redacted(archive: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let (archive, state) = opened(archive)?;
    let bytes = write_snapshot(&state.without_key_material());
    Ok(write_archive(&bytes, archive.meta.index, archive.meta.term, archive.meta.created))
}

/// What an archive says about itself, and its state.
///
/// # Errors
/// As of [`saved`].
pub fn saved_state(archive: &[u8]) -> Result<(ArchiveMeta, Snapshot), ArchiveError> {
    let (archive, state) = opened(archive)?;
    Ok((archive.meta, state))
}

/// The log of a stopped server.
pub struct Log {
    /// Where it lies.
    pub path: PathBuf,
    /// The indexes of its entries.
    pub indexes: Vec<u64>,
    /// What each says.
    pub lines: Vec<Value>,
}

/// Reads the log of a stopped server below a directory.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn log(directory: &Path) -> std::io::Result<Log> {
    let log = inspect(directory)?;
    Ok(Log {
        indexes: log.entries.iter().map(|entry| entry.index).collect(),
        lines: log.entries.iter().map(line).collect(),
        path: log.path,
    })
}

fn line(entry: &StoredEntry) -> Value {
    let (kind, command) = match &entry.content {
        StoredContent::Blank => ("LogNoop", None),
        StoredContent::Members => ("LogConfiguration", None),
        StoredContent::Command(bytes) => ("LogCommand", Some(described(bytes))),
    };
    let mut line = json!({ "LogType": kind, "Term": entry.term, "Index": entry.index });
    if let Some((kind, body)) = command {
        line["CommandType"] = json!(kind);
        line["Body"] = body;
    }
    line
}

/// A command's kind and when it was written; what it says may hold secrets and is not told.
fn described(bytes: &[u8]) -> (String, Value) {
    match Command::from_bytes(bytes) {
        Ok(Some(command)) => {
            let text = format!("{:?}", command.change);
            let kind = text.chars().take_while(|letter| letter.is_alphanumeric()).collect();
            (kind, json!({ "Time": command.time.rfc3339(), "Size": bytes.len() }))
        }
        Ok(None) => ("Unknown".to_owned(), json!({ "Skipped": true })),
        Err(error) => ("Unreadable".to_owned(), json!({ "Error": error.to_string() })),
    }
}

/// The state that the log of a stopped server leads to: up to an entry, counted from the newest when it is not positive.
///
/// # Errors
/// When the log cannot be read or replayed.
pub fn replayed(directory: &Path, last: i64) -> std::io::Result<Snapshot> {
    let broken = |text: String| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
    let log = inspect(directory)?;
    let newest = log.entries.last().map_or(0, |entry| entry.index);
    let last = if last > 0 { last.unsigned_abs() } else { newest.saturating_sub(last.unsigned_abs()) };
    let (mut store, mut applied) = (Store::default(), 0);
    if let Some((index, _, bytes)) = &log.snapshot {
        store = Store::from_snapshot(SnapshotReader::read(bytes).map_err(|error| broken(error.to_string()))?);
        applied = *index;
    }
    for entry in log.entries.iter().filter(|entry| entry.index > applied && entry.index <= last) {
        let index = entry.index + store.ahead_of_log();
        let StoredContent::Command(bytes) = &entry.content else {
            store.skip(index);
            continue;
        };
        match Command::from_bytes(bytes).map_err(|error| broken(format!("entry {}: {error}", entry.index)))? {
            Some(command) => drop(store.apply(index, command)),
            None => store.skip(index),
        }
    }
    Ok(store.snapshot())
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
