//! `job restart`: restarts or replaces the allocations of a job in batches.

use std::io::IsTerminal;
use std::time::Duration;

use drover_api::{AllocStopResponse, Allocation, AllocationListStub, AllocationRestartRequest};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::sdk::{Client, Query, segment};
use crate::text::{parse_duration, short};

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("all-tasks", "Restart tasks that have ended, too."),
    Flag::value("batch-size", "count|percent", "How many allocations are restarted at a time. Default 1."),
    Flag::value("batch-wait", "duration|ask", "The wait between batches. Default 0."),
    Flag::values("group", "name", "Only allocations of this group. May be repeated."),
    Flag::switch("no-shutdown-delay", "Skip the shutdown delays of groups and tasks."),
    Flag::value("on-error", "ask|fail", "What happens when an allocation cannot be restarted. Default ask."),
    Flag::switch("reschedule", "Replace allocations instead of restarting their tasks."),
    Flag::values("task", "name", "Only this task. May be repeated."),
    Flag::switch("yes", "Do not ask."),
    super::VERBOSE,
];

/// How long one request waits for a change.
const WAIT_STEP: Duration = Duration::from_secs(2);
/// How long an allocation may take to run again.
const RUNNING_MAX: Duration = Duration::from_secs(600);

/// How many are restarted at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchSize {
    Count(usize),
    Percent(usize),
}

impl BatchSize {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(digits) => digits.parse().ok().filter(|percent| (1..=100).contains(percent)).map(Self::Percent),
            None => text.parse().ok().filter(|count| *count > 0).map(Self::Count),
        }
    }

    fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (total * percent).div_ceil(100).max(1),
        }
    }
}

/// The wait between batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchWait {
    Time(Duration),
    Ask,
}

struct Plan {
    size: BatchSize,
    wait: BatchWait,
    asks_on_error: bool,
    groups: Vec<String>,
    tasks: Vec<String>,
    all_tasks: bool,
    reschedule: bool,
    no_shutdown_delay: bool,
}

fn plan(context: &Context) -> Result<Plan, Failure> {
    let flags = &context.flags;
    let asks = std::io::stdin().is_terminal() && !flags.on("yes");
    let size = flags.text("batch-size").unwrap_or("1");
    let wrong_size = || Failure::usage(format!("Invalid -batch-size value {size:?}: batch size must be an integer or a percentage"));
    let size = BatchSize::parse(size).ok_or_else(wrong_size)?;
    let not_here = |flag: &str, value: &str| {
        Failure::usage(format!("Invalid -{flag} value {value:?}: {value:?} cannot be used when terminal is not interactive"))
    };
    let wait = match flags.text("batch-wait").unwrap_or("0") {
        "ask" if !asks => return Err(not_here("batch-wait", "ask")),
        "ask" => BatchWait::Ask,
        "0" => BatchWait::Time(Duration::ZERO),
        text => {
            let wrong = || Failure::usage(format!("Invalid -batch-wait value {text:?}: must be a duration or \"ask\""));
            BatchWait::Time(Duration::from_nanos(parse_duration(text).ok_or_else(wrong)?))
        }
    };
    let asks_on_error = match flags.text("on-error") {
        Some("fail") => false,
        Some("ask") | None if asks => true,
        None if flags.on("yes") => false,
        Some("ask") | None => return Err(not_here("on-error", "ask")),
        Some(other) => return Err(Failure::usage(format!("Invalid -on-error value {other:?}: must be \"ask\" or \"fail\""))),
    };
    let plan = Plan {
        size,
        wait,
        asks_on_error,
        groups: flags.values("group").to_vec(),
        tasks: flags.values("task").to_vec(),
        all_tasks: flags.on("all-tasks"),
        reschedule: flags.on("reschedule"),
        no_shutdown_delay: flags.on("no-shutdown-delay"),
    };
    if plan.reschedule && (!plan.tasks.is_empty() || plan.all_tasks) {
        return Err(Failure::usage("The -reschedule option cannot be used with -task or -all-tasks"));
    }
    if plan.all_tasks && !plan.tasks.is_empty() {
        return Err(Failure::usage("The -all-tasks option cannot be used with -task"));
    }
    if plan.no_shutdown_delay && !plan.reschedule {
        return Err(Failure::usage("The -no-shutdown-delay option can only be used with -reschedule"));
    }
    Ok(plan)
}

