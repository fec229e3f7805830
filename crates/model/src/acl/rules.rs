//! The rules of a policy: read from their text, and shorthands brought into their long form.

use drover_api as api;
use drover_lang::Source;
use drover_lang::specs::{self, Specification};

/// What `policy = "read"` gives in a namespace.
const NAMESPACE_READ: &[&str] = &[
    "list-jobs",
    "parse-job",
    "read-job",
    "csi-list-volume",
    "csi-read-volume",
    "read-job-scaling",
    "list-scaling-policies",
    "read-scaling-policy",
    "host-volume-read",
];
/// What `policy = "write"` adds to it.
const NAMESPACE_WRITE: &[&str] = &[
    "scale-job",
    "submit-job",
    "dispatch-job",
    "read-logs",
    "read-fs",
    "alloc-exec",
    "alloc-lifecycle",
    "csi-mount-volume",
    "csi-write-volume",
    "submit-recommendation",
    "host-volume-create",
];
/// What `policy = "scale"` gives.
const NAMESPACE_SCALE: &[&str] =
    &["list-scaling-policies", "read-scaling-policy", "read-job-scaling", "scale-job", "submit-recommendation", "read-job"];

fn with(given: Option<Vec<String>>, more: &[&[&str]]) -> Option<Vec<String>> {
    let mut all = given.unwrap_or_default();
    for name in more.iter().copied().flatten() {
        if !all.iter().any(|known| known == name) {
            all.push((*name).to_owned());
        }
    }
    (!all.is_empty()).then_some(all)
}

fn namespace(rule: &mut api::AclRulesNamespacePolicy) {
    let shorthand: &[&[&str]] = match rule.policy.as_str() {
        "read" => &[NAMESPACE_READ],
        "write" => &[NAMESPACE_READ, NAMESPACE_WRITE],
        "scale" => &[NAMESPACE_SCALE],
        "deny" => &[&["deny"]],
        _ => &[],
    };
    let mut all = with(rule.capabilities.take(), shorthand).unwrap_or_default();
    // What a capability of host volumes implies is written out, as clients of the API are shown it.
    let implied: Vec<&str> = all
        .iter()
        .flat_map(|name| match name.as_str() {
            "host-volume-write" => &["host-volume-register", "host-volume-create", "host-volume-delete", "host-volume-read"][..],
            "host-volume-register" => &["host-volume-create", "host-volume-read"],
            "host-volume-create" => &["host-volume-read"],
            _ => &[],
        })
        .copied()
        .collect();
    all.extend(implied.into_iter().map(str::to_owned));
    rule.capabilities = (!all.is_empty()).then_some(all);
}

/// Brings the shorthands of rules into their long form.
fn expand(rules: &mut api::ACLPolicyRules) {
    rules.namespaces.iter_mut().flatten().for_each(namespace);
    for rule in rules.node_pools.iter_mut().flatten() {
        let shorthand: &[&str] = match rule.policy.as_str() {
            "read" => &["read"],
            "write" => &["delete", "read", "write"],
            "deny" => &["deny"],
            _ => &[],
        };
        rule.capabilities = with(rule.capabilities.take(), &[shorthand]);
    }
    for rule in rules.host_volumes.iter_mut().flatten() {
        let shorthand: &[&str] = match rule.policy.as_str() {
            "read" => &["mount-readonly"],
            "write" => &["mount-readonly", "mount-readwrite"],
            "deny" => &["deny"],
            _ => &[],
        };
        rule.capabilities = with(rule.capabilities.take(), &[shorthand]);
    }
    if let Some(rule) = &mut rules.operator {
        let shorthand: &[&str] = match rule.policy.as_str() {
            "read" => &["license-read", "keyring-read"],
            "write" => &["license-read", "keyring-read", "snapshot-save", "keyring-rotate", "keyring-delete"],
            "deny" => &["deny"],
            _ => &[],
        };
        rule.capabilities = with(rule.capabilities.take(), &[shorthand]);
    }
}

/// Reads the rules of a policy.
///
/// # Errors
/// Every problem, with its place.
pub fn parse(text: &str) -> Result<api::ACLPolicyRules, Vec<String>> {
    read(text, specs::parse)
}

/// Reads the rules of a policy that another version stored: what is not known here has no effect (ACL-012).
pub(super) fn parse_stored(text: &str) -> api::ACLPolicyRules {
    read(text, specs::parse_stored).unwrap_or_default()
}

fn read(
    text: &str,
    parse: fn(Specification, &Source) -> Result<specs::Document, Vec<drover_lang::Problem>>,
) -> Result<api::ACLPolicyRules, Vec<String>> {
    if text.trim().is_empty() {
        return Ok(api::ACLPolicyRules { raw: text.to_owned(), ..api::ACLPolicyRules::default() });
    }
    let document = parse(Specification::AclPolicy, &Source::new("rules", text))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let mut rules: api::ACLPolicyRules = document.object().map_err(|error| vec![error.to_string()])?;
    let mut problems = Vec::new();
    for rule in rules.namespaces.iter().flatten() {
        let Some(variables) = &rule.variables else { continue };
        let paths = variables.paths.as_deref().unwrap_or_default();
        if paths.is_empty() {
            problems.push(format!("Invalid variable policy: no variable paths in namespace {}", rule.name));
        }
        if paths.iter().any(|path| path.path_spec.is_empty()) {
            problems.push(format!("Invalid missing variable path in namespace {}", rule.name));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    rules.raw = text.to_owned();
    expand(&mut rules);
    Ok(rules)
}
