//! What is wrong with a configuration as a whole, before anything is started by it, and which of its keys have no effect.
//!
//! Reads no clock, file or interface of the host: the agent and `config validate` find the same problems, all at once.

use std::net::IpAddr;

use serde_json::{Map, Value as Json};

use super::Partial;
use super::schema::{Key, Kind, ROOT};
use super::typed::{AgentConfig, located};
use crate::bytesize::parse_byte_size;
use crate::diag::{Problem, Source};
use crate::duration::parse_duration;
use crate::sockaddr::{Interface, render};

/// The version of the consensus protocol that servers speak.
pub const RAFT_PROTOCOL: i64 = 3;

/// How much may be logged.
const LOG_LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "OFF"];

/// Texts that are durations.
const DURATIONS: [&str; 20] = [
    "log_rotate_duration",
    "limits.https_handshake_timeout",
    "limits.rpc_handshake_timeout",
    "client.max_kill_timeout",
    "server.node_gc_threshold",
    "server.job_gc_interval",
    "server.job_gc_threshold",
    "server.eval_gc_threshold",
    "server.batch_eval_gc_threshold",
    "server.deployment_gc_threshold",
    "server.csi_volume_claim_gc_interval",
    "server.csi_volume_claim_gc_threshold",
    "server.csi_plugin_gc_threshold",
    "server.acl_token_gc_threshold",
    "server.root_key_gc_interval",
    "server.root_key_gc_threshold",
    "server.root_key_rotation_threshold",
    "server.raft_snapshot_interval",
    "telemetry.collection_interval",
    "telemetry.in_memory_collection_interval",
];

/// The interfaces of some host, for templates of addresses: what runs on it is well formed, whatever it gives elsewhere.
fn some_host() -> Vec<Interface> {
    let interface = |name: &str, nets: &[&str], flags: &[&str], default| Interface {
        name: name.to_owned(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        addresses: nets.iter().filter_map(|net| net.parse().ok()).collect(),
        default,
    };
    let mut all = vec![
        interface("lo", &["127.0.0.1/8", "::1/128"], &["up", "loopback"], false),
        interface("eth0", &["10.0.0.2/24", "fd00::2/64"], &["up", "broadcast", "multicast"], true),
        interface("eth1", &["8.8.4.2/24", "2606:4700::2/64"], &["up", "broadcast", "multicast"], false),
    ];
    // Enough of them for templates that pass some over.
    for number in 2..20 {
        let nets = [format!("10.0.{number}.2/24"), format!("8.8.{}.2/24", number + 4)];
        all.push(interface(&format!("eth{number}"), &[&nets[0], &nets[1]], &["up", "broadcast", "multicast"], false));
    }
    all
}

struct Found<'a> {
    sources: &'a [Source],
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, key: &str, detail: String) {
        self.problems.push(located(key, detail, self.sources));
    }

    fn check(&mut self, broken: bool, key: &str, detail: impl FnOnce() -> String) {
        if broken {
            self.add(key, detail());
        }
    }
}

