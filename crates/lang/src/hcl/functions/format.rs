//! `format` and `formatlist`: printf with typed verbs.

use num_bigint::BigInt;
use unicode_segmentation::UnicodeSegmentation;

use super::{Context, Outcome, string};
use crate::hcl::number::Number;
use crate::hcl::value::{Type, Value};

/// Widest field and longest precision.
const MAX_WIDTH: usize = 10_000;

#[derive(Default)]
struct Verb {
    plus: bool,
    minus: bool,
    blank: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

pub(super) fn format(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    render(string(&arguments[0]), &arguments[1..]).map(Value::string)
}

pub(super) fn format_list(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let rest = &arguments[1..];
    let mut length = None;
    for argument in rest {
        if let Some(elements) = argument.elements() {
            if length.is_some_and(|length| length != elements.len()) {
                return Err("the lists have different lengths".to_owned());
            }
            length = Some(elements.len());
        }
    }
    let rows = (0..length.unwrap_or(1)).map(|row| {
        let values: Vec<Value> =
            rest.iter().map(|argument| argument.elements().map_or_else(|| argument.clone(), |elements| elements[row].clone())).collect();
        render(string(&arguments[0]), &values).map_err(|problem| format!("row {row}: {problem}"))
    });
    Ok(Value::strings(rows.collect::<Result<Vec<_>, _>>()?))
}

fn digits(rest: &mut &str) -> Option<usize> {
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..length].parse().ok().filter(|number| *number <= MAX_WIDTH);
    *rest = &rest[length..];
    number
}

fn render(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format;
    let (mut next, mut highest) = (0, 0);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        let mut verb = Verb::default();
        loop {
            match rest.as_bytes().first() {
                Some(b'+') => verb.plus = true,
                Some(b'-') => verb.minus = true,
                Some(b' ') => verb.blank = true,
                Some(b'0') => verb.zero = true,
                Some(b'#') => verb.sharp = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            verb.width = digits(&mut rest).ok_or_else(|| "a width is too large".to_owned())?;
        }
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            verb.precision = if rest.starts_with(|c: char| c.is_ascii_digit()) {
                Some(digits(&mut rest).ok_or_else(|| "a precision is too large".to_owned())?)
            } else {
                Some(0)
            };
        }
        if let Some(behind) = rest.strip_prefix('[') {
            rest = behind;
            let index = digits(&mut rest).filter(|index| *index > 0).ok_or_else(|| "an argument index is wrong".to_owned())?;
            rest = rest.strip_prefix(']').ok_or_else(|| "an argument index has no closing bracket".to_owned())?;
            next = index - 1;
        }
        let letter = rest.chars().next().ok_or_else(|| "the format ends inside a verb".to_owned())?;
        rest = &rest[letter.len_utf8()..];
        let value = arguments.get(next).ok_or_else(|| format!("there is no argument {} for \"%{letter}\"", next + 1));
        if !"vtsqdboxXeEfgG".contains(letter) {
            return Err(format!("there is no verb \"%{letter}\""));
        }
        apply(&verb, letter, value?, &mut out).map_err(|problem| format!("unsuitable value for \"%{letter}\": {problem}"))?;
        next += 1;
        highest = highest.max(next);
    }
    out.push_str(rest);
    if highest < arguments.len() {
        return Err(format!("there are {} arguments, but the format uses {highest}", arguments.len()));
    }
    Ok(out)
}

/// Fills the field with blanks, or with zeros if it asks for them, even behind the text.
fn pad(verb: &Verb, text: &str, out: &mut String) {
    let missing = verb.width.saturating_sub(text.graphemes(true).count());
    let filling = if verb.zero { "0" } else { " " }.repeat(missing);
    if verb.minus {
        out.push_str(text);
        out.push_str(&filling);
    } else {
        out.push_str(&filling);
        out.push_str(text);
    }
}

fn apply(verb: &Verb, letter: char, value: &Value, out: &mut String) -> Result<(), String> {
    if letter == 'v' {
        let text = match value {
            Value::String(text) if !verb.sharp => text.to_string(),
            Value::Number(number) if !verb.sharp && !number.is_infinite() => {
                let sign = if number.to_string().starts_with('-') { "-" } else { "" };
                format!("{sign}{}", floating(&Verb { precision: None, ..*verb }, 'g', number))
            }
            Value::Number(number) => number.to_string(),
            _ => value.to_json_text()?,
        };
        pad(verb, &text, out);
        return Ok(());
    }
    if value.is_null() {
        return Err("null cannot be formatted".to_owned());
    }
    match letter {
        't' => {
            let value = value.convert(&Type::Bool)?.convert(&Type::String)?;
            out.push_str(string(&value));
        }
        's' | 'q' => {
            let value = value.convert(&Type::String)?;
            let mut text = match verb.precision.filter(|precision| *precision > 0) {
                Some(precision) => string(&value).graphemes(true).take(precision).collect(),
                None => string(&value).to_owned(),
            };
            if letter == 'q' {
                text = Value::string(&text).to_json_text()?.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&");
            }
            pad(verb, &text, out);
        }
        _ => {
            let value = value.convert(&Type::Number)?;
            let Value::Number(number) = &value else { return Err("it is not known".to_owned()) };
            let text = if "dboxX".contains(letter) {
                let whole = number.to_bigint().ok_or_else(|| "a whole number is required".to_owned())?;
                let magnitude = whole.magnitude();
                let prefix = if verb.sharp {
                    match letter {
                        'b' => "0b",
                        'o' => "0",
                        'x' => "0x",
                        'X' => "0X",
                        _ => "",
                    }
                } else {
                    ""
                };
                let digits = match letter {
                    'b' => magnitude.to_str_radix(2),
                    'o' => magnitude.to_str_radix(8),
                    'x' => magnitude.to_str_radix(16),
                    'X' => magnitude.to_str_radix(16).to_uppercase(),
                    _ => magnitude.to_string(),
                };
                let missing = verb.precision.unwrap_or(0).saturating_sub(digits.len());
                format!("{prefix}{}{digits}", "0".repeat(missing))
            } else if number.is_infinite() {
                "Inf".to_owned()
            } else {
                floating(verb, letter, number)
            };
            signed(verb, number, &text, out)?;
        }
    }
    Ok(())
}

