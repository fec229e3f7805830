//! A fake client: does with allocations what a node would, on virtual time, behind a network that delays, repeats and cuts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, NodeId, Rng, WallTime};
use drover_model::{
    AllocUpdate, Allocation, ClientStatus, DeploymentHealth, JobType, Node, NodeAddress, NodeDriver, NodeNetwork, NodeResources,
    ServiceRegistration, TaskState, TaskStatus,
};
use drover_rt::{Clock, TaskScope};
use drover_server::Server;

/// What survives a crash of the client: its tasks.
#[derive(Clone, Debug, Default)]
struct Kept {
    running: BTreeMap<AllocId, (ClientStatus, bool)>,
}

/// One node.
#[derive(Clone)]
pub struct FakeClient {
    /// Its id.
    pub id: NodeId,
    node: Node,
    kept: Arc<Mutex<Kept>>,
}

/// Where clients find the server; none while it is down.
pub type Directory = Arc<Mutex<Option<Server>>>;

fn server_of(directory: &Directory) -> Option<Server> {
    directory.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl FakeClient {
    /// The node of this number.
    pub fn new(number: u128) -> Self {
        let id = NodeId::from_random(0xbeef_0000 + number);
        let driver = NodeDriver { detected: true, healthy: true, ..NodeDriver::default() };
        let address = NodeAddress { alias: "default".into(), address: format!("10.0.0.{number}"), ..NodeAddress::default() };
        let node = Node {
            id,
            secret_id: format!("secret-{number}"),
            name: format!("n{number}"),
            datacenter: "dc1".into(),
            node_pool: "default".into(),
            drivers: BTreeMap::from([("mock_driver".to_owned(), driver)]),
            attributes: BTreeMap::from([("kernel.name".into(), "linux".into()), ("nomad.service_discovery".into(), "true".into())]),
            resources: NodeResources {
                cpu_mhz: 1_000,
                memory_mb: 1_000,
                disk_mb: 4_000,
                networks: vec![NodeNetwork { mode: "host".into(), addresses: vec![address], ..NodeNetwork::default() }],
                ..NodeResources::default()
            },
            ..Node::default()
        };
        Self { id, node, kept: Arc::default() }
    }

    /// Lives until `scope` stops. What it knew is gone with that, its tasks are not.
    pub fn live(&self, directory: Directory, clock: Clock, mut rng: Rng, scope: &TaskScope) {
        let client = self.clone();
        scope.spawn_until_stop("fake client", async move {
            loop {
                let Some(server) = server_of(&directory) else {
                    clock.sleep(Duration::from_millis(200)).await;
                    continue;
                };
                network(&clock, &mut rng).await;
                if server.register_node(client.node.clone()).await.is_ok() {
                    client.work(&server, &directory, &clock, &mut rng).await;
                }
                clock.sleep(Duration::from_millis(100 + rng.below(400))).await;
            }
        });
    }

    /// Serves one server until it is replaced.
    async fn work(&self, server: &Server, directory: &Directory, clock: &Clock, rng: &mut Rng) {
        let mut feed = server.feed(self.id);
        let mut wanted: BTreeMap<AllocId, Arc<Allocation>> = BTreeMap::new();
        let mut heartbeat = clock.monotonic() + Duration::from_secs(2);
        let mut act = clock.monotonic();
        loop {
            let gone = server_of(directory).is_none_or(|now| !std::ptr::eq(now.config(), server.config()));
            if gone {
                return;
            }
            tokio::select! {
                biased;
                change = feed.next() => {
                    network(clock, rng).await;
                    if change.full {
                        wanted.clear();
                        self.forget_all_but(&change.upserts);
                    }
                    for alloc in change.upserts {
                        wanted.insert(alloc.id, alloc);
                    }
                    for id in change.removals {
                        wanted.remove(&id);
                        self.kept().running.remove(&id);
                    }
                    act = clock.monotonic() + Duration::from_millis(rng.below(50));
                }
                () = clock.sleep_until(Some(act)) => {
                    act = clock.monotonic() + Duration::from_millis(500 + rng.below(1_500));
                    let (updates, services) = self.step(&wanted, clock.now(), rng);
                    network(clock, rng).await;
                    if server.update_allocs(self.id, updates.clone()).await.is_err() {
                        return;
                    }
                    // A report whose answer was lost is sent again.
                    if rng.chance(0.1) {
                        network(clock, rng).await;
                        let _ = server.update_allocs(self.id, updates).await;
                    }
                    let _ = server.upsert_services(self.id, services).await;
                }
                () = clock.sleep_until(Some(heartbeat)) => {
                    network(clock, rng).await;
                    let Ok(answer) = server.heartbeat(self.id).await else { return };
                    heartbeat = clock.monotonic() + answer.ttl / 2;
                    if answer.sync {
                        // The servers lost sight of the node: everything is told again.
                        let updates = self.everything(&wanted, clock.now());
                        network(clock, rng).await;
                        if server.update_allocs(self.id, updates).await.is_err() {
                            return;
                        }
                        heartbeat = clock.monotonic() + Duration::from_secs(1);
                    }
                }
            }
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_all_but(&self, all: &[Arc<Allocation>]) {
        self.kept().running.retain(|id, _| all.iter().any(|alloc| alloc.id == *id));
    }

    /// How every allocation stands.
    fn everything(&self, wanted: &BTreeMap<AllocId, Arc<Allocation>>, now: WallTime) -> Vec<AllocUpdate> {
        let kept = self.kept();
        let known = |id: &AllocId| kept.running.get(id).copied();
        let told = wanted.iter().filter_map(|(id, alloc)| known(id).map(|(status, healthy)| (id, alloc, status, healthy)));
        told.map(|(id, alloc, status, healthy)| report(*id, status, healthy && counts(alloc), now)).collect()
    }

    /// Moves every allocation on a little, and says what is to be reported.
    fn step(
        &self,
        wanted: &BTreeMap<AllocId, Arc<Allocation>>,
        now: WallTime,
        rng: &mut Rng,
    ) -> (Vec<AllocUpdate>, Vec<ServiceRegistration>) {
        let mut kept = self.kept();
        let (mut updates, mut services) = (Vec::new(), Vec::new());
        for (id, alloc) in wanted {
            let (status, healthy) = kept.running.get(id).copied().unwrap_or((ClientStatus::Pending, false));
            let next = match status {
                _ if status.is_terminal() => status,
                _ if alloc.server_terminal() => ClientStatus::Complete,
                ClientStatus::Pending => ClientStatus::Running,
                _ if alloc.job.kind.is_batch() && rng.chance(0.3) => ClientStatus::Complete,
                _ if rng.chance(0.02) => ClientStatus::Failed,
                other => other,
            };
            let healthy = healthy || (next == ClientStatus::Running && status == ClientStatus::Running);
            kept.running.insert(*id, (next, healthy));
            if (next, healthy) != (status, healthy) || rng.chance(0.05) || (healthy && alloc.health_wanted) {
                updates.push(report(*id, next, healthy && counts(alloc), now));
            }
            if next == ClientStatus::Running && alloc.job.id.id.starts_with("svc") {
                services.push(ServiceRegistration {
                    id: format!("_nomad-task-{id}-g-{}-http", alloc.job.id.id),
                    service_name: alloc.job.id.id.clone(),
                    namespace: alloc.job.id.namespace.clone(),
                    node_id: self.id,
                    alloc_id: *id,
                    job_id: alloc.job.id.id.clone(),
                    datacenter: "dc1".to_owned(),
                    ..ServiceRegistration::default()
                });
            }
        }
        (updates, services)
    }
}

/// Whether somebody wants to know the allocation's health.
fn counts(alloc: &Allocation) -> bool {
    alloc.deployment.is_some() || alloc.job.kind == JobType::Service
}

fn report(id: AllocId, status: ClientStatus, healthy: bool, now: WallTime) -> AllocUpdate {
    let task = TaskState {
        status: match status {
            ClientStatus::Pending => TaskStatus::Pending,
            ClientStatus::Running => TaskStatus::Running,
            _ => TaskStatus::Dead,
        },
        failed: status == ClientStatus::Failed,
        finished_at: if status.is_terminal() { now } else { WallTime::ZERO },
        ..TaskState::default()
    };
    let health = match status {
        ClientStatus::Running if healthy => Some(true),
        ClientStatus::Failed => Some(false),
        _ => None,
    };
    AllocUpdate {
        id,
        status,
        description: String::new(),
        tasks: BTreeMap::from([("t".to_owned(), task)]),
        health: health.map(|healthy| DeploymentHealth { healthy, time: now }),
    }
}

/// The time a message takes: mostly little, sometimes long, so that those of different nodes overtake each other.
async fn network(clock: &Clock, rng: &mut Rng) {
    let delay = if rng.chance(0.05) { 50_000 + rng.below(450_000) } else { 100 + rng.below(5_000) };
    clock.sleep(Duration::from_micros(delay)).await;
}
