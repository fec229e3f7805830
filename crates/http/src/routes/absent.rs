//! What this version does not have, told as truly as can be: a region without volumes and plugins answers reads as any region
//! without them; what would make one says which feature is missing; what belongs to another edition says so.

use std::sync::Arc;

use drover_state::Snapshot;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{State, one, value};
use crate::access::{Capability, require};
use crate::agent::Agent;
use crate::blocking::At;
use crate::error::ApiError;
use crate::reply::{Meta, Reply};
use crate::request::Request;

fn missing(feature: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, format!("{feature} are not part of this version"))
}

/// What only another edition has.
pub async fn enterprise<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    request.caller();
    Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "Nomad Enterprise only endpoint"))
}

/// `GET /v1/operator/license`: there is none.
pub async fn license<S: State>(_: Arc<S>, _: Request) -> Result<Reply, ApiError> {
    Ok(Reply::empty().status(StatusCode::NO_CONTENT))
}

/// Logging in with what somebody else vouches for.
pub async fn login(agent: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    if !agent.server()?.acl_enabled() {
        return Err(ApiError::bad_request("ACL support disabled"));
    }
    Err(missing("logins with JWT and OpenID Connect"))
}

/// What tasks that run by the clock are told of it: schedules are not part of this edition.
pub async fn pause_state<S: State>(_: Arc<S>, _: Request) -> Result<Reply, ApiError> {
    Err(ApiError::by_text("Enterprise only"))
}

/// The same for changing it.
pub async fn pause<S: State>(_: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let asked: drover_api::AllocPauseRequest = request.json().await?;
    if !matches!(asked.schedule_state.as_str(), "pause" | "run" | "scheduled") {
        return Err(ApiError::bad_request("Not a valid task schedule state"));
    }
    Err(ApiError::by_text("Enterprise only"))
}

/// `GET /v1/volumes`.
pub async fn volumes<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let rights = Arc::clone(&request.caller().rights);
    let may = |capability: Capability| match request.namespace() {
        "*" => rights.some_namespace(capability),
        namespace => rights.namespace(namespace, capability),
    };
    let (allowed, index) = match request.query.get("type") {
        "" => return Reply::json(&json!([])),
        "csi" => (may(Capability::CsiListVolume), 0),
        "host" => (may(Capability::HostVolumeRead), 1),
        _ => return Err(ApiError::no_resource()),
    };
    require(allowed)?;
    value(&*source, &request, |_: &Snapshot| Ok(At { index, value: json!([]) })).await
}

/// `GET /v1/volume/csi/{volume_id}`.
pub async fn csi_volume<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    one::<S, Value>(&*source, &request, "volume not found", |_| Ok(At { index: 0, value: None })).await
}

/// `GET /v1/volume/host/{volume_id}`.
pub async fn host_volume<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    one::<S, Value>(&*source, &request, "volume not found", |_| Ok(At { index: 1, value: None })).await
}

/// `GET /v1/volumes/claims`.
pub async fn claims<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    value(&*source, &request, |_: &Snapshot| Ok(At { index: 1, value: json!([]) })).await
}

/// `DELETE /v1/volumes/claim/{claim_id}`.
pub async fn delete_claim<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    if request.parameter("claim_id").is_empty() {
        return Err(ApiError::no_resource());
    }
    Err(ApiError::by_text("task group volume claim does not exist"))
}

/// `GET /v1/volumes/external` and `GET /v1/volumes/snapshot`.
pub async fn of_plugin<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let may = request.caller().rights.namespace(request.namespace(), Capability::CsiListVolume);
    require(may || request.namespace() != "*")?;
    Err(ApiError::by_text("no such plugin"))
}

fn force(request: &Request) -> Result<(), ApiError> {
    let given = request.query.boolean("force", StatusCode::BAD_REQUEST);
    given.map(|_| ()).map_err(|_| ApiError::bad_request("invalid force value"))
}

/// `DELETE /v1/volume/csi/{volume_id}` and `…/delete`.
pub async fn delete_csi<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    force(&request)?;
    Err(ApiError::by_text(format!("volume not found: {}", request.parameter("volume_id"))))
}

