//! Records against an agent that answers from a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use drover_macros::proves;
use drover_rt::Clock;
use std::time::Duration;

use crate::{Ran, drover, ours, records};

const RECORDS: &str = include_str!("../../../../testdata/golden/cli-scripted.jsonl");
const LEADER: &str = include_str!("../../../../testdata/golden/cli-leader.jsonl");
const NAMESPACES: &str = include_str!("../../../../testdata/golden/cli-namespaces.jsonl");
const NODE: &str = "11111111-1111-1111-1111-111111111111";
const EVAL: &str = "22222222-2222-2222-2222-222222222222";
const ALLOC: &str = "33333333-3333-3333-3333-333333333333";
const DEPLOYMENT: &str = "44444444-4444-4444-4444-444444444444";
const TIME: &str = "2026-11-21T18:00:00Z";
const NANOSECONDS: i64 = 1_795_284_000_000_000_000;

/// Answers by method and path. Several answers for one path are given in turn, the last for ever.
struct Agent {
    address: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Agent {
    async fn start(script: Vec<(&str, Value)>) -> Self {
        let mut answers: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (route, body) in script {
            answers.entry(route.to_owned()).or_default().push(body);
        }
        let answers = Arc::new(Mutex::new(answers));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::clone(&asked);
        let scope = drover_rt::TaskScope::new();
        let inner = scope.clone();
        scope.spawn("agent", async move {
            while let Ok((stream, _)) = listener.accept().await {
                inner.spawn("connection", serve(stream, Arc::clone(&answers), Arc::clone(&seen)));
            }
        });
        Self { address, asked }
    }

    async fn run(&self, line: &str, input: &str) -> Ran {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("job.json"), r#"{"ID":"ferry"}"#).unwrap();
        drover(line, directory.path(), &[("DROVER_ADDR", &self.address)], input).await
    }

    fn body_of(&self, route: &str) -> Value {
        let asked = self.asked.lock().unwrap();
        asked.iter().find(|(name, _)| name == route).map(|(_, body)| body.clone()).unwrap_or_default()
    }
}

async fn serve(stream: TcpStream, answers: Arc<Mutex<BTreeMap<String, Vec<Value>>>>, asked: Arc<Mutex<Vec<(String, Value)>>>) {
    let mut stream = BufReader::new(stream);
    let mut index = 1;
    loop {
        let mut head = Vec::new();
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
            head.push(std::mem::take(&mut line));
        }
        let Some(first) = head.first() else { return };
        let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.unwrap();
        let mut words = first.split(' ');
        let method = words.next().unwrap().to_owned();
        let route = format!("{method} {}", words.next().unwrap().split('?').next().unwrap());
        let query = first.split(' ').nth(1).and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
        asked.lock().unwrap().push((route.clone(), serde_json::from_slice(&body).unwrap_or_default()));
        asked.lock().unwrap().push((format!("{route}?{query}"), Value::Null));
        let answer = {
            let mut answers = answers.lock().unwrap();
            match answers.get_mut(&route) {
                Some(turns) if turns.len() > 1 => Some(turns.remove(0)),
                Some(turns) => turns.first().cloned(),
                None => None,
            }
        };
        index += 1;
        let (status, text) = match answer {
            None => ("404 Not Found", format!("no route {route}")),
            Some(value) if value.get("conflict").is_some() => ("409 Conflict", value.to_string()),
            Some(value) if value.get("error").is_some() => ("500 Internal Server Error", value["error"].as_str().unwrap().to_owned()),
            Some(value) => ("200 OK", value.to_string()),
        };
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nX-Nomad-Index: {index}\r\n\r\n{text}", text.len());
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Puts the values of the script in the place of the tokens of a record.
fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((token, tail)) = after.split_once('>').filter(|(token, _)| *token != "none" && !token.contains(' ')) else {
            out.push('<');
            rest = after;
            continue;
        };
        let name = token.trim_end_matches('~');
        let kind: String = name.chars().take_while(|letter| letter.is_ascii_alphabetic()).collect();
        out.push_str(match kind.as_str() {
            "time" => TIME,
            "evl" => &EVAL[..8],
            "alc" => &ALLOC[..8],
            "nod" => &NODE[..8],
            "dep" | "uid" => &DEPLOYMENT[..8],
            "eval" => EVAL,
            "alloc" => ALLOC,
            "node" => NODE,
            "deployment" => DEPLOYMENT,
            _ => panic!("token {token}"),
        });
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn record(number: &str) -> Value {
    records(RECORDS).remove(number).unwrap()
}

/// The recorded output with the script's values; times of the run itself are replaced in both.
fn expected(number: &str) -> String {
    filled(&ours(record(number)["stdout"].as_str().unwrap()))
}

/// Replaces times that are now by the script's time.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        let mut from = 0;
        while let Some(start) = line[from..].find("20").map(|found| found + from) {
            let stamp = line.get(start..start + 20).filter(|stamp| stamp.ends_with('Z') && stamp.as_bytes()[10] == b'T');
            if stamp.is_some() {
                line.replace_range(start..start + 20, TIME);
            }
            from = start + 2;
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn job() -> Value {
    json!({
        "ID": "ferry", "Name": "ferry", "SubmitTime": NANOSECONDS, "Type": "service", "Priority": 50, "Datacenters": ["*"],
        "Namespace": "default", "NodePool": "default", "Status": "running", "Version": 0,
        "TaskGroups": [{"Name": "boat", "Tasks": [{"Name": "oar", "Actions": [{"Name": "row"}]}]}],
    })
}

fn stub(id: &str) -> Value {
    json!({"ID": id, "Namespace": "default", "Type": "service", "Priority": 50, "Status": "running", "SubmitTime": NANOSECONDS})
}

fn alloc() -> Value {
    json!({
        "ID": ALLOC, "EvalID": EVAL, "NodeID": NODE, "TaskGroup": "boat", "JobVersion": 0, "DesiredStatus": "run",
        "ClientStatus": "running", "CreateIndex": 12, "CreateTime": NANOSECONDS, "ModifyTime": NANOSECONDS,
    })
}

fn deployment(status: &str, description: &str) -> Value {
    json!({
        "ID": DEPLOYMENT, "JobID": "ferry", "Namespace": "default", "JobVersion": 0, "Status": status,
        "StatusDescription": description, "CreateIndex": 12,
        "TaskGroups": {"boat": {"DesiredTotal": 1, "PlacedAllocs": 1, "HealthyAllocs": 1, "ProgressDeadline": 1, "RequireProgressBy": TIME}},
    })
}

#[tokio::test]
async fn allocations_that_a_prefix_does_not_tell_apart_are_listed_as_recorded() {
    let found = |id: &str, group: &str, desired: &str| {
        json!({"ID": id, "NodeID": NODE, "TaskGroup": group, "JobVersion": 0, "DesiredStatus": desired, "ClientStatus": "complete",
            "CreateIndex": 12, "CreateTime": NANOSECONDS, "ModifyTime": NANOSECONDS})
    };
    let both = ["75111111-1111-1111-1111-111111111111", "75222222-1111-1111-1111-111111111111"];
    let agent = Agent::start(vec![("GET /v1/allocations", json!([found(both[0], "g", "stop"), found(both[1], "cut", "run")]))]).await;
    let record = record("121");
    let ran = agent.run("alloc status 75", "").await;
    assert_eq!((i64::from(ran.code), ran.error.as_str()), (record["exit"].as_i64().unwrap(), ""));
    let words = |line: &str| line.replace(" ago", "-ago").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (recorded, told) = (record["stdout"].as_str().unwrap().trim_end().to_owned(), ran.out.trim_end().to_owned());
    assert_eq!(recorded.lines().count(), told.lines().count(), "{told}");
    for (recorded, told) in recorded.lines().zip(told.lines()) {
        let same = |(recorded, told): (&String, &String)| recorded.starts_with('<') || recorded == told;
        let (recorded, told) = (words(recorded), words(told));
        assert!(recorded.len() == told.len() && recorded.iter().zip(&told).all(same), "{told:?}, recorded {recorded:?}");
    }
}

#[tokio::test]
async fn a_run_shows_each_step_as_recorded() {
    let eval = |status: &str, deployment: &str| json!({"ID": EVAL, "JobID": "ferry", "Status": status, "DeploymentID": deployment, "CreateIndex": 10});
    let (eval_path, deployment_path) = (format!("GET /v1/evaluation/{EVAL}"), format!("GET /v1/deployment/{DEPLOYMENT}"));
    let allocs = format!("{eval_path}/allocations");
    let agent = Agent::start(vec![
        ("PUT /v1/jobs", json!({"EvalID": EVAL})),
        (&eval_path, eval("pending", "")),
        (&eval_path, eval("complete", DEPLOYMENT)),
        (&allocs, json!([])),
        (&allocs, json!([alloc()])),
        (&deployment_path, deployment("running", "Deployment is running")),
        (&deployment_path, deployment("successful", "Deployment completed successfully")),
    ])
    .await;
    let ran = agent.run("job run -json job.json", "").await;
    assert_eq!(timeless(&ran.out).trim(), timeless(&expected("015")).trim());
    assert_eq!((ran.code, ran.error.as_str()), (0, ""));
    assert_eq!(agent.body_of("PUT /v1/jobs")["Submission"]["Format"], "json");
}

#[tokio::test]
async fn a_run_without_room_says_why() {
    let mut ours = deployment("running", "Deployment is running");
    ours["JobID"] = json!("slug");
    ours["TaskGroups"] = json!({"g": {"DesiredTotal": 1, "ProgressDeadline": 1}});
    let mut last = ours.clone();
    last["Status"] = json!("failed");
    let (eval_path, deployment_path) = (format!("GET /v1/evaluation/{EVAL}"), format!("GET /v1/deployment/{DEPLOYMENT}"));
    let allocs = format!("{eval_path}/allocations");
    let failed = json!({"g": {
        "NodesEvaluated": 1, "ClassFiltered": {"meadow": 1}, "ConstraintFiltered": {"computed class ineligible": 1},
    }});
    let agent = Agent::start(vec![
        ("PUT /v1/jobs", json!({"EvalID": EVAL})),
        (&eval_path, json!({"ID": EVAL, "JobID": "slug", "Status": "complete", "DeploymentID": DEPLOYMENT, "FailedTGAllocs": failed, "BlockedEval": EVAL})),
        (&allocs, json!([])),
        (&deployment_path, ours),
        (&deployment_path, last),
    ])
    .await;
    let ran = agent.run("job run -json job.json", "").await;
    let expected = timeless(&expected("158"));
    assert!(timeless(&ran.out).starts_with(expected.trim()), "{}\n---\n{expected}", timeless(&ran.out));
    assert_eq!(ran.code, 1, "the deployment failed");
}

#[tokio::test]
async fn the_status_of_a_job_is_as_recorded() {
    let agent = Agent::start(vec![
        ("GET /v1/jobs", json!([stub("ferry")])),
        ("GET /v1/job/ferry", job()),
        ("GET /v1/job/ferry/summary", json!({"Summary": {"boat": {"Running": 1}}})),
        ("GET /v1/job/ferry/allocations", json!([alloc()])),
        ("GET /v1/job/ferry/evaluations", json!([])),
        ("GET /v1/job/ferry/deployment", deployment("successful", "Deployment completed successfully")),
    ])
    .await;
    let ran = agent.run("job status ferry", "").await;
    assert_eq!((ran.code, ran.error.as_str()), (0, ""));
    let (ours, theirs) = (ran.out.trim(), filled(&record("023")["stdout"].as_str().unwrap().replace("<ago~>", "@ago@")));
    // The ages depend on the day of the run, and the widths of their columns with them.
    let cut = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split("running  ").next().unwrap().trim_end().replace("Created", "").replace("Modified", "").trim_end().to_owned()
            })
            .collect()
    };
    assert_eq!(cut(ours), cut(theirs.trim()));
}

