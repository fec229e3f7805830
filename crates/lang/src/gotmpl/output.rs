//! Times, YAML and TOML as templates write them.

use std::collections::BTreeMap;

use super::format::print;
use super::functions::Answer;
use super::value::Value;
use crate::hcl::functions::read_yaml;

/// A point in time in Go's layout language, which writes the moment 2006-01-02 15:04:05 as an example.
pub(super) fn timestamp(now: i64, layout: Option<&str>) -> Answer {
    let layout = match layout {
        None => "2006-01-02T15:04:05Z07:00",
        Some("unix") => return Ok(Value::text(now.to_string())),
        Some(layout) => layout,
    };
    let time = jiff::Timestamp::from_second(now).map_err(|error| error.to_string())?.to_zoned(jiff::tz::TimeZone::UTC);
    const PARTS: [(&str, &str); 25] = [
        ("January", "%B"),
        ("Jan", "%b"),
        ("Monday", "%A"),
        ("Mon", "%a"),
        ("MST", "UTC"),
        ("2006", "%Y"),
        ("Z07:00", "Z"),
        ("Z0700", "Z"),
        ("-07:00", "+00:00"),
        ("-0700", "+0000"),
        ("-07", "+00"),
        ("002", "%j"),
        ("01", "%m"),
        ("02", "%d"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("06", "%y"),
        ("15", "%H"),
        ("PM", "%p"),
        ("_2", "%e"),
        ("1", "%-m"),
        ("2", "%-d"),
        ("3", "%-I"),
        ("4", "%-M"),
    ];
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        match PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            Some((part, directive)) => {
                if directive.starts_with('%') {
                    out.push_str(&time.strftime(directive).to_string());
                } else {
                    out.push_str(directive);
                }
                rest = &rest[part.len()..];
            }
            None if rest.starts_with('5') => {
                out.push_str(&time.second().to_string());
                rest = &rest[1..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Ok(Value::text(out))
}

/// Writes a value in block style; `inline` when something stands on the line already.
pub(super) fn write_yaml(value: &Value, indent: usize, inline: bool, out: &mut String) {
    match value {
        Value::List(values, _) if !values.is_empty() => {
            for (at, value) in values.iter().enumerate() {
                if at > 0 || !inline {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                write_yaml(value, indent + 2, true, out);
            }
        }
        Value::Map(members, _) if !members.is_empty() => {
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 || !inline {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str(&yaml_text(key));
                out.push(':');
                match value {
                    Value::List(values, _) if !values.is_empty() => {
                        out.push('\n');
                        write_yaml(value, indent, false, out);
                    }
                    Value::Map(members, _) if !members.is_empty() => {
                        out.push('\n');
                        write_yaml(value, indent + 2, false, out);
                    }
                    _ => {
                        out.push(' ');
                        write_yaml(value, indent + 2, true, out);
                    }
                }
            }
        }
        Value::List(..) => out.push_str("[]\n"),
        Value::Map(..) => out.push_str("{}\n"),
        Value::Missing | Value::Nil => out.push_str("null\n"),
        Value::Text(text) => {
            if text.contains('\n') && !text.starts_with([' ', '\n']) {
                out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
                for line in text.trim_end_matches('\n').split('\n') {
                    out.push_str(&" ".repeat(if line.is_empty() { 0 } else { indent.max(2) }));
                    out.push_str(line);
                    out.push('\n');
                }
            } else {
                out.push_str(&yaml_text(text));
                out.push('\n');
            }
        }
        other => {
            out.push_str(&print(other));
            out.push('\n');
        }
    }
}

/// A text as a YAML scalar, quoted where it would be read as something else.
fn yaml_text(text: &str) -> String {
    let other = read_yaml(text).map_or(true, |value| value.as_str() != Some(text));
    let special = text.contains(": ")
        || text.contains(" #")
        || text.ends_with(':')
        || text.starts_with(['\'', '"', '&', '*', '!', '|', '>', '%', '@', '`', '#', '{', '[', '-', '?'])
            && (text.len() == 1 || !text[1..].starts_with(|c: char| c.is_alphanumeric()));
    if text.chars().any(char::is_control) {
        return format!("{text:?}");
    }
    if special || text.starts_with(' ') || text.ends_with(' ') {
        return format!("'{}'", text.replace('\'', "''"));
    }
    if other { format!("\"{text}\"") } else { text.to_owned() }
}

pub(super) fn toml_value(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Float(number) if number.fract() == 0.0 => format!("{number:.1}"),
        Value::List(values, _) => {
            format!("[{}]", values.iter().map(toml_value).collect::<Result<Vec<_>, _>>()?.join(", "))
        }
        Value::Map(members, _) => {
            let inner = members.iter().map(|(key, value)| Ok(format!("{} = {}", toml_key(key), toml_value(value)?)));
            format!("{{{}}}", inner.collect::<Result<Vec<_>, String>>()?.join(", "))
        }
        Value::Missing | Value::Nil => return Err("TOML has no null".to_owned()),
        other => print(other),
    })
}

fn toml_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { key.to_owned() } else { format!("{key:?}") }
}

pub(super) fn write_toml(members: &BTreeMap<String, Value>, path: &str, depth: usize, out: &mut String) -> Result<(), String> {
    let indent = "  ".repeat(depth);
    for (key, value) in members.iter().filter(|(_, value)| !matches!(value, Value::Map(..))) {
        out.push_str(&format!("{indent}{} = {}\n", toml_key(key), toml_value(value)?));
    }
    for (key, value) in members {
        let Value::Map(inner, _) = value else { continue };
        let full = if path.is_empty() { toml_key(key) } else { format!("{path}.{}", toml_key(key)) };
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("{indent}[{full}]\n"));
        write_toml(inner, &full, depth + 1, out)?;
    }
    Ok(())
}
