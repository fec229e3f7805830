//! Placing: which node each wanted allocation goes to, and what it is given there.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{EvalId, Rng};
use drover_model::{
    AllocatedResources, AllocatedTask, EvalStatus, Evaluation, Job, Placement, PlacementMetrics, Plan, Stop, TaskGroup, Trigger,
};
use drover_state::{Alloc, Ask, NodeSlot, Snapshot, Usage, fit};

use crate::feasible::{Candidate, Checker, distinct, ready_nodes};
use crate::ports;
use crate::process::{Context, Outcome};
use crate::rank::{Ranking, better, score};
use crate::reconcile::PlaceRequest;

/// Nodes whose scores are kept with an allocation (SCH-011).
const SCORES_KEPT: usize = 5;
/// What a failed evaluation says when a placement found no node.
const BLOCKED_DESCRIPTION: &str = crate::conclude::NO_ROOM;

/// Places a job's groups one request after another, counting what its own plan takes.
pub(crate) struct Placer<'a> {
    state: &'a Snapshot,
    eval: &'a Evaluation,
    context: &'a mut Context,
    job: Option<Arc<Job>>,
    pub(crate) plan: Plan,
    /// Room taken on nodes as this plan leaves them; stopping allocations still hold theirs (SCH-046).
    usage: BTreeMap<NodeSlot, Usage>,
    /// Allocations of this plan and of the job per node and group.
    of_group: BTreeMap<(NodeSlot, String), u32>,
    failed_groups: BTreeMap<String, PlacementMetrics>,
    queued: BTreeMap<String, u32>,
    classes: BTreeMap<String, bool>,
    escaped: bool,
    /// Nodes that a system job waits for.
    short_nodes: Vec<drover_base::NodeId>,
}

impl<'a> Placer<'a> {
    pub(crate) fn new(state: &'a Snapshot, eval: &'a Evaluation, context: &'a mut Context, job: Option<Arc<Job>>) -> Self {
        let plan = Plan {
            all_at_once: job.as_ref().is_some_and(|job| job.all_at_once),
            job_version: job.as_ref().map_or(0, |job| job.version),
            job_create_index: job.as_ref().map_or(0, |job| job.create_index),
            ..Plan::new(eval.id, eval.job_id.clone(), eval.priority)
        };
        let mut of_group = BTreeMap::new();
        if let Some(slot) = state.job_slot(&eval.job_id) {
            for alloc in state.allocs_of_job(slot).filter(|alloc| !alloc.terminal()) {
                *of_group.entry((alloc.node_slot, alloc.group_name().to_owned())).or_default() += 1;
            }
        }
        Self {
            state,
            eval,
            context,
            job,
            plan,
            usage: BTreeMap::new(),
            of_group,
            failed_groups: BTreeMap::new(),
            queued: BTreeMap::new(),
            classes: BTreeMap::new(),
            escaped: false,
            short_nodes: Vec::new(),
        }
    }

    fn usage(&self, candidate: &Candidate) -> Usage {
        self.usage.get(&candidate.slot).cloned().unwrap_or_else(|| candidate.row.held.clone())
    }

    pub(crate) fn stop(&mut self, alloc: &Alloc, description: &str, client_status: Option<drover_model::ClientStatus>) {
        if !alloc.client_terminal()
            && let Some(row) = self.state.node_at(alloc.node_slot)
        {
            self.usage.entry(alloc.node_slot).or_insert_with(|| row.held.clone()).remove(&Ask::of(&alloc.resources));
        }
        if !alloc.terminal()
            && let Some(count) = self.of_group.get_mut(&(alloc.node_slot, alloc.group_name().to_owned()))
        {
            *count = count.saturating_sub(1);
        }
        self.plan.stops.push(Stop { id: alloc.id, description: description.to_owned(), client_status, followup_eval: None });
    }

    /// Whether an allocation may be changed to the newest version where it runs (REC-049).
    pub(crate) fn fits_in_place(&self, alloc: &Alloc) -> bool {
        let Some((job, row)) = self.job.as_ref().zip(self.state.node_at(alloc.node_slot)) else { return false };
        let Some(group) = job.group(alloc.group_name()) else { return false };
        let of_job = (job.node_pool == "all" || row.node.node_pool == job.node_pool)
            && crate::constraint::datacenter_matches(&job.datacenters, &row.node.datacenter);
        of_job && Checker::new(job, group).excluded(row).is_none()
    }