#[tokio::test]
async fn a_plan_is_shown_as_recorded() {
    let edited = |name: &str, old: &str, new: &str, notes: Value| json!({"Type": "Edited", "Name": name, "Old": old, "New": new, "Annotations": notes});
    let plan = json!({
        "Annotations": {"DesiredTGUpdates": {"boat": {"Place": 1, "DestructiveUpdate": 1}}},
        "Diff": {"Type": "Edited", "ID": "ferry", "TaskGroups": [{
            "Type": "Edited", "Name": "boat", "Updates": {"create": 1, "create/destroy update": 1},
            "Fields": [edited("Count", "1", "2", json!(["forces create"]))],
            "Tasks": [{
                "Type": "Edited", "Name": "oar", "Annotations": ["forces create/destroy update"],
                "Fields": [edited("Env[STROKE]", "a", "b", Value::Null)],
            }],
        }]},
        "JobModifyIndex": 123,
    });
    let agent = Agent::start(vec![("PUT /v1/job/ferry/plan", plan)]).await;
    let ran = agent.run("job plan -json job.json", "").await;
    let expected = ours(record("034")["stdout"].as_str().unwrap()).replace("###", "123").replace("ferry2.nomad.hcl", "job.json");
    assert_eq!(ran.out.trim(), expected.trim());
    assert_eq!((ran.code, ran.error.as_str()), (1, ""));
    let added = json!({
        "Annotations": {"DesiredTGUpdates": {"boat": {"Place": 1}}},
        "Diff": {"Type": "Added", "ID": "ferry", "TaskGroups": [{
            "Type": "Added", "Name": "boat", "Updates": {"create": 1}, "Fields": [{"Type": "Added", "Name": "Count", "New": "1"}],
            "Tasks": [{"Type": "Added", "Name": "oar", "Annotations": ["forces create"], "Fields": [{"Type": "Added", "Name": "Driver", "New": "x"}]}],
        }]},
    });
    let agent = Agent::start(vec![("PUT /v1/job/ferry/plan", added)]).await;
    let ran = agent.run("job plan -json job.json", "").await;
    let expected = ours(record("013")["stdout"].as_str().unwrap()).replace('#', "0").replace("ferry.nomad.hcl", "job.json");
    assert_eq!(ran.out.trim(), expected.trim());
}

