//! `alloc status` and the table of allocations that other commands show, too.

use std::collections::BTreeMap;

use drover_api::{AllocCheckStatus, AllocResourceUsage, Allocation, AllocationListStub, NetworkResource, Task, TaskGroup, TaskState};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::resolve;
use crate::row;
use crate::sdk::{Client, Query, segment};
use crate::text::{bytes, duration, mebibytes, pairs, parse_time, short, table, table_with_blanks};
use crate::whole::{ALLOCATION, completed};

pub(super) const FLAGS: &[Flag] = &[
    Flag::switch("short", "Show the allocation's and its tasks' states only."),
    Flag::switch("stats", "Show detailed use of resources."),
    Flag::switch("ui", ""),
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
];

/// Sorts for showing: newest first.
pub(crate) fn newest_first(allocs: &mut [AllocationListStub]) {
    allocs.sort_by(|left, right| right.create_index.cmp(&left.create_index).then_with(|| left.id.cmp(&right.id)));
}

/// The table of allocations. The verbose form has the node's name if `named`.
pub(crate) fn list(context: &Context, allocs: &[AllocationListStub], named: bool) -> String {
    let verbose = context.verbose();
    let mut head = row!["ID"];
    if verbose {
        head.push("Eval ID".to_owned());
    }
    head.push("Node ID".to_owned());
    if verbose && named {
        head.push("Node Name".to_owned());
    }
    head.extend(row!["Task Group", "Version", "Desired", "Status", "Created", "Modified"]);
    let mut rows = vec![head];
    for alloc in allocs {
        let mut row = row![short(&alloc.id, verbose)];
        if verbose {
            row.push(alloc.eval_id.clone());
        }
        row.push(short(&alloc.node_id, verbose).to_owned());
        if verbose && named {
            row.push(alloc.node_name.clone());
        }
        row.extend(row![
            alloc.task_group,
            alloc.job_version,
            alloc.desired_status,
            alloc.client_status,
            context.when(alloc.create_time),
            context.when(alloc.modify_time)
        ]);
        rows.push(row);
    }
    table(&rows)
}

pub(super) async fn run(context: &mut Context) -> Outcome {
    match context.arguments() {
        [] if context.formatted() => {
            let client = context.client()?;
            let allocs = client.get::<Value>("/v1/allocations", &Query::new()).await;
            let allocs = allocs.attempt("Error querying allocations")?.value;
            context.print_formatted(&allocs)
        }
        [id] => {
            let client = context.client()?;
            one(context, &client, id).await
        }
        _ => Err(Failure::usage(
            "This command takes one of the following argument conditions:\n * A single <allocation>\n * No arguments, with output format specified",
        )),
    }
}

async fn one(context: &Context, client: &Client, id: &str) -> Outcome {
    let stub = match resolve::alloc(context, client, id).await {
        Ok(stub) => stub,
        // Several candidates are an answer here, not an error.
        Err(failure) if failure.text.starts_with("Prefix matched multiple allocations") => {
            context.ui.output(failure.text);
            return Ok(0);
        }
        Err(failure) => return Err(failure),
    };
    let (raw, alloc) = read(client, &stub).await?;
    if context.formatted() {
        return context.print_formatted(&completed(raw, ALLOCATION));
    }
    let query = Query::new().namespace(&alloc.namespace);
    let path = format!("/v1/client/allocation/{}", segment(&alloc.id));
    let running = alloc.client_status == "running";
    let stats = if running {
        client.get::<AllocResourceUsage>(&format!("{path}/stats"), &query).await.ok().map(|answer| answer.value)
    } else {
        None
    };
    let page = format!("allocations/{}", alloc.id);
    if context.flags.on("short") {
        brief(context, &alloc);
    } else {
        let checks = if running {
            client.get::<Option<BTreeMap<String, AllocCheckStatus>>>(&format!("{path}/checks"), &query).await
        } else {
            Ok(crate::sdk::Answer { value: None, meta: crate::sdk::Meta::default() })
        };
        context.ui.output(header(context, &alloc));
        super::why(context, alloc.why.as_ref());
        if let Some(addresses) = addresses(&alloc) {
            context.ui.output(format!("\n{addresses}"));
        }
        let checks = checks.ok().and_then(|answer| answer.value).unwrap_or_default();
        if let Some(checks) = checks_table(context, &checks) {
            context.ui.output(format!("\n{checks}"));
        }
        tasks(context, &alloc, stats.as_ref());
        if context.verbose() {
            scores(context, &alloc);
        }
    }
    context.hint(client, "View allocation details", &page).await;
    Ok(0)
}

