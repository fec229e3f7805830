//! Conditions on nodes: resolving `${…}` references and comparing.

use std::borrow::Cow;
use std::cmp::Ordering;

use drover_lang::pattern::compile;
use drover_lang::version::{Rules, Version, VersionConstraint};
use drover_model::{Constraint, Node};

/// A side of a condition: text, or a fact of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The text itself.
    Literal(String),
    /// A field of the node.
    Field(Field),
    /// An attribute.
    Attribute(String),
    /// Meta data.
    Meta(String),
    /// A reference that stands for nothing.
    Nothing,
}

/// A field of a node that conditions may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The id.
    Id,
    /// The name.
    Name,
    /// The datacenter.
    Datacenter,
    /// The class.
    Class,
    /// The pool.
    Pool,
}

impl Target {
    /// Reads a side of a condition (SCH-020).
    pub fn parse(text: &str) -> Self {
        let Some(rest) = text.strip_prefix("${") else { return Self::Literal(text.to_owned()) };
        // A missing final brace is tolerated where a key follows.
        let key = |rest: &str| rest.strip_suffix('}').unwrap_or(rest).to_owned();
        if let Some(rest) = rest.strip_prefix("attr.") {
            return Self::Attribute(key(rest));
        }
        if let Some(rest) = rest.strip_prefix("meta.") {
            return Self::Meta(key(rest));
        }
        match rest {
            "node.unique.id}" => Self::Field(Field::Id),
            "node.unique.name}" => Self::Field(Field::Name),
            "node.datacenter}" => Self::Field(Field::Datacenter),
            "node.class}" => Self::Field(Field::Class),
            "node.pool}" => Self::Field(Field::Pool),
            _ => Self::Nothing,
        }
    }

    /// What it stands for on a node; `None` if the node lacks it.
    pub fn resolve<'a>(&'a self, node: &'a Node) -> Option<Cow<'a, str>> {
        match self {
            Self::Literal(text) => Some(Cow::Borrowed(text)),
            Self::Field(Field::Id) => Some(Cow::Owned(node.id.to_string())),
            Self::Field(Field::Name) => Some(Cow::Borrowed(&node.name)),
            Self::Field(Field::Datacenter) => Some(Cow::Borrowed(&node.datacenter)),
            Self::Field(Field::Class) => Some(Cow::Borrowed(&node.node_class)),
            Self::Field(Field::Pool) => Some(Cow::Borrowed(&node.node_pool)),
            Self::Attribute(key) => node.attributes.get(key).map(|value| Cow::Borrowed(value.as_str())),
            Self::Meta(key) => node.meta.get(key).map(|value| Cow::Borrowed(value.as_str())),
            Self::Nothing => None,
        }
    }

    /// Whether nodes of one class may differ in it (SCH-027).
    pub fn is_unique(&self) -> bool {
        match self {
            Self::Field(field) => matches!(field, Field::Id | Field::Name),
            Self::Attribute(key) | Self::Meta(key) => key.starts_with("unique."),
            Self::Literal(_) | Self::Nothing => false,
        }
    }
}

/// What a side of a condition stands for on a node; `None` if the node lacks it.
pub fn resolve(target: &str, node: &Node) -> Option<String> {
    Target::parse(target).resolve(node).map(Cow::into_owned)
}

/// Whether the condition looks at something that nodes of one class may differ in.
pub fn escapes_class(constraint: &Constraint) -> bool {
    Target::parse(&constraint.l_target).is_unique() || Target::parse(&constraint.r_target).is_unique()
}

/// A condition made ready for many nodes: what does not depend on the node is worked out once.
#[derive(Clone, Debug)]
pub struct Condition {
    left: Target,
    right: Target,
    operand: String,
    prepared: Prepared,
}

#[derive(Clone, Debug)]
enum Prepared {
    Nothing,
    Pattern(Option<regex::Regex>),
    Versions(Option<VersionConstraint>),
}

impl Condition {
    /// Makes a condition ready.
    pub fn new(left: &str, operand: &str, right: &str) -> Self {
        let right = Target::parse(right);
        let prepared = match (operand, &right) {
            ("regexp", Target::Literal(text)) => Prepared::Pattern(compile(text).ok()),
            ("version", Target::Literal(text)) => Prepared::Versions(VersionConstraint::parse(text, Rules::Version).ok()),
            ("semver", Target::Literal(text)) => Prepared::Versions(VersionConstraint::parse(text, Rules::Semver).ok()),
            _ => Prepared::Nothing,
        };
        Self { left: Target::parse(left), right, operand: operand.to_owned(), prepared }
    }

