//! The reader of templates: text to nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::Value;
use super::{Options, ParseError};

/// Deepest nesting of blocks and parentheses.
const MAX_NESTING: u32 = 100;

/// A piece of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    Template(usize, String, Option<Pipe>),
    Break,
    Continue,
}

/// `$a, $b := command | command`
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    pub(super) line: usize,
    pub(super) variables: Vec<String>,
    /// Whether the variables exist already.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// A word of a command.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Literal(Value),
    Nil,
    Dot,
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    /// `name`
    Function(String),
    /// `( … ).a.b` or `name.a.b`
    Chain(Box<Pipe>, Vec<String>),
}

type Outcome<T> = Result<T, ParseError>;
pub(super) type Defined = BTreeMap<String, Vec<Node>>;

enum Token {
    Text(String),
    /// What stands between delimiters, and the line on which it starts.
    Action(String, usize),
}

/// Reads a template and those that it defines.
pub(super) fn parse(text: &str, options: &Options, knows: &dyn Fn(&str) -> bool) -> Outcome<(Vec<Node>, Defined)> {
    let left = if options.left_delimiter.is_empty() { "{{" } else { &options.left_delimiter };
    let right = if options.right_delimiter.is_empty() { "}}" } else { &options.right_delimiter };
    let tokens = split(text, left, right)?;
    let mut parser = Parser {
        tokens: tokens.into_iter(),
        knows,
        defined: Defined::new(),
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        line: 1,
    };
    let (nodes, end) = parser.nodes()?;
    if let Some(word) = end {
        return Err(ParseError { line: parser.line, message: format!("unexpected {{{{{}}}}}", word.name()) });
    }
    Ok((nodes, parser.defined))
}

/// Cuts the text at its actions, trimming where markers ask for it.
fn split(text: &str, left: &str, right: &str) -> Outcome<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    // Lines are counted on from the last action.
    let (mut line, mut counted) = (1, 0);
    let mut line_at = |rest: &str| {
        let at = text.len() - rest.len();
        line += text[counted..at].matches('\n').count();
        counted = at;
        line
    };
    let mut trim = false;
    loop {
        let (literal, behind) = match rest.find(left) {
            Some(at) => (&rest[..at], Some(&rest[at + left.len()..])),
            None => (rest, None),
        };
        let mut literal = if trim { literal.trim_start_matches([' ', '\t', '\r', '\n']) } else { literal };
        let Some(mut inner) = behind else {
            if !literal.is_empty() {
                tokens.push(Token::Text(literal.to_owned()));
            }
            return Ok(tokens);
        };
        let line = line_at(inner);
        if let Some(marked) = inner.strip_prefix('-')
            && marked.starts_with([' ', '\t', '\r', '\n'])
        {
            literal = literal.trim_end_matches([' ', '\t', '\r', '\n']);
            inner = &marked[1..];
        }
        if !literal.is_empty() {
            tokens.push(Token::Text(literal.to_owned()));
        }
        if inner.trim_start().starts_with("/*") {
            let start = inner.len() - inner.trim_start().len();
            let Some(length) = inner.find("*/") else { return Err(ParseError { line, message: "unclosed comment".to_owned() }) };
            let behind = &inner[length + 2..];
            let marked = behind.strip_prefix([' ', '\t', '\r', '\n']).and_then(|behind| behind.strip_prefix('-'));
            let behind_marker = marked.and_then(|behind| behind.strip_prefix(right));
            match behind_marker.or_else(|| behind.strip_prefix(right)) {
                Some(after) if start == 0 || inner.starts_with([' ', '\n', '\t', '\r']) => {
                    trim = behind_marker.is_some();
                    rest = after;
                    continue;
                }
                _ => return Err(ParseError { line, message: "comment ends before closing delimiter".to_owned() }),
            }
        }
        let end = end_of_action(inner, right).map_err(|message| ParseError { line, message: message.to_owned() })?;
        let mut action = &inner[..end];
        trim = false;
        if let Some(marked) = action.strip_suffix('-')
            && marked.ends_with([' ', '\t', '\r', '\n'])
        {
            action = marked;
            trim = true;
        }
        tokens.push(Token::Action(action.to_owned(), line));
        rest = &inner[end + right.len()..];
    }
}

