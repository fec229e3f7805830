//! The leader's services in a whole server on virtual time.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drover_api as api;
use drover_base::{AllocId, NodeId, WallTime};
use drover_macros::proves;
use drover_model::command::{Change, ChildKind, NewChild};
use drover_model::{
    AllocUpdate, ClientStatus, DeploymentHealth, DrainSpec, DrainStatus, EvalStatus, JobId, Node, NodeAddress, NodeDriver, NodeNetwork,
    NodeResources, NodeStatus, SchedulerConfig, TaskState, TaskStatus, Trigger,
};
use drover_raft::{DiskLogOptions, Storage};
use drover_rt::disk::DiskFile;
use drover_rt::{Clock, Disk, Entropy, RealDisk, TaskScope};
use drover_state::{JobStatus, Snapshot};

mod plans;
mod rollouts;

use crate::{Config, DispatchRequest, HeartbeatError, Server};

const EPOCH: WallTime = WallTime(1_767_225_600_000_000_000);
/// Longer than anything here should take on virtual time.
const LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// A disk that is used in the call, as time that stands still while somebody waits would run away from a thread of its own.
struct InTheCall;

impl Disk for InTheCall {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(directory)
    }
    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        RealDisk.create_dir(directory)
    }
    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn is_simulated(&self) -> bool {
        true
    }
    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        RealDisk.sync_dir(directory)
    }
}

fn durable(directory: &Path) -> Storage {
    Storage::Disk { disk: Arc::new(InTheCall), directory: directory.to_owned(), log: DiskLogOptions::default() }
}

struct Region {
    server: Server,
    clock: Clock,
    scope: TaskScope,
}

impl Region {
    async fn start() -> Self {
        Self::with(Config::new(Storage::Memory), Clock::simulated(EPOCH)).await
    }

    async fn with(config: Config, clock: Clock) -> Self {
        let scope = TaskScope::new();
        let server = Server::start(config, clock.clone(), Entropy::seeded(7), &scope).await.unwrap();
        Self { server, clock, scope }
    }

    async fn stop(self) {
        self.scope.stop();
        self.server.shutdown().await;
    }

    /// Registers a node that does as it is told and sends heartbeats as long as the answer lives.
    async fn node(&self, number: u128) -> TaskScope {
        self.server.register_node(node(number)).await.unwrap();
        let scope = self.scope.child();
        let (server, clock) = (self.server.clone(), self.clock.clone());
        scope.spawn_until_stop("heartbeats", async move {
            loop {
                clock.sleep(Duration::from_secs(4)).await;
                if let Err(HeartbeatError::UnknownNode) = server.heartbeat(NodeId::from_random(number)).await {
                    return;
                }
            }
        });
        obedient(&self.server, &scope, NodeId::from_random(number));
        scope
    }

    async fn until(&self, what: &str, mut met: impl FnMut(&Snapshot) -> bool) {
        let wait = async {
            loop {
                let state = self.server.snapshot();
                if met(&state) {
                    return;
                }
                self.server.changed(state.index()).await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, wait).await.is_ok(), "waited for: {what}");
    }

    async fn register(&self, job: api::Job) {
        let request = api::JobRegisterRequest { job: Some(job), ..Default::default() };
        self.server.register_job(request, None).await.unwrap();
    }

    fn status(&self, number: u128) -> NodeStatus {
        self.server.snapshot().node(NodeId::from_random(number)).unwrap().status
    }
}

fn node(number: u128) -> Node {
    let driver = NodeDriver { detected: true, healthy: true, ..NodeDriver::default() };
    let address = NodeAddress { alias: "default".into(), address: format!("10.0.0.{number}"), ..NodeAddress::default() };
    Node {
        id: NodeId::from_random(number),
        name: format!("n{number}"),
        datacenter: "dc1".into(),
        node_pool: "default".into(),
        attributes: BTreeMap::from([("kernel.name".to_owned(), "linux".to_owned())]),
        drivers: BTreeMap::from([("mock_driver".into(), driver)]),
        resources: NodeResources {
            cpu_mhz: 4000,
            memory_mb: 4000,
            disk_mb: 40_000,
            networks: vec![NodeNetwork { mode: "host".into(), addresses: vec![address], ..NodeNetwork::default() }],
            ..NodeResources::default()
        },
        ..Node::default()
    }
}

/// Reports every allocation as running and healthy, and stopped ones as complete.
fn obedient(server: &Server, scope: &TaskScope, node: NodeId) {
    let server = server.clone();
    scope.clone().spawn_until_stop("client", async move {
        let mut feed = server.feed(node);
        loop {
            let change = feed.next().await;
            let updates = change.upserts.iter().map(|alloc| report(alloc.id, alloc.server_terminal(), server.0.clock.now())).collect();
            // A node that is taken for dead must say first that it is not.
            let _ = server.update_allocs(node, updates).await;
        }
    });
}

