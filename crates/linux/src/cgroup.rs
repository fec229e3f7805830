//! Control groups, version 1 and 2, behind one type: create a task's group with its limits, list and kill what is in it, see whether
//! the kernel killed for memory, remove it.
//!
//! Layout, as tools that look at it expect: on version 1 `<controller>/nomad/<name>` and for cores `cpuset/nomad/share` or
//! `cpuset/nomad/reserve/<name>`; on version 2 `nomad.slice/share.slice/<name>.scope` or `nomad.slice/reserve.slice/<name>.scope`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Pid;
use crate::process;

/// Which version the host uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Off,
    V1,
    V2,
}

/// The host's control groups as this process may use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub version: Version,
    root: PathBuf,
    /// The name of the parent of all tasks, as configured or `nomad` (version 1) and `nomad.slice` (version 2).
    parent: String,
}

/// Where upstream-compatible tools mount control groups.
pub const MOUNT: &str = "/sys/fs/cgroup";
/// The controllers a task's group is made in on version 1 besides `cpuset`.
const V1_CONTROLLERS: &[&str] = &["freezer", "memory", "cpu"];
/// How long killing a group waits for the kernel to end what is in it, in steps of [`KILL_STEP`].
const KILL_STEPS_MAX: u32 = 200;
/// How often making a group is tried while another agent removes its parents.
const CREATE_ATTEMPTS_MAX: u32 = 5;
const KILL_STEP: Duration = Duration::from_millis(5);

/// Limits of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Weight of the task among others, in MHz.
    pub cpu_shares: u64,
    /// Hard limit in bytes; none means no limit.
    pub memory_max: Option<u64>,
    /// What the task gets under pressure, in bytes, when lower than the hard limit.
    pub memory_low: Option<u64>,
    /// Cores that belong to this task alone, as a list such as `0-3,7`.
    pub reserved_cores: Option<String>,
}

/// A place in the control group tree that was made for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    version: Version,
    /// The directories made for the task, removed with it.
    owned: Vec<PathBuf>,
    /// All directories its processes enter.
    entered: Vec<PathBuf>,
}

/// Finds the version from what is mounted under the usual place.
pub fn version_at(root: &Path) -> Version {
    if root.join("cgroup.controllers").exists() {
        Version::V2
    } else if V1_CONTROLLERS.iter().all(|controller| root.join(controller).join("cgroup.procs").exists()) {
        Version::V1
    } else {
        Version::Off
    }
}

impl Hierarchy {
    /// The host's control groups. Without root they count as off, because nothing could be created.
    pub fn of_host(parent: Option<&str>) -> Self {
        let version = if crate::is_root() { version_at(Path::new(MOUNT)) } else { Version::Off };
        Self::at(Path::new(MOUNT), version, parent)
    }

    /// Control groups mounted somewhere else.
    pub fn at(root: &Path, version: Version, parent: Option<&str>) -> Self {
        let usual = if version == Version::V1 { "nomad" } else { "nomad.slice" };
        let parent = match (version, parent) {
            (_, None) => usual.to_owned(),
            (Version::V1, Some(name)) => name.trim_matches('/').trim_end_matches(".slice").to_owned(),
            (_, Some(name)) => name.trim_matches('/').to_owned(),
        };
        Self { version, root: root.to_owned(), parent }
    }

