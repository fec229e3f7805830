//! What tasks ask for and what allocations were given.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::mirror::Carried;

mirror! {
    /// A port that a group asks for, or was given.
    Port: Port {
        0 same label: String,
        /// The host port; 0 until a dynamic one is chosen.
        1 number value: u16,
        /// The port inside the network namespace; 0 for the same, -1 for the host port's number.
        2 number to: i32,
        3 same host_network: String,
        4 same ignore_collision: bool,
    }
}

mirror! {
    /// A network that a group or task asks for.
    #[derive(drover_macros::Change)]
    NetworkResource: NetworkResource {
        #[change(replace)]
        0 same mode: String,
        #[change(in_place)]
        1 same device: String,
        #[change(in_place)]
        2 same cidr: String,
        #[change(in_place)]
        3 same ip: String,
        #[change(replace)]
        4 carried dns: Option<Carried<drover_api::DNSConfig>>,
        #[change(replace)]
        5 domains reserved_ports: Vec<Port>,
        #[change(replace)]
        6 domains dynamic_ports: Vec<Port>,
        #[change(replace)]
        7 same hostname: String,
        #[change(in_place)]
        8 same m_bits: Option<i64>,
        #[change(replace)]
        9 carried cni: Option<Carried<drover_api::CNIConfig>>,
    }
}

impl NetworkResource {
    /// Whether the group shares the host's network namespace.
    pub fn is_host(&self) -> bool {
        self.mode.is_empty() || self.mode == "host"
    }
}

mirror! {
    /// What one task asks for.
    #[derive(drover_macros::Change)]
    Resources: Resources {
        /// MHz of shared processor time; 0 with `cores`.
        #[change(replace)]
        0 number_absent cpu: u32,
        /// Whole cores for this task alone.
        #[change(replace)]
        1 number_absent cores: u32,
        #[change(replace)]
        2 number_absent memory_mb: u32,
        /// The limit when memory is oversubscribed; 0 for the same as `memory_mb`.
        #[change(replace)]
        3 number_or_all memory_max_mb: u32,
        #[change(in_place)]
        4 number_absent disk_mb: u32,
        #[change(by = crate::change::each)]
        5 domains networks: Vec<NetworkResource>,
        #[change(replace)]
        6 carried devices: Option<Carried<Vec<drover_api::RequestedDevice>>>,
        #[change(replace)]
        7 carried numa: Option<Carried<drover_api::NUMAResource>>,
        #[change(replace)]
        8 number_absent secrets_mb: u32,
        #[change(in_place)]
        9 absent iops: i64,
    }
}

mirror! {
    /// Disk of an allocation.
    EphemeralDisk: EphemeralDisk {
        0 absent sticky: bool,
        1 absent migrate: bool,
        2 number_absent size_mb: u32,
    }
}

/// A host port given to an allocation.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct PortMapping {
    /// The port's label in the group.
    #[n(0)]
    pub label: String,
    /// The host port.
    #[n(1)]
    pub value: u16,
    /// The port inside the network namespace; 0 for the same.
    #[n(2)]
    pub to: i32,
    /// The host address.
    #[n(3)]
    pub host_ip: String,
    /// Whether it may share its number with another allocation's.
    #[n(4)]
    #[cbor(default)]
    pub ignore_collision: bool,
}

/// What one task was given.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AllocatedTask {
    /// MHz of processor time.
    #[n(0)]
    pub cpu_mhz: u32,
    /// Cores for this task alone.
    #[n(1)]
    #[cbor(default)]
    pub reserved_cores: Vec<u16>,
    /// MiB of memory that is accounted for.
    #[n(2)]
    pub memory_mb: u32,
    /// MiB the task may use at most; 0 for `memory_mb`.
    #[n(3)]
    #[cbor(default)]
    pub memory_max_mb: u32,
    /// Ports asked for by the task itself (legacy task networks), as given.
    #[n(4)]
    #[cbor(default)]
    pub networks: Vec<NetworkResource>,
}

/// What an allocation was given; shared by allocations that were given the same.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AllocatedResources {
    /// By task name.
    #[n(0)]
    pub tasks: BTreeMap<String, AllocatedTask>,
    /// MiB of disk.
    #[n(1)]
    pub disk_mb: u32,
    /// The group's networks with ports filled in.
    #[n(2)]
    #[cbor(default)]
    pub networks: Vec<NetworkResource>,
    /// The group's ports.
    #[n(3)]
    #[cbor(default)]
    pub ports: Vec<PortMapping>,
    /// Lifecycle of the tasks that have one, by task name.
    #[n(4)]
    #[cbor(default)]
    pub lifecycles: BTreeMap<String, crate::TaskLifecycle>,
}
