//! The functions of templates: Go's own, and those that job files add for texts, collections and numbers.
//!
//! Operands stand in the order that suits pipelines: `10 | divide 2` divides ten by two.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::Digest as _;

use super::DataError;
use super::builtins::{dump, equal, escape_html, escape_js, escape_url, index, length, order, slice};
use super::execute::{Outcome, Run};
use super::format::{print, print_all, printf};
use super::output::{timestamp, toml_value, write_toml, write_yaml};
use super::value::{Record, Value};
use crate::hcl::functions::{read_yaml, title_case};

/// Most numbers that `loop` gives.
const MAX_LOOP: i64 = 1_000_000;
/// Longest text that one call may produce.
pub(super) const MAX_TEXT: usize = 16 << 20;

const NAMES: &[&str] = &[
    "add",
    "and",
    "base64Decode",
    "base64Encode",
    "base64URLDecode",
    "base64URLEncode",
    "byKey",
    "call",
    "contains",
    "containsAll",
    "containsAny",
    "containsNone",
    "containsNotAll",
    "divide",
    "env",
    "envOrDefault",
    "eq",
    "executeTemplate",
    "explodeMap",
    "file",
    "ge",
    "gt",
    "hmacSHA256Hex",
    "html",
    "in",
    "indent",
    "index",
    "join",
    "js",
    "le",
    "len",
    "loop",
    "lt",
    "maximum",
    "md5sum",
    "mergeMap",
    "mergeMapWithOverride",
    "minimum",
    "modulo",
    "multiply",
    "mustEnv",
    "ne",
    "not",
    "or",
    "parseBool",
    "parseFloat",
    "parseInt",
    "parseJSON",
    "parseUint",
    "parseYAML",
    "plugin",
    "print",
    "printf",
    "println",
    "regexMatch",
    "regexReplaceAll",
    "replaceAll",
    "scratch",
    "sha256Hex",
    "slice",
    "sockaddr",
    "spew_dump",
    "spew_printf",
    "spew_sdump",
    "spew_sprintf",
    "split",
    "splitToMap",
    "subtract",
    "timestamp",
    "toJSON",
    "toJSONPretty",
    "toLower",
    "toTOML",
    "toTitle",
    "toUnescapedJSON",
    "toUnescapedJSONPretty",
    "toUpper",
    "toYAML",
    "trim",
    "trimPrefix",
    "trimSpace",
    "trimSuffix",
    "urlquery",
    "writeToFile",
];

/// Whether there is a function of this name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name) || super::sprig::exists(name)
}

/// Whether the function is one of the language itself.
pub(super) fn is_go(name: &str) -> bool {
    matches!(
        name,
        "and"
            | "call"
            | "eq"
            | "ge"
            | "gt"
            | "html"
            | "index"
            | "js"
            | "le"
            | "len"
            | "lt"
            | "ne"
            | "not"
            | "or"
            | "print"
            | "printf"
            | "println"
            | "slice"
            | "urlquery"
    )
}

/// Values that a template keeps while it runs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    values: Mutex<BTreeMap<String, Value>>,
}

impl Record for Scratch {
    fn get(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, DataError>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |at: usize| arguments.get(at).and_then(Value::as_text).unwrap_or("").to_owned();
        let wanted = match name {
            "Key" | "Get" | "MapValues" => 1,
            "Set" | "SetX" => 2,
            "MapSet" | "MapSetX" => 3,
            _ => return None,
        };
        if arguments.len() != wanted {
            return Some(Err(DataError::Failed(format!("wrong number of args for {name}: want {wanted} got {}", arguments.len()))));
        }
        Some(Ok(match name {
            "Key" => Value::Bool(values.contains_key(&key(0))),
            "Get" => values.get(&key(0)).cloned().unwrap_or(Value::Missing),
            "Set" => {
                values.insert(key(0), arguments[1].clone());
                Value::text("")
            }
            "SetX" => {
                values.entry(key(0)).or_insert_with(|| arguments[1].clone());
                Value::text("")
            }
            "MapValues" => match values.get(&key(0)) {
                None => Value::list(Vec::new()),
                Some(Value::Map(members, _)) => Value::list(members.values().cloned().collect()),
                Some(_) => return Some(Err(DataError::Failed(format!("{:?} is not a map", key(0))))),
            },
            _ => {
                let before = values.get(&key(0));
                let mut members = match before {
                    None => BTreeMap::new(),
                    Some(Value::Map(members, _)) => (**members).clone(),
                    Some(_) => return Some(Err(DataError::Failed(format!("{:?} is not a map", key(0))))),
                };
                if name == "MapSet" {
                    members.insert(key(1), arguments[2].clone());
                } else {
                    members.entry(key(1)).or_insert_with(|| arguments[2].clone());
                }
                values.insert(key(0), Value::map(members));
                Value::text("")
            }
        }))
    }

