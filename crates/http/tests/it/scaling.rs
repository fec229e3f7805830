//! Scaling of jobs by the API: what is done, what is refused, and what policies there are.

use std::collections::BTreeMap;

use drover_macros::proves;
use drover_raft::Storage;
use drover_server::{AclConfig, Config};
use serde_json::{Value, json};

use crate::agent::Whole;

/// Asks and returns status and answer; text that is no JSON comes as a JSON text.
async fn ask(whole: &Whole, secret: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let record = json!({"request": {"method": method, "path": path, "headers": {"X-Nomad-Token": secret}, "body": body}});
    let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

/// The same without a token.
async fn open(whole: &Whole, method: &str, path: &str, body: Value) -> (u16, Value) {
    ask(whole, "", method, path, &body).await
}

fn job(id: &str, kind: &str, group: Value) -> Value {
    let mut spec = json!({"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {}}]});
    spec.as_object_mut().unwrap().extend(group.as_object().unwrap().clone());
    json!({"ID": id, "Name": id, "Type": kind, "Datacenters": ["*"], "Update": {"MaxParallel": 0}, "TaskGroups": [spec]})
}

async fn register(whole: &Whole, job: &Value) {
    let (status, answer) = open(whole, "PUT", "/v1/jobs", json!({"Job": job})).await;
    assert_eq!(status, 200, "{answer}");
}

fn target(count: Option<i64>) -> Value {
    json!({"Target": {"Group": "g"}, "Count": count, "Message": "more is better", "Meta": {"seen": 3}})
}

#[proves("SCL-001", "SCL-004", "SCL-010")]
#[tokio::test]
async fn scaling_makes_a_version_and_an_evaluation_or_only_an_event() {
    let whole = Whole::start().await;
    whole.add_node().await;
    register(&whole, &job("web", "service", json!({"Count": 1}))).await;
    let (_, before) = open(&whole, "GET", "/v1/job/web", Value::Null).await;
    // Without a count nothing but the event.
    let mut note = target(None);
    note["Error"] = json!(true);
    let (status, answer) = open(&whole, "PUT", "/v1/job/web/scale", note).await;
    assert_eq!((status, &answer["EvalID"]), (200, &json!("")));
    let (_, noted) = open(&whole, "GET", "/v1/job/web", Value::Null).await;
    assert_eq!((&noted["Version"], &noted["TaskGroups"][0]["Count"]), (&before["Version"], &json!(1)));
    let (_, status) = open(&whole, "GET", "/v1/job/web/scale", Value::Null).await;
    let event = &status["TaskGroups"]["g"]["Events"][0];
    let shown = (&event["Error"], &event["Count"], &event["PreviousCount"], &event["Message"], &event["Meta"]["seen"], &event["EvalID"]);
    assert_eq!(shown, (&json!(true), &Value::Null, &json!(1), &json!("more is better"), &json!(3), &Value::Null));
    // With one, a version and an evaluation.
    let (status, answer) = open(&whole, "PUT", "/v1/job/web/scale", target(Some(3))).await;
    assert_eq!(status, 200, "{answer}");
    let (_, scaled) = open(&whole, "GET", "/v1/job/web", Value::Null).await;
    assert_eq!((scaled["Version"].as_u64(), &scaled["TaskGroups"][0]["Count"]), (before["Version"].as_u64().map(|old| old + 1), &json!(3)));
    let eval = answer["EvalID"].as_str().unwrap().to_owned();
    let (_, made) = open(&whole, "GET", &format!("/v1/evaluation/{eval}"), Value::Null).await;
    assert_eq!(made["TriggeredBy"], "job-scaling");
    whole.until("/v1/job/web/allocations", |allocs| allocs.as_array().is_some_and(|list| list.len() == 3)).await;
    whole.run_all(Some(true)).await;
    let status = whole.until("/v1/job/web/scale", |status| status["TaskGroups"]["g"]["Running"] == 3).await;
    let group = &status["TaskGroups"]["g"];
    assert_eq!((&group["Desired"], &group["Placed"], &group["Unhealthy"]), (&json!(3), &json!(3), &json!(0)));
    assert!(group["Healthy"].is_number(), "{group}");
    let event = &group["Events"][0];
    assert_eq!((&event["Count"], &event["PreviousCount"], &event["EvalID"]), (&json!(3), &json!(1), &json!(eval)));
    // The newest twenty events of a group are kept.
    for number in 0..25 {
        let mut note = target(None);
        note["Message"] = json!(format!("note {number}"));
        assert_eq!(open(&whole, "PUT", "/v1/job/web/scale", note).await.0, 200);
    }
    let (_, status) = open(&whole, "GET", "/v1/job/web/scale", Value::Null).await;
    let events = status["TaskGroups"]["g"]["Events"].as_array().unwrap();
    assert_eq!((events.len(), &events[0]["Message"], &events[19]["Message"]), (20, &json!("note 24"), &json!("note 5")));
    whole.end().await;
}

#[proves("SCL-002", "SCL-003", "SCL-007")]
#[tokio::test]
async fn counts_out_of_bounds_missing_groups_and_busy_jobs_are_refused() {
    let whole = Whole::with(Config { job_max_count: 50, ..Config::new(Storage::Memory) }).await;
    whole.add_node().await;
    let policy = |min: i64, max: i64| json!({"Scaling": {"Min": min, "Max": max, "Enabled": true}});
    register(&whole, &job("elastic", "service", policy(2, 4))).await;
    // Without a count the group starts at the policy's least.
    assert_eq!(open(&whole, "GET", "/v1/job/elastic", Value::Null).await.1["TaskGroups"][0]["Count"], 2);
    for (group, wanted) in [
        (json!({"Count": 1, "Scaling": {"Min": 2, "Max": 4}}), "count"),
        (json!({"Count": 5, "Scaling": {"Min": 2, "Max": 4}}), "count"),
        (policy(4, 2), "maximum"),
        (json!({"Count": 51}), "job_max_count: 51 > 50"),
    ] {
        let (status, answer) = open(&whole, "PUT", "/v1/jobs", json!({"Job": job("bad", "service", group.clone())})).await;
        assert!(status >= 400 && answer.to_string().contains(wanted), "{group}: {status} {answer}");
    }
    register(&whole, &job("everywhere", "system", json!({}))).await;
    register(&whole, &job("free", "service", json!({"Count": 1}))).await;
    let mut elsewhere = target(Some(3));
    elsewhere["Target"]["Group"] = json!("nowhere");
    let mut nothing = target(Some(3));
    nothing["Target"] = json!({});
    let mut another = target(Some(3));
    another["Target"]["Job"] = json!("another");
    let mut both = target(Some(3));
    both["Error"] = json!(true);
    for (path, body, status, wanted) in [
        ("elastic", target(Some(5)), 400, "greater than scaling policy maximum: 5 > 4"),
        ("elastic", target(Some(1)), 400, "less than scaling policy minimum: 1 < 2"),
        ("everywhere", target(Some(2)), 400, "can only be scaled between 0 and 1"),
        ("free", target(Some(51)), 400, "job_max_count: 51 > 50"),
        ("free", target(Some(-1)), 400, "can't be negative"),
        ("free", elsewhere, 400, "does not exist in job"),
        ("free", nothing, 400, "missing task group name"),
        ("free", another, 400, "did not match URL"),
        ("free", both, 400, "should not contain count if error"),
        ("missing", target(Some(1)), 404, "job \"missing\" not found"),
    ] {
        let (found, answer) = open(&whole, "PUT", &format!("/v1/job/{path}/scale"), body.clone()).await;
        assert!(found == status && answer.to_string().replace("\\\"", "\"").contains(wanted), "{path} {body}: {found} {answer}");
    }
    // An index that is not the job's any more.
    let mut stale = target(Some(2));
    stale["JobModifyIndex"] = json!(1);
    let (status, answer) = open(&whole, "PUT", "/v1/job/free/scale", stale).await;
    assert!(status == 500 && answer.to_string().contains("Enforcing job modify index 1"), "{status} {answer}");
    let (_, now) = open(&whole, "GET", "/v1/job/free", Value::Null).await;
    let mut fresh = target(Some(2));
    fresh["JobModifyIndex"] = now["JobModifyIndex"].clone();
    assert_eq!(open(&whole, "PUT", "/v1/job/free/scale", fresh).await.0, 200);
    // While the job's own deployment is on its way, no.
    let mut rolling = job("rolling", "service", json!({"Count": 1}));
    rolling["Update"] = json!({"MaxParallel": 1, "MinHealthyTime": 1_000_000_000, "HealthyDeadline": 300_000_000_000_u64, "ProgressDeadline": 600_000_000_000_u64, "HealthCheck": "checks"});
    register(&whole, &rolling).await;
    whole.until("/v1/job/rolling/deployment", |deployment| deployment["Status"] == "running").await;
    let (status, answer) = open(&whole, "PUT", "/v1/job/rolling/scale", target(Some(2))).await;
    assert_eq!((status, answer), (400, json!("job scaling blocked due to active deployment")));
    whole.end().await;
}

#[proves("SCL-005", "SCL-006", "SCL-008", "SCL-011")]
#[tokio::test]
async fn policies_stay_with_their_job_and_counts_with_their_groups() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let tasks = json!([{"Name": "t", "Driver": "mock_driver", "Config": {}, "ScalingPolicies": [
        {"Type": "vertical_cpu", "Min": 100, "Max": 1000, "Policy": {}, "Enabled": true},
        {"Type": "vertical_mem", "Min": 64, "Max": 512, "Policy": {}, "Enabled": true}]}]);
    let elastic = job("elastic", "service", json!({"Scaling": {"Min": 0, "Max": 4, "Enabled": true}, "Count": 2, "Tasks": tasks}));
    register(&whole, &elastic).await;
    let policies = async || {
        let (_, list) = open(&whole, "GET", "/v1/scaling/policies", Value::Null).await;
        let mut found: Vec<(String, String)> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|policy| (policy["Type"].as_str().unwrap().to_owned(), policy["ID"].as_str().unwrap().to_owned()))
            .collect();
        found.sort();
        found
    };
    let first = policies().await;
    assert_eq!(first.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["horizontal", "vertical_cpu", "vertical_mem"]);
    // An update keeps what policies are known by.
    let mut changed = elastic.clone();
    changed["TaskGroups"][0]["Scaling"]["Max"] = json!(9);
    register(&whole, &changed).await;
    assert_eq!(policies().await, first);
    let (_, read) = open(&whole, "GET", &format!("/v1/scaling/policy/{}", first[0].1), Value::Null).await;
    assert_eq!((&read["Max"], &read["Target"]["Group"]), (&json!(9), &json!("g")));
    // Counts and resources that somebody else set are kept when asked for.
    whole.until("/v1/job/elastic/allocations", |allocs| allocs.as_array().is_some_and(|list| list.len() == 2)).await;
    assert_eq!(open(&whole, "PUT", "/v1/job/elastic/scale", target(Some(3))).await.0, 200);
    let mut other = changed.clone();
    other["TaskGroups"][0]["Count"] = json!(1);
    other["TaskGroups"][0]["Tasks"][0]["Resources"] = json!({"CPU": 777, "MemoryMB": 99});
    let (status, answer) = open(&whole, "PUT", "/v1/jobs", json!({"Job": other, "PreserveCounts": true, "PreserveResources": true})).await;
    assert_eq!(status, 200, "{answer}");
    let (_, kept) = open(&whole, "GET", "/v1/job/elastic", Value::Null).await;
    let group = &kept["TaskGroups"][0];
    assert_eq!((&group["Count"], &group["Tasks"][0]["Resources"]["CPU"]), (&json!(3), &json!(100)));
    register(&whole, &other).await;
    let (_, taken) = open(&whole, "GET", "/v1/job/elastic", Value::Null).await;
    let group = &taken["TaskGroups"][0];
    assert_eq!((&group["Count"], &group["Tasks"][0]["Resources"]["CPU"]), (&json!(1), &json!(777)));
    // Scaled to nothing the job stays; stopped it has no policies, started again it has.
    assert_eq!(open(&whole, "PUT", "/v1/job/elastic/scale", target(Some(0))).await.0, 200);
    whole
        .until("/v1/job/elastic/allocations", |allocs| allocs.as_array().unwrap().iter().all(|alloc| alloc["DesiredStatus"] == "stop"))
        .await;
    assert_eq!(open(&whole, "GET", "/v1/job/elastic", Value::Null).await.1["Stop"], false);
    assert_eq!(policies().await, first);
    assert_eq!(open(&whole, "DELETE", "/v1/job/elastic", Value::Null).await.0, 200);
    assert_eq!(policies().await, []);
    register(&whole, &elastic).await;
    assert_eq!(policies().await, first);
    // Without the block there is no policy.
    register(&whole, &job("elastic", "service", json!({"Count": 1}))).await;
    assert_eq!(policies().await, []);
    // Children of a job have none of their own.
    let mut parent = job("letters", "batch", json!({"Scaling": {"Min": 0, "Max": 4, "Enabled": true}, "Count": 1}));
    parent["ParameterizedJob"] = json!({});
    parent.as_object_mut().unwrap().remove("Update");
    register(&whole, &parent).await;
    let (status, answer) = open(&whole, "PUT", "/v1/job/letters/dispatch", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let (_, list) = open(&whole, "GET", "/v1/scaling/policies", Value::Null).await;
    assert!(list.as_array().unwrap().iter().all(|policy| policy["Target"]["Job"] == "letters"), "{list}");
    assert_eq!(list.as_array().unwrap().len(), 1);
    whole.end().await;
}

#[proves("SCL-009")]
#[tokio::test]
async fn policies_are_read_with_scaling_capabilities_and_found_by_job_and_type() {
    let acl = AclConfig { enabled: true, ..AclConfig::default() };
    let whole = Whole::with(Config { acl, ..Config::new(Storage::Memory) }).await;
    let root = whole.server.acl_bootstrap("").await.unwrap().0.secret;
    for id in ["one", "two"] {
        let body = json!({"Job": job(id, "service", json!({"Scaling": {"Min": 0, "Max": 4, "Enabled": true}, "Count": 0}))});
        assert_eq!(ask(&whole, &root, "PUT", "/v1/jobs", &body).await.0, 200);
    }
    let mut secrets = BTreeMap::new();
    for (name, capability) in [("lists", "list-scaling-policies"), ("reads", "read-scaling-policy"), ("neither", "list-jobs")] {
        let rules = format!("namespace \"default\" {{ capabilities = [\"{capability}\"] }}");
        assert_eq!(ask(&whole, &root, "PUT", &format!("/v1/acl/policy/{name}"), &json!({"Name": name, "Rules": rules})).await.0, 200);
        let (_, token) = ask(&whole, &root, "PUT", "/v1/acl/token", &json!({"Name": name, "Type": "client", "Policies": [name]})).await;
        secrets.insert(name, token["SecretID"].as_str().unwrap().to_owned());
    }
    let (_, all) = ask(&whole, &root, "GET", "/v1/scaling/policies", &Value::Null).await;
    let id = all[0]["ID"].as_str().unwrap().to_owned();
    for (name, lists, reads) in [("lists", 200, 403), ("reads", 403, 200), ("neither", 403, 403)] {
        assert_eq!(ask(&whole, &secrets[name], "GET", "/v1/scaling/policies", &Value::Null).await.0, lists, "{name}");
        let (status, _) = ask(&whole, &secrets[name], "GET", &format!("/v1/scaling/policy/{id}"), &Value::Null).await;
        assert!(status == reads || reads == 403 && status == 404, "{name}: {status}");
    }
    for (query, count) in
        [("", 2), ("?job=one", 1), ("?job=none", 0), ("?type=horizontal", 2), ("?type=cluster", 0), ("?job=two&type=horizontal", 1)]
    {
        let (_, found) = ask(&whole, &root, "GET", &format!("/v1/scaling/policies{query}"), &Value::Null).await;
        assert_eq!(found.as_array().unwrap().len(), count, "{query}");
    }
    whole.end().await;
}
