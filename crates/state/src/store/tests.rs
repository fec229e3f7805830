//! What one entry does to the state, and that replicas agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, EvalId, NodeId, WallTime};
use drover_macros::proves;
use drover_model::*;

use super::*;
use crate::persist::{SnapshotReader, write_snapshot};

struct World {
    store: Store,
    index: Index,
}

impl World {
    fn new() -> Self {
        Self { store: Store::default(), index: 0 }
    }

    fn apply(&mut self, change: Change) -> Applied {
        self.index += 1;
        self.store.apply(self.index, Command { time: WallTime(self.index as i64 * 1_000), change })
    }

    fn state(&self) -> Snapshot {
        self.store.snapshot()
    }
}

fn job(name: &str, memory_mb: u32) -> Job {
    let task = Task {
        name: "t".to_owned(),
        driver: "mock_driver".to_owned(),
        resources: Resources { cpu: 10, memory_mb, ..Resources::default() },
        ..Task::default()
    };
    let group = TaskGroup { name: "g".to_owned(), count: 1, tasks: vec![task], ..TaskGroup::default() };
    Job { id: JobId { namespace: "default".into(), id: name.into() }, priority: 50, task_groups: Arc::new(vec![group]), ..Job::default() }
}

fn register(job: Job) -> Change {
    Change::RegisterJob(Box::new(command::RegisterJob {
        job: Arc::new(job),
        eval: None,
        submission: None,
        enforce_index: None,
        keep_version: false,
        scaling: None,
    }))
}

fn node(number: u128) -> Node {
    Node {
        id: NodeId::from_random(number),
        resources: NodeResources { cpu_mhz: 1000, memory_mb: 1000, disk_mb: 1000, ..NodeResources::default() },
        ..Node::default()
    }
}

fn placement(id: u128, node: NodeId, memory_mb: u32) -> Placement {
    let task = AllocatedTask { cpu_mhz: 10, memory_mb, ..AllocatedTask::default() };
    Placement {
        id: AllocId::from_random(id),
        group: Arc::from("g"),
        index: 0,
        node_id: node,
        resources: Arc::new(AllocatedResources { tasks: BTreeMap::from([("t".to_owned(), task)]), ..Default::default() }),
        previous: None,
        reschedules: Vec::new(),
        canary: false,
        job_version: None,
        metrics: Arc::default(),
    }
}

fn plan(job: &Job, create_index: Index, placements: Vec<Placement>) -> Change {
    Change::Plans(vec![Plan { placements, job_create_index: create_index, ..Plan::new(EvalId::from_random(7), job.id.clone(), 50) }])
}

/// A job with one running allocation that has registered a service.
fn running() -> (World, NodeId, AllocId) {
    let mut world = World::new();
    let (node, job) = (node(1), job("web", 100));
    let node_id = node.id;
    world.apply(Change::RegisterNode { node: Box::new(node), evals: vec![] });
    world.apply(register(job.clone()));
    world.apply(plan(&job, 2, vec![placement(5, node_id, 100)]));
    let alloc = AllocId::from_random(5);
    world.apply(report(alloc, ClientStatus::Running));
    world.apply(Change::UpsertServices(vec![service(alloc, node_id)]));
    (world, node_id, alloc)
}

fn report(id: AllocId, status: ClientStatus) -> Change {
    let update = AllocUpdate { id, status, description: String::new(), tasks: BTreeMap::new(), health: None };
    Change::AllocUpdates { updates: vec![update], evals: vec![] }
}

fn service(alloc_id: AllocId, node_id: NodeId) -> ServiceRegistration {
    ServiceRegistration {
        id: "_nomad-task-x-g-web-http".to_owned(),
        service_name: "web".to_owned(),
        namespace: "default".to_owned(),
        node_id,
        alloc_id,
        job_id: "web".to_owned(),
        ..Default::default()
    }
}

#[test]
fn capacity_and_summary_follow_an_allocation() {
    let (mut world, node, alloc) = running();
    let state = world.state();
    let row = state.node(node).unwrap();
    assert_eq!((row.live.memory_mb, row.held.memory_mb, row.live.allocs), (100, 100, 1));
    let id = JobId { namespace: "default".into(), id: "web".into() };
    assert_eq!(state.job(&id).unwrap().summary["g"].running, 1);
    assert_eq!(state.job(&id).unwrap().status, crate::JobStatus::Running);
    world.apply(report(alloc, ClientStatus::Failed));
    let state = world.state();
    assert_eq!(state.node(node).unwrap().held, crate::Usage::default());
    assert_eq!(state.job(&id).unwrap().summary["g"].failed, 1);
    assert_eq!(state.job(&id).unwrap().status, crate::JobStatus::Dead);
}

