//! Where there is room: the nodes that take placements, by shape and by free capacity, kept in step by apply.
//!
//! Nodes of one [`Shape`] differ in nothing that the scheduler looks at but what is unique to them and what is in use, so
//! most of a decision is taken once per shape. Within a shape nodes lie in a grid of free processor time by free memory,
//! and [`Shape::best`] finds the node that suits an ask best by looking only at cells that can still win: branch and bound
//! with the score at a cell's better edge as the bound. Everything is persistent, so an evaluation changes its own copy.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use drover_model::{Node, NodeResources, SchedulerAlgorithm};
use imbl::{OrdMap, OrdSet};

use crate::rows::{NodeRow, NodeSlot};
use crate::usage::Usage;

/// Cells of the grid in each direction.
const CELLS: u32 = 64;
/// Nodes with the same free capacity that are passed over one by one before the search goes on behind them.
const RUN_MAX: u32 = 8;

/// The highest value of the packing score before it is brought to 1.
const PACKING_MAX: f64 = 18.0;
/// Rounding that must not hide a better node behind a bound.
const SLACK: f64 = 1e-9;

/// Room that a node has for a shape's grid, in MHz and MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// MHz.
    pub cpu_mhz: u32,
    /// MiB.
    pub memory_mb: u32,
}

impl Room {
    /// What a node has once what is reserved is taken off.
    pub fn of(size: &NodeResources) -> Self {
        Self {
            cpu_mhz: size.cpu_mhz.saturating_sub(size.reserved_cpu_mhz),
            memory_mb: size.memory_mb.saturating_sub(size.reserved_memory_mb),
        }
    }

    /// What is left beside `usage`.
    pub fn free(self, usage: &Usage) -> Self {
        Self { cpu_mhz: self.cpu_mhz.saturating_sub(usage.cpu_mhz), memory_mb: self.memory_mb.saturating_sub(usage.memory_mb) }
    }
}

/// BestFit v3: 20 − (10^free_cpu + 10^free_memory) with the free shares after the placement, and the same turned round
/// for spreading; cut to 0…18 and brought to 0…1 (SCH-032, SCH-033).
pub fn packing(algorithm: SchedulerAlgorithm, size: Room, free: Room, ask: Room) -> f64 {
    let share = |total: u32, free: u32, ask: u32| {
        if total == 0 { 0.0 } else { f64::from(free.saturating_sub(ask)) / f64::from(total) }
    };
    let cpu = 10f64.powf(share(size.cpu_mhz, free.cpu_mhz, ask.cpu_mhz));
    let memory = 10f64.powf(share(size.memory_mb, free.memory_mb, ask.memory_mb));
    scored(algorithm, cpu, memory)
}

/// The same with what is in use, which may be more than there is: what has to go is still counted.
pub fn packing_over(algorithm: SchedulerAlgorithm, size: Room, usage: &Usage, ask: Room) -> f64 {
    let power = |total: u32, used: u32, ask: u32| {
        let share = if total == 0 { 0.0 } else { 1.0 - (f64::from(used) + f64::from(ask)) / f64::from(total) };
        10f64.powf(share)
    };
    let cpu = power(size.cpu_mhz, usage.cpu_mhz, ask.cpu_mhz);
    let memory = power(size.memory_mb, usage.memory_mb, ask.memory_mb);
    scored(algorithm, cpu, memory)
}

fn scored(algorithm: SchedulerAlgorithm, cpu: f64, memory: f64) -> f64 {
    let raw = match algorithm {
        SchedulerAlgorithm::BinPack => 20.0 - (cpu + memory),
        SchedulerAlgorithm::Spread => (cpu + memory) - 2.0,
    };
    raw.clamp(0.0, PACKING_MAX) / PACKING_MAX
}

/// 10 to the power of n/64 for the edges of cells.
fn edges() -> &'static [f64; CELLS as usize + 1] {
    static EDGES: OnceLock<[f64; CELLS as usize + 1]> = OnceLock::new();
    EDGES.get_or_init(|| std::array::from_fn(|at| 10f64.powf(at as f64 / f64::from(CELLS))))
}

/// A node's position: cell row, cell column, free MHz, free MiB, slot, from the highest bits down.
type Entry = u128;

fn entry(row: u32, column: u32, free: Room, slot: u32) -> Entry {
    (u128::from(row) << 102)
        | (u128::from(column) << 96)
        | (u128::from(free.cpu_mhz) << 64)
        | (u128::from(free.memory_mb) << 32)
        | u128::from(slot)
}

