//! Runs many seeds: `cargo run --profile sim -p drover-sim --example sweep -- FROM COUNT`.

use drover_sim::{Scenario, run};

fn main() {
    let mut words = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let (from, count) = (words.next().unwrap_or(1), words.next().unwrap_or(100));
    let (mut bad, mut states, mut crashes) = (0, 0, 0);
    for seed in from..from + count {
        let report = run(Scenario { seed, nodes: 3, rounds: 14, bug: None });
        states += report.states;
        crashes += report.crashes;
        if !report.broken.is_empty() {
            bad += 1;
            println!("seed {seed}: {:#?}", report.broken);
        }
    }
    println!("{count} seeds, {states} states, {crashes} server crashes, {bad} seeds with broken invariants");
    std::process::exit(i32::from(bad > 0));
}
