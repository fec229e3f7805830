//! The agent's side: starts shims, attaches to those that are already there, and speaks with each over one connection.
//!
//! Nothing polls. A connection's reading loop is the only task per running task; it ends with the shim.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_linux::cgroup::{Group, Version};
use drover_linux::process;
use drover_rt::TaskScope;
use minicbor::{Decode, Encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use super::protocol::{
    Attach, Exec, Exited, Frames, Hello, Input, Launch, Nursery, Reply, Request, Resize, SendSignal, Started, Stop, VERSION,
};
use super::{PROGRAM_NAME, record};

/// How long a shim may take to start its task, building a file system included.
const LAUNCH_LIMIT: Duration = Duration::from_secs(60);
/// How long a shim may take to answer anything else.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often, and how long apart, a shim is tried to be reached that is there and does not answer.
const ATTACH_ATTEMPTS_MAX: u32 = 200;
const ATTACH_STEP: Duration = Duration::from_millis(10);
const SIGKILL: i32 = 9;
/// Answers waiting for the one who asked; a reader that does not keep up makes the connection wait.
const ANSWERS_MAX: usize = 64;
/// Bytes read from a shim at once.
const READ_BYTES: usize = 8 * 1024;
/// The longest path of a socket that the kernel takes, without the closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where shims live and what is asked of them.
#[derive(Debug, Clone)]
pub struct ShimConfig {
    /// The executable that becomes a shim; the agent's own as a rule.
    pub program: PathBuf,
    /// Holds the sockets. Short, and readable by the agent's user alone.
    pub run_dir: PathBuf,
    /// Holds the exit records.
    pub record_dir: PathBuf,
    /// Whether exit records must survive a crash of the machine.
    pub durable: bool,
    /// Whether a later agent may find tasks again. Without that, shims need neither socket nor record.
    pub reattach: bool,
    /// How long shims go on without an agent; none means as long as the task does.
    pub orphan_limit: Option<Duration>,
    /// `cgroup.procs` files that shims enter, so that they leave the agent's groups.
    pub groups: Vec<PathBuf>,
}

/// What is stored to find a task again, from any later agent: enough never to mistake another process for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ShimHandle {
    #[n(0)]
    pub token: String,
    #[n(1)]
    pub boot_id: String,
    #[n(2)]
    pub shim_pid: i32,
    #[n(3)]
    pub shim_start_time: u64,
    #[n(4)]
    pub task_pid: i32,
    #[n(5)]
    pub task_start_time: u64,
    #[n(6)]
    pub socket: String,
    #[n(7)]
    pub record: String,
    #[n(8)]
    pub group_version: u8,
    #[n(9)]
    pub groups: Vec<String>,
}

impl ShimHandle {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("writing to memory cannot fail")
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }

    fn group(&self) -> Option<Group> {
        let version = match self.group_version {
            1 => Version::V1,
            2 => Version::V2,
            _ => return None,
        };
        (!self.groups.is_empty()).then(|| Group::from_directories(version, self.groups.iter().map(PathBuf::from).collect()))
    }

    /// The control group of the task, for reading what it uses.
    pub fn control_group(&self) -> Option<Group> {
        self.group()
    }

    fn boot_is(&self, boot_id: &str) -> bool {
        self.boot_id == boot_id
    }
}

/// Why a task could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("start the task shim")]
    Shim(#[source] io::Error),
    /// The shim is fine; what it was to start is not.
    #[error("{0}")]
    Task(String),
    #[error("the task shim ended before its task started")]
    Gone,
    #[error("the task did not start within {} s", LAUNCH_LIMIT.as_secs())]
    TimedOut,
}

/// Why a shim could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The task is gone, and nobody wrote down how it ended.
    #[error("the task is gone: {0}")]
    Gone(&'static str),
    #[error("connect to the task shim")]
    Connect(#[source] io::Error),
    #[error("the task shim refused: {0}")]
    Refused(String),
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the task shim is gone")]
    Gone,
    #[error("the task shim did not answer within {} s", ANSWER_LIMIT.as_secs())]
    TimedOut,
    #[error("{0}")]
    Refused(String),
}

/// Starts and finds shims.
#[derive(Debug)]
pub struct Shims {
    config: ShimConfig,
    scope: TaskScope,
    nursery: Mutex<Option<StartedNursery>>,
    boot_id: String,
}

#[derive(Debug)]
struct StartedNursery {
    control: StdUnixStream,
    child: Child,
}

impl Drop for StartedNursery {
    fn drop(&mut self) {
        drop(self.control.shutdown(std::net::Shutdown::Both));
        // It ends as soon as its socket does; waiting leaves no zombie behind.
        drop(self.child.wait());
    }
}

fn private_dir(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        }
    }
}

