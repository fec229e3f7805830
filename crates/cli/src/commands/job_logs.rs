//! `job logs`: what all tasks of a job write, each line with whose it is.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_api::{AllocationListStub, TaskState};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::sdk::{Client, Frames, Query, segment};
use crate::ui::Paint;

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("f", "Go on with what is written, by allocations to come, too."),
    Flag::value("task", "task", "Only this task."),
    Flag::value("group", "group", "Only tasks of this group."),
    Flag::switch("stdout", "Only standard output."),
    Flag::switch("stderr", "Only standard error."),
    super::VERBOSE,
];

/// Colours of prefixes, one allocation and task after the other.
const COLOURS: [Paint; 5] = [Paint::Blue, Paint::Magenta, Paint::Green, Paint::Yellow, Paint::Cyan];
/// The longest line that is held until it ends.
const LINE_MAX: usize = 64 << 10;
/// How long one question about new allocations is held.
const WAIT: Duration = Duration::from_secs(60);

/// One output of one task.
struct Source {
    alloc: String,
    namespace: String,
    task: String,
    kind: &'static str,
    prefix: String,
}

async fn follow_one(context: &Context, client: &Client, source: Source) -> Result<(), Failure> {
    let query = Query::new().namespace(&source.namespace).set("task", &source.task).set("type", source.kind);
    let query = query.set("follow", context.flags.on("f"));
    let path = format!("/v1/client/fs/logs/{}", segment(&source.alloc));
    let wrong = |error: crate::sdk::SdkError| Failure::new(format!("Failed to read {} of {}: {error}", source.kind, source.prefix.trim()));
    let mut frames = match client.stream(&path, &query).await {
        Ok(stream) => Frames::new(stream),
        // A task that has not written yet has no log.
        Err(error) if error.is_code(404) => return Ok(()),
        Err(error) => return Err(wrong(error)),
    };
    let mut line = Vec::new();
    let show = |line: &[u8]| {
        let text = format!("{} {}\n", source.prefix, String::from_utf8_lossy(line));
        if source.kind == "stderr" { context.ui.raw_error(text.as_bytes()) } else { context.ui.raw(text.as_bytes()) }
    };
    while let Some(frame) = frames.next().await {
        for byte in frame.map_err(wrong)?.data.map(|data| data.0).unwrap_or_default() {
            if byte == b'\n' || line.len() >= LINE_MAX {
                show(&line);
                line.clear();
            }
            if byte != b'\n' {
                line.push(byte);
            }
        }
    }
    if !line.is_empty() {
        show(&line);
    }
    Ok(())
}

pub(super) async fn logs(context: &mut Context) -> Outcome {
    let given = context.one_argument("<job>")?;
    let client = context.client()?;
    let job = resolve::job(context, &client, &given).await?;
    let context = &*context;
    let follow = context.flags.on("f");
    let reading = async {
        let (mut seen, mut index, mut colour) = (BTreeSet::new(), 0, 0);
        let mut running = FuturesUnordered::new();
        loop {
            let path = format!("{}/allocations", job.path());
            let query = job.query().blocking(index, WAIT);
            let asked = client.get::<Vec<AllocationListStub>>(&path, &query);
            let answer = if running.is_empty() {
                Some(asked.await)
            } else {
                tokio::select! {
                    answer = asked => Some(answer),
                    Some(ended) = running.next() => { let ended: Result<(), Failure> = ended; ended?; None }
                }
            };
            let Some(answer) = answer else { continue };
            let answer = answer.attempt("Error retrieving allocations")?;
            index = answer.meta.index;
            for stub in &answer.value {
                if context.flags.text("group").is_some_and(|group| group != stub.task_group) {
                    continue;
                }
                // An allocation runs when its first task does; the others are followed once they have begun.
                let has_begun = |state: &TaskState| state.started_at.is_some() || state.state != "pending";
                let begun = stub.task_states.iter().flatten().filter(|(_, state)| state.as_ref().is_some_and(has_begun));
                for task in begun.map(|(name, _)| name) {
                    if context.flags.text("task").is_some_and(|wanted| wanted != task) || !seen.insert((stub.id.clone(), task.clone())) {
                        continue;
                    }
                    let paint = COLOURS[colour % COLOURS.len()];
                    colour += 1;
                    let id = crate::text::short(&stub.id, context.verbose());
                    let prefix = context.ui.paint(paint, &format!("{id} {task} |"));
                    for kind in ["stdout", "stderr"] {
                        let other = if kind == "stdout" { "stderr" } else { "stdout" };
                        if context.flags.on(other) && !context.flags.on(kind) {
                            continue;
                        }
                        let source = Source {
                            alloc: stub.id.clone(),
                            namespace: stub.namespace.clone(),
                            task: task.clone(),
                            kind,
                            prefix: prefix.clone(),
                        };
                        running.push(follow_one(context, &client, source));
                    }
                }
            }
            if !follow {
                if seen.is_empty() {
                    return Err(Failure::new(format!("No allocation of job {:?} has started", job.id)));
                }
                while let Some(ended) = running.next().await {
                    ended?;
                }
                return Ok(0);
            }
        }
    };
    super::until_interrupted(follow, reading).await
}
