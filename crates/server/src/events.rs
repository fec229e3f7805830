//! The buffer of the event stream: the newest entries with their events, bounded; a reader that falls behind is told so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use drover_state::Event;
use tokio::sync::watch;

/// Events that are held while nobody reads: enough to take up a broken stream, not a copy of everything a burst changed.
const UNREAD_EVENTS_MAX: usize = 2_048;

/// The events of one log entry.
pub type Entry = Arc<(u64, Vec<Event>)>;

#[derive(Default)]
struct Buffer {
    entries: VecDeque<(u64, Entry)>,
    /// Numbers entries in the order they were put in.
    next: u64,
    /// Events of all entries.
    events: usize,
}

/// Holds the newest entries of events.
pub(crate) struct EventBuffer {
    buffer: Mutex<Buffer>,
    capacity: usize,
    newest: watch::Sender<u64>,
}

/// The reader was too slow: entries it had not read are gone (EVT-006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("subscription closed by server: events were dropped, reconnect to continue")]
pub struct EventLag;

/// Reads entries in order from where it began.
pub struct Subscription {
    region: Arc<crate::Region>,
    next: u64,
    changed: watch::Receiver<u64>,
}

impl EventBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { buffer: Mutex::default(), capacity: capacity.max(1), newest: watch::Sender::new(0) }
    }

    pub(crate) fn push(&self, index: u64, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let next = {
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            let number = buffer.next;
            buffer.events += events.len();
            buffer.entries.push_back((number, Arc::new((index, events))));
            buffer.next += 1;
            let most = if self.newest.receiver_count() == 0 { UNREAD_EVENTS_MAX } else { usize::MAX };
            while buffer.entries.len() > self.capacity || (buffer.events > most && buffer.entries.len() > 1) {
                if let Some((_, entry)) = buffer.entries.pop_front() {
                    buffer.events -= entry.1.len();
                }
            }
            buffer.next
        };
        self.newest.send_replace(next);
    }

    /// The position of the first held entry at or after `index`; the oldest held one for 0 (EVT-005).
    fn position(&self, index: u64) -> u64 {
        let buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = || buffer.entries.front().map_or(buffer.next, |(number, _)| *number);
        if index == 0 {
            return oldest();
        }
        buffer.entries.iter().find(|(_, entry)| entry.0 >= index).map_or_else(
            || if buffer.entries.is_empty() { buffer.next } else { buffer.entries.back().map_or(buffer.next, |(number, _)| *number) },
            |(number, _)| *number,
        )
    }
}

impl Subscription {
    /// Starts at the closest held entry at or after `index`, or at the oldest for 0.
    pub(crate) fn new(region: Arc<crate::Region>, index: u64) -> Self {
        let next = region.events.position(index);
        let changed = region.events.newest.subscribe();
        Self { region, next, changed }
    }

    /// The next entry. Cancel-safe.
    ///
    /// # Errors
    /// When entries that were not read yet have been dropped.
    pub async fn next(&mut self) -> Result<Entry, EventLag> {
        loop {
            self.changed.borrow_and_update();
            {
                let buffer = self.region.events.buffer.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((oldest, _)) = buffer.entries.front() {
                    if self.next < *oldest {
                        return Err(EventLag);
                    }
                    let offset = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
                    if let Some((_, entry)) = buffer.entries.get(offset) {
                        self.next += 1;
                        return Ok(Arc::clone(entry));
                    }
                }
            }
            // The sender lives in the region, which is held.
            let _ = self.changed.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use drover_base::{EvalId, WallTime};
    use drover_macros::proves;
    use drover_model::{Evaluation, JobType, Trigger};
    use drover_state::{EventKind, Payload};

    use super::*;
    use crate::Region;

    fn event(index: u64) -> Event {
        let eval = Evaluation::new(EvalId::NIL, Default::default(), JobType::Service, 50, Trigger::JobRegister, WallTime(1));
        Event { index, kind: EventKind::EvaluationUpdated, payload: Payload::Evaluation(Arc::new(eval)) }
    }

    #[proves("EVT-005")]
    #[tokio::test]
    async fn a_subscription_starts_at_the_closest_held_entry() {
        let region = Arc::new(Region::new(3));
        for index in [2, 4, 6, 8] {
            region.events.push(index, vec![event(index)]);
        }
        let first = |index| {
            let region = Arc::clone(&region);
            async move { Subscription::new(region, index).next().await.unwrap().0 }
        };
        assert_eq!(first(0).await, 4, "the oldest held");
        assert_eq!(first(1).await, 4, "a gap is no error");
        assert_eq!(first(5).await, 6);
        assert_eq!(first(8).await, 8);
        assert_eq!(first(99).await, 8, "the newest held");
    }

    #[proves("EVT-006")]
    #[tokio::test]
    async fn a_reader_that_falls_behind_is_told_and_memory_stays_bounded() {
        let region = Arc::new(Region::new(2));
        let mut slow = Subscription::new(Arc::clone(&region), 0);
        for index in 1..=100 {
            region.events.push(index, vec![event(index)]);
        }
        assert_eq!(slow.next().await.err(), Some(EventLag));
        assert_eq!(region.events.buffer.lock().unwrap().entries.len(), 2);
    }

    #[proves("EVT-003")]
    #[tokio::test]
    async fn events_of_one_entry_come_together_and_entries_in_order() {
        let region = Arc::new(Region::new(10));
        let mut reader = Subscription::new(Arc::clone(&region), 0);
        region.events.push(5, vec![event(5), event(5)]);
        region.events.push(6, vec![event(6)]);
        assert_eq!(reader.next().await.unwrap().1.len(), 2);
        assert_eq!(reader.next().await.unwrap().0, 6);
    }

    #[test]
    fn a_burst_that_nobody_reads_is_not_held_as_a_whole() {
        let region = Region::new(100);
        for index in 1..=50 {
            region.events.push(index, (0..2_000).map(|_| event(index)).collect());
        }
        let buffer = region.events.buffer.lock().unwrap();
        assert!(buffer.events <= UNREAD_EVENTS_MAX && !buffer.entries.is_empty(), "{} events", buffer.events);
        assert_eq!(buffer.events, buffer.entries.iter().map(|(_, entry)| entry.1.len()).sum::<usize>());
    }
}
