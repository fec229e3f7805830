//! The functions that Go itself brings to templates.

use std::cmp::Ordering;

use super::format::print;
use super::functions::{Answer, bytes, from_bytes, whole};
use super::value::Value;

pub(super) fn length(value: &Value) -> Answer {
    Ok(Value::Int(match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values, _) => values.len(),
        Value::Map(members, _) => members.len(),
        Value::Record(record) if record.entries().is_some() => record.entries().map_or(0, |entries| entries.len()),
        Value::Missing | Value::Nil => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    } as i64))
}

pub(super) fn index(arguments: &[Value]) -> Answer {
    let mut value = arguments[0].clone();
    for key in &arguments[1..] {
        value = match &value {
            Value::Map(members, texts) => {
                let key = key.as_text().ok_or_else(|| format!("value has type {}; should be string", key.type_name()))?;
                let absent = if *texts { Value::text("") } else { Value::Missing };
                members.get(key).cloned().unwrap_or(absent)
            }
            Value::Record(record) => {
                let key = key.as_text().ok_or_else(|| format!("value has type {}; should be string", key.type_name()))?;
                match record.get(key, &[]) {
                    Some(Ok(value)) => value,
                    _ => Value::text(""),
                }
            }
            Value::List(values, _) => {
                let at = whole(key)?;
                usize::try_from(at).ok().and_then(|at| values.get(at).cloned()).ok_or_else(|| format!("index out of range: {at}"))?
            }
            Value::Text(text) => {
                let at = whole(key)?;
                let byte =
                    usize::try_from(at).ok().and_then(|at| text.as_bytes().get(at)).ok_or_else(|| format!("index out of range: {at}"))?;
                Value::Int(i64::from(*byte))
            }
            Value::Missing | Value::Nil => return Err("index of untyped nil".to_owned()),
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

pub(super) fn slice(arguments: &[Value]) -> Answer {
    let size = match &arguments[0] {
        Value::Text(text) => text.len(),
        Value::List(values, _) => values.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let bound = |at: usize, otherwise: usize| match arguments.get(at) {
        None => Ok(otherwise),
        Some(value) => {
            let bound = whole(value)?;
            usize::try_from(bound).ok().filter(|bound| *bound <= size).ok_or_else(|| format!("index out of range: {bound}"))
        }
    };
    let (start, end) = (bound(1, 0)?, bound(2, size)?);
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &arguments[0] {
        Value::List(values, texts) => Ok(Value::List(values[start..end].into(), *texts)),
        other => bytes(other).map(|bytes| from_bytes(bytes[start..end].to_vec())),
    }
}

pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(match (a, b) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Missing | Value::Nil, _) | (_, Value::Missing | Value::Nil) => false,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Uint(a), Value::Uint(b)) => a == b,
        (Value::Int(a), Value::Uint(b)) | (Value::Uint(b), Value::Int(a)) => u64::try_from(*a) == Ok(*b),
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Record(a), Value::Text(b)) | (Value::Text(b), Value::Record(a)) => a.text() == **b,
        (Value::List(..) | Value::Map(..), _) | (_, Value::List(..) | Value::Map(..)) => {
            return Err(format!("non-comparable type {}: {}", a.type_name(), print(a)));
        }
        _ => return Err(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())),
    })
}

pub(super) fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Ok(a.cmp(b)),
        (Value::Int(a), Value::Uint(b)) => Ok(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Uint(a), Value::Int(b)) => Ok(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).ok_or_else(|| "not a number".to_owned()),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        _ if std::mem::discriminant(a) == std::mem::discriminant(b) => Err("invalid type for comparison".to_owned()),
        _ => Err(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())),
    }
}

pub(super) fn escape_html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

pub(super) fn escape_js(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            _ => out.push(c),
        }
    }
    out
}

pub(super) fn escape_url(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub(super) fn dump(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("(string) (len={}) {text:?}\n", text.len()),
        other => format!("({}) {}\n", other.type_name(), print(other)),
    }
}
