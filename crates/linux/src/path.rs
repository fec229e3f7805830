//! Files beneath a directory, opened so that neither `..` nor a symbolic link can lead out of it, and figures of file systems.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{IFlags, Mode, OFlags, ResolveFlags};

/// A directory whose contents can be opened and whose surroundings cannot.
#[derive(Debug)]
pub struct Beneath {
    directory: OwnedFd,
}

impl Beneath {
    /// Opens the directory that everything else is opened beneath.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let directory = rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { directory })
    }

    /// Opens a file or directory for reading. Fails with `EXDEV` when the path leads out of the directory.
    pub fn read(&self, path: &Path) -> io::Result<File> {
        self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Opens a place for asking what it is, whatever its permissions.
    pub fn stat(&self, path: &Path) -> io::Result<File> {
        self.open_with(path, OFlags::PATH)
    }

    fn open_with(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let path = relative(path);
        let flags = flags | OFlags::CLOEXEC;
        let fd = loop {
            match rustix::fs::openat2(
                self.directory.as_fd(),
                &path,
                flags,
                Mode::empty(),
                ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            ) {
                // The kernel asks to try again when directories were renamed meanwhile.
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::NOSYS) => break self.open_step_by_step(&path, flags)?,
                result => break result?,
            }
        };
        Ok(File::from(fd))
    }

    /// For kernels before 5.6: follows no symbolic link at all.
    fn open_step_by_step(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let mut at = self.directory.try_clone()?;
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            let name: &Path = part.as_ref();
            let last = parts.peek().is_none();
            let step = if last { flags } else { OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC };
            at = rustix::fs::openat(at.as_fd(), name, step | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(at)
    }
}

/// The path without a leading `/` and with `.` and `..` resolved as text; `..` at the top stays there.
fn relative(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if clean.as_os_str().is_empty() {
        clean.push(".");
    }
    clean
}

/// The contents of an open directory, by name; `.` and `..` left out, sorted.
pub fn list(directory: &File) -> io::Result<Vec<(std::ffi::OsString, std::fs::Metadata)>> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let name = std::ffi::OsStr::from_bytes(name);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::openat(directory.as_fd(), name, flags, Mode::empty()) else { continue };
        entries.push((name.to_owned(), File::from(fd).metadata()?));
    }
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(entries)
}

/// Room on a file system, in bytes and in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileSystemUse {
    pub bytes_total: u64,
    pub bytes_available: u64,
    pub bytes_used: u64,
    pub inodes_total: u64,
    pub inodes_used: u64,
}

impl FileSystemUse {
    /// How full the file system is, from 0 to 100.
    pub fn used_percent(&self) -> f64 {
        percent(self.bytes_used, self.bytes_total)
    }

    /// How many of its files are taken, from 0 to 100.
    pub fn inodes_used_percent(&self) -> f64 {
        percent(self.inodes_used, self.inodes_total)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

/// Room on the file system that holds this path.
pub fn file_system_use(path: &Path) -> io::Result<FileSystemUse> {
    let found = rustix::fs::statvfs(path)?;
    let bytes_total = found.f_blocks * found.f_frsize;
    Ok(FileSystemUse {
        bytes_total,
        bytes_available: found.f_bavail * found.f_frsize,
        bytes_used: bytes_total.saturating_sub(found.f_bfree * found.f_frsize),
        inodes_total: found.f_files,
        inodes_used: found.f_files.saturating_sub(found.f_ffree),
    })
}

/// Sets owner and group of a path.
pub fn set_owner(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(uid), Some(gid))
}

/// Marks a directory as the top of unrelated trees, so that a file system of the ext family puts each directory made in it into
/// another part of the disk. Otherwise all lie together, and finding room for the next walks over what was removed in the last minutes.
///
/// # Errors
/// When the directory cannot be opened or its file system has no such mark.
pub fn mark_as_top(directory: &Path) -> io::Result<()> {
    let directory = rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = rustix::fs::ioctl_getflags(&directory)?;
    if !flags.contains(IFlags::TOPDIR) {
        rustix::fs::ioctl_setflags(&directory, flags | IFlags::TOPDIR)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn neither_dots_nor_links_lead_out() {
        let root = tempfile::tempdir().expect("directory");
        let inside = root.path().join("inside");
        std::fs::create_dir_all(inside.join("sub")).expect("directories");
        std::fs::write(root.path().join("secret"), "out").expect("write");
        std::fs::write(inside.join("sub/file"), "in").expect("write");
        std::os::unix::fs::symlink("../secret", inside.join("relative")).expect("link");
        std::os::unix::fs::symlink("/etc/passwd", inside.join("absolute")).expect("link");
        std::os::unix::fs::symlink("sub/file", inside.join("good")).expect("link");
        let beneath = Beneath::open(&inside).expect("open");
        for path in ["good", "/good", "sub/../good", "../../good"] {
            let mut text = String::new();
            beneath.read(Path::new(path)).expect("inside").read_to_string(&mut text).expect("read");
            assert_eq!(text, "in", "{path}");
        }
        for path in ["relative", "absolute", "../secret"] {
            assert!(beneath.read(Path::new(path)).is_err(), "{path}");
        }
        let names: Vec<_> = list(&beneath.read(Path::new("/")).expect("root")).expect("list").into_iter().map(|entry| entry.0).collect();
        assert_eq!(names, ["absolute", "good", "relative", "sub"]);
    }

    #[test]
    fn figures_of_a_file_system_add_up() {
        let found = file_system_use(Path::new("/")).expect("statvfs");
        assert!(found.bytes_total > 0 && found.bytes_used <= found.bytes_total);
        assert!((0.0..=100.0).contains(&found.used_percent()));
    }

    #[test]
    fn a_directory_is_marked_where_its_file_system_knows_the_mark() {
        let directory = tempfile::tempdir().expect("directory");
        match mark_as_top(directory.path()) {
            Ok(()) => {
                let opened = File::open(directory.path()).expect("open");
                assert!(rustix::fs::ioctl_getflags(&opened).expect("flags").contains(IFlags::TOPDIR));
                mark_as_top(directory.path()).expect("again");
                std::fs::create_dir(directory.path().join("below")).expect("a directory in it");
            }
            Err(error) => {
                let known = [libc::ENOTTY, libc::EOPNOTSUPP, libc::EINVAL].map(Some);
                assert!(known.contains(&error.raw_os_error()), "{error}");
            }
        }
    }
}
