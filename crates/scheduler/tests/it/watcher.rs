//! The deployment watcher: health, promotion, deadlines and going back, on described clusters.

use std::time::Duration;

use drover_macros::proves;
use drover_model::command::Change;
use drover_model::{Command, Deployment, DeploymentStatus, Trigger, description};
use drover_scheduler::deployments::{Action, Watcher, evaluation, fail, wants_revert};
use drover_state::{Snapshot, Store};
use serde_json::{Value, json};

use crate::scenarios::World;
use crate::scenarios::build::id;
use crate::scenarios::input::NOW;

const DEADLINE: Duration = Duration::from_secs(600);

/// A job with two versions; the second one is being deployed on the given allocations.
fn cluster(update: &Value, reschedule: &Value, allocs: &Value, group: &Value) -> World {
    let version = |version: u32, revision: &str| {
        let mut spec = json!({ "count": 2, "tasks": [{ "env": { "REV": revision } }], "update": update });
        if !reschedule.is_null() {
            spec["reschedule"] = reschedule.clone();
        }
        json!({ "id": "app", "version": version, "groups": [spec] })
    };
    World::of(&json!({
        "nodes": [{ "id": "n1" }, { "id": "n2" }],
        "jobs": [version(0, "0"), version(1, "1")],
        "allocs": allocs,
        "deployments": [
            { "id": "d0", "status": "successful", "groups": { "web": { "desired_total": 2 } } },
            { "id": "d1", "version": 1, "groups": { "web": group } },
        ],
        "eval": {},
    }))
}

fn member(name: &str, healthy: Option<bool>, extra: &Value) -> Value {
    let mut alloc = json!({ "id": name, "version": 1, "node": "n1", "deployment": "d1" });
    if let Some(healthy) = healthy {
        alloc["healthy"] = json!(healthy);
    }
    alloc.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    alloc
}

fn failed() -> Value {
    json!({ "client": "failed", "tasks": { "t": { "state": "dead", "failed": true, "finished_at": -60 } } })
}

fn look(world: &World, after: Duration) -> Vec<Action> {
    Watcher::default().look(&world.state, id("deployment", "d1"), NOW + after)
}

fn failure(actions: &[Action]) -> Option<(&str, Option<u64>)> {
    actions.iter().find_map(|action| match action {
        Action::Fail { update, revert } => Some((update.description.as_str(), revert.as_ref().map(|job| job.version))),
        _ => None,
    })
}

#[proves("DEP-020")]
#[test]
fn a_deployment_that_lacks_health_at_its_deadline_fails() {
    let allocs = json!([member("a", Some(true), &json!({})), member("b", None, &json!({}))]);
    let world = cluster(&json!({ "max_parallel": 1 }), &Value::Null, &allocs, &json!({ "desired_total": 2, "placed": 2, "healthy": 1 }));
    assert_eq!(Watcher::next_deadline(&world.state), Some(NOW + DEADLINE));
    assert_eq!(failure(&look(&world, DEADLINE - Duration::from_secs(1))), None);
    assert_eq!(failure(&look(&world, DEADLINE)), Some((description::PROGRESS_DEADLINE, None)));
}

#[proves("DEP-021")]
#[test]
fn one_that_only_lacks_its_promotion_does_not_fail() {
    let allocs = json!([member("c", Some(true), &json!({ "canary": true }))]);
    let group = json!({ "desired_total": 2, "desired_canaries": 1, "placed_canaries": ["c"], "placed": 1, "healthy": 1 });
    let world = cluster(&json!({ "max_parallel": 1, "canary": 1 }), &Value::Null, &allocs, &group);
    assert_eq!(failure(&look(&world, DEADLINE * 2)), None);
    assert_eq!(Watcher::next_deadline(&world.state), None);
}

#[proves("DEP-023")]
#[test]
fn without_a_deadline_the_first_unhealthy_one_fails_it() {
    let allocs = json!([member("a", Some(false), &json!({}))]);
    let group = json!({ "desired_total": 2, "placed": 1, "unhealthy": 1, "progress_deadline": 0 });
    let world = cluster(&json!({ "max_parallel": 1, "progress_deadline": 0 }), &Value::Null, &allocs, &group);
    assert_eq!(failure(&look(&world, Duration::ZERO)), Some((description::FAILED_ALLOCATIONS, None)));
}

