//! `eval status` and `eval list`.

use std::collections::BTreeMap;

use drover_api::{AllocationListStub, AllocationMetric, DesiredUpdates, Evaluation};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome, PROGRAM};
use crate::flags::Flag;
use crate::sdk::{Query, segment};
use crate::text::{ago, pairs, parse_time, short, table};
use crate::whole::{EVALUATION, completed};
use crate::{monitor, placement, resolve, row};

pub(super) const STATUS_FLAGS: &[Flag] =
    &[Flag::switch("monitor", "Follow the evaluation."), Flag::switch("ui", ""), super::JSON, super::TEMPLATE, super::VERBOSE];
pub(super) const LIST_FLAGS: &[Flag] = &[
    super::PER_PAGE,
    super::PAGE_TOKEN,
    super::FILTER,
    Flag::value("job", "id", "Only evaluations of this job."),
    Flag::value("status", "status", "Only evaluations with this status."),
    Flag::switch("ui", ""),
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
];

/// Whether placements failed, as the tables say it.
pub(crate) fn failures(status: &str, failed: Option<&BTreeMap<String, Option<AllocationMetric>>>) -> String {
    match status {
        "blocked" => "N/A - In Progress".to_owned(),
        _ => failed.is_some_and(|failed| !failed.is_empty()).to_string(),
    }
}

pub(super) async fn status(context: &mut Context) -> Outcome {
    let id = context.one_argument("<evaluation>")?;
    context.one_format()?;
    let client = context.client()?;
    let stub = resolve::eval(context, &client, &id).await?;
    if context.flags.on("monitor") {
        return monitor::evaluation(context, &client, &stub.id).await;
    }
    let path = format!("/v1/evaluation/{}", segment(&stub.id));
    let query = Query::new().namespace(&stub.namespace);
    let answer = client.get::<Value>(&path, &query.clone().set("related", true)).await;
    let raw = answer.attempt("Error querying evaluation")?.value;
    if context.formatted() {
        return context.print_formatted(&completed(raw, EVALUATION));
    }
    let eval: Evaluation = serde_json::from_value(raw).map_err(|error| Failure::new(format!("Error querying evaluation: {error}")))?;
    let answer = client.get::<Vec<AllocationListStub>>(&format!("{path}/allocations"), &query).await;
    let allocs = answer.attempt("Error querying related allocations")?.value;
    context.ui.output(header(context, &eval));
    super::why(context, eval.why.as_ref());
    related(context, &eval);
    annotations(context, &eval);
    let (evicted, placed): (Vec<_>, Vec<_>) = allocs.into_iter().partition(|alloc| !alloc.preempted_by_allocation.is_empty());
    for (title, allocs) in [("Preempted Allocations", evicted), ("Placed Allocations", placed)] {
        if !allocs.is_empty() {
            context.ui.output(format!("\n{}\n{}", context.title(title), super::alloc::list(context, &allocs, true)));
        }
    }
    if let Some(failed) = eval.failed_tg_allocs.as_ref().filter(|failed| !failed.is_empty()) {
        let mut lines = Vec::new();
        for (group, metric) in failed {
            let Some(metric) = metric else { continue };
            lines.push(placement::heading(group, metric));
            lines.extend(placement::reasons(&context.ui, metric, "  "));
        }
        context.ui.output(format!("\n{}\n{}", context.title("Failed Placements"), lines.join("\n")));
    }
    context.hint(&client, "View evaluation details", &format!("evaluations?currentEval={}", eval.id)).await;
    Ok(0)
}

