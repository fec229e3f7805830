//! `check` and `fix`: the tools that judge the whole workspace, one after the other.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs every judge; all of them, so that one run tells everything.
pub(crate) fn check(root: &Path) -> Result<()> {
    let judged = [
        ("format", cargo(root, &["fmt", "--all", "--check"], &[])),
        ("lints", cargo(root, &["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])),
        ("tidy", crate::tidy::tidy(root)),
        ("documentation", cargo(root, &["doc", "-q", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])),
    ];
    let mut failed = Vec::new();
    for (name, outcome) in judged {
        match outcome {
            Ok(()) => println!("{name}: good"),
            Err(error) => {
                println!("{name}: {error:#}");
                failed.push(name);
            }
        }
    }
    ensure!(failed.is_empty(), "not good: {}", failed.join(", "));
    Ok(())
}

/// Mends format and lints in place.
pub(crate) fn fix(root: &Path) -> Result<()> {
    cargo(root, &["clippy", "-q", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"], &[])?;
    cargo(root, &["fmt", "--all"], &[])
}

pub(crate) fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).envs(environment.iter().copied());
    let status = command.status().with_context(|| format!("run cargo {}", arguments.join(" ")))?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(())
}
