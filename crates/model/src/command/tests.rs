//! The bytes of the log: each level's stay readable, and what is newer is refused or skipped.

use std::collections::BTreeMap;

use drover_macros::proves;

use super::*;
use crate::acl::{
    AclNames, AclObjects, AclPolicy, AclRole, AclToken, AuthMethod, AuthMethodType, BindingRule, OneTimeToken, PolicyTarget, TokenLocality,
    TokenType,
};
use crate::mirror::Carried;
use crate::plan::{Placement, Preemption, Stop};
use crate::variable::{RootKey, RootKeyState, Variable, VariableChange, VariableLock, VariableOperation};
use crate::{
    AllocatedResources, AllocatedTask, ClientStatus, Deployment, DeploymentGroup, DeploymentHealth, DeploymentStatus, JobType,
    NamespaceCapabilities, NodeDriver, NodeResources, PlacementMetrics, PortMapping, Resources, SchedulerAlgorithm, Task, TaskEvent,
    TaskEventKind, TaskGroup, TaskState, TaskStatus, Trigger,
};

/// One command of each kind as level 1 wrote it: the kind and the bytes. Lines are never changed, only added.
const LEVEL_1: &str = include_str!("../../../../testdata/golden/commands-level-1.hex");

fn web() -> JobId {
    JobId { namespace: "default".into(), id: "web".into() }
}

fn job() -> Arc<Job> {
    let task = Task {
        name: "server".into(),
        driver: "raw_exec".into(),
        env: BTreeMap::from([("MODE".to_owned(), "fast".to_owned())]),
        resources: Resources { cpu: 100, memory_mb: 64, ..Resources::default() },
        ..Task::default()
    };
    let group = TaskGroup { name: "web".into(), count: 2, tasks: vec![task], ..TaskGroup::default() };
    Arc::new(Job {
        id: web(),
        region: "global".into(),
        name: "web".into(),
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: Arc::new(vec![group]),
        version: 3,
        submit_time: WallTime(5),
        ..Job::default()
    })
}

fn eval() -> Evaluation {
    Evaluation::new(EvalId::from_random(1), web(), JobType::Service, 50, Trigger::JobRegister, WallTime(7))
}

fn event() -> Option<NodeEvent> {
    Some(NodeEvent { message: "Node heartbeat missed".into(), subsystem: "Cluster".into(), time: WallTime(8), ..NodeEvent::default() })
}

fn scaling() -> ScalingEvent {
    ScalingEvent { count: Some(3), previous_count: 2, message: "more".into(), time: WallTime(9), ..ScalingEvent::default() }
}

fn update() -> DeploymentUpdate {
    DeploymentUpdate { id: DeploymentId::from_random(2), status: DeploymentStatus::Failed, description: "Failed".into() }
}

fn plan() -> Plan {
    let task = AllocatedTask { cpu_mhz: 100, memory_mb: 64, ..AllocatedTask::default() };
    let port = PortMapping { label: "http".into(), value: 20_001, host_ip: "127.0.0.1".into(), ..PortMapping::default() };
    let resources = AllocatedResources {
        tasks: BTreeMap::from([("server".to_owned(), task)]),
        disk_mb: 300,
        ports: vec![port],
        ..AllocatedResources::default()
    };
    let placement = Placement {
        id: AllocId::from_random(3),
        group: Arc::from("web"),
        index: 1,
        node_id: NodeId::from_random(4),
        resources: Arc::new(resources),
        previous: Some(AllocId::from_random(5)),
        reschedules: Vec::new(),
        canary: true,
        job_version: Some(3),
        metrics: Arc::new(PlacementMetrics { nodes_evaluated: 1, ..PlacementMetrics::default() }),
    };
    let stop =
        Stop { id: AllocId::from_random(5), description: "old".into(), client_status: Some(ClientStatus::Lost), followup_eval: None };
    let group = DeploymentGroup { desired_total: 2, placed: 1, ..DeploymentGroup::default() };
    let deployment = Deployment {
        id: DeploymentId::from_random(2),
        job_id: web(),
        job_version: 3,
        job_modify_index: 10,
        job_spec_modify_index: 10,
        job_create_index: 10,
        groups: BTreeMap::from([("web".to_owned(), group)]),
        status: DeploymentStatus::Running,
        status_description: "Deployment is running".into(),
        eval_priority: 50,
        create_index: 0,
        modify_index: 0,
        create_time: WallTime(0),
        modify_time: WallTime(0),
    };
    Plan {
        eval_id: EvalId::from_random(1),
        job_id: web(),
        priority: 50,
        all_at_once: false,
        placements: vec![placement],
        stops: vec![stop],
        in_place: Vec::new(),
        deployment: Some(deployment),
        deployment_updates: Vec::new(),
        job_version: 3,
        job_create_index: 10,
        annotations: BTreeMap::new(),
        preemptions: Vec::new(),
        evals: Vec::new(),
        joins: None,
    }
}