#[expect(clippy::cast_possible_truncation, reason = "takes the bits of one part")]
fn parts(entry: Entry) -> (Room, NodeSlot) {
    (Room { cpu_mhz: (entry >> 64) as u32, memory_mb: (entry >> 32) as u32 }, NodeSlot::new(entry as u32))
}

/// The nodes of a shape that take placements.
#[derive(Clone, Debug)]
pub struct Shape {
    node: Arc<Node>,
    class: u64,
    size: Room,
    nodes: OrdSet<Entry>,
    /// Rows of the grid that have nodes.
    rows: u64,
    /// By row, the columns that have nodes.
    columns: [u64; CELLS as usize],
}

/// A node that was found, with its packing score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The node.
    pub slot: NodeSlot,
    /// How well it is packed with the ask.
    pub packing: f64,
}

impl Shape {
    /// A shape like that of `node`, without nodes.
    pub fn empty(node: Arc<Node>, class: u64) -> Self {
        let size = Room::of(&node.resources);
        Self { node, class, size, nodes: OrdSet::new(), rows: 0, columns: [0; CELLS as usize] }
    }

    /// One of the nodes that have been of this shape: all are alike in what the shape says.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The computed class of its nodes.
    pub fn class(&self) -> u64 {
        self.class
    }

    /// The size of its nodes.
    pub fn size(&self) -> Room {
        self.size
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes, fullest first.
    pub fn slots(&self) -> impl Iterator<Item = NodeSlot> {
        self.nodes.iter().map(|entry| parts(*entry).1)
    }

    fn row(&self, free: u32) -> u32 {
        cell(free, self.size.cpu_mhz)
    }

    fn column(&self, free: u32) -> u32 {
        cell(free, self.size.memory_mb)
    }

    fn entry(&self, slot: NodeSlot, free: Room) -> Entry {
        entry(self.row(free.cpu_mhz), self.column(free.memory_mb), free, slot.number())
    }

    /// Puts a node in, with what it has free.
    pub fn insert(&mut self, slot: NodeSlot, free: Room) {
        let (row, column) = (self.row(free.cpu_mhz), self.column(free.memory_mb));
        self.nodes.insert(entry(row, column, free, slot.number()));
        self.rows |= 1 << row;
        self.columns[row as usize] |= 1 << column;
    }

    /// Takes a node out that is in with this free capacity; whether it was.
    pub fn remove(&mut self, slot: NodeSlot, free: Room) -> bool {
        let entry = self.entry(slot, free);
        self.remove_entry(entry)
    }

    fn remove_entry(&mut self, gone: Entry) -> bool {
        if self.nodes.remove(&gone).is_none() {
            return false;
        }
        let cell = gone >> 96;
        let (row, column) = ((cell >> 6) as usize & 63, cell as usize & 63);
        if self.nodes.range(cell << 96..(cell + 1) << 96).next().is_none() {
            self.columns[row] &= !(1 << column);
            if self.columns[row] == 0 {
                self.rows &= !(1 << row);
            }
        }
        true
    }

    /// The node with the highest packing score above `floor` that has room for `ask` and that `accept` takes; of equal
    /// ones the one that comes first by free capacity and slot.
    pub fn best(
        &self,
        algorithm: SchedulerAlgorithm,
        asked: &Asked,
        floor: f64,
        mut accept: impl FnMut(NodeSlot) -> bool,
    ) -> Option<Found> {
        debug_assert_eq!(asked.size, self.size, "what is asked for was measured against nodes of this size");
        let mut search = Search { shape: self, algorithm, ask: asked.ask, asked, floor, found: None };
        search.run(&mut accept);
        search.found
    }
}

fn cell(free: u32, total: u32) -> u32 {
    if total == 0 { 0 } else { u32::try_from(u64::from(free) * u64::from(CELLS) / u64::from(total)).unwrap_or(CELLS).min(CELLS - 1) }
}

/// What is asked for of nodes of one size, with what follows from both alone.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    ask: Room,
    size: Room,
    /// What an ask takes off the power of the free share, as a factor.
    cpu_factor: f64,
    memory_factor: f64,
}

impl Asked {
    /// An ask of nodes of this size.
    pub fn new(ask: Room, size: Room) -> Self {
        let factor = |ask: u32, total: u32| if total == 0 { 1.0 } else { 10f64.powf(-f64::from(ask) / f64::from(total)) };
        Self { ask, size, cpu_factor: factor(ask.cpu_mhz, size.cpu_mhz), memory_factor: factor(ask.memory_mb, size.memory_mb) }
    }

