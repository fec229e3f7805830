//! The language crate against recorded results.

mod expressions;
mod golden;
mod jobs;
