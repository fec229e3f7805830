//! `operator snapshot`: the whole state in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::files::{FileError, Files};
use crate::flags::Flag;
use crate::row;
use crate::sdk::Query;
use crate::text::{bytes, pairs, table};

pub(super) const SAVE_FLAGS: &[Flag] =
    &[Flag::switch("stale", "Let a server answer that does not lead."), Flag::switch("redact", "Take the secrets of the keyring out.")];
pub(super) const INSPECT_FLAGS: &[Flag] = &[super::JSON];
pub(super) const STATE_FLAGS: &[Flag] = &[Flag::value("filter", "expression", "Only objects that match.")];

fn usage(error: String) -> Failure {
    Failure::usage(error)
}

pub(super) async fn save(context: &mut Context) -> Outcome {
    let now = context.clock.now();
    let name = match context.arguments() {
        [] => {
            let time = crate::text::Zone::utc().time(now);
            format!("nomad-state-{}-{}.snap", time.split('T').next().unwrap_or("").replace('-', ""), now.0 / 1_000_000_000)
        }
        [name] => name.clone(),
        _ => return Err(usage("This command takes one argument: <filename>".to_owned())),
    };
    let path = context.environment.directory.join(&name);
    if path.exists() {
        return Err(usage(format!("Destination file already exists: {name:?}")));
    }
    let client = context.client()?;
    let query = if context.flags.on("stale") { Query::new().set("stale", true) } else { Query::new() };
    let response = client.raw(crate::sdk::Method::GET, "/v1/operator/snapshot", &query, None).await.attempt("Failed to get snapshot")?;
    let code = response.status().as_u16();
    let digest = response.headers().get("digest").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let broken = |error: &dyn std::fmt::Display| Failure::new(format!("Failed to download snapshot file: {error}"));
    let body = response.bytes().await.map_err(|error| broken(&error))?;
    if code != 200 {
        let text = String::from_utf8_lossy(&body);
        return Err(Failure::new(format!("Failed to get snapshot: Unexpected response code: {code} ({})", text.trim_end())));
    }
    let found = format!("sha-256={}", STANDARD.encode(Sha256::digest(&body)));
    if !digest.is_empty() && digest != found {
        return Err(broken(&format!("its checksum is {found}, the server said {digest}")));
    }
    let body = if context.flags.on("redact") { context.files()?.redacted(&body).map_err(|error| broken(&error))? } else { body.to_vec() };
    // What is cut off must never look like a whole file.
    let unfinished = path.with_file_name(format!("{}.tmp", path.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&unfinished, &body).and_then(|()| std::fs::rename(&unfinished, &path)).map_err(|error| broken(&error))?;
    context.ui.output(format!("State file written to {name}"));
    Ok(0)
}

fn open(context: &Context, name: &str) -> Result<(PathBuf, Vec<u8>), String> {
    let path = context.environment.directory.join(name);
    let read = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("open {name}: no such file or directory"),
        _ => format!("open {name}: {error}"),
    });
    Ok((path, read?))
}

pub(super) async fn restore(context: &mut Context) -> Outcome {
    let name = context.one_argument("<filename>")?;
    let (_, body) = open(context, &name).map_err(|error| Failure::new(format!("Error opening snapshot file: {error:?}")))?;
    let client = context.client()?;
    let response = client.raw(crate::sdk::Method::PUT, "/v1/operator/snapshot", &Query::new(), Some(body)).await;
    let response = response.attempt("Failed to get restore snapshot")?;
    let code = response.status().as_u16();
    if code != 200 {
        let text = response.text().await.unwrap_or_default();
        return Err(Failure::new(format!("Failed to get restore snapshot: Unexpected response code: {code} ({})", text.trim_end())));
    }
    context.ui.output("Snapshot Restored");
    Ok(0)
}