#[proves("DEP-024")]
#[test]
fn with_a_deadline_an_unhealthy_one_is_replaced_as_long_as_its_policy_allows() {
    let group = json!({ "desired_total": 2, "placed": 1, "unhealthy": 1 });
    let update = json!({ "max_parallel": 1 });
    let policy = json!({ "attempts": 1, "interval": 3600, "delay": 5 });
    let first = cluster(&update, &policy, &json!([member("a", Some(false), &failed())]), &group);
    let actions = look(&first, Duration::ZERO);
    let allowed = actions.iter().any(|action| matches!(action, Action::AllowReschedule(_, which) if which[0].0 == id("alloc", "a")));
    assert!(allowed && failure(&actions).is_none(), "{actions:?}");
    let mut exhausted = failed();
    exhausted["reschedule_events"] = json!([{ "at": -600, "delay": 5, "prev_alloc": "x", "prev_node": "n2" }]);
    let last = cluster(&update, &policy, &json!([member("a", Some(false), &exhausted)]), &group);
    assert_eq!(failure(&look(&last, Duration::ZERO)), Some((description::FAILED_ALLOCATIONS, None)), "long before its deadline");
}

#[proves("DEP-027")]
#[test]
fn health_that_changed_leads_to_one_evaluation_however_much_did() {
    let allocs = json!([member("a", Some(true), &json!({})), member("b", Some(true), &json!({}))]);
    let group = json!({ "desired_total": 2, "placed": 2, "healthy": 2 });
    let world = cluster(&json!({ "max_parallel": 1 }), &Value::Null, &allocs, &group);
    let mut watcher = Watcher::default();
    let actions = watcher.look(&world.state, id("deployment", "d1"), NOW);
    assert!(matches!(actions.as_slice(), [Action::Evaluate(deployment)] if *deployment == id("deployment", "d1")), "{actions:?}");
    assert!(watcher.look(&world.state, id("deployment", "d1"), NOW).is_empty(), "nothing changed since");
    let deployment = world.state.deployment(id("deployment", "d1")).unwrap();
    let eval = evaluation(deployment, drover_model::JobType::Service, id("eval", "new"), NOW);
    assert_eq!((eval.trigger, eval.priority, eval.deployment_id), (Trigger::DeploymentWatcher, 50, Some(deployment.id)));
}

#[test]
fn canaries_promote_themselves_once_each_is_healthy() {
    let canary = |name, healthy| member(name, healthy, &json!({ "canary": true }));
    let update = json!({ "max_parallel": 1, "canary": 2, "auto_promote": true });
    let group =
        |healthy: u32| json!({ "desired_total": 2, "desired_canaries": 2, "placed_canaries": ["c", "d"], "placed": 2, "healthy": healthy });
    let promotes = |world: &World| look(world, Duration::ZERO).iter().any(|action| matches!(action, Action::Promote(_)));
    let one = cluster(&update, &Value::Null, &json!([canary("c", Some(true)), canary("d", None)]), &group(1));
    assert!(!promotes(&one));
    let both = cluster(&update, &Value::Null, &json!([canary("c", Some(true)), canary("d", Some(true))]), &group(2));
    assert!(promotes(&both));
}

#[test]
fn a_paused_deployment_is_left_alone() {
    let allocs = json!([member("a", Some(false), &failed())]);
    let world = cluster(&json!({ "max_parallel": 1 }), &Value::Null, &allocs, &json!({ "desired_total": 2, "placed": 1, "unhealthy": 1 }));
    let mut store = Store::from_snapshot(world.state.clone());
    let update =
        drover_model::DeploymentUpdate { id: id("deployment", "d1"), status: DeploymentStatus::Paused, description: String::new() };
    store.apply(9_000, Command { time: NOW, change: Change::DeploymentStatus { update, eval: None, revert: None } });
    assert!(Watcher::default().look(&store.snapshot(), id("deployment", "d1"), NOW + DEADLINE * 9).is_empty());
    assert_eq!(Watcher::next_deadline(&store.snapshot()), None);
}

#[test]
fn what_failed_in_a_deployment_that_succeeded_is_looked_after_once() {
    let allocs = json!([member("a", Some(true), &json!({})), member("b", Some(false), &failed())]);
    let group = json!({ "desired_total": 2, "placed": 2, "healthy": 2, "unhealthy": 1 });
    let world = cluster(&json!({ "max_parallel": 1 }), &Value::Null, &allocs, &group);
    let mut store = Store::from_snapshot(world.state.clone());
    let update =
        drover_model::DeploymentUpdate { id: id("deployment", "d1"), status: DeploymentStatus::Successful, description: String::new() };
    store.apply(9_000, Command { time: NOW, change: Change::DeploymentStatus { update, eval: None, revert: None } });
    let look = |store: &Store| Watcher::default().look(&store.snapshot(), id("deployment", "d1"), NOW);
    let actions = look(&store);
    assert!(matches!(actions.as_slice(), [Action::Evaluate(deployment)] if *deployment == id("deployment", "d1")), "{actions:?}");
    let eval = evaluation(deployment(&store.snapshot()), drover_model::JobType::Service, id("eval", "new"), NOW);
    store.apply(9_001, Command { time: NOW, change: Change::Evaluations(vec![eval]) });
    assert!(look(&store).is_empty(), "the job was looked at since");
}

