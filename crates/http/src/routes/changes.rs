//! Changing allocations, deployments, nodes, services and the whole.

use std::sync::Arc;

use drover_api as api;
use drover_base::{AllocId, EvalId};
use drover_model::DrainSpec;
use drover_server::UpdatedDeployment;
use http::StatusCode;
use serde_json::json;

use super::{allocations, deployments, nodes};
use crate::agent::Agent;
use crate::error::ApiError;
use crate::filter::{Filter, Kind};
use crate::reply::Reply;
use crate::request::Request;
use crate::{ids, view};

/// `PUT /v1/allocation/{alloc_id}/stop`.
pub async fn stop_alloc(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let boolean = |name: &str| request.query.boolean(name, StatusCode::INTERNAL_SERVER_ERROR).map(Option::unwrap_or_default);
    let (no_shutdown_delay, reschedule) = (boolean("no_shutdown_delay")?, boolean("reschedule")?);
    let id = allocations::id(&request)?;
    let server = agent.server()?;
    if server.snapshot().alloc(id).is_none() {
        return Err(ApiError::not_found("allocation not found"));
    }
    let (eval_id, index) = server.stop_alloc(id, no_shutdown_delay, reschedule).await?;
    Ok(Reply::json(&api::AllocStopResponse { eval_id: eval_id.to_string(), index })?.index(index))
}

fn updated(done: &UpdatedDeployment) -> Result<Reply, ApiError> {
    let response = api::DeploymentUpdateResponse {
        eval_id: view::id(done.eval_id),
        eval_create_index: done.eval_id.map_or(0, |_| done.index),
        deployment_modify_index: done.index,
        reverted_job_version: done.reverted_version,
        index: done.index,
    };
    Ok(Reply::json(&response)?.index(done.index))
}

fn same_deployment(given: &str, request: &Request) -> Result<(), ApiError> {
    match given {
        "" => Err(ApiError::bad_request("DeploymentID must be specified")),
        given if given != request.asked("deployment_id") => Err(ApiError::bad_request("Deployment ID does not match")),
        _ => Ok(()),
    }
}

/// `PUT /v1/deployment/promote/{deployment_id}`.
pub async fn promote(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::DeploymentPromoteRequest = request.json().await?;
    same_deployment(&body.deployment_id, &request)?;
    let groups = if body.all { None } else { Some(body.groups.unwrap_or_default()) };
    updated(&agent.server()?.promote_deployment(deployments::id(&request)?, groups).await?)
}

/// `PUT /v1/deployment/fail/{deployment_id}`.
pub async fn fail(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    updated(&agent.server()?.fail_deployment(deployments::id(&request)?).await?)
}

/// `PUT /v1/deployment/pause/{deployment_id}`.
pub async fn pause(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::DeploymentPauseRequest = request.json().await?;
    same_deployment(&body.deployment_id, &request)?;
    updated(&agent.server()?.pause_deployment(deployments::id(&request)?, body.pause).await?)
}

/// `PUT /v1/deployment/unblock/{deployment_id}`.
pub async fn unblock(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::DeploymentUnblockRequest = request.json().await?;
    same_deployment(&body.deployment_id, &request)?;
    updated(&agent.server()?.unblock_deployment(deployments::id(&request)?)?)
}

/// `PUT /v1/deployment/allocation-health/{deployment_id}`.
pub async fn alloc_health(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::DeploymentAllocHealthRequest = request.json().await?;
    same_deployment(&body.deployment_id, &request)?;
    let read = |ids: Option<Vec<String>>| -> Result<Vec<AllocId>, ApiError> {
        ids.unwrap_or_default().iter().map(|id| ids::full(id, "alloc")).collect()
    };
    let (healthy, unhealthy) = (read(body.healthy_allocation_ids)?, read(body.unhealthy_allocation_ids)?);
    updated(&agent.server()?.set_alloc_health(deployments::id(&request)?, healthy, unhealthy).await?)
}

fn eval_ids(ids: &[EvalId]) -> Option<Vec<String>> {
    view::list(ids.iter().map(ToString::to_string).collect())
}

/// `PUT /v1/node/{node_id}/eligibility`.
pub async fn eligibility(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::NodeUpdateEligibilityRequest = request.json().await?;
    let id = if body.node_id.is_empty() { nodes::id(&request)? } else { ids::full(&body.node_id, "node")? };
    let eligible = match body.eligibility.as_str() {
        "eligible" => true,
        "ineligible" => false,
        other => return Err(ApiError::by_text(format!("invalid scheduling eligibility {other:?}"))),
    };
    let (evals, index) = agent.server()?.set_node_eligibility(id, eligible).await?;
    let response = api::NodeEligibilityUpdateResponse {
        node_modify_index: 0,
        eval_create_index: if evals.is_empty() { 0 } else { index },
        eval_ids: eval_ids(&evals),
        index,
    };
    Ok(Reply::json(&response)?.index(index))
}

