//! The built-in drivers with real programs, as root and without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use drover_driver::exec::{ExecConfig, IsolatedExec};
use drover_driver::mock::Mock;
use drover_driver::raw_exec::{RawExec, RawExecConfig};
use drover_driver::shim::agent::{ShimConfig, Shims};
use drover_driver::{
    Driver, DriverError, ExecCommand, ExecInput, ExecOutput, Executor, ExitResult, Health, LogSettings, TaskConfig, TaskDirectories,
    TaskResources, TaskState,
};
use drover_linux::cgroup::{Hierarchy, Version};
use drover_macros::proves;
use drover_rt::{Clock, Entropy, TaskScope};
use futures::StreamExt;
use serde_json::{Value, json};

struct House {
    root: tempfile::TempDir,
    executor: Arc<Executor>,
    raw: RawExec,
    scope: TaskScope,
}

fn house() -> House {
    let root = tempfile::tempdir().expect("directory");
    // The exec driver's user has to reach the task directory.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(root.path(), mode).expect("permissions");
    let scope = TaskScope::new();
    let executor = executor(root.path(), &scope);
    let raw = raw(&executor);
    House { root, executor, raw, scope }
}

fn executor(root: &Path, scope: &TaskScope) -> Arc<Executor> {
    let config = ShimConfig {
        program: PathBuf::from(env!("CARGO_BIN_EXE_shim-probe")),
        run_dir: root.join("run"),
        record_dir: root.join("records"),
        durable: true,
        reattach: true,
        orphan_limit: None,
        groups: Vec::new(),
    };
    let shims = Shims::new(config, scope.clone()).expect("shims");
    let hierarchy = Hierarchy::of_host(Some("drover-test.slice"));
    hierarchy.prepare().expect("control groups");
    Arc::new(Executor::new(Arc::new(shims), hierarchy, Entropy::system()))
}

fn raw(executor: &Arc<Executor>) -> RawExec {
    RawExec::new(RawExecConfig { enabled: true, ..RawExecConfig::default() }, Arc::clone(executor))
}

/// Control groups are shared by all tests of the host.
static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn task(root: &Path, config: Value) -> TaskConfig {
    let alloc = root.join("alloc-1");
    let directories = TaskDirectories {
        shared: alloc.join("alloc"),
        task: alloc.join("t"),
        local: alloc.join("t/local"),
        secrets: alloc.join("t/secrets"),
        logs: alloc.join("alloc/logs"),
    };
    for directory in [&directories.logs, &directories.local, &directories.secrets, &alloc.join("t/tmp")] {
        std::fs::create_dir_all(directory).expect("directories");
    }
    TaskConfig {
        id: "alloc-1/t".to_owned(),
        alloc_id: format!("alloc-{}-{}", std::process::id(), NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
        task: "t".to_owned(),
        user: String::new(),
        config: config.as_object().expect("object").clone(),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("X".to_owned(), "1".to_owned())]),
        resources: TaskResources { cpu_mhz: 100, memory_mb: 64, memory_max_mb: 0, reserved_cores: Vec::new() },
        directories,
        logs: Some(LogSettings::default()),
    }
}

fn stdout(root: &Path) -> String {
    std::fs::read_to_string(root.join("alloc-1/alloc/logs/t.stdout.0")).expect("log")
}

fn script(text: &str) -> Value {
    json!({"command": "/bin/sh", "args": ["-c", text]})
}

async fn run_to_end(driver: &dyn Driver, task: TaskConfig) -> ExitResult {
    let id = task.id.clone();
    driver.start(task).await.expect("start");
    let exit = driver.wait(id.clone()).await.expect("wait");
    driver.destroy(id, false).await.expect("destroy");
    exit
}

const ID: &str = "alloc-1/t";

