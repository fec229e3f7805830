//! `status`, `server members`, `agent-info`, `monitor`, `version`, `system gc`, `operator api`.

use std::collections::BTreeMap;

use drover_api::{AgentMember, SearchRequest, SearchResponse, ServerMembers};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::row;
use crate::sdk::{Query, SdkError};
use crate::text::table;

pub(super) const STATUS_FLAGS: &[Flag] = &[Flag::switch("ui", ""), super::VERBOSE];
pub(super) const MEMBERS_FLAGS: &[Flag] =
    &[super::VERBOSE, Flag::switch("detailed", ""), Flag::switch("ui", ""), super::JSON, super::TEMPLATE];
pub(super) const INFO_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const MONITOR_FLAGS: &[Flag] = &[
    Flag::value("log-level", "level", "The lowest level shown: trace, debug, info, warn or error. Default info."),
    Flag::switch("log-include-location", "Show the place in the source of each line."),
    Flag::value("node-id", "node", "The client to ask instead of the agent itself."),
    Flag::value("server-id", "server", "The server to ask instead of the agent itself."),
    super::JSON,
];
pub(super) const API_FLAGS: &[Flag] = &[
    Flag::value("X", "method", "The method. Default GET, or POST when there is a body on the input."),
    Flag::value("filter", "expression", "Only items that match."),
    Flag::switch("verbose", "Show the request and the headers of the answer."),
    Flag::values("H", "name: value", "One more header."),
    Flag::switch("dryrun", "Print a command of curl that does the same, and send nothing."),
];

/// The version that is shown.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn version(context: &mut Context) -> Outcome {
    context.ui.output(format!("Drover v{VERSION}"));
    Ok(0)
}

