//! The SDK against a running agent: what its documentation shows, and what goes wrong.

use std::time::Duration;

use drover_e2e::{Agent, Mode};
use drover_sdk::{Client, Config, Query, Retry, api};
use futures::{StreamExt, TryStreamExt};
use serde_json::json;

/// How long what a test waits for may take.
const LIMIT: Duration = Duration::from_secs(60);

fn client(agent: &Agent) -> Client {
    let address = format!("http://{}", agent.address);
    Client::new(Config::from_variables(|name| (name == "DROVER_ADDR").then(|| address.clone()))).unwrap()
}

fn job(id: &str, script: &str) -> api::JobRegisterRequest {
    let task = json!({ "Name": "main", "Driver": "raw_exec", "Config": { "command": "/bin/sh", "args": ["-c", script] },
        "Resources": { "CPU": 20, "MemoryMB": 16 }, "LogConfig": { "MaxFiles": 1, "MaxFileSizeMB": 1 } });
    let ports = json!([{ "DynamicPorts": [{ "Label": "http" }] }]);
    let group = json!({ "Name": "g", "Count": 1, "Tasks": [task], "EphemeralDisk": { "SizeMB": 20 }, "Networks": ports });
    let job = json!({ "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group] });
    serde_json::from_value(json!({ "Job": job })).unwrap()
}

/// The path of a call without the names of its parameters.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_follow_a_job_from_its_start_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let client = client(&agent);
    let none = Query::new();
    // Every typed call is a route of the API.
    let described = agent.get("/v1/openapi.json");
    let paths: Vec<(String, Vec<String>)> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, methods)| (shape(path), methods.as_object().unwrap().keys().cloned().collect()))
        .collect();
    for (area, name, verb, path) in drover_sdk::areas::CALLS {
        let known = paths.iter().any(|(own, methods)| *own == shape(path) && methods.iter().any(|method| method == verb));
        assert!(known, "{area}.{name}: there is no {verb} {path}");
    }
    // What happens is told from the first moment on.
    let mut events = client.events(&["Job", "Allocation"], 1, Query::new());
    let mut watch = client.watch::<Vec<api::JobListStub>>("/v1/jobs", Query::new()).held_for(Duration::from_secs(5));
    assert!(watch.next().await.unwrap().value.is_empty());
    let registered = client.jobs().register(&job("loud", "echo one; echo two; while true; do sleep 1; done"), &none).await.unwrap();
    assert!(registered.meta.index > 0 && !registered.value.eval_id.is_empty());
    let seen = tokio::time::timeout(LIMIT, async {
        loop {
            let jobs = watch.next().await.unwrap();
            if let [job] = jobs.value.as_slice() {
                return job.id.clone();
            }
        }
    });
    assert_eq!(seen.await.unwrap(), "loud");
    let told = tokio::time::timeout(LIMIT, async {
        let mut topics = Vec::new();
        while !(topics.contains(&"Job".to_owned()) && topics.contains(&"Allocation".to_owned())) {
            topics.extend(events.next().await.unwrap().events.into_iter().flatten().map(|event| event.topic));
        }
    });
    told.await.unwrap();
    assert!(events.index() > 0);
    let alloc = agent.until_alloc("loud", "running")["ID"].as_str().unwrap().to_owned();
    // Output as it is written, and a command beside the task.
    let mut frames = client.allocations().logs(&alloc, "main", "stdout", true, &none).await.unwrap();
    let mut text = Vec::new();
    while text.len() < 8 {
        let frame = tokio::time::timeout(LIMIT, frames.next()).await.unwrap().unwrap().unwrap();
        text.extend(frame.data.map(|data| data.0).unwrap_or_default());
    }
    assert_eq!(text, b"one\ntwo\n");
    let command = ["/bin/sh", "-c", "cat; echo bad >&2; exit 7"];
    let ran = client.allocations().run(&alloc, "main", &command, b"given", &none).await.unwrap();
    assert_eq!((ran.code, ran.stdout.as_slice(), ran.stderr.as_slice()), (7, &b"given"[..], &b"bad\n"[..]));
    // Pages of a list, one by one.
    for number in 0..4 {
        client.jobs().register(&job(&format!("more-{number}"), "sleep 1000"), &none).await.unwrap();
    }
    let pages = client.pages::<api::JobListStub>("/v1/jobs", Query::new().prefix("more-"), 3);
    let ids: Vec<String> = pages.map_ok(|job| job.id).try_collect().await.unwrap();
    assert_eq!(ids, ["more-0", "more-1", "more-2", "more-3"]);
    // A port of the allocation, through the agent.
    let missing = client.tunnel(&alloc, "gopher", &none).await.err().unwrap();
    assert!(missing.is_code(404) && missing.to_string().contains("it has http"), "{missing}");
    let stopped = client.jobs().deregister("loud", &Query::new().set("purge", true)).await.unwrap().value;
    assert!(!stopped.eval_id.is_empty());
    let gone = client.jobs().read("loud", &none).await.unwrap_err();
    assert!(gone.is_code(404) && gone.body() == Some("job not found"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_are_written_and_read_and_conflicts_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let client = client(&agent);
    let items = std::collections::BTreeMap::from([("user".to_owned(), "u".to_owned())]);
    let variable = api::Variable { path: "app/db".to_owned(), items: Some(items.clone()), ..api::Variable::default() };
    let written = client.variables().write("app/db", &variable, &Query::new().set("cas", 0)).await.unwrap().value;
    assert_eq!(client.variables().read("app/db", &Query::new()).await.unwrap().value.items, Some(items));
    let conflict = client.variables().write("app/db", &variable, &Query::new().set("cas", 0)).await.unwrap_err();
    assert!(conflict.is_code(409));
    let query = Query::new().set("cas", written.modify_index);
    client.variables().delete("app/db", &query).await.unwrap();
    assert!(client.variables().list(&Query::new()).await.unwrap().value.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_outlive_a_restart_of_the_agent_and_an_agent_that_is_gone_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::DurableServer);
    let config = Config { retry: Retry { times: 500, pause: Duration::from_millis(20), ..Retry::default() }, ..Config::default() };
    let patient = Client::new(config.address(format!("http://{}", agent.address))).unwrap();
    let mut watch = patient.watch::<Vec<api::Namespace>>("/v1/namespaces", Query::new());
    assert_eq!(watch.next().await.unwrap().value.len(), 1);
    agent.stop();
    let hasty = Client::new(Config { retry: Retry::NEVER, ..client(&agent).config().clone() }).unwrap();
    let error = hasty.namespaces().list(&Query::new()).await.unwrap_err();
    assert!(error.is_unreachable() && error.is_passing(), "{error}");
    let hint = hasty.config().unreachable();
    assert!(hint.contains(&agent.address.to_string()) && hint.contains("which DROVER_ADDR says"), "{hint}");
    // The read that is held goes on once the agent is back.
    let restarted = async {
        agent.launch();
        agent.wait_ready();
        let namespace = api::Namespace { name: "team".to_owned(), ..api::Namespace::default() };
        patient.namespaces().upsert(&namespace, &Query::new()).await.unwrap();
    };
    let seen =
        tokio::time::timeout(LIMIT, async { while watch.next().await.unwrap().value.iter().all(|namespace| namespace.name != "team") {} });
    let ((), seen) = tokio::join!(restarted, seen);
    seen.unwrap();
    let mut stream = patient.watch::<Vec<api::Namespace>>("/v1/namespaces", Query::new()).into_stream();
    assert_eq!(stream.next().await.unwrap().unwrap().value.len(), 2);
}
