//! The directories of an allocation: where they lie, their modes, and their end.
//!
//! # Compatibility
//!
//! Layout and modes are those of `runtime.md` §3. Without root, owners stay the agent's user.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use drover_base::AllocId;
use drover_driver::TaskDirectories;

/// The user and group of everything that any task may write to.
const NOBODY: u32 = 65_534;
const OPEN: u32 = 0o777;
const STICKY: u32 = 0o1777;

/// Where an allocation's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocDir {
    root: PathBuf,
}

impl AllocDir {
    /// The place of an allocation beneath the client's directory.
    pub fn new(base: &Path, alloc: AllocId) -> Self {
        Self { root: base.join(alloc.to_string()) }
    }

    /// The allocation's own directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory shared by its tasks.
    pub fn shared(&self) -> PathBuf {
        self.root.join("alloc")
    }

    /// Where logs lie.
    pub fn logs(&self) -> PathBuf {
        self.root.join("alloc/logs")
    }

    /// The directories of a task.
    pub fn task(&self, task: &str) -> TaskDirectories {
        let own = self.root.join(task);
        TaskDirectories { shared: self.shared(), local: own.join("local"), secrets: own.join("secrets"), logs: self.logs(), task: own }
    }

    /// Makes the directories that all tasks share. What is there already stays.
    pub fn create(&self) -> io::Result<()> {
        make(&self.root, 0o755, false)?;
        for directory in ["alloc", "alloc/data", "alloc/logs", "alloc/tmp"] {
            make(&self.root.join(directory), OPEN, true)?;
        }
        Ok(())
    }

    /// Makes the directories of a task. What is there already stays.
    pub fn create_task(&self, task: &str) -> io::Result<()> {
        let own = self.root.join(task);
        // As the record has it, this one keeps its maker as owner unless nothing isolates the task.
        make(&own, OPEN, true)?;
        for directory in ["local", "private", "secrets"] {
            make(&own.join(directory), OPEN, true)?;
        }
        make(&own.join("tmp"), STICKY, true)
    }

    /// Whether the directory is there.
    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// Removes everything. One that is gone already is no error.
    pub fn destroy(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn make(path: &Path, mode: u32, nobody: bool) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            // The umask took bits away.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            if nobody && drover_linux::is_root() {
                drover_linux::path::set_owner(path, NOBODY, NOBODY)?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the client's directory of all allocations.
pub fn create_base(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o711))?;
    // Only speed depends on it, and not every file system has it.
    if let Err(error) = drover_linux::path::mark_as_top(path) {
        tracing::debug!(path = %path.display(), %error, "allocations will lie together on the disk");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_have_the_recorded_modes() {
        let base = tempfile::tempdir().expect("directory");
        let directory = AllocDir::new(base.path(), AllocId::from_random(1));
        directory.create().expect("create");
        directory.create_task("raw").expect("create");
        directory.create_task("raw").expect("again");
        let table = [
            ("", 0o755),
            ("alloc", 0o777),
            ("alloc/data", 0o777),
            ("alloc/logs", 0o777),
            ("alloc/tmp", 0o777),
            ("raw", 0o777),
            ("raw/local", 0o777),
            ("raw/private", 0o777),
            ("raw/secrets", 0o777),
            ("raw/tmp", 0o1777),
        ];
        for (path, mode) in table {
            let found = fs::metadata(directory.root().join(path)).expect(path).permissions().mode() & 0o7777;
            assert_eq!(found, mode, "{path}");
        }
        directory.destroy().expect("destroy");
        directory.destroy().expect("again");
        assert!(!directory.exists());
    }
}
