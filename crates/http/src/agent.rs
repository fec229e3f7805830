//! The agent as routes see it: the roles it has, and what it says about itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_base::{AllocId, NodeId};
use drover_client::ClientHandle;
use drover_model::{AllocatedResources, Job, Task};
use drover_server::{Concern, Server};
use drover_state::Snapshot;

use crate::blocking::Source;
use crate::error::ApiError;
use crate::logs::LogSource;
use crate::relay::{OtherRegions, Upstream};
use crate::telemetry::Telemetry;

/// What does not change while the agent runs.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The agent's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its datacenter.
    pub datacenter: String,
    /// The version, as `0.1.0`.
    pub version: String,
    /// The build's revision, "" if it is not known.
    pub revision: String,
    /// The id of the server, "" for a client alone.
    pub server_id: String,
    /// The address other agents reach it at, without a port.
    pub address: String,
    /// The port of the agent channel.
    pub rpc_port: u16,
    /// The port of gossip.
    pub serf_port: u16,
    /// How many servers there should be.
    pub bootstrap_expect: u32,
    /// Whether callers are held to policies, as this agent was told.
    pub acl: bool,
    /// Whether profiles and the like are served.
    pub debug: bool,
    /// The configuration as shown, secrets taken out.
    pub config: api::AgentConfig,
}

/// A running agent.
pub struct Agent {
    /// What does not change.
    pub facts: Facts,
    /// The server role.
    pub server: Option<Server>,
    /// The client role.
    pub client: Option<ClientHandle>,
    /// Where the servers are, for an agent that is none.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// The servers of other regions, for an agent that is a server.
    pub regions: Option<Arc<dyn OtherRegions>>,
    /// Lines of the log as they are written.
    pub logs: Arc<dyn LogSource>,
    /// Measurements.
    pub telemetry: Telemetry,
    /// What callers may do, as far as it was worked out.
    pub known: crate::guard::Known,
    /// Cancelled to make the agent read its configuration again; `None` where that does nothing.
    pub reload: Option<Arc<tokio::sync::Notify>>,
}

/// An allocation, as far as what concerns its node has to be known.
pub(crate) struct Placed {
    /// Its job, in the version that runs.
    pub(crate) job: Arc<Job>,
    group: String,
    /// Where it is.
    pub(crate) node: NodeId,
    /// What it was given.
    pub(crate) resources: Arc<AllocatedResources>,
}

impl Placed {
    /// A task of it.
    pub(crate) fn task(&self, name: &str) -> Option<&Task> {
        self.job.task_groups.iter().find(|group| group.name == self.group)?.task(name)
    }
}

impl Agent {
    /// An allocation that the region has, or on an agent that is no server, that is here.
    pub(crate) fn placed(&self, id: AllocId) -> Option<Placed> {
        if let Some(server) = &self.server {
            let snapshot = server.snapshot();
            let alloc = snapshot.alloc(id)?;
            let (job, group, resources) = (Arc::clone(&alloc.job), alloc.task_group().name.clone(), Arc::clone(&alloc.resources));
            return Some(Placed { job, group, node: alloc.node_id, resources });
        }
        let alloc = self.client.as_ref()?.alloc(id)?;
        let (job, resources) = (Arc::clone(&alloc.job), Arc::clone(&alloc.resources));
        Some(Placed { job, group: alloc.group.clone(), node: alloc.node_id, resources })
    }

    /// The server role.
    ///
    /// # Errors
    /// When the agent has none.
    pub fn server(&self) -> Result<&Server, ApiError> {
        self.server.as_ref().ok_or_else(|| ApiError::by_text("No cluster leader"))
    }

    /// The client role.
    ///
    /// # Errors
    /// 404 when the agent has none: there is no way to the node from here.
    pub fn client(&self) -> Result<&ClientHandle, ApiError> {
        self.client.as_ref().ok_or_else(|| ApiError::not_found("No path to node"))
    }

    /// Where other agents reach this one.
    pub fn rpc_address(&self) -> String {
        if self.facts.address.contains(':') {
            format!("[{}]:{}", self.facts.address, self.facts.rpc_port)
        } else {
            format!("{}:{}", self.facts.address, self.facts.rpc_port)
        }
    }

    /// The server as a member of the cluster.
    pub fn member(&self) -> api::AgentMember {
        let facts = &self.facts;
        let tags = [
            ("role", "nomad".to_owned()),
            ("region", facts.region.clone()),
            ("dc", facts.datacenter.clone()),
            ("build", facts.version.clone()),
            ("revision", facts.revision.clone()),
            ("id", facts.server_id.clone()),
            ("rpc_addr", facts.address.clone()),
            ("port", facts.rpc_port.to_string()),
            ("raft_vsn", "3".to_owned()),
            ("vsn", "1".to_owned()),
            ("expect", facts.bootstrap_expect.to_string()),
            ("bootstrap", "1".to_owned()),
        ];
        let tags: BTreeMap<String, String> = tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        api::AgentMember {
            name: format!("{}.{}", facts.name, facts.region),
            addr: facts.address.clone(),
            port: u64::from(facts.serf_port),
            tags: Some(tags),
            status: "alive".to_owned(),
            protocol_min: 1,
            protocol_max: 5,
            protocol_cur: 2,
            delegate_min: 2,
            delegate_max: 5,
            delegate_cur: 4,
        }
    }
}

impl Source for Agent {
    type Snapshot = Snapshot;

    fn snapshot(&self) -> Arc<Snapshot> {
        self.server.as_ref().map(Server::snapshot).unwrap_or_default()
    }

    fn index(snapshot: &Snapshot) -> u64 {
        snapshot.index()
    }

    async fn changed(&self, seen: u64, concern: &Concern) {
        match &self.server {
            Some(server) => server.changed_in(seen, concern).await,
            None => std::future::pending().await,
        }
    }
}