fn report(id: AllocId, over: bool, now: WallTime) -> AllocUpdate {
    let status = if over { ClientStatus::Complete } else { ClientStatus::Running };
    let task = TaskState { status: if over { TaskStatus::Dead } else { TaskStatus::Running }, ..TaskState::default() };
    AllocUpdate {
        id,
        status,
        description: String::new(),
        tasks: BTreeMap::from([("t".to_owned(), task)]),
        health: (!over).then_some(DeploymentHealth { healthy: true, time: now }),
    }
}

fn id(name: &str) -> JobId {
    JobId { namespace: "default".into(), id: name.into() }
}

fn job(name: &str, kind: &str, count: i64) -> api::Job {
    let task = api::Task {
        name: "t".into(),
        driver: "mock_driver".into(),
        resources: Some(api::Resources { cpu: Some(10), memory_mb: Some(10), ..Default::default() }),
        ..Default::default()
    };
    let group = api::TaskGroup {
        name: Some("g".into()),
        count: Some(count),
        tasks: Some(vec![task]),
        ephemeral_disk: Some(api::EphemeralDisk { size_mb: Some(150), ..Default::default() }),
        ..Default::default()
    };
    api::Job { id: Some(name.into()), r#type: Some(kind.into()), task_groups: Some(vec![group]), ..Default::default() }
}

fn template(name: &str) -> api::Job {
    let parameterized = api::ParameterizedJobConfig { payload: "optional".into(), ..Default::default() };
    api::Job { parameterized_job: Some(parameterized), ..job(name, "batch", 1) }
}

fn every_minute(name: &str, prohibit_overlap: bool) -> api::Job {
    let periodic = api::PeriodicConfig {
        enabled: Some(true),
        spec: Some("* * * * *".into()),
        spec_type: Some("cron".into()),
        prohibit_overlap: Some(prohibit_overlap),
        ..Default::default()
    };
    api::Job { periodic: Some(periodic), ..job(name, "batch", 1) }
}

fn live(state: &Snapshot, name: &str) -> usize {
    state.job_slot(&id(name)).map_or(0, |slot| state.allocs_of_job(slot).filter(|alloc| !alloc.terminal()).count())
}

fn running(state: &Snapshot, name: &str) -> usize {
    let slot = state.job_slot(&id(name));
    slot.map_or(0, |slot| {
        state.allocs_of_job(slot).filter(|alloc| alloc.client_status == ClientStatus::Running && !alloc.terminal()).count()
    })
}

#[proves("NOD-014", "NOD-016", "NOD-018", "NOD-022")]
#[tokio::test(start_paused = true)]
async fn a_silent_node_is_down_after_its_time_and_ready_at_its_next_sign_of_life() {
    let region = Region::start().await;
    let one = region.node(1).await;
    region.register(job("web", "service", 2)).await;
    region.until("both run", |state| running(state, "web") == 2).await;
    let settled =
        |state: &Snapshot| state.deployments().all(|one| !one.status.is_active()) && state.evals().all(|eval| eval.status.is_terminal());
    region.until("the deployment is over", settled).await;
    let quiet = region.server.snapshot().index();
    region.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(region.status(1), NodeStatus::Ready);
    assert_eq!(region.server.snapshot().index(), quiet, "heartbeats of a ready node write nothing");
    one.stop();
    let silent = region.clock.monotonic();
    region.until("the node is down", |state| state.node(NodeId::from_random(1)).unwrap().status == NodeStatus::Down).await;
    let took = region.clock.monotonic().since(silent);
    assert!(took >= Duration::from_secs(16) && took <= Duration::from_secs(31), "{took:?}");
    region
        .until("its allocations are lost", |state| state.allocs().filter(|alloc| alloc.client_status == ClientStatus::Lost).count() == 2)
        .await;
    assert!(region.server.snapshot().evals().any(|eval| eval.trigger == Trigger::NodeUpdate));
    region.server.heartbeat(NodeId::from_random(1)).await.unwrap();
    let row = region.server.snapshot().node(NodeId::from_random(1)).cloned().unwrap();
    assert_eq!(row.status, NodeStatus::Ready);
    assert_eq!(row.events.last().unwrap().message, "Node reregistered by heartbeat");
    region.stop().await;
}

#[proves("NOD-008", "NOD-024")]
#[tokio::test(start_paused = true)]
async fn a_node_that_is_taken_for_dead_must_show_that_it_lives_before_it_reports() {
    let region = Region::start().await;
    let one = region.node(1).await;
    region.register(job("web", "service", 1)).await;
    region.until("it runs", |state| running(state, "web") == 1).await;
    let alloc = region.server.snapshot().allocs().next().unwrap().id;
    one.stop();
    region.until("the node is down", |state| state.node(NodeId::from_random(1)).unwrap().status == NodeStatus::Down).await;
    let update = || vec![report(alloc, true, region.clock.now())];
    let refused = region.server.update_allocs(NodeId::from_random(1), update()).await.unwrap_err();
    assert_eq!(refused.status, 503, "{refused}");
    region.server.heartbeat(NodeId::from_random(1)).await.unwrap();
    region.server.update_allocs(NodeId::from_random(1), update()).await.unwrap();
    let unknown = region.server.heartbeat(NodeId::from_random(9)).await.unwrap_err();
    assert!(matches!(unknown, HeartbeatError::UnknownNode) && unknown.to_string() == "node not found");
    region.stop().await;
}

#[proves("NOD-005", "NOD-006", "NOD-019")]
#[tokio::test(start_paused = true)]
async fn a_disconnected_node_comes_back_once_its_allocations_are_known() {
    let region = Region::start().await;
    let one = region.node(1).await;
    let mut spec = job("web", "service", 1);
    let disconnect = api::DisconnectStrategy { lost_after: Some(600_000_000_000), ..Default::default() };
    spec.task_groups.as_mut().unwrap()[0].disconnect = Some(disconnect);
    region.register(spec).await;
    region.until("it runs", |state| running(state, "web") == 1).await;
    let alloc = region.server.snapshot().allocs().next().unwrap().id;
    one.stop();
    let away = |state: &Snapshot| state.node(NodeId::from_random(1)).unwrap().status == NodeStatus::Disconnected;
    region.until("the node is disconnected", away).await;
    let first = region.server.heartbeat(NodeId::from_random(1)).await.unwrap();
    assert_eq!((region.status(1), first.sync), (NodeStatus::Initializing, true));
    assert!(region.server.heartbeat(NodeId::from_random(1)).await.unwrap().sync, "nothing has been told yet");
    region.server.update_allocs(NodeId::from_random(1), vec![report(alloc, false, region.clock.now())]).await.unwrap();
    assert!(!region.server.heartbeat(NodeId::from_random(1)).await.unwrap().sync);
    assert_eq!(region.status(1), NodeStatus::Ready);
    region.stop().await;
}

#[proves("NOD-017", "EVL-019")]
#[tokio::test(start_paused = true)]
async fn a_new_leader_takes_up_what_is_pending_and_gives_nodes_time() {
    let directory = tempfile::tempdir().unwrap();
    let storage = || durable(directory.path());
    let clock = Clock::simulated(EPOCH);
    let region = Region::with(Config { workers: 0, ..Config::new(storage()) }, clock.clone()).await;
    region.server.register_node(node(1)).await.unwrap();
    // Without workers the evaluation stays pending.
    region.register(job("web", "service", 1)).await;
    assert!(region.server.snapshot().evals().all(|eval| eval.status == EvalStatus::Pending));
    region.stop().await;
    let region = Region::with(Config::new(storage()), clock).await;
    region.until("it is placed", |state| live(state, "web") == 1).await;
    region.clock.sleep(Duration::from_secs(200)).await;
    assert_eq!(region.status(1), NodeStatus::Ready, "three hundred seconds after an election nobody is missed");
    region.until("then it is down", |state| state.node(NodeId::from_random(1)).unwrap().status == NodeStatus::Down).await;
    region.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workers_come_and_go_while_the_server_runs() {
    let region = Region::with(Config { workers: 0, ..Config::new(Storage::Memory) }, Clock::simulated(EPOCH)).await;
    region.server.register_node(node(1)).await.unwrap();
    region.register(job("web", "service", 1)).await;
    region.server.set_workers(2);
    region.until("it is placed", |state| live(state, "web") == 1).await;
    region.server.set_workers(0);
    region.clock.sleep(Duration::from_secs(1)).await;
    region.register(job("more", "service", 1)).await;
    region.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(live(&region.server.snapshot(), "more"), 0, "nobody works");
    region.server.set_workers(1);
    region.until("it is placed too", |state| live(state, "more") == 1).await;
    region.stop().await;
}

#[proves("NOD-025", "NOD-026", "NOD-027", "EVL-027")]
#[tokio::test(start_paused = true)]
async fn an_ineligible_node_keeps_what_it_has_and_an_eligible_one_takes_what_waits() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(job("web", "service", 1)).await;
    region.until("it runs", |state| running(state, "web") == 1).await;
    let set = async |eligible| region.server.set_node_eligibility(NodeId::from_random(1), eligible).await.unwrap();
    assert_ne!(set(false).await.1, 0);
    let events = region.server.snapshot().node(NodeId::from_random(1)).unwrap().events.len();
    assert_eq!(set(false).await, (Vec::new(), 0), "the same again is no change");
    assert_eq!(region.server.snapshot().node(NodeId::from_random(1)).unwrap().events.len(), events);
    region.register(job("more", "service", 1)).await;
    region.until("it waits", |state| state.evals().any(|eval| eval.status == EvalStatus::Blocked)).await;
    assert_eq!((running(&region.server.snapshot(), "web"), live(&region.server.snapshot(), "more")), (1, 0));
    let (evals, _) = set(true).await;
    assert!(!evals.is_empty(), "its jobs are looked at");
    region.until("what waited is placed", |state| live(state, "more") == 1).await;
    region.stop().await;
}

#[proves("NOD-048")]
#[tokio::test(start_paused = true)]
async fn what_ran_on_a_purged_node_is_lost_and_replaced() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(job("web", "service", 1)).await;
    region.until("it runs", |state| running(state, "web") == 1).await;
    let _two = region.node(2).await;
    region.server.purge_node(NodeId::from_random(1)).await.unwrap();
    assert!(region.server.snapshot().node(NodeId::from_random(1)).is_none());
    let on_two = |state: &Snapshot| state.allocs().any(|alloc| !alloc.terminal() && alloc.node_id == NodeId::from_random(2));
    region.until("it runs elsewhere", on_two).await;
    let state = region.server.snapshot();
    assert!(state.allocs().any(|alloc| alloc.node_id == NodeId::from_random(1) && alloc.client_status == ClientStatus::Lost));
    assert_eq!(region.server.purge_node(NodeId::from_random(1)).await.unwrap_err().to_string(), "node not found");
    region.stop().await;
}

