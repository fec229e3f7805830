//! What the machine of an agent looks like, for whoever looks for the cause of trouble there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use drover_api as api;

use crate::access::require;
use crate::agent::Agent;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::Request;

/// The most of a file of the machine that is shown.
const FILE_MAX: usize = 64 << 10;
/// Mount points that are shown at most.
const MOUNTS_MAX: usize = 256;
/// Parts of names of variables whose values are nobody's business.
const SENSITIVE: &[&str] = &["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "LICENSE", "CREDENTIAL", "AUTH"];
const REDACTED: &str = "<redacted>";

/// `GET /v1/agent/host`. While ACLs are off, only an agent that is being debugged tells.
pub async fn host(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (node, server) = (request.query.get("node_id"), request.query.get("server_id"));
    let caller = request.caller();
    require(if caller.enforced { caller.rights.agent_read() } else { agent.facts.debug })?;
    let facts = &agent.facts;
    let full_name = format!("{}.{}", facts.name, facts.region);
    let id = match (node, server) {
        ("", "") => return Reply::json(&host_data()),
        ("", "leader") => full_name,
        ("", name) if name == facts.name || name == full_name || name == facts.server_id => full_name,
        ("", name) => return Err(ApiError::by_text(format!("unknown Nomad server {name}"))),
        (node, "") => {
            let own = agent.client.as_ref().map(|client| client.node_id().to_string());
            own.filter(|own| own == node).ok_or_else(|| ApiError::not_found(format!("Unknown node {node:?}")))?
        }
        _ => return Err(ApiError::bad_request("Can only forward to either client node or server")),
    };
    Reply::json(&api::HostDataResponse { agent_id: id, host_data: Some(host_data()) })
}

fn file(path: &str) -> String {
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    if text.len() > FILE_MAX {
        let end = (0..=FILE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
    }
    text
}

fn host_data() -> api::HostData {
    let host = drover_linux::fingerprint::host();
    let networks = drover_linux::fingerprint::networks().unwrap_or_default();
    let network = networks.into_iter().map(|(interface, address, prefix)| {
        let parts = [
            ("interface", interface),
            ("address", address.to_string()),
            ("mask_bits", prefix.to_string()),
            ("type", if address.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned()),
            ("string", format!("{address}/{prefix}")),
        ];
        parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    });
    api::HostData {
        os: format!("{} {} {} {}", host.os_name, host.os_version, host.kernel_version, host.kernel_arch),
        network: Some(network.collect()),
        resolv_conf: file("/etc/resolv.conf"),
        hosts: file("/etc/hosts"),
        environment: Some(environment(std::env::vars())),
        disk: Some(disks(&file("/proc/mounts"))),
    }
}

fn environment(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let shown = |(name, value): (String, String)| {
        let upper = name.to_ascii_uppercase();
        let sensitive = SENSITIVE.iter().any(|part| upper.contains(part));
        (name, if sensitive && !value.is_empty() { REDACTED.to_owned() } else { value })
    };
    variables.map(shown).collect()
}

fn disks(mounts: &str) -> BTreeMap<String, api::DiskUsage> {
    let mib = |bytes: u64| i64::try_from(bytes >> 20).unwrap_or(i64::MAX);
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let uses = points.take(MOUNTS_MAX).filter_map(|point| {
        let found = drover_linux::path::file_system_use(Path::new(point)).ok().filter(|found| found.bytes_total > 0)?;
        Some((point.to_owned(), api::DiskUsage { disk_mb: mib(found.bytes_total), used_mb: mib(found.bytes_used) }))
    });
    uses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sounds_like_a_secret_is_not_shown() {
        let given = [("HOME", "/root"), ("AWS_SECRET_ACCESS_KEY", "x"), ("my_password", "y"), ("NOMAD_TOKEN", "")];
        let shown = environment(given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let shown: Vec<_> = shown.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(shown, [("AWS_SECRET_ACCESS_KEY", REDACTED), ("HOME", "/root"), ("NOMAD_TOKEN", ""), ("my_password", REDACTED)]);
    }

    #[test]
    fn every_mount_point_with_room_is_told() {
        assert!(disks("overlay / overlay rw 0 0\nproc /proc proc rw 0 0\n").contains_key("/"));
    }
}
