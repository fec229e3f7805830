//! What changed between two versions of a job, field by field, in the names of the API.
//!
//! Works on the JSON form: plain values are fields, maps of texts are fields named `Meta[key]`, objects and entries of
//! lists are objects of their own. Which fields of jobs, groups and tasks are told how, and what a plan announces of them, stands
//! beside their declarations ([`crate::change`]). Entries of lists that have a name are compared by it, all others as a set.

use std::collections::{BTreeMap, BTreeSet};

use drover_api as api;
use serde_json::{Map, Value};

use crate::change::{self, Change, Effect, FieldChange, Told, not_fields};

/// Blocks of a job that only its file and the API have: every group has its own of them.
const FOLDED: [&str; 2] = ["Reschedule", "Migrate"];

/// Objects that are shown with their empty fields, too.
const WITH_EMPTY: &[&str] = &[
    "Check",
    "Consul",
    "ConsulProxy",
    "ConsulUpstreams",
    "Constraint",
    "Identity",
    "Network",
    "Periodic",
    "Secret",
    "Service",
    "SidecarService",
    "Template",
    "Volume",
    "VolumeMount",
];

/// Nested objects that are told in this order, before all others.
const ORDER: &[&str] = &["Resources", "ReservedPorts", "DynamicPorts"];

/// Fields of objects that say nothing about what the job should do.
const NOT_TOLD: &[(&str, &[&str])] = &[
    ("Update", &["Stagger"]),
    ("Scaling", &["CreateIndex", "ModifyIndex", "Type", "ID", "Target"]),
    ("ScalingPolicy", &["CreateIndex", "ModifyIndex", "ID", "Target"]),
    ("ConsulUpstreams", &["MeshGateway"]),
    // The proxy's task tells them.
    ("SidecarTask", &["KillTimeout", "ShutdownDelay"]),
];

/// Fields that objects have even where the JSON leaves out empty ones.
const ALWAYS: &[(&str, &[(&str, &str)])] = &[
    ("Network", &[("Hostname", ""), ("Mode", "")]),
    ("Dynamic Port", &[("To", "0")]),
    ("Static Port", &[("To", "0"), ("Value", "0"), ("IgnoreCollision", "false")]),
];

/// Names of list entries where they are not the list's name without its last letter.
const ENTRIES: &[(&str, &str)] = &[
    ("Affinities", "Affinity"),
    ("Identities", "Identity"),
    ("DynamicPorts", "Dynamic Port"),
    ("ReservedPorts", "Static Port"),
    ("ScalingPolicies", "ScalingPolicy"),
    ("Connect", "ConsulConnect"),
    ("Proxy", "ConsulProxy"),
    ("Upstreams", "ConsulUpstreams"),
    ("Wait", "Template"),
];

/// Lists whose entries are never edited: one goes and another comes.
const UNNAMED: &[&str] = &["Networks", "DynamicPorts", "ReservedPorts", "Artifacts", "Upstreams"];

/// What entries of lists are known by.
const NAMES: &[&str] = &["Name", "Label", "DestPath", "Volume", "GetterSource"];

/// The difference between two jobs; everything is added if there was none before.
pub fn job(old: Option<&api::Job>, new: &api::Job) -> api::JobDiff {
    let json = |job: &api::Job| serde_json::to_value(job).unwrap_or_default();
    let (old_json, new_json) = (old.map(json).unwrap_or_default(), json(new));
    let groups = named(&old_json["TaskGroups"], &new_json["TaskGroups"], group);
    let skipped: Vec<&str> = not_fields::<crate::Job>().into_iter().chain(not_fields::<crate::JobView>()).chain(FOLDED).collect();
    let fields = fields(&old_json, &new_json, &skipped, false, false);
    let objects = objects(&old_json, &new_json, &change::objects::<crate::Job>());
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
        Told::Object(_) => field.name == told || entry_name(field.name) == told,
        Told::No | Told::Field => field.name == told,
    };
    crate::Task::FIELDS.iter().find(of).is_some_and(|field| field.announced == Effect::InPlace)
}

fn group(name: &str, old: &Value, new: &Value) -> api::TaskGroupDiff {
    let skipped = not_fields::<crate::TaskGroup>();
    let tasks = named(&old["Tasks"], &new["Tasks"], task);
    let fields = fields(old, new, &skipped, false, false);
    let objects = objects(old, new, &change::objects::<crate::TaskGroup>());
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
    let fields = fields(old, new, &skipped, false, false);
    let objects = objects(old, new, &change::objects::<crate::Task>());
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

/// The plain values of an object by name; maps of texts by `Name[key]`.
fn plain(value: &Value, skipped: &[&str]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !skipped.contains(&name.as_str())) {
        match value {
            Value::Object(members) if is_text_map(name, members) => {
                for (key, value) in members {
                    out.insert(format!("{name}[{key}]"), text(value));
                }
            }
            Value::Null | Value::Object(_) | Value::Array(_) => {}
            value => {
                out.insert(name.clone(), text(value));
            }
        }
    }
    out
}

