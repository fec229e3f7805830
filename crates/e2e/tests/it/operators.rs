//! Commands of operators that need a whole agent, and the comforts of the command line: logs of all tasks, forwarded ports,
//! what a stopped client remembers.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use drover_e2e::golden::{command_row, compare_lines, differing, exercised, judge, records, route_row, split};
use drover_e2e::{Agent, Mode};
use drover_macros::proves;
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
    let alloc = agent.until_tasks_run("choir")["ID"].as_str().unwrap()[..8].to_owned();
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

/// As the recorded commands beside it answer where servers do not encrypt what they gossip.
#[test]
fn a_key_for_gossip_is_not_installed_where_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let ran = agent.cli(&["operator", "gossip", "keyring", "install", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "Installing new gossip encryption key...\n"));
    assert_eq!(ran.error, "error: Unexpected response code: 500 (1/1 nodes reported failure)\n");
    told("operator gossip keyring install");
}

#[test]
fn a_port_of_an_allocation_is_reached_at_a_local_one() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    agent.register(job("echo", "while true; do sleep 1; done", true));
    let alloc = agent.until_tasks_run("echo");
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
    assert!(said.contains(&format!("-> port http of allocation {}", &id[..8])), "{said}");
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
fn nodes_are_vouched_for_and_new_ones_are_introduced() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), Mode::Dev, "client { node_class = \"meadow\" }", &[]);
    let node = agent.get("/v1/nodes")[0]["ID"].as_str().unwrap().to_owned();
    let shown = agent.cli(&["node", "identity", "get", &node]);
    let keys: Vec<&str> = shown.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let claims =
        ["aud", "exp", "iat", "jti", "nbf", "sub", "nomad_node_class", "nomad_node_datacenter", "nomad_node_id", "nomad_node_pool"];
    assert_eq!(keys, [&["Claim"][..], &claims[..]].concat(), "{shown:?}");
    assert!(shown.out.contains(&format!("node:global:default:{node}:default")));
    told("node identity get");
    let claimed = || agent.get("/v1/client/identity")["Claims"]["jti"].as_str().unwrap().to_owned();
    let before = claimed();
    assert_eq!(claimed(), before, "it stays until somebody asks for another");
    let renewed = agent.cli(&["node", "identity", "renew", &node]);
    assert_eq!((renewed.code, renewed.out.as_str()), (0, ""), "{renewed:?}");
    assert_ne!(claimed(), before);
    told("node identity renew");
    let made = agent.cli(&["node", "intro", "create", "-node-name", "lamb", "-ttl", "5m"]);
    let (first, token) = made.out.split_once("\n\n").unwrap_or_else(|| panic!("{made:?}"));
    assert_eq!(first, "Successfully generated client introduction token:");
    assert_eq!(token.trim().split('.').count(), 3);
    told("node intro create");
    // What signed it is told to everybody.
    let keys = agent.call("GET", "/.well-known/jwks.json", None);
    assert!(keys.header("cache-control").is_some_and(|age| age.starts_with("max-age=")));
    assert_eq!(keys.json()["keys"][0]["kty"], "RSA");
    let unknown = agent.call("GET", "/v1/client/identity?node_id=00000000-0000-0000-0000-000000000000", None);
    assert_eq!((unknown.status, unknown.text().as_str()), (500, "Unknown node 00000000-0000-0000-0000-000000000000"));
    assert_eq!(agent.call("GET", "/.well-known/openid-configuration", None).text(), "OIDC Discovery endpoint disabled");
    for (method, path) in [
        ("GET", "/v1/client/identity"),
        ("PUT", "/v1/client/identity/renew"),
        ("POST", "/v1/client/identity/renew"),
        ("PUT", "/v1/acl/identity/client-introduction-token"),
        ("POST", "/v1/acl/identity/client-introduction-token"),
    ] {
        let answer = agent.call(method, path, (method != "GET").then(|| json!({})).as_ref());
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        exercised("http-api", route_row(method, path), "drover_e2e::it::operators");
    }
}

#[test]
fn tasks_have_no_schedules_that_could_be_paused() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    agent.register(job("steady", "while true; do sleep 1; done", false));
    let id = agent.until_tasks_run("steady")["ID"].as_str().unwrap().to_owned();
    let ran = agent.cli(&["alloc", "pause", "-status", &id, "one"]);
    assert_eq!((ran.code, ran.error.as_str()), (1, "Error getting task pause state: Unexpected response code: 500 (Enterprise only)\n"));
    told("alloc pause");
    let path = format!("/v1/client/allocation/{id}/pause");
    let wrong = agent.call("PUT", &path, Some(&json!({ "ScheduleState": "zz" })));
    assert_eq!((wrong.status, wrong.text().as_str()), (400, "Not a valid task schedule state"));
    for method in ["GET", "PUT", "POST"] {
        let answer = agent.call(method, &path, (method != "GET").then(|| json!({ "ScheduleState": "pause", "Task": "one" })).as_ref());
        assert_eq!((answer.status, answer.text().as_str()), (500, "Enterprise only"), "{method}");
        exercised("http-api", route_row(method, &path), "drover_e2e::it::operators");
    }
}

