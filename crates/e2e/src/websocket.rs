//! As much of a WebSocket client as tests need, over a plain socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use drover_api::websocket::{Message, Messages};

/// How long one message may take.
const LIMIT: Duration = Duration::from_secs(60);

/// An open conversation.
pub struct Conversation {
    stream: TcpStream,
    messages: Messages,
}

impl Conversation {
    /// Asks for a conversation.
    ///
    /// # Errors
    /// With the answer, when it is not a change of protocol.
    pub fn open(address: SocketAddr, path: &str) -> io::Result<Self> {
        Self::open_with(address, path, "")
    }

    /// The same with further lines in the head of the request.
    ///
    /// # Errors
    /// With the answer, when it is not a change of protocol.
    pub fn open_with(address: SocketAddr, path: &str, more: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                break;
            }
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        // The answer to this key is the one that RFC 6455 shows.
        let accepted = answer.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=");
        if !answer.starts_with("HTTP/1.1 101 ") || !accepted {
            return Err(io::Error::other(answer));
        }
        Ok(Self { stream, messages: Messages::default() })
    }

    /// Says something.
    ///
    /// # Errors
    /// When the other side has gone.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(&Message::Text(text.as_bytes().to_vec()).to_frame(Some([7, 1, 9, 4])))
    }

    /// The next message; none at the end.
    pub fn hear(&mut self) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.messages.next_message().ok()? {
                return Some(message);
            }
            match self.stream.read(&mut buffer) {
                Ok(count) if count > 0 => self.messages.push(&buffer[..count]),
                _ => return None,
            }
        }
    }
}
