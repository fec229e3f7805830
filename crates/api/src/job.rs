//! The job specification and everything about jobs as clients see it.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::wire::Base64;

/// The JSON object `Job`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Job {
    /// Default: "global" (replaced by the agent region on registration).
    pub region: Option<String>,
    /// Default: "default".
    pub namespace: Option<String>,
    /// Default: "".
    pub id: Option<String>,
    /// Default: =ID.
    pub name: Option<String>,
    /// Service | batch | system | sysbatch (internal _core); default: "service".
    pub r#type: Option<String>,
    /// Default: 50.
    pub priority: Option<i64>,
    /// Default: false.
    pub all_at_once: Option<bool>,
    /// Default: ("*") (server side).
    pub datacenters: Option<Vec<String>>,
    /// Default: "" (server: namespace default pool, normally "default").
    pub node_pool: Option<String>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
    pub task_groups: Option<Vec<TaskGroup>>,
    /// Default: UpdateStrategy defaults for service and system; absent otherwise.
    pub update: Option<UpdateStrategy>,
    /// ENT.
    pub multiregion: Option<Multiregion>,
    pub spreads: Option<Vec<Spread>>,
    pub periodic: Option<PeriodicConfig>,
    pub parameterized_job: Option<ParameterizedJobConfig>,
    /// Input only; folded into every task group.
    #[wire(omit_empty)]
    pub reschedule: Option<ReschedulePolicy>,
    /// Input only; folded into every task group.
    #[wire(omit_empty)]
    pub migrate: Option<MigrateStrategy>,
    /// Pack.name key marks a nomad-pack job.
    pub meta: Option<BTreeMap<String, String>>,
    #[wire("UI")]
    pub ui: Option<JobUIConfig>,
    /// True after deregistration without purge; default: false.
    pub stop: Option<bool>,
    /// Set for periodic and dispatched children; default: "".
    pub parent_id: Option<String>,
    /// True for dispatched children.
    pub dispatched: bool,
    /// Set on dispatched children.
    pub dispatch_idempotency_token: Option<String>,
    /// Base64; snappy-compressed at rest but sent decompressed on single reads.
    pub payload: Option<Base64>,
    /// ENT; default: "".
    pub consul_namespace: Option<String>,
    /// ENT; default: "".
    pub vault_namespace: Option<String>,
    /// Accessor of the submitter (multiregion use); default: "".
    pub nomad_token_id: Option<String>,
    /// Pending | running | dead; default: "".
    pub status: Option<String>,
    /// Default: "".
    pub status_description: Option<String>,
    /// Default: false.
    pub stable: Option<bool>,
    /// Client value ignored on registration; default: 0.
    pub version: Option<u64>,
    /// Unix nanoseconds.
    pub submit_time: Option<i64>,
    /// Default: 0.
    pub create_index: Option<u64>,
    /// Default: 0.
    pub modify_index: Option<u64>,
    /// Default: 0.
    pub job_modify_index: Option<u64>,
    pub version_tag: Option<JobVersionTag>,
}

/// The JSON object `Constraint`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct Constraint {
    pub l_target: String,
    pub r_target: String,
    /// = | == | is | != | not | ) | )= | ( | (= | distinct_hosts | distinct_property | regexp | version | semver | set_contains | set_contains_all | set_contains_any | is_set | is_not_set.
    pub operand: String,
}

/// The JSON object `Affinity`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Affinity {
    pub l_target: String,
    pub r_target: String,
    /// As Constraint without distinct_*.
    pub operand: String,
    /// -100..100, non-zero; default: 50.
    pub weight: Option<i64>,
}

/// The JSON object `TaskGroup`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroup {
    /// Default: "".
    pub name: Option<String>,
    /// Default: Scaling.Min, else 1.
    pub count: Option<i64>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
    pub tasks: Option<Vec<Task>>,
    pub spreads: Option<Vec<Spread>>,
    pub volumes: Option<BTreeMap<String, Option<VolumeRequest>>>,
    /// Default: by job type.
    pub restart_policy: Option<RestartPolicy>,
    pub disconnect: Option<DisconnectStrategy>,
    /// Default: by job type; none for system and sysbatch.
    pub reschedule_policy: Option<ReschedulePolicy>,
    /// Default: EphemeralDisk defaults.
    pub ephemeral_disk: Option<EphemeralDisk>,
    /// Default: merged from Job.Update.
    pub update: Option<UpdateStrategy>,
    /// Default: MigrateStrategy defaults for service, else absent.
    pub migrate: Option<MigrateStrategy>,
    pub networks: Option<Vec<NetworkResource>>,
    pub meta: Option<BTreeMap<String, String>>,
    #[plan(alone)]
    pub services: Option<Vec<Service>>,
    /// Nanoseconds.
    pub shutdown_delay: Option<i64>,
    /// Nanoseconds.
    pub max_run_duration: Option<i64>,
    /// Nanoseconds.
    pub stop_after_client_disconnect: Option<i64>,
    /// Nanoseconds.
    pub max_client_disconnect: Option<i64>,
    #[plan(without = ["Type"])]
    pub scaling: Option<ScalingPolicy>,
    pub consul: Option<Consul>,
    pub prevent_reschedule_on_lost: Option<bool>,
}

