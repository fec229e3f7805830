//! Single decisions of placing: conditions, fit and score, ports, cores, affinity and spread, preemption, classes, and what
//! the plan applier takes.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_base::{AllocId, EvalId, Rng};
use drover_macros::proves;
use drover_model::{
    AllocatedResources, AllocatedTask, Contact, Hook, InPlace, JobId, Node, Placement, Plan, PortMapping, Preemption, SchedulerAlgorithm,
    Stop, TaskLifecycle,
};
use drover_scheduler::constraint::{Condition, holds, resolve};
use drover_scheduler::ports::{PortError, assign};
use drover_scheduler::verify::{Rejection, verify};
use drover_state::{Ask, HostAddress, HostPort, Misfit, Room, Usage, fit, packing};
use serde_json::{Value, json};

use crate::golden::{file, finish, records};
use crate::scenarios::{World, id, node_row, run};

/// Rows of a table that are known to differ for a reason.
fn known(table: &str) -> BTreeSet<u64> {
    let text = file("differences.toml");
    let start = format!("record = \"{table}/");
    text.lines().filter_map(|line| line.strip_prefix(&start)?.strip_suffix('"')?.parse().ok()).collect()
}

/// Compares every row but those that differ for a reason, which must do so.
fn check(table: &str, mut differs: impl FnMut(&Value) -> Option<String>) {
    let known = known(table);
    let rows = records(table);
    let mut wrong = Vec::new();
    for row in &rows {
        let number = row["row"].as_u64().unwrap();
        match (differs(row), known.contains(&number)) {
            (Some(difference), false) => wrong.push(format!("{number}: {difference}")),
            (None, true) => wrong.push(format!("{number}: agrees, so it is no difference")),
            _ => {}
        }
    }
    finish(table, rows.len(), &wrong);
}

fn differ(expected: &Value, actual: &Value) -> Option<String> {
    (!same(expected, actual)).then(|| format!("expected {expected}, got {actual}"))
}

fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // Very large scores are recorded with fewer digits.
            (a - b).abs() <= 1e-9 * a.abs().max(1.0)
        }
        (Value::Object(a), Value::Object(b)) => {
            a.iter().all(|(key, value)| same(value, b.get(key).unwrap_or(&Value::Null)) || (*value == 0 && !b.contains_key(key)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

fn node(input: &Value) -> Node {
    Node::clone(&node_row(input, id("node", "n1")).node)
}

#[proves("SCH-013", "SCH-014", "SCH-015", "SCH-016", "SCH-017", "SCH-018", "SCH-019")]
#[test]
fn conditions_hold_as_recorded() {
    check("scheduler-constraints", |row| {
        let (left, right) = (row["left"].as_str(), row["right"].as_str());
        let operator = row["operator"].as_str().unwrap();
        let met = holds(operator, left, right);
        // The same through a prepared condition on a node.
        let attributes = left.map(|left| ("l".to_owned(), left.to_owned())).into_iter().collect();
        let prepared = match right {
            Some(right) if !right.starts_with("${") => {
                Condition::new("${attr.l}", operator, right).met(&Node { attributes, ..Node::default() })
            }
            _ => met,
        };
        let text = |met| json!(if met { "match" } else { "filter" });
        differ(&row["result"], &text(met)).or_else(|| differ(&row["result"], &text(prepared)))
    });
}

#[proves("SCH-020")]
#[test]
fn references_stand_for_what_is_recorded() {
    let input = json!({
        "id": "host-a", "dc": "dc-x", "class": "class-y", "pool": "pool-z",
        "attrs": {"os.name": "debian", "unique.hostname": "h-1", "empty": "", "a b": "spaced", "nested.a.b": "deep", "brace}": "bra"},
        "meta": {"rack": "r7", "unique.slot": "s3", "empty": "", "CaSe": "mixed"},
    });
    let node = node(&input);
    check("scheduler-targets", |row| {
        let value = resolve(row["target"].as_str().unwrap(), &node);
        let value = value.map(|value| if value == node.id.to_string() { "id-1".to_owned() } else { value });
        differ(&row["found"], &json!(value.is_some())).or_else(|| differ(&row["value"], &json!(value)))
    });
}

/// What tasks hold, with disk.
fn held(input: &Value) -> AllocatedResources {
    let mut resources = AllocatedResources { disk_mb: input["disk"].as_u64().unwrap_or(0) as u32, ..AllocatedResources::default() };
    for (number, task) in input["tasks"].as_array().into_iter().flatten().enumerate() {
        let name = format!("t{number}");
        if let Some(hook) = task["hook"].as_str() {
            let lifecycle = TaskLifecycle { hook: Hook::parse(hook).unwrap(), sidecar: task["sidecar"] == true };
            resources.lifecycles.insert(name.clone(), lifecycle);
        }
        let cores = task["cores"].as_array().into_iter().flatten().map(|core| core.as_u64().unwrap() as u16);
        let allocated = AllocatedTask {
            cpu_mhz: task["cpu"].as_u64().unwrap_or(0) as u32,
            memory_mb: task["memory"].as_u64().unwrap_or(0) as u32,
            reserved_cores: cores.collect(),
            ..AllocatedTask::default()
        };
        resources.tasks.insert(name, allocated);
    }
    resources
}

fn is_live(input: &Value) -> bool {
    !matches!(input["client"].as_str(), Some("complete" | "failed" | "lost"))
}

#[proves("SCH-032", "SCH-033", "SCH-045", "SCH-048", "SCH-049", "SCH-050", "SCH-053", "SCH-055")]
#[test]
fn what_fits_and_how_well_is_as_recorded() {
    check("scheduler-fit-and-score", |row| {
        let node = node(&row["node"]);
        let mut usage = Usage::default();
        for alloc in row["used"].as_array().unwrap().iter().filter(|alloc| is_live(alloc)) {
            usage.add(&Ask::of(&held(alloc)));
        }
        let ask = Ask::of(&held(&row["ask"]));
        let fits = fit(&node.resources, node.max_allocs, &usage, &ask);
        let size = Room::of(&node.resources);
        let room = Room { cpu_mhz: ask.cpu_mhz, memory_mb: ask.memory_mb };
        let score = |algorithm| fits.is_ok().then(|| packing(algorithm, size, size.free(&usage), room));
        let actual = json!({
            "fits": fits.is_ok(),
            "dimension": fits.err().map(Misfit::text).unwrap_or_default(),
            "binpack": score(SchedulerAlgorithm::BinPack),
            "spread": score(SchedulerAlgorithm::Spread),
        });
        ["fits", "dimension", "binpack", "spread"].iter().find_map(|key| differ(&row[*key], &actual[*key]))
    });
}

#[proves("SCH-058", "SCH-059", "SCH-060", "SCH-061", "SCH-062", "SCH-063", "SCH-065", "SCH-067")]
#[test]
fn ports_are_given_as_recorded() {
    check("scheduler-ports", |row| {
        let node = node(&row["node"]);
        let mut usage = Usage::default();
        for port in row["used"].as_array().unwrap() {
            let ip = port["host_ip"].as_str().unwrap_or("192.168.0.100");
            let port = HostPort { port: port["value"].as_u64().unwrap() as u16, address: HostAddress::of(ip) };
            usage.add(&Ask { ports: vec![port], ..Ask::default() });
        }
        let numbers = row["ask"]["static"].as_array().into_iter().flatten().filter_map(|port| port["value"].as_i64());
        if numbers.into_iter().any(|port| !(0..=65_535).contains(&port)) {
            // A port that is none has no place in a job of ours; the record says that it is refused.
            return row["reason"].as_str().is_none_or(|reason| !reason.starts_with("invalid port")).then(|| "not refused".to_owned());
        }
        let group = crate::scenarios::group(&json!({"network": row["ask"]}), drover_model::JobType::Service);
        let given = assign(&node, &group.networks, &usage, &mut Rng::new(5));
        let reason = row["reason"].as_str();
        match given {
            Ok((_, mappings)) => {
                let expected = row["result"].as_array().cloned().unwrap_or_default();
                if reason.is_some() || expected.len() != mappings.len() {
                    return Some(format!("expected {reason:?} {expected:?}, got {mappings:?}"));
                }
                expected.iter().zip(&mappings).find_map(|(expected, mapping)| port_differs(expected, mapping, &node))
            }
            Err(error) => {
                // Faults of the node's own state are told apart by kind, in words of our own.
                let agrees = match (&error, reason) {
                    (_, None) => false,
                    (PortError::Collision(_), Some(reason)) => reason.starts_with("collision"),
                    (PortError::BadNode(_), Some(reason)) => reason.starts_with("invalid node"),
                    (error, Some(reason)) => error.to_string() == reason,
                };
                (!agrees).then(|| format!("expected {reason:?}, got {error}"))
            }
        }
    });
}

fn port_differs(expected: &Value, mapping: &PortMapping, node: &Node) -> Option<String> {
    let free = node.resources.min_dynamic_port..=node.resources.max_dynamic_port;
    let value = match expected["value"].as_str() {
        Some(_) => free.contains(&mapping.value),
        // Which of few is chosen when several are free is chance.
        None => expected["value"] == mapping.value || (free.contains(&mapping.value) && expected["value"].as_u64() >= Some(25_000)),
    };
    let to = if expected["to"] == "same" { mapping.to == i32::from(mapping.value) } else { expected["to"] == mapping.to };
    let rest = expected["label"] == mapping.label && expected["host_ip"] == mapping.host_ip;
    (!(value && to && rest)).then(|| format!("expected {expected}, got {mapping:?}"))
}

#[proves("SCH-029", "SCH-031", "SCH-034", "SCH-035", "SCH-036", "SCH-037", "SCH-038", "SCH-039", "SCH-040", "SCH-041", "SCH-042")]
#[test]
fn affinity_and_spread_score_as_recorded() {
    check("scheduler-affinity-spread", |row| {
        let scenario = json!({"nodes": row["nodes"], "jobs": [row["job"]], "allocs": row["allocs"], "eval": {}});
        let actual = run(&scenario, &World::of(&scenario));
        let places = actual["place"].as_array().cloned().unwrap_or_default();
        let Some(first) = places.first() else { return Some("nothing is placed".to_owned()) };
        let scores = &first["metrics"]["scores"];
        let of_nodes = differ(&row["scores"], scores);
        let winner = (!row["winner"].is_null()).then(|| differ(&row["winner"], &first["node"])).flatten();
        of_nodes.or(winner)
    });
}

#[proves("SCH-053", "SCH-054")]
#[test]
fn cores_are_given_as_recorded() {
    check("scheduler-cores-numa", |row| {
        let mut node = row["node"].clone();
        node["id"] = json!("n1");
        let mut allocs = Vec::new();
        for (number, cores) in row["used"].as_array().unwrap().iter().enumerate() {
            allocs.push(json!({"id": format!("u{number}"), "job": "other", "index": number, "node": "n1", "reserved_cores": cores}));
        }
        let tasks: Vec<Value> = row["ask"]
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .map(|mut task| {
                task["memory"] = json!(10);
                task
            })
            .collect();
        let other = json!({"id": "other", "groups": [{"count": allocs.len(), "tasks": [{"cpu": 1, "memory": 10}]}]});
        let scenario = json!({
            "nodes": [node], "allocs": allocs, "eval": {},
            "jobs": [other, {"id": "app", "groups": [{"tasks": tasks}]}],
        });
        let actual = run(&scenario, &World::of(&scenario));
        let placed = actual["place"].as_array().is_some_and(|place| !place.is_empty());
        if placed != (row["outcome"] == "placed") {
            return Some(format!("expected {}, got {actual}", row["outcome"]));
        }
        if !placed {
            let dimensions: Vec<&String> = actual["failed"]["web"]["dimension_exhausted"].as_object().unwrap().keys().collect();
            return differ(&json!([row["dimension"]]), &json!(dimensions));
        }
        let given = &actual["place"][0]["resources"]["tasks"];
        row["tasks"].as_object().into_iter().flatten().find_map(|(task, expected)| {
            differ(&expected["core_ids"], &given[task]["core_ids"])
                .or_else(|| differ(&expected["cpu"], &given[task]["cpu"]).filter(|_| !given[task]["cpu"].is_null()))
        })
    });
}

#[proves("SCH-078", "SCH-080", "SCH-082", "SCH-083", "SCH-085")]
#[test]
fn who_has_to_go_is_as_recorded() {
    check("scheduler-preemption", |row| {
        let mut node = row["node"].clone();
        node["id"] = json!("n1");
        let (mut jobs, mut allocs): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        for (number, candidate) in row["candidates"].as_array().unwrap().iter().enumerate() {
            let job = candidate["job"].as_str().map_or_else(|| format!("c{number}"), str::to_owned);
            if !jobs.iter().any(|known| known["id"] == job) {
                let mut group = json!({
                    "count": 1, "disk": candidate["disk"].as_u64().unwrap_or(0),
                    "tasks": [{"cpu": candidate["cpu"], "memory": candidate["memory"]}],
                });
                if !candidate["migrate_max_parallel"].is_null() {
                    group["migrate_max_parallel"] = candidate["migrate_max_parallel"].clone();
                }
                jobs.push(json!({"id": job, "priority": candidate["priority"], "groups": [group]}));
            }
            let ports = candidate["ports"].as_array().into_iter().flatten();
            let ports: Vec<Value> = ports.map(|port| json!({"label": format!("p{port}"), "value": port})).collect();
            allocs.push(json!({"id": format!("v{number}"), "job": job, "index": number, "node": "n1", "ports": ports}));
        }
        jobs.push(json!({"id": "app", "priority": row["priority"], "groups": [row["ask"]]}));
        let scenario = json!({"nodes": [node], "jobs": jobs, "allocs": allocs, "eval": {}, "config": {"preemption": ["service"]}});
        let actual = run(&scenario, &World::of(&scenario));
        let placed = actual["place"].as_array().is_some_and(|place| !place.is_empty());
        if row["random"] == true {
            return (!placed).then(|| "nothing is placed".to_owned());
        }
        if row["victims"] == "impossible" {
            return placed.then(|| format!("placed: {actual}"));
        }
        let mut victims: Vec<u64> =
            actual["preempt"].as_array().into_iter().flatten().map(|gone| gone["alloc"].as_str().unwrap()[1..].parse().unwrap()).collect();
        victims.sort_unstable();
        let mut expected: Vec<u64> = row["victims"].as_array().into_iter().flatten().map(|number| number.as_u64().unwrap()).collect();
        expected.sort_unstable();
        if placed && victims == expected { None } else { Some(format!("expected {expected:?}, got {victims:?}, placed: {placed}")) }
    });
}

#[proves("SCH-026")]
#[test]
fn classes_are_equal_as_recorded() {
    check("scheduler-node-class", |row| {
        let class = |input: &Value| node(input).computed_class();
        differ(&row["same_class"], &json!(class(&row["a"]) == class(&row["b"])))
    });
}

#[proves("SCH-047", "EVL-038", "EVL-041", "EVL-042", "EVL-043")]
#[test]
fn the_plan_applier_takes_what_is_recorded() {
    check("scheduler-plan-node", |row| {
        let list = |key: &str| row[key].as_array().cloned().unwrap_or_default();
        let mut jobs = vec![json!({"id": "app", "groups": [{"count": 1}]})];
        let mut allocs = Vec::new();
        for existing in list("existing") {
            let name = existing["id"].as_str().unwrap().to_owned();
            // How the group behaves on a node out of contact is said where the plan touches the allocation.
            let place = list("place").into_iter().find(|place| place["id"] == existing["id"]);
            let replace = place.as_ref().map_or(Value::Null, |place| place["disconnect_replace"].clone());
            let mut group = json!({
                "disk": 0, "tasks": [{"cpu": existing["cpu"].as_u64().unwrap_or(0), "memory": existing["memory"].as_u64().unwrap_or(0)}],
            });
            if !replace.is_null() {
                group["disconnect"] = json!({"replace": replace, "lost_after": 60});
            }
            jobs.insert(0, json!({"id": format!("of-{name}"), "groups": [group]}));
            let ports = existing["ports"].as_array().into_iter().flatten();
            let ports: Vec<Value> = ports.map(|port| json!({"label": format!("p{port}"), "value": port})).collect();
            allocs.push(json!({
                "id": name, "job": format!("of-{name}"), "node": "n1", "desired": existing["desired"], "client": existing["client"],
                "reserved_cores": existing["cores"], "ports": ports,
            }));
        }
        let status = row["node_status"].as_str().unwrap();
        let mut nodes = vec![json!({"id": "n1", "cpu": 4000, "memory": 8192, "status": status, "eligibility": row["node_eligibility"]})];
        nodes.retain(|_| status != "missing");
        let scenario = json!({"nodes": nodes, "jobs": jobs, "allocs": allocs, "eval": {"job": "app"}});
        let world = World::of(&scenario);
        let mut plan = Plan::new(EvalId::from_random(1), JobId { namespace: "default".into(), id: "app".into() }, 50);
        plan.job_create_index = world.state.job(&plan.job_id).unwrap().job().create_index;
        let alloc_id = |label: &Value| -> AllocId { id("alloc", label.as_str().unwrap()) };
        for label in list("stop") {
            plan.stops.push(Stop { id: alloc_id(&label), description: String::new(), client_status: None, followup_eval: None });
        }
        for label in list("preempt") {
            plan.preemptions.push(Preemption { id: alloc_id(&label), by: AllocId::from_random(77) });
        }
        for place in list("place") {
            let of_existing = list("existing").iter().any(|existing| existing["id"] == place["id"]);
            if of_existing {
                let contact = if place["client"] == "unknown" { Contact::Lost } else { Contact::Same };
                let to_newest = contact == Contact::Same;
                plan.in_place.push(InPlace { to_newest, contact, ..InPlace::of(alloc_id(&place["id"])) });
                continue;
            }
            let mut resources = held(&json!({"tasks": [place]}));
            for port in place["ports"].as_array().into_iter().flatten() {
                let value = port.as_u64().unwrap() as u16;
                resources.ports.push(PortMapping { value, host_ip: "192.168.0.100".into(), ..PortMapping::default() });
            }
            plan.placements.push(Placement {
                id: alloc_id(&place["id"]),
                group: Arc::from("web"),
                index: 0,
                node_id: id("node", "n1"),
                resources: Arc::new(resources),
                previous: None,
                reschedules: Vec::new(),
                canary: false,
                job_version: None,
                metrics: Arc::default(),
            });
        }
        let verified = verify(&world.state, plan);
        let why = verified.rejected.first().map(|(_, why)| *why);
        let reason = row["reason"].as_str().unwrap();
        let agrees = match why {
            None => reason.is_empty() && !verified.partial,
            Some(Rejection::Short(Misfit::Port(port))) => reason.contains(&format!("port {port} already in use")),
            Some(why) => why.to_string() == reason,
        };
        let fits = row["fits"] == !verified.partial;
        (!(agrees && fits)).then(|| format!("expected {:?} {reason:?}, got {why:?} {}", row["fits"], verified.partial))
    });
}

/// Names of scenarios by the ids they show, so that a row of ids above is not all there is.
#[proves(
    "SCH-001", "SCH-002", "SCH-003", "SCH-009", "SCH-010", "SCH-021", "SCH-022", "SCH-023", "SCH-046", "SCH-051", "SCH-052", "SCH-064",
    "SCH-066", "SCH-068", "SCH-076", "SCH-077", "SCH-079", "SCH-081", "SCH-087", "SCH-093", "SCH-094", "SCH-095", "SCH-096", "SCH-097",
    "SCH-098"
)]
#[test]
fn placement_rules_hold_in_whole_runs() {
    for one in [
        "SCH-001", "SCH-002", "SCH-003", "SCH-009", "SCH-010", "SCH-021", "SCH-022", "SCH-023", "SCH-046", "SCH-051", "SCH-052", "SCH-064",
        "SCH-066", "SCH-068", "SCH-076", "SCH-077", "SCH-079", "SCH-081", "SCH-087", "SCH-093", "SCH-094", "SCH-095", "SCH-096", "SCH-097",
        "SCH-098",
    ] {
        crate::scenarios::prove(&[one]);
    }
}
