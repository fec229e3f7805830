//! A server and clients in agents of their own: every agent answers for all of them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_api::websocket::Message;
use drover_e2e::websocket::Conversation;
use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::{Value, json};

fn client(base: &Path, name: &str, server: &Agent, more: &str) -> Agent {
    let config = format!("name = \"{name}\"\nclient {{ servers = [\"{}\"] }}\n{more}", server.channel);
    Agent::start_with(base, Mode::DurableClient, &config, &[])
}

fn service(name: &str, node: &str) -> Value {
    json!({
        "ID": name, "Name": name, "Type": "service", "Datacenters": ["dc1"],
        "Constraints": [{"LTarget": "${node.unique.name}", "Operand": "=", "RTarget": node}],
        "TaskGroups": [{"Name": "group", "Count": 1, "Tasks": [{
            "Name": "task", "Driver": "raw_exec",
            "Config": {"command": "/bin/sh", "args": ["-c", format!("echo {name} speaks; trap 'echo heard' USR1; while true; do sleep 0.1; done")]},
            "Resources": {"CPU": 20, "MemoryMB": 16}}]}],
    })
}

fn id(value: &Value) -> String {
    value["ID"].as_str().unwrap_or_else(|| panic!("no ID in {value}")).to_owned()
}

fn node_of(agent: &Agent) -> String {
    agent.get("/v1/agent/self")["stats"]["client"]["node_id"].as_str().unwrap().to_owned()
}

/// Sends a request with a token.
fn with(agent: &Agent, token: &str, method: &str, path: &str, body: &Value) -> http::Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Nomad-Token: {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    http::raw(agent.address, head.as_bytes()).unwrap()
}

