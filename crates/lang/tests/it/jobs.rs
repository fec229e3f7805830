//! Job files against the jobs that they stand for.

use std::collections::BTreeMap;

use drover_lang::hcl::eval::Budget;
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, parse_api_job, parse_job};
use drover_lang::{Problem, Source};
use serde_json::Value;

use crate::expressions::Folder;
use crate::golden::{finish, records, text};

/// How a record's arguments ask for the file to be read; `None` when they name what is not there.
fn inputs(record: &Value, companions: &Value) -> Option<(Inputs, bool)> {
    let mut inputs = Inputs::default();
    let mut api = false;
    let mut arguments = record["arguments"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    while let Some(argument) = arguments.next() {
        let argument = argument.strip_prefix('-').filter(|rest| rest.starts_with('-')).unwrap_or(argument);
        if let Some(entry) = argument.strip_prefix("env:") {
            inputs.environment.push(entry.to_owned());
        } else if let Some(entry) = argument.strip_prefix("-var=") {
            inputs.arguments.push(entry.to_owned());
        } else if argument == "-var" {
            inputs.arguments.push(arguments.next().unwrap().to_owned());
        } else if let Some(name) = argument.strip_prefix("-var-file=") {
            inputs.files.push((name.to_owned(), companions["files"][name].as_str()?.to_owned()));
        } else if argument == "-hcl2-strict=false" {
            inputs.lax = true;
        } else if argument == "-json" {
            api = true;
        } else {
            return None;
        }
    }
    Some((inputs, api))
}

fn host(companions: &Value) -> Folder {
    let files: BTreeMap<String, Vec<u8>> = companions["files"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().as_bytes().to_vec()))
        .collect();
    Folder::new(files, true)
}

fn read(record: &Value, companions: &Value) -> Result<Value, Vec<Problem>> {
    let source = Source::new(text(record, "name"), text(record, "source"));
    let Some((inputs, api)) = inputs(record, companions) else {
        return Err(vec![Problem::error("Wrong argument", "")]);
    };
    if api {
        if !inputs.arguments.is_empty() || !inputs.files.is_empty() {
            return Err(vec![Problem::error("Variables cannot be used with the API's own form", "")]);
        }
        return parse_api_job(&source).map(|job| serde_json::to_value(job).unwrap());
    }
    let host = host(companions);
    let options = Options { inputs, host: &host, budget: Budget::default() };
    parse_job(&source, &options).map(|parsed| serde_json::to_value(parsed.job).unwrap())
}

/// The first place where two JSON values differ, missing fields and their case included; numbers are equal when they are the same
/// number.
fn difference(path: &str, wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => difference(&format!("{path}.{key}"), x, y),
                (x, y) => Some(format!("{path}.{key}: wanted {x:?}, found {y:?}")),
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(at, (x, y))| difference(&format!("{path}[{at}]"), x, y))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        _ if wanted == found => None,
        _ => Some(format!("{path}: wanted {wanted}, found {found}")),
    }
}

#[test]
fn job_files_stand_for_the_recorded_jobs() {
    let records = records("jobs");
    let (companions, jobs) = records.split_first().unwrap();
    let mut differences = Vec::new();
    for record in jobs {
        match read(record, companions) {
            Ok(job) => {
                // As `job run -output` prints it.
                let printed: Value = serde_json::from_str(&drover_api::client_text(job)).unwrap();
                differences.extend(difference("", &record["out"], &printed).map(|line| format!("{}: {line}", text(record, "name"))))
            }
            Err(problems) => differences.push(format!("{}: {}", text(record, "name"), problems[0])),
        }
    }
    finish("job files", jobs.len(), &differences);
}

#[test]
fn wrong_job_files_are_refused_at_the_recorded_line() {
    let records = records("jobs-bad");
    let (companions, jobs) = records.split_first().unwrap();
    let mut differences = Vec::new();
    for record in jobs {
        let name = text(record, "name");
        match (read(record, companions), text(record, "stage")) {
            (Ok(_), "parse") => differences.push(format!("{name}: accepted, but {}", record["messages"])),
            (Err(problems), "parse") => {
                let line = record["line"].as_u64();
                let found: Vec<Option<u64>> =
                    problems.iter().map(|problem| problem.place.as_ref().map(|place| u64::from(place.line))).collect();
                if line.is_some() && !found.contains(&line) && name.starts_with(|c: char| c.is_ascii_digit()) {
                    differences.push(format!("{name}: wanted line {line:?}, found {} ({})", problems[0], record["messages"]));
                }
            }
            (Err(problems), stage) => differences.push(format!("{name}: refused while reading, not at {stage}: {}", problems[0])),
            (Ok(_), _) => {}
        }
    }
    finish("wrong job files", jobs.len(), &differences);
}