fn line(context: &Context, text: &str) {
    context.ui.output(format!("    {}: {text}", context.zone.time(context.clock.now())));
}

fn head(context: &Context, text: &str) {
    context.ui.output(format!("==> {}: {text}", context.zone.time(context.clock.now())));
}

pub(super) async fn run(context: &mut Context) -> Outcome {
    let plan = plan(context)?;
    let given = context.one_argument("<job>")?;
    let client = context.client()?;
    let found = resolve::job(context, &client, &given).await?;
    if found.by_prefix && !context.flags.on("yes") && !asked(context, &format!("Are you sure you want to restart job {:?}?", found.id))? {
        return Ok(0);
    }
    let path = format!("{}/allocations", found.path());
    let allocs = client.get::<Vec<AllocationListStub>>(&path, &found.query()).await.attempt("Error retrieving allocations")?.value;
    let chosen = |alloc: &AllocationListStub| {
        let running = alloc.client_status == "running" && alloc.desired_status == "run";
        let group = plan.groups.is_empty() || plan.groups.contains(&alloc.task_group);
        let task = plan.tasks.is_empty() || alloc.task_states.iter().flatten().any(|(name, _)| plan.tasks.contains(name));
        running && group && task
    };
    let mut allocs: Vec<AllocationListStub> = allocs.into_iter().filter(chosen).collect();
    allocs.sort_by(|a, b| (&a.task_group, &a.name).cmp(&(&b.task_group, &b.name)));
    if allocs.is_empty() {
        context.ui.output("No allocations to restart");
        return Ok(0);
    }
    let count = allocs.len();
    head(context, &format!("Restarting {count} allocation{}", if count == 1 { "" } else { "s" }));
    let size = plan.size.of(count);
    let batches = allocs.chunks(size).count();
    for (number, batch) in allocs.chunks(size).enumerate() {
        if number > 0 && !between(context, &plan).await? {
            return Ok(0);
        }
        if size > 1 {
            head(context, &format!("Restarting {} batch of {} allocations", ordinal(number + 1, batches), batch.len()));
        }
        for result in futures::future::join_all(batch.iter().map(|alloc| one(context, &client, &plan, alloc))).await {
            let Err(failure) = result else { continue };
            context.ui.error(&failure.text);
            if !plan.asks_on_error || !asked(context, "There were errors; go on?")? {
                return Err(Failure::new("Job restart stopped after an error"));
            }
        }
    }
    head(context, "Job restart finished");
    context.ui.output("\nJob restarted successfully!");
    Ok(0)
}

fn ordinal(number: usize, of: usize) -> String {
    format!("{number}/{of}")
}

fn asked(context: &Context, question: &str) -> Result<bool, Failure> {
    let answer = context.ui.ask(&format!("{question} [y/N]")).map_err(|error| Failure::new(format!("Failed to parse answer: {error}")))?;
    Ok(answer.as_deref() == Some("y"))
}

/// Waits between two batches; false ends the restart.
async fn between(context: &Context, plan: &Plan) -> Result<bool, Failure> {
    match plan.wait {
        BatchWait::Time(wait) => {
            if !wait.is_zero() {
                head(
                    context,
                    &format!(
                        "Waiting {} before the next batch",
                        drover_base::time::go_duration(i64::try_from(wait.as_nanos()).unwrap_or(0))
                    ),
                );
                context.clock.sleep(wait).await;
            }
            Ok(true)
        }
        BatchWait::Ask => asked(context, "Restart the next batch?"),
    }
}

async fn one(context: &Context, client: &Client, plan: &Plan, alloc: &AllocationListStub) -> Result<(), Failure> {
    if plan.reschedule { replace(context, client, plan, alloc).await } else { restart(context, client, plan, alloc).await }
}

