//! The replicated state: immutable snapshots over persistent maps, changed only by [`Store::apply`].
//!
//! `apply` is total: it cannot fail half-way, reads no clock and iterates no hash map, so replicas that applied the same
//! entries hold the same state. A snapshot is a pointer copy; nobody can change what another holds.

mod acl;
mod ahead;
mod apply;
mod archive;
mod capacity;
mod event;
mod fixture;
mod persist;
mod rows;
mod store;
mod summary;
mod tables;
mod usage;
mod variable;

pub use apply::namespace::NamespaceUse;
pub use archive::{Archive, ArchiveError, ArchiveMeta, read_archive, write_archive};
pub use capacity::{Asked, Capacity, Found, Position, Room, Shape, packing, packing_over};
pub use event::{Event, EventKind, Payload, Topic};
pub use fixture::Fixture;
pub use persist::{RestoreError, SnapshotReader, write_snapshot};
pub use rows::{
    Alloc, AllocSlot, DeploymentSlot, EvalSlot, JobRow, JobSlot, JobStatus, JobVersion, NodeRow, NodeSlot, Rare, RareFields, Slot,
};
pub use store::{Applied, ApplyError, Store, Touched};
pub use summary::{ChildCounts, GroupSummary, JobSummary};
pub use tables::{Snapshot, Table};
pub use usage::{Ask, Fit, HostAddress, HostPort, Misfit, Usage, fit};
pub use variable::VARIABLE_CONFLICT;
