//! Drives a real agent as a user would: starts the built program, speaks to its API and its command line, kills it.

pub mod agent;
pub mod golden;
pub mod http;
pub mod websocket;

pub use agent::{Agent, Mode, Output};
