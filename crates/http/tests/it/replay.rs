//! Recorded requests, replayed as they stand: each by itself on a new region, and the lives of a few jobs and of a node in the
//! order of the recording.
//!
//! What differs from a record on purpose is in `testdata/differences.toml`, under `http/` and the record's name; a record
//! that is listed there and agrees fails the test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::agent::Whole;
use crate::golden::{compare, differing, judge, records};

const FRESH: &str = include_str!("../../../../testdata/golden/http-fresh.jsonl");
const FLOWS: &str = include_str!("../../../../testdata/golden/http-flows.jsonl");

/// Sends the request of a record and returns where the answer is not as recorded.
pub(crate) async fn replayed(whole: &Whole, record: &Value, ids: &BTreeMap<String, String>) -> Vec<String> {
    let mut record = record.clone();
    let mut body = record["request"]["body"].to_string();
    for (token, id) in ids {
        body = body.replace(token, id);
    }
    if record["request"].get("body").is_some_and(|body| !body.is_string()) {
        record["request"]["body"] = serde_json::from_str(&body).unwrap();
    }
    let (status, headers, text) = whole.ask(&record, ids).await;
    let expected = &record["response"];
    let mut out = Vec::new();
    if expected["status"].as_u64() != Some(u64::from(status)) {
        out.push(format!("status {status} {text}, recorded {} {}", expected["status"], expected["body"]));
        return out;
    }
    let answered = serde_json::from_str(&text)
        .ok()
        .filter(|_| !expected["body"].is_string() || expected["headers"]["Content-Type"] == "application/json")
        .unwrap_or_else(|| json!(text));
    // What was kept as text is told to the last sign.
    let answered = if expected["body"].as_str() == Some(text.as_str()) { json!(text) } else { answered };
    compare("", &expected["body"], &answered, &mut out);
    for header in ["X-Nomad-Index", "X-Nomad-Knownleader", "X-Nomad-Lastcontact", "Content-Type"] {
        let recorded = expected["headers"].get(header).and_then(Value::as_str);
        let answered = headers.get(&header.to_ascii_lowercase()).map(String::as_str);
        let fits = recorded.is_some_and(|text| text.starts_with('<')) && answered.is_some();
        if !fits && recorded != answered {
            out.push(format!("{header}: {answered:?}, recorded {recorded:?}"));
        }
    }
    out
}

