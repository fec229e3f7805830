//! Processes: who they are beyond a number that gets reused, how they end, and how to reach them.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::Pid;

/// The identity of a process that outlives the reuse of its number: a number is handed out again, a number with its start time on
/// one boot of a machine is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub pid: Pid,
    /// Clock ticks between the machine's boot and the start of the process.
    pub start_time: u64,
}

impl Identity {
    /// The identity of the process that has this number now. Fails with `NotFound` when there is none.
    pub fn of(pid: Pid) -> io::Result<Self> {
        let start_time = start_time(pid)?;
        Ok(Self { pid, start_time })
    }

    /// Whether this very process is still there (a process that ended and was not yet waited for counts as gone).
    pub fn is_alive(&self) -> bool {
        match read_stat(self.pid) {
            Ok(stat) => stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X'),
            Err(_) => false,
        }
    }
}

/// The fields of `/proc/PID/stat` that are used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub state: char,
    pub parent: Pid,
    pub start_time: u64,
    /// Clock ticks spent in user mode.
    pub user_ticks: u64,
    /// Clock ticks spent in the kernel.
    pub system_ticks: u64,
    /// Resident pages.
    pub resident_pages: u64,
}

/// Parses `/proc/PID/stat`; none when the text has another form. The command may hold any character, blanks and parentheses too.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let rest = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state is field 3 of the file and the first one here.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        user_ticks: number(14)?,
        system_ticks: number(15)?,
        start_time: number(22)?,
        resident_pages: number(24)?,
    })
}

/// Reads `/proc/PID/stat`.
pub fn read_stat(pid: Pid) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("unexpected form of /proc/{pid}/stat")))
}

/// Clock ticks between boot and the start of this process.
pub fn start_time(pid: Pid) -> io::Result<u64> {
    read_stat(pid).map(|stat| stat.start_time)
}

/// The identity of this boot of the machine; two boots never share one.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Clock ticks per second, the unit of the times in `/proc/PID/stat`.
pub fn ticks_per_second() -> u64 {
    // SAFETY: sysconf takes a plain number.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100)
}

/// Processor time that this process has used since it started, in user mode and in the kernel together.
pub fn cpu_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    std::time::Duration::new(seconds, nanoseconds)
}

/// Bytes of one memory page.
pub fn page_size() -> u64 {
    // SAFETY: sysconf takes a plain number.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Every process below this one, children before grandchildren, as far as `/proc` shows them at this moment.
pub fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut queue = vec![root];
    while let Some(pid) = queue.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let Ok(text) = fs::read_to_string(thread.path().join("children")) else { continue };
            for child in text.split_ascii_whitespace().filter_map(|word| word.parse::<Pid>().ok()) {
                found.push(child);
                queue.push(child);
            }
        }
    }
    found
}

/// A descriptor that becomes readable when the process ends and never refers to another process.
pub fn open_pidfd(pid: Pid) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// Sends a signal to the process behind a descriptor of [`open_pidfd`].
pub fn signal_pidfd(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is borrowed for the call, the info pointer may be null and flags must be 0.
    let rc =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to one process, or to a process group when `pid` is negative. A process that is gone is not an error.
pub fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes plain numbers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Signaled(i32),
}

/// Waits for one child of this process without blocking: `pid` -1 takes any. None while no such child has ended.
pub fn reap(pid: Pid) -> io::Result<Option<(Pid, Ended)>> {
    wait(pid, libc::WNOHANG)
}

/// Waits until this child of the process ends.
pub fn reap_blocking(pid: Pid) -> io::Result<Option<(Pid, Ended)>> {
    wait(pid, 0)
}

fn wait(pid: Pid, flags: i32) -> io::Result<Option<(Pid, Ended)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result during the call.
        let found = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        if found < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        if found == 0 {
            return Ok(None);
        }
        let ended =
            if libc::WIFSIGNALED(status) { Ended::Signaled(libc::WTERMSIG(status)) } else { Ended::Exited(libc::WEXITSTATUS(status)) };
        return Ok(Some((found, ended)));
    }
}

/// Orphans among the descendants of this process become its children instead of those of init.
pub fn become_subreaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Makes this process the leader of a new session, away from the terminal of the one that started it.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid().map(drop).map_err(io::Error::from)
}

