//! The agent's configuration as it is shown.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::{HostNetworkInfo, HostVolumeInfo, SchedulerConfiguration};

/// The JSON object `AgentConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfig {
    pub region: String,
    pub datacenter: String,
    pub node_name: String,
    pub data_dir: String,
    pub plugin_dir: String,
    pub log_level: String,
    pub log_json: bool,
    pub log_file: String,
    pub log_include_location: bool,
    pub log_rotate_duration: String,
    pub log_rotate_bytes: i64,
    pub log_rotate_max_files: i64,
    pub bind_addr: String,
    pub enable_debug: bool,
    pub ports: Option<AgentConfigPorts>,
    pub addresses: Option<AgentConfigAddresses>,
    pub advertise_addrs: Option<AgentConfigAdvertiseAddrs>,
    pub client: Option<AgentConfigClientConfig>,
    pub server: Option<AgentConfigServerConfig>,
    #[wire("RPC")]
    pub rpc: Option<AgentConfigRPCConfig>,
    #[wire("ACL")]
    pub acl: Option<AgentConfigACLConfig>,
    pub telemetry: Option<AgentConfigTelemetry>,
    pub leave_on_int: bool,
    pub leave_on_term: bool,
    pub enable_syslog: bool,
    pub syslog_facility: String,
    pub disable_update_check: Option<bool>,
    pub disable_anonymous_signature: bool,
    pub consuls: Option<Vec<AgentConfigConsulConfig>>,
    pub vaults: Option<Vec<AgentConfigVaultConfig>>,
    #[wire("UI")]
    pub ui: Option<AgentConfigUIConfig>,
    pub dev_mode: bool,
    pub version: Option<AgentConfigVersionInfo>,
    pub files: Option<Vec<String>>,
    pub config_paths: Option<Vec<String>>,
    #[wire("TLSConfig")]
    pub tls_config: Option<AgentConfigTLSConfig>,
    #[wire("HTTPAPIResponseHeaders")]
    pub http_api_response_headers: Option<BTreeMap<String, String>>,
    pub sentinel: Option<AgentConfigSentinelConfig>,
    pub autopilot: Option<AgentConfigAutopilotConfig>,
    pub plugins: Option<Vec<AgentConfigPluginConfig>>,
    pub limits: AgentConfigLimits,
    pub audit: Option<AgentConfigAuditConfig>,
    pub reporting: Option<AgentConfigReportingConfig>,
    #[wire("KEKProviders")]
    pub kek_providers: Option<Vec<KEKProviderConfig>>,
    pub eventlog: Option<AgentConfigEventlog>,
}

/// The JSON object `AgentConfigPorts`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigPorts {
    #[wire("HTTP")]
    pub http: i64,
    #[wire("RPC")]
    pub rpc: i64,
    pub serf: i64,
}

/// The JSON object `AgentConfigAddresses`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigAddresses {
    #[wire("HTTP")]
    pub http: String,
    #[wire("RPC")]
    pub rpc: String,
    pub serf: String,
}

/// The JSON object `AgentConfigAdvertiseAddrs`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigAdvertiseAddrs {
    #[wire("HTTP")]
    pub http: String,
    #[wire("RPC")]
    pub rpc: String,
    pub serf: String,
}

