//! The parameters of a request, what its reply says beside the body, and how often a read is tried again.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Parameters of one request.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Instead of the configured namespace.
    pub(crate) namespace: Option<String>,
    /// Instead of the configured region.
    pub(crate) region: Option<String>,
    pub(crate) pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// In a namespace; "" keeps the configured one.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
        self
    }

    /// In a region; "" keeps the configured one.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned()).filter(|region| !region.is_empty());
        self
    }

    /// With a parameter.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.pairs.push((name, value.to_string()));
        self
    }

    /// With a parameter unless its value is empty.
    #[must_use]
    pub fn set_some(self, name: &'static str, value: &str) -> Self {
        if value.is_empty() { self } else { self.set(name, value) }
    }

    /// Held until the index passes, for at most `wait`.
    #[must_use]
    pub fn blocking(self, index: u64, wait: Duration) -> Self {
        if index == 0 { self } else { self.set("index", index).set("wait", format!("{}ms", wait.as_millis())) }
    }

    /// Only what this expression is true of.
    #[must_use]
    pub fn filter(self, expression: &str) -> Self {
        self.set_some("filter", expression)
    }

    /// Only what begins with this.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        self.set_some("prefix", prefix)
    }
}

/// The headers of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The index to pass next.
    pub index: u64,
    /// Where the next page starts, "" if there is none.
    pub next_token: String,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// Its body.
    pub value: T,
    /// Its headers.
    pub meta: Meta,
}

/// How often a read that failed in passing is tried again. Writes are tried once: an answer that was lost does not say
/// whether they took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often at most, after the first time.
    pub times: u32,
    /// The pause before the second try; it doubles with every further one.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for Retry {
    /// Three times within two seconds.
    fn default() -> Self {
        Self { times: 3, pause: Duration::from_millis(200), pause_max: Duration::from_secs(2) }
    }
}

impl Retry {
    /// Never.
    pub const NEVER: Self = Self { times: 0, pause: Duration::ZERO, pause_max: Duration::ZERO };

    /// The pause after so many failures in a row; `None` when it is over. `random` spreads clients that failed together.
    pub(crate) fn pause(&self, failures: u32, random: u64) -> Option<Duration> {
        if failures > self.times {
            return None;
        }
        let doubled = self.pause.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.pause_max);
        Some(doubled / 2 + doubled.mul_f64((random % 1000) as f64 / 2000.0))
    }
}

/// Everything but what may stand in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A value as one path segment.
///
/// ```
/// assert_eq!(drover_sdk::segment("batch/job 1?x"), "batch%2Fjob%201%3Fx");
/// ```
pub fn segment(value: &str) -> String {
    utf8_percent_encode(value, SEGMENT).to_string()
}

pub(crate) fn parameter(value: &str) -> String {
    segment(value).replace('&', "%26").replace('+', "%2B").replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_end() {
        let retry = Retry { times: 3, pause: Duration::from_millis(100), pause_max: Duration::from_millis(300) };
        let pauses: Vec<_> = (1..=4).map(|failures| retry.pause(failures, 0)).collect();
        let ms = |count| Some(Duration::from_millis(count));
        assert_eq!(pauses, [ms(50), ms(100), ms(150), None]);
        assert_eq!(Retry::NEVER.pause(1, 5), None);
        assert!(retry.pause(1, 999).unwrap() < Duration::from_millis(100));
    }
}
