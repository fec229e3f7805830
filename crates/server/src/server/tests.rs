//! A whole server with a client that does as it is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drover_api as api;
use drover_base::NodeId;
use drover_macros::proves;
use drover_model::{
    AllocUpdate, ClientStatus, DeploymentHealth, DeploymentStatus, EvalStatus, JobId, Node, NodeAddress, NodeDriver, NodeNetwork,
    NodeResources, NodeStatus, TaskState, TaskStatus,
};
use drover_raft::DiskLogOptions;
use drover_rt::RealDisk;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// A server that gives nodes, which do not send heartbeats here, as long as anything may take.
async fn server(storage: Storage) -> (Server, TaskScope) {
    server_with_grace(storage, LIMIT).await
}

async fn server_with_grace(storage: Storage, heartbeat_grace: Duration) -> (Server, TaskScope) {
    let scope = TaskScope::new();
    let config = Config { heartbeat_min: Duration::from_millis(200), heartbeat_grace, ..Config::new(storage) };
    let server = Server::start(config, Clock::system(), Entropy::system(), &scope).await.unwrap();
    (server, scope)
}

fn disk(directory: &Path) -> Storage {
    Storage::Disk { disk: Arc::new(RealDisk), directory: directory.to_owned(), log: DiskLogOptions::default() }
}

fn node() -> Node {
    let driver = NodeDriver { detected: true, healthy: true, ..NodeDriver::default() };
    let address = NodeAddress { alias: "default".into(), address: "127.0.0.1".into(), ..NodeAddress::default() };
    Node {
        id: NodeId::from_random(1),
        name: "one".into(),
        datacenter: "dc1".into(),
        node_pool: "default".into(),
        drivers: BTreeMap::from([("mock_driver".into(), driver)]),
        resources: NodeResources {
            cpu_mhz: 4000,
            memory_mb: 4000,
            disk_mb: 4000,
            networks: vec![NodeNetwork { mode: "host".into(), addresses: vec![address], ..NodeNetwork::default() }],
            ..NodeResources::default()
        },
        ..Node::default()
    }
}

fn job(count: i64, env: &str) -> api::JobRegisterRequest {
    let task = api::Task {
        name: "t".into(),
        driver: "mock_driver".into(),
        env: Some(BTreeMap::from([("V".to_owned(), env.to_owned())])),
        resources: Some(api::Resources { cpu: Some(10), memory_mb: Some(10), ..Default::default() }),
        ..Default::default()
    };
    let group = api::TaskGroup {
        name: Some("g".into()),
        count: Some(count),
        tasks: Some(vec![task]),
        ephemeral_disk: Some(api::EphemeralDisk { size_mb: Some(200), ..Default::default() }),
        ..Default::default()
    };
    let job = api::Job { id: Some("web".into()), task_groups: Some(vec![group]), ..Default::default() };
    api::JobRegisterRequest { job: Some(job), ..Default::default() }
}

fn web() -> JobId {
    JobId { namespace: "default".into(), id: "web".into() }
}

/// Reports every allocation as running and healthy, and stopped ones as complete.
fn obedient(server: &Server, scope: &TaskScope) {
    let server = server.clone();
    scope.clone().spawn_until_stop("client", async move {
        let mut feed = server.feed(NodeId::from_random(1));
        loop {
            let change = feed.next().await;
            let updates: Vec<AllocUpdate> = change
                .upserts
                .iter()
                .map(|alloc| {
                    let stopped = alloc.server_terminal();
                    let status = if stopped { ClientStatus::Complete } else { ClientStatus::Running };
                    let task = TaskState { status: if stopped { TaskStatus::Dead } else { TaskStatus::Running }, ..TaskState::default() };
                    AllocUpdate {
                        id: alloc.id,
                        status,
                        description: String::new(),
                        tasks: BTreeMap::from([("t".to_owned(), task)]),
                        health: (!stopped && alloc.deployment.is_some())
                            .then(|| DeploymentHealth { healthy: true, time: server.0.clock.now() }),
                    }
                })
                .collect();
            server.update_allocs(NodeId::from_random(1), updates).await.unwrap();
        }
    });
}

async fn until(server: &Server, what: &str, mut met: impl FnMut(&Snapshot) -> bool) {
    let wait = async {
        loop {
            let state = server.snapshot();
            if met(&state) {
                return;
            }
            server.changed(state.index()).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, wait).await.is_ok(), "waited for: {what}");
}

