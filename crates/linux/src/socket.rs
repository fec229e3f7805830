//! Unix sockets: who is at the other end, handing over descriptors, and listening where others may write.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::Pid;

/// The process at the other end of a Unix socket, as the kernel saw it when the connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub pid: Pid,
    pub uid: u32,
    pub gid: u32,
}

/// Who is at the other end.
pub fn peer(socket: &impl AsFd) -> io::Result<Peer> {
    let found = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Peer { pid: found.pid.as_raw_nonzero().get(), uid: found.uid.as_raw(), gid: found.gid.as_raw() })
}

/// Whether the peer may steer what this process does: it has the same user, or is root.
pub fn is_trusted(peer: Peer) -> bool {
    peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw()
}

/// Sends bytes together with one descriptor.
pub fn send_with_descriptor(socket: &UnixStream, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor.as_raw_fd()];
    let parts = [io::IoSlice::new(bytes)];
    let sent = sendmsg::<()>(socket.as_raw_fd(), &parts, &[ControlMessage::ScmRights(&descriptors)], MsgFlags::MSG_NOSIGNAL, None)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives bytes together with at most one descriptor; 0 bytes mean that the other end is gone.
pub fn receive_with_descriptor(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    loop {
        let mut parts = [io::IoSliceMut::new(buffer)];
        let message = match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result?,
        };
        let mut descriptor = None;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                for number in numbers {
                    // SAFETY: the kernel just opened this descriptor for us; each is taken over once, surplus ones are closed.
                    descriptor = Some(unsafe { OwnedFd::from_raw_fd(number) });
                }
            }
        }
        return Ok((message.bytes, descriptor));
    }
}

/// Listens on a socket in a directory that others may write to: what has its name there is removed first, no symbolic link is followed, and
/// the path may be longer than a socket's address. `owner` is the user and group that it belongs to, if not those of this process.
///
/// # Errors
/// When the directory is not there or is a link, a directory has the name, or somebody put something else in the place of the socket.
pub fn listen_in(directory: &Path, name: &str, mode: u32, owner: Option<(u32, u32)>) -> io::Result<UnixListener> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let directory = rustix::fs::open(directory, flags | OFlags::DIRECTORY, Mode::empty())?;
    remove_socket(&directory, name)?;
    let listener = UnixListener::bind(through(&directory).join(name))?;
    let made = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&made)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket || found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("somebody else put something in its place"));
    }
    std::fs::set_permissions(through(&made), Permissions::from_mode(mode))?;
    if let Some((user, group)) = owner {
        let (user, group) = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
        rustix::fs::chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes a socket from a directory that others may write to, following no symbolic link. One that is not there is no error.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_in(directory: &Path, name: &str) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(directory) => remove_socket(&directory, name),
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn remove_socket(directory: &OwnedFd, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A path that leads to what an own descriptor stands for.
fn through(descriptor: &OwnedFd) -> std::path::PathBuf {
    Path::new("/proc/self/fd").join(descriptor.as_raw_fd().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn listens_in_the_place_of_whatever_was_there_and_behind_no_link() {
        let root = tempfile::tempdir().expect("directory");
        // Longer than any address of a socket.
        let deep = root.path().join("d".repeat(120));
        std::fs::create_dir(&deep).expect("directory");
        let elsewhere = root.path().join("elsewhere");
        std::fs::write(&elsewhere, "kept").expect("file");
        std::os::unix::fs::symlink(&elsewhere, deep.join("api.sock")).expect("link");
        for mode in [0o600, 0o666] {
            let _listener = listen_in(&deep, "api.sock", mode, None).expect("listen");
            let found = std::fs::symlink_metadata(deep.join("api.sock")).expect("there");
            assert_eq!(found.permissions().mode() & 0o7777, mode);
            assert_eq!(found.permissions().mode() & 0o170_000, 0o140_000, "a socket");
        }
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("file"), "kept");
        remove_in(&deep, "api.sock").expect("remove");
        remove_in(&deep, "api.sock").expect("again");
        remove_in(&root.path().join("none"), "api.sock").expect("nowhere");
        assert!(!deep.join("api.sock").exists());
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&deep, &link).expect("link");
        assert!(listen_in(&link, "api.sock", 0o600, None).is_err());
        std::fs::create_dir(deep.join("api.sock")).expect("directory");
        assert!(listen_in(&deep, "api.sock", 0o600, None).is_err());
    }

    #[test]
    fn hands_a_descriptor_over_and_knows_its_peer() {
        let (left, right) = UnixStream::pair().expect("pair");
        let (mut inner, mut other) = UnixStream::pair().expect("pair");
        send_with_descriptor(&left, b"x", other.as_fd()).expect("send");
        let mut buffer = [0; 8];
        let (count, descriptor) = receive_with_descriptor(&right, &mut buffer).expect("receive");
        assert_eq!(count, 1);
        let mut received = UnixStream::from(descriptor.expect("descriptor"));
        received.write_all(b"hello").expect("write");
        other.write_all(b"!").expect("write");
        drop((received, other));
        let mut text = String::new();
        inner.read_to_string(&mut text).expect("read");
        assert_eq!(text, "hello!");
        let found = peer(&left).expect("peer");
        assert_eq!(found.pid, std::process::id() as Pid);
        assert!(is_trusted(found));
        assert!(!is_trusted(Peer { uid: rustix::process::geteuid().as_raw() + 1, ..found }));
        drop(left);
        assert_eq!(receive_with_descriptor(&right, &mut buffer).expect("end").0, 0);
    }
}
