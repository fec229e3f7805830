//! What a node shall run, as it travels: jobs and resources that several allocations share are written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use drover_model::{AllocatedResources, Allocation, ClientStatus, DesiredStatus, DesiredTransition, Index, Job};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// A change of what a node shall run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Whether this is everything, so that what is not in it is to be removed.
    pub full: bool,
    /// New and changed allocations.
    pub upserts: Vec<Arc<Allocation>>,
    /// Allocations that the servers have forgotten.
    pub removals: Vec<AllocId>,
    /// Tickets of pipes that the server waits for the node to open.
    pub calls: Vec<u64>,
}

/// [`Desired`] with tables of what is shared.
#[derive(Debug, Encode, Decode)]
pub(crate) struct DesiredMessage {
    #[n(0)]
    full: bool,
    #[n(1)]
    jobs: Vec<Shared<Job>>,
    #[n(2)]
    resources: Vec<Shared<AllocatedResources>>,
    #[n(3)]
    upserts: Vec<Upsert>,
    #[n(4)]
    removals: Vec<AllocId>,
    #[n(5)]
    #[cbor(default)]
    calls: Vec<u64>,
}

/// Written as what it points to.
#[derive(Debug)]
struct Shared<T>(Arc<T>);

impl<C, T: Encode<C>> Encode<C> for Shared<T> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
        self.0.as_ref().encode(e, ctx)
    }
}

impl<'b, C, T: Decode<'b, C>> Decode<'b, C> for Shared<T> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        T::decode(d, ctx).map(|value| Self(Arc::new(value)))
    }
}

#[derive(Debug, Encode, Decode)]
struct Upsert {
    #[n(0)]
    id: AllocId,
    /// Positions in the tables.
    #[n(1)]
    job: u32,
    #[n(2)]
    resources: u32,
    #[n(3)]
    group: String,
    #[n(4)]
    index: u32,
    #[n(5)]
    node_id: NodeId,
    #[n(6)]
    eval_id: EvalId,
    #[n(7)]
    desired: DesiredStatus,
    #[n(8)]
    transition: DesiredTransition,
    #[n(9)]
    client_status: ClientStatus,
    #[n(10)]
    deployment: Option<DeploymentId>,
    #[n(11)]
    #[cbor(default)]
    canary: bool,
    #[n(12)]
    #[cbor(default)]
    health_wanted: bool,
    #[n(13)]
    previous: Option<AllocId>,
    #[n(14)]
    create_index: Index,
    #[n(15)]
    alloc_modify_index: Index,
    #[n(16)]
    create_time: WallTime,
    #[n(17)]
    #[cbor(default)]
    node_name: String,
}

/// Gives each distinct `Arc` a position.
struct Positions<T> {
    seen: BTreeMap<usize, u32>,
    table: Vec<Shared<T>>,
}

impl<T> Positions<T> {
    fn new() -> Self {
        Self { seen: BTreeMap::new(), table: Vec::new() }
    }

    fn of(&mut self, value: &Arc<T>) -> u32 {
        let next = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        *self.seen.entry(Arc::as_ptr(value).addr()).or_insert_with(|| {
            self.table.push(Shared(Arc::clone(value)));
            next
        })
    }
}

impl From<&Desired> for DesiredMessage {
    fn from(desired: &Desired) -> Self {
        let (mut jobs, mut resources) = (Positions::new(), Positions::new());
        let upserts = desired
            .upserts
            .iter()
            .map(|alloc| {
                let Allocation {
                    id,
                    job,
                    group,
                    index,
                    node_id,
                    eval_id,
                    resources: given,
                    desired,
                    transition,
                    client_status,
                    deployment,
                    canary,
                    health_wanted,
                    previous,
                    create_index,
                    alloc_modify_index,
                    create_time,
                    node_name,
                } = alloc.as_ref();
                Upsert {
                    id: *id,
                    job: jobs.of(job),
                    resources: resources.of(given),
                    group: group.clone(),
                    index: *index,
                    node_id: *node_id,
                    eval_id: *eval_id,
                    desired: *desired,
                    transition: *transition,
                    client_status: *client_status,
                    deployment: *deployment,
                    canary: *canary,
                    health_wanted: *health_wanted,
                    previous: *previous,
                    create_index: *create_index,
                    alloc_modify_index: *alloc_modify_index,
                    create_time: *create_time,
                    node_name: node_name.clone(),
                }
            })
            .collect();
        Self {
            full: desired.full,
            jobs: jobs.table,
            resources: resources.table,
            upserts,
            removals: desired.removals.clone(),
            calls: desired.calls.clone(),
        }
    }
}

impl DesiredMessage {
    /// Puts allocations together again; `None` when one points outside of the tables.
    pub(crate) fn unfold(self) -> Option<Desired> {
        let upserts = self
            .upserts
            .into_iter()
            .map(|upsert| {
                Some(Arc::new(Allocation {
                    job: Arc::clone(&self.jobs.get(upsert.job as usize)?.0),
                    resources: Arc::clone(&self.resources.get(upsert.resources as usize)?.0),
                    id: upsert.id,
                    group: upsert.group,
                    index: upsert.index,
                    node_id: upsert.node_id,
                    eval_id: upsert.eval_id,
                    desired: upsert.desired,
                    transition: upsert.transition,
                    client_status: upsert.client_status,
                    deployment: upsert.deployment,
                    canary: upsert.canary,
                    health_wanted: upsert.health_wanted,
                    previous: upsert.previous,
                    create_index: upsert.create_index,
                    alloc_modify_index: upsert.alloc_modify_index,
                    create_time: upsert.create_time,
                    node_name: upsert.node_name,
                }))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Desired { full: self.full, upserts, removals: self.removals, calls: self.calls })
    }
}
