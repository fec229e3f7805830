//! A conversation with an agent in WebSocket messages, from the client's side.

use std::io;

use drover_api::websocket::{Message, Messages};
use drover_rt::Entropy;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

/// A close code: everything was said.
const CLOSE_NORMAL: u16 = 1000;
/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// The reading half.
pub struct Reader {
    half: ReadHalf<reqwest::Upgraded>,
    messages: Messages,
    buffer: Vec<u8>,
}

/// The writing half.
pub struct Writer {
    half: WriteHalf<reqwest::Upgraded>,
    entropy: Entropy,
}

/// Both halves of a connection that has changed its protocol.
pub fn halves(connection: reqwest::Upgraded) -> (Reader, Writer) {
    let (reader, writer) = tokio::io::split(connection);
    let reader = Reader { half: reader, messages: Messages::default(), buffer: vec![0; READ_BYTES] };
    (reader, Writer { half: writer, entropy: Entropy::system() })
}

impl Reader {
    /// The next message; `None` when the connection has ended. May be dropped and called again.
    ///
    /// # Errors
    /// When the connection breaks or the other side talks nonsense.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.messages.next_message().map_err(io::Error::other)? {
                return Ok(Some(message));
            }
            match self.half.read(&mut self.buffer).await? {
                0 => return Ok(None),
                count => self.messages.push(&self.buffer[..count]),
            }
        }
    }
}

impl Writer {
    /// Sends a message.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        let mask = (self.entropy.bits() as u32).to_le_bytes();
        self.half.write_all(&message.to_frame(Some(mask))).await?;
        self.half.flush().await
    }

    /// Says that the conversation is over.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn close(&mut self) -> io::Result<()> {
        self.send(&Message::Close(CLOSE_NORMAL, String::new())).await?;
        self.half.shutdown().await
    }

    /// Sends a value as text.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn json<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        self.send(&Message::Text(serde_json::to_vec(value).map_err(io::Error::other)?)).await
    }
}
