//! What the agent says about itself: configuration, health, members, log, measurements.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_api::wire::Base64;
use drover_server::regions::Member;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::error::ApiError;
use crate::logs::{Heard, Level};
use crate::query::{not_a_bool, parse_bool};
use crate::reply::Reply;
use crate::request::Request;
use crate::stream::{self, FRAME_HEARTBEAT, Gone, Writer};

/// The most log text in one frame.
const FRAME_MAX: usize = 1024;

type Sections = BTreeMap<String, BTreeMap<String, String>>;

fn section<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A time without what is less than a second, in nanoseconds.
fn whole_seconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000_000)
}

/// The servers that this agent's client knows: what they told it, or the one in this process.
fn known_servers(agent: &Agent) -> Vec<String> {
    if let Some(servers) = &agent.upstream {
        return servers.known();
    }
    let told = agent.client.as_ref().and_then(|client| client.contact()).map(|contact| contact.answer.servers.clone());
    match told {
        Some(servers) if !servers.is_empty() => servers,
        _ => agent.server.iter().map(|_| agent.rpc_address()).collect(),
    }
}

fn stats(agent: &Agent) -> Sections {
    let mut out = Sections::new();
    if let Some(server) = &agent.server {
        let status = server.raft_status();
        let servers = section([
            ("server", "true".to_owned()),
            ("leader", status.leader.to_string()),
            ("leader_addr", if status.known_leader { agent.rpc_address() } else { String::new() }),
            ("bootstrap", (agent.facts.bootstrap_expect <= 1).to_string()),
            ("known_regions", server.region_names().len().to_string()),
        ]);
        out.insert("nomad".to_owned(), servers);
        let member = format!("[{{Suffrage:Voter ID:{} Address:{}}}]", agent.facts.server_id, agent.rpc_address());
        let raft = section([
            ("last_snapshot_index", status.snapshot.0.to_string()),
            ("last_snapshot_term", status.snapshot.1.to_string()),
            ("last_contact", "0".to_owned()),
            ("latest_configuration", member),
            ("latest_configuration_index", "0".to_owned()),
            ("logstore_backend", "drover".to_owned()),
            ("protocol_version_min", "0".to_owned()),
            ("protocol_version_max", "3".to_owned()),
            ("snapshot_version_min", "0".to_owned()),
            ("snapshot_version_max", "1".to_owned()),
            ("state", if status.leader { "Leader" } else { "Follower" }.to_owned()),
            ("term", status.term.to_string()),
            ("last_log_index", status.last_index.to_string()),
            ("last_log_term", status.term.to_string()),
            ("commit_index", status.applied.to_string()),
            ("applied_index", status.applied.to_string()),
            ("fsm_pending", "0".to_owned()),
            ("num_peers", "0".to_owned()),
            ("protocol_version", "3".to_owned()),
        ]);
        out.insert("raft".to_owned(), raft);
        // The only server has nobody to gossip with.
        let quiet = [
            "coordinate_resets",
            "event_queue",
            "event_time",
            "failed",
            "health_score",
            "intent_queue",
            "left",
            "member_time",
            "query_queue",
            "query_time",
        ];
        let mut serf = section([("members", (1 + server.region_members().len()).to_string()), ("encrypted", "false".to_owned())]);
        serf.extend(quiet.map(|name| (name.to_owned(), "0".to_owned())));
        out.insert("serf".to_owned(), serf);
    }
    if let Some(client) = &agent.client {
        let contact = client.contact();
        let seconds = |time: Option<std::time::Duration>| drover_base::time::go_duration(whole_seconds(time.unwrap_or_default()));
        let node = section([
            ("node_id", client.node_id().to_string()),
            ("known_servers", known_servers(agent).join(",")),
            ("num_allocations", client.allocs().len().to_string()),
            ("last_heartbeat", seconds(client.since_contact())),
            ("heartbeat_ttl", seconds(contact.map(|contact| contact.answer.heartbeat_ttl))),
        ]);
        out.insert("client".to_owned(), node);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = section([
        ("arch", std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64")),
        ("kernel.name", std::env::consts::OS.to_owned()),
        ("cpu_count", cores.to_string()),
        ("max_procs", cores.to_string()),
        // There are none; who asks how busy the agent is reads its metrics.
        ("goroutines", "0".to_owned()),
        ("version", format!("drover {}", agent.facts.version)),
    ]);
    out.insert("runtime".to_owned(), runtime);
    out
}

/// `GET /v1/agent/self`.
pub async fn about(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let member = if agent.server.is_some() { agent.member() } else { api::AgentMember::default() };
    let config = serde_json::to_value(&agent.facts.config).unwrap_or_default();
    Reply::json(&json!({ "config": config, "member": member, "stats": stats(&agent) }))
}

/// `GET /v1/agent/members`.
pub async fn members(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let members = agent.server()?.region_members();
    let members = std::iter::once(agent.member()).chain(members.iter().map(elsewhere)).collect();
    let response = api::ServerMembers {
        server_name: agent.facts.name.clone(),
        server_region: agent.facts.region.clone(),
        server_dc: agent.facts.datacenter.clone(),
        members: Some(members),
    };
    Reply::json(&response)
}

/// A server of another region, as far as it told of itself.
fn elsewhere(member: &Member) -> api::AgentMember {
    let peer = &member.peer;
    let (address, port) = peer.address.rsplit_once(':').unwrap_or((&peer.address, ""));
    let address = address.trim_matches(['[', ']']);
    let tags = [
        ("role", "nomad"),
        ("region", &peer.region),
        ("dc", &peer.datacenter),
        ("build", &peer.build),
        ("id", &peer.id),
        ("rpc_addr", address),
        ("port", port),
        ("raft_vsn", "3"),
        ("vsn", "1"),
    ];
    api::AgentMember {
        name: format!("{}.{}", peer.name, peer.region),
        addr: address.to_owned(),
        port: u64::from(peer.serf_port),
        tags: Some(tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        status: if member.reached { "alive" } else { "failed" }.to_owned(),
        protocol_min: 1,
        protocol_max: 5,
        protocol_cur: 2,
        delegate_min: 2,
        delegate_max: 5,
        delegate_cur: 4,
    }
}

/// `GET /v1/agent/servers`.
pub async fn servers(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    if agent.client.is_none() {
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "Invalid method"));
    }
    Reply::json(&known_servers(&agent))
}

/// `GET /v1/agent/health`.
pub async fn health(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let asked: Vec<&str> = request.query.all("type").collect();
    let wants = |kind: &str| asked.is_empty() || asked.contains(&kind);
    let explicitly = |kind: &str| asked.contains(&kind);
    let mut parts: BTreeMap<&str, Value> = BTreeMap::new();
    let mut good = true;
    let mut tell = |kind: &'static str, ok: bool, message: &str| {
        good &= ok;
        parts.insert(kind, json!({ "message": message, "ok": ok }));
    };
    match &agent.server {
        Some(server) if wants("server") => {
            let led = server.ready() && server.raft_status().known_leader;
            tell("server", led, if led { "ok" } else { "no leader" });
        }
        None if explicitly("server") => tell("server", false, "server not enabled"),
        _ => {}
    }
    match &agent.client {
        Some(_) if wants("client") => {
            let reached = agent.server.is_some() || agent.upstream.as_ref().is_some_and(|servers| servers.reached());
            tell("client", reached, if reached { "ok" } else { "no known servers" });
        }
        None if explicitly("client") => tell("client", false, "client not enabled"),
        _ => {}
    }
    if good {
        return Reply::json(&parts);
    }
    let text = serde_json::to_string(&parts).unwrap_or_default();
    Err(ApiError::by_text(text))
}

