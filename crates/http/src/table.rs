//! Every route of the API with its methods, access rule and forwarding class.

use crate::access::{Access, Capability, Forward};
use crate::agent::Agent;
use crate::home::Home::{self, OfJob, OfNamedToken, OfToken, Shared};
use crate::route::{Methods, Route, Table};
use crate::routes::{
    absent, acl, agent, allocations, changes, client, deployments, evaluations, events, exec, exported, fuzzy, host, identity, job_changes,
    jobs, namespaces, nodes, operator, pools, scaling, search, servers, services, statuses, tunnel, variables,
};

use Capability::{
    AllocExec, AllocLifecycle, DeleteServiceRegistration, DeregisterJob, DispatchJob, EvaluateJob, FailDeployment, ForcePeriodicJob,
    GcAllocation, ListJobs, ListScalingPolicies, ParseJob, PauseDeployment, PlanJob, PromoteDeployment, ReadFs, ReadJob, ReadJobScaling,
    ReadLogs, ReadScalingPolicy, RegisterJob, RevertJob, ScaleJob, SetAllocHealthDeployment, StableJob, TagJobVersion, UnblockDeployment,
};
use Forward::{Client, Leader, Local, Server};
use Methods::{Any, Delete, Get, GetHead, Post, Put, Write};

const fn may(capability: Capability) -> Access {
    Access::Namespace(capability)
}

const fn list(capability: Capability) -> Access {
    Access::Listing(capability)
}

/// The table.
pub fn table() -> Table<Agent> {
    let mut routes = Vec::new();
    routes.extend(job_routes());
    routes.extend(object_routes());
    routes.extend(client_routes());
    routes.extend(agent_routes());
    routes.extend(acl_routes());
    routes.extend(variable_routes());
    routes.extend(operator_routes());
    routes.extend(missing_routes());
    routes.extend(absent_routes());
    Table::new(routes).subtree("/v1/client/fs/").subtree("/v1/client/allocation/").subtree("/v1/deployment/").distinct("/v1/node/pool/")
}

fn job_routes() -> Vec<Route<Agent>> {
    vec![
        Route::new(Get, "/v1/jobs", list(ListJobs), Server, jobs::list),
        Route::new(Write, "/v1/jobs", may(RegisterJob), Leader, job_changes::register).late().home(OfJob),
        Route::new(Get, "/v1/jobs/statuses", list(ReadJob), Server, statuses::list),
        Route::new(Write, "/v1/jobs/statuses", list(ReadJob), Server, statuses::list),
        Route::new(Write, "/v1/jobs/parse", may(ParseJob), Local, job_changes::parse),
        Route::new(Write, "/v1/validate/job", may(ReadJob), Leader, job_changes::validate).late(),
        Route::new(Get, "/v1/job/{job_id*}", may(ReadJob), Server, jobs::read),
        Route::new(Write, "/v1/job/{job_id*}", may(RegisterJob), Leader, job_changes::register_by_path).late().home(OfJob),
        Route::new(Delete, "/v1/job/{job_id*}", may(DeregisterJob), Leader, job_changes::deregister),
        Route::new(Write, "/v1/job/{job_id*}/plan", may(PlanJob), Leader, job_changes::plan).late().home(OfJob),
        Route::new(Write, "/v1/job/{job_id*}/evaluate", may(EvaluateJob), Leader, job_changes::evaluate),
        Route::new(Write, "/v1/job/{job_id*}/dispatch", may(DispatchJob), Leader, job_changes::dispatch),
        Route::new(Write, "/v1/job/{job_id*}/dispatch/payload", may(DispatchJob), Leader, job_changes::dispatch_payload),
        Route::new(Write, "/v1/job/{job_id*}/periodic/force", may(ForcePeriodicJob), Leader, job_changes::force_periodic),
        Route::new(Write, "/v1/job/{job_id*}/revert", may(RevertJob), Leader, job_changes::revert),
        Route::new(Write, "/v1/job/{job_id*}/stable", may(StableJob), Leader, job_changes::stable),
        Route::new(Get, "/v1/job/{job_id*}/scale", may(ReadJobScaling), Server, jobs::scale_status),
        Route::new(Write, "/v1/job/{job_id*}/scale", may(ScaleJob), Leader, job_changes::scale),
        Route::new(Get, "/v1/job/{job_id*}/versions", may(ReadJob), Server, jobs::versions),
        Route::new(Write, "/v1/job/{job_id*}/versions/{tag}/tag", may(TagJobVersion), Leader, job_changes::tag),
        Route::new(Delete, "/v1/job/{job_id*}/versions/{tag}/tag", may(TagJobVersion), Leader, job_changes::untag),
        Route::new(Get, "/v1/job/{job_id*}/submission", may(ReadJob), Server, jobs::submission).late(),
        Route::new(Any, "/v1/job/{job_id*}/summary", may(ReadJob), Server, jobs::summary),
        Route::new(Get, "/v1/job/{job_id*}/allocations", may(ReadJob), Server, jobs::allocations),
        Route::new(Get, "/v1/job/{job_id*}/evaluations", may(ReadJob), Server, jobs::evaluations),
        Route::new(Get, "/v1/job/{job_id*}/deployments", may(ReadJob), Server, jobs::deployments),
        Route::new(Get, "/v1/job/{job_id*}/deployment", may(ReadJob), Server, jobs::deployment),
        Route::new(Get, "/v1/job/{job_id*}/services", may(ReadJob), Server, jobs::services),
        Route::new(Get, "/v1/job/{job_id*}/actions", may(ReadJob), Server, jobs::actions),
        Route::new(Get, "/v1/job/{job_id*}/action", may(AllocExec), Client, exec::action).late(),
    ]
}

