//! Access to the recorded results, and the way to report what differs from them.

use std::collections::BTreeSet;

use serde_json::Value;

/// The records of `testdata/golden/<name>.jsonl`.
pub(crate) fn records(name: &str) -> Vec<Value> {
    let path = format!("{}/../../testdata/golden/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {error}"))).collect()
}

/// The records of a kind that `testdata/differences.toml` lists, each with its reason there.
pub(crate) fn named_differences(kind: &str) -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/differences.toml");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    let begin = format!("record = \"{kind}/");
    text.lines().filter_map(|line| line.strip_prefix(&begin)?.strip_suffix('"')).map(str::to_owned).collect()
}

/// The text of a member, empty when absent.
pub(crate) fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or("")
}

/// The text that a cell holds as a JSON string.
pub(crate) fn cell(record: &Value, key: &str) -> String {
    serde_json::from_str(text(record, key)).unwrap_or_default()
}

/// Fails with all differences, unless there are none.
pub(crate) fn finish(what: &str, total: usize, differences: &[String]) {
    println!("{what}: {} of {total} records agree", total - differences.len());
    assert!(
        differences.is_empty(),
        "{} of {total} records of {what} differ:\n{}",
        differences.len(),
        differences.iter().take(150).map(|line| format!("  {line}\n")).collect::<String>()
    );
    assert!(total > 0, "{what} has no records");
}
