//! The one program: server, client, command line and task shim.

mod agent;
mod files;

use std::process::ExitCode;

use drover_cli::{Environment, Invocation, Ui};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A task's shim must stay small: nothing of what follows may run in it.
    drover_driver::shim::main_if_requested();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let environment = Environment::system();
    match Invocation::parse(&words, &environment) {
        Invocation::Agent(args) => agent::main(&args),
        other => command(other, environment),
    }
}

/// Runs a command on a small runtime of its own.
fn command(invocation: Invocation, mut environment: Environment) -> ExitCode {
    environment.files = drover_cli::files::KnownFiles(Some(std::sync::Arc::new(files::OwnFiles)));
    let colours = environment.stdout_terminal && environment.get("NO_COLOR").is_none();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Error starting: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async move {
        let clock = drover_rt::Clock::system();
        invocation.run(Ui::system(colours), environment, clock).await
    });
    ExitCode::from(u8::try_from(code.rem_euclid(256)).unwrap_or(1))
}
