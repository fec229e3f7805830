//! `node meta`, `scaling policy` and `eval delete`.

use std::collections::BTreeMap;

use drover_api::{
    EvalCountResponse, EvalDeleteRequest, EvalDeleteResponse, Evaluation, NodeMetaApplyRequest, NodeMetaResponse, ScalingPolicy,
    ScalingPolicyListStub, SchedulerConfigurationResponse,
};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome, PROGRAM};
use crate::flags::Flag;
use crate::sdk::{Client, Query, segment};
use crate::text::{pairs, short, table};
use crate::{resolve, row};

const NODE_ID: Flag = Flag::value("node-id", "node", "The node. Default the node of the agent that answers.");
pub(super) const META_READ_FLAGS: &[Flag] = &[NODE_ID, super::JSON, super::TEMPLATE];
pub(super) const META_APPLY_FLAGS: &[Flag] = &[NODE_ID, Flag::value("unset", "key,...", "Keys to remove.")];
pub(super) const POLICY_LIST_FLAGS: &[Flag] = &[
    Flag::value("job", "id", "Only policies of this job."),
    Flag::value("type", "type", "Only policies of this type."),
    super::VERBOSE,
    super::JSON,
    super::TEMPLATE,
];
pub(super) const POLICY_INFO_FLAGS: &[Flag] = &[super::VERBOSE, super::JSON, super::TEMPLATE];
pub(super) const EVAL_DELETE_FLAGS: &[Flag] = &[
    Flag::value("filter", "expression", "Delete every evaluation that matches."),
    Flag::switch("yes", "Do not ask before a filter is used."),
];

/// The node that `-node-id` names, "" for the agent's own.
async fn node_id(context: &Context, client: &Client) -> Result<String, Failure> {
    match context.flags.text("node-id") {
        None => Ok(String::new()),
        Some(given) => Ok(resolve::node(context, client, given).await?.0.id),
    }
}

