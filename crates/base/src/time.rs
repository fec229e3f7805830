//! Two kinds of time that do not convert: `WallTime` is persisted and shown, `Monotonic` drives local deadlines.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use minicbor::{Decode, Encode};

/// Nanoseconds since the Unix epoch; replicated, so it never comes from a clock inside logic. Zero means "never".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct WallTime(#[n(0)] pub i64);

impl WallTime {
    /// The moment that stands for "never" or "not set".
    pub const ZERO: Self = Self(0);

    /// Whether this is [`Self::ZERO`].
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The time from `earlier` until this, or zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// RFC 3339 in UTC with as many fractional digits as needed.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_or_else(|_| String::new(), |time| time.to_string())
    }

    /// The time that a text in the form of RFC 3339 says.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok().map(Self)
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for WallTime {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Nanoseconds since some fixed moment of this process; never persisted, never compared between machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The time from `earlier` until this, or zero.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A duration as Go prints it: `1h2m3.5s`, `250ms`, `0s`; the largest unit below a second is used alone.
pub fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let (whole, rest) = (value / unit, value % unit);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = unit.ilog10() as usize;
        format!("{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0'))
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(total, 1_000_000)),
        _ => {
            let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_shown_in_rfc_3339() {
        assert_eq!(WallTime(1_500_000_000).rfc3339(), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn durations_print_as_in_go() {
        let cases = [(532_936_523, "532.936523ms"), (2_000_000_000, "2s"), (5_400_000_000_000, "1h30m0s"), (1_500, "1.5µs")];
        for (nanoseconds, text) in cases {
            assert_eq!(go_duration(nanoseconds), text);
        }
        assert_eq!(go_duration(-90_000_000_000), "-1m30s");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!((WallTime(i64::MAX) + Duration::from_secs(1)).0, i64::MAX);
        assert_eq!(WallTime(5).since(WallTime(9)), Duration::ZERO);
    }
}
