//! What agents leave in files, for the command line.

use std::path::Path;

use drover_cli::files::{FileError, Files, Log, Saved, Tables};
use drover_server::files;
use serde_json::Value;

/// Knows the forms of this version.
pub(crate) struct OwnFiles;

fn unreadable(error: impl std::fmt::Display) -> FileError {
    FileError::Unreadable(error.to_string())
}

impl Files for OwnFiles {
    fn saved(&self, archive: &[u8]) -> Result<Saved, FileError> {
        let (meta, kinds) = files::saved(archive).map_err(unreadable)?;
        Ok(Saved { id: meta.id, index: meta.index, term: meta.term, size: meta.size, created: meta.created, version: meta.version, kinds })
    }

    fn saved_tables(&self, archive: &[u8]) -> Result<Tables, FileError> {
        drover_http::view::tables::saved(archive).map_err(unreadable)
    }

    fn redacted(&self, archive: &[u8]) -> Result<Vec<u8>, FileError> {
        files::redacted(archive).map_err(unreadable)
    }

    fn log(&self, directory: &Path) -> Result<Log, FileError> {
        let log = files::log(directory)?;
        Ok(Log { path: log.path, indexes: log.indexes, lines: log.lines })
    }

    fn replayed(&self, directory: &Path, last: i64) -> Result<Tables, FileError> {
        Ok(drover_http::view::tables::replayed(directory, last)?)
    }

    fn remembered(&self, directory: &Path) -> Result<Value, FileError> {
        Ok(drover_client::store::told(directory)?)
    }
}
