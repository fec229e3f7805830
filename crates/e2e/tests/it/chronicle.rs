//! The recording of one agent without access control, as the one story that it is: requests in the order in which they were
//! sent, with what happened between them.
//!
//! `testdata/chronicle.txt` is the story, one step a line: `ask NAME` sends a recorded request and compares the answer,
//! `form NAME` compares only the form of the answer's entries, because the recording's past is longer than the story's,
//! `do METHOD PATH BODY` sends a request that was not recorded (`as TOKEN` says by whom), `until PATH POINTER VALUE` waits. Ids are learned from answers
//! and sent back where the record sends them back (`FROM=>TO` after the name puts another in, `!.PLACE` leaves a place apart that
//! tells how much time has passed); `identity` learns a task's token and `socket NAME` asks on the task's socket (`form` after the name compares the form); `running`, `bind` and the like learn one by itself. A read that does not agree yet is asked again: what it waits for happens.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use drover_e2e::golden::{compare, differing, exercised, in_order, is_otherwise, judge, records, route_row};
use drover_e2e::{Agent, Mode, http};
use serde_json::{Value, json};

/// How often a read is asked again, and the pause before it: as long as a busy machine may take.
const TRIES: u32 = 750;
const PAUSE: Duration = Duration::from_millis(60);
/// How often one is asked that is known to differ: what agrees agrees soon.
const TRIES_IF_OTHERWISE: u32 = 20;
/// How long what happens meanwhile waits, so that it mostly happens while the next request is held.
const A_MOMENT: Duration = Duration::from_millis(400);

/// A long text that a record tells in words.
const LONG: &[(&str, &str, usize, &str)] = &[("<base64 of 17000 bytes>", "QUFB", 5_666, "QUE="), ("<70000 times x>", "x", 70_000, "")];

/// What tokens stand for, and the highest index seen.
#[derive(Default)]
struct Known {
    ids: BTreeMap<String, String>,
    index: u64,
    /// The token of requests that were not recorded.
    token: String,
}

impl Known {
    /// Puts known ids in the place of tokens.
    fn fill(&self, text: &str) -> String {
        self.fill_with(text, true)
    }

    /// The same; what index is meant by one that is not known is the highest, or stays open.
    fn fill_with(&self, text: &str, newest: bool) -> String {
        let mut parts = text.split('<');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let known = part.split_once('>').and_then(|(token, rest)| {
                let (name, length) = token.split_once('!').map_or((token, None), |(name, length)| (name, length.parse::<usize>().ok()));
                let id = self.ids.get(name.trim_start_matches("int:")).cloned();
                let id = id.or_else(|| (newest && name.starts_with("index-")).then(|| self.index.to_string()))?;
                Some(format!("{}{rest}", &id[..length.unwrap_or(id.len()).min(id.len())]))
            });
            out.push_str(&known.unwrap_or_else(|| format!("<{part}")));
        }
        out
    }

    /// Learns what the tokens of a record stand for.
    fn learn(&mut self, recorded: &Value, answered: &Value) {
        match (recorded, answered) {
            (Value::String(token), Value::Number(number)) if token.starts_with("<int:") => {
                let name = token.trim_start_matches("<int:").trim_end_matches('>');
                self.ids.entry(name.to_owned()).or_insert_with(|| number.to_string());
            }
            (Value::String(recorded), Value::String(answered)) => self.learn_text(recorded, answered),
            (Value::Object(recorded), Value::Object(answered)) => {
                for (key, value) in recorded {
                    answered.get(key).into_iter().for_each(|own| self.learn(value, own));
                }
            }
            (Value::Array(recorded), Value::Array(answered)) if recorded.len() == answered.len() => {
                in_order(recorded).into_iter().zip(in_order(answered)).for_each(|(recorded, answered)| self.learn(recorded, answered));
            }
            _ => {}
        }
    }

    fn learn_text(&mut self, recorded: &str, answered: &str) {
        let recorded = self.fill_with(recorded, false);
        let mut parts = recorded.split('<');
        let Some(mut rest) = answered.strip_prefix(parts.next().unwrap_or_default()) else { return };
        for part in parts {
            let Some((token, literal)) = part.split_once('>') else { return };
            let end = if literal.is_empty() { Some(rest.len()) } else { rest.find(literal) };
            let Some(end) = end else { return };
            self.ids.entry(token.to_owned()).or_insert_with(|| rest[..end].to_owned());
            rest = &rest[end + literal.len()..];
        }
    }
}