fn header(context: &Context, eval: &Evaluation) -> String {
    let verbose = context.verbose();
    let id = |id: &str| short(id, verbose).to_owned();
    let mut rows = vec![
        ("ID", id(&eval.id)),
        ("Create Time", context.when(eval.create_time)),
        ("Modify Time", context.when(eval.modify_time)),
        ("Status", eval.status.clone()),
        ("Status Description", eval.status_description.clone()),
        ("Type", eval.r#type.clone()),
        ("TriggeredBy", eval.triggered_by.clone()),
        ("Job ID", eval.job_id.clone()),
        ("Namespace", eval.namespace.clone()),
    ];
    if !eval.node_id.is_empty() {
        rows.push(("Node ID", id(&eval.node_id)));
    }
    rows.push(("Priority", eval.priority.to_string()));
    rows.push(("Placement Failures", failures(&eval.status, eval.failed_tg_allocs.as_ref())));
    if let Some(until) = parse_time(eval.wait_until.as_deref()) {
        let shown = if verbose { context.zone.time(until) } else { ago(context.clock.now(), until) };
        rows.push(("Wait Until", shown));
    }
    if !eval.quota_limit_reached.is_empty() {
        rows.push(("Quota Limit Reached", eval.quota_limit_reached.clone()));
    }
    rows.push(("Previous Eval", id(&eval.previous_eval)));
    rows.push(("Next Eval", id(&eval.next_eval)));
    rows.push(("Blocked Eval", id(&eval.blocked_eval)));
    pairs(&rows)
}

fn related(context: &Context, eval: &Evaluation) {
    let Some(related) = eval.related_evals.as_ref().filter(|related| !related.is_empty()) else { return };
    let mut related: Vec<_> = related.iter().collect();
    related.sort_by_key(|stub| std::cmp::Reverse(stub.create_index));
    let mut rows = vec![row!["ID", "Priority", "Triggered By", "Node ID", "Status", "Description"]];
    for stub in related {
        let verbose = context.verbose();
        let (id, node) = (short(&stub.id, verbose), short(&stub.node_id, verbose));
        rows.push(row![id, stub.priority, stub.triggered_by, node, stub.status, stub.status_description]);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Related Evaluations"), table(&rows)));
}

fn annotations(context: &Context, eval: &Evaluation) {
    let updates = eval.plan_annotations.as_ref().and_then(|plan| plan.desired_tg_updates.as_ref());
    let Some(updates) = updates.filter(|updates| !updates.is_empty()) else { return };
    type Column = (&'static str, fn(&DesiredUpdates) -> u64, bool);
    const COLUMNS: [Column; 12] = [
        ("Ignore", |u| u.ignore, true),
        ("Place", |u| u.place, true),
        ("Stop", |u| u.stop, true),
        ("InPlace", |u| u.in_place_update, true),
        ("Destructive", |u| u.destructive_update, true),
        ("Migrate", |u| u.migrate, false),
        ("Canary", |u| u.canary, false),
        ("Preemptions", |u| u.preemptions, false),
        ("Reschedule Now", |u| u.reschedule_now, false),
        ("Reschedule Later", |u| u.reschedule_later, false),
        ("Disconnect", |u| u.disconnect, false),
        ("Reconnect", |u| u.reconnect, false),
    ];
    let groups: Vec<(&String, &DesiredUpdates)> = updates.iter().filter_map(|(group, updates)| Some((group, updates.as_ref()?))).collect();
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter(|(_, count, always)| *always || context.verbose() || groups.iter().any(|(_, updates)| count(updates) > 0))
        .collect();
    let mut head = row!["Task Group"];
    head.extend(shown.iter().map(|(name, _, _)| (*name).to_owned()));
    let mut rows = vec![head];
    for (group, updates) in groups {
        let mut row = row![group];
        row.extend(shown.iter().map(|(_, count, _)| count(updates).to_string()));
        rows.push(row);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Plan Annotations"), table(&rows)));
}

pub(super) async fn list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    // The newest first, as somebody who looks wants them.
    let mut query = super::paged(context).set("reverse", "true");
    for name in ["job", "status"] {
        query = query.set_some(name, context.flags.value(name).unwrap_or(""));
    }
    let answer = client.get::<Value>("/v1/evaluations", &query).await.attempt("Error querying evaluations")?;
    if context.formatted() {
        return context.print_formatted(&completed(answer.value, EVALUATION));
    }
    let evals: Vec<Evaluation> =
        serde_json::from_value(answer.value).map_err(|error| Failure::new(format!("Error querying evaluations: {error}")))?;
    if evals.is_empty() {
        context.ui.output("No evals found");
        return Ok(0);
    }
    let mut rows = vec![row!["ID", "Priority", "Triggered By", "Job ID", "Namespace", "Node ID", "Status", "Placement Failures"]];
    for eval in &evals {
        let verbose = context.verbose();
        let failures = failures(&eval.status, eval.failed_tg_allocs.as_ref());
        let (id, node) = (short(&eval.id, verbose), short(&eval.node_id, verbose));
        rows.push(row![id, eval.priority, eval.triggered_by, eval.job_id, eval.namespace, node, eval.status, failures]);
    }
    context.ui.output(table(&rows));
    super::next_page(context, &format!("{PROGRAM} eval list"), &["per-page", "filter", "job", "status"], &answer.meta.next_token);
    context.hint(&client, "View evaluations", "evaluations").await;
    Ok(0)
}
