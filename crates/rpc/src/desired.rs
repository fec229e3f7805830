//! What a node shall run, as it travels: jobs and resources that several allocations share are written once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use drover_model::{AllocatedResources, Allocation, ClientStatus, DesiredStatus, DesiredTransition, Index, Job};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Bytes of jobs that are kept to be sent again.
const WRITTEN_BYTES_MAX: usize = 1 << 20;

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
    jobs: Vec<OneJob>,
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

/// A job on its way: written already, or just read.
#[derive(Debug)]
enum OneJob {
    Written(Arc<[u8]>),
    Read(Arc<Job>),
}

impl<C> Encode<C> for OneJob {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Written(bytes) => e.writer_mut().write_all(bytes).map_err(EncodeError::write),
            Self::Read(job) => job.as_ref().encode(e, ctx),
        }
    }
}

impl<'b, C> Decode<'b, C> for OneJob {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        Job::decode(d, ctx).map(|job| Self::Read(Arc::new(job)))
    }
}

/// Jobs as they were written: when a job is placed, many nodes are told of it. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct WrittenJobs(Arc<Mutex<Written>>);

/// Jobs by where they lie. As long as there is a weak pointer, nothing else lies there, and what is shared does not change.
#[derive(Default)]
struct Written {
    jobs: BTreeMap<usize, (Weak<Job>, Arc<[u8]>)>,
    bytes: usize,
}

impl WrittenJobs {
    fn of(&self, job: &Arc<Job>) -> Arc<[u8]> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Arc::as_ptr(job).addr();
        if let Some((_, bytes)) = written.jobs.get(&at) {
            return Arc::clone(bytes);
        }
        let bytes: Arc<[u8]> = minicbor::to_vec(job.as_ref()).expect("writing to memory cannot fail").into();
        if written.bytes + bytes.len() > WRITTEN_BYTES_MAX {
            *written = Written::default();
        }
        if bytes.len() <= WRITTEN_BYTES_MAX {
            written.bytes += bytes.len();
            written.jobs.insert(at, (Arc::downgrade(job), Arc::clone(&bytes)));
        }
        bytes
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
struct Positions<T, Written> {
    seen: BTreeMap<usize, u32>,
    table: Vec<Written>,
    write: fn(&WrittenJobs, &Arc<T>) -> Written,
}

impl<T, Written> Positions<T, Written> {
    fn new(write: fn(&WrittenJobs, &Arc<T>) -> Written) -> Self {
        Self { seen: BTreeMap::new(), table: Vec::new(), write }
    }

    fn of(&mut self, jobs: &WrittenJobs, value: &Arc<T>) -> u32 {
        let next = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        *self.seen.entry(Arc::as_ptr(value).addr()).or_insert_with(|| {
            self.table.push((self.write)(jobs, value));
            next
        })
    }
}

impl DesiredMessage {
    /// Folds a change; jobs that were written before are not written again.
    pub(crate) fn fold(desired: &Desired, written: &WrittenJobs) -> Self {
        let mut jobs = Positions::new(|written, job| OneJob::Written(written.of(job)));
        let mut resources = Positions::new(|_, resources| Shared(Arc::clone(resources)));
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
                    job: jobs.of(written, job),
                    resources: resources.of(written, given),
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

    /// Puts allocations together again; `None` when one points outside of the tables.
    pub(crate) fn unfold(self) -> Option<Desired> {
        let jobs: Option<Vec<Arc<Job>>> = self
            .jobs
            .into_iter()
            .map(|job| match job {
                OneJob::Read(job) => Some(job),
                OneJob::Written(_) => None,
            })
            .collect();
        let jobs = jobs?;
        let upserts = self
            .upserts
            .into_iter()
            .map(|upsert| {
                Some(Arc::new(Allocation {
                    job: Arc::clone(jobs.get(upsert.job as usize)?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_written_once_as_long_as_it_is_the_same() {
        let written = WrittenJobs::default();
        let mut job = Arc::new(Job { name: "one".to_owned(), ..Job::default() });
        let first = written.of(&job);
        assert!(Arc::ptr_eq(&first, &written.of(&job)));
        assert_eq!(minicbor::decode::<Job>(&first).unwrap(), *job);
        // The only owner changes it: that makes another job of it.
        Arc::make_mut(&mut job).name = "two".to_owned();
        assert_eq!(minicbor::decode::<Job>(&written.of(&job)).unwrap().name, "two");
        for number in 0..10_000 {
            let job = Arc::new(Job { name: format!("{number:0>1000}"), ..Job::default() });
            assert_eq!(minicbor::decode::<Job>(&written.of(&job)).unwrap(), *job);
        }
        let kept = written.0.lock().unwrap();
        let bytes: usize = kept.jobs.values().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes == kept.bytes && bytes <= WRITTEN_BYTES_MAX && !kept.jobs.is_empty(), "{bytes}");
    }
}
