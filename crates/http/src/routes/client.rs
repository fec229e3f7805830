//! What the node itself answers: files, logs, statistics, checks, restarts and signals.

use std::sync::Arc;

use drover_api as api;
use drover_base::AllocId;
use drover_client::ClientHandle;
use drover_client::client::AllocError;
use drover_client::files::{FileReader, FilesError, FilesErrorKind, Frame, LogKind, Origin};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::sync::mpsc;

use crate::agent::Agent;
use crate::error::ApiError;
use crate::ids;
use crate::query::{not_a_bool, not_a_number, parse_bool};
use crate::reply::Reply;
use crate::request::Request;
use crate::stream;

impl From<FilesError> for ApiError {
    fn from(error: FilesError) -> Self {
        let status = match error.kind {
            FilesErrorKind::NotFound => StatusCode::NOT_FOUND,
            FilesErrorKind::Invalid => StatusCode::BAD_REQUEST,
            FilesErrorKind::Refused | FilesErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.message)
    }
}

impl From<AllocError> for ApiError {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::Unknown(_) => Self::not_found(error.to_string()),
            AllocError::Failed(text) | AllocError::Forbidden(text) => Self::by_text(text),
        }
    }
}

/// The allocation in the path, and the client that has it.
fn target<'a>(agent: &'a Agent, request: &Request) -> Result<(&'a ClientHandle, AllocId), ApiError> {
    let text = request.parameter("alloc_id");
    if text.is_empty() {
        return Err(ApiError::bad_request("must provide a valid alloc id"));
    }
    let id = ids::full(text, "alloc")?;
    let unknown = || ApiError::not_found(format!("Unknown allocation \"{id}\""));
    let known = agent.placed(id);
    // What only the node still knows of has no namespace that anybody could be allowed.
    let forgotten = agent.client.as_ref().is_some_and(|client| client.has_alloc(id)) && !request.caller().enforced;
    if known.is_none() && !forgotten {
        return Err(unknown());
    }
    Ok((super::exec::reached(agent, known.as_ref())?, id))
}

/// `/v1/client/fs/ls/{alloc_id}`.
pub async fn list(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (client, id) = target(&agent, &request)?;
    let path = match request.query.get("path") {
        "" => "/",
        path => path,
    };
    Reply::json(&client.files(id)?.list(path)?)
}

/// `/v1/client/fs/…` with anything else.
pub async fn no_such_verb(_: Arc<Agent>, _: Request) -> Result<Reply, ApiError> {
    Err(ApiError::not_found("Invalid method"))
}

/// `/v1/client/fs/stat/{alloc_id}`.
pub async fn stat(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (client, id) = target(&agent, &request)?;
    Reply::json(&client.files(id)?.stat(needed_path(&request)?)?)
}

fn needed_path(request: &Request) -> Result<&str, ApiError> {
    match request.query.get("path") {
        "" => Err(ApiError::bad_request("must provide a file name")),
        path => Ok(path),
    }
}

/// `/v1/client/fs/cat/{alloc_id}`: failures are texts with status 200, as readers of this route expect.
pub async fn cat(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    Ok(contents(&agent, &request, 0, None).await.unwrap_or_else(|error| Reply::text(error.text)))
}

/// `/v1/client/fs/readat/{alloc_id}`.
pub async fn read_at(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let read = async {
        needed_path(&request)?;
        let offset = integer("offset", request.query.get("offset"))?;
        let limit = match request.query.get("limit") {
            "" => None,
            text => u64::try_from(integer("limit", text)?).ok().filter(|limit| *limit > 0),
        };
        contents(&agent, &request, offset, limit).await
    };
    Ok(read.await.unwrap_or_else(|error| Reply::text(error.text)))
}

fn integer(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request(format!("error parsing {name}: {}", not_a_number("ParseInt", text))))
}

