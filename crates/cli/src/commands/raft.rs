//! `operator raft|autopilot` as far as a running server answers them, and the keyrings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_api::{AutopilotConfiguration, OperatorHealthReply, RaftConfiguration};
use drover_rt::Entropy;
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::{Flag, boolean};
use crate::row;
use crate::sdk::Query;
use crate::text::table;

pub(super) const PEERS_FLAGS: &[Flag] = &[Flag::switch("stale", "Let a server answer that does not lead.")];
pub(super) const PEER_FLAGS: &[Flag] = &[Flag::value("peer-id", "id", "The id of the server.")];
pub(super) const TRANSFER_FLAGS: &[Flag] = &[
    Flag::value("peer-address", "address", "The address of the server that is to lead."),
    Flag::value("peer-id", "id", "The id of the server that is to lead."),
];
pub(super) const AUTOPILOT_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const HEALTH_FLAGS: &[Flag] = &[super::JSON];
pub(super) const AUTOPILOT_SET_FLAGS: &[Flag] = &[
    Flag::value("cleanup-dead-servers", "true|false", "Whether servers that have failed are removed."),
    Flag::value("max-trailing-logs", "count", "How many entries a healthy server may be behind."),
    Flag::value("last-contact-threshold", "duration", "How long a healthy server may not have heard of the leader."),
    Flag::value("server-stabilization-time", "duration", "How long a server must be healthy before it votes."),
    Flag::value("min-quorum", "count", "Dead servers are kept while fewer than this would be left."),
    Flag::value("enable-redundancy-zones", "true|false", "Kept and shown."),
    Flag::value("disable-upgrade-migration", "true|false", "Kept and shown."),
    Flag::value("enable-custom-upgrades", "true|false", "Kept and shown."),
];
pub(super) const KEYS_FLAGS: &[Flag] = &[super::VERBOSE];
pub(super) const ROTATE_FLAGS: &[Flag] = &[
    Flag::switch("full", "Encrypt everything again."),
    Flag::switch("now", "Use the new key at once."),
    Flag::value("prepublish", "duration", "Use the new key after this time."),
    super::VERBOSE,
];
pub(super) const REMOVE_KEY_FLAGS: &[Flag] = &[Flag::switch("force", "Remove the key even if something needs it.")];

const AUTOPILOT: &str = "/v1/operator/autopilot/configuration";