    fn text(&self) -> String {
        "scratch".to_owned()
    }
}

pub(super) type Answer = Result<Value, String>;

/// Calls a function with its evaluated arguments.
pub(super) fn call(run: &mut Run<'_>, name: &str, arguments: &[Value]) -> Outcome<Value> {
    if run.data.only_own_functions() && run.data.has_function(name) {
        return run.data.call(name, arguments).map_err(|error| run.data_error(name, error));
    }
    if let Some((low, high)) = arity(name)
        && (arguments.len() < low || arguments.len() > high)
    {
        let at_least = if high > low { "at least " } else { "" };
        return run.fail(format!("wrong number of args for {name}: want {at_least}{low} got {}", arguments.len()));
    }
    let text = |at: usize| arguments.get(at).and_then(Value::as_text).unwrap_or("");
    let answer = match name {
        "env" | "mustEnv" | "envOrDefault" | "file" => {
            if let Some(other) = arguments.iter().find(|argument| argument.as_text().is_none()) {
                return run.fail(format!("expected string; found {}", print(other)));
            }
            let found = run.data.environment(text(0));
            match name {
                "env" => Ok(Value::text(found.unwrap_or_default())),
                "mustEnv" => match found.filter(|value| !value.is_empty()) {
                    Some(value) => Ok(Value::text(value)),
                    None => Err(format!("required environment variable {} is empty", text(0))),
                },
                "envOrDefault" => Ok(Value::text(found.unwrap_or_else(|| text(1).to_owned()))),
                _ if text(0).is_empty() => Ok(Value::text("")),
                _ => return run.data.file(text(0).trim()).map(Value::text).map_err(|error| run.data_error(name, error)),
            }
        }
        "scratch" => return Ok(Value::Record(Arc::clone(&run.scratch) as Arc<dyn Record>)),
        "sockaddr" => {
            let template = format!("{{{{ {} }}}}", text(0));
            crate::sockaddr::render(&template, &run.data.interfaces()).map(Value::text).map_err(|error| error.to_string())
        }
        "timestamp" => timestamp(run.data.now(), arguments.first().map(|_| text(0))),
        "loop" => {
            let numbers = numbers(arguments);
            if let Ok(Value::Stream(numbers)) = &numbers {
                run.step(numbers.len() as u64)?;
            }
            numbers
        }
        _ => plain(name, arguments),
    };
    match answer {
        Ok(value) => Ok(value),
        Err(message) => run.fail(format!("error calling {name}: {message}")),
    }
}

/// Fewest and most arguments of functions with a fixed number.
fn arity(name: &str) -> Option<(usize, usize)> {
    Some(match name {
        "toLower"
        | "toUpper"
        | "toTitle"
        | "trimSpace"
        | "base64Decode"
        | "base64Encode"
        | "base64URLDecode"
        | "base64URLEncode"
        | "sha256Hex"
        | "md5sum"
        | "parseBool"
        | "parseFloat"
        | "parseInt"
        | "parseJSON"
        | "parseUint"
        | "parseYAML"
        | "toJSON"
        | "toJSONPretty"
        | "toUnescapedJSON"
        | "toUnescapedJSONPretty"
        | "toYAML"
        | "toTOML"
        | "env"
        | "mustEnv"
        | "file"
        | "sockaddr"
        | "not"
        | "len"
        | "explodeMap"
        | "byKey" => (1, 1),
        "trim"
        | "trimPrefix"
        | "trimSuffix"
        | "split"
        | "join"
        | "regexMatch"
        | "indent"
        | "hmacSHA256Hex"
        | "envOrDefault"
        | "contains"
        | "in"
        | "add"
        | "subtract"
        | "multiply"
        | "divide"
        | "modulo"
        | "minimum"
        | "maximum"
        | "ne"
        | "lt"
        | "le"
        | "gt"
        | "ge"
        | "mergeMap"
        | "mergeMapWithOverride"
        | "containsAll"
        | "containsAny"
        | "containsNone"
        | "containsNotAll" => (2, 2),
        "replaceAll" | "regexReplaceAll" | "splitToMap" => (3, 3),
        "scratch" => (0, 0),
        "timestamp" => (0, 1),
        "index" | "slice" | "eq" | "printf" => (1, usize::MAX),
        _ => return None,
    })
}

