//! The keys of agent configuration that the agent acts on, with their types and built-in defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

use super::{Partial, place};
use crate::diag::{Problem, Source};
use crate::duration::parse_duration;

/// What holds where no file says otherwise.
pub(super) const DEFAULTS: &str = r#"
region = "global"
datacenter = "dc1"
bind_addr = "0.0.0.0"
log_level = "INFO"
syslog_facility = "LOCAL0"
disable_update_check = false
eventlog { level = "error" }
ports {
  http = 4646
  rpc = 4647
  serf = 4648
}
limits {
  https_handshake_timeout = "5s"
  http_max_conns_per_client = 100
  rpc_handshake_timeout = "5s"
  rpc_max_conns_per_client = 100
}
rpc {
  accept_backlog = 256
  keep_alive_interval = "30s"
  connection_write_timeout = "10s"
  stream_open_timeout = "75s"
  stream_close_timeout = "5m"
  dial_timeout = "10s"
}
acl {
  token_ttl = "30s"
  policy_ttl = "30s"
  role_ttl = "30s"
}
autopilot {
  last_contact_threshold = "200ms"
  max_trailing_logs = 250
  server_stabilization_time = "10s"
}
client {
  node_pool = "default"
  max_kill_timeout = "30s"
  client_min_port = 14000
  client_max_port = 14512
  min_dynamic_port = 20000
  max_dynamic_port = 32000
  gc_interval = "1m"
  gc_parallel_destroys = 2
  gc_disk_usage_threshold = 80
  gc_inode_usage_threshold = 70
  gc_max_allocs = 50
  no_host_uuid = true
  bind_wildcard_default_host_network = true
  nomad_service_discovery = true
  cni_path = "/opt/cni/bin:/usr/libexec/cni"
  cni_config_dir = "/opt/cni/config"
  server_join { retry_interval = "30s" }
  artifact {
    http_read_timeout = "30m"
    http_max_size = "100GB"
    gcs_timeout = "30m"
    git_timeout = "30m"
    hg_timeout = "30m"
    s3_timeout = "30m"
    decompression_size_limit = "100GB"
    decompression_file_count_limit = 4096
    disable_artifact_inspection = false
    disable_filesystem_isolation = false
    set_environment_variables = ""
  }
  template {
    function_denylist = ["executeTemplate", "plugin", "writeToFile"]
    max_stale = "87600h"
    block_query_wait = "5m"
    vault_default_lease_duration = "5m"
    wait {
      min = "5s"
      max = "4m"
    }
    consul_retry {
      attempts = 12
      backoff = "250ms"
      max_backoff = "1m"
    }
    vault_retry {
      attempts = 12
      backoff = "250ms"
      max_backoff = "1m"
    }
    nomad_retry {
      attempts = 12
      backoff = "250ms"
      max_backoff = "1m"
    }
  }
  users {
    dynamic_user_min = 80000
    dynamic_user_max = 89999
  }
}
server {
  enable_event_broker = true
  event_buffer_size = 100
  raft_protocol = 3
  plan_apply_pipeline = 1
  job_max_source_size = "1M"
  job_tracked_versions = 6
  server_join { retry_interval = "30s" }
  plan_rejection_tracker {
    enabled = false
    node_threshold = 100
    node_window = "5m"
  }
  search {
    fuzzy_enabled = true
    limit_query = 20
    limit_results = 100
    min_term_length = 2
  }
}
consul {
  address = "localhost:8500"
  auto_advertise = true
  checks_use_advertise = false
  client_auto_join = true
  client_http_check_name = "Nomad Client HTTP Check"
  client_service_name = "nomad-client"
  ssl = false
  verify_ssl = true
  server_auto_join = true
  server_http_check_name = "Nomad Server HTTP Check"
  server_rpc_check_name = "Nomad Server RPC Check"
  server_serf_check_name = "Nomad Server Serf Check"
  server_service_name = "nomad"
  service_auth_method = "nomad-workloads"
  task_auth_method = "nomad-workloads"
  timeout = "5s"
}
vault {
  address = "https://vault.service.consul:8200"
  jwt_auth_backend_path = "jwt-nomad"
}
telemetry {
  collection_interval = "1s"
  in_memory_collection_interval = "10s"
  in_memory_retention_period = "1m"
  disable_allocation_hook_metrics = false
}
ui {
  enabled = true
  show_cli_hints = true
  content_security_policy {
    connect_src = ["*"]
    default_src = ["'none'"]
    form_action = ["'none'"]
    frame_ancestors = ["'none'"]
    img_src = ["'self'", "data:"]
    script_src = ["'self'"]
    style_src = ["'self'", "'unsafe-inline'"]
  }
}
"#;

