//! Filesystem functions, on the files that the host offers.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Context, Outcome, string};
use crate::hcl::value::{Type, Value};

/// Most files that `fileset` looks at.
const MAX_FILES: usize = 20_000;
/// Largest file that is read.
const MAX_FILE: usize = 16 << 20;

pub(super) fn absolute(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    context.host.absolute(string(&arguments[0])).map(Value::string)
}

pub(super) fn base_name(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let path = string(&arguments[0]);
    let trimmed = path.trim_end_matches('/');
    Ok(Value::string(match trimmed.rsplit('/').next() {
        _ if path.is_empty() => ".",
        Some("") | None => "/",
        Some(name) => name,
    }))
}

/// A path without empty and `.` parts, and with `..` resolved as far as it goes.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

pub(super) fn directory_name(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let path = string(&arguments[0]);
    let parent = path.rfind('/').map_or("", |at| &path[..=at]);
    Ok(Value::string(clean(parent)))
}

fn bytes(context: &Context<'_>, path: &str) -> Result<Vec<u8>, String> {
    let bytes = context.host.read(path)?;
    if bytes.len() > MAX_FILE {
        return Err(format!("the file {path} is larger than {MAX_FILE} bytes"));
    }
    Ok(bytes)
}

pub(super) fn read(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    let path = string(&arguments[0]);
    String::from_utf8(bytes(context, path)?)
        .map(Value::string)
        .map_err(|_| format!("the file {path} is not UTF-8 text; filebase64 reads any bytes"))
}

pub(super) fn read_base64(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    Ok(Value::string(STANDARD.encode(bytes(context, string(&arguments[0]))?)))
}

pub(super) fn exists(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    context.host.exists(string(&arguments[0])).map(Value::Bool)
}

pub(super) fn set(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (directory, pattern) = (string(&arguments[0]), string(&arguments[1]));
    let glob = globset::GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| format!("the pattern \"{pattern}\" is wrong: {}", error.kind()))?
        .compile_matcher();
    let files = context.host.walk(directory, MAX_FILES)?;
    let found = files.iter().filter(|file| glob.is_match(file)).map(Value::string).collect();
    Ok(Value::set(Arc::new(Type::String), found))
}

pub(super) fn expand(context: &Context<'_>, arguments: &[Value]) -> Outcome {
    let path = string(&arguments[0]);
    let Some(rest) = path.strip_prefix('~') else { return Ok(arguments[0].clone()) };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err("the home directory of another user cannot be expanded".to_owned());
    }
    let home = context.host.home().ok_or_else(|| "there is no home directory".to_owned())?;
    Ok(Value::string(format!("{}{rest}", home.trim_end_matches('/'))))
}
