//! `node status` and `node eligibility`.

use drover_api::{
    AllocResourceUsage, Allocation, AllocationListStub, HostStats, Node, NodeEligibilityUpdateResponse, NodeListStub,
    NodeUpdateEligibilityRequest,
};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome, PROGRAM};
use crate::flags::Flag;
use crate::sdk::{Client, Query, segment};
use crate::text::{bytes, duration, mebibytes, pairs, parse_time, short, table};
use crate::whole::{NODE, completed};
use crate::{resolve, row};

pub(super) const STATUS_FLAGS: &[Flag] = &[
    Flag::switch("self", "The node that answers."),
    Flag::switch("stats", "Show detailed use of resources."),
    Flag::switch("allocs", "In the list: how many allocations run on each node."),
    Flag::switch("short", "Show the node's own lines and its allocations only."),
    super::PER_PAGE,
    super::PAGE_TOKEN,
    super::FILTER,
    Flag::switch("os", "In the list: the operating system of each node."),
    Flag::switch("quiet", "Show ids only."),
    Flag::switch("ui", ""),
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
];
pub(super) const ELIGIBILITY_FLAGS: &[Flag] = &[
    Flag::switch("enable", "New allocations may be placed on the node."),
    Flag::switch("disable", "No new allocation is placed on the node."),
    Flag::switch("self", "The node that answers."),
    Flag::switch("yes", ""),
];

/// The id of the node that the asked agent is.
pub(super) async fn own_id(client: &Client) -> Result<String, Failure> {
    let agent = client
        .get::<Value>("/v1/agent/self", &Query::new())
        .await
        .attempt("Error querying agent info: failed querying self endpoint")?
        .value;
    let id = agent["stats"]["client"]["node_id"].as_str().unwrap_or("").to_owned();
    if id.is_empty() { Err(Failure::new("Drover not running in client mode")) } else { Ok(id) }
}

pub(super) async fn eligibility(context: &mut Context) -> Outcome {
    let (enable, disable) = (context.flags.on("enable"), context.flags.on("disable"));
    if enable == disable {
        return Err(Failure::usage("Either the '-enable' or '-disable' flag must be set"));
    }
    let own = context.flags.on("self");
    let given = match (own, context.arguments()) {
        (true, []) => None,
        (false, [id]) => Some(id.clone()),
        _ => return Err(Failure::usage("Node ID must be specified if -self isn't being used")),
    };
    let client = context.client()?;
    let given = match given {
        Some(id) => id,
        None => own_id(&client).await?,
    };
    let (node, _) = resolve::node(context, &client, &given).await?;
    let eligibility = if enable { "eligible" } else { "ineligible" };
    let request = NodeUpdateEligibilityRequest {
        node_id: node.id.clone(),
        eligibility: eligibility.to_owned(),
        ..NodeUpdateEligibilityRequest::default()
    };
    let path = format!("/v1/node/{}/eligibility", segment(&node.id));
    let answer = client.put::<_, NodeEligibilityUpdateResponse>(&path, &Query::new(), &request).await;
    answer.attempt("Error updating scheduling eligibility")?;
    context.ui.output(format!("Node {:?} scheduling eligibility set: {eligibility} for scheduling", node.id));
    Ok(0)
}

pub(super) async fn status(context: &mut Context) -> Outcome {
    context.one_format()?;
    if context.flags.on("quiet") && (context.flags.on("verbose") || context.flags.on("json")) {
        return Err(Failure::new("-quiet cannot be used with -verbose or -json"));
    }
    let client = context.client()?;
    let id = match (context.flags.on("self"), context.arguments()) {
        (true, []) => own_id(&client).await?,
        (false, [id]) => id.clone(),
        (false, []) => return list(context, &client).await,
        _ => return Err(Failure::usage("This command takes either one or no arguments")),
    };
    let (stub, _) = resolve::node(context, &client, &id).await?;
    let path = format!("/v1/node/{}", segment(&stub.id));
    let raw = client.get::<Value>(&path, &Query::new()).await.attempt("Error querying node info")?.value;
    if context.formatted() {
        return context.print_formatted(&completed(raw, NODE));
    }
    let node: Node = serde_json::from_value(raw).map_err(|error| Failure::new(format!("Error querying node info: {error}")))?;
    one(context, &client, &node).await
}

