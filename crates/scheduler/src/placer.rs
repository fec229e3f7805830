//! Placing: which node each wanted allocation goes to, and what it is given there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::{AllocId, EvalId, NodeId, Rng};
use drover_model::{
    AllocatedResources, ClientStatus, EvalStatus, Evaluation, Job, JobId, JobType, Placement, PlacementMetrics, Plan, Preemption, Stop,
    TaskGroup, Trigger,
};
use drover_state::{Alloc, Ask, NodeRow, NodeSlot, Snapshot, Usage};

use crate::distinct::Live;
use crate::feasible::{Needs, belongs};
use crate::preempt::{self, Preemptor};
use crate::process::{Context, Outcome};
use crate::rank::Parts;
use crate::reconcile::PlaceRequest;
use crate::search::{Choice, InUse, Search};

/// Nodes up to which every placement says what became of each of them.
const EXPLAINED_NODES_MAX: usize = 64;
/// Placements of a group and evaluation up to which each says so; beyond, all share what the first one says.
const EXPLAINED_PLACEMENTS_MAX: usize = 16;
/// What a failed evaluation says when a placement found no node.
const BLOCKED_DESCRIPTION: &str = crate::conclude::NO_ROOM;
/// What the evaluation of a job that lost allocations says.
const PREEMPTED_DESCRIPTION: &str = "created for preemption";

/// Places a job's groups one request after another, counting what its own plan takes.
pub(crate) struct Placer<'a> {
    state: &'a Snapshot,
    eval: &'a Evaluation,
    context: &'a mut Context,
    job: Option<Arc<Job>>,
    pub(crate) plan: Plan,
    used: InUse,
    /// Allocations that the plan stops or evicts.
    leaving: BTreeSet<AllocId>,
    /// Victims by job and group.
    victims: BTreeMap<(JobId, String), u32>,
    failed_groups: BTreeMap<String, Box<PlacementMetrics>>,
    queued: BTreeMap<String, u32>,
    classes: BTreeMap<u64, bool>,
    escaped: bool,
    /// Nodes that a system job waits for.
    short_nodes: Vec<NodeId>,
    /// By group and shape, whether such nodes qualify; absent where single nodes decide.
    decided: RefCell<BTreeMap<(String, u64), Option<bool>>>,
}

/// A node with what it gives, and who has to go.
struct Placed {
    choice: Choice,
    resources: Arc<AllocatedResources>,
    victims: Vec<Arc<Alloc>>,
    /// Nodes where others would have given way.
    giving_way: Vec<Choice>,
}

impl<'a> Placer<'a> {
    pub(crate) fn new(state: &'a Snapshot, eval: &'a Evaluation, context: &'a mut Context, job: Option<Arc<Job>>) -> Self {
        let plan = Plan {
            all_at_once: job.as_ref().is_some_and(|job| job.all_at_once),
            job_version: job.as_ref().map_or(0, |job| job.version),
            job_create_index: job.as_ref().map_or(0, |job| job.create_index),
            ..Plan::new(eval.id, eval.job_id.clone(), eval.priority)
        };
        let mut used = InUse::default();
        if let Some(slot) = state.job_slot(&eval.job_id) {
            for alloc in state.allocs_of_job(slot).filter(|alloc| !alloc.client_terminal()) {
                count(&mut used, alloc, 1);
            }
        }
        Self {
            state,
            eval,
            context,
            job,
            plan,
            used,
            leaving: BTreeSet::new(),
            victims: BTreeMap::new(),
            failed_groups: BTreeMap::new(),
            queued: BTreeMap::new(),
            classes: BTreeMap::new(),
            escaped: false,
            short_nodes: Vec::new(),
            decided: RefCell::default(),
        }
    }

    pub(crate) fn stop(&mut self, alloc: &Alloc, description: &str, client_status: Option<ClientStatus>) {
        self.count_out(alloc);
        self.plan.stops.push(Stop { id: alloc.id, description: description.to_owned(), client_status, followup_eval: None });
    }

    fn usage_mut(&mut self, slot: NodeSlot) -> Option<&mut Usage> {
        let row = self.state.node_at(slot)?;
        Some(self.used.touched.entry(slot).or_insert_with(|| row.held.clone()))
    }

    /// Frees what an allocation holds; one that the servers stopped before frees it when its node says so.
    fn count_out(&mut self, alloc: &Alloc) {
        self.leaving.insert(alloc.id);
        if !alloc.client_terminal()
            && let Some(usage) = self.usage_mut(alloc.node_slot)
        {
            usage.remove(&Ask::of(&alloc.resources));
        }
        count(&mut self.used, alloc, -1);
    }