/// An allocation in full, as sent and as understood.
pub(super) async fn read(client: &Client, stub: &AllocationListStub) -> Result<(Value, Allocation), Failure> {
    let path = format!("/v1/allocation/{}", segment(&stub.id));
    let query = Query::new().namespace(&stub.namespace);
    let raw = client.get::<Value>(&path, &query).await.attempt("Error querying allocation")?.value;
    let alloc = serde_json::from_value(raw.clone()).map_err(|error| Failure::new(format!("Error querying allocation: {error}")))?;
    Ok((raw, alloc))
}

/// The group that an allocation runs, from the job it carries.
pub(super) fn group(alloc: &Allocation) -> Option<&TaskGroup> {
    let groups = alloc.job.as_ref()?.task_groups.as_ref()?;
    groups.iter().find(|group| group.name.as_deref() == Some(alloc.task_group.as_str()))
}

/// The names of an allocation's tasks in the order of the job file.
pub(super) fn task_names(alloc: &Allocation) -> Vec<String> {
    match group(alloc).and_then(|group| group.tasks.as_ref()) {
        Some(tasks) => tasks.iter().map(|task| task.name.clone()).collect(),
        None => alloc.task_states.iter().flatten().map(|(name, _)| name.clone()).collect(),
    }
}

fn header(context: &Context, alloc: &Allocation) -> String {
    let verbose = context.verbose();
    let id = |id: &str| short(id, verbose).to_owned();
    let version = alloc.job.as_ref().and_then(|job| job.version).unwrap_or(0);
    let mut rows = vec![
        ("ID", alloc.id.clone()),
        ("Eval ID", id(&alloc.eval_id)),
        ("Name", alloc.name.clone()),
        ("Node ID", id(&alloc.node_id)),
        ("Node Name", alloc.node_name.clone()),
        ("Job ID", alloc.job_id.clone()),
        ("Job Version", version.to_string()),
        ("Client Status", alloc.client_status.clone()),
        ("Client Description", alloc.client_description.clone()),
        ("Desired Status", alloc.desired_status.clone()),
        ("Desired Description", alloc.desired_description.clone()),
        ("Created", context.when(alloc.create_time)),
        ("Modified", context.when(alloc.modify_time)),
    ];
    if !alloc.deployment_id.is_empty() {
        let health = alloc.deployment_status.as_ref();
        rows.push(("Deployment ID", id(&alloc.deployment_id)));
        rows.push((
            "Deployment Health",
            match health.and_then(|health| health.healthy) {
                Some(true) => "healthy".to_owned(),
                Some(false) => "unhealthy".to_owned(),
                None => "unset".to_owned(),
            },
        ));
        if health.is_some_and(|health| health.canary) {
            rows.push(("Canary", "true".to_owned()));
        }
    }
    if let Some((done, allowed)) = reschedules(context, alloc) {
        rows.push(("Reschedule Attempts", format!("{done}/{allowed}")));
    }
    if !alloc.next_allocation.is_empty() {
        rows.push(("Replacement Alloc ID", id(&alloc.next_allocation)));
    }
    if !alloc.followup_eval_id.is_empty() && alloc.next_allocation.is_empty() {
        rows.push(("Follow Up Eval ID", id(&alloc.followup_eval_id)));
    }
    if let Some(metrics) = alloc.metrics.as_ref().filter(|_| verbose) {
        rows.push(("Evaluated Nodes", metrics.nodes_evaluated.to_string()));
        rows.push(("Filtered Nodes", metrics.nodes_filtered.to_string()));
        rows.push(("Exhausted Nodes", metrics.nodes_exhausted.to_string()));
        rows.push(("Allocation Time", duration(metrics.allocation_time)));
        rows.push(("Failures", metrics.coalesced_failures.to_string()));
    }
    pairs(&rows)
}

/// Attempts within the policy's interval, and how many it allows; `None` where nothing was rescheduled or is unlimited.
fn reschedules(context: &Context, alloc: &Allocation) -> Option<(usize, i64)> {
    let policy = group(alloc)?.reschedule_policy.as_ref()?;
    let events = alloc.reschedule_tracker.as_ref()?.events.as_ref()?;
    if policy.unlimited.unwrap_or(false) || policy.attempts.unwrap_or(0) == 0 {
        return None;
    }
    let since = context.clock.now().0 - policy.interval.unwrap_or(0);
    Some((events.iter().filter(|event| event.reschedule_time > since).count(), policy.attempts?))
}

