//! `nodesim`: simulated clients on a running server, for measuring and for planning capacity.
//!
//! Each node has a connection of its own over the agent channel, registers, heartbeats, and acknowledges its allocations the way
//! the mock driver would: received, set up, started; complete once its `run_for` is over or it is stopped.

mod node;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use drover_rt::{Clock, Entropy, TaskScope};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the fleet are printed.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Nodes that connect at once in the beginning, so that a server is not met by all of them in one moment.
const CONNECT_AT_ONCE: usize = 64;

/// Registers simulated clients with a running server.
#[derive(Parser, Debug, Clone)]
#[command(version, about, max_term_width = 120)]
struct Args {
    /// How many nodes
    #[arg(long, default_value_t = 100)]
    count: u32,
    /// Address of the agent channel of a server; may be given several times, nodes are dealt out
    #[arg(long, value_name = "HOST:PORT", required = true, value_delimiter = ',')]
    servers: Vec<String>,
    /// MHz of each node
    #[arg(long, default_value_t = 10_000)]
    cpu: u32,
    /// MiB of each node
    #[arg(long, default_value_t = 10_000)]
    memory: u32,
    /// MiB of disk of each node
    #[arg(long, default_value_t = 1_000_000)]
    disk: u32,
    /// Values of meta.rack, dealt out in turn
    #[arg(long, default_value_t = 3)]
    racks: u32,
    /// Datacenters (dc1, dc2, …), dealt out in turn
    #[arg(long, default_value_t = 2)]
    datacenters: u32,
    /// Node pool of all nodes
    #[arg(long, default_value = "default")]
    pool: String,
    /// Node class of all nodes
    #[arg(long, default_value = "")]
    class: String,
    /// Seed of ids and names, so that a run can be had again
    #[arg(long)]
    seed: Option<u64>,
}

/// What all nodes share: what happened so far, and the names of tasks.
#[derive(Debug, Default)]
struct Fleet {
    ready: AtomicU64,
    running: AtomicU64,
    ended: AtomicU64,
    reports: AtomicU64,
    errors: AtomicU64,
    names: node::Names,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("nodesim: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodesim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let (clock, scope, fleet) = (Clock::system(), TaskScope::new(), Arc::new(Fleet::default()));
    let entropy = args.seed.map_or_else(Entropy::system, Entropy::seeded);
    let starting = Arc::new(tokio::sync::Semaphore::new(CONNECT_AT_ONCE));
    println!("nodesim: {} nodes of {} MHz and {} MiB, servers {}", args.count, args.cpu, args.memory, args.servers.join(", "));
    for number in 0..args.count {
        let node = node::Simulated::new(&args, number, &entropy, Arc::clone(&fleet))?;
        scope.spawn_until_stop("simulated node", node.run(clock.clone(), Arc::clone(&starting)));
    }
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        tokio::select! {
            () = clock.sleep(REPORT_EVERY) => {}
            _ = tokio::signal::ctrl_c() => break,
            _ = end.recv() => break,
        }
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        println!(
            "nodes ready {} of {}, allocations running {}, ended {}, reports {}, errors {}",
            count(&fleet.ready),
            args.count,
            count(&fleet.running),
            count(&fleet.ended),
            count(&fleet.reports),
            count(&fleet.errors)
        );
    }
    scope.shutdown(Duration::from_secs(2)).await;
    Ok(())
}
