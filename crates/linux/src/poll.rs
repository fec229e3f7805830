//! Waiting for descriptors without a runtime, for the task shim's single thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// One descriptor to wait for, and what happened to it.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Interest(libc::pollfd);

impl Interest {
    /// Waits until the descriptor can be read or its other end is gone.
    pub fn readable(fd: &impl AsFd) -> Self {
        Self(libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 })
    }

    /// Waits until the descriptor can be read, or also written when `writable`.
    pub fn readable_or_writable(fd: &impl AsFd, writable: bool) -> Self {
        let events = if writable { libc::POLLIN | libc::POLLOUT } else { libc::POLLIN };
        Self(libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 })
    }

    /// Whether reading would now give data, an end or an error.
    pub fn is_readable(&self) -> bool {
        self.0.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Whether writing would now make progress or fail.
    pub fn is_writable(&self) -> bool {
        self.0.revents & (libc::POLLOUT | libc::POLLERR) != 0
    }
}

/// Waits until something happens to one of the descriptors or the time is over; returns how many are ready. An interruption by a
/// signal counts as nothing being ready.
pub fn wait(interests: &mut [Interest], timeout: Option<Duration>) -> io::Result<usize> {
    let milliseconds = match timeout {
        None => -1,
        // A rest below a millisecond is rounded up, so that a deadline is reached by waiting once.
        Some(time) => i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX),
    };
    // SAFETY: `Interest` is a transparent `pollfd`; pointer and length describe the slice, which is borrowed for the call.
    let ready = unsafe { libc::poll(interests.as_mut_ptr().cast::<libc::pollfd>(), interests.len() as libc::nfds_t, milliseconds) };
    if ready >= 0 {
        return Ok(ready as usize);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
}

/// Waits until one descriptor is readable; false when the time was over first.
pub fn wait_readable(fd: &impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    let mut interests = [Interest::readable(fd)];
    Ok(wait(&mut interests, timeout)? > 0)
}

/// Blocks SIGCHLD and returns a descriptor that becomes readable when a child ends.
pub fn child_signals() -> io::Result<OwnedFd> {
    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set.thread_block().map_err(io::Error::from)?;
    let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(io::Error::from)?;
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: the duplicate is a new descriptor that nobody else owns.
    let copy = unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; ownership is taken exactly once.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Frees the numbers 0 to 2, which the null device takes from now on, and returns what was 0 under a higher number.
///
/// To be called once, at the start of a program that was given a socket as its standard input.
pub fn take_standard_input() -> io::Result<OwnedFd> {
    let given = inherited(0)?;
    let moved = rustix::io::fcntl_dupfd_cloexec(&given, 3)?;
    // The number stays taken: it is overwritten by the null device next, never closed.
    std::mem::forget(given);
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(moved)
}

/// Makes reads and writes of this descriptor return at once.
pub fn set_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    rustix::io::ioctl_fionbio(fd, true).map_err(io::Error::from)
}

/// A pipe as (read end, write end); both are closed in programs that are executed.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// A new terminal as (the side that plays the user, the side that programs use); both are closed in programs that are executed.
pub fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let pair = nix::pty::openpty(None, None)?;
    for fd in [&pair.master, &pair.slave] {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((pair.master, pair.slave))
}

/// Tells a terminal how large it is.
pub fn resize_terminal(fd: &impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads one `winsize`, which is borrowed for the call.
    let rc = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads what is there, once.
pub fn read(fd: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// Writes as much as fits, once.
pub fn write(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, bytes) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// Takes over a descriptor that this process was started with. Fails with `EBADF` when it is not open.
///
/// To be called once for each number, at the start of a program, before anything else opens descriptors.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asking for the flags of a number that is no descriptor fails and does nothing else.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a plain flag is set on an open descriptor.
    unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) };
    // SAFETY: the descriptor is open and, as the caller promises by calling at the start, owned by nothing else in the process.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Time since some fixed moment, for deadlines in programs without a runtime.
pub fn monotonic() -> Duration {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since the Unix epoch, for programs without a runtime.
pub fn wall_nanoseconds() -> i64 {
    i64::try_from(read_clock(libc::CLOCK_REALTIME).as_nanos()).unwrap_or(i64::MAX)
}

fn read_clock(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
