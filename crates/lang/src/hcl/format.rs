//! The canonical layout of HCL: indentation, spaces between tokens, equals signs and comments below each other.
//!
//! Works on tokens, so comments stay where they are and expressions keep their meaning; text that does not scan comes back
//! unchanged. What stands in the braces of a template is laid out as well, the text around it never. Formatting twice is the same
//! as formatting once.

use std::borrow::Cow;

/// What a token is, as far as layout goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    /// A quoted template, with all that is nested in it.
    Text,
    /// A heredoc from its marker to the end of the line that closes it.
    Heredoc,
    Comment,
    /// A comment that ends its line anyway.
    LineComment,
    Sign,
    Newline,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

impl Token<'_> {
    fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// Its text; templates with one space between what stands in their braces.
    fn laid_out(&self) -> Cow<'_, str> {
        match self.kind {
            Kind::Text | Kind::Heredoc if self.text.contains("${") || self.text.contains("%{") => Cow::Owned(template(self.text)),
            _ => Cow::Borrowed(self.text),
        }
    }

    fn brackets(&self) -> i32 {
        match (self.kind, self.text) {
            (Kind::Sign, "(" | "[" | "{") => 1,
            (Kind::Sign, ")" | "]" | "}") => -1,
            _ => 0,
        }
    }
}

/// The text in canonical layout.
pub fn format(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let Some(tokens) = scan(text) else { return text.to_owned() };
    let mut lines = lines(&tokens);
    indent(&mut lines);
    let mut rows: Vec<Row> = lines.iter().map(Row::of).collect();
    align_assignments(&mut rows);
    align_comments(&mut rows);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (line, row) in lines.iter().zip(&rows) {
        let written = row.text();
        out.push_str(if row.keeps_its_end { &written } else { written.trim_end() });
        out.push_str(line.end);
    }
    // Blanks behind the last line end are nobody's.
    if lines.last().is_some_and(|line| line.tokens.is_empty()) {
        out.push_str(&text[text.rfind('\n').map_or(0, |end| end + 1)..]);
    }
    // What is no HCL may have pieces that would become others when they stand together: then nothing is moved.
    let pieces = |tokens: &[Token<'_>]| -> Vec<String> {
        let kept = tokens.iter().filter(|token| !matches!(token.kind, Kind::Newline | Kind::Comment | Kind::LineComment));
        kept.map(|token| token.laid_out().into_owned()).collect()
    };
    match scan(&out) {
        // Nor may a byte order mark become the first thing, which it means something as.
        Some(again) if pieces(&again) == pieces(&tokens) && !out.starts_with('\u{feff}') => out,
        _ => text.to_owned(),
    }
}

// -- scanning ---------------------------------------------------------------------------------------------------------

/// Signs of more than one character, longest first.
const LONG_SIGNS: [&str; 9] = ["...", "=>", "==", "!=", "<=", ">=", "&&", "||", "::"];

fn scan(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let (kind, length) = match bytes[at] {
            b'\n' => (Kind::Newline, 1),
            b'\r' if rest.starts_with("\r\n") => (Kind::Newline, 2),
            b' ' | b'\t' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' => (Kind::LineComment, rest.find('\n').unwrap_or(rest.len())),
            b'/' if rest.starts_with("//") => (Kind::LineComment, rest.find('\n').unwrap_or(rest.len())),
            b'/' if rest.starts_with("/*") => (Kind::Comment, rest.find("*/")? + 2),
            b'"' => (Kind::Text, quoted(rest, 0)?),
            b'<' if rest.starts_with("<<") && heredoc(rest).is_some() => (Kind::Heredoc, heredoc(rest)?),
            b'0'..=b'9' => {
                let digits = |(position, letter): &(usize, char)| {
                    let exponent = matches!(letter, '+' | '-') && rest[..*position].ends_with(['e', 'E']);
                    letter.is_ascii_alphanumeric() || *letter == '.' && !rest[*position..].starts_with("...") || exponent
                };
                (Kind::Number, rest.char_indices().take_while(digits).map(|(position, letter)| position + letter.len_utf8()).last()?)
            }
            _ => {
                let letter = rest.chars().next()?;
                if letter.is_alphabetic() || letter == '_' {
                    let word = |letter: &char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
                    (Kind::Word, rest.chars().take_while(word).map(char::len_utf8).sum())
                } else {
                    let long = LONG_SIGNS.iter().find(|sign| rest.starts_with(**sign));
                    (Kind::Sign, long.map_or(letter.len_utf8(), |sign| sign.len()))
                }
            }
        };
        // A carriage return before the line end belongs to that.
        let kept = if kind == Kind::LineComment { rest[..length].trim_end_matches('\r').len() } else { length };
        tokens.push(Token { kind, text: &rest[..kept] });
        at += kept;
    }
    Some(tokens)
}

