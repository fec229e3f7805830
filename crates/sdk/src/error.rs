//! What goes wrong with a request, in the form that scripts search for (`Unexpected response code: 404 (…)`).

use std::error::Error as _;
use std::io;

/// What goes wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The agent answered with an error.
    #[error("Unexpected response code: {code} ({body})")]
    Response {
        /// The status.
        code: u16,
        /// The text.
        body: String,
    },
    /// No answer came.
    #[error("{method} \"{url}\": {reason}")]
    Transport {
        /// The method, as `Get`.
        method: String,
        /// The address asked.
        url: String,
        /// Why.
        reason: String,
        /// Whether no connection came to be, so that the agent has not seen the request.
        unsent: bool,
    },
    /// The answer is not what it should be.
    #[error("failed to decode the reply of {url}: {reason}")]
    Decode {
        /// The address asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(String),
}

impl SdkError {
    /// Whether the agent answered with this status.
    pub fn is_code(&self, wanted: u16) -> bool {
        matches!(self, Self::Response { code, .. } if *code == wanted)
    }

    /// The text of the agent's answer, if it answered.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Response { body, .. } => Some(body),
            _ => None,
        }
    }

    /// Whether no connection to the agent came to be: what the agent's address is, is worth a look then
    /// ([`crate::Config::unreachable`] says it).
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport { unsent: true, .. })
    }

    /// Whether the same read may go well a little later: the connection broke, the agent is overloaded, or the region is
    /// without a leader for the moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Response { code: 429 | 502 | 503 | 504, .. } => true,
            Self::Response { code: 500, body } => body.contains("No cluster leader"),
            _ => false,
        }
    }

    pub(crate) fn transport(method: &reqwest::Method, url: &str, error: &reqwest::Error) -> Self {
        Self::Transport { method: capitalised(method.as_str()), url: url.to_owned(), reason: reason(error), unsent: error.is_connect() }
    }
}

pub(crate) fn capitalised(method: &str) -> String {
    let lower = method.to_ascii_lowercase();
    let mut letters = lower.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The innermost cause, in the words known from other clients where there are such.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let address = error.url().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let mut cause: &(dyn std::error::Error + 'static) = match error.source() {
        Some(source) => source,
        None => return error.to_string(),
    };
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return format!("dial tcp {}: connect: connection refused", address.unwrap_or_default());
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return cause.to_string(),
        }
    }
}