impl Shims {
    /// Prepares the directories. Fails when the sockets' directory has too long a name for the kernel.
    pub fn new(config: ShimConfig, scope: TaskScope) -> io::Result<Self> {
        let longest = config.run_dir.as_os_str().len() + 1 + 32 + ".sock".len();
        if longest > SOCKET_PATH_BYTES_MAX {
            let shown = config.run_dir.display();
            let message = format!("{shown} is too long for sockets: at most {} bytes fit", SOCKET_PATH_BYTES_MAX - 38);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if config.reattach {
            private_dir(&config.run_dir)?;
            private_dir(&config.record_dir)?;
        }
        Ok(Self { config, scope, nursery: Mutex::new(None), boot_id: process::boot_id()? })
    }

    /// Fills in where the shim of a task with this token lives.
    pub fn address(&self, launch: &mut Launch) {
        launch.orphan_limit_ms = self.config.orphan_limit.map_or(0, |limit| limit.as_millis() as u64);
        launch.durable = self.config.durable;
        if !self.config.reattach {
            return;
        }
        let token = &launch.token;
        launch.socket = self.config.run_dir.join(format!("{token}.sock")).to_string_lossy().into_owned();
        launch.record = self.config.record_dir.join(format!("{token}.exit")).to_string_lossy().into_owned();
    }

    /// Starts the nursery ahead of the first task.
    pub fn warm_up(&self) -> io::Result<()> {
        let mut nursery = self.nursery.lock().unwrap_or_else(PoisonError::into_inner);
        if nursery.is_none() {
            *nursery = Some(self.start_nursery()?);
        }
        Ok(())
    }

    /// Ends the nursery; shims that it forked go on. The next start makes a new one.
    pub fn cool_down(&self) {
        drop(self.nursery.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn start_nursery(&self) -> io::Result<StartedNursery> {
        let (control, theirs) = StdUnixStream::pair()?;
        let child = Command::new(&self.config.program)
            .arg0(PROGRAM_NAME)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let groups = self.config.groups.iter().map(|file| file.to_string_lossy().into_owned()).collect();
        let nursery = StartedNursery { control, child };
        io::Write::write_all(&mut &nursery.control, &Request::Nursery(Nursery { groups }).to_frame(0))?;
        Ok(nursery)
    }

    fn fork_shim(&self, socket: &StdUnixStream) -> io::Result<()> {
        let mut nursery = self.nursery.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = nursery.as_ref()
            && drover_linux::socket::send_with_descriptor(&running.control, b"s", socket.as_fd()).is_ok()
        {
            return Ok(());
        }
        let started = self.start_nursery()?;
        drover_linux::socket::send_with_descriptor(&started.control, b"s", socket.as_fd())?;
        *nursery = Some(started);
        Ok(())
    }

    /// Starts a task under a shim of its own. [`Self::address`] must have been called on it.
    pub async fn launch(&self, launch: Launch) -> Result<Shim, LaunchError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(LaunchError::Shim)?;
        self.fork_shim(&theirs).map_err(LaunchError::Shim)?;
        drop(theirs);
        ours.set_nonblocking(true).map_err(LaunchError::Shim)?;
        let stream = UnixStream::from_std(ours).map_err(LaunchError::Shim)?;
        let mut handle = ShimHandle {
            token: launch.token.clone(),
            boot_id: self.boot_id.clone(),
            shim_pid: 0,
            shim_start_time: 0,
            task_pid: 0,
            task_start_time: 0,
            socket: launch.socket.clone(),
            record: launch.record.clone(),
            group_version: launch.group.as_ref().map_or(0, |group| group.version),
            groups: Vec::new(),
        };
        let (mut reader, mut writer) = stream.into_split();
        let mut frames = Frames::default();
        writer.write_all(&Request::Launch(Box::new(launch)).to_frame(0)).await.map_err(|_| LaunchError::Gone)?;
        let first = tokio::time::timeout(LAUNCH_LIMIT, next_reply(&mut reader, &mut frames));
        let started = match first.await {
            Err(_) => return Err(LaunchError::TimedOut),
            Ok(Some((_, Reply::Started(started)))) => started,
            Ok(Some((_, Reply::Failed(failed)))) => return Err(LaunchError::Task(failed.message)),
            Ok(_) => return Err(LaunchError::Gone),
        };
        let Started { pid, start_time, shim_pid, shim_start_time, groups } = started;
        handle.shim_pid = shim_pid;
        handle.shim_start_time = shim_start_time;
        handle.task_pid = pid;
        handle.task_start_time = start_time;
        handle.groups = groups;
        Ok(self.serve(handle, reader, writer, frames))
    }

    /// Finds the shim of a stored handle. A task that ended meanwhile is found too, with its exit.
    pub async fn attach(&self, handle: ShimHandle) -> Result<Shim, AttachError> {
        let same_boot = handle.boot_is(&self.boot_id);
        let recorded = |handle: &ShimHandle| record::read(Path::new(&handle.record), &handle.token).ok().flatten();
        if !same_boot {
            return match recorded(&handle) {
                Some(exited) => Ok(Shim::ended(handle, exited)),
                None => Err(AttachError::Gone("the machine was started anew since")),
            };
        }
        let shim = process::Identity { pid: handle.shim_pid, start_time: handle.shim_start_time };
        for _ in 0..ATTACH_ATTEMPTS_MAX {
            let error = match self.connect(&handle).await {
                Ok((reader, writer, frames)) => return Ok(self.serve(handle, reader, writer, frames)),
                Err(error) => error,
            };
            if matches!(error, AttachError::Refused(_)) {
                return Err(error);
            }
            // Asked before the record is looked for: a shim writes it before it ends.
            let alive = shim.is_alive();
            if let Some(exited) = recorded(&handle) {
                return Ok(Shim::ended(handle, exited));
            }
            if !alive {
                sweep(&handle);
                return Err(AttachError::Gone("its shim was killed"));
            }
            // A shim whose task just ended lets go of its socket a moment before it writes the record.
            tokio::time::sleep(ATTACH_STEP).await;
        }
        // Nobody may own a task that cannot be reached, or it would run twice once it is started again.
        end_shim(&shim);
        sweep(&handle);
        Err(AttachError::Gone("its shim did not answer and was killed"))
    }

    async fn connect(&self, handle: &ShimHandle) -> Result<(OwnedReadHalf, OwnedWriteHalf, Frames), AttachError> {
        let stream = UnixStream::connect(&handle.socket).await.map_err(AttachError::Connect)?;
        let peer = drover_linux::socket::peer(&stream).map_err(AttachError::Connect)?;
        if !drover_linux::socket::is_trusted(peer) {
            return Err(AttachError::Refused("its socket belongs to another user".to_owned()));
        }
        let (mut reader, mut writer) = stream.into_split();
        let attach = Request::Attach(Attach { token: handle.token.clone(), version: VERSION });
        let mut frames = Frames::default();
        writer.write_all(&attach.to_frame(0)).await.map_err(AttachError::Connect)?;
        match tokio::time::timeout(ANSWER_LIMIT, next_reply(&mut reader, &mut frames)).await {
            Ok(Some((_, Reply::Hello(Hello { pid, start_time, .. })))) => {
                if pid == handle.task_pid && start_time == handle.task_start_time {
                    Ok((reader, writer, frames))
                } else {
                    Err(AttachError::Refused("it owns another process".to_owned()))
                }
            }
            Ok(Some((_, Reply::Failed(failed)))) => Err(AttachError::Refused(failed.message)),
            Ok(_) => Err(AttachError::Connect(io::ErrorKind::UnexpectedEof.into())),
            Err(_) => Err(AttachError::Connect(io::ErrorKind::TimedOut.into())),
        }
    }

    fn serve(&self, handle: ShimHandle, reader: OwnedReadHalf, writer: OwnedWriteHalf, frames: Frames) -> Shim {
        let (exit, exit_seen) = watch::channel(None);
        let connection = Arc::new(Connection {
            writer: tokio::sync::Mutex::new(Some(writer)),
            waiting: Mutex::new(Some(BTreeMap::new())),
            next_id: AtomicU32::new(1),
        });
        let shim = Shim { handle: handle.clone(), connection: Some(Arc::clone(&connection)), exit: exit_seen };
        // Losing the scope loses the connection only; the shim and its task go on.
        self.scope.spawn_until_stop("task shim connection", listen(handle, connection, reader, frames, exit));
        shim
    }
}

/// Kills a shim, and with it its task, if it is still the process that was meant.
fn end_shim(shim: &process::Identity) {
    if let Ok(pidfd) = process::open_pidfd(shim.pid)
        && shim.is_alive()
    {
        drop(process::signal_pidfd(pidfd, SIGKILL));
    }
}

/// Ends what a killed shim left behind in the task's control group, and removes its traces.
fn sweep(handle: &ShimHandle) {
    if let Some(group) = handle.group() {
        group.kill_all();
        drop(group.remove());
    }
    drop(fs::remove_file(&handle.socket));
}

async fn next_reply(reader: &mut OwnedReadHalf, frames: &mut Frames) -> Option<(u32, Reply)> {
    let mut buffer = [0; READ_BYTES];
    loop {
        match frames.next_frame() {
            Err(error) => {
                tracing::warn!(%error, "task shim sent nonsense");
                return None;
            }
            Ok(Some(frame)) => match Reply::from_frame(&frame) {
                Ok(reply) => return Some((frame.id, reply)),
                // A later shim may say more than this agent understands.
                Err(error) => tracing::debug!(%error, "task shim said something unknown"),
            },
            Ok(None) => match reader.read(&mut buffer).await {
                Ok(count) if count > 0 => frames.push(&buffer[..count]),
                _ => return None,
            },
        }
    }
}

async fn listen(
    handle: ShimHandle,
    connection: Arc<Connection>,
    mut reader: OwnedReadHalf,
    mut frames: Frames,
    exit: watch::Sender<Option<Exited>>,
) {
    let mut known = None;
    while let Some((id, reply)) = next_reply(&mut reader, &mut frames).await {
        match reply {
            Reply::Exited(exited) => {
                known = Some(exited);
                break;
            }
            reply => connection.deliver(id, reply).await,
        }
    }
    connection.close().await;
    let exited = match known {
        Some(exited) => exited,
        None => exit_without_word(&handle),
    };
    // Nobody may be waiting any more.
    let _unseen = exit.send(Some(exited));
}

/// The exit of a task whose shim fell silent: its record, or the verdict that the shim was killed and its task with it.
fn exit_without_word(handle: &ShimHandle) -> Exited {
    let recorded = if handle.record.is_empty() { None } else { record::read(Path::new(&handle.record), &handle.token).ok().flatten() };
    match recorded {
        Some(exited) => exited,
        None => {
            sweep(handle);
            Exited {
                token: handle.token.clone(),
                code: -1,
                error: Some("executor: the task's shim was killed, and the task with it".to_owned()),
                at: drover_linux::poll::wall_nanoseconds(),
                ..Exited::default()
            }
        }
    }
}

type Waiting = BTreeMap<u32, mpsc::Sender<Reply>>;

#[derive(Debug)]
struct Connection {
    writer: tokio::sync::Mutex<Option<OwnedWriteHalf>>,
    /// None once the connection is over.
    waiting: Mutex<Option<Waiting>>,
    next_id: AtomicU32,
}

impl Connection {
    async fn deliver(&self, id: u32, reply: Reply) {
        let last = !matches!(reply, Reply::Output(_));
        let target = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(waiting) = waiting.as_mut() else { return };
            if last { waiting.remove(&id) } else { waiting.get(&id).cloned() }
        };
        if let Some(target) = target {
            // Whoever asked may have lost interest.
            let _unwanted = target.send(reply).await;
        }
    }

    async fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.writer.lock().await.take();
    }