/// Sends a request, over the socket of a task if one is named.
fn replied(address: SocketAddr, asked: &Value, known: &Known) -> http::Reply {
    let text = |value: &Value| {
        let text = LONG.iter().fold(value.to_string(), |text, (short, unit, times, end)| text.replace(short, &(unit.repeat(*times) + end)));
        // Numbers are told as texts with a mark.
        let filled = known.fill(&text.replace("\"<int:", "\u{1}<int:"));
        let mut parts = filled.split('\u{1}');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + &part.replacen('"', "", 1))
    };
    let body = match asked.get("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(raw)) => raw.clone(),
        Some(body) => text(body),
    };
    let path = known.fill(asked["path"].as_str().unwrap()).replace(' ', "%20").replace('|', "%7C");
    let mut head = format!(
        "{} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
        asked["method"].as_str().unwrap(),
        body.len()
    );
    for (name, value) in asked["headers"].as_object().into_iter().flatten() {
        head.push_str(&format!("{name}: {}\r\n", known.fill(value.as_str().unwrap())));
    }
    let request = format!("{head}\r\n{body}");
    let reply = match asked["socket"].as_str() {
        Some(socket) => http::over_socket(Path::new(socket), request.as_bytes()),
        None => http::raw(address, request.as_bytes()),
    };
    reply.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a running task has in its environment.
