//! `alloc logs` and `alloc fs`: output and files of tasks, once or as they grow.

use std::collections::VecDeque;

use drover_api::{AllocFileInfo, Allocation, AllocationListStub};
use futures::StreamExt;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::row;
use crate::sdk::{Client, Frames, Query, SdkError, segment};
use crate::text::{bytes, parse_time, short, table};
use crate::ui::Paint;

pub(super) const LOGS_FLAGS: &[Flag] = &[
    Flag::switch("stdout", "Show standard output. This is the default."),
    Flag::switch("stderr", "Show standard error."),
    Flag::value("task", "name", "The task whose output to show."),
    Flag::value("group", "name", "With -job: a group of the job."),
    Flag::switch("job", "The argument is a job; one of its running allocations is used."),
    Flag::switch("f", "Go on as output is written. Without -stdout or -stderr: both, from now on."),
    Flag::switch("tail", "Show the end only: the last 10 lines, or as -n or -c say."),
    Flag::value("n", "lines", "With -tail: how many lines."),
    Flag::value("c", "bytes", "With -tail: how many bytes."),
    super::VERBOSE,
];
pub(super) const FS_FLAGS: &[Flag] = &[
    Flag::switch("H", "Show sizes in bytes."),
    Flag::switch("job", "The argument is a job; one of its running allocations is used."),
    Flag::value("group", "name", "With -job: a group of the job."),
    Flag::switch("stat", "Show facts about the file instead of its content."),
    Flag::switch("f", "Go on as the file grows."),
    Flag::switch("tail", "Show the end only: the last 10 lines, or as -n or -c say."),
    Flag::value("n", "lines", "With -tail: how many lines."),
    Flag::value("c", "bytes", "With -tail: how many bytes."),
    super::VERBOSE,
];

/// Lines shown by `-tail`.
const TAIL_LINES: u64 = 10;
/// How long a line is taken to be when the place to start reading is chosen.
const LINE_GUESS: u64 = 120;

/// How much of the end is wanted.
#[derive(Clone, Copy)]
enum Tail {
    Lines(u64),
    Bytes(u64),
}

fn tail(context: &Context) -> Result<Option<Tail>, Failure> {
    let number = |name: &'static str| super::job_run::number_flag(context, name).map(|number| number.and_then(|n| u64::try_from(n).ok()));
    let (lines, bytes) = (number("n")?, number("c")?);
    if lines.is_some() && bytes.is_some() {
        return Err(Failure::usage("Both -n and -c are not allowed"));
    }
    if !context.flags.on("tail") && lines.is_none() && bytes.is_none() {
        return Ok(None);
    }
    Ok(Some(bytes.map_or(Tail::Lines(lines.unwrap_or(TAIL_LINES)), Tail::Bytes)))
}

fn from_end(query: Query, tail: Option<Tail>) -> Query {
    match tail {
        None => query,
        Some(Tail::Lines(lines)) => query.set("origin", "end").set("offset", lines.saturating_mul(LINE_GUESS)),
        Some(Tail::Bytes(bytes)) => query.set("origin", "end").set("offset", bytes),
    }
}

/// The allocation named by the first argument, or one of the job's.
async fn chosen(context: &Context, client: &Client, given: &str) -> Result<Allocation, Failure> {
    let stub = if context.flags.on("job") { of_job(context, client, given).await? } else { resolve::alloc(context, client, given).await? };
    Ok(super::alloc::read(client, &stub).await?.1)
}

/// A running allocation of a job, or its newest one.
pub(super) async fn of_job(context: &Context, client: &Client, given: &str) -> Result<AllocationListStub, Failure> {
    let found = resolve::job(context, client, given).await?;
    let path = format!("{}/allocations", found.path());
    let answer = client.get::<Vec<AllocationListStub>>(&path, &found.query()).await;
    let mut allocs = answer.attempt("Error querying job")?.value;
    let (group, task) = (context.flags.text("group"), context.flags.text("task"));
    allocs.retain(|alloc| group.is_none_or(|group| alloc.task_group == group));
    allocs.retain(|alloc| task.is_none_or(|task| alloc.task_states.as_ref().is_none_or(|states| states.contains_key(task))));
    super::alloc::newest_first(&mut allocs);
    let running = allocs.iter().position(|alloc| alloc.client_status == "running");
    if allocs.is_empty() {
        return Err(Failure::new(format!("No allocations for job {:?} match", found.id)));
    }
    Ok(allocs.swap_remove(running.unwrap_or(0)))
}

