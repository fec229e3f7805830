//! The reference pages are what the parser's own tables say. `DROVER_WRITE_REFERENCE=1` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

fn compare(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page);
    if std::env::var_os("DROVER_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/reference/{page} is not what the tables say: DROVER_WRITE_REFERENCE=1 cargo test -p drover-lang --test it reference"
    );
}

#[test]
fn the_page_of_job_attributes_is_what_the_parser_reads() {
    let entries = drover_lang::jobspec::reference();
    let mut text = "# The job language\n\nMade from the tables of the parser: every block and argument of a job file, its type and unit, how it is written, and \
                    the field of the API that it sets. Durations are texts such as `\"1m30s\"`, or whole numbers of nanoseconds.\n"
        .to_owned();
    let mut section = String::new();
    for entry in &entries {
        let parent = entry.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        if parent != section || entry.path == "job" {
            section = parent.to_owned();
            let title = if parent.is_empty() { "the file" } else { parent };
            let _ = write!(text, "\n## `{title}`\n\n| name | type | example | field |\n| --- | --- | --- | --- |\n");
        }
        let name = entry.path.rsplit('.').next().unwrap_or_default();
        let required = if entry.required { ", required" } else { "" };
        let field = if entry.field.is_empty() { String::new() } else { format!("`{}`", entry.field) };
        let _ = writeln!(text, "| `{name}` | {}{required} | `{}` | {field} |", entry.kind, entry.example);
    }
    assert!(entries.len() > 700, "{} entries", entries.len());
    compare("job.md", &text);
}

#[test]
fn the_page_of_agent_configuration_is_what_the_reader_knows() {
    let entries = drover_lang::config::reference();
    let mut text = "# Agent configuration\n\nMade from the table of the reader: every key, its type, its built-in default, and what a later file does to an \
                    earlier one.\n\n| key | type | default | in a later file |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for entry in &entries {
        let default = if entry.default.is_empty() { String::new() } else { format!("`{}`", entry.default) };
        let _ = writeln!(text, "| `{}` | {} | {default} | {} |", entry.path, entry.kind, entry.merging);
    }
    assert!(entries.len() > 400, "{} entries", entries.len());
    compare("agent.md", &text);
}
