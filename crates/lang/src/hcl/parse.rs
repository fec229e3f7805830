//! The reader of the native syntax: text to syntax tree, all problems at once.
//!
//! The reader works on the text directly, without a token list. After a problem it goes on behind the line or the
//! bracket that holds it, so one mistake does not hide the next. Nesting is bounded by [`MAX_NESTING`].

mod expressions;
mod templates;

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Attribute, Block, Body, Expr, ExprKind, File, Name};
use super::template;
use super::value::{Value, is_identifier_part, is_identifier_start};
use crate::diag::{Problem, Source, Span};

/// Deepest nesting of blocks, brackets and templates that is read.
pub const MAX_NESTING: u32 = 100;
/// Longest chain of operators of one level, or of steps behind one value.
const MAX_CHAIN: u32 = 500;
/// With this many problems the rest of the text is given up.
const MAX_PROBLEMS: usize = 50;
/// Longest text that is read.
pub const MAX_SOURCE: usize = 64 << 20;

/// Reads a file. The tree holds everything that could be understood.
pub fn parse_file(source: &Source) -> (File, Vec<Problem>) {
    if source.text().len() > MAX_SOURCE {
        let problem = Problem::error("Text too long", format!("at most {MAX_SOURCE} bytes are read"));
        return (File { body: Body::default(), comments: Vec::new() }, vec![problem]);
    }
    let mut parser = Parser::new(source, source.text(), 0);
    if source.text().starts_with('\u{feff}') {
        parser.at = 3;
    }
    let body = parser.body(None);
    // What swallows the rest of the text leaves every block around it open: that follows from it.
    if parser.problems.iter().any(|problem| problem.summary.starts_with("Unterminated")) {
        parser.problems.retain(|problem| problem.summary != "Unclosed configuration block");
    }
    (File { body, comments: parser.comments }, parser.problems)
}

/// Reads a single expression.
pub fn parse_expression(source: &Source) -> Result<Expr, Vec<Problem>> {
    let mut parser = Parser::new(source, source.text(), 0);
    let expr = parser.expression();
    parser.ignore_newlines = true;
    parser.skip();
    if parser.problems.is_empty() && parser.at < parser.text.len() {
        parser.problem(parser.here(), "Extra characters after expression", "The expression ends before this.");
    }
    match expr {
        Some(expr) if parser.problems.is_empty() => Ok(expr),
        _ => Err(parser.problems),
    }
}

/// Reads a template from a string of a JSON text that stands at `offset`.
pub(crate) fn parse_string_template(source: &Source, text: &str, offset: usize) -> Result<Expr, Vec<Problem>> {
    let mut parser = Parser::new(source, text, offset);
    let mut flats = Vec::new();
    let mut literal = String::new();
    let start = parser.at;
    while parser.at < parser.text.len() {
        if !parser.sequence(&mut flats, &mut literal) {
            parser.literal_char(&mut literal);
        }
    }
    template::flush(&mut flats, &mut literal);
    let span = parser.span_from(start);
    let expr = parser.finish_template(flats, span);
    if parser.problems.is_empty() { Ok(expr) } else { Err(parser.problems) }
}