#[tokio::test]
async fn stopping_by_prefix_asks_as_recorded() {
    for (number, answer) in [("095", "n\n"), ("096", "yes\n"), ("097", "what\n"), ("099", "y\n")] {
        let eval = json!({"ID": EVAL, "JobID": "ferry", "Status": "complete"});
        let path = format!("GET /v1/evaluation/{EVAL}");
        let allocs = format!("{path}/allocations");
        let agent = Agent::start(vec![
            ("GET /v1/jobs", json!([stub("ferry")])),
            ("DELETE /v1/job/ferry", json!({"EvalID": EVAL})),
            (&path, eval),
            (&allocs, json!([])),
        ])
        .await;
        let ran = agent.run("job stop ferr", answer).await;
        let record = record(number);
        assert_eq!(i64::from(ran.code), record["exit"].as_i64().unwrap(), "{number}");
        let question = record["stdout"].as_str().unwrap().lines().next().unwrap();
        let question = question.split("==>").next().unwrap();
        assert!(ran.out.starts_with(question), "{number}: {}", ran.out);
        let stopped = agent.asked.lock().unwrap().iter().any(|(route, _)| route.starts_with("DELETE"));
        assert_eq!(stopped, number == "099");
    }
}

#[tokio::test]
async fn unknown_and_ambiguous_names_are_as_recorded() {
    let agent = Agent::start(vec![("GET /v1/jobs", json!([]))]).await;
    let ran = agent.run("job stop nope", "").await;
    assert_eq!((ran.code, ran.error.trim()), (1, record("100")["stderr"].as_str().unwrap().trim()));
    let agent = Agent::start(vec![("GET /v1/jobs", json!([stub("twin-a"), stub("twin-b")]))]).await;
    let ran = agent.run("job status twin", "").await;
    assert_eq!((ran.code, ran.error.trim()), (1, filled(record("397")["stderr"].as_str().unwrap()).trim()));
}

