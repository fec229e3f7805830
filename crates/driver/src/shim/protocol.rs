//! What agent and shim say to each other over a Unix socket. Frozen: an agent must be able to talk to every shim that an earlier
//! release started, so fields and kinds are only ever added, and golden transcripts of each version stay in `testdata/`.
//!
//! A frame is `length: u32` (of what follows), `kind: u8`, `id: u32`, both little-endian, and a CBOR map whose keys are the field
//! numbers below. An answer carries the id of its request; what the shim says unasked carries 0. A kind that a shim does not know is
//! answered with [`Reply::Failed`], so a newer agent learns what an older shim cannot do; it can also see that beforehand in
//! [`Hello::version`] and [`Hello::capabilities`].

use minicbor::{Decode, Encode};

/// The version of the protocol that this build's shims speak.
pub const VERSION: u32 = 1;
/// Running a command in the task's context, without a terminal.
pub const CAPABILITY_EXEC: &str = "exec";
/// Giving such a command a terminal, resizing it, and ending the command before it ends itself.
pub const CAPABILITY_TERMINAL: &str = "exec-terminal";
/// Everything this build's shims can do beyond starting, watching, signalling and stopping.
pub const CAPABILITIES: &[&str] = &[CAPABILITY_EXEC, CAPABILITY_TERMINAL];
/// The longest frame either side accepts. An environment has to fit in one.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a frame before its body.
pub const HEADER_BYTES: usize = 9;

/// One host path to be seen by an isolated task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bind {
    #[n(0)]
    pub source: String,
    #[n(1)]
    pub target: String,
    #[n(2)]
    pub read_only: bool,
    #[n(3)]
    pub optional: bool,
}

/// A file system and namespaces of the task's own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Isolation {
    #[n(0)]
    pub root: String,
    #[n(1)]
    pub binds: Vec<Bind>,
    #[n(2)]
    pub private_pid: bool,
    #[n(3)]
    pub private_ipc: bool,
}

/// The control group to make for the task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ControlGroup {
    /// 1 or 2.
    #[n(0)]
    pub version: u8,
    #[n(1)]
    pub name: String,
    /// The name of the parent of all tasks; empty for the usual one.
    #[n(2)]
    pub parent: String,
    #[n(3)]
    pub cpu_shares: u64,
    /// In bytes; 0 is no limit.
    #[n(4)]
    pub memory_max: u64,
    /// In bytes; 0 is none.
    #[n(5)]
    pub memory_low: u64,
    /// Cores of its own, as a list; empty when it shares.
    #[n(6)]
    pub reserved_cores: String,
    /// `cgroup.procs` files to enter instead of the groups made here, each as configured by the job.
    #[n(7)]
    #[cbor(default)]
    pub instead: Vec<String>,
}

/// User and groups of the task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Credentials {
    #[n(0)]
    pub uid: u32,
    #[n(1)]
    pub gid: u32,
    #[n(2)]
    pub groups: Vec<u32>,
}

/// Where output goes and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Logs {
    #[n(0)]
    pub directory: String,
    /// Files are `<prefix>.stdout.N` and `<prefix>.stderr.N`.
    #[n(1)]
    pub prefix: String,
    #[n(2)]
    pub max_files: u32,
    #[n(3)]
    pub max_file_bytes: u64,
}

/// A task to start and own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Launch {
    /// What an agent must show to attach later.
    #[n(0)]
    pub token: String,
    #[n(1)]
    pub program: String,
    /// With the program's own name first.
    #[n(2)]
    pub args: Vec<String>,
    /// `NAME=value` each.
    #[n(3)]
    pub env: Vec<String>,
    #[n(4)]
    pub directory: String,
    /// None sends output nowhere.
    #[n(5)]
    pub logs: Option<Logs>,
    /// Where agents attach; empty where none ever will.
    #[n(6)]
    pub socket: String,
    /// Where the exit is written down; empty where nobody would read it.
    #[n(7)]
    pub record: String,
    /// Whether the record must survive a crash of the machine.
    #[n(8)]
    pub durable: bool,
    /// End the task this long after the last agent is gone; 0 is never.
    #[n(9)]
    pub orphan_limit_ms: u64,
    #[n(10)]
    pub group: Option<ControlGroup>,
    #[n(11)]
    pub isolation: Option<Isolation>,
    #[n(12)]
    pub credentials: Option<Credentials>,
    /// The capabilities the task may have, as bits.
    #[n(13)]
    pub capabilities: Option<u64>,
    #[n(14)]
    pub oom_score_adj: Option<i32>,
}

