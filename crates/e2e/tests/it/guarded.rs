//! A whole agent that holds its callers to policies: commands in tasks, actions, the log, and what an agent measures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_api::websocket::Message;
use drover_e2e::websocket::Conversation;
use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::{Value, json};

const GUARDED: &str = "name = \"pasture\"\nacl { enabled = true }";

/// Asks with a token.
fn ask(agent: &Agent, secret: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Nomad-Token: {secret}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = http::raw(agent.address, head.as_bytes()).unwrap();
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or(json!(reply.text())))
}

/// The same, which must succeed.
fn done(agent: &Agent, secret: &str, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = ask(agent, secret, method, path, body);
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

fn bootstrap(agent: &Agent) -> String {
    done(agent, "", "PUT", "/v1/acl/bootstrap", &Value::Null)["SecretID"].as_str().unwrap().to_owned()
}

/// A token with these rules.
fn holder(agent: &Agent, root: &str, name: &str, rules: &str) -> String {
    done(agent, root, "PUT", &format!("/v1/acl/policy/{name}"), &json!({"Name": name, "Rules": rules}));
    let token = done(agent, root, "PUT", "/v1/acl/token", &json!({"Name": name, "Type": "client", "Policies": [name]}));
    token["SecretID"].as_str().unwrap().to_owned()
}

/// Asks again until the answer is as wanted.
fn until(agent: &Agent, secret: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = ask(agent, secret, "GET", path, &Value::Null).1;
        if wanted(&last) {
            return last;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{path} is still {last}");
}

/// What a session says until it ends: output, exit code, and how it was closed.
fn heard(mut session: Conversation) -> (String, Option<i64>, Option<String>) {
    let (mut output, mut code) = (String::new(), None);
    loop {
        match session.hear() {
            Some(Message::Text(message)) => {
                let frame: Value = serde_json::from_slice(&message).unwrap();
                if let Some(data) = frame["stdout"]["data"].as_str() {
                    output.push_str(&String::from_utf8_lossy(&STANDARD.decode(data).unwrap()));
                }
                if frame["exited"] == true {
                    code = Some(frame["result"]["exit_code"].as_i64().unwrap_or(0));
                }
            }
            Some(Message::Close(_, reason)) => return (output, code, Some(reason)),
            Some(_) => {}
            None => return (output, code, None),
        }
    }
}

fn job(id: &str) -> Value {
    let idle = json!({"command": "/bin/sh", "args": ["-c", "while true; do sleep 1; done"]});
    let action = |name: &str, word: &str| json!({"Name": name, "Command": "/bin/echo", "Args": [word]});
    let task = |name: &str, actions: Value| {
        json!({"Name": name, "Driver": "raw_exec", "Config": idle, "Resources": {"CPU": 20, "MemoryMB": 16}, "Actions": actions,
            "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1}})
    };
    let tasks =
        json!([task("pen", json!([action("greet", "hello"), action("part", "farewell")])), task("ink", json!([action("greet", "hi")]))]);
    json!({"Job": {"ID": id, "Name": id, "Type": "service", "Datacenters": ["*"],
        "TaskGroups": [{"Name": "desk", "Tasks": tasks, "EphemeralDisk": {"SizeMB": 20}}]}})
}

#[proves("ACL-028", "ACT-002", "ACT-007", "ACT-012")]
#[test]
fn commands_and_actions_are_run_for_those_who_may_and_for_pages_of_this_agent() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), Mode::Dev, GUARDED, &[]);
    let root = bootstrap(&agent);
    let exec = "capabilities = [\"alloc-exec\", \"read-job\"]";
    let node_exec = "capabilities = [\"alloc-exec\", \"alloc-node-exec\", \"read-job\"]";
    let within = holder(&agent, &root, "within", &format!("namespace \"default\" {{ {exec} }}"));
    let beyond = holder(&agent, &root, "beyond", &format!("namespace \"default\" {{ {node_exec} }}"));
    let reader = holder(&agent, &root, "reader", "namespace \"default\" { policy = \"read\" }");
    done(&agent, &root, "PUT", "/v1/jobs", &job("scribe"));
    let allocs = until(&agent, &root, "/v1/job/scribe/allocations", |allocs| allocs[0]["ClientStatus"] == "running");
    let id = allocs[0]["ID"].as_str().unwrap().to_owned();
    // All actions of a job, by those who may read it.
    let actions = done(&agent, &reader, "GET", "/v1/job/scribe/actions", &Value::Null);
    let mut listed: Vec<String> = actions
        .as_array()
        .unwrap()
        .iter()
        .map(|action| ["Name", "TaskName", "TaskGroupName"].map(|field| action[field].as_str().unwrap()).join(" "))
        .collect();
    listed.sort();
    assert_eq!(listed, ["greet ink desk", "greet pen desk", "part pen desk"]);
    assert_eq!(ask(&agent, "", "GET", "/v1/job/scribe/actions", &Value::Null).0, 403);
    // A driver that isolates nothing needs the right to run commands on nodes.
    let path = format!("/v1/client/allocation/{id}/exec?task=pen&command=[%22/bin/echo%22,%22here%22]");
    let action = format!("/v1/job/scribe/action?action=greet&task=pen&allocID={id}");
    let with = |secret: &str| format!("X-Nomad-Token: {secret}\r\n");
    let refused = Some("Permission denied".to_owned());
    for secret in [&within, &reader, &String::new()] {
        assert_eq!(heard(Conversation::open_with(agent.address, &path, &with(secret)).unwrap()).2, refused);
        match Conversation::open_with(agent.address, &action, &with(secret)) {
            Ok(session) => assert_eq!(heard(session).2, refused),
            Err(answer) => assert!(answer.to_string().contains(" 403 "), "{answer}"),
        }
    }
    for (secret, path, said) in [(&beyond, &path, "here\n"), (&root, &path, "here\n"), (&beyond, &action, "hello\n")] {
        let (output, code, closed) = heard(Conversation::open_with(agent.address, path, &with(secret)).unwrap());
        assert_eq!((output.as_str(), code), (said, Some(0)), "{closed:?}");
    }
    // A page says its token in the first message.
    let introduced = |path: &str, token: &str| {
        let mut session = Conversation::open(agent.address, &format!("{path}&ws_handshake=true")).unwrap();
        session.say(&json!({"version": 1, "auth_token": token}).to_string()).unwrap();
        heard(session)
    };
    assert_eq!(introduced(&path, &beyond).0, "here\n");
    assert_eq!(introduced(&action, &beyond).0, "hello\n");
    for secret in [within.as_str(), "", "00000000-0000-0000-0000-000000000000"] {
        for path in [&path, &action] {
            let (output, code, closed) = introduced(path, secret);
            assert!(output.is_empty() && code.is_none() && closed.is_some(), "{path} with {secret:?}: {output} {code:?} {closed:?}");
        }
    }
    let mut other = Conversation::open(agent.address, &format!("{path}&ws_handshake=true")).unwrap();
    other.say(&json!({"version": 2, "auth_token": beyond}).to_string()).unwrap();
    assert_eq!(heard(other).2.as_deref(), Some("unexpected handshake value: 2"));
    // Pages of other sites get nowhere, whatever token they have.
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let answer = Conversation::open_with(agent.address, &path, &format!("{}Origin: {origin}\r\n", with(&root))).err().unwrap();
        assert!(answer.to_string().contains(" 403 "), "{origin}: {answer}");
    }
    let own = format!("{}Origin: http://{}\r\n", with(&root), agent.address);
    assert_eq!(heard(Conversation::open_with(agent.address, &path, &own).unwrap()).0, "here\n");
    // What was run is in the log, with whom it was run by.
    let log = agent.log();
    assert!(log.contains("a command is run in a task") && log.contains("an action of a job is run"), "{log}");
    assert!(!log.contains(&beyond) && !log.contains(&root), "secrets are in the log");
    // A task that does not run, and an allocation that is nowhere near.
    done(&agent, &root, "DELETE", "/v1/job/scribe", &Value::Null);
    until(&agent, &root, &format!("/v1/allocation/{id}"), |alloc| alloc["ClientStatus"] == "complete");
    let (output, code, closed) = heard(Conversation::open_with(agent.address, &path, &with(&root)).unwrap());
    assert!(output.is_empty() && code.is_none() && closed.is_some(), "{output} {code:?} {closed:?}");
    let nowhere = path.replace(&id, "00000000-0000-4000-8000-000000000000");
    let closed = heard(Conversation::open_with(agent.address, &nowhere, &with(&root)).unwrap()).2.unwrap();
    assert!(closed.starts_with("Unknown allocation"), "{closed}");
}

