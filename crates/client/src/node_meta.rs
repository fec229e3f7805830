//! The node's metadata: what its configuration says, and what was changed while it ran. Changes outlive the agent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use drover_api as api;

/// The file of changes in the directory of the node's state.
const FILE: &str = "node_meta.json";

/// Changes by key; none hides a key of the configuration.
pub(crate) type Changes = BTreeMap<String, Option<String>>;

/// The metadata in its two layers.
#[derive(Debug)]
pub(crate) struct NodeMeta {
    fixed: BTreeMap<String, String>,
    changes: Mutex<Changes>,
    /// None where nothing is kept.
    file: Option<PathBuf>,
}

/// Whether a key may be used: names divided by dots.
pub fn is_key(key: &str) -> bool {
    let name = |part: &str| {
        let mut letters = part.chars();
        letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-')
    };
    key.split('.').all(name)
}

impl NodeMeta {
    /// The configuration's metadata with the changes kept in a directory.
    ///
    /// # Errors
    /// When the changes are there and cannot be read.
    pub(crate) fn load(fixed: BTreeMap<String, String>, directory: Option<PathBuf>) -> io::Result<Self> {
        let file = directory.map(|directory| directory.join(FILE));
        let changes = match file.as_ref().map(fs::read) {
            None => Changes::new(),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Changes::new(),
            Some(read) => serde_json::from_slice(&read?).map_err(io::Error::other)?,
        };
        Ok(Self { fixed, changes: Mutex::new(changes), file })
    }

    /// What counts.
    pub(crate) fn merged(&self) -> BTreeMap<String, String> {
        merge(&self.fixed, &self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Both layers and what they come to.
    pub(crate) fn view(&self) -> api::NodeMetaResponse {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        api::NodeMetaResponse { meta: Some(merge(&self.fixed, &changes)), dynamic: Some(changes), r#static: Some(self.fixed.clone()) }
    }

    /// Sets and removes keys, and keeps the result.
    ///
    /// # Errors
    /// When it cannot be kept; nothing has changed then.
    pub(crate) fn apply(&self, wanted: Changes) -> io::Result<()> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = changes.clone();
        for (key, value) in wanted {
            if value.is_some() || self.fixed.contains_key(&key) {
                next.insert(key, value);
            } else {
                next.remove(&key);
            }
        }
        if let Some(file) = &self.file {
            let beside = file.with_extension("json.tmp");
            let mut written = fs::File::create(&beside)?;
            written.write_all(&serde_json::to_vec(&next).map_err(io::Error::other)?)?;
            written.sync_all()?;
            fs::rename(&beside, file)?;
        }
        *changes = next;
        Ok(())
    }
}

fn merge(fixed: &BTreeMap<String, String>, changes: &Changes) -> BTreeMap<String, String> {
    let mut all = fixed.clone();
    for (key, value) in changes {
        match value {
            Some(value) => all.insert(key.clone(), value.clone()),
            None => all.remove(key),
        };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn changes_cover_the_configuration_and_outlive_the_agent() {
        let directory = tempfile::tempdir().unwrap();
        let load = || NodeMeta::load(map(&[("rack", "r7"), ("room", "1")]), Some(directory.path().to_owned())).unwrap();
        let meta = load();
        meta.apply(Changes::from([("paddock".into(), Some("north".into())), ("rack".into(), Some("r8".into())), ("room".into(), None)]))
            .unwrap();
        assert_eq!(load().merged(), map(&[("paddock", "north"), ("rack", "r8")]));
        meta.apply(Changes::from([("paddock".into(), None)])).unwrap();
        let view = load().view();
        assert_eq!(view.dynamic, Some(Changes::from([("rack".into(), Some("r8".into())), ("room".into(), None)])));
        assert_eq!(view.r#static, Some(map(&[("rack", "r7"), ("room", "1")])));
        fs::write(directory.path().join(FILE), "{").unwrap();
        assert!(NodeMeta::load(BTreeMap::new(), Some(directory.path().to_owned())).is_err());
    }

    #[test]
    fn keys_are_names_divided_by_dots() {
        assert!(is_key("a.b-c_1") && is_key("_x"));
        assert!(!is_key("bad key!") && !is_key("") && !is_key("a..b") && !is_key("1a"));
    }
}
