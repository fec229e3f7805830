//! What operators ask of servers: consensus, the care of servers, the state as a whole, and what stands in the way of an upgrade.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_api as api;
use drover_base::time::go_duration;
use drover_lang::duration::{JsonForm, duration_in_json};
use drover_model::AutopilotConfig;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::agent::Agent;
use crate::error::ApiError;
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::{stream, view};

/// The largest archive that is restored: it travels in one entry of the log.
const ARCHIVE_MAX: usize = 60 << 20;
/// An archive is sent in parts of this size.
const PART: usize = 64 << 10;

/// A method that a route knows and does not answer.
pub async fn no_such_method(_: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    Err(ApiError::not_found("Invalid method"))
}

/// A method that a route does not answer, without a word.
pub async fn silently_not(_: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    Ok(Reply::empty().status(StatusCode::METHOD_NOT_ALLOWED))
}

fn own_name(agent: &Agent) -> String {
    format!("{}.{}", agent.facts.name, agent.facts.region)
}

/// `GET /v1/operator/raft/configuration`.
pub async fn raft_configuration(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let leader = agent.server()?.raft_status().leader;
    let server = api::RaftServer {
        id: agent.facts.server_id.clone(),
        node: own_name(&agent),
        address: agent.rpc_address(),
        leader,
        voter: true,
        raft_protocol: "3".to_owned(),
    };
    Reply::json(&api::RaftConfiguration { servers: Some(vec![server]), index: 0 })
}

/// `DELETE /v1/operator/raft/peer`.
pub async fn remove_peer(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (id, address) = (request.query.get("id"), request.query.find("address"));
    if address.is_some() {
        return Err(ApiError::bad_request("Removing a peer by address is not supported in the current raft protocol version"));
    }
    if id.is_empty() {
        return Err(ApiError::bad_request("Must specify the peer's ID to remove"));
    }
    request.permit("")?;
    if id == agent.facts.server_id {
        return Err(ApiError::by_text("the only server of a region cannot be removed from it"));
    }
    Err(ApiError::by_text(format!("id {id:?} was not found in the Raft configuration")))
}

/// `PUT /v1/operator/raft/transfer-leadership`.
pub async fn transfer_leadership(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let wrong = |text: String| ApiError::bad_request(text);
    for name in ["id", "address"] {
        if request.query.all(name).count() > 1 {
            return Err(wrong(format!("must specify only one {name}")));
        }
        if request.query.find(name) == Some("") {
            return Err(wrong(format!("{name} must be non-empty")));
        }
    }
    let own = agent.rpc_address();
    let is_own = match (request.query.find("id"), request.query.find("address")) {
        (None, None) => return Err(wrong("must specify id or address".to_owned())),
        (Some(_), Some(_)) => return Err(wrong("must specify either id or address".to_owned())),
        (Some(id), None) => (id == agent.facts.server_id, format!("id {id:?}")),
        (None, Some(address)) if address.parse::<SocketAddr>().is_err() => {
            return Err(wrong("address must be in IP:port format: not an ip:port".to_owned()));
        }
        (None, Some(address)) => (address == own, format!("address {address:?}")),
    };
    request.permit("")?;
    if !agent.server()?.raft_status().known_leader {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "No cluster leader"));
    }
    let (true, _) = is_own else {
        return Err(wrong(format!("{} was not found in the Raft configuration", is_own.1)));
    };
    let server = json!({ "Address": own, "ID": agent.facts.server_id });
    Reply::json(&json!({ "From": server, "To": server, "Noop": true, "Err": null }))
}

/// `GET /v1/operator/autopilot/configuration`.
pub async fn autopilot(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    Reply::json(&shown_autopilot(&agent.server()?.snapshot().autopilot()))
}

/// How the region keeps its servers in order.
pub(super) fn shown_autopilot(config: &AutopilotConfig) -> api::AutopilotConfiguration {
    api::AutopilotConfiguration {
        cleanup_dead_servers: config.cleanup_dead_servers,
        last_contact_threshold: go_duration(config.last_contact_threshold_ns),
        max_trailing_logs: config.max_trailing_logs,
        min_quorum: config.min_quorum,
        server_stabilization_time: go_duration(config.server_stabilization_time_ns),
        enable_redundancy_zones: config.enable_redundancy_zones,
        disable_upgrade_migration: config.disable_upgrade_migration,
        enable_custom_upgrades: config.enable_custom_upgrades,
        create_index: config.create_index,
        modify_index: config.modify_index,
    }
}