#[proves("NOD-021")]
#[tokio::test(start_paused = true)]
async fn the_time_of_a_node_that_is_gone_runs_out_without_harm() {
    let region = Region::start().await;
    region.server.register_node(node(1)).await.unwrap();
    // Collected behind the back of the timers.
    let change = Change::Collect { evals: vec![], allocs: vec![], jobs: vec![], deployments: vec![], nodes: vec![NodeId::from_random(1)] };
    region.server.propose(change).await.unwrap();
    region.clock.sleep(Duration::from_secs(60)).await;
    assert!(region.server.snapshot().node(NodeId::from_random(1)).is_none());
    region.node(2).await;
    assert_eq!(region.status(2), NodeStatus::Ready);
    region.stop().await;
}

#[proves("NOD-028", "NOD-031", "NOD-032", "NOD-035", "DEP-018")]
#[tokio::test(start_paused = true)]
async fn a_drained_node_is_left_one_by_one_and_stays_empty() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(job("web", "service", 4)).await;
    region.until("all run", |state| running(state, "web") == 4).await;
    let _two = region.node(2).await;
    let spec = DrainSpec { deadline_ns: 3_600_000_000_000, ignore_system_jobs: false };
    region.server.drain_node(NodeId::from_random(1), Some(spec), false, BTreeMap::new(), String::new()).await.unwrap();
    let mut least = usize::MAX;
    let done = |state: &Snapshot| {
        least = least.min(running(state, "web"));
        state.node(NodeId::from_random(1)).unwrap().drain.is_none()
    };
    region.until("the drain is over", done).await;
    assert!(least >= 3, "one of four may be missing, {least} were left");
    let state = region.server.snapshot();
    let row = state.node(NodeId::from_random(1)).unwrap();
    assert!(!row.eligible && row.last_drain.as_ref().unwrap().status == DrainStatus::Complete);
    assert!(row.events.last().unwrap().details.is_empty(), "in time");
    region.until("all run elsewhere", |state| running(state, "web") == 4).await;
    assert!(region.server.snapshot().allocs().all(|alloc| alloc.terminal() || alloc.node_id == NodeId::from_random(2)));
    region.stop().await;
}