async fn list(context: &Context, client: &Client) -> Outcome {
    let (verbose, os, counts) = (context.verbose(), context.flags.on("os"), context.flags.on("allocs"));
    let mut query = super::paged(context);
    if os {
        query = query.set("os", true);
    }
    let answer = client.get::<Value>("/v1/nodes", &query).await.attempt("Error querying node status")?;
    if context.formatted() {
        return context.print_formatted(&answer.value);
    }
    let nodes: Vec<NodeListStub> =
        serde_json::from_value(answer.value).map_err(|error| Failure::new(format!("Error querying node status: {error}")))?;
    if nodes.is_empty() {
        context.ui.output("No nodes registered");
        return Ok(0);
    }
    if context.flags.on("quiet") {
        context.ui.output(nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>().join("\n"));
        return Ok(0);
    }
    let mut head = row!["ID", "Node Pool", "DC", "Name", "Class"];
    if os {
        head.push("OS".to_owned());
    }
    if verbose {
        head.extend(row!["Address", "Version"]);
    }
    head.extend(row!["Drain", "Eligibility", "Status"]);
    if counts {
        head.push("Running Allocs".to_owned());
    }
    let mut rows = vec![head];
    for node in &nodes {
        let mut row = row![short(&node.id, verbose), node.node_pool, node.datacenter, node.name, node.node_class];
        if os {
            row.push(node.attributes.as_ref().and_then(|all| all.get("os.name")).cloned().unwrap_or_default());
        }
        if verbose {
            row.extend(row![node.address, node.version]);
        }
        row.extend(row![node.drain, node.scheduling_eligibility, node.status]);
        if counts {
            let allocs = node_allocs(client, &node.id).await?;
            row.push(allocs.iter().filter(|alloc| alloc.client_status == "running").count().to_string());
        }
        rows.push(row);
    }
    context.ui.output(table(&rows));
    super::next_page(context, &format!("{PROGRAM} node status"), &["per-page", "filter"], &answer.meta.next_token);
    context.hint(client, "View and manage Drover clients", "clients").await;
    Ok(0)
}

async fn node_allocs(client: &Client, id: &str) -> Result<Vec<Allocation>, Failure> {
    let path = format!("/v1/node/{}/allocations", segment(id));
    Ok(client.get::<Vec<Allocation>>(&path, &Query::new()).await.attempt("Error querying node allocations")?.value)
}

async fn one(context: &Context, client: &Client, node: &Node) -> Outcome {
    let brief = context.flags.on("short");
    let stats = if node.status == "ready" && !brief {
        client.get::<HostStats>("/v1/client/stats", &Query::new().set("node_id", &node.id)).await.ok().map(|answer| answer.value)
    } else {
        None
    };
    context.ui.output(header(context, node, stats.as_ref()));
    super::why(context, node.why.as_ref());
    let mut allocs = node_allocs(client, &node.id).await?;
    if !brief {
        if context.verbose() {
            details(context, node);
        }
        events(context, node);
        resources(context, client, node, &allocs, stats.as_ref()).await;
        if let Some(stats) = stats.as_ref().filter(|_| context.flags.on("stats")) {
            host_stats(context, stats);
        }
    }
    allocs.sort_by(|left, right| right.create_index.cmp(&left.create_index).then_with(|| left.id.cmp(&right.id)));
    let stubs: Vec<AllocationListStub> = allocs.iter().map(stub).collect();
    let list = if stubs.is_empty() { "No allocations placed".to_owned() } else { super::alloc::list(context, &stubs, false) };
    context.ui.output(format!("\n{}\n{list}", context.title("Allocations")));
    if context.verbose() && !brief {
        for (title, map) in [("Attributes", &node.attributes), ("Meta", &node.meta)] {
            let rows: Vec<(&String, &String)> =
                map.iter().flatten().filter(|(name, _)| !name.starts_with("unique.") || title == "Attributes").collect();
            if !rows.is_empty() {
                context.ui.output(format!("\n{}\n{}", context.title(title), pairs(&rows)));
            }
        }
    }
    context.hint(client, "View client details and metrics", &format!("clients/{}", node.id)).await;
    Ok(0)
}

fn stub(alloc: &Allocation) -> AllocationListStub {
    AllocationListStub {
        id: alloc.id.clone(),
        eval_id: alloc.eval_id.clone(),
        node_id: alloc.node_id.clone(),
        node_name: alloc.node_name.clone(),
        task_group: alloc.task_group.clone(),
        job_version: alloc.job.as_ref().and_then(|job| job.version).unwrap_or(0),
        desired_status: alloc.desired_status.clone(),
        client_status: alloc.client_status.clone(),
        create_index: alloc.create_index,
        create_time: alloc.create_time,
        modify_time: alloc.modify_time,
        ..AllocationListStub::default()
    }
}

fn drivers(node: &Node) -> String {
    let names = node.drivers.iter().flatten().filter_map(|(name, driver)| {
        let driver = driver.as_ref().filter(|driver| driver.detected)?;
        Some(if driver.healthy { name.clone() } else { format!("{name} (unhealthy)") })
    });
    names.collect::<Vec<_>>().join(",")
}

