//! The other specifications: namespaces, node pools, quotas, access policies, volumes, variables, scaling policies.
//!
//! All are in the language of agent configuration or in JSON. [`parse`] reads one by the table of its kind into the names
//! of the API and finds all problems at once; [`write()`] gives it back as a file that reads to the same.

mod rules;
mod schema;

use serde_json::{Map, Value as Json, json};

use crate::bytesize::parse_byte_size;
use crate::config::hcl1::{self, Item, Kind as Written, Node};
use crate::diag::{Problem, Source, Span, did_you_mean};
use crate::duration::{format_duration, parse_duration};
use schema::{Key, Kind, TABLES};

type Fields = Map<String, Json>;

/// A kind of specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specification {
    /// A namespace.
    Namespace,
    /// A node pool.
    NodePool,
    /// A quota.
    Quota,
    /// The rules of an access policy.
    AclPolicy,
    /// A volume; its type picks the table.
    Volume,
    /// A variable.
    Variable,
    /// Policies of the autoscaler.
    ScalingPolicy,
}

impl Specification {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Namespace, Self::NodePool, Self::Quota, Self::AclPolicy, Self::Volume, Self::Variable, Self::ScalingPolicy];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::NodePool => "node_pool",
            Self::Quota => "quota",
            Self::AclPolicy => "acl_policy",
            Self::Volume => "volume",
            Self::Variable => "variable",
            Self::ScalingPolicy => "scaling_policy",
        }
    }
}

/// A specification that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its kind.
    pub specification: Specification,
    /// What it says, under the names of the API.
    pub fields: Fields,
    /// Keys without effect.
    pub warnings: Vec<Problem>,
}

impl Document {
    /// The object of the API that it stands for; of node pools, the one that the file holds.
    ///
    /// # Errors
    /// When the object has another form.
    pub fn object<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let value = match self.specification {
            Specification::NodePool => self.fields["NodePool"][0].clone(),
            _ => Json::Object(self.fields.clone()),
        };
        serde_json::from_value(value)
    }
}

fn table(name: &str) -> &'static Key {
    TABLES.iter().find(|key| key.name == name).unwrap_or(&TABLES[0])
}

fn table_of(specification: Specification, volume: Option<&str>) -> &'static Key {
    match (specification, volume) {
        (Specification::Volume, Some("host")) => table("host_volume"),
        (Specification::Volume, _) => table("csi_volume"),
        (other, _) => table(other.name()),
    }
}

/// Reads one specification.
///
/// # Errors
/// All problems found, warnings included.
pub fn parse(specification: Specification, source: &Source) -> Result<Document, Vec<Problem>> {
    read(specification, source, false)
}

/// Reads one specification that was stored by another version: what this one does not know has no effect.
///
/// # Errors
/// All problems found, warnings included.
pub fn parse_stored(specification: Specification, source: &Source) -> Result<Document, Vec<Problem>> {
    read(specification, source, true)
}

fn read(specification: Specification, source: &Source, stored: bool) -> Result<Document, Vec<Problem>> {
    let (items, problems) = hcl1::parse(source)?;
    let mut reader = Reader { source, problems, stored };
    let kind = match specification {
        Specification::Volume => match volume_type(&items) {
            Ok(kind) => Some(kind),
            Err(problem) => {
                let span = items.first().map_or(Span::new(0, 0), |item| item.value.span);
                return Err(vec![problem.at(source, span)]);
            }
        },
        _ => None,
    };
    let key = table_of(specification, kind.as_deref());
    let end = Span::new(source.text().len(), source.text().len());
    let mut fields = reader.block(&items, key, "", end);
    rules::check(specification, kind.as_deref(), &mut fields, &mut |summary, detail| {
        reader.problems.push(Problem::error(summary, detail));
    });
    if reader.problems.iter().any(Problem::is_error) {
        return Err(reader.problems);
    }
    Ok(Document { specification, fields, warnings: reader.problems })
}

fn volume_type(items: &[Item]) -> Result<String, Box<Problem>> {
    let found = items.iter().find(|item| item.keys.first().is_some_and(|(name, _)| name.eq_ignore_ascii_case("type")));
    match found.map(|item| &item.value.kind) {
        Some(Written::Text(text)) if matches!(text.as_str(), "csi" | "host") => Ok(text.clone()),
        Some(Written::Text(text)) => {
            Err(Box::new(Problem::error("Unknown volume type", format!("\"type\" is \"csi\" or \"host\", not \"{text}\"."))))
        }
        _ => Err(Box::new(Problem::error("Missing volume type", "A volume says its type: type = \"csi\" or type = \"host\"."))),
    }
}

