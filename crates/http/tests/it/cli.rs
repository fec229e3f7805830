//! Recorded command lines, replayed against a whole server: by themselves on a region with a node, and the life of one job.
//!
//! Tokens of a record stand for as many letters as they have, and `#` for digits. The web page that upstream points to after
//! many answers is not part of this version; those lines are left out. Differences on purpose are in
//! `testdata/differences.toml`, under `cli/` and the record's name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use drover_cli::ui::Captured;
use drover_cli::{Environment, Invocation, Ui};
use drover_model::{AllocUpdate, ClientStatus, DeploymentHealth, TaskState, TaskStatus};
use drover_rt::Clock;
use serde_json::Value;

use crate::agent::Whole;
use crate::golden::{command_row, compare_lines, differing, exercised, fits, records, split};

const FRESH: &str = include_str!("../../../../testdata/golden/cli-fresh.jsonl");
const FERRY: &str = include_str!("../../../../testdata/golden/cli-ferry.jsonl");

const ACL: &str = include_str!("../../../../testdata/golden/cli-acl.jsonl");
const VAR: &str = include_str!("../../../../testdata/golden/cli-var.jsonl");
/// A file beside the commands that holds the token they are run with.
pub(crate) const TOKEN: &str = "token.secret";

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

pub(crate) async fn drover(whole: &Whole, directory: &Path, line: &str, input: &str) -> Ran {
    let words = split(line);
    let variables = [("TZ", "UTC".to_owned()), ("DROVER_ADDR", format!("http://{}", whole.address()))];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    let token = std::fs::read_to_string(directory.join(TOKEN)).ok().map(|token| ("DROVER_TOKEN".to_owned(), token));
    let variables = variables.chain(token).collect();
    let files = drover_cli::files::KnownFiles(Some(std::sync::Arc::new(crate::own_files::OwnFiles)));
    let environment = Environment { variables, directory: directory.to_owned(), files, ..Environment::default() };
    let (out, error) = (Captured::default(), Captured::default());
    let input = Box::new(std::io::Cursor::new(input.as_bytes().to_vec()));
    let ui = Ui::new(Box::new(out.clone()), Box::new(error.clone()), input, false);
    let code = Invocation::parse(&words, &environment).run(ui, environment, Clock::system()).await;
    Ran { code, out: out.text(), error: error.text() }
}

/// Runs the command line of a record and notes what differs.
async fn replay(whole: &Whole, directory: &Path, record: &Value, differing: &BTreeSet<String>, wrong: &mut Vec<String>) {
    let (name, command) = (record["name"].as_str().unwrap(), record["command"].as_str().unwrap());
    let ran = drover(whole, directory, command.strip_prefix("nomad ").unwrap(), record["stdin"].as_str().unwrap_or_default()).await;
    exercised("cli", command_row(command.strip_prefix("nomad ").unwrap()), "drover_http::it::cli::replay");
    let mut found = Vec::new();
    if record["exit"].as_i64() != Some(i64::from(ran.code)) {
        found.push(format!("exit {}, recorded {}", ran.code, record["exit"]));
    }
    compare_lines("stdout", record["stdout"].as_str().unwrap(), &ran.out, &mut found);
    compare_lines("stderr", record["stderr"].as_str().unwrap(), &ran.error, &mut found);
    match (found.is_empty(), differing.contains(name)) {
        (false, false) => wrong.extend(found.iter().map(|line| format!("{name}: {command}: {line}"))),
        (true, true) => wrong.push(format!("{name}: agrees now, take it off the list of differences")),
        _ => {}
    }
}

#[test]
fn tokens_stand_for_as_many_letters_and_signs_for_digits() {
    assert!(fits("ID <alc-01>  running", "ID 12345678  running") && !fits("ID <alc-01>  running", "ID 1234567  running"));
    assert!(fits("Index: ###.", "Index: 7.") && !fits("Index: ###.", "Index: x."));
    assert!(fits("Quota = <none>", "Quota = <none>") && !fits("Quota = <none>", "Quota = abcdef"));
}

