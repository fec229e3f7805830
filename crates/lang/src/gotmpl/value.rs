//! The values that templates compute with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::DataError;

/// Values are nested to this depth at most.
const MAX_DEPTH: u32 = 200;

/// A value with fields and methods that the caller, or a function, defines.
pub trait Record: fmt::Debug + Send + Sync {
    /// The field, or the result of the method, of that name; `None` when there is none.
    fn get(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, DataError>>;

    /// How it prints.
    fn text(&self) -> String;

    /// The elements that `range` sees, keys and values.
    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// Whether it counts as empty in conditions.
    fn is_empty(&self) -> bool {
        false
    }
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value: the result of looking up what is not there.
    Missing,
    /// The literal nil, and null in JSON.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is never negative.
    Uint(u64),
    /// A floating number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// Bytes that are not UTF-8 text.
    Bytes(Arc<[u8]>),
    /// A list; of texts only when the flag is set.
    List(Arc<[Value]>, bool),
    /// A map; of texts only when the flag is set.
    Map(Arc<BTreeMap<String, Value>>, bool),
    /// Numbers that can only be iterated.
    Stream(Arc<[Value]>),
    /// A value with fields and methods.
    Record(Arc<dyn Record>),
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    /// A list of texts.
    pub fn texts(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect(), true)
    }

    /// A list.
    pub fn list(values: Vec<Self>) -> Self {
        Self::List(values.into(), false)
    }

    /// A map.
    pub fn map(members: BTreeMap<String, Self>) -> Self {
        Self::Map(Arc::new(members), false)
    }

    /// Whether it counts as true in conditions: anything but zero, empty and nothing.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Uint(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(values, _) => !values.is_empty(),
            Self::Map(members, _) => !members.is_empty(),
            Self::Stream(_) => true,
            Self::Record(record) => !record.is_empty(),
        }
    }

    /// How many values there are to look at, those inside counted wherever they stand; not more than `limit`, and the limit for what
    /// is nested too deeply to be looked at.
    pub fn weight_within(&self, limit: u64) -> u64 {
        fn add(value: &Value, limit: u64, depth: u32, total: &mut u64) {
            if *total >= limit {
                return;
            }
            *total = if depth > MAX_DEPTH { limit } else { *total + 1 };
            match value {
                Value::List(values, _) => values.iter().for_each(|value| add(value, limit, depth + 1, total)),
                Value::Map(members, _) => members.values().for_each(|value| add(value, limit, depth + 1, total)),
                _ => {}
            }
        }
        let mut total = 0;
        add(self, limit, 0, &mut total);
        total
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Bytes(_) => "string",
            Self::List(_, true) => "[]string",
            Self::List(_, false) => "[]interface {}",
            Self::Map(_, true) => "map[string]string",
            Self::Map(_, false) => "map[string]interface {}",
            Self::Stream(_) => "<-chan int64",
            Self::Record(_) => "record",
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its JSON form; nothing for what has none.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match self {
            Self::Missing | Self::Nil => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Int(value) => Json::from(*value),
            Self::Uint(value) => Json::from(*value),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Json::from(*value as i64),
            Self::Float(value) => serde_json::Number::from_f64(*value).map(Json::Number)?,
            Self::Text(text) => Json::from(&**text),
            Self::Bytes(bytes) => Json::from(String::from_utf8_lossy(bytes)),
            Self::List(values, _) => Json::Array(values.iter().map(Self::to_json).collect::<Option<_>>()?),
            Self::Map(members, _) => {
                Json::Object(members.iter().map(|(key, value)| Some((key.clone(), value.to_json()?))).collect::<Option<_>>()?)
            }
            Self::Record(record) => match record.entries() {
                Some(entries) => Json::Object(
                    entries.iter().map(|(key, value)| Some((key.as_text()?.to_owned(), value.to_json()?))).collect::<Option<_>>()?,
                ),
                None => Json::from(record.text()),
            },
            Self::Stream(_) => return None,
        })
    }
}

impl From<&serde_json::Value> for Value {
    /// Numbers become floating, as JSON has no whole numbers.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(0.0)),
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(values) => Self::list(values.iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => Self::map(members.iter().map(|(key, value)| (key.clone(), Self::from(value))).collect()),
        }
    }
}
