//! Measurements: everything recorded through the `metrics` crate, kept for the last interval of ten seconds and as totals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_api as api;
use drover_base::{Monotonic, WallTime};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// How long an interval is.
pub const INTERVAL_SECONDS: i64 = 10;
/// How long gathered gauges are new.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// Different series that are kept; more are counted under one name.
const SERIES_MAX: usize = 4096;

/// A name with its labels.
type Series = (String, Vec<(String, String)>);

/// Values of one interval.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    count: u64,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Sample {
    fn add(&mut self, value: f64) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    fn deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let count = self.count as f64;
        ((self.squares * count - self.sum * self.sum).max(0.0) / (count * (count - 1.0))).sqrt()
    }
}

/// A value as it is at the moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

#[derive(Clone, Debug, Default)]
struct Interval {
    start: i64,
    counters: BTreeMap<Series, Sample>,
    samples: BTreeMap<Series, Sample>,
}

#[derive(Debug, Default)]
struct Kept {
    now: i64,
    current: Interval,
    last: Option<Interval>,
    gauges: BTreeMap<Series, f64>,
    /// Gauges that are gathered as a whole: what is not told any more is gone.
    gathered: BTreeMap<Series, f64>,
    /// When that was begun last.
    gathered_at: Option<Monotonic>,
    /// What was measured last; all of it is replaced at once.
    measured: BTreeMap<Series, f64>,
    totals: BTreeMap<Series, f64>,
    sums: BTreeMap<Series, (u64, f64)>,
}

/// The measurements of an agent. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<Mutex<Kept>>);

impl Telemetry {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes this the place where the process records. Only the first of a process becomes it.
    pub fn install(&self) {
        if metrics::set_global_recorder(self.clone()).is_err() {
            tracing::debug!("measurements go to the recorder that was there before");
        }
    }

    /// Puts values in the place of all that were measured before: what is gone has none any more.
    pub fn measured(&self, values: Vec<Measured>) {
        let fits = values.into_iter().take(SERIES_MAX);
        self.kept().measured = fits.map(|one| ((one.name, one.labels), one.value)).collect();
    }

    /// Tells the time; ends the interval when it is over. To be called about once a second.
    pub fn tick(&self, now: WallTime) {
        let mut kept = self.kept();
        let start = now.seconds() - now.seconds().rem_euclid(INTERVAL_SECONDS);
        kept.now = now.seconds();
        if kept.current.start == 0 {
            kept.current.start = start;
        }
        if start > kept.current.start {
            let ended = std::mem::replace(&mut kept.current, Interval { start, ..Interval::default() });
            kept.last = Some(ended);
        }
    }

    /// Whether gauges are to be gathered now: not while they are still new.
    pub fn begin_gathering(&self, now: Monotonic) -> bool {
        let mut kept = self.kept();
        let due = kept.gathered_at.is_none_or(|at| now.since(at) >= GATHERED_FOR);
        if due {
            kept.gathered_at = Some(now);
        }
        due
    }

    /// Takes gauges in the place of all that were gathered before.
    pub fn gather(&self, gauges: impl IntoIterator<Item = (String, Vec<(String, String)>, f64)>) {
        let gathered = gauges.into_iter().map(|(name, labels, value)| ((name, labels), value)).take(SERIES_MAX).collect();
        self.kept().gathered = gathered;
    }

    /// The last whole interval, or the running one before the first has ended.
    pub fn summary(&self) -> api::MetricsSummary {
        let kept = self.kept();
        let interval = kept.last.as_ref().unwrap_or(&kept.current);
        let values = |map: &BTreeMap<Series, Sample>| {
            let shown = map.iter().map(|((name, labels), sample)| api::SampledValue {
                name: name.clone(),
                count: i64::try_from(sample.count).unwrap_or(i64::MAX),
                sum: sample.sum,
                min: sample.min,
                max: sample.max,
                mean: sample.mean(),
                rate: sample.sum / INTERVAL_SECONDS as f64,
                stddev: sample.deviation(),
                labels: Some(labels.iter().cloned().collect()),
            });
            Some(shown.collect())
        };
        let gauges = kept.gauges.iter().chain(&kept.measured).chain(&kept.gathered).map(|((name, labels), value)| api::GaugeValue {
            name: name.clone(),
            value: *value,
            labels: Some(labels.iter().cloned().collect()),
        });
        let text = WallTime(interval.start.saturating_mul(1_000_000_000)).rfc3339();
        let timestamp = text.replace('T', " ").replace('Z', " +0000 UTC");
        api::MetricsSummary {
            timestamp,
            gauges: Some(gauges.collect()),
            precision_gauges: Some(Vec::new()),
            points: Some(Vec::new()),
            counters: values(&interval.counters),
            samples: values(&interval.samples),
        }
    }

