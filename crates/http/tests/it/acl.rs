//! Access control over a whole server: recorded answers, and a walk over every route with every kind of caller.

use std::collections::BTreeMap;

use drover_http::Access;
use drover_http::route::Methods;
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
const OTHERWISE: &[(&str, &str)] = &[("events/GET-event-stream-forbidden", "a stream without an end: it tells nothing")];

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
    let whole = Whole::with(config()).await;
    let (root, _) = whole.server.acl_bootstrap("").await.unwrap();
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
                    use drover_http::Capability::{ListJobs, ListScalingPolicies, ParseJob, ReadJob, ReadJobScaling, ReadScalingPolicy};
                    Some(matches!(capability, ListJobs | ListScalingPolicies | ParseJob | ReadJob | ReadJobScaling | ReadScalingPolicy))
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
        Walker { name: "management", secret: root.secret.clone(), passes: |_| Some(true) },
    ];
    let mut wrong = Vec::new();
    let table = drover_http::table();
    for route in table.routes() {
        let methods: &[&str] = match route.methods {
            Methods::Get => &["GET"],
            Methods::GetHead => &["GET", "HEAD"],
            Methods::Write => &["PUT", "POST"],
            Methods::Put => &["PUT"],
            Methods::Post => &["POST"],
            Methods::Delete => &["DELETE"],
            Methods::Any => &["GET", "PUT"],
        };
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
                let record =
                    json!({"request": {"method": method, "path": path, "headers": {"X-Nomad-Token": walker.secret}, "body": "{}"}});
                let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
                let what = format!("{} {} as {} ({:?}): {status} {text}", method, route.pattern, walker.name, route.access);
                assert!(!text.contains("not checked against the access rules"), "{what}");
                match passes {
                    // A route that looks at the request first may find it wrong before it finds it forbidden, but never does it.
                    Some(false) if route.late && (400..=500).contains(&status) => {}
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
