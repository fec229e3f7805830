//! What a handler answers, before encoding: JSON, text, bytes or a stream, with the query headers beside it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use serde::Serialize;

use crate::error::ApiError;
use crate::json;

/// How soon a request that was turned away may come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// The headers of a reply to a read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The index to pass next.
    pub index: u64,
    /// Milliseconds since the answering server heard from the leader.
    pub last_contact_ms: u64,
    /// Whether there is a leader.
    pub known_leader: bool,
    /// Where the next page starts, if there is one.
    pub next_token: Option<String>,
}

impl Meta {
    /// The headers of a read that the leader answered.
    pub fn at(index: u64) -> Self {
        Self { index, last_contact_ms: 0, known_leader: true, next_token: None }
    }

    /// The same with the token of the next page.
    #[must_use]
    pub fn next(mut self, token: Option<String>) -> Self {
        self.next_token = token;
        self
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert("x-nomad-index", HeaderValue::from(self.index));
        headers.insert("x-nomad-lastcontact", HeaderValue::from(self.last_contact_ms));
        headers.insert("x-nomad-knownleader", HeaderValue::from_static(if self.known_leader { "true" } else { "false" }));
        if let Some(token) = self.next_token.as_deref().filter(|token| !token.is_empty())
            && let Ok(token) = HeaderValue::from_str(token)
        {
            headers.insert("x-nomad-nexttoken", token);
        }
    }
}

/// The answer of a handler.
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// HTTP/1.0 framing: the body ends with the connection.
    pub(crate) until_close: bool,
    /// What goes on with the connection after this reply.
    pub(crate) session: Option<Session>,
}

/// Work on a connection that has left HTTP. It runs in the connection's own task.
#[derive(Clone)]
pub(crate) struct Session(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

impl Session {
    pub(crate) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(work)))))
    }

    /// The work, once.
    pub(crate) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(crate) enum Payload {
    Empty,
    /// Compact JSON, which `pretty` may still indent.
    Json(Vec<u8>),
    Bytes(Bytes),
    Stream(ByteStream),
}

/// A streamed body.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl Reply {
    fn new(payload: Payload, content_type: Option<&'static str>) -> Self {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Self { status: StatusCode::OK, headers, payload, until_close: false, session: None }
    }

    /// 200 with no body and no type, as many writes answer.
    pub fn empty() -> Self {
        Self::new(Payload::Empty, None)
    }

    /// 200 with a value.
    ///
    /// # Errors
    /// 500 if the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ApiError> {
        Ok(Self::new(Payload::Json(json::encode(value)?), Some("application/json")))
    }

    /// 200 with JSON that is encoded already, without spaces.
    pub fn json_bytes(compact: Vec<u8>) -> Self {
        Self::new(Payload::Json(compact), Some("application/json"))
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Payload::Bytes(Bytes::from(text.into())), Some("text/plain; charset=utf-8"))
    }

    /// 200 with bytes of a type.
    pub fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self::new(Payload::Bytes(bytes.into()), Some(content_type))
    }

    /// 200 with a body that is sent as it comes.
    pub fn stream(content_type: &'static str, stream: ByteStream) -> Self {
        Self::new(Payload::Stream(stream), Some(content_type))
    }

    /// An event stream: neither chunked nor sized, ended by closing the connection.
    pub fn event_stream(stream: ByteStream) -> Self {
        let mut reply = Self::stream("application/json", stream);
        reply.until_close = true;
        reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        reply.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        reply
    }

    /// With the headers of a read.
    #[must_use]
    pub fn meta(mut self, meta: &Meta) -> Self {
        meta.write(&mut self.headers);
        self
    }

    /// With the header of a write.
    #[must_use]
    pub fn index(mut self, index: u64) -> Self {
        self.headers.insert("x-nomad-index", HeaderValue::from(index));
        self
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With another content type.
    #[must_use]
    pub fn content_type(self, value: &'static str) -> Self {
        self.header(CONTENT_TYPE, HeaderValue::from_static(value))
    }

    pub(crate) fn of_error(error: ApiError) -> Self {
        let mut reply = Self::text(error.text).status(error.status);
        if let Some(meta) = error.meta {
            meta.write(&mut reply.headers);
        }
        if error.status == StatusCode::TOO_MANY_REQUESTS {
            reply.headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        reply
    }
}

/// A response body on its way out.
pub enum Body {
    /// Everything at once; `None` when sent or empty.
    Full(Option<Bytes>),
    /// As it comes.
    Stream(ByteStream),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.as_mut().poll_next(context).map(|next| next.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
