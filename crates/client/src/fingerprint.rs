//! What this node is and has, as it tells the servers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use drover_api as api;
use drover_base::WallTime;
use drover_driver::{Driver, Health, Registry};
use drover_linux::cgroup::Version;
use drover_linux::fingerprint as host;
use drover_model::mirror::Carried;
use drover_model::{Node, NodeAddress, NodeDriver, NodeNetwork, NodeResources};

use crate::config::ClientConfig;
use crate::identity::NodeIdentity;

/// The speed of a network that does not tell its own, in Mbit/s.
const NETWORK_SPEED: u32 = 1000;
/// The speed of a core that does not tell its own, in MHz.
const CORE_MHZ: u64 = 1000;
const MIB: u64 = 1024 * 1024;

/// Metadata every node has unless it is configured otherwise: what service mesh proxies are made of.
const DEFAULT_META: &[(&str, &str)] = &[
    ("connect.sidecar_image", "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}"),
    ("connect.gateway_image", "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}"),
    ("connect.log_level", "info"),
    ("connect.proxy_concurrency", "1"),
    ("connect.transparent_proxy.default_uid", "101"),
    ("connect.transparent_proxy.default_outbound_port", "15001"),
];

/// Reads everything about this machine and puts the node together. Takes a few milliseconds and asks nothing outside the machine.
pub fn node(config: &ClientConfig, identity: &NodeIdentity, groups: Version, drivers: &Registry, now: WallTime) -> Node {
    let mut attributes = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        attributes.insert(name.to_owned(), value);
    };
    let facts = host::host();
    set("os.name", facts.os_name);
    set("os.version", facts.os_version);
    set("kernel.name", facts.kernel_name);
    set("kernel.version", facts.kernel_version);
    set("kernel.arch", facts.kernel_arch);
    set("unique.hostname", facts.name.clone());
    set("cpu.arch", host::architecture().to_owned());
    set("nomad.version", config.nomad_version.clone());
    set("drover.version", config.drover_version.clone());
    set("nomad.service_discovery", "true".to_owned());
    set("os.signals", drover_linux::signal::names());
    if let Some(version) = host::landlock_version() {
        set("kernel.landlock", format!("v{version}"));
    }
    match groups {
        Version::Off => {}
        Version::V1 => set("os.cgroups.version", "1".to_owned()),
        Version::V2 => set("os.cgroups.version", "2".to_owned()),
    }
    set("unique.advertise.address", config.http_addr.clone());

    let mut resources = NodeResources {
        min_dynamic_port: config.min_dynamic_port,
        max_dynamic_port: config.max_dynamic_port,
        reserved_cpu_mhz: config.reserved_cpu_mhz,
        reserved_cores: config.reserved_cores.clone(),
        reserved_memory_mb: config.reserved_memory_mb,
        reserved_disk_mb: config.reserved_disk_mb,
        reserved_ports: config.reserved_ports.clone(),
        ..NodeResources::default()
    };
    let topology = processors(config, &mut resources, &mut set);
    memory(config, &mut resources, &mut set);
    storage(config, &mut resources, &mut set);
    network(config, &mut resources, &mut set);

    let drivers = driver_states(drivers.iter(), &BTreeMap::new(), now);
    attributes.extend(driver_attributes(&drivers));
    let mut meta: BTreeMap<String, String> = DEFAULT_META.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    meta.extend(config.meta.clone());
    Node {
        id: identity.id,
        secret_id: identity.secret.clone(),
        name: if config.node_name.is_empty() { facts.name } else { config.node_name.clone() },
        datacenter: config.datacenter.clone(),
        node_pool: config.node_pool.clone(),
        node_class: config.node_class.clone(),
        http_addr: config.http_addr.clone(),
        attributes,
        meta,
        links: BTreeMap::new(),
        resources,
        drivers,
        cgroup_parent: parent_cgroup(config).to_owned(),
        host_networks: BTreeMap::new(),
        max_allocs: config.node_max_allocs,
        topology: Some(Carried(topology)),
        host_volumes: None,
        tls_enabled: config.tls_enabled.then_some(true),
    }
}

/// The parent of all tasks' control groups as tasks and the API see it.
pub fn parent_cgroup(config: &ClientConfig) -> &str {
    if config.cgroup_parent.is_empty() { "nomad.slice" } else { &config.cgroup_parent }
}

