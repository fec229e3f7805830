//! Nodes: machines that run allocations.

use std::collections::BTreeMap;

use drover_base::{NodeId, WallTime};
use minicbor::{Decode, Encode};

use crate::Index;

text_enum! {
    /// Whether the servers hear from a node.
    NodeStatus { 0 Initializing = "initializing", 1 Ready = "ready", 2 Down = "down", 3 Disconnected = "disconnected", }
}

text_enum! {
    /// How the last drain of a node went.
    DrainStatus { 0 Draining = "draining", 1 Complete = "complete", 2 Canceled = "canceled", }
}

/// How a node is to be drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DrainSpec {
    /// Nanoseconds until what is left is moved by force; 0 waits without end, less than 0 is at once.
    #[n(0)]
    pub deadline_ns: i64,
    /// Leaves allocations of system jobs alone.
    #[n(1)]
    pub ignore_system_jobs: bool,
}

/// A drain under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DrainStrategy {
    /// What was asked for.
    #[n(0)]
    pub spec: DrainSpec,
    /// When what is left is moved by force; zero without a deadline.
    #[n(1)]
    pub force_deadline: WallTime,
    /// When the drain was first asked for.
    #[n(2)]
    pub started_at: WallTime,
}

impl DrainStrategy {
    /// Whether what is left is moved now.
    pub fn forced(&self, now: WallTime) -> bool {
        self.spec.deadline_ns < 0 || (!self.force_deadline.is_zero() && self.force_deadline <= now)
    }
}

/// The last drain of a node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct LastDrain {
    /// When it began.
    #[n(0)]
    pub started_at: WallTime,
    /// When it last changed.
    #[n(1)]
    pub updated_at: WallTime,
    /// How it went.
    #[n(2)]
    pub status: DrainStatus,
    /// Who asked for it.
    #[n(3)]
    #[cbor(default)]
    pub accessor: String,
    /// What they noted.
    #[n(4)]
    #[cbor(default)]
    pub meta: BTreeMap<String, String>,
}

/// A network address of a node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodeAddress {
    /// The host network's name, `default` unless configured.
    #[n(0)]
    pub alias: String,
    /// The address.
    #[n(1)]
    pub address: String,
    /// `ipv4` or `ipv6`.
    #[n(2)]
    pub family: String,
    /// Ports that must not be given out, as text.
    #[n(3)]
    #[cbor(default)]
    pub reserved_ports: String,
}

/// A network of a node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodeNetwork {
    /// `host`, `bridge`, `cni/<name>`.
    #[n(0)]
    pub mode: String,
    /// The interface.
    #[n(1)]
    pub device: String,
    /// The hardware address.
    #[n(2)]
    #[cbor(default)]
    pub mac_address: String,
    /// Mbit/s.
    #[n(3)]
    #[cbor(default)]
    pub speed: u32,
    /// The addresses.
    #[n(4)]
    #[cbor(default)]
    pub addresses: Vec<NodeAddress>,
}

/// What a node has, and what of it is kept for others.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodeResources {
    /// MHz of all usable cores.
    #[n(0)]
    pub cpu_mhz: u32,
    /// Cores in all.
    #[n(1)]
    pub cores_total: u16,
    /// Cores that may be given to one task alone.
    #[n(2)]
    pub reservable_cores: Vec<u16>,
    /// MiB.
    #[n(3)]
    pub memory_mb: u32,
    /// MiB.
    #[n(4)]
    pub disk_mb: u32,
    /// Networks.
    #[n(5)]
    pub networks: Vec<NodeNetwork>,
    /// First dynamic port.
    #[n(6)]
    pub min_dynamic_port: u16,
    /// Last dynamic port.
    #[n(7)]
    pub max_dynamic_port: u16,
    /// MHz kept.
    #[n(8)]
    #[cbor(default)]
    pub reserved_cpu_mhz: u32,
    /// Cores kept.
    #[n(9)]
    #[cbor(default)]
    pub reserved_cores: Vec<u16>,
    /// MiB kept.
    #[n(10)]
    #[cbor(default)]
    pub reserved_memory_mb: u32,
    /// MiB kept.
    #[n(11)]
    #[cbor(default)]
    pub reserved_disk_mb: u32,
    /// Ports kept, as `22,80,8500-8600`.
    #[n(12)]
    #[cbor(default)]
    pub reserved_ports: String,
}

/// A driver on a node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodeDriver {
    /// Whether it is there.
    #[n(0)]
    pub detected: bool,
    /// Whether it takes tasks.
    #[n(1)]
    pub healthy: bool,
    /// Why not.
    #[n(2)]
    pub health_description: String,
    /// `driver.NAME.…` attributes.
    #[n(3)]
    #[cbor(default)]
    pub attributes: BTreeMap<String, String>,
    /// When it last changed.
    #[n(4)]
    #[cbor(default)]
    pub update_time: WallTime,
}