    /// The name of the parent of all tasks' groups.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// Prepares the parents of all tasks' groups; to be called once before tasks start.
    pub fn prepare(&self) -> io::Result<()> {
        match self.version {
            Version::Off => Ok(()),
            Version::V1 => {
                for controller in V1_CONTROLLERS {
                    fs::create_dir_all(self.root.join(controller).join(&self.parent))?;
                }
                let cpuset = self.root.join("cpuset");
                if cpuset.exists() {
                    let parent = cpuset.join(&self.parent);
                    for directory in [&parent, &parent.join("share"), &parent.join("reserve")] {
                        fs::create_dir_all(directory)?;
                        for file in ["cpuset.cpus", "cpuset.mems"] {
                            inherit(directory, file)?;
                        }
                    }
                }
                Ok(())
            }
            Version::V2 => {
                let parent = self.root.join(&self.parent);
                enable_controllers(&self.root)?;
                fs::create_dir_all(&parent)?;
                enable_controllers(&parent)?;
                for slice in ["share.slice", "reserve.slice"] {
                    fs::create_dir_all(parent.join(slice))?;
                    enable_controllers(&parent.join(slice))?;
                }
                Ok(())
            }
        }
    }

    /// Sets the cores that tasks without reserved cores run on.
    pub fn set_shared_cores(&self, cores: &str) -> io::Result<()> {
        let parent = match self.version {
            Version::Off => return Ok(()),
            Version::V1 => self.root.join("cpuset").join(&self.parent).join("share"),
            Version::V2 => self.root.join(&self.parent).join("share.slice"),
        };
        let file = parent.join("cpuset.cpus");
        if file.exists() { fs::write(file, cores) } else { Ok(()) }
    }

    /// Removes the parents of all tasks' groups where nothing is left in them. True when all are gone.
    pub fn clear(&self) -> bool {
        let directories: Vec<PathBuf> = match self.version {
            Version::Off => return true,
            Version::V1 => {
                let cpuset = self.root.join("cpuset").join(&self.parent);
                let own = V1_CONTROLLERS.iter().map(|controller| self.root.join(controller).join(&self.parent));
                own.chain([cpuset.join("share"), cpuset.join("reserve"), cpuset]).collect()
            }
            Version::V2 => {
                let parent = self.root.join(&self.parent);
                let inner = ["drover-shims.scope", "share.slice", "reserve.slice"].map(|name| parent.join(name));
                inner.into_iter().chain([parent.clone()]).collect()
            }
        };
        // One that is not empty belongs to somebody who is still there.
        directories.into_iter().fold(true, |gone, directory| match fs::remove_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => false,
            _ => gone,
        })
    }

    /// Makes the group of a task and sets its limits. What exists already under that name is used again.
    pub fn create(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let mut attempts = 1;
        loop {
            match self.try_create(name, limits) {
                // Another agent that ended took the parents with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < CREATE_ATTEMPTS_MAX => {
                    attempts += 1;
                    drop(self.prepare());
                }
                result => return result,
            }
        }
    }

    fn try_create(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let mut group = self.locate(name, limits.reserved_cores.is_some());
        for directory in &group.owned {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        // A controller that the host does not give us has no directory to enter.
        group.entered.retain(|directory| directory.exists());
        match self.version {
            Version::Off => {}
            Version::V1 => self.limit_v1(name, limits)?,
            Version::V2 => limit_v2(&group.owned[0], limits)?,
        }
        Ok(group)
    }

    /// The group a task of this name has, whether it exists or not.
    pub fn locate(&self, name: &str, reserved: bool) -> Group {
        let (owned, entered) = match self.version {
            Version::Off => (Vec::new(), Vec::new()),
            Version::V1 => {
                let mut owned: Vec<PathBuf> =
                    V1_CONTROLLERS.iter().map(|controller| self.root.join(controller).join(&self.parent).join(name)).collect();
                let cpuset = self.root.join("cpuset").join(&self.parent);
                let mut entered = owned.clone();
                if reserved {
                    owned.push(cpuset.join("reserve").join(name));
                    entered.push(cpuset.join("reserve").join(name));
                } else {
                    entered.push(cpuset.join("share"));
                }
                (owned, entered)
            }
            Version::V2 => {
                let slice = if reserved { "reserve.slice" } else { "share.slice" };
                let directory = self.root.join(&self.parent).join(slice).join(format!("{name}.scope"));
                (vec![directory.clone()], vec![directory])
            }
        };
        Group { version: self.version, owned, entered }
    }

    fn limit_v1(&self, name: &str, limits: &Limits) -> io::Result<()> {
        let place = |controller: &str| self.root.join(controller).join(&self.parent).join(name);
        if let Some(bytes) = limits.memory_max {
            fs::write(place("memory").join("memory.limit_in_bytes"), bytes.to_string())?;
            keep_out_of_swap(&place("memory").join("memory.swappiness"));
            if let Some(low) = limits.memory_low {
                fs::write(place("memory").join("memory.soft_limit_in_bytes"), low.to_string())?;
            }
        }
        if limits.cpu_shares > 0 {
            fs::write(place("cpu").join("cpu.shares"), limits.cpu_shares.max(2).to_string())?;
        }
        if let Some(cores) = &limits.reserved_cores {
            let cpuset = self.root.join("cpuset").join(&self.parent).join("reserve").join(name);
            inherit(&cpuset, "cpuset.mems")?;
            fs::write(cpuset.join("cpuset.cpus"), cores)?;
        }
        Ok(())
    }

    /// The group for the helpers themselves, so that they leave the agent's; none when the host has no such place.
    pub fn helpers(&self) -> Vec<PathBuf> {
        let directories = match self.version {
            Version::Off => return Vec::new(),
            Version::V1 => vec![self.root.join("memory").join(&self.parent)],
            Version::V2 => {
                let directory = self.root.join(&self.parent).join("drover-shims.scope");
                // Without it the helpers stay where they are, which costs only their independence of the agent's limits.
                drop(fs::create_dir(&directory));
                vec![directory]
            }
        };
        directories.into_iter().map(|directory| directory.join("cgroup.procs")).filter(|file| file.exists()).collect()
    }
}