    /// Takes [`Self::count_out`] back.
    fn count_in(&mut self, alloc: &Alloc) {
        self.leaving.remove(&alloc.id);
        if !alloc.client_terminal()
            && let Some(usage) = self.usage_mut(alloc.node_slot)
        {
            usage.add(&Ask::of(&alloc.resources));
        }
        count(&mut self.used, alloc, 1);
    }

    /// Whether an allocation may be changed to the newest version where it runs (REC-049).
    pub(crate) fn fits_in_place(&self, alloc: &Alloc) -> bool {
        let Some((job, row)) = self.job.as_ref().zip(self.state.node_at(alloc.node_slot)) else { return false };
        let Some(group) = job.group(alloc.group_name()) else { return false };
        belongs(job, &row.node) && Needs::new(job, group).excluded(&row.node, alloc.index).is_none()
    }

    /// Whether a node qualifies for a group, room aside.
    pub(crate) fn qualifies(&self, group: &TaskGroup, slot: NodeSlot) -> bool {
        let Some((job, row)) = self.job.as_ref().zip(self.state.node_at(slot)) else { return false };
        let key = (group.name.clone(), row.position.shape());
        let mut decided = self.decided.borrow_mut();
        let by_shape = decided.entry(key).or_insert_with(|| {
            let needs = Needs::new(job, group);
            (!needs.escape()).then(|| needs.excluded_by_shape(&row.node, 0).is_none())
        });
        by_shape.unwrap_or_else(|| Needs::new(job, group).excluded(&row.node, 0).is_none())
    }

    /// Counts placements that are wanted and not tried.
    pub(crate) fn wants_more(&mut self, group: &str, more: u32) {
        *self.queued.entry(group.to_owned()).or_default() += more;
    }

    /// Shows a group that gets nothing.
    pub(crate) fn wants_nothing(&mut self, group: &str) {
        self.queued.entry(group.to_owned()).or_default();
    }

    pub(crate) fn place_all(&mut self, newest: &TaskGroup, requests: Vec<PlaceRequest>) {
        let Some(newest_job) = self.job.clone() else { return };
        self.wants_nothing(&newest.name);
        let explained = requests.len() <= EXPLAINED_PLACEMENTS_MAX;
        let mut waiting = requests.into_iter().peekable();
        while let Some(version) = waiting.peek().map(|request| request.job_version) {
            let run: Vec<PlaceRequest> = std::iter::from_fn(|| waiting.next_if(|request| request.job_version == version)).collect();
            let row = version.and_then(|version| self.state.job(&self.eval.job_id)?.version(version).cloned());
            let job = row.map_or_else(|| Arc::clone(&newest_job), |row| row.job);
            if let Some(group) = job.group(&newest.name) {
                self.place_run(&job, group, run, explained);
            }
        }
    }

    /// Places what is to run one version of the job.
    fn place_run(&mut self, job: &Job, group: &TaskGroup, requests: Vec<PlaceRequest>, explained: bool) {
        let Some(first) = requests.first() else { return };
        let mut search = Search::new(self.state, job, group, first.index, &self.used);
        let explained = explained && search.nodes() <= EXPLAINED_NODES_MAX;
        let name: Arc<str> = Arc::from(group.name.as_str());
        let mut shared: Option<Arc<PlacementMetrics>> = None;
        self.note_classes(&search);
        for request in requests {
            if let Some(failed) = self.failed_groups.get_mut(&group.name) {
                failed.coalesced_failures += 1;
                exhaust(failed, group);
                *self.queued.entry(group.name.clone()).or_default() += 1;
                continue;
            }
            if search.depends_on_index() {
                search = Search::new(self.state, job, group, request.index, &self.used);
            }
            if let Err(mut metrics) = self.place_one(job, group, &name, &mut search, request, explained, &mut shared) {
                exhaust(&mut metrics, group);
                *self.queued.entry(group.name.clone()).or_default() += 1;
                self.failed_groups.insert(group.name.clone(), metrics);
            }
        }
    }