    /// Everything since the start, in the text form that Prometheus reads.
    pub fn prometheus(&self) -> String {
        let kept = self.kept();
        let mut out = String::new();
        let mut family = String::new();
        let mut write = |kind: &str, (name, labels): &Series, suffix: &str, value: String| {
            let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
            if family != name {
                out.push_str(&format!("# HELP {name} {name}\n# TYPE {name} {kind}\n"));
                family.clone_from(&name);
            }
            let labels: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            out.push_str(&format!("{name}{suffix}{labels} {value}\n"));
        };
        for (series, value) in &kept.totals {
            write("counter", series, "", value.to_string());
        }
        for (series, value) in kept.gauges.iter().chain(&kept.measured).chain(&kept.gathered) {
            write("gauge", series, "", value.to_string());
        }
        for (series, (count, sum)) in &kept.sums {
            write("summary", series, "_sum", sum.to_string());
            write("summary", series, "_count", count.to_string());
        }
        out
    }

    fn series(key: &Key) -> Series {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned()));
        (key.name().to_owned(), labels.collect())
    }

    fn handle(&self, key: &Key) -> Arc<One> {
        Arc::new(One { telemetry: self.clone(), series: Self::series(key) })
    }
}

/// One series.
struct One {
    telemetry: Telemetry,
    series: Series,
}

impl One {
    /// The series, or the one that takes in what is too much.
    fn bounded<T>(&self, map: &BTreeMap<Series, T>) -> Series {
        if map.len() < SERIES_MAX || map.contains_key(&self.series) {
            self.series.clone()
        } else {
            ("drover.telemetry.overflow".to_owned(), Vec::new())
        }
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        let mut kept = self.telemetry.kept();
        let series = self.bounded(&kept.totals);
        kept.current.counters.entry(series.clone()).or_default().add(value as f64);
        *kept.totals.entry(series).or_default() += value as f64;
    }

    fn absolute(&self, value: u64) {
        let mut kept = self.telemetry.kept();
        let series = self.bounded(&kept.totals);
        kept.totals.insert(series, value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        let mut kept = self.telemetry.kept();
        let series = self.bounded(&kept.gauges);
        *kept.gauges.entry(series).or_default() += value;
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        let mut kept = self.telemetry.kept();
        let series = self.bounded(&kept.gauges);
        kept.gauges.insert(series, value);
    }
}

impl HistogramFn for One {
    fn record(&self, value: f64) {
        let mut kept = self.telemetry.kept();
        let series = self.bounded(&kept.sums);
        kept.current.samples.entry(series.clone()).or_default().add(value);
        let (count, sum) = kept.sums.entry(series).or_default();
        *count += 1;
        *sum += value;
    }
}

impl Recorder for Telemetry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle(key))
    }
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;

    use super::*;

    #[proves("EVT-020")]
    #[test]
    fn an_interval_is_summed_up_when_it_is_over() {
        let telemetry = Telemetry::default();
        let at = |seconds: i64| WallTime(seconds * 1_000_000_000);
        telemetry.tick(at(100));
        metrics::with_local_recorder(&telemetry, || {
            metrics::counter!("a.count", "kind" => "x").increment(2);
            metrics::counter!("a.count", "kind" => "x").increment(4);
            metrics::gauge!("a.gauge").set(7.0);
            metrics::histogram!("a.time").record(1.0);
            metrics::histogram!("a.time").record(3.0);
        });
        telemetry.tick(at(111));
        let summary = telemetry.summary();
        let counters = summary.counters.unwrap();
        assert_eq!((counters[0].count, counters[0].sum, counters[0].rate), (2, 6.0, 0.6));
        assert_eq!(counters[0].labels.as_ref().unwrap()["kind"], "x");
        assert_eq!(summary.gauges.unwrap()[0].value, 7.0);
        assert_eq!(summary.samples.unwrap()[0].mean, 2.0);
        assert_eq!(summary.timestamp, "1970-01-01 00:01:40 +0000 UTC");
        let gauge = |value: f64| ("a.leader".to_owned(), vec![("job".to_owned(), "x".to_owned())], value);
        telemetry.gather([gauge(1.0)]);
        telemetry.gather([gauge(2.0)]);
        let shown = telemetry.summary().gauges.unwrap();
        assert_eq!(shown.iter().map(|gauge| gauge.value).collect::<Vec<_>>(), [7.0, 2.0]);
        assert!(telemetry.prometheus().contains("a_leader{job=\"x\"} 2\n"));
        telemetry.gather([]);
        assert!(!telemetry.prometheus().contains("a_leader"), "what nobody tells any more is dropped");
        telemetry.tick(at(121));
        assert!(telemetry.summary().counters.unwrap().is_empty());
        let text = telemetry.prometheus();
        assert!(text.contains("# TYPE a_count counter\na_count{kind=\"x\"} 6\n") && text.contains("a_time_count 2\n"), "{text}");
    }
}
