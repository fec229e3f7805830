//! A region without servers: its state, and the scheduler over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{EvalId, NodeId, Rng, WallTime};
use drover_model::command::{Change, RegisterJob};
use drover_model::{
    AllocUpdate, ClientStatus, Command, EphemeralDisk, Evaluation, Job, JobId, JobType, Node, NodeAddress, NodeDriver, NodeNetwork,
    NodeResources, NodeStatus, Plan, Resources, Spread, Task, TaskEvent, TaskEventKind, TaskGroup, TaskState, TaskStatus, Trigger,
};
use drover_scheduler::{Context, Outcome, process};
use drover_state::Store;

/// How large nodes are.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) cpu_mhz: u32,
    pub(crate) memory_mb: u32,
}

impl Size {
    pub(crate) const LARGE: Self = Self { cpu_mhz: 14_000, memory_mb: 32_000 };
    pub(crate) const SMALL: Self = Self { cpu_mhz: 4_000, memory_mb: 8_192 };
}

/// What a job wants.
pub(crate) struct Wish {
    pub(crate) count: u32,
    pub(crate) spread: bool,
    pub(crate) kind: JobType,
    pub(crate) cpu: u32,
    pub(crate) memory_mb: u32,
}

#[derive(Clone)]
pub(crate) struct Cluster {
    store: Store,
    index: u64,
    rng: Rng,
}

const NOW: WallTime = WallTime(1_700_000_000_000_000_000);

fn job_id(name: &str) -> JobId {
    JobId { namespace: "default".into(), id: name.into() }
}

impl Cluster {
    pub(crate) fn new(nodes: u32, racks: u32, size: Size) -> Self {
        let mut cluster = Self { store: Store::default(), index: 0, rng: Rng::new(1) };
        for number in 0..nodes {
            let driver = NodeDriver { detected: true, healthy: true, ..NodeDriver::default() };
            let address = NodeAddress { alias: "default".into(), address: "10.0.0.1".into(), ..NodeAddress::default() };
            let id = NodeId::from_random(cluster.rng.next_u128());
            let node = Node {
                id,
                name: format!("node-{number}"),
                datacenter: format!("dc{}", 1 + number % 2),
                node_pool: "default".into(),
                attributes: [("kernel.name", "linux"), ("cpu.arch", "amd64"), ("driver.docker", "1"), ("nomad.version", "2.0.5")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                meta: BTreeMap::from([("rack".to_owned(), format!("r{}", number % racks))]),
                drivers: BTreeMap::from([("docker".to_owned(), driver)]),
                resources: NodeResources {
                    cpu_mhz: size.cpu_mhz,
                    memory_mb: size.memory_mb,
                    disk_mb: 10_000_000,
                    networks: vec![NodeNetwork { mode: "host".into(), addresses: vec![address], ..NodeNetwork::default() }],
                    ..NodeResources::default()
                },
                ..Node::default()
            };
            cluster.apply(Change::RegisterNode { node: Box::new(node), evals: vec![] });
            cluster.apply(Change::NodeStatus { id, status: NodeStatus::Ready, event: None, evals: vec![] });
        }
        cluster
    }

    fn apply(&mut self, change: Change) {
        self.index += 1;
        let applied = self.store.apply(self.index, Command { time: NOW, change });
        assert_eq!(applied.result, Ok(()), "the change takes effect");
    }

    pub(crate) fn register(&mut self, name: &str, wish: &Wish) {
        let task = Task {
            name: "main".into(),
            driver: "docker".into(),
            resources: Resources { cpu: wish.cpu, memory_mb: wish.memory_mb, ..Resources::default() },
            ..Task::default()
        };
        let spread = Spread { attribute: "${meta.rack}".into(), weight: 50, spread_target: Vec::new() };
        let group = TaskGroup {
            name: "group".into(),
            count: wish.count,
            tasks: vec![task],
            spreads: if wish.spread { vec![spread] } else { Vec::new() },
            ephemeral_disk: EphemeralDisk { size_mb: 10, ..EphemeralDisk::default() },
            ..TaskGroup::default()
        };
        let job = Job {
            id: job_id(name),
            kind: wish.kind,
            priority: 50,
            datacenters: vec!["*".into()],
            node_pool: "default".into(),
            task_groups: Arc::new(vec![group]),
            ..Job::default()
        };
        self.apply(Change::RegisterJob(Box::new(RegisterJob {
            job: Arc::new(job),
            eval: None,
            submission: None,
            enforce_index: None,
            keep_version: false,
            scaling: None,
        })));
    }

    pub(crate) fn process(&mut self, name: &str) -> Outcome {
        let state = self.store.snapshot();
        let kind = state.job(&job_id(name)).map_or(JobType::Service, |row| row.job().kind);
        let id = EvalId::from_random(self.rng.next_u128());
        let eval = Evaluation::new(id, job_id(name), kind, 50, Trigger::JobRegister, NOW);
        process(&state, &eval, &mut Context { now: NOW, rng: self.rng.fork() })
    }

    pub(crate) fn commit(&mut self, plans: Vec<Plan>) {
        self.apply(Change::SharedPlans(plans));
    }

    /// Every allocation reports that it runs, with the usual three events.
    pub(crate) fn run_all(&mut self) {
        let kinds = [TaskEventKind::Received, TaskEventKind::Setup("Building Task Directory".into()), TaskEventKind::Started];
        let events: Vec<TaskEvent> = kinds.into_iter().map(|kind| TaskEvent { time: NOW, kind }).collect();
        let state = TaskState { status: TaskStatus::Running, started_at: NOW, events, ..TaskState::default() };
        let ids: Vec<_> = self.store.snapshot().allocs().map(|alloc| alloc.id).collect();
        for chunk in ids.chunks(1_000) {
            let update = |id| AllocUpdate {
                id,
                status: ClientStatus::Running,
                description: "Tasks are running".into(),
                tasks: BTreeMap::from([("main".to_owned(), state.clone())]),
                health: None,
            };
            let updates = chunk.iter().copied().map(update).collect();
            self.apply(Change::AllocUpdates { updates, evals: vec![] });
        }
    }

    pub(crate) fn nodes_used(&self) -> usize {
        self.store.snapshot().nodes().filter(|(_, row)| row.live.allocs > 0).count()
    }
}
