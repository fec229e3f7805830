//! Recorded command lines of operators and about objects, each family in the order of its own life against a whole server.
//!
//! Objects of the recording that a test does not make are left out of recorded lists: what is compared there are the lines
//! about those that are here, and the head.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use drover_model::ServiceRegistration;
use drover_server::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::Whole;
use crate::cli::{Ran, TOKEN, drover, obedient};
use crate::golden::{command_row, compare_lines, compare_shape, differing, exercised, fits, judge, records, squeezed};

const RECORDS: &str = include_str!("../../../../testdata/golden/cli-flows.jsonl");
const FERRY: &str = include_str!("../../../../testdata/golden/cli-ferry.jsonl");

struct Flow {
    whole: Whole,
    directory: TempDir,
    all: BTreeMap<String, Value>,
    names: BTreeMap<String, String>,
    ids: BTreeMap<String, String>,
    differing: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Flow {
    async fn begin(whole: Whole) -> Self {
        let all: BTreeMap<String, Value> = records(RECORDS);
        let names = all.keys().map(|name| (name[..3].to_owned(), name.clone())).collect();
        let directory = tempfile::tempdir().unwrap();
        let ids = BTreeMap::new();
        Self { whole, directory, all, names, ids, differing: differing("cli"), wrong: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Puts an id in the place of a token of commands: the long one, and the short one of the same number.
    fn bind(&mut self, long: &str, short: &str, id: &str) {
        self.ids.insert(long.to_owned(), id.to_owned());
        self.ids.insert(short.to_owned(), id[..8].to_owned());
    }

    fn command(&self, record: &Value) -> String {
        let recorded = record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap();
        let mut out = String::new();
        let mut rest = recorded;
        while let Some(start) = rest.find('<') {
            let Some(end) = rest[start..].find('>') else { break };
            let token = rest[start + 1..start + end].trim_end_matches('~');
            out.push_str(&rest[..start]);
            match self.ids.get(token) {
                Some(id) => out.push_str(id),
                None => out.push_str(&rest[start..=start + end]),
            }
            rest = &rest[start + end + 1..];
        }
        out + rest
    }

    async fn told(&self, line: &str, input: &str) -> Ran {
        drover(&self.whole, self.path(), line, input).await
    }

    /// Runs a command that has to work.
    async fn run(&self, line: &str) -> String {
        let ran = self.told(line, "").await;
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.error);
        ran.out
    }

    async fn check(&mut self, number: &str, kept: Option<&[&str]>) {
        let name = self.names[number].clone();
        let record = self.all[&name].clone();
        let command = self.command(&record);
        let ran = self.told(&command, record["stdin"].as_str().unwrap_or_default()).await;
        exercised("cli", command_row(&command), "drover_http::it::flows::check");
        let mut found = Vec::new();
        if record["exit"].as_i64() != Some(i64::from(ran.code)) {
            found.push(format!("exit {}, recorded {}: {}{}", ran.code, record["exit"], ran.out, ran.error));
        }
        let out = record["stdout"].as_str().unwrap();
        if record["shape"] == true {
            compare_shape(out, &ran.out, &mut found);
        } else if out.starts_with("<help text>") {
            if !ran.out.starts_with("Usage: drover") {
                found.push(format!("no help: {}", ran.out));
            }
        } else if let Some(kept) = kept {
            let own = |text: &str| -> Vec<String> {
                let text = squeezed(text);
                let lines = text
                    .lines()
                    .enumerate()
                    .filter(|(at, line)| *at == 0 || kept.iter().any(|word| line.split(' ').any(|own| own == *word)));
                lines.map(|(_, line)| line.to_owned()).collect()
            };
            let (recorded, answered) = (own(out), own(&ran.out));
            let same = recorded.len() == answered.len() && recorded.iter().zip(&answered).all(|(recorded, line)| fits(recorded, line));
            if !same {
                found.push(format!("{answered:?}, recorded {recorded:?}"));
            }
        } else {
            compare_lines("stdout", out, &ran.out, &mut found);
        }
        // The sentence is the server's own.
        let error = ran.error.replace("No nomad log", "No drover log");
        compare_lines("stderr", record["stderr"].as_str().unwrap(), &error, &mut found);
        let found: Vec<String> = found.into_iter().map(|line| format!("{command}: {line}")).collect();
        judge(&name, &found, &self.differing, &mut self.wrong);
    }

    async fn replay(&mut self, numbers: &[&str]) {
        for number in numbers {
            self.check(number, None).await;
        }
    }

    async fn listed(&mut self, number: &str, kept: &[&str]) {
        self.check(number, Some(kept)).await;
    }

    async fn end(self) {
        self.whole.end().await;
        assert!(self.wrong.is_empty(), "{} differences:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// The job file of the recording, for another job.
fn job(id: &str, count: u32, canary: u32, stroke: &str) -> String {
    let ferry = records(FERRY).into_iter().find(|(name, _)| name.starts_with("021")).unwrap().1["stdin"].as_str().unwrap().to_owned();
    ferry
        .replace("job \"ferry\"", &format!("job \"{id}\""))
        .replace("count = 1", &format!("count = {count}"))
        .replace("canary            = 0", &format!("canary            = {canary}"))
        .replace("STROKE = \"a\"", &format!("STROKE = \"{stroke}\""))
}

#[tokio::test]
async fn deployments_are_told_and_changed_as_recorded() {
    let whole = Whole::start().await;
    whole.add_node().await;
    obedient(&whole, u64::MAX);
    let mut flow = Flow::begin(whole).await;
    flow.file("canoe.hcl", &job("canoe", 2, 1, "a"));
    flow.file("canoe2.hcl", &job("canoe", 2, 1, "z"));
    flow.run("job run -detach canoe.hcl").await;
    flow.whole.until("/v1/job/canoe/deployment", |one| one["Status"] == "successful").await;
    flow.run("job run -detach canoe2.hcl").await;
    let waits = |one: &Value| one["JobVersion"] == 1 && one["TaskGroups"]["boat"]["HealthyAllocs"] == 1;
    let deployment = flow.whole.until("/v1/job/canoe/deployment", waits).await;
    let id = deployment["ID"].as_str().unwrap().to_owned();
    flow.bind("deployment-1", "dep-01", &id);
    flow.ids.insert("uuid-1".to_owned(), id);
    flow.listed("077", &["canoe"]).await;
    flow.replay(&["078", "080", "081", "084", "085"]).await;
    flow.run(&format!("deployment promote -detach {}", flow.ids["deployment-1"])).await;
    flow.whole.until("/v1/job/canoe/deployment", |one| one["Status"] == "successful").await;
    flow.replay(&["088", "089", "090"]).await;
    flow.listed("091", &["canoe"]).await;
    flow.replay(&["093", "595"]).await;
    flow.end().await;
}

#[tokio::test]
async fn nodes_pools_and_namespaces_are_told_and_changed_as_recorded() {
    let whole = Whole::start().await;
    whole.add_node().await;
    obedient(&whole, u64::MAX);
    let mut flow = Flow::begin(whole).await;
    let node = flow.whole.node.to_string();
    flow.bind("node-1", "nod-01", &node);
    flow.replay(&["201", "202", "203", "219", "220", "221", "222", "543"]).await;
    flow.file("pool.nomad.hcl", "node_pool \"orchard\" {\n  description = \"apples\"\n}\n");
    flow.listed("223", &["all", "default"]).await;
    flow.replay(&["224"]).await;
    flow.file("blip.hcl", &job("blip", 1, 0, "a"));
    flow.run("job run -detach blip.hcl").await;
    flow.whole.until("/v1/job/blip/deployment", |one| one["Status"] == "successful").await;
    flow.listed("227", &["blip"]).await;
    flow.replay(&["228", "229", "559", "230", "231", "232", "233"]).await;
    flow.run("namespace apply byre2").await;
    flow.replay(&["234", "235", "236", "237", "238", "240", "241", "242", "243", "239"]).await;
    flow.run("namespace apply byre2").await;
    flow.replay(&["549", "550", "558", "274", "275"]).await;
    flow.end().await;
}

#[tokio::test]
async fn services_are_told_as_recorded() {
    let whole = Whole::start().await;
    whole.add_node().await;
    obedient(&whole, u64::MAX);
    let mut flow = Flow::begin(whole).await;
    flow.file("lighthouse.hcl", &job("lighthouse", 1, 0, "a"));
    flow.run("job run -detach lighthouse.hcl").await;
    let running = |allocs: &Value| allocs[0]["ClientStatus"] == "running";
    let allocs = flow.whole.until("/v1/job/lighthouse/allocations", running).await;
    let alloc = allocs[0]["ID"].as_str().unwrap().to_owned();
    let service = ServiceRegistration {
        id: format!("_nomad-task-{alloc}-m-lamp-p"),
        service_name: "lamp".into(),
        namespace: "default".into(),
        node_id: flow.whole.node,
        datacenter: "dc1".into(),
        job_id: "lighthouse".into(),
        alloc_id: alloc.parse().unwrap(),
        tags: vec!["a".into(), "b".into()],
        address: "127.0.0.1".into(),
        port: 20_111,
        create_index: 0,
        modify_index: 0,
    };
    flow.whole.server.upsert_services(flow.whole.node, vec![service]).await.unwrap();
    flow.replay(&["325", "326", "327", "329", "545"]).await;
    flow.end().await;
}

#[tokio::test]
async fn commands_of_operators_answer_as_recorded() {
    let mut flow = Flow::begin(Whole::with(Config { keyring: true, ..Config::new(drover_raft::Storage::Memory) }).await).await;
    flow.whole.add_node().await;
    flow.replay(&["276", "277", "278", "280", "281", "282", "283", "284"]).await;
    flow.run("operator autopilot set-config -last-contact-threshold 300ms -max-trailing-logs=300 -server-stabilization-time 11s").await;
    flow.replay(&["285", "286", "287", "288", "557", "290", "295", "297", "299", "300", "301", "567", "568"]).await;
    flow.file("junk.snap", "junk");
    flow.replay(&["302", "303", "304", "305", "306", "307", "308", "521", "309", "566"]).await;
    // A saved state is restored, and says what it is.
    flow.run("namespace apply byre").await;
    flow.run("operator snapshot save whole.snap").await;
    flow.run("namespace delete byre").await;
    assert_eq!(flow.run("operator snapshot restore whole.snap").await, "Snapshot Restored\n");
    assert!(flow.run("namespace list").await.contains("byre"));
    assert!(flow.run("operator snapshot inspect whole.snap").await.contains("Namespace"));
    assert!(flow.run("operator snapshot state -filter 'Name == byre' whole.snap").await.contains("\"Name\": \"byre\""));
    flow.replay(&["310", "311", "312", "313", "314", "544"]).await;
    flow.replay(&["353", "354", "355", "356", "357", "358", "359", "360", "361", "526", "528", "530", "531", "532"]).await;
    flow.file("q.hcl", "name = \"x\"\n");
    flow.file("s.sentinel", "main = rule { true }\n");
    flow.replay(&["527", "529", "384", "487", "533", "535", "536", "389", "380", "382"]).await;
    flow.end().await;
}

#[tokio::test]
async fn what_needs_no_agent_answers_as_recorded() {
    let mut flow = Flow::begin(Whole::start().await).await;
    flow.replay(&["002", "370", "371", "372", "373", "374", "375", "376", "563", "564"]).await;
    let key = std::fs::metadata(flow.path().join("nomad-agent-ca-key.pem")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
    flow.file("agent.hcl", "client {\n  enabled = true\n}\n");
    flow.file("agent2.hcl", "bogus = 1\n");
    flow.file("agent3.hcl", "data_dir = \"/tmp/none\"\nserver {\n  enabled          = true\n  bootstrap_expect = 1\n}\n");
    flow.replay(&["377", "378", "379"]).await;
    flow.file("ugly.nomad.hcl", "job \"x\" {\ntype=\"batch\"\n}\n");
    flow.file("broken.nomad.hcl", "job \"x\" {\n");
    flow.replay(&["365", "366", "367", "368", "369"]).await;
    flow.file("ferry.nomad.hcl", &job("ferry", 1, 0, "a"));
    flow.file("bad.nomad.hcl", "job \"x\" {\n  bogus = 1\n}\n");
    flow.file(
        "inv.nomad.hcl",
        "job \"inv\" {\n  type = \"weird\"\n  group \"g\" {\n    task \"t\" {\n      driver = \"mock_driver\"\n    }\n  }\n}\n",
    );
    flow.replay(&["009", "010", "011", "012", "363", "364", "316", "317"]).await;
    flow.end().await;
}

#[tokio::test]
async fn what_a_stopped_server_left_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let storage = drover_raft::Storage::Disk {
        disk: std::sync::Arc::new(drover_rt::RealDisk),
        directory: directory.path().join("off/server/raft"),
        log: drover_raft::DiskLogOptions::default(),
    };
    let stopped = Whole::with(Config::new(storage)).await;
    stopped.add_node().await;
    stopped.end().await;
    let flow = Flow::begin(Whole::start().await).await;
    std::fs::rename(directory.path().join("off"), flow.path().join("off")).unwrap();
    let info = flow.run("operator raft info off/server/raft").await;
    let lines: Vec<&str> = info.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(lines, ["path:", "length:", "first", "last"], "{info}");
    assert!(info.contains("off/server/raft/log"), "{info}");
    let logs = flow.run("operator raft logs off").await;
    let kinds: BTreeSet<String> =
        logs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["CommandType"].as_str().unwrap_or("").to_owned()).collect();
    assert!(kinds.contains("RegisterNode") && kinds.contains("FeatureLevel") && kinds.contains(""), "{kinds:?}");
    let state: Value = serde_json::from_str(&flow.run("operator raft state off").await).unwrap();
    assert_eq!(state["Nodes"][0]["Name"], "pasture");
    let mut found = Vec::new();
    compare_shape(flow.all[&flow.names["517"]]["stdout"].as_str().unwrap(), &state.to_string(), &mut found);
    assert!(found.is_empty(), "{found:?}");
    let before: Value = serde_json::from_str(&flow.run("operator raft state -last-index=1 off").await).unwrap();
    assert_eq!(before["Nodes"], serde_json::json!([]));
    let asked = flow.told("operator raft migrate-backend off", "no\n").await;
    assert!(asked.code == 0 && asked.out.contains("Type 'yes' to confirm migration:  Migration cancelled."), "{}", asked.out);
    assert!(flow.run("operator raft migrate-backend -yes off").await.contains("pre-flight checks passed"));
    for row in ["info", "logs", "state", "migrate-backend"] {
        exercised("cli", command_row(&format!("operator raft {row}")), "drover_http::it::flows::what_a_stopped_server_left_is_told");
    }
    flow.end().await;
}

#[tokio::test]
async fn a_debug_bundle_holds_what_the_recorded_one_held() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let flow = Flow::begin(whole).await;
    let out = flow.run("operator debug -duration 1s -interval 1s -pprof-duration 0s").await;
    assert!(out.starts_with("Starting debugger...") && out.contains("Servers: (1/1) [pasture.global]"), "{out}");
    assert!(out.contains("    Capture interval 0000"), "{out}");
    let name = out.lines().last().unwrap().strip_prefix("Created debug archive: ").unwrap().to_owned();
    let mut plain = Vec::new();
    let packed = std::fs::read(flow.path().join(&name)).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut plain).unwrap();
    let text = String::from_utf8_lossy(&plain).into_owned();
    let base = name.strip_suffix(".tar.gz").unwrap();
    for file in [
        "cluster/agent-self.json",
        "cluster/cli-flags.json",
        "cluster/eventstream.json",
        "cluster/leader.json",
        "cluster/members.json",
        "cluster/namespaces.json",
        "cluster/nodes.json",
        "cluster/regions.json",
        "index.html",
        "index.json",
        "interval/0000/allocations.json",
        "interval/0000/csi-plugins.json",
        "interval/0000/deployments.json",
        "interval/0000/evaluations.json",
        "interval/0000/jobs.json",
        "interval/0000/license.json",
        "interval/0000/metrics.json",
        "interval/0000/operator-raft.json",
        "interval/0000/operator-scheduler.json",
        "interval/0000/operator-autopilot-health.json",
        "server/pasture.global/monitor.log",
    ] {
        assert!(text.contains(&format!("{base}/{file}\0")), "{file} is missing");
    }
    let wrong = flow.told("operator debug -duration 1s extra", "").await;
    assert!(wrong.code == 1 && wrong.error.starts_with("This command takes no arguments"), "{}", wrong.error);
    exercised("cli", command_row("operator debug"), "drover_http::it::flows::a_debug_bundle_holds_what_the_recorded_one_held");
    flow.end().await;
}

#[tokio::test]
async fn the_objects_of_access_control_are_listed_and_changed_as_recorded() {
    let acl = drover_server::AclConfig { enabled: true, ..drover_server::AclConfig::default() };
    let whole = Whole::with(Config { acl, ..Config::new(drover_raft::Storage::Memory) }).await;
    let (root, _) = whole.server.acl_bootstrap("").await.unwrap();
    let mut flow = Flow::begin(whole).await;
    flow.replay(&["404", "489"]).await;
    flow.file(TOKEN, &root.secret);
    flow.file("pol.hcl", "namespace \"default\" {\n  policy = \"read\"\n}\n");
    flow.replay(&["426", "488", "480"]).await;
    flow.run("acl policy apply -description herd herdsman pol.hcl").await;
    flow.run("acl token create -name pup -policy herdsman").await;
    let pup = flow.whole.server.snapshot().acl_tokens().find(|token| token.name == "pup").unwrap().clone();
    flow.bind("accessor-1", "acc-01", &pup.accessor);
    flow.listed("409", &["herdsman"]).await;
    flow.replay(&["412"]).await;
    flow.listed("422", &["Bootstrap", "pup"]).await;
    flow.replay(&["423"]).await;
    flow.file(TOKEN, &pup.secret);
    flow.replay(&["427", "433"]).await;
    flow.file(TOKEN, &root.secret);
    flow.replay(&["430"]).await;
    flow.run("acl role create -name hands -policy herdsman").await;
    let role = flow.whole.server.snapshot().acl_role_by_name("hands").unwrap().id.clone();
    flow.bind("role-1", "rol-01", &role);
    flow.listed("439", &["hands"]).await;
    flow.replay(&["440", "443"]).await;
    flow.file("m.json", "{\"JWTValidationPubKeys\": [\"-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuiy2AyB0zN7WjyjpUpvGkZB0W3lP\\nNDjlYM0hk0SVpZjQf6z1vJ4pn8OQ8k9sSJmV5a3K6J5hJ0dW8Zc1bTz2nA==\\n-----END PUBLIC KEY-----\"]}");
    flow.run("acl auth-method create -name lane -type JWT -max-token-ttl 1h -token-locality local -config @m.json").await;
    flow.listed("447", &["lane"]).await;
    let rule = "acl binding-rule create -auth-method lane -bind-type role -bind-name hands -selector '\"shepherds\" in list.groups'";
    flow.run(rule).await;
    let rule = flow.whole.server.snapshot().binding_rules().next().unwrap().id.clone();
    flow.bind("rule-1", "rul-01", &rule);
    flow.listed("452", &["lane"]).await;
    flow.replay(&["453", "456", "461", "464", "465", "466"]).await;
    flow.end().await;
}