fn processors(config: &ClientConfig, resources: &mut NodeResources, set: &mut impl FnMut(&str, String)) -> api::Topology {
    let found = host::processors().unwrap_or_else(|error| {
        tracing::warn!(%error, "processors could not be read");
        host::Processors::default()
    });
    let cores = if found.cores.is_empty() { vec![0] } else { found.cores };
    let mhz = if found.mhz == 0 { CORE_MHZ } else { found.mhz };
    let total = config.cpu_total_compute.map_or(mhz * cores.len() as u64, u64::from);
    let reserved: u64 =
        u64::from(config.reserved_cpu_mhz) + mhz * config.reserved_cores.iter().filter(|core| cores.contains(core)).count() as u64;
    let reservable: Vec<u16> = if config.reservable_cores.is_empty() {
        cores.clone()
    } else {
        config.reservable_cores.iter().copied().filter(|core| cores.contains(core)).collect()
    };
    if !found.model.is_empty() {
        set("cpu.modelname", found.model);
    }
    set("cpu.numcores", cores.len().to_string());
    set("cpu.reservablecores", reservable.len().to_string());
    set("cpu.frequency", mhz.to_string());
    set("cpu.totalcompute", total.to_string());
    set("cpu.usablecompute", total.saturating_sub(reserved).to_string());
    let nodes = host::numa_nodes(&cores);
    set("numa.node.count", nodes.len().to_string());
    for (id, list) in &nodes {
        set(&format!("numa.node{id}.cores"), host::format_list(list));
    }
    resources.cpu_mhz = u32::try_from(total).unwrap_or(u32::MAX);
    resources.cores_total = u16::try_from(cores.len()).unwrap_or(u16::MAX);
    resources.reservable_cores = reservable;
    let node_of = |core: u16| nodes.iter().find(|(_, list)| list.contains(&core)).map_or(0, |(id, _)| u64::from(*id));
    api::Topology {
        nodes: Some(nodes.iter().map(|(id, _)| u64::from(*id)).collect()),
        distances: None,
        cores: Some(
            cores
                .iter()
                .map(|core| api::Core {
                    socket_id: 0,
                    node_id: node_of(*core),
                    id: u64::from(*core),
                    grade: true,
                    disable: config.reserved_cores.contains(core),
                    base_speed: 0,
                    max_speed: 0,
                    guess_speed: mhz,
                })
                .collect(),
        ),
        override_total_compute: config.cpu_total_compute.map_or(0, u64::from),
        override_withold_compute: u64::from(config.reserved_cpu_mhz),
    }
}

fn memory(config: &ClientConfig, resources: &mut NodeResources, set: &mut impl FnMut(&str, String)) {
    let total = match config.memory_total_mb {
        Some(megabytes) => u64::from(megabytes) * MIB,
        None => host::memory().map_or(0, |memory| memory.total),
    };
    set("memory.totalbytes", total.to_string());
    resources.memory_mb = u32::try_from(total / MIB).unwrap_or(u32::MAX);
}

fn storage(config: &ClientConfig, resources: &mut NodeResources, set: &mut impl FnMut(&str, String)) {
    let used = drover_linux::path::file_system_use(&config.alloc_dir).unwrap_or_default();
    if let Some(volume) = host::volume_of(&config.alloc_dir) {
        set("unique.storage.volume", volume);
    }
    let total = config.disk_total_mb.map_or(used.bytes_total, |megabytes| u64::from(megabytes) * MIB);
    set("unique.storage.bytestotal", total.to_string());
    let free = config.disk_free_mb.map_or(used.bytes_available / MIB, u64::from);
    resources.disk_mb = u32::try_from(free).unwrap_or(u32::MAX);
}

