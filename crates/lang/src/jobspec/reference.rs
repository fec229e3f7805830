//! What the tables of the job language say, for people: one entry per argument and block.

use std::sync::LazyLock;

use crate::attributes::{Table, stale};

use super::schema::{Argument, BlockType, Body, Content, JOB, Kind, Occurs};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("attributes.txt")));

/// Blocks that may stand in each other are followed this deep.
const DEPTH_MAX: usize = 12;

/// An argument or a block of the job language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands: `job.group.task.driver`.
    pub path: String,
    /// Its type in words, with range and unit.
    pub kind: String,
    /// How it is written.
    pub example: String,
    /// The field of the API that it sets; empty where it sets none of its own.
    pub field: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it does, in a sentence.
    pub sentence: &'static str,
    /// What holds when it is not given; empty where nothing does.
    pub default: &'static str,
}

/// Lines of the table of sentences that belong to nothing in the language.
pub fn stale_sentences() -> Vec<&'static str> {
    stale(&TABLE, &reference().into_iter().map(|entry| entry.path).collect::<Vec<_>>())
}

/// Every argument and block, in the order of the tables.
pub fn reference() -> Vec<Entry> {
    let mut out = vec![Entry {
        path: "job".to_owned(),
        kind: "block with a label, the id; exactly one".to_owned(),
        example: "job \"web\" { … }".to_owned(),
        field: "Job".to_owned(),
        required: true,
        sentence: TABLE.cell("job", 2),
        default: "",
    }];
    body("job", &JOB, &mut out, 0);
    out
}

fn body(path: &str, schema: &'static Body, out: &mut Vec<Entry>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for argument in schema.arguments {
        let own = format!("{path}.{}", argument.name);
        let told = TABLE.cell(&own, 1);
        out.push(Entry {
            kind: words(argument),
            example: format!("{} = {}", argument.name, if told.is_empty() { example(argument) } else { told }),
            field: super::decode::field_name(argument),
            required: argument.required,
            sentence: TABLE.cell(&own, 2),
            default: TABLE.cell(&own, 0),
            path: own,
        });
    }
    for block in schema.blocks {
        let own = format!("{path}.{}", block.name);
        out.push(Entry {
            path: own.clone(),
            kind: block_words(block),
            example: example_of_block(block, TABLE.cell(&own, 1)),
            field: shown(block.field),
            required: false,
            sentence: TABLE.cell(&own, 2),
            default: TABLE.cell(&own, 0),
        });
        if let Content::Body(inner) = block.content {
            body(&own, inner, out, depth + 1);
        }
    }
}

/// Fields in angle brackets are filled by what several blocks say together.
fn shown(field: &str) -> String {
    if field.starts_with('<') { String::new() } else { field.to_owned() }
}

pub(super) fn unit(name: &str) -> &'static str {
    match name {
        "cpu" => ", in MHz",
        "memory" | "memory_max" | "size" | "max_file_size" | "secrets" | "disk" => ", in MiB",
        "percent" => ", in percent",
        "mbits" => ", in Mbit/s",
        _ => "",
    }
}

fn words(argument: &Argument) -> String {
    let kind = match argument.kind {
        Kind::Text => "text".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Whole(low, high) if low <= i128::from(i64::MIN) && high >= i128::from(i64::MAX) => "whole number".to_owned(),
        Kind::Whole(low, high) => format!("whole number from {low} to {high}"),
        Kind::Duration => "duration".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Wholes(low, high) => format!("list of whole numbers from {low} to {high}"),
        Kind::TextMap => "map of texts".to_owned(),
    };
    format!("{kind}{}", unit(argument.name))
}

fn example(argument: &Argument) -> &'static str {
    match argument.kind {
        Kind::Text => "\"…\"",
        Kind::Bool => "true",
        Kind::Whole(_, high) if high < 2 => "1",
        Kind::Whole(..) => "10",
        Kind::Duration => "\"30s\"",
        Kind::Texts => "[\"a\", \"b\"]",
        Kind::Wholes(..) => "[80, 443]",
        Kind::TextMap => "{ key = \"value\" }",
    }
}

fn block_words(block: &BlockType) -> String {
    let content = match block.content {
        Content::Body(_) => "block",
        Content::TextMap(true) => "block or map of texts",
        Content::TextMap(false) => "block of texts",
        Content::TextListMap => "block of lists of texts",
        Content::Opaque => "block of anything",
    };
    let label = if block.label.is_empty() { "" } else { " with a label" };
    let times = match block.occurs {
        Occurs::Once => ", at most one",
        Occurs::LastCounts => ", the last one counts",
        Occurs::Many | Occurs::ByLabel => ", any number",
    };
    format!("{content}{label}{times}")
}

fn example_of_block(block: &BlockType, told: &str) -> String {
    match told {
        "" => block_example(block),
        told if told.starts_with('{') => format!("{} {told}", block.name),
        told => told.to_owned(),
    }
}

fn block_example(block: &BlockType) -> String {
    let label = if block.label.is_empty() { "" } else { " \"name\"" };
    match block.content {
        Content::Body(_) => format!("{}{label} {{ … }}", block.name),
        _ => format!("{}{label} {{ key = \"value\" }}", block.name),
    }
}