fn texts<const N: usize>(arguments: &[Value]) -> Result<[&str; N], String> {
    let mut out = [""; N];
    for (slot, argument) in out.iter_mut().zip(arguments) {
        *slot = argument.as_text().ok_or_else(|| format!("expected string; found {}", print(argument)))?;
    }
    Ok(out)
}

pub(super) fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    match value {
        Value::Text(text) => Ok(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Ok(bytes.to_vec()),
        other => Err(format!("expected string; found {}", print(other))),
    }
}

pub(super) fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::text(bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub(super) fn from_bytes(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::text(text),
        Err(error) => Value::Bytes(error.into_bytes().into()),
    }
}

pub(super) fn whole(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => i64::try_from(*number).map_err(|_| format!("{number} is too large")),
        Value::Text(text) => text.parse().map_err(|_| format!("{text:?} is not a whole number")),
        other => Err(format!("expected integer; found {}", print(other))),
    }
}

fn one_char(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

pub(super) fn plain(name: &str, arguments: &[Value]) -> Answer {
    match name {
        "toLower" => Ok(Value::text(texts::<1>(arguments)?[0].chars().map(|c| one_char(c, c.to_lowercase())).collect::<String>())),
        "toUpper" => Ok(Value::text(texts::<1>(arguments)?[0].chars().map(|c| one_char(c, c.to_uppercase())).collect::<String>())),
        "toTitle" => Ok(Value::text(title_case(texts::<1>(arguments)?[0]))),
        "trimSpace" => Ok(Value::text(texts::<1>(arguments)?[0].trim())),
        "trim" => {
            let [set, text] = texts(arguments)?;
            let set: Vec<char> = set.chars().collect();
            Ok(Value::text(text.trim_matches(&set[..])))
        }
        "trimPrefix" => texts(arguments).map(|[prefix, text]| Value::text(text.strip_prefix(prefix).unwrap_or(text))),
        "trimSuffix" => texts(arguments).map(|[suffix, text]| Value::text(text.strip_suffix(suffix).unwrap_or(text))),
        "split" => texts(arguments).map(|[separator, text]| split(separator, text)),
        "join" => join(texts::<1>(arguments)?[0], &arguments[1]),
        "replaceAll" => {
            let [from, to, text] = texts(arguments)?;
            if text.matches(from).count().saturating_mul(to.len()) > MAX_TEXT {
                return Err("the result is too long".to_owned());
            }
            Ok(Value::text(text.replace(from, to)))
        }
        "regexMatch" => {
            let [pattern, text] = texts(arguments)?;
            regex(pattern).map(|regex| Value::Bool(regex.is_match(text)))
        }
        "regexReplaceAll" => {
            let [pattern, replacement, text] = texts(arguments)?;
            regex(pattern).map(|regex| Value::text(regex.replace_all(text, replacement)))
        }
        "indent" => {
            let spaces = whole(&arguments[0])?;
            let text = arguments[1].as_text().ok_or("expected string")?;
            let spaces = usize::try_from(spaces).ok().filter(|spaces| *spaces <= 1000).ok_or("indent value must be a positive integer")?;
            let lines = text.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(spaces)) });
            Ok(Value::text(lines.collect::<Vec<_>>().join("\n")))
        }
        "base64Encode" => bytes(&arguments[0]).map(|bytes| Value::text(STANDARD.encode(bytes))),
        "base64URLEncode" => bytes(&arguments[0]).map(|bytes| Value::text(URL_SAFE.encode(bytes))),
        "base64Decode" => STANDARD.decode(texts::<1>(arguments)?[0]).map(from_bytes).map_err(|_| "illegal base64 data".to_owned()),
        "base64URLDecode" => URL_SAFE.decode(texts::<1>(arguments)?[0]).map(from_bytes).map_err(|_| "illegal base64 data".to_owned()),
        "sha256Hex" => bytes(&arguments[0]).map(|bytes| hex(sha2::Sha256::digest(bytes))),
        "md5sum" => bytes(&arguments[0]).map(|bytes| hex(md5::Md5::digest(bytes))),
        "hmacSHA256Hex" => Ok(hex(hmac_sha256(&bytes(&arguments[1])?, &bytes(&arguments[0])?))),
        "parseBool" => match texts::<1>(arguments)?[0] {
            "" => Ok(Value::Bool(false)),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            other => Err(format!("parsing {other:?}: invalid syntax")),
        },
        "parseInt" => parse_number(texts::<1>(arguments)?[0], Value::Int(0), |text| text.parse().ok().map(Value::Int)),
        "parseUint" => parse_number(texts::<1>(arguments)?[0], Value::Uint(0), |text| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok().map(Value::Uint)).flatten()
        }),
        "parseFloat" => parse_number(texts::<1>(arguments)?[0], Value::Float(0.0), |text| text.parse().ok().map(Value::Float)),
        "parseJSON" => match texts::<1>(arguments)?[0] {
            "" => Ok(Value::map(BTreeMap::new())),
            text => serde_json::from_str::<serde_json::Value>(text).map(|json| Value::from(&json)).map_err(|error| error.to_string()),
        },
        "parseYAML" => match texts::<1>(arguments)?[0] {
            "" => Ok(Value::map(BTreeMap::new())),
            text => read_yaml(text).map(|value| from_hcl(&value)),
        },
        "toJSON" => json_text(&arguments[0], false, true),
        "toJSONPretty" => json_text(&arguments[0], true, true),
        "toUnescapedJSON" => json_text(&arguments[0], false, false),
        "toUnescapedJSONPretty" => json_text(&arguments[0], true, false),
        "toYAML" => {
            let mut out = String::new();
            write_yaml(&arguments[0], 0, false, &mut out);
            Ok(Value::text(out.trim_end_matches('\n')))
        }
        "toTOML" => {
            let mut out = String::new();
            match &arguments[0] {
                Value::Map(members, _) => write_toml(members, "", 0, &mut out)?,
                other => out.push_str(&toml_value(other)?),
            }
            Ok(Value::text(out.trim_end_matches('\n')))
        }
        "splitToMap" => {
            let [pairs, middle, text] = texts(arguments)?;
            let members = text
                .split(pairs)
                .filter_map(|pair| pair.split_once(middle))
                .map(|(key, value)| (key.to_owned(), Value::text(value)))
                .collect();
            Ok(Value::Map(Arc::new(members), true))
        }
        "contains" => contains(&arguments[1], &arguments[0]).map(Value::Bool),
        "in" => contains(&arguments[0], &arguments[1]).map(Value::Bool),
        "containsAll" | "containsAny" | "containsNone" | "containsNotAll" => {
            let Value::List(wanted, false) = &arguments[0] else {
                return Err(format!("wrong type for value; expected []interface {{}}; got {}", arguments[0].type_name()));
            };
            let mut found = 0;
            for value in wanted.iter() {
                found += usize::from(contains(&arguments[1], value)?);
            }
            Ok(Value::Bool(match name {
                "containsAll" => found == wanted.len(),
                "containsAny" => found > 0,
                "containsNone" => found == 0,
                _ => found < wanted.len(),
            }))
        }
        "explodeMap" => explode(&arguments[0]),
        "byKey" => Ok(Value::map(BTreeMap::new())),
        "mergeMap" | "mergeMapWithOverride" => merge(&arguments[0], &arguments[1], name == "mergeMapWithOverride"),
        "add" | "subtract" | "multiply" | "divide" | "modulo" | "minimum" | "maximum" => math(name, &arguments[0], &arguments[1]),
        "not" => Ok(Value::Bool(!arguments[0].is_true())),
        "len" => length(&arguments[0]),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(Value::text(print_all(arguments))),
        "println" => Ok(Value::text(arguments.iter().map(print).collect::<Vec<_>>().join(" ") + "\n")),
        "printf" => Ok(Value::text(printf(texts::<1>(arguments)?[0], &arguments[1..]))),
        "html" => Ok(Value::text(escape_html(&shown(arguments)))),
        "js" => Ok(Value::text(escape_js(&shown(arguments)))),
        "urlquery" => Ok(Value::text(escape_url(&shown(arguments)))),
        "call" => Err(match arguments.first() {
            Some(other) => format!("non-function {} of type {}", print(other), other.type_name()),
            None => "call of nil".to_owned(),
        }),
        "eq" => {
            let [first, others @ ..] = arguments else { return Err("missing argument for comparison".to_owned()) };
            if others.is_empty() {
                return Err("missing argument for comparison".to_owned());
            }
            for other in others {
                if equal(first, other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        "ne" => equal(&arguments[0], &arguments[1]).map(|equal| Value::Bool(!equal)),
        "lt" => order(&arguments[0], &arguments[1]).map(|order| Value::Bool(order.is_lt())),
        "le" => order(&arguments[0], &arguments[1]).map(|order| Value::Bool(order.is_le())),
        "gt" => order(&arguments[0], &arguments[1]).map(|order| Value::Bool(order.is_gt())),
        "ge" => order(&arguments[0], &arguments[1]).map(|order| Value::Bool(order.is_ge())),
        "spew_sdump" => Ok(Value::text(arguments.iter().map(dump).collect::<String>())),
        "spew_sprintf" => Ok(Value::text(printf(texts::<1>(arguments)?[0], arguments.get(1..).unwrap_or(&[])))),
        "spew_dump" | "spew_printf" => Ok(Value::text("")),
        _ if name.starts_with("sprig_") => super::sprig::call(name, arguments),
        _ => Err("there is no such function".to_owned()),
    }
}

/// Values as texts to be escaped: what is nothing is said to be nothing.
fn shown(arguments: &[Value]) -> String {
    let word = |value: &Value| match value {
        Value::Nil | Value::Missing => Value::text("<no value>"),
        other => other.clone(),
    };
    print_all(&arguments.iter().map(word).collect::<Vec<_>>())
}

pub(super) fn regex(pattern: &str) -> Result<regex::Regex, String> {
    crate::pattern::compile(pattern).map_err(|error| format!("error parsing regexp: {error}"))
}

fn split(separator: &str, text: &str) -> Value {
    match (separator, text) {
        (_, "") => Value::texts(Vec::<String>::new()),
        ("", _) => Value::texts(text.chars().map(String::from)),
        _ => Value::texts(text.split(separator)),
    }
}

fn join(separator: &str, list: &Value) -> Answer {
    let Value::List(values, _) = list else { return Err(format!("can't handle {} for arg of type []string", print(list))) };
    let texts: Option<Vec<&str>> = values.iter().map(Value::as_text).collect();
    texts.map(|texts| Value::text(texts.join(separator))).ok_or_else(|| "can't join values that are no texts".to_owned())
}

fn parse_number(text: &str, empty: Value, parse: impl Fn(&str) -> Option<Value>) -> Answer {
    if text.is_empty() {
        return Ok(empty);
    }
    parse(text).ok_or_else(|| format!("parsing {text:?}: invalid syntax"))
}

/// HMAC-SHA256 (RFC 2104).
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > 64 { sha2::Sha256::digest(key).to_vec() } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |byte: u8| block.iter().map(|key| key ^ byte).collect::<Vec<u8>>();
    let inner = sha2::Sha256::digest([pad(0x36), message.to_vec()].concat());
    sha2::Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn from_hcl(value: &crate::hcl::value::Value) -> Value {
    use crate::hcl::value::Value as Hcl;
    match value {
        Hcl::Null(_) | Hcl::Unknown(_) => Value::Nil,
        Hcl::Bool(value) => Value::Bool(*value),
        Hcl::Number(number) => number.to_i64().map_or_else(|| Value::Float(number.to_f64()), Value::Int),
        Hcl::String(text) => Value::text(text),
        Hcl::List(_, values) | Hcl::Set(_, values) | Hcl::Tuple(values) => Value::list(values.iter().map(from_hcl).collect()),
        Hcl::Map(_, members) | Hcl::Object(members) => {
            Value::map(members.iter().map(|(key, value)| (key.to_string(), from_hcl(value))).collect())
        }
    }
}

pub(super) fn json_text(value: &Value, pretty: bool, escaped: bool) -> Answer {
    let json = value.to_json().ok_or_else(|| format!("unsupported type {}", value.type_name()))?;
    let text =
        if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.map_err(|error| error.to_string())?;
    if !escaped {
        return Ok(Value::text(text));
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            _ => out.push(c),
        }
    }
    Ok(Value::text(out))
}

