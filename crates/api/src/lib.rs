//! The public JSON contract: one type per JSON object of the API, with exactly its fields, names and nulls.
//!
//! `Option` stands for "may be null or absent"; units are in the field's documentation. The types know nothing of the
//! domain: `drover_model` maps between them and its own.

pub mod acl;
pub mod agent;
pub mod allocation;
pub mod client_form;
pub mod deployment;
pub mod evaluation;
pub mod event;
pub mod every;
pub mod job;
pub mod node;
pub mod operator;
pub mod schema;
pub mod search;
pub mod service;
pub mod told;
pub mod volume;
pub mod websocket;
pub mod why;
pub mod wire;

pub use acl::*;
pub use agent::*;
pub use allocation::*;
pub use client_form::*;
pub use deployment::*;
pub use evaluation::*;
pub use event::*;
pub use job::*;
pub use node::*;
pub use operator::*;
pub use search::*;
pub use service::*;
pub use volume::*;
pub use why::*;
