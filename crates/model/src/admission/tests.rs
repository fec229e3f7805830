//! Admission against what the real program stored for the same jobs.

use drover_macros::proves;
use serde_json::Value;

use super::*;
use crate::job::{Job, JobView};
use crate::mirror::Mirror;

const RECORDS: &str = include_str!("../../../../testdata/golden/jobs-canonical.jsonl");

const BAD: &str = include_str!("../../../../testdata/golden/jobs-bad.jsonl");
const DIFFERENCES: &str = include_str!("../../../../testdata/differences.toml");

/// The peers of the agent that the records called `wi` come from.
fn peers() -> Peers {
    let identity = |audience: &str, hours: i64| {
        Some(DefaultIdentity { audience: vec![audience.to_owned()], ttl: hours * 3_600_000_000_000, ..DefaultIdentity::default() })
    };
    Peers {
        vault: true,
        vault_identity: identity("vault.example", 1),
        consul_service_identity: identity("consul.example", 2),
        consul_task_identity: identity("consul.example", 3),
    }
}

fn admit(sent: &Value, peers: &Peers) -> drover_api::Job {
    let mut job: drover_api::Job = serde_json::from_value(sent.clone()).unwrap();
    canonicalize(&mut job, &Surroundings { region: "global", namespace: "default" });
    complete_with(&mut job, peers);
    job
}

fn difference(place: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, theirs) in b {
                difference(&format!("{place}.{key}"), a.get(key).unwrap_or(&Value::Null), theirs, out);
            }
            for key in a.keys().filter(|key| !b.contains_key(*key)) {
                out.push(format!("{place}.{key}: ours {}, not in the record", a[key]));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (position, (ours, theirs)) in a.iter().zip(b).enumerate() {
                difference(&format!("{place}[{position}]"), ours, theirs, out);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{place}: ours {a}, record {b}")),
    }
}

/// Records of this kind that differ, with a reason each, by name.
fn differences(kind: &str) -> Vec<&'static str> {
    let start = format!("record = \"{kind}/");
    DIFFERENCES.lines().filter_map(|line| line.strip_prefix(start.as_str())?.strip_suffix('"')).collect()
}

/// Fails unless exactly the listed records differ.
pub(crate) fn finish(kind: &str, records: usize, differing: &[(String, Vec<String>)]) {
    let listed = differences(kind);
    let mut wrong: Vec<String> = Vec::new();
    for (name, lines) in differing.iter().filter(|(name, _)| !listed.contains(&name.as_str())) {
        wrong.push(format!("{name}:\n    {}", lines.join("\n    ")));
    }
    for name in listed.iter().filter(|name| !differing.iter().any(|(differs, _)| differs == *name)) {
        wrong.push(format!("{name}: agrees now, take it off testdata/differences.toml"));
    }
    assert!(wrong.is_empty(), "{} of {records} records of {kind} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("{} of {records} records of {kind} agree", records - differing.len());
}

#[test]
fn stored_jobs_agree_with_the_records() {
    let (mut count, mut differing) = (0, Vec::new());
    for line in RECORDS.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let name = record["name"].as_str().unwrap();
        count += 1;
        let peers = if name.ends_with(".wi") { peers() } else { Peers::default() };
        let admitted = admit(&record["sent"], &peers);
        let problems = validate_with(&admitted, &peers);
        let mut found = Vec::new();
        if let Some(refused) = record["refused"].as_str() {
            let wanted = refused.split_once(' ').unwrap().1;
            let ours = problems.to_string();
            let squeezed = |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            if squeezed(&ours) != squeezed(wanted) {
                found.push(format!("ours {ours:?}, record {wanted:?}"));
            }
        } else {
            found.extend(problems.texts.iter().map(|problem| format!("refused: {problem:?}")));
            let domain = Job::from_api(admitted.clone());
            // Through the binary form, as the log would carry it.
            let domain: Job = minicbor::decode(&minicbor::to_vec(&domain).unwrap()).unwrap();
            let status = record["stored"]["Status"].as_str().unwrap().to_owned();
            let ours = serde_json::to_value(domain.to_api(&JobView { status, ..JobView::default() })).unwrap();
            difference("", &ours, &record["stored"], &mut found);
            found.retain(|line| !line.split(':').next().is_some_and(|place| place.ends_with(".Scaling.ID")));
            let ours = warnings(&admitted, Oversubscription::Off);
            let wanted = record["warnings"].as_str().unwrap_or_default();
            let listed = match ours.as_slice() {
                [] => String::new(),
                [one] => format!("1 warning:\n\n* {one}"),
                many => format!("{} warnings:\n\n* {}", many.len(), many.join("\n* ")),
            };
            if listed.trim_end() != wanted {
                found.push(format!("warnings: ours {listed:?}, record {wanted:?}"));
            }
        }
        if !found.is_empty() {
            differing.push((name.to_owned(), found));
        }
    }
    finish("jobs", count, &differing);
}

