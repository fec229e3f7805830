//! The routes over a whole server, compared with recorded answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use drover_base::NodeId;
use drover_http::logs::Silent;
use drover_http::telemetry::Telemetry;
use drover_http::{Agent, Api, ApiOptions, Facts, Options, serve, table};
use drover_macros::proves;
use drover_model::{
    AllocUpdate, ClientStatus, DeploymentHealth, Node, NodeAddress, NodeDriver, NodeNetwork, NodeResources, TaskEvent, TaskEventKind,
    TaskState, TaskStatus,
};
use drover_raft::Storage;
use drover_rt::{Clock, Entropy, TaskScope};
use drover_server::{Config, Server};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::golden::{exercised, records, route_row};

const REFUSALS: &str = include_str!("../../../../testdata/golden/http-refusals.jsonl");
const LEADER_ANSWERS: &str = include_str!("../../../../testdata/golden/http-leader-answers.jsonl");
const NAMESPACES: &str = include_str!("../../../../testdata/golden/http-namespaces.jsonl");
const ANSWERS: &str = include_str!("../../../../testdata/golden/http-answers.jsonl");

/// A server with its API and no client.
pub(crate) struct Whole {
    pub(crate) server: Server,
    address: SocketAddr,
    http: reqwest::Client,
    pub(crate) clock: Clock,
    pub(crate) node: NodeId,
    scope: TaskScope,
}

impl Whole {
    pub(crate) async fn start() -> Self {
        Self::with(Config::new(Storage::Memory)).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs something beside the server until it ends.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.scope.spawn_until_stop(name, work);
    }

    /// Ends the server and everything it started.
    pub(crate) async fn end(self) {
        self.scope.shutdown(Duration::from_secs(5)).await;
        self.server.shutdown().await;
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::told(config, drover_api::AgentConfig::default()).await
    }

    /// One whose agent was configured like this.
    pub(crate) async fn told(config: Config, told: drover_api::AgentConfig) -> Self {
        let scope = TaskScope::new();
        let (clock, entropy) = (Clock::system(), Entropy::system());
        let server = Box::pin(Server::start(config, clock.clone(), entropy.clone(), &scope)).await.unwrap();
        let facts = Facts {
            name: "pasture".into(),
            region: "global".into(),
            datacenter: "dc1".into(),
            version: "0.1.0".into(),
            server_id: "5c3f4a41-0b4f-4a44-8f3c-3f1b1c2d9a11".into(),
            address: "127.0.0.1".into(),
            rpc_port: 14_647,
            serf_port: 14_648,
            bootstrap_expect: 1,
            config: told,
            ..Facts::default()
        };
        let agent = Agent {
            facts,
            server: Some(server.clone()),
            client: None,
            upstream: None,
            regions: None,
            logs: Arc::new(Silent),
            telemetry: Telemetry::default(),
            known: drover_http::guard::Known::default(),
            reload: Some(Arc::default()),
        };
        let options = ApiOptions { region: "global".into(), response_headers: Vec::new() };
        let api = Api::new(table(), Arc::new(agent), options, clock.clone(), entropy);
        let listener = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        scope.spawn("api", serve(listener, api, Options::default(), scope.child()));
        let http = reqwest::Client::builder().no_gzip().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { server, address, http, clock, node: NodeId::from_random(7), scope }
    }

