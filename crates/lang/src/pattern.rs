//! Regular expressions in the syntax of RE2, in which job files, templates and filters are written.
//!
//! [`compile`] reads a pattern of that syntax and hands the `regex` crate an equal one of its own. The two differ in what a brace
//! that repeats nothing means, in classes (`&&`, `--` and `[` are plain characters here), in `\Q…\E` and octal escapes, in the ASCII
//! meaning of `\d`, `\w`, `\s` and `\b`, and in that nothing can be repeated twice.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// The most repetitions that a pattern may ask for.
const REPEAT_MAX: u32 = 1000;

/// A pattern, ready to be used.
///
/// # Errors
/// In words, when the pattern is none.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let own = Translator { rest: pattern.chars().peekable(), out: String::with_capacity(pattern.len() + 8), repeatable: false }.run()?;
    Regex::new(&own).map_err(|error| error.to_string())
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Whether a repetition may stand here.
    repeatable: bool,
}

/// What an escape stands for.
enum Escaped {
    One(char),
    /// A class, as the inside of brackets, and whether it is negated.
    Class(&'static str, bool),
    /// A class of Unicode, as it is written in both syntaxes.
    Unicode(String),
}

impl Translator<'_> {
    fn run(mut self) -> Result<String, String> {
        while let Some(letter) = self.rest.next() {
            match letter {
                '\\' => self.escape()?,
                '[' => {
                    self.class()?;
                    self.repeatable = true;
                }
                '(' => self.group()?,
                '*' | '+' | '?' => self.repeat(&letter.to_string())?,
                '{' => match self.counted()? {
                    Some(counted) => self.repeat(&counted)?,
                    None => self.literal('{'),
                },
                '|' => {
                    self.out.push('|');
                    self.repeatable = false;
                }
                ')' | '.' | '^' | '$' => {
                    self.out.push(letter);
                    self.repeatable = true;
                }
                _ => self.literal(letter),
            }
        }
        Ok(self.out)
    }

    fn literal(&mut self, letter: char) {
        push_plain(&mut self.out, letter);
        self.repeatable = true;
    }

