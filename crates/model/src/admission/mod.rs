//! Admission: from a job as somebody sent it to a job that may be stored.
//!
//! [`canonicalize`] fills in defaults, [`imply_constraints`] adds what the job needs of nodes, [`validate`] finds all
//! problems at once. Only a job that went through all three is converted to [`crate::Job`].

mod canonical;
mod implied;
mod validate;

pub use canonical::{Surroundings, canonicalize};
pub use implied::imply_constraints;
pub use validate::{JobProblems, validate, warnings};

#[cfg(test)]
mod tests;
