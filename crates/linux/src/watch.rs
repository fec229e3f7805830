//! Being told of changes in a directory, without looking again and again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify;

/// A descriptor that becomes readable when a file in a directory is written, made, moved or removed.
#[derive(Debug)]
pub struct DirectoryWatch {
    fd: OwnedFd,
}

impl DirectoryWatch {
    /// Watches a directory, not what is below its own directories.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let wanted = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVE
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::DELETE_SELF
            | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&fd, directory, wanted)?;
        Ok(Self { fd })
    }

    /// Takes what was told, so that the descriptor waits for the next change.
    pub fn drain(&self) {
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.fd, &mut buffer).is_ok_and(|count| count > 0) {}
    }
}

impl AsFd for DirectoryWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for DirectoryWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
