//! Real programs under `examples/`, from Debian's packages unpacked under `target/`, spoken to with their own clients.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use drover_e2e::{Agent, Mode, http};
use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Where the programs are; unpacked once, not installed.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let output = Command::new(repository().join("scripts/programs")).output().unwrap();
        assert!(output.status.success(), "scripts/programs: {}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default())
    })
}

fn library_path() -> String {
    let root = programs();
    format!("{0}/usr/lib/x86_64-linux-gnu:{0}/lib/x86_64-linux-gnu:{0}/usr/lib/postgresql/15/lib", root.display())
}

fn client(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(programs().join(program)).args(arguments).env("LD_LIBRARY_PATH", library_path()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(agent: &Agent, example: &str) {
    run_from(agent, example, programs());
}

fn run_from(agent: &Agent, example: &str, programs: &Path) {
    let file = repository().join("examples").join(example).display().to_string();
    let root = format!("-var=root={}", programs.display());
    let ran = agent.cli(&["job", "run", &root, &file]);
    assert_eq!(ran.code, 0, "{}\n{}\n{}", ran.out, ran.error, agent.log());
}

fn address(agent: &Agent, service: &str) -> (String, u16) {
    let found: Value = agent.get(&format!("/v1/service/{service}"));
    let port = found[0]["Port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_else(|| panic!("{service}: {found:#}"));
    (found[0]["Address"].as_str().unwrap().to_owned(), port)
}

#[test]
fn redis_keeps_what_its_own_client_stores() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    run(&agent, "redis.nomad.hcl");
    let (host, port) = address(&agent, "redis");
    let port = port.to_string();
    let cli = |words: &[&str]| client("usr/bin/redis-cli", &[&["-h", &host, "-p", &port], words].concat());
    assert_eq!(cli(&["set", "greeting", "hello"]).trim(), "OK");
    assert_eq!(cli(&["get", "greeting"]).trim(), "hello");
    assert!(cli(&["config", "get", "maxmemory"]).contains("67108864"), "the configuration came from the job's template");
}

#[test]
fn nginx_serves_the_page_of_its_job() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    run(&agent, "nginx.nomad.hcl");
    let (host, port) = address(&agent, "nginx");
    let reply = http::call(format!("{host}:{port}").parse().unwrap(), "GET", "/", None).unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("nginx.web[0]"), "{}", reply.text());
    assert!(reply.header("server").is_some_and(|server| server.starts_with("nginx")));
}

#[test]
fn postgresql_answers_queries() {
    if !nix::unistd::geteuid().is_root() {
        println!("needs root: PostgreSQL does not run as root, so its task changes to another user");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    open_to_others(directory.path());
    let agent = Agent::start(directory.path(), Mode::Dev);
    run_from(&agent, "postgres.nomad.hcl", &within_reach(directory.path()));
    let (host, port) = address(&agent, "postgres");
    let port = port.to_string();
    let psql = |sql: &str| {
        client("usr/lib/postgresql/15/bin/psql", &["-h", &host, "-p", &port, "-U", "drover", "-d", "postgres", "-At", "-c", sql])
    };
    psql("create table t (n int)");
    psql("insert into t select generate_series(1, 1000)");
    assert_eq!(psql("select sum(n) from t").trim(), "500500");
}

/// The programs where any user can walk to them: a clone under a home directory is closed to others, so they are copied then.
fn within_reach(directory: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let open = |path: &Path| path.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    if programs().ancestors().all(open) {
        return programs().to_owned();
    }
    let copy = directory.join("programs");
    let copied = Command::new("cp").arg("-a").args([programs(), &copy]).status().unwrap();
    assert!(copied.success(), "copy the programs");
    copy
}

/// PostgreSQL's user must be able to walk to its files.
fn open_to_others(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_batch_job_works_on_real_files() {
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start(directory.path(), Mode::Dev);
    let input = repository().join("examples/data/words.txt");
    let file = repository().join("examples/word-count.nomad.hcl").display().to_string();
    let ran = agent.cli(&["job", "run", &format!("-var=input={}", input.display()), &file]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.error);
    let alloc = agent.until_alloc("word-count", "complete")["ID"].as_str().unwrap().to_owned();
    let counted = agent.cli(&["alloc", "fs", &alloc, "count/local/counts.txt"]);
    let text = std::fs::read_to_string(&input).unwrap();
    let first = counted.out.lines().next().unwrap_or_default().trim().to_owned();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let (word, count) = counts.iter().max_by_key(|(word, count)| (**count, std::cmp::Reverse(**word))).unwrap();
    assert_eq!(first, format!("{count} {word}"), "{counted:?}");
}
