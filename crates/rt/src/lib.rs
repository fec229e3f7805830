//! What roles may touch of the outside: clock, entropy, tasks and disks, each replaceable by the simulation.
//!
//! Clippy bans the ambient forms everywhere else, so this crate is the list of what `sim` must replace.

pub mod clock;
pub mod disk;
pub mod entropy;
pub mod scope;
pub mod telemetry;

pub use clock::Clock;
pub use disk::{Disk, DiskFile, RealDisk};
pub use entropy::Entropy;
pub use scope::TaskScope;
pub use tokio_util::sync::CancellationToken;
