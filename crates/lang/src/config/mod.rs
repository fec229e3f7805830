//! Agent configuration: files in HCL1 or JSON to one typed configuration.
//!
//! [`parse`] reads a file to a [`Partial`], [`Partial::merge`] lays one over another by the rules of each key, and
//! [`Partial::typed`] gives the keys that the agent acts on their types. Keys without a type of their own stay
//! reachable as values.

mod check;
pub(crate) mod hcl1;
mod reference;
mod schema;
mod typed;

use serde_json::{Map, Value as Json, json};

pub use check::{RAFT_PROTOCOL, in_order};
pub use reference::{Entry, reference, stale_sentences};
pub use typed::{
    AgentConfig, ClientConfig, HostNetwork, HostVolume, Limits, Nanoseconds, PerRole, PluginConfig, Ports, Promises, Reserved,
    ServerConfig, ServerJoin, Telemetry,
};

use crate::diag::{Place, Problem, Source, Span, did_you_mean};
use crate::duration::{format_duration, parse_duration};
use hcl1::{Item, Kind as Written, Node};
use schema::{Key, Kind, Lists, ROOT, Repeat};

type Fields = Map<String, Json>;

/// The name of a cluster that gives none.
const DEFAULT_CLUSTER: &str = "default";

/// What one or several files say, by file keys; what they do not say is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partial {
    values: Fields,
}

/// A file that could be read.
#[derive(Debug)]
pub struct ParsedConfig {
    /// What it says.
    pub partial: Partial,
    /// Keys that have no effect, and the like.
    pub warnings: Vec<Problem>,
}

/// Reads one file.
///
/// # Errors
///
/// All problems found, warnings included.
pub fn parse(source: &Source) -> Result<ParsedConfig, Vec<Problem>> {
    let (partial, problems) = read(source);
    if problems.iter().any(Problem::is_error) { Err(problems) } else { Ok(ParsedConfig { partial, warnings: problems }) }
}

/// What can be read of one file, and all problems of it, warnings included.
pub fn read(source: &Source) -> (Partial, Vec<Problem>) {
    let (items, problems) = match hcl1::parse(source) {
        Ok(read) => read,
        Err(problems) => return (Partial::default(), problems),
    };
    let mut reader = Reader { source, problems };
    let values = reader.block(&items, &ROOT, "");
    (Partial { values }, reader.problems)
}

/// What a file in the same language says that is no agent configuration: labels become keys, and a block that comes more
/// than once becomes a list.
///
/// # Errors
///
/// All problems found.
pub fn document(source: &Source) -> Result<Json, Vec<Problem>> {
    hcl1::parse(source).map(|(items, _)| hcl1::json(&items))
}

/// Where a file says something about a key such as `ports.http`; the last place, which is the one that counts.
pub fn place(source: &Source, key: &str) -> Option<Place> {
    fn find(items: &[Item], parts: &[&str]) -> Option<Span> {
        items.iter().rev().find_map(|item| {
            let same = item.keys.len() <= parts.len() && item.keys.iter().zip(parts).all(|((key, _), part)| key == part);
            let rest = parts.get(item.keys.len()..).filter(|_| same)?;
            match &item.value.kind {
                _ if rest.is_empty() => Some(item.value.span),
                Written::Object(inner) => find(inner, rest),
                Written::List(entries) => entries.iter().rev().find_map(|entry| match &entry.kind {
                    Written::Object(inner) => find(inner, rest),
                    _ => None,
                }),
                _ => None,
            }
        })
    }
    let (items, _) = hcl1::parse(source).ok()?;
    find(&items, &key.split('.').collect::<Vec<_>>()).map(|span| source.place(span))
}

impl Partial {
    /// The built-in defaults.
    pub fn defaults() -> Self {
        let source = Source::new("defaults", typed::DEFAULTS);
        parse(&source).map(|parsed| parsed.partial).unwrap_or_default()
    }

    /// This configuration with `later` laid over it.
    #[must_use]
    pub fn merge(mut self, later: &Self) -> Self {
        merge(&mut self.values, &later.values, &ROOT);
        self
    }

