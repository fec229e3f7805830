//! Following what a command set in motion: an evaluation to its end, then the deployment it belongs to.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_api::{AllocationListStub, Deployment, DeploymentState, Evaluation};
use drover_base::WallTime;
use futures::future::BoxFuture;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::placement;
use crate::row;
use crate::sdk::{Client, Query, SdkError, segment};
use crate::text::{pairs, parse_time, short, table};

/// How long one blocking read of an evaluation may take.
const EVAL_WAIT: Duration = Duration::from_secs(1);
/// How long one blocking read of a deployment may take.
const DEPLOYMENT_WAIT: Duration = Duration::from_secs(2);
/// How often a failed read is tried again.
const RETRIES: u32 = 10;
/// The longest pause before trying again.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(12);
/// How often the display of a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How long a rollback may take to show up after a deployment failed.
const ROLLBACK_PAUSE: Duration = Duration::from_secs(1);

/// All placed, and the deployment successful.
const DONE: i32 = 0;
/// Anything else that went wrong.
const FAILED: i32 = 1;
/// Some allocations could not be placed.
const UNPLACED: i32 = 2;

/// What was seen of an evaluation so far.
#[derive(Default)]
struct Seen {
    triggered: bool,
    deployment: String,
    status: String,
    allocs: BTreeMap<String, String>,
}

struct Follower<'a> {
    context: &'a Context,
    client: &'a Client,
}

/// Follows an evaluation, the ones after it, and the deployment; returns the exit code.
///
/// # Errors
/// When the evaluation cannot be read.
pub async fn evaluation(context: &Context, client: &Client, eval_id: &str) -> Outcome {
    let follower = Follower { context, client };
    let mut next = eval_id.to_owned();
    loop {
        match follower.one_evaluation(&next).await? {
            Step::Next(id) => next = id,
            Step::Exit(code) => return Ok(code),
        }
    }
}

enum Step {
    Next(String),
    Exit(i32),
}

