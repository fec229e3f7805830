//! A reader of one YAML document with inferred types.
//!
//! Block and flow collections, explicit keys (`? key`), all scalar styles, anchors, aliases, merge keys and the core tags are
//! understood; tags of one's own are refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hcl::number::Number;
use crate::hcl::parse::MAX_NESTING;
use crate::hcl::value::{Members, Value};

/// Most values that aliases may add, against texts that grow when read.
const MAX_ALIASED: usize = 100_000;

/// How plain scalars are understood where readers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `017` is 17, a date becomes a point in time.
    Expressions,
    /// `017` is 15, a date stays a text.
    Templates,
}

/// The value of a document.
pub(crate) fn read(text: &str, dialect: Dialect) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0, anchors: BTreeMap::new(), depth: 0, aliased: 0, dialect };
    reader.blank_lines()?;
    while reader.rest().starts_with('%') {
        reader.skip_line();
        reader.blank_lines()?;
    }
    let begun = reader.marker("---");
    if begun {
        reader.at += 3;
        reader.spaces();
        if reader.at_line_end() {
            reader.skip_line();
        }
        reader.blank_lines()?;
    }
    if reader.rest().is_empty() {
        return if begun { Ok(Value::NULL) } else { Err("there is no document".to_owned()) };
    }
    let value = reader.block(-1)?;
    reader.blank_lines()?;
    if reader.marker("...") {
        reader.at += 3;
        reader.skip_line();
        reader.blank_lines()?;
    }
    if !reader.rest().is_empty() {
        return Err(reader.fail("nothing may follow the document"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    anchors: BTreeMap<String, Value>,
    depth: u32,
    aliased: usize,
    dialect: Dialect,
}

type Outcome<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn fail(&self, what: &str) -> String {
        format!("line {}: {what}", self.text[..self.at].matches('\n').count() + 1)
    }

    fn column(&self) -> isize {
        let start = self.text[..self.at].rfind('\n').map_or(0, |newline| newline + 1);
        (self.at - start) as isize
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// At the end of a line, a comment counting as one.
    fn at_line_end(&self) -> bool {
        matches!(self.peek(), 0 | b'\n' | b'\r') && (self.rest().is_empty() || self.peek() != 0) || self.peek() == b'#'
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |length| length + 1);
    }

    /// Goes to the first content, at its column.
    fn blank_lines(&mut self) -> Outcome<()> {
        loop {
            let before = self.at;
            self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
            if self.peek() == b'\t' && self.column() == (self.at - before) as isize {
                self.spaces();
                if !self.at_line_end() {
                    return Err(self.fail("a tab cannot indent"));
                }
            }
            if self.rest().is_empty() {
                return Ok(());
            }
            if !self.at_line_end() {
                return Ok(());
            }
            self.skip_line();
        }
    }

    /// Whether a document marker starts here.
    fn marker(&self, marker: &str) -> bool {
        self.column() == 0
            && self.rest().strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\n', '\r', '\t']))
    }

    fn dash(&self) -> bool {
        self.peek() == b'-'
            && matches!(self.text.as_bytes().get(self.at + 1), None | Some(b' ' | b'\n' | b'\r' | b'\t'))
            && !self.marker("---")
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= MAX_NESTING {
            return Err(self.fail("nested too deeply"));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// A node that starts at the current content, which must stand deeper than `parent`.
    fn block(&mut self, parent: isize) -> Outcome<Value> {
        self.nested(|reader| reader.block_inside(parent))
    }

    fn block_inside(&mut self, parent: isize) -> Outcome<Value> {
        let column = self.column();
        if self.rest().is_empty() || column <= parent || self.marker("---") || self.marker("...") {
            return Ok(Value::NULL);
        }
        if self.dash() {
            return self.sequence(column);
        }
        if self.explicit_key() || self.key_ahead() {
            return self.mapping(column);
        }
        self.inline(parent, false)
    }

    fn sequence(&mut self, column: isize) -> Outcome<Value> {
        let mut members = Vec::new();
        while !self.rest().is_empty() && self.column() == column && self.dash() {
            self.at += 1;
            self.spaces();
            let value = if self.at_line_end() {
                self.skip_line();
                self.blank_lines()?;
                self.block(column)?
            } else {
                self.block(column)?
            };
            members.push(value);
            self.blank_lines()?;
        }
        if !self.rest().is_empty() && self.column() > column {
            return Err(self.fail("this stands too deep"));
        }
        Ok(Value::tuple(members))
    }

    /// Whether a key that is a node of its own starts here.
    fn explicit_key(&self) -> bool {
        self.peek() == b'?' && matches!(self.text.as_bytes().get(self.at + 1), None | Some(b' ' | b'\n' | b'\r' | b'\t'))
    }

    /// Whether the line has a key and a colon here, behind an anchor or a tag if need be.
    fn key_ahead(&self) -> bool {
        let mut probe = Reader { text: self.text, at: self.at, anchors: BTreeMap::new(), depth: 0, aliased: 0, dialect: self.dialect };
        let line_end = self.at + self.rest().find('\n').unwrap_or(self.rest().len());
        while matches!(probe.peek(), b'&' | b'!') {
            probe.word();
            probe.spaces();
        }
        match probe.peek() {
            b'"' | b'\'' => {
                if probe.quoted().is_err() || probe.at > line_end {
                    return false;
                }
                probe.spaces();
                probe.colon()
            }
            b'[' | b'{' | b'|' | b'>' | b'&' | b'!' | b'%' | b'@' | b'`' | b'#' => false,
            _ => {
                while probe.at < line_end {
                    if probe.colon() {
                        return true;
                    }
                    if probe.rest().starts_with(" #") {
                        return false;
                    }
                    probe.at += probe.rest().chars().next().map_or(1, char::len_utf8);
                }
                false
            }
        }
    }

    /// Goes behind the colon of a key, and to the next line if that is where the value must be.
    fn value_is_below(&mut self) -> bool {
        self.at += 1;
        self.spaces();
        self.at_line_end()
    }

    /// What stands behind the sign of an explicit key or of its value.
    fn entry(&mut self, column: isize) -> Outcome<Value> {
        self.at += 1;
        self.spaces();
        if self.at_line_end() {
            self.skip_line();
            self.blank_lines()?;
        }
        let value = self.block(column)?;
        self.blank_lines()?;
        Ok(value)
    }

    fn colon(&self) -> bool {
        self.peek() == b':' && matches!(self.text.as_bytes().get(self.at + 1), None | Some(b' ' | b'\n' | b'\r' | b'\t'))
    }

    fn mapping(&mut self, column: isize) -> Outcome<Value> {
        let mut members = Members::new();
        let mut merged: Vec<Value> = Vec::new();
        while !self.rest().is_empty() && self.column() == column && !self.marker("---") && !self.marker("...") {
            let explicit = self.explicit_key();
            if !explicit && !self.key_ahead() {
                return Err(self.fail("a key and a colon are expected here"));
            }
            let (mut anchor, mut tag) = (None, None);
            while !explicit && matches!(self.peek(), b'&' | b'!') {
                if self.peek() == b'!' {
                    tag = Some(self.word());
                } else {
                    self.at += 1;
                    anchor = Some(self.word());
                }
                self.spaces();
            }
            let key = if explicit {
                self.entry(column)?
            } else if matches!(self.peek(), b'"' | b'\'') {
                Value::string(self.quoted()?)
            } else {
                let start = self.at;
                while !self.colon() {
                    self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                }
                let text = self.text[start..self.at].trim_end();
                if text == "<<" { Value::string("<<") } else { resolve(text, self.dialect)? }
            };
            let key = self.apply(key, anchor, tag)?;
            self.spaces();
            let value = if explicit {
                if self.column() == column && self.colon() { self.entry(column)? } else { Value::NULL }
            } else if self.value_is_below() {
                self.skip_line();
                self.blank_lines()?;
                // A list may stand at the column of its key.
                if self.column() == column && self.dash() { self.nested(|reader| reader.sequence(column))? } else { self.block(column)? }
            } else {
                self.nested(|reader| reader.inline(column, true))?
            };
            match key.convert(&crate::hcl::value::Type::String) {
                Ok(Value::String(key)) if &*key == "<<" => merged.push(value),
                Ok(Value::String(key)) => {
                    members.insert(key, value);
                }
                _ => return Err(self.fail("a key must be a text, number or bool")),
            }
            self.blank_lines()?;
        }
        if !self.rest().is_empty() && self.column() > column {
            return Err(self.fail("this stands too deep"));
        }
        merge(&mut members, &merged)?;
        Ok(Value::object(members))
    }

    /// A value on the current line; `in_mapping` refuses another key on it.
    fn inline(&mut self, parent: isize, in_mapping: bool) -> Outcome<Value> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            match self.peek() {
                b'&' => {
                    self.at += 1;
                    anchor = Some(self.word());
                }
                b'!' => tag = Some(self.word()),
                _ => break,
            }
            self.spaces();
        }
        let properties = anchor.is_some() || tag.is_some();
        let mut value = if self.at_line_end() {
            self.skip_line();
            self.blank_lines()?;
            if self.column() == parent && in_mapping && self.dash() { self.sequence(parent)? } else { self.block(parent)? }
        } else {
            match self.peek() {
                b'*' => {
                    self.at += 1;
                    let name = self.word();
                    let value = self.alias(&name)?;
                    self.finish_line()?;
                    value
                }
                b'|' | b'>' => self.block_scalar(parent)?,
                b'"' | b'\'' => {
                    let text = self.quoted()?;
                    self.finish_line()?;
                    Value::string(text)
                }
                b'[' | b'{' => {
                    let value = self.flow()?;
                    self.finish_line()?;
                    value
                }
                b'%' | b'@' | b'`' => return Err(self.fail("this character cannot start a value")),
                _ if !in_mapping && (self.dash() || self.key_ahead()) => self.block(parent)?,
                _ => {
                    let text = self.plain_lines(parent)?;
                    if tag.as_deref() == Some("!!str") || tag.as_deref() == Some("!!binary") {
                        Value::string(text)
                    } else {
                        resolve(&text, self.dialect)?
                    }
                }
            }
        };
        if properties {
            value = self.apply(value, anchor, tag)?;
        }
        Ok(value)
    }

    fn apply(&mut self, value: Value, anchor: Option<String>, tag: Option<String>) -> Outcome<Value> {
        let value = match tag.as_deref() {
            None | Some("!!int" | "!!float" | "!!bool" | "!!null" | "!!map" | "!!seq" | "!!timestamp" | "!") => value,
            Some("!!str" | "!!binary") => value.convert(&crate::hcl::value::Type::String)?,
            Some(tag) => return Err(self.fail(&format!("the tag {tag} is not known"))),
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn alias(&mut self, name: &str) -> Outcome<Value> {
        fn size(value: &Value) -> usize {
            1 + value.elements().map_or(0, |elements| elements.iter().map(size).sum())
                + value.members().map_or(0, |members| members.values().map(size).sum())
        }
        let value = self.anchors.get(name).cloned().ok_or_else(|| self.fail(&format!("there is no anchor \"{name}\"")))?;
        self.aliased += size(&value);
        if self.aliased > MAX_ALIASED {
            return Err(self.fail("the aliases make the document too large"));
        }
        Ok(value)
    }

    fn word(&mut self) -> String {
        let length = self.rest().find([' ', '\t', '\n', '\r', ',', ']', '}']).unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        self.at += length;
        word
    }

    fn finish_line(&mut self) -> Outcome<()> {
        self.spaces();
        if self.rest().is_empty() || self.at_line_end() {
            self.skip_line();
            return Ok(());
        }
        Err(self.fail("nothing may follow the value on its line"))
    }

    /// A plain scalar, with the lines that continue it folded.
    fn plain_lines(&mut self, parent: isize) -> Outcome<String> {
        let mut out = String::new();
        loop {
            let line = self.rest().split('\n').next().unwrap_or("");
            let content = line.find(" #").map_or(line, |at| &line[..at]).trim_end();
            if content.contains(": ") || content.ends_with(':') {
                return Err(self.fail("a mapping cannot start here"));
            }
            out.push_str(content);
            self.at += line.len();
            self.skip_line();
            let mut empty = 0;
            loop {
                let line = self.rest().split('\n').next().unwrap_or("");
                if line.trim().is_empty() && self.rest().contains('\n') {
                    self.skip_line();
                    empty += 1;
                } else {
                    break;
                }
            }
            let start = self.at;
            self.spaces();
            let ends = self.rest().is_empty() || self.column() <= parent || self.peek() == b'#' || self.marker("---") || self.marker("...");
            if ends || parent < 0 && self.dash() || self.key_ahead() && self.column() <= parent {
                self.at = start;
                return Ok(out);
            }
            if empty > 0 { out.push_str(&"\n".repeat(empty)) } else { out.push(' ') }
        }
    }

    fn block_scalar(&mut self, parent: isize) -> Outcome<Value> {
        let folded = self.peek() == b'>';
        let header = self.rest().split('\n').next().unwrap_or("").trim_end();
        let keep = header.contains('+');
        let strip = header.contains('-');
        let explicit = header.bytes().find(u8::is_ascii_digit).map(|digit| isize::from(digit - b'0') + parent.max(0));
        self.skip_line();
        let mut lines: Vec<&str> = Vec::new();
        let mut indent = explicit;
        while !self.rest().is_empty() {
            let line = self.rest().split('\n').next().unwrap_or("").trim_end_matches('\r');
            let own = (line.len() - line.trim_start_matches(' ').len()) as isize;
            if line.trim_matches(' ').is_empty() {
                lines.push(line.get(indent.unwrap_or(0) as usize..).unwrap_or(""));
            } else {
                let wanted = *indent.get_or_insert(own);
                if own < wanted || own <= parent {
                    break;
                }
                lines.push(&line[wanted as usize..]);
            }
            self.skip_line();
        }
        let trailing = lines.iter().rev().take_while(|line| line.is_empty()).count();
        let body = &lines[..lines.len() - trailing];
        let mut out = String::new();
        for (at, line) in body.iter().enumerate() {
            out.push_str(line);
            let last = at + 1 == body.len();
            let fold = folded && !last && !line.is_empty() && !line.starts_with(' ');
            if fold && body[at + 1].is_empty() {
                continue;
            }
            if fold && !body[at + 1].starts_with(' ') {
                out.push(' ');
            } else if !last {
                out.push('\n');
            }
        }
        if !strip && !body.is_empty() {
            out.push('\n');
        }
        if keep {
            out.push_str(&"\n".repeat(trailing));
        }
        Ok(Value::string(out))
    }

    fn quoted(&mut self) -> Outcome<String> {
        let quote = self.peek();
        let mut out = String::new();
        self.at += 1;
        loop {
            let Some(c) = self.rest().chars().next() else { return Err(self.fail("a quote is not closed")) };
            self.at += c.len_utf8();
            match c {
                '\'' if quote == b'\'' => {
                    if self.peek() != b'\'' {
                        return Ok(out);
                    }
                    self.at += 1;
                    out.push('\'');
                }
                '"' if quote == b'"' => return Ok(out),
                '\\' if quote == b'"' => self.escape(&mut out)?,
                '\n' => {
                    out.truncate(out.trim_end_matches([' ', '\t', '\r']).len());
                    let mut newlines = 0;
                    loop {
                        self.spaces();
                        match self.peek() {
                            b'\n' => newlines += 1,
                            b'\r' => {}
                            _ => break,
                        }
                        self.at += 1;
                    }
                    if newlines == 0 { out.push(' ') } else { out.push_str(&"\n".repeat(newlines)) }
                }
                _ => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Outcome<()> {
        let c = self.rest().chars().next().unwrap_or(' ');
        self.at += c.len_utf8().min(self.rest().len());
        let digits = match c {
            'n' => {
                return {
                    out.push('\n');
                    Ok(())
                };
            }
            't' | '\t' => {
                return {
                    out.push('\t');
                    Ok(())
                };
            }
            'r' => {
                return {
                    out.push('\r');
                    Ok(())
                };
            }
            '0' => {
                return {
                    out.push('\0');
                    Ok(())
                };
            }
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
            'e' => {
                return {
                    out.push('\u{1b}');
                    Ok(())
                };
            }
            'f' => {
                return {
                    out.push('\u{c}');
                    Ok(())
                };
            }
            'v' => {
                return {
                    out.push('\u{b}');
                    Ok(())
                };
            }
            'N' => {
                return {
                    out.push('\u{85}');
                    Ok(())
                };
            }
            '_' => {
                return {
                    out.push('\u{a0}');
                    Ok(())
                };
            }
            'L' => {
                return {
                    out.push('\u{2028}');
                    Ok(())
                };
            }
            'P' => {
                return {
                    out.push('\u{2029}');
                    Ok(())
                };
            }
            ' ' | '"' | '/' | '\\' => {
                return {
                    out.push(c);
                    Ok(())
                };
            }
            '\n' => {
                self.spaces();
                return Ok(());
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.fail("there is no such escape sequence")),
        };
        let code = self.rest().get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        out.push(code.ok_or_else(|| self.fail("an escape sequence is wrong"))?);
        self.at += digits;
        Ok(())
    }

    // -- flow style -----------------------------------------------------------------------------------------------

    fn flow_blanks(&mut self) {
        loop {
            let rest = self.rest().trim_start();
            self.at = self.text.len() - rest.len();
            if self.peek() != b'#' {
                return;
            }
            self.skip_line();
        }
    }

    fn flow(&mut self) -> Outcome<Value> {
        self.nested(Self::flow_inside)
    }

    fn flow_inside(&mut self) -> Outcome<Value> {
        match self.peek() {
            b'[' => {
                self.at += 1;
                let mut members = Vec::new();
                loop {
                    self.flow_blanks();
                    if self.peek() == b']' {
                        self.at += 1;
                        return Ok(Value::tuple(members));
                    }
                    members.push(self.flow()?);
                    self.separator(b']')?;
                }
            }
            b'{' => {
                self.at += 1;
                let mut members = Members::new();
                let mut merged = Vec::new();
                loop {
                    self.flow_blanks();
                    if self.peek() == b'}' {
                        self.at += 1;
                        merge(&mut members, &merged)?;
                        return Ok(Value::object(members));
                    }
                    let key = self.flow()?;
                    self.flow_blanks();
                    let value = if self.peek() == b':' {
                        self.at += 1;
                        self.flow_blanks();
                        if matches!(self.peek(), b',' | b'}') { Value::NULL } else { self.flow()? }
                    } else {
                        Value::NULL
                    };
                    match key.convert(&crate::hcl::value::Type::String) {
                        Ok(Value::String(key)) if &*key == "<<" => merged.push(value),
                        Ok(Value::String(key)) => {
                            members.insert(key, value);
                        }
                        _ => return Err(self.fail("a key must be a text, number or bool")),
                    }
                    self.separator(b'}')?;
                }
            }
            b'"' | b'\'' => self.quoted().map(Value::string),
            b'*' => {
                self.at += 1;
                let name = self.word();
                self.alias(&name)
            }
            b'&' => {
                self.at += 1;
                let name = self.word();
                self.flow_blanks();
                let value = self.flow()?;
                self.apply(value, Some(name), None)
            }
            b'!' => {
                let tag = self.word();
                self.flow_blanks();
                let value = self.flow()?;
                self.apply(value, None, Some(tag))
            }
            _ => {
                let start = self.at;
                while !self.rest().is_empty() && !matches!(self.peek(), b',' | b']' | b'}' | b'[' | b'{' | b'\n') && !self.flow_colon() {
                    self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                }
                let text = self.text[start..self.at].trim();
                if text.is_empty() {
                    return Err(self.fail("a value is expected here"));
                }
                resolve(text, self.dialect)
            }
        }
    }

    fn flow_colon(&self) -> bool {
        self.peek() == b':'
            && matches!(self.text.as_bytes().get(self.at + 1), None | Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']'))
    }

    fn separator(&mut self, close: u8) -> Outcome<()> {
        self.flow_blanks();
        if self.peek() == b',' {
            self.at += 1;
            return Ok(());
        }
        if self.peek() == close {
            return Ok(());
        }
        Err(self.fail("a comma or closing bracket is expected here"))
    }
}

fn merge(members: &mut Members, merged: &[Value]) -> Outcome<()> {
    for value in merged {
        let maps: Vec<&Value> = value.elements().map_or_else(|| vec![value], |elements| elements.iter().collect());
        for map in maps {
            let map = map.members().ok_or_else(|| "a merge key needs a mapping".to_owned())?;
            for (key, value) in map {
                members.entry(Arc::clone(key)).or_insert_with(|| value.clone());
            }
        }
    }
    Ok(())
}

/// The value of a plain scalar.
fn resolve(text: &str, dialect: Dialect) -> Outcome<Value> {
    let number = || {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text.strip_prefix('+').unwrap_or(text)), |digits| (-1, digits));
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if radix == 2 && dialect == Dialect::Expressions {
                continue;
            }
            if let Some(digits) = digits.strip_prefix(prefix) {
                return i64::from_str_radix(digits, radix).ok().map(|number| Number::Int(sign * number));
            }
        }
        if dialect == Dialect::Templates && digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
            return i64::from_str_radix(digits, 8).ok().map(|number| Number::Int(sign * number));
        }
        let first = digits.trim_start_matches('.').as_bytes().first()?;
        first.is_ascii_digit().then(|| Number::parse(text)).flatten()
    };
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::NULL,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => Value::Number(Number::Infinity(false)),
        "-.inf" | "-.Inf" | "-.INF" => Value::Number(Number::Infinity(true)),
        ".nan" | ".NaN" | ".NAN" => return Err("not-a-number is not a number here".to_owned()),
        _ => match number() {
            Some(number) => Value::Number(number),
            None if dialect == Dialect::Expressions => Value::string(point_in_time(text).unwrap_or_else(|| text.to_owned())),
            None => Value::string(text),
        },
    })
}