#[proves("CLI-013")]
#[test]
fn a_finished_allocation_never_runs_again() {
    let (mut world, _, alloc) = running();
    world.apply(report(alloc, ClientStatus::Complete));
    world.apply(report(alloc, ClientStatus::Running));
    assert_eq!(world.state().alloc(alloc).unwrap().client_status, ClientStatus::Complete);
}

#[proves("SVC-012", "SVC-017")]
#[test]
fn registrations_end_with_their_allocation_in_the_same_entry() {
    let (mut world, node, alloc) = running();
    assert_eq!(world.state().services_named("default", "web").count(), 1);
    world.apply(report(alloc, ClientStatus::Failed));
    assert_eq!(world.state().services().count(), 0);
    // A message that was on its way does not bring it back.
    world.apply(Change::UpsertServices(vec![service(alloc, node)]));
    assert_eq!(world.state().services().count(), 0);
}

#[proves("SVC-013")]
#[test]
fn registrations_end_when_a_plan_marks_the_allocation_lost() {
    let (mut world, _, alloc) = running();
    let job = job("web", 100);
    let Change::Plans(mut plans) = plan(&job, 2, vec![]) else { unreachable!() };
    let lost = Stop { id: alloc, description: String::new(), client_status: Some(ClientStatus::Lost), followup_eval: None };
    plans[0].stops.push(lost);
    world.apply(Change::Plans(plans));
    let state = world.state();
    assert_eq!(state.alloc(alloc).unwrap().client_status, ClientStatus::Lost);
    assert_eq!(state.services().count(), 0);
}

#[proves("SVC-014")]
#[test]
fn registrations_end_when_an_allocation_is_collected() {
    let (mut world, node, alloc) = running();
    let collect = || Change::Collect { evals: vec![], allocs: vec![alloc], jobs: vec![], deployments: vec![], nodes: vec![] };
    // A live one is not collected.
    world.apply(collect());
    assert_eq!(world.state().services().count(), 1);
    let job = job("web", 100);
    let Change::Plans(mut plans) = plan(&job, 2, vec![]) else { unreachable!() };
    plans[0].stops.push(Stop { id: alloc, description: String::new(), client_status: None, followup_eval: None });
    world.apply(Change::Plans(plans));
    assert_eq!(world.state().services().count(), 1, "still running on its node");
    world.apply(collect());
    assert_eq!((world.state().services().count(), world.state().allocs().count()), (0, 0));
    assert!(world.apply(Change::UpsertServices(vec![service(alloc, node)])).result.is_ok());
    assert_eq!(world.state().services().count(), 0);
}

#[proves("SVC-016", "SVC-020")]
#[test]
fn registrations_outlive_a_node_that_misses_heartbeats() {
    let (mut world, node, alloc) = running();
    world.apply(Change::NodeStatus { id: node, status: NodeStatus::Down, event: None, evals: vec![] });
    assert_eq!(world.state().services().count(), 1);
    let mut unknown = report(alloc, ClientStatus::Unknown);
    if let Change::AllocUpdates { updates, .. } = &mut unknown {
        updates[0].description = "disconnected".to_owned();
    }
    world.apply(unknown);
    assert_eq!(world.state().services().count(), 1);
    world.apply(Change::NodeStatus { id: node, status: NodeStatus::Ready, event: None, evals: vec![] });
    assert_eq!(world.state().services().count(), 1);
}

#[proves("SVC-007")]
#[test]
fn a_node_registers_only_services_of_its_own_allocations() {
    let (mut world, _, alloc) = running();
    let other = NodeId::from_random(99);
    assert!(world.apply(Change::UpsertServices(vec![service(alloc, other)])).result.is_err());
    assert_eq!(world.state().services().next().unwrap().node_id, NodeId::from_random(1));
}

#[proves("SVC-002", "SVC-004")]
#[test]
fn a_registration_is_one_record_by_id_and_keeps_what_it_was_given() {
    let (mut world, node, alloc) = running();
    let mut again = service(alloc, node);
    again.tags = vec!["v2".to_owned()];
    (again.address, again.port, again.datacenter) = ("10.0.0.1".to_owned(), 8080, "dc1".to_owned());
    world.apply(Change::UpsertServices(vec![again.clone()]));
    let state = world.state();
    let rows: Vec<_> = state.services().collect();
    assert_eq!(rows.len(), 1);
    let row = rows[0];
    assert_eq!((row.tags.as_slice(), row.address.as_str(), row.port), (&["v2".to_owned()][..], "10.0.0.1", 8080));
    assert_eq!((row.datacenter.as_str(), row.job_id.as_str(), row.alloc_id, row.node_id), ("dc1", "web", alloc, node));
    assert!(row.create_index < row.modify_index);
    // The same again changes nothing, so nobody is woken.
    assert!(world.apply(Change::UpsertServices(vec![again])).touched.tables.is_empty());
}

