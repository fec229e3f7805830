//! YAML out and in.

use super::{Context, Outcome, string, yaml_reader};
use crate::hcl::value::Value;

pub(super) fn encode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let mut out = String::new();
    write(&arguments[0], 0, false, &mut out)?;
    if matches!(arguments[0], Value::Null(_) | Value::Bool(_) | Value::Number(_)) {
        out.push_str("...\n");
    }
    Ok(Value::string(out))
}

pub(super) fn decode(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    yaml_reader::read(string(&arguments[0]), yaml_reader::Dialect::Expressions)
}

/// Writes a value and its line end; `inline` when something stands on the line already.
fn write(value: &Value, indent: usize, inline: bool, out: &mut String) -> Result<(), String> {
    match value {
        Value::Null(_) => out.push_str("null\n"),
        Value::Unknown(_) => return Err("a value is not known yet".to_owned()),
        Value::Bool(value) => out.push_str(if *value { "true\n" } else { "false\n" }),
        Value::Number(value) => out.push_str(&format!("{value}\n")),
        Value::String(text) => write_text(text, indent, out),
        Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
            if members.is_empty() {
                out.push_str("[]\n");
            }
            for (at, member) in members.iter().enumerate() {
                if at > 0 || !inline {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                write(member, indent + 2, true, out)?;
            }
        }
        Value::Map(_, members) | Value::Object(members) => {
            if members.is_empty() {
                out.push_str("{}\n");
            }
            for (at, (key, member)) in members.iter().enumerate() {
                if at > 0 || !inline {
                    out.push_str(&" ".repeat(indent));
                }
                quote(key, out);
                out.push(':');
                let nested = match member {
                    Value::Map(_, inner) | Value::Object(inner) => !inner.is_empty(),
                    other => other.elements().is_some_and(|elements| !elements.is_empty()),
                };
                if nested {
                    // Lists stand at the indentation of their key, maps two deeper.
                    out.push('\n');
                    write(member, if member.elements().is_some() { indent } else { indent + 2 }, false, out)?;
                } else {
                    out.push(' ');
                    write(member, indent, false, out)?;
                }
            }
        }
    }
    Ok(())
}

/// A text of several plain lines becomes a block, any other is quoted.
fn write_text(text: &str, indent: usize, out: &mut String) {
    let plain = |c: char| c == '\n' || !c.is_control() && (c as u32) < 0x10000;
    if text.contains('\n') && !text.starts_with([' ', '\n']) && text.chars().all(plain) && !text.contains(" \n") {
        out.push_str(if text.ends_with("\n\n") {
            "|+"
        } else if text.ends_with('\n') {
            "|"
        } else {
            "|-"
        });
        out.push('\n');
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            if !line.is_empty() {
                out.push_str(&" ".repeat(indent + 2));
                out.push_str(line);
            }
            out.push('\n');
        }
        return;
    }
    quote(text, out);
    out.push('\n');
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02X}", c as u32)),
            '\u{80}'..='\u{9f}' | '\u{feff}' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if c as u32 >= 0x10000 => out.push_str(&format!("\\U{:08X}", c as u32)),
            _ => out.push(c),
        }
    }
    out.push('"');
}
