//! Routes that no other test asks for by themselves: what they answer to whoever may call them, and what is said by those that
//! stand for something that is not part of this version.

use drover_e2e::golden::{exercised, route_row};
use drover_e2e::{Agent, Mode, http};
use serde_json::{Value, json};

const TEST: &str = "drover_e2e::it::rows";

struct Asked {
    status: u16,
    text: String,
    header: Option<String>,
}

fn ask(agent: &Agent, secret: &str, method: &str, path: &str, more: &str, body: &str) -> Asked {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Nomad-Token: {secret}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = http::raw(agent.address, head.as_bytes()).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let header = reply.header("access-control-allow-methods").map(str::to_owned);
    Asked { status: reply.status, text: reply.text(), header }
}

#[test]
fn every_route_answers_or_says_what_is_not_part_of_this_version() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), Mode::Dev, "name = \"pasture\"\nacl { enabled = true }", &[]);
    let first = ask(&agent, "", "PUT", "/v1/acl/bootstrap", "", "");
    let root = serde_json::from_str::<Value>(&first.text).unwrap()["SecretID"].as_str().unwrap().to_owned();
    let nothing = "00000000-0000-4000-8000-000000000000";
    let servers: Value = serde_json::from_str(&ask(&agent, &root, "GET", "/v1/agent/servers", "", "").text).unwrap();
    let server = servers[0].as_str().unwrap();
    let key = json!({"Key": "AAAAAAAAAAAAAAAAAAAAAA=="}).to_string();
    let workers = json!({"num_schedulers": 1, "enabled_schedulers": ["batch", "service", "system", "sysbatch", "_core"]}).to_string();
    let job = json!({"Job": {"ID": "still", "Name": "still", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Tasks": [
        {"Name": "t", "Driver": "mock_driver", "Config": {"run_for": "1h"}}]}]}});
    assert_eq!(ask(&agent, &root, "PUT", "/v1/jobs", "", &job.to_string()).status, 200);
    let alloc = loop {
        let allocs: Value = serde_json::from_str(&ask(&agent, &root, "GET", "/v1/job/still/allocations", "", "").text).unwrap();
        if let Some(id) = allocs[0]["ID"].as_str() {
            break id.to_owned();
        }
    };
    let autopilot = ask(&agent, &root, "GET", "/v1/operator/autopilot/configuration", "", "").text;
    let login = json!({"AuthMethodName": "x", "LoginToken": "y"}).to_string();
    // Method, path, body, the status, and a part of the answer.
    let rows: Vec<(&str, String, &str, u16, &str)> = vec![
        ("POST", "/v1/acl/login".into(), &login, 501, "logins with JWT and OpenID Connect"),
        ("PUT", "/v1/acl/login".into(), &login, 501, "logins with JWT and OpenID Connect"),
        ("POST", "/v1/acl/oidc/auth-url".into(), "{}", 501, "OpenID Connect"),
        ("PUT", "/v1/acl/oidc/auth-url".into(), "{}", 501, "OpenID Connect"),
        ("POST", "/v1/acl/oidc/complete-auth".into(), "{}", 501, "OpenID Connect"),
        ("PUT", "/v1/acl/oidc/complete-auth".into(), "{}", 501, "OpenID Connect"),
        ("POST", "/v1/agent/force-leave?node=nobody".into(), "", 200, ""),
        ("PUT", "/v1/agent/force-leave?node=pasture".into(), "", 501, "force-leave"),
        ("GET", "/v1/agent/host".into(), "", 200, "\"OS\""),
        ("POST", "/v1/agent/join?address=127.0.0.1:1".into(), "", 200, "joining servers to a region is not part of this version"),
        ("PUT", "/v1/agent/join?address=127.0.0.1:1".into(), "", 200, "joining servers to a region is not part of this version"),
        ("POST", "/v1/agent/keyring/install".into(), &key, 500, "1/1 nodes reported failure"),
        ("PUT", "/v1/agent/keyring/install".into(), &key, 500, "1/1 nodes reported failure"),
        ("GET", "/v1/agent/keyring/list".into(), "", 500, "1/1 nodes reported failure"),
        ("POST", "/v1/agent/keyring/remove".into(), &key, 500, "1/1 nodes reported failure"),
        ("PUT", "/v1/agent/keyring/remove".into(), &key, 500, "1/1 nodes reported failure"),
        ("POST", "/v1/agent/keyring/use".into(), &key, 500, "1/1 nodes reported failure"),
        ("PUT", "/v1/agent/keyring/use".into(), &key, 500, "1/1 nodes reported failure"),
        ("GET", "/v1/agent/monitor/export".into(), "", 400, "Either -service-name or -on-disk must be set"),
        ("GET", "/v1/agent/monitor/export?on_disk=true".into(), "", 400, "No nomad log file defined"),
        ("GET", "/v1/agent/schedulers".into(), "", 200, "schedulers"),
        ("GET", "/v1/agent/schedulers/config".into(), "", 200, "num_schedulers"),
        ("POST", "/v1/agent/schedulers/config".into(), &workers, 200, "num_schedulers"),
        ("PUT", "/v1/agent/schedulers/config".into(), &workers, 200, "num_schedulers"),
        ("GET", "/v1/agent/servers".into(), "", 200, server),
        ("POST", format!("/v1/agent/servers?address={server}"), "", 200, ""),
        ("PUT", format!("/v1/agent/servers?address={server}"), "", 200, ""),
        ("GET", format!("/v1/client/allocation/{alloc}/pause"), "", 500, "Enterprise only"),
        ("POST", format!("/v1/client/allocation/{alloc}/pause"), r#"{"ScheduleState": "run", "Task": "t"}"#, 500, "Enterprise only"),
        ("PUT", format!("/v1/client/allocation/{alloc}/pause"), r#"{"ScheduleState": "run", "Task": "t"}"#, 500, "Enterprise only"),
        ("GET", format!("/v1/client/allocation/{alloc}/snapshot"), "", 501, "migration of allocation data"),
        ("POST", format!("/v1/deployment/allocation-health/{nothing}"), EMPTY_HEALTH, 500, "deployment not found"),
        ("GET", "/v1/metrics".into(), "", 200, "PrecisionGauges"),
        ("GET", "/v1/operator/autopilot/configuration".into(), "", 200, "CleanupDeadServers"),
        ("PUT", "/v1/operator/autopilot/configuration".into(), &autopilot, 200, "true"),
        ("GET", "/v1/operator/autopilot/health".into(), "", 200, "FailureTolerance"),
        ("GET", "/v1/operator/raft/configuration".into(), "", 200, "RaftProtocol"),
        ("DELETE", format!("/v1/operator/raft/peer?id={nothing}"), "", 500, "was not found in the Raft configuration"),
        ("POST", format!("/v1/operator/raft/transfer-leadership?id={nothing}"), "", 400, "was not found in the Raft configuration"),
        ("PUT", format!("/v1/operator/raft/transfer-leadership?id={nothing}"), "", 400, "was not found in the Raft configuration"),
        ("GET", "/v1/operator/snapshot".into(), "", 200, ""),
        ("POST", "/v1/operator/snapshot".into(), "not a snapshot", 500, "failed to restore from snapshot"),
        ("PUT", "/v1/operator/snapshot".into(), "not a snapshot", 500, "failed to restore from snapshot"),
        ("GET", "/v1/operator/upgrade-check/vault-workload-identity".into(), "", 200, "JobsWithoutVaultIdentity"),
        ("POST", "/v1/search".into(), r#"{"Prefix": "", "Context": "all"}"#, 200, "Truncations"),
        ("POST", "/v1/search/fuzzy".into(), r#"{"Text": "still", "Context": "all"}"#, 200, "still"),
        ("GET", "/v1/status/leader".into(), "", 200, "127.0.0.1"),
        ("GET", "/v1/status/peers".into(), "", 200, "127.0.0.1"),
        ("GET", "/".into(), "", 307, "/ui/"),
        ("GET", "/ui/jobs".into(), "", 200, "<html>"),
        ("POST", "/v1/var/farm/gate".into(), r#"{"Items": {"a": "b"}}"#, 200, "farm/gate"),
        ("POST", "/v1/var/farm".into(), r#"{"Items": {"a": "b"}}"#, 200, "farm"),
        ("PUT", "/v1/var/farm".into(), r#"{"Items": {"a": "b"}}"#, 200, "farm"),
        ("DELETE", "/v1/var/farm".into(), "", 204, ""),
        ("GET", "/v1/operator/keyring/keys".into(), "", 501, "root keyring"),
        ("PUT", "/v1/operator/keyring/rotate".into(), "", 501, "root keyring"),
        ("POST", "/v1/operator/keyring/rotate".into(), "", 501, "root keyring"),
        ("DELETE", format!("/v1/operator/keyring/key/{nothing}"), "", 501, "root keyring"),
        ("GET", "/v1/volumes?type=csi".into(), "", 200, "[]"),
        ("GET", "/v1/plugins?type=csi".into(), "", 200, "[]"),
        ("GET", "/v1/quotas".into(), "", 501, "Enterprise only"),
    ];
    let mut wrong = Vec::new();
    for (method, path, body, status, part) in &rows {
        let answer = ask(&agent, &root, method, path, "", body);
        if answer.status != *status || !answer.text.contains(part) {
            let shown: String = answer.text.chars().take(200).collect();
            wrong.push(format!("{method} {path}: {} {shown}, not {status} with {part:?}", answer.status));
        } else {
            exercised("http-api", route_row(method, path), TEST);
        }
    }
    // What browsers ask before they ask.
    for (path, row) in [
        ("/v1/client/allocation/x/stats", "OPTIONS /v1/client/allocation/{any}"),
        ("/v1/client/fs/ls/x", "OPTIONS /v1/client/fs/{any}"),
        ("/v1/client/identity", "OPTIONS /v1/client/identity"),
        ("/v1/client/identity/renew", "OPTIONS /v1/client/identity/renew"),
        ("/v1/client/metadata", "OPTIONS /v1/client/metadata"),
        ("/v1/client/stats", "OPTIONS /v1/client/stats"),
        ("/v1/vars", "OPTIONS /v1/vars"),
        ("/v1/var/a/b", "OPTIONS /v1/var/{path}"),
    ] {
        let more = "Origin: http://elsewhere.example\r\nAccess-Control-Request-Method: GET\r\n";
        let answer = ask(&agent, "", "OPTIONS", path, more, "");
        if (answer.status, answer.header.as_deref()) == (204, Some("GET")) {
            exercised("http-api", Some(row), TEST);
        } else {
            wrong.push(format!("OPTIONS {path}: {} {:?}", answer.status, answer.header));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Nobody's health.
const EMPTY_HEALTH: &str =
    r#"{"DeploymentID": "00000000-0000-4000-8000-000000000000", "HealthyAllocationIDs": ["00000000-0000-4000-8000-000000000000"]}"#;
