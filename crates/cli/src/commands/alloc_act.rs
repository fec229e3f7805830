//! `alloc stop|restart|signal|checks`.

use std::collections::BTreeMap;

use drover_api::{AllocCheckStatus, AllocSignalRequest, AllocStopResponse, Allocation, AllocationRestartRequest};
use drover_base::WallTime;
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::sdk::{Client, Query, segment};
use crate::{monitor, resolve};

pub(super) const STOP_FLAGS: &[Flag] =
    &[super::DETACH, Flag::switch("no-shutdown-delay", "Skip the shutdown delays of group and tasks."), super::VERBOSE];
pub(super) const RESTART_FLAGS: &[Flag] = &[
    Flag::switch("all-tasks", "Restart tasks that have finished, too."),
    Flag::value("task", "name", "The task to restart."),
    super::VERBOSE,
];
pub(super) const SIGNAL_FLAGS: &[Flag] = &[
    Flag::value("s", "signal", "The signal to send. Default SIGKILL."),
    Flag::value("task", "name", "The task to send it to."),
    super::VERBOSE,
];
pub(super) const CHECKS_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE, super::VERBOSE];

pub(super) async fn stop(context: &mut Context) -> Outcome {
    let id = context.one_argument("<alloc-id>")?;
    let client = context.client()?;
    let stub = resolve::alloc(context, &client, &id).await?;
    let mut query = Query::new().namespace(&stub.namespace);
    if context.flags.on("no-shutdown-delay") {
        query = query.set("no_shutdown_delay", true);
    }
    if stub.job_type == "batch" {
        query = query.set("reschedule", true);
    }
    let path = format!("/v1/allocation/{}/stop", segment(&stub.id));
    let answer = client.put::<_, AllocStopResponse>(&path, &query, &Value::Null).await;
    let eval_id = answer.attempt("Error stopping allocation")?.value.eval_id;
    if context.flags.on("detach") {
        context.ui.output(eval_id);
        return Ok(0);
    }
    monitor::evaluation(context, &client, &eval_id).await
}

/// The allocation and task that the arguments name.
async fn target(context: &Context) -> Result<(Client, Allocation, String), Failure> {
    let (id, task) = match context.arguments() {
        [id] => (id, context.flags.text("task").unwrap_or("")),
        [id, task] => (id, task.as_str()),
        _ => return Err(Failure::usage("This command takes one or two arguments: <alloc-id> [<task>]")),
    };
    let client = context.client()?;
    let stub = resolve::alloc(context, &client, id).await?;
    let (_, alloc) = super::alloc::read(&client, &stub).await?;
    let names = super::alloc::task_names(&alloc);
    if !task.is_empty() && !names.iter().any(|name| name == task) {
        return Err(Failure::new(format!("Could not find task named: {task}, found:\n{}", names.join("\n"))));
    }
    Ok((client, alloc, task.to_owned()))
}

pub(super) async fn restart(context: &mut Context) -> Outcome {
    let all = context.flags.on("all-tasks");
    if all && (context.arguments().len() > 1 || context.flags.text("task").is_some()) {
        return Err(Failure::new("The -all-tasks option is not allowed when restarting a specific task."));
    }
    let (client, alloc, task_name) = target(context).await?;
    let request = AllocationRestartRequest { task_name, all_tasks: all };
    let path = format!("/v1/client/allocation/{}/restart", segment(&alloc.id));
    let query = Query::new().namespace(&alloc.namespace);
    client.put::<_, Value>(&path, &query, &request).await.attempt("Failed to restart allocation")?;
    Ok(0)
}

pub(super) async fn signal(context: &mut Context) -> Outcome {
    let (client, alloc, task) = target(context).await?;
    let signal = context.flags.text("s").unwrap_or("SIGKILL").to_owned();
    let request = AllocSignalRequest { task, signal, alloc_id: alloc.id.clone() };
    let path = format!("/v1/client/allocation/{}/signal", segment(&alloc.id));
    let query = Query::new().namespace(&alloc.namespace);
    client.put::<_, Value>(&path, &query, &request).await.attempt("Error signalling allocation")?;
    Ok(0)
}

pub(super) async fn checks(context: &mut Context) -> Outcome {
    let id = context.one_argument("<allocation>")?;
    context.one_format()?;
    let client = context.client()?;
    let stub = resolve::alloc(context, &client, &id).await?;
    let path = format!("/v1/client/allocation/{}/checks", segment(&stub.id));
    let query = Query::new().namespace(&stub.namespace);
    let value = client.get::<Value>(&path, &query).await.attempt("Error querying service checks")?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let checks: Option<BTreeMap<String, AllocCheckStatus>> =
        serde_json::from_value(value).map_err(|error| Failure::new(format!("Error querying service checks: {error}")))?;
    let checks = checks.unwrap_or_default();
    context.ui.output(format!("Status of {} Nomad Service Checks", checks.len()));
    let mut sorted: Vec<&AllocCheckStatus> = checks.values().collect();
    sorted.sort_by(|left, right| (&left.service, &left.check).cmp(&(&right.service, &right.check)));
    for check in sorted {
        let mut rows = vec![
            ("ID", check.id.clone()),
            ("Name", check.check.clone()),
            ("Group", check.group.clone()),
            ("Task", super::alloc::task_of(check).to_owned()),
            ("Service", check.service.clone()),
            ("Status", check.status.clone()),
        ];
        if check.status_code != 0 {
            rows.push(("StatusCode", check.status_code.to_string()));
        }
        rows.push(("Mode", check.mode.clone()));
        rows.push(("Timestamp", context.zone.time(WallTime(check.timestamp.saturating_mul(1_000_000_000)))));
        rows.push(("Output", check.output.clone()));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(key, value)| crate::row![key, "=", value]).collect();
        context.ui.output(format!("\n{}", crate::text::table(&rows)));
    }
    Ok(0)
}