    /// Whether it is this ask of nodes of this size.
    pub fn is(&self, ask: Room, size: Room) -> bool {
        self.ask == ask && self.size == size
    }
}

struct Search<'a> {
    shape: &'a Shape,
    asked: &'a Asked,
    algorithm: SchedulerAlgorithm,
    ask: Room,
    floor: f64,
    found: Option<Found>,
}

impl Search<'_> {
    fn packs(&self) -> bool {
        self.algorithm == SchedulerAlgorithm::BinPack
    }

    /// The best that 10^free can be for a cell: its lower edge when packing, its upper edge when spreading, after the ask.
    fn edge(&self, cell: u32, factor: f64) -> f64 {
        let edge = if self.packs() { edges()[cell as usize] } else { edges()[cell as usize + 1] };
        (edge * factor).max(1.0)
    }

    fn run(&mut self, accept: &mut impl FnMut(NodeSlot) -> bool) {
        let shape = self.shape;
        let (cpu_factor, memory_factor) = (self.asked.cpu_factor, self.asked.memory_factor);
        let (first_row, first_column) = (shape.row(self.ask.cpu_mhz), shape.column(self.ask.memory_mb));
        if self.ask.cpu_mhz > shape.size.cpu_mhz || self.ask.memory_mb > shape.size.memory_mb {
            return;
        }
        let from = |first: u32| u64::MAX << first;
        let best_column = if self.packs() { first_column } else { CELLS - 1 };
        let mut rows = shape.rows & from(first_row);
        while let Some(row) = self.next(&mut rows) {
            let cpu = self.edge(row, cpu_factor);
            if scored(self.algorithm, cpu, self.edge(best_column, memory_factor)) + SLACK <= self.floor {
                return;
            }
            let mut columns = shape.columns[row as usize] & from(first_column);
            while let Some(column) = self.next(&mut columns) {
                if scored(self.algorithm, cpu, self.edge(column, memory_factor)) + SLACK <= self.floor {
                    break;
                }
                self.cell(row, column, accept);
            }
        }
    }

    /// The next bit, from the fuller end when packing, from the emptier one when spreading.
    fn next(&self, bits: &mut u64) -> Option<u32> {
        if *bits == 0 {
            return None;
        }
        let bit = if self.packs() { bits.trailing_zeros() } else { 63 - bits.leading_zeros() };
        *bits &= !(1 << bit);
        Some(bit)
    }

    fn cell(&mut self, row: u32, column: u32, accept: &mut impl FnMut(NodeSlot) -> bool) {
        let least = Room { cpu_mhz: self.ask.cpu_mhz, memory_mb: 0 };
        let most = Room { cpu_mhz: u32::MAX, memory_mb: u32::MAX };
        let end = entry(row, column, most, u32::MAX);
        let mut start = entry(row, column, least, 0);
        loop {
            let (mut last, mut packing, mut run) = (None, 0.0, 0);
            let walked = self.shape.nodes.range(start..=end).try_for_each(|position| {
                let (free, slot) = parts(*position);
                if last == Some(free) {
                    run += 1;
                } else {
                    (last, run) = (Some(free), 0);
                    packing = if free.memory_mb < self.ask.memory_mb || free.cpu_mhz < self.ask.cpu_mhz {
                        f64::NEG_INFINITY
                    } else {
                        self::packing(self.algorithm, self.shape.size, free, self.ask)
                    };
                }
                if packing > self.floor {
                    if accept(slot) {
                        self.floor = packing;
                        self.found = Some(Found { slot, packing });
                    }
                } else if run >= RUN_MAX {
                    return ControlFlow::Break(entry(row, column, free, u32::MAX));
                }
                ControlFlow::Continue(())
            });
            match walked {
                ControlFlow::Break(behind) => start = behind,
                ControlFlow::Continue(()) => return,
            }
        }
    }
}

/// The nodes that take placements, by shape.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    shapes: OrdMap<u64, Arc<Shape>>,
}

/// Where a node lies in [`Capacity`]; follows from the row and is not stored.
#[derive(Clone, Debug, Default)]
pub struct Position {
    /// What the shape was worked out from.
    node: Option<Arc<Node>>,
    shape: u64,
    entry: Option<Entry>,
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        (self.shape, self.entry) == (other.shape, other.entry)
    }
}