#[proves("ACL-026", "EVT-021")]
#[test]
fn the_agent_itself_is_the_business_of_those_who_may_read_or_change_agents() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), Mode::Dev, GUARDED, &[]);
    let root = bootstrap(&agent);
    let reads = holder(&agent, &root, "reads", "agent { policy = \"read\" }");
    let writes = holder(&agent, &root, "writes", "agent { policy = \"write\" }");
    let own = "pasture.global";
    for (method, path, anonymous, reading, writing) in [
        ("PUT", "/v1/agent/force-leave?node=nobody", 403, 403, 200),
        ("GET", "/v1/agent/pprof/goroutine", 403, 403, 501),
        ("GET", "/v1/agent/pprof/nope", 403, 403, 404),
        ("GET", "/v1/agent/self", 403, 200, 200),
        ("GET", "/v1/agent/schedulers", 403, 200, 200),
        ("PUT", "/v1/agent/servers?address=127.0.0.1:1", 403, 403, 200),
    ] {
        for (secret, status) in [("", anonymous), (reads.as_str(), reading), (writes.as_str(), writing)] {
            assert_eq!(ask(&agent, secret, method, path, &Value::Null).0, status, "{method} {path}");
        }
    }
    // Joining is refused to nobody; who may not change agents is told that this will end.
    for (secret, warned) in [("", true), (reads.as_str(), true), (writes.as_str(), false)] {
        let answer = done(&agent, secret, "PUT", "/v1/agent/join?address=127.0.0.1:1", &Value::Null);
        assert_eq!(answer["warning"].as_str().is_some_and(|text| text.contains("anonymous server join is deprecated")), warned, "{answer}");
    }
    // The log at the level asked for, from the agent that is asked for.
    let node = until(&agent, &root, "/v1/nodes", |nodes| nodes[0]["ID"].is_string())[0]["ID"].as_str().unwrap().to_owned();
    for (query, secret, status) in [
        ("log_level=debug", "", 403),
        ("log_level=loud", reads.as_str(), 400),
        ("server_id=elsewhere", reads.as_str(), 400),
        ("node_id=00000000-0000-4000-8000-000000000000", reads.as_str(), 500),
    ] {
        assert_eq!(ask(&agent, secret, "GET", &format!("/v1/agent/monitor?{query}"), &Value::Null).0, status, "{query}");
    }
    let lines = |query: &str, wanted: &str| {
        let head =
            format!("GET /v1/agent/monitor?plain=true&{query} HTTP/1.1\r\nHost: x\r\nX-Nomad-Token: {reads}\r\nConnection: close\r\n\r\n");
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Something that is written to the log, again and again.
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = ask(&agent, &root, "PUT", "/v1/acl/policy/x", &json!({"Name": "x", "Rules": ""}));
                    let _ = http::raw(agent.address, b"nonsense\r\n\r\n");
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            });
            let enough = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(wanted);
            let reply = http::raw_until(agent.address, head.as_bytes(), enough).unwrap();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            reply.text()
        })
    };
    for query in ["log_level=debug".to_owned(), format!("log_level=debug&node_id={node}"), format!("log_level=debug&server_id={own}")] {
        assert!(lines(&query, "[DEBUG]").contains("[DEBUG]"), "{query}");
    }
}