    /// A repetition of what stands before; another one must not follow.
    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        if !std::mem::take(&mut self.repeatable) {
            return Err(format!("missing argument to repetition operator: `{operator}`"));
        }
        self.out.push_str(operator);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        Ok(())
    }

    /// The rest of `{2}`, `{2,}` or `{2,5}`, if that is what follows a brace.
    fn counted(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.rest.clone();
        let mut number = || {
            let mut digits = String::new();
            while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            (digits, ahead.next())
        };
        let plain = |digits: &str| !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
        let (least, sign) = number();
        let (most, sign) = match sign {
            Some(',') => {
                let (most, sign) = number();
                (Some(most), sign)
            }
            other => (None, other),
        };
        if sign != Some('}') || !plain(&least) || most.as_deref().is_some_and(|most| !most.is_empty() && !plain(most)) {
            return Ok(None);
        }
        self.rest = ahead;
        let written = format!("{{{least}{}}}", most.as_ref().map_or(String::new(), |most| format!(",{most}")));
        let size = |digits: &str| digits.parse::<u32>().ok().filter(|count| *count <= REPEAT_MAX);
        let fits = match (size(&least), most.as_deref()) {
            (Some(_), None | Some("")) => true,
            (Some(least), Some(most)) => size(most).is_some_and(|most| least <= most),
            (None, _) => false,
        };
        if fits { Ok(Some(written)) } else { Err(format!("invalid repeat count: `{written}`")) }
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        self.repeatable = false;
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        let mut ahead = self.rest.clone();
        let named = match (ahead.next(), ahead.next()) {
            (Some('P'), Some('<')) => true,
            (Some('<'), second) => second.is_some_and(|letter| letter != '=' && letter != '!'),
            _ => false,
        };
        if named {
            for letter in self.rest.by_ref() {
                self.out.push(letter);
                if letter == '>' {
                    break;
                }
            }
            return Ok(());
        }
        for letter in self.rest.by_ref() {
            match letter {
                'i' | 'm' | 's' | 'U' | '-' => self.out.push(letter),
                ':' | ')' => {
                    self.out.push(letter);
                    return Ok(());
                }
                _ => return Err(format!("invalid or unsupported Perl syntax: `(?{letter}`")),
            }
        }
        Err("missing closing ): the pattern ends in its flags".to_owned())
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek() {
            Some('Q') => {
                self.rest.next();
                while let Some(letter) = self.rest.next() {
                    if letter == '\\' && self.rest.next_if_eq(&'E').is_some() {
                        return Ok(());
                    }
                    self.literal(letter);
                }
                return Ok(());
            }
            Some(letter @ ('b' | 'B')) => {
                self.out.push_str(if *letter == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" });
                self.rest.next();
            }
            Some(letter @ ('A' | 'z')) => {
                self.out.push('\\');
                self.out.push(*letter);
                self.rest.next();
            }
            _ => match self.escaped()? {
                Escaped::One(letter) => push_plain(&mut self.out, letter),
                Escaped::Class(inside, negated) => self.out.push_str(&format!("[{}{inside}]", if negated { "^" } else { "" })),
                Escaped::Unicode(class) => self.out.push_str(&class),
            },
        }
        self.repeatable = true;
        Ok(())
    }

    /// What a backslash and what follows it stand for, in a class and outside of one.
    fn escaped(&mut self) -> Result<Escaped, String> {
        let Some(letter) = self.rest.next() else { return Err("trailing backslash at end of expression".to_owned()) };
        let invalid = |what: &str| Err(format!("invalid escape sequence: `\\{what}`"));
        Ok(match letter {
            'd' => Escaped::Class("0-9", false),
            'D' => Escaped::Class("0-9", true),
            's' => Escaped::Class(r"\t\n\x0C\r ", false),
            'S' => Escaped::Class(r"\t\n\x0C\r ", true),
            'w' => Escaped::Class("0-9A-Za-z_", false),
            'W' => Escaped::Class("0-9A-Za-z_", true),
            'p' | 'P' => return self.unicode(letter),
            'a' => Escaped::One('\x07'),
            'f' => Escaped::One('\x0c'),
            'n' => Escaped::One('\n'),
            'r' => Escaped::One('\r'),
            't' => Escaped::One('\t'),
            'v' => Escaped::One('\x0b'),
            'x' => return self.hexadecimal(),
            // One digit would be a reference to a group, which there is not.
            '1'..='7' if !self.rest.peek().is_some_and(|next| ('0'..='7').contains(next)) => return invalid(&letter.to_string()),
            '0'..='7' => {
                let mut code = letter.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|next| ('0'..='7').contains(next)) else { break };
                    code = code * 8 + digit.to_digit(8).unwrap_or(0);
                }
                char::from_u32(code).map_or_else(|| invalid(&letter.to_string()), |found| Ok(Escaped::One(found)))?
            }
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Escaped::One(letter),
            _ => return invalid(&letter.to_string()),
        })
    }

    fn unicode(&mut self, letter: char) -> Result<Escaped, String> {
        let mut name = String::new();
        match self.rest.next() {
            Some('{') => {
                let mut closed = false;
                for next in self.rest.by_ref() {
                    if next == '}' {
                        closed = true;
                        break;
                    }
                    name.push(next);
                }
                if !closed {
                    return Err(format!("invalid character class range: `\\{letter}{{{name}`"));
                }
            }
            Some(one) => name.push(one),
            None => {}
        }
        let (name, flipped) = name.strip_prefix('^').map_or((name.as_str(), false), |rest| (rest, true));
        if name.is_empty() || !name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_') {
            return Err(format!("invalid character class range: `\\{letter}{{{name}}}`"));
        }
        let positive = (letter == 'p') != flipped;
        Ok(Escaped::Unicode(format!("\\{}{{{name}}}", if positive { 'p' } else { 'P' })))
    }

    fn hexadecimal(&mut self) -> Result<Escaped, String> {
        let mut digits = String::new();
        let closed = if self.rest.next_if_eq(&'{').is_some() {
            while let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit) {
                digits.push(digit);
            }
            self.rest.next() == Some('}')
        } else {
            while digits.len() < 2
                && let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit)
            {
                digits.push(digit);
            }
            digits.len() == 2
        };
        let found = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).filter(|_| closed);
        found.map(Escaped::One).ok_or_else(|| format!("invalid escape sequence: `\\x{digits}`"))
    }

    /// A class, whose opening bracket has been read.
    fn class(&mut self) -> Result<(), String> {
        let missing = || "missing closing ]".to_owned();
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let letter = self.rest.next().ok_or_else(missing)?;
            if letter == ']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if letter == '[' && self.rest.peek() == Some(&':') && self.named_class()? {
                continue;
            }
            let low = match self.class_item(letter)? {
                Ok(low) => low,
                Err(class) => {
                    self.out.push_str(&class);
                    continue;
                }
            };
            push_plain(&mut self.out, low);
            // A sign before the closing bracket is a plain one.
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|next| *next != ']') {
                self.rest.next();
                let letter = self.rest.next().ok_or_else(missing)?;
                let high = self.class_item(letter)?.ok().filter(|high| low <= *high);
                let high = high.ok_or_else(|| format!("invalid character class range: `{low}-{letter}`"))?;
                self.out.push('-');
                push_plain(&mut self.out, high);
            }
        }
    }

    /// A character of a class, or a class in the class.
    fn class_item(&mut self, letter: char) -> Result<Result<char, String>, String> {
        if letter != '\\' {
            return Ok(Ok(letter));
        }
        Ok(match self.escaped()? {
            Escaped::One(letter) => Ok(letter),
            Escaped::Class(inside, false) => Err(inside.to_owned()),
            Escaped::Class(inside, true) => Err(format!("[^{inside}]")),
            Escaped::Unicode(class) => Err(class),
        })
    }

    /// A class such as `[:alpha:]`, if that is what stands here.
    fn named_class(&mut self) -> Result<bool, String> {
        const NAMES: [&str; 14] =
            ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"];
        let ahead: String = self.rest.clone().skip(1).take(16).collect();
        let Some((name, _)) = ahead.split_once(":]") else { return Ok(false) };
        let bare = name.strip_prefix('^').unwrap_or(name);
        if !NAMES.contains(&bare) {
            return Err(format!("invalid character class range: `[:{name}:]`"));
        }
        self.out.push_str(&format!("[:{name}:]"));
        self.rest.nth(name.len() + 2);
        Ok(true)
    }
}

