//! Links to servers of other regions: greets those that there may be, as [`drover_server::regions`] decides, and opens pipes to the
//! API of those that answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_http::ApiError;
use drover_http::relay::{OtherRegions, Pipe};
use drover_lang::config::AgentConfig;
use drover_rpc::{AgentClient, Reason, Refusal, Shared};
use drover_rt::Clock;
use drover_server::Server;
use drover_server::regions::{Action, Event, PEERS_MAX};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::remote::with_port;

/// How long nothing is done where nothing is due; an event ends it.
const IDLE: Duration = Duration::from_secs(60);

/// Connections to a server of another region. What only this server says does not wait behind what users ask.
#[derive(Clone)]
struct Connection {
    own: AgentClient,
    visits: AgentClient,
}

struct Inner {
    server: Server,
    connections: Mutex<BTreeMap<String, Connection>>,
}

/// The servers of other regions.
#[derive(Clone)]
pub(super) struct Links(Arc<Inner>);

/// Where the configuration says that servers of other regions are, in its order.
pub(super) fn addresses(config: &AgentConfig) -> Vec<String> {
    let told = &config.server;
    let mut addresses: Vec<String> = Vec::new();
    for address in told.server_join.start_join.iter().chain(&told.server_join.retry_join).chain(&told.start_join).chain(&told.retry_join) {
        let address = address.trim();
        if address.is_empty() || address.starts_with("provider=") || address.starts_with("exec=") {
            tracing::warn!(
                address,
                "server_join: this version of Drover does not look servers up; name them as host:port of their agent channel"
            );
            continue;
        }
        let address = with_port(address);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

impl Links {
    pub(super) fn new(server: Server) -> Self {
        Self(Arc::new(Inner { server, connections: Mutex::default() }))
    }

    fn connection(&self, address: &str) -> Result<Connection, Refusal> {
        let mut connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(address) {
            return Ok(connection.clone());
        }
        // Addresses come and go; those in use are made again.
        if connections.len() > PEERS_MAX {
            connections.clear();
        }
        let made = Connection { own: AgentClient::new(address)?, visits: AgentClient::for_visits(address)? };
        connections.insert(address.to_owned(), made.clone());
        Ok(made)
    }

    /// What all regions share, as the region has it that writes it. Its servers must be named in the configuration: whoever has made
    /// itself known as one by a greeting gets no token of this agent.
    pub(super) async fn shared(&self, region: &str, token: &str, since: u64, wait: Duration) -> Result<Shared, Refusal> {
        let mut last = "none of its servers answers that server_join in this agent's configuration names".to_owned();
        for address in self.0.server.named_ways_to_region(region) {
            match self.connection(&address)?.own.shared(token.to_owned(), since, wait).await {
                Err(refusal) if refusal.reason == Reason::Unreachable => last = format!("{address}: {}", refusal.text),
                answered => return answered,
            }
        }
        Err(Refusal::new(Reason::Unreachable, last))
    }

    async fn greet(&self, address: String) -> Event {
        let answered = async { self.connection(&address)?.own.greet(self.0.server.region_greeting()).await };
        match answered.await {
            Ok(greeting) => Event::Answered(address, greeting),
            Err(refusal) => Event::Failed(address, refusal.text),
        }
    }

    /// Keeps up the links, those to `addresses` first, until it is dropped.
    pub(super) async fn run(self, addresses: Vec<String>, clock: Clock) {
        let server = &self.0.server;
        // At most one for each address that is known, of which there are not more than `PEERS_MAX`.
        let mut greetings = FuturesUnordered::new();
        let mut event = Event::Configured(addresses);
        loop {
            for action in server.heard_of_regions(event) {
                match action {
                    Action::Greet(address) => greetings.push(self.greet(address)),
                    Action::Reached(peer) => {
                        tracing::info!(region = %peer.region, server = %peer.name, address = %peer.address, "server of another region is reached");
                    }
                    Action::Lost(peer, reason) => {
                        tracing::warn!(region = %peer.region, server = %peer.name, reason, "server of another region is lost, trying again");
                    }
                    Action::Useless(address, reason) => {
                        tracing::warn!(
                            address,
                            reason,
                            "no server of another region answers there, trying again; the port is that of its agent channel, 4647 unless told"
                        );
                    }
                }
            }
            let changed = server.regions_changed();
            let now = clock.monotonic();
            let pause = server.regions_due().map_or(IDLE, |due| due.since(now)).min(IDLE);
            event = tokio::select! {
                Some(outcome) = greetings.next() => outcome,
                () = clock.sleep(pause) => Event::Tick,
                () = changed => Event::Tick,
            };
        }
    }
}

impl OtherRegions for Links {
    fn open(&self, region: &str) -> BoxFuture<'static, Result<Pipe, ApiError>> {
        let (links, region) = (self.clone(), region.to_owned());
        Box::pin(async move {
            for address in links.0.server.ways_to_region(&region) {
                let opened = async { links.connection(&address)?.visits.visit().await };
                match opened.await {
                    Ok(pipe) => return Ok(pipe),
                    Err(refusal) => tracing::debug!(region, address, reason = refusal.text, "request not passed on"),
                }
            }
            Err(ApiError::by_text("No path to region"))
        })
    }
}

#[cfg(test)]
mod tests {
    use drover_lang::config::parse;
    use drover_lang::diag::Source;

    use super::*;

    #[test]
    fn every_key_that_names_servers_counts_once_and_gets_the_port_of_the_channel() {
        let file = r#"
            server {
              retry_join = ["10.0.0.3"]
              start_join = ["10.0.0.1:5000"]
              server_join {
                retry_join = ["10.0.0.1:5000", "provider=aws tag_key=x tag_value=y", "east.example", "[::1]:4647"]
              }
            }
        "#;
        let told = parse(&Source::new("agent.hcl", file)).unwrap().partial.typed().unwrap();
        assert_eq!(addresses(&told), ["10.0.0.1:5000", "east.example:4647", "[::1]:4647", "10.0.0.3:4647"]);
    }
}
