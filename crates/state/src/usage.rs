//! Capacity, counted once: per node the running totals of what its allocations take, and the one function that says
//! whether more fits. The scheduler and the plan applier both call [`fit`].

use std::sync::Arc;

use drover_model::{AllocatedResources, Hook, NodeResources};
use imbl::OrdMap;

/// What an allocation takes of a node, or a group asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// MHz.
    pub cpu_mhz: u32,
    /// MiB.
    pub memory_mb: u32,
    /// MiB.
    pub disk_mb: u32,
    /// Cores by number.
    pub cores: Vec<u16>,
    /// Host ports that must be free, with their address; an empty address stands for any.
    pub ports: Vec<(Arc<str>, u16)>,
}

impl Ask {
    /// What an allocation with these resources takes. Tasks that do not run at the same time share: the largest of
    /// prestart, main with sidecars, and poststop counts (SCH-048); cores are summed (SCH-049).
    pub fn of(resources: &AllocatedResources) -> Self {
        let (mut prestart, mut main, mut poststop) = ((0u32, 0u32), (0u32, 0u32), (0u32, 0u32));
        let mut cores = Vec::new();
        for (name, task) in &resources.tasks {
            let own = (task.cpu_mhz, task.memory_mb);
            let add = |sum: &mut (u32, u32)| *sum = (sum.0.saturating_add(own.0), sum.1.saturating_add(own.1));
            match resources.lifecycles.get(name).map(|lifecycle| (lifecycle.hook, lifecycle.sidecar)) {
                None | Some((Hook::Poststart, _)) => add(&mut main),
                Some((Hook::Prestart, sidecar)) => {
                    add(&mut prestart);
                    if sidecar {
                        add(&mut main);
                    }
                }
                Some((Hook::Poststop, _)) => add(&mut poststop),
            }
            cores.extend(&task.reserved_cores);
        }
        Self {
            cpu_mhz: prestart.0.max(main.0).max(poststop.0),
            memory_mb: prestart.1.max(main.1).max(poststop.1),
            disk_mb: resources.disk_mb,
            cores,
            ports: resources
                .ports
                .iter()
                .filter(|port| !port.ignore_collision)
                .map(|port| (Arc::from(port.host_ip.as_str()), port.value))
                .collect(),
        }
    }
}

/// What the allocations of a node take together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Allocations.
    pub allocs: u32,
    /// MHz.
    pub cpu_mhz: u32,
    /// MiB.
    pub memory_mb: u32,
    /// MiB.
    pub disk_mb: u32,
    /// Cores in use and by how many.
    pub cores: OrdMap<u16, u16>,
    /// Ports in use and by how many.
    pub ports: OrdMap<(Arc<str>, u16), u16>,
}

impl Usage {
    /// Counts an allocation in.
    pub fn add(&mut self, ask: &Ask) {
        self.allocs += 1;
        self.cpu_mhz = self.cpu_mhz.saturating_add(ask.cpu_mhz);
        self.memory_mb = self.memory_mb.saturating_add(ask.memory_mb);
        self.disk_mb = self.disk_mb.saturating_add(ask.disk_mb);
        for core in &ask.cores {
            *self.cores.entry(*core).or_insert(0) += 1;
        }
        for port in &ask.ports {
            *self.ports.entry(port.clone()).or_insert(0) += 1;
        }
    }

    /// Counts an allocation out that was counted in.
    pub fn remove(&mut self, ask: &Ask) {
        self.allocs = self.allocs.saturating_sub(1);
        self.cpu_mhz = self.cpu_mhz.saturating_sub(ask.cpu_mhz);
        self.memory_mb = self.memory_mb.saturating_sub(ask.memory_mb);
        self.disk_mb = self.disk_mb.saturating_sub(ask.disk_mb);
        for core in &ask.cores {
            release(&mut self.cores, core);
        }
        for port in &ask.ports {
            release(&mut self.ports, port);
        }
    }

    /// Whether a port on an address is taken.
    pub fn port_taken(&self, address: &Arc<str>, port: u16) -> bool {
        self.ports.contains_key(&(Arc::clone(address), port))
    }
}

fn release<K: Ord + Clone>(counts: &mut OrdMap<K, u16>, key: &K) {
    match counts.get(key).copied() {
        Some(count) if count > 1 => {
            counts.insert(key.clone(), count - 1);
        }
        Some(_) => {
            counts.remove(key);
        }
        None => {}
    }
}

