//! Who may call a route and which agent answers it. No route exists without both.

/// What a caller must be allowed to do. While ACLs are off, everything is allowed; the class is still part of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No token is looked at.
    Public,
    /// Any valid token.
    AnyToken,
    /// A capability in the namespace of the request.
    Namespace(Capability),
    /// Reading nodes.
    NodeRead,
    /// Changing nodes.
    NodeWrite,
    /// Reading node pools.
    NodePoolRead,
    /// Changing node pools.
    NodePoolWrite,
    /// Reading agents.
    AgentRead,
    /// Changing agents.
    AgentWrite,
    /// Reading operator data.
    OperatorRead,
    /// Changing operator data.
    OperatorWrite,
    /// A management token.
    Management,
    /// The endpoint filters its results by what the token may see.
    Filtered,
}

/// A capability in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Listing jobs and what belongs to them.
    ListJobs,
    /// Reading jobs and what belongs to them.
    ReadJob,
    /// Registering and stopping jobs.
    SubmitJob,
    /// Dispatching and launching jobs.
    DispatchJob,
    /// Scaling.
    ScaleJob,
    /// Parsing job files.
    ParseJob,
    /// Reading task output.
    ReadLogs,
    /// Reading files of allocations.
    ReadFs,
    /// Restarting and signalling tasks.
    AllocLifecycle,
    /// Running commands inside tasks.
    AllocExec,
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