fn header(context: &Context, node: &Node, stats: Option<&HostStats>) -> String {
    let keys = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(",");
    let drain = match &node.drain_strategy {
        None => node.drain.to_string(),
        Some(_) if !node.drain => "false".to_owned(),
        Some(strategy) => {
            let deadline = match strategy.deadline {
                0 => "no deadline".to_owned(),
                ..0 => "force drain".to_owned(),
                _ => {
                    let until = parse_time(strategy.force_deadline.as_deref());
                    until.map_or("unknown deadline".to_owned(), |until| format!("{} deadline", context.zone.time(until)))
                }
            };
            let system = if strategy.ignore_system_jobs { "; ignoring system jobs" } else { "" };
            format!("true; {deadline}{system}")
        }
    };
    let mut rows = vec![
        ("ID", node.id.clone()),
        ("Name", node.name.clone()),
        ("Node Pool", node.node_pool.clone()),
        ("Class", node.node_class.clone()),
        ("DC", node.datacenter.clone()),
        ("Drain", drain),
        ("Eligibility", node.scheduling_eligibility.clone()),
        ("Status", node.status.clone()),
        ("CSI Controllers", keys(node.csi_controller_plugins.iter().flatten().map(|(name, _)| name).collect())),
        ("CSI Drivers", keys(node.csi_node_plugins.iter().flatten().map(|(name, _)| name).collect())),
    ];
    if let Some(stats) = stats {
        rows.push(("Uptime", duration(i64::try_from(stats.uptime).unwrap_or(0).saturating_mul(1_000_000_000))));
    }
    if !context.verbose() || context.flags.on("short") {
        rows.push(("Host Volumes", keys(node.host_volumes.iter().flatten().map(|(name, _)| name).collect())));
        rows.push(("Host Networks", keys(node.host_networks.iter().flatten().map(|(name, _)| name).collect())));
        rows.push(("CSI Volumes", String::new()));
        rows.push((if context.flags.on("short") { "Drivers" } else { "Driver Status" }, drivers(node)));
    }
    pairs(&rows)
}

