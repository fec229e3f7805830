//! The leader's services, thin loops around the pure values of `drover_scheduler`.

mod ahead;
mod applier;
mod dispatch;
mod drains;
mod periodic;
mod watch;
mod worker;

pub(crate) use applier::PlanRequest;
pub(crate) use dispatch::{Answer, Leader, Moment};

use drover_rt::TaskScope;
use tokio::sync::mpsc;

use crate::server::Server;

/// Plans that wait for the applier; a worker that finds it full waits.
const PLANS_WAITING_MAX: usize = 256;

impl Server {
    /// Starts the services. Everything pending in the state is taken up again.
    pub(crate) fn begin_leading(&self, scope: &TaskScope) {
        let (plans, waiting) = mpsc::channel(PLANS_WAITING_MAX);
        if self.snapshot().scheduler_config().pause_eval_broker {
            self.0.leader.pause_broker();
        }
        self.0.leader.take_up(&self.snapshot(), self.moment());
        {
            let grace = self.0.clock.monotonic() + self.0.config.failover_heartbeat;
            let state = self.snapshot();
            let mut heartbeats = self.heartbeats();
            for (_, row) in state.nodes().filter(|(_, row)| row.status != drover_model::NodeStatus::Down) {
                heartbeats.expect(row.node.id, grace);
            }
        }
        scope.spawn_until_stop("leader dispatch", dispatch::run(self.clone()));
        scope.spawn_until_stop("plan applier", applier::run(self.clone(), waiting));
        for number in 0..self.0.config.workers {
            scope.spawn_until_stop("scheduler worker", worker::run(self.clone(), plans.clone(), number));
        }
        scope.spawn_until_stop("number of workers", worker::keep_number(self.clone(), plans, scope.clone()));
        scope.spawn_until_stop("deployment watcher", watch::deployments(self.clone()));
        scope.spawn_until_stop("heartbeat watcher", watch::heartbeats(self.clone()));
        scope.spawn_until_stop("drains", drains::run(self.clone()));
        scope.spawn_until_stop("periodic jobs", periodic::run(self.clone()));
        if self.0.config.keyring {
            scope.spawn_until_stop("first root key", crate::endpoints::first_key(self.clone()));
            scope.spawn_until_stop("locks on variables", crate::endpoints::run_locks(self.clone()));
        }
        scope.spawn_until_stop("garbage collector", watch::garbage(self.clone()));
    }
}

#[cfg(test)]
mod tests;
