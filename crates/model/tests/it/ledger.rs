//! Every row of the job specification's ledger: the attribute is set in a file, read, made canonical, carried through the
//! log's form and given back, and must be seen at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use drover_lang::Source;
use drover_lang::hcl::eval::{Budget, Host};
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, parse_job};
use drover_model::admission::{Surroundings, canonicalize, complete};
use drover_model::{Job, JobView};
use serde_json::Value;

const LEDGER: &str = include_str!("../../../../testdata/parity/jobspec.tsv");

/// A host without files whose randomness is known.
pub(crate) struct Nothing;

impl Host for Nothing {
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

pub(crate) fn read(name: &str, text: &str, inputs: Inputs) -> Result<drover_api::Job, String> {
    let options = Options { inputs, host: &Nothing, budget: Budget::default() };
    let source = Source::new(name, text);
    parse_job(&source, &options).map(|parsed| parsed.job).map_err(|problems| drover_lang::diag::render(&problems[0], &[&source]))
}

/// The job as the store gives it back, and as it went in.
pub(crate) fn through_the_log(mut job: drover_api::Job) -> (Value, Value) {
    canonicalize(&mut job, &Surroundings { region: "global", namespace: "default" });
    complete(&mut job);
    let before = serde_json::to_value(&job).unwrap();
    let domain: Job = minicbor::decode(&minicbor::to_vec(Job::from_api(job)).unwrap()).unwrap();
    (before, serde_json::to_value(domain.to_api(&JobView::default())).unwrap())
}

/// Empty values and what only the store knows are left out.
pub(crate) fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), bare(value)))
                .filter(|(_, value)| match value {
                    Value::Null | Value::Bool(false) => false,
                    Value::Object(map) => !map.is_empty(),
                    Value::Array(list) => !list.is_empty(),
                    Value::String(text) => !text.is_empty(),
                    Value::Number(number) => number.as_f64() != Some(0.0),
                    Value::Bool(true) => true,
                })
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(bare).collect()),
        Value::Number(number) => serde_json::json!(number.as_f64()),
        other => other.clone(),
    }
}

struct Row<'a> {
    kind: &'a str,
    r#type: &'a str,
    required: bool,
    rule: &'a str,
}

fn rows() -> Vec<(&'static str, Row<'static>)> {
    LEDGER
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells[0], Row { kind: cells[1], r#type: cells[2], required: cells[3] == "yes", rule: cells[7] })
        })
        .collect()
}

/// The value that the attribute is given, and how it looks in JSON.
fn sample(path: &str, r#type: &str, number: usize) -> (String, Value) {
    // Values of a kind that has a type of its own.
    const WORDS: &[(&str, &str)] = &[
        ("job.type", "sysbatch"),
        ("restart.mode", "delay"),
        ("reschedule.delay_function", "fibonacci"),
        ("update.health_check", "manual"),
        ("migrate.health_check", "task_states"),
        ("service.provider", "nomad"),
        ("on_update", "ignore"),
        ("lifecycle.hook", "poststop"),
    ];
    if let Some((_, word)) = WORDS.iter().find(|(end, _)| path.ends_with(end)) {
        return (format!("\"{word}\""), serde_json::json!(word));
    }
    match path {
        "job.priority" => return ("77".to_owned(), serde_json::json!(77)),
        path if path.ends_with("vault.env") => return ("false".to_owned(), Value::Bool(false)),
        path if path.ends_with("distinct_hosts") => return ("true".to_owned(), serde_json::json!("true")),
        _ => {}
    }
    let word = format!("zz{number}");
    let first = r#type.split(' ').next().unwrap_or_default();
    match first {
        "bool" => ("true".to_owned(), Value::Bool(true)),
        "duration" => (format!("\"{number}s\""), serde_json::json!(number as i64 * 1_000_000_000)),
        "int8" => ("77".to_owned(), serde_json::json!(77)),
        "uint8" => ("99".to_owned(), serde_json::json!(99)),
        "int" | "int64" | "uint16" | "uint32" | "uint64" => (number.to_string(), serde_json::json!(number)),
        "list(string)" => (format!("[\"{word}\"]"), serde_json::json!([word])),
        "list(uint16)" => (format!("[{number}]"), serde_json::json!([number])),
        _ => (format!("\"{word}\""), Value::String(word)),
    }
}

/// The blocks on the way to a row, outermost first, with labels where they have one.
struct Writer<'a> {
    rows: &'a BTreeMap<&'static str, Row<'static>>,
}

