//! Packs the recorded answers and outputs that the tests of `http` and `cli` compare with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{vendor_acl, vendor_operators, vendor_replay};

/// The cluster whose records need no access control.
const PLAIN_CLUSTER: &str = "one agent, server and client, no ACLs";

/// Records of the command line that need no agent, by number.
const LOCAL: &[&str] =
    &["004", "005", "006", "007", "008", "018", "054", "055", "063", "116", "203", "363", "364", "392", "553", "555", "560"];

/// Records of the command line that an agent with a script can bring about, by number.
const SCRIPTED: &[&str] = &[
    "013", "015", "023", "034", "043", "076", "077", "095", "096", "097", "099", "100", "121", "157", "158", "170", "201", "273", "326",
    "327", "397", "483",
];

/// Records of the command line about templates, drains, pools and settings, by number.
const LEADER: &[&str] =
    &["172", "173", "174", "177", "179", "215", "217", "221", "222", "223", "225", "226", "230", "289", "291", "293", "294", "319"];

/// Records of the command line about namespaces, by number.
const NAMESPACES: &[&str] = &["234", "235", "236", "237", "238", "240", "241", "242", "243"];

/// Answers about namespaces, in the order they are asked for.
const NAMESPACE_ANSWERS: &[&str] = &[
    "namespaces/GET-namespaces-default-only",
    "namespaces/GET-namespace-name-default",
    "namespaces/GET-namespace-name-not-found",
    "namespaces/PUT-namespace-create",
    "namespaces/POST-namespace-create-minimal",
    "jobs/PUT-jobs-driver-not-allowed",
    "namespaces/PUT-namespace-name-update",
    "namespaces/GET-namespace-name-full",
    "namespaces/GET-namespaces-three",
    "namespaces/GET-namespaces-prefix",
    "namespaces/GET-namespaces-filter",
    "namespaces/DELETE-namespace-name-non-terminal-jobs",
    "namespaces/DELETE-namespace-name-ok",
    "namespaces/DELETE-namespace-name-missing",
    "namespaces/DELETE-namespace-name-default",
];

/// Areas of the API whose refusals are packed.
const AREAS: &[&str] = &[
    "jobs",
    "allocations",
    "evaluations",
    "deployments",
    "nodes",
    "services",
    "status",
    "search",
    "agent",
    "events",
    "system",
    "validate",
    "client",
    "metrics",
    "node-pools",
    "operator",
    "namespaces",
];

/// Parts of names of refusals by what is not built yet, and of texts that no client looks at.
const NOT_YET: &[&str] = &[
    "raft",
    "autopilot",
    "vault",
    "has-jobs",
    "scheduler-config-on-ce",
    "PUT-job-job-id-plan-periodic",
    "tag-name",
    "statuses",
    "fuzzy",
    "keyring",
    "schedulers",
    "force-leave",
    "join",
    "agent-host",
    "monitor-export",
    "agent-servers",
    "identity",
    "metadata",
    "snapshot",
    "DELETE-evaluations",
    "driver-not-allowed",
    "system-two",
    "scale-above",
    "scale-below",
    "blocked-by-deployment",
    "registration-disabled",
    "bad-json",
    "duration-as-string",
    "revert-enforce",
    "filter-nested",
    "PUT-jobs-negative-cpu",
    "client-gc-unknown-node",
    "client-stats-short",
    "client-stats-unknown",
    "revert-current-version",
    "purged",
    "non-terminal-jobs",
];

