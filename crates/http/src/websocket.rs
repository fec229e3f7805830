//! Connections that leave HTTP for a conversation in WebSocket messages.

use std::io;
use std::sync::PoisonError;

use base64::Engine;
use drover_api::websocket::{CLOSE_ERROR, CLOSE_POLICY, KEY_SUFFIX, Message, Messages};
use http::StatusCode;
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::error::ApiError;
use crate::reply::{Reply, Session};
use crate::request::Request;

/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// The reading half of a conversation.
pub struct Reader {
    half: ReadHalf<TokioIo<Upgraded>>,
    messages: Messages,
    buffer: Vec<u8>,
}

/// The writing half.
pub struct Writer {
    half: WriteHalf<TokioIo<Upgraded>>,
}

impl Reader {
    /// The next message; `None` when the other side has gone or talks nonsense. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match self.messages.next_message() {
                Ok(Some(message)) => return Some(message),
                Err(error) => {
                    tracing::debug!(%error, "websocket");
                    return None;
                }
                Ok(None) => {}
            }
            match self.half.read(&mut self.buffer).await {
                Ok(count) if count > 0 => self.messages.push(&self.buffer[..count]),
                _ => return None,
            }
        }
    }
}

impl Writer {
    /// Sends a message.
    ///
    /// # Errors
    /// When the other side has gone.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        self.half.write_all(&message.to_frame(None)).await?;
        self.half.flush().await
    }

    /// Sends a value as text.
    ///
    /// # Errors
    /// When the other side has gone.
    pub async fn json<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        self.send(&Message::Text(serde_json::to_vec(value).map_err(io::Error::other)?)).await
    }

    /// Ends the conversation with the reason of an error.
    pub async fn refuse(mut self, error: &ApiError) {
        let code = if error.status.is_server_error() { CLOSE_ERROR } else { CLOSE_POLICY };
        let _ = self.send(&Message::Close(code, error.text.clone())).await;
        let _ = self.half.shutdown().await;
    }

    /// Closes the connection without a word.
    pub async fn end(mut self) {
        let _ = self.half.shutdown().await;
    }
}

/// Whether a page that asks for a conversation came from this agent: browsers name the page's origin, other programs none. Without
/// this, any page that a user looks at could run commands with what the user's browser may do.
fn of_same_site(origin: &str, host: &str) -> bool {
    origin.is_empty() || origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// Answers that the protocol changes, and then holds the conversation.
///
/// # Errors
/// When the request does not ask for that.
pub fn converse<F, Fut>(request: &Request, talk: F) -> Result<Reply, ApiError>
where
    F: FnOnce(Reader, Writer) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let upgrade = request.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    let key = header("sec-websocket-key");
    let Some(upgrade) = upgrade.filter(|_| header("upgrade").eq_ignore_ascii_case("websocket") && !key.is_empty()) else {
        return Err(ApiError::by_text("websocket connection not found in context"));
    };
    if !of_same_site(header("origin"), header("host")) {
        let text = format!("request origin not allowed: {} is not this agent, {}", header("origin"), header("host"));
        return Err(ApiError::new(StatusCode::FORBIDDEN, text));
    }
    let digest = drover_lang::digest::sha1(format!("{key}{KEY_SUFFIX}").as_bytes());
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let session = Session::new(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
                let reader = Reader { half: reader, messages: Messages::default(), buffer: vec![0; READ_BYTES] };
                talk(reader, Writer { half: writer }).await;
            }
            Err(error) => tracing::debug!(%error, "a connection did not become a websocket"),
        }
    });
    let mut reply = Reply::empty()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, HeaderValue::from_static("websocket"))
        .header(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        reply = reply.header(HeaderName::from_static("sec-websocket-accept"), accept);
    }
    reply.session = Some(session);
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_agent_may_talk() {
        for (origin, fits) in [
            ("", true),
            ("http://drover.example:4646", true),
            ("https://DROVER.example:4646", true),
            ("http://drover.example", false),
            ("http://evil.example:4646", false),
            ("http://drover.example:4646.evil.example", false),
            ("null", false),
            ("drover.example:4646", false),
        ] {
            assert_eq!(of_same_site(origin, "drover.example:4646"), fits, "{origin}");
        }
    }
}
