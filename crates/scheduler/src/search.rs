//! Finding the best node for a group, one placement after another.
//!
//! Every feasible node is considered, but few are looked at. Nodes that no allocation of the group is on lie in the index
//! over free capacity ([`drover_state::Shape`]) and are found there by how well they pack. Nodes that hold some are kept in
//! order of packing and anti-affinity together. Both are split into buckets whose nodes get the same from affinities and
//! spreads, so that the best node of all is the best over the buckets, and a placement changes the position of one node.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::Rng;
use drover_model::{Job, Node, PlacementMetrics, SchedulerAlgorithm, TaskGroup};
use drover_state::{Asked, Found, NodeRow, NodeSlot, Room, Shape, Snapshot, Usage, packing, packing_over};

use crate::distinct::{Distinct, Live};
use crate::feasible::{NO_VOLUME, Needs, candidate_shapes};
use crate::offer::{Demand, Short};
use crate::rank::{Affinities, Ordered, Parts, anti_affinity};
use crate::spread::{Spreads, ValueId};

/// Nodes whose scores are kept with an allocation (SCH-011).
const SCORES_KEPT: usize = 5;

/// What a plan leaves in use.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    /// Of the nodes that it touches; stopping allocations still hold their room (SCH-046).
    pub(crate) touched: BTreeMap<NodeSlot, Usage>,
    /// Allocations of the job that hold room, by group and node.
    pub(crate) held: Live,
    /// The same without those that the servers have stopped.
    pub(crate) live: Live,
}

/// Nodes of a shape among the candidates.
struct Member {
    shape: Arc<Shape>,
    bucket: usize,
    ask: Room,
    /// The best node that none of the group is on, once it has been looked for.
    best: Option<Found>,
    /// No such node packs better than this.
    bound: f64,
}

/// Nodes that get the same from affinities and spreads.
struct Bucket {
    values: Vec<Option<ValueId>>,
    affinity: Option<f64>,
    members: Vec<usize>,
    /// Nodes that hold some of the group and have room, by packing and anti-affinity together.
    shared: BTreeSet<(Ordered, Reverse<NodeSlot>)>,
}

/// A node that was chosen, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) slot: NodeSlot,
    pub(crate) parts: Parts,
}

/// Decided for all nodes of a shape.
struct Decision {
    id: u64,
    shape: Arc<Shape>,
    class: u64,
    why: Option<String>,
}

/// The candidates of a group under one version of its job.
pub(crate) struct Search<'a> {
    state: &'a Snapshot,
    job: &'a Job,
    group: &'a TaskGroup,
    algorithm: SchedulerAlgorithm,
    pub(crate) oversubscribed: bool,
    needs: Needs<'a>,
    affinities: Affinities,
    pub(crate) demand: Demand,
    spreads: Spreads,
    distinct: Distinct,
    decisions: Vec<Decision>,
    members: Vec<Member>,
    by_shape: BTreeMap<u64, usize>,
    /// Where the shape does not say which member a node belongs to.
    by_slot: Option<BTreeMap<NodeSlot, usize>>,
    buckets: Vec<Bucket>,
    /// Nodes that are not in the index: those with some of the group, with their position if they have room.
    shared: BTreeMap<NodeSlot, Option<Ordered>>,
    /// Free capacity under which nodes are in the index, where it is not what the state says.
    moved: BTreeMap<NodeSlot, Room>,
    index: u32,
}

