//! `node identity` and `node intro`: what the region vouches for about nodes, and tokens that introduce new ones.

use std::collections::BTreeMap;

use drover_api as api;
use drover_base::WallTime;
use serde_json::Value;

use crate::command::{Attempt, Context, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::row;
use crate::sdk::Query;
use crate::text::table;

pub(super) const GET_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const CREATE_FLAGS: &[Flag] = &[
    Flag::value("node-name", "name", "Only a node of this name may use it."),
    Flag::value("node-pool", "pool", "The pool that the node will be in."),
    Flag::value("ttl", "duration", "How long it is good."),
    super::JSON,
    super::TEMPLATE,
];

/// Claims that hold a time, in seconds.
const TIMES: [&str; 3] = ["exp", "iat", "nbf"];

fn shown(context: &Context, name: &str, value: &Value) -> String {
    match value {
        Value::Number(seconds) if TIMES.contains(&name) => {
            let seconds = seconds.as_f64().unwrap_or(0.0) as i64;
            context.zone.time(WallTime(seconds.saturating_mul(1_000_000_000)))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) async fn get(context: &mut Context) -> Outcome {
    let given = context.one_argument("<node>")?;
    context.one_format()?;
    let client = context.client()?;
    let (node, _) = resolve::node(context, &client, &given).await?;
    let query = Query::new().set("node_id", &node.id);
    let answer = client.get::<api::NodeIdentityGetResponse>("/v1/client/identity", &query).await;
    let claims: BTreeMap<String, Option<Value>> = answer.attempt("Error requesting node identity")?.value.claims.unwrap_or_default();
    if context.formatted() {
        return context.print_formatted(&claims);
    }
    let mut rows = vec![row!["Claim Key", "Claim Value"]];
    // What every token claims comes first.
    let (own, general): (Vec<_>, Vec<_>) = claims.iter().partition(|(name, _)| name.starts_with("nomad_"));
    for (name, value) in general.into_iter().chain(own) {
        rows.push(row![name.clone(), value.as_ref().map(|value| shown(context, name, value)).unwrap_or_default()]);
    }
    context.ui.output(table(&rows));
    Ok(0)
}

pub(super) async fn renew(context: &mut Context) -> Outcome {
    let given = context.one_argument("<node>")?;
    let client = context.client()?;
    let (node, _) = resolve::node(context, &client, &given).await?;
    let request = api::NodeIdentityRenewRequest { node_id: node.id.clone() };
    let answer = client.post::<_, Value>("/v1/client/identity/renew", &Query::new().set("node_id", &node.id), &request).await;
    answer.attempt("Error requesting node identity renewal")?;
    Ok(0)
}

pub(super) async fn create(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let text = |name: &str| context.flags.text(name).unwrap_or_default().to_owned();
    let request =
        api::ACLIdentityClientIntroductionTokenRequest { ttl: text("ttl"), node_name: text("node-name"), node_pool: text("node-pool") };
    let client = context.client()?;
    let path = "/v1/acl/identity/client-introduction-token";
    let answer = client.put::<_, api::ACLIdentityClientIntroductionTokenResponse>(path, &Query::new(), &request).await;
    let answer = answer.attempt("Error generating client introduction token")?.value;
    if context.formatted() {
        return context.print_formatted(&answer);
    }
    context.ui.output(format!("Successfully generated client introduction token:\n\n{}", answer.jwt));
    Ok(0)
}