fn object_routes() -> Vec<Route<Agent>> {
    vec![
        Route::new(Get, "/v1/allocations", list(ReadJob), Server, allocations::list),
        Route::new(Get, "/v1/allocation/{alloc_id}", may(ReadJob), Server, allocations::read),
        Route::new(Get, "/v1/allocation/{alloc_id}/services", may(ReadJob), Server, allocations::services),
        Route::new(Get, "/v1/allocation/{alloc_id}/checks", may(ReadJob), Client, client::checks),
        Route::new(Write, "/v1/allocation/{alloc_id}/stop", may(AllocLifecycle), Leader, changes::stop_alloc),
        Route::new(Get, "/v1/evaluations", list(ReadJob), Server, evaluations::list),
        Route::new(Delete, "/v1/evaluations", Access::Management, Leader, changes::delete_evaluations),
        Route::new(Get, "/v1/evaluations/count", list(ReadJob), Server, evaluations::count),
        Route::new(Get, "/v1/evaluation/{eval_id}", may(ReadJob), Server, evaluations::read),
        Route::new(Get, "/v1/evaluation/{eval_id}/allocations", may(ReadJob), Server, evaluations::allocations),
        Route::new(Get, "/v1/deployments", list(ReadJob), Server, deployments::list),
        Route::new(Get, "/v1/deployment/{deployment_id}", may(ReadJob), Server, deployments::read),
        Route::new(Get, "/v1/deployment/allocations/{deployment_id}", may(ReadJob), Server, deployments::allocations),
        Route::new(Write, "/v1/deployment/promote/{deployment_id}", may(PromoteDeployment), Leader, changes::promote),
        Route::new(Write, "/v1/deployment/fail/{deployment_id}", may(FailDeployment), Leader, changes::fail),
        Route::new(Write, "/v1/deployment/pause/{deployment_id}", may(PauseDeployment), Leader, changes::pause),
        Route::new(Write, "/v1/deployment/unblock/{deployment_id}", may(UnblockDeployment), Leader, changes::unblock),
        Route::new(Write, "/v1/deployment/allocation-health/{deployment_id}", may(SetAllocHealthDeployment), Leader, changes::alloc_health),
        Route::new(Get, "/v1/nodes", Access::NodeRead, Server, nodes::list),
        Route::new(Get, "/v1/node/{node_id*}", Access::NodeRead, Server, nodes::read),
        Route::new(Get, "/v1/node/{node_id}/allocations", Access::NodeRead, Server, nodes::allocations),
        Route::new(Write, "/v1/node/{node_id}/eligibility", Access::NodeWrite, Leader, changes::eligibility),
        Route::new(Write, "/v1/node/{node_id}/evaluate", Access::NodeWrite, Leader, changes::evaluate_node),
        Route::new(Write, "/v1/node/{node_id}/drain", Access::NodeWrite, Leader, changes::drain),
        Route::new(Write, "/v1/node/{node_id}/purge", Access::NodeWrite, Leader, changes::purge),
        Route::new(Get, "/v1/node/pools", Access::Filtered, Server, pools::list),
        Route::new(Write, "/v1/node/pools", Access::NodePoolWrite, Leader, pools::upsert).late().home(Shared),
        Route::new(Get, "/v1/node/pool/{pool*}", Access::NodePoolRead, Server, pools::read),
        Route::new(Write, "/v1/node/pool/{pool*}", Access::NodePoolWrite, Leader, pools::upsert_by_path).late().home(Shared),
        Route::new(Delete, "/v1/node/pool/{pool*}", Access::NodePoolDelete, Leader, pools::delete).home(Shared),
        Route::new(Get, "/v1/node/pool/{pool*}/jobs", Access::NodePoolRead, Server, pools::jobs),
        Route::new(Get, "/v1/node/pool/{pool*}/nodes", Access::NodePoolRead, Server, pools::nodes),
        Route::new(Get, "/v1/namespaces", Access::Filtered, Server, namespaces::list),
        Route::new(Write, "/v1/namespace", Access::Management, Leader, namespaces::upsert).home(Shared),
        Route::new(Get, "/v1/namespace/{name}", Access::Filtered, Server, namespaces::read),
        Route::new(Write, "/v1/namespace/{name}", Access::Management, Leader, namespaces::upsert_by_path).home(Shared),
        Route::new(Delete, "/v1/namespace/{name}", Access::Management, Leader, namespaces::delete).home(Shared),
        Route::new(Get, "/v1/services", list(ReadJob), Server, services::list).open_to_tasks(),
        Route::new(Get, "/v1/service/{service_name}", may(ReadJob), Server, services::read).open_to_tasks(),
        Route::new(Delete, "/v1/service/{service_name}/{service_id}", may(DeleteServiceRegistration), Leader, changes::delete_service),
        Route::new(Write, "/v1/search", Access::Filtered, Server, search::prefix),
        Route::new(Write, "/v1/search/fuzzy", Access::Filtered, Server, fuzzy::search),
        Route::new(Get, "/v1/scaling/policies", list(ListScalingPolicies), Server, scaling::list),
        Route::new(Get, "/v1/scaling/policy/{policy_id}", may(ReadScalingPolicy), Server, scaling::read),
        Route::new(Get, "/v1/event/stream", Access::Filtered, Server, events::stream).uncompressed().refusing_late(),
    ]
}