impl<'a> Search<'a> {
    /// The candidates for the allocation of this number, given what the plan has done so far.
    pub(crate) fn new(state: &'a Snapshot, job: &'a Job, group: &'a TaskGroup, index: u32, used: &InUse) -> Self {
        let config = state.scheduler_config();
        let pool = state.node_pool(&job.node_pool);
        let mut search = Self {
            state,
            job,
            group,
            algorithm: pool.map_or(config.scheduler_algorithm, |pool| pool.algorithm(config)),
            oversubscribed: pool.map_or(config.memory_oversubscription_enabled, |pool| pool.oversubscribes(config)),
            needs: Needs::new(job, group),
            affinities: Affinities::new(job, group),
            demand: Demand::new(group),
            spreads: Spreads::new(job, group),
            distinct: Distinct::new(state, job, group, &used.live),
            decisions: Vec::new(),
            members: Vec::new(),
            by_shape: BTreeMap::new(),
            by_slot: None,
            buckets: Vec::new(),
            shared: BTreeMap::new(),
            moved: BTreeMap::new(),
            index,
        };
        search.gather();
        for (slot, count) in used.live.get(&group.name).into_iter().flatten().filter(|(_, count)| **count > 0) {
            if let Some(row) = state.node_at(*slot) {
                search.spreads.count(&row.node, i64::from(*count));
            }
        }
        for slot in used.touched.keys() {
            search.settle(*slot, used);
        }
        let held = used.held.iter().filter(|(name, _)| search.distinct.hosts_of_job || **name == group.name);
        let held: BTreeSet<NodeSlot> =
            held.flat_map(|(_, nodes)| nodes.iter()).filter(|(_, count)| **count > 0).map(|(slot, _)| *slot).collect();
        for slot in held {
            search.settle(slot, used);
        }
        search
    }

    /// Sorts the nodes that may run the group at all into members and buckets.
    fn gather(&mut self) {
        let alone = self.affinities.is_unique() || self.spreads.is_unique() || self.distinct.has_unique_property();
        let escape = self.needs.escape();
        let mut keys: BTreeMap<(Vec<Option<ValueId>>, Option<u64>), usize> = BTreeMap::new();
        if alone || escape {
            self.by_slot = Some(BTreeMap::new());
        }
        for (id, shape) in candidate_shapes(self.state, self.job) {
            let why = self.needs.excluded_by_shape(shape.node(), self.index);
            let qualifies = why.is_none();
            self.decisions.push(Decision { id, shape: Arc::clone(shape), class: shape.class(), why });
            if !qualifies {
                continue;
            }
            if self.by_slot.is_none() {
                self.by_shape.insert(id, self.members.len());
                self.member(Arc::clone(shape), &mut keys);
                continue;
            }
            let qualifying = |slot: &NodeSlot| {
                let row = self.state.node_at(*slot)?;
                (!escape || self.needs.excluded(&row.node, self.index).is_none()).then_some((*slot, row))
            };
            let nodes: Vec<(NodeSlot, &Arc<NodeRow>)> = shape.slots().filter_map(|slot| qualifying(&slot)).collect();
            let mut together = Shape::empty(Arc::clone(shape.node()), shape.class());
            for (slot, row) in nodes {
                let free = Room::of(&row.node.resources).free(&row.held);
                let member = self.members.len();
                if alone {
                    let mut own = Shape::empty(Arc::clone(&row.node), row.class);
                    own.insert(slot, free);
                    self.member(Arc::new(own), &mut keys);
                } else {
                    together.insert(slot, free);
                }
                self.by_slot.get_or_insert_default().insert(slot, member);
            }
            if !together.is_empty() {
                self.member(Arc::new(together), &mut keys);
            }
        }
    }

    fn member(&mut self, shape: Arc<Shape>, keys: &mut BTreeMap<(Vec<Option<ValueId>>, Option<u64>), usize>) {
        let values = self.spreads.values(shape.node());
        let affinity = self.affinities.of(shape.node());
        // Most groups have neither affinities nor spreads: all nodes are alike.
        let bucket = if values.is_empty() && affinity.is_none() {
            0
        } else {
            *keys.entry((values.clone(), affinity.map(f64::to_bits))).or_insert(self.buckets.len())
        };
        if bucket == self.buckets.len() {
            self.buckets.push(Bucket { values, affinity, members: Vec::new(), shared: BTreeSet::new() });
        }
        self.buckets[bucket].members.push(self.members.len());
        let ask = self.demand.room(shape.node());
        self.members.push(Member { shape, bucket, ask, best: None, bound: f64::INFINITY });
    }