fn deployed(version: u64) -> impl FnMut(&Snapshot) -> bool {
    move |state| {
        state
            .latest_deployment(&web())
            .is_some_and(|deployment| deployment.status == DeploymentStatus::Successful && deployment.job_version == version)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_registration_to_a_successful_deployment_and_through_an_update() {
    let (server, scope) = server(Storage::Memory).await;
    server.register_node(node()).await.unwrap();
    obedient(&server, &scope);
    let registered = server.register_job(job(3, "1"), None).await.unwrap();
    assert!(registered.eval_id.is_some());
    until(&server, "the first deployment", deployed(0)).await;
    server.register_job(job(3, "2"), None).await.unwrap();
    until(&server, "the update", deployed(1)).await;
    let state = server.snapshot();
    let live: Vec<_> = state.allocs().filter(|alloc| !alloc.terminal()).collect();
    assert_eq!(live.len(), 3);
    assert!(live.iter().all(|alloc| alloc.job.version == 1));
    server.deregister_job(web(), false, 0, false).await.unwrap();
    until(&server, "the stop", |state| state.allocs().all(|alloc| alloc.client_terminal())).await;
    until(&server, "evaluations to end", |state| state.evals().all(|eval| eval.status.is_terminal())).await;
    scope.shutdown(LIMIT).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_room_is_placed_when_a_node_comes() {
    let (server, scope) = server(Storage::Memory).await;
    server.register_job(job(2, "1"), None).await.unwrap();
    until(&server, "a blocked evaluation", |state| state.evals().any(|eval| eval.status == EvalStatus::Blocked)).await;
    server.register_node(node()).await.unwrap();
    obedient(&server, &scope);
    until(&server, "both placed", |state| state.allocs().count() == 2).await;
    scope.shutdown(LIMIT).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_marked_down_and_its_allocations_lost() {
    let (server, scope) = server_with_grace(Storage::Memory, Duration::from_millis(200)).await;
    server.register_node(node()).await.unwrap();
    server.register_job(job(1, "1"), None).await.unwrap();
    until(&server, "the placement", |state| state.allocs().count() == 1).await;
    until(&server, "the missed heartbeat", |state| state.node(NodeId::from_random(1)).unwrap().status == NodeStatus::Down).await;
    until(&server, "the loss", |state| state.allocs().all(|alloc| alloc.client_status == ClientStatus::Lost)).await;
    server.heartbeat(NodeId::from_random(1)).await.unwrap();
    until(&server, "a replacement", |state| state.allocs().any(|alloc| !alloc.terminal())).await;
    scope.shutdown(LIMIT).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_server_takes_up_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (first, scope) = server(disk(directory.path())).await;
    first.register_job(job(2, "1"), None).await.unwrap();
    until(&first, "a blocked evaluation", |state| state.evals().any(|eval| eval.status == EvalStatus::Blocked)).await;
    scope.shutdown(LIMIT).await;
    let before = first.snapshot();
    first.shutdown().await;
    let (second, scope) = server(disk(directory.path())).await;
    assert!(second.snapshot().index() >= before.index());
    second.register_node(node()).await.unwrap();
    until(&second, "both placed", |state| state.allocs().count() == 2).await;
    scope.shutdown(LIMIT).await;
    second.shutdown().await;
}

#[proves("RFT-037")]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_up_in_time_says_so() {
    let config = Config { start_timeout: Duration::ZERO, ..Config::new(Storage::Memory) };
    let started = Server::start(config, Clock::system(), Entropy::system(), &TaskScope::new()).await;
    assert!(matches!(started.err(), Some(StartError::Timeout(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_rise_even_when_the_clock_jumps_back() {
    let scope = TaskScope::new();
    let clock = Clock::simulated(WallTime(1_000_000_000_000));
    let server = Server::start(Config::new(Storage::Memory), clock.clone(), Entropy::seeded(1), &scope).await.unwrap();
    let first = server.stamp();
    clock.jump(-500_000_000_000);
    assert!(server.stamp() > first);
    scope.shutdown(LIMIT).await;
    server.shutdown().await;
}

#[proves("RFT-033")]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_above_the_level_of_the_region_is_refused_until_the_level_is_reached() {
    let (server, scope) = server(Storage::Memory).await;
    let change = || Change::Evaluations(Vec::new());
    let above = server.snapshot().feature_level() + 1;
    let before = server.raft_status().last_index;
    let refused = server.propose_at(above, change()).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("needs feature level {above}")) && refused.contains("upgrade them all"), "{refused}");
    assert_eq!(server.raft_status().last_index, before, "nothing was written to the log");
    server.propose(Change::FeatureLevel(above)).await.unwrap();
    server.propose_at(above, change()).await.unwrap();
    scope.shutdown(LIMIT).await;
    server.shutdown().await;
}
