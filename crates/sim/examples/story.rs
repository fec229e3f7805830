//! Tells what happens under a seed, state by state: `cargo run --profile sim -p drover-sim --example story -- SEED [TEXT]`. With a
//! text, only lines that have it and what is broken.

use std::collections::BTreeMap;
use std::sync::Mutex;

use drover_server::state::Snapshot;
use drover_sim::{Scenario, run_watched};

/// What can be told of a state: a name of each thing, and how it stands.
fn things(state: &Snapshot) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for row in state.jobs() {
        let job = row.job();
        let counts: Vec<u32> = job.task_groups.iter().map(|group| group.count).collect();
        let says = format!("{} v{} {counts:?} priority {} stop {} {:?}", job.kind, job.version, job.priority, job.stop, row.status);
        out.insert(format!("job {}", row.id()), says);
    }
    for (slot, row) in state.nodes() {
        let says =
            format!("{} {slot:?} {} eligible {} drain {:?}", row.node.id, row.status, row.eligible, row.drain.map(|drain| drain.spec));
        out.insert(format!("node {}", row.node.name), says);
    }
    for alloc in state.allocs() {
        let says = format!(
            "on {} v{} {:?} {} canary {} health {:?} by {:?} after {:?} next {:?} followed up by {:?} {} {:?}",
            alloc.node_id,
            alloc.job.version,
            alloc.desired,
            alloc.client_status,
            alloc.canary,
            alloc.health.as_ref().map(|(health, _)| health.healthy),
            alloc.rare.preempted_by,
            alloc.rare.previous,
            alloc.rare.next,
            alloc.rare.followup_eval,
            alloc.rare.reschedules.as_ref().map_or(0, |events| events.len()),
            alloc.transition
        );
        out.insert(format!("alloc {} {}", alloc.name(), alloc.id), says);
    }
    for eval in state.evals() {
        out.insert(
            format!("eval {} of {}", eval.id, eval.job_id),
            format!("{} by {:?} waits until {:?}", eval.status, eval.trigger, eval.wait_until),
        );
    }
    for deployment in state.deployments() {
        out.insert(
            format!("deployment {} of {}", deployment.id, deployment.job_id),
            format!("{} v{}", deployment.status, deployment.job_version),
        );
    }
    out
}

fn main() {
    let mut words = std::env::args().skip(1);
    let seed = words.next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let only = words.next().unwrap_or_default();
    let before = Mutex::new(BTreeMap::new());
    let witness = move |state: &Snapshot, broken: &[drover_sim::invariants::Broken]| {
        let now = things(state);
        let mut before = before.lock().expect("one state at a time");
        let told = |line: String| {
            if line.contains(&only) {
                println!("{} {:?} {line}", state.index(), state.time());
            }
        };
        for (name, says) in &now {
            match before.get(name) {
                Some(old) if old == says => {}
                Some(_) => told(format!("{name}: {says}")),
                None => told(format!("new {name}: {says}")),
            }
        }
        before.keys().filter(|name| !now.contains_key(*name)).for_each(|name| told(format!("gone {name}")));
        for broken in broken {
            println!("{} {:?} BROKEN {}: {}", state.index(), state.time(), broken.id, broken.what);
        }
        *before = now;
    };
    let report = run_watched(Scenario { seed, nodes: 3, rounds: 14, bug: None }, witness);
    println!("{:#?}", report.broken);
}