fn acl_routes() -> Vec<Route<Agent>> {
    vec![
        Route::new(Write, "/v1/acl/bootstrap", Access::Public, Leader, acl::bootstrap).home(Shared),
        Route::new(Get, "/v1/acl/policies", Access::Filtered, Server, acl::policies),
        Route::new(Get, "/v1/acl/policy/self", Access::Filtered, Server, acl::own_policies),
        Route::new(Get, "/v1/acl/policy/{name}", Access::Filtered, Server, acl::policy),
        Route::new(Write, "/v1/acl/policy/{name}", Access::Management, Leader, acl::upsert_policy).home(Shared),
        Route::new(Delete, "/v1/acl/policy/{name}", Access::Management, Leader, acl::delete_policy).home(Shared),
        Route::new(Get, "/v1/acl/tokens", Access::Management, Server, acl::tokens),
        Route::new(Write, "/v1/acl/token", Access::Management, Leader, acl::upsert_token).home(OfToken),
        Route::new(Write, "/v1/acl/token/onetime", Access::Filtered, Leader, acl::one_time),
        Route::new(Write, "/v1/acl/token/onetime/exchange", Access::Public, Leader, acl::exchange),
        Route::new(Get, "/v1/acl/token/self", Access::Filtered, Server, acl::token_self),
        Route::new(Get, "/v1/acl/token/{accessor_id}", Access::Filtered, Server, acl::token),
        Route::new(Write, "/v1/acl/token/{accessor_id}", Access::Management, Leader, acl::upsert_token_by_path).late().home(OfToken),
        Route::new(Delete, "/v1/acl/token/{accessor_id}", Access::Management, Leader, acl::delete_token).home(OfNamedToken),
        Route::new(Get, "/v1/acl/roles", Access::Filtered, Server, acl::roles),
        Route::new(Write, "/v1/acl/role", Access::Management, Leader, acl::upsert_role).home(Shared),
        Route::new(Get, "/v1/acl/role/name/{role_name}", Access::Filtered, Server, acl::role_by_name),
        Route::new(Get, "/v1/acl/role/{role_id}", Access::Filtered, Server, acl::role),
        Route::new(Write, "/v1/acl/role/{role_id}", Access::Management, Leader, acl::upsert_role_by_path).late().home(Shared),
        Route::new(Delete, "/v1/acl/role/{role_id}", Access::Management, Leader, acl::delete_role).home(Shared),
        Route::new(Get, "/v1/acl/auth-methods", Access::Public, Server, acl::auth_methods),
        Route::new(Write, "/v1/acl/auth-method", Access::Management, Leader, acl::upsert_auth_method).home(Shared),
        Route::new(Get, "/v1/acl/auth-method/{name}", Access::Management, Server, acl::auth_method),
        Route::new(Write, "/v1/acl/auth-method/{name}", Access::Management, Leader, acl::upsert_auth_method_by_path).home(Shared),
        Route::new(Delete, "/v1/acl/auth-method/{name}", Access::Management, Leader, acl::delete_auth_method).home(Shared),
        Route::new(Get, "/v1/acl/binding-rules", Access::Management, Server, acl::binding_rules),
        Route::new(Write, "/v1/acl/binding-rule", Access::Management, Leader, acl::upsert_binding_rule).home(Shared),
        Route::new(Get, "/v1/acl/binding-rule/{rule_id}", Access::Management, Server, acl::binding_rule),
        Route::new(Write, "/v1/acl/binding-rule/{rule_id}", Access::Management, Leader, acl::upsert_binding_rule_by_path).home(Shared),
        Route::new(Delete, "/v1/acl/binding-rule/{rule_id}", Access::Management, Leader, acl::delete_binding_rule).home(Shared),
    ]
}

