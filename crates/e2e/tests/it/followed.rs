//! Recorded command lines that follow what they started: every step of an update, of one that is taken back, and of actions.
//!
//! How often a deployment is shown while it runs depends on the moments when the command looks, so only what stays the same
//! is compared: every evaluation and allocation that is told, and how each deployment ended.

use std::collections::BTreeSet;

use drover_e2e::golden::{command_row, differing, exercised, judge, records, split};
use drover_e2e::{Agent, Mode};
use serde_json::{Value, json};

const FOLLOWED: &str = include_str!("../../../../testdata/golden/cli-followed.jsonl");
const FERRY: &str = include_str!("../../../../testdata/golden/cli-ferry.jsonl");

/// Ids and times as one sign.
fn plain(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let bare = word.trim_matches(|letter: char| "\":,".contains(letter));
        let token = bare.starts_with('<') && bare.ends_with('>');
        let id = matches!(bare.len(), 8 | 36) && bare.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-') && bare.len() > 7;
        // A child is named by the moment of its launch, and at random.
        if let Some((before, _)) = word.split_once("/dispatch-") {
            return format!("{before}/dispatch-*");
        }
        let time = bare.len() >= 20 && bare.as_bytes()[4] == b'-' && bare.contains('T');
        if token || id || time { word.replace(bare, "*") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The lines that do not depend on when the command looked.
pub(crate) fn steady(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for block in text.split("\n    \n") {
        let running = block.contains("Status      = running");
        let failed = block.contains("Status      = failed");
        for line in block.lines().map(plain) {
            let of_evaluation = line.contains("valuation") || line.contains("Allocation");
            let moment = line.contains("Allocation") && line.contains("status changed") || line.contains("modified: node");
            if line.is_empty()
                || line == "*"
                || moment
                || line.starts_with("==> View ")
                || (running && !of_evaluation)
                || (failed && line.starts_with("boat "))
            {
                continue;
            }
            out.insert(line);
        }
    }
    out
}

#[test]
fn what_commands_tell_while_they_follow_is_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let first = records(FERRY)["021-job-run-stdin"]["stdin"].as_str().unwrap().to_owned();
    let second = first.replace("count = 1", "count = 2").replace("STROKE = \"a\"", "STROKE = \"b\"");
    let third = second.replace("STROKE = \"b\"", "STROKE = \"c\"").replace("auto_revert       = false", "auto_revert       = true");
    let third = third.replace("echo up; echo low >&2; while true; do sleep 1; done", "exit 9");
    for (name, text) in [("ferry", &first), ("ferry2", &second), ("ferry3", &third)] {
        std::fs::write(directory.path().join(format!("{name}.nomad.hcl")), text).unwrap();
    }
    let all = records(FOLLOWED);
    let different = differing("cli");
    let mut wrong = Vec::new();
    let run = |line: &str| {
        let ran = agent.cli(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
    };
    let mut replay = |number: &str| {
        let (name, record) = all.iter().find(|(name, _)| name.starts_with(number)).unwrap();
        let command = record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap();
        exercised("cli", command_row(command), "drover_e2e::it::followed::what_commands_tell_while_they_follow_is_as_recorded");
        judge(name, &differences(&agent, command, record), &different, &mut wrong);
        let settled = |deployment: &Value| deployment["Status"] == "successful" || deployment.is_null();
        agent.until("/v1/job/ferry/deployment", "the deployment to end", settled);
    };
    replay("585");
    run("job run ferry.nomad.hcl");
    for number in ["038", "039", "061", "064", "071", "072", "073"] {
        replay(number);
    }
    for number in ["053", "056", "057"] {
        replay(number);
    }
    let fourth = first.replace("count = 1", "count = 3").replace("STROKE = \"a\"", "STROKE = \"d\"");
    std::fs::write(directory.path().join("ferry4.nomad.hcl"), fourth).unwrap();
    run("job run ferry4.nomad.hcl");
    run("job stop ferry");
    replay("102");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs a recorded command, and tells which lasting lines of its output differ.
fn differences(agent: &Agent, command: &str, record: &Value) -> Vec<String> {
    let ran = agent.cli_with(&split(command), "");
    let mut found = Vec::new();
    if record["exit"] != i64::from(ran.code) {
        found.push(format!("exit {}, recorded {}", ran.code, record["exit"]));
    }
    for (stream, answered) in [("stdout", &ran.out), ("stderr", &ran.error)] {
        let (recorded, answered) = (steady(&record[stream].as_str().unwrap().replace("nomad ", "drover ")), steady(answered));
        found.extend(recorded.difference(&answered).map(|line| format!("{stream}: {line:?} is missing in {ran:?}")));
        found.extend(answered.difference(&recorded).map(|line| format!("{stream}: {line:?} was not recorded")));
    }
    found
}

/// A job of one task that runs on, or ends at once.
fn small(id: &str, kind: &str, script: &str, more: Value) -> Value {
    let task = json!({"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/sh", "args": ["-c", script]},
        "Resources": {"CPU": 20, "MemoryMB": 16}, "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1}});
    let group = json!({"Name": if kind == "batch" { "desk" } else { "boat" }, "Tasks": [task], "EphemeralDisk": {"SizeMB": 20}});
    let mut job = json!({"ID": id, "Name": id, "Type": kind, "Datacenters": ["*"], "TaskGroups": [group]});
    for (name, value) in more.as_object().into_iter().flatten() {
        match name.strip_prefix("Group.") {
            Some(name) => job["TaskGroups"][0][name] = value.clone(),
            None => job[name] = value.clone(),
        }
    }
    job
}

#[test]
fn what_dispatches_and_deployments_tell_while_they_are_followed_is_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let (all, different, mut wrong) = (records(FOLLOWED), differing("cli"), Vec::new());
    let mut replay = |number: &str, deployment: &str| {
        let (name, record) = all.iter().find(|(name, _)| name.starts_with(number)).unwrap();
        let command = record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap().replace("<dep-01>", deployment);
        exercised(
            "cli",
            command_row(&command),
            "drover_e2e::it::followed::what_dispatches_and_deployments_tell_while_they_are_followed_is_as_recorded",
        );
        judge(name, &differences(&agent, &command, record), &different, &mut wrong);
    };
    agent.register(small("letter", "batch", "exit 0", json!({"ParameterizedJob": {"MetaOptional": ["to"], "Payload": "optional"}})));
    replay("171", "");
    replay("175", "");
    let update = |canaries: i64, health: &str| {
        json!({"Canary": canaries, "MaxParallel": 1, "HealthCheck": health, "MinHealthyTime": 1_000_000, "HealthyDeadline": 60_000_000_000_u64,
            "ProgressDeadline": 120_000_000_000_u64})
    };
    let newest = |job: &str| agent.get(&format!("/v1/job/{job}/deployment"));
    let settled = |job: &str| {
        agent.until(&format!("/v1/job/{job}/deployment"), "success", |deployment| deployment["Status"] == "successful");
    };
    let with_canary = |job: &str, version: u64| {
        agent.until(&format!("/v1/job/{job}/deployment"), "a healthy canary", |deployment| {
            deployment["JobVersion"] == version && deployment["TaskGroups"]["boat"]["HealthyAllocs"] == 1
        });
        newest(job)["ID"].as_str().unwrap().to_owned()
    };
    let on = "while true; do sleep 1; done";
    for (job, count, versions) in [("canoe", 2, 3_u64), ("punt", 1, 2)] {
        for version in 0..versions {
            let canaries = i64::from(version + 1 == versions);
            let more =
                json!({"Group.Count": count, "Group.Update": update(canaries, "task_states"), "Meta": {"version": version.to_string()}});
            agent.register(small(job, "service", on, more));
            if canaries == 0 {
                settled(job);
            }
        }
        let deployment = with_canary(job, versions - 1);
        replay(if job == "canoe" { "094" } else { "537" }, &deployment);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
