//! Host ports: which address a label stands for, and choosing free dynamic ports.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_base::Rng;
use drover_model::{NetworkResource, NodeResources, Port, PortMapping};
use drover_state::{Misfit, Usage};

/// Random tries before every port is looked at in turn (SCH-059).
const RANDOM_TRIES: u32 = 20;

/// The host network of a port.
pub fn alias(port: &Port) -> &str {
    if port.host_network.is_empty() { "default" } else { &port.host_network }
}

/// The node's address on a host network.
pub fn address<'a>(node: &'a NodeResources, alias: &str) -> Option<&'a str> {
    node.networks
        .iter()
        .filter(|network| network.mode == "host" || network.mode.is_empty())
        .flat_map(|network| &network.addresses)
        .find(|address| address.alias == alias)
        .map(|address| address.address.as_str())
}

/// Ports in text such as `22,80,8500-8600`; what cannot be read is left out.
pub fn parse_ranges(text: &str) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            Some((from, to)) => {
                if let (Ok(from), Ok(to)) = (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
                    ports.extend(from..=to);
                }
            }
            None => ports.extend(part.parse::<u16>()),
        }
    }
    ports
}

/// Gives a group's networks their ports on a node.
///
/// # Errors
/// The port that is taken, or 0 when no dynamic port is left.
pub fn assign(
    node: &NodeResources,
    networks: &[NetworkResource],
    usage: &Usage,
    rng: &mut Rng,
) -> Result<(Vec<NetworkResource>, Vec<PortMapping>), Misfit> {
    let kept = parse_ranges(&node.reserved_ports);
    let mut given: BTreeSet<(Arc<str>, u16)> = BTreeSet::new();
    let (mut filled, mut mappings) = (networks.to_vec(), Vec::new());
    for network in &mut filled {
        let (mut first_ip, bridge) = (None, !network.is_host());
        for port in &mut network.reserved_ports {
            let ip: Arc<str> = Arc::from(address(node, alias(port)).unwrap_or_default());
            let taken = usage.port_taken(&ip, port.value) || kept.contains(&port.value);
            if !port.ignore_collision && (taken || !given.insert((Arc::clone(&ip), port.value))) {
                return Err(Misfit::Port(port.value));
            }
            mappings.push(mapping(port, &ip, bridge));
            first_ip.get_or_insert(ip);
        }
        for port in &mut network.dynamic_ports {
            let ip: Arc<str> = Arc::from(address(node, alias(port)).unwrap_or_default());
            let free = |candidate: u16| {
                !kept.contains(&candidate) && !usage.port_taken(&ip, candidate) && !given.contains(&(Arc::clone(&ip), candidate))
            };
            port.value = choose(node, rng, free).ok_or(Misfit::Port(0))?;
            given.insert((Arc::clone(&ip), port.value));
            mappings.push(mapping(port, &ip, bridge));
            first_ip.get_or_insert(ip);
        }
        if let Some(ip) = first_ip {
            network.ip = ip.to_string();
        }
        if let Some(device) = node.networks.first() {
            network.device.clone_from(&device.device);
        }
    }
    Ok((filled, mappings))
}

fn mapping(port: &mut Port, ip: &str, bridge: bool) -> PortMapping {
    if port.to == -1 {
        port.to = i32::from(port.value);
    }
    let to = if bridge && port.to == 0 { i32::from(port.value) } else { port.to };
    PortMapping { label: port.label.clone(), value: port.value, to, host_ip: ip.to_owned(), ignore_collision: port.ignore_collision }
}

fn choose(node: &NodeResources, rng: &mut Rng, free: impl Fn(u16) -> bool) -> Option<u16> {
    let (low, high) = match (node.min_dynamic_port, node.max_dynamic_port) {
        (0, 0) => (20_000, 32_000),
        bounds => bounds,
    };
    let width = u64::from(high.saturating_sub(low)) + 1;
    for _ in 0..RANDOM_TRIES {
        let candidate = low + u16::try_from(rng.below(width)).unwrap_or(0);
        if free(candidate) {
            return Some(candidate);
        }
    }
    (low..=high).find(|candidate| free(*candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_free_dynamic_port_is_found() {
        let node = NodeResources { min_dynamic_port: 20_000, max_dynamic_port: 20_100, ..NodeResources::default() };
        let mut rng = Rng::new(1);
        assert_eq!(choose(&node, &mut rng, |port| port == 20_077), Some(20_077));
        assert_eq!(choose(&node, &mut rng, |_| false), None);
    }

    #[test]
    fn port_ranges_are_read() {
        assert_eq!(parse_ranges("22, 80-82,x,9-").into_iter().collect::<Vec<_>>(), [22, 80, 81, 82]);
    }
}
