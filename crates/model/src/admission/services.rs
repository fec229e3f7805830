//! Rules for services, their checks and their service mesh blocks.

use std::collections::{BTreeMap, BTreeSet};

use drover_api as api;
use drover_base::time::go_duration;

use super::connect::exposable;
use super::validate::CANNOT_BE_MADE;
use super::validate::JobProblems;

const SECOND: i64 = 1_000_000_000;
/// The longest notes of a check, in bytes.
const NOTES_MAX: usize = 255;
/// Kinds that a Consul service may have.
const KINDS: [&str; 6] = ["", "api-gateway", "ingress-gateway", "mesh-gateway", "terminating-gateway", "typical"];

/// The services of a group.
pub(super) fn group_services(problems: &mut JobProblems, group: &api::TaskGroup) {
    let services = group.services.as_deref().unwrap_or_default();
    let mut inner = JobProblems::default();
    for (position, service) in services.iter().enumerate() {
        let mut own = JobProblems::default();
        service_rules(&mut own, service);
        inner.entry("Services", position).nest(format_args!("Service[{position}] {} validation failed", service.name), own);
        inner.at(format!("Services[{position}].AddressMode")).check(service.address_mode == "driver", || {
            format!(
                "service {:?} cannot use address_mode=\"driver\", only services defined in a \"task\" block can use this mode",
                service.name
            )
        });
        for (place, check) in service.checks.iter().flatten().enumerate() {
            let known = check.task_name.is_empty() || group.tasks.iter().flatten().any(|task| task.name == check.task_name);
            inner
                .at(format!("Services[{position}].Checks[{place}].TaskName"))
                .check(!known, || format!("Check {} invalid: refers to non-existent task {}", check.name, check.task_name));
        }
    }
    unique(&mut inner, services, "group");
    let all = || services.iter().chain(group.tasks.iter().flatten().flat_map(|task| task.services.iter().flatten()));
    let providers: BTreeSet<&str> =
        all().map(|service| service.provider.as_str()).filter(|provider| matches!(*provider, "consul" | "nomad")).collect();
    inner
        .at("Services")
        .check(providers.len() > 1, || "Multiple service providers used: task group services must use the same provider".to_owned());
    problems.at("").nest("Task group service validation failed", inner);
    let mut checks = JobProblems::default();
    for (position, service) in services.iter().enumerate() {
        for (place, check) in service.checks.iter().flatten().enumerate() {
            checks.at(format!("Services[{position}].Checks[{place}]")).check(
                check.r#type == "script" && check.task_name.is_empty() && service.task_name.is_empty(),
                || {
                    format!(
                        "Service [{}]->{} or Check {} must specify task parameter",
                        group.name.as_deref().unwrap_or_default(),
                        service.name,
                        check.name
                    )
                },
            );
        }
    }
    problems.nest("Task group service check validation failed", checks);
}

/// The services of a task.
pub(super) fn task_services(problems: &mut JobProblems, group: &api::TaskGroup, task: &api::Task) {
    let services = task.services.as_deref().unwrap_or_default();
    let mut inner = JobProblems::default();
    let networks = group.networks.iter().flatten().chain(task.resources.iter().flat_map(|resources| resources.networks.iter().flatten()));
    let labels: BTreeSet<&str> = networks
        .flat_map(|network| network.dynamic_ports.iter().chain(&network.reserved_ports).flatten())
        .map(|port| port.label.as_str())
        .collect();
    for (position, service) in services.iter().enumerate() {
        let mut own = JobProblems::default();
        service_rules(&mut own, service);
        inner.entry("Services", position).nest(format_args!("Service[{position}] {} validation failed", service.name), own);
        inner.at(format!("Services[{position}].Connect")).check(service.connect.is_some(), || {
            format!("service {:?} cannot have \"connect\" block, only services defined in a \"group\" block can", service.name)
        });
    }
    unique(&mut inner, services, &task.name);
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for service in services {
        let label = service.port_label.as_str();
        if !label.is_empty() && service.address_mode != "driver" && !labels.contains(label) {
            missing.entry(label).or_default().push(&service.name);
        }
    }
    for (label, names) in missing {
        inner.at("Services").add(format!("port label {label:?} referenced by services {} does not exist", names.join(", ")));
    }
    problems.at("").list(inner);
}

