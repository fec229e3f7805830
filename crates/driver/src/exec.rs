//! `exec`: a program in a file system of its own (the task's directory, with system directories bound read-only), its own process, IPC
//! and mount namespaces, with limits, and as `nobody` unless the job says otherwise. Needs root.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover_linux::capabilities::CapabilitySet;
use drover_linux::cgroup::Version;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::executor::{Executor, environment, is_program, launch_failure, text, user_of};
use crate::raw_exec::in_ranges;
use crate::registry::Driver;
use crate::schema::{self, Field, Kind, Settings, optional, required};
use crate::shim::protocol::{Bind, Credentials, Isolation, Launch};
use crate::task::{
    Capabilities, DriverError, ExecCommand, ExecInput, ExecOutput, ExitResult, FileSystemIsolation, Fingerprint, NetworkMode, StartError,
    Started, TaskConfig, TaskHandle, TaskState, TaskStats,
};

const NAME: &str = "exec";
/// Who runs tasks that name no user.
pub const DEFAULT_USER: &str = "nobody";

const FIELDS: &[Field] = &[
    required("command", Kind::Text),
    optional("args", Kind::Texts),
    optional("pid_mode", Kind::Text),
    optional("ipc_mode", Kind::Text),
    optional("cap_add", Kind::Texts),
    optional("cap_drop", Kind::Texts),
    optional("work_dir", Kind::Text),
];

/// Host directories seen inside, each at the same place.
pub const CHROOT: &[&str] = &["/bin", "/etc", "/lib", "/lib32", "/lib64", "/run/resolvconf", "/run/systemd/resolve", "/sbin", "/usr"];

/// Capabilities that tasks may have unless the agent is configured otherwise.
pub const DEFAULT_CAPABILITIES: &[&str] = &[
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
];

/// Settings of the driver itself, from the agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecConfig {
    pub default_pid_mode: String,
    pub default_ipc_mode: String,
    pub allow_caps: Vec<String>,
    pub denied_host_uids: String,
    pub denied_host_gids: String,
    /// Host path and place inside, in place of [`CHROOT`]; empty for the usual ones.
    pub chroot: Vec<(PathBuf, PathBuf)>,
}

impl Default for ExecConfig {
    fn default() -> Self {
        Self {
            default_pid_mode: "private".to_owned(),
            default_ipc_mode: "private".to_owned(),
            allow_caps: DEFAULT_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
            denied_host_uids: String::new(),
            denied_host_gids: String::new(),
            chroot: Vec::new(),
        }
    }
}

/// The driver.
#[derive(Debug)]
pub struct IsolatedExec {
    config: ExecConfig,
    executor: Arc<Executor>,
}

impl IsolatedExec {
    /// The driver on an executor.
    pub fn new(config: ExecConfig, executor: Arc<Executor>) -> Self {
        Self { config, executor }
    }

    fn binds(&self, task: &TaskConfig) -> Vec<Bind> {
        let usual = || CHROOT.iter().map(|path| (PathBuf::from(path), PathBuf::from(path))).collect();
        let system = if self.config.chroot.is_empty() { usual() } else { self.config.chroot.clone() };
        let own = [(&task.directories.shared, "/alloc")];
        let system = system.into_iter().map(|(source, target)| Bind {
            source: text(&source),
            target: text(&target),
            read_only: true,
            optional: true,
        });
        let own = own.into_iter().map(|(source, target)| Bind {
            source: text(source),
            target: target.to_owned(),
            read_only: false,
            optional: false,
        });
        system.chain(own).collect()
    }

    fn prepare(&self, task: &TaskConfig) -> Result<Launch, StartError> {
        let invalid = |problem: String| StartError::fatal(format!("failed driver config validation: {problem}"));
        let settings = schema::decode(&task.config, FIELDS).map_err(|problems| invalid(problems.join("; ")))?;
        let private = |name: &str, default: &str| match settings.text(name).filter(|mode| !mode.is_empty()).unwrap_or(default) {
            "private" => Ok(true),
            "host" => Ok(false),
            other => Err(invalid(format!("{name} must be \"private\" or \"host\", got \"{other}\""))),
        };
        let private_pid = private("pid_mode", &self.config.default_pid_mode)?;
        let private_ipc = private("ipc_mode", &self.config.default_ipc_mode)?;
        let capabilities = self.capabilities_of(&settings).map_err(invalid)?;
        let named = if task.user.is_empty() { DEFAULT_USER } else { &task.user };
        let user = user_of(named)?;
        if in_ranges(&self.config.denied_host_uids, user.uid) {
            return Err(invalid(format!("running as uid {} is disallowed", user.uid)));
        }
        if in_ranges(&self.config.denied_host_gids, user.gid) {
            return Err(invalid(format!("running as gid {} is disallowed", user.gid)));
        }
        let directory = match settings.text("work_dir") {
            None | Some("") => "/".to_owned(),
            Some(path) if Path::new(path).is_absolute() => path.to_owned(),
            Some(path) => return Err(invalid(format!("work_dir must be absolute but got relative path \"{path}\""))),
        };
        let binds = self.binds(task);
        let command = settings.text("command").unwrap_or_default();
        let program = find(command, task, &binds).ok_or_else(|| {
            let under = task.directories.task.display();
            StartError::fatal(launch_failure(&format!("file {command} not found under path {under}")))
        })?;
        let mut args = vec![command.to_owned()];
        args.extend_from_slice(settings.texts("args"));
        // Without a named user the group stays that of root, as the chroot's owner.
        let gid = if task.user.is_empty() { 0 } else { user.gid };
        Ok(Launch {
            token: String::new(),
            program,
            args,
            env: environment(task, Some(&user)),
            directory,
            logs: Executor::logs(task),
            socket: String::new(),
            record: String::new(),
            durable: false,
            orphan_limit_ms: 0,
            group: self.executor.group(task),
            isolation: Some(Isolation { root: text(&task.directories.task), binds, private_pid, private_ipc }),
            credentials: Some(Credentials { uid: user.uid, gid, groups: user.groups }),
            capabilities: Some(capabilities.0),
            oom_score_adj: None,
        })
    }