/// Templates in templates are looked into so deep.
const DEPTH_MAX: usize = 100;

/// The length of a quoted template that starts the text.
fn quoted(text: &str, depth: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            b'\n' => return None,
            b'$' | b'%' if bytes.get(at + 1) == Some(&b'{') && bytes[at - 1] != bytes[at] => at += interpolation(&text[at..], depth + 1)?,
            _ => at += 1,
        }
    }
    None
}

/// The length of an interpolation or directive that starts the text.
fn interpolation(text: &str, depth: usize) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut at, mut open) = (2, 1);
    while at < bytes.len() {
        match bytes[at] {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => {
                at += quoted(&text[at..], depth)?;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A template whose interpolations and directives are laid out.
fn template(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    let (mut at, mut kept) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if text.starts_with('"') => at += 2,
            sign @ (b'$' | b'%') if bytes.get(at + 1) == Some(&b'{') && (at == 0 || bytes[at - 1] != sign) => {
                let Some(length) = interpolation(&text[at..], 1) else { break };
                if let Some(inside) = inside(&text[at + 2..at + length - 1]) {
                    out.push_str(&text[kept..at + 2]);
                    out.push_str(&inside);
                    kept = at + length - 1;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[kept..]);
    out
}

/// What stands in the braces of a template, laid out; none when it spans lines or does not scan.
fn inside(text: &str) -> Option<String> {
    let (left, text) = text.strip_prefix('~').map_or(("", text), |rest| ("~", rest));
    let (text, right) = text.strip_suffix('~').map_or((text, ""), |rest| (rest, "~"));
    let tokens = scan(text)?;
    if tokens.is_empty() || tokens.iter().any(|token| token.text.contains('\n') || matches!(token.kind, Kind::LineComment | Kind::Heredoc))
    {
        return None;
    }
    let joined = joined(&tokens);
    // A brace stands apart from those of the template.
    let before = if joined.starts_with('{') { " " } else { "" };
    let after = if joined.ends_with('}') { " " } else { "" };
    Some(format!("{left}{before}{joined}{after}{right}"))
}

/// The length of a heredoc that starts the text, without the line end behind it.
fn heredoc(text: &str) -> Option<usize> {
    let after = text.strip_prefix("<<-").or_else(|| text.strip_prefix("<<"))?;
    let (marker, _) = after.split_once('\n')?;
    let marker = marker.trim_end_matches('\r');
    let word = !marker.is_empty() && marker.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'));
    if !word {
        return None;
    }
    let mut at = text.find('\n')? + 1;
    loop {
        let line = text[at..].split('\n').next()?;
        if line.trim() == marker {
            return Some(at + line.trim_end_matches('\r').len());
        }
        at += line.len() + 1;
        if at >= text.len() {
            return None;
        }
    }
}

// -- lines ------------------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Line<'a> {
    tokens: Vec<Token<'a>>,
    indent: usize,
    /// The line end, as it was.
    end: &'a str,
}

fn lines<'a>(tokens: &[Token<'a>]) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    for token in tokens {
        let Some(line) = lines.last_mut() else { continue };
        if token.kind == Kind::Newline {
            line.end = token.text;
            lines.push(Line::default());
        } else {
            line.tokens.push(*token);
        }
    }
    lines
}