/// Proves that the agent means this task and asks what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attach {
    #[n(0)]
    pub token: String,
    #[n(1)]
    pub version: u32,
}

/// A signal to send to the task.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SendSignal {
    #[n(0)]
    pub number: i32,
}

/// A signal now, and the end of the whole tree once the time is over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stop {
    #[n(0)]
    pub number: i32,
    #[n(1)]
    pub timeout_ms: u64,
}

/// A command to run where the task runs: its file system, groups and user.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Exec {
    #[n(0)]
    pub args: Vec<String>,
    #[n(1)]
    pub env: Vec<String>,
    #[n(2)]
    pub directory: String,
    /// Kill it after this time; 0 is never.
    #[n(3)]
    pub timeout_ms: u64,
    /// Whether it gets a terminal of its own instead of pipes; its standard error then comes as output.
    #[n(4)]
    pub terminal: Option<bool>,
}

/// A new size of a command's terminal; the request's id is the command's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Resize {
    #[n(0)]
    pub rows: u16,
    #[n(1)]
    pub columns: u16,
}

/// Bytes for the standard input of a command; the request's id is the command's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Input {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// Nothing follows.
    #[n(1)]
    pub end: bool,
}

/// The first message to a new process that shall start shims by forking, each for a socket it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Nursery {
    /// The `cgroup.procs` files to enter, so that shims leave the agent's groups.
    #[n(0)]
    pub groups: Vec<String>,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Nursery(Nursery),
    Launch(Box<Launch>),
    Attach(Attach),
    Status,
    Signal(SendSignal),
    Stop(Stop),
    Exec(Exec),
    Input(Input),
    Resize(Resize),
    /// Nobody wants the command's output any more: it ends. The request's id is the command's.
    Abandon,
    /// The agent that started the task has stored its handle: from now on the task may outlive it.
    Confirm,
}

/// Who answers an [`Attach`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    #[n(0)]
    pub version: u32,
    #[n(1)]
    pub capabilities: Vec<String>,
    #[n(2)]
    pub pid: i32,
    #[n(3)]
    pub start_time: u64,
}

/// The task runs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Started {
    #[n(0)]
    pub pid: i32,
    #[n(1)]
    pub start_time: u64,
    #[n(2)]
    pub shim_pid: i32,
    #[n(3)]
    pub shim_start_time: u64,
    /// The directories of the control group made for it.
    #[n(4)]
    pub groups: Vec<String>,
}

/// What was asked cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Failed {
    #[n(0)]
    pub message: String,
}

/// The end of a task, as told and as written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Exited {
    #[n(0)]
    pub token: String,
    /// 128 and the signal when a signal ended it.
    #[n(1)]
    pub code: i32,
    #[n(2)]
    pub signal: i32,
    #[n(3)]
    pub out_of_memory: bool,
    /// Nanoseconds since the Unix epoch.
    #[n(4)]
    pub at: i64,
    /// Why there is no code, when there is none.
    #[n(5)]
    pub error: Option<String>,
}

/// Output of a command.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Output {
    /// 1 is standard output, 2 standard error.
    #[n(0)]
    pub stream: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ended {
    #[n(0)]
    pub code: i32,
    #[n(1)]
    pub timed_out: bool,
}

/// What the shim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Hello(Hello),
    Started(Started),
    Failed(Failed),
    Done,
    Exited(Exited),
    Output(Output),
    Ended(Ended),
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("a frame of {0} bytes is longer than allowed")]
    TooLong(usize),
    #[error("a frame of {0} bytes is shorter than its header")]
    TooShort(usize),
    #[error("unknown kind of message {0}")]
    UnknownKind(u8),
    #[error("decode message of kind {kind}")]
    Decode { kind: u8, source: minicbor::decode::Error },
}

fn frame(kind: u8, id: u32, body: &impl Encode<()>) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    minicbor::encode(body, &mut bytes).expect("writing to memory cannot fail and these types have no failing encoders");
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4] = kind;
    bytes[5..HEADER_BYTES].copy_from_slice(&id.to_le_bytes());
    bytes
}

