//! The messages of a WebSocket (RFC 6455) as bytes: what a command that runs in a task and the one who started it say travels
//! in them. No connection is opened here; bytes come in, messages go out.

/// The longest message that is accepted.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// A close code: the request cannot be done as it stands.
pub const CLOSE_POLICY: u16 = 1008;
/// A close code: something failed on the answering side.
pub const CLOSE_ERROR: u16 = 1011;
/// What is appended to a client's key before it is digested.
pub const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The longest reason that fits into a close message.
const REASON_BYTES_MAX: usize = 123;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, as its bytes.
    Text(Vec<u8>),
    /// Bytes.
    Binary(Vec<u8>),
    /// The end, with a code (0 for none) and a reason.
    Close(u16, String),
    /// A question whether the other side is there.
    Ping(Vec<u8>),
    /// The answer to it.
    Pong(Vec<u8>),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`MESSAGE_BYTES_MAX`].
    TooLong,
    /// A kind of frame that there is not, or one where it must not be.
    Unexpected(u8),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(out, "a message is longer than {MESSAGE_BYTES_MAX} bytes"),
            Self::Unexpected(kind) => write!(out, "a frame of kind {kind} is not expected"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Message {
    /// The bytes of the message in one frame. Clients must pass a mask, drawn anew for each message.
    pub fn to_frame(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Text(bytes) => (TEXT, bytes.clone()),
            Self::Binary(bytes) => (BINARY, bytes.clone()),
            Self::Ping(bytes) => (PING, bytes.clone()),
            Self::Pong(bytes) => (PONG, bytes.clone()),
            Self::Close(code, reason) => {
                let mut end = reason.len().min(REASON_BYTES_MAX);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                let code = if *code == 0 { Vec::new() } else { code.to_be_bytes().to_vec() };
                (CLOSE, [code.as_slice(), &reason.as_bytes()[..end]].concat())
            }
        };
        let mut frame = vec![0x80 | kind];
        let masked = if mask.is_some() { 0x80 } else { 0 };
        match payload.len() {
            length @ ..126 => frame.push(masked | length as u8),
            length @ ..65_536 => {
                frame.push(masked | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(masked | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        match mask {
            None => frame.extend(payload),
            Some(mask) => {
                frame.extend(mask);
                frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            }
        }
        frame
    }
}

/// Collects bytes and gives out whole messages.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// The parts of a message that came so far, and their kind.
    partial: Option<(u8, Vec<u8>)>,
}

impl Messages {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message; none when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no message; the connection is of no more use then.
    pub fn next_message(&mut self) -> Result<Option<Message>, FrameError> {
        while let Some((last, kind, payload)) = self.next_frame()? {
            let whole = match kind {
                CLOSE => {
                    let code = payload.first_chunk::<2>().map_or(0, |code| u16::from_be_bytes(*code));
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                    return Ok(Some(Message::Close(code, reason)));
                }
                PING => return Ok(Some(Message::Ping(payload))),
                PONG => return Ok(Some(Message::Pong(payload))),
                TEXT | BINARY if self.partial.is_none() => (kind, payload),
                CONTINUATION => {
                    let Some((kind, mut bytes)) = self.partial.take() else { return Err(FrameError::Unexpected(kind)) };
                    bytes.extend(payload);
                    (kind, bytes)
                }
                _ => return Err(FrameError::Unexpected(kind)),
            };
            if whole.1.len() > MESSAGE_BYTES_MAX {
                return Err(FrameError::TooLong);
            }
            match (last, whole) {
                (true, (TEXT, bytes)) => return Ok(Some(Message::Text(bytes))),
                (true, (_, bytes)) => return Ok(Some(Message::Binary(bytes))),
                (false, whole) => self.partial = Some(whole),
            }
        }
        Ok(None)
    }

    /// Whether the frame is the last of its message, its kind and its unmasked payload.
    fn next_frame(&mut self) -> Result<Option<(bool, u8, Vec<u8>)>, FrameError> {
        let Some([first, second]) = self.bytes.first_chunk::<2>().copied() else { return Ok(None) };
        let (length, mut at) = match second & 0x7f {
            126 => match self.bytes.get(2..4) {
                Some(length) => (length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)), 4),
                None => return Ok(None),
            },
            127 => match self.bytes.get(2..10) {
                Some(length) => (length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        if length > MESSAGE_BYTES_MAX as u64 {
            return Err(FrameError::TooLong);
        }
        let mask = if second & 0x80 == 0 {
            [0; 4]
        } else {
            let Some(mask) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
            at += 4;
            *mask
        };
        let end = at + length as usize;
        let Some(payload) = self.bytes.get(at..end) else { return Ok(None) };
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        self.bytes.drain(..end);
        Ok(Some((first & 0x80 != 0, first & 0x0f, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_length_pass_through_masked_or_not() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let message = Message::Text(vec![b'x'; length]);
                let frame = message.to_frame(mask);
                let mut messages = Messages::default();
                for byte in &frame[..frame.len() - 1] {
                    messages.push(&[*byte]);
                    if length < 200 {
                        assert_eq!(messages.next_message(), Ok(None));
                    }
                }
                messages.push(&frame[frame.len() - 1..]);
                assert_eq!(messages.next_message(), Ok(Some(message)));
            }
        }
    }

    #[test]
    fn parts_are_put_together_around_control_messages_and_lies_about_length_are_refused() {
        let mut messages = Messages::default();
        messages.push(&[TEXT, 2, b'a', b'b']);
        messages.push(&Message::Ping(b"p".to_vec()).to_frame(None));
        messages.push(&[0x80, 1, b'c']);
        assert_eq!(messages.next_message(), Ok(Some(Message::Ping(b"p".to_vec()))));
        assert_eq!(messages.next_message(), Ok(Some(Message::Text(b"abc".to_vec()))));
        messages.push(&Message::Close(CLOSE_POLICY, "no".repeat(100)).to_frame(None));
        assert_eq!(messages.next_message(), Ok(Some(Message::Close(1008, "no".repeat(100)[..123].to_owned()))));
        let mut messages = Messages::default();
        messages.push(&[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(messages.next_message(), Err(FrameError::TooLong));
        let mut messages = Messages::default();
        messages.push(&[0x80, 0]);
        assert_eq!(messages.next_message(), Err(FrameError::Unexpected(0)));
    }
}
