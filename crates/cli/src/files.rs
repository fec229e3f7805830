//! What agents leave in files. The command line does not know their forms: the program that has the agents in it tells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drover_base::WallTime;
use serde_json::Value;

/// Why a file cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("not found")]
    Missing,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound { Self::Missing } else { Self::Unreadable(error.to_string()) }
    }
}

/// What a saved state says about itself, and how many objects of each kind are in it, of how many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Term, index and time in one.
    pub id: String,
    /// The last entry in it.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Bytes of the state.
    pub size: u64,
    /// When it was saved.
    pub created: WallTime,
    /// The version of its form.
    pub version: u64,
    /// Kinds of objects, the largest first.
    pub kinds: Vec<(&'static str, usize, usize)>,
}

/// The log of a stopped server.
#[derive(Clone, Debug)]
pub struct Log {
    /// Where it lies.
    pub path: PathBuf,
    /// The indexes of its entries.
    pub indexes: Vec<u64>,
    /// What each says.
    pub lines: Vec<Value>,
}

/// A state as tables of objects.
pub type Tables = BTreeMap<String, Value>;

/// Whoever knows the forms.
pub trait Files: Send + Sync {
    /// What a saved state says about itself.
    ///
    /// # Errors
    /// When it cannot be read.
    fn saved(&self, archive: &[u8]) -> Result<Saved, FileError>;
    /// What is in a saved state.
    ///
    /// # Errors
    /// When it cannot be read.
    fn saved_tables(&self, archive: &[u8]) -> Result<Tables, FileError>;
    /// A saved state without the secrets of the keyring.
    ///
    /// # Errors
    /// When it cannot be read.
    fn redacted(&self, archive: &[u8]) -> Result<Vec<u8>, FileError>;
    /// The log of a stopped server.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn log(&self, directory: &Path) -> Result<Log, FileError>;
    /// The state that it leads to, up to an entry.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn replayed(&self, directory: &Path, last: i64) -> Result<Tables, FileError>;
    /// What a stopped client remembers.
    ///
    /// # Errors
    /// When there is nothing, or it cannot be read.
    fn remembered(&self, directory: &Path) -> Result<Value, FileError>;
}

/// Whoever knows the forms, if anybody does.
#[derive(Clone, Default)]
pub struct KnownFiles(pub Option<Arc<dyn Files>>);

impl std::fmt::Debug for KnownFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "known files" } else { "no known files" })
    }
}
