//! What drivers that run programs of the host share: every task under a shim, and the table of the tasks this agent knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_linux::cgroup::{Hierarchy, Version};
use drover_linux::fingerprint::format_list;
use drover_linux::process;
use drover_rt::Entropy;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::shim::agent::{AttachError, LaunchError, RequestError, Shim, ShimHandle, Shims};
use crate::shim::protocol::{self, Exited, Launch, Reply};
use crate::task::{
    DriverError, ExecCommand, ExecInput, ExecOutput, ExitResult, LogSettings, StartError, Started, TaskConfig, TaskHandle, TaskResources,
    TaskState, TaskStats,
};

/// The version of the state in handles written here.
const HANDLE_VERSION: u32 = 1;
/// How much longer than the time a task is given to stop its end may take to arrive.
const STOP_GRACE: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;

/// Runs programs under shims. Shared by the drivers that are built on it.
#[derive(Debug)]
pub struct Executor {
    shims: Arc<Shims>,
    hierarchy: Hierarchy,
    entropy: Entropy,
    tasks: Mutex<BTreeMap<String, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    shim: Shim,
    /// What commands run in the task's context need.
    env: Vec<String>,
    directory: String,
}

impl Executor {
    /// An executor whose shims live where `shims` says and whose tasks' groups lie in `hierarchy`.
    pub fn new(shims: Arc<Shims>, hierarchy: Hierarchy, entropy: Entropy) -> Self {
        Self { shims, hierarchy, entropy, tasks: Mutex::new(BTreeMap::new()) }
    }

    /// Which control groups the tasks get.
    pub fn groups(&self) -> Version {
        self.hierarchy.version
    }

    pub(crate) fn warm_up(&self) {
        if let Err(error) = self.shims.warm_up() {
            tracing::warn!(%error, "task shims could not be prepared");
        }
    }

    /// Leaves nothing behind on the host but what other agents still use. To be called when no task is left.
    /// False while something is left, such as a shim that has said its last word and not ended yet.
    pub fn clear(&self) -> bool {
        self.shims.cool_down();
        self.hierarchy.clear()
    }

    /// The control group of a task, with the limits of its resources; none where the host gives us none.
    pub(crate) fn group(&self, task: &TaskConfig) -> Option<protocol::ControlGroup> {
        let version = match self.hierarchy.version {
            Version::Off => return None,
            Version::V1 => 1,
            Version::V2 => 2,
        };
        let resources: &TaskResources = &task.resources;
        Some(protocol::ControlGroup {
            version,
            name: format!("{}.{}", task.alloc_id, task.task),
            parent: self.hierarchy.parent().to_owned(),
            cpu_shares: resources.cpu_mhz,
            memory_max: resources.memory_limit().unwrap_or(0),
            memory_low: resources.memory_reserve().unwrap_or(0),
            reserved_cores: format_list(&resources.reserved_cores),
            instead: Vec::new(),
        })
    }

    pub(crate) fn logs(task: &TaskConfig) -> Option<protocol::Logs> {
        task.logs.map(|LogSettings { max_files, max_file_size_mb }| protocol::Logs {
            directory: text(&task.directories.logs),
            prefix: task.task.clone(),
            max_files,
            max_file_bytes: max_file_size_mb.max(1) * 1024 * 1024,
        })
    }

    pub(crate) async fn start(&self, driver: &str, id: String, mut launch: Launch) -> Result<Started, StartError> {
        launch.token = format!("{:032x}", self.entropy.bits());
        self.shims.address(&mut launch);
        let (env, directory) = (launch.env.clone(), launch.directory.clone());
        let shim = match self.shims.launch(launch).await {
            Ok(shim) => shim,
            Err(LaunchError::Task(message)) => return Err(StartError::fatal(launch_failure(&message))),
            Err(error) => {
                let message = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                return Err(StartError::recoverable(launch_failure(&message)));
            }
        };
        let state = Stored { shim: shim.handle().to_bytes(), env: env.clone(), directory: directory.clone() };
        let handle = TaskHandle {
            driver: driver.to_owned(),
            version: HANDLE_VERSION,
            state: minicbor::to_vec(&state).expect("writing to memory cannot fail"),
        };
        self.remember(id, Known { shim, env, directory });
        Ok(Started { handle, address: None })
    }

