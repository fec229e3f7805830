//! Recorded requests and command lines about running tasks: their files, output, use of resources, restarts, signals, and
//! commands run beside them.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_api::websocket::Message;
use drover_e2e::golden::{command_row, compare, compare_lines, differing, exercised, judge, records, route_row, split};
use drover_e2e::websocket::Conversation;
use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::{Value, json};

const LIVE: &str = include_str!("../../../../testdata/golden/http-live.jsonl");
const COMMANDS: &str = include_str!("../../../../testdata/golden/cli-live.jsonl");

/// What a record's tokens stand for.
type Ids = BTreeMap<String, String>;

fn fill(text: &str, ids: &Ids) -> String {
    ids.iter().fold(text.to_owned(), |text, (token, id)| text.replace(token, id))
}

fn task(name: &str, script: &str) -> Value {
    json!({
        "Name": name, "Driver": "raw_exec", "KillTimeout": 2_000_000_000u64,
        "Config": {"command": "/bin/sh", "args": ["-c", script]}, "Resources": {"CPU": 20, "MemoryMB": 16},
        "LogConfig": {"MaxFiles": 2, "MaxFileSizeMB": 1},
    })
}

fn job(id: &str, kind: &str, group: &str, count: u64, tasks: &[Value]) -> Value {
    let update = (kind == "service").then(
        || json!({"MinHealthyTime": 120_000_000_000u64, "HealthyDeadline": 300_000_000_000u64, "ProgressDeadline": 600_000_000_000u64}),
    );
    let group = json!({
        "Name": group, "Count": count, "Tasks": tasks, "Update": update, "EphemeralDisk": {"SizeMB": 20},
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"}, "ReschedulePolicy": {"Attempts": 0, "Unlimited": false},
    });
    json!({"ID": id, "Name": id, "Type": kind, "Datacenters": ["*"], "TaskGroups": [group]})
}

const PEN: &str = r#"trap "exit 0" INT TERM; i=0; while [ $i -lt 40 ]; do echo "line $i"; echo "err $i" >&2; i=$((i+1)); done
cd "$NOMAD_TASK_DIR"; printf '<html><b>x</b></html>\n' >page.html; printf 'hello\000world' >bin.dat; mkdir sub; echo deep >sub/deep.txt
while true; do sleep 1; done"#;
const IDLE: &str = "while true; do sleep 1; done";

fn start(base: &std::path::Path) -> Agent {
    Agent::start_with(base, Mode::Dev, "name = \"pasture\"\nclient { meta { rack = \"r7\" } }", &[])
}

fn running(agent: &Agent, job: &str) -> String {
    agent.until_tasks_run(job)["ID"].as_str().unwrap().to_owned()
}

/// JSON objects one after another: heartbeats left out, data of one file put together.
fn frames(body: &[Value]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for frame in body.iter().filter(|frame| **frame != json!({})) {
        let data = |frame: &Value| frame["Data"].as_str().map(|data| STANDARD.decode(data).unwrap());
        match (out.last_mut(), data(frame)) {
            (Some(last), Some(more)) if last["File"] == frame["File"] && last["Data"].is_string() => {
                let whole = [data(last).unwrap(), more].concat();
                *last = frame.clone();
                last["Data"] = json!(STANDARD.encode(whole));
            }
            _ => out.push(frame.clone()),
        }
    }
    out
}

fn objects(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().map_while(Result::ok).collect()
}

