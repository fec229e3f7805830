//! The environment of a task and the interpolation of its texts.

use std::sync::Arc;

use super::*;
use drover_base::{AllocId, NodeId};
use drover_macros::proves;
use drover_model::{AllocatedResources, AllocatedTask, Job, JobId, Parameterized, PortMapping, TaskGroup};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn task(name: &str, env: &[(&str, &str)]) -> Task {
    Task { name: name.to_owned(), env: map(env), meta: map(&[("taskmeta", "1")]), ..Task::default() }
}

fn census() -> Allocation {
    let port = |label: &str, value, to| PortMapping {
        label: label.to_owned(),
        value,
        to,
        host_ip: "127.0.0.1".to_owned(),
        ignore_collision: false,
    };
    let job = Job {
        id: JobId { namespace: "default".to_owned(), id: "census".to_owned() },
        name: "census".to_owned(),
        region: "global".to_owned(),
        meta: map(&[("Mixed-Case", "x"), ("colour", "tan")]),
        task_groups: Arc::new(vec![TaskGroup {
            name: "folk".to_owned(),
            tasks: vec![
                task("raw", &[("CUSTOM", "raw-v"), ("FROM_NODE", "${node.class}")]),
                task("cage", &[("CUSTOM", "cage-v"), ("FROM_NODE", "${node.class}")]),
                task("other", &[("SECRET", "s")]),
            ],
            meta: map(&[("grp", "g1")]),
            ..TaskGroup::default()
        }]),
        ..Job::default()
    };
    let given = AllocatedTask { cpu_mhz: 100, memory_mb: 64, memory_max_mb: 96, ..AllocatedTask::default() };
    Allocation {
        id: AllocId::from_random(20),
        job: Arc::new(job),
        group: "folk".to_owned(),
        index: 0,
        node_id: NodeId::from_random(1),
        eval_id: drover_base::EvalId::NIL,
        resources: Arc::new(AllocatedResources {
            tasks: BTreeMap::from([("raw".to_owned(), given.clone()), ("cage".to_owned(), given)]),
            ports: vec![port("web", 20_001, 0), port("ad-min", 20_002, 8080)],
            ..AllocatedResources::default()
        }),
        desired: drover_model::DesiredStatus::Run,
        transition: drover_model::DesiredTransition::default(),
        client_status: drover_model::ClientStatus::Pending,
        deployment: None,
        canary: false,
        health_wanted: false,
        previous: None,
        create_index: 0,
        alloc_modify_index: 0,
        create_time: drover_base::WallTime::ZERO,
        node_name: String::new(),
    }
}

fn node() -> Node {
    Node {
        id: NodeId::from_random(1),
        name: "dell".to_owned(),
        datacenter: "dc1".to_owned(),
        node_class: "meadow".to_owned(),
        node_pool: "default".to_owned(),
        attributes: map(&[("kernel.name", "linux"), ("cpu.arch", "amd64")]),
        meta: map(&[("rack", "r7")]),
        ..Node::default()
    }
}

fn build(alloc: &Allocation, task: &str, host: &BTreeMap<String, String>) -> Environment {
    let own = |path: &str| if task == "cage" { path.to_owned() } else { format!("/d/alloc/A/{task}{path}") };
    let shared = if task == "cage" { "/alloc" } else { "/d/alloc/A/alloc" };
    let directories = VisibleDirectories { alloc: shared.to_owned(), local: own("/local"), secrets: own("/secrets") };
    Environment::build(&Sources {
        alloc,
        task: alloc.task_group().and_then(|group| group.task(task)),
        node: &node(),
        region: "global",
        directories: &directories,
        host: Some(host),
        parent_cgroup: "nomad.slice",
        cgroups_v1: true,
        hooks: &BTreeMap::new(),
        templates: &map(&[("TPL_VAR", "one")]),
    })
}

/// The recorded environment of a task, its volatile parts replaced by those of this test. What the shell, the driver and identities set
/// is left out.
fn recorded(name: &str, alloc: &Allocation) -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/runtime.jsonl");
    let records = std::fs::read_to_string(path).expect("records");
    let mut records = records.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("record"));
    let record = records.find(|record| record["name"] == name).expect("the record is there");
    let text = record["text"].as_str().expect("text");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !["PWD", "HOME", "USER", "LOGNAME", "NOMAD_TOKEN", "NOMAD_UNIX_ADDR"].contains(name))
        .map(|(name, value)| {
            let value = value
                .replace("<first 8 of alloc-20>", &alloc.id.short())
                .replace("<data-dir>/alloc/<alloc-20>", "/d/alloc/A")
                .replace("<alloc-20>", &alloc.id.to_string())
                .replace("<port-2>", "20001")
                .replace("<port-1>", "20002");
            (name.to_owned(), value)
        })
        .collect()
}

#[proves("CLI-099", "NET-019")]
#[test]
fn tasks_find_what_the_recorded_ones_found() {
    let alloc = census();
    for (record, task) in [("runtime/env-raw_exec", "raw"), ("runtime/env-exec", "cage")] {
        let found = build(&alloc, task, &map(&[("PATH", "/bin"), ("NOMAD_DC", "not this")]));
        let mut shown = found.variables().clone();
        assert_eq!(shown.remove("PATH").as_deref(), Some("/bin"));
        // A shell does not pass on names that it could not have set; these three keep the label as written.
        for family in ["ALLOC_PORT", "HOST_ADDR", "HOST_IP"] {
            assert!(shown.remove(&format!("NOMAD_{family}_ad-min")).is_some(), "{family}");
        }
        assert_eq!(shown, recorded(record, &alloc), "{record}");
    }
}

#[test]
fn optional_metadata_of_a_dispatch_is_empty_when_not_given() {
    let mut alloc = census();
    let job = Arc::make_mut(&mut alloc.job);
    job.dispatched = true;
    job.parent_id = "courier".to_owned();
    job.parameterized = Some(Parameterized { meta_optional: vec!["cc".to_owned()], ..Parameterized::default() });
    let found = build(&alloc, "raw", &BTreeMap::new());
    let variables = found.variables();
    assert_eq!(variables["NOMAD_META_cc"], "");
    assert_eq!(variables["NOMAD_META_CC"], "");
    assert_eq!(variables["NOMAD_JOB_PARENT_ID"], "courier");
}

#[proves("CLI-100")]
#[test]
fn references_resolve_to_the_node_and_the_tasks_own_variables_only() {
    let environment = build(&census(), "raw", &BTreeMap::new());
    let table = [
        ("${node.unique.name}-${attr.kernel.name}", "dell-linux"),
        ("${meta.rack} ${NOMAD_META_colour} ${env[\"CUSTOM\"]}", "r7 tan raw-v"),
        ("${NOMAD_TASK_NAME}.${NOMAD_PORT_web}", "raw.20001"),
        ("${SECRET} ${NOMAD_META_other}", "${SECRET} ${NOMAD_META_other}"),
        ("${unknown} ${ } ${", "${unknown} ${ } ${"),
        ("plain", "plain"),
    ];
    for (text, expected) in table {
        assert_eq!(environment.interpolate(text), expected, "{text}");
    }
}

#[test]
fn lists_of_cores_are_short() {
    assert_eq!(list_of(&[3, 1, 2, 7]), "1-3,7");
}