/// A duration in nanoseconds, written as `"1m30s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanoseconds(pub i64);

impl<'de> Deserialize<'de> for Nanoseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(de::Error::custom)
    }
}

/// The configuration of an agent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct AgentConfig {
    /// Region; default "global".
    pub region: String,
    /// Datacenter; default "dc1".
    pub datacenter: String,
    /// Name of the agent, empty for the host name.
    pub name: String,
    /// Folder for everything that outlives the agent; empty when not given.
    pub data_dir: String,
    /// Folder of external plugins; empty for the one below the data folder.
    pub plugin_dir: String,
    /// Address to listen on.
    pub bind_addr: String,
    /// Addresses to listen on where they differ from `bind_addr`.
    pub addresses: PerRole<String>,
    /// Addresses to tell others, with or without a port.
    pub advertise: PerRole<String>,
    /// Ports.
    pub ports: Ports,
    /// Level of messages; default "INFO".
    pub log_level: String,
    /// Whether messages are JSON.
    pub log_json: bool,
    /// Whether messages name their place in the program.
    pub log_include_location: bool,
    /// File for messages, empty for none.
    pub log_file: String,
    /// Size at which the file is rotated, 0 for none.
    pub log_rotate_bytes: i64,
    /// Time after which the file is rotated, empty for a day.
    pub log_rotate_duration: String,
    /// Rotated files that are kept, 0 for all.
    pub log_rotate_max_files: i64,
    /// Whether messages go to the system log.
    pub enable_syslog: bool,
    /// Facility of the system log.
    pub syslog_facility: String,
    /// Whether debugging routes are served.
    pub enable_debug: bool,
    /// Whether the agent leaves its cluster when interrupted.
    pub leave_on_interrupt: bool,
    /// Whether the agent leaves its cluster when terminated.
    pub leave_on_terminate: bool,
    /// Whether the agent does not ask for newer versions.
    pub disable_update_check: bool,
    /// Headers added to every answer.
    pub http_api_response_headers: BTreeMap<String, String>,
    /// Limits on connections.
    pub limits: Limits,
    /// The client role.
    pub client: ClientConfig,
    /// The server role.
    pub server: ServerConfig,
    /// Metrics.
    pub telemetry: Telemetry,
    /// Plugins by `plugin "name"` block, in order.
    pub plugin: Vec<PluginConfig>,
    /// The `acl` block.
    pub acl: AclConfig,
    /// The `tls` block.
    pub tls: TlsConfig,
}

/// The `tls` block.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct TlsConfig {
    /// Whether the API speaks TLS.
    pub http: bool,
    /// PEM of the authorities whose certificates are good.
    pub ca_file: String,
    /// PEM of the own certificate.
    pub cert_file: String,
    /// PEM of its key.
    pub key_file: String,
    /// Suites for TLS 1.2, separated by commas.
    pub tls_cipher_suites: String,
    /// The lowest version.
    pub tls_min_version: String,
    /// Whether callers of the API must show a certificate.
    pub verify_https_client: bool,
}

/// One value for each kind of traffic.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct PerRole<T> {
    /// The HTTP API.
    pub http: T,
    /// Traffic between agents.
    pub rpc: T,
    /// Gossip.
    pub serf: T,
}

