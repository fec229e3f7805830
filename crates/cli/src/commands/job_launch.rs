//! `job dispatch` and `job periodic force`.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_api::wire::Base64;
use drover_api::{AllocationListStub, Job, JobDispatchRequest, JobDispatchResponse, JobListStub, JobSummary, PeriodicForceResponse};

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve::{FoundJob, job_table};
use crate::sdk::{Client, Query, segment};
use crate::text::{pairs, short, table};
use crate::{monitor, row};

pub(super) const DISPATCH_FLAGS: &[Flag] = &[
    Flag::values("meta", "key=value", "Metadata for the job. May be repeated."),
    Flag::value("idempotency-token", "token", "A second dispatch with the same token makes no second job."),
    Flag::value("id-prefix-template", "text", "Put into the id of the dispatched job."),
    Flag::value("priority", "priority", "Priority of the dispatched job instead of its parent's."),
    Flag::switch("wait", "Wait until the dispatched job is over."),
    Flag::switch("ui", ""),
    super::DETACH,
    super::VERBOSE,
];
pub(super) const FORCE_FLAGS: &[Flag] = &[super::DETACH, super::VERBOSE];

/// The largest payload that is read, in bytes; servers take less.
const PAYLOAD_MAX: usize = 1 << 20;
/// How long `-wait` waits.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// How long one request waits for a change.
const WAIT_STEP: Duration = Duration::from_secs(2);
/// The exit code when allocations of the dispatched job failed.
const FAILED: i32 = 2;

/// Finds a job of one kind by id or prefix.
async fn found(
    context: &Context,
    client: &Client,
    given: &str,
    kind: &str,
    fits: impl Fn(&JobListStub) -> bool,
) -> Result<FoundJob, Failure> {
    let query = Query::new().set("prefix", given);
    let mut stubs = client.get::<Vec<JobListStub>>("/v1/jobs", &query).await.attempt("Error querying job prefix")?.value;
    stubs.retain(fits);
    let one = |stub: &JobListStub| FoundJob { id: stub.id.clone(), namespace: stub.namespace.clone(), by_prefix: stub.id != given };
    let exact: Vec<&JobListStub> = stubs.iter().filter(|stub| stub.id == given).collect();
    match (exact.as_slice(), stubs.as_slice()) {
        ([stub], _) => Ok(one(stub)),
        ([], [stub]) => Ok(one(stub)),
        ([], []) => Err(Failure::new(format!("No {kind} job(s) with prefix or ID {given:?} found"))),
        _ => {
            let list = job_table(context, &stubs, client.config().namespace == "*");
            Err(Failure::new(format!("Prefix {given:?} matched multiple jobs\n\n{list}")))
        }
    }
}

fn meta(context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let mut meta = BTreeMap::new();
    for pair in context.flags.values("meta") {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::new(format!("Error parsing meta value: {pair}")));
        };
        meta.insert(key.to_owned(), value.to_owned());
    }
    Ok(meta)
}

fn payload(context: &Context, path: Option<&String>) -> Result<Option<Base64>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("Error reading input data: {error}"));
    let bytes = match path.map(String::as_str) {
        None => return Ok(None),
        Some("-") => context.ui.read_input(PAYLOAD_MAX).map_err(failed)?,
        Some(path) => std::fs::read(path).map_err(failed)?,
    };
    Ok(Some(Base64(bytes)))
}

