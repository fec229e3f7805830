//! A whole state as tables of objects, as the API shows them, for those who look into a saved state or the log of a stopped server.
//! Secrets of tokens, values of variables and the material of keys are not among it.

use std::collections::BTreeMap;
use std::path::Path;

use drover_api as api;
use drover_server::files;
use drover_server::state::{ArchiveError, Snapshot, Table};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    acl_policy, acl_role, acl_token, alloc, auth_method, binding_rule, deployment, evaluation_in, job, namespace, node, node_pool,
};
use super::{service, summary, version};
use crate::routes::{scaling, variables};

/// Tables by name.
pub type Tables = BTreeMap<String, Value>;

/// The tables of an archive, with what it says about itself.
///
/// # Errors
/// When it is not whole, or of a newer build.
pub fn saved(archive: &[u8]) -> Result<Tables, ArchiveError> {
    let (meta, state) = files::saved_state(archive)?;
    let mut tables = tables(&state);
    let meta = json!([{ "ID": meta.id, "Index": meta.index, "Term": meta.term, "Size": meta.size }]);
    tables.insert("SnapshotMeta".to_owned(), meta);
    Ok(tables)
}

/// The tables that the log of a stopped server leads to: up to an entry, counted from the newest when it is not positive.
///
/// # Errors
/// When the log cannot be read or replayed.
pub fn replayed(directory: &Path, last: i64) -> std::io::Result<Tables> {
    Ok(tables(&files::replayed(directory, last)?))
}

fn rows<T: Serialize>(rows: impl Iterator<Item = T>) -> Value {
    Value::Array(rows.map(|row| json!(row)).collect())
}

/// The state as tables.
fn tables(state: &Snapshot) -> Tables {
    let tokens = state.acl_tokens().map(|token| api::ACLToken { secret_id: String::new(), ..acl_token(state, token) });
    let versions = state.jobs().flat_map(|row| row.versions.iter().map(move |one| version(row, one)));
    let launches = state.periodic_jobs().filter(|row| !row.last_launch.is_zero());
    let launches = launches.map(|row| json!({ "ID": row.id().id, "Namespace": row.id().namespace, "Launch": row.last_launch.rfc3339() }));
    let keys = state.root_keys().map(|key| api::RootKeyMeta {
        key_id: key.id.clone(),
        algorithm: "aes256-gcm".to_owned(),
        create_time: key.create_time.0,
        create_index: key.create_index,
        modify_index: key.modify_index,
        state: key.state.text().to_owned(),
        publish_time: key.publish_time.0,
    });
    let events = state.jobs().filter(|row| !row.scaling.is_empty()).map(|row| {
        let status = super::scale_status(state, row);
        let groups: BTreeMap<_, _> =
            status.task_groups.into_iter().flatten().map(|(name, group)| (name, json!(group)["Events"].clone())).collect();
        json!({ "Namespace": row.id().namespace, "JobID": row.id().id, "ScalingEvents": groups })
    });
    let nodes = state.nodes().map(|(_, row)| node(row));
    let indexes = Table::ALL.iter().map(|table| json!({ "Key": table.text(), "Value": state.table_index(*table) }));
    let entries = [
        ("ACLAuthMethods", rows(state.auth_methods().map(|method| auth_method(method)))),
        ("ACLBindingRules", rows(state.binding_rules().map(|rule| binding_rule(rule)))),
        ("ACLPolicies", rows(state.acl_policies().map(|row| acl_policy(row)))),
        ("ACLRoles", rows(state.acl_roles().map(|role| acl_role(role)))),
        ("ACLTokens", rows(tokens)),
        ("Allocs", rows(state.allocs().map(|one| alloc(state, one)))),
        ("CSIPlugins", json!([])),
        ("CSIVolumes", json!([])),
        ("Deployments", rows(state.deployments().map(|one| deployment(one)))),
        ("Evals", rows(state.evals().map(|eval| evaluation_in(state, eval)))),
        ("Indexes", rows(indexes)),
        ("JobSummaries", rows(state.jobs().map(|row| summary(row)))),
        ("JobVersions", rows(versions)),
        ("Jobs", rows(state.jobs().map(|row| job(row)))),
        ("Namespaces", rows(state.namespaces().map(|one| namespace(one)))),
        ("NodePools", rows(state.node_pools().map(|pool| node_pool(pool)))),
        ("Nodes", rows(nodes)),
        ("PeriodicLaunches", rows(launches)),
        ("RootKeys", rows(keys)),
        ("ScalingEvents", rows(events)),
        ("ScalingPolicies", rows(state.jobs().flat_map(|row| scaling::policies(row)))),
        ("ServiceRegistrations", rows(state.services().map(|one| service(one)))),
        ("Variables", rows(state.variables().map(|variable| Value::Object(variables::metadata(variable, false))))),
    ];
    entries.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect()
}
