//! An agent under test: a process of its own with ports and directories of its own, gone with everything it started when
//! the test ends.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::http::{self, Reply};

/// How often a condition is looked at, and how long at most.
const PAUSE: Duration = Duration::from_millis(20);
const TRIES: u32 = 3_000;

/// How an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `agent -dev`.
    Dev,
    /// Server and client with a data directory.
    Durable,
    /// A server alone with a data directory.
    DurableServer,
    /// A client with a data directory; the configuration says where its servers are.
    DurableClient,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub error: String,
}

/// A running agent.
pub struct Agent {
    /// Its directory: configuration, log, data.
    pub directory: PathBuf,
    /// Where its API listens.
    pub address: SocketAddr,
    /// Where it listens for other agents, if it is a server.
    pub channel: SocketAddr,
    mode: Mode,
    process: Option<Child>,
    extra: Vec<String>,
    wrapper: Vec<String>,
    before: BTreeSet<i32>,
}

/// The program under test, built beside the tests.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let target = own.ancestors().nth(2).expect("tests live in target/PROFILE/deps");
    let program = target.join("drover");
    assert!(
        program.exists(),
        "{} is not built: use `cargo test --workspace --all-targets`, or `cargo build -p drover` first",
        program.display()
    );
    program
}

/// Ports that tests give to agents: below those that the kernel gives to connections (a connection in use would keep a
/// restarted agent from its port) and those that schedulers give to tasks.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// A port of loopback that nobody listens at, given once in this process.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Where a process begins depends on its id, so that test programs beside each other seldom meet.
    let first = std::process::id().wrapping_mul(97);
    (0..PORTS.len())
        .map(|_| PORTS.start + (first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("loopback has a free port")
}

impl Agent {
    /// Starts an agent in a fresh directory under `base` and waits until it is ready.
    pub fn start(base: &Path, mode: Mode) -> Self {
        Self::start_with(base, mode, "", &[])
    }

    /// The same with further configuration, and a program to run it under.
    pub fn start_with(base: &Path, mode: Mode, config: &str, wrapper: &[&str]) -> Self {
        let mut agent = Self::prepare(base, mode, config, wrapper);
        agent.launch();
        agent.wait_ready();
        agent
    }

    /// Everything but the process.
    pub fn prepare(base: &Path, mode: Mode, config: &str, wrapper: &[&str]) -> Self {
        let (http, rpc, serf) = (free_port(), free_port(), free_port());
        let data = base.join("data");
        let roles = match mode {
            Mode::Dev => String::new(),
            Mode::Durable => format!(
                "data_dir = {data:?}\nserver {{ enabled = true }}\nclient {{\n enabled = true\n network_interface = \"lo\"\n}}\nplugin \"raw_exec\" {{ config {{ enabled = true }} }}\n"
            ),
            Mode::DurableServer => format!("data_dir = {data:?}\nserver {{ enabled = true }}\n"),
            Mode::DurableClient => format!(
                "data_dir = {data:?}\nclient {{\n enabled = true\n network_interface = \"lo\"\n}}\nplugin \"raw_exec\" {{ config {{ enabled = true }} }}\n"
            ),
        };
        let text = format!(
            "bind_addr = \"127.0.0.1\"\nports {{\n http = {http}\n rpc = {rpc}\n serf = {serf}\n}}\nlog_level = \"DEBUG\"\nlimits {{ http_max_conns_per_client = 0 }}\n{roles}{config}\n"
        );
        fs::create_dir_all(base).expect("a test may write to its directory");
        fs::write(base.join("agent.hcl"), text).expect("a test may write to its directory");
        Self {
            directory: base.to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, http)),
            channel: SocketAddr::from((Ipv4Addr::LOCALHOST, rpc)),
            mode,
            process: None,
            extra: Vec::new(),
            wrapper: wrapper.iter().map(|word| (*word).to_owned()).collect(),
            before: processes(),
        }
    }

    /// Adds words to the command line.
    #[must_use]
    pub fn with_arguments(mut self, words: &[&str]) -> Self {
        self.extra = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts the process.
    pub fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.directory.join("log")).expect("a test may write to its directory");
        let errors = log.try_clone().expect("a file can be shared");
        let mut words = self.wrapper.clone();
        words.push(program().display().to_string());
        words.push("agent".to_owned());
        if self.mode == Mode::Dev {
            words.push("-dev".to_owned());
        }
        words.push(format!("-config={}", self.directory.join("agent.hcl").display()));
        words.extend(self.extra.iter().cloned());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(&self.directory)
            .env_remove("NOMAD_ADDR")
            // What a development agent makes is found, and gone, with the test's directory.
            .env("TMPDIR", &self.directory)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", words[0]));
        self.process = Some(child);
    }

    /// Waits until the agent answers, and its node is ready where it has one.
    pub fn wait_ready(&mut self) {
        for _ in 0..TRIES {
            if let Some(status) = self.process.as_mut().and_then(|child| child.try_wait().ok()).flatten() {
                panic!("the agent ended with {status}:\n{}", self.log());
            }
            if self.is_ready() {
                return;
            }
            sleep(PAUSE);
        }
        panic!("the agent does not become ready:\n{}", self.log());
    }

    fn is_ready(&self) -> bool {
        let is_led = || self.try_call("GET", "/v1/status/leader", None).is_ok_and(|reply| reply.status == 200 && reply.body.len() > 2);
        if self.mode == Mode::DurableServer {
            return is_led();
        }
        if self.mode == Mode::DurableClient {
            let node = self.try_call("GET", "/v1/agent/self", None).map(|reply| reply.json()["stats"]["client"]["node_id"].clone());
            return node.is_ok_and(|node| match node.as_str() {
                Some(node) => self
                    .try_call("GET", &format!("/v1/node/{node}"), None)
                    .is_ok_and(|reply| reply.status == 200 && reply.json()["Status"] == "ready"),
                None => is_led(),
            });
        }
        // Whoever holds callers to policies tells nobody of nodes.
        self.try_call("GET", "/v1/nodes", None).is_ok_and(|reply| {
            reply.status == 403 && is_led()
                || reply.json().as_array().is_some_and(|nodes| nodes.iter().any(|node| node["Status"] == "ready"))
        })
    }

    /// Waits for the process to end by itself and returns its exit code.
    pub fn wait_exit(&mut self) -> i32 {
        for _ in 0..TRIES {
            if let Some(status) = self.process.as_mut().and_then(|child| child.try_wait().ok()).flatten() {
                self.process = None;
                return status.code().unwrap_or(-1);
            }
            sleep(PAUSE);
        }
        panic!("the agent does not end:\n{}", self.log());
    }

    /// The agent's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// The process id of what was started: the agent, or the program it runs under.
    pub fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |child| i32::try_from(child.id()).expect("process ids are positive"))
    }

    /// Sends a request and expects an answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Reply> {
        http::call(self.address, method, path, body)
    }

    /// The JSON of a read.
    pub fn get(&self, path: &str) -> Value {
        let reply = self.call("GET", path, None);
        assert_eq!(reply.status, 200, "GET {path}: {}", reply.text());
        reply.json()
    }

    /// Registers a job given as JSON.
    pub fn register(&self, job: Value) -> Value {
        let reply = self.call("PUT", "/v1/jobs", Some(&serde_json::json!({ "Job": job })));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Runs a command against the agent.
    pub fn cli(&self, words: &[&str]) -> Output {
        self.cli_with(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), "")
    }

    /// The same with an input, and times in UTC.
    pub fn cli_with(&self, words: &[String], input: &str) -> Output {
        let mut child = Command::new(program())
            .args(words)
            .current_dir(&self.directory)
            .env("NOMAD_ADDR", format!("http://{}", self.address))
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program under test can be run");
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input may have ended already.
            drop(stdin.write_all(input.as_bytes()));
        }
        let output = child.wait_with_output().expect("the program under test ends");
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits until a read meets a condition, and returns it.
    pub fn until(&self, path: &str, what: &str, met: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..TRIES {
            if let Ok(reply) = self.try_call("GET", path, None) {
                last = reply.json();
                if met(&last) {
                    return last;
                }
            }
            sleep(PAUSE);
        }
        panic!("waited for {what} at {path}, last was {last:#}\n{}", self.log());
    }

    /// Waits for an allocation of a job with this client status.
    pub fn until_alloc(&self, job: &str, status: &str) -> Value {
        let list = self.until(&format!("/v1/job/{job}/allocations"), status, |allocs| {
            allocs.as_array().is_some_and(|allocs| allocs.iter().any(|alloc| alloc["ClientStatus"] == status))
        });
        list.as_array().into_iter().flatten().find(|alloc| alloc["ClientStatus"] == status).cloned().expect("the condition was met")
    }

    /// Waits until every task of an allocation of the job runs, and returns its stub: an allocation is called `running` as soon as
    /// one of its tasks is.
    pub fn until_tasks_run(&self, job: &str) -> Value {
        let groups = self.get(&format!("/v1/job/{job}"))["TaskGroups"].clone();
        let tasks = |name: &Value| {
            let group = groups.as_array().into_iter().flatten().find(|group| group["Name"] == *name);
            group.and_then(|group| group["Tasks"].as_array()).map_or(0, Vec::len)
        };
        let all_run = |alloc: &Value| {
            let states = alloc["TaskStates"].as_object();
            states
                .is_some_and(|states| states.len() == tasks(&alloc["TaskGroup"]) && states.values().all(|task| task["State"] == "running"))
        };
        let list = self.until(&format!("/v1/job/{job}/allocations"), "every task runs", |allocs| {
            allocs.as_array().is_some_and(|allocs| allocs.iter().any(all_run))
        });
        list.as_array().into_iter().flatten().find(|alloc| all_run(alloc)).cloned().expect("the condition was met")
    }

    /// Kills the agent as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the agent to read its configuration again.
    pub fn hang_up(&self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGHUP);
    }

    /// Asks the agent to print its measurements into its log.
    pub fn ask_for_measurements(&self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGUSR1);
    }

    /// Asks the agent to stop, and returns its exit code.
    pub fn stop(&mut self) -> i32 {
        if self.process.is_some() {
            let _ = kill(Pid::from_raw(self.pid()), Signal::SIGINT);
            return self.wait_exit();
        }
        0
    }

    /// Processes of this agent that are there now: started since it was prepared, with its directory in their command line
    /// or environment, or its shims.
    pub fn helpers(&self) -> Vec<i32> {
        let own = self.pid();
        processes().difference(&self.before).copied().filter(|pid| *pid != own && belongs(*pid, &self.directory)).collect()
    }
}

impl Agent {
    /// Waits for helpers to end by themselves; returns those that did not.
    pub fn until_helpers_gone(&self) -> Vec<i32> {
        for _ in 0..TRIES {
            if self.helpers().is_empty() {
                break;
            }
            sleep(PAUSE);
        }
        self.helpers()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        // Shims die on their own only in development mode; a test leaves nothing behind.
        for _ in 0..10 {
            let left = self.helpers();
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            sleep(PAUSE);
        }
    }
}

fn processes() -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn belongs(pid: i32, directory: &Path) -> bool {
    let needle = directory.display().to_string();
    let mentions = |file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(&needle)
    };
    let place = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(directory));
    place || mentions("cmdline") || mentions("environ")
}
