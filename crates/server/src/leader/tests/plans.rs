//! Plans on their way into the log.

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::leader::{PlanRequest, applier};
use drover_base::EvalId;
use drover_model::{DesiredUpdates, Evaluation, Index, JobType, Placement, Plan};

fn placement(number: u128, node: u128) -> Placement {
    Placement {
        id: AllocId::from_random(number),
        group: Arc::from("g"),
        index: number as u32,
        node_id: NodeId::from_random(node),
        resources: Arc::default(),
        previous: None,
        reschedules: Vec::new(),
        canary: false,
        job_version: None,
        metrics: Arc::default(),
    }
}

/// A region whose only evaluation is in the hands of the test, with a way to its plan applier.
async fn held() -> (Region, mpsc::Sender<PlanRequest>, PlanRequest, oneshot::Receiver<Result<applier::Verdict, crate::EndpointError>>) {
    let region = Region::with(Config { workers: 0, ..Config::new(Storage::Memory) }, Clock::simulated(EPOCH)).await;
    let _one = region.node(1).await;
    region.register(job("web", "service", 2)).await;
    let (plans, waiting) = mpsc::channel(1);
    region.scope.spawn_until_stop("applier of the test", applier::run(region.server.clone(), waiting));
    let (eval, token) =
        region.server.0.leader.dequeue(region.clock.monotonic(), drover_scheduler::broker::Queues::ALL_TYPES).await.unwrap();
    let mut plan = Plan::new(eval.id, id("web"), 50);
    plan.job_create_index = region.server.snapshot().job(&id("web")).unwrap().job().create_index;
    plan.placements.push(placement(99, 1));
    let (reply, answer) = oneshot::channel();
    let request = PlanRequest { eval, token, plan, needed: region.server.snapshot().index(), then: Vec::new(), reply };
    (region, plans, request, answer)
}

#[proves("EVL-044")]
#[tokio::test(start_paused = true)]
async fn who_had_a_plan_cut_tries_again_on_a_state_that_has_what_was_committed() {
    let (region, plans, mut request, answer) = Box::pin(held()).await;
    // The second node is not there: half of the plan is committed.
    request.plan.placements.push(placement(100, 2));
    let before = region.server.snapshot().index();
    plans.send(request).await.unwrap();
    let verdict = answer.await.unwrap().unwrap();
    assert!(verdict.partial && verdict.progress);
    // A worker looks again once it is told of the commit.
    verdict.committed.await.unwrap().unwrap();
    let state = region.server.snapshot();
    let committed = state.alloc(AllocId::from_random(99)).unwrap().create_index;
    assert!(committed > before && state.index() >= committed);
    assert!(state.alloc(AllocId::from_random(100)).is_none());
    region.stop().await;
}

#[proves("EVL-046")]
#[tokio::test(start_paused = true)]
async fn a_plan_of_a_state_that_does_not_come_has_failed_after_ten_seconds() {
    let (region, plans, mut request, mut answer) = Box::pin(held()).await;
    request.needed = 10_000;
    plans.send(request).await.unwrap();
    region.clock.sleep(Duration::from_millis(9_900)).await;
    assert!(answer.try_recv().is_err(), "the applier waits for the state");
    region.clock.sleep(Duration::from_millis(200)).await;
    let failed = answer.try_recv().unwrap().unwrap_err();
    assert!(failed.text.contains("did not reach index 10000"), "{failed:?}");
    assert!(region.server.snapshot().alloc(AllocId::from_random(99)).is_none());
    region.stop().await;
}

