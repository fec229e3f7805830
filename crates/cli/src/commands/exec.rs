//! `alloc exec` and `job action`: a command where a task runs, with its input, output, terminal and exit code.

use std::io::Read;
use std::thread;
use std::time::Duration;

use drover_api::websocket::Message;
use drover_api::wire::Base64;
use drover_api::{AllocationListStub, ExecStreamingIOOperation, ExecStreamingInput, ExecStreamingOutput, TerminalSize};
use drover_linux::terminal::{self, RawTerminal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::{Flag, boolean};
use crate::resolve;
use crate::sdk::{Client, Query, segment};

/// How often the agent is told that somebody is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Parts of input that were read and not sent yet.
const INPUT_QUEUE: usize = 16;
/// What is read of the input at once.
const INPUT_BYTES: usize = 16 * 1024;

pub(super) const EXEC_FLAGS: &[Flag] = &[
    Flag::value("task", "name", "The task to run the command beside. Not needed where there is only one."),
    Flag::value("group", "name", "With -job: a group of the job."),
    Flag::switch("job", "The first argument is a job; one of its running allocations is used."),
    Flag::switch("i", "Pass standard input on. This is the default; -i=false gives the command none."),
    Flag::switch("t", "Give the command a terminal. This is the default in a terminal."),
    Flag::switch("it", ""),
    Flag::switch("ti", ""),
    Flag::value("e", "character", "The escape character of sessions in a terminal, or \"none\". Default ~."),
];
pub(super) const ACTION_FLAGS: &[Flag] = &[
    Flag::value("job", "id", "The job of the action."),
    Flag::value("alloc", "id", "The allocation to run it in."),
    Flag::value("group", "name", "A group; one of its running allocations is used."),
    Flag::value("task", "name", "The task of the action."),
    Flag::switch("i", "Pass standard input on. This is the default; -i=false gives the action none."),
    Flag::switch("t", "Give the action a terminal. This is the default in a terminal."),
    Flag::switch("it", ""),
    Flag::switch("ti", ""),
    Flag::value("e", "character", "The escape character of sessions in a terminal, or \"none\". Default ~."),
];

/// How a session is held.
struct Manner {
    input: bool,
    terminal: bool,
    escape: Option<u8>,
}

fn manner(context: &Context) -> Result<Manner, Failure> {
    let both = context.flags.on("it") || context.flags.on("ti");
    let set = |name: &str| context.flags.value(name).and_then(boolean);
    let input = both || set("i").unwrap_or(true);
    let in_terminal = context.environment.stdin_terminal && context.environment.stdout_terminal;
    let terminal = both || set("t").unwrap_or(in_terminal && input);
    if terminal && !input {
        return Err(Failure::new("-i must be enabled if running with tty"));
    }
    let escape = match context.flags.value("e") {
        None => Some(b'~'),
        Some("none" | "") => None,
        Some(text) if text.len() == 1 => Some(text.as_bytes()[0]),
        Some(_) => return Err(Failure::new("-e requires 'none' or a single character")),
    };
    Ok(Manner { input, terminal, escape })
}

pub(super) async fn alloc_exec(context: &mut Context) -> Outcome {
    let (given, command) = match context.arguments() {
        [] => return Err(Failure::usage("An allocation ID is required")),
        [_] => return Err(Failure::usage("A command is required")),
        [given, command @ ..] => (given.clone(), command.to_vec()),
    };
    let manner = manner(context)?;
    let client = context.client()?;
    let stub = if context.flags.on("job") {
        super::alloc_files::of_job(context, &client, &given).await?
    } else {
        resolve::alloc(context, &client, &given).await?
    };
    let (_, alloc) = super::alloc::read(&client, &stub).await?;
    let names = super::alloc::task_names(&alloc);
    let task = match context.flags.text("task") {
        Some(task) if names.iter().any(|name| name == task) => task.to_owned(),
        Some(task) => return Err(Failure::new(format!("Could not find task named: {task}, found:\n{}", names.join("\n")))),
        None => super::alloc_files::chosen_task(&alloc, None)
            .map_err(|failure| Failure { text: failure.text.trim_start_matches("Failed to validate task: ").to_owned(), ..failure })?,
    };
    let command = serde_json::to_string(&command).map_err(|error| Failure::new(error.to_string()))?;
    let query = Query::new().namespace(&alloc.namespace).set("task", task).set("tty", manner.terminal).set("command", command);
    hold(context, &client, &format!("/v1/client/allocation/{}/exec", segment(&alloc.id)), &query, &manner).await
}

pub(super) async fn action(context: &mut Context) -> Outcome {
    let text = |name: &str| context.flags.text(name).unwrap_or_default().to_owned();
    let (job, group, task, alloc) = (text("job"), text("group"), text("task"), text("alloc"));
    if job.is_empty() {
        return Err(Failure::usage("A job ID is required"));
    }
    let action = match context.arguments() {
        [action] => action.clone(),
        [] => return Err(Failure::usage("An action name is required")),
        _ => return Err(Failure::usage("This command takes one argument: <action>")),
    };
    if alloc.is_empty() && (group.is_empty() || task.is_empty()) {
        return Err(Failure::usage("A group and a task are required where no allocation is given"));
    }
    let manner = manner(context)?;
    let client = context.client()?;
    let (job, alloc, task) = if alloc.is_empty() {
        let missing = || Failure::new(format!("Error fetching allocations: job {job:?} doesn't exist or it has no allocations"));
        let query = Query::new();
        let allocs = client.get::<Vec<AllocationListStub>>(&format!("/v1/job/{}/allocations", segment(&job)), &query).await;
        let mut allocs = allocs.attempt("Error fetching allocations")?.value;
        if allocs.is_empty() {
            return Err(missing());
        }
        allocs.retain(|alloc| alloc.task_group == group && alloc.client_status == "running");
        super::alloc::newest_first(&mut allocs);
        let chosen = allocs.into_iter().next().ok_or_else(|| Failure::new("Job has no running allocations in this group"))?;
        (job, chosen, task)
    } else {
        let stub = resolve::alloc(context, &client, &alloc).await?;
        let (_, full) = super::alloc::read(&client, &stub).await?;
        let task = super::alloc_files::chosen_task(&full, Some(task.as_str()).filter(|task| !task.is_empty()))?;
        (job, stub, task)
    };
    let query = Query::new().namespace(&alloc.namespace).set("action", action).set("allocID", &alloc.id).set("task", task);
    let query = query.set("group", &alloc.task_group).set("tty", manner.terminal);
    hold(context, &client, &format!("/v1/job/{}/action", segment(&job)), &query, &manner).await
}

/// Holds a session to its end and returns the command's exit code.
async fn hold(context: &Context, client: &Client, path: &str, query: &Query, manner: &Manner) -> Outcome {
    let failed = |what: &dyn std::fmt::Display| Failure::new(format!("failed to exec into task: {what}"));
    let (mut reader, mut writer) = client.converse(path, query).await.map_err(|error| failed(&error))?;
    // Taken back when this returns, whatever happens.
    let raw = if manner.terminal && context.environment.stdin_terminal { RawTerminal::enter(&std::io::stdin()).ok() } else { None };
    let mut resized = signal(SignalKind::window_change()).map_err(|error| failed(&error))?;
    let mut keys = Keys { escape: manner.escape.filter(|_| raw.is_some()), ..Keys::default() };
    let mut input = Some(read_input(context, manner.input));
    let size = || terminal::size(&std::io::stdout()).filter(|_| manner.terminal);
    let frame = |(height, width): (u16, u16)| ExecStreamingInput {
        tty_size: Some(TerminalSize { height: i64::from(height), width: i64::from(width) }),
        ..ExecStreamingInput::default()
    };
    if let Some(size) = size() {
        writer.json(&frame(size)).await.map_err(|error| failed(&error))?;
    }
    loop {
        let sent = tokio::select! {
            message = reader.next() => match message.map_err(|error| failed(&error))? {
                Some(Message::Text(bytes) | Message::Binary(bytes)) => {
                    let output: ExecStreamingOutput = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
                    if let Some(code) = show(context, output) {
                        return Ok(code);
                    }
                    Ok(())
                }
                Some(Message::Ping(bytes)) => writer.send(&Message::Pong(bytes)).await,
                Some(Message::Pong(_)) => Ok(()),
                Some(Message::Close(_, reason)) if !reason.is_empty() => return Err(failed(&reason)),
                Some(Message::Close(..)) | None => return Err(failed(&"the connection ended before the command")),
            },
            part = next_part(&mut input) => match part.map(|bytes| keys.pass(&bytes)) {
                Some(None) => return Ok(0),
                Some(Some(bytes)) if bytes.is_empty() => Ok(()),
                Some(Some(bytes)) => writer.json(&stdin(Some(bytes))).await,
                None => {
                    input = None;
                    writer.json(&stdin(None)).await
                }
            },
            _ = resized.recv() => match size() {
                Some(size) => writer.json(&frame(size)).await,
                None => Ok(()),
            },
            () = context.clock.sleep(HEARTBEAT) => writer.json(&ExecStreamingInput::default()).await,
        };
        // What the agent said before it went is still worth reading; a reader that has come to the end tells.
        if sent.is_err() {
            input = None;
        }
    }
}

fn stdin(bytes: Option<Vec<u8>>) -> ExecStreamingInput {
    let part = ExecStreamingIOOperation { close: bytes.is_none(), data: bytes.map(Base64) };
    ExecStreamingInput { stdin: Some(part), ..ExecStreamingInput::default() }
}

/// Prints output; the exit code once the command has ended.
fn show(context: &Context, output: ExecStreamingOutput) -> Option<i32> {
    if let Some(data) = output.stdout.and_then(|part| part.data) {
        context.ui.raw(&data.0);
    }
    if let Some(data) = output.stderr.and_then(|part| part.data) {
        context.ui.raw_error(&data.0);
    }
    output.exited.then(|| output.result.map_or(0, |result| i32::try_from(result.exit_code).unwrap_or(1)))
}

async fn next_part(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads standard input in a thread of its own, which ends with the process: such a read cannot be called back.
fn read_input(context: &Context, wanted: bool) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(INPUT_QUEUE);
    if wanted {
        let mut input = context.ui.take_input();
        let reading = move || {
            let mut buffer = vec![0; INPUT_BYTES];
            while let Ok(count) = input.read(&mut buffer) {
                if count == 0 || sender.blocking_send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        };
        // Without a thread the command has no input, as if it had ended.
        drop(thread::Builder::new().name("input".to_owned()).spawn(reading));
    }
    receiver
}

/// Looks for the escape sequence among what is typed.
struct Keys {
    escape: Option<u8>,
    /// Whether the next key is the first of its line.
    fresh: bool,
    /// Whether the last key was the escape character at the start of a line.
    escaped: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self { escape: None, fresh: true, escaped: false }
    }
}

impl Keys {
    /// What is passed on; `None` when the session is to end.
    fn pass(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Some(escape) = self.escape else { return Some(bytes.to_vec()) };
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.escaped {
                self.escaped = false;
                match *byte {
                    b'.' => return None,
                    byte if byte == escape => {}
                    _ => out.push(escape),
                }
            } else if self.fresh && *byte == escape {
                self.escaped = true;
                self.fresh = false;
                continue;
            }
            out.push(*byte);
            self.fresh = matches!(byte, b'\r' | b'\n');
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_character_counts_at_the_start_of_a_line_only() {
        let mut keys = Keys { escape: Some(b'~'), ..Keys::default() };
        assert_eq!(keys.pass(b"a~.b\r"), Some(b"a~.b\r".to_vec()));
        assert_eq!(keys.pass(b"~~x\r"), Some(b"~x\r".to_vec()));
        assert_eq!(keys.pass(b"~"), Some(Vec::new()));
        assert_eq!(keys.pass(b"y\r~"), Some(b"~y\r".to_vec()));
        assert_eq!(keys.pass(b"."), None);
        assert_eq!(Keys::default().pass(b"~."), Some(b"~.".to_vec()));
    }
}
