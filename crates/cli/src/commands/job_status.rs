//! `job status`: the list of jobs, or everything about one.

use std::collections::BTreeMap;

use drover_api::{AllocationListStub, Deployment, Evaluation, Job, JobAction, JobListStub, JobSummary};
use serde_json::{Value, json};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve::{self, FoundJob};
use crate::sdk::{Client, Query};
use crate::text::{ago, pairs, parse_time, short, table};
use crate::{monitor, placement, row};

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("all-allocs", "Show allocations of jobs that had the same id before, too."),
    Flag::switch("evals", "Show the job's evaluations."),
    Flag::switch("short", "Show the job's own lines only."),
    Flag::switch("watch", "Show it again whenever something changes, until interrupted."),
    Flag::switch("ui", ""),
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
];

/// Groups whose placement failures are shown.
const FAILURES_SHOWN: usize = 5;

/// How long one question about changes is held.
const WATCH_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) async fn run(context: &mut Context) -> Outcome {
    if !context.flags.on("watch") {
        return shown(context).await;
    }
    let client = context.client()?;
    let path = match context.arguments() {
        [id] => format!("{}/allocations", resolve::job(context, &client, id).await?.path()),
        _ => "/v1/jobs".to_owned(),
    };
    let watching = async {
        let mut index = 0;
        loop {
            if context.ui.colours() {
                // The terminal shows the newest alone.
                context.ui.raw(b"\x1b[2J\x1b[H");
            }
            let code = shown(context).await?;
            if code != 0 {
                return Ok(code);
            }
            if !context.ui.colours() {
                context.ui.output("");
            }
            let before = index;
            while index <= before {
                let query = Query::new().blocking(index.max(1), WATCH_WAIT);
                let answer = client.get::<Value>(&path, &query).await.attempt("Error watching the job")?;
                if before == 0 && index == 0 {
                    index = answer.meta.index;
                    break;
                }
                index = answer.meta.index.max(index);
                if answer.meta.index > before {
                    break;
                }
            }
        }
    };
    super::until_interrupted(true, watching).await
}

async fn shown(context: &mut Context) -> Outcome {
    context.one_format()?;
    let client = context.client()?;
    match context.arguments() {
        [] => list(context, &client).await,
        [id] => {
            let found = resolve::job(context, &client, id).await?;
            if context.formatted() {
                let value = everything(context, &client, &found).await?;
                return context.print_formatted(&json!([value]));
            }
            one(context, &client, &found).await
        }
        _ => Err(Failure::usage("This command takes either no arguments or one: <job>")),
    }
}

async fn list(context: &Context, client: &Client) -> Outcome {
    let answer = client.get::<Vec<JobListStub>>("/v1/jobs", &Query::new()).await;
    let stubs = answer.attempt("Error querying jobs")?.value;
    if context.formatted() {
        let mut all = Vec::new();
        for stub in &stubs {
            let found = FoundJob { id: stub.id.clone(), namespace: stub.namespace.clone(), by_prefix: false };
            all.push(everything(context, client, &found).await?);
        }
        return context.print_formatted(&all);
    }
    if stubs.is_empty() {
        context.ui.output("No running jobs");
        return Ok(0);
    }
    context.ui.output(resolve::job_table(context, &stubs, client.config().namespace == "*"));
    context.hint(client, "View and manage Drover jobs", "jobs").await;
    Ok(0)
}

async fn everything(context: &Context, client: &Client, found: &FoundJob) -> Result<Value, Failure> {
    let (path, query) = (found.path(), found.query());
    let all = context.flags.on("all-allocs");
    let attempt = "Error querying job";
    let read = async |tail: &str, query: Query| {
        client.get::<Value>(&format!("{path}{tail}"), &query).await.attempt(attempt).map(|answer| answer.value)
    };
    Ok(json!({
        "Summary": read("/summary", query.clone()).await?,
        "Allocations": read("/allocations", query.clone().set("all", all)).await?,
        "LatestDeployment": read("/deployment", query.clone()).await?,
        "Evaluations": read("/evaluations", query).await?,
    }))
}

async fn one(context: &Context, client: &Client, found: &FoundJob) -> Outcome {
    let (path, query) = (found.path(), found.query());
    let job = client.get::<Job>(&path, &query).await.attempt("Error querying job")?.value;
    let periodic = job.periodic.is_some();
    let parameterized = job.parameterized_job.is_some() && !job.dispatched;
    context.ui.output(header(context, client, &job, found).await);
    let namespace = job.namespace.as_deref().unwrap_or("default");
    let page = format!("jobs/{}@{namespace}", crate::sdk::segment(&found.id));
    if !context.flags.on("short") {
        if periodic || parameterized {
            children(context, client, &job, found, parameterized).await?;
        } else {
            runs(context, client, &job, found).await?;
        }
    }
    context.hint(client, "View job details and metrics", &page).await;
    Ok(0)
}