fn report() -> AllocUpdate {
    let exit = TaskEventKind::Terminated { exit_code: 1, signal: 0, oom_killed: false, message: String::new() };
    let state = TaskState {
        status: TaskStatus::Dead,
        failed: true,
        restarts: 1,
        events: vec![TaskEvent { time: WallTime(11), kind: exit }],
        ..TaskState::default()
    };
    AllocUpdate {
        id: AllocId::from_random(3),
        status: ClientStatus::Failed,
        description: "Failed tasks".into(),
        tasks: BTreeMap::from([("server".to_owned(), state)]),
        health: Some(DeploymentHealth { healthy: false, time: WallTime(12) }),
    }
}

fn node() -> Node {
    let driver = NodeDriver { detected: true, healthy: true, ..NodeDriver::default() };
    Node {
        id: NodeId::from_random(4),
        name: "one".into(),
        datacenter: "dc1".into(),
        node_pool: "default".into(),
        attributes: BTreeMap::from([("kernel.name".to_owned(), "linux".to_owned())]),
        resources: NodeResources { cpu_mhz: 4_000, memory_mb: 8_000, ..NodeResources::default() },
        drivers: BTreeMap::from([("raw_exec".to_owned(), driver)]),
        ..Node::default()
    }
}

/// One of each kind, in the order of their numbers.
fn samples() -> Vec<Change> {
    let submission = Submission { source: "job \"web\" {}".into(), format: "hcl2".into(), ..Submission::default() };
    let register = RegisterJob {
        job: job(),
        eval: Some(eval()),
        submission: Some(submission),
        enforce_index: Some(0),
        keep_version: false,
        scaling: Some(("web".into(), scaling())),
    };
    let transition = DesiredTransition { migrate: Some(true), ..DesiredTransition::default() };
    let service = ServiceRegistration { id: "s".into(), service_name: "web".into(), port: 80, ..ServiceRegistration::default() };
    vec![
        Change::RegisterJob(Box::new(register)),
        Change::DeregisterJob { id: web(), purge: true, eval: Some(eval()) },
        Change::RegisterNode { node: Box::new(node()), evals: vec![eval()] },
        Change::NodeStatus { id: NodeId::from_random(4), status: NodeStatus::Down, event: event(), evals: Vec::new() },
        Change::NodeEligibility { id: NodeId::from_random(4), eligible: false, event: event(), evals: Vec::new() },
        Change::AllocUpdates { updates: vec![report()], evals: vec![eval()] },
        Change::Evaluations(vec![eval()]),
        Change::Plans(vec![plan()]),
        Change::Transitions { transitions: vec![(AllocId::from_random(3), transition)], evals: vec![eval()] },
        Change::DeploymentStatus { update: update(), eval: Some(eval()), revert: Some(job()) },
        Change::DeploymentPromote { id: DeploymentId::from_random(2), groups: Some(vec!["web".into()]), eval: None },
        Change::DeploymentHealth {
            id: DeploymentId::from_random(2),
            healthy: vec![AllocId::from_random(3)],
            unhealthy: vec![AllocId::from_random(5)],
            update: Some(update()),
            eval: None,
        },
        Change::UpsertServices(vec![service]),
        Change::DeleteService { namespace: "default".into(), id: "s".into() },
        Change::Collect {
            evals: vec![EvalId::from_random(1)],
            allocs: vec![AllocId::from_random(3)],
            jobs: vec![web()],
            deployments: vec![DeploymentId::from_random(2)],
            nodes: vec![NodeId::from_random(4)],
        },
        Change::JobStability { id: web(), version: 3, stable: true },
        Change::FeatureLevel(1),
        Change::Scaling { id: web(), group: "web".into(), event: scaling() },
    ]
}