    /// Sends a recorded request; tokens in its path are filled from `ids`.
    pub(crate) async fn ask(&self, record: &Value, ids: &BTreeMap<String, String>) -> (u16, BTreeMap<String, String>, String) {
        let asked = &record["request"];
        if record["name"].is_string() {
            let row = route_row(asked["method"].as_str().unwrap(), asked["path"].as_str().unwrap());
            exercised("http-api", row, "drover_http::it::agent::ask");
        }
        let mut path = asked["path"].as_str().unwrap().to_owned();
        for (token, id) in ids {
            path = path.replace(token, id);
        }
        let method = asked["method"].as_str().unwrap().parse().unwrap();
        let mut request = self.http.request(method, format!("http://{}{path}", self.address));
        if let Some(token) = asked["headers"].get("X-Nomad-Token").and_then(Value::as_str) {
            request = request.header("X-Nomad-Token", ids.get(token).map_or(token, String::as_str));
        }
        request = match asked.get("body") {
            Some(Value::String(text)) => request.body(text.clone()),
            // Indexes of the recording, where it sends back what it was told.
            Some(body) => {
                let mut text = body.to_string();
                for (token, id) in ids {
                    text = text.replace(token, id);
                }
                let mut parts = text.split("\"<int:");
                let first = parts.next().unwrap_or_default().to_owned();
                request.body(parts.fold(first, |text, part| text + "1" + part.split_once('"').unwrap().1))
            }
            None => request,
        };
        let answer = request.send().await.unwrap();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        (answer.status().as_u16(), headers, answer.text().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("http://{}{path}", self.address)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Asks again whenever something changes, until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let watched = async {
            loop {
                let index = self.server.snapshot().index();
                let found = self.get(path).await;
                if wanted(&found) {
                    return found;
                }
                self.server.changed(index).await;
            }
        };
        match self.clock.timeout(Duration::from_secs(20), watched).await {
            Some(found) => found,
            None => panic!("{path} is still {}", self.get(path).await),
        }
    }

    pub(crate) async fn add_node(&self) {
        let driver = |attribute: &str| NodeDriver {
            detected: true,
            healthy: true,
            health_description: "Healthy".into(),
            attributes: BTreeMap::from([(attribute.to_owned(), "true".to_owned())]),
            update_time: self.clock.now(),
        };
        let address = NodeAddress { alias: "default".into(), address: "127.0.0.1".into(), family: "ipv4".into(), ..NodeAddress::default() };
        let attributes =
            [("kernel.name", "linux"), ("nomad.version", "2.0.5"), ("nomad.service_discovery", "true"), ("driver.raw_exec", "1")];
        let node = Node {
            id: self.node,
            secret_id: "secret".into(),
            name: "pasture".into(),
            datacenter: "dc1".into(),
            node_pool: "default".into(),
            node_class: "meadow".into(),
            http_addr: "127.0.0.1:4646".into(),
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            drivers: BTreeMap::from([("raw_exec".into(), driver("driver.raw_exec")), ("mock_driver".into(), driver("driver.mock_driver"))]),
            resources: NodeResources {
                cpu_mhz: 4000,
                memory_mb: 4000,
                disk_mb: 40_000,
                min_dynamic_port: 20_000,
                max_dynamic_port: 32_000,
                networks: vec![NodeNetwork {
                    mode: "host".into(),
                    device: "lo".into(),
                    addresses: vec![address],
                    ..NodeNetwork::default()
                }],
                ..NodeResources::default()
            },
            ..Node::default()
        };
        self.server.register_node(node).await.unwrap();
        let heartbeats = (self.server.clone(), self.clock.clone(), self.node);
        self.scope.spawn_until_stop("heartbeats", async move {
            loop {
                heartbeats.0.heartbeat(heartbeats.2).await.unwrap();
                heartbeats.1.sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Reports every allocation that is new as running, with its health.
    pub(crate) async fn run_all(&self, health: Option<bool>) {
        let now = self.clock.now();
        let event = |kind| TaskEvent { time: now, kind };
        let events = vec![
            event(TaskEventKind::Received),
            event(TaskEventKind::Setup("Building Task Directory".into())),
            event(TaskEventKind::Started),
        ];
        let task = TaskState { status: TaskStatus::Running, started_at: now, events, ..TaskState::default() };
        let tasks = |alloc: &drover_state::Alloc| alloc.task_group().tasks.iter().map(|own| (own.name.clone(), task.clone())).collect();
        let snapshot = self.server.snapshot();
        let updates = snapshot
            .allocs()
            .filter(|alloc| alloc.client_status == ClientStatus::Pending || (alloc.health.is_none() && !alloc.terminal()))
            .map(|alloc| AllocUpdate {
                id: alloc.id,
                status: ClientStatus::Running,
                description: "Tasks are running".into(),
                tasks: tasks(alloc),
                health: health.map(|healthy| DeploymentHealth { healthy, time: now }),
            })
            .collect();
        self.server.update_allocs(self.node, updates).await.unwrap();
    }
}

impl Whole {
    /// Reports every allocation as ended that is stopped or has nothing more to do.
    pub(crate) async fn end_all(&self, health: Option<bool>) {
        let now = self.clock.now();
        let task = TaskState { status: TaskStatus::Dead, started_at: now, finished_at: now, ..TaskState::default() };
        let tasks = |alloc: &drover_state::Alloc| alloc.task_group().tasks.iter().map(|own| (own.name.clone(), task.clone())).collect();
        let snapshot = self.server.snapshot();
        let updates = snapshot
            .allocs()
            .filter(|alloc| alloc.job.kind.is_batch() || alloc.server_terminal())
            .map(|alloc| AllocUpdate {
                id: alloc.id,
                status: ClientStatus::Complete,
                description: "All tasks have completed".into(),
                tasks: tasks(alloc),
                health: health.map(|healthy| DeploymentHealth { healthy, time: now }),
            })
            .collect();
        self.server.update_allocs(self.node, updates).await.unwrap();
    }
}

/// Refusals with texts of our own, each with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("evaluations/GET-evaluations-count-filter-syntax", "what was expected is said in words, not as a list of letters"),
    ("jobs/GET-jobs-filter-syntax", "what was expected is said in words, not as a list of letters"),
    ("jobs/GET-jobs-filter-syntax-error", "what was expected is said in words, not as a list of letters"),
    ("nodes/GET-nodes-filter-syntax", "what was expected is said in words, not as a list of letters"),
    ("jobs/POST-jobs-parse-unknown-attribute", "problems of job files have texts of their own"),
    ("jobs/PUT-jobs-parse-missing-variable", "problems of job files have texts of their own and name a place"),
    ("jobs/PUT-jobs-parse-syntax-error", "problems of job files have texts of their own"),
    ("jobs/PUT-jobs-priority-range", "problems are told from the job inwards"),
];

#[tokio::test]
async fn requests_are_refused_as_recorded() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let registration = &records(ANSWERS)["jobs/PUT-jobs-register-service"];
    assert_eq!(whole.ask(registration, &BTreeMap::new()).await.0, 200);
    let templates = records(LEADER_ANSWERS);
    let mut parcel = templates["jobs/PUT-jobs-register-parameterized"].clone();
    parcel["request"]["body"]["Job"]["ID"] = json!("parcel");
    parcel["request"]["body"]["Job"]["ParameterizedJob"] = json!({ "Payload": "required" });
    let others = [&templates["jobs/PUT-jobs-register-parameterized"], &templates["jobs/PUT-jobs-register-periodic"], &parcel];
    for registration in others {
        assert_eq!(whole.ask(registration, &BTreeMap::new()).await.0, 200);
    }
    let mut wrong = Vec::new();
    let all = records(REFUSALS);
    for (name, record) in all.iter().filter(|(name, _)| !DIFFERENT.iter().any(|(different, _)| name == different)) {
        let expected = &record["response"];
        let (status, headers, body) = whole.ask(record, &BTreeMap::new()).await;
        if u64::from(status) != expected["status"].as_u64().unwrap() || Some(body.as_str()) != expected["body"].as_str() {
            wrong.push(format!("{name}: {status} {body:?}\n    not {} {}", expected["status"], expected["body"]));
        }
        let indexed = expected["headers"].get("X-Nomad-Index").is_some();
        if indexed != headers.contains_key("x-nomad-index") {
            wrong.push(format!("{name}: query headers differ"));
        }
    }
    assert!(all.len() > 90, "{} records", all.len());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

/// Where an answer is not like the recorded one. A token stands for any value of its kind.
fn differences(place: &str, recorded: &Value, answered: &Value, out: &mut Vec<String>) {
    match (recorded, answered) {
        (Value::String(token), value) if token.starts_with('<') && token.ends_with('>') => {
            let fits = if token.starts_with("<int") || token.starts_with("<float") { value.is_number() } else { value.is_string() };
            if !fits {
                out.push(format!("{place}: {value} for {token}"));
            }
        }
        (Value::Object(recorded), Value::Object(answered)) => {
            for (key, value) in recorded {
                match answered.get(key) {
                    Some(answer) => differences(&format!("{place}.{key}"), value, answer, out),
                    None => out.push(format!("{place}.{key}: absent, recorded {value}")),
                }
            }
            for (key, value) in answered {
                if !recorded.contains_key(key) {
                    out.push(format!("{place}.{key}: {value}, not recorded"));
                }
            }
        }
        (Value::Array(recorded), Value::Array(answered)) if recorded.len() == answered.len() => {
            for (number, (recorded, answered)) in recorded.iter().zip(answered).enumerate() {
                differences(&format!("{place}[{number}]"), recorded, answered, out);
            }
        }
        (recorded, answered) if recorded == answered => {}
        (recorded, answered) => out.push(format!("{place}: {answered}, recorded {recorded}")),
    }
}

/// What this agent has no such thing for, or tells otherwise for a reason.
const EXCEPTIONS: &[&str] = &[
    // Identities are signed when they are asked for, not with the plan.
    "SigningKeyID",
    "IdentitySigningKeyID",
    // The node of the recording had other hardware, drivers, volumes and attributes.
    "NodeResources",
    "ReservedResources",
    "Attributes",
    "Drivers",
    "HostVolumes",
    "Meta",
    "CgroupParent",
    "LastAllocUpdateIndex",
    "ComputedClass",
    "Events",
    // Which of two allocations is told first is random.
    "Name:",
    // Scores of other nodes and sizes.
    "ScoreMetaData",
    // A port of the recording.
    "HTTPAddr",
];

/// Notes where an answer is not as recorded.
pub(crate) fn compared_with(name: &str, record: &Value, answer: &(u16, BTreeMap<String, String>, String), wrong: &mut Vec<String>) {
    let mut out = Vec::new();
    let body: Value = match answer.2.as_str() {
        "" => json!(""),
        text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    let status = record["response"]["status"].as_u64();
    if status != Some(u64::from(answer.0)) {
        wrong.push(format!("{name}: status {}, recorded {status:?}", answer.0));
    }
    differences("", &record["response"]["body"], &body, &mut out);
    out.retain(|difference| !EXCEPTIONS.iter().any(|exception| difference.contains(exception)));
    wrong.extend(out.into_iter().map(|difference| format!("{name}: {difference}")));
    for header in ["X-Nomad-Index", "X-Nomad-Knownleader", "X-Nomad-Lastcontact", "Content-Type"] {
        let recorded = record["response"]["headers"].get(header).and_then(Value::as_str);
        let answered = answer.1.get(&header.to_ascii_lowercase()).map(String::as_str);
        let fits = recorded.is_some_and(|text| text.starts_with('<')) && answered.is_some();
        if !fits && recorded != answered {
            wrong.push(format!("{name}: {header} is {answered:?}, recorded {recorded:?}"));
        }
    }
}

/// What differs on purpose in answers about templates, pools, drains and settings.
const LEADER_EXCEPTIONS: &[&str] = &[
    // The digest of a pool is a digest of our own; nobody compares it with anything but itself.
    "Hash",
    // A time and a random end within a text.
    "DispatchedJobID",
    // Told beside what upstream tells.
    "Why",
    // Who asked is known once there are tokens.
    "AccessorID",
    // A node of the recording.
    "nodes/GET-node-node-id-draining: .Attributes",
    "nodes/GET-node-node-id-draining: .Datacenter",
    "nodes/GET-node-node-id-draining: .Drivers",
    "nodes/GET-node-node-id-draining: .Events",
    "nodes/GET-node-node-id-draining: .Host",
    "nodes/GET-node-node-id-draining: .Meta",
    "nodes/GET-node-node-id-draining: .Name",
    "nodes/GET-node-node-id-draining: .Node",
    "nodes/GET-node-node-id-draining: .Resources",
    "nodes/GET-node-node-id-draining: .Reserved",
    "nodes/GET-node-node-id-draining: .CgroupParent",
    "nodes/GET-node-node-id-draining: .Links",
    "nodes/GET-node-node-id-draining: .CSI",
    "nodes/GET-node-node-id-draining: .Status",
];

#[proves("PER-008", "PER-014", "PER-018", "PER-019", "NOD-028", "NOD-042")]
#[tokio::test]
async fn templates_pools_drains_and_settings_are_told_as_recorded() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let ids = BTreeMap::from([("<node-2>".to_owned(), whole.node.to_string())]);
    let mut wrong = Vec::new();
    let all: Vec<Value> = LEADER_ANSWERS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for record in &all {
        let answer = whole.ask(record, &ids).await;
        compared_with(record["name"].as_str().unwrap(), record, &answer, &mut wrong);
    }
    wrong.retain(|difference| !LEADER_EXCEPTIONS.iter().any(|exception| difference.contains(exception)));
    assert!(all.len() > 15, "{} records", all.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[proves("PER-032")]
#[tokio::test]
async fn namespaces_are_told_as_recorded_and_stay_while_jobs_live_in_them() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let tasks = json!([{"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}]);
    let job = json!({"ID": "cow", "Name": "cow", "Namespace": "byre", "TaskGroups": [{"Name": "g", "Tasks": tasks}]});
    let mut wrong = Vec::new();
    let all: Vec<Value> = NAMESPACES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for record in &all {
        let name = record["name"].as_str().unwrap();
        if name.contains("non-terminal") {
            let body = json!({ "Job": job }).to_string();
            let registered = whole.http.put(format!("http://{}/v1/jobs", whole.address)).body(body).send().await.unwrap();
            assert_eq!(registered.status().as_u16(), 200);
            whole.until("/v1/job/cow/allocations?namespace=byre", |allocs| allocs.as_array().unwrap().len() == 1).await;
            let everywhere = whole.get("/v1/jobs?namespace=*").await;
            assert_eq!((&everywhere[0]["ID"], &everywhere[0]["Namespace"]), (&json!("cow"), &json!("byre")));
            assert_eq!(whole.get("/v1/jobs").await, json!([]));
            assert_eq!(whole.get("/v1/allocations?namespace=*").await[0]["Namespace"], "byre");
        }
        if name.ends_with("name-ok") {
            whole.http.delete(format!("http://{}/v1/job/cow?namespace=byre", whole.address)).send().await.unwrap();
            whole.until("/v1/job/cow/allocations?namespace=byre", |allocs| allocs[0]["DesiredStatus"] == "stop").await;
            whole.end_all(None).await;
            whole.until("/v1/job/cow?namespace=byre", |job| job["Status"] == "dead").await;
        }
        let answer = whole.ask(record, &BTreeMap::new()).await;
        compared_with(name, record, &answer, &mut wrong);
    }
    // The digest is one of our own; nobody compares it with anything but itself.
    wrong.retain(|difference| !difference.contains("Hash"));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    let body = json!({ "Job": job }).to_string();
    let refused = whole.http.put(format!("http://{}/v1/jobs", whole.address)).body(body).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 500);
    assert!(refused.text().await.unwrap().contains("job \"cow\" is in nonexistent namespace \"byre\""));
}

#[tokio::test]
async fn a_service_is_told_as_recorded() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let all = records(ANSWERS);
    let mut wrong = Vec::new();
    let mut ids = BTreeMap::from([("<node-1>".to_owned(), whole.node.to_string())]);
    let mut compared = 0;
    let mut compare = |name: &str, answer: &(u16, BTreeMap<String, String>, String)| {
        compared_with(name, &all[name], answer, &mut wrong);
        compared += 1;
    };
    let plan = "jobs/PUT-job-job-id-plan-new-job";
    compare(plan, &whole.ask(&all[plan], &ids).await);
    let registration = "jobs/PUT-jobs-register-service";
    compare(registration, &whole.ask(&all[registration], &ids).await);
    whole.until("/v1/job/weaver/allocations", |allocs| allocs.as_array().unwrap().len() == 2).await;
    whole.run_all(Some(true)).await;
    whole.until("/v1/job/weaver/deployment", |deployment| deployment["Status"] == "successful").await;
    whole.until("/v1/job/weaver/summary", |summary| summary["Summary"]["loom"]["Running"] == 2).await;
    whole.until("/v1/job/weaver", |job| job["Stable"] == true).await;
    let allocs = whole.get("/v1/allocations").await;
    let first = allocs.as_array().unwrap().iter().find(|alloc| alloc["Name"] == "weaver.loom[1]").unwrap();
    ids.insert("<alloc-1>".to_owned(), first["ID"].as_str().unwrap().to_owned());
    ids.insert("<eval-1>".to_owned(), first["EvalID"].as_str().unwrap().to_owned());
    let deployment = whole.get("/v1/job/weaver/deployment").await;
    ids.insert("<deployment-1>".to_owned(), deployment["ID"].as_str().unwrap().to_owned());
    for name in all.keys().filter(|name| *name != plan && *name != registration) {
        compare(name, &whole.ask(&all[name], &ids).await);
    }
    assert_eq!(compared, all.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_blocking_read_of_a_missing_job_waits_for_that_job() {
    let whole = Whole::start().await;
    let register = |id: &str| {
        let task = json!({"Name": "t", "Driver": "mock_driver", "Config": {}});
        let job = json!({"Job": {"ID": id, "Name": id, "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Tasks": [task]}]}});
        whole.http.put(format!("http://{}/v1/jobs", whole.address)).body(job.to_string()).send()
    };
    register("a").await.unwrap();
    whole.until("/v1/job/a/evaluations", |evals| evals.as_array().unwrap().iter().any(|eval| eval["Status"] == "blocked")).await;
    let missing = whole.http.get(format!("http://{}/v1/job/missing", whole.address)).send().await.unwrap();
    let index: u64 = missing.headers()["x-nomad-index"].to_str().unwrap().parse().unwrap();
    let waiting = whole.http.get(format!("http://{}/v1/job/missing?index={index}&wait=20s", whole.address)).send();
    let (waited, _) = tokio::join!(waiting, async {
        register("other").await.unwrap();
        register("missing").await.unwrap()
    });
    let job: Value = serde_json::from_str(&waited.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(job["ID"], "missing");
}

#[tokio::test]
async fn the_event_stream_tells_what_happens() {
    use futures::StreamExt;
    let whole = Whole::start().await;
    let answer = whole.http.get(format!("http://{}/v1/event/stream?topic=Node", whole.address)).send().await.unwrap();
    let mut body = answer.bytes_stream();
    assert_eq!(&body.next().await.unwrap().unwrap()[..], b"{}\n");
    whole.add_node().await;
    let mut text = String::new();
    while !text.ends_with('\n') {
        text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let event = &line["Events"][0];
    assert_eq!(
        (&event["Topic"], &event["Type"], &event["Key"]),
        (&json!("Node"), &json!("NodeRegistration"), &json!(whole.node.to_string()))
    );
    assert_eq!(line["Index"], event["Index"]);
    assert_eq!(event["Payload"]["Node"]["SecretID"], "");
}

#[tokio::test]
async fn a_server_with_too_much_to_do_says_when_to_come_again_and_loses_nothing() {
    let whole = Whole::with(Config { workers: 1, evals_pending_max: 1, ..Config::new(Storage::Memory) }).await;
    whole.add_node().await;
    let mut letter = records(LEADER_ANSWERS)["jobs/PUT-jobs-register-parameterized"].clone();
    letter["request"]["body"]["Job"]["ParameterizedJob"] = json!({"MetaRequired": ["number"]});
    assert_eq!(whole.ask(&letter, &BTreeMap::new()).await.0, 200);
    let url = format!("http://{}/v1/job/letter/dispatch", whole.address);
    let dispatch = |number: usize| whole.http.put(&url).body(json!({"Meta": {"number": number.to_string()}}).to_string()).send();
    let (mut accepted, mut turned_away, mut waiting) = (0, 0, Vec::new());
    // More at a time than one worker has worked off, until some are turned away.
    for round in 0..200 {
        let numbers: Vec<usize> = (round * 40..(round + 1) * 40).collect();
        for (number, answer) in numbers.iter().zip(futures::future::join_all(numbers.iter().map(|number| dispatch(*number))).await) {
            let answer = answer.unwrap();
            match answer.status().as_u16() {
                200 => accepted += 1,
                429 => {
                    assert_eq!(answer.headers()["retry-after"], "1");
                    assert!(answer.text().await.unwrap().contains("too much to do"));
                    turned_away += 1;
                    waiting.push(*number);
                }
                other => panic!("{other}: {}", answer.text().await.unwrap()),
            }
        }
        if turned_away > 0 {
            break;
        }
    }
    assert!(accepted > 0 && turned_away > 0, "{accepted} accepted, {turned_away} turned away");
    // Whoever comes again is served once what came before is worked off.
    let total = accepted + turned_away;
    let again = async {
        while let Some(number) = waiting.pop() {
            let index = whole.server.snapshot().index();
            if dispatch(number).await.unwrap().status().as_u16() == 429 {
                waiting.push(number);
                whole.server.changed(index).await;
            }
        }
    };
    whole.clock.timeout(Duration::from_secs(60), again).await.expect("the server recovers by itself");
    let state = whole.server.snapshot();
    let parent = drover_model::JobId { namespace: "default".into(), id: "letter".into() };
    let made: std::collections::BTreeSet<String> = state.children(&parent).map(|row| row.job().meta["number"].clone()).collect();
    assert_eq!((made.len(), state.children(&parent).count()), (total, total), "each is made once");
}