#[tokio::test]
async fn commands_on_a_new_region_answer_as_recorded() {
    let (all, differing) = (records(FRESH), differing("cli"));
    let whole = Whole::start().await;
    whole.add_node().await;
    let mut wrong = Vec::new();
    for record in all.values() {
        let directory = tempfile::tempdir().unwrap();
        replay(&whole, directory.path(), record, &differing, &mut wrong).await;
    }
    whole.end().await;
    assert!(all.len() > 40, "{} records", all.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Does for every allocation what a client would: what is placed runs and is healthy, unless its version fails, and what is
/// stopped ends.
pub(crate) fn obedient(whole: &Whole, fails: u64) {
    let (server, clock, node) = (whole.server.clone(), whole.clock.clone(), whole.node);
    whole.spawn("client", async move {
        loop {
            let state = server.snapshot();
            let now = clock.now();
            let task = |status| TaskState { status, started_at: now, ..TaskState::default() };
            let updates: Vec<AllocUpdate> = state
                .allocs()
                .filter(|alloc| !alloc.client_terminal())
                .filter_map(|alloc| {
                    let bad = alloc.job.version == fails && alloc.job.id.id == "ferry";
                    let status = match (alloc.server_terminal(), bad) {
                        (true, _) => ClientStatus::Complete,
                        (false, true) => ClientStatus::Failed,
                        (false, false) => ClientStatus::Running,
                    };
                    let waits = alloc.health.is_none() && alloc.deployment.is_some();
                    let ended = status.is_terminal();
                    let tasks = alloc.task_group().tasks.iter();
                    let of_task = if ended { TaskStatus::Dead } else { TaskStatus::Running };
                    (alloc.client_status != status || waits).then(|| AllocUpdate {
                        id: alloc.id,
                        status,
                        description: String::new(),
                        tasks: tasks.map(|own| (own.name.clone(), TaskState { failed: bad, ..task(of_task) })).collect(),
                        health: waits.then_some(DeploymentHealth { healthy: !bad, time: now }),
                    })
                })
                .collect();
            if !updates.is_empty() {
                server.update_allocs(node, updates).await.unwrap();
            }
            server.changed(state.index()).await;
        }
    });
}

/// The life of a job whose file the recording gives: a first version, a second one, one that fails and is taken back, and
/// changes of its count.
#[tokio::test]
async fn the_commands_of_a_job_s_life_answer_as_recorded() {
    let by_number: BTreeMap<String, Value> = records(FERRY).into_iter().map(|(name, record)| (name[..3].to_owned(), record)).collect();
    let differing = differing("cli");
    let whole = Whole::start().await;
    whole.add_node().await;
    obedient(&whole, 2);
    let directory = tempfile::tempdir().unwrap();
    let first = by_number["021"]["stdin"].as_str().unwrap().to_owned();
    let second = first.replace("count = 1", "count = 2").replace("STROKE = \"a\"", "STROKE = \"b\"");
    let third = second.replace("STROKE = \"b\"", "STROKE = \"c\"").replace("auto_revert       = false", "auto_revert       = true");
    let third = third.replace("echo up; echo low >&2; while true; do sleep 1; done", "exit 9");
    for (name, text) in [("ferry", &first), ("ferry2", &second), ("ferry3", &third)] {
        std::fs::write(directory.path().join(format!("{name}.nomad.hcl")), text).unwrap();
    }
    let mut wrong = Vec::new();
    let settled = async |version: u64| {
        let stable = |job: &Value| job["Version"] == version && job["Stable"] == true;
        whole.until("/v1/job/ferry", stable).await;
        whole.until("/v1/job/ferry/deployment", |deployment| deployment["Status"] == "successful").await;
        let over = |evals: &Value| evals.as_array().unwrap().iter().all(|eval| eval["Status"] == "complete");
        whole.until("/v1/job/ferry/evaluations", over).await;
    };
    let run = async |line: &str| {
        let ran = drover(&whole, directory.path(), line, "").await;
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.error);
    };
    for (set_up, version, numbers) in [
        ("job run -detach ferry.nomad.hcl", 0, &["020", "021", "022"][..]),
        ("", 0, &["016", "017", "023", "024", "025", "026", "027", "029", "031", "032", "034", "035", "036"]),
        ("job run -detach ferry2.nomad.hcl", 1, &[]),
        (
            "job run -detach ferry3.nomad.hcl",
            3,
            &["040", "041", "042", "044", "047", "048", "049", "050", "051", "059", "060", "062", "065", "066", "103"],
        ),
        ("job revert -detach ferry 0", 4, &[]),
        ("job scale -detach ferry boat 3", 5, &["067", "068", "069", "070"]),
    ] {
        if !set_up.is_empty() {
            run(set_up).await;
        }
        settled(version).await;
        for number in numbers {
            replay(&whole, directory.path(), &by_number[*number], &differing, &mut wrong).await;
            settled(version).await;
        }
    }
    whole.end().await;
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

async fn replay_all(whole: &Whole, packed: &str, files: &[(&str, &str)], first: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    for line in first {
        let ran = drover(whole, directory.path(), line, "").await;
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.error);
    }
    let (differing, mut wrong) = (differing("cli"), Vec::new());
    for line in packed.lines() {
        // Indexes within a sentence are those of the recording.
        let line = line.replace("index (447)", "index (###)").replace("index (1030)", "index (####)");
        let record: Value = serde_json::from_str(&line).unwrap();
        replay(whole, directory.path(), &record, &differing, &mut wrong).await;
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_commands_of_access_control_answer_as_recorded() {
    let acl = drover_server::AclConfig { enabled: true, ..drover_server::AclConfig::default() };
    let whole = Whole::with(drover_server::Config { acl, ..drover_server::Config::new(drover_raft::Storage::Memory) }).await;
    let (root, _) = whole.server.acl_bootstrap("").await.unwrap();
    let rules = "namespace \"default\" {\n  policy = \"read\"\n}\nnode {\n  policy = \"read\"\n}\n";
    replay_all(&whole, ACL, &[(TOKEN, &root.secret), ("pol.hcl", rules)], &[]).await;
    whole.end().await;
}

#[tokio::test]
async fn the_commands_of_variables_answer_as_recorded() {
    let whole = Whole::with(drover_server::Config { keyring: true, ..drover_server::Config::new(drover_raft::Storage::Memory) }).await;
    let specification = "path = \"farm/spec\"\nitems {\n  k = \"v\"\n}\n";
    replay_all(&whole, VAR, &[("spec.nv.hcl", specification)], &["var put farm/barn door=green"]).await;
    whole.end().await;
}

#[tokio::test]
async fn a_job_file_begins_as_a_template_of_the_region() {
    let whole = Whole::with(drover_server::Config { keyring: true, ..drover_server::Config::new(drover_raft::Storage::Memory) }).await;
    let directory = tempfile::tempdir().unwrap();
    let run = async |line: &str| drover(&whole, directory.path(), line, "").await;
    let none = run("job init -list-templates").await;
    assert!(none.code == 0 && none.out.starts_with("No job templates;"), "{}", none.out);
    std::fs::write(directory.path().join("house.hcl"), "job \"house\" {}\n").unwrap();
    for name in ["house", "barn"] {
        let put = run(&format!("var put -out none nomad/job-templates/{name} template=@house.hcl")).await;
        assert_eq!(put.code, 0, "{}{}", put.out, put.error);
    }
    assert_eq!(run("var put -out none nomad/job-templates/empty other=x").await.code, 0);
    assert_eq!(run("job init -list-templates").await.out, "barn\nempty\nhouse\n");
    let made = run("job init -template house new.nomad.hcl").await;
    assert_eq!((made.code, made.out.as_str()), (0, "Example job file written to new.nomad.hcl\n"), "{}", made.error);
    assert_eq!(std::fs::read_to_string(directory.path().join("new.nomad.hcl")).unwrap(), "job \"house\" {}\n");
    let missing = run("init -template=shed").await;
    assert!(missing.code == 1 && missing.error.contains("No job template \"shed\""), "{}", missing.error);
    let without = run("init -template=empty").await;
    assert!(without.code == 1 && without.error.contains("has no item \"template\""), "{}", without.error);
    assert!(!directory.path().join("example.nomad.hcl").exists());
    whole.end().await;
}
