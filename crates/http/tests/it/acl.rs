//! Access control over a whole server: recorded answers, and a walk over every route with every kind of caller.

use std::collections::BTreeMap;

use drover_http::Access;
use drover_macros::proves;
use drover_raft::Storage;
use drover_server::{AclConfig, Config};
use serde_json::{Value, json};

use crate::agent::{Whole, compared_with};

const ACL: &str = include_str!("../../../../testdata/golden/http-acl.jsonl");
const FORBIDDEN: &str = include_str!("../../../../testdata/golden/http-forbidden.jsonl");

fn config() -> Config {
    Config { acl: AclConfig { enabled: true, ..AclConfig::default() }, ..Config::new(Storage::Memory) }
}

fn lines(packed: &str) -> Vec<Value> {
    packed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Learns what ids of an answer the tokens of the record stand for.
fn learn(recorded: &Value, answered: &Value, ids: &mut BTreeMap<String, String>) {
    match (recorded, answered) {
        (Value::String(token), Value::String(text)) if token.starts_with('<') && token.ends_with('>') => {
            ids.insert(token.clone(), text.clone());
        }
        (Value::String(token), Value::Number(number)) if token.starts_with("<int:index") => {
            ids.insert(token.replacen("int:", "", 1), number.to_string());
        }
        (Value::Object(recorded), Value::Object(answered)) => {
            for (key, value) in recorded {
                learn(value, &answered[key], ids);
            }
        }
        _ => {}
    }
}

/// Texts of our own, or what the recording had beside.
const DIFFERENT: &[&str] = &[
    // Digests are our own.
    "Hash",
    // The time of the recording stands in the list of tokens that only the bootstrap token is on.
    "next_token",
];

#[proves("ACL-003", "ACL-005", "ACL-006", "ACL-010", "ACL-031", "ACL-032", "ACL-035", "ACL-036")]
#[tokio::test]
async fn access_control_is_told_as_recorded() {
    let whole = Whole::with(config()).await;
    let mut ids = BTreeMap::new();
    let mut wrong = Vec::new();
    for record in lines(ACL) {
        let name = record["name"].as_str().unwrap();
        let answer = whole.ask(&record, &ids).await;
        let body: Value = serde_json::from_str(&answer.2).unwrap_or_default();
        if record["request"]["method"] != "GET" {
            learn(&record["response"]["body"], &body, &mut ids);
        }
        // Indexes of the recording are not those of this run.
        let mut record = record.clone();
        if let Some(text) = record["response"]["body"].as_str().filter(|text| text.contains("reset index")) {
            record["response"]["body"] = json!(text.replace("<index-8>", &whole.server.snapshot().acl_bootstrap_index().to_string()));
        }
        for (token, id) in &ids {
            if let Some(text) = record["response"]["body"].as_str() {
                record["response"]["body"] = json!(text.replace(token, id));
            }
        }
        compared_with(name, &record, &answer, &mut wrong);
    }
    wrong.retain(|difference| !DIFFERENT.iter().any(|own| difference.contains(own)));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    whole.end().await;
}

const VARIABLES: &str = include_str!("../../../../testdata/golden/http-variables.jsonl");

#[proves(
    "VAR-001", "VAR-003", "VAR-004", "VAR-005", "VAR-006", "VAR-008", "VAR-014", "VAR-016", "VAR-017", "VAR-018", "VAR-019", "VAR-024",
    "KEY-003"
)]
#[tokio::test]
async fn variables_are_told_as_recorded() {
    let whole = Whole::with(Config { keyring: true, ..Config::new(Storage::Memory) }).await;
    // Indexes of the recording that this region does not have.
    let mut ids: BTreeMap<String, String> =
        [("<index-1>", "1"), ("<index-4>", "4")].map(|(token, id)| (token.to_owned(), id.to_owned())).into();
    let mut wrong = Vec::new();
    for mut record in lines(VARIABLES) {
        let name = record["name"].as_str().unwrap().to_owned();
        let answer = whole.ask(&record, &ids).await;
        let body: Value = serde_json::from_str(&answer.2).unwrap_or_default();
        learn(&record["response"]["body"], &body, &mut ids);
        if record["response"]["body"] == Value::Null {
            record["response"]["body"] = json!("");
        }
        compared_with(&name, &record, &answer, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    // More than 64 KiB is refused, and the same again changes nothing.
    let put =
        |path: &str, value: String| json!({"request": {"method": "PUT", "path": path, "headers": {}, "body": {"Items": {"a": value}}}});
    let (status, _, text) = whole.ask(&put("/v1/var/farm/big", "x".repeat(70_000)), &BTreeMap::new()).await;
    assert_eq!((status, text.as_str()), (400, "RPC Error:: 400,variables are limited to 64KiB in total size"));
    let first: Value = serde_json::from_str(&whole.ask(&put("/v1/var/farm/same", "x".into()), &BTreeMap::new()).await.2).unwrap();
    let again: Value = serde_json::from_str(&whole.ask(&put("/v1/var/farm/same", "x".into()), &BTreeMap::new()).await.2).unwrap();
    assert_eq!((&first["ModifyIndex"], &first["ModifyTime"]), (&again["ModifyIndex"], &again["ModifyTime"]));
    let other: Value = serde_json::from_str(&whole.ask(&put("/v1/var/farm/same", "y".into()), &BTreeMap::new()).await.2).unwrap();
    assert_eq!(first["CreateIndex"], other["CreateIndex"]);
    assert_ne!(first["ModifyIndex"], other["ModifyIndex"]);
    // What is stored tells nothing: neither the state nor its snapshot holds a value in clear.
    let (secret, snapshot) = ("the-blue-door-is-open", whole.server.snapshot());
    assert_eq!(whole.ask(&put("/v1/var/farm/secret", secret.into()), &BTreeMap::new()).await.0, 200);
    let bytes = drover_state::write_snapshot(&whole.server.snapshot());
    assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    assert_eq!(snapshot.root_keys().count(), 1);
    assert_eq!(whole.get("/v1/var/farm/secret").await["Items"]["a"], secret);
    whole.end().await;
}

/// Refusals with another text or status, each with the reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("agent/GET-agent-servers-forbidden", "the permission is looked at before the roles of the agent"),
    ("allocations/GET-allocation-alloc-id-forbidden", "the recorded allocation was gone; here a missing one is refused like any other"),
    ("client/GET-client-fs-cat-alloc-id-forbidden", "refused with a status, where upstream has begun to answer"),
    ("client/GET-client-fs-logs-alloc-id-forbidden", "refused with a status, where upstream has begun to answer"),
    ("client/GET-client-fs-readat-alloc-id-forbidden", "refused with a status, where upstream has begun to answer"),
    ("client/GET-client-fs-stream-alloc-id-forbidden", "refused with a status, where upstream has begun to answer"),
    ("client/GET-client-gc-forbidden", "the permission is looked at before the roles of the agent"),
    ("client/GET-client-stats-forbidden", "the permission is looked at before the roles of the agent"),
    ("deployments/POST-deployment-allocation-health-deployment-id-forbidden", "the permission is looked at before the body"),
    ("deployments/PUT-deployment-allocation-health-deployment-id-forbidden", "the permission is looked at before the body"),
    ("jobs/GET-job-job-id-action-forbidden", "the permission is looked at before the protocol"),
    ("jobs/POST-job-job-id-versions-tag-name-tag-forbidden", "the route is not there yet"),
    ("jobs/PUT-job-job-id-versions-tag-name-tag-forbidden", "the route is not there yet"),
    ("client/GET-client-allocation-alloc-id-snapshot-forbidden", "not part of this version, which is said to everybody"),
    ("client/GET-client-identity-forbidden", "not part of this version, which is said to everybody"),
    ("operator/PUT-operator-snapshot-forbidden", "somebody who may not restore is told so, whatever the archive"),
];

#[proves("ACL-002", "ACL-005")]
#[tokio::test]
async fn callers_without_a_token_are_refused_as_recorded() {
    let whole = Whole::with(config()).await;
    let job = json!({"ID": "tender", "Name": "tender", "Datacenters": ["*"], "TaskGroups": [
        {"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {}}]}]});
    let request = serde_json::from_value(json!({ "Job": job })).unwrap();
    whole.add_node().await;
    whole.server.register_job(request, None).await.unwrap();
    let placed = async {
        loop {
            let snapshot = whole.server.snapshot();
            if let Some(alloc) = snapshot.allocs().next() {
                return (alloc.id.to_string(), alloc.eval_id.to_string());
            }
            whole.server.changed(snapshot.index()).await;
        }
    };
    let (alloc, eval) = placed.await;
    let deployment = whole.server.snapshot().deployments().next().map(|deployment| deployment.id.to_string());
    let ids = BTreeMap::from([
        ("<alloc-1>".to_owned(), alloc),
        ("<eval-1>".to_owned(), eval),
        ("<node-1>".to_owned(), whole.node.to_string()),
        ("<deployment-1>".to_owned(), deployment.unwrap_or_default()),
    ]);
    let (table, mut wrong, mut compared) = (drover_http::table(), Vec::new(), 0);
    for record in lines(FORBIDDEN) {
        let name = record["name"].as_str().unwrap();
        let path = record["request"]["path"].as_str().unwrap().split('?').next().unwrap();
        let method = record["request"]["method"].as_str().unwrap().parse().unwrap();
        if !matches!(table.find(&method, path), drover_http::route::Found::Route(..)) || OTHERWISE.iter().any(|(own, _)| *own == name) {
            continue;
        }
        compared += 1;
        compared_with(name, &record, &whole.ask(&record, &ids).await, &mut wrong);
    }
    assert!(compared > 100, "{compared} records");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    whole.end().await;
}

/// Who walks over the routes.
struct Walker {
    name: &'static str,
    secret: String,
    /// Whether a rule lets them pass: `None` where that depends on what they ask for.
    passes: fn(Access) -> Option<bool>,
}

/// A route that has a body or parameter to look at before anybody is refused answers 400 or 500 to an empty request.
fn is_refusal(status: u16) -> bool {
    status == 403
}

#[proves("ACL-001", "ACL-002", "ACL-005", "ACL-027")]
#[tokio::test]
async fn every_route_holds_every_kind_of_caller_to_its_rule() {
    let acl = AclConfig { enabled: true, token_min_ttl_ns: 1, ..AclConfig::default() };
    let whole = Whole::with(Config { acl, ..Config::new(Storage::Memory) }).await;
    let (root, _) = whole.server.acl_bootstrap("").await.unwrap();
    // One that could do everything, and whose time is over.
    let brief = json!({"Name": "brief", "Type": "management", "ExpirationTTL": "1ms"});
    let brief = whole.server.upsert_acl_token(serde_json::from_value(brief).unwrap()).await.unwrap().0.secret;
    let asked = || async { ask(&whole, &brief, "GET", "/v1/nodes", &Value::Null).await.0 };
    let over = async {
        while asked().await != 403 {
            whole.clock.sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    whole.clock.timeout(std::time::Duration::from_secs(20), over).await.expect("the token expires");
    let token = |policy: &'static str| {
        let whole = &whole;
        async move {
            let name = format!("p{}", policy.len());
            let policy = json!({"Name": name, "Rules": policy});
            whole.server.upsert_acl_policy(serde_json::from_value(policy).unwrap()).await.unwrap();
            let token = json!({"Name": name, "Type": "client", "Policies": [name]});
            whole.server.upsert_acl_token(serde_json::from_value(token).unwrap()).await.unwrap().0.secret
        }
    };
    // The allowed ones are compared by their rule; a route with a body gets an empty one and refuses that, but not with 403.
    let read = token("namespace \"default\" { policy = \"read\" }\nnode { policy = \"read\" }\nagent { policy = \"read\" }\noperator { policy = \"read\" }\nnode_pool \"*\" { policy = \"read\" }").await;
    let walkers = [
        Walker {
            name: "no token",
            secret: String::new(),
            passes: |rule| match rule {
                Access::Public => Some(true),
                Access::Filtered => None,
                _ => Some(false),
            },
        },
        Walker {
            name: "wrong namespace",
            secret: token("namespace \"other\" { policy = \"write\" }").await,
            passes: |rule| match rule {
                Access::Public => Some(true),
                Access::Filtered => None,
                _ => Some(false),
            },
        },
        Walker {
            name: "read-only",
            secret: read,
            passes: |rule| match rule {
                Access::Public | Access::NodeRead | Access::AgentRead | Access::OperatorRead | Access::NodePoolRead => Some(true),
                Access::Namespace(capability) | Access::Listing(capability) => {
                    use drover_http::Capability::{
                        CsiListVolume, CsiReadVolume, HostVolumeRead, ListJobs, ListScalingPolicies, ParseJob, ReadJob, ReadJobScaling,
                        ReadScalingPolicy,
                    };
                    let jobs =
                        matches!(capability, ListJobs | ListScalingPolicies | ParseJob | ReadJob | ReadJobScaling | ReadScalingPolicy);
                    Some(jobs || matches!(capability, CsiListVolume | CsiReadVolume | HostVolumeRead))
                }
                Access::Filtered | Access::AnyToken | Access::Variable(_) => None,
                _ => Some(false),
            },
        },
        Walker {
            name: "node",
            secret: token("node { policy = \"write\" }").await,
            passes: |rule| match rule {
                Access::Public | Access::NodeRead | Access::NodeWrite => Some(true),
                Access::Filtered | Access::AnyToken => None,
                _ => Some(false),
            },
        },
        Walker { name: "unknown", secret: "00000000-0000-0000-0000-000000000000".to_owned(), passes: |rule| Some(rule == Access::Public) },
        Walker { name: "expired", secret: brief.clone(), passes: |rule| Some(rule == Access::Public) },
        Walker { name: "management", secret: root.secret.clone(), passes: |_| Some(true) },
    ];
    let mut wrong = Vec::new();
    let table = drover_http::table();
    for route in table.routes() {
        let methods = super::hostile::methods(route.methods);
        // What never ends, or ends the agent, is not walked by those who may.
        let endless = ["/v1/event/stream", "/v1/agent/monitor"].contains(&route.pattern);
        let path: String = route
            .pattern
            .split('/')
            .map(|part| match part.strip_prefix('{') {
                Some("pool}") => "default",
                Some(_) => "00000000-0000-0000-0000-000000000000",
                None => part,
            })
            .collect::<Vec<_>>()
            .join("/");
        for walker in &walkers {
            let passes = (walker.passes)(route.access);
            if endless && passes != Some(false) || route.pattern == "/v1/acl/bootstrap" {
                continue;
            }
            for method in methods {
                // Another route of the same path answers some methods of one that answers all.
                let parsed = method.parse().unwrap();
                let answers = table.find(&parsed, &path);
                if matches!(answers, drover_http::route::Found::Route(found, _) if !std::ptr::eq(found, route)) {
                    continue;
                }
                let record =
                    json!({"request": {"method": method, "path": path, "headers": {"X-Nomad-Token": walker.secret}, "body": "{}"}});
                let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
                let what = format!("{} {} as {} ({:?}): {status} {text}", method, route.pattern, walker.name, route.access);
                assert!(!text.contains("not checked against the access rules"), "{what}");
                match passes {
                    // A route that looks at the request first may find it wrong before it finds it forbidden, but never does it.
                    Some(false) if route.late && (400..=501).contains(&status) => {}
                    // A stream has begun when it is refused: it ends at once, and tells nothing.
                    Some(false) if route.refuses_late && status == 200 && text.is_empty() => {}
                    Some(false) if !is_refusal(status) => wrong.push(what),
                    Some(true) if is_refusal(status) && route.pattern != "/v1/acl/token/onetime/exchange" => wrong.push(what),
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} routes:\n{}", wrong.len(), wrong.join("\n"));
    // ACL-001: without ACLs all of that is open, and there is nothing to manage.
    let open = Whole::start().await;
    assert_eq!(open.get("/v1/jobs").await, json!([]));
    let record = json!({"request": {"method": "GET", "path": "/v1/acl/tokens", "headers": {}}});
    assert_eq!(open.ask(&record, &BTreeMap::new()).await.2, "ACL support disabled");
    open.end().await;
    whole.end().await;
}

/// Asks with a token and returns status and text.
async fn ask(whole: &Whole, secret: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
    let record = json!({"request": {"method": method, "path": path, "headers": {"X-Nomad-Token": secret}, "body": body.to_string()}});
    let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
    (status, text)
}

/// A token with these rules.
async fn holder(whole: &Whole, name: &str, rules: &str) -> String {
    let policy = json!({"Name": name, "Rules": rules});
    whole.server.upsert_acl_policy(serde_json::from_value(policy).unwrap()).await.unwrap();
    let token = json!({"Name": name, "Type": "client", "Policies": [name]});
    whole.server.upsert_acl_token(serde_json::from_value(token).unwrap()).await.unwrap().0.secret
}

fn named_job(id: &str, namespace: &str) -> Value {
    json!({"Job": {"ID": id, "Name": id, "Namespace": namespace, "Datacenters": ["*"], "TaskGroups": [
        {"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {}}]}]}})
}

#[proves("ACL-005", "ACL-006", "ACL-021", "ACL-027", "ACL-030")]
#[tokio::test]
async fn callers_see_and_do_what_they_may_and_nothing_tells_of_the_rest() {
    let whole = Whole::with(config()).await;
    let (root, _) = whole.server.acl_bootstrap("").await.unwrap();
    for name in ["byre", "fold"] {
        let namespace = drover_model::Namespace { name: name.to_owned(), ..drover_model::Namespace::default() };
        whole.server.upsert_namespace(namespace).await.unwrap();
    }
    let byre = holder(&whole, "byre", "namespace \"byre\" { policy = \"write\" }").await;
    whole.add_node().await;
    // The namespace that counts is the one that the job would be in, wherever it is said.
    for (id, namespace) in [("cow", "byre"), ("sheep", "fold")] {
        assert_eq!(ask(&whole, &root.secret, "PUT", "/v1/jobs", &named_job(id, namespace)).await.0, 200);
    }
    assert_eq!(ask(&whole, &byre, "PUT", "/v1/jobs", &named_job("calf", "byre")).await.0, 200);
    assert_eq!(ask(&whole, &byre, "PUT", "/v1/jobs?namespace=byre", &named_job("calf", "fold")).await.0, 200);
    assert_eq!(ask(&whole, &byre, "PUT", "/v1/jobs", &named_job("lamb", "fold")).await.0, 403);
    assert_eq!(ask(&whole, &byre, "PUT", "/v1/jobs?namespace=fold", &named_job("lamb", "byre")).await.0, 403);
    let names = |text: &str, field: &str| -> Vec<String> {
        let list: Vec<Value> = serde_json::from_str(text).unwrap();
        list.iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
    };
    let (_, jobs) = ask(&whole, &byre, "GET", "/v1/jobs?namespace=*", &Value::Null).await;
    assert_eq!(names(&jobs, "ID"), ["calf", "cow"]);
    let (_, namespaces) = ask(&whole, &byre, "GET", "/v1/namespaces", &Value::Null).await;
    assert_eq!(names(&namespaces, "Name"), ["byre"]);
    assert_eq!(ask(&whole, "", "GET", "/v1/jobs?namespace=*", &Value::Null).await, (200, "[]".to_owned()));
    // An id of somewhere else is like one that nothing has.
    let elsewhere = whole.server.snapshot().evals().find(|eval| eval.job_id.namespace == "fold").unwrap().id.to_string();
    let nothing = "00000000-0000-4000-8000-000000000000";
    for path in ["/v1/evaluation/ID", "/v1/evaluation/ID/allocations"] {
        let asked = async |id: &str| {
            let path = format!("{}?namespace=byre", path.replace("ID", id));
            let (status, text) = ask(&whole, &byre, "GET", &path, &Value::Null).await;
            (status, text.replace(id, "ID"))
        };
        assert_eq!(asked(&elsewhere).await, asked(nothing).await, "{path}");
    }
    assert_eq!(ask(&whole, &byre, "GET", &format!("/v1/evaluation/{elsewhere}"), &Value::Null).await.0, 403);
    // Lists of tokens hold no secrets, and a token is shown with its secret to its holder and to managers alone.
    let (_, tokens) = ask(&whole, &root.secret, "GET", "/v1/acl/tokens", &Value::Null).await;
    assert!(!tokens.contains(&root.secret) && !tokens.contains(&byre) && tokens.contains(&root.accessor));
    let (status, own) = ask(&whole, &byre, "GET", "/v1/acl/token/self", &Value::Null).await;
    assert!(status == 200 && own.contains(&byre));
    assert_eq!(ask(&whole, &byre, "GET", &format!("/v1/acl/token/{}", root.accessor), &Value::Null).await.0, 403);
    // While registration is off, managers alone register.
    let settings = json!({"RejectJobRegistration": true});
    assert_eq!(ask(&whole, &root.secret, "PUT", "/v1/operator/scheduler/configuration", &settings).await.0, 200);
    let (status, text) = ask(&whole, &byre, "PUT", "/v1/jobs", &named_job("bull", "byre")).await;
    assert_eq!((status, text.as_str()), (403, "Job registration, dispatch, and scale are disabled by the scheduler configuration"));
    assert_eq!(ask(&whole, &root.secret, "PUT", "/v1/jobs", &named_job("bull", "byre")).await.0, 200);
    whole.end().await;
}

#[proves("VAR-005", "VAR-008", "VAR-009")]
#[tokio::test]
async fn variables_are_shown_to_those_who_may_read_them() {
    let whole = Whole::with(Config { keyring: true, ..config() }).await;
    let (root, _) = whole.server.acl_bootstrap("").await.unwrap();
    let rules = "namespace \"default\" { variables {\n path \"farm/*\" { capabilities = [\"list\", \"write\"] }\n \
                 path \"farm/open\" { capabilities = [\"read\"] }\n path \"farm/deep\" { capabilities = [\"deny\"] } } }";
    let lister = holder(&whole, "lister", rules).await;
    for path in ["farm/open", "farm/shut", "farm/deep", "other"] {
        let body = json!({"Items": {"key": "hush"}});
        assert_eq!(ask(&whole, &root.secret, "PUT", &format!("/v1/var/{path}"), &body).await.0, 200);
    }
    let (_, listed) = ask(&whole, &lister, "GET", "/v1/vars?namespace=*", &Value::Null).await;
    let paths: Vec<Value> = serde_json::from_str::<Vec<Value>>(&listed).unwrap().iter().map(|one| one["Path"].clone()).collect();
    assert_eq!(paths, ["farm/open", "farm/shut"]);
    assert!(!listed.contains("hush"));
    assert_eq!(ask(&whole, &lister, "GET", "/v1/var/farm/open", &Value::Null).await.0, 200);
    for path in ["farm/shut", "farm/deep", "other", "nothing"] {
        assert_eq!(ask(&whole, &lister, "GET", &format!("/v1/var/{path}"), &Value::Null).await.0, 403, "{path}");
    }
    // A conflict shows what is there to those who may read it.
    let (status, text) = ask(&whole, &lister, "PUT", "/v1/var/farm/shut?cas=0", &json!({"Items": {"a": "b"}})).await;
    assert!(status == 409 && text.contains("farm/shut") && !text.contains("hush"), "{text}");
    let (status, text) = ask(&whole, &root.secret, "PUT", "/v1/var/farm/shut?cas=0", &json!({"Items": {"a": "b"}})).await;
    assert!(status == 409 && text.contains("hush"), "{text}");
    assert_eq!(ask(&whole, &lister, "DELETE", "/v1/var/farm/shut", &Value::Null).await.0, 403);
    whole.end().await;
}

/// Each route of the ledger with what it says about access.
const RULES: &str = include_str!("../../../../testdata/golden/http-access.tsv");

/// A pattern without the names of its parameters.
fn shape(pattern: &str) -> String {
    pattern.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// Rights that consist of one rule.
fn alone(rules: &str) -> drover_http::access::Rights {
    drover_http::access::Rights::of([&drover_model::acl::parse_rules(rules).unwrap()])
}

/// The text without what stands in brackets, and up to the first semicolon.
fn main_part(text: &str) -> String {
    let mut depth = 0;
    let kept = text.split(';').next().unwrap_or("").chars().filter(|letter| {
        depth += i32::from(*letter == '(');
        let kept = depth == 0;
        depth -= i32::from(*letter == ')');
        kept
    });
    kept.collect()
}

#[proves("ACL-014", "ACL-015", "ACL-017", "ACL-019", "ACL-020")]
#[test]
fn the_rule_of_every_route_is_the_one_that_the_ledger_gives() {
    use drover_http::Capability;
    let table = drover_http::table();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for row in RULES.lines() {
        let [method, pattern, text] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let Ok(parsed) = method.parse::<http::Method>() else { continue };
        let Some(route) = table.routes().iter().find(|route| shape(route.pattern) == shape(pattern) && route.answers(&parsed)) else {
            continue;
        };
        if route.unsupported.is_some() {
            continue;
        }
        // Two capabilities together are checked by the handler.
        // Capabilities of volumes include one another and others name editions; the ledger leaves that out.
        let absent = ["/v1/volume", "/v1/recommendations", "/v1/sentinel"].iter().any(|start| pattern.starts_with(start));
        if text.contains("together with") || method == "OPTIONS" || absent {
            continue;
        }
        let rule = route.access;
        let passes = |rules: &str| rule.allows(&alone(rules), "default", "default");
        let kind = text.split([':', ' ', ',', ';']).next().unwrap_or("");
        let level = main_part(text);
        let fits = match kind {
            "none" => rule == Access::Public,
            "same" => rule == Access::Namespace(Capability::RegisterJob),
            "management" if text == "management" => rule == Access::Management,
            "namespace" => {
                let words: Vec<&str> = level.split([':', ' ', ',']).collect();
                let differs = |one: &&Capability| {
                    let rules = format!("namespace \"default\" {{ capabilities = [\"{}\"] }}", one.text());
                    **one != Capability::Deny && passes(&rules) != words.contains(&one.text())
                };
                let differing: Vec<_> = Capability::ALL.iter().filter(differs).map(|one| one.text()).collect();
                if !differing.is_empty() {
                    wrong.push(format!("{method} {pattern}: {text}: {rule:?} differs for {differing:?}"));
                }
                true
            }
            "node_pool" => ["read", "write", "delete"].iter().all(|one| {
                passes(&format!("node_pool \"default\" {{ capabilities = [\"{one}\"] }}")) == text.starts_with(&format!("node_pool:{one}"))
                    || rule == Access::Filtered
            }),
            "node" | "agent" | "operator" => {
                let of = |level: &str| passes(&format!("{kind} {{ policy = \"{level}\" }}"));
                let reads = text.starts_with(&format!("{kind}:read"));
                of("read") == reads && of("write") && !passes("") || rule == Access::Public && text.starts_with("none")
            }
            _ => matches!(rule, Access::Filtered | Access::Variable(_) | Access::AnyToken | Access::Operator(_)),
        };
        compared += 1;
        if !fits {
            wrong.push(format!("{method} {pattern}: {text}: {rule:?}"));
        }
    }
    assert!(compared > 120, "{compared} rows");
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[proves("ACL-024")]
#[tokio::test]
async fn namespaces_have_names_and_descriptions_of_a_bounded_form() {
    let whole = Whole::start().await;
    let put = async |name: &str, description: &str| {
        let body = json!({"Name": name, "Description": description});
        ask(&whole, "", "PUT", "/v1/namespace", &body).await
    };
    for name in ["a", "Api-2", "-", &"n".repeat(128)] {
        assert_eq!(put(name, &"d".repeat(256)).await.0, 200, "{name}");
    }
    for name in ["", "a b", "a_b", "a.b", "a/b", "\u{e4}", "*", &"n".repeat(129)] {
        let (status, text) = put(name, "").await;
        assert!((400..=500).contains(&status) && (name.is_empty() || text.contains("invalid name")), "{name}: {status} {text}");
    }
    let (status, text) = put("long", &"d".repeat(257)).await;
    assert!(status >= 400 && text.contains("description longer than 256"), "{status} {text}");
    whole.end().await;
}

#[proves("ACL-029")]
#[tokio::test]
async fn jobs_mount_what_their_submitters_may_mount() {
    let whole = Whole::with(config()).await;
    whole.server.acl_bootstrap("").await.unwrap();
    let write = "namespace \"default\" { policy = \"write\" }\n";
    let mut secrets = BTreeMap::new();
    for (name, rules) in [
        ("plain", "namespace \"default\" { capabilities = [\"submit-job\"] }".to_owned()),
        ("readonly", format!("{write}host_volume \"hay*\" {{ policy = \"read\" }}")),
        ("readwrite", format!("{write}host_volume \"hay*\" {{ policy = \"write\" }}")),
        ("denied", format!("{write}host_volume \"*\" {{ policy = \"write\" }}\nhost_volume \"hay\" {{ policy = \"deny\" }}")),
        ("csi", format!("{write}namespace \"default\" {{ capabilities = [\"csi-mount-volume\"] }}")),
        ("plugin", "namespace \"default\" { policy = \"write\"\n capabilities = [\"csi-register-plugin\"] }".to_owned()),
    ] {
        let rules = if name == "csi" { write.to_owned() } else { rules };
        secrets.insert(name, holder(&whole, name, &rules).await);
    }
    let job = |kind: &str, read_only: bool, plugin: bool| {
        let mut job = named_job("barn", "default");
        let group = &mut job["Job"]["TaskGroups"][0];
        if !kind.is_empty() {
            group["Volumes"] = json!({"store": {"Name": "store", "Type": kind, "Source": "hay", "ReadOnly": read_only,
                "AccessMode": "single-node-writer", "AttachmentMode": "file-system"}});
        }
        if plugin {
            group["Tasks"][0]["CSIPluginConfig"] = json!({"ID": "dairy", "Type": "node", "MountDir": "/csi"});
        }
        job
    };
    for (what, job, may) in [
        ("nothing", job("", false, false), &["plain", "readonly", "readwrite", "denied", "csi", "plugin"][..]),
        ("to read", job("host", true, false), &["readonly", "readwrite"]),
        ("to write", job("host", false, false), &["readwrite"]),
        ("of a plugin", job("csi", false, false), &["readonly", "readwrite", "denied", "csi", "plugin"]),
        ("as a plugin", job("", false, true), &["plugin"]),
    ] {
        for (name, secret) in &secrets {
            for path in ["/v1/jobs", "/v1/job/barn"] {
                let (status, text) = ask(&whole, secret, "PUT", path, &job).await;
                assert_eq!(status != 403, may.contains(name), "{what} by {name}: {status} {text}");
            }
        }
    }
    whole.end().await;
}