pub(super) fn chosen_task(alloc: &Allocation, given: Option<&str>) -> Result<String, Failure> {
    if let Some(task) = given {
        return Ok(task.to_owned());
    }
    let names = super::alloc::task_names(alloc);
    match names.as_slice() {
        [one] => Ok(one.clone()),
        _ => {
            let listed: Vec<String> = names.iter().map(|name| format!("  * {name}")).collect();
            Err(Failure::new(format!(
                "Failed to validate task: Allocation {:?} is running the following tasks:\n{}\n\nPlease specify the task.",
                short(&alloc.id, false),
                listed.join("\n")
            )))
        }
    }
}

pub(super) async fn logs(context: &mut Context) -> Outcome {
    let (given, task) = match context.arguments() {
        [alloc] => (alloc.clone(), context.flags.text("task").map(str::to_owned)),
        [alloc, task] => (alloc.clone(), Some(task.clone())),
        _ => return Err(Failure::usage("This command takes one or two arguments")),
    };
    let (out, error) = (context.flags.on("stdout"), context.flags.on("stderr"));
    if out && error {
        return Err(Failure::usage("Unable to support both stdout and stderr"));
    }
    let tail = tail(context)?;
    let client = context.client()?;
    let alloc = chosen(context, &client, &given).await?;
    let task = chosen_task(&alloc, task.as_deref())?;
    let context = &*context;
    let follow = context.flags.on("f");
    let stream = |kind: &'static str, to_error: bool, at_end: bool| {
        let (client, alloc, task) = (&client, &alloc, &task);
        async move {
            let mut query = Query::new().namespace(&alloc.namespace).set("task", task).set("type", kind).set("follow", follow);
            query = if at_end { query.set("origin", "end").set("offset", 0) } else { from_end(query, tail) };
            let path = format!("/v1/client/fs/logs/{}", segment(&alloc.id));
            let wrong = |error: SdkError| Failure::new(format!("Failed to read {kind} file: error reading file: {error}"));
            copy(context, client, &path, &query, tail.filter(|_| !at_end), to_error).await.map_err(wrong)
        }
    };
    let reading = async {
        if follow && !out && !error && tail.is_none() {
            let (one, two) = futures::join!(stream("stdout", false, true), stream("stderr", true, true));
            one.and(two)
        } else {
            stream(if error { "stderr" } else { "stdout" }, false, false).await
        }
    };
    super::until_interrupted(follow, reading).await
}

/// Copies the data of a frame stream to the output.
async fn copy(context: &Context, client: &Client, path: &str, query: &Query, tail: Option<Tail>, to_error: bool) -> Result<i32, SdkError> {
    let mut frames = Frames::new(client.stream(path, query).await?);
    let follow = context.flags.on("f");
    let write = |data: &[u8]| {
        if to_error {
            let text = String::from_utf8_lossy(data);
            context.ui.raw_error(context.ui.paint(Paint::Yellow, &text).as_bytes());
        } else {
            context.ui.raw(data);
        }
    };
    let mut held = tail.map(End::new);
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        let data = frame.data.map(|data| data.0).unwrap_or_default();
        match &mut held {
            // An empty frame says that the end was reached for now.
            Some(_) if follow && data.is_empty() => {
                if let Some(end) = held.take() {
                    write(&end.bytes());
                }
            }
            Some(end) => end.push(&data),
            None => write(&data),
        }
    }
    if let Some(end) = held {
        write(&end.bytes());
    }
    Ok(0)
}

/// Keeps the end of what is pushed.
struct End {
    wanted: Tail,
    bytes: VecDeque<u8>,
}

impl End {
    fn new(wanted: Tail) -> Self {
        Self { wanted, bytes: VecDeque::new() }
    }

    fn push(&mut self, data: &[u8]) {
        self.bytes.extend(data);
        if let Tail::Bytes(limit) = self.wanted {
            let excess = self.bytes.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
            self.bytes.drain(..excess);
        }
    }

