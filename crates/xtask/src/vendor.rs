//! Packs recorded results into the small files that tests read: `cargo xtask vendor <folder of records>`.
//!
//! Each packed file below `testdata/golden/` holds one JSON object per line, so a changed record is a changed line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

/// Packs everything that the language tests need from `records` into `target`.
pub(crate) fn languages(records: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("create {}", target.display()))?;
    for (from, to) in [
        ("hcl/expressions.tsv", "hcl-expressions"),
        ("hcl/functions.tsv", "hcl-functions"),
        ("lang/durations.tsv", "lang-durations"),
        ("lang/bytesizes.tsv", "lang-bytesizes"),
        ("lang/versions.tsv", "lang-versions"),
        ("lang/filters.tsv", "lang-filters"),
        ("lang/cron.tsv", "lang-cron"),
        ("lang/go_templates.tsv", "lang-go-templates"),
        ("lang/sockaddr.tsv", "lang-sockaddr"),
        ("lang/globs.tsv", "lang-globs"),
        ("lang/hclspec.tsv", "lang-hclspec"),
    ] {
        table(&records.join(from), &target.join(format!("{to}.jsonl")))?;
    }
    let objects = read_json(&records.join("lang/filters.json"))?;
    write(&target.join("lang-filters-objects.jsonl"), &[objects])?;
    let contexts = read_json(&records.join("lang/go_templates.context.json"))?;
    write(&target.join("lang-go-templates-context.jsonl"), &[contexts])?;
    files(&records.join("hcl/files"), &target.join("hcl-files.jsonl"))?;
    jobs(&records.join("jobs"), &target.join("jobs.jsonl"))?;
    bad_jobs(&records.join("jobs/bad"), &target.join("jobs-bad.jsonl"))?;
    stored_jobs(&records.join("jobs"), &target.join("jobs-canonical.jsonl"))?;
    plans(&records.join("jobs/plans"), &target.join("jobs-plans.jsonl"))?;
    agent_config(&records.join("agent-config"), target)
}

/// The ledgers that tests read.
const LEDGERS: [&str; 5] = ["issues", "jobspec", "hcl-functions", "agent-config", "other-specs"];

/// Copies the ledgers that tests read from `from` into `target`.
pub(crate) fn ledgers(from: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("create {}", target.display()))?;
    for ledger in LEDGERS {
        let name = format!("{ledger}.tsv");
        fs::write(target.join(&name), read(&from.join(&name))?).with_context(|| format!("write {name}"))?;
    }
    // Of the types only what a declaration says: the key and what it holds.
    let types = read(&from.join("wire-types.tsv"))?;
    let rows = types.lines().skip(1).filter_map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        Some(format!("{}.{}\t{}\n", cells.first()?, cells.get(1)?, cells.get(2)?))
    });
    let text: String = std::iter::once("row\tjson_type\n".to_owned()).chain(rows).collect();
    fs::write(target.join("wire-types.tsv"), text).context("write wire-types.tsv")
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

pub(crate) fn read_json(path: &Path) -> Result<Value> {
    serde_json::from_str(&read(path)?).with_context(|| format!("decode {}", path.display()))
}

pub(crate) fn write(path: &Path, lines: &[Value]) -> Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// The entries of a folder in name order.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        found.push(entry?.path());
    }
    found.sort();
    Ok(found)
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A table with a header line: one object per row, cells as they stand, and `name` for the row.
fn table(from: &Path, to: &Path) -> Result<()> {
    let text = read(from)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate() {
        let mut row = Map::new();
        row.insert("name".to_owned(), json!(format!("{}", number + 2)));
        for (column, cell) in header.iter().zip(line.split('\t')) {
            row.insert((*column).to_owned(), json!(cell));
        }
        rows.push(Value::Object(row));
    }
    ensure!(!rows.is_empty(), "{} has no rows", from.display());
    write(to, &rows)
}

/// The files of a folder with their bytes.
fn files(folder: &Path, to: &Path) -> Result<()> {
    fn collect(folder: &Path, prefix: &str, out: &mut Vec<Value>) -> Result<()> {
        for path in entries(folder)? {
            let name = format!("{prefix}{}", name_of(&path));
            if path.is_dir() {
                collect(&path, &format!("{name}/"), out)?;
            } else {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                out.push(json!({ "name": name, "bytes": bytes }));
            }
        }
        Ok(())
    }
    let mut out = Vec::new();
    collect(folder, "", &mut out)?;
    write(to, &out)
}

fn arguments(folder: &Path, stem: &str) -> Vec<String> {
    fs::read_to_string(folder.join(format!("{stem}.args"))).map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
}

/// Files that arguments or the job itself name, by name.
fn companions(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for path in entries(folder)? {
        let name = name_of(&path);
        if name.contains("-values.") || name.contains("-note.") {
            found.insert(name, read(&path)?);
        }
    }
    Ok(found)
}

