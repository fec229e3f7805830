//! Recorded command lines about what runs: jobs, allocations, evaluations, nodes and variables, each after what made it.
//!
//! `testdata/commands.txt` is the story, one step a line: `whole NUMBER` runs a recorded command and compares what it prints,
//! `lines NUMBER WORD …` compares the head and the lines that hold one of the words, because what else the region holds is another
//! thing here, `steady NUMBER` what does not depend on when a command looked, and `soon NUMBER WORD …` asks again until it agrees. `do`, `run`, `file` and `ferry` make what the next
//! commands are about; `bind` and `found` give the ids their tokens.

use std::collections::BTreeMap;
use std::fs::write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use drover_e2e::agent::program;
use drover_e2e::golden::{command_row, compare_lines, compare_shape, differing, exercised, fits, judge, records, split, squeezed};
use drover_e2e::{Agent, Mode, Output, http};
use serde_json::Value;

use crate::followed::steady;

const FERRY: &str = include_str!("../../../../testdata/golden/cli-ferry.jsonl");

/// How often a condition is looked at, and the pause before it: as long as a busy machine may take.
const TRIES: u32 = 750;
const PAUSE: Duration = Duration::from_millis(60);
/// How often a command is run again whose output is waited for.
const SOON_TRIES: u32 = 300;

struct Story {
    /// The agent that is asked.
    agent: Agent,
    /// The others, by name.
    others: BTreeMap<String, Agent>,
    all: BTreeMap<String, Value>,
    ids: BTreeMap<String, String>,
    token: String,
}

/// The job file of the recording, for another job.
fn ferry(id: &str, count: &str, canaries: &str, stroke: &str) -> String {
    let text = records(FERRY)["021-job-run-stdin"]["stdin"].as_str().unwrap().to_owned();
    text.replace("job \"ferry\"", &format!("job \"{id}\""))
        .replace("count = 1", &format!("count = {count}"))
        .replace("canary            = 0", &format!("canary            = {canaries}"))
        .replace("STROKE = \"a\"", &format!("STROKE = \"{stroke}\""))
}

