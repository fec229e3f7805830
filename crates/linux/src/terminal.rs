//! The terminal of a command line: passing keys on as they are typed, and its size.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::termios::{self, SetArg, Termios};

/// A terminal that passes every key on at once and shows nothing by itself. Dropping it gives the old ways back.
#[derive(Debug)]
pub struct RawTerminal {
    fd: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Changes the terminal.
    ///
    /// # Errors
    /// When it is none.
    pub fn enter(fd: &impl AsFd) -> io::Result<Self> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        let before = termios::tcgetattr(&fd)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&fd, SetArg::TCSADRAIN, &raw)?;
        Ok(Self { fd, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = termios::tcsetattr(&self.fd, SetArg::TCSADRAIN, &self.before);
    }
}

/// Rows and columns of a terminal; none where there is no terminal.
pub fn size(fd: &impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills one `winsize`, which is borrowed for the call.
    let rc = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (rc == 0 && size.ws_row > 0).then_some((size.ws_row, size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_made_raw_and_given_back() {
        let (own, theirs) = crate::poll::terminal().unwrap();
        crate::poll::resize_terminal(&own, 7, 33).unwrap();
        assert_eq!(size(&theirs), Some((7, 33)));
        let shown = |fd: &OwnedFd| termios::tcgetattr(fd).unwrap().local_flags.contains(termios::LocalFlags::ECHO);
        assert!(shown(&theirs));
        let raw = RawTerminal::enter(&theirs).unwrap();
        assert!(!shown(&theirs));
        drop(raw);
        assert!(shown(&theirs));
        assert_eq!(size(&std::fs::File::open("/dev/null").unwrap()), None);
    }
}
