//! Deployments: the counters in state, and what their deadline means.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, WallTime};
use drover_macros::proves;
use drover_model::command::Change;
use drover_model::{
    AllocUpdate, ClientStatus, Command, Deployment, DeploymentHealth, DeploymentStatus, DeploymentUpdate, Job, Placement, Plan,
};
use drover_scheduler::deployments::{at_deadline, cutoff, done, promotes_itself, waits_for_promotion};
use drover_state::{Snapshot, Store};
use serde_json::{Map, Value, json};

use crate::golden::{finish, records};
use crate::scenarios::World;
use crate::scenarios::build::id;
use crate::scenarios::input::{flag, list, members, number, seconds, text, time};

/// A store with one node, one job and a deployment of it.
struct Region {
    store: Store,
    index: u64,
    deployment: Deployment,
    job: Arc<Job>,
}

impl Region {
    fn of(row: &Value) -> Self {
        let group = json!({
            "name": "g", "count": row["desired_total"],
            "update": { "max_parallel": 1, "canary": row["desired_canaries"], "progress_deadline": row["progress_deadline"] },
        });
        let deployment = json!({
            "id": "d",
            "groups": { "g": {
                "desired_total": row["desired_total"], "desired_canaries": row["desired_canaries"],
                "progress_deadline": row["progress_deadline"],
            } },
        });
        let scenario = json!({
            "nodes": [{ "id": "n1", "cpu": 100_000, "memory": 100_000 }],
            "jobs": [{ "id": "app", "groups": [group] }],
            "eval": {},
            "deployments": [deployment],
        });
        let world = World::of(&scenario);
        let mut deployment = Deployment::clone(world.state.deployments().next().unwrap());
        for group in deployment.groups.values_mut() {
            group.require_progress_by = WallTime::ZERO;
        }
        let job = Arc::clone(world.state.jobs().next().unwrap().job());
        // The deployment arrives with a plan, as it does in life.
        let without = World::of(&json!({ "nodes": scenario["nodes"], "jobs": scenario["jobs"], "eval": {} }));
        let mut region = Self { index: without.state.index(), store: Store::from_snapshot(without.state), deployment, job };
        let plan = Plan { deployment: Some(region.deployment.clone()), ..region.plan() };
        assert!(region.apply(&json!(0), Change::Plans(vec![plan])));
        region
    }

    fn plan(&self) -> Plan {
        Plan { job_version: 0, job_create_index: self.job.create_index, ..Plan::new(id("eval", "e"), self.job.id.clone(), 50) }
    }

    fn state(&self) -> Snapshot {
        self.store.snapshot()
    }

    fn apply(&mut self, at: &Value, change: Change) -> bool {
        self.index += 1;
        self.store.apply(self.index, Command { time: time(at, 0.0), change }).result.is_ok()
    }

    fn step(&mut self, step: &Value) -> bool {
        let alloc: AllocId = id("alloc", text(&step["alloc"], ""));
        let deployment = self.deployment.id;
        let healthy = flag(&step["healthy"], false);
        let running =
            |health| AllocUpdate { id: alloc, status: ClientStatus::Running, description: String::new(), tasks: BTreeMap::new(), health };
        let change = match text(&step["op"], "") {
            "place" => {
                let placement = Placement {
                    id: alloc,
                    group: Arc::from("g"),
                    index: 0,
                    node_id: id("node", "n1"),
                    resources: Arc::default(),
                    previous: None,
                    reschedules: Vec::new(),
                    canary: flag(&step["canary"], false),
                    job_version: None,
                    metrics: Arc::default(),
                };
                Change::Plans(vec![Plan { placements: vec![placement], joins: Some(deployment), ..self.plan() }])
            }
            "health" => {
                let health = DeploymentHealth { healthy, time: time(&step["at"], 0.0) };
                Change::AllocUpdates { updates: vec![running(Some(health))], evals: Vec::new() }
            }
            "client" => {
                let status = ClientStatus::parse(text(&step["status"], "")).unwrap();
                Change::AllocUpdates { updates: vec![AllocUpdate { status, ..running(None) }], evals: Vec::new() }
            }
            "set_health" => {
                let (good, bad) = if healthy { (vec![alloc], Vec::new()) } else { (Vec::new(), vec![alloc]) };
                Change::DeploymentHealth { id: deployment, healthy: good, unhealthy: bad, update: None, eval: None }
            }
            "promote" => Change::DeploymentPromote { id: deployment, groups: None, eval: None },
            "status" => {
                let status = DeploymentStatus::parse(text(&step["status"], "")).unwrap();
                let update = DeploymentUpdate { id: deployment, status, description: String::new() };
                Change::DeploymentStatus { update, eval: None, revert: None }
            }
            other => panic!("unknown step {other}"),
        };
        self.apply(&step["at"], change)
    }

