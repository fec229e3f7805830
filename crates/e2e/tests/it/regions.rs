//! Two regions of one server each: requests passed on, streams, writes that are of all regions, and what is copied.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use drover_api::websocket::Message;
use drover_e2e::golden::{command_row, compare_lines, exercised, records};
use drover_e2e::websocket::Conversation;
use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::{Value, json};

const COMMANDS: &str = include_str!("../../../../testdata/golden/cli-regions.jsonl");

fn server(base: &Path, region: &str, more: &str) -> Agent {
    Agent::start_with(&base.join(region), Mode::Durable, &format!("name = \"of-{region}\"\nregion = \"{region}\"\n{more}"), &[])
}

/// A server that is told of another one.
fn joined(base: &Path, region: &str, to: &Agent, more: &str) -> Agent {
    let join = format!("server {{\n server_join {{\n retry_join = [\"{}\"]\n retry_interval = \"2s\"\n }}\n}}\n{more}", to.channel);
    server(base, region, &join)
}

fn job(name: &str, script: &str) -> Value {
    json!({
        "ID": name, "Name": name, "Type": "service", "Datacenters": ["dc1"],
        "TaskGroups": [{"Name": "group", "Count": 1, "Tasks": [{
            "Name": "task", "Driver": "raw_exec", "Config": {"command": "/bin/sh", "args": ["-c", script]},
            "Resources": {"CPU": 20, "MemoryMB": 16}}]}],
    })
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

fn done(reply: http::Reply) -> http::Reply {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

/// Asks until an answer fits.
fn until(what: &str, agent: &Agent, ask: impl Fn() -> http::Reply, fits: impl Fn(&http::Reply) -> bool) -> http::Reply {
    for _ in 0..600 {
        let reply = ask();
        if fits(&reply) {
            return reply;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = ask();
    panic!("{what}: {} {}\n{}", last.status, last.text(), agent.log());
}

fn know_each_other(one: &Agent, two: &Agent, regions: &Value) {
    for agent in [one, two] {
        agent.until("/v1/regions", "both regions", |found| found == regions);
    }
}

fn refused(reply: &http::Reply) {
    assert_eq!((reply.status, reply.text().as_str()), (500, "No path to region"));
}

/// A stream that goes on, read by lines.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(agent: &Agent, token: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(agent.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Nomad-Token: {token}\r\n\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{path}: {line}");
        Self(reader)
    }

    /// The next line that holds a text; none when the stream ends before.
    fn line_with(&mut self, text: &str) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            match self.0.read_line(&mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) if line.contains(text) => return Some(line),
                Ok(_) => {}
            }
        }
    }

    /// Whether it ends without the part that says that it is whole.
    fn breaks_off(&mut self) -> bool {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).is_ok() && !rest.ends_with(b"0\r\n\r\n")
    }
}