fn deployment(state: &Snapshot) -> &Deployment {
    state.deployment(id("deployment", "d1")).unwrap()
}

/// Applies the failure as the watcher proposes it.
fn carry_out(world: &World, action: Action) -> Snapshot {
    let Action::Fail { update, revert } = action else { panic!("{action:?}") };
    let mut store = Store::from_snapshot(world.state.clone());
    let eval = evaluation(deployment(&world.state), drover_model::JobType::Service, id("eval", "new"), NOW);
    let applied = store.apply(9_000, Command { time: NOW, change: Change::DeploymentStatus { update, eval: Some(eval), revert } });
    assert_eq!(applied.result, Ok(()));
    store.snapshot()
}

#[proves("DEP-031")]
#[test]
fn a_failure_registers_the_last_stable_version_anew_in_the_same_entry() {
    let allocs = json!([member("a", None, &json!({}))]);
    let group = json!({ "desired_total": 2, "placed": 1 });
    let world = cluster(&json!({ "max_parallel": 1, "auto_revert": true }), &Value::Null, &allocs, &group);
    let actions = look(&world, DEADLINE);
    assert_eq!(failure(&actions), Some((format!("{} - rolling back to job version 0", description::PROGRESS_DEADLINE).as_str(), Some(0))));
    let after = carry_out(&world, actions.into_iter().next().unwrap());
    assert_eq!(deployment(&after).status, DeploymentStatus::Failed);
    let row = after.jobs().next().unwrap();
    assert_eq!((row.job().version, &row.job().task_groups), (2, &row.version(0).unwrap().job.task_groups));
    let eval = after.eval(id("eval", "new")).unwrap();
    assert_eq!(eval.job_modify_index, row.job().job_modify_index, "the evaluation is about the version that came back");
}

#[proves("DEP-032")]
#[test]
fn there_is_no_going_back_to_nothing_or_to_the_same() {
    let allocs = json!([member("a", None, &json!({}))]);
    let update = json!({ "max_parallel": 1, "auto_revert": true });
    let mut unstable = cluster(&update, &Value::Null, &allocs, &json!({ "desired_total": 2, "placed": 1 }));
    let mut store = Store::from_snapshot(unstable.state.clone());
    let job = unstable.state.jobs().next().unwrap().id().clone();
    store.apply(9_000, Command { time: NOW, change: Change::JobStability { id: job, version: 0, stable: false } });
    unstable.state = store.snapshot();
    let expected = format!("{} - no stable job version to auto revert to", description::PROGRESS_DEADLINE);
    assert_eq!(failure(&look(&unstable, DEADLINE)), Some((expected.as_str(), None)));

    let same = |version: u32| json!({ "id": "app", "version": version, "groups": [{ "count": 2, "update": update }] });
    let world = World::of(&json!({
        "nodes": [{ "id": "n1" }],
        "jobs": [same(0), same(1)],
        "allocs": allocs,
        "deployments": [
            { "id": "d0", "status": "successful", "groups": { "web": { "desired_total": 2 } } },
            { "id": "d1", "version": 1, "groups": { "web": { "desired_total": 2, "placed": 1 } } },
        ],
        "eval": {},
    }));
    let expected =
        format!("{} - not rolling back to stable job version 0 as current job has same specification", description::PROGRESS_DEADLINE);
    assert_eq!(failure(&look(&world, DEADLINE)), Some((expected.as_str(), None)));
}

#[proves("DEP-033")]
#[test]
fn a_user_fails_a_deployment_and_it_goes_back_if_any_group_wants_that() {
    let allocs = json!([member("a", Some(true), &json!({}))]);
    let group = json!({ "desired_total": 2, "placed": 1, "healthy": 1 });
    for (update, back) in [(json!({ "max_parallel": 1, "auto_revert": true }), Some(0)), (json!({ "max_parallel": 1 }), None)] {
        let world = cluster(&update, &Value::Null, &allocs, &group);
        let own = deployment(&world.state);
        let action = fail(&world.state, own, description::FAILED_BY_USER, wants_revert(own));
        assert_eq!(failure(std::slice::from_ref(&action)).unwrap().1, back);
        let after = carry_out(&world, action);
        assert_eq!(deployment(&after).status, DeploymentStatus::Failed);
        assert!(deployment(&after).status_description.starts_with(description::FAILED_BY_USER));
        assert_eq!(after.jobs().next().unwrap().job().version, if back.is_some() { 2 } else { 1 });
    }
}
