//! The task API of a whole agent: tasks that ask it with the program itself over the socket that they find, across a restart of their
//! agent and until they end.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use drover_e2e::agent::program;
use drover_e2e::golden::exercised;
use drover_e2e::{Agent, Mode, http};
use drover_macros::proves;
use serde_json::json;

/// The row of the ledger.
const ROW: &str = "* unix:${NOMAD_SECRETS_DIR}/api.sock (same /v1 routes)";

/// Asks over a socket, with a token or none.
fn ask(socket: &Path, token: &str, path: &str) -> std::io::Result<http::Reply> {
    let token = if token.is_empty() { String::new() } else { format!("X-Nomad-Token: {token}\r\n") };
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n{token}\r\n");
    http::over_socket(socket, head.as_bytes())
}

/// The longest a condition is waited for, in steps.
const TRIES: u32 = 3_000;

fn until(what: &str, met: impl Fn() -> bool) {
    for _ in 0..TRIES {
        if met() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("waited for {what}");
}

/// A task that asks the API for its own job again and again, and writes down what it heard last.
fn curious(name: &str, user: &str, asker: &Path) -> serde_json::Value {
    let script = r#"
trap 'exit 0' TERM INT
while :; do
  "$PROGRAM" operator api -address "$NOMAD_UNIX_ADDR" -token "$NOMAD_TOKEN" "/v1/vars?prefix=nomad/jobs/seeker" >"$NOMAD_TASK_DIR/new" 2>&1 </dev/null
  mv "$NOMAD_TASK_DIR/new" "$NOMAD_TASK_DIR/heard"
  sleep 0.1
done
"#;
    json!({ "Name": name, "Driver": "raw_exec", "User": user, "Config": { "command": "/bin/sh", "args": ["-c", script] },
        "KillSignal": "SIGTERM", "Env": { "PROGRAM": asker }, "Resources": { "CPU": 10, "MemoryMB": 32 },
        "Identity": { "Env": true, "File": true } })
}

#[proves("CLI-018", "KEY-035")]
#[test]
fn tasks_ask_the_api_over_a_socket_of_their_own_across_restarts_of_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), Mode::Durable);
    let root = nix::unistd::geteuid().is_root();
    // Others may go through the directory of the test, so that a task of another user finds its own.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // The program itself may lie where other users may not go.
    let asker = directory.path().join("drover");
    if std::fs::hard_link(program(), &asker).is_err() {
        std::fs::copy(program(), &asker).unwrap();
    }
    agent.call("PUT", "/v1/var/nomad/jobs/seeker/open", Some(&json!({ "Items": { "door": "red" } })));
    let own = if root { "nobody" } else { "" };
    agent.register(
        json!({ "ID": "seeker", "TaskGroups": [{ "Name": "g", "Tasks": [curious("open", "", &asker), curious("own", own, &asker)] }] }),
    );
    let alloc = agent.until_alloc("seeker", "running")["ID"].as_str().unwrap().to_owned();
    let of = |task: &str| -> PathBuf { directory.path().join("data/alloc").join(&alloc).join(task) };
    let heard = |task: &str| std::fs::read_to_string(of(task).join("local/heard")).unwrap_or_default();
    for task in ["open", "own"] {
        until("a task to hear of its variables", || heard(task).contains("nomad/jobs/seeker/open"));
    }
    exercised("http-api", Some(ROW), "drover_e2e::it::task_api");
    // Whoever has no user of its own shares the socket as recorded; another user's is for that user alone.
    let socket = of("open").join("secrets/api.sock");
    let found = std::fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o777, 0o666);
    let found = std::fs::metadata(of("own").join("secrets/api.sock")).unwrap();
    if root {
        assert_eq!((found.mode() & 0o777, found.uid()), (0o600, 65_534));
    }
    // A token is needed for everything, policies or not, and nothing is compressed.
    for path in ["/v1/jobs", "/v1/status/leader", "/nowhere", "/v1/metrics"] {
        let reply = ask(&socket, "", path).unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (401, "Unauthorized"), "{path}");
        assert_eq!(reply.header("vary"), None);
    }
    let reply = ask(&socket, "anything", "/v1/jobs").unwrap();
    assert_eq!((reply.status, reply.header("content-encoding"), reply.json()[0]["ID"].as_str()), (200, None, Some("seeker")));
    // The agent goes, and its tasks stay; the next one listens for them again.
    agent.kill();
    until("nobody to listen", || ask(&socket, "anything", "/v1/jobs").is_err());
    for task in ["open", "own"] {
        std::fs::write(of(task).join("local/heard"), "").unwrap();
    }
    agent.launch();
    agent.wait_ready();
    for task in ["open", "own"] {
        until("a task to hear again", || heard(task).contains("nomad/jobs/seeker/open"));
    }
    // What a task puts in the place of its socket is not followed, when it is started again.
    let elsewhere = directory.path().join("elsewhere");
    std::fs::write(&elsewhere, "kept").unwrap();
    std::fs::remove_file(&socket).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &socket).unwrap();
    let restart = json!({ "TaskName": "open" });
    assert_eq!(agent.call("PUT", &format!("/v1/client/allocation/{alloc}/restart"), Some(&restart)).status, 200);
    until("a socket in its place", || std::fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket()));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "kept");
    // It goes with the task.
    agent.call("DELETE", "/v1/job/seeker", None);
    agent.until(&format!("/v1/allocation/{alloc}"), "its end", |alloc| alloc["ClientStatus"] == "complete");
    for task in ["open", "own"] {
        until("no socket", || !of(task).join("secrets/api.sock").exists());
    }
    agent.stop();
}
