//! `job plan`: shows what registering a job would change and whether it could be placed.

use drover_api::{JobPlanRequest, JobPlanResponse};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::sdk::{Query, segment};
use crate::ui::Paint;
use crate::{diff, jobfile, placement, row, text};

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("diff", "Show the difference between the running job and the file. Default true."),
    jobfile::JSON,
    jobfile::STRICT,
    jobfile::VAR,
    jobfile::VAR_FILE,
    Flag::switch("policy-override", "Override soft policies."),
    Flag::switch("json-output", "Print the plan as JSON."),
    super::TEMPLATE,
    Flag::value("vault-namespace", "namespace", ""),
    super::VERBOSE,
];

/// The exit code of any error, so that 1 can mean that there is something to do.
pub(super) const ERROR: i32 = 255;
/// From this many preempted allocations on they are counted by job.
const PREEMPTIONS_BY_JOB: usize = 10;

const EXPLANATION: &str = "When running the job with the check-index flag, the job will only be run if the
job modify index given matches the server-side version. If the index has
changed, another user has modified the job and the plan's results are
potentially invalid.";

pub(super) async fn run(context: &mut Context) -> Outcome {
    plan(context).await.map_err(|failure| failure.code(ERROR))
}

async fn plan(context: &Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    let file = jobfile::read(context, &path).await?;
    let client = context.client()?.in_region(file.job.region.as_deref().unwrap_or(""));
    let namespace = file.job.namespace.clone().unwrap_or_default();
    let mut job = file.job;
    if namespace.is_empty() && !client.config().namespace.is_empty() {
        job.namespace = Some(client.config().namespace.clone());
    }
    let id = job.id.clone().or_else(|| job.name.clone()).unwrap_or_default();
    let request = JobPlanRequest {
        job: Some(job),
        diff: context.flags.value("diff") != Some("false"),
        policy_override: context.flags.on("policy-override"),
        ..JobPlanRequest::default()
    };
    let target = format!("/v1/job/{}/plan", segment(&id));
    let answer = client.put::<_, serde_json::Value>(&target, &Query::new().namespace(&namespace), &request).await;
    let value = match answer.attempt("Error during plan") {
        Ok(answer) => answer.value,
        Err(failure) => {
            let job = request.job.unwrap_or_default();
            let explained = file.written.problems(context, &job, Some(&failure.text)).filter(|_| context.flags.on("json-output"));
            return Err(match explained {
                Some(explained) => Failure::new(explained.json),
                None => Failure { text: file.written.explain(context, &job, failure.text.clone()), ..failure },
            });
        }
    };
    let plan: JobPlanResponse =
        serde_json::from_value(value.clone()).map_err(|error| Failure::new(format!("Error during plan: {error}")))?;
    let code = exit_code(&plan);
    if context.flags.on("json-output") || context.flags.text("t").is_some() {
        let value = crate::whole::only(value, crate::whole::PLAN);
        context.ui.output(crate::command::format_value(&value, context.flags.text("t"))?);
        return Ok(code);
    }
    if let Some(changes) = &plan.diff {
        context.ui.output(format!("{}\n", diff::job(&context.ui, changes, context.verbose())));
    }
    context.ui.output(context.title("Scheduler dry-run:"));
    context.ui.output(format!("{}\n", dry_run(context, &plan)));
    super::job_run::warnings(context, &plan.warnings);
    preemptions(context, &plan);
    let index = plan.job_modify_index;
    context.ui.output(context.title(&format!("Job Modify Index: {index}")));
    let again = variables_again(context);
    context.ui.output(format!(
        "To submit the job with version verification run:\n\n{} job run -check-index {index} {again}{path}\n\n{EXPLANATION}",
        crate::command::PROGRAM
    ));
    Ok(code)
}

fn exit_code(plan: &JobPlanResponse) -> i32 {
    let updates = plan.annotations.as_ref().and_then(|annotations| annotations.desired_tg_updates.as_ref());
    let busy = updates
        .into_iter()
        .flatten()
        .filter_map(|(_, updates)| updates.as_ref())
        .any(|updates| updates.stop + updates.place + updates.migrate + updates.destructive_update + updates.canary > 0);
    i32::from(busy)
}

fn dry_run(context: &Context, plan: &JobPlanResponse) -> String {
    let mut lines = Vec::new();
    match plan.failed_tg_allocs.as_ref().filter(|failed| !failed.is_empty()) {
        None => lines.push(context.ui.paint(Paint::Green, "- All tasks successfully allocated.")),
        Some(failed) => {
            lines.push(context.ui.paint(Paint::Yellow, "- WARNING: Failed to place all allocations."));
            for (group, metric) in failed {
                let Some(metric) = metric else { continue };
                lines.push(context.ui.paint(Paint::Yellow, &format!("  {}", placement::heading(group, metric))));
                lines.extend(placement::reasons(&context.ui, metric, "    "));
            }
        }
    }
    for eval in plan.created_evals.iter().flatten().filter(|eval| eval.triggered_by == "rolling-update" || eval.wait > 0) {
        lines.push(format!("- Rolling update, next evaluation will be in {}.", text::duration(eval.wait)));
    }
    if let Some(next) = text::parse_time(plan.next_periodic_launch.as_deref()) {
        let launch = super::job_run::launch(context, next);
        lines.push(format!("- If submitted now, next periodic launch would be at {launch}."));
    }
    lines.join("\n")
}

fn preemptions(context: &Context, plan: &JobPlanResponse) {
    let preempted = plan.annotations.as_ref().and_then(|annotations| annotations.preempted_allocs.as_ref());
    let Some(preempted) = preempted.filter(|allocs| !allocs.is_empty()) else { return };
    context.ui.output(context.title("Preemptions:\n"));
    let rows = if preempted.len() < PREEMPTIONS_BY_JOB {
        let mut rows = vec![row!["Alloc ID", "Job ID", "Task Group"]];
        rows.extend(preempted.iter().map(|alloc| row![alloc.id, alloc.job_id, alloc.task_group]));
        rows
    } else {
        let mut counts = std::collections::BTreeMap::<_, usize>::new();
        for alloc in preempted {
            *counts.entry((&alloc.job_id, &alloc.namespace, &alloc.job_type)).or_default() += 1;
        }
        let mut rows = vec![row!["Job ID", "Namespace", "Job Type", "Preemptions"]];
        rows.extend(counts.iter().map(|((job, namespace, kind), count)| row![job, namespace, kind, count]));
        rows
    };
    context.ui.output(format!("{}\n", text::table(&rows)));
}

/// The variable flags as they have to be given again.
pub(super) fn variables_again(context: &Context) -> String {
    let mut out = String::new();
    for pair in context.flags.values("var") {
        out.push_str(&format!("-var={} ", quoted(pair)));
    }
    for path in context.flags.values("var-file") {
        out.push_str(&format!("-var-file={} ", quoted(path)));
    }
    out
}

/// A word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