/// The JSON object `Task`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Task {
    pub name: String,
    pub driver: String,
    pub user: String,
    pub lifecycle: Option<TaskLifecycle>,
    pub config: Option<BTreeMap<String, Option<Value>>>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
    pub env: Option<BTreeMap<String, String>>,
    #[plan(alone)]
    pub services: Option<Vec<Service>>,
    /// Default: Resources defaults.
    pub resources: Option<Resources>,
    /// Default: merged over the group policy.
    pub restart_policy: Option<RestartPolicy>,
    pub meta: Option<BTreeMap<String, String>>,
    /// Nanoseconds; default: 5000000000 (5s).
    pub kill_timeout: Option<i64>,
    /// Default: LogConfig defaults.
    pub log_config: Option<LogConfig>,
    pub artifacts: Option<Vec<TaskArtifact>>,
    pub vault: Option<Vault>,
    pub consul: Option<Consul>,
    pub templates: Option<Vec<Template>>,
    pub dispatch_payload: Option<DispatchPayloadConfig>,
    pub volume_mounts: Option<Vec<VolumeMount>>,
    #[wire("CSIPluginConfig")]
    pub csi_plugin_config: Option<TaskCSIPluginConfig>,
    pub leader: bool,
    /// Nanoseconds.
    pub shutdown_delay: i64,
    pub kill_signal: String,
    pub kind: String,
    #[plan(label = "ScalingPolicy")]
    pub scaling_policies: Option<Vec<ScalingPolicy>>,
    pub secrets: Option<Vec<Secret>>,
    /// Default: {Name:"default",Audience:("nomadproject.io")} (server side).
    pub identity: Option<WorkloadIdentity>,
    #[plan(label = "Identity")]
    pub identities: Option<Vec<WorkloadIdentity>>,
    pub actions: Option<Vec<Action>>,
    pub schedule: Option<TaskSchedule>,
}

/// The JSON object `TaskLifecycle`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskLifecycle {
    /// Prestart | poststart | poststop.
    pub hook: String,
    pub sidecar: bool,
}

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

/// The JSON object `Resources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Resources {
    /// Default: 100, or 0 when Cores is set.
    #[wire("CPU")]
    pub cpu: Option<i64>,
    /// Default: 0.
    pub cores: Option<i64>,
    /// Default: 300.
    #[wire("MemoryMB")]
    pub memory_mb: Option<i64>,
    /// -1 means no limit where supported.
    #[wire("MemoryMaxMB")]
    pub memory_max_mb: Option<i64>,
    #[wire("DiskMB")]
    pub disk_mb: Option<i64>,
    pub networks: Option<Vec<NetworkResource>>,
    pub devices: Option<Vec<RequestedDevice>>,
    #[wire("NUMA")]
    pub numa: Option<NUMAResource>,
    #[wire("SecretsMB")]
    pub secrets_mb: Option<i64>,
    #[wire("IOPS")]
    pub iops: Option<i64>,
}

/// The JSON object `NetworkResource`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
#[plan(with_empty)]
pub struct NetworkResource {
    /// Host | bridge | none | cni/(name).
    #[plan(default = "")]
    pub mode: String,
    pub device: String,
    #[wire("CIDR")]
    pub cidr: String,
    #[wire("IP")]
    pub ip: String,
    #[wire("DNS")]
    pub dns: Option<DNSConfig>,
    #[plan(label = "Static Port", position = 1)]
    pub reserved_ports: Option<Vec<Port>>,
    #[plan(label = "Dynamic Port", position = 2, without = ["Value", "IgnoreCollision"])]
    pub dynamic_ports: Option<Vec<Port>>,
    #[plan(default = "")]
    pub hostname: String,
    /// Deprecated.
    pub m_bits: Option<i64>,
    #[wire("CNI")]
    pub cni: Option<CNIConfig>,
}

/// The JSON object `DNSConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(lists)]
pub struct DNSConfig {
    pub servers: Option<Vec<String>>,
    pub searches: Option<Vec<String>>,
    pub options: Option<Vec<String>>,
}

/// The JSON object `Port`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct Port {
    pub label: String,
    #[plan(default = "0")]
    pub value: i64,
    #[plan(default = "0")]
    pub to: i64,
    /// Default: "default" (server side).
    pub host_network: String,
    #[plan(default = "false")]
    pub ignore_collision: bool,
}

/// The JSON object `CNIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CNIConfig {
    #[plan(flat)]
    pub args: Option<BTreeMap<String, String>>,
}

/// The JSON object `RequestedDevice`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct RequestedDevice {
    pub name: String,
    /// Default: 1.
    pub count: Option<u64>,
    pub constraints: Option<Vec<Constraint>>,
    #[plan(label = "Affinity")]
    pub affinities: Option<Vec<Affinity>>,
}

/// The JSON object `NUMAResource`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NUMAResource {
    /// None | prefer | require; default: "none".
    pub affinity: String,
    /// Default: null when empty.
    pub devices: Option<Vec<String>>,
}

/// The JSON object `LogConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct LogConfig {
    /// Default: 10.
    pub max_files: Option<i64>,
    /// Default: 10.
    #[wire("MaxFileSizeMB")]
    pub max_file_size_mb: Option<i64>,
    /// Deprecated input (inverse of Disabled).
    #[wire(omit_empty)]
    pub enabled: Option<bool>,
    /// Default: false.
    pub disabled: Option<bool>,
}

/// The JSON object `VolumeMount`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Volume")]
pub struct VolumeMount {
    pub volume: Option<String>,
    pub destination: Option<String>,
    /// Default: false.
    pub read_only: Option<bool>,
    /// Private | host-to-task | bidirectional; default: "private".
    pub propagation_mode: Option<String>,
    /// Default: "".
    #[wire("SELinuxLabel")]
    pub se_linux_label: Option<String>,
}

/// The JSON object `WorkloadIdentity`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Name")]
pub struct WorkloadIdentity {
    /// "default" is the built-in identity; default: "default" (server side).
    pub name: String,
    #[plan(unchanged)]
    pub audience: Option<Vec<String>>,
    /// Noop | restart | signal.
    pub change_mode: String,
    pub change_signal: String,
    pub env: bool,
    pub file: bool,
    pub filepath: String,
    pub service_name: String,
    /// Nanoseconds.
    #[wire("TTL")]
    pub ttl: i64,
    pub extra_claims: Option<Vec<String>>,
}

