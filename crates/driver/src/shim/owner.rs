//! The owner of one task: starts it, copies its output into log files, answers agents, and writes down its end before it ends itself.
//!
//! One thread, one `poll`. Whatever an agent sends cannot make it lose the task: a connection that misbehaves is closed, alone.

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use drover_linux::capabilities::CapabilitySet;
use drover_linux::cgroup::{Group, Hierarchy, Limits, MOUNT, Version};
use drover_linux::child::{self, ChildSpec};
use drover_linux::isolation;
use drover_linux::poll::{self, Interest};
use drover_linux::process::{self, Ended as ProcessEnded};
use drover_linux::{Pid, socket};

use super::logs::RotatingLog;
use super::protocol::{CAPABILITIES, Ended, Exec, Exited, Frames, Hello, Launch, Output, Reply, Request, Started, VERSION};
use super::record;

/// What ends ordinary programs and not a shim: only its task's end, its agent's word or SIGKILL do.
pub const IGNORED_SIGNALS: &[i32] = &[1, 2, 3, 13, 15];
/// Bytes copied at once.
const COPY_BYTES: usize = 32 * 1024;
/// Agents connected at once; more are turned away.
const CONNECTIONS_MAX: usize = 16;
/// Commands running in the task's context at once; more are refused.
const EXECS_MAX: usize = 32;
/// Bytes waiting for one agent before commands' output waits too.
const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// How long the last words to an agent may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a task goes on alone whose handle nobody has stored: no agent could ever find it again.
const UNCONFIRMED_LIMIT: Duration = Duration::from_secs(10);
/// Rounds of killing descendants where there is no control group.
const KILL_ROUNDS_MAX: u32 = 100;
const SIGKILL: i32 = 9;

/// A connection to an agent.
struct Connection {
    stream: UnixStream,
    frames: Frames,
    pending: Vec<u8>,
    /// The agent has shown the token, or is the one that started the task.
    attached: bool,
    closed: bool,
}

impl Connection {
    fn new(stream: UnixStream, attached: bool) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, frames: Frames::default(), pending: Vec::new(), attached, closed: false })
    }

    fn send(&mut self, id: u32, reply: &Reply) {
        self.pending.extend_from_slice(&reply.to_frame(id));
        self.flush();
    }

    fn flush(&mut self) {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(count) => {
                    self.pending.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
        if self.pending.capacity() > COPY_BYTES {
            self.pending = Vec::new();
        }
    }
}

/// One output stream of the task and its files.
struct Stream {
    pipe: OwnedFd,
    log: RotatingLog,
}

/// A command running in the task's context.
struct Running {
    /// The id of the request, and the serial number of the connection that made it.
    id: u32,
    connection: u64,
    pid: Pid,
    stdin: Option<OwnedFd>,
    input: Vec<u8>,
    input_ends: bool,
    outputs: [Option<OwnedFd>; 2],
    /// Another descriptor of the command's terminal, for its size.
    terminal: Option<OwnedFd>,
    deadline: Option<Duration>,
    timed_out: bool,
    ended: Option<i32>,
}

/// The end of input, as a terminal in its usual mode says it.
const END_OF_TRANSMISSION: u8 = 4;

/// Both sides of a command's standard streams.
struct Streams {
    theirs: [OwnedFd; 3],
    input: OwnedFd,
    outputs: [Option<OwnedFd>; 2],
    terminal: Option<OwnedFd>,
}

impl Streams {
    fn pipes() -> Result<Self, String> {
        let pipe = || poll::pipe().map_err(explain("create a pipe"));
        let (stdin, input) = pipe()?;
        let (out, stdout) = pipe()?;
        let (error, stderr) = pipe()?;
        for fd in [&input, &out, &error] {
            poll::set_nonblocking(fd).map_err(explain("create a pipe"))?;
        }
        Ok(Self { theirs: [stdin, stdout, stderr], input, outputs: [Some(out), Some(error)], terminal: None })
    }