fn kind(change: &Change) -> &'static str {
    match change {
        Change::RegisterJob(_) => "register-job",
        Change::DeregisterJob { .. } => "deregister-job",
        Change::RegisterNode { .. } => "register-node",
        Change::NodeStatus { .. } => "node-status",
        Change::NodeEligibility { .. } => "node-eligibility",
        Change::AllocUpdates { .. } => "alloc-updates",
        Change::Evaluations(_) => "evaluations",
        Change::Plans(_) => "plans",
        Change::Transitions { .. } => "transitions",
        Change::DeploymentStatus { .. } => "deployment-status",
        Change::DeploymentPromote { .. } => "deployment-promote",
        Change::DeploymentHealth { .. } => "deployment-health",
        Change::UpsertServices(_) => "upsert-services",
        Change::DeleteService { .. } => "delete-service",
        Change::Collect { .. } => "collect",
        Change::JobStability { .. } => "job-stability",
        Change::FeatureLevel(_) => "feature-level",
        Change::Scaling { .. } => "scaling",
        Change::SharedPlans(_)
        | Change::Results { .. }
        | Change::SchedulerConfig { .. }
        | Change::UpsertNodePools(_)
        | Change::DeleteNodePools(_)
        | Change::Children(_)
        | Change::NodeDrain { .. }
        | Change::DrainsDone { .. }
        | Change::PurgeNode { .. }
        | Change::UpsertNamespaces(_)
        | Change::DeleteNamespaces(_)
        | Change::AclBootstrap { .. }
        | Change::UpsertAcl(_)
        | Change::DeleteAcl(_)
        | Change::UpsertRootKey(_)
        | Change::Variable(_)
        | Change::JobTag { .. }
        | Change::Autopilot { .. }
        | Change::Restore { .. } => unreachable!("not of level 1"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0, "hex digits come in pairs");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    LEVEL_1.lines().map(|line| line.split_once(' ').unwrap()).map(|(kind, bytes)| (kind, unhex(bytes))).collect()
}

#[test]
fn bytes_of_level_1_are_read_and_written_again_unchanged() {
    let lines = recorded();
    assert_eq!(lines.len(), samples().len());
    for (name, bytes) in lines {
        let command = Command::from_bytes(&bytes).unwrap().unwrap();
        assert_eq!(kind(&command.change), name);
        assert_eq!(command.change.level(), 1);
        assert_eq!(hex(&command.to_bytes()), hex(&bytes), "{name}");
    }
}

#[test]
fn what_level_1_meant_is_what_is_read() {
    let written: String = samples()
        .into_iter()
        .map(|change| {
            let name = kind(&change);
            format!("{name} {}\n", hex(&Command { time: WallTime(1_000), change }.to_bytes()))
        })
        .collect();
    let changed = written.lines().zip(LEVEL_1.lines()).find(|(now, then)| now != then);
    assert!(written == LEVEL_1, "{changed:?} differ; the whole:\n{written}");
    for ((_, bytes), change) in recorded().into_iter().zip(samples()) {
        assert_eq!(Command::from_bytes(&bytes).unwrap(), Some(Command { time: WallTime(1_000), change }));
    }
}

