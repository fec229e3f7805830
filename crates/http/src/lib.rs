//! The HTTP API: one table of routes, each with its access rule and forwarding class, over a small framework that
//! carries the API's conventions (routing, query parameters, blocking, paging, encodings, error texts, streams).
//!
//! The framework is generic over the state that the routes act on, so it is tested without an agent.

pub mod access;
pub mod agent;
pub mod blocking;
pub mod compress;
pub mod dispatch;
pub mod error;
pub mod filter;
pub mod guard;
mod home;
pub mod ids;
pub mod json;
pub mod limit;
pub mod logs;
mod measures;
pub mod openapi;
pub mod page;
pub mod query;
pub mod relay;
pub mod reply;
pub mod request;
pub mod route;
pub mod routes;
pub mod serve;
pub mod stream;
pub mod table;
pub mod telemetry;
pub mod tls;
pub mod view;
pub mod websocket;

pub use access::{Access, Caller, Capability, Forward, Guard, Scope};
pub use agent::{Agent, Facts};
pub use dispatch::{Api, ApiOptions};
pub use error::ApiError;
pub use reply::{Body, Meta, Reply};
pub use request::Request;
pub use route::{Route, Table};
pub use serve::{Options, serve, serve_pipe, serve_task};
pub use table::table;