/// Job files, their arguments, and the job that they stand for.
fn jobs(folder: &Path, to: &Path) -> Result<()> {
    let companions = companions(folder)?;
    let mut lines = vec![json!({ "name": "companions", "files": companions })];
    for path in entries(folder)? {
        let name = name_of(&path);
        let Some(stem) = name.strip_suffix(".out.json") else { continue };
        let job = ["nomad.hcl", "nomad.json"].iter().map(|end| format!("{stem}.{end}")).find(|job| folder.join(job).exists());
        let job = job.with_context(|| format!("{stem} has no job file"))?;
        lines.push(json!({
            "name": job,
            "source": read(&folder.join(&job))?,
            "arguments": arguments(folder, stem),
            "out": read_json(&path)?,
        }));
    }
    write(to, &lines)
}

/// Wrong job files and who refuses them.
fn bad_jobs(folder: &Path, to: &Path) -> Result<()> {
    let companions = companions(folder)?;
    let mut lines = vec![json!({ "name": "companions", "files": companions })];
    for path in entries(folder)? {
        let name = name_of(&path);
        let stem = name.strip_suffix(".json").filter(|stem| !stem.ends_with(".nomad"));
        let Some(stem) = stem else { continue };
        let job = ["nomad.hcl", "nomad.json"].iter().map(|end| format!("{stem}.{end}")).find(|job| folder.join(job).exists());
        let Some(job) = job else { continue };
        let record = read_json(&path)?;
        lines.push(json!({
            "name": job,
            "source": read(&folder.join(&job))?,
            "arguments": arguments(folder, stem),
            "stage": record["stage"],
            "line": record["line"],
            "messages": record["messages"],
            "agent": record["agent"],
            "errors": record["validation_errors"],
        }));
    }
    write(to, &lines)
}

/// Jobs as they were sent and as they were stored or refused, with the warnings.
fn stored_jobs(folder: &Path, to: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for path in entries(folder)? {
        let name = name_of(&path);
        let Some(stem) = name.strip_suffix(".out.json") else { continue };
        // The same job at an agent that speaks to Vault and Consul, where that makes a difference.
        for (agent, own) in [("", stem.to_owned()), ("wi.", format!("{stem}.wi"))] {
            let text = |end: &str| fs::read_to_string(folder.join(format!("{stem}.{agent}{end}"))).ok();
            let mut line = json!({ "name": own, "sent": read_json(&path)?["Job"] });
            match (text("api.json"), text("refused.txt")) {
                (Some(stored), _) => line["stored"] = serde_json::from_str(&stored).with_context(|| format!("decode the job of {own}"))?,
                (None, Some(refused)) => line["refused"] = json!(refused.trim_end()),
                (None, None) => continue,
            }
            // One job cannot be asked for: its id has slashes.
            if line["stored"].is_string() {
                continue;
            }
            let warnings = text("warnings.txt").or_else(|| fs::read_to_string(folder.join(format!("{stem}.warnings.txt"))).ok());
            if let Some(warnings) = warnings {
                line["warnings"] = json!(warnings.trim_end());
            }
            lines.push(line);
        }
    }
    write(to, &lines)
}

/// Two versions of a job and the plan from one to the other, without its nulls.
fn plans(folder: &Path, to: &Path) -> Result<()> {
    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect(),
            ),
            Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
            other => other,
        }
    }
    let mut lines = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let plan = without_nulls(read_json(&path.join("plan.json"))?);
        let old = fs::read_to_string(path.join("old.nomad.hcl")).ok();
        lines.push(json!({ "name": name_of(&path), "old": old, "new": read(&path.join("new.nomad.hcl"))?, "plan": plan }));
    }
    write(to, &lines)
}

/// Agent configuration files with what they parse to, and wrong ones.
fn agent_config(folder: &Path, target: &Path) -> Result<()> {
    let mut lines = vec![json!({ "name": "defaults", "value": read_json(&folder.join("defaults.json"))? })];
    for path in entries(folder)? {
        let name = name_of(&path);
        let Some(stem) = name.strip_suffix(".out.json") else { continue };
        let mut sources = BTreeMap::new();
        for end in ["hcl", "json", "a.hcl", "b.hcl"] {
            let file = format!("{stem}.{end}");
            if folder.join(&file).exists() {
                sources.insert(file.clone(), read(&folder.join(&file))?);
            }
        }
        lines.push(json!({ "name": stem, "sources": sources, "out": read_json(&path)? }));
    }
    write(&target.join("agent-config.jsonl"), &lines)?;
    let mut bad = Vec::new();
    for line in read(&folder.join("bad.tsv"))?.lines().skip(1) {
        let (file, result) = line.split_once('\t').with_context(|| format!("a row without a result: {line}"))?;
        bad.push(json!({ "name": file, "source": read(&folder.join("bad").join(file))?, "result": result }));
    }
    write(&target.join("agent-config-bad.jsonl"), &bad)
}
