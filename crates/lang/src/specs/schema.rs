//! What may stand in each specification, as a table per kind.
//!
//! One key per line: name, kind, and where it is not the Pascal-case form, the name in the API. Kinds: `s` text, `i` whole
//! number, `f` number, `b` bool, `d` duration in nanoseconds, `t` duration kept as text, `z` size in bytes, `g` size in
//! MiB, `l` list of texts, `m` map of texts, `a` map of anything; a `!` behind it: required. `{` opens a block up to `}`.
//! Flags: `many` (a list), `label=Field` (a list of blocks with a label), `free=label` (a map by label of anything),
//! `inline` (the value is that of the only key inside), `one-of=a|b` and `each-of=a|b` (known words), `word` (a name),
//! `short` (a description), `not-empty`.

use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Number,
    Bool,
    Nanoseconds,
    Duration,
    Bytes,
    Mebibytes,
    List,
    TextMap,
    AnyMap,
    Block,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) api: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) flags: Vec<&'static str>,
    pub(super) keys: Vec<Key>,
}

impl Key {
    pub(super) fn flag(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// What stands behind `name=` among the flags.
    pub(super) fn setting(&self, name: &str) -> Option<&'static str> {
        self.flags.iter().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name))
    }
}

/// The kinds of specifications with their tables.
pub(super) static TABLES: LazyLock<Vec<Key>> = LazyLock::new(|| keys(&mut TABLE.lines().filter(|line| !line.trim().is_empty())));

fn keys(lines: &mut impl Iterator<Item = &'static str>) -> Vec<Key> {
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        if name == "}" {
            break;
        }
        let mark = words.next().unwrap_or("s");
        let flags: Vec<&'static str> = words.collect();
        let kind = match mark.trim_end_matches('!') {
            "i" => Kind::Whole,
            "f" => Kind::Number,
            "b" => Kind::Bool,
            "d" => Kind::Nanoseconds,
            "t" => Kind::Duration,
            "z" => Kind::Bytes,
            "g" => Kind::Mebibytes,
            "l" => Kind::List,
            "m" => Kind::TextMap,
            "a" => Kind::AnyMap,
            "{" => Kind::Block,
            _ => Kind::Text,
        };
        let api = flags.iter().find(|flag| flag.starts_with(|c: char| c.is_uppercase()) && !flag.contains('='));
        let api = api.map_or_else(|| pascal(name), |api| (*api).to_owned());
        let keys = if kind == Kind::Block { keys(lines) } else { Vec::new() };
        found.push(Key { name, api, kind, required: mark.ends_with('!'), flags, keys });
    }
    found
}

fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        })
        .collect()
}