/// Where the closing delimiter stands that is not inside of a text.
fn end_of_action(inner: &str, right: &str) -> Result<usize, &'static str> {
    let mut at = 0;
    let mut parentheses = 0i32;
    while at < inner.len() {
        let rest = &inner[at..];
        if rest.starts_with(right) && (parentheses <= 0 || !right.starts_with(')')) {
            return Ok(at);
        }
        let c = rest.chars().next().unwrap_or(' ');
        match c {
            '"' | '\'' => {
                let mut chars = rest.char_indices().skip(1);
                let length = loop {
                    match chars.next() {
                        Some((_, '\\')) => {
                            chars.next();
                        }
                        Some((_, '\n')) | None => return Err("unterminated quoted string"),
                        Some((length, close)) if close == c => break length + 1,
                        _ => {}
                    }
                };
                at += length;
                continue;
            }
            '`' => match rest[1..].find('`') {
                Some(length) => {
                    at += length + 2;
                    continue;
                }
                None => return Err("unterminated raw quoted string"),
            },
            '(' => parentheses += 1,
            ')' => parentheses -= 1,
            _ => {}
        }
        at += c.len_utf8();
    }
    Err("unclosed action")
}

/// What ends a list of nodes.
enum End {
    End,
    Else(String),
}

impl End {
    fn name(&self) -> &'static str {
        match self {
            End::End => "end",
            End::Else(_) => "else",
        }
    }
}

