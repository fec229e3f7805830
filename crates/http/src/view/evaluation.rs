//! Evaluations: in full and as relatives of others.

use std::collections::BTreeMap;

use drover_api as api;
use drover_model::{DesiredUpdates, Evaluation, ExhaustedResources, PlacementMetrics};

use drover_state::Snapshot;

use super::{counts, id, list, time};

/// What tasks asked for of what ran out; the rest of each object is zero, as nothing of it was asked for.
fn exhausted(tasks: &BTreeMap<String, ExhaustedResources>) -> BTreeMap<String, Option<api::Resources>> {
    let of_task = |asked: &ExhaustedResources| api::Resources {
        cpu: Some(i64::from(asked.cpu_mhz)),
        cores: Some(0),
        memory_mb: Some(i64::from(asked.memory_mb)),
        memory_max_mb: Some(0),
        disk_mb: Some(0),
        iops: Some(0),
        secrets_mb: Some(0),
        ..api::Resources::default()
    };
    tasks.iter().map(|(name, asked)| (name.clone(), Some(of_task(asked)))).collect()
}

/// How nodes were judged.
pub fn metrics(metrics: &PlacementMetrics) -> api::AllocationMetric {
    let scores = metrics.scores.iter().map(|node| api::NodeScoreMeta {
        node_id: node.node_id.to_string(),
        scores: Some(node.parts.clone()),
        norm_score: node.total,
    });
    api::AllocationMetric {
        nodes_evaluated: i64::from(metrics.nodes_evaluated),
        nodes_filtered: i64::from(metrics.nodes_filtered),
        nodes_in_pool: i64::from(metrics.nodes_in_pool),
        node_pool: metrics.node_pool.clone(),
        // Told even where there are none: the reader asks by datacenter.
        nodes_available: Some(counts(&metrics.nodes_available).unwrap_or_default()),
        class_filtered: counts(&metrics.class_filtered),
        constraint_filtered: counts(&metrics.constraint_filtered),
        nodes_exhausted: i64::from(metrics.nodes_exhausted),
        class_exhausted: counts(&metrics.class_exhausted),
        dimension_exhausted: counts(&metrics.dimension_exhausted),
        quota_exhausted: None,
        resources_exhausted: metrics.resources_exhausted.as_ref().map(exhausted),
        scores: None,
        score_meta_data: list(scores.collect()),
        allocation_time: metrics.allocation_time_ns,
        coalesced_failures: i64::from(metrics.coalesced_failures),
    }
}

/// What a plan would do to a group.
pub fn updates(updates: &DesiredUpdates) -> api::DesiredUpdates {
    api::DesiredUpdates {
        ignore: u64::from(updates.ignore),
        place: u64::from(updates.place),
        migrate: u64::from(updates.migrate),
        stop: u64::from(updates.stop),
        in_place_update: u64::from(updates.in_place_update),
        destructive_update: u64::from(updates.destructive_update),
        canary: u64::from(updates.canary),
        preemptions: u64::from(updates.preemptions),
        disconnect: u64::from(updates.disconnect),
        reconnect: u64::from(updates.reconnect),
        reschedule_now: u64::from(updates.reschedule_now),
        reschedule_later: u64::from(updates.reschedule_later),
    }
}

/// An evaluation in full.
pub fn evaluation(eval: &Evaluation) -> api::Evaluation {
    let annotated = eval.annotations.iter().map(|(group, counts)| (group.clone(), Some(updates(counts))));
    let annotations = (!eval.annotations.is_empty())
        .then(|| api::PlanAnnotations { desired_tg_updates: Some(annotated.collect()), preempted_allocs: None });
    let failed = eval.failed_groups.iter().map(|(group, judged)| (group.clone(), Some(metrics(judged))));
    api::Evaluation {
        id: eval.id.to_string(),
        priority: i64::from(eval.priority),
        r#type: eval.kind.text().to_owned(),
        triggered_by: eval.trigger.text().to_owned(),
        namespace: eval.job_id.namespace.clone(),
        job_id: eval.job_id.id.clone(),
        job_modify_index: eval.job_modify_index,
        node_id: id(eval.node_id),
        node_modify_index: eval.node_modify_index,
        deployment_id: id(eval.deployment_id),
        status: eval.status.text().to_owned(),
        status_description: eval.status_description.clone(),
        wait_until: time(eval.wait_until),
        next_eval: id(eval.next_eval),
        previous_eval: id(eval.previous_eval),
        blocked_eval: id(eval.blocked_eval),
        failed_tg_allocs: (!eval.failed_groups.is_empty()).then(|| failed.collect()),
        plan_annotations: annotations,
        class_eligibility: (!eval.class_eligibility.is_empty()).then(|| eval.class_eligibility.clone()),
        escaped_computed_class: eval.escaped_computed_class,
        // What waits for room says so by waiting.
        queued_allocations: counts(&eval.queued).filter(|_| eval.status != drover_model::EvalStatus::Blocked),
        snapshot_index: eval.snapshot_index,
        create_index: eval.create_index,
        modify_index: eval.modify_index,
        create_time: eval.create_time.0,
        modify_time: eval.modify_time.0,
        ..api::Evaluation::default()
    }
}

/// An evaluation in full, with what had to give way to it.
pub fn evaluation_in(snapshot: &Snapshot, eval: &Evaluation) -> api::Evaluation {
    let mut shown = evaluation(eval);
    let gone = eval.preempted.iter().flatten().filter_map(|id| snapshot.alloc(*id));
    let gone = gone.map(|alloc| super::alloc_before(snapshot, alloc, eval));
    let gone: Vec<api::AllocationListStub> = gone.collect();
    if let Some(annotations) = shown.plan_annotations.as_mut().filter(|_| !gone.is_empty()) {
        annotations.preempted_allocs = Some(gone);
    }
    shown
}

/// An evaluation as a relative of another.
pub fn evaluation_stub(eval: &Evaluation) -> api::EvaluationStub {
    api::EvaluationStub {
        id: eval.id.to_string(),
        priority: i64::from(eval.priority),
        r#type: eval.kind.text().to_owned(),
        triggered_by: eval.trigger.text().to_owned(),
        namespace: eval.job_id.namespace.clone(),
        job_id: eval.job_id.id.clone(),
        node_id: id(eval.node_id),
        deployment_id: id(eval.deployment_id),
        status: eval.status.text().to_owned(),
        status_description: eval.status_description.clone(),
        wait_until: time(eval.wait_until),
        next_eval: id(eval.next_eval),
        previous_eval: id(eval.previous_eval),
        blocked_eval: id(eval.blocked_eval),
        create_index: eval.create_index,
        modify_index: eval.modify_index,
        create_time: eval.create_time.0,
        modify_time: eval.modify_time.0,
    }
}