/// The outcome of [`fit`].
pub type Fit = Result<(), Misfit>;

/// The first dimension that does not fit, in the words of the API (SCH-045).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfit {
    /// Cores.
    Cores,
    /// MHz.
    Cpu,
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// A port is taken.
    Port(u16),
    /// Too many allocations.
    MaxAllocs,
}

impl Misfit {
    /// The name of the dimension.
    pub fn text(self) -> String {
        match self {
            Self::Cores => "cores".to_owned(),
            Self::Cpu => "cpu".to_owned(),
            Self::Memory => "memory".to_owned(),
            Self::Disk => "disk".to_owned(),
            Self::Port(port) => format!("network: reserved port collision {port}"),
            Self::MaxAllocs => "max allocation exceeded".to_owned(),
        }
    }
}

/// Whether `ask` fits beside `usage` on a node of this size. `max_allocs` of 0 is no limit.
///
/// # Errors
/// The first dimension that is short.
pub fn fit(size: &NodeResources, max_allocs: u32, usage: &Usage, ask: &Ask) -> Fit {
    if max_allocs > 0 && usage.allocs >= max_allocs {
        return Err(Misfit::MaxAllocs);
    }
    if ask.cores.iter().any(|core| usage.cores.contains_key(core) || !size.reservable_cores.contains(core)) {
        return Err(Misfit::Cores);
    }
    let short =
        |total: u32, reserved: u32, used: u32, ask: u32| u64::from(used) + u64::from(ask) > u64::from(total.saturating_sub(reserved));
    if short(size.cpu_mhz, size.reserved_cpu_mhz, usage.cpu_mhz, ask.cpu_mhz) {
        return Err(Misfit::Cpu);
    }
    if short(size.memory_mb, size.reserved_memory_mb, usage.memory_mb, ask.memory_mb) {
        return Err(Misfit::Memory);
    }
    if short(size.disk_mb, size.reserved_disk_mb, usage.disk_mb, ask.disk_mb) {
        return Err(Misfit::Disk);
    }
    for (address, port) in &ask.ports {
        if usage.port_taken(address, *port) {
            return Err(Misfit::Port(*port));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use drover_model::{AllocatedTask, TaskLifecycle};

    use super::*;

    fn node() -> NodeResources {
        NodeResources { cpu_mhz: 1000, memory_mb: 1000, disk_mb: 1000, reserved_memory_mb: 100, ..NodeResources::default() }
    }

    #[test]
    fn the_first_short_dimension_is_named() {
        let ask = |cpu_mhz, memory_mb| Ask { cpu_mhz, memory_mb, ..Ask::default() };
        assert_eq!(fit(&node(), 0, &Usage::default(), &ask(1000, 900)), Ok(()));
        assert_eq!(fit(&node(), 0, &Usage::default(), &ask(1001, 901)), Err(Misfit::Cpu));
        assert_eq!(fit(&node(), 0, &Usage::default(), &ask(1, 901)), Err(Misfit::Memory));
    }

    #[test]
    fn counting_out_what_was_counted_in_leaves_nothing() {
        let ask = Ask { cpu_mhz: 5, memory_mb: 6, disk_mb: 7, cores: vec![1, 2], ports: vec![(Arc::from("a"), 80)] };
        let mut usage = Usage::default();
        usage.add(&ask);
        assert_eq!(fit(&node(), 0, &usage, &Ask { ports: vec![(Arc::from("a"), 80)], ..Ask::default() }), Err(Misfit::Port(80)));
        usage.remove(&ask);
        assert_eq!(usage, Usage::default());
    }

    #[test]
    fn tasks_that_do_not_run_together_share_their_room() {
        let mut resources = AllocatedResources::default();
        for (name, memory_mb, hook) in [("pre", 500, Some(Hook::Prestart)), ("main", 300, None), ("post", 400, Some(Hook::Poststop))] {
            resources.tasks.insert(name.to_owned(), AllocatedTask { cpu_mhz: 1, memory_mb, ..AllocatedTask::default() });
            if let Some(hook) = hook {
                resources.lifecycles.insert(name.to_owned(), TaskLifecycle { hook, sidecar: false });
            }
        }
        assert_eq!(Ask::of(&resources).memory_mb, 500);
    }
}