    fn remember(&self, id: String, known: Known) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(id, known);
    }

    fn known(&self, id: &str) -> Result<Known, DriverError> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned().ok_or(DriverError::NotFound)
    }

    pub(crate) async fn confirm(&self, id: &str) {
        if let Ok(known) = self.known(id) {
            // A shim that is gone has nothing to go on with.
            drop(known.shim.confirm().await);
        }
    }

    pub(crate) async fn recover(&self, id: String, handle: TaskHandle) -> Result<(), DriverError> {
        if self.known(&id).is_ok() {
            return Ok(());
        }
        if handle.version > HANDLE_VERSION {
            let message = format!("the task was started by a newer version (handle {}, this build reads {HANDLE_VERSION})", handle.version);
            return Err(DriverError::Failed(message));
        }
        let unreadable = |error: minicbor::decode::Error| DriverError::Failed(format!("read task handle: {error}"));
        let stored: Stored = minicbor::decode(&handle.state).map_err(unreadable)?;
        let shim = ShimHandle::from_bytes(&stored.shim).map_err(unreadable)?;
        match self.shims.attach(shim).await {
            Ok(shim) => {
                self.remember(id, Known { shim, env: stored.env, directory: stored.directory });
                Ok(())
            }
            Err(AttachError::Gone(_)) => Err(DriverError::NotFound),
            Err(error) => Err(DriverError::Failed(error.to_string())),
        }
    }

    pub(crate) async fn wait(&self, id: &str) -> Result<ExitResult, DriverError> {
        let known = self.known(id)?;
        Ok(result_of(known.shim.wait().await))
    }

    pub(crate) async fn stop(&self, id: &str, signal: i32, timeout: Duration) -> Result<(), DriverError> {
        let known = self.known(id)?;
        match known.shim.stop(signal, timeout).await {
            Ok(()) | Err(RequestError::Gone) => {}
            Err(error) => return Err(DriverError::Failed(error.to_string())),
        }
        match tokio::time::timeout(timeout + STOP_GRACE, known.shim.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(DriverError::Failed(format!("the task did not end within {} s of being killed", STOP_GRACE.as_secs()))),
        }
    }

    pub(crate) async fn destroy(&self, id: &str, force: bool) -> Result<(), DriverError> {
        let known = self.known(id)?;
        if known.shim.exited().is_none() {
            if !force {
                return Err(DriverError::StillRunning);
            }
            self.stop(id, SIGKILL, Duration::ZERO).await?;
        }
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        known.shim.forget();
        Ok(())
    }

    pub(crate) fn inspect(&self, id: &str) -> Result<TaskState, DriverError> {
        Ok(match self.known(id)?.shim.exited() {
            None => TaskState::Running,
            Some(exited) => TaskState::Exited(result_of(exited)),
        })
    }

    pub(crate) async fn signal(&self, id: &str, signal: i32) -> Result<(), DriverError> {
        let known = self.known(id)?;
        known.shim.signal(signal).await.map_err(|error| match error {
            RequestError::Gone => DriverError::NotFound,
            error => DriverError::Failed(error.to_string()),
        })
    }

    pub(crate) fn stats(&self, id: &str) -> Result<TaskStats, DriverError> {
        let known = self.known(id)?;
        let handle = known.shim.handle();
        let group = handle.control_group();
        let processes = match &group {
            Some(group) => group.processes(),
            None => process::descendants(handle.shim_pid),
        };
        let mut stats = TaskStats::default();
        let tick = 1_000_000_000 / process::ticks_per_second().max(1);
        for stat in processes.iter().filter_map(|pid| process::read_stat(*pid).ok()) {
            stats.user_nanoseconds += stat.user_ticks * tick;
            stats.system_nanoseconds += stat.system_ticks * tick;
            stats.resident_bytes += stat.resident_pages * process::page_size();
        }
        stats.memory_bytes = stats.resident_bytes;
        if let Some(group) = group {
            let usage = group.usage();
            if usage.cpu_nanoseconds > 0 {
                stats.user_nanoseconds = usage.cpu_user_nanoseconds;
                stats.system_nanoseconds = usage.cpu_system_nanoseconds;
            }
            stats.memory_bytes = usage.memory_bytes;
            stats.memory_max_bytes = usage.memory_max_bytes;
            stats.cache_bytes = usage.memory_cache_bytes;
            stats.resident_bytes = usage.memory_anonymous_bytes;
            stats.throttled_periods = usage.throttled_periods;
            stats.throttled_nanoseconds = usage.throttled_nanoseconds;
        }
        stats.processes = processes;
        Ok(stats)
    }

    pub(crate) async fn exec(
        &self,
        id: &str,
        command: ExecCommand,
        input: mpsc::Receiver<ExecInput>,
    ) -> Result<BoxStream<'static, ExecOutput>, DriverError> {
        let known = self.known(id)?;
        let request = protocol::Exec {
            args: command.args,
            env: known.env,
            directory: known.directory,
            timeout_ms: command.timeout.map_or(0, |limit| limit.as_millis() as u64),
            terminal: command.terminal.then_some(true),
        };
        let stream = known.shim.exec(request).await.map_err(|error| match error {
            RequestError::Gone => DriverError::NotFound,
            error => DriverError::Failed(error.to_string()),
        })?;
        // Input and output of one command run in one place, so that dropping the stream ends both.
        let state = (stream, Some(input), false);
        let outputs = futures::stream::unfold(state, |(mut stream, mut input, over)| async move {
            if over {
                return None;
            }
            let reply = loop {
                tokio::select! {
                    reply = stream.next() => break reply,
                    chunk = next_chunk(&mut input) => {
                        let given = match chunk {
                            Some(ExecInput::Bytes(bytes)) => stream.write(bytes, false).await,
                            Some(ExecInput::Resize { rows, columns }) => stream.resize(rows, columns).await,
                            None => {
                                input = None;
                                stream.write(Vec::new(), true).await
                            }
                        };
                        if given.is_err() {
                            input = None;
                        }
                    }
                }
            };
            let item = match reply {
                Some(Reply::Output(output)) if output.stream == 1 => ExecOutput::Stdout(output.bytes),
                Some(Reply::Output(output)) => ExecOutput::Stderr(output.bytes),
                Some(Reply::Ended(ended)) => ExecOutput::Ended { code: ended.code, timed_out: ended.timed_out },
                Some(Reply::Failed(failed)) => ExecOutput::Failed(failed.message),
                Some(_) => ExecOutput::Failed("the task shim answered out of turn".to_owned()),
                None => ExecOutput::Failed("the task ended".to_owned()),
            };
            let over = matches!(item, ExecOutput::Ended { .. } | ExecOutput::Failed(_));
            Some((item, (stream, input, over)))
        });
        Ok(outputs.boxed())
    }
}