#[tokio::test]
async fn checks_and_services_are_as_recorded() {
    let service = json!([{
        "ID": format!("_nomad-task-{ALLOC}-m-lamp-p"), "ServiceName": "lamp", "Namespace": "default", "JobID": "lighthouse",
        "AllocID": ALLOC, "NodeID": NODE, "Datacenter": "dc1", "Address": "127.0.0.1", "Port": 12345, "Tags": ["b", "a"],
    }]);
    let agent = Agent::start(vec![("GET /v1/service/lamp", service)]).await;
    for (line, number) in [("service info lamp", "326"), ("service info -verbose lamp", "327")] {
        let ran = agent.run(line, "").await;
        assert_eq!(ran.out.trim(), expected(number).replace("#####", "12345").trim());
    }
    let path = format!("PUT /v1/node/{NODE}/eligibility");
    let agent = Agent::start(vec![("GET /v1/nodes", json!([{"ID": NODE}])), (&path, json!({}))]).await;
    let ran = agent.run(&format!("node eligibility -disable {}", &NODE[..8]), "").await;
    assert_eq!(ran.out.trim(), expected("201").trim());
}

#[tokio::test]
async fn members_show_the_leader() {
    let member = json!({"Name": "pasture.global", "Addr": "127.0.0.1", "Port": 12345, "Status": "alive", "ProtocolCur": 2,
        "Tags": {"region": "global", "dc": "dc1", "raft_vsn": "3", "build": "2.0.5", "port": "4647", "rpc_addr": "127.0.0.1"}});
    let agent =
        Agent::start(vec![("GET /v1/agent/members", json!({"Members": [member]})), ("GET /v1/status/leader", json!("127.0.0.1:4647"))])
            .await;
    let ran = agent.run("server members", "").await;
    assert_eq!(ran.out.trim(), expected("273").replace("#####", "12345").trim());
}