/// The JSON object `ServiceWeights`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceWeights {
    /// Default: 1.
    pub passing: i64,
    /// Default: 1.
    pub warning: i64,
}

/// The JSON object `RestartPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RestartPolicy {
    /// Nanoseconds; default: service/system 1800000000000 (30m), batch/sysbatch 86400000000000 (24h).
    pub interval: Option<i64>,
    /// Default: service/system 2, batch/sysbatch 3.
    pub attempts: Option<i64>,
    /// Nanoseconds; default: 15000000000 (15s).
    pub delay: Option<i64>,
    /// Fail | delay; default: "fail".
    pub mode: Option<String>,
    /// Default: false.
    pub render_templates: Option<bool>,
}

/// The JSON object `TaskArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskArtifact {
    /// Default: "".
    pub getter_source: Option<String>,
    /// Default: null when empty.
    pub getter_options: Option<BTreeMap<String, String>>,
    /// Default: null when empty.
    pub getter_headers: Option<BTreeMap<String, String>>,
    /// Any | file | dir; default: "any".
    pub getter_mode: Option<String>,
    /// Default: false.
    pub getter_insecure: Option<bool>,
    /// Default: "local/", or local/(basename) when GetterMode is file.
    pub relative_dest: Option<String>,
    pub chown: bool,
}

/// The JSON object `Vault`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Vault {
    /// Deprecated input, dropped by the server.
    #[wire(omit_empty)]
    pub policies: Option<Vec<String>>,
    pub role: String,
    /// Default: "".
    pub namespace: Option<String>,
    /// Default: "default".
    pub cluster: String,
    /// Default: true.
    pub env: Option<bool>,
    /// Default: false.
    pub disable_file: Option<bool>,
    /// Noop | restart | signal; default: "restart".
    pub change_mode: Option<String>,
    /// Default: "SIGHUP".
    pub change_signal: Option<String>,
    /// Default: false.
    pub allow_token_expiration: Option<bool>,
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

/// The JSON object `Template`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "DestPath")]
pub struct Template {
    /// Default: "".
    pub source_path: Option<String>,
    /// Default: "".
    pub dest_path: Option<String>,
    /// Default: "".
    pub embedded_tmpl: Option<String>,
    /// Noop | restart | signal | script; default: "restart".
    pub change_mode: Option<String>,
    pub change_script: Option<ChangeScript>,
    /// Default: "SIGHUP" when ChangeMode is signal, else ""; upper-cased.
    pub change_signal: Option<String>,
    /// Default: false.
    pub once: Option<bool>,
    /// Nanoseconds; default: 5000000000 (5s).
    pub splay: Option<i64>,
    /// Default: "0644".
    pub perms: Option<String>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    /// Default: "{{".
    pub left_delim: Option<String>,
    /// Default: "}}".
    pub right_delim: Option<String>,
    /// Default: false.
    pub envvars: Option<bool>,
    /// Nanoseconds; deprecated, ignored; default: 0.
    pub vault_grace: Option<i64>,
    #[plan(label = "Template")]
    pub wait: Option<WaitConfig>,
    /// Default: false.
    pub err_missing_key: Option<bool>,
}

/// The JSON object `ChangeScript`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ChangeScript {
    /// Default: "".
    pub command: Option<String>,
    /// Default: ().
    pub args: Option<Vec<String>>,
    /// Nanoseconds; default: 5000000000 (5s).
    pub timeout: Option<i64>,
    /// Default: false.
    pub fail_on_error: Option<bool>,
    /// Default: false.
    pub run_on_first_render: Option<bool>,
}

/// The JSON object `WaitConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct WaitConfig {
    /// Nanoseconds.
    pub min: Option<i64>,
    /// Nanoseconds.
    pub max: Option<i64>,
}

/// The JSON object `DispatchPayloadConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DispatchPayloadConfig {
    pub file: String,
}

/// The JSON object `TaskCSIPluginConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskCSIPluginConfig {
    pub id: String,
    /// Node | controller | monolith.
    pub r#type: String,
    /// Default: "/csi".
    pub mount_dir: String,
    /// Default: "/local/csi".
    pub stage_publish_base_dir: String,
    /// Nanoseconds; default: 30000000000 (30s).
    pub health_timeout: i64,
}

/// The JSON object `ScalingPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingPolicy {
    /// Default: group Count.
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// Opaque to the server.
    pub policy: Option<BTreeMap<String, Option<Value>>>,
    /// Default: true.
    pub enabled: Option<bool>,
    /// Horizontal | vertical_cpu | vertical_mem; default: "horizontal".
    pub r#type: String,
    #[plan(untold)]
    pub id: String,
    /// SDK only; use Target.Namespace.
    #[wire(omit_empty)]
    pub namespace: String,
    /// Map with Namespace, Job, Group, Task keys.
    #[plan(untold)]
    pub target: Option<BTreeMap<String, String>>,
    #[plan(untold)]
    pub create_index: u64,
    #[plan(untold)]
    pub modify_index: u64,
}

/// The JSON object `Secret`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty, known_by = "Name")]
pub struct Secret {
    pub name: String,
    pub provider: String,
    pub path: String,
    /// Default: null when empty.
    pub config: Option<BTreeMap<String, Option<Value>>>,
    /// Default: null when empty.
    pub env: Option<BTreeMap<String, String>>,
}