struct Reader<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    /// What is not known is no error.
    stored: bool,
}

impl Reader<'_> {
    fn error(&mut self, span: Span, summary: &str, detail: impl Into<String>) {
        self.problems.push(Problem::error(summary, detail).at(self.source, span));
    }

    fn block(&mut self, items: &[Item], schema: &'static Key, path: &str, place: Span) -> Fields {
        let mut fields = Fields::new();
        let mut seen: Vec<&str> = Vec::new();
        for item in items {
            let Some((name, span)) = item.keys.first() else { continue };
            // Objects of the API itself are taken as well, where a file is JSON.
            let by_api = || schema.keys.iter().find(|key| key.api.eq_ignore_ascii_case(name));
            let Some(key) = schema.find(name).or_else(by_api) else {
                self.unknown(schema, path, name, *span);
                continue;
            };
            let inner = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let repeats = key.flag("many") || key.setting("label").is_some() || key.setting("free").is_some();
            if seen.contains(&key.name) && !repeats {
                self.error(*span, "Duplicate key", format!("\"{inner}\" is given twice."));
                continue;
            }
            seen.push(key.name);
            match key.kind {
                Kind::Block => self.known_block(item, key, &inner, &mut fields),
                _ => {
                    if let Some(value) = self.value(&item.value, key, &inner) {
                        fields.insert(key.api.clone(), value);
                    }
                }
            }
        }
        for key in schema.keys.iter().filter(|key| key.required && !seen.contains(&key.name)) {
            let what = if key.kind == Kind::Block { "A block" } else { "A value for" };
            let of = if path.is_empty() { String::new() } else { format!(" in \"{path}\"") };
            self.error(place, "Missing key", format!("{what} \"{}\" is required{of}.", key.name));
        }
        fields
    }

    fn unknown(&mut self, schema: &Key, path: &str, name: &str, span: Span) {
        let place = if path.is_empty() { "at the top level".to_owned() } else { format!("in \"{path}\"") };
        let hint = did_you_mean(name, schema.keys.iter().map(|key| key.name));
        let lenient = self.stored || schema.flag("lenient");
        let detail = format!("There is no key \"{name}\" {place}.");
        let problem = if lenient {
            Problem::warning("Unknown key", format!("{detail} It has no effect."))
        } else {
            Problem::error("Unknown key", detail)
        };
        self.problems.push(problem.at(self.source, span).maybe_hint(hint));
    }

    fn known_block(&mut self, item: &Item, key: &'static Key, path: &str, fields: &mut Fields) {
        let Written::Object(members) = &item.value.kind else {
            if let (Written::List(list), true) = (&item.value.kind, key.flag("many")) {
                // JSON gives repeated blocks as one list.
                for node in list {
                    let item = Item { keys: item.keys.clone(), value: node.clone() };
                    self.known_block(&item, key, path, fields);
                }
                return;
            }
            self.error(item.value.span, "Unsuitable value", format!("\"{path}\" must be a block, not {}.", item.value.kind.words()));
            return;
        };
        let place = item.keys[0].1;
        if key.setting("free").is_some() {
            let map = fields.entry(key.api.clone()).or_insert_with(|| json!({}));
            let Json::Object(map) = map else { return };
            match item.keys.get(1) {
                Some((label, _)) => {
                    map.insert(label.clone(), hcl1::json(members));
                }
                None => {
                    for member in members.iter().filter(|member| !member.keys.is_empty()) {
                        let inner = match &member.value.kind {
                            Written::Object(members) => hcl1::json(members),
                            _ => continue,
                        };
                        map.insert(member.keys[0].0.clone(), inner);
                    }
                }
            }
            return;
        }
        if let Some(field) = key.setting("label") {
            let list = |fields: &mut Fields, value: Json| {
                if let Json::Array(list) = fields.entry(key.api.clone()).or_insert_with(|| json!([])) {
                    list.push(value);
                }
            };
            let labelled = |reader: &mut Self, label: &str, members: &[Item]| {
                let mut inner = reader.block(members, key, path, place);
                inner.insert(field.to_owned(), json!(label));
                Json::Object(inner)
            };
            match item.keys.get(1) {
                Some((label, _)) => {
                    let value = labelled(self, label, members);
                    list(fields, value);
                }
                None if key.flag("default-label") && !members.iter().all(|member| matches!(member.value.kind, Written::Object(_))) => {
                    let value = labelled(self, "default", members);
                    list(fields, value);
                }
                None => {
                    // In JSON the labels are the keys of the object.
                    let blocks = members.iter().all(|member| matches!(member.value.kind, Written::Object(_))) && !members.is_empty();
                    if !blocks {
                        self.error(place, "Missing label", format!("A block \"{path}\" needs a label: {path} \"name\" {{ … }}"));
                    }
                    for member in members {
                        if let (Some((label, _)), Written::Object(members)) = (member.keys.first(), &member.value.kind) {
                            let value = labelled(self, label, members);
                            list(fields, value);
                        }
                    }
                }
            }
            return;
        }
        if let Some((label, span)) = item.keys.get(1) {
            self.error(*span, "Unexpected label", format!("A block \"{path}\" has no label such as \"{label}\"."));
        }
        let inner = self.block(members, key, path, place);
        if key.flag("many") {
            if let Json::Array(list) = fields.entry(key.api.clone()).or_insert_with(|| json!([])) {
                list.push(Json::Object(inner));
            }
        } else if key.flag("inline") {
            let value = inner.into_iter().next().map_or(Json::Null, |(_, value)| value);
            fields.insert(key.api.clone(), value);
        } else {
            fields.insert(key.api.clone(), Json::Object(inner));
        }
    }

    fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        match &node.kind {
            Written::Text(text) => Some(text.clone()),
            Written::Number(text) => Some(text.clone()),
            Written::Bool(value) => Some(value.to_string()),
            Written::Null => None,
            other => {
                self.error(node.span, "Unsuitable value", format!("\"{path}\" must be a text, not {}.", other.words()));
                None
            }
        }
    }

    fn known_word(&mut self, span: Span, path: &str, words: &str, text: &str) {
        if text.is_empty() || words.split('|').any(|word| word == text) {
            return;
        }
        let hint = did_you_mean(text, words.split('|'));
        let listed = if words.len() < 120 { words.replace('|', ", ") } else { "one of the known words".to_owned() };
        let detail = format!("\"{path}\" cannot be \"{text}\": it is {listed}.");
        let problem = if self.stored { Problem::warning("Unknown word", detail) } else { Problem::error("Unknown word", detail) };
        self.problems.push(problem.at(self.source, span).maybe_hint(hint));
    }

    fn value(&mut self, node: &Node, key: &Key, path: &str) -> Option<Json> {
        if matches!(node.kind, Written::Null) {
            return None;
        }
        let wrong = |reader: &mut Self, wanted: &str| {
            reader.error(node.span, "Unsuitable value", format!("\"{path}\" must be {wanted}, not {}.", node.kind.words()));
            None
        };
        match key.kind {
            Kind::Text => {
                let text = self.text(node, path)?;
                if let Some(words) = key.setting("one-of") {
                    self.known_word(node.span, path, words, &text);
                }
                if key.flag("word") && !rules::is_word(&text) {
                    self.error(node.span, "Invalid name", format!("\"{path}\" must be 1 to 128 letters, digits and hyphens."));
                }
                if key.flag("short") && text.chars().count() > rules::DESCRIPTION_MAX {
                    let detail = format!("\"{path}\" must not be longer than {} characters.", rules::DESCRIPTION_MAX);
                    self.error(node.span, "Text too long", detail);
                }
                Some(json!(text))
            }
            Kind::Whole => match &node.kind {
                Written::Number(text) | Written::Text(text) => match text.parse::<i64>() {
                    Ok(number) => Some(json!(number)),
                    Err(_) => wrong(self, "a whole number"),
                },
                _ => wrong(self, "a whole number"),
            },
            Kind::Number => match &node.kind {
                Written::Number(text) | Written::Text(text) => match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => Some(json!(number)),
                    _ => wrong(self, "a number"),
                },
                _ => wrong(self, "a number"),
            },
            Kind::Bool => match &node.kind {
                Written::Bool(value) => Some(json!(value)),
                Written::Text(text) | Written::Number(text) if matches!(text.as_str(), "true" | "1") => Some(json!(true)),
                Written::Text(text) | Written::Number(text) if matches!(text.as_str(), "false" | "0") => Some(json!(false)),
                _ => wrong(self, "true or false"),
            },
            Kind::Nanoseconds | Kind::Duration => {
                let text = self.text(node, path)?;
                let parsed = text.parse::<i64>().or_else(|_| parse_duration(&text));
                match parsed {
                    Ok(nanoseconds) if key.kind == Kind::Nanoseconds => Some(json!(nanoseconds)),
                    Ok(_) => Some(json!(text)),
                    Err(_) => wrong(self, "a duration such as \"30s\""),
                }
            }
            Kind::Bytes => {
                let text = self.text(node, path)?;
                match parse_byte_size(&text) {
                    Ok(bytes) => Some(json!(bytes)),
                    Err(_) => wrong(self, "a size such as \"10GiB\""),
                }
            }
            Kind::Mebibytes => match &node.kind {
                Written::Number(text) => match text.parse::<i64>() {
                    Ok(number) => Some(json!(number)),
                    Err(_) => wrong(self, "a size in MiB or a text such as \"10GiB\""),
                },
                Written::Text(text) => match parse_byte_size(text) {
                    Ok(bytes) => Some(json!(bytes >> 20)),
                    Err(_) => wrong(self, "a size in MiB or a text such as \"10GiB\""),
                },
                _ => wrong(self, "a size in MiB or a text such as \"10GiB\""),
            },
            Kind::List => match &node.kind {
                Written::List(members) => {
                    let texts: Vec<String> = members.iter().filter_map(|member| self.text(member, path)).collect();
                    if let Some(words) = key.setting("each-of") {
                        for (text, member) in texts.iter().zip(members) {
                            self.known_word(member.span, path, words, text);
                        }
                    }
                    Some(json!(texts))
                }
                _ => wrong(self, "a list of texts"),
            },
            Kind::TextMap => match &node.kind {
                Written::Object(members) => {
                    if members.is_empty() && key.flag("not-empty") {
                        self.error(node.span, "Nothing inside", format!("\"{path}\" must not be empty."));
                    }
                    let mut map = Fields::new();
                    for member in members {
                        let Some((name, _)) = member.keys.first() else { continue };
                        if let Some(text) = self.text(&member.value, &format!("{path}.{name}")) {
                            map.insert(name.clone(), json!(text));
                        }
                    }
                    Some(Json::Object(map))
                }
                _ => wrong(self, "a block of texts"),
            },
            Kind::AnyMap => match &node.kind {
                Written::Object(members) => Some(hcl1::json(members)),
                _ => wrong(self, "a block"),
            },
            Kind::Block => None,
        }
    }
}

