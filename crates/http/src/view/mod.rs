//! Rows of the state as the API shows them.
//!
//! Every field of the JSON types is written here or left at its zero value on purpose; nothing is looked up beyond the
//! snapshot that the row came from.

mod acl;
mod alloc;
mod deployment;
mod evaluation;
mod job;
mod namespace;
mod node;
mod pool;
mod service;
pub mod tables;
mod task_event;

pub use acl::{
    acl_no_token, acl_policy, acl_policy_stub, acl_role, acl_role_stub, acl_token, acl_token_stub, auth_method, auth_method_stub,
    binding_rule, binding_rule_stub, one_time_token,
};
pub use alloc::{alloc, alloc_before, alloc_stub, resources};
pub use deployment::deployment;
pub use evaluation::{evaluation, evaluation_in, evaluation_stub, metrics, updates};
pub use job::{job, job_stub, scale_status, submission, summary, version};
pub use namespace::namespace;
pub use node::{node, node_stub};
pub use pool::node_pool;
pub use service::{service, service_stubs};
pub use task_event::{task_event, task_state};

use std::collections::BTreeMap;

use drover_base::WallTime;

/// Why something waits, as the API shows it.
pub fn why(why: Option<drover_server::why::Why>) -> Option<drover_api::Why> {
    why.map(|why| drover_api::Why {
        code: why.code.to_owned(),
        message: why.message,
        since: time(why.since),
        deadline: time(why.deadline),
        counts: (!why.counts.is_empty()).then(|| why.counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()),
    })
}

/// A time, or null for none.
pub(crate) fn time(time: WallTime) -> Option<String> {
    (!time.is_zero()).then(|| time.rfc3339())
}

/// An id, or "" for none.
pub(crate) fn id<K>(id: Option<drover_base::Id<K>>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

pub(crate) fn list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(crate) fn counts(map: &BTreeMap<String, u32>) -> Option<BTreeMap<String, i64>> {
    (!map.is_empty()).then(|| map.iter().map(|(name, count)| (name.clone(), i64::from(*count))).collect())
}
