//! A reader of JSON texts that keeps the place of every value and numbers of any size.

use std::sync::Arc;

use super::ast::{JsonKind, JsonMember, JsonNode, Name};
use super::number::Number;
use super::parse::MAX_NESTING;
use super::value::{Members, Value};
use crate::diag::Span;

/// Where and why a text is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    /// The place.
    pub span: Span,
    /// What is wrong.
    pub message: String,
}

/// Reads one JSON value and nothing behind it.
pub fn parse_json(text: &str) -> Result<JsonNode, JsonError> {
    Reader { text, at: 0, depth: 0, forgives: false, forgiven: Vec::new() }.whole().map(|(node, _)| node)
}

/// Reads one JSON value as readers of configuration do it: a comma behind the last member does no harm, and at the end of the
/// text everything open is closed. Returns what was forgiven, too.
pub(crate) fn parse_json_forgiving(text: &str) -> Result<(JsonNode, Vec<JsonError>), JsonError> {
    Reader { text, at: 0, depth: 0, forgives: true, forgiven: Vec::new() }.whole()
}

impl JsonNode {
    /// The value with inferred types: arrays become tuples, objects objects; the last of equal keys wins.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            JsonKind::Literal(value) => value.clone(),
            JsonKind::String(text) => Value::string(text),
            JsonKind::Array(members) => Value::tuple(members.iter().map(Self::to_value).collect()),
            JsonKind::Object(members) => {
                let members: Members = members.iter().map(|member| (Arc::clone(&member.name.text), member.value.to_value())).collect();
                Value::object(members)
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// Whether small mistakes are noted instead of refused.
    forgives: bool,
    forgiven: Vec<JsonError>,
}

impl Reader<'_> {
    fn whole(mut self) -> Result<(JsonNode, Vec<JsonError>), JsonError> {
        let node = self.value()?;
        self.blanks();
        if self.at < self.text.len() {
            return Err(self.error("nothing may follow the value"));
        }
        Ok((node, self.forgiven))
    }

    /// Notes a mistake where mistakes are forgiven.
    fn forgive(&mut self, message: &str) -> bool {
        if self.forgives {
            let error = self.error(message);
            self.forgiven.push(error);
        }
        self.forgives
    }

    /// Whether members end here although nothing says so.
    fn ends(&mut self, close: u8) -> bool {
        let next = self.peek();
        if next == close && self.forgive("a comma stands behind the last member") {
            self.at += 1;
            return true;
        }
        self.at >= self.text.len() && self.forgive("the text ends before everything is closed")
    }

    fn error(&self, message: impl Into<String>) -> JsonError {
        let width = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        JsonError { span: Span::new(self.at, self.at + width), message: message.into() }
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn peek(&mut self) -> u8 {
        self.blanks();
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn value(&mut self) -> Result<JsonNode, JsonError> {
        let byte = self.peek();
        let start = self.at;
        let kind = match byte {
            b'{' | b'[' => {
                if self.depth >= MAX_NESTING {
                    return Err(self.error("nested too deeply"));
                }
                self.depth += 1;
                self.at += 1;
                let kind = if byte == b'{' { self.object()? } else { self.array()? };
                self.depth -= 1;
                kind
            }
            b'"' => JsonKind::String(self.string()?),
            b'-' | b'0'..=b'9' => JsonKind::Literal(Value::Number(self.number()?)),
            _ => {
                let word = self.text[self.at..].split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
                let value = match word {
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    "null" => Value::NULL,
                    _ if self.at >= self.text.len() => return Err(self.error("the text ends where a value is expected")),
                    _ => return Err(self.error("a value is expected here: an object, list, string, number, true, false or null")),
                };
                self.at += word.len();
                JsonKind::Literal(value)
            }
        };
        Ok(JsonNode { span: Span::new(start, self.at), kind })
    }

    fn object(&mut self) -> Result<JsonKind, JsonError> {
        let mut members = Vec::new();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(JsonKind::Object(members.into()));
        }
        loop {
            if self.peek() != b'"' {
                return Err(self.error("a key in double quotes is expected here"));
            }
            let start = self.at;
            let name = Name { text: self.string()?, span: Span::new(start, self.at) };
            if self.peek() != b':' {
                return Err(self.error("a colon is expected behind the key"));
            }
            self.at += 1;
            members.push(JsonMember { name, value: self.value()? });
            match self.peek() {
                b',' => {
                    self.at += 1;
                    if self.forgives && self.ends(b'}') {
                        return Ok(JsonKind::Object(members.into()));
                    }
                }
                b'}' => {
                    self.at += 1;
                    return Ok(JsonKind::Object(members.into()));
                }
                _ if self.at >= self.text.len() && self.forgive("the text ends before everything is closed") => {
                    return Ok(JsonKind::Object(members.into()));
                }
                _ => return Err(self.error("a comma or closing brace is expected here")),
            }
        }
    }

    fn array(&mut self) -> Result<JsonKind, JsonError> {
        let mut members = Vec::new();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(JsonKind::Array(members.into()));
        }
        loop {
            members.push(self.value()?);
            match self.peek() {
                b',' => {
                    self.at += 1;
                    if self.forgives && self.ends(b']') {
                        return Ok(JsonKind::Array(members.into()));
                    }
                }
                b']' => {
                    self.at += 1;
                    return Ok(JsonKind::Array(members.into()));
                }
                _ if self.at >= self.text.len() && self.forgive("the text ends before everything is closed") => {
                    return Ok(JsonKind::Array(members.into()));
                }
                _ => return Err(self.error("a comma or closing bracket is expected here")),
            }
        }
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = &rest[..length];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let padded = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        let starts = digits.starts_with(|c: char| c.is_ascii_digit());
        let dangling = digits.ends_with('.') || digits.contains(".e") || digits.contains(".E");
        let regular = starts && !padded && !dangling;
        match Number::parse(text).filter(|_| regular) {
            Some(number) => {
                self.at += length;
                Ok(number)
            }
            None => Err(self.error("this is not a number")),
        }
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => Err(self.error("four hexadecimal digits are expected here")),
        }
    }

    fn string(&mut self) -> Result<Arc<str>, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(stop) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') else {
                self.at = self.text.len();
                return Err(self.error("the string has no closing quote"));
            };
            out.push_str(&rest[..stop]);
            self.at += stop;
            match rest.as_bytes()[stop] {
                b'"' => {
                    self.at += 1;
                    return Ok(out.into());
                }
                b'\\' => {
                    let escape = rest.as_bytes().get(stop + 1).copied().unwrap_or(0);
                    self.at += 1;
                    let c = match escape {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => {
                            self.at += 1;
                            let mut code = self.hex4()?;
                            if (0xd800..0xdc00).contains(&code) && self.text[self.at..].starts_with("\\u") {
                                let before = self.at;
                                self.at += 2;
                                let low = self.hex4()?;
                                if (0xdc00..0xe000).contains(&low) {
                                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                                } else {
                                    self.at = before;
                                }
                            }
                            out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                            continue;
                        }
                        _ => return Err(self.error("there is no such escape sequence")),
                    };
                    self.at += 1;
                    out.push(c);
                }
                _ => return Err(self.error("a control character must be escaped in a string")),
            }
        }
    }
}
