//! Every row of the ledgers of functions and of agent configuration is exercised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use drover_lang::Source;
use drover_lang::config::{Partial, parse};
use drover_lang::specs::{Specification, parse as parse_spec, write};
use serde_json::Value;

use crate::golden::{records, text};

/// The rows of a ledger: its cells by column.
pub(crate) fn rows(ledger: &str) -> Vec<Vec<String>> {
    let path = format!("{}/../../testdata/parity/{ledger}.tsv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"));
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Fails with what is wrong; says which rows were exercised.
pub(crate) fn finish(ledger: &str, test: &str, outcomes: Vec<(String, Result<(), String>)>) {
    let total = outcomes.len();
    let mut wrong = Vec::new();
    for (row, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("exercises {ledger} {row} by drover_lang::it::{test}"),
            Err(error) => wrong.push(format!("{row}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {total} rows of {ledger}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Their results are random or need a key, so no record has them; `functions.rs` in the library tests them by property.
const WITHOUT_RECORDS: [&str; 3] = ["bcrypt", "uuidv4", "rsadecrypt"];

#[test]
fn every_function_has_recorded_results() {
    let recorded: BTreeSet<String> = records("hcl-functions").iter().map(|record| text(record, "function").to_owned()).collect();
    let outcomes = rows("hcl-functions")
        .into_iter()
        .map(|row| {
            let name = row[0].clone();
            let found = recorded.contains(&name) || WITHOUT_RECORDS.contains(&name.as_str()) && crate::functions::works(&name);
            (name, if found { Ok(()) } else { Err("no recorded call".to_owned()) })
        })
        .collect();
    finish("hcl-functions", "ledger::every_function_has_recorded_results", outcomes);
}

/// The value that a key is given; it has to differ from its default and be seen again as text.
fn sample(path: &str, r#type: &str, number: usize) -> (String, Vec<String>) {
    let text = |text: &str| (format!("\"{text}\""), vec![text.to_owned()]);
    match r#type.split(' ').next().unwrap_or_default() {
        "bool" => ("true".to_owned(), vec!["true".to_owned()]),
        "duration" => text(&format!("{number}s")),
        "int" | "uint" | "size" | "int64" | "uint64" => (number.to_string(), vec![number.to_string()]),
        "float" => ("7.25".to_owned(), vec!["7.25".to_owned()]),
        "list(string)" | "list(glob)" => (format!("[\"zz{number}\"]"), vec![format!("zz{number}")]),
        "map(string)" => (format!("{{ k = \"zz{number}\" }}"), vec![format!("zz{number}")]),
        _ if path.ends_with("dry-run") => text("true"),
        _ => text(&format!("zz{number}")),
    }
}

/// Whether a value with this text is somewhere inside.
fn seen(json: &Value, wanted: &[String]) -> bool {
    match json {
        Value::Array(list) => list.iter().any(|value| seen(value, wanted)),
        Value::Object(map) => map.iter().any(|(key, value)| wanted.contains(key) || seen(value, wanted)),
        Value::String(text) => wanted.contains(text),
        Value::Null => false,
        other => wanted.contains(&other.to_string()),
    }
}

/// `path` inside its blocks, in the language of agent configuration.
fn file(kinds: &BTreeMap<String, String>, path: &str, line: &str) -> String {
    let mut blocks: Vec<String> = Vec::new();
    // Option names have dots of their own.
    let parts: Vec<&str> = path.split('.').collect();
    let mut depth = 0;
    let mut out = String::new();
    while depth + 1 < parts.len() {
        let own = parts[..=depth].join(".");
        let Some(kind) = kinds.get(&own) else { break };
        if kind == "map" {
            let key = parts[depth + 1..].join(".");
            let _ = write!(out, "{} {{ \"{key}\" = {line} }}", parts[depth]);
            for block in blocks.iter().rev() {
                out = format!("{block} {{\n{out}\n}}");
            }
            return out;
        }
        let label = if kind.contains("labelled") { " \"x\"" } else { "" };
        // Keyring rows name their provider.
        let label =
            if parts[depth] == "keyring" && parts.len() > depth + 2 { format!(" \"{}\"", parts[depth + 1]) } else { label.to_owned() };
        blocks.push(format!("{}{label}", parts[depth]));
        depth += if parts[depth] == "keyring" && parts.len() > depth + 2 { 2 } else { 1 };
    }
    out = format!("{} = {line}", parts[depth..].join("."));
    for block in blocks.iter().rev() {
        out = format!("{block} {{\n{out}\n}}");
    }
    out
}

fn read(text: &str) -> Result<Partial, String> {
    parse(&Source::new("ledger.hcl", text)).map(|parsed| parsed.partial).map_err(|problems| format!("{}\n{text}", problems[0]))
}

#[test]
fn every_key_of_agent_configuration_arrives_and_merges() {
    let rows = rows("agent-config");
    let kinds: BTreeMap<String, String> = rows.iter().filter(|row| row[1] != "attr").map(|row| (row[0].clone(), row[1].clone())).collect();
    let mut outcomes = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let (path, kind, r#type) = (row[0].as_str(), row[1].as_str(), row[2].as_str());
        let outcome = match kind {
            // The rules about files as a whole have tests of their own; here they are only counted.
            "rule" => rule(path),
            // It is not known to the reader and has no effect.
            "attr" if row[7].contains("DOC-ONLY") => read(&file(&kinds, path, "1")).map(|_| ()),
            // Providers of cloud discovery are words inside the list.
            "attr" if path.contains('[') => {
                let provider = path.split(['[', ']']).nth(1).unwrap_or_default();
                let text = format!("server {{\nserver_join {{\nretry_join = [\"{provider} a=b\"]\n}}\n}}");
                read(&text).map(|_| ())
            }
            "attr" => {
                let (line, wanted) = sample(path, r#type, number + 1001);
                read(&file(&kinds, path, &line)).and_then(|partial| {
                    let found = Value::Object(partial.values().clone());
                    if !seen(&found, &wanted) {
                        return Err(format!("{wanted:?} does not arrive: {found}"));
                    }
                    // Laid over an empty configuration and under one it is still there.
                    let merged = Partial::default().merge(&partial).merge(&Partial::default());
                    if seen(&Value::Object(merged.values().clone()), &wanted) { Ok(()) } else { Err("is lost in a merge".to_owned()) }
                })
            }
            "map" => {
                let last = path.rsplit('.').next().unwrap_or_default();
                let inner = format!("{{ k = \"zz{number}\" }}");
                let _ = last;
                read(&file(&kinds, path, &inner).replacen(&format!("= {inner}"), &inner, 1)).and_then(|partial| {
                    if seen(&Value::Object(partial.values().clone()), &[format!("zz{number}")]) {
                        Ok(())
                    } else {
                        Err("does not arrive".to_owned())
                    }
                })
            }
            _ => read(&file(&kinds, &format!("{path}.x"), "1").replace("x = 1", "")).map(|_| ()),
        };
        outcomes.push((path.to_owned(), outcome));
    }
    finish("agent-config", "ledger::every_key_of_agent_configuration_arrives_and_merges", outcomes);
}

#[test]
fn every_key_that_is_set_has_effect_or_is_told_to_have_none() {
    let rows = rows("agent-config");
    let kinds: BTreeMap<String, String> = rows.iter().filter(|row| row[1] != "attr").map(|row| (row[0].clone(), row[1].clone())).collect();
    let entries = drover_lang::config::reference();
    let (mut acting, mut told, mut wrong) = (0, 0, Vec::new());
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| row[1] == "attr" && !row[0].contains('[')) {
        let path = row[0].as_str();
        // The reader warns of keys that only documents know.
        if row[7].contains("DOC-ONLY") {
            continue;
        }
        let (line, _) = sample(path, &row[2], number + 1001);
        let partial = read(&file(&kinds, path, &line)).unwrap();
        // As the page of reference has it, from the same table: the key, or the free block that it is in.
        let ends = path.match_indices('.').map(|(at, _)| &path[..at]).chain([path]);
        let entry = ends.rev().find_map(|end| entries.iter().find(|entry| entry.path == end));
        let acts = entry.is_some_and(|entry| entry.acts);
        let without = partial.without_effect();
        let named = without.iter().any(|key| path == key || path.starts_with(&format!("{key}.")));
        match (acts, named) {
            (true, false) => acting += 1,
            (false, true) => told += 1,
            _ => wrong.push(format!("{path}: acts {acts}, told {without:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{acting} keys act, {told} are told to have no effect");
}

fn rule(path: &str) -> Result<(), String> {
    let refused = |text: &str| if read(text).is_err() { Ok(()) } else { Err(format!("accepted: {text}")) };
    match path {
        "(file syntax)" => {
            refused("nonsense = 1")?;
            read("DATACENTER = \"x\"").map(|_| ())?;
            refused("region = \"a\"\nregion = \"b\"")
        }
        "(empty values)" => {
            let merged = read("region = \"a\"\nleave_on_interrupt = true")?.merge(&read("region = \"\"\nleave_on_interrupt = false")?);
            let kept =
                merged.get("region").and_then(Value::as_str) == Some("a") && merged.get("leave_on_interrupt") == Some(&Value::Bool(true));
            if kept { Ok(()) } else { Err(format!("{:?}", merged.values())) }
        }
        "(precedence)" => {
            let merged = Partial::defaults().merge(&read("region = \"a\"")?).merge(&read("region = \"b\"")?);
            if merged.get("region").and_then(Value::as_str) == Some("b") { Ok(()) } else { Err("the later file does not win".to_owned()) }
        }
        // Files are chosen and roles are asked for by the agent: `drover` tests them.
        "(file selection)" | "(mode)" => Ok(()),
        other => Err(format!("an unknown rule {other}")),
    }
}

// -- other specifications ---------------------------------------------------------------------------------------------

/// What a file of each kind needs beside the row under test.
fn skeleton(kind: &str) -> (&'static str, Specification) {
    match kind {
        "namespace" => ("name = \"n\"", Specification::Namespace),
        "node_pool" => ("", Specification::NodePool),
        "quota" => ("name = \"q\"", Specification::Quota),
        "acl_policy" => ("", Specification::AclPolicy),
        "volume(csi)" | "volume" => (
            "type = \"csi\"\nid = \"i\"\nname = \"n\"\nplugin_id = \"p\"\ncapability {\n  access_mode = \"single-node-writer\"\n  attachment_mode = \"file-system\"\n}",
            Specification::Volume,
        ),
        "volume(host)" => ("type = \"host\"\nname = \"n\"", Specification::Volume),
        "variable" => ("items {\n  a = \"b\"\n}", Specification::Variable),
        _ => ("", Specification::ScalingPolicy),
    }
}

fn word_for(path: &str, kind: &str, number: usize) -> (String, Vec<String>) {
    let one = |word: &str| (format!("\"{word}\""), vec![word.to_owned()]);
    let last = path.rsplit('.').next().unwrap_or_default();
    match last {
        "scheduler_algorithm" => one("spread"),
        "policy" => one("read"),
        "capabilities" if path.contains("variables.path") => ("[\"list\"]".to_owned(), vec!["list".to_owned()]),
        "capabilities" if path.contains("node_pool") => ("[\"delete\"]".to_owned(), vec!["delete".to_owned()]),
        "capabilities" if path.contains("host_volume") => ("[\"mount-readonly\"]".to_owned(), vec!["mount-readonly".to_owned()]),
        "capabilities" if path.contains("operator") => ("[\"keyring-read\"]".to_owned(), vec!["keyring-read".to_owned()]),
        "capabilities" if path.contains("sentinel") => ("[\"sentinel-read\"]".to_owned(), vec!["sentinel-read".to_owned()]),
        "capabilities" => ("[\"read-logs\"]".to_owned(), vec!["read-logs".to_owned()]),
        "access_mode" => one("single-node-reader-only"),
        "attachment_mode" => one("block-device"),
        "on_check_error" | "on_error" => one("fail"),
        "type" if path == "volume.type" => one("csi"),
        "host_path" => one(&format!("/zz{number}")),
        "variables" | "host_volumes" if path.contains("storage") => ("\"3 GiB\"".to_owned(), vec!["3072".to_owned()]),
        "capacity" | "capacity_min" | "capacity_max" => ("\"3 GiB\"".to_owned(), vec![(3_u64 << 30).to_string()]),
        "node_identity_ttl" => ("\"3s\"".to_owned(), vec!["3000000000".to_owned()]),
        _ => sample(path, kind, number),
    }
}

/// Siblings that a block cannot be without.
fn needed(own: &str, inside: &str) -> &'static str {
    match own {
        "quota.limit" if inside != "region" => "region = \"r\"",
        "quota.limit.region_limit.device" if inside != "count" => "count = 1",
        "acl_policy.namespace.variables.path" if inside != "capabilities" => "capabilities = [\"list\"]",
        "volume(csi).capability" if inside == "access_mode" => "attachment_mode = \"file-system\"",
        "volume(csi).capability" if inside == "attachment_mode" => "access_mode = \"single-node-writer\"",
        _ => "",
    }
}

fn spec_file(path: &str, line: &str) -> (String, Specification) {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('.') {
        parts.push(part.to_owned());
    }
    let (start, specification) = skeleton(&parts[0]);
    let wrapped = matches!(parts[0].as_str(), "node_pool" | "scaling_policy");
    let labelled = |own: &str| {
        matches!(
            own,
            "quota.limit.region_limit.device"
                | "quota.limit.region_limit.node_pool"
                | "acl_policy.namespace"
                | "acl_policy.namespace.variables.path"
                | "acl_policy.node_pool"
                | "acl_policy.host_volume"
                | "scaling_policy.policy.check"
        )
    };
    let mut body = line.to_owned();
    for depth in (1..parts.len() - 1).rev() {
        let own = parts[..=depth].join(".");
        let (name, label) = match parts[depth].split_once('(') {
            Some((name, label)) => (name.to_owned(), Some(label.trim_end_matches(')').to_owned())),
            None => (parts[depth].clone(), labelled(&own).then(|| "x".to_owned())),
        };
        let label = label.or_else(|| matches!(name.as_str(), "strategy" | "target").then(|| "nomad".to_owned()));
        let label = label.map(|label| format!(" \"{label}\"")).unwrap_or_default();
        let mut beside = needed(&own, &parts[depth + 1]).to_owned();
        if own == "quota.limit" && parts[depth + 1] != "region_limit" {
            beside.push_str("\nregion_limit {}");
        }
        if own == "scaling_policy.policy.check" && !parts[depth + 1].starts_with("strategy") {
            beside.push_str("\nstrategy \"fixed-value\" {}");
        }
        if own == "scaling_policy.policy" && parts[depth + 1] != "check" {
            beside.push_str("\ncheck \"y\" {\n  strategy \"fixed-value\" {}\n}");
        }
        body = format!("{name}{label} {{\n{beside}\n{body}\n}}");
    }
    if parts[0] == "quota" && (parts.len() < 2 || parts[1] != "limit") {
        body.push_str("\nlimit {\n  region = \"r\"\n  region_limit {}\n}");
    }
    if parts[0] == "scaling_policy" {
        if parts.len() < 3 || parts[1] != "policy" {
            body.push_str("\npolicy {\n  check \"y\" {\n    strategy \"fixed-value\" {}\n  }\n}");
        }
        if parts.get(1).is_none_or(|part| part != "max") {
            body.push_str("\nmax = 5000");
        }
    }
    let top = parts.get(1).map(|part| part.split('(').next().unwrap_or_default().to_owned()).unwrap_or_default();
    // The row replaces what the skeleton has for it.
    let mut kept = String::new();
    let mut inside = false;
    for line in start.lines() {
        let opens = line.ends_with('{');
        let first = line.split_whitespace().next().unwrap_or_default();
        if inside {
            inside = line != "}";
            continue;
        }
        if !top.is_empty() && first == top {
            inside = opens;
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    if wrapped {
        let name = if parts[0] == "node_pool" { "node_pool" } else { "scaling" };
        return (format!("{name} \"x\" {{\n{body}\n}}"), specification);
    }
    (format!("{kept}{body}\n"), specification)
}

fn spec_row(row: &[String], number: usize) -> Result<(), String> {
    let (path, kind, r#type, rule) = (row[0].as_str(), row[1].as_str(), row[2].as_str(), row[7].as_str());
    let full = |text: &str, specification| {
        let document =
            parse_spec(specification, &Source::new("ledger.hcl", text)).map_err(|problems| format!("{}\n{text}", problems[0]))?;
        let written = write(&document);
        let again = parse_spec(specification, &Source::new("again.hcl", written.as_str()))
            .map_err(|problems| format!("{}\n{written}", problems[0]))?;
        if again.fields != document.fields {
            return Err(format!("does not come back: {written}"));
        }
        let as_json =
            drover_lang::config::document(&Source::new("again.hcl", written.as_str())).map_err(|problems| problems[0].to_string())?;
        let json = parse_spec(specification, &Source::new("again.json", as_json.to_string()))
            .map_err(|problems| format!("JSON: {}\n{as_json}", problems[0]))?;
        if json.fields != document.fields {
            return Err(format!("JSON says something else: {as_json}"));
        }
        Ok(document)
    };
    let (path, value) = path.split_once('=').map_or((path, None), |(path, value)| (path, Some(value)));
    if rule.contains("CLI parser refuses") {
        let (text, specification) = spec_file(path, &format!("{} = 1", path.rsplit('.').next().unwrap_or_default()));
        return if parse_spec(specification, &Source::new("l.hcl", text)).is_err() { Ok(()) } else { Err("accepted".to_owned()) };
    }
    let names: Vec<&str> = path.rsplit('.').next().unwrap_or_default().split(" / ").collect();
    if let Some(words) = value {
        for word in words.split(' ') {
            let (text, specification) = spec_file(path, &format!("capabilities = [\"{word}\"]"));
            let document = full(&text, specification)?;
            if !seen(&Value::Object(document.fields), &[word.to_owned()]) {
                return Err(format!("{word} does not arrive"));
            }
        }
        let (text, specification) = spec_file(path, "capabilities = [\"no-such-word\"]");
        return if parse_spec(specification, &Source::new("l.hcl", text)).is_err() {
            Ok(())
        } else {
            Err("an unknown word is accepted".to_owned())
        };
    }
    if !path.contains('.') {
        return Ok(());
    }
    for name in names {
        let base = path.rsplit_once('.').map_or("", |(base, _)| base);
        let path = format!("{base}.{}", name.trim());
        let (line, wanted) = match (kind, r#type) {
            ("attr", _) => {
                let (value, wanted) = word_for(&path, r#type, number);
                (format!("{} = {value}", name.trim()), wanted)
            }
            (_, "map(string)") => (format!("{} {{\n k = \"zz{number}\"\n}}", name.trim()), vec![format!("zz{number}")]),
            _ => {
                // The rows inside exercise the block.
                continue;
            }
        };
        let (text, specification) = spec_file(&path, &line);
        let document = full(&text, specification)?;
        if !seen(&Value::Object(document.fields.clone()), &wanted) {
            return Err(format!("{wanted:?} does not arrive: {:?}\n{text}", document.fields));
        }
    }
    Ok(())
}

#[test]
fn every_row_of_the_other_specifications_arrives_and_comes_back() {
    let outcomes =
        rows("other-specs").into_iter().enumerate().map(|(number, row)| (row[0].clone(), spec_row(&row, number + 1001))).collect();
    finish("other-specs", "ledger::every_row_of_the_other_specifications_arrives_and_comes_back", outcomes);
}
