//! Who this node is: an id and a secret that stay the same for as long as the state directory does.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use drover_base::NodeId;
use drover_rt::Entropy;

/// The node's id and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    pub id: NodeId,
    pub secret: String,
}

impl std::fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeIdentity").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why the identity could not be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} does not hold an id; remove it to become a new node", path.display())]
    Malformed { path: PathBuf },
    #[error("write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl NodeIdentity {
    /// A node that nobody has seen before.
    pub fn new(entropy: &Entropy) -> Self {
        Self { id: entropy.id(), secret: entropy.id::<drover_base::id::Node>().to_string() }
    }

    /// The identity in the state directory; a new one is written there when it is missing.
    pub fn load(state_dir: &Path, entropy: &Entropy) -> Result<Self, IdentityError> {
        let fresh = Self::new(entropy);
        let id = read_or_write(&state_dir.join("client-id"), &fresh.id.to_string())?;
        let secret = read_or_write(&state_dir.join("secret-id"), &fresh.secret)?;
        Ok(Self { id, secret: secret.to_string() })
    }
}

fn read_or_write(path: &Path, fresh: &str) -> Result<NodeId, IdentityError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_durably(path, fresh).map_err(|source| IdentityError::Write { path: path.to_owned(), source })?;
            fresh.to_owned()
        }
        Err(source) => return Err(IdentityError::Read { path: path.to_owned(), source }),
    };
    text.trim().parse().map_err(|_| IdentityError::Malformed { path: path.to_owned() })
}

fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let next = path.with_extension("tmp");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    #[proves("CLI-010")]
    #[test]
    fn a_node_stays_itself_until_its_state_is_deleted() {
        let root = tempfile::tempdir().expect("directory");
        let entropy = Entropy::seeded(1);
        let first = NodeIdentity::load(root.path(), &entropy).expect("identity");
        assert_eq!(NodeIdentity::load(root.path(), &entropy).expect("again"), first);
        for file in ["client-id", "secret-id"] {
            fs::remove_file(root.path().join(file)).expect("remove");
        }
        let second = NodeIdentity::load(root.path(), &entropy).expect("new");
        assert!(second.id != first.id && second.secret != first.secret);
        fs::write(root.path().join("client-id"), "nonsense").expect("write");
        assert!(matches!(NodeIdentity::load(root.path(), &entropy), Err(IdentityError::Malformed { .. })));
    }
}
