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
