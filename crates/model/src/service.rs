//! Services of groups and tasks, their checks, and registrations.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::{AllocId, NodeId};
use minicbor::{Decode, Encode};

use crate::change::Effect;
use crate::mirror::Carried;
use crate::task::WorkloadIdentity;

text_enum! {
    /// Where a service is registered.
    ServiceProvider { 0 Consul = "consul", 1 Nomad = "nomad", }
}
text_enum! {
    /// What a failing check means for an update.
    OnUpdate { 0 RequireHealthy = "require_healthy", 1 IgnoreWarnings = "ignore_warnings", 2 Ignore = "ignore", }
}

mirror! {
    /// Restarts tasks whose check keeps failing.
    CheckRestart: CheckRestart {
        /// Failures in a row before the restart; 0 for never.
        0 number limit: u32,
        1 nanos_absent grace: Duration,
        2 same ignore_warnings: bool,
    }
}

mirror! {
    /// A check of a service.
    ServiceCheck: ServiceCheck {
        0 same name: String,
        1 same r#type: String,
        2 same command: String,
        3 list args: Vec<String>,
        4 same path: String,
        5 same protocol: String,
        6 same port_label: String,
        7 same expose: bool,
        8 same address_mode: String,
        9 same advertise: String,
        10 nanos interval: Duration,
        11 nanos timeout: Duration,
        12 same initial_status: String,
        13 same notes: String,
        14 same tls_server_name: String,
        15 same tls_skip_verify: bool,
        16 carried header: Option<Carried<BTreeMap<String, Option<Vec<String>>>>>,
        17 same method: String,
        18 domain_maybe check_restart: Option<CheckRestart>,
        19 same grpc_service: String,
        20 same grpc_use_tls: bool,
        21 same task_name: String,
        22 same success_before_passing: i64,
        23 same failures_before_critical: i64,
        24 same failures_before_warning: i64,
        25 same body: String,
        26 text on_update: OnUpdate,
    }
}

mirror! {
    /// A service of a group or task.
    Service: Service {
        0 same name: String,
        1 list tags: Vec<String>,
        2 list canary_tags: Vec<String>,
        3 same enable_tag_override: bool,
        4 same port_label: String,
        5 same address_mode: String,
        6 same address: String,
        7 domains checks: Vec<ServiceCheck>,
        8 domain_maybe check_restart: Option<CheckRestart>,
        9 carried connect: Option<Carried<drover_api::ConsulConnect>>,
        10 map meta: BTreeMap<String, String>,
        11 map canary_meta: BTreeMap<String, String>,
        12 map tagged_addresses: BTreeMap<String, String>,
        13 same task_name: String,
        14 text on_update: OnUpdate,
        15 domain_maybe identity: Option<WorkloadIdentity>,
        16 carried weights: Option<Carried<drover_api::ServiceWeights>>,
        17 text provider: ServiceProvider,
        18 same cluster: String,
        19 same kind: String,
        20 same namespace: String,
    }
}

/// What other services mean: they change in place, but for those that bring a proxy along.
pub(crate) fn effect(old: &[Service], new: &[Service]) -> Effect {
    let proxies = |services: &[Service]| -> Vec<_> {
        let with_proxy = services.iter().filter(|service| service.connect.is_some());
        with_proxy.map(|service| (service.name.clone(), service.connect.clone(), service.port_label.clone())).collect()
    };
    if proxies(old) == proxies(new) { crate::change::when(&old, &new, Effect::InPlace) } else { Effect::Replace }
}

/// A running instance of a service.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct ServiceRegistration {
    /// `_nomad-task-<alloc>-<group or task>-<service>-<port label>`.
    #[n(0)]
    pub id: String,
    /// The service's name.
    #[n(1)]
    pub service_name: String,
    /// The job's namespace.
    #[n(2)]
    pub namespace: String,
    /// The node that registered it.
    #[n(3)]
    pub node_id: NodeId,
    /// The node's datacenter.
    #[n(4)]
    pub datacenter: String,
    /// The job's id.
    #[n(5)]
    pub job_id: String,
    /// The allocation it belongs to.
    #[n(6)]
    pub alloc_id: AllocId,
    /// Tags, or canary tags while the allocation is a canary.
    #[n(7)]
    pub tags: Vec<String>,
    /// Where clients connect to.
    #[n(8)]
    pub address: String,
    /// Where clients connect to; 0 without a port.
    #[n(9)]
    pub port: u16,
    /// When it was first registered.
    #[n(10)]
    #[cbor(default)]
    pub create_index: u64,
    /// When it last changed.
    #[n(11)]
    #[cbor(default)]
    pub modify_index: u64,
}

/// Whether a service may have this name: 1 to 63 letters, digits and inner hyphens.
pub fn service_name_is_valid(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}
