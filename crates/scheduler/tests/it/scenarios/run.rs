//! Runs a scenario's evaluation the way a worker does, with the planner that the scenario asks for.

use drover_base::{EvalId, Rng, WallTime};
use drover_model::command::Change;
use drover_model::{Command, Plan};
use drover_scheduler::reconcile::newest_deployment;
use drover_scheduler::{Attempts, Context, Ending, conclude, give_up, process};
use drover_state::{Snapshot, Store};
use serde_json::{Value, json};

use super::build::World;
use super::input::{NOW, text};
use super::observe::{Seen, observe};

/// What the run came to, in the form of a scenario's `expect`.
pub(crate) fn run(scenario: &Value, world: &World) -> Value {
    let planner = text(&scenario["planner"], "");
    let mut attempts = Attempts::new(world.eval.kind);
    let mut context = Context { now: NOW, rng: Rng::new(7) };
    let mut state = world.state.clone();
    let mut plans = 0;
    let seen = loop {
        let mut outcome = process(&state, &world.eval, &mut context);
        let plan = outcome.take_plan();
        if plan.is_empty() {
            let evals = conclude(&state, &world.eval, outcome, ending(world, &state));
            break Seen { plan, state: state.clone(), evals };
        }
        plans += 1;
        if planner == "error" {
            return json!({ "process_error": "plan queue disabled" });
        }
        if planner == "reject" || (planner == "reject-once" && plans == 1) {
            if attempts.again(false) {
                continue;
            }
            let id = EvalId::from_random(context.rng.next_u128());
            let evals = give_up(&world.eval, outcome, ending(world, &state), attempts, id);
            break Seen { plan, state: state.clone(), evals };
        }
        state = commit(&state, &plan);
        let evals = conclude(&state, &world.eval, outcome, ending(world, &state));
        break Seen { plan, state: state.clone(), evals };
    };
    let mut actual = observe(world, &seen);
    actual["plans"] = json!(plans);
    actual
}

fn ending(world: &World, state: &Snapshot) -> Ending {
    Ending { now: NOW, snapshot_index: state.index(), deployment: newest_deployment(state, &world.eval.job_id) }
}

fn commit(state: &Snapshot, plan: &Plan) -> Snapshot {
    let mut store = Store::from_snapshot(state.clone());
    let applied = store.apply(state.index() + 1, Command { time: WallTime(NOW.0), change: Change::Plans(vec![plan.clone()]) });
    assert_eq!(applied.result, Ok(()));
    store.snapshot()
}
