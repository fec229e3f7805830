//! The types that openraft is instantiated with.

use std::fmt;
use std::sync::Arc;

use openraft_rt::deterministic_rng::DeterministicRng;

/// The bytes of one command.
#[derive(Clone)]
pub(crate) struct Entry(pub(crate) Arc<[u8]>);

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why the state machine refused an entry; the log goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What kind of refusal; the machine's own numbering.
    pub code: u8,
    /// The reason.
    pub text: String,
}

/// What became of an applied entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its position in the log.
    pub index: u64,
    /// Whether it took effect.
    pub result: Result<(), Refusal>,
}

/// Tokio with randomness that a seed decides.
pub(crate) type Runtime = DeterministicRng<openraft::impls::TokioRuntime>;

openraft::declare_raft_types!(
    pub(crate) Types:
        D = Entry,
        R = Reply,
        NodeId = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type LogEntry = openraft::alias::EntryOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, openraft::BasicNode>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