/// One command of each kind that level 2 brought.
const LEVEL_2: &str = include_str!("../../../../testdata/golden/commands-level-2.hex");

fn samples_of_level_2() -> Vec<(&'static str, Change)> {
    let gone = Preemption { id: AllocId::from_random(8), by: AllocId::from_random(3) };
    let first = Plan { preemptions: vec![gone], ..plan() };
    let limited = SchedulerConfig { node_limit_for_feasibility_checks: 100, ..SchedulerConfig::initial() };
    let second = Plan { deployment: None, joins: Some(DeploymentId::from_random(2)), ..plan() };
    let pool = NodePool {
        name: "gpu".into(),
        description: "with cards".into(),
        meta: BTreeMap::from([("owner".to_owned(), "ml".to_owned())]),
        scheduler_algorithm: Some(SchedulerAlgorithm::Spread),
        memory_oversubscription: Some(true),
        ..NodePool::default()
    };
    vec![
        ("shared-plans", Change::SharedPlans(vec![first, second])),
        ("scheduler-config", Change::SchedulerConfig { config: limited, enforce_index: Some(3) }),
        ("upsert-node-pools", Change::UpsertNodePools(vec![pool])),
        ("delete-node-pools", Change::DeleteNodePools(vec!["gpu".into()])),
        (
            "children",
            Change::Children(vec![
                NewChild {
                    parent: web(),
                    id: "web/dispatch-1-aa".into(),
                    kind: ChildKind::Dispatch {
                        payload: b"hello".to_vec(),
                        meta: BTreeMap::from([("to".to_owned(), "ewe".to_owned())]),
                        token: "once".into(),
                        priority: 70,
                    },
                    eval_id: EvalId::from_random(6),
                },
                NewChild {
                    parent: web(),
                    id: "web/periodic-1".into(),
                    kind: ChildKind::Launch { at: WallTime(1_000_000_000) },
                    eval_id: EvalId::from_random(7),
                },
            ]),
        ),
        (
            "node-drain",
            Change::NodeDrain {
                id: NodeId::from_random(4),
                spec: Some(DrainSpec { deadline_ns: 30, ignore_system_jobs: true }),
                mark_eligible: false,
                meta: BTreeMap::from([("ticket".to_owned(), "T-9".to_owned())]),
                accessor: "someone".into(),
                evals: vec![eval()],
            },
        ),
        ("drains-done", Change::DrainsDone { nodes: vec![NodeId::from_random(4)], deadline_reached: true }),
        ("purge-node", Change::PurgeNode { id: NodeId::from_random(4), evals: vec![eval()] }),
        ("results", Change::Results { plans: vec![plan()], evals: vec![eval()] }),
    ]
}

/// One command of each kind that level 3 brought.
const LEVEL_3: &str = include_str!("../../../../testdata/golden/commands-level-3.hex");

fn samples_of_level_3() -> Vec<(&'static str, Change)> {
    let namespace = Namespace {
        name: "byre".into(),
        description: "cows".into(),
        capabilities: Some(NamespaceCapabilities {
            enabled_task_drivers: vec!["exec".into()],
            disabled_task_drivers: vec!["raw_exec".into()],
            enabled_network_modes: vec!["host".into()],
            disabled_network_modes: vec!["bridge".into()],
        }),
        meta: BTreeMap::from([("owner".to_owned(), "ewe".to_owned())]),
        required_extra_claims: BTreeMap::from([("team".to_owned(), "dairy".to_owned())]),
        optional_extra_claims: BTreeMap::from([("shift".to_owned(), "night".to_owned())]),
        create_index: 4,
        modify_index: 5,
    };
    vec![
        ("upsert-namespaces", Change::UpsertNamespaces(vec![namespace])),
        ("delete-namespaces", Change::DeleteNamespaces(vec!["byre".into()])),
    ]
}