#[proves("NOD-029", "NOD-033", "NOD-036")]
#[tokio::test(start_paused = true)]
async fn at_the_deadline_of_a_drain_what_is_left_leaves() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(job("sum", "batch", 2)).await;
    region.until("both run", |state| running(state, "sum") == 2).await;
    let _two = region.node(2).await;
    let spec = DrainSpec { deadline_ns: 60_000_000_000, ignore_system_jobs: false };
    region.server.drain_node(NodeId::from_random(1), Some(spec), false, BTreeMap::new(), String::new()).await.unwrap();
    region.clock.sleep(Duration::from_secs(50)).await;
    assert_eq!(running(&region.server.snapshot(), "sum"), 2, "batch work is left to finish");
    region.until("the drain is over", |state| state.node(NodeId::from_random(1)).unwrap().drain.is_none()).await;
    let row = region.server.snapshot().node(NodeId::from_random(1)).cloned().unwrap();
    assert_eq!(row.events.last().unwrap().details["deadline_reached"], "true");
    region.until("they are stopped", |state| running(state, "sum") == 0).await;
    region.clock.sleep(Duration::from_secs(30)).await;
    assert_eq!(live(&region.server.snapshot(), "sum"), 0, "without a replacement");
    region.stop().await;
}

#[proves("NOD-039")]
#[tokio::test(start_paused = true)]
async fn a_node_that_goes_down_while_it_drains_is_drained() {
    let region = Region::start().await;
    let one = region.node(1).await;
    region.register(job("web", "service", 1)).await;
    region.until("it runs", |state| running(state, "web") == 1).await;
    one.stop();
    let spec = DrainSpec { deadline_ns: 0, ignore_system_jobs: false };
    region.server.drain_node(NodeId::from_random(1), Some(spec), false, BTreeMap::new(), String::new()).await.unwrap();
    region.until("the drain is over", |state| state.node(NodeId::from_random(1)).unwrap().drain.is_none()).await;
    let state = region.server.snapshot();
    assert_eq!(region.status(1), NodeStatus::Down);
    assert!(state.allocs().all(|alloc| alloc.client_status == ClientStatus::Lost));
    region.stop().await;
}

