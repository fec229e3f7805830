//! Changing jobs: register, plan, validate, parse, stop, revert, scale, evaluate.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_lang::Source as Text;
use drover_lang::hcl::eval::{Budget, Host};
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, parse_job};
use drover_model::JobView;
use drover_model::admission::{Surroundings, canonicalize_as_clients};
use drover_rt::Entropy;
use drover_server::Registered;
use http::StatusCode;

use super::job_id;
use crate::access::{Capability, HostVolumeCapability, require};
use crate::agent::Agent;
use crate::error::ApiError;
use crate::home::FOR_REGION;
use crate::reply::{Meta, Reply};
use crate::request::Request;
use crate::view;

/// The answer to a registration and to what ends in one.
fn registered(done: &Registered, known_leader: bool) -> Result<Reply, ApiError> {
    let response = api::JobRegisterResponse {
        eval_id: view::id(done.eval_id),
        eval_create_index: done.eval_create_index,
        job_modify_index: done.job_modify_index,
        warnings: done.warnings.clone(),
        index: done.index,
        known_leader,
        ..api::JobRegisterResponse::default()
    };
    Ok(Reply::json(&response)?.index(done.index))
}

/// The region around a job that is for this one: its own, where the query or another region's server has decided so, whatever the job
/// says.
fn decided(agent: &Agent, request: &Request, around: &mut String) {
    if around.is_empty() && (!request.query.get("region").is_empty() || request.headers.contains_key(FOR_REGION)) {
        around.clone_from(&agent.facts.region);
    }
}

/// Whether the caller may register, dispatch and scale jobs while that is switched off for all but managers.
fn switched_on(agent: &Agent, request: &Request) -> Result<(), ApiError> {
    Ok(agent.server()?.may_register(request.caller().rights.is_management())?)
}

/// Holds the caller to the rule in the namespace that the job would be in.
fn permit_job(request: &Request, in_body: &str, job: Option<&api::Job>) -> Result<(), ApiError> {
    let in_job = job.and_then(|job| job.namespace.as_deref());
    let named = [request.namespace_given(), Some(in_body), in_job].into_iter().flatten().find(|text| !text.is_empty());
    request.permit(named.unwrap_or("default"))
}

/// Holds the caller to what a job that is submitted wants of volumes: the right to mount each, and to be a plugin of them.
fn permit_volumes(request: &Request, in_body: &str, job: Option<&api::Job>) -> Result<(), ApiError> {
    let rights = Arc::clone(&request.caller().rights);
    let in_job = job.and_then(|job| job.namespace.as_deref());
    let named = [request.namespace_given(), Some(in_body), in_job].into_iter().flatten().find(|text| !text.is_empty());
    let namespace = named.unwrap_or("default");
    for group in job.and_then(|job| job.task_groups.as_ref()).into_iter().flatten() {
        for volume in group.volumes.iter().flatten().filter_map(|(_, volume)| volume.as_ref()) {
            require(match volume.r#type.as_str() {
                "host" => {
                    let writes = rights.host_volume(&volume.source, HostVolumeCapability::MountReadwrite);
                    writes || volume.read_only && rights.host_volume(&volume.source, HostVolumeCapability::MountReadonly)
                }
                "csi" => rights.namespace(namespace, Capability::CsiMountVolume),
                _ => true,
            })?;
        }
        let plugin = group.tasks.iter().flatten().any(|task| task.csi_plugin_config.is_some());
        require(!plugin || rights.namespace(namespace, Capability::CsiRegisterPlugin))?;
    }
    Ok(())
}

/// `PUT /v1/jobs`.
pub async fn register(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let mut body: api::JobRegisterRequest = request.json().await?;
    decided(&agent, &request, &mut body.region);
    permit_job(&request, &body.namespace, body.job.as_ref())?;
    permit_volumes(&request, &body.namespace, body.job.as_ref())?;
    switched_on(&agent, &request)?;
    registered(&agent.server()?.register_job(body, request.namespace_given()).await?, false)
}

/// `PUT /v1/job/{job_id}`.
pub async fn register_by_path(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let mut body: api::JobRegisterRequest = request.json().await?;
    decided(&agent, &request, &mut body.region);
    let job = body.job.as_ref().ok_or_else(|| ApiError::bad_request("Job must be specified"))?;
    if job.id.as_deref() != Some(request.parameter("job_id")) {
        return Err(ApiError::bad_request("Job ID does not match name"));
    }
    permit_job(&request, &body.namespace, body.job.as_ref())?;
    permit_volumes(&request, &body.namespace, body.job.as_ref())?;
    switched_on(&agent, &request)?;
    registered(&agent.server()?.register_job(body, request.namespace_given()).await?, false)
}