const TABLE: &str = r#"
namespace { lenient
  name s! word
  description s short
  quota s
  meta m
  capabilities {
    enabled_task_drivers l
    disabled_task_drivers l
    enabled_network_modes l
    disabled_network_modes l
  }
  required_extra_claims m
  optional_extra_claims m
  node_pool_config { NodePoolConfiguration
    default s
    allowed l
    denied l
  }
  vault { VaultConfiguration
    default s
    allowed l
    denied l
  }
  consul { ConsulConfiguration
    default s
    allowed l
    denied l
  }
}
node_pool { strict
  node_pool {! label=Name
    description s short
    meta m
    node_identity_ttl d NodeIdentityTTL
    scheduler_config { SchedulerConfiguration
      scheduler_algorithm s one-of=binpack|spread
      memory_oversubscription_enabled b
    }
  }
}
quota { strict
  name s! word
  description s short
  limit {! many Limits
    region s!
    variables_limit i
    region_limit {!
      cores i
      cpu i CPU
      memory i MemoryMB
      memory_max i MemoryMaxMB
      device { label=Name Devices
        count i!
      }
      storage {
        variables g VariablesMB
        host_volumes g HostVolumesMB
      }
      node_pool { label=NodePool NodePools
        cores i
        cpu i CPU
        memory i MemoryMB
        memory_max i MemoryMaxMB
        device { label=Name Devices
          count i!
        }
        storage {
          variables g VariablesMB
          host_volumes g HostVolumesMB
        }
      }
    }
  }
}
acl_policy { strict
  namespace { label=Name Namespaces default-label
    policy s one-of=deny|read|write|scale
    capabilities l each-of=deny|list-jobs|parse-job|read-job|submit-job|dispatch-job|read-logs|read-fs|alloc-exec|alloc-node-exec|alloc-lifecycle|csi-register-plugin|csi-write-volume|csi-read-volume|csi-list-volume|csi-mount-volume|host-volume-create|host-volume-delete|host-volume-read|host-volume-register|host-volume-write|list-scaling-policies|read-scaling-policy|read-job-scaling|scale-job|sentinel-override|submit-recommendation|register-job|revert-job|deregister-job|purge-job|evaluate-job|plan-job|tag-job-version|stable-job|fail-deployment|pause-deployment|promote-deployment|unblock-deployment|cancel-deployment|set-alloc-health-deployment|gc-allocation|pause-allocation|force-periodic-job|delete-service-registration
    variables {
      path { label=PathSpec Paths
        capabilities l! each-of=write|read|list|destroy|deny
      }
    }
  }
  node_pool { label=Name NodePools
    policy s one-of=deny|read|write
    capabilities l each-of=deny|read|write|delete
  }
  host_volume { label=Name HostVolumes
    policy s one-of=deny|read|write
    capabilities l each-of=deny|mount-readonly|mount-readwrite
  }
  agent {
    policy s! one-of=deny|read|write
  }
  node {
    policy s! one-of=deny|read|write
  }
  operator {
    policy s one-of=deny|read|write
    capabilities l each-of=deny|snapshot-save|license-read|keyring-rotate|keyring-read|keyring-delete
  }
  sentinel {
    policy s one-of=deny|read|write
    capabilities l each-of=deny|sentinel-read|sentinel-submit|sentinel-delete
  }
  quota {
    policy s! one-of=deny|read|write
  }
  plugin {
    policy s! one-of=deny|list|read|write
  }
}
csi_volume { strict
  type s! one-of=csi
  id s! ID
  name s!
  namespace s
  plugin_id s! PluginID
  external_id s ExternalID
  capability {! many RequestedCapabilities
    access_mode s! one-of=single-node-reader-only|single-node-writer|multi-node-reader-only|multi-node-single-writer|multi-node-multi-writer
    attachment_mode s! one-of=file-system|block-device
  }
  capacity_min z RequestedCapacityMin
  capacity_max z RequestedCapacityMax
  clone_id s CloneID
  snapshot_id s SnapshotID
  context m
  parameters m
  secrets m
  mount_options {
    fs_type s FSType
    mount_flags l
  }
  topology_request { RequestedTopologies
    required { inline
      topology { many
        segments m!
      }
    }
    preferred { inline
      topology { many
        segments m!
      }
    }
  }
}
host_volume { strict
  type s! one-of=host
  name s!
  id s ID
  namespace s
  plugin_id s PluginID
  node_id s NodeID
  node_pool s
  host_path s
  capacity z CapacityBytes
  capacity_min z RequestedCapacityMinBytes
  capacity_max z RequestedCapacityMaxBytes
  capability { many RequestedCapabilities
    access_mode s one-of=single-node-reader-only|single-node-writer|single-node-single-writer|single-node-multi-writer
    attachment_mode s one-of=file-system|block-device
  }
  constraint { many Constraints
    attribute s LTarget
    operator s Operand
    value s RTarget
    regexp s
    version s
    semver s
    set_contains s
    set_contains_all s
    set_contains_any s
    is_set s
    is_not_set s
  }
  parameters m
}
variable { strict
  path s
  namespace s
  items m! not-empty
  create_index i
  modify_index i
  create_time i
  modify_time i
  lock {
    id s ID
    ttl t TTL
    lock_delay t
  }
}
scaling_policy { strict
  scaling {! label=Name
    enabled b
    min i
    max i!
    type s
    policy {!
      cooldown t
      evaluation_interval t
      on_check_error s one-of=fail|ignore
      check {! label=Name Checks
        source s
        query s
        query_window t
        query_window_offset t
        group s
        on_error s one-of=fail|ignore
        strategy {! free=label
        }
      }
      target { free=label
      }
    }
  }
}
"#;
