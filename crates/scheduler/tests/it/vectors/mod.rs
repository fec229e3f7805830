//! Single decisions, each table in one test.

mod deployments;
mod failures;
mod names;
mod placement;
