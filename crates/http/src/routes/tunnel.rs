//! A connection to a port of an allocation, over a WebSocket: `alloc port-forward`. Binary messages carry the bytes of a TCP
//! connection in both directions; an empty one in either says that no more comes from that side.
//!
//! The agent that runs the allocation opens the connection, so that only the API needs to be reachable. Who may run commands in
//! a task may connect to its ports, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use drover_api::websocket::Message;
use drover_model::PortMapping;
use http::StatusCode;
use http::header::UPGRADE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::access::{Capability, require};
use crate::agent::Agent;
use crate::error::ApiError;
use crate::ids;
use crate::reply::Reply;
use crate::request::Request;
use crate::websocket::{Reader, Writer, converse};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the other side is asked whether it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// The port that is meant: by its label, its number inside the allocation, or its number on the host.
fn chosen<'a>(ports: &'a [PortMapping], wanted: &str) -> Option<&'a PortMapping> {
    let number = wanted.parse::<u16>().ok();
    let inside = |port: &&PortMapping| number.is_some_and(|number| port.to == i32::from(number));
    let outside = |port: &&PortMapping| number == Some(port.value);
    ports.iter().find(|port| port.label == wanted).or_else(|| ports.iter().find(inside)).or_else(|| ports.iter().find(outside))
}

/// What to say when there is no such port.
fn no_port(ports: &[PortMapping], wanted: &str) -> ApiError {
    let labels: Vec<&str> = ports.iter().map(|port| port.label.as_str()).collect();
    let known = if labels.is_empty() { "it has none".to_owned() } else { format!("it has {}", labels.join(", ")) };
    ApiError::not_found(format!("the allocation has no port {wanted:?}; {known}"))
}

/// Where a port listens, seen from its host.
fn address(port: &PortMapping) -> (String, u16) {
    let everywhere = matches!(port.host_ip.as_str(), "" | "0.0.0.0" | "::");
    (if everywhere { "127.0.0.1".to_owned() } else { port.host_ip.clone() }, port.value)
}

/// `/v1/client/allocation/{alloc_id}/tunnel`.
pub async fn tunnel(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let rights = Arc::clone(&request.caller().rights);
    require(rights.some_namespace(Capability::AllocExec))?;
    let id = ids::full(request.parameter("alloc_id"), "alloc")?;
    let unknown = || ApiError::not_found(format!("Unknown allocation \"{id}\""));
    let alloc = agent.placed(id).ok_or_else(unknown)?;
    require(rights.namespace(&alloc.job.id.namespace, Capability::AllocExec))?;
    let wanted = match request.query.get("port") {
        "" => return Err(ApiError::bad_request("missing port: name it by its label or number, as in ?port=http")),
        wanted => wanted,
    };
    let port = chosen(&alloc.resources.ports, wanted).ok_or_else(|| no_port(&alloc.resources.ports, wanted))?;
    let here = agent.client.as_ref().filter(|client| client.has_alloc(id));
    if here.is_none() {
        return Err(ApiError::not_found("No path to node"));
    }
    if !request.headers.contains_key(UPGRADE) {
        return Err(ApiError::new(StatusCode::UPGRADE_REQUIRED, "a tunnel is a WebSocket: ask for one with the header Upgrade"));
    }
    let (host, number) = address(port);
    let clock = request.clock.clone();
    let connected = clock.timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), number))).await;
    let failed = |reason: String| ApiError::new(StatusCode::BAD_GATEWAY, format!("connect to {host}:{number}: {reason}"));
    let stream = match connected {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return Err(failed(error.to_string())),
        None => return Err(failed("no answer".to_owned())),
    };
    converse(&request, async move |reader, writer| relay(&clock, reader, writer, stream).await)
}

/// Carries bytes until both sides are done or one is gone.
async fn relay(clock: &drover_rt::Clock, mut reader: Reader, mut writer: Writer, stream: TcpStream) {
    let (mut incoming, mut outgoing) = stream.into_split();
    let mut buffer = vec![0; READ_BYTES];
    let (mut sends, mut receives) = (true, true);
    let mut quiet = clock.monotonic() + HEARTBEAT;
    while sends || receives {
        let done = tokio::select! {
            message = reader.next() => match message {
                Some(Message::Binary(bytes) | Message::Text(bytes)) if bytes.is_empty() => {
                    receives = false;
                    outgoing.shutdown().await
                }
                Some(Message::Binary(bytes) | Message::Text(bytes)) => outgoing.write_all(&bytes).await,
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await,
                Some(Message::Pong(_)) => Ok(()),
                Some(Message::Close(..)) | None => return,
            },
            read = incoming.read(&mut buffer), if sends => match read {
                Ok(count) => {
                    sends = count > 0;
                    writer.send(&Message::Binary(buffer[..count].to_vec())).await
                }
                Err(error) => Err(error),
            },
            () = clock.sleep(quiet.since(clock.monotonic())) => {
                quiet = clock.monotonic() + HEARTBEAT;
                writer.send(&Message::Ping(Vec::new())).await
            }
        };
        if done.is_err() {
            return;
        }
    }
    writer.end().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_label_then_by_its_number_inside_and_outside() {
        let port = |label: &str, value, to| PortMapping { label: label.to_owned(), value, to, ..PortMapping::default() };
        let ports = [port("http", 8080, 80), port("80", 9000, 0), port("admin", 80, 0)];
        let found = |wanted: &str| chosen(&ports, wanted).map(|port| port.value);
        assert_eq!(
            [found("http"), found("80"), found("8080"), found("admin"), found("x")],
            [Some(8080), Some(9000), Some(8080), Some(80), None]
        );
        assert_eq!(address(&ports[0]), ("127.0.0.1".to_owned(), 8080));
        assert!(no_port(&ports, "x").text.ends_with("it has http, 80, admin"));
    }
}
