//! Decisions of the servers as pure values: what a job's allocations should be, where they go, and the leader's services
//! (broker, blocked evaluations, plan verification, deployments, garbage collection).
//!
//! Nothing here reads a clock or draws randomness; both come in. A plan leaves its executor no choices.

pub mod blocked;
pub mod broker;
pub mod changes;
mod conclude;
pub mod constraint;
pub mod deployments;
pub mod dispatch;
pub mod distinct;
pub mod drain;
pub mod feasible;
mod followups;
pub mod gc;
pub mod heartbeat;
pub mod offer;
pub mod periodic;
mod placer;
pub mod ports;
pub mod preempt;
pub mod process;
pub mod rank;
pub mod reconcile;
pub mod reschedule;
mod search;
pub mod spread;
pub mod system;
pub mod verify;
pub mod why;

pub use conclude::{Attempts, Ending, conclude, give_up};
pub use process::{Context, Outcome, process};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
