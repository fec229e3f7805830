//! The agent: puts server, client and HTTP API together, and takes them apart in order.

mod api;
mod copies;
mod link;
mod lock;
mod logging;
mod regions;
mod remote;
mod rest;
mod server_id;
mod service;
mod settings;
mod startup;
mod tls;

use std::process::ExitCode;

use drover_cli::AgentArgs;

pub(crate) use settings::Settings;

/// Runs an agent until a signal ends it.
pub(crate) fn main(args: &AgentArgs) -> ExitCode {
    let settings = match settings::load(args) {
        Ok(settings) => settings,
        Err(refusal) => {
            eprintln!("==> {refusal}");
            return ExitCode::FAILURE;
        }
    };
    let logs = logging::install(&settings);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 16);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).on_thread_park(rest::on_thread_park).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("==> Error starting agent: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(startup::run(settings, logs));
    // What still hangs on a thread of its own must not keep the agent.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("==> Error starting agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