/// Reads a job file that names nothing outside of itself.
fn read(name: &str, source: &str) -> Option<drover_api::Job> {
    struct Nothing;
    impl drover_lang::hcl::eval::Host for Nothing {
        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }
    let options = drover_lang::jobspec::Options {
        inputs: drover_lang::hcl::vars::Inputs::default(),
        host: &Nothing,
        budget: drover_lang::hcl::eval::Budget::default(),
    };
    drover_lang::jobspec::parse_job(&drover_lang::Source::new(name, source), &options).ok().map(|parsed| parsed.job)
}

#[test]
fn wrong_jobs_have_the_recorded_problems() {
    let (mut count, mut differing) = (0, Vec::new());
    for line in BAD.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let name = record["name"].as_str().unwrap().trim_end_matches(".nomad.hcl").trim_end_matches(".nomad.json");
        if !matches!(record["stage"].as_str(), Some("validate" | "register")) {
            continue;
        }
        let Some(job) = read(name, record["source"].as_str().unwrap()) else { continue };
        count += 1;
        let peers = if record["agent"] == "wi" { peers() } else { Peers::default() };
        let problems = validate_with(&admit(&serde_json::to_value(&job).unwrap(), &peers), &peers);
        // A server answers these as they are, without looking further.
        let ours = problems.refusal().map_or(problems.texts.clone(), |refusal| vec![format!("500 {refusal}")]);
        let submitted =
            record["messages"][0].as_str().and_then(|message| message.strip_prefix("Error submitting job: Unexpected response code: "));
        let submitted = submitted.map(|message| message.replacen(" (", " ", 1)).map(|message| message.trim_end_matches(')').to_owned());
        let mut wanted: Vec<&str> = record["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let ([], Some(submitted), Some(_)) = (wanted.as_slice(), &submitted, problems.refusal()) {
            wanted.push(submitted);
        }
        if ours != wanted {
            let wanted = if wanted.is_empty() { format!("{}", record["messages"]) } else { format!("{wanted:?}") };
            differing.push((name.to_owned(), vec![format!("ours   {ours:?}"), format!("record {wanted}")]));
        }
    }
    finish("jobs-bad", count, &differing);
}

fn job(change: impl FnOnce(&mut drover_api::TaskGroup)) -> drover_api::Job {
    let mut group = drover_api::TaskGroup {
        name: Some("g".to_owned()),
        tasks: Some(vec![drover_api::Task { name: "t".to_owned(), driver: "raw_exec".to_owned(), ..Default::default() }]),
        ..Default::default()
    };
    change(&mut group);
    let mut job = drover_api::Job { id: Some("j".to_owned()), task_groups: Some(vec![group]), ..Default::default() };
    canonicalize(&mut job, &Surroundings { region: "global", namespace: "default" });
    job
}

#[test]
fn a_plain_job_has_no_problems() {
    assert_eq!(validate(&job(|_| ())), JobProblems::default());
}

#[proves("CLI-043")]
#[test]
fn restart_policies_must_leave_room_for_their_attempts() {
    let with = |attempts, delay: i64, interval: i64, mode: &str| {
        let policy = drover_api::RestartPolicy {
            attempts: Some(attempts),
            delay: Some(delay * 1_000_000_000),
            interval: Some(interval * 1_000_000_000),
            mode: Some(mode.to_owned()),
            render_templates: None,
        };
        validate(&job(|group| group.restart_policy = Some(policy))).to_string()
    };
    assert!(with(2, 1, 2, "fail").contains("Interval can not be less than 5s (got 2s)"));
    assert!(with(20, 10, 60, "fail").contains("Nomad can't restart the TaskGroup 20 times in an interval of 1m0s with a delay of 10s"));
    assert!(with(0, 1, 60, "delay").contains("Restart policy \"delay\" with 0 attempts is ambiguous"));
    assert_eq!(validate(&job(|_| ())), JobProblems::default());
}

#[proves("CLI-034", "CLI-044")]
#[test]
fn tasks_take_their_restart_policy_from_the_group_field_by_field() {
    let mut sent = job(|_| ());
    let defaults = sent.task_groups.as_ref().unwrap()[0].restart_policy.clone().unwrap();
    assert_eq!((defaults.attempts, defaults.interval, defaults.delay), (Some(2), Some(1_800_000_000_000), Some(15_000_000_000)));
    assert_eq!(defaults.mode.as_deref(), Some("fail"));
    sent = job(|group| {
        group.restart_policy = Some(drover_api::RestartPolicy { attempts: Some(7), delay: Some(1), ..Default::default() });
        group.tasks.as_mut().unwrap()[0].restart_policy =
            Some(drover_api::RestartPolicy { delay: Some(2_000_000_000), ..Default::default() });
    });
    let task = sent.task_groups.unwrap().remove(0).tasks.unwrap().remove(0).restart_policy.unwrap();
    assert_eq!((task.attempts, task.delay, task.interval), (Some(7), Some(2_000_000_000), Some(1_800_000_000_000)));
    let mut batch = drover_api::Job {
        r#type: Some("batch".to_owned()),
        task_groups: Some(vec![drover_api::TaskGroup::default()]),
        ..Default::default()
    };
    canonicalize(&mut batch, &Surroundings { region: "global", namespace: "default" });
    let policy = batch.task_groups.unwrap().remove(0).restart_policy.unwrap();
    assert_eq!((policy.attempts, policy.interval), (Some(3), Some(86_400_000_000_000)));
}