    async fn send(&self, id: u32, request: &Request) -> Result<(), RequestError> {
        let mut writer = self.writer.lock().await;
        let writer = writer.as_mut().ok_or(RequestError::Gone)?;
        writer.write_all(&request.to_frame(id)).await.map_err(|_| RequestError::Gone)
    }

    async fn ask(&self, request: &Request) -> Result<(u32, mpsc::Receiver<Reply>), RequestError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel(ANSWERS_MAX);
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(RequestError::Gone),
        };
        self.send(id, request).await?;
        Ok((id, receiver))
    }
}

/// A task's shim as this agent sees it. Dropping it leaves the task alone.
#[derive(Debug, Clone)]
pub struct Shim {
    handle: ShimHandle,
    connection: Option<Arc<Connection>>,
    exit: watch::Receiver<Option<Exited>>,
}

impl Shim {
    fn ended(handle: ShimHandle, exited: Exited) -> Self {
        let (_, exit) = watch::channel(Some(exited));
        Self { handle, connection: None, exit }
    }

    /// What to store.
    pub fn handle(&self) -> &ShimHandle {
        &self.handle
    }

    /// The exit, if the task has ended.
    pub fn exited(&self) -> Option<Exited> {
        self.exit.borrow().clone()
    }

    /// Returns when the task has ended; never, when this agent stops first.
    pub async fn wait(&self) -> Exited {
        let mut exit = self.exit.clone();
        let seen = exit.wait_for(Option::is_some).await.ok().and_then(|exited| exited.clone());
        match seen {
            Some(exited) => exited,
            None => std::future::pending().await,
        }
    }