    /// Whether nodes of one class may differ in it.
    pub fn is_unique(&self) -> bool {
        self.left.is_unique() || self.right.is_unique()
    }

    /// Whether a node meets it.
    pub fn met(&self, node: &Node) -> bool {
        let left = self.left.resolve(node);
        match (&self.prepared, &left) {
            (Prepared::Pattern(pattern), Some(left)) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(left)),
            (Prepared::Versions(versions), Some(left)) => match (versions, Version::parse(left)) {
                (Some(versions), Ok(version)) => versions.matches(&version),
                _ => false,
            },
            (Prepared::Pattern(_) | Prepared::Versions(_), None) => false,
            (Prepared::Nothing, _) => holds(&self.operand, left.as_deref(), self.right.resolve(node).as_deref()),
        }
    }
}

/// Whether the condition holds between two resolved sides. An unknown operator never holds (SCH-019).
pub fn holds(operand: &str, left: Option<&str>, right: Option<&str>) -> bool {
    match operand {
        "=" | "==" | "is" => matches!((left, right), (Some(left), Some(right)) if left == right),
        "!=" | "not" => left.unwrap_or_default() != right.unwrap_or_default(),
        // Checked elsewhere: they are about allocations and not about the node.
        "distinct_hosts" | "distinct_property" => true,
        "is_set" | "attribute_is_set" => left.is_some(),
        "is_not_set" | "attribute_is_not_set" => left.is_none(),
        _ => match (left, right) {
            (Some(left), Some(right)) => compare(operand, left, right),
            _ => false,
        },
    }
}

fn compare(operand: &str, left: &str, right: &str) -> bool {
    match operand {
        "<" => order(left, right) == Some(Ordering::Less),
        "<=" => order(left, right).is_some_and(Ordering::is_le),
        ">" => order(left, right) == Some(Ordering::Greater),
        ">=" => order(left, right).is_some_and(Ordering::is_ge),
        "version" => satisfies(left, right, Rules::Version),
        "semver" => satisfies(left, right, Rules::Semver),
        "regexp" => compile(right).is_ok_and(|pattern| pattern.is_match(left)),
        "set_contains" | "set_contains_all" => right.split(',').all(|item| contains(left, item)),
        "set_contains_any" => right.split(',').any(|item| contains(left, item)),
        _ => false,
    }
}

fn satisfies(version: &str, constraint: &str, rules: Rules) -> bool {
    match (Version::parse(version), VersionConstraint::parse(constraint, rules)) {
        (Ok(version), Ok(constraint)) => constraint.matches(&version),
        _ => false,
    }
}

fn contains(list: &str, item: &str) -> bool {
    list.split(',').any(|entry| entry.trim() == item.trim())
}

/// As integers if both are, else as floats if both are, else as text (SCH-015).
fn order(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i64>(), right.parse::<i64>()) {
        return Some(left.cmp(&right));
    }
    if let (Some(left), Some(right)) = (float(left), float(right)) {
        return left.partial_cmp(&right);
    }
    Some(left.cmp(right))
}

/// A float, whose digits may be set apart with single underscores.
fn float(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let apart = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').all(|(at, _)| digit(at.checked_sub(1)) && digit(Some(at + 1)));
    if apart { text.replace('_', "").parse().ok() } else { None }
}

/// Whether a datacenter is named by a list of globs; only `*` is special (SCH-002).
pub fn datacenter_matches(globs: &[String], datacenter: &str) -> bool {
    globs.iter().any(|glob| glob == "*" || drover_lang::glob::glob_matches(glob, datacenter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datacenters_match_by_stars_only() {
        let matches = |glob: &str, name| datacenter_matches(&[glob.to_owned()], name);
        assert!(matches("*", "dc1") && matches("dc*", "dc1") && matches("*1", "dc1") && matches("d*1", "dc1"));
        assert!(!matches("dc", "dc1") && !matches("DC1", "dc1") && !matches("d?1", "dc1") && !matches("dc1*dc1", "dc1"));
    }

    #[test]
    fn numbers_compare_as_numbers_and_the_rest_as_text() {
        assert!(holds("<", Some("9"), Some("10")) && holds("<", Some("9.5"), Some("10")) && holds(">", Some("b"), Some("a10")));
        assert!(!holds("<", Some("NaN"), Some("10")) && !holds("<", None, Some("1")));
        assert!(holds("!=", None, Some("x")) && !holds("!=", None, None) && !holds("like", Some("a"), Some("a")));
    }
}
