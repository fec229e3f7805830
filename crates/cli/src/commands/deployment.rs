//! `deployment list|status|promote|fail|pause|resume|unblock`.

use std::time::Duration;

use drover_api::{Deployment, DeploymentPauseRequest, DeploymentPromoteRequest, DeploymentUnblockRequest, DeploymentUpdateResponse};
use serde::Serialize;
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::sdk::{Client, Query, segment};
use crate::text::{short, table};
use crate::{monitor, resolve, row};

pub(super) const LIST_FLAGS: &[Flag] = &[super::FILTER, super::JSON, super::TEMPLATE, super::VERBOSE];
pub(super) const STATUS_FLAGS: &[Flag] = &[
    Flag::switch("monitor", "Follow the deployment to its end."),
    Flag::value("wait", "duration", "With -monitor: how long one request waits for a change. Default 2s."),
    Flag::switch("ui", ""),
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
];
pub(super) const PROMOTE_FLAGS: &[Flag] =
    &[Flag::values("group", "name", "Promote this group only. May be repeated."), super::DETACH, super::VERBOSE];
pub(super) const FLAGS: &[Flag] = &[super::DETACH, super::VERBOSE];
pub(super) const PAUSE_FLAGS: &[Flag] = &[super::VERBOSE];

/// The table of deployments.
pub(crate) fn list(context: &Context, deployments: &[Deployment]) -> String {
    let mut rows = vec![row!["ID", "Job ID", "Job Version", "Status", "Description"]];
    for one in deployments {
        rows.push(row![short(&one.id, context.verbose()), one.job_id, one.job_version, one.status, one.status_description]);
    }
    table(&rows)
}

pub(super) async fn run_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    all(context, &client).await
}

async fn all(context: &Context, client: &Client) -> Outcome {
    let query = Query::new().set_some("filter", context.flags.value("filter").unwrap_or(""));
    let value = client.get::<Value>("/v1/deployments", &query).await.attempt("Error retrieving deployments")?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let mut deployments: Vec<Deployment> =
        serde_json::from_value(value).map_err(|error| Failure::new(format!("Error retrieving deployments: {error}")))?;
    if deployments.is_empty() {
        context.ui.output("No deployments found");
        return Ok(0);
    }
    deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.create_index));
    context.ui.output(list(context, &deployments));
    Ok(0)
}

pub(super) async fn status(context: &mut Context) -> Outcome {
    context.one_format()?;
    let client = context.client()?;
    let id = match context.arguments() {
        [] => return all(context, &client).await,
        [id] => id,
        _ => return Err(Failure::usage("This command takes one argument: <deployment id>")),
    };
    if context.flags.on("monitor") && context.formatted() {
        return Err(Failure::new("The monitor flag cannot be used with the '-json' or '-t' flags"));
    }
    let wait = context.flags.text("wait").unwrap_or("2s");
    let wait =
        crate::text::parse_duration(wait).ok_or_else(|| Failure::usage(format!("invalid value {wait:?} for flag -wait: parse error")))?;
    let deployment = resolve::deployment(context, &client, id).await?;
    let page = format!("jobs/{}/deployments", segment(&deployment.job_id));
    if context.flags.on("monitor") {
        let now = context.zone.time(context.clock.now());
        context.ui.output(format!("==> {now}: Monitoring deployment {:?}", short(&deployment.id, context.verbose())));
        monitor::deployment(context, &client, &deployment.id, Duration::from_nanos(wait), context.verbose()).await?;
        return Ok(0);
    }
    if context.formatted() {
        let path = format!("/v1/deployment/{}", segment(&deployment.id));
        let value = client.get::<Value>(&path, &Query::new()).await.attempt("Error retrieving deployment")?.value;
        return context.print_formatted(&value);
    }
    context.ui.output(monitor::view(context, &deployment, context.verbose()));
    context.hint(&client, "View all deployments for this job", &page).await;
    Ok(0)
}

/// Sends a change of a deployment.
async fn change<B: Serialize + Sync>(
    context: &Context,
    attempt: &str,
    verb: &str,
    body: impl FnOnce(&str) -> B,
) -> Result<(Client, String, DeploymentUpdateResponse), Failure> {
    let id = context.one_argument("<deployment id>")?;
    let client = context.client()?;
    let deployment = resolve::deployment(context, &client, &id).await?;
    let path = format!("/v1/deployment/{verb}/{}", segment(&deployment.id));
    let query = Query::new().namespace(&deployment.namespace);
    let answer = client.put::<_, DeploymentUpdateResponse>(&path, &query, &body(&deployment.id)).await;
    let response = answer.attempt(attempt)?.value;
    Ok((client, deployment.id, response))
}

/// Says what was done, and follows the evaluation or names it.
async fn done(context: &Context, client: &Client, said: &str, eval_id: &str) -> Outcome {
    if eval_id.is_empty() {
        context.ui.output(said);
        return Ok(0);
    }
    if context.flags.on("detach") {
        context.ui.output(format!("{said}\nEvaluation ID: {eval_id}"));
        return Ok(0);
    }
    context.ui.output(format!("{said}\n"));
    monitor::evaluation(context, client, eval_id).await
}

pub(super) async fn promote(context: &mut Context) -> Outcome {
    let groups = context.flags.values("group").to_vec();
    let body = |id: &str| DeploymentPromoteRequest {
        deployment_id: id.to_owned(),
        all: groups.is_empty(),
        groups: Some(groups.clone()).filter(|groups| !groups.is_empty()),
        ..DeploymentPromoteRequest::default()
    };
    let (client, _, response) = change(context, "Error promoting deployment", "promote", body).await?;
    if context.flags.on("detach") {
        context.ui.output(response.eval_id);
        return Ok(0);
    }
    monitor::evaluation(context, &client, &response.eval_id).await
}

pub(super) async fn fail(context: &mut Context) -> Outcome {
    let (client, id, response) = change(context, "Error failing deployment", "fail", |_| Value::Null).await?;
    let said = match response.reverted_job_version {
        Some(version) => format!("Deployment {id:?} failed. Auto-reverted to job version {version}."),
        None => format!("Deployment {id:?} failed"),
    };
    done(context, &client, &said, &response.eval_id).await
}

fn pausing(pause: bool) -> impl FnOnce(&str) -> DeploymentPauseRequest {
    move |id| DeploymentPauseRequest { deployment_id: id.to_owned(), pause, ..DeploymentPauseRequest::default() }
}

pub(super) async fn pause(context: &mut Context) -> Outcome {
    let (_, id, _) = change(context, "Error pausing deployment", "pause", pausing(true)).await?;
    context.ui.output(format!("Deployment {id:?} paused"));
    Ok(0)
}

pub(super) async fn resume(context: &mut Context) -> Outcome {
    let (client, id, response) = change(context, "Error resuming deployment", "pause", pausing(false)).await?;
    done(context, &client, &format!("Deployment {id:?} resumed"), &response.eval_id).await
}

pub(super) async fn unblock(context: &mut Context) -> Outcome {
    let body = |id: &str| DeploymentUnblockRequest { deployment_id: id.to_owned(), ..DeploymentUnblockRequest::default() };
    let (client, id, response) = change(context, "Error unblocking deployment", "unblock", body).await?;
    done(context, &client, &format!("Deployment {id:?} unblocked"), &response.eval_id).await
}
