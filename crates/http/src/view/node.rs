//! Nodes: in full and as list entries.

use std::collections::BTreeMap;

use drover_api as api;
use drover_model::{LastDrain, Node, NodeDriver, NodeNetwork, NodeResources};
use drover_state::NodeRow;

use super::{list, time};

fn eligibility(row: &NodeRow) -> &'static str {
    if row.eligible { "eligible" } else { "ineligible" }
}

fn drivers(drivers: &BTreeMap<String, NodeDriver>) -> BTreeMap<String, Option<api::DriverInfo>> {
    let info = |driver: &NodeDriver| api::DriverInfo {
        attributes: Some(driver.attributes.clone()),
        detected: driver.detected,
        healthy: driver.healthy,
        health_description: driver.health_description.clone(),
        update_time: time(driver.update_time),
    };
    drivers.iter().map(|(name, driver)| (name.clone(), Some(info(driver)))).collect()
}

fn cores(cores: &[u16]) -> Option<Vec<u64>> {
    list(cores.iter().map(|core| u64::from(*core)).collect())
}

fn node_network(network: &NodeNetwork) -> api::NodeNetworkResource {
    let addresses = network.addresses.iter().map(|address| api::NodeNetworkAddress {
        family: address.family.clone(),
        alias: address.alias.clone(),
        address: address.address.clone(),
        reserved_ports: address.reserved_ports.clone(),
        gateway: String::new(),
    });
    api::NodeNetworkResource {
        mode: network.mode.clone(),
        device: network.device.clone(),
        mac_address: network.mac_address.clone(),
        speed: i64::from(network.speed),
        addresses: list(addresses.collect()),
    }
}

/// Networks in the older form: one entry per address.
fn older_networks(networks: &[NodeNetwork]) -> Vec<api::NetworkResource> {
    let mut out = Vec::new();
    for network in networks {
        let plain = api::NetworkResource { mode: network.mode.clone(), device: network.device.clone(), ..api::NetworkResource::default() };
        if network.addresses.is_empty() {
            out.push(plain);
            continue;
        }
        for address in &network.addresses {
            let bits = if address.address.contains(':') { 128 } else { 32 };
            out.push(api::NetworkResource {
                cidr: format!("{}/{bits}", address.address),
                ip: address.address.clone(),
                m_bits: (network.speed > 0).then(|| i64::from(network.speed)),
                ..plain.clone()
            });
        }
    }
    out
}

fn resources(node: &Node) -> api::NodeResources {
    let given = &node.resources;
    api::NodeResources {
        cpu: api::NodeCpuResources {
            cpu_shares: i64::from(given.cpu_mhz),
            total_cpu_cores: u64::from(given.cores_total),
            reservable_cpu_cores: cores(&given.reservable_cores),
        },
        memory: api::NodeMemoryResources { memory_mb: i64::from(given.memory_mb) },
        disk: api::NodeDiskResources { disk_mb: i64::from(given.disk_mb) },
        networks: list(older_networks(&given.networks)),
        devices: None,
        min_dynamic_port: i64::from(given.min_dynamic_port),
        max_dynamic_port: i64::from(given.max_dynamic_port),
        processors: api::NodeProcessorResources { topology: node.topology.as_ref().map(|topology| topology.0.clone()) },
        node_networks: list(given.networks.iter().map(node_network).collect()),
    }
}

fn reserved(given: &NodeResources) -> api::NodeReservedResources {
    api::NodeReservedResources {
        cpu: api::NodeReservedCpuResources {
            cpu_shares: u64::from(given.reserved_cpu_mhz),
            reserved_cpu_cores: cores(&given.reserved_cores),
        },
        memory: api::NodeReservedMemoryResources { memory_mb: u64::from(given.reserved_memory_mb) },
        disk: api::NodeReservedDiskResources { disk_mb: u64::from(given.reserved_disk_mb) },
        networks: api::NodeReservedNetworkResources { reserved_host_ports: given.reserved_ports.clone() },
    }
}

fn host_networks(node: &Node) -> Option<BTreeMap<String, Option<api::HostNetworkInfo>>> {
    let info = |(name, (cidr, interface)): (&String, &(String, String))| {
        let network =
            api::HostNetworkInfo { name: name.clone(), cidr: cidr.clone(), interface: interface.clone(), reserved_ports: String::new() };
        (name.clone(), Some(network))
    };
    (!node.host_networks.is_empty()).then(|| node.host_networks.iter().map(info).collect())
}