fn details(context: &Context, node: &Node) {
    let volumes: Vec<_> = node.host_volumes.iter().flatten().filter_map(|(name, volume)| Some((name, volume.as_ref()?))).collect();
    if !volumes.is_empty() {
        let mut rows = vec![row!["Name", "ReadOnly", "Source"]];
        rows.extend(volumes.iter().map(|(name, volume)| row![name, volume.read_only, volume.path]));
        context.ui.output(format!("\n{}\n{}", context.title("Host Volumes"), table(&rows)));
    }
    let networks: Vec<_> = node.host_networks.iter().flatten().filter_map(|(name, network)| Some((name, network.as_ref()?))).collect();
    if !networks.is_empty() {
        let mut rows = vec![row!["Name", "CIDR", "Interface", "ReservedPorts"]];
        rows.extend(networks.iter().map(|(name, network)| row![name, network.cidr, network.interface, network.reserved_ports]));
        context.ui.output(format!("\n{}\n{}", context.title("Host Networks"), table(&rows)));
    }
    let mut rows = vec![row!["Driver", "Detected", "Healthy", "Message", "Time"]];
    for (name, driver) in node.drivers.iter().flatten() {
        let Some(driver) = driver else { continue };
        let time = context.at(driver.update_time.as_deref());
        rows.push(row![name, driver.detected, driver.healthy, driver.health_description, time]);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Drivers"), table(&rows)));
}

fn events(context: &Context, node: &Node) {
    let verbose = context.verbose();
    let mut rows = vec![if verbose { row!["Time", "Subsystem", "Message", "Details"] } else { row!["Time", "Subsystem", "Message"] }];
    for event in node.events.iter().flatten().rev() {
        let driver = event.details.as_ref().and_then(|details| details.get("driver"));
        let subsystem = driver.map_or(event.subsystem.clone(), |driver| format!("Driver: {driver}"));
        let mut row = row![context.at(event.timestamp.as_deref()), subsystem, event.message];
        if verbose {
            let details = event.details.iter().flatten().map(|(key, value)| format!("{key} = {value}"));
            row.push(details.collect::<Vec<_>>().join(","));
        }
        rows.push(row);
    }
    context.ui.output(format!("\n{}\n{}", context.title("Node Events"), table(&rows)));
}

/// What an allocation was given: MHz, MiB of memory, MiB of disk.
fn given(alloc: &Allocation) -> (i64, i64, i64) {
    let Some(resources) = &alloc.allocated_resources else { return (0, 0, 0) };
    let tasks = || resources.tasks.iter().flatten().filter_map(|(_, task)| task.as_ref());
    let cpu = tasks().map(|task| task.cpu.cpu_shares).sum();
    let memory = tasks().map(|task| task.memory.memory_mb).sum();
    (cpu, memory, resources.shared.disk_mb)
}

async fn resources(context: &Context, client: &Client, node: &Node, allocs: &[Allocation], stats: Option<&HostStats>) {
    let live: Vec<&Allocation> =
        allocs.iter().filter(|alloc| matches!(alloc.client_status.as_str(), "running" | "pending" | "unknown")).collect();
    let (mut cpu, mut memory, mut disk) = (0, 0, 0);
    for alloc in &live {
        let (own_cpu, own_memory, own_disk) = given(alloc);
        (cpu, memory, disk) = (cpu + own_cpu, memory + own_memory, disk + own_disk);
    }
    let total = node.node_resources.clone().unwrap_or_default();
    let kept = node.reserved_resources.clone().unwrap_or_default();
    let less = |total: i64, kept: u64| total.saturating_sub(i64::try_from(kept).unwrap_or(0)).max(0);
    let cpu_total = less(total.cpu.cpu_shares, kept.cpu.cpu_shares);
    let memory_total = less(total.memory.memory_mb, kept.memory.memory_mb);
    let disk_total = less(total.disk.disk_mb, kept.disk.disk_mb);
    let head = row!["CPU", "Memory", "Disk", "Alloc Count"];
    let mut row = row![
        format!("{cpu}/{cpu_total} MHz"),
        format!("{}/{}", mebibytes(memory), mebibytes(memory_total)),
        format!("{}/{}", mebibytes(disk), mebibytes(disk_total)),
    ];
    if node.node_max_allocs > 0 {
        row.push(format!("{}/{}", live.len(), node.node_max_allocs));
    } else {
        row.push(live.len().to_string());
    }
    context.ui.output(format!("\n{}\n{}", context.title("Allocated Resources"), table(&[head, row])));
    let Some(stats) = stats else { return };
    let (mut ticks, mut used) = (0.0, 0);
    for alloc in live.iter().filter(|alloc| alloc.client_status == "running") {
        let path = format!("/v1/client/allocation/{}/stats", segment(&alloc.id));
        let query = Query::new().namespace(&alloc.namespace);
        if let Ok(answer) = client.get::<AllocResourceUsage>(&path, &query).await
            && let Some(usage) = answer.value.resource_usage
        {
            ticks += usage.cpu_stats.map_or(0.0, |cpu| cpu.total_ticks);
            used += usage.memory_stats.map_or(0, |memory| if memory.rss > 0 { memory.rss } else { memory.usage });
        }
    }
    let rows = [
        row!["CPU", "Memory"],
        row![format!("{:.0}/{cpu_total} MHz", ticks.floor()), format!("{}/{}", bytes(used), mebibytes(memory_total))],
    ];
    context.ui.output(format!("\n{}\n{}", context.title("Allocation Resource Utilization"), table(&rows)));
    let memory = stats.memory.clone().unwrap_or_default();
    let disk = stats.alloc_dir_stats.clone().unwrap_or_default();
    let rows = [
        row!["CPU", "Memory", "Disk"],
        row![
            format!("{:.0}/{} MHz", stats.cpu_ticks_consumed.floor(), total.cpu.cpu_shares),
            format!("{}/{}", bytes(memory.used), bytes(memory.total)),
            format!("{}/{}", bytes(disk.used), bytes(disk.size))
        ],
    ];
    context.ui.output(format!("\n{}\n{}", context.title("Host Resource Utilization"), table(&rows)));
}

fn host_stats(context: &Context, stats: &HostStats) {
    let percent = |value: f64| format!("{value:.2}%");
    let blocks: Vec<String> = stats
        .cpu
        .iter()
        .flatten()
        .map(|cpu| {
            pairs(&[("CPU", cpu.cpu.clone()), ("User", percent(cpu.user)), ("System", percent(cpu.system)), ("Idle", percent(cpu.idle))])
        })
        .collect();
    context.ui.output(format!("\n{}\n{}", context.title("CPU Stats"), blocks.join("\n\n")));
    if let Some(memory) = &stats.memory {
        let rows = [
            ("Total", bytes(memory.total)),
            ("Available", bytes(memory.available)),
            ("Used", bytes(memory.used)),
            ("Free", bytes(memory.free)),
        ];
        context.ui.output(format!("\n{}\n{}", context.title("Memory Stats"), pairs(&rows)));
    }
    let blocks: Vec<String> = stats
        .disk_stats
        .iter()
        .flatten()
        .map(|disk| {
            pairs(&[
                ("Device", disk.device.clone()),
                ("MountPoint", disk.mountpoint.clone()),
                ("Size", bytes(disk.size)),
                ("Used", bytes(disk.used)),
                ("Available", bytes(disk.available)),
                ("Used Percent", percent(disk.used_percent)),
                ("Inodes Percent", percent(disk.inodes_used_percent)),
            ])
        })
        .collect();
    if !blocks.is_empty() {
        context.ui.output(format!("\n{}\n{}", context.title("Disk Stats"), blocks.join("\n\n")));
    }
}
