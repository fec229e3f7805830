//! Packs the recorded scheduler runs: whole scenarios in one file, each table of single decisions in one of its own.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::vendor::{entries, name_of, read, read_json, write};

/// Packs `records/scheduler` into `scheduler-*.jsonl` below `target`.
pub(crate) fn scheduler(records: &Path, target: &Path) -> Result<()> {
    let records = records.join("scheduler");
    let mut scenarios = Vec::new();
    for path in entries(&records.join("scenarios"))? {
        let mut scenario = read_json(&path)?;
        let number = name_of(&path).split('-').next().unwrap_or_default().to_owned();
        scenario.as_object_mut().context("a scenario is an object")?.insert("number".to_owned(), json!(number));
        scenarios.push(scenario);
    }
    write(&target.join("scheduler-scenarios.jsonl"), &scenarios)?;
    for path in entries(&records.join("vectors"))? {
        let name = name_of(&path);
        let stem = name.strip_suffix(".tsv").with_context(|| format!("{name} is no table"))?.replace('_', "-");
        table(&path, &target.join(format!("scheduler-{stem}.jsonl")))?;
    }
    Ok(())
}

/// One object per row, its cells read as the JSON that they are, and `row` for the line of the table.
fn table(from: &Path, to: &Path) -> Result<()> {
    let text = read(from)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate() {
        let mut row = Map::new();
        row.insert("row".to_owned(), json!(number + 2));
        for (column, cell) in header.iter().zip(line.split('\t')) {
            let value: Value = serde_json::from_str(cell).with_context(|| format!("{} line {}: {cell}", from.display(), number + 2))?;
            row.insert((*column).to_owned(), value);
        }
        rows.push(Value::Object(row));
    }
    ensure!(!rows.is_empty(), "{} has no rows", from.display());
    write(to, &rows)
}