/// Ports; defaults 4646, 4647 and 4648.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Ports {
    /// The HTTP API.
    pub http: i64,
    /// Traffic between agents.
    pub rpc: i64,
    /// Gossip.
    pub serf: i64,
}

/// Limits on connections; 0 means none.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Limits {
    /// Time for a TLS handshake of the HTTP API.
    pub https_handshake_timeout: Nanoseconds,
    /// Connections to the HTTP API from one address.
    pub http_max_conns_per_client: i64,
    /// Time for the first bytes of an agent connection.
    pub rpc_handshake_timeout: Nanoseconds,
    /// Agent connections from one address.
    pub rpc_max_conns_per_client: i64,
}

/// The client role.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ClientConfig {
    /// Whether the agent runs tasks.
    pub enabled: bool,
    /// Folder of the client's own state, empty for the one below the data folder.
    pub state_dir: String,
    /// Folder of allocations, empty for the one below the data folder.
    pub alloc_dir: String,
    /// Folder of mounts of allocations, empty for the default.
    pub alloc_mounts_dir: String,
    /// Folder of dynamic host volumes, empty for the one below the data folder.
    pub host_volumes_dir: String,
    /// Servers, with or without a port.
    pub servers: Vec<String>,
    /// How to find servers.
    pub server_join: ServerJoin,
    /// Class of the node.
    pub node_class: String,
    /// Pool of the node; default "default".
    pub node_pool: String,
    /// Most allocations on the node, 0 for no limit.
    pub node_max_allocs: i64,
    /// Whether a new node takes no work.
    pub default_ineligible: bool,
    /// Options by name.
    pub options: BTreeMap<String, String>,
    /// Metadata of the node.
    pub meta: BTreeMap<String, String>,
    /// What a chroot holds, empty for the default.
    pub chroot_env: BTreeMap<String, String>,
    /// Network interface to fingerprint, empty for that of the default route.
    pub network_interface: String,
    /// Speed of the network in Mbit, 0 for the detected one.
    pub network_speed: i64,
    /// "ipv4", "ipv6" or empty.
    pub preferred_address_family: String,
    /// Total compute in MHz, 0 for the detected one.
    pub cpu_total_compute: i64,
    /// Cores that tasks may reserve, empty for all.
    pub reservable_cores: String,
    /// Memory in MB, 0 for the detected one.
    pub memory_total_mb: i64,
    /// Disk in MB, 0 for the detected one.
    pub disk_total_mb: i64,
    /// Free disk in MB, 0 for the detected one.
    pub disk_free_mb: i64,
    /// Lowest dynamic port.
    pub min_dynamic_port: i64,
    /// Highest dynamic port.
    pub max_dynamic_port: i64,
    /// Longest time that a task may ask for between its signal and its end.
    pub max_kill_timeout: Nanoseconds,
    /// Whether nobody may run commands inside of tasks.
    pub disable_remote_exec: bool,
    /// Whether the node id is random instead of that of the machine.
    pub no_host_uuid: bool,
    /// Time between two garbage collections.
    pub gc_interval: Nanoseconds,
    /// Allocations collected at once.
    pub gc_parallel_destroys: i64,
    /// Disk usage in percent above which allocations are collected.
    pub gc_disk_usage_threshold: f64,
    /// Inode usage in percent above which allocations are collected.
    pub gc_inode_usage_threshold: f64,
    /// Allocations above which ended ones are collected.
    pub gc_max_allocs: i64,
    /// Named host networks.
    pub host_network: Vec<HostNetwork>,
    /// Static host volumes.
    pub host_volume: Vec<HostVolume>,
    /// Parent of all cgroups of tasks, empty for the default.
    pub cgroup_parent: String,
    /// What tasks cannot have.
    pub reserved: Reserved,
}

/// A named host network.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct HostNetwork {
    /// Its name.
    pub name: String,
    /// Which addresses belong to it.
    pub cidr: String,
    /// Its interface.
    pub interface: String,
    /// Ports that tasks cannot have.
    pub reserved_ports: String,
}

