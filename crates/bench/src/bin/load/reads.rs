//! How many reads of a job the server answers.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use futures::future::try_join_all;

use crate::Load;
use crate::connection::Connection;
use crate::server::{cpu, percentile, template_job};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long to read
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

pub(crate) async fn run(load: &Load, options: &Options) -> Result<()> {
    let mut control = Connection::open(&load.address, &load.scope).await?;
    control.put("/v1/jobs", &template_job("read", "first")).await?;
    let bytes = control.get("/v1/job/read").await?.body.len();
    let (started, used) = (load.clock.monotonic(), cpu(load.pid)?);
    let until = started + Duration::from_secs(options.seconds);
    let reader = async || {
        let mut connection = Connection::open(&load.address, &load.scope).await?;
        let mut times = Vec::new();
        loop {
            let began = load.clock.monotonic();
            if began >= until {
                return Ok::<_, anyhow::Error>(times);
            }
            connection.get("/v1/job/read").await?;
            times.push(load.clock.monotonic().since(began));
        }
    };
    let mut times: Vec<Duration> = try_join_all((0..options.connections).map(|_| reader())).await?.into_iter().flatten().collect();
    let (took, used) = (load.clock.monotonic().since(started), cpu(load.pid)?.saturating_sub(used));
    times.sort();
    println!(
        "{} connections, {bytes} bytes each: {:.0} reads/s, p50 {:.2} ms, p99 {:.2} ms, {:.0} us of the server's processor time each",
        options.connections,
        times.len() as f64 / took.as_secs_f64(),
        percentile(&times, 50),
        percentile(&times, 99),
        used.as_secs_f64() * 1e6 / times.len().max(1) as f64
    );
    load.scope.stop();
    Ok(())
}
