//! JSON objects out of a body that does not end, with or without something between them.

use std::collections::VecDeque;
use std::marker::PhantomData;

use bytes::Bytes;
use drover_api::StreamFrame;
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;

use crate::error::SdkError;

/// The longest object that is waited for.
const OBJECT_MAX: usize = 16 << 20;

/// The objects of a body, as they come.
pub struct Objects<S, T> {
    stream: S,
    buffer: Vec<u8>,
    ready: VecDeque<T>,
    done: bool,
    kind: PhantomData<T>,
}

/// The parts of logs and files.
pub type Frames<S> = Objects<S, StreamFrame>;

impl<S: Stream<Item = Result<Bytes, SdkError>> + Unpin, T: DeserializeOwned> Objects<S, T> {
    /// Reads a body.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), ready: VecDeque::new(), done: false, kind: PhantomData }
    }

    /// The next object; `None` when the body has ended. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Result<T, SdkError>> {
        loop {
            if let Some(object) = self.ready.pop_front() {
                return Some(Ok(object));
            }
            if self.done {
                return None;
            }
            match self.stream.next().await {
                None => self.done = true,
                Some(Err(error)) => {
                    self.done = true;
                    return Some(Err(error));
                }
                Some(Ok(chunk)) => {
                    if let Err(reason) = self.take(&chunk) {
                        self.done = true;
                        return Some(Err(SdkError::Decode { url: "the stream".to_owned(), reason }));
                    }
                }
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(chunk);
        let mut decoder = serde_json::Deserializer::from_slice(&self.buffer).into_iter::<T>();
        let mut used = 0;
        while let Some(object) = decoder.next() {
            match object {
                Ok(object) => {
                    used = decoder.byte_offset();
                    self.ready.push_back(object);
                }
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        self.buffer.drain(..used);
        if self.buffer.len() > OBJECT_MAX { Err("an object is too large".to_owned()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};

    use super::*;

    #[test]
    fn objects_may_come_in_pieces_and_lines_and_nonsense_ends_them() {
        let parts = ["{\"Offset\":1}{\"Off", "set\":2}\n\n{\"Offset\"", ":3}\n", "nonsense"];
        let parts = parts.map(|part| Ok(Bytes::from_static(part.as_bytes())));
        let mut frames = Frames::new(stream::iter(parts));
        for wanted in 1..=3 {
            assert_eq!(frames.next().now_or_never().flatten().unwrap().unwrap().offset, wanted);
        }
        assert!(frames.next().now_or_never().flatten().unwrap().is_err());
        assert!(frames.next().now_or_never().flatten().is_none());
    }
}
