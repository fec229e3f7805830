//! Allocations: what a node is asked to run, and what it reports back.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use minicbor::{Decode, Encode};

use crate::Index;
use crate::job::{Job, TaskGroup};
use crate::resources::AllocatedResources;

text_enum! {
    /// What the servers want of an allocation.
    DesiredStatus { 0 Run = "run", 1 Stop = "stop", 2 Evict = "evict", }
}
text_enum! {
    /// What became of an allocation on its node.
    ClientStatus {
        0 Pending = "pending", 1 Running = "running", 2 Complete = "complete", 3 Failed = "failed", 4 Lost = "lost",
        5 Unknown = "unknown",
    }
}
text_enum! {
    /// What became of a task.
    TaskStatus { 0 Pending = "pending", 1 Running = "running", 2 Dead = "dead", }
}

text_enum! {
    /// How the last attempt to replace a failed allocation went.
    RescheduleOutcome { 0 Placed = "ok", 1 NoPlacement = "no placement", }
}

/// A status that an allocation had, and since when; kept for what the servers decide while its node is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StatusChange {
    /// The status.
    #[n(0)]
    pub status: ClientStatus,
    /// Since when.
    #[n(1)]
    pub time: WallTime,
}

impl ClientStatus {
    /// Whether nothing of the allocation runs any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Lost)
    }
}

/// What the servers ask the scheduler or the client to do with an allocation beside its desired status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DesiredTransition {
    /// Move to another node.
    #[n(0)]
    pub migrate: Option<bool>,
    /// May be rescheduled once failed.
    #[n(1)]
    pub reschedule: Option<bool>,
    /// Must be rescheduled.
    #[n(2)]
    pub force_reschedule: Option<bool>,
    /// Skip the shutdown delays.
    #[n(3)]
    pub no_shutdown_delay: Option<bool>,
    /// Stop for a drain without a replacement.
    #[n(4)]
    pub migrate_disable_placement: Option<bool>,
}

/// One allocation as its node needs it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Allocation {
    /// The id.
    #[n(0)]
    pub id: AllocId,
    /// The job version it was placed with, or updated in place to.
    #[n(1)]
    #[cbor(with = "crate::shared")]
    pub job: Arc<Job>,
    /// The group's name.
    #[n(2)]
    pub group: String,
    /// Its number within the group.
    #[n(3)]
    pub index: u32,
    /// The node.
    #[n(4)]
    pub node_id: NodeId,
    /// The evaluation that placed it.
    #[n(5)]
    pub eval_id: EvalId,
    /// What it was given.
    #[n(6)]
    #[cbor(with = "crate::shared")]
    pub resources: Arc<AllocatedResources>,
    /// What the servers want.
    #[n(7)]
    pub desired: DesiredStatus,
    /// And how.
    #[n(8)]
    pub transition: DesiredTransition,
    /// What the servers know of its state.
    #[n(9)]
    pub client_status: ClientStatus,
    /// The deployment it belongs to.
    #[n(10)]
    pub deployment: Option<DeploymentId>,
    /// Whether it is a canary of that deployment.
    #[n(11)]
    #[cbor(default)]
    pub canary: bool,
    /// Whether the deployment wants to hear about its health and has not yet.
    #[n(12)]
    #[cbor(default)]
    pub health_wanted: bool,
    /// The allocation it replaces.
    #[n(13)]
    pub previous: Option<AllocId>,
    /// When it was placed.
    #[n(14)]
    pub create_index: Index,
    /// The last change of what the client must act on.
    #[n(15)]
    pub alloc_modify_index: Index,
    /// When it was placed.
    #[n(16)]
    pub create_time: WallTime,
    /// The namespace of the job, region and node name are the node's own.
    #[n(17)]
    #[cbor(default)]
    pub node_name: String,
}

impl Allocation {
    /// `job.group[index]`.
    pub fn name(&self) -> String {
        alloc_name(&self.job.id.id, &self.group, self.index)
    }