    fn terminal() -> Result<Self, String> {
        let failed = "create a terminal";
        let (own, theirs) = poll::terminal().map_err(explain(failed))?;
        poll::set_nonblocking(&own).map_err(explain(failed))?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(explain(failed));
        let (input, size) = (copy(&own)?, copy(&own)?);
        Ok(Self { theirs: [copy(&theirs)?, copy(&theirs)?, theirs], input, outputs: [Some(own), None], terminal: Some(size) })
    }
}

struct Owner {
    launch: Launch,
    group: Option<Group>,
    /// None where no agent will ever look for the task again.
    listener: Option<UnixListener>,
    children: OwnedFd,
    connections: Vec<(u64, Connection)>,
    next_connection: u64,
    task: Pid,
    start_time: u64,
    streams: Vec<Stream>,
    execs: Vec<Running>,
    ended: Option<ProcessEnded>,
    kill_at: Option<Duration>,
    alone_since: Option<Duration>,
    /// Some agent has stored the task's handle.
    confirmed: bool,
}

/// Starts the task, tells the agent at the other end of `control`, and returns when the task is over and written down.
pub fn run(control: UnixStream, id: u32, launch: Launch) -> io::Result<()> {
    drop(process::set_name(c"drover-shim"));
    process::ignore_signals(IGNORED_SIGNALS);
    let mut control = Connection::new(control, true)?;
    match start(launch) {
        Err((launch, message)) => {
            remove_socket(&launch);
            control.send(id, &Reply::failed(message));
            say_farewell(&mut control);
            Ok(())
        }
        Ok(mut owner) => {
            let started = owner.started();
            control.send(id, &Reply::Started(started));
            // The task has its copy; these can be large.
            owner.launch.env = Vec::new();
            owner.launch.args = Vec::new();
            owner.connections.push((0, control));
            owner.watch()?;
            owner.finish()
        }
    }
}

fn start(launch: Launch) -> Result<Owner, (Box<Launch>, String)> {
    match try_start(&launch) {
        Ok(parts) => Ok(Owner {
            group: parts.group,
            listener: parts.listener,
            children: parts.children,
            connections: Vec::new(),
            next_connection: 1,
            task: parts.task,
            start_time: process::start_time(parts.task).unwrap_or(0),
            streams: parts.streams,
            execs: Vec::new(),
            ended: None,
            kill_at: None,
            alone_since: None,
            confirmed: false,
            launch,
        }),
        Err(message) => Err((Box::new(launch), message)),
    }
}

struct Parts {
    group: Option<Group>,
    /// None where no agent will ever look for the task again.
    listener: Option<UnixListener>,
    children: OwnedFd,
    task: Pid,
    streams: Vec<Stream>,
}

fn explain(step: &str) -> impl Fn(io::Error) -> String {
    move |error| format!("{step}: {error}")
}

fn try_start(launch: &Launch) -> Result<Parts, String> {
    process::become_subreaper().map_err(explain("become a sub-reaper"))?;
    let children = poll::child_signals().map_err(explain("watch child processes"))?;
    let listener = if launch.socket.is_empty() {
        None
    } else {
        drop(std::fs::remove_file(&launch.socket));
        let listener = UnixListener::bind(&launch.socket).map_err(explain("listen on the shim's socket"))?;
        listener.set_nonblocking(true).map_err(explain("listen on the shim's socket"))?;
        Some(listener)
    };
    let group = make_group(launch).map_err(explain("create control group"))?;
    let result = start_task(launch, group.as_ref());
    if result.is_err()
        && let Some(group) = &group
    {
        drop(group.remove());
    }
    let (task, streams) = result?;
    Ok(Parts { group, listener, children, task, streams })
}

fn make_group(launch: &Launch) -> io::Result<Option<Group>> {
    let Some(wanted) = &launch.group else { return Ok(None) };
    if !wanted.instead.is_empty() {
        return Ok(None);
    }
    let version = if wanted.version == 2 { Version::V2 } else { Version::V1 };
    let parent = Some(wanted.parent.as_str()).filter(|name| !name.is_empty());
    let limit = |bytes: u64| (bytes > 0).then_some(bytes);
    let limits = Limits {
        cpu_shares: wanted.cpu_shares,
        memory_max: limit(wanted.memory_max),
        memory_low: limit(wanted.memory_low),
        reserved_cores: Some(wanted.reserved_cores.clone()).filter(|cores| !cores.is_empty()),
    };
    Hierarchy::at(Path::new(MOUNT), version, parent).create(&wanted.name, &limits).map(Some)
}