#[proves("SVC-008")]
#[test]
fn deleting_an_unknown_registration_is_refused() {
    let (mut world, _, _) = running();
    let delete = |id: &str| Change::DeleteService { namespace: "default".to_owned(), id: id.to_owned() };
    assert!(matches!(world.apply(delete("nope")).result, Err(ApplyError::NotFound(_))));
    assert!(world.apply(delete("_nomad-task-x-g-web-http")).result.is_ok());
    assert_eq!(world.state().services().count(), 0);
}

#[proves("RFT-002")]
#[test]
fn a_refused_entry_changes_nothing_and_the_log_goes_on() {
    let mut world = World::new();
    world.apply(register(job("web", 100)));
    let before = world.state().state_hash();
    let Change::RegisterJob(mut wrong) = register(job("web", 200)) else { unreachable!() };
    wrong.enforce_index = Some(99);
    let applied = world.apply(Change::RegisterJob(wrong));
    assert_eq!(
        applied.result,
        Err(ApplyError::JobIndex("Enforcing job modify index 99: job exists with conflicting job modify index: 1".to_owned()))
    );
    assert!(applied.events.is_empty() && applied.touched.tables.is_empty());
    let mut undone = world.state();
    (undone.index, undone.time) = (1, WallTime(1_000));
    assert_eq!(undone.state_hash(), before);
    assert!(world.apply(register(job("api", 1))).result.is_ok());
}

#[proves("RFT-001")]
#[test]
fn replicas_that_applied_the_same_entries_hold_the_same_bytes() {
    let history = || {
        let mut world = running().0;
        world.apply(register(job("web", 300)));
        world.apply(register(job("api", 300)));
        world.apply(Change::DeregisterJob { id: job("api", 0).id, purge: true, eval: None });
        world
    };
    let (one, two) = (history(), history());
    assert_eq!(one.state().state_hash(), two.state().state_hash());
    // Also when one of them came up from a snapshot in between.
    let restored = SnapshotReader::read(&write_snapshot(&one.state())).unwrap();
    assert_eq!(restored.state_hash(), one.state().state_hash());
    let mut three = World { store: Store::from_snapshot(restored), index: one.index };
    let (mut one, alloc) = (one, AllocId::from_random(5));
    for world in [&mut one, &mut three] {
        world.apply(report(alloc, ClientStatus::Complete));
    }
    assert_eq!(one.state().state_hash(), three.state().state_hash());
    let node = NodeId::from_random(1);
    assert_eq!(three.state().node(node).unwrap().live, one.state().node(node).unwrap().live);
}

#[proves("RFT-004")]
#[test]
fn a_tables_index_moves_only_with_its_changes() {
    let mut world = World::new();
    assert_eq!(
        (world.state().table_index(Table::Jobs), world.state().table_index(Table::Namespaces)),
        (0, 1),
        "namespaces are there from the start"
    );
    world.apply(Change::RegisterNode { node: Box::new(node(1)), evals: vec![] });
    world.apply(register(job("web", 1)));
    let state = world.state();
    assert_eq!((state.table_index(Table::Nodes), state.table_index(Table::Jobs)), (1, 2));
    world.apply(register(job("web", 2)));
    let state = world.state();
    assert_eq!((state.table_index(Table::Nodes), state.table_index(Table::Jobs)), (1, 3));
}

#[proves("EVT-003")]
#[test]
fn an_entry_gives_its_events_together_with_keys_and_payload() {
    let (mut world, _, alloc) = running();
    let applied = world.apply(report(alloc, ClientStatus::Failed));
    let told: Vec<_> = applied.events.iter().map(|event| (event.topic().text(), event.kind.text(), event.index)).collect();
    assert_eq!(told, [("Service", "ServiceDeregistration", applied.index), ("Allocation", "AllocationUpdated", applied.index)]);
    let event = &applied.events[1];
    assert_eq!((event.key(), event.namespace()), (alloc.to_string(), "default"));
    assert_eq!(event.filter_keys(), ["web"]);
}

#[test]
fn versions_count_up_only_when_the_job_changed() {
    let mut world = World::new();
    for memory in [1, 1, 2, 3] {
        world.apply(register(job("web", memory)));
    }
    let state = world.state();
    let row = state.job(&job("web", 0).id).unwrap();
    assert_eq!((row.job().version, row.versions.len(), row.job().create_index), (2, 3, 1));
}

