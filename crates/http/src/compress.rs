//! gzip and deflate bodies, whole or streamed part by part.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use futures::StreamExt;
use http::{HeaderMap, header};

use crate::reply::{Body, ByteStream};

/// A content encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// gzip.
    Gzip,
    /// Deflate without a wrapper.
    Deflate,
}

impl Coding {
    /// The first of ours among the exact tokens a client accepts.
    pub fn accepted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
        accepted.split(',').find_map(|token| match token.trim() {
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        })
    }

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The body in this encoding.
    pub fn encode(self, body: Body) -> Body {
        match body {
            Body::Full(bytes) => {
                let mut encoder = Encoder::new(self);
                let plain = bytes.unwrap_or_default();
                let coded = encoder.part(&plain).and_then(|mut coded| {
                    coded.extend_from_slice(&encoder.finish()?);
                    Ok(coded)
                });
                Body::Full(Some(coded.map_or(plain, Bytes::from)))
            }
            Body::Stream(stream) => Body::Stream(self.encode_stream(stream)),
        }
    }

    fn encode_stream(self, stream: ByteStream) -> ByteStream {
        let state = (stream, Some(Encoder::new(self)));
        Box::pin(futures::stream::unfold(state, |(mut stream, encoder)| async move {
            let mut encoder = encoder?;
            match stream.next().await {
                Some(Ok(chunk)) => {
                    let coded = encoder.part(&chunk).and_then(|mut coded| {
                        coded.extend_from_slice(&encoder.flush()?);
                        Ok(Bytes::from(coded))
                    });
                    Some((coded, (stream, Some(encoder))))
                }
                Some(Err(error)) => Some((Err(error), (stream, None))),
                None => Some((encoder.finish().map(Bytes::from), (stream, None))),
            }
        }))
    }
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(DeflateEncoder<Vec<u8>>),
    Done,
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Self::Deflate(DeflateEncoder::new(Vec::new(), Compression::fast())),
        }
    }

    /// Takes in a part and returns what is ready to send.
    fn part(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes).map(|()| std::mem::take(encoder.get_mut())),
            Self::Deflate(encoder) => encoder.write_all(bytes).map(|()| std::mem::take(encoder.get_mut())),
            Self::Done => Ok(Vec::new()),
        }
    }

    /// Returns everything taken in so far, so that the reader can decode it.
    fn flush(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.flush().map(|()| std::mem::take(encoder.get_mut())),
            Self::Deflate(encoder) => encoder.flush().map(|()| std::mem::take(encoder.get_mut())),
            Self::Done => Ok(Vec::new()),
        }
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        match std::mem::replace(self, Self::Done) {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Done => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unzip(bytes: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn only_exact_tokens_count_and_the_first_wins() {
        let accepted = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            Coding::accepted(&headers)
        };
        assert_eq!(accepted("br, gzip"), Some(Coding::Gzip));
        assert_eq!(accepted("deflate, gzip"), Some(Coding::Deflate));
        assert_eq!(accepted("gzip;q=1"), None);
    }

    #[test]
    fn an_empty_body_is_still_a_gzip_stream() {
        let Body::Full(Some(bytes)) = Coding::Gzip.encode(Body::Full(None)) else { panic!("not whole") };
        assert!(!bytes.is_empty());
        assert_eq!(unzip(&bytes), "");
    }

    #[tokio::test]
    async fn a_stream_is_flushed_part_by_part() {
        let parts: ByteStream = Box::pin(futures::stream::iter([Ok(Bytes::from("{}")), Ok(Bytes::from("[1]"))]));
        let Body::Stream(mut coded) = Coding::Gzip.encode(Body::Stream(parts)) else { panic!("not a stream") };
        let mut bytes = coded.next().await.unwrap().unwrap().to_vec();
        let mut text = [0; 2];
        flate2::read::GzDecoder::new(&*bytes).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"{}");
        while let Some(part) = coded.next().await {
            bytes.extend_from_slice(&part.unwrap());
        }
        assert_eq!(unzip(&bytes), "{}[1]");
    }
}
