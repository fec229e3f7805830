//! Commands in running tasks, over a WebSocket: `alloc exec` and the actions of jobs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drover_api as api;
use drover_api::websocket::Message;
use drover_api::wire::Base64;
use drover_base::AllocId;
use drover_client::client::AllocError;
use drover_driver::{ExecCommand, ExecInput, ExecOutput};
use drover_model::JobId;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;
use http::header::UPGRADE;
use tokio::sync::mpsc;

use crate::access::{Capability, Rights, require};
use crate::agent::Agent;
use crate::error::ApiError;
use crate::ids;
use crate::query::{not_a_bool, parse_bool};
use crate::reply::Reply;
use crate::request::Request;
use crate::websocket::{Reader, Writer, converse};

/// How often either side says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a client may take to introduce itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Parts of input that a task has not read yet; then the client waits.
const INPUT_QUEUE: usize = 16;

/// What tells the reader of a terminal that its input ends.
const END_OF_TRANSMISSION: u8 = 4;

/// What a request asks to run, and where.
struct Wanted {
    alloc: Result<AllocId, ApiError>,
    task: String,
    command: Result<Vec<String>, ApiError>,
    terminal: bool,
}

/// Drivers whose commands see the whole machine.
const WITHOUT_ISOLATION: [&str; 2] = ["raw_exec", "mock_driver"];

type Started = (BoxStream<'static, ExecOutput>, mpsc::Sender<ExecInput>);

/// `/v1/client/allocation/{alloc_id}/exec`.
pub async fn exec(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    request.caller();
    if !request.headers.contains_key(UPGRADE) {
        words(request.query.get("command"))?;
    }
    let wanted = wanted(&request).map(|terminal| Wanted {
        alloc: ids::full(request.parameter("alloc_id"), "alloc"),
        task: request.query.get("task").to_owned(),
        command: words(request.query.get("command")),
        terminal,
    });
    session(agent, &request, wanted)
}

/// `/v1/job/{job_id}/action`.
pub async fn action(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let job = super::job_id(&request);
    if request.headers.contains_key(UPGRADE) {
        request.permit(&job.namespace)?;
    }
    let task = request.query.get("task").to_owned();
    let name = request.query.get("action");
    let wanted = wanted(&request).map(|terminal| Wanted {
        alloc: match request.query.get("allocID") {
            "" => Err(ApiError::bad_request("missing AllocID")),
            text => ids::full(text, "alloc"),
        },
        command: if name.is_empty() { Ok(Vec::new()) } else { command_of(&agent, &job, &task, name) },
        task,
        terminal,
    });
    session(agent, &request, wanted)
}

/// The words of the action of a task.
fn command_of(agent: &Agent, job: &JobId, task: &str, name: &str) -> Result<Vec<String>, ApiError> {
    let snapshot = agent.server()?.snapshot();
    let row = snapshot.job(job).ok_or_else(|| ApiError::not_found(format!("Unknown job {:?}", job.id)))?;
    let job = crate::view::job(row);
    let tasks = job.task_groups.iter().flatten().flat_map(|group| group.tasks.iter().flatten());
    let found = tasks.filter(|own| own.name == task).flat_map(|own| own.actions.iter().flatten()).find(|action| action.name == name);
    let found = found.ok_or_else(|| ApiError::not_found(format!("action {name} not found in task {task}")))?;
    Ok(std::iter::once(found.command.clone()).chain(found.args.iter().flatten().cloned()).collect())
}

/// Whether a terminal is asked for.
fn wanted(request: &Request) -> Result<bool, ApiError> {
    match request.query.get("tty") {
        "" => Ok(false),
        text => parse_bool(text).ok_or_else(|| ApiError::by_text(format!("tty value is not a boolean: {}", not_a_bool(text)))),
    }
}

fn words(text: &str) -> Result<Vec<String>, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        let reason = if text.is_empty() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
        ApiError::by_text(format!("failed to marshal command into json: {reason}"))
    })
}