struct Parser<'a> {
    tokens: std::vec::IntoIter<Token>,
    knows: &'a dyn Fn(&str) -> bool,
    defined: Defined,
    variables: Vec<String>,
    ranges: u32,
    depth: u32,
    line: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Outcome<T> {
        Err(ParseError { line: self.line, message: message.into() })
    }

    fn nodes(&mut self) -> Outcome<(Vec<Node>, Option<End>)> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return self.fail("nested too deeply");
        }
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.next() {
            let (action, line) = match token {
                Token::Text(text) => {
                    nodes.push(Node::Text(text.into()));
                    continue;
                }
                Token::Action(action, line) => (action, line),
            };
            self.line = line;
            let trimmed = action.trim();
            let length = trimmed.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(trimmed.len());
            let (word, rest) = trimmed.split_at(length);
            match word {
                "end" if rest.trim().is_empty() => {
                    self.depth -= 1;
                    return Ok((nodes, Some(End::End)));
                }
                "end" => return self.fail(format!("unexpected {:?} in end", rest.trim())),
                "else" => {
                    self.depth -= 1;
                    return Ok((nodes, Some(End::Else(rest.trim().to_owned()))));
                }
                "if" | "with" | "range" => nodes.push(self.branch(word, rest)?),
                "template" => {
                    let (name, rest) = self.name(rest)?;
                    let pipe = if rest.trim().is_empty() { None } else { Some(self.pipe(rest, "template clause")?) };
                    nodes.push(Node::Template(line, name, pipe));
                }
                "define" | "block" => {
                    let (name, rest) = self.name(rest)?;
                    let pipe = if word == "block" { Some(self.pipe(rest, "block clause")?) } else { None };
                    let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
                    let ranges = std::mem::take(&mut self.ranges);
                    let (body, end) = self.nodes()?;
                    self.variables = outer;
                    self.ranges = ranges;
                    match end {
                        Some(End::End) => {}
                        Some(End::Else(_)) => return self.fail("unexpected {{else}} in define clause"),
                        None => return self.fail("unexpected EOF"),
                    }
                    if self.defined.get(&name).is_some_and(|before| !is_blank(before)) && !is_blank(&body) {
                        return self.fail(format!("multiple definition of template {name:?}"));
                    }
                    if !is_blank(&body) || !self.defined.contains_key(&name) {
                        self.defined.insert(name.clone(), body);
                    }
                    if word == "block" {
                        nodes.push(Node::Template(line, name, pipe));
                    }
                }
                "break" | "continue" if rest.trim().is_empty() => {
                    if self.ranges == 0 {
                        return self.fail(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                    }
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                }
                _ => {
                    let pipe = self.pipe(trimmed, "command")?;
                    nodes.push(Node::Action(pipe));
                }
            }
        }
        self.depth -= 1;
        Ok((nodes, None))
    }

    fn branch(&mut self, word: &str, condition: &str) -> Outcome<Node> {
        let before = self.variables.len();
        if condition.trim().is_empty() {
            return self.fail(format!("missing value for {word}"));
        }
        let pipe = self.pipe(condition, word)?;
        let range = u32::from(word == "range");
        self.ranges += range;
        let (yes, end) = self.nodes()?;
        self.ranges -= range;
        let no = match end {
            Some(End::End) => Vec::new(),
            None => return self.fail("unexpected EOF"),
            Some(End::Else(rest)) if rest.is_empty() => match self.nodes()? {
                (no, Some(End::End)) => no,
                (_, Some(End::Else(_))) => return self.fail("expected end; found {{else}}"),
                (_, None) => return self.fail("unexpected EOF"),
            },
            // `else if` and `else with` share the end of the outer block.
            Some(End::Else(rest)) => match rest.strip_prefix(word) {
                Some(condition) if word != "range" && condition.starts_with(char::is_whitespace) => {
                    self.depth += 1;
                    if self.depth > MAX_NESTING {
                        return self.fail("nested too deeply");
                    }
                    let node = self.branch(word, condition)?;
                    self.depth -= 1;
                    vec![node]
                }
                _ => return self.fail(format!("unexpected {rest:?} in else")),
            },
        };
        self.variables.truncate(before);
        Ok(match word {
            "if" => Node::If(pipe, yes, no),
            "with" => Node::With(pipe, yes, no),
            _ => Node::Range(pipe, yes, no),
        })
    }

    fn name<'t>(&self, text: &'t str) -> Outcome<(String, &'t str)> {
        let text = text.trim_start();
        let mut lexer = Lexer { text, at: 0 };
        match lexer.next() {
            Ok(Some(Lexeme::Literal(Value::Text(name)))) => Ok((name.to_string(), &text[lexer.at..])),
            _ => self.fail("a template needs a quoted name"),
        }
    }

    fn pipe(&mut self, text: &str, context: &str) -> Outcome<Pipe> {
        let mut lexer = Lexer { text, at: 0 };
        let pipe = self.pipeline(&mut lexer, false, context)?;
        Ok(pipe)
    }

    fn lex(&self, lexer: &mut Lexer<'_>) -> Outcome<Option<Lexeme>> {
        lexer.next().map_err(|message| ParseError { line: self.line, message })
    }

    fn pipeline(&mut self, lexer: &mut Lexer<'_>, nested: bool, context: &str) -> Outcome<Pipe> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return self.fail("nested too deeply");
        }
        let mut pipe = Pipe { line: self.line, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(lexer, &mut pipe, context)?;
        let mut command: Vec<Operand> = Vec::new();
        let mut closed = false;
        while let Some(lexeme) = self.lex(lexer)? {
            match lexeme {
                Lexeme::Bar => {
                    if command.is_empty() {
                        return self.fail("unexpected \"|\" in command");
                    }
                    pipe.commands.push(std::mem::take(&mut command));
                    if pipe.commands.len() > 100 {
                        return self.fail("a pipeline is too long");
                    }
                    if lexer.text[lexer.at..].trim().is_empty() {
                        // A bar without anything behind it is passed over.
                        break;
                    }
                }
                Lexeme::Close => {
                    if !nested {
                        return self.fail("unexpected right paren");
                    }
                    closed = true;
                    break;
                }
                Lexeme::Open => {
                    let inner = self.pipeline(lexer, true, context)?;
                    let fields = lexer.fields();
                    command.push(Operand::Chain(Box::new(inner), fields));
                }
                Lexeme::Literal(value) => command.push(Operand::Literal(value)),
                Lexeme::Nil => command.push(Operand::Nil),
                Lexeme::Dot => command.push(Operand::Dot),
                Lexeme::Field(fields) => command.push(Operand::Field(fields)),
                Lexeme::Variable(name, fields) => {
                    if !self.variables.contains(&name) {
                        return self.fail(format!("undefined variable {name:?}"));
                    }
                    command.push(Operand::Variable(name, fields));
                }
                Lexeme::Word(name) => {
                    if !(self.knows)(&name) {
                        return self.fail(format!("function {name:?} not defined"));
                    }
                    let fields = lexer.fields();
                    if fields.is_empty() {
                        command.push(Operand::Function(name));
                    } else {
                        let inner =
                            Pipe { line: self.line, variables: Vec::new(), assigns: false, commands: vec![vec![Operand::Function(name)]] };
                        command.push(Operand::Chain(Box::new(inner), fields));
                    }
                }
                Lexeme::Declare | Lexeme::Assign | Lexeme::Comma => return self.fail(format!("unexpected token in {context}")),
            }
        }
        if nested && !closed {
            return self.fail("unclosed left paren");
        }
        if !command.is_empty() {
            pipe.commands.push(command);
        }
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for later in &pipe.commands[1..] {
            if matches!(later.first(), Some(Operand::Literal(_) | Operand::Nil | Operand::Dot)) {
                return self.fail("non executable command in pipeline");
            }
        }
        self.depth -= 1;
        Ok(pipe)
    }

    /// `$x :=`, `$x =` or `$k, $v :=` at the start of a pipeline.
    fn declarations(&mut self, lexer: &mut Lexer<'_>, pipe: &mut Pipe, context: &str) -> Outcome<()> {
        let before = lexer.at;
        let mut names = Vec::new();
        loop {
            let Ok(Some(Lexeme::Variable(name, fields))) = lexer.next() else { break };
            if !fields.is_empty() {
                break;
            }
            names.push(name);
            match lexer.next() {
                Ok(Some(Lexeme::Comma)) if context == "range" && names.len() == 1 => {}
                Ok(Some(sign @ (Lexeme::Declare | Lexeme::Assign))) => {
                    pipe.assigns = matches!(sign, Lexeme::Assign);
                    for name in &names {
                        if pipe.assigns && !self.variables.contains(name) {
                            return self.fail(format!("undefined variable {name:?}"));
                        }
                        if !pipe.assigns {
                            self.variables.push(name.clone());
                        }
                    }
                    pipe.variables = names;
                    return Ok(());
                }
                _ => break,
            }
        }
        lexer.at = before;
        Ok(())
    }
}

fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

enum Lexeme {
    Literal(Value),
    Nil,
    Dot,
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Word(String),
    Bar,
    Open,
    Close,
    Declare,
    Assign,
    Comma,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take_word(&mut self) -> String {
        let length = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        self.at += length;
        word
    }

    /// `.a.b` directly behind what was read.
    fn fields(&mut self) -> Vec<String> {
        let mut fields = Vec::new();
        while self.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '_')) {
            self.at += 1;
            fields.push(self.take_word());
        }
        fields
    }

    fn next(&mut self) -> Result<Option<Lexeme>, String> {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        self.at += blanks;
        let Some(c) = self.rest().chars().next() else { return Ok(None) };
        let single = |lexer: &mut Self, lexeme, length| {
            lexer.at += length;
            Ok(Some(lexeme))
        };
        match c {
            '|' => single(self, Lexeme::Bar, 1),
            '(' => single(self, Lexeme::Open, 1),
            ')' => single(self, Lexeme::Close, 1),
            ',' => single(self, Lexeme::Comma, 1),
            ':' if self.rest().starts_with(":=") => single(self, Lexeme::Declare, 2),
            '=' => single(self, Lexeme::Assign, 1),
            '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let fields = self.fields();
                if fields.is_empty() {
                    self.at += 1;
                    return Ok(Some(Lexeme::Dot));
                }
                self.boundary()?;
                Ok(Some(Lexeme::Field(fields)))
            }
            '$' => {
                self.at += 1;
                let name = format!("${}", self.take_word());
                let fields = self.fields();
                Ok(Some(Lexeme::Variable(name, fields)))
            }
            '"' => {
                let length = string_length(self.rest(), '"').ok_or("unterminated quoted string")?;
                let text = unquote(&self.rest()[1..length - 1]).ok_or("invalid escape in quoted string")?;
                single(self, Lexeme::Literal(Value::text(text)), length)
            }
            '`' => {
                let length = self.rest()[1..].find('`').ok_or("unterminated raw quoted string")? + 2;
                let text = self.rest()[1..length - 1].replace('\r', "");
                single(self, Lexeme::Literal(Value::text(text)), length)
            }
            '\'' => {
                let length = string_length(self.rest(), '\'').ok_or("unterminated character constant")?;
                let text = unquote(&self.rest()[1..length - 1]).unwrap_or_default();
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => single(self, Lexeme::Literal(Value::Int(c as i64)), length),
                    _ => Err("malformed character constant".to_owned()),
                }
            }
            '+' | '-' | '.' | '0'..='9' => {
                let length = self.rest().char_indices().skip(1).find(|(at, c)| {
                    let exponent = matches!(self.rest().as_bytes()[at - 1], b'e' | b'E') && !self.rest().starts_with("0x");
                    !(is_word(*c) || *c == '.' || matches!(c, '+' | '-') && exponent)
                });
                let length = length.map_or(self.rest().len(), |(at, _)| at);
                let text = &self.rest()[..length];
                let value = number(text).ok_or_else(|| format!("illegal number syntax: {text:?}"))?;
                single(self, Lexeme::Literal(value), length)
            }
            _ if c.is_alphabetic() || c == '_' => {
                let word = self.take_word();
                Ok(Some(match word.as_str() {
                    "true" => Lexeme::Literal(Value::Bool(true)),
                    "false" => Lexeme::Literal(Value::Bool(false)),
                    "nil" => Lexeme::Nil,
                    _ => Lexeme::Word(word),
                }))
            }
            _ => Err(format!("unexpected {:?} in command", c.to_string())),
        }
    }

    /// A field must be followed by a blank or punctuation.
    fn boundary(&self) -> Result<(), String> {
        match self.rest().chars().next() {
            None | Some(' ' | '\t' | '\r' | '\n' | ',' | '|' | ':' | ')' | '(' | '=') => Ok(()),
            Some(c) => Err(format!("bad character {c:?}")),
        }
    }
}