/// Answers about one service job from its registration to its success.
const ANSWERS: &[&str] = &[
    "jobs/PUT-jobs-register-service",
    "jobs/GET-job-job-id-service",
    "jobs/GET-job-job-id-summary-running",
    "jobs/GET-job-job-id-versions-one",
    "jobs/GET-job-job-id-scale-running",
    "jobs/GET-job-job-id-allocations-service",
    "jobs/GET-job-job-id-deployment-successful",
    "jobs/PUT-job-job-id-plan-new-job",
    "allocations/GET-allocations-two",
    "allocations/GET-allocation-alloc-id-service-running",
    "evaluations/GET-evaluation-eval-id-service-complete",
    "deployments/GET-deployment-deployment-id-successful",
    "nodes/GET-node-node-id-ready",
    "nodes/GET-nodes-one",
    "validate/PUT-validate-job-valid",
];

/// Answers about templates, pools, drains and settings, in the order they are asked for.
const LEADER_ANSWERS: &[&str] = &[
    "node-pools/GET-node-pools-builtin",
    "node-pools/GET-node-pool-pool-default",
    "jobs/PUT-jobs-register-parameterized",
    "jobs/PUT-jobs-register-periodic",
    "jobs/PUT-job-job-id-dispatch-ok",
    "jobs/PUT-job-job-id-dispatch-prefix-template",
    "jobs/PUT-job-job-id-dispatch-idempotent-first",
    "jobs/PUT-job-job-id-dispatch-idempotent-again",
    "jobs/PUT-job-job-id-periodic-force-ok",
    "node-pools/PUT-node-pools-create",
    "node-pools/GET-node-pool-pool-ok",
    "nodes/PUT-node-node-id-drain-start",
    "nodes/GET-node-node-id-draining",
    "nodes/PUT-node-node-id-drain-cancel-stay-ineligible",
    "operator/PUT-operator-scheduler-configuration-same",
    "operator/PUT-operator-scheduler-configuration-cas-fail",
];

/// Packs both.
pub(crate) fn clients(records: &Path, target: &Path) -> Result<()> {
    routing(&records.join("http"), &target.join("http-routing.jsonl"))?;
    refusals(&records.join("http"), &target.join("http-refusals.jsonl"))?;
    answers(&records.join("http"), ANSWERS, &target.join("http-answers.jsonl"))?;
    answers(&records.join("http"), LEADER_ANSWERS, &target.join("http-leader-answers.jsonl"))?;
    answers(&records.join("http"), vendor_replay::FRESH, &target.join("http-fresh.jsonl"))?;
    answers(&records.join("http"), vendor_operators::OPERATORS, &target.join("http-operators.jsonl"))?;
    answers(&records.join("http"), vendor_replay::FLOWS, &target.join("http-flows.jsonl"))?;
    answers(&records.join("http"), vendor_replay::LIVE, &target.join("http-live.jsonl"))?;
    answers(&records.join("http"), vendor_replay::FORMED, &target.join("http-formed.jsonl"))?;
    for name in
        ["chronicle", "chronicle-acl", "chronicle-debug", "chronicle-drain", "chronicle-fleet", "chronicle-regions", "chronicle-server"]
    {
        let story = target.join(format!("../{name}.txt"));
        let story = fs::read_to_string(&story).with_context(|| format!("read {}", story.display()))?;
        whole(&records.join("http"), &vendor_replay::of_story(&story), &target.join(format!("http-{name}.jsonl")))?;
    }
    for name in ["commands", "commands-acl", "commands-fleet", "commands-server"] {
        let story = target.join(format!("../{name}.txt"));
        let story = fs::read_to_string(&story).with_context(|| format!("read {}", story.display()))?;
        command_line(&records.join("cli"), &vendor_replay::of_commands(&story), &target.join(format!("cli-{name}.jsonl")))?;
    }
    command_line(&records.join("cli"), vendor_replay::COMMANDS_LIVE, &target.join("cli-live.jsonl"))?;
    command_line(&records.join("cli"), &["474"], &target.join("cli-regions.jsonl"))?;
    command_line(&records.join("cli"), vendor_replay::COMMANDS_FOLLOWED, &target.join("cli-followed.jsonl"))?;
    answers(&records.join("http"), NAMESPACE_ANSWERS, &target.join("http-namespaces.jsonl"))?;
    answers(&records.join("http"), vendor_acl::ACL, &target.join("http-acl.jsonl"))?;
    answers(&records.join("http"), vendor_acl::VARIABLES, &target.join("http-variables.jsonl"))?;
    answers(&records.join("http"), vendor_acl::EVENTS, &target.join("http-events.jsonl"))?;
    answers(&records.join("http"), vendor_acl::STREAMS, &target.join("http-streams.jsonl"))?;
    vendor_acl::access(records, &target.join("http-access.tsv"))?;
    forbidden(&records.join("http"), &target.join("http-forbidden.jsonl"))?;
    command_line(&records.join("cli"), NAMESPACES, &target.join("cli-namespaces.jsonl"))?;
    command_line(&records.join("cli"), vendor_replay::COMMANDS_FRESH, &target.join("cli-fresh.jsonl"))?;
    command_line(&records.join("cli"), vendor_replay::COMMANDS_FERRY, &target.join("cli-ferry.jsonl"))?;
    command_line(&records.join("cli"), vendor_acl::COMMANDS_ACL, &target.join("cli-acl.jsonl"))?;
    command_line(&records.join("cli"), vendor_acl::COMMANDS_VAR, &target.join("cli-var.jsonl"))?;
    command_line(&records.join("cli"), vendor_operators::COMMANDS_FLOWS, &target.join("cli-flows.jsonl"))?;
    command_line(&records.join("cli"), LOCAL, &target.join("cli-local.jsonl"))?;
    command_line(&records.join("cli"), SCRIPTED, &target.join("cli-scripted.jsonl"))?;
    command_line(&records.join("cli"), LEADER, &target.join("cli-leader.jsonl"))?;
    names(records, &target.join("records.txt"))
}

