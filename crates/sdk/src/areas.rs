//! The routes of the API by area, with the types that they take and give. What a query can say is in the API's reference;
//! everything here is one request of [`Client`].

use drover_api as api;
use serde_json::Value;

use crate::client::Client;
use crate::error::SdkError;
use crate::query::{Answer, Query, segment};

macro_rules! call {
    ($(#[$doc:meta])* get $name:ident($($arg:ident),*) -> $answer:ty = $path:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`SdkError`].
        pub async fn $name(&self $(, $arg: &str)*, query: &Query) -> Result<Answer<$answer>, SdkError> {
            self.0.get(&format!($path $(, $arg = segment($arg))*), query).await
        }
    };
    ($(#[$doc:meta])* delete $name:ident($($arg:ident),*) -> $answer:ty = $path:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`SdkError`].
        pub async fn $name(&self $(, $arg: &str)*, query: &Query) -> Result<Answer<$answer>, SdkError> {
            self.0.delete(&format!($path $(, $arg = segment($arg))*), query).await
        }
    };
    ($(#[$doc:meta])* put $name:ident($($arg:ident),*) -> $answer:ty = $path:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`SdkError`].
        pub async fn $name(&self $(, $arg: &str)*, query: &Query) -> Result<Answer<$answer>, SdkError> {
            self.0.put(&format!($path $(, $arg = segment($arg))*), query, &serde_json::json!({})).await
        }
    };
    ($(#[$doc:meta])* post $name:ident($($arg:ident),*; $body:ty) -> $answer:ty = $path:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`SdkError`].
        pub async fn $name(&self $(, $arg: &str)*, body: &$body, query: &Query) -> Result<Answer<$answer>, SdkError> {
            self.0.post(&format!($path $(, $arg = segment($arg))*), query, body).await
        }
    };
    ($(#[$doc:meta])* put $name:ident($($arg:ident),*; $body:ty) -> $answer:ty = $path:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`SdkError`].
        pub async fn $name(&self $(, $arg: &str)*, body: &$body, query: &Query) -> Result<Answer<$answer>, SdkError> {
            self.0.put(&format!($path $(, $arg = segment($arg))*), query, body).await
        }
    };
}

macro_rules! areas {
    ($(
        $(#[$about:meta])*
        $area:ident $function:ident {
            $( $(#[$doc:meta])* $verb:ident $name:ident($($args:tt)*) -> $answer:ty = $path:literal; )*
        }
    )*) => {
        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug)]
            pub struct $area<'a>(&'a Client);

            impl $area<'_> {
                /// The client that asks.
                pub fn client(&self) -> &Client {
                    self.0
                }

                $( call! { $(#[$doc])* $verb $name($($args)*) -> $answer = $path } )*
            }
        )*

        impl Client {
            $(
                $(#[$about])*
                pub fn $function(&self) -> $area<'_> {
                    $area(self)
                }
            )*
        }

        /// Every typed call: its area, its name, its method and the pattern of its path.
        pub const CALLS: &[(&str, &str, &str, &str)] =
            &[$( $( (stringify!($function), stringify!($name), stringify!($verb), $path), )* )*];
    };
}

areas! {
    /// Jobs, their versions, and what became of them.
    Jobs jobs {
        /// The jobs, shortened.
        get list() -> Vec<api::JobListStub> = "/v1/jobs";
        /// A job.
        get read(id) -> api::Job = "/v1/job/{id}";
        /// Registers a job, or a new version of it.
        put register(; api::JobRegisterRequest) -> api::JobRegisterResponse = "/v1/jobs";
        /// Stops a job; with the parameter `purge` it is forgotten too.
        delete deregister(id) -> api::JobDeregisterResponse = "/v1/job/{id}";
        /// What registering a job would do.
        put plan(id; api::JobPlanRequest) -> api::JobPlanResponse = "/v1/job/{id}/plan";
        /// A job out of the text of a job file.
        put parse(; api::JobsParseRequest) -> api::Job = "/v1/jobs/parse";
        /// What is wrong with a job.
        put validate(; api::JobValidateRequest) -> api::JobValidateResponse = "/v1/validate/job";
        /// The allocations of a job.
        get allocations(id) -> Vec<api::AllocationListStub> = "/v1/job/{id}/allocations";
        /// The evaluations of a job.
        get evaluations(id) -> Vec<api::Evaluation> = "/v1/job/{id}/evaluations";
        /// The deployments of a job.
        get deployments(id) -> Vec<api::Deployment> = "/v1/job/{id}/deployments";
        /// The newest deployment of a job.
        get deployment(id) -> Option<api::Deployment> = "/v1/job/{id}/deployment";
        /// How many allocations of each group are in which state.
        get summary(id) -> api::JobSummary = "/v1/job/{id}/summary";
        /// The versions of a job.
        get versions(id) -> api::JobVersionsResponse = "/v1/job/{id}/versions";
        /// The text that a version was submitted as; the parameter `version` says which.
        get submission(id) -> api::JobSubmission = "/v1/job/{id}/submission";
        /// Counts and limits of the groups.
        get scale_status(id) -> api::JobScaleStatusResponse = "/v1/job/{id}/scale";
        /// Sets the count of a group, or records an event about it.
        put scale(id; api::ScalingRequest) -> api::JobRegisterResponse = "/v1/job/{id}/scale";
        /// Starts a parameterized job.
        put dispatch(id; api::JobDispatchRequest) -> api::JobDispatchResponse = "/v1/job/{id}/dispatch";
        /// Launches a periodic job now.
        put force_periodic(id) -> api::PeriodicForceResponse = "/v1/job/{id}/periodic/force";
        /// Evaluates a job anew.
        put evaluate(id; api::JobEvaluateRequest) -> api::JobRegisterResponse = "/v1/job/{id}/evaluate";
        /// Goes back to an older version.
        put revert(id; api::JobRevertRequest) -> api::JobRegisterResponse = "/v1/job/{id}/revert";
        /// Marks a version as stable, or not.
        put stable(id; api::JobStabilityRequest) -> api::JobStabilityResponse = "/v1/job/{id}/stable";
        /// Gives a version a name.
        put tag(id, name; api::TagVersionRequest) -> api::JobTagResponse = "/v1/job/{id}/versions/{name}/tag";
        /// Takes the name away.
        delete untag(id, name) -> api::JobTagResponse = "/v1/job/{id}/versions/{name}/tag";
        /// The actions of a job.
        get actions(id) -> Vec<api::JobAction> = "/v1/job/{id}/actions";
        /// The services of a job.
        get services(id) -> Vec<api::ServiceRegistration> = "/v1/job/{id}/services";
    }
    /// Allocations: where they are, what they do, their files.
    Allocations allocations {
        /// The allocations, shortened.
        get list() -> Vec<api::AllocationListStub> = "/v1/allocations";
        /// An allocation.
        get read(id) -> api::Allocation = "/v1/allocation/{id}";
        /// Stops an allocation; the scheduler makes another if one is missing.
        put stop(id) -> api::AllocStopResponse = "/v1/allocation/{id}/stop";
        /// The services of an allocation.
        get services(id) -> Vec<api::ServiceRegistration> = "/v1/allocation/{id}/services";
        /// Starts the tasks of an allocation again where they are.
        put restart(id; api::AllocationRestartRequest) -> Value = "/v1/client/allocation/{id}/restart";
        /// Sends a signal to tasks.
        put signal(id; api::AllocSignalRequest) -> Value = "/v1/client/allocation/{id}/signal";
        /// What an allocation uses.
        get stats(id) -> api::AllocResourceUsage = "/v1/client/allocation/{id}/stats";
        /// How its checks go.
        get checks(id) -> api::AllocCheckStatuses = "/v1/client/allocation/{id}/checks";
        /// The files in a directory; the parameter `path` says which.
        get files(id) -> Vec<api::AllocFileInfo> = "/v1/client/fs/ls/{id}";
        /// Facts about a file; the parameter `path` says which.
        get file(id) -> api::AllocFileInfo = "/v1/client/fs/stat/{id}";
    }
    /// Evaluations: what the scheduler was asked to look at.
    Evaluations evaluations {
        /// The evaluations.
        get list() -> Vec<api::Evaluation> = "/v1/evaluations";
        /// How many there are.
        get count() -> api::EvalCountResponse = "/v1/evaluations/count";
        /// An evaluation.
        get read(id) -> api::Evaluation = "/v1/evaluation/{id}";
        /// What it made of allocations.
        get allocations(id) -> Vec<api::AllocationListStub> = "/v1/evaluation/{id}/allocations";
    }
    /// Deployments: one version taking the place of another.
    Deployments deployments {
        /// The deployments.
        get list() -> Vec<api::Deployment> = "/v1/deployments";
        /// A deployment.
        get read(id) -> api::Deployment = "/v1/deployment/{id}";
        /// Its allocations.
        get allocations(id) -> Vec<api::AllocationListStub> = "/v1/deployment/allocations/{id}";
        /// Gives it up.
        put fail(id) -> api::DeploymentUpdateResponse = "/v1/deployment/fail/{id}";
        /// Halts it, or lets it go on.
        put pause(id; api::DeploymentPauseRequest) -> api::DeploymentUpdateResponse = "/v1/deployment/pause/{id}";
        /// Lets its canaries take over.
        put promote(id; api::DeploymentPromoteRequest) -> api::DeploymentUpdateResponse = "/v1/deployment/promote/{id}";
        /// Says how allocations are.
        put set_health(id; api::DeploymentAllocHealthRequest) -> api::DeploymentUpdateResponse = "/v1/deployment/allocation-health/{id}";
    }
    /// Nodes: the machines that run tasks.
    Nodes nodes {
        /// The nodes, shortened.
        get list() -> Vec<api::NodeListStub> = "/v1/nodes";
        /// A node.
        get read(id) -> api::Node = "/v1/node/{id}";
        /// What runs on it.
        get allocations(id) -> Vec<api::Allocation> = "/v1/node/{id}/allocations";
        /// Drains it, or ends that.
        put drain(id; api::NodeUpdateDrainRequest) -> api::NodeDrainUpdateResponse = "/v1/node/{id}/drain";
        /// Opens or closes it for new allocations.
        put set_eligibility(id; api::NodeUpdateEligibilityRequest) -> api::NodeEligibilityUpdateResponse = "/v1/node/{id}/eligibility";
        /// Evaluates what is on it anew.
        put evaluate(id) -> api::NodeEvalResponse = "/v1/node/{id}/evaluate";
        /// Forgets it.
        put purge(id) -> api::NodePurgeResponse = "/v1/node/{id}/purge";
        /// What a machine uses; the parameter `node_id` says which.
        get stats() -> api::HostStats = "/v1/client/stats";
        /// What was noted about a node; the parameter `node_id` says which.
        get metadata() -> api::NodeMetaResponse = "/v1/client/metadata";
        /// Notes something about a node.
        post set_metadata(; api::NodeMetaApplyRequest) -> api::NodeMetaResponse = "/v1/client/metadata";
    }
    /// Groups of nodes.
    NodePools node_pools {
        /// The pools.
        get list() -> Vec<api::NodePool> = "/v1/node/pools";
        /// A pool.
        get read(name) -> api::NodePool = "/v1/node/pool/{name}";
        /// Makes or changes a pool.
        put upsert(; api::NodePool) -> Value = "/v1/node/pools";
        /// Removes a pool.
        delete delete(name) -> Value = "/v1/node/pool/{name}";
        /// The jobs of a pool.
        get jobs(name) -> Vec<api::JobListStub> = "/v1/node/pool/{name}/jobs";
        /// The nodes of a pool.
        get nodes(name) -> Vec<api::NodeListStub> = "/v1/node/pool/{name}/nodes";
    }
    /// Namespaces: what belongs together under one set of rules.
    Namespaces namespaces {
        /// The namespaces.
        get list() -> Vec<api::Namespace> = "/v1/namespaces";
        /// A namespace.
        get read(name) -> api::Namespace = "/v1/namespace/{name}";
        /// Makes or changes a namespace.
        put upsert(; api::Namespace) -> Value = "/v1/namespace";
        /// Removes a namespace.
        delete delete(name) -> Value = "/v1/namespace/{name}";
    }
    /// Services that tasks offer.
    Services services {
        /// The services by namespace.
        get list() -> Vec<api::ServiceRegistrationListStub> = "/v1/services";
        /// Who offers a service.
        get read(name) -> Vec<api::ServiceRegistration> = "/v1/service/{name}";
        /// Removes one offer.
        delete delete(name, id) -> Value = "/v1/service/{name}/{id}";
    }
    /// Rules by which counts are scaled.
    Scaling scaling {
        /// The policies.
        get policies() -> Vec<api::ScalingPolicyListStub> = "/v1/scaling/policies";
        /// A policy.
        get policy(id) -> api::ScalingPolicy = "/v1/scaling/policy/{id}";
    }
    /// Finding objects by the beginning of an id, or by a part of a name.
    Search search {
        /// By the beginning of an id.
        put prefix(; api::SearchRequest) -> api::SearchResponse = "/v1/search";
        /// By a part of a name.
        put fuzzy(; api::FuzzySearchRequest) -> api::FuzzySearchResponse = "/v1/search/fuzzy";
    }
    /// Variables: secrets and settings, encrypted.
    Variables variables {
        /// The paths.
        get list() -> Vec<api::VariableMetadata> = "/v1/vars";
    }
    /// Policies, roles and tokens.
    Acl acl {
        /// Makes the first management token.
        put bootstrap() -> api::ACLToken = "/v1/acl/bootstrap";
        /// The policies.
        get policies() -> Vec<api::ACLPolicyListStub> = "/v1/acl/policies";
        /// A policy.
        get policy(name) -> api::ACLPolicy = "/v1/acl/policy/{name}";
        /// Makes or changes a policy.
        put upsert_policy(name; api::ACLPolicy) -> Value = "/v1/acl/policy/{name}";
        /// Removes a policy.
        delete delete_policy(name) -> Value = "/v1/acl/policy/{name}";
        /// The tokens, without their secrets.
        get tokens() -> Vec<api::ACLTokenListStub> = "/v1/acl/tokens";
        /// A token.
        get token(id) -> api::ACLToken = "/v1/acl/token/{id}";
        /// The token of this client.
        get own_token() -> api::ACLToken = "/v1/acl/token/self";
        /// Makes a token.
        put create_token(; api::ACLToken) -> api::ACLToken = "/v1/acl/token";
        /// Changes a token.
        put update_token(id; api::ACLToken) -> api::ACLToken = "/v1/acl/token/{id}";
        /// Removes a token.
        delete delete_token(id) -> Value = "/v1/acl/token/{id}";
        /// The roles.
        get roles() -> Vec<api::ACLRoleListStub> = "/v1/acl/roles";
        /// A role.
        get role(id) -> api::ACLRole = "/v1/acl/role/{id}";
        /// A role by its name.
        get role_by_name(name) -> api::ACLRole = "/v1/acl/role/name/{name}";
        /// Makes a role.
        put create_role(; api::ACLRole) -> api::ACLRole = "/v1/acl/role";
        /// Removes a role.
        delete delete_role(id) -> Value = "/v1/acl/role/{id}";
    }
    /// The agent that is asked.
    Agent agent {
        /// The agent itself: its settings, its roles.
        get read() -> api::AgentSelf = "/v1/agent/self";
        /// How it is.
        get health() -> api::AgentHealthResponse = "/v1/agent/health";
        /// The servers it knows.
        get members() -> api::ServerMembers = "/v1/agent/members";
        /// The addresses of the servers that a client talks to.
        get servers() -> Vec<String> = "/v1/agent/servers";
        /// Its measurements.
        get metrics() -> api::MetricsSummary = "/v1/metrics";
    }
    /// The region as operators see it.
    Operator operator {
        /// How the scheduler is set.
        get scheduler() -> api::SchedulerConfigurationResponse = "/v1/operator/scheduler/configuration";
        /// Sets the scheduler.
        put set_scheduler(; api::SchedulerConfiguration) -> api::SchedulerSetConfigurationResponse = "/v1/operator/scheduler/configuration";
        /// The servers that decide together.
        get raft() -> api::RaftConfiguration = "/v1/operator/raft/configuration";
        /// How servers are cleared away and taken in.
        get autopilot() -> api::AutopilotConfiguration = "/v1/operator/autopilot/configuration";
        /// How the servers are.
        get health() -> api::OperatorHealthReply = "/v1/operator/autopilot/health";
    }
    /// The state of the region as a whole.
    Status status {
        /// The address of the leader.
        get leader() -> String = "/v1/status/leader";
        /// The addresses of the servers.
        get peers() -> Vec<String> = "/v1/status/peers";
        /// The regions.
        get regions() -> Vec<String> = "/v1/regions";
        /// Collects garbage now.
        put collect_garbage() -> Value = "/v1/system/gc";
        /// Counts the summaries of jobs anew.
        put reconcile_summaries() -> Value = "/v1/system/reconcile/summaries";
    }
}

/// The route of a variable: its path has slashes of its own.
fn variable(path: &str) -> String {
    let parts: Vec<String> = path.split('/').map(segment).collect();
    format!("/v1/var/{}", parts.join("/"))
}

impl Variables<'_> {
    /// A variable.
    ///
    /// # Errors
    /// As [`SdkError`].
    pub async fn read(&self, path: &str, query: &Query) -> Result<Answer<api::Variable>, SdkError> {
        self.0.get(&variable(path), query).await
    }

    /// Writes a variable. With the parameter `cas` only if it has that index; with `lock-operation` its lock is taken, renewed
    /// or given back.
    ///
    /// # Errors
    /// As [`SdkError`]; 409 when it is not as expected.
    pub async fn write(&self, path: &str, body: &api::Variable, query: &Query) -> Result<Answer<api::Variable>, SdkError> {
        self.0.put(&variable(path), query, body).await
    }

    /// Removes a variable.
    ///
    /// # Errors
    /// As [`SdkError`]; 409 when it is not as expected.
    pub async fn delete(&self, path: &str, query: &Query) -> Result<Answer<Value>, SdkError> {
        self.0.delete(&variable(path), query).await
    }
}
