//! How answers of an agent are compared with recorded ones: tokens stand for what differs from run to run.
//!
//! Shared by the tests of `http`, which replay against a server in their own process, and by those of this crate, which
//! replay against a whole agent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const HTTP_API: &str = include_str!("../../../testdata/parity/http-api.tsv");
const COMMANDS: &str = include_str!("../../../testdata/parity/cli.tsv");
const DIFFERENCES: &str = include_str!("../../../testdata/differences.toml");

/// The records of a packed file by name.
pub fn records(packed: &str) -> BTreeMap<String, Value> {
    let parsed = packed.lines().map(|line| serde_json::from_str::<Value>(line).expect("packed records are JSON"));
    parsed.map(|record| (record["name"].as_str().expect("records have names").to_owned(), record)).collect()
}

/// The records below `folder` that differ on purpose.
pub fn differing(folder: &str) -> BTreeSet<String> {
    let start = format!("record = \"{folder}/");
    DIFFERENCES.lines().filter_map(|line| Some(line.strip_prefix(start.as_str())?.strip_suffix('"')?.to_owned())).collect()
}

/// The row of the ledger of routes that a request is for.
pub fn route_row(method: &str, target: &str) -> Option<&'static str> {
    let path: Vec<&str> = target.split('?').next().unwrap_or_default().split('/').collect();
    let rows = HTTP_API.lines().skip(1).filter_map(|line| line.split('\t').next());
    let fitting = rows.filter_map(|row| {
        let (of, pattern) = row.split_once(' ')?;
        let pattern: Vec<&str> = pattern.split('/').collect();
        let fits = |part: &&str, own: &&str| part.starts_with('{') || part == own;
        let whole = of == method && pattern.len() == path.len() && pattern.iter().zip(&path).all(|(part, own)| fits(part, own));
        whole.then(|| (pattern.iter().filter(|part| !part.starts_with('{')).count(), row))
    });
    fitting.max_by_key(|(literal, _)| *literal).map(|(_, row)| row)
}

/// The row of the ledger of commands that a command line, without the program's name, is for.
pub fn command_row(line: &str) -> Option<&'static str> {
    let rows = COMMANDS.lines().skip(1).filter_map(|line| line.split_once('\t'));
    let named = rows.flat_map(|(row, aliases)| aliases.split(", ").chain([row]).map(move |name| (name, row)));
    let fits = |name: &str| line == name || line.starts_with(&format!("{name} "));
    named.filter(|(name, _)| *name != "-" && fits(name)).max_by_key(|(name, _)| name.len()).map(|(_, row)| row)
}

/// Says that a row of a ledger was seen through.
pub fn exercised(ledger: &str, row: Option<&str>, test: &str) {
    if let Some(row) = row {
        println!("exercises {ledger} {row} by {test}");
    }
}

/// Notes what is wrong with a comparison, given what is known to differ.
pub fn judge(name: &str, found: &[String], differing: &BTreeSet<String>, wrong: &mut Vec<String>) {
    match (found.is_empty(), differing.contains(name)) {
        (false, false) => wrong.extend(found.iter().map(|line| format!("{name}: {line}"))),
        (true, true) => wrong.push(format!("{name}: agrees now, take it off the list of differences")),
        _ => {}
    }
}

/// Places in answers that the recording's machine decides, or that have a form of their own here.
const OTHERWISE: &[&str] = &[
    // The node of the recording had other hardware, drivers, volumes, attributes and addresses.
    ".NodeResources",
    ".ReservedResources",
    ".Resources",
    ".Reserved",
    ".Attributes",
    ".Drivers",
    ".HostVolumes",
    ".HostNetworks",
    ".HTTPAddr",
    ".CgroupParent",
    ".Links",
    ".Meta.connect",
    ".Meta.rack",
    // How many evaluations follow depends on what else is there.
    ".EvalIDs",
    ".CSI",
    ".NodeMaxAllocs",
    ".LastAllocUpdateIndex",
    ".ScoreMetaData",
    ".Events",
    // Classes are made of what the node is like.
    ".ComputedClass",
    ".ClassEligibility",
    // Digests of our own.
    ".Hash",
    // What the machine counts, and what is mounted there.
    ".MemoryStats.Measured",
    ".DiskStats",
    // Numbers of processes.
    ".Pids",
    // Told beside what upstream tells.
    ".Why",
    // Identities are signed when they are asked for, not with the plan.
    ".SigningKeyID",
    ".IdentitySigningKeyID",
];

/// Whether a field is one that the recording's machine decides.
pub fn is_otherwise(field: &str) -> bool {
    OTHERWISE.iter().any(|otherwise| otherwise.rsplit('.').next() == Some(field))
}

