//! What users and operators do in a run: jobs of every type, scaling, dispatches, deployments, drains, and settings.
//!
//! A wish is chosen from the seed and from what can be seen, and is carried out against the server's own entry points. What
//! the server refuses is no failure; what it acknowledged is a promise that a crash must not break.

use std::collections::BTreeMap;

use drover_api as api;
use drover_base::{AllocId, DeploymentId, NodeId, Rng};
use drover_model::{DrainSpec, JobId, PreemptionConfig, SchedulerAlgorithm, SchedulerConfig};
use drover_server::state::Snapshot;
use drover_server::{DispatchRequest, Server};

/// Kinds of jobs, by the beginning of their names; services are the most frequent.
const KINDS: [&str; 8] = ["svc", "svc", "svc", "batch", "tick", "tmpl", "sys", "sysb"];
const SECOND: i64 = 1_000_000_000;

/// Something that somebody wants.
pub(crate) enum Wish {
    Register(String, Box<api::JobRegisterRequest>),
    Stop(String, bool),
    Scale(String, i64),
    Revert(String),
    Dispatch(String, String),
    StopAlloc(AllocId),
    Promote(DeploymentId),
    Pause(DeploymentId, bool),
    Fail(DeploymentId),
    Drain(NodeId, Option<DrainSpec>),
    Eligible(NodeId, bool),
    Purge(NodeId),
    Settings(SchedulerConfig),
}

/// What an acknowledgement means for the time after a crash.
pub(crate) enum Promise {
    /// The job is there, at this index or a later one.
    There(String, u64),
    /// It may be gone.
    Stopped(String),
}

/// The job of this name.
pub(crate) fn job_id(name: &str) -> JobId {
    JobId { namespace: "default".into(), id: name.into() }
}

impl Wish {
    /// What somebody wants next.
    pub(crate) fn choose(rng: &mut Rng, nodes: &[NodeId], state: &Snapshot) -> Self {
        if rng.chance(0.2) {
            return of_nodes(rng, nodes);
        }
        if rng.chance(0.03) {
            return settings(rng);
        }
        if rng.chance(0.15)
            && let Some(wish) = of_what_runs(rng, state)
        {
            return wish;
        }
        let kind = *rng.pick(&KINDS);
        let name = format!("{kind}{}", rng.below(if matches!(kind, "svc" | "batch") { 5 } else { 2 }));
        match kind {
            "tmpl" if rng.chance(0.7) => {
                // A caller that hears nothing asks again with the same token.
                let token = if rng.chance(0.5) { format!("token-{}", rng.below(20)) } else { String::new() };
                return Self::Dispatch(name, token);
            }
            "svc" if rng.chance(0.15) => return Self::Scale(name, rng.below(6) as i64),
            "svc" if rng.chance(0.05) => return Self::Revert(name),
            _ if rng.chance(0.15) => return Self::Stop(name, rng.chance(0.5)),
            _ => {}
        }
        let job = job(rng, kind, &name);
        Self::Register(name, Box::new(api::JobRegisterRequest { job: Some(job), ..Default::default() }))
    }

    /// Asks the server for it.
    pub(crate) async fn perform(self, server: Server) -> Option<Promise> {
        let there = |name: String, index: u64| Some(Promise::There(name, index));
        match self {
            Self::Register(name, request) => there(name, server.register_job(*request, None).await.ok()?.index),
            Self::Scale(name, count) => {
                let target = BTreeMap::from([("Job".to_owned(), name.clone()), ("Group".to_owned(), "g".to_owned())]);
                let request = api::ScalingRequest { count: Some(count), target: Some(target), ..Default::default() };
                there(name.clone(), server.scale_job(&job_id(&name), request).await.ok()?.index)
            }
            Self::Revert(name) => {
                let version = server.snapshot().job(&job_id(&name))?.job().version.checked_sub(1)?;
                there(name.clone(), server.revert_job(&job_id(&name), version, None).await.ok()?.index)
            }
            Self::Dispatch(name, token) => {
                let done = server.dispatch_job(&job_id(&name), DispatchRequest::default(), &token).await.ok()?;
                there(done.id, done.create_index)
            }
            Self::Stop(name, purge) => {
                server.deregister_job(job_id(&name), purge, 0, false).await.ok()?;
                Some(Promise::Stopped(name))
            }
            // What these are about may be gone by the time they arrive, and then they are refused.
            Self::StopAlloc(id) => no_promise(server.stop_alloc(id, false, false).await),
            Self::Promote(id) => no_promise(server.promote_deployment(id, None).await),
            Self::Pause(id, pause) => no_promise(server.pause_deployment(id, pause).await),
            Self::Fail(id) => no_promise(server.fail_deployment(id).await),
            Self::Drain(node, spec) => no_promise(server.drain_node(node, spec, true, BTreeMap::new(), String::new()).await),
            Self::Eligible(node, eligible) => no_promise(server.set_node_eligibility(node, eligible).await),
            Self::Purge(node) => no_promise(server.purge_node(node).await),
            Self::Settings(config) => no_promise(server.set_scheduler_config(config, None).await),
        }
    }
}