async fn contents(agent: &Agent, request: &Request, offset: i64, limit: Option<u64>) -> Result<Reply, ApiError> {
    let path = needed_path(request)?.to_owned();
    let (client, id) = target(agent, request)?;
    let files = client.files(id)?;
    let content_type = files.stat(&path)?.content_type;
    let mut reader = files.read(&path, offset, limit)?;
    let first = reader.next_chunk().map_err(|error| ApiError::by_text(format!("read {path}: {error}")))?;
    let Some(first) = first else { return Ok(Reply::text("")) };
    let body = stream::body(move |writer| async move {
        if writer.bytes(first).await.is_ok() {
            send_file(reader, writer).await;
        }
    });
    // Never a page that a browser would run.
    let shown: &'static str = match content_type.as_str() {
        text if text.starts_with("text/html") => "text/plain",
        text if text.starts_with("text/") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
    Ok(Reply::stream(shown, body)
        .header(HeaderName::from_static("content-security-policy"), HeaderValue::from_static(policy))
        .header(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"))
        .header(HeaderName::from_static("x-xss-protection"), HeaderValue::from_static("1; mode=block")))
}

async fn send_file(mut reader: FileReader, writer: stream::Writer) {
    loop {
        match reader.next_chunk() {
            Ok(Some(chunk)) => {
                if writer.bytes(chunk).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return writer.fail(error).await,
        }
    }
}

fn origin(request: &Request, status: StatusCode) -> Result<Origin, ApiError> {
    let offset = match request.query.get("offset") {
        "" => 0,
        text => integer("offset", text).map_err(|error| ApiError::new(status, error.text))?,
    };
    let offset = u64::try_from(offset).unwrap_or(0);
    match request.query.get("origin") {
        "" | "start" => Ok(Origin::Start(offset)),
        "end" => Ok(Origin::End(offset)),
        _ => Err(ApiError::bad_request("origin must be start or end")),
    }
}

fn boolean(request: &Request, name: &str, default: bool, status: StatusCode) -> Result<bool, ApiError> {
    match request.query.get(name) {
        "" => Ok(default),
        text => {
            parse_bool(text).ok_or_else(|| ApiError::new(status, format!("failed to parse {name} field to boolean: {}", not_a_bool(text))))
        }
    }
}

/// `/v1/client/fs/stream/{alloc_id}`.
pub async fn stream_file(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let path = needed_path(&request)?;
    let follow = boolean(&request, "follow", true, StatusCode::INTERNAL_SERVER_ERROR)?;
    let origin = origin(&request, StatusCode::INTERNAL_SERVER_ERROR)?;
    let (client, id) = target(&agent, &request)?;
    let wrong = |error: FilesError| match error.kind {
        FilesErrorKind::NotFound => ApiError::bad_request(error.message),
        _ => error.into(),
    };
    let frames = client.stream(id, path, origin, follow).map_err(wrong)?;
    let body = stream::body(move |writer| send_frames(frames, writer, false));
    Ok(Reply::stream("text/plain; charset=utf-8", body))
}

/// `/v1/client/fs/logs/{alloc_id}`.
pub async fn logs(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let task = match request.query.get("task") {
        "" => return Err(ApiError::bad_request("must provide task name")),
        task => task,
    };
    let follow = boolean(&request, "follow", false, StatusCode::BAD_REQUEST)?;
    let plain = boolean(&request, "plain", false, StatusCode::BAD_REQUEST)?;
    let kind = match request.query.get("type") {
        "stdout" => LogKind::Stdout,
        "stderr" => LogKind::Stderr,
        _ => return Err(ApiError::bad_request("must provide log type (stdout/stderr)")),
    };
    let origin = origin(&request, StatusCode::BAD_REQUEST)?;
    let (client, id) = target(&agent, &request)?;
    let frames = client.logs(id, task, kind, origin, follow)?;
    let body = stream::body(move |writer| send_frames(frames, writer, plain));
    Ok(Reply::stream(if plain { "text/plain" } else { "application/json" }, body))
}

async fn send_frames(mut frames: mpsc::Receiver<Frame>, writer: stream::Writer, plain: bool) {
    while let Some(frame) = frames.recv().await {
        let sent = match frame {
            Frame::Data { bytes, .. } if plain => writer.bytes(bytes).await,
            _ if plain => continue,
            Frame::Heartbeat => writer.heartbeat(false).await,
            frame => writer.frame(&frame.to_api()).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// `/v1/client/allocation/{alloc_id}/stats`.
pub async fn alloc_stats(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (client, id) = target(&agent, &request)?;
    let task = Some(request.query.get("task")).filter(|task| !task.is_empty());
    Reply::json(&client.alloc_stats(id, task).await?)
}

/// `/v1/client/allocation/{alloc_id}/checks`.
pub async fn checks(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (client, id) = target(&agent, &request)?;
    let checks = client.checks(id);
    Reply::json(&(!checks.is_empty()).then_some(checks))
}

/// `/v1/client/allocation/{alloc_id}/restart`.
pub async fn restart(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let wrong = |error: ApiError| ApiError::by_text(error.text);
    let body: api::AllocationRestartRequest = request.json_optional().await.map_err(wrong)?.unwrap_or_default();
    let (client, id) = target(&agent, &request)?;
    client.restart(id, Some(body.task_name).filter(|task| !task.is_empty()), body.all_tasks).await?;
    Reply::json(&json!({ "Index": 0 }))
}

/// `/v1/client/allocation/{alloc_id}/signal`.
pub async fn signal(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let wrong = |error: ApiError| ApiError::new(error.status, format!("Failed to decode body: {}", error.text));
    let body: api::AllocSignalRequest = request.json().await.map_err(wrong)?;
    let (client, id) = target(&agent, &request)?;
    client.signal(id, Some(body.task).filter(|task| !task.is_empty()), body.signal).await?;
    Reply::json(&json!({ "Index": 0 }))
}

/// `/v1/client/allocation/{alloc_id}/gc`.
pub async fn collect(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let (client, id) = target(&agent, &request)?;
    client.collect(id).await?;
    Ok(Reply::empty())
}

/// Whether a request for a node is for this one.
pub(super) fn own_node<'a>(agent: &'a Agent, request: &Request, unknown: StatusCode) -> Result<&'a ClientHandle, ApiError> {
    node_of(agent, request.query.get("node_id"), unknown)
}

pub(super) fn node_of<'a>(agent: &'a Agent, text: &str, unknown: StatusCode) -> Result<&'a ClientHandle, ApiError> {
    let Some(client) = agent.client.as_ref() else {
        return Err(if text.is_empty() {
            ApiError::bad_request("No local Node and node_id not provided")
        } else {
            ApiError::not_found("No path to node")
        });
    };
    if text.is_empty() {
        return Ok(client);
    }
    let id = ids::full(text, "node")?;
    if id == client.node_id() { Ok(client) } else { Err(ApiError::new(unknown, format!("Unknown node {id}"))) }
}

/// `/v1/client/stats`.
pub async fn host_stats(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let client = own_node(&agent, &request, StatusCode::NOT_FOUND)?;
    Reply::json(&client.host_stats().await)
}

/// `/v1/client/allocation/{alloc_id}/snapshot`: the data of an allocation, for the node that takes its place.
pub async fn snapshot(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let id = ids::full(request.parameter("alloc_id"), "alloc")?;
    let known = agent.placed(id).is_some();
    if !known {
        return Err(ApiError::by_text("allocation not found"));
    }
    Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "migration of allocation data: not part of this version of Drover"))
}