/// What a log holds, once it holds something.
fn log_of(agent: &Agent, alloc: &str) -> String {
    let path = format!("/v1/client/fs/logs/{alloc}?task=task&type=stdout&plain=true&origin=start");
    for _ in 0..600 {
        let reply = agent.call("GET", &path, None);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        if !reply.body.is_empty() {
            return reply.text();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{path} stays empty");
}

/// Runs a command in the task and returns what it prints, and its exit code.
fn run(agent: &Agent, alloc: &str, script: &str) -> (String, i64) {
    let command = format!("%5B%22%2Fbin%2Fsh%22%2C%22-c%22%2C%22{script}%22%5D");
    let path = format!("/v1/client/allocation/{alloc}/exec?task=task&tty=false&command={command}");
    let mut talk = Conversation::open(agent.address, &path).unwrap();
    let mut out = String::new();
    loop {
        let heard = talk.hear();
        let Some(Message::Text(bytes)) = heard else { panic!("{script}: {heard:?} after {out:?}") };
        let frame: Value = serde_json::from_slice(&bytes).unwrap();
        if let Some(data) = frame["stdout"]["data"].as_str() {
            out.push_str(&String::from_utf8(STANDARD.decode(data).unwrap()).unwrap());
        }
        if frame["exited"] == true {
            return (out, frame["result"]["exit_code"].as_i64().unwrap_or(0));
        }
    }
}

#[proves("NOD-023")]
#[test]
fn every_agent_answers_for_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let server = Agent::start(&at("server"), Mode::DurableServer);
    let (one, two) = (client(&at("one"), "one", &server, ""), client(&at("two"), "two", &server, ""));
    assert_eq!(one.get("/v1/agent/servers"), json!([server.channel.to_string()]));

    // A change through an agent that is no server, read through all of them.
    one.register(service("first", "one"));
    two.register(service("second", "two"));
    let (first, second) = (id(&two.until_alloc("first", "running")), id(&one.until_alloc("second", "running")));
    for path in ["/v1/jobs", "/v1/nodes", "/v1/job/first", &format!("/v1/allocation/{second}"), "/v1/status/leader", "/v1/agent/members"] {
        let answers: Vec<Value> = [&server, &one, &two].into_iter().map(|agent| agent.get(path)).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{path}: {answers:#?}");
    }
    let missing = one.call("GET", "/v1/job/none", None);
    assert_eq!((missing.status, missing.text().as_str()), (404, "job not found"));

    // What only the node knows: asked of itself, through the server, and through another client and the server.
    for agent in [&one, &server, &two] {
        assert!(log_of(agent, &first).starts_with("first speaks\n"));
        let files = agent.get(&format!("/v1/client/fs/ls/{first}?path=alloc/logs"));
        assert!(files.as_array().unwrap().iter().any(|file| file["Name"] == "task.stdout.0"), "{files}");
        assert_eq!(run(agent, &first, "echo%20%24NOMAD_JOB_NAME%3B%20exit%207"), ("first\n".to_owned(), 7));
        let stats = agent.get(&format!("/v1/client/allocation/{first}/stats"));
        assert!(stats["Tasks"]["task"].is_object(), "{stats}");
        let host = agent.get(&format!("/v1/client/stats?node_id={}", node_of(&one)));
        assert!(host["Uptime"].as_u64().is_some(), "{host}");
        let reply = agent.call("PUT", &format!("/v1/client/allocation/{first}/signal"), Some(&json!({"Signal": "SIGUSR1"})));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let heard = |agent: &Agent| {
        agent.until(&format!("/v1/client/fs/stat/{first}?path=alloc/logs/task.stdout.0"), "three signals", |file| {
            file["Size"] == "first speaks\n".len() + 3 * "heard\n".len()
        })
    };
    heard(&server);
    let printed = server.cli(&["alloc", "exec", "-task", "task", &second, "/bin/echo", "through", "the", "server"]);
    assert_eq!((printed.code, printed.out.as_str()), (0, "through the server\n"), "{}", printed.error);
    let printed = one.cli(&["alloc", "logs", &second]);
    assert_eq!((printed.code, printed.out.as_str()), (0, "second speaks\n"), "{}", printed.error);

    // A held read through a client ends when something happens.
    let index = one.call("GET", "/v1/jobs", None).header("x-nomad-index").unwrap().to_owned();
    let address = one.address;
    let held = std::thread::spawn(move || http::call(address, "GET", &format!("/v1/jobs?index={index}&wait=60s"), None).unwrap());
    let stopped = two.call("DELETE", "/v1/job/second", None);
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    assert_eq!(held.join().unwrap().status, 200);
}

#[proves("ACT-009")]
#[test]
fn what_cannot_be_reached_is_said_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut server = Agent::start(&at("server"), Mode::DurableServer);
    let mut one = client(&at("one"), "one", &server, "");
    one.register(service("steady", "one"));
    let alloc = id(&one.until_alloc("steady", "running"));
    let (log, pid) = (log_of(&one, &alloc), run(&one, &alloc, "echo%20%24PPID").0);
    let logs = format!("/v1/client/fs/logs/{alloc}?task=task&type=stdout&plain=true");

    // Without a server the node still tells what is on it, and its task runs on.
    server.kill();
    let refused = one.call("GET", "/v1/jobs", None);
    assert!(refused.status == 500 && refused.text().contains("No cluster leader"), "{} {}", refused.status, refused.text());
    assert!(one.call("GET", &logs, None).text().starts_with("steady speaks\n"));
    server.launch();
    server.wait_ready();
    one.until("/v1/jobs", "the server again", |jobs| jobs.as_array().is_some_and(|jobs| jobs.len() == 1));
    server.until(&logs, "the node again", |_| server.call("GET", &logs, None).status == 200);
    assert_eq!(log_of(&server, &alloc), log);

    // Without its agent the task runs on too; nobody can be asked about it.
    one.kill();
    let gone = server.call("GET", &logs, None);
    assert_eq!((gone.status, gone.text().as_str()), (404, "No path to node"));
    let refused = server.cli(&["alloc", "exec", "-task", "task", &alloc, "true"]);
    assert!(refused.code == 1 && refused.error.contains("No path to node"), "{refused:?}");
    one.launch();
    one.wait_ready();
    server.until(&logs, "the node again", |_| server.call("GET", &logs, None).status == 200);
    assert_eq!(run(&server, &alloc, "echo%20%24PPID").0.is_empty(), pid.is_empty());
    assert_eq!(id(&one.until_alloc("steady", "running")), alloc);
    let stopped = one.call("DELETE", "/v1/job/steady", None);
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    server.until_alloc("steady", "complete");
    let refused = server.cli(&["alloc", "exec", "-task", "task", &alloc, "true"]);
    assert!(refused.code == 1 && refused.error.contains("not running"), "{refused:?}");
}

/// The running allocation of a job, seen with a token.
fn running(agent: &Agent, token: &str, job: &str) -> String {
    for _ in 0..1_000 {
        let allocs = with(agent, token, "GET", &format!("/v1/job/{job}/allocations"), &Value::Null).json();
        if let Some(alloc) = allocs.as_array().and_then(|allocs| allocs.iter().find(|alloc| alloc["ClientStatus"] == "running")) {
            return id(alloc);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{job} does not run:\n{}", agent.log());
}

#[proves("ACL-037", "ACL-038")]
#[test]
fn a_task_shows_its_identity_and_may_do_what_policies_attached_to_it_say() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let server = Agent::start_with(&at("server"), Mode::DurableServer, "acl { enabled = true }", &[]);
    let one = client(&at("one"), "one", &server, "acl { enabled = true }");
    let management = server.call("POST", "/v1/acl/bootstrap", None).json()["SecretID"].as_str().unwrap().to_owned();
    let job = |name: &str| {
        let mut job = service(name, "one");
        let task = &mut job["TaskGroups"][0]["Tasks"][0];
        task["Config"]["args"][1] = json!("echo $NOMAD_TOKEN; cat $NOMAD_SECRETS_DIR/nomad_token; echo; exec sleep 1000");
        task["Identity"] = json!({"Env": true, "File": true});
        job
    };
    let done = |reply: http::Reply| assert_eq!(reply.status, 200, "{}", reply.text());
    let policy = json!({
        "Name": "worker", "Rules": "namespace \"default\" { capabilities = [\"read-job\"] }",
        "JobACL": {"Namespace": "default", "JobID": "tender", "Group": "group", "Task": "task"}});
    done(with(&server, &management, "PUT", "/v1/acl/policy/worker", &policy));
    done(with(&server, &management, "PUT", "/v1/var/nomad/jobs/tender", &json!({"Path": "nomad/jobs/tender", "Items": {"k": "v"}})));
    done(with(&server, &management, "PUT", "/v1/var/farm/own", &json!({"Path": "farm/own", "Items": {"k": "v"}})));
    let identity = |name: &str| {
        done(with(&server, &management, "PUT", "/v1/jobs", &json!({"Job": job(name)})));
        let alloc = running(&server, &management, name);
        for _ in 0..600 {
            let log =
                with(&server, &management, "GET", &format!("/v1/client/fs/logs/{alloc}?task=task&type=stdout&plain=true"), &Value::Null);
            let lines: Vec<String> = log.text().lines().map(str::to_owned).collect();
            if let [env, file] = &lines[..] {
                assert_eq!(env, file);
                return env.clone();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{name} does not say who it is");
    };
    let (tender, other) = (identity("tender"), identity("other"));
    for agent in [&server, &one] {
        let status = |token: &str, path: &str| with(agent, token, "GET", path, &Value::Null).status;
        let own = with(agent, &tender, "GET", "/v1/acl/policy/self", &Value::Null);
        assert_eq!((own.status, &own.json()[0]["Name"], &own.json()[0]["JobACL"]["JobID"]), (200, &json!("worker"), &json!("tender")));
        assert_eq!(with(agent, &other, "GET", "/v1/acl/policy/self", &Value::Null).json(), json!([]));
        let whose = with(agent, &tender, "GET", "/v1/acl/token/self", &Value::Null);
        assert_eq!((whose.status, whose.text().as_str()), (404, "ACL token not found"));
        assert_eq!([status(&tender, "/v1/acl/policy/worker"), status(&other, "/v1/acl/policy/worker")], [200, 403]);
        assert_eq!([status(&tender, "/v1/job/tender"), status(&other, "/v1/job/tender")], [200, 403]);
        assert_eq!([status(&tender, "/v1/nodes"), status(&tender, "/v1/services"), status(&other, "/v1/services")], [403, 200, 200]);
        let (own, foreign) = ("/v1/var/nomad/jobs/tender", "/v1/var/farm/own");
        assert_eq!([status(&tender, own), status(&other, own), status(&tender, foreign)], [200, 403, 403]);
        let missing = with(agent, &tender, "GET", "/v1/var/nomad/jobs/tender/group/task", &Value::Null);
        assert_eq!((missing.status, missing.text().as_str()), (404, "variable not found"));
        // One letter of the signature, and it is nobody's.
        let forged = tender[..tender.len() - 3].to_owned() + if tender.ends_with("AAA") { "BBB" } else { "AAA" };
        assert_eq!([status(&forged, "/v1/job/tender"), status("a.b.c", "/v1/job/tender")], [403, 403]);
    }
    // It is good for nothing once the allocation is over.
    done(with(&server, &management, "DELETE", "/v1/job/tender", &Value::Null));
    let mut status = 200;
    for _ in 0..600 {
        status = with(&server, &tender, "GET", "/v1/services", &Value::Null).status;
        if status == 403 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(status, 403);
}

#[proves("ACL-007")]
#[test]
fn a_client_holds_callers_to_what_the_servers_say_even_when_they_are_away() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let acl = "acl { enabled = true }";
    let mut server = Agent::start_with(&at("server"), Mode::DurableServer, acl, &[]);
    let one = client(&at("one"), "one", &server, "acl {\n enabled = true\n token_ttl = \"1s\"\n}");
    let management = one.call("POST", "/v1/acl/bootstrap", None).json()["SecretID"].as_str().unwrap().to_owned();
    let done = |reply: http::Reply| {
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    };
    done(with(&one, &management, "PUT", "/v1/jobs", &json!({"Job": service("held", "one")})));
    let alloc = running(&one, &management, "held");
    let policy = |name: &str, rules: &str| json!({"Name": name, "Rules": rules});
    done(with(
        &one,
        &management,
        "PUT",
        "/v1/acl/policy/reads",
        &policy("reads", "namespace \"default\" { capabilities = [\"read-logs\"] }"),
    ));
    done(with(
        &one,
        &management,
        "PUT",
        "/v1/acl/policy/lists",
        &policy("lists", "namespace \"default\" { capabilities = [\"list-jobs\"] }"),
    ));
    let token = |name: &str| {
        let made = done(with(&one, &management, "PUT", "/v1/acl/token", &json!({"Name": name, "Type": "client", "Policies": [name]})));
        made.json()["SecretID"].as_str().unwrap().to_owned()
    };
    let (reads, lists) = (token("reads"), token("lists"));
    let logs = format!("/v1/client/fs/logs/{alloc}?task=task&type=stdout&plain=true");
    for agent in [&one, &server] {
        for (token, status) in [(reads.as_str(), 200), (lists.as_str(), 403), ("", 403), ("not-a-token", 403), (management.as_str(), 200)] {
            let reply = with(agent, token, "GET", &logs, &Value::Null);
            assert_eq!(reply.status, status, "{token:?}: {}", reply.text());
        }
    }
    // What is kept of a token ends; then the servers are asked again, and if they cannot be, their last word holds.
    server.kill();
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    assert_eq!(with(&one, &reads, "GET", &logs, &Value::Null).status, 200);
    assert_eq!(with(&one, &lists, "GET", &logs, &Value::Null).status, 403);
    assert_eq!(with(&one, "never-seen", "GET", &logs, &Value::Null).status, 500);
    server.launch();
    server.wait_ready();
    done(with(
        &server,
        &management,
        "PUT",
        "/v1/acl/policy/reads",
        &policy("reads", "namespace \"default\" { capabilities = [\"list-jobs\"] }"),
    ));
    let mut status = 200;
    for _ in 0..600 {
        status = with(&one, &reads, "GET", &logs, &Value::Null).status;
        if status == 403 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(status, 403);
}

#[test]
fn a_client_that_knows_no_servers_says_how_to_name_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut alone = Agent::prepare(directory.path(), Mode::DurableClient, "", &[]);
    alone.launch();
    assert_eq!(alone.wait_exit(), 1);
    assert!(alone.log().contains("client { servers = ["), "{}", alone.log());
}
