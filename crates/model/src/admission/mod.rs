//! Admission: from a job as somebody sent it to a job that may be stored.
//!
//! [`canonicalize`] fills in defaults, [`complete`] adds what follows from it, [`validate`] finds all
//! problems at once. Only a job that went through all three is converted to [`crate::Job`].

mod canonical;
mod clients;
mod connect;
mod identities;
mod implied;
mod region;
mod services;
mod tasks;
mod validate;
mod warnings;

pub use canonical::{Surroundings, canonicalize, complete, complete_with};
pub use clients::canonicalize_as_clients;
pub use identities::{DefaultIdentity, Peers};
pub use implied::imply_constraints;
pub use region::{driver_off, network_mode_off, no_namespace, no_node_pool, priority_above, told_by_region, too_many};
pub use validate::{JobProblems, validate, validate_with};
pub use warnings::{Oversubscription, warnings};

#[cfg(test)]
pub(crate) mod tests;
