//! Spread: how much a group wants another allocation at a value of an attribute, given those that are there.

use std::collections::BTreeMap;

use drover_model::{Job, Node, Spread, TaskGroup};

use crate::constraint::Target;

/// The position of a value among those of an attribute.
pub type ValueId = u32;

/// What a node that lacks the attribute, or has a value that nobody wants, gets (SCH-038, SCH-040).
const UNWANTED: f64 = -1.0;

/// The spreads of a group, with how many allocations are at which value.
#[derive(Clone, Debug, Default)]
pub struct Spreads {
    attributes: Vec<Attribute>,
}

#[derive(Clone, Debug)]
struct Attribute {
    target: Target,
    /// The share of all weights.
    weight: f64,
    /// How many are wanted at listed values; empty for even counts.
    desired: BTreeMap<String, f64>,
    /// How many are wanted at all other values together.
    rest: Option<f64>,
    /// Values met so far.
    values: BTreeMap<String, ValueId>,
    /// By value: how many are there; `None` before the first.
    counts: Vec<Option<u32>>,
    /// By value: how many are wanted there, if it is listed.
    wanted: Vec<Option<f64>>,
    /// By value: the score of one more there.
    boosts: Vec<f64>,
    stale: bool,
}

impl Spreads {
    /// The spreads of job and group together.
    pub fn new(job: &Job, group: &TaskGroup) -> Self {
        let all: Vec<&Spread> = group.spreads.iter().chain(&job.spreads).collect();
        let total: f64 = all.iter().map(|spread| f64::from(spread.weight)).sum();
        let attributes = all.into_iter().map(|spread| {
            let count = f64::from(group.count);
            let mut sum = 0.0;
            let mut desired = BTreeMap::new();
            for target in &spread.spread_target {
                let wanted = f64::from(target.percent) / 100.0 * count;
                desired.insert(target.value.clone(), wanted);
                sum += wanted;
            }
            let rest = (sum > 0.0 && sum < count).then_some(count - sum);
            let weight = if total == 0.0 { 0.0 } else { f64::from(spread.weight) / total };
            Attribute {
                target: Target::parse(&spread.attribute),
                weight,
                desired,
                rest,
                values: BTreeMap::new(),
                counts: Vec::new(),
                wanted: Vec::new(),
                boosts: Vec::new(),
                stale: true,
            }
        });
        Self { attributes: attributes.collect() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// Whether an attribute is unique to a node.
    pub fn is_unique(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.target.is_unique())
    }

    /// The values of a node, one for each spread; `None` where it lacks the attribute.
    pub fn values(&mut self, node: &Node) -> Vec<Option<ValueId>> {
        self.attributes.iter_mut().map(|attribute| attribute.value(node)).collect()
    }

    /// Counts allocations on a node in or out.
    pub fn count(&mut self, node: &Node, by: i64) {
        for attribute in &mut self.attributes {
            if let Some(value) = attribute.value(node) {
                let count = &mut attribute.counts[value as usize];
                *count = Some(u32::try_from((i64::from(count.unwrap_or(0)) + by).max(0)).unwrap_or(u32::MAX));
                attribute.stale = true;
            }
        }
    }

    /// Brings the scores in step with the counts.
    pub fn refresh(&mut self) {
        for attribute in self.attributes.iter_mut().filter(|attribute| attribute.stale) {
            attribute.refresh();
        }
    }

    /// The score of one more at these values; [`Self::refresh`] comes first.
    pub fn boost(&self, values: &[Option<ValueId>]) -> f64 {
        let boosts =
            self.attributes.iter().zip(values).map(|(attribute, value)| value.map_or(UNWANTED, |value| attribute.boosts[value as usize]));
        boosts.sum()
    }
}

impl Attribute {
    fn value(&mut self, node: &Node) -> Option<ValueId> {
        let value = self.target.resolve(node)?;
        if let Some(known) = self.values.get(value.as_ref()) {
            return Some(*known);
        }
        let id = ValueId::try_from(self.counts.len()).ok()?;
        self.wanted.push(self.desired.get(value.as_ref()).copied());
        self.counts.push(None);
        self.boosts.push(0.0);
        self.stale = true;
        self.values.insert(value.into_owned(), id);
        Some(id)
    }

    fn refresh(&mut self) {
        self.stale = false;
        if self.desired.is_empty() { self.even() } else { self.by_targets() }
    }

    /// Towards the counts wanted at each value (SCH-036…039).
    fn by_targets(&mut self) {
        let others: u32 = self.counts.iter().zip(&self.wanted).filter(|(_, wanted)| wanted.is_none()).filter_map(|(count, _)| *count).sum();
        let mut lowest = UNWANTED;
        for at in 0..self.counts.len() {
            let (wanted, used) = match (self.wanted[at], self.rest) {
                (Some(wanted), _) => (wanted, self.counts[at].unwrap_or(0)),
                (None, Some(rest)) => (rest, others),
                (None, None) => {
                    self.boosts[at] = UNWANTED;
                    continue;
                }
            };
            if wanted != 0.0 {
                self.boosts[at] = (wanted - f64::from(used + 1)) / wanted * self.weight;
                lowest = lowest.min(self.boosts[at]);
            }
        }
        // A value that should have none gets no better than the worst.
        for (boost, wanted) in self.boosts.iter_mut().zip(&self.wanted) {
            if *wanted == Some(0.0) {
                *boost = lowest;
            }
        }
    }

    /// Towards equal counts (SCH-041).
    fn even(&mut self) {
        let seen = || self.counts.iter().flatten().copied();
        let (Some(min), Some(max)) = (seen().min(), seen().max()) else {
            self.boosts.fill(0.0);
            return;
        };
        let (low, high) = (f64::from(min), f64::from(max));
        for (boost, count) in self.boosts.iter_mut().zip(&self.counts) {
            let count = count.unwrap_or(0);
            *boost = if count != min {
                if min == 0 { -1.0 } else { (low - f64::from(count)) / low }
            } else if min == max {
                -1.0
            } else if min == 0 {
                1.0
            } else {
                (high - low) / low
            };
        }
    }
}
