//! How well a node suits: the mean of the parts that apply (SCH-031 and following).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use drover_base::NodeId;
use drover_model::{Affinity, Job, Node, NodeScore, TaskGroup};

use crate::constraint::Condition;

/// The parts of a node's score; those with nothing to say are absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// How full the node becomes, or how empty it stays.
    pub packing: f64,
    /// Others of the same job and group are there.
    pub anti_affinity: Option<f64>,
    /// What is replaced failed there.
    pub penalty: bool,
    /// Affinities that hold and do not.
    pub affinity: Option<f64>,
    /// Wanted or not at the node's values; zero says nothing.
    pub spread: f64,
    /// Others would have to go.
    pub preemption: Option<f64>,
}

impl Parts {
    /// The mean of the parts that apply.
    pub fn total(&self) -> f64 {
        let (mut sum, mut count) = (self.packing, 1.0);
        let spread = (self.spread != 0.0).then_some(self.spread);
        let penalty = self.penalty.then_some(PENALTY);
        for part in [self.anti_affinity, penalty, self.affinity, spread, self.preemption].into_iter().flatten() {
            sum += part;
            count += 1.0;
        }
        sum / count
    }

    /// The score as it is shown.
    pub fn shown(&self, node_id: NodeId) -> NodeScore {
        let named = [
            ("binpack", Some(self.packing)),
            ("job-anti-affinity", self.anti_affinity),
            ("node-reschedule-penalty", self.penalty.then_some(PENALTY)),
            ("node-affinity", self.affinity),
            ("allocation-spread", (self.spread != 0.0).then_some(self.spread)),
            ("preemption", self.preemption),
        ];
        let parts = named.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        NodeScore { node_id, parts: parts.collect::<BTreeMap<_, _>>(), total: self.total() }
    }
}

/// What a node gets where the allocation to replace failed before (SCH-035).
const PENALTY: f64 = -1.0;

/// What a node gets that holds so many of the same job and group already (SCH-034).
pub fn anti_affinity(collisions: u32, desired: u32) -> Option<f64> {
    (collisions > 0).then(|| -(f64::from(collisions) + 1.0) / f64::from(desired.max(1)))
}

/// The affinities of job, group and tasks.
pub struct Affinities {
    all: Vec<(Condition, f64)>,
    weights: f64,
}

impl Affinities {
    /// Those that concern a group.
    pub fn new(job: &Job, group: &TaskGroup) -> Self {
        let all = job.affinities.iter().chain(&group.affinities).chain(group.tasks.iter().flat_map(|task| &task.affinities));
        let ready = |one: &Affinity| (Condition::new(&one.l_target, &one.operand, &one.r_target), f64::from(one.weight));
        let all: Vec<(Condition, f64)> = all.map(ready).collect();
        let weights = all.iter().map(|(_, weight)| weight.abs()).sum();
        Self { all, weights }
    }

    /// Whether one looks at what is unique to a node.
    pub fn is_unique(&self) -> bool {
        self.all.iter().any(|(condition, _)| condition.is_unique())
    }

    /// Matched weight over the sum of absolute weights; absent when there are none (SCH-029).
    pub fn of(&self, node: &Node) -> Option<f64> {
        let matched = || self.all.iter().filter(|(condition, _)| condition.met(node)).map(|(_, weight)| weight).sum::<f64>();
        (self.weights > 0.0).then(|| matched() / self.weights)
    }
}

/// A number in its total order, so that it can be a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ordered(pub f64);

impl Eq for Ordered {}
impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
