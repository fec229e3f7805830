//! A file system of its own for a task: a new mount namespace whose root is the task's directory, with chosen host directories
//! bound into it, fresh `/dev`, `/proc` and `/sys`, and nothing left on the host that would have to be unmounted later.
//!
//! Everything here runs in the child between fork and exec. The mounts live and die with the task's mount namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change, mount_remount, unmount};

/// One host path to be seen inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub source: PathBuf,
    /// Where it is seen, as an absolute path inside.
    pub target: PathBuf,
    pub read_only: bool,
    /// Whether a missing source is simply left out.
    pub optional: bool,
}

/// What a task sees of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// The host directory that becomes `/`.
    pub root: PathBuf,
    pub binds: Vec<Bind>,
    pub private_pid: bool,
    pub private_ipc: bool,
}

/// Why a task's file system could not be built: the step and what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct IsolationError {
    pub step: String,
    pub source: io::Error,
}

fn at<T>(step: impl Into<String>, result: Result<T, impl Into<io::Error>>) -> Result<T, IsolationError> {
    result.map_err(|source| IsolationError { step: step.into(), source: source.into() })
}

/// Gives this process a mount namespace of its own.
pub fn unshare_mounts() -> io::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(io::Error::from)
}

/// Lets processes that this one starts from now on live in a process id namespace of their own, and in an IPC one as asked.
pub fn unshare_for_children(pid: bool, ipc: bool) -> io::Result<()> {
    let mut flags = nix::sched::CloneFlags::empty();
    flags.set(nix::sched::CloneFlags::CLONE_NEWPID, pid);
    flags.set(nix::sched::CloneFlags::CLONE_NEWIPC, ipc);
    if flags.is_empty() { Ok(()) } else { nix::sched::unshare(flags).map_err(io::Error::from) }
}

/// Moves this process into the mount namespace of another one, whose root becomes its own.
pub fn join_mounts(pid: crate::Pid) -> io::Result<()> {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/mnt"))?;
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNS).map_err(io::Error::from)
}

/// Builds the file system and enters it. To be called in a process that already has its own mount namespace.
pub fn enter(isolation: &Isolation) -> Result<(), IsolationError> {
    let root = &isolation.root;
    at("keep mounts apart from the host", mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC))?;
    at("make the task directory a mount", mount_bind_recursive(root, root))?;
    for bind in &isolation.binds {
        bind_one(root, bind)?;
    }
    build_dev(root)?;
    build_proc_and_sys(root, isolation.private_pid)?;
    at("enter the task directory", rustix::process::chdir(root))?;
    at("make the task directory the root", rustix::process::pivot_root(".", "."))?;
    at("let go of the host's root", unmount(".", UnmountFlags::DETACH))?;
    at("enter the new root", rustix::process::chdir("/"))
}

fn inside(root: &Path, target: &Path) -> PathBuf {
    root.join(target.strip_prefix("/").unwrap_or(target))
}

fn bind_one(root: &Path, bind: &Bind) -> Result<(), IsolationError> {
    let shown = bind.source.display();
    let metadata = match fs::metadata(&bind.source) {
        Err(error) if bind.optional && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => at(format!("look at {shown}"), result)?,
    };
    let target = inside(root, &bind.target);
    if metadata.is_dir() {
        at(format!("create {}", bind.target.display()), fs::create_dir_all(&target))?;
    } else {
        if let Some(parent) = target.parent() {
            at(format!("create {}", parent.display()), fs::create_dir_all(parent))?;
        }
        if !target.exists() {
            at(format!("create {}", bind.target.display()), fs::File::create(&target))?;
        }
    }
    at(format!("bind {shown}"), mount_bind_recursive(&bind.source, &target))?;
    if bind.read_only {
        at(format!("make {shown} read-only"), make_read_only(&target))?;
    }
    Ok(())
}

/// Makes a mount and all below it read-only, leaving their other flags as they are.
fn make_read_only(target: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(target.as_os_str().as_bytes())?;
    let attributes = libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is a C string and the structure has the size given; both outlive the call.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if rc == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    Ok(mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "")?)
}

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

fn build_dev(root: &Path) -> Result<(), IsolationError> {
    let dev = root.join("dev");
    at("create /dev", fs::create_dir_all(&dev))?;
    at("mount /dev", mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, c"mode=755"))?;
    for device in DEVICES {
        let target = dev.join(device);
        at(format!("create /dev/{device}"), fs::File::create(&target))?;
        at(format!("bind /dev/{device}"), rustix::mount::mount_bind(format!("/dev/{device}"), &target))?;
    }
    for (name, target) in DEVICE_LINKS {
        at(format!("link /dev/{name}"), std::os::unix::fs::symlink(target, dev.join(name)))?;
    }
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    at("create /dev/pts", fs::create_dir(dev.join("pts")))?;
    at("mount /dev/pts", mount("devpts", dev.join("pts"), "devpts", quiet, c"newinstance,ptmxmode=0666,mode=0620,gid=5"))?;
    at("create /dev/shm", fs::create_dir(dev.join("shm")))?;
    at("mount /dev/shm", mount("shm", dev.join("shm"), "tmpfs", quiet | MountFlags::NODEV, c"mode=1777,size=65536k"))?;
    at("create /dev/mqueue", fs::create_dir(dev.join("mqueue")))?;
    // A kernel without POSIX message queues is no reason to refuse the task.
    let _unsupported = mount("mqueue", dev.join("mqueue"), "mqueue", quiet | MountFlags::NODEV, c"");
    Ok(())
}

const READ_ONLY_IN_PROC: &[&str] = &["sys", "irq", "bus"];

fn build_proc_and_sys(root: &Path, private_pid: bool) -> Result<(), IsolationError> {
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let proc = root.join("proc");
    at("create /proc", fs::create_dir_all(&proc))?;
    if private_pid {
        at("mount /proc", mount("proc", &proc, "proc", quiet, c""))?;
    } else {
        at("bind /proc", mount_bind_recursive("/proc", &proc))?;
    }
    for name in READ_ONLY_IN_PROC {
        let place = proc.join(name);
        if place.exists() {
            at(format!("bind /proc/{name}"), mount_bind_recursive(&place, &place))?;
            at(format!("make /proc/{name} read-only"), make_read_only(&place))?;
        }
    }
    let sys = root.join("sys");
    at("create /sys", fs::create_dir_all(&sys))?;
    at("mount /sys", mount("sysfs", &sys, "sysfs", quiet | MountFlags::RDONLY, c""))?;
    let firmware = sys.join("firmware");
    if firmware.exists() {
        at("hide /sys/firmware", mount("tmpfs", &firmware, "tmpfs", MountFlags::RDONLY, c"size=4k,nr_inodes=1"))?;
    }
    Ok(())
}