    /// The group in the job, if the version has it.
    pub fn task_group(&self) -> Option<&TaskGroup> {
        self.job.group(&self.group)
    }

    /// Whether the servers want it gone.
    pub fn server_terminal(&self) -> bool {
        self.desired != DesiredStatus::Run
    }

    /// Whether either side is done with it.
    pub fn terminal(&self) -> bool {
        self.server_terminal() || self.client_status.is_terminal()
    }
}

/// `job.group[index]`.
pub fn alloc_name(job: &str, group: &str, index: u32) -> String {
    format!("{job}.{group}[{index}]")
}

/// Something that happened to a task.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct TaskEvent {
    /// When.
    #[n(0)]
    pub time: WallTime,
    /// What.
    #[n(1)]
    pub kind: TaskEventKind,
}

/// What can happen to a task: codes with arguments, turned into text when somebody reads them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum TaskEventKind {
    /// The client has it.
    #[n(0)]
    Received,
    /// Before the start; the text says what is being set up.
    #[n(1)]
    Setup(#[n(0)] String),
    /// It runs.
    #[n(2)]
    Started,
    /// It ended.
    #[n(3)]
    Terminated {
        /// The exit code.
        #[n(0)]
        exit_code: i32,
        /// The signal that ended it, or 0.
        #[n(1)]
        signal: i32,
        /// Whether the kernel killed it for memory.
        #[n(2)]
        oom_killed: bool,
        /// What the driver adds.
        #[n(3)]
        message: String,
    },
    /// It will be started again after `delay_ns`.
    #[n(4)]
    Restarting {
        /// Nanoseconds.
        #[n(0)]
        delay_ns: i64,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// It will not be started again.
    #[n(5)]
    NotRestarting {
        /// Why.
        #[n(0)]
        reason: String,
        /// Whether this makes the task failed.
        #[n(1)]
        fails_task: bool,
    },
    /// It is being killed.
    #[n(6)]
    Killing {
        /// Nanoseconds until it is killed by force.
        #[n(0)]
        kill_timeout_ns: i64,
        /// Why, when not for the usual reason.
        #[n(1)]
        reason: String,
        /// Whether this makes the task failed.
        #[n(2)]
        fails_task: bool,
    },
    /// It is gone after a kill; an error says why it might not be.
    #[n(7)]
    Killed(#[n(0)] String),
    /// The driver could not start it.
    #[n(8)]
    DriverFailure(#[n(0)] String),
    /// Its configuration is wrong.
    #[n(9)]
    FailedValidation(#[n(0)] String),
    /// A step before the start failed.
    #[n(10)]
    SetupFailure {
        /// What failed.
        #[n(0)]
        message: String,
        /// Whether this makes the task failed.
        #[n(1)]
        fails_task: bool,
    },
    /// A hook failed.
    #[n(11)]
    HookFailed(#[n(0)] String),
    /// A hook said something.
    #[n(12)]
    HookMessage(#[n(0)] String),
    /// Artifacts are being fetched.
    #[n(13)]
    DownloadingArtifacts,
    /// An artifact could not be fetched.
    #[n(14)]
    FailedArtifactDownload(#[n(0)] String),
    /// A restart was asked for.
    #[n(15)]
    RestartSignaled(#[n(0)] String),
    /// A signal was sent.
    #[n(16)]
    Signaling {
        /// The signal's name.
        #[n(0)]
        signal: String,
        /// Why.
        #[n(1)]
        reason: String,
    },
    /// Another task of the group failed.
    #[n(17)]
    SiblingFailed(#[n(0)] String),
    /// The leader ended.
    #[n(18)]
    LeaderDead,
    /// The main tasks ended.
    #[n(19)]
    MainDead,
    /// The deployment took the allocation for unhealthy.
    #[n(20)]
    AllocUnhealthy(#[n(0)] String),
    /// The kill waits for so many nanoseconds.
    #[n(21)]
    ShutdownDelay(#[n(0)] i64),
    /// The kill waits no longer than asked.
    #[n(22)]
    SkippingShutdownDelay,
    /// Re-attached after a restart of the agent.
    #[n(23)]
    Restored,
    /// Could not be re-attached after a restart of the agent.
    #[n(24)]
    RestoreFailed(#[n(0)] String),
    /// A template waits for data.
    #[n(25)]
    TemplateWaiting(#[n(0)] String),
    /// The client or a plugin says something: source and message.
    #[n(26)]
    Generic {
        /// Shown as the event's type.
        #[n(0)]
        source: String,
        /// The message.
        #[n(1)]
        message: String,
    },
}

/// How many events of a task are kept.
pub const TASK_EVENTS_MAX: usize = 10;

/// The state of one task.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct TaskState {
    /// Pending, running, dead.
    #[n(0)]
    pub status: TaskStatus,
    /// Once true, stays true.
    #[n(1)]
    pub failed: bool,
    /// How often it was started again.
    #[n(2)]
    pub restarts: u32,
    /// When last.
    #[n(3)]
    #[cbor(default)]
    pub last_restart: WallTime,
    /// When it first ran.
    #[n(4)]
    #[cbor(default)]
    pub started_at: WallTime,
    /// When it ended for good.
    #[n(5)]
    #[cbor(default)]
    pub finished_at: WallTime,
    /// The newest [`TASK_EVENTS_MAX`].
    #[n(6)]
    #[cbor(default)]
    pub events: Vec<TaskEvent>,
}

impl TaskState {
    /// Whether it ended without failing.
    pub fn successful(&self) -> bool {
        self.status == TaskStatus::Dead && !self.failed
    }

    /// Adds an event and drops the oldest beyond the bound.
    pub fn push(&mut self, event: TaskEvent) {
        self.events.push(event);
        let surplus = self.events.len().saturating_sub(TASK_EVENTS_MAX);
        self.events.drain(..surplus);
    }
}

/// The states of an allocation's tasks in their encoded form: a server holds very many and looks into few.
#[derive(Clone, PartialEq)]
pub struct TaskStates(Arc<[u8]>);

impl TaskStates {
    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The state of a task.
    pub fn get(&self, task: &str) -> Option<TaskState> {
        self.iter().find(|(name, _)| *name == task).map(|(_, state)| state)
    }

    /// All tasks by name, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TaskState)> {
        let mut decoder = minicbor::Decoder::new(&self.0);
        let count = decoder.map().ok().flatten().unwrap_or(0);
        // What is inside was encoded here or decoded once before.
        (0..count).map_while(move |_| Some((decoder.str().ok()?, decoder.decode().ok()?)))
    }
}

impl std::fmt::Debug for TaskStates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl From<BTreeMap<String, TaskState>> for TaskStates {
    fn from(states: BTreeMap<String, TaskState>) -> Self {
        Self(minicbor::to_vec(&states).expect("writing to memory cannot fail").into())
    }
}

impl<C> Encode<C> for TaskStates {
    fn encode<W: minicbor::encode::Write>(&self, e: &mut minicbor::Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.writer_mut().write_all(&self.0).map_err(minicbor::encode::Error::write)
    }
}

impl<'b, C> Decode<'b, C> for TaskStates {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        BTreeMap::decode(d, ctx).map(Self::from)
    }
}

/// A deployment's verdict on an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DeploymentHealth {
    /// Good or bad.
    #[n(0)]
    pub healthy: bool,
    /// Since when.
    #[n(1)]
    pub time: WallTime,
}

/// What a node reports about one of its allocations; replaces what it reported before.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct AllocUpdate {
    /// Which.
    #[n(0)]
    pub id: AllocId,
    /// Its state.
    #[n(1)]
    pub status: ClientStatus,
    /// A sentence about it.
    #[n(2)]
    #[cbor(default)]
    pub description: String,
    /// Its tasks by name.
    #[n(3)]
    pub tasks: BTreeMap<String, TaskState>,
    /// Its health in a deployment, once known.
    #[n(4)]
    pub health: Option<DeploymentHealth>,
}
