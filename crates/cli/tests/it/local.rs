//! Records that need no agent: usage errors, files, prompts.

use crate::{drover, ours, records};

const RECORDS: &str = include_str!("../../../../testdata/golden/cli-local.jsonl");

#[tokio::test]
async fn usage_errors_are_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ferry.nomad.hcl"), "job \"ferry\" {}\n").unwrap();
    let shown = directory.path().display().to_string();
    let mut wrong = Vec::new();
    let all = records(RECORDS);
    assert!(all.len() >= 17, "{} records", all.len());
    for (number, record) in all {
        let command = record["command"].as_str().unwrap();
        let mut variables = Vec::new();
        for note in record["notes"].as_array().unwrap() {
            if let Some((name, value)) = note.as_str().unwrap().strip_prefix("environment: ").and_then(|pair| pair.split_once('=')) {
                variables.push((name, value));
            }
        }
        let ran = drover(command.strip_prefix("nomad ").unwrap(), directory.path(), &variables, "").await;
        let (out, error) = (ours(record["stdout"].as_str().unwrap()), ours(record["stderr"].as_str().unwrap()));
        if i64::from(ran.code) != record["exit"].as_i64().unwrap() {
            wrong.push(format!("{number} {command}: exit {}", ran.code));
        }
        if out != "<help text>" && ran.out.trim() != out.trim() {
            wrong.push(format!("{number} {command}: stdout {:?}", ran.out));
        }
        if out == "<help text>" && !ran.out.starts_with("Usage: drover") {
            wrong.push(format!("{number} {command}: no help, {:?}", ran.out));
        }
        if ran.error.trim().replace(&shown, "<work-dir>") != error.trim() {
            wrong.push(format!("{number} {command}: stderr {:?}", ran.error));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let directory = tempfile::tempdir().unwrap();
    let ran = drover("job status", directory.path(), &[("NOMAD_ADDR", &format!("http://{address}"))], "").await;
    let expected = format!("Error querying jobs: Get \"http://{address}/v1/jobs\": dial tcp {address}: connect: connection refused\n");
    let hint = format!(
        "No agent could be reached at http://{address}, which NOMAD_ADDR says; set another address with -address or DROVER_ADDR.\n"
    );
    assert_eq!((ran.code, ran.error), (1, expected + &hint));
}

#[tokio::test]
async fn a_broken_job_file_shows_every_problem_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bad.nomad.hcl"), "job \"a\" {\n  bogus = 1\n  typ = \"batch\"\n}\n").unwrap();
    let ran = drover("job validate bad.nomad.hcl", directory.path(), &[], "").await;
    assert_eq!(ran.code, 1);
    let head = "Error getting job struct: Error parsing job file from bad.nomad.hcl:\nbad.nomad.hcl:2,3-8: Unsupported argument; ";
    assert!(ran.error.starts_with(head), "{}", ran.error);
    assert!(ran.error.contains("\n  2 |   bogus = 1\n    |   ^^^^^\n"), "{}", ran.error);
    assert!(ran.error.contains("bad.nomad.hcl:3,3-6") && ran.error.contains("\"type\""), "{}", ran.error);
}

#[tokio::test]
async fn the_example_job_files_can_be_read() {
    for flags in ["", "-short", "-connect"] {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(drover(&format!("job init {flags} a.hcl"), directory.path(), &[], "").await.code, 0);
        let ran = drover("job run -output a.hcl", directory.path(), &[], "").await;
        assert_eq!((ran.code, ran.error.as_str()), (0, ""));
        let id = if flags == "-connect" { "countdash" } else { "example" };
        assert!(ran.out.contains(&format!("\"ID\": \"{id}\"")), "{}", ran.out);
        assert_eq!(drover("job validate -offline a.hcl", directory.path(), &[], "").await.code, 0);
        // The examples are in their canonical layout.
        assert_eq!(drover("fmt -check a.hcl", directory.path(), &[], "").await.code, 0);
    }
}