/// The JSON object `AgentConfigClientConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigClientConfig {
    pub enabled: bool,
    pub state_dir: String,
    pub alloc_dir: String,
    pub alloc_mounts_dir: String,
    pub host_volumes_dir: String,
    pub host_volume_plugin_dir: String,
    pub intro_token: String,
    pub common_plugin_dir: String,
    pub servers: Option<Vec<String>>,
    pub node_class: String,
    pub node_pool: String,
    pub options: Option<BTreeMap<String, String>>,
    pub meta: Option<BTreeMap<String, String>>,
    pub chroot_env: Option<BTreeMap<String, String>>,
    pub network_interface: String,
    pub preferred_address_family: String,
    pub network_speed: i64,
    pub cpu_disable_dmidecode: bool,
    pub cpu_compute: i64,
    #[wire("MemoryMB")]
    pub memory_mb: i64,
    #[wire("DiskTotalMB")]
    pub disk_total_mb: i64,
    #[wire("DiskFreeMB")]
    pub disk_free_mb: i64,
    pub reservable_cores: String,
    pub max_kill_timeout: String,
    pub client_max_port: i64,
    pub client_min_port: i64,
    pub max_dynamic_port: i64,
    pub min_dynamic_port: i64,
    pub reserved: Option<AgentConfigResources>,
    /// Nanoseconds.
    #[wire("GCInterval")]
    pub gc_interval: i64,
    #[wire("GCParallelDestroys")]
    pub gc_parallel_destroys: i64,
    #[wire("GCDiskUsageThreshold")]
    pub gc_disk_usage_threshold: f64,
    #[wire("GCInodeUsageThreshold")]
    pub gc_inode_usage_threshold: f64,
    #[wire("GCMaxAllocs")]
    pub gc_max_allocs: i64,
    #[wire("GCVolumesOnNodeGC")]
    pub gc_volumes_on_node_gc: bool,
    #[wire("NoHostUUID")]
    pub no_host_uuid: Option<bool>,
    pub disable_remote_exec: bool,
    pub template_config: Option<AgentConfigClientTemplateConfig>,
    pub server_join: Option<AgentConfigServerJoin>,
    pub host_volumes: Option<Vec<HostVolumeInfo>>,
    #[wire("CNIPath")]
    pub cni_path: String,
    #[wire("CNIConfigDir")]
    pub cni_config_dir: String,
    pub bridge_network_name: String,
    pub bridge_network_subnet: String,
    #[wire("BridgeNetworkSubnetIPv6")]
    pub bridge_network_subnet_ipv6: String,
    pub bridge_network_hairpin_mode: bool,
    pub host_networks: Option<Vec<HostNetworkInfo>>,
    pub bind_wildcard_default_host_network: bool,
    pub cgroup_parent: String,
    pub nomad_service_discovery: Option<bool>,
    pub artifact: Option<AgentConfigArtifactConfig>,
    pub drain: Option<AgentConfigDrainConfig>,
    pub users: Option<AgentConfigUsersConfig>,
    pub node_max_allocs: i64,
    pub log_file: String,
    pub fingerprinters: Option<Vec<AgentConfigFingerprint>>,
    pub default_ineligible: bool,
}

/// The JSON object `AgentConfigResources`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigResources {
    #[wire("CPU")]
    pub cpu: i64,
    #[wire("MemoryMB")]
    pub memory_mb: i64,
    #[wire("DiskMB")]
    pub disk_mb: i64,
    pub reserved_ports: String,
    pub cores: String,
}

/// The JSON object `AgentConfigClientTemplateConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigClientTemplateConfig {
    pub function_denylist: Option<Vec<String>>,
    pub function_blacklist: Option<Vec<String>>,
    pub disable_sandbox: bool,
    /// Nanoseconds.
    pub max_stale: Option<i64>,
    #[wire("MaxStaleHCL")]
    pub max_stale_hcl: String,
    /// Nanoseconds.
    pub block_query_wait_time: Option<i64>,
    #[wire("BlockQueryWaitTimeHCL")]
    pub block_query_wait_time_hcl: String,
    pub wait: Option<AgentConfigWaitConfig>,
    pub wait_bounds: Option<AgentConfigWaitConfig>,
    pub consul_retry: Option<AgentConfigRetryConfig>,
    /// Nanoseconds.
    pub vault_default_lease_duration: Option<i64>,
    #[wire("VaultDefaultLeaseDurationHCL")]
    pub vault_default_lease_duration_hcl: String,
    pub vault_retry: Option<AgentConfigRetryConfig>,
    pub nomad_retry: Option<AgentConfigRetryConfig>,
    pub use_client_consul_token: bool,
}

