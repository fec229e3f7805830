//! The first thing an executable started as a shim does: wait for its first message, and become the owner of one task or the nursery
//! that forks an owner for every socket it is sent.
//!
//! The nursery lives as long as the agent that started it; the owners it forked live on.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use drover_linux::process::{self, Fork};
use drover_linux::{poll, socket};

use super::owner;
use super::protocol::{FRAME_BYTES_MAX, Frames, Launch, ProtocolError, Request};

/// Runs as a shim on the socket that is this program's standard input.
pub fn run() -> io::Result<()> {
    let control = UnixStream::from(poll::take_standard_input()?);
    // A terminal's interrupt is meant for the agent.
    drop(process::new_session());
    process::ignore_signals(owner::IGNORED_SIGNALS);
    match first_message(&control)? {
        (_, Request::Nursery(nursery)) => {
            for file in &nursery.groups {
                // Staying in the agent's group is worse than leaving it, and better than not starting tasks.
                drop(std::fs::write(file, "0"));
            }
            fork_owners(control)
        }
        (id, Request::Launch(launch)) => own(control, id, *launch),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn own(control: UnixStream, id: u32, launch: Launch) -> io::Result<()> {
    owner::run(control, id, launch)
}

/// Reads exactly one message: what follows on the socket is left there, descriptors above all.
fn first_message(mut control: &UnixStream) -> io::Result<(u32, Request)> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut frames = Frames::default();
    let mut prefix = [0; 4];
    control.read_exact(&mut prefix)?;
    let length = u32::from_le_bytes(prefix) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(invalid(ProtocolError::TooLong(length)));
    }
    let mut rest = vec![0; length];
    control.read_exact(&mut rest)?;
    frames.push(&prefix);
    frames.push(&rest);
    drop(rest);
    match frames.next_frame().map_err(invalid)? {
        Some(frame) => Ok((frame.id, Request::from_frame(&frame).map_err(invalid)?)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn fork_owners(control: UnixStream) -> io::Result<()> {
    // The kernel forgets owners that end; nobody waits for them here.
    process::ignore_children();
    let mut byte = [0; 1];
    loop {
        let (count, descriptor) = socket::receive_with_descriptor(&control, &mut byte)?;
        if count == 0 {
            return Ok(());
        }
        let Some(descriptor) = descriptor else { continue };
        // Where forking fails, the closed socket tells the agent.
        if let Ok(Fork::Child) = process::fork() {
            process::notice_children();
            // Only the nursery itself may keep this open, or the agent would not see it die.
            drop(control);
            let stream = UnixStream::from(descriptor);
            drop(process::new_session());
            let (id, request) = first_message(&stream)?;
            return match request {
                Request::Launch(launch) => own(stream, id, *launch),
                _ => Err(io::ErrorKind::InvalidData.into()),
            };
        }
    }
}
