//! Bytes both ways through one call: what is written on one side is the body of the request or answer, and read on the other.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use drover_base::NodeId;
use futures::stream::{BoxStream, StreamExt};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::PollSender;
use tonic::body::Body;

use crate::message::{Caller, Reason, Refusal};

/// Parts written and not sent yet; then the writer waits.
const PARTS_MAX: usize = 8;
/// The largest part, in bytes.
const PART_MAX: usize = 32 << 10;

const NODE: &str = "drover-node";
const SECRET: &str = "drover-secret";
const TICKET: &str = "drover-ticket";

type Inbound = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// Where what is read stays while what was written is still on its way: a body that is dropped half read resets the whole call.
type Kept = Arc<Mutex<Option<Inbound>>>;

/// One end. Dropping it ends the call once what was written has been sent; shutting its writing half down ends what the other side
/// reads.
pub struct Pipe {
    inbound: Option<Inbound>,
    outbound: PollSender<Bytes>,
    kept: Kept,
}

impl Pipe {
    /// What is left to read of this pipe when it has been dropped.
    pub fn rest(&self) -> Rest {
        Rest(Arc::clone(&self.kept))
    }
}

/// What is left to read of a pipe.
pub struct Rest(Kept);

impl Rest {
    /// Reads and forgets what still comes, until the other side ends. Whoever sends the last word waits so for it to be heard: a call
    /// that is given up earlier may be reset before the other side has read it.
    pub async fn drained(self) {
        let inbound = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut inbound) = inbound {
            // That the other side broke off is an end too.
            drop(tokio::io::copy(&mut inbound, &mut tokio::io::sink()).await);
        }
    }
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipe")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = self.inbound.take();
    }
}

/// The body that carries what is written into the pipe whose end is given.
pub(crate) struct Outbound {
    parts: mpsc::Receiver<Bytes>,
    /// Dropped with the body, after its last part.
    _kept: Kept,
}

impl Outbound {
    pub(crate) fn body(self) -> Body {
        Body::new(self)
    }
}

impl http_body::Body for Outbound {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.parts.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

/// The writing half of a pipe, before the other side's body is known.
pub(crate) struct Opening {
    outbound: PollSender<Bytes>,
    kept: Kept,
}

/// A pipe about to be opened.
pub(crate) fn opening() -> (Opening, Outbound) {
    let (sender, parts) = mpsc::channel(PARTS_MAX);
    let kept = Kept::default();
    (Opening { outbound: PollSender::new(sender), kept: Arc::clone(&kept) }, Outbound { parts, _kept: kept })
}

impl Opening {
    /// The pipe that reads from a body.
    pub(crate) fn reading<B>(self, body: B) -> Pipe
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let parts = BodyStream::new(body.map_err(io::Error::other));
        let bytes = parts.filter_map(|frame| std::future::ready(frame.map(|frame| frame.into_data().ok()).transpose()));
        Pipe { inbound: Some(StreamReader::new(bytes.boxed())), outbound: self.outbound, kept: self.kept }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.inbound {
            Some(inbound) => Pin::new(inbound).poll_read(context, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the other side has ended the pipe")
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.outbound.poll_reserve(context)).map_err(|_| gone())?;
        let part = &bytes[..bytes.len().min(PART_MAX)];
        self.outbound.send_item(Bytes::copy_from_slice(part)).map_err(|_| gone())?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbound.close();
        Poll::Ready(Ok(()))
    }
}

/// Who opens a pipe, and for which ticket, as headers.
pub(crate) fn introduce(caller: &Caller, ticket: Option<u64>, headers: &mut HeaderMap) -> Result<(), Refusal> {
    let secret = HeaderValue::from_str(&caller.secret)
        .map_err(|_| Refusal::new(Reason::Refused, "the secret ID of this node cannot be sent as a header"))?;
    let node = HeaderValue::from_str(&caller.node.to_string()).map_err(|error| Refusal::new(Reason::Refused, error.to_string()))?;
    headers.insert(NODE, node);
    headers.insert(SECRET, secret);
    if let Some(ticket) = ticket {
        headers.insert(TICKET, HeaderValue::from(ticket));
    }
    Ok(())
}

/// What [`introduce`] said.
pub(crate) fn introduced(headers: &HeaderMap) -> Result<(Caller, Option<u64>), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let node: Option<NodeId> = text(NODE).and_then(|text| text.parse().ok());
    let (Some(node), Some(secret)) = (node, text(SECRET)) else {
        return Err(Refusal::new(Reason::Refused, format!("a pipe needs the headers {NODE} and {SECRET}")));
    };
    let ticket = match text(TICKET) {
        None => None,
        Some(ticket) => Some(ticket.parse().map_err(|_| Refusal::new(Reason::Refused, format!("{TICKET} is not a number: {ticket:?}")))?),
    };
    Ok((Caller { node, secret: secret.to_owned() }, ticket))
}
