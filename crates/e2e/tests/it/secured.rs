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
    assert!(without.code == 1 && without.error.contains("-client-cert"), "{without:?}");
    let untrusted = agent.cli(&["job", "status", &format!("-address=https://{}", agent.address)]);
    assert!(untrusted.code == 1 && untrusted.error.contains("-ca-cert"), "{untrusted:?}");
    let http = agent.cli(&["job", "status"]);
    assert!(http.code == 1 && http.error.contains("begin the address with https://"), "{http:?}");
    let wrong = cli(&agent, &first, &["job", "status", "-tls-server-name=client.global.nomad"]);
    assert!(wrong.code == 1 && wrong.error.contains("-tls-server-name"), "{wrong:?}");
    let nowhere = agent.cli(&["job", "status", "-address=https://nowhere.invalid:1", "-tls-server-name=server.global.nomad"]);
    assert!(nowhere.code == 1 && nowhere.error.contains("No agent could be reached at https://nowhere.invalid:1"), "{nowhere:?}");
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
fn a_check_over_tls_holds_the_service_to_its_certificate_and_says_what_is_wrong_with_it() {
    let scratch = tempfile::tempdir().unwrap();
    let (own, other) = (scratch.path().join("own"), scratch.path().join("other"));
    certificates(&own);
    certificates(&other);
    let file = |name: &str| own.join(name).display().to_string();
    let config = format!(
        "tls {{\n http = true\n cert_file = {:?}\n key_file = {:?}\n}}\n",
        file("global-server-nomad.pem"),
        file("global-server-nomad-key.pem")
    );
    for (trusted, verified, refused) in [(&own, "success", ""), (&other, "failure", "UnknownIssuer")] {
        // The machine trusts one authority; what is checked over TLS is the agent's own API.
        let trust = format!("SSL_CERT_FILE={}", trusted.join("nomad-agent-ca.pem").display());
        let mut agent = Agent::prepare(&scratch.path().join(format!("agent-{verified}")), Mode::Dev, &config, &["env", &trust]);
        agent.launch();
        until("the node", &agent, || cli(&agent, &own, &["node", "status"]).out.contains("ready"));
        let check = |name: &str, more: &str| {
            format!(
                "check {{\n name = {name:?}\n type = \"http\"\n protocol = \"https\"\n path = \"/v1/status/leader\"\n interval = \"1s\"\n timeout = \"5s\"\n {more}\n}}\n"
            )
        };
        let checks = [
            check("verified", ""),
            check("any", "tls_skip_verify = true"),
            check("named", "tls_server_name = \"server.global.nomad\""),
            check("misnamed", "tls_server_name = \"web.example\""),
            check("any-name", "tls_server_name = \"web.example\"\n tls_skip_verify = true"),
            check("plain", "protocol = \"http\"").replacen("protocol = \"https\"\n", "", 1),
        ];
        let text = format!(
            "job \"checked\" {{\n group \"g\" {{\n service {{\n provider = \"nomad\"\n name = \"api\"\n address = \"127.0.0.1\"\n port = \"{}\"\n {} }}\n task \"t\" {{\n driver = \"raw_exec\"\n config {{\n command = \"/bin/sleep\"\n args = [\"600\"]\n }}\n }}\n }}\n}}\n",
            agent.address.port(),
            checks.concat()
        );
        let path = scratch.path().join("checked.nomad.hcl");
        std::fs::write(&path, text).unwrap();
        let run = cli(&agent, &own, &["job", "run", "-detach", &path.display().to_string()]);
        assert_eq!(run.code, 0, "{run:?}");
        let found = || -> std::collections::BTreeMap<String, (String, String)> {
            let allocs = cli(&agent, &own, &["job", "allocs", "-json", "checked"]);
            let allocs: serde_json::Value = serde_json::from_str(&allocs.out).unwrap_or_default();
            let path = format!("/v1/client/allocation/{}/checks", allocs[0]["ID"].as_str().unwrap_or("none"));
            let checks: serde_json::Value = serde_json::from_str(&cli(&agent, &own, &["operator", "api", &path]).out).unwrap_or_default();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
            let checks = checks.as_object().cloned().unwrap_or_default();
            checks.into_iter().map(|(_, check)| (text(&check["Check"]), (text(&check["Status"]), text(&check["Output"])))).collect()
        };
        until("the checks", &agent, || found().len() == checks.len() && found().values().all(|(status, _)| status != "pending"));
        let found = found();
        let url = format!("\"https://{}/v1/status/leader\"", agent.address);
        for (name, status, output) in [
            ("verified", verified, refused),
            ("any", "success", "http ok"),
            ("named", verified, refused),
            ("misnamed", "failure", if refused.is_empty() { "not valid for name" } else { refused }),
            ("any-name", "success", "http ok"),
            ("plain", "failure", "Client sent an HTTP request to an HTTPS server."),
        ] {
            let (is, said) = &found[name];
            assert!(is == status && said.contains(output), "{name}: {found:?}");
            assert!(status == "success" || name == "plain" || said.starts_with(&format!("nomad: Get {url}: ")), "{name}: {found:?}");
        }
        assert_eq!(agent.stop(), 0);
    }
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
