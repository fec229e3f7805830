//! Which nodes may run a group at all, and why the others may not.
//!
//! What nodes of one shape share is decided once per shape; only conditions on what is unique to a node are looked at node
//! by node.

use drover_model::{Constraint, Job, Node, TaskGroup};
use drover_state::{Shape, Snapshot};

use crate::constraint::{Condition, datacenter_matches};

/// What is said of a node that lacks a driver, or has it unhealthy (SCH-068).
const NO_DRIVER: &str = "missing drivers";
/// What is said of a node that lacks a network mode (SCH-066).
const NO_NETWORK: &str = "missing network";
/// What is said of a node that lacks a volume, or has it read-only (SCH-076).
pub(crate) const NO_VOLUME: &str = "missing compatible host volumes";
/// What is said of a node that lacks devices.
const NO_DEVICE: &str = "missing devices";

/// The shapes of a job's pool and datacenters that have nodes which take placements (SCH-001…003).
pub fn candidate_shapes<'a>(state: &'a Snapshot, job: &'a Job) -> impl Iterator<Item = (u64, &'a std::sync::Arc<Shape>)> {
    state.capacity().shapes().filter(|(_, shape)| belongs(job, shape.node()))
}

/// Whether a node is of the job's pool and datacenters.
pub fn belongs(job: &Job, node: &Node) -> bool {
    let in_pool = job.node_pool == drover_model::NODE_POOL_ALL || node.node_pool == job.node_pool;
    in_pool && datacenter_matches(&job.datacenters, &node.datacenter)
}

/// A host volume that a group wants.
struct Volume {
    source: String,
    per_alloc: bool,
    read_only: bool,
    /// Never there: of another kind, or sticky, which a directory of the node cannot be.
    impossible: bool,
}

/// What a group needs of nodes.
pub struct Needs<'a> {
    group: &'a TaskGroup,
    /// With its text, in the order in which they are named as the reason.
    of_job: Vec<(Condition, String)>,
    of_group: Vec<(Condition, String)>,
    volumes: Vec<Volume>,
}

impl<'a> Needs<'a> {
    /// The needs of a group.
    pub fn new(job: &'a Job, group: &'a TaskGroup) -> Self {
        let of_group = group.constraints.iter().chain(group.tasks.iter().flat_map(|task| &task.constraints));
        let volumes = group.volumes.iter().flat_map(|volumes| volumes.0.values().flatten()).map(|volume| Volume {
            source: volume.source.clone(),
            per_alloc: volume.per_alloc,
            read_only: volume.read_only,
            impossible: volume.sticky || !(volume.r#type.is_empty() || volume.r#type == "host"),
        });
        Self { group, of_job: conditions(&job.constraints), of_group: conditions(of_group), volumes: volumes.collect() }
    }

    /// Whether something other than the shape decides: a fact that is unique to a node (SCH-027).
    pub fn escape(&self) -> bool {
        self.of_job.iter().chain(&self.of_group).any(|(condition, _)| condition.is_unique())
    }

    /// Whether the number of the allocation decides too.
    pub fn depend_on_index(&self) -> bool {
        self.volumes.iter().any(|volume| volume.per_alloc)
    }

    /// Why no node like this may run the group's allocation of this number.
    pub fn excluded_by_shape(&self, node: &Node, index: u32) -> Option<String> {
        self.excluded_where(node, index, |condition| !condition.is_unique())
    }

    /// Why this node may not run the group's allocation of this number.
    pub fn excluded(&self, node: &Node, index: u32) -> Option<String> {
        self.excluded_where(node, index, |_| true)
    }

    fn excluded_where(&self, node: &Node, index: u32, counts: impl Fn(&Condition) -> bool) -> Option<String> {
        let unmet = |conditions: &[(Condition, String)]| {
            conditions.iter().find(|(condition, _)| counts(condition) && !condition.met(node)).map(|(_, text)| text.clone())
        };
        unmet(&self.of_job)
            .or_else(|| self.drivers(node))
            .or_else(|| unmet(&self.of_group))
            .or_else(|| self.devices())
            .or_else(|| self.networks(node))
            .or_else(|| self.host_volumes(node, index))
    }

    fn drivers(&self, node: &Node) -> Option<String> {
        let ready = |name: &str| node.drivers.get(name).is_some_and(|driver| driver.detected && driver.healthy);
        (!self.group.tasks.iter().all(|task| ready(&task.driver))).then(|| NO_DRIVER.to_owned())
    }

    fn devices(&self) -> Option<String> {
        let asked = |task: &drover_model::Task| task.resources.devices.as_ref().is_some_and(|devices| !devices.0.is_empty());
        self.group.tasks.iter().any(asked).then(|| NO_DEVICE.to_owned())
    }

    fn networks(&self, node: &Node) -> Option<String> {
        let network = self.group.networks.first()?;
        let wanted = if network.mode.is_empty() { "host" } else { network.mode.as_str() };
        let has = wanted == "none"
            || node.resources.networks.iter().any(|there| there.mode == wanted || (wanted == "host" && there.mode.is_empty()));
        if !has {
            return Some(NO_NETWORK.to_owned());
        }
        for port in network.reserved_ports.iter().chain(&network.dynamic_ports) {
            let Some(alias) = crate::ports::alias(port, node) else {
                return Some(format!("invalid host network {:?} template for port {:?}", port.host_network, port.label));
            };
            if !crate::ports::has_address(&node.resources, &alias) {
                return Some(format!("missing host network {alias:?} for port {:?}", port.label));
            }
        }
        None
    }

    fn host_volumes(&self, node: &Node, index: u32) -> Option<String> {
        let there = |volume: &Volume| {
            let offered = node.host_volumes.as_ref()?;
            let found = if volume.per_alloc { offered.get(&format!("{}[{index}]", volume.source)) } else { offered.get(&volume.source) };
            found.filter(|found| !volume.impossible && (volume.read_only || !found.read_only))
        };
        (!self.volumes.iter().all(|volume| there(volume).is_some())).then(|| NO_VOLUME.to_owned())
    }
}

fn conditions<'a>(constraints: impl IntoIterator<Item = &'a Constraint>) -> Vec<(Condition, String)> {
    let of_nodes = constraints.into_iter().filter(|constraint| !is_distinct(constraint));
    of_nodes.map(|one| (Condition::new(&one.l_target, &one.operand, &one.r_target), describe(one))).collect()
}

/// Whether a condition is about the allocations of the job and not about the node.
pub fn is_distinct(constraint: &Constraint) -> bool {
    matches!(constraint.operand.as_str(), "distinct_hosts" | "distinct_property")
}

/// The condition as it is counted among the reasons.
pub fn describe(constraint: &Constraint) -> String {
    format!("{} {} {}", constraint.l_target, constraint.operand, constraint.r_target)
}