#[test]
fn a_request_for_another_region_is_answered_there() {
    let directory = tempfile::tempdir().unwrap();
    let west = server(directory.path(), "west", "");
    let mut east = joined(directory.path(), "east", &west, "");
    know_each_other(&west, &east, &json!(["east", "west"]));

    // The list of servers is the same everywhere, and the command shows both.
    let names = |agent: &Agent| -> Vec<String> {
        let members = agent.get("/v1/agent/members");
        let mut names: Vec<String> =
            members["Members"].as_array().unwrap().iter().map(|member| member["Name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!((names(&west), names(&east)), (vec!["of-east.east".to_owned(), "of-west.west".to_owned()], names(&west)));
    let listed = west.cli(&["server", "members"]);
    assert!(listed.code == 0 && listed.out.contains("of-east.east") && listed.out.contains("of-west.west"), "{listed:?}");

    // It has no jobs yet, and says so as recorded.
    let recorded = &records(COMMANDS)["474-job-status-other-region"];
    let line = recorded["command"].as_str().unwrap().strip_prefix("nomad ").unwrap();
    let told = east.cli(&line.split(' ').collect::<Vec<_>>());
    exercised("cli", command_row(line), "drover_e2e::it::regions::a_request_for_another_region_is_answered_there");
    let mut wrong = Vec::new();
    compare_lines("stdout", recorded["stdout"].as_str().unwrap(), &told.out, &mut wrong);
    compare_lines("stderr", recorded["stderr"].as_str().unwrap(), &told.error, &mut wrong);
    assert!(told.code == 0 && wrong.is_empty(), "{told:?}: {wrong:?}");

    // A job of the other region, by the query, by what is around it, and by what it says; none of them is here.
    let script = "echo hello from $NOMAD_REGION; while true; do sleep 0.1; done";
    let body = |name: &str| json!({"Job": job(name, script)});
    done(west.call("PUT", "/v1/jobs?region=east", Some(&body("by-query"))));
    let mut around = body("by-wrapper");
    around["Region"] = json!("east");
    done(west.call("PUT", "/v1/jobs?region=west", Some(&around)));
    let mut inside = body("by-itself");
    inside["Job"]["Region"] = json!("east");
    let planned = done(west.call("PUT", "/v1/job/by-itself/plan", Some(&inside))).json();
    assert!(planned["JobModifyIndex"].is_number(), "{planned}");
    done(west.call("PUT", "/v1/jobs", Some(&inside)));
    assert_eq!(west.get("/v1/jobs"), json!([]));
    assert_eq!(east.get("/v1/jobs").as_array().unwrap().len(), 3);
    assert_eq!(west.get("/v1/job/by-itself?region=east")["Region"], "east");
    // The query beats what the job says.
    inside["Job"]["ID"] = json!("stays");
    done(west.call("PUT", "/v1/jobs?region=west", Some(&inside)));
    assert_eq!(west.get("/v1/job/stays")["Region"], "west");

    // What only a node of the other region knows: its files, its log as it grows, and a conversation with a task.
    let alloc = east.until_alloc("by-query", "running")["ID"].as_str().unwrap().to_owned();
    let ls = west.get(&format!("/v1/client/fs/ls/{alloc}?path=alloc/logs&region=east"));
    assert!(ls.as_array().unwrap().iter().any(|file| file["Name"] == "task.stdout.0"), "{ls}");
    let mut log = Stream::open(&west, "", &format!("/v1/client/fs/logs/{alloc}?task=task&type=stdout&follow=true&plain=true&region=east"));
    assert!(log.line_with("hello from east").is_some());
    let command = "%5B%22%2Fbin%2Fsh%22%2C%22-c%22%2C%22echo%20%24NOMAD_REGION%3B%20exit%207%22%5D";
    let mut talk =
        Conversation::open(west.address, &format!("/v1/client/allocation/{alloc}/exec?task=task&tty=false&region=east&command={command}"))
            .unwrap();
    let mut code = None;
    while let Some(Message::Text(bytes)) = talk.hear() {
        let frame: Value = serde_json::from_slice(&bytes).unwrap();
        if frame["exited"] == true {
            code = frame["result"]["exit_code"].as_i64();
        }
    }
    assert_eq!(code, Some(7));
    let told = west.cli(&["alloc", "exec", "-region", "east", "-task", "task", &alloc, "/bin/echo", "over there"]);
    assert_eq!((told.code, told.out.as_str()), (0, "over there\n"), "{}", told.error);
    let status = west.cli(&["job", "status", "-region", "east", "by-query"]);
    assert!(status.code == 0 && status.out.contains("by-query"), "{status:?}");

    // A held read waits over there.
    let index = done(west.call("GET", "/v1/jobs?region=east", None)).header("x-nomad-index").unwrap().to_owned();
    let address = west.address;
    let held =
        std::thread::spawn(move || http::call(address, "GET", &format!("/v1/jobs?region=east&index={index}&wait=60s"), None).unwrap());
    done(east.call("DELETE", "/v1/job/by-wrapper?purge=true", None));
    let held = held.join().unwrap();
    assert_eq!((held.status, held.json().as_array().unwrap().iter().filter(|job| job["Stop"] == false).count()), (200, 2));

    // What nobody knows a way to, and what was passed on once already.
    refused(&west.call("GET", "/v1/jobs?region=north", None));
    refused(&west.call("PUT", "/v1/jobs", Some(&json!({"Region": "north", "Job": job("x", "true")}))));
    let circle = b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Drover-Region: east\r\n\r\n";
    refused(&http::raw(west.address, circle).unwrap());
    let missing = west.call("GET", "/v1/job/none?region=east", None);
    assert_eq!((missing.status, missing.text().as_str()), (404, "job not found"));

    // Killed: a stream in the middle of it ends without its end, requests are refused, and it comes back by itself.
    east.kill();
    assert!(log.breaks_off(), "a log that is not whole looks like one");
    refused(&west.call("GET", "/v1/jobs?region=east", None));
    west.until("/v1/regions", "the loss", |regions| *regions == json!(["west"]));
    let lost = west.get("/v1/agent/members");
    let status: Vec<&Value> = lost["Members"].as_array().unwrap().iter().map(|member| &member["Status"]).collect();
    assert_eq!(status, ["alive", "failed"]);
    assert!(west.log().contains("server of another region is lost"));
    east.launch();
    east.wait_ready();
    know_each_other(&west, &east, &json!(["east", "west"]));
    assert_eq!(west.get("/v1/job/by-query?region=east")["ID"], "by-query");
    // The other one of the two, which was not told of the first, finds it again as well.
    let mut west = west;
    west.kill();
    east.until("/v1/regions", "the loss", |regions| *regions == json!(["east"]));
    west.launch();
    west.wait_ready();
    know_each_other(&west, &east, &json!(["east", "west"]));
    for name in ["by-query", "by-itself", "stays"] {
        let region = if name == "stays" { "west" } else { "east" };
        done(west.call("DELETE", &format!("/v1/job/{name}?region={region}"), None));
    }
}

#[test]
fn regions_hear_of_each_other_through_a_third_and_clients_reach_all() {
    let directory = tempfile::tempdir().unwrap();
    let west = server(directory.path(), "west", "");
    let east = joined(directory.path(), "east", &west, "");
    let north = joined(directory.path(), "north", &west, "");
    let all = json!(["east", "north", "west"]);
    know_each_other(&east, &north, &all);
    know_each_other(&west, &north, &all);
    // A client of one asks another region through its server.
    let config = format!("region = \"east\"\nname = \"client\"\nclient {{ servers = [\"{}\"] }}", east.channel);
    let client = Agent::start_with(&directory.path().join("client"), Mode::DurableClient, &config, &[]);
    assert_eq!(client.get("/v1/regions"), all);
    let through = client.get("/v1/nodes?region=north");
    assert!(through == north.get("/v1/nodes") && through != client.get("/v1/nodes"), "{through}");
    refused(&client.call("GET", "/v1/nodes?region=south", None));
    // Of a second server of a region, both say what is the matter.
    let second = directory.path().join("second");
    let config = format!("region = \"west\"\nname = \"second\"\nserver {{\n server_join {{ retry_join = [\"{}\"] }}\n}}", west.channel);
    let second = Agent::start_with(&second, Mode::DurableServer, &config, &[]);
    until(
        "told of the other server",
        &second,
        || second.call("GET", "/v1/regions", None),
        |_| second.log().contains("region west has server of-west already"),
    );
    assert_eq!(second.get("/v1/regions"), json!(["west"]));
}

const MANAGEMENT: &str = "5f1c8f9e-0000-4000-8000-00000000beef";

/// A region that writes for both, and one that copies from it.
fn guarded(base: &Path) -> (Agent, Agent) {
    let west = server(base, "west", "acl { enabled = true }");
    done(west.call("PUT", "/v1/acl/bootstrap", Some(&json!({"BootstrapSecret": MANAGEMENT}))));
    let east = follower(base, "east", &west, MANAGEMENT);
    know_each_other(&west, &east, &json!(["east", "west"]));
    until(
        "the copy of the first token",
        &east,
        || with(&east, MANAGEMENT, "GET", "/v1/acl/token/self", &Value::Null),
        |reply| reply.status == 200,
    );
    (west, east)
}

fn follower(base: &Path, region: &str, to: &Agent, token: &str) -> Agent {
    let more = format!("server {{ authoritative_region = \"west\" }}\nacl {{\n enabled = true\n replication_token = \"{token}\"\n}}");
    joined(base, region, to, &more)
}

/// Makes a token and returns its secret and accessor.
fn token(agent: &Agent, path: &str, body: &Value) -> (String, String) {
    let made = done(with(agent, MANAGEMENT, "PUT", path, body)).json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("SecretID"), text("AccessorID"))
}

fn put_policy(agent: &Agent, name: &str, rules: &str) {
    done(with(agent, MANAGEMENT, "PUT", &format!("/v1/acl/policy/{name}"), &json!({"Name": name, "Rules": rules})));
}

/// Waits until a request of a token has a status.
fn until_status(agent: &Agent, token: &str, path: &str, status: u16) -> http::Reply {
    until(&format!("{path} {status}"), agent, || with(agent, token, "GET", path, &Value::Null), |reply| reply.status == status)
}

#[proves("EVT-011")]
#[test]
fn an_event_stream_of_another_region_is_passed_on_and_ends_with_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let (west, mut east) = guarded(directory.path());
    put_policy(&west, "watch", "namespace \"default\" { policy = \"read\" }");
    until_status(&east, MANAGEMENT, "/v1/acl/policy/watch", 200);
    let body = json!({"Name": "watcher", "Type": "client", "Policies": ["watch"]});
    let (watcher, accessor) = token(&west, "/v1/acl/token?region=east", &body);
    let path = "/v1/event/stream?topic=Job&region=east";
    let mut events = Stream::open(&west, &watcher, path);
    let mut all = Stream::open(&west, MANAGEMENT, path);
    // Those of the other region come, and none of this one.
    let mut job = job("seen", "true");
    job["Type"] = json!("batch");
    done(with(&west, MANAGEMENT, "PUT", "/v1/jobs?region=west", &json!({"Job": job})));
    job["ID"] = json!("looked-for");
    done(with(&west, MANAGEMENT, "PUT", "/v1/jobs?region=east", &json!({"Job": job})));
    for stream in [&mut events, &mut all] {
        let first = stream.line_with("JobRegistered").expect("the job is told of");
        assert!(first.contains("\"Key\":\"looked-for\"") && !first.contains("\"Key\":\"seen\""), "{first}");
    }
    // It is held to the rights over there: whoever has none is told the same as there.
    for stranger in ["", "5f1c8f9e-0000-4000-8000-00000000dead"] {
        let ask = |agent: &Agent| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Nomad-Token: {stranger}\r\n\r\n");
            let reply = http::raw(agent.address, head.as_bytes()).unwrap();
            (reply.status, reply.text())
        };
        let (through, there) = (ask(&west), ask(&east));
        assert_eq!(through, there);
        // A stream that ends at once, as everywhere.
        assert_eq!(through, (200, String::new()));
    }
    // The token goes, and its stream with it; the other one goes on until the region is lost.
    done(with(&west, MANAGEMENT, "DELETE", &format!("/v1/acl/token/{accessor}?region=east"), &Value::Null));
    assert_eq!(events.line_with("never told"), None);
    job["ID"] = json!("later");
    done(with(&east, MANAGEMENT, "PUT", "/v1/jobs", &json!({"Job": job})));
    assert!(all.line_with("later").is_some());
    east.kill();
    assert_eq!(all.line_with("never told"), None);
}