fn contains(collection: &Value, wanted: &Value) -> Result<bool, String> {
    match collection {
        Value::Text(text) => Ok(wanted.as_text().is_some_and(|wanted| text.contains(wanted))),
        Value::List(values, _) => Ok(values.iter().any(|value| equal(value, wanted) == Ok(true))),
        _ => Ok(false),
    }
}

fn explode(value: &Value) -> Answer {
    fn insert(members: &mut BTreeMap<String, Value>, path: &str, whole_path: &str, value: Value) -> Result<(), String> {
        let Some((first, rest)) = path.split_once('/') else {
            members.insert(path.to_owned(), value);
            return Ok(());
        };
        let inner = members.remove(first);
        let mut map = match inner {
            None => BTreeMap::new(),
            Some(Value::Map(map, _)) => (*map).clone(),
            Some(other) => return Err(format!("not a map: {whole_path:?}: {first:?} already has value {}", print(&other))),
        };
        insert(&mut map, rest, whole_path, value)?;
        members.insert(first.to_owned(), Value::map(map));
        Ok(())
    }
    let Value::Map(members, _) = value else { return Err(format!("not a map: {}", value.type_name())) };
    let mut out = BTreeMap::new();
    for (path, value) in members.iter() {
        insert(&mut out, path.trim_matches('/'), path, value.clone())?;
    }
    Ok(Value::map(out))
}