impl Position {
    /// The shape of the node.
    pub fn shape(&self) -> u64 {
        self.shape
    }
}

impl Capacity {
    /// The shapes that have nodes which take placements.
    pub fn shapes(&self) -> impl Iterator<Item = (u64, &Arc<Shape>)> {
        self.shapes.iter().map(|(id, shape)| (*id, shape))
    }

    /// Brings a node's position in step with its row.
    pub(crate) fn update(&mut self, slot: NodeSlot, row: &mut NodeRow) {
        let known = row.position.node.as_ref().is_some_and(|node| Arc::ptr_eq(node, &row.node));
        if !known {
            self.take_out(&row.position);
            row.position = Position { node: Some(Arc::clone(&row.node)), shape: row.node.shape(), entry: None };
        }
        let free = Room::of(&row.node.resources).free(&row.held);
        let size = Room::of(&row.node.resources);
        let wanted =
            row.ready().then(|| entry(cell(free.cpu_mhz, size.cpu_mhz), cell(free.memory_mb, size.memory_mb), free, slot.number()));
        if wanted == row.position.entry {
            return;
        }
        if let (Some(before), Some(_)) = (row.position.entry, wanted) {
            // Both in the same shape, which is there.
            if let Some(shape) = self.shapes.get_mut(&row.position.shape) {
                let shape = Arc::make_mut(shape);
                shape.remove_entry(before);
                shape.insert(slot, free);
            }
        } else {
            self.take_out(&row.position);
            if wanted.is_some() {
                let fresh = || Arc::new(Shape::empty(Arc::clone(&row.node), row.class));
                let shape = self.shapes.entry(row.position.shape).or_insert_with(fresh);
                Arc::make_mut(shape).insert(slot, free);
            }
        }
        row.position.entry = wanted;
    }

    /// Takes a node out that is gone.
    pub(crate) fn forget(&mut self, row: &NodeRow) {
        self.take_out(&row.position);
    }

    fn take_out(&mut self, position: &Position) {
        let Some(entry) = position.entry else { return };
        let emptied = self.shapes.get_mut(&position.shape).is_some_and(|shape| {
            let shape = Arc::make_mut(shape);
            shape.remove_entry(entry);
            shape.is_empty()
        });
        if emptied {
            self.shapes.remove(&position.shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(cpu_mhz: u32, memory_mb: u32) -> Shape {
        let resources = NodeResources { cpu_mhz, memory_mb, ..NodeResources::default() };
        Shape::empty(Arc::new(Node { resources, ..Node::default() }), 0)
    }

    proptest! {
        #[test]
        fn the_index_finds_what_looking_at_every_node_finds(
            frees in proptest::collection::vec((0u32..=1000, 0u32..=1000), 1..80),
            asks in proptest::collection::vec((0u32..=1000, 0u32..=1000), 1..6),
            gone in proptest::collection::vec(0usize..80, 0..10),
            modulus in 1u32..4,
            spread: bool,
        ) {
            let algorithm = if spread { SchedulerAlgorithm::Spread } else { SchedulerAlgorithm::BinPack };
            let mut shape = shape(1000, 1000);
            let mut nodes = Vec::new();
            for (number, (cpu_mhz, memory_mb)) in frees.iter().enumerate() {
                // Many nodes alike, as in a real cluster.
                let free = Room { cpu_mhz: cpu_mhz / 50 * 50, memory_mb: memory_mb / 100 * 100 };
                let slot = NodeSlot::new(u32::try_from(number).unwrap());
                shape.insert(slot, free);
                nodes.push(Some((slot, free)));
            }
            for at in gone {
                if let Some((slot, free)) = nodes.get_mut(at).and_then(Option::take) {
                    prop_assert!(shape.remove(slot, free));
                }
            }
            for (cpu_mhz, memory_mb) in asks {
                let ask = Room { cpu_mhz, memory_mb };
                let accept = |slot: NodeSlot| slot.number() % modulus == 0;
                let by_walk = nodes
                    .iter()
                    .flatten()
                    .filter(|(slot, free)| free.cpu_mhz >= cpu_mhz && free.memory_mb >= memory_mb && accept(*slot))
                    .map(|(_, free)| packing(algorithm, shape.size(), *free, ask))
                    .max_by(f64::total_cmp);
                let by_index = shape.best(algorithm, &Asked::new(ask, shape.size()), f64::NEG_INFINITY, accept);
                prop_assert_eq!(by_index.map(|found| found.packing), by_walk);
            }
        }
    }
}
