//! Bad input and bad luck: a clear refusal, nothing lost, nothing panics.

use std::net::TcpListener;
use std::thread::sleep;
use std::time::Duration;

use drover_e2e::{Agent, Mode, http};
use serde_json::json;

#[test]
fn malformed_and_enormous_requests_get_a_reason_and_the_agent_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let address = agent.address;
    let put = |body: &[u8]| {
        let mut request =
            format!("PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend_from_slice(body);
        http::raw(address, &request).unwrap()
    };
    for body in [&b"{"[..], b"[]", b"\"\"", b"{\"Job\":{\"Priority\":\"x\"}}", b"{\"Job\":3}", b"\xff\xfe", b"{\"Job\":{\"ID\":1e999}}"] {
        let reply = put(body);
        assert_eq!(reply.status, 400, "{:?}: {}", String::from_utf8_lossy(body), reply.text());
        assert!(!reply.text().is_empty());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(put(deep.as_bytes()).status, 400);
    assert_eq!(put(b"").text(), "Request body is empty");
    let claimed = b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n{}";
    let reply = http::raw(address, claimed).unwrap();
    assert!((400..500).contains(&reply.status), "{reply:?}");
    for path in ["/v1/jobs?index=x", "/v1/jobs?wait=x&index=1", "/v1/jobs?per_page=x", "/v1/jobs?filter=((("] {
        let reply = agent.call("GET", path, None);
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
    }
    assert_eq!(agent.call("GET", "/v1/nothing", None).status, 404);
    assert_eq!(agent.call("PATCH", "/v1/jobs", None).status, 405);
    assert_eq!(agent.get("/v1/jobs"), json!([]));
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
}

#[test]
fn what_cannot_be_placed_says_which_nodes_were_left_out_by_what() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let refused = |name: &str, group: serde_json::Value| {
        agent.register(json!({ "ID": name, "TaskGroups": [group] }));
        let evals = agent.until(&format!("/v1/job/{name}/evaluations"), "a failed placement", |evals| {
            evals.as_array().unwrap().iter().any(|eval| eval["FailedTGAllocs"]["g"].is_object())
        });
        let eval = evals.as_array().unwrap().iter().find(|eval| eval["FailedTGAllocs"]["g"].is_object()).cloned().unwrap();
        eval["FailedTGAllocs"]["g"].clone()
    };
    let task = |driver: &str| json!({ "Name": "t", "Driver": driver, "Config": { "run_for": "1h" } });
    let unknown = refused("driver", json!({ "Name": "g", "Tasks": [task("submarine")] }));
    assert_eq!(unknown["ConstraintFiltered"]["missing drivers"], 1, "{unknown:#}");
    let constraint = json!([{ "LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "plan9" }]);
    let impossible = refused("constraint", json!({ "Name": "g", "Constraints": constraint, "Tasks": [task("mock_driver")] }));
    assert_eq!(impossible["ConstraintFiltered"]["${attr.kernel.name} = plan9"], 1, "{impossible:#}");
    let port = json!([{ "ReservedPorts": [{ "Label": "p", "Value": 18_234 }] }]);
    // One for each address of the node, and some that find none.
    let taken = refused("port", json!({ "Name": "g", "Count": 5, "Networks": port, "Tasks": [task("mock_driver")] }));
    assert_eq!(taken["DimensionExhausted"]["network: reserved port collision p=18234"], 1, "{taken:#}");
    let huge = json!({ "Name": "t", "Driver": "mock_driver", "Resources": { "MemoryMB": 900_000_000 } });
    let exhausted = refused("memory", json!({ "Name": "g", "Tasks": [huge] }));
    assert_eq!(exhausted["DimensionExhausted"]["memory"], 1, "{exhausted:#}");
    let shown = agent.cli(&["job", "status", "constraint"]);
    assert!(shown.out.contains("${attr.kernel.name} = plan9"), "{}", shown.out);
}

#[test]
fn a_second_agent_on_the_same_directory_or_port_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let first = Agent::start(directory.path(), Mode::Durable);
    let mut second = Agent::prepare(&directory.path().join("second"), Mode::DurableServer, "", &[]);
    second = second.with_arguments(&["-data-dir", &directory.path().join("data").display().to_string()]);
    second.launch();
    assert_eq!(second.wait_exit(), 1);
    assert!(second.log().contains("is using the data directory"), "{}", second.log());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut third = Agent::prepare(&directory.path().join("third"), Mode::Dev, &format!("ports {{ http = {port} }}"), &[]);
    third.launch();
    assert_eq!(third.wait_exit(), 1);
    assert!(third.log().contains(&format!("port {port} on 127.0.0.1 is in use")), "{}", third.log());
    assert_eq!(first.get("/v1/jobs"), json!([]));
}

#[test]
fn configuration_read_again_takes_hold_where_it_can_and_a_broken_file_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Dev);
    let file = agent.directory.join("agent.hcl");
    let first = std::fs::read_to_string(&file).unwrap();
    let seen = |agent: &Agent, text: &str| {
        (0..500).any(|_| {
            agent.log().contains(text) || {
                sleep(Duration::from_millis(20));
                false
            }
        })
    };
    std::fs::write(&file, "log_level = [").unwrap();
    agent.hang_up();
    assert!(seen(&agent, "configuration not reloaded"), "{}", agent.log());
    std::fs::write(&file, first.replace("\"DEBUG\"", "\"WARN\"") + "datacenter = \"elsewhere\"\n").unwrap();
    agent.hang_up();
    assert!(seen(&agent, "these changed keys take effect at the next start"), "{}", agent.log());
    let about = agent.log();
    let line = about.lines().find(|line| line.contains("take effect at the next start")).unwrap();
    assert!(line.contains("datacenter") && !line.contains("log_level\\\""), "{line}");
    // What is below the new level is not written any more; going back by the API is.
    let before = agent.log().len();
    agent.get("/v1/jobs");
    std::fs::write(&file, first).unwrap();
    assert_eq!(agent.call("PUT", "/v1/agent/reload", None).status, 200);
    assert!((0..500).any(|_| agent.log().len() > before || {
        sleep(Duration::from_millis(20));
        false
    }));
    assert!(agent.log()[before..].contains("configuration reloaded"), "{}", &agent.log()[before..]);
    assert_eq!(agent.stop(), 0);
}

