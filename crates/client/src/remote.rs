//! The client's way to servers on other machines: calls go to one server until it cannot be reached, then to the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use drover_base::NodeId;
use drover_model::{AllocUpdate, Node, ServiceRegistration};
use drover_rpc::{AgentClient, Caller, Reason, Refusal};
use drover_rt::TaskScope;
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::link::{DESIRED_CHANGES_MAX, DesiredChange, LinkError, Registered, ServerLink};

/// Servers behind the agent channel.
pub struct RemoteLink {
    servers: Vec<AgentClient>,
    current: AtomicUsize,
    /// The node's secret, once it has registered.
    secret: Mutex<String>,
    scope: TaskScope,
}

impl RemoteLink {
    /// A link to the servers at these addresses, each `host:port`. Connections are made when they are needed.
    ///
    /// # Errors
    /// When there is no address or one cannot be read.
    pub fn new(addresses: &[String], scope: TaskScope) -> Result<Arc<dyn ServerLink>, LinkError> {
        let servers = addresses.iter().map(|address| AgentClient::new(address)).collect::<Result<Vec<_>, _>>().map_err(link_error)?;
        if servers.is_empty() {
            return Err(LinkError::Refused("no servers given: set client { servers = [\"host:4647\"] }".to_owned()));
        }
        Ok(Arc::new(Self { servers, current: AtomicUsize::new(0), secret: Mutex::default(), scope }))
    }

    fn server(&self) -> AgentClient {
        self.servers[self.current.load(Ordering::Relaxed) % self.servers.len()].clone()
    }

    fn caller(&self, node: NodeId) -> Caller {
        Caller { node, secret: self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    /// Passes an answer on; after one that never came the next server is asked.
    fn judge<T>(&self, answer: Result<T, Refusal>) -> Result<T, LinkError> {
        answer.map_err(|refusal| {
            if refusal.reason == Reason::Unreachable {
                self.current.fetch_add(1, Ordering::Relaxed);
            }
            link_error(refusal)
        })
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

impl ServerLink for RemoteLink {
    fn register_node(&self, node: Node) -> BoxFuture<'_, Result<Registered, LinkError>> {
        Box::pin(async move {
            self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&node.secret_id);
            let registered = self.judge(self.server().register(node).await)?;
            Ok(Registered { heartbeat_ttl: registered.ttl(), sync: registered.sync() })
        })
    }

    fn heartbeat(&self, node: NodeId) -> BoxFuture<'_, Result<Registered, LinkError>> {
        Box::pin(async move {
            let registered = self.judge(self.server().heartbeat(self.caller(node)).await)?;
            Ok(Registered { heartbeat_ttl: registered.ttl(), sync: registered.sync() })
        })
    }

    fn desired_allocs(&self, node: NodeId) -> BoxFuture<'_, Result<mpsc::Receiver<DesiredChange>, LinkError>> {
        Box::pin(async move {
            let mut stream = self.judge(self.server().follow(self.caller(node)).await)?;
            let (changes, desired) = mpsc::channel(DESIRED_CHANGES_MAX);
            self.scope.spawn_until_stop("allocations from the servers", async move {
                loop {
                    let change = tokio::select! {
                        () = changes.closed() => return,
                        change = stream.next() => change,
                    };
                    let change = match change {
                        Some(Ok(change)) if change.full => DesiredChange::Snapshot(change.upserts),
                        Some(Ok(change)) => DesiredChange::Delta { upserts: change.upserts, removals: change.removals },
                        Some(Err(error)) => {
                            tracing::debug!(%error, "the stream of allocations ended");
                            return;
                        }
                        None => return,
                    };
                    if changes.send(change).await.is_err() {
                        return;
                    }
                }
            });
            Ok(desired)
        })
    }

    fn update_allocs(&self, node: NodeId, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move { self.judge(self.server().update_allocs(self.caller(node), updates).await) })
    }

    fn upsert_services(&self, node: NodeId, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move { self.judge(self.server().upsert_services(self.caller(node), services).await) })
    }

    fn delete_service(&self, node: NodeId, namespace: String, id: String) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move { self.judge(self.server().delete_service(self.caller(node), namespace, id).await) })
    }
}