fn last_drain(last: &LastDrain) -> api::DrainMetadata {
    api::DrainMetadata {
        started_at: time(last.started_at),
        updated_at: time(last.updated_at),
        status: last.status.text().to_owned(),
        accessor_id: last.accessor.clone(),
        meta: (!last.meta.is_empty()).then(|| last.meta.clone()),
    }
}

/// A node in full; its secret stays here.
pub fn node(row: &NodeRow) -> api::Node {
    let node = &row.node;
    let events = row.events.iter().map(|event| api::NodeEvent {
        message: event.message.clone(),
        subsystem: event.subsystem.clone(),
        details: (!event.details.is_empty()).then(|| event.details.clone()),
        timestamp: time(event.time),
        create_index: event.create_index,
    });
    api::Node {
        id: node.id.to_string(),
        datacenter: node.datacenter.clone(),
        name: node.name.clone(),
        http_addr: node.http_addr.clone(),
        tls_enabled: node.tls_enabled == Some(true),
        attributes: Some(node.attributes.clone()),
        node_resources: Some(resources(node)),
        reserved_resources: Some(reserved(&node.resources)),
        links: Some(node.links.clone()),
        meta: Some(node.meta.clone()),
        node_class: node.node_class.clone(),
        node_pool: node.node_pool.clone(),
        cgroup_parent: node.cgroup_parent.clone(),
        drain: row.drain.is_some(),
        drain_strategy: row.drain.map(|drain| api::DrainStrategy {
            deadline: drain.spec.deadline_ns,
            ignore_system_jobs: drain.spec.ignore_system_jobs,
            force_deadline: time(drain.force_deadline),
            started_at: time(drain.started_at),
        }),
        scheduling_eligibility: eligibility(row).to_owned(),
        status: row.status.text().to_owned(),
        status_description: row.status_description.clone(),
        // Rounded up: what changed after a moment is never shown as though it was before.
        status_updated_at: (row.status_time + std::time::Duration::from_nanos(999_999_999)).seconds(),
        events: Some(events.collect()),
        drivers: Some(drivers(&node.drivers)),
        host_volumes: Some(BTreeMap::new()),
        gc_volumes_on_node_gc: false,
        host_networks: host_networks(node),
        csi_controller_plugins: Some(BTreeMap::new()),
        csi_node_plugins: Some(BTreeMap::new()),
        last_drain: row.last_drain.as_ref().map(last_drain),
        create_index: row.create_index,
        modify_index: row.modify_index,
        node_max_allocs: i64::from(node.max_allocs),
        secret_id: String::new(),
        computed_class: row.class_text(),
        identity_signing_key_id: String::new(),
        last_missed_heartbeat_index: row.last_missed_heartbeat_index,
        last_alloc_update_index: row.last_alloc_update_index,
        why: None,
    }
}

/// A node as a list entry, with resources and facts about the operating system if wanted.
pub fn node_stub(row: &NodeRow, with_resources: bool, with_os: bool) -> api::NodeListStub {
    let node = &row.node;
    let address = node.http_addr.rsplit_once(':').map_or(node.http_addr.as_str(), |(host, _)| host);
    let os = || {
        node.attributes.iter().filter(|(name, _)| name.starts_with("os.name")).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    api::NodeListStub {
        address: address.trim_matches(['[', ']']).to_owned(),
        id: node.id.to_string(),
        attributes: with_os.then(os),
        datacenter: node.datacenter.clone(),
        name: node.name.clone(),
        node_class: node.node_class.clone(),
        node_pool: node.node_pool.clone(),
        version: node.attributes.get("nomad.version").cloned().unwrap_or_default(),
        drain: row.drain.is_some(),
        scheduling_eligibility: eligibility(row).to_owned(),
        status: row.status.text().to_owned(),
        status_description: row.status_description.clone(),
        drivers: Some(drivers(&node.drivers)),
        node_resources: with_resources.then(|| resources(node)),
        reserved_resources: with_resources.then(|| reserved(&node.resources)),
        last_drain: row.last_drain.as_ref().map(last_drain),
        create_index: row.create_index,
        modify_index: row.modify_index,
        host_volumes: Some(BTreeMap::new()),
    }
}
