//! The smaller job commands: inspect, history, revert, scale, validate, allocs, deployments, eval, promote and tags.

use std::collections::BTreeMap;

use drover_api::{
    AllocationListStub, Deployment, DeploymentPromoteRequest, DeploymentUpdateResponse, EvalOptions, Job, JobDiff, JobEvaluateRequest,
    JobRegisterResponse, JobRevertRequest, JobScaleStatusResponse, JobSubmission, JobValidateRequest, JobValidateResponse,
    JobVersionsResponse, ScalingRequest, TagVersionRequest,
};
use drover_model::admission;
use serde_json::{Value, json};

use crate::command::{Attempt, Context, Failure, Outcome, PROGRAM};
use crate::flags::Flag;
use crate::resolve::{self, FoundJob};
use crate::sdk::{Client, SdkError, segment};
use crate::text::{pairs, table};
use crate::ui::Paint;
use crate::whole::{VERSION, completed};
use crate::{diff, jobfile, monitor, row, text};

pub(super) const INSPECT_FLAGS: &[Flag] = &[
    Flag::value("version", "version", "The version to show instead of the newest."),
    Flag::switch("hcl", "Show the source that was submitted."),
    Flag::switch("with-vars", "With -hcl: show the variables, too, as a command to run the job again."),
    super::JSON,
    super::TEMPLATE,
];
pub(super) const HISTORY_FLAGS: &[Flag] = &[
    Flag::switch("p", "Show what each version changed."),
    Flag::value("diff-tag", "name", "With -p: compare with the version of this tag."),
    Flag::value("diff-version", "version", "With -p: compare with this version."),
    Flag::switch("full", "Show each version in full."),
    Flag::value("version", "version", "Show this version only."),
    super::JSON,
    super::TEMPLATE,
];
pub(super) const SCALE_FLAGS: &[Flag] =
    &[Flag::value("check-index", "index", "Scale only if the job's modify index is this."), super::DETACH, super::VERBOSE];
pub(super) const VALIDATE_FLAGS: &[Flag] = &[
    jobfile::JSON,
    jobfile::STRICT,
    jobfile::VAR,
    jobfile::VAR_FILE,
    Flag::switch("offline", "Ask no agent: check the file with the rules that are in this program."),
    Flag::switch("json-output", "Print problems of the file as JSON, each with its place."),
    Flag::value("vault-namespace", "namespace", ""),
];
pub(super) const ALLOCS_FLAGS: &[Flag] =
    &[Flag::switch("all", "Show allocations of jobs that had the same id before, too."), super::JSON, super::TEMPLATE, super::VERBOSE];
pub(super) const DEPLOYMENTS_FLAGS: &[Flag] = &[
    Flag::switch("latest", "Show the newest deployment in full."),
    Flag::switch("all", "Show deployments of jobs that had the same id before, too."),
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
];
pub(super) const EVAL_FLAGS: &[Flag] =
    &[Flag::switch("force-reschedule", "Reschedule failed allocations even if they may not be yet."), super::DETACH, super::VERBOSE];
pub(super) const PROMOTE_FLAGS: &[Flag] =
    &[Flag::values("group", "name", "Promote this group only. May be repeated."), super::DETACH, super::VERBOSE];
pub(super) const REVERT_FLAGS: &[Flag] = &[super::DETACH, super::VERBOSE];
pub(super) const TAG_FLAGS: &[Flag] = &[
    Flag::value("name", "name", "Name of the tag."),
    Flag::value("description", "text", "Description of the tag."),
    Flag::value("version", "version", "The version to tag instead of the newest."),
];
pub(super) const EVENTS_FLAGS: &[Flag] = &[super::VERBOSE];

async fn found(context: &Context) -> Result<(Client, FoundJob), Failure> {
    let id = context.one_argument("<job>")?;
    let client = context.client()?;
    let found = resolve::job(context, &client, &id).await?;
    Ok((client, found))
}

/// Follows the evaluation, or prints its id.
async fn follow(context: &Context, client: &Client, eval_id: &str, detached: &str) -> Outcome {
    if eval_id.is_empty() {
        return Ok(0);
    }
    if context.flags.on("detach") {
        context.ui.output(detached);
        return Ok(0);
    }
    monitor::evaluation(context, client, eval_id).await
}