/// The JSON object `Action`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct Action {
    pub name: String,
    pub command: String,
    pub args: Option<Vec<String>>,
}

/// The JSON object `TaskSchedule`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskSchedule {
    pub cron: Option<TaskScheduleCron>,
}

/// The JSON object `TaskScheduleCron`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskScheduleCron {
    pub start: String,
    pub end: String,
    pub timezone: String,
}

/// The JSON object `Spread`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Spread {
    pub attribute: String,
    /// 1..100; default: 50.
    pub weight: Option<i64>,
    pub spread_target: Option<Vec<SpreadTarget>>,
}

/// The JSON object `SpreadTarget`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct SpreadTarget {
    pub value: String,
    pub percent: u64,
}

/// The JSON object `VolumeRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct VolumeRequest {
    pub name: String,
    /// Host | csi.
    pub r#type: String,
    pub source: String,
    pub read_only: bool,
    pub sticky: bool,
    /// CSI or host volume access mode.
    pub access_mode: String,
    pub attachment_mode: String,
    pub mount_options: Option<CSIMountOptions>,
    /// Append (index) to the source.
    pub per_alloc: bool,
}

/// The JSON object `CSIMountOptions`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIMountOptions {
    #[wire("FSType")]
    pub fs_type: String,
    /// ("(REDACTED)") on reads when set.
    pub mount_flags: Option<Vec<String>>,
}

/// The JSON object `DisconnectStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DisconnectStrategy {
    /// Nanoseconds; default: absent (0 in the SDK helper).
    pub lost_after: Option<i64>,
    /// Nanoseconds.
    #[plan(default = "nil")]
    pub stop_on_client_after: Option<i64>,
    /// Default: true.
    pub replace: Option<bool>,
    /// Best_score | keep_original | keep_replacement | longest_running; default: "best_score".
    pub reconcile: Option<String>,
}

/// The JSON object `ReschedulePolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ReschedulePolicy {
    /// Default: service 0, batch 1, other 0.
    pub attempts: Option<i64>,
    /// Nanoseconds; default: service 0, batch 86400000000000 (24h), other 0.
    pub interval: Option<i64>,
    /// Nanoseconds; default: service 30000000000 (30s), batch 5000000000 (5s), other 0.
    pub delay: Option<i64>,
    /// Constant | exponential | fibonacci; default: service "exponential", batch "constant", other "".
    pub delay_function: Option<String>,
    /// Nanoseconds; default: service 3600000000000 (1h), batch 0, other 0.
    pub max_delay: Option<i64>,
    /// Default: service true, else false.
    pub unlimited: Option<bool>,
}

/// The JSON object `EphemeralDisk`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EphemeralDisk {
    /// Default: false.
    pub sticky: Option<bool>,
    /// Default: false.
    pub migrate: Option<bool>,
    /// Default: 300.
    #[wire("SizeMB")]
    pub size_mb: Option<i64>,
}

/// The JSON object `UpdateStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct UpdateStrategy {
    /// Nanoseconds; default: 30000000000 (30s).
    #[plan(untold)]
    pub stagger: Option<i64>,
    /// Default: 1.
    pub max_parallel: Option<i64>,
    /// Checks | task_states | manual; default: "checks".
    pub health_check: Option<String>,
    /// Nanoseconds; default: 10000000000 (10s).
    pub min_healthy_time: Option<i64>,
    /// Nanoseconds; default: 300000000000 (5m).
    pub healthy_deadline: Option<i64>,
    /// Nanoseconds; default: 600000000000 (10m).
    pub progress_deadline: Option<i64>,
    /// Default: 0.
    pub canary: Option<i64>,
    /// Default: false.
    pub auto_revert: Option<bool>,
    /// Default: false.
    pub auto_promote: Option<bool>,
}

/// The JSON object `MigrateStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct MigrateStrategy {
    /// Default: 1.
    pub max_parallel: Option<i64>,
    /// Checks | task_states | manual; default: "checks".
    pub health_check: Option<String>,
    /// Nanoseconds; default: 10000000000 (10s).
    pub min_healthy_time: Option<i64>,
    /// Nanoseconds; default: 300000000000 (5m).
    pub healthy_deadline: Option<i64>,
}

/// The JSON object `Multiregion`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Multiregion {
    /// Default: {MaxParallel:0,OnFailure:""}.
    pub strategy: Option<MultiregionStrategy>,
    /// Default: ().
    pub regions: Option<Vec<MultiregionRegion>>,
}

/// The JSON object `MultiregionStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct MultiregionStrategy {
    /// Default: 0.
    pub max_parallel: Option<i64>,
    /// Default: "".
    pub on_failure: Option<String>,
}

/// The JSON object `MultiregionRegion`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Name")]
pub struct MultiregionRegion {
    pub name: String,
    /// Default: 1.
    pub count: Option<i64>,
    /// Default: ().
    pub datacenters: Option<Vec<String>>,
    pub node_pool: String,
    /// Default: {}.
    pub meta: Option<BTreeMap<String, String>>,
}

/// The JSON object `PeriodicConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(with_empty)]
pub struct PeriodicConfig {
    /// Default: true.
    pub enabled: Option<bool>,
    /// Single cron, deprecated in favour of Specs; default: "".
    pub spec: Option<String>,
    /// Default: ().
    pub specs: Option<Vec<String>>,
    /// Cron (test values internal); default: "cron".
    pub spec_type: Option<String>,
    /// Default: false.
    pub prohibit_overlap: Option<bool>,
    /// Default: "UTC".
    pub time_zone: Option<String>,
}

/// The JSON object `ParameterizedJobConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ParameterizedJobConfig {
    /// Optional | required | forbidden; default: "optional" (server side).
    pub payload: String,
    pub meta_required: Option<Vec<String>>,
    pub meta_optional: Option<Vec<String>>,
}

