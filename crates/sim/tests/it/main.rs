//! Seeds of whole regions; each is run twice and must give the same trace.

use drover_macros::proves;
use drover_sim::{Bug, Report, Scenario, run};

/// Seeds in CI; more by hand: `cargo run --profile sim -p drover-sim --example sweep -- FROM COUNT`.
const SEEDS: std::ops::Range<u64> = 1..11;

fn scenario(seed: u64, bug: Option<Bug>) -> Scenario {
    Scenario { seed, nodes: 3, rounds: 12, bug }
}

#[proves("RFT-001")]
#[test]
fn every_seed_holds_all_invariants_and_repeats_itself() {
    let (mut states, mut crashes, mut acknowledged) = (0, 0, 0);
    for seed in SEEDS {
        let first: Report = run(scenario(seed, None));
        assert!(first.broken.is_empty(), "seed {seed}: {:#?}", first.broken);
        let second = run(scenario(seed, None));
        assert_eq!(first, second, "seed {seed} does not repeat itself");
        states += first.states;
        crashes += first.crashes;
        acknowledged += first.acknowledged;
    }
    println!("{states} states, {acknowledged} acknowledged registrations, {crashes} server crashes");
    assert!(crashes > 10 && acknowledged > 200, "the seeds must be worth running: {crashes} crashes, {acknowledged} registrations");
}

fn caught(bug: Bug) -> Vec<String> {
    let mut found = Vec::new();
    for seed in 1..40 {
        let report = run(scenario(seed, Some(bug)));
        found.extend(report.broken.iter().map(|broken| format!("seed {seed}: {}: {}", broken.id, broken.what)));
        if !found.is_empty() {
            println!("{bug:?} is caught by {}", found[0]);
            break;
        }
    }
    found
}

#[test]
fn a_log_that_does_not_sync_is_caught() {
    let found = caught(Bug::LostSync);
    assert!(found.iter().any(|line| line.contains("RFT-001") || line.contains("INV-16")), "{found:?}");
}

#[test]
fn a_broker_that_delivers_twice_is_caught() {
    let found = caught(Bug::DoubleDelivery);
    assert!(found.iter().any(|line| line.contains("INV-")), "{found:?}");
}

#[test]
fn a_capacity_count_that_is_stale_is_caught() {
    let found = caught(Bug::StaleCapacity);
    assert!(found.iter().any(|line| line.contains("INV-01")), "{found:?}");
}