    pub(crate) fn place_all(&mut self, newest: &TaskGroup, requests: Vec<PlaceRequest>) {
        let Some(newest_job) = self.job.clone() else { return };
        for request in requests {
            if let Some(failed) = self.failed_groups.get_mut(&newest.name) {
                failed.coalesced_failures += 1;
                *self.queued.entry(newest.name.clone()).or_default() += 1;
                continue;
            }
            let version = request.job_version.and_then(|version| self.state.job(&self.eval.job_id)?.version(version).cloned());
            let job = version.map_or_else(|| Arc::clone(&newest_job), |version| version.job);
            let Some(group) = job.group(&newest.name).cloned() else { continue };
            match self.place_in_room_of(&job, &group, &request) {
                Ok(placement) => self.commit(placement, request),
                Err(metrics) => {
                    *self.queued.entry(newest.name.clone()).or_default() += 1;
                    self.failed_groups.insert(newest.name.clone(), *metrics);
                }
            }
        }
        self.queued.entry(newest.name.clone()).or_default();
    }

    /// Places with the room of what is replaced, which is free only for its own replacement.
    fn place_in_room_of(&mut self, job: &Job, group: &TaskGroup, request: &PlaceRequest) -> Result<Placed, Box<PlacementMetrics>> {
        let replaced = request.stop.as_ref().map(|(alloc, _)| alloc).filter(|alloc| !alloc.client_terminal());
        let node = replaced.and_then(|alloc| Some((alloc, self.state.node_at(alloc.node_slot)?)));
        let Some((alloc, row)) = node else { return self.place(job, group, request) };
        let before = self.usage.get(&alloc.node_slot).cloned();
        self.usage.entry(alloc.node_slot).or_insert_with(|| row.held.clone()).remove(&Ask::of(&alloc.resources));
        let placed = self.place(job, group, request);
        match before {
            Some(before) => self.usage.insert(alloc.node_slot, before),
            None => self.usage.remove(&alloc.node_slot),
        };
        placed
    }

    fn commit(&mut self, placed: Placed, request: PlaceRequest) {
        if let Some((alloc, description)) = &request.stop {
            self.stop(alloc, description, None);
        }
        let ask = Ask::of(&placed.resources);
        self.usage.entry(placed.candidate.slot).or_insert_with(|| placed.candidate.row.held.clone()).add(&ask);
        *self.of_group.entry((placed.candidate.slot, placed.group.clone())).or_default() += 1;
        self.plan.placements.push(Placement {
            id: drover_base::AllocId::from_random(self.context.rng.next_u128()),
            group: Arc::from(placed.group),
            index: request.index,
            node_id: placed.candidate.row.node.id,
            resources: Arc::new(placed.resources),
            previous: request.previous.filter(|_| request.link).map(|alloc| alloc.id),
            reschedules: request.reschedules,
            canary: request.canary,
            job_version: request.job_version,
            metrics: Arc::new(placed.metrics),
        });
    }

    fn place(&mut self, job: &Job, group: &TaskGroup, request: &PlaceRequest) -> Result<Placed, Box<PlacementMetrics>> {
        let mut metrics = PlacementMetrics::default();
        let ready = ready_nodes(self.state, job, &mut metrics);
        let mut checker = Checker::new(job, group);
        let limits = distinct(job, group);
        let demand = demand(group);
        let affinities: Vec<_> =
            job.affinities.iter().chain(&group.affinities).chain(group.tasks.iter().flat_map(|task| &task.affinities)).collect();
        let failed_on = request.previous.as_ref().filter(|_| !request.reschedules.is_empty()).map(|alloc| alloc.node_slot);
        let mut best: Option<(drover_model::NodeScore, Placed)> = None;
        for candidate in ready.into_iter().filter(|candidate| request.node.is_none_or(|only| candidate.slot == only)) {
            metrics.nodes_evaluated += 1;
            let row = &candidate.row;
            let why = checker.excluded(row).or_else(|| self.not_distinct(&limits, group, &candidate));
            if let Some(why) = why {
                metrics.nodes_filtered += 1;
                if !row.node.node_class.is_empty() {
                    *metrics.class_filtered.entry(row.node.node_class.clone()).or_default() += 1;
                }
                *metrics.constraint_filtered.entry(why).or_default() += 1;
                continue;
            }
            let usage = self.usage(&candidate);
            match offer(group, &demand, &candidate, &usage, &mut self.context.rng) {
                Ok(resources) => {
                    let ask = Ask::of(&resources);
                    let ranking = Ranking {
                        ask: &ask,
                        desired: group.count,
                        collisions: self.of_group.get(&(candidate.slot, group.name.clone())).copied().unwrap_or(0),
                        penalty: failed_on == Some(candidate.slot),
                        affinities: &affinities,
                    };
                    let scored = score(row, &usage, &ranking);
                    metrics.scores.push(scored.clone());
                    let wins =
                        best.as_ref().is_none_or(|(best, placed)| better((&scored, row.node.id), (best, placed.candidate.row.node.id)));
                    if wins {
                        let placed = Placed { candidate, resources, group: group.name.clone(), metrics: PlacementMetrics::default() };
                        best = Some((scored, placed));
                    }
                }
                Err(misfit) => {
                    metrics.nodes_exhausted += 1;
                    if !row.node.node_class.is_empty() {
                        *metrics.class_exhausted.entry(row.node.node_class.clone()).or_default() += 1;
                    }
                    *metrics.dimension_exhausted.entry(misfit).or_default() += 1;
                }
            }
        }
        metrics.scores.sort_by(|a, b| b.total.total_cmp(&a.total).then(a.node_id.cmp(&b.node_id)));
        metrics.scores.truncate(SCORES_KEPT);
        self.escaped |= checker.escaped();
        for (class, fit) in checker.classes() {
            *self.classes.entry(class).or_default() |= fit;
        }
        match best {
            Some((_, placed)) => Ok(Placed { metrics, ..placed }),
            None => Err(Box::new(metrics)),
        }
    }

