//! String functions. Positions and lengths count grapheme clusters.

use unicode_segmentation::UnicodeSegmentation;

use super::{Context, Outcome, string, whole};
use crate::hcl::value::Value;

/// Longest pattern that is compiled.
const MAX_PATTERN: usize = 1 << 16;
/// Longest text that one call may produce.
const MAX_TEXT: usize = 16 << 20;

pub(super) fn chomp(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(string(&arguments[0]).trim_end_matches(['\n', '\r'])))
}

pub(super) fn indent(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let spaces = usize::try_from(whole(&arguments[0])?).map_err(|_| "the number of spaces cannot be negative".to_owned())?;
    let text = string(&arguments[1]);
    let lines = text.matches('\n').count();
    if lines == 0 {
        return Ok(arguments[1].clone());
    }
    if spaces.saturating_mul(lines) > MAX_TEXT {
        return Err("the result is too long".to_owned());
    }
    Ok(Value::string(text.replace('\n', &format!("\n{}", " ".repeat(spaces)))))
}

pub(super) fn join(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    if arguments.len() < 2 {
        return Err("at least one list is needed".to_owned());
    }
    let mut texts = Vec::new();
    for list in &arguments[1..] {
        for (at, element) in list.elements().unwrap_or(&[]).iter().enumerate() {
            texts.push(element.as_str().ok_or_else(|| format!("element {at} is null"))?);
        }
    }
    Ok(Value::string(texts.join(string(&arguments[0]))))
}

/// One character stays one character: there is no "SS" for "ß".
pub(super) fn upper(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(string(&arguments[0]).chars().map(upper_char).collect::<String>()))
}

fn upper_char(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

pub(super) fn lower(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(string(&arguments[0]).chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect::<String>()))
}

pub(super) fn title(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(title_case(string(&arguments[0]))))
}

/// The text with the first letter of each word in title case; a word starts behind anything but a letter, digit or underscore.
pub(crate) fn title_case(text: &str) -> String {
    let mut starts = true;
    text.chars()
        .map(|c| {
            let shown = if starts { title_char(c) } else { c };
            starts = if c.is_ascii() { !c.is_ascii_alphanumeric() && c != '_' } else { !c.is_alphanumeric() && c.is_whitespace() };
            shown
        })
        .collect()
}

/// Four letters have a title case of their own.
fn title_char(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        _ => upper_char(c),
    }
}

pub(super) fn regex_replace(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let pattern = string(&arguments[1]);
    if pattern.len() > MAX_PATTERN {
        return Err("the pattern is too long".to_owned());
    }
    let regex = crate::pattern::compile(pattern).map_err(|error| format!("the pattern is not a regular expression: {error}"))?;
    Ok(Value::string(regex.replace_all(string(&arguments[0]), string(&arguments[2]))))
}

pub(super) fn replace(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (text, from, to) = (string(&arguments[0]), string(&arguments[1]), string(&arguments[2]));
    if text.len().saturating_add(1).saturating_mul(to.len()) > MAX_TEXT && text.matches(from).count() * to.len() > MAX_TEXT {
        return Err("the result is too long".to_owned());
    }
    Ok(Value::string(text.replace(from, to)))
}

pub(super) fn split(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (separator, text) = (string(&arguments[0]), string(&arguments[1]));
    if separator.is_empty() {
        return Ok(Value::strings(text.chars().map(|c| c.to_string())));
    }
    Ok(Value::strings(text.split(separator)))
}

pub(super) fn strlen(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::int(string(&arguments[0]).graphemes(true).count() as i64))
}

pub(super) fn reverse(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(string(&arguments[0]).graphemes(true).rev().collect::<String>()))
}

pub(super) fn substr(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let text = string(&arguments[0]);
    let (offset, length) = (whole(&arguments[1])?, whole(&arguments[2])?);
    let count = text.graphemes(true).count() as i64;
    let start = if offset < 0 { (count + offset).max(0) } else { offset };
    // From the end, no length is the whole rest.
    let taken = if length < 0 || length == 0 && offset < 0 { usize::MAX } else { length as usize };
    Ok(Value::string(text.graphemes(true).skip(start.max(0) as usize).take(taken).collect::<String>()))
}

pub(super) fn trim(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let set: Vec<char> = string(&arguments[1]).chars().collect();
    Ok(Value::string(string(&arguments[0]).trim_matches(&set[..])))
}

pub(super) fn trim_prefix(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let text = string(&arguments[0]);
    Ok(Value::string(text.strip_prefix(string(&arguments[1])).unwrap_or(text)))
}

pub(super) fn trim_space(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(string(&arguments[0]).trim()))
}

pub(super) fn trim_suffix(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let text = string(&arguments[0]);
    Ok(Value::string(text.strip_suffix(string(&arguments[1])).unwrap_or(text)))
}
