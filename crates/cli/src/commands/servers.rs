//! `server join|force-leave`, `node config`, `check`, `ui`, `alloc pause`, `monitor export`, `operator metrics`, and what is not
//! part of this version.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use drover_api::{OneTimeTokenUpsertResponse, SearchRequest, SearchResponse};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::sdk::{Query, SdkError, segment};

pub(super) const LEAVE_FLAGS: &[Flag] = &[Flag::switch("prune", "Forget the server altogether.")];
pub(super) const NODE_CONFIG_FLAGS: &[Flag] = &[
    Flag::switch("servers", "Show where the client finds servers."),
    Flag::switch("update-servers", "Tell the client where it finds servers."),
];
pub(super) const CHECK_FLAGS: &[Flag] = &[
    Flag::value("min-peers", "count", "How many other servers a server must know. Default 0."),
    Flag::value("min-servers", "count", "How many servers a client must know. Default 1."),
];
pub(super) const UI_FLAGS: &[Flag] = &[
    Flag::switch("authenticate", "Log in with the token in use, by a token that is good for one time."),
    Flag::switch("show-url", "Print the address and open nothing."),
];
pub(super) const PAUSE_FLAGS: &[Flag] = &[
    Flag::value("state", "pause|run|scheduled", "What the task is to do."),
    Flag::switch("status", "Show what the task does."),
    Flag::value("task", "task", "The task, where the allocation has several."),
    super::VERBOSE,
];
pub(super) const EXPORT_FLAGS: &[Flag] = &[
    Flag::value("node-id", "node", "The client to ask instead of the agent itself."),
    Flag::value("server-id", "server", "The server to ask instead of the agent itself."),
    Flag::value("service-name", "name", "The unit of systemd whose journal is shown."),
    Flag::value("logs-since", "duration", "How far back. Default 72h."),
    Flag::switch("follow", "Go on with what is written."),
    Flag::switch("on-disk", "Show the agent's log file."),
];
pub(super) const METRICS_FLAGS: &[Flag] =
    &[Flag::switch("pretty", "Indent the JSON."), Flag::value("format", "prometheus", "In another form."), super::JSON, super::TEMPLATE];

pub(super) async fn join(context: &mut Context) -> Outcome {
    if context.arguments().is_empty() {
        return Err(Failure::usage("One or more node addresses must be given as arguments"));
    }
    let client = context.client()?;
    let query = context.arguments().iter().fold(Query::new(), |query, address| query.set("address", address));
    let answer = client.put::<_, drover_api::JoinResponse>("/v1/agent/join", &query, &Value::Null).await.attempt("Error joining")?.value;
    if answer.num_joined == 0 {
        return Err(Failure::new(format!("Error joining: failed joining: {}", answer.error.trim_end())));
    }
    if !answer.error.is_empty() {
        context.ui.warn(format!("Joined only some of the servers: {}", answer.error.trim_end()));
    }
    if !answer.warning.is_empty() {
        context.ui.warn(&answer.warning);
    }
    context.ui.output(format!("Joined {} servers successfully", answer.num_joined));
    Ok(0)
}

pub(super) async fn force_leave(context: &mut Context) -> Outcome {
    let node = context.one_argument("<node>")?;
    let mut query = Query::new().set("node", node);
    if context.flags.on("prune") {
        query = query.set("prune", true);
    }
    context.client()?.put::<_, Value>("/v1/agent/force-leave", &query, &Value::Null).await.attempt("Error force-leaving server")?;
    Ok(0)
}

pub(super) async fn node_config(context: &mut Context) -> Outcome {
    let (show, change) = (context.flags.on("servers"), context.flags.on("update-servers"));
    if !show && !change {
        return Err(Failure::usage("The '-servers' or '-update-servers' flag(s) must be set"));
    }
    let client = context.client()?;
    if change {
        if context.arguments().is_empty() {
            return Err(Failure::usage("If the '-update-servers' flag is set, at least one server address must be given"));
        }
        let query = context.arguments().iter().fold(Query::new(), |query, address| query.set("address", address));
        client.put::<_, Value>("/v1/agent/servers", &query, &Value::Null).await.attempt("Error updating server list")?;
        context.ui.output("Updated server list");
    }
    if show {
        let servers = client.get::<Vec<String>>("/v1/agent/servers", &Query::new()).await.attempt("Error querying server list")?;
        servers.value.iter().for_each(|server| context.ui.output(server));
    }
    Ok(0)
}