/// The JSON object `JobUIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobUIConfig {
    pub description: String,
    /// Default: null when empty.
    pub links: Option<Vec<JobUILink>>,
}

/// The JSON object `JobUILink`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[plan(known_by = "Label")]
pub struct JobUILink {
    pub label: String,
    /// SDK spelling; decoding is case-insensitive, the server emits Url.
    #[wire("Url")]
    pub url: String,
}

/// The JSON object `JobVersionTag`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobVersionTag {
    pub name: String,
    pub description: String,
    pub tagged_time: i64,
}

/// The JSON object `JobRegisterRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobRegisterRequest {
    /// Embedded WriteRequest: beats the query string; see conventions 7.
    pub region: String,
    /// Embedded WriteRequest: after the query string, before Job.Namespace.
    pub namespace: String,
    /// Embedded WriteRequest: body copy of the token; the header wins.
    pub secret_id: String,
    pub submission: Option<JobSubmission>,
    pub job: Option<Job>,
    /// Check JobModifyIndex before writing.
    #[wire(omit_empty)]
    pub enforce_index: bool,
    /// 0 with EnforceIndex means the job must not exist.
    #[wire(omit_empty)]
    pub job_modify_index: u64,
    /// ENT soft-mandatory sentinel override.
    #[wire(omit_empty)]
    pub policy_override: bool,
    /// Keep current group counts.
    #[wire(omit_empty)]
    pub preserve_counts: bool,
    /// Keep current task resources.
    #[wire(omit_empty)]
    pub preserve_resources: bool,
    /// 0 or 1..100.
    #[wire(omit_empty)]
    pub eval_priority: i64,
}

/// The JSON object `JobSubmission`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobSubmission {
    /// Raw job file text.
    pub source: String,
    /// Hcl2 | hcl1 | json.
    pub format: String,
    /// URL-escaped at rest, unescaped on read; default: null when empty.
    pub variable_flags: Option<BTreeMap<String, String>>,
    /// HCL variable file text.
    pub variables: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub namespace: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub job_id: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub version: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub job_modify_index: u64,
}

/// The JSON object `JobRegisterResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobRegisterResponse {
    /// "" for periodic and parameterized jobs.
    pub eval_id: String,
    pub eval_create_index: u64,
    pub job_modify_index: u64,
    /// Multi-line text, "" when none.
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `JobDeregisterResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDeregisterResponse {
    pub eval_id: String,
    pub eval_create_index: u64,
    pub job_modify_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
    /// Internal, clients ignore it.
    pub volume_eval_id: String,
    /// Internal, clients ignore it.
    pub volume_eval_index: u64,
}

/// The JSON object `JobPlanRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobPlanRequest {
    /// Embedded WriteRequest: beats the query string; see conventions 7.
    pub region: String,
    /// Embedded WriteRequest: after the query string, before Job.Namespace.
    pub namespace: String,
    /// Embedded WriteRequest: body copy of the token; the header wins.
    pub secret_id: String,
    pub job: Option<Job>,
    pub diff: bool,
    pub policy_override: bool,
}

