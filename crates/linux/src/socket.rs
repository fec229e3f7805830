//! Unix sockets: who is at the other end, and handing over descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

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
