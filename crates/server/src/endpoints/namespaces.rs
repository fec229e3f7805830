//! Namespaces.

use drover_model::command::Change;
use drover_model::{NAMESPACE_DEFAULT, Namespace};

use crate::error::EndpointError;
use crate::server::Server;

impl Server {
    /// Makes a namespace, or replaces what it says.
    ///
    /// # Errors
    /// When the change cannot be committed.
    pub async fn upsert_namespace(&self, namespace: Namespace) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        self.propose(Change::UpsertNamespaces(vec![namespace])).await
    }

    /// Deletes a namespace that nothing lives in.
    ///
    /// # Errors
    /// When it is not there, is the default one, or has jobs or allocations that have not ended.
    pub async fn delete_namespace(&self, name: &str) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        let state = self.snapshot();
        if name == NAMESPACE_DEFAULT {
            return Err(EndpointError::internal("can not delete default namespace"));
        }
        if state.namespace(name).is_none() {
            return Err(EndpointError::internal("namespace not found"));
        }
        let region = &self.0.config.region;
        let used = state.namespace_use(name);
        let mut problems = Vec::new();
        if used.jobs {
            problems.push(format!("namespace {name:?} has non-terminal jobs in regions: [{region}]"));
        }
        if used.allocs {
            problems.push(format!("namespace {name:?} has non-terminal allocations in regions: [{region}]"));
        }
        if !problems.is_empty() {
            return Err(EndpointError::problems(&problems));
        }
        self.propose(Change::DeleteNamespaces(vec![name.to_owned()])).await
    }
}
