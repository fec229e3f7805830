//! One run: a server, its clients, users that change jobs, and misfortune, all from one seed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{NodeId, Rng, WallTime};
use drover_raft::{DiskLogOptions, Storage};
use drover_rt::{Clock, Entropy, TaskScope};
use drover_server::state::Snapshot;
use drover_server::{Config, EntryLimits, Server};
use openraft::impls::TokioRuntime;
use openraft_rt::deterministic_rng::DeterministicRng;

use crate::client::{Directory, FakeClient};
use crate::disk::SimDisk;
use crate::invariants::{Broken, check, check_settled, check_step};
use crate::users::{Promise, Wish, job_id};

/// Virtual wall time at the start: 2026-01-01.
const EPOCH: WallTime = WallTime(1_767_225_600_000_000_000);
/// Every so many states all invariants are checked.
const FULL_CHECK_EVERY: u64 = 50;
/// Broken invariants that are kept.
const BROKEN_MAX: usize = 20;

/// A bug to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The log acknowledges without a sync.
    LostSync,
    /// The broker delivers twice.
    DoubleDelivery,
    /// The plan applier does not count plans in flight.
    StaleCapacity,
}

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Decides everything.
    pub seed: u64,
    /// Nodes.
    pub nodes: u128,
    /// Rounds of changes by users, with misfortune in between.
    pub rounds: u32,
    /// A bug to plant.
    pub bug: Option<Bug>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Equal for equal seeds.
    pub trace: u64,
    /// States applied.
    pub states: u64,
    /// Registrations that were acknowledged.
    pub acknowledged: u64,
    /// Crashes of the server.
    pub crashes: u32,
    /// Virtual seconds.
    pub seconds: u64,
    /// Invariants that did not hold.
    pub broken: Vec<Broken>,
}

/// Sees every state and what was found wrong with it.
type Witness = Arc<dyn Fn(&Snapshot, &[Broken]) + Send + Sync>;

#[derive(Default)]
struct Watch {
    before: Option<Snapshot>,
    states: u64,
    trace: u64,
    broken: Vec<Broken>,
}

impl Watch {
    fn mix(&mut self, value: u64) {
        self.trace = (self.trace ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }

    fn see(&mut self, now: &Snapshot, witness: &Witness) {
        self.states += 1;
        self.mix(now.index());
        self.mix(now.time().0 as u64);
        self.mix(now.allocs().count() as u64);
        let mut broken = match self.before.take().filter(|before| before.index() < now.index()) {
            Some(before) => check_step(&before, now),
            None => Vec::new(),
        };
        if self.states.is_multiple_of(FULL_CHECK_EVERY) {
            broken.extend(check(now));
            self.mix(now.state_hash());
        }
        witness(now, &broken);
        self.add(broken);
        self.before = Some(now.clone());
    }

    fn add(&mut self, broken: Vec<Broken>) {
        let room = BROKEN_MAX.saturating_sub(self.broken.len());
        self.broken.extend(broken.into_iter().take(room));
    }
}

struct World {
    scenario: Scenario,
    rng: Rng,
    clock: Clock,
    disk: SimDisk,
    directory: Directory,
    server_scope: TaskScope,
    watch: Arc<Mutex<Watch>>,
    witness: Witness,
    clients: Vec<(FakeClient, TaskScope)>,
    /// Jobs whose registration was acknowledged, with the lowest index they must have.
    promised: BTreeMap<String, u64>,
    acknowledged: u64,
    crashes: u32,
}

/// Runs a scenario from beginning to end on virtual time.
pub fn run(scenario: Scenario) -> Report {
    run_watched(scenario, |_, _| ())
}

/// The same, and shows every state with what was found wrong with it.
pub fn run_watched(scenario: Scenario, witness: impl Fn(&Snapshot, &[Broken]) + Send + Sync + 'static) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(tokio::runtime::RngSeed::from_bytes(&scenario.seed.to_le_bytes()))
        .build()
        .expect("a runtime without sockets needs nothing that could be missing");
    runtime.block_on(DeterministicRng::<TokioRuntime>::scope(scenario.seed, World::live(scenario, Arc::new(witness))))
}

impl World {
    async fn live(scenario: Scenario, witness: Witness) -> Report {
        let clock = Clock::simulated(EPOCH);
        let started = clock.monotonic();
        let mut rng = Rng::new(scenario.seed);
        let clients = (1..=scenario.nodes).map(|number| (FakeClient::new(number), TaskScope::new())).collect();
        let mut world = Self {
            disk: SimDisk::default(),
            directory: Directory::default(),
            server_scope: TaskScope::new(),
            watch: Arc::default(),
            witness,
            clients,
            promised: BTreeMap::new(),
            acknowledged: 0,
            crashes: 0,
            rng: rng.fork(),
            clock,
            scenario,
        };
        world.start_server().await;
        for position in 0..world.clients.len() {
            world.start_client(position);
        }
        for _ in 0..scenario.rounds {
            world.users().await;
            world.misfortune().await;
        }
        world.settle().await;
        let watch = world.watch.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            trace: watch.trace,
            states: watch.states,
            acknowledged: world.acknowledged,
            crashes: world.crashes,
            seconds: world.clock.monotonic().since(started).as_secs(),
            broken: watch.broken.clone(),
        }
    }

