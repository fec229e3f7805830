//! A filtered list of all allocations: how fast its pages come, and how much memory the server takes for them.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::Load;
use crate::connection::Connection;
use crate::server::{cpu, memory_mib, percentile};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Entries of a page; 0 asks for everything at once
    #[arg(long, default_value_t = 1_000)]
    per_page: u32,
    /// Which allocations
    #[arg(long, default_value = "ClientStatus == \"running\"")]
    filter: String,
}

pub(crate) async fn run(load: &Load, options: &Options) -> Result<()> {
    let mut connection = Connection::open(&load.address, &load.scope).await?;
    let filter: String = options
        .filter
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let (before, started, used) = (memory_mib(load.pid)?, load.clock.monotonic(), cpu(load.pid)?);
    let (mut token, mut times, mut entries, mut bytes, mut most) = (String::new(), Vec::new(), 0, 0, before);
    loop {
        let began = load.clock.monotonic();
        let path = format!("/v1/allocations?per_page={}&filter={filter}&next_token={token}", options.per_page);
        let answer = connection.get(&path).await?;
        times.push(load.clock.monotonic().since(began));
        most = most.max(memory_mib(load.pid)?);
        bytes += answer.body.len();
        entries += serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(&answer.body)?.len();
        answer.next_token().clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    let (took, used): (Duration, _) = (load.clock.monotonic().since(started), cpu(load.pid)?.saturating_sub(used));
    times.sort();
    println!(
        "{entries} entries on {} pages, {:.1} MiB, in {:.2} s: {:.0} entries/s, page p50 {:.1} ms, p99 {:.1} ms; server: {:.1} us a entry, at most {:.1} MiB more",
        times.len(),
        bytes as f64 / (1 << 20) as f64,
        took.as_secs_f64(),
        entries as f64 / took.as_secs_f64(),
        percentile(&times, 50),
        percentile(&times, 99),
        used.as_secs_f64() * 1e6 / entries.max(1) as f64,
        most - before
    );
    load.scope.stop();
    Ok(())
}
