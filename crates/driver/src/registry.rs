//! The trait every driver implements, and the set of drivers of a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::schema::{self, Field};
use crate::task::{
    Capabilities, DriverError, ExecCommand, ExecInput, ExecOutput, ExitResult, Fingerprint, StartError, Started, TaskConfig, TaskHandle,
    TaskState, TaskStats,
};

/// A way of running tasks.
///
/// Every method about a task answers [`DriverError::NotFound`] for one it does not know, which callers take as gone already.
pub trait Driver: Send + Sync {
    /// The name in job files.
    fn name(&self) -> &'static str;

    /// What this driver can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it can be used here. Quick, and free of side effects.
    fn fingerprint(&self) -> Fingerprint;

    /// The settings it knows in a task's `config` block.
    fn schema(&self) -> &'static [Field];

    /// Checks a `config` block, everything wrong with it at once.
    fn validate(&self, config: &Map<String, Value>) -> Result<(), Vec<String>> {
        schema::decode(config, self.schema()).map(drop)
    }

    /// Starts a task. The handle must be stored before the task counts as running.
    fn start(&self, task: TaskConfig) -> BoxFuture<'_, Result<Started, StartError>>;

    /// The handle of a started task is stored, so the task may outlive this agent.
    fn confirm(&self, _id: String) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Finds a task again. Does nothing for one that is known already.
    fn recover(&self, id: String, handle: TaskHandle) -> BoxFuture<'_, Result<(), DriverError>>;

    /// Returns the one exit of a task, at once when it has ended already.
    fn wait(&self, id: String) -> BoxFuture<'_, Result<ExitResult, DriverError>>;

    /// Sends the signal, and kills the whole tree once the time is over. Returns when the task has ended.
    fn stop(&self, id: String, signal: i32, timeout: Duration) -> BoxFuture<'_, Result<(), DriverError>>;

    /// Forgets a task that has ended; ends a running one only when forced.
    fn destroy(&self, id: String, force: bool) -> BoxFuture<'_, Result<(), DriverError>>;

    /// Where a task stands.
    fn inspect(&self, id: &str) -> Result<TaskState, DriverError>;

    /// Sends a signal.
    fn signal(&self, id: String, signal: i32) -> BoxFuture<'_, Result<(), DriverError>>;

    /// What a task uses now.
    fn stats(&self, id: &str) -> Result<TaskStats, DriverError>;

    /// Runs a command in the task's context; chunks from `input` are its standard input, which ends with the channel.
    fn exec(
        &self,
        id: String,
        command: ExecCommand,
        input: mpsc::Receiver<ExecInput>,
    ) -> BoxFuture<'_, Result<BoxStream<'static, ExecOutput>, DriverError>>;

    /// Makes the first start quick; optional.
    fn warm_up(&self) {}

    /// Removes what the driver made on the host for tasks in general; called when no task is left. False while something remains.
    fn clear(&self) -> bool {
        true
    }
}

/// The drivers of a node, by name.
#[derive(Clone, Default)]
pub struct Registry {
    drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.drivers.keys()).finish()
    }
}

impl Registry {
    /// No drivers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a driver, in place of one with the same name.
    pub fn add(&mut self, driver: Arc<dyn Driver>) {
        self.drivers.insert(driver.name(), driver);
    }

    /// The driver with this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Driver>> {
        self.drivers.get(name).cloned()
    }

    /// All drivers, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.drivers.values()
    }
}
