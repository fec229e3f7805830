//! `alloc port-forward`: a local port that leads to one of an allocation, through the API. The agent that runs the allocation
//! opens the connections, so that nothing but the API has to be reachable from here.

use std::io;
use std::net::{IpAddr, SocketAddr};

use drover_api::websocket::Message;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::command::{Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::sdk::{Client, Query, SdkError};

pub(super) const FLAGS: &[Flag] = &[Flag::value("bind", "address", "The local address to listen on. Default 127.0.0.1.")];

/// Connections that are forwarded at a time at most.
const CONNECTIONS_MAX: usize = 256;
/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

pub(super) async fn port_forward(context: &mut Context) -> Outcome {
    let [given, ports] = context.arguments() else {
        return Err(Failure::usage("This command takes two arguments: <alloc> [<local port>:]<port>"));
    };
    let (given, ports) = (given.clone(), ports.clone());
    let (local, remote) = ports.split_once(':').unwrap_or(("0", &ports));
    let local: u16 = local.parse().map_err(|_| Failure::usage(format!("{local:?} is no port")))?;
    let client = context.client()?;
    let stub = resolve::alloc(context, &client, &given).await?;
    let query = Query::new().namespace(&stub.namespace);
    // A port that does not exist is told at once, not when somebody connects; what listens there may start later.
    if let Err(error) = client.tunnel_exists(&stub.id, remote, &query).await {
        let text = error.body().map_or_else(|| error.to_string(), str::to_owned);
        return Err(Failure::new(format!("Error forwarding to allocation {:?}: {text}", crate::text::short(&stub.id, false))));
    }
    let bind = context.flags.text("bind").unwrap_or("127.0.0.1").to_owned();
    let bind: IpAddr = bind.parse().map_err(|_| Failure::usage(format!("{bind:?} is no address")))?;
    let wrong = |error: io::Error| Failure::new(format!("Error listening on {bind}:{local}: {error}"));
    let listener = TcpListener::bind(SocketAddr::new(bind, local)).await.map_err(wrong)?;
    let own = listener.local_addr().map_err(wrong)?;
    let target = format!("{} of allocation {}", remote, crate::text::short(&stub.id, context.verbose()));
    context.ui.output(format!("Forwarding {own} -> port {target}; Ctrl-C to end"));
    let context = &*context;
    let serving = async {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => {
                    let (inner, _) = accepted.map_err(|error| Failure::new(format!("Error taking a connection: {error}")))?;
                    open.push(forwarded(&client, &stub.id, remote, &query, inner));
                }
                Some(ended) = open.next() => {
                    let ended: Result<(), String> = ended;
                    if let Err(error) = ended {
                        context.ui.warn(format!("Port {target}: {error}"));
                    }
                }
            }
        }
    };
    super::until_interrupted(true, serving).await
}

async fn forwarded(client: &Client, alloc: &str, port: &str, query: &Query, inner: TcpStream) -> Result<(), String> {
    let told = |error: SdkError| error.body().map_or_else(|| error.to_string(), str::to_owned);
    let (mut reader, mut writer) = client.tunnel(alloc, port, query).await.map_err(told)?;
    let (mut incoming, mut outgoing) = inner.into_split();
    let mut buffer = vec![0; READ_BYTES];
    let (mut sends, mut receives) = (true, true);
    while sends || receives {
        let done = tokio::select! {
            read = incoming.read(&mut buffer), if sends => match read {
                Ok(count) => {
                    sends = count > 0;
                    writer.send(&Message::Binary(buffer[..count].to_vec())).await
                }
                Err(error) => Err(error),
            },
            message = reader.next() => match message {
                Ok(Some(Message::Binary(bytes) | Message::Text(bytes))) if bytes.is_empty() => {
                    receives = false;
                    outgoing.shutdown().await
                }
                Ok(Some(Message::Binary(bytes) | Message::Text(bytes))) => outgoing.write_all(&bytes).await,
                Ok(Some(Message::Ping(bytes))) => writer.send(&Message::Pong(bytes)).await,
                Ok(Some(Message::Pong(_))) => Ok(()),
                Ok(Some(Message::Close(_, reason))) if !reason.is_empty() => return Err(reason),
                Ok(Some(Message::Close(..)) | None) => return Ok(()),
                Err(error) => Err(error),
            },
        };
        match done {
            // Whoever connected here may leave as they like.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => break,
            done => done.map_err(|error| error.to_string())?,
        }
    }
    drop(writer.close().await);
    Ok(())
}