pub(super) async fn list_peers(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let client = context.client()?;
    let query = if context.flags.on("stale") { Query::new().set("stale", true) } else { Query::new() };
    let answer = client.get::<RaftConfiguration>("/v1/operator/raft/configuration", &query).await;
    let mut servers = answer.attempt("Failed to retrieve raft configuration")?.value.servers.unwrap_or_default();
    servers.sort_by(|one, other| one.node.cmp(&other.node));
    let mut rows = vec![row!["Node", "ID", "Address", "State", "Voter", "RaftProtocol"]];
    for server in servers {
        let state = if server.leader { "leader" } else { "follower" };
        rows.push(row![server.node, server.id, server.address, state, server.voter, server.raft_protocol]);
    }
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn remove_peer(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let id = context.flags.text("peer-id").ok_or_else(|| Failure::new("Missing peer id required"))?;
    let client = context.client()?;
    client.delete::<Value>("/v1/operator/raft/peer", &Query::new().set("id", id)).await.attempt("Error removing peer")?;
    context.ui.output(format!("Removed peer with id {id:?}"));
    Ok(0)
}

pub(super) async fn transfer(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let wrong = |text: &str| Failure::new(format!("Error transferring leadership to peer: {text}"));
    let (query, name) = match (context.flags.text("peer-id"), context.flags.text("peer-address")) {
        (None, None) => return Err(wrong("an address or id is required for the destination peer")),
        (Some(_), Some(_)) => return Err(wrong("cannot specify both an address and an id")),
        (Some(id), None) => (Query::new().set("id", id), format!("id {id:?}")),
        (None, Some(address)) => (Query::new().set("address", address), format!("address {address:?}")),
    };
    let client = context.client()?;
    let answer = client.put::<_, Value>("/v1/operator/raft/transfer-leadership", &query, &Value::Null).await;
    answer.attempt("Error transferring leadership to peer")?;
    context.ui.output(format!("Transferred leadership to peer with {name}"));
    Ok(0)
}

pub(super) async fn autopilot(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let config = client.get::<Value>(AUTOPILOT, &Query::new()).await.attempt("Error querying Autopilot configuration")?.value;
    if context.formatted() {
        return context.print_formatted(&config);
    }
    let names = [
        "CleanupDeadServers",
        "LastContactThreshold",
        "MaxTrailingLogs",
        "MinQuorum",
        "ServerStabilizationTime",
        "EnableRedundancyZones",
        "DisableUpgradeMigration",
        "EnableCustomUpgrades",
    ];
    for name in names {
        let value = config[name].as_str().map_or_else(|| config[name].to_string(), str::to_owned);
        context.ui.output(format!("{name} = {value}"));
    }
    Ok(0)
}

pub(super) async fn set_autopilot(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    // A wrong value is told as soon as it is met, with the help, and once more as what it means for the command.
    let refused = |name: &str, text: &str, reason: &str| {
        let sentence = format!("invalid value {text:?} for flag -{name}: {reason}");
        context.ui.output(context.command.help());
        Failure::new(format!("{sentence}\nFailed to parse args: {sentence}"))
    };
    let flag = |name: &str| -> Result<Option<bool>, Failure> {
        context.flags.text(name).map(|text| boolean(text).ok_or_else(|| refused(name, text, "parse error"))).transpose()
    };
    let number = |name: &str| -> Result<Option<u64>, Failure> {
        context.flags.text(name).map(|text| text.parse().map_err(|_| refused(name, text, "parse error"))).transpose()
    };
    let duration = |name: &str| -> Result<Option<String>, Failure> {
        let read = |text: &str| match drover_lang::duration::parse_duration(text) {
            Ok(nanoseconds) => Ok(drover_base::time::go_duration(nanoseconds)),
            Err(error) => Err(refused(name, text, &error.to_string())),
        };
        context.flags.text(name).map(read).transpose()
    };
    let booleans = [
        flag("cleanup-dead-servers")?,
        flag("enable-redundancy-zones")?,
        flag("disable-upgrade-migration")?,
        flag("enable-custom-upgrades")?,
    ];
    let numbers = [number("max-trailing-logs")?, number("min-quorum")?];
    let durations = [duration("last-contact-threshold")?, duration("server-stabilization-time")?];
    let client = context.client()?;
    let answer = client.get::<AutopilotConfiguration>(AUTOPILOT, &Query::new()).await;
    let mut config = answer.attempt("Error querying Autopilot configuration")?.value;
    let settings = [
        &mut config.cleanup_dead_servers,
        &mut config.enable_redundancy_zones,
        &mut config.disable_upgrade_migration,
        &mut config.enable_custom_upgrades,
    ];
    for (given, setting) in booleans.into_iter().zip(settings) {
        *setting = given.unwrap_or(*setting);
    }
    for (given, setting) in numbers.into_iter().zip([&mut config.max_trailing_logs, &mut config.min_quorum]) {
        *setting = given.unwrap_or(*setting);
    }
    for (given, setting) in durations.into_iter().zip([&mut config.last_contact_threshold, &mut config.server_stabilization_time]) {
        if let Some(given) = given {
            *setting = given;
        }
    }
    let query = Query::new().set("cas", config.modify_index);
    let updated = client.put::<_, bool>(AUTOPILOT, &query, &config).await.attempt("Error setting Autopilot configuration")?.value;
    if !updated {
        return Err(Failure::new("Configuration could not be atomically updated, please try again"));
    }
    context.ui.output("Configuration updated!");
    Ok(0)
}

pub(super) async fn health(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let client = context.client()?;
    let response = client.raw(crate::sdk::Method::GET, "/v1/operator/autopilot/health", &Query::new(), None).await;
    let response = response.attempt("Error querying Autopilot health")?;
    let code = response.status().as_u16();
    let body = response.text().await.map_err(|error| Failure::new(format!("Error querying Autopilot health: {error}")))?;
    // Servers that are not well answer with 429 and the same object.
    if !matches!(code, 200 | 429) {
        return Err(Failure::new(format!("Error querying Autopilot health: Unexpected response code: {code} ({body})")));
    }
    let health: OperatorHealthReply =
        serde_json::from_str(&body).map_err(|error| Failure::new(format!("Error reading health: {error}")))?;
    if context.flags.on("json") {
        context.ui.output(body.trim_end());
        return Ok(0);
    }
    let voters = health.voters.unwrap_or_default().join("\n");
    let mut rows = vec![row![
        "ID",
        "Name",
        "Address",
        "SerfStatus",
        "Version",
        "Leader",
        "Voter",
        "Healthy",
        "LastContact",
        "LastTerm",
        "LastIndex",
        "StableSince"
    ]];
    for one in health.servers.unwrap_or_default() {
        let since = crate::text::parse_time(one.stable_since.as_deref());
        let since = since.map(|time| format!("{} +0000 UTC", crate::text::Zone::utc().time(time).replace('T', " ").trim_end_matches('Z')));
        rows.push(row![
            one.id,
            one.name,
            one.address,
            one.serf_status,
            one.version,
            one.leader,
            one.voter,
            one.healthy,
            one.last_contact,
            one.last_term,
            one.last_index,
            since.unwrap_or_default()
        ]);
    }
    context.ui.output(format!("Healthy: {}", health.healthy));
    context.ui.output(format!("FailureTolerance: {}", health.failure_tolerance));
    context.ui.output(format!("Leader: {}", health.leader));
    context.ui.output(format!("Voters:  \n\t{voters}"));
    context.ui.output(format!("Servers: \n{}", table(&rows)));
    Ok(0)
}

pub(super) async fn gossip_generate(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let entropy = Entropy::system();
    let key = [entropy.bits().to_le_bytes(), entropy.bits().to_le_bytes()].concat();
    context.ui.output(STANDARD.encode(key));
    Ok(0)
}

async fn gossip(context: &Context, operation: &str, progress: &str) -> Outcome {
    let key = if operation == "list" {
        context.no_arguments()?;
        String::new()
    } else {
        context.one_argument("<key>")?
    };
    context.ui.output(progress);
    let client = context.client()?;
    let path = format!("/v1/agent/keyring/{operation}");
    let answer = if operation == "list" {
        client.get::<drover_api::KeyringResponse>(&path, &Query::new()).await
    } else {
        client.put(&path, &Query::new(), &drover_api::KeyringRequest { key }).await
    };
    let answer = answer.attempt("error")?.value;
    if operation == "list" {
        let keys = answer.keys.unwrap_or_default().into_keys().map(|key| row![key]);
        context.ui.output(table(&std::iter::once(row!["Key"]).chain(keys).collect::<Vec<_>>()));
    }
    Ok(0)
}

pub(super) async fn gossip_list(context: &mut Context) -> Outcome {
    gossip(context, "list", "Gathering installed encryption keys...").await
}

pub(super) async fn gossip_install(context: &mut Context) -> Outcome {
    gossip(context, "install", "Installing new gossip encryption key...").await
}

pub(super) async fn gossip_use(context: &mut Context) -> Outcome {
    gossip(context, "use", "Changing primary gossip encryption key...").await
}

pub(super) async fn gossip_remove(context: &mut Context) -> Outcome {
    gossip(context, "remove", "Removing gossip encryption key...").await
}

fn show_keys(context: &Context, keys: &[drover_api::RootKeyMeta]) {
    let mut rows = vec![row!["Key", "State", "Create Time", "Publish Time"]];
    for key in keys {
        let id = crate::text::short(&key.key_id, context.verbose());
        rows.push(row![id, key.state, context.zone.nanoseconds(key.create_time), context.zone.nanoseconds(key.publish_time)]);
    }
    context.ui.output(table(&rows));
}

async fn root_keys(context: &Context) -> Result<Vec<drover_api::RootKeyMeta>, Failure> {
    let client = context.client()?;
    let answer = client.get::<Vec<drover_api::RootKeyMeta>>("/v1/operator/keyring/keys", &Query::new()).await;
    Ok(answer.attempt("error")?.value)
}

pub(super) async fn root_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let keys = root_keys(context).await?;
    show_keys(context, &keys);
    Ok(0)
}

