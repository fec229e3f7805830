//! Settings of the scheduler and for the care of servers, node pools, and the state as a whole.

use drover_base::EvalId;
use drover_model::command::Change;
use drover_model::{AutopilotConfig, EvalStatus, Evaluation, NODE_POOL_ALL, NodePool, NodeStatus, SchedulerConfig};

use crate::error::EndpointError;
use crate::server::Server;

impl Server {
    /// Replaces the settings of the scheduler; with `expected`, only those of that index. Returns whether they were replaced,
    /// and the log entry.
    ///
    /// # Errors
    /// When the change cannot be committed.
    pub async fn set_scheduler_config(&self, config: SchedulerConfig, expected: Option<u64>) -> Result<(bool, u64), EndpointError> {
        let state = self.snapshot();
        if expected.is_some_and(|expected| expected != state.scheduler_config().modify_index) {
            return Ok((false, state.index()));
        }
        let pauses = config.pause_eval_broker;
        let index = self.propose(Change::SchedulerConfig { config, enforce_index: expected }).await?;
        if pauses {
            self.0.leader.pause_broker();
        } else if !self.0.leader.broker_enabled() {
            self.0.leader.resume_broker(&self.snapshot(), self.moment());
        }
        Ok((true, index))
    }

    /// Replaces the settings for the care of servers; with `expected`, only those of that index. Returns whether they were
    /// replaced.
    ///
    /// # Errors
    /// When the change cannot be committed.
    pub async fn set_autopilot(&self, config: AutopilotConfig, expected: Option<u64>) -> Result<bool, EndpointError> {
        if expected.is_some_and(|expected| expected != self.snapshot().autopilot().modify_index) {
            return Ok(false);
        }
        self.propose(Change::Autopilot { config, enforce_index: expected }).await?;
        Ok(true)
    }

    /// The whole state as an archive, as it is now.
    pub fn save_state(&self) -> Vec<u8> {
        let (state, term) = (self.snapshot(), self.raft_status().term);
        drover_state::write_archive(&drover_state::write_snapshot(&state), state.index(), term, self.0.clock.now())
    }

    /// Replaces the whole state by that of an archive, through the log. What was running and is not in it is stopped by its
    /// nodes; what is in it and does not run is placed again.
    ///
    /// # Errors
    /// When the archive is damaged, too large for one entry of the log, or the change cannot be committed.
    pub async fn restore_state(&self, archive: Vec<u8>) -> Result<u64, EndpointError> {
        let refused = |error: &dyn std::fmt::Display| EndpointError::internal(format!("failed to restore from snapshot: {error}"));
        drover_state::read_archive(&archive).and_then(|archive| archive.state()).map_err(|error| refused(&error))?;
        let index = self.propose(Change::Restore { archive }).await?;
        // Whoever worked on the state before starts over with the one that is there now.
        let state = self.snapshot();
        self.0.leader.pause_broker();
        if !state.scheduler_config().pause_eval_broker {
            self.0.leader.resume_broker(&state, self.moment());
        }
        let grace = self.0.clock.monotonic() + self.0.config.failover_heartbeat;
        {
            let mut heartbeats = self.heartbeats();
            for (_, row) in state.nodes().filter(|(_, row)| row.status != NodeStatus::Down) {
                heartbeats.expect(row.node.id, grace);
            }
        }
        self.forget_locks();
        self.take_up_locks();
        // The entry is as large as the state: the log is to be rid of it.
        if let Err(error) = self.0.consensus.snapshot().await {
            tracing::warn!(%error, "no snapshot was taken after a restore");
        }
        Ok(index)
    }

    /// Deletes evaluations while the broker is paused; those that wait are given up first. Returns how many there were, and the
    /// log entry.
    ///
    /// # Errors
    /// When the broker is not paused, one of those named is not there, or the change cannot be committed.
    pub async fn delete_evaluations(&self, ids: Vec<EvalId>, filtered: bool) -> Result<(i64, u64), EndpointError> {
        let state = self.snapshot();
        if !state.scheduler_config().pause_eval_broker {
            return Err(EndpointError::internal("eval broker is enabled; eval broker must be paused to delete evals"));
        }
        if !filtered && ids.iter().any(|id| state.eval(*id).is_none()) {
            return Err(EndpointError::internal("eval not found"));
        }
        let found: Vec<&Evaluation> = ids.iter().filter_map(|id| state.eval(*id)).map(AsRef::as_ref).collect();
        let evals: Vec<EvalId> = found.iter().map(|eval| eval.id).collect();
        let count = i64::try_from(evals.len()).unwrap_or(i64::MAX);
        if evals.is_empty() {
            return Ok((0, 0));
        }
        let waiting = found.into_iter().filter(|eval| !eval.status.is_terminal());
        let given_up: Vec<Evaluation> = waiting
            .map(|eval| Evaluation {
                status: EvalStatus::Canceled,
                status_description: "deleted by an operator".to_owned(),
                modify_time: self.stamp(),
                ..eval.clone()
            })
            .collect();
        if !given_up.is_empty() {
            self.propose(Change::Evaluations(given_up)).await?;
        }
        let change = Change::Collect { evals, allocs: Vec::new(), jobs: Vec::new(), deployments: Vec::new(), nodes: Vec::new() };
        Ok((count, self.propose(change).await?))
    }

    /// Makes a node pool, or replaces what it says.
    ///
    /// # Errors
    /// When it always exists, or the change cannot be committed.
    pub async fn upsert_node_pool(&self, pool: NodePool) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        self.propose(Change::UpsertNodePools(vec![pool])).await
    }

    /// Deletes a node pool that nothing is in.
    ///
    /// # Errors
    /// When it is not there, always exists, or has nodes or jobs.
    pub async fn delete_node_pool(&self, name: &str) -> Result<u64, EndpointError> {
        self.writes_for_all_regions()?;
        let state = self.snapshot();
        if state.node_pool(name).is_none() {
            return Err(EndpointError::internal(format!("node pool {name} not found")));
        }
        let region = &self.0.config.region;
        let everything = name == NODE_POOL_ALL;
        let mut problems = Vec::new();
        if state.jobs().any(|row| !row.job().stop && row.job().node_pool == name) {
            problems.push(format!("node pool {name:?} has non-terminal jobs in regions: [{region}]"));
        }
        if state.nodes().any(|(_, row)| everything || row.node.node_pool == name) {
            problems.push(format!("node pool {name:?} has nodes in regions: [{region}]"));
        }
        if !problems.is_empty() {
            return Err(EndpointError::problems(&problems));
        }
        self.propose(Change::DeleteNodePools(vec![name.to_owned()])).await
    }
}
