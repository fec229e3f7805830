//! The task shim: one small process per task that owns it, keeps its logs, enforces its limits and remembers how it ended, so that a
//! task never notices that its agent restarted, crashed or was replaced.
//!
//! Agent and shim are the same executable. The agent starts one *nursery*, itself re-executed, which forks a shim for every task: a fork
//! of a tiny process costs a tenth of starting a program. Nothing here uses threads or a runtime.

pub mod agent;
pub mod logs;
pub mod nursery;
pub mod owner;
pub mod protocol;
pub mod record;

/// The name by which the executable knows that it shall be a shim.
pub const PROGRAM_NAME: &str = "drover-shim";

/// Becomes a shim, and ends as one, when the program was started as [`PROGRAM_NAME`]; returns at once otherwise.
///
/// To be called first in `main`, before anything else opens descriptors or starts threads.
pub fn main_if_requested() {
    if std::env::args_os().next().is_some_and(|name| name == PROGRAM_NAME) {
        let code = match nursery::run() {
            Ok(()) => 0,
            Err(_) => 1,
        };
        drover_linux::process::exit_now(code);
    }
}
