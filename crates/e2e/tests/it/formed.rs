//! Recorded requests whose answers are described by what they are made of: archives, measurements, and a file that changes while
//! it is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use drover_e2e::golden::{differing, exercised, judge, records, route_row};
use drover_e2e::http::{self, Reply};
use drover_e2e::{Agent, Mode};
use serde_json::{Value, json};

const FORMED: &str = include_str!("../../../../testdata/golden/http-formed.jsonl");
const TEST: &str = "drover_e2e::it::formed::answers_are_made_of_what_was_recorded";

/// How long following a file may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends the request of a record with a body.
fn ask(agent: &Agent, record: &Value, secret: &str, body: &[u8]) -> Reply {
    let asked = &record["request"];
    let (method, path) = (asked["method"].as_str().unwrap(), asked["path"].as_str().unwrap());
    exercised("http-api", route_row(method, path), TEST);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if asked["headers"]["X-Nomad-Token"].is_string() {
        head.push_str(&format!("X-Nomad-Token: {secret}\r\n"));
    }
    http::raw(agent.address, &[head.as_bytes(), b"\r\n", body].concat()).unwrap()
}

/// Where status and headers are not as recorded.
fn outside(record: &Value, reply: &Reply) -> Vec<String> {
    let expected = &record["response"];
    let mut out = Vec::new();
    if expected["status"] != u64::from(reply.status) {
        out.push(format!("status {} {}, recorded {}", reply.status, reply.text(), expected["status"]));
    }
    for (name, recorded) in expected["headers"].as_object().unwrap() {
        // How the body is framed is the transport's matter.
        if ["Transfer-Encoding", "Content-Length"].contains(&name.as_str()) {
            continue;
        }
        let (recorded, answered) = (recorded.as_str().unwrap(), reply.header(&name.to_ascii_lowercase()).unwrap_or(""));
        let start = recorded.split('<').next().unwrap_or("");
        if if recorded.contains('<') { !answered.starts_with(start) || answered.len() <= start.len() } else { recorded != answered } {
            out.push(format!("{name}: {answered:?}, recorded {recorded:?}"));
        }
    }
    out
}

/// The names in a compressed archive.
fn members(bytes: &[u8]) -> Vec<String> {
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut whole).unwrap();
    let (mut at, mut out) = (0, Vec::new());
    while let Some(head) = whole.get(at..at + 512).filter(|head| head[0] != 0) {
        let text = |part: &[u8]| String::from_utf8_lossy(part).trim_matches(['\0', ' ']).to_owned();
        let size = usize::from_str_radix(&text(&head[124..136]), 8).unwrap();
        out.push(text(&head[..100]));
        at += 512 + size.div_ceil(512) * 512;
    }
    out
}

/// The kinds of all families of measurements.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// The names of labels of a family's first series; parts of a distribution are counted in sum and number here.
fn labels<'a>(text: &'a str, family: &str) -> BTreeSet<&'a str> {
    let line =
        text.lines().find(|line| line.strip_prefix(family).is_some_and(|rest| rest.trim_start_matches("_sum").starts_with(['{', ' '])));
    let inside = line.and_then(|line| Some(line.split_once('{')?.1.rsplit_once('}')?.0)).unwrap_or("");
    inside.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).filter(|name| *name != "quantile").collect()
}

/// Where measurements are not told as recorded. Which ones there are differs on purpose; what both tell, they tell alike.
fn measured(recorded: &str, answered: &str) -> Vec<String> {
    let (theirs, own) = (families(recorded), families(answered));
    let both: Vec<&str> = theirs.keys().copied().filter(|family| own.contains_key(family)).collect();
    let mut out = Vec::new();
    if both.len() < 15 {
        out.push(format!("{} families are known: {both:?}", both.len()));
    }
    for family in both {
        if theirs[family] != own[family] {
            out.push(format!("{family} is a {}, recorded as {}", own[family], theirs[family]));
        }
        let missing: Vec<&str> = labels(recorded, family).into_iter().filter(|label| !labels(answered, family).contains(label)).collect();
        if !missing.is_empty() {
            out.push(format!("{family} has no labels {missing:?}"));
        }
    }
    out
}

/// JSON with four spaces for each level and a newline at the end, one member a line.
fn indented(text: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(text).unwrap();
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let steps = text.lines().zip(text.lines().skip(1)).all(|(before, after)| depth(after).abs_diff(depth(before)) % 4 == 0);
    let mut out = Vec::new();
    if !text.starts_with("{\n    \"") || !text.ends_with("\n}\n") || !steps || !value.is_object() {
        out.push("it is not indented by four spaces with a newline at the end".to_owned());
    }
    out
}