#[proves("PER-001", "PER-004", "PER-007", "PER-011", "PER-013")]
#[tokio::test(start_paused = true)]
async fn periodic_jobs_launch_children_at_their_times() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(every_minute("tick", false)).await;
    region.register(every_minute("alone", true)).await;
    assert!(region.server.snapshot().evals().next().is_none(), "a parent is not evaluated");
    let children = |state: &Snapshot, name: &str| state.children(&id(name)).map(|row| row.id().id.clone()).collect::<Vec<_>>();
    region.until("three launches", |state| children(state, "tick").len() == 3).await;
    let state = region.server.snapshot();
    let first = EPOCH.seconds() + 60;
    assert_eq!(children(&state, "tick"), [first, first + 60, first + 120].map(|at| format!("tick/periodic-{at}")));
    assert_eq!(children(&state, "alone").len(), 1, "the one before is still at work");
    region.until("children run", |state| state.job(&id("tick")).unwrap().children.running >= 2).await;
    assert_eq!(region.server.snapshot().job(&id("tick")).unwrap().status, JobStatus::Running);
    region.stop().await;
}

#[proves("PER-005", "PER-008")]
#[tokio::test(start_paused = true)]
async fn a_launch_can_be_forced_and_a_stopped_parent_launches_nothing() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(every_minute("alone", true)).await;
    let (eval, _) = region.server.force_periodic(&id("alone")).await.unwrap();
    assert!(region.server.snapshot().eval(eval).is_some());
    region.clock.sleep(Duration::from_secs(2)).await;
    region.server.force_periodic(&id("alone")).await.unwrap();
    let children = || region.server.snapshot().children(&id("alone")).count();
    assert_eq!(children(), 2, "overlap or not");
    region.server.deregister_job(id("alone"), false, 0, false).await.unwrap();
    region.clock.sleep(Duration::from_secs(200)).await;
    assert_eq!(children(), 2);
    region.until("children go on", |state| state.children(&id("alone")).all(|row| row.status == JobStatus::Running)).await;
    region.register(job("plain", "batch", 1)).await;
    for (name, text) in [("nope", "job not found"), ("plain", "can't force launch non-periodic job")] {
        assert_eq!(region.server.force_periodic(&id(name)).await.unwrap_err().to_string(), text);
    }
    region.stop().await;
}

#[proves("PER-006")]
#[tokio::test(start_paused = true)]
async fn a_new_leader_makes_up_for_one_launch() {
    let directory = tempfile::tempdir().unwrap();
    let storage = || durable(directory.path());
    let clock = Clock::simulated(EPOCH);
    let region = Region::with(Config::new(storage()), clock.clone()).await;
    let mut hourly = every_minute("tick", false);
    hourly.periodic.as_mut().unwrap().spec = Some("0 * * * *".into());
    region.register(hourly).await;
    region.until("one launch", |state| state.children(&id("tick")).count() == 1).await;
    region.stop().await;
    clock.sleep(Duration::from_secs(3 * 3_600 + 900)).await;
    let region = Region::with(Config::new(storage()), clock.clone()).await;
    region.until("one more", |state| state.children(&id("tick")).count() == 2).await;
    region.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(region.server.snapshot().children(&id("tick")).count(), 2, "not one for each that was missed");
    region.stop().await;
}

#[proves("PER-012")]
#[tokio::test(start_paused = true)]
async fn jobs_of_one_time_all_launch() {
    let region = Region::start().await;
    for number in 0..20 {
        region.register(every_minute(&format!("tick-{number}"), false)).await;
    }
    let all = |state: &Snapshot| (0..20).all(|number| state.children(&id(&format!("tick-{number}"))).count() == 1);
    region.until("all launched", all).await;
    region.stop().await;
}