#[proves("EVT-019", "EVT-022")]
#[test]
fn an_agent_tells_what_it_measures_under_names_that_are_known() {
    let directory = tempfile::tempdir().unwrap();
    let config =
        "name = \"pasture\"\ntelemetry {\n prometheus_metrics = true\n publish_allocation_metrics = true\n publish_node_metrics = true\n}";
    let agent = Agent::start_with(directory.path(), Mode::Dev, config, &[]);
    done(&agent, "", "PUT", "/v1/jobs", &job("scribe"));
    let running = |metrics: &Value| {
        metrics["Gauges"].as_array().is_some_and(|gauges| {
            gauges.iter().any(|gauge| {
                gauge["Name"] == "nomad.nomad.job_summary.running" && gauge["Labels"]["job"] == "scribe" && gauge["Value"] == 1.0
            }) && gauges.iter().any(|gauge| gauge["Name"] == "nomad.client.allocs.memory.rss")
        })
    };
    let metrics = until(&agent, "", "/v1/metrics", running);
    let lists: Vec<&String> = metrics.as_object().unwrap().keys().collect();
    assert_eq!(lists, ["Counters", "Gauges", "Points", "PrecisionGauges", "Samples", "Timestamp"]);
    let names: std::collections::BTreeSet<&str> =
        metrics["Gauges"].as_array().unwrap().iter().map(|gauge| gauge["Name"].as_str().unwrap()).collect();
    for name in [
        "nomad.nomad.broker.total_ready",
        "nomad.nomad.broker.total_unacked",
        "nomad.nomad.broker.total_pending",
        "nomad.nomad.broker.total_waiting",
        "nomad.nomad.blocked_evals.total_blocked",
        "nomad.nomad.blocked_evals.total_escaped",
        "nomad.nomad.plan.queue_depth",
        "nomad.nomad.heartbeat.active",
        "nomad.nomad.job_status.running",
        "nomad.nomad.job_status.pending",
        "nomad.nomad.job_status.dead",
        "nomad.nomad.job_summary.queued",
        "nomad.client.allocated.cpu",
        "nomad.client.allocated.memory",
        "nomad.client.unallocated.disk",
        "nomad.client.allocations.running",
        "nomad.client.host.memory.total",
        "nomad.client.uptime",
        "nomad.raft.appliedIndex",
    ] {
        assert!(names.contains(name), "{name} is missing among {names:?}");
    }
    let text = agent.call("GET", "/v1/metrics?format=prometheus", None).text();
    for line in ["# TYPE nomad_nomad_job_status_running gauge", "nomad_nomad_plan_evaluate_count", "nomad_nomad_plan_apply_sum"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let health = agent.get("/v1/agent/health");
    assert_eq!((&health["server"]["ok"], &health["client"]["ok"]), (&json!(true), &json!(true)));
    for (query, part) in [("server", "server"), ("client", "client")] {
        let health = agent.get(&format!("/v1/agent/health?type={query}"));
        assert_eq!(health.as_object().unwrap().keys().collect::<Vec<_>>(), [part]);
    }
    // What was not asked for is not told, and a role that is not there is not healthy.
    let other = tempfile::tempdir().unwrap();
    let plain = Agent::start(other.path(), Mode::DurableServer);
    let metrics = until(&plain, "", "/v1/metrics", |metrics| metrics.to_string().contains("broker.total_ready"));
    assert!(!metrics.to_string().contains("nomad.client."), "{metrics}");
    let (status, health) = ask(&plain, "", "GET", "/v1/agent/health?type=client", &Value::Null);
    assert_eq!((status, &health["client"]["ok"]), (500, &json!(false)));
}

#[proves("EVT-018")]
#[test]
fn what_is_measured_of_nodes_and_allocations_is_told_when_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    done(&agent, "", "PUT", "/v1/jobs", &job("scribe"));
    let metrics = until(&agent, "", "/v1/metrics", |metrics| {
        let gauges = metrics["Gauges"].as_array();
        gauges.is_some_and(|gauges| {
            gauges.iter().any(|gauge| {
                gauge["Name"] == "nomad.nomad.job_summary.running" && gauge["Labels"]["job"] == "scribe" && gauge["Value"] == 1.0
            })
        })
    });
    let text = metrics.to_string();
    assert!(!text.contains("nomad.client.allocs.") && !text.contains("nomad.client.host."), "{text}");
    let refused = agent.call("GET", "/v1/metrics?format=prometheus", None);
    assert_eq!((refused.status, refused.text().as_str()), (415, "Prometheus is not enabled"));
    // The registration was counted in an interval that is still kept.
    agent.ask_for_measurements();
    let told = || agent.log().lines().any(|line| line.contains("] sample nomad.nomad.plan.apply: count "));
    let soon = (0..1_500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        told()
    });
    assert!(soon, "SIGUSR1 printed nothing:\n{}", agent.log());
}

