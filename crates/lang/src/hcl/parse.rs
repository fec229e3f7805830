//! The reader of the native syntax: text to syntax tree, all problems at once.
//!
//! The reader works on the text directly, without a token list. After a problem it goes on behind the line or the
//! bracket that holds it, so one mistake does not hide the next. Nesting is bounded by [`MAX_NESTING`].

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Attribute, BinaryOperator, Block, Body, Call, Expr, ExprKind, File, For, Name, Part, Reference, Step, UnaryOperator};
use super::number::Number;
use super::template::{self, Flat};
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

    // -- expressions ----------------------------------------------------------------------------------------------

    /// An expression, blanks before it passed.
    pub(crate) fn expression(&mut self) -> Option<Expr> {
        self.nested(Self::conditional)
    }

    fn conditional(&mut self) -> Option<Expr> {
        let condition = self.binary(0)?;
        self.skip();
        if self.peek() != b'?' || self.ahead("??") {
            if self.ahead("??") {
                self.at += 1;
                self.invalid_expression();
                return None;
            }
            return Some(condition);
        }
        self.at += 1;
        let yes = self.expression()?;
        self.skip();
        if self.peek() != b':' {
            self.problem(self.here(), "Missing false expression in conditional", "A conditional has the form condition ? yes : no.");
            return None;
        }
        self.at += 1;
        let no = self.expression()?;
        Some(Expr { span: condition.span.to(no.span), kind: ExprKind::Conditional(Box::new([condition, yes, no])) })
    }

    fn operator(&self) -> Option<(BinaryOperator, u8, usize)> {
        use BinaryOperator as B;
        let bytes = self.text.as_bytes();
        let next = bytes.get(self.at + 1).copied().unwrap_or(0);
        Some(match (self.peek(), next) {
            (b'|', b'|') => (B::Or, 0, 2),
            (b'&', b'&') => (B::And, 1, 2),
            (b'=', b'=') => (B::Equal, 2, 2),
            (b'!', b'=') => (B::NotEqual, 2, 2),
            (b'<', b'=') => (B::LessOrEqual, 3, 2),
            (b'>', b'=') => (B::GreaterOrEqual, 3, 2),
            (b'<', _) => (B::Less, 3, 1),
            (b'>', _) => (B::Greater, 3, 1),
            (b'+', _) => (B::Add, 4, 1),
            (b'-', _) => (B::Subtract, 4, 1),
            (b'*', _) => (B::Multiply, 5, 1),
            (b'/', _) => (B::Divide, 5, 1),
            (b'%', _) => (B::Remainder, 5, 1),
            _ => return None,
        })
    }

    fn binary(&mut self, level: u8) -> Option<Expr> {
        let mut left = self.unary()?;
        let mut chain = 0;
        loop {
            self.chained(&mut chain)?;
            self.skip();
            let Some((operator, precedence, length)) = self.operator() else { return Some(left) };
            if precedence < level {
                return Some(left);
            }
            self.at += length;
            let right = self.nested(|parser| parser.binary(precedence + 1))?;
            left = Expr { span: left.span.to(right.span), kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)) };
        }
    }

    fn unary(&mut self) -> Option<Expr> {
        self.skip();
        let start = self.at;
        let operator = match self.peek() {
            b'-' => UnaryOperator::Negate,
            b'!' if !self.ahead("!=") => UnaryOperator::Not,
            _ => return self.postfix(),
        };
        self.at += 1;
        let operand = self.nested(Self::unary)?;
        Some(Expr { span: self.span(start, start).to(operand.span), kind: ExprKind::Unary(operator, Box::new(operand)) })
    }

    fn postfix(&mut self) -> Option<Expr> {
        let term = self.term()?;
        self.steps(term, false)
    }

    /// Attribute, index and splat steps behind `base`; only attribute steps when `attributes_only`.
    fn steps(&mut self, mut base: Expr, attributes_only: bool) -> Option<Expr> {
        let mut indexed_by_dot = false;
        let mut chain = 0;
        loop {
            self.chained(&mut chain)?;
            let before = self.at;
            self.skip();
            if self.peek() == b'.' && !self.ahead("...") {
                self.at += 1;
                self.skip();
                if self.peek() == b'*' && !attributes_only {
                    self.at += 1;
                    base = self.splat(base, true)?;
                    continue;
                }
                let start = self.at;
                if let Some(name) = self.identifier() {
                    indexed_by_dot = false;
                    base = self.attribute_step(base, name);
                    continue;
                }
                let digits = self.text[self.at..].bytes().take_while(u8::is_ascii_digit).count();
                if digits > 0 {
                    self.at += digits;
                    let span = self.span_from(start);
                    if indexed_by_dot {
                        self.problem(
                            span,
                            "Invalid legacy index syntax",
                            "Two indexes written with dots cannot follow each other; write [0][1].",
                        );
                        return None;
                    }
                    indexed_by_dot = true;
                    let number = Number::parse(&self.text[start..self.at]).unwrap_or(Number::Int(0));
                    base = self.index_step(base, Expr { span, kind: ExprKind::Literal(Value::Number(number)) }, span);
                    continue;
                }
                self.problem(self.here(), "Invalid attribute name", "An attribute name is required after a dot.");
                return None;
            }
            if self.peek() == b'[' && !attributes_only {
                let start = self.at;
                self.at += 1;
                indexed_by_dot = false;
                let star = self.with_newlines(true, |parser| {
                    parser.skip();
                    let star = parser.eat("*");
                    if star {
                        parser.skip();
                        if !parser.eat("]") {
                            parser.problem(
                                parser.here(),
                                "Missing close bracket on splat index",
                                "The star must be followed by a closing bracket.",
                            );
                            return None;
                        }
                    }
                    Some(star)
                })?;
                if star {
                    base = self.splat(base, false)?;
                    continue;
                }
                let key = self.with_newlines(true, |parser| {
                    let key = parser.expression()?;
                    parser.skip();
                    if !parser.eat("]") {
                        parser.problem(parser.here(), "Missing close bracket on index", "The index must be followed by a closing bracket.");
                        return None;
                    }
                    Some(key)
                })?;
                let span = self.span_from(start);
                base = self.index_step(base, key, span);
                continue;
            }
            self.at = before;
            break;
        }
        self.finish_reference(&mut base);
        Some(base)
    }

    fn attribute_step(&mut self, mut base: Expr, name: Name) -> Expr {
        base.span = base.span.to(name.span);
        match base.kind {
            ExprKind::Reference(ref mut reference) => {
                reference.steps.push(Step::Attribute(name));
                base
            }
            _ => Expr { span: base.span, kind: ExprKind::Attribute(Box::new(base), name) },
        }
    }

    fn index_step(&mut self, mut base: Expr, key: Expr, span: Span) -> Expr {
        let whole = base.span.to(span);
        if let (ExprKind::Reference(reference), ExprKind::Literal(value)) = (&mut base.kind, &key.kind)
            && matches!(value, Value::Number(_) | Value::String(_))
        {
            reference.steps.push(Step::Index(value.clone(), span));
            base.span = whole;
            return base;
        }
        self.finish_reference(&mut base);
        Expr { span: whole, kind: ExprKind::Index(Box::new(base), Box::new(key)) }
    }

    fn splat(&mut self, mut base: Expr, attributes_only: bool) -> Option<Expr> {
        self.finish_reference(&mut base);
        let span = self.span_from(self.at);
        let item = Expr { span, kind: ExprKind::SplatItem };
        let each = self.nested(|parser| parser.steps(item, attributes_only))?;
        Some(Expr { span: base.span.to(self.span_from(self.at)), kind: ExprKind::Splat(Box::new(base), Box::new(each)) })
    }

    /// Notes the text that stands for a reference whose first name nobody knows.
    fn finish_reference(&self, expr: &mut Expr) {
        let ExprKind::Reference(reference) = &mut expr.kind else { return };
        if !reference.text.is_empty() || matches!(&*reference.root.text, "var" | "local") {
            return;
        }
        let start = expr.span.start as usize - self.offset;
        let end = expr.span.end as usize - self.offset;
        let before = self.text[..start].trim_end_matches(' ');
        let behind = self.text[end..].trim_start_matches(' ');
        if before.ends_with("${") && behind.starts_with('}') {
            // The braces that follow directly, blanks between them included, are taken along.
            let from = before.len() - 2;
            let mut to = self.text.len() - behind.len() + 1;
            loop {
                let rest = self.text[to..].trim_start_matches(' ');
                if !rest.starts_with('}') {
                    break;
                }
                to = self.text.len() - rest.len() + 1;
            }
            reference.text = Arc::from(&self.text[from..to]);
            return;
        }
        reference.text = format!("${{{}}}", &self.text[start..end]).into();
    }

    fn invalid_expression(&mut self) {
        if matches!(self.peek(), b'\'' | b'`' | b';' | b'@') {
            self.invalid_character();
            return;
        }
        let detail = if self.at_end() {
            "An expression is expected, but the text ends here.".to_owned()
        } else if self.at_newline() {
            "An expression is expected, but the line ends here.".to_owned()
        } else {
            let c = self.text[self.at..].chars().next().unwrap_or(' ');
            format!("An expression is expected, not {c:?}.")
        };
        let hint = match self.peek() {
            b'.' => Some("A number needs a digit before its point.".to_owned()),
            b'~' => Some("There are no bitwise operators; the boolean NOT is \"!\".".to_owned()),
            _ => None,
        };
        self.problem_with_hint(self.here(), "Invalid expression", detail, hint);
    }

    fn term(&mut self) -> Option<Expr> {
        self.skip();
        let start = self.at;
        match self.peek() {
            b'0'..=b'9' => Some(self.number()),
            b'"' => self.quoted(),
            b'(' => {
                self.at += 1;
                self.with_newlines(true, |parser| {
                    let inner = parser.expression()?;
                    parser.skip();
                    if !parser.eat(")") {
                        parser.problem(parser.here(), "Unbalanced parentheses", "A closing parenthesis is expected here.");
                        return None;
                    }
                    Some(Expr { span: parser.span_from(start), kind: ExprKind::Parentheses(Box::new(inner)) })
                })
            }
            b'[' => {
                self.at += 1;
                self.with_newlines(true, |parser| parser.tuple(start))
            }
            b'{' => {
                self.at += 1;
                self.object(start)
            }
            b'<' if self.ahead("<<") => self.heredoc(),
            _ => {
                let Some(name) = self.identifier() else {
                    self.invalid_expression();
                    return None;
                };
                let literal = match &*name.text {
                    "true" => Some(Value::Bool(true)),
                    "false" => Some(Value::Bool(false)),
                    "null" => Some(Value::NULL),
                    _ => None,
                };
                if let Some(value) = literal {
                    return Some(Expr { span: name.span, kind: ExprKind::Literal(value) });
                }
                let before = self.at;
                self.skip();
                if self.peek() == b'(' {
                    self.at += 1;
                    return self.with_newlines(true, |parser| parser.call(name));
                }
                if self.ahead("::") {
                    self.problem(self.here(), "Missing open parenthesis", "A name with \"::\" can only call a function.");
                    return None;
                }
                self.at = before;
                Some(Expr {
                    span: name.span,
                    kind: ExprKind::Reference(Box::new(Reference { root: name, steps: Vec::new(), text: Arc::from("") })),
                })
            }
        }
    }

    fn number(&mut self) -> Expr {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        self.at = digits(start);
        if bytes.get(self.at) == Some(&b'.') && bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            self.at = digits(self.at + 1);
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(self.at + 1), Some(b'+' | b'-')));
            if bytes.get(self.at + 1 + sign).is_some_and(u8::is_ascii_digit) {
                self.at = digits(self.at + 1 + sign);
            }
        }
        let span = self.span_from(start);
        let number = Number::parse(&self.text[start..self.at]).unwrap_or_else(|| {
            self.problem(span, "Invalid number", "This number is too large.");
            Number::Int(0)
        });
        Expr { span, kind: ExprKind::Literal(Value::Number(number)) }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = self.ahead(word) && !self.text[self.at + word.len()..].starts_with(is_identifier_part);
        if found {
            self.at += word.len();
        }
        found
    }

    fn tuple(&mut self, start: usize) -> Option<Expr> {
        self.skip();
        if self.keyword("for") {
            return self.for_expression(start, b']');
        }
        let mut members = Vec::new();
        loop {
            self.skip();
            if self.eat("]") {
                break;
            }
            if self.at_end() && !members.is_empty() {
                let span = self.span(start, start + 1);
                self.problem(span, "Unterminated tuple", "There is no closing bracket for this list.");
                return None;
            }
            members.push(self.expression()?);
            self.skip();
            if self.eat(",") || self.peek() == b']' {
                continue;
            }
            if self.at_end() {
                let span = self.span(start, start + 1);
                self.problem(span, "Unterminated tuple", "There is no closing bracket for this list.");
            } else if let Some(end) = self.next_item_behind(members.last().map_or(start, |last| last.span.end as usize - self.offset)) {
                let detail = "There is no closing bracket for this list before the next argument or block.";
                self.problem(self.span(start, start + 1), "Unterminated tuple", detail);
                self.at = end;
                self.left_open = self.at;
            } else {
                self.problem(self.here(), "Missing item separator", "A comma is expected between the elements of a list.");
            }
            return None;
        }
        Some(Expr { span: self.span_from(start), kind: ExprKind::Tuple(members) })
    }

    /// The end of the line that `end` is on, when what comes next stands on a line of its own and begins an argument or block.
    fn next_item_behind(&mut self, end: usize) -> Option<usize> {
        let newline = end + self.text.get(end..self.at)?.find('\n')?;
        let line = self.text[self.at..].lines().next()?;
        let name = line.split(|c| !is_identifier_part(c)).next().filter(|name| !name.is_empty())?;
        let rest = line[name.len()..].trim_start();
        let begins = rest.starts_with(['{', '"']) || rest.starts_with('=') && !rest.starts_with("==");
        begins.then_some(newline)
    }

    fn object(&mut self, start: usize) -> Option<Expr> {
        self.skip_with_newlines();
        if self.keyword("for") {
            return self.with_newlines(true, |parser| parser.for_expression(start, b'}'));
        }
        let mut members = Vec::new();
        loop {
            self.skip_with_newlines();
            if self.eat("}") {
                break;
            }
            if self.at_end() {
                let span = self.span(start, start + 1);
                self.problem(span, "Unterminated object", "There is no closing brace for this object.");
                return None;
            }
            let key = self.object_key()?;
            self.skip();
            if !(self.eat(":") || self.peek() == b'=' && !self.ahead("==") && self.eat("=")) {
                self.problem(self.here(), "Missing attribute value", "A key must be followed by \"=\" and its value.");
                return None;
            }
            let value = self.with_newlines(false, |parser| {
                let value = parser.expression()?;
                parser.skip();
                Some(value)
            })?;
            members.push((key, value));
            if self.eat(",") || self.at_newline() || self.peek() == b'}' || self.at_end() {
                continue;
            }
            self.problem(self.here(), "Missing attribute separator", "A newline or comma is expected between the members of an object.");
            return None;
        }
        Some(Expr { span: self.span_from(start), kind: ExprKind::Object(members) })
    }

    fn object_key(&mut self) -> Option<Expr> {
        let before = self.at;
        if let Some(name) = self.identifier() {
            self.skip();
            if self.peek() == b':' || self.peek() == b'=' && !self.ahead("==") {
                return Some(Expr { span: name.span, kind: ExprKind::Literal(Value::string(&name.text)) });
            }
            self.at = before;
        }
        let key = self.with_newlines(false, Self::expression)?;
        if let ExprKind::Reference(reference) = &key.kind
            && !reference.steps.is_empty()
        {
            self.problem_with_hint(
                key.span,
                "Ambiguous attribute key",
                "This key is neither a plain name nor clearly an expression.",
                Some("Put it in parentheses to use its value, or in quotes to use its text.".to_owned()),
            );
            return None;
        }
        Some(key)
    }

    fn for_names(&mut self) -> Option<(Option<Name>, Name)> {
        self.skip();
        let Some(first) = self.identifier() else {
            self.problem(self.here(), "Invalid 'for' expression", "A variable name is required after \"for\".");
            return None;
        };
        self.skip();
        let mut names = (None, first);
        if self.eat(",") {
            self.skip();
            let Some(second) = self.identifier() else {
                self.problem(self.here(), "Invalid 'for' expression", "A second variable name is required after the comma.");
                return None;
            };
            names = (Some(names.1), second);
            self.skip();
        }
        if !self.keyword("in") {
            self.problem(self.here(), "Invalid 'for' expression", "The keyword \"in\" is expected behind the names.");
            return None;
        }
        Some(names)
    }

    fn for_expression(&mut self, start: usize, close: u8) -> Option<Expr> {
        let (key, value) = self.for_names()?;
        let collection = self.expression()?;
        self.skip();
        if !self.eat(":") {
            self.problem(self.here(), "Invalid 'for' expression", "A colon is expected behind the collection.");
            return None;
        }
        let mut result = self.expression()?;
        let mut result_key = None;
        self.skip();
        let object = close == b'}';
        if self.ahead("=>") {
            if !object {
                self.problem(self.here(), "Invalid 'for' expression", "A list has no keys; use braces to make an object.");
                return None;
            }
            self.at += 2;
            result_key = Some(std::mem::replace(&mut result, self.expression()?));
            self.skip();
        } else if object {
            self.problem(self.here(), "Invalid 'for' expression", "An object needs a key: {for … : key => value}.");
            return None;
        }
        let group = self.ahead("...");
        if group {
            if !object {
                self.problem(self.here(), "Invalid 'for' expression", "Only an object can group its values with \"...\".");
                return None;
            }
            self.at += 3;
            self.skip();
        }
        let condition = if self.keyword("if") { Some(self.expression()?) } else { None };
        self.skip();
        if self.peek() != close {
            self.problem(
                self.here(),
                "Invalid 'for' expression",
                format!("Only an \"if\" clause and \"{}\" may follow here.", close as char),
            );
            return None;
        }
        self.at += 1;
        Some(Expr {
            span: self.span_from(start),
            kind: ExprKind::For(Box::new(For { key, value, collection, result_key, result, condition, group })),
        })
    }

    fn call(&mut self, name: Name) -> Option<Expr> {
        let mut arguments = Vec::new();
        let mut expand = false;
        loop {
            self.skip();
            if self.eat(")") {
                break;
            }
            arguments.push(self.expression()?);
            self.skip();
            if self.eat("...") {
                expand = true;
                self.skip();
                self.eat(",");
                self.skip();
                if self.eat(")") {
                    break;
                }
                self.problem(self.here(), "Missing closing parenthesis", "An argument with \"...\" must be the last one.");
                return None;
            }
            if self.eat(",") || self.peek() == b')' {
                continue;
            }
            let detail = if self.at_end() {
                "There is no closing parenthesis for this function call."
            } else {
                "A comma or a closing parenthesis is expected between the arguments of a function."
            };
            self.problem(self.here(), "Missing argument separator", detail);
            return None;
        }
        Some(Expr { span: name.span.to(self.span_from(self.at)), kind: ExprKind::Call(Box::new(Call { name, arguments, expand })) })
    }

    // -- templates ------------------------------------------------------------------------------------------------

    fn quoted(&mut self) -> Option<Expr> {
        let start = self.at;
        self.at += 1;
        // A string without escapes and sequences needs no second look.
        let rest = &self.text[self.at..];
        if let Some(length) = rest.find(['"', '\\', '$', '%', '\n'])
            && rest.as_bytes()[length] == b'"'
        {
            self.at += length + 1;
            return Some(Expr { span: self.span_from(start), kind: ExprKind::Literal(Value::string(&rest[..length])) });
        }
        let mut flats = Vec::new();
        let mut literal = String::new();
        loop {
            if self.at_end() || self.at_newline() {
                let span = self.span(start, self.at);
                self.problem(
                    span,
                    "Invalid multi-line string",
                    "A quoted string must end on its line; use \\n for a line break, or a heredoc.",
                );
                return None;
            }
            if self.eat("\"") {
                break;
            }
            if self.sequence(&mut flats, &mut literal) {
                continue;
            }
            if self.peek() == b'\\' {
                self.escape(&mut literal);
            } else {
                self.literal_char(&mut literal);
            }
        }
        template::flush(&mut flats, &mut literal);
        let span = self.span_from(start);
        Some(self.finish_template(flats, span))
    }

    fn literal_char(&mut self, literal: &mut String) {
        if self.eat("$${") {
            literal.push_str("${");
        } else if self.eat("%%{") {
            literal.push_str("%{");
        } else if let Some(c) = self.text[self.at..].chars().next() {
            literal.push(c);
            self.at += c.len_utf8();
        }
    }

    fn escape(&mut self, literal: &mut String) {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.text[self.at..].chars().next() else { return };
        self.at += c.len_utf8();
        let digits = match c {
            'n' => return literal.push('\n'),
            'r' => return literal.push('\r'),
            't' => return literal.push('\t'),
            '"' => return literal.push('"'),
            '\\' => return literal.push('\\'),
            'u' => 4,
            'U' => 8,
            '\n' => {
                self.at -= 1;
                return;
            }
            _ => {
                let span = self.span_from(start);
                self.problem(span, "Invalid escape sequence", format!("There is no escape sequence \"\\{c}\"."));
                return;
            }
        };
        let hex = self.text[self.at..].bytes().take(digits).take_while(u8::is_ascii_hexdigit).count();
        self.at += hex;
        let span = self.span_from(start);
        if hex < digits {
            self.problem(span, "Invalid escape sequence", format!("\"\\{c}\" must be followed by {digits} hexadecimal digits."));
            return;
        }
        match u32::from_str_radix(&self.text[self.at - hex..self.at], 16).ok().and_then(char::from_u32) {
            Some(decoded) => literal.push(decoded),
            None => self.problem(span, "Invalid escape sequence", "This is not a Unicode character."),
        }
    }

    /// Reads a `${…}` or `%{…}` that starts here; `false` when none does. After a problem the sequence is passed over.
    fn sequence(&mut self, flats: &mut Vec<Flat>, literal: &mut String) -> bool {
        let directive = match self.peek() {
            b'$' if self.ahead("${") => false,
            b'%' if self.ahead("%{") => true,
            _ => return false,
        };
        template::flush(flats, literal);
        let start = self.at;
        self.at += 2;
        let trim_left = self.eat("~");
        let read = self.with_newlines(true, |parser| {
            parser.nested(|parser| if directive { parser.directive() } else { Some(template::Kind::Interpolation(parser.expression()?)) })
        });
        self.with_newlines(true, Self::skip);
        let trim_right = self.eat("~");
        if read.is_some() && !self.eat("}") {
            self.problem(
                self.here(),
                "Extra characters after interpolation expression",
                "A closing brace is expected here; double the \"$\" or \"%\" to mean the character itself.",
            );
        }
        match read {
            Some(kind) => {
                let span = self.span_from(start);
                flats.push(Flat { kind, span, trim_left, trim_right });
            }
            None => {
                // Go on behind the brace that ends the broken sequence, or at the end of the string.
                let rest = &self.text[self.at..];
                let length = rest.find(['}', '"', '\n']).unwrap_or(rest.len());
                self.at += length + usize::from(rest.as_bytes().get(length) == Some(&b'}'));
            }
        }
        true
    }

    fn directive(&mut self) -> Option<template::Kind> {
        self.skip();
        let start = self.at;
        let Some(word) = self.identifier() else {
            self.problem(self.here(), "Invalid template directive", "A keyword such as \"if\" or \"for\" is expected.");
            return None;
        };
        match &*word.text {
            "if" => Some(template::Kind::If(self.expression()?)),
            "else" => Some(template::Kind::Else),
            "endif" => Some(template::Kind::EndIf),
            "for" => {
                let (key, value) = self.for_names()?;
                Some(template::Kind::For(key, value, self.expression()?))
            }
            "endfor" => Some(template::Kind::EndFor),
            _ => {
                let span = self.span_from(start);
                self.problem(
                    span,
                    "Invalid template control keyword",
                    format!("\"{}\" is not one of if, else, endif, for and endfor.", word.text),
                );
                None
            }
        }
    }

    fn finish_template(&mut self, flats: Vec<Flat>, span: Span) -> Expr {
        let (parts, problems) = template::build(flats, span);
        for (span, summary, detail) in problems {
            self.problem(span, summary, detail);
        }
        let kind = match <[Part; 1]>::try_from(parts) {
            Ok([Part::Literal(text)]) => ExprKind::Literal(Value::string(&text)),
            Ok([Part::Interpolation(expr)]) => ExprKind::Wrap(Box::new(expr)),
            Ok([part]) => ExprKind::Template(vec![part]),
            Err(parts) if parts.is_empty() => ExprKind::Literal(Value::String(Arc::from(""))),
            Err(parts) => ExprKind::Template(parts),
        };
        Expr { span, kind }
    }

    fn heredoc(&mut self) -> Option<Expr> {
        let start = self.at;
        self.at += 2;
        let indented = self.eat("-");
        let Some(marker) = self.identifier() else {
            self.problem(
                self.here(),
                "Invalid heredoc",
                "\"<<\" must be followed directly by a marker of letters, digits and underscores.",
            );
            return None;
        };
        if !(self.eat("\n") || self.eat("\r\n")) {
            self.problem(self.here(), "Invalid heredoc", "The marker of a heredoc must be the last thing on its line.");
            return None;
        }
        let mut flats = Vec::new();
        let mut literal = String::new();
        let mut line_start = true;
        loop {
            if line_start {
                let rest = &self.text[self.at..];
                let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
                if line.trim_matches([' ', '\t', '\r']) == &*marker.text {
                    self.at += line.trim_end_matches([' ', '\t', '\r']).len();
                    break;
                }
                if rest.is_empty() {
                    let line = self.source.place(self.span(start, start + 2)).line;
                    self.problem(
                        self.here(),
                        "Unterminated template string",
                        format!("There is no line \"{}\" that ends the heredoc of line {line}.", marker.text),
                    );
                    return None;
                }
                line_start = false;
            }
            if self.at_end() {
                line_start = true;
                continue;
            }
            if self.sequence(&mut flats, &mut literal) {
                continue;
            }
            let newline = self.peek() == b'\n';
            self.literal_char(&mut literal);
            if newline {
                template::flush(&mut flats, &mut literal);
                line_start = true;
            }
        }
        if indented {
            template::remove_indentation(&mut flats);
        }
        let span = self.span_from(start);
        Some(self.finish_template(flats, span))
    }
}
