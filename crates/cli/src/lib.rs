//! The command line: it speaks HTTP to an agent and nothing else.
//!
//! [`Invocation::parse`] finds out what a command line asks for; `agent` is handed back to the program, everything else
//! is run by [`Invocation::run`], which returns the exit code.

pub mod command;
pub mod commands;
pub mod complete;
pub mod diff;
pub mod environment;
pub mod files;
pub mod flags;
pub mod jobfile;
pub mod monitor;
pub mod placement;
pub mod resolve;
pub mod tar;
pub mod template;
pub mod text;
pub mod ui;
pub mod x509;

mod invocation;
mod whole;

pub use commands::{AgentArgs, AgentArgsError};
pub use drover_sdk as sdk;
pub use environment::Environment;
pub use invocation::Invocation;
pub use ui::Ui;
