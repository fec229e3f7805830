//! Who may call a route and which agent answers it. No route exists without both.
//!
//! A route names its rule in the table, and the framework holds callers to it before the handler runs. Where only the handler
//! can know what is asked for (the namespace is in the body, or results are filtered one by one), the rule is checked through the
//! request, and an answer of a handler that did not ask is never sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drover_base::NodeId;
use drover_model::AclToken;
pub use drover_model::acl::{
    Access as Rights, Capability, HostVolumeCapability, NodePoolCapability, OperatorCapability, VariableCapability,
};
use futures::future::BoxFuture;
use http::StatusCode;

use crate::error::ApiError;
use crate::home::no_path;
use crate::relay::Pipe;
use crate::request::Request;

/// What a caller must be allowed to do. While ACLs are off, everything is allowed; the rule is still part of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No token is looked at.
    Public,
    /// Any valid token.
    AnyToken,
    /// A capability in the namespace of the object in the path if that is an allocation, evaluation or deployment, else in the
    /// namespace of the request.
    Namespace(Capability),
    /// A capability in the namespace of the request; of all namespaces, those where the caller has it, by the handler's
    /// [`Request::scope`](crate::Request::scope).
    Listing(Capability),
    /// Reading nodes.
    NodeRead,
    /// Changing nodes.
    NodeWrite,
    /// Reading the node pool in the path.
    NodePoolRead,
    /// Changing the node pool in the path.
    NodePoolWrite,
    /// Deleting the node pool in the path.
    NodePoolDelete,
    /// Reading agents.
    AgentRead,
    /// Changing agents.
    AgentWrite,
    /// Reading operator data.
    OperatorRead,
    /// Changing operator data.
    OperatorWrite,
    /// A capability of operators.
    Operator(OperatorCapability),
    /// A capability on the variable in the path.
    Variable(VariableCapability),
    /// A management token.
    Management,
    /// The endpoint filters its results by what the caller may see.
    Filtered,
}

/// Which agent answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Always this one.
    Local,
    /// A server of the region asked for: its leader, or any when `stale` is asked for.
    Server,
    /// The leader of the region asked for.
    Leader,
    /// The agent that runs the allocation or is the node named in the request.
    Client,
}

/// Where a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By this agent.
    Here,
    /// By a server: this agent is none.
    Servers,
    /// By the agent that is this node.
    Node(NodeId),
    /// By a server of another region.
    Region(String),
}

/// An object whose id in a path decides the namespace of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// `{alloc_id}`
    Allocation,
    /// `{eval_id}`
    Evaluation,
    /// `{deployment_id}`
    Deployment,
}

impl Object {
    pub(crate) const BY_PARAMETER: [(&'static str, Self); 3] =
        [("alloc_id", Self::Allocation), ("eval_id", Self::Evaluation), ("deployment_id", Self::Deployment)];
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What they may do.
    pub rights: Arc<Rights>,
    /// Their token; none for anonymous callers, and while ACLs are off.
    pub token: Option<Arc<AclToken>>,
    /// Whether ACLs are on.
    pub enforced: bool,
}

impl Caller {
    /// Everybody, while ACLs are off.
    pub fn unrestricted() -> Self {
        Self { rights: Arc::new(Rights::management()), token: None, enforced: false }
    }

    /// Somebody who may do nothing.
    pub(crate) fn nobody() -> Self {
        Self { rights: Arc::default(), token: None, enforced: true }
    }
}

/// Knows callers, and where objects are.
pub trait Guard: Send + Sync + 'static {
    /// Who sends a secret; "" is nobody in particular.
    ///
    /// # Errors
    /// 403 when nobody has this secret, or not any more.
    fn identify(&self, secret: &str) -> Result<Caller, ApiError>;

    /// The same on an agent that has to ask the servers; none where [`Self::identify`] knows.
    fn ask_about(&self, _secret: &str) -> Option<BoxFuture<'static, Result<Caller, ApiError>>> {
        None
    }

    /// The namespace of an object; none when there is no such object.
    fn namespace_of(&self, object: Object, id: &str) -> Option<String>;

    /// Where a request to a route of this class is answered.
    fn way(&self, _forward: Forward, _request: &Request) -> Way {
        Way::Here
    }