/// The names of all records of requests and command lines, packed or not.
fn names(records: &Path, target: &Path) -> Result<()> {
    let mut out: Vec<String> = files(&records.join("cli"))?.iter().map(|path| format!("cli/{}", stem(path))).collect();
    for area in files(&records.join("http"))?.iter().filter(|path| path.is_dir()) {
        let requests = files(area)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
        out.extend(requests.map(|path| format!("http/{}/{}", stem(area), stem(&path))));
    }
    out.sort();
    fs::write(target, out.join("\n") + "\n").with_context(|| format!("write {}", target.display()))
}

fn write(path: &Path, lines: &[Value]) -> Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut out = listed.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    out.sort();
    Ok(out)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Requests that no route answers, and the questions that browsers ask before a request.
fn routing(records: &Path, target: &Path) -> Result<()> {
    let mut out = Vec::new();
    for (folder, prefix) in [("routing", ""), ("ui-misc", "OPTIONS-client-")] {
        for path in files(&records.join(folder))? {
            let name = stem(&path);
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let record: Value = serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))?;
            let target = record["request"]["path"].as_str().unwrap_or("");
            let elsewhere = ["operator", "var/", "volume"].iter().any(|part| target.contains(part));
            let answered = ["allocation-any-no-request", "fs-any-no-request", "client-stats-no-request"];
            let answered = answered.iter().any(|part| name.contains(part));
            if record["cluster"] == PLAIN_CLUSTER && name.starts_with(prefix) && !elsewhere && !answered {
                let name = format!("{folder}/{name}");
                out.push(json!({"name": name, "request": record["request"], "response": record["response"]}));
            }
        }
    }
    write(target, &out)
}

/// Requests that are refused for what they say alone.
fn refusals(records: &Path, target: &Path) -> Result<()> {
    let mut out = Vec::new();
    for area in AREAS {
        for path in files(&records.join(area))? {
            let name = stem(&path);
            if path.extension().is_none_or(|end| end != "json") || NOT_YET.iter().any(|part| name.contains(part)) {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let record: Value = serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))?;
            let refused = record["response"]["status"].as_u64().is_some_and(|status| status >= 400);
            let about_objects = record["request"].to_string().contains('<');
            let other_operators = *area == "operator" && !name.contains("scheduler-configuration");
            if refused && !about_objects && !other_operators && record["cluster"] == PLAIN_CLUSTER {
                out.push(record_line(&format!("{area}/{name}"), &record));
            }
        }
    }
    write(target, &out)
}