#[proves("PER-013", "PER-014", "PER-018", "PER-019")]
#[tokio::test(start_paused = true)]
async fn many_dispatches_at_once_are_all_made_and_those_of_one_token_once() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(template("letter")).await;
    assert!(region.server.snapshot().evals().next().is_none());
    let before = region.server.snapshot().index();
    let calls = (0..300).map(|number| {
        let server = region.server.clone();
        async move {
            let token = if number < 100 { "once" } else { "" };
            server.dispatch_job(&id("letter"), DispatchRequest { priority: 70, ..Default::default() }, token).await.unwrap()
        }
    });
    let done = futures::future::join_all(calls).await;
    let state = region.server.snapshot();
    assert_eq!(state.children(&id("letter")).count(), 201);
    let same: std::collections::BTreeSet<&str> = done[..100].iter().map(|done| done.id.as_str()).collect();
    assert_eq!((same.len(), done[..100].iter().filter(|done| done.eval_id.is_some()).count()), (1, 1));
    assert!(done[100..].iter().all(|done| done.eval_id.is_some() && state.job(&id(&done.id)).unwrap().job().priority == 70));
    assert!(state.index() - before < 100, "calls that come together share entries");
    let again = region.server.dispatch_job(&id("letter"), DispatchRequest::default(), "once").await.unwrap();
    assert_eq!((again.id.as_str(), again.eval_id), (*same.first().unwrap(), None));
    region.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_random_id_is_taken_gets_another_one() {
    // The same seed makes up the same ids, so that the first one can be taken beforehand.
    let dispatched = async |taken: Option<String>| {
        let region = Region::with(Config { workers: 0, ..Config::new(Storage::Memory) }, Clock::simulated(EPOCH)).await;
        region.register(template("letter")).await;
        if let Some(child) = &taken {
            let kind = ChildKind::Dispatch { payload: Vec::new(), meta: BTreeMap::new(), token: String::new(), priority: 0 };
            let child = NewChild { parent: id("letter"), id: child.clone(), kind, eval_id: drover_base::EvalId::from_random(5) };
            region.server.propose(Change::Children(vec![child])).await.unwrap();
        }
        let done = region.server.dispatch_job(&id("letter"), DispatchRequest::default(), "").await.unwrap();
        let state = region.server.snapshot();
        assert!(state.eval(done.eval_id.unwrap()).is_some_and(|eval| eval.job_id == id(&done.id)));
        assert_eq!(state.children(&id("letter")).count(), 1 + taken.iter().count());
        region.stop().await;
        done.id
    };
    let first = Box::pin(dispatched(None)).await;
    assert_eq!(Box::pin(dispatched(None)).await, first, "the seed decides");
    assert_ne!(Box::pin(dispatched(Some(first.clone()))).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_template_with_times_hands_them_to_its_children() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    let both = api::Job { periodic: every_minute("tick", false).periodic, ..template("letter") };
    region.register(both).await;
    region.clock.sleep(Duration::from_secs(150)).await;
    assert_eq!(region.server.snapshot().children(&id("letter")).count(), 0, "a template launches nothing itself");
    let refused = region.server.force_periodic(&id("letter")).await.unwrap_err();
    assert_eq!(refused.text, "can't force launch non-periodic job");
    let done = region.server.dispatch_job(&id("letter"), DispatchRequest::default(), "").await.unwrap();
    assert_eq!(done.eval_id, None, "the child runs nothing itself either");
    let child = id(&done.id);
    region.until("its times have come", |state| state.children(&child).count() >= 2).await;
    let state = region.server.snapshot();
    let launched = state.children(&child).next().unwrap();
    assert!(launched.job().periodic.is_none() && launched.id().id.starts_with(&format!("{}/periodic-", done.id)));
    region.until("they run", |state| state.children(&child).all(|row| running(state, &row.id().id) == 1)).await;
    region.stop().await;
}

#[proves("PER-022")]
#[tokio::test(start_paused = true)]
async fn while_registration_is_off_only_managers_register_dispatch_and_scale() {
    let region = Region::start().await;
    let config = SchedulerConfig { reject_job_registration: true, ..SchedulerConfig::initial() };
    assert!(region.server.set_scheduler_config(config, None).await.unwrap().0);
    let refused = region.server.may_register(false).unwrap_err();
    assert_eq!(refused.to_string(), "Job registration, dispatch, and scale are disabled by the scheduler configuration");
    assert!(region.server.may_register(true).is_ok());
    region.register(template("letter")).await;
    assert!(!region.server.set_scheduler_config(SchedulerConfig::initial(), Some(1)).await.unwrap().0, "somebody else was first");
    region.stop().await;
}

#[proves("PER-027")]
#[tokio::test(start_paused = true)]
async fn a_job_stays_what_it_is() {
    let region = Region::start().await;
    region.register(job("web", "service", 1)).await;
    region.register(every_minute("tick", false)).await;
    let text = async |job: api::Job| {
        let request = api::JobRegisterRequest { job: Some(job), ..Default::default() };
        region.server.register_job(request, None).await.unwrap_err().to_string()
    };
    assert_eq!(text(job("web", "batch", 1)).await, "cannot update job from type \"service\" to \"batch\"");
    assert_eq!(text(job("tick", "batch", 1)).await, "cannot update periodic job to being non-periodic");
    region.stop().await;
}

#[proves("PER-028")]
#[tokio::test(start_paused = true)]
async fn a_revert_is_a_new_version_that_says_what_an_old_one_said() {
    let region = Region::start().await;
    for count in 1..=3 {
        region.register(job("web", "batch", count)).await;
    }
    let now = || region.server.snapshot().job(&id("web")).unwrap().job().clone();
    let text = |error: crate::EndpointError| error.to_string();
    assert_eq!(text(region.server.revert_job(&id("web"), 2, None).await.unwrap_err()), "can't revert to current version");
    assert!(text(region.server.revert_job(&id("web"), 0, Some(1)).await.unwrap_err()).contains("enforcing version 1"));
    region.server.revert_job(&id("web"), 0, Some(2)).await.unwrap();
    assert_eq!((now().version, now().task_groups[0].count), (3, 1));
    region.stop().await;
}

#[proves("GC-001", "GC-018")]
#[tokio::test(start_paused = true)]
async fn garbage_is_collected_by_the_leader_alone_and_leaves_no_evaluation_behind() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(job("sum", "batch", 1)).await;
    region.until("it runs", |state| running(state, "sum") == 1).await;
    region.server.deregister_job(id("sum"), false, 0, false).await.unwrap();
    region
        .until("it is over", |state| {
            state.job(&id("sum")).unwrap().status == JobStatus::Dead && state.allocs().all(|alloc| alloc.client_terminal())
        })
        .await;
    region.server.collect_garbage(false).await.unwrap();
    assert!(region.server.snapshot().job(&id("sum")).is_some(), "four hours are not over");
    region.server.collect_garbage(true).await.unwrap();
    let state = region.server.snapshot();
    assert!(state.job(&id("sum")).is_none() && state.allocs().next().is_none());
    assert!(state.evals().all(|eval| !eval.job_id.id.is_empty()) && state.evals().count() == 0);
    region.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_with_too_much_to_do_turns_work_away_and_recovers() {
    let region = Region::with(Config { workers: 0, evals_pending_max: 3, ..Config::new(Storage::Memory) }, Clock::simulated(EPOCH)).await;
    region.register(template("letter")).await;
    let mut accepted = Vec::new();
    let refused = loop {
        match region.server.dispatch_job(&id("letter"), DispatchRequest::default(), "").await {
            Ok(done) => accepted.push(done.id),
            Err(error) => break error,
        }
        region.clock.sleep(Duration::from_millis(50)).await;
        assert!(accepted.len() < 50, "the bound is reached some time");
    };
    assert_eq!(refused.status, 429);
    let request = api::JobRegisterRequest { job: Some(job("web", "service", 1)), ..Default::default() };
    assert_eq!(region.server.register_job(request, None).await.unwrap_err().status, 429);
    let state = region.server.snapshot();
    assert!(accepted.iter().all(|child| state.job(&id(child)).is_some()), "nothing that was accepted is lost");
    // Once what waits is less, work is taken in again.
    region.server.collect_garbage(true).await.unwrap();
    for child in &accepted {
        region.server.deregister_job(id(child), true, 0, false).await.unwrap();
    }
    region.stop().await;
}

#[proves("EVL-001", "EVL-018", "EVL-020")]
#[tokio::test(start_paused = true)]
async fn a_paused_broker_is_empty_and_takes_up_everything_once_it_goes_on() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    let set = async |pause_eval_broker| {
        let config = SchedulerConfig { pause_eval_broker, ..SchedulerConfig::initial() };
        region.server.set_scheduler_config(config, None).await.unwrap();
    };
    set(true).await;
    region.register(job("web", "service", 1)).await;
    region.clock.sleep(Duration::from_secs(30)).await;
    assert_eq!((region.server.eval_counts(), live(&region.server.snapshot(), "web")), ([0; 5], 0));
    set(false).await;
    region.until("it is placed", |state| live(state, "web") == 1).await;
    region.stop().await;
}