/// The JSON object `AgentConfigWaitConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigWaitConfig {
    /// Nanoseconds.
    pub min: Option<i64>,
    #[wire("MinHCL")]
    pub min_hcl: String,
    /// Nanoseconds.
    pub max: Option<i64>,
    #[wire("MaxHCL")]
    pub max_hcl: String,
}

/// The JSON object `AgentConfigRetryConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigRetryConfig {
    pub attempts: Option<i64>,
    /// Nanoseconds.
    pub backoff: Option<i64>,
    #[wire("BackoffHCL")]
    pub backoff_hcl: String,
    /// Nanoseconds.
    pub max_backoff: Option<i64>,
    #[wire("MaxBackoffHCL")]
    pub max_backoff_hcl: String,
}

/// The JSON object `AgentConfigServerJoin`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigServerJoin {
    pub start_join: Option<Vec<String>>,
    pub retry_join: Option<Vec<String>>,
    pub retry_max_attempts: i64,
    /// Nanoseconds.
    pub retry_interval: i64,
}

/// The JSON object `AgentConfigArtifactConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigArtifactConfig {
    #[wire("HTTPReadTimeout")]
    pub http_read_timeout: Option<String>,
    #[wire("HTTPMaxSize")]
    pub http_max_size: Option<String>,
    #[wire("GCSTimeout")]
    pub gcs_timeout: Option<String>,
    pub git_timeout: Option<String>,
    pub hg_timeout: Option<String>,
    pub s3_timeout: Option<String>,
    pub decompression_file_count_limit: Option<i64>,
    pub decompression_size_limit: Option<String>,
    pub disable_artifact_inspection: Option<bool>,
    pub disable_filesystem_isolation: Option<bool>,
    pub filesystem_isolation_extra_paths: Option<Vec<String>>,
    pub set_environment_variables: Option<String>,
}

/// The JSON object `AgentConfigDrainConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigDrainConfig {
    pub deadline: Option<String>,
    pub ignore_system_jobs: Option<bool>,
    pub force: Option<bool>,
}

/// The JSON object `AgentConfigUsersConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigUsersConfig {
    pub min_dynamic_user: Option<i64>,
    pub max_dynamic_user: Option<i64>,
}

/// The JSON object `AgentConfigFingerprint`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigFingerprint {
    pub name: String,
    /// Nanoseconds.
    pub retry_interval: i64,
    #[wire("RetryIntervalHCL")]
    pub retry_interval_hcl: String,
    pub retry_attempts: i64,
    pub exit_on_failure: Option<bool>,
}