#[proves("EVT-004")]
#[test]
fn the_newest_events_are_held_and_a_restart_begins_without_any() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start_with(directory.path(), Mode::DurableServer, "server { event_buffer_size = 5 }", &[]);
    for number in 0..20 {
        done(&agent, "", "PUT", "/v1/node/pools", &json!({"Name": format!("pool-{number}")}));
    }
    let newest = agent.get("/v1/node/pool/pool-19")["ModifyIndex"].as_u64().unwrap();
    let held = |agent: &Agent, wanted: &str| -> Vec<Value> {
        let mut lines = std::io::BufReader::new(stream(agent));
        let mut out: Vec<Value> = Vec::new();
        loop {
            let mut line = String::new();
            if std::io::BufRead::read_line(&mut lines, &mut line).unwrap() == 0 || line.contains(wanted) {
                out.extend(serde_json::from_str(&line).ok());
                return out;
            }
            out.extend(serde_json::from_str::<Value>(&line).ok().filter(|line| line["Index"].is_number()));
        }
    };
    let before = held(&agent, "\"pool-19\"");
    assert!(before.len() <= 5 && before.iter().all(|line| line["Index"].as_u64().unwrap() + 5 > newest), "{before:?}");
    agent.stop();
    agent.launch();
    agent.wait_ready();
    done(&agent, "", "PUT", "/v1/node/pools", &json!({"Name": "after"}));
    let after = held(&agent, "\"after\"");
    assert!(after.iter().all(|line| line["Index"].as_u64().unwrap() > newest), "{after:?}");
    assert!(!format!("{after:?}").contains("pool-19"));
}

/// An event stream, past its head.
fn stream(agent: &Agent) -> std::net::TcpStream {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /v1/event/stream?topic=NodePool HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream
}
