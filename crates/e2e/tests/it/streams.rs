//! Recorded streams of events about what runs, compared with those of an agent that runs the same jobs: each kind of event has the
//! form of those recorded, and each subscriber gets what it asked for.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use drover_e2e::golden::{exercised, records, route_row};
use drover_e2e::{Agent, Mode};
use serde_json::{Value, json};

use crate::chronicle::has_form;

const STREAMS: &str = include_str!("../../../../testdata/golden/http-streams.jsonl");
const CHRONICLE: &str = include_str!("../../../../testdata/golden/http-chronicle.jsonl");

/// Recorded kinds of events that an agent without volumes does not have, or has under another kind: each with the reason.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("Evaluation", "PlanResult", "an evaluation ends in the entry of its plan, and is told once, as updated"),
    ("Allocation", "JobDeregistered", "allocations are stopped by the plan that follows"),
    ("Node", "AllocationUpdated", "a node is not written with its allocations"),
    ("Job", "EvaluationUpdated", "a job's status changes in the entry of the plan or of the reports that change it"),
    ("HostVolume", "*", "there are no dynamic host volumes"),
    ("Job", "JobBatchDeregistered", "garbage is collected, but not while this test runs"),
];

/// Fields that are left out when they are empty, which they were in the recording and are not here, or the other way about.
const OMITTED: &[&str] =
    &["DesiredDescription", "NextAllocation", "PreviousAllocation", "DeploymentID", "NextEval", "JobModifyIndex", "LTarget", "RTarget"];

/// The head of an event, as a subscriber sees it.
type Kind = (String, String);

fn kind(event: &Value) -> Kind {
    (event["Topic"].as_str().unwrap().to_owned(), event["Type"].as_str().unwrap().to_owned())
}

fn events(lines: &Value) -> Vec<&Value> {
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().flat_map(|line| line["Events"].as_array().into_iter().flatten()).collect()
}

/// All that an agent holds for a subscriber, up to the event of the key `last`; the first line must be a heartbeat.
fn held(agent: &Agent, query: &str, last: &str) -> Vec<Value> {
    let mut stream = TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(format!("GET /v1/event/stream?{query} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.0 200") || head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let mut lines = BufReader::new(stream).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "{}");
    let mut out = Vec::new();
    for line in lines {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let told: Vec<Value> = line["Events"].as_array().cloned().unwrap_or_default();
        let end = told.iter().any(|event| event["Key"] == last);
        out.extend(told);
        if end {
            return out;
        }
    }
    panic!("{query} ended without {last}");
}

