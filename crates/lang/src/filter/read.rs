//! The grammar of filter expressions.

use super::{FilterSyntaxError, MAX_NESTING, Node, Operation, Selector};

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: u32,
}

pub(super) type Parsed<T> = Result<T, FilterSyntaxError>;

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic()
}

fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '/')
}

/// A value, or a selector that may still turn out to be one.
enum Operand {
    Name(Selector),
    Text(String),
    Pointer(Selector, String),
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    pub(super) fn fail<T>(&self, message: &str) -> Parsed<T> {
        Err(FilterSyntaxError { column: self.text[..self.at].chars().count() + 1, offset: self.at, message: message.to_owned() })
    }

    pub(super) fn blanks(&mut self) -> bool {
        let length = self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += length;
        length > 0
    }

    /// Passes a keyword that ends at a word boundary.
    fn word(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word) && !self.rest()[word.len()..].starts_with(is_name_part);
        if found {
            self.at += word.len();
        }
        found
    }

    pub(super) fn or(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return self.fail("nested too deeply");
        }
        let mut parts = vec![self.and()?];
        loop {
            let before = self.at;
            if !(self.blanks() && self.word("or")) {
                self.at = before;
                break;
            }
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            parts.push(self.and()?);
        }
        self.depth -= 1;
        let last = parts.pop().expect("one part is read first");
        Ok(parts.into_iter().rev().fold(last, |right, left| Node::Or(Box::new(left), Box::new(right))))
    }

    fn and(&mut self) -> Parsed<Node> {
        let mut parts = vec![self.not()?];
        loop {
            let before = self.at;
            if !(self.blanks() && self.word("and")) {
                self.at = before;
                break;
            }
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            parts.push(self.not()?);
        }
        let last = parts.pop().expect("one part is read first");
        Ok(parts.into_iter().rev().fold(last, |right, left| Node::And(Box::new(left), Box::new(right))))
    }

    fn not(&mut self) -> Parsed<Node> {
        let before = self.at;
        if self.word("not") && self.blanks() {
            self.depth += 1;
            if self.depth > MAX_NESTING {
                return self.fail("nested too deeply");
            }
            let inner = self.not()?;
            self.depth -= 1;
            return Ok(Node::Not(Box::new(inner)));
        }
        self.at = before;
        if self.rest().starts_with('(') {
            self.at += 1;
            self.blanks();
            let inner = self.or()?;
            self.blanks();
            if !self.rest().starts_with(')') {
                return self.fail("rule \"grouping\": Unmatched parentheses");
            }
            self.at += 1;
            return Ok(inner);
        }
        for (word, all) in [("all", true), ("any", false)] {
            if self.word(word)
                && self.blanks()
                && let Some(node) = self.collection(all)?
            {
                return Ok(node);
            }
            self.at = before;
        }
        self.comparison()
    }

    fn collection(&mut self, all: bool) -> Parsed<Option<Node>> {
        let selector = match self.operand()? {
            Some(Operand::Name(selector) | Operand::Pointer(selector, _)) => selector,
            _ => return Ok(None),
        };
        if !self.blanks() || !self.word("as") {
            return self.fail("no match found, expected: \"as\"");
        }
        let mut names = Vec::new();
        loop {
            self.blanks();
            let length = self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest().len());
            if length == 0 {
                return self.fail("no match found, expected: a name");
            }
            names.push(self.rest()[..length].to_owned());
            self.at += length;
            self.blanks();
            if names.len() < 2 && self.rest().starts_with(',') {
                self.at += 1;
                continue;
            }
            break;
        }
        if !self.rest().starts_with('{') {
            return self.fail("no match found, expected: \"{\"");
        }
        self.at += 1;
        self.blanks();
        let body = Box::new(self.or()?);
        self.blanks();
        if !self.rest().starts_with('}') {
            return self.fail("no match found, expected: \"}\"");
        }
        self.at += 1;
        Ok(Some(Node::Collection { all, selector, names, body }))
    }

    fn comparison(&mut self) -> Parsed<Node> {
        let Some(operand) = self.operand()? else {
            return self.fail("no match found, expected: \"(\", \"all\", \"any\", \"not\", a selector or a value");
        };
        let blanks = self.blanks();
        // `value in selector`
        let before = self.at;
        let negated = blanks && self.word("not") && self.blanks();
        if blanks && self.word("in") {
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            let value = match operand {
                Operand::Name(selector) => selector.text,
                Operand::Text(text) | Operand::Pointer(_, text) => text,
            };
            return match self.operand()? {
                Some(Operand::Name(selector) | Operand::Pointer(selector, _)) => Ok(Node::Match(selector, Operation::In(value), negated)),
                _ => self.fail("rule \"match\": Invalid selector"),
            };
        }
        self.at = before;
        let selector = match operand {
            Operand::Name(selector) | Operand::Pointer(selector, _) => selector,
            Operand::Text(_) => return self.fail("no match found, expected: \"in\" or \"not\""),
        };
        for (sign, negated) in [("==", false), ("!=", true)] {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                self.blanks();
                let value = self.value()?;
                return Ok(Node::Match(selector, Operation::Equal(value), negated));
            }
        }
        let expected = "no match found, expected: \"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\" or \"not\"";
        if !blanks {
            return self.fail(expected);
        }
        if self.word("is") {
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            let negated = self.word("not") && self.blanks();
            let operation = if self.word("empty") {
                Operation::Empty
            } else if self.word("nil") {
                Operation::Nil
            } else {
                return self.fail("no match found, expected: \"empty\", \"nil\" or \"not\"");
            };
            return Ok(Node::Match(selector, operation, negated));
        }
        let negated = self.word("not") && self.blanks();
        let contains = self.word("contains");
        if contains || self.word("matches") {
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            let value = self.value()?;
            let operation = if contains {
                Operation::In(value)
            } else {
                let regex = crate::pattern::compile(&value);
                Operation::Matches(value, regex)
            };
            return Ok(Node::Match(selector, operation, negated));
        }
        self.fail(expected)
    }

    fn value(&mut self) -> Parsed<String> {
        match self.operand()? {
            Some(Operand::Name(selector)) => Ok(selector.text),
            Some(Operand::Text(text) | Operand::Pointer(_, text)) => Ok(text),
            None => self.fail("no match found, expected: a value"),
        }
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        match self.rest().chars().next() {
            Some('"') => {
                let start = self.at;
                let text = self.quoted()?;
                let pointer = |text: &str| {
                    text.starts_with('/')
                        && text[1..].split('/').all(|part| {
                            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | ':' | '|'))
                        })
                };
                if pointer(&text) {
                    let parts = text[1..].split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
                    let shown = self.text[start..self.at].to_owned();
                    return Ok(Some(Operand::Pointer(Selector { parts, text: shown }, text)));
                }
                Ok(Some(Operand::Text(text)))
            }
            Some('`') => match self.rest()[1..].find('`') {
                Some(length) => {
                    let text = self.rest()[1..=length].to_owned();
                    self.at += length + 2;
                    Ok(Some(Operand::Text(text)))
                }
                None => self.fail("rule \"string\": Unterminated string literal"),
            },
            Some('-' | '0'..='9') => self.number().map(|number| Some(Operand::Text(number))),
            Some(c) if is_name_start(c) => self.selector().map(|selector| Some(Operand::Name(selector))),
            _ => Ok(None),
        }
    }

    fn number(&mut self) -> Parsed<String> {
        let text = self.rest();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let sign = text.len() - digits.len();
        let count = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = count(digits);
        if length > 1 && digits.starts_with('0') {
            length = 1;
        }
        if length == 0 {
            return self.fail("rule \"number\": Invalid number literal");
        }
        if let Some(fraction) = digits[length..].strip_prefix('.') {
            let more = count(fraction);
            length += if more > 0 { more + 1 } else { 0 };
        }
        let behind = digits[length..].chars().next();
        if !matches!(behind, None | Some(' ' | '\t' | '\r' | '\n' | ')' | '}')) {
            return self.fail("rule \"number\": Invalid number literal");
        }
        let number = text[..sign + length].to_owned();
        self.at += sign + length;
        Ok(number)
    }

    /// A quoted text, in which escapes but no quotes may stand.
    fn quoted(&mut self) -> Parsed<String> {
        let Some(length) = self.rest()[1..].find('"') else {
            self.at = self.text.len();
            return self.fail("rule \"string\": Unterminated string literal");
        };
        let inner = self.rest()[1..=length].to_owned();
        let Some(text) = unescape(&inner) else { return self.fail("rule \"string\": invalid syntax") };
        self.at += length + 2;
        Ok(text)
    }

    fn selector(&mut self) -> Parsed<Selector> {
        let start = self.at;
        let mut parts = Vec::new();
        let name = |rest: &str| rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        let length = name(self.rest());
        parts.push(self.rest()[..length].to_owned());
        self.at += length;
        loop {
            if let Some(rest) = self.rest().strip_prefix('.') {
                let length = if rest.starts_with(is_name_start) { name(rest) } else { rest.bytes().take_while(u8::is_ascii_digit).count() };
                if length == 0 {
                    self.at += 1;
                    return self.fail("no match found, expected: [0-9] or [a-zA-Z]");
                }
                parts.push(rest[..length].to_owned());
                self.at += length + 1;
            } else if self.rest().starts_with('[') {
                self.at += 1;
                let key = match self.rest().chars().next() {
                    Some('"') => self.quoted()?,
                    Some('`') => match self.operand()? {
                        Some(Operand::Text(text)) => text,
                        _ => return self.fail("rule \"index\": Invalid index"),
                    },
                    _ => {
                        self.at -= 1;
                        return self.fail("rule \"index\": Invalid index");
                    }
                };
                if !self.rest().starts_with(']') {
                    return self.fail("rule \"index\": Unclosed index expression");
                }
                self.at += 1;
                parts.push(key);
            } else {
                break;
            }
        }
        let follows = self.rest().chars().next();
        if !matches!(follows, None | Some(' ' | '\t' | '\r' | '\n' | '=' | '!' | ')' | '}' | ',')) {
            return self.fail("no match found, expected: \".\", \"[\", a blank or EOF");
        }
        Ok(Selector { parts, text: self.text[start..self.at].to_owned() })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + escape.len_utf8()..];
        let digits = match escape {
            'a' => {
                out.push('\u{7}');
                0
            }
            'b' => {
                out.push('\u{8}');
                0
            }
            'f' => {
                out.push('\u{c}');
                0
            }
            'n' => {
                out.push('\n');
                0
            }
            'r' => {
                out.push('\r');
                0
            }
            't' => {
                out.push('\t');
                0
            }
            'v' => {
                out.push('\u{b}');
                0
            }
            '\\' => {
                out.push('\\');
                0
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        if digits > 0 {
            out.push(char::from_u32(u32::from_str_radix(rest.get(..digits)?, 16).ok()?)?);
            rest = &rest[digits..];
        }
    }
    out.push_str(rest);
    (!out.contains('\n') || text.contains("\\n")).then_some(out)
}
