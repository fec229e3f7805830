//! Expressions, functions, variables and locals against their recorded values.

use std::cell::Cell;
use std::collections::BTreeMap;

use drover_lang::hcl::eval::{Budget, Evaluator, Host, Mode};
use drover_lang::hcl::parse::parse_file;
use drover_lang::hcl::value::Value;
use drover_lang::hcl::vars::{Inputs, resolve};
use drover_lang::{Problem, Source};

use crate::golden::{cell, finish, records, text};

const BASE: &str = "/base";

/// The recorded folder of files, held in memory.
pub(crate) struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    enabled: bool,
    next: Cell<u8>,
}

impl Folder {
    pub(crate) fn new(files: BTreeMap<String, Vec<u8>>, enabled: bool) -> Self {
        Self { files, enabled, next: Cell::new(7) }
    }

    fn relative(&self, path: &str) -> String {
        let full = self.absolute(path).unwrap();
        full.strip_prefix(BASE).unwrap_or(&full).trim_start_matches('/').to_owned()
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.files.keys().any(|name| name.starts_with(&format!("{path}/")))
    }
}

impl Host for Folder {
    fn has_files(&self) -> bool {
        self.enabled
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(&self.relative(path)).cloned().ok_or_else(|| format!("there is no file {path}"))
    }

    fn exists(&self, path: &str) -> Result<bool, String> {
        let path = self.relative(path);
        if self.is_directory(&path) {
            return Err("it is a directory".to_owned());
        }
        if path.rsplit_once('/').is_some_and(|(parent, _)| self.files.contains_key(parent)) {
            return Err("its parent is not a directory".to_owned());
        }
        Ok(self.files.contains_key(&path))
    }

    fn walk(&self, directory: &str, _limit: usize) -> Result<Vec<String>, String> {
        let path = self.relative(directory);
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        Ok(self.files.keys().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    fn absolute(&self, path: &str) -> Result<String, String> {
        let joined = if path.starts_with('/') { path.to_owned() } else { format!("{BASE}/{path}") };
        Ok(drover_lang::hcl::functions::clean_path(&joined))
    }

    fn home(&self) -> Option<String> {
        Some("/home/someone".to_owned())
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            self.next.set(self.next.get().wrapping_mul(13).wrapping_add(101));
            *byte = self.next.get();
        }
    }
}

fn folder(enabled: bool) -> Folder {
    let files = records("hcl-files")
        .iter()
        .map(|record| {
            let bytes = record["bytes"].as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8).collect();
            (text(record, "name").to_owned(), bytes)
        })
        .collect();
    Folder::new(files, enabled)
}

fn strings(options: &serde_json::Value, key: &str) -> Vec<String> {
    options[key].as_array().map(|list| list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()).unwrap_or_default()
}

fn evaluate(header: &str, expression: &str, options: &serde_json::Value, host: &Folder) -> Result<Value, Vec<Problem>> {
    let source = Source::new("job.nomad.hcl", format!("{header}\nlocals {{\n  result = {expression}\n}}\n"));
    let (file, problems) = parse_file(&source);
    if !problems.is_empty() {
        return Err(problems);
    }
    let inputs = Inputs {
        arguments: strings(options, "vars"),
        environment: strings(options, "env"),
        files: strings(options, "files").into_iter().enumerate().map(|(at, text)| (format!("{at}.vars"), text)).collect(),
        content: options["content"].as_str().map(str::to_owned),
        lax: options["lax"].as_bool().unwrap_or(false),
    };
    let scope = resolve(&source, &file.body, &inputs, host, Budget::default());
    let errors: Vec<Problem> = scope.problems.into_iter().filter(Problem::is_error).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let _ = (Evaluator::new, Mode::Full);
    Ok(scope.locals.members().unwrap()["result"].clone())
}

fn compare(record: &serde_json::Value, header: &str, expression: &str, options: &serde_json::Value, host: &Folder) -> Option<String> {
    let wanted = text(record, "result");
    let found = evaluate(header, expression, options, host);
    let line = |what: String| Some(format!("{}: {expression}: {what}", text(record, "name")));
    match found {
        Err(problems) => {
            if wanted.starts_with("error:") {
                return None;
            }
            line(format!("wanted {wanted}, found {}", problems[0]))
        }
        Ok(value) => {
            if wanted.starts_with("error:") {
                return line(format!("wanted {wanted}, found {value:?}"));
            }
            if wanted.starts_with("random:") {
                return None;
            }
            let shown = match value.to_json_text() {
                Ok(json) => json.replace(BASE, "<basedir>"),
                Err(_) if value.has_unknown() => "unknown".to_owned(),
                Err(_) => "not-json: cannot serialize infinity as JSON".to_owned(),
            };
            if shown != wanted {
                return line(format!("wanted {wanted}, found {shown}"));
            }
            let kind = value.kind().to_string();
            (kind != text(record, "type")).then_some(()).and_then(|()| line(format!("wanted type {}, found {kind}", text(record, "type"))))
        }
    }
}

#[test]
fn functions_give_the_recorded_values() {
    let records = records("hcl-functions");
    let mut differences = Vec::new();
    for record in &records {
        let host = folder(text(record, "filesystem") == "on");
        differences.extend(compare(record, "", &cell(record, "expression"), &serde_json::Value::Null, &host));
    }
    finish("function calls", records.len(), &differences);
}

#[test]
fn expressions_variables_and_locals_give_the_recorded_values() {
    let records = records("hcl-expressions");
    let mut differences = Vec::new();
    for record in &records {
        let options = serde_json::from_str(text(record, "options")).unwrap_or_default();
        differences.extend(compare(record, &cell(record, "header"), &cell(record, "expression"), &options, &folder(true)));
    }
    finish("expressions", records.len(), &differences);
}