/// An archive, and who can read it.
fn read<'a>(context: &'a Context, name: &str) -> Result<(&'a dyn Files, Vec<u8>), Failure> {
    let (_, body) = open(context, name).map_err(|error| Failure::new(format!("Error opening snapshot file: {error}")))?;
    Ok((context.files()?, body))
}

fn wrong(attempt: &str) -> impl Fn(FileError) -> Failure {
    let attempt = attempt.to_owned();
    move |error| {
        let text = error.to_string();
        let text = text.strip_prefix("failed to decompress snapshot: ").unwrap_or(&text);
        // A file that ends before it has begun is simply at its end.
        Failure::new(format!("{attempt}: {}", if text == "unexpected EOF" { "EOF" } else { text }))
    }
}

pub(super) async fn inspect(context: &mut Context) -> Outcome {
    let name = context.one_argument("<file>")?;
    let (files, body) = read(context, &name)?;
    let saved = files.saved(&body).map_err(wrong("Error inspecting snapshot"))?;
    let total: usize = saved.kinds.iter().map(|(_, count, _)| count).sum();
    let created = crate::text::Zone::utc().time(saved.created);
    if context.flags.on("json") {
        let stats: Vec<Value> =
            saved.kinds.iter().map(|(name, count, size)| json!({ "Name": name, "Count": count, "Size": size })).collect();
        let meta = json!({
            "Created": created, "ID": saved.id, "Size": saved.size, "Index": saved.index, "Term": saved.term, "Version": saved.version,
        });
        context.ui.output(crate::text::json(&json!({ "Meta": meta, "Stats": stats })));
        return Ok(0);
    }
    context.ui.output(pairs(&[
        ("Created", created),
        ("ID", saved.id.clone()),
        ("Size", bytes(saved.size)),
        ("Index", saved.index.to_string()),
        ("Term", saved.term.to_string()),
        ("Version", saved.version.to_string()),
    ]));
    let mut rows = vec![row!["Type", "Count", "Size"]];
    rows.extend(saved.kinds.iter().map(|(name, count, size)| row![name, count, bytes(*size as u64)]));
    rows.push(row!["Total", total, bytes(saved.size)]);
    let text = table(&rows);
    let (body, last) = text.rsplit_once('\n').unwrap_or(("", &text));
    context.ui.output(format!("\n{body}\n\n{last}"));
    Ok(0)
}

pub(super) async fn redact(context: &mut Context) -> Outcome {
    let name = context.one_argument("<file>")?;
    let (path, body) = open(context, &name).map_err(|error| Failure::new(format!("Error opening snapshot file: {error}")))?;
    let body = context.files()?.redacted(&body).map_err(wrong("Failed to redact snapshot"))?;
    let unfinished = PathBuf::from(format!("{}.tmp", path.display()));
    let written = std::fs::write(&unfinished, body).and_then(|()| std::fs::rename(&unfinished, &path));
    written.map_err(|error| Failure::new(format!("Failed to redact snapshot: {error}")))?;
    context.ui.output("Snapshot redacted");
    Ok(0)
}

pub(super) async fn state(context: &mut Context) -> Outcome {
    let name = context.one_argument("<file>")?;
    let (files, body) = read(context, &name)?;
    let mut tables = files.saved_tables(&body).map_err(wrong("Failed to read archive file"))?;
    if let Some(filter) = context.flags.text("filter") {
        filtered(&mut tables, filter)?;
    }
    context.ui.output(two_spaces(&json!(tables)));
    Ok(0)
}

fn filtered(tables: &mut BTreeMap<String, Value>, text: &str) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("Failed to evaluate filter: {error}"));
    let filter = drover_lang::filter::Filter::parse(text).map_err(|error| wrong(&error))?;
    for rows in tables.values_mut().filter_map(Value::as_array_mut) {
        // An object that has no such field does not match.
        rows.retain(|row| filter.matches(row, drover_lang::filter::Shape::untyped()).unwrap_or(false));
    }
    Ok(())
}

/// JSON with two spaces per level, as tools of this kind write it.
pub(super) fn two_spaces(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
