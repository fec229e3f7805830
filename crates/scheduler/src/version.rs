//! Version conditions: `>= 1.2, < 2` with the pessimistic `~>`, and strict semantic versions.

use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq)]
struct Version {
    numbers: Vec<u64>,
    pre: String,
}

fn parse(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches('v');
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    let (numbers, pre) = text.split_once('-').map_or((text, ""), |(numbers, pre)| (numbers, pre));
    let numbers: Option<Vec<u64>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    numbers.map(|mut numbers| {
        let given = numbers.len();
        numbers.resize(given.max(3), 0);
        Version { numbers, pre: pre.to_owned() }
    })
}

fn compare(left: &Version, right: &Version) -> Ordering {
    let width = left.numbers.len().max(right.numbers.len());
    let at = |version: &Version, position: usize| version.numbers.get(position).copied().unwrap_or(0);
    (0..width)
        .map(|position| at(left, position).cmp(&at(right, position)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| match (left.pre.as_str(), right.pre.as_str()) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (left, right) => compare_pre(left, right),
        })
}

fn compare_pre(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                _ => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn all(version: &str, constraints: &str, pessimistic: bool) -> Option<bool> {
    let version = parse(version)?;
    for constraint in constraints.split(',') {
        let constraint = constraint.trim();
        let at = constraint.find(|letter: char| letter.is_ascii_digit() || letter == 'v')?;
        let (operator, wanted_text) = constraint.split_at(at);
        let (operator, wanted) = (operator.trim(), parse(wanted_text)?);
        let order = compare(&version, &wanted);
        // A release condition does not take pre-releases for granted.
        if pessimistic && !version.pre.is_empty() && wanted.pre.is_empty() && operator != "!=" {
            return Some(false);
        }
        let met = match operator {
            "" | "=" => order.is_eq(),
            "!=" => order.is_ne(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            "~>" if pessimistic => {
                let given = wanted_text.split(['-', '+']).next().unwrap_or_default().split('.').count();
                let fixed = given.saturating_sub(1).max(1).min(wanted.numbers.len());
                order.is_ge() && version.numbers[..fixed.min(version.numbers.len())] == wanted.numbers[..fixed]
            }
            _ => return None,
        };
        if !met {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether a version meets all conditions; `None` if either cannot be read.
pub(crate) fn satisfies(version: &str, constraints: &str) -> Option<bool> {
    all(version, constraints, true)
}

/// The same under strict semantic versioning.
pub(crate) fn satisfies_semver(version: &str, constraints: &str) -> Option<bool> {
    all(version, constraints, false)
}