/// A date, or a date and a time, as RFC 3339 has it without fractions of a second; `None` for any other text.
fn point_in_time(text: &str) -> Option<String> {
    fn number(rest: &mut &str, most: usize) -> Option<u32> {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at(length);
        *rest = behind;
        (1..=most).contains(&length).then(|| digits.parse().ok()).flatten()
    }
    fn sign(rest: &mut &str, sign: char) -> Option<()> {
        *rest = rest.strip_prefix(sign)?;
        Some(())
    }
    let mut rest = text.is_ascii().then_some(text).filter(|text| text.as_bytes().get(4) == Some(&b'-'))?;
    let year = number(&mut rest, 4)?;
    sign(&mut rest, '-')?;
    let month = number(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
    sign(&mut rest, '-')?;
    let day = number(&mut rest, 2).filter(|day| (1..=super::time::days_in(i64::from(year), month)).contains(day))?;
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = rest.starts_with(['T', 't']);
    rest = rest.strip_prefix(['T', 't', ' '])?;
    let hour = number(&mut rest, 2).filter(|hour| *hour < 24)?;
    sign(&mut rest, ':')?;
    let minute = number(&mut rest, 2).filter(|minute| *minute < 60)?;
    sign(&mut rest, ':')?;
    let second = number(&mut rest, 2).filter(|second| *second < 60)?;
    if sign(&mut rest, '.').is_some() {
        number(&mut rest, 9)?;
    }
    let zone = match (zoned, rest.as_bytes()) {
        (false, []) | (true, [b'Z']) => "Z",
        (true, [b'+' | b'-', hours @ .., b':', _, _])
            if hours.len() == 2 && rest[1..].bytes().all(|byte| byte.is_ascii_digit() || byte == b':') =>
        {
            if rest[1..] == *"00:00" {
                "Z"
            } else {
                rest
            }
        }
        _ => return None,
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{zone}"))
}
