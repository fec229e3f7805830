//! The rows of the tables. Inside, objects are named by dense slots handed out in `apply`; ids are for the outside.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use drover_model::{
    AllocatedResources, ClientStatus, DeploymentHealth, DesiredStatus, DesiredTransition, DrainStrategy, Index, Job, JobId, LastDrain,
    Node, NodeEvent, NodeStatus, PlacementMetrics, RescheduleEvent, RescheduleOutcome, StatusChange, TaskGroup, TaskStates, VersionTag,
    command::ScalingEvent, command::Submission, text_enum,
};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::capacity::Position;
use crate::summary::{ChildCounts, GroupSummary};
use crate::usage::Usage;

/// The position of a row of kind `K` in its table; never used again after the row is gone.
pub struct Slot<K>(u32, PhantomData<fn() -> K>);

impl<K> Slot<K> {
    /// The slot with this number.
    pub const fn new(number: u32) -> Self {
        Self(number, PhantomData)
    }

    /// The slot's number.
    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}
impl<K> Clone for Slot<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Slot<K> {}
impl<K> PartialEq for Slot<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Slot<K> {}
impl<K> PartialOrd for Slot<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Slot<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
impl<C, K> Encode<C> for Slot<K> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u32(self.0)?.ok()
    }
}
impl<'b, C, K> Decode<'b, C> for Slot<K> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        d.u32().map(Self::new)
    }
}

/// Slot of a job.
pub type JobSlot = Slot<JobRow>;
/// Slot of a node.
pub type NodeSlot = Slot<NodeRow>;
/// Slot of an allocation.
pub type AllocSlot = Slot<Alloc>;
/// Slot of an evaluation.
pub type EvalSlot = Slot<drover_model::Evaluation>;
/// Slot of a deployment.
pub type DeploymentSlot = Slot<drover_model::Deployment>;

text_enum! {
    /// What a job is doing.
    JobStatus { 0 Pending = "pending", 1 Running = "running", 2 Dead = "dead", }
}

/// A version of a job with what is known about it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct JobVersion {
    /// The version.
    #[n(0)]
    #[cbor(with = "drover_model::shared")]
    pub job: Arc<Job>,
    /// Whether it proved healthy.
    #[n(1)]
    pub stable: bool,
    /// A name it was given.
    #[n(2)]
    pub tag: Option<VersionTag>,
    /// Its source text.
    #[n(3)]
    #[cbor(with = "drover_model::shared::maybe")]
    #[cbor(default)]
    pub submission: Option<Arc<Submission>>,
}

/// A job with its newest versions.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct JobRow {
    /// Newest first; never empty.
    #[n(0)]
    pub versions: Vec<JobVersion>,
    /// Pending, running, dead.
    #[n(1)]
    pub status: JobStatus,
    /// The last change of the row.
    #[n(2)]
    pub modify_index: Index,
    /// Counts of allocations by group.
    #[n(3)]
    pub summary: BTreeMap<String, GroupSummary>,
    /// The last change of the summary.
    #[n(4)]
    pub summary_index: Index,
    /// The newest scaling events by group, newest first.
    #[n(5)]
    #[cbor(default)]
    pub scaling: BTreeMap<String, Vec<ScalingEvent>>,
    /// Allocations that neither side is done with; recounted when a snapshot is restored.
    #[cbor(skip)]
    pub live_allocs: u32,
    /// Evaluations that are pending or blocked; recounted when a snapshot is restored.
    #[cbor(skip)]
    pub open_evals: u32,
    /// The newest time at which a child was launched.
    #[n(6)]
    #[cbor(default)]
    pub last_launch: WallTime,
    /// Children by status; recounted when a snapshot is restored.
    #[cbor(skip)]
    pub children: ChildCounts,
}

impl JobRow {
    /// A job as it is when it is first registered at `index`.
    pub fn new(job: Arc<Job>, submission: Option<Arc<Submission>>, index: Index) -> Self {
        let summary = job.task_groups.iter().map(|group| (group.name.clone(), GroupSummary::default())).collect();
        Self {
            versions: vec![JobVersion { job, stable: false, tag: None, submission }],
            status: JobStatus::Pending,
            modify_index: index,
            summary,
            summary_index: index,
            scaling: BTreeMap::new(),
            live_allocs: 0,
            open_evals: 0,
            last_launch: WallTime::ZERO,
            children: ChildCounts::default(),
        }
    }

    /// The newest version.
    pub fn job(&self) -> &Arc<Job> {
        &self.versions[0].job
    }

    /// The id.
    pub fn id(&self) -> &JobId {
        &self.versions[0].job.id
    }

    /// A version by number.
    pub fn version(&self, version: u64) -> Option<&JobVersion> {
        self.versions.iter().find(|entry| entry.job.version == version)
    }