#[proves("SCH-079", "NOD-042")]
#[test]
fn a_new_region_packs_preempts_for_system_jobs_only_and_has_the_built_in_pools() {
    let mut world = World::new();
    let state = world.store.snapshot();
    let config = Arc::clone(state.scheduler_config());
    let preempting: Vec<_> = JobType::ALL.iter().filter(|kind| config.preempts(**kind)).collect();
    assert_eq!(preempting, [&JobType::System]);
    assert_eq!(config.scheduler_algorithm, SchedulerAlgorithm::BinPack);
    assert_eq!(state.node_pools().map(|pool| pool.name.as_str()).collect::<Vec<_>>(), ["all", "default"]);
    for name in ["all", "default"] {
        let changed = NodePool { name: name.into(), ..NodePool::default() };
        assert!(world.apply(Change::UpsertNodePools(vec![changed])).result.is_err());
        assert!(world.apply(Change::DeleteNodePools(vec![name.into()])).result.is_err());
    }
}

#[test]
fn settings_and_pools_are_in_the_snapshot_and_a_pool_in_use_stays() {
    let mut world = World::new();
    let pool = |name: &str| NodePool { name: name.into(), scheduler_algorithm: Some(SchedulerAlgorithm::Spread), ..NodePool::default() };
    world.apply(Change::UpsertNodePools(vec![pool("gpu"), pool("old")]));
    world.apply(Change::RegisterNode { node: Box::new(Node { node_pool: "gpu".into(), ..node(1) }), evals: vec![] });
    world.apply(Change::RegisterNode { node: Box::new(Node { node_pool: "made-by-node".into(), ..node(2) }), evals: vec![] });
    assert!(world.apply(Change::DeleteNodePools(vec!["gpu".into()])).result.is_err());
    world.apply(Change::DeleteNodePools(vec!["old".into()]));
    let config = SchedulerConfig { memory_oversubscription_enabled: true, ..SchedulerConfig::initial() };
    world.apply(Change::SchedulerConfig { config: config.clone(), enforce_index: None });
    let stale = Change::SchedulerConfig { config, enforce_index: Some(1) };
    assert!(world.apply(stale).result.is_err());
    let state = world.store.snapshot();
    let restored = SnapshotReader::read(&write_snapshot(&state)).unwrap();
    assert_eq!(restored.scheduler_config(), state.scheduler_config());
    assert!(restored.scheduler_config().memory_oversubscription_enabled);
    let names: Vec<_> = restored.node_pools().map(|pool| pool.name.clone()).collect();
    assert_eq!(names, ["all", "default", "gpu", "made-by-node"]);
    assert_eq!(restored.node_pool("gpu").unwrap().algorithm(restored.scheduler_config()), SchedulerAlgorithm::Spread);
    assert_eq!(restored.state_hash(), state.state_hash());
}

#[proves("PER-032")]
#[test]
fn a_namespace_stays_while_jobs_live_in_it_and_the_default_one_for_ever() {
    let mut world = World::new();
    let byre = Namespace { name: "byre".into(), description: "cows".into(), ..Namespace::default() };
    let cow = JobId { namespace: "byre".into(), id: "cow".into() };
    let registered = || register(Job { id: cow.clone(), ..job("cow", 10) });
    let delete = |name: &str| Change::DeleteNamespaces(vec![name.to_owned()]);
    let refused = |applied: Applied| applied.result.unwrap_err().to_string();
    // Nothing is registered in what does not exist.
    let missing = refused(world.apply(registered()));
    assert_eq!(missing, "job \"cow\" is in nonexistent namespace \"byre\"");
    assert_eq!(refused(world.apply(delete("byre"))), "namespace not found");
    assert_eq!(refused(world.apply(delete("default"))), "can not delete default namespace");
    let made = world.apply(Change::UpsertNamespaces(vec![byre.clone()])).index;
    world.apply(registered());
    assert_eq!(refused(world.apply(delete("byre"))), "namespace \"byre\" has non-terminal jobs");
    let changed = world.apply(Change::UpsertNamespaces(vec![Namespace { description: "more cows".into(), ..byre }])).index;
    let state = world.store.snapshot();
    let stored = state.namespace("byre").unwrap();
    assert_eq!((stored.create_index, stored.modify_index, stored.description.as_str()), (made, changed, "more cows"));
    assert_eq!(state.table_index(Table::Namespaces), changed);
    let restored = SnapshotReader::read(&write_snapshot(&state)).unwrap();
    assert_eq!(restored.namespaces().map(|namespace| namespace.name.as_str()).collect::<Vec<_>>(), ["byre", "default"]);
    assert_eq!(restored.state_hash(), state.state_hash());
    world.apply(Change::DeregisterJob { id: cow.clone(), purge: false, eval: None });
    assert_eq!(world.apply(delete("byre")).result, Ok(()));
    assert!(world.store.snapshot().namespace("byre").is_none());
}
