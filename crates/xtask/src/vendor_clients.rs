//! Packs the recorded answers and outputs that the tests of `http` and `cli` compare with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The cluster whose records need no access control.
const PLAIN_CLUSTER: &str = "one agent, server and client, no ACLs";

/// Records of the command line that need no agent, by number.
const LOCAL: &[&str] = &[
    "004", "005", "006", "007", "008", "018", "054", "055", "063", "116", "203", "363", "364", "392", "553", "555", "560",
];

/// Records of the command line that an agent with a script can bring about, by number.
const SCRIPTED: &[&str] = &[
    "013", "015", "023", "034", "043", "076", "077", "095", "096", "097", "099", "100", "157", "158", "170", "201", "273",
    "326", "327", "397", "483",
];

/// Packs both.
pub(crate) fn clients(records: &Path, target: &Path) -> Result<()> {
    routing(&records.join("http"), &target.join("http-routing.jsonl"))?;
    command_line(&records.join("cli"), LOCAL, &target.join("cli-local.jsonl"))?;
    command_line(&records.join("cli"), SCRIPTED, &target.join("cli-scripted.jsonl"))
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
