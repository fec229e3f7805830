//! A shim keeps its task, its task's output and its task's exit through whatever happens to agents.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use drover_driver::shim::agent::{AttachError, LaunchError, ShimConfig, ShimHandle, Shims};
use drover_driver::shim::protocol::{Exec, Launch, Logs, Reply};
use drover_linux::process;
use drover_macros::proves;
use drover_rt::TaskScope;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shim-probe");

fn shims_with(directory: &Path, orphan_limit: Option<Duration>) -> (Shims, TaskScope) {
    let scope = TaskScope::new();
    let config = ShimConfig {
        program: PathBuf::from(PROGRAM),
        run_dir: directory.join("run"),
        record_dir: directory.join("records"),
        durable: false,
        reattach: true,
        orphan_limit,
        groups: Vec::new(),
    };
    (Shims::new(config, scope.clone()).expect("shims"), scope)
}

fn launch(shims: &Shims, directory: &Path, script: &str) -> Launch {
    let directory = directory.to_string_lossy().into_owned();
    let mut launch = Launch {
        token: "task".to_owned(),
        program: "/bin/sh".to_owned(),
        args: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: vec!["PATH=/usr/bin:/bin".to_owned(), "GREETING=hello".to_owned()],
        directory: directory.clone(),
        logs: Some(Logs { directory, prefix: "task".to_owned(), max_files: 10_000, max_file_bytes: 64 * 1024 }),
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

/// Everything a stream's files hold, in order.
fn logged(directory: &Path, stream: &str) -> String {
    let names: Vec<_> = std::fs::read_dir(directory).expect("list").flatten().map(|entry| entry.file_name()).collect();
    let prefix = format!("task.{stream}");
    drover_driver::shim::logs::indexes(&names, &prefix)
        .into_iter()
        .map(|index| std::fs::read_to_string(directory.join(format!("{prefix}.{index}"))).expect("read"))
        .collect()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

fn start_agent(directory: &Path, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(PROGRAM)
        .args(["agent", &directory.to_string_lossy()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("agent");
    writeln!(child.stdin.take().expect("stdin"), "{script}").expect("script");
    let output = BufReader::new(child.stdout.take().expect("stdout"));
    (child, output)
}

fn line(output: &mut BufReader<std::process::ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("line");
    line.trim().to_owned()
}

#[proves("DRV-019", "DRV-003", "DRV-004", "CLI-096")]
#[test]
fn a_task_neither_dies_nor_loses_a_line_when_its_agent_is_killed_again_and_again() {
    const KILLS: usize = 50;
    let root = tempfile::tempdir().expect("directory");
    let stop = root.path().join("stop");
    let script = format!("n=0; while [ ! -e {} ]; do n=$((n+1)); echo line $n; sleep 0.005; done; echo last $n; exit 7", stop.display());
    let mut pids = BTreeMap::new();
    for _ in 0..KILLS {
        let (mut agent, mut output) = start_agent(root.path(), &script);
        *pids.entry(line(&mut output)).or_insert(0) += 1;
        agent.kill().expect("kill -9");
        agent.wait().expect("wait");
    }
    assert_eq!(pids.len(), 1, "the task was started again: {pids:?}");
    std::fs::write(&stop, "").expect("stop");
    let (mut agent, mut output) = start_agent(root.path(), "");
    assert!(pids.contains_key(&line(&mut output)));
    assert_eq!(line(&mut output), "exit 7");
    agent.wait().expect("wait");
    let text = logged(root.path(), "stdout");
    let lines: Vec<&str> = text.lines().collect();
    let count = lines.len() - 1;
    assert!(count > 0);
    for (number, found) in lines.iter().enumerate().take(count) {
        assert_eq!(*found, format!("line {}", number + 1));
    }
    assert_eq!(lines[count], format!("last {count}"));
}

#[proves("DRV-005")]
#[tokio::test]
async fn an_exit_without_any_agent_is_delivered_to_the_next_one() {
    let root = tempfile::tempdir().expect("directory");
    make_fifo(&root.path().join("gate"));
    let (first, scope) = shims_with(root.path(), None);
    let shim = first.launch(launch(&first, root.path(), "read x < gate; kill -TERM $$")).await.expect("launch");
    let handle = shim.handle().clone();
    shim.confirm().await.expect("confirm");
    scope.shutdown(Duration::from_secs(1)).await;
    drop(first);
    std::fs::write(root.path().join("gate"), "go\n").expect("open the gate");
    eventually("the record is written", || Path::new(&handle.record).exists()).await;
    let (second, _scope) = shims_with(root.path(), None);
    for _ in 0..2 {
        let found = second.attach(handle.clone()).await.expect("attach");
        let exited = found.wait().await;
        assert_eq!((exited.code, exited.signal), (143, 15));
    }
}

fn make_fifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(status.success());
}

#[proves("DRV-004")]
#[tokio::test]
async fn a_handle_never_fits_another_process() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    let shim = shims.launch(launch(&shims, root.path(), "exec sleep 100")).await.expect("launch");
    let handle = shim.handle().clone();
    // The numbers are those of a live shim, whose task is another one.
    let other_token = ShimHandle { token: "other".to_owned(), ..handle.clone() };
    assert!(matches!(shims.attach(other_token).await, Err(AttachError::Refused(_))));
    let other_start = ShimHandle { task_start_time: handle.task_start_time + 1, ..handle.clone() };
    assert!(matches!(shims.attach(other_start).await, Err(AttachError::Refused(_))));
    // The shim's number was given to another process: the socket is gone and the start time differs.
    let reused = ShimHandle { shim_start_time: handle.shim_start_time + 1, socket: "/nowhere".to_owned(), ..handle.clone() };
    assert!(matches!(shims.attach(reused).await, Err(AttachError::Gone(_))));
    let other_boot = ShimHandle { boot_id: "before".to_owned(), ..handle };
    assert!(matches!(shims.attach(other_boot).await, Err(AttachError::Gone(_))));
    shim.stop(9, Duration::ZERO).await.expect("stop");
    shim.wait().await;
}

#[proves("DRV-006")]
#[tokio::test]
async fn stopping_signals_first_and_then_kills_the_whole_tree() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    // Children that ignore the signal, one of them in a session of its own, one orphaned.
    let script = "trap '' INT; echo $$ > pids; (trap '' INT; setsid sh -c 'trap \"\" INT; echo $$ >> pids; sleep 100; sleep 100' &) ; \
                  sh -c 'trap \"\" INT; echo $$ >> pids; sleep 100; sleep 100' & wait; sleep 100";
    let shim = shims.launch(launch(&shims, root.path(), script)).await.expect("launch");
    let pids = || -> Vec<i32> {
        let text = std::fs::read_to_string(root.path().join("pids")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    eventually("all three run", || pids().len() == 3).await;
    let identities: Vec<_> = pids().into_iter().map(|pid| process::Identity::of(pid).expect("alive")).collect();
    shim.stop(2, Duration::from_millis(300)).await.expect("stop");
    let exited = shim.wait().await;
    assert_eq!((exited.code, exited.signal), (137, 9));
    eventually("nothing is left", || identities.iter().all(|identity| !identity.is_alive())).await;
}

#[tokio::test]
async fn a_task_that_obeys_the_signal_is_not_killed() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    let script = "trap 'echo bye; exit 4' INT; echo ready; while :; do sleep 0.01; done";
    let shim = shims.launch(launch(&shims, root.path(), script)).await.expect("launch");
    eventually("it is ready", || logged(root.path(), "stdout").contains("ready")).await;
    shim.stop(2, Duration::from_secs(60)).await.expect("stop");
    assert_eq!(shim.wait().await.code, 4);
    assert_eq!(logged(root.path(), "stdout"), "ready\nbye\n");
    assert!(shim.signal(1).await.is_err());
}

#[proves("DRV-024")]
#[tokio::test]
async fn a_killed_shim_takes_its_task_with_it_and_the_exit_says_so() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    let shim = shims.launch(launch(&shims, root.path(), "exec sleep 100")).await.expect("launch");
    let task = process::Identity { pid: shim.handle().task_pid, start_time: shim.handle().task_start_time };
    assert!(task.is_alive());
    process::kill(shim.handle().shim_pid, 9).expect("kill");
    let exited = shim.wait().await;
    assert_eq!(exited.code, -1);
    assert!(exited.error.expect("a reason").contains("shim was killed"));
    eventually("the task is gone", || !task.is_alive()).await;
    assert!(matches!(shims.attach(shim.handle().clone()).await, Err(AttachError::Gone(_))));
}

#[tokio::test]
async fn a_shim_with_a_limit_ends_when_it_is_alone_for_that_long() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, scope) = shims_with(root.path(), Some(Duration::from_millis(200)));
    let shim = shims.launch(launch(&shims, root.path(), "exec sleep 100")).await.expect("launch");
    let handle = shim.handle().clone();
    scope.shutdown(Duration::from_secs(1)).await;
    drop((shim, shims));
    let task = process::Identity { pid: handle.task_pid, start_time: handle.task_start_time };
    let owner = process::Identity { pid: handle.shim_pid, start_time: handle.shim_start_time };
    eventually("task and shim end", || !task.is_alive() && !owner.is_alive()).await;
    assert!(!Path::new(&handle.socket).exists());
}