/// `PUT /v1/node/{node_id}/drain`: without a spec the drain is cancelled.
pub async fn drain(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::NodeUpdateDrainRequest = request.json().await?;
    let id = nodes::id(&request)?;
    let spec = body.drain_spec.map(|spec| DrainSpec { deadline_ns: spec.deadline, ignore_system_jobs: spec.ignore_system_jobs });
    let by = request.caller().token.as_ref().map(|token| format!("token:{}", token.accessor)).unwrap_or_default();
    let (evals, index) = agent.server()?.drain_node(id, spec, body.mark_eligible, body.meta.unwrap_or_default(), by).await?;
    let response = api::NodeDrainUpdateResponse {
        node_modify_index: index,
        eval_ids: eval_ids(&evals),
        eval_create_index: if evals.is_empty() { 0 } else { index },
        index,
    };
    Ok(Reply::json(&response)?.index(index))
}

/// `PUT /v1/node/{node_id}/purge`.
pub async fn purge(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (evals, index) = agent.server()?.purge_node(nodes::id(&request)?).await?;
    let response = api::NodePurgeResponse {
        eval_ids: eval_ids(&evals),
        eval_create_index: if evals.is_empty() { 0 } else { index },
        node_modify_index: index,
        index,
        ..api::NodePurgeResponse::default()
    };
    Ok(Reply::json(&response)?.index(index))
}

/// `PUT /v1/node/{node_id}/evaluate`.
pub async fn evaluate_node(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let id = nodes::id(&request)?;
    let server = agent.server()?;
    let (evals, index) = server.evaluate_node(id).await?;
    let eligible = server.snapshot().node(id).is_none_or(|row| row.eligible);
    let response = json!({
        "HeartbeatTTL": 0,
        "EvalIDs": eval_ids(&evals),
        "EvalCreateIndex": index,
        "NodeModifyIndex": 0,
        "Features": 0,
        "LeaderRPCAddr": agent.rpc_address(),
        "NumNodes": server.snapshot().nodes().count(),
        "Servers": [{
            "RPCAdvertiseAddr": agent.rpc_address(), "RPCMajorVersion": 0, "RPCMinorVersion": 0, "Datacenter": agent.facts.datacenter,
        }],
        "SchedulingEligibility": if eligible { "eligible" } else { "ineligible" },
        "SignedIdentity": null,
        "Index": index,
        "LastContact": 0,
        "KnownLeader": false,
        "NextToken": "",
    });
    Ok(Reply::json(&response)?.index(index))
}

/// `DELETE /v1/service/{service_name}/{service_id}`.
pub async fn delete_service(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let id = request.parameter("service_id");
    if id.is_empty() {
        return Err(ApiError::bad_request("missing service id"));
    }
    let server = agent.server()?;
    if !server.remove_service(request.namespace(), id).await? {
        return Err(ApiError::by_text("service registration not found"));
    }
    Ok(Reply::empty().index(server.snapshot().index()))
}

/// `PUT /v1/system/gc`.
pub async fn collect_garbage(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    agent.server()?.collect_garbage(true).await?;
    Ok(Reply::empty())
}

/// `PUT /v1/system/reconcile/summaries`: counts are kept in the same entry that changes an allocation, so there is
/// nothing to mend.
pub async fn reconcile_summaries(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    agent.server()?;
    Ok(Reply::empty())
}

/// `GET /v1/status/leader`.
pub async fn leader(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    let status = agent.server()?.raft_status();
    let address = if status.known_leader { agent.rpc_address() } else { String::new() };
    Reply::json(&address)
}

/// `GET /v1/status/peers`.
pub async fn peers(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    agent.server()?;
    Reply::json(&[agent.rpc_address()])
}

/// `GET /v1/regions`.
pub async fn regions(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    match &agent.server {
        Some(server) => Reply::json(&server.region_names()),
        None => Reply::json(std::slice::from_ref(&agent.facts.region)),
    }
}

/// `DELETE /v1/evaluations`.
pub async fn delete_evaluations(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::EvalDeleteRequest = request.json().await?;
    let given = body.eval_ids.unwrap_or_default();
    let wanted = match (given.is_empty(), body.filter.is_empty()) {
        (true, true) => return Err(ApiError::bad_request("evals must be deleted by either ID or filter")),
        (false, false) => return Err(ApiError::bad_request("evals cannot be deleted by both ID and filter")),
        (false, true) => given.iter().map(|id| ids::full(id, "eval")).collect::<Result<Vec<EvalId>, _>>()?,
        (true, false) => {
            let filter = Filter::parse(&body.filter, Kind::Evaluation)?;
            let snapshot = agent.server()?.snapshot();
            let mut found = Vec::new();
            for eval in snapshot.evals() {
                if filter.matches(&view::evaluation(eval))? {
                    found.push(eval.id);
                }
            }
            found
        }
    };
    let (count, index) = agent.server()?.delete_evaluations(wanted, given.is_empty()).await?;
    Ok(Reply::json(&api::EvalDeleteResponse { count, index })?.index(index))
}
