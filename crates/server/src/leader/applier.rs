//! The plan applier: verifies plans against the newest state plus what is in flight, and commits what arrived meanwhile in
//! one entry, together with the evaluations that end with it.
//!
//! Plans of higher priority go first (EVL-036). A large plan goes in bounded chunks, and between its chunks others of the
//! same priority have their turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use drover_model::command::Change;
use drover_model::{Evaluation, Index, Plan};
use drover_scheduler::broker::Token;
use drover_scheduler::verify::verify;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use crate::config::EntryLimits;
use crate::error::EndpointError;
use crate::pace::gather;
use crate::server::Server;

/// How long the state may lag behind the one that a plan was worked out on (EVL-046).
const STATE_LIMIT: Duration = Duration::from_secs(10);

/// A plan on its way to the applier.
pub(crate) struct PlanRequest {
    pub(crate) eval: Arc<Evaluation>,
    pub(crate) token: Token,
    pub(crate) plan: Plan,
    /// The index of the state that it was worked out on.
    pub(crate) needed: Index,
    /// Written in the entry of the last chunk if everything was let through.
    pub(crate) then: Vec<Evaluation>,
    pub(crate) reply: oneshot::Sender<Result<Verdict, EndpointError>>,
}

/// What of a plan was let through.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Something did not fit; look again on newer state.
    pub(crate) partial: bool,
    /// Something was let through.
    pub(crate) progress: bool,
    /// Told once what was let through is committed and applied.
    pub(crate) committed: oneshot::Receiver<Result<(), EndpointError>>,
}

/// A request under way.
struct Unit {
    eval: Arc<Evaluation>,
    token: Token,
    chunks: VecDeque<Plan>,
    then: Vec<Evaluation>,
    partial: bool,
    progress: bool,
    reply: oneshot::Sender<Result<Verdict, EndpointError>>,
}

/// What waits: by priority, then as it came.
type Queue = BTreeMap<(Reverse<u8>, u64), Unit>;

/// An entry as it is put together.
#[derive(Default)]
struct Entry {
    plans: Vec<Plan>,
    evals: Vec<Evaluation>,
    waiting: Vec<oneshot::Sender<Result<(), EndpointError>>>,
}

pub(super) async fn run(server: Server, mut requests: mpsc::Receiver<PlanRequest>) {
    let mut queue = Queue::new();
    let (mut arrivals, mut entries) = (0, FuturesUnordered::new());
    // One for each worker at most, as each waits for its answer.
    let mut early = FuturesUnordered::new();
    let limits = server.0.config.entry_limits;
    loop {
        if queue.is_empty() || entries.len() >= limits.at_once || !entries.is_empty() && !many(&queue, limits) {
            tokio::select! {
                Some(()) = entries.next(), if !entries.is_empty() => {}
                Some(request) = early.next(), if !early.is_empty() => queue_up(&mut queue, &mut arrivals, request, limits),
                request = requests.recv() => match request {
                    Some(request) if request.needed > server.snapshot().index() => early.push(caught_up(&server, request)),
                    Some(request) => queue_up(&mut queue, &mut arrivals, Some(request), limits),
                    None => return,
                },
            }
        }
        gather(&mut requests, |request| {
            if request.needed > server.snapshot().index() {
                early.push(caught_up(&server, request));
            } else {
                queue_up(&mut queue, &mut arrivals, Some(request), limits);
            }
            true
        })
        .await;
        if !queue.is_empty() && (entries.is_empty() || entries.len() < limits.at_once && many(&queue, limits)) {
            let began = server.0.clock.monotonic();
            let entry = put_together(&server, &mut queue, &mut arrivals);
            metrics::histogram!("nomad.nomad.plan.evaluate").record(milliseconds(&server, began));
            server.0.leader.plans.store(queue.len(), Ordering::Relaxed);
            entries.push(commit(server.clone(), entry));
        }
    }
}

/// Whether what waits is worth an entry of its own beside one that is on its way.
fn many(queue: &Queue, limits: EntryLimits) -> bool {
    let allocs = || queue.values().flat_map(|unit| &unit.chunks).map(Plan::allocs).sum::<usize>();
    queue.len() >= limits.plans_many || allocs() >= limits.allocs_many
}