#[tokio::test]
async fn variables_come_from_flags_files_and_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        "variable \"a\" {}\nvariable \"b\" {}\nvariable \"c\" {}\njob \"x\" {\n  meta {\n    v = \"${var.a}${var.b}${var.c}\"\n  }\n}\n";
    std::fs::write(directory.path().join("x.hcl"), text).unwrap();
    std::fs::write(directory.path().join("x.vars"), "b = \"2\"\n").unwrap();
    let line = "job run -output x.hcl -var a=1 -var-file=x.vars";
    let ran = drover(line, directory.path(), &[("NOMAD_VAR_c", "3")], "").await;
    assert!(ran.out.contains("\"v\": \"123\""), "{}{}", ran.out, ran.error);
    let ran = drover("job run -output x.hcl", directory.path(), &[], "").await;
    assert!(ran.code == 1 && ["\"a\"", "\"b\"", "\"c\""].iter().all(|name| ran.error.contains(name)), "{}", ran.error);
}

const UGLY: &str = "job \"x\" {\ngroup \"g\" { # one\n  count=1\n    task \"t\" {\n  driver  = \"raw_exec\"\n}\n}\n}\n";

#[tokio::test]
async fn files_are_formatted_in_place_checked_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ugly.nomad.hcl");
    std::fs::write(&path, UGLY).unwrap();
    std::fs::create_dir(directory.path().join("below")).unwrap();
    std::fs::write(directory.path().join("below/b.hcl"), "a=1\n").unwrap();
    let ran = drover("fmt -check ugly.nomad.hcl", directory.path(), &[], "").await;
    assert_eq!((ran.code, ran.out.trim()), (1, "ugly.nomad.hcl"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), UGLY);
    let ran = drover("fmt", directory.path(), &[], "").await;
    assert_eq!((ran.code, ran.out.trim()), (0, "ugly.nomad.hcl"));
    let formatted = std::fs::read_to_string(&path).unwrap();
    assert!(formatted.contains("  group \"g\" { # one\n    count = 1\n"), "{formatted}");
    assert_eq!(drover("fmt -check ugly.nomad.hcl", directory.path(), &[], "").await.code, 0);
    let ran = drover("fmt -recursive -write=false", directory.path(), &[], "").await;
    assert_eq!((ran.code, ran.out.trim()), (0, "below/b.hcl"));
    assert_eq!(std::fs::read_to_string(directory.path().join("below/b.hcl")).unwrap(), "a=1\n");
    let ran = drover("fmt -recursive -list=false .", directory.path(), &[], "").await;
    assert_eq!((ran.code, ran.out.trim()), (0, ""));
    assert_eq!(std::fs::read_to_string(directory.path().join("below/b.hcl")).unwrap(), "a = 1\n");
    let ran = drover("fmt -", directory.path(), &[], "a=1\nbb   = 2\n").await;
    assert_eq!((ran.code, ran.out.trim()), (0, "a  = 1\nbb = 2"));
    std::fs::write(directory.path().join("broken.nomad.hcl"), "job \"x\" {\n").unwrap();
    let ran = drover("fmt broken.nomad.hcl", directory.path(), &[], "").await;
    assert!(ran.code == 1 && ran.error.contains("broken.nomad.hcl line"), "{}", ran.error);
    assert!(drover("fmt none.hcl", directory.path(), &[], "").await.code == 1);
    let ran = drover("fmt -json broken.nomad.hcl", directory.path(), &[], "").await;
    let told: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
    assert_eq!((ran.code, &told["Diagnostics"][0]["Place"]["File"]), (1, &serde_json::json!("broken.nomad.hcl")), "{told}");
    let ran = drover("fmt -json -", directory.path(), &[], "job \"x\" {\n").await;
    assert!(ran.code == 1 && ran.out.contains("Diagnostics"), "{}", ran.out);
}

#[tokio::test]
async fn agent_configuration_is_checked_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("a.hcl", "client {\n  enabled = true\n}\n");
    let ran = drover("config validate a.hcl", directory.path(), &[], "").await;
    assert!(ran.code == 1 && ran.error.contains("data_dir") && ran.error.contains("Configuration is invalid"), "{}", ran.error);
    write("b.hcl", "data_dir = \"/x\"\n");
    let ran = drover("config validate a.hcl b.hcl", directory.path(), &[], "").await;
    assert_eq!((ran.code, ran.out.trim()), (0, "Configuration is valid!"));
    assert_eq!(drover("config validate .", directory.path(), &[], "").await.code, 0);
    write("c.hcl", "bogus = 1\nclient {\n  enabeld = true\n}\n");
    let ran = drover("config validate c.hcl", directory.path(), &[], "").await;
    assert!(ran.code == 1 && ran.error.contains("bogus") && ran.error.contains("\"enabled\""), "{}", ran.error);
    assert_eq!(drover("config validate none.hcl", directory.path(), &[], "").await.code, 1);
}

