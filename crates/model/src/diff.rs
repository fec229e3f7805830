//! What changed between two versions of a job, field by field, in the names of the API.
//!
//! Works on the JSON form by what the declarations say: of the JSON what becomes of each value and what it is called
//! ([`drover_api::told`]), of groups and tasks which fields are told in which order and what a plan announces of them
//! ([`crate::change`]). Entries of lists that are known by a field are compared by it, all others as a set.

use std::collections::{BTreeMap, BTreeSet};

use drover_api as api;
use drover_api::schema::Property;
use drover_api::told::{Form, Shape, Telling};
use drover_api::wire::Wire;
use serde_json::{Map, Value};

use crate::change::{self, Change, Effect, FieldChange, Told, not_fields};

/// The difference between two jobs; everything is added if there was none before.
pub fn job(old: Option<&api::Job>, new: &api::Job) -> api::JobDiff {
    let json = |job: &api::Job| serde_json::to_value(job).unwrap_or_default();
    let (old_json, new_json) = (old.map(json).unwrap_or_default(), json(new));
    let groups = named(&old_json["TaskGroups"], &new_json["TaskGroups"], group);
    let skipped: Vec<&str> = not_fields::<crate::Job>().into_iter().chain(not_fields::<crate::JobView>()).collect();
    let fields = fields(api::Job::SHAPE, &skipped, &old_json, &new_json);
    let objects = objects(&chosen::<crate::Job>(api::Job::SHAPE), &old_json, &new_json);
    let kind = kind_of(old.is_some(), true, &fields, &objects, groups.iter().any(|group| group.r#type != "None"));
    api::JobDiff {
        r#type: kind,
        id: new.id.clone().unwrap_or_default(),
        fields: some(fields),
        objects: some(objects),
        task_groups: some(groups),
    }
}

/// Adds to a plan's difference what the scheduler would do about it.
pub fn annotate(diff: &mut api::JobDiff, updates: &BTreeMap<String, Option<api::DesiredUpdates>>) {
    for group in diff.task_groups.iter_mut().flatten() {
        let Some(Some(counts)) = updates.get(&group.name) else { continue };
        let words = [
            ("ignore", counts.ignore),
            ("create", counts.place),
            ("migrate", counts.migrate),
            ("destroy", counts.stop),
            ("in-place update", counts.in_place_update),
            ("create/destroy update", counts.destructive_update),
            ("canary", counts.canary),
        ];
        let told: BTreeMap<String, u64> =
            words.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| (word.to_owned(), count)).collect();
        group.updates = Some(told);
        for field in group.fields.iter_mut().flatten().filter(|field| field.name == "Count" && field.r#type != "None") {
            let number = |text: &str| text.parse::<i64>().unwrap_or(0);
            let word = if number(&field.new) > number(&field.old) { "forces create" } else { "forces destroy" };
            field.annotations = Some(vec![word.to_owned()]);
        }
        for task in group.tasks.iter_mut().flatten() {
            let told = task.fields.iter().flatten().filter(|field| field.r#type != "None").map(|field| field.name.as_str());
            let objects = task.objects.iter().flatten().filter(|object| object.r#type != "None").map(|object| object.name.as_str());
            let word = match (group.r#type.as_str(), task.r#type.as_str()) {
                (_, "None") => continue,
                ("Added", _) => "forces create",
                ("Deleted", _) => "forces destroy",
                (_, "Edited") if told.chain(objects).all(announced_in_place) => "forces in-place update",
                _ => "forces create/destroy update",
            };
            task.annotations = Some(vec![word.to_owned()]);
        }
    }
}

/// Whether a task takes the change of what is told under this name while it runs.
fn announced_in_place(told: &str) -> bool {
    let of = |field: &&FieldChange| match field.told {
        Told::Object(_) => api::Task::SHAPE.properties.iter().any(|property| property.name == field.name && property.label() == told),
        Told::No | Told::Field => field.name == told,
    };
    crate::Task::FIELDS.iter().find(of).is_some_and(|field| field.announced == Effect::InPlace)
}

fn group(name: &str, old: &Value, new: &Value) -> api::TaskGroupDiff {
    let skipped = not_fields::<crate::TaskGroup>();
    let tasks = named(&old["Tasks"], &new["Tasks"], task);
    let fields = fields(api::TaskGroup::SHAPE, &skipped, old, new);
    let objects = objects(&chosen::<crate::TaskGroup>(api::TaskGroup::SHAPE), old, new);
    // Some changes are not told field by field, such as another order of tasks.
    let inside = old != new;
    let kind = kind_of(!old.is_null(), !new.is_null(), &fields, &objects, inside);
    api::TaskGroupDiff {
        r#type: kind,
        name: name.to_owned(),
        fields: some(fields),
        objects: some(objects),
        tasks: some(tasks),
        updates: None,
    }
}

fn task(name: &str, old: &Value, new: &Value) -> api::TaskDiff {
    let skipped = not_fields::<crate::Task>();
    let fields = fields(api::Task::SHAPE, &skipped, old, new);
    let objects = objects(&chosen::<crate::Task>(api::Task::SHAPE), old, new);
    let kind = kind_of(!old.is_null(), !new.is_null(), &fields, &objects, old != new);
    api::TaskDiff { r#type: kind, name: name.to_owned(), fields: some(fields), objects: some(objects), annotations: None }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn kind_of(had: bool, has: bool, fields: &[api::FieldDiff], objects: &[api::ObjectDiff], inside: bool) -> String {
    let changed = inside || fields.iter().any(|field| field.r#type != "None") || objects.iter().any(|object| object.r#type != "None");
    match (had, has) {
        (false, true) => "Added",
        (true, false) => "Deleted",
        _ if changed => "Edited",
        _ => "None",
    }
    .to_owned()
}

/// Compares the entries of two lists by name, in the order of their names.
fn named<T>(old: &Value, new: &Value, compare: impl Fn(&str, &Value, &Value) -> T) -> Vec<T> {
    let by_name = |list: &Value| -> BTreeMap<String, Value> {
        let entries = list.as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| (entry["Name"].as_str().unwrap_or("").to_owned(), entry)).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let nothing = Value::Null;
    names.into_iter().map(|name| compare(name, old.get(name).unwrap_or(&nothing), new.get(name).unwrap_or(&nothing))).collect()
}

/// The keys told as objects, in the plan's order.
fn chosen<T: Change>(shape: &'static Shape) -> Vec<&'static Property> {
    let names = change::objects::<T>();
    names.into_iter().filter_map(|name| shape.properties.iter().find(|property| property.name == name)).collect()
}

/// The plain values of an object by name; maps of texts by `Name[key]`.
fn plain(shape: &Shape, skipped: &[&str], value: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if value.is_null() {
        return out;
    }
    let told = |property: &&Property| !property.telling.untold && !skipped.contains(&property.name);
    for property in shape.properties.iter().filter(told) {
        let name = property.name;
        match (property.form(), &value[name]) {
            (Form::Field, Value::Null) => out.extend(property.telling.default.map(|default| (name.to_owned(), default.to_owned()))),
            (Form::Field, value) => out.extend([(name.to_owned(), text(value))]),
            (Form::Fields, Value::Object(members)) => {
                out.extend(members.iter().map(|(key, value)| (format!("{name}[{key}]"), text(value))));
            }
            (Form::Texts, Value::Array(entries)) if shape.lists => {
                out.extend([(name.to_owned(), entries.iter().map(text).collect::<Vec<_>>().join(","))]);
            }
            _ => {}
        }
    }
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The plain values that changed.
fn fields(shape: &Shape, skipped: &[&str], old: &Value, new: &Value) -> Vec<api::FieldDiff> {
    compare(&plain(shape, skipped, old), &plain(shape, skipped, new), false, false)
}

/// Compares plain values; unchanged ones are told with `context` only, empty ones among them with `empties` only.
fn compare(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, context: bool, empties: bool) -> Vec<api::FieldDiff> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut out = Vec::new();
    for name in names {
        let before = old.get(name).cloned().unwrap_or_default();
        let after = new.get(name).cloned().unwrap_or_default();
        let kind = match (before.is_empty(), after.is_empty()) {
            _ if before == after => "None",
            (true, _) => "Added",
            (_, true) => "Deleted",
            _ => "Edited",
        };
        let told = kind != "None" || (context && (empties || !after.is_empty()));
        if told {
            out.push(api::FieldDiff { r#type: kind.to_owned(), name: name.clone(), old: before, new: after, annotations: None });
        }
    }
    out
}

/// Compares what these keys hold, in that order; unchanged ones are left out.
fn objects(properties: &[&Property], old: &Value, new: &Value) -> Vec<api::ObjectDiff> {
    let mut out = Vec::new();
    for property in properties {
        let (before, after) = (&old[property.name], &new[property.name]);
        if before == after && !property.telling.unchanged {
            continue;
        }
        let (label, telling) = (property.label(), property.telling);
        let told = match property.form() {
            Form::Field | Form::Fields => Vec::new(),
            Form::Texts => texts(label, before, after).into_iter().collect(),
            Form::Flat => vec![flat(label, before, after)],
            Form::Object(shape) => vec![object(label, shape, telling, before, after)],
            Form::List(shape) => entries(label, shape, telling, before, after),
            Form::Map(shape) => {
                let keys: BTreeSet<&String> = [before, after].into_iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
                keys.into_iter().map(|key| object(label, shape, telling, &before[key], &after[key])).collect()
            }
        };
        out.extend(told.into_iter().filter(|object| object.r#type != "None" || telling.unchanged));
    }
    out
}

/// Compares two objects of a type, either of which may be missing.
fn object(label: &str, shape: &Shape, telling: &Telling, old: &Value, new: &Value) -> api::ObjectDiff {
    let filled = |value: &Value| plain(shape, telling.without, value);
    let fields = compare(&filled(old), &filled(new), true, shape.with_empty);
    let told = |property: &&Property| !shape.lists && !property.telling.untold && !telling.without.contains(&property.name);
    let mut nested: Vec<&Property> = shape.properties.iter().filter(told).collect();
    nested.sort_by_key(|property| (property.telling.position, property.name));
    let objects = objects(&nested, old, new);
    let kind = kind_of(!old.is_null(), !new.is_null(), &fields, &objects, false);
    api::ObjectDiff { r#type: kind, name: label.to_owned(), fields: some(fields), objects: some(objects) }
}

/// What is one object however deep it is, such as a driver's configuration.
fn flat(name: &str, old: &Value, new: &Value) -> api::ObjectDiff {
    fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}[{key}]") };
                    flatten(&name, value, out);
                }
            }
            Value::Array(entries) => {
                for (number, value) in entries.iter().enumerate() {
                    flatten(&format!("{prefix}[{number}]"), value, out);
                }
            }
            Value::Null => {}
            value => {
                out.insert(prefix.to_owned(), text(value));
            }
        }
    }
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flatten("", old, &mut before);
    flatten("", new, &mut after);
    let fields = compare(&before, &after, true, false);
    let kind = kind_of(!old.is_null(), !new.is_null(), &fields, &[], false);
    api::ObjectDiff { r#type: kind, name: name.to_owned(), fields: some(fields), objects: None }
}

/// Compares two lists entry by entry.
fn entries(label: &str, shape: &Shape, telling: &Telling, old: &Value, new: &Value) -> Vec<api::ObjectDiff> {
    let of = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut old, mut new) = (of(old), of(new));
    // What is in both is unchanged, wherever it stands.
    old.retain(|entry| match new.iter().position(|other| other == entry) {
        Some(position) => {
            new.remove(position);
            false
        }
        None => true,
    });
    let name = |entry: &Value| shape.known_by.and_then(|field| entry[field].as_str()).map(str::to_owned);
    let alone = telling.alone && old.len() == 1 && new.len() == 1;
    let (mut edited, mut deleted) = (Vec::new(), Vec::new());
    let told = |old: &Value, new: &Value| object(label, shape, telling, old, new);
    for before in old {
        let partner = match alone {
            true => Some(0),
            false => name(&before).and_then(|known| new.iter().position(|after| name(after).as_ref() == Some(&known))),
        };
        match partner {
            Some(position) => edited.push(told(&before, &new.remove(position))),
            None => deleted.push(told(&before, &Value::Null)),
        }
    }
    let added = new.iter().map(|after| told(&Value::Null, after));
    added.chain(deleted).chain(edited).collect()
}

/// A list of texts as one object with a field for each.
fn texts(list: &str, old: &Value, new: &Value) -> Option<api::ObjectDiff> {
    let set = |values: &Value| values.as_array().into_iter().flatten().map(text).collect::<BTreeSet<String>>();
    let (before, after) = (set(old), set(new));
    let mut fields = Vec::new();
    let mut field = |kind: &str, old: &str, new: &str| {
        let (old, new) = (old.to_owned(), new.to_owned());
        fields.push(api::FieldDiff { r#type: kind.to_owned(), name: list.to_owned(), old, new, annotations: None });
    };
    for value in after.difference(&before) {
        field("Added", "", value);
    }
    for value in before.difference(&after) {
        field("Deleted", value, "");
    }
    for value in before.intersection(&after) {
        field("None", value, value);
    }
    let has = |kind: &str| fields.iter().any(|field| field.r#type == kind);
    let kind = match (has("Added"), has("Deleted")) {
        (true, false) => "Added",
        (false, true) => "Deleted",
        (true, true) => "Edited",
        (false, false) => "None",
    }
    .to_owned();
    (!fields.is_empty()).then(|| api::ObjectDiff { r#type: kind, name: list.to_owned(), fields: some(fields), objects: None })
}

#[cfg(test)]
mod tests;
