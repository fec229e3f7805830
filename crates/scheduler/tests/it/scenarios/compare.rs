//! Comparing a run with its record. Every field of the record binds; a field that the record lacks must be absent, unless
//! the record calls it random. What upstream's sampling of nodes decided does not bind.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::input::{list, strings};

/// Fields that say how upstream's own process went and not what came of it.
const OF_THE_PROCESS: &[&str] = &["planned_desired"];
/// Lists whose order means nothing.
const SETS: &[&str] = &["place", "stop", "update", "preempt", "followups", "blocked", "reblocked", "deployment_updates"];

pub(crate) fn compare(scenario: &Value, actual: &Value) -> Vec<String> {
    let mut expect = scenario["expect"].clone();
    let actual = if expect["process_error"].is_null() { actual.clone() } else { keep(actual, &["process_error"]) };
    if !expect["process_error"].is_null() {
        // What was worked out before the failure is not observed.
        expect = keep(&expect, &["process_error"]);
    }
    normalise(&mut expect);
    let comparison = Comparison { random: strings(&scenario["random"]).into_iter().collect(), sampled: sampled(scenario) };
    let mut actual = actual;
    if expect["eval"].is_null() {
        // One that went on waiting has no final form to compare.
        for part in ["groups", "failed"] {
            actual.as_object_mut().unwrap().remove(part);
        }
    }
    let mut out = Vec::new();
    comparison.value("", &expect, &actual, &mut out);
    out
}

fn keep(value: &Value, keys: &[&str]) -> Value {
    let members = value.as_object().into_iter().flatten().filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(members.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Whether upstream looked at a part of the nodes only: more than two candidates, and neither affinity nor spread.
fn sampled(scenario: &Value) -> bool {
    list(&scenario["nodes"]).len() > 2
}

/// Brings a record into the form in which runs are observed.
fn normalise(expect: &mut Value) {
    let object = expect.as_object_mut().unwrap();
    if !object.contains_key("process_error") {
        object.entry("plans").or_insert_with(|| 1.into());
    }
    // The same stop, said twice by a plan, is one stop.
    if let Some(Value::Array(stops)) = object.get_mut("stop") {
        let mut merged: Vec<Value> = Vec::new();
        for stop in std::mem::take(stops) {
            match merged.iter_mut().find(|known| !stop["alloc"].is_null() && known["alloc"] == stop["alloc"]) {
                Some(known) => known.as_object_mut().unwrap().extend(stop.as_object().unwrap().clone()),
                None => merged.push(stop),
            }
        }
        *stops = merged;
    }
    // A plan that makes a deployment and says in the same breath that it runs says it once.
    if let Some(Value::Array(updates)) = object.get_mut("deployment_updates") {
        updates.retain(|update| update["deployment"] != "new");
        if updates.is_empty() {
            object.remove("deployment_updates");
        }
    }
}

struct Comparison {
    random: BTreeSet<String>,
    sampled: bool,
}

impl Comparison {
    fn ignored(&self, path: &str) -> bool {
        self.random.contains(path) || (self.sampled && path == "place[].metrics.nodes_evaluated")
    }

    fn value(&self, path: &str, expected: &Value, actual: &Value, out: &mut Vec<String>) {
        if self.ignored(path) {
            return;
        }
        match (expected, actual) {
            (Value::Object(expected), Value::Object(actual)) => self.object(path, expected, actual, out),
            (Value::Array(expected), Value::Array(actual)) if SETS.contains(&path) => self.set(path, expected, actual, out),
            (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
                for (expected, actual) in expected.iter().zip(actual) {
                    self.value(&format!("{path}[]"), expected, actual, out);
                }
            }
            (Value::Number(a), Value::Number(b)) if (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9 => {}
            (Value::String(wish), Value::Number(value))
                if path.ends_with("ports[].value") && wish == "dynamic" && value.as_u64() > Some(0) => {}
            (expected, actual) if expected == actual => {}
            (expected, actual) => out.push(format!("{path}: expected {expected}, got {actual}")),
        }
    }

    fn object(&self, path: &str, expected: &Map<String, Value>, actual: &Map<String, Value>, out: &mut Vec<String>) {
        let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        if path == "place[].metrics.scores" {
            // Nodes that upstream passed over are missing there, and all but the best few here.
            for (node, expected) in expected {
                if let Some(actual) = actual.get(node) {
                    self.value(&at("*"), expected, actual, out);
                }
            }
            return;
        }
        for (key, expected) in expected.iter().filter(|(key, _)| !OF_THE_PROCESS.contains(&key.as_str())) {
            let path = at(key);
            match actual.get(key) {
                // The number of a port inside is that of the one outside.
                Some(to) if path.ends_with("ports[].to") && *expected == "same" => self.value(&path, &actual["value"], to, out),
                Some(actual) => self.value(&path, expected, actual, out),
                None if self.ignored(&path) || is_nothing(expected) => {}
                None => out.push(format!("{path}: expected {expected}, got nothing")),
            }
        }
        for (key, actual) in actual.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            let path = at(key);
            let open = self
                .random
                .iter()
                .any(|random| *random == path || random.starts_with(&format!("{path}.")) || random.starts_with(&format!("{path}[")));
            // Scores and counts of nodes are recorded where they do not depend on the sample; kinds of summary only where they say something.
            let optional = matches!(
                path.as_str(),
                "place[].metrics.scores"
                    | "placed_per_node"
                    | "placed_per_node.by_node"
                    | "placed_per_node.by_dc"
                    | "placed_per_node.by_class"
            ) || path.starts_with("placed_per_node.")
                || path == "blocked[].classes"
                || path == "reblocked[].status"
                || path == "reblocked[].trigger"
                || path == "reblocked[].description";
            if !open && !optional && !self.ignored(&path) && !is_nothing(actual) {
                out.push(format!("{path}: expected nothing, got {actual}"));
            }
        }
    }

    /// Every element has a partner of its own: the closest one left.
    fn set(&self, path: &str, expected: &[Value], actual: &[Value], out: &mut Vec<String>) {
        if expected.len() != actual.len() {
            let short = |values: &[Value]| {
                let names = values.iter().map(|value| {
                    value.get("alloc").or_else(|| value.get("name")).or_else(|| value.get("trigger")).cloned().unwrap_or(Value::Null)
                });
                Value::Array(names.collect())
            };
            out.push(format!("{path}: expected {} {}, got {} {}", expected.len(), short(expected), actual.len(), short(actual)));
            return;
        }
        let cost = |expected: &Value, actual: &Value| {
            let mut found = Vec::new();
            self.value(&format!("{path}[]"), expected, actual, &mut found);
            found
        };
        let mut left: Vec<&Value> = actual.iter().collect();
        let mut open: Vec<&Value> = Vec::new();
        // Names decide first, so that equal rest does not confuse partners.
        for expected in expected {
            let perfect = left.iter().position(|actual| cost(expected, actual).is_empty());
            match perfect {
                Some(position) => {
                    left.remove(position);
                }
                None => open.push(expected),
            }
        }
        for expected in open {
            let closest = (0..left.len()).min_by_key(|position| cost(expected, left[*position]).len()).unwrap();
            let actual = left.remove(closest);
            out.extend(cost(expected, actual));
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.values().all(is_nothing),
        Value::Bool(true) => false,
    }
}
