//! Differences of jobs against the plans that the real program made for the same changes.

use serde_json::json;

use super::*;
use crate::admission::{Surroundings, canonicalize, complete};

fn read(value: Value) -> api::Job {
    serde_json::from_value(value).unwrap()
}

fn example(stroke: &str, count: i64) -> api::Job {
    read(json!({
        "ID": "ferry", "Priority": 50, "Version": count, "Meta": {"a": "1"},
        "TaskGroups": [{"Name": "boat", "Count": count, "Tasks": [{
            "Name": "oar", "Driver": "raw_exec", "Env": {"STROKE": stroke},
            "Config": {"command": "/bin/sh", "args": ["-c", stroke]},
        }]}],
    }))
}

#[test]
fn the_same_job_differs_in_nothing() {
    let diff = job(Some(&example("a", 1)), &example("a", 1));
    let groups = diff.task_groups.unwrap();
    assert_eq!((diff.r#type.as_str(), diff.fields, groups[0].r#type.as_str()), ("None", None, "None"));
    assert_eq!(groups[0].tasks.as_ref().unwrap()[0].r#type, "None");
}

#[test]
fn changes_are_told_where_they_are() {
    let mut diff = job(Some(&example("a", 1)), &example("b", 2));
    let updates = api::DesiredUpdates { place: 1, destructive_update: 1, ..Default::default() };
    annotate(&mut diff, &BTreeMap::from([("boat".to_owned(), Some(updates))]));
    let group = &diff.task_groups.as_ref().unwrap()[0];
    let count = &group.fields.as_ref().unwrap()[0];
    assert_eq!((count.name.as_str(), count.old.as_str(), count.new.as_str()), ("Count", "1", "2"));
    assert_eq!(count.annotations.as_deref(), Some(&["forces create".to_owned()][..]));
    let task = &group.tasks.as_ref().unwrap()[0];
    assert_eq!(task.fields.as_ref().unwrap()[0].name, "Env[STROKE]");
    assert_eq!(task.annotations.as_deref(), Some(&["forces create/destroy update".to_owned()][..]));
    let config = &task.objects.as_ref().unwrap()[0];
    let told: Vec<_> = config.fields.as_ref().unwrap().iter().map(|field| (field.r#type.as_str(), field.name.as_str())).collect();
    assert_eq!(told, [("None", "args[0]"), ("Edited", "args[1]"), ("None", "command")]);
    let updates = group.updates.as_ref().unwrap();
    assert_eq!(updates.keys().collect::<Vec<_>>(), ["create", "create/destroy update"]);
}

const RECORDS: &str = include_str!("../../../../testdata/golden/jobs-plans.jsonl");

fn admit(name: &str, source: &str) -> api::Job {
    struct Nothing;
    impl drover_lang::hcl::eval::Host for Nothing {
        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }
    let options = drover_lang::jobspec::Options {
        inputs: drover_lang::hcl::vars::Inputs::default(),
        host: &Nothing,
        budget: drover_lang::hcl::eval::Budget::default(),
    };
    let source = drover_lang::Source::new(name, source);
    let mut job = drover_lang::jobspec::parse_job(&source, &options).unwrap().job;
    canonicalize(&mut job, &Surroundings { region: "global", namespace: "default" });
    complete(&mut job);
    // As it comes back from the store.
    crate::Job::from_api(job).to_api(&crate::JobView::default())
}

/// Nulls and what only the scheduler knows are left out, as in the records.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, bare(value)));
            Value::Object(kept.collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(bare).collect()),
        other => other,
    }
}

fn compare_values(place: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                compare_values(&format!("{place}.{key}"), &ours[key], &theirs[key], out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (position, (ours, theirs)) in a.iter().zip(b).enumerate() {
                let name = theirs["Name"].as_str().map_or_else(|| position.to_string(), str::to_owned);
                compare_values(&format!("{place}[{name}]"), ours, theirs, out);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let names = |list: &[Value]| list.iter().map(|entry| format!("{}:{}", entry["Name"], entry["Type"])).collect::<Vec<_>>();
            out.push(format!("{place}: ours {:?}\n      record {:?}", names(a), names(b)));
        }
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{place}: ours {a}, record {b}")),
    }
}

#[test]
fn plans_differ_as_recorded() {
    let (mut count, mut differing) = (0, Vec::new());
    for line in RECORDS.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let name = record["name"].as_str().unwrap();
        let Some(wanted) = record["plan"].get("Diff") else { continue };
        count += 1;
        let old = record["old"].as_str().map(|source| admit(name, source));
        let new = admit(name, record["new"].as_str().unwrap());
        let mut diff = job(old.as_ref(), &new);
        let updates: BTreeMap<String, Option<api::DesiredUpdates>> =
            serde_json::from_value(record["plan"]["Annotations"]["DesiredTGUpdates"].clone()).unwrap_or_default();
        annotate(&mut diff, &updates);
        let mut found = Vec::new();
        compare_values("", &bare(serde_json::to_value(&diff).unwrap()), wanted, &mut found);
        if !found.is_empty() {
            differing.push((name.to_owned(), found));
        }
    }
    crate::admission::tests::finish("jobs-plans", count, &differing);
}

/// The leaves of a job: each with the path to it, and a value of the same kind that differs.
fn leaves(value: &Value, path: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, inner)| leaves(inner, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), out))
        }
        Value::Array(entries) => entries.iter().enumerate().for_each(|(at, inner)| leaves(inner, &format!("{path}/{at}"), out)),
        Value::String(text) => out.push((path.to_owned(), json!(format!("{text}x")))),
        Value::Number(number) => out.push((path.to_owned(), json!(number.as_i64().unwrap_or(0).wrapping_add(1)))),
        Value::Bool(value) => out.push((path.to_owned(), json!(!value))),
        Value::Null => {}
    }
}

