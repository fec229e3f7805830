//! Searching by prefix and by part of a name: what is found, how much of it, and by whom.

use std::collections::BTreeMap;

use drover_macros::proves;
use drover_raft::Storage;
use drover_server::{AclConfig, Config};
use serde_json::{Value, json};

use crate::agent::Whole;

async fn ask(whole: &Whole, secret: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let record = json!({"request": {"method": method, "path": path, "headers": {"X-Nomad-Token": secret}, "body": body.to_string()}});
    let (status, _, text) = whole.ask(&record, &BTreeMap::new()).await;
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

fn job(id: &str, namespace: &str) -> Value {
    let task = json!({"Name": "spinner", "Driver": "raw_exec", "Config": {"command": "/bin/Loom", "image": "registry/wool:1"},
        "Services": [{"Name": "yarn-shop", "Provider": "nomad"}]});
    json!({"Job": {"ID": id, "Name": id, "Namespace": namespace, "Datacenters": ["*"], "TaskGroups": [{"Name": "Weavers", "Count": 0, "Tasks": [task]}]}})
}

async fn prefix(whole: &Whole, secret: &str, context: &str, text: &str, query: &str) -> (u16, Value) {
    ask(whole, secret, "PUT", &format!("/v1/search{query}"), &json!({"Prefix": text, "Context": context})).await
}

#[proves("EVT-014", "EVT-015")]
#[tokio::test]
async fn every_kind_is_found_by_the_start_of_its_id_twenty_at_most() {
    let whole = Whole::with(Config { keyring: true, ..Config::new(Storage::Memory) }).await;
    whole.add_node().await;
    for number in 0..25 {
        assert_eq!(ask(&whole, "", "PUT", "/v1/jobs", &job(&format!("job-{number:02}"), "default")).await.0, 200);
    }
    let (_, found) = prefix(&whole, "", "jobs", "job-", "").await;
    assert_eq!((found["Matches"]["jobs"].as_array().unwrap().len(), &found["Truncations"]["jobs"]), (20, &json!(true)));
    let (_, found) = prefix(&whole, "", "jobs", "job-1", "").await;
    assert_eq!((found["Matches"]["jobs"].as_array().unwrap().len(), &found["Truncations"]["jobs"]), (10, &json!(false)));
    ask(&whole, "", "PUT", "/v1/var/farm/gate", &json!({"Items": {"a": "b"}})).await;
    ask(&whole, "", "PUT", "/v1/node/pools", &json!({"Name": "pasture"})).await;
    ask(&whole, "", "PUT", "/v1/namespace/byre", &json!({"Name": "byre"})).await;
    let (_, all) = prefix(&whole, "", "all", "", "").await;
    let contexts: Vec<&str> = all["Matches"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        contexts,
        [
            "allocs",
            "deployment",
            "evals",
            "host_volumes",
            "jobs",
            "namespaces",
            "node_pools",
            "nodes",
            "plugins",
            "scaling_policy",
            "vars",
            "volumes"
        ]
    );
    for (context, text, wanted) in [
        ("vars", "farm", "farm/gate"),
        ("node_pools", "pas", "pasture"),
        ("namespaces", "by", "byre"),
        ("nodes", "", &whole.node.to_string()),
    ] {
        assert_eq!(prefix(&whole, "", context, text, "").await.1["Matches"][context], json!([wanted]), "{context}");
    }
    let (status, text) = prefix(&whole, "", "quotas", "x", "").await;
    assert!(status == 500 && text.as_str().unwrap().starts_with("context must be one of"), "{text}");
    // Ids are found by any number of digits; an odd one is looked up and still all of it counts.
    let node = whole.node.to_string();
    for length in [1, 2, 3, 7, 8, 9, 10, 35, 36] {
        let (_, found) = prefix(&whole, "", "nodes", &node[..length], "").await;
        assert_eq!(found["Matches"]["nodes"], json!([node]), "{}", &node[..length]);
        let mut other = node[..length].to_owned();
        let last = other.pop().unwrap();
        other.push(if last == '0' { '1' } else { '0' });
        if last != '-' {
            assert_eq!(prefix(&whole, "", "nodes", &other, "").await.1["Matches"]["nodes"], Value::Null, "{other}");
        }
    }
    // What is no id matches nothing that is known by ids, and still names of jobs.
    let (_, found) = prefix(&whole, "", "all", "job-0", "").await;
    assert_eq!(found["Matches"]["jobs"].as_array().unwrap().len(), 10);
    for context in ["nodes", "allocs", "evals", "deployment"] {
        assert!(found["Matches"].get(context).is_none_or(Value::is_null), "{context}: {found}");
    }
    whole.end().await;
}

#[proves("EVT-016")]
#[tokio::test]
async fn parts_of_names_are_found_in_jobs_and_everything_in_them_within_limits() {
    let whole = Whole::with(Config { keyring: true, ..Config::new(Storage::Memory) }).await;
    whole.add_node().await;
    for number in 0..25 {
        assert_eq!(ask(&whole, "", "PUT", "/v1/jobs", &job(&format!("Mill-{number:02}"), "default")).await.0, 200);
    }
    let fuzzy = async |text: &str| ask(&whole, "", "PUT", "/v1/search/fuzzy", &json!({"Text": text, "Context": "all"})).await;
    assert_eq!(fuzzy("m").await, (500, json!("fuzzy search query must be at least 2 characters, got 1")));
    for (text, kind, name) in [
        ("WEAVE", "groups", "Weavers"),
        ("pinne", "tasks", "spinner"),
        ("YARN", "services", "yarn-shop"),
        ("ool:", "images", "registry/wool:1"),
        ("bin/loom", "commands", "/bin/Loom"),
        ("LL-2", "jobs", "Mill-20"),
        ("astur", "nodes", "pasture"),
    ] {
        let (status, found) = fuzzy(text).await;
        let of_kind = found["Matches"][kind].as_array().unwrap_or_else(|| panic!("{text}: {status} {found}"));
        assert!(of_kind.iter().any(|own| own["ID"] == name), "{text}: {of_kind:?}");
        assert!(of_kind.len() <= 20);
    }
    let (_, found) = fuzzy("mill").await;
    assert_eq!((found["Matches"]["jobs"].as_array().unwrap().len(), &found["Truncations"]["jobs"]), (20, &json!(true)));
    whole.end().await;
    // All of it is a matter of configuration.
    let told = |search: Value| -> drover_api::AgentConfig {
        let search = Some(serde_json::from_value(search).unwrap());
        let server = Some(drover_api::AgentConfigServerConfig { search, ..Default::default() });
        drover_api::AgentConfig { server, ..Default::default() }
    };
    let limits = json!({"FuzzyEnabled": true, "LimitQuery": 2, "LimitResults": 4, "MinTermLength": 4});
    for (search, text, wanted) in [
        (json!({"FuzzyEnabled": false}), "mill", json!("fuzzy search is not enabled")),
        (limits.clone(), "mil", json!("fuzzy search query must be at least 4 characters, got 3")),
        (limits, "mill", json!(["Mill-00", "Mill-01"])),
    ] {
        let whole = Whole::told(Config::new(Storage::Memory), told(search.clone())).await;
        for number in 0..5 {
            assert_eq!(ask(&whole, "", "PUT", "/v1/jobs", &job(&format!("Mill-{number:02}"), "default")).await.0, 200);
        }
        let (_, found) = ask(&whole, "", "PUT", "/v1/search/fuzzy", &json!({"Text": text, "Context": "jobs"})).await;
        let names = found["Matches"]["jobs"].as_array().map(|jobs| jobs.iter().map(|own| own["ID"].clone()).collect());
        assert_eq!(names.unwrap_or(found), wanted, "{search}");
        whole.end().await;
    }
}

#[proves("EVT-017")]
#[tokio::test]
async fn only_what_a_token_may_read_is_found() {
    let acl = AclConfig { enabled: true, ..AclConfig::default() };
    let whole = Whole::with(Config { acl, keyring: true, ..Config::new(Storage::Memory) }).await;
    let root = whole.server.acl_bootstrap("").await.unwrap().0.secret;
    whole.add_node().await;
    for name in ["byre", "fold"] {
        assert_eq!(ask(&whole, &root, "PUT", "/v1/namespace", &json!({"Name": name})).await.0, 200);
        assert_eq!(ask(&whole, &root, "PUT", "/v1/jobs", &job(&format!("mill-{name}"), name)).await.0, 200);
        let path = format!("/v1/var/mill/{name}?namespace={name}");
        assert_eq!(ask(&whole, &root, "PUT", &path, &json!({"Items": {"a": "b"}})).await.0, 200);
    }
    let mut secrets = BTreeMap::new();
    for (name, rules) in [
        ("byre", "namespace \"byre\" { policy = \"read\" }"),
        ("node", "node { policy = \"read\" }"),
        ("vars", "namespace \"fold\" { variables { path \"mill/*\" { capabilities = [\"list\"] } } }"),
    ] {
        assert_eq!(ask(&whole, &root, "PUT", &format!("/v1/acl/policy/{name}"), &json!({"Name": name, "Rules": rules})).await.0, 200);
        let (_, token) = ask(&whole, &root, "PUT", "/v1/acl/token", &json!({"Name": name, "Type": "client", "Policies": [name]})).await;
        secrets.insert(name, token["SecretID"].as_str().unwrap().to_owned());
    }
    let found = async |secret: &str, path: &str, kind: &str| -> Vec<String> {
        let body = json!({"Prefix": "", "Text": "mill", "Context": "all"});
        let (status, answer) = ask(&whole, secret, "PUT", path, &body).await;
        assert_eq!(status, 200, "{answer}");
        let name = |one: &Value| one.as_str().or_else(|| one["ID"].as_str()).unwrap().to_owned();
        answer["Matches"][kind].as_array().map(|list| list.iter().map(name).collect()).unwrap_or_default()
    };
    for path in ["/v1/search?namespace=*", "/v1/search/fuzzy?namespace=*"] {
        assert_eq!(found(&secrets["byre"], path, "jobs").await, ["mill-byre"], "{path}");
        assert_eq!(found(&secrets["byre"], path, "nodes").await, Vec::<String>::new(), "{path}");
        assert_eq!(found(&secrets["byre"], path, "vars").await, Vec::<String>::new(), "{path}");
        assert_eq!(found(&secrets["node"], path, "jobs").await, Vec::<String>::new(), "{path}");
        assert_eq!(found(&secrets["vars"], path, "vars").await, ["mill/fold"], "{path}");
        assert_eq!(found("", path, "jobs").await, Vec::<String>::new(), "{path}");
        assert_eq!(found(&root, path, "jobs").await, ["mill-byre", "mill-fold"], "{path}");
    }
    assert_eq!(found(&secrets["node"], "/v1/search", "nodes").await, [whole.node.to_string()]);
    assert_eq!(found(&secrets["byre"], "/v1/search?namespace=fold", "jobs").await, Vec::<String>::new());
    // A kind that is none of the caller's business is refused when it is asked for by name.
    assert_eq!(prefix(&whole, &secrets["byre"], "nodes", "", "").await.0, 403);
    assert_eq!(prefix(&whole, &secrets["byre"], "jobs", "", "?namespace=fold").await.0, 403);
    whole.end().await;
}