impl AgentConfig {
    /// What is wrong with the values of this configuration, made of `partial` and perhaps flags; empty when nothing is.
    pub fn problems(&self, partial: &Partial, sources: &[Source]) -> Vec<Problem> {
        let mut found = Found { sources, problems: Vec::new() };
        self.places(&mut found);
        self.addresses(&mut found);
        for key in DURATIONS {
            if let Some(text) = partial.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
                && let Err(error) = parse_duration(text)
            {
                found.add(key, format!("\"{key}\" must be a duration such as \"1h30m\": {error}"));
            }
        }
        let level = &self.log_level;
        found.check(!LOG_LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)), "log_level", || {
            format!("\"log_level\" must be one of {}, not {level:?}", LOG_LEVELS.join(", "))
        });
        let size = &self.server.job_max_source_size;
        found.check(!size.is_empty() && parse_byte_size(size).is_err(), "server.job_max_source_size", || {
            format!("\"server.job_max_source_size\" must be a size such as \"1M\", not {size:?}")
        });
        for name in &self.server.enabled_schedulers {
            found.check(!["service", "batch", "system", "sysbatch", "_core"].contains(&name.as_str()), "server.enabled_schedulers", || {
                format!("\"server.enabled_schedulers\": there are no jobs of the type {name:?}, only service, batch, system and sysbatch")
            });
        }
        let protocol = self.server.raft_protocol;
        found.check(protocol != 0 && protocol != RAFT_PROTOCOL, "server.raft_protocol", || {
            format!("raft_protocol must be {RAFT_PROTOCOL} in this version, not {protocol}.")
        });
        let servers = self.server.bootstrap_expect;
        found.check(self.server.enabled && servers > 1, "server.bootstrap_expect", || {
            format!(
                "server.bootstrap_expect = {servers} asks for several servers; this version of Drover runs one server per region. Set it to 1."
            )
        });
        let tls = &self.tls;
        for (key, file) in [("tls.cert_file", &tls.cert_file), ("tls.key_file", &tls.key_file)] {
            found.check(tls.http && file.is_empty(), "tls.http", || format!("TLS for the API needs {key:?}, the path of a file in PEM"));
        }
        found.check(tls.http && tls.verify_https_client && tls.ca_file.is_empty(), "tls.verify_https_client", || {
            "Certificates of callers can be checked only with \"tls.ca_file\", the path of the authorities that sign them".to_owned()
        });
        let version = tls.tls_min_version.as_str();
        found.check(!matches!(version, "" | "tls10" | "tls11" | "tls12" | "tls13"), "tls.tls_min_version", || {
            format!("\"tls.tls_min_version\" must be one of tls10, tls11, tls12 and tls13, not {version:?}")
        });
        let promises = partial.promises();
        for (set, key, feature) in [
            (promises.tls_rpc, "tls.rpc", "TLS between agents"),
            (promises.gossip_encryption, "server.encrypt", "gossip encryption"),
            (promises.audit, "audit.enabled", "the audit log"),
            (promises.external_keyring, "keyring", "an external keyring"),
        ] {
            found.check(set, key, || {
                format!(
                    "Configuration key {key:?} asks for {feature}, which this version of Drover does not have yet. It does not start rather than run without it; remove the key to run unprotected."
                )
            });
        }
        found.problems
    }

    /// What every agent must be told and this configuration does not say.
    pub fn missing(&self, dev: bool) -> Vec<Problem> {
        let mut found = Found { sources: &[], problems: Vec::new() };
        found.check(!self.server.enabled && !self.client.enabled, "", || {
            "Must specify either server, client or dev mode for the agent.".to_owned()
        });
        found.check(!dev && self.data_dir.is_empty(), "", || "Must specify \"data_dir\" config option or \"data-dir\" CLI flag".to_owned());
        found.problems
    }

    fn places(&self, found: &mut Found<'_>) {
        for (name, path) in [("client.state_dir", &self.client.state_dir), ("client.alloc_dir", &self.client.alloc_dir)] {
            found.check(!path.is_empty() && !path.starts_with('/'), name, || {
                format!("{name} must be given as an absolute path: got {path}")
            });
        }
        let named = |name: &str| !name.is_empty() && !name.contains(['/', '\0']);
        let wrong = || "region and datacenter must not be empty, nor hold a slash".to_owned();
        found.check(!named(&self.region), "region", wrong);
        found.check(self.datacenter.is_empty() || self.datacenter.contains(['*', '\0']), "datacenter", || {
            "datacenter must not be empty, nor hold a star".to_owned()
        });
        found.check(self.client.enabled && self.client.node_pool == "all", "client.node_pool", || {
            "client.node_pool: a node cannot be in the pool \"all\"".to_owned()
        });
        for (name, port) in [("ports.http", self.ports.http), ("ports.rpc", self.ports.rpc), ("ports.serf", self.ports.serf)] {
            found.check(!(0..=65_535).contains(&port), name, || format!("{name} must be a port from 0 to 65535, not {port}"));
        }
    }

    fn addresses(&self, found: &mut Found<'_>) {
        let host = some_host();
        let own = [&self.bind_addr, &self.addresses.http, &self.addresses.rpc, &self.addresses.serf];
        for (name, text) in ["bind_addr", "addresses.http", "addresses.rpc", "addresses.serf"].into_iter().zip(own) {
            if text.contains("{{") {
                found.template(name, text, &host);
            } else if !text.is_empty() && text.parse::<IpAddr>().is_err() {
                found.add(
                    name,
                    format!(
                        "{name}: {text:?} is no address: give an IP address such as 127.0.0.1, or a template such as {{{{ GetPrivateIP }}}}"
                    ),
                );
            }
        }
        let told = [&self.advertise.http, &self.advertise.rpc, &self.advertise.serf, &self.client.network_interface];
        for (name, text) in ["advertise.http", "advertise.rpc", "advertise.serf", "client.network_interface"].into_iter().zip(told) {
            found.template(name, text, &host);
        }
    }
}

impl Found<'_> {
    fn template(&mut self, name: &str, text: &str, host: &[Interface]) {
        if let Err(error) = render(text, host) {
            self.add(name, format!("{name}: {error}"));
        }
    }
}

/// Puts problems in the order in which they stand in the files; those that stand nowhere come last.
pub fn in_order(problems: &mut [Problem], sources: &[Source]) {
    problems.sort_by_key(|problem| match &problem.place {
        Some(place) => (sources.iter().position(|source| **source.name() == *place.file).unwrap_or(0), place.span.start),
        None => (usize::MAX, 0),
    });
}

impl Partial {
    /// The keys that are set and that this version does nothing with, the outermost of each.
    pub fn without_effect(&self) -> Vec<String> {
        let mut out = Vec::new();
        walk("", &self.values, &ROOT, &mut out);
        out
    }
}

fn walk(prefix: &str, values: &Map<String, Json>, schema: &Key, out: &mut Vec<String>) {
    for (name, value) in values {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (schema.find(name), value) {
            (Some(key), _) if key.acts => {}
            (Some(key), Json::Object(inner)) if key.kind == Kind::Block && key.acts_inside() => walk(&path, inner, key, out),
            _ => out.push(path),
        }
    }
}