    /// The versions to go back to, newest first: those that proved healthy. One that stops the job is none of them.
    pub fn stable_versions(&self) -> impl Iterator<Item = &JobVersion> {
        self.versions.iter().filter(|entry| entry.stable && !entry.job.stop)
    }

    /// What is needed to show a version.
    pub fn view(&self, version: &JobVersion) -> drover_model::JobView {
        drover_model::JobView {
            status: self.status.text().to_owned(),
            status_description: String::new(),
            stable: version.stable,
            modify_index: self.modify_index,
            version_tag: version.tag.clone(),
        }
    }
}

/// A node with what the servers know about it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct NodeRow {
    /// What it says about itself.
    #[n(0)]
    #[cbor(with = "drover_model::shared")]
    pub node: Arc<Node>,
    /// Whether the servers hear from it.
    #[n(1)]
    pub status: NodeStatus,
    /// A sentence about the status.
    #[n(2)]
    #[cbor(default)]
    pub status_description: String,
    /// When the status last changed.
    #[n(3)]
    pub status_time: WallTime,
    /// Whether it takes placements.
    #[n(4)]
    pub eligible: bool,
    /// The newest events, oldest first.
    #[n(5)]
    pub events: Vec<NodeEvent>,
    /// When it first registered.
    #[n(6)]
    pub create_index: Index,
    /// The last change.
    #[n(7)]
    pub modify_index: Index,
    /// The last change of its status.
    #[n(8)]
    #[cbor(default)]
    pub last_missed_heartbeat_index: Index,
    /// The last report about its allocations.
    #[n(9)]
    #[cbor(default)]
    pub last_alloc_update_index: Index,
    /// Taken by allocations that neither side is done with; recounted when a snapshot is restored.
    #[cbor(skip)]
    pub live: Usage,
    /// Taken by allocations that the node has not reported as ended.
    #[cbor(skip)]
    pub held: Usage,
    /// Equal for nodes that constraints over facts cannot tell apart.
    #[n(10)]
    #[cbor(default)]
    pub class: u64,
    /// Where it lies in the index over free capacity; recounted when a snapshot is restored.
    #[cbor(skip)]
    pub position: Position,
    /// The drain under way.
    #[n(11)]
    pub drain: Option<DrainStrategy>,
    /// The drain under way, or the last one.
    #[n(12)]
    pub last_drain: Option<LastDrain>,
}

impl NodeRow {
    /// A node as it is when it first registers at `index`.
    pub fn new(node: Node, index: Index, time: WallTime) -> Self {
        let class = node.computed_class();
        Self {
            node: Arc::new(node),
            status: NodeStatus::Initializing,
            status_description: String::new(),
            status_time: time,
            eligible: true,
            events: Vec::new(),
            create_index: index,
            modify_index: index,
            last_missed_heartbeat_index: 0,
            last_alloc_update_index: 0,
            live: Usage::default(),
            held: Usage::default(),
            class,
            drain: None,
            last_drain: None,
            position: Position::default(),
        }
    }

    /// Whether it may be given allocations (SCH-001).
    pub fn ready(&self) -> bool {
        self.status == NodeStatus::Ready && self.eligible && self.drain.is_none()
    }

    /// The computed class as text, the way the API shows it.
    pub fn class_text(&self) -> String {
        format!("v1:{}", self.class)
    }
}

/// What most allocations do not have, and what they have only after something went otherwise than usual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RareFields {
    /// Why the servers want what they want.
    pub desired_description: Option<Arc<str>>,
    /// A sentence about what the node reported.
    pub client_description: Option<Arc<str>>,
    /// The evaluation that will replace it later.
    pub followup_eval: Option<EvalId>,
    /// The allocation it replaced.
    pub previous: Option<AllocId>,
    /// The allocation that replaced it.
    pub next: Option<AllocId>,
    /// Attempts to replace failed ones, oldest first.
    pub reschedules: Option<Arc<Vec<RescheduleEvent>>>,
    /// How the last of these attempts went.
    pub reschedule_outcome: Option<RescheduleOutcome>,
    /// Allocations that were evicted to make room for it.
    pub preempted: Option<Arc<Vec<AllocId>>>,
    /// The allocation that it was evicted for.
    pub preempted_by: Option<AllocId>,
    /// When it was lost sight of and seen again, oldest first.
    pub contacts: Option<Arc<Vec<StatusChange>>>,
}

impl RareFields {
    const NONE: Self = Self {
        desired_description: None,
        client_description: None,
        followup_eval: None,
        previous: None,
        next: None,
        reschedules: None,
        reschedule_outcome: None,
        preempted: None,
        preempted_by: None,
        contacts: None,
    };
}

/// [`RareFields`], which take no room where there are none. To be written to only when there is something to write.
#[derive(Clone, Debug, Default)]
pub struct Rare(Option<Arc<RareFields>>);