/// How many lines of a command wait for the test that reads them.
const LINES_MAX: usize = 1024;

/// A command that goes on, its output line by line, ended by an interrupt.
struct Following {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
    seen: String,
}

impl Following {
    fn start(agent: &Agent, words: &[&str]) -> Self {
        let mut child = Command::new(drover_e2e::agent::program())
            .args(words)
            .env("NOMAD_ADDR", format!("http://{}", agent.address))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = std::sync::mpsc::sync_channel(LINES_MAX);
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        Self { child, lines, seen: String::new() }
    }

    /// Reads on until a line fits, which has to come within a minute.
    fn until(&mut self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|end| panic!("{end} after {}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            if fits(&line) {
                return line;
            }
        }
    }

    /// Interrupts it and returns its exit code.
    fn interrupt(mut self) -> i32 {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn logs_of_a_job_go_on_with_tasks_that_start_later() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    agent.register(job("choir", "echo \"first $NOMAD_TASK_NAME\"; while true; do sleep 1; done", false));
    let first = agent.until_tasks_run("choir")["ID"].as_str().unwrap()[..8].to_owned();
    let mut logs = Following::start(&agent, &["job", "logs", "-f", "choir"]);
    for _ in 0..2 {
        let line = logs.until(|line| line.contains("first"));
        assert!(line.starts_with(&first), "{line}");
    }
    agent.register(job("choir", "echo \"second $NOMAD_TASK_NAME\"; while true; do sleep 1; done", false));
    for _ in 0..2 {
        let line = logs.until(|line| line.contains("second"));
        assert!(!line.starts_with(&first), "{line}");
    }
    assert_eq!(logs.interrupt(), 0);
}

#[test]
fn the_status_of_a_job_is_shown_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    agent.register(job("bell", "while true; do sleep 1; done", false));
    agent.until_tasks_run("bell");
    let mut status = Following::start(&agent, &["job", "status", "-watch", "bell"]);
    status.until(|line| line.starts_with("Status") && line.contains("running"));
    assert_eq!(agent.cli(&["job", "stop", "-detach", "bell"]).code, 0);
    status.until(|line| line.starts_with("Status") && line.contains("dead"));
    assert_eq!(status.interrupt(), 0);
}

#[proves("ACT-003")]
#[test]
fn an_action_is_a_command_in_a_running_task_with_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let mut actor = job("actor", "while true; do sleep 1; done", false);
    actor["TaskGroups"][0]["Tasks"][0]["Env"] = json!({ "MOOD": "calm" });
    actor["TaskGroups"][0]["Tasks"][0]["Actions"] = json!([
        { "Name": "mood", "Command": "/bin/sh", "Args": ["-c", "echo $MOOD; cat; echo low >&2; exit 5"] },
    ]);
    agent.register(actor);
    let id = agent.until_tasks_run("actor")["ID"].as_str().unwrap().to_owned();
    for words in [
        vec!["action", "-t=false", "-job", "actor", "-group", "g", "-task", "one", "mood"],
        vec!["job", "action", "-t=false", "-job", "actor", "-alloc", &id, "-task", "one", "mood"],
    ] {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let ran = agent.cli_with(&words, "given");
        assert_eq!((ran.code, ran.out.as_str(), ran.error.as_str()), (5, "calm\ngiven", "low\n"), "{words:?}");
    }
    let none = agent.cli(&["action", "-job", "actor", "-alloc", &id, "-task", "one", "sing"]);
    assert!(none.code == 1 && none.error.contains("action sing not found"), "{none:?}");
    // What is not running has nothing to run commands in.
    assert_eq!(agent.cli(&["job", "stop", "-detach", "actor"]).code, 0);
    agent.until_alloc("actor", "complete");
    let gone = agent.cli(&["action", "-job", "actor", "-alloc", &id, "-task", "one", "mood"]);
    assert!(gone.code == 1 && gone.error.contains("not running"), "{gone:?}");
}

#[test]
fn what_a_stopped_client_remembers_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Durable);
    agent.register(job("kept", "while true; do sleep 1; done", false));
    let id = agent.until_tasks_run("kept")["ID"].as_str().unwrap().to_owned();
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
