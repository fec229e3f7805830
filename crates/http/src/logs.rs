//! The log as a stream: every line that is written goes to whoever listens at that moment; a slow listener loses lines
//! and is told how many.

use futures::stream::BoxStream;

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Per message.
    Trace,
    /// Per request.
    Debug,
    /// Changes that an operator would recognise.
    Info,
    /// Unexpected and recovered.
    Warn,
    /// Someone must act.
    Error,
}

impl Level {
    /// Reads a name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Some(Self::Trace),
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// A line in its forms, without a newline.
#[derive(Clone, Debug)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// As text.
    pub text: String,
    /// As JSON.
    pub json: String,
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A line.
    Line(Line),
    /// So many lines were lost.
    Lost(u64),
}

/// Where the log can be listened to.
pub trait LogSource: Send + Sync {
    /// Lines from now on.
    fn listen(&self) -> BoxStream<'static, Heard>;
}

/// A log that says nothing, for agents under test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl LogSource for Silent {
    fn listen(&self) -> BoxStream<'static, Heard> {
        Box::pin(futures::stream::pending())
    }
}
