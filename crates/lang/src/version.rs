//! Versions and version constraints, as the operators `version` and `semver` compare them.
//!
//! # Compatibility
//!
//! A version has any number of numeric segments, an optional pre-release and optional metadata, which never counts.
//! `version` keeps pre-releases away from constraints that name none; `semver` compares them in order and has no
//! pessimistic operator.

use std::cmp::Ordering;

/// A version.
#[derive(Clone, Debug)]
pub struct Version {
    segments: Vec<i64>,
    /// Segments that were written.
    written: usize,
    prerelease: String,
}

/// Why a text is not a version or constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The version has no meaning.
    #[error("malformed version: {0}")]
    Version(String),
    /// A segment does not fit.
    #[error("a segment of the version {0} is out of range")]
    OutOfRange(String),
    /// The constraint has no meaning.
    #[error("malformed constraint: {0}")]
    Constraint(String),
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '~')
}

/// Whether the text is parts between dots.
fn is_parts(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.chars().all(is_part))
}

impl Version {
    /// Reads a version such as `1.2.3-beta1+build`, with or without a leading `v`.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let malformed = || VersionError::Version(text.to_owned());
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = match rest.split_once('+') {
            Some((rest, metadata)) => (rest, Some(metadata)),
            None => (rest, None),
        };
        let mut length = 0;
        let bytes = rest.as_bytes();
        loop {
            let digits = bytes[length..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return Err(malformed());
            }
            length += digits;
            if bytes.get(length) != Some(&b'.') {
                break;
            }
            length += 1;
        }
        let (numbers, prerelease) = rest.split_at(length);
        let prerelease = match prerelease.strip_prefix('-') {
            Some("") => "-",
            Some(inner) => inner,
            None => prerelease,
        };
        let starts_well = prerelease.is_empty()
            || rest[length..].starts_with('-')
            || prerelease.starts_with(|c: char| c.is_ascii_alphabetic() || c == '~');
        if !starts_well || !prerelease.is_empty() && !is_parts(prerelease) || metadata.is_some_and(|metadata| !is_parts(metadata)) {
            return Err(malformed());
        }
        let mut segments = numbers
            .split('.')
            .map(|segment| segment.parse::<i64>().map_err(|_| VersionError::OutOfRange(text.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        let written = segments.len();
        while segments.len() < 3 {
            segments.push(0);
        }
        Ok(Self { segments, written, prerelease: prerelease.to_owned() })
    }

    fn compare_segments(&self, other: &Self) -> Ordering {
        let length = self.segments.len().max(other.segments.len());
        let segment = |version: &Self, at: usize| version.segments.get(at).copied().unwrap_or(0);
        (0..length).map(|at| segment(self, at).cmp(&segment(other, at))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The order of two versions; a pre-release comes before its release.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.compare_segments(other).then_with(|| match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_prereleases(&self.prerelease, &other.prerelease),
        })
    }
}

fn compare_prereleases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                return match (x.parse::<i64>(), y.parse::<i64>()) {
                    // Equal numbers with different leading zeros are different, the first counting as less.
                    (Ok(x), Ok(y)) => {
                        if x > y {
                            Ordering::Greater
                        } else {
                            Ordering::Less
                        }
                    }
                    (Ok(_), Err(_)) => Ordering::Less,
                    (Err(_), Ok(_)) => Ordering::Greater,
                    (Err(_), Err(_)) => x.cmp(y),
                };
            }
        }
    }
}

/// Which rules a constraint follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The operator `version`.
    Version,
    /// The operator `semver`.
    Semver,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Pessimistic,
}

/// A list of conditions that must all hold, such as `>= 1.2, < 2`.
#[derive(Clone, Debug)]
pub struct VersionConstraint {
    rules: Rules,
    conditions: Vec<(Operator, Version)>,
}

impl VersionConstraint {
    /// Reads a constraint.
    pub fn parse(text: &str, rules: Rules) -> Result<Self, VersionError> {
        const OPERATORS: [(&str, Operator); 7] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("~>", Operator::Pessimistic),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let conditions = text
            .split(',')
            .map(|part| {
                let malformed = || VersionError::Constraint(part.to_owned());
                let trimmed = part.trim();
                let (operator, version) = OPERATORS
                    .iter()
                    .find_map(|(sign, operator)| trimmed.strip_prefix(sign).map(|rest| (*operator, rest)))
                    .unwrap_or((Operator::Equal, trimmed));
                if operator == Operator::Pessimistic && rules == Rules::Semver {
                    return Err(malformed());
                }
                Version::parse(version.trim()).map(|version| (operator, version)).map_err(|_| malformed())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rules, conditions })
    }

    /// Whether `version` satisfies all conditions.
    pub fn matches(&self, version: &Version) -> bool {
        self.conditions.iter().all(|(operator, bound)| holds(*operator, version, bound, self.rules))
    }
}

fn holds(operator: Operator, version: &Version, bound: &Version, rules: Rules) -> bool {
    let order = version.compare(bound);
    let comparable = rules == Rules::Semver
        || match (version.prerelease.is_empty(), bound.prerelease.is_empty()) {
            (true, true) => true,
            (true, false) => operator != Operator::Pessimistic,
            (false, true) => false,
            (false, false) => version.compare_segments(bound).is_eq(),
        };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => comparable && order.is_gt(),
        Operator::GreaterOrEqual => comparable && order.is_ge(),
        Operator::Less => comparable && order.is_lt(),
        Operator::LessOrEqual => comparable && order.is_le(),
        Operator::Pessimistic => {
            // All written segments but the last are fixed.
            let fixed = bound.written - 1;
            comparable && order.is_ge() && (0..fixed).all(|at| version.segments.get(at).copied().unwrap_or(0) == bound.segments[at])
        }
    }
}
