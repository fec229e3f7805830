//! Quoted texts and heredocs, with what is put into them.

use std::sync::Arc;

use super::super::ast::{Expr, ExprKind, Part};
use super::super::template::{self, Flat};
use super::super::value::Value;
use super::Parser;
use crate::diag::Span;

impl Parser<'_> {
    pub(super) fn quoted(&mut self) -> Option<Expr> {
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

    pub(super) fn literal_char(&mut self, literal: &mut String) {
        if self.eat("$${") {
            literal.push_str("${");
        } else if self.eat("%%{") {
            literal.push_str("%{");
        } else if let Some(c) = self.text[self.at..].chars().next() {
            literal.push(c);
            self.at += c.len_utf8();
        }
    }

    pub(super) fn escape(&mut self, literal: &mut String) {
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
    pub(super) fn sequence(&mut self, flats: &mut Vec<Flat>, literal: &mut String) -> bool {
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

    pub(super) fn directive(&mut self) -> Option<template::Kind> {
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

    pub(super) fn finish_template(&mut self, flats: Vec<Flat>, span: Span) -> Expr {
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

    pub(super) fn heredoc(&mut self) -> Option<Expr> {
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