fn unique(problems: &mut JobProblems, services: &[api::Service], place: &str) {
    let mut seen = BTreeSet::new();
    let twice: Vec<String> = services
        .iter()
        .filter(|service| !seen.insert((&service.name, &service.port_label)))
        .map(|service| format!("{place}->{}", service.name))
        .collect();
    problems.at("Services").check(!twice.is_empty(), || format!("Services are not unique: {:?}", twice).replace('"', ""));
}

fn service_rules(problems: &mut JobProblems, service: &api::Service) {
    let name = service.name.as_str();
    let plain = if name.contains("${") { "x" } else { name };
    problems.at("Name").check(!crate::service_name_is_valid(plain), || {
        format!(
            "Service name must be valid per RFC 1123 and can contain only alphanumeric characters or dashes and must be no longer than 63 characters: {name:?}"
        )
    });
    problems.at("AddressMode").check(!matches!(service.address_mode.as_str(), "auto" | "host" | "driver" | "alloc" | "alloc_ipv6"), || {
        format!("Service address_mode must be \"auto\", \"host\", or \"driver\"; not {:?}", service.address_mode)
    });
    problems.at("Address").check(!service.address.is_empty() && service.address_mode != "auto", || {
        "Service address_mode must be \"auto\" if address is set".to_owned()
    });
    problems.at("OnUpdate").check(!matches!(service.on_update.as_str(), "require_healthy" | "ignore_warnings" | "ignore"), || {
        format!("Service on_update must be \"require_healthy\", \"ignore_warnings\", or \"ignore\"; not {:?}", service.on_update)
    });
    problems
        .at("Kind")
        .check(!KINDS.contains(&service.kind.as_str()), || format!("Service {name} kind must be one of consul service kind or empty"));
    match service.provider.as_str() {
        "nomad" => {
            problems
                .at("Connect")
                .check(service.connect.is_some(), || "Service with provider nomad cannot include Connect blocks".to_owned());
            for (place, check) in service.checks.iter().flatten().enumerate() {
                nomad_check(problems, place, check);
            }
        }
        "consul" => {
            for (place, check) in service.checks.iter().flatten().enumerate() {
                if let Some((field, problem)) = first_consul_problem(service, check) {
                    problems.at(format!("Checks[{place}].{field}")).add(format!("Check {} invalid: {problem}", check.name));
                }
            }
            if let Some(connect) = &service.connect {
                connect_rules(problems, service, connect);
            }
            if let Some(identity) = &service.identity {
                let audience = identity.audience.as_ref().is_some_and(|list| !list.is_empty());
                problems.at("Identity").check(!audience, || "Service identity must provide at least one target aud value".to_owned());
            }
        }
        other => problems.at("Provider").add(format!("Service provider must be \"consul\", or \"nomad\"; not {other:?}")),
    }
}

