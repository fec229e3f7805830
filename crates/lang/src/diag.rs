//! Problems found in text that a person wrote, and how they are shown.
//!
//! A [`Problem`] says what is wrong, where, and how to go on. Readers of job files and agent configuration collect
//! all problems of a text before they give up; [`render`] shows one with its source line and an underline.

use std::fmt;
use std::sync::Arc;

/// A half-open range of bytes in a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end`; texts above 4 GiB are refused before parsing, so the offsets fit.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end.max(start) as u32 }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The text that the span covers, empty when it lies outside of `source`.
    pub fn text(self, source: &str) -> &str {
        source.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

/// Whether a problem stops the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The text cannot be used.
    Error,
    /// The text is used, but probably does not say what was meant.
    Warning,
}

/// A place in a named file, counted from one; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the file as the caller gave it.
    pub file: Arc<str>,
    /// Bytes covered.
    pub span: Span,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One thing wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// A few words that name the kind of problem.
    pub summary: String,
    /// What exactly is wrong here.
    pub detail: String,
    /// Where, when it has a place.
    pub place: Option<Place>,
    /// A way out, such as a near miss.
    pub hint: Option<String>,
    /// Where the value that is wrong here comes from, when that is elsewhere.
    pub cause: Option<Cause>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In words, when it has no place.
    pub text: String,
    /// In a file.
    pub place: Option<Place>,
}

impl Problem {
    /// An error without a place.
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Error, summary: summary.into(), detail: detail.into(), place: None, hint: None, cause: None }
    }

    /// A warning without a place.
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(summary, detail) }
    }

    /// The same problem at `span` of `source`.
    #[must_use]
    pub fn at(mut self, source: &Source, span: Span) -> Self {
        self.place = Some(source.place(span));
        self
    }

    /// The same problem with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with a way out, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Whether the problem stops the reading.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `file:line,column: summary; detail (hint)`, on one line as far as the texts have one.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let width = (place.span.end - place.span.start).max(1);
            write!(f, "{}:{},{}-{}: ", place.file, place.line, place.column, place.column + width)?;
        }
        write!(f, "{}; {}", self.summary, self.detail)?;
        if let Some(hint) = &self.hint {
            write!(f, " {hint}")?;
        }
        match &self.cause {
            Some(Cause { place: Some(place), .. }) => write!(f, " The value comes from {}:{},{}.", place.file, place.line, place.column),
            Some(Cause { text, .. }) => write!(f, " It is {text}."),
            None => Ok(()),
        }
    }
}

/// A named text with its line starts, which turns spans into places.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    lines: Vec<u32>,
}

impl Source {
    /// Indexes the lines of `text`.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text: Arc<str> = text.into();
        let lines = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    /// The name given by the caller.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of the start of `span`.
    pub fn place(&self, span: Span) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start).max(1);
        let start = self.lines[line - 1];
        let column = Span { start, end: span.start }.text(&self.text).chars().count() as u32 + 1;
        Place { file: Arc::clone(&self.name), span, line: line as u32, column }
    }

    /// The text of a line counted from one, without its line end.
    pub fn line(&self, line: u32) -> &str {
        let index = line.saturating_sub(1) as usize;
        let Some(start) = self.lines.get(index) else { return "" };
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        self.text[*start as usize..end].trim_end_matches(['\n', '\r'])
    }
}

/// Shows a problem for a person: message, place, the source line underlined, and the way out.
pub fn render(problem: &Problem, sources: &[&Source]) -> String {
    let word = match problem.severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    };
    let mut out = format!("{word}: {}\n", problem.summary);
    if let Some(place) = &problem.place {
        out.push_str(&format!("  on {} line {}, column {}:\n", place.file, place.line, place.column));
        out.push_str(&underlined(place, sources));
    }
    if !problem.detail.is_empty() {
        out.push_str(&format!("  {}\n", problem.detail));
    }
    if let Some(hint) = &problem.hint {
        out.push_str(&format!("  {hint}\n"));
    }
    out.push_str(&explained(problem, sources));
    out
}

/// The line of a place with the place underlined; empty when its source is not at hand.
pub fn underlined(place: &Place, sources: &[&Source]) -> String {
    let Some(source) = sources.iter().find(|source| source.name == place.file) else { return String::new() };
    let shown: String = source.line(place.line).chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
    let column = place.column as usize - 1;
    let room = shown.chars().count().saturating_sub(column).max(1);
    let width = place.span.text(&source.text).lines().next().map_or(1, |text| text.chars().count().max(1));
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    format!("  {number} | {shown}\n  {margin} | {}{}\n", " ".repeat(column), "^".repeat(width.min(room)))
}

/// Where the value comes from that a problem is about, with its line; empty when that is where the problem is.
pub fn explained(problem: &Problem, sources: &[&Source]) -> String {
    match &problem.cause {
        Some(Cause { place: Some(place), .. }) => {
            format!("  The value comes from line {}, column {}:\n{}", place.line, place.column, underlined(place, sources))
        }
        Some(Cause { text, .. }) => format!("  It is {text}.\n"),
        None => String::new(),
    }
}

/// The problems as JSON, for programs.
pub fn json(problems: &[Problem]) -> serde_json::Value {
    let list: Vec<serde_json::Value> = problems
        .iter()
        .map(|problem| {
            let shown = |place: &Place| {
                serde_json::json!({
                    "File": &*place.file,
                    "Line": place.line,
                    "Column": place.column,
                    "Start": place.span.start,
                    "End": place.span.end,
                })
            };
            let cause =
                problem.cause.as_ref().map(|cause| serde_json::json!({ "Text": cause.text, "Place": cause.place.as_ref().map(shown) }));
            serde_json::json!({
                "Severity": if problem.is_error() { "error" } else { "warning" },
                "Summary": problem.summary,
                "Detail": problem.detail,
                "Hint": problem.hint,
                "Place": problem.place.as_ref().map(shown),
                "Cause": cause,
            })
        })
        .collect();
    serde_json::json!({ "Diagnostics": list })
}

/// The candidate that a misspelt word most likely stands for, if one is near enough.
pub fn near_miss<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A question that offers the near miss of `word`, if there is one.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    near_miss(word, candidates).map(|candidate| format!("Did you mean \"{candidate}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_line_and_underline() {
        let source = Source::new("web.hcl", "job \"x\" {\n\tcolour = 1\n}\n");
        let problem = Problem::error("Unsupported argument", "There is no argument \"colour\" here.")
            .at(&source, Span::new(11, 17))
            .hint("Did you mean \"count\"?");
        assert_eq!(
            render(&problem, &[&source]),
            "Error: Unsupported argument\n  on web.hcl line 2, column 2:\n  2 |  colour = 1\n    |  ^^^^^^\n  There is no \
             argument \"colour\" here.\n  Did you mean \"count\"?\n"
        );
    }

    #[test]
    fn offers_only_near_words() {
        assert_eq!(near_miss("datacentres", ["datacenters", "name"]), Some("datacenters"));
        assert_eq!(near_miss("colour", ["datacenters", "name"]), None);
    }
}