impl Writer<'_> {
    /// A file with nothing but `path` in it, or with nothing where it would be.
    fn file(&self, path: &str, line: Option<&str>, label: Option<&str>) -> String {
        let parts: Vec<&str> = path.split('.').collect();
        let mut text = String::new();
        let blocks = &parts[..parts.len() - 1];
        for depth in 0..blocks.len() {
            let own = blocks[..=depth].join(".");
            let row = &self.rows[own.as_str()];
            let indent = "  ".repeat(depth);
            text.push_str(&indent);
            text.push_str(blocks[depth]);
            if row.kind.contains("labelled") {
                let given = label.filter(|_| depth + 1 == blocks.len());
                let _ = write!(text, " \"{}\"", given.unwrap_or_else(|| default_label(&own)));
            }
            text.push_str(" {\n");
            // What has to be there beside it.
            for (sibling, required) in self.rows.iter().filter(|(name, row)| row.required && row.kind == "attr" && name.starts_with(&own)) {
                let name = &sibling[own.len() + 1..];
                if name.contains('.') || depth + 1 == blocks.len() && line.is_some() && *sibling == path {
                    continue;
                }
                if depth + 1 < blocks.len() && blocks[depth + 1] == name {
                    continue;
                }
                if matches!(own.as_str(), "variable" | "variable.validation") {
                    continue;
                }
                let value =
                    if sibling.ends_with("lifecycle.hook") { "\"prestart\"".to_owned() } else { sample(sibling, required.r#type, 5).0 };
                let _ = writeln!(text, "{indent}  {name} = {value}");
            }
        }
        if let Some(line) = line {
            let _ = writeln!(text, "{}{line}", "  ".repeat(blocks.len()));
        }
        for depth in (0..blocks.len()).rev() {
            let _ = writeln!(text, "{}}}", "  ".repeat(depth));
        }
        // Blocks that are copied into tasks need one.
        if let Some(rest) = text.strip_suffix("}\n")
            && (path.starts_with("job.vault") || path.starts_with("job.secret"))
        {
            return format!("{rest}  group \"g\" {{\n    task \"t\" {{}}\n  }}\n}}\n");
        }
        if path.starts_with("job.group.vault.") || path.starts_with("job.group.secret.") {
            return text.replacen("group \"g\" {\n", "group \"g\" {\n    task \"t\" {}\n", 1);
        }
        text
    }
}

fn default_label(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("group") => "g",
        Some("task") => "t",
        Some("scaling") => "cpu",
        _ => "x",
    }
}

/// The names that an attribute may have in JSON: its own without underscores, or what follows from its rule.
fn has_value(json: &Value, wanted: &Value) -> bool {
    match json {
        value if value == wanted => true,
        Value::Number(number) => wanted.as_f64().is_some() && number.as_f64() == wanted.as_f64(),
        Value::String(text) => wanted.as_str().is_some_and(|wanted| text.contains(wanted)),
        Value::Array(list) => list.iter().any(|value| has_value(value, wanted)),
        Value::Object(map) => map.iter().any(|(key, value)| has_value(value, wanted) || wanted.as_str() == Some(key)),
        _ => false,
    }
}

/// Rows that say of themselves that they do nothing.
fn without_effect(path: &str, rule: &str) -> bool {
    rule.contains("no effect")
        || rule.contains("not mapped")
        || rule.contains("ignored")
        || rule.contains("Ignored")
        || rule.contains("dropped")
        || path.ends_with(".advertise")
        || rule.contains("DOC-ONLY")
}

fn variable_row(path: &str, number: usize) -> Result<(), String> {
    let file = |block: &str, value: &str| format!("{block}\njob \"j\" {{\n  meta {{\n    seen = {value}\n  }}\n}}\n");
    let word = format!("zz{number}");
    let (text, given, wanted) = match path {
        "variable" | "variable.<label>" | "variable.default" => {
            (file(&format!("variable \"v\" {{\n  default = \"{word}\"\n}}"), "var.v"), None, Some(word.clone()))
        }
        "variable.type" => {
            (file("variable \"v\" {\n  type = list(string)\n}", "var.v[0]"), Some(format!("v=[\"{word}\"]")), Some(word.clone()))
        }
        "variable.description" => {
            (file(&format!("variable \"v\" {{\n  description = \"d\"\n  default = \"{word}\"\n}}"), "var.v"), None, Some(word.clone()))
        }
        "variable.validation" | "variable.validation.condition" | "variable.validation.error_message" => {
            let block =
                "variable \"v\" {\n  validation {\n    condition = var.v != \"bad\"\n    error_message = \"It must not be bad.\"\n  }\n}";
            let refused = read("v.nomad.hcl", &file(block, "var.v"), Inputs { arguments: vec!["v=bad".to_owned()], ..Inputs::default() });
            let error = refused.err().ok_or("a value that breaks the rule is accepted")?;
            if !error.contains("It must not be bad.") {
                return Err(error);
            }
            (file(block, "var.v"), Some(format!("v={word}")), Some(word.clone()))
        }
        "variables" | "variables.<key>" | "variables.*" => {
            (file(&format!("variables {{\n  v = \"{word}\"\n}}"), "var.v"), None, Some(word.clone()))
        }
        path if path.starts_with("variables") => (file(&format!("variables {{\n  v = \"{word}\"\n}}"), "var.v"), None, Some(word.clone())),
        path if path.starts_with("locals") => (file(&format!("locals {{\n  v = \"{word}\"\n}}"), "local.v"), None, Some(word.clone())),
        other => return Err(format!("no way to exercise {other}")),
    };
    let job = read("v.nomad.hcl", &text, Inputs { arguments: given.into_iter().collect(), ..Inputs::default() })?;
    let seen = job.meta.unwrap_or_default().get("seen").cloned();
    if seen == wanted { Ok(()) } else { Err(format!("found {seen:?}")) }
}

