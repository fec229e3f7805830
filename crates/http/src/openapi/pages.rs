//! The pages of the reference, one for each area of the API, made from the same description.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// The methods in the order in which they are shown.
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// What the description says of each area, by area.
pub fn pages(document: &Value) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for (path, entry) in document["paths"].as_object().into_iter().flatten() {
        let mut told: Vec<&str> = METHODS.into_iter().filter(|method| entry.get(method).is_some()).collect();
        // PUT and POST alike are told once.
        let alike = entry.get("put").is_some_and(|put| entry["post"]["summary"] == put["summary"]);
        if alike {
            told.retain(|method| *method != "post");
        }
        for method in told {
            let operation = &entry[method];
            let Some(area) = operation["tags"][0].as_str() else { continue };
            let shown = if alike && method == "put" { "PUT, POST".to_owned() } else { method.to_uppercase() };
            out.entry(area.to_owned()).or_default().push_str(&section(&shown, path, operation));
        }
    }
    out
}

fn section(method: &str, path: &str, operation: &Value) -> String {
    let mut out = format!("\n## `{method} {path}`\n\n");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let _ = writeln!(out, "{} {}\n", text(&operation["summary"]), text(&operation["description"]));
    let (mut common, mut own) = (Vec::new(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        match parameter["$ref"].as_str() {
            Some(target) => common.push(format!("`{}`", target.rsplit('/').next().unwrap_or_default())),
            None => own.push(parameter),
        }
    }
    if !own.is_empty() {
        out.push_str("| parameter | type | |\n| --- | --- | --- |\n");
        for parameter in own {
            let required = if parameter["required"] == true { ", required" } else { "" };
            let kind = text(&parameter["schema"]["type"]);
            let _ = writeln!(out, "| `{}` | {kind}{required} | {} |", text(&parameter["name"]), text(&parameter["description"]));
        }
        out.push('\n');
    }
    if !common.is_empty() {
        let _ = writeln!(out, "Heeds {}.\n", common.join(", "));
    }
    let takes = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    if let Some((kind, media)) = takes {
        let optional = if operation["requestBody"]["required"] == true { "" } else { ", which may be left out" };
        let _ = writeln!(out, "Takes {}{optional}.", described(kind, &media["schema"]));
    }
    let mut failures = Vec::new();
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let code: u16 = status.parse().unwrap_or_default();
        if code >= 400 {
            // What any route may answer is on the first page.
            if ![405, 413, 429].contains(&code) {
                failures.push(format!("| {status} | {} |", text(&answer["description"]).replace('|', "\\|")));
            }
            continue;
        }
        match answer["content"].as_object().and_then(|content| content.iter().next()) {
            Some((kind, media)) => {
                let _ = writeln!(out, "Answers {}.", described(kind, &media["schema"]));
            }
            None if code == 101 => out.push_str("Goes on as a WebSocket.\n"),
            None => {
                let _ = writeln!(out, "Answers {status} and nothing else.");
            }
        }
    }
    if !failures.is_empty() {
        let _ = write!(out, "\n| status | when |\n| --- | --- |\n{}\n", failures.join("\n"));
    }
    out
}

/// A body in words.
fn described(kind: &str, schema: &Value) -> String {
    match kind {
        "application/json" => match words(schema) {
            text if text.is_empty() => "JSON".to_owned(),
            text => text,
        },
        "application/octet-stream" | "application/x-gzip" => "bytes as they are".to_owned(),
        other => other.to_owned(),
    }
}

fn words(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        return format!("`{}`", target.rsplit('/').next().unwrap_or_default());
    }
    if let Some(parts) = schema["anyOf"].as_array() {
        return format!("{} or null", words(&parts[0]));
    }
    match schema["type"].as_str() {
        Some("array") => format!("a list of {}", words(&schema["items"])),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("string") => "a text".to_owned(),
        Some("integer" | "number") => "a number".to_owned(),
        _ => String::new(),
    }
}