pub(super) async fn dispatch(context: &mut Context) -> Outcome {
    let arguments = context.arguments().to_vec();
    let (given, path) = match arguments.as_slice() {
        [given] => (given, None),
        [given, path] => (given, Some(path)),
        _ => return Err(Failure::usage("This command takes one or two argument: <parameterized job> [input source]")),
    };
    if context.flags.on("wait") && context.flags.on("detach") {
        return Err(Failure::new("The -wait and -detach flags cannot be used together"));
    }
    let priority = super::job_run::number_flag(context, "priority")?.unwrap_or(0);
    let request = JobDispatchRequest {
        payload: payload(context, path)?,
        meta: Some(meta(context)?),
        id_prefix_template: context.flags.text("id-prefix-template").unwrap_or_default().to_owned(),
        priority,
        ..JobDispatchRequest::default()
    };
    let client = context.client()?;
    let parent = found(context, &client, given, "parameterized", |stub| stub.parameterized_job).await?;
    let request = JobDispatchRequest { job_id: parent.id.clone(), ..request };
    let query = parent.query().set_some("idempotency_token", context.flags.text("idempotency-token").unwrap_or_default());
    let answer = client.put::<_, JobDispatchResponse>(&format!("{}/dispatch", parent.path()), &query, &request).await;
    let done = answer.attempt("Failed to dispatch job")?.value;
    let mut told = vec![("Dispatched Job ID", done.dispatched_job_id.clone())];
    if !done.eval_id.is_empty() {
        told.push(("Evaluation ID", short(&done.eval_id, context.flags.on("verbose")).to_owned()));
    }
    context.ui.output(pairs(&told));
    if context.flags.on("detach") || done.eval_id.is_empty() {
        return Ok(0);
    }
    context.ui.output("");
    let mut code = monitor::evaluation(context, &client, &done.eval_id).await?;
    let page = format!("jobs/{}@{}", segment(&done.dispatched_job_id), parent.namespace);
    if code == 0 && context.flags.on("wait") {
        let child = FoundJob { id: done.dispatched_job_id, namespace: parent.namespace, by_prefix: false };
        code = wait(context, &client, &child).await?;
    }
    context.hint(&client, "View this job", &page).await;
    Ok(code)
}

/// Waits until the job is over; tells how it went.
async fn wait(context: &Context, client: &Client, child: &FoundJob) -> Outcome {
    let until = async {
        let mut index = 0;
        loop {
            let query = child.query().blocking(index, WAIT_STEP);
            let answer = client.get::<Job>(&child.path(), &query).await.attempt("Error querying job")?;
            if answer.value.status.as_deref() == Some("dead") {
                return Ok::<(), Failure>(());
            }
            index = answer.meta.index;
        }
    };
    match context.clock.timeout(WAIT_MAX, until).await {
        Some(over) => over?,
        None => return Err(Failure::new("Timed out waiting for the dispatched job")),
    }
    let path = format!("{}/summary", child.path());
    let summary = client.get::<JobSummary>(&path, &child.query()).await.attempt("Error querying job summary")?.value;
    let mut rows = vec![row!["Task Group", "Queued", "Complete", "Failed", "Running", "Starting", "Lost", "Unknown"]];
    for (group, counts) in summary.summary.iter().flatten() {
        let counts = [counts.queued, counts.complete, counts.failed, counts.running, counts.starting, counts.lost, counts.unknown];
        rows.push(std::iter::once(group.clone()).chain(counts.iter().map(ToString::to_string)).collect());
    }
    let path = format!("{}/allocations", child.path());
    let allocs = client.get::<Vec<AllocationListStub>>(&path, &child.query()).await.attempt("Error querying allocations")?.value;
    let failed = allocs.iter().filter(|alloc| alloc.client_status == "failed" && alloc.next_allocation.is_empty()).count();
    if failed == 0 {
        return Ok(0);
    }
    context.ui.output(format!("\n{}", table(&rows)));
    Ok(FAILED)
}

pub(super) async fn force(context: &mut Context) -> Outcome {
    let given = context.one_argument("<job id>")?;
    let client = context.client()?;
    let job = found(context, &client, &given, "periodic", |stub| stub.periodic).await?;
    let path = format!("{}/periodic/force", job.path());
    let answer = client.put::<_, PeriodicForceResponse>(&path, &job.query(), &serde_json::Value::Null).await;
    let eval_id = answer.attempt(&format!("Error forcing periodic job {:?}", job.id))?.value.eval_id;
    if context.flags.on("detach") {
        context.ui.output(format!("Force periodic successful\nEvaluation ID: {eval_id}"));
        return Ok(0);
    }
    monitor::evaluation(context, &client, &eval_id).await
}