    fn bytes(self) -> Vec<u8> {
        let bytes: Vec<u8> = self.bytes.into();
        let Tail::Lines(lines) = self.wanted else { return bytes };
        let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(position, _)| position + 1);
        let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
        let start = if wanted == 0 { bytes.len() } else { breaks.into_iter().nth(wanted - 1).unwrap_or(0) };
        bytes[start..].to_vec()
    }
}

pub(super) async fn fs(context: &mut Context) -> Outcome {
    let (given, path) = match context.arguments() {
        [alloc] => (alloc.clone(), "/".to_owned()),
        [alloc, path] => (alloc.clone(), path.clone()),
        _ => return Err(Failure::usage("This command takes one or two arguments: <allocation> [<path>]")),
    };
    let tail = tail(context)?;
    let client = context.client()?;
    let alloc = chosen(context, &client, &given).await?;
    let query = || Query::new().namespace(&alloc.namespace).set("path", &path);
    let route = |verb: &str| format!("/v1/client/fs/{verb}/{}", segment(&alloc.id));
    let plain = |error: SdkError| Failure::new(error.to_string());
    let file = client.get::<AllocFileInfo>(&route("stat"), &query()).await.map_err(plain)?.value;
    if context.flags.on("stat") {
        let rows = [
            row!["Mode", "Size", "Modified Time", "Content Type", "Name"],
            row![file.file_mode, size(context, &file), modified(context, &file), file.content_type, file.name],
        ];
        context.ui.output(table(&rows));
        return Ok(0);
    }
    if file.is_dir {
        let files = client.get::<Vec<AllocFileInfo>>(&route("ls"), &query()).await.map_err(plain)?.value;
        let mut rows = vec![row!["Mode", "Size", "Modified Time", "Name"]];
        for file in &files {
            let name = if file.is_dir { format!("{}/", file.name) } else { file.name.clone() };
            rows.push(row![file.file_mode, size(context, file), modified(context, file), name]);
        }
        context.ui.output(table(&rows));
        return Ok(0);
    }
    let context = &*context;
    let follow = context.flags.on("f");
    let reading = async {
        if follow || tail.is_some() {
            let query = from_end(query().set("follow", follow), tail);
            return copy(context, &client, &route("stream"), &query, tail, false).await.map_err(plain);
        }
        let mut body = client.stream(&route("cat"), &query()).await.map_err(plain)?;
        while let Some(chunk) = body.next().await {
            context.ui.raw(&chunk.map_err(plain)?);
        }
        Ok(0)
    };
    super::until_interrupted(follow, reading).await
}

fn size(context: &Context, file: &AllocFileInfo) -> String {
    let size = u64::try_from(file.size).unwrap_or(0);
    if context.flags.on("H") { size.to_string() } else { bytes(size) }
}

fn modified(context: &Context, file: &AllocFileInfo) -> String {
    parse_time(file.mod_time.as_deref()).map(|time| context.zone.time(time)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_counted_in_lines_or_bytes() {
        let end = |wanted, text: &str| {
            let mut end = End::new(wanted);
            text.as_bytes().chunks(3).for_each(|chunk| end.push(chunk));
            String::from_utf8(end.bytes()).unwrap()
        };
        assert_eq!(end(Tail::Lines(2), "a\nb\nc\nd\n"), "c\nd\n");
        assert_eq!(end(Tail::Lines(2), "a\nb\nc"), "b\nc");
        assert_eq!(end(Tail::Lines(9), "a\nb\n"), "a\nb\n");
        assert_eq!(end(Tail::Bytes(4), "line 13\nline 14\n"), " 14\n");
    }

    #[tokio::test]
    async fn frames_may_be_split_anywhere() {
        let text = br#"{"Data":"YQ==","File":"f"}{}{"Offset":1,"Data":"Yg=="}"#;
        let parts: Vec<_> = text.chunks(5).map(|part| Ok(bytes::Bytes::copy_from_slice(part))).collect();
        let mut frames = Frames::new(futures::stream::iter(parts));
        let mut data = Vec::new();
        while let Some(frame) = frames.next().await {
            data.push(frame.unwrap().data.map(|data| data.0).unwrap_or_default());
        }
        assert_eq!(data, [b"a".to_vec(), vec![], b"b".to_vec()]);
    }
}