#[proves("EVL-002", "EVL-024", "EVL-026", "EVL-027")]
#[tokio::test(start_paused = true)]
async fn what_cannot_be_placed_waits_once_and_comes_back_with_room() {
    let directory = tempfile::tempdir().unwrap();
    let storage = || durable(directory.path());
    let clock = Clock::simulated(EPOCH);
    let region = Region::with(Config::new(storage()), clock.clone()).await;
    let mut large = job("large", "service", 1);
    large.task_groups.as_mut().unwrap()[0].tasks.as_mut().unwrap()[0].resources =
        Some(api::Resources { cpu: Some(10), memory_mb: Some(6_000), ..Default::default() });
    region.register(large).await;
    let waiting =
        |state: &Snapshot| state.evals().filter(|eval| eval.status == EvalStatus::Blocked).map(|eval| eval.id).collect::<Vec<_>>();
    region.until("it waits", |state| waiting(state).len() == 1).await;
    let first = waiting(&region.server.snapshot());
    // A node that is too small brings it back, and it waits again, the same one.
    let _one = region.node(1).await;
    region.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(waiting(&region.server.snapshot()), first);
    region.stop().await;
    // Another leader takes up what waits, and leaves alone what is over.
    let region = Region::with(Config::new(storage()), clock).await;
    for _ in 0..100 {
        region.clock.sleep(Duration::from_secs(1)).await;
        if region.server.eval_counts() == [0, 0, 0, 0, 1] {
            break;
        }
    }
    assert_eq!(region.server.eval_counts(), [0, 0, 0, 0, 1]);
    let mut big = node(2);
    big.resources.memory_mb = 16_000;
    region.server.register_node(big).await.unwrap();
    region.until("it is placed", |state| live(state, "large") == 1).await;
    region.until("nothing waits", |state| waiting(state).is_empty()).await;
    region.stop().await;
}

