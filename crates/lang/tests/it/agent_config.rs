//! Agent configuration against what the recorded files parse and merge to.

use drover_lang::Source;
use drover_lang::config::{Partial, parse};
use serde_json::Value;

use crate::golden::{finish, records, text};

/// A key that no file can set elsewhere, as the reader there has no type for it.
const ACCEPTED_HERE: [&str; 1] = ["297-uint-never-decodes.hcl"];

/// Gives every cluster its defaults, as a merge does it elsewhere; here they come in with the typed values.
fn with_cluster_defaults(mut found: Value) -> Value {
    let defaults = Partial::defaults().to_api();
    for kind in ["Consuls", "Vaults"] {
        for cluster in found.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            for (key, value) in defaults[kind][0].as_object().unwrap().iter().filter(|(key, _)| *key != "TimeoutHCL") {
                let cluster = cluster.as_object_mut().unwrap();
                cluster.entry(key).or_insert_with(|| value.clone());
            }
        }
    }
    // The texts of these durations are lost in a merge elsewhere.
    if let Some(block) = found.pointer_mut("/Server/ClientIntroduction").and_then(Value::as_object_mut) {
        block.retain(|key, _| !key.ends_with("HCL"));
    }
    found
}

/// Empty values are left out, as the records do it; so are names that only records have.
fn tidy(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(key, _)| !matches!(key.as_str(), "Files" | "ConnectionRetryIntv" | "ExtraClaims"))
                .map(|(key, value)| (key.clone(), tidy(value)))
                .filter(|(_, value)| {
                    !matches!(value, Value::Object(map) if map.is_empty()) && !matches!(value, Value::Array(list) if list.is_empty())
                })
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(tidy).collect()),
        Value::Number(number) => serde_json::json!(number.as_f64()),
        other => other.clone(),
    }
}

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
            let (mut a, mut b) = (a.clone(), b.clone());
            if path.ends_with(".Plugins") {
                // Their order differs where one file gives a list of objects, and means nothing.
                a.sort_by_key(|plugin| plugin["Name"].to_string());
                b.sort_by_key(|plugin| plugin["Name"].to_string());
            }
            a.iter().zip(&b).enumerate().find_map(|(at, (x, y))| difference(&format!("{path}[{at}]"), x, y))
        }
        _ if wanted == found => None,
        _ => Some(format!("{path}: wanted {wanted}, found {found}")),
    }
}

#[test]
fn files_parse_and_merge_to_the_recorded_values() {
    let records = records("agent-config");
    let mut differences = Vec::new();
    for record in &records[1..] {
        let name = text(record, "name");
        let wanted: Vec<&Value> = match &record["out"]["parsed"] {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        let mut merged = Partial::default();
        for ((file, source), wanted) in record["sources"].as_object().unwrap().iter().zip(wanted) {
            match parse(&Source::new(file.as_str(), source.as_str().unwrap())) {
                Ok(parsed) => {
                    differences
                        .extend(difference("", &tidy(wanted), &tidy(&parsed.partial.to_api())).map(|line| format!("{file}: {line}")));
                    merged = merged.merge(&parsed.partial);
                }
                Err(problems) => differences.push(format!("{file}: {}", problems[0])),
            }
        }
        if let Some(wanted) = record["out"].get("merged").filter(|wanted| wanted.is_object()) {
            differences.extend(
                difference("", &tidy(&with_cluster_defaults(wanted.clone())), &tidy(&with_cluster_defaults(merged.to_api())))
                    .map(|line| format!("{name} merged: {line}")),
            );
        }
        // This one holds durations that nobody checks while a file is read.
        if let Err(problems) = merged.typed()
            && name != "041-durations-odd"
        {
            differences.push(format!("{name} typed: {problems:?}"));
        }
    }
    finish("agent configuration files", records.len() - 1, &differences);
}

#[test]
fn defaults_are_the_recorded_ones() {
    let records = records("agent-config");
    let found = tidy(&Partial::defaults().to_api());
    let mut wanted = tidy(&records[0]["value"]);
    wanted.as_object_mut().unwrap().remove("Version");
    // Durations of defaults are recorded without the text that a file would give.
    fn without_texts(value: &Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.iter().filter(|(key, _)| !key.ends_with("HCL")).map(|(key, value)| (key.clone(), without_texts(value))).collect(),
            ),
            Value::Array(list) => Value::Array(list.iter().map(without_texts).collect()),
            other => other.clone(),
        }
    }
    assert_eq!(difference("", &without_texts(&wanted), &without_texts(&found)), None);
}

#[test]
fn wrong_files_are_refused_and_odd_ones_accepted() {
    let records = records("agent-config-bad");
    let mut differences = Vec::new();
    for record in &records {
        let name = text(record, "name");
        let recorded = text(record, "result").starts_with("error:");
        let refused = recorded && !ACCEPTED_HERE.contains(&name);
        match parse(&Source::new(name, text(record, "source"))) {
            Ok(_) if refused => differences.push(format!("{name}: accepted, but {}", text(record, "result"))),
            Err(problems) if !refused => differences.push(format!("{name}: refused: {}", problems[0])),
            Ok(parsed) if !recorded => {
                let wanted = text(record, "result").strip_prefix("accepted: ").and_then(|text| serde_json::from_str(text).ok());
                let wanted: Value = wanted.unwrap_or_else(|| panic!("{name}"));
                let found = difference("", &tidy(&wanted), &tidy(&parsed.partial.to_api()));
                differences.extend(found.map(|line| format!("{name}: {line}")));
            }
            _ => {}
        }
    }
    finish("wrong agent configuration files", records.len(), &differences);
}

#[test]
fn promises_of_safety_are_visible() {
    let text = "acl { enabled = true }\ntls { rpc = true }\nserver { encrypt = \"abc\" }\n";
    let promises = parse(&Source::new("a.hcl", text)).unwrap().partial.promises();
    assert!(promises.gossip_encryption && promises.tls_rpc && !promises.audit);
}

#[test]
fn unknown_keys_come_with_a_near_miss() {
    let problems = parse(&Source::new("a.hcl", "datacentre = \"x\"\nserver {\n  bootstrap_expct = 1\n}\n")).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0].hint.as_deref(), Some("Did you mean \"datacenter\"?"));
    assert_eq!(problems[1].place.as_ref().unwrap().line, 3);
    let warned = parse(&Source::new("a.hcl", "limits { http_max_conn_per_client = 1 }")).unwrap().warnings;
    assert_eq!(warned.len(), 1);
}

#[test]
fn a_configuration_is_told_as_the_api_has_it() {
    let shown: drover_api::AgentConfig = serde_json::from_value(Partial::defaults().to_wire()).unwrap();
    let join = shown.server.and_then(|server| server.server_join).unwrap();
    assert_eq!((join.retry_interval, shown.telemetry.unwrap().prometheus_metrics), (30_000_000_000, false));
}