#[proves("NET-002")]
#[test]
fn port_labels_and_static_ports_are_unique_in_a_group() {
    let port = |label: &str, value| drover_api::Port { label: label.to_owned(), value, ..Default::default() };
    let problems = |ports: Vec<drover_api::Port>| {
        let network = drover_api::NetworkResource { reserved_ports: Some(ports), ..Default::default() };
        validate(&job(|group| group.networks = Some(vec![network]))).to_string()
    };
    assert!(problems(vec![port("a", 80), port("a", 81)]).contains("Port label a already in use"));
    assert!(problems(vec![port("a", 80), port("b", 80)]).contains("Static port 80 already reserved"));
    assert!(problems(vec![port(&"x".repeat(129), 80)]).contains("is invalid"));
    assert!(problems(vec![port("a b", 80)]).contains("is invalid"));
    assert!(problems(vec![port("a", 70_000)]).contains("cannot be greater than"));
    assert_eq!(
        validate(&job(|group| {
            group.networks = Some(vec![drover_api::NetworkResource {
                reserved_ports: Some(vec![port("a_1", 80), port(&"y".repeat(128), 81)]),
                ..Default::default()
            }]);
        })),
        JobProblems::default()
    );
}

#[proves("CLI-074")]
#[test]
fn logs_must_fit_in_the_ephemeral_disk() {
    let problems = validate(&job(|group| {
        group.ephemeral_disk = Some(drover_api::EphemeralDisk { size_mb: Some(100), ..Default::default() });
    }));
    assert!(problems.to_string().contains("log storage (100 MB) must be less than requested disk capacity (100 MB)"));
}

#[test]
fn all_problems_are_found_at_once() {
    let problems = validate(&job(|group| {
        group.count = Some(-1);
        group.tasks.as_mut().unwrap()[0].driver.clear();
    }))
    .to_string();
    assert!(problems.contains("Task group count can't be negative") && problems.contains("Missing task driver"), "{problems}");
}

#[proves("DEP-003")]
#[test]
fn an_update_block_gets_the_known_values_where_it_says_nothing() {
    let mut sent = job(|group| group.update = Some(drover_api::UpdateStrategy::default()));
    canonicalize(&mut sent, &Surroundings { region: "global", namespace: "default" });
    let update = crate::UpdateStrategy::from_api(sent.task_groups.unwrap().remove(0).update.unwrap());
    let seconds = std::time::Duration::from_secs;
    assert_eq!(
        update,
        crate::UpdateStrategy {
            stagger: seconds(30),
            max_parallel: 1,
            health_check: crate::HealthCheck::Checks,
            min_healthy_time: seconds(10),
            healthy_deadline: seconds(300),
            progress_deadline: seconds(600),
            canary: 0,
            auto_revert: false,
            auto_promote: false,
        }
    );
}

#[proves("ACT-001")]
#[test]
fn actions_have_names_of_one_word_once_in_each_task() {
    let problems = |first: &[&str], second: &[&str]| {
        let actions = |names: &[&str]| -> Value {
            names.iter().map(|name| serde_json::json!({"Name": name, "Command": "/bin/true", "Args": ["x"]})).collect()
        };
        let task = |name: &str, names: &[&str]| serde_json::json!({"Name": name, "Driver": "mock_driver", "Config": {}, "Actions": actions(names)});
        let tasks = serde_json::json!([task("one", first), task("two", second)]);
        let job = serde_json::json!({"ID": "x", "Name": "x", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Tasks": tasks}]});
        validate_with(&admit(&job, &Peers::default()), &Peers::default()).texts.join("\n")
    };
    let long = "a".repeat(128);
    assert_eq!(problems(&["greet", "flush-cache", "Ä/ö.x", &long], &["greet"]), "");
    for (name, wanted) in
        [("two words", "invalid name"), ("", "invalid name"), ("zero\0", "invalid name"), (&"a".repeat(129), "invalid name")]
    {
        assert!(problems(&[name], &[]).contains(wanted), "{name:?}: {}", problems(&[name], &[]));
    }
    assert!(problems(&["greet", "greet"], &[]).contains("Action greet defined multiple times"));
}
