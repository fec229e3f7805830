//! The client's way to servers on other machines: one connection over which everything goes, to the first server that answers.
//!
//! Servers are looked for where the configuration says, then where the servers themselves say they are. One that cannot be reached goes
//! to the end of the row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, Monotonic, NodeId};
use drover_client::link::DESIRED_CHANGES_MAX;
use drover_client::{DesiredChange, LinkError, Registered, ServerLink};
use drover_http::ApiError;
use drover_http::access::{Caller as ApiCaller, Rights};
use drover_http::relay::{Pipe, Upstream};
use drover_model::acl::{PolicyRow, TokenType};
use drover_model::{AllocUpdate, Node, ServiceRegistration};
use drover_rpc::{AgentClient, Caller, Desired, Identified, Reason, Refusal};
use drover_rt::{Clock, TaskScope};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

/// The port of the agent channel where an address names none.
const RPC_PORT: u16 = 4647;
/// Pipes of servers that wait to be served.
pub(super) const PIPES_MAX: usize = 64;
/// Rights of so many callers are kept.
const CALLERS_MAX: usize = 4_096;

/// What is known of servers and of who asks them.
#[derive(Default)]
struct Known {
    /// Where servers are looked for, the one that is asked first ahead.
    addresses: Vec<String>,
    connections: BTreeMap<String, AgentClient>,
    /// How this node proves itself, once it has registered.
    own: Option<Caller>,
    reached: bool,
    /// Rights by secret, and until when they need not be asked for again.
    callers: BTreeMap<String, (ApiCaller, Monotonic)>,
}

struct Inner {
    known: Mutex<Known>,
    clock: Clock,
    scope: TaskScope,
    /// How long the servers' word about a caller is good.
    caller_ttl: Duration,
    pipes: mpsc::Sender<Pipe>,
}

/// The servers, seen from an agent that is none.
#[derive(Clone)]
pub(super) struct Remote(Arc<Inner>);

/// With a port in any case.
pub(super) fn with_port(address: &str) -> String {
    let bare = address.trim().trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(ip)) => format!("[{ip}]:{RPC_PORT}"),
        Ok(ip) => format!("{ip}:{RPC_PORT}"),
        Err(_) if address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => address.trim().to_owned(),
        Err(_) => format!("{}:{RPC_PORT}", address.trim()),
    }
}

fn link_error(refusal: Refusal) -> LinkError {
    match refusal.reason {
        Reason::Unreachable => LinkError::Unreachable(refusal.text),
        Reason::UnknownNode => LinkError::UnknownNode,
        Reason::NotFound => LinkError::NotFound,
        Reason::Refused => LinkError::Refused(refusal.text),
    }
}

fn told(answer: &drover_rpc::Registered) -> Registered {
    Registered {
        heartbeat_ttl: answer.ttl(),
        sync: answer.sync(),
        eligible: answer.eligible(),
        servers: answer.servers().to_vec(),
        feature_level: answer.feature_level(),
    }
}

/// What servers said about a caller, as routes need it.
fn caller(identified: Identified) -> Result<ApiCaller, ApiError> {
    if !identified.enforced {
        return Ok(ApiCaller::unrestricted());
    }
    if let Some(reason) = identified.refused {
        return Err(ApiError::coded(403, reason));
    }
    let management = identified.token.as_ref().is_some_and(|token| token.kind == TokenType::Management);
    let rows: Vec<PolicyRow> = identified.policies.into_iter().map(PolicyRow::new).collect();
    let rights = if management { Rights::management() } else { Rights::of(rows.iter().map(|row| &row.rules)) };
    let rights = match identified.workload {
        Some(workload) => rights.of_workload(workload),
        None => rights,
    };
    Ok(ApiCaller { rights: Arc::new(rights), token: identified.token.map(Arc::new), enforced: true })
}

impl Remote {
    /// Servers at these addresses, and the pipes that servers ask for.
    pub(super) fn new(addresses: &[String], caller_ttl: Duration, clock: Clock, scope: TaskScope) -> (Self, mpsc::Receiver<Pipe>) {
        let (pipes, opened) = mpsc::channel(PIPES_MAX);
        let addresses = addresses.iter().map(|address| with_port(address)).collect();
        let known = Mutex::new(Known { addresses, ..Known::default() });
        (Self(Arc::new(Inner { known, clock, scope, caller_ttl, pipes })), opened)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self, address: &str) -> Result<AgentClient, Refusal> {
        if let Some(connection) = self.known().connections.get(address) {
            return Ok(connection.clone());
        }
        let made = AgentClient::new(address)?;
        self.known().connections.insert(address.to_owned(), made.clone());
        Ok(made)
    }