pub(super) async fn root_rotate(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let (now, later) = (context.flags.on("now"), context.flags.text("prepublish"));
    if now == later.is_some() {
        return Err(Failure::new(
            "\nOne of \"-now\" or \"-prepublish\" must be used.\n\nIf a key has been leaked use \"-now\" to force immediate \
             rotation.\n\nOtherwise please use \"-prepublish <duration>\" to ensure the new key is not used\nto sign workload \
             identities before JWKS endpoints are updated.",
        ));
    }
    let mut query = Query::new();
    if context.flags.on("full") {
        query = query.set("full", true);
    }
    if let Some(text) = later {
        let wait = drover_lang::duration::parse_duration(text).map_err(|error| Failure::new(format!("-prepublish: {error}")))?;
        query = query.set("publish_time", context.clock.now().0.saturating_add(wait));
    }
    let client = context.client()?;
    let answer = client.put::<_, drover_api::KeyringRotateResponse>("/v1/operator/keyring/rotate", &query, &Value::Null).await;
    let key = answer.attempt("error")?.value.key.unwrap_or_default();
    show_keys(context, &[key]);
    Ok(0)
}

pub(super) async fn root_remove(context: &mut Context) -> Outcome {
    let given = context.one_argument("<key ID>")?;
    let keys = root_keys(context).await?;
    let found: Vec<&drover_api::RootKeyMeta> = keys.iter().filter(|key| key.key_id.starts_with(&given)).collect();
    let key = match found.as_slice() {
        [key] => *key,
        [] => return Err(Failure::new(format!("No encryption key(s) with prefix or ID {given:?} found"))),
        several => {
            let several: Vec<drover_api::RootKeyMeta> = several.iter().map(|key| (*key).clone()).collect();
            show_keys(context, &several);
            return Err(Failure::new("Prefix matched several keys"));
        }
    };
    let query = if context.flags.on("force") { Query::new().set("force", true) } else { Query::new() };
    let path = format!("/v1/operator/keyring/key/{}", crate::sdk::segment(&key.key_id));
    context.client()?.delete::<Value>(&path, &query).await.attempt("error")?;
    context.ui.output(format!("Removed encryption key {}", key.key_id));
    Ok(0)
}