/// `PUT /v1/operator/autopilot/configuration`.
pub async fn set_autopilot(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let wrong = |text: &dyn std::fmt::Display| ApiError::bad_request(format!("Error parsing autopilot config: {text}"));
    let mut body: Value = request.json().await.map_err(|error: ApiError| wrong(&error.text))?;
    let mut durations = [0; 2];
    for (name, value) in body.as_object_mut().into_iter().flatten() {
        let which = ["LastContactThreshold", "ServerStabilizationTime"].iter().position(|known| name.eq_ignore_ascii_case(known));
        if let Some(which) = which {
            durations[which] = duration_in_json(value, JsonForm::TextOnly).map_err(|error| wrong(&error))?;
            *value = Value::String(String::new());
        }
    }
    let body: api::AutopilotConfiguration = serde_json::from_value(body).map_err(|error| wrong(&error))?;
    let expected = crate::routes::pools::check_and_set(&request)?;
    let config = AutopilotConfig {
        cleanup_dead_servers: body.cleanup_dead_servers,
        last_contact_threshold_ns: durations[0],
        max_trailing_logs: body.max_trailing_logs,
        min_quorum: body.min_quorum,
        server_stabilization_time_ns: durations[1],
        enable_redundancy_zones: body.enable_redundancy_zones,
        disable_upgrade_migration: body.disable_upgrade_migration,
        enable_custom_upgrades: body.enable_custom_upgrades,
        ..AutopilotConfig::default()
    };
    Reply::json(&agent.server()?.set_autopilot(config, expected).await?)
}

/// `GET /v1/operator/autopilot/health`: this server answers, so it is well.
pub async fn autopilot_health(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let server = agent.server()?;
    let status = server.raft_status();
    let id = agent.facts.server_id.clone();
    let healthy = server.ready() && status.known_leader && status.failed.is_none();
    let stable_since = server.workers().first().map(|worker| drover_base::WallTime(worker.started.0 / 1_000_000_000 * 1_000_000_000));
    let health = api::ServerHealth {
        id: id.clone(),
        name: own_name(&agent),
        address: agent.rpc_address(),
        serf_status: "alive".to_owned(),
        version: agent.facts.version.clone(),
        leader: status.leader,
        last_contact: "0s".to_owned(),
        last_term: status.term,
        last_index: status.last_index,
        healthy,
        voter: true,
        stable_since: stable_since.map(|time| time.rfc3339()),
    };
    let response = api::OperatorHealthReply {
        healthy,
        servers: Some(vec![health]),
        leader: if status.leader { id.clone() } else { String::new() },
        voters: Some(vec![id]),
        ..api::OperatorHealthReply::default()
    };
    let status = if healthy { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
    Ok(Reply::json(&response)?.status(status))
}

/// `GET /v1/operator/snapshot`.
pub async fn save_snapshot(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let server = agent.server()?.clone();
    // Writing a large state out takes its time, which other requests are not to wait for.
    let archive = tokio::task::spawn_blocking(move || server.save_state())
        .await
        .map_err(|error| ApiError::by_text(format!("failed to take snapshot: {error}")))?;
    let digest = format!("sha-256={}", STANDARD.encode(Sha256::digest(&archive)));
    let digest = HeaderValue::from_str(&digest).map_err(|error| ApiError::by_text(error.to_string()))?;
    let body = stream::body(move |writer| async move {
        for part in archive.chunks(PART) {
            if writer.bytes(part.to_vec()).await.is_err() {
                return;
            }
        }
    });
    Ok(Reply::stream("application/x-gzip", body).header(HeaderName::from_static("digest"), digest))
}

/// `PUT /v1/operator/snapshot`.
pub async fn restore_snapshot(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let archive = request.bytes_up_to(ARCHIVE_MAX).await?;
    agent.server()?.restore_state(archive.to_vec()).await?;
    Ok(Reply::empty())
}

/// `GET /v1/operator/upgrade-check/vault-workload-identity`: every job reaches Vault by its own identity, and nodes hold no tokens.
pub async fn vault_upgrade_check(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let state = agent.server()?.snapshot();
    let missing = |job: &api::Job| {
        let tasks = job.task_groups.iter().flatten().flat_map(|group| group.tasks.iter().flatten());
        tasks
            .filter(|task| task.vault.is_some())
            .any(|task| !task.identities.iter().flatten().any(|identity| identity.name.starts_with("vault_")))
    };
    let jobs = state.jobs().filter(|row| !row.job().stop && missing(&view::job(row)));
    let response = api::VaultWorkloadIdentityUpgradeCheck {
        jobs_without_vault_identity: Some(jobs.map(|row| view::job_stub(&state, row, false)).collect()),
        outdated_nodes: Some(Vec::new()),
        vault_tokens: None,
        index: state.index(),
        last_contact: 0,
        known_leader: true,
        next_token: String::new(),
    };
    Ok(Reply::json(&response)?.meta(&Meta::at(state.index())))
}