/// An agent that knows a template, a periodic job, a node and a pool.
async fn leader() -> Agent {
    let template = json!({"ID": "letter", "Namespace": "default", "Type": "batch", "ParameterizedJob": true, "Periodic": true});
    let launched = json!({"EvalID": EVAL, "EvalCreateIndex": 9, "Index": 9});
    let child = "letter/dispatch-1700000000-aabbccdd";
    let dispatched = json!({"DispatchedJobID": child, "EvalID": EVAL, "EvalCreateIndex": 9, "JobCreateIndex": 9, "Index": 9});
    let preempts = json!({"SystemSchedulerEnabled": true, "SysBatchSchedulerEnabled": true, "BatchSchedulerEnabled": true,
        "ServiceSchedulerEnabled": true});
    let config = json!({"SchedulerAlgorithm": "binpack", "PreemptionConfig": preempts, "ModifyIndex": 1234});
    let pools = json!([
        {"Name": "all", "Description": "Node pool with all nodes in the cluster."},
        {"Name": "default", "Description": "Default node pool."},
    ]);
    let drain = format!("PUT /v1/node/{NODE}/drain");
    Agent::start(vec![
        ("GET /v1/jobs", json!([template])),
        ("PUT /v1/job/letter/dispatch", dispatched),
        ("PUT /v1/job/letter/periodic/force", launched),
        ("GET /v1/nodes", json!([{"ID": NODE}])),
        (&drain, json!({})),
        ("GET /v1/node/pools", pools),
        ("DELETE /v1/node/pool/orchard", json!(null)),
        ("GET /v1/operator/scheduler/configuration", json!({"SchedulerConfig": config, "Index": 1234})),
        ("PUT /v1/operator/scheduler/configuration", json!({"Updated": true, "Index": 1235})),
        ("PUT /v1/system/reconcile/summaries", json!(null)),
    ])
    .await
}