/// The length of a quoted text with its quotes.
fn string_length(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    loop {
        match chars.next()? {
            (_, '\\') => {
                chars.next()?;
            }
            (_, '\n') => return None,
            (at, c) if c == quote => return Some(at + 1),
            _ => {}
        }
    }
}

fn unquote(text: &str) -> Option<String> {
    let mut out: Vec<u8> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend(&rest.as_bytes()[..at]);
        let c = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + c.len_utf8()..];
        let digits = match c {
            'a' => {
                out.push(7);
                0
            }
            'b' => {
                out.push(8);
                0
            }
            'f' => {
                out.push(12);
                0
            }
            'n' => {
                out.push(b'\n');
                0
            }
            'r' => {
                out.push(b'\r');
                0
            }
            't' => {
                out.push(b'\t');
                0
            }
            'v' => {
                out.push(11);
                0
            }
            '\\' | '"' | '\'' => {
                out.push(c as u8);
                0
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => {
                let octal = rest.get(..2)?;
                out.push(u8::from_str_radix(&format!("{c}{octal}"), 8).ok()?);
                rest = &rest[2..];
                0
            }
            _ => return None,
        };
        if digits > 0 {
            let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
            rest = &rest[digits..];
            if digits == 2 {
                out.push(code as u8);
            } else {
                out.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    out.extend(rest.as_bytes());
    String::from_utf8(out).ok()
}

/// The value of a numeric literal.
fn number(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    if digits.is_empty() || text.ends_with('_') {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let value = i64::from_str_radix(digits, radix).ok()?;
            return Some(Value::Int(if negative { -value } else { value }));
        }
    }
    if lower.bytes().all(|b| b.is_ascii_digit()) {
        if lower.len() > 1 && lower.starts_with('0') {
            return i64::from_str_radix(&lower, 8).ok().map(Value::Int);
        }
        return plain.parse().ok().map(Value::Int);
    }
    let starts = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = plain.parse::<f64>().ok().filter(|value| starts && value.is_finite())?;
    Some(Value::Float(value))
}
