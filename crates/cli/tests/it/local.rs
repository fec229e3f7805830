//! Records that need no agent: usage errors, files, prompts.

use crate::{drover, ours, records};

const RECORDS: &str = include_str!("../../../../testdata/golden/cli-local.jsonl");

#[tokio::test]
async fn usage_errors_are_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ferry.nomad.hcl"), "job \"ferry\" {}\n").unwrap();
    let shown = directory.path().display().to_string();
    let mut wrong = Vec::new();
    let all = records(RECORDS);
    assert!(all.len() >= 17, "{} records", all.len());
    for (number, record) in all {
        let command = record["command"].as_str().unwrap();
        let mut variables = Vec::new();
        for note in record["notes"].as_array().unwrap() {
            if let Some((name, value)) = note.as_str().unwrap().strip_prefix("environment: ").and_then(|pair| pair.split_once('=')) {
                variables.push((name, value));
            }
        }
        let ran = drover(command.strip_prefix("nomad ").unwrap(), directory.path(), &variables, "").await;
        let (out, error) = (ours(record["stdout"].as_str().unwrap()), ours(record["stderr"].as_str().unwrap()));
        if i64::from(ran.code) != record["exit"].as_i64().unwrap() {
            wrong.push(format!("{number} {command}: exit {}", ran.code));
        }
        if out != "<help text>" && ran.out.trim() != out.trim() {
            wrong.push(format!("{number} {command}: stdout {:?}", ran.out));
        }
        if out == "<help text>" && !ran.out.starts_with("Usage: drover") {
            wrong.push(format!("{number} {command}: no help, {:?}", ran.out));
        }
        if ran.error.trim().replace(&shown, "<work-dir>") != error.trim() {
            wrong.push(format!("{number} {command}: stderr {:?}", ran.error));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let directory = tempfile::tempdir().unwrap();
    let ran = drover("job status", directory.path(), &[("NOMAD_ADDR", &format!("http://{address}"))], "").await;
    let expected = format!("Error querying jobs: Get \"http://{address}/v1/jobs\": dial tcp {address}: connect: connection refused\n");
    assert_eq!((ran.code, ran.error), (1, expected));
}