pub(crate) struct Parser<'a> {
    source: &'a Source,
    text: &'a str,
    offset: usize,
    at: usize,
    ignore_newlines: bool,
    depth: u32,
    /// Set when the rest of the text is given up.
    aborted: bool,
    pub(crate) problems: Vec<Problem>,
    comments: Vec<Span>,
    /// Where the line ends on which a list was left open; nowhere while there is none.
    left_open: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a Source, text: &'a str, offset: usize) -> Self {
        Self {
            source,
            text,
            offset,
            at: 0,
            ignore_newlines: false,
            depth: 0,
            aborted: false,
            problems: Vec::new(),
            comments: Vec::new(),
            left_open: usize::MAX,
        }
    }

    // -- places and problems ------------------------------------------------------------------------------------

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(start + self.offset, end + self.offset)
    }

    fn span_from(&self, start: usize) -> Span {
        self.span(start, self.at)
    }

    fn here(&self) -> Span {
        let width = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        self.span(self.at, self.at + width)
    }

    pub(crate) fn problem(&mut self, span: Span, summary: &str, detail: impl Into<String>) {
        self.problem_with_hint(span, summary, detail, None);
    }

    fn problem_with_hint(&mut self, span: Span, summary: &str, detail: impl Into<String>, hint: Option<String>) {
        if self.aborted {
            return;
        }
        self.problems.push(Problem::error(summary, detail).at(self.source, span).maybe_hint(hint));
        if self.problems.len() >= MAX_PROBLEMS {
            self.abort();
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_NESTING {
            if !self.aborted {
                self.problem(self.here(), "Nested too deeply", format!("At most {MAX_NESTING} levels of nesting are read."));
            }
            self.abort();
            return None;
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Ends the reading: what follows is not looked at.
    fn abort(&mut self) {
        self.aborted = true;
        self.at = self.text.len();
    }

    fn chained(&mut self, chain: &mut u32) -> Option<()> {
        *chain += 1;
        if *chain > MAX_CHAIN {
            self.problem(self.here(), "Expression too long", format!("At most {MAX_CHAIN} operators or steps may follow each other."));
            self.abort();
            return None;
        }
        Some(())
    }

    /// Runs `read` with newlines treated as blanks, or not.
    fn with_newlines<T>(&mut self, ignored: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.ignore_newlines, ignored);
        let result = read(self);
        self.ignore_newlines = before;
        result
    }

    // -- characters -----------------------------------------------------------------------------------------------

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn ahead(&self, text: &str) -> bool {
        self.text.as_bytes()[self.at..].starts_with(text.as_bytes())
    }

    fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.ahead(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Passes blanks and comments, and newlines when they do not matter here.
    fn skip(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\n' if self.ignore_newlines => self.at += 1,
                b'\r' if self.ignore_newlines || bytes.get(self.at + 1) == Some(&b'\n') => {
                    if !self.ignore_newlines {
                        return;
                    }
                    self.at += 1;
                }
                b'#' => self.line_comment(),
                b'/' if bytes.get(self.at + 1) == Some(&b'/') => self.line_comment(),
                b'/' if bytes.get(self.at + 1) == Some(&b'*') => {
                    let start = self.at;
                    match self.text[self.at + 2..].find("*/") {
                        Some(length) => self.at += length + 4,
                        None => {
                            self.at = self.text.len();
                            let span = self.span(start, start + 2);
                            self.problem(span, "Unterminated comment", "There is no \"*/\" that ends this comment.");
                        }
                    }
                    self.comments.push(self.span_from(start));
                }
                _ => return,
            }
        }
    }

    fn line_comment(&mut self) {
        let start = self.at;
        let length = self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at);
        self.at += length;
        self.comments.push(self.span_from(start));
    }

    fn skip_with_newlines(&mut self) {
        self.with_newlines(true, Self::skip);
    }

    fn at_newline(&self) -> bool {
        self.peek() == b'\n' || self.ahead("\r\n")
    }

    fn identifier(&mut self) -> Option<Name> {
        let rest = &self.text[self.at..];
        if !rest.starts_with(is_identifier_start) {
            return None;
        }
        let length = rest.find(|c| !is_identifier_part(c)).unwrap_or(rest.len());
        let start = self.at;
        self.at += length;
        Some(Name { text: Arc::from(&rest[..length]), span: self.span_from(start) })
    }

    fn invalid_character(&mut self) {
        let Some(c) = self.text[self.at..].chars().next() else { return };
        let detail = match c {
            '\'' => "Strings stand between double quotes (\"), not single quotes.".to_owned(),
            '“' | '”' | '„' => "Strings stand between plain double quotes (\").".to_owned(),
            '`' => "A back quote has no meaning here; a text of several lines is a heredoc, as in <<EOT.".to_owned(),
            ';' => "Arguments and blocks end with a newline, elements of a collection with a comma, never with \";\".".to_owned(),
            _ => format!("The character {c:?} is not used by the language here."),
        };
        self.problem(self.here(), "Invalid character", detail);
    }

    // -- bodies ---------------------------------------------------------------------------------------------------

    /// The content of a file (`open` is none) or of a block, whose closing brace is consumed.
    fn body(&mut self, open: Option<Span>) -> Body {
        let mut body = Body::default();
        let mut seen = HashMap::new();
        loop {
            self.skip_with_newlines();
            if self.at_end() {
                if let Some(open) = open {
                    self.problem(
                        open,
                        "Unclosed configuration block",
                        "There is no closing brace for this block before the end of the file.",
                    );
                }
                break;
            }
            if self.peek() == b'}' {
                if open.is_some() {
                    self.at += 1;
                    body.end = self.span(self.at - 1, self.at);
                    return body;
                }
                self.problem(self.here(), "Unexpected closing brace", "No block is open here.");
                self.at += 1;
                continue;
            }
            let start = self.at;
            if self.item(&mut body, &mut seen).is_none() {
                self.recover(start);
            }
        }
        body.end = self.span(self.at, self.at);
        body
    }

    /// One argument or block with its line end; `None` asks to recover.
    fn item(&mut self, body: &mut Body, seen: &mut HashMap<Arc<str>, Span>) -> Option<()> {
        let Some(name) = self.identifier() else {
            match self.peek() {
                b'\'' | b'`' | b';' => self.invalid_character(),
                b'"' => self.problem(self.here(), "Invalid argument name", "Names of arguments and blocks are not quoted."),
                _ => self.problem(
                    self.here(),
                    "Argument or block definition required",
                    "An argument (name = value) or a block (name { … }) is expected here.",
                ),
            }
            return None;
        };
        self.skip();
        if self.peek() == b'=' && !self.ahead("==") {
            self.at += 1;
            let value = self.expression()?;
            self.attribute(body, seen, name, value);
            return self.line_end("argument");
        }
        if matches!(self.peek(), b'{' | b'"') || self.text[self.at..].starts_with(is_identifier_start) {
            let block = self.block(name)?;
            body.blocks.push(block);
            return self.line_end("block");
        }
        if matches!(self.peek(), b'\'' | b'`' | b';') || self.text[self.at..].starts_with(['“', '”', '„']) {
            self.invalid_character();
            return None;
        }
        let hint = (self.peek() == b':').then(|| "Use \"=\" to give an argument its value.".to_owned());
        self.problem_with_hint(
            name.span,
            "Argument or block definition required",
            format!("\"{}\" must be followed by \"=\" and a value, or by a block in braces.", name.text),
            hint,
        );
        None
    }

    fn attribute(&mut self, body: &mut Body, seen: &mut HashMap<Arc<str>, Span>, name: Name, value: Expr) {
        if let Some(first) = seen.insert(Arc::clone(&name.text), name.span) {
            let line = self.source.place(first).line;
            self.problem(
                name.span,
                "Attribute redefined",
                format!("The argument \"{}\" was already set on line {line}; an argument may be set only once.", name.text),
            );
            return;
        }
        body.attributes.push(Attribute { name, value });
    }

    fn line_end(&mut self, what: &str) -> Option<()> {
        self.skip();
        if self.at_end() || self.at_newline() {
            return Some(());
        }
        if matches!(self.peek(), b'\'' | b'`' | b';') {
            self.invalid_character();
            return None;
        }
        let detail = match self.peek() {
            b'&' => "There are no bitwise operators; the boolean AND is \"&&\".".to_owned(),
            b'|' => "There are no bitwise operators; the boolean OR is \"||\".".to_owned(),
            b'^' => "There are no bitwise operators.".to_owned(),
            _ => format!("This {what} must end with a newline."),
        };
        self.problem(self.here(), &format!("Missing newline after {what}"), detail);
        None
    }

    fn block(&mut self, kind: Name) -> Option<Block> {
        let mut labels = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                b'{' => break,
                b'"' => labels.push(self.label()?),
                _ => match self.identifier() {
                    Some(name) => labels.push(name),
                    None => {
                        if matches!(self.peek(), b'\'' | b'`' | b';') {
                            self.invalid_character();
                        } else if self.peek() == b'=' {
                            self.problem(
                                self.here(),
                                "Invalid block definition",
                                "A name and \"=\" must be on their own; was a newline forgotten?",
                            );
                        } else {
                            self.problem(
                                self.here(),
                                "Invalid block definition",
                                "A quoted label or an opening brace is expected on the line of the block type.",
                            );
                        }
                        return None;
                    }
                },
            }
        }
        let open = self.here();
        self.at += 1;
        let body = self.nested(|parser| parser.block_body(open))?;
        Some(Block { kind, labels, open, body })
    }

    fn block_body(&mut self, open: Span) -> Option<Body> {
        self.skip();
        if self.at_newline() || self.at_end() {
            return Some(self.body(Some(open)));
        }
        let mut body = Body::default();
        if self.peek() == b'}' {
            self.at += 1;
            body.end = self.span(self.at - 1, self.at);
            return Some(body);
        }
        let Some(name) = self.identifier() else {
            self.problem(self.here(), "Argument definition required", "A block on one line holds at most one argument.");
            return None;
        };
        self.skip();
        if self.peek() != b'=' || self.ahead("==") {
            self.problem(
                name.span,
                "Argument definition required",
                "A block on one line holds at most one argument; write nested blocks on lines of their own.",
            );
            return None;
        }
        self.at += 1;
        let value = self.expression()?;
        self.attribute(&mut body, &mut HashMap::new(), name, value);
        self.skip();
        if self.peek() != b'}' {
            let detail = if self.at_newline() || self.at_end() {
                "A block whose argument stands on the line of its opening brace must be closed on that line."
            } else {
                "A block on one line holds at most one argument."
            };
            self.problem(self.here(), "Invalid single-argument block definition", detail);
            return None;
        }
        self.at += 1;
        body.end = self.span(self.at - 1, self.at);
        Some(body)
    }

    /// A quoted label, which must be plain text.
    fn label(&mut self) -> Option<Name> {
        let start = self.at;
        let expr = self.quoted()?;
        match expr.kind {
            ExprKind::Literal(Value::String(text)) => Some(Name { text, span: self.span_from(start) }),
            _ => {
                self.problem_with_hint(
                    expr.span,
                    "Invalid string literal",
                    "A block label is plain text; template sequences are not possible here.",
                    Some("Double the \"$\" to mean the character, or use a dynamic block.".to_owned()),
                );
                None
            }
        }
    }

    /// Goes behind the item that starts at `start`: to the first line end outside of brackets.
    fn recover(&mut self, start: usize) {
        if self.left_open == self.at && self.at > start {
            // A list that nobody closed: the next line goes on with the body.
            return;
        }
        let bytes = self.text.as_bytes();
        let mut depth = 0i32;
        let mut at = start;
        let mut quoted = false;
        while at < bytes.len() {
            match bytes[at] {
                b'\n' => {
                    quoted = false;
                    if depth <= 0 && at >= self.at {
                        break;
                    }
                }
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b'#' if !quoted => {
                    while at + 1 < bytes.len() && bytes[at + 1] != b'\n' {
                        at += 1;
                    }
                }
                b'{' | b'[' | b'(' if !quoted => depth += 1,
                b'}' if !quoted && depth <= 0 && at >= self.at => break,
                b'}' | b']' | b')' if !quoted => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        if depth > 0 && at >= bytes.len() {
            // A bracket stays open: give up the line only.
            at = self.text[self.at..].find('\n').map_or(bytes.len(), |length| self.at + length);
        }
        self.at = at.min(bytes.len()).max(start + usize::from(at == start));
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}