/// The JSON object `JobPlanResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobPlanResponse {
    pub job_modify_index: u64,
    /// Evaluations the plan would create.
    pub created_evals: Option<Vec<Evaluation>>,
    pub diff: Option<JobDiff>,
    pub annotations: Option<PlanAnnotations>,
    /// Per group placement failures.
    #[wire("FailedTGAllocs")]
    pub failed_tg_allocs: Option<BTreeMap<String, Option<AllocationMetric>>>,
    /// Null when not periodic; zero time is sent as null.
    pub next_periodic_launch: Option<String>,
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `Evaluation`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct Evaluation {
    pub id: String,
    pub priority: i64,
    /// Service | batch | system | sysbatch | _core.
    pub r#type: String,
    /// Job-register | job-deregister | periodic-job | node-drain | node-update | alloc-stop | scheduled | rolling-update | deployment-watcher | failed-follow-up | max-plan-attempts | alloc-failure | queued-allocs | preemption | job-scaling | max-disconnect-timeout | reconnect | alloc-reschedule.
    pub triggered_by: String,
    pub namespace: String,
    pub job_id: String,
    pub job_modify_index: u64,
    pub node_id: String,
    pub node_modify_index: u64,
    pub deployment_id: String,
    /// Blocked | pending | complete | failed | canceled.
    pub status: String,
    pub status_description: String,
    /// Nanoseconds; deprecated.
    pub wait: i64,
    /// RFC 3339.
    pub wait_until: Option<String>,
    pub next_eval: String,
    pub previous_eval: String,
    pub blocked_eval: String,
    /// Only with ?related=true.
    pub related_evals: Option<Vec<EvaluationStub>>,
    #[wire("FailedTGAllocs")]
    pub failed_tg_allocs: Option<BTreeMap<String, Option<AllocationMetric>>>,
    pub plan_annotations: Option<PlanAnnotations>,
    pub class_eligibility: Option<BTreeMap<String, bool>>,
    pub escaped_computed_class: bool,
    pub quota_limit_reached: String,
    pub missing_non_node_resources: Option<Vec<String>>,
    pub annotate_plan: bool,
    pub queued_allocations: Option<BTreeMap<String, i64>>,
    pub snapshot_index: u64,
    pub create_index: u64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// Internal, clients ignore it.
    #[wire("LeaderACL")]
    pub leader_acl: String,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `EvaluationStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvaluationStub {
    pub id: String,
    pub priority: i64,
    pub r#type: String,
    pub triggered_by: String,
    pub namespace: String,
    pub job_id: String,
    pub node_id: String,
    pub deployment_id: String,
    pub status: String,
    pub status_description: String,
    /// Zero time is sent as null.
    pub wait_until: Option<String>,
    pub next_eval: String,
    pub previous_eval: String,
    pub blocked_eval: String,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: i64,
    pub modify_time: i64,
}

/// The JSON object `AllocationMetric`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocationMetric {
    pub nodes_evaluated: i64,
    pub nodes_filtered: i64,
    pub nodes_in_pool: i64,
    pub node_pool: String,
    pub nodes_available: Option<BTreeMap<String, i64>>,
    pub class_filtered: Option<BTreeMap<String, i64>>,
    pub constraint_filtered: Option<BTreeMap<String, i64>>,
    pub nodes_exhausted: i64,
    pub class_exhausted: Option<BTreeMap<String, i64>>,
    pub dimension_exhausted: Option<BTreeMap<String, i64>>,
    pub quota_exhausted: Option<Vec<String>>,
    pub resources_exhausted: Option<BTreeMap<String, Option<Resources>>>,
    pub scores: Option<BTreeMap<String, f64>>,
    /// Nanoseconds.
    pub allocation_time: i64,
    pub coalesced_failures: i64,
    pub score_meta_data: Option<Vec<NodeScoreMeta>>,
}

/// The JSON object `NodeScoreMeta`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeScoreMeta {
    pub node_id: String,
    pub scores: Option<BTreeMap<String, f64>>,
    pub norm_score: f64,
}

/// The JSON object `PlanAnnotations`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct PlanAnnotations {
    #[wire("DesiredTGUpdates")]
    pub desired_tg_updates: Option<BTreeMap<String, Option<DesiredUpdates>>>,
    pub preempted_allocs: Option<Vec<AllocationListStub>>,
}

/// The JSON object `DesiredUpdates`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DesiredUpdates {
    pub ignore: u64,
    pub place: u64,
    pub migrate: u64,
    pub stop: u64,
    pub in_place_update: u64,
    pub destructive_update: u64,
    pub canary: u64,
    pub preemptions: u64,
    pub disconnect: u64,
    pub reconnect: u64,
    pub reschedule_now: u64,
    pub reschedule_later: u64,
}

/// The JSON object `AllocationListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocationListStub {
    pub id: String,
    pub eval_id: String,
    pub name: String,
    pub namespace: String,
    pub node_id: String,
    pub node_name: String,
    pub job_id: String,
    pub job_type: String,
    pub job_version: u64,
    pub task_group: String,
    /// Only with ?resources=true.
    pub allocated_resources: Option<AllocatedResources>,
    /// Run | stop | evict.
    pub desired_status: String,
    pub desired_description: String,
    /// Pending | running | complete | failed | lost | unknown.
    pub client_status: String,
    pub client_description: String,
    /// Null with ?task_states=false.
    pub task_states: Option<BTreeMap<String, Option<TaskState>>>,
    pub deployment_status: Option<AllocDeploymentStatus>,
    pub followup_eval_id: String,
    pub next_allocation: String,
    pub reschedule_tracker: Option<RescheduleTracker>,
    pub preempted_allocations: Option<Vec<String>>,
    pub preempted_by_allocation: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub desired_transition: DesiredTransition,
}

/// The JSON object `AllocatedResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedResources {
    pub tasks: Option<BTreeMap<String, Option<AllocatedTaskResources>>>,
    pub shared: AllocatedSharedResources,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub task_lifecycles: Option<BTreeMap<String, Option<TaskLifecycle>>>,
}

/// The JSON object `AllocatedTaskResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedTaskResources {
    pub cpu: AllocatedCpuResources,
    pub memory: AllocatedMemoryResources,
    pub networks: Option<Vec<NetworkResource>>,
    pub devices: Option<Vec<AllocatedDeviceResource>>,
}

/// The JSON object `AllocatedCpuResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedCpuResources {
    pub cpu_shares: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub reserved_cores: Option<Vec<u64>>,
}

/// The JSON object `AllocatedMemoryResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedMemoryResources {
    #[wire("MemoryMB")]
    pub memory_mb: i64,
    #[wire("MemoryMaxMB")]
    pub memory_max_mb: i64,
}

/// The JSON object `AllocatedDeviceResource`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedDeviceResource {
    pub vendor: String,
    pub r#type: String,
    pub name: String,
    #[wire("DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
}

/// The JSON object `AllocatedSharedResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocatedSharedResources {
    #[wire("DiskMB")]
    pub disk_mb: i64,
    pub networks: Option<Vec<NetworkResource>>,
    pub ports: Option<Vec<PortMapping>>,
}

/// The JSON object `PortMapping`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct PortMapping {
    pub label: String,
    pub value: i64,
    pub to: i64,
    #[wire("HostIP")]
    pub host_ip: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub ignore_collision: bool,
}

/// The JSON object `TaskState`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskState {
    /// Pending | running | dead; default: "pending".
    pub state: String,
    pub failed: bool,
    pub restarts: u64,
    /// Null if never restarted; zero time is sent as null.
    pub last_restart: Option<String>,
    /// Null until started; zero time is sent as null.
    pub started_at: Option<String>,
    /// Null until finished; zero time is sent as null.
    pub finished_at: Option<String>,
    pub events: Option<Vec<TaskEvent>>,
    /// Server emits/accepts it; missing from the Go SDK type; ENT: "" | force_run | force_pause | scheduled_pause | schedule_resume.
    pub paused: String,
}