/// Waits for the state that a plan was worked out on; one that waits in vain has failed.
async fn caught_up(server: &Server, request: PlanRequest) -> Option<PlanRequest> {
    if server.reached(request.needed, STATE_LIMIT).await {
        return Some(request);
    }
    let reason = format!("the state did not reach index {}, on which the plan was worked out, in time", request.needed);
    // A worker that is gone has no use for the answer.
    let _ = request.reply.send(Err(EndpointError::internal(reason)));
    None
}

fn queue_up(queue: &mut Queue, arrivals: &mut u64, request: Option<PlanRequest>, limits: EntryLimits) {
    let Some(PlanRequest { eval, token, plan, needed: _, then, reply }) = request else { return };
    *arrivals += 1;
    let key = (Reverse(eval.priority), *arrivals);
    let chunks = plan.chunks_of(limits.allocs).into();
    queue.insert(key, Unit { eval, token, chunks, then, partial: false, progress: false, reply });
}

/// Takes chunks from the queue and lets through what fits, until the entry is full.
fn put_together(server: &Server, queue: &mut Queue, arrivals: &mut u64) -> Entry {
    let limits = server.0.config.entry_limits;
    let newest = server.snapshot();
    let mut state = server.0.leader.ahead.of(&newest);
    let (mut entry, mut allocs) = (Entry::default(), 0);
    while let Some(first) = queue.first_entry() {
        let next = first.get().chunks.front().map_or(0, Plan::allocs);
        if allocs > 0 && allocs + next > limits.allocs || entry.plans.len() >= limits.plans || entry.evals.len() >= limits.plans {
            break;
        }
        allocs += next;
        let ((priority, _), mut unit) = first.remove_entry();
        // Only who holds the evaluation may act on it (EVL-037).
        if !server.0.leader.holds(unit.eval.id, unit.token) {
            let _ = unit.reply.send(Err(EndpointError::internal("evaluation is outstanding with another worker")));
            continue;
        }
        if let Some(chunk) = unit.chunks.pop_front().filter(|chunk| !chunk.is_empty()) {
            let verified = verify(&state, chunk);
            unit.partial |= verified.partial;
            if verified.partial {
                metrics::counter!("nomad.nomad.plan.rejected").increment(1);
            }
            if !verified.plan.is_empty() {
                unit.progress = true;
                // Nothing is verified after the last one; what is in flight counts for the next entry.
                let last = unit.chunks.is_empty() && queue.is_empty();
                if !last && server.0.config.planted != Some(crate::PlantedBug::StaleCapacity) {
                    Arc::make_mut(&mut state).anticipate(&verified.plan);
                }
                entry.plans.push(verified.plan);
            }
        }
        if unit.chunks.is_empty() {
            finish(unit, &mut entry);
        } else {
            *arrivals += 1;
            queue.insert((priority, *arrivals), unit);
        }
    }
    entry
}

/// The last chunk is through: its evaluation ends with it if nothing was left out.
fn finish(unit: Unit, entry: &mut Entry) {
    let (tell, committed) = oneshot::channel();
    if !unit.partial {
        entry.evals.extend(unit.then);
    }
    entry.waiting.push(tell);
    let verdict = Verdict { partial: unit.partial, progress: unit.progress, committed };
    // A worker that is gone has no use for the answer.
    let _ = unit.reply.send(Ok(verdict));
}

/// How long ago something began.
fn milliseconds(server: &Server, began: drover_base::Monotonic) -> f64 {
    server.0.clock.monotonic().since(began).as_secs_f64() * 1_000.0
}

/// Puts an entry on its way. It counts as in flight at once, not from when what is returned is first polled: another entry may be
/// put together before.
fn commit(server: Server, entry: Entry) -> impl Future<Output = ()> {
    let Entry { plans, evals, waiting } = entry;
    let in_flight = server.0.leader.ahead.take_off(Arc::from(plans.as_slice()));
    async move {
        let began = server.0.clock.monotonic();
        let written = !plans.is_empty() || !evals.is_empty();
        let result = if written { server.propose(Change::Results { plans, evals }).await.map(|_| ()) } else { Ok(()) };
        server.0.leader.ahead.land(in_flight);
        if written {
            metrics::histogram!("nomad.nomad.plan.apply").record(milliseconds(&server, began));
        }
        for tell in waiting {
            // A worker that is gone has no use for the answer.
            let _ = tell.send(result.clone());
        }
    }
}
