//! What the table of agent configuration says, for people: one entry per key.

use std::sync::LazyLock;

use crate::attributes::{Table, stale};

use super::schema::{Key, Kind, Lists, ROOT, Repeat};
use super::{Json, Partial};

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("keys.txt")));

/// A key of agent configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands: `client.gc_interval`.
    pub path: String,
    /// Its type in words.
    pub kind: String,
    /// The built-in default, in words where it is none of the language.
    pub default: String,
    /// What a later file does to an earlier one.
    pub merging: String,
    /// What it does, in a sentence.
    pub sentence: &'static str,
    /// How it is written.
    pub example: String,
    /// Whether this version does something with it.
    pub acts: bool,
}

/// Lines of the table of sentences that belong to no key.
pub fn stale_sentences() -> Vec<&'static str> {
    stale(&TABLE, &reference().into_iter().map(|entry| entry.path).collect::<Vec<_>>())
}

/// Every key, in the order of the table.
pub fn reference() -> Vec<Entry> {
    let defaults = Partial::defaults();
    let mut out = Vec::new();
    keys("", &ROOT, false, &defaults, &mut out);
    out
}

fn keys(path: &str, parent: &Key, inside: bool, defaults: &Partial, out: &mut Vec<Entry>) {
    for key in &parent.keys {
        let acts = inside || key.acts;
        let own = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
        let default = defaults.get(&own).filter(|value| !value.is_object() && !value.is_array() || key.kind != Kind::Block);
        out.push(Entry {
            kind: words(key),
            default: default.map_or_else(|| without_default(key, TABLE.cell(&own, 2)), Json::to_string),
            merging: merging(key),
            sentence: TABLE.cell(&own, 1),
            example: match TABLE.cell(&own, 0) {
                block if key.kind == Kind::Block => block.to_owned(),
                value => format!("{} = {value}", key.name),
            },
            acts: acts || key.acts_inside(),
            path: own.clone(),
        });
        keys(&own, key, acts, defaults, out);
    }
}

/// What holds where the reader leaves a key open: what the table says, else nothing of its kind.
fn without_default(key: &Key, said: &str) -> String {
    match key.kind {
        _ if !said.is_empty() => said,
        Kind::Bool { .. } | Kind::Present | Kind::Switch => "false",
        Kind::Whole { .. } | Kind::Number { .. } => "0",
        _ => "none",
    }
    .to_owned()
}

fn words(key: &Key) -> String {
    match key.kind {
        Kind::Text { .. } => "text",
        Kind::Address => "address",
        Kind::Whole { .. } => "whole number",
        Kind::Number { .. } => "number",
        Kind::Bool { .. } | Kind::Present | Kind::Switch => "true or false",
        Kind::Duration { .. } | Kind::Interval => "duration",
        Kind::List(_) => "list of texts",
        Kind::Map => "map of texts",
        Kind::Block => match key.repeat {
            Repeat::Append | Repeat::ByName | Repeat::OverName | Repeat::Providers => "block with a label, any number",
            Repeat::Clusters => "block, one for each name",
            _ => "block",
        },
    }
    .to_owned()
}

fn merging(key: &Key) -> String {
    match (key.kind, key.repeat) {
        (Kind::Block, Repeat::Whole | Repeat::OverName) => "a later one replaces it",
        (Kind::Block, Repeat::Append) => "all are kept",
        (Kind::Block, Repeat::Once) => "once in a file",
        (Kind::Block, _) => "merged key by key",
        (Kind::Map, _) => "merged entry by entry",
        (Kind::List(Lists::Append), _) => "later ones are added",
        (Kind::List(Lists::Union), _) => "later ones are added once",
        (
            Kind::Text { explicit: true }
            | Kind::Whole { explicit: true }
            | Kind::Number { explicit: true }
            | Kind::Bool { explicit: true }
            | Kind::Duration { explicit: true }
            | Kind::Present
            | Kind::Switch
            | Kind::List(Lists::ReplaceAlways),
            _,
        ) => "a later value wins",
        _ => "a later value wins unless it is empty",
    }
    .to_owned()
}