/// The magnitude with its sign, zeros between them when the field asks for zeros.
fn signed(verb: &Verb, number: &Number, magnitude: &str, out: &mut String) -> Result<(), String> {
    let sign = if number.to_string().starts_with('-') {
        "-"
    } else if verb.plus {
        "+"
    } else if verb.blank {
        " "
    } else {
        ""
    };
    let length = sign.len() + magnitude.len();
    if verb.zero && !verb.minus && length < verb.width {
        out.push_str(sign);
        out.push_str(&"0".repeat(verb.width - length));
        out.push_str(magnitude);
    } else {
        pad(&Verb { zero: false, ..*verb }, &format!("{sign}{magnitude}"), out);
    }
    Ok(())
}

/// The magnitude as a rounded decimal fraction.
fn fixed(number: &Number, precision: usize) -> String {
    let Some((numerator, digits)) = number.decimal() else { return String::new() };
    let numerator = BigInt::from(numerator.magnitude().clone());
    let scaled = numerator * BigInt::from(10u32).pow(precision as u32);
    let divisor = BigInt::from(10u32).pow(digits);
    let rounded = round_half_even(&scaled, &divisor);
    let mut text = rounded.to_string();
    if precision > 0 {
        if text.len() <= precision {
            text.insert_str(0, &"0".repeat(precision + 1 - text.len()));
        }
        text.insert(text.len() - precision, '.');
    }
    text
}

fn round_half_even(value: &BigInt, divisor: &BigInt) -> BigInt {
    let whole = value / divisor;
    let twice: BigInt = (value - &whole * divisor) * 2;
    match twice.cmp(divisor) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Equal if !whole.bit(0) => whole,
        _ => whole + 1,
    }
}

fn exponent_text(exponent: i64, upper: bool) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}{sign}{:02}", if upper { 'E' } else { 'e' }, exponent.abs())
}

fn floating(verb: &Verb, letter: char, number: &Number) -> String {
    let upper = letter.is_ascii_uppercase();
    if letter == 'f' {
        return fixed(number, verb.precision.unwrap_or(6));
    }
    // The significant digits of the shortest form and the exponent of the first of them.
    let plain = number.abs().to_string();
    let all: String = plain.chars().filter(char::is_ascii_digit).collect();
    let leading = all.chars().take_while(|c| *c == '0').count();
    let point = plain.find('.').unwrap_or(plain.len()) as i64;
    let significant = all[leading.min(all.len())..].trim_end_matches('0').to_owned();
    let exponent = if significant.is_empty() { 0 } else { point - leading as i64 - 1 };
    let rounded = |count: usize| -> (String, i64) {
        if significant.len() <= count {
            return (format!("{significant}{}", "0".repeat(count - significant.len())), exponent);
        }
        let value: BigInt = significant.parse().unwrap_or_default();
        let divisor = BigInt::from(10u32).pow((significant.len() - count) as u32);
        let mut text = round_half_even(&value, &divisor).to_string();
        let carried = text.len() > count;
        text.truncate(count);
        (text, exponent + i64::from(carried))
    };
    let scientific = |digits: &str, exponent: i64| {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        let first = if first.is_empty() { "0" } else { first };
        let point = if rest.is_empty() { "" } else { "." };
        format!("{first}{point}{rest}{}", exponent_text(exponent, upper))
    };
    if matches!(letter, 'e' | 'E') {
        let (digits, exponent) = rounded(verb.precision.unwrap_or(6) + 1);
        return scientific(&digits, exponent);
    }
    let (digits, exponent, limit) = match verb.precision {
        Some(precision) => {
            let precision = precision.max(1);
            let (digits, exponent) = rounded(precision);
            (digits.trim_end_matches('0').to_owned(), exponent, precision as i64)
        }
        None => (significant.clone(), exponent, 6),
    };
    let limit = limit.max(if verb.precision.is_none() { 0 } else { limit });
    if exponent < -4 || exponent >= limit.max(if verb.precision.is_none() { 6 } else { 1 }) {
        return scientific(&digits, exponent);
    }
    if exponent < 0 {
        return format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        let shown = format!("{digits}{}", "0".repeat(whole - digits.len()));
        return if shown.is_empty() { "0".to_owned() } else { shown };
    }
    format!("{}.{}", &digits[..whole], &digits[whole..])
}