/// The JSON object `AgentConfigServerConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigServerConfig {
    pub enabled: bool,
    pub authoritative_region: String,
    pub bootstrap_expect: i64,
    pub client_introduction: Option<AgentConfigClientIntroduction>,
    pub data_dir: String,
    pub raft_protocol: i64,
    pub raft_multiplier: Option<i64>,
    pub num_schedulers: Option<i64>,
    pub enabled_schedulers: Option<Vec<String>>,
    #[wire("NodeGCThreshold")]
    pub node_gc_threshold: String,
    #[wire("JobGCInterval")]
    pub job_gc_interval: String,
    #[wire("JobGCThreshold")]
    pub job_gc_threshold: String,
    #[wire("EvalGCThreshold")]
    pub eval_gc_threshold: String,
    #[wire("BatchEvalGCThreshold")]
    pub batch_eval_gc_threshold: String,
    #[wire("DeploymentGCThreshold")]
    pub deployment_gc_threshold: String,
    #[wire("CSIVolumeClaimGCInterval")]
    pub csi_volume_claim_gc_interval: String,
    #[wire("CSIVolumeClaimGCThreshold")]
    pub csi_volume_claim_gc_threshold: String,
    #[wire("CSIPluginGCThreshold")]
    pub csi_plugin_gc_threshold: String,
    #[wire("ACLTokenGCThreshold")]
    pub acl_token_gc_threshold: String,
    #[wire("RootKeyGCInterval")]
    pub root_key_gc_interval: String,
    #[wire("RootKeyGCThreshold")]
    pub root_key_gc_threshold: String,
    pub root_key_rotation_threshold: String,
    /// Nanoseconds.
    pub heartbeat_grace: i64,
    /// Nanoseconds.
    #[wire("MinHeartbeatTTL")]
    pub min_heartbeat_ttl: i64,
    pub max_heartbeats_per_second: f64,
    /// Nanoseconds.
    #[wire("FailoverHeartbeatTTL")]
    pub failover_heartbeat_ttl: i64,
    pub start_join: Option<Vec<String>>,
    pub retry_join: Option<Vec<String>>,
    pub retry_max_attempts: i64,
    /// Nanoseconds.
    pub retry_interval: i64,
    pub rejoin_after_leave: bool,
    pub non_voting_server: bool,
    pub redundancy_zone: String,
    pub upgrade_version: String,
    pub server_join: Option<AgentConfigServerJoin>,
    pub default_scheduler_config: Option<SchedulerConfiguration>,
    pub plan_rejection_tracker: Option<AgentConfigPlanRejectionTracker>,
    pub plan_apply_pipeline: i64,
    pub enable_event_broker: Option<bool>,
    pub event_buffer_size: Option<i64>,
    pub license_path: String,
    pub license_env: String,
    pub search: Option<AgentConfigSearch>,
    pub deployment_query_rate_limit: f64,
    pub raft_log_store_config: Option<AgentConfigRaftLogStoreConfig>,
    pub raft_bolt_config: Option<AgentConfigRaftBoltConfig>,
    pub raft_snapshot_threshold: Option<i64>,
    pub raft_snapshot_interval: Option<String>,
    pub raft_trailing_logs: Option<i64>,
    pub job_default_priority: Option<i64>,
    pub job_max_priority: Option<i64>,
    pub job_max_count: Option<i64>,
    pub job_max_source_size: Option<String>,
    pub job_tracked_versions: Option<i64>,
    #[wire("OIDCIssuer")]
    pub oidc_issuer: String,
    pub start_timeout: String,
    pub log_file: String,
    pub non_production: bool,
}

/// The JSON object `AgentConfigClientIntroduction`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigClientIntroduction {
    pub enforcement: String,
    /// Nanoseconds.
    #[wire("DefaultIdentityTTL")]
    pub default_identity_ttl: i64,
    /// Nanoseconds.
    #[wire("MaxIdentityTTL")]
    pub max_identity_ttl: i64,
}

/// The JSON object `AgentConfigPlanRejectionTracker`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigPlanRejectionTracker {
    pub enabled: Option<bool>,
    pub node_threshold: i64,
    /// Nanoseconds.
    pub node_window: i64,
}

/// The JSON object `AgentConfigSearch`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigSearch {
    pub fuzzy_enabled: bool,
    pub limit_query: i64,
    pub limit_results: i64,
    pub min_term_length: i64,
}

/// The JSON object `AgentConfigRaftLogStoreConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigRaftLogStoreConfig {
    pub backend: String,
    #[wire("BoltDB")]
    pub bolt_db: Option<AgentConfigRaftBoltConfig>,
    #[wire("WAL")]
    pub wal: Option<AgentConfigWALConfig>,
    pub disable_log_cache: bool,
    pub verification: Option<AgentConfigLogStoreVerificationConfig>,
}

/// The JSON object `AgentConfigRaftBoltConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigRaftBoltConfig {
    pub no_freelist_sync: bool,
}

/// The JSON object `AgentConfigWALConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigWALConfig {
    #[wire("SegmentSizeMB")]
    pub segment_size_mb: i64,
}

/// The JSON object `AgentConfigLogStoreVerificationConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigLogStoreVerificationConfig {
    pub enabled: bool,
    pub interval: String,
}

