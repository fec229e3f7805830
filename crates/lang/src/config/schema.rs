//! The keys of agent configuration, where they may stand, and how values of several files come together.
//!
//! The table is a text with one key per line: name, kind and, where it is not the Pascal-case form, the name that the
//! agent API shows. Kinds:
//!
//! - `s` text, `i` whole number, `f` number, `b` bool: an empty text, zero or false of a later file does not count
//! - `I`, `F`, `B`, `S`: the same, but whatever a later file says counts
//! - `h` as `B`, but shown only when true; `c` a duration shown as text; `n` an address
//! - `e` bool whose absence means false once its block is there
//! - `d` duration, checked; `D` the same, and zero of a later file counts
//! - `l` list that replaces, `L` list that a later file extends, `U` the same without duplicates, `E` replaces even when empty
//! - `m` map of texts that a later file extends
//! - `{` a block up to `}`; the words behind it: `strict` (unknown keys are errors), `once`, `whole` (a later file replaces
//!   it), and for repeated blocks with a label `append`, `by-name` (merged by label), `over-name` (replaced by label);
//!   `free` takes any keys
//!
//! A key that `acts` is followed, or its default is all there is; in a block all keys are. Any other key is read and kept, and told
//! at the start to be without effect, so that nobody relies on it.

use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text {
        explicit: bool,
    },
    Whole {
        explicit: bool,
    },
    Number {
        explicit: bool,
    },
    Bool {
        explicit: bool,
    },
    /// Explicit, but shown only when true.
    Present,
    /// The same, without being false when absent.
    Switch,
    /// A duration that is kept and shown as text.
    Interval,
    /// An address, with IPv6 in its shortest form.
    Address,
    Duration {
        explicit: bool,
    },
    List(Lists),
    Map,
    Block,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    Replace,
    ReplaceAlways,
    Append,
    Union,
}

/// How often a block occurs and what a second one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// One block; a second in a file adds to it.
    Merge,
    /// One block; a second in a file is an error.
    Once,
    /// One block; that of a later file replaces it.
    Whole,
    /// Labelled blocks, all kept.
    Append,
    /// Labelled blocks, merged by label.
    ByName,
    /// Labelled blocks, replaced by label.
    OverName,
    /// Blocks whose name is an argument, merged by it.
    Clusters,
    /// Labelled blocks with free keys besides a few known ones.
    Providers,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) api: String,
    pub(super) kind: Kind,
    pub(super) strict: bool,
    pub(super) repeat: Repeat,
    pub(super) free: bool,
    /// This version does something with it, and with all that is in it.
    pub(super) acts: bool,
    pub(super) keys: Vec<Key>,
}

impl Key {
    /// Whether anything in the block acts.
    pub(super) fn acts_inside(&self) -> bool {
        self.keys.iter().any(|key| key.acts || key.acts_inside())
    }

    pub(super) fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name))
    }
}

/// The whole configuration as one block.
pub(super) static ROOT: LazyLock<Key> = LazyLock::new(|| {
    let mut lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    Key {
        name: String::new(),
        api: String::new(),
        kind: Kind::Block,
        strict: true,
        repeat: Repeat::Merge,
        free: false,
        acts: false,
        keys: keys(&mut lines),
    }
});

fn keys<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<Key> {
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or("");
        if name == "}" {
            break;
        }
        let mark = words.next().unwrap_or("s");
        let rest: Vec<&str> = words.collect();
        let flag = |flag: &str| rest.contains(&flag);
        let api =
            rest.iter().find(|word| word.starts_with(|c: char| c.is_uppercase())).map_or_else(|| pascal(name), |word| (*word).to_owned());
        let block = mark == "{";
        let kind = match mark {
            "{" => Kind::Block,
            "i" | "I" => Kind::Whole { explicit: mark == "I" },
            "f" | "F" => Kind::Number { explicit: mark == "F" },
            "b" | "B" => Kind::Bool { explicit: mark == "B" },
            "e" => Kind::Present,
            "h" => Kind::Switch,
            "c" => Kind::Interval,
            "n" => Kind::Address,
            "d" | "D" => Kind::Duration { explicit: mark == "D" },
            "l" => Kind::List(Lists::Replace),
            "L" => Kind::List(Lists::Append),
            "U" => Kind::List(Lists::Union),
            "E" => Kind::List(Lists::ReplaceAlways),
            "m" => Kind::Map,
            _ => Kind::Text { explicit: mark == "S" },
        };
        let repeat = match () {
            () if flag("once") => Repeat::Once,
            () if flag("whole") => Repeat::Whole,
            () if flag("append") => Repeat::Append,
            () if flag("by-name") => Repeat::ByName,
            () if flag("over-name") => Repeat::OverName,
            () if flag("clusters") => Repeat::Clusters,
            () if flag("providers") => Repeat::Providers,
            () => Repeat::Merge,
        };
        let (strict, free, acts) = (flag("strict"), flag("free"), flag("acts"));
        let keys = if block { keys(lines) } else { Vec::new() };
        found.push(Key { name: name.to_owned(), api, kind, strict, repeat, free, acts, keys });
    }
    found
}