pub(super) async fn inspect(context: &mut Context) -> Outcome {
    if context.arguments().is_empty() && context.formatted() {
        let client = context.client()?;
        let jobs = client.get::<Value>("/v1/jobs", &crate::sdk::Query::new()).await.attempt("Error querying jobs")?.value;
        return context.print_formatted(&jobs);
    }
    if context.flags.on("hcl") && context.flags.on("json") {
        return Err(Failure::new("Only one of -hcl and -json may be given"));
    }
    if context.flags.on("with-vars") && !context.flags.on("hcl") {
        return Err(Failure::new("-with-vars can only be used with -hcl"));
    }
    let (client, found) = found(context).await?;
    let wanted = super::job_run::index_flag(context, "version")?;
    if context.flags.on("hcl") {
        return source(context, &client, &found, wanted).await;
    }
    let job = match wanted {
        None => client.get::<Value>(&found.path(), &found.query()).await.attempt("Error inspecting job")?.value,
        Some(version) => {
            let answer = client.get::<Value>(&format!("{}/versions", found.path()), &found.query()).await;
            let versions = answer.attempt("Error retrieving job versions")?.value;
            let versions = versions["Versions"].as_array().cloned().unwrap_or_default();
            let one = versions.into_iter().find(|job| job["Version"].as_u64() == Some(version));
            one.ok_or_else(|| Failure::new(format!("Error retrieving job: job {:?} has no version {version}", found.id)))?
        }
    };
    let job = drover_api::as_clients_write(job);
    if context.formatted() {
        return context.print_formatted(&job);
    }
    context.ui.output(text::json(&json!({ "Job": job })));
    Ok(0)
}

async fn source(context: &Context, client: &Client, found: &FoundJob, version: Option<u64>) -> Outcome {
    let version = match version {
        Some(version) => version,
        None => {
            let job = client.get::<Job>(&found.path(), &found.query()).await.attempt("Error inspecting job")?.value;
            job.version.unwrap_or(0)
        }
    };
    let path = format!("{}/submission", found.path());
    let answer = client.get::<JobSubmission>(&path, &found.query().set("version", version)).await;
    let submission = answer.attempt("Unable to retrieve job submission")?.value;
    context.ui.output(submission.source.trim_end_matches('\n'));
    if context.flags.on("with-vars") {
        let mut flags = String::new();
        for (name, value) in submission.variable_flags.iter().flatten() {
            flags.push_str(&format!("-var {} ", super::job_plan::quoted(&format!("{name}={value}"))));
        }
        let (namespace, id) = (&found.namespace, &found.id);
        context.ui.note(format!(
            "\nTo run this job as originally submitted:\n\n$ {PROGRAM} job inspect -namespace {namespace} -hcl {id} |\n    {PROGRAM} job run -namespace {namespace} {flags}-"
        ));
    }
    Ok(0)
}

pub(super) async fn history(context: &mut Context) -> Outcome {
    let changes = context.flags.on("p");
    let (tag, base) = (context.flags.text("diff-tag"), context.flags.text("diff-version"));
    if (tag.is_some() || base.is_some()) && !changes {
        return Err(Failure::new("-diff-tag and -diff-version can only be used with -p"));
    }
    if tag.is_some() && base.is_some() {
        return Err(Failure::new("-diff-tag and -diff-version are mutually exclusive"));
    }
    if context.formatted() && (changes || context.flags.on("full")) {
        return Err(Failure::new("-json and -t are exclusive with -p and -full"));
    }
    let wanted = super::job_run::index_flag(context, "version")?;
    let mut query = vec![("diffs", changes.to_string())];
    query.extend(tag.map(|tag| ("diff_tag", tag.to_owned())));
    query.extend(base.map(|base| ("diff_version", base.to_owned())));
    let (client, found) = found(context).await?;
    let query = query.into_iter().fold(found.query(), |query, (name, value)| query.set(name, value));
    let answer = client.get::<Value>(&format!("{}/versions", found.path()), &query).await;
    let value = answer.attempt("Error retrieving job versions")?.value;
    let raw = value["Versions"].as_array().cloned().unwrap_or_default();
    let raw: Vec<Value> = raw.into_iter().map(|version| completed(version, VERSION)).collect();
    let response: JobVersionsResponse =
        serde_json::from_value(value).map_err(|error| Failure::new(format!("Error retrieving job versions: {error}")))?;
    let versions = response.versions.unwrap_or_default();
    let diffs = response.diffs.unwrap_or_default();
    let chosen: Vec<usize> =
        (0..versions.len()).filter(|position| wanted.is_none_or(|wanted| versions[*position].version == Some(wanted))).collect();
    if let (Some(version), true) = (wanted, chosen.is_empty()) {
        return Err(Failure::new(format!("Version {version} of job {:?} not found", found.id)));
    }
    if context.formatted() {
        let picked: Vec<&Value> = chosen.iter().filter_map(|position| raw.get(*position)).collect();
        return match (wanted, picked.as_slice()) {
            (Some(_), [one]) => context.print_formatted(one),
            _ => context.print_formatted(&picked),
        };
    }
    let blocks: Vec<String> = chosen
        .iter()
        .map(|position| {
            let job = &versions[*position];
            let full = context.flags.on("full").then(|| raw.get(*position)).flatten();
            version_block(context, job, diffs.get(*position), full)
        })
        .collect();
    context.ui.output(blocks.join("\n\n"));
    Ok(0)
}

