//! A reader of HCL1, the language of agent configuration: literals, lists and nested objects, no expressions.
//!
//! Text in JSON gives the same tree, an array of objects counting as a repeated block.

use crate::diag::{Problem, Source, Span};
use crate::hcl::ast::{JsonKind, JsonNode};
use crate::hcl::json::parse_json_forgiving;
use crate::hcl::parse::MAX_NESTING;
use crate::hcl::value::Value;

/// `key "label" … value`
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The key and the labels behind it.
    pub(crate) keys: Vec<(String, Span)>,
    pub(crate) value: Node,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// A number as written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Item>),
}

impl Kind {
    /// What the value is, for messages.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "a bool",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Object(_) => "a block",
        }
    }
}

/// Reads a text; JSON when its first character opens an object. Returns warnings about what was read although it is not whole.
pub(crate) fn parse(source: &Source) -> Result<(Vec<Item>, Vec<Problem>), Vec<Problem>> {
    let text = source.text();
    if text.trim_start().starts_with(['{', '[']) && (source.name().ends_with(".json") || text.trim_start().starts_with('{')) {
        return match parse_json_forgiving(text) {
            Ok((JsonNode { kind: JsonKind::Object(members), .. }, forgiven)) => {
                let items = members.iter().flat_map(|member| json_items(&(member.name.text.to_string(), member.name.span), &member.value));
                let warn = |error: crate::hcl::json::JsonError| Problem::warning("Invalid JSON", error.message).at(source, error.span);
                Ok((items.collect(), forgiven.into_iter().map(warn).collect()))
            }
            Ok((node, _)) => Err(vec![Problem::error("Invalid configuration", "A JSON object is expected.").at(source, node.span)]),
            Err(error) => Err(vec![Problem::error("Invalid JSON", error.message.clone()).at(source, error.span)]),
        };
    }
    let mut reader = Reader { source, text, at: 0, depth: 0, warnings: Vec::new() };
    match reader.items(false) {
        Ok(items) => Ok((items, reader.warnings)),
        Err(problem) => Err(vec![*problem]),
    }
}

/// The tree as JSON.
pub(crate) fn json(items: &[Item]) -> serde_json::Value {
    use serde_json::Value as Json;
    let mut object = serde_json::Map::new();
    for item in items {
        let Some(((first, _), labels)) = item.keys.split_first() else { continue };
        let labelled = labels
            .iter()
            .rev()
            .fold(json_of(&item.value), |inner, (label, _)| Json::Object([(label.clone(), inner)].into_iter().collect()));
        match object.get_mut(first) {
            None => {
                object.insert(first.clone(), labelled);
            }
            Some(Json::Array(several)) => several.push(labelled),
            Some(one) => *one = Json::Array(vec![one.take(), labelled]),
        }
    }
    Json::Object(object)
}

fn json_of(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.kind {
        Kind::Null => Json::Null,
        Kind::Bool(value) => Json::Bool(*value),
        Kind::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone())),
        Kind::Text(text) => Json::String(text.clone()),
        Kind::List(nodes) => nodes.iter().map(json_of).collect(),
        Kind::Object(items) => json(items),
    }
}

fn json_items(key: &(String, Span), node: &JsonNode) -> Vec<Item> {
    match &node.kind {
        JsonKind::Array(members) if !members.is_empty() && members.iter().all(|member| matches!(member.kind, JsonKind::Object(_))) => {
            members.iter().map(|member| Item { keys: vec![key.clone()], value: json_node(member) }).collect()
        }
        _ => vec![Item { keys: vec![key.clone()], value: json_node(node) }],
    }
}

fn json_node(node: &JsonNode) -> Node {
    let kind = match &node.kind {
        JsonKind::Literal(Value::Bool(value)) => Kind::Bool(*value),
        JsonKind::Literal(Value::Number(number)) => Kind::Number(number.to_string()),
        JsonKind::Literal(_) => Kind::Null,
        JsonKind::String(text) => Kind::Text(text.to_string()),
        JsonKind::Array(members) => Kind::List(members.iter().map(json_node).collect()),
        JsonKind::Object(members) => Kind::Object(
            members.iter().flat_map(|member| json_items(&(member.name.text.to_string(), member.name.span), &member.value)).collect(),
        ),
    };
    Node { span: node.span, kind }
}

struct Reader<'a> {
    source: &'a Source,
    text: &'a str,
    at: usize,
    depth: u32,
    warnings: Vec<Problem>,
}