fn record_line(name: &str, record: &Value) -> Value {
    let answer = &record["response"];
    let answer = json!({"status": answer["status"], "headers": answer["headers"], "body": answer["body"]});
    json!({"name": name, "request": record["request"], "response": answer})
}

/// What callers without a token are told where ACLs are on.
fn forbidden(records: &Path, target: &Path) -> Result<()> {
    let mut out = Vec::new();
    for area in vendor_acl::FORBIDDEN {
        for path in files(&records.join(area))? {
            let name = stem(&path);
            if name.ends_with("-forbidden") && path.extension().is_some_and(|end| end == "json") {
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                let record: Value = serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))?;
                if record["request"]["headers"].get("X-Nomad-Token").is_none() && record["response"]["body"].is_string() {
                    out.push(record_line(&format!("{area}/{name}"), &record));
                }
            }
        }
    }
    write(target, &out)
}

fn answers(records: &Path, names: &[&str], target: &Path) -> Result<()> {
    let mut out = Vec::new();
    for name in names {
        let path = records.join(format!("{name}.json"));
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let record: Value = serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))?;
        out.push(record_line(name, &record));
    }
    write(target, &out)
}

/// The same with everything that was recorded of the answers.
fn whole(records: &Path, names: &[&str], target: &Path) -> Result<()> {
    let mut out = Vec::new();
    for name in names {
        let record = crate::vendor::read_json(&records.join(format!("{name}.json")))?;
        out.push(json!({"name": name, "request": record["request"], "response": record["response"]}));
    }
    write(target, &out)
}

/// Outputs of the command line, their sections as members.
fn command_line(records: &Path, numbers: &[&str], target: &Path) -> Result<()> {
    let mut out = Vec::new();
    for path in files(records)? {
        let name = stem(&path);
        if numbers.iter().any(|number| name.starts_with(&format!("{number}-"))) {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            out.push(sections(&name, &text));
        }
    }
    ensure!(out.len() == numbers.len(), "{} of {} records found in {}", out.len(), numbers.len(), records.display());
    write(target, &out)
}

fn sections(name: &str, text: &str) -> Value {
    let mut lines = text.lines();
    let command = lines.next().and_then(|line| line.strip_prefix("$ ")).unwrap_or("");
    let mut record = json!({"name": name, "command": command, "notes": [], "stdout": "", "stderr": ""});
    let mut section = String::new();
    let mut body: Vec<&str> = Vec::new();
    let close = |record: &mut Value, section: &str, body: &mut Vec<&str>| {
        if !section.is_empty() {
            record[section] = json!(body.join("\n").trim_matches('\n'));
        }
        body.clear();
    };
    for line in lines {
        match line.strip_prefix("--- ").map(|head| head.split_once(' ').unwrap_or((head, ""))) {
            Some((kind @ ("stdin" | "stdout" | "stderr"), shape)) => {
                close(&mut record, &section, &mut body);
                section = kind.to_owned();
                if kind == "stdout" && !shape.is_empty() {
                    record["shape"] = json!(true);
                }
            }
            Some(("exit", code)) => {
                close(&mut record, &section, &mut body);
                section.clear();
                record["exit"] = json!(code.parse::<i64>().unwrap_or(-1));
            }
            _ if section.is_empty() => {
                if let (Some(note), Some(notes)) = (line.strip_prefix("# "), record["notes"].as_array_mut()) {
                    notes.push(json!(note));
                }
            }
            _ => body.push(line),
        }
    }
    close(&mut record, &section, &mut body);
    record
}
