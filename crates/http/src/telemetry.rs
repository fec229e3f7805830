//! Measurements: everything recorded through the `metrics` crate, kept in intervals of ten seconds for a minute and as totals.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_api as api;
use drover_base::{Monotonic, WallTime};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// How long an interval is.
pub const INTERVAL_SECONDS: i64 = 10;
/// How long an interval is kept after it began.
const RETENTION_SECONDS: i64 = 60;
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

impl Interval {
    /// When it began, as upstream prints it.
    fn began(&self) -> String {
        WallTime(self.start.saturating_mul(1_000_000_000)).rfc3339().replace('T', " ").replace('Z', " +0000 UTC")
    }
}

/// A series in one word.
fn named((name, labels): &Series) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    if labels.is_empty() { name.clone() } else { format!("{name}{{{}}}", labels.join(",")) }
}

/// What is recorded under one name. Whoever records holds on to it, so that nobody waits for anybody else.
#[derive(Debug, Default)]
struct Slot(Mutex<Recorded>);

#[derive(Clone, Copy, Debug, Default)]
struct Recorded {
    /// In the running interval.
    now: Sample,
    /// Since the start.
    count: u64,
    sum: f64,
}

impl Slot {
    fn recorded(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, value: f64) {
        let mut recorded = self.recorded();
        recorded.now.add(value);
        recorded.count += 1;
        recorded.sum += value;
    }
}

/// A value that is set; none until it is.
#[derive(Debug, Default)]
struct Level(Mutex<Option<f64>>);

impl Level {
    fn value(&self) -> std::sync::MutexGuard<'_, Option<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Kept {
    now: i64,
    /// When the running interval began.
    start: i64,
    /// Intervals that are over, oldest first.
    ended: VecDeque<Interval>,
    counters: HashMap<Key, Arc<Slot>>,
    histograms: HashMap<Key, Arc<Slot>>,
    gauges: HashMap<Key, Arc<Level>>,
    /// Gauges that are gathered as a whole: what is not told any more is gone.
    gathered: BTreeMap<Series, f64>,
    /// When that was begun last.
    gathered_at: Option<Monotonic>,
    /// What was measured last; all of it is replaced at once.
    measured: BTreeMap<Series, f64>,
}

/// What is kept under a name; one for all names that are too many.
fn slot<T: Default>(map: &mut HashMap<Key, Arc<T>>, key: &Key) -> Arc<T> {
    if let Some(slot) = map.get(key) {
        return Arc::clone(slot);
    }
    let key = if map.len() < SERIES_MAX { key.clone() } else { Key::from_static_name("drover.telemetry.overflow") };
    Arc::clone(map.entry(key).or_default())
}

fn series(key: &Key) -> Series {
    let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned()));
    (key.name().to_owned(), labels.collect())
}

impl Kept {
    /// The running interval; `end` begins the next one.
    fn running(&self, end: bool) -> Interval {
        let samples = |map: &HashMap<Key, Arc<Slot>>| {
            let of = |slot: &Slot| {
                let mut recorded = slot.recorded();
                if end { std::mem::take(&mut recorded.now) } else { recorded.now }
            };
            map.iter().map(|(key, slot)| (key, of(slot))).filter(|(_, now)| now.count > 0).map(|(key, now)| (series(key), now)).collect()
        };
        Interval { start: self.start, counters: samples(&self.counters), samples: samples(&self.histograms) }
    }

    /// Everything since the start.
    fn since_start(map: &HashMap<Key, Arc<Slot>>) -> BTreeMap<Series, Recorded> {
        map.iter().map(|(key, slot)| (series(key), *slot.recorded())).collect()
    }

    /// Every value as it is at the moment.
    fn levels(&self) -> Vec<(Series, f64)> {
        let set: BTreeMap<Series, f64> =
            self.gauges.iter().filter_map(|(key, level)| level.value().map(|value| (series(key), value))).collect();
        let more = self.measured.iter().chain(&self.gathered).map(|(series, value)| (series.clone(), *value));
        set.into_iter().chain(more).collect()
    }
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
        if kept.start == 0 {
            kept.start = start;
        }
        if start > kept.start {
            let ended = kept.running(true);
            kept.ended.push_back(ended);
            kept.start = start;
        }
        while kept.ended.front().is_some_and(|interval| interval.start <= start - RETENTION_SECONDS) {
            kept.ended.pop_front();
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

    /// The last whole interval, or the running one before the first has ended. Every value is labelled with the host.
    pub fn summary(&self, host: &str) -> api::MetricsSummary {
        let kept = self.kept();
        let interval = kept.ended.back().cloned().unwrap_or_else(|| kept.running(false));
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
                labels: Some(hosted(labels, host).into_iter().collect()),
            });
            Some(shown.collect())
        };
        let gauges = kept.levels().into_iter().map(|((name, labels), value)| api::GaugeValue {
            name,
            value,
            labels: Some(hosted(&labels, host).into_iter().collect()),
        });
        api::MetricsSummary {
            timestamp: interval.began(),
            gauges: Some(gauges.collect()),
            precision_gauges: Some(Vec::new()),
            points: Some(Vec::new()),
            counters: values(&interval.counters),
            samples: values(&interval.samples),
        }
    }

    /// The intervals of the last minute, a line for each value, for people who look at an agent that answers nobody.
    pub fn dump(&self) -> String {
        let kept = self.kept();
        let mut out = String::new();
        for interval in kept.ended.iter().chain([&kept.running(false)]) {
            let began = interval.began();
            for (kind, values) in [("counter", &interval.counters), ("sample", &interval.samples)] {
                for (series, sample) in values {
                    let Sample { count, sum, min, max, .. } = sample;
                    let (name, mean) = (named(series), sample.mean());
                    // Writing to a string cannot fail.
                    let _ =
                        writeln!(out, "[{began}] {kind} {name}: count {count}, sum {sum:.3}, min {min:.3}, mean {mean:.3}, max {max:.3}");
                }
            }
        }
        let now = WallTime(kept.now.saturating_mul(1_000_000_000)).rfc3339();
        for (series, value) in kept.levels() {
            let _ = writeln!(out, "[{now}] gauge {}: {value:.3}", named(&series));
        }
        out
    }

    /// Everything since the start, in the text form that Prometheus reads. Every value is labelled with the host.
    pub fn prometheus(&self, host: &str) -> String {
        let kept = self.kept();
        let mut out = String::new();
        let mut family = String::new();
        let mut write = |kind: &str, (name, labels): &Series, suffix: &str, value: String| {
            let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
            if family != name {
                out.push_str(&format!("# HELP {name} {name}\n# TYPE {name} {kind}\n"));
                family.clone_from(&name);
            }
            let labels: Vec<String> = hosted(labels, host)
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            out.push_str(&format!("{name}{suffix}{labels} {value}\n"));
        };
        for (series, recorded) in Kept::since_start(&kept.counters) {
            write("counter", &series, "", recorded.sum.to_string());
        }
        for (series, value) in kept.levels() {
            write("gauge", &series, "", value.to_string());
        }
        for (series, Recorded { count, sum, .. }) in Kept::since_start(&kept.histograms) {
            write("summary", &series, "_sum", sum.to_string());
            write("summary", &series, "_count", count.to_string());
        }
        out
    }
}