/// What is said of a file that grows, is cut, grows again and goes, while it is followed.
fn followed(agent: &Agent, record: &Value) -> Vec<String> {
    let task = json!({
        "Name": "pen", "Driver": "raw_exec", "Config": {"command": "/bin/sleep", "args": ["600"]}, "Resources": {"CPU": 20, "MemoryMB": 16},
    });
    agent.register(json!({
        "ID": "scribe", "Name": "scribe", "Type": "batch", "Datacenters": ["*"], "TaskGroups": [{"Name": "desk", "Tasks": [task]}],
    }));
    let alloc = agent.until_alloc("scribe", "running")["ID"].as_str().unwrap().to_owned();
    let act = |script: &str| {
        let ran = agent.cli(&["alloc", "exec", "-i=false", "-t=false", &alloc, "/bin/sh", "-c", &format!("cd $NOMAD_TASK_DIR; {script}")]);
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    act("echo one > grow.txt");
    let path = record["request"]["path"].as_str().unwrap().replace("<alloc-30>", &alloc);
    exercised("http-api", route_row("GET", &path), TEST);
    let mut stream = TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut heard = String::new();
    let mut until = |part: &str| {
        while !heard.contains(part) {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert_ne!(count, 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    until("\"Offset\":4");
    act("echo two >> grow.txt");
    until("\"Offset\":8");
    act(": > grow.txt");
    until("file truncated");
    act("echo three >> grow.txt");
    until("\"Offset\":6");
    act("rm grow.txt");
    until("file deleted");
    let body = heard.split_once("\r\n\r\n").unwrap().1;
    // How often the same is told depends on how often the file system tells it.
    let told = |frames: Vec<Value>| {
        let mut frames: Vec<Value> = frames.into_iter().filter(|frame| *frame != json!({})).collect();
        frames.dedup();
        frames
    };
    let own = told(serde_json::Deserializer::from_str(body).into_iter::<Value>().map_while(Result::ok).collect());
    let theirs = told(record["response"]["body"].as_array().unwrap().clone());
    if own == theirs { Vec::new() } else { vec![format!("{own:?}, recorded {theirs:?}")] }
}

#[test]
fn answers_are_made_of_what_was_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let telemetry = "telemetry {\n prometheus_metrics = true\n publish_allocation_metrics = true\n publish_node_metrics = true\n}\n";
    let open = Agent::start_with(&directory.path().join("open"), Mode::Dev, telemetry, &[]);
    let guarded = format!("{telemetry} acl {{ enabled = true }}");
    let mut guarded = Agent::prepare(&directory.path().join("guarded"), Mode::DurableServer, &guarded, &[]);
    guarded.launch();
    let secret = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let reply = guarded.try_call("PUT", "/v1/acl/bootstrap", None).ok().filter(|reply| reply.status == 200)?;
        Some(reply.json()["SecretID"].as_str()?.to_owned())
    });
    let secret = secret.expect("the first token");
    let (mut wrong, different) = (Vec::new(), differing("http"));
    let all = records(FORMED);
    for (name, record) in &all {
        let agent = if record["request"]["headers"]["X-Nomad-Token"].is_string() { &guarded } else { &open };
        let expected = &record["response"]["body"];
        let found = if name.contains("truncate") {
            followed(agent, record)
        } else if name.contains("restore") {
            let saved = ask(agent, &all["operator/GET-operator-snapshot-acl-save"], &secret, b"");
            let reply = ask(agent, record, &secret, &saved.body);
            let mut found = outside(record, &reply);
            found.extend((!reply.body.is_empty()).then(|| reply.text()));
            found
        } else {
            let enough = |text: &str| !name.contains("prometheus") || families(text).len() > 20;
            let reply = (0..200).map(|_| ask(agent, record, &secret, b"")).find(|reply| {
                let enough = enough(&String::from_utf8_lossy(&reply.body));
                if !enough {
                    std::thread::sleep(Duration::from_millis(50));
                }
                enough
            });
            let reply = reply.expect("measurements");
            let mut found = outside(record, &reply);
            found.extend(match (&expected["members"], name.contains("prometheus")) {
                (Value::Array(_), _) if json!(members(&reply.body)) != expected["members"] => vec![format!("{:?}", members(&reply.body))],
                (Value::Array(_), _) => Vec::new(),
                (_, true) => measured(expected.as_str().unwrap(), &reply.text()),
                (_, false) => indented(&reply.text()),
            });
            found
        };
        judge(name, &found, &different, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