async fn next_chunk(input: &mut Option<mpsc::Receiver<ExecInput>>) -> Option<ExecInput> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

/// What a handle of these drivers holds.
#[derive(minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct Stored {
    #[cbor(n(0), with = "minicbor::bytes")]
    shim: Vec<u8>,
    #[n(1)]
    env: Vec<String>,
    #[n(2)]
    directory: String,
}

fn result_of(exited: Exited) -> ExitResult {
    ExitResult { code: exited.code, signal: exited.signal, out_of_memory: exited.out_of_memory, error: exited.error }
}

/// The words for a program that could not be started.
pub(crate) fn launch_failure(message: &str) -> String {
    format!("failed to launch command with executor: rpc error: code = Unknown desc = {message}")
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether this is a file that could be run.
pub(crate) fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The first of these places that holds a program.
pub(crate) fn first_program(candidates: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    candidates.into_iter().find(|path| is_program(path))
}

/// The environment as the kernel takes it, with the user's own names where nothing else set them.
pub(crate) fn environment(task: &TaskConfig, user: Option<&drover_linux::user::User>) -> Vec<String> {
    let mut env = task.env.clone();
    if let Some(user) = user {
        env.entry("HOME".to_owned()).or_insert_with(|| text(&user.home));
        env.entry("USER".to_owned()).or_insert_with(|| user.name.clone());
        env.entry("LOGNAME".to_owned()).or_insert_with(|| user.name.clone());
    }
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The user a task names.
pub(crate) fn user_of(name: &str) -> Result<drover_linux::user::User, StartError> {
    drover_linux::user::look_up(name)
        .map_err(|error| StartError::fatal(format!("failed driver config validation: failed to identify user \"{name}\": {error}")))
}