type Outcome<T> = Result<T, Box<Problem>>;

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, span: Span, summary: &str, detail: impl Into<String>) -> Outcome<T> {
        Err(Box::new(Problem::error(summary, detail).at(self.source, span)))
    }

    fn here(&self) -> Span {
        Span::new(self.at, self.at + self.rest().chars().next().map_or(0, char::len_utf8))
    }

    /// Passes blanks, line ends and comments.
    fn skip(&mut self) -> Outcome<()> {
        loop {
            let blanks = self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n', '\u{feff}']).len();
            self.at += blanks;
            if self.rest().starts_with('#') || self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(length) => self.at += length + 2,
                    None => return self.fail(self.here(), "Unterminated comment", "There is no \"*/\" that ends this comment."),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn items(&mut self, nested: bool) -> Outcome<Vec<Item>> {
        let mut items = Vec::new();
        let open = Span::new(self.at.saturating_sub(1), self.at);
        loop {
            self.skip()?;
            let Some(c) = self.rest().chars().next() else {
                if nested {
                    return self.fail(open, "Unclosed block", "There is no closing brace for this block before the end of the file.");
                }
                return Ok(items);
            };
            match c {
                '}' if nested => {
                    self.at += 1;
                    return Ok(items);
                }
                ',' if !items.is_empty() => self.at += 1,
                _ => items.extend(self.item()?),
            }
        }
    }

    /// A key with its value; none when the text ends behind the equals sign.
    fn item(&mut self) -> Outcome<Option<Item>> {
        let mut keys: Vec<(String, Span)> = Vec::new();
        loop {
            self.skip()?;
            let start = self.at;
            match self.rest().chars().next() {
                Some('=') if !keys.is_empty() => {
                    self.at += 1;
                    self.skip()?;
                    if let (true, [(key, span), ..]) = (self.rest().is_empty(), &keys[..]) {
                        let detail = format!("The file ends where the value of \"{key}\" is expected; the key is passed over.");
                        self.warnings.push(Problem::warning("Missing value", detail).at(self.source, *span));
                        return Ok(None);
                    }
                    let value = self.value()?;
                    return Ok(Some(Item { keys, value }));
                }
                Some('{') if !keys.is_empty() => {
                    let value = self.value()?;
                    return Ok(Some(Item { keys, value }));
                }
                Some('"') => {
                    let text = self.string()?;
                    keys.push((text, Span::new(start, self.at)));
                }
                Some(c) if c.is_alphabetic() || c == '_' => {
                    let length = self.rest().find(|c| !is_key_char(c)).unwrap_or(self.rest().len());
                    self.at += length;
                    keys.push((self.text[start..self.at].to_owned(), Span::new(start, self.at)));
                }
                Some(c) => {
                    let detail = match (c, keys.last()) {
                        ('\'', _) => "Texts stand between double quotes (\"), not single quotes.".to_owned(),
                        (_, None) => format!("A key is expected here, not {c:?}."),
                        (_, Some((key, _))) => {
                            format!("\"{key}\" must be followed by \"=\" and a value, or by a block; {c:?} cannot stand here.")
                        }
                    };
                    return self.fail(self.here(), "Invalid configuration", detail);
                }
                None => {
                    let detail = "The file ends where a value is expected.";
                    let span = keys.last().map_or(self.here(), |(_, span)| *span);
                    return self.fail(span, "Invalid configuration", detail);
                }
            }
        }
    }

    fn value(&mut self) -> Outcome<Node> {
        let start = self.at;
        let kind = match self.rest().chars().next() {
            Some('"') => Kind::Text(self.string()?),
            Some('<') if self.rest().starts_with("<<") => Kind::Text(self.heredoc()?),
            Some(open @ ('[' | '{')) => {
                if self.depth >= MAX_NESTING {
                    return self.fail(self.here(), "Nested too deeply", format!("At most {MAX_NESTING} levels are read."));
                }
                self.at += 1;
                self.depth += 1;
                let kind = if open == '{' { Kind::Object(self.items(true)?) } else { Kind::List(self.list()?) };
                self.depth -= 1;
                kind
            }
            Some('-' | '+' | '0'..='9') => Kind::Number(self.number()?),
            Some(c) if c.is_alphabetic() => {
                let length = self.rest().find(|c| !is_key_char(c)).unwrap_or(self.rest().len());
                let word = &self.rest()[..length];
                let kind = match word {
                    "true" => Kind::Bool(true),
                    "false" => Kind::Bool(false),
                    _ => {
                        let detail = format!("\"{word}\" is no value: a text needs quotes, and there are no functions or references here.");
                        return self.fail(Span::new(start, start + length), "Invalid value", detail);
                    }
                };
                self.at += length;
                kind
            }
            Some('\'') => return self.fail(self.here(), "Invalid value", "Texts stand between double quotes (\"), not single quotes."),
            Some(c) => return self.fail(self.here(), "Invalid value", format!("A value is expected here, not {c:?}.")),
            None => return self.fail(self.here(), "Invalid value", "The file ends where a value is expected."),
        };
        Ok(Node { span: Span::new(start, self.at), kind })
    }

    fn list(&mut self) -> Outcome<Vec<Node>> {
        let mut members = Vec::new();
        loop {
            self.skip()?;
            if self.rest().starts_with(']') {
                self.at += 1;
                return Ok(members);
            }
            members.push(self.value()?);
            self.skip()?;
            match self.rest().chars().next() {
                Some(',') => self.at += 1,
                Some(']') => {}
                _ => return self.fail(self.here(), "Invalid list", "A comma or closing bracket is expected here."),
            }
        }
    }

    fn number(&mut self) -> Outcome<String> {
        let start = self.at;
        let length = self.rest().find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '+'))).unwrap_or(self.rest().len());
        let text = &self.text[start..start + length];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let written = if let Some(hex) = digits.strip_prefix("0x") {
            i64::from_str_radix(hex, 16).ok().map(|number| number.to_string())
        } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
            i64::from_str_radix(digits, 8).ok().map(|number| number.to_string())
        } else {
            (digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok()).then(|| digits.to_owned())
        };
        match written {
            Some(number) => {
                self.at += length;
                Ok(if text.starts_with('-') { format!("-{number}") } else { number })
            }
            None => {
                self.fail(Span::new(start, start + length), "Invalid number", format!("\"{text}\" is not a number; a text needs quotes."))
            }
        }
    }

    fn string(&mut self) -> Outcome<String> {
        let start = self.at;
        let mut out = String::new();
        self.at += 1;
        let mut braces = 0u32;
        loop {
            let Some(c) = self.rest().chars().next().filter(|c| (*c != '\n' || braces > 0) && *c != '\0') else {
                return self.fail(Span::new(start, self.at), "Unterminated text", "There is no closing quote on this line.");
            };
            // Inside ${…} everything is kept as it is, quotes included.
            if self.rest().starts_with("${") {
                braces += 1;
                out.push_str("${");
                self.at += 2;
                continue;
            }
            self.at += c.len_utf8();
            if braces > 0 {
                match c {
                    '{' => braces += 1,
                    '}' => braces -= 1,
                    _ => {}
                }
                out.push(c);
                continue;
            }
            match c {
                '"' => return Ok(out),
                '\\' => self.escape(&mut out)?,
                _ => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Outcome<()> {
        let start = self.at - 1;
        let c = self.rest().chars().next().unwrap_or('\n');
        self.at += if c == '\n' { 0 } else { c.len_utf8() };
        let digits = match c {
            'a' => {
                return {
                    out.push('\u{7}');
                    Ok(())
                };
            }
            'b' => {
                return {
                    out.push('\u{8}');
                    Ok(())
                };
            }
            'f' => {
                return {
                    out.push('\u{c}');
                    Ok(())
                };
            }
            'n' => {
                return {
                    out.push('\n');
                    Ok(())
                };
            }
            'r' => {
                return {
                    out.push('\r');
                    Ok(())
                };
            }
            't' => {
                return {
                    out.push('\t');
                    Ok(())
                };
            }
            'v' => {
                return {
                    out.push('\u{b}');
                    Ok(())
                };
            }
            '"' | '\\' => {
                return {
                    out.push(c);
                    Ok(())
                };
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return self.fail(Span::new(start, self.at), "Invalid escape sequence", format!("There is no escape sequence \"\\{c}\".")),
        };
        let code = self.rest().get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        match code {
            Some(decoded) => {
                self.at += digits;
                out.push(decoded);
                Ok(())
            }
            None => self.fail(
                Span::new(start, self.at),
                "Invalid escape sequence",
                format!("{digits} hexadecimal digits of a character are expected."),
            ),
        }
    }

    /// `<<MARK` keeps lines as they are, `<<-MARK` takes the blanks that stand before the closing marker from every line.
    fn heredoc(&mut self) -> Outcome<String> {
        let start = self.at;
        self.at += 2;
        let indented = self.rest().starts_with('-');
        self.at += usize::from(indented);
        let line = self.rest().split('\n').next().unwrap_or("").trim_end_matches('\r');
        let marker = line.to_owned();
        let length = self.rest().find('\n');
        let (Some(length), false) = (length, marker.is_empty()) else {
            return self.fail(Span::new(start, self.at), "Invalid heredoc", "A marker and a line end must follow \"<<\".");
        };
        self.at += length + 1;
        let mut lines: Vec<&str> = Vec::new();
        let text = self.text;
        loop {
            let rest = &text[self.at..];
            if rest.is_empty() {
                return self.fail(
                    Span::new(start, start + 2),
                    "Unterminated heredoc",
                    format!("There is no line \"{marker}\" that ends it."),
                );
            }
            let line = rest.split_inclusive('\n').next().unwrap_or("");
            if line.trim() == marker {
                let indent = line.len() - line.trim_start().len();
                self.at += line.trim_end_matches(['\n', '\r']).len();
                let common = lines.iter().all(|line| line.len() >= indent && line[..indent.min(line.len())].trim().is_empty());
                let cut = if indented && common { indent } else { 0 };
                return Ok(lines
                    .iter()
                    .map(|line| if indented && !common { line.trim_start_matches([' ', '\t']) } else { &line[cut..] })
                    .collect());
            }
            lines.push(line);
            self.at += line.len();
        }
    }
}