/// The text without the second of a periodic launch.
fn launched(text: &str) -> String {
    let mut parts = text.split("/periodic-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        out + "/periodic-" + part.trim_start_matches("<seconds~>").trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

impl Story {
    /// Puts ids in the place of their tokens.
    fn fill(&self, text: &str) -> String {
        let mut parts = text.split('<');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let id = part.split_once('>').and_then(|(token, rest)| Some((self.ids.get(token.trim_end_matches('~'))?, rest)));
            out.push_str(&id.map_or_else(|| format!("<{part}"), |(id, rest)| format!("{id}{rest}")));
        }
        out
    }

    /// Runs a command with further settings of its surroundings.
    fn ran(&self, command: &str, input: &str, surroundings: &[(&str, &str)]) -> Output {
        let mut child = Command::new(program());
        child.args(split(command)).current_dir(&self.agent.directory);
        child.env("NOMAD_ADDR", format!("http://{}", self.agent.address)).env("TZ", "UTC");
        if !self.token.is_empty() {
            child.env("NOMAD_TOKEN", &self.token);
        }
        child.envs(surroundings.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().expect("the program under test can be run");
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input may have ended already.
            drop(std::io::Write::write_all(&mut stdin, input.as_bytes()));
        }
        let output = child.wait_with_output().expect("a command ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), error: text(&output.stderr) }
    }

    fn differences(&self, record: &Value, how: &str, kept: &[&str], surroundings: &[(&str, &str)]) -> Vec<String> {
        let command = self.fill(record["command"].as_str().unwrap().strip_prefix("nomad ").unwrap());
        // The last line's end is not told.
        let input = record["stdin"].as_str().map(|text| format!("{text}\n")).unwrap_or_default();
        let ran = self.ran(&command, &input, surroundings);
        exercised("cli", command_row(&command), "drover_e2e::it::commands");
        let mut found = Vec::new();
        if record["exit"] != i64::from(ran.code) {
            found.push(format!("exit {}, recorded {}: {}{}", ran.code, record["exit"], ran.out, ran.error));
        }
        let recorded = record["stdout"].as_str().unwrap();
        let own = |text: &str| -> Vec<String> {
            let text = squeezed(text.trim_matches('\n'));
            let keep = |(at, line): &(usize, &str)| *at == 0 || kept.iter().any(|word| line.split(' ').any(|own| own == *word));
            text.lines().enumerate().filter(keep).map(|(_, line)| line.to_owned()).collect()
        };
        match how {
            _ if record["shape"] == true => compare_shape(recorded, &ran.out, &mut found),
            _ if recorded.starts_with("<help text>") => {
                if !format!("{}{}", ran.out, ran.error).contains("Usage: drover") {
                    found.push(format!("no help: {ran:?}"));
                }
                return found;
            }
            "steady" => {
                let (recorded, answered) = (steady(&launched(&recorded.replace("nomad ", "drover "))), steady(&launched(&ran.out)));
                found.extend(recorded.difference(&answered).map(|line| format!("{line:?} is missing in {ran:?}")));
                found.extend(answered.difference(&recorded).map(|line| format!("{line:?} was not recorded")));
            }
            "lines" => {
                let (recorded, answered) = (own(recorded), own(&ran.out));
                let same = recorded.len() == answered.len() && recorded.iter().zip(&answered).all(|(recorded, line)| fits(recorded, line));
                if !same {
                    found.push(format!("{answered:?}, recorded {recorded:?}"));
                }
            }
            _ => compare_lines("stdout", recorded, &ran.out, &mut found),
        }
        compare_lines("stderr", record["stderr"].as_str().unwrap(), &ran.error, &mut found);
        found
    }

    fn sent(&self, line: &str, rest: &str) -> http::Reply {
        let mut words = rest.splitn(3, ' ');
        let (method, path) = (words.next().unwrap(), self.fill(words.next().unwrap()));
        let body = words.next().map(|text| self.fill(text)).unwrap_or_default();
        let token = &self.token;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Nomad-Token: {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let reply = http::raw(self.agent.address, format!("{head}{body}").as_bytes()).unwrap();
        assert!(reply.status < 300, "{line}: {} {}", reply.status, reply.text());
        reply
    }

    fn until(&self, line: &str, path: &str, met: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..TRIES {
            last = self.sent(line, &format!("GET {path}")).json();
            if met(&last) {
                return last;
            }
            sleep(PAUSE);
        }
        panic!("{line}: is still {last}");
    }

    /// Binds an id, and its short form.
    fn bind(&mut self, names: &str, id: &str) {
        for (number, name) in names.split('/').enumerate() {
            self.ids.insert(name.to_owned(), if number == 0 { id.to_owned() } else { id[..8].to_owned() });
        }
    }
}

fn told(name: &str, mode: Mode, config: &str) {
    told_by(name, mode, config, &[]);
}

/// The same with clients in agents of their own: their names and configurations.
fn told_by(name: &str, mode: Mode, config: &str, clients: &[(&str, &str)]) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let text = std::fs::read_to_string(data.join(format!("{name}.txt"))).unwrap();
    let all = records(&std::fs::read_to_string(data.join(format!("golden/cli-{name}.jsonl"))).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let agent = Agent::start_with(directory.path(), mode, config, &[]);
    let mut others = BTreeMap::new();
    for (name, config) in clients {
        let config = format!("name = \"{name}\"\nclient {{ servers = [\"{}\"] }}\n{config}", agent.channel);
        others.insert((*name).to_owned(), Agent::start_with(&directory.path().join(name), Mode::DurableClient, &config, &[]));
    }
    let mut story = Story { agent, others, all, ids: BTreeMap::new(), token: String::new() };
    let (different, mut wrong) = (differing("cli"), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (step, rest) = line.split_once(' ').unwrap();
        let words: Vec<&str> = rest.split(' ').collect();
        match step {
            "whole" | "lines" | "steady" | "soon" => {
                let (name, record) =
                    story.all.iter().find(|(name, _)| name.starts_with(words[0])).unwrap_or_else(|| panic!("{line}: not packed"));
                let surroundings: Vec<(&str, &str)> =
                    words.iter().filter(|_| step == "whole").filter_map(|word| word.split_once('=')).collect();
                let how = if step == "soon" && words.len() > 1 { "lines" } else { step };
                let mut found = story.differences(record, how, &words[1..], &surroundings);
                for _ in (0..SOON_TRIES).take_while(|_| step == "soon") {
                    if found.is_empty() {
                        break;
                    }
                    sleep(PAUSE);
                    found = story.differences(record, how, &words[1..], &surroundings);
                }
                let found: Vec<String> = found.into_iter().map(|one| format!("{line}: {one}")).collect();
                judge(name, &found, &different, &mut wrong);
            }
            "file" => {
                let (file, text) = rest.split_once(' ').unwrap();
                let text = text.strip_prefix('"').map_or_else(|| text.to_owned(), |_| serde_json::from_str::<String>(text).unwrap());
                write(directory.path().join(file), text).unwrap();
            }
            "ferry" => write(directory.path().join(words[0]), ferry(words[1], words[2], words[3], words[4])).unwrap(),
            "run" => {
                let ran = story.ran(&story.fill(rest), "", &[]);
                assert_eq!(ran.code, 0, "{line}: {ran:?}");
            }
            // `says EXIT TEXT = COMMAND`: what was not recorded.
            "says" => {
                let (said, command) = rest.split_once(" = ").unwrap();
                let (code, text) = said.split_once(' ').unwrap();
                let ran = story.ran(command, "", &[]);
                assert!(ran.code.to_string() == code && ran.error.contains(text), "{line}: {ran:?}");
                exercised("cli", command_row(command), "drover_e2e::it::commands");
            }
            // Which agent is asked from here on.
            "at" => {
                let next = story.others.remove(rest).unwrap_or_else(|| panic!("{line}: no such agent"));
                story.others.insert("first".to_owned(), std::mem::replace(&mut story.agent, next));
            }
            "do" => {
                story.sent(line, rest);
            }
            "as" => story.token = story.fill(rest),
            // `learn NAME=POINTER METHOD PATH BODY`: the same, and what the answer tells.
            "learn" => {
                let (names, request) = rest.split_once(' ').unwrap();
                let answer = story.sent(line, request).json();
                for (name, pointer) in names.split(',').filter_map(|pair| pair.split_once('=')) {
                    let value = answer.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{line}: {answer}")).to_owned();
                    story.ids.insert(name.to_owned(), value);
                }
            }
            "until" => {
                let parts: Vec<&str> = rest.splitn(3, ' ').collect();
                let wanted: Value = serde_json::from_str(parts[2]).unwrap();
                story.until(line, parts[0], |value| value.pointer(parts[1]) == Some(&wanted));
            }
            "bind" => {
                let found = story.until(line, words[1], |value| value.pointer(words[2]).is_some_and(Value::is_string));
                story.bind(words[0], found.pointer(words[2]).and_then(Value::as_str).unwrap());
            }
            // `found NAME PATH FIELD=VALUE …`: the first entry of a list that is so.
            "found" => {
                let is = |entry: &&Value| {
                    words[2..]
                        .iter()
                        .filter_map(|word| word.split_once('='))
                        .all(|(field, value)| entry[field].to_string().trim_matches('"') == value)
                };
                let list = story.until(line, words[1], |list| list.as_array().is_some_and(|list| list.iter().any(|entry| is(&entry))));
                let id = list.as_array().into_iter().flatten().find(is).unwrap()["ID"].as_str().unwrap().to_owned();
                story.bind(words[0], &id);
            }
            _ => panic!("{line}: no such step"),
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn commands_about_what_runs_tell_what_was_recorded() {
    told(
        "commands",
        Mode::Dev,
        "name = \"pasture\"\nclient {\n node_class = \"meadow\"\n memory_total_mb = 16000\n cpu_total_compute = 8000\n}",
    );
}

#[test]
fn commands_of_a_region_that_holds_its_callers_to_policies_tell_what_was_recorded() {
    told("commands-acl", Mode::Dev, "region = \"east\"\nname = \"ram1\"\ndatacenter = \"east-1\"\nacl { enabled = true }");
}

#[test]
fn commands_on_a_server_without_a_client_tell_what_was_recorded() {
    told("commands-server", Mode::DurableServer, "");
}

#[test]
fn commands_that_ask_a_client_alone_tell_what_was_recorded() {
    let region = "region = \"east\"\ndatacenter = \"east-1\"\nacl { enabled = true }";
    let server = format!("{region}\nname = \"ewe1\"");
    let hill = format!("{region}\nclient {{\n node_class = \"hill\"\n meta {{ slope = \"north\" }}\n}}");
    told_by("commands-fleet", Mode::DurableServer, &server, &[("ram1", &hill)]);
}
