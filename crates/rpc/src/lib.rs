//! The agent channel: how clients speak to servers on another machine, over gRPC with our own binary form.
//!
//! One HTTP/2 connection per node carries short calls (register, heartbeat, reports) and one long stream, the allocations the
//! node shall run: first all of them, then each change. Messages are `model` types in CBOR with numbered fields, so that
//! agents of different builds understand each other: an unknown field is skipped, a missing one takes its default.
//!
//! Each call but the registration names the node and proves it with the node's secret; the server side checks it.
//!
//! A [`Pipe`] is a call that carries bytes both ways for as long as either side likes. Agents open pipes, because servers may not
//! be able to dial them: one that a server asked for through the stream is then the server's way to the node.
//!
//! Servers of different regions greet each other over the same channel, and open pipes to each other's API. Neither says who the
//! caller is: what comes through such a pipe is held to the token that it carries, as whatever comes from outside.

mod codec;
mod connect;
mod desired;
mod message;
mod pipe;
mod serve;

pub use connect::AgentClient;
pub use desired::Desired;
pub use message::{Caller, Greeting, Identified, Peer, Reason, Refusal, Registered, Shared};
pub use pipe::{Pipe, Rest};
pub use serve::{DesiredStream, Options, Servers, serve};

/// The largest message that either side takes, in bytes.
pub const MESSAGE_MAX: usize = 32 << 20;