/// `DELETE /v1/volume/csi/{volume_id}/detach`.
pub async fn detach_csi<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let caller = request.caller().clone();
    if request.query.get("node").is_empty() {
        return Err(ApiError::bad_request("detach requires node ID"));
    }
    require(caller.rights.namespace(request.namespace(), Capability::CsiMountVolume))?;
    Err(ApiError::by_text("no such volume"))
}

/// `DELETE /v1/volume/host/{volume_id}`.
pub async fn delete_host<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    force(&request)?;
    Err(ApiError::by_text(format!("no such volume: {}", request.parameter("volume_id"))))
}

/// As much of a request for CSI volumes as decides what is wrong with it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Volumes {
    volumes: Option<Vec<Volume>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Volume {
    #[serde(rename = "PluginID")]
    plugin_id: String,
    #[serde(rename = "RequestedCapabilities")]
    capabilities: Option<Vec<Value>>,
}

/// Registering and creating CSI volumes: each needs a plugin, and there is none.
pub async fn make_csi<S: State>(_: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let given: Volumes = request.json().await?;
    if let Some(volume) = given.volumes.iter().flatten().next() {
        if volume.capabilities.as_ref().is_none_or(Vec::is_empty) {
            return Err(ApiError::by_text("validation: must include at least one capability block"));
        }
        return Err(ApiError::by_text(format!("no CSI plugin named: {} could be found", volume.plugin_id)));
    }
    Err(missing("CSI volumes"))
}

/// Creating and registering host volumes.
pub async fn make_host<S: State>(_: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let given: Value = request.json().await?;
    if given.get("Volume").is_none_or(Value::is_null) {
        return Err(ApiError::by_text("missing volume definition"));
    }
    Err(missing("dynamic host volumes"))
}

/// As much of a request for snapshots as decides what is wrong with it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Snapshots {
    snapshots: Option<Vec<SnapshotOf>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SnapshotOf {
    #[serde(rename = "SourceVolumeID")]
    source: String,
}

/// `PUT /v1/volumes/snapshot`.
pub async fn make_snapshot<S: State>(_: Arc<S>, mut request: Request) -> Result<Reply, ApiError> {
    let given: Snapshots = request.json().await?;
    if let Some(first) = given.snapshots.iter().flatten().next() {
        return Err(ApiError::by_text(format!("1 error occurred:\n\t* no such volume {:?}\n\n", first.source)));
    }
    let answer = json!({"Snapshots": null, "Index": 0, "LastContact": 0, "KnownLeader": false, "NextToken": ""});
    Ok(Reply::json(&answer)?.meta(&Meta { known_leader: false, ..Meta::at(0) }))
}

/// `DELETE /v1/volumes/snapshot`.
pub async fn delete_snapshot<S: State>(_: Arc<S>, _: Request) -> Result<Reply, ApiError> {
    Err(ApiError::by_text("1 error occurred:\n\t* no such plugin\n\n"))
}

/// `GET /v1/plugins`.
pub async fn plugins<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let caller = request.caller().clone();
    match request.query.get("type") {
        "" => Reply::json(&json!([])),
        "csi" => {
            require(caller.rights.plugin_list())?;
            value(&*source, &request, |_: &Snapshot| Ok(At { index: 1, value: json!([]) })).await
        }
        _ => Ok(Reply::empty()),
    }
}

/// `GET /v1/plugin/csi/{plugin_id}`.
pub async fn plugin<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    require(request.caller().rights.plugin_read())?;
    one::<S, Value>(&*source, &request, "plugin not found", |_| Ok(At { index: 0, value: None })).await
}

/// `/ui/`: there are no pages yet.
pub async fn pages<S: State>(_: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let body = if request.method == Method::HEAD { "" } else { PAGE };
    Ok(Reply::text(body).content_type("text/html; charset=utf-8"))
}

const PAGE: &str = "<!DOCTYPE html>\n<html>\n<title>Drover</title>\n<p>This version has no pages. The API is below <code>/v1</code>, \
                    and the command line shows what it tells: <code>drover status</code>.</p>\n</html>\n";