async fn header(context: &Context, client: &Client, job: &Job, found: &FoundJob) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let status = match (job.stop.unwrap_or(false), text(&job.status)) {
        (true, status) => format!("{status} (stopped)"),
        (false, status) => status,
    };
    let periodic = job.periodic.as_ref();
    let mut rows = vec![
        ("ID", text(&job.id)),
        ("Name", text(&job.name)),
        ("Submit Date", context.zone.nanoseconds(job.submit_time.unwrap_or(0))),
        ("Type", text(&job.r#type)),
        ("Priority", job.priority.unwrap_or(50).to_string()),
        ("Datacenters", job.datacenters.clone().unwrap_or_default().join(",")),
        ("Namespace", text(&job.namespace)),
        ("Node Pool", text(&job.node_pool)),
        ("Status", status),
        ("Periodic", periodic.is_some().to_string()),
        ("Parameterized", (job.parameterized_job.is_some() && !job.dispatched).to_string()),
    ];
    if let Some(token) = job.dispatch_idempotency_token.clone().filter(|token| !token.is_empty()) {
        rows.push(("Idempotency Token", token));
    }
    if periodic.is_some_and(|periodic| periodic.enabled.unwrap_or(true)) && !job.stop.unwrap_or(false) {
        let request = drover_api::JobPlanRequest { job: Some(job.clone()), ..drover_api::JobPlanRequest::default() };
        let answer = client.put::<_, drover_api::JobPlanResponse>(&format!("{}/plan", found.path()), &found.query(), &request).await;
        let next = answer.ok().and_then(|plan| parse_time(plan.value.next_periodic_launch.as_deref()));
        if let Some(next) = next {
            rows.push(("Next Periodic Launch", super::job_run::launch(context, next)));
        }
    }
    pairs(&rows)
}

async fn children(context: &Context, client: &Client, job: &Job, found: &FoundJob, parameterized: bool) -> Result<(), Failure> {
    if let Some(settings) = job.parameterized_job.as_ref().filter(|_| parameterized) {
        let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default().join(", ");
        let rows = [
            ("Payload", settings.payload.clone()),
            ("Required Metadata", list(&settings.meta_required)),
            ("Optional Metadata", list(&settings.meta_optional)),
        ];
        context.ui.output(format!("\n{}\n{}", context.title("Parameterized Job"), pairs(&rows)));
    }
    let path = format!("{}/summary", found.path());
    let summary = client.get::<JobSummary>(&path, &found.query()).await.attempt("Error querying job summary")?.value;
    let counts = summary.children.unwrap_or_default();
    let title = if parameterized { "Parameterized Job Summary" } else { "Children Job Summary" };
    let rows = [row!["Pending", "Running", "Dead"], row![counts.pending, counts.running, counts.dead]];
    context.ui.output(format!("\n{}\n{}", context.title(title), table(&rows)));
    let (title, kind, none) = if parameterized {
        ("Dispatched Jobs", "dispatch", "No dispatched instances found")
    } else {
        ("Previously Launched Jobs", "periodic", "No previously launched jobs found")
    };
    let prefix = format!("{}/{kind}-", found.id);
    let answer = client.get::<Vec<JobListStub>>("/v1/jobs", &found.query().set("prefix", prefix)).await;
    let stubs = answer.attempt("Error querying child jobs")?.value;
    let stubs: Vec<&JobListStub> = stubs.iter().filter(|stub| stub.parent_id == found.id).collect();
    let list = if stubs.is_empty() {
        none.to_owned()
    } else {
        let mut rows = vec![row!["ID", "Status"]];
        rows.extend(stubs.iter().map(|stub| row![stub.id, stub.status]));
        table(&rows)
    };
    context.ui.output(format!("\n{}\n{list}", context.title(title)));
    Ok(())
}

async fn runs(context: &Context, client: &Client, job: &Job, found: &FoundJob) -> Result<(), Failure> {
    let (path, query) = (found.path(), found.query());
    let summary = client.get::<JobSummary>(&format!("{path}/summary"), &query).await.attempt("Error querying job summary")?.value;
    let mut rows = vec![row!["Task Group", "Queued", "Starting", "Running", "Failed", "Complete", "Lost", "Unknown"]];
    for (group, counts) in summary.summary.iter().flatten() {
        rows.push(row![group, counts.queued, counts.starting, counts.running, counts.failed, counts.complete, counts.lost, counts.unknown]);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Summary"), table(&rows)));
    let all = context.flags.on("all-allocs");
    let allocs_query = query.clone().set("all", all);
    let answer = client.get::<Vec<AllocationListStub>>(&format!("{path}/allocations"), &allocs_query).await;
    let mut allocs = answer.attempt("Error querying job allocations")?.value;
    let answer = client.get::<Vec<Evaluation>>(&format!("{path}/evaluations"), &query).await;
    let evals = answer.attempt("Error querying job evaluations")?.value;
    let answer = client.get::<Option<Deployment>>(&format!("{path}/deployment"), &query).await;
    let deployment = answer.attempt("Error querying latest deployment")?.value;
    if context.verbose() || context.flags.on("evals") {
        context.ui.output(format!("\n{}\n{}", context.title("Evaluations"), evaluations(context, &evals)));
    }
    placement_failures(context, &evals);
    super::why(context, summary.why.as_ref());
    reschedules(context, client, &allocs).await;
    if let Some(deployment) = deployment {
        let rows = [
            ("ID", short(&deployment.id, context.verbose())),
            ("Status", &deployment.status),
            ("Description", &deployment.status_description),
        ];
        let mut block = format!("\n{}\n{}", context.title("Latest Deployment"), pairs(&rows));
        if let Some(groups) = monitor::group_table(context, &deployment) {
            block.push_str(&format!("\n\n{}\n{groups}", context.title("Deployed")));
        }
        context.ui.output(block);
    }
    let actions = actions(job);
    if !actions.is_empty() {
        let mut rows = vec![row!["Action Name", "Task Group", "Task"]];
        rows.extend(actions.iter().map(|action| row![action.name, action.task_group_name, action.task_name]));
        context.ui.output(format!("\n{}\n{}", context.title("Actions"), table(&rows)));
    }
    super::alloc::newest_first(&mut allocs);
    let list = if allocs.is_empty() { "No allocations placed".to_owned() } else { super::alloc::list(context, &allocs, true) };
    context.ui.output(format!("\n{}\n{list}", context.title("Allocations")));
    Ok(())
}

fn actions(job: &Job) -> Vec<JobAction> {
    let mut out = Vec::new();
    for group in job.task_groups.iter().flatten() {
        for task in group.tasks.iter().flatten() {
            for action in task.actions.iter().flatten() {
                out.push(JobAction {
                    name: action.name.clone(),
                    task_name: task.name.clone(),
                    task_group_name: group.name.clone().unwrap_or_default(),
                    ..JobAction::default()
                });
            }
        }
    }
    out.sort_by(|left, right| left.name.cmp(&right.name));
    out
}

fn evaluations(context: &Context, evals: &[Evaluation]) -> String {
    let mut evals: Vec<&Evaluation> = evals.iter().collect();
    evals.sort_by_key(|eval| std::cmp::Reverse(eval.create_index));
    let mut rows = vec![row!["ID", "Priority", "Triggered By", "Status", "Placement Failures"]];
    for eval in evals {
        let failures = super::eval::failures(&eval.status, eval.failed_tg_allocs.as_ref());
        rows.push(row![short(&eval.id, context.verbose()), eval.priority, eval.triggered_by, eval.status, failures]);
    }
    table(&rows)
}

/// The newest failures, as long as an evaluation still waits for room.
fn placement_failures(context: &Context, evals: &[Evaluation]) {
    if !evals.iter().any(|eval| eval.status == "blocked") {
        return;
    }
    let failed = evals
        .iter()
        .filter(|eval| eval.failed_tg_allocs.as_ref().is_some_and(|failed| !failed.is_empty()))
        .max_by_key(|eval| eval.create_index);
    let Some(eval) = failed else { return };
    let mut lines = Vec::new();
    let groups = eval.failed_tg_allocs.iter().flatten();
    for (group, metric) in groups.clone().take(FAILURES_SHOWN) {
        let Some(metric) = metric else { continue };
        let count = if metric.coalesced_failures > 0 {
            format!(" (failed to place {} allocations)", metric.coalesced_failures + 1)
        } else {
            String::new()
        };
        lines.push(format!("Task Group {group:?}{count}:"));
        lines.extend(placement::reasons(&context.ui, metric, "  "));
    }
    if groups.count() > FAILURES_SHOWN {
        let command = format!("{} eval status {}", crate::command::PROGRAM, short(&eval.id, context.verbose()));
        lines.push(format!("\nPlacement failures truncated. To see remainder run:\n{command}"));
    }
    context.ui.output(format!("\n{}\n{}", context.title("Placement Failure"), lines.join("\n")));
}

/// The next attempt of each group that waits before it is tried again.
async fn reschedules(context: &Context, client: &Client, allocs: &[AllocationListStub]) {
    let mut next: BTreeMap<&str, (String, drover_base::WallTime)> = BTreeMap::new();
    for alloc in allocs.iter().filter(|alloc| !alloc.followup_eval_id.is_empty() && alloc.next_allocation.is_empty()) {
        let path = format!("/v1/evaluation/{}", crate::sdk::segment(&alloc.followup_eval_id));
        let Ok(eval) = client.get::<Evaluation>(&path, &Query::new()).await else { continue };
        let Some(at) = parse_time(eval.value.wait_until.as_deref()) else { continue };
        if at > context.clock.now() && next.get(alloc.task_group.as_str()).is_none_or(|(_, known)| at < *known) {
            next.insert(&alloc.task_group, (eval.value.id, at));
        }
    }
    if next.is_empty() {
        return;
    }
    let mut rows = vec![row!["Task Group", "Eval ID", "Eval Time"]];
    for (group, (eval, at)) in next {
        rows.push(row![group, short(&eval, context.verbose()), ago(context.clock.now(), at)]);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Future Rescheduling Attempts"), table(&rows)));
}
