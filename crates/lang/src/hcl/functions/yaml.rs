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

/// Texts in quotes go on in the next line from this column on.
const WIDTH: usize = 80;
/// Longer keys stand behind a question mark.
const KEY_MAX: usize = 128;

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
                // A text goes on two deeper than the sign of its entry.
                write(member, if matches!(member, Value::String(_)) { indent } else { indent + 2 }, true, out)?;
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
                write_member(key, member, indent, out)?;
            }
        }
    }
    Ok(())
}

fn write_member(key: &str, member: &Value, indent: usize, out: &mut String) -> Result<(), String> {
    let nested = match member {
        Value::Map(_, inner) | Value::Object(inner) => !inner.is_empty(),
        other => other.elements().is_some_and(|elements| !elements.is_empty()),
    };
    if key.len() > KEY_MAX || key.contains('\n') {
        out.push_str("? ");
        write_text(key, indent, out);
        out.push_str(&" ".repeat(indent));
        out.push_str(": ");
        return write(member, if nested { indent + 2 } else { indent }, true, out);
    }
    quote(key, None, out);
    out.push(':');
    if nested {
        // Lists stand at the indentation of their key, maps two deeper.
        out.push('\n');
        return write(member, if member.elements().is_some() { indent } else { indent + 2 }, false, out);
    }
    out.push(' ');
    write(member, indent, false, out)
}

/// Whether a character may stand in a text as it is.
fn printable(c: char) -> bool {
    !c.is_control() && (c as u32) < 0x10000 && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// A text of several plain lines becomes a block, any other is quoted.
fn write_text(text: &str, indent: usize, out: &mut String) {
    let plain = text.chars().all(|c| c == '\n' || printable(c));
    if text.contains('\n') && plain && !text.contains(" \n") && !text.ends_with(' ') {
        out.push('|');
        if text.starts_with([' ', '\n']) {
            out.push('2');
        }
        out.push_str(if text == "\n" || text.ends_with("\n\n") {
            "+"
        } else if text.ends_with('\n') {
            ""
        } else {
            "-"
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
    quote(text, Some(indent + 2), out);
    out.push('\n');
}

/// A text in quotes. With an indentation for its further lines it is folded at single blanks once its line is full.
fn quote(text: &str, folded: Option<usize>, out: &mut String) {
    let line = out.rfind('\n').map_or(0, |end| end + 1);
    let mut column = out[line..].chars().count() + 1;
    out.push('"');
    let mut letters = text.chars().enumerate().peekable();
    let mut after_blank = false;
    while let Some((at, c)) = letters.next() {
        let blank = c == ' ';
        if let (true, Some(indent), Some((_, next))) = (blank && !after_blank && column > WIDTH && at > 0, folded, letters.peek()) {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
            if *next == ' ' {
                out.push('\\');
                column += 1;
            }
        } else {
            let start = out.len();
            escape(c, out);
            column += out[start..].chars().count();
        }
        after_blank = blank;
    }
    out.push('"');
}

fn escape(c: char, out: &mut String) {
    let short = match c {
        '"' => '"',
        '\\' => '\\',
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if printable(c) => return out.push(c),
        _ => {
            let code = c as u32;
            out.push_str(&match code {
                0..=0x7f => format!("\\x{code:02X}"),
                0x80..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
            return;
        }
    };
    out.push('\\');
    out.push(short);
}
