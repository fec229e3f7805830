//! The language crate against recorded results.

mod agent_config;
mod expressions;
mod golden;
mod jobs;
mod small;
mod templates;
