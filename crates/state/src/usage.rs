//! Capacity, counted once: per node the running totals of what its allocations take, and the one function that says
//! whether more fits. The scheduler and the plan applier both call [`fit`].
//!
//! Totals are small: numbers in place, and sorted lists for the few cores and ports in use.

use drover_model::{AllocatedResources, Hook, NodeResources, fnv};

/// A host address as ports are counted on it; an empty address stands for any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress(u64);

impl HostAddress {
    /// Any address of the node.
    pub const ANY: Self = Self(0);

    /// The address with this text.
    pub fn of(text: &str) -> Self {
        if text.is_empty() { Self::ANY } else { Self(fnv(text.as_bytes()).max(1)) }
    }

    fn meets(self, other: Self) -> bool {
        self == other || self == Self::ANY || other == Self::ANY
    }
}

/// A port on an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The number.
    pub port: u16,
    /// Where.
    pub address: HostAddress,
}

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
    /// Host ports that must be free, each once.
    pub ports: Vec<HostPort>,
}

impl Ask {
    /// What an allocation with these resources takes. Tasks that do not run at the same time share: the largest of
    /// prestart, main with sidecars, and poststop counts (SCH-048); cores are summed (SCH-049).
    pub fn of(resources: &AllocatedResources) -> Self {
        let (mut prestart, mut main, mut poststop) = ((0u32, 0u32), (0u32, 0u32), (0u32, 0u32));
        let (mut cores, mut cpu_of_cores) = (Vec::new(), 0u32);
        for (name, task) in &resources.tasks {
            // Cores belong to one task for good, and so does their time.
            let alone = !task.reserved_cores.is_empty();
            cpu_of_cores = cpu_of_cores.saturating_add(if alone { task.cpu_mhz } else { 0 });
            let own = (if alone { 0 } else { task.cpu_mhz }, task.memory_mb);
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
        let held = resources.ports.iter().filter(|port| !port.ignore_collision);
        let mut ports: Vec<HostPort> = held.map(|port| HostPort { port: port.value, address: HostAddress::of(&port.host_ip) }).collect();
        ports.sort_unstable();
        ports.dedup();
        Self {
            cpu_mhz: prestart.0.max(main.0).max(poststop.0).saturating_add(cpu_of_cores),
            memory_mb: prestart.1.max(main.1).max(poststop.1),
            disk_mb: resources.disk_mb,
            cores,
            ports,
        }
    }
}

/// Things in use and by how many, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts<K>(Vec<(K, u16)>);

impl<K: Copy + Ord> Counts<K> {
    fn add(&mut self, key: K) {
        match self.0.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(1),
            Err(at) => self.0.insert(at, (key, 1)),
        }
    }

    fn remove(&mut self, key: K) {
        if let Ok(at) = self.0.binary_search_by_key(&key, |(key, _)| *key) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.remove(at);
            }
        }
    }

    fn contains(&self, key: K) -> bool {
        self.0.binary_search_by_key(&key, |(key, _)| *key).is_ok()
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
    cores: Counts<u16>,
    ports: Counts<HostPort>,
}

impl Usage {
    /// Counts an allocation in.
    pub fn add(&mut self, ask: &Ask) {
        self.allocs += 1;
        self.cpu_mhz = self.cpu_mhz.saturating_add(ask.cpu_mhz);
        self.memory_mb = self.memory_mb.saturating_add(ask.memory_mb);
        self.disk_mb = self.disk_mb.saturating_add(ask.disk_mb);
        for core in &ask.cores {
            self.cores.add(*core);
        }
        for port in &ask.ports {
            self.ports.add(*port);
        }
    }

    /// Counts an allocation out that was counted in.
    pub fn remove(&mut self, ask: &Ask) {
        self.allocs = self.allocs.saturating_sub(1);
        self.cpu_mhz = self.cpu_mhz.saturating_sub(ask.cpu_mhz);
        self.memory_mb = self.memory_mb.saturating_sub(ask.memory_mb);
        self.disk_mb = self.disk_mb.saturating_sub(ask.disk_mb);
        for core in &ask.cores {
            self.cores.remove(*core);
        }
        for port in &ask.ports {
            self.ports.remove(*port);
        }
    }

    /// Whether a core is taken.
    pub fn core_taken(&self, core: u16) -> bool {
        self.cores.contains(core)
    }

    /// Whether a port on an address is taken.
    pub fn port_taken(&self, wanted: HostPort) -> bool {
        let first = self.ports.0.partition_point(|(held, _)| held.port < wanted.port);
        self.ports.0[first..].iter().take_while(|(held, _)| held.port == wanted.port).any(|(held, _)| held.address.meets(wanted.address))
    }

    /// Ports in use.
    pub fn ports(&self) -> impl Iterator<Item = HostPort> {
        self.ports.0.iter().map(|(port, _)| *port)
    }

    /// A port that several allocations hold at once, which only a fault can bring about.
    pub fn port_collision(&self) -> Option<u16> {
        self.ports.0.iter().find(|(_, count)| *count > 1).map(|(held, _)| held.port)
    }
}

/// Whether something fits, or the dimension that is short.
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
    let usable = |core: &u16| size.reservable_cores.contains(core) && !size.reserved_cores.contains(core);
    if ask.cores.iter().any(|core| usage.core_taken(*core) || !usable(core)) {
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
    match ask.ports.iter().find(|port| usage.port_taken(**port)) {
        Some(taken) => Err(Misfit::Port(taken.port)),
        None => Ok(()),
    }
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
        let http = HostPort { port: 80, address: HostAddress::of("a") };
        let ask = Ask { cpu_mhz: 5, memory_mb: 6, disk_mb: 7, cores: vec![1, 2], ports: vec![http] };
        let mut usage = Usage::default();
        usage.add(&ask);
        assert_eq!(fit(&node(), 0, &usage, &Ask { ports: vec![http], ..Ask::default() }), Err(Misfit::Port(80)));
        assert!(usage.port_taken(HostPort { address: HostAddress::ANY, ..http }));
        assert!(!usage.port_taken(HostPort { address: HostAddress::of("b"), ..http }));
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
