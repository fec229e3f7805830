//! What a task asks for: processor time, memory, networks, ports, devices.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::{Affinity, Constraint};

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
