//! Who this server is for operators: an id that is made once for a data directory and stays.

use std::path::Path;

use anyhow::{Context, bail};
use drover_base::NodeId;
use drover_rt::disk::{read_all, replace};
use drover_rt::{Disk, Entropy, RealDisk};

/// Below the data directory.
const FILE: &str = "server/node-id";
/// Far more than an id takes.
const LENGTH_MAX: u64 = 4_096;

/// Reads the id, or makes one.
///
/// # Errors
/// When the file cannot be read or written, or holds something else.
pub(super) fn load(data_dir: &Path, entropy: &Entropy) -> anyhow::Result<NodeId> {
    let path = data_dir.join(FILE);
    if RealDisk.exists(&path) {
        let file = RealDisk.open(&path).with_context(|| format!("open server id {}", path.display()))?;
        let bytes = read_all(file.as_ref(), LENGTH_MAX).with_context(|| format!("read server id {}", path.display()))?;
        let Ok(id) = String::from_utf8_lossy(&bytes).trim().parse() else {
            bail!("{} does not hold an id; remove it, and the server gets a new one", path.display());
        };
        return Ok(id);
    }
    let id: NodeId = entropy.id();
    if let Some(directory) = path.parent() {
        RealDisk.create_dir(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    replace(&RealDisk, &path, id.to_string().as_bytes()).with_context(|| format!("write server id {}", path.display()))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_with_its_directory_and_a_broken_one_is_named() {
        let root = tempfile::tempdir().unwrap();
        let entropy = Entropy::seeded(7);
        let first = load(root.path(), &entropy).unwrap();
        assert_eq!(load(root.path(), &entropy).unwrap(), first);
        let file = root.path().join(FILE);
        std::fs::write(&file, "nonsense").unwrap();
        let refusal = load(root.path(), &entropy).unwrap_err().to_string();
        assert!(refusal.contains("node-id does not hold an id"), "{refusal}");
        std::fs::remove_file(&file).unwrap();
        assert_ne!(load(root.path(), &entropy).unwrap(), first);
    }
}
