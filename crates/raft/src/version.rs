//! `data_dir/raft/version`: the protocol that a server last ran with, so that a downgrade is noticed (RFT-014…018).

use std::io;
use std::path::{Path, PathBuf};

use drover_rt::Disk;
use drover_rt::disk::{read_all, replace};

/// The protocol this build speaks.
pub const PROTOCOL: u32 = 3;

/// The longest version file that is read.
const FILE_MAX: u64 = 1024;

/// The server must not start.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// Ran with a newer protocol before.
    #[error("downgrade of raft protocol: {} was written by a server with raft_protocol {recorded}, this one is configured with {configured}; configure raft_protocol = {recorded} or a newer build", path.display())]
    Downgrade {
        /// The file.
        path: PathBuf,
        /// What it says.
        recorded: u32,
        /// What is configured.
        configured: u32,
    },
    /// The file cannot be written.
    #[error("write raft version file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Refuses a protocol lower than the recorded one, then records the configured one.
///
/// A missing file is fine; one that cannot be read or is no number only warns.
///
/// # Errors
/// On a downgrade, and when the file cannot be written.
pub fn check_version(disk: &dyn Disk, raft_dir: &Path, configured: u32) -> Result<(), VersionError> {
    let path = raft_dir.join("version");
    let failed = |source| VersionError::Write { path: path.clone(), source };
    disk.create_dir(raft_dir).map_err(failed)?;
    if disk.exists(&path) {
        let read = disk.open(&path).and_then(|file| read_all(file.as_ref(), FILE_MAX));
        let text = read.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        match text.as_deref().map(str::parse::<u32>) {
            Ok(Ok(recorded)) if recorded > configured => return Err(VersionError::Downgrade { path, recorded, configured }),
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => tracing::warn!(
                path = %path.display(),
                "raft version file cannot be read as a number; compare the raft_protocol of the other servers before going on"
            ),
        }
    }
    replace(disk, &path, configured.to_string().as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;
    use drover_rt::RealDisk;

    use super::*;

    fn with(content: Option<&[u8]>) -> (tempfile::TempDir, Result<(), VersionError>) {
        let dir = tempfile::tempdir().unwrap();
        if let Some(content) = content {
            std::fs::write(dir.path().join("version"), content).unwrap();
        }
        let result = check_version(&RealDisk, dir.path(), PROTOCOL);
        (dir, result)
    }

    fn recorded(dir: &tempfile::TempDir) -> String {
        std::fs::read_to_string(dir.path().join("version")).unwrap()
    }

    #[proves("RFT-014", "RFT-017")]
    #[test]
    fn a_missing_file_is_fine_and_is_written() {
        let (dir, result) = with(None);
        assert!(result.is_ok());
        assert_eq!(recorded(&dir), "3");
    }

    #[proves("RFT-015")]
    #[test]
    fn a_newer_protocol_refuses_and_names_both_numbers() {
        let (dir, result) = with(Some(b"4"));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("downgrade") && text.contains("raft_protocol 4") && text.contains("configured with 3"), "{text}");
        assert_eq!(recorded(&dir), "4", "the record stays");
    }

    #[proves("RFT-016")]
    #[test]
    fn nonsense_only_warns() {
        let (dir, result) = with(Some(b"\xffthree"));
        assert!(result.is_ok());
        assert_eq!(recorded(&dir), "3");
    }

    #[proves("RFT-018", "RFT-019")]
    #[test]
    fn an_older_or_equal_protocol_starts_and_a_file_that_cannot_be_written_does_not() {
        for content in [&b"3"[..], b"2"] {
            let (dir, result) = with(Some(content));
            assert!(result.is_ok());
            assert_eq!(recorded(&dir), "3");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("raft");
        std::fs::write(&file, b"a file where the directory should be").unwrap();
        assert!(matches!(check_version(&RealDisk, &file, PROTOCOL), Err(VersionError::Write { .. })));
    }
}