    fn member_of(&self, slot: NodeSlot, row: &NodeRow) -> Option<usize> {
        match &self.by_slot {
            Some(by_slot) => by_slot.get(&slot).copied(),
            None => self.by_shape.get(&row.position.shape()).copied().filter(|_| row.ready()),
        }
    }

    /// Brings a node to its place after what is in use there, or how many of the job are there, has changed.
    pub(crate) fn settle(&mut self, slot: NodeSlot, used: &InUse) {
        let Some(row) = self.state.node_at(slot) else { return };
        let Some(number) = self.member_of(slot, row) else { return };
        let size = Room::of(&row.node.resources);
        let member = &mut self.members[number];
        let bucket = &mut self.buckets[member.bucket];
        match self.shared.remove(&slot) {
            Some(Some(position)) => {
                bucket.shared.remove(&(position, Reverse(slot)));
            }
            Some(None) => {}
            None => {
                let free = self.moved.remove(&slot).unwrap_or_else(|| size.free(&row.held));
                Arc::make_mut(&mut member.shape).remove(slot, free);
                member.best = None;
            }
        }
        let usage = used.touched.get(&slot).unwrap_or(&row.held);
        let collisions = used.held.get(&self.group.name).and_then(|nodes| nodes.get(&slot)).copied().unwrap_or(0);
        if self.distinct.hosts() && self.distinct.host_taken(&used.held, &self.group.name, slot) {
            self.shared.insert(slot, None);
            return;
        }
        let free = size.free(usage);
        let Some(penalty) = anti_affinity(collisions, self.group.count) else {
            Arc::make_mut(&mut member.shape).insert(slot, free);
            self.moved.insert(slot, free);
            (member.best, member.bound) = (None, f64::INFINITY);
            return;
        };
        let fits = self.demand.check(&row.node, usage, &mut Rng::new(0)).is_ok();
        let position = fits.then(|| Ordered(packing(self.algorithm, size, free, member.ask) + penalty));
        if let Some(position) = position {
            bucket.shared.insert((position, Reverse(slot)));
        }
        self.shared.insert(slot, position);
    }

    /// Counts an allocation of the job on a node in or out.
    pub(crate) fn count(&mut self, slot: NodeSlot, same_group: bool, by: i64) {
        let Some(row) = self.state.node_at(slot) else { return };
        self.distinct.count(&row.node, same_group, by);
        if same_group {
            self.spreads.count(&row.node, by);
        }
    }

    /// The best node; those where the allocation failed before get a penalty.
    pub(crate) fn choose(&mut self, used: &InUse, failed_on: &BTreeSet<NodeSlot>) -> Option<Choice> {
        self.spreads.refresh();
        let mut best: Option<(f64, Choice)> = None;
        for number in 0..self.buckets.len() {
            let bucket = &self.buckets[number];
            let alike = Parts { affinity: bucket.affinity, spread: self.spreads.boost(&bucket.values), ..Parts::default() };
            if let Some(found) = self.best_shared(number, failed_on) {
                let parts = self.parts_of(found, used, alike);
                take(&mut best, found, parts);
            }
            // What packing must exceed for the mean to exceed the best so far.
            let floor = best.as_ref().map_or(f64::NEG_INFINITY, |(total, _)| {
                let without = Parts { packing: 0.0, ..alike };
                let parts = 1.0 + f64::from(u8::from(alike.affinity.is_some())) + f64::from(u8::from(alike.spread != 0.0));
                // A little less, so that rounding hides nobody.
                (total - without.total()) * parts - 1e-12
            });
            if let Some(found) = self.best_alone(number, floor, used, failed_on) {
                take(&mut best, found.slot, Parts { packing: found.packing, ..alike });
            }
        }
        for slot in failed_on {
            if let Some(parts) = self.parts(*slot, used)
                && self.check(*slot, used).is_ok()
            {
                take(&mut best, *slot, Parts { penalty: true, ..parts });
            }
        }
        best.map(|(_, choice)| choice)
    }

