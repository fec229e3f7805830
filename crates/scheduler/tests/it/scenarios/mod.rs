//! Every recorded scheduler run: its cluster is put down, its evaluation processed, and what comes out compared.
//!
//! A scenario that does not agree is either pending (`testdata/golden/scheduler-pending.txt`, to become empty) or a
//! difference with a reason (`testdata/differences.toml`, `scheduler/<name>`). Both lists must be exact: one that agrees
//! may not be on them.

pub(crate) mod build;
mod compare;
pub(crate) mod input;
mod observe;
mod run;

pub(crate) use build::{World, group, id, node as node_row};
pub(crate) use run::run;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::golden::{file, records};

/// What a scenario disagrees in; empty when it agrees.
pub(crate) fn differences(scenario: &Value) -> Vec<String> {
    let world = World::of(scenario);
    let actual = run(scenario, &world);
    compare::compare(scenario, &actual)
}

/// Names of scenarios that are known to differ for a reason.
fn known() -> BTreeSet<String> {
    let text = file("differences.toml");
    let names = text.lines().filter_map(|line| line.strip_prefix("record = \"scheduler/")?.strip_suffix('"'));
    names.map(str::to_owned).collect()
}

fn pending() -> BTreeSet<String> {
    file("golden/scheduler-pending.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Runs all scenarios that name one of the ids; panics unless every one agrees or is listed with a reason.
pub(crate) fn prove(ids: &[&str]) {
    let (known, pending) = (known(), pending());
    let mut shown: BTreeSet<&str> = BTreeSet::new();
    let mut wrong = Vec::new();
    for scenario in records("scheduler-scenarios") {
        let names = |id: &&&str| scenario["ids"].as_array().is_some_and(|of| of.iter().any(|other| other == **id));
        let name = scenario["name"].as_str().unwrap();
        let about: Vec<&str> = ids.iter().filter(names).copied().collect();
        if about.is_empty() || known.contains(name) {
            continue;
        }
        shown.extend(about);
        assert!(!pending.contains(name), "{name} is pending, so nothing is proven");
        wrong.extend(differences(&scenario).into_iter().map(|line| format!("{name}: {line}")));
    }
    let missing: Vec<&&str> = ids.iter().filter(|id| !shown.contains(*id)).collect();
    assert!(missing.is_empty(), "no scenario shows {missing:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The part of a difference that many scenarios share.
fn reason(line: &str) -> String {
    let place = line.split(':').next().unwrap_or("");
    place.to_owned()
}

#[test]
fn scenarios_agree_with_the_records() {
    let (known, pending) = (known(), pending());
    let only = std::env::var("SCENARIO").ok();
    let (mut agree, mut total, mut wrong) = (0, 0, Vec::new());
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for scenario in records("scheduler-scenarios") {
        let name = scenario["name"].as_str().unwrap().to_owned();
        let number = scenario["number"].as_str().unwrap().to_owned();
        if only.as_ref().is_some_and(|only| !only.split(',').any(|one| name == one || number == one)) {
            continue;
        }
        total += 1;
        let found = differences(&scenario);
        let listed = known.contains(&name) || pending.contains(&name);
        for line in &found {
            reasons.entry(reason(line)).or_default().push(number.clone());
        }
        match (found.is_empty(), listed) {
            (true, false) => agree += 1,
            (true, true) => wrong.push(format!("{number} {name}: agrees now, take it off the list")),
            (false, true) if only.is_none() => {}
            (false, _) => wrong.push(format!("{number} {name}:\n    {}", found.join("\n    "))),
        }
    }
    println!("scenarios: {agree} of {total} agree");
    for (reason, numbers) in reasons {
        println!("  {:>3} {reason}: {}", numbers.len(), numbers.join(" "));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