/// A line that opens more brackets than it closes indents those below by one step, however many it opens.
fn indent(lines: &mut [Line<'_>]) {
    let mut steps: Vec<i32> = Vec::new();
    for line in lines {
        let mut net: i32 = line.tokens.iter().map(Token::brackets).sum();
        if net < 0 {
            while net < 0 {
                let Some(opened) = steps.pop() else { break };
                net += opened;
                if net > 0 {
                    steps.push(net);
                }
            }
            line.indent = steps.len();
        } else {
            line.indent = steps.len();
            if net > 0 {
                steps.push(net);
            }
        }
    }
}

/// A line in its parts: what stands before the equals sign, from it on, and the comment at the end.
struct Row {
    indent: usize,
    lead: String,
    assign: Option<String>,
    comment: Option<String>,
    lead_width: usize,
    assign_width: usize,
    /// Ends in a heredoc or a comment: white space at its end is text.
    keeps_its_end: bool,
}

fn width(text: &str) -> usize {
    text.rsplit('\n').next().unwrap_or(text).chars().count()
}

impl Row {
    fn of(line: &Line<'_>) -> Self {
        let mut tokens = line.tokens.as_slice();
        let mut comment = None;
        if let [rest @ .., last] = tokens
            && !rest.is_empty()
            && matches!(last.kind, Kind::LineComment | Kind::Comment)
        {
            comment = Some(last.text.to_owned());
            tokens = rest;
        }
        let equals = tokens.iter().position(|token| token.is("=")).filter(|position| *position > 0);
        let whole = |position: &usize| tokens[*position..].iter().map(Token::brackets).sum::<i32>() == 0;
        let split = equals.filter(whole);
        let (lead, assign) = tokens.split_at(split.unwrap_or(tokens.len()));
        let (lead, assign) = (joined(lead), split.map(|_| joined(assign)));
        Self {
            indent: line.indent,
            lead_width: 0,
            assign_width: 0,
            keeps_its_end: line.tokens.last().is_some_and(|token| matches!(token.kind, Kind::Heredoc | Kind::LineComment)),
            lead,
            assign,
            comment,
        }
    }

    fn is_empty(&self) -> bool {
        self.lead.is_empty() && self.assign.is_none() && self.comment.is_none()
    }

    /// The columns before the comment.
    fn columns(&self) -> usize {
        let lead = width(&self.lead).max(self.lead_width);
        self.indent * 2 + self.assign.as_ref().map_or(width(&self.lead), |assign| lead + 1 + width(assign))
    }

    fn text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut out = "  ".repeat(self.indent);
        out.push_str(&self.lead);
        if let Some(assign) = &self.assign {
            let gap = self.lead_width.saturating_sub(width(&self.lead)) + 1;
            out.push_str(&" ".repeat(gap));
            out.push_str(assign);
        }
        if let Some(comment) = &self.comment {
            let gap = self.assign_width.saturating_sub(self.columns()) + 1;
            out.push_str(&" ".repeat(gap));
            out.push_str(comment);
        }
        out
    }
}

/// Runs `close` over each run of neighbouring rows for which `belongs` holds.
fn runs(rows: &mut [Row], belongs: impl Fn(&Row) -> bool, close: impl Fn(&mut [Row])) {
    let mut start = 0;
    while start < rows.len() {
        if !belongs(&rows[start]) {
            start += 1;
            continue;
        }
        let length = rows[start..].iter().take_while(|row| belongs(row)).count();
        close(&mut rows[start..start + length]);
        start += length;
    }
}

fn align_assignments(rows: &mut [Row]) {
    runs(
        rows,
        |row| row.assign.is_some(),
        |run| {
            let widest = run.iter().map(|row| width(&row.lead)).max().unwrap_or(0);
            run.iter_mut().for_each(|row| row.lead_width = widest);
        },
    );
}

fn align_comments(rows: &mut [Row]) {
    runs(
        rows,
        |row| row.comment.is_some(),
        |run| {
            let widest = run.iter().map(Row::columns).max().unwrap_or(0);
            run.iter_mut().for_each(|row| row.assign_width = widest);
        },
    );
}

// -- spaces -----------------------------------------------------------------------------------------------------------

fn joined(tokens: &[Token<'_>]) -> String {
    let mut out = String::new();
    for (position, token) in tokens.iter().enumerate() {
        if position > 0 && space_between(tokens, position) {
            out.push(' ');
        }
        out.push_str(&token.laid_out());
    }
    out
}

/// Words that an expression may follow, so that a sign behind them stands before its operand.
const KEYWORDS: [&str; 3] = ["in", "for", "if"];

/// Whether a value can end with this token.
fn ends_value(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Word => !KEYWORDS.contains(&token.text),
        Kind::Number | Kind::Text | Kind::Heredoc => true,
        _ => token.is(")") || token.is("]") || token.is("}"),
    }
}