type Stats = BTreeMap<String, BTreeMap<String, String>>;

pub(super) async fn check(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let number = |name: &str, default: usize| -> Result<usize, Failure> {
        let wrong = |text: &str| Failure::new(format!("invalid value {text:?} for flag -{name}: parse error"));
        context.flags.text(name).map_or(Ok(default), |text| text.parse().map_err(|_| wrong(text)))
    };
    let (peers, servers) = (number("min-peers", 0)?, number("min-servers", 1)?);
    let agent = match context.client()?.get::<Value>("/v1/agent/self", &Query::new()).await {
        Ok(answer) => answer.value,
        Err(error) => {
            context.ui.output(format!("unable to query agent info: {error}"));
            return Ok(2);
        }
    };
    let stats: Stats = serde_json::from_value(agent["stats"].clone()).unwrap_or_default();
    let (code, reason) = match (stats.get("raft"), stats.get("client")) {
        (Some(raft), _) => check_server(raft, peers),
        (None, Some(client)) => check_client(client, servers),
        (None, None) => (1, "agent is neither a server nor a client".to_owned()),
    };
    if !reason.is_empty() {
        context.ui.output(reason);
    }
    Ok(code)
}

fn check_server(raft: &BTreeMap<String, String>, least: usize) -> (i32, String) {
    match raft.get("num_peers").and_then(|text| text.parse::<usize>().ok()) {
        None => (2, "unable to get number of peers".to_owned()),
        Some(known) if known < least => (2, format!("known peers: {known}, is less than expected number of peers: {least}")),
        Some(_) => (0, String::new()),
    }
}

fn check_client(client: &BTreeMap<String, String>, least: usize) -> (i32, String) {
    let text = |name: &str| client.get(name).map_or("", String::as_str);
    let known = text("known_servers").split(',').filter(|server| !server.is_empty()).count();
    if known < least {
        return (2, format!("known servers: {known}, is less than expected number of servers: {least}"));
    }
    let (Ok(ttl), Ok(last)) =
        (drover_lang::duration::parse_duration(text("heartbeat_ttl")), drover_lang::duration::parse_duration(text("last_heartbeat")))
    else {
        return (2, "unable to read the time of the last heartbeat".to_owned());
    };
    if ttl > 0 && last > ttl {
        return (2, format!("last heartbeat was {} ago, expected heartbeat ttl: {}", text("last_heartbeat"), text("heartbeat_ttl")));
    }
    (0, String::new())
}

pub(super) async fn ui(context: &mut Context) -> Outcome {
    let client = context.client()?;
    let mut url = client.address().to_owned();
    match context.arguments() {
        [] => {}
        [id] => url.push_str(&page_of(context, &client, id).await?),
        _ => return Err(Failure::usage("This command takes no or one optional argument, [<identifier>]")),
    }
    let config = client.config();
    let mut parameters = Vec::new();
    for (name, value) in [("namespace", &config.namespace), ("region", &config.region)] {
        if !value.is_empty() {
            parameters.push(format!("{name}={}", segment(value)));
        }
    }
    let mut opened = url.clone();
    if context.flags.on("authenticate") {
        let answer = client.put::<_, OneTimeTokenUpsertResponse>("/v1/acl/token/onetime", &Query::new(), &Value::Null).await;
        let token = answer.attempt("Could not get one-time token")?.value.one_time_token.unwrap_or_default();
        parameters.insert(0, format!("ott={}", token.one_time_secret_id));
    }
    if !parameters.is_empty() {
        opened = format!("{url}?{}", parameters.join("&"));
    }
    if context.flags.on("show-url") {
        context.ui.output(format!("URL for web UI: {opened}"));
        return Ok(0);
    }
    context.ui.output(format!("Opening URL {url:?}"));
    let started = std::process::Command::new("xdg-open")
        .arg(&opened)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    match started {
        Ok(status) if status.success() => Ok(0),
        _ => Err(Failure::new(format!("Error opening URL: no browser could be started; visit {opened}"))),
    }
}