/// `GET /v1/openapi.json`.
pub async fn openapi(_: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    Ok(Reply::json_bytes(crate::openapi::document_bytes().to_vec()))
}

/// `PUT /v1/agent/reload`.
pub async fn reload(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    if let Some(reload) = &agent.reload {
        reload.notify_one();
    }
    Ok(Reply::empty())
}

/// `GET /v1/metrics`.
pub async fn metrics(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    if request.query.get("format") != "prometheus" {
        agent.measure(&request.clock).await;
        return Reply::json(&agent.telemetry.summary(&agent.facts.name));
    }
    let enabled = agent.facts.config.telemetry.as_ref().is_some_and(|telemetry| telemetry.prometheus_metrics);
    if !enabled {
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Prometheus is not enabled"));
    }
    agent.measure(&request.clock).await;
    let text = agent.telemetry.prometheus(&agent.facts.name);
    Ok(Reply::text(text).content_type("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"))
}

/// `/v1/agent/monitor`.
pub async fn monitor(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let text = |name: &str| request.query.get(name);
    let level = match text("log_level") {
        "" => Level::Info,
        level => Level::parse(level).ok_or_else(|| ApiError::bad_request(format!("Unknown log level: {level}")))?,
    };
    let boolean = |name: &str, shown: &str| match text(name) {
        "" => Ok(false),
        value => parse_bool(value).ok_or_else(|| ApiError::bad_request(format!("Unknown option for {shown}: {}", not_a_bool(value)))),
    };
    let json = boolean("log_json", "log json")?;
    boolean("log_include_location", "log include location")?;
    let plain = boolean("plain", "plain")?;
    let (node, server) = (text("node_id"), text("server_id"));
    match (node, server) {
        ("", "") => {}
        (node, "") => {
            let own = agent.client.as_ref().map(|client| client.node_id().to_string());
            if own.as_deref() != Some(node) {
                return Err(ApiError::by_text(format!("RPC Error:: 404,Unknown node {node:?}")));
            }
        }
        ("", server) => {
            let facts = &agent.facts;
            let own = [&facts.name, &format!("{}.{}", facts.name, facts.region), &facts.server_id];
            if server != "leader" && !own.into_iter().any(|name| name == server) {
                return Err(ApiError::bad_request(format!("unknown Nomad server {server}")));
            }
        }
        _ => return Err(ApiError::bad_request("Cannot target node and server simultaneously")),
    }
    let listener = agent.logs.listen();
    let clock = request.clock.clone();
    let body = stream::body(move |writer| async move {
        // A reader that has gone ends the stream; there is nothing else to do about it.
        let _ = send_log(listener, &clock, &writer, level, json, plain).await;
    });
    Ok(Reply::stream(if plain { "text/plain" } else { "application/json" }, body))
}

async fn send_log(
    mut listener: BoxStream<'static, Heard>,
    clock: &drover_rt::Clock,
    writer: &Writer,
    level: Level,
    json: bool,
    plain: bool,
) -> Result<(), Gone> {
    loop {
        let text = match clock.timeout(FRAME_HEARTBEAT, listener.next()).await {
            None if plain => continue,
            None => {
                writer.heartbeat(false).await?;
                continue;
            }
            Some(None) => return Ok(()),
            Some(Some(Heard::Line(line))) if line.level < level => continue,
            Some(Some(Heard::Line(line))) => format!("{}\n", if json { line.json } else { line.text }),
            Some(Some(Heard::Lost(count))) => {
                format!("{} [WARN] Monitor dropped {count} logs during monitor request\n", clock.now().rfc3339())
            }
        };
        if plain {
            writer.bytes(text).await?;
            continue;
        }
        for part in text.as_bytes().chunks(FRAME_MAX) {
            let frame = api::StreamFrame { data: Some(Base64(part.to_vec())), file_event: "log".to_owned(), ..Default::default() };
            writer.frame(&frame).await?;
        }
    }
}
