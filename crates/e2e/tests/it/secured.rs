//! An agent whose API speaks TLS, with certificates that its own commands made.

use std::path::Path;
use std::process::Command;

use drover_e2e::agent::{Agent, Mode, Output, program};

const TRIES: u32 = 600;

/// Makes an authority and certificates in a fresh directory.
fn certificates(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    for words in [&["tls", "ca", "create"][..], &["tls", "cert", "create", "-server"], &["tls", "cert", "create", "-cli"]] {
        let made = Command::new(program()).args(words).current_dir(directory).output().unwrap();
        assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    }
}

/// A command over TLS with the certificates of `directory`.
fn cli(agent: &Agent, directory: &Path, words: &[&str]) -> Output {
    let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let at = all.iter().position(|word| word.starts_with('-')).unwrap_or(all.len()).min(2);
    for (flag, file) in
        [("ca-cert", "nomad-agent-ca.pem"), ("client-cert", "global-cli-nomad.pem"), ("client-key", "global-cli-nomad-key.pem")]
    {
        all.insert(at, format!("-{flag}={}", directory.join(file).display()));
    }
    all.insert(at, format!("-address=https://{}", agent.address));
    agent.cli_with(&all, "")
}

fn until(what: &str, agent: &Agent, met: impl Fn() -> bool) {
    for _ in 0..TRIES {
        if met() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("waited for {what}\n{}", agent.log());
}

#[test]
fn the_api_speaks_tls_with_everybody_and_takes_new_certificates_while_it_runs() {
    let scratch = tempfile::tempdir().unwrap();
    let (first, second, used) = (scratch.path().join("first"), scratch.path().join("second"), scratch.path().join("used"));
    certificates(&first);
    certificates(&second);
    std::fs::create_dir_all(&used).unwrap();
    let names = ["nomad-agent-ca.pem", "global-server-nomad.pem", "global-server-nomad-key.pem"];
    let put = |from: &Path| {
        for name in names {
            std::fs::copy(from.join(name), used.join(name)).unwrap();
        }
    };
    put(&first);
    let file = |name: &str| used.join(name).display().to_string();
    let config = format!(
        "tls {{\n http = true\n verify_https_client = true\n ca_file = {:?}\n cert_file = {:?}\n key_file = {:?}\n}}\n",
        file(names[0]),
        file(names[1]),
        file(names[2])
    );
    let mut agent = Agent::prepare(&scratch.path().join("agent"), Mode::Dev, &config, &[]);
    agent.launch();
    until("the node", &agent, || cli(&agent, &first, &["node", "status"]).out.contains("ready"));

    // Who speaks no TLS, has no certificate or trusts another authority gets nowhere, and is told why.
    let plain = agent.call("GET", "/v1/jobs", None);
    assert!(plain.status == 400 && plain.text().contains("HTTPS server"), "{}", plain.text());
    assert_eq!(cli(&agent, &second, &["job", "status"]).code, 1);
    let without = agent.cli(&["job", "status", &format!("-address=https://{}", agent.address), "-tls-skip-verify"]);
    assert!(without.code == 1 && !without.error.is_empty(), "{without:?}");
    let wrong = cli(&agent, &first, &["job", "status", "-tls-server-name=client.global.nomad"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    let named = cli(&agent, &first, &["job", "status", "-tls-server-name=server.global.nomad"]);
    assert_eq!(named.code, 0, "{named:?}");
    let environment = Command::new(program())
        .args(["node", "status"])
        .env("NOMAD_ADDR", format!("https://{}", agent.address))
        .env("NOMAD_CACERT", first.join("nomad-agent-ca.pem"))
        .env("NOMAD_CLIENT_CERT", first.join("global-cli-nomad.pem"))
        .env("NOMAD_CLIENT_KEY", first.join("global-cli-nomad-key.pem"))
        .output()
        .unwrap();
    assert!(environment.status.success(), "{}", String::from_utf8_lossy(&environment.stderr));

    // A job with everything that speaks to the agent: logs, commands in tasks, files.
    let job = scratch.path().join("job.nomad.hcl");
    let text = "job \"safe\" {\n group \"g\" {\n task \"t\" {\n driver = \"raw_exec\"\n config {\n command = \"/bin/sh\"\n args = [\"-c\", \"echo over tls; sleep 600\"]\n }\n }\n }\n}\n";
    std::fs::write(&job, text).unwrap();
    let run = cli(&agent, &first, &["job", "run", &job.display().to_string()]);
    assert_eq!(run.code, 0, "{run:?}");
    until("the output", &agent, || cli(&agent, &first, &["alloc", "logs", "-job", "safe"]).out.contains("over tls"));
    let executed = cli(&agent, &first, &["alloc", "exec", "-i=false", "-t=false", "-job", "safe", "echo", "inside"]);
    assert_eq!((executed.code, executed.out.trim()), (0, "inside"), "{executed:?}");
    let nodes = cli(&agent, &first, &["operator", "api", "/v1/nodes"]);
    let nodes: serde_json::Value = serde_json::from_str(&nodes.out).unwrap();
    let node = cli(&agent, &first, &["operator", "api", &format!("/v1/node/{}", nodes[0]["ID"].as_str().unwrap())]);
    let node: serde_json::Value = serde_json::from_str(&node.out).unwrap();
    assert_eq!(node["TLSEnabled"], true);

    // Other certificates at a reload; broken ones change nothing.
    std::fs::write(used.join(names[1]), "broken").unwrap();
    agent.hang_up();
    until("the refusal of the broken file", &agent, || agent.log().contains("certificates not reloaded"));
    assert_eq!(cli(&agent, &first, &["job", "status"]).code, 0);
    put(&second);
    let reloaded = cli(&agent, &first, &["operator", "api", "-X", "PUT", "/v1/agent/reload"]);
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    until("the new certificates", &agent, || cli(&agent, &second, &["job", "status"]).code == 0);
    assert_eq!(cli(&agent, &first, &["job", "status"]).code, 1);
    let ended = cli(&agent, &second, &["job", "stop", "-purge", "safe"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn an_agent_without_its_certificates_does_not_start() {
    let scratch = tempfile::tempdir().unwrap();
    let config = "tls {\n http = true\n cert_file = \"/nowhere/a.pem\"\n key_file = \"/nowhere/b.pem\"\n}\n";
    let mut agent = Agent::prepare(&scratch.path().join("agent"), Mode::Dev, config, &[]);
    agent.launch();
    assert_eq!(agent.wait_exit(), 1);
    assert!(agent.log().contains("tls.cert_file: read /nowhere/a.pem"), "{}", agent.log());
}