/// Sends the request of a record; where the answer is not as recorded.
fn replay(agent: &Agent, record: &Value, ids: &Ids) -> Vec<String> {
    let (asked, expected) = (&record["request"], &record["response"]);
    let row = route_row(asked["method"].as_str().unwrap(), asked["path"].as_str().unwrap());
    exercised("http-api", row, "drover_e2e::it::live::requests_about_running_tasks_are_answered_as_recorded");
    let path = fill(asked["path"].as_str().unwrap(), ids);
    if expected["status"] == 101 {
        return converse(agent, &path, expected["body"].as_array().unwrap());
    }
    let body = match &asked["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let mut head = format!(
        "{} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
        asked["method"].as_str().unwrap(),
        body.len()
    );
    for (name, value) in asked["headers"].as_object().into_iter().flatten() {
        head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
    }
    let follows = record["name"].as_str().unwrap().contains("follow-") || record["name"].as_str().unwrap().contains("alloc-id-follow");
    let wanted = expected["body"].as_str().map_or(usize::MAX, str::len);
    let enough = |body: &[u8]| follows && (body.ends_with(b"{}") || body.len() >= wanted);
    let reply = http::raw_until(agent.address, format!("{head}\r\n{body}").as_bytes(), enough).unwrap();
    let mut out = Vec::new();
    if expected["status"] != u64::from(reply.status) {
        return vec![format!("status {} {}, recorded {} {}", reply.status, reply.text(), expected["status"], expected["body"])];
    }
    for name in ["Content-Type", "Content-Encoding", "Content-Security-Policy", "X-Content-Type-Options", "X-Xss-Protection", "Vary"] {
        let (recorded, answered) = (expected["headers"][name].as_str(), reply.header(&name.to_ascii_lowercase()));
        if recorded != answered {
            out.push(format!("{name}: {answered:?}, recorded {recorded:?}"));
        }
    }
    let mut text = reply.text();
    if reply.header("content-encoding") == Some("gzip") {
        text.clear();
        flate2::read::GzDecoder::new(reply.body.as_slice()).read_to_string(&mut text).unwrap();
    }
    let streamed = (path.contains("/fs/logs/") || path.contains("/fs/stream/")) && !expected["body"].is_string();
    if streamed {
        let recorded = expected["body"].as_array().cloned().unwrap_or_else(|| vec![expected["body"].clone()]);
        compare("", &json!(frames(&recorded)), &json!(frames(&objects(&text))), &mut out);
    } else {
        let answered = serde_json::from_str(&text).ok().filter(|_| !expected["body"].is_string()).unwrap_or_else(|| json!(text));
        compare("", &expected["body"], &answered, &mut out);
    }
    out
}

/// What the agent said in a conversation, in a form that does not depend on how output was cut into parts.
fn told<'a>(messages: impl Iterator<Item = &'a Value>) -> Value {
    let (mut out, mut error, mut closed, mut last) = (Vec::new(), Vec::new(), Vec::new(), Value::Null);
    for message in messages {
        for (stream, text) in [("stdout", &mut out), ("stderr", &mut error)] {
            if let Some(data) = message[stream]["data"].as_str() {
                text.extend(STANDARD.decode(data).unwrap());
            }
            if message[stream]["close"] == true {
                closed.push(stream);
            }
        }
        if message["exited"] == true || message["code"].is_number() {
            last = message.clone();
        }
    }
    closed.sort_unstable();
    json!({"stdout": String::from_utf8_lossy(&out), "stderr": String::from_utf8_lossy(&error), "closed": closed, "last": last})
}

