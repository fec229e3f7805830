//! The scheduler against recorded runs: whole evaluations (`scenarios`) and single decisions (`vectors`).

#![expect(clippy::unwrap_used, reason = "a test that cannot read its records has to fail")]

mod clusters;
mod golden;
mod histories;
mod rules;
mod scenarios;
mod vectors;
mod watcher;