/// A static host volume.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct HostVolume {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: String,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// What tasks cannot have.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Reserved {
    /// MHz.
    pub cpu: i64,
    /// Core numbers.
    pub cores: String,
    /// MB.
    pub memory: i64,
    /// MB.
    pub disk: i64,
    /// Ports and ranges.
    pub reserved_ports: String,
}

/// How agents find servers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct ServerJoin {
    /// Addresses that must answer at start.
    pub start_join: Vec<String>,
    /// Addresses that are tried until one answers.
    pub retry_join: Vec<String>,
    /// Attempts, 0 for no end.
    pub retry_max: i64,
    /// Time between attempts.
    pub retry_interval: Nanoseconds,
}

/// The server role.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ServerConfig {
    /// Whether the agent is a server.
    pub enabled: bool,
    /// Servers that must be there before the first election.
    pub bootstrap_expect: i64,
    /// Region that decides on global objects, empty for the own one.
    pub authoritative_region: String,
    /// Folder of the server's state, empty for the one below the data folder.
    pub data_dir: String,
    /// Version of the consensus protocol.
    pub raft_protocol: i64,
    /// Factor on election and heartbeat timeouts, 0 for 1.
    pub raft_multiplier: Option<i64>,
    /// Entries after which a snapshot is taken, none for the default.
    pub raft_snapshot_threshold: Option<i64>,
    /// Entries that stay behind a snapshot, none for the default.
    pub raft_trailing_logs: Option<i64>,
    /// Schedulers that run, none for one per CPU.
    pub num_schedulers: Option<i64>,
    /// Types of jobs that are scheduled, empty for all.
    pub enabled_schedulers: Vec<String>,
    /// Extra time before a silent node counts as down, 0 for the default.
    pub heartbeat_grace: Nanoseconds,
    /// Shortest heartbeat interval, 0 for the default.
    pub min_heartbeat_ttl: Nanoseconds,
    /// Heartbeat interval after a change of leaders, 0 for the default.
    pub failover_heartbeat_ttl: Nanoseconds,
    /// Heartbeats that the region handles in a second, 0 for the default.
    pub max_heartbeats_per_second: f64,
    /// Age at which a lost node is collected, empty for the default.
    pub node_gc_threshold: String,
    /// Time between two collections of jobs, empty for the default.
    pub job_gc_interval: String,
    /// Age at which a dead job is collected, empty for the default.
    pub job_gc_threshold: String,
    /// Age at which an evaluation is collected, empty for the default.
    pub eval_gc_threshold: String,
    /// Age at which an evaluation of a batch job is collected, empty for the default.
    pub batch_eval_gc_threshold: String,
    /// Age at which a deployment is collected, empty for the default.
    pub deployment_gc_threshold: String,
    /// Priority of jobs that give none, none for 50.
    pub job_default_priority: Option<i64>,
    /// Highest priority of jobs, none for 100.
    pub job_max_priority: Option<i64>,
    /// Most allocations that one job may ask for, none for the default.
    pub job_max_count: Option<i64>,
    /// Largest job source that is kept.
    pub job_max_source_size: String,
    /// Versions of a job that are kept.
    pub job_tracked_versions: i64,
    /// Whether events are published.
    pub enable_event_broker: bool,
    /// Events that are kept for late readers.
    pub event_buffer_size: i64,
    /// How to find other servers.
    pub server_join: ServerJoin,
    /// Older form of `server_join.retry_join`.
    pub retry_join: Vec<String>,
    /// Older form of `server_join.start_join`.
    pub start_join: Vec<String>,
    /// What the scheduler starts with when a cluster is new.
    pub default_scheduler_config: Option<Json>,
}