/// The JSON object `AgentConfigRPCConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigRPCConfig {
    pub accept_backlog: i64,
    /// Nanoseconds.
    pub keep_alive_interval: i64,
    #[wire("KeepAliveIntervalHCL")]
    pub keep_alive_interval_hcl: String,
    /// Nanoseconds.
    pub connection_write_timeout: i64,
    #[wire("ConnectionWriteTimeoutHCL")]
    pub connection_write_timeout_hcl: String,
    /// Nanoseconds.
    pub stream_open_timeout: i64,
    #[wire("StreamOpenTimeoutHCL")]
    pub stream_open_timeout_hcl: String,
    /// Nanoseconds.
    pub stream_close_timeout: i64,
    #[wire("StreamCloseTimeoutHCL")]
    pub stream_close_timeout_hcl: String,
    /// Nanoseconds.
    pub dial_timeout: i64,
    #[wire("DialTimeoutHCL")]
    pub dial_timeout_hcl: String,
}

/// The JSON object `AgentConfigACLConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigACLConfig {
    pub enabled: bool,
    /// Nanoseconds.
    #[wire("TokenTTL")]
    pub token_ttl: i64,
    /// Nanoseconds.
    #[wire("PolicyTTL")]
    pub policy_ttl: i64,
    /// Nanoseconds.
    #[wire("RoleTTL")]
    pub role_ttl: i64,
    pub replication_token: String,
    /// Nanoseconds.
    #[wire("TokenMinExpirationTTL")]
    pub token_min_expiration_ttl: i64,
    /// Nanoseconds.
    #[wire("TokenMaxExpirationTTL")]
    pub token_max_expiration_ttl: i64,
}

/// The JSON object `AgentConfigTelemetry`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigTelemetry {
    pub in_memory_collection_interval: String,
    pub in_memory_retention_period: String,
    pub statsite_addr: String,
    pub statsd_addr: String,
    pub data_dog_addr: String,
    pub data_dog_tags: Option<Vec<String>>,
    pub prometheus_metrics: bool,
    pub disable_hostname: bool,
    pub use_node_name: bool,
    pub collection_interval: String,
    pub publish_allocation_metrics: bool,
    pub publish_node_metrics: bool,
    pub include_alloc_metadata_in_metrics: bool,
    pub allowed_metadata_keys_in_metrics: Option<Vec<String>>,
    pub prefix_filter: Option<Vec<String>>,
    pub filter_default: Option<bool>,
    pub disable_dispatched_job_summary_metrics: bool,
    pub disable_quota_utilization_metrics: bool,
    #[wire("DisableRPCRateMetricsLabels")]
    pub disable_rpc_rate_metrics_labels: bool,
    pub disable_allocation_hook_metrics: Option<bool>,
    #[wire("CirconusAPIToken")]
    pub circonus_api_token: String,
    #[wire("CirconusAPIApp")]
    pub circonus_api_app: String,
    #[wire("CirconusAPIURL")]
    pub circonus_apiurl: String,
    pub circonus_submission_interval: String,
    #[wire("CirconusCheckSubmissionURL")]
    pub circonus_check_submission_url: String,
    pub circonus_check_id: String,
    pub circonus_check_force_metric_activation: String,
    pub circonus_check_instance_id: String,
    pub circonus_check_search_tag: String,
    pub circonus_check_tags: String,
    pub circonus_check_display_name: String,
    pub circonus_broker_id: String,
    pub circonus_broker_select_tag: String,
}

/// The JSON object `AgentConfigConsulConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigConsulConfig {
    pub name: String,
    pub server_service_name: String,
    #[wire("ServerHTTPCheckName")]
    pub server_http_check_name: String,
    pub server_serf_check_name: String,
    #[wire("ServerRPCCheckName")]
    pub server_rpc_check_name: String,
    pub server_failures_before_critical: i64,
    pub server_failures_before_warning: i64,
    pub client_service_name: String,
    #[wire("ClientHTTPCheckName")]
    pub client_http_check_name: String,
    pub client_failures_before_critical: i64,
    pub client_failures_before_warning: i64,
    pub tags: Option<Vec<String>>,
    pub auto_advertise: Option<bool>,
    pub checks_use_advertise: Option<bool>,
    pub addr: String,
    #[wire("GRPCAddr")]
    pub grpc_addr: String,
    /// Nanoseconds.
    pub timeout: i64,
    pub token: String,
    pub auth: String,
    #[wire("EnableSSL")]
    pub enable_ssl: Option<bool>,
    #[wire("ShareSSL")]
    pub share_ssl: Option<bool>,
    #[wire("VerifySSL")]
    pub verify_ssl: Option<bool>,
    #[wire("GRPCCAFile")]
    pub grpcca_file: String,
    #[wire("CAFile")]
    pub ca_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub server_auto_join: Option<bool>,
    pub client_auto_join: Option<bool>,
    pub namespace: String,
    pub service_identity: Option<AgentConfigWorkloadIdentityConfig>,
    pub service_identity_auth_method: String,
    pub task_identity: Option<AgentConfigWorkloadIdentityConfig>,
    pub task_identity_auth_method: String,
}