/// What one message of the agent says.
fn said(message: Message) -> Value {
    match message {
        Message::Close(code, reason) => json!({"code": code, "reason": reason}),
        Message::Text(text) => serde_json::from_slice(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn converse(agent: &Agent, path: &str, messages: &[Value]) -> Vec<String> {
    let mut conversation = Conversation::open(agent.address, path).unwrap();
    let mut heard = Vec::new();
    let mut until = |conversation: &mut Conversation, wanted: &[String]| {
        while !wanted.iter().any(|wanted| told(heard.iter())["stdout"].as_str().unwrap().contains(wanted)) {
            heard.push(said(conversation.hear().unwrap()));
        }
    };
    let (mut size, mut prompted) = (String::new(), false);
    for message in messages.iter().filter(|message| message["dir"] == "client") {
        let text = message["data"].as_str().unwrap();
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        if frame["tty_size"].is_object() {
            size = format!("{} {}\r\n", frame["tty_size"]["height"], frame["tty_size"]["width"]);
        }
        // Somebody at a terminal types when the shell asks, and reads what it says.
        let typed = frame["stdin"]["data"].as_str().filter(|_| !size.is_empty());
        if typed.is_some() && !prompted {
            until(&mut conversation, &["# ".to_owned(), "$ ".to_owned()]);
            prompted = true;
        }
        conversation.say(text).unwrap();
        if typed.is_some_and(|data| STANDARD.decode(data).unwrap().ends_with(b"stty size\n")) {
            until(&mut conversation, std::slice::from_ref(&size));
        }
    }
    while let Some(message) = conversation.hear() {
        heard.push(said(message));
    }
    let recorded: Vec<Value> = messages
        .iter()
        .filter(|message| message["dir"] == "server")
        .map(|message| match message["opcode"].as_str() {
            Some("text") => serde_json::from_str(message["data"].as_str().unwrap()).unwrap(),
            Some("close") => json!({"code": message["code"], "reason": message["reason"]}),
            _ => json!({}),
        })
        .collect();
    let (recorded, mut heard) = (told(recorded.iter()), told(heard.iter()));
    // Only root is asked with this sign.
    if let Some(rest) = heard["stdout"].as_str().and_then(|text| text.strip_prefix("$ ")).filter(|_| prompted) {
        heard["stdout"] = json!(format!("# {rest}"));
    }
    if recorded == heard { Vec::new() } else { vec![format!("{heard}, recorded {recorded}")] }
}

#[proves("ACT-004", "ACT-005", "ACT-011")]
#[test]
fn requests_about_running_tasks_are_answered_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let agent = start(directory.path());
    agent.register(job("scribe", "service", "desk", 1, &[task("pen", PEN), task("ink", IDLE)]));
    agent.register(job("weaver", "service", "loom", 1, &[task("spin", "trap \"exit 0\" INT TERM; while true; do sleep 1; done")]));
    agent.register(job("shear", "batch", "cut", 1, &[task("snip", "true")]));
    let mut acting = task("t", IDLE);
    acting["Actions"] =
        json!([{"Name": "greet", "Command": "/bin/sh", "Args": ["-c", "echo hi; exit 4"]}, {"Name": "who", "Command": "/usr/bin/id"}]);
    agent.register(job("acty", "service", "g", 1, &[acting]));
    let scribe = running(&agent, "scribe");
    let cut = agent.until_alloc("shear", "complete")["ID"].as_str().unwrap().to_owned();
    let node = agent.get("/v1/nodes")[0]["ID"].as_str().unwrap().to_owned();
    let ids: Ids = [
        ("<alloc-30>", scribe.clone()),
        ("<alloc-46>", running(&agent, "weaver")),
        ("<alloc-1>", running(&agent, "weaver")),
        ("<alloc-41>", running(&agent, "acty")),
        ("<alloc-51>", running(&agent, "acty")),
        ("<alloc-48>", cut),
        ("<node-1>", node),
    ]
    .into_iter()
    .map(|(token, id)| (token.to_owned(), id))
    .collect();
    agent.until(&format!("/v1/client/fs/stat/{scribe}?path=/pen/local/sub/deep.txt"), "the last file", |file| file["Size"] == 5);
    let all = records(LIVE);
    assert!(all.len() > 90, "{} records", all.len());
    let different = differing("http");
    let mut wrong = Vec::new();
    // What changes something comes after what looks at it, and what needs the garbage gone comes last.
    let order = |name: &str| match name {
        name if name.contains("after-gc") => 4,
        name if name.contains("gc-terminal") => 3,
        name if name.contains("client-gc-") => 5,
        name if name.ends_with("metadata-local") => 0,
        name if name.ends_with("metadata-set") => 2,
        name if name.ends_with("metadata-unset") => 3,
        name if name.ends_with("metadata-after-set") => 4,
        name if name.contains("restart") || name.contains("signal") => 2,
        _ => 1,
    };
    let mut sorted: Vec<(&String, &Value)> = all.iter().collect();
    sorted.sort_by_key(|(name, _)| (order(name), name.as_str()));
    // Two are about an allocation with a longer past.
    for (name, record) in sorted.into_iter().filter(|(name, _)| !name.starts_with("allocations/")) {
        judge(name, &replay(&agent, record, &ids), &different, &mut wrong);
        if name.contains("-restart-") {
            let path = format!("/v1/allocation/{}", ids["<alloc-46>"]);
            agent.until(&path, "the task to run again", |alloc| alloc["TaskStates"]["spin"]["State"] == "running");
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_users_ask_of_tasks_is_told_among_their_events_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let agent = start(directory.path());
    agent.register(job("weaver", "service", "loom", 1, &[task("spin", "trap \"exit 0\" INT TERM; while true; do sleep 1; done")]));
    let id = running(&agent, "weaver");
    let all = records(LIVE);
    let mut wrong = Vec::new();
    let asked = [("restarted-by-user", json!({"TaskName": "spin"})), ("signaled", json!({"AllTasks": true}))];
    for (restarts, (name, body)) in asked.into_iter().enumerate() {
        assert_eq!(agent.call("PUT", &format!("/v1/client/allocation/{id}/restart"), Some(&body)).status, 200);
        let alloc = agent.until(&format!("/v1/allocation/{id}"), "the task to run again", |alloc| {
            alloc["TaskStates"]["spin"]["State"] == "running" && alloc["TaskStates"]["spin"]["Restarts"] == restarts + 1
        });
        let name = format!("allocations/GET-allocation-alloc-id-{name}");
        let mut found = Vec::new();
        compare("", &all[&name]["response"]["body"]["TaskStates"], &alloc["TaskStates"], &mut found);
        judge(&name, &found, &differing("http"), &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[proves("ACT-008", "ACT-010")]
#[test]
fn a_session_in_a_terminal_is_resized_and_ends_with_the_caller_or_the_task() {
    let directory = tempfile::tempdir().unwrap();
    let agent = start(directory.path());
    agent.register(job("scribe", "service", "desk", 1, &[task("pen", IDLE)]));
    let id = running(&agent, "scribe");
    let path = |terminal: bool, script: &str| {
        let command = json!(["/bin/sh", "-c", script])
            .to_string()
            .replace('"', "%22")
            .replace(' ', "%20")
            .replace('$', "%24")
            .replace('&', "%26")
            .replace(';', "%3B");
        format!("/v1/client/allocation/{id}/exec?task=pen&tty={terminal}&command={command}")
    };
    let say = |text: &str| json!({"stdin": {"data": STANDARD.encode(text)}}).to_string();
    let until = |session: &mut Conversation, wanted: &str| {
        let mut text = String::new();
        while !text.contains(wanted) {
            let Some(Message::Text(message)) = session.hear() else { panic!("{wanted:?} did not come after {text:?}") };
            let message: Value = serde_json::from_slice(&message).unwrap();
            let data = message["stdout"]["data"].as_str().unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&STANDARD.decode(data).unwrap()));
        }
    };
    let mut session = Conversation::open(agent.address, &path(true, "exec /bin/sh")).unwrap();
    session.say(&json!({"tty_size": {"height": 30, "width": 100}}).to_string()).unwrap();
    session.say(&say("stty size\n")).unwrap();
    until(&mut session, "30 100");
    session.say(&json!({"tty_size": {"height": 41, "width": 121}}).to_string()).unwrap();
    session.say("{}").unwrap();
    session.say(&say("stty size\n")).unwrap();
    until(&mut session, "41 121");
    session.say(&say("exit 5\n")).unwrap();
    let mut last = Value::Null;
    while let Some(Message::Text(message)) = session.hear() {
        last = serde_json::from_slice(&message).unwrap();
    }
    assert_eq!(last, json!({"exited": true, "result": {"exit_code": 5}}));
    // The caller goes: so does the command.
    let mut left = Conversation::open(agent.address, &path(false, "echo pid $$; exec sleep 1000")).unwrap();
    let Some(Message::Text(message)) = left.hear() else { panic!("no output") };
    let message: Value = serde_json::from_slice(&message).unwrap();
    let shown = String::from_utf8(STANDARD.decode(message["stdout"]["data"].as_str().unwrap()).unwrap()).unwrap();
    let pid = shown.trim().strip_prefix("pid ").unwrap().to_owned();
    drop(left);
    let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(
        (0..500).any(|_| gone() || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            false
        }),
        "process {pid} stays"
    );
    assert_eq!(agent.get(&format!("/v1/allocation/{id}"))["ClientStatus"], "running");
    // The task goes: so does the session.
    let mut last = Conversation::open(agent.address, &path(false, "echo here; exec sleep 1000")).unwrap();
    until(&mut last, "here");
    agent.call("PUT", &format!("/v1/allocation/{id}/stop"), None);
    while last.hear().is_some_and(|message| !matches!(message, Message::Close(..))) {}
}

#[proves("ACT-006")]
#[test]
fn a_client_may_refuse_commands_from_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), Mode::Dev, "client { disable_remote_exec = true }", &[]);
    agent.register(job("scribe", "service", "desk", 1, &[task("pen", IDLE)]));
    let id = running(&agent, "scribe");
    let path = format!("/v1/client/allocation/{id}/exec?task=pen&command=[%22true%22]");
    let mut session = Conversation::open(agent.address, &path).unwrap();
    assert_eq!(session.hear(), Some(Message::Close(1008, "Permission denied".to_owned())));
    let refused = agent.cli(&["alloc", "exec", &id, "true"]);
    assert!(refused.code == 1 && refused.error.contains("Permission denied"), "{refused:?}");
}

/// Numbers of a measurement as one sign, and columns one blank apart: they are as wide as what is measured.
fn measured(text: &str) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with("Allocation Time") {
            return "Allocation Time = N".to_owned();
        }
        // An id may happen to have no letters.
        if line.split_once('=').is_some_and(|(name, _)| name.trim_end().ends_with("ID")) {
            return line.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let words = line.split_whitespace().map(|word| {
            let number = word.trim_end_matches("µs").trim_end_matches("ms").trim_end_matches('%');
            if !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit() || letter == '.' || letter == '#') {
                return "N".to_owned();
            }
            match word.split_once('/') {
                Some((used, rest)) if !used.is_empty() && used.chars().all(|letter| letter.is_ascii_digit() || "#.".contains(letter)) => {
                    format!("N/{rest}")
                }
                Some(("KiB", rest)) => format!("MiB/{rest}"),
                _ if word == "KiB" => "MiB".to_owned(),
                _ => word.to_owned(),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn commands_about_running_tasks_answer_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let agent = start(directory.path());
    let pen = r#"trap "exit 0" INT TERM; i=0; while [ $i -lt 15 ]; do echo "line $i"; i=$((i+1)); done; echo oops >&2; echo data >"$NOMAD_TASK_DIR/f.txt"; while true; do sleep 1; done"#;
    let scribe = |note: &str| {
        let mut job = job("scribe", "service", "desk", 1, &[task("pen", pen), task("ink", IDLE)]);
        job["Meta"] = json!({"note": note});
        job["TaskGroups"][0]["Meta"] = json!({"note": note});
        job
    };
    agent.register(scribe("a"));
    running(&agent, "scribe");
    agent.register(scribe("b"));
    let newest = |allocs: &Value| {
        let found = allocs.as_array().into_iter().flatten().find(|alloc| alloc["JobVersion"] == 1 && alloc["ClientStatus"] == "running");
        found.map(|alloc| alloc["ID"].as_str().unwrap().to_owned())
    };
    let alloc = newest(&agent.until("/v1/job/scribe/allocations", "the second version", |allocs| newest(allocs).is_some())).unwrap();
    agent.until(&format!("/v1/client/fs/stat/{alloc}?path=/pen/local/f.txt"), "the last file", |file| file["Size"] == 5);
    // What a task has written is there before the servers know that it runs.
    agent.until(&format!("/v1/allocation/{alloc}"), "both tasks to run", |alloc| {
        ["pen", "ink"].iter().all(|task| alloc["TaskStates"][task]["State"] == "running")
    });
    agent.until("/v1/job/scribe/allocations", "the first version to end", |allocs| {
        allocs.as_array().is_some_and(|allocs| allocs.iter().all(|alloc| alloc["JobVersion"] == 1 || alloc["ClientStatus"] == "complete"))
    });
    let different = differing("cli");
    let mut wrong = Vec::new();
    let all = records(COMMANDS);
    assert!(all.len() > 30, "{} records", all.len());
    let mut elastic = job("elastic", "service", "band", 1, &[task("t", IDLE)]);
    elastic["TaskGroups"][0]["Scaling"] = json!({"Min": 1, "Max": 4, "Policy": {"cooldown": "1m"}});
    agent.register(elastic);
    let policy = agent.get("/v1/scaling/policies")[0]["ID"].as_str().unwrap().to_owned();
    let eval = agent.get("/v1/job/scribe/evaluations")[0]["ID"].as_str().unwrap().to_owned();
    for (name, record) in &all {
        match &name[..3] {
            "204" => assert_eq!(agent.cli(&["node", "meta", "apply", "rack=r8"]).code, 0),
            "523" => assert_eq!(agent.cli(&["operator", "scheduler", "set-config", "-pause-eval-broker=true"]).code, 0),
            _ => {}
        }
        let command = record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap();
        exercised("cli", command_row(command), "drover_e2e::it::live::commands_about_running_tasks_answer_as_recorded");
        let command = command.replace("<alc-01>", &alloc[..8]).replace("<uid-01>", &alloc).replace("<pol-01>", &policy[..8]);
        let command =
            command.split(' ').map(|word| if word.starts_with("<eval-1") { eval.as_str() } else { word }).collect::<Vec<_>>().join(" ");
        let ran = agent.cli_with(&split(&command), record["stdin"].as_str().unwrap_or_default());
        let mut found = Vec::new();
        if record["exit"] != i64::from(ran.code) {
            found.push(format!("exit {}, recorded {}", ran.code, record["exit"]));
        }
        let number: u32 = name[..3].parse().unwrap();
        let shown = |text: &str| if (110..=120).contains(&number) || number == 152 { measured(text) } else { text.to_owned() };
        compare_lines("stdout", &shown(record["stdout"].as_str().unwrap()), &shown(&ran.out), &mut found);
        let placed = |text: &str| match (text.find("(stat /"), text.find("/alloc/")) {
            (Some(start), Some(end)) => format!("{}(stat <data-dir>{}", &text[..start], &text[end..]),
            _ => text.to_owned(),
        };
        compare_lines("stderr", record["stderr"].as_str().unwrap(), &placed(&ran.error), &mut found);
        judge(name, &found, &different, &mut wrong);
        if number == 147 {
            let signalled = |alloc: &Value| alloc["TaskStates"]["pen"]["Events"].to_string().contains("\"Signaling\"");
            agent.until(&format!("/v1/allocation/{alloc}"), "the signal to be told", signalled);
        }
        if number == 145 {
            let again = |alloc: &Value| alloc["TaskStates"]["pen"]["State"] == "running" && alloc["TaskStates"]["pen"]["Restarts"] == 1;
            agent.until(&format!("/v1/allocation/{alloc}"), "the task to run again", again);
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