#[proves("EVL-008")]
#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_in_vain_gets_nothing_and_loses_nothing() {
    let region = Region::with(Config { workers: 0, ..Config::new(Storage::Memory) }, Clock::simulated(EPOCH)).await;
    let leader = &region.server.0.leader;
    let now = || region.clock.monotonic();
    let in_vain =
        region.clock.timeout(Duration::from_millis(500), leader.dequeue(now(), drover_scheduler::broker::Queues::ALL_TYPES)).await;
    assert!(in_vain.is_none());
    region.register(job("web", "service", 1)).await;
    let (eval, _) = leader.dequeue(now(), drover_scheduler::broker::Queues::ALL_TYPES).await.unwrap();
    assert_eq!(eval.job_id, id("web"));
    region.stop().await;
}

#[proves("EVL-022")]
#[tokio::test(start_paused = true)]
async fn an_evaluation_of_a_state_that_does_not_come_is_given_back() {
    let region = Region::start().await;
    let mut fixture = drover_state::Fixture::new(1, EPOCH);
    let mut eval = drover_model::Evaluation::new(
        drover_base::EvalId::from_random(1),
        id("web"),
        drover_model::JobType::Service,
        50,
        Trigger::JobRegister,
        EPOCH,
    );
    eval.modify_index = 10_000;
    fixture.eval(eval);
    region.server.0.leader.take_up(&fixture.finish(), region.server.moment());
    region.clock.sleep(Duration::from_millis(4_900)).await;
    assert_eq!(region.server.eval_counts(), [0, 0, 1, 0, 0], "its worker waits for the state");
    region.clock.sleep(Duration::from_millis(200)).await;
    assert_eq!(region.server.eval_counts(), [0, 0, 0, 1, 0], "it comes again later");
    region.stop().await;
}

#[proves("NOD-015")]
#[tokio::test(start_paused = true)]
async fn a_change_of_a_node_concerns_its_jobs_and_those_of_every_node() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    for spec in [job("web", "service", 2), job("sum", "batch", 1), job("agent", "system", 1)] {
        region.register(spec).await;
    }
    let mut elsewhere = job("elsewhere", "system", 1);
    elsewhere.datacenters = Some(vec!["dc9".into()]);
    region.register(elsewhere).await;
    region.until("all run", |state| running(state, "web") == 2 && running(state, "sum") == 1 && running(state, "agent") == 1).await;
    let concerned = || {
        let state = region.server.snapshot();
        let row = state.node(NodeId::from_random(1)).unwrap();
        let evals = region.server.evals_of_node(&state, row, Trigger::NodeUpdate);
        assert!(evals.iter().all(|eval| eval.node_id == Some(NodeId::from_random(1))));
        evals.iter().map(|eval| eval.job_id.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(concerned(), ["agent", "sum", "web"], "each once");
    let sum = region.server.snapshot().allocs().find(|alloc| alloc.job.id == id("sum")).unwrap().id;
    region.server.update_allocs(NodeId::from_random(1), vec![report(sum, true, region.clock.now())]).await.unwrap();
    assert_eq!(concerned(), ["agent", "web"], "batch work that is over is no concern");
    region.stop().await;
}

#[proves("NOD-023")]
#[tokio::test(start_paused = true)]
async fn a_node_learns_from_heartbeats_whether_it_takes_placements() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    let id = NodeId::from_random(1);
    assert!(region.server.heartbeat(id).await.unwrap().eligible);
    region.server.set_node_eligibility(id, false).await.unwrap();
    let heartbeat = region.server.heartbeat(id).await.unwrap();
    assert!(!heartbeat.eligible);
    assert_eq!(heartbeat.servers, [region.server.config().rpc_address.clone()]);
    assert_eq!(heartbeat.feature_level, drover_model::command::FORMAT);
    // The same through the channel that agents on other machines use.
    let row = region.server.snapshot().node(id).cloned().unwrap();
    let caller = drover_rpc::Caller { node: id, secret: row.node.secret_id.clone() };
    let channel: Arc<dyn drover_rpc::Servers> = region.server.clone().into();
    let told = channel.heartbeat(caller).await.unwrap();
    assert_eq!((told.eligible(), told.servers(), told.feature_level()), (false, &heartbeat.servers[..], heartbeat.feature_level));
    region.stop().await;
}
