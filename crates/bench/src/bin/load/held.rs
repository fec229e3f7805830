//! Many held reads: what they cost in memory, who is woken by a change, and what changes cost that concern nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use futures::future::try_join_all;

use crate::Load;
use crate::connection::Connection;
use crate::server::{cpu, memory_mib, template_job};

/// Connections that are opened at once.
const OPEN_AT_ONCE: usize = 100;
/// How long it is waited for those who should come back.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Held reads
    #[arg(long, default_value_t = 5_000)]
    queries: usize,
    /// Jobs that they are dealt out to
    #[arg(long, default_value_t = 100)]
    jobs: usize,
    /// Changes of a job that nobody reads
    #[arg(long, default_value_t = 500)]
    changes: usize,
}

pub(crate) async fn run(load: &Load, options: &Options) -> Result<()> {
    ensure!(options.jobs > 0 && options.queries >= options.jobs, "at least one read for each job");
    let mut control = Connection::open(&load.address, &load.scope).await?;
    for number in 0..options.jobs {
        control.put("/v1/jobs", &template_job(&format!("held-{number:04}"), "first")).await?;
    }
    let index = control.put("/v1/jobs", &template_job("unread", "first")).await?.index();
    let index = index.max(control.get("/v1/job/unread").await?.index());
    load.clock.sleep(Duration::from_secs(1)).await;
    let before = memory_mib(load.pid)?;
    let back = Arc::new(AtomicUsize::new(0));
    let mut open = 0;
    while open < options.queries {
        let now = OPEN_AT_ONCE.min(options.queries - open);
        let opened = (0..now).map(|_| Connection::open(&load.address, &load.scope));
        for (offset, mut connection) in try_join_all(opened).await?.into_iter().enumerate() {
            let path = format!("/v1/job/held-{:04}?index={index}&wait=10m", (open + offset) % options.jobs);
            let back = Arc::clone(&back);
            load.scope.spawn_until_stop("held read", async move {
                match connection.get(&path).await {
                    Ok(_) => {
                        back.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => eprintln!("load: a held read failed: {error:#}"),
                }
            });
        }
        open += now;
    }
    load.clock.sleep(Duration::from_secs(2)).await;
    let after = memory_mib(load.pid)?;
    println!("{} reads held: {:.1} MiB more ({:.1} KiB each)", open, after - before, (after - before) * 1024.0 / open as f64);

    let (started, used) = (load.clock.monotonic(), cpu(load.pid)?);
    for change in 0..options.changes {
        control.put("/v1/jobs", &template_job("unread", &format!("change {change}"))).await?;
    }
    let (took, used) = (load.clock.monotonic().since(started), cpu(load.pid)?.saturating_sub(used));
    println!(
        "{} changes that concern none of them: {:.2} ms each, {:.0} us of the server's processor time each, {} reads came back",
        options.changes,
        took.as_secs_f64() * 1e3 / options.changes as f64,
        used.as_secs_f64() * 1e6 / options.changes as f64,
        back.load(Ordering::Relaxed)
    );

    let wanted = (0..options.queries).filter(|number| number % options.jobs == 0).count();
    let (started, none) = (load.clock.monotonic(), back.load(Ordering::Relaxed));
    control.put("/v1/jobs", &template_job("held-0000", "second")).await?;
    while back.load(Ordering::Relaxed) < none + wanted && load.clock.monotonic().since(started) < LIMIT {
        load.clock.sleep(Duration::from_millis(1)).await;
    }
    let took = load.clock.monotonic().since(started);
    println!(
        "a change of one job: {} of {wanted} reads came back within {:.1} ms",
        back.load(Ordering::Relaxed) - none,
        took.as_secs_f64() * 1e3
    );
    load.clock.sleep(Duration::from_millis(500)).await;
    println!("half a second later {} reads of other jobs had come back", back.load(Ordering::Relaxed) - none - wanted);
    load.scope.stop();
    Ok(())
}
