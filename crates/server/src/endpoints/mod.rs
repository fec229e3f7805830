//! Endpoints that change something: check, propose, answer. Texts follow the recorded API.

mod acl;
mod allocs;
mod deployments;
mod identities;
mod jobs;
mod namespaces;
mod nodes;
mod operator;
mod variables;
mod workloads;

pub use acl::REDACTED;
pub use deployments::UpdatedDeployment;
pub use jobs::{Deregistered, Planned, Registered, format_warnings};
pub use variables::{AskedLock, Items, VariableOutcome, VariableRequest};
pub(crate) use variables::{Locks, first_key, run_locks};
pub(crate) use workloads::is_signed;
