//! The calls' messages.

use std::time::Duration;

use drover_base::{AllocId, NodeId};
use drover_model::acl::Workload;
use drover_model::acl::{AclRole, AuthMethod, BindingRule};
use drover_model::{AclPolicy, AclToken, AllocUpdate, Namespace, Node, NodePool, ServiceRegistration};
use minicbor::{Decode, Encode};
use tonic::{Code, Status};

/// Where the calls live.
pub(crate) mod path {
    pub(crate) const REGISTER: &str = "/drover.agent.v1.Servers/Register";
    pub(crate) const HEARTBEAT: &str = "/drover.agent.v1.Servers/Heartbeat";
    pub(crate) const FOLLOW: &str = "/drover.agent.v1.Servers/Follow";
    pub(crate) const UPDATE_ALLOCS: &str = "/drover.agent.v1.Servers/UpdateAllocs";
    pub(crate) const UPSERT_SERVICES: &str = "/drover.agent.v1.Servers/UpsertServices";
    pub(crate) const DELETE_SERVICE: &str = "/drover.agent.v1.Servers/DeleteService";
    pub(crate) const IDENTIFY: &str = "/drover.agent.v1.Servers/Identify";
    pub(crate) const TASK_IDENTITY: &str = "/drover.agent.v1.Servers/TaskIdentity";
    pub(crate) const PIPE: &str = "/drover.agent.v1.Servers/Pipe";
    pub(crate) const GREET: &str = "/drover.agent.v1.Servers/Greet";
    pub(crate) const VISIT: &str = "/drover.agent.v1.Servers/Visit";
    pub(crate) const SHARED: &str = "/drover.agent.v1.Servers/Shared";
}

/// Who calls, with the proof.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Caller {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Its secret, which only it and the servers know.
    #[n(1)]
    pub secret: String,
}

/// The answer to a registration or heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Registered {
    /// The next heartbeat is due within so many nanoseconds.
    #[n(0)]
    ttl_ns: u64,
    /// Whether the servers wait for the state of every allocation.
    #[n(1)]
    #[cbor(default)]
    sync: bool,
    /// Whether the node takes no placements.
    #[n(2)]
    #[cbor(default)]
    ineligible: bool,
    /// Where the servers of the region are reached.
    #[n(3)]
    #[cbor(default)]
    servers: Vec<String>,
    /// What all servers can do.
    #[n(4)]
    #[cbor(default)]
    feature_level: u32,
}