#[tokio::test]
async fn requests_to_a_new_region_are_answered_as_recorded() {
    let (all, differing) = (records(FRESH), differing("http"));
    let mut wrong = Vec::new();
    for (name, record) in &all {
        let whole = Whole::start().await;
        if !name.ends_with("-empty") {
            whole.add_node().await;
        }
        let found = replayed(&whole, record, &BTreeMap::new()).await;
        judge(name, &found, &differing, &mut wrong);
        whole.end().await;
    }
    assert!(all.len() > 60, "{} records", all.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// One life: what it is about, and how far it has come.
struct Flow {
    whole: Whole,
    all: BTreeMap<String, Value>,
    ids: BTreeMap<String, String>,
    differing: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Flow {
    async fn begin() -> Self {
        let whole = Whole::start().await;
        whole.add_node().await;
        let ids = BTreeMap::from([("<node-1>".to_owned(), whole.node.to_string())]);
        Self { whole, all: records(FLOWS), ids, differing: differing("http"), wrong: Vec::new() }
    }

    async fn ask(&mut self, names: &[&str]) {
        for name in names {
            let found = replayed(&self.whole, &self.all[*name], &self.ids).await;
            judge(name, &found, &self.differing, &mut self.wrong);
        }
    }

    /// Puts what an answer holds in the place of a token of later requests.
    async fn bind(&mut self, token: &str, path: &str, pointer: &str) {
        let found = self.whole.get(path).await;
        self.ids.insert(token.to_owned(), found.pointer(pointer).and_then(Value::as_str).unwrap().to_owned());
    }

    /// Waits until a job has so many allocations that run and are healthy.
    async fn running(&self, job: &str, count: usize) {
        self.running_with(job, count, Some(true)).await;
    }

    async fn running_with(&self, job: &str, count: usize, health: Option<bool>) {
        let path = format!("/v1/job/{job}/allocations");
        let live = |alloc: &&Value| alloc["DesiredStatus"] == "run" && alloc["ClientStatus"] != "complete";
        let there = |allocs: &Value| allocs.as_array().unwrap().iter().filter(live).count() == count;
        self.whole.until(&path, there).await;
        self.whole.run_all(health).await;
        let running = |alloc: &Value| alloc["ClientStatus"] == "running" || alloc["DesiredStatus"] == "stop";
        self.whole.until(&path, |allocs| there(allocs) && allocs.as_array().unwrap().iter().all(running)).await;
    }

    async fn deployed(&self, job: &str) {
        self.whole.until(&format!("/v1/job/{job}/deployment"), |deployment| deployment["Status"] == "successful").await;
        self.whole.until(&format!("/v1/job/{job}"), |job| job["Stable"] == true).await;
        let over = |eval: &Value| eval["Status"] == "complete";
        self.whole.until(&format!("/v1/job/{job}/evaluations"), |evals| evals.as_array().unwrap().iter().all(over)).await;
    }

    async fn end(self) {
        self.whole.end().await;
        assert!(self.wrong.is_empty(), "{} differences:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

#[tokio::test]
async fn the_life_of_a_job_with_canaries_is_told_as_recorded() {
    let mut flow = Flow::begin().await;
    let mut first = flow.all["jobs/PUT-jobs-register-canary"].clone();
    first["request"]["body"]["Job"]["TaskGroups"][0]["Tasks"][0]["Env"] = Value::Null;
    assert_eq!(flow.whole.ask(&first, &BTreeMap::new()).await.0, 200);
    flow.running("colt", 2).await;
    flow.deployed("colt").await;
    flow.ask(&["jobs/PUT-job-job-id-plan-canary", "jobs/PUT-jobs-register-canary"]).await;
    flow.running("colt", 3).await;
    flow.whole.until("/v1/job/colt/deployment", |deployment| deployment["TaskGroups"]["run"]["HealthyAllocs"] == 1).await;
    flow.bind("<deployment-12>", "/v1/job/colt/deployment", "/ID").await;
    flow.ask(&[
        "deployments/GET-deployment-deployment-id-canary-healthy",
        "deployments/PUT-deployment-pause-deployment-id-ok",
        "deployments/GET-deployment-deployment-id-paused",
        "deployments/PUT-deployment-promote-deployment-id-while-paused",
        "deployments/PUT-deployment-pause-deployment-id-resume",
        "deployments/PUT-deployment-promote-deployment-id-unknown-group",
        "deployments/POST-deployment-promote-deployment-id-ok",
    ])
    .await;
    flow.running("colt", 2).await;
    flow.deployed("colt").await;
    flow.ask(&["deployments/GET-deployment-deployment-id-promoted-successful"]).await;
    flow.end().await;
}

#[tokio::test]
async fn the_life_of_a_service_is_told_as_recorded() {
    let mut flow = Flow::begin().await;
    flow.ask(&["jobs/PUT-jobs-register-unchanged"]).await;
    flow.running("weaver", 2).await;
    flow.deployed("weaver").await;
    flow.ask(&["jobs/PUT-jobs-register-unchanged", "jobs/PUT-job-job-id-scale-up"]).await;
    flow.running("weaver", 3).await;
    flow.deployed("weaver").await;
    flow.ask(&[
        "jobs/PUT-job-job-id-scale-event-only",
        "jobs/GET-job-job-id-scale-after-events",
        "jobs/PUT-job-job-id-stable-ok",
        "jobs/PUT-job-job-id-evaluate-ok",
        "jobs/PUT-job-job-id-evaluate-no-body",
        "jobs/PUT-job-job-id-revert-ok",
        "jobs/PUT-jobs-register-with-scaling",
    ])
    .await;
    flow.running("elastic", 1).await;
    flow.deployed("elastic").await;
    flow.ask(&["jobs/PUT-job-job-id-scale-above-max", "jobs/PUT-job-job-id-scale-below-min"]).await;
    flow.bind("<policy-1>", "/v1/scaling/policies", "/0/ID").await;
    flow.ask(&[
        "scaling/GET-scaling-policies-one",
        "scaling/GET-scaling-policies-job",
        "scaling/GET-scaling-policies-type",
        "scaling/GET-scaling-policies-type-unknown",
        "scaling/GET-scaling-policy-policy-id-ok",
        "jobs/PUT-job-job-id-versions-tag-name-tag-create",
        "jobs/PUT-job-job-id-versions-tag-name-tag-conflict-other-version",
        "jobs/POST-job-job-id-versions-tag-name-tag-create",
        "jobs/DELETE-job-job-id-versions-tag-name-tag-ok",
        "jobs/GET-jobs-statuses-filter-bad-selector",
        "search/PUT-search-fuzzy-context-jobs",
    ])
    .await;
    flow.end().await;
}

#[tokio::test]
async fn the_life_of_a_batch_job_is_told_as_recorded() {
    let mut flow = Flow::begin().await;
    flow.ask(&["jobs/PUT-jobs-register-periodic", "jobs/PUT-job-job-id-plan-periodic", "jobs/PUT-jobs-register-batch"]).await;
    flow.running("shear", 2).await;
    flow.whole.end_all(None).await;
    flow.whole.until("/v1/job/shear", |job| job["Status"] == "dead").await;
    let allocs = flow.whole.get("/v1/job/shear/allocations").await;
    let second = allocs.as_array().unwrap().iter().find(|alloc| alloc["Name"] == "shear.cut[1]").unwrap();
    flow.ids.insert("<alloc-6>".to_owned(), second["ID"].as_str().unwrap().to_owned());
    flow.ask(&[
        "jobs/GET-job-job-id-batch-dead",
        "jobs/GET-job-job-id-summary-batch-complete",
        "jobs/GET-job-job-id-allocations-batch",
        "allocations/GET-allocation-alloc-id-batch-complete",
    ])
    .await;
    flow.bind("<eval-14>", "/v1/job/shear/evaluations", "/0/ID").await;
    flow.bind("<eval-1>", "/v1/job/shear/evaluations", "/0/ID").await;
    flow.ask(&["evaluations/DELETE-evaluations-both", "evaluations/DELETE-evaluations-not-paused"]).await;
    let pause = json!({"request": {"method": "PUT", "path": "/v1/operator/scheduler/configuration", "body": {"PauseEvalBroker": true}}});
    assert_eq!(flow.whole.ask(&pause, &BTreeMap::new()).await.0, 200);
    flow.ask(&[
        "evaluations/DELETE-evaluations-filter-none",
        "evaluations/DELETE-evaluations-unknown-id",
        "evaluations/DELETE-evaluations-ids",
    ])
    .await;
    flow.end().await;
}

#[tokio::test]
async fn who_has_to_give_way_is_told_as_recorded() {
    let mut flow = Flow::begin().await;
    let all = json!({"SystemSchedulerEnabled": true, "ServiceSchedulerEnabled": true, "BatchSchedulerEnabled": true});
    let settings = json!({"request": {"method": "PUT", "path": "/v1/operator/scheduler/configuration", "body": {"PreemptionConfig": all}}});
    assert_eq!(flow.whole.ask(&settings, &BTreeMap::new()).await.0, 200);
    // The node of the recording had more memory.
    for record in flow.all.values_mut() {
        *record = serde_json::from_str(&record.to_string().replace("13257", "3000").replace("14463", "3000")).unwrap();
    }
    flow.ask(&["jobs/PUT-jobs-register-low-priority"]).await;
    flow.running_with("lowly", 1, None).await;
    flow.bind("<alloc-21>", "/v1/job/lowly/allocations", "/0/ID").await;
    flow.ask(&["jobs/PUT-job-job-id-plan-preemption", "jobs/PUT-jobs-register-high-priority"]).await;
    flow.whole.until("/v1/job/lowly/allocations", |allocs| allocs[0]["DesiredStatus"] == "evict").await;
    flow.whole.end_all(Some(false)).await;
    flow.running_with("lofty", 1, None).await;
    flow.bind("<alloc-22>", "/v1/job/lofty/allocations", "/0/ID").await;
    flow.ask(&[
        "allocations/GET-allocation-alloc-id-preempting",
        "allocations/GET-allocation-alloc-id-preempted",
        "jobs/DELETE-job-job-id-stop-service",
        "jobs/GET-job-job-id-stopped",
    ])
    .await;
    flow.end().await;
}

#[tokio::test]
async fn the_life_of_a_node_is_told_as_recorded() {
    let mut flow = Flow::begin().await;
    flow.ask(&[
        "nodes/PUT-node-node-id-eligibility-bad-value",
        "nodes/PUT-node-node-id-eligibility-empty",
        "nodes/PUT-node-node-id-eligibility-id-mismatch",
        "nodes/PUT-node-node-id-eligibility-ineligible",
        "nodes/GET-node-node-id-ineligible",
        "nodes/POST-node-node-id-eligibility-eligible",
        "nodes/PUT-node-node-id-evaluate-ok",
    ])
    .await;
    flow.end().await;
}