/// Every file a process of this task writes itself into.
fn group_files(launch: &Launch, group: Option<&Group>) -> Vec<PathBuf> {
    let instead = launch.group.iter().flat_map(|group| &group.instead).map(PathBuf::from);
    group.map(Group::procs_files).unwrap_or_default().into_iter().chain(instead).collect()
}

fn c_strings(texts: &[String]) -> Result<Vec<CString>, String> {
    texts.iter().map(|text| CString::new(text.as_str()).map_err(|_| format!("{text:?} contains a zero byte"))).collect()
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} contains a zero byte"))
}

fn start_task(launch: &Launch, group: Option<&Group>) -> Result<(Pid, Vec<Stream>), String> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").map_err(explain("open /dev/null"))?;
    let mut streams = Vec::new();
    let mut ends = Vec::new();
    if let Some(logs) = &launch.logs {
        for name in ["stdout", "stderr"] {
            let (pipe, end) = poll::pipe().map_err(explain("create a log pipe"))?;
            poll::set_nonblocking(&pipe).map_err(explain("create a log pipe"))?;
            let prefix = format!("{}.{name}", logs.prefix);
            let log = RotatingLog::open(logs.directory.clone().into(), prefix, logs.max_files, logs.max_file_bytes)
                .map_err(explain("open log file"))?;
            streams.push(Stream { pipe, log });
            ends.push(end);
        }
    }
    let isolation = launch.isolation.as_ref().map(|wanted| isolation::Isolation {
        root: PathBuf::from(&wanted.root),
        binds: wanted
            .binds
            .iter()
            .map(|bind| isolation::Bind {
                source: PathBuf::from(&bind.source),
                target: PathBuf::from(&bind.target),
                read_only: bind.read_only,
                optional: bind.optional,
            })
            .collect(),
        private_pid: wanted.private_pid,
        private_ipc: wanted.private_ipc,
    });
    if let Some(isolation) = &isolation {
        isolation::unshare_for_children(isolation.private_pid, isolation.private_ipc).map_err(explain("unshare namespaces"))?;
    }
    let credentials = credentials(launch);
    let spec = ChildSpec {
        program: &c_string(&launch.program)?,
        args: &c_strings(&launch.args)?,
        env: &c_strings(&launch.env)?,
        directory: &c_string(&launch.directory)?,
        stdin: null.as_fd(),
        stdout: ends.first().map_or(null.as_fd(), AsFd::as_fd),
        stderr: ends.get(1).map_or(null.as_fd(), AsFd::as_fd),
        terminal: false,
        cgroup_procs: &group_files(launch, group),
        oom_score_adj: launch.oom_score_adj,
        isolation: isolation.as_ref(),
        join: None,
        credentials: credentials.as_ref(),
        capabilities: launch.capabilities.map(CapabilitySet),
    };
    let pid = child::spawn(&spec).map_err(|error| format!("{error}: {}", error.source))?;
    Ok((pid, streams))
}

fn credentials(launch: &Launch) -> Option<child::Credentials> {
    launch.credentials.as_ref().map(|wanted| child::Credentials { uid: wanted.uid, gid: wanted.gid, groups: wanted.groups.clone() })
}

/// What the loop waits for, in the order of the descriptors.
#[derive(Clone, Copy)]
enum Source {
    Children,
    Listener,
    Log(usize),
    Connection(usize),
    Input(usize),
    Output(usize, usize),
}

impl Owner {
    fn started(&self) -> Started {
        let own = process::Identity::of(std::process::id() as Pid).map_or(0, |own| own.start_time);
        let groups = self.group.iter().flat_map(|group| group.directories());
        Started {
            pid: self.task,
            start_time: self.start_time,
            shim_pid: std::process::id() as Pid,
            shim_start_time: own,
            groups: groups.map(|directory| directory.to_string_lossy().into_owned()).collect(),
        }
    }

