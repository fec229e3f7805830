//! Namespaces: made, changed, and deleted once nothing in them runs.

use std::sync::Arc;

use drover_model::{NAMESPACE_DEFAULT, Namespace};

use crate::rows::JobStatus;
use crate::store::{ApplyError, Transaction};
use crate::tables::{Snapshot, Table};

/// What keeps a namespace from being deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceUse {
    /// A job in it is not dead.
    pub jobs: bool,
    /// An allocation in it has not ended.
    pub allocs: bool,
}

impl Snapshot {
    /// What of a namespace is still in use.
    pub fn namespace_use(&self, name: &str) -> NamespaceUse {
        let jobs = self.jobs_in(name).any(|row| row.status != JobStatus::Dead);
        // Allocations outlive their job when it is purged, so they are looked for among all.
        let allocs = self.allocs().any(|alloc| alloc.job.id.namespace == name && !alloc.client_terminal());
        NamespaceUse { jobs, allocs }
    }
}

impl Transaction<'_> {
    pub(crate) fn upsert_namespaces(&mut self, namespaces: Vec<Namespace>) {
        let index = self.index();
        for mut namespace in namespaces {
            namespace.create_index = self.state.namespace(&namespace.name).map_or(index, |old| old.create_index);
            namespace.modify_index = index;
            let name: Arc<str> = Arc::from(namespace.name.as_str());
            self.touched.namespaces.insert(name.to_string());
            self.state.namespaces.insert(name, Arc::new(namespace));
        }
        self.touch(Table::Namespaces);
    }

    pub(crate) fn delete_namespaces(&mut self, names: &[String]) -> Result<(), ApplyError> {
        for name in names {
            if name == NAMESPACE_DEFAULT {
                return Err(ApplyError::Refused("can not delete default namespace".to_owned()));
            }
            if self.state.namespace(name).is_none() {
                return Err(ApplyError::NotFound("namespace not found".to_owned()));
            }
            let used = self.state.namespace_use(name);
            if used.jobs {
                return Err(ApplyError::Refused(format!("namespace {name:?} has non-terminal jobs")));
            }
            if used.allocs {
                return Err(ApplyError::Refused(format!("namespace {name:?} has non-terminal allocations")));
            }
        }
        for name in names {
            self.state.namespaces.remove(name.as_str());
            self.touched.namespaces.insert(name.clone());
        }
        self.touch(Table::Namespaces);
        Ok(())
    }

    /// Refuses what would be in a namespace that does not exist (PER-032): it may have been deleted after the request was
    /// looked at.
    pub(crate) fn check_namespace(&self, id: &drover_model::JobId) -> Result<(), ApplyError> {
        match self.state.namespace(&id.namespace) {
            Some(_) => Ok(()),
            None => Err(ApplyError::Refused(format!("job {:?} is in nonexistent namespace {:?}", id.id, id.namespace))),
        }
    }
}