/// Labels with that of the host, unless they have it.
fn hosted(labels: &[(String, String)], host: &str) -> Vec<(String, String)> {
    let mut labels = labels.to_vec();
    if !host.is_empty() && !labels.iter().any(|(name, _)| name == "host") {
        labels.push(("host".to_owned(), host.to_owned()));
    }
    labels
}

impl CounterFn for Slot {
    fn increment(&self, value: u64) {
        self.record(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.recorded().sum = value as f64;
    }
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        *self.value().get_or_insert(0.0) += value;
    }

    fn decrement(&self, value: f64) {
        GaugeFn::increment(self, -value);
    }

    fn set(&self, value: f64) {
        *self.value() = Some(value);
    }
}

impl HistogramFn for Slot {
    fn record(&self, value: f64) {
        Self::record(self, value);
    }
}

impl Recorder for Telemetry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(slot(&mut self.kept().counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(slot(&mut self.kept().gauges, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(slot(&mut self.kept().histograms, key))
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
        let summary = telemetry.summary("");
        let counters = summary.counters.unwrap();
        assert_eq!((counters[0].count, counters[0].sum, counters[0].rate), (2, 6.0, 0.6));
        assert_eq!(counters[0].labels.as_ref().unwrap()["kind"], "x");
        assert_eq!(summary.gauges.unwrap()[0].value, 7.0);
        assert_eq!(summary.samples.unwrap()[0].mean, 2.0);
        assert_eq!(summary.timestamp, "1970-01-01 00:01:40 +0000 UTC");
        let gauge = |value: f64| ("a.leader".to_owned(), vec![("job".to_owned(), "x".to_owned())], value);
        telemetry.gather([gauge(1.0)]);
        telemetry.gather([gauge(2.0)]);
        let shown = telemetry.summary("").gauges.unwrap();
        assert_eq!(shown.iter().map(|gauge| gauge.value).collect::<Vec<_>>(), [7.0, 2.0]);
        assert!(telemetry.prometheus("").contains("a_leader{job=\"x\"} 2\n"));
        assert!(telemetry.prometheus("one").contains("a_leader{job=\"x\",host=\"one\"} 2\n"));
        assert_eq!(telemetry.summary("one").gauges.unwrap()[0].labels.as_ref().unwrap()["host"], "one");
        telemetry.gather([]);
        assert!(!telemetry.prometheus("").contains("a_leader"), "what nobody tells any more is dropped");
        telemetry.tick(at(121));
        assert!(telemetry.summary("").counters.unwrap().is_empty());
        let text = telemetry.prometheus("");
        assert!(text.contains("# TYPE a_count counter\na_count{kind=\"x\"} 6\n") && text.contains("a_time_count 2\n"), "{text}");
    }

    #[proves("EVT-018")]
    #[test]
    fn intervals_of_ten_seconds_are_kept_for_a_minute() {
        let telemetry = Telemetry::default();
        for second in 100..=205_i64 {
            telemetry.tick(WallTime(second * 1_000_000_000));
            metrics::with_local_recorder(&telemetry, || metrics::counter!("a.second", "kind" => "x").increment(1));
        }
        let summary = telemetry.summary("");
        let shown = &summary.counters.unwrap()[0];
        assert_eq!((summary.timestamp.as_str(), shown.count, shown.rate), ("1970-01-01 00:03:10 +0000 UTC", 10, 1.0), "the last whole one");
        let line = |start: i64, count: i64| {
            let began = WallTime(start * 1_000_000_000).rfc3339().replace('T', " ").replace('Z', " +0000 UTC");
            format!("[{began}] counter a.second{{kind=\"x\"}}: count {count}, sum {count}.000, min 1.000, mean 1.000, max 1.000\n")
        };
        let kept: String =
            [(150, 10), (160, 10), (170, 10), (180, 10), (190, 10), (200, 6)].map(|(start, count)| line(start, count)).concat();
        assert_eq!(telemetry.dump(), kept);
    }
}
