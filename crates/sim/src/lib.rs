//! Whole regions on virtual time, from a seed: a real server with its real log on a disk that forgets what was not synced,
//! fake clients behind a slow network, crashes and restarts; invariants are checked at every state that is applied.
//!
//! The same seed gives the same trace, so a failure is a number.

pub mod client;
pub mod disk;
pub mod invariants;
mod users;
pub mod world;

pub use world::{Bug, Report, Scenario, run, run_watched};