#[tokio::test]
async fn templates_drains_pools_and_settings_are_told_as_recorded() {
    let agent = leader().await;
    let all = records(LEADER);
    let told = |number: &str| {
        let record = &all[number];
        let text = |key: &str| {
            let text = ours(record[key].as_str().unwrap_or_default());
            let text = text.replace("<seconds~>", "1700000000").replace("<random>", "aabbccdd").replace("milk-run", "letter");
            filled(&text).replace("####", "1234").replace("###", "1234").trim().to_owned()
        };
        (record["exit"].as_i64().unwrap(), text("stdout"), text("stderr"))
    };
    for (number, line) in [
        ("172", "job dispatch -detach -meta to=ewe letter -".to_owned()),
        ("177", "job periodic force -detach letter".to_owned()),
        ("215", format!("node drain -enable -deadline 3s -m tidy -detach {NODE}")),
        ("217", format!("node drain -disable {NODE}")),
        ("221", format!("node drain {NODE}")),
        ("222", format!("node drain -enable -disable {NODE}")),
        ("223", "node pool list".to_owned()),
        ("230", "node pool delete orchard".to_owned()),
        ("289", "operator scheduler get-config".to_owned()),
        ("291", "operator scheduler set-config -scheduler-algorithm spread".to_owned()),
        ("294", "operator scheduler set-config -check-index 1 -scheduler-algorithm spread".to_owned()),
        ("319", "system reconcile summaries".to_owned()),
    ] {
        let ran = agent.run(&line, "hello").await;
        let (code, out, error) = told(number);
        let found = ran.error.trim().replace("check-index 1 ", "check-index # ");
        assert_eq!((i64::from(ran.code), ran.out.trim(), found.as_str()), (code, out.as_str(), error.as_str()), "{number}: {line}");
    }
    let sent = agent.body_of("PUT /v1/job/letter/dispatch");
    assert_eq!((&sent["Meta"], &sent["Payload"]), (&json!({"to": "ewe"}), &json!("aGVsbG8=")));
    let sent = agent.body_of(&format!("PUT /v1/node/{NODE}/drain"));
    assert_eq!((&sent["DrainSpec"]["Deadline"], &sent["Meta"]["message"]), (&json!(3_000_000_000_i64), &json!("tidy")));
    let none = Agent::start(vec![("GET /v1/jobs", json!([])), ("GET /v1/node/pools", json!([]))]).await;
    for (number, line) in [("174", "job dispatch nope"), ("179", "job periodic force nope"), ("226", "node pool info zz")] {
        let ran = none.run(line, "").await;
        let (code, _, error) = told(number);
        assert_eq!((i64::from(ran.code), ran.error.trim()), (code, error.as_str()), "{number}");
    }
}

