//! Consul in the job specification: meshes, gateways, sidecars.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::{LogConfig, Resources, VolumeMount, WorkloadIdentity};

/// The JSON object `ConsulConnect`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulConnect {
    pub native: bool,
    pub gateway: Option<ConsulGateway>,
    pub sidecar_service: Option<ConsulSidecarService>,
    pub sidecar_task: Option<SidecarTask>,
}

/// The JSON object `ConsulGateway`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulGateway {
    pub proxy: Option<ConsulGatewayProxy>,
    pub ingress: Option<ConsulIngressConfigEntry>,
    pub terminating: Option<ConsulTerminatingConfigEntry>,
    pub mesh: Option<ConsulMeshConfigEntry>,
}

/// The JSON object `ConsulGatewayProxy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulGatewayProxy {
    /// Nanoseconds; default: 5000000000 (5s).
    pub connect_timeout: Option<i64>,
    pub envoy_gateway_bind_tagged_addresses: bool,
    pub envoy_gateway_bind_addresses: Option<BTreeMap<String, Option<ConsulGatewayBindAddress>>>,
    pub envoy_gateway_no_default_bind: bool,
    #[wire("EnvoyDNSDiscoveryType")]
    pub envoy_dns_discovery_type: String,
    pub config: Option<BTreeMap<String, Option<Value>>>,
}

/// The JSON object `ConsulGatewayBindAddress`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulGatewayBindAddress {
    /// HCL label only, map key carries it on the wire.
    #[wire(omit_empty)]
    pub name: String,
    pub address: String,
    pub port: i64,
}

/// The JSON object `ConsulIngressConfigEntry`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulIngressConfigEntry {
    #[wire("TLS")]
    pub tls: Option<ConsulGatewayTLSConfig>,
    pub listeners: Option<Vec<ConsulIngressListener>>,
}

/// The JSON object `ConsulGatewayTLSConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulGatewayTLSConfig {
    pub enabled: bool,
    #[wire("TLSMinVersion")]
    pub tls_min_version: String,
    #[wire("TLSMaxVersion")]
    pub tls_max_version: String,
    pub cipher_suites: Option<Vec<String>>,
    #[wire("SDS")]
    pub sds: Option<ConsulGatewayTLSSDSConfig>,
}

/// The JSON object `ConsulGatewayTLSSDSConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulGatewayTLSSDSConfig {
    pub cluster_name: String,
    pub cert_resource: String,
}

/// The JSON object `ConsulIngressListener`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulIngressListener {
    pub port: i64,
    /// Default: "tcp".
    pub protocol: String,
    pub services: Option<Vec<ConsulIngressService>>,
}

/// The JSON object `ConsulIngressService`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct ConsulIngressService {
    pub name: String,
    pub hosts: Option<Vec<String>>,
    #[wire("TLS")]
    pub tls: Option<ConsulGatewayTLSConfig>,
    pub request_headers: Option<ConsulHTTPHeaderModifiers>,
    pub response_headers: Option<ConsulHTTPHeaderModifiers>,
    pub max_connections: Option<u64>,
    pub max_pending_requests: Option<u64>,
    pub max_concurrent_requests: Option<u64>,
}

/// The JSON object `ConsulHTTPHeaderModifiers`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulHTTPHeaderModifiers {
    #[plan(flat)]
    pub add: Option<BTreeMap<String, String>>,
    #[plan(flat)]
    pub set: Option<BTreeMap<String, String>>,
    pub remove: Option<Vec<String>>,
}

/// The JSON object `ConsulTerminatingConfigEntry`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulTerminatingConfigEntry {
    pub services: Option<Vec<ConsulLinkedService>>,
}

/// The JSON object `ConsulLinkedService`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct ConsulLinkedService {
    pub name: String,
    #[wire("CAFile")]
    pub ca_file: String,
    pub cert_file: String,
    pub key_file: String,
    #[wire("SNI")]
    pub sni: String,
}

