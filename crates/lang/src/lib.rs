//! The languages that users of Drover write: job files, agent configuration, durations, constraints, filters, templates, cron.
//!
//! Everything here is pure: text and values in, values and problems out. Files, randomness and time come in through the
//! caller. All readers are bounded, report all problems at once, and never panic on what they read.

mod attributes;
pub mod bytesize;
pub mod config;
pub mod cron;
pub mod diag;
pub mod digest;
pub mod duration;
pub mod filter;
pub mod glob;
pub mod gotmpl;
pub mod hcl;
pub mod hclspec;
pub mod jobspec;
pub mod pattern;
pub mod sockaddr;
pub mod specs;
pub mod version;

pub use diag::{Problem, Severity, Source, Span};