#[tokio::test]
async fn what_cannot_start_says_why_and_leaves_nothing() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    let mut missing = launch(&shims, root.path(), "");
    missing.program = "/no/such/program".to_owned();
    let Err(LaunchError::Task(message)) = shims.launch(missing).await else { panic!("it started") };
    assert_eq!(message, "run /no/such/program: No such file or directory (os error 2)");
    let mut nowhere = launch(&shims, root.path(), "");
    nowhere.directory = "/no/such/directory".to_owned();
    let Err(LaunchError::Task(message)) = shims.launch(nowhere).await else { panic!("it started") };
    assert!(message.starts_with("enter directory /no/such/directory: "), "{message}");
    eventually("no socket is left", || std::fs::read_dir(root.path().join("run")).expect("list").count() == 0).await;
}

#[tokio::test]
async fn commands_run_in_the_tasks_context() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    let shim = shims.launch(launch(&shims, root.path(), "exec sleep 100")).await.expect("launch");
    let exec = |script: &str, timeout_ms| Exec {
        args: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: vec!["PATH=/usr/bin:/bin".to_owned()],
        directory: root.path().to_string_lossy().into_owned(),
        timeout_ms,
        terminal: None,
    };
    let mut stream = shim.exec(exec("read line; echo got $line; echo bad >&2; exit 3", 0)).await.expect("exec");
    stream.write(b"x\n".to_vec(), true).await.expect("input");
    let mut found = (String::new(), String::new());
    let ended = loop {
        match stream.next().await.expect("reply") {
            Reply::Output(output) if output.stream == 1 => found.0.push_str(&String::from_utf8_lossy(&output.bytes)),
            Reply::Output(output) => found.1.push_str(&String::from_utf8_lossy(&output.bytes)),
            Reply::Ended(ended) => break ended,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((found.0.as_str(), found.1.as_str(), ended.code, ended.timed_out), ("got x\n", "bad\n", 3, false));
    let mut slow = shim.exec(exec("sleep 100", 100)).await.expect("exec");
    let Some(Reply::Ended(ended)) = slow.next().await else { panic!("no end") };
    assert!(ended.timed_out);
    let mut missing = shim
        .exec(Exec { args: vec!["/no/such".to_owned()], env: Vec::new(), directory: "/".to_owned(), timeout_ms: 0, terminal: None })
        .await
        .expect("exec");
    assert!(matches!(missing.next().await, Some(Reply::Failed(_))));
    let in_terminal = Exec { terminal: Some(true), ..exec("stty size; read line; stty size; test -t 1 && exit 5", 0) };
    let mut shown = shim.exec(in_terminal).await.expect("exec");
    shown.resize(30, 100).await.expect("resize");
    let mut text = String::new();
    let mut answered = false;
    let ended = loop {
        match shown.next().await.expect("reply") {
            Reply::Output(output) => text.push_str(&String::from_utf8_lossy(&output.bytes)),
            Reply::Ended(ended) => break ended,
            other => panic!("{other:?}"),
        }
        if text.contains('\n') && !answered {
            answered = true;
            shown.resize(41, 121).await.expect("resize");
            shown.write(b"\n".to_vec(), true).await.expect("input");
        }
    };
    assert!(ended.code == 5 && text.contains("41 121"), "{ended:?}: {text}");
    let mut left = shim.exec(exec("echo $$; exec sleep 100", 0)).await.expect("exec");
    let Some(Reply::Output(told)) = left.next().await else { panic!("no output") };
    let pid = String::from_utf8_lossy(&told.bytes).trim().to_owned();
    drop(left);
    eventually("a command that nobody listens to ends", || !Path::new(&format!("/proc/{pid}")).exists()).await;
    shim.stop(9, Duration::ZERO).await.expect("stop");
    shim.wait().await;
}

#[tokio::test]
async fn output_to_nowhere_makes_no_files_and_large_output_is_whole() {
    let root = tempfile::tempdir().expect("directory");
    let (shims, _scope) = shims_with(root.path(), None);
    let mut quiet = launch(&shims, root.path(), "echo x; echo y >&2");
    quiet.logs = None;
    assert_eq!(shims.launch(quiet).await.expect("launch").wait().await.code, 0);
    assert_eq!(logged(root.path(), "stdout"), "");
    let loud = launch(&shims, root.path(), "seq 1 200000; echo end >&2");
    assert_eq!(shims.launch(loud).await.expect("launch").wait().await.code, 0);
    let text = logged(root.path(), "stdout");
    assert!(text.lines().enumerate().all(|(index, line)| line == (index + 1).to_string()));
    assert_eq!(text.lines().count(), 200_000);
    assert_eq!(logged(root.path(), "stderr"), "end\n");
}
