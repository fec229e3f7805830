//! One binary for all end-to-end tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod chronicle;
mod commands;
mod crash;
mod docs;
mod first_steps;
mod fleet;
mod followed;
mod formed;
mod guarded;
mod hostile;
mod live;
mod operators;
mod programs;
mod records;
mod regions;
mod rows;
mod sdk;
mod secured;
mod streams;
mod task_api;
