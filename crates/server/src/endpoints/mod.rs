//! Endpoints that change something: check, propose, answer. Texts follow the recorded API.

mod allocs;
mod deployments;
mod jobs;
mod namespaces;
mod nodes;
mod operator;

pub use deployments::UpdatedDeployment;
pub use jobs::{Deregistered, Planned, Registered, format_warnings};
