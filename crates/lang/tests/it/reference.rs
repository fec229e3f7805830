//! The reference pages are what the parser's own tables say. `cargo xtask reference` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

fn compare(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page);
    if std::env::var_os("DROVER_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/reference/{page} is not what the tables say: cargo xtask reference");
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// A default is code where it is a value, words otherwise.
fn default(text: &str) -> String {
    let value = text.starts_with(['"', '[', '{']) || text.parse::<f64>().is_ok() || matches!(text, "true" | "false");
    if value && !text.contains(';') && !text.contains("\", ") && !text.contains(" with ") { code(text) } else { text.to_owned() }
}

#[test]
fn the_page_of_job_attributes_is_what_the_parser_reads() {
    let entries = drover_lang::jobspec::reference();
    let mut text =
        "# The job language\n\nMade from the tables of the parser: every block and argument of a job file, what it does, its type and \
                    unit, what holds without it, how it is written, and the field of the API that it sets. Durations are texts such as \
                    `\"1m30s\"`, or whole numbers of nanoseconds.\n"
            .to_owned();
    let mut sections: Vec<(&str, String)> = Vec::new();
    for entry in &entries {
        assert!(!entry.sentence.is_empty(), "{} has no sentence in attributes.txt", entry.path);
        let parent = entry.path.rsplit_once('.').map_or("the file", |(parent, _)| parent);
        let name = entry.path.rsplit('.').next().unwrap_or_default();
        let required = if entry.required { ", required" } else { "" };
        let without = match entry.kind.as_str() {
            _ if entry.required => "",
            "true or false" => "false",
            _ => "none",
        };
        let (default, field) = (default(if entry.default.is_empty() { without } else { entry.default }), code(&entry.field));
        let row = format!("| `{name}` | {} | {}{required} | {default} | `{}` | {field} |\n", entry.sentence, entry.kind, entry.example);
        match sections.iter_mut().find(|(section, _)| *section == parent) {
            Some((_, rows)) => rows.push_str(&row),
            None => sections.push((parent, row)),
        }
    }
    for (section, rows) in &sections {
        let head = "| name | what it does | type | default | example | field |\n| --- | --- | --- | --- | --- | --- |\n";
        let _ = write!(text, "\n## `{section}`\n\n{head}{rows}");
    }
    assert!(entries.len() > 700, "{} entries", entries.len());
    assert_eq!(drover_lang::jobspec::stale_sentences(), Vec::<&str>::new(), "lines of attributes.txt");
    compare("job.md", &text);
}

#[test]
fn the_page_of_agent_configuration_is_what_the_reader_knows() {
    let entries = drover_lang::config::reference();
    let mut text =
        "# Agent configuration\n\nMade from the table of the reader: every key, what it does, its type, its built-in default, how it is \
                    written, and what a later file does to an earlier one. Durations are texts such as `\"1m30s\"`. A key \
                    without effect is read and kept, and named when the agent starts.\n"
            .to_owned();
    let mut sections: BTreeMap<usize, (String, String)> = BTreeMap::new();
    for (position, entry) in entries.iter().enumerate() {
        assert!(!entry.sentence.is_empty(), "{} has no sentence in keys.txt", entry.path);
        let top = entry.path.split('.').next().unwrap_or_default();
        let blocks = entries.iter().any(|other| other.path.starts_with(&format!("{top}.")));
        let section = if blocks { top } else { "the file" };
        assert!(!entry.default.is_empty(), "{} has no default", entry.path);
        let default = default(&entry.default);
        let effect = if entry.acts { "" } else { " *No effect yet.*" };
        let row = format!(
            "| `{}` | {}{effect} | {} | {default} | `{}` | {} |\n",
            entry.path, entry.sentence, entry.kind, entry.example, entry.merging
        );
        match sections.values_mut().find(|(name, _)| name == section) {
            Some((_, rows)) => rows.push_str(&row),
            None => _ = sections.insert(position, (section.to_owned(), row)),
        }
    }
    for (section, rows) in sections.values() {
        let head = "| key | what it does | type | default | example | in a later file |\n| --- | --- | --- | --- | --- | --- |\n";
        let _ = write!(text, "\n## `{section}`\n\n{head}{rows}");
    }
    assert!(entries.len() > 400, "{} entries", entries.len());
    assert_eq!(drover_lang::config::stale_sentences(), Vec::<&str>::new(), "lines of keys.txt");
    compare("agent.md", &text);
}
