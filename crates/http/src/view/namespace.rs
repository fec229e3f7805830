//! Namespaces.

use std::collections::BTreeMap;

use drover_api as api;
use drover_model::{Namespace, NamespaceCapabilities};

fn list(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}

fn map(entries: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!entries.is_empty()).then(|| entries.clone())
}

/// A namespace.
pub fn namespace(namespace: &Namespace) -> api::Namespace {
    let capabilities = |capabilities: &NamespaceCapabilities| api::NamespaceCapabilities {
        enabled_task_drivers: list(&capabilities.enabled_task_drivers),
        disabled_task_drivers: list(&capabilities.disabled_task_drivers),
        enabled_network_modes: list(&capabilities.enabled_network_modes),
        disabled_network_modes: list(&capabilities.disabled_network_modes),
    };
    api::Namespace {
        name: namespace.name.clone(),
        description: namespace.description.clone(),
        capabilities: namespace.capabilities.as_ref().map(capabilities),
        meta: map(&namespace.meta),
        create_index: namespace.create_index,
        modify_index: namespace.modify_index,
        required_extra_claims: map(&namespace.required_extra_claims),
        optional_extra_claims: map(&namespace.optional_extra_claims),
        hash: Some(api::wire::Base64(digest(namespace))),
        ..api::Namespace::default()
    }
}

/// Equal for namespaces that say the same.
fn digest(namespace: &Namespace) -> Vec<u8> {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    add(&namespace.name);
    add(&namespace.description);
    add(&format!(
        "{:?} {:?} {:?} {:?}",
        namespace.capabilities, namespace.meta, namespace.required_extra_claims, namespace.optional_extra_claims
    ));
    hash.finalize().to_vec()
}