/// Keeps a group from growing into swap space instead of being held to its limit, where the kernel can.
fn keep_out_of_swap(file: &Path) {
    if file.exists() {
        // A host without swap space may refuse, and needs it least.
        drop(fs::write(file, "0"));
    }
}

fn limit_v2(directory: &Path, limits: &Limits) -> io::Result<()> {
    if let Some(bytes) = limits.memory_max {
        fs::write(directory.join("memory.max"), bytes.to_string())?;
        keep_out_of_swap(&directory.join("memory.swap.max"));
        if let Some(low) = limits.memory_low {
            fs::write(directory.join("memory.low"), low.to_string())?;
        }
    }
    if limits.cpu_shares > 0 {
        fs::write(directory.join("cpu.weight"), weight_of_shares(limits.cpu_shares).to_string())?;
    }
    if let Some(cores) = &limits.reserved_cores {
        fs::write(directory.join("cpuset.cpus"), cores)?;
    }
    Ok(())
}

/// The version 2 weight (1 to 10,000) with the same meaning as version 1 shares (2 to 262,144): the linear map that container
/// runtimes use, so that a host of mixed programs stays comparable.
pub fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

/// Takes a value over from the parent where it is not set yet.
fn inherit(directory: &Path, file: &str) -> io::Result<()> {
    let own = directory.join(file);
    if !fs::read_to_string(&own)?.trim().is_empty() {
        return Ok(());
    }
    let Some(parent) = directory.parent() else { return Ok(()) };
    let value = fs::read_to_string(parent.join(file))?;
    fs::write(own, value.trim())
}

/// Lets children of a version 2 group have limits of their own; controllers that are not there are left out.
fn enable_controllers(directory: &Path) -> io::Result<()> {
    let available = fs::read_to_string(directory.join("cgroup.controllers"))?;
    for controller in ["cpuset", "cpu", "io", "memory", "pids"] {
        if available.split_ascii_whitespace().any(|name| name == controller) {
            fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"))?;
        }
    }
    Ok(())
}

