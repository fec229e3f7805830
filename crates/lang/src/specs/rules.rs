//! Rules of specifications that are about more than one value.

use serde_json::{Map, Value as Json, json};

use super::Specification;
use crate::duration::parse_duration;

/// The longest description, in characters.
pub(super) const DESCRIPTION_MAX: usize = 256;
/// The longest name, in bytes.
const NAME_MAX: usize = 128;
/// The most that a variable's keys and values have together, in bytes.
const ITEMS_MAX: usize = 64 * 1024;

/// Letters, digits, hyphens.
pub(super) fn is_word(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn characters(text: &str, more: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

type Say<'a> = dyn FnMut(&str, String) + 'a;

/// Checks a specification as a whole, and brings shorthands into their long form.
pub(super) fn check(specification: Specification, volume: Option<&str>, fields: &mut Map<String, Json>, say: &mut Say<'_>) {
    match (specification, volume) {
        (Specification::Namespace, _) => namespace(fields, say),
        (Specification::NodePool, _) => node_pool(fields, say),
        (Specification::Quota, _) => quota(fields, say),
        (Specification::AclPolicy, _) => policy(fields, say),
        (Specification::Volume, Some("host")) => host_volume(fields, say),
        (Specification::Volume, _) => csi_volume(fields, say),
        (Specification::Variable, _) => variable(fields, say),
        (Specification::ScalingPolicy, _) => scaling(fields, say),
    }
}

fn namespace(fields: &Map<String, Json>, say: &mut Say<'_>) {
    for (name, shown) in [("NodePoolConfiguration", "node_pool_config"), ("VaultConfiguration", "vault"), ("ConsulConfiguration", "consul")]
    {
        let block = fields.get(name);
        if block.is_some_and(|block| block.get("Allowed").is_some() && block.get("Denied").is_some()) {
            say("Conflicting keys", format!("\"{shown}\" cannot have both \"allowed\" and \"denied\"."));
        }
    }
}

fn node_pool(fields: &Map<String, Json>, say: &mut Say<'_>) {
    let pools = list(fields.get("NodePool"));
    if pools.len() > 1 {
        say("Several node pools", "A file holds exactly one node pool.".to_owned());
    }
    for pool in pools {
        let name = pool["Name"].as_str().unwrap_or_default();
        if !characters(name, b"-_") {
            say("Invalid name", format!("The name of a node pool is 1 to 128 letters, digits, hyphens and underscores, not \"{name}\"."));
        }
        if pool["NodeIdentityTTL"].as_i64().is_some_and(|ttl| ttl <= 0) {
            say("Invalid duration", "\"node_identity_ttl\" must be positive.".to_owned());
        }
    }
}

fn list(value: Option<&Json>) -> &[Json] {
    value.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn quota(fields: &Map<String, Json>, say: &mut Say<'_>) {
    let mut regions: Vec<&str> = Vec::new();
    for limit in list(fields.get("Limits")) {
        let region = limit["Region"].as_str().unwrap_or_default();
        if regions.contains(&region) {
            say("Several limits", format!("There are two limits for region \"{region}\"."));
        }
        regions.push(region);
        for device in list(limit["RegionLimit"].get("Devices")) {
            let name = device["Name"].as_str().unwrap_or_default();
            if name.split('/').count() > 3 || name.split('/').any(str::is_empty) {
                say("Invalid device", format!("A device is given as type, vendor/type or vendor/type/name, not \"{name}\"."));
            }
        }
    }
}

fn policy(fields: &mut Map<String, Json>, say: &mut Say<'_>) {
    for (kind, shown, more) in
        [("Namespaces", "namespace", &b"-*"[..]), ("NodePools", "node_pool", b"-_*"), ("HostVolumes", "host_volume", b"-_*")]
    {
        for rule in list(fields.get(kind)) {
            let name = rule["Name"].as_str().unwrap_or_default();
            if !characters(name, more) {
                say("Invalid name", format!("\"{name}\" cannot be the name or pattern of a {shown}."));
            }
            for path in list(rule["Variables"].get("Paths")) {
                let path = path["PathSpec"].as_str().unwrap_or_default();
                if path.starts_with('/') {
                    say("Invalid path", format!("The path \"{path}\" must not start with a slash."));
                }
            }
        }
    }
}

fn ordered(fields: &Map<String, Json>, least: &str, most: &str, say: &mut Say<'_>) {
    let number = |name: &str| fields.get(name).and_then(Json::as_u64).unwrap_or(0);
    if number(most) > 0 && number(least) > number(most) {
        say("Invalid capacity", "\"capacity_min\" must not be above \"capacity_max\".".to_owned());
    }
}

fn csi_volume(fields: &mut Map<String, Json>, say: &mut Say<'_>) {
    ordered(fields, "RequestedCapacityMin", "RequestedCapacityMax", say);
    if fields.contains_key("CloneID") && fields.contains_key("SnapshotID") {
        say("Conflicting keys", "\"clone_id\" and \"snapshot_id\" cannot both be given.".to_owned());
    }
}

/// Operators that may be written as a key of their own.
const SHORTHANDS: [(&str, &str); 8] = [
    ("Regexp", "regexp"),
    ("Version", "version"),
    ("Semver", "semver"),
    ("SetContains", "set_contains"),
    ("SetContainsAll", "set_contains_all"),
    ("SetContainsAny", "set_contains_any"),
    ("IsSet", "is_set"),
    ("IsNotSet", "is_not_set"),
];

fn host_volume(fields: &mut Map<String, Json>, say: &mut Say<'_>) {
    ordered(fields, "RequestedCapacityMinBytes", "RequestedCapacityMaxBytes", say);
    for constraint in fields.get_mut("Constraints").and_then(Json::as_array_mut).into_iter().flatten().filter_map(Json::as_object_mut) {
        for (key, operator) in SHORTHANDS {
            if let Some(value) = constraint.remove(key) {
                constraint.insert("Operand".to_owned(), json!(operator));
                if !operator.starts_with("is_") {
                    constraint.insert("RTarget".to_owned(), value);
                }
            }
        }
        constraint.entry("Operand").or_insert(json!("="));
        if constraint["Operand"].as_str().is_some_and(|operator| operator.starts_with("distinct_")) {
            say("Unsuitable operator", "Volumes cannot be placed by \"distinct_hosts\" or \"distinct_property\".".to_owned());
        }
    }
    if let Some(path) = fields.get("HostPath").and_then(Json::as_str)
        && !path.starts_with('/')
    {
        say("Invalid path", format!("\"host_path\" must be absolute, not \"{path}\"."));
    }
}

fn variable(fields: &Map<String, Json>, say: &mut Say<'_>) {
    if let Some(path) = fields.get("Path").and_then(Json::as_str) {
        if !characters(path, b"-_~/") {
            say("Invalid path", format!("A path is 1 to 128 letters, digits and - _ ~ /, not \"{path}\"."));
        }
        if let Some(rest) = path.strip_prefix("nomad/") {
            let parts: Vec<&str> = rest.split('/').collect();
            let reserved = match parts.first() {
                Some(&"jobs") => parts.len() > 4,
                Some(&"job-templates") => parts.len() != 2,
                Some(&"sentinel") => false,
                _ => true,
            };
            if reserved {
                say("Reserved path", format!("\"{path}\" is reserved: below nomad/ only jobs and job-templates have variables."));
            }
        }
    }
    let size: usize = fields
        .get("Items")
        .and_then(Json::as_object)
        .map(|items| items.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum())
        .unwrap_or(0);
    if size > ITEMS_MAX {
        say("Too much inside", format!("The items of a variable have {size} bytes; at most {ITEMS_MAX} are allowed."));
    }
    let lock = fields.get("Lock");
    if let Some(ttl) = lock.and_then(|lock| lock["TTL"].as_str()).and_then(|text| parse_duration(text).ok())
        && !(10_000_000_000..=86_400_000_000_000).contains(&ttl)
    {
        say("Invalid duration", "The \"ttl\" of a lock is between 10s and 24h.".to_owned());
    }
}

fn scaling(fields: &Map<String, Json>, say: &mut Say<'_>) {
    for policy in list(fields.get("Scaling")) {
        let (min, max) = (policy["Min"].as_i64().unwrap_or(0), policy["Max"].as_i64().unwrap_or(0));
        if min < 0 || max < min {
            say("Invalid bounds", format!("Policy \"{}\": 0 ≤ min ≤ max must hold.", policy["Name"].as_str().unwrap_or_default()));
        }
    }
}