    async fn start_server(&mut self) {
        let planted = (self.scenario.bug == Some(Bug::LostSync)).then_some(drover_raft::PlantedBug::LostSync);
        let log = DiskLogOptions { segment_bytes: 16 << 10, prefill_bytes: 2 << 10, planted };
        let storage = Storage::Disk { disk: Arc::new(self.disk.clone()), directory: PathBuf::from("/data/raft"), log };
        let (watch, witness) = (Arc::clone(&self.watch), Arc::clone(&self.witness));
        watch.lock().unwrap_or_else(PoisonError::into_inner).before = None;
        let mut config = Config::new(storage);
        config.snapshot_every = 100;
        config.trailing_logs = 20;
        config.workers = 4;
        // Several entries are on their way at once with as little as this.
        config.entry_limits = EntryLimits { plans: 3, allocs: 4, at_once: 2, plans_many: 2, allocs_many: 2 };
        config.gc_interval = Duration::from_secs(60);
        config.gc_thresholds.eval = Duration::from_secs(120);
        config.gc_thresholds.batch_eval = Duration::from_secs(120);
        config.gc_thresholds.deployment = Duration::from_secs(120);
        config.observer = Some(Arc::new(move |state: &Snapshot| watch.lock().unwrap_or_else(PoisonError::into_inner).see(state, &witness)));
        config.planted = match self.scenario.bug {
            Some(Bug::DoubleDelivery) => Some(drover_server::PlantedBug::DoubleDelivery),
            Some(Bug::StaleCapacity) => Some(drover_server::PlantedBug::StaleCapacity),
            Some(Bug::LostSync) | None => None,
        };
        self.server_scope = TaskScope::new();
        let entropy = Entropy::seeded(self.rng.next_u64());
        match Server::start(config, self.clock.clone(), entropy, &self.server_scope).await {
            Ok(server) => {
                self.check_promises(&server.snapshot());
                *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
            }
            Err(error) => self.broke("INV-16", format!("the server does not start again: {error:?}")),
        }
    }

    fn broke(&self, id: &'static str, what: String) {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).add(vec![Broken { id, what }]);
    }

    /// Everything acknowledged before a crash is there after it.
    fn check_promises(&self, state: &Snapshot) {
        for (name, index) in &self.promised {
            let found = state.job(&job_id(name)).map(|row| row.modify_index);
            if found.is_none_or(|found| found < *index) {
                self.broke("RFT-001", format!("job {name} was acknowledged at {index} and is at {found:?} after the restart"));
            }
        }
    }

    fn start_client(&mut self, position: usize) {
        let rng = self.rng.fork();
        let (client, scope) = &mut self.clients[position];
        *scope = TaskScope::new();
        client.live(Arc::clone(&self.directory), self.clock.clone(), rng, scope);
    }

    fn server(&self) -> Option<Server> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Users and operators change several things at once.
    async fn users(&mut self) {
        let Some(server) = self.server() else { return };
        let nodes: Vec<NodeId> = self.clients.iter().map(|(client, _)| client.id).collect();
        let state = server.snapshot();
        let wishes: Vec<_> = (0..1 + self.rng.below(5)).map(|_| Wish::choose(&mut self.rng, &nodes, &state)).collect();
        let pending = wishes.into_iter().map(|wish| wish.perform(server.clone()));
        for promise in futures::future::join_all(pending).await.into_iter().flatten() {
            match promise {
                // Changes of one job may overtake each other; the newest index is what must last.
                Promise::There(name, index) => {
                    let known = self.promised.entry(name).or_default();
                    *known = (*known).max(index);
                    self.acknowledged += 1;
                }
                Promise::Stopped(name) => {
                    self.promised.remove(&name);
                }
            }
        }
        let pause = Duration::from_millis(200 + self.rng.below(8_000));
        self.clock.sleep(pause).await;
    }

    async fn misfortune(&mut self) {
        match self.rng.below(10) {
            0..=2 => self.crash_server().await,
            3 | 4 => {
                // A client crashes; its tasks go on, and it may be away for longer than its heartbeats allow.
                let position = usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap_or(0);
                self.clients[position].1.stop();
                let away = Duration::from_millis(self.rng.below(40_000));
                self.clock.sleep(away).await;
                self.start_client(position);
            }
            5 => self.clock.jump((self.rng.below(20_000) as i64 - 10_000) * 1_000_000),
            _ => {}
        }
    }

    async fn crash_server(&mut self) {
        let old = self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What the disk holds at this moment is all that is left; the old process writes into the void from here on.
        self.disk = self.disk.after_crash(&mut self.rng);
        self.crashes += 1;
        self.server_scope.stop();
        if let Some(old) = old {
            old.shutdown().await;
        }
        let down = Duration::from_millis(self.rng.below(3_000));
        self.clock.sleep(down).await;
        self.start_server().await;
    }

    /// Lets everything come to rest, and checks what must hold then.
    async fn settle(&mut self) {
        let Some(server) = self.server() else { return };
        // What launches for ever never comes to rest.
        for number in 0..2 {
            let name = format!("tick{number}");
            if server.deregister_job(job_id(&name), false, 0, false).await.is_ok() {
                self.promised.remove(&name);
            }
        }
        // Nor does what somebody holds.
        for deployment in server.snapshot().deployments().filter(|deployment| deployment.status.is_active()) {
            let _ = server.pause_deployment(deployment.id, false).await;
        }
        // Long enough for heartbeats, rescheduling delays and deployments' deadlines.
        for _ in 0..240 {
            self.clock.sleep(Duration::from_secs(10)).await;
            let state = server.snapshot();
            let open = state.evals().any(|eval| eval.status == drover_model::EvalStatus::Pending && eval.wait_until <= state.time());
            let working = state.deployments().any(|deployment| deployment.status.is_active() && !deployment.requires_promotion());
            if !open && !working {
                break;
            }
        }
        // What the last entry leads to is written, too.
        self.clock.sleep(Duration::from_millis(10)).await;
        let state = server.snapshot();
        self.check_promises(&state);
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).add(check_settled(&state));
        for (_, scope) in &self.clients {
            scope.stop();
        }
        self.server_scope.stop();
        server.shutdown().await;
    }
}