/// Names this process as `ps` shows it.
pub fn set_name(name: &std::ffi::CStr) -> io::Result<()> {
    nix::sys::prctl::set_name(name).map_err(io::Error::from)
}

/// Ignores these signals from now on.
pub fn ignore_signals(signals: &[i32]) {
    for signal in signals {
        // SAFETY: SIG_IGN installs no handler, so no code can run at a bad moment.
        unsafe { libc::signal(*signal, libc::SIG_IGN) };
    }
}

/// Children of this process that end leave no zombie and are never waited for.
pub fn ignore_children() {
    ignore_signals(&[libc::SIGCHLD]);
}

/// Gives SIGCHLD its ordinary meaning back, so that children can be waited for.
pub fn notice_children() {
    // SAFETY: SIG_DFL installs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Which side of a [`fork`] the caller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    Parent(Pid),
    Child,
}

/// Continues in two processes. Fails with `EINVAL` when this process has more than one thread, because the child would then be
/// allowed to do next to nothing.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: unsharing the thread group changes nothing; the kernel refuses it when other threads exist.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the process has one thread, as the kernel just confirmed, so the child's memory is in a consistent state.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends this process at once, without running anything that was registered to run at exit.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit may be called anywhere.
    unsafe { libc::_exit(code) }
}

/// Private and shared memory of a process in bytes, as `/proc/PID/smaps_rollup` counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    pub private: u64,
    pub proportional: u64,
    pub resident: u64,
}

/// Parses `/proc/PID/smaps_rollup`.
pub fn parse_smaps_rollup(text: &str) -> MemoryUse {
    let mut memory = MemoryUse::default();
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let Some(kib) = rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok()) else { continue };
        match key {
            "Private_Clean" | "Private_Dirty" => memory.private += kib * 1024,
            "Pss" => memory.proportional = kib * 1024,
            "Rss" => memory.resident = kib * 1024,
            _ => {}
        }
    }
    memory
}

/// Memory of a process as the kernel accounts it.
pub fn memory_use(pid: Pid) -> io::Result<MemoryUse> {
    Ok(parse_smaps_rollup(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_whose_command_looks_like_the_rest_of_it() {
        let text = "4242 (odd) S 1 (x) R 17 4242 4242 0 -1 4194560 120 0 0 0 7 3 0 0 20 0 1 0 987654 2600960 210 18446744073709551615";
        let stat = parse_stat(text).expect("stat line");
        assert_eq!((stat.state, stat.parent), ('R', 17));
        assert_eq!((stat.user_ticks, stat.system_ticks), (7, 3));
        assert_eq!((stat.start_time, stat.resident_pages), (987_654, 210));
        assert_eq!(parse_stat("17 (cut"), None);
        assert_eq!(parse_stat("17 (cut) S 1 2"), None);
    }

    #[test]
    fn an_identity_does_not_fit_another_process_with_the_same_number() {
        let own = Identity::of(std::process::id() as Pid).expect("own identity");
        assert!(own.is_alive());
        let reused = Identity { start_time: own.start_time + 1, ..own };
        assert!(!reused.is_alive());
    }

    #[test]
    fn a_process_that_was_not_waited_for_counts_as_gone() {
        #[expect(clippy::zombie_processes, reason = "waited for below, by number")]
        let child = std::process::Command::new("/bin/true").spawn().expect("spawn");
        let pid = child.id() as Pid;
        let identity = Identity::of(pid).expect("identity");
        let pidfd = open_pidfd(pid).expect("pidfd");
        crate::poll::wait_readable(&pidfd, None).expect("poll");
        assert!(!identity.is_alive());
        assert_eq!(reap(pid).expect("reap"), Some((pid, Ended::Exited(0))));
    }

    #[test]
    fn refuses_to_fork_a_process_with_threads() {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(1);
        let other = std::thread::spawn(move || receiver.recv());
        assert_eq!(fork().map_err(|error| error.raw_os_error()), Err(Some(libc::EINVAL)));
        drop(sender);
        assert!(other.join().is_ok());
    }

    #[test]
    fn adds_up_private_memory() {
        let memory = parse_smaps_rollup("0-1 ---p\nRss:  800 kB\nPss: 266 kB\nPrivate_Clean: 20 kB\nPrivate_Dirty: 100 kB\n");
        assert_eq!(memory, MemoryUse { private: 120 * 1024, proportional: 266 * 1024, resident: 800 * 1024 });
    }
}