    fn not_distinct(&self, limits: &[(&drover_model::Constraint, bool)], group: &TaskGroup, candidate: &Candidate) -> Option<String> {
        for (constraint, whole_job) in limits {
            let counted = |other: &str| *whole_job || other == group.name;
            if constraint.operand == "distinct_hosts" {
                let taken = self.of_group.iter().any(|((slot, name), count)| *slot == candidate.slot && *count > 0 && counted(name));
                if taken {
                    return Some("distinct_hosts".to_owned());
                }
                continue;
            }
            let allowed: u32 = if constraint.r_target.is_empty() { 1 } else { constraint.r_target.parse().unwrap_or(1) };
            let Some(value) = crate::constraint::resolve(&constraint.l_target, &candidate.row.node) else {
                return Some(format!("missing property {:?}", constraint.l_target));
            };
            let used: u32 = self
                .of_group
                .iter()
                .filter(|((slot, name), _)| {
                    counted(name)
                        && self
                            .state
                            .node_at(*slot)
                            .and_then(|row| crate::constraint::resolve(&constraint.l_target, &row.node).map(|other| other == value))
                            == Some(true)
                })
                .map(|(_, count)| *count)
                .sum();
            if used >= allowed {
                return Some(format!("distinct_property: {}={value} used by {used} allocs", constraint.l_target));
            }
        }
        None
    }

    /// Whether a node qualifies for a group, room aside.
    pub(crate) fn qualifies(&self, group: &TaskGroup, slot: NodeSlot) -> bool {
        self.job.as_ref().zip(self.state.node_at(slot)).is_some_and(|(job, row)| Checker::new(job, group).excluded(row).is_none())
    }

    /// Counts placements that are wanted and not tried.
    pub(crate) fn wants_more(&mut self, group: &str, more: u32) {
        *self.queued.entry(group.to_owned()).or_default() += more;
    }

    /// Places each request on the node that it names. A node that does not qualify is nobody's fault, unless the group
    /// runs nowhere; the first without room is waited for (SYS-005…007).
    pub(crate) fn place_on_nodes(&mut self, group: &TaskGroup, requests: Vec<PlaceRequest>) {
        let Some(job) = self.job.clone() else { return };
        let mut filtered = PlacementMetrics::default();
        let mut short = 0;
        for request in requests {
            match self.place_in_room_of(&job, group, &request) {
                Ok(placement) => {
                    if let Some(desired) = self
                        .plan
                        .annotations
                        .get_mut(&group.name)
                        .filter(|_| job.kind == drover_model::JobType::System && request.stop.is_none())
                    {
                        desired.place += 1;
                    }
                    self.commit(placement, request);
                }
                Err(metrics) if metrics.nodes_exhausted == 0 => {
                    filtered.nodes_evaluated += metrics.nodes_evaluated;
                    filtered.nodes_filtered += metrics.nodes_filtered;
                    for (reason, count) in metrics.constraint_filtered {
                        *filtered.constraint_filtered.entry(reason).or_default() += count;
                    }
                    for (class, count) in metrics.class_filtered {
                        *filtered.class_filtered.entry(class).or_default() += count;
                    }
                }
                Err(metrics) => {
                    short += 1;
                    match self.failed_groups.get_mut(&group.name) {
                        Some(failed) => failed.coalesced_failures += 1,
                        None => {
                            if let Some(row) = request.node.and_then(|slot| self.state.node_at(slot)) {
                                self.short_nodes.push(row.node.id);
                            }
                            self.failed_groups.insert(group.name.clone(), *metrics);
                        }
                    }
                }
            }
        }
        *self.queued.entry(group.name.clone()).or_default() += short;
        let runs =
            self.plan.annotations.get(&group.name).is_some_and(|desired| desired.place + desired.ignore + desired.in_place_update > 0)
                || self.plan.placements.iter().any(|placement| *placement.group == *group.name);
        if filtered.nodes_filtered > 0 && !runs && !self.failed_groups.contains_key(&group.name) {
            self.failed_groups.insert(group.name.clone(), filtered);
        }
    }