/// Metrics.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Telemetry {
    /// Time between two samples.
    pub collection_interval: Nanoseconds,
    /// Length of an interval kept in memory.
    pub in_memory_collection_interval: Nanoseconds,
    /// How long intervals are kept in memory.
    pub in_memory_retention_period: Nanoseconds,
    /// Whether metrics of allocations are published.
    pub publish_allocation_metrics: bool,
    /// Whether metrics of the node are published.
    pub publish_node_metrics: bool,
    /// Whether metrics are served in Prometheus form.
    pub prometheus_metrics: bool,
    /// Whether gauges do not carry the host name.
    pub disable_hostname: bool,
    /// Whether the node name stands for the host name.
    pub use_node_name: bool,
    /// Prefixes to keep (`+`) and drop (`-`).
    pub prefix_filter: Vec<String>,
    /// Whether metrics without a matching prefix are kept, none for yes.
    pub filter_default: Option<bool>,
}

/// The `acl` block.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct AclConfig {
    /// Whether callers are held to policies.
    pub enabled: bool,
    /// A management token of the authoritative region.
    pub replication_token: String,
    /// The shortest time that a token lasts which expires.
    pub token_min_expiration_ttl: Nanoseconds,
    /// The longest.
    pub token_max_expiration_ttl: Nanoseconds,
    /// How long agents that are no servers take the servers' word about a token as good.
    pub token_ttl: Nanoseconds,
    /// The same for policies.
    pub policy_ttl: Nanoseconds,
    /// The same for roles.
    pub role_ttl: Nanoseconds,
}

/// A `plugin` block.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct PluginConfig {
    /// The plugin.
    pub name: String,
    /// Arguments of an external plugin.
    pub args: Vec<String>,
    /// Its configuration, nested blocks as lists of objects.
    pub config: serde_json::Map<String, Json>,
}

/// Keys that promise safety. An agent that cannot keep a promise must refuse to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// `tls.rpc`
    pub tls_rpc: bool,
    /// `server.encrypt`
    pub gossip_encryption: bool,
    /// `audit.enabled`
    pub audit: bool,
    /// A keyring provider other than the built-in one is active.
    pub external_keyring: bool,
}

impl Partial {
    /// The keys that promise safety and are set.
    pub fn promises(&self) -> Promises {
        let set = |path: &str| self.get(path).is_some_and(|value| *value == Json::Bool(true));
        let providers = self.get("keyring").and_then(Json::as_array);
        Promises {
            tls_rpc: set("tls.rpc"),
            gossip_encryption: self.get("server.encrypt").and_then(Json::as_str).is_some_and(|key| !key.is_empty()),
            audit: set("audit.enabled"),
            external_keyring: providers
                .is_some_and(|all| all.iter().any(|provider| provider["provider"] != "aead" && provider["active"] == Json::Bool(true))),
        }
    }
}

/// Types the keys of `partial`, each problem naming the key that it is about.
pub(super) fn typed(partial: &Partial, sources: &[Source]) -> (AgentConfig, Vec<Problem>) {
    let full = Partial::defaults().merge(partial);
    let mut config = AgentConfig::default();
    let mut problems = Vec::new();
    match serde_json::from_value(Json::Object(full.values.clone())) {
        Ok(typed) => config = typed,
        Err(error) => {
            // Ask block by block, and key by key inside of a block, to name every culprit.
            for (name, value) in &full.values {
                let single = |json: Json| serde_json::from_value::<AgentConfig>(json).err();
                if single(serde_json::json!({ name: value })).is_none() {
                    continue;
                }
                let inner = value.as_object().into_iter().flatten();
                let before = problems.len();
                for (key, value) in inner {
                    if let Some(error) = single(serde_json::json!({ name: { key: value } })) {
                        problems.push(located(&format!("{name}.{key}"), format!("\"{name}.{key}\": {error}."), sources));
                    }
                }
                if problems.len() == before {
                    problems.push(located(name, format!("\"{name}\": {error}."), sources));
                }
            }
        }
    }
    (config, problems)
}

/// A problem with a key, at the last place of the files that gives it.
pub(super) fn located(key: &str, detail: String, sources: &[Source]) -> Problem {
    let mut problem = Problem::error("Unsuitable value", detail);
    problem.place = sources.iter().rev().filter(|_| !key.is_empty()).find_map(|source| place(source, key));
    problem
}
