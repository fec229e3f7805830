//! `job run`: reads a job file, registers the job and follows what comes of it.

use drover_api::{JobRegisterRequest, JobRegisterResponse};
use drover_base::WallTime;

use crate::command::{Context, Failure, Outcome};
use crate::flags::Flag;
use crate::jobfile;
use crate::sdk::{Query, SdkError};
use crate::ui::Paint;
use crate::{monitor, text};

pub(super) const FLAGS: &[Flag] = &[
    Flag::value("check-index", "index", "Register only if the job's modify index is this; 0 means that it must not exist."),
    Flag::switch("detach", "Return once the job is registered, without following its evaluation and deployment."),
    Flag::value("eval-priority", "priority", "Priority of the evaluation, 1 to 100, instead of the job's."),
    jobfile::JSON,
    jobfile::STRICT,
    jobfile::VAR,
    jobfile::VAR_FILE,
    Flag::switch("output", "Print the job as JSON and register nothing."),
    Flag::switch("json-output", "Print problems of the file as JSON, each with its place."),
    Flag::switch("policy-override", "Override soft policies."),
    Flag::switch("preserve-counts", "Keep the counts of groups that run already."),
    Flag::switch("preserve-resources", "Keep the resources of tasks that run already."),
    Flag::value("consul-namespace", "namespace", ""),
    Flag::value("vault-namespace", "namespace", ""),
    Flag::switch("ui", ""),
    super::VERBOSE,
];

pub(super) async fn run(context: &mut Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    let check_index = index_flag(context, "check-index")?;
    let eval_priority = number_flag(context, "eval-priority")?;
    let file = jobfile::read(context, &path).await?;
    if context.flags.on("output") {
        context.ui.output(drover_api::client_text(serde_json::to_value(&file.job).unwrap_or_default()));
        return Ok(0);
    }
    let client = context.client()?.in_region(file.job.region.as_deref().unwrap_or(""));
    let namespace = file.job.namespace.clone().unwrap_or_default();
    let mut job = file.job;
    if namespace.is_empty() && !client.config().namespace.is_empty() {
        job.namespace = Some(client.config().namespace.clone());
    }
    let (periodic, parameterized) = (job.periodic.is_some(), job.parameterized_job.is_some());
    let unmonitored = periodic || parameterized || job.multiregion.is_some();
    let id = job.id.clone().or_else(|| job.name.clone()).unwrap_or_default();
    let request = JobRegisterRequest {
        submission: file.submission,
        job: Some(job),
        enforce_index: check_index.is_some(),
        job_modify_index: check_index.unwrap_or(0),
        policy_override: context.flags.on("policy-override"),
        preserve_counts: context.flags.on("preserve-counts"),
        preserve_resources: context.flags.on("preserve-resources"),
        eval_priority: eval_priority.unwrap_or(0),
        ..JobRegisterRequest::default()
    };
    let query = Query::new().namespace(&namespace);
    let response = match client.put::<_, JobRegisterResponse>("/v1/jobs", &query, &request).await {
        Ok(answer) => answer.value,
        Err(SdkError::Response { body, .. }) if body.contains("Enforcing job modify index") => {
            let text = body.find("Enforcing job modify index").map_or(body.as_str(), |start| &body[start..]);
            return Err(Failure::new(format!("{text}\nJob not updated")));
        }
        Err(error) => {
            let job = request.job.unwrap_or_default();
            let text = format!("Error submitting job: {error}");
            let explained = file.written.problems(context, &job, Some(&text)).filter(|_| context.flags.on("json-output"));
            return Err(Failure::new(match explained {
                Some(explained) => explained.json,
                None => file.written.explain(context, &job, text),
            }));
        }
    };
    warnings(context, &response.warnings);
    let shown_namespace = request_namespace(&request);
    let page = format!("jobs/{}@{shown_namespace}", crate::sdk::segment(&id));
    context.hint(&client, "View this job", &page).await;
    if context.flags.on("detach") || unmonitored {
        context.ui.output("Job registration successful");
        if periodic && let Some(next) = next_launch(context, &client, &id, &namespace).await {
            context.ui.output(format!("Approximate next launch time: {next}"));
        }
        if !response.eval_id.is_empty() {
            context.ui.output(format!("Evaluation ID: {}", response.eval_id));
        }
        return Ok(0);
    }
    monitor::evaluation(context, &client, &response.eval_id).await
}

fn request_namespace(request: &JobRegisterRequest) -> String {
    let namespace = request.job.as_ref().and_then(|job| job.namespace.clone()).filter(|namespace| !namespace.is_empty());
    namespace.unwrap_or_else(|| "default".to_owned())
}

/// The next launch of a periodic job as a plan tells it.
async fn next_launch(context: &Context, client: &crate::sdk::Client, id: &str, namespace: &str) -> Option<String> {
    let path = format!("/v1/job/{}", crate::sdk::segment(id));
    let query = Query::new().namespace(namespace);
    let job = client.get::<drover_api::Job>(&path, &query).await.ok()?.value;
    let request = drover_api::JobPlanRequest { job: Some(job), ..drover_api::JobPlanRequest::default() };
    let plan = client.put::<_, drover_api::JobPlanResponse>(&format!("{path}/plan"), &query, &request).await.ok()?.value;
    let next = text::parse_time(plan.next_periodic_launch.as_deref())?;
    Some(launch(context, next))
}

pub(super) fn launch(context: &Context, next: WallTime) -> String {
    format!("{} ({})", context.zone.time(next), text::ago(context.clock.now(), next))
}

/// Prints a job's warnings, if it has some.
pub(super) fn warnings(context: &Context, warnings: &str) {
    if !warnings.is_empty() {
        context.ui.output(context.ui.paint(Paint::Yellow, &format!("Job Warnings:\n{warnings}\n")));
    }
}

/// An unsigned number given to a flag.
pub(super) fn index_flag(context: &Context, name: &'static str) -> Result<Option<u64>, Failure> {
    context
        .flags
        .text(name)
        .map(|text| {
            text.parse().map_err(|_| {
                Failure::new(format!("Error parsing {name} value {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"))
            })
        })
        .transpose()
}

/// A number given to a flag.
pub(super) fn number_flag(context: &Context, name: &'static str) -> Result<Option<i64>, Failure> {
    context
        .flags
        .text(name)
        .map(|text| text.parse().map_err(|_| Failure::usage(format!("invalid value {text:?} for flag -{name}: parse error"))))
        .transpose()
}
