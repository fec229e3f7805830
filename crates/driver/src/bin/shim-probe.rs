//! A small program that can become a shim, for tests and measurements: as an agent it starts tasks, attaches to them and can be killed
//! at any moment. Not part of what is installed.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drover_driver::exec::{ExecConfig, IsolatedExec};
use drover_driver::raw_exec::{RawExec, RawExecConfig};
use drover_driver::shim::agent::{ShimConfig, ShimHandle, Shims};
use drover_driver::shim::protocol::{Launch, Logs};
use drover_driver::{Driver, Executor};
use drover_rt::TaskScope;

fn main() {
    drover_driver::shim::main_if_requested();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    runtime.block_on(async {
        match words.as_slice() {
            ["agent", directory] => agent(Path::new(directory)).await,
            ["measure", directory, count] => measure(Path::new(directory), count.parse().expect("count")).await,
            ["fingerprint", directory] => fingerprint(Path::new(directory)),
            _ => panic!("usage: shim-probe agent DIRECTORY | measure DIRECTORY COUNT"),
        }
    });
}

fn shims(directory: &Path) -> Shims {
    let config = ShimConfig {
        program: PathBuf::from("/proc/self/exe"),
        run_dir: directory.join("run"),
        record_dir: directory.join("records"),
        durable: false,
        reattach: true,
        orphan_limit: None,
        groups: Vec::new(),
    };
    Shims::new(config, TaskScope::new()).expect("shims")
}

fn launch(shims: &Shims, directory: &Path, token: &str, script: &str) -> Launch {
    let mut launch = Launch {
        token: token.to_owned(),
        program: "/bin/sh".to_owned(),
        args: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: vec!["PATH=/usr/bin:/bin".to_owned()],
        directory: directory.to_string_lossy().into_owned(),
        logs: Some(Logs {
            directory: directory.to_string_lossy().into_owned(),
            prefix: token.to_owned(),
            max_files: 1000,
            max_file_bytes: 4096,
        }),
        socket: String::new(),
        record: String::new(),
        durable: false,
        orphan_limit_ms: 0,
        group: None,
        isolation: None,
        credentials: None,
        capabilities: None,
        oom_score_adj: None,
    };
    shims.address(&mut launch);
    launch
}

/// Starts the script on standard input's first line, or attaches when a handle is stored already; prints the task's process id and, once
/// it has ended, its exit code.
async fn agent(directory: &Path) {
    let shims = shims(directory);
    let stored = directory.join("handle");
    let shim = match std::fs::read(&stored) {
        Ok(bytes) => shims.attach(ShimHandle::from_bytes(&bytes).expect("handle")).await.expect("attach"),
        Err(_) => {
            let mut script = String::new();
            std::io::stdin().lock().read_line(&mut script).expect("script");
            let shim = shims.launch(launch(&shims, directory, "task", script.trim())).await.expect("launch");
            let next = directory.join("handle.tmp");
            std::fs::write(&next, shim.handle().to_bytes()).expect("write");
            std::fs::rename(&next, &stored).expect("rename");
            shim.confirm().await.expect("confirm");
            shim
        }
    };
    println!("pid {}", shim.handle().task_pid);
    std::io::stdout().flush().expect("flush");
    let exited = shim.wait().await;
    println!("exit {}", exited.code);
}

/// Starts so many sleeping tasks, and prints what their shims cost.
async fn measure(directory: &Path, count: usize) {
    let shims = shims(directory);
    shims.warm_up().expect("nursery");
    let clock = drover_rt::Clock::system();
    let mut running = Vec::new();
    let mut micros = Vec::new();
    for number in 0..count {
        let launch = launch(&shims, directory, &format!("t{number}"), "exec sleep 100");
        let before = clock.monotonic();
        running.push(shims.launch(launch).await.expect("launch"));
        micros.push(clock.monotonic().since(before).as_micros());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    micros.sort_unstable();
    let mut private = Vec::new();
    let mut proportional = 0;
    for shim in &running {
        let memory = drover_linux::process::memory_use(shim.handle().shim_pid).expect("memory");
        private.push(memory.private / 1024);
        proportional += memory.proportional / 1024;
    }
    private.sort_unstable();
    println!("start to task running, us: median {} worst {}", micros[count / 2], micros[count - 1]);
    println!(
        "private KiB: median {} worst {}; proportional KiB: mean {}",
        private[count / 2],
        private[count - 1],
        proportional / count as u64
    );
    for shim in &running {
        shim.stop(9, Duration::ZERO).await.expect("stop");
        shim.wait().await;
    }
}

/// Prints which drivers this user could use.
fn fingerprint(directory: &Path) {
    let hierarchy = drover_linux::cgroup::Hierarchy::of_host(None);
    let executor = Arc::new(Executor::new(Arc::new(shims(directory)), hierarchy, drover_rt::Entropy::system()));
    let raw = RawExec::new(RawExecConfig { enabled: true, ..RawExecConfig::default() }, Arc::clone(&executor));
    let exec = IsolatedExec::new(ExecConfig::default(), executor);
    for found in [raw.fingerprint(), exec.fingerprint()] {
        println!("{:?}: {}", found.health, found.description);
    }
}