    async fn simple(&self, request: Request) -> Result<(), RequestError> {
        let connection = self.connection.as_ref().ok_or(RequestError::Gone)?;
        let (_, mut answers) = connection.ask(&request).await?;
        match tokio::time::timeout(ANSWER_LIMIT, answers.recv()).await {
            Err(_) => Err(RequestError::TimedOut),
            Ok(None) => Err(RequestError::Gone),
            Ok(Some(Reply::Failed(failed))) => Err(RequestError::Refused(failed.message)),
            Ok(Some(_)) => Ok(()),
        }
    }

    /// Says that the handle is stored, so that the task may outlive this agent.
    pub async fn confirm(&self) -> Result<(), RequestError> {
        match &self.connection {
            Some(connection) => connection.send(0, &Request::Confirm).await,
            None => Ok(()),
        }
    }

    /// Sends a signal to the task's process.
    pub async fn signal(&self, number: i32) -> Result<(), RequestError> {
        self.simple(Request::Signal(SendSignal { number })).await
    }

    /// Sends a signal now and kills the whole tree after the time. Returns once the shim knows, not once the task has ended.
    pub async fn stop(&self, number: i32, timeout: Duration) -> Result<(), RequestError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.simple(Request::Stop(Stop { number, timeout_ms })).await
    }

    /// Runs a command in the task's context. Its output and end arrive on the stream.
    pub async fn exec(&self, exec: Exec) -> Result<ExecStream, RequestError> {
        let connection = self.connection.clone().ok_or(RequestError::Gone)?;
        let (id, answers) = connection.ask(&Request::Exec(exec)).await?;
        Ok(ExecStream { id, connection, answers, over: false })
    }

    /// Removes what is left of a task that has ended.
    pub fn forget(&self) {
        if self.handle.socket.is_empty() {
            return;
        }
        record::remove(Path::new(&self.handle.record));
        drop(fs::remove_file(&self.handle.socket));
    }
}

