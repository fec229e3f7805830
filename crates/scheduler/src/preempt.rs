//! Preemption: which allocations of lesser jobs have to go from a node so that an ask fits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::AllocId;
use drover_model::{JobId, Node};
use drover_state::{Alloc, Ask, HostAddress, HostPort, Room, Usage};

use crate::offer::Demand;

/// How much less important a job must be for its allocations to go (SCH-078).
const PRIORITY_GAP: u8 = 10;
/// What each victim beyond a group's `migrate.max_parallel` adds to its distance (SCH-082).
const PARALLEL_PENALTY: f64 = 50.0;

/// Who asks, and what the plan does already.
pub struct Preemptor<'a> {
    /// The job that asks; its own allocations stay (SCH-081).
    pub job: &'a JobId,
    /// Its priority.
    pub priority: u8,
    /// Allocations that the plan stops or evicts.
    pub leaving: &'a BTreeSet<AllocId>,
    /// Victims of the plan by job and group.
    pub victims: &'a BTreeMap<(JobId, String), u32>,
}

/// Processor time, memory and disk, which may be less than nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amount {
    cpu: i64,
    memory: i64,
    disk: i64,
}

impl Amount {
    fn of(ask: &Ask) -> Self {
        Self { cpu: i64::from(ask.cpu_mhz), memory: i64::from(ask.memory_mb), disk: i64::from(ask.disk_mb) }
    }

    fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory, disk: self.disk + other.disk }
    }

    fn minus(self, other: Self) -> Self {
        Self { cpu: self.cpu - other.cpu, memory: self.memory - other.memory, disk: self.disk - other.disk }
    }

    fn covers(self, other: Self) -> bool {
        self.cpu >= other.cpu && self.memory >= other.memory && self.disk >= other.disk
    }

    /// How far what `freed` gives is from what is needed: 0 is an exact match.
    fn distance(self, freed: Self) -> f64 {
        let part = |needed: i64, freed: i64| if needed > 0 { (needed - freed) as f64 / needed as f64 } else { 0.0 };
        [part(self.cpu, freed.cpu), part(self.memory, freed.memory), part(self.disk, freed.disk)]
            .iter()
            .map(|part| part * part)
            .sum::<f64>()
            .sqrt()
    }
}

/// Allocations that have to go.
pub type Victims = Vec<Arc<Alloc>>;

struct Candidate {
    alloc: Arc<Alloc>,
    ask: Ask,
    /// Added to its distance.
    penalty: f64,
}

