//! Which nodes may run a group at all, and why the others may not.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_model::{Constraint, Job, PlacementMetrics, TaskGroup};
use drover_state::{NodeRow, NodeSlot, Snapshot};

use crate::constraint::{datacenter_matches, escapes_class, holds, resolve};

/// A node that may run the group.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its slot.
    pub slot: NodeSlot,
    /// The row.
    pub row: Arc<NodeRow>,
}

/// The nodes of a job's pool and datacenters that take placements, with the counts that the API shows.
pub fn ready_nodes(state: &Snapshot, job: &Job, metrics: &mut PlacementMetrics) -> Vec<Candidate> {
    let mut ready = Vec::new();
    metrics.node_pool.clone_from(&job.node_pool);
    for (slot, row) in state.nodes() {
        if job.node_pool != "all" && row.node.node_pool != job.node_pool {
            continue;
        }
        metrics.nodes_in_pool += 1;
        if row.ready() && datacenter_matches(&job.datacenters, &row.node.datacenter) {
            *metrics.nodes_available.entry(row.node.datacenter.clone()).or_default() += 1;
            ready.push(Candidate { slot, row: Arc::clone(row) });
        }
    }
    ready
}

/// What a group needs of nodes, decided once per class where the class decides it.
pub struct Checker<'a> {
    group: &'a TaskGroup,
    by_class: Vec<&'a Constraint>,
    by_node: Vec<&'a Constraint>,
    decided: BTreeMap<u64, Option<String>>,
}

impl<'a> Checker<'a> {
    /// The needs of a group.
    pub fn new(job: &'a Job, group: &'a TaskGroup) -> Self {
        let all = job.constraints.iter().chain(&group.constraints).chain(group.tasks.iter().flat_map(|task| &task.constraints));
        let (by_node, by_class) = all.filter(|constraint| !is_distinct(constraint)).partition(|constraint| escapes_class(constraint));
        Self { group, by_class, by_node, decided: BTreeMap::new() }
    }

    /// Whether something other than the class decides.
    pub fn escaped(&self) -> bool {
        !self.by_node.is_empty()
    }

    /// Classes looked at and whether they qualify, as the API shows them.
    pub fn classes(&self) -> BTreeMap<String, bool> {
        self.decided.iter().map(|(class, why)| (format!("v1:{class}"), why.is_none())).collect()
    }

    /// Why the node may not run the group, or `None` if it may.
    pub fn excluded(&mut self, row: &NodeRow) -> Option<String> {
        if !self.decided.contains_key(&row.class) {
            let why = self.class_excluded(row);
            self.decided.insert(row.class, why);
        }
        if let Some(why) = self.decided.get(&row.class).cloned().flatten() {
            return Some(why);
        }
        unmet(&self.by_node, row)
    }

    fn class_excluded(&self, row: &NodeRow) -> Option<String> {
        let node = &row.node;
        for task in &self.group.tasks {
            let fit = node.drivers.get(&task.driver).is_some_and(|driver| driver.detected && driver.healthy);
            if !fit {
                return Some("missing drivers".to_owned());
            }
        }
        for network in &self.group.networks {
            let wanted = if network.mode.is_empty() { "host" } else { network.mode.as_str() };
            let has = wanted == "none" || wanted == "host" || node.resources.networks.iter().any(|there| there.mode == wanted);
            if !has {
                return Some("missing network".to_owned());
            }
            for port in network.reserved_ports.iter().chain(&network.dynamic_ports) {
                let alias = crate::ports::alias(port);
                if crate::ports::address(&node.resources, alias).is_none() {
                    return Some(format!("missing host network {alias:?} for port {:?}", port.label));
                }
            }
        }
        if self.group.volumes.as_ref().is_some_and(|volumes| !volumes.0.is_empty()) {
            return Some("missing compatible host volumes".to_owned());
        }
        if self.group.tasks.iter().any(|task| task.resources.devices.as_ref().is_some_and(|devices| !devices.0.is_empty())) {
            return Some("missing devices".to_owned());
        }
        unmet(&self.by_class, row)
    }
}

fn is_distinct(constraint: &Constraint) -> bool {
    matches!(constraint.operand.as_str(), "distinct_hosts" | "distinct_property")
}

fn unmet(constraints: &[&Constraint], row: &NodeRow) -> Option<String> {
    constraints.iter().find(|constraint| !met(constraint, row)).map(|constraint| describe(constraint))
}

fn met(constraint: &Constraint, row: &NodeRow) -> bool {
    let left = resolve(&constraint.l_target, &row.node);
    let right = resolve(&constraint.r_target, &row.node);
    holds(&constraint.operand, left.as_deref(), right.as_deref())
}

/// The condition as users know it from their job file.
pub fn describe(constraint: &Constraint) -> String {
    format!("{} {} {}", constraint.l_target, constraint.operand, constraint.r_target).trim().to_owned()
}

/// The distinct-hosts and distinct-property conditions of a group: job-wide ones count all groups.
pub fn distinct<'a>(job: &'a Job, group: &'a TaskGroup) -> Vec<(&'a Constraint, bool)> {
    let of_job = job.constraints.iter().map(|constraint| (constraint, true));
    let of_group = group.constraints.iter().map(|constraint| (constraint, false));
    of_job
        .chain(of_group)
        .filter(|(constraint, _)| is_distinct(constraint))
        .filter(|(constraint, _)| constraint.operand != "distinct_hosts" || constraint.r_target != "false")
        // A system job is on every host anyway (SCH-024).
        .filter(|(constraint, _)| constraint.operand != "distinct_hosts" || !crate::system::is(job.kind))
        .collect()
}