/// Whether a space stands before the token at `position`.
fn space_between(tokens: &[Token<'_>], position: usize) -> bool {
    let (before, token) = (&tokens[position - 1], &tokens[position]);
    if matches!(before.kind, Kind::Comment) || matches!(token.kind, Kind::Comment | Kind::LineComment) {
        return true;
    }
    let value_before = position >= 2 && ends_value(&tokens[position - 2]);
    // Together they would be another number.
    if before.kind == Kind::Number && token.is(".") {
        return true;
    }
    match (before.kind, before.text) {
        (Kind::Sign, "(" | "[" | "." | "!" | "::") => return false,
        // A sign of one operand.
        (Kind::Sign, "-") if !value_before => return false,
        (Kind::Sign, "{") if token.is("}") => return false,
        // A splat goes on behind its sign.
        (Kind::Sign, "*") if position >= 2 && (tokens[position - 2].is(".") || tokens[position - 2].is("[")) => return false,
        _ => {}
    }
    match (token.kind, token.text) {
        (Kind::Sign, ")" | "]" | "," | "." | "..." | "::") => false,
        (Kind::Sign, "(") => before.kind != Kind::Word || KEYWORDS.contains(&before.text),
        (Kind::Sign, "[") => !ends_value(before) || before.kind == Kind::Text,
        (Kind::Number, text) if text.starts_with('.') => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_signs_and_comments_stand_below_each_other() {
        assert_eq!(format("a=1\nbb   = 2\n"), "a  = 1\nbb = 2\n");
        assert_eq!(format("a=1 # one\nbbb = 22 // two\n\nc=3\n"), "a   = 1  # one\nbbb = 22 // two\n\nc = 3\n");
    }

    #[test]
    fn blocks_are_indented_and_heredocs_left_alone() {
        let text = "job \"x\" {\ngroup \"g\" {\n    meta { a=1 }\ndata = <<EOF\n  {{ range  x }}\n    y\nEOF\n}\n  }\n";
        let wanted = "job \"x\" {\n  group \"g\" {\n    meta { a = 1 }\n    data = <<EOF\n  {{ range  x }}\n    y\nEOF\n  }\n}\n";
        assert_eq!(format(text), wanted);
        assert_eq!(format(wanted), wanted);
    }

    #[test]
    fn expressions_have_one_space_where_it_belongs() {
        for (text, wanted) in [
            ("a=[1,2 ,3]", "a = [1, 2, 3]"),
            ("a = foo( x,y )", "a = foo(x, y)"),
            ("a=b+c*-d", "a = b + c * -d"),
            ("a = ! b", "a = !b"),
            ("a = x [0] . y", "a = x[0].y"),
            ("a = [for k,v in m: upper(k) if v>-1]", "a = [for k, v in m : upper(k) if v > -1]"),
            ("a = {b=1,c=2}", "a = { b = 1, c = 2 }"),
            ("a = x[*] .y", "a = x[*].y"),
            ("a = f(l...)", "a = f(l...)"),
            ("a = b?c:d", "a = b ? c : d"),
            ("a = \"${ x  }\"", "a = \"${x}\""),
            ("a = \"${x+1}-$${ y } %{~ if  x ~} b  %{ endif }\"", "a = \"${x + 1}-$${ y } %{~if x~} b  %{endif}\""),
            ("a = \"${ foo( \"${ y }\",[ 1 ] ) }\"", "a = \"${foo(\"${y}\", [1])}\""),
            ("a = \"${{b=1}}\"", "a = \"${ { b = 1 } }\""),
            ("a = \"{{ range  x }}\"", "a = \"{{ range  x }}\""),
            ("meta {}", "meta {}"),
        ] {
            assert_eq!(format(text), wanted);
            assert_eq!(format(wanted), wanted);
        }
    }

    #[test]
    fn several_lines_are_not_aligned_with_their_neighbours() {
        assert_eq!(format("command=\"x\"\nargs = [\n\"a\",\n]\nz=1\n"), "command = \"x\"\nargs = [\n  \"a\",\n]\nz = 1\n");
    }

    #[test]
    fn what_does_not_scan_is_not_touched() {
        for text in ["a = \"open\n", "/* open", "a = <<EOF\n x\n"] {
            let _ = format(text);
        }
        assert_eq!(format("a  = \"open\n"), "a  = \"open\n");
    }
}