    /// The best node of a bucket that holds some of the group.
    fn best_shared(&self, bucket: usize, failed_on: &BTreeSet<NodeSlot>) -> Option<NodeSlot> {
        let nodes = self.buckets[bucket].shared.iter().rev().map(|(_, Reverse(slot))| *slot);
        let taken = |slot: NodeSlot| {
            !self.distinct.properties.is_empty()
                && self.state.node_at(slot).is_some_and(|row| self.distinct.property_taken(&row.node).is_some())
        };
        nodes.filter(|slot| !failed_on.contains(slot)).find(|slot| !taken(*slot))
    }

    /// The best node of a bucket that holds none of the group, if its packing is above `floor`.
    fn best_alone(&mut self, bucket: usize, floor: f64, used: &InUse, failed_on: &BTreeSet<NodeSlot>) -> Option<Found> {
        let (state, demand, algorithm, distinct) = (self.state, &self.demand, self.algorithm, &self.distinct);
        let mut scratch = Rng::new(0);
        let mut accept = |slot: NodeSlot| {
            let Some(row) = state.node_at(slot) else { return false };
            let usage = used.touched.get(&slot).unwrap_or(&row.held);
            !failed_on.contains(&slot) && demand.check(&row.node, usage, &mut scratch).is_ok()
        };
        let members = &mut self.members;
        let open = |member: &Member| distinct.properties.is_empty() || distinct.property_taken(member.shape.node()).is_none();
        let (mut floor, mut best) = (floor, None);
        let numbers = &self.buckets[bucket].members;
        for number in numbers {
            let member = &members[*number];
            if let Some(found) = member.best
                && found.packing > floor
                && !failed_on.contains(&found.slot)
                && open(member)
            {
                (floor, best) = (found.packing, Some(found));
            }
        }
        let mut asked = Asked::new(Room::default(), Room::default());
        for number in numbers {
            let member = &mut members[*number];
            let known = member.best.is_some_and(|found| !failed_on.contains(&found.slot));
            if known || member.bound <= floor || !open(member) {
                continue;
            }
            let size = member.shape.size();
            if !asked.is(member.ask, size) {
                asked = Asked::new(member.ask, size);
            }
            let found = member.shape.best(algorithm, &asked, floor, &mut accept);
            if let Some(found) = found {
                (floor, best) = (found.packing, Some(found));
            }
            // Without the nodes to avoid, what was found says nothing about the rest.
            if failed_on.is_empty() {
                member.best = found;
                member.bound = member.bound.min(found.map_or(floor, |found| found.packing));
            }
        }
        best
    }

    /// Whether the node is a candidate with room, and if not, what is short; nothing if it is no candidate.
    fn check(&self, slot: NodeSlot, used: &InUse) -> Result<(), Option<Short>> {
        let row = self.state.node_at(slot).ok_or(None)?;
        self.member_of(slot, row).ok_or(None)?;
        if self.distinct_taken(slot, row, used).is_some() {
            return Err(None);
        }
        let usage = used.touched.get(&slot).unwrap_or(&row.held);
        self.demand.check(&row.node, usage, &mut Rng::new(0)).map_err(Some)
    }

    fn distinct_taken(&self, slot: NodeSlot, row: &NodeRow, used: &InUse) -> Option<String> {
        if self.distinct.hosts() && self.distinct.host_taken(&used.held, &self.group.name, slot) {
            return Some("distinct_hosts".to_owned());
        }
        self.distinct.property_taken(&row.node)
    }

    /// A node that must be taken or none, with its score.
    pub(crate) fn only(&mut self, slot: NodeSlot, used: &InUse, failed_on: &BTreeSet<NodeSlot>) -> Option<Choice> {
        self.spreads.refresh();
        self.check(slot, used).ok()?;
        let parts = self.parts(slot, used)?;
        Some(Choice { slot, parts: Parts { penalty: failed_on.contains(&slot), ..parts } })
    }