/// How many differences a plan tells of, at any depth.
fn told(value: &Value) -> usize {
    let here = usize::from(value["Type"].as_str().is_some_and(|kind| kind != "None") && value.get("Old").is_some());
    let inside = match value {
        Value::Object(members) => members.values().map(told).sum(),
        Value::Array(entries) => entries.iter().map(told).sum(),
        _ => 0,
    };
    here + inside
}

#[test]
fn no_field_of_a_job_changes_without_being_told() {
    let records = include_str!("../../../../testdata/golden/jobs-canonical.jsonl");
    // What the API says of a job beside what it should do, and what is told by its other parts.
    let silent: BTreeSet<&str> = not_fields::<crate::JobView>()
        .into_iter()
        .chain(["ID", "Name", "SubmitTime", "Version", "CreateIndex", "ModifyIndex", "JobModifyIndex", "Stagger", "Target", "Type"])
        .collect();
    let (mut looked, mut forgotten, mut seen) = (0, BTreeSet::new(), BTreeMap::<String, usize>::new());
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let sent = &record["sent"];
        let Ok(old) = serde_json::from_value::<api::Job>(sent.clone()) else { continue };
        let whole = serde_json::to_value(&old).unwrap();
        let mut all = Vec::new();
        leaves(&whole, "", &mut all);
        for (path, other) in all {
            let generic: String =
                path.split('/').map(|part| if part.parse::<usize>().is_ok() { "*" } else { part }).collect::<Vec<_>>().join("/");
            // A few places of each field are enough.
            let times = seen.entry(generic.clone()).or_default();
            *times += 1;
            if *times > 4 {
                continue;
            }
            let mut changed = whole.clone();
            *changed.pointer_mut(&path).unwrap() = other;
            let Ok(new) = serde_json::from_value::<api::Job>(changed.clone()) else { continue };
            if serde_json::to_value(&new).unwrap() == whole {
                continue;
            }
            looked += 1;
            if told(&serde_json::to_value(job(Some(&old), &new)).unwrap()) == 0 {
                forgotten.insert(generic);
            }
        }
    }
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    // Every group has its own of what holds for the whole job, and the proxy's task tells of its times. A task's own restart policy
    // is told by nobody, as recorded: its task is said to be edited.
    let elsewhere = ["/Migrate/", "/Reschedule/", "/Update/", "/TaskGroups/*/Tasks/*/RestartPolicy/"];
    let by_proxy = ["SidecarTask/KillTimeout", "SidecarTask/ShutdownDelay"];
    let wrong: Vec<&String> = forgotten
        .iter()
        .filter(|path| !silent.contains(last(path).as_str()))
        .filter(|path| !elsewhere.iter().any(|start| path.starts_with(start)) && !by_proxy.iter().any(|end| path.ends_with(end)))
        .collect();
    assert!(looked > 1_000 && wrong.is_empty(), "{looked} looked at; {wrong:#?}");
}
