//! What a group is given on a node: the same for every node unless ports or cores have to be chosen.

use std::sync::Arc;

use drover_base::Rng;
use drover_model::{AllocatedResources, AllocatedTask, Node, TaskGroup};
use drover_state::{Ask, Misfit, Room, Usage, fit};

use crate::ports::{self, PortError};

/// What is short on a node, in the words of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Short {
    /// A dimension.
    Dimension(Misfit),
    /// Ports.
    Ports(PortError),
}

impl Short {
    /// The name of the dimension.
    pub fn text(&self) -> String {
        match self {
            Self::Dimension(misfit) => misfit.text(),
            Self::Ports(error) => format!("network: {error}"),
        }
    }
}

/// What a group asks for, worked out once.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Where tasks may use more memory than is reserved, and where not.
    templates: [Arc<AllocatedResources>; 2],
    ask: Ask,
    /// Cores by task, in the order of tasks.
    cores: Vec<(String, u32)>,
    networks: Vec<drover_model::NetworkResource>,
}

impl Demand {
    /// The demand of a group.
    pub fn new(group: &TaskGroup) -> Self {
        let template = |oversubscribed: bool| {
            let tasks = group.tasks.iter().map(|task| {
                let asked = &task.resources;
                let most = match asked.memory_max_mb {
                    0 | u32::MAX => asked.memory_max_mb,
                    limited => limited.saturating_add(asked.secrets_mb),
                };
                let allocated = AllocatedTask {
                    cpu_mhz: asked.cpu,
                    reserved_cores: Vec::new(),
                    memory_mb: asked.memory_mb.saturating_add(asked.secrets_mb),
                    memory_max_mb: if oversubscribed { most } else { 0 },
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
        };
        let templates = [Arc::new(template(false)), Arc::new(template(true))];
        let cores = group.tasks.iter().filter(|task| task.resources.cores > 0);
        Self {
            ask: Ask::of(&templates[0]),
            cores: cores.map(|task| (task.name.clone(), task.resources.cores)).collect(),
            // Only the first network is scheduled (SCH-065).
            networks: group.networks.first().cloned().into_iter().collect(),
            templates,
        }
    }

    /// What is asked for before ports and cores are chosen.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Whether every allocation on such nodes is given the same.
    pub fn is_fixed(&self) -> bool {
        self.cores.is_empty() && self.networks.is_empty()
    }

    /// Processor time and memory that it takes of a node like this.
    pub fn room(&self, node: &Node) -> Room {
        if self.cores.is_empty() {
            return Room { cpu_mhz: self.ask.cpu_mhz, memory_mb: self.ask.memory_mb };
        }
        // Cores stand in for processor time, and how much that is depends on the node.
        let mut resources = AllocatedResources::clone(&self.templates[0]);
        for (task, count) in &self.cores {
            if let Some(task) = resources.tasks.get_mut(task) {
                task.cpu_mhz = core_mhz(node).saturating_mul(*count);
                // Which ones does not matter here, only that the time is that of cores.
                task.reserved_cores = vec![0];
            }
        }
        let ask = Ask::of(&resources);
        Room { cpu_mhz: ask.cpu_mhz, memory_mb: ask.memory_mb }
    }

    /// Whether the node can give what is asked for beside `usage`.
    ///
    /// # Errors
    /// What is short first.
    pub fn check(&self, node: &Node, usage: &Usage, rng: &mut Rng) -> Result<(), Short> {
        if self.is_fixed() {
            return fit(&node.resources, node.max_allocs, usage, &self.ask).map_err(Short::Dimension);
        }
        self.give(node, usage, false, rng).map(|_| ())
    }

    /// What the node gives beside `usage`.
    ///
    /// # Errors
    /// What is short first.
    pub fn give(&self, node: &Node, usage: &Usage, oversubscribed: bool, rng: &mut Rng) -> Result<Arc<AllocatedResources>, Short> {
        let template = &self.templates[usize::from(oversubscribed)];
        if self.is_fixed() {
            fit(&node.resources, node.max_allocs, usage, &self.ask).map_err(Short::Dimension)?;
            return Ok(Arc::clone(template));
        }
        let mut given = AllocatedResources::clone(template);
        if !self.networks.is_empty() {
            let (networks, mappings) = ports::assign(node, &self.networks, usage, rng).map_err(Short::Ports)?;
            (given.networks, given.ports) = (networks, mappings);
        }
        // The lowest free ones; they need not be neighbours (SCH-054).
        let size = &node.resources;
        let mut free = size.reservable_cores.iter().copied().filter(|core| !usage.core_taken(*core) && !size.reserved_cores.contains(core));
        for (task, count) in &self.cores {
            let cores: Vec<u16> = free.by_ref().take(*count as usize).collect();
            if cores.len() < *count as usize {
                return Err(Short::Dimension(Misfit::Cores));
            }
            if let Some(task) = given.tasks.get_mut(task) {
                task.cpu_mhz = core_mhz(node).saturating_mul(*count);
                task.reserved_cores = cores;
            }
        }
        fit(size, node.max_allocs, usage, &Ask::of(&given)).map_err(Short::Dimension)?;
        Ok(Arc::new(given))
    }

    /// Static ports that must be free, by host network of the node.
    pub fn static_ports(&self) -> impl Iterator<Item = &drover_model::Port> {
        self.networks.iter().flat_map(|network| &network.reserved_ports).filter(|port| !port.ignore_collision)
    }
}

fn core_mhz(node: &Node) -> u32 {
    node.resources.cpu_mhz / u32::from(node.resources.cores_total.max(1))
}