/// Words that the API writes in capitals.
const CAPITALS: [&str; 16] =
    ["ttl", "gc", "http", "https", "rpc", "csi", "acl", "id", "url", "cidr", "cpu", "api", "ip", "mb", "ui", "cni"];

fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| {
            if CAPITALS.contains(&word) {
                return word.to_uppercase();
            }
            let mut chars = word.chars();
            chars.next().map(|c| c.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
        })
        .collect()
}

const TABLE: &str = r#"
region s acts
datacenter s acts
name s NodeName acts
data_dir s acts
bind_addr s acts
log_level s acts
log_json b acts
log_file s
log_include_location b acts
log_rotate_bytes i
log_rotate_duration s
log_rotate_max_files i
enable_debug b acts
enable_syslog b
syslog_facility s
leave_on_interrupt b LeaveOnInt
leave_on_terminate b LeaveOnTerm
disable_update_check B acts
disable_anonymous_signature b acts
http_api_response_headers m HTTPAPIResponseHeaders acts
plugin_dir s
eventlog {
  enabled b
  level s
}
ports { strict
  http i acts
  rpc i acts
  serf i
}
addresses { strict
  http s acts
  rpc s acts
  serf s
}
advertise { strict AdvertiseAddrs
  http s acts
  rpc s acts
  serf s
}
limits {
  https_handshake_timeout s acts
  http_max_conns_per_client I acts
  rpc_handshake_timeout s
  rpc_max_conns_per_client I acts
}
rpc {
  accept_backlog i
  keep_alive_interval d
  connection_write_timeout d
  stream_open_timeout D
  stream_close_timeout d
  dial_timeout d
}
acl { strict
  enabled b acts
  token_ttl d acts
  policy_ttl d acts
  role_ttl d acts
  replication_token s acts
  token_min_expiration_ttl d acts
  token_max_expiration_ttl d acts
}
audit { strict acts
  enabled B
  sink { over-name Sinks
    type s
    delivery_guarantee s
    format s
    mode s
    path s
    rotate_bytes i
    rotate_duration d
    rotate_max_files i
  }
  filter { over-name Filters
    type s
    endpoints l
    stages l
    operations l
  }
}
autopilot { strict once
  cleanup_dead_servers B
  last_contact_threshold d
  max_trailing_logs i
  min_quorum i
  server_stabilization_time d
  enable_redundancy_zones B
  disable_upgrade_migration B
  enable_custom_upgrades B
}
client { strict
  enabled b acts
  state_dir s acts
  alloc_dir s acts
  alloc_mounts_dir s
  host_volumes_dir s
  host_volume_plugin_dir s
  common_plugin_dir s
  servers L acts
  server_join { strict
    start_join l acts
    retry_join l acts
    retry_max i RetryMaxAttempts
    retry_interval d
  }
  node_class s acts
  node_pool s acts
  node_max_allocs i acts
  default_ineligible b
  options m acts
  meta m acts
  chroot_env m acts
  network_interface s acts
  network_speed i
  preferred_address_family s
  cpu_disable_dmidecode b CpuDisableDmidecode
  cpu_total_compute i CpuCompute acts
  reservable_cores s acts
  memory_total_mb i MemoryMB acts
  disk_total_mb i acts
  disk_free_mb i acts
  min_dynamic_port i acts
  max_dynamic_port i acts
  client_min_port i
  client_max_port i
  max_kill_timeout s acts
  disable_remote_exec b acts
  no_host_uuid B NoHostUUID
  gc_interval d acts
  gc_parallel_destroys i
  gc_disk_usage_threshold f acts
  gc_inode_usage_threshold f acts
  gc_max_allocs i acts
  gc_volumes_on_node_gc b
  cni_path s
  cni_config_dir s
  bridge_network_name s
  bridge_network_subnet s
  bridge_network_subnet_ipv6 s BridgeNetworkSubnetIPv6
  bridge_network_hairpin_mode b
  host_network { append HostNetworks
    cidr s
    interface s
    reserved_ports s
  }
  bind_wildcard_default_host_network h
  host_volume { over-name HostVolumes
    path s
    read_only b
  }
  cgroup_parent s acts
  nomad_service_discovery B
  log_file s
  reserved { strict acts
    cpu i
    cores s
    memory i MemoryMB
    disk i DiskMB
    reserved_ports s
  }
  artifact {
    http_read_timeout S
    http_max_size S
    gcs_timeout S GCSTimeout
    git_timeout S
    hg_timeout S
    s3_timeout S
    decompression_size_limit S
    decompression_file_count_limit I
    disable_artifact_inspection B
    disable_filesystem_isolation B
    filesystem_isolation_extra_paths l
    set_environment_variables S
  }
  template { TemplateConfig
    function_denylist E
    function_blacklist l
    disable_file_sandbox b DisableSandbox
    max_stale d
    block_query_wait d BlockQueryWaitTime
    wait {
      min d
      max d
    }
    wait_bounds {
      min d
      max d
    }
    consul_retry {
      attempts I
      backoff d
      max_backoff d
    }
    vault_retry {
      attempts I
      backoff d
      max_backoff d
    }
    nomad_retry {
      attempts I
      backoff d
      max_backoff d
    }
    vault_default_lease_duration d
    use_client_consul_token b
  }
  drain_on_shutdown { Drain
    deadline S
    force B
    ignore_system_jobs B
  }
  users {
    dynamic_user_min I MinDynamicUser
    dynamic_user_max I MaxDynamicUser
  }
  fingerprint { by-name Fingerprinters
    retry_interval d
    retry_attempts i
    exit_on_failure B
  }
}
server { strict
  enabled b acts
  bootstrap_expect i acts
  authoritative_region s acts
  data_dir s
  encrypt s EncryptKey acts
  num_schedulers I acts
  enabled_schedulers L acts
  plan_apply_pipeline I
  enable_event_broker B acts
  event_buffer_size I acts
  node_gc_threshold s acts
  job_gc_interval s
  job_gc_threshold s acts
  eval_gc_threshold s acts
  batch_eval_gc_threshold s acts
  deployment_gc_threshold s acts
  csi_volume_claim_gc_interval s
  csi_volume_claim_gc_threshold s
  csi_plugin_gc_threshold s
  acl_token_gc_threshold s
  root_key_gc_interval s
  root_key_gc_threshold s
  root_key_rotation_threshold s
  heartbeat_grace d acts
  min_heartbeat_ttl d acts
  failover_heartbeat_ttl d acts
  max_heartbeats_per_second f acts
  deploy_query_rate_limit f DeploymentQueryRateLimit
  client_introduction { strict
    enforcement s
    default_identity_ttl d
    max_identity_ttl d
  }
  default_scheduler_config { whole
    scheduler_algorithm s
    memory_oversubscription_enabled b
    reject_job_registration b
    pause_eval_broker b
    node_limit_for_feasibility_checks i
    preemption_config {
      system_scheduler_enabled b
      sysbatch_scheduler_enabled b SysBatchSchedulerEnabled
      batch_scheduler_enabled b
      service_scheduler_enabled b
    }
  }
  license_path s
  license_env s
  non_voting_server b
  non_production b
  redundancy_zone s
  upgrade_version s
  plan_rejection_tracker { strict
    enabled B
    node_threshold i
    node_window d
  }
  protocol_version i
  raft_protocol i acts
  raft_multiplier I
  raft_snapshot_threshold I acts
  raft_snapshot_interval S
  raft_trailing_logs I acts
  raft_boltdb { RaftBoltConfig
    no_freelist_sync b
  }
  raft_logstore { RaftLogStoreConfig
    backend s
    disable_log_cache b
    boltdb { BoltDB
      no_freelist_sync b
    }
    wal { WAL
      segment_size_mb i
    }
    verification {
      enabled b
      interval s
    }
  }
  rejoin_after_leave b
  server_join { strict
    start_join l acts
    retry_join l acts
    retry_max i RetryMaxAttempts
    retry_interval d acts
  }
  retry_join L acts
  retry_interval d
  retry_max i RetryMaxAttempts
  start_join L acts
  start_timeout s
  search { whole acts
    fuzzy_enabled b
    limit_query i
    limit_results i
    min_term_length i
  }
  job_default_priority I
  job_max_priority I acts
  job_max_count I acts
  job_max_source_size S
  job_tracked_versions I
  oidc_issuer s OIDCIssuer
  log_file s
}
consul { clusters Consuls
  name s
  address n Addr
  auth s
  token s
  auto_advertise B
  ca_file s CAFile
  cert_file s
  key_file s
  checks_use_advertise B
  namespace s
  ssl B EnableSSL
  verify_ssl B VerifySSL
  share_ssl B ShareSSL
  tags L
  timeout d
  client_auto_join B
  client_service_name s
  client_http_check_name s
  client_failures_before_critical i
  client_failures_before_warning i
  grpc_address s GRPCAddr
  grpc_ca_file s GRPCCAFile
  service_auth_method s ServiceIdentityAuthMethod
  task_auth_method s TaskIdentityAuthMethod
  server_service_name s
  server_http_check_name s
  server_serf_check_name s
  server_rpc_check_name s
  server_auto_join B
  server_failures_before_critical i
  server_failures_before_warning i
  service_identity {
    aud U Audience
    ttl d
    env B
    file B
    filepath s
    extra_claims m
  }
  task_identity {
    aud U Audience
    ttl d
    env B
    file B
    filepath s
    extra_claims m
  }
}
vault { clusters Vaults
  name s
  enabled B
  address s Addr
  namespace s
  token s
  create_from_role s Role
  jwt_auth_backend_path s JWTAuthBackendPath
  ca_file s TLSCaFile
  ca_path s TLSCaPath
  cert_file s TLSCertFile
  key_file s TLSKeyFile
  tls_server_name s TLSServerName
  tls_skip_verify B TLSSkipVerify
  default_identity {
    aud U Audience
    ttl d
    env B
    file B
    filepath s
    extra_claims m
  }
}
keyring { providers free KEKProviders acts
  name s
  active b
}
plugin { by-name Plugins acts
  args l
  config { free whole
  }
}
reporting {
  license {
    enabled B
  }
  snapshot_retention_time d
  disable_product_usage_reporting b DisableUsageReporting
  address s ExportAddress
  export_interval d
}
sentinel {
  import { over-name Imports
    path s
    args l
  }
  additional_enabled_modules l
}
telemetry { strict
  in_memory_collection_interval c
  in_memory_retention_period c
  disable_hostname b
  use_node_name b
  collection_interval c
  publish_allocation_metrics b acts
  publish_node_metrics b acts
  include_alloc_metadata_in_metrics b
  allowed_metadata_keys_in_metrics L
  filter_default B
  prefix_filter l
  disable_dispatched_job_summary_metrics b
  disable_quota_utilization_metrics b
  disable_rpc_rate_metrics_labels b
  disable_allocation_hook_metrics B
  statsite_address s StatsiteAddr
  statsd_address s StatsdAddr
  datadog_address s DataDogAddr
  datadog_tags l DataDogTags
  prometheus_metrics b acts
  circonus_api_token s
  circonus_api_app s
  circonus_api_url s
  circonus_submission_interval s
  circonus_submission_url s CirconusCheckSubmissionURL
  circonus_check_id s
  circonus_check_force_metric_activation s
  circonus_check_instance_id s
  circonus_check_search_tag s
  circonus_check_display_name s
  circonus_check_tags s
  circonus_broker_id s
  circonus_broker_select_tag s
}
tls { strict TLSConfig acts
  http b EnableHTTP
  rpc b EnableRPC
  rpc_upgrade_mode b
  ca_file s CAFile
  cert_file s
  key_file s
  tls_cipher_suites s TLSCipherSuites
  tls_min_version s TLSMinVersion
  verify_https_client b
  verify_server_hostname b
}
ui {
  enabled e
  show_cli_hints B ShowCLIHints
  content_security_policy {
    connect_src l
    default_src l
    form_action l
    frame_ancestors l
    img_src l
    script_src l
    style_src l
  }
  consul {
    ui_url s BaseUIURL
  }
  vault {
    ui_url s BaseUIURL
  }
  label {
    text s
    background_color s
    text_color s
  }
}
"#;
