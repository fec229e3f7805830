//! `operator debug`: everything that helps to find out what is wrong with a region, in one archive.
//!
//! What cannot be had is an error in its place, so that a bundle always comes to be.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::sdk::{Client, Query};

pub(super) const FLAGS: &[Flag] = &[
    Flag::value("duration", "duration", "How long to capture. Default 5m."),
    Flag::value("interval", "duration", "How often the state is captured. Default 30s."),
    Flag::value("log-level", "level", "The lowest level of the logs. Default trace."),
    Flag::switch("log-include-location", "Show the place in the source of each line."),
    Flag::value("log-lookback", "duration", "Capture what was logged this long before, too."),
    Flag::switch("log-file-export", "Capture the agents' log files."),
    Flag::value("max-nodes", "count", "The most clients that are captured. Default 10; 0 for no bound."),
    Flag::value("node-class", "class", "Only clients of this class."),
    Flag::value("node-id", "ids", "Only these clients, or \"all\"."),
    Flag::value("server-id", "names", "Only these servers, or \"all\" or \"leader\"."),
    Flag::switch("stale", "Let servers answer that do not lead."),
    Flag::value("output", "directory", "Write a directory here instead of an archive."),
    Flag::value("pprof-duration", "duration", "How long profiles take. Default 1s; 0s for none."),
    Flag::value("pprof-interval", "duration", "How often profiles are taken. Default 30s."),
    Flag::value("event-topic", "topics", "Topics of events to capture, or \"none\" or \"all\"."),
    Flag::value("event-index", "index", "The first event to capture."),
    super::VERBOSE,
];

/// The most bytes of one log, and of events.
const CAPTURE_MAX: usize = 16 << 20;
/// Rounds that are captured at most.
const ROUNDS_MAX: u64 = 10_000;

type Files = Vec<(String, Vec<u8>)>;