fn addresses(alloc: &Allocation) -> Option<String> {
    let resources = alloc.allocated_resources.as_ref()?;
    let ports = resources.shared.ports.as_ref().filter(|ports| !ports.is_empty())?;
    let networks = group(alloc).and_then(|group| group.networks.as_ref());
    let dynamic =
        |label: &str| networks.into_iter().flatten().any(|network| network.dynamic_ports.iter().flatten().any(|port| port.label == label));
    let mode = resources.shared.networks.iter().flatten().map(|network| network.mode.as_str()).next().unwrap_or("");
    let title = match mode {
        "" | "host" => "Allocation Addresses:".to_owned(),
        mode => format!("Allocation Addresses (mode = {mode:?}):"),
    };
    let mut rows = vec![row!["Label", "Dynamic", "Address"]];
    for port in ports {
        let to = if port.to > 0 { format!(" -> {}", port.to) } else { String::new() };
        let yes = if dynamic(&port.label) { "yes" } else { "no" };
        rows.push(row![format!("*{}", port.label), yes, format!("{}:{}{to}", bracketed(&port.host_ip), port.value)]);
    }
    Some(format!("{title}\n{}", table(&rows)))
}

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn checks_table(context: &Context, checks: &BTreeMap<String, AllocCheckStatus>) -> Option<String> {
    if checks.is_empty() {
        return None;
    }
    let mut rows = vec![row!["Service", "Task", "Name", "Mode", "Status"]];
    let mut sorted: Vec<&AllocCheckStatus> = checks.values().collect();
    sorted.sort_by(|left, right| (&left.service, &left.check).cmp(&(&right.service, &right.check)));
    for check in sorted {
        rows.push(row![check.service, task_of(check), check.check, check.mode, check.status]);
    }
    Some(format!("{}\n{}", context.title("Nomad Service Checks:"), table(&rows)))
}

/// The task of a check, or a word for the group.
pub(super) fn task_of(check: &AllocCheckStatus) -> &str {
    if check.task.is_empty() { "(group)" } else { &check.task }
}

fn lifecycle(task: Option<&Task>) -> String {
    match task.and_then(|task| task.lifecycle.as_ref()).filter(|lifecycle| !lifecycle.hook.is_empty()) {
        None => "main".to_owned(),
        Some(lifecycle) if lifecycle.sidecar => format!("{} sidecar", lifecycle.hook),
        Some(lifecycle) => lifecycle.hook.clone(),
    }
}

fn find_task<'a>(alloc: &'a Allocation, name: &str) -> Option<&'a Task> {
    group(alloc)?.tasks.as_ref()?.iter().find(|task| task.name == name)
}

