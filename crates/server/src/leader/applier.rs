//! The plan applier: verifies plans against the newest state plus what it has just let through, and commits what arrived
//! meanwhile in one entry.

use drover_base::{AllocId, EvalId};
use drover_model::Plan;
use drover_model::command::Change;
use drover_scheduler::broker::Token;
use drover_scheduler::verify::{InFlight, verify};
use tokio::sync::{mpsc, oneshot};

use crate::error::EndpointError;
use crate::server::Server;

/// Plans in one entry at most.
const BATCH_MAX: usize = 64;
/// Allocations in one entry at most; a single larger plan goes alone.
const BATCH_ALLOCS_MAX: usize = 2_000;

/// A plan on its way to the applier.
pub(crate) struct PlanRequest {
    pub(crate) plan: Plan,
    pub(crate) eval_id: EvalId,
    pub(crate) token: Token,
    pub(crate) reply: oneshot::Sender<Result<Committed, EndpointError>>,
}

/// What became of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// Something did not fit; look again on newer state.
    pub(crate) partial: bool,
    /// Something was committed.
    pub(crate) progress: bool,
}

pub(super) async fn run(server: Server, mut waiting: mpsc::Receiver<PlanRequest>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        while !batch.is_empty() {
            let (mut allocs, mut take) = (0, 0);
            for request in &batch {
                allocs += request.plan.placements.len() + request.plan.stops.len();
                if take > 0 && allocs > BATCH_ALLOCS_MAX {
                    break;
                }
                take += 1;
            }
            commit(&server, batch.drain(..take).collect()).await;
        }
    }
}

async fn commit(server: &Server, batch: Vec<PlanRequest>) {
    let state = server.snapshot();
    let mut in_flight = InFlight::default();
    let (mut plans, mut replies) = (Vec::new(), Vec::new());
    for request in batch {
        // Only who holds the evaluation may act on it (EVL-037).
        if !server.0.leader.holds(request.eval_id, request.token) {
            let _ = request.reply.send(Err(EndpointError::internal("evaluation is outstanding with another worker")));
            continue;
        }
        if server.0.config.planted == Some(crate::PlantedBug::StaleCapacity) {
            in_flight = InFlight::default();
        }
        let verified = verify(&state, &mut in_flight, request.plan);
        let placed: Vec<AllocId> = verified.plan.placements.iter().map(|placement| placement.id).collect();
        let committed = Committed { partial: verified.partial, progress: !verified.plan.is_empty() };
        replies.push((request.reply, committed, placed));
        if !verified.plan.is_empty() {
            plans.push(verified.plan);
        }
    }
    let result = if plans.is_empty() { Ok(0) } else { server.propose(Change::SharedPlans(plans)).await };
    // What changed between the check and the entry was left out there: a job that was stopped, a node that was taken out.
    let newest = server.snapshot();
    for (reply, mut committed, placed) in replies {
        committed.partial |= result.is_ok() && placed.iter().any(|id| newest.alloc(*id).is_none());
        // A worker that is gone has no use for the answer.
        let _ = reply.send(result.clone().map(|_| committed));
    }
}