impl std::ops::Deref for Rare {
    type Target = RareFields;

    fn deref(&self) -> &RareFields {
        const NONE: &RareFields = &RareFields::NONE;
        self.0.as_deref().unwrap_or(NONE)
    }
}

impl std::ops::DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut RareFields {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl PartialEq for Rare {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<RareFields> for Rare {
    fn from(fields: RareFields) -> Self {
        Self((fields != RareFields::NONE).then(|| Arc::new(fields)))
    }
}

/// An allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Alloc {
    /// The id.
    pub id: AllocId,
    /// The job's row, which may be gone.
    pub job_slot: JobSlot,
    /// The version it runs, shared by all allocations of the version.
    pub job: Arc<Job>,
    /// The position of its group in that version.
    pub group: u16,
    /// Its number within the group.
    pub index: u32,
    /// The node's row, which may be gone.
    pub node_slot: NodeSlot,
    /// The node.
    pub node_id: NodeId,
    /// The evaluation that placed it.
    pub eval_id: EvalId,
    /// The deployment it belongs to.
    pub deployment: Option<DeploymentId>,
    /// Whether it is a canary of that deployment.
    pub canary: bool,
    /// Its health in that deployment, and the log entry that said so.
    pub health: Option<(DeploymentHealth, Index)>,
    /// What it was given.
    pub resources: Arc<AllocatedResources>,
    /// What the servers want.
    pub desired: DesiredStatus,
    /// And how.
    pub transition: DesiredTransition,
    /// What the node reported.
    pub client_status: ClientStatus,
    /// The tasks as reported.
    pub tasks: Option<TaskStates>,
    /// What most allocations do not have.
    pub rare: Rare,
    /// How it was chosen, shared by the placements of an evaluation and group.
    pub metrics: Arc<PlacementMetrics>,
    /// When it was placed.
    pub create_index: Index,
    /// The last change.
    pub modify_index: Index,
    /// The last change of what its node must act on.
    pub alloc_modify_index: Index,
    /// When it was placed.
    pub create_time: WallTime,
    /// The last change.
    pub modify_time: WallTime,
    /// What its job was doing when it was placed.
    pub job_status: JobStatus,
}

impl Alloc {
    /// The group as the version has it.
    pub fn task_group(&self) -> &TaskGroup {
        &self.job.task_groups[usize::from(self.group)]
    }

    /// The group's name.
    pub fn group_name(&self) -> &str {
        &self.task_group().name
    }

    /// `job.group[index]`.
    pub fn name(&self) -> String {
        drover_model::alloc_name(&self.job.id.id, self.group_name(), self.index)
    }

    /// Whether the servers want it gone.
    pub fn server_terminal(&self) -> bool {
        self.desired != DesiredStatus::Run
    }

    /// Whether nothing of it runs any more.
    pub fn client_terminal(&self) -> bool {
        self.client_status.is_terminal()
    }

    /// Whether either side is done with it.
    pub fn terminal(&self) -> bool {
        self.server_terminal() || self.client_terminal()
    }

    /// Whether every task ended without failing.
    pub fn ran_successfully(&self) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| !tasks.is_empty() && tasks.iter().all(|(_, state)| state.successful()))
    }

    /// When it failed: the latest end of a task, else the last change (REC-028).
    pub fn failure_time(&self) -> WallTime {
        let finished = self.tasks.iter().flat_map(TaskStates::iter).map(|(_, task)| task.finished_at).max();
        finished.filter(|time| !time.is_zero()).unwrap_or(self.modify_time)
    }

    /// Whether its health matters: to its deployment, or to the pace at which its group leaves nodes (DEP-018).
    pub fn has_health(&self) -> bool {
        self.deployment.is_some() || self.job.kind == drover_model::JobType::Service
    }

    /// Healthy, unhealthy, or not known.
    pub fn is_healthy(&self) -> Option<bool> {
        self.health.map(|(health, _)| health.healthy)
    }

    /// What its node needs to know.
    pub fn for_client(&self, node_name: &str) -> drover_model::Allocation {
        drover_model::Allocation {
            id: self.id,
            job: Arc::clone(&self.job),
            group: self.group_name().to_owned(),
            index: self.index,
            node_id: self.node_id,
            eval_id: self.eval_id,
            resources: Arc::clone(&self.resources),
            desired: self.desired,
            transition: self.transition,
            client_status: self.client_status,
            deployment: self.deployment,
            canary: self.canary,
            health_wanted: self.has_health() && self.health.is_none(),
            previous: self.rare.previous,
            create_index: self.create_index,
            alloc_modify_index: self.alloc_modify_index,
            create_time: self.create_time,
            node_name: node_name.to_owned(),
        }
    }
}
