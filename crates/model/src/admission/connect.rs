//! What Consul service mesh blocks add to a group: proxy tasks, their ports, gateway bindings, paths for exposed checks.
//!
//! The result depends on the job alone; a job that was expanded before comes out unchanged.

use std::collections::BTreeMap;

use drover_api as api;
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000_000;
/// The image of a proxy beside a service.
const SIDECAR_IMAGE: &str = "${meta.connect.sidecar_image}";
/// The image of a gateway.
const GATEWAY_IMAGE: &str = "${meta.connect.gateway_image}";

/// The kinds of gateways, as they stand in names of tasks and ports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gateway {
    Ingress,
    Terminating,
    Mesh,
}

impl Gateway {
    fn of(gateway: &api::ConsulGateway) -> Option<Self> {
        match (&gateway.ingress, &gateway.terminating, &gateway.mesh) {
            (Some(_), _, _) => Some(Self::Ingress),
            (_, Some(_), _) => Some(Self::Terminating),
            (_, _, Some(_)) => Some(Self::Mesh),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ingress => "connect-ingress",
            Self::Terminating => "connect-terminating",
            Self::Mesh => "connect-mesh",
        }
    }
}

/// Adds to a group what its service mesh blocks ask for. New tasks still lack their defaults.
pub(super) fn expand(group: &mut api::TaskGroup) {
    let driver = proxy_driver(group);
    let one_network = group.networks.as_ref().is_some_and(|networks| networks.len() == 1);
    let mut services = group.services.take().unwrap_or_default();
    for service in &mut services {
        let Some(connect) = &mut service.connect else { continue };
        if let Some(sidecar) = &mut connect.sidecar_service {
            // Proxies need a network of the group's own; without one the job is refused.
            if !one_network {
                continue;
            }
            fill_upstreams(sidecar);
            let name = format!("connect-proxy-{}", service.name);
            if sidecar.port.is_empty() {
                add_port(group, &name);
            }
            let base = proxy_task(&name, "connect-proxy", &service.name, driver, SIDECAR_IMAGE);
            let lifecycle = api::TaskLifecycle { hook: "prestart".to_owned(), sidecar: true };
            add_task(group, api::Task { lifecycle: Some(lifecycle), ..base }, connect.sidecar_task.as_ref());
        } else if let Some(kind) = connect.gateway.as_ref().and_then(Gateway::of) {
            gateway(group, service, kind, driver);
        } else if connect.native {
            native(group, service);
        }
    }
    for service in &mut services {
        expose(group, service);
    }
    if !services.is_empty() {
        group.services = Some(services);
    }
}

/// Proxies run under the container driver that the group's own tasks use.
fn proxy_driver(group: &api::TaskGroup) -> &'static str {
    let uses = |driver: &str| group.tasks.iter().flatten().any(|task| task.driver == driver);
    if !uses("docker") && uses("podman") { "podman" } else { "docker" }
}

fn native(group: &mut api::TaskGroup, service: &mut api::Service) {
    let tasks = group.tasks.get_or_insert_default();
    if service.task_name.is_empty()
        && let [only] = tasks.as_slice()
    {
        service.task_name.clone_from(&only.name);
    }
    if let Some(task) = tasks.iter_mut().find(|task| task.name == service.task_name) {
        task.kind = format!("connect-native:{}", service.name);
    }
}

fn fill_upstreams(sidecar: &mut api::ConsulSidecarService) {
    let Some(proxy) = &mut sidecar.proxy else { return };
    for upstream in proxy.upstreams.iter_mut().flatten() {
        upstream.mesh_gateway.get_or_insert_default();
    }
    let given = proxy.expose_config.take().or_else(|| proxy.expose.take());
    proxy.expose = given.map(|mut expose| {
        let old_spelling = expose.path.take();
        expose.paths = expose.paths.or(old_spelling);
        expose
    });
}

/// A dynamic port of the group's network that is the same inside and outside, unless there is one of this label.
fn add_port(group: &mut api::TaskGroup, label: &str) {
    let Some(network) = group.networks.as_mut().and_then(|networks| networks.first_mut()) else { return };
    let ports = network.dynamic_ports.get_or_insert_default();
    if !ports.iter().any(|port| port.label == label) {
        ports.push(api::Port { label: label.to_owned(), to: -1, host_network: "default".to_owned(), ..api::Port::default() });
    }
    if ports.is_empty() {
        network.dynamic_ports = None;
    }
}

