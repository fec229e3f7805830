//! The server's side of the agent channel: who calls is checked against the node's secret, then the endpoint is called.

use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, NodeId};
use drover_model::acl::{ANONYMOUS, PolicyRow};
use drover_model::{AllocUpdate, Node, ServiceRegistration};
use drover_rpc::{Caller, Desired, DesiredStream, Greeting, Identified, Pipe, Reason, Refusal, Registered, Servers, Shared};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};

use crate::endpoints::is_signed;
use crate::error::EndpointError;
use crate::link::{Heartbeat, HeartbeatError};
use crate::server::Server;

/// Answers calls of agents for a server.
#[derive(Clone)]
pub struct AgentChannel(pub Server);

fn refusal(error: EndpointError) -> Refusal {
    let reason = match error.text.as_str() {
        "node not found" => Reason::UnknownNode,
        _ if error.status == 503 || error.status == 429 => Reason::Unreachable,
        text if text.contains("No cluster leader") || text.contains("raft stopped") => Reason::Unreachable,
        _ => Reason::Refused,
    };
    Refusal::new(reason, error.text)
}

fn registered(heartbeat: Heartbeat) -> Registered {
    let Heartbeat { ttl, eligible, sync, servers, feature_level } = heartbeat;
    Registered::within(ttl).asking(sync).telling(eligible, servers, feature_level)
}

impl Server {
    /// Who sends a secret, for agents that hold callers to policies without having them.
    fn identified(&self, secret: &str) -> Identified {
        if !self.acl_enabled() {
            return Identified::default();
        }
        let state = self.snapshot();
        let policies = |rows: Vec<&Arc<PolicyRow>>| rows.into_iter().map(|row| row.policy.clone()).collect();
        if secret.is_empty() {
            let anonymous = state.acl_policy(ANONYMOUS).into_iter().collect();
            return Identified { enforced: true, policies: policies(anonymous), ..Identified::default() };
        }
        let refused = |text: &str| Identified { enforced: true, refused: Some(text.to_owned()), ..Identified::default() };
        if is_signed(secret) {
            return match self.workload(&state, secret) {
                Some(workload) => {
                    let policies = policies(state.policies_of_workload(&workload));
                    Identified { enforced: true, policies, workload: Some(workload), ..Identified::default() }
                }
                None => refused("Permission denied"),
            };
        }
        match state.acl_token_by_secret(secret) {
            None => refused("Permission denied"),
            Some(token) if token.expired(self.wall_time()) => refused("ACL token expired"),
            Some(token) => {
                let policies = policies(state.policies_of(token));
                Identified { enforced: true, token: Some(token.as_ref().clone()), policies, ..Identified::default() }
            }
        }
    }
}

impl AgentChannel {
    fn known(&self, caller: &Caller) -> Result<NodeId, Refusal> {
        let state = self.0.snapshot();
        let row = state.node(caller.node).ok_or_else(|| Refusal::new(Reason::UnknownNode, "node not found"))?;
        if row.node.secret_id == caller.secret {
            Ok(caller.node)
        } else {
            Err(Refusal::new(Reason::Refused, format!("the secret ID of node {} does not match", caller.node)))
        }
    }
}

impl Servers for AgentChannel {
    fn register(&self, node: Node) -> BoxFuture<'_, Result<Registered, Refusal>> {
        Box::pin(async move { Ok(registered(self.0.register_node(node).await.map_err(refusal)?)) })
    }

    fn heartbeat(&self, caller: Caller) -> BoxFuture<'_, Result<Registered, Refusal>> {
        Box::pin(async move {
            let node = self.known(&caller)?;
            match self.0.heartbeat(node).await {
                Ok(heartbeat) => Ok(registered(heartbeat)),
                Err(HeartbeatError::UnknownNode) => Err(Refusal::new(Reason::UnknownNode, "node not found")),
                Err(HeartbeatError::Endpoint(error)) => Err(refusal(error)),
            }
        })
    }

    fn follow(&self, caller: Caller) -> BoxFuture<'_, Result<DesiredStream, Refusal>> {
        Box::pin(async move {
            let node = self.known(&caller)?;
            let feed = self.0.feed(node);
            let changes = stream::unfold(feed, |mut feed| async move {
                let change = feed.next().await;
                Some((Desired { full: change.full, upserts: change.upserts, removals: change.removals, calls: Vec::new() }, feed))
            });
            let calls = stream::unfold(self.0.0.calls.connected(node), |mut line| async move {
                let ticket = line.next().await?;
                Some((Desired { calls: vec![ticket], ..Desired::default() }, line))
            });
            Ok(stream::select(changes, calls).boxed())
        })
    }

    fn update_allocs(&self, caller: Caller, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { self.0.update_allocs(self.known(&caller)?, updates).await.map_err(refusal) })
    }

    fn upsert_services(&self, caller: Caller, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { self.0.upsert_services(self.known(&caller)?, services).await.map_err(refusal) })
    }

    fn delete_service(&self, caller: Caller, namespace: String, id: String) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let node = self.known(&caller)?;
            let own = self.0.snapshot().service(&namespace, &id).is_none_or(|service| service.node_id == node);
            if !own {
                return Err(Refusal::new(Reason::Refused, format!("service {id} belongs to another node")));
            }
            match self.0.remove_service(&namespace, &id).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Refusal::new(Reason::NotFound, "service not found")),
                Err(error) => Err(refusal(error)),
            }
        })
    }

    fn identify(&self, caller: Caller, secret: String) -> BoxFuture<'_, Result<Identified, Refusal>> {
        Box::pin(async move {
            self.known(&caller)?;
            Ok(self.0.identified(&secret))
        })
    }

    fn task_identity(&self, caller: Caller, alloc: AllocId, task: String) -> BoxFuture<'_, Result<String, Refusal>> {
        Box::pin(async move { self.0.task_identity(self.known(&caller)?, alloc, &task).await.map_err(refusal) })
    }

    fn pipe(&self, caller: Caller, ticket: Option<u64>, pipe: Pipe) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { self.0.0.calls.opened(self.known(&caller)?, ticket, pipe) })
    }

    fn greet(&self, greeting: Greeting) -> BoxFuture<'_, Result<Greeting, Refusal>> {
        Box::pin(std::future::ready(self.0.greeted(greeting)))
    }

    fn shared(&self, secret: String, since: u64, wait: Duration) -> BoxFuture<'_, Result<Vec<Shared>, Refusal>> {
        Box::pin(async move { self.0.shared(&secret, since, wait).await })
    }

    fn visit(&self, pipe: Pipe) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(self.0.0.calls.visited(pipe)))
    }
}

/// The channel as the listener wants it.
impl From<Server> for Arc<dyn Servers> {
    fn from(server: Server) -> Self {
        Arc::new(AgentChannel(server))
    }
}