fn variable_routes() -> Vec<Route<Agent>> {
    use crate::access::VariableCapability as May;
    let on = Access::Variable;
    vec![
        Route::new(Get, "/v1/vars", Access::Filtered, Server, variables::list).cors(),
        Route::new(Get, "/v1/var/{path*}", on(May::Read), Server, variables::read).late().cors(),
        Route::new(Write, "/v1/var/{path*}", on(May::Write), Leader, variables::write).late().cors(),
        Route::new(Delete, "/v1/var/{path*}", on(May::Destroy), Leader, variables::delete).late().cors(),
    ]
}

/// What this version, or this edition, does not have.
fn absent_routes() -> Vec<Route<Agent>> {
    use Capability::{
        CsiReadVolume, CsiWriteVolume, HostVolumeCreate, HostVolumeDelete, HostVolumeRead, HostVolumeRegister, SubmitRecommendation,
    };
    let quota = Access::Filtered;
    let routes = vec![
        Route::new(GetHead, "/v1/volumes", Access::Filtered, Server, absent::volumes),
        Route::new(Write, "/v1/volumes", may(CsiWriteVolume), Leader, absent::make_csi),
        Route::new(Get, "/v1/volumes/claims", may(HostVolumeRead), Server, absent::claims),
        Route::new(Delete, "/v1/volumes/claim/{claim_id}", may(HostVolumeDelete), Leader, absent::delete_claim),
        Route::new(Get, "/v1/volumes/external", Access::Listing(Capability::CsiListVolume), Server, absent::of_plugin),
        Route::new(Get, "/v1/volumes/snapshot", Access::Listing(Capability::CsiListVolume), Server, absent::of_plugin),
        Route::new(Write, "/v1/volumes/snapshot", may(CsiWriteVolume), Leader, absent::make_snapshot),
        Route::new(Delete, "/v1/volumes/snapshot", may(CsiWriteVolume), Leader, absent::delete_snapshot),
        Route::new(Get, "/v1/volume/csi/{volume_id}", may(CsiReadVolume), Server, absent::csi_volume),
        Route::new(Put, "/v1/volume/csi/{volume_id}", may(CsiWriteVolume), Leader, absent::make_csi),
        Route::new(Delete, "/v1/volume/csi/{volume_id}", may(CsiWriteVolume), Leader, absent::delete_csi),
        Route::new(Put, "/v1/volume/csi/{volume_id}/create", may(CsiWriteVolume), Leader, absent::make_csi),
        Route::new(Delete, "/v1/volume/csi/{volume_id}/delete", may(CsiWriteVolume), Leader, absent::delete_csi),
        Route::new(Delete, "/v1/volume/csi/{volume_id}/detach", may(Capability::CsiMountVolume), Leader, absent::detach_csi).late(),
        Route::new(Get, "/v1/volume/host/{volume_id}", may(HostVolumeRead), Server, absent::host_volume),
        Route::new(Delete, "/v1/volume/host/{volume_id}", may(HostVolumeDelete), Leader, absent::delete_host),
        Route::new(Write, "/v1/volume/host/create", may(HostVolumeCreate), Leader, absent::make_host),
        Route::new(Write, "/v1/volume/host/register", may(HostVolumeRegister), Leader, absent::make_host),
        Route::new(Get, "/v1/plugins", Access::Filtered, Server, absent::plugins),
        Route::new(Get, "/v1/plugin/csi/{plugin_id}", Access::Filtered, Server, absent::plugin),
        Route::new(Write, "/v1/acl/login", Access::Public, Leader, absent::login),
        Route::new(Write, "/v1/acl/oidc/auth-url", Access::Public, Leader, absent::login),
        Route::new(Write, "/v1/acl/oidc/complete-auth", Access::Public, Leader, absent::login),
        Route::new(Write, "/v1/acl/identity/client-introduction-token", Access::NodeWrite, Leader, identity::introduce),
        Route::new(Get, "/v1/operator/license", Access::OperatorRead, Server, absent::license),
        Route::new(Write, "/v1/operator/license", Access::OperatorWrite, Leader, absent::enterprise),
        Route::new(Post, "/v1/operator/utilization", Access::OperatorWrite, Leader, absent::enterprise),
        Route::new(Write, "/v1/quota", quota, Leader, absent::enterprise),
        Route::new(Get, "/v1/quotas", quota, Server, absent::enterprise),
        Route::new(Get, "/v1/quota-usages", quota, Server, absent::enterprise),
        Route::new(Get, "/v1/quota/usage/{name}", quota, Server, absent::enterprise),
        Route::new(Get, "/v1/quota/{name}", quota, Server, absent::enterprise),
        Route::new(Write, "/v1/quota/{name}", quota, Leader, absent::enterprise),
        Route::new(Delete, "/v1/quota/{name}", quota, Leader, absent::enterprise),
        Route::new(Write, "/v1/recommendation", may(SubmitRecommendation), Leader, absent::enterprise),
        Route::new(Get, "/v1/recommendation/{id}", may(ReadJob), Server, absent::enterprise),
        Route::new(Get, "/v1/recommendations", may(SubmitRecommendation), Server, absent::enterprise),
        Route::new(Write, "/v1/recommendations/apply", may(Capability::SubmitJob), Leader, absent::enterprise),
        Route::new(Get, "/v1/sentinel/policies", Access::Management, Server, absent::enterprise),
        Route::new(Get, "/v1/sentinel/policy/{name}", Access::Management, Server, absent::enterprise),
        Route::new(Write, "/v1/sentinel/policy/{name}", Access::Management, Leader, absent::enterprise),
        Route::new(Delete, "/v1/sentinel/policy/{name}", Access::Management, Leader, absent::enterprise),
        Route::new(Get, "/ui/{path*}", Access::Public, Local, absent::pages),
    ];
    routes.into_iter().map(|route| route.without("volumes, plugins, logins and the paid edition")).collect()
}

