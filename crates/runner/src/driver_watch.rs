//! When a driver is asked again how it is: regularly as long as it can be used, and at growing distances while it keeps failing.

use std::time::Duration;

use drover_base::Monotonic;

/// How far apart a driver that does not fail is asked.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// The first and the longest wait before a failing driver is asked again.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);
pub const RETRY_MAX: Duration = Duration::from_secs(120);

/// Watches one driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverWatch {
    due: Monotonic,
    /// The wait after the next failure.
    retry: Duration,
}

impl DriverWatch {
    /// The watch over a driver that has just been asked.
    pub fn new(now: Monotonic, failing: bool) -> Self {
        let mut watch = Self { due: now, retry: RETRY_FIRST };
        watch.asked(now, failing);
        watch
    }

    /// When the driver is to be asked next.
    pub fn due(&self) -> Monotonic {
        self.due
    }

    /// The driver was asked. Failures in a row double the wait; one success begins anew.
    pub fn asked(&mut self, now: Monotonic, failing: bool) {
        if failing {
            self.due = now + self.retry;
            self.retry = (self.retry * 2).min(RETRY_MAX);
        } else {
            self.due = now + INTERVAL;
            self.retry = RETRY_FIRST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    #[proves("CLI-104")]
    #[test]
    fn repeated_failures_are_asked_about_ever_more_rarely_until_one_success() {
        let mut now = Monotonic(0);
        let mut watch = DriverWatch::new(now, true);
        let mut waits = Vec::new();
        for failing in [true, true, true, true, true, true, false, true, true, false] {
            waits.push(watch.due().since(now).as_secs());
            now = watch.due();
            watch.asked(now, failing);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 120, 120, 30, 5, 10]);
        assert_eq!(watch.due().since(now), INTERVAL);
    }
}