fn duration(context: &Context, flag: &str, default: u64) -> Result<Duration, Failure> {
    let wrong = |text: &str| Failure::new(format!("Error parsing {flag}: {text}: time: invalid duration {text:?}"));
    let text = context.flags.text(flag);
    let nanoseconds = text.map_or(Ok(default * 1_000_000_000), |text| crate::text::parse_duration(text).ok_or_else(|| wrong(text)))?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// The body of an answer, or the error in its place.
async fn captured(client: &Client, path: &str, query: &Query) -> Vec<u8> {
    let answer = client.get::<Value>(path, query).await;
    let value = answer.map_or_else(|error| json!({ "Error": error.to_string() }), |answer| answer.value);
    serde_json::to_vec(&value).unwrap_or_default()
}

/// A list as one object per line.
async fn lines(client: &Client, path: &str, query: &Query) -> Vec<u8> {
    match client.get::<Option<Vec<Value>>>(path, query).await {
        Ok(answer) => answer.value.unwrap_or_default().iter().map(|one| format!("{one}\n")).collect::<String>().into_bytes(),
        Err(error) => json!({ "Error": error.to_string() }).to_string().into_bytes(),
    }
}

async fn interval(client: &Client, number: u64, query: &Query) -> Files {
    let mut files = Vec::new();
    let everywhere = query.clone().namespace("*");
    let lists = [
        ("jobs", "/v1/jobs", &everywhere),
        ("deployments", "/v1/deployments", &everywhere),
        ("evaluations", "/v1/evaluations", &everywhere),
        ("allocations", "/v1/allocations", &everywhere),
        ("nodes", "/v1/nodes", query),
        ("csi-plugins", "/v1/plugins?type=csi", query),
        ("csi-volumes", "/v1/volumes?type=csi", &everywhere),
    ];
    for (name, path, query) in lists {
        files.push((format!("interval/{number:04}/{name}.json"), lines(client, path, query).await));
    }
    let objects = [
        ("metrics", "/v1/metrics"),
        ("operator-raft", "/v1/operator/raft/configuration"),
        ("operator-scheduler", "/v1/operator/scheduler/configuration"),
        ("operator-autopilot-health", "/v1/operator/autopilot/health"),
        ("license", "/v1/operator/license"),
    ];
    for (name, path) in objects {
        files.push((format!("interval/{number:04}/{name}.json"), captured(client, path, query).await));
    }
    files
}

/// Reads a stream until `end`.
async fn followed(client: &Client, clock: &drover_rt::Clock, path: &str, query: Query, end: drover_base::Monotonic) -> Vec<u8> {
    let mut out = Vec::new();
    let left = |clock: &drover_rt::Clock| end.since(clock.monotonic());
    let stream = match clock.timeout(left(clock), client.stream(path, &query)).await {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return json!({ "Error": error.to_string() }).to_string().into_bytes(),
        None => return out,
    };
    let mut stream = stream;
    while out.len() < CAPTURE_MAX
        && let Some(Some(Ok(chunk))) = clock.timeout(left(clock), stream.next()).await
    {
        out.extend_from_slice(&chunk);
    }
    out
}

pub(super) async fn debug(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let length = duration(context, "duration", 300)?;
    let every = duration(context, "interval", 30)?;
    let (profile, profiles) = (duration(context, "pprof-duration", 1)?, duration(context, "pprof-interval", 30)?);
    if every.is_zero() || every > length {
        return Err(Failure::new("Error parsing interval: the interval must be positive and not longer than the duration"));
    }
    let most = context.flags.text("max-nodes").map_or(Ok(10), |text| {
        text.parse::<usize>().map_err(|_| Failure::usage(format!("invalid value {text:?} for flag -max-nodes: parse error")))
    })?;
    let client = context.client()?;
    let query = if context.flags.on("stale") { Query::new().set("stale", true) } else { Query::new() };
    let (servers, nodes, all_nodes) = targets(context, &client, &query, most).await?;
    let stamp = crate::text::Zone::utc().time(context.clock.now()).replace(['-', ':'], "").replace('T', "-");
    let name = format!("nomad-debug-{stamp}");
    announce(context, &servers, &nodes, all_nodes, [length, every, profiles, profile]);
    let mut files = cluster(context, &client, &query).await;
    context.ui.output("Capturing cluster data...");
    context.ui.output("Consul - Skipping, no API address found");
    let end = context.clock.monotonic() + length;
    let level = context.flags.text("log-level").unwrap_or("trace").to_owned();
    let log = |query: Query| query.set("log_level", &level).set("plain", true);
    let mut captures = Vec::new();
    for server in &servers {
        let query = log(Query::new()).set("server_id", server);
        captures.push((format!("server/{server}/monitor.log"), "/v1/agent/monitor", query));
    }
    for node in &nodes {
        captures.push((format!("client/{node}/monitor.log"), "/v1/agent/monitor", log(Query::new()).set("node_id", node)));
    }
    let topics = context.flags.text("event-topic").unwrap_or("none");
    if topics != "none" {
        let index = context.flags.text("event-index").unwrap_or("0");
        captures.push(("cluster/eventstream.json".to_owned(), "/v1/event/stream", Query::new().namespace("*").set("index", index)));
    } else {
        files.push(("cluster/eventstream.json".to_owned(), Vec::new()));
    }
    let (shared, clock) = (&client, &context.clock);
    let streams = futures::future::join_all(
        captures.into_iter().map(|(name, path, query)| async move { (name, followed(shared, clock, path, query, end).await) }),
    );
    let rounds = async {
        let mut files = hosts(context, &client, &servers, &nodes).await;
        for number in 0..ROUNDS_MAX {
            if context.clock.monotonic() >= end {
                break;
            }
            context.ui.output(format!("    Capture interval {number:04}"));
            files.extend(interval(&client, number, &query).await);
            context.clock.sleep(every.min(end.since(context.clock.monotonic()))).await;
        }
        files
    };
    // What was captured until an interrupt is kept.
    let capture = async { tokio::join!(streams, rounds) };
    tokio::select! {
        (streams, rounds) = capture => files.extend(streams.into_iter().chain(rounds)),
        _ = tokio::signal::ctrl_c() => context.ui.output("Interrupted; writing what there is"),
    }
    write(context, &name, files)
}

/// The servers and clients to capture, and how many clients there are.
async fn targets(context: &Context, client: &Client, query: &Query, most: usize) -> Result<(Vec<String>, Vec<String>, usize), Failure> {
    let members = client.get::<drover_api::ServerMembers>("/v1/agent/members", query).await.attempt("Failed to retrieve server list")?;
    let members: Vec<String> = members.value.members.unwrap_or_default().into_iter().map(|member| member.name).collect();
    let asked = context.flags.text("server-id").unwrap_or("all").to_owned();
    let servers = match asked.as_str() {
        "all" => members,
        list => {
            let names: BTreeSet<&str> = list.split(',').map(str::trim).collect();
            members.into_iter().filter(|name| names.contains("leader") || names.iter().any(|one| name.starts_with(one))).collect()
        }
    };
    let nodes = client.get::<Vec<drover_api::NodeListStub>>("/v1/nodes", query).await.attempt("Failed to retrieve nodes")?.value;
    let class = context.flags.text("node-class").unwrap_or("");
    let asked = context.flags.text("node-id").unwrap_or("all").to_owned();
    let wanted = |id: &str| asked == "all" || asked.split(',').any(|prefix| id.starts_with(prefix.trim()));
    let all = nodes.len();
    let fitting = nodes.into_iter().filter(|node| (class.is_empty() || node.node_class == class) && wanted(&node.id)).map(|node| node.id);
    let nodes = if most == 0 { fitting.collect() } else { fitting.take(most).collect() };
    Ok((servers, nodes, all))
}

fn announce(context: &Context, servers: &[String], nodes: &[String], all: usize, [length, every, profiles, profile]: [Duration; 4]) {
    let config = context.client_config();
    let text = |duration: Duration| crate::text::duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    context.ui.output(format!(
        "Starting debugger...\n\nDrover CLI Version: Drover v{}\n           Region: {}\n        Namespace: {}\n          Servers: ({}/{}) \
         [{}]\n          Clients: ({}/{all}) [{}]\n         Interval: {}\n         Duration: {}\n   pprof Interval: {}\n   pprof Duration: \
         {}\n",
        super::VERSION,
        config.region,
        config.namespace,
        servers.len(),
        servers.len(),
        servers.join(" "),
        nodes.len(),
        nodes.join(" "),
        text(every),
        text(length),
        text(profiles),
        text(profile),
    ));
}

async fn cluster(context: &Context, client: &Client, query: &Query) -> Files {
    let mut config = context.client_config();
    for secret in [&mut config.token, &mut config.basic_auth] {
        if !secret.is_empty() {
            *secret = "<redacted>".to_owned();
        }
    }
    let flags = json!({ "Address": config.address, "Region": config.region, "Namespace": config.namespace, "Token": config.token });
    let mut files = vec![("cluster/cli-flags.json".to_owned(), flags.to_string().into_bytes())];
    let paths = [
        ("agent-self", "/v1/agent/self"),
        ("leader", "/v1/status/leader"),
        ("members", "/v1/agent/members"),
        ("namespaces", "/v1/namespaces"),
        ("nodes", "/v1/nodes"),
        ("regions", "/v1/regions"),
    ];
    for (name, path) in paths {
        files.push((format!("cluster/{name}.json"), captured(client, path, query).await));
    }
    files
}

/// What the machines look like; an agent that does not tell is named.
async fn hosts(context: &Context, client: &Client, servers: &[String], nodes: &[String]) -> Files {
    let mut files = Vec::new();
    let servers = servers.iter().map(|name| (format!("server/{name}"), Query::new().set("server_id", name)));
    let nodes = nodes.iter().map(|id| (format!("client/{id}"), Query::new().set("node_id", id)));
    for (place, query) in servers.chain(nodes) {
        match client.get::<Value>("/v1/agent/host", &query).await {
            Ok(answer) => files.push((format!("{place}/agent-host.json"), serde_json::to_vec(&answer.value).unwrap_or_default())),
            Err(error) => {
                context.ui.note(format!("{place}: Failed to retrieve agent host data, err: {error}"));
                if error.is_code(403) {
                    context.ui.note("Agent host retrieval requires agent:read ACL or enable_debug=true.");
                }
            }
        }
    }
    files
}

fn write(context: &Context, name: &str, mut files: Files) -> Outcome {
    let failed = |what: &str, error: &dyn std::fmt::Display| Failure::new(format!("Error {what}: {error}")).code(2);
    files.sort();
    let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    let list: String = names.iter().map(|name| format!("<li><a href=\"{name}\">{name}</a></li>\n")).collect();
    let index = (json!(names).to_string(), format!("<!doctype html>\n<title>{name}</title>\n<ul>\n{list}</ul>\n"));
    files.push(("index.json".to_owned(), index.0.into_bytes()));
    files.push(("index.html".to_owned(), index.1.into_bytes()));
    if let Some(output) = context.flags.text("output") {
        let base = context.environment.directory.join(output).join(name);
        for (file, bytes) in &files {
            let path = base.join(file);
            let parent = path.parent().unwrap_or(&base);
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes)).map_err(|error| failed("writing files", &error))?;
        }
        context.ui.output(format!("Created debug directory: {output}/{name}"));
        return Ok(0);
    }
    let archive = format!("{name}.tar.gz");
    let files: Files = files.into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)).collect();
    let bytes = crate::tar::archive(&files, context.clock.now());
    bytes
        .and_then(|bytes| std::fs::write(context.environment.directory.join(&archive), bytes))
        .map_err(|error| failed("creating the archive", &error))?;
    context.ui.output(format!("Created debug archive: {archive}"));
    Ok(0)
}
