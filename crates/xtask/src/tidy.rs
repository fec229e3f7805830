//! `tidy`: the rules of the workspace that no compiler checks.
//!
//! Rows of crates point downwards, logic stays pure, `unsafe` lives in one crate, files say what they are for, nothing is
//! left undone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Rows from the bottom; a crate may use its own and those below.
const ROWS: [&str; 5] = ["base", "logic", "effects", "roles", "apps"];

/// What crates of the two lowest rows must not use: runtimes, sockets, files, clocks, kernels.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "futures",
    "hyper",
    "hyper-util",
    "axum",
    "reqwest",
    "nix",
    "rustix",
    "libc",
    "redb",
    "tempfile",
    "tracing-subscriber",
    "mimalloc",
];

/// Where a file's length is worth a second look.
const LINES_MAX: usize = 1000;

/// Checks every rule and tells all that is broken.
pub(crate) fn tidy(root: &Path) -> Result<()> {
    let mut problems = Vec::new();
    let manifests = manifests(root)?;
    rows(&manifests, &mut problems);
    for path in sources(&root.join("crates"))? {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        source(&shown, &text, &mut problems);
    }
    for problem in &problems {
        println!("{problem}");
    }
    ensure!(problems.is_empty(), "{} problems", problems.len());
    Ok(())
}

struct Manifest {
    row: String,
    dependencies: Vec<String>,
}

/// The crates by folder name.
fn manifests(root: &Path) -> Result<BTreeMap<String, Manifest>> {
    let mut out = BTreeMap::new();
    for entry in fs::read_dir(root.join("crates")).context("list the crates")? {
        let folder = entry?.path();
        let path = folder.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        out.insert(name, manifest(&text));
    }
    Ok(out)
}

fn manifest(text: &str) -> Manifest {
    let mut section = "";
    let mut row = String::new();
    let mut dependencies = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[package.metadata.drover]"
            && let Some(value) = line.strip_prefix("row = ")
        {
            row = value.trim_matches('"').to_owned();
        } else if section == "[dependencies]"
            && let Some(name) = line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))
        {
            dependencies.push(name.to_owned());
        }
    }
    Manifest { row, dependencies }
}

fn rows(manifests: &BTreeMap<String, Manifest>, problems: &mut Vec<String>) {
    let height = |row: &str| ROWS.iter().position(|known| *known == row);
    for (name, manifest) in manifests {
        let Some(own) = height(&manifest.row) else {
            problems.push(format!("crates/{name}: the row {:?} in [package.metadata.drover] is none of {ROWS:?}", manifest.row));
            continue;
        };
        for dependency in &manifest.dependencies {
            let folder = dependency.strip_prefix("drover-").unwrap_or(dependency);
            if let Some(other) = manifests.get(folder).filter(|_| dependency.starts_with("drover-")) {
                if height(&other.row).is_some_and(|other| other > own) {
                    problems.push(format!("crates/{name} ({}) uses {dependency}, which is above it ({})", manifest.row, other.row));
                }
            } else if own <= 1 && IMPURE.contains(&dependency.as_str()) {
                problems.push(format!("crates/{name} ({}) uses {dependency}: logic has no clock, socket, file or task", manifest.row));
            }
        }
    }
    for (name, forbidden) in [
        ("client", &["drover-state", "drover-scheduler", "drover-server"][..]),
        // Of the domain it uses the rules for jobs, to check them without an agent.
        ("cli", &["drover-server", "drover-client", "drover-state", "drover-scheduler"][..]),
    ] {
        for dependency in manifests.get(name).iter().flat_map(|manifest| &manifest.dependencies) {
            if forbidden.contains(&dependency.as_str()) {
                problems.push(format!("crates/{name} must not know {dependency}"));
            }
        }
    }
}

/// Every Rust file below a folder, in name order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

fn source(path: &str, text: &str, problems: &mut Vec<String>) {
    let mut problem = |line: usize, what: String| problems.push(format!("{path}:{line}: {what}"));
    if !text.starts_with("//!") {
        problem(1, "the file does not open with what it is for (//!)".to_owned());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        problem(lines, format!("{lines} lines: a second noun hides here"));
    }
    // Put together, so that this file does not find itself.
    let hosts =
        [["crates", "io"].join("."), ["registry.npmjs", "org"].join("."), ["pypi", "org"].join("."), ["proxy.golang", "org"].join(".")];
    let undone = [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["db", "g!("].concat()];
    let ignored = ["#[", "ignore"].concat();
    let keyword = ["un", "safe"].concat();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let code = line.trim_start();
        if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
            problem(number, format!("names the registry {host}"));
        }
        if code.starts_with("//") {
            continue;
        }
        if undone.iter().any(|word| code.contains(word.as_str())) {
            problem(number, "something is left undone".to_owned());
        }
        if code.starts_with(&ignored) {
            problem(number, "a test is ignored".to_owned());
        }
        let marked = ["{", "fn", "impl", "extern", "trait"].iter().any(|next| code.contains(&format!("{keyword} {next}")));
        if marked && !path.starts_with("crates/linux/") {
            problem(number, format!("{keyword} code outside of crates/linux"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_uses_its_row_and_those_below() {
        let text = |row: &str, dependencies: &str| {
            manifest(&format!(
                "[package.metadata.drover]\nrow = \"{row}\"\n[dependencies]\n{dependencies}\n[dev-dependencies]\ntokio = 1\n"
            ))
        };
        let manifests = BTreeMap::from([
            ("state".to_owned(), text("logic", "drover-server.workspace = true\ntokio.workspace = true\nserde = \"1\"")),
            ("server".to_owned(), text("roles", "drover-state.workspace = true\ntokio.workspace = true")),
            ("odd".to_owned(), text("middle", "")),
        ]);
        let mut problems = Vec::new();
        rows(&manifests, &mut problems);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[1].contains("uses drover-server") && problems[2].contains("uses tokio") && problems[0].contains("odd"));
    }

    #[test]
    fn files_are_judged_line_by_line() {
        let mut problems = Vec::new();
        let text = ["fn a() {\n    un", "safe { x() }\n    // un", "safe { in a comment }\n    to", "do!()\n}\n"].concat();
        source("crates/x/src/lib.rs", &text, &mut problems);
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
