//! The event stream over a whole server: what it tells of each topic, to whom, and when it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_macros::proves;
use drover_raft::Storage;
use drover_server::{AclConfig, Config};
use serde_json::{Value, json};

use crate::agent::Whole;
use crate::golden::{compare, exercised, records, route_row};

const RECORDS: &str = include_str!("../../../../testdata/golden/http-events.jsonl");

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> Config {
    let acl = AclConfig { enabled: true, token_min_ttl_ns: 1, ..AclConfig::default() };
    Config { acl, keyring: true, ..Config::new(Storage::Memory) }
}

/// Reads a stream line by line.
struct Lines {
    answer: reqwest::Response,
    buffer: String,
}

impl Lines {
    async fn open(whole: &Whole, secret: &str, query: &str) -> Self {
        let url = format!("http://{}/v1/event/stream?{query}", whole.address());
        let client = reqwest::Client::builder().no_gzip().build().unwrap();
        let answer = client.get(url).header("X-Nomad-Token", secret).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        Self { answer, buffer: String::new() }
    }

    /// The next line; none when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.buffer.split_once('\n') {
                let line = serde_json::from_str(line).unwrap();
                self.buffer = rest.to_owned();
                return Some(line);
            }
            let chunk = self.answer.chunk().await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Events, until there is one that fits.
    async fn until(&mut self, whole: &Whole, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        let found = async {
            while let Some(line) = self.next().await {
                let told = line["Events"].as_array().cloned().unwrap_or_default();
                let found = told.iter().any(&fits);
                assert!(told.iter().all(|event| event["Index"] == line["Index"]), "{line}");
                seen.extend(told);
                if found {
                    return true;
                }
            }
            false
        };
        let found = whole.clock.timeout(PATIENCE, found).await;
        assert_eq!(found, Some(true), "only these came: {seen:#?}");
        seen
    }

    /// Waits until the stream ends.
    async fn ended(&mut self, whole: &Whole) -> bool {
        let ended = async { while self.next().await.is_some() {} };
        whole.clock.timeout(PATIENCE, ended).await.is_some()
    }

    /// Whether the stream is refused: it ends without a line.
    async fn refused(mut self) -> bool {
        self.next().await.is_none()
    }
}

