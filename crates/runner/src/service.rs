//! Services of an allocation as they are registered: interpolated, addressed, and named so that each is registered once.

use drover_model::{Allocation, Node, PortMapping, Service, ServiceRegistration, service_name_is_valid};

use crate::environment::Environment;

/// Why a service cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    #[error("service name \"{0}\" is not valid: it must be 1 to 63 letters, digits and inner hyphens")]
    Name(String),
    #[error("service \"{service}\": port \"{port}\" is not a port of the allocation")]
    Port { service: String, port: String },
    #[error("service \"{service}\": cannot use address_mode=\"driver\": no driver network exists")]
    DriverAddress { service: String },
    #[error("service \"{service}\": address_mode \"{mode}\" needs a network of the allocation's own")]
    AllocAddress { service: String, mode: String },
}

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAddress {
    pub ip: String,
    pub port: u16,
}

/// The port of this label, of the group or of one of its tasks.
pub fn find_port(alloc: &Allocation, label: &str) -> Option<PortMapping> {
    if let Some(mapping) = alloc.resources.ports.iter().find(|mapping| mapping.label == label) {
        return Some(mapping.clone());
    }
    alloc.resources.tasks.values().flat_map(|task| &task.networks).find_map(|network| {
        network.reserved_ports.iter().chain(&network.dynamic_ports).find(|port| port.label == label).map(|port| PortMapping {
            label: port.label.clone(),
            value: port.value,
            to: port.to,
            host_ip: network.ip.clone(),
            ignore_collision: false,
        })
    })
}

/// Where a service, or a check with a port and mode of its own, is reached. The address of the node stands in where a port names none.
pub fn address_of(
    alloc: &Allocation,
    node_ip: &str,
    service: &str,
    label: &str,
    mode: &str,
    advertised: &str,
) -> Result<ServiceAddress, ServiceError> {
    match mode {
        "driver" => return Err(ServiceError::DriverAddress { service: service.to_owned() }),
        "alloc" | "alloc_ipv6" => {
            return Err(ServiceError::AllocAddress { service: service.to_owned(), mode: mode.to_owned() });
        }
        _ => {}
    }
    let first_ip = || {
        let own = alloc.resources.networks.first().map(|network| network.ip.as_str()).filter(|ip| !ip.is_empty());
        own.unwrap_or(node_ip).to_owned()
    };
    let (ip, port) = if label.is_empty() {
        (first_ip(), 0)
    } else if let Some(mapping) = find_port(alloc, label) {
        let ip = if mapping.host_ip.is_empty() { first_ip() } else { mapping.host_ip };
        (ip, mapping.value)
    } else {
        // A number stands for itself.
        let port = label.parse::<u16>().map_err(|_| ServiceError::Port { service: service.to_owned(), port: label.to_owned() })?;
        (first_ip(), port)
    };
    let ip = if advertised.is_empty() { ip } else { advertised.to_owned() };
    Ok(ServiceAddress { ip, port })
}

/// The id of a registration. `owner` is the task's name, or `group-` and the group's.
pub fn registration_id(alloc: &Allocation, owner: &str, service: &str, port_label: &str) -> String {
    format!("_nomad-task-{}-{owner}-{service}-{port_label}", alloc.id)
}

/// The owner's part of a registration id.
pub fn owner(alloc: &Allocation, task: Option<&str>) -> String {
    match task {
        Some(task) => task.to_owned(),
        None => format!("group-{}", alloc.group),
    }
}

/// A service as the catalogue holds it.
pub fn registration(
    alloc: &Allocation,
    node: &Node,
    node_ip: &str,
    task: Option<&str>,
    service: &Service,
    environment: &Environment,
) -> Result<ServiceRegistration, ServiceError> {
    let name = environment.interpolate(&service.name);
    if !service_name_is_valid(&name) {
        return Err(ServiceError::Name(name));
    }
    let label = environment.interpolate(&service.port_label);
    let advertised = environment.interpolate(&service.address);
    let address = address_of(alloc, node_ip, &name, &label, &service.address_mode, &advertised)?;
    let tags = if alloc.canary && !service.canary_tags.is_empty() { &service.canary_tags } else { &service.tags };
    Ok(ServiceRegistration {
        id: registration_id(alloc, &owner(alloc, task), &name, &label),
        service_name: name,
        namespace: alloc.job.id.namespace.clone(),
        node_id: node.id,
        datacenter: node.datacenter.clone(),
        job_id: alloc.job.id.id.clone(),
        alloc_id: alloc.id,
        tags: tags.iter().map(|tag| environment.interpolate(tag)).collect(),
        address: address.ip,
        port: address.port,
        create_index: 0,
        modify_index: 0,
    })
}

#[cfg(test)]
mod tests;
