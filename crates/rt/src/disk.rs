//! The disk as the log and snapshots see it: files by path, written at an offset, durable only after a sync.
//!
//! `sim` puts a disk in memory behind the same traits that loses what was not synced at a crash.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place for files.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for reading and writing, making it if it is missing.
    ///
    /// # Errors
    /// As the system reports them.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// The names in a directory, sorted; an empty list if it does not exist.
    ///
    /// # Errors
    /// As the system reports them.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// As the system reports them.
    fn create_dir(&self, directory: &Path) -> io::Result<()>;
    /// Whether a file exists.
    fn exists(&self, path: &Path) -> bool;
    /// Renames within one directory and makes the new name durable.
    ///
    /// # Errors
    /// As the system reports them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; a missing one is fine.
    ///
    /// # Errors
    /// As the system reports them.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Whether this is a simulation's, where nothing may happen in another thread.
    fn is_simulated(&self) -> bool {
        false
    }
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the system reports them.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 means the end.
    ///
    /// # Errors
    /// As the system reports them.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As the system reports them; the range may then be partly written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns once everything written before is durable.
    ///
    /// # Errors
    /// As the system reports them; what was written since the last sync may be lost.
    fn sync(&self) -> io::Result<()>;
    /// The length in bytes.
    ///
    /// # Errors
    /// As the system reports them.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    ///
    /// # Errors
    /// As the system reports them.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros) to `length`.
    ///
    /// # Errors
    /// As the system reports them.
    fn set_len(&self, length: u64) -> io::Result<()>;
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// As the system reports them, and `FileTooLarge` past the limit.
pub fn read_all(file: &dyn DiskFile, limit: u64) -> io::Result<Vec<u8>> {
    let length = file.len()?;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{length} bytes, at most {limit} are read")));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Replaces a file's content so that a crash leaves the old or the new content, never a mixture.
///
/// # Errors
/// As the system reports them; the old content is then still there.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let file = disk.open(&temporary)?;
    file.set_len(0)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&temporary, path)
}

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |directory| self.sync_dir(directory))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }
}
