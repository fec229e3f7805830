//! The state as it will be once the plans in flight are committed: what workers place on and what plans are verified against.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use drover_model::{Index, Plan};
use drover_state::Snapshot;

/// Verified plans on their way into the log.
#[derive(Default)]
pub(crate) struct Ahead(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    entries: BTreeMap<u64, Arc<[Plan]>>,
    next: u64,
    /// The last state handed out with what is in flight, and the index and entry it was made for.
    made: Option<(Index, u64, Arc<Snapshot>)>,
}

/// A set of plans that is in flight until it is settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight(u64);

impl Ahead {
    /// `newest` with everything that is in flight counted. What has just been applied is not counted twice.
    pub(crate) fn of(&self, newest: &Arc<Snapshot>) -> Arc<Snapshot> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.entries.is_empty() {
            return Arc::clone(newest);
        }
        if let Some((index, upto, made)) = &inner.made
            && *index == newest.index()
            && *upto == inner.next
        {
            return Arc::clone(made);
        }
        let from = inner.made.take().filter(|(index, _, _)| *index == newest.index());
        // On the same state only what took off since is missing.
        let (mut state, since) = match from {
            Some((_, upto, made)) => (Arc::unwrap_or_clone(made), upto),
            None => (Snapshot::clone(newest), 0),
        };
        for plan in inner.entries.range(since..).flat_map(|(_, plans)| plans.iter()) {
            state.anticipate(plan);
        }
        let made = Arc::new(state);
        inner.made = Some((newest.index(), inner.next, Arc::clone(&made)));
        made
    }

    /// Plans take off.
    pub(crate) fn take_off(&self, plans: Arc<[Plan]>) -> Flight {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = inner.next;
        inner.next += 1;
        inner.entries.insert(flight, plans);
        Flight(flight)
    }

    /// They are committed and applied, or never will be.
    pub(crate) fn land(&self, flight: Flight) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.entries.remove(&flight.0);
    }
}

#[cfg(test)]
mod tests {
    use drover_base::{AllocId, EvalId, NodeId, WallTime};
    use drover_model::command::Change;
    use drover_model::{AllocatedResources, AllocatedTask, Command, JobId, Node, NodeResources, Placement};
    use drover_state::Store;

    use super::*;

    fn plan(number: u128) -> Plan {
        let task = AllocatedTask { cpu_mhz: 100, ..AllocatedTask::default() };
        let resources = AllocatedResources { tasks: [("t".to_owned(), task)].into(), ..AllocatedResources::default() };
        let placement = Placement {
            id: AllocId::from_random(number),
            group: Arc::from("g"),
            index: 0,
            node_id: NodeId::from_random(1),
            resources: Arc::new(resources),
            previous: None,
            reschedules: Vec::new(),
            canary: false,
            job_version: None,
            metrics: Arc::default(),
        };
        let job = JobId { namespace: "default".into(), id: "web".into() };
        Plan { placements: vec![placement], ..Plan::new(EvalId::from_random(number), job, 50) }
    }

    #[test]
    fn what_is_in_flight_counts_until_it_lands() {
        let mut store = Store::default();
        let node = Node {
            id: NodeId::from_random(1),
            name: "n".to_owned(),
            resources: NodeResources { cpu_mhz: 1_000, ..NodeResources::default() },
            ..Node::default()
        };
        let change = Change::RegisterNode { node: Box::new(node), evals: Vec::new() };
        store.apply(1, Command { time: WallTime(1), change });
        let newest = Arc::new(store.snapshot());
        let used = |state: &Snapshot| state.node(NodeId::from_random(1)).map_or(0, |row| row.live.cpu_mhz);
        let ahead = Ahead::default();
        let first = ahead.take_off(Arc::from(vec![plan(1)]));
        assert_eq!(used(&ahead.of(&newest)), 100);
        let second = ahead.take_off(Arc::from(vec![plan(2), plan(3)]));
        assert_eq!((used(&ahead.of(&newest)), used(&ahead.of(&newest))), (300, 300));
        ahead.land(first);
        // The state moved on without it: it was refused.
        let newer = Arc::new({
            store.skip(2);
            store.snapshot()
        });
        assert_eq!(used(&ahead.of(&newer)), 200);
        ahead.land(second);
        assert_eq!((used(&ahead.of(&newer)), used(&newest)), (0, 0));
    }
}
