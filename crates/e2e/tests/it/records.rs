//! That every record of requests and command lines is replayed, or left out for a reason that is written down.

use std::collections::BTreeSet;
use std::path::Path;

use drover_e2e::golden::{differing, records};

/// Names or, with `*` at their end, beginnings of names, each with its reason.
fn left_out(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split_once('\t').unwrap()).collect()
}

#[test]
fn every_record_is_replayed_or_left_out_for_a_reason() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let all = std::fs::read_to_string(data.join("golden/records.txt")).unwrap();
    let all: BTreeSet<&str> = all.lines().collect();
    let mut replayed = BTreeSet::new();
    for entry in std::fs::read_dir(data.join("golden")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Some(kind) = ["http", "cli"].into_iter().find(|kind| name.starts_with(&format!("{kind}-")) && name.ends_with(".jsonl")) else {
            continue;
        };
        let packed = records(&std::fs::read_to_string(entry.path()).unwrap());
        replayed.extend(packed.into_keys().map(|name| format!("{kind}/{name}")));
    }
    let named = std::fs::read_to_string(data.join("left-out.tsv")).unwrap();
    let named = left_out(&named);
    let is = |name: &str, pattern: &str| pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start));
    let mut wrong = Vec::new();
    for name in &all {
        let reasons: Vec<&str> = named.iter().filter(|(pattern, _)| is(name, pattern)).map(|(_, reason)| *reason).collect();
        // Of what a beginning names some may be replayed, of what is named in full nothing.
        let exactly = named.iter().any(|(pattern, _)| pattern == name);
        match (replayed.contains(*name), reasons.len()) {
            (true, _) if !exactly => {}
            (false, 1) => {}
            (true, _) => wrong.push(format!("{name} is replayed: it is not left out")),
            (false, 0) => wrong.push(format!("{name} is not replayed, and nothing says why")),
            (false, _) => wrong.push(format!("{name} is left out for {} reasons", reasons.len())),
        }
    }
    wrong.extend(replayed.iter().filter(|name| !all.contains(name.as_str())).map(|name| format!("{name} is no record")));
    for (pattern, reason) in &named {
        if reason.is_empty() || !all.iter().any(|name| is(name, pattern)) {
            wrong.push(format!("{pattern} leaves nothing out, or says no reason"));
        }
    }
    for kind in ["http", "cli"] {
        let otherwise = differing(kind).into_iter().map(|name| format!("{kind}/{name}"));
        wrong.extend(otherwise.filter(|name| !replayed.contains(name)).map(|name| format!("{name} differs, and is not replayed")));
        let count = |names: &mut dyn Iterator<Item = &str>| names.filter(|name| name.starts_with(kind)).count();
        println!("{kind}: {} of {}", count(&mut replayed.iter().map(String::as_str)), count(&mut all.iter().copied()));
    }
    assert!(wrong.is_empty(), "{} records:\n{}", wrong.len(), wrong.join("\n"));
}
