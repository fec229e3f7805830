//! The client of the HTTP API, for programs in Rust: typed calls, blocking reads, streams, tries again, and errors that say
//! what was asked of whom. The command line stands on it.
//!
//! A [`Client`] asks one agent. Where it is, which token is shown and which certificates are trusted is a [`Config`], given in
//! code or taken from the environment (`DROVER_ADDR`, `DROVER_TOKEN`, `DROVER_NAMESPACE`, `DROVER_REGION`, `DROVER_CACERT` …, or
//! the same with `NOMAD_`). The types are those of [`api`].
//!
//! ```no_run
//! # async fn example() -> Result<(), drover_sdk::SdkError> {
//! use drover_sdk::{Client, Config, Query};
//!
//! let client = Client::new(Config::from_environment().namespace("team"))?;
//! for job in client.jobs().list(&Query::new().prefix("web")).await?.value {
//!     println!("{} is {}", job.id, job.status);
//! }
//! let leader = client.status().leader(&Query::new()).await?.value;
//! println!("{leader} leads");
//! # Ok(())
//! # }
//! ```
//!
//! What there is:
//!
//! - typed calls by area: [`Client::jobs`], [`Client::allocations`], [`Client::nodes`] and so on;
//! - any other route: [`Client::get`], [`Client::put`], [`Client::delete`], [`Client::raw`];
//! - what changes: [`Client::watch`] over blocking reads, [`Client::events`] over the event stream;
//! - long lists in pages: [`Client::pages`];
//! - what runs: [`areas::Allocations::logs`], [`areas::Allocations::run`], [`areas::Allocations::exec`], [`Client::tunnel`].
//!
//! Reads that fail in passing (a broken connection, an agent that is overloaded) are tried again as [`Retry`] says; writes never
//! are. An [`SdkError`] that came of no connection says so ([`SdkError::is_unreachable`]), and [`Config::unreachable`] tells the
//! address, where it came from, and what changes it.

pub mod areas;
mod client;
mod config;
mod error;
mod follow;
mod objects;
mod query;
mod tasks;
pub mod websocket;

pub use client::Client;
pub use config::{Config, DEFAULT_ADDRESS, Origin};
pub use drover_api as api;
pub use error::SdkError;
pub use follow::{EventStream, Watch};
pub use objects::{Frames, Objects};
pub use query::{Answer, Meta, Query, Retry, segment};
pub use reqwest::{Method, Response};
pub use tasks::Finished;
