//! The vocabulary of every crate: ids, time, seeded randomness, and the report of proofs by tests.
//!
//! Nothing here reads a clock, draws randomness from the system or touches a file; values come in as arguments.

pub mod id;
pub mod proof;
pub mod rng;
pub mod time;

pub use id::{AllocId, DeploymentId, EvalId, Id, NodeId};
pub use rng::Rng;
pub use time::{Monotonic, WallTime};
