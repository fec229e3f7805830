//! What a run came to, written the way the records are: labels instead of ids, seconds instead of times, and nothing
//! that is zero or empty.

use std::collections::{BTreeMap, BTreeSet};

use drover_base::{AllocId, NodeId};
use drover_model::{
    AllocatedResources, Deployment, DeploymentStatus, DesiredUpdates, EvalStatus, Evaluation, PlacementMetrics, Plan, RescheduleEvent,
};
use drover_state::{Alloc, Snapshot};
use serde_json::{Map, Value, json};

use super::build::World;
use super::input::seconds;

/// The last plan of a run, the state after it, and the evaluations that were written.
pub(crate) struct Seen {
    pub(crate) plan: Plan,
    pub(crate) state: Snapshot,
    pub(crate) evals: Vec<Evaluation>,
}

/// An object under construction that leaves out what is zero, false or empty.
#[derive(Default)]
struct Sparse(Map<String, Value>);

impl Sparse {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let nothing = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            Value::Bool(true) => false,
        };
        if !nothing {
            self.0.insert(key.to_owned(), value);
        }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

pub(crate) fn observe(world: &World, seen: &Seen) -> Value {
    let view = View { world, seen };
    let mut out = Sparse::default();
    let own = seen.evals.iter().find(|eval| eval.id == world.eval.id);
    let reblocked = own.is_some_and(|own| own.status == EvalStatus::Blocked);
    if let Some(own) = own {
        if reblocked {
            out.set("reblocked", json!([view.waiting(own)]));
        } else {
            out.set("eval", view.eval(own));
        }
    }
    out.0.insert("groups".to_owned(), view.groups());
    out.set("stop", view.stops());
    out.set("place", view.placements());
    out.set("placed_per_node", view.placed_per_node());
    out.set("update", view.updates());
    out.set("preempt", view.preemptions());
    // A system job's plan works in its deployment also where it does not change it.
    let system = drover_scheduler::system::is(world.eval.kind);
    let joined = seen.plan.joins.filter(|_| system).and_then(|id| world.state.deployment(id)).map(AsRef::as_ref);
    let worked_in = seen.plan.deployment.as_ref().or(joined);
    out.set("deployment", worked_in.map_or(Value::Null, |deployment| view.deployment(deployment)));
    out.set("deployment_updates", view.deployment_updates());
    if let Some(own) = own {
        let failed = own.failed_groups.iter().map(|(group, metrics)| (group.clone(), view.metrics(metrics)));
        out.set("failed", Value::Object(failed.collect()));
    }
    let others = || seen.evals.iter().filter(|eval| eval.id != world.eval.id);
    let (blocked, followups): (Vec<_>, Vec<_>) = others().partition(|eval| eval.status == EvalStatus::Blocked);
    out.set("blocked", blocked.into_iter().map(|eval| view.waiting(eval)).collect::<Vec<_>>());
    out.set(
        "followups",
        followups.into_iter().filter(|eval| eval.status == EvalStatus::Pending).map(|eval| view.followup(eval)).collect::<Vec<_>>(),
    );
    out.done()
}

struct View<'a> {
    world: &'a World,
    seen: &'a Seen,
}