/// The JSON object `AgentConfigWorkloadIdentityConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigWorkloadIdentityConfig {
    pub audience: Option<Vec<String>>,
    pub env: Option<bool>,
    pub file: Option<bool>,
    pub filepath: String,
    /// Nanoseconds.
    #[wire("TTL")]
    pub ttl: Option<i64>,
    pub extra_claims: Option<BTreeMap<String, String>>,
}

/// The JSON object `AgentConfigVaultConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigVaultConfig {
    pub name: String,
    pub enabled: Option<bool>,
    pub role: String,
    pub namespace: String,
    pub addr: String,
    #[wire("JWTAuthBackendPath")]
    pub jwt_auth_backend_path: String,
    /// Nanoseconds.
    pub connection_retry_intv: i64,
    #[wire("TLSCaFile")]
    pub tls_ca_file: String,
    #[wire("TLSCaPath")]
    pub tls_ca_path: String,
    #[wire("TLSCertFile")]
    pub tls_cert_file: String,
    #[wire("TLSKeyFile")]
    pub tls_key_file: String,
    #[wire("TLSSkipVerify")]
    pub tls_skip_verify: Option<bool>,
    #[wire("TLSServerName")]
    pub tls_server_name: String,
    pub default_identity: Option<AgentConfigWorkloadIdentityConfig>,
    pub token: String,
}

/// The JSON object `AgentConfigUIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigUIConfig {
    pub enabled: bool,
    pub content_security_policy: Option<AgentConfigContentSecurityPolicy>,
    pub consul: Option<AgentConfigConsulUIConfig>,
    pub vault: Option<AgentConfigVaultUIConfig>,
    pub label: Option<AgentConfigLabelUIConfig>,
    #[wire("ShowCLIHints")]
    pub show_cli_hints: Option<bool>,
}

/// The JSON object `AgentConfigContentSecurityPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigContentSecurityPolicy {
    pub connect_src: Option<Vec<String>>,
    pub default_src: Option<Vec<String>>,
    pub form_action: Option<Vec<String>>,
    pub frame_ancestors: Option<Vec<String>>,
    pub img_src: Option<Vec<String>>,
    pub script_src: Option<Vec<String>>,
    pub style_src: Option<Vec<String>>,
}

/// The JSON object `AgentConfigConsulUIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigConsulUIConfig {
    #[wire("BaseUIURL")]
    pub base_uiurl: String,
}

/// The JSON object `AgentConfigVaultUIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigVaultUIConfig {
    #[wire("BaseUIURL")]
    pub base_uiurl: String,
}

/// The JSON object `AgentConfigLabelUIConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigLabelUIConfig {
    pub text: String,
    pub background_color: String,
    pub text_color: String,
}

/// The JSON object `AgentConfigVersionInfo`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigVersionInfo {
    /// Zero time is sent as null.
    pub build_date: Option<String>,
    pub revision: String,
    pub version: String,
    pub version_prerelease: String,
    pub version_metadata: String,
}