fn nomad_check(problems: &mut JobProblems, place: usize, check: &api::ServiceCheck) {
    let kind = check.r#type.to_lowercase();
    let found = if !matches!(kind.as_str(), "http" | "tcp") {
        Some(("Type", format!("invalid check type ({:?}), must be one of tcp, http", check.r#type)))
    } else if check.on_update == "ignore_warnings" {
        Some(("OnUpdate", "on_update may only be set to ignore_warnings for Consul service checks".to_owned()))
    } else {
        common_check(check)
    };
    if let Some((field, problem)) = found {
        problems.at(format!("Checks[{place}].{field}")).add(problem);
    }
}

/// The first rule that a check breaks, with the field that does.
type Flaw = Option<(&'static str, String)>;

/// The first rule that a check of either provider breaks.
fn common_check(check: &api::ServiceCheck) -> Flaw {
    if check.r#type.eq_ignore_ascii_case("http") {
        if check.path.is_empty() {
            return Some(("Path", "http type must have http path".to_owned()));
        }
        if check.path.contains("://") || !check.path.starts_with('/') && check.path.contains(':') {
            return Some(("Path", "http type must have relative http path".to_owned()));
        }
    }
    for (name, shown, value) in [("interval", "Interval", check.interval), ("timeout", "Timeout", check.timeout)] {
        if value == 0 {
            return Some((shown, format!("missing required value {name}. {shown} cannot be less than 1s")));
        }
        if value < SECOND {
            return Some((shown, format!("{name} ({}) cannot be lower than 1s", go_duration(value))));
        }
    }
    restart_rules(check)
}

fn restart_rules(check: &api::ServiceCheck) -> Flaw {
    let restart = check.check_restart.as_ref()?;
    let mut inner = JobProblems::default();
    inner.check(restart.limit < 0, || format!("limit must be greater than or equal to 0 but found {}", restart.limit));
    let grace = restart.grace.unwrap_or(0);
    inner.check(grace < 0, || format!("grace period must be greater than or equal to 0 but found {grace}"));
    (!inner.is_empty()).then(|| ("CheckRestart", inner.to_string()))
}

fn first_consul_problem(service: &api::Service, check: &api::ServiceCheck) -> Flaw {
    let kind = check.r#type.to_lowercase();
    if !matches!(kind.as_str(), "grpc" | "tcp" | "http" | "script") {
        return Some(("Type", format!("invalid check type ({:?}), must be one of grpc, tcp, http, script", check.r#type)));
    }
    if kind == "script" && check.command.is_empty() {
        return Some(("Command", "script type must have a valid script path".to_owned()));
    }
    if let Some(flaw) = common_check(check) {
        return Some(flaw);
    }
    if !matches!(check.initial_status.as_str(), "" | "passing" | "warning" | "critical") {
        let states = "must be one of \"passing\", \"warning\", \"critical\" or empty";
        return Some(("InitialStatus", format!("invalid initial check state ({}), {states}", check.initial_status)));
    }
    match check.address_mode.as_str() {
        "" | "host" | "driver" | "alloc" | "alloc_ipv6" => {}
        "auto" => return Some(("AddressMode", "invalid address_mode \"auto\" - auto only valid for services".to_owned())),
        other => return Some(("AddressMode", format!("invalid address_mode {other:?}"))),
    }
    if check.on_update == "ignore" && check.check_restart.as_ref().is_some_and(|restart| restart.limit > 0) {
        return Some(("OnUpdate", "on_update value \"ignore\" is not compatible with check_restart".to_owned()));
    }
    for (name, field, value) in [
        ("success_before_passing", "SuccessBeforePassing", check.success_before_passing),
        ("failures_before_critical", "FailuresBeforeCritical", check.failures_before_critical),
        ("failures_before_warning", "FailuresBeforeWarning", check.failures_before_warning),
    ] {
        if value > 0 && kind == "script" {
            return Some((field, format!("{name} not supported for check of type \"script\"")));
        }
    }
    if check.notes.len() > NOTES_MAX {
        return Some(("Notes", format!("notes must not be longer than {NOTES_MAX} characters")));
    }
    let sidecar = service.connect.as_ref().is_some_and(|connect| connect.sidecar_service.is_some());
    (check.expose && !sidecar && service.connect.is_some()).then(|| ("Expose", "expose is only for services with a sidecar".to_owned()))
}

fn connect_rules(problems: &mut JobProblems, service: &api::Service, connect: &api::ConsulConnect) {
    let forms = [connect.native, connect.sidecar_service.is_some(), connect.gateway.is_some()];
    problems.at("Connect").check(forms.iter().filter(|form| **form).count() != 1, || {
        "Consul Connect must be exclusively native, make use of a sidecar, or represent a Gateway".to_owned()
    });
    problems.at("TaskName").check(connect.native && service.task_name.is_empty(), || {
        format!("Service {} is Connect Native and requires setting the task", service.name)
    });
    if let Some(proxy) = connect.sidecar_service.as_ref().and_then(|sidecar| sidecar.proxy.as_ref())
        && let Some(transparent) = &proxy.transparent_proxy
    {
        transparent_rules(problems, transparent);
    }
    if let Some(gateway) = &connect.gateway {
        gateway_rules(problems, gateway);
    }
}

fn transparent_rules(problems: &mut JobProblems, transparent: &api::ConsulTransparentProxy) {
    let mut inner = JobProblems::default();
    for network in transparent.exclude_outbound_cid_rs.iter().flatten() {
        let reason = match network.split_once('/') {
            None => Some("no '/'"),
            Some((address, bits)) => match (address.parse::<std::net::IpAddr>(), bits.parse::<u8>()) {
                (Err(_), _) => Some("unable to parse IP"),
                (Ok(_), Err(_)) => Some("bad bits after slash"),
                (Ok(address), Ok(bits)) if bits > if address.is_ipv4() { 32 } else { 128 } => Some("prefix length out of range"),
                _ => None,
            },
        };
        if let Some(reason) = reason {
            inner.add(format!(
                "could not parse transparent proxy excluded outbound CIDR as network prefix: netip.ParsePrefix({network:?}): {reason}"
            ));
        }
    }
    let bad_user = |user: &str| !user.is_empty() && user.parse::<u32>().is_err();
    inner.check(bad_user(&transparent.uid), || {
        format!("transparent proxy block has invalid UID field: invalid user ID {:?}: invalid syntax", transparent.uid)
    });
    for user in transparent.exclude_u_ids.iter().flatten().filter(|user| bad_user(user)) {
        inner.add(format!("transparent proxy block has invalid ExcludeUIDs field: invalid user ID {user:?}: invalid syntax"));
    }
    problems.at("Connect.SidecarService.Proxy.TransparentProxy").list(inner);
}

fn gateway_rules(problems: &mut JobProblems, gateway: &api::ConsulGateway) {
    let kinds = [gateway.ingress.is_some(), gateway.terminating.is_some(), gateway.mesh.is_some()];
    if kinds.iter().filter(|kind| **kind).count() != 1 {
        problems.at("Connect.Gateway").add("One Consul Gateway Configuration must be set");
        return;
    }
    if let Some(proxy) = &gateway.proxy {
        let discovery = proxy.envoy_dns_discovery_type.as_str();
        problems.at("Connect.Gateway").check(!matches!(discovery, "" | "STRICT_DNS" | "LOGICAL_DNS"), || {
            "Consul Gateway Proxy Envoy DNS Discovery type must be STRICT_DNS or LOGICAL_DNS".to_owned()
        });
    }
    if let Some(ingress) = &gateway.ingress {
        ingress_rules(problems, ingress);
    }
    if let Some(terminating) = &gateway.terminating {
        let services = terminating.services.as_deref().unwrap_or_default();
        problems.at("Connect.Gateway").check(services.is_empty(), || "Consul Terminating Gateway requires at least one service".to_owned());
        for linked in services {
            problems.at("Connect.Gateway").check(linked.name.is_empty(), || "Consul Linked Service requires Name".to_owned());
            let (authority, certificate, key) = (!linked.ca_file.is_empty(), !linked.cert_file.is_empty(), !linked.key_file.is_empty());
            if (certificate || key) && !authority {
                problems.at("Connect.Gateway").add("Consul Linked Service TLS requires CAFile");
            } else if certificate != key {
                problems.at("Connect.Gateway").add("Consul Linked Service TLS Cert and Key must both be set");
            }
        }
    }
}

fn ingress_rules(problems: &mut JobProblems, ingress: &api::ConsulIngressConfigEntry) {
    let listeners = ingress.listeners.as_deref().unwrap_or_default();
    problems.at("Connect.Gateway").check(listeners.is_empty(), || "Consul Ingress Gateway requires at least one listener".to_owned());
    for listener in listeners {
        problems.at("Connect.Gateway").check(listener.port <= 0, || "Consul Ingress Listener requires valid Port".to_owned());
        let protocol = listener.protocol.as_str();
        problems.at("Connect.Gateway").check(!matches!(protocol, "tcp" | "http" | "http2" | "grpc"), || {
            format!("Consul Ingress Listener requires protocol of tcp, http, http2, grpc, got {protocol:?}")
        });
        let services = listener.services.as_deref().unwrap_or_default();
        problems.at("Connect.Gateway").check(services.is_empty(), || "Consul Ingress Listener requires one or more services".to_owned());
        for service in services {
            problems.at("Connect.Gateway").check(service.name.is_empty(), || "Consul Ingress Service requires a name".to_owned());
            problems.at("Connect.Gateway").check(service.name == "*" && protocol == "tcp", || {
                "Consul Ingress Service doesn't support wildcard name for \"tcp\" protocol".to_owned()
            });
        }
    }
}

/// What the mesh asks of groups as a whole: a network of its own, names, distinct addresses.
pub(super) fn mesh(problems: &mut JobProblems, job: &api::Job) {
    for (position, group) in job.task_groups.iter().flatten().enumerate() {
        let path = || format!("TaskGroups[{position}]");
        let name = group.name.as_deref().unwrap_or_default();
        let networks = group.networks.as_deref().unwrap_or_default();
        let mode = networks.first().map_or("", |network| network.mode.as_str());
        let behind_bridge = mode == "bridge" || mode.starts_with("cni/");
        let wrong_mode = || {
            format!("invalid network mode for Consul Connect: group {name:?} uses network mode {mode:?}; must be \"bridge\" or \"cni/*\"")
        };
        let wrong_count = || format!("must have exactly one network for Consul Connect: group {name:?} has {} networks", networks.len());
        let services = || group.services.iter().flatten();
        for service in services().filter(|service| service.connect.is_some()) {
            problems.at(path()).check(service.name.chars().any(char::is_uppercase), || {
                format!("Consul Connect service name {:?} in group {name:?} must not contain uppercase characters", service.name)
            });
        }
        let sidecar = services().any(|service| service.connect.as_ref().is_some_and(|connect| connect.sidecar_service.is_some()));
        let native = services().any(|service| service.connect.as_ref().is_some_and(|connect| connect.native));
        if sidecar && !native {
            if networks.len() != 1 {
                problems.at(path()).add(format!("connect sidecar: {}", wrong_count()));
            } else if !behind_bridge {
                problems.at(path()).add(format!("connect sidecar: {}", wrong_mode()));
            }
        }
        for service in services() {
            let Some(gateway) = service.connect.as_ref().and_then(|connect| connect.gateway.as_ref()) else { continue };
            problems.at(path()).check(gateway.mesh.is_some() && service.port_label.is_empty(), || {
                format!("{CANNOT_BE_MADE}service.port must be set for mesh gateway service")
            });
            problems.at(path()).check(networks.len() != 1, || format!("connect gateway: {}", wrong_count()));
        }
        for service in services().filter(|service| service.connect.as_ref().is_some_and(|connect| connect.native)) {
            let task = service.task_name.as_str();
            let known = task.is_empty() || group.tasks.iter().flatten().any(|own| own.name == task);
            problems.at(path()).check(!known, || {
                format!("{CANNOT_BE_MADE}task {task} named by Consul Connect Native service {name}->{} does not exist", service.name)
            });
        }
        let exposed = services().any(|service| service.checks.iter().flatten().any(exposable));
        if exposed && !sidecar {
            if behind_bridge {
                problems
                    .at(path())
                    .add(format!("connect expose check: group {name:?} has an exposed check, but no service with a sidecar"));
            } else {
                problems.at(path()).add(format!("connect expose check: {}", wrong_mode()));
            }
        }
        upstream_addresses(problems, group, &path(), name);
    }
}

fn upstream_addresses(problems: &mut JobProblems, group: &api::TaskGroup, path: &str, name: &str) {
    let mut seen: BTreeMap<(String, i64), &str> = BTreeMap::new();
    for service in group.services.iter().flatten() {
        let sidecar = service.connect.as_ref().and_then(|connect| connect.sidecar_service.as_ref());
        for upstream in sidecar.and_then(|sidecar| sidecar.proxy.as_ref()).iter().flat_map(|proxy| proxy.upstreams.iter().flatten()) {
            if upstream.local_bind_port == 0 {
                continue;
            }
            let address = (upstream.local_bind_address.clone(), upstream.local_bind_port);
            if let Some(other) = seen.get(&address) {
                problems.at(path).add(format!(
                    "Consul Connect services {:?} and {other:?} in group {name:?} using same address for upstreams ({}:{})",
                    service.name, address.0, address.1
                ));
            }
            seen.insert(address, &service.name);
        }
    }
}
