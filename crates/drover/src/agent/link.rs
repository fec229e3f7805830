//! The client's way to the servers when both are this process.

use std::sync::Arc;

use drover_base::{AllocId, NodeId};
use drover_client::link::DESIRED_CHANGES_MAX;
use drover_client::{DesiredChange, LinkError, Registered, ServerLink};
use drover_model::{AllocUpdate, Node, ServiceRegistration};
use drover_rt::TaskScope;
use drover_server::{EndpointError, Heartbeat, HeartbeatError, Server};
use futures::future::BoxFuture;
use tokio::sync::mpsc;

/// Calls the server directly.
pub(crate) struct LocalLink {
    server: Server,
    scope: TaskScope,
}

impl LocalLink {
    pub(crate) fn connect(server: Server, scope: TaskScope) -> Arc<dyn ServerLink> {
        Arc::new(Self { server, scope })
    }
}

fn link_error(error: EndpointError) -> LinkError {
    match error.text.as_str() {
        "node not found" => LinkError::UnknownNode,
        _ if error.status == 503 || error.status == 429 => LinkError::Unreachable(error.text),
        text if text.contains("No cluster leader") || text.contains("raft stopped") => LinkError::Unreachable(error.text),
        _ => LinkError::Refused(error.text),
    }
}

fn registered(heartbeat: Heartbeat) -> Registered {
    let Heartbeat { ttl, eligible, sync, servers, feature_level } = heartbeat;
    Registered { heartbeat_ttl: ttl, sync, eligible, servers, feature_level }
}

impl ServerLink for LocalLink {
    fn register_node(&self, node: Node) -> BoxFuture<'_, Result<Registered, LinkError>> {
        Box::pin(async move { Ok(registered(self.server.register_node(node).await.map_err(link_error)?)) })
    }

    fn heartbeat(&self, node: NodeId) -> BoxFuture<'_, Result<Registered, LinkError>> {
        Box::pin(async move {
            match self.server.heartbeat(node).await {
                Ok(heartbeat) => Ok(registered(heartbeat)),
                Err(HeartbeatError::UnknownNode) => Err(LinkError::UnknownNode),
                Err(HeartbeatError::Endpoint(error)) => Err(link_error(error)),
            }
        })
    }

    fn desired_allocs(&self, node: NodeId) -> BoxFuture<'_, Result<mpsc::Receiver<DesiredChange>, LinkError>> {
        Box::pin(async move {
            let (changes, desired) = mpsc::channel(DESIRED_CHANGES_MAX);
            let mut feed = self.server.feed(node);
            self.scope.spawn_until_stop("push to the local client", async move {
                loop {
                    let change = tokio::select! {
                        () = changes.closed() => return,
                        change = feed.next() => change,
                    };
                    let change = if change.full {
                        DesiredChange::Snapshot(change.upserts)
                    } else {
                        DesiredChange::Delta { upserts: change.upserts, removals: change.removals }
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
        Box::pin(async move { self.server.update_allocs(node, updates).await.map_err(link_error) })
    }

    fn upsert_services(&self, node: NodeId, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move { self.server.upsert_services(node, services).await.map_err(link_error) })
    }

    fn task_identity(&self, node: NodeId, alloc: AllocId, task: String) -> BoxFuture<'_, Result<String, LinkError>> {
        Box::pin(async move { self.server.task_identity(node, alloc, &task).await.map_err(link_error) })
    }

    fn delete_service(&self, _: NodeId, namespace: String, id: String) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            match self.server.remove_service(&namespace, &id).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(LinkError::NotFound),
                Err(error) => Err(link_error(error)),
            }
        })
    }
}