fn version_block(context: &Context, job: &Job, changes: Option<&JobDiff>, full: Option<&Value>) -> String {
    let mut rows = vec![
        ("Version", job.version.unwrap_or(0).to_string()),
        ("Stable", job.stable.unwrap_or(false).to_string()),
        ("Submit Date", context.zone.nanoseconds(job.submit_time.unwrap_or(0))),
    ];
    if let Some(tag) = &job.version_tag {
        rows.push(("Tag Name", tag.name.clone()));
        if !tag.description.is_empty() {
            rows.push(("Tag Description", tag.description.clone()));
        }
    }
    if let Some(changes) = changes.filter(|changes| changes.r#type != "None") {
        rows.push(("Diff", format!("\n{}", diff::job(&context.ui, changes, false))));
    }
    if let Some(full) = full {
        rows.push(("Full", format!("JSON Job:\n{}", text::json(&drover_api::as_clients_write(full.clone())))));
    }
    pairs(&rows)
}

pub(super) async fn revert(context: &mut Context) -> Outcome {
    let [id, version] = context.arguments() else {
        return Err(Failure::usage("This command takes two arguments: <job> <version|tag>"));
    };
    let client = context.client()?;
    let found = resolve::job(context, &client, id).await?;
    let attempt = "Error retrieving job versions";
    let version = match version.parse() {
        Ok(number) => number,
        Err(_) => {
            let answer = client.get::<JobVersionsResponse>(&format!("{}/versions", found.path()), &found.query()).await;
            let versions = answer.attempt(attempt)?.value.versions.unwrap_or_default();
            let tagged = versions.iter().find(|job| job.version_tag.as_ref().is_some_and(|tag| tag.name == *version));
            tagged
                .and_then(|job| job.version)
                .ok_or_else(|| Failure::new(format!("{attempt}: tag {version:?} not found on job {:?}", found.id)))?
        }
    };
    let request = JobRevertRequest { job_id: found.id.clone(), job_version: version, ..JobRevertRequest::default() };
    let path = format!("{}/revert", found.path());
    let answer = client.put::<_, JobRegisterResponse>(&path, &found.query(), &request).await;
    let eval_id = answer.attempt(attempt)?.value.eval_id;
    follow(context, &client, &eval_id, &eval_id).await
}

pub(super) async fn scale(context: &mut Context) -> Outcome {
    let (id, group, count) = match context.arguments() {
        [id, count] => (id, None, count),
        [id, group, count] => (id, Some(group), count),
        _ => return Err(Failure::new("Command requires at least two arguments and no more than three")),
    };
    let count: i64 = count
        .parse()
        .map_err(|_| Failure::new(format!("Failed to convert count string to int: strconv.Atoi: parsing {count:?}: invalid syntax")))?;
    let index = super::job_run::index_flag(context, "check-index")?;
    let client = context.client()?;
    let found = resolve::job(context, &client, id).await?;
    let path = format!("{}/scale", found.path());
    let answer = client.get::<JobScaleStatusResponse>(&path, &found.query()).await;
    let groups = answer.attempt("Error querying job")?.value.task_groups.unwrap_or_default();
    let group = match group {
        Some(group) if groups.contains_key(group) => group.clone(),
        Some(group) => return Err(Failure::new(format!("Group {group} not found within job"))),
        None => match groups.keys().collect::<Vec<_>>().as_slice() {
            [one] => (*one).clone(),
            _ => return Err(Failure::new("Multiple task groups: name the one to scale")),
        },
    };
    let request = ScalingRequest {
        count: Some(count),
        target: Some(BTreeMap::from([("Job".to_owned(), found.id.clone()), ("Group".to_owned(), group)])),
        message: "submitted using the Drover CLI".to_owned(),
        job_modify_index: index.unwrap_or(0),
        ..ScalingRequest::default()
    };
    let answer = client.put::<_, JobRegisterResponse>(&path, &found.query(), &request).await;
    let response = answer.attempt("Error submitting scaling request")?.value;
    super::job_run::warnings(context, &response.warnings);
    follow(context, &client, &response.eval_id, &format!("Evaluation ID: {}", response.eval_id)).await
}

