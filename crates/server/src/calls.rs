//! Reaching nodes. A server cannot always dial a node, so it asks for a pipe through the node's open stream, under a ticket, and the
//! node opens one. Pipes that nodes, and servers of other regions, open of their own accord are ways to this server's API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drover_base::NodeId;
use drover_rpc::{Pipe, Reason, Refusal};
use tokio::sync::{mpsc, oneshot};

use crate::server::Server;

/// How long a node may take to open a pipe.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Tickets on their way to one node.
const TICKETS_MAX: usize = 32;
/// Pipes to the API that wait to be served.
const VISITORS_MAX: usize = 64;

/// There is no way to a node: it is not connected, or does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No path to node")]
pub struct NoPath;

#[derive(Default)]
struct Board {
    /// Where tickets of connected nodes go.
    lines: BTreeMap<NodeId, mpsc::Sender<u64>>,
    /// Who waits for which pipe, and of which node.
    waiting: BTreeMap<u64, (NodeId, oneshot::Sender<Pipe>)>,
    last_ticket: u64,
    visitors: Option<mpsc::Sender<Pipe>>,
}

/// The nodes that can be reached, and the pipes that are waited for.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Board>>);

/// Tickets for a node, as long as its stream is open.
pub(crate) struct Line {
    calls: Calls,
    node: NodeId,
    tickets: mpsc::Receiver<u64>,
    own: mpsc::WeakSender<u64>,
}

impl Line {
    /// The next ticket.
    pub(crate) async fn next(&mut self) -> Option<u64> {
        self.tickets.recv().await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut board = self.calls.board();
        // A newer stream of the node may have taken the place.
        let own = self.own.upgrade().is_some_and(|own| board.lines.get(&self.node).is_some_and(|line| line.same_channel(&own)));
        if own {
            board.lines.remove(&self.node);
        }
    }
}

/// A place among those who wait, given up when dropped.
struct Waiting<'a>(&'a Calls, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.board().waiting.remove(&self.1);
    }
}

impl Calls {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node has opened its stream.
    pub(crate) fn connected(&self, node: NodeId) -> Line {
        let (line, tickets) = mpsc::channel(TICKETS_MAX);
        let own = line.downgrade();
        self.board().lines.insert(node, line);
        Line { calls: self.clone(), node, tickets, own }
    }

    /// A node has opened a pipe.
    pub(crate) fn opened(&self, node: NodeId, ticket: Option<u64>, pipe: Pipe) -> Result<(), Refusal> {
        let Some(ticket) = ticket else { return self.visited(pipe) };
        let mut board = self.board();
        let own = board.waiting.get(&ticket).is_some_and(|(wanted, _)| *wanted == node);
        match own.then(|| board.waiting.remove(&ticket)).flatten() {
            Some((_, waiting)) => waiting.send(pipe).map_err(|_| Refusal::new(Reason::NotFound, "nobody waits for this pipe any more")),
            None => Err(Refusal::new(Reason::NotFound, "nobody waits for this pipe")),
        }
    }

    /// An agent, or a server of another region, has opened a pipe to the API.
    pub(crate) fn visited(&self, pipe: Pipe) -> Result<(), Refusal> {
        let board = self.board();
        let visitors =
            board.visitors.as_ref().ok_or_else(|| Refusal::new(Reason::Unreachable, "this server does not answer requests yet"))?;
        visitors.try_send(pipe).map_err(|_| Refusal::new(Reason::Unreachable, "too many requests of agents wait to be answered, try again"))
    }
}

impl Server {
    /// A pipe to a node's API.
    ///
    /// # Errors
    /// When the node is not connected to this server, or does not open one in time.
    pub async fn call_node(&self, node: NodeId) -> Result<Pipe, NoPath> {
        let calls = &self.0.calls;
        let (sender, pipe) = oneshot::channel();
        let (line, ticket) = {
            let mut board = calls.board();
            let line = board.lines.get(&node).cloned().ok_or(NoPath)?;
            board.last_ticket += 1;
            let ticket = board.last_ticket;
            board.waiting.insert(ticket, (node, sender));
            (line, ticket)
        };
        let waiting = Waiting(calls, ticket);
        let opened = async {
            line.send(ticket).await.map_err(|_| NoPath)?;
            pipe.await.map_err(|_| NoPath)
        };
        let opened = self.0.clock.timeout(OPEN_TIMEOUT, opened).await.ok_or(NoPath)?;
        drop(waiting);
        opened
    }

    /// The pipes that nodes and servers of other regions open to this server's API from now on, for whoever serves it.
    pub fn visitors(&self) -> mpsc::Receiver<Pipe> {
        let (sender, visitors) = mpsc::channel(VISITORS_MAX);
        self.0.calls.board().visitors = Some(sender);
        visitors
    }
}