fn brief(context: &Context, alloc: &Allocation) {
    let rows = [
        ("ID", alloc.id.clone()),
        ("Name", alloc.name.clone()),
        ("Created", context.when(alloc.create_time)),
        ("Modified", context.when(alloc.modify_time)),
    ];
    context.ui.output(pairs(&rows));
    let mut rows = vec![row!["Name", "State", "Last Event", "Time", "Lifecycle"]];
    for (name, state) in alloc.task_states.iter().flatten() {
        let Some(state) = state else { continue };
        let last = state.events.iter().flatten().last();
        let (kind, time) = last.map_or(("", 0), |event| (event.r#type.as_str(), event.time));
        rows.push(row![name, state.state, kind, context.zone.nanoseconds(time), lifecycle(find_task(alloc, name))]);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Tasks"), table(&rows)));
}

fn tasks(context: &Context, alloc: &Allocation, stats: Option<&AllocResourceUsage>) {
    for (name, state) in alloc.task_states.iter().flatten() {
        let Some(state) = state else { continue };
        let role = match lifecycle(find_task(alloc, name)).as_str() {
            "main" => String::new(),
            role => format!(" ({role})"),
        };
        context.ui.output(format!("\n{}", context.title(&format!("Task {name:?}{role} is {:?}", state.state))));
        context.ui.output(format!("Task Resources:\n{}", resources(alloc, name, stats)));
        if context.flags.on("stats")
            && let Some(usage) = stats.and_then(|stats| stats.tasks.as_ref()?.get(name)?.as_ref()?.resource_usage.as_ref())
        {
            let memory = usage.memory_stats.clone().unwrap_or_default();
            let cpu = usage.cpu_stats.clone().unwrap_or_default();
            let rows = [row!["RSS", "Swap"], row![bytes(memory.rss), bytes(memory.swap)]];
            context.ui.output(format!("\nMemory Stats\n{}", table(&rows)));
            let percent = |value: f64| format!("{value:.2}%");
            let rows =
                [row!["Percent", "System Mode", "User Mode"], row![percent(cpu.percent), percent(cpu.system_mode), percent(cpu.user_mode)]];
            context.ui.output(format!("\nCPU Stats\n{}", table(&rows)));
        }
        context.ui.output(format!("\n{}", events(context, state)));
    }
}

fn resources(alloc: &Allocation, name: &str, stats: Option<&AllocResourceUsage>) -> String {
    let allocated = alloc.allocated_resources.as_ref();
    let own = allocated.and_then(|allocated| allocated.tasks.as_ref()?.get(name)?.as_ref());
    let usage = stats.and_then(|stats| stats.tasks.as_ref()?.get(name)?.as_ref()?.resource_usage.as_ref());
    let (cpu, memory, ceiling) = own.map_or((0, 0, 0), |own| (own.cpu.cpu_shares, own.memory.memory_mb, own.memory.memory_max_mb));
    let disk = allocated.map_or(0, |allocated| allocated.shared.disk_mb);
    let cpu = match usage.and_then(|usage| usage.cpu_stats.as_ref()) {
        Some(used) => format!("{:.0}/{cpu} MHz", used.total_ticks.floor()),
        None => format!("{cpu} MHz"),
    };
    let limit = mebibytes(memory);
    let mut memory = match usage.and_then(|usage| usage.memory_stats.as_ref()) {
        Some(used) => format!("{}/{limit}", bytes(if used.rss > 0 { used.rss } else { used.usage })),
        None => limit,
    };
    if ceiling > 0 {
        memory.push_str(&format!("\u{20}Max: {}", mebibytes(ceiling)));
    }
    let addresses: Vec<String> = own.and_then(|own| own.networks.as_ref()).into_iter().flatten().flat_map(ports).collect();
    let mut rows = vec![row!["CPU", "Memory", "Disk", "Addresses"]];
    rows.push(row![cpu, memory, mebibytes(disk), addresses.first().cloned().unwrap_or_default()]);
    rows.extend(addresses.iter().skip(1).map(|address| row!["", "", "", address]));
    table_with_blanks(&rows)
}

fn ports(network: &NetworkResource) -> Vec<String> {
    let all = network.dynamic_ports.iter().flatten().chain(network.reserved_ports.iter().flatten());
    all.map(|port| format!("{}: {}:{}", port.label, bracketed(&network.ip), port.value)).collect()
}

fn events(context: &Context, state: &TaskState) -> String {
    let at = |time: &Option<String>| parse_time(time.as_deref()).map_or("N/A".to_owned(), |time| context.zone.time(time));
    let rows = [
        ("Started At", at(&state.started_at)),
        ("Finished At", at(&state.finished_at)),
        ("Total Restarts", state.restarts.to_string()),
        ("Last Restart", at(&state.last_restart)),
    ];
    let mut out = format!("Task Events:\n{}\n\nRecent Events:\n", pairs(&rows));
    let mut rows = vec![row!["Time", "Type", "Description"]];
    for event in state.events.iter().flatten().rev() {
        let text = if event.display_message.is_empty() { &event.message } else { &event.display_message };
        rows.push(row![context.zone.nanoseconds(event.time), event.r#type, text]);
    }
    out.push_str(&table(&rows));
    out
}

fn scores(context: &Context, alloc: &Allocation) {
    let Some(metrics) = &alloc.metrics else { return };
    let mut text = crate::placement::reasons(&context.ui, metrics, "  ").join("\n");
    let scored = metrics.score_meta_data.as_deref().unwrap_or_default();
    let mut names: Vec<&String> = scored.iter().flat_map(|node| node.scores.iter().flatten()).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    if !scored.is_empty() {
        let mut head = row!["Node"];
        head.extend(names.iter().map(|name| (*name).clone()));
        head.push("final score".to_owned());
        let mut rows = vec![head];
        for node in scored {
            let score = |value: f64| crate::text::score(value);
            let mut row = row![node.node_id];
            row.extend(names.iter().map(|name| score(node.scores.as_ref().and_then(|all| all.get(*name)).copied().unwrap_or(0.0))));
            row.push(score(node.norm_score));
            rows.push(row);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table(&rows));
    }
    if !text.is_empty() {
        context.ui.output(format!("\n{}\n{text}", context.title("Placement Metrics")));
    }
}
