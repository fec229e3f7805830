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

#[tokio::test]
async fn a_broken_job_file_shows_every_problem_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bad.nomad.hcl"), "job \"a\" {\n  bogus = 1\n  typ = \"batch\"\n}\n").unwrap();
    let ran = drover("job validate bad.nomad.hcl", directory.path(), &[], "").await;
    assert_eq!(ran.code, 1);
    let head = "Error getting job struct: Error parsing job file from bad.nomad.hcl:\nbad.nomad.hcl:2,3-8: Unsupported argument; ";
    assert!(ran.error.starts_with(head), "{}", ran.error);
    assert!(ran.error.contains("\n  2 |   bogus = 1\n    |   ^^^^^\n"), "{}", ran.error);
    assert!(ran.error.contains("bad.nomad.hcl:3,3-6") && ran.error.contains("\"type\""), "{}", ran.error);
}

#[tokio::test]
async fn the_example_job_files_can_be_read() {
    for flags in ["", "-short"] {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(drover(&format!("job init {flags} a.hcl"), directory.path(), &[], "").await.code, 0);
        let ran = drover("job run -output a.hcl", directory.path(), &[], "").await;
        assert_eq!((ran.code, ran.error.as_str()), (0, ""));
        assert!(ran.out.contains("\"ID\": \"example\""), "{}", ran.out);
    }
}

#[tokio::test]
async fn variables_come_from_flags_files_and_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        "variable \"a\" {}\nvariable \"b\" {}\nvariable \"c\" {}\njob \"x\" {\n  meta {\n    v = \"${var.a}${var.b}${var.c}\"\n  }\n}\n";
    std::fs::write(directory.path().join("x.hcl"), text).unwrap();
    std::fs::write(directory.path().join("x.vars"), "b = \"2\"\n").unwrap();
    let line = "job run -output x.hcl -var a=1 -var-file=x.vars";
    let ran = drover(line, directory.path(), &[("NOMAD_VAR_c", "3")], "").await;
    assert!(ran.out.contains("\"v\": \"123\""), "{}{}", ran.out, ran.error);
    let ran = drover("job run -output x.hcl", directory.path(), &[], "").await;
    assert!(ran.code == 1 && ["\"a\"", "\"b\"", "\"c\""].iter().all(|name| ran.error.contains(name)), "{}", ran.error);
}