pub(super) async fn status(context: &mut Context) -> Outcome {
    let id = match context.arguments() {
        [] => return redirect(context, "job status", Vec::new()).await,
        [id] => id.clone(),
        _ => return Err(Failure::usage("This command takes either no arguments or one: <identifier>")),
    };
    let client = context.client()?;
    let request = SearchRequest { prefix: id.clone(), context: "all".to_owned(), ..SearchRequest::default() };
    let answer = client.put::<_, SearchResponse>("/v1/search", &Query::new(), &request).await;
    let matches = answer.attempt("Error querying search with id")?.value.matches.unwrap_or_default();
    let matches: BTreeMap<String, Vec<String>> =
        matches.into_iter().map(|(kind, found)| (kind, found.unwrap_or_default())).filter(|(_, found)| !found.is_empty()).collect();
    let exact: Vec<&String> = matches.iter().filter(|(_, found)| found.contains(&id)).map(|(kind, _)| kind).collect();
    let chosen = match (exact.as_slice(), matches.len()) {
        ([one], _) => Some((*one).clone()),
        (_, 1) => matches.iter().find(|(_, found)| found.len() == 1).map(|(kind, _)| kind.clone()),
        _ => None,
    };
    let Some(kind) = chosen else {
        if matches.is_empty() {
            return Err(Failure::new(format!("Unable to resolve ID: {id:?}")));
        }
        let blocks: Vec<String> = matches.iter().map(|(kind, found)| format!("\n{}:\n{}", capitalised(kind), found.join(", "))).collect();
        return Err(Failure::new(format!("Multiple matches found for id {id:?}\n{}", blocks.join("\n"))));
    };
    let command = match kind.as_str() {
        "jobs" => "job status",
        "allocs" => "alloc status",
        "nodes" => "node status",
        "evals" => "eval status",
        "deployment" => "deployment status",
        other => return Err(Failure::new(format!("{id:?} is in {other}, which this version has no status of"))),
    };
    redirect(context, command, vec![id]).await
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// Runs another command with the same general flags.
async fn redirect(context: &mut Context, path: &str, arguments: Vec<String>) -> Outcome {
    let command = super::commands().find(|command| command.path == path).ok_or_else(|| Failure::new(format!("no command {path:?}")))?;
    context.flags.arguments = arguments;
    context.command = command;
    (command.run)(context).await
}

pub(super) async fn members(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let answer = client.get::<ServerMembers>("/v1/agent/members", &Query::new()).await;
    let mut members = answer.attempt("Error querying servers")?.value.members.unwrap_or_default();
    members.sort_by(|left, right| {
        (tag(left, "region"), tag(left, "dc"), &left.name).cmp(&(tag(right, "region"), tag(right, "dc"), &right.name))
    });
    let mut leaders = BTreeMap::new();
    let mut problems = Vec::new();
    for member in &members {
        let region = tag(member, "region").to_owned();
        if leaders.contains_key(&region) {
            continue;
        }
        match client.get::<String>("/v1/status/leader", &Query::new().region(&region)).await {
            Ok(answer) => {
                leaders.insert(region, answer.value);
            }
            Err(error) => {
                problems.push(format!("Region {region:?}: {error}"));
                leaders.insert(region, String::new());
            }
        }
    }
    let is_leader = |member: &AgentMember| {
        let leader = leaders.get(tag(member, "region")).map_or("", String::as_str);
        let host = if tag(member, "rpc_addr").is_empty() { &member.addr } else { tag(member, "rpc_addr") };
        !leader.is_empty() && leader == format!("{host}:{}", tag(member, "port"))
    };
    if context.formatted() {
        let mut shown = members.clone();
        for member in &mut shown {
            let leads = is_leader(member).to_string();
            member.tags.get_or_insert_default().insert("Leader".to_owned(), leads);
        }
        return context.print_formatted(&shown);
    }
    let detailed = context.verbose() || context.flags.on("detailed");
    let mut head = row!["Name", "Address", "Port", "Status", "Leader"];
    if detailed {
        head.push("Protocol".to_owned());
    }
    head.extend(row!["Raft Version", "Build", "Datacenter", "Region"]);
    if detailed {
        head.push("Tags".to_owned());
    }
    let mut rows = vec![head];
    for member in &members {
        let mut row = row![member.name, member.addr, member.port, member.status, is_leader(member)];
        if detailed {
            row.push(member.protocol_cur.to_string());
        }
        row.extend(row![tag(member, "raft_vsn"), tag(member, "build"), tag(member, "dc"), tag(member, "region")]);
        if detailed {
            let tags = member.tags.iter().flatten().map(|(name, value)| format!("{name}={value}"));
            row.push(tags.collect::<Vec<_>>().join(","));
        }
        rows.push(row);
    }
    context.ui.output(table(&rows));
    context.hint(&client, "View and manage Drover servers", "servers").await;
    if !problems.is_empty() {
        return Err(Failure::new(format!("\nError determining leaders: {}", problems.join("; "))));
    }
    Ok(0)
}

fn tag<'a>(member: &'a AgentMember, name: &str) -> &'a str {
    member.tags.as_ref().and_then(|tags| tags.get(name)).map_or("", String::as_str)
}

pub(super) async fn agent_info(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let agent = client
        .get::<Value>("/v1/agent/self", &Query::new())
        .await
        .attempt("Error querying agent info: failed querying self endpoint")?
        .value;
    if context.formatted() {
        return context.print_formatted(&agent);
    }
    let sections: BTreeMap<String, Option<BTreeMap<String, String>>> = serde_json::from_value(agent["stats"].clone()).unwrap_or_default();
    for (name, values) in sections {
        context.ui.output(name);
        for (key, value) in values.unwrap_or_default() {
            context.ui.output(format!("  {key} = {value}"));
        }
    }
    Ok(0)
}

