//! kill -9 in loops: tasks do not notice, and what was acknowledged stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::{Value, json};

/// How often each agent is killed.
const KILLS: u32 = 50;

/// Writes a numbered line every 5 ms until it is told to end, then exits with 7.
const WRITER: &str = r#"
trap 'exit 7' TERM
n=0
while :; do
  n=$((n + 1))
  echo "line $n"
  sleep 0.005
done
"#;

fn lines(directory: &Path, alloc: &str) -> Vec<u64> {
    let logs = directory.join("data/alloc").join(alloc).join("alloc/logs");
    let mut files: Vec<(u64, std::path::PathBuf)> = std::fs::read_dir(&logs)
        .unwrap_or_else(|error| panic!("{}: {error}", logs.display()))
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.strip_prefix("writer.stdout.")?.parse().ok()?;
            Some((number, path))
        })
        .collect();
    files.sort();
    let text: String = files.iter().map(|(_, path)| std::fs::read_to_string(path).unwrap()).collect();
    text.lines()
        .map(|line| line.strip_prefix("line ").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("a torn line: {line:?}")))
        .collect()
}

#[proves("DRV-019", "DRV-003", "DRV-004", "CLI-053", "CLI-056", "CLI-096")]
#[test]
fn a_service_does_not_notice_that_its_agent_is_killed_fifty_times() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Durable);
    agent.register(json!({
        "ID": "writer", "TaskGroups": [{
            "Name": "g", "RestartPolicy": { "Attempts": 0, "Mode": "fail" },
            "ReschedulePolicy": { "Attempts": 0, "Unlimited": false },
            "Tasks": [{ "Name": "writer", "Driver": "raw_exec", "Config": { "command": "/bin/sh", "args": ["-c", WRITER] },
                "KillSignal": "SIGTERM", "Resources": { "CPU": 10, "MemoryMB": 20 } }],
        }],
    }));
    let alloc = agent.until_alloc("writer", "running")["ID"].as_str().unwrap().to_owned();
    let pid = || {
        let own = std::process::id();
        let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut found: Vec<u32> = all
            .filter(|pid| *pid != own)
            .filter(|pid| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let mine = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(directory.path()));
                mine && String::from_utf8_lossy(&words).contains("trap 'exit 7' TERM")
            })
            .collect();
        // A shell that is about to become `sleep` shows the same words for a moment; it is the writer's child.
        let parent = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok())
        };
        let all = found.clone();
        found.retain(|pid| parent(*pid).is_none_or(|parent| !all.contains(&parent)));
        found
    };
    let first = pid();
    assert_eq!(first.len(), 1, "{first:?}");
    for round in 0..KILLS {
        agent.kill();
        agent.launch();
        agent.wait_ready();
        assert!(pid().contains(&first[0]), "after kill {round}");
    }
    agent.until_alloc("writer", "running");
    // It still writes: as many lines again, however fast the fifty rounds were.
    let before = lines(directory.path(), &alloc).len();
    assert!(before > 0);
    let twice = (0..3000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        lines(directory.path(), &alloc).len() >= 2 * before
    });
    assert!(twice, "the writer's lines stopped at {before}");
    let seen = lines(directory.path(), &alloc);
    // The last line may still be on its way; all others are there once, in order.
    for (position, number) in seen.iter().enumerate() {
        assert_eq!(*number, position as u64 + 1, "a line is lost or doubled");
    }
    let signal = agent.cli(&["alloc", "signal", "-s", "SIGTERM", &alloc]);
    assert_eq!(signal.code, 0, "{signal:?}");
    let ended = agent.until(&format!("/v1/allocation/{alloc}"), "the exit code", |alloc| alloc["ClientStatus"] == "failed");
    let events = ended["TaskStates"]["writer"]["Events"].as_array().cloned().unwrap_or_default();
    assert!(events.iter().any(|event| event["Type"] == "Terminated" && event["ExitCode"] == 7), "{events:#?}");
}

#[proves("DRV-005")]
#[test]
fn an_exit_while_the_agent_is_dead_is_delivered_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Durable);
    let gate = directory.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done; exit 9", gate.display());
    agent.register(json!({
        "ID": "late", "Type": "batch", "TaskGroups": [{
            "Name": "g", "RestartPolicy": { "Attempts": 0, "Mode": "fail" }, "ReschedulePolicy": { "Attempts": 0 },
            "Tasks": [{ "Name": "t", "Driver": "raw_exec", "Config": { "command": "/bin/sh", "args": ["-c", script] } }],
        }],
    }));
    let alloc = agent.until_alloc("late", "running")["ID"].as_str().unwrap().to_owned();
    agent.kill();
    std::fs::write(&gate, b"").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    agent.launch();
    agent.wait_ready();
    let ended = agent.until(&format!("/v1/allocation/{alloc}"), "the exit code", |alloc| alloc["ClientStatus"] == "failed");
    let events = ended["TaskStates"]["t"]["Events"].as_array().cloned().unwrap_or_default();
    assert!(events.iter().any(|event| event["Type"] == "Terminated" && event["ExitCode"] == 9), "{events:#?}");
}

fn empty_job(name: &str, version: u64) -> Value {
    json!({ "Job": { "ID": name, "Meta": { "version": version.to_string() },
        "TaskGroups": [{ "Name": "g", "Count": 0, "Tasks": [{ "Name": "t", "Driver": "mock_driver" }] }] } })
}

