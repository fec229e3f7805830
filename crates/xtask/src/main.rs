//! Tasks of the workspace: `cargo xtask <task>`.

mod vendor;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("vendor") => {
            let records = arguments.next().map(PathBuf::from).context("vendor needs the folder of the records")?;
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            vendor::languages(&records, &root.join("testdata/golden"))
        }
        Some(other) => bail!("there is no task \"{other}\""),
        None => bail!("name a task: vendor"),
    }
}
