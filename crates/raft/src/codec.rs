//! The stored forms of openraft's types: votes, memberships, log ids. Numbered, so that they can grow.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use openraft::vote::leader_id_std::{CommittedLeaderId, LeaderId};

use crate::types::{LogId, Membership, StoredMembership, Vote};

/// A log id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredLogId {
    #[n(0)]
    pub(crate) term: u64,
    #[n(1)]
    pub(crate) index: u64,
}

impl StoredLogId {
    pub(crate) fn of(id: LogId) -> Self {
        Self { term: id.leader_id.term, index: id.index }
    }

    pub(crate) fn log_id(self) -> LogId {
        log_id(self.term, self.index)
    }
}

/// The log id of an entry.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId { leader_id: CommittedLeaderId::new(term), index }
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredVote {
    #[n(0)]
    term: u64,
    #[n(1)]
    node: u64,
    #[n(2)]
    committed: bool,
}

impl StoredVote {
    pub(crate) fn of(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.voted_for, committed: vote.committed }
    }

    pub(crate) fn vote(self) -> Vote {
        Vote { leader_id: LeaderId { term: self.term, voted_for: self.node }, committed: self.committed }
    }
}

/// A membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredMembers {
    #[n(0)]
    log_id: Option<StoredLogId>,
    #[n(1)]
    configs: Vec<Vec<u64>>,
    #[n(2)]
    addresses: BTreeMap<u64, String>,
}

impl StoredMembers {
    pub(crate) fn of(log_id: Option<LogId>, membership: &Membership) -> Self {
        Self {
            log_id: log_id.map(StoredLogId::of),
            configs: membership.get_joint_config().iter().map(|config| config.iter().copied().collect()).collect(),
            addresses: membership.nodes().map(|(id, node)| (*id, node.addr.clone())).collect(),
        }
    }

    /// The membership, or an empty one if the stored one is not valid.
    pub(crate) fn membership(&self) -> Membership {
        let configs: Vec<BTreeSet<u64>> = self.configs.iter().map(|config| config.iter().copied().collect()).collect();
        let nodes: BTreeMap<u64, openraft::BasicNode> =
            self.addresses.iter().map(|(id, address)| (*id, openraft::BasicNode::new(address.clone()))).collect();
        Membership::new(configs, nodes).unwrap_or_default()
    }

    pub(crate) fn stored(&self) -> StoredMembership {
        StoredMembership::new(self.log_id.map(StoredLogId::log_id), self.membership())
    }
}