/// One command of each kind that level 4 brought.
const LEVEL_4: &str = include_str!("../../../../testdata/golden/commands-level-4.hex");

fn samples_of_level_4() -> Vec<(&'static str, Change)> {
    let tag = VersionTag { name: "good".into(), description: "the first fleece".into(), tagged_time: 7 };
    let token = AclToken {
        accessor: "a".into(),
        secret: "s".into(),
        name: "pup".into(),
        kind: TokenType::Client,
        policies: vec!["herd".into()],
        roles: vec!["r".into()],
        global: true,
        create_time: WallTime(1),
        expiration_time: WallTime(2),
        expiration_ttl_ns: 3,
        create_index: 4,
        modify_index: 5,
    };
    let target = PolicyTarget { namespace: "default".into(), job: "web".into(), group: "g".into(), task: "t".into() };
    let policy = AclPolicy { name: "herd".into(), rules: "node {}".into(), target: Some(target), ..AclPolicy::default() };
    let role = AclRole { id: "r".into(), name: "hands".into(), policies: vec!["herd".into()], ..AclRole::default() };
    let method = AuthMethod {
        name: "lane".into(),
        kind: AuthMethodType::Oidc,
        locality: TokenLocality::Global,
        token_name_format: "x".into(),
        max_token_ttl_ns: 60,
        default: true,
        config: Carried(drover_api::ACLAuthMethodConfig { oidc_client_id: "cid".into(), ..Default::default() }),
        create_time: WallTime(1),
        modify_time: WallTime(2),
        create_index: 3,
        modify_index: 4,
    };
    let rule = BindingRule { id: "b".into(), auth_method: "lane".into(), bind_type: "role".into(), ..BindingRule::default() };
    let once = OneTimeToken { secret: "o".into(), accessor: "a".into(), expires: WallTime(9), ..OneTimeToken::default() };
    let objects = AclObjects {
        policies: vec![policy],
        tokens: vec![token.clone()],
        roles: vec![role],
        auth_methods: vec![method],
        binding_rules: vec![rule],
        one_time_tokens: vec![once],
    };
    let name = |name: &str| vec![name.to_owned()];
    let names = AclNames {
        policies: name("herd"),
        tokens: name("a"),
        roles: name("r"),
        auth_methods: name("lane"),
        binding_rules: name("b"),
        one_time_tokens: name("o"),
    };
    let key = RootKey {
        id: "k".into(),
        state: RootKeyState::Active,
        create_time: WallTime(1),
        publish_time: WallTime(2),
        wrapping_key: vec![1, 2],
        wrapped_encryption_key: vec![3],
        wrapped_signing_key: vec![4],
        create_index: 5,
        modify_index: 6,
    };
    let variable = Variable {
        namespace: "default".into(),
        path: "farm/barn".into(),
        key_id: "k".into(),
        data: vec![7, 8],
        lock: Some(VariableLock { id: "l".into(), ttl_ns: 15, delay_ns: 10 }),
        ..Variable::default()
    };
    let change = VariableChange { operation: VariableOperation::LockAcquire, variable, expected: Some(0), lock_id: "l".into() };
    vec![
        ("acl-bootstrap", Change::AclBootstrap { token, reset: 7 }),
        ("upsert-acl", Change::UpsertAcl(Box::new(objects))),
        ("delete-acl", Change::DeleteAcl(names)),
        ("upsert-root-key", Change::UpsertRootKey(Box::new(key))),
        ("variable", Change::Variable(Box::new(change))),
        ("job-tag", Change::JobTag { id: web(), version: 3, tag: Some(tag) }),
    ]
}

/// One command of each kind that level 5 brought.
const LEVEL_5: &str = include_str!("../../../../testdata/golden/commands-level-5.hex");

