//! Access to the recorded results.

use serde_json::Value;

/// The text of a file below `testdata/`.
pub(crate) fn file(name: &str) -> String {
    let path = format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// The records of `testdata/golden/<name>.jsonl`.
pub(crate) fn records(name: &str) -> Vec<Value> {
    let records: Vec<Value> = file(&format!("golden/{name}.jsonl")).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!records.is_empty(), "{name} has no records");
    records
}

/// Fails with all differences, unless there are none.
pub(crate) fn finish(what: &str, total: usize, differences: &[String]) {
    println!("{what}: {} of {total} records agree", total - differences.len());
    assert!(differences.is_empty(), "{} of {total} records of {what} differ:\n  {}", differences.len(), differences.join("\n  "));
}