/// `PUT /v1/job/{job_id}/plan`.
pub async fn plan(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let mut body: api::JobPlanRequest = request.json().await?;
    decided(&agent, &request, &mut body.region);
    permit_job(&request, &body.namespace, body.job.as_ref())?;
    let job = body.job.as_ref().ok_or_else(|| ApiError::bad_request("Job must be specified"))?;
    match job.id.as_deref() {
        None | Some("") => return Err(ApiError::bad_request("Job must have a valid ID")),
        Some(id) if id != request.parameter("job_id") => return Err(ApiError::bad_request("Job ID does not match")),
        Some(_) => {}
    }
    let wants_diff = body.diff;
    let server = agent.server()?;
    let planned = server.plan_job(body, request.namespace_given())?;
    let state = server.snapshot();
    let stub = |id: &drover_base::AllocId| state.alloc(*id).map(|alloc| view::alloc_stub(&state, alloc, false, true));
    let preempted: Vec<api::AllocationListStub> = planned.preempted.iter().filter_map(stub).collect();
    let updates: BTreeMap<String, Option<api::DesiredUpdates>> =
        planned.annotations.iter().map(|(group, counts)| (group.clone(), Some(view::updates(counts)))).collect();
    let diff = wants_diff.then(|| {
        let old = planned.old.as_ref().map(|row| view::job(row));
        let mut diff = drover_model::diff::job(old.as_ref(), &planned.new.to_api(&JobView::default()));
        drover_model::diff::annotate(&mut diff, &updates);
        diff
    });
    let failed = planned.failed_groups.iter().map(|(group, judged)| (group.clone(), Some(view::metrics(judged))));
    let response = api::JobPlanResponse {
        job_modify_index: planned.job_modify_index,
        created_evals: view::list(planned.evals.iter().map(view::evaluation).collect()),
        diff,
        annotations: Some(api::PlanAnnotations { desired_tg_updates: Some(updates), preempted_allocs: view::list(preempted) }),
        failed_tg_allocs: (!planned.failed_groups.is_empty()).then(|| failed.collect()),
        next_periodic_launch: planned.next_launch.map(drover_base::WallTime::rfc3339),
        warnings: planned.warnings,
        index: planned.job_modify_index,
    };
    Ok(Reply::json(&response)?.index(planned.job_modify_index))
}

/// `PUT /v1/validate/job`.
pub async fn validate(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::JobValidateRequest = request.json().await?;
    let in_job = body.job.as_ref().and_then(|job| job.namespace.as_deref()).filter(|text| !text.is_empty());
    request.permit(in_job.unwrap_or("default"))?;
    let job = body.job.ok_or_else(|| ApiError::bad_request("Job must be specified"))?;
    let (_, problems, warnings) = agent.server()?.admit(job, "default");
    if let Some(refusal) = problems.refusal() {
        return Err(ApiError::by_text(refusal));
    }
    let response = api::JobValidateResponse {
        driver_config_validated: true,
        error: if problems.is_empty() { String::new() } else { problems.to_string() },
        validation_errors: view::list(problems.texts),
        warnings: drover_server::format_warnings(&warnings),
    };
    Reply::json(&response)
}

/// Randomness for the functions of job files; files are off.
struct Randomness<'a>(&'a Entropy);

impl Host for Randomness<'_> {
    fn random(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(16) {
            part.copy_from_slice(&self.0.bits().to_le_bytes()[..part.len()]);
        }
    }
}

/// `PUT /v1/jobs/parse`.
pub async fn parse(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::JobsParseRequest = request.json().await?;
    if body.job_hcl.is_empty() {
        return Err(ApiError::bad_request("Job spec is empty"));
    }
    let inputs = Inputs { content: Some(body.variables).filter(|text| !text.is_empty()), ..Inputs::default() };
    let host = Randomness(&request.entropy);
    let options = Options { inputs, host: &host, budget: Budget::default() };
    let parsed = parse_job(&Text::new("input.hcl", body.job_hcl), &options).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        ApiError::bad_request(format!("Failed to parse job: {}", texts.join("\n")))
    })?;
    let mut job = parsed.job;
    if body.canonicalize {
        canonicalize_as_clients(&mut job, &Surroundings { region: &agent.facts.region, namespace: "default" });
    }
    // Sent with sorted keys and as clients write it, unlike the same object elsewhere.
    let sorted = serde_json::to_value(&job).map_err(|error| ApiError::by_text(error.to_string()))?;
    Reply::json(&api::as_clients_write(sorted))
}

/// `DELETE /v1/job/{job_id}`.
pub async fn deregister(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let boolean = |name: &str| request.query.boolean(name, StatusCode::INTERNAL_SERVER_ERROR).map(Option::unwrap_or_default);
    let purge = boolean("purge")?;
    require(!purge || request.caller().rights.namespace(request.namespace(), Capability::PurgeJob))?;
    boolean("global")?;
    let no_shutdown_delay = boolean("no_shutdown_delay")?;
    let priority = request.query.integer("eval_priority", StatusCode::BAD_REQUEST)?.unwrap_or(0);
    let done = agent.server()?.deregister_job(job_id(&request), purge, priority, no_shutdown_delay).await?;
    let response = api::JobDeregisterResponse {
        eval_id: view::id(done.eval_id),
        eval_create_index: done.eval_id.map_or(0, |_| done.index),
        job_modify_index: done.index,
        index: done.index,
        ..api::JobDeregisterResponse::default()
    };
    Ok(Reply::json(&response)?.index(done.index))
}

