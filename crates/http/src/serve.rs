//! Listening: accepts connections up to a limit per address, answers on each, and stops within a moment when told to.
//!
//! A sender of slow headers and a reader that does not read are both cut off; a stalled body is the request's matter.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use drover_client::TaskConnection;
use drover_rt::{Clock, TaskScope};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use crate::dispatch::Api;
use crate::limit::{Admission, ConnectionLimit};
use crate::relay::Pipe;
use crate::reply::Session;
use crate::tls::Tls;

/// How long a connection may stay without a complete request head, idle ones included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a reader may take nothing while there is something to send.
const WRITE_TIMEOUT: Duration = Duration::from_secs(40);
/// How long requests in progress may still run after the stop.
const GRACE: Duration = Duration::from_millis(500);
/// How long the other end of a pipe may take to hear the last word.
const LINGER: Duration = Duration::from_secs(10);
/// The pause after a failed accept, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest request head.
const HEAD_MAX: usize = 64 * 1024;

const TOO_MANY: &str = "Your IP is issuing too many concurrent connections, please rate limit your calls\n";

/// How to listen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections per client address; 0 is no limit.
    pub connections_per_client: usize,
    /// TLS, if that is what is spoken.
    pub tls: Option<Tls>,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections_per_client: 100, tls: None }
    }
}

/// Accepts and answers until the scope stops.
pub async fn serve<S: crate::access::Guard>(listener: TcpListener, api: Api<S>, options: Options, scope: TaskScope) {
    let limit = ConnectionLimit::new(options.connections_per_client);
    let stop = scope.stop_token();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok((stream, remote)) => (stream, remote.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                api.clock().sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match limit.admit(api.clock().monotonic(), remote) {
            Admission::Open(slot) => {
                metrics::gauge!("nomad.nomad.agent.http.connections").set(limit.open() as f64);
                let (api, limit) = (api.clone(), limit.clone());
                let (stop, tls) = (stop.clone(), options.tls.clone());
                let _ = stream.set_nodelay(true);
                scope.spawn("http connection", async move {
                    match tls {
                        None => connection(stream, remote, api, stop).await,
                        // Apart, so that what a handshake needs is no part of every connection.
                        Some(tls) => Box::pin(secured(tls, stream, remote, api, stop)).await,
                    }
                    drop(slot);
                    metrics::gauge!("nomad.nomad.agent.http.connections").set(limit.open() as f64);
                });
            }
            // Without a handshake nobody would understand it.
            Admission::Explain if options.tls.is_some() => drop(stream),
            Admission::Explain => {
                let clock = api.clock().clone();
                scope.spawn_until_stop("http refusal", async move { refuse(stream, &clock).await });
            }
            Admission::Close => drop(stream),
        }
    }
}

/// Answers what another agent passes on through a pipe.
pub async fn serve_pipe<S: crate::access::Guard>(pipe: Pipe, remote: IpAddr, api: Api<S>, stop: drover_rt::CancellationToken) {
    let (rest, clock) = (pipe.rest(), api.clock().clone());
    connection(pipe, remote, api, stop.clone()).await;
    tokio::select! {
        () = stop.cancelled() => {}
        // Whoever does not end it in time has stopped listening.
        _ = clock.timeout(LINGER, rest.drained()) => {}
    }
}

/// Answers a task until it is over, or this agent stops. Every request needs a token.
pub async fn serve_task<S: crate::access::Guard>(task: TaskConnection, api: Api<S>, stop: drover_rt::CancellationToken) {
    let TaskConnection { stream, over, slot } = task;
    let stop = stop.child_token();
    let mut served = std::pin::pin!(connection(stream, IpAddr::V4(Ipv4Addr::LOCALHOST), api.for_tasks(), stop.clone()));
    tokio::select! {
        biased;
        () = &mut served => {}
        () = over.cancelled() => {
            stop.cancel();
            served.await;
        }
    }
    drop(slot);
}

/// The same after a handshake.
async fn secured<S: crate::access::Guard>(tls: Tls, stream: TcpStream, remote: IpAddr, api: Api<S>, stop: drover_rt::CancellationToken) {
    let clock = api.clock().clone();
    let shaken = tokio::select! {
        () = stop.cancelled() => None,
        shaken = tls.accept(stream, &clock) => shaken,
    };
    if let Some(stream) = shaken {
        connection(stream, remote, api, stop).await;
    }
}

/// Answers on a connection until either side ends it.
async fn connection<S, IO>(stream: IO, remote: IpAddr, api: Api<S>, stop: drover_rt::CancellationToken)
where
    S: crate::access::Guard,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let clock = api.clock().clone();
    let io = TokioIo::new(Impatient { stream, stalled: None });
    let session = Arc::new(Mutex::new(None::<Session>));
    let switched = Arc::clone(&session);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let told = tracing::enabled!(tracing::Level::DEBUG).then(|| (request.method().clone(), request.uri().path().to_owned()));
        let (answer, session, clock) = (api.answer(request, remote), Arc::clone(&session), api.clock().clone());
        let began = clock.monotonic();
        async move {
            let mut response = answer.await;
            let took = clock.monotonic().since(began);
            metrics::histogram!("nomad.nomad.agent.http.request_ms").record(took.as_secs_f64() * 1_000.0);
            if let Some((method, path)) = told {
                tracing::debug!(%method, path, status = response.status().as_u16(), duration = ?took, "request complete");
            }
            if let Some(found) = response.extensions_mut().remove::<Session>() {
                *session.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            }
            metrics::counter!("nomad.nomad.agent.http.requests", "status" => status_class(response.status())).increment(1);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEAD_MAX)
            .title_case_headers(true)
            .serve_connection(io, service)
            .with_upgrades()
    );
    let outcome = tokio::select! {
        outcome = &mut served => outcome,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            clock.timeout(GRACE, served).await.unwrap_or(Ok(()))
        }
    };
    let work = switched.lock().unwrap_or_else(PoisonError::into_inner).take().and_then(|session| session.take());
    if let (Some(work), Ok(())) = (work, &outcome) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }
    if let Err(error) = outcome {
        tracing::debug!(%error, %remote, "http connection ended");
    }
}

fn status_class(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        ..400 => "ok",
        400..500 => "client_error",
        _ => "server_error",
    }
}

/// Says why, without reading the request, and closes.
async fn refuse(mut stream: TcpStream, clock: &Clock) {
    let text = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{TOO_MANY}",
        TOO_MANY.len()
    );
    let written = clock.timeout(Duration::from_secs(1), stream.write_all(text.as_bytes())).await;
    if matches!(written, Some(Ok(()))) {
        let _ = clock.timeout(Duration::from_secs(1), stream.shutdown()).await;
    }
}

/// A connection that fails when nothing can be written for too long.
struct Impatient<IO> {
    stream: IO,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<IO> Impatient<IO> {
    fn judge<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        timer.as_mut().poll(context).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the reader does not read")))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Impatient<IO> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Impatient<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, outcome)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
