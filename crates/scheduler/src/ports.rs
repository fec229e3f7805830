//! Host ports: which addresses a label stands for, and choosing ports that are free on a node.

use std::borrow::Cow;

use drover_base::Rng;
use drover_model::{NetworkResource, Node, NodeResources, Port, PortMapping};
use drover_state::{HostAddress, HostPort, Usage};

use crate::constraint::Target;

/// Random tries before every port is looked at in turn (SCH-059).
const RANDOM_TRIES: u32 = 20;
/// The dynamic ports of a node that sets no bounds (SCH-058).
const DYNAMIC: (u16, u16) = (20_000, 32_000);

/// Why a node cannot give the ports asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// A static port is taken or kept.
    #[error("reserved port collision {label}={port}")]
    Taken {
        /// The label.
        label: String,
        /// The number.
        port: u16,
    },
    /// No free port is left in the dynamic range.
    #[error("dynamic port selection failed")]
    Exhausted,
    /// The node has no address on the host network.
    #[error("no addresses available for {0} network")]
    NoAddress(String),
    /// Allocations on the node hold one port twice, or one that is kept, which only a fault can bring about (SCH-067).
    #[error("port collision")]
    Collision(u16),
    /// The node keeps ports in a text that cannot be read.
    #[error("invalid node: {0}")]
    BadNode(String),
}

/// The host network of a port on a node: its name, or what the reference stands for there.
pub fn alias<'a>(port: &'a Port, node: &Node) -> Option<Cow<'a, str>> {
    match port.host_network.as_str() {
        "" => Some(Cow::Borrowed("default")),
        name if name.starts_with("${") => Target::parse(name).resolve(node).map(|name| Cow::Owned(name.into_owned())),
        name => Some(Cow::Borrowed(name)),
    }
}

/// An address of the host network that a node offers, with the ports kept there.
fn addresses<'a>(node: &'a NodeResources, alias: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    node.networks
        .iter()
        .filter(|network| network.mode == "host" || network.mode.is_empty())
        .flat_map(|network| &network.addresses)
        .filter(move |address| address.alias == alias)
        .map(|address| (address.address.as_str(), address.reserved_ports.as_str()))
}

/// Whether the node has an address on the host network.
pub fn has_address(node: &NodeResources, alias: &str) -> bool {
    addresses(node, alias).next().is_some()
}

/// Ranges of ports as in `22,80,8500-8600`.
///
/// # Errors
/// What cannot be read.
pub fn parse_ranges(text: &str) -> Result<Vec<(u16, u16)>, String> {
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| format!("{text:?} is not a port"));
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (from, to) = match part.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(part)?, number(part)?),
        };
        if to < from {
            return Err(format!("{part:?} ends before it starts"));
        }
        ranges.push((from, to));
    }
    Ok(ranges)
}

fn within(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.iter().any(|(from, to)| (*from..=*to).contains(&port))
}

/// An address that ports may be taken on.
struct Offer<'a> {
    ip: &'a str,
    address: HostAddress,
    kept: Vec<(u16, u16)>,
}

/// Gives a group's networks their ports on a node.
///
/// # Errors
/// The first port that cannot be given, or what is wrong with the node.
pub fn assign(
    node: &Node,
    networks: &[NetworkResource],
    usage: &Usage,
    rng: &mut Rng,
) -> Result<(Vec<NetworkResource>, Vec<PortMapping>), PortError> {
    let size = &node.resources;
    let kept = parse_ranges(&size.reserved_ports).map_err(PortError::BadNode)?;
    if let Some(port) = usage.port_collision() {
        return Err(PortError::Collision(port));
    }
    let offers = |port: &Port| -> Result<Vec<Offer<'_>>, PortError> {
        let alias = alias(port, node).unwrap_or(Cow::Borrowed(""));
        let mut offers = Vec::new();
        for (ip, of_network) in addresses(size, &alias) {
            let mut kept = kept.clone();
            kept.extend(parse_ranges(of_network).map_err(PortError::BadNode)?);
            offers.push(Offer { ip, address: HostAddress::of(ip), kept });
        }
        if offers.is_empty() { Err(PortError::NoAddress(alias.into_owned())) } else { Ok(offers) }
    };
    let mut given: Vec<HostPort> = Vec::new();
    let (mut filled, mut mappings) = (networks.to_vec(), Vec::new());
    for network in &mut filled {
        let mut first_ip = None;
        for port in &mut network.reserved_ports {
            let offers = offers(port)?;
            let free = |offer: &&Offer<'_>| {
                let wanted = HostPort { port: port.value, address: offer.address };
                port.ignore_collision || (!usage.port_taken(wanted) && !within(&offer.kept, port.value))
            };
            let taken = || PortError::Taken { label: port.label.clone(), port: port.value };
            let offer = offers.iter().find(free).ok_or_else(taken)?;
            given.push(HostPort { port: port.value, address: offer.address });
            mappings.push(mapping(port, offer.ip));
            first_ip.get_or_insert(offer.ip.to_owned());
        }
        for port in &mut network.dynamic_ports {
            let offers = offers(port)?;
            let chosen = offers.iter().find_map(|offer| {
                let free = |candidate: u16| {
                    let wanted = HostPort { port: candidate, address: offer.address };
                    !within(&offer.kept, candidate) && !usage.port_taken(wanted) && !given.iter().any(|given| given.port == candidate)
                };
                choose(size, rng, free).map(|value| (offer, value))
            });
            let (offer, value) = chosen.ok_or(PortError::Exhausted)?;
            port.value = value;
            if port.to == -1 {
                port.to = i32::from(value);
            }
            given.push(HostPort { port: value, address: offer.address });
            mappings.push(mapping(port, offer.ip));
            first_ip.get_or_insert(offer.ip.to_owned());
        }
        if let Some(ip) = first_ip {
            network.ip = ip;
        }
        if let Some(device) = size.networks.first() {
            network.device.clone_from(&device.device);
        }
    }
    let faulty = usage.ports().find(|held| within(&kept, held.port));
    match faulty {
        Some(held) => Err(PortError::Collision(held.port)),
        None => Ok((filled, mappings)),
    }
}

fn mapping(port: &Port, ip: &str) -> PortMapping {
    PortMapping {
        label: port.label.clone(),
        value: port.value,
        to: port.to,
        host_ip: ip.to_owned(),
        ignore_collision: port.ignore_collision,
    }
}

fn choose(node: &NodeResources, rng: &mut Rng, free: impl Fn(u16) -> bool) -> Option<u16> {
    let (low, high) = match (node.min_dynamic_port, node.max_dynamic_port) {
        (0, 0) => DYNAMIC,
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
        assert_eq!(parse_ranges("22, 80-82").unwrap(), [(22, 22), (80, 82)]);
        assert!(parse_ranges("x").is_err() && parse_ranges("9-").is_err() && parse_ranges("100-50").is_err());
    }
}