    fn own(&self) -> Result<Caller, Refusal> {
        self.known().own.clone().ok_or_else(|| Refusal::new(Reason::Unreachable, "this node has not registered with a server yet"))
    }

    /// Asks one server after another until one can be reached.
    async fn ask<T, F>(&self, act: impl Fn(AgentClient) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let addresses = self.known().addresses.clone();
        let mut last = Refusal::new(Reason::Unreachable, "no servers are known: name them in client.servers");
        for address in addresses {
            let refusal = match self.connection(&address) {
                Ok(connection) => match act(connection).await {
                    Ok(answer) => {
                        self.known().reached = true;
                        return Ok(answer);
                    }
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            };
            if refusal.reason != Reason::Unreachable {
                return Err(refusal);
            }
            tracing::debug!(address, reason = refusal.text, "server cannot be reached");
            last = Refusal::new(Reason::Unreachable, format!("{address}: {}", refusal.text));
            let mut known = self.known();
            if let Some(position) = known.addresses.iter().position(|known| *known == address) {
                let moved = known.addresses.remove(position);
                known.addresses.push(moved);
            }
        }
        self.known().reached = false;
        Err(last)
    }

    /// Takes up the addresses that servers tell; those that were configured stay.
    fn heard(&self, answer: &drover_rpc::Registered) -> Registered {
        let mut known = self.known();
        for server in answer.servers() {
            if !known.addresses.contains(server) {
                known.addresses.push(server.clone());
            }
        }
        drop(known);
        told(answer)
    }

    /// Opens the pipe that a server waits for, and hands it to whoever serves this agent's API.
    fn open_for(&self, connection: &AgentClient, own: &Caller, ticket: u64) {
        let (connection, own, pipes) = (connection.clone(), own.clone(), self.0.pipes.clone());
        self.0.scope.spawn_until_stop("pipe for a server", async move {
            match connection.pipe(&own, Some(ticket)).await {
                // Nobody serves any more when the agent stops.
                Ok(pipe) => drop(pipes.send(pipe).await),
                Err(error) => tracing::debug!(%error, "a server no longer waits for a pipe"),
            }
        });
    }
}

impl ServerLink for Remote {
    fn register_node(&self, node: Node) -> BoxFuture<'_, Result<Registered, LinkError>> {
        Box::pin(async move {
            let own = Caller { node: node.id, secret: node.secret_id.clone() };
            let answer = self.ask(|server| {
                let node = node.clone();
                async move { server.register(node).await }
            });
            let answer = answer.await.map_err(link_error)?;
            self.known().own = Some(own);
            Ok(self.heard(&answer))
        })
    }