fn client_routes() -> Vec<Route<Agent>> {
    vec![
        Route::new(Any, "/v1/client/fs/ls/{alloc_id}", may(ReadFs), Client, client::list).cors(),
        Route::new(Any, "/v1/client/fs/stat/{alloc_id}", may(ReadFs), Client, client::stat).cors(),
        Route::new(Any, "/v1/client/fs/cat/{alloc_id}", may(ReadFs), Client, client::cat).cors(),
        Route::new(Any, "/v1/client/fs/readat/{alloc_id}", may(ReadFs), Client, client::read_at).cors(),
        Route::new(Any, "/v1/client/fs/stream/{alloc_id}", may(ReadFs), Client, client::stream_file).cors(),
        Route::new(Any, "/v1/client/fs/logs/{alloc_id}", may(ReadLogs), Client, client::logs).cors(),
        Route::new(Any, "/v1/client/fs/{verb}/{alloc_id}", Access::Public, Local, client::no_such_verb).cors(),
        Route::new(Any, "/v1/client/allocation/{alloc_id}/stats", may(ReadJob), Client, client::alloc_stats).cors(),
        Route::new(Any, "/v1/client/allocation/{alloc_id}/checks", may(ReadJob), Client, client::checks).cors(),
        Route::new(Any, "/v1/client/allocation/{alloc_id}/restart", may(AllocLifecycle), Client, client::restart).cors(),
        Route::new(Write, "/v1/client/allocation/{alloc_id}/signal", may(AllocLifecycle), Client, client::signal).cors(),
        Route::new(Any, "/v1/client/allocation/{alloc_id}/exec", may(AllocExec), Client, exec::exec).late().cors(),
        Route::new(Get, "/v1/client/allocation/{alloc_id}/pause", may(ReadJob), Client, absent::pause_state).cors(),
        Route::new(Write, "/v1/client/allocation/{alloc_id}/pause", may(Capability::PauseAllocation), Client, absent::pause).cors(),
        Route::new(Get, "/v1/client/allocation/{alloc_id}/tunnel", may(AllocExec), Client, tunnel::tunnel).late().cors(),
        Route::new(Any, "/v1/client/allocation/{alloc_id}/gc", may(GcAllocation), Client, client::collect).cors(),
        Route::new(Any, "/v1/client/allocation/{alloc_id}/snapshot", Access::Public, Client, client::snapshot)
            .cors()
            .without("migration of allocation data"),
        Route::new(Any, "/v1/client/stats", Access::NodeRead, Client, client::host_stats).cors(),
        Route::new(Get, "/v1/client/metadata", Access::NodeRead, Client, client::metadata).late().cors(),
        Route::new(Post, "/v1/client/metadata", Access::NodeWrite, Client, client::set_metadata).cors(),
        Route::new(Get, "/v1/client/identity", Access::NodeRead, Server, identity::of_node).late().cors(),
        Route::new(Write, "/v1/client/identity/renew", Access::NodeWrite, Leader, identity::renew).late().cors(),
        Route::new(Any, "/v1/client/gc", Access::NodeWrite, Client, client::collect_all),
    ]
}

