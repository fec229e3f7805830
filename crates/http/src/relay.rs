//! Requests that another agent answers: they go there as they came, over a pipe of the agent channel, and the answer comes back as
//! it is.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use drover_base::NodeId;
pub use drover_rpc::Pipe;
use futures::future::{BoxFuture, MaybeDone, maybe_done};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::access::Caller;
use crate::error::ApiError;
use crate::reply::{Body, Session};
use crate::request::Incoming;
use crate::stream;

/// Says that a request was passed on once, so that it does not go in circles.
pub(crate) const RELAYED: HeaderName = HeaderName::from_static("x-drover-relayed");

/// What belongs to one connection and not to the request.
const OF_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("te"),
];

/// The servers, for an agent that is none.
pub trait Upstream: Send + Sync + 'static {
    /// A connection to the API of a server.
    fn open(&self) -> BoxFuture<'static, Result<Pipe, ApiError>>;
    /// Who sends a secret.
    fn identify(&self, secret: &str) -> BoxFuture<'static, Result<Caller, ApiError>>;
    /// Where servers are looked for, as `host:port`, the one that is asked first ahead.
    fn known(&self) -> Vec<String>;
    /// Looks for servers there from now on.
    fn look_at(&self, addresses: Vec<String>);
    /// Whether a server answered when one was asked last.
    fn reached(&self) -> bool;
}

/// Servers of other regions, for an agent that is a server.
pub trait OtherRegions: Send + Sync + 'static {
    /// A connection to the API of a server of a region.
    fn open(&self, region: &str) -> BoxFuture<'static, Result<Pipe, ApiError>>;
}

/// The way to a node that is connected to a server.
pub(crate) async fn to_node(server: drover_server::Server, node: NodeId) -> Result<Pipe, ApiError> {
    server.call_node(node).await.map_err(|error| ApiError::not_found(error.to_string()))
}

/// Sends a request over a pipe and returns the answer. `target` is the path with the query, as it came.
///
/// # Errors
/// When the other agent does not speak HTTP or the pipe breaks before the head of the answer.
pub(crate) async fn relay(
    pipe: Pipe,
    target: &str,
    parts: (http::Method, http::HeaderMap),
    body: Option<Incoming>,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, ApiError> {
    let broken = |error: hyper::Error| ApiError::by_text(format!("the agent that was to answer broke off: {error}"));
    let (method, mut headers) = parts;
    let upgrading = headers.contains_key(UPGRADE) && upgrade.is_some();
    OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    if upgrading {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    } else {
        headers.remove(UPGRADE);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(RELAYED, HeaderValue::from_static("1"));
    headers.entry(HOST).or_insert_with(|| HeaderValue::from_static("drover"));
    let body = body.unwrap_or_else(|| Box::pin(http_body_util::Empty::<Bytes>::new().map_err(|never| match never {})));
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() =
        target.parse().map_err(|error| ApiError::bad_request(format!("the path {target:?} cannot be passed on: {error}")))?;
    *request.headers_mut() = headers;

    let (mut sender, connection) = http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(pipe)).await.map_err(broken)?;
    let mut connection: Connection = Box::pin(maybe_done(Box::pin(connection.with_upgrades())));
    let sent = sender.send_request(request);
    let mut sent = std::pin::pin!(sent);
    // The connection may end, well or badly, once the answer is here.
    let response = tokio::select! {
        biased;
        response = &mut sent => response.map_err(broken)?,
        _ = &mut connection => sent.await.map_err(broken)?,
    };
    match upgrade {
        Some(own) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(switched(response, connection, own)),
        _ => Ok(passed_back(response, connection, sender)),
    }
}

/// The connection to the other agent; it works only while somebody waits for it. That it is over may be asked more than once.
type Connection = Pin<Box<MaybeDone<BoxFuture<'static, Result<(), hyper::Error>>>>>;
type Sender = http1::SendRequest<Incoming>;

/// The answer that leaves HTTP: from then on bytes go both ways as they are.
fn switched(mut response: Response<hyper::body::Incoming>, connection: Connection, own: OnUpgrade) -> Response<Body> {
    let theirs = hyper::upgrade::on(&mut response);
    let session = Session::new(converse(connection, theirs, own));
    let (parts, _) = response.into_parts();
    let mut response = Response::from_parts(parts, Body::Full(None));
    response.extensions_mut().insert(session);
    response
}

async fn converse(connection: Connection, theirs: OnUpgrade, own: OnUpgrade) {
    let (_, theirs, own) = tokio::join!(connection, theirs, own);
    if let (Ok(theirs), Ok(own)) = (theirs, own) {
        // Whoever breaks off ends it for both.
        drop(tokio::io::copy_bidirectional(&mut TokioIo::new(own), &mut TokioIo::new(theirs)).await);
    }
}

/// An answer as it came, but for what belongs to the connection.
fn passed_back(response: Response<hyper::body::Incoming>, connection: Connection, sender: Sender) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let bodiless = parts.status == StatusCode::NO_CONTENT || parts.status == StatusCode::NOT_MODIFIED;
    let sized = parts.headers.contains_key(CONTENT_LENGTH) || parts.headers.contains_key(TRANSFER_ENCODING);
    OF_CONNECTION.iter().for_each(|name| drop(parts.headers.remove(name)));
    if sized || bodiless {
        parts.version = Version::HTTP_11;
    } else {
        // Its end is the end of the connection.
        parts.version = Version::HTTP_10;
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if bodiless {
        return Response::from_parts(parts, Body::Full(None));
    }
    Response::from_parts(parts, Body::Stream(stream::body(move |writer| carry(body, connection, sender, writer))))
}

async fn carry(mut body: hyper::body::Incoming, mut connection: Connection, sender: Sender, writer: stream::Writer) {
    let pumping = async {
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(bytes)) => {
                    if writer.bytes(bytes).await.is_err() {
                        return;
                    }
                }
                Ok(Err(_)) => {}
                Err(error) => return writer.fail(io::Error::other(error)).await,
            }
        }
    };
    let mut pumping = std::pin::pin!(pumping);
    tokio::select! {
        biased;
        () = &mut pumping => {}
        _ = &mut connection => pumping.await,
    }
    // Without anybody who could send, the connection would end before the answer.
    drop(sender);
}