fn no_promise<T, E>(_answer: Result<T, E>) -> Option<Promise> {
    None
}

/// Operators drain nodes and take them out.
fn of_nodes(rng: &mut Rng, nodes: &[NodeId]) -> Wish {
    let node = *rng.pick(nodes);
    match rng.below(10) {
        0..=2 => {
            let deadline_ns = *rng.pick(&[0, -1, 30 * SECOND]);
            Wish::Drain(node, Some(DrainSpec { deadline_ns, ignore_system_jobs: false }))
        }
        3..=5 => Wish::Drain(node, None),
        6 => Wish::Eligible(node, false),
        7 | 8 => Wish::Eligible(node, true),
        _ => Wish::Purge(node),
    }
}

/// Operators change how the region packs and who may push others aside.
fn settings(rng: &mut Rng) -> Wish {
    Wish::Settings(SchedulerConfig {
        scheduler_algorithm: *rng.pick(&[SchedulerAlgorithm::BinPack, SchedulerAlgorithm::Spread]),
        preemption_config: PreemptionConfig {
            system_scheduler_enabled: rng.chance(0.7),
            sys_batch_scheduler_enabled: rng.chance(0.5),
            batch_scheduler_enabled: rng.chance(0.5),
            service_scheduler_enabled: rng.chance(0.7),
        },
        ..SchedulerConfig::initial()
    })
}

/// Somebody stops an allocation, or decides about a deployment.
fn of_what_runs(rng: &mut Rng, state: &Snapshot) -> Option<Wish> {
    if rng.chance(0.4) {
        let live: Vec<AllocId> = state.allocs().filter(|alloc| !alloc.terminal()).map(|alloc| alloc.id).collect();
        return (!live.is_empty()).then(|| Wish::StopAlloc(*rng.pick(&live)));
    }
    let active: Vec<DeploymentId> = state.deployments().filter(|one| one.status.is_active()).map(|one| one.id).collect();
    if active.is_empty() {
        return None;
    }
    let id = *rng.pick(&active);
    Some(match rng.below(10) {
        0..=4 => Wish::Promote(id),
        5 | 6 => Wish::Pause(id, true),
        7 | 8 => Wish::Pause(id, false),
        _ => Wish::Fail(id),
    })
}

fn job(rng: &mut Rng, kind: &str, name: &str) -> api::Job {
    let job_type = match kind {
        "svc" => "service",
        "sys" => "system",
        "sysb" => "sysbatch",
        _ => "batch",
    };
    let (batch, everywhere) = (matches!(job_type, "batch" | "sysbatch"), matches!(kind, "sys" | "sysb"));
    let task = api::Task {
        name: "t".into(),
        driver: "mock_driver".into(),
        env: Some(BTreeMap::from([("VERSION".to_owned(), rng.below(4).to_string())])),
        resources: Some(api::Resources {
            cpu: Some(50 + rng.below(150) as i64),
            memory_mb: Some(20 + rng.below(200) as i64),
            ..Default::default()
        }),
        ..Default::default()
    };
    let update = api::UpdateStrategy {
        max_parallel: Some(1 + rng.below(2) as i64),
        canary: Some(if everywhere { 0 } else { rng.below(2) as i64 }),
        auto_promote: None,
        auto_revert: Some(!everywhere && rng.chance(0.3)),
        ..Default::default()
    };
    let port = api::Port { label: "http".into(), value: 8_000 + rng.below(3) as i64, ..Default::default() };
    let static_port = rng.chance(0.1);
    let network = api::NetworkResource {
        reserved_ports: static_port.then(|| vec![port]),
        dynamic_ports: (!static_port).then(|| vec![api::Port { label: "http".into(), ..Default::default() }]),
        ..Default::default()
    };
    // Nodes are away for up to forty seconds, so some come back in time and some do not.
    let disconnect = (kind == "svc" && rng.chance(0.4)).then(|| api::DisconnectStrategy {
        lost_after: Some((5 + rng.below(40) as i64) * SECOND),
        replace: Some(rng.chance(0.7)),
        reconcile: Some((*rng.pick(&["best_score", "keep_original", "keep_replacement", "longest_running"])).to_owned()),
        ..Default::default()
    });
    let group = api::TaskGroup {
        name: Some("g".into()),
        count: (!everywhere).then(|| rng.below(5) as i64),
        tasks: Some(vec![task]),
        update: (!batch).then_some(update),
        networks: Some(vec![network]),
        ephemeral_disk: Some(api::EphemeralDisk { size_mb: Some(150), ..Default::default() }),
        disconnect,
        ..Default::default()
    };
    api::Job {
        id: Some(name.to_owned()),
        r#type: Some(job_type.into()),
        priority: Some(*rng.pick(&[20, 50, 50, 80])),
        task_groups: Some(vec![group]),
        periodic: (kind == "tick").then(|| api::PeriodicConfig {
            enabled: Some(true),
            spec: Some("* * * * *".into()),
            prohibit_overlap: Some(name.ends_with('0')),
            ..Default::default()
        }),
        parameterized_job: (kind == "tmpl").then(api::ParameterizedJobConfig::default),
        ..Default::default()
    }
}
