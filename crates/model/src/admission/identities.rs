//! Identities that tasks and services have without saying so, because the agent speaks to Vault or Consul for them.
//!
//! # Compatibility
//!
//! `vault.default_identity`, `consul.service_identity` and `consul.task_identity` of the agent's configuration. An identity
//! that the job gives by the same name is kept as it is.

use drover_api as api;

/// What a cluster of Vault or Consul expects of identities that the job does not write down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultIdentity {
    /// For whom the token is.
    pub audience: Vec<String>,
    /// Whether the task sees it in its environment.
    pub env: bool,
    /// Whether the task sees it as a file.
    pub file: bool,
    /// How long a token lasts, in nanoseconds; 0 for as long as the allocation.
    pub ttl: i64,
}

/// The Vault and Consul that a region's agents are configured for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Whether jobs may use Vault.
    pub vault: bool,
    /// Given to tasks with a `vault` block.
    pub vault_identity: Option<DefaultIdentity>,
    /// Given to services that Consul knows.
    pub consul_service_identity: Option<DefaultIdentity>,
    /// Given to tasks that use Consul.
    pub consul_task_identity: Option<DefaultIdentity>,
}

impl DefaultIdentity {
    fn named(&self, name: String) -> api::WorkloadIdentity {
        api::WorkloadIdentity {
            name,
            audience: Some(self.audience.clone()).filter(|audience| !audience.is_empty()),
            env: self.env,
            file: self.file,
            ttl: self.ttl,
            ..api::WorkloadIdentity::default()
        }
    }
}

/// The name that Consul knows a service's identity by.
pub(super) fn service_identity_name(service: &api::Service) -> String {
    let task = if service.task_name.is_empty() { String::new() } else { format!("{}-", service.task_name) };
    format!("consul-service_{task}{}-{}", service.name, service.port_label)
}

/// Gives tasks and services of a canonical group the identities that their peers expect.
pub(super) fn imply_identities(group: &mut api::TaskGroup, peers: &Peers) {
    let services = group.services.iter_mut().flatten();
    let services = services.chain(group.tasks.iter_mut().flatten().flat_map(|task| task.services.iter_mut().flatten()));
    for service in services.filter(|service| service.provider == "consul") {
        if let (None, Some(default)) = (&service.identity, &peers.consul_service_identity) {
            service.identity = Some(default.named(String::new()));
        }
        let name = service_identity_name(service);
        if let Some(identity) = &mut service.identity {
            identity.name = name;
            identity.service_name.clone_from(&service.name);
        }
    }
    for task in group.tasks.iter_mut().flatten() {
        let vault = task.vault.as_ref().is_some_and(|vault| one_cluster(&vault.cluster));
        let consul = task.consul.as_ref().or(group.consul.as_ref()).is_some_and(|consul| one_cluster(&consul.cluster));
        for (default, peer, wanted) in
            [(&peers.vault_identity, "vault_default", vault), (&peers.consul_task_identity, "consul_default", consul)]
        {
            if let (Some(default), true) = (default, wanted) {
                give(task, default, peer);
            }
        }
    }
}

/// There is one cluster of each peer.
fn one_cluster(name: &str) -> bool {
    matches!(name, "" | "default")
}

fn give(task: &mut api::Task, default: &DefaultIdentity, name: &str) {
    if !task.identities.iter().flatten().any(|identity| identity.name == name) {
        task.identities.get_or_insert_default().push(default.named(name.to_owned()));
    }
}
