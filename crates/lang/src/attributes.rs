//! The tables of sentences from which the reference pages are made: lines of cells with `|` between them.
//!
//! A line is for a place, the end of a path; of several lines that fit a path, the one with the longest place counts.

use std::collections::BTreeMap;

/// A table by place.
pub(crate) struct Table(BTreeMap<&'static str, Vec<&'static str>>);

impl Table {
    /// Reads a table; lines that begin with `#` say what it is.
    pub(crate) fn read(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self(
            lines
                .filter_map(|line| {
                    let mut cells = line.split('|').map(str::trim);
                    Some((cells.next()?, cells.collect()))
                })
                .collect(),
        )
    }

    /// The place whose line counts for a path.
    pub(crate) fn place(&self, path: &str) -> Option<&'static str> {
        let ends = std::iter::once(0).chain(path.match_indices('.').map(|(at, _)| at + 1)).map(|start| &path[start..]);
        ends.into_iter().find_map(|end| self.0.get_key_value(end)).map(|(place, _)| *place)
    }

    /// A cell of the line for a path, counted from 0 behind the place; empty where there is none.
    pub(crate) fn cell(&self, path: &str, at: usize) -> &'static str {
        self.place(path).and_then(|place| self.0[place].get(at)).copied().unwrap_or_default()
    }

    /// All places.
    pub(crate) fn places(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

/// Lines that no path takes.
pub(crate) fn stale(table: &Table, paths: &[String]) -> Vec<&'static str> {
    let used: Vec<&str> = paths.iter().filter_map(|path| table.place(path)).collect();
    table.places().filter(|place| !used.contains(place)).collect()
}
