//! `distinct_hosts` and `distinct_property`: how many allocations of a job or group may share a node or a value.

use std::collections::BTreeMap;

use drover_model::{Job, Node, TaskGroup};
use drover_state::{NodeSlot, Snapshot};

use crate::constraint::Target;

/// Live and planned allocations of one job: by group, how many on which node.
pub type Live = BTreeMap<String, BTreeMap<NodeSlot, u32>>;

/// What allocations of a group may not share.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    /// Hosts are not shared within the group.
    pub hosts_of_group: bool,
    /// Hosts are not shared within the job.
    pub hosts_of_job: bool,
    /// Values that few may share.
    pub properties: Vec<Property>,
}

/// A value that few may share.
#[derive(Clone, Debug)]
pub struct Property {
    text: String,
    target: Target,
    allowed: u32,
    /// Among all groups of the job.
    whole_job: bool,
    used: BTreeMap<String, u32>,
}

impl Distinct {
    /// The limits of a group, with the values in use (SCH-021, SCH-022).
    pub fn new(state: &Snapshot, job: &Job, group: &TaskGroup, live: &Live) -> Self {
        let mut distinct = Self::default();
        let of_job = job.constraints.iter().map(|constraint| (constraint, true));
        for (constraint, whole_job) in of_job.chain(group.constraints.iter().map(|constraint| (constraint, false))) {
            match constraint.operand.as_str() {
                // Only a plain "no" turns it off.
                // A system job is on every host anyway (SCH-024).
                "distinct_hosts" if crate::system::is(job.kind) => {}
                "distinct_hosts" => {
                    let off = matches!(constraint.r_target.as_str(), "0" | "f" | "F" | "false" | "FALSE" | "False");
                    let hosts = if whole_job { &mut distinct.hosts_of_job } else { &mut distinct.hosts_of_group };
                    *hosts |= !off;
                }
                "distinct_property" => distinct.properties.push(Property {
                    text: constraint.l_target.clone(),
                    target: Target::parse(&constraint.l_target),
                    allowed: if constraint.r_target.is_empty() { 1 } else { constraint.r_target.parse().unwrap_or(0) },
                    whole_job,
                    used: BTreeMap::new(),
                }),
                _ => {}
            }
        }
        if !distinct.properties.is_empty() {
            for (name, nodes) in live {
                for (slot, count) in nodes {
                    if let Some(row) = state.node_at(*slot) {
                        distinct.count(&row.node, *name == group.name, i64::from(*count));
                    }
                }
            }
        }
        distinct
    }

    /// Counts allocations on a node in or out.
    pub fn count(&mut self, node: &Node, same_group: bool, by: i64) {
        for property in self.properties.iter_mut().filter(|property| property.whole_job || same_group) {
            if let Some(value) = property.target.resolve(node) {
                let used = property.used.entry(value.into_owned()).or_insert(0);
                *used = u32::try_from((i64::from(*used) + by).max(0)).unwrap_or(u32::MAX);
            }
        }
    }

    /// Whether hosts matter.
    pub fn hosts(&self) -> bool {
        self.hosts_of_group || self.hosts_of_job
    }

    /// Whether the node holds an allocation that hosts are not shared with.
    pub fn host_taken(&self, live: &Live, group: &str, slot: NodeSlot) -> bool {
        let on_node = |nodes: &BTreeMap<NodeSlot, u32>| nodes.get(&slot).is_some_and(|count| *count > 0);
        (self.hosts_of_job && live.values().any(on_node)) || (self.hosts_of_group && live.get(group).is_some_and(on_node))
    }

    /// Why the node's values are used up, if they are.
    pub fn property_taken(&self, node: &Node) -> Option<String> {
        self.properties.iter().find_map(|property| {
            let Some(value) = property.target.resolve(node) else {
                return Some(format!("missing property {:?}", property.text));
            };
            let used = property.used.get(value.as_ref()).copied().unwrap_or(0);
            (used >= property.allowed).then(|| format!("distinct_property: {}={value} used by {used} allocs", property.text))
        })
    }

    /// Whether a value is unique to a node.
    pub fn has_unique_property(&self) -> bool {
        self.properties.iter().any(|property| property.target.is_unique())
    }
}