/// The JSON object `ConsulMeshConfigEntry`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulMeshConfigEntry {}

/// The JSON object `ConsulSidecarService`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct ConsulSidecarService {
    pub tags: Option<Vec<String>>,
    pub port: String,
    #[plan(label = "ConsulProxy")]
    pub proxy: Option<ConsulProxy>,
    #[wire("DisableDefaultTCPCheck")]
    pub disable_default_tcp_check: bool,
    pub meta: Option<BTreeMap<String, String>>,
}

/// The JSON object `ConsulProxy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct ConsulProxy {
    pub local_service_address: String,
    pub local_service_port: i64,
    pub expose: Option<ConsulExposeConfig>,
    /// Deprecated input alias; wins over Expose when set.
    #[wire(omit_empty)]
    pub expose_config: Option<ConsulExposeConfig>,
    #[plan(label = "ConsulUpstreams")]
    pub upstreams: Option<Vec<ConsulUpstream>>,
    pub transparent_proxy: Option<ConsulTransparentProxy>,
    pub config: Option<BTreeMap<String, Option<Value>>>,
}

/// The JSON object `ConsulExposeConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulExposeConfig {
    pub paths: Option<Vec<ConsulExposePath>>,
    /// Deprecated input spelling, ignored when Paths is set.
    #[wire(omit_empty)]
    pub path: Option<Vec<ConsulExposePath>>,
}

/// The JSON object `ConsulExposePath`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulExposePath {
    pub path: String,
    pub protocol: String,
    pub local_path_port: i64,
    pub listener_port: String,
}

/// The JSON object `ConsulUpstream`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct ConsulUpstream {
    pub destination_name: String,
    pub destination_namespace: String,
    pub destination_peer: String,
    pub destination_partition: String,
    pub destination_type: String,
    pub local_bind_port: i64,
    pub datacenter: String,
    pub local_bind_address: String,
    pub local_bind_socket_path: String,
    pub local_bind_socket_mode: String,
    #[plan(untold)]
    pub mesh_gateway: Option<ConsulMeshGateway>,
    pub config: Option<BTreeMap<String, Option<Value>>>,
}

/// The JSON object `ConsulMeshGateway`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulMeshGateway {
    pub mode: String,
}

/// The JSON object `ConsulTransparentProxy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ConsulTransparentProxy {
    #[wire("UID")]
    pub uid: String,
    pub outbound_port: u64,
    pub exclude_inbound_ports: Option<Vec<String>>,
    pub exclude_outbound_ports: Option<Vec<u64>>,
    #[wire("ExcludeOutboundCIDRs")]
    pub exclude_outbound_cid_rs: Option<Vec<String>>,
    #[wire("ExcludeUIDs")]
    pub exclude_u_ids: Option<Vec<String>>,
    #[wire("NoDNS")]
    pub no_dns: bool,
}

/// The JSON object `SidecarTask`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SidecarTask {
    pub name: String,
    pub driver: String,
    pub user: String,
    pub config: Option<BTreeMap<String, Option<Value>>>,
    pub env: Option<BTreeMap<String, String>>,
    /// Default: Resources defaults.
    #[plan(position = 1)]
    pub resources: Option<Resources>,
    pub meta: Option<BTreeMap<String, String>>,
    /// Nanoseconds; default: 5000000000 (5s).
    #[plan(untold)]
    pub kill_timeout: Option<i64>,
    /// Default: LogConfig defaults.
    pub log_config: Option<LogConfig>,
    /// Nanoseconds; default: 0.
    #[plan(untold)]
    pub shutdown_delay: Option<i64>,
    pub kill_signal: String,
    pub volume_mounts: Option<Vec<VolumeMount>>,
    #[plan(label = "Identity")]
    pub identities: Option<Vec<WorkloadIdentity>>,
}

/// The JSON object `Consul`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct Consul {
    /// Default: job ConsulNamespace when empty (group level).
    pub namespace: String,
    /// Default: "default".
    pub cluster: String,
    pub partition: String,
}
