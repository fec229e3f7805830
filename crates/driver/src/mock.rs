//! `mock_driver`: tasks that only pretend, for tests of everything above drivers. Behaves on command: for how long it runs, how it ends,
//! what it prints, what it refuses.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_rt::{Clock, TaskScope};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use minicbor::{Decode, Encode};
use tokio::sync::{mpsc, watch};

use crate::registry::Driver;
use crate::schema::{self, Field, Kind, Settings, optional};
use crate::task::{
    Capabilities, DriverError, ExecCommand, ExecInput, ExecOutput, ExitResult, FileSystemIsolation, Fingerprint, NetworkMode, StartError,
    Started, TaskConfig, TaskHandle, TaskState, TaskStats,
};

const NAME: &str = "mock_driver";
const HANDLE_VERSION: u32 = 1;
const SIGKILL: i32 = 9;

const FIELDS: &[Field] = &[
    optional("run_for", Kind::Duration),
    optional("exit_code", Kind::Integer),
    optional("exit_signal", Kind::Integer),
    optional("exit_err_msg", Kind::Text),
    optional("start_error", Kind::Text),
    optional("start_error_recoverable", Kind::Bool),
    optional("start_block_for", Kind::Duration),
    optional("kill_after", Kind::Duration),
    optional("stdout_string", Kind::Text),
    optional("stdout_repeat", Kind::Integer),
    optional("stdout_repeat_duration", Kind::Duration),
    optional("signal_error", Kind::Text),
    optional("plugin_exit_after", Kind::Duration),
];

/// The driver.
#[derive(Debug)]
pub struct Mock {
    clock: Clock,
    scope: TaskScope,
    tasks: Mutex<BTreeMap<String, Pretended>>,
    state: Mutex<Fingerprint>,
}

#[derive(Debug, Clone)]
struct Pretended {
    kill: mpsc::Sender<ExitResult>,
    kill_after: Duration,
    signal_error: Option<String>,
    ended: watch::Receiver<Option<Result<ExitResult, DriverError>>>,
}

/// How a pretended task goes on after an agent restart: it ends when it would have ended.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    ends_at: i64,
    #[n(1)]
    exit: ExitResult,
    #[n(2)]
    kill_after_ms: u64,
    #[n(3)]
    signal_error: Option<String>,
}

impl Mock {
    /// The driver; its tasks end with the scope.
    pub fn new(clock: Clock, scope: TaskScope) -> Self {
        Self { clock, scope, tasks: Mutex::new(BTreeMap::new()), state: Mutex::new(Fingerprint::healthy(NAME)) }
    }

    /// Pretends to be in another state from now on.
    pub fn pretend(&self, state: Fingerprint) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn known(&self, id: &str) -> Result<Pretended, DriverError> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned().ok_or(DriverError::NotFound)
    }

    fn run(&self, id: String, run_for: Duration, stored: Stored, output: Option<Output>, plugin_exit_after: Option<Duration>) {
        let (kill, mut killed) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        let clock = self.clock.clone();
        let exit = stored.exit.clone();
        self.scope.spawn_until_stop("mock task", async move {
            let printing = async {
                if let Some(output) = output {
                    output.print(&clock).await;
                }
            };
            let living = async {
                let ((), ()) = futures::join!(printing, clock.sleep(run_for));
            };
            let plugin_end = async {
                match plugin_exit_after {
                    Some(after) => clock.sleep(after).await,
                    None => std::future::pending().await,
                }
            };
            let result = tokio::select! {
                () = living => Ok(exit),
                Some(exit) = killed.recv() => Ok(exit),
                () = plugin_end => Err(DriverError::PluginShutdown),
            };
            let _unseen = end.send(Some(result));
        });
        let pretended =
            Pretended { kill, kill_after: Duration::from_millis(stored.kill_after_ms), signal_error: stored.signal_error, ended };
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(id, pretended);
    }
}

/// What a task prints into its first log file.
struct Output {
    file: PathBuf,
    text: String,
    repeat: u64,
    pause: Duration,
}