fn condition(l_target: &str, operand: &str, r_target: &str) -> api::Constraint {
    api::Constraint { l_target: l_target.to_owned(), operand: operand.to_owned(), r_target: r_target.to_owned() }
}

fn proxy_task(name: &str, kind: &str, service: &str, driver: &str, image: &str) -> api::Task {
    let bootstrap = "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json";
    let arguments =
        ["-c", bootstrap, "-l", "${meta.connect.log_level}", "--concurrency", "${meta.connect.proxy_concurrency}", "--disable-hot-restart"];
    api::Task {
        name: name.to_owned(),
        driver: driver.to_owned(),
        kind: format!("{kind}:{service}"),
        config: Some(BTreeMap::from([("args".to_owned(), Some(json!(arguments))), ("image".to_owned(), Some(json!(image)))])),
        constraints: Some(vec![condition("${attr.consul.version}", "semver", ">= 1.8.0"), condition("${attr.consul.grpc}", ">", "0")]),
        log_config: Some(api::LogConfig { max_files: Some(2), max_file_size_mb: Some(2), ..api::LogConfig::default() }),
        resources: Some(api::Resources { cpu: Some(250), memory_mb: Some(128), ..api::Resources::default() }),
        shutdown_delay: 5 * SECOND,
        ..api::Task::default()
    }
}

/// Adds a proxy with what the job says about it, unless it is there.
fn add_task(group: &mut api::TaskGroup, base: api::Task, own: Option<&api::SidecarTask>) {
    let tasks = group.tasks.get_or_insert_default();
    if tasks.iter().any(|task| task.kind == base.kind) {
        return;
    }
    tasks.push(match own {
        Some(own) => overridden(base, own),
        None => base,
    });
}

fn overridden(mut task: api::Task, own: &api::SidecarTask) -> api::Task {
    for (target, given) in [
        (&mut task.name, &own.name),
        (&mut task.driver, &own.driver),
        (&mut task.user, &own.user),
        (&mut task.kill_signal, &own.kill_signal),
    ] {
        if !given.is_empty() {
            target.clone_from(given);
        }
    }
    let options = own.config.iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    task.config.get_or_insert_default().extend(options);
    task.env = own.env.clone().or(task.env);
    task.meta = own.meta.clone().or(task.meta);
    task.resources = own.resources.clone().or(task.resources);
    task.log_config = own.log_config.clone().or(task.log_config);
    task.kill_timeout = own.kill_timeout.or(task.kill_timeout);
    task.shutdown_delay = own.shutdown_delay.unwrap_or(task.shutdown_delay);
    task.volume_mounts = own.volume_mounts.clone().or(task.volume_mounts);
    task.identities = own.identities.clone().or(task.identities);
    task
}

fn gateway(group: &mut api::TaskGroup, service: &mut api::Service, kind: Gateway, driver: &str) {
    let Some(connect) = &mut service.connect else { return };
    let Some(settings) = &mut connect.gateway else { return };
    let name = format!("{}-{}", kind.word(), service.name);
    let mode = group.networks.iter().flatten().next().map_or("", |network| network.mode.as_str()).to_owned();
    if mode != "host" {
        match kind {
            Gateway::Ingress => {}
            Gateway::Terminating => {
                if service.port_label.is_empty() {
                    service.port_label.clone_from(&name);
                    add_port(group, &name);
                }
            }
            Gateway::Mesh => add_port(group, &format!("{name}-lan")),
        }
    }
    let uses_tls_limits = settings.ingress.as_ref().is_some_and(limits_tls);
    bind(settings, kind, mode == "host");
    let mut task = proxy_task(&name, kind.word(), &service.name, driver, GATEWAY_IMAGE);
    if mode == "host" {
        task.config.get_or_insert_default().insert("network_mode".to_owned(), Some(Value::from("host")));
    }
    if uses_tls_limits {
        task.constraints.get_or_insert_default().push(condition("${attr.consul.version}", "semver", ">= 1.11.2"));
    }
    add_task(group, task, connect.sidecar_task.as_ref());
}