/// A command that runs in a task's context.
#[derive(Debug)]
pub struct ExecStream {
    id: u32,
    connection: Arc<Connection>,
    answers: mpsc::Receiver<Reply>,
    over: bool,
}

impl Drop for ExecStream {
    /// A command that nobody listens to any more ends.
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if let Some(waiting) = self.connection.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            waiting.remove(&self.id);
        }
        // A few bytes fit into a socket that works; in one that does not, the command ends with the connection.
        if let Ok(writer) = self.connection.writer.try_lock()
            && let Some(writer) = writer.as_ref()
        {
            drop(writer.try_write(&Request::Abandon.to_frame(self.id)));
        }
    }
}

impl ExecStream {
    /// What comes next: output, the end, or a refusal. None when the shim is gone.
    pub async fn next(&mut self) -> Option<Reply> {
        let reply = self.answers.recv().await;
        self.over |= !matches!(reply, Some(Reply::Output(_)));
        reply
    }

    /// Tells the command's terminal its size.
    pub async fn resize(&self, rows: u16, columns: u16) -> Result<(), RequestError> {
        self.connection.send(self.id, &Request::Resize(Resize { rows, columns })).await
    }

    /// Gives the command input.
    pub async fn write(&self, bytes: Vec<u8>, end: bool) -> Result<(), RequestError> {
        self.connection.send(self.id, &Request::Input(Input { bytes, end })).await
    }
}
