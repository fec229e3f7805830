//! One file per kind of change; each is a method of the transaction that is under way.

mod alloc;
mod collect;
mod deployment;
mod eval;
mod job;
mod node;
mod plan;
mod scheduling;
mod service;
