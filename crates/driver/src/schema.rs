//! The settings of a driver's `config` block: which there are, of which type, and everything wrong with a block at once.
//!
//! # Compatibility
//!
//! Values convert as in HCL (a number where text is wanted, text that is a number where a number is wanted), and the texts of the
//! problems are those that users of job files know.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Bool,
    Integer,
    Duration,
    Texts,
    TextMap,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bool => "bool",
            Self::Integer => "number",
            Self::Duration => "duration",
            Self::Texts => "list of string",
            Self::TextMap => "map of string",
        }
    }
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
}

/// A setting that may be left out.
pub const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// A setting that must be there.
pub const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

/// A block whose every value has the type its field asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    values: BTreeMap<&'static str, Setting>,
}

#[derive(Debug, Clone, PartialEq)]
enum Setting {
    Text(String),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Texts(Vec<String>),
    TextMap(BTreeMap<String, String>),
}

impl Settings {
    /// A text; none when it is not set.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Setting::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A truth value; false when it is not set.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Setting::Bool(true)))
    }

    /// A number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Setting::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A length of time.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.values.get(name)? {
            Setting::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// A list of texts; empty when it is not set.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Setting::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// A map of texts, in the order of its keys.
    pub fn text_map(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = match self.values.get(name) {
            Some(Setting::TextMap(map)) => Some(map),
            _ => None,
        };
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Reads a block against its fields. All problems come back at once: what is missing, then what is unknown or of another type.
pub fn decode(config: &Map<String, Value>, fields: &[Field]) -> Result<Settings, Vec<String>> {
    let mut problems = Vec::new();
    let mut settings = Settings::default();
    for field in fields.iter().filter(|field| field.required) {
        if config.get(field.name).is_none_or(Value::is_null) {
            let name = field.name;
            problems.push(format!("Missing required argument: The argument \"{name}\" is required, but no definition was found."));
        }
    }
    for (name, value) in config {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            problems.push(format!("Invalid label: No argument or block type is named \"{name}\"."));
            continue;
        };
        if value.is_null() {
            continue;
        }
        match convert(value, field.kind) {
            Some(setting) => {
                settings.values.insert(field.name, setting);
            }
            None => problems.push(format!(
                "Incorrect attribute value type: Inappropriate value for attribute \"{name}\": {} required.",
                field.kind.words()
            )),
        }
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

fn convert(value: &Value, kind: Kind) -> Option<Setting> {
    Some(match kind {
        Kind::Text => Setting::Text(text(value)?),
        Kind::Bool => Setting::Bool(match value {
            Value::Bool(flag) => *flag,
            Value::String(text) => match text.as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return None,
            },
            _ => return None,
        }),
        Kind::Integer => Setting::Integer(match value {
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        }),
        Kind::Duration => Setting::Duration(match value {
            Value::Number(number) => Duration::from_nanos(number.as_u64()?),
            Value::String(text) => duration(text)?,
            _ => return None,
        }),
        Kind::Texts => Setting::Texts(match value {
            Value::Array(items) => items.iter().map(text).collect::<Option<_>>()?,
            _ => return None,
        }),
        Kind::TextMap => {
            let mut map = BTreeMap::new();
            match value {
                Value::Object(object) => extend(&mut map, object)?,
                // A block arrives as a list of its occurrences.
                Value::Array(items) => {
                    for item in items {
                        extend(&mut map, item.as_object()?)?;
                    }
                }
                _ => return None,
            }
            Setting::TextMap(map)
        }
    })
}

fn extend(map: &mut BTreeMap<String, String>, object: &Map<String, Value>) -> Option<()> {
    for (key, value) in object {
        map.insert(key.clone(), text(value)?);
    }
    Some(())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A length of time as job files write it: `1h30m`, `250ms`, `1.5s`. None for anything else, negative lengths too.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += amount * unit;
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;
    use serde_json::json;

    const FIELDS: &[Field] = &[
        required("command", Kind::Text),
        optional("args", Kind::Texts),
        optional("wait", Kind::Duration),
        optional("count", Kind::Integer),
        optional("quick", Kind::Bool),
        optional("override", Kind::TextMap),
    ];

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("object").clone()
    }

    #[proves("DRV-001")]
    #[test]
    fn all_problems_are_told_at_once_in_known_words() {
        let problems = decode(&object(json!({"bogus": 1, "args": "x"})), FIELDS).expect_err("problems");
        assert_eq!(
            problems,
            [
                "Missing required argument: The argument \"command\" is required, but no definition was found.",
                "Incorrect attribute value type: Inappropriate value for attribute \"args\": list of string required.",
                "Invalid label: No argument or block type is named \"bogus\".",
            ]
        );
    }

    #[test]
    fn values_convert_as_in_hcl() {
        let config = object(json!({
            "command": 7, "args": ["a", 1, true], "wait": "1m30s", "count": "12", "quick": "true",
            "override": [{"cpu": "/x"}, {"memory": "/y"}],
        }));
        let settings = decode(&config, FIELDS).expect("settings");
        assert_eq!(settings.text("command"), Some("7"));
        assert_eq!(settings.texts("args"), ["a", "1", "true"]);
        assert_eq!(settings.duration("wait"), Some(Duration::from_secs(90)));
        assert_eq!(settings.integer("count"), Some(12));
        assert!(settings.bool("quick"));
        assert_eq!(settings.text_map("override").collect::<Vec<_>>(), [("cpu", "/x"), ("memory", "/y")]);
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("1h0.5m"), Some(Duration::from_secs(3630)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "-1s", "1d", "1s x"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
