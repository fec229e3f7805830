//! What a newcomer does in the first minutes.

use std::path::Path;

use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::json;

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    path.canonicalize().unwrap().display().to_string()
}

#[test]
fn the_example_service_becomes_healthy_answers_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Dev);
    let run = agent.cli(&["job", "run", &example("hello.nomad.hcl")]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("Monitoring evaluation") && run.out.contains("Deployment completed successfully"), "{}", run.out);
    let services = agent.get("/v1/service/hello");
    let address = format!("{}:{}", services[0]["Address"].as_str().unwrap(), services[0]["Port"]).parse().unwrap();
    assert_eq!(http::call(address, "GET", "/", None).unwrap().text(), "Hello from hello.web[0]\n");
    let status = agent.cli(&["job", "status", "hello"]);
    assert!(status.code == 0 && status.out.contains("running"), "{status:?}");
    let logs = agent.cli(&["alloc", "logs", "-job", "hello"]);
    assert!(logs.out.starts_with("listening on 127.0.0.1:"), "{logs:?}");
    let data: Vec<String> = agent.helpers().iter().map(ToString::to_string).collect();
    assert!(!data.is_empty(), "the service runs as a process of its own");
    assert_eq!(agent.stop(), 0, "{}", agent.log());
    let left = agent.until_helpers_gone();
    assert!(left.is_empty(), "processes stay behind: {left:?}");
    assert!(http::call(address, "GET", "/", None).is_err(), "the service is gone");
}

#[test]
fn a_machine_without_certificates_of_authorities_is_no_obstacle() {
    const NONE: [&str; 3] = ["env", "SSL_CERT_FILE=/nowhere", "SSL_CERT_DIR=/nowhere"];
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start_with(directory.path(), Mode::Dev, "", &NONE);
    // Its check speaks HTTP.
    let run = std::process::Command::new(NONE[0])
        .args(&NONE[1..])
        .arg(drover_e2e::agent::program())
        .args(["job", "run", &example("hello.nomad.hcl")])
        .env("NOMAD_ADDR", format!("http://{}", agent.address))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("Deployment completed successfully"), "{run:?}\n{}", agent.log());
    assert_eq!(agent.stop(), 0, "{}", agent.log());
}

#[test]
fn a_job_can_be_planned_scaled_updated_reverted_and_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let file = |version: &str, count: u32| {
        let path = directory.path().join(format!("web-{version}-{count}.nomad.hcl"));
        let text = format!(
            r#"job "web" {{
  group "g" {{
    count = {count}
    update {{
      min_healthy_time = "0s"
      healthy_deadline = "20s"
    }}
    task "t" {{
      driver = "mock_driver"
      config {{ run_for = "1h" }}
      env {{ VERSION = "{version}" }}
      resources {{
        cpu = 10
        memory = 10
      }}
    }}
  }}
}}"#
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let plan = agent.cli(&["job", "plan", &file("1", 2)]);
    assert_eq!(plan.code, 1, "changes are planned: {plan:?}");
    assert!(plan.out.contains("+ Job: \"web\""), "{}", plan.out);
    let run = agent.cli(&["job", "run", &file("1", 2)]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(agent.cli(&["job", "plan", &file("1", 2)]).code, 0, "nothing is left to do");
    assert_eq!(agent.cli(&["job", "run", &file("2", 2)]).code, 0);
    let live = |version: u64, count: usize| {
        agent.until("/v1/job/web/allocations", "the version", |allocs| {
            let running = allocs.as_array().unwrap().iter().filter(|alloc| alloc["ClientStatus"] == "running");
            running.clone().count() == count && running.into_iter().all(|alloc| alloc["JobVersion"] == version)
        })
    };
    live(1, 2);
    let scale = agent.cli(&["job", "scale", "web", "3"]);
    assert_eq!(scale.code, 0, "{scale:?}");
    live(2, 3);
    let revert = agent.cli(&["job", "revert", "web", "0"]);
    assert_eq!(revert.code, 0, "{revert:?}");
    live(3, 2);
    let history = agent.cli(&["job", "history", "web"]);
    assert!(history.out.contains("Version     = 3"), "{}", history.out);
    let stop = agent.cli(&["job", "stop", "-yes", "web"]);
    assert_eq!(stop.code, 0, "{stop:?}");
    agent.until("/v1/job/web", "the end", |job| job["Status"] == "dead");
    assert_eq!(agent.cli(&["job", "stop", "-purge", "-yes", "web"]).code, 0);
    assert_eq!(agent.call("GET", "/v1/job/web", None).status, 404);
}

#[proves("SVC-011", "SVC-009")]
#[test]
fn services_are_listed_by_name_and_an_empty_list_is_a_list() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    assert_eq!(agent.call("GET", "/v1/services", None).text(), "[]");
    let task = json!({ "Name": "t", "Driver": "mock_driver", "Config": { "run_for": "1h" } });
    let service = |tag: &str| json!({ "Name": "web", "Provider": "nomad", "PortLabel": "http", "Tags": [tag, "shared"] });
    for (job, tag) in [("one", "a"), ("two", "b")] {
        agent.register(json!({ "ID": job, "TaskGroups": [{
            "Name": "g", "Tasks": [task], "Services": [service(tag)],
            "Networks": [{ "DynamicPorts": [{ "Label": "http" }] }],
        }] }));
    }
    let listed = agent.until("/v1/services", "both", |list| list[0]["Services"][0]["Tags"].as_array().is_some_and(|tags| tags.len() == 3));
    let mut tags: Vec<&str> = listed[0]["Services"][0]["Tags"].as_array().unwrap().iter().filter_map(|tag| tag.as_str()).collect();
    tags.sort_unstable();
    assert_eq!((listed[0]["Namespace"].as_str(), tags), (Some("default"), vec!["a", "b", "shared"]));
    assert_eq!(agent.get("/v1/service/web").as_array().unwrap().len(), 2);
}
