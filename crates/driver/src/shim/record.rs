//! The exit of a task on disk: written whole or not at all, before the shim may end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::protocol::Exited;

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Writes the record; when `durable`, it also survives a crash of the machine once this returns.
pub fn write(path: &Path, exited: &Exited, durable: bool) -> io::Result<()> {
    let bytes = minicbor::to_vec(exited).map_err(io::Error::other)?;
    let next = temporary(path);
    let mut file = File::create(&next)?;
    file.write_all(&bytes)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&next, path)?;
    if durable && let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// The record of a task; none when there is none (yet). A record of another task counts as none.
pub fn read(path: &Path, token: &str) -> io::Result<Option<Exited>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let exited: Exited = minicbor::decode(&bytes).map_err(|source| io::Error::new(io::ErrorKind::InvalidData, source.to_string()))?;
    Ok((exited.token == token).then_some(exited))
}

/// Removes the record and whatever a crash left of it.
pub fn remove(path: &Path) {
    drop(fs::remove_file(path));
    drop(fs::remove_file(temporary(path)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_by_its_own_task_only() {
        let root = tempfile::tempdir().expect("directory");
        let path = root.path().join("x.exit");
        let exited = Exited { token: "a".into(), code: 3, ..Exited::default() };
        assert_eq!(read(&path, "a").expect("read"), None);
        write(&path, &exited, true).expect("write");
        assert_eq!(read(&path, "a").expect("read"), Some(exited));
        assert_eq!(read(&path, "b").expect("read"), None);
        fs::write(&path, [0xff]).expect("write");
        assert!(read(&path, "a").is_err());
        remove(&path);
        assert_eq!(fs::read_dir(root.path()).expect("list").count(), 0);
    }
}