pub(super) async fn scaling_events(context: &mut Context) -> Outcome {
    let (client, found) = found(context).await?;
    let answer = client.get::<JobScaleStatusResponse>(&format!("{}/scale", found.path()), &found.query()).await;
    let groups = answer.attempt("Error listing scaling events")?.value.task_groups.unwrap_or_default();
    let mut events: Vec<_> =
        groups.iter().flat_map(|(group, status)| status.events.iter().flatten().map(move |event| (group, event))).collect();
    if events.is_empty() {
        context.ui.output("No events found");
        return Ok(0);
    }
    events.sort_by_key(|(_, event)| std::cmp::Reverse(event.time));
    let mut rows = vec![if context.verbose() {
        row!["Task Group", "Count", "PrevCount", "Error", "Message", "Eval ID", "Date"]
    } else {
        row!["Task Group", "Count", "PrevCount", "Date"]
    }];
    for (group, event) in events {
        let count = event.count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let date = context.zone.nanoseconds(event.time);
        rows.push(if context.verbose() {
            let eval = event.eval_id.clone().unwrap_or_default();
            row![group, count, event.previous_count, event.error, event.message, eval, date]
        } else {
            row![group, count, event.previous_count, date]
        });
    }
    context.ui.output(table(&rows));
    Ok(0)
}

/// What a server would say about a job, as far as that follows from the job alone.
fn offline(mut job: Job) -> JobValidateResponse {
    let namespace = job.namespace.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned());
    admission::canonicalize(&mut job, &admission::Surroundings { region: "global", namespace: &namespace });
    admission::complete(&mut job);
    let problems = admission::validate(&job);
    let warnings = admission::warnings(&job, admission::Oversubscription::On);
    JobValidateResponse {
        driver_config_validated: true,
        error: if problems.is_empty() { String::new() } else { problems.to_string() },
        validation_errors: Some(problems.texts),
        warnings: match warnings.as_slice() {
            [] => String::new(),
            [one] => format!("1 warning:\n\n* {one}"),
            many => format!("{} warnings:\n\n* {}", many.len(), many.join("\n* ")),
        },
    }
}

pub(super) async fn validate(context: &mut Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    let file = jobfile::read(context, &path).await?;
    let response = if context.flags.on("offline") {
        offline(file.job.clone())
    } else {
        let client = context.client().map_err(|failure| failure.code(255))?;
        let client = client.in_region(file.job.region.as_deref().unwrap_or(""));
        let request = JobValidateRequest { job: Some(file.job.clone()), ..JobValidateRequest::default() };
        match client.put::<_, JobValidateResponse>("/v1/validate/job", &crate::sdk::Query::new(), &request).await {
            Ok(answer) => answer.value,
            Err(SdkError::Transport { reason, .. }) => {
                context.ui.warn(format!("No agent could be asked ({reason}): the job was checked with the rules of this program alone."));
                offline(file.job.clone())
            }
            Err(error) => {
                let text = format!("Error validating job: {error}");
                return Err(Failure::new(file.written.explain(context, &file.job, text)));
            }
        }
    };
    if !response.driver_config_validated {
        context.ui.warn("Driver configuration not validated since connection to an agent couldn't be established.");
    }
    let errors = match (response.error.as_str(), response.validation_errors.unwrap_or_default()) {
        ("", listed) if listed.is_empty() => String::new(),
        ("", listed) => listed.join("\n"),
        (text, _) => text.trim_end().to_owned(),
    };
    super::job_run::warnings(context, &response.warnings);
    if !errors.is_empty() {
        let explained = file.written.problems(context, &file.job, Some(&errors)).filter(|_| context.flags.on("json-output"));
        return Err(Failure::new(match explained {
            Some(explained) => explained.json,
            None => file.written.explain(context, &file.job, format!("Job validation errors:\n{errors}")),
        }));
    }
    context.ui.output(context.ui.paint(Paint::Green, "Job validation successful"));
    Ok(0)
}

pub(super) async fn allocs(context: &mut Context) -> Outcome {
    let (client, found) = found(context).await?;
    let query = found.query().set("all", context.flags.on("all"));
    let path = format!("{}/allocations", found.path());
    if context.formatted() {
        let value = client.get::<Value>(&path, &query).await.attempt("Error retrieving allocations")?.value;
        return context.print_formatted(&value);
    }
    let answer = client.get::<Vec<AllocationListStub>>(&path, &query).await;
    let mut allocs = answer.attempt("Error retrieving allocations")?.value;
    super::alloc::newest_first(&mut allocs);
    let shown = if allocs.is_empty() { "No allocations placed".to_owned() } else { super::alloc::list(context, &allocs, true) };
    context.ui.output(shown);
    Ok(0)
}

