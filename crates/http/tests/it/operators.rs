//! Recorded requests of operators, the saving and restoring of the state, and what is not part of this version.

use std::collections::BTreeMap;

use drover_server::Config;
use serde_json::{Value, json};

use crate::agent::Whole;
use crate::golden::{differing, exercised, judge, records, route_row};
use crate::replay::replayed;

const OPERATORS: &str = include_str!("../../../../testdata/golden/http-operators.jsonl");

#[tokio::test]
async fn requests_of_operators_are_answered_as_recorded() {
    let (all, differing) = (records(OPERATORS), differing("http"));
    let whole = Whole::start().await;
    let ids = BTreeMap::from([("<port-serf>".to_owned(), "14648".to_owned())]);
    let mut wrong = Vec::new();
    for line in OPERATORS.lines() {
        let name = serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned();
        if name == "agent/GET-agent-schedulers-ok" {
            // One of the two workers of the recording was at rest.
            whole.server.set_worker_config(drover_server::WorkerConfig { count: 1, ..whole.server.worker_config() }).unwrap();
        }
        let found = replayed(&whole, &all[&name], &ids).await;
        judge(&name, &found, &differing, &mut wrong);
    }
    whole.end().await;
    assert!(all.len() > 60, "{} records", all.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn job(id: &str) -> Value {
    json!({"Job": {"ID": id, "Name": id, "Datacenters": ["*"], "TaskGroups": [
        {"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {}}]}]}})
}

async fn send(whole: &Whole, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>, Option<String>) {
    let url = format!("http://{}{path}", whole.address());
    let request = reqwest::Client::new().request(method.parse().unwrap(), url).body(body.to_vec());
    let answer = request.send().await.unwrap();
    let digest = answer.headers().get("digest").map(|value| value.to_str().unwrap().to_owned());
    exercised("http-api", route_row(method, path), "drover_http::it::operators::send");
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec(), digest)
}

#[tokio::test]
async fn a_saved_state_comes_back_through_the_log_here_and_in_another_region() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let directory = tempfile::tempdir().unwrap();
    let storage = || drover_raft::Storage::Disk {
        disk: std::sync::Arc::new(drover_rt::RealDisk),
        directory: directory.path().join("raft"),
        log: drover_raft::DiskLogOptions::default(),
    };
    let whole = Whole::with(Config { keyring: true, ..Config::new(storage()) }).await;
    whole.add_node().await;
    let put = |id: &str| send(&whole, "PUT", "/v1/jobs", job(id).to_string().as_bytes().to_vec().leak());
    assert_eq!(put("kept").await.0, 200);
    assert_eq!(send(&whole, "PUT", "/v1/var/farm/barn", br#"{"Items":{"door":"green"}}"#).await.0, 200);
    whole.until("/v1/job/kept/allocations", |allocs| !allocs.as_array().unwrap().is_empty()).await;
    let (status, archive, digest) = send(&whole, "GET", "/v1/operator/snapshot", b"").await;
    let sum = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(&archive));
    assert_eq!((status, digest.unwrap()), (200, format!("sha-256={sum}")));
    let saved = drover_server::state::read_archive(&archive).unwrap();
    assert_eq!(saved.state().unwrap().jobs().count(), 1);
    // What came later is gone after a restore, and indexes go on.
    assert_eq!(put("later").await.0, 200);
    let before = whole.server.snapshot().index();
    assert_eq!(send(&whole, "PUT", "/v1/operator/snapshot", &archive).await.0, 200);
    let ids = |jobs: Value| jobs.as_array().unwrap().iter().map(|job| job["ID"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(whole.get("/v1/jobs").await), ["kept"]);
    assert!(whole.server.snapshot().index() > before);
    assert_eq!(whole.get("/v1/var/farm/barn").await["Items"]["door"], "green");
    // The scheduler goes on with the state that is there now.
    assert_eq!(put("after").await.0, 200);
    whole.until("/v1/job/after/allocations", |allocs| !allocs.as_array().unwrap().is_empty()).await;
    let damaged = &archive[..archive.len() / 2];
    let (status, text, _) = send(&whole, "POST", "/v1/operator/snapshot", damaged).await;
    assert!(status == 500 && text.starts_with(b"failed to restore from snapshot: "), "{status} {}", String::from_utf8_lossy(&text));
    let index = whole.server.snapshot().index();
    whole.end().await;
    // All of it is in the log: it is there after a restart.
    let again = Whole::with(Config { keyring: true, ..Config::new(storage()) }).await;
    assert_eq!(ids(again.get("/v1/jobs").await), ["after", "kept"]);
    assert!(again.server.snapshot().index() >= index);
    again.end().await;
    // A region that is not as far takes it too: its indexes go on after those of the state.
    let young = Whole::with(Config { keyring: true, ..Config::new(drover_raft::Storage::Memory) }).await;
    let far = drover_server::state::write_archive(&saved.bytes, saved.meta.index, 1, drover_base::WallTime(5));
    assert_eq!(send(&young, "PUT", "/v1/operator/snapshot", &far).await.0, 200);
    assert!(young.server.snapshot().index() > saved.meta.index);
    let (status, body, _) = send(&young, "PUT", "/v1/jobs", job("next").to_string().as_bytes()).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["JobModifyIndex"].as_u64().unwrap() > saved.meta.index + 1, "{body}");
    assert_eq!(young.get("/v1/var/farm/barn").await["Items"]["door"], "green");
    young.end().await;
}

#[tokio::test]
async fn what_is_not_part_of_this_version_says_so() {
    let whole = Whole::start().await;
    let routes = drover_http::table();
    let mut count = 0;
    // Reads of what a region without the feature would have are told as such a region tells them.
    let refused = |route: &&drover_http::route::Route<_>| route.unsupported.is_some() && route.methods == drover_http::route::Methods::Any;
    for route in routes.routes().iter().filter(refused) {
        let path: Vec<&str> = route.pattern.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        let (status, text, _) = send(&whole, "PUT", &path.join("/"), b"{}").await;
        let text = String::from_utf8(text).unwrap();
        let feature = route.unsupported.unwrap();
        assert!(status == 501 && text.starts_with(feature), "{}: {status} {text}", route.pattern);
        count += 1;
    }
    assert!(count >= 4, "{count}");
    let (status, text, _) = send(&whole, "GET", "/v1/volumes?type=csi", b"").await;
    assert_eq!((status, text.as_slice()), (200, &b"[]"[..]));
    whole.end().await;
}