/// The JSON object `TaskEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskEvent {
    /// Received | Task Setup | Building Task Directory | Downloading Artifacts | Driver | Started | Terminated | Killing | Killed | Restarting | Not Restarting | Restart Signaled | Signaling | Setup Failure | Driver Failure | Failed Validation | Failed Artifact Download | Disk Resources Exceeded | Sibling Task Failed | Leader Task Dead | Main Tasks Dead | Task hook failed | Failed Restoring Task | Plugin became unhealthy | Reconnected | Skipping shutdown delay | Running.
    pub r#type: String,
    /// Unix nanoseconds.
    pub time: i64,
    /// Filled by the HTTP layer.
    pub display_message: String,
    /// Free string map (exit_code, signal, oom_killed, ...).
    pub details: Option<BTreeMap<String, String>>,
    pub message: String,
    pub fails_task: bool,
    pub restart_reason: String,
    pub setup_error: String,
    pub driver_error: String,
    pub driver_message: String,
    pub exit_code: i64,
    pub signal: i64,
    pub kill_reason: String,
    /// Nanoseconds.
    pub kill_timeout: i64,
    pub kill_error: String,
    pub start_delay: i64,
    pub download_error: String,
    pub validation_error: String,
    pub disk_limit: i64,
    /// SDK only, never sent.
    pub disk_size: i64,
    pub failed_sibling: String,
    pub vault_error: String,
    pub task_signal_reason: String,
    pub task_signal: String,
    pub generic_source: String,
}

/// The JSON object `AllocDeploymentStatus`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocDeploymentStatus {
    /// Null while undecided.
    pub healthy: Option<bool>,
    /// RFC 3339; zero time is sent as null.
    pub timestamp: Option<String>,
    pub canary: bool,
    pub modify_index: u64,
}

/// The JSON object `RescheduleTracker`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RescheduleTracker {
    pub events: Option<Vec<RescheduleEvent>>,
    pub last_reschedule: String,
}

/// The JSON object `RescheduleEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct RescheduleEvent {
    /// Unix nanoseconds.
    pub reschedule_time: i64,
    pub prev_alloc_id: String,
    pub prev_node_id: String,
    /// Nanoseconds; server emits/accepts it; missing from the Go SDK type.
    pub delay: i64,
}

/// The JSON object `DesiredTransition`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DesiredTransition {
    pub migrate: Option<bool>,
    pub reschedule: Option<bool>,
    pub force_reschedule: Option<bool>,
    pub no_shutdown_delay: Option<bool>,
    pub migrate_disable_placement: Option<bool>,
}

/// The JSON object `JobDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub id: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
    pub task_groups: Option<Vec<TaskGroupDiff>>,
}

/// The JSON object `FieldDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct FieldDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub old: String,
    pub new: String,
    pub annotations: Option<Vec<String>>,
}

/// The JSON object `ObjectDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ObjectDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
}

/// The JSON object `TaskGroupDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
    pub tasks: Option<Vec<TaskDiff>>,
    pub updates: Option<BTreeMap<String, u64>>,
}

/// The JSON object `TaskDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
    pub annotations: Option<Vec<String>>,
}

/// The JSON object `JobValidateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobValidateRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: not read; Job.Namespace counts.
    pub namespace: String,
    /// Embedded WriteRequest: not read.
    pub secret_id: String,
    pub job: Option<Job>,
}

/// The JSON object `JobValidateResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobValidateResponse {
    /// Always true.
    pub driver_config_validated: bool,
    /// Null when valid.
    pub validation_errors: Option<Vec<String>>,
    /// Joined text of all errors.
    pub error: String,
    pub warnings: String,
}

/// The JSON object `JobsParseRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobsParseRequest {
    /// HCL2 text.
    #[wire("JobHCL")]
    pub job_hcl: String,
    /// HCL variable file text.
    pub variables: String,
    pub canonicalize: bool,
}

/// The JSON object `JobListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobListStub {
    pub id: String,
    pub parent_id: String,
    pub name: String,
    #[wire(omit_empty)]
    pub namespace: String,
    pub datacenters: Option<Vec<String>>,
    pub r#type: String,
    pub priority: i64,
    pub periodic: bool,
    pub parameterized_job: bool,
    pub stop: bool,
    /// Pending | running | dead.
    pub status: String,
    pub status_description: String,
    /// Queued and running counts per group.
    pub job_summary: Option<JobSummary>,
    pub create_index: u64,
    pub modify_index: u64,
    pub job_modify_index: u64,
    /// Unix nanoseconds.
    pub submit_time: i64,
    /// Null unless ?meta=true.
    pub meta: Option<BTreeMap<String, String>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub node_pool: String,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub multiregion: Option<Multiregion>,
}

/// The JSON object `JobSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobSummary {
    pub job_id: String,
    pub namespace: String,
    pub summary: Option<BTreeMap<String, TaskGroupSummary>>,
    pub children: Option<JobChildrenSummary>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `TaskGroupSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupSummary {
    pub queued: i64,
    pub complete: i64,
    pub failed: i64,
    pub running: i64,
    pub starting: i64,
    pub lost: i64,
    /// Disconnected clients.
    pub unknown: i64,
}

/// The JSON object `JobChildrenSummary`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobChildrenSummary {
    pub pending: i64,
    pub running: i64,
    pub dead: i64,
}

/// The JSON object `JobVersionsResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobVersionsResponse {
    pub versions: Option<Vec<Job>>,
    pub diffs: Option<Vec<JobDiff>>,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `ScalingRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingRequest {
    /// Embedded WriteRequest: not read by the server.
    pub region: String,
    /// Embedded WriteRequest: not read by the server.
    pub namespace: String,
    /// Embedded WriteRequest: not read by the server.
    pub secret_id: String,
    /// Null records an event without changing the count.
    pub count: Option<i64>,
    /// Map with Job, Group (Namespace) keys.
    pub target: Option<BTreeMap<String, String>>,
    pub message: String,
    /// Marks the event as an error.
    pub error: bool,
    pub meta: Option<BTreeMap<String, Option<Value>>>,
    pub policy_override: bool,
    pub job_modify_index: u64,
}

/// The JSON object `JobScaleStatusResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobScaleStatusResponse {
    pub job_id: String,
    pub namespace: String,
    pub job_create_index: u64,
    pub job_modify_index: u64,
    pub job_stopped: bool,
    pub task_groups: Option<BTreeMap<String, TaskGroupScaleStatus>>,
}

/// The JSON object `TaskGroupScaleStatus`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupScaleStatus {
    pub desired: i64,
    pub placed: i64,
    pub running: i64,
    pub healthy: i64,
    pub unhealthy: i64,
    pub events: Option<Vec<ScalingEvent>>,
}

