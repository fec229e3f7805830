//! The helpers under the `sprig_` prefix: texts, numbers, lists, maps, paths, versions, digests.
//!
//! # Compatibility
//!
//! Those of Sprig 3 whose result follows from their arguments alone; what reads the clock, the environment, the network or
//! chance is not offered to templates of tasks. Maps are in the order of their keys.

use std::collections::BTreeMap;

use md5::Digest as _;

use super::builtins::{equal, length};
use super::format::print;
use super::functions::{Answer, MAX_TEXT, bytes, from_bytes, hex, json_text, merge, plain, regex, whole};
use super::value::Value;
use crate::hcl::functions::title_case;

/// Most numbers or pieces that one call gives.
const MAX_PIECES: usize = 1_000_000;

const NAMES: &[&str] = &[
    "abbrev",
    "add",
    "add1",
    "addf",
    "adler32sum",
    "all",
    "any",
    "append",
    "atoi",
    "b32dec",
    "b32enc",
    "b64dec",
    "b64enc",
    "base",
    "biggest",
    "camelcase",
    "cat",
    "ceil",
    "chunk",
    "clean",
    "coalesce",
    "compact",
    "concat",
    "contains",
    "deepCopy",
    "deepEqual",
    "default",
    "dict",
    "dig",
    "dir",
    "div",
    "divf",
    "empty",
    "ext",
    "fail",
    "first",
    "float64",
    "floor",
    "fromJson",
    "genPrivateKey",
    "get",
    "has",
    "hasKey",
    "hasPrefix",
    "hasSuffix",
    "indent",
    "initial",
    "initials",
    "int",
    "int64",
    "isAbs",
    "join",
    "kebabcase",
    "keys",
    "kindIs",
    "kindOf",
    "last",
    "len",
    "list",
    "lower",
    "max",
    "maxf",
    "merge",
    "mergeOverwrite",
    "min",
    "minf",
    "mod",
    "mul",
    "mulf",
    "nindent",
    "nospace",
    "omit",
    "pick",
    "pluck",
    "plural",
    "prepend",
    "push",
    "quote",
    "regexFind",
    "regexFindAll",
    "regexMatch",
    "regexQuoteMeta",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "regexSplit",
    "repeat",
    "replace",
    "rest",
    "reverse",
    "round",
    "semver",
    "semverCompare",
    "seq",
    "set",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "slice",
    "snakecase",
    "sortAlpha",
    "split",
    "splitList",
    "splitn",
    "squote",
    "sub",
    "subf",
    "substr",
    "swapcase",
    "ternary",
    "title",
    "toDecimal",
    "toJson",
    "toPrettyJson",
    "toRawJson",
    "toString",
    "toStrings",
    "trim",
    "trimAll",
    "trimPrefix",
    "trimSuffix",
    "trunc",
    "tuple",
    "typeIs",
    "typeIsLike",
    "typeOf",
    "uniq",
    "unset",
    "until",
    "untilStep",
    "untitle",
    "upper",
    "urlJoin",
    "urlParse",
    "values",
    "without",
    "wrap",
    "wrapWith",
];

/// Whether there is a helper of this name; `must…` forms fail alike, as here all of them do.
pub(super) fn exists(name: &str) -> bool {
    name.strip_prefix("sprig_").is_some_and(|name| NAMES.contains(&unmust(name).as_str()))
}

/// `mustFirst` is `first`.
fn unmust(name: &str) -> String {
    match name.strip_prefix("must") {
        Some(rest) if rest.starts_with(char::is_uppercase) => rest[..1].to_lowercase() + &rest[1..],
        _ => name.to_owned(),
    }
}

fn list(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::List(values, _) | Value::Stream(values) => Ok(values.to_vec()),
        other => Err(format!("cannot use type {} as a list", other.type_name())),
    }
}

fn map(value: &Value) -> Result<BTreeMap<String, Value>, String> {
    match value {
        Value::Map(members, _) => Ok((**members).clone()),
        other => Err(format!("wrong type for value; expected map[string]interface {{}}; got {}", other.type_name())),
    }
}

/// A whole number out of anything, 0 where there is none in it.
fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Uint(number) => i64::try_from(*number).unwrap_or(i64::MAX),
        Value::Float(number) => *number as i64,
        Value::Bool(true) => 1,
        Value::Text(text) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        Value::Text(text) => text.parse().unwrap_or(0.0),
        other => int(other) as f64,
    }
}

