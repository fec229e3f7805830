//! One simulated node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, Monotonic, NodeId};
use drover_model::{
    AllocUpdate, Allocation, ClientStatus, DeploymentHealth, Node, NodeAddress, NodeDriver, NodeNetwork, NodeResources, TaskEvent,
    TaskEventKind, TaskState, TaskStatus,
};
use drover_rpc::{AgentClient, Caller, Desired, Reason, Refusal};
use drover_rt::{Clock, Entropy};
use futures::StreamExt;
use tokio::sync::Semaphore;

use crate::{Args, Fleet};

/// The wait before a lost server is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// Reports in one call.
const BATCH_MAX: usize = 1_000;

/// The names of the tasks of an allocation.
type TaskNames = Arc<[String]>;

/// Gives out one copy of equal lists of names. Bounded by the groups there are.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<BTreeSet<TaskNames>>);

impl Names {
    fn of(&self, alloc: &Allocation) -> TaskNames {
        let names: TaskNames = alloc.task_group().into_iter().flat_map(|group| &group.tasks).map(|task| task.name.clone()).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&names) {
            return Arc::clone(known);
        }
        known.insert(Arc::clone(&names));
        names
    }
}

/// A node that only pretends.
pub(crate) struct Simulated {
    node: Node,
    servers: AgentClient,
    fleet: Arc<Fleet>,
    /// Allocations that run, with the names of their tasks: of a job nothing else is kept, which a program that plays
    /// thousands of nodes would hold thousands of times.
    running: BTreeMap<AllocId, TaskNames>,
    /// When those that end by themselves do so.
    ends: BTreeSet<(Monotonic, AllocId)>,
    /// Reports on their way out.
    waiting: Vec<AllocUpdate>,
}

impl Simulated {
    pub(crate) fn new(args: &Args, number: u32, entropy: &Entropy, fleet: Arc<Fleet>) -> anyhow::Result<Self> {
        let address = &args.servers[number as usize % args.servers.len()];
        let id: NodeId = entropy.id();
        let secret: NodeId = entropy.id();
        let name = format!("sim-{number:05}");
        let driver = NodeDriver { detected: true, healthy: true, health_description: "Healthy".to_owned(), ..NodeDriver::default() };
        let attribute = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let address_of = |alias: &str| NodeAddress {
            alias: alias.to_owned(),
            address: format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
            family: "ipv4".to_owned(),
            reserved_ports: String::new(),
        };
        let network = NodeNetwork {
            mode: "host".to_owned(),
            device: "eth0".to_owned(),
            mac_address: String::new(),
            speed: 10_000,
            addresses: vec![address_of("default")],
        };
        let node = Node {
            id,
            secret_id: secret.to_string(),
            datacenter: format!("dc{}", number % args.datacenters.max(1) + 1),
            node_pool: args.pool.clone(),
            node_class: args.class.clone(),
            http_addr: "127.0.0.1:9".to_owned(),
            attributes: BTreeMap::from([
                attribute("kernel.name", "linux"),
                attribute("cpu.arch", "amd64"),
                attribute("arch", "amd64"),
                attribute("driver.mock_driver", "1"),
                attribute("nomad.version", drover_model::NOMAD_VERSION),
                attribute("unique.hostname", &name),
            ]),
            meta: BTreeMap::from([("rack".to_owned(), format!("r{}", number % args.racks.max(1) + 1))]),
            resources: NodeResources {
                cpu_mhz: args.cpu,
                cores_total: 4,
                reservable_cores: (0..4).collect(),
                memory_mb: args.memory,
                disk_mb: args.disk,
                networks: vec![network],
                min_dynamic_port: 20_000,
                max_dynamic_port: 32_000,
                ..NodeResources::default()
            },
            drivers: BTreeMap::from([("mock_driver".to_owned(), driver)]),
            name,
            ..Node::default()
        };
        let servers = AgentClient::new(address)?;
        Ok(Self { node, servers, fleet, running: BTreeMap::new(), ends: BTreeSet::new(), waiting: Vec::new() })
    }

    fn caller(&self) -> Caller {
        Caller { node: self.node.id, secret: self.node.secret_id.clone() }
    }

    /// Serves for ever; what the server refuses for good is counted and tried again.
    pub(crate) async fn run(mut self, clock: Clock, starting: Arc<Semaphore>) {
        loop {
            let begun = {
                let _turn = starting.acquire().await;
                self.begin().await
            };
            if let Ok((ttl, stream)) = begun {
                self.fleet.ready.fetch_add(1, Ordering::Relaxed);
                let _lost = self.serve(&clock, ttl, stream).await;
                self.fleet.ready.fetch_sub(1, Ordering::Relaxed);
            }
            self.fleet.errors.fetch_add(1, Ordering::Relaxed);
            clock.sleep(RETRY).await;
        }
    }

    async fn begin(&self) -> Result<(Duration, impl futures::Stream<Item = Result<Desired, Refusal>> + Unpin + use<>), Refusal> {
        let registered = self.servers.register(self.node.clone()).await?;
        Ok((registered.ttl(), self.servers.follow(self.caller()).await?))
    }

