//! Writes while many follow the event stream: whether they take longer, and whether everybody hears of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use futures::future::try_join_all;
use http_body_util::BodyExt;
use hyper::Method;

use crate::Load;
use crate::connection::Connection;
use crate::server::{cpu, memory_mib, percentile, template_job};

/// Streams that are opened at once.
const OPEN_AT_ONCE: usize = 100;
/// How long it is waited for the last event to arrive everywhere.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Followers of the stream
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Writes, one after the other
    #[arg(long, default_value_t = 300)]
    writes: usize,
}

async fn writes(load: &Load, control: &mut Connection, count: usize, round: &str) -> Result<()> {
    let (mut times, used) = (Vec::new(), cpu(load.pid)?);
    for number in 0..count {
        let began = load.clock.monotonic();
        control.put("/v1/jobs", &template_job("watched", &format!("{round} {number}"))).await?;
        times.push(load.clock.monotonic().since(began));
    }
    let used = cpu(load.pid)?.saturating_sub(used);
    times.sort();
    println!(
        "{count} writes {round}: p50 {:.2} ms, p99 {:.2} ms, {:.0} us of the server's processor time each",
        percentile(&times, 50),
        percentile(&times, 99),
        used.as_secs_f64() * 1e6 / count.max(1) as f64
    );
    Ok(())
}

pub(crate) async fn run(load: &Load, options: &Options) -> Result<()> {
    let mut control = Connection::open(&load.address, &load.scope).await?;
    writes(load, &mut control, options.writes, "before").await?;
    let before = memory_mib(load.pid)?;
    let heard = Arc::new(AtomicUsize::new(0));
    let mut open = 0;
    while open < options.subscribers {
        let now = OPEN_AT_ONCE.min(options.subscribers - open);
        for mut connection in try_join_all((0..now).map(|_| Connection::open(&load.address, &load.scope))).await? {
            let heard = Arc::clone(&heard);
            load.scope.spawn_until_stop("follower", async move {
                let path = "/v1/event/stream?topic=Job:watched";
                let Ok(response) = connection.begin(Method::GET, path, None).await else { return };
                let mut body = response.into_body();
                while let Some(Ok(frame)) = body.frame().await {
                    let lines = frame.data_ref().map_or(0, |data| data.windows(9).filter(|part| part == b"\"Payload\"").count());
                    heard.fetch_add(lines, Ordering::Relaxed);
                }
            });
        }
        open += now;
    }
    load.clock.sleep(Duration::from_secs(2)).await;
    let (held, old) = (memory_mib(load.pid)?, heard.load(Ordering::Relaxed));
    println!("{open} followers: {:.1} MiB more ({:.1} KiB each)", held - before, (held - before) * 1024.0 / open.max(1) as f64);
    let started = load.clock.monotonic();
    writes(load, &mut control, options.writes, "beside them").await?;
    let wanted = options.writes * open;
    while heard.load(Ordering::Relaxed) - old < wanted && load.clock.monotonic().since(started) < LIMIT {
        load.clock.sleep(Duration::from_millis(10)).await;
    }
    let took = load.clock.monotonic().since(started);
    println!("{} of {wanted} events had arrived after {:.2} s", heard.load(Ordering::Relaxed) - old, took.as_secs_f64());
    load.scope.stop();
    Ok(())
}