/// Memory and processor time of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub memory_bytes: u64,
    pub memory_max_bytes: u64,
    pub memory_cache_bytes: u64,
    pub memory_anonymous_bytes: u64,
    pub cpu_nanoseconds: u64,
    pub cpu_user_nanoseconds: u64,
    pub cpu_system_nanoseconds: u64,
    pub throttled_periods: u64,
    pub throttled_nanoseconds: u64,
}

impl Group {
    /// A group from the directories of a stored handle.
    pub fn from_directories(version: Version, owned: Vec<PathBuf>) -> Self {
        Self { version, entered: owned.clone(), owned }
    }

    /// The directories made for the task.
    pub fn directories(&self) -> &[PathBuf] {
        &self.owned
    }

    /// The files a process writes its number to in order to enter.
    pub fn procs_files(&self) -> Vec<PathBuf> {
        self.entered.iter().map(|directory| directory.join("cgroup.procs")).collect()
    }

    fn controller(&self, name: &str) -> Option<&PathBuf> {
        match self.version {
            Version::Off => None,
            Version::V2 => self.owned.first(),
            Version::V1 => self.owned.iter().find(|directory| directory.components().any(|part| part.as_os_str() == name)),
        }
    }

    /// Every process in the group.
    pub fn processes(&self) -> Vec<Pid> {
        let Some(directory) = self.controller("freezer").or(self.owned.first()) else { return Vec::new() };
        let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Kills every process in the group, also those started meanwhile. True when none is left.
    pub fn kill_all(&self) -> bool {
        if self.version == Version::V2
            && let Some(directory) = self.owned.first()
            && fs::write(directory.join("cgroup.kill"), "1").is_ok()
        {
            return self.wait_until_empty();
        }
        for _ in 0..KILL_STEPS_MAX {
            let found = self.processes();
            if found.is_empty() {
                return true;
            }
            // Freezing stops a group that forks as fast as it is killed; a version 1 group must thaw to die.
            let freezer = if self.version == Version::V1 { self.controller("freezer") } else { None };
            if let Some(directory) = freezer {
                drop(fs::write(directory.join("freezer.state"), "FROZEN"));
            }
            for pid in self.processes() {
                drop(process::kill(pid, libc::SIGKILL));
            }
            if let Some(directory) = freezer {
                drop(fs::write(directory.join("freezer.state"), "THAWED"));
            }
            std::thread::sleep(KILL_STEP);
        }
        self.processes().is_empty()
    }

    fn wait_until_empty(&self) -> bool {
        for _ in 0..KILL_STEPS_MAX {
            if self.processes().is_empty() {
                return true;
            }
            std::thread::sleep(KILL_STEP);
        }
        false
    }

    /// Whether the kernel killed a process of the group because its memory was used up.
    pub fn was_out_of_memory(&self) -> bool {
        let Some(directory) = self.controller("memory") else { return false };
        let file = if self.version == Version::V2 { "memory.events" } else { "memory.oom_control" };
        fs::read_to_string(directory.join(file)).is_ok_and(|text| counter(&text, "oom_kill").unwrap_or(0) > 0)
    }

    /// What the group uses now.
    pub fn usage(&self) -> Usage {
        match self.version {
            Version::Off => Usage::default(),
            Version::V1 => self.usage_v1(),
            Version::V2 => self.usage_v2(),
        }
    }

    fn usage_v1(&self) -> Usage {
        let mut usage = Usage::default();
        if let Some(memory) = self.controller("memory") {
            usage.memory_bytes = number(&memory.join("memory.usage_in_bytes"));
            usage.memory_max_bytes = number(&memory.join("memory.max_usage_in_bytes"));
            let text = fs::read_to_string(memory.join("memory.stat")).unwrap_or_default();
            usage.memory_cache_bytes = counter(&text, "cache").unwrap_or(0);
            usage.memory_anonymous_bytes = counter(&text, "rss").unwrap_or(0);
        }
        usage
    }

    fn usage_v2(&self) -> Usage {
        let Some(directory) = self.owned.first() else { return Usage::default() };
        let memory = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
        let cpu = fs::read_to_string(directory.join("cpu.stat")).unwrap_or_default();
        let micros = |key: &str| counter(&cpu, key).unwrap_or(0).saturating_mul(1000);
        Usage {
            memory_bytes: number(&directory.join("memory.current")),
            memory_max_bytes: number(&directory.join("memory.peak")),
            memory_cache_bytes: counter(&memory, "file").unwrap_or(0),
            memory_anonymous_bytes: counter(&memory, "anon").unwrap_or(0),
            cpu_nanoseconds: micros("usage_usec"),
            cpu_user_nanoseconds: micros("user_usec"),
            cpu_system_nanoseconds: micros("system_usec"),
            throttled_periods: counter(&cpu, "nr_throttled").unwrap_or(0),
            throttled_nanoseconds: micros("throttled_usec"),
        }
    }

    /// Removes the directories made for the task; those that are gone already are no error.
    pub fn remove(&self) -> io::Result<()> {
        let mut first = Ok(());
        for directory in &self.owned {
            match fs::remove_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound && first.is_ok() => first = Err(error),
                _ => {}
            }
        }
        first
    }
}

fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The value of a key in a file of lines `key value`.
pub fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key { value.trim().parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_tools_look_for_them() {
        let v1 = Hierarchy::at(Path::new("/c"), Version::V1, None).locate("a.web", false);
        assert_eq!(
            v1.procs_files(),
            [
                Path::new("/c/freezer/nomad/a.web/cgroup.procs"),
                Path::new("/c/memory/nomad/a.web/cgroup.procs"),
                Path::new("/c/cpu/nomad/a.web/cgroup.procs"),
                Path::new("/c/cpuset/nomad/share/cgroup.procs"),
            ]
        );
        let reserved = Hierarchy::at(Path::new("/c"), Version::V1, None).locate("a.web", true);
        assert_eq!(reserved.directories().last().map(PathBuf::as_path), Some(Path::new("/c/cpuset/nomad/reserve/a.web")));
        let v2 = Hierarchy::at(Path::new("/c"), Version::V2, None).locate("a.web", true);
        assert_eq!(v2.directories(), [Path::new("/c/nomad.slice/reserve.slice/a.web.scope")]);
        assert!(Hierarchy::at(Path::new("/c"), Version::Off, None).locate("a.web", false).directories().is_empty());
    }

    #[test]
    fn a_version_2_group_gets_its_limits() {
        let root = tempfile::tempdir().expect("directory");
        fs::write(root.path().join("cgroup.controllers"), "cpu memory").expect("write");
        assert_eq!(version_at(root.path()), Version::V2);
        let hierarchy = Hierarchy::at(root.path(), Version::V2, None);
        let parent = root.path().join("nomad.slice/share.slice");
        fs::create_dir_all(&parent).expect("directory");
        let limits = Limits { cpu_shares: 500, memory_max: Some(1 << 20), memory_low: Some(1 << 19), reserved_cores: None };
        fs::create_dir_all(parent.join("a.web.scope")).expect("directory");
        fs::write(parent.join("a.web.scope/memory.swap.max"), "max").expect("write");
        let group = hierarchy.create("a.web", &limits).expect("create");
        let read = |file: &str| fs::read_to_string(group.directories()[0].join(file)).expect("read");
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("memory.low"), "524288");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("cpu.weight"), weight_of_shares(500).to_string());
        fs::write(group.directories()[0].join("memory.events"), "low 0\noom 1\noom_kill 2\n").expect("write");
        assert!(group.was_out_of_memory());
    }

    #[test]
    fn weights_span_the_range() {
        assert_eq!((weight_of_shares(0), weight_of_shares(2), weight_of_shares(262_144)), (1, 1, 10_000));
        assert_eq!(weight_of_shares(1024), 39);
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        assert_eq!(counter("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"), Some(3));
        assert_eq!(counter("oom_kill_disable 0\n", "oom_kill"), None);
    }
}