#[proves("DRV-005", "DRV-007", "DRV-008")]
#[tokio::test]
async fn an_unknown_or_forgotten_task_is_not_found_and_a_running_one_is_not_destroyed() {
    let house = house();
    let driver = &house.raw;
    let id = || ID.to_owned();
    assert_eq!(driver.wait(id()).await, Err(DriverError::NotFound));
    driver.start(task(house.root.path(), script("sleep 100; exit 1"))).await.expect("start");
    assert_eq!(driver.inspect(ID), Ok(TaskState::Running));
    assert_eq!(driver.destroy(id(), false).await, Err(DriverError::StillRunning));
    driver.destroy(id(), true).await.expect("forced");
    assert_eq!(driver.inspect(ID), Err(DriverError::NotFound));
    assert_eq!(driver.stop(id(), 2, Duration::ZERO).await, Err(DriverError::NotFound));
    assert_eq!(driver.destroy(id(), true).await, Err(DriverError::NotFound));
    assert_eq!(driver.signal(id(), 1).await, Err(DriverError::NotFound));
    driver.start(task(house.root.path(), script("exit 5"))).await.expect("start");
    for _ in 0..2 {
        assert_eq!(driver.wait(id()).await.expect("exit").code, 5);
    }
    assert_eq!(driver.inspect(ID), Ok(TaskState::Exited(ExitResult { code: 5, ..ExitResult::default() })));
}

#[proves("DRV-009")]
#[tokio::test]
async fn what_cannot_start_is_told_in_known_words_and_not_worth_another_try() {
    let house = house();
    let start = |config: Value, user: &'static str| {
        let mut task = task(house.root.path(), config);
        user.clone_into(&mut task.user);
        house.raw.start(task)
    };
    let error = start(json!({"command": "/no/such/bin"}), "").await.expect_err("missing");
    assert_eq!(
        error.message,
        "failed to launch command with executor: rpc error: code = Unknown desc = binary \"/no/such/bin\" could not be found"
    );
    assert!(!error.recoverable);
    let error = start(script("true"), "nosuchuser").await.expect_err("user");
    assert_eq!(error.message, "failed driver config validation: failed to identify user \"nosuchuser\": user: unknown user nosuchuser");
    assert!(start(json!({"command": "sh", "work_dir": "here"}), "").await.is_err());
    if drover_linux::is_root() {
        let exec = IsolatedExec::new(ExecConfig::default(), Arc::clone(&house.executor));
        let error = exec.start(task(house.root.path(), json!({"command": "/no/such/bin"}))).await.expect_err("missing");
        let directory = house.root.path().join("alloc-1/t");
        assert_eq!(
            error.message,
            format!(
                "failed to launch command with executor: rpc error: code = Unknown desc = file /no/such/bin not found under path {}",
                directory.display()
            )
        );
    }
}

#[tokio::test]
async fn raw_exec_finds_programs_of_the_task_and_of_the_host() {
    let house = house();
    let own = house.root.path().join("alloc-1/t/local/hello");
    drop(task(house.root.path(), script("")));
    std::fs::write(&own, "#!/bin/sh\necho mine in $(pwd) as $0\n").expect("write");
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let exit = run_to_end(&house.raw, task(house.root.path(), json!({"command": "hello"}))).await;
    assert!(exit.is_success());
    let expected = format!("mine in {} as", house.root.path().join("alloc-1/t").display());
    assert!(stdout(house.root.path()).starts_with(&expected), "{}", stdout(house.root.path()));
    assert!(run_to_end(&house.raw, task(house.root.path(), json!({"command": "true"}))).await.is_success());
}

#[proves("DRV-021")]
#[tokio::test]
async fn tasks_get_control_groups_with_their_limits_where_the_host_gives_any() {
    let house = house();
    if house.executor.groups() == Version::Off {
        assert!(!drover_linux::is_root(), "root without control groups");
        return;
    }
    // Its own group alone: those of other tests come and go while this one looks.
    let own = "path=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup); cat \"/sys/fs/cgroup/memory$path/memory.limit_in_bytes\"";
    let unified = "path=$(sed -n 's/^0:://p' /proc/self/cgroup); cat \"/sys/fs/cgroup$path/memory.max\"";
    let look = format!("cat /proc/self/cgroup; if [ -d /sys/fs/cgroup/memory ]; then {own}; else {unified}; fi");
    let mut limited = task(house.root.path(), script(&look));
    limited.resources.memory_max_mb = 96;
    let name = format!("{}.t", limited.alloc_id);
    assert!(run_to_end(&house.raw, limited).await.is_success());
    let text = stdout(house.root.path());
    assert!(text.lines().any(|line| line.contains(&name)), "{text}");
    assert!(text.lines().any(|line| line == (96 << 20).to_string()), "{text}");
    if house.executor.groups() == Version::V1 {
        for controller in ["freezer", "memory", "cpu"] {
            assert!(text.lines().any(|line| line.contains(&format!(":{controller}:/drover-test/{name}"))), "{text}");
        }
        assert!(text.contains(":cpuset:/drover-test/share"), "{text}");
        assert!(!Path::new("/sys/fs/cgroup/memory/drover-test").join(&name).exists());
    }
}

