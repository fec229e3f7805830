//! The language crate against recorded results, and against texts that nobody would write.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its records has to fail")]

mod agent_config;
mod by_hand;
mod cron;
mod expressions;
mod functions;
mod golden;
mod jobs;
mod ledger;
mod reference;
mod robust;
mod small;
mod templates;
