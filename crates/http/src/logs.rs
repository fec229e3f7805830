//! The log as a stream: every line that is written goes to whoever listens at that moment; a slow listener loses lines
//! and is told how many.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Lines that a listener may be behind.
const BEHIND_MAX: usize = 512;

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

/// A line in its forms.
#[derive(Clone, Debug)]
pub struct Line {
    /// How serious it is.
    pub level: Level,
    /// As text, with a newline.
    pub text: String,
    /// As JSON, with a newline.
    pub json: String,
}

/// Hands lines to listeners. Clones share them.
#[derive(Clone, Debug)]
pub struct LogHub(broadcast::Sender<Arc<Line>>);

impl Default for LogHub {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }
}

impl LogHub {
    /// Whether anybody listens; lines need not be made otherwise.
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Hands out a line.
    pub fn push(&self, line: Line) {
        // Nobody listening is no error.
        let _ = self.0.send(Arc::new(line));
    }

    /// Lines from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// One listener.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Arc<Line>>);

/// What a listener hears.
#[derive(Debug)]
pub enum Heard {
    /// A line.
    Line(Arc<Line>),
    /// So many lines were lost.
    Lost(u64),
}

impl Listener {
    /// The next line, `None` when the log has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(line) => Some(Heard::Line(line)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Heard::Lost(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
