//! The description against the rules of OpenAPI and against the ledger of routes.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const LEDGER: &str = include_str!("../../../../testdata/parity/http-api.tsv");

fn whole() -> Value {
    document(crate::table::table().routes())
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut out = Vec::new();
    for (path, entry) in document["paths"].as_object().unwrap() {
        for (method, operation) in entry.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            out.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    out
}

fn references(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                out.insert(target.clone());
            }
            members.values().for_each(|member| references(member, out));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, out)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = whole();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for target in &used {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is never used");
    }
    assert!(used.len() > 200, "{}", used.len());
}

#[test]
fn operations_have_names_of_their_own_summaries_and_all_their_parameters() {
    let document = whole();
    let tags: BTreeSet<&str> = document["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} twice");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path} is not described: add it to openapi/operations");
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{method} {path}");
        let declared: Vec<&str> =
            document["paths"][&path]["parameters"].as_array().unwrap().iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        let written: Vec<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(declared, written, "{path}");
        let mut own = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().or_else(|| parameter["$ref"].as_str()?.rsplit('/').next()).unwrap();
            assert!(own.insert(name.to_owned()), "{method} {path}: {name} twice");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(status.parse::<u16>().is_ok_and(|status| (100..600).contains(&status)), "{status}");
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{method} {path} {status}");
        }
    }
}

#[test]
fn every_route_of_the_table_is_described() {
    let document = whole();
    let described: BTreeSet<String> = operations(&document).into_iter().map(|(path, _, _)| path).collect();
    let here = |route: &&Route<Agent>| route.methods != Methods::Any && route.unsupported.is_none();
    for route in crate::table::table().routes().iter().filter(here) {
        assert!(described.contains(&route.pattern.replace("*}", "}")), "{}", route.pattern);
    }
}

/// Paths with their parameters' names left out, which the ledger spells otherwise in places.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

#[test]
fn every_row_of_the_ledger_that_is_served_is_described_with_its_parameters() {
    let document = whole();
    let described: BTreeMap<(String, String), Value> =
        operations(&document).into_iter().map(|(path, method, operation)| ((method.to_uppercase(), shape(&path)), operation)).collect();
    let table = crate::table::table();
    let mut compared = 0;
    for row in LEDGER.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let (method, path) = cells[0].split_once(' ').unwrap_or((cells[0], cells[1]));
        let served = table.routes().iter().any(|route| {
            shape(&route.pattern.replace("*}", "}")) == shape(path)
                && method.parse().is_ok_and(|method| route.answers(&method))
                && route.methods != Methods::Any
                && route.unsupported.is_none()
        });
        if !served || method == "OPTIONS" {
            continue;
        }
        compared += 1;
        assert!(described.contains_key(&(method.to_owned(), shape(path))), "{method} {path}");
    }
    assert!(compared > 150, "{compared}");
}

/// What stands between the opening that a person wrote and what is made from the definitions.
const MARK: &str = "<!-- From here on made from the definitions: `cargo xtask reference` writes it anew. -->\n";

#[test]
fn the_pages_of_the_api_are_what_the_definitions_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api");
    let pages = pages::pages(&whole());
    assert!(pages.len() > 15, "{}", pages.len());
    for (area, text) in pages {
        let path = folder.join(format!("{area}.md"));
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let (opening, made) = found.split_once(MARK).unwrap_or_else(|| panic!("{} needs an opening and the mark", path.display()));
        if std::env::var_os("DROVER_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, format!("{opening}{MARK}{text}")).unwrap();
        } else {
            assert!(made == text, "docs/reference/api/{area}.md is not what the definitions say: cargo xtask reference");
        }
    }
}

/// What is wrong with a value, as the paths to what the schema does not allow. Placeholders of records stand for anything.
fn wrong(document: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        return wrong(document, document.pointer(target.trim_start_matches('#')).unwrap(), value, at, out);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &Value| {
            let mut found = Vec::new();
            wrong(document, choice, value, at, &mut found);
            found
        };
        let each: Vec<Vec<String>> = choices.iter().map(fits).collect();
        if !each.iter().any(Vec::is_empty) {
            out.extend(each.into_iter().min_by_key(|found| found.iter().filter(|path| *path == at).count()).into_iter().flatten());
        }
        return;
    }
    let is = |kind: &str| match (kind, value) {
        (_, Value::String(text)) if text.starts_with('<') => true,
        ("null", Value::Null) | ("boolean", Value::Bool(_)) | ("string", Value::String(_)) | ("array", Value::Array(_)) => true,
        ("object", Value::Object(_)) | ("number", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => !number.is_f64(),
        _ => false,
    };
    let fits = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if !fits {
        out.push(at.to_owned());
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        let schema = schema["properties"].get(key).or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()));
        if let Some(schema) = schema {
            wrong(document, schema, member, &format!("{at}.{key}"), out);
        }
    }
    for (number, entry) in value.as_array().into_iter().flatten().enumerate() {
        wrong(document, &schema["items"], entry, &format!("{at}[{number}]"), out);
    }
}

#[test]
fn every_recorded_answer_has_the_form_that_the_description_declares() {
    // The ledger of types has no null there.
    const EXCEPT: &str = "agent/GET-agent-self-client-only";
    let document = whole();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    let (mut compared, mut problems) = (0, Vec::new());
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("http-") && name.ends_with(".jsonl")) {
            continue;
        }
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let (Some(method), Some(path)) = (record["request"]["method"].as_str(), record["request"]["path"].as_str()) else { continue };
            let parts: Vec<&str> = path.split('?').next().unwrap().trim_end_matches('/').split('/').collect();
            let fits = |declared: &&String| {
                let declared: Vec<&str> = declared.split('/').collect();
                declared.len() == parts.len() && declared.iter().zip(&parts).all(|(own, part)| own.starts_with('{') || own == part)
            };
            // Of several, the one with the most words of its own.
            let declared = document["paths"].as_object().unwrap().keys().filter(fits).min_by_key(|declared| declared.matches('{').count());
            let Some(declared) = declared else { continue };
            let answer = &document["paths"][declared][method.to_lowercase()]["responses"][record["response"]["status"].to_string()];
            let schema = &answer["content"]["application/json"]["schema"];
            let body = &record["response"]["body"];
            if schema.is_null() || body.as_str().is_some_and(|_| schema["type"] != "string") || record["name"] == EXCEPT {
                continue;
            }
            let mut found = Vec::new();
            wrong(&document, schema, body, "", &mut found);
            problems.extend(found.into_iter().map(|at| format!("{}: {method} {declared}: the answer{at}", record["name"])));
            compared += 1;
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(compared > 400, "{compared}");
}