    fn capabilities_of(&self, settings: &Settings) -> Result<CapabilitySet, String> {
        let parse = |names: &[String]| {
            CapabilitySet::from_names(names.iter().map(String::as_str))
                .map_err(|unknown| format!("unknown capabilities: {}", unknown.join(", ")))
        };
        let allowed = parse(&self.config.allow_caps)?;
        let usual = CapabilitySet::from_names(DEFAULT_CAPABILITIES.iter().copied()).unwrap_or_default();
        let usual = CapabilitySet(usual.0 & allowed.0);
        let wanted = usual.difference(parse(settings.texts("cap_drop"))?).union(parse(settings.texts("cap_add"))?);
        let refused = wanted.difference(allowed).names();
        if refused.is_empty() {
            Ok(wanted)
        } else {
            Err(format!("driver does not allow the following capabilities: {}", refused.join(", ")))
        }
    }
}

/// The place inside where the command lies: in the task's own directories, then where programs usually are.
fn find(command: &str, task: &TaskConfig, binds: &[Bind]) -> Option<String> {
    let on_host = |inside: &Path| -> PathBuf {
        let bind = binds.iter().filter(|bind| inside.starts_with(&bind.target)).max_by_key(|bind| bind.target.len());
        match bind {
            Some(bind) => match inside.strip_prefix(&bind.target) {
                Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from(&bind.source),
                Ok(rest) => Path::new(&bind.source).join(rest),
                Err(_) => inside.to_owned(),
            },
            None => task.directories.task.join(inside.strip_prefix("/").unwrap_or(inside)),
        }
    };
    let relative = command.trim_start_matches('/');
    let mut candidates = vec![Path::new("/local").join(relative), Path::new("/").join(relative)];
    if !command.contains('/') {
        for directory in ["/usr/local/bin", "/usr/bin", "/bin"] {
            candidates.push(Path::new(directory).join(command));
        }
    }
    candidates.into_iter().find(|inside| is_program(&on_host(inside))).map(|inside| text(&inside))
}

impl Driver for IsolatedExec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            send_signals: true,
            exec: true,
            file_system: FileSystemIsolation::Chroot,
            network: &[NetworkMode::Host, NetworkMode::Group],
            mounts: true,
            must_create_network: false,
            dynamic_users: false,
            can_disable_logs: true,
            inherits_environment: true,
            default_user: Some(DEFAULT_USER),
            checks_users: true,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        if !drover_linux::is_root() {
            return Fingerprint::undetected("Driver must run as root");
        }
        if self.executor.groups() == Version::Off {
            return Fingerprint::undetected("Failed to discover cgroup mount point");
        }
        Fingerprint::healthy(NAME)
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn start(&self, task: TaskConfig) -> BoxFuture<'_, Result<Started, StartError>> {
        async move {
            let launch = self.prepare(&task)?;
            self.executor.start(NAME, task.id, launch).await
        }
        .boxed()
    }

    fn confirm(&self, id: String) -> BoxFuture<'_, ()> {
        async move { self.executor.confirm(&id).await }.boxed()
    }

    fn recover(&self, id: String, handle: TaskHandle) -> BoxFuture<'_, Result<(), DriverError>> {
        self.executor.recover(id, handle).boxed()
    }

    fn wait(&self, id: String) -> BoxFuture<'_, Result<ExitResult, DriverError>> {
        async move {
            let mut result = self.executor.wait(&id).await?;
            // The kernel's kill for memory is told by its own flag.
            if result.out_of_memory {
                result.signal = 0;
            }
            Ok(result)
        }
        .boxed()
    }

    fn stop(&self, id: String, signal: i32, timeout: Duration) -> BoxFuture<'_, Result<(), DriverError>> {
        async move { self.executor.stop(&id, signal, timeout).await }.boxed()
    }

    fn destroy(&self, id: String, force: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        async move { self.executor.destroy(&id, force).await }.boxed()
    }

    fn inspect(&self, id: &str) -> Result<TaskState, DriverError> {
        self.executor.inspect(id)
    }

    fn signal(&self, id: String, signal: i32) -> BoxFuture<'_, Result<(), DriverError>> {
        async move { self.executor.signal(&id, signal).await }.boxed()
    }

    fn stats(&self, id: &str) -> Result<TaskStats, DriverError> {
        self.executor.stats(id)
    }

    fn exec(
        &self,
        id: String,
        command: ExecCommand,
        input: mpsc::Receiver<ExecInput>,
    ) -> BoxFuture<'_, Result<BoxStream<'static, ExecOutput>, DriverError>> {
        async move { self.executor.exec(&id, command, input).await }.boxed()
    }

    fn clear(&self) -> bool {
        self.executor.clear()
    }

    fn warm_up(&self) {
        self.executor.warm_up();
    }
}