impl Follower<'_> {
    fn now(&self) -> String {
        self.context.zone.time(self.context.clock.now())
    }

    fn heading(&self, text: &str) {
        self.context.ui.output(format!("==> {}: {text}", self.now()));
    }

    fn detail(&self, text: &str) {
        self.context.ui.output(format!("    {}: {text}", self.now()));
    }

    fn short<'b>(&self, id: &'b str) -> &'b str {
        short(id, self.context.verbose())
    }

    async fn one_evaluation(&self, eval_id: &str) -> Result<Step, Failure> {
        self.heading(&format!("Monitoring evaluation {:?}", self.short(eval_id)));
        let path = format!("/v1/evaluation/{}", segment(eval_id));
        let mut seen = Seen { status: "pending".to_owned(), ..Seen::default() };
        let mut index = 0;
        let eval = loop {
            let query = Query::new().blocking(index, EVAL_WAIT);
            let answer = self.client.get::<Evaluation>(&path, &query).await;
            let answer = answer.attempt("Error reading evaluation")?;
            let eval = answer.value;
            let allocs_path = format!("{path}/allocations");
            let allocs = self.client.get::<Vec<AllocationListStub>>(&allocs_path, &Query::new()).await;
            let allocs = allocs.attempt("Error reading allocations")?.value;
            self.report(&mut seen, &eval, &allocs);
            if matches!(eval.status.as_str(), "complete" | "failed" | "canceled") {
                break eval;
            }
            index = answer.meta.index;
            if index == 0 {
                self.context.clock.sleep(EVAL_WAIT).await;
            }
        };
        let code = self.finished(&eval);
        if !eval.next_eval.is_empty() {
            let wait = parse_time(eval.wait_until.as_deref()).map(|until| until.since(self.context.clock.now()));
            let wait = wait.unwrap_or_default();
            let when = if wait.is_zero() { String::new() } else { format!(" in {}", crate::text::duration(nanoseconds(wait))) };
            self.heading(&format!("Monitoring next evaluation {:?}{when}", self.short(&eval.next_eval)));
            self.context.clock.sleep(wait).await;
            return Ok(Step::Next(eval.next_eval));
        }
        if eval.deployment_id.is_empty() {
            return Ok(Step::Exit(code));
        }
        self.heading(&format!("Monitoring deployment {:?}", self.short(&eval.deployment_id)));
        let outcome = deployment(self.context, self.client, &eval.deployment_id, DEPLOYMENT_WAIT, self.context.verbose()).await?;
        Ok(Step::Exit(if outcome == "successful" { DONE } else { FAILED }))
    }

    fn report(&self, seen: &mut Seen, eval: &Evaluation, allocs: &[AllocationListStub]) {
        if !seen.triggered {
            seen.triggered = true;
            let cause =
                if eval.node_id.is_empty() { format!("job {:?}", eval.job_id) } else { format!("node {:?}", self.short(&eval.node_id)) };
            self.detail(&format!("Evaluation triggered by {cause}"));
        }
        if seen.deployment.is_empty() && !eval.deployment_id.is_empty() {
            seen.deployment.clone_from(&eval.deployment_id);
            self.detail(&format!("Evaluation within deployment: {:?}", self.short(&eval.deployment_id)));
        }
        for alloc in allocs {
            match seen.allocs.insert(alloc.id.clone(), alloc.client_status.clone()) {
                None => {
                    let verb = if alloc.create_index < eval.create_index { "modified" } else { "created" };
                    let (id, node) = (self.short(&alloc.id), self.short(&alloc.node_id));
                    self.detail(&format!("Allocation {id:?} {verb}: node {node:?}, group {:?}", alloc.task_group));
                }
                Some(before) if before != alloc.client_status => {
                    let description = match alloc.client_description.as_str() {
                        "" => String::new(),
                        text => format!(" ({text})"),
                    };
                    let (id, after) = (self.short(&alloc.id), &alloc.client_status);
                    self.detail(&format!("Allocation {id:?} status changed: {before:?} -> {after:?}{description}"));
                }
                Some(_) => {}
            }
        }
        if seen.status != eval.status {
            self.detail(&format!("Evaluation status changed: {:?} -> {:?}", seen.status, eval.status));
            seen.status.clone_from(&eval.status);
        }
    }

    fn finished(&self, eval: &Evaluation) -> i32 {
        let id = self.short(&eval.id);
        let failed = eval.failed_tg_allocs.as_ref().filter(|failed| !failed.is_empty());
        let Some(failed) = failed else {
            self.heading(&format!("Evaluation {id:?} finished with status {:?}", eval.status));
            if eval.status == "failed" && !eval.status_description.is_empty() {
                self.detail(&eval.status_description);
            }
            return if eval.status == "complete" { DONE } else { FAILED };
        };
        let status = &eval.status;
        self.heading(&format!("Evaluation {id:?} finished with status {status:?} but failed to place all allocations:"));
        for (group, metric) in failed {
            let Some(metric) = metric else { continue };
            self.detail(&placement::heading(group, metric));
            for line in placement::reasons(&self.context.ui, metric, "  ") {
                self.context.ui.output(format!("    {line}"));
            }
        }
        if !eval.blocked_eval.is_empty() {
            let blocked = self.short(&eval.blocked_eval);
            self.detail(&format!("Evaluation {blocked:?} waiting for additional capacity to place remainder"));
        }
        UNPLACED
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Follows a deployment to its end and through the rollback it may cause; returns its own last status.
///
/// # Errors
/// When it cannot be read, after several attempts.
pub fn deployment<'a>(
    context: &'a Context,
    client: &'a Client,
    id: &'a str,
    wait: Duration,
    verbose: bool,
) -> BoxFuture<'a, Result<String, Failure>> {
    Box::pin(async move {
        let last = follow_deployment(context, client, id, wait, verbose).await?;
        let reverts = last.task_groups.iter().flatten().any(|(_, group)| group.as_ref().is_some_and(|group| group.auto_revert));
        if last.status == "failed" && reverts && last.status_description.contains("rolling back") {
            context.clock.sleep(ROLLBACK_PAUSE).await;
            let path = format!("/v1/job/{}/deployment", segment(&last.job_id));
            let query = Query::new().namespace(&last.namespace);
            let newest = client.get::<Option<Deployment>>(&path, &query).await.attempt("Error fetching rollback deployment")?;
            if let Some(rollback) = newest.value.filter(|newest| newest.id != last.id) {
                context.ui.output("");
                deployment(context, client, &rollback.id, wait, verbose).await?;
            }
        }
        Ok(last.status)
    })
}

async fn follow_deployment(context: &Context, client: &Client, id: &str, wait: Duration, verbose: bool) -> Result<Deployment, Failure> {
    let path = format!("/v1/deployment/{}", segment(id));
    let live = context.environment.stdout_terminal;
    let mut display = Display { lines: 0, frame: 0 };
    let mut index = 0;
    let mut shown = String::new();
    let mut current: Option<(Deployment, String)> = None;
    loop {
        let query = Query::new().blocking(index, wait);
        let read = read_deployment(context, client, &path, &query);
        let answer = if live {
            let mut read = std::pin::pin!(read);
            loop {
                tokio::select! {
                    answer = &mut read => break answer,
                    () = context.clock.sleep(REDRAW) => {
                        if let Some((deployment, block)) = &current {
                            display.redraw(context, deployment, block);
                        }
                    }
                }
            }
        } else {
            read.await
        };
        let answer = answer.attempt("Error fetching deployment")?;
        index = answer.meta.index;
        let deployment = answer.value;
        let block = view(context, &deployment, verbose);
        let allocs = if verbose { deployment_allocs(context, client, &deployment).await } else { String::new() };
        let block = format!("{block}{allocs}");
        if live {
            display.redraw(context, &deployment, &block);
        } else if block != shown {
            context.ui.output(format!("    \n{}\n{block}", context.zone.time(context.clock.now())));
            shown.clone_from(&block);
        }
        if matches!(deployment.status.as_str(), "successful" | "failed" | "cancelled" | "blocked") {
            return Ok(deployment);
        }
        if index == 0 {
            context.clock.sleep(wait).await;
        }
        current = Some((deployment, block));
    }
}