/// Sends a request that must succeed and returns the answer.
async fn send(whole: &Whole, secret: &str, method: &str, path: &str, body: &Value) -> Value {
    let record = json!({"request": {"method": method, "path": path, "headers": {"X-Nomad-Token": secret}, "body": body.to_string()}});
    let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
    assert!(matches!(status, 200 | 204), "{method} {path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// The request that makes an object, or changes it, by its topic: path, body, and the field that holds its id.
fn written(topic: &str, object: &Value, id: &str) -> (String, Value, &'static str) {
    let mut body = object.clone();
    for field in
        ["CreateIndex", "ModifyIndex", "CreateTime", "ModifyTime", "Hash", "RulesJSON", "AccessorID", "SecretID", "ExpirationTime", "ID"]
    {
        body.as_object_mut().unwrap().remove(field);
    }
    let name = object["Name"].as_str().unwrap_or_default();
    let (path, field) = match topic {
        "ACLPolicy" => (format!("policy/{name}"), "Name"),
        "ACLToken" => ("token".to_owned(), "AccessorID"),
        "ACLRole" => ("role".to_owned(), "ID"),
        "ACLAuthMethod" if id.is_empty() => ("auth-method".to_owned(), "Name"),
        "ACLAuthMethod" => (format!("auth-method/{name}"), "Name"),
        "ACLBindingRule" => ("binding-rule".to_owned(), "ID"),
        other => panic!("{other}"),
    };
    let path = format!("/v1/acl/{path}");
    if id.is_empty() || field == "Name" {
        return (path, body, field);
    }
    body[field] = json!(id);
    (format!("{path}/{id}"), body, field)
}

/// Makes, changes and deletes what a recorded stream tells of, and compares the stream with the recorded one. Tokens of the record
/// are told apart by the object that they name; what was made before the recording began is made, but not compared.
async fn replayed(whole: &Whole, secret: &str, record: &Value) -> Vec<String> {
    let recorded: Vec<&Value> =
        record["response"]["body"].as_array().unwrap().iter().flat_map(|line| line["Events"].as_array().into_iter().flatten()).collect();
    let topic = recorded[0]["Topic"].as_str().unwrap();
    let before = whole.server.snapshot().index();
    let mut lines = Lines::open(whole, secret, &format!("topic={topic}")).await;
    exercised("http-api", route_row("GET", "/v1/event/stream"), "drover_http::it::events::replayed");
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut last = (String::new(), String::new());
    for event in &recorded {
        let key = event["Key"].as_str().unwrap().to_owned();
        let object = event["Payload"].as_object().unwrap().values().next().unwrap();
        let known = ids.get(&key).cloned().unwrap_or_default();
        // What a deletion tells may be another state than the last one told.
        let (path, body, field) = written(topic, object, &known);
        let answer = send(whole, secret, "PUT", &path, &body).await;
        let id = if field == "Name" { object["Name"].as_str().unwrap().to_owned() } else { answer[field].as_str().unwrap().to_owned() };
        if event["Type"].as_str().unwrap().ends_with("Deleted") {
            let kind = path.trim_start_matches("/v1/acl/").split('/').next().unwrap();
            send(whole, secret, "DELETE", &format!("/v1/acl/{kind}/{id}"), &Value::Null).await;
        }
        ids.insert(key, id.clone());
        last = (event["Type"].as_str().unwrap().to_owned(), id);
    }
    let told = lines.until(whole, |event| event["Type"] == last.0.as_str() && event["Key"] == last.1.as_str()).await;
    let mut told: Vec<Value> = told.into_iter().filter(|event| event["Index"].as_u64().unwrap() > before).collect();
    let mut wrong = Vec::new();
    for event in recorded {
        let (kind, id) = (event["Type"].as_str().unwrap(), ids[event["Key"].as_str().unwrap()].as_str());
        let mut event = event.clone();
        // Of a policy that had none once, the recording tells no rules.
        if event["Payload"]["ACLPolicy"]["RulesJSON"].is_null() && event["Payload"]["ACLPolicy"].is_object() {
            let told = told.iter().find(|own| own["Type"] == kind && own["Key"] == id);
            event["Payload"]["ACLPolicy"]["RulesJSON"] =
                told.map(|own| own["Payload"]["ACLPolicy"]["RulesJSON"].clone()).unwrap_or_default();
        }
        // The newest of several that fit is the one with the object as it was then.
        let mut differences = vec![format!("{kind} of {id} was not told")];
        while let Some(at) = told.iter().position(|own| own["Type"] == kind && own["Key"] == id) {
            let mut found = Vec::new();
            compare(kind, &event, &told[at], &mut found);
            differences = found;
            told.remove(at);
            if differences.is_empty() {
                break;
            }
        }
        wrong.extend(differences);
    }
    wrong
}

#[proves("EVT-003", "EVT-013")]
#[tokio::test]
async fn objects_of_access_control_are_told_as_recorded() {
    let whole = Whole::with(config()).await;
    let root = whole.server.acl_bootstrap("").await.unwrap().0.secret;
    for name in ["lane", "evm"] {
        let config = json!({"JWTValidationPubKeys": ["x"], "ListClaimMappings": {"groups": "groups"}});
        let body = json!({"Name": name, "Type": "JWT", "TokenLocality": "local", "MaxTokenTTL": "1h", "Config": config});
        let record = json!({"request": {"method": "PUT", "path": "/v1/acl/auth-method", "headers": {"X-Nomad-Token": root}, "body": body.to_string()}});
        whole.ask(&record, &BTreeMap::new()).await;
    }
    let mut wrong = Vec::new();
    let all = records(RECORDS);
    for topic in ["aclpolicy", "acltoken", "aclrole", "aclbindingrule", "aclauthmethod"] {
        for name in ["herdsman", "looker", "ev"].into_iter().filter(|_| topic != "aclpolicy") {
            let policy = json!({"Name": name, "Rules": "node { policy = \"read\" }"});
            send(&whole, &root, "PUT", &format!("/v1/acl/policy/{name}"), &policy).await;
        }
        let name = format!("events/GET-event-stream-topic-{topic}");
        if topic == "aclbindingrule" {
            let role = json!({"Name": "hands", "Policies": [{"Name": "herdsman"}]});
            send(&whole, &root, "PUT", "/v1/acl/role", &role).await;
        }
        wrong.extend(replayed(&whole, &root, &all[&name]).await.into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    whole.end().await;
}

#[proves("EVT-001", "EVT-003", "EVT-010", "EVT-013")]
#[tokio::test]
async fn pools_variables_and_settings_are_told_and_no_secret_is() {
    let whole = Whole::with(config()).await;
    let root = whole.server.acl_bootstrap("").await.unwrap().0.secret;
    let all = records(RECORDS);
    let mut lines = Lines::open(&whole, &root, "namespace=*").await;
    send(&whole, &root, "PUT", "/v1/node/pools", &json!({"Name": "evpool"})).await;
    let pool = send(&whole, &root, "GET", "/v1/node/pool/evpool", &Value::Null).await;
    send(&whole, &root, "DELETE", "/v1/node/pool/evpool", &Value::Null).await;
    let secret = "the-gate-opens-with-a-kick";
    for path in ["farm/gate", "farm/gate2"] {
        send(&whole, &root, "PUT", &format!("/v1/var/{path}"), &json!({"Items": {"a": "old"}})).await;
        send(&whole, &root, "PUT", &format!("/v1/var/{path}"), &json!({"Items": {"a": secret}})).await;
    }
    let token = send(&whole, &root, "PUT", "/v1/acl/token", &json!({"Name": "pup", "Type": "management"})).await;
    let config = json!({"OIDCDiscoveryURL": "https://lane.example", "OIDCClientID": "x", "OIDCClientSecret": secret, "AllowedRedirectURIs": ["https://a"], "BoundAudiences": ["a"]});
    let method = json!({"Name": "lane", "Type": "OIDC", "TokenLocality": "local", "MaxTokenTTL": "1h", "Config": config});
    send(&whole, &root, "PUT", "/v1/acl/auth-method", &method).await;
    send(&whole, &root, "PUT", "/v1/operator/scheduler/configuration", &json!({"SchedulerAlgorithm": "spread"})).await;
    send(
        &whole,
        &root,
        "PUT",
        "/v1/operator/autopilot/configuration",
        &json!({"CleanupDeadServers": true, "LastContactThreshold": "200ms", "ServerStabilizationTime": "10s"}),
    )
    .await;
    whole.add_node().await;
    send(&whole, &root, "DELETE", "/v1/var/farm/gate2", &Value::Null).await;
    let told = lines.until(&whole, |event| event["Type"] == "VariableDeleted").await;
    let mut wrong = Vec::new();
    for topic in ["nodepool", "variable"] {
        let record = &all[&format!("events/GET-event-stream-topic-{topic}")];
        for event in record["response"]["body"].as_array().unwrap().iter().flat_map(|line| line["Events"].as_array().into_iter().flatten())
        {
            let own = told.iter().rfind(|own| own["Type"] == event["Type"] && own["Key"] == event["Key"]);
            compare(topic, event, own.unwrap_or(&Value::Null), &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    // What is told of an object is what is answered for it.
    let of = |kind: &str| told.iter().find(|event| event["Type"] == kind).unwrap_or_else(|| panic!("{kind} is not told")).clone();
    assert_eq!(of("NodePoolUpserted")["Payload"]["NodePool"], pool);
    let scheduler = send(&whole, &root, "GET", "/v1/operator/scheduler/configuration", &Value::Null).await;
    assert_eq!(of("SchedulerConfigurationUpdated")["Payload"]["SchedulerConfig"], scheduler["SchedulerConfig"]);
    let autopilot = send(&whole, &root, "GET", "/v1/operator/autopilot/configuration", &Value::Null).await;
    assert_eq!(of("AutopilotConfigurationUpdated")["Payload"]["Autopilot"], autopilot);
    assert_eq!(of("AutopilotConfigurationUpdated")["Topic"], "Operator");
    let gone = of("VariableDeleted");
    assert_eq!((&gone["Key"], &gone["Payload"]["Deleted"]), (&json!("farm/gate2"), &json!(true)));
    assert_eq!(of("NodeRegistration")["Payload"]["Node"]["SecretID"], "");
    let text = serde_json::to_string(&told).unwrap();
    for hidden in [secret, &root, token["SecretID"].as_str().unwrap(), "\"secret\""] {
        assert!(!text.contains(hidden), "{hidden} is told");
    }
    whole.end().await;
}

#[proves("EVT-008")]
#[tokio::test]
async fn each_topic_needs_the_right_to_read_it_and_others_tell_nothing() {
    let whole = Whole::with(config()).await;
    let root = whole.server.acl_bootstrap("").await.unwrap().0.secret;
    let namespace = drover_model::Namespace { name: "byre".to_owned(), ..drover_model::Namespace::default() };
    whole.server.upsert_namespace(namespace).await.unwrap();
    let mut secrets: BTreeMap<&str, String> =
        BTreeMap::from([("", String::new()), ("root", root.clone()), ("nobody", "00000000-0000-0000-0000-000000000000".to_owned())]);
    for (name, rules) in [
        ("jobs", "namespace \"default\" { policy = \"read\" }"),
        ("byre", "namespace \"byre\" { policy = \"read\" }"),
        ("node", "node { policy = \"read\" }"),
        ("operator", "operator { policy = \"read\" }"),
        ("variables", "namespace \"default\" { variables { path \"farm/*\" { capabilities = [\"list\", \"read\"] } } }"),
    ] {
        send(&whole, &root, "PUT", &format!("/v1/acl/policy/{name}"), &json!({"Name": name, "Rules": rules})).await;
        let token = send(&whole, &root, "PUT", "/v1/acl/token", &json!({"Name": name, "Type": "client", "Policies": [name]})).await;
        secrets.insert(name, token["SecretID"].as_str().unwrap().to_owned());
    }
    for (query, may) in [
        ("topic=Job", &["root", "jobs"][..]),
        ("topic=Allocation:x&topic=Evaluation&topic=Deployment&topic=Service&topic=CSIPlugin", &["root", "jobs"]),
        ("topic=CSIVolume", &["root", "jobs"]),
        ("topic=HostVolume", &["root", "jobs"]),
        ("topic=Job&namespace=byre", &["root", "byre"]),
        ("topic=Job&namespace=*", &["root", "jobs", "byre"]),
        ("topic=Node", &["root", "node"]),
        ("topic=Node&topic=Job", &["root"]),
        ("topic=Operator", &["root", "operator"]),
        ("topic=Variable", &["root", "variables"]),
        ("topic=NodePool", &["root"]),
        ("topic=ACLToken", &["root"]),
        ("topic=ACLPolicy", &["root"]),
        ("topic=ACLRole", &["root"]),
        ("topic=ACLAuthMethod", &["root"]),
        ("topic=ACLBindingRule", &["root"]),
        ("topic=*", &["root"]),
        ("", &["root"]),
    ] {
        for (name, secret) in &secrets {
            let refused = Lines::open(&whole, secret, query).await.refused().await;
            assert_eq!(refused, !may.contains(name), "{query} by {name:?}");
        }
    }
    // Of all namespaces, those that may be read; of all variables, those below the path.
    let mut jobs = Lines::open(&whole, &secrets["byre"], "topic=Job&namespace=*").await;
    let mut variables = Lines::open(&whole, &secrets["variables"], "topic=Variable").await;
    let job = |id: &str, namespace: &str| {
        json!({"Job": {"ID": id, "Name": id, "Namespace": namespace, "Datacenters": ["*"], "TaskGroups": [
            {"Name": "g", "Tasks": [{"Name": "t", "Driver": "mock_driver", "Config": {}}]}]}})
    };
    send(&whole, &root, "PUT", "/v1/jobs", &job("sheep", "default")).await;
    send(&whole, &root, "PUT", "/v1/jobs", &job("cow", "byre")).await;
    for path in ["house/key", "farm/gate"] {
        send(&whole, &root, "PUT", &format!("/v1/var/{path}"), &json!({"Items": {"a": "b"}})).await;
    }
    let told = jobs.until(&whole, |event| event["Key"] == "cow").await;
    assert!(told.iter().all(|event| event["Namespace"] == "byre"), "{told:?}");
    let told = variables.until(&whole, |event| event["Key"] == "farm/gate").await;
    assert_eq!(told.len(), 1, "{told:?}");
    whole.end().await;
}

#[proves("EVT-009")]
#[tokio::test]
async fn a_stream_ends_with_the_token_or_the_right_that_it_was_opened_with() {
    let whole = Whole::with(config()).await;
    let root = whole.server.acl_bootstrap("").await.unwrap().0.secret;
    let policy = |rules: &'static str| {
        let (whole, root) = (&whole, &root);
        async move { send(whole, root, "PUT", "/v1/acl/policy/looker", &json!({"Name": "looker", "Rules": rules})).await }
    };
    let read = "node { policy = \"read\" }";
    policy(read).await;
    let role = send(&whole, &root, "PUT", "/v1/acl/role", &json!({"Name": "hands", "Policies": [{"Name": "looker"}]})).await;
    let token = |extra: Value| {
        let (whole, root) = (&whole, &root);
        let mut body = json!({"Name": "looker", "Type": "client"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        async move {
            let token = send(whole, root, "PUT", "/v1/acl/token", &body).await;
            (token["AccessorID"].as_str().unwrap().to_owned(), token["SecretID"].as_str().unwrap().to_owned())
        }
    };
    let deleted = token(json!({"Policies": ["looker"]})).await;
    let brief = token(json!({"Policies": ["looker"], "ExpirationTTL": "1500ms"})).await;
    let changed = token(json!({"Policies": ["looker"]})).await;
    let by_role = token(json!({"Roles": [{"ID": role["ID"]}]})).await;
    let mut streams = Vec::new();
    for (_, secret) in [&deleted, &brief, &changed, &by_role] {
        let mut lines = Lines::open(&whole, secret, "topic=Node").await;
        assert_eq!(lines.next().await, Some(json!({})));
        streams.push(lines);
    }
    send(&whole, &root, "DELETE", &format!("/v1/acl/token/{}", deleted.0), &Value::Null).await;
    assert!(streams[0].ended(&whole).await, "its token is gone");
    assert!(streams[1].ended(&whole).await, "its token expired, though nothing happened");
    send(&whole, &root, "DELETE", &format!("/v1/acl/role/{}", role["ID"].as_str().unwrap()), &Value::Null).await;
    assert!(streams[3].ended(&whole).await, "its role is gone");
    // One whose rights stay goes on.
    whole.add_node().await;
    streams[2].until(&whole, |event| event["Topic"] == "Node").await;
    policy("namespace \"default\" { policy = \"read\" }").await;
    assert!(streams[2].ended(&whole).await, "its policy allows it no more");
    whole.end().await;
}

#[proves("EVT-012")]
#[tokio::test]
async fn a_server_that_keeps_no_events_says_so() {
    let whole = Whole::with(Config { event_buffer: 0, ..Config::new(Storage::Memory) }).await;
    let record = json!({"request": {"method": "GET", "path": "/v1/event/stream", "headers": {}}});
    let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
    assert_eq!(status, 500);
    assert!(text.contains("server.enable_event_broker"), "{text}");
    whole.end().await;
}

#[proves("SVC-022")]
#[tokio::test]
async fn each_registration_of_a_service_is_told_even_when_many_go_at_once() {
    let whole = Whole::start().await;
    whole.add_node().await;
    let service = |name: &str| json!({"Name": name, "Provider": "nomad"});
    let task = json!({"Name": "t", "Driver": "mock_driver", "Config": {}, "Services": [service("one"), service("two")]});
    let job =
        json!({"Job": {"ID": "web", "Name": "web", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Count": 2, "Tasks": [task]}]}});
    let mut lines = Lines::open(&whole, "", "topic=Service:web").await;
    send(&whole, "", "PUT", "/v1/jobs", &job).await;
    whole.until("/v1/job/web/allocations", |allocs| allocs.as_array().is_some_and(|list| list.len() == 2)).await;
    let allocs: Vec<_> = whole.server.snapshot().allocs().map(|alloc| (alloc.id, alloc.node_id)).collect();
    let registered: Vec<_> = allocs
        .iter()
        .flat_map(|(alloc, node)| {
            ["one", "two"].map(|name| drover_model::ServiceRegistration {
                id: format!("_nomad-task-{alloc}-t-{name}"),
                service_name: name.to_owned(),
                namespace: "default".to_owned(),
                node_id: *node,
                job_id: "web".to_owned(),
                alloc_id: *alloc,
                address: "127.0.0.1".to_owned(),
                ..drover_model::ServiceRegistration::default()
            })
        })
        .collect();
    let count = registered.len();
    whole.server.upsert_services(whole.node, registered).await.unwrap();
    let mut told = Vec::new();
    while told.len() < count {
        told.extend(lines.until(&whole, |event| event["Type"] == "ServiceRegistration").await);
    }
    let keys: std::collections::BTreeSet<&str> = told.iter().map(|event| event["Key"].as_str().unwrap()).collect();
    assert_eq!((keys.len(), told.len()), (count, count));
    // Purging the job takes all of them away in one entry.
    send(&whole, "", "DELETE", "/v1/job/web?purge=true", &Value::Null).await;
    let mut gone = Vec::new();
    while gone.len() < count {
        gone.extend(lines.until(&whole, |event| event["Type"] == "ServiceDeregistration").await);
    }
    let keys: std::collections::BTreeSet<&str> = gone.iter().map(|event| event["Key"].as_str().unwrap()).collect();
    assert_eq!((keys.len(), gone.len()), (count, count));
    assert!(gone.iter().all(|event| event["FilterKeys"][0] == "web"), "{gone:?}");
    whole.end().await;
}
