//! A disk in memory that loses at a crash what was not synced: bytes written, names made, files removed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drover_base::Rng;
use drover_rt::{Disk, DiskFile};

#[derive(Clone, Default)]
struct Content {
    /// What a reader sees.
    now: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
}

#[derive(Default)]
struct Tree {
    /// Names as seen, to files.
    now: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// Names that survive.
    durable: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    syncs: u64,
}

/// The disk of one simulated machine. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Tree>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimDisk {
    /// What is found after the machine lost power now: durable names with durable bytes, and of what was not synced at
    /// most a torn piece.
    #[must_use]
    pub fn after_crash(&self, rng: &mut Rng) -> Self {
        let tree = lock(&self.0);
        let mut survived = Tree::default();
        for (path, file) in &tree.durable {
            let content = lock(file);
            let mut bytes = content.durable.clone();
            // A piece of an unfinished write may have reached the disk.
            if content.now.len() > bytes.len() && rng.chance(0.5) {
                let lost = content.now.len() - bytes.len();
                let torn = usize::try_from(rng.below(lost as u64)).unwrap_or(0);
                let from = bytes.len();
                bytes.extend_from_slice(&content.now[from..from + torn]);
            }
            let file = Arc::new(Mutex::new(Content { now: bytes.clone(), durable: bytes }));
            survived.now.insert(path.clone(), Arc::clone(&file));
            survived.durable.insert(path.clone(), file);
        }
        Self(Arc::new(Mutex::new(survived)))
    }

    /// How often something was made durable.
    pub fn syncs(&self) -> u64 {
        lock(&self.0).syncs
    }
}

struct SimFile {
    disk: SimDisk,
    content: Arc<Mutex<Content>>,
}

impl Disk for SimDisk {
    fn is_simulated(&self) -> bool {
        true
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let content = Arc::clone(lock(&self.0).now.entry(path.to_owned()).or_default());
        Ok(Arc::new(SimFile { disk: self.clone(), content }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let tree = lock(&self.0);
        let names = tree.now.keys().filter(|path| path.parent() == Some(directory));
        Ok(names.filter_map(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned)).collect())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        lock(&self.0).now.contains_key(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = lock(&self.0);
        let file = tree.now.remove(from).ok_or(io::ErrorKind::NotFound)?;
        tree.now.insert(to.to_owned(), file);
        drop(tree);
        to.parent().map_or(Ok(()), |directory| self.sync_dir(directory))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.0).now.remove(path);
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let mut tree = lock(&self.0);
        tree.syncs += 1;
        let inside = |path: &Path| path.parent() == Some(directory);
        tree.durable.retain(|path, _| !inside(path));
        let names: Vec<_> = tree.now.iter().filter(|(path, _)| inside(path)).map(|(path, file)| (path.clone(), Arc::clone(file))).collect();
        tree.durable.extend(names);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.content);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = content.now.get(offset..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = lock(&self.content);
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset + bytes.len();
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[offset..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = lock(&self.content);
        content.durable = content.now.clone();
        drop(content);
        lock(&self.disk.0).syncs += 1;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).now.len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        lock(&self.content).now.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use drover_rt::disk::replace;

    use super::*;

    #[test]
    fn only_what_was_synced_survives() {
        let disk = SimDisk::default();
        let path = Path::new("/d/a");
        let file = disk.open(path).unwrap();
        file.write_at(b"one", 0).unwrap();
        file.sync().unwrap();
        assert!(!disk.after_crash(&mut Rng::new(1)).exists(path), "its name is not durable yet");
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(b"two", 3).unwrap();
        let after = disk.after_crash(&mut Rng::new(1)).open(path).unwrap();
        let mut bytes = [0; 16];
        let read = after.read_at(&mut bytes, 0).unwrap();
        assert!(bytes[..read].starts_with(b"one") && read < 6);
    }

    #[test]
    fn a_replaced_file_is_old_or_new() {
        let disk = SimDisk::default();
        let path = Path::new("/d/state");
        replace(&disk, path, b"old").unwrap();
        replace(&disk, path, b"new").unwrap();
        let after = disk.after_crash(&mut Rng::new(3)).open(path).unwrap();
        let mut bytes = [0; 3];
        after.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"new");
    }
}