async fn read_deployment(
    context: &Context,
    client: &Client,
    path: &str,
    query: &Query,
) -> Result<crate::sdk::Answer<Deployment>, SdkError> {
    let mut pause = Duration::from_secs(1);
    for _ in 0..RETRIES {
        match client.get::<Deployment>(path, query).await {
            Err(SdkError::Transport { .. }) => {
                context.clock.sleep(pause).await;
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
            other => return other,
        }
    }
    client.get::<Deployment>(path, query).await
}

async fn deployment_allocs(context: &Context, client: &Client, deployment: &Deployment) -> String {
    let path = format!("/v1/deployment/allocations/{}", segment(&deployment.id));
    match client.get::<Vec<AllocationListStub>>(&path, &Query::new()).await {
        Ok(answer) if !answer.value.is_empty() => {
            format!("\n\n{}\n{}", context.title("Allocations"), crate::commands::alloc::list(context, &answer.value, true))
        }
        _ => String::new(),
    }
}

/// A block that is drawn over itself on a terminal.
struct Display {
    lines: usize,
    frame: usize,
}

impl Display {
    fn redraw(&mut self, context: &Context, deployment: &Deployment, block: &str) {
        const FRAMES: [&str; 8] = ["⠋", "⠙", "⠹", "⠸", "⠴", "⠦", "⠧", "⠇"];
        let mark = match deployment.status.as_str() {
            "successful" => "✓",
            "failed" | "cancelled" | "blocked" => "!",
            _ => FRAMES[self.frame % FRAMES.len()],
        };
        self.frame += 1;
        let head = if deployment.status == "running" { "in progress..." } else { deployment.status.as_str() };
        let text = format!(
            "  {mark} Deployment {:?} {head}\n\n{}\n{block}\n",
            short(&deployment.id, context.verbose()),
            context.zone.time(context.clock.now()),
        );
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        let back = if self.lines > 0 { format!("\x1b[{}A\x1b[J", self.lines) } else { String::new() };
        self.lines = indented.lines().count();
        context.ui.raw(format!("{back}{indented}").as_bytes());
    }
}

/// A deployment as a block of text.
pub fn view(context: &Context, deployment: &Deployment, verbose: bool) -> String {
    let mut out = pairs(&[
        ("ID", short(&deployment.id, verbose)),
        ("Job ID", &deployment.job_id),
        ("Job Version", &deployment.job_version.to_string()),
        ("Status", &deployment.status),
        ("Description", &deployment.status_description),
    ]);
    if let Some(groups) = group_table(context, deployment) {
        out.push_str(&format!("\n\n{}\n{groups}", context.title("Deployed")));
    }
    out
}

/// The groups of a deployment, `None` if it has none. Columns that say nothing for every group are left out.
pub fn group_table(context: &Context, deployment: &Deployment) -> Option<String> {
    let groups: Vec<(&String, &DeploymentState)> =
        deployment.task_groups.iter().flatten().filter_map(|(name, group)| Some((name, group.as_ref()?))).collect();
    if groups.is_empty() {
        return None;
    }
    let reverts = groups.iter().any(|(_, group)| group.auto_revert);
    let canaries = groups.iter().any(|(_, group)| group.desired_canaries > 0);
    let deadlines = groups.iter().any(|(_, group)| group.progress_deadline != 0);
    let mut head = row!["Task Group"];
    if reverts {
        head.push("Auto Revert".to_owned());
    }
    if canaries {
        head.push("Promoted".to_owned());
    }
    head.push("Desired".to_owned());
    if canaries {
        head.push("Canaries".to_owned());
    }
    head.extend(row!["Placed", "Healthy", "Unhealthy"]);
    if deadlines {
        head.push("Progress Deadline".to_owned());
    }
    let mut rows = vec![head];
    for (name, group) in groups {
        let mut row = row![name];
        if reverts {
            row.push(group.auto_revert.to_string());
        }
        let canary = |text: String| if group.desired_canaries > 0 { text } else { "N/A".to_owned() };
        if canaries {
            row.push(canary(group.promoted.to_string()));
        }
        row.push(group.desired_total.to_string());
        if canaries {
            row.push(canary(group.desired_canaries.to_string()));
        }
        row.extend(row![group.placed_allocs, group.healthy_allocs, group.unhealthy_allocs]);
        if deadlines {
            let deadline = parse_time(group.require_progress_by.as_deref());
            row.push(deadline.map_or("N/A".to_owned(), |deadline: WallTime| context.zone.time(deadline)));
        }
        rows.push(row);
    }
    Some(table(&rows))
}