/// Whether an answer fits a recorded text, in which tokens stand for anything.
pub fn fits_text(recorded: &str, answered: &str) -> bool {
    let mut rest = answered;
    let mut parts = recorded.split('<');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    for part in parts {
        let Some((_, literal)) = part.split_once('>') else { return recorded == answered };
        match rest.find(literal) {
            _ if literal.is_empty() => rest = "",
            Some(at) => rest = &rest[at + literal.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// Entries of a list; allocations by what they are for, and tokens by their names, where they are of one log entry: such are told in
/// the order of their random ids.
pub fn in_order(list: &[Value]) -> Vec<&Value> {
    let mut entries: Vec<&Value> = list.iter().collect();
    let is_alloc = |entry: &&Value| entry["ClientStatus"].is_string() && (entry["Name"].is_string() || entry["Group"].is_string());
    let services = |entry: &&Value| entry["ServiceName"].is_string() && (entry["Port"].is_number() || entry["Port"].is_string());
    // Those of one job are told in the order of their ids too.
    let made = |entry: &&Value| {
        entry["TriggeredBy"].is_string() || entry["JobSpecModifyIndex"].is_number() || entry["JobSpecModifyIndex"].is_string()
    };
    let rank = |value: &Value| {
        let text = value.as_str().map(|token| token.chars().filter(char::is_ascii_digit).collect::<String>());
        text.and_then(|digits| digits.parse().ok()).or_else(|| value.as_u64()).unwrap_or(0)
    };
    if !entries.is_empty() && entries.iter().all(made) {
        entries.sort_by_key(|entry| rank(&entry["CreateIndex"]));
    }
    let at_once = entries.iter().all(|entry| entry["AccessorID"].is_string() && entry["CreateIndex"] == entries[0]["CreateIndex"]);
    if at_once {
        entries.sort_by_cached_key(|entry| entry["Name"].to_string());
    }
    if entries.iter().all(is_alloc) || entries.iter().all(services) {
        let name = |entry: &Value| format!("{} {} {}", entry["Name"], entry["Group"], entry["JobVersion"]);
        entries.sort_by_cached_key(|entry| (name(entry), rank(&entry["CreateIndex"]), entry["ClientStatus"].to_string()));
    }
    entries
}

/// Whether all names are digests.
fn under_digests(map: &serde_json::Map<String, Value>) -> bool {
    !map.is_empty() && map.keys().all(|name| name.len() == 64 && name.bytes().all(|letter| letter.is_ascii_hexdigit()))
}

/// Notes where an answer differs from the recorded one.
pub fn compare(place: &str, recorded: &Value, answered: &Value, out: &mut Vec<String>) {
    if OTHERWISE.iter().any(|otherwise| place.contains(otherwise)) {
        return;
    }
    match (recorded, answered) {
        (Value::String(token), value) if token.starts_with("<int") || token.starts_with("<float") => {
            if !value.is_number() {
                out.push(format!("{place}: {value} for {token}"));
            }
        }
        (Value::String(recorded), Value::String(answered)) if fits_text(recorded, answered) => {}
        // What is under digests is told apart by what it says.
        (Value::Object(recorded), Value::Object(answered)) if under_digests(recorded) && recorded.len() == answered.len() => {
            let sorted = |map: &serde_json::Map<String, Value>| {
                let mut values: Vec<Value> = map.values().cloned().collect();
                values.sort_by_key(|value| format!("{} {}", value["Service"], value["Check"]));
                values
            };
            for (number, (recorded, answered)) in sorted(recorded).iter().zip(&sorted(answered)).enumerate() {
                compare(&format!("{place}[{number}]"), recorded, answered, out);
            }
        }
        (Value::Object(recorded), Value::Object(answered)) => {
            let names: BTreeSet<&String> = recorded.keys().chain(answered.keys()).collect();
            for name in names {
                let place = format!("{place}.{name}");
                match (recorded.get(name), answered.get(name)) {
                    (Some(recorded), Some(answered)) => compare(&place, recorded, answered, out),
                    _ if is_otherwise(name) || OTHERWISE.iter().any(|otherwise| place.contains(otherwise)) => {}
                    (Some(recorded), None) => out.push(format!("{place}: absent, recorded {recorded}")),
                    (None, answered) => out.push(format!("{place}: {answered:?}, not recorded")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(answered)) if recorded.len() == answered.len() => {
            let (recorded, answered) = (in_order(recorded), in_order(answered));
            for (number, (recorded, answered)) in recorded.into_iter().zip(answered).enumerate() {
                compare(&format!("{place}[{number}]"), recorded, answered, out);
            }
        }
        (recorded, answered) if recorded == answered => {}
        (recorded, answered) => out.push(format!("{place}: {answered}, recorded {recorded}")),
    }
}

/// Whether a line fits a recorded one.
pub fn fits(recorded: &str, line: &str) -> bool {
    let (mut recorded, mut line): (Vec<char>, Vec<char>) = (recorded.trim_end().chars().collect(), line.trim_end().chars().collect());
    recorded.reverse();
    line.reverse();
    while let Some(letter) = recorded.pop() {
        if letter == '#' {
            while recorded.last() == Some(&'#') {
                recorded.pop();
            }
            if !line.pop().is_some_and(|digit| digit.is_ascii_digit()) {
                return false;
            }
            while line.last().is_some_and(char::is_ascii_digit) {
                line.pop();
            }
            continue;
        }
        let token: String = recorded.iter().rev().take_while(|letter| **letter != '>').collect();
        let stands_for = letter == '<' && token != "none" && !token.contains(' ') && (token.contains(['-', '~']) || token == "jwt");
        if stands_for && token.starts_with("time~") && line.windows(3).any(|part| part == ['C', 'T', 'U']) {
            // A time in full: its fraction of a second has as many digits as it needs.
            recorded.truncate(recorded.len() - token.chars().count() - 1);
            while let Some(letter) = line.pop() {
                if letter == 'C' {
                    break;
                }
            }
        } else if stands_for && token == "jwt" && recorded.len() == 4 && !line.contains(&' ') {
            recorded.clear();
            line.clear();
        } else if stands_for
            && token.starts_with("ago~")
            && recorded.len() == token.chars().count() + 1
            && line.starts_with(&['o', 'g', 'a', ' '])
        {
            // How long ago it was ends the line, and has as many digits as the machine took its time.
            recorded.clear();
            line.clear();
        } else if stands_for {
            let length = token.chars().count() + 2;
            recorded.truncate(recorded.len() + 1 - length);
            if line.len() < length {
                return false;
            }
            line.truncate(line.len() - length);
        } else if line.pop() != Some(letter) {
            return false;
        }
    }
    line.is_empty()
}

/// Notes the first line of an output that does not fit.
pub fn compare_lines(what: &str, recorded: &str, answered: &str, out: &mut Vec<String>) {
    let recorded = recorded.replace("nomad ", "drover ");
    let lines = |text: &str| -> Vec<String> {
        let shown = text.lines().filter(|line| !line.starts_with("==> View "));
        shown.collect::<Vec<_>>().join("\n").trim_matches('\n').lines().map(str::to_owned).collect()
    };
    let (recorded, answered) = (lines(&recorded), lines(answered));
    for number in 0..recorded.len().max(answered.len()) {
        let (expected, found) = (recorded.get(number).map_or("", |line| line), answered.get(number).map_or("", |line| line));
        if !fits(expected, found) {
            out.push(format!("{what}, line {}: {found:?}, recorded {expected:?}", number + 1));
            return;
        }
    }
}

/// The text with every run of spaces as one.
pub fn squeezed(text: &str) -> String {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

/// Notes which members of recorded JSON an output lacks.
pub fn compare_shape(recorded: &str, answered: &str, out: &mut Vec<String>) {
    let Ok(mut value) = serde_json::from_str::<Value>(answered) else {
        out.push(format!("no JSON: {answered}"));
        return;
    };
    if recorded.starts_with("list of") {
        value = value[0].take();
    }
    for line in recorded.lines().filter(|line| !line.starts_with("list of")) {
        let Some((name, kind)) = line.split_once(": ") else { continue };
        let fits = match (kind, &value[name]) {
            ("int", found) => found.is_number(),
            ("string", found) => found.is_string(),
            ("bool", found) => found.is_boolean(),
            ("list", found) => found.is_array(),
            ("object", found) => found.is_object(),
            (_, found) => found.is_null() && value.get(name).is_some(),
        };
        if !fits {
            out.push(format!("{name} is {}, recorded {kind}", value[name]));
        }
    }
}

/// Words as a shell would split them, with single quotes only.
pub fn split(line: &str) -> Vec<String> {
    // Words, and whether they are there although they may be empty.
    let mut words: Vec<(String, bool)> = vec![(String::new(), false)];
    for (number, part) in line.split('\'').enumerate() {
        for (position, piece) in part.split(' ').enumerate() {
            let quoted = number % 2 == 1;
            if position > 0 && !quoted {
                words.push((String::new(), false));
            }
            let (word, there) = words.last_mut().expect("there is always a last word");
            if position > 0 && quoted {
                word.push(' ');
            }
            word.push_str(piece);
            *there |= quoted;
        }
    }
    words.into_iter().filter(|(word, there)| *there || !word.is_empty()).map(|(word, _)| word).collect()
}