fn bounded(length: usize) -> Result<(), String> {
    if length > MAX_TEXT { Err("the result is too long".to_owned()) } else { Ok(()) }
}

fn spaces(value: &Value) -> Result<String, String> {
    let count = usize::try_from(whole(value)?).ok().filter(|count| *count <= 1000).ok_or("the indent is out of range")?;
    Ok(" ".repeat(count))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::List(..) => "slice",
        Value::Map(..) => "map",
        Value::Missing | Value::Nil => "invalid",
        Value::Record(_) => "ptr",
        Value::Stream(_) => "chan",
        other => other.type_name(),
    }
}

/// The words of a name: `aB`, `a_b`, `a-b` and `a b` have two.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = vec![String::new()];
    let chars: Vec<char> = text.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let starts = c.is_uppercase()
            && at > 0
            && (chars[at - 1].is_lowercase() || chars[at - 1].is_numeric() || chars.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if matches!(c, '_' | '-' | ' ' | '.') || starts {
            out.push(String::new());
        }
        if let (false, Some(last)) = (matches!(c, '_' | '-' | ' ' | '.'), out.last_mut()) {
            last.push(*c);
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect()).unwrap_or_default()
}

fn wrap(width: i64, joint: &str, text: &str) -> String {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let (mut out, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used == 0 {
            used = length;
        } else if used + 1 + length <= width {
            out.push(' ');
            used += 1 + length;
        } else {
            out.push_str(joint);
            used = length;
        }
        out.push_str(word);
    }
    out
}

fn numbers(start: i64, stop: i64, step: i64) -> Result<Vec<i64>, String> {
    let mut out = Vec::new();
    let mut at = start;
    while if step > 0 { at < stop } else { step < 0 && at > stop } {
        if out.len() >= MAX_PIECES {
            return Err(format!("more than {MAX_PIECES} numbers"));
        }
        out.push(at);
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(out)
}

fn base32(data: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for chunk in data.chunks(5) {
        let mut group = [0_u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        let letters = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let index = (bits >> (35 - 5 * at)) & 31;
            out.push(if at < letters { char::from(LETTERS[index as usize]) } else { '=' });
        }
    }
    out
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        held = (held << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
    }
    Some(out)
}

fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

/// The parts of a version: numbers, pre-release, metadata. Missing numbers are 0.
fn version(text: &str) -> Result<([u64; 3], String, String, usize), String> {
    let wrong = || "invalid semantic version".to_owned();
    let bare = text.strip_prefix('v').unwrap_or(text);
    let (bare, metadata) = bare.split_once('+').unwrap_or((bare, ""));
    let (numbers, prerelease) = bare.split_once('-').unwrap_or((bare, ""));
    let mut out = [0; 3];
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() > 3 {
        return Err(wrong());
    }
    for (slot, part) in out.iter_mut().zip(&parts) {
        *slot = part.parse().map_err(|_| wrong())?;
    }
    Ok((out, prerelease.to_owned(), metadata.to_owned(), parts.len()))
}

/// Whether a version meets a constraint such as `>=1.2, <2`, `^1.2`, `~1.2`, `1.x` or alternatives with `||`.
fn meets(constraint: &str, wanted: &str) -> Result<bool, String> {
    let (numbers, prerelease, _, _) = version(wanted)?;
    let order = |a: &[u64; 3], pre: &str| {
        numbers.cmp(a).then_with(|| match (prerelease.as_str(), pre) {
            ("", "") => std::cmp::Ordering::Equal,
            ("", _) => std::cmp::Ordering::Greater,
            (_, "") => std::cmp::Ordering::Less,
            (own, other) => own.cmp(other),
        })
    };
    for alternative in constraint.split("||") {
        let mut all = true;
        for part in alternative.split([',', ' ']).filter(|part| !part.is_empty()) {
            let digits = part.find(|c: char| c.is_ascii_digit() || matches!(c, 'v' | 'x' | 'X' | '*')).ok_or("improper constraint")?;
            let (operator, text) = part.split_at(digits);
            let known: Vec<&str> = text.trim_start_matches('v').split('.').take_while(|part| !matches!(*part, "x" | "X" | "*")).collect();
            let (low, pre, _, given) =
                if known.is_empty() { ([0; 3], String::new(), String::new(), 0) } else { version(&known.join("."))? };
            let mut high = low;
            let raised = match (operator, given) {
                (_, 0) => 3,
                ("^", _) => low.iter().position(|number| *number > 0).unwrap_or(given - 1).min(2),
                ("~" | "~>", 1) => 0,
                ("~" | "~>", _) => 1,
                (_, given) => given - 1,
            };
            if let Some(slot) = high.get_mut(raised) {
                *slot = slot.saturating_add(1);
                high[raised + 1..].fill(0);
            }
            let within = order(&low, &pre).is_ge() && (raised == 3 || numbers < high);
            let whole = given == 3;
            all &= match operator {
                ">" if whole => order(&low, &pre).is_gt(),
                ">" => numbers >= high,
                ">=" => order(&low, &pre).is_ge(),
                "<" => order(&low, &pre).is_lt(),
                "<=" if whole => order(&low, &pre).is_le(),
                "<=" => numbers < high,
                "!=" if whole => order(&low, &pre).is_ne(),
                "!=" => !within,
                "" | "=" if whole => order(&low, &pre).is_eq(),
                "" | "=" | "^" | "~" | "~>" => within,
                other => return Err(format!("improper constraint: {other}{text}")),
            };
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The parts of an address of the web.
fn url(text: &str) -> Value {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once(':').filter(|(scheme, _)| !scheme.contains('/')).unwrap_or(("", rest));
    let (authority, path, opaque) = match rest.strip_prefix("//") {
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            (&rest[..at], &rest[at..], "")
        }
        None if !scheme.is_empty() && !rest.starts_with('/') => ("", "", rest),
        None => ("", rest, ""),
    };
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let port = host.rfind(':').filter(|at| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()));
    let hostname = port.map_or(host, |at| &host[..at]).trim_start_matches('[').trim_end_matches(']');
    let parts = [
        ("fragment", fragment),
        ("host", host),
        ("hostname", hostname),
        ("opaque", opaque),
        ("path", path),
        ("query", query),
        ("scheme", scheme),
        ("userinfo", userinfo),
    ];
    Value::map(parts.into_iter().map(|(name, text)| (name.to_owned(), Value::text(text))).collect())
}

fn unique(values: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for value in values {
        if !out.iter().any(|there| same(there, &value)) {
            out.push(value);
        }
    }
    out
}

/// Equal in everything inside, too.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(x, _), Value::List(y, _)) => x.len() == y.len() && x.iter().zip(y.iter()).all(|(x, y)| same(x, y)),
        (Value::Map(x, _), Value::Map(y, _)) => x.len() == y.len() && x.iter().zip(y.iter()).all(|((a, x), (b, y))| a == b && same(x, y)),
        _ => equal(a, b) == Ok(true),
    }
}

