//! The log: one line per event on standard output, and the same lines to those who watch the agent over the API.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use drover_base::WallTime;
use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that a slow watcher may fall behind; then it misses some and is told how many.
const WATCHED_LINES_MAX: usize = 512;

/// How the log looks.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// TRACE, DEBUG, INFO, WARN, ERROR or OFF; INFO if it is none of these.
    pub level: String,
    /// One JSON object a line.
    pub json: bool,
    /// With file and line of the source.
    pub location: bool,
}

/// One event of the log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// As text.
    pub text: String,
    /// As JSON.
    pub json: String,
}

/// Where the log can be watched. Clones share it.
#[derive(Clone, Debug)]
pub struct LogHub {
    lines: broadcast::Sender<Arc<LogLine>>,
    /// The most verbose level that is written; 0 for none.
    level: Arc<AtomicU8>,
    /// Whether somebody may be watching: set by whoever begins to, taken back when nobody is found.
    watched: Arc<AtomicBool>,
}

/// A level as a number that grows with verbosity.
fn verbosity(level: Option<Level>) -> u8 {
    match level {
        None => 0,
        Some(Level::ERROR) => 1,
        Some(Level::WARN) => 2,
        Some(Level::INFO) => 3,
        Some(Level::DEBUG) => 4,
        Some(Level::TRACE) => 5,
    }
}

/// A level by its name, in any case.
pub fn parse_level(text: &str) -> Option<Option<Level>> {
    match text.to_ascii_uppercase().as_str() {
        "TRACE" => Some(Some(Level::TRACE)),
        "DEBUG" => Some(Some(Level::DEBUG)),
        "INFO" => Some(Some(Level::INFO)),
        "WARN" | "WARNING" => Some(Some(Level::WARN)),
        "ERROR" | "ERR" => Some(Some(Level::ERROR)),
        "OFF" => Some(None),
        _ => None,
    }
}

impl LogHub {
    /// A hub that nothing is written to, for tests.
    pub fn detached() -> Self {
        Self { lines: broadcast::Sender::new(1), level: Arc::new(AtomicU8::new(0)), watched: Arc::default() }
    }

    /// Makes this the log of the process; a second call keeps the first log and returns its hub.
    pub fn install(options: &LogOptions) -> Self {
        static INSTALLED: OnceLock<LogHub> = OnceLock::new();
        INSTALLED
            .get_or_init(|| {
                let level = parse_level(&options.level).unwrap_or(Some(Level::INFO));
                let level = Arc::new(AtomicU8::new(verbosity(level)));
                let hub = Self { lines: broadcast::Sender::new(WATCHED_LINES_MAX), level, watched: Arc::default() };
                let layer = LogLayer { hub: hub.clone(), json: options.json, location: options.location };
                if tracing_subscriber::registry().with(layer).try_init().is_err() {
                    eprintln!("another log was installed before; it stays");
                }
                hub
            })
            .clone()
    }

    /// Changes what is written from now on; false for a level that does not exist.
    pub fn set_level(&self, text: &str) -> bool {
        let Some(level) = parse_level(text) else { return false };
        self.level.store(verbosity(level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        true
    }

    /// Lines from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<LogLine>> {
        let lines = self.lines.subscribe();
        self.watched.store(true, Ordering::Relaxed);
        lines
    }
}

/// What consensus and HTTP libraries tell below a warning is for their developers.
fn chatty(level: Level, target: &str) -> bool {
    !target.starts_with("drover") && level > Level::WARN
}

struct LogLayer {
    hub: LogHub,
    json: bool,
    location: bool,
}

impl LogLayer {
    fn writes(&self, level: Level) -> bool {
        verbosity(Some(level)) <= self.hub.level.load(Ordering::Relaxed)
    }