fn exercise(writer: &Writer<'_>, path: &'static str, row: &Row<'_>, number: usize) -> Result<(), String> {
    if ["variable", "variables", "locals"].contains(&path.split('.').next().unwrap_or_default()) {
        return variable_row(path, number);
    }
    let name = path.rsplit('.').next().unwrap_or_default();
    let (with, without, wanted) = match row.kind {
        "label" => {
            let word = if path.ends_with("scaling.<label>") { "mem".to_owned() } else { format!("zz{number}") };
            let shown = if word == "mem" { "vertical_mem".to_owned() } else { word.clone() };
            (writer.file(path, None, Some(&word)), writer.file(path, None, None), Value::String(shown))
        }
        "attr" => {
            let (value, wanted) = sample(path, row.r#type, number);
            let line =
                if row.r#type.starts_with("map") { format!("{name} = {{ k = \"zz{number}\" }}") } else { format!("{name} = {value}") };
            let wanted = if row.r#type.starts_with("map") { Value::String(format!("zz{number}")) } else { wanted };
            (writer.file(path, Some(&line), None), writer.file(path, None, None), wanted)
        }
        _ => {
            // A block: seen by what is in it, or by being there.
            let word = format!("zz{number}");
            let content = match row.r#type {
                kind if kind.starts_with("map(list") => format!("k = [\"{word}\"]"),
                kind if kind.starts_with("map") => format!("k = \"{word}\""),
                _ => {
                    // The rows below exercise it; here it is read alone with what it needs.
                    let below = format!("{path}.x");
                    let text = if row.kind == "labelled block" { "job \"j\" {}\n".to_owned() } else { writer.file(&below, None, None) };
                    return read("ledger.nomad.hcl", &text, Inputs::default()).map(|_| ());
                }
            };
            let line = format!("{name} {{ {content} }}");
            (writer.file(path, Some(&line), None), writer.file(path, None, None), Value::String(word))
        }
    };
    let outcome = read("ledger.nomad.hcl", &with, Inputs::default());
    if row.rule.contains("DOC-ONLY") {
        return if outcome.is_err() { Ok(()) } else { Err("a row that is only documented is accepted".to_owned()) };
    }
    let job = outcome.map_err(|error| format!("{error}\n{with}"))?;
    if without_effect(path, row.rule) {
        return Ok(());
    }
    let plain = read("ledger.nomad.hcl", &without, Inputs::default()).map_err(|error| format!("{error}\n{without}"))?;
    let (parsed, parsed_without) = (serde_json::to_value(&job).unwrap(), serde_json::to_value(&plain).unwrap());
    if parsed == parsed_without || !has_value(&parsed, &wanted) {
        return Err(format!("{wanted} is not in the job that was read:\n{with}"));
    }
    let (before, after) = through_the_log(job);
    if bare(&before) != bare(&after) {
        return Err(format!("the log changes it:\n{with}"));
    }
    Ok(())
}

#[test]
fn every_row_of_the_job_specification_arrives() {
    let rows = rows();
    let by_path: BTreeMap<&'static str, Row<'static>> = self::rows().into_iter().collect();
    let writer = Writer { rows: &by_path };
    let mut wrong = Vec::new();
    for (number, (path, row)) in rows.iter().enumerate() {
        match exercise(&writer, path, row, number + 1001) {
            Ok(()) => println!("exercises jobspec {path} by {}::every_row_of_the_job_specification_arrives", module_path!()),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
