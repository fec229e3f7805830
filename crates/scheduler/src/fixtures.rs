//! What tests of leader services have in common: recorded tables and small states.

use std::sync::Arc;
use std::time::Duration;

use drover_base::{AllocId, EvalId, NodeId, WallTime};
use drover_model::{
    AllocatedResources, ClientStatus, DeploymentHealth, DesiredStatus, DesiredTransition, Job, JobId, JobType, Node, NodeStatus,
    PlacementMetrics, TaskGroup,
};
use drover_state::{Alloc, Fixture, JobRow, JobSlot, JobStatus, NodeRow, NodeSlot, Rare};
use serde_json::Value;

/// The time of these states.
pub(crate) const NOW: WallTime = WallTime(1_700_000_000_000_000_000);

/// What `testdata/golden/NAME` says, by line.
pub(crate) fn records(name: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A moment relative to [`NOW`].
pub(crate) fn at(seconds: &Value) -> WallTime {
    let seconds = seconds.as_f64().unwrap();
    let away = Duration::from_secs_f64(seconds.abs());
    if seconds < 0.0 { NOW - away } else { NOW + away }
}

pub(crate) fn job_id(name: &str) -> JobId {
    JobId { namespace: "default".into(), id: name.into() }
}

/// A job with one group `web`.
pub(crate) fn job(name: &str, kind: JobType) -> Job {
    let group = TaskGroup { name: "web".into(), count: 3, ..TaskGroup::default() };
    Job {
        id: job_id(name),
        kind,
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: Arc::new(vec![group]),
        create_index: 1,
        ..Job::default()
    }
}

/// A state that grows row by row.
pub(crate) struct World {
    pub(crate) fixture: Fixture,
    pub(crate) ids: u128,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { fixture: Fixture::new(100, NOW), ids: 0 }
    }

    pub(crate) fn job(&mut self, job: Job) -> (JobSlot, Arc<Job>) {
        let job = Arc::new(job);
        let slot = self.fixture.job(JobRow::new(Arc::clone(&job), None, 1));
        (slot, job)
    }

    pub(crate) fn node(&mut self, number: u128, change: impl FnOnce(&mut NodeRow)) -> NodeSlot {
        let node = Node { id: NodeId::from_random(number), datacenter: "dc1".into(), node_pool: "default".into(), ..Node::default() };
        let mut row = NodeRow::new(node, 1, NOW);
        row.status = NodeStatus::Ready;
        change(&mut row);
        self.fixture.node(row)
    }

    /// An allocation of the job's first group.
    pub(crate) fn alloc(&mut self, job: &(JobSlot, Arc<Job>), node: (NodeSlot, u128), change: impl FnOnce(&mut Alloc)) -> AllocId {
        self.ids += 1;
        let mut alloc = alloc(self.ids, job, node);
        change(&mut alloc);
        let id = alloc.id;
        self.fixture.alloc(alloc);
        id
    }
}

/// A running allocation that nothing else is known of.
pub(crate) fn alloc(number: u128, (job_slot, job): &(JobSlot, Arc<Job>), (node_slot, node): (NodeSlot, u128)) -> Alloc {
    Alloc {
        id: AllocId::from_random(number),
        job_slot: *job_slot,
        job: Arc::clone(job),
        group: 0,
        index: 0,
        node_slot,
        node_id: NodeId::from_random(node),
        eval_id: EvalId::from_random(1),
        deployment: None,
        canary: false,
        health: None,
        resources: Arc::new(AllocatedResources::default()),
        desired: DesiredStatus::Run,
        transition: DesiredTransition::default(),
        client_status: ClientStatus::Running,
        tasks: None,
        rare: Rare::default(),
        metrics: Arc::new(PlacementMetrics::default()),
        create_index: 1,
        modify_index: 1,
        alloc_modify_index: 1,
        create_time: NOW - Duration::from_secs(3600),
        modify_time: NOW - Duration::from_secs(1800),
        job_status: JobStatus::Running,
    }
}

/// Known to be well or not.
pub(crate) fn health(healthy: bool) -> Option<(DeploymentHealth, u64)> {
    Some((DeploymentHealth { healthy, time: NOW }, 1))
}

/// A deployment of job `web` in a status, long ago.
pub(crate) fn deployment(number: u128, status: drover_model::DeploymentStatus) -> drover_model::Deployment {
    let long_ago = NOW - Duration::from_secs(100 * 3600);
    drover_model::Deployment {
        id: drover_base::DeploymentId::from_random(number),
        job_id: job_id("web"),
        job_version: 0,
        job_modify_index: 1,
        job_spec_modify_index: 1,
        job_create_index: 1,
        groups: Default::default(),
        status,
        status_description: String::new(),
        eval_priority: 50,
        create_index: 1,
        modify_index: 1,
        create_time: long_ago,
        modify_time: long_ago,
    }
}