impl View<'_> {
    fn eval(&self, eval: &Evaluation) -> Value {
        let mut out = Sparse::default();
        out.set("status", eval.status.text());
        let known = |text: &str| match &self.world.unknown_trigger {
            Some(trigger) => text.replace("'scheduled'", &format!("'{trigger}'")),
            None => text.to_owned(),
        };
        out.set("description", known(&eval.status_description));
        if eval.status == EvalStatus::Complete || !eval.queued.is_empty() {
            out.set("queued", eval.queued.iter().map(|(group, count)| (group.clone(), json!(count))).collect::<Map<_, _>>());
        }
        out.set("deployment", eval.deployment_id.map_or(Value::Null, |id| json!(self.world.label(id))));
        out.set("blocked", eval.blocked_eval.is_some());
        out.set("next", eval.next_eval.is_some());
        out.done()
    }

    fn groups(&self) -> Value {
        let counts = |desired: &DesiredUpdates| {
            let mut out = Sparse::default();
            out.set("place", desired.place);
            out.set("stop", desired.stop);
            out.set("migrate", desired.migrate);
            out.set("in_place", desired.in_place_update);
            out.set("destructive", desired.destructive_update);
            out.set("canary", desired.canary);
            out.set("ignore", desired.ignore);
            out.set("reconnect", desired.reconnect);
            out.set("disconnect", desired.disconnect);
            out.set("reschedule_now", desired.reschedule_now);
            out.set("reschedule_later", desired.reschedule_later);
            out.set("preemptions", desired.preemptions);
            out.done()
        };
        self.seen.plan.annotations.iter().map(|(group, desired)| (group.clone(), counts(desired))).collect::<Map<_, _>>().into()
    }

    fn before(&self, id: AllocId) -> Option<&Alloc> {
        self.world.state.alloc(id).map(AsRef::as_ref)
    }

    fn alloc_name(&self, id: AllocId) -> Value {
        self.seen.state.alloc(id).map_or(Value::Null, |alloc| json!(alloc.name()))
    }

    fn stops(&self) -> Vec<Value> {
        let mut ids: Vec<AllocId> = self.seen.plan.stops.iter().map(|stop| stop.id).collect();
        let mut once = BTreeSet::new();
        ids.retain(|id| once.insert(*id));
        let rows = ids.into_iter().filter_map(|id| Some((self.before(id)?, self.seen.state.alloc(id)?)));
        rows.map(|(before, after)| {
            let mut out = Sparse::default();
            out.set("alloc", self.world.label(after.id));
            // An empty description is part of the record.
            out.0.insert("description".to_owned(), json!(after.rare.desired_description.as_deref().unwrap_or("")));
            if before.client_status != after.client_status {
                out.set("client", after.client_status.text());
            }
            if before.rare.next != after.rare.next {
                out.set("next", after.rare.next.map_or(Value::Null, |id| self.alloc_name(id)));
            }
            out.set("followup", before.rare.followup_eval != after.rare.followup_eval);
            out.set("last_reschedule", after.rare.reschedule_outcome.map_or("", |outcome| outcome.text()));
            out.done()
        })
        .collect()
    }

    fn placements(&self) -> Vec<Value> {
        let mut rows: Vec<Value> = self.seen.plan.placements.iter().map(|placement| self.placement(placement)).collect();
        rows.sort_by_key(|row| row["name"].as_str().map(str::to_owned));
        rows
    }

    fn placement(&self, placement: &drover_model::Placement) -> Value {
        let mut out = Sparse::default();
        let job = &self.seen.plan.job_id.id;
        out.set("name", drover_model::alloc_name(job, &placement.group, placement.index));
        out.set("node", self.world.label(placement.node_id));
        out.set("previous", placement.previous.map_or(Value::Null, |id| json!(self.world.label(id))));
        out.set("canary", placement.canary);
        if let Some(version) = placement.job_version.filter(|version| *version != self.seen.plan.job_version) {
            // Also when it is 0.
            out.0.insert("version".to_owned(), json!(version));
        }
        let stored = self.seen.state.alloc(placement.id);
        let planned = self.seen.plan.deployment.as_ref().map(|deployment| deployment.id).or(self.seen.plan.joins);
        let deployment = stored.map_or(planned, |alloc| alloc.deployment);
        out.set("deployment", deployment.map_or(Value::Null, |id| json!(self.world.label(id))));
        out.set("reschedule_events", placement.reschedules.iter().map(|event| self.reschedule_event(event)).collect::<Vec<_>>());
        if let Some(alloc) = stored {
            out.set("last_reschedule", alloc.rare.reschedule_outcome.map_or("", |outcome| outcome.text()));
        }
        out.set("preempted", self.preempted_by(placement));
        out.set("resources", self.resources(&placement.resources, &placement.group));
        out.set("metrics", self.metrics(&placement.metrics));
        out.done()
    }

    /// Labels of the allocations that make room for a placement.
    fn preempted_by(&self, placement: &drover_model::Placement) -> Vec<Value> {
        let victims = self.seen.plan.preemptions.iter().filter(|preemption| preemption.by == placement.id);
        let mut labels: Vec<String> = victims.map(|victim| self.world.label(victim.id)).collect();
        labels.sort();
        labels.into_iter().map(Value::String).collect()
    }

    fn preemptions(&self) -> Vec<Value> {
        let victims = self.seen.plan.preemptions.iter();
        victims
            .map(|victim| {
                let desired = self.seen.state.alloc(victim.id).map_or("", |alloc| alloc.desired.text());
                json!({ "alloc": self.world.label(victim.id), "by": self.alloc_name(victim.by), "desired": desired })
            })
            .collect()
    }

    fn reschedule_event(&self, event: &RescheduleEvent) -> Value {
        let label = |id: String| self.world.labels.get(&id).cloned();
        json!({
            "at": seconds(event.time),
            "delay": event.delay_ns as f64 / 1e9,
            "prev_alloc": label(event.previous_alloc.to_string()),
            "prev_node": label(event.previous_node.to_string()),
        })
    }

    fn resources(&self, given: &AllocatedResources, group: &str) -> Value {
        let mut tasks = Map::new();
        let group = self.world.state.job(&self.seen.plan.job_id).and_then(|row| row.job().group(group).cloned());
        for (name, task) in &given.tasks {
            let asked = group.as_ref().and_then(|group| group.task(name));
            let mut out = Sparse::default();
            if task.memory_max_mb != 0 {
                out.set("memory", task.memory_mb);
                out.set("memory_max", if task.memory_max_mb == u32::MAX { json!(-1) } else { json!(task.memory_max_mb) });
            }
            if asked.is_some_and(|asked| asked.resources.secrets_mb > 0) {
                out.set("memory", task.memory_mb);
            }
            if !task.reserved_cores.is_empty() {
                out.set("cores", task.reserved_cores.len());
                out.set("core_ids", json!(task.reserved_cores));
                out.set("cpu", task.cpu_mhz);
            }
            let out = out.done();
            if out.as_object().is_some_and(|out| !out.is_empty()) {
                tasks.insert(name.clone(), out);
            }
        }
        let ports: Vec<Value> = given
            .ports
            .iter()
            .map(|port| json!({ "host_ip": port.host_ip, "label": port.label, "to": port.to, "value": port.value }))
            .collect();
        let mut out = Sparse::default();
        out.set("tasks", Value::Object(tasks));
        out.set("ports", ports);
        out.done()
    }

    fn metrics(&self, metrics: &PlacementMetrics) -> Value {
        let counts = |map: &BTreeMap<String, u32>| map.iter().map(|(key, count)| (key.clone(), json!(count))).collect::<Map<_, _>>();
        let mut out = Sparse::default();
        out.set("nodes_evaluated", metrics.nodes_evaluated);
        out.set("nodes_filtered", metrics.nodes_filtered);
        out.set("nodes_exhausted", metrics.nodes_exhausted);
        out.set("nodes_in_pool", metrics.nodes_in_pool);
        out.set("nodes_available", counts(&metrics.nodes_available));
        out.set("constraint_filtered", counts(&metrics.constraint_filtered));
        out.set("class_filtered", counts(&metrics.class_filtered));
        out.set("class_exhausted", counts(&metrics.class_exhausted));
        out.set("dimension_exhausted", counts(&metrics.dimension_exhausted));
        out.set("coalesced_failures", metrics.coalesced_failures);
        let exhausted = metrics.resources_exhausted.iter().flatten().map(|(task, asked)| {
            let mut parts = Sparse::default();
            parts.set("cpu", asked.cpu_mhz);
            parts.set("memory", asked.memory_mb);
            (task.clone(), parts.done())
        });
        out.set("resources_exhausted", Value::Object(exhausted.collect()));
        let scores = metrics.scores.iter().map(|score| {
            let mut parts = Sparse::default();
            for (name, part) in &score.parts {
                parts.set(name, *part);
            }
            parts.0.insert("final".to_owned(), json!(score.total));
            (self.world.label(score.node_id), parts.done())
        });
        out.set("scores", Value::Object(scores.collect()));
        out.done()
    }

    fn placed_per_node(&self) -> Value {
        let placements = &self.seen.plan.placements;
        if placements.len() < 2 {
            return Value::Null;
        }
        let mut by_node: BTreeMap<NodeId, u32> = BTreeMap::new();
        let (mut by_dc, mut by_class) = (BTreeMap::<String, u32>::new(), BTreeMap::<String, u32>::new());
        for placement in placements {
            *by_node.entry(placement.node_id).or_default() += 1;
            if let Some(row) = self.world.state.node(placement.node_id) {
                *by_dc.entry(row.node.datacenter.clone()).or_default() += 1;
                if !row.node.node_class.is_empty() {
                    *by_class.entry(row.node.node_class.clone()).or_default() += 1;
                }
            }
        }
        let mut counts: Vec<u32> = by_node.values().copied().collect();
        counts.sort_unstable();
        let labels: BTreeMap<String, u32> = by_node.into_iter().map(|(id, count)| (self.world.label(id), count)).collect();
        json!({ "counts": counts, "by_node": labels, "by_dc": by_dc, "by_class": by_class })
    }

    fn updates(&self) -> Vec<Value> {
        let stopped: BTreeSet<AllocId> = self.seen.plan.stops.iter().map(|stop| stop.id).collect();
        let mut ids: Vec<AllocId> = self.seen.plan.in_place.iter().map(|update| update.id).filter(|id| !stopped.contains(id)).collect();
        let mut once = BTreeSet::new();
        ids.retain(|id| once.insert(*id));
        let rows = ids.into_iter().filter_map(|id| Some((self.before(id)?, self.seen.state.alloc(id)?)));
        rows.map(|(before, after)| json!({ "alloc": self.world.label(after.id), "changed": self.changed(before, after) })).collect()
    }

    fn changed(&self, before: &Alloc, after: &Alloc) -> Value {
        let mut out = Sparse::default();
        if before.job.version != after.job.version {
            out.set("version", after.job.version);
        }
        if before.deployment != after.deployment {
            out.set("deployment", after.deployment.map_or(json!("none"), |id| json!(self.world.label(id))));
        }
        if before.health.is_some() && after.health.is_none() {
            out.0.insert("deployment_status".to_owned(), json!(false));
        }
        if before.client_status != after.client_status {
            out.set("client", after.client_status.text());
        }
        if before.rare.client_description != after.rare.client_description {
            out.set("client_description", after.rare.client_description.as_deref().unwrap_or(""));
        }
        let contacts = |alloc: &Alloc| alloc.rare.contacts.as_ref().map_or(0, |contacts| contacts.len());
        if contacts(after) > contacts(before) {
            let added = after.rare.contacts.as_ref().and_then(|contacts| contacts.last());
            out.set("client_state_added", added.map_or("", |change| change.status.text()));
        }
        if before.rare.followup_eval != after.rare.followup_eval {
            out.set("followup", after.rare.followup_eval.map_or(json!("none"), |id| json!(self.world.label(id))));
        }
        if before.rare.reschedule_outcome != after.rare.reschedule_outcome {
            out.set("last_reschedule", after.rare.reschedule_outcome.map_or("", |outcome| outcome.text()));
        }
        out.done()
    }

    fn deployment(&self, deployment: &Deployment) -> Value {
        let mut out = Sparse::default();
        let known = self.world.state.deployment(deployment.id).is_some();
        let label = json!(self.world.label(deployment.id));
        if known {
            out.set("id", label);
        } else {
            out.set("new", true);
        }
        out.set("status", deployment.status.text());
        // What it will say once the counters of this plan are in does not change with them.
        out.0.insert("description".to_owned(), json!(deployment.status_description));
        out.0.insert("version".to_owned(), json!(deployment.job_version));
        let groups = deployment.groups.iter().map(|(name, group)| {
            let mut out = Sparse::default();
            out.set("desired_total", group.desired_total);
            out.set("desired_canaries", group.desired_canaries);
            let system = drover_scheduler::system::is(self.world.eval.kind);
            let placed_here = self.seen.plan.placements.iter().filter(|placement| placement.canary && *placement.group == **name).count();
            // System jobs enter their canaries when they plan them, the others when they are placed.
            out.set("placed_canaries", group.placed_canaries.len() + if system { placed_here } else { 0 });
            out.set("promoted", group.promoted);
            out.set("placed", group.placed);
            out.set("healthy", group.healthy);
            out.set("unhealthy", group.unhealthy);
            out.set("auto_revert", group.auto_revert);
            out.set("auto_promote", group.auto_promote);
            let deadline = group.progress_deadline_ns / 1_000_000_000;
            if deadline != 600 {
                out.set("progress_deadline", deadline);
            }
            (name.clone(), out.done())
        });
        out.set("groups", Value::Object(groups.collect()));
        out.done()
    }

    fn deployment_updates(&self) -> Vec<Value> {
        let updates = self.seen.plan.deployment_updates.iter();
        let describe = |status: DeploymentStatus| status.text();
        updates
            .map(|update| {
                json!({
                    "deployment": self.world.label(update.id),
                    "description": update.description,
                    "status": describe(update.status),
                })
            })
            .collect()
    }

    /// A blocked evaluation.
    fn waiting(&self, eval: &Evaluation) -> Value {
        let mut by_class: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut rows: Vec<_> = self.world.state.nodes().map(|(_, row)| row).collect();
        rows.sort_by_key(|row| label_order(&row.node.name));
        for row in rows {
            by_class.entry(row.class_text()).or_default().push(row.node.name.clone());
        }
        let classes: Map<String, Value> = eval
            .class_eligibility
            .iter()
            .map(|(class, fit)| (by_class.get(class).map_or_else(|| class.clone(), |names| names.join(",")), json!(fit)))
            .collect();
        let mut out = Sparse::default();
        out.set("status", eval.status.text());
        out.set("trigger", eval.trigger.text());
        out.set("description", eval.status_description.clone());
        out.0.insert("escaped".to_owned(), json!(eval.escaped_computed_class));
        out.0.insert("classes".to_owned(), Value::Object(classes));
        out.set("node", eval.node_id.map_or(Value::Null, |id| json!(self.world.label(id))));
        out.done()
    }

    fn followup(&self, eval: &Evaluation) -> Value {
        let mut out = Sparse::default();
        out.set("trigger", eval.trigger.text());
        out.set("status", eval.status.text());
        out.set("description", eval.status_description.clone());
        if !eval.wait_until.is_zero() {
            out.set("wait_until", seconds(eval.wait_until));
        }
        out.done()
    }
}

/// `n2` before `n10`.
fn label_order(label: &str) -> (usize, String) {
    (label.len(), label.to_owned())
}
