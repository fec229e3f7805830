//! A small program for tests and measurements: a client with servers that exist only in its own process, which can be killed at any
//! moment, and which becomes its own task shim. Not part of what is installed.

#[expect(dead_code, reason = "the tests use the rest of it")]
mod servers;

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use drover_client::client::{Client, Runtime};
use drover_client::template::GoTemplates;
use drover_client::{ClientConfig, ClientHandle};
use drover_driver::raw_exec::RawExecConfig;
use drover_model::{ClientStatus, JobType};
use drover_rt::{Clock, Entropy, TaskScope};
use serde_json::json;
use servers::{Servers, alloc, group, task};

fn main() {
    drover_driver::shim::main_if_requested();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(async {
        match words.as_slice() {
            ["agent", directory] => agent(Path::new(directory)).await,
            ["measure", directory, count] => measure(Path::new(directory), count.parse().expect("count")).await,
            _ => panic!("usage: client-probe agent DIRECTORY | measure DIRECTORY COUNT"),
        }
    });
}

async fn start(directory: &Path, dev: bool, servers: &Arc<Servers>) -> ClientHandle {
    let config = ClientConfig {
        dev,
        state_dir: directory.join("client"),
        alloc_dir: directory.join("alloc"),
        run_dir: directory.join("run"),
        network_interface: "lo".to_owned(),
        raw_exec: RawExecConfig { enabled: true, ..RawExecConfig::default() },
        ..ClientConfig::default()
    };
    let runtime = Runtime { clock: Clock::system(), entropy: Entropy::system(), scope: TaskScope::new() };
    let link = Arc::clone(servers);
    Client::start(config, link, runtime, Arc::new(GoTemplates)).await.expect("client")
}

/// Runs one allocation with the script on the first line of standard input, the same one on every start. Prints its states.
async fn agent(directory: &Path) {
    let mut script = String::new();
    std::io::stdin().lock().read_line(&mut script).expect("script");
    let servers = Arc::new(Servers::default());
    let config = json!({"command": "/bin/sh", "args": ["-c", script.trim()]});
    let mut wanted = alloc(1, JobType::Batch, group(0, vec![task("t", "raw_exec", &config)]));
    wanted.id = drover_base::AllocId::from_random(77);
    let id = wanted.id;
    servers.with(|known| known.allocs.insert(id, Arc::new(wanted)));
    let _client = start(directory, false, &servers).await;
    let mut shown = 0;
    loop {
        servers.until("an update", |known| known.updates.len() > shown).await;
        for update in servers.with(|known| known.updates.split_off(0)) {
            let state = &update.tasks["t"];
            println!("{} failed={} restarts={}", update.status, state.failed, state.restarts);
            std::io::stdout().flush().expect("flush");
        }
        shown = 0;
    }
}

/// How long short tasks take, one after the other and all at once.
async fn measure(directory: &Path, count: u128) {
    let servers = Arc::new(Servers::default());
    let clock = Clock::system();
    let began = clock.monotonic();
    let client = start(directory, true, &servers).await;
    println!("client started in {} us", clock.monotonic().since(began).as_micros());
    servers.until("registered", |known| known.node.is_some()).await;
    let short = || group(0, vec![task("t", "raw_exec", &json!({"command": "/bin/true"}))]);
    let mut to_running = Vec::new();
    let mut to_complete = Vec::new();
    for number in 0..20_u128 {
        let wanted = alloc(number + 1, JobType::Batch, short());
        let id = wanted.id;
        let began = clock.monotonic();
        servers.place(wanted).await;
        servers.until("started", |known| known.status(id).is_some_and(|status| status != ClientStatus::Pending)).await;
        to_running.push(clock.monotonic().since(began).as_micros());
        servers.until("complete", |known| known.status(id) == Some(ClientStatus::Complete)).await;
        to_complete.push(clock.monotonic().since(began).as_micros());
    }
    to_running.sort_unstable();
    to_complete.sort_unstable();
    println!("one at a time, us: running median {} complete median {}", to_running[10], to_complete[10]);
    let wanted: Vec<_> = (0..count).map(|number| alloc(number + 1000, JobType::Batch, short())).collect();
    let ids: Vec<_> = wanted.iter().map(|alloc| alloc.id).collect();
    let (before, began) = (servers.with(|known| (known.batches, known.updates.len())), clock.monotonic());
    for alloc in wanted {
        servers.place(alloc).await;
    }
    servers.until("all complete", |known| ids.iter().all(|id| known.status(*id) == Some(ClientStatus::Complete))).await;
    let taken = clock.monotonic().since(began);
    let after = servers.with(|known| (known.batches, known.updates.len()));
    println!(
        "{count} at once: {} ms, {:.0} tasks/s, {} updates in {} batches",
        taken.as_millis(),
        count as f64 / taken.as_secs_f64(),
        after.1 - before.1,
        after.0 - before.0
    );
    client.shutdown().await;
}