#[test]
fn events_of_what_runs_have_the_form_of_the_recorded_ones() {
    let all = records(STREAMS);
    let mut recorded: BTreeMap<Kind, Vec<&Value>> = BTreeMap::new();
    for record in all.values() {
        for event in events(&record["response"]["body"]) {
            recorded.entry(kind(event)).or_default().push(event);
        }
    }
    assert!(recorded.len() > 15, "{:?}", recorded.keys());
    let directory = tempfile::tempdir().unwrap();
    let config = "name = \"pasture\"\nserver { event_buffer_size = 1000 }\nclient {\n node_class = \"meadow\"\n memory_total_mb = 16000\n}";
    let agent = Agent::start_with(directory.path(), Mode::Dev, config, &[]);
    let put = |path: &str, body: &Value| {
        let reply = agent.call("PUT", path, Some(body));
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    };
    let weaver = records(CHRONICLE)["jobs/PUT-jobs-register-service"]["request"]["body"].clone();
    put("/v1/jobs", &weaver);
    agent.until("/v1/job/weaver/deployment", "a successful deployment", |deployment| deployment["Status"] == "successful");
    put("/v1/job/weaver/scale", &json!({"Count": 3, "Target": {"Group": "loom"}}));
    agent.until("/v1/job/weaver/deployment", "another one", |deployment| {
        deployment["Status"] == "successful" && deployment["JobVersion"] == 1
    });
    let alloc = agent.until_alloc("weaver", "running")["ID"].as_str().unwrap().to_owned();
    put(&format!("/v1/allocation/{alloc}/stop"), &json!({}));
    agent.until(&format!("/v1/allocation/{alloc}"), "the end", |alloc| alloc["ClientStatus"] == "complete");
    let node = agent.get("/v1/nodes")[0]["ID"].as_str().unwrap().to_owned();
    for eligibility in ["ineligible", "eligible"] {
        put(&format!("/v1/node/{node}/eligibility"), &json!({"NodeID": node, "Eligibility": eligibility}));
    }
    put("/v1/var/farm/gate", &json!({"Items": {"a": "b"}}));
    let lame = json!({"Job": {"ID": "lame", "Name": "lame", "Type": "batch", "Datacenters": ["*"], "TaskGroups": [{"Name": "g",
        "ReschedulePolicy": {"Attempts": 1, "Interval": 86_400_000_000_000_u64, "Delay": 5_000_000_000_u64, "DelayFunction": "constant"},
        "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 5_000_000_000_u64, "Delay": 1_000_000_000},
        "EphemeralDisk": {"SizeMB": 20},
        "Tasks": [{"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/false"}, "Resources": {"CPU": 20, "MemoryMB": 16},
            "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1}}]}]}});
    put("/v1/jobs", &lame);
    agent.until("/v1/job/lame/allocations", "a failed allocation", |allocs| allocs[0]["ClientStatus"] == "failed");
    assert_eq!(agent.call("DELETE", "/v1/job/weaver", None).status, 200);
    agent.until("/v1/job/weaver", "the end of the job", |job| job["Status"] == "dead");
    assert_eq!(agent.call("DELETE", "/v1/job/weaver?purge=true", None).status, 200);
    put("/v1/node/pools", &json!({"Name": "the-last"}));
    let told = held(&agent, "", "the-last");
    let mut wrong = Vec::new();
    for (kind, recorded) in &recorded {
        let otherwise = |(topic, name, _): &&(&str, &str, &str)| *topic == kind.0 && (*name == "*" || *name == kind.1);
        let own: Vec<&Value> = told.iter().filter(|event| self::kind(event) == *kind).collect();
        match (own.is_empty(), OTHERWISE.iter().any(|own| otherwise(&own))) {
            (true, false) => wrong.push(format!("{kind:?} is not told")),
            (false, true) => wrong.push(format!("{kind:?} is told now")),
            _ => {}
        }
        for event in own {
            if let Err(error) = has_form("", recorded, event)
                && !OMITTED.iter().any(|field| error.contains(&format!(".{field} ")))
            {
                wrong.push(format!("{kind:?}{error}"));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    // Who asks for less gets less, and those who ask for what there is not get heartbeats.
    for (name, record) in &all {
        let path = record["request"]["path"].as_str().unwrap();
        let query = path.split_once('?').unwrap().1;
        let own = held(&agent, &format!("{query}&topic=NodePool:the-last&namespace=default"), "the-last");
        let wanted: std::collections::BTreeSet<Kind> = events(&record["response"]["body"]).into_iter().map(kind).collect();
        let topics: Vec<&str> = query.split('&').filter_map(|part| part.strip_prefix("topic=")).collect();
        for event in own.iter().filter(|event| event["Key"] != "the-last") {
            let fits = topics.iter().any(|topic| {
                let (topic, key) = topic.split_once(':').unwrap_or((topic, "*"));
                let about = key == "*"
                    || event["Key"] == key
                    || event["FilterKeys"].as_array().is_some_and(|keys| keys.iter().any(|own| own == key));
                (topic == "*" || event["Topic"] == topic) && about
            });
            assert!(fits, "{name}: {} {} was not asked for", event["Topic"], event["Key"]);
        }
        if wanted.is_empty() && name != "events/GET-event-stream-topic-operator" && !query.contains("namespace=") {
            assert!(own.iter().all(|event| event["Key"] == "the-last"), "{name}: {own:?}");
        }
        exercised("http-api", route_row("GET", path), "drover_e2e::it::streams");
    }
}