    /// The way to another region.
    fn way_to_region(&self, region: String) -> Way {
        Way::Region(region)
    }

    /// The region that writes policies, roles, global tokens and the like for all regions; none where each writes for itself.
    fn shared_region(&self) -> Option<&str> {
        None
    }

    /// Whether requests may be for other regions without their query saying so.
    fn knows_regions(&self) -> bool {
        false
    }

    /// Whether the token with this accessor is good in every region.
    fn token_is_global(&self, _accessor: &str) -> bool {
        false
    }

    /// A connection to another agent's API.
    fn open(&self, way: &Way) -> BoxFuture<'static, Result<Pipe, ApiError>> {
        let missing = if matches!(way, Way::Region(_)) { no_path() } else { ApiError::not_found("No path to node") };
        Box::pin(std::future::ready(Err(missing)))
    }
}

/// Nothing to guard: for tests of the framework.
impl Guard for () {
    fn identify(&self, _: &str) -> Result<Caller, ApiError> {
        Ok(Caller::unrestricted())
    }

    fn namespace_of(&self, _: Object, _: &str) -> Option<String> {
        None
    }
}

/// The refusal of what is not allowed.
pub(crate) fn denied() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "Permission denied")
}

/// Yes, or the refusal.
///
/// # Errors
/// 403.
pub fn require(allowed: bool) -> Result<(), ApiError> {
    if allowed { Ok(()) } else { Err(denied()) }
}

/// The rule of a request, its caller, and whether the handler has asked.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) rule: Access,
    pub(crate) caller: Caller,
    pub(crate) asked: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn new(rule: Access, caller: Caller) -> Self {
        Self { rule, caller, asked: Arc::default() }
    }

    /// The caller, for a handler that decides itself.
    pub(crate) fn ask(&self) -> &Caller {
        self.asked.store(true, Ordering::Relaxed);
        &self.caller
    }

    /// Whether the rule lets the caller do it to this: a namespace, or a node pool or variable by its namespace and name.
    pub(crate) fn allows(&self, namespace: &str, name: &str) -> bool {
        match self.rule {
            Access::AnyToken => self.caller.token.is_some() || !self.caller.enforced,
            rule => rule.allows(&self.caller.rights, namespace, name),
        }
    }
}

impl Access {
    /// Whether somebody with these rights passes: in a namespace, or to a node pool or variable by its namespace and name. Rules
    /// that only the handler can check let everybody pass here.
    pub fn allows(self, rights: &Rights, namespace: &str, name: &str) -> bool {
        match self {
            Self::Public | Self::Filtered | Self::AnyToken => true,
            Self::Namespace(capability) | Self::Listing(capability) => rights.namespace(namespace, capability),
            Self::NodeRead => rights.node_read(),
            Self::NodeWrite => rights.node_write(),
            Self::NodePoolRead => rights.node_pool(name, NodePoolCapability::Read),
            Self::NodePoolWrite => rights.node_pool(name, NodePoolCapability::Write),
            Self::NodePoolDelete => rights.node_pool(name, NodePoolCapability::Delete),
            Self::AgentRead => rights.agent_read(),
            Self::AgentWrite => rights.agent_write(),
            Self::OperatorRead => rights.operator_read(),
            Self::OperatorWrite => rights.operator_write(),
            Self::Operator(capability) => rights.operator(capability) || rights.operator_write(),
            Self::Variable(capability) => rights.variable(namespace, name, capability),
            Self::Management => rights.is_management(),
        }
    }
}

/// The namespaces that a list is about, of those that the caller may see.
#[derive(Clone, Debug)]
pub struct Scope {
    pub(crate) asked: String,
    pub(crate) rights: Arc<Rights>,
    pub(crate) capability: Option<Capability>,
}

impl Scope {
    /// The only namespace that is asked for, if it is one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        Some(self.asked.as_str()).filter(|asked| *asked != "*")
    }

    /// Whether objects of a namespace are on the list.
    pub fn includes(&self, namespace: &str) -> bool {
        match self.asked.as_str() {
            "*" => self.capability.is_none_or(|capability| self.rights.namespace(namespace, capability)),
            asked => asked == namespace,
        }
    }
}