#[proves("ACL-004")]
#[test]
fn what_all_regions_share_is_written_in_the_authoritative_one() {
    let directory = tempfile::tempdir().unwrap();
    let (mut west, east) = guarded(directory.path());
    let put = |agent: &Agent, token: &str, path: &str, body: Value| with(agent, token, "PUT", path, &body);
    let read = |agent: &Agent, path: &str| with(agent, MANAGEMENT, "GET", path, &Value::Null);
    let rules = "namespace \"default\" { policy = \"read\" }";

    // Through the other region, with the caller's token: it is there when the answer is, and copied a little later. A region in the query
    // makes no difference.
    done(put(&east, MANAGEMENT, "/v1/acl/policy/readers", json!({"Name": "readers", "Rules": rules})));
    assert_eq!(read(&west, "/v1/acl/policy/readers").status, 200);
    let role = done(put(&east, MANAGEMENT, "/v1/acl/role?region=east", json!({"Name": "staff", "Policies": [{"Name": "readers"}]}))).json();
    let role_path = format!("/v1/acl/role/{}", role["ID"].as_str().unwrap());
    assert_eq!(read(&west, &role_path).json()["Name"], "staff");
    let method = json!({
        "Name": "door", "Type": "OIDC", "TokenLocality": "global", "MaxTokenTTL": "1h",
        "Config": {"OIDCDiscoveryURL": "http://127.0.0.1:9", "OIDCClientID": "x", "OIDCClientSecret": "hush", "AllowedRedirectURIs": ["http://127.0.0.1"]}});
    done(put(&east, MANAGEMENT, "/v1/acl/auth-method", method));
    assert_eq!(read(&west, "/v1/acl/auth-method/door").status, 200);
    let rule =
        done(put(&east, MANAGEMENT, "/v1/acl/binding-rule", json!({"AuthMethod": "door", "BindType": "policy", "BindName": "readers"})))
            .json();
    let rule_path = format!("/v1/acl/binding-rule/{}", rule["ID"].as_str().unwrap());
    assert_eq!(read(&west, &rule_path).status, 200);
    done(put(&east, MANAGEMENT, "/v1/namespace", json!({"Name": "barn"})));
    assert_eq!(read(&west, "/v1/namespace/barn").status, 200);
    done(put(&east, MANAGEMENT, "/v1/node/pools", json!({"Name": "big"})));
    assert_eq!(read(&west, "/v1/node/pool/big").status, 200);
    let (_, global) = token(&east, "/v1/acl/token", &json!({"Name": "all", "Type": "client", "Global": true, "Policies": ["readers"]}));
    let global_path = format!("/v1/acl/token/{global}");
    assert_eq!(read(&west, &global_path).json()["Global"], true);
    let paths = [
        "/v1/acl/policy/readers",
        &role_path,
        "/v1/acl/auth-method/door",
        &rule_path,
        "/v1/namespace/barn",
        "/v1/node/pool/big",
        &global_path,
    ];
    for path in paths {
        until_status(&east, MANAGEMENT, path, 200);
    }
    // The command line does not notice either.
    let policy = directory.path().join("policy.hcl");
    std::fs::write(&policy, rules).unwrap();
    let applied = east.cli(&["acl", "policy", "apply", "-token", MANAGEMENT, "by-command", policy.to_str().unwrap()]);
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(read(&west, "/v1/acl/policy/by-command").status, 200);
    let again = east.call("PUT", "/v1/acl/bootstrap", None);
    assert!(again.status == 400 && again.text().contains("ACL bootstrap already done"), "{}", again.text());

    // A local token is written where it is asked for, and has no say about what all share.
    let (manager, accessor) = token(&east, "/v1/acl/token", &json!({"Name": "here", "Type": "management"}));
    assert_eq!(
        [read(&east, &format!("/v1/acl/token/{accessor}")).status, read(&west, &format!("/v1/acl/token/{accessor}")).status],
        [200, 404]
    );
    let denied = put(&east, &manager, "/v1/acl/policy/mine", json!({"Name": "mine", "Rules": rules}));
    assert_eq!((denied.status, denied.text().as_str()), (403, "Permission denied"));
    for stranger in ["", "5f1c8f9e-0000-4000-8000-00000000dead"] {
        assert_eq!(put(&east, stranger, "/v1/namespace", json!({"Name": "mine"})).status, 403);
    }
    assert_eq!([read(&west, "/v1/acl/policy/mine").status, read(&west, "/v1/namespace/mine").status], [404, 404]);

    // Deleted through the other region as well.
    for path in paths.iter().rev() {
        done(with(&east, MANAGEMENT, "DELETE", path, &Value::Null));
        assert_eq!(read(&west, path).status, 404, "{path}");
        until_status(&east, MANAGEMENT, path, 404);
    }
    // Nothing of it is written here while the other region is away; what is local is.
    west.kill();
    refused(&put(&east, MANAGEMENT, "/v1/acl/policy/late", json!({"Name": "late", "Rules": rules})));
    refused(&put(&east, MANAGEMENT, "/v1/acl/token", json!({"Type": "management", "Global": true})));
    refused(&put(&east, MANAGEMENT, "/v1/namespace", json!({"Name": "late"})));
    token(&east, "/v1/acl/token", &json!({"Name": "still", "Type": "management"}));
    west.launch();
    west.wait_ready();
    until("a write again", &east, || put(&east, MANAGEMENT, "/v1/namespace", json!({"Name": "late"})), |reply| reply.status == 200);
}

