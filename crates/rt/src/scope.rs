//! A tree of tasks: each has a name, a stop signal reaches all of them, and shutdown waits for them up to a deadline.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks and stops them together. Clones share the scope.
#[derive(Clone, Debug, Default)]
pub struct TaskScope {
    stop: CancellationToken,
    tracker: TaskTracker,
    names: Arc<Mutex<Vec<(&'static str, tokio::task::Id)>>>,
}

impl TaskScope {
    /// A scope of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// A scope that stops when this one does and can be stopped alone. This one's shutdown waits for its tasks too.
    pub fn child(&self) -> Self {
        Self { stop: self.stop.child_token(), tracker: self.tracker.clone(), names: Arc::clone(&self.names) }
    }

    /// Cancelled when the scope stops.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks every task to end; does not wait.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Runs `future` as a task. It must end soon after [`Self::stop_token`] is cancelled.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let names = Arc::clone(&self.names);
        let handle = self.tracker.spawn(async move {
            let own = tokio::task::try_id();
            let output = future.await;
            if let Some(own) = own {
                names.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, id)| *id != own);
            }
            output
        });
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push((name, handle.id()));
        handle
    }

    /// Runs `future` as a task and drops it when the scope stops; for loops that lose nothing by that.
    pub fn spawn_until_stop<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = future => {}
            }
        });
    }

    /// Stops the scope and waits up to `limit`. Returns the names of tasks that were still running.
    pub async fn shutdown(&self, limit: Duration) -> Vec<&'static str> {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        self.names.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_names_the_tasks_that_did_not_end() {
        let scope = TaskScope::new();
        let stop = scope.stop_token();
        scope.spawn("polite", async move { stop.cancelled().await });
        scope.spawn("stubborn", std::future::pending::<()>());
        assert_eq!(scope.shutdown(Duration::from_millis(50)).await, ["stubborn"]);
    }

    #[tokio::test]
    async fn a_child_stops_alone_and_with_its_parent() {
        let scope = TaskScope::new();
        let (one, two) = (scope.child(), scope.child());
        one.stop();
        assert!(!scope.stop_token().is_cancelled() && !two.stop_token().is_cancelled());
        assert_eq!(scope.shutdown(Duration::from_secs(1)).await, Vec::<&str>::new());
        assert!(two.stop_token().is_cancelled());
    }
}
