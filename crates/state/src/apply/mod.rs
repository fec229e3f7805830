//! One file per kind of change; each is a method of the transaction that is under way.

mod acl;
mod alloc;
mod child;
mod collect;
mod deployment;
mod eval;
mod job;
pub(crate) mod namespace;
mod node;
mod plan;
mod scheduling;
mod service;
#[cfg(test)]
mod tests;
