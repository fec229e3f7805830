//! Stands in for the crate of this name, which openraft counts its batches with.
//!
//! The original builds tables for every precision at the first use of any: 26 MiB that an idle agent never gives back,
//! more than all the rest of it. openraft uses one precision and reads it only in a statistics feature that is off here.
//! Written for Drover; only the calls that openraft makes exist. See `docs/adr/0007-histogram.md`.

use std::fmt;
use std::marker::PhantomData;

/// Buckets in each power of two.
const STEPS: usize = 4;
/// Bits that tell the buckets of one power of two apart.
const STEP_BITS: u32 = 2;
/// Buckets for all of `u64`.
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS;

/// Counts of values, each bucket an eighth to a quarter wide of the values in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Vec<u64>,
    data: PhantomData<T>,
}

/// Points of a distribution; each is the lowest value of the bucket that the share falls into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// Values counted.
    pub samples: u64,
    /// 0.1 %.
    pub p0_1: u64,
    /// 1 %.
    pub p1: u64,
    /// 5 %.
    pub p5: u64,
    /// 10 %.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n={} p50={} p90={} p99={} p99.9={}", self.samples, self.p50, self.p90, self.p99, self.p99_9)
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    let power = value.ilog2();
    let step = (value >> (power - STEP_BITS)) as usize & (STEPS - 1);
    (power - STEP_BITS + 1) as usize * STEPS + step
}

fn lowest(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let power = (bucket / STEPS) as u32 + STEP_BITS - 1;
    (STEPS as u64 + (bucket % STEPS) as u64) << (power - STEP_BITS)
}

impl<T> Histogram<T> {
    /// An empty one; takes memory only once something is counted.
    pub fn new() -> Self {
        Self { counts: Vec::new(), data: PhantomData }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value so many times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        let slot = &mut self.counts[bucket(value)];
        *slot = slot.saturating_add(count);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn percentile(&self, total: u64, share: f64) -> u64 {
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen: u64 = 0;
        for (position, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if *count > 0 && seen >= wanted {
                return lowest(position);
            }
        }
        0
    }

    /// The usual points.
    pub fn percentile_stats(&self) -> PercentileStats {
        let samples = self.total();
        let at = |share| self.percentile(samples, share);
        PercentileStats {
            samples,
            p0_1: at(0.001),
            p1: at(0.01),
            p5: at(0.05),
            p10: at(0.1),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
        }
    }
}

/// Several histograms, shown one below the other.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    lines: Vec<(String, Histogram)>,
}

impl AsciiChart {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more histogram.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.lines.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.lines {
            let stats = histogram.percentile_stats();
            writeln!(f, "{name}: n={} p50={} p99={}", stats.samples, stats.p50, stats.p99)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_hold_their_lowest_value() {
        for position in 0..BUCKETS {
            assert_eq!(bucket(lowest(position)), position);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn the_median_of_one_to_a_hundred_is_near_fifty() {
        let mut histogram = Histogram::<()>::new();
        (1..=100).for_each(|value| histogram.record(value));
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 100);
        assert!((40..=56).contains(&stats.p50), "{stats:?}");
    }
}
