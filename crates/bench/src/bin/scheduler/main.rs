//! The scheduler alone, in this process: what a placement costs on clusters of the shapes that upstream measures itself
//! on, what a dispatch costs, how much an allocation weighs, and how well nodes are packed.
//!
//!     cargo run --release -p drover-bench --bin scheduler [memory|job|dispatch|packing]

mod cluster;

use std::time::Duration;

use drover_base::Rng;
use drover_model::JobType;
use drover_rt::Clock;

use cluster::{Cluster, Size, Wish};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Upstream's time for one evaluation on one core, where it was measured: nodes, allocations, milliseconds without and
/// with spread.
const UPSTREAM: &[(u32, u32, f64, f64)] =
    &[(500, 50, 12.0, 144.0), (500, 1_200, 389.0, 5_117.0), (1_000, 600, 123.0, 9_805.0), (1_000, 900, 539.0, 15_547.0)];

fn main() {
    let clock = Clock::system();
    let wanted = std::env::args().nth(1);
    let runs = |part: &str| wanted.as_deref().is_none_or(|wanted| wanted == part);
    // Memory first: what others leave behind would hide it.
    if runs("memory") {
        memory();
    }
    if runs("job") {
        one_job(&clock);
    }
    if runs("dispatch") {
        dispatches(&clock);
    }
    if runs("packing") {
        packing();
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// One evaluation of one service job, as upstream's own benchmark has it.
fn one_job(clock: &Clock) {
    println!("one evaluation of one job, µs a placement (× faster than upstream where known)");
    println!("{:>7} {:>6} {:>7} {:>12} {:>12}", "nodes", "racks", "allocs", "plain", "spread");
    for nodes in [500, 1_000, 5_000, 10_000] {
        for racks in [25, 50, 75] {
            let cluster = Cluster::new(nodes, racks, Size::LARGE);
            for allocs in [50, 300, 600, 900, 1_200] {
                let mut cells = Vec::new();
                for spread in [false, true] {
                    let wish = Wish { count: allocs, spread, kind: JobType::Service, cpu: 100, memory_mb: 100 };
                    let mut best = Duration::MAX;
                    for _ in 0..3 {
                        let mut cluster = cluster.clone();
                        cluster.register("bench", &wish);
                        let began = clock.monotonic();
                        let outcome = cluster.process("bench");
                        best = best.min(clock.monotonic().since(began));
                        assert_eq!(outcome.plan.placements.len(), allocs as usize, "all are placed");
                    }
                    let each = micros(best) / f64::from(allocs);
                    let known = UPSTREAM.iter().find(|(of, count, _, _)| (*of, *count) == (nodes, allocs));
                    let upstream = known.map(|(_, _, plain, with)| if spread { *with } else { *plain });
                    cells.push(match upstream {
                        Some(ms) => format!("{each:.1} ({:.0}×)", ms * 1e3 / f64::from(allocs) / each),
                        None => format!("{each:.1}"),
                    });
                }
                println!("{nodes:>7} {racks:>6} {allocs:>7} {:>12} {:>12}", cells[0], cells[1]);
            }
        }
    }
}

/// Many jobs of one allocation each on a cluster that fills up.
fn dispatches(clock: &Clock) {
    println!("\njobs of one allocation, µs each: worked out, and applied");
    for nodes in [100, 1_000, 10_000] {
        let mut cluster = Cluster::new(nodes, 25, Size::LARGE);
        let mut rng = Rng::new(3);
        let (mut worked_out, mut applied) = (Duration::ZERO, Duration::ZERO);
        let jobs = 5_000u32;
        for number in 0..jobs {
            let wish = Wish {
                count: 1,
                spread: false,
                kind: JobType::Batch,
                cpu: 50 + u32::try_from(rng.below(4)).unwrap_or(0) * 25,
                memory_mb: 64 + u32::try_from(rng.below(4)).unwrap_or(0) * 32,
            };
            let name = format!("dispatch-{number}");
            cluster.register(&name, &wish);
            let began = clock.monotonic();
            let outcome = cluster.process(&name);
            let between = clock.monotonic();
            worked_out += between.since(began);
            cluster.commit(vec![outcome.plan]);
            applied += clock.monotonic().since(between);
        }
        println!("{nodes:>7} nodes {:>8.1} {:>8.1}", micros(worked_out) / f64::from(jobs), micros(applied) / f64::from(jobs));
    }
}

/// Memory of this process, in KiB.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What an allocation weighs in the state: placed, and running as the mock driver reports it.
fn memory() {
    let mut cluster = Cluster::new(1_000, 25, Size { cpu_mhz: 100_000, memory_mb: 100_000 });
    let count = 100_000;
    cluster.register("heavy", &Wish { count, spread: false, kind: JobType::Batch, cpu: 10, memory_mb: 10 });
    let before = resident_kib();
    let plan = cluster.process("heavy").plan;
    for chunk in plan.chunks_of(2_000) {
        cluster.commit(vec![chunk]);
    }
    let placed = resident_kib();
    cluster.run_all();
    let running = resident_kib();
    let each = |kib: u64| (kib.saturating_sub(before)) as f64 / f64::from(count);
    println!("memory of {count} allocations of one job: {:.2} KiB each placed, {:.2} KiB each running", each(placed), each(running));
}

/// Nodes that a stream of tasks of mixed sizes comes to use, against packing all of them at once, largest first.
fn packing() {
    println!("\nnodes used against first-fit-decreasing over all tasks");
    for (name, seed) in [("mixed", 1u64), ("mostly small", 2), ("two kinds", 3)] {
        let mut rng = Rng::new(seed);
        let mut sizes: Vec<(u32, u32)> = Vec::new();
        for _ in 0..4_000 {
            let draw = |rng: &mut Rng, bound: u64| u32::try_from(rng.below(bound)).unwrap_or(0);
            sizes.push(match name {
                "mixed" => (100 + draw(&mut rng, 30) * 50, 128 + draw(&mut rng, 30) * 64),
                "mostly small" if rng.chance(0.9) => (50 + draw(&mut rng, 4) * 25, 64 + draw(&mut rng, 4) * 32),
                "mostly small" => (1_000 + draw(&mut rng, 8) * 250, 1_024 + draw(&mut rng, 8) * 512),
                _ if rng.chance(0.5) => (800, 200),
                _ => (200, 1_600),
            });
        }
        let mut cluster = Cluster::new(1_500, 25, Size::SMALL);
        for (number, (cpu, memory_mb)) in sizes.iter().enumerate() {
            let job = format!("trace-{number}");
            cluster.register(&job, &Wish { count: 1, spread: false, kind: JobType::Batch, cpu: *cpu, memory_mb: *memory_mb });
            let plan = cluster.process(&job).plan;
            assert_eq!(plan.placements.len(), 1, "there is room");
            cluster.commit(vec![plan]);
        }
        let used = cluster.nodes_used();
        let bound = first_fit_decreasing(sizes, Size::SMALL);
        println!("{name:>14}: {used} nodes, bound {bound}, {:+.1} %", (used as f64 / bound as f64 - 1.0) * 100.0);
    }
}

fn first_fit_decreasing(mut sizes: Vec<(u32, u32)>, node: Size) -> usize {
    let weight = |(cpu, memory): &(u32, u32)| {
        let share = |part: u32, whole: u32| u64::from(part) * 1_000_000 / u64::from(whole);
        share(*cpu, node.cpu_mhz).max(share(*memory, node.memory_mb))
    };
    sizes.sort_by_key(|size| std::cmp::Reverse(weight(size)));
    let mut bins: Vec<(u32, u32)> = Vec::new();
    for (cpu, memory) in sizes {
        match bins.iter_mut().find(|(free_cpu, free_memory)| *free_cpu >= cpu && *free_memory >= memory) {
            Some(bin) => *bin = (bin.0 - cpu, bin.1 - memory),
            None => bins.push((node.cpu_mhz - cpu, node.memory_mb - memory)),
        }
    }
    bins.len()
}
