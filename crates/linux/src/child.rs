//! Starting a task's process from a small single-threaded parent: the child arranges groups, limits, file system, user and
//! descriptors in an order that cannot leave rights behind, and reports the step that failed before any program ran.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use crate::Pid;
use crate::capabilities::{self, CapabilitySet};
use crate::isolation::{self, Isolation};
use crate::process::{self, Fork};

/// User and groups of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// Everything a child is given.
#[derive(Debug)]
pub struct ChildSpec<'a> {
    pub program: &'a CStr,
    pub args: &'a [CString],
    pub env: &'a [CString],
    pub directory: &'a CStr,
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    /// Whether the standard streams are a terminal that the child shall own.
    pub terminal: bool,
    /// The `cgroup.procs` files that the child enters itself into before anything else.
    pub cgroup_procs: &'a [PathBuf],
    /// How likely the process is chosen when memory runs out; by default as likely as any, however well the caller is protected.
    pub oom_score_adj: Option<i32>,
    pub isolation: Option<&'a Isolation>,
    /// Join the file system of this process instead of building one.
    pub join: Option<Pid>,
    pub credentials: Option<&'a Credentials>,
    /// The capabilities that the process and its descendants may ever have.
    pub capabilities: Option<CapabilitySet>,
}

/// A step of starting that failed, with what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct SpawnError {
    pub step: String,
    pub source: io::Error,
}

fn at<T>(step: impl Into<String>, result: Result<T, impl Into<io::Error>>) -> Result<T, SpawnError> {
    result.map_err(|source| SpawnError { step: step.into(), source: source.into() })
}

/// What a failed child writes to its parent at most.
const REPORT_BYTES_MAX: u64 = 4096;

/// Starts the child and returns once its program runs. The child dies when this process does.
pub fn spawn(spec: &ChildSpec<'_>) -> Result<Pid, SpawnError> {
    let (report, reporter) = at("create the report pipe", crate::poll::pipe())?;
    let parent = std::process::id() as Pid;
    match at("fork", process::fork())? {
        Fork::Child => {
            drop(report);
            let Err(error) = run(spec, parent);
            let code = error.source.raw_os_error().unwrap_or(0);
            let text = match error.source.raw_os_error() {
                Some(_) => error.step,
                None => format!("{}: {}", error.step, error.source),
            };
            // The parent may be gone; then nobody is left to be told.
            drop(crate::poll::write(&reporter, format!("{code}\n{text}").as_bytes()));
            process::exit_now(127)
        }
        Fork::Parent(pid) => {
            drop(reporter);
            let mut text = String::new();
            at("read the report pipe", fs::File::from(report).take(REPORT_BYTES_MAX).read_to_string(&mut text))?;
            if text.is_empty() {
                return Ok(pid);
            }
            // The child ends right after its report; nothing else waits for it.
            drop(process::reap_blocking(pid));
            let (code, step) = text.split_once('\n').unwrap_or(("0", &text));
            let source = match code.parse::<i32>() {
                Ok(code) if code != 0 => io::Error::from_raw_os_error(code),
                _ => io::Error::other("see above"),
            };
            Err(SpawnError { step: step.to_owned(), source })
        }
    }
}

const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// The ordinary score if this process has a better one. Services are often run with the best there is, and a task that had it
/// too could not be ended when it has used up its memory.
fn unprotected() -> Option<i32> {
    let inherited = fs::read_to_string(OOM_SCORE).ok()?;
    inherited.starts_with('-').then_some(0)
}

enum Never {}

fn run(spec: &ChildSpec<'_>, parent: Pid) -> Result<Never, SpawnError> {
    for file in spec.cgroup_procs {
        match fs::write(file, "0") {
            // The task's own groups cannot vanish; a shared one that another agent removed as it ended holds nobody back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => at(format!("enter control group {}", file.display()), result)?,
        }
    }
    if let Some(score) = spec.oom_score_adj.or_else(unprotected) {
        at("set oom_score_adj", fs::write(OOM_SCORE, score.to_string()))?;
    }
    at("start a session", process::new_session())?;
    if let Some(pid) = spec.join {
        at("join the task's file system", isolation::join_mounts(pid))?;
    }
    if let Some(isolation) = spec.isolation {
        at("unshare mounts", isolation::unshare_mounts())?;
        isolation::enter(isolation).map_err(|error| SpawnError { step: error.step, source: error.source })?;
    }
    redirect(spec)?;
    if spec.terminal {
        // SAFETY: the request takes a plain number; a session that was just started has no terminal yet.
        let rc = unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
        at("take the terminal", if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) })?;
    }
    if let Some(set) = spec.capabilities {
        at("limit capabilities", capabilities::limit_to(set))?;
    }
    if let Some(credentials) = spec.credentials {
        become_user(credentials)?;
    }
    at(format!("enter directory {}", spec.directory.to_string_lossy()), rustix::process::chdir(spec.directory))?;
    // After the change of user, which clears it.
    at("die with the shim", nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL))?;
    // SAFETY: getppid has no preconditions.
    let found = unsafe { libc::getppid() };
    // In a process id namespace of its own the parent has no number here.
    if found != parent && found != 0 {
        process::exit_now(127);
    }
    reset_signals();
    execute(spec)
}

fn redirect(spec: &ChildSpec<'_>) -> Result<(), SpawnError> {
    for (from, to) in [(spec.stdin, 0), (spec.stdout, 1), (spec.stderr, 2)] {
        // SAFETY: the descriptor is borrowed and open; 0 to 2 belong to nobody else in this process, which runs a program next.
        let rc = unsafe { if from.as_raw_fd() == to { libc::fcntl(to, libc::F_SETFD, 0) } else { libc::dup2(from.as_raw_fd(), to) } };
        if rc < 0 {
            return at("connect standard streams", Err(io::Error::last_os_error()));
        }
    }
    Ok(())
}

fn become_user(credentials: &Credentials) -> Result<(), SpawnError> {
    // SAFETY: these take plain numbers and a slice with its length; the process has one thread.
    let failed = unsafe {
        if libc::setgroups(credentials.groups.len(), credentials.groups.as_ptr()) != 0 {
            Some("set groups")
        } else if libc::setgid(credentials.gid) != 0 {
            Some("set group")
        } else if libc::setuid(credentials.uid) != 0 {
            Some("set user")
        } else {
            None
        }
    };
    match failed {
        Some(step) => at(format!("{step} {}:{}", credentials.uid, credentials.gid), Err(io::Error::last_os_error())),
        None => Ok(()),
    }
}

/// Gives every signal its ordinary meaning and lets all of them through.
fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler; numbers that cannot be changed are refused without effect.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by sigemptyset before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Runs the program; a name without a slash is looked for in the directories of the child's own `PATH`.
fn execute(spec: &ChildSpec<'_>) -> Result<Never, SpawnError> {
    let name = spec.program.to_bytes();
    let mut failure = nix::errno::Errno::ENOENT;
    if name.contains(&b'/') {
        match nix::unistd::execve(spec.program, spec.args, spec.env) {
            Ok(never) => match never {},
            Err(error) => failure = error,
        }
    } else {
        let path = spec.env.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
        for directory in path.split(|byte| *byte == b':') {
            let candidate = [directory, b"/", name].concat();
            let Ok(candidate) = CString::new(candidate) else { continue };
            match nix::unistd::execve(&candidate, spec.args, spec.env) {
                Ok(never) => match never {},
                Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {}
                Err(error) => failure = error,
            }
        }
    }
    at(format!("run {}", spec.program.to_string_lossy()), Err(failure))
}

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
