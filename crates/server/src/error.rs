//! Errors of endpoints: a status and a text that existing clients know.

use drover_raft::{ProposeError, Refusal};
use drover_state::ApplyError;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct EndpointError {
    /// The HTTP status.
    pub status: u16,
    /// The text.
    pub text: String,
}

impl EndpointError {
    /// A request that is wrong in itself.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self { status: 400, text: text.into() }
    }

    /// Something that is not there.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self { status: 404, text: text.into() }
    }

    /// Several problems in the form that clients of the API know.
    pub fn problems(problems: &[String]) -> Self {
        let count = if problems.len() == 1 { "1 error".to_owned() } else { format!("{} errors", problems.len()) };
        let lines: String = problems.iter().map(|problem| format!("\t* {problem}\n")).collect();
        Self::internal(format!("{count} occurred:\n{lines}\n"))
    }

    /// What the contract answers with 500 although the request is at fault, or a fault of the server.
    pub fn internal(text: impl Into<String>) -> Self {
        Self { status: 500, text: text.into() }
    }

    /// More than enough to do: come again in a second.
    pub fn busy(waiting: usize) -> Self {
        Self {
            status: 429,
            text: format!("the servers have too much to do: more than {waiting} requests wait for the scheduler; try again later"),
        }
    }

    /// Something the node must do first; worth another try.
    pub fn not_yet(text: impl Into<String>) -> Self {
        Self { status: 503, text: text.into() }
    }

    /// A feature that is not there yet, named.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self { status: 501, text: text.into() }
    }
}

impl From<ProposeError> for EndpointError {
    fn from(error: ProposeError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<Refusal> for EndpointError {
    fn from(refusal: Refusal) -> Self {
        Self::internal(refusal.text)
    }
}

/// The refusal that travels through consensus.
pub(crate) fn refusal(error: &ApplyError) -> Refusal {
    let code = match error {
        ApplyError::JobIndex(_) => 1,
        ApplyError::NotFound(_) => 2,
        ApplyError::Refused(_) => 3,
    };
    Refusal { code, text: error.to_string() }
}

/// What is said of a region that cannot be reached from this one.
pub(crate) const NO_PATH: &str = "No path to region";

/// The refusal's code for what is not there.
pub(crate) const NOT_FOUND: u8 = 2;