pub(super) async fn monitor(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let client = context.client()?;
    let mut query = Query::new().set_some("log_level", context.flags.value("log-level").unwrap_or(""));
    if let Some(given) = context.flags.text("node-id") {
        let (node, _) = crate::resolve::node(context, &client, given).await?;
        query = query.set("node_id", node.id);
    }
    query = query.set_some("server_id", context.flags.value("server-id").unwrap_or(""));
    for (flag, name) in [("json", "log_json"), ("log-include-location", "log_include_location")] {
        if context.flags.on(flag) {
            query = query.set(name, true);
        }
    }
    let wrong = |error: SdkError| Failure::usage(format!("Error starting monitor: {error}"));
    let context = &*context;
    let reading = async {
        let mut frames = crate::sdk::Frames::new(client.stream("/v1/agent/monitor", &query).await.map_err(wrong)?);
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|error| Failure::new(format!("Error streaming logs: {error}")))?;
            context.ui.raw(&frame.data.map(|data| data.0).unwrap_or_default());
        }
        Ok(0)
    };
    super::until_interrupted(true, reading).await
}

pub(super) async fn gc(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let client = context.client()?;
    client.put::<_, Value>("/v1/system/gc", &Query::new(), &Value::Null).await.attempt("Error running system garbage-collection")?;
    Ok(0)
}

/// The largest body that is sent from the input.
const BODY_MAX: usize = 64 * 1024 * 1024;

/// Prints a command of curl that does the same; secrets are named by their variables.
fn curl(
    context: &Context,
    client: &crate::sdk::Client,
    method: &crate::sdk::Method,
    path: &str,
    body: bool,
    headers: &[(&str, &str)],
) -> i32 {
    let mut parts = vec!["curl".to_owned(), format!("-X {method}")];
    if body {
        parts.push("--data-binary @-".to_owned());
    }
    parts.extend(headers.iter().map(|(name, value)| format!("-H '{name}: {value}'")));
    let config = client.config();
    if !config.token.is_empty() {
        parts.push("-H \"X-Nomad-Token: ${NOMAD_TOKEN}\"".to_owned());
    }
    if !config.basic_auth.is_empty() {
        parts.push("-u \"$NOMAD_HTTP_AUTH\"".to_owned());
    }
    let mut url = format!("{}{path}", client.address());
    for (name, value) in [("namespace", &config.namespace), ("region", &config.region)] {
        if !value.is_empty() {
            url.push_str(&format!("{}{name}={}", if url.contains('?') { '&' } else { '?' }, crate::sdk::segment(value)));
        }
    }
    parts.push(url);
    context.ui.output(parts.join(" \\\n  "));
    0
}

pub(super) async fn api(context: &mut Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    let body = if context.environment.stdin_terminal {
        None
    } else {
        Some(context.ui.read_input(BODY_MAX).map_err(|error| Failure::new(format!("Error reading the input: {error}")))?)
    };
    let default = if body.as_ref().is_some_and(|body| !body.is_empty()) { "POST" } else { "GET" };
    let method = context.flags.text("X").unwrap_or(default).to_ascii_uppercase();
    let method = method.parse().map_err(|_| Failure::usage(format!("Invalid method {method:?}")))?;
    let mut headers = Vec::new();
    for header in context.flags.values("H") {
        let wrong = || Failure::usage(format!("Invalid header {header:?}: it has no colon"));
        let (name, value) = header.split_once(':').ok_or_else(wrong)?;
        headers.push((name.trim(), value.trim()));
    }
    let client = context.client()?;
    let path = if path.starts_with('/') { path } else { format!("/v1/{path}") };
    let query = Query::new().set_some("filter", context.flags.value("filter").unwrap_or(""));
    if context.flags.on("dryrun") {
        return Ok(curl(context, &client, &method, &path, body.is_some_and(|body| !body.is_empty()), &headers));
    }
    if context.verbose() {
        context.ui.note(format!("> {method} {}{path}", client.address()));
    }
    let mut response =
        client.raw_with(method, &path, &query, body.filter(|body| !body.is_empty()), &headers).await.attempt("Error making request")?;
    if context.verbose() {
        context.ui.note(format!("< {:?} {}", response.version(), response.status()));
        for (name, value) in response.headers() {
            context.ui.note(format!("< {name}: {}", value.to_str().unwrap_or("")));
        }
    }
    while let Ok(Some(chunk)) = response.chunk().await {
        context.ui.raw(&chunk);
    }
    Ok(0)
}
