//! The log of the past: from the journal of the system, or from the agent's log file.

use std::process::Stdio;
use std::sync::Arc;

use drover_api as api;
use drover_api::wire::Base64;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::agent::Agent;
use crate::error::ApiError;
use crate::query::{not_a_bool, parse_bool};
use crate::reply::Reply;
use crate::request::Request;
use crate::stream::{self, Writer};

/// The most log text in one frame.
const FRAME_MAX: usize = 1024;
/// How far back the journal is shown unless the request says so, in hours.
const SINCE_HOURS: i64 = 72;
const NANOSECONDS: i64 = 1_000_000_000;

/// `GET /v1/agent/monitor/export`.
pub async fn export(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let text = |name: &str| request.query.get(name);
    let boolean = |name: &str, shown: &str| match text(name) {
        "" => Ok(false),
        value => parse_bool(value).ok_or_else(|| ApiError::bad_request(format!("Unknown option for {shown}: {}", not_a_bool(value)))),
    };
    let (on_disk, follow, plain) = (boolean("on_disk", "on-disk")?, boolean("follow", "follow")?, boolean("plain", "plain")?);
    let service = text("service_name").to_owned();
    match (on_disk, service.as_str()) {
        (false, "") => return Err(ApiError::bad_request("Either -service-name or -on-disk must be set")),
        (true, name) if !name.is_empty() => {
            return Err(ApiError::bad_request("Cannot target journald and nomad log file simultaneously"));
        }
        (true, _) if follow => return Err(ApiError::bad_request("Cannot follow log file")),
        _ => {}
    }
    let since = match text("logs_since") {
        "" => SINCE_HOURS * 3_600 * NANOSECONDS,
        since => drover_lang::duration::parse_duration(since)
            .map_err(|error| ApiError::bad_request(format!("Unknown value for logs-since: {error}")))?,
    };
    let known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@' | ':');
    if !on_disk && (!["nomad", "drover"].iter().any(|part| service.contains(part)) || !service.chars().all(known)) {
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "service name must include 'nomad"));
    }
    request.permit("")?;
    let kind = if plain { "text/plain" } else { "application/json" };
    if on_disk {
        let path = agent.facts.config.log_file.clone();
        if path.is_empty() {
            return Err(ApiError::bad_request("No nomad log file defined"));
        }
        let file = tokio::fs::File::open(&path).await;
        let file = file.map_err(|error| ApiError::by_text(format!("failed to open log file {path}: {error}")))?;
        return Ok(Reply::stream(kind, stream::body(move |writer| send(file, writer, plain))));
    }
    let mut command = tokio::process::Command::new("journalctl");
    command.args(["-u", &service, "--no-pager", "--since", &format!("{} seconds ago", since.max(0) / NANOSECONDS)]);
    if follow {
        command.arg("--follow");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| ApiError::by_text(format!("failed to read the journal with journalctl: {error}")))?;
    let output = child.stdout.take().ok_or_else(|| ApiError::by_text("journalctl has no output"))?;
    let body = stream::body(move |writer| async move {
        send(output, writer, plain).await;
        // Whoever asked has all of it, or has gone.
        let _ = child.start_kill();
        let _ = child.wait().await;
    });
    Ok(Reply::stream(kind, body))
}

async fn send(mut from: impl AsyncRead + Unpin, writer: Writer, plain: bool) {
    let (mut buffer, mut offset) = ([0; FRAME_MAX], 0);
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = writer.closed() => return,
        };
        let Ok(length @ 1..) = read else { return };
        offset += length as i64;
        let written = if plain {
            writer.bytes(buffer[..length].to_vec()).await
        } else {
            writer.frame(&api::StreamFrame { data: Some(Base64(buffer[..length].to_vec())), offset, ..Default::default() }).await
        };
        if written.is_err() {
            return;
        }
    }
}
