//! Tasks of the workspace: `cargo xtask <task>`.

mod check;
mod parity;
mod tidy;
mod vendor;
mod vendor_acl;
mod vendor_clients;
mod vendor_replay;
mod vendor_scheduler;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const TASKS: &str = "\
check                             what must hold before a change is taken: format, lints, tidy, documentation; writes nothing
fix                               mends what can be mended: format and lints
tidy                              the rules of the workspace that no compiler checks
parity [--issue NAME] [--log FILE]   which ids of the ledger are proven by tests, and which are open
reference                         writes docs/reference anew from the tables of the parsers and of the API
vendor FOLDER                     packs recorded results into testdata/golden, and the ledgers beside FOLDER into testdata/parity";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("find the workspace")?;
    match arguments.first().map(String::as_str) {
        Some("check") => check::check(&root),
        Some("fix") => check::fix(&root),
        Some("tidy") => tidy::tidy(&root),
        Some("reference") => {
            let arguments = ["test", "-p", "drover-lang", "-p", "drover-http", "--", "reference", "the_pages_of_the_api"];
            check::cargo(&root, &arguments, &[("DROVER_WRITE_REFERENCE", "1")])
        }
        Some("parity") => parity::parity(&root, &arguments[1..]),
        Some("vendor") => {
            let records = arguments.get(1).map(PathBuf::from).context("vendor needs the folder of the records")?;
            vendor::languages(&records, &root.join("testdata/golden"))?;
            vendor_clients::clients(&records, &root.join("testdata/golden"))?;
            vendor_scheduler::scheduler(&records, &root.join("testdata/golden"))?;
            vendor::ledgers(&records.join("../parity"), &root.join("testdata/parity"))
        }
        Some(other) => bail!("there is no task {other:?}; there are:\n{TASKS}"),
        None => {
            println!("{TASKS}");
            Ok(())
        }
    }
}