#[test]
fn an_unreadable_log_refuses_to_start_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::DurableServer);
    for number in 0..20 {
        agent.register(json!({ "ID": format!("j{number}"), "TaskGroups": [{ "Name": "g", "Count": 0, "Tasks": [{ "Name": "t", "Driver": "mock_driver" }] }] }));
    }
    agent.kill();
    let log = directory.path().join("data/server/raft/log/0000000000000001.log");
    let intact = std::fs::read(&log).unwrap();
    let mut damaged = intact.clone();
    damaged[300] ^= 0xff;
    std::fs::write(&log, &damaged).unwrap();
    agent.launch();
    assert_eq!(agent.wait_exit(), 1);
    assert!(agent.log().contains("is damaged at byte"), "{}", agent.log());
    std::fs::write(&log, &intact).unwrap();
    agent.launch();
    agent.wait_ready();
    assert_eq!(agent.get("/v1/jobs").as_array().unwrap().len(), 20, "nothing was lost by refusing");
}

#[test]
fn a_broken_job_file_names_every_place_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let file = directory.path().join("broken.nomad.hcl");
    std::fs::write(
        &file,
        "job \"x\" {\n  prioritty = 10\n  group \"g\" {\n    cuont = 2\n    task \"t\" {\n      driver = \"mock_driver\"\n    }\n  }\n}\n",
    )
    .unwrap();
    let run = agent.cli(&["job", "run", &file.display().to_string()]);
    assert_eq!(run.code, 1);
    for wanted in ["broken.nomad.hcl:2", "prioritty", "priority", "broken.nomad.hcl:4", "cuont", "count"] {
        assert!(run.error.contains(wanted), "{wanted} is missing in:\n{}", run.error);
    }
}

/// A disk that is full: as root, on a small file system of its own.
#[test]
fn a_full_disk_stops_writes_clearly_and_loses_nothing_acknowledged() {
    if !nix::unistd::geteuid().is_root() {
        println!("needs root to mount a small file system");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let small = directory.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&small).status().unwrap();
    assert!(mounted.success());
    let outcome = std::panic::catch_unwind(|| full_disk(&small));
    let _ = std::process::Command::new("umount").arg("-l").arg(&small).status();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn full_disk(small: &std::path::Path) {
    let mut agent = Agent::start(small, Mode::DurableServer);
    let padding = "x".repeat(100_000);
    let job = |number: usize| {
        json!({ "Job": { "ID": format!("j{number}"), "Meta": { "padding": padding },
            "TaskGroups": [{ "Name": "g", "Count": 0, "Tasks": [{ "Name": "t", "Driver": "mock_driver" }] }] } })
    };
    let mut acknowledged = 0;
    let refusal = loop {
        match agent.try_call("PUT", "/v1/jobs", Some(&job(acknowledged))) {
            Ok(reply) if reply.status == 200 => acknowledged += 1,
            Ok(reply) => break reply.text(),
            Err(error) => break error.to_string(),
        }
        assert!(acknowledged < 500, "the disk does not fill up");
    };
    assert!(!refusal.is_empty());
    assert_ne!(agent.wait_exit(), 0, "the server stops rather than go on without a log");
    assert!(agent.log().contains("storage failed"), "{}", agent.log());
    let remount = std::process::Command::new("mount").args(["-o", "remount,size=64m"]).arg(small).status().unwrap();
    assert!(remount.success());
    agent.launch();
    agent.wait_ready();
    let jobs = agent.get("/v1/jobs").as_array().unwrap().len();
    assert!(jobs >= acknowledged, "{acknowledged} were acknowledged, {jobs} are there");
}
