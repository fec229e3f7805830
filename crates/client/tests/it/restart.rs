//! What an agent that comes back finds, keeps and gives up: `kill -9`, stored halves, lost tasks, results of checks.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use drover_client::{ClientConfig, ClientHandle};
use drover_macros::proves;
use drover_model::{ClientStatus, HealthCheck, JobType, OnUpdate, ServiceCheck, TaskEventKind, TaskGroup, TaskStatus, UpdateStrategy};

use crate::role::{free_port, service, shell, start_with, tcp_check, tidy, with_port};
use crate::servers::{Known, Servers, alloc, group};

/// One start of the probe agent: its output lines.
struct Agent {
    child: std::process::Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Agent {
    fn start(directory: &Path, script: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_client-probe"))
            .arg("agent")
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("agent");
        writeln!(child.stdin.take().expect("stdin"), "{script}").expect("script");
        let lines = BufReader::new(child.stdout.take().expect("stdout"));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("line");
        line.trim().to_owned()
    }

    fn kill(mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("wait");
    }
}

#[proves("CLI-053", "CLI-056", "DRV-003", "DRV-019", "CLI-007")]
#[test]
fn killing_the_agent_again_and_again_leaves_the_task_alone() {
    let root = tempfile::tempdir().expect("directory");
    let (pids, stop) = (root.path().join("pids"), root.path().join("stop"));
    let script = format!(
        "echo $$ >> {}; n=0; while [ ! -e {} ]; do n=$((n+1)); echo line $n; sleep 0.005; done; exit 0",
        pids.display(),
        stop.display()
    );
    let mut agent = Agent::start(root.path(), &script);
    while agent.line() != "running failed=false restarts=0" {}
    agent.kill();
    for round in 0..15 {
        let agent = Agent::start(root.path(), &script);
        std::thread::sleep(Duration::from_millis(5 * round));
        agent.kill();
    }
    std::fs::write(&stop, "").expect("stop");
    let mut agent = Agent::start(root.path(), &script);
    // What was acknowledged before is not sent again; an acknowledgement that a kill cut off may be.
    let first = agent.line();
    let last = if first == "running failed=false restarts=0" { agent.line() } else { first };
    assert_eq!(last, "complete failed=false restarts=0");
    agent.kill();
    assert_eq!(std::fs::read_to_string(&pids).expect("pids").lines().count(), 1);
    let logs = root.path().join("alloc").join(drover_base::AllocId::from_random(77).to_string()).join("alloc/logs/t.stdout.0");
    let text = std::fs::read_to_string(logs).expect("log");
    assert!(text.lines().enumerate().all(|(index, line)| line == format!("line {}", index + 1)));
}

#[proves("CLI-058", "CLI-059", "CLI-060")]
#[tokio::test]
async fn what_was_stored_half_is_forgotten_or_failed() {
    let root = tempfile::tempdir().expect("directory");
    let servers = Arc::new(Servers::default());
    let durable = |config: &mut ClientConfig| config.dev = false;
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    let forever = || group(0, vec![shell("exec sleep 1000")]);
    let (lost, done) = (alloc(1, JobType::Service, forever()), alloc(2, JobType::Batch, group(0, vec![shell("true")])));
    let (lost_id, done_id) = (lost.id, done.id);
    servers.place(lost).await;
    servers.place(done).await;
    servers.until("one runs", |known| known.status(lost_id) == Some(ClientStatus::Running)).await;
    servers.until("one is done", |known| known.status(done_id) == Some(ClientStatus::Complete)).await;
    let pid = client.alloc_stats(lost_id, None).await.expect("stats").tasks.expect("tasks")["t"].clone().expect("task");
    let pid: i32 = pid.pids.expect("pids").into_keys().next().expect("pid").parse().expect("number");
    let task = drover_linux::process::Identity::of(pid).expect("alive");
    client.shutdown().await;
    scope.shutdown(Duration::from_secs(10)).await;
    drop(client);
    assert!(task.is_alive());
    std::fs::remove_dir_all(root.path().join("alloc").join(lost_id.to_string())).expect("remove");
    let (store, _) = loop {
        // The one before lets go of the file a moment later.
        match drover_client::store::Store::open(&root.path().join("client")) {
            Ok(found) => break found,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let never = alloc(3, JobType::Batch, forever());
    store.put_alloc(&never).await.expect("put");
    store.close();
    servers.with(|known| known.updates.clear());
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    servers.until("it is failed", |known| known.status(lost_id) == Some(ClientStatus::Failed)).await;
    while task.is_alive() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!client.has_alloc(never.id));
    let events = servers.with(|known| known.last(lost_id).expect("update").tasks["t"].events.clone());
    assert!(events.iter().any(|event| matches!(&event.kind, TaskEventKind::SetupFailure { .. })), "{events:?}");
    assert_eq!(servers.with(|known| known.updates.iter().filter(|update| update.id == done_id).count()), 0);
    assert_eq!(client.alloc(done_id).map(|alloc| alloc.id), Some(done_id));
    tidy(&client).await;
    scope.shutdown(Duration::from_secs(10)).await;
}

#[proves("CLI-057")]
#[tokio::test]
async fn a_task_that_was_lost_starts_again_only_after_contact() {
    let root = tempfile::tempdir().expect("directory");
    let servers = Arc::new(Servers::default());
    let durable = |config: &mut ClientConfig| config.dev = false;
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    let wanted = alloc(1, JobType::Service, group(0, vec![shell("exec sleep 1000")]));
    let id = wanted.id;
    servers.place(wanted).await;
    servers.until("it runs", |known| known.status(id) == Some(ClientStatus::Running)).await;
    let usage = client.alloc_stats(id, None).await.expect("stats").tasks.expect("tasks")["t"].clone().expect("task");
    let pid: i32 = usage.pids.expect("pids").into_keys().next().expect("pid").parse().expect("number");
    let task = drover_linux::process::Identity::of(pid).expect("alive");
    let shim = drover_linux::process::read_stat(pid).expect("stat").parent;
    client.shutdown().await;
    scope.shutdown(Duration::from_secs(10)).await;
    drop(client);
    drover_linux::process::kill(shim, 9).expect("kill");
    while task.is_alive() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    servers.with(|known| {
        known.unreachable = true;
        known.updates.clear();
    });
    loop {
        // The one before lets go of the file a moment later.
        match drover_client::store::Store::open(&root.path().join("client")) {
            Ok((store, _)) => break store.close(),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.alloc_stats(id, None).await.expect("stats").tasks.expect("tasks")["t"], None);
    servers.with(|known| known.unreachable = false);
    servers
        .until("it runs again", |known| {
            known.last(id).is_some_and(|update| update.status == ClientStatus::Running && update.tasks["t"].status == TaskStatus::Running)
        })
        .await;
    servers.stop(id).await;
    servers.until("it is over", |known| known.status(id) == Some(ClientStatus::Complete)).await;
    tidy(&client).await;
    scope.shutdown(Duration::from_secs(10)).await;
}

#[proves("SVC-027", "SVC-026")]
#[tokio::test]
async fn an_ignored_check_does_not_hold_health_up_and_results_outlive_the_agent() {
    let root = tempfile::tempdir().expect("directory");
    let servers = Arc::new(Servers::default());
    let durable = |config: &mut ClientConfig| config.dev = false;
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let ignored = ServiceCheck { port_label: free_port().to_string(), on_update: OnUpdate::Ignore, ..tcp_check("ignored") };
    let checked = TaskGroup {
        services: vec![service("web", "web", vec![tcp_check("up"), ignored])],
        update: Some(UpdateStrategy {
            max_parallel: 1,
            health_check: HealthCheck::Checks,
            min_healthy_time: Duration::from_millis(10),
            healthy_deadline: Duration::from_secs(60),
            ..UpdateStrategy::default()
        }),
        ..group(0, vec![shell("exec sleep 1000")])
    };
    let mut wanted = with_port(alloc(1, JobType::Service, checked), port);
    wanted.deployment = Some(drover_base::Id::from_random(5));
    wanted.health_wanted = true;
    let id = wanted.id;
    servers.place(wanted).await;
    servers.until("it is healthy", |known| known.last(id).is_some_and(|update| update.health.is_some_and(|health| health.healthy))).await;
    let results = |client: &ClientHandle| -> BTreeMap<String, (String, String)> {
        client.checks(id).into_values().map(|check| (check.check, (check.status, check.mode))).collect()
    };
    let expected = |name: &str, status: &str, mode: &str| (name.to_owned(), (status.to_owned(), mode.to_owned()));
    let both = BTreeMap::from([expected("up", "success", "healthiness"), expected("ignored", "failure", "readiness")]);
    while results(&client) != both {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    scope.shutdown(Duration::from_secs(10)).await;
    drop(client);
    loop {
        match drover_client::store::Store::open(&root.path().join("client")) {
            Ok((store, _)) => break store.close(),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    // Long before a check runs again.
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    while client.checks(id).len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(results(&client), both);
    servers.stop(id).await;
    servers.until("it is over", |known| known.status(id) == Some(ClientStatus::Complete)).await;
    tidy(&client).await;
    scope.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn health_for_a_deployment_is_told_although_the_agent_was_away_before_it_was_known() {
    let root = tempfile::tempdir().expect("directory");
    let servers = Arc::new(Servers::default());
    let durable = |config: &mut ClientConfig| config.dev = false;
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    let updated = TaskGroup {
        update: Some(UpdateStrategy {
            max_parallel: 1,
            health_check: HealthCheck::TaskStates,
            min_healthy_time: Duration::from_millis(500),
            healthy_deadline: Duration::from_secs(60),
            ..UpdateStrategy::default()
        }),
        ..group(0, vec![shell("exec sleep 1000")])
    };
    let mut wanted = alloc(1, JobType::Service, updated);
    wanted.deployment = Some(drover_base::Id::from_random(5));
    wanted.health_wanted = true;
    let id = wanted.id;
    servers.place(wanted).await;
    let health = |known: &Known| known.last(id).and_then(|update| update.health);
    servers.until("it is healthy", |known| health(known).is_some_and(|health| health.healthy)).await;
    let before = servers.with(|known| health(known));
    servers.change(id, |alloc| alloc.deployment = Some(drover_base::Id::from_random(6))).await;
    // Enough for the change to be stored, and mostly too short for the verdict.
    tokio::time::sleep(Duration::from_millis(100)).await;
    scope.shutdown(Duration::from_secs(10)).await;
    drop(client);
    loop {
        match drover_client::store::Store::open(&root.path().join("client")) {
            Ok((store, _)) => break store.close(),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    servers.until("it is healthy anew", |known| health(known).is_some_and(|health| health.healthy) && health(known) != before).await;
    servers.stop(id).await;
    servers.until("it is over", |known| known.status(id) == Some(ClientStatus::Complete)).await;
    tidy(&client).await;
    scope.shutdown(Duration::from_secs(10)).await;
}

fn in_deployment(number: u128, health_check: HealthCheck, script: &str) -> drover_model::Allocation {
    let updated = TaskGroup {
        update: Some(UpdateStrategy {
            max_parallel: 1,
            health_check,
            min_healthy_time: Duration::from_millis(10),
            healthy_deadline: Duration::from_secs(60),
            ..UpdateStrategy::default()
        }),
        ..group(0, vec![shell(script)])
    };
    let mut wanted = alloc(number, JobType::Service, updated);
    wanted.deployment = Some(drover_base::Id::from_random(5));
    wanted.health_wanted = true;
    wanted
}

#[proves("DEP-017")]
#[tokio::test]
async fn health_is_decided_once_and_outlives_the_agent() {
    let root = tempfile::tempdir().expect("directory");
    let servers = Arc::new(Servers::default());
    let durable = |config: &mut ClientConfig| config.dev = false;
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    let wanted = in_deployment(1, HealthCheck::TaskStates, "exec sleep 1000");
    let id = wanted.id;
    servers.place(wanted).await;
    let health = |known: &Known| known.last(id).and_then(|update| update.health);
    servers.until("it is healthy", |known| health(known).is_some_and(|health| health.healthy)).await;
    let before = servers.with(|known| health(known));
    scope.shutdown(Duration::from_secs(10)).await;
    drop(client);
    loop {
        match drover_client::store::Store::open(&root.path().join("client")) {
            Ok((store, _)) => break store.close(),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    let (client, scope) = start_with(root.path(), &servers, durable).await;
    servers.stop(id).await;
    servers.until("it is over", |known| known.status(id) == Some(ClientStatus::Complete)).await;
    assert_eq!(servers.with(|known| health(known)), before, "the same verdict, of the same time");
    tidy(&client).await;
    scope.shutdown(Duration::from_secs(10)).await;
}

#[proves("DEP-016")]
#[tokio::test]
async fn one_that_fails_in_a_deployment_without_a_verdict_is_unhealthy() {
    let root = tempfile::tempdir().expect("directory");
    let servers = Arc::new(Servers::default());
    let (client, scope) = start_with(root.path(), &servers, |_| {}).await;
    let wanted = in_deployment(1, HealthCheck::Manual, "exit 3");
    let id = wanted.id;
    servers.place(wanted).await;
    servers.until("it has failed", |known| known.status(id) == Some(ClientStatus::Failed)).await;
    let health = servers.with(|known| known.last(id).and_then(|update| update.health));
    assert_eq!(health.map(|health| health.healthy), Some(false));
    tidy(&client).await;
    scope.shutdown(Duration::from_secs(10)).await;
}