#[tokio::test]
async fn a_job_is_validated_without_an_agent() {
    let directory = tempfile::tempdir().unwrap();
    let good = "job \"x\" {\n  group \"g\" {\n    task \"t\" {\n      driver = \"raw_exec\"\n    }\n  }\n}\n";
    std::fs::write(directory.path().join("good.nomad.hcl"), good).unwrap();
    std::fs::write(directory.path().join("bad.nomad.hcl"), good.replace("driver = \"raw_exec\"", "kill_timeout = \"-1s\"")).unwrap();
    let ran = drover("job validate -offline good.nomad.hcl", directory.path(), &[], "").await;
    assert_eq!((ran.code, ran.out.trim()), (0, "Job validation successful"), "{}", ran.error);
    let ran = drover("job validate -offline bad.nomad.hcl", directory.path(), &[], "").await;
    assert_eq!(ran.code, 1);
    assert!(ran.error.contains("Missing task driver") && ran.error.contains("KillTimeout must be a positive value"), "{}", ran.error);
    std::fs::write(directory.path().join("typo.nomad.hcl"), "job \"x\" {\n  typ = 1\n}\n").unwrap();
    let ran = drover("job validate -offline -json-output typo.nomad.hcl", directory.path(), &[], "").await;
    let told: serde_json::Value = serde_json::from_str(ran.error.trim()).unwrap();
    let first = &told["Diagnostics"][0];
    assert_eq!((first["Place"]["Line"].as_i64(), first["Place"]["Column"].as_i64()), (Some(2), Some(3)));
    assert_eq!(first["Hint"].as_str(), Some("Did you mean \"type\"?"));
}

/// The line of a problem's text in what was told: the one after it, which repeats the source.
fn line_after<'a>(told: &'a str, text: &str) -> &'a str {
    let mut lines = told.lines().skip_while(|line| !(line.contains(".hcl:") && line.contains(text)));
    lines.nth(1).unwrap_or_else(|| panic!("no place for {text:?} in:\n{told}"))
}

#[tokio::test]
async fn what_breaks_a_rule_is_shown_where_the_file_says_it() {
    let directory = tempfile::tempdir().unwrap();
    let job = r#"
variable "delay" {
  default = "-1s"
}
job "x" {
  type     = "service"
  priority = 400
  update {
    max_parallel = 2
    min_healthy_time = "20m"
  }
  dynamic "group" {
    for_each = ["a", "b"]
    labels   = [group.value]
    content {
      count = 1
      network {
        port "http" { to = 8080 }
        port "admin" { static = 99999 }
      }
      task "web" {
        driver       = "raw_exec"
        kill_timeout = var.delay
        constraint {
          attribute = "${attr.kernel.name}"
          regexp    = "("
        }
        dynamic "template" {
          for_each = [{ to = "local/a", mode = "restart" }, { to = "local/b", mode = "never" }]
          content {
            data        = "x"
            destination = template.value.to
            change_mode = template.value.mode
          }
        }
        volume_mount {
          volume      = "none"
          destination = "/x"
        }
      }
      task "empty" {}
    }
  }
}
"#;
    std::fs::write(directory.path().join("rules.nomad.hcl"), job).unwrap();
    let ran = drover("job validate -offline rules.nomad.hcl", directory.path(), &[], "").await;
    assert_eq!(ran.code, 1);
    for (text, line) in [
        ("priority must be between", "priority = 400"),
        ("Minimum healthy time must be less", "min_healthy_time = \"20m\""),
        ("Port admin (99999)", "port \"admin\" { static = 99999 }"),
        ("KillTimeout must be", "kill_timeout = var.delay"),
        ("failed to compile", "regexp    = \"(\""),
        ("Invalid change mode", "change_mode = template.value.mode"),
        ("undefined volume none", "volume      = \"none\""),
        ("Missing task driver", "task \"empty\" {}"),
    ] {
        assert!(line_after(&ran.error, text).contains(line), "{text}: {}\n{}", line_after(&ran.error, text), ran.error);
    }
    // What stands elsewhere is shown there, too: the default of the variable, the entry of the collection.
    let shown = |text: &str| ran.error.split(text).nth(1).and_then(|rest| rest.split("The value comes from line ").nth(1)).unwrap();
    assert!(ran.error.matches("default = \"-1s\"").count() >= 1, "{}", ran.error);
    assert!(shown("change_mode = template.value.mode").starts_with("29, "), "{}", ran.error);
    let ran = drover("job validate -offline -json-output rules.nomad.hcl", directory.path(), &[], "").await;
    let told: serde_json::Value = serde_json::from_str(ran.error.trim()).unwrap();
    let of = |text: &str| {
        let all = told["Diagnostics"].as_array().unwrap();
        all.iter().find(|one| one["Detail"].as_str().unwrap().contains(text)).unwrap_or_else(|| panic!("{text}: {told}")).clone()
    };
    assert_eq!(of("priority")["Place"]["Line"], 7);
    assert_eq!(of("KillTimeout")["Cause"]["Place"]["Line"], 3);
    // The same of a job in the API's JSON.
    let json = "{\n  \"Job\": {\n    \"ID\": \"x\",\n    \"Type\": \"batch\",\n    \"Priority\": 400,\n    \"TaskGroups\": [\n      {\"Name\": \"g\", \"Tasks\": \
                [\n        {\"Name\": \"t\",\n         \"Driver\": \"\"}]}]}}\n";
    std::fs::write(directory.path().join("rules.json"), json).unwrap();
    let ran = drover("job validate -offline -json rules.json", directory.path(), &[], "").await;
    assert!(ran.error.contains("rules.json:5,17-20: ") && ran.error.contains("rules.json:9,20-22: "), "{}", ran.error);
}