#[tokio::test]
async fn tasks_do_not_inherit_how_well_the_agent_is_protected_when_memory_runs_out() {
    if !drover_linux::is_root() {
        return;
    }
    // As the service's unit has it for the agent. Root in a container may not, and has the ordinary score.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "-1000") {
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
    }
    let house = house();
    assert!(run_to_end(&house.raw, task(house.root.path(), script("cat /proc/self/oom_score_adj"))).await.is_success());
    assert_eq!(stdout(house.root.path()).trim(), "0");
}

#[proves("DRV-004", "CLI-056")]
#[tokio::test]
async fn another_agent_finds_the_task_from_its_handle() {
    let house = house();
    let started = house.raw.start(task(house.root.path(), script("trap 'exit 9' USR1; while :; do sleep 0.01; done"))).await;
    let handle = started.expect("start").handle;
    house.raw.confirm(ID.to_owned()).await;
    house.scope.shutdown(Duration::from_secs(1)).await;
    let scope = TaskScope::new();
    let again = raw(&executor(house.root.path(), &scope));
    for _ in 0..2 {
        again.recover(ID.to_owned(), handle.clone()).await.expect("recover");
    }
    assert_eq!(again.inspect(ID), Ok(TaskState::Running));
    assert!(!again.stats(ID).expect("stats").processes.is_empty());
    // The trap may not be set yet, so once may be too early only by a moment.
    while again.inspect(ID) == Ok(TaskState::Running) {
        drop(again.signal(ID.to_owned(), 10).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let exit = again.wait(ID.to_owned()).await.expect("exit");
    assert!(exit.code == 9 || exit.signal == 10, "{exit:?}");
    again.destroy(ID.to_owned(), false).await.expect("destroy");
    assert_eq!(again.recover(ID.to_owned(), handle).await, Err(DriverError::NotFound));
}

#[tokio::test]
async fn exec_isolates_when_root_and_says_what_is_off_when_not() {
    let house = house();
    let exec = IsolatedExec::new(ExecConfig::default(), Arc::clone(&house.executor));
    if !drover_linux::is_root() {
        assert_eq!(exec.fingerprint().health, Health::Undetected);
        return;
    }
    assert_eq!(exec.fingerprint().health, Health::Healthy);
    let look = "id -u; id -g; pwd; echo $HOME $USER; ls -d /proc/[0-9]* | wc -l; ls /; cat /proc/self/mounts; \
                touch /usr/x 2>&1; echo data > /alloc/data-file; echo pid $$; cat /etc/hostname > /dev/null && echo etc";
    let shown = task(house.root.path(), script(look));
    std::fs::set_permissions(&shown.directories.shared, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("mode");
    assert!(run_to_end(&exec, shown).await.is_success());
    let text = stdout(house.root.path());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["65534", "0", "/", "/nonexistent nobody"], "{text}");
    assert!(lines[4].trim().parse::<u32>().expect("number") < 10, "{text}");
    assert!(text.contains("pid 1\n") && text.contains("etc\n"), "{text}");
    assert!(text.contains("Read-only file system"), "{text}");
    for mount in [" /alloc ", " /dev tmpfs", " /proc proc ", " /dev/pts devpts", " /sys sysfs ro", " /proc/sys proc ro"] {
        assert!(text.contains(mount), "{mount} missing in {text}");
    }
    let data = house.root.path().join("alloc-1/alloc/data-file");
    assert_eq!(std::fs::read_to_string(data).expect("shared file"), "data\n");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&house.root.path().display().to_string()), "a mount is left on the host");
}