    async fn serve(
        &mut self,
        clock: &Clock,
        mut ttl: Duration,
        mut desired: impl futures::Stream<Item = Result<Desired, Refusal>> + Unpin,
    ) -> Result<(), Refusal> {
        let mut beat = clock.monotonic() + ttl / 2;
        loop {
            let next_end = self.ends.first().map(|(at, _)| *at);
            tokio::select! {
                change = desired.next() => match change {
                    Some(change) => self.take(change?, clock),
                    None => return Err(Refusal::new(Reason::Unreachable, "the stream ended")),
                },
                () = clock.sleep_until(next_end) => self.end(clock),
                () = clock.sleep_until(Some(beat)) => {
                    ttl = self.servers.heartbeat(self.caller()).await?.ttl();
                    beat = clock.monotonic() + ttl / 2;
                }
            }
            self.report().await?;
        }
    }

    async fn report(&mut self) -> Result<(), Refusal> {
        while !self.waiting.is_empty() {
            let batch: Vec<AllocUpdate> = self.waiting[..self.waiting.len().min(BATCH_MAX)].to_vec();
            let count = batch.len();
            self.servers.update_allocs(self.caller(), batch).await?;
            self.fleet.reports.fetch_add(count as u64, Ordering::Relaxed);
            self.waiting.drain(..count);
        }
        Ok(())
    }

    fn take(&mut self, change: Desired, clock: &Clock) {
        let there: BTreeSet<AllocId> = change.upserts.iter().map(|alloc| alloc.id).collect();
        let gone: Vec<AllocId> =
            if change.full { self.running.keys().filter(|id| !there.contains(id)).copied().collect() } else { change.removals };
        for id in gone {
            if self.running.remove(&id).is_some() {
                self.fleet.running.fetch_sub(1, Ordering::Relaxed);
            }
        }
        for alloc in change.upserts {
            match (self.running.contains_key(&alloc.id), alloc.terminal()) {
                (false, false) => self.start(&alloc, clock),
                (true, true) => self.stop(alloc.id, clock, true),
                // Stopped before it was seen to start: the servers still wait to hear that nothing runs.
                (false, true) if !alloc.client_status.is_terminal() => {
                    let tasks = self.fleet.names.of(&alloc);
                    self.waiting.push(update(alloc.id, &tasks, ClientStatus::Complete, clock, &[TaskEventKind::Received]));
                }
                _ => {}
            }
        }
    }

    fn start(&mut self, alloc: &Allocation, clock: &Clock) {
        let events = [TaskEventKind::Received, TaskEventKind::Setup("Building Task Directory".to_owned()), TaskEventKind::Started];
        let tasks = self.fleet.names.of(alloc);
        let mut started = update(alloc.id, &tasks, ClientStatus::Running, clock, &events);
        if alloc.health_wanted {
            started.health = Some(DeploymentHealth { healthy: true, time: clock.now() });
        }
        self.waiting.push(started);
        if let Some(run_for) = run_for(alloc) {
            self.ends.insert((clock.monotonic() + run_for, alloc.id));
        }
        self.running.insert(alloc.id, tasks);
        self.fleet.running.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&mut self, id: AllocId, clock: &Clock, killed: bool) {
        let Some(tasks) = self.running.remove(&id) else { return };
        self.fleet.running.fetch_sub(1, Ordering::Relaxed);
        self.fleet.ended.fetch_add(1, Ordering::Relaxed);
        let ended = TaskEventKind::Terminated { exit_code: 0, signal: 0, oom_killed: false, message: String::new() };
        let killing = TaskEventKind::Killing { kill_timeout_ns: 5_000_000_000, reason: String::new(), fails_task: false };
        let events = if killed { vec![killing, ended, TaskEventKind::Killed(String::new())] } else { vec![ended] };
        self.waiting.push(update(id, &tasks, ClientStatus::Complete, clock, &events));
    }

    fn end(&mut self, clock: &Clock) {
        let now = clock.monotonic();
        while let Some((at, id)) = self.ends.first().copied().filter(|(at, _)| *at <= now) {
            self.ends.remove(&(at, id));
            self.stop(id, clock, false);
        }
    }
}

fn update(id: AllocId, tasks: &[String], status: ClientStatus, clock: &Clock, events: &[TaskEventKind]) -> AllocUpdate {
    let now = clock.now();
    let events: Vec<TaskEvent> = events.iter().map(|kind| TaskEvent { time: now, kind: kind.clone() }).collect();
    let dead = status.is_terminal();
    let state = TaskState {
        status: if dead { TaskStatus::Dead } else { TaskStatus::Running },
        started_at: now,
        finished_at: if dead { now } else { drover_base::WallTime(0) },
        events,
        ..TaskState::default()
    };
    let tasks = tasks.iter().map(|task| (task.clone(), state.clone())).collect();
    AllocUpdate { id, status, description: String::new(), tasks, health: None }
}

/// How long the longest task of the allocation runs, if it ends by itself.
fn run_for(alloc: &Allocation) -> Option<Duration> {
    let group = alloc.task_group()?;
    group.tasks.iter().filter_map(|task| task.config.as_ref()?.0.get("run_for")?.as_ref()?.as_str().and_then(seconds)).max()
}

/// `90s`, `1.5h`, `250ms`.
fn seconds(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: f64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}