    fn heartbeat(&self, _: NodeId) -> BoxFuture<'_, Result<Registered, LinkError>> {
        Box::pin(async move {
            let own = self.own().map_err(link_error)?;
            let answer = self.ask(|server| {
                let own = own.clone();
                async move { server.heartbeat(own).await }
            });
            Ok(self.heard(&answer.await.map_err(link_error)?))
        })
    }

    fn desired_allocs(&self, _: NodeId) -> BoxFuture<'_, Result<mpsc::Receiver<DesiredChange>, LinkError>> {
        Box::pin(async move {
            let own = self.own().map_err(link_error)?;
            let followed = self.ask(|server| {
                let own = own.clone();
                async move { Ok((server.follow(own).await?, server)) }
            });
            let (mut stream, connection) = followed.await.map_err(link_error)?;
            let (changes, desired) = mpsc::channel(DESIRED_CHANGES_MAX);
            let remote = self.clone();
            self.0.scope.spawn_until_stop("push from the servers", async move {
                loop {
                    let change = tokio::select! {
                        () = changes.closed() => return,
                        change = stream.next() => change,
                    };
                    let Desired { full, upserts, removals, calls } = match change {
                        Some(Ok(change)) => change,
                        Some(Err(error)) => return tracing::info!(%error, "the stream of the servers broke off"),
                        None => return,
                    };
                    calls.into_iter().for_each(|ticket| remote.open_for(&connection, &own, ticket));
                    let change = match full {
                        true => DesiredChange::Snapshot(upserts),
                        false if upserts.is_empty() && removals.is_empty() => continue,
                        false => DesiredChange::Delta { upserts, removals },
                    };
                    if changes.send(change).await.is_err() {
                        return;
                    }
                }
            });
            Ok(desired)
        })
    }

    fn update_allocs(&self, _: NodeId, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            let own = self.own().map_err(link_error)?;
            let sent = self.ask(|server| {
                let (own, updates) = (own.clone(), updates.clone());
                async move { server.update_allocs(own, updates).await }
            });
            sent.await.map_err(link_error)
        })
    }

    fn upsert_services(&self, _: NodeId, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            let own = self.own().map_err(link_error)?;
            let sent = self.ask(|server| {
                let (own, services) = (own.clone(), services.clone());
                async move { server.upsert_services(own, services).await }
            });
            sent.await.map_err(link_error)
        })
    }

    fn task_identity(&self, _: NodeId, alloc: AllocId, task: String) -> BoxFuture<'_, Result<String, LinkError>> {
        Box::pin(async move {
            let own = self.own().map_err(link_error)?;
            let signed = self.ask(|server| {
                let (own, task) = (own.clone(), task.clone());
                async move { server.task_identity(own, alloc, task).await }
            });
            signed.await.map_err(link_error)
        })
    }

    fn delete_service(&self, _: NodeId, namespace: String, id: String) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            let own = self.own().map_err(link_error)?;
            let sent = self.ask(|server| {
                let (own, namespace, id) = (own.clone(), namespace.clone(), id.clone());
                async move { server.delete_service(own, namespace, id).await }
            });
            sent.await.map_err(link_error)
        })
    }
}

impl Upstream for Remote {
    fn open(&self) -> BoxFuture<'static, Result<Pipe, ApiError>> {
        let remote = self.clone();
        Box::pin(async move {
            let opened = async {
                let own = remote.own()?;
                remote
                    .ask(|server| {
                        let own = own.clone();
                        async move { server.pipe(&own, None).await }
                    })
                    .await
            };
            opened.await.map_err(|refusal| ApiError::by_text(format!("No cluster leader: {refusal}")))
        })
    }

    fn identify(&self, secret: &str) -> BoxFuture<'static, Result<ApiCaller, ApiError>> {
        let (remote, secret) = (self.clone(), secret.to_owned());
        Box::pin(async move {
            let now = remote.0.clock.monotonic();
            let kept = remote.known().callers.get(&secret).cloned();
            if let Some((caller, _)) = kept.as_ref().filter(|(_, until)| *until > now) {
                return Ok(caller.clone());
            }
            let asked = async {
                let own = remote.own()?;
                remote
                    .ask(|server| {
                        let (own, secret) = (own.clone(), secret.clone());
                        async move { server.identify(own, secret).await }
                    })
                    .await
            };
            match asked.await {
                Ok(identified) => {
                    let found = caller(identified);
                    let mut known = remote.known();
                    if known.callers.len() >= CALLERS_MAX {
                        known.callers.clear();
                    }
                    match &found {
                        Ok(caller) => drop(known.callers.insert(secret, (caller.clone(), now + remote.0.caller_ttl))),
                        Err(_) => drop(known.callers.remove(&secret)),
                    }
                    found
                }
                // What they said last holds while they cannot be asked (ACL-007).
                Err(refusal) => kept
                    .map(|(caller, _)| caller)
                    .ok_or_else(|| ApiError::by_text(format!("No cluster leader: {refusal}; nobody can be asked about the token"))),
            }
        })
    }

    fn known(&self) -> Vec<String> {
        Remote::known(self).addresses.clone()
    }

    fn look_at(&self, addresses: Vec<String>) {
        self.known().addresses = addresses.iter().map(|address| with_port(address)).collect();
    }

    fn reached(&self) -> bool {
        Remote::known(self).reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_port_of_the_channel() {
        for (address, wanted) in [
            ("10.0.0.5", "10.0.0.5:4647"),
            ("10.0.0.5:5000", "10.0.0.5:5000"),
            ("server.example", "server.example:4647"),
            ("server.example:1", "server.example:1"),
            ("::1", "[::1]:4647"),
            ("[::1]", "[::1]:4647"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(with_port(address), wanted);
        }
    }
}