fn session(agent: Arc<Agent>, request: &Request, wanted: Result<Wanted, ApiError>) -> Result<Reply, ApiError> {
    let clock = request.clock.clone();
    let rights = Arc::clone(&request.caller().rights);
    let introduced = request.query.find("ws_handshake").and_then(parse_bool) == Some(true);
    converse(request, async move |mut reader, writer| {
        if introduced {
            let first = clock.timeout(HANDSHAKE_TIMEOUT, reader.next()).await.flatten();
            if let Err(error) = introduction(first) {
                return writer.refuse(&error).await;
            }
        }
        let started = match wanted {
            Ok(wanted) => start(&agent, &rights, wanted).await,
            Err(error) => Err(error),
        };
        match started {
            Err(error) => writer.refuse(&error).await,
            Ok((started, program, terminal)) => relay(&clock, reader, writer, started, &program, terminal).await,
        }
    })
}

/// What a client that cannot send headers says first.
fn introduction(message: Option<Message>) -> Result<(), ApiError> {
    let Some(Message::Text(bytes)) = message else { return Err(ApiError::bad_request("no handshake message")) };
    let handshake: api::WebsocketHandshake =
        serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_request(format!("decode the handshake: {error}")))?;
    match handshake.version {
        1 => Ok(()),
        other => Err(ApiError::bad_request(format!("unexpected handshake value: {other}"))),
    }
}

async fn start(agent: &Agent, rights: &Rights, wanted: Wanted) -> Result<(Started, String, bool), ApiError> {
    require(rights.some_namespace(Capability::AllocExec))?;
    let id = wanted.alloc?;
    let unknown = || ApiError::not_found(format!("Unknown allocation \"{id}\""));
    let client = agent.client.as_ref().ok_or_else(unknown)?;
    let known = agent.server.as_ref().is_some_and(|server| server.snapshot().alloc(id).is_some());
    // What only the node still knows of has no namespace that anybody could be allowed.
    let forgotten = client.has_alloc(id) && rights.is_management();
    if !known && !forgotten {
        return Err(unknown());
    }
    if wanted.task.is_empty() {
        return Err(ApiError::bad_request("must provide task name"));
    }
    let command = wanted.command?;
    if let Some(alloc) = agent.server.as_ref().and_then(|server| server.snapshot().alloc(id).cloned()) {
        let driver = alloc.task_group().task(&wanted.task).map(|task| task.driver.clone());
        let exposed = driver.is_some_and(|driver| WITHOUT_ISOLATION.contains(&driver.as_str()));
        let namespace = &alloc.job.id.namespace;
        require(rights.namespace(namespace, Capability::AllocExec))?;
        require(!exposed || rights.namespace(namespace, Capability::AllocNodeExec))?;
    }
    let Some(program) = command.first().cloned() else { return Err(ApiError::bad_request("command is not present")) };
    let (input, queue) = mpsc::channel(INPUT_QUEUE);
    let command = ExecCommand { args: command, terminal: wanted.terminal, timeout: None };
    let output = client.exec(id, &wanted.task, command, queue).await.map_err(|error| match error {
        AllocError::Unknown(_) => unknown(),
        AllocError::Failed(text) if text.starts_with("unknown task name") => ApiError::by_text("task not found"),
        AllocError::Forbidden(text) => ApiError::new(StatusCode::FORBIDDEN, text),
        AllocError::Failed(text) => ApiError::by_text(text),
    })?;
    Ok(((output, input), program, wanted.terminal))
}

fn part(bytes: Option<Vec<u8>>) -> Option<api::ExecStreamingIOOperation> {
    Some(api::ExecStreamingIOOperation { close: bytes.is_none(), data: bytes.map(Base64) })
}