/// The page of whatever has this id.
async fn page_of(context: &Context, client: &crate::sdk::Client, id: &str) -> Result<String, Failure> {
    let request = SearchRequest { prefix: id.to_owned(), context: "all".to_owned(), ..SearchRequest::default() };
    let answer = client.put::<_, SearchResponse>("/v1/search", &Query::new(), &request).await;
    let matches = answer.attempt("Error querying search with id")?.value.matches.unwrap_or_default();
    let kinds = [("jobs", "jobs"), ("allocs", "allocations"), ("nodes", "clients")];
    let found: Vec<(&str, String)> = kinds
        .into_iter()
        .flat_map(|(kind, page)| {
            let ids = matches.get(kind).cloned().flatten().unwrap_or_default();
            ids.into_iter().map(move |id| (page, id))
        })
        .collect();
    let exact = found.iter().find(|(_, found)| found == id);
    match (exact, found.as_slice()) {
        (Some((page, id)), _) | (None, [(page, id)]) => Ok(format!("/ui/{page}/{}", segment(id))),
        (None, []) => Err(Failure::new(format!("Unable to resolve ID: {id:?}"))),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|(_, id)| crate::text::short(id, context.verbose())).collect();
            Err(Failure::new(format!("Multiple matches found for id {id:?}: {}", names.join(", "))))
        }
    }
}

pub(super) async fn pause(context: &mut Context) -> Outcome {
    let (given, named) = match context.arguments() {
        [alloc] => (alloc.clone(), None),
        [alloc, task] => (alloc.clone(), Some(task.clone())),
        _ => return Err(Failure::usage("This command takes one or two arguments: <alloc-id> <task>")),
    };
    let client = context.client()?;
    let alloc = resolve::alloc(context, &client, &given).await?;
    let query = Query::new().namespace(&alloc.namespace).set_some("task", &named.unwrap_or_default());
    let path = format!("/v1/client/allocation/{}/pause", alloc.id);
    if context.flags.on("status") {
        let answer = client.get::<String>(&path, &query).await.attempt("Error getting task pause state")?;
        context.ui.output(answer.value);
        return Ok(0);
    }
    let state = context.flags.text("state").unwrap_or("pause");
    let body = serde_json::json!({ "ScheduleState": state, "Task": context.flags.text("task").unwrap_or("") });
    client.put::<_, Value>(&path, &query, &body).await.attempt("Failed to pause task")?;
    Ok(0)
}

pub(super) async fn export(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let client = context.client()?;
    let mut query = Query::new();
    if let Some(given) = context.flags.text("node-id") {
        let (node, _) = resolve::node(context, &client, given).await?;
        query = query.set("node_id", node.id);
    }
    for (flag, name) in [("server-id", "server_id"), ("service-name", "service_name"), ("logs-since", "logs_since")] {
        query = query.set_some(name, context.flags.value(flag).unwrap_or(""));
    }
    for (flag, name) in [("on-disk", "on_disk"), ("follow", "follow")] {
        if context.flags.on(flag) {
            query = query.set(name, true);
        }
    }
    let wrong = |error: SdkError| Failure::usage(format!("Error starting monitor: \n{error}"));
    let context = &*context;
    let reading = async {
        let mut frames = crate::sdk::Frames::new(client.stream("/v1/agent/monitor/export", &query).await.map_err(wrong)?);
        let mut something = false;
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|error| Failure::new(format!("Error streaming logs: {error}")))?;
            something = true;
            context.ui.raw(&frame.data.map(|data| data.0).unwrap_or_default());
        }
        if something { Ok(0) } else { Err(Failure::new("No logs found")) }
    };
    super::until_interrupted(true, reading).await
}

pub(super) async fn metrics(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    if context.formatted() {
        let answer = client.get::<Value>("/v1/metrics", &Query::new()).await.attempt("Error querying metrics")?;
        return context.print_formatted(&answer.value);
    }
    let mut query = Query::new().set_some("format", context.flags.value("format").unwrap_or(""));
    if context.flags.on("pretty") {
        query = query.set("pretty", true);
    }
    let response = client.raw(crate::sdk::Method::GET, "/v1/metrics", &query, None).await.attempt("Error querying metrics")?;
    let code = response.status();
    let body = response.text().await.map_err(|error| Failure::new(format!("Error querying metrics: {error}")))?;
    if !code.is_success() {
        return Err(Failure::new(format!("Error querying metrics: Unexpected response code: {} ({body})", code.as_u16())));
    }
    context.ui.output(body.trim_end());
    Ok(0)
}