pub(super) async fn meta_read(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let query = Query::new().set_some("node_id", &node_id(context, &client).await?);
    let value = client.get::<Value>("/v1/client/metadata", &query).await.attempt("Error reading dynamic node metadata")?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let meta: NodeMetaResponse =
        serde_json::from_value(value).map_err(|error| Failure::new(format!("Error reading dynamic node metadata: {error}")))?;
    let shown = |map: BTreeMap<String, String>| pairs(&map.into_iter().collect::<Vec<_>>());
    let dynamic: Vec<(String, String)> =
        meta.dynamic.unwrap_or_default().into_iter().map(|(key, value)| (key, value.unwrap_or_else(|| "<unset>".to_owned()))).collect();
    let sections = [
        ("All Meta", shown(meta.meta.unwrap_or_default())),
        ("Dynamic Meta", pairs(&dynamic)),
        ("Static Meta", shown(meta.r#static.unwrap_or_default())),
    ];
    let sections: Vec<String> = sections.iter().map(|(title, text)| format!("{}\n{text}", context.title(title))).collect();
    context.ui.output(sections.join("\n\n"));
    Ok(0)
}

pub(super) async fn meta_apply(context: &mut Context) -> Outcome {
    let mut meta: BTreeMap<String, Option<String>> = BTreeMap::new();
    for key in context.flags.text("unset").unwrap_or_default().split(',').filter(|key| !key.is_empty()) {
        meta.insert(key.to_owned(), None);
    }
    for pair in context.arguments() {
        let (key, value) = pair.split_once('=').ok_or_else(|| Failure::usage(format!("{pair:?} is not of the form key=value")))?;
        meta.insert(key.to_owned(), Some(value.to_owned()));
    }
    if meta.is_empty() {
        return Err(Failure::new("Must specify -unset or at least 1 key=value pair"));
    }
    let client = context.client()?;
    let node_id = node_id(context, &client).await?;
    let query = Query::new().set_some("node_id", &node_id);
    let request = NodeMetaApplyRequest { node_id, meta: Some(meta) };
    client.post::<_, Value>("/v1/client/metadata", &query, &request).await.attempt("Error applying dynamic node metadata")?;
    Ok(0)
}

fn target(target: Option<&BTreeMap<String, String>>) -> String {
    let part = |name: &str| target.and_then(|target| target.get(name)).map(|value| format!("{name}:{value}"));
    ["Namespace", "Job", "Group", "Task"].into_iter().filter_map(part).collect::<Vec<_>>().join(",")
}

pub(super) async fn policy_list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let text = |name: &str| context.flags.text(name).unwrap_or_default();
    let query = Query::new().set_some("job", text("job")).set_some("type", text("type"));
    let value = client.get::<Value>("/v1/scaling/policies", &query).await.attempt("Error listing scaling policies")?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let policies: Vec<ScalingPolicyListStub> =
        serde_json::from_value(value).map_err(|error| Failure::new(format!("Error listing scaling policies: {error}")))?;
    if policies.is_empty() {
        context.ui.output("No policies found");
        return Ok(0);
    }
    let mut rows = vec![row!["ID", "Enabled", "Type", "Target"]];
    for policy in &policies {
        rows.push(row![short(&policy.id, context.verbose()), policy.enabled, policy.r#type, target(policy.target.as_ref())]);
    }
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn policy_info(context: &mut Context) -> Outcome {
    context.one_format()?;
    let client = context.client()?;
    let given = match context.arguments() {
        [] if context.formatted() => return policy_list(context).await,
        _ => context.one_argument("<policy_id>")?,
    };
    let query = Query::new().set("prefix", &given);
    let attempt = "Error querying scaling policy";
    let found = client.get::<Vec<ScalingPolicyListStub>>("/v1/scaling/policies", &query).await.attempt(attempt)?.value;
    let id = match found.as_slice() {
        [] => return Err(Failure::new(format!("{attempt}: no scaling policies with prefix or ID {given:?} found"))),
        [one] => one.id.clone(),
        several => {
            let mut rows = vec![row!["ID", "Enabled", "Type", "Target"]];
            rows.extend(several.iter().map(|policy| row![policy.id, policy.enabled, policy.r#type, target(policy.target.as_ref())]));
            return Err(Failure::new(format!("Prefix matched multiple scaling policies\n\n{}", table(&rows))));
        }
    };
    let value = client.get::<Value>(&format!("/v1/scaling/policy/{}", segment(&id)), &Query::new()).await.attempt(attempt)?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let policy: ScalingPolicy = serde_json::from_value(value).map_err(|error| Failure::new(format!("{attempt}: {error}")))?;
    let body = crate::text::json(&policy.policy);
    let rows = [
        ("ID", short(&policy.id, context.verbose()).to_owned()),
        ("Enabled", policy.enabled.unwrap_or(true).to_string()),
        ("Target", target(policy.target.as_ref())),
        ("Min", policy.min.unwrap_or_default().to_string()),
        ("Max", policy.max.unwrap_or_default().to_string()),
    ];
    context.ui.output(format!("{}\n\n{}\n{body}", pairs(&rows), context.title("Policy:")));
    Ok(0)
}

pub(super) async fn eval_delete(context: &mut Context) -> Outcome {
    let filter = context.flags.text("filter").map(str::to_owned);
    let given = match (context.arguments(), &filter) {
        ([id], None) => Some(id.clone()),
        ([], Some(_)) => None,
        (_, Some(_)) => return Err(Failure::usage("An evaluation ID and a filter cannot be used together")),
        (_, None) => return Err(Failure::usage("This command takes one argument: <evaluation>, or -filter")),
    };
    let client = context.client()?;
    let answer = client.get::<SchedulerConfigurationResponse>("/v1/operator/scheduler/configuration", &Query::new()).await;
    let settings = answer.attempt("Error querying scheduler configuration")?.value.scheduler_config.unwrap_or_default();
    if !settings.pause_eval_broker {
        let hint = |moment: &str, paused: bool| {
            format!("{moment} the eval broker by running \"{PROGRAM} operator scheduler set-config -pause-eval-broker={paused}\"")
        };
        context.ui.output(hint("To delete evaluations you must first pause", true));
        context.ui.output(hint("After the deletion is complete, unpause", false));
        return Err(Failure::new("Eval broker is not paused"));
    }
    let mut request = EvalDeleteRequest::default();
    match (given, filter) {
        (Some(id), _) => {
            let path = format!("/v1/evaluation/{}", segment(&id));
            let eval = client.get::<Evaluation>(&path, &Query::new()).await.attempt("Error querying evaluation")?.value;
            request.eval_ids = Some(vec![eval.id]);
        }
        (None, filter) => {
            let filter = filter.unwrap_or_default();
            let query = Query::new().set("filter", &filter);
            let count = client.get::<EvalCountResponse>("/v1/evaluations/count", &query).await.attempt("Error counting evaluations")?;
            if !context.flags.on("yes") {
                let question = format!("Are you sure you want to delete {} evals? [y/N]", count.value.count);
                let answer = context.ui.ask(&question).map_err(|error| Failure::new(format!("Failed to parse answer: {error}")))?;
                if answer.as_deref() != Some("y") {
                    if answer.is_none() {
                        context.ui.output("");
                    }
                    context.ui.output("No evaluations were deleted");
                    return answer.map(|_| 0).ok_or_else(|| Failure::new("Failed to parse answer: EOF"));
                }
            }
            request.filter = filter;
        }
    }
    let answer = client.delete_with::<_, EvalDeleteResponse>("/v1/evaluations", &Query::new(), &request).await;
    let count = answer.attempt("Error deleting evaluations")?.value.count;
    context.ui.output(format!("Successfully deleted {count} evaluation{}", if count == 1 { "" } else { "s" }));
    Ok(0)
}