/// The JSON object `ScalingEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingEvent {
    pub count: Option<i64>,
    pub previous_count: i64,
    pub error: bool,
    pub message: String,
    pub meta: Option<BTreeMap<String, Option<Value>>>,
    /// Null when none.
    pub eval_id: Option<String>,
    /// Unix nanoseconds.
    pub time: i64,
    pub create_index: u64,
}

/// The JSON object `JobRevertRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobRevertRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    /// Must equal the path.
    pub job_id: String,
    pub job_version: u64,
    /// Null means no check.
    pub enforce_prior_version: Option<u64>,
}

/// The JSON object `JobEvaluateRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobEvaluateRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    /// Must equal the path.
    pub job_id: String,
    pub eval_options: EvalOptions,
}

/// The JSON object `EvalOptions`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalOptions {
    pub force_reschedule: bool,
}

/// The JSON object `JobDispatchRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDispatchRequest {
    /// Optional; must equal the path.
    pub job_id: String,
    /// Base64, max 16384 bytes decoded.
    pub payload: Option<Base64>,
    pub meta: Option<BTreeMap<String, String>>,
    /// Inserted into the child ID.
    #[wire("IdPrefixTemplate")]
    pub id_prefix_template: String,
    /// Default: parent job priority.
    pub priority: i64,
}

/// The JSON object `JobDispatchResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDispatchResponse {
    pub dispatched_job_id: String,
    pub eval_id: String,
    pub eval_create_index: u64,
    pub job_create_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `JobStabilityRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStabilityRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    /// Must equal the path.
    pub job_id: String,
    pub job_version: u64,
    pub stable: bool,
}

/// The JSON object `JobStabilityResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStabilityResponse {
    /// SDK field that the server never sends.
    pub job_modify_index: u64,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `JobStatusesRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesRequest {
    pub jobs: Option<Vec<NamespacedID>>,
    pub include_children: bool,
}

/// The JSON object `NamespacedID`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NamespacedID {
    pub namespace: String,
    pub id: String,
}

/// The JSON object `JobStatusesJob`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesJob {
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub r#type: String,
    pub node_pool: String,
    pub datacenters: Option<Vec<String>>,
    pub priority: i64,
    pub version: u64,
    pub submit_time: i64,
    pub modify_index: u64,
    /// Null for parents.
    pub allocs: Option<Vec<JobStatusesAlloc>>,
    /// Sum of group counts.
    pub group_count_sum: i64,
    /// () for periodic/parameterized, null otherwise.
    pub child_statuses: Option<Vec<String>>,
    pub parent_id: String,
    pub latest_deployment: Option<JobStatusesLatestDeployment>,
    pub stop: bool,
    /// True when Meta has pack.name.
    pub is_pack: bool,
    pub status: String,
}

/// The JSON object `JobStatusesAlloc`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesAlloc {
    pub id: String,
    pub group: String,
    pub client_status: String,
    pub node_id: String,
    pub deployment_status: JobStatusesDeployment,
    pub job_version: u64,
    pub followup_eval_id: String,
    pub has_paused_task: bool,
}

/// The JSON object `JobStatusesDeployment`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesDeployment {
    pub canary: bool,
    pub healthy: Option<bool>,
}

/// The JSON object `JobStatusesLatestDeployment`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobStatusesLatestDeployment {
    pub id: String,
    pub is_active: bool,
    pub job_version: u64,
    pub status: String,
    pub status_description: String,
    pub all_auto_promote: bool,
    pub requires_promotion: bool,
}

/// The JSON object `JobTagResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobTagResponse {
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
    pub name: String,
    pub description: String,
    pub tagged_time: i64,
}

/// The JSON object `TagVersionRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TagVersionRequest {
    /// Embedded WriteRequest: not read by the server.
    pub region: String,
    /// Embedded WriteRequest: not read by the server.
    pub namespace: String,
    /// Embedded WriteRequest: not read by the server.
    pub secret_id: String,
    /// Version number to tag.
    pub version: u64,
    /// Added in 2.0.1; excludes a non-zero Version.
    pub latest: bool,
    pub description: String,
}

/// The JSON object `JobAction`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobAction {
    pub name: String,
    /// From the embedded Action.
    pub command: String,
    pub args: Option<Vec<String>>,
    pub task_name: String,
    pub task_group_name: String,
}

/// The JSON object `PeriodicForceResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct PeriodicForceResponse {
    pub eval_id: String,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub eval_create_index: u64,
}

/// The JSON object `ScalingPolicyListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ScalingPolicyListStub {
    pub id: String,
    pub enabled: bool,
    pub r#type: String,
    pub target: Option<BTreeMap<String, String>>,
    pub create_index: u64,
    pub modify_index: u64,
}
