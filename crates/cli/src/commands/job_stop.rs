//! `job stop` and `job start`.

use drover_api::{Job, JobDeregisterResponse, JobRegisterRequest, JobRegisterResponse};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::monitor;
use crate::resolve::{self, FoundJob};
use crate::sdk::{Client, Query};

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("detach", "Print the evaluation's id instead of following it."),
    Flag::value("eval-priority", "priority", "Priority of the evaluation, 1 to 100, instead of the job's."),
    Flag::switch("global", "Stop a multiregion job in all of its regions."),
    Flag::switch("no-shutdown-delay", "Skip the shutdown delays of groups and tasks."),
    Flag::switch("purge", "Remove the job and its history, too."),
    Flag::switch("yes", "Do not ask."),
    super::VERBOSE,
];
pub(super) const START_FLAGS: &[Flag] = &[super::DETACH, super::VERBOSE];

pub(super) async fn run(context: &mut Context) -> Outcome {
    let given = context.arguments().to_vec();
    if given.is_empty() {
        return Err(Failure::usage("This command takes at least one argument: <job>"));
    }
    let client = context.client()?;
    let mut jobs = Vec::new();
    for id in &given {
        jobs.push(resolve::job(context, &client, id).await?);
    }
    if let [job] = jobs.as_slice()
        && job.by_prefix
        && !context.flags.on("yes")
        && let Some(code) = declined(context, job)?
    {
        return Ok(code);
    }
    let priority = super::job_run::number_flag(context, "eval-priority")?.unwrap_or(0);
    let context = &*context;
    let stops = jobs.iter().map(|job| stop(context, &client, job, priority));
    let mut code = 0;
    for outcome in futures::future::join_all(stops).await {
        let one = outcome.unwrap_or_else(|failure| {
            context.ui.error(&failure.text);
            failure.code
        });
        if code == 0 {
            code = one;
        }
    }
    Ok(code)
}

/// Asks; the exit code if the answer is not a plain `y`.
fn declined(context: &Context, job: &FoundJob) -> Result<Option<i32>, Failure> {
    let question = format!("Are you sure you want to stop job {:?}? [y/N]", job.id);
    let answer = context.ui.ask(&question).map_err(|error| Failure::new(format!("Failed to parse answer: {error}")))?;
    let answer = answer.ok_or_else(|| Failure::new("Failed to parse answer: EOF"))?;
    Ok(match answer.as_str() {
        "y" => None,
        answer if answer.is_empty() || answer.to_lowercase().starts_with('n') => {
            context.ui.output("Cancelling job stop");
            Some(0)
        }
        answer if answer.to_lowercase().starts_with('y') => {
            context.ui.output("For confirmation, an exact ‘y’ is required.");
            Some(0)
        }
        _ => {
            context.ui.output("No confirmation detected. For confirmation, an exact 'y' is required.");
            Some(1)
        }
    })
}

async fn stop(context: &Context, client: &Client, job: &FoundJob, priority: i64) -> Outcome {
    let mut query = job.query();
    for (flag, name) in [("purge", "purge"), ("global", "global"), ("no-shutdown-delay", "no_shutdown_delay")] {
        if context.flags.on(flag) {
            query = query.set(name, true);
        }
    }
    if priority > 0 {
        query = query.set("eval_priority", priority);
    }
    let answer = client.delete::<JobDeregisterResponse>(&job.path(), &query).await;
    let eval_id = answer.attempt("Error deregistering job")?.value.eval_id;
    if eval_id.is_empty() {
        return Ok(0);
    }
    if context.flags.on("detach") {
        context.ui.output(eval_id);
        return Ok(0);
    }
    monitor::evaluation(context, client, &eval_id).await
}

pub(super) async fn start(context: &mut Context) -> Outcome {
    let id = context.one_argument("<job>")?;
    let client = context.client()?;
    let found = resolve::job(context, &client, &id).await?;
    let mut job = client.get::<Job>(&found.path(), &found.query()).await.attempt("Error retrieving job status")?.value;
    if !job.stop.unwrap_or(false) {
        return Err(Failure::new(format!("Job {:?} has not been stopped", found.id)));
    }
    job.stop = Some(false);
    let unmonitored = job.periodic.is_some() || job.parameterized_job.is_some();
    let version = job.version.unwrap_or(0);
    let path = format!("{}/submission", found.path());
    let submission = client.get(&path, &found.query().set("version", version)).await.ok().map(|answer| answer.value);
    let request = JobRegisterRequest { job: Some(job), submission, ..JobRegisterRequest::default() };
    let query = Query::new().namespace(&found.namespace);
    let answer = client.put::<_, JobRegisterResponse>("/v1/jobs", &query, &request).await;
    let response = answer.attempt("Error running job")?.value;
    if context.flags.on("detach") || unmonitored || response.eval_id.is_empty() {
        context.ui.output("Job start successful");
        if !response.eval_id.is_empty() {
            context.ui.output(format!("Evaluation ID: {}", response.eval_id));
        }
        return Ok(0);
    }
    monitor::evaluation(context, &client, &response.eval_id).await
}
