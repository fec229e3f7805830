//! When failed allocations are replaced, and which evaluations wait for that.

use std::collections::BTreeMap;

use drover_base::Rng;
use drover_macros::proves;
use drover_scheduler::reschedule::next_delay;
use drover_scheduler::{Context, Outcome, process};
use serde_json::{Value, json};

use crate::golden::{finish, records};
use crate::scenarios::World;
use crate::scenarios::input::{NOW, list, seconds, text, time};

fn evaluated(scenario: &Value) -> (World, Outcome) {
    let world = World::of(scenario);
    let outcome = process(&world.state, &world.eval, &mut Context { now: NOW, rng: Rng::new(1) });
    (world, outcome)
}

fn failed(id: &str, index: usize, at: &Value) -> Value {
    let task = json!({ "state": "dead", "failed": true, "finished_at": at });
    json!({ "id": id, "index": index, "node": format!("n{}", index + 1), "client": "failed", "tasks": { "t": task } })
}

fn nodes(count: usize) -> Vec<Value> {
    (1..=count).map(|number| json!({ "id": format!("n{number}") })).collect()
}

#[proves("REC-027", "REC-028", "REC-029", "REC-030", "REC-031", "REC-032", "REC-035", "REC-039")]
#[test]
fn failures_are_judged_as_recorded() {
    let (mut total, mut wrong) = (0, Vec::new());
    for row in records("scheduler-reschedule") {
        total += 1;
        let mut group = json!({ "count": 1 });
        if !row["policy"].is_null() {
            group["reschedule"] = row["policy"].clone();
        }
        let mut alloc = failed("a0", 0, &row["failed_at"]);
        let events = list(&row["events"]).iter().enumerate().map(|(position, event)| {
            json!({ "at": event["at"], "delay": event["delay"], "prev_alloc": format!("x{position}"), "prev_node": "n2" })
        });
        alloc["reschedule_events"] = Value::Array(events.collect());
        let scenario = json!({
            "nodes": nodes(2),
            "jobs": [{ "id": "app", "type": row["job_type"], "groups": [group] }],
            "allocs": [alloc],
            "eval": { "trigger": "alloc-failure" },
        });
        let (world, outcome) = evaluated(&scenario);
        let placed = outcome.plan.placements.first();
        let (result, at, recorded) = match (placed, outcome.followups.first()) {
            (Some(placement), _) => ("now", Value::Null, json!(placement.reschedules.len())),
            (None, Some(followup)) => ("later", json!(seconds(followup.wait_until)), Value::Null),
            (None, None) => ("never", Value::Null, Value::Null),
        };
        let alloc = world.state.allocs().next().unwrap();
        let policy = alloc.task_group().reschedule_policy.clone().unwrap();
        let past = alloc.rare.reschedules.as_deref().cloned().unwrap_or_default();
        let delay = next_delay(&policy, &past, time(&row["failed_at"], 0.0)).as_secs_f64();
        let same = |a: &Value, b: &Value| a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() < 1e-6);
        let agrees = text(&row["outcome"], "") == result
            && same(&row["at"], &at)
            && same(&row["recorded_events"], &recorded)
            && same(&row["delay"], &json!(delay));
        if !agrees {
            wrong.push(format!("{row}: got {result} at {at}, delay {delay}, {recorded} events"));
        }
    }
    finish("reschedule", total, &wrong);
}

#[proves("REC-033", "REC-034")]
#[test]
fn waits_are_shared_as_recorded() {
    let (mut total, mut wrong) = (0, Vec::new());
    for row in records("scheduler-delayed-evals") {
        total += 1;
        let failures = list(&row["failed_at"]);
        let allocs: Vec<Value> = failures.iter().enumerate().map(|(index, at)| failed(&format!("a{index}"), index, at)).collect();
        let reschedule = json!({ "delay": row["delay"], "delay_function": "constant", "unlimited": true });
        let scenario = json!({
            "nodes": nodes(failures.len()),
            "jobs": [{ "id": "app", "groups": [{ "count": failures.len(), "reschedule": reschedule }] }],
            "allocs": allocs,
            "eval": { "trigger": "alloc-failure" },
        });
        let (world, outcome) = evaluated(&scenario);
        let mut waits: Vec<f64> = outcome.followups.iter().map(|eval| seconds(eval.wait_until)).collect();
        waits.sort_by(f64::total_cmp);
        let of: BTreeMap<String, f64> = outcome
            .plan
            .in_place
            .iter()
            .filter_map(|update| {
                let eval = outcome.followups.iter().find(|eval| Some(eval.id) == update.followup_eval)?;
                Some((world.label(update.id), seconds(eval.wait_until)))
            })
            .collect();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let expected: Vec<f64> = list(&row["followups"]).iter().map(|at| at.as_f64().unwrap()).collect();
        let expected_of = row["alloc_followup"].as_object().unwrap();
        let same = waits.len() == expected.len()
            && waits.iter().zip(&expected).all(|(a, b)| close(*a, *b))
            && of.len() == expected_of.len()
            && of.iter().all(|(label, at)| expected_of.get(label).is_some_and(|wish| close(wish.as_f64().unwrap(), *at)));
        if !same {
            wrong.push(format!("{row}: got {waits:?} {of:?}"));
        }
    }
    finish("delayed-evals", total, &wrong);
}
