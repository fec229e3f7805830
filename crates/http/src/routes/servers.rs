//! An agent's place among servers: the scheduler workers of this one, who else there is, and what is not part of this version.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_api as api;
use drover_server::{Activity, WorkerConfig};
use http::StatusCode;
use serde_json::json;

use crate::access::Guard;
use crate::agent::Agent;
use crate::error::ApiError;
use crate::query::parse_bool;
use crate::reply::Reply;
use crate::request::Request;

/// The most addresses that are looked up for one request.
const ADDRESSES_MAX: usize = 64;

fn server_only(agent: &Agent) -> Result<&drover_server::Server, ApiError> {
    agent.server.as_ref().ok_or_else(|| ApiError::bad_request("Server only endpoint"))
}

fn not_here() -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "Invalid method")
}

fn own_name(agent: &Agent) -> String {
    format!("{}.{}", agent.facts.name, agent.facts.region)
}

/// `GET /v1/agent/schedulers`.
pub async fn schedulers(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let server = server_only(&agent)?;
    let types = server.worker_config().types;
    let workers = server.workers().into_iter().map(|worker| {
        let (status, workload) = match worker.activity {
            Activity::Paused => ("Paused", "Paused"),
            Activity::Waiting => ("Started", "WaitingToDequeue"),
            Activity::Working => ("Started", "Scheduling"),
        };
        api::AgentSchedulerWorkerInfo {
            id: worker.id,
            enabled_schedulers: Some(types.clone()),
            started: worker.started.rfc3339(),
            status: status.to_owned(),
            workload_status: workload.to_owned(),
        }
    });
    Reply::json(&api::AgentSchedulerWorkersInfo { server_id: own_name(&agent), schedulers: Some(workers.collect()) })
}

fn worker_config(agent: &Agent) -> Result<Reply, ApiError> {
    let config = server_only(agent)?.worker_config();
    Reply::json(&api::AgentSchedulerWorkerConfigResponse {
        server_id: own_name(agent),
        num_schedulers: i64::try_from(config.count).unwrap_or(i64::MAX),
        enabled_schedulers: Some(config.types),
    })
}

/// `GET /v1/agent/schedulers/config`.
pub async fn scheduler_workers(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    worker_config(&agent)
}

/// `PUT /v1/agent/schedulers/config`.
pub async fn set_scheduler_workers(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let wrong = || ApiError::bad_request("Invalid request");
    let server = server_only(&agent)?;
    let asked: api::AgentSchedulerWorkerConfigRequest = request.json().await.map_err(|_| wrong())?;
    let count = usize::try_from(asked.num_schedulers).map_err(|_| wrong())?;
    let types = asked.enabled_schedulers.unwrap_or_else(|| server.worker_config().types);
    server.set_worker_config(WorkerConfig { count, types })?;
    worker_config(&agent)
}

/// `PUT /v1/agent/servers`: where this agent's client finds servers. It knows the one in its process whatever else it is told.
pub async fn set_servers(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    if agent.client.is_none() {
        return Err(not_here());
    }
    request.permit("")?;
    let addresses: Vec<String> = request.query.all("address").filter(|address| !address.is_empty()).map(str::to_owned).collect();
    if addresses.is_empty() {
        return Err(ApiError::bad_request("missing server address"));
    }
    let mut problems = Vec::new();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        let with_port = if address.contains(':') { address.clone() } else { format!("{address}:4647") };
        let reached = match tokio::net::lookup_host(&with_port).await {
            Ok(mut found) => found.next().is_some(),
            Err(_) => false,
        };
        if !reached {
            let host = with_port.rsplit_once(':').map_or(with_port.as_str(), |(host, _)| host);
            problems.push(format!("lookup {host}: no such host"));
        }
    }
    if problems.is_empty() {
        if let Some(servers) = &agent.upstream {
            servers.look_at(addresses);
        }
        return Ok(Reply::empty());
    }
    Err(ApiError::bad_request(drover_server::EndpointError::problems(&problems).text))
}

/// `PUT /v1/agent/join`: a region has one server, which is a member already.
pub async fn join(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    if agent.server.is_none() {
        return Err(not_here());
    }
    let addresses: Vec<String> = request.query.all("address").filter(|address| !address.is_empty()).map(str::to_owned).collect();
    if addresses.is_empty() {
        return Err(ApiError::bad_request("missing address to join"));
    }
    // Anybody may ask; who they are only decides about the warning.
    let allowed = agent.identify(request.token()).is_ok_and(|caller| !caller.enforced || caller.rights.agent_write());
    let warning = if !allowed { "anonymous server join is deprecated and will be removed in a future version of Nomad" } else { "" };
    let own = format!("{}:{}", agent.facts.address, agent.facts.serf_port);
    let (joined, others): (Vec<&String>, Vec<&String>) = addresses.iter().partition(|address| **address == own);
    let problems: Vec<String> = others
        .iter()
        .map(|address| format!("failed to join {address}: joining servers to a region is not part of this version, which has one server"))
        .collect();
    let error = if problems.is_empty() { String::new() } else { drover_server::EndpointError::problems(&problems).text };
    Reply::json(&json!({ "error": error, "num_joined": joined.len(), "warning": warning }))
}

/// `PUT /v1/agent/force-leave`: there is nobody who could be made to leave.
pub async fn force_leave(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    if agent.server.is_none() {
        return Err(not_here());
    }
    request.permit("")?;
    let node = request.query.get("node");
    if node.is_empty() {
        return Err(ApiError::bad_request("missing node to force leave"));
    }
    if request.query.find("prune").is_some_and(|prune| parse_bool(prune).is_none()) {
        return Err(ApiError::bad_request("invalid prune value"));
    }
    if node == own_name(&agent) || node == agent.facts.name {
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "force-leave: the only server of a region cannot leave it"));
    }
    Ok(Reply::empty())
}

/// The keys of gossip, which is not encrypted: every operation fails on the one server.
pub async fn gossip_keys(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    if agent.server.is_none() {
        return Err(not_here());
    }
    request.permit("")?;
    let operation = request.parameter("operation").to_owned();
    match operation.as_str() {
        "list" => {}
        "install" | "use" | "remove" => {
            let asked: api::KeyringRequest = request.json().await?;
            if let Err(place) = bytes_of(&asked.key) {
                return Err(ApiError::by_text(format!("illegal base64 data at input byte {place}")));
            }
        }
        _ => return Err(ApiError::no_resource()),
    }
    Err(ApiError::by_text("1/1 nodes reported failure"))
}

/// The bytes of a key, or where it is none.
fn bytes_of(key: &str) -> Result<Vec<u8>, usize> {
    STANDARD.decode(key).map_err(|error| match error {
        base64::DecodeError::InvalidByte(place, _) | base64::DecodeError::InvalidLastSymbol(place, _) => place,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => key.len() / 4 * 4,
    })
}

/// Profiles of the running agent.
pub async fn profile(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let caller = request.caller();
    crate::access::require(if caller.enforced { caller.rights.agent_write() } else { agent.facts.debug })?;
    let name = request.parameter("profile");
    let known = ["cmdline", "profile", "trace", "heap", "allocs", "goroutine", "block", "mutex", "threadcreate"];
    if !known.contains(&name) {
        return Err(ApiError::not_found(format!("Pprof profile not found profile: {name}")));
    }
    Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "pprof: profiles of the agent are not part of this version; see /v1/metrics"))
}
