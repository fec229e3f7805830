//! Plans on their way into the log.

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::leader::{PlanRequest, applier};
use drover_base::EvalId;
use drover_model::{Evaluation, Index, JobType, Placement, Plan};

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
    plan.placements.push(Placement {
        id: AllocId::from_random(99),
        group: Arc::from("g"),
        index: 7,
        node_id: NodeId::from_random(1),
        resources: Arc::default(),
        previous: None,
        reschedules: Vec::new(),
        canary: false,
        job_version: None,
        metrics: Arc::default(),
    });
    let (reply, answer) = oneshot::channel();
    plans.send(PlanRequest { eval: Arc::new(eval), token: 12_345, plan, then: Vec::new(), reply }).await.unwrap();
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
