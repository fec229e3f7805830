//! The client role against servers in the test's own process, with pretended and with real tasks.

#[path = "../../src/bin/client-probe/servers.rs"]
mod servers;

mod restart;
mod role;
