//! Settings of the scheduler, and node pools.

use std::sync::Arc;

use drover_model::{AutopilotConfig, NODE_POOL_ALL, NodePool, SchedulerConfig};

use crate::archive::read_archive;
use crate::event::{EventKind, Payload};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

impl Transaction<'_> {
    pub(crate) fn scheduler_config(&mut self, mut config: SchedulerConfig, enforce_index: Option<u64>) -> Result<(), ApplyError> {
        let index = self.index();
        let stored = &self.state.scheduler_config;
        if let Some(expected) = enforce_index
            && expected != stored.modify_index
        {
            return Err(ApplyError::Refused("scheduler configuration was changed by somebody else in the meantime".to_owned()));
        }
        config.create_index = if stored.create_index == 0 { index } else { stored.create_index };
        config.modify_index = index;
        self.state.scheduler_config = Arc::new(config);
        self.told(Payload::Scheduler(Arc::clone(&self.state.scheduler_config)));
        self.touch(Table::SchedulerConfig);
        Ok(())
    }

    pub(crate) fn autopilot(&mut self, mut config: AutopilotConfig, enforce_index: Option<u64>) -> Result<(), ApplyError> {
        let (index, stored) = (self.index(), self.state.autopilot());
        if enforce_index.is_some_and(|expected| expected != stored.modify_index) {
            return Err(ApplyError::Refused("autopilot configuration was changed by somebody else in the meantime".to_owned()));
        }
        config.create_index = if stored.create_index == 0 { index } else { stored.create_index };
        config.modify_index = index;
        let config = Arc::new(config);
        self.state.autopilot = Some(Arc::clone(&config));
        self.told(Payload::Autopilot(config));
        Ok(())
    }

    /// Replaces the state by that of an archive. Its history is another one, so everybody reads it anew; indexes go on after
    /// those of both.
    pub(crate) fn restore(&mut self, archive: &[u8]) -> Result<(), ApplyError> {
        let refused = |error: &dyn std::fmt::Display| ApplyError::Refused(format!("failed to restore from snapshot: {error}"));
        let mut restored = read_archive(archive).and_then(|archive| archive.state()).map_err(|error| refused(&error))?;
        let own = &*self.state;
        let entry = own.index - own.ahead_of_log;
        restored.index = own.index.max(restored.index + 1);
        restored.ahead_of_log = restored.index - entry;
        restored.time = restored.time.max(own.time);
        restored.feature_level = own.feature_level;
        restored.next_slot = restored.next_slot.max(own.next_slot);
        *self.state = restored;
        self.touched.tables.extend(Table::ALL);
        self.touched.everything = true;
        Ok(())
    }

    pub(crate) fn upsert_node_pools(&mut self, pools: Vec<NodePool>) -> Result<(), ApplyError> {
        if let Some(pool) = pools.iter().find(|pool| pool.is_built_in()) {
            return Err(ApplyError::Refused(format!("modifying node pool {:?} is not allowed", pool.name)));
        }
        for pool in pools {
            self.put_node_pool(pool);
        }
        Ok(())
    }

    fn put_node_pool(&mut self, mut pool: NodePool) {
        let index = self.index();
        pool.create_index = self.state.node_pool(&pool.name).map_or(index, |old| old.create_index);
        pool.modify_index = index;
        let name: Arc<str> = Arc::from(pool.name.as_str());
        let pool = Arc::new(pool);
        self.state.node_pools.insert(Arc::clone(&name), Arc::clone(&pool));
        self.event(EventKind::NodePoolUpserted, Payload::NodePool(pool));
        self.touch(Table::NodePools);
        self.touched.node_pools.insert(name.to_string());
    }

    /// Makes the pool of a node that registers, unless it is there (NOD-010).
    pub(crate) fn ensure_node_pool(&mut self, name: &str) {
        if !name.is_empty() && self.state.node_pool(name).is_none() {
            self.put_node_pool(NodePool { name: name.to_owned(), ..NodePool::default() });
        }
    }

    pub(crate) fn delete_node_pools(&mut self, names: &[String]) -> Result<(), ApplyError> {
        for name in names {
            let Some(pool) = self.state.node_pool(name) else {
                return Err(ApplyError::NotFound(format!("node pool {name} not found")));
            };
            if pool.is_built_in() {
                return Err(ApplyError::Refused(format!("deleting node pool {name:?} is not allowed")));
            }
            if self.state.nodes().any(|(_, row)| row.node.node_pool == *name) {
                return Err(ApplyError::Refused(format!("node pool {name:?} has nodes in regions: [global]")));
            }
            let used = self.state.jobs().any(|row| !row.job().stop && row.job().node_pool == *name && name != NODE_POOL_ALL);
            if used {
                return Err(ApplyError::Refused(format!("node pool {name:?} has non-terminal jobs in regions: [global]")));
            }
        }
        for name in names {
            if let Some(pool) = self.state.node_pools.remove(name.as_str()) {
                self.told(Payload::NodePool(pool));
            }
            self.touched.node_pools.insert(name.clone());
        }
        self.touch(Table::NodePools);
        Ok(())
    }
}
