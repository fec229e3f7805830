//! An error as the API shows it: a status and the bare message.

use http::StatusCode;

use crate::reply::Meta;

/// What a failed request answers: the text is the whole body, without a final newline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct ApiError {
    /// The status sent.
    pub status: StatusCode,
    /// The body sent.
    pub text: String,
    /// The headers of a read, which an absent object has too.
    pub meta: Option<Meta>,
}

impl ApiError {
    /// An error with an explicit status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), meta: None }
    }

    /// An error by its status number; one that is no error status becomes 500.
    pub fn coded(status: u16, text: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 400);
        Self::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
    }

    /// 400.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 404 of a path below a known one.
    pub fn no_resource() -> Self {
        Self::not_found("resource not found")
    }

    /// With the headers of a read.
    #[must_use]
    pub fn with_meta(mut self, meta: Meta) -> Self {
        self.meta = Some(meta);
        self
    }

    /// 405.
    pub fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Invalid method")
    }

    /// An error without a status of its own: the text decides, and most texts mean 500.
    pub fn by_text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.ends_with("Permission denied") {
            return Self::new(StatusCode::FORBIDDEN, "Permission denied");
        }
        if text.ends_with("ACL token not found") {
            return Self::new(StatusCode::FORBIDDEN, "ACL token not found");
        }
        if text.ends_with("Job registration, dispatch, and scale are disabled by the scheduler configuration") {
            return Self::new(StatusCode::FORBIDDEN, text);
        }
        if text.ends_with("Filter expression cannot be used with other filter parameters") {
            return Self::bad_request(text);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl From<drover_server::EndpointError> for ApiError {
    fn from(error: drover_server::EndpointError) -> Self {
        if error.status == 500 { Self::by_text(error.text) } else { Self::coded(error.status, error.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_decides_the_status() {
        assert_eq!(ApiError::by_text("rpc: Permission denied"), ApiError::new(StatusCode::FORBIDDEN, "Permission denied"));
        assert_eq!(ApiError::by_text("disk full").status, 500);
        assert_eq!(ApiError::coded(200, "x").status, 500);
    }
}