#[proves("RFT-001")]
#[test]
fn every_acknowledged_write_survives_fifty_kills_of_the_server() {
    const WRITERS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::DurableServer);
    let address = agent.address;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || {
                let mut version = 0;
                while !stop.load(Ordering::Relaxed) {
                    version += 1;
                    let name = format!("writer-{writer}-{}", version % 10);
                    match http::call(address, "PUT", "/v1/jobs", Some(&empty_job(&name, version))) {
                        Ok(reply) if reply.status == 200 => {
                            acknowledged.lock().unwrap().insert(name, version);
                        }
                        // Not acknowledged: it may be there or not.
                        _ => std::thread::sleep(Duration::from_millis(5)),
                    }
                }
            })
        })
        .collect();
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(60));
        agent.kill();
        agent.launch();
        agent.wait_ready();
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_eq!(acknowledged.len(), WRITERS * 10, "{acknowledged:?}");
    for (name, version) in &acknowledged {
        let stored = agent.get(&format!("/v1/job/{name}"));
        let found: u64 = stored["Meta"]["version"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        assert!(found >= *version, "{name} was acknowledged at {version} and is at {found}");
    }
    println!("{} writes acknowledged at last, {KILLS} kills", acknowledged.values().sum::<u64>());
}

/// The trace of system calls shows a completed sync between the request and its answer.
#[test]
fn a_sync_completes_before_the_acknowledgement_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let trace_path = trace.display().to_string();
    let strace = ["strace", "-f", "-qq", "-s", "64", "-e", "trace=fdatasync,fsync,recvfrom,read,sendto,writev,write", "-o", &trace_path];
    let agent = Agent::start_with(directory.path(), Mode::DurableServer, "", &strace);
    let reply = agent.call("PUT", "/v1/jobs", Some(&empty_job("traced", 1)));
    assert_eq!(reply.status, 200);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.pid())).unwrap();
    for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGINT);
    }
    let mut agent = agent;
    agent.wait_exit();
    let text = std::fs::read_to_string(&trace).unwrap();
    let calls: Vec<&str> = text.lines().collect();
    let request = calls.iter().position(|line| line.contains("PUT /v1/jobs")).expect("the request is in the trace");
    let answer =
        calls.iter().skip(request).position(|line| line.contains("HTTP/1.1 200 OK")).expect("the answer is in the trace") + request;
    let synced = calls[request..answer]
        .iter()
        .any(|line| (line.contains("fdatasync(") && line.trim_end().ends_with("= 0")) || line.contains("fdatasync resumed"));
    assert!(synced, "no sync between request and answer:\n{}", calls[request..=answer].join("\n"));
}

/// The version file is local: what gossip would show of the protocol says nothing about the past of a data directory.
#[proves("RFT-014", "RFT-015", "RFT-017", "RFT-020")]
#[test]
fn the_recorded_raft_protocol_refuses_a_downgrade_and_the_members_tag_does_not_tell() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::DurableServer);
    let version = directory.path().join("data/server/raft/version");
    let tag = |agent: &Agent| agent.get("/v1/agent/members")["Members"][0]["Tags"]["raft_vsn"].clone();
    assert_eq!((std::fs::read_to_string(&version).unwrap().as_str(), tag(&agent)), ("3", json!("3")));
    agent.stop();
    std::fs::write(&version, "2").unwrap();
    agent.launch();
    agent.wait_ready();
    assert_eq!((std::fs::read_to_string(&version).unwrap().as_str(), tag(&agent)), ("3", json!("3")));
    agent.stop();
    std::fs::write(&version, "9").unwrap();
    agent.launch();
    assert_eq!(agent.wait_exit(), 1);
    assert!(agent.log().contains("raft_protocol 9") && agent.log().contains("configured with 3"), "{}", agent.log());
}

#[proves("RFT-005")]
#[test]
fn a_blocking_read_returns_with_the_change_and_lists_that_begin_with_nothing_begin_at_zero() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::DurableServer);
    let index = |reply: &http::Reply| reply.header("x-nomad-index").and_then(|index| index.parse::<u64>().ok()).unwrap();
    // A fresh region has no jobs and no index of them; what is there from the start has one that can be waited for.
    let none = agent.call("GET", "/v1/jobs", None);
    assert_eq!((none.text().as_str(), index(&none)), ("[]", 0));
    assert!(index(&agent.call("GET", "/v1/namespaces", None)) >= 1);
    assert!(index(&agent.call("GET", "/v1/jobs?index=1&wait=10ms", None)) >= 1, "whoever waits can wait for what is told");
    let address = agent.address;
    let path = "/v1/jobs?index=1&wait=60s".to_owned();
    let waiting = std::thread::spawn(move || http::call(address, "GET", &path, None).unwrap());
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished(), "nothing has changed yet");
    agent.register(empty_job("woken", 1)["Job"].clone());
    let woken = waiting.join().unwrap();
    assert!(index(&woken) > 1 && woken.text().contains("woken"), "{}", woken.text());
    // A wait that is over answers with what there is.
    let over = agent.call("GET", &format!("/v1/jobs?index={}&wait=100ms", index(&woken) + 1_000), None);
    assert!(over.status == 200 && index(&over) >= index(&woken), "{over:?}");
}