    fn wanted(&self, level: Level, target: &str) -> bool {
        !chatty(level, target) && (self.writes(level) || self.hub.watched.load(Ordering::Relaxed))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static tracing::Metadata<'static>) -> Interest {
        // Who watches comes and goes, so that what is not written is asked about each time.
        match *metadata.level() {
            level if chatty(level, metadata.target()) => Interest::never(),
            level if self.writes(level) => Interest::always(),
            _ => Interest::sometimes(),
        }
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wanted(*metadata.level(), metadata.target())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = *metadata.level();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = now();
        let module = metadata.target().split("::").next().unwrap_or_default().trim_start_matches("drover_");
        let place = self.location.then(|| format!("{}:{}", metadata.file().unwrap_or_default(), metadata.line().unwrap_or(0)));
        let line = LogLine {
            level,
            text: text(&time, level, module, place.as_deref(), &fields),
            json: json(&time, level, module, place.as_deref(), &fields),
        };
        if self.writes(level) {
            let shown = if self.json { &line.json } else { &line.text };
            // A log that cannot be written is no reason to stop.
            let _ = writeln!(std::io::stdout().lock(), "{shown}");
        }
        if self.hub.watched.load(Ordering::Relaxed) && self.hub.lines.send(Arc::new(line)).is_err() {
            self.hub.watched.store(false, Ordering::Relaxed);
            // Somebody may have begun in between.
            if self.hub.lines.receiver_count() > 0 {
                self.hub.watched.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the log is stamped with the machine's own time, whatever clock the rest uses")]
fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Whole milliseconds, always three digits.
    let milliseconds = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let second = WallTime(milliseconds.div_euclid(1_000).saturating_mul(1_000_000_000)).rfc3339();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), milliseconds.rem_euclid(1_000))
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            let _ = write!(text, ": {error}");
            source = error.source();
        }
        self.put(field, text);
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.rest.push((field.name(), value));
        }
    }
}

fn text(time: &str, level: Level, module: &str, place: Option<&str>, fields: &Fields) -> String {
    let mut line = format!("{time} {:7} ", format!("[{level}]"));
    if let Some(place) = place {
        let _ = write!(line, "{place}: ");
    }
    let _ = write!(line, "{module}: {}", fields.message.replace('\n', "\\n"));
    for (number, (name, value)) in fields.rest.iter().enumerate() {
        let separator = if number == 0 { ":" } else { "" };
        let quoted = value.is_empty() || value.contains([' ', '"', '\n', '=']);
        let value = if quoted { format!("{value:?}") } else { value.clone() };
        let _ = write!(line, "{separator} {name}={value}");
    }
    line
}

fn json(time: &str, level: Level, module: &str, place: Option<&str>, fields: &Fields) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"));
    let level = level.as_str().to_ascii_lowercase();
    let mut line = format!(
        "{{\"@level\":{},\"@message\":{},\"@module\":{},\"@timestamp\":{}",
        quote(&level),
        quote(&fields.message),
        quote(module),
        quote(time)
    );
    if let Some(place) = place {
        let _ = write!(line, ",\"@caller\":{}", quote(place));
    }
    for (name, value) in &fields.rest {
        let _ = write!(line, ",{}:{}", quote(name), quote(value));
    }
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_level_module_message_and_fields() {
        let fields = Fields { message: "plan applied".to_owned(), rest: vec![("placed", "3".to_owned()), ("why", "a b".to_owned())] };
        let line = text("2026-01-02T03:04:05.006Z", Level::INFO, "server", None, &fields);
        assert_eq!(line, "2026-01-02T03:04:05.006Z [INFO]  server: plan applied: placed=3 why=\"a b\"");
        let line = json("T", Level::WARN, "server", None, &fields);
        assert_eq!(line, r#"{"@level":"warn","@message":"plan applied","@module":"server","@timestamp":"T","placed":"3","why":"a b"}"#);
    }

    #[test]
    fn levels_are_known_in_any_case() {
        assert_eq!(parse_level("Warn"), Some(Some(Level::WARN)));
        assert_eq!(parse_level("off"), Some(None));
        assert_eq!(parse_level("loud"), None);
    }
}
