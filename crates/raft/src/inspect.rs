//! What a server's directory holds, read while no server uses it and without changing anything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drover_rt::{Disk, RealDisk};

use crate::log::{StoredEntry, read_entries};
use crate::machine::stored_snapshot;

/// A log and the newest snapshot beside it.
pub struct StoredLog {
    /// Where the log lies.
    pub path: PathBuf,
    /// The last entry in the snapshot, its term, and the state's bytes.
    pub snapshot: Option<(u64, u64, Vec<u8>)>,
    /// The entries, in order.
    pub entries: Vec<StoredEntry>,
}

/// Reads `directory`, or the `server/raft`, `raft` below it.
///
/// # Errors
/// When there is no log, or it cannot be read.
pub fn inspect(directory: &Path) -> io::Result<StoredLog> {
    let candidates = [directory.to_owned(), directory.join("raft"), directory.join("server").join("raft")];
    let found = candidates.iter().find(|path| path.join("log").is_dir());
    let found = found.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no raft store (raft.db or wal/) found in {}", directory.display()))
    })?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Ok(StoredLog { path: found.join("log"), snapshot: stored_snapshot(disk, found)?, entries: read_entries(&found.join("log"))? })
}