#[proves("ACL-033")]
#[test]
fn global_tokens_are_good_everywhere_and_local_ones_at_home() {
    let directory = tempfile::tempdir().unwrap();
    let (mut west, mut east) = guarded(directory.path());
    put_policy(&west, "readers", "namespace \"default\" { policy = \"read\" }");
    let client = |name: &str, global: bool| json!({"Name": name, "Type": "client", "Global": global, "Policies": ["readers"], "ExpirationTTL": "2h"});
    let (global, accessor) = token(&west, "/v1/acl/token", &client("everywhere", true));
    let (of_west, _) = token(&west, "/v1/acl/token", &client("west", false));
    let (of_east, local) = token(&east, "/v1/acl/token", &client("east", false));
    until_status(&east, &global, "/v1/jobs", 200);
    assert_eq!(with(&west, &global, "GET", "/v1/jobs", &Value::Null).status, 200);
    let status = |agent: &Agent, token: &str, path: &str| with(agent, token, "GET", path, &Value::Null).status;
    assert_eq!(
        [status(&west, &of_west, "/v1/jobs"), status(&east, &of_west, "/v1/jobs"), status(&west, &of_west, "/v1/jobs?region=east")],
        [200, 403, 403]
    );
    assert_eq!(
        [status(&east, &of_east, "/v1/jobs"), status(&west, &of_east, "/v1/jobs"), status(&west, &of_east, "/v1/jobs?region=east")],
        [200, 403, 200]
    );
    // The copy is the token itself.
    let shown = |agent: &Agent| {
        let mut token = with(agent, MANAGEMENT, "GET", &format!("/v1/acl/token/{accessor}"), &Value::Null).json();
        for index in ["CreateIndex", "ModifyIndex"] {
            token[index].take();
        }
        token
    };
    assert_eq!(shown(&west), shown(&east));
    assert_eq!(shown(&east)["SecretID"], global.as_str());

    // What a policy says follows, and so does what happens while the other region is away.
    put_policy(&west, "readers", "namespace \"default\" { policy = \"deny\" }");
    until_status(&east, &global, "/v1/jobs", 403);
    east.kill();
    put_policy(&west, "readers", "namespace \"default\" { policy = \"read\" }");
    let (second, of_second) = token(&west, "/v1/acl/token", &client("second", true));
    done(with(&west, MANAGEMENT, "DELETE", &format!("/v1/acl/token/{accessor}"), &Value::Null));
    east.launch();
    east.wait_ready();
    until_status(&east, &second, "/v1/jobs", 200);
    until_status(&east, &global, "/v1/jobs", 403);
    assert_eq!(status(&east, &of_east, "/v1/jobs"), 200, "a local token stays");
    // While the region that writes is away, its copies hold; once it is back, what it writes comes.
    west.kill();
    assert_eq!([status(&east, &second, "/v1/jobs"), status(&east, MANAGEMENT, "/v1/acl/tokens")], [200, 200]);
    west.launch();
    west.wait_ready();
    until("its return", &west, || west.call("GET", "/v1/status/leader", None), |reply| reply.status == 200);
    done(with(&west, MANAGEMENT, "DELETE", &format!("/v1/acl/token/{of_second}"), &Value::Null));
    until_status(&east, &second, "/v1/jobs", 403);
    assert_eq!(status(&east, MANAGEMENT, &format!("/v1/acl/token/{local}")), 200);

    // Whoever shows less than a management token of the authoritative region gets nothing.
    let north = follower(directory.path(), "north", &west, &of_west);
    until(
        "the refusal",
        &north,
        || north.call("GET", "/v1/regions", None),
        |_| north.log().contains("acl.replication_token is not a management token of the authoritative region"),
    );
    assert_eq!(status(&north, MANAGEMENT, "/v1/acl/policies"), 403);
    assert!(!north.log().contains(&of_west) && !east.log().contains(MANAGEMENT), "no secret is in a log");
    let shown = with(&east, MANAGEMENT, "GET", "/v1/agent/self", &Value::Null);
    assert_eq!((shown.status, &shown.json()["config"]["ACL"]["ReplicationToken"]), (200, &json!("<redacted>")));
}