impl Output {
    async fn print(&self, clock: &Clock) {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&self.file);
        let Ok(mut file) = file else { return };
        for round in 0..=self.repeat {
            if round > 0 {
                clock.sleep(self.pause).await;
            }
            if file.write_all(self.text.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn exit_of(settings: &Settings) -> ExitResult {
    let small = |name: &str| settings.integer(name).and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    ExitResult {
        code: small("exit_code"),
        signal: small("exit_signal"),
        out_of_memory: false,
        error: settings.text("exit_err_msg").map(str::to_owned),
    }
}

impl Driver for Mock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            send_signals: true,
            exec: false,
            file_system: FileSystemIsolation::None,
            network: &[NetworkMode::Host, NetworkMode::Group, NetworkMode::None],
            mounts: true,
            must_create_network: false,
            dynamic_users: false,
            can_disable_logs: true,
            inherits_environment: false,
            default_user: None,
            checks_users: false,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn start(&self, task: TaskConfig) -> BoxFuture<'_, Result<Started, StartError>> {
        async move {
            let settings = schema::decode(&task.config, FIELDS).map_err(|problems| StartError::fatal(problems.join("; ")))?;
            if let Some(block) = settings.duration("start_block_for") {
                self.clock.sleep(block).await;
            }
            if let Some(message) = settings.text("start_error").filter(|message| !message.is_empty()) {
                return Err(StartError { message: message.to_owned(), recoverable: settings.bool("start_error_recoverable") });
            }
            let run_for = settings.duration("run_for").unwrap_or_default();
            let stored = Stored {
                ends_at: (self.clock.now() + run_for).0,
                exit: exit_of(&settings),
                kill_after_ms: settings.duration("kill_after").map_or(0, |after| after.as_millis() as u64),
                signal_error: settings.text("signal_error").filter(|message| !message.is_empty()).map(str::to_owned),
            };
            let handle = TaskHandle {
                driver: NAME.to_owned(),
                version: HANDLE_VERSION,
                state: minicbor::to_vec(&stored).expect("writing to memory cannot fail"),
            };
            let output = settings.text("stdout_string").filter(|_| task.logs.is_some()).map(|text| Output {
                file: task.directories.logs.join(format!("{}.stdout.0", task.task)),
                text: text.to_owned(),
                repeat: settings.integer("stdout_repeat").and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
                pause: settings.duration("stdout_repeat_duration").unwrap_or_default(),
            });
            self.run(task.id, run_for, stored, output, settings.duration("plugin_exit_after"));
            Ok(Started { handle, address: None })
        }
        .boxed()
    }

    fn recover(&self, id: String, handle: TaskHandle) -> BoxFuture<'_, Result<(), DriverError>> {
        async move {
            match self.known(&id) {
                // A task whose plugin ended is found again by a new one.
                Ok(known) if !matches!(&*known.ended.borrow(), Some(Err(_))) => return Ok(()),
                _ => {}
            }
            let stored: Stored =
                minicbor::decode(&handle.state).map_err(|error| DriverError::Failed(format!("read task handle: {error}")))?;
            let left = drover_base::WallTime(stored.ends_at).since(self.clock.now());
            self.run(id, left, stored, None, None);
            Ok(())
        }
        .boxed()
    }

    fn wait(&self, id: String) -> BoxFuture<'_, Result<ExitResult, DriverError>> {
        async move {
            let mut ended = self.known(&id)?.ended;
            let found = ended.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
            match found {
                Some(result) => result,
                None => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn stop(&self, id: String, signal: i32, timeout: Duration) -> BoxFuture<'_, Result<(), DriverError>> {
        async move {
            let known = self.known(&id)?;
            let (wait, exit) = if signal == SIGKILL || known.kill_after >= timeout {
                (timeout.min(known.kill_after), ExitResult { code: 137, signal: SIGKILL, ..ExitResult::default() })
            } else {
                (known.kill_after, ExitResult { code: 0, signal: 0, ..ExitResult::default() })
            };
            let exit = if wait.is_zero() && signal != SIGKILL { ExitResult::default() } else { exit };
            self.clock.sleep(wait).await;
            // It may have ended meanwhile; then nobody takes the message.
            let _ended = known.kill.send(exit).await;
            let mut ended = known.ended;
            let _gone = ended.wait_for(Option::is_some).await;
            Ok(())
        }
        .boxed()
    }

    fn destroy(&self, id: String, force: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        async move {
            let known = self.known(&id)?;
            if known.ended.borrow().is_none() {
                if !force {
                    return Err(DriverError::StillRunning);
                }
                self.stop(id.clone(), SIGKILL, Duration::ZERO).await?;
            }
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            Ok(())
        }
        .boxed()
    }

    fn inspect(&self, id: &str) -> Result<TaskState, DriverError> {
        let known = self.known(id)?;
        let ended = known.ended.borrow().clone();
        match ended {
            None => Ok(TaskState::Running),
            Some(Ok(exit)) => Ok(TaskState::Exited(exit)),
            Some(Err(error)) => Err(error),
        }
    }

    fn signal(&self, id: String, _signal: i32) -> BoxFuture<'_, Result<(), DriverError>> {
        async move {
            match self.known(&id)?.signal_error {
                Some(message) => Err(DriverError::Failed(message)),
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn stats(&self, id: &str) -> Result<TaskStats, DriverError> {
        self.known(id).map(|_| TaskStats::default())
    }

    fn exec(
        &self,
        _id: String,
        _command: ExecCommand,
        _input: mpsc::Receiver<ExecInput>,
    ) -> BoxFuture<'_, Result<BoxStream<'static, ExecOutput>, DriverError>> {
        async move { Err(DriverError::Unsupported { driver: NAME, what: "run commands" }) }.boxed()
    }
}

/// The mock driver as the registry takes it.
pub fn driver(clock: Clock, scope: TaskScope) -> Arc<dyn Driver> {
    Arc::new(Mock::new(clock, scope))
}
