//! The rules of reconciling, each shown by the recorded runs that are about it.
//!
//! A test here names ids of the ledger and runs every scenario that lists one of them; each must agree in every field.

use drover_base::Rng;
use drover_macros::proves;
use drover_model::JobType;
use drover_scheduler::{Attempts, Context, process};
use serde_json::{Value, json};

use crate::scenarios::input::NOW;
use crate::scenarios::{World, prove};

#[proves("REC-001", "REC-002", "REC-003", "REC-005", "REC-006", "REC-008", "REC-009")]
#[test]
fn groups_have_their_count_under_the_lowest_numbers() {
    prove(&["REC-001", "REC-002", "REC-003", "REC-005", "REC-006", "REC-008", "REC-009"]);
}

#[proves("REC-007")]
#[test]
fn a_stopped_job_stops_everything() {
    prove(&["REC-007"]);
}

#[proves("REC-010", "REC-011", "REC-012", "REC-024", "REC-025")]
#[test]
fn batch_jobs_count_what_is_done_and_repeat_what_failed() {
    prove(&["REC-010", "REC-011", "REC-012", "REC-024", "REC-025"]);
}

#[proves("REC-013", "REC-014", "REC-015", "REC-016")]
#[test]
fn services_replace_what_ended_and_link_what_they_replace() {
    prove(&["REC-013", "REC-014", "REC-015", "REC-016"]);
}

#[proves("REC-017", "REC-018", "REC-019", "REC-020", "REC-021", "REC-022", "REC-023", "REC-026")]
#[test]
fn lost_and_migrating_allocations_are_replaced_whatever_the_deployment_does() {
    prove(&["REC-017", "REC-018", "REC-019", "REC-020", "REC-021", "REC-022", "REC-023", "REC-026"]);
}

#[proves("REC-027", "REC-028", "REC-029", "REC-031", "REC-032", "REC-033", "REC-034", "REC-035", "REC-036", "REC-038", "REC-039")]
#[test]
fn failed_allocations_are_replaced_as_their_policy_says() {
    prove(&["REC-027", "REC-028", "REC-029", "REC-031", "REC-032", "REC-033", "REC-034", "REC-035", "REC-036", "REC-038", "REC-039"]);
}

#[proves("REC-041", "REC-042", "REC-043", "REC-045")]
#[test]
fn deployments_decide_about_their_own_failures() {
    prove(&["REC-041", "REC-042", "REC-043", "REC-045"]);
}

#[proves("REC-046", "REC-047", "REC-051")]
#[test]
fn a_change_restarts_tasks_only_where_it_has_to() {
    prove(&["REC-046", "REC-047", "REC-051"]);
}

/// The recorded runs of this count filtered nodes in another way, so what they are about is shown by itself.
#[proves("REC-049")]
#[test]
fn a_change_that_the_node_no_longer_qualifies_for_moves_the_allocation() {
    let outcome = |nodes: &Value| {
        let needs = json!([["${meta.ok}", "=", "1"]]);
        let world = World::of(&json!({
            "nodes": nodes,
            "jobs": [{ "id": "app", "groups": [{}] }, { "id": "app", "version": 1, "constraints": needs, "groups": [{}] }],
            "allocs": [{ "id": "a0", "version": 0, "node": "n1" }],
            "eval": {},
        }));
        let outcome = process(&world.state, &world.eval, &mut Context { now: NOW, rng: Rng::new(1) });
        let placed: Vec<String> = outcome.plan.placements.iter().map(|placement| world.label(placement.node_id)).collect();
        (placed, outcome.plan.stops.len(), outcome.plan.in_place.len())
    };
    assert_eq!(outcome(&json!([{ "id": "n1", "meta": { "ok": "1" } }])), (vec![], 0, 1), "it goes on where it is");
    assert_eq!(outcome(&json!([{ "id": "n1" }, { "id": "n2", "meta": { "ok": "1" } }])), (vec!["n2".to_owned()], 1, 0), "it moves");
    assert_eq!(outcome(&json!([{ "id": "n1" }])), (vec![], 0, 0), "with nowhere to go it stays as it is");
}