/// Calls a helper by its name with the prefix.
pub(super) fn call(full: &str, arguments: &[Value]) -> Answer {
    let name = unmust(full.strip_prefix("sprig_").unwrap_or(full));
    let argument = |at: usize| arguments.get(at).ok_or_else(|| format!("wrong number of args for {full}: got {}", arguments.len()));
    let text = |at: usize| argument(at).map(print);
    // Of numbers, the whole ones and the floating ones have helpers of their own.
    let fold = |step: fn(i64, i64) -> i64| arguments.iter().map(int).reduce(step).map(Value::Int).ok_or_else(|| "no numbers".to_owned());
    let fold_float =
        |step: fn(f64, f64) -> f64| arguments.iter().map(float).reduce(step).map(Value::Float).ok_or_else(|| "no numbers".to_owned());
    Ok(match name.as_str() {
        // Texts.
        "upper" => return plain("toUpper", &[Value::text(text(0)?)]),
        "lower" => return plain("toLower", &[Value::text(text(0)?)]),
        "trim" => Value::text(text(0)?.trim()),
        "trimAll" => Value::text(text(1)?.trim_matches(&text(0)?.chars().collect::<Vec<_>>()[..])),
        "trimPrefix" => {
            let whole = text(1)?;
            Value::text(whole.strip_prefix(text(0)?.as_str()).unwrap_or(&whole))
        }
        "trimSuffix" => {
            let whole = text(1)?;
            Value::text(whole.strip_suffix(text(0)?.as_str()).unwrap_or(&whole))
        }
        "title" => Value::text(title_case(&text(0)?)),
        "untitle" => {
            let whole = text(0)?;
            let low = |word: &str| word.chars().take(1).flat_map(char::to_lowercase).chain(word.chars().skip(1)).collect::<String>();
            Value::text(whole.split(' ').map(low).collect::<Vec<_>>().join(" "))
        }
        "repeat" => {
            let (count, text) = (usize::try_from(whole(argument(0)?)?).unwrap_or(0), text(1)?);
            bounded(count.saturating_mul(text.len()))?;
            Value::text(text.repeat(count))
        }
        "substr" => {
            let (start, end, text) = (int(argument(0)?), int(argument(1)?), text(2)?);
            let length = text.chars().count();
            let start = usize::try_from(start).unwrap_or(0).min(length);
            let end = usize::try_from(end).unwrap_or(length).min(length);
            Value::text(text.chars().skip(start).take(end.saturating_sub(start)).collect::<String>())
        }
        "nospace" => Value::text(text(0)?.split_whitespace().collect::<String>()),
        "trunc" => {
            let (count, text) = (int(argument(0)?), text(1)?);
            let taken = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            let skipped = if count < 0 { text.chars().count().saturating_sub(taken) } else { 0 };
            Value::text(text.chars().skip(skipped).take(taken).collect::<String>())
        }
        "abbrev" => {
            let (width, text) = (int(argument(0)?), text(1)?);
            let short = usize::try_from(width).ok().filter(|width| *width >= 4 && text.chars().count() > *width);
            Value::text(short.map_or(text.clone(), |width| text.chars().take(width - 3).collect::<String>() + "..."))
        }
        "initials" => Value::text(text(0)?.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>()),
        "wrap" => Value::text(wrap(int(argument(0)?), "\n", &text(1)?)),
        "wrapWith" => Value::text(wrap(int(argument(0)?), &text(1)?, &text(2)?)),
        "contains" => Value::Bool(text(1)?.contains(text(0)?.as_str())),
        "hasPrefix" => Value::Bool(text(1)?.starts_with(text(0)?.as_str())),
        "hasSuffix" => Value::Bool(text(1)?.ends_with(text(0)?.as_str())),
        "quote" => Value::text(arguments.iter().map(|value| format!("{:?}", print(value))).collect::<Vec<_>>().join(" ")),
        "squote" => Value::text(arguments.iter().map(|value| format!("'{}'", print(value))).collect::<Vec<_>>().join(" ")),
        "cat" => Value::text(arguments.iter().map(print).collect::<Vec<_>>().join(" ")),
        "indent" => Value::text(format!("{}{}", spaces(argument(0)?)?, text(1)?.replace('\n', &format!("\n{}", spaces(argument(0)?)?)))),
        "nindent" => {
            let spaces = spaces(argument(0)?)?;
            Value::text(format!("\n{spaces}{}", text(1)?.replace('\n', &format!("\n{spaces}"))))
        }
        "replace" => {
            let (from, to, text) = (text(0)?, text(1)?, text(2)?);
            bounded(text.matches(from.as_str()).count().saturating_mul(to.len()))?;
            Value::text(text.replace(from.as_str(), &to))
        }
        "plural" => Value::text(if int(argument(2)?) == 1 { text(0)? } else { text(1)? }),
        "snakecase" => Value::text(words(&text(0)?).join("_").to_lowercase()),
        "kebabcase" => Value::text(words(&text(0)?).join("-").to_lowercase()),
        "camelcase" => Value::text(words(&text(0)?).iter().map(|word| capital(word)).collect::<String>()),
        "swapcase" => Value::text(
            text(0)?
                .chars()
                .flat_map(|c| if c.is_uppercase() { c.to_lowercase().collect::<Vec<_>>() } else { c.to_uppercase().collect() })
                .collect::<String>(),
        ),
        "toString" => Value::text(text(0)?),
        "toStrings" => Value::texts(list(argument(0)?)?.iter().map(print)),
        "join" => match argument(1)? {
            Value::List(values, _) => Value::text(values.iter().map(print).collect::<Vec<_>>().join(&text(0)?)),
            other => Value::text(print(other)),
        },
        "splitList" => Value::texts(text(1)?.split(text(0)?.as_str())),
        "split" | "splitn" => {
            let (separator, limit, whole) = if name == "split" {
                (text(0)?, MAX_PIECES, text(1)?)
            } else {
                (text(0)?, usize::try_from(int(argument(1)?)).unwrap_or(1), text(2)?)
            };
            let pieces = whole.splitn(limit, separator.as_str()).enumerate();
            Value::map(pieces.map(|(at, piece)| (format!("_{at}"), Value::text(piece))).collect())
        }
        "sortAlpha" => {
            let mut texts: Vec<String> = list(argument(0)?)?.iter().map(print).collect();
            texts.sort();
            Value::texts(texts)
        }
        // Patterns.
        "regexMatch" => Value::Bool(regex(&text(0)?)?.is_match(&text(1)?)),
        "regexFind" => Value::text(regex(&text(0)?)?.find(&text(1)?).map_or("", |found| found.as_str())),
        "regexFindAll" => {
            let limit = usize::try_from(int(argument(2)?)).unwrap_or(MAX_PIECES);
            Value::texts(regex(&text(0)?)?.find_iter(&text(1)?).take(limit).map(|found| found.as_str()))
        }
        "regexReplaceAll" => Value::text(regex(&text(0)?)?.replace_all(&text(1)?, text(2)?.as_str())),
        "regexReplaceAllLiteral" => Value::text(regex(&text(0)?)?.replace_all(&text(1)?, regex::NoExpand(&text(2)?))),
        "regexSplit" => {
            let limit = usize::try_from(int(argument(2)?)).unwrap_or(MAX_PIECES);
            Value::texts(regex(&text(0)?)?.splitn(&text(1)?, limit))
        }
        "regexQuoteMeta" => Value::text(regex::escape(&text(0)?)),
        // Numbers.
        "add" => fold(i64::wrapping_add)?,
        "add1" => Value::Int(int(argument(0)?).wrapping_add(1)),
        "sub" => Value::Int(int(argument(0)?).wrapping_sub(int(argument(1)?))),
        "mul" => fold(i64::wrapping_mul)?,
        "div" => Value::Int(int(argument(0)?).checked_div(int(argument(1)?)).ok_or("integer divide by zero")?),
        "mod" => Value::Int(int(argument(0)?).checked_rem(int(argument(1)?)).ok_or("integer divide by zero")?),
        "max" | "biggest" => fold(i64::max)?,
        "min" => fold(i64::min)?,
        "addf" => fold_float(|a, b| a + b)?,
        "subf" => fold_float(|a, b| a - b)?,
        "mulf" => fold_float(|a, b| a * b)?,
        "divf" => fold_float(|a, b| a / b)?,
        "maxf" => fold_float(f64::max)?,
        "minf" => fold_float(f64::min)?,
        "floor" => Value::Float(float(argument(0)?).floor()),
        "ceil" => Value::Float(float(argument(0)?).ceil()),
        "round" => {
            let (number, places) = (float(argument(0)?), int(argument(1)?).clamp(-300, 300));
            let half = arguments.get(2).map_or(0.5, float);
            let power = 10_f64.powi(i32::try_from(places).unwrap_or(0));
            let scaled = number * power;
            let rounded = if scaled.fract() >= half { scaled.ceil() } else { scaled.floor() };
            Value::Float(rounded / power)
        }
        "int" | "int64" | "atoi" => Value::Int(int(argument(0)?)),
        "float64" => Value::Float(float(argument(0)?)),
        "toDecimal" => Value::Int(i64::from_str_radix(&text(0)?, 8).unwrap_or(0)),
        "until" => {
            let count = int(argument(0)?);
            Value::list(numbers(0, count, if count < 0 { -1 } else { 1 })?.into_iter().map(Value::Int).collect())
        }
        "untilStep" => Value::list(numbers(int(argument(0)?), int(argument(1)?), int(argument(2)?))?.into_iter().map(Value::Int).collect()),
        "seq" => {
            let (start, step, end) = match arguments {
                [end] => (1, if int(end) < 1 { -1 } else { 1 }, int(end)),
                [start, end] => (int(start), if int(end) < int(start) { -1 } else { 1 }, int(end)),
                [start, step, end] => (int(start), int(step), int(end)),
                _ => return Ok(Value::text("")),
            };
            let numbers = numbers(start, end.saturating_add(step.signum()), step)?;
            Value::text(numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" "))
        }
        // Choices.
        "default" => if argument(1)?.is_true() { argument(1)? } else { argument(0)? }.clone(),
        "empty" => Value::Bool(!argument(0)?.is_true()),
        "coalesce" => arguments.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Missing),
        "all" => Value::Bool(arguments.iter().all(Value::is_true)),
        "any" => Value::Bool(arguments.iter().any(Value::is_true)),
        "ternary" => if argument(2)?.is_true() { argument(0)? } else { argument(1)? }.clone(),
        "fail" => return Err(text(0)?),
        // Lists.
        "list" | "tuple" => Value::list(arguments.to_vec()),
        "len" => return length(argument(0)?),
        "first" => list(argument(0)?)?.first().cloned().unwrap_or(Value::Missing),
        "last" => list(argument(0)?)?.last().cloned().unwrap_or(Value::Missing),
        "rest" => Value::list(list(argument(0)?)?.into_iter().skip(1).collect()),
        "initial" => {
            let mut values = list(argument(0)?)?;
            values.pop();
            Value::list(values)
        }
        "append" | "push" => Value::list(list(argument(0)?)?.into_iter().chain([argument(1)?.clone()]).collect()),
        "prepend" => Value::list([argument(1)?.clone()].into_iter().chain(list(argument(0)?)?).collect()),
        "concat" => {
            let lists: Vec<Vec<Value>> = arguments.iter().map(list).collect::<Result<_, _>>()?;
            Value::list(lists.concat())
        }
        "reverse" => Value::list(list(argument(0)?)?.into_iter().rev().collect()),
        "uniq" => Value::list(unique(list(argument(0)?)?)),
        "compact" => Value::list(list(argument(0)?)?.into_iter().filter(Value::is_true).collect()),
        "without" => {
            Value::list(list(argument(0)?)?.into_iter().filter(|value| !arguments[1..].iter().any(|other| same(value, other))).collect())
        }
        "has" => Value::Bool(list(argument(1)?)?.iter().any(|value| same(value, &arguments[0]))),
        "slice" => {
            let values = list(argument(0)?)?;
            let at =
                |position: usize, default: usize| arguments.get(position).map_or(default, |value| usize::try_from(int(value)).unwrap_or(0));
            let end = at(2, values.len()).min(values.len());
            Value::list(values[at(1, 0).min(end)..end].to_vec())
        }
        "chunk" => {
            let size = usize::try_from(int(argument(0)?)).unwrap_or(1).max(1);
            Value::list(list(argument(1)?)?.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect())
        }
        // Maps.
        "dict" => {
            let members = arguments.chunks(2).map(|pair| (print(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| Value::text(""))));
            Value::map(members.collect())
        }
        "get" => map(argument(0)?)?.get(&text(1)?).cloned().unwrap_or_else(|| Value::text("")),
        "set" => {
            let mut members = map(argument(0)?)?;
            members.insert(text(1)?, argument(2)?.clone());
            Value::map(members)
        }
        "unset" => {
            let mut members = map(argument(0)?)?;
            members.remove(&text(1)?);
            Value::map(members)
        }
        "hasKey" => Value::Bool(map(argument(0)?)?.contains_key(&text(1)?)),
        "keys" => {
            let mut keys = Vec::new();
            for members in arguments {
                keys.extend(map(members)?.into_keys());
            }
            Value::texts(keys)
        }
        "values" => Value::list(map(argument(0)?)?.into_values().collect()),
        "pluck" => {
            let mut found = Vec::new();
            for members in arguments.get(1..).unwrap_or_default() {
                found.extend(map(members)?.remove(&text(0)?));
            }
            Value::list(found)
        }
        "pick" | "omit" => {
            let wanted: Vec<String> = arguments.get(1..).unwrap_or_default().iter().map(print).collect();
            let pick = name == "pick";
            Value::map(map(argument(0)?)?.into_iter().filter(|(key, _)| wanted.contains(key) == pick).collect())
        }
        "dig" => {
            let (Some((last, path)), true) = (arguments.split_last(), arguments.len() >= 3) else {
                return Err("dig needs at least three arguments".to_owned());
            };
            let Some((default, path)) = path.split_last() else { return Ok(Value::Missing) };
            let mut at = last.clone();
            for key in path {
                match map(&at)?.remove(&print(key)) {
                    Some(inner) => at = inner,
                    None => return Ok(default.clone()),
                }
            }
            at
        }
        "merge" | "mergeOverwrite" => {
            let mut merged = argument(0)?.clone();
            for other in &arguments[1..] {
                merged = merge(&merged, other, name == "mergeOverwrite")?;
            }
            merged
        }
        "deepCopy" => argument(0)?.clone(),
        // Kinds.
        "kindOf" => Value::text(kind_of(argument(0)?)),
        "kindIs" => Value::Bool(kind_of(argument(1)?) == text(0)?),
        "typeOf" => Value::text(argument(0)?.type_name()),
        "typeIs" => Value::Bool(argument(1)?.type_name() == text(0)?),
        "typeIsLike" => Value::Bool(argument(1)?.type_name() == text(0)?.trim_start_matches('*')),
        "deepEqual" => Value::Bool(same(argument(0)?, argument(1)?)),
        // Paths and addresses.
        "base" => Value::text(match text(0)?.trim_end_matches('/') {
            "" if text(0)?.is_empty() => ".",
            "" => "/",
            path => path.rsplit('/').next().unwrap_or(path),
        }),
        "dir" => {
            let path = text(0)?;
            let parent = path.rsplit_once('/').map_or(".".to_owned(), |(parent, _)| format!("{parent}/"));
            Value::text(clean(&parent))
        }
        "clean" => Value::text(clean(&text(0)?)),
        "ext" => {
            let path = text(0)?;
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            Value::text(name.rfind('.').map_or("", |at| &name[at..]))
        }
        "isAbs" => Value::Bool(text(0)?.starts_with('/')),
        "urlParse" => url(&text(0)?),
        "urlJoin" => {
            let parts = map(argument(0)?)?;
            let part = |name: &str| parts.get(name).map(print).unwrap_or_default();
            let behind = |sign: &str, text: String| if text.is_empty() { text } else { format!("{sign}{text}") };
            let before = |text: String, sign: &str| if text.is_empty() { text } else { format!("{text}{sign}") };
            let host = before(part("userinfo"), "@") + &part("host");
            let host = if host.is_empty() { host } else { format!("//{host}") };
            Value::text(
                before(part("scheme"), ":")
                    + &part("opaque")
                    + &host
                    + &part("path")
                    + &behind("?", part("query"))
                    + &behind("#", part("fragment")),
            )
        }
        // Digests and encodings.
        "b64enc" => return plain("base64Encode", &[Value::text(text(0)?)]),
        "b64dec" => return plain("base64Decode", &[Value::text(text(0)?)]),
        "b32enc" => Value::text(base32(&bytes(argument(0)?)?)),
        "b32dec" => from_bytes(unbase32(&text(0)?).ok_or("illegal base32 data")?),
        "sha1sum" => hex(crate::digest::sha1(&bytes(argument(0)?)?)),
        "sha256sum" => hex(sha2::Sha256::digest(bytes(argument(0)?)?)),
        "sha512sum" => hex(sha2::Sha512::digest(bytes(argument(0)?)?)),
        "adler32sum" => Value::text(adler32(&bytes(argument(0)?)?).to_string()),
        "genPrivateKey" => match text(0)?.as_str() {
            kind @ ("" | "rsa" | "dsa" | "ecdsa" | "ed25519") => {
                return Err(format!("keys of type {kind:?} are not made by templates here"));
            }
            kind => Value::text(format!("Unknown type {kind}")),
        },
        // JSON.
        "fromJson" => {
            serde_json::from_str::<serde_json::Value>(&text(0)?).map(|json| Value::from(&json)).map_err(|error| error.to_string())?
        }
        "toJson" => return json_text(argument(0)?, false, true),
        "toPrettyJson" => return json_text(argument(0)?, true, true),
        "toRawJson" => return json_text(argument(0)?, false, false),
        // Versions.
        "semver" => {
            let original = text(0)?;
            let ([major, minor, patch], prerelease, metadata, _) = version(&original)?;
            let number = |number: u64| Value::Uint(number);
            let parts = [
                ("Major", number(major)),
                ("Minor", number(minor)),
                ("Patch", number(patch)),
                ("Prerelease", Value::text(prerelease)),
                ("Metadata", Value::text(metadata)),
                ("Original", Value::text(original)),
            ];
            Value::map(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
        "semverCompare" => Value::Bool(meets(&text(0)?, &text(1)?)?),
        _ => return Err("there is no such function".to_owned()),
    })
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", None) if path.starts_with('/') => {}
            _ => parts.push(part),
        }
    }
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
