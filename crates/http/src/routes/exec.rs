//! Commands in running tasks, over a WebSocket: `alloc exec` and the actions of jobs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drover_api as api;
use drover_api::websocket::Message;
use drover_api::wire::Base64;
use drover_base::AllocId;
use drover_client::ClientHandle;
use drover_client::client::AllocError;
use drover_driver::{ExecCommand, ExecInput, ExecOutput};
use drover_model::JobId;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;
use http::header::UPGRADE;
use tokio::sync::mpsc;

use crate::access::{Caller, Capability, require};
use crate::agent::{Agent, Placed};
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
    command: Command,
    terminal: bool,
}

/// What is to be run.
enum Command {
    /// Words.
    Words(Result<Vec<String>, ApiError>),
    /// The action of a job that has this name.
    Action(JobId, String),
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
        command: Command::Words(words(request.query.get("command"))),
        terminal,
    });
    session(agent, &request, wanted)
}

/// `/v1/job/{job_id}/action`.
pub async fn action(agent: Arc<Agent>, request: Request) -> Result<Reply, ApiError> {
    let job = super::job_id(&request);
    // Whoever introduces themselves later is looked at then.
    if request.headers.contains_key(UPGRADE) && !introduces(&request) {
        request.permit(&job.namespace)?;
    }
    let task = request.query.get("task").to_owned();
    let name = request.query.get("action");
    let wanted = wanted(&request).map(|terminal| Wanted {
        alloc: match request.query.get("allocID") {
            "" => Err(ApiError::bad_request("missing AllocID")),
            text => ids::full(text, "alloc"),
        },
        command: if name.is_empty() { Command::Words(Ok(Vec::new())) } else { Command::Action(job, name.to_owned()) },
        task,
        terminal,
    });
    session(agent, &request, wanted)
}

/// The words of the action of a task.
fn command_of(agent: &Agent, job: &JobId, task: &str, name: &str, placed: Option<&Placed>) -> Result<Vec<String>, ApiError> {
    let missing = || ApiError::not_found(format!("action {name} not found in task {task}"));
    let words = |action: &api::Action| std::iter::once(action.command.clone()).chain(action.args.iter().flatten().cloned()).collect();
    if agent.server.is_none() {
        let placed =
            placed.filter(|placed| placed.job.id == *job).ok_or_else(|| ApiError::not_found(format!("Unknown job {:?}", job.id)))?;
        let actions = placed.task(task).and_then(|task| task.actions.as_ref()).map(|actions| &actions.0);
        return actions.into_iter().flatten().find(|action| action.name == name).map(words).ok_or_else(missing);
    }
    let snapshot = agent.server()?.snapshot();
    let row = snapshot.job(job).ok_or_else(|| ApiError::not_found(format!("Unknown job {:?}", job.id)))?;
    let job = crate::view::job(row);
    let tasks = job.task_groups.iter().flatten().flat_map(|group| group.tasks.iter().flatten());
    let found = tasks.filter(|own| own.name == task).flat_map(|own| own.actions.iter().flatten()).find(|action| action.name == name);
    found.map(words).ok_or_else(missing)
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

/// Whether the caller says who they are in the first message: browsers cannot send headers of their own.
fn introduces(request: &Request) -> bool {
    request.query.find("ws_handshake").and_then(parse_bool) == Some(true)
}

fn session(agent: Arc<Agent>, request: &Request, wanted: Result<Wanted, ApiError>) -> Result<Reply, ApiError> {
    let clock = request.clock.clone();
    let mut caller = request.caller().clone();
    let introduced = introduces(request);
    converse(request, async move |mut reader, writer| {
        if introduced {
            let first = clock.timeout(HANDSHAKE_TIMEOUT, reader.next()).await.flatten();
            let introduced = match introduction(first) {
                Ok(token) if token.is_empty() => Ok(caller.clone()),
                Ok(token) => agent.caller_with(&token).await,
                Err(error) => Err(error),
            };
            match introduced {
                Ok(introduced) => caller = introduced,
                Err(error) => return writer.refuse(&error).await,
            }
        }
        let started = match wanted {
            Ok(wanted) => start(&agent, &caller, wanted).await,
            Err(error) => Err(error),
        };
        match started {
            Err(error) => writer.refuse(&error).await,
            Ok((started, program, terminal)) => relay(&clock, reader, writer, started, &program, terminal).await,
        }
    })
}

/// The token that a client that cannot send headers says first.
fn introduction(message: Option<Message>) -> Result<String, ApiError> {
    let Some(Message::Text(bytes)) = message else { return Err(ApiError::bad_request("no handshake message")) };
    let handshake: api::WebsocketHandshake =
        serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_request(format!("decode the handshake: {error}")))?;
    match handshake.version {
        1 => Ok(handshake.auth_token),
        other => Err(ApiError::bad_request(format!("unexpected handshake value: {other}"))),
    }
}

async fn start(agent: &Agent, caller: &Caller, wanted: Wanted) -> Result<(Started, String, bool), ApiError> {
    let rights = &caller.rights;
    require(rights.some_namespace(Capability::AllocExec))?;
    if let Command::Action(job, _) = &wanted.command {
        require(rights.namespace(&job.namespace, Capability::AllocExec))?;
    }
    let id = wanted.alloc?;
    let unknown = || ApiError::not_found(format!("Unknown allocation \"{id}\""));
    let known = agent.placed(id);
    // What only the node still knows of has no namespace that anybody could be allowed.
    let forgotten = agent.client.as_ref().is_some_and(|client| client.has_alloc(id)) && rights.is_management();
    if known.is_none() && !forgotten {
        return Err(unknown());
    }
    if wanted.task.is_empty() {
        return Err(ApiError::bad_request("must provide task name"));
    }
    let action = match &wanted.command {
        Command::Action(job, name) => Some((job.id.clone(), name.clone())),
        Command::Words(_) => None,
    };
    let command = match wanted.command {
        Command::Words(words) => words?,
        Command::Action(job, name) => command_of(agent, &job, &wanted.task, &name, known.as_ref())?,
    };
    if let Some(alloc) = &known {
        let driver = alloc.task(&wanted.task).map(|task| task.driver.clone());
        let exposed = driver.is_some_and(|driver| WITHOUT_ISOLATION.contains(&driver.as_str()));
        let namespace = &alloc.job.id.namespace;
        require(rights.namespace(namespace, Capability::AllocExec))?;
        require(!exposed || rights.namespace(namespace, Capability::AllocNodeExec))?;
    }
    let client = reached(agent, known.as_ref())?;
    let Some(program) = command.first().cloned() else { return Err(ApiError::bad_request("command is not present")) };
    // Who ran what where is kept in the log, as commands in tasks leave no trace in the state.
    let by = caller.token.as_ref().map_or("anonymous", |token| &token.accessor);
    match &action {
        Some((job, action)) => tracing::info!(by, alloc = %id, task = wanted.task, job, action, "an action of a job is run"),
        None => tracing::info!(by, alloc = %id, task = wanted.task, program, "a command is run in a task"),
    }
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

/// The client of this agent, if it is the one that has an allocation.
pub(super) fn reached<'a>(agent: &'a Agent, alloc: Option<&Placed>) -> Result<&'a ClientHandle, ApiError> {
    let own = agent.client.as_ref().filter(|client| alloc.is_none_or(|alloc| alloc.node == client.node_id()));
    own.ok_or_else(|| ApiError::not_found("No path to node"))
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