impl Preemptor<'_> {
    /// The allocations that have to go from a node so that the demand fits beside the rest, or `None` if that
    /// cannot be: those that hold static ports, and those whose room is needed.
    pub fn victims<'a>(
        &self,
        node: &Node,
        allocs: impl Iterator<Item = &'a Arc<Alloc>>,
        usage: &Usage,
        demand: &Demand,
    ) -> Option<(Victims, Victims)> {
        let there = allocs.filter(|alloc| !alloc.client_terminal() && !self.leaving.contains(&alloc.id));
        let there: Vec<(&Arc<Alloc>, Ask)> = there.map(|alloc| (alloc, Ask::of(&alloc.resources))).collect();
        let may_go = |alloc: &Alloc| {
            !alloc.terminal()
                && alloc.job.id != *self.job
                && u16::from(alloc.job.priority) + u16::from(PRIORITY_GAP) <= u16::from(self.priority)
        };
        let mut victims: Vec<Arc<Alloc>> = Vec::new();
        let size = &node.resources;
        let room = Room::of(size);
        let total = Amount {
            cpu: i64::from(room.cpu_mhz),
            memory: i64::from(room.memory_mb),
            disk: i64::from(size.disk_mb.saturating_sub(size.reserved_disk_mb)),
        };
        let used = Amount { cpu: i64::from(usage.cpu_mhz), memory: i64::from(usage.memory_mb), disk: i64::from(usage.disk_mb) };
        let mut free = total.minus(used);
        for port in demand.static_ports() {
            let alias = crate::ports::alias(port, node)?;
            let addresses = size.networks.iter().flat_map(|network| &network.addresses).filter(|address| address.alias == *alias);
            let wanted: Vec<HostPort> =
                addresses.map(|address| HostPort { port: port.value, address: HostAddress::of(&address.address) }).collect();
            let holders = there.iter().filter(|(_, ask)| ask.ports.iter().any(|held| wanted.contains(held)));
            for (alloc, ask) in holders {
                // One that is too important holds the port for good (SCH-085).
                if !may_go(alloc) {
                    return None;
                }
                if !victims.iter().any(|victim| victim.id == alloc.id) {
                    victims.push(Arc::clone(alloc));
                    free = free.plus(Amount::of(ask));
                }
            }
        }
        let room = demand.room(node);
        let wanted = Amount { cpu: i64::from(room.cpu_mhz), memory: i64::from(room.memory_mb), disk: i64::from(demand.ask().disk_mb) };
        if free.covers(wanted) {
            return Some((victims, Vec::new()));
        }
        let mut by_priority: BTreeMap<u8, Vec<Candidate>> = BTreeMap::new();
        for (alloc, ask) in there.into_iter().filter(|(alloc, _)| may_go(alloc) && !victims.iter().any(|victim| victim.id == alloc.id)) {
            let group = alloc.task_group();
            let most = group.migrate.as_ref().map_or(0, |migrate| migrate.max_parallel);
            let gone = self.victims.get(&(alloc.job.id.clone(), group.name.clone())).copied().unwrap_or(0);
            let penalty = if most > 0 && gone >= most { f64::from(gone + 1 - most) * PARALLEL_PENALTY } else { 0.0 };
            by_priority.entry(alloc.job.priority).or_default().push(Candidate { alloc: Arc::clone(alloc), ask, penalty });
        }
        let chosen = choose(by_priority, free, wanted)?;
        Some((victims, spare(chosen, free, wanted)))
    }
}

/// The least important first, of those the closest match to what is still needed (SCH-082).
fn choose(by_priority: BTreeMap<u8, Vec<Candidate>>, free: Amount, wanted: Amount) -> Option<Vec<Candidate>> {
    let (mut chosen, mut available, mut needed) = (Vec::new(), free, wanted);
    for mut candidates in by_priority.into_values() {
        while !candidates.is_empty() {
            let distance = |candidate: &Candidate| needed.distance(Amount::of(&candidate.ask)) + candidate.penalty;
            let closest = (0..candidates.len()).min_by(|a, b| distance(&candidates[*a]).total_cmp(&distance(&candidates[*b])))?;
            let candidate = candidates.swap_remove(closest);
            available = available.plus(Amount::of(&candidate.ask));
            needed = needed.minus(Amount::of(&candidate.ask));
            chosen.push(candidate);
            if available.covers(wanted) {
                return Some(chosen);
            }
        }
    }
    None
}

/// Takes the chosen ones again from the farthest to the nearest until the ask fits; the rest is spared (SCH-083).
fn spare(mut chosen: Vec<Candidate>, free: Amount, wanted: Amount) -> Vec<Arc<Alloc>> {
    let distance = |candidate: &Candidate| wanted.distance(Amount::of(&candidate.ask));
    chosen.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
    let (mut available, mut gone) = (free, Vec::new());
    for candidate in chosen {
        if available.covers(wanted) {
            break;
        }
        available = available.plus(Amount::of(&candidate.ask));
        gone.push(candidate.alloc);
    }
    gone
}

/// The part that preemption adds to a node's score: the more important the victims, the less (SCH-084).
pub fn score(priorities: impl Iterator<Item = u8> + Clone) -> f64 {
    let highest = f64::from(priorities.clone().max().unwrap_or(0));
    let sum: f64 = priorities.map(f64::from).sum();
    let net = if highest > 0.0 { highest + sum / highest } else { 0.0 };
    1.0 / (1.0 + (0.0048 * (net - 2048.0)).exp())
}