pub(super) async fn deployments(context: &mut Context) -> Outcome {
    let (client, found) = found(context).await?;
    let latest = context.flags.on("latest");
    let path = format!("{}/deployment{}", found.path(), if latest { "" } else { "s" });
    let query = found.query().set("all", context.flags.on("all"));
    let value = client.get::<Value>(&path, &query).await.attempt("Error retrieving deployments")?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let wrong = |error: serde_json::Error| Failure::new(format!("Error retrieving deployments: {error}"));
    if latest {
        let deployment: Option<Deployment> = serde_json::from_value(value).map_err(wrong)?;
        let shown = deployment.map(|deployment| monitor::view(context, &deployment, context.verbose()));
        context.ui.output(shown.unwrap_or_else(|| "No deployment found".to_owned()));
        return Ok(0);
    }
    let mut deployments: Vec<Deployment> = serde_json::from_value(value).map_err(wrong)?;
    deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.create_index));
    context.ui.output(super::deployment::list(context, &deployments));
    Ok(0)
}

pub(super) async fn eval(context: &mut Context) -> Outcome {
    let (client, found) = found(context).await?;
    let request = JobEvaluateRequest {
        job_id: found.id.clone(),
        eval_options: EvalOptions { force_reschedule: context.flags.on("force-reschedule") },
        ..JobEvaluateRequest::default()
    };
    let path = format!("{}/evaluate", found.path());
    let answer = client.put::<_, JobRegisterResponse>(&path, &found.query(), &request).await;
    let eval_id = answer.attempt("Error evaluating job")?.value.eval_id;
    let shown = text::short(&eval_id, context.verbose());
    follow(context, &client, &eval_id, &format!("Created eval ID: {shown:?} ")).await
}

pub(super) async fn promote(context: &mut Context) -> Outcome {
    let (client, found) = found(context).await?;
    let answer = client.get::<Option<Deployment>>(&format!("{}/deployment", found.path()), &found.query()).await;
    let deployment = answer.attempt("Error retrieving deployments")?.value;
    let Some(deployment) = deployment else {
        return Err(Failure::new(format!("Job {:?} has no deployment to promote", found.id)));
    };
    let groups = context.flags.values("group").to_vec();
    let request = DeploymentPromoteRequest {
        deployment_id: deployment.id.clone(),
        all: groups.is_empty(),
        groups: Some(groups).filter(|groups| !groups.is_empty()),
        ..DeploymentPromoteRequest::default()
    };
    let path = format!("/v1/deployment/promote/{}", segment(&deployment.id));
    let answer = client.put::<_, DeploymentUpdateResponse>(&path, &found.query(), &request).await;
    let eval_id = answer.attempt(&format!("Error promoting deployment {:?} for job {:?}", deployment.id, found.id))?.value.eval_id;
    follow(context, &client, &eval_id, &eval_id).await
}

fn tag_name(context: &Context) -> Result<String, Failure> {
    context.flags.text("name").map(str::to_owned).ok_or_else(|| Failure::usage("A version tag name is required"))
}

pub(super) async fn tag_apply(context: &mut Context) -> Outcome {
    let name = tag_name(context)?;
    let wanted = super::job_run::index_flag(context, "version")?;
    let (client, found) = found(context).await?;
    let version = match wanted {
        Some(version) => version,
        None => {
            let job = client.get::<Job>(&found.path(), &found.query()).await.attempt("Error retrieving job")?.value;
            job.version.unwrap_or(0)
        }
    };
    let request = TagVersionRequest {
        version,
        description: context.flags.value("description").unwrap_or("").to_owned(),
        ..TagVersionRequest::default()
    };
    let path = format!("{}/versions/{}/tag", found.path(), segment(&name));
    client.put::<_, Value>(&path, &found.query(), &request).await.attempt("Error tagging job version")?;
    context.ui.output(format!("Job version {version} tagged with name {name:?}"));
    Ok(0)
}

pub(super) async fn tag_unset(context: &mut Context) -> Outcome {
    let name = tag_name(context)?;
    let (client, found) = found(context).await?;
    let path = format!("{}/versions/{}/tag", found.path(), segment(&name));
    client.delete::<Value>(&path, &found.query()).await.attempt("Error tagging job version")?;
    context.ui.output(format!("Tag {name:?} removed from job {:?}", found.id));
    Ok(0)
}