/// `/v1/client/gc`.
pub async fn collect_all(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    own_node(&agent, &request, StatusCode::INTERNAL_SERVER_ERROR)?.collect_all().await;
    Ok(Reply::empty())
}

/// `GET /v1/client/metadata`.
pub async fn metadata(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    // Whether there is a node here is no secret.
    request.caller();
    let client = own_node(&agent, &request, StatusCode::INTERNAL_SERVER_ERROR)?;
    request.permit("")?;
    Reply::json(&client.node_meta())
}

/// `POST /v1/client/metadata`.
pub async fn set_metadata(agent: Arc<Agent>, mut request: Request) -> Result<Reply, ApiError> {
    let body: api::NodeMetaApplyRequest = request.json().await?;
    let changes = body.meta.filter(|meta| !meta.is_empty()).ok_or_else(|| ApiError::bad_request("missing required Meta object"))?;
    let wrong = changes.keys().filter(|key| !drover_client::node_meta::is_key(key));
    let wrong: Vec<String> = wrong.map(|key| format!("{key:?} is invalid; metadata keys must be valid dotted hcl identifiers")).collect();
    if !wrong.is_empty() {
        return Err(ApiError::bad_request(wrong.join("\n")));
    }
    let named = if body.node_id.is_empty() { request.query.get("node_id").to_owned() } else { body.node_id };
    let client = node_of(&agent, &named, StatusCode::INTERNAL_SERVER_ERROR)?;
    let changed = client.change_node_meta(changes).map_err(|error| ApiError::by_text(format!("keep the metadata: {error}")))?;
    Reply::json(&changed)
}