/// `PUT /v1/job/{job_id}/revert`.
pub async fn revert(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::JobRevertRequest = request.json().await?;
    same_job(&body.job_id, request.parameter("job_id"))?;
    let done = agent.server()?.revert_job(&job_id(&request), body.job_version, body.enforce_prior_version).await?;
    // The only registration whose answer has the headers of a read.
    Ok(registered(&done, false)?.meta(&Meta { known_leader: false, ..Meta::at(done.index) }))
}

fn same_job(given: &str, path: &str) -> Result<(), ApiError> {
    match given {
        "" => Err(ApiError::bad_request("JobID must be specified")),
        given if given != path => Err(ApiError::bad_request("Job ID does not match")),
        _ => Ok(()),
    }
}

/// `PUT /v1/job/{job_id}/stable`.
pub async fn stable(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::JobStabilityRequest = request.json().await?;
    same_job(&body.job_id, request.parameter("job_id"))?;
    let (server, id, version) = (agent.server()?, job_id(&request), body.job_version);
    if server.snapshot().job(&id).is_none_or(|row| row.version(version).is_none()) {
        let text = format!("job {:?} in namespace {:?} at version {version} not found", id.id, id.namespace);
        return Err(ApiError::by_text(text));
    }
    let index = server.set_job_stability(&id, version, body.stable).await?;
    Ok(Reply::json(&serde_json::json!({ "Index": index }))?.index(index))
}

/// `PUT /v1/job/{job_id}/evaluate`.
pub async fn evaluate(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::JobEvaluateRequest = request.json_optional().await?.unwrap_or_default();
    if !body.job_id.is_empty() && body.job_id != request.parameter("job_id") {
        return Err(ApiError::bad_request("JobID not same as job name"));
    }
    registered(&agent.server()?.evaluate_job(&job_id(&request), body.eval_options.force_reschedule).await?, false)
}

/// `PUT /v1/job/{job_id}/scale`.
pub async fn scale(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::ScalingRequest = request.json().await?;
    let named = body.target.as_ref().and_then(|target| target.get("Job")).filter(|job| !job.is_empty());
    if named.is_some_and(|job| job != request.parameter("job_id")) {
        return Err(ApiError::bad_request("job ID in payload did not match URL"));
    }
    switched_on(&agent, &request)?;
    registered(&agent.server()?.scale_job(&job_id(&request), body).await?, true)
}

/// The request in the body and the token in the query, as the server takes them.
async fn dispatched(agent: &Agent, request: &Request, body: api::JobDispatchRequest) -> Result<Reply, ApiError> {
    switched_on(agent, request)?;
    let wanted = drover_server::DispatchRequest {
        payload: body.payload.unwrap_or_default().0,
        meta: body.meta.unwrap_or_default(),
        id_prefix: body.id_prefix_template,
        priority: body.priority,
    };
    let done = agent.server()?.dispatch_job(&job_id(request), wanted, request.query.get("idempotency_token")).await?;
    let response = api::JobDispatchResponse {
        dispatched_job_id: done.id,
        eval_id: view::id(done.eval_id),
        eval_create_index: done.eval_id.map_or(0, |_| done.index),
        job_create_index: done.create_index,
        index: done.index,
    };
    Ok(Reply::json(&response)?.index(done.index))
}

/// `PUT /v1/job/{job_id}/dispatch`.
pub async fn dispatch(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::JobDispatchRequest = request.json().await?;
    if !body.job_id.is_empty() && body.job_id != request.parameter("job_id") {
        return Err(ApiError::bad_request("Job ID does not match"));
    }
    dispatched(&agent, &request, body).await
}

/// `PUT /v1/job/{job_id}/dispatch/payload`: the whole body is the payload.
pub async fn dispatch_payload(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let payload = request.bytes().await?;
    let payload = (!payload.is_empty()).then(|| api::wire::Base64(payload.to_vec()));
    dispatched(&agent, &request, api::JobDispatchRequest { payload, ..Default::default() }).await
}

/// `PUT /v1/job/{job_id}/periodic/force`.
pub async fn force_periodic(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (eval_id, index) = agent.server()?.force_periodic(&job_id(&request)).await?;
    let response = api::PeriodicForceResponse { eval_id: eval_id.to_string(), eval_create_index: index, index };
    Ok(Reply::json(&response)?.index(index))
}

/// `PUT /v1/job/{job_id}/versions/{tag}/tag`.
pub async fn tag(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::TagVersionRequest = request.json().await?;
    let (id, name) = (job_id(&request), request.parameter("tag").to_owned());
    let (tag, index) = agent.server()?.tag_job_version(&id, &name, body.version, &body.description).await?;
    let response = api::JobTagResponse {
        name: tag.name,
        description: tag.description,
        tagged_time: tag.tagged_time,
        index,
        ..api::JobTagResponse::default()
    };
    Reply::json(&response)
}

/// `DELETE /v1/job/{job_id}/versions/{tag}/tag`.
pub async fn untag(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let index = agent.server()?.untag_job_version(&job_id(&request), request.parameter("tag")).await?;
    Reply::json(&api::JobTagResponse { index, ..api::JobTagResponse::default() })
}
