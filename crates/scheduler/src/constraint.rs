//! Conditions on nodes: resolving `${…}` references and comparing.

use std::borrow::Cow;
use std::cmp::Ordering;

use drover_lang::version::{Rules, Version, VersionConstraint};
use drover_model::{Constraint, Node};

/// A side of a condition on a node: what the reference stands for, or the text itself; `None` if the node lacks it.
pub fn resolve<'a>(target: &'a str, node: &'a Node) -> Option<Cow<'a, str>> {
    let Some(name) = target.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return Some(Cow::Borrowed(target));
    };
    match name {
        "node.unique.id" => Some(Cow::Owned(node.id.to_string())),
        "node.unique.name" => Some(Cow::Borrowed(&node.name)),
        "node.datacenter" => Some(Cow::Borrowed(&node.datacenter)),
        "node.class" => Some(Cow::Borrowed(&node.node_class)),
        "node.pool" => Some(Cow::Borrowed(&node.node_pool)),
        name => match name.split_once('.') {
            Some(("attr", key)) => node.attributes.get(key).map(|value| Cow::Borrowed(value.as_str())),
            Some(("meta", key)) => node.meta.get(key).map(|value| Cow::Borrowed(value.as_str())),
            _ => None,
        },
    }
}

/// Whether the condition looks at something that nodes of one class may differ in.
pub fn escapes_class(constraint: &Constraint) -> bool {
    [&constraint.l_target, &constraint.r_target]
        .iter()
        .any(|target| target.contains("${node.unique.") || target.contains("${attr.unique.") || target.contains("${meta.unique."))
}

/// Whether the condition holds between two resolved sides. An unknown operator never holds (SCH-019).
pub fn holds(operand: &str, left: Option<&str>, right: Option<&str>) -> bool {
    match operand {
        "=" | "==" | "is" => matches!((left, right), (Some(left), Some(right)) if left == right),
        "!=" | "not" => left.unwrap_or_default() != right.unwrap_or_default(),
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
        "regexp" => regex::Regex::new(right).is_ok_and(|pattern| pattern.is_match(left)),
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
    if let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) {
        return left.partial_cmp(&right);
    }
    Some(left.cmp(right))
}

/// Whether a datacenter is named by a list of globs; only `*` is special (SCH-002).
pub fn datacenter_matches(globs: &[String], datacenter: &str) -> bool {
    globs.iter().any(|glob| drover_lang::glob::glob_matches(glob, datacenter))
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