    /// Shows a group that gets nothing.
    pub(crate) fn wants_nothing(&mut self, group: &str) {
        self.queued.entry(group.to_owned()).or_default();
    }

    pub(crate) fn successor(&mut self, trigger: Trigger) -> Evaluation {
        let id = EvalId::from_random(self.context.rng.next_u128());
        let from = self.eval;
        let mut eval = Evaluation::new(id, from.job_id.clone(), from.kind, from.priority, trigger, self.context.now);
        eval.job_modify_index = from.job_modify_index;
        eval.previous_eval = Some(from.id);
        eval
    }

    pub(crate) fn finish(mut self, followups: Vec<Evaluation>) -> Outcome {
        let waits_for: Vec<Option<drover_base::NodeId>> = if crate::system::is(self.eval.kind) {
            self.short_nodes.drain(..).map(Some).collect()
        } else {
            (!self.failed_groups.is_empty()).then_some(None).into_iter().collect()
        };
        let mut blocked = Vec::new();
        for node_id in waits_for {
            let mut waiting = self.successor(Trigger::QueuedAllocs);
            if self.eval.status == EvalStatus::Blocked && node_id == self.eval.node_id {
                // It waits again under its own name.
                waiting = self.eval.clone();
            }
            waiting.status = EvalStatus::Blocked;
            waiting.status_description = BLOCKED_DESCRIPTION.to_owned();
            waiting.node_id = node_id;
            waiting.class_eligibility = if self.escaped { BTreeMap::new() } else { self.classes.clone() };
            waiting.escaped_computed_class = self.escaped;
            waiting.snapshot_index = self.state.index();
            waiting.queued = self.queued.clone();
            waiting.failed_groups = self.failed_groups.clone();
            blocked.push(waiting);
        }
        Outcome {
            plan: self.plan,
            failed_groups: self.failed_groups,
            queued: self.queued,
            blocked,
            followups,
            classes: if self.escaped { BTreeMap::new() } else { self.classes },
            escaped: self.escaped,
            ..Outcome::default()
        }
    }
}

struct Placed {
    candidate: Candidate,
    resources: AllocatedResources,
    group: String,
    metrics: PlacementMetrics,
}

/// What a group asks for before ports and cores are chosen.
fn demand(group: &TaskGroup) -> AllocatedResources {
    let tasks = group.tasks.iter().map(|task| {
        let asked = &task.resources;
        let allocated = AllocatedTask {
            cpu_mhz: asked.cpu,
            reserved_cores: Vec::new(),
            memory_mb: asked.memory_mb.saturating_add(asked.secrets_mb),
            memory_max_mb: asked.memory_max_mb,
            networks: Vec::new(),
        };
        (task.name.clone(), allocated)
    });
    let lifecycles = group.tasks.iter().filter_map(|task| Some((task.name.clone(), task.lifecycle.clone()?)));
    AllocatedResources {
        tasks: tasks.collect(),
        disk_mb: group.ephemeral_disk.size_mb,
        networks: Vec::new(),
        ports: Vec::new(),
        lifecycles: lifecycles.collect(),
    }
}

/// What the node gives the group, or what is short.
fn offer(
    group: &TaskGroup,
    demand: &AllocatedResources,
    candidate: &Candidate,
    usage: &Usage,
    rng: &mut Rng,
) -> Result<AllocatedResources, String> {
    let size = &candidate.row.node.resources;
    let mut given = demand.clone();
    let mut free_cores =
        size.reservable_cores.iter().copied().filter(|core| !usage.cores.contains_key(core) && !size.reserved_cores.contains(core));
    for task in &group.tasks {
        let wanted = task.resources.cores as usize;
        if wanted == 0 {
            continue;
        }
        let cores: Vec<u16> = free_cores.by_ref().take(wanted).collect();
        if cores.len() < wanted {
            return Err("cores".to_owned());
        }
        if let Some(allocated) = given.tasks.get_mut(&task.name) {
            let per_core = size.cpu_mhz / u32::from(size.cores_total.max(1));
            allocated.cpu_mhz = per_core.saturating_mul(task.resources.cores);
            allocated.reserved_cores = cores;
        }
    }
    if !group.networks.is_empty() {
        let (networks, mappings) = ports::assign(size, &group.networks, usage, rng).map_err(|misfit| match misfit {
            drover_state::Misfit::Port(0) => "network: dynamic port selection failed".to_owned(),
            misfit => misfit.text(),
        })?;
        given.networks = networks;
        given.ports = mappings;
    }
    fit(size, candidate.row.node.max_allocs, usage, &Ask::of(&given)).map_err(drover_state::Misfit::text)?;
    Ok(given)
}
