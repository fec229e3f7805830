//! What each route is for, what it takes and what it answers: the part of the API's description that the table of routes
//! does not know.

mod agents;
mod cluster;
mod workloads;

use super::operation::Operation;

/// All of them, by area.
pub(super) fn all() -> Vec<(&'static str, Vec<Operation>)> {
    vec![
        ("jobs", workloads::jobs()),
        ("validate", workloads::validate()),
        ("allocations", workloads::allocations()),
        ("evaluations", workloads::evaluations()),
        ("deployments", workloads::deployments()),
        ("nodes", cluster::nodes()),
        ("node-pools", cluster::node_pools()),
        ("namespaces", cluster::namespaces()),
        ("services", cluster::services()),
        ("search", cluster::search()),
        ("scaling", cluster::scaling()),
        ("events", cluster::events()),
        ("variables", cluster::variables()),
        ("acl", cluster::acl()),
        ("client", agents::client()),
        ("agent", agents::agent()),
        ("metrics", agents::metrics()),
        ("regions", agents::regions()),
        ("oidc", agents::oidc()),
        ("status", agents::status()),
        ("operator", agents::operator()),
        ("system", agents::system()),
    ]
}