/// Whether an object's keys are the user's, not the API's.
fn is_text_map(name: &str, members: &Map<String, Value>) -> bool {
    matches!(name, "Meta" | "CanaryMeta" | "Env" | "GetterOptions" | "GetterHeaders" | "TaggedAddresses")
        && members.values().all(Value::is_string)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Compares the plain values; unchanged ones are told with `context` only, empty ones among them with `empties` only.
fn fields(old: &Value, new: &Value, skipped: &[&str], context: bool, empties: bool) -> Vec<api::FieldDiff> {
    compare(&plain(old, skipped), &plain(new, skipped), context, empties)
}

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

fn entry_name(list: &str) -> String {
    let known = ENTRIES.iter().find(|(name, _)| *name == list).map(|(_, entry)| (*entry).to_owned());
    known.unwrap_or_else(|| list.strip_suffix('s').unwrap_or(list).to_owned())
}

/// Compares the objects and lists named, in that order; unchanged ones are left out.
fn objects(old: &Value, new: &Value, names: &[&str]) -> Vec<api::ObjectDiff> {
    let mut out = Vec::new();
    for name in names {
        let (before, after) = (&old[*name], &new[*name]);
        if before == after {
            continue;
        }
        if matches!(*name, "Config" | "Header") {
            out.push(flat(name, before, after));
        } else if *name == "DNS" {
            out.push(resolvers(before, after));
        } else if *name == "Volumes" {
            let keys: BTreeSet<&String> = [before, after].into_iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
            out.extend(keys.into_iter().map(|key| object("Volume", &before[key], &after[key])));
        } else if before.is_array() || after.is_array() {
            out.extend(entries(name, before, after));
        } else {
            let shown = ENTRIES.iter().find(|(known, _)| known == name).map_or(*name, |(_, entry)| *entry);
            out.push(object(shown, before, after));
        }
    }
    out.retain(|object| object.r#type != "None");
    out
}

fn object(name: &str, old: &Value, new: &Value) -> api::ObjectDiff {
    let members: BTreeSet<&String> = [old, new].into_iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    let not_told = NOT_TOLD.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, fields)| fields);
    let mut nested: Vec<&str> = members
        .into_iter()
        .map(String::as_str)
        .filter(|member| !not_told.contains(member) && [old, new].iter().any(|value| is_nested(member, &value[*member])))
        .collect();
    nested.sort_by_key(|member| ORDER.iter().position(|first| first == member).unwrap_or(ORDER.len()));
    let skipped: Vec<&str> = nested.iter().chain(not_told).copied().collect();
    let filled = |value: &Value| {
        let mut out = plain(value, &skipped);
        if name == "Disconnect" && value["StopOnClientAfter"].is_null() && !value.is_null() {
            out.insert("StopOnClientAfter".to_owned(), "nil".to_owned());
        }
        let always = ALWAYS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, fields)| fields);
        for (field, default) in always.iter().filter(|_| !value.is_null()) {
            out.entry((*field).to_owned()).or_insert_with(|| (*default).to_owned());
        }
        out
    };
    let fields = compare(&filled(old), &filled(new), true, WITH_EMPTY.contains(&name));
    let mut objects = objects(old, new, &nested);
    if name == "Identity" && objects.is_empty() {
        // Told even where it did not change.
        let audience = |value: &Value| value["Audience"].as_array().cloned().unwrap_or_default();
        objects.extend(texts("Audience", &audience(old), &audience(new)));
    }
    let kind = kind_of(!old.is_null(), !new.is_null(), &fields, &objects, false);
    api::ObjectDiff { r#type: kind, name: name.to_owned(), fields: some(fields), objects: some(objects) }
}

fn is_nested(name: &str, value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(members) => !is_text_map(name, members),
        _ => false,
    }
}

/// Resolvers: each list is one field.
fn resolvers(old: &Value, new: &Value) -> api::ObjectDiff {
    let lists = |value: &Value| -> BTreeMap<String, String> {
        let lists = value.as_object().into_iter().flatten().filter_map(|(name, list)| Some((name, list.as_array()?)));
        lists.map(|(name, list)| (name.clone(), list.iter().map(text).collect::<Vec<_>>().join(","))).collect()
    };
    let fields = compare(&lists(old), &lists(new), true, false);
    let kind = kind_of(!old.is_null(), !new.is_null(), &fields, &[], false);
    api::ObjectDiff { r#type: kind, name: "DNS".to_owned(), fields: some(fields), objects: None }
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
fn entries(list: &str, old: &Value, new: &Value) -> Vec<api::ObjectDiff> {
    let of = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut old, mut new) = (of(old), of(new));
    if old.iter().chain(&new).all(|entry| !entry.is_object()) {
        return texts(list, &old, &new).into_iter().filter(|told| told.r#type != "None").collect();
    }
    // What is in both is unchanged, wherever it stands.
    old.retain(|entry| match new.iter().position(|other| other == entry) {
        Some(position) => {
            new.remove(position);
            false
        }
        None => true,
    });
    let shown = entry_name(list);
    let key = |entry: &Value| NAMES.iter().find_map(|name| entry[*name].as_str()).map(str::to_owned);
    let alone = list == "Services" && old.len() == 1 && new.len() == 1;
    let (mut edited, mut deleted) = (Vec::new(), Vec::new());
    for before in old {
        let partner = match (alone, UNNAMED.contains(&list)) {
            (true, _) => Some(0),
            (_, true) => None,
            _ => key(&before).and_then(|name| new.iter().position(|after| key(after).as_deref() == Some(name.as_str()))),
        };
        match partner {
            Some(position) => edited.push(object(&shown, &before, &new.remove(position))),
            None => deleted.push(object(&shown, &before, &Value::Null)),
        }
    }
    let added = new.iter().map(|after| object(&shown, &Value::Null, after));
    added.chain(deleted).chain(edited).collect()
}

/// A list of texts as one object with a field for each.
fn texts(list: &str, old: &[Value], new: &[Value]) -> Option<api::ObjectDiff> {
    let set = |values: &[Value]| values.iter().map(text).collect::<BTreeSet<String>>();
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
