//! Expressions: operators by their strength, terms, steps behind them, lists and objects, calls.

use std::sync::Arc;

use super::super::ast::{BinaryOperator, Call, Expr, ExprKind, For, Name, Reference, Step, UnaryOperator};
use super::super::number::Number;
use super::super::value::{Value, is_identifier_part};
use super::Parser;
use crate::diag::Span;

impl Parser<'_> {
    /// An expression, blanks before it passed.
    pub(crate) fn expression(&mut self) -> Option<Expr> {
        self.nested(Self::conditional)
    }

    pub(super) fn conditional(&mut self) -> Option<Expr> {
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

    pub(super) fn operator(&self) -> Option<(BinaryOperator, u8, usize)> {
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

    pub(super) fn binary(&mut self, level: u8) -> Option<Expr> {
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

    pub(super) fn unary(&mut self) -> Option<Expr> {
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

    pub(super) fn postfix(&mut self) -> Option<Expr> {
        let term = self.term()?;
        self.steps(term, false)
    }

    /// Attribute, index and splat steps behind `base`; only attribute steps when `attributes_only`.
    pub(super) fn steps(&mut self, mut base: Expr, attributes_only: bool) -> Option<Expr> {
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

    pub(super) fn attribute_step(&mut self, mut base: Expr, name: Name) -> Expr {
        base.span = base.span.to(name.span);
        match base.kind {
            ExprKind::Reference(ref mut reference) => {
                reference.steps.push(Step::Attribute(name));
                base
            }
            _ => Expr { span: base.span, kind: ExprKind::Attribute(Box::new(base), name) },
        }
    }

    pub(super) fn index_step(&mut self, mut base: Expr, key: Expr, span: Span) -> Expr {
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

    pub(super) fn splat(&mut self, mut base: Expr, attributes_only: bool) -> Option<Expr> {
        self.finish_reference(&mut base);
        let span = self.span_from(self.at);
        let item = Expr { span, kind: ExprKind::SplatItem };
        let each = self.nested(|parser| parser.steps(item, attributes_only))?;
        Some(Expr { span: base.span.to(self.span_from(self.at)), kind: ExprKind::Splat(Box::new(base), Box::new(each)) })
    }

    /// Notes the text that stands for a reference whose first name nobody knows.
    pub(super) fn finish_reference(&self, expr: &mut Expr) {
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

    pub(super) fn invalid_expression(&mut self) {
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

    pub(super) fn term(&mut self) -> Option<Expr> {
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

    pub(super) fn number(&mut self) -> Expr {
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

    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let found = self.ahead(word) && !self.text[self.at + word.len()..].starts_with(is_identifier_part);
        if found {
            self.at += word.len();
        }
        found
    }

    pub(super) fn tuple(&mut self, start: usize) -> Option<Expr> {
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
    pub(super) fn next_item_behind(&mut self, end: usize) -> Option<usize> {
        let newline = end + self.text.get(end..self.at)?.find('\n')?;
        let line = self.text[self.at..].lines().next()?;
        let name = line.split(|c| !is_identifier_part(c)).next().filter(|name| !name.is_empty())?;
        let rest = line[name.len()..].trim_start();
        let begins = rest.starts_with(['{', '"']) || rest.starts_with('=') && !rest.starts_with("==");
        begins.then_some(newline)
    }

    pub(super) fn object(&mut self, start: usize) -> Option<Expr> {
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

    pub(super) fn object_key(&mut self) -> Option<Expr> {
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

    pub(super) fn for_names(&mut self) -> Option<(Option<Name>, Name)> {
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

    pub(super) fn for_expression(&mut self, start: usize, close: u8) -> Option<Expr> {
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

    pub(super) fn call(&mut self, name: Name) -> Option<Expr> {
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
}