fn agent_routes() -> Vec<Route<Agent>> {
    vec![
        Route::new(Get, "/v1/agent/self", Access::AgentRead, Local, agent::about),
        Route::new(Get, "/v1/agent/health", Access::Public, Local, agent::health),
        Route::new(Get, "/v1/agent/members", Access::NodeRead, Server, agent::members),
        Route::new(Get, "/v1/agent/servers", Access::AgentRead, Local, agent::servers),
        Route::new(Write, "/v1/agent/servers", Access::AgentWrite, Local, servers::set_servers).late(),
        Route::new(Get, "/v1/agent/host", Access::AgentRead, Client, host::host).late(),
        Route::new(Get, "/v1/agent/schedulers", Access::AgentRead, Local, servers::schedulers),
        Route::new(Get, "/v1/agent/schedulers/config", Access::AgentRead, Local, servers::scheduler_workers),
        Route::new(Write, "/v1/agent/schedulers/config", Access::AgentWrite, Local, servers::set_scheduler_workers),
        Route::new(Write, "/v1/agent/join", Access::Public, Local, servers::join),
        Route::new(Write, "/v1/agent/force-leave", Access::AgentWrite, Local, servers::force_leave).late(),
        Route::new(Any, "/v1/agent/keyring/{operation}", Access::AgentWrite, Local, servers::gossip_keys).late(),
        Route::new(Get, "/v1/agent/monitor/export", Access::AgentRead, Client, exported::export).late(),
        Route::new(Get, "/v1/agent/pprof/{profile}", Access::AgentWrite, Client, servers::profile).late(),
        Route::new(Any, "/v1/agent/monitor", Access::AgentRead, Client, agent::monitor),
        Route::new(Write, "/v1/agent/reload", Access::AgentWrite, Local, agent::reload),
        Route::new(Get, "/v1/metrics", Access::Public, Local, agent::metrics),
        Route::new(Get, "/v1/openapi.json", Access::Public, Local, agent::openapi).cors(),
        Route::new(Get, "/v1/regions", Access::Public, Server, changes::regions).home(Home::Any),
        Route::new(Get, "/.well-known/jwks.json", Access::Public, Server, identity::keys),
        Route::new(Get, "/.well-known/openid-configuration", Access::Public, Local, identity::discovery),
        Route::new(Get, "/v1/status/leader", Access::Public, Server, changes::leader),
        Route::new(Get, "/v1/status/peers", Access::Public, Server, changes::peers),
        Route::new(Get, "/v1/operator/scheduler/configuration", Access::OperatorRead, Leader, pools::scheduler_config),
        Route::new(Write, "/v1/operator/scheduler/configuration", Access::OperatorWrite, Leader, pools::set_scheduler_config),
        Route::new(Put, "/v1/system/gc", Access::Management, Leader, changes::collect_garbage),
        Route::new(Put, "/v1/system/reconcile/summaries", Access::Management, Leader, changes::reconcile_summaries),
    ]
}