#[tokio::test]
async fn values_of_agent_configuration_that_cannot_be_are_shown_in_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("a.hcl", "data_dir = \"/x\"\nserver {\n  enabled = true\n}\nports {\n  http = 4646\n}\n");
    write("b.hcl", "ports {\n  http = 99999\n}\nclient {\n  enabled   = true\n  state_dir = \"here\"\n}\n");
    let ran = drover("config validate a.hcl b.hcl", directory.path(), &[], "").await;
    assert_eq!(ran.code, 1);
    assert!(ran.error.contains("b.hcl line 2, column 10") && ran.error.contains("http = 99999"), "{}", ran.error);
    assert!(ran.error.contains("state_dir = \"here\"") && ran.error.contains("absolute path"), "{}", ran.error);
    let ran = drover("config validate -json a.hcl b.hcl", directory.path(), &[], "").await;
    let told: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
    let lines: Vec<_> = told["Diagnostics"].as_array().unwrap().iter().map(|one| one["Place"]["Line"].as_i64()).collect();
    assert_eq!((ran.code, lines), (1, vec![Some(2), Some(6)]));
}

#[tokio::test]
async fn everything_that_an_agent_would_refuse_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let broken = "bogus = 1\nbind_addr = \"{{ GetPrivateIp }}\"\nlog_level = \"loud\"\n";
    write("a.hcl", broken);
    let more = "advertise {\n  http = \"{{ GetInterfaceIP\"\n}\naddresses {\n  rpc = \"everywhere\"\n}\nserver {\n  enabled = true\n  \
                eval_gc_threshold = \"soon\"\n  enabled_schedulers = [\"batches\"]\n  raft_multiplier = 2\n}\ntls {\n  http = true\n}\n";
    write("b.hcl", more);
    let ran = drover("config validate -json a.hcl b.hcl", directory.path(), &[], "").await;
    let told: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
    let of = |severity: &str| -> Vec<String> {
        let all = told["Diagnostics"].as_array().unwrap().iter().filter(|one| one["Severity"] == severity);
        let mut places: Vec<String> = all
            .map(|one| format!("{}:{}", one["Place"]["File"].as_str().unwrap().rsplit('/').next().unwrap(), one["Place"]["Line"]))
            .collect();
        places.sort();
        places
    };
    assert_eq!(of("error"), ["a.hcl:1", "a.hcl:2", "a.hcl:3", "b.hcl:10", "b.hcl:14", "b.hcl:2", "b.hcl:5", "b.hcl:9"], "{told}");
    assert_eq!(of("warning"), ["b.hcl:11"], "{told}");
    let ran = drover("config validate a.hcl b.hcl", directory.path(), &[], "").await;
    assert!(ran.error.contains("GetPrivateIp") && ran.error.contains("eval_gc_threshold = \"soon\""), "{}", ran.error);
    write("c.hcl", "data_dir = \"/x\"\nbind_addr = \"{{ GetPrivateIP }}\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n}\n");
    assert_eq!(drover("config validate c.hcl", directory.path(), &[], "").await.code, 0);
}