    /// Serves until the task has ended.
    fn watch(&mut self) -> io::Result<()> {
        let mut sources = Vec::new();
        let mut interests = Vec::new();
        while self.ended.is_none() {
            self.collect(&mut sources, &mut interests);
            poll::wait(&mut interests, self.timeout())?;
            for (source, interest) in sources.iter().zip(&interests) {
                self.serve(*source, interest);
            }
            self.after_events();
        }
        Ok(())
    }

    fn collect(&self, sources: &mut Vec<Source>, interests: &mut Vec<Interest>) {
        sources.clear();
        interests.clear();
        let mut add = |source, interest| {
            sources.push(source);
            interests.push(interest);
        };
        add(Source::Children, Interest::readable(&self.children));
        if let Some(listener) = &self.listener {
            add(Source::Listener, Interest::readable(listener));
        }
        for (index, stream) in self.streams.iter().enumerate() {
            add(Source::Log(index), Interest::readable(&stream.pipe));
        }
        for (index, (_, connection)) in self.connections.iter().enumerate() {
            let writable = !connection.pending.is_empty();
            add(Source::Connection(index), Interest::readable_or_writable(&connection.stream, writable));
        }
        let busy = self.connections.iter().any(|(_, connection)| connection.pending.len() > PENDING_BYTES_MAX);
        for (index, exec) in self.execs.iter().enumerate() {
            if let Some(stdin) = &exec.stdin
                && !exec.input.is_empty()
            {
                add(Source::Input(index), Interest::readable_or_writable(stdin, true));
            }
            for (stream, pipe) in exec.outputs.iter().enumerate() {
                if let Some(pipe) = pipe
                    && !busy
                {
                    add(Source::Output(index, stream), Interest::readable(pipe));
                }
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let orphaned = self.orphaned_at();
        let deadlines = self.kill_at.into_iter().chain(orphaned).chain(self.execs.iter().filter_map(|exec| exec.deadline));
        deadlines.min().map(|deadline| deadline.saturating_sub(poll::monotonic()))
    }

    /// How long the task goes on without an agent; none without end.
    fn orphan_limit(&self) -> Option<Duration> {
        match self.launch.orphan_limit_ms {
            0 if self.confirmed => None,
            0 => Some(UNCONFIRMED_LIMIT),
            limit => Some(Duration::from_millis(limit)),
        }
    }

    fn orphaned_at(&self) -> Option<Duration> {
        Some(self.alone_since? + self.orphan_limit()?)
    }

    fn serve(&mut self, source: Source, interest: &Interest) {
        match source {
            Source::Children if interest.is_readable() => self.reap(),
            Source::Listener if interest.is_readable() => self.accept(),
            Source::Log(index) if interest.is_readable() => self.copy_log(index),
            Source::Connection(index) => self.serve_connection(index, interest),
            Source::Input(index) if interest.is_writable() => self.feed(index),
            Source::Output(index, stream) if interest.is_readable() => self.copy_output(index, stream),
            _ => {}
        }
    }

    fn after_events(&mut self) {
        self.streams.retain(|stream| !stream.log_is_closed());
        self.finish_execs();
        self.connections.retain(|(_, connection)| !connection.closed);
        let now = poll::monotonic();
        if self.connections.iter().any(|(_, connection)| connection.attached) {
            self.alone_since = None;
        } else if self.alone_since.is_none() {
            self.alone_since = Some(now);
        }
        let orphaned = self.orphaned_at().is_some_and(|deadline| now >= deadline);
        if orphaned || self.kill_at.is_some_and(|deadline| now >= deadline) {
            self.kill_at = None;
            self.alone_since = None;
            self.kill_tree();
        }
        for exec in &mut self.execs {
            if exec.deadline.is_some_and(|deadline| now >= deadline) {
                exec.deadline = None;
                exec.timed_out = true;
                // It leads a session of its own, so its whole group goes.
                drop(process::kill(-exec.pid, SIGKILL));
            }
        }
    }

    fn reap(&mut self) {
        // What the descriptor tells is that something ended; which and how is asked below.
        let mut buffer = [0; 1024];
        drop(poll::read(&self.children, &mut buffer));
        while let Ok(Some((pid, ended))) = process::reap(-1) {
            if pid == self.task {
                self.ended = Some(ended);
            } else if let Some(exec) = self.execs.iter_mut().find(|exec| exec.pid == pid) {
                exec.ended = Some(code_of(ended));
            }
        }
    }

    fn accept(&mut self) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) {
            let trusted = socket::peer(&stream).is_ok_and(socket::is_trusted);
            if !trusted || self.connections.len() >= CONNECTIONS_MAX {
                continue;
            }
            if let Ok(connection) = Connection::new(stream, false) {
                self.connections.push((self.next_connection, connection));
                self.next_connection += 1;
            }
        }
    }

