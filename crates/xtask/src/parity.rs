//! `parity`: which ids of the ledger have a test that proved them.
//!
//! A test that names ids prints `proves ID by test` when it has passed; the log of a test run holds these lines. The
//! ledger's list of ids, and the issue each belongs to, is in `testdata/parity/issues.tsv`.
//!
//! Ledgers of rows without ids (attributes of the job language, keys of configuration, functions, specifications) lie beside
//! it. A test that walks one prints `exercises LEDGER ROW by test` for each row it has seen through.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Where `make test` leaves its log.
const LOG: &str = "target/test.log";

/// An id of the ledger.
struct Entry {
    core: bool,
    issue: String,
}

/// Lists what is open of an issue, or counts all of them.
pub(crate) fn parity(root: &Path, arguments: &[String]) -> Result<()> {
    let mut issue = None;
    let mut log = root.join(LOG);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--issue" => issue = Some(words.next().context("--issue needs a name")?.clone()),
            "--log" => log = PathBuf::from(words.next().context("--log needs a file")?),
            other => bail!("parity knows no {other:?}"),
        }
    }
    let ledger = ledger(&fs::read_to_string(root.join("testdata/parity/issues.tsv")).context("read the ledger's ids")?)?;
    let text = fs::read(&log).with_context(|| format!("read {}; `make test` writes it", log.display()))?;
    let proven = proven(&String::from_utf8_lossy(&text));
    let unknown: Vec<&String> = proven.keys().filter(|id| !ledger.contains_key(*id)).collect();
    ensure!(unknown.is_empty(), "tests name ids that the ledger does not have: {unknown:?}");
    match issue {
        None => {
            counts(&ledger, &proven);
            rows(root, &String::from_utf8_lossy(&text))
        }
        Some(issue) => one(&issue, &ledger, &proven),
    }
}

/// Ledgers whose rows have no ids.
const ROW_LEDGERS: [&str; 7] = ["jobspec", "hcl-functions", "agent-config", "other-specs", "http-api", "cli", "wire-types"];

/// Counts the rows that tests exercised and names the others.
fn rows(root: &Path, log: &str) -> Result<()> {
    let seen: BTreeSet<(&str, &str)> = log
        .lines()
        .filter_map(|line| line.split_once("exercises ")?.1.split_once(" by "))
        .filter_map(|(what, _)| what.split_once(' '))
        .collect();
    for name in ROW_LEDGERS {
        let text =
            fs::read_to_string(root.join(format!("testdata/parity/{name}.tsv"))).with_context(|| format!("read the ledger {name}"))?;
        let all: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
        let open: Vec<&str> = all.iter().copied().filter(|row| !seen.contains(&(name, row))).collect();
        println!("{:>4} of {:>4}  rows of {name}", all.len() - open.len(), all.len());
        for row in open {
            println!("               open: {row}");
        }
    }
    Ok(())
}

fn ledger(text: &str) -> Result<BTreeMap<String, Entry>> {
    let mut out = BTreeMap::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [id, flag, issue] = cells.as_slice() else { bail!("line {} of the ledger's ids has not three cells", number + 1) };
        out.insert((*id).to_owned(), Entry { core: *flag == "core", issue: (*issue).to_owned() });
    }
    Ok(out)
}

/// Ids with the tests that proved them.
fn proven(log: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in log.lines() {
        // Test output may stand before the line when it had no newline.
        let Some((_, rest)) = line.split_once("proves ") else { continue };
        let Some((id, test)) = rest.split_once(" by ") else { continue };
        let well_formed = id.split_once('-').is_some_and(|(area, number)| {
            area.chars().all(|letter| letter.is_ascii_uppercase()) && number.chars().all(|letter| letter.is_ascii_digit())
        });
        if well_formed && test.contains("::") {
            out.entry(id.to_owned()).or_default().insert(test.trim().to_owned());
        }
    }
    out
}

fn counts(ledger: &BTreeMap<String, Entry>, proven: &BTreeMap<String, BTreeSet<String>>) {
    let mut issues: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (id, entry) in ledger {
        let (all, done) = issues.entry(&entry.issue).or_default();
        *all += 1;
        *done += usize::from(proven.contains_key(id));
    }
    for (issue, (all, done)) in issues {
        println!("{done:>4} of {all:>4}  {issue}");
    }
}

fn one(issue: &str, ledger: &BTreeMap<String, Entry>, proven: &BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    let own: Vec<(&String, &Entry)> = ledger.iter().filter(|(_, entry)| entry.issue == issue).collect();
    ensure!(!own.is_empty(), "the ledger has no issue {issue:?}");
    for (id, _) in &own {
        if let Some(tests) = proven.get(*id) {
            println!("proven  {id}  {}", tests.iter().cloned().collect::<Vec<_>>().join(", "));
        }
    }
    let open: Vec<_> = own.iter().filter(|(id, _)| !proven.contains_key(*id)).collect();
    for (id, entry) in &open {
        println!("open    {id}{}", if entry.core { "  core" } else { "" });
    }
    println!("{issue}: {} of {} proven", own.len() - open.len(), own.len());
    ensure!(open.is_empty(), "{} ids of {issue} are open", open.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_found_in_a_log() {
        let log = "test a ... proves CLI-012 by drover_runner::x::y\nproves CLI-013 by a::b\nok\nproves nothing by c::d\n";
        let found = proven(log);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["CLI-012", "CLI-013"]);
    }

    #[test]
    fn an_issue_with_open_ids_is_an_error() {
        let ledger = ledger("id\tflag\tissue\nA-001\tcore\tx\nA-002\tfull\tx\n").unwrap();
        let log = proven("proves A-001 by a::b");
        assert_eq!(one("x", &ledger, &log).unwrap_err().to_string(), "1 ids of x are open");
        assert!(one("y", &ledger, &log).is_err());
    }
}