/// The JSON object `AgentConfigTLSConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigTLSConfig {
    #[wire("EnableHTTP")]
    pub enable_http: bool,
    #[wire("EnableRPC")]
    pub enable_rpc: bool,
    pub verify_server_hostname: bool,
    #[wire("CAFile")]
    pub ca_file: String,
    pub cert_file: String,
    pub key_loader: Option<AgentConfigKeyLoader>,
    pub key_file: String,
    #[wire("RPCUpgradeMode")]
    pub rpc_upgrade_mode: bool,
    #[wire("VerifyHTTPSClient")]
    pub verify_https_client: bool,
    pub checksum: String,
    #[wire("TLSCipherSuites")]
    pub tls_cipher_suites: String,
    #[wire("TLSMinVersion")]
    pub tls_min_version: String,
}

/// The JSON object `AgentConfigKeyLoader`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigKeyLoader {}

/// The JSON object `AgentConfigSentinelConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigSentinelConfig {
    pub imports: Option<Vec<AgentConfigSentinelImport>>,
    pub additional_enabled_modules: Option<Vec<String>>,
}

/// The JSON object `AgentConfigSentinelImport`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigSentinelImport {
    pub name: String,
    pub path: String,
    pub args: Option<Vec<String>>,
}

/// The JSON object `AgentConfigAutopilotConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigAutopilotConfig {
    pub cleanup_dead_servers: Option<bool>,
    /// Nanoseconds.
    pub server_stabilization_time: i64,
    /// Nanoseconds.
    pub last_contact_threshold: i64,
    pub max_trailing_logs: i64,
    pub min_quorum: i64,
    pub enable_redundancy_zones: Option<bool>,
    pub disable_upgrade_migration: Option<bool>,
    pub enable_custom_upgrades: Option<bool>,
}

/// The JSON object `AgentConfigPluginConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigPluginConfig {
    pub name: String,
    pub args: Option<Vec<String>>,
    pub config: Option<BTreeMap<String, Option<Value>>>,
}

/// The JSON object `AgentConfigLimits`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigLimits {
    #[wire("HTTPSHandshakeTimeout")]
    pub https_handshake_timeout: String,
    #[wire("HTTPMaxConnsPerClient")]
    pub http_max_conns_per_client: Option<i64>,
    #[wire("RPCHandshakeTimeout")]
    pub rpc_handshake_timeout: String,
    #[wire("RPCMaxConnsPerClient")]
    pub rpc_max_conns_per_client: Option<i64>,
}

/// The JSON object `AgentConfigAuditConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigAuditConfig {
    pub enabled: Option<bool>,
    pub sinks: Option<Vec<AgentConfigAuditSink>>,
    pub filters: Option<Vec<AgentConfigAuditFilter>>,
}

/// The JSON object `AgentConfigAuditSink`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigAuditSink {
    pub name: String,
    pub delivery_guarantee: String,
    pub r#type: String,
    pub format: String,
    pub path: String,
    /// Nanoseconds.
    pub rotate_duration: i64,
    pub rotate_bytes: i64,
    pub rotate_max_files: i64,
    pub mode: String,
}

/// The JSON object `AgentConfigAuditFilter`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigAuditFilter {
    pub name: String,
    pub r#type: String,
    pub endpoints: Option<Vec<String>>,
    pub stages: Option<Vec<String>>,
    pub operations: Option<Vec<String>>,
}

/// The JSON object `AgentConfigReportingConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigReportingConfig {
    pub license: Option<AgentConfigLicenseReportingConfig>,
    /// Nanoseconds.
    pub export_interval: i64,
    /// Nanoseconds.
    pub snapshot_retention_time: i64,
    #[wire("SnapshotRetentionTimeHCL")]
    pub snapshot_retention_time_hcl: String,
    pub disable_usage_reporting: Option<bool>,
    pub non_production: bool,
}

/// The JSON object `AgentConfigLicenseReportingConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigLicenseReportingConfig {
    pub enabled: Option<bool>,
}

/// The JSON object `KEKProviderConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct KEKProviderConfig {
    pub provider: String,
    pub name: String,
    pub active: bool,
}

/// The JSON object `AgentConfigEventlog`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AgentConfigEventlog {
    pub enabled: bool,
    pub level: String,
}