    /// The parts of a candidate's score with what is in use there, but for the penalty.
    fn parts(&self, slot: NodeSlot, used: &InUse) -> Option<Parts> {
        let row = self.state.node_at(slot)?;
        let bucket = &self.buckets[self.members[self.member_of(slot, row)?].bucket];
        let alike = Parts { affinity: bucket.affinity, spread: self.spreads.boost(&bucket.values), ..Parts::default() };
        Some(self.parts_of(slot, used, alike))
    }

    fn parts_of(&self, slot: NodeSlot, used: &InUse, alike: Parts) -> Parts {
        let Some(row) = self.state.node_at(slot) else { return alike };
        let (node, usage) = (&row.node, used.touched.get(&slot).unwrap_or(&row.held));
        let size = Room::of(&node.resources);
        let collisions = used.held.get(&self.group.name).and_then(|nodes| nodes.get(&slot)).copied().unwrap_or(0);
        Parts {
            packing: packing(self.algorithm, size, size.free(usage), self.demand.room(node)),
            anti_affinity: anti_affinity(collisions, self.group.count),
            ..alike
        }
    }

    /// Candidates that have no room, for preemption, with the score they would have beside `usage`.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (NodeSlot, &Arc<NodeRow>)> {
        let slots = self.members.iter().flat_map(|member| member.shape.slots()).chain(self.shared.keys().copied());
        slots.filter_map(|slot| Some((slot, self.state.node_at(slot)?)))
    }

    /// Whether a node may run the group, leaving room aside.
    pub(crate) fn qualifies(&self, slot: NodeSlot, used: &InUse) -> bool {
        let row = self.state.node_at(slot);
        row.is_some_and(|row| self.member_of(slot, row).is_some() && self.distinct_taken(slot, row, used).is_none())
    }

    /// The score of a candidate that has no room, with all that is in use there, also what has to go.
    pub(crate) fn score_full(&mut self, slot: NodeSlot, usage: &Usage, used: &InUse, failed_on: &BTreeSet<NodeSlot>) -> Option<Parts> {
        self.spreads.refresh();
        let row = self.state.node_at(slot)?;
        let bucket = &self.buckets[self.members[self.member_of(slot, row)?].bucket];
        let alike = Parts { affinity: bucket.affinity, spread: self.spreads.boost(&bucket.values), ..Parts::default() };
        let parts = self.parts_of(slot, used, alike);
        let size = Room::of(&row.node.resources);
        let packing = packing_over(self.algorithm, size, usage, self.demand.room(&row.node));
        Some(Parts { penalty: failed_on.contains(&slot), packing, ..parts })
    }

    /// How many nodes take placements in the job's pool and datacenters.
    pub(crate) fn nodes(&self) -> usize {
        self.decisions.iter().map(|decision| decision.shape.len()).sum()
    }

    /// Computed classes and whether they qualify.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (u64, bool)> {
        // Volumes may come and go without a change of class (SCH-028).
        let fits = |why: &Option<String>| why.as_deref().is_none_or(|why| why == NO_VOLUME);
        self.decisions.iter().map(move |decision| (decision.class, fits(&decision.why)))
    }

    /// Whether something other than the class decides.
    pub(crate) fn escaped(&self) -> bool {
        self.needs.escape()
    }

    /// Whether the candidates depend on the number of the allocation.
    pub(crate) fn depends_on_index(&self) -> bool {
        self.needs.depend_on_index()
    }

    /// What there is to choose from, without looking at single nodes.
    pub(crate) fn summary(&self) -> PlacementMetrics {
        let mut metrics = PlacementMetrics { node_pool: self.job.node_pool.clone(), ..PlacementMetrics::default() };
        for decision in &self.decisions {
            let count = u32::try_from(decision.shape.len()).unwrap_or(u32::MAX);
            let node = decision.shape.node();
            match metrics.nodes_available.get_mut(&node.datacenter) {
                Some(available) => *available += count,
                None => {
                    metrics.nodes_available.insert(node.datacenter.clone(), count);
                }
            }
            metrics.nodes_evaluated += count;
            metrics.nodes_in_pool += count;
            if let Some(why) = &decision.why {
                filtered(&mut metrics, node, why, count);
            }
        }
        metrics
    }

    /// What became of each node, or of `only` one: why it does not qualify, what is short, or its score.
    pub(crate) fn explain(
        &mut self,
        only: Option<NodeSlot>,
        used: &InUse,
        failed_on: &BTreeSet<NodeSlot>,
        giving_way: &[Choice],
    ) -> PlacementMetrics {
        self.spreads.refresh();
        let summary = self.summary();
        let mut metrics = PlacementMetrics {
            node_pool: summary.node_pool,
            nodes_in_pool: summary.nodes_in_pool,
            nodes_available: summary.nodes_available,
            ..PlacementMetrics::default()
        };
        let of_only = only.and_then(|slot| self.state.node_at(slot)).map(|row| row.position.shape());
        for decision in self.decisions.iter().filter(|decision| of_only.is_none_or(|shape| shape == decision.id)) {
            let slots: Box<dyn Iterator<Item = NodeSlot> + '_> = match only {
                Some(slot) => Box::new(std::iter::once(slot)),
                None => Box::new(decision.shape.slots()),
            };
            for slot in slots {
                let Some(row) = self.state.node_at(slot) else { continue };
                metrics.nodes_evaluated += 1;
                let why = decision.why.clone().or_else(|| self.needs.excluded(&row.node, self.index));
                if let Some(why) = why.or_else(|| self.distinct_taken(slot, row, used)) {
                    filtered(&mut metrics, &row.node, &why, 1);
                    continue;
                }
                let usage = used.touched.get(&slot).unwrap_or(&row.held);
                match self.demand.check(&row.node, usage, &mut Rng::new(0)) {
                    Ok(()) => {
                        if let Some(parts) = self.parts(slot, used) {
                            let parts = Parts { penalty: failed_on.contains(&slot), ..parts };
                            metrics.scores.push(parts.shown(row.node.id));
                        }
                    }
                    Err(_) if giving_way.iter().any(|choice| choice.slot == slot) => {}
                    Err(short) => exhausted(&mut metrics, &row.node, &short.text()),
                }
            }
        }
        for choice in giving_way {
            if let Some(row) = self.state.node_at(choice.slot) {
                metrics.scores.push(choice.parts.shown(row.node.id));
            }
        }
        metrics.scores.sort_by(|a, b| b.total.total_cmp(&a.total).then(a.node_id.cmp(&b.node_id)));
        metrics.scores.truncate(SCORES_KEPT);
        metrics
    }
}

/// Keeps the better of two: the higher score, and the first node where scores are equal.
fn take(best: &mut Option<(f64, Choice)>, slot: NodeSlot, parts: Parts) {
    let total = parts.total();
    let wins = best.as_ref().is_none_or(|(score, choice)| total > *score || (total == *score && slot < choice.slot));
    if wins {
        *best = Some((total, Choice { slot, parts }));
    }
}

fn filtered(metrics: &mut PlacementMetrics, node: &Node, why: &str, count: u32) {
    metrics.nodes_filtered += count;
    if !node.node_class.is_empty() {
        *metrics.class_filtered.entry(node.node_class.clone()).or_default() += count;
    }
    *metrics.constraint_filtered.entry(why.to_owned()).or_default() += count;
}

fn exhausted(metrics: &mut PlacementMetrics, node: &Node, dimension: &str) {
    metrics.nodes_exhausted += 1;
    if !node.node_class.is_empty() {
        *metrics.class_exhausted.entry(node.node_class.clone()).or_default() += 1;
    }
    *metrics.dimension_exhausted.entry(dimension.to_owned()).or_default() += 1;
}