/// Something that happened to a node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NodeEvent {
    /// What.
    #[n(0)]
    pub message: String,
    /// Who says so.
    #[n(1)]
    pub subsystem: String,
    /// Details.
    #[n(2)]
    #[cbor(default)]
    pub details: BTreeMap<String, String>,
    /// When.
    #[n(3)]
    pub time: WallTime,
    /// The log entry.
    #[n(4)]
    #[cbor(default)]
    pub create_index: Index,
}

/// What a node says about itself when it registers.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Node {
    /// The id.
    #[n(0)]
    pub id: NodeId,
    /// Proves that requests come from the node; never shown.
    #[n(1)]
    pub secret_id: String,
    /// Its name.
    #[n(2)]
    pub name: String,
    /// Its datacenter.
    #[n(3)]
    pub datacenter: String,
    /// Its pool.
    #[n(4)]
    pub node_pool: String,
    /// Its class.
    #[n(5)]
    pub node_class: String,
    /// `host:port` of its HTTP API.
    #[n(6)]
    pub http_addr: String,
    /// Facts; keys that start with `unique.` do not count for the computed class.
    #[n(7)]
    pub attributes: BTreeMap<String, String>,
    /// Given by its configuration.
    #[n(8)]
    pub meta: BTreeMap<String, String>,
    /// Links to other systems.
    #[n(9)]
    #[cbor(default)]
    pub links: BTreeMap<String, String>,
    /// What it has.
    #[n(10)]
    pub resources: NodeResources,
    /// Its drivers.
    #[n(11)]
    pub drivers: BTreeMap<String, NodeDriver>,
    /// The parent cgroup of its tasks.
    #[n(12)]
    #[cbor(default)]
    pub cgroup_parent: String,
    /// Host networks: name to (interface, CIDR).
    #[n(13)]
    #[cbor(default)]
    pub host_networks: BTreeMap<String, (String, String)>,
    /// At most so many allocations; 0 for no limit.
    #[n(14)]
    #[cbor(default)]
    pub max_allocs: u32,
    /// Core layout as the API shows it.
    #[n(15)]
    pub topology: Option<crate::mirror::Carried<drover_api::Topology>>,
    /// Directories offered as volumes, by name.
    #[n(16)]
    pub host_volumes: Option<BTreeMap<String, HostVolume>>,
    /// Whether its HTTP API speaks TLS; none is no, so that nodes without it keep the bytes they had.
    #[n(17)]
    pub tls_enabled: Option<bool>,
}

/// A directory of a node that groups may mount.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct HostVolume {
    /// Where it lies.
    #[n(0)]
    pub path: String,
    /// Whether it may only be read.
    #[n(1)]
    pub read_only: bool,
}

impl Node {
    /// Equal for nodes that no constraint over class-wide facts can tell apart (SCH-026).
    pub fn computed_class(&self) -> u64 {
        let mut hash = Fnv::default();
        self.hash_facts(&mut hash);
        hash.0
    }

    /// Equal for nodes that differ in nothing the scheduler looks at, but for what is unique to a node and for what is in
    /// use. Finer than the class: drivers' health, networks, volumes and size count.
    pub fn shape(&self) -> u64 {
        let mut hash = Fnv::default();
        self.hash_facts(&mut hash);
        for (name, driver) in &self.drivers {
            hash.text(name);
            hash.text(if driver.detected && driver.healthy { "1" } else { "0" });
        }
        for network in &self.resources.networks {
            hash.text(&network.mode);
            for address in &network.addresses {
                hash.text(&address.alias);
            }
        }
        for (name, volume) in self.host_volumes.iter().flatten() {
            hash.text(name);
            hash.text(if volume.read_only { "1" } else { "0" });
        }
        let size = &self.resources;
        for number in [size.cpu_mhz, size.reserved_cpu_mhz, size.memory_mb, size.reserved_memory_mb, u32::from(size.cores_total)] {
            hash.bytes(&number.to_be_bytes());
        }
        hash.0
    }

    fn hash_facts(&self, hash: &mut Fnv) {
        for part in [&self.datacenter, &self.node_class, &self.node_pool] {
            hash.text(part);
        }
        for (kind, facts) in [("attr", &self.attributes), ("meta", &self.meta)] {
            hash.text(kind);
            for (key, value) in facts.iter().filter(|(key, _)| !key.starts_with("unique.")) {
                hash.text(key);
                hash.text(value);
            }
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo) of some bytes, 64 bits: stable across builds and machines.
pub fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::default();
    hash.bytes(bytes);
    hash.0
}

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
    }
}