fn operator_routes() -> Vec<Route<Agent>> {
    use crate::access::OperatorCapability::SnapshotSave;
    vec![
        Route::new(Get, "/v1/operator/raft/configuration", Access::Management, Server, operator::raft_configuration),
        Route::new(Any, "/v1/operator/raft/configuration", Access::Public, Local, operator::silently_not),
        Route::new(Delete, "/v1/operator/raft/peer", Access::Management, Leader, operator::remove_peer).late(),
        Route::new(Any, "/v1/operator/raft/peer", Access::Public, Local, operator::no_such_method),
        Route::new(Write, "/v1/operator/raft/transfer-leadership", Access::Management, Leader, operator::transfer_leadership).late(),
        Route::new(Get, "/v1/operator/autopilot/configuration", Access::OperatorRead, Server, operator::autopilot),
        Route::new(Put, "/v1/operator/autopilot/configuration", Access::OperatorWrite, Leader, operator::set_autopilot),
        Route::new(Any, "/v1/operator/autopilot/configuration", Access::Public, Local, operator::no_such_method),
        Route::new(Get, "/v1/operator/autopilot/health", Access::OperatorRead, Leader, operator::autopilot_health),
        Route::new(Any, "/v1/operator/autopilot/health", Access::Public, Local, operator::no_such_method),
        Route::new(Get, "/v1/operator/snapshot", Access::Operator(SnapshotSave), Server, operator::save_snapshot).uncompressed(),
        Route::new(Write, "/v1/operator/snapshot", Access::Management, Leader, operator::restore_snapshot),
        Route::new(Get, "/v1/operator/upgrade-check/vault-workload-identity", Access::OperatorRead, Server, operator::vault_upgrade_check),
    ]
}

/// What is not part of this version: a clear word instead of an unknown path.
fn missing_routes() -> Vec<Route<Agent>> {
    let patterns = ["/v1/operator/keyring/keys", "/v1/operator/keyring/rotate", "/v1/operator/keyring/key/{key_id}"];
    patterns.iter().map(|pattern| Route::missing(pattern, "the root keyring's operations")).collect()
}