    /// The value of a key, given as a path such as `client.gc_interval`.
    pub fn get(&self, path: &str) -> Option<&Json> {
        let mut parts = path.split('.');
        let first = self.values.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// The configuration under the names that the agent API shows; empty values are left out.
    pub fn to_api(&self) -> Json {
        Json::Object(to_api(&self.values, &ROOT))
    }

    /// The same as agents tell it to others: durations are nanoseconds.
    pub fn to_wire(&self) -> Json {
        let mut wire = self.to_api();
        durations_as_numbers(&mut wire);
        wire
    }

    /// The keys that the agent acts on, typed, over the built-in defaults where nothing is said.
    ///
    /// # Errors
    ///
    /// Values that do not fit, such as a duration that is none.
    pub fn typed(&self) -> Result<AgentConfig, Vec<Problem>> {
        self.typed_from(&[])
    }

    /// The same for what was read from files, so that problems have places.
    ///
    /// # Errors
    ///
    /// Values that do not fit, such as a duration that is none.
    pub fn typed_from(&self, sources: &[Source]) -> Result<AgentConfig, Vec<Problem>> {
        let (config, problems) = typed::typed(self, sources);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// The keys that the agent acts on, typed, with everything that is wrong with their values once `flags` are laid over them.
    pub fn examine(&self, sources: &[Source], flags: impl FnOnce(&mut AgentConfig)) -> (AgentConfig, Vec<Problem>) {
        let (mut config, mut problems) = typed::typed(self, sources);
        flags(&mut config);
        for problem in config.problems(self, sources) {
            if !problems.iter().any(|known| known.place.is_some() && known.place == problem.place) {
                problems.push(problem);
            }
        }
        (config, problems)
    }

    /// The values by file keys.
    pub fn values(&self) -> &Map<String, Json> {
        &self.values
    }
}

struct Reader<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn error(&mut self, span: Span, summary: &str, detail: impl Into<String>) {
        self.problems.push(Problem::error(summary, detail).at(self.source, span));
    }

    fn block(&mut self, items: &[Item], schema: &Key, path: &str) -> Fields {
        let mut fields = Fields::new();
        let mut seen: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
        for item in items {
            let Some((name, span)) = item.keys.first() else { continue };
            let Some(key) = schema.find(name) else {
                self.unknown(schema, path, name, *span, item, &mut fields);
                continue;
            };
            let inner = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
            let again = !seen.insert(&key.name);
            if again && (schema.strict && !matches!(key.kind, Kind::Block | Kind::Map) || key.repeat == Repeat::Once) {
                self.error(*span, "Duplicate key", format!("\"{inner}\" is given twice in this file."));
                continue;
            }
            match key.kind {
                Kind::Block => self.known_block(item, key, &inner, &mut fields),
                Kind::Map => {
                    let Written::Object(members) = &item.value.kind else {
                        self.wrong(&item.value, &inner, "a block of texts");
                        continue;
                    };
                    let map = fields.entry(&key.name).or_insert_with(|| json!({}));
                    for member in members {
                        let Some((name, _)) = member.keys.first() else { continue };
                        if let (Some(text), Json::Object(map)) = (self.text(&member.value, &format!("{inner}.{name}")), &mut *map) {
                            map.insert(name.clone(), json!(text));
                        }
                    }
                }
                _ => {
                    if let Some(value) = self.scalar(&item.value, key, &inner) {
                        fields.insert(key.name.clone(), value);
                    }
                }
            }
        }
        for key in schema.keys.iter().filter(|key| key.kind == Kind::Present) {
            fields.entry(&key.name).or_insert(json!(false));
        }
        fields
    }

    fn unknown(&mut self, schema: &Key, path: &str, name: &str, span: Span, item: &Item, fields: &mut Fields) {
        if schema.free {
            if schema.repeat != Repeat::Providers {
                let value = free(&item.value);
                let value = item.keys[1..].iter().rev().fold(value, |value, (label, _)| json!([{ label: value }]));
                match fields.get_mut(name) {
                    Some(Json::Array(list)) if matches!(item.value.kind, Written::Object(_)) => {
                        if let Json::Array(more) = value {
                            list.extend(more);
                        }
                    }
                    _ => {
                        fields.insert(name.to_owned(), value);
                    }
                }
                return;
            }
            match &item.value.kind {
                Written::Text(text) => {
                    fields.insert(name.to_owned(), json!(text));
                }
                Written::Bool(value) => {
                    fields.insert(name.to_owned(), json!(value.to_string()));
                }
                _ => self.wrong(&item.value, &format!("{path}.{name}"), "a text"),
            }
            return;
        }
        let place = if path.is_empty() { "at the top level".to_owned() } else { format!("in \"{path}\"") };
        let detail = format!("There is no key \"{name}\" {place}.");
        let hint = did_you_mean(name, schema.keys.iter().map(|key| key.name.as_str()));
        let problem = if schema.strict {
            Problem::error("Unknown key", detail)
        } else {
            Problem::warning("Unknown key", format!("{detail} It has no effect."))
        };
        self.problems.push(problem.at(self.source, span).maybe_hint(hint));
    }

    fn wrong(&mut self, node: &Node, path: &str, wanted: &str) {
        self.error(node.span, "Unsuitable value", format!("\"{path}\" must be {wanted}, not {}.", node.kind.words()));
    }

    fn known_block(&mut self, item: &Item, key: &Key, path: &str, fields: &mut Fields) {
        let Written::Object(members) = &item.value.kind else {
            self.wrong(&item.value, path, "a block");
            return;
        };
        match key.repeat {
            Repeat::Merge | Repeat::Once | Repeat::Whole => {
                if let Some((label, span)) = item.keys.get(1) {
                    self.error(*span, "Unexpected label", format!("A block \"{path}\" has no label such as \"{label}\"."));
                }
                let inner = self.block(members, key, path);
                if key.free {
                    let merged = fields.entry(&key.name).or_insert_with(|| json!({}));
                    if let Json::Object(merged) = merged {
                        merged.extend(inner);
                    }
                    return;
                }
                let mut before = match fields.remove(&key.name) {
                    Some(Json::Object(before)) => before,
                    _ => Fields::new(),
                };
                merge(&mut before, &inner, key);
                fields.insert(key.name.clone(), Json::Object(before));
            }
            Repeat::Clusters => {
                if let Some((label, span)) = item.keys.get(1) {
                    self.error(*span, "Unexpected label", format!("A block \"{path}\" has no label such as \"{label}\"."));
                }
                let mut inner = self.block(members, key, path);
                inner.entry("name").or_insert_with(|| json!(DEFAULT_CLUSTER));
                let later = Fields::from_iter([(key.name.clone(), json!([inner]))]);
                merge_key(fields, &later, key);
            }
            Repeat::Append | Repeat::ByName | Repeat::OverName | Repeat::Providers => match item.keys.get(1) {
                Some((label, span)) => self.labelled(members, key, path, label, *span, fields),
                None if members.iter().any(|member| !matches!(member.value.kind, Written::Object(_))) => {
                    let Some((member, (label, span))) = members.first().and_then(|member| Some((member, member.keys.first()?))) else {
                        return;
                    };
                    if matches!(member.value.kind, Written::List(_)) {
                        self.error(*span, "Missing label", format!("A block \"{path}\" needs a label: {path} \"name\" {{ … }}"));
                        return;
                    }
                    let detail =
                        format!("A block \"{path}\" needs a label: {path} \"name\" {{ … }}. Its first key, \"{label}\", counts as one.");
                    self.problems.push(Problem::warning("Missing label", detail).at(self.source, *span));
                    self.labelled(members, key, path, label, *span, fields);
                }
                None => {
                    // In JSON the labels are the keys of the object.
                    for member in members {
                        let Some((label, span)) = member.keys.first() else { continue };
                        if let Written::Object(members) = &member.value.kind {
                            self.labelled(members, key, path, label, *span, fields);
                        }
                    }
                }
            },
        }
    }

    fn labelled(&mut self, members: &[Item], key: &Key, path: &str, label: &str, _span: Span, fields: &mut Fields) {
        let mut inner = self.block(members, key, path);
        if key.repeat == Repeat::Providers {
            let known: Vec<&str> = key.keys.iter().map(|key| key.name.as_str()).collect();
            let config: Fields = inner
                .iter()
                .filter(|(name, _)| !known.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            inner.retain(|name, _| known.contains(&name.as_str()));
            if !config.is_empty() {
                inner.insert("config".to_owned(), Json::Object(config));
            }
            inner.insert("provider".to_owned(), json!(label));
        } else {
            inner.insert("name".to_owned(), json!(label));
        }
        let later = Fields::from_iter([(key.name.clone(), json!([inner]))]);
        merge_key(fields, &later, key);
    }

    /// The text of a literal; numbers and bools count as written.
    fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        match &node.kind {
            Written::Text(text) => Some(text.clone()),
            Written::Number(number) => Some(number.clone()),
            Written::Bool(value) => Some(value.to_string()),
            Written::Null => None,
            _ => {
                self.wrong(node, path, "a text");
                None
            }
        }
    }

    fn scalar(&mut self, node: &Node, key: &Key, path: &str) -> Option<Json> {
        if matches!(node.kind, Written::Null) {
            return None;
        }
        match key.kind {
            Kind::Text { .. } => self.text(node, path).map(Json::String),
            Kind::Address => self.text(node, path).map(|text| json!(short_address(&text))),
            Kind::Duration { .. } | Kind::Interval => {
                let text = self.text(node, path)?;
                if let Err(error) = parse_duration(&text) {
                    self.error(node.span, "Invalid duration", format!("\"{path}\" must be a duration such as \"30s\": {error}."));
                    return None;
                }
                Some(json!(text))
            }
            Kind::Whole { .. } => {
                let number = match &node.kind {
                    Written::Number(text) | Written::Text(text) => text.parse::<i64>().ok(),
                    _ => None,
                };
                if number.is_none() {
                    self.wrong(node, path, "a whole number");
                }
                number.map(|number| json!(number))
            }
            Kind::Number { .. } => {
                let number = match &node.kind {
                    Written::Number(text) | Written::Text(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
                    _ => None,
                };
                if number.is_none() {
                    self.wrong(node, path, "a number");
                }
                number.map(|number| if number.fract() == 0.0 && number.abs() < 1e15 { json!(number as i64) } else { json!(number) })
            }
            Kind::Bool { .. } | Kind::Present | Kind::Switch => {
                let value = match &node.kind {
                    Written::Bool(value) => Some(*value),
                    Written::Number(text) | Written::Text(text) => match text.as_str() {
                        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
                        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
                        _ => None,
                    },
                    _ => None,
                };
                if value.is_none() {
                    self.wrong(node, path, "true or false");
                }
                value.map(|value| json!(value))
            }
            Kind::List(_) => match &node.kind {
                Written::List(members) => {
                    Some(Json::Array(members.iter().filter_map(|member| self.text(member, path)).map(Json::String).collect()))
                }
                _ => {
                    self.wrong(node, path, "a list of texts");
                    None
                }
            },
            Kind::Map | Kind::Block => None,
        }
    }
}

/// An address with an IPv6 part in brackets in its shortest form.
fn short_address(text: &str) -> String {
    let parts = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match parts.and_then(|(inner, rest)| Some((inner.parse::<std::net::Ipv6Addr>().ok()?, rest))) {
        Some((address, rest)) => format!("[{address}]{rest}"),
        None => text.to_owned(),
    }
}

/// A value without a schema: nested blocks become lists with one object each.
fn free(node: &Node) -> Json {
    match &node.kind {
        Written::Null => Json::Null,
        Written::Bool(value) => json!(value),
        Written::Number(text) => text
            .parse::<i64>()
            .map(|number| json!(number))
            .or_else(|_| text.parse::<f64>().map(|number| json!(number)))
            .unwrap_or(Json::Null),
        Written::Text(text) => json!(text),
        Written::List(members) => Json::Array(members.iter().map(free).collect()),
        Written::Object(items) => {
            let mut map = Fields::new();
            for item in items {
                let Some((name, _)) = item.keys.first() else { continue };
                let value = item.keys[1..].iter().rev().fold(free(&item.value), |value, (label, _)| json!([{ label: value }]));
                match (map.get_mut(name), value) {
                    (Some(Json::Array(list)), Json::Array(more)) if matches!(item.value.kind, Written::Object(_)) => list.extend(more),
                    (_, value) => {
                        map.insert(name.clone(), value);
                    }
                }
            }
            json!([map])
        }
    }
}

// -- merging ----------------------------------------------------------------------------------------------------------

fn merge(values: &mut Fields, later: &Fields, schema: &Key) {
    for key in &schema.keys {
        merge_key(values, later, key);
    }
    if schema.free {
        for (name, value) in later.iter().filter(|(name, _)| schema.find(name).is_none()) {
            values.insert(name.clone(), value.clone());
        }
    }
}

fn is_zero(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        Json::Bool(true) => false,
    }
}

fn merge_key(values: &mut Fields, later: &Fields, key: &Key) {
    let Some(new) = later.get(&key.name) else { return };
    let Some(old) = values.get_mut(&key.name) else {
        values.insert(key.name.clone(), new.clone());
        return;
    };
    match (key.kind, old, new) {
        (Kind::Block, Json::Array(list), Json::Array(more)) => {
            for block in more {
                merge_labelled(list, block, key);
            }
        }
        (Kind::Block, Json::Object(old), Json::Object(new)) if key.repeat != Repeat::Whole => merge(old, new, key),
        (Kind::Map, Json::Object(old), Json::Object(new)) => old.extend(new.iter().map(|(name, value)| (name.clone(), value.clone()))),
        (Kind::List(Lists::Append), Json::Array(old), Json::Array(new)) => old.extend(new.iter().cloned()),
        (Kind::List(Lists::Union), Json::Array(old), Json::Array(new)) => {
            for value in new {
                if !old.contains(value) {
                    old.push(value.clone());
                }
            }
        }
        (kind, old, new) => {
            let explicit = match kind {
                Kind::Text { explicit } | Kind::Whole { explicit } | Kind::Number { explicit } | Kind::Bool { explicit } => explicit,
                Kind::Duration { explicit } => explicit || new.as_str().and_then(|text| parse_duration(text).ok()) != Some(0),
                Kind::Present | Kind::Switch | Kind::Block | Kind::List(Lists::ReplaceAlways) => true,
                Kind::Map | Kind::Interval | Kind::Address | Kind::List(_) => false,
            };
            if explicit || !is_zero(new) {
                *old = new.clone();
            }
        }
    }
}

/// Adds a labelled block to those known, by the rule of its key.
fn merge_labelled(list: &mut Vec<Json>, block: &Json, key: &Key) {
    let same = |other: &&mut Json| other["name"] == block["name"] && other["provider"] == block["provider"];
    match (key.repeat, list.iter_mut().find(same), block) {
        (Repeat::OverName, Some(other), _) => *other = block.clone(),
        (Repeat::ByName | Repeat::Clusters, Some(Json::Object(other)), Json::Object(block)) => merge(other, block, key),
        (Repeat::Providers, Some(Json::Object(other)), Json::Object(block)) => {
            let mut config = match other.remove("config") {
                Some(Json::Object(config)) => config,
                _ => Fields::new(),
            };
            if let Some(Json::Object(more)) = block.get("config") {
                config.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            other.clone_from(block);
            if !config.is_empty() {
                other.insert("config".to_owned(), Json::Object(config));
            }
        }
        _ => list.push(block.clone()),
    }
    if key.repeat == Repeat::Providers {
        list.sort_by_key(|block| (block["provider"].to_string(), block["name"].to_string()));
    }
}

// -- names of the API -------------------------------------------------------------------------------------------------

/// A duration is told twice, the second time as it was written, under its name with `HCL` behind.
fn durations_as_numbers(value: &mut Json) {
    match value {
        Json::Object(members) => {
            members.values_mut().for_each(durations_as_numbers);
            let twice: Vec<String> = members.keys().filter_map(|name| name.strip_suffix("HCL").map(str::to_owned)).collect();
            for name in twice {
                if let Some(nanoseconds) = members.get(&name).and_then(Json::as_str).and_then(|text| parse_duration(text).ok()) {
                    members.insert(name, json!(nanoseconds));
                }
            }
        }
        Json::Array(entries) => entries.iter_mut().for_each(durations_as_numbers),
        _ => {}
    }
}

fn to_api(values: &Fields, schema: &Key) -> Fields {
    let mut out = Fields::new();
    for key in &schema.keys {
        let Some(value) = values.get(&key.name) else { continue };
        match (key.kind, value) {
            (Kind::Block, Json::Array(blocks)) => {
                let blocks: Vec<Json> =
                    blocks.iter().filter_map(Json::as_object).map(|block| Json::Object(labelled_to_api(block, key))).collect();
                out.insert(key.api.clone(), json!(blocks));
            }
            (Kind::Block, Json::Object(block)) => {
                let block = if key.free { block.clone() } else { to_api(block, key) };
                out.insert(key.api.clone(), Json::Object(block));
            }
            (Kind::Duration { .. }, Json::String(text)) => {
                let nanoseconds = parse_duration(text).unwrap_or(0);
                if nanoseconds != 0 {
                    out.insert(key.api.clone(), json!(format_duration(nanoseconds)));
                }
                out.insert(format!("{}HCL", key.api), json!(text));
            }
            (kind, value) => {
                let explicit = matches!(
                    kind,
                    Kind::Text { explicit: true }
                        | Kind::Whole { explicit: true }
                        | Kind::Number { explicit: true }
                        | Kind::Bool { explicit: true }
                );
                if explicit || !is_zero(value) {
                    out.insert(key.api.clone(), value.clone());
                }
            }
        }
    }
    out
}

fn labelled_to_api(block: &Fields, key: &Key) -> Fields {
    let mut out = to_api(block, key);
    for name in ["name", "provider", "config"] {
        if let Some(value) = block.get(name).filter(|value| !is_zero(value))
            && (name != "config" || key.repeat == Repeat::Providers)
        {
            let api = name[..1].to_uppercase() + &name[1..];
            out.insert(api, value.clone());
        }
    }
    if let (Some(Json::Object(config)), Repeat::ByName) = (block.get("config"), key.repeat) {
        out.insert("Config".to_owned(), Json::Object(config.clone()));
    }
    out
}