#[proves("REC-052", "REC-053", "REC-054", "REC-055", "REC-057")]
#[test]
fn updates_go_in_steps_as_the_new_ones_become_healthy() {
    prove(&["REC-052", "REC-053", "REC-054", "REC-055", "REC-057"]);
}

#[proves("REC-058")]
#[test]
fn without_a_disconnect_block_contact_lost_is_an_allocation_lost() {
    prove(&["REC-058"]);
}

/// Beyond what this issue asks for: nodes that come back.
#[proves(
    "REC-059", "REC-060", "REC-061", "REC-062", "REC-063", "REC-064", "REC-065", "REC-066", "REC-067", "REC-068", "REC-069", "REC-070",
    "REC-071", "REC-072", "REC-073", "REC-074", "REC-075", "REC-077", "REC-078", "REC-079", "REC-080", "REC-081"
)]
#[test]
fn one_of_an_allocation_and_its_replacements_stays_when_contact_returns() {
    prove(&[
        "REC-059", "REC-060", "REC-061", "REC-062", "REC-063", "REC-064", "REC-065", "REC-066", "REC-067", "REC-068", "REC-069", "REC-070",
        "REC-071", "REC-072", "REC-073", "REC-074", "REC-075", "REC-077", "REC-078", "REC-079", "REC-080", "REC-081",
    ]);
}

#[proves("SYS-001", "SYS-003", "SYS-005", "SYS-006", "SYS-007", "SYS-008", "SYS-012")]
#[test]
fn system_jobs_run_on_every_node_that_qualifies() {
    prove(&["SYS-001", "SYS-003", "SYS-005", "SYS-006", "SYS-007", "SYS-008", "SYS-012"]);
}

#[proves("SYS-009", "SYS-010", "SYS-011", "SYS-013", "SYS-016")]
#[test]
fn system_jobs_keep_to_their_nodes() {
    prove(&["SYS-009", "SYS-010", "SYS-011", "SYS-013", "SYS-016"]);
}

#[proves("SYS-002", "SYS-014")]
#[test]
fn sysbatch_jobs_run_once_on_every_node() {
    prove(&["SYS-002", "SYS-014"]);
}

#[proves("SYS-018", "SYS-019", "SYS-020", "SYS-021", "SYS-022", "SYS-024")]
#[test]
fn system_jobs_are_updated_node_by_node() {
    prove(&["SYS-018", "SYS-019", "SYS-020", "SYS-021", "SYS-022", "SYS-024"]);
}

#[proves("DEP-001", "DEP-002", "DEP-005", "DEP-006", "DEP-007")]
#[test]
fn deployments_start_with_the_first_run_and_with_every_change() {
    prove(&["DEP-001", "DEP-002", "DEP-005", "DEP-006", "DEP-007"]);
}

#[proves("DEP-022", "DEP-029", "DEP-030", "DEP-035", "DEP-036")]
#[test]
fn deployments_end_as_their_groups_do() {
    prove(&["DEP-022", "DEP-029", "DEP-030", "DEP-035", "DEP-036"]);
}

#[proves("DEP-038", "DEP-039", "DEP-040", "DEP-043", "DEP-044", "DEP-047")]
#[test]
fn canaries_run_beside_the_old_ones_until_they_take_over() {
    prove(&["DEP-038", "DEP-039", "DEP-040", "DEP-043", "DEP-044", "DEP-047"]);
}

#[proves("SCH-025")]
#[test]
fn changed_constraints_affinities_and_spreads_restart_nothing() {
    prove(&["SCH-025"]);
}

#[proves("SCH-091", "SCH-092")]
#[test]
fn an_evaluation_whose_plans_are_refused_is_given_up_after_a_few() {
    prove(&["SCH-091", "SCH-092"]);
    for (kind, most) in [(JobType::Service, 5), (JobType::Batch, 2), (JobType::System, 5), (JobType::Sysbatch, 2)] {
        let mut attempts = Attempts::new(kind);
        // A plan that commits something starts the count over, however often.
        for _ in 0..10 {
            assert!((1..most).all(|_| attempts.again(false)), "{kind}");
            assert!(attempts.again(true), "{kind}");
        }
        assert!((1..most).all(|_| attempts.again(false)) && !attempts.again(false), "{kind}");
    }
}