/// Carries input, output and sizes until the command or the client is gone. Dropping the output ends the command.
async fn relay(
    clock: &drover_rt::Clock,
    mut reader: Reader,
    mut writer: Writer,
    (mut output, input): Started,
    program: &str,
    terminal: bool,
) {
    let mut given = Given { input: Some(input), waiting: VecDeque::new(), ends: false, terminal };
    let mut quiet = clock.monotonic() + HEARTBEAT;
    let mut silent = true;
    loop {
        let sent = tokio::select! {
            // What the task has not taken yet is not added to.
            message = reader.next(), if given.waiting.is_empty() => match message {
                None | Some(Message::Close(..)) => return,
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await,
                Some(Message::Pong(_)) => Ok(()),
                Some(Message::Text(bytes) | Message::Binary(bytes)) => {
                    let Ok(frame) = serde_json::from_slice::<api::ExecStreamingInput>(&bytes) else { return };
                    given.take_in(frame);
                    Ok(())
                }
            },
            () = given.pass_on() => Ok(()),
            part = output.next() => match part {
                Some(ExecOutput::Stdout(bytes)) => {
                    silent = false;
                    writer.json(&api::ExecStreamingOutput { stdout: self::part(Some(bytes)), ..Default::default() }).await
                }
                Some(ExecOutput::Stderr(bytes)) => {
                    silent = false;
                    writer.json(&api::ExecStreamingOutput { stderr: self::part(Some(bytes)), ..Default::default() }).await
                }
                Some(ExecOutput::Ended { code, .. }) => {
                    farewell(&mut writer, code, terminal).await;
                    return writer.end().await;
                }
                Some(ExecOutput::Failed(text)) if silent => return writer.refuse(&not_started(program, &text)).await,
                Some(ExecOutput::Failed(text)) => return writer.refuse(&ApiError::by_text(text)).await,
                None => return writer.refuse(&ApiError::by_text("the task ended")).await,
            },
            () = clock.sleep(quiet.since(clock.monotonic())) => {
                quiet = clock.monotonic() + HEARTBEAT;
                writer.json(&api::ExecStreamingOutput::default()).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What the client gives the command.
struct Given {
    /// None once the command was told that nothing follows.
    input: Option<mpsc::Sender<ExecInput>>,
    waiting: VecDeque<ExecInput>,
    ends: bool,
    terminal: bool,
}

impl Given {
    fn take_in(&mut self, frame: api::ExecStreamingInput) {
        if let Some(size) = frame.tty_size {
            let (rows, columns) = (u16::try_from(size.height).unwrap_or(0), u16::try_from(size.width).unwrap_or(0));
            self.waiting.push_back(ExecInput::Resize { rows, columns });
        }
        if let Some(stdin) = frame.stdin {
            self.waiting.extend(stdin.data.filter(|data| !data.0.is_empty()).map(|data| ExecInput::Bytes(data.0)));
            // The reader of a terminal is told by a character; the size of the terminal may still change.
            if stdin.close && self.terminal {
                self.waiting.push_back(ExecInput::Bytes(vec![END_OF_TRANSMISSION]));
            } else {
                self.ends |= stdin.close;
            }
        }
        if self.ends && self.waiting.is_empty() {
            self.input = None;
        }
    }

    /// Returns after one part was passed on; never, when there is none.
    async fn pass_on(&mut self) {
        let Some(input) = self.input.clone().filter(|_| !self.waiting.is_empty()) else {
            self.waiting.clear();
            return std::future::pending().await;
        };
        match input.reserve().await {
            Ok(permit) => {
                if let Some(part) = self.waiting.pop_front() {
                    permit.send(part);
                }
            }
            // The command has ended or reads no more.
            Err(_) => self.input = None,
        }
        if self.ends && self.waiting.is_empty() {
            self.input = None;
        }
    }
}

/// The ends of the streams and the exit code.
async fn farewell(writer: &mut Writer, code: i32, terminal: bool) {
    let mut last = vec![api::ExecStreamingOutput { stdout: part(None), ..Default::default() }];
    if !terminal {
        last.insert(0, api::ExecStreamingOutput { stderr: part(None), ..Default::default() });
    }
    let result = Some(api::ExecStreamingExitResult { exit_code: i64::from(code) });
    last.push(api::ExecStreamingOutput { exited: true, result, ..Default::default() });
    for frame in &last {
        if writer.json(frame).await.is_err() {
            return;
        }
    }
}

/// A program that could not be run, in the words that clients know.
fn not_started(program: &str, text: &str) -> ApiError {
    let reason = text.strip_prefix(&format!("run {program}: ")).map(|reason| reason.split(" (os error").next().unwrap_or(reason));
    let text = match reason {
        Some(reason) => {
            let mut letters = reason.chars();
            let reason: String = letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default();
            format!("failed to start command: fork/exec {program}: {reason}")
        }
        None => format!("failed to start command: {text}"),
    };
    ApiError::by_text(format!("rpc error: code = Unknown desc = {text}"))
}