/// Where a gateway's proxy listens: behind a bridge on all addresses, unless the job says where.
fn bind(settings: &mut api::ConsulGateway, kind: Gateway, host: bool) {
    let listeners: Vec<(String, i64)> = settings
        .ingress
        .iter()
        .flat_map(|ingress| ingress.listeners.iter().flatten())
        .flat_map(|listener| listener.services.iter().flatten().map(|service| (service.name.clone(), listener.port)))
        .collect();
    for listener in settings.ingress.iter_mut().flat_map(|ingress| ingress.listeners.iter_mut().flatten()) {
        if listener.protocol.is_empty() {
            listener.protocol = "tcp".to_owned();
        }
    }
    let proxy = settings.proxy.get_or_insert_default();
    for address in proxy.envoy_gateway_bind_addresses.iter_mut().flatten().filter_map(|(_, address)| address.as_mut()) {
        address.name.clear();
    }
    proxy.connect_timeout.get_or_insert(5 * SECOND);
    let says_where = proxy.envoy_gateway_bind_tagged_addresses
        || proxy.envoy_gateway_no_default_bind
        || proxy.envoy_gateway_bind_addresses.as_ref().is_some_and(|addresses| !addresses.is_empty());
    if host || says_where {
        return;
    }
    let everywhere = |port: i64| Some(api::ConsulGatewayBindAddress { name: String::new(), address: "0.0.0.0".to_owned(), port });
    proxy.envoy_gateway_no_default_bind = true;
    proxy.envoy_gateway_bind_addresses = Some(match kind {
        Gateway::Ingress => listeners.into_iter().map(|(name, port)| (name, everywhere(port))).collect(),
        Gateway::Terminating => BTreeMap::from([("default".to_owned(), everywhere(-1))]),
        Gateway::Mesh => BTreeMap::from([("lan".to_owned(), everywhere(-1)), ("wan".to_owned(), everywhere(-1))]),
    });
}

fn limits_tls(ingress: &api::ConsulIngressConfigEntry) -> bool {
    let services = ingress.listeners.iter().flatten().flat_map(|listener| listener.services.iter().flatten());
    ingress.tls.iter().chain(services.filter_map(|service| service.tls.as_ref())).any(|tls| {
        !tls.tls_min_version.is_empty()
            || !tls.tls_max_version.is_empty()
            || tls.cipher_suites.as_ref().is_some_and(|list| !list.is_empty())
    })
}

/// Whether a check can be reached past the proxy: it has a path of its own.
pub(super) fn exposable(check: &api::ServiceCheck) -> bool {
    check.expose && matches!(check.r#type.as_str(), "http" | "grpc") && check.path.starts_with('/')
}

/// Gives exposed checks a port past the proxy, and the proxy the paths.
fn expose(group: &mut api::TaskGroup, service: &mut api::Service) {
    let local_port = local_port(group, &service.port_label);
    let Some(sidecar) = service.connect.as_mut().and_then(|connect| connect.sidecar_service.as_mut()) else { return };
    for check in service.checks.iter_mut().flatten().filter(|check| exposable(check)) {
        if check.port_label.is_empty() {
            check.port_label = format!("svc_{}_ck_{:06x}", service.name, fingerprint(&service.name, check));
            add_port(group, &check.port_label);
        }
        let paths = sidecar.proxy.get_or_insert_default().expose.get_or_insert_default().paths.get_or_insert_default();
        let path = api::ConsulExposePath {
            path: check.path.clone(),
            protocol: check.protocol.clone(),
            local_path_port: local_port,
            listener_port: check.port_label.clone(),
        };
        if !paths.iter().any(|there| there.listener_port == path.listener_port && there.path == path.path) {
            paths.push(path);
        }
    }
}

/// The port that the service listens on inside the network: the number itself, or what the label is mapped to.
fn local_port(group: &api::TaskGroup, label: &str) -> i64 {
    label.parse().unwrap_or_else(|_| {
        let networks = group.networks.iter().flatten();
        let mut ports = networks.flat_map(|network| network.dynamic_ports.iter().chain(&network.reserved_ports).flatten());
        ports.find(|port| port.label == label).map_or(0, |port| port.to)
    })
}

/// Six hexadecimal digits that differ between the checks of a service and stay while a check does.
fn fingerprint(service: &str, check: &api::ServiceCheck) -> u32 {
    let interval = check.interval.to_string();
    let parts = [service, &check.name, &check.r#type, &check.path, &check.protocol, &check.method, &interval];
    let mut hash: u32 = 0x811c_9dc5;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash & 0x00ff_ffff
}
