//! The public JSON contract: one type per JSON object of the API, with exactly its fields, names and nulls.
//!
//! `Option` stands for "may be null or absent"; units are in the field's documentation. The types know nothing of the
//! domain: `drover_model` maps between them and its own.

pub mod acl;
pub mod agent;
pub mod agent_config;
pub mod allocation;
pub mod client_form;
pub mod connect;
pub mod deployment;
pub mod evaluation;
pub mod event;
pub mod every;
pub mod job;
pub mod job_requests;
pub mod node;
pub mod operator;
pub mod plan;
pub mod resources;
pub mod schema;
pub mod search;
pub mod service;
pub mod task;
pub mod told;
pub mod volume;
pub mod websocket;
pub mod why;
pub mod wire;

pub use acl::*;
pub use agent::*;
pub use agent_config::*;
pub use allocation::*;
pub use client_form::*;
pub use connect::*;
pub use deployment::*;
pub use evaluation::*;
pub use event::*;
pub use job::*;
pub use job_requests::*;
pub use node::*;
pub use operator::*;
pub use plan::*;
pub use resources::*;
pub use search::*;
pub use service::*;
pub use task::*;
pub use volume::*;
pub use why::*;