fn surroundings(agent: &Agent, known: &Known, alloc: &str, task: &str) -> BTreeMap<String, String> {
    let path = format!("/v1/client/allocation/{alloc}/stats");
    let of = |stats: &Value| stats["Tasks"][task]["Pids"].as_object().and_then(|pids| pids.keys().next().cloned());
    let stats = until(agent, known, &path, "a process of the task", |stats| of(stats).is_some());
    let environ = std::fs::read(format!("/proc/{}/environ", of(&stats).unwrap())).unwrap();
    let text = String::from_utf8_lossy(&environ).into_owned();
    text.split('\0').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What differs in the beginning of a stream of the log.
fn followed(address: SocketAddr, record: &Value, known: &Known) -> Vec<String> {
    let (asked, expected) = (&record["request"], &record["response"]);
    let path = &known.fill(asked["path"].as_str().unwrap());
    exercised("http-api", route_row("GET", path), "drover_e2e::it::chronicle");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PAUSE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Nomad-Token: {}\r\n\r\n", known.token).as_bytes()).unwrap();
    let (mut told, mut part) = (Vec::new(), [0; 4096]);
    for _ in 0..TRIES {
        // Each request is a line of the log.
        replied(address, &json!({"method": "GET", "path": "/v1/status/leader"}), known);
        let length = stream.read(&mut part).unwrap_or(0);
        told.extend_from_slice(&part[..length]);
        if told.windows(4).position(|part| part == b"\r\n\r\n").is_some_and(|head| told.len() > head + 400) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&told).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut found = Vec::new();
    let kind = expected["headers"]["Content-Type"].as_str().unwrap();
    if !head.starts_with("HTTP/1.1 200") || !head.to_ascii_lowercase().contains(&format!("content-type: {kind}\r\n")) {
        found.push(format!("the head is {head}, recorded {kind}"));
    }
    // Chunks stand between their lengths.
    let parts = body.split("\r\n").skip(1).step_by(2);
    let whole: Vec<&str> = parts.take(body.matches("\r\n").count() / 2).collect();
    for part in whole.iter().filter(|part| !(**part == "{}" && expected["body_kind"] == "frames")) {
        let frame = serde_json::from_str::<Value>(part).unwrap_or_default();
        let (line, in_frame) = (part.lines().next().unwrap_or_default(), expected["body_kind"] == "frames");
        // A time, a level in brackets, who says it, and what.
        let plain =
            line.split_once(" [").and_then(|(time, rest)| Some((time, rest.split_once(']')?))).is_some_and(|(time, (level, said))| {
                time.contains('T') && level.bytes().all(|letter| letter.is_ascii_uppercase()) && said.trim_start().contains(": ")
            });
        if (in_frame && (frame["FileEvent"] != "log" || !frame["Data"].is_string())) || (!in_frame && !plain) {
            found.push(format!("{part:?}, recorded {}", expected["body"]));
            break;
        }
    }
    if whole.is_empty() {
        found.push(format!("tells nothing: {text}"));
    }
    found
}

/// Objects whose names are names of things, not of fields.
const MAPS: &[&str] = &[
    "Summary",
    "TaskStates",
    "TaskResources",
    "Tasks",
    "Meta",
    "Matches",
    "Truncations",
    "QueuedAllocations",
    "DesiredTGUpdates",
    "TaskGroups",
    "TaskLifecycles",
    "Env",
    "Details",
    "Scores",
    "NodesAvailable",
    "Config",
    "Labels",
    "Tags",
    "Disk",
    "Environment",
];

/// Whether a value has the form of one of those recorded in its place: the same fields, of the same kinds. What was recorded as
/// null may be there, and what was recorded may be null.
pub(crate) fn has_form(name: &str, recorded: &[&Value], answered: &Value) -> Result<(), String> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(text) if text.starts_with("<int") || text.starts_with("<float") => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let own = kind(answered);
    if own == "null" || recorded.iter().all(|one| one.is_null()) {
        return Ok(());
    }
    if !recorded.iter().any(|one| kind(one) == own) {
        return Err(format!(" is {answered}, recorded {}", recorded[0]));
    }
    match answered {
        Value::Object(answered) => {
            let objects: Vec<_> = recorded.iter().filter_map(|one| one.as_object()).collect();
            let is_map = MAPS.contains(&name);
            for (field, own) in answered {
                let mut in_place: Vec<&Value> = objects.iter().filter_map(|object| object.get(field)).collect();
                if is_map {
                    in_place = objects.iter().flat_map(|object| object.values()).collect();
                }
                let known = !in_place.is_empty() || is_map || is_otherwise(field);
                if !known {
                    return Err(format!(".{field} was not recorded"));
                }
                if !is_otherwise(field) {
                    has_form(field, &in_place, own).map_err(|error| format!(".{field}{error}"))?;
                }
            }
            let first = objects.first().filter(|_| !is_map);
            let always =
                first.into_iter().flat_map(|object| object.keys()).filter(|key| objects.iter().all(|object| object.contains_key(*key)));
            match always.filter(|key| !is_otherwise(key)).find(|key| !answered.contains_key(*key)) {
                Some(absent) => Err(format!(".{absent} is absent")),
                None => Ok(()),
            }
        }
        Value::Array(answered) => {
            let entries: Vec<&Value> = recorded.iter().filter_map(|one| one.as_array()).flatten().collect();
            for own in answered {
                has_form(name, &entries, own).map_err(|error| format!("[]{error}"))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where an answer differs from the recorded one.
fn differences(record: &Value, reply: &http::Reply, form: bool) -> (Vec<String>, Value) {
    let expected = &record["response"];
    let text = reply.text();
    if expected["status"] != u64::from(reply.status) {
        return (vec![format!("status {} {text}, recorded {} {}", reply.status, expected["status"], expected["body"])], Value::Null);
    }
    let mut out = Vec::new();
    let (mut recorded, mut answered) = (expected["body"].clone(), json!(text));
    let pretty = recorded.as_str().filter(|text| text.ends_with("]\n") || text.ends_with("}\n")).map(str::to_owned);
    if !recorded.is_string() || pretty.is_some() || expected["body_kind"] == "json" {
        answered = serde_json::from_str(&text).unwrap_or(json!(text));
    }
    if expected["body_kind"] == "empty" {
        recorded = json!("");
    }
    if let Some(pretty) = &pretty {
        recorded = serde_json::from_str(pretty).unwrap();
        let layout = |text: &str| -> Vec<String> {
            let line = |line: &str| line.split_once("\": ").map_or(line.len(), |(name, _)| name.len()).to_string();
            text.lines().map(line).collect()
        };
        if layout(pretty).len() != layout(&text).len() || !text.ends_with('\n') {
            out.push(format!("laid out otherwise: {text}"));
        }
    }
    if form {
        out.extend(has_form("", &[&recorded], &answered).err());
    } else {
        compare("", &recorded, &answered, &mut out);
    }
    let names = [
        "Content-Type",
        "X-Nomad-Index",
        "X-Nomad-Knownleader",
        "X-Nomad-Lastcontact",
        "X-Nomad-Nexttoken",
        "Location",
        "Allow",
        "Vary",
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Headers",
        "Access-Control-Allow-Credentials",
    ];
    for name in names {
        let recorded = expected["headers"].get(name).and_then(Value::as_str);
        let answered = reply.header(&name.to_ascii_lowercase());
        let fits = recorded.is_some_and(|text| text.contains('<')) && answered.is_some();
        if !fits && recorded != answered && !(form && name == "X-Nomad-Nexttoken") {
            out.push(format!("{name}: {answered:?}, recorded {recorded:?}"));
        }
    }
    (out, json!({"body": [recorded, answered], "token": reply.header("x-nomad-nexttoken"), "index": reply.header("x-nomad-index")}))
}

fn ask(agent: &Agent, record: &Value, known: &mut Known, form: bool, tries_left: u32, apart: &[&str]) -> Vec<String> {
    let asked = &record["request"];
    let (method, path) = (asked["method"].as_str().unwrap(), asked["path"].as_str().unwrap());
    exercised("http-api", route_row(method, path), "drover_e2e::it::chronicle");
    let read = method == "GET" || path.starts_with("/v1/search") || path == "/v1/jobs/statuses" || path.contains("/plan");
    let mut tries = 0;
    loop {
        let reply = replied(agent.address, asked, known);
        let (mut found, seen) = differences(record, &reply, form);
        found.retain(|line| !apart.iter().any(|place| line.contains(place)));
        tries += 1;
        if found.is_empty() || !read || tries == tries_left || record["response"]["status"].as_u64().is_some_and(|status| status >= 400) {
            known.learn(&seen["body"][0], &seen["body"][1]);
            if let (Some(recorded), Some(answered)) = (record["response"]["headers"]["X-Nomad-Nexttoken"].as_str(), seen["token"].as_str())
            {
                known.learn_text(recorded, answered);
            }
            let index = seen["index"].as_str().and_then(|index| index.parse().ok()).unwrap_or(0);
            known.index = known.index.max(index);
            return found;
        }
        sleep(PAUSE);
    }
}

#[test]
fn one_agent_tells_its_story_as_recorded() {
    let config = "name = \"pasture\"\nclient {\n node_class = \"meadow\"\n memory_total_mb = 16000\n cpu_total_compute = 8000\n disk_total_mb = 40000\n disk_free_mb = 20000\n meta { rack = \"r7\" }\n}\ntelemetry { prometheus_metrics = true }";
    told("chronicle", Mode::Dev, config);
}

#[test]
fn an_agent_with_access_control_tells_its_story_as_recorded() {
    let config = "region = \"east\"\nname = \"ewe1\"\ndatacenter = \"east-1\"\nclient {\n node_class = \"hill\"\n}\nacl { enabled = true }";
    told("chronicle-acl", Mode::Dev, config);
}

#[test]
fn a_drained_node_and_reads_that_wait_tell_their_story_as_recorded() {
    let config = "region = \"east\"\nname = \"ram1\"\ndatacenter = \"east-1\"\nclient {\n node_class = \"hill\"\n meta { slope = \"north\" }\n}\nacl { enabled = true }";
    told("chronicle-drain", Mode::Dev, config);
}

#[test]
fn a_server_without_a_client_tells_its_story_as_recorded() {
    let config = "region = \"east\"\nname = \"ewe1\"\ndatacenter = \"east-1\"\nacl { enabled = true }";
    told("chronicle-server", Mode::DurableServer, config);
}

#[test]
fn an_agent_that_lets_itself_be_looked_into_tells_its_story_as_recorded() {
    told("chronicle-debug", Mode::Dev, "name = \"pasture\"\nenable_debug = true");
}

#[test]
fn a_server_and_two_clients_tell_their_story_as_recorded() {
    let region = "region = \"east\"\ndatacenter = \"east-1\"\nacl { enabled = true }";
    let server = format!("{region}\nname = \"ewe1\"\nserver {{ oidc_issuer = \"http://127.0.0.1:4646\" }}");
    let hill = format!("{region}\nclient {{\n node_class = \"hill\"\n meta {{ slope = \"north\" }}\n}}");
    let vale = format!("{region}\nclient {{ node_class = \"vale\" }}");
    told_by("chronicle-fleet", (Mode::DurableServer, &server), &[("ram1", &hill), ("ram2", &vale)], &[]);
}

#[test]
fn servers_of_two_regions_tell_their_story_as_recorded() {
    let of = |region: &str, more: &str| {
        format!(
            "region = \"{region}\"\ndatacenter = \"{region}-1\"\nserver {{ authoritative_region = \"east\" }}\nacl {{\n enabled = true\n{more}\n}}"
        )
    };
    let (east, west) = (format!("name = \"ewe1\"\n{}", of("east", "")), of("west", "replication_token = \"<secret-2>\""));
    told_by("chronicle-regions", (Mode::DurableServer, &east), &[], &[("goat1", &west)]);
}

/// Sends a request that was not recorded, with the token of the story.
fn sent(agent: &Agent, known: &Known, method: &str, path: &str, body: &Value) -> http::Reply {
    replied(agent.address, &json!({"method": method, "path": path, "body": body, "headers": {"X-Nomad-Token": known.token}}), known)
}

/// Asks until the answer is as wanted.
fn until(agent: &Agent, known: &Known, path: &str, what: &str, met: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..TRIES {
        last = sent(agent, known, "GET", path, &Value::Null).json();
        if met(&last) {
            return last;
        }
        sleep(PAUSE);
    }
    panic!("{what}: {path} is still {last}");
}

fn told(name: &str, mode: Mode, config: &str) {
    told_by(name, (mode, config), &[], &[]);
}

/// The same with clients in agents of their own, and with servers of other regions that are started later: their names and
/// configurations.
fn told_by(name: &str, (mode, config): (Mode, &str), clients: &[(&str, &str)], others: &[(&str, &str)]) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let story = std::fs::read_to_string(data.join(format!("{name}.txt"))).unwrap();
    let all = records(&std::fs::read_to_string(data.join(format!("golden/http-{name}.jsonl"))).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let first = Agent::start_with(&directory.path().join("first"), mode, config, &[]);
    let mut agents = BTreeMap::new();
    for (name, config) in clients {
        let config = format!("name = \"{name}\"\nclient {{ servers = [\"{}\"] }}\n{config}", first.channel);
        agents.insert((*name).to_owned(), Agent::start_with(&directory.path().join(name), Mode::DurableClient, &config, &[]));
    }
    agents.insert("first".to_owned(), first);
    let mut asked = "first".to_owned();
    let different = differing("http");
    let mut wrong = Vec::new();
    let mut known = Known::default();
    let mut socket = String::new();
    let mut meanwhile: Vec<JoinHandle<http::Reply>> = Vec::new();
    if let Some(node) = agents["first"].call("GET", "/v1/nodes", None).json()[0]["ID"].as_str() {
        known.ids.insert("node-1".to_owned(), node.to_owned());
    }
    for line in story.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (step, rest) = line.split_once(' ').unwrap();
        let agent = &agents[&asked];
        match step {
            // Which agent is asked from here on, which is there as well, and which is no more.
            "at" => rest.clone_into(&mut asked),
            "start" => {
                let (name, config) = others.iter().find(|(name, _)| *name == rest).unwrap_or_else(|| panic!("{line}: no such server"));
                let join = format!("server {{ server_join {{ retry_join = [\"{}\"] }} }}", agents["first"].channel);
                let config = format!("name = \"{name}\"\n{join}\n{}", known.fill(config));
                let started = Agent::start_with(&directory.path().join(name), Mode::DurableServer, &config, &[]);
                agents.insert((*name).to_owned(), started);
            }
            "end" => {
                agents.get_mut(rest).unwrap_or_else(|| panic!("{line}: no such agent")).kill();
            }
            // The node of a name.
            "node" => {
                let (known_as, name) = rest.split_once(' ').unwrap();
                let is = |node: &&Value| node["Name"] == name && node["Status"] == "ready";
                let there = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|node| is(&node)));
                let list = until(agent, &known, "/v1/nodes", line, there);
                let id = list.as_array().into_iter().flatten().find(is).unwrap()["ID"].as_str().unwrap();
                known.ids.insert(known_as.to_owned(), id.to_owned());
            }
            // `identity NAME ALLOCATION TASK`: what the task shows of itself; from then on `socket` asks as it does, on its socket.
            "identity" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let own = surroundings(agent, &known, &known.fill(words[1]), words[2]);
                known.ids.insert(words[0].to_owned(), own["NOMAD_TOKEN"].clone());
                socket = own["NOMAD_UNIX_ADDR"].strip_prefix("unix://").unwrap().to_owned();
            }
            "ask" | "form" | "socket" => {
                let (name, swaps) = rest.split_once(' ').unwrap_or((rest, ""));
                let mut record = all.get(name).unwrap_or_else(|| panic!("{name} is not packed")).clone();
                let form = step == "form" || swaps.split(' ').any(|word| word == "form");
                let apart: Vec<&str> = swaps.split(' ').filter_map(|word| word.strip_prefix('!')).collect();
                for (from, to) in swaps.split(' ').filter_map(|swap| swap.split_once("=>")) {
                    record["request"] = serde_json::from_str(&record["request"].to_string().replace(from, to)).unwrap();
                }
                if step == "socket" {
                    record["request"]["socket"] = json!(socket);
                    exercised("http-api", Some("* unix:${NOMAD_SECRETS_DIR}/api.sock (same /v1 routes)"), "drover_e2e::it::chronicle");
                }
                let tries = if different.contains(name) { TRIES_IF_OTHERWISE } else { TRIES };
                let found = ask(agent, &record, &mut known, form, tries, &apart);
                judge(name, &found, &different, &mut wrong);
                if !found.is_empty() {
                    println!("{line}: {}", found.join("; "));
                }
            }
            "do" => {
                let mut words = rest.splitn(3, ' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                let body = words.next().map(|text| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{line}: {error}")));
                let reply = sent(agent, &known, method, path, &body.unwrap_or_default());
                assert!(reply.status < 300, "{line}: {} {}", reply.status, reply.text());
            }
            // A stream of the agent's log: its head is compared, and that it tells of what happens in the recorded form.
            "follow" => {
                let record = all.get(rest).unwrap_or_else(|| panic!("{rest} is not packed"));
                judge(rest, &followed(agent.address, record, &known), &different, &mut wrong);
            }
            // `later METHOD PATH BODY`: the same, a moment after the next step began.
            "later" => {
                let mut words = rest.splitn(3, ' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                let body = words.next().map(|text| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{line}: {error}")));
                let asked = json!({"method": method, "path": path, "body": body, "headers": {"X-Nomad-Token": known.token}});
                let (address, index) = (agent.address, known.index);
                meanwhile.push(spawn(move || {
                    sleep(A_MOMENT);
                    replied(address, &asked, &Known { index, ..Known::default() })
                }));
            }
            // An id that nobody has yet.
            "new" => {
                let id = drover_base::Id::<()>::from_random(u128::from(known.index) << 64 | known.ids.len() as u128);
                known.ids.insert(rest.to_owned(), id.to_string());
            }
            // Whose token requests that were not recorded have from here on.
            "as" => known.token = known.fill(rest),
            // `learn NAME=POINTER,… METHOD PATH BODY`: the same as `do`, and what the answer tells.
            "learn" => {
                let mut words = rest.splitn(4, ' ');
                let (names, method, path) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                let body = words.next().map(|text| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{line}: {error}")));
                let reply = sent(agent, &known, method, path, &body.unwrap_or_default());
                for (name, pointer) in names.split(',').filter_map(|pair| pair.split_once('=')) {
                    let answer = reply.json();
                    let value = answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{line}: {answer}"));
                    known.ids.insert(name.to_owned(), value.to_owned());
                }
            }
            "until" => {
                let words: Vec<&str> = rest.splitn(3, ' ').collect();
                let wanted: Value = serde_json::from_str(words[2]).unwrap();
                until(agent, &known, words[0], line, |value| value.pointer(words[1]) == Some(&wanted));
            }
            // No evaluation of a job is still to be worked off.
            "settled" => {
                let done = |list: &Value| list.as_array().is_some_and(|list| list.iter().all(|eval| eval["Status"] != "pending"));
                until(agent, &known, &format!("/v1/job/{rest}/evaluations"), line, done);
            }
            "bind" => {
                let words: Vec<&str> = rest.splitn(3, ' ').collect();
                let found = sent(agent, &known, "GET", words[1], &Value::Null).json();
                let value = found.pointer(words[2]).and_then(Value::as_str).unwrap_or_else(|| panic!("{line}: {found}"));
                known.ids.insert(words[0].to_owned(), value.to_owned());
            }
            // The first allocation, deployment or evaluation of a job, or its child, that is as said.
            "running" | "bindname" | "bindalloc" | "bindfailed" | "bindeval" | "bindchild" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let wanted = words.get(2).copied().unwrap_or_default();
                let is = |found: &&Value| match step {
                    // Of a version, if one is named.
                    "running" => {
                        let named = wanted.parse::<u64>();
                        let of_version = named.is_ok_and(|version| found["JobVersion"] == version) || wanted.is_empty();
                        found["Name"] == words[1] && found["ClientStatus"] == "running" && found["DesiredStatus"] == "run" && of_version
                    }
                    "bindname" => found["Name"] == words[1],
                    "bindalloc" => found["ClientStatus"] == wanted,
                    "bindfailed" => found["Status"] == "failed",
                    "bindeval" => found["Status"] == wanted,
                    _ => true,
                };
                let job = words[1].split('.').next().unwrap_or_default();
                let path = match step {
                    "bindfailed" => format!("/v1/job/{job}/deployments"),
                    "bindeval" => format!("/v1/job/{job}/evaluations"),
                    "bindchild" => format!("/v1/jobs?prefix={job}/"),
                    _ => format!("/v1/job/{job}/allocations"),
                };
                let there = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|found| is(&found)));
                let list = until(agent, &known, &path, line, there);
                let found = list.as_array().into_iter().flatten().find(is).unwrap()["ID"].as_str().unwrap().to_owned();
                let known_as = if step == "bindchild" { found.rsplit('-').next().unwrap_or_default().to_owned() } else { found };
                known.ids.insert(words[0].to_owned(), known_as);
            }
            _ => panic!("{line}: no such step"),
        }
    }
    for reply in meanwhile.into_iter().map(|one| one.join().unwrap()) {
        assert!(reply.status < 300, "{} {}", reply.status, reply.text());
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
