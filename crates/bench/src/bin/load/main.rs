//! `load`: what many readers cost a server.
//!
//!     load --address 127.0.0.1:4646 --pid PID held|reads|list|events
//!
//! The server must let one client hold that many connections: `limits { http_max_conns_per_client = 0 }`.

mod connection;
mod events;
mod held;
mod list;
mod reads;
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use drover_rt::{Clock, TaskScope};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts readers on a running server and prints what they cost it.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
struct Args {
    /// Address of the HTTP API
    #[arg(long, default_value = "127.0.0.1:4646", value_name = "HOST:PORT")]
    address: String,
    /// The server's process, for its memory and processor time
    #[arg(long)]
    pid: Option<u32>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Reads of jobs that are held until their job changes
    Held(held::Options),
    /// Reads of one job, one after the other on each connection
    Reads(reads::Options),
    /// A filtered list of all allocations, page by page
    List(list::Options),
    /// Writes while many follow the event stream
    Events(events::Options),
}

/// What each of them needs.
pub(crate) struct Load {
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
    pub(crate) clock: Clock,
    pub(crate) scope: TaskScope,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("load: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let load = Load { address: args.address, pid: args.pid, clock: Clock::system(), scope: TaskScope::new() };
    let run = async {
        match args.what {
            What::Held(options) => held::run(&load, &options).await,
            What::Reads(options) => reads::run(&load, &options).await,
            What::List(options) => list::run(&load, &options).await,
            What::Events(options) => events::run(&load, &options).await,
        }
    };
    match runtime.block_on(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