    fn copy_log(&mut self, index: usize) {
        let mut buffer = [0; COPY_BYTES];
        let stream = &mut self.streams[index];
        match poll::read(&stream.pipe, &mut buffer) {
            Ok(0) => stream.log.close(),
            // A full disk loses output; it does not stop the task.
            Ok(count) => drop(stream.log.write(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => stream.log.close(),
        }
    }

    fn serve_connection(&mut self, index: usize, interest: &Interest) {
        if interest.is_writable() {
            self.connections[index].1.flush();
        }
        if !interest.is_readable() {
            return;
        }
        let mut buffer = [0; COPY_BYTES];
        let connection = &mut self.connections[index].1;
        match connection.stream.read(&mut buffer) {
            Ok(0) => connection.closed = true,
            Ok(count) => connection.frames.push(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => connection.closed = true,
        }
        loop {
            match self.connections[index].1.frames.next_frame() {
                Ok(None) => return,
                Err(_) => {
                    self.connections[index].1.closed = true;
                    return;
                }
                Ok(Some(frame)) => {
                    let reply = match Request::from_frame(&frame) {
                        Ok(request) => self.answer(index, frame.id, request),
                        Err(error) => Some(Reply::failed(error.to_string())),
                    };
                    if let Some(reply) = reply {
                        self.connections[index].1.send(frame.id, &reply);
                    }
                }
            }
        }
    }

    fn answer(&mut self, index: usize, id: u32, request: Request) -> Option<Reply> {
        let (serial, connection) = &mut self.connections[index];
        let serial = *serial;
        if let Request::Attach(attach) = &request {
            if attach.token != self.launch.token {
                connection.closed = true;
                return Some(Reply::failed("this is another task"));
            }
            connection.attached = true;
            // The token comes from a stored handle.
            self.confirmed = true;
            return Some(self.hello());
        }
        if !connection.attached {
            connection.closed = true;
            return Some(Reply::failed("attach first"));
        }
        match request {
            Request::Status => Some(self.hello()),
            Request::Confirm => {
                self.confirmed = true;
                None
            }
            Request::Signal(signal) => Some(done(process::kill(self.task, signal.number))),
            Request::Stop(stop) => {
                let result = process::kill(self.task, stop.number);
                let deadline = poll::monotonic() + Duration::from_millis(stop.timeout_ms);
                self.kill_at = Some(self.kill_at.map_or(deadline, |earlier| earlier.min(deadline)));
                Some(done(result))
            }
            Request::Exec(exec) => match self.start_exec(serial, id, &exec) {
                Ok(()) => None,
                Err(message) => Some(Reply::failed(message)),
            },
            Request::Input(input) => {
                if let Some(exec) = self.execs.iter_mut().find(|exec| exec.id == id && exec.connection == serial) {
                    exec.input.extend_from_slice(&input.bytes);
                    if input.end && exec.terminal.is_some() {
                        // A terminal has no end of its own: its reader is told by a character.
                        exec.input.push(END_OF_TRANSMISSION);
                    }
                    exec.input_ends |= input.end;
                    if exec.input.is_empty() && exec.input_ends {
                        exec.stdin = None;
                    }
                }
                None
            }
            Request::Resize(size) => {
                let terminal = self.execs.iter().find(|exec| exec.id == id && exec.connection == serial)?.terminal.as_ref()?;
                // A command that is just ending has no use for it.
                drop(poll::resize_terminal(terminal, size.rows, size.columns));
                None
            }
            Request::Abandon => {
                let exec = self.execs.iter_mut().find(|exec| exec.id == id && exec.connection == serial)?;
                drop(process::kill(-exec.pid, SIGKILL));
                exec.outputs = [None, None];
                None
            }
            Request::Nursery(_) | Request::Launch(_) => Some(Reply::failed("this shim has its task")),
            Request::Attach(_) => None,
        }
    }

    fn hello(&self) -> Reply {
        Reply::Hello(Hello {
            version: VERSION,
            capabilities: CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
            pid: self.task,
            start_time: self.start_time,
        })
    }

    fn start_exec(&mut self, connection: u64, id: u32, exec: &Exec) -> Result<(), String> {
        if self.execs.len() >= EXECS_MAX {
            return Err(format!("{EXECS_MAX} commands run in this task already"));
        }
        let program = exec.args.first().ok_or("a command needs a name")?;
        let streams = if exec.terminal == Some(true) { Streams::terminal()? } else { Streams::pipes()? };
        let credentials = credentials(&self.launch);
        let spec = ChildSpec {
            program: &c_string(program)?,
            args: &c_strings(&exec.args)?,
            env: &c_strings(&exec.env)?,
            directory: &c_string(&exec.directory)?,
            stdin: streams.theirs[0].as_fd(),
            stdout: streams.theirs[1].as_fd(),
            stderr: streams.theirs[2].as_fd(),
            terminal: streams.terminal.is_some(),
            cgroup_procs: &group_files(&self.launch, self.group.as_ref()),
            oom_score_adj: None,
            isolation: None,
            join: self.launch.isolation.is_some().then_some(self.task),
            credentials: credentials.as_ref(),
            capabilities: self.launch.capabilities.map(CapabilitySet),
        };
        let pid = child::spawn(&spec).map_err(|error| format!("{error}: {}", error.source))?;
        self.execs.push(Running {
            id,
            connection,
            pid,
            stdin: Some(streams.input),
            input: Vec::new(),
            input_ends: false,
            outputs: streams.outputs,
            terminal: streams.terminal,
            deadline: (exec.timeout_ms > 0).then(|| poll::monotonic() + Duration::from_millis(exec.timeout_ms)),
            timed_out: false,
            ended: None,
        });
        Ok(())
    }

    fn feed(&mut self, index: usize) {
        let exec = &mut self.execs[index];
        let Some(stdin) = &exec.stdin else { return };
        match poll::write(stdin, &exec.input) {
            Ok(count) => {
                exec.input.drain(..count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => exec.input_ends = true,
        }
        if exec.input_ends && exec.input.is_empty() {
            exec.stdin = None;
        }
    }

    fn copy_output(&mut self, index: usize, stream: usize) {
        let mut buffer = [0; COPY_BYTES];
        let exec = &mut self.execs[index];
        let Some(pipe) = &exec.outputs[stream] else { return };
        match poll::read(pipe, &mut buffer) {
            Ok(0) => exec.outputs[stream] = None,
            Ok(count) => {
                let output = Output { stream: stream as u8 + 1, bytes: buffer[..count].to_vec() };
                let (serial, id) = (exec.connection, exec.id);
                self.tell(serial, id, &Reply::Output(output));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => exec.outputs[stream] = None,
        }
    }

    fn tell(&mut self, serial: u64, id: u32, reply: &Reply) {
        if let Some((_, connection)) = self.connections.iter_mut().find(|(found, _)| *found == serial) {
            connection.send(id, reply);
        }
    }

    /// Reports commands that ended and whose output is read to its end; ends those whose agent is gone.
    fn finish_execs(&mut self) {
        let mut over = Vec::new();
        for (index, exec) in self.execs.iter_mut().enumerate() {
            if let Some(code) = exec.ended
                && exec.outputs.iter().all(Option::is_none)
            {
                over.push((index, code));
            } else if !self.connections.iter().any(|(serial, connection)| *serial == exec.connection && !connection.closed) {
                drop(process::kill(-exec.pid, SIGKILL));
                exec.outputs = [None, None];
            }
        }
        for (index, code) in over.into_iter().rev() {
            let exec = self.execs.remove(index);
            let ended = Reply::Ended(Ended { code, timed_out: exec.timed_out });
            self.tell(exec.connection, exec.id, &ended);
        }
    }

    /// Kills everything that the task started, wherever it hides.
    fn kill_tree(&mut self) {
        if self.ended.is_none() {
            drop(process::kill(self.task, SIGKILL));
        }
        if let Some(group) = &self.group {
            group.kill_all();
        }
        // Orphans come to this process, so its own descendants are all that may be left.
        let own = std::process::id() as Pid;
        for _ in 0..KILL_ROUNDS_MAX {
            let left = process::descendants(own);
            if left.is_empty() {
                break;
            }
            for pid in left {
                drop(process::kill(pid, SIGKILL));
            }
            drop(poll::wait_readable(&self.children, Some(Duration::from_millis(10))));
            self.reap();
        }
    }

    /// Clears up after the task, tells whoever listens, and writes the end down.
    fn finish(mut self) -> io::Result<()> {
        self.kill_tree();
        for index in 0..self.streams.len() {
            self.drain_log(index);
        }
        let ended = self.ended.unwrap_or(ProcessEnded::Exited(-1));
        let exited = Exited {
            token: self.launch.token.clone(),
            code: code_of(ended),
            signal: if let ProcessEnded::Signaled(signal) = ended { signal } else { 0 },
            out_of_memory: self.group.as_ref().is_some_and(Group::was_out_of_memory),
            at: poll::wall_nanoseconds(),
            error: None,
        };
        // Whoever hears of the end may start the task again at once, under the same names.
        if let Some(group) = &self.group {
            drop(group.remove());
        }
        remove_socket(&self.launch);
        for (_, connection) in self.connections.iter_mut().filter(|(_, connection)| connection.attached) {
            connection.send(0, &Reply::Exited(exited.clone()));
        }
        let written = if self.launch.record.is_empty() {
            Ok(())
        } else {
            record::write(Path::new(&self.launch.record), &exited, self.launch.durable)
        };
        for (_, connection) in &mut self.connections {
            say_farewell(connection);
        }
        written
    }

    fn drain_log(&mut self, index: usize) {
        let mut buffer = [0; COPY_BYTES];
        let stream = &mut self.streams[index];
        while let Ok(count) = poll::read(&stream.pipe, &mut buffer) {
            if count == 0 || stream.log.write(&buffer[..count]).is_err() {
                return;
            }
        }
    }
}

impl Stream {
    fn log_is_closed(&self) -> bool {
        self.log.is_closed()
    }
}

fn remove_socket(launch: &Launch) {
    if !launch.socket.is_empty() {
        drop(std::fs::remove_file(&launch.socket));
    }
}

fn done(result: io::Result<()>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(error) => Reply::failed(error.to_string()),
    }
}

fn code_of(ended: ProcessEnded) -> i32 {
    match ended {
        ProcessEnded::Exited(code) => code,
        ProcessEnded::Signaled(signal) => 128 + signal,
    }
}

/// Sends what is still waiting, for a limited time.
fn say_farewell(connection: &mut Connection) {
    let deadline = poll::monotonic() + FAREWELL;
    while !connection.pending.is_empty() && !connection.closed {
        let left = deadline.saturating_sub(poll::monotonic());
        if left.is_zero() {
            return;
        }
        let mut interests = [Interest::readable_or_writable(&connection.stream, true)];
        if poll::wait(&mut interests, Some(left)).is_err() {
            return;
        }
        connection.flush();
    }
}