#[proves("CLI-054")]
#[tokio::test]
async fn a_task_killed_for_memory_is_told_apart() {
    let house = house();
    if house.executor.groups() == Version::Off {
        return;
    }
    let exec = IsolatedExec::new(ExecConfig::default(), Arc::clone(&house.executor));
    let mut greedy = task(house.root.path(), script("dd if=/dev/zero of=/dev/null bs=200M count=3"));
    greedy.resources.memory_mb = 20;
    let exit = run_to_end(&exec, greedy).await;
    assert_eq!((exit.code, exit.signal, exit.out_of_memory), (137, 0, true));
}

#[tokio::test]
async fn commands_run_inside_the_isolation() {
    let house = house();
    if !drover_linux::is_root() {
        return;
    }
    let exec = IsolatedExec::new(ExecConfig::default(), Arc::clone(&house.executor));
    exec.start(task(house.root.path(), script("sleep 100"))).await.expect("start");
    let command = ExecCommand {
        args: ["/bin/sh", "-c", "id -u; ls -d /proc/1; pwd; cat; echo $X"].map(str::to_owned).to_vec(),
        terminal: false,
        timeout: None,
    };
    let (input, receiver) = tokio::sync::mpsc::channel(1);
    let mut outputs = exec.exec(ID.to_owned(), command, receiver).await.expect("exec");
    input.send(ExecInput::Bytes(b"fed\n".to_vec())).await.expect("input");
    drop(input);
    let mut text = Vec::new();
    while let Some(output) = outputs.next().await {
        match output {
            ExecOutput::Stdout(bytes) => text.extend_from_slice(&bytes),
            ExecOutput::Ended { code, .. } => assert_eq!(code, 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(String::from_utf8_lossy(&text), "65534\n/proc/1\n/\nfed\n1\n");
    exec.destroy(ID.to_owned(), true).await.expect("destroy");
}

#[proves("DRV-002")]
#[test]
fn an_ordinary_user_gets_raw_exec_and_hears_why_not_exec() {
    if !drover_linux::is_root() {
        return;
    }
    let root = tempfile::tempdir().expect("directory");
    std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("mode");
    let program = root.path().join("probe");
    // By another process: a descriptor that this one had open for writing could be inherited by a child of another test.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_shim-probe")).arg(&program).status().expect("cp");
    assert!(copied.success());
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .arg("fingerprint")
        .arg(root.path().join("state"))
        .output()
        .expect("setpriv");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "Healthy: Healthy\nUndetected: Driver must run as root\n", "{output:?}");
}

#[tokio::test]
async fn the_mock_driver_does_as_told() {
    let root = tempfile::tempdir().expect("directory");
    let mock = Mock::new(Clock::system(), TaskScope::new());
    let config = json!({"run_for": "20ms", "exit_code": 3, "stdout_string": "hi\n", "stdout_repeat": 2, "signal_error": "deaf"});
    let started = mock.start(task(root.path(), config)).await.expect("start");
    assert_eq!(mock.signal(ID.to_owned(), 1).await, Err(DriverError::Failed("deaf".to_owned())));
    assert_eq!(mock.wait(ID.to_owned()).await.expect("exit").code, 3);
    assert_eq!(stdout(root.path()), "hi\nhi\nhi\n");
    mock.destroy(ID.to_owned(), false).await.expect("destroy");
    mock.recover(ID.to_owned(), started.handle).await.expect("recover");
    assert_eq!(mock.wait(ID.to_owned()).await.expect("exit").code, 3);

    let config = json!({"start_error": "no hay", "start_error_recoverable": true});
    let error = mock.start(task(root.path(), config)).await.expect_err("refused");
    assert_eq!((error.message.as_str(), error.recoverable), ("no hay", true));

    mock.start(task(root.path(), json!({"run_for": "10m", "kill_after": "20s"}))).await.expect("start");
    mock.stop(ID.to_owned(), 2, Duration::from_millis(5)).await.expect("stop");
    assert_eq!(mock.wait(ID.to_owned()).await.expect("exit").signal, 9);

    let started = mock.start(task(root.path(), json!({"run_for": "50ms", "plugin_exit_after": "1ms"}))).await.expect("start");
    assert_eq!(mock.wait(ID.to_owned()).await, Err(DriverError::PluginShutdown));
    mock.recover(ID.to_owned(), started.handle).await.expect("recover");
    assert!(mock.wait(ID.to_owned()).await.expect("exit").is_success());
}