fn samples_of_level_5() -> Vec<(&'static str, Change)> {
    let config = AutopilotConfig { min_quorum: 3, create_index: 4, modify_index: 5, ..AutopilotConfig::initial() };
    vec![("autopilot", Change::Autopilot { config, enforce_index: Some(5) }), ("restore", Change::Restore { archive: vec![0x1f, 0x8b, 8] })]
}

#[test]
fn bytes_of_later_levels_are_read_and_written_again_unchanged() {
    for (level, samples, golden) in [
        (2, samples_of_level_2(), LEVEL_2),
        (3, samples_of_level_3(), LEVEL_3),
        (4, samples_of_level_4(), LEVEL_4),
        (5, samples_of_level_5(), LEVEL_5),
    ] {
        let mut written = String::new();
        for (name, change) in samples {
            assert_eq!(change.level(), level);
            let command = Command { time: WallTime(1_000), change };
            written.push_str(&format!("{name} {}\n", hex(&command.to_bytes())));
            assert_eq!(Command::from_bytes(&command.to_bytes()).unwrap(), Some(command));
        }
        assert!(written == golden, "the bytes have changed; the whole:\n{written}");
    }
}

/// An entry with this format and a change that this build does not know.
fn foreign(format: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    encoder.array(3).unwrap().u32(format).unwrap().encode(WallTime(1)).unwrap();
    encoder.array(2).unwrap().u32(9_999).unwrap().array(0).unwrap();
    bytes
}

#[proves("RFT-003")]
#[test]
fn an_entry_of_a_higher_format_is_refused_unless_it_says_that_it_may_be_skipped() {
    let error = Command::from_bytes(&foreign(FORMAT + 1)).unwrap_err();
    assert!(matches!(error, DecodeError::TooNew { found } if found == FORMAT + 1));
    assert!(error.to_string().contains("run a newer build"), "{error}");
    assert!(Command::from_bytes(&foreign((FORMAT + 1) | IGNORABLE)).unwrap().is_none());
    // A kind that is unknown although the format is known is damage, not something to skip.
    assert!(matches!(Command::from_bytes(&foreign(FORMAT)), Err(DecodeError::Malformed(_))));
}

/// [`Submission`] before variables were added, and as a later build might write it.
#[derive(Encode, Decode)]
struct Before {
    #[n(0)]
    source: String,
    #[n(1)]
    format: String,
}

#[derive(Encode, Decode)]
struct After {
    #[n(0)]
    source: String,
    #[n(1)]
    format: String,
    #[n(2)]
    #[cbor(default)]
    variable_flags: BTreeMap<String, String>,
    #[n(3)]
    #[cbor(default)]
    variables: String,
    #[n(4)]
    #[cbor(default)]
    checksum: Vec<u32>,
}

#[test]
fn a_field_that_is_missing_takes_its_default_and_one_that_is_unknown_is_skipped() {
    let before = Before { source: "job".into(), format: "hcl2".into() };
    let read: Submission = minicbor::decode(&minicbor::to_vec(&before).unwrap()).unwrap();
    let meant = Submission { source: "job".into(), format: "hcl2".into(), ..Submission::default() };
    assert_eq!(read, meant);
    let after = After {
        source: "job".into(),
        format: "hcl2".into(),
        variable_flags: BTreeMap::new(),
        variables: String::new(),
        checksum: vec![1, 2],
    };
    assert_eq!(minicbor::decode::<Submission>(&minicbor::to_vec(&after).unwrap()).unwrap(), meant);
    assert_eq!(minicbor::decode::<After>(&minicbor::to_vec(&meant).unwrap()).unwrap().checksum, Vec::<u32>::new());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = Command::from_bytes(&bytes);
    }

    #[test]
    fn a_damaged_entry_does_not_make_reading_panic(line in 0usize..18, at in 0usize..4_000, byte: u8) {
        let mut bytes = recorded()[line].1.clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Command::from_bytes(&bytes);
        let _ = Command::from_bytes(&bytes[..at]);
    }
}