    /// The state as the records write it.
    fn seen(&self) -> Map<String, Value> {
        let state = self.state();
        let deployment = state.deployment(self.deployment.id).unwrap();
        let group = &deployment.groups["g"];
        let mut out = Map::new();
        out.insert("status".into(), json!(deployment.status.text()));
        out.insert("placed".into(), json!(group.placed));
        out.insert("healthy".into(), json!(group.healthy));
        out.insert("unhealthy".into(), json!(group.unhealthy));
        if !group.require_progress_by.is_zero() {
            out.insert("require_progress_by".into(), json!(seconds(group.require_progress_by) as i64));
        }
        if !group.placed_canaries.is_empty() {
            out.insert("placed_canaries".into(), json!(group.placed_canaries.len()));
        }
        if group.promoted {
            out.insert("promoted".into(), json!(true));
        }
        let labels = ["a", "b", "c"].into_iter().filter(|label| state.alloc(id("alloc", label)).is_some_and(|alloc| alloc.canary));
        let flags: Vec<&str> = labels.collect();
        if !flags.is_empty() {
            out.insert("canary_flags".into(), json!(flags));
        }
        if state.job(&self.job.id).unwrap().versions[0].stable {
            out.insert("job_stable".into(), json!(true));
        }
        out
    }
}

#[proves("DEP-009", "DEP-010", "DEP-019", "DEP-025", "DEP-030", "DEP-037", "DEP-041", "DEP-042")]
#[test]
fn counters_move_as_recorded() {
    let (mut total, mut wrong) = (0, Vec::new());
    for row in records("scheduler-deployment-state") {
        total += 1;
        let mut region = Region::of(&row);
        for (step, expected) in list(&row["steps"]).iter().zip(list(&row["results"])) {
            let accepted = region.step(step);
            let mut seen = region.seen();
            if !accepted {
                seen.insert("error".into(), json!(true));
            }
            if Value::Object(seen.clone()) != *expected {
                wrong.push(format!("{}: after {step} expected {expected}, got {}", row["name"], Value::Object(seen)));
                break;
            }
        }
    }
    finish("deployment-state", total, &wrong);
}

/// The deployment of a row, with the allocations that it counts.
fn described(row: &Value) -> (Snapshot, Deployment) {
    let groups = members(&row["groups"]);
    let job_groups: Vec<Value> = groups.iter().map(|(name, _)| json!({ "name": name, "update": { "max_parallel": 1 } })).collect();
    let mut allocs = Vec::new();
    let mut state_groups = Map::new();
    for (name, group) in &groups {
        for (kind, client) in [("live_healthy_allocs", "running"), ("terminal_healthy_allocs", "complete")] {
            for number in 0..number::<u32>(&group[kind], 0) {
                allocs.push(json!({
                    "id": format!("{name}-{client}-{number}"), "group": name, "node": "n1", "client": client,
                    "deployment": "d", "healthy": true,
                }));
            }
        }
        let mut state = (*group).clone();
        let canaries: Vec<String> = (0..number::<u32>(&group["placed_canaries"], 0)).map(|number| format!("c{number}")).collect();
        state["placed_canaries"] = json!(canaries);
        state_groups.insert((*name).clone(), state);
    }
    let scenario = json!({
        "nodes": [{ "id": "n1" }],
        "jobs": [{ "id": "app", "groups": job_groups }],
        "allocs": allocs,
        "deployments": [{ "id": "d", "status": row["status"], "groups": state_groups }],
        "eval": {},
    });
    let state = World::of(&scenario).state;
    let mut deployment = Deployment::clone(state.deployments().next().unwrap());
    for (name, group) in &groups {
        let entry = deployment.groups.get_mut(name.as_str()).unwrap();
        entry.auto_promote = flag(&group["auto_promote"], false);
        entry.auto_revert = flag(&group["auto_revert"], false);
        entry.require_progress_by =
            if group["require_progress_by"].is_null() { WallTime::ZERO } else { time(&group["require_progress_by"], 0.0) };
    }
    (state, deployment)
}

#[proves("DEP-008", "DEP-020", "DEP-021", "DEP-022")]
#[test]
fn deadlines_mean_what_is_recorded() {
    let (mut total, mut wrong) = (0, Vec::new());
    for row in records("scheduler-deployment-status") {
        total += 1;
        let (state, deployment) = described(&row);
        let deadline = at_deadline(&deployment);
        let done: Map<String, Value> =
            deployment.groups.keys().map(|name| (name.clone(), json!(done(&state, &deployment, name)))).collect();
        let ours = json!({
            "active": deployment.status.is_active(),
            "requires_promotion": waits_for_promotion(&deployment),
            "has_auto_promote": promotes_itself(&deployment),
            "has_placed_canaries": deployment.groups.values().any(|group| !group.placed_canaries.is_empty()),
            "deadline_fails": deadline.fails,
            "deadline_reverts": deadline.fails && deadline.reverts,
            "cutoff": cutoff(&state, &deployment).map(|at| seconds(at) as i64),
            "done_groups": done,
        });
        for (key, value) in ours.as_object().unwrap() {
            if row[key] != *value {
                wrong.push(format!("row {} {} {}: {key} expected {}, got {value}", row["row"], row["status"], row["groups"], row[key]));
            }
        }
    }
    finish("deployment-status", total, &wrong);
}
