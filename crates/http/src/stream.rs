//! Bodies that are written while they are read: newline-delimited events and concatenated frames, with heartbeats.
//!
//! The writer runs inside the body, so that it ends with the connection, and a reader that does not read stops it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use drover_rt::Clock;
use futures::Stream;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::reply::ByteStream;

/// How often an event stream says that it is alive.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(30);
/// How often a frame stream says that it is alive.
pub const FRAME_HEARTBEAT: Duration = Duration::from_secs(1);
/// Parts written but not sent yet; a full queue makes the writer wait.
const QUEUE: usize = 8;

/// The writing end.
#[derive(Clone, Debug)]
pub struct Writer(mpsc::Sender<io::Result<Bytes>>);

/// The reader has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader has gone")]
pub struct Gone;

impl Writer {
    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the reader has gone.
    pub async fn bytes(&self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        self.0.send(Ok(bytes.into())).await.map_err(|_| Gone)
    }

    /// Sends a JSON object without a separator.
    ///
    /// # Errors
    /// When the reader has gone.
    pub async fn frame<T: Serialize>(&self, frame: &T) -> Result<(), Gone> {
        self.bytes(serde_json::to_vec(frame).map_err(|_| Gone)?).await
    }

    /// Sends a JSON object and a newline.
    ///
    /// # Errors
    /// When the reader has gone.
    pub async fn line<T: Serialize>(&self, value: &T) -> Result<(), Gone> {
        let mut bytes = serde_json::to_vec(value).map_err(|_| Gone)?;
        bytes.push(b'\n');
        self.bytes(bytes).await
    }

    /// Says that the stream is alive.
    ///
    /// # Errors
    /// When the reader has gone.
    pub async fn heartbeat(&self, newline: bool) -> Result<(), Gone> {
        self.bytes(Bytes::from_static(if newline { b"{}\n" } else { b"{}" })).await
    }

    /// Breaks the body off, so that the reader sees an incomplete transfer.
    pub async fn fail(&self, error: io::Error) {
        let _ = self.0.send(Err(error)).await;
    }

    /// Returns when the reader has gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// What comes next in a stream of lines.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Whole lines, each with its newline.
    Lines(Bytes),
    /// Something happened that this reader did not ask for.
    Nothing,
    /// A last line.
    End(Option<Value>),
}

/// Where a stream of lines gets them from.
pub trait Feed: Send {
    /// Waits for what comes next. Must be cancel-safe.
    fn next(&mut self) -> impl Future<Output = Next> + Send;
}

/// Writes the lines of `feed` until it ends or the reader has gone, and a heartbeat at once and every
/// [`EVENT_HEARTBEAT`], no matter how much else is written.
pub async fn lines<F: Feed>(writer: Writer, clock: Clock, mut feed: F) {
    if writer.heartbeat(true).await.is_err() {
        return;
    }
    let mut beat = clock.monotonic() + EVENT_HEARTBEAT;
    loop {
        let written = match clock.timeout(beat.since(clock.monotonic()), feed.next()).await {
            None => {
                beat = clock.monotonic() + EVENT_HEARTBEAT;
                writer.heartbeat(true).await
            }
            Some(Next::Lines(lines)) => writer.bytes(lines).await,
            Some(Next::Nothing) => Ok(()),
            Some(Next::End(last)) => {
                if let Some(last) = last {
                    let _ = writer.line(&last).await;
                }
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

/// A body that `write` fills; it ends when `write` returns.
pub fn body<F, Fut>(write: F) -> ByteStream
where
    F: FnOnce(Writer) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(QUEUE);
    Box::pin(Written { writer: Some(Box::pin(write(Writer(sender)))), receiver })
}

struct Written {
    writer: Option<BoxFuture<'static, ()>>,
    receiver: mpsc::Receiver<io::Result<Bytes>>,
}

impl Stream for Written {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(writer) = &mut self.writer
            && writer.as_mut().poll(context).is_ready()
        {
            self.writer = None;
        }
        self.receiver.poll_recv(context)
    }
}

#[cfg(test)]
mod tests {
    use drover_base::WallTime;
    use drover_macros::proves;
    use futures::StreamExt;
    use serde_json::json;

    use super::*;

    /// Something that nobody asked for every 20 seconds; a wanted line after 50, the end after 100.
    struct Busy(Clock, Vec<(u64, Next)>);

    impl Feed for Busy {
        async fn next(&mut self) -> Next {
            let Some((at, _)) = self.1.first() else { return Next::End(None) };
            self.0.sleep(Duration::from_secs(*at).saturating_sub(Duration::from_nanos(self.0.monotonic().0))).await;
            self.1.remove(0).1
        }
    }

    #[proves("EVT-007")]
    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_comes_at_once_and_every_thirty_seconds_among_other_lines() {
        let clock = Clock::simulated(WallTime(0));
        let script = vec![
            (20, Next::Nothing),
            (40, Next::Nothing),
            (50, Next::Lines(Bytes::from_static(b"{\"Index\":7}\n"))),
            (80, Next::Nothing),
            (100, Next::End(Some(json!({ "Error": "lag" })))),
        ];
        let feed = Busy(clock.clone(), script);
        let seconds = clock.clone();
        let stream = body(move |writer| lines(writer, clock, feed));
        let parts: Vec<_> =
            stream.map(|part| (seconds.monotonic().0 / 1_000_000_000, String::from_utf8(part.unwrap().to_vec()).unwrap())).collect().await;
        let parts: Vec<_> = parts.iter().map(|(at, text)| (*at, text.as_str())).collect();
        assert_eq!(parts, [(0, "{}\n"), (30, "{}\n"), (50, "{\"Index\":7}\n"), (60, "{}\n"), (90, "{}\n"), (100, "{\"Error\":\"lag\"}\n")]);
    }

    #[tokio::test]
    async fn a_body_ends_after_its_writer() {
        let stream = body(|writer| async move {
            for number in 0..100 {
                writer.line(&number).await.unwrap();
            }
            writer.heartbeat(false).await.unwrap();
        });
        let parts: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!((parts.len(), &parts[100][..]), (101, &b"{}"[..]));
    }
}
