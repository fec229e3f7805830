//! Commands of operators that need a whole agent, and the comforts of the command line: logs of all tasks, forwarded ports,
//! what a stopped client remembers.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use drover_e2e::golden::{command_row, compare_lines, differing, exercised, judge, records, route_row, split};
use drover_e2e::{Agent, Mode};
use serde_json::{Value, json};

const FLOWS: &str = include_str!("../../../../testdata/golden/cli-flows.jsonl");

fn job(id: &str, script: &str, port: bool) -> Value {
    let networks = if port { json!([{"DynamicPorts": [{"Label": "http"}]}]) } else { json!([]) };
    let task = |name: &str| {
        json!({"Name": name, "Driver": "raw_exec", "Config": {"command": "/bin/sh", "args": ["-c", script]},
            "Resources": {"CPU": 20, "MemoryMB": 16}, "LogConfig": {"MaxFiles": 2, "MaxFileSizeMB": 1}})
    };
    let group = json!({"Name": "g", "Tasks": [task("one"), task("two")], "EphemeralDisk": {"SizeMB": 20}, "Networks": networks});
    json!({"ID": id, "Name": id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]})
}

fn told(row: &str) {
    exercised("cli", command_row(row), "drover_e2e::it::operators");
}

#[test]
fn commands_that_need_a_whole_agent_answer_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), Mode::Dev, "name = \"pasture\"", &[]);
    let (all, different, mut wrong) = (records(FLOWS), differing("cli"), Vec::new());
    let servers = agent.get("/v1/agent/servers");
    let server = servers[0].as_str().unwrap().to_owned();
    for number in ["209", "210", "211", "280", "384", "600", "601", "603"] {
        let (name, record) = all.iter().find(|(name, _)| name.starts_with(number)).unwrap();
        let command = record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap().replace("127.0.0.1:#####", &server);
        let command = command.replace("<work-dir>", &directory.path().display().to_string());
        std::fs::write(agent.directory.join("abad.hcl"), "server {\n  enabld = true\n}\n").unwrap();
        let ran = agent.cli_with(&split(&command), "");
        told(&command);
        let mut found = Vec::new();
        if record["exit"] != i64::from(ran.code) {
            found.push(format!("exit {}, recorded {}: {ran:?}", ran.code, record["exit"]));
        }
        compare_lines("stdout", record["stdout"].as_str().unwrap(), &ran.out, &mut found);
        compare_lines("stderr", record["stderr"].as_str().unwrap(), &ran.error, &mut found);
        judge(name, &found, &different, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    for (method, path, status) in [
        ("GET", "/v1/agent/servers".to_owned(), 200),
        ("POST", "/v1/agent/servers".to_owned(), 400),
        ("PUT", format!("/v1/agent/servers?address={server}"), 200),
        ("POST", format!("/v1/agent/servers?address={server}"), 200),
        ("PUT", "/v1/agent/servers?address=nowhere.invalid:1".to_owned(), 400),
        ("GET", "/v1/metrics".to_owned(), 200),
    ] {
        let answer = agent.call(method, &path, None);
        assert_eq!(answer.status, status, "{method} {path}");
        exercised("http-api", route_row(method, &path), "drover_e2e::it::operators");
    }
    // Sections and values of the recorded form.
    let info = agent.cli(&["agent-info"]);
    let sections: Vec<&str> = info.out.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!((info.code, sections), (0, vec!["client", "nomad", "raft", "runtime", "serf"]), "{info:?}");
    for line in ["  known_servers = ", "  leader = true", "  server = true", "  state = Leader", "  arch = amd64", "  kernel.name = linux"]
    {
        assert!(info.out.lines().any(|own| own.starts_with(line)), "{line} is missing in {info:?}");
    }
    told("agent-info");
}

#[test]
fn logs_of_all_tasks_of_a_job_come_with_whose_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    agent.register(job("choir", "echo \"$NOMAD_TASK_NAME sings\"; echo low >&2; while true; do sleep 1; done", false));
    let alloc = agent.until_alloc("choir", "running")["ID"].as_str().unwrap()[..8].to_owned();
    let mut ran = agent.cli(&["job", "logs", "choir"]);
    while !(ran.out.contains("one sings") && ran.out.contains("two sings") && ran.error.contains("low")) {
        assert_eq!(ran.code, 0, "{ran:?}");
        ran = agent.cli(&["job", "logs", "choir"]);
    }
    let mut lines: Vec<&str> = ran.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [format!("{alloc} one | one sings"), format!("{alloc} two | two sings")]);
    assert!(ran.error.lines().any(|line| line == format!("{alloc} two | low")), "{ran:?}");
    let one = agent.cli(&["job", "logs", "-task", "two", "-stdout", "choir"]);
    assert_eq!((one.out.trim(), one.error.as_str()), (format!("{alloc} two | two sings").as_str(), ""));
    // Ids of live objects complete a line.
    let completed = Command::new(drover_e2e::agent::program())
        .env("COMP_LINE", "drover job status cho")
        .env("NOMAD_ADDR", format!("http://{}", agent.address))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "choir\n");
}

#[test]
fn a_port_of_an_allocation_is_reached_at_a_local_one() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    agent.register(job("echo", "while true; do sleep 1; done", true));
    let alloc = agent.until_alloc("echo", "running");
    let id = alloc["ID"].as_str().unwrap();
    let whole = agent.get(&format!("/v1/allocation/{id}"));
    let port = &whole["AllocatedResources"]["Shared"]["Ports"][0];
    let address = format!("{}:{}", port["HostIP"].as_str().unwrap(), port["Value"]);
    let listener = std::net::TcpListener::bind(&address).unwrap();
    let mut child = Command::new(drover_e2e::agent::program())
        .args(["alloc", "port-forward", "-address", &format!("http://{}", agent.address), id, "http"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let local = said.strip_prefix("Forwarding ").and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    assert!(said.contains(&address), "{said}");
    let mut client = std::net::TcpStream::connect(local).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"ping").unwrap();
    let mut heard = [0; 4];
    server.read_exact(&mut heard).unwrap();
    server.write_all(b"pong").unwrap();
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"pong");
    child.kill().unwrap();
    child.wait().unwrap();
    let missing = agent.cli(&["alloc", "port-forward", id, "gopher"]);
    assert!(missing.code == 1 && missing.error.contains("has no port \"gopher\"; it has http"), "{missing:?}");
}

#[test]
fn what_a_stopped_client_remembers_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Durable);
    agent.register(job("kept", "while true; do sleep 1; done", false));
    let id = agent.until_alloc("kept", "running")["ID"].as_str().unwrap().to_owned();
    agent.stop();
    let state = find(directory.path(), "state.redb").expect("a client with a data_dir keeps its state");
    let ran = agent.cli(&["operator", "client-state", state.parent().unwrap().to_str().unwrap()]);
    let shown: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(shown["Allocations"][&id]["Alloc"]["JobID"], "kept");
    assert!(shown["NodeIdentity"].is_string());
    told("operator client-state");
}

fn find(directory: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.file_name().is_some_and(|own| own == name) {
            return Some(path);
        }
    }
    None
}

#[test]
fn the_service_manager_hears_when_the_agent_is_ready_reloads_and_stops() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let mut agent = Agent::prepare(directory.path(), Mode::Dev, "", &["env", &variable]);
    agent.launch();
    assert_eq!(hear(), "READY=1");
    agent.wait_ready();
    agent.hang_up();
    let reloading = hear();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(hear(), "READY=1");
    assert_eq!(agent.stop(), 0);
    assert_eq!(hear(), "STOPPING=1");
}