/// A command whose route is not part of this version, or only of the paid edition of upstream: it asks, and says what it is told.
async fn refused(context: &Context, method: crate::sdk::Method, path: &str, attempt: &str) -> Outcome {
    let client = context.client()?;
    let body = (method != crate::sdk::Method::GET).then(|| b"{}".to_vec());
    let response = client.raw(method, path, &Query::new(), body).await.attempt(attempt)?;
    let code = response.status().as_u16();
    let body = response.text().await.map_err(|error| Failure::new(format!("{attempt}: {error}")))?;
    if code == 204 {
        return Err(Failure::new(format!("{attempt}: Nomad Enterprise only endpoint")));
    }
    if code < 400 {
        context.ui.output(body);
        return Ok(0);
    }
    Err(Failure::new(format!("{attempt}: Unexpected response code: {code} ({})", body.trim_end())))
}

/// What each command that is not part of this version asks for.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("license get", "GET", "/v1/operator/license", "Error getting license"),
    ("operator utilization", "POST", "/v1/operator/utilization", "Error generating bundle"),
    ("plugin status", "GET", "/v1/plugins", "Error querying CSI plugins"),
    ("quota apply", "PUT", "/v1/quota", "Error applying quota specification"),
    ("quota delete", "DELETE", "/v1/quota/{}", "Error deleting quota"),
    ("quota inspect", "GET", "/v1/quotas", "Error retrieving quota"),
    ("quota list", "GET", "/v1/quotas", "Error retrieving quotas"),
    ("quota status", "GET", "/v1/quotas", "Error retrieving quota"),
    ("recommendation apply", "PUT", "/v1/recommendations/apply", "Error applying recommendations"),
    ("recommendation dismiss", "PUT", "/v1/recommendations/apply", "Error dismissing recommendations"),
    ("recommendation info", "GET", "/v1/recommendation/{}", "Error reading recommendation"),
    ("recommendation list", "GET", "/v1/recommendations", "Error listing recommendations"),
    ("sentinel apply", "PUT", "/v1/sentinel/policy/{}", "Error writing Sentinel policy"),
    ("sentinel delete", "DELETE", "/v1/sentinel/policy/{}", "Error deleting Sentinel policy"),
    ("sentinel list", "GET", "/v1/sentinel/policies", "Error listing Sentinel policies"),
    ("sentinel read", "GET", "/v1/sentinel/policy/{}", "Error querying Sentinel policy"),
    ("volume claim delete", "DELETE", "/v1/volumes/claim/{}", "Error deleting claim"),
    ("volume claim list", "GET", "/v1/volumes/claims", "Error retrieving claims"),
    ("volume create", "PUT", "/v1/volumes", "Error creating volume"),
    ("volume delete", "DELETE", "/v1/volume/csi/{}/delete", "Error deleting volume"),
    ("volume deregister", "DELETE", "/v1/volume/csi/{}", "Error deregistering volume"),
    ("volume detach", "DELETE", "/v1/volume/csi/{}/detach", "Error detaching volume"),
    ("volume register", "PUT", "/v1/volumes", "Error registering volume"),
    ("volume snapshot create", "PUT", "/v1/volumes/snapshot", "Error snapshotting volume"),
    ("volume snapshot delete", "DELETE", "/v1/volumes/snapshot", "Error deleting snapshot"),
    ("volume snapshot list", "GET", "/v1/volumes/snapshot", "Error querying CSI external snapshots"),
    ("volume status", "GET", "/v1/volumes", "Error listing CSI volumes"),
];

pub(super) async fn missing(context: &mut Context) -> Outcome {
    let path = context.command.path;
    // Nobody is there to be asked.
    if path.starts_with("setup ") && !context.flags.on("y") && !std::io::stdin().is_terminal() {
        return Err(Failure::new("This command requires -y option when running in non-interactive mode"));
    }
    if path == "login" {
        let client = context.client()?;
        client.get::<Value>("/v1/acl/auth-methods", &Query::new()).await.attempt("Error listing ACL auth methods")?;
    }
    let Some((_, method, route, attempt)) = REFUSED.iter().find(|(command, ..)| *command == path) else {
        return Err(Failure::new(format!("{path}: not part of this version of Drover")));
    };
    // A file that is named has to be there, whatever comes of it.
    if path == "quota apply"
        && let [file] = context.arguments()
        && file != "-"
        && !context.environment.directory.join(file).is_file()
    {
        return Err(Failure::new(format!("Failed to read file: open {file}: no such file or directory")));
    }
    let id = context.arguments().first().map_or("", String::as_str);
    let method = crate::sdk::Method::from_bytes(method.as_bytes()).map_err(|error| Failure::new(error.to_string()))?;
    refused(context, method, &route.replace("{}", &segment(id)), attempt).await
}
