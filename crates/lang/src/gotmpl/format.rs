//! How values print, and `printf`.

use std::fmt::Write as _;

use super::value::Value;

/// Widest field and longest precision.
const MAX_WIDTH: usize = 10_000;

/// The value as actions print it.
pub(super) fn print(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Missing | Value::Nil => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Uint(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => out.push_str(&general(*value, None, false)),
        Value::Text(text) => out.push_str(text),
        Value::Bytes(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
        Value::List(values, _) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write_value(value, out);
            }
            out.push(']');
        }
        Value::Map(members, _) => {
            out.push_str("map[");
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_value(value, out);
            }
            out.push(']');
        }
        Value::Stream(_) => out.push_str("<-chan int64"),
        Value::Record(record) => out.push_str(&record.text()),
    }
}

/// All values one behind the other, blanks between those of which neither is a text.
pub(super) fn print_all(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !matches!(value, Value::Text(_)) && !matches!(values[at - 1], Value::Text(_)) {
            out.push(' ');
        }
        write_value(value, &mut out);
    }
    out
}

/// Significant digits and the exponent of the first one.
fn digits(value: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{:.*e}", precision.saturating_sub(1).min(MAX_WIDTH), value.abs()),
        None => format!("{:e}", value.abs()),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn exponent_text(exponent: i32, upper: bool) -> String {
    format!("{}{}{:02}", if upper { 'E' } else { 'e' }, if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%g`: the shortest form, with an exponent where it is small or large.
fn general(value: f64, precision: Option<usize>, upper: bool) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    let precision = precision.map(|precision| precision.max(1));
    let (digits, exponent) = digits(value, precision);
    let shown = digits.trim_end_matches('0');
    let shown = if shown.is_empty() { "0" } else { shown };
    let limit = precision.map_or(SHORTEST_LIMIT, |precision| precision as i32);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if exponent < -4 || exponent >= limit {
        let (first, rest) = shown.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{point}{rest}{}", exponent_text(exponent, upper));
    }
    if exponent < 0 {
        return format!("{sign}0.{}{shown}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if shown.len() <= whole {
        return format!("{sign}{shown}{}", "0".repeat(whole - shown.len()));
    }
    format!("{sign}{}.{}", &shown[..whole], &shown[whole..])
}

/// From this exponent on the shortest form is written with an exponent.
const SHORTEST_LIMIT: i32 = 6;

#[derive(Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    blank: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

fn pad(flags: &Flags, text: &str, out: &mut String) {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if flags.minus {
        out.push_str(text);
        out.push_str(&" ".repeat(missing));
    } else if flags.zero {
        out.push_str(&"0".repeat(missing));
        out.push_str(text);
    } else {
        out.push_str(&" ".repeat(missing));
        out.push_str(text);
    }
}

/// A number, its sign before the zeros that fill the field.
fn pad_number(flags: &Flags, negative: bool, text: &str, out: &mut String) {
    let sign = if negative {
        "-"
    } else if flags.plus {
        "+"
    } else if flags.blank {
        " "
    } else {
        ""
    };
    let length = sign.len() + text.len();
    if flags.zero && !flags.minus && flags.width.unwrap_or(0) > length {
        out.push_str(sign);
        out.push_str(&"0".repeat(flags.width.unwrap_or(0) - length));
        out.push_str(text);
        return;
    }
    let plain = Flags { zero: false, minus: flags.minus, width: flags.width, ..Flags::default() };
    pad(&plain, &format!("{sign}{text}"), out);
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Formats like C's printf, with Go's verbs and Go's marks for mistakes.
pub(super) fn printf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut next = 0usize;
    let mut reordered = false;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(flag) = chars.peek() {
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.blank = true,
                '0' => flags.zero = true,
                _ => break,
            }
            chars.next();
        }
        let mut index = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, next: &mut usize| {
            if chars.peek() == Some(&'[') {
                chars.next();
                let mut number = 0usize;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    number = (number * 10 + digit as usize).min(MAX_WIDTH);
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                }
                *next = number.saturating_sub(1);
                reordered = true;
            }
        };
        let star = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, next: &mut usize| -> Option<i64> {
            if chars.peek() != Some(&'*') {
                let mut number = None;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    number = Some((number.unwrap_or(0) * 10 + i64::from(digit)).min(MAX_WIDTH as i64));
                    chars.next();
                }
                return number;
            }
            chars.next();
            *next += 1;
            match arguments.get(*next - 1) {
                Some(Value::Int(width)) => Some((*width).clamp(-(MAX_WIDTH as i64), MAX_WIDTH as i64)),
                _ => None,
            }
        };
        index(&mut chars, &mut next);
        if let Some(width) = star(&mut chars, &mut next) {
            flags.minus |= width < 0;
            flags.width = Some(width.unsigned_abs() as usize);
        }
        if chars.peek() == Some(&'.') {
            chars.next();
            index(&mut chars, &mut next);
            flags.precision = Some(star(&mut chars, &mut next).unwrap_or(0).max(0) as usize);
        }
        index(&mut chars, &mut next);
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        match arguments.get(next) {
            Some(argument) => verb_text(verb, &flags, argument, &mut out),
            None => {
                let _ = write!(out, "%!{verb}(MISSING)");
            }
        }
        next += 1;
    }
    if !reordered && next < arguments.len() {
        out.push_str("%!(EXTRA ");
        for (at, argument) in arguments[next..].iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            let _ = write!(out, "{}={}", argument.type_name(), print(argument));
        }
        out.push(')');
    }
    out
}

fn verb_text(verb: char, flags: &Flags, value: &Value, out: &mut String) {
    let wrong = |out: &mut String| {
        // What does not fit is printed inside of the mark, with the same field.
        let mut inner = String::new();
        match value {
            Value::Missing | Value::Nil => {
                let _ = write!(out, "%!{verb}(<nil>)");
                return;
            }
            Value::Int(number) => pad_number(flags, *number < 0, &number.unsigned_abs().to_string(), &mut inner),
            other => pad(&Flags { width: flags.width, ..Flags::default() }, &print(other), &mut inner),
        }
        let inner = match value {
            Value::Int(number) if flags.precision.is_some() => {
                let digits = format!("{:01$}", number.unsigned_abs(), flags.precision.unwrap_or(0));
                let mut padded = String::new();
                pad_number(
                    &Flags { zero: false, width: flags.width, minus: flags.minus, ..Flags::default() },
                    *number < 0,
                    &digits,
                    &mut padded,
                );
                padded
            }
            _ => inner,
        };
        let _ = write!(out, "%!{verb}({}={inner})", value.type_name());
    };
    if verb == 'T' {
        return pad(flags, value.type_name(), out);
    }
    if verb == 'v' {
        let text = match value {
            Value::Text(text) if flags.sharp => quoted(text),
            Value::Int(number) => {
                let flags = Flags { plus: false, minus: flags.minus, zero: flags.zero, width: flags.width, ..Flags::default() };
                return pad_number(&flags, *number < 0, &number.unsigned_abs().to_string(), out);
            }
            other => print(other),
        };
        return pad(flags, &text, out);
    }
    match value {
        Value::Bool(value) if verb == 't' => pad(flags, if *value { "true" } else { "false" }, out),
        Value::Int(_) | Value::Uint(_) => {
            let (negative, magnitude) = match value {
                Value::Int(number) => (*number < 0, number.unsigned_abs()),
                Value::Uint(number) => (false, *number),
                _ => (false, 0),
            };
            let prefix = if flags.sharp {
                match verb {
                    'x' => "0x",
                    'X' => "0X",
                    'o' => "0",
                    'b' => "0b",
                    _ => "",
                }
            } else {
                ""
            };
            let digits = match verb {
                'd' => magnitude.to_string(),
                'x' => format!("{magnitude:x}"),
                'X' => format!("{magnitude:X}"),
                'o' => format!("{magnitude:o}"),
                'O' => format!("0o{magnitude:o}"),
                'b' => format!("{magnitude:b}"),
                'c' | 'q' => {
                    let c = u32::try_from(magnitude).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
                    let text = if verb == 'c' { c.to_string() } else { format!("'{c}'") };
                    return pad(flags, &text, out);
                }
                'U' => return pad(flags, &format!("U+{magnitude:04X}"), out),
                _ => return wrong(out),
            };
            let missing = flags.precision.unwrap_or(0).saturating_sub(digits.len());
            pad_number(flags, negative, &format!("{prefix}{}{digits}", "0".repeat(missing)), out);
        }
        Value::Float(number) => {
            let text = match verb {
                'f' | 'F' => format!("{:.*}", flags.precision.unwrap_or(6), number.abs()),
                'e' | 'E' => {
                    let (digits, exponent) = digits(*number, Some(flags.precision.unwrap_or(6) + 1));
                    let (first, rest) = digits.split_at(1);
                    let point = if rest.is_empty() { "" } else { "." };
                    format!("{first}{point}{rest}{}", exponent_text(exponent, verb == 'E'))
                }
                'g' | 'G' => general(number.abs(), flags.precision, verb == 'G'),
                _ => return wrong(out),
            };
            pad_number(flags, number.is_sign_negative(), &text, out);
        }
        Value::Text(_) | Value::Bytes(_) => {
            let bytes: Vec<u8> = match value {
                Value::Bytes(bytes) => bytes.to_vec(),
                other => other.as_text().unwrap_or("").as_bytes().to_vec(),
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let cut = |text: &str| match flags.precision {
                Some(precision) => text.chars().take(precision).collect::<String>(),
                None => text.to_owned(),
            };
            let hex = |upper: bool| {
                bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect::<String>()
            };
            match verb {
                's' => pad(flags, &cut(&text), out),
                'q' => pad(flags, &quoted(&cut(&text)), out),
                'x' => pad(flags, &hex(false), out),
                'X' => pad(flags, &hex(true), out),
                _ => wrong(out),
            }
        }
        Value::List(values, _) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                verb_text(verb, flags, value, out);
            }
            out.push(']');
        }
        Value::Map(members, _) => {
            out.push_str("map[");
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                verb_text(verb, flags, &Value::text(key), out);
                out.push(':');
                verb_text(verb, flags, value, out);
            }
            out.push(']');
        }
        Value::Record(record) if verb == 's' => pad(flags, &record.text(), out),
        _ => wrong(out),
    }
}