pub(super) fn merge(target: &Value, source: &Value, over: bool) -> Answer {
    let (Value::Map(target, _), Value::Map(source, _)) = (target, source) else { return Err("two maps are needed".to_owned()) };
    let mut out = (**target).clone();
    for (key, value) in source.iter() {
        let merged = match (out.get(key), value) {
            (Some(before @ Value::Map(..)), Value::Map(..)) => merge(before, value, over)?,
            (Some(before), _) if !over && before.is_true() => before.clone(),
            _ => value.clone(),
        };
        out.insert(key.clone(), merged);
    }
    Ok(Value::map(out))
}

/// The second operand with the first applied to it.
fn math(name: &str, b: &Value, a: &Value) -> Answer {
    let integer = |value: &Value| match value {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        _ => None,
    };
    let float = |value: &Value| match value {
        Value::Float(number) => Ok(*number),
        other => {
            integer(other).map(|number| number as f64).ok_or_else(|| format!("unknown type for {} ({})", print(other), other.type_name()))
        }
    };
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        let zero = || "integer divide by zero".to_owned();
        return Ok(Value::Int(match name {
            "add" => a.wrapping_add(b),
            "subtract" => a.wrapping_sub(b),
            "multiply" => a.wrapping_mul(b),
            "divide" => a.checked_div(b).ok_or_else(zero)?,
            "modulo" => a.checked_rem(b).ok_or_else(zero)?,
            "minimum" => a.min(b),
            _ => a.max(b),
        }));
    }
    let (a, b) = (float(a)?, float(b)?);
    Ok(Value::Float(match name {
        "add" => a + b,
        "subtract" => a - b,
        "multiply" => a * b,
        "divide" => a / b,
        "minimum" => a.min(b),
        "maximum" => a.max(b),
        _ => return Err("modulo needs whole numbers".to_owned()),
    }))
}

fn numbers(arguments: &[Value]) -> Answer {
    let (start, stop) = match arguments {
        [stop] => (0, whole(stop)?),
        [start, stop] => (whole(start)?, whole(stop)?),
        _ => return Err(format!("wrong number of arguments, expected 1 or 2, but got {}", arguments.len())),
    };
    if stop.saturating_sub(start) > MAX_LOOP {
        return Err(format!("more than {MAX_LOOP} numbers"));
    }
    Ok(Value::Stream((start..stop).map(Value::Int).collect()))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self))
    }
}