#[tokio::test]
async fn namespaces_are_told_as_recorded() {
    let namespace = |name: &str, description: &str| {
        json!({"Name": name, "Description": description, "Quota": "", "Capabilities": null, "NodePoolConfiguration": null,
            "VaultConfiguration": null, "ConsulConfiguration": null, "Meta": null, "Hash": "AA==", "CreateIndex": 1234,
            "ModifyIndex": 1234, "RequiredExtraClaims": null, "OptionalExtraClaims": null})
    };
    let agent = |listed: Value| {
        Agent::start(vec![
            ("GET /v1/namespaces", listed),
            ("PUT /v1/namespace", json!(null)),
            ("DELETE /v1/namespace/byre", json!(null)),
            ("DELETE /v1/namespace/byre", json!({"error": "namespace not found"})),
            ("DELETE /v1/namespace/default", json!({"error": "can not delete default namespace"})),
        ])
    };
    let all = agent(json!([namespace("byre2", ""), namespace("default", "Default shared namespace")])).await;
    let one = agent(json!([namespace("byre", "cows")])).await;
    let none = agent(json!([])).await;
    let mut wrong = Vec::new();
    for (number, record) in records(NAMESPACES) {
        let agent = match number.as_str() {
            "236" | "238" => &one,
            "237" => &none,
            _ => &all,
        };
        let line = record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap();
        let ran = agent.run(line, "").await;
        let told = |key: &str| ours(record[key].as_str().unwrap()).replace("####", "1234").trim().to_owned();
        let found = (i64::from(ran.code), ran.out.trim(), ran.error.trim());
        if found != (record["exit"].as_i64().unwrap(), &told("stdout"), &told("stderr")) {
            wrong.push(format!("{number} {line}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let sent = all.body_of("PUT /v1/namespace");
    assert_eq!((&sent["Name"], &sent["Description"]), (&json!("byre"), &json!("cows")));
}

/// What a command that holds a lock asked for, in order.
fn operations(agent: &Agent) -> Vec<String> {
    let asked = agent.asked.lock().unwrap();
    asked
        .iter()
        .filter_map(|(route, _)| route.strip_prefix("PUT /v1/var/job?").map(|query| query.trim_end_matches('=').to_owned()))
        .collect()
}

#[proves("VAR-023")]
#[tokio::test]
async fn a_lock_is_renewed_while_a_command_runs_and_given_back_after_it() {
    let held = json!({ "Path": "job", "Lock": { "ID": "l", "TTL": "200ms" } });
    let agent = Agent::start(vec![("GET /v1/var/job", json!({ "Path": "job", "Items": { "k": "v" } })), ("PUT /v1/var/job", held)]).await;
    let directory = tempfile::tempdir().unwrap();
    let line = "var lock -ttl 200ms job /bin/sh -c 'echo begun; until [ -e go ]; do sleep 0.01; done; echo ended'";
    let variables = [("DROVER_ADDR", agent.address.as_str())];
    let running = drover(line, directory.path(), &variables, "");
    let watching = async {
        while operations(&agent).iter().filter(|operation| *operation == "lock-renew").count() < 3 {
            tokio::task::yield_now().await;
            Clock::system().sleep(Duration::from_millis(5)).await;
        }
        std::fs::write(directory.path().join("go"), "").unwrap();
    };
    let (ran, ()) = tokio::join!(running, watching);
    assert_eq!((ran.code, ran.out.as_str()), (0, "begun\nended\n"), "{}", ran.error);
    let asked = operations(&agent);
    assert_eq!(asked.first().map(String::as_str), Some("lock-acquire"));
    assert_eq!(asked.last().map(String::as_str), Some("lock-release"));
    assert!(asked[1..asked.len() - 1].iter().all(|operation| operation == "lock-renew"), "{asked:?}");
    // What the variable holds stays in it.
    assert_eq!(agent.body_of("PUT /v1/var/job")["Items"], json!({ "k": "v" }));
}

#[proves("VAR-023")]
#[tokio::test]
async fn losing_the_lock_ends_the_command_and_all_it_started() {
    let held = json!({ "Path": "job", "Lock": { "ID": "l", "TTL": "50ms" } });
    let script =
        vec![("GET /v1/var/job", json!({ "Path": "job" })), ("PUT /v1/var/job", held), ("PUT /v1/var/job", json!({ "conflict": true }))];
    let agent = Agent::start(script).await;
    let directory = tempfile::tempdir().unwrap();
    let line = "var lock -ttl 50ms job /bin/sh -c 'sleep 1000 & echo $! $$'";
    let ran = drover(&line.replace("$$'", "$$; wait'"), directory.path(), &[("DROVER_ADDR", &agent.address)], "").await;
    assert_eq!(ran.code, 1);
    assert!(ran.error.contains("the lock was lost"), "{}", ran.error);
    for pid in ran.out.split_whitespace() {
        // Whoever takes care of orphans may take a moment.
        let gone = || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        let ended = async {
            while !gone() {
                Clock::system().sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(Clock::system().timeout(Duration::from_secs(30), ended).await.is_some(), "{pid} still runs");
    }
}
