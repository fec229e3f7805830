//! The domain: what the log, snapshots and the agent channel carry, valid by construction.
//!
//! Types here know nothing of JSON names or nulls; `mirror` maps between them and `drover_api` in both directions and
//! destructures in full, so a field that is added on one side stops the build until it is carried. The binary form is
//! CBOR with numbered fields: it grows by addition only, a missing field takes its default and an unknown one is skipped.

#[macro_use]
pub mod text;
#[macro_use]
pub mod mirror;

pub mod acl;
pub mod admission;
pub mod allocation;
pub mod change;
pub mod command;
pub mod deployment;
pub mod diff;
pub mod evaluation;
pub mod job;
pub mod namespace;
pub mod node;
pub mod plan;
pub mod plan_form;
pub mod policy;
pub mod resources;
pub mod scheduling;
pub mod service;
pub mod shared;
pub mod task;
pub mod variable;

pub use acl::{AclPolicy, AclRole, AclToken, AuthMethod, BindingRule, OneTimeToken, PolicyTarget};
pub use allocation::*;
pub use command::{Command, DecodeError};
pub use deployment::*;
pub use evaluation::*;
pub use job::*;
pub use namespace::*;
pub use node::*;
pub use plan::*;
pub use policy::*;
pub use resources::*;
pub use scheduling::*;
pub use service::*;
pub use task::*;

/// The version that job files and clients are told: what Drover is compatible with.
pub const NOMAD_VERSION: &str = "2.0.5";

/// A position in the replicated log.
pub type Index = u64;