impl Registered {
    /// The next heartbeat is due within `ttl`.
    pub fn within(ttl: Duration) -> Self {
        Self {
            ttl_ns: u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX),
            sync: false,
            ineligible: false,
            servers: Vec::new(),
            feature_level: 0,
        }
    }

    /// The same, and whether the servers wait for the state of every allocation before the node is ready (NOD-005).
    #[must_use]
    pub fn asking(self, sync: bool) -> Self {
        Self { sync, ..self }
    }

    /// The same, and whether the node takes placements, where the servers are, and what all of them can do (NOD-023).
    #[must_use]
    pub fn telling(self, eligible: bool, servers: Vec<String>, feature_level: u32) -> Self {
        Self { ineligible: !eligible, servers, feature_level, ..self }
    }

    /// Whether the servers wait for the state of every allocation.
    pub fn sync(&self) -> bool {
        self.sync
    }

    /// Whether the node takes placements.
    pub fn eligible(&self) -> bool {
        !self.ineligible
    }

    /// Where the servers of the region are reached, as `host:port`; none if the server that answered does not tell.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// What all servers of the region can do; 0 if the server that answered does not tell.
    pub fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// The next heartbeat is due within this time.
    pub fn ttl(&self) -> Duration {
        Duration::from_nanos(self.ttl_ns)
    }
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct RegisterCall {
    #[n(0)]
    pub(crate) node: Box<Node>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct CallerCall {
    #[n(0)]
    pub(crate) caller: Caller,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct UpdateAllocsCall {
    #[n(0)]
    pub(crate) caller: Caller,
    #[n(1)]
    pub(crate) updates: Vec<AllocUpdate>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct UpsertServicesCall {
    #[n(0)]
    pub(crate) caller: Caller,
    #[n(1)]
    pub(crate) services: Vec<ServiceRegistration>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct DeleteServiceCall {
    #[n(0)]
    pub(crate) caller: Caller,
    #[n(1)]
    pub(crate) namespace: String,
    #[n(2)]
    pub(crate) id: String,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct TaskIdentityCall {
    #[n(0)]
    pub(crate) caller: Caller,
    #[n(1)]
    pub(crate) alloc: AllocId,
    #[n(2)]
    pub(crate) task: String,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct TaskIdentityReply {
    #[n(0)]
    pub(crate) token: String,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct IdentifyCall {
    #[n(0)]
    pub(crate) caller: Caller,
    #[n(1)]
    pub(crate) secret: String,
}

/// Who sends a secret, as the servers know them.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Identified {
    /// Whether the region holds callers to policies at all.
    #[n(0)]
    #[cbor(default)]
    pub enforced: bool,
    /// Why the secret is good for nothing; none if it is good.
    #[n(1)]
    pub refused: Option<String>,
    /// The token; none for callers who sent no secret.
    #[n(2)]
    pub token: Option<AclToken>,
    /// The policies that apply, of the token and of its roles, or those of callers without one.
    #[n(3)]
    #[cbor(default)]
    pub policies: Vec<AclPolicy>,
    /// The task whose identity this is.
    #[n(4)]
    pub workload: Option<Workload>,
}

/// A server, as servers of different regions tell each other of themselves and of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Peer {
    /// Its region.
    #[n(0)]
    pub region: String,
    /// Its name, without the region.
    #[n(1)]
    pub name: String,
    /// What tells it from a server that has its name and address later.
    #[n(2)]
    #[cbor(default)]
    pub id: String,
    /// Where its agent channel is reached, as `host:port`.
    #[n(3)]
    #[cbor(default)]
    pub address: String,
    /// Its datacenter.
    #[n(4)]
    #[cbor(default)]
    pub datacenter: String,
    /// The version that it is compatible with.
    #[n(5)]
    #[cbor(default)]
    pub build: String,
    /// The port that members are listed with.
    #[n(6)]
    #[cbor(default)]
    pub serf_port: u16,
}

/// What servers of different regions say to each other when they meet, and every few seconds from then on; the answer is of the same
/// kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Greeting {
    /// The server that says it.
    #[n(0)]
    pub from: Peer,
    /// Servers of other regions that it reaches.
    #[n(1)]
    #[cbor(default)]
    pub others: Vec<Peer>,
}

#[derive(Debug, Encode, Decode)]
pub(crate) struct SharedCall {
    #[n(0)]
    pub(crate) secret: String,
    #[n(1)]
    pub(crate) since: u64,
    #[n(2)]
    #[cbor(default)]
    pub(crate) wait_ns: u64,
}

/// What all regions share, as the one has it in which it is written: secrets and times as they are, indexes those of that region. It
/// comes in parts, and none of a kind is told when nothing of it has changed.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Shared {
    /// The state that it is of.
    #[n(0)]
    #[cbor(default)]
    pub index: u64,
    /// Every policy.
    #[n(1)]
    pub policies: Option<Vec<AclPolicy>>,
    /// Every role.
    #[n(2)]
    pub roles: Option<Vec<AclRole>>,
    /// Every token that is good in all regions.
    #[n(3)]
    pub tokens: Option<Vec<AclToken>>,
    /// Every auth method.
    #[n(4)]
    pub auth_methods: Option<Vec<AuthMethod>>,
    /// Every binding rule.
    #[n(5)]
    pub binding_rules: Option<Vec<BindingRule>>,
    /// Every namespace.
    #[n(6)]
    pub namespaces: Option<Vec<Namespace>>,
    /// Every node pool.
    #[n(7)]
    pub node_pools: Option<Vec<NodePool>>,
}

impl Shared {
    /// Puts a part to those before it.
    pub fn absorb(&mut self, part: Self) {
        fn join<T>(own: &mut Option<Vec<T>>, part: Option<Vec<T>>) {
            if let Some(part) = part {
                own.get_or_insert_default().extend(part);
            }
        }
        let Self { index, policies, roles, tokens, auth_methods, binding_rules, namespaces, node_pools } = part;
        self.index = self.index.max(index);
        join(&mut self.policies, policies);
        join(&mut self.roles, roles);
        join(&mut self.tokens, tokens);
        join(&mut self.auth_methods, auth_methods);
        join(&mut self.binding_rules, binding_rules);
        join(&mut self.namespaces, namespaces);
        join(&mut self.node_pools, node_pools);
    }
}

/// An answer that says nothing but that it is done.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Done {}

/// Why a call was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Worth another try, perhaps with another server.
    Unreachable,
    /// The servers do not know the node; it must register again.
    UnknownNode,
    /// What was named does not exist.
    NotFound,
    /// Not worth another try.
    Refused,
}

/// A call that was not answered, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What the caller can make of it.
    pub reason: Reason,
    /// For people.
    pub text: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.reason {
            Reason::Unreachable => Code::Unavailable,
            Reason::UnknownNode => Code::FailedPrecondition,
            Reason::NotFound => Code::NotFound,
            Reason::Refused => Code::InvalidArgument,
        };
        Self::new(code, refusal.text)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let reason = match status.code() {
            Code::FailedPrecondition => Reason::UnknownNode,
            Code::NotFound => Reason::NotFound,
            Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented | Code::OutOfRange => {
                Reason::Refused
            }
            _ => Reason::Unreachable,
        };
        Self::new(reason, status.message())
    }
}