fn network(config: &ClientConfig, resources: &mut NodeResources, set: &mut impl FnMut(&str, String)) {
    let interfaces = host::interfaces().unwrap_or_default();
    let wanted = if config.network_interface.is_empty() { host::default_interface() } else { Some(config.network_interface.clone()) };
    let named = |name: &str| interfaces.iter().find(|interface| interface.name == name);
    let loopback = || interfaces.iter().find(|interface| interface.is_loopback);
    let Some(chosen) = wanted.as_deref().and_then(named).or_else(loopback) else {
        tracing::warn!("no network interface was found");
        return;
    };
    let mut addresses: Vec<&IpAddr> = chosen.addresses.iter().filter(|address| !is_link_local(address)).collect();
    addresses.sort_by_key(|address| address.is_ipv6());
    if let Some(first) = addresses.first() {
        set("unique.network.ip-address", first.to_string());
    }
    resources.networks = vec![NodeNetwork {
        mode: "host".to_owned(),
        device: chosen.name.clone(),
        mac_address: chosen.mac.clone(),
        speed: chosen.speed.unwrap_or(NETWORK_SPEED),
        addresses: addresses
            .into_iter()
            .map(|address| NodeAddress {
                alias: "default".to_owned(),
                address: address.to_string(),
                family: if address.is_ipv6() { "ipv6" } else { "ipv4" }.to_owned(),
                reserved_ports: String::new(),
            })
            .collect(),
    }];
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// The address that services of allocations without one of their own are reached at.
pub fn node_ip(node: &Node) -> String {
    node.attributes.get("unique.network.ip-address").cloned().unwrap_or_default()
}

/// What each driver says about itself; one that says the same as before keeps the time of its last change.
pub fn driver_states<'a>(
    drivers: impl IntoIterator<Item = &'a Arc<dyn Driver>>,
    before: &BTreeMap<String, NodeDriver>,
    now: WallTime,
) -> BTreeMap<String, NodeDriver> {
    drivers
        .into_iter()
        .map(|driver| {
            let found = driver.fingerprint();
            let mut state = NodeDriver {
                detected: found.health != Health::Undetected,
                healthy: found.health == Health::Healthy,
                health_description: found.description,
                attributes: found.attributes,
                update_time: now,
            };
            if let Some(known) = before.get(driver.name()) {
                let same = NodeDriver { update_time: known.update_time, ..state.clone() };
                if same == *known {
                    state = same;
                }
            }
            (driver.name().to_owned(), state)
        })
        .collect()
}

/// The node once these of its drivers have been asked; none when they say what they said before. What drivers that are not detected
/// any more brought with them is gone.
pub fn with_drivers(node: &Node, asked: BTreeMap<String, NodeDriver>) -> Option<Node> {
    if asked.iter().all(|(name, state)| node.drivers.get(name) == Some(state)) {
        return None;
    }
    let mut changed = node.clone();
    for name in driver_attributes(&node.drivers).keys() {
        changed.attributes.remove(name);
    }
    changed.drivers.extend(asked);
    changed.attributes.extend(driver_attributes(&changed.drivers));
    Some(changed)
}

/// The node's attributes that come from its drivers.
pub fn driver_attributes(drivers: &BTreeMap<String, NodeDriver>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (name, driver) in drivers.iter().filter(|(_, driver)| driver.detected) {
        attributes.extend(driver.attributes.clone());
        attributes.insert(format!("driver.{name}"), "1".to_owned());
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;
    use drover_rt::Entropy;

    #[proves("CLI-105")]
    #[test]
    fn a_node_tells_what_it_has_and_what_it_keeps() {
        let identity = NodeIdentity::new(&Entropy::seeded(1));
        let config = ClientConfig {
            alloc_dir: "/".into(),
            cpu_total_compute: Some(9000),
            memory_total_mb: Some(4096),
            reserved_cpu_mhz: 500,
            reserved_memory_mb: 256,
            reserved_ports: "22".to_owned(),
            meta: BTreeMap::from([("rack".to_owned(), "r7".to_owned())]),
            network_interface: "lo".to_owned(),
            ..ClientConfig::default()
        };
        let node = node(&config, &identity, Version::V1, &Registry::new(), WallTime(5));
        assert_eq!((node.resources.cpu_mhz, node.resources.memory_mb), (9000, 4096));
        assert_eq!((node.resources.reserved_cpu_mhz, node.resources.reserved_memory_mb), (500, 256));
        assert_eq!(node.resources.reserved_ports, "22");
        assert_eq!(node.attributes["cpu.usablecompute"], "8500");
        assert_eq!(node.attributes["unique.network.ip-address"], "127.0.0.1");
        assert_eq!(node.meta["rack"], "r7");
        assert!(node.resources.disk_mb > 0 && node.attributes.contains_key("kernel.version"));
    }
}