/// A body without fields.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Empty {}

fn body<'b, T: Decode<'b, ()>>(kind: u8, bytes: &'b [u8]) -> Result<T, ProtocolError> {
    minicbor::decode(bytes).map_err(|source| ProtocolError::Decode { kind, source })
}

impl Request {
    /// The whole frame.
    pub fn to_frame(&self, id: u32) -> Vec<u8> {
        match self {
            Self::Nursery(value) => frame(1, id, value),
            Self::Launch(value) => frame(2, id, value.as_ref()),
            Self::Attach(value) => frame(3, id, value),
            Self::Status => frame(4, id, &Empty {}),
            Self::Signal(value) => frame(5, id, value),
            Self::Stop(value) => frame(6, id, value),
            Self::Exec(value) => frame(7, id, value),
            Self::Input(value) => frame(8, id, value),
            Self::Confirm => frame(9, id, &Empty {}),
            Self::Resize(value) => frame(10, id, value),
            Self::Abandon => frame(11, id, &Empty {}),
        }
    }

    /// The message of a frame.
    pub fn from_frame(frame: &RawFrame) -> Result<Self, ProtocolError> {
        let (kind, bytes) = (frame.kind, frame.body.as_slice());
        Ok(match kind {
            1 => Self::Nursery(body(kind, bytes)?),
            2 => Self::Launch(Box::new(body(kind, bytes)?)),
            3 => Self::Attach(body(kind, bytes)?),
            4 => Self::Status,
            5 => Self::Signal(body(kind, bytes)?),
            6 => Self::Stop(body(kind, bytes)?),
            7 => Self::Exec(body(kind, bytes)?),
            8 => Self::Input(body(kind, bytes)?),
            9 => Self::Confirm,
            10 => Self::Resize(body(kind, bytes)?),
            11 => Self::Abandon,
            _ => return Err(ProtocolError::UnknownKind(kind)),
        })
    }
}

impl Reply {
    /// The whole frame.
    pub fn to_frame(&self, id: u32) -> Vec<u8> {
        match self {
            Self::Hello(value) => frame(129, id, value),
            Self::Started(value) => frame(130, id, value),
            Self::Failed(value) => frame(131, id, value),
            Self::Done => frame(132, id, &Empty {}),
            Self::Exited(value) => frame(133, id, value),
            Self::Output(value) => frame(134, id, value),
            Self::Ended(value) => frame(135, id, value),
        }
    }

    /// The message of a frame.
    pub fn from_frame(frame: &RawFrame) -> Result<Self, ProtocolError> {
        let (kind, bytes) = (frame.kind, frame.body.as_slice());
        Ok(match kind {
            129 => Self::Hello(body(kind, bytes)?),
            130 => Self::Started(body(kind, bytes)?),
            131 => Self::Failed(body(kind, bytes)?),
            132 => Self::Done,
            133 => Self::Exited(body(kind, bytes)?),
            134 => Self::Output(body(kind, bytes)?),
            135 => Self::Ended(body(kind, bytes)?),
            _ => return Err(ProtocolError::UnknownKind(kind)),
        })
    }

    /// A refusal with its reason.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failed { message: message.into() })
    }
}

/// A frame taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    pub kind: u8,
    pub id: u32,
    pub body: Vec<u8>,
}

/// Collects bytes and gives out whole frames.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame; none when more bytes are needed. After an error the connection is of no more use.
    pub fn next_frame(&mut self) -> Result<Option<RawFrame>, ProtocolError> {
        let Some(prefix) = self.bytes.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(ProtocolError::TooLong(length));
        }
        if length < HEADER_BYTES - 4 {
            return Err(ProtocolError::TooShort(length));
        }
        if self.bytes.len() < 4 + length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(4 + length);
        let whole = std::mem::replace(&mut self.bytes, rest);
        let id = [whole[5], whole[6], whole[7], whole[8]];
        Ok(Some(RawFrame { kind: whole[4], id: u32::from_le_bytes(id), body: whole[HEADER_BYTES..].to_vec() }))
    }
}

#[cfg(test)]
mod tests;
