//! Base64, URL, CSV and JSON functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Context, Outcome, string};
use crate::hcl::json::parse_json;
use crate::hcl::value::{Members, Type, Value};

pub(super) fn base64_encode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(STANDARD.encode(string(&arguments[0]))))
}

pub(super) fn base64_decode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let bytes = decode_base64(string(&arguments[0]))?;
    String::from_utf8(bytes).map(Value::string).map_err(|_| "the bytes are not UTF-8 text".to_owned())
}

/// The bytes of standard base64; line breaks are passed over.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    STANDARD.decode(joined).map_err(|_| "the text is not base64".to_owned())
}

pub(super) fn url_encode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let mut out = String::new();
    for byte in string(&arguments[0]).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::string(out))
}

pub(super) fn json_encode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    arguments[0].to_json_text().map(Value::string)
}

pub(super) fn json_decode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    decode_json(string(&arguments[0]))
}

/// The value of a JSON text.
pub(crate) fn decode_json(text: &str) -> Outcome {
    parse_json(text).map(|node| node.to_value()).map_err(|error| error.to_string())
}

pub(super) fn csv_decode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let mut rows = csv_rows(string(&arguments[0]))?.into_iter();
    let header = rows.next().ok_or_else(|| "there is no header line".to_owned())?.1;
    let mut kinds = BTreeMap::new();
    for name in &header {
        if kinds.insert(Arc::<str>::from(name.as_str()), Type::String).is_some() {
            return Err(format!("the column \"{name}\" occurs twice"));
        }
    }
    let mut records = Vec::new();
    for (line, row) in rows {
        if row.len() != header.len() {
            return Err(format!("line {line} has {} fields, not {}", row.len(), header.len()));
        }
        let members: Members = header.iter().zip(&row).map(|(name, field)| (Arc::from(name.as_str()), Value::string(field))).collect();
        records.push(Value::object(members));
    }
    Ok(Value::List(Arc::new(Type::Object(Arc::new(kinds))), records.into()))
}

/// Rows with the line each starts on; empty lines are passed over.
fn csv_rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let text = text.replace("\r\n", "\n");
    let mut rows = Vec::new();
    let mut rest = text.as_str();
    let mut line = 1;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('\n') {
            rest = behind;
            line += 1;
            continue;
        }
        let start = line;
        let mut row = Vec::new();
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                let mut field = String::new();
                rest = quoted;
                loop {
                    let Some(at) = rest.find('"') else { return Err(format!("line {start}: a quote is not closed")) };
                    field.push_str(&rest[..at]);
                    rest = &rest[at + 1..];
                    match rest.strip_prefix('"') {
                        Some(behind) => {
                            field.push('"');
                            rest = behind;
                        }
                        None => break,
                    }
                }
                line += field.matches('\n').count();
                row.push(field);
            } else {
                let length = rest.find([',', '\n']).unwrap_or(rest.len());
                let field = &rest[..length];
                if field.contains('"') {
                    return Err(format!("line {line}: a quote stands inside a field"));
                }
                row.push(field.to_owned());
                rest = &rest[length..];
            }
            match rest.as_bytes().first() {
                Some(b',') => rest = &rest[1..],
                Some(b'\n') => {
                    rest = &rest[1..];
                    line += 1;
                    break;
                }
                None => break,
                Some(_) => return Err(format!("line {line}: text stands behind a closing quote")),
            }
        }
        rows.push((start, row));
    }
    Ok(rows)
}
