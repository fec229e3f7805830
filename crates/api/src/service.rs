//! Services of a job, and their registrations.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::{ConsulConnect, WorkloadIdentity};

/// The JSON object `Service`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Name")]
pub struct Service {
    /// Default: "(job)-(group)-(task)" or "(job)-(group)".
    pub name: String,
    pub tags: Option<Vec<String>>,
    pub canary_tags: Option<Vec<String>>,
    pub enable_tag_override: bool,
    pub port_label: String,
    /// Auto | host | driver | alloc | alloc_ipv6; default: "auto".
    pub address_mode: String,
    pub address: String,
    pub checks: Option<Vec<ServiceCheck>>,
    /// Input only; merged into each check.
    #[wire(omit_empty)]
    pub check_restart: Option<CheckRestart>,
    #[plan(label = "ConsulConnect")]
    pub connect: Option<ConsulConnect>,
    /// Default: null when empty.
    pub meta: Option<BTreeMap<String, String>>,
    /// Default: null when empty.
    pub canary_meta: Option<BTreeMap<String, String>>,
    /// Default: null when empty.
    pub tagged_addresses: Option<BTreeMap<String, String>>,
    pub task_name: String,
    /// Require_healthy | ignore_warnings | ignore; default: "require_healthy".
    pub on_update: String,
    pub identity: Option<WorkloadIdentity>,
    pub weights: Option<ServiceWeights>,
    /// Consul | nomad; default: "consul".
    pub provider: String,
    /// Default: "default".
    pub cluster: String,
    pub kind: String,
    /// Server emits/accepts it; missing from the Go SDK type; set by the server.
    pub namespace: String,
}

/// The JSON object `ServiceCheck`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Name")]
pub struct ServiceCheck {
    /// Default: 'service: "(name)" check' (server side).
    pub name: String,
    /// Http | tcp | script | grpc.
    pub r#type: String,
    pub command: String,
    pub args: Option<Vec<String>>,
    pub path: String,
    pub protocol: String,
    pub port_label: String,
    pub expose: bool,
    pub address_mode: String,
    /// SDK only; not carried by the server.
    #[wire(omit_empty)]
    pub advertise: String,
    /// Nanoseconds.
    pub interval: i64,
    /// Nanoseconds.
    pub timeout: i64,
    pub initial_status: String,
    pub notes: String,
    #[wire("TLSServerName")]
    pub tls_server_name: String,
    #[wire("TLSSkipVerify")]
    pub tls_skip_verify: bool,
    pub header: Option<BTreeMap<String, Option<Vec<String>>>>,
    pub method: String,
    pub check_restart: Option<CheckRestart>,
    #[wire("GRPCService")]
    pub grpc_service: String,
    #[wire("GRPCUseTLS")]
    pub grpc_use_tls: bool,
    pub task_name: String,
    /// Default: 0 (negatives clamp to 0).
    pub success_before_passing: i64,
    /// Default: 0 (negatives clamp to 0).
    pub failures_before_critical: i64,
    /// Default: 0 (negatives clamp to 0).
    pub failures_before_warning: i64,
    pub body: String,
    /// Default: Service.OnUpdate.
    pub on_update: String,
}

/// The JSON object `CheckRestart`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CheckRestart {
    pub limit: i64,
    /// Nanoseconds; default: 1000000000 (1s).
    pub grace: Option<i64>,
    pub ignore_warnings: bool,
}

/// The JSON object `ServiceWeights`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceWeights {
    /// Default: 1.
    pub passing: i64,
    /// Default: 1.
    pub warning: i64,
}

/// The JSON object `ServiceRegistration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistration {
    /// _nomad-task-... unique id.
    pub id: String,
    pub service_name: String,
    pub namespace: String,
    pub node_id: String,
    pub datacenter: String,
    pub job_id: String,
    pub alloc_id: String,
    pub tags: Option<Vec<String>>,
    pub address: String,
    /// Host port.
    pub port: i64,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `ServiceRegistrationListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistrationListStub {
    pub namespace: String,
    pub services: Option<Vec<ServiceRegistrationStub>>,
}

/// The JSON object `ServiceRegistrationStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistrationStub {
    pub service_name: String,
    pub tags: Option<Vec<String>>,
}