    /// Places each request on the node that it names. A node that does not qualify is nobody's fault, unless the group
    /// runs nowhere; the first without room is waited for (SYS-005…007).
    pub(crate) fn place_on_nodes(&mut self, group: &TaskGroup, requests: Vec<PlaceRequest>) {
        let Some(job) = self.job.clone() else { return };
        let Some(first) = requests.first() else { return };
        let mut search = Search::new(self.state, &job, group, first.index, &self.used);
        self.note_classes(&search);
        let name: Arc<str> = Arc::from(group.name.as_str());
        let explained = requests.len() <= EXPLAINED_PLACEMENTS_MAX;
        let mut shared = None;
        let mut filtered = PlacementMetrics::default();
        let mut short = 0;
        for request in requests {
            if search.depends_on_index() {
                search = Search::new(self.state, &job, group, request.index, &self.used);
            }
            let (node, fresh) = (request.node, request.stop.is_none());
            match self.place_one(&job, group, &name, &mut search, request, explained, &mut shared) {
                Ok(()) => {
                    let desired = self.plan.annotations.get_mut(&group.name);
                    if let Some(desired) = desired.filter(|_| job.kind == JobType::System && fresh) {
                        desired.place += 1;
                    }
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
                Err(mut metrics) => {
                    short += 1;
                    if let Some(failed) = self.failed_groups.get_mut(&group.name) {
                        failed.coalesced_failures += 1;
                        exhaust(failed, group);
                        continue;
                    }
                    if let Some(row) = node.and_then(|slot| self.state.node_at(slot)) {
                        self.short_nodes.push(row.node.id);
                    }
                    exhaust(&mut metrics, group);
                    self.failed_groups.insert(group.name.clone(), metrics);
                }
            }
        }
        *self.queued.entry(group.name.clone()).or_default() += short;
        let desired = self.plan.annotations.get(&group.name);
        let runs = desired.is_some_and(|desired| desired.place + desired.ignore + desired.in_place_update > 0)
            || self.plan.placements.iter().any(|placement| *placement.group == *group.name);
        if filtered.nodes_filtered > 0 && !runs && !self.failed_groups.contains_key(&group.name) {
            self.failed_groups.insert(group.name.clone(), Box::new(filtered));
        }
    }

    /// Places one allocation, or says what became of each node.
    #[expect(clippy::too_many_arguments, reason = "what one run of placements shares")]
    fn place_one(
        &mut self,
        job: &Job,
        group: &TaskGroup,
        name: &Arc<str>,
        search: &mut Search<'_>,
        request: PlaceRequest,
        explained: bool,
        shared: &mut Option<Arc<PlacementMetrics>>,
    ) -> Result<(), Box<PlacementMetrics>> {
        let replaced = request.stop.as_ref().map(|(alloc, _)| Arc::clone(alloc));
        if let Some(alloc) = &replaced {
            // Its room is free for its own replacement, and for others once that is placed (SCH-093).
            self.count_out(alloc);
            self.moved(search, alloc, group, -1);
        }
        let failed_on = self.failed_on(&request);
        let placed = self.find(job, group, search, &request, &failed_on);
        let sticky = self.sticks(job, group, &request);
        let only = request.node.or_else(|| sticky.filter(|slot| placed.as_ref().is_some_and(|placed| placed.choice.slot == *slot)));
        let Some(placed) = placed else {
            let metrics = search.explain(only, &self.used, &failed_on, &[]);
            if let Some(alloc) = &replaced {
                // It runs on (SCH-094).
                self.count_in(alloc);
                self.moved(search, alloc, group, 1);
            }
            return Err(Box::new(metrics));
        };
        let metrics = if explained {
            let mut metrics = search.explain(only, &self.used, &failed_on, &placed.giving_way);
            self.show_choice(&mut metrics, &placed);
            Arc::new(metrics)
        } else {
            let summary = || {
                let mut metrics = search.summary();
                self.show_choice(&mut metrics, &placed);
                Arc::new(metrics)
            };
            Arc::clone(shared.get_or_insert_with(summary))
        };
        let slot = placed.choice.slot;
        let id = AllocId::from_random(self.context.rng.next_u128());
        for victim in &placed.victims {
            self.evict(victim, id, group);
            if victim.job.id == job.id {
                self.moved(search, victim, group, -1);
            }
        }
        if let Some(usage) = self.usage_mut(slot) {
            usage.add(&Ask::of(&placed.resources));
        }
        for counts in [&mut self.used.held, &mut self.used.live] {
            *group_of(counts, &group.name).entry(slot).or_default() += 1;
        }
        search.count(slot, true, 1);
        search.settle(slot, &self.used);
        if let Some((alloc, description)) = &request.stop {
            self.plan.stops.push(Stop { id: alloc.id, description: (*description).to_owned(), client_status: None, followup_eval: None });
        }
        let node_id = self.state.node_at(slot).map_or_else(Default::default, |row| row.node.id);
        self.plan.placements.push(Placement {
            id,
            group: Arc::clone(name),
            index: request.index,
            node_id,
            resources: placed.resources,
            previous: request.previous.filter(|_| request.link).map(|alloc| alloc.id),
            reschedules: request.reschedules,
            canary: request.canary,
            job_version: request.job_version,
            metrics,
        });
        Ok(())
    }

    /// Tells the search that an allocation of the job was counted in or out.
    fn moved(&self, search: &mut Search<'_>, alloc: &Alloc, group: &TaskGroup, by: i64) {
        if !alloc.terminal() {
            search.count(alloc.node_slot, alloc.group_name() == group.name, by);
        }
        search.settle(alloc.node_slot, &self.used);
    }

    /// The nodes where what is replaced failed, now and before (SCH-035).
    fn failed_on(&self, request: &PlaceRequest) -> BTreeSet<NodeSlot> {
        // Where there is no choice, nothing is held against a node.
        let Some(previous) = request.previous.as_ref().filter(|_| request.node.is_none()) else { return BTreeSet::new() };
        let before = previous.rare.reschedules.iter().flat_map(|events| events.iter());
        let before = before.filter_map(|event| self.state.node_slot(event.previous_node));
        let now = (previous.client_status == ClientStatus::Failed).then_some(previous.node_slot);
        before.chain(now).collect()
    }

    /// The node that keeps the data of what is replaced, if the job is still meant to run there (SCH-095).
    fn sticks(&self, job: &Job, group: &TaskGroup, request: &PlaceRequest) -> Option<NodeSlot> {
        let previous = request.previous.as_ref()?;
        let keeps = group.ephemeral_disk.sticky || group.ephemeral_disk.migrate;
        let same_place = previous.job.datacenters == job.datacenters && previous.job.node_pool == job.node_pool;
        (keeps && same_place).then_some(previous.node_slot)
    }

    fn find(
        &mut self,
        job: &Job,
        group: &TaskGroup,
        search: &mut Search<'_>,
        request: &PlaceRequest,
        failed_on: &BTreeSet<NodeSlot>,
    ) -> Option<Placed> {
        if let Some(slot) = request.node {
            let choice = search.only(slot, &self.used, failed_on);
            return choice.and_then(|choice| self.take(search, choice)).or_else(|| self.preempt(job, search, Some(slot), failed_on));
        }
        if let Some(choice) = self.sticks(job, group, request).and_then(|slot| search.only(slot, &self.used, failed_on)) {
            return self.take(search, choice);
        }
        let choice = search.choose(&self.used, failed_on);
        choice.and_then(|choice| self.take(search, choice)).or_else(|| self.preempt(job, search, None, failed_on))
    }

    fn take(&mut self, search: &Search<'_>, choice: Choice) -> Option<Placed> {
        let row = self.state.node_at(choice.slot)?;
        let usage = self.used.touched.get(&choice.slot).unwrap_or(&row.held);
        let resources = search.demand.give(&row.node, usage, search.oversubscribed, &mut self.context.rng).ok()?;
        Some(Placed { choice, resources, victims: Vec::new(), giving_way: Vec::new() })
    }

    /// A node where lesser jobs give way, if settings allow that for jobs of this kind (SCH-080).
    fn preempt(&mut self, job: &Job, search: &mut Search<'_>, only: Option<NodeSlot>, failed_on: &BTreeSet<NodeSlot>) -> Option<Placed> {
        if !self.state.scheduler_config().preempts(job.kind) {
            return None;
        }
        let candidates: Vec<(NodeSlot, Arc<NodeRow>)> = search
            .candidates()
            .filter(|(slot, _)| only.is_none_or(|only| only == *slot) && search.qualifies(*slot, &self.used))
            .map(|(slot, row)| (slot, Arc::clone(row)))
            .collect();
        let preemptor = Preemptor { job: &job.id, priority: job.priority, leaving: &self.leaving, victims: &self.victims };
        let mut best: Option<(f64, Placed)> = None;
        let mut giving_way = Vec::new();
        for (slot, row) in candidates {
            let usage = self.used.touched.get(&slot).unwrap_or(&row.held);
            // What leaves with a plan in flight cannot make room twice.
            let staying = self.state.allocs_of_node(slot).filter(|alloc| !self.state.leaves(alloc.id));
            let Some((for_ports, for_room)) = preemptor.victims(&row.node, staying, usage, &search.demand) else { continue };
            let mut usage = usage.clone();
            for victim in &for_ports {
                usage.remove(&Ask::of(&victim.resources));
            }
            let Some(parts) = search.score_full(slot, &usage, &self.used, failed_on) else { continue };
            for victim in &for_room {
                usage.remove(&Ask::of(&victim.resources));
            }
            let victims = [for_ports, for_room].concat();
            let Ok(resources) = search.demand.give(&row.node, &usage, search.oversubscribed, &mut Rng::new(slot.number().into())) else {
                continue;
            };
            let counts = !victims.is_empty() && !matches!(job.kind, JobType::System | JobType::Sysbatch);
            let preemption = counts.then(|| preempt::score(victims.iter().map(|victim| victim.job.priority)));
            let parts = Parts { preemption, ..parts };
            giving_way.push(Choice { slot, parts });
            let total = parts.total();
            let wins = best.as_ref().is_none_or(|(score, placed)| total > *score || (total == *score && slot < placed.choice.slot));
            if wins {
                best = Some((total, Placed { choice: Choice { slot, parts }, resources, victims, giving_way: Vec::new() }));
            }
        }
        best.map(|(_, placed)| Placed { giving_way, ..placed })
    }

    fn evict(&mut self, victim: &Alloc, by: AllocId, group: &TaskGroup) {
        self.count_out(victim);
        *self.victims.entry((victim.job.id.clone(), victim.group_name().to_owned())).or_default() += 1;
        self.plan.preemptions.push(Preemption { id: victim.id, by });
        if !matches!(self.eval.kind, JobType::System | JobType::Sysbatch) {
            self.plan.annotations.entry(group.name.clone()).or_default().preemptions += 1;
        }
        if !self.plan.evals.iter().any(|eval| eval.job_id == victim.job.id) {
            let id = EvalId::from_random(self.context.rng.next_u128());
            let job = &victim.job;
            let mut eval = Evaluation::new(id, job.id.clone(), job.kind, job.priority, Trigger::Preemption, self.context.now);
            PREEMPTED_DESCRIPTION.clone_into(&mut eval.status_description);
            self.plan.evals.push(eval);
        }
    }

    /// The score of the chosen node, unless it is among those shown.
    fn show_choice(&self, metrics: &mut PlacementMetrics, placed: &Placed) {
        let Some(row) = self.state.node_at(placed.choice.slot) else { return };
        let shown = placed.choice.parts.shown(row.node.id);
        if !metrics.scores.iter().any(|score| score.node_id == shown.node_id) {
            metrics.scores.insert(0, shown);
        }
    }

    fn note_classes(&mut self, search: &Search<'_>) {
        self.escaped |= search.escaped();
        for (class, fit) in search.classes() {
            *self.classes.entry(class).or_default() |= fit;
        }
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
        let classes = if self.escaped { BTreeMap::new() } else { std::mem::take(&mut self.classes) };
        let waits_for: Vec<Option<NodeId>> = if crate::system::is(self.eval.kind) {
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
            waiting.class_eligibility = class_texts(&classes);
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
            classes,
            escaped: self.escaped,
            ..Outcome::default()
        }
    }
}

/// Computed classes as the API shows them.
pub(crate) fn class_texts(classes: &BTreeMap<u64, bool>) -> BTreeMap<String, bool> {
    classes.iter().map(|(class, fit)| (format!("v1:{class}"), *fit)).collect()
}

/// Adds what another allocation of the group asks for of the dimensions that ran out.
fn exhaust(metrics: &mut PlacementMetrics, group: &TaskGroup) {
    let short = |dimension: &str| metrics.dimension_exhausted.contains_key(dimension);
    let (cpu, memory) = (short("cpu"), short("memory"));
    if !cpu && !memory {
        return;
    }
    let sums = metrics.resources_exhausted.get_or_insert_default();
    for task in &group.tasks {
        let sum = sums.entry(task.name.clone()).or_default();
        sum.cpu_mhz += if cpu { task.resources.cpu } else { 0 };
        sum.memory_mb += if memory { task.resources.memory_mb } else { 0 };
    }
}

/// Counts an allocation of the job in or out.
fn count(used: &mut InUse, alloc: &Alloc, by: i32) {
    let counted = [(!alloc.client_terminal(), &mut used.held), (!alloc.terminal(), &mut used.live)];
    for (_, counts) in counted.into_iter().filter(|(counts, _)| *counts) {
        let count = group_of(counts, alloc.group_name()).entry(alloc.node_slot).or_default();
        *count = count.saturating_add_signed(by);
    }
}

fn group_of<'a>(live: &'a mut Live, group: &str) -> &'a mut BTreeMap<NodeSlot, u32> {
    // Looked up first: a name is copied once per group.
    if !live.contains_key(group) {
        live.insert(group.to_owned(), BTreeMap::new());
    }
    live.get_mut(group).expect("it was just put in")
}