/// A character that means itself.
fn push_plain(out: &mut String, letter: char) {
    if letter.is_ascii_punctuation() && letter != '_' && letter != '<' && letter != '>' {
        out.push('\\');
    }
    out.push(letter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_re2() {
        for (pattern, text, wanted) in [
            (r"{{.*}}", "a {{ b }}", true),
            (r"\$\{[^}]+\}", "${x}", true),
            (r"a{,2}", "a{,2}", true),
            (r"a{2}", "aa", true),
            (r"^\d+$", "٣", false),
            (r"^\w+$", "é", false),
            (r"[[a]", "[", true),
            (r"[a&&b]", "&", true),
            (r"^[+--]+$", ",", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            (r"^\101$", "A", true),
            (r"\<", "<", true),
            (r"[^\D]", "5", true),
            (r"^[]a]$", "]", true),
            (r"^[[:^alpha:]]$", "1", true),
            (r"(?i)straße", "STRAßE", true),
            (r"\bx\b", "éx", true),
            (r"(?P<n>a)(?<m>b)", "ab", true),
        ] {
            assert_eq!(compile(pattern).map(|pattern| pattern.is_match(text)), Ok(wanted), "{pattern} {text}");
        }
    }

    #[test]
    fn what_re2_does_not_read_is_refused() {
        for pattern in [
            "a**",
            "*a",
            "a{1001}",
            "a{3,2}",
            r"\1",
            r"\C",
            r"(?=a)",
            "(?x)a",
            "[b-a]",
            "[a",
            r"\u0041",
            "a|*",
            "(*)",
            r"[[:foo:]]",
            r"\pé",
            "(",
            ")",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