#[proves("EVL-037")]
#[tokio::test(start_paused = true)]
async fn only_who_holds_an_evaluation_may_act_on_it() {
    let region = Region::start().await;
    let _one = region.node(1).await;
    region.register(job("web", "service", 1)).await;
    region.until("it runs", |state| running(state, "web") == 1).await;
    let state = region.server.snapshot();
    let (plans, waiting) = mpsc::channel(1);
    region.scope.spawn_until_stop("second applier", applier::run(region.server.clone(), waiting));
    let eval = Evaluation::new(EvalId::from_random(77), id("web"), JobType::Service, 50, Trigger::JobRegister, EPOCH);
    let mut plan = Plan::new(eval.id, id("web"), 50);
    plan.job_create_index = state.job(&id("web")).unwrap().job().create_index;
    plan.placements.push(placement(99, 1));
    let (reply, answer) = oneshot::channel();
    plans.send(PlanRequest { eval: Arc::new(eval), token: 12_345, plan, needed: 0, then: Vec::new(), reply }).await.unwrap();
    let refused = answer.await.unwrap().unwrap_err();
    assert!(refused.text.contains("outstanding with another worker"), "{refused:?}");
    assert!(region.server.snapshot().alloc(AllocId::from_random(99)).is_none());
    region.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_job_is_placed_in_bounded_entries_each_once() {
    let region = Region::start().await;
    let size = NodeResources { cpu_mhz: 40_000, memory_mb: 40_000, disk_mb: 4_000_000, ..node(1).resources };
    let wide = Node { resources: size, ..node(1) };
    region.server.register_node(wide.clone()).await.unwrap();
    region.server.register_node(Node { id: NodeId::from_random(2), name: "n2".into(), ..wide }).await.unwrap();
    // 8,000 fit; others come in between.
    region.register(job("big", "batch", 7_000)).await;
    for number in 0..20 {
        region.register(job(&format!("small{number}"), "batch", 3)).await;
    }
    region
        .until("all are placed", |state| live(state, "big") == 7_000 && (0..20).all(|number| live(state, &format!("small{number}")) == 3))
        .await;
    region.until("all evaluations are over", |state| state.evals().all(|eval| eval.status.is_terminal())).await;
    let state = region.server.snapshot();
    let slot = state.job_slot(&id("big")).unwrap();
    let mut entries: BTreeMap<Index, usize> = BTreeMap::new();
    let mut numbers = std::collections::BTreeSet::new();
    for alloc in state.allocs_of_job(slot) {
        *entries.entry(alloc.create_index).or_default() += 1;
        assert!(numbers.insert(alloc.index), "number {} is given twice", alloc.index);
    }
    assert!(entries.len() > 3 && entries.values().all(|count| *count <= 2_000), "{entries:?}");
    assert!(state.evals().all(|eval| eval.status == EvalStatus::Complete));
    region.stop().await;
}

#[proves("SCH-100")]
#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_what_a_registration_would_do_and_does_nothing() {
    let region = Region::start().await;
    let (_one, _two) = (region.node(1).await, region.node(2).await);
    region.register(job("web", "service", 4)).await;
    region.until("all run", |state| running(state, "web") == 4).await;
    region.until("all evaluations are over", |state| state.evals().all(|eval| eval.status.is_terminal())).await;
    let counts = |wanted: api::Job| {
        let before = region.server.snapshot().index();
        let request = api::JobPlanRequest { job: Some(wanted), ..Default::default() };
        let planned = region.server.plan_job(request, None).unwrap();
        assert_eq!(region.server.snapshot().index(), before, "nothing is written");
        planned.annotations["g"]
    };
    let none = DesiredUpdates::default();
    let changed = |count: i64, updates: Option<api::UpdateStrategy>, meta: bool| {
        let mut wanted = job("web", "service", count);
        let group = &mut wanted.task_groups.as_mut().unwrap()[0];
        if meta {
            group.meta = Some(BTreeMap::from([("changed".to_owned(), "yes".to_owned())]));
        }
        if let Some(updates) = updates {
            group.update = Some(updates);
        }
        wanted
    };
    let same = DesiredUpdates { ignore: 4, ..none };
    assert_eq!(counts(changed(4, None, false)), same);
    let up = counts(changed(6, None, false));
    assert_eq!((up.place, up.in_place_update, up.stop), (2, 4, 0));
    let down = counts(changed(1, None, false));
    assert_eq!((down.place, down.stop, down.destructive_update), (0, 3, 0));
    let canaries = api::UpdateStrategy { canary: Some(2), ..Default::default() };
    let beside = counts(changed(4, Some(canaries), true));
    assert_eq!((beside.canary, beside.ignore, beside.destructive_update), (2, 4, 0));
    // The registration does what the dry run said.
    let rolling = changed(4, None, true);
    let said = counts(rolling.clone());
    assert!(said.destructive_update > 0, "{said:?}");
    let registered = region.server.register_job(api::JobRegisterRequest { job: Some(rolling), ..Default::default() }, None).await.unwrap();
    let eval = registered.eval_id.unwrap();
    region.until("it is over", |state| state.eval(eval).is_some_and(|eval| eval.status.is_terminal())).await;
    let did = region.server.snapshot().eval(eval).unwrap().annotations["g"];
    assert_eq!(did, said);
    region.stop().await;
}