/// The specification as a file; reading it gives the same fields.
pub fn write(document: &Document) -> String {
    let kind = document.fields.get("Type").and_then(Json::as_str);
    let mut out = String::new();
    write_block(&document.fields, table_of(document.specification, kind), 0, &mut out);
    out
}

fn quoted(text: &str) -> String {
    // The rules of JSON strings hold, but an interpolation would not stay text in other readers.
    Json::String(text.to_owned()).to_string()
}

fn write_block(fields: &Fields, schema: &Key, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for key in &schema.keys {
        let Some(value) = fields.get(&key.api) else { continue };
        match (key.kind, value) {
            (Kind::Block, Json::Object(labelled)) if key.setting("free").is_some() => {
                for (label, inner) in labelled {
                    out.push_str(&format!("{indent}{} {} {{\n", key.name, quoted(label)));
                    for (name, value) in inner.as_object().into_iter().flatten() {
                        out.push_str(&format!("{indent}  {} = {value}\n", quoted(name)));
                    }
                    out.push_str(&format!("{indent}}}\n"));
                }
            }
            (Kind::Block, Json::Array(list)) if key.flag("inline") => {
                let inner = &key.keys[0];
                out.push_str(&format!("{indent}{} {{\n", key.name));
                let wrapped = Fields::from_iter([(inner.api.clone(), json!(list))]);
                write_block(&wrapped, key, depth + 1, out);
                out.push_str(&format!("{indent}}}\n"));
            }
            (Kind::Block, Json::Array(list)) => {
                for entry in list.iter().filter_map(Json::as_object) {
                    let label = key.setting("label").and_then(|field| entry.get(field)).and_then(Json::as_str);
                    let label = label.map(|label| format!(" {}", quoted(label))).unwrap_or_default();
                    out.push_str(&format!("{indent}{}{label} {{\n", key.name));
                    write_block(entry, key, depth + 1, out);
                    out.push_str(&format!("{indent}}}\n"));
                }
            }
            (Kind::Block, Json::Object(inner)) => {
                out.push_str(&format!("{indent}{} {{\n", key.name));
                write_block(inner, key, depth + 1, out);
                out.push_str(&format!("{indent}}}\n"));
            }
            (Kind::TextMap | Kind::AnyMap, Json::Object(map)) => {
                out.push_str(&format!("{indent}{} {{\n", key.name));
                for (name, value) in map {
                    out.push_str(&format!("{indent}  {} = {value}\n", quoted(name)));
                }
                out.push_str(&format!("{indent}}}\n"));
            }
            (Kind::Nanoseconds, value) => {
                let text = value.as_i64().map_or_else(|| value.to_string(), |nanoseconds| quoted(&format_duration(nanoseconds)));
                out.push_str(&format!("{indent}{} = {text}\n", key.name));
            }
            (_, value) => out.push_str(&format!("{indent}{} = {value}\n", key.name)),
        }
    }
}
