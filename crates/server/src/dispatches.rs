//! Dispatches: children of parameterized jobs that are asked for while an entry is being committed go into the next one.
//!
//! What is asked for waits in a bounded queue; who finds it full is turned away and told when to come again, so that what
//! was accepted is never lost.

use drover_base::{EvalId, WallTime};
use drover_model::JobId;
use drover_model::command::{Change, ChildKind, NewChild};
use drover_scheduler::dispatch::{Request, check, child_id};
use tokio::sync::{mpsc, oneshot};

use crate::error::EndpointError;
use crate::pace::gather;
use crate::server::Server;

/// Dispatches that wait for their turn; more are turned away.
const WAITING_MAX: usize = 8_192;
/// Children in one entry.
const ENTRY_CHILDREN_MAX: usize = 1_024;
/// Bytes of payload and meta in one entry, beyond which no further child is added to it.
const ENTRY_BYTES_MAX: usize = 512 << 10;
/// Entries on their way at once: one is written while the next is put together.
const ENTRIES_MAX: usize = 2;
/// Children that make a second entry on its way worth while; fewer wait for the first.
const ENTRY_CHILDREN_MANY: usize = 256;

/// Times that a random id is made up for a child.
const ID_TRIES: usize = 5;

/// One call.
pub(crate) struct Call {
    child: NewChild,
    reply: oneshot::Sender<Result<u64, EndpointError>>,
}

/// Takes dispatches in.
pub(crate) struct Dispatches(mpsc::Sender<Call>);

/// The answer to a dispatch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dispatched {
    /// The child's id.
    pub id: String,
    /// The evaluation that acts on it; none if the child was there already.
    pub eval_id: Option<EvalId>,
    /// The entry that made the child.
    pub create_index: u64,
    /// The log entry.
    pub index: u64,
}

impl Dispatches {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Call>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Returns the index once the child is committed, or found to be there already.
    async fn committed(&self, child: NewChild) -> Result<u64, EndpointError> {
        let stopping = || EndpointError::internal("raft stopped: the server is stopping");
        let (reply, answer) = oneshot::channel();
        match self.0.try_send(Call { child, reply }) {
            Ok(()) => answer.await.map_err(|_| stopping())?,
            Err(mpsc::error::TrySendError::Full(_)) => Err(EndpointError::busy(WAITING_MAX)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(stopping()),
        }
    }
}

fn size(child: &NewChild) -> usize {
    match &child.kind {
        ChildKind::Dispatch { payload, meta, .. } => payload.len() + meta.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>(),
        ChildKind::Launch { .. } => 0,
    }
}

/// Commits dispatches, for ever.
pub(crate) async fn run(server: Server, mut waiting: mpsc::Receiver<Call>) {
    let mut on_their_way = futures::stream::FuturesUnordered::new();
    loop {
        let first = tokio::select! {
            call = waiting.recv() => match call {
                Some(call) => call,
                None => return,
            },
            Some(()) = futures::StreamExt::next(&mut on_their_way), if !on_their_way.is_empty() => continue,
        };
        let mut bytes = size(&first.child);
        let (mut children, mut replies) = (vec![first.child], vec![first.reply]);
        loop {
            let full = |children: &[NewChild], bytes| children.len() >= ENTRY_CHILDREN_MAX || bytes >= ENTRY_BYTES_MAX;
            if !full(&children, bytes) {
                gather(&mut waiting, |call| {
                    bytes += size(&call.child);
                    children.push(call.child);
                    replies.push(call.reply);
                    !full(&children, bytes)
                })
                .await;
            }
            if on_their_way.is_empty() || children.len() >= ENTRY_CHILDREN_MANY || full(&children, bytes) {
                break;
            }
            futures::StreamExt::next(&mut on_their_way).await;
        }
        let entry = server.clone();
        on_their_way.push(async move {
            let result = entry.propose(Change::Children(children)).await;
            for reply in replies {
                // A caller that is gone has no use for the answer.
                let _ = reply.send(result.clone());
            }
        });
        while on_their_way.len() >= ENTRIES_MAX {
            futures::StreamExt::next(&mut on_their_way).await;
        }
    }
}

impl Server {
    /// Makes a child of a parameterized job. A second call with the same token finds the child of the first.
    ///
    /// # Errors
    /// When there is no such job, the request does not fit it, or the server has too much to do.
    pub async fn dispatch_job(&self, parent: &JobId, request: Request, token: &str) -> Result<Dispatched, EndpointError> {
        let state = self.snapshot();
        let row = state.job(parent).ok_or_else(|| EndpointError::internal("parameterized job not found"))?;
        let priority =
            check(row.job(), &request, self.0.config.job_max_priority).map_err(|why| EndpointError::internal(why.to_string()))?;
        if !token.is_empty()
            && let Some(there) = state.dispatched(parent, token)
        {
            let job = there.job();
            return Ok(Dispatched { id: job.id.id.clone(), eval_id: None, create_index: job.create_index, index: state.index() });
        }
        drop(state);
        self.may_register(true)?;
        self.admit_load()?;
        for _ in 0..ID_TRIES {
            if let Some(done) = self.dispatched(parent, request.clone(), token, priority).await? {
                return Ok(done);
            }
        }
        Err(EndpointError::internal("no id was free for the child"))
    }

    /// Makes a child under a random id; nothing if that turns out to be another's.
    async fn dispatched(&self, parent: &JobId, request: Request, token: &str, priority: u8) -> Result<Option<Dispatched>, EndpointError> {
        let now: WallTime = self.0.clock.now();
        let random = self.0.entropy.seed() as u32;
        let id = child_id(&parent.id, &request.id_prefix, now, random);
        let eval_id = self.0.entropy.id();
        let kind = ChildKind::Dispatch { payload: request.payload, meta: request.meta, token: token.to_owned(), priority };
        let child = NewChild { parent: parent.clone(), id: id.clone(), kind, eval_id };
        let index = self.0.dispatches.committed(child).await?;
        let state = self.snapshot();
        let of_token = if token.is_empty() { None } else { state.dispatched(parent, token) };
        if let Some(job) = of_token.map(|row| row.job()).filter(|job| job.id.id != id) {
            return Ok(Some(Dispatched { id: job.id.id.clone(), eval_id: None, create_index: job.create_index, index }));
        }
        let own = JobId { namespace: parent.namespace.clone(), id };
        let Some(job) = state.job(&own).map(|row| row.job()) else {
            // Between the check and the entry the parent was stopped or removed.
            return Err(EndpointError::internal("parameterized job not found"));
        };
        // Without its evaluation, it was made by another call.
        let runs = !job.is_parent();
        let made = !runs || state.eval(eval_id).is_some();
        let told = Dispatched { id: own.id, eval_id: runs.then_some(eval_id), create_index: job.create_index, index };
        Ok(made.then_some(told))
    }

    /// Turns new work away while there is more than enough; what has been taken in is worked off meanwhile.
    ///
    /// # Errors
    /// 429 while the broker has too much to do.
    pub(crate) fn admit_load(&self) -> Result<(), EndpointError> {
        let max = self.0.config.evals_pending_max;
        if self.0.leader.load() >= max { Err(EndpointError::busy(max)) } else { Ok(()) }
    }
}
