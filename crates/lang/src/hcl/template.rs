//! The parts of a template: from the flat list in which they are read to the tree in which they nest.
//!
//! Strip markers and the indentation of `<<-` heredocs act on the flat list, text by text, where a heredoc has one text
//! per line.

use super::ast::{Expr, Name, Part, TemplateFor};
use crate::diag::Span;

/// A piece of a template as read.
pub(super) struct Flat {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) trim_left: bool,
    pub(super) trim_right: bool,
}

/// What a piece is.
pub(super) enum Kind {
    Literal(String),
    Interpolation(Expr),
    If(Expr),
    Else,
    EndIf,
    For(Option<Name>, Name, Expr),
    EndFor,
}

/// Ends the text collected so far.
pub(super) fn flush(flats: &mut Vec<Flat>, literal: &mut String) {
    if !literal.is_empty() {
        flats.push(Flat { kind: Kind::Literal(std::mem::take(literal)), span: Span::default(), trim_left: false, trim_right: false });
    }
}

/// Applies the strip markers: each takes the blanks from the text that it touches, in a heredoc up to the line end.
fn strip(flats: &mut [Flat]) {
    for at in 0..flats.len() {
        let left = std::mem::take(&mut flats[at].trim_left);
        let right = std::mem::take(&mut flats[at].trim_right);
        if left
            && at > 0
            && let Kind::Literal(text) = &mut flats[at - 1].kind
        {
            text.truncate(text.trim_end().len());
        }
        if right && let Some(Flat { kind: Kind::Literal(text), .. }) = flats.get_mut(at + 1) {
            let cut = text.len() - text.trim_start().len();
            text.drain(..cut);
        }
    }
}

/// Takes the smallest common indentation from all lines of a heredoc that are not blank.
///
/// # Compatibility
///
/// Strip markers act first, so a line whose start was stripped counts as not indented, and text whose line break was
/// stripped no longer starts a line.
pub(super) fn remove_indentation(flats: &mut [Flat]) {
    strip(flats);
    let mut smallest = usize::MAX;
    let mut starts = Vec::new();
    let mut line_start = true;
    for (at, flat) in flats.iter().enumerate() {
        let text = match &flat.kind {
            Kind::Literal(text) => Some(text),
            _ => None,
        };
        if std::mem::take(&mut line_start) {
            match text {
                Some(text) if text.ends_with('\n') && text.trim().is_empty() => {}
                Some(text) => {
                    smallest = smallest.min(text.chars().take_while(|c| c.is_whitespace()).count());
                    starts.push(at);
                }
                None => smallest = 0,
            }
        }
        line_start = text.is_some_and(|text| text.ends_with('\n'));
    }
    for at in starts {
        if let Kind::Literal(text) = &mut flats[at].kind {
            let cut: usize = text.chars().take(smallest).map(char::len_utf8).sum();
            text.drain(..cut);
        }
    }
}

type Found = (Span, &'static str, String);

/// Applies strip markers and nests the directives.
pub(super) fn build(mut flats: Vec<Flat>, whole: Span) -> (Vec<Part>, Vec<Found>) {
    strip(&mut flats);
    let mut builder = Builder { flats: flats.into_iter(), problems: Vec::new(), whole, depth: 0 };
    let mut parts = Vec::new();
    loop {
        match builder.sequence(&mut parts) {
            None => break,
            Some(end) => {
                let word = match end.kind {
                    Kind::Else => "else",
                    Kind::EndIf => "endif",
                    _ => "endfor",
                };
                builder.problems.push((
                    end.span,
                    "Unbalanced template directive",
                    format!("This \"{word}\" belongs to no open directive."),
                ));
            }
        }
    }
    (parts, builder.problems)
}

struct Builder {
    flats: std::vec::IntoIter<Flat>,
    problems: Vec<Found>,
    whole: Span,
    depth: u32,
}

impl Builder {
    /// Collects parts until the end or a closing directive, which is returned.
    fn sequence(&mut self, parts: &mut Vec<Part>) -> Option<Flat> {
        if self.depth >= super::parse::MAX_NESTING {
            self.problems.push((self.whole, "Nested too deeply", "This template nests too many directives.".to_owned()));
            return self.flats.by_ref().last();
        }
        self.depth += 1;
        let end = self.sequence_inside(parts);
        self.depth -= 1;
        end
    }

    fn sequence_inside(&mut self, parts: &mut Vec<Part>) -> Option<Flat> {
        let mut pending: Option<String> = None;
        loop {
            let next = self.flats.next();
            // A text that strip markers left nothing of still makes a text of what stands beside it.
            if !matches!(next, Some(Flat { kind: Kind::Literal(_), .. }))
                && let Some(text) = pending.take()
            {
                parts.push(Part::Literal(text.into()));
            }
            let flat = next?;
            match flat.kind {
                Kind::Literal(text) => pending.get_or_insert_default().push_str(&text),
                Kind::Interpolation(expr) => parts.push(Part::Interpolation(expr)),
                Kind::If(condition) => {
                    let (mut yes, mut no) = (Vec::new(), Vec::new());
                    let mut end = self.sequence(&mut yes);
                    if matches!(end, Some(Flat { kind: Kind::Else, .. })) {
                        end = self.sequence(&mut no);
                    }
                    self.closed(end, flat.span, "if");
                    parts.push(Part::If(condition, yes, no));
                }
                Kind::For(key, value, collection) => {
                    let mut body = Vec::new();
                    let end = self.sequence(&mut body);
                    self.closed(end, flat.span, "for");
                    parts.push(Part::For(Box::new(TemplateFor { key, value, collection, body })));
                }
                Kind::Else | Kind::EndIf | Kind::EndFor => return Some(flat),
            }
        }
    }

    fn closed(&mut self, end: Option<Flat>, opened: Span, word: &str) {
        match end {
            Some(Flat { kind: Kind::EndIf, .. }) if word == "if" => {}
            Some(Flat { kind: Kind::EndFor, .. }) if word == "for" => {}
            Some(other) => self.problems.push((
                other.span,
                "Unbalanced template directive",
                format!("The \"{word}\" directive before this is still open."),
            )),
            None => self.problems.push((
                if opened == Span::default() { self.whole } else { opened },
                "Unexpected end of template",
                format!("This \"{word}\" directive has no \"end{word}\"."),
            )),
        }
    }
}