async fn restart(context: &Context, client: &Client, plan: &Plan, alloc: &AllocationListStub) -> Result<(), Failure> {
    let id = short(&alloc.id, context.verbose());
    let path = format!("/v1/client/allocation/{}/restart", segment(&alloc.id));
    let query = Query::new().namespace(&alloc.namespace);
    let tasks: Vec<String> = if plan.tasks.is_empty() { vec![String::new()] } else { plan.tasks.clone() };
    for task in tasks {
        let what = if task.is_empty() { String::new() } else { format!("task {task:?} of ") };
        line(context, &format!("Restarting {what}allocation {id:?} for group {:?}", alloc.task_group));
        let request = AllocationRestartRequest { task_name: task, all_tasks: plan.all_tasks };
        client.put::<_, Value>(&path, &query, &request).await.attempt(&format!("Error restarting allocation {id:?}"))?;
    }
    running(context, client, &alloc.id).await
}

async fn replace(context: &Context, client: &Client, plan: &Plan, alloc: &AllocationListStub) -> Result<(), Failure> {
    let id = short(&alloc.id, context.verbose()).to_owned();
    line(context, &format!("Rescheduling allocation {id:?} for group {:?}", alloc.task_group));
    let mut query = Query::new().namespace(&alloc.namespace).set("reschedule", true);
    if plan.no_shutdown_delay {
        query = query.set("no_shutdown_delay", true);
    }
    let path = format!("/v1/allocation/{}", segment(&alloc.id));
    let stopped = client.put::<_, AllocStopResponse>(&format!("{path}/stop"), &query, &Value::Null).await;
    stopped.attempt(&format!("Error rescheduling allocation {id:?}"))?;
    let found = until(context, client, &alloc.id, |alloc| !alloc.next_allocation.is_empty()).await;
    let Some(replaced) = found? else {
        return Err(Failure::new(format!("Allocation {id:?} was not replaced in time")));
    };
    let next = short(&replaced.next_allocation, context.verbose());
    line(context, &format!("Allocation {id:?} replaced by {next:?}, waiting for {next:?} to start running"));
    running(context, client, &replaced.next_allocation).await
}

async fn running(context: &Context, client: &Client, id: &str) -> Result<(), Failure> {
    let shown = short(id, context.verbose());
    let over = |alloc: &Allocation| matches!(alloc.client_status.as_str(), "running" | "complete" | "failed" | "lost");
    match until(context, client, id, over).await? {
        Some(alloc) if alloc.client_status == "running" => {
            line(context, &format!("Allocation {shown:?} is {:?}", alloc.client_status));
            Ok(())
        }
        Some(alloc) => Err(Failure::new(format!("Allocation {shown:?} is {:?}", alloc.client_status))),
        None => Err(Failure::new(format!("Allocation {shown:?} did not start to run in time"))),
    }
}

/// The allocation once it is as wanted; nothing when that takes too long.
async fn until(context: &Context, client: &Client, id: &str, wanted: impl Fn(&Allocation) -> bool) -> Result<Option<Allocation>, Failure> {
    let path = format!("/v1/allocation/{}", segment(id));
    let look = async {
        let mut index = 0;
        loop {
            let query = Query::new().blocking(index, WAIT_STEP);
            let answer = client.get::<Allocation>(&path, &query).await.attempt("Error retrieving allocation")?;
            if wanted(&answer.value) {
                return Ok(answer.value);
            }
            index = answer.meta.index;
        }
    };
    context.clock.timeout(RUNNING_MAX, look).await.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_count_or_a_share() {
        assert_eq!(BatchSize::parse("3").map(|size| size.of(10)), Some(3));
        assert_eq!(BatchSize::parse("25%").map(|size| size.of(10)), Some(3));
        assert_eq!(BatchSize::parse("1%").map(|size| size.of(10)), Some(1));
        for bad in ["zz", "0", "-1", "0%", "101%", "%"] {
            assert_eq!(BatchSize::parse(bad), None, "{bad}");
        }
    }
}
