//! The buffer of the event stream: the newest entries with their events, bounded; a reader that falls behind is told so.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drover_state::Event;
use tokio::sync::{Semaphore, watch};

/// Events that are held while nobody reads: enough to take up a broken stream, not a copy of everything a burst changed.
const UNREAD_EVENTS_MAX: usize = 2_048;
/// How many times as many entries as are held for newcomers a subscriber may be behind: very many come in while it rests.
const BEHIND: usize = 10;
/// The same in events.
const BEHIND_EVENTS_MAX: usize = 16_384;

/// Bytes of events as subscribers are sent them that are kept for the next subscriber; beyond that each makes its own.
const SHOWN_BYTES_MAX: usize = 16 << 20;

/// Subscribers that take entries at once. An entry is news to all of them in one moment; those who do something else must not wait
/// for all of them.
const TURNS: usize = 2;

/// With more subscribers than this, each is left alone for a while after it was served.
const FEW: usize = 50;
/// That while for each subscriber there is.
const REST: Duration = Duration::from_micros(40);
/// The longest while: a subscriber must not fall behind for it.
const REST_MAX: Duration = Duration::from_millis(50);

/// The events of one log entry.
#[derive(Debug)]
pub struct Entry {
    /// The log entry.
    pub index: u64,
    /// What happened.
    pub events: Vec<Event>,
    /// Each event as it is sent, once somebody was sent it.
    shown: Vec<OnceLock<Bytes>>,
    /// Bytes in what is shown, of all entries.
    held: Arc<AtomicUsize>,
}

impl Entry {
    fn new(index: u64, events: Vec<Event>, held: &Arc<AtomicUsize>) -> Arc<Self> {
        let shown = events.iter().map(|_| OnceLock::new()).collect();
        Arc::new(Self { index, events, shown, held: Arc::clone(held) })
    }

    /// The event at a position as it is sent: as the first subscriber was sent it who asked, or made now.
    pub fn shown(&self, position: usize, make: impl FnOnce() -> Bytes) -> Bytes {
        let Some(shown) = self.shown.get(position) else { return Bytes::new() };
        if let Some(bytes) = shown.get() {
            return bytes.clone();
        }
        let bytes = make();
        if self.held.fetch_add(bytes.len(), Ordering::Relaxed) > SHOWN_BYTES_MAX || shown.set(bytes.clone()).is_err() {
            self.held.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        bytes
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let bytes = self.shown.iter().filter_map(OnceLock::get).map(Bytes::len).sum();
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Buffer {
    entries: VecDeque<(u64, Arc<Entry>)>,
    /// Numbers entries in the order they were put in.
    next: u64,
    /// Events of all entries.
    events: usize,
}

impl Buffer {
    /// Whether the oldest entry has to go.
    fn is_full(&self, capacity: usize, is_read: bool) -> bool {
        let entries = self.entries.len();
        match is_read {
            true => entries > capacity && (entries > capacity.saturating_mul(BEHIND) || self.events > BEHIND_EVENTS_MAX),
            false => entries > capacity || (self.events > UNREAD_EVENTS_MAX && entries > 1),
        }
    }
}

/// Holds the newest entries of events.
pub(crate) struct EventBuffer {
    buffer: Mutex<Buffer>,
    capacity: usize,
    newest: watch::Sender<u64>,
    shown: Arc<AtomicUsize>,
    /// Held by subscribers while they take what is new.
    turns: Arc<Semaphore>,
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
        Self {
            buffer: Mutex::default(),
            capacity,
            newest: watch::Sender::new(0),
            shown: Arc::default(),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// Whether there are events at all.
    pub(crate) fn keeps(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) fn push(&self, index: u64, events: Vec<Event>) {
        if events.is_empty() || !self.keeps() {
            return;
        }
        let next = {
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            let number = buffer.next;
            buffer.events += events.len();
            buffer.entries.push_back((number, Entry::new(index, events, &self.shown)));
            buffer.next += 1;
            let is_read = self.newest.receiver_count() > 0;
            while buffer.is_full(self.capacity, is_read) {
                if let Some((_, entry)) = buffer.entries.pop_front() {
                    buffer.events -= entry.events.len();
                }
            }
            buffer.next
        };
        self.newest.send_replace(next);
    }

    /// Lets go of everything that is held (EVT-004).
    pub(crate) fn forget(&self) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.entries.clear();
        buffer.events = 0;
    }

    /// The position of the first held entry at or after `index`; the oldest held one for 0 (EVT-005). What is there only for those who
    /// are behind counts as gone.
    fn position(&self, index: u64) -> u64 {
        let buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = buffer.entries.iter().skip(buffer.entries.len().saturating_sub(self.capacity));
        if index == 0 {
            return held.next().map_or(buffer.next, |(number, _)| *number);
        }
        held.find(|(_, entry)| entry.index >= index).map_or_else(
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
    pub async fn next(&mut self) -> Result<Arc<Entry>, EventLag> {
        loop {
            self.ready().await;
            if let Some(entry) = self.try_next()? {
                return Ok(entry);
            }
        }
    }

    /// Returns once there is an entry to take, or a lag to be told. Cancel-safe.
    pub async fn ready(&mut self) {
        loop {
            self.changed.borrow_and_update();
            {
                let buffer = self.region.events.buffer.lock().unwrap_or_else(PoisonError::into_inner);
                if !buffer.entries.is_empty() && self.next < buffer.next {
                    return;
                }
            }
            // The sender lives in the region, which is held.
            let _ = self.changed.changed().await;
        }
    }

    /// How long a subscriber that was just served need not be served again, so that very many of them cost a bounded part of the
    /// machine, however often something happens.
    pub fn rest(&self) -> Duration {
        let subscribers = self.region.events.newest.receiver_count();
        let rest = REST.saturating_mul(u32::try_from(subscribers).unwrap_or(u32::MAX)).min(REST_MAX);
        if subscribers > FEW { rest } else { Duration::ZERO }
    }

    /// This subscriber's turn to take entries; it is over when what is returned is dropped. Cancel-safe.
    pub async fn turn(&self) -> Option<impl Drop + use<>> {
        Arc::clone(&self.region.events.turns).acquire_owned().await.ok()
    }

    /// The next entry, if it is there.
    ///
    /// # Errors
    /// When entries that were not read yet have been dropped.
    pub fn try_next(&mut self) -> Result<Option<Arc<Entry>>, EventLag> {
        let buffer = self.region.events.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((oldest, _)) = buffer.entries.front() else { return Ok(None) };
        if self.next < *oldest {
            return Err(EventLag);
        }
        let offset = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        let entry = buffer.entries.get(offset).map(|(_, entry)| Arc::clone(entry));
        self.next += u64::from(entry.is_some());
        Ok(entry)
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
            async move { Subscription::new(region, index).next().await.unwrap().index }
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
        let entries = || region.events.buffer.lock().unwrap().entries.len();
        for index in 1..=20 {
            region.events.push(index, vec![event(index)]);
        }
        assert_eq!((slow.next().await.unwrap().index, entries()), (1, 20), "it may be a little behind");
        assert_eq!(Subscription::new(Arc::clone(&region), 0).next().await.unwrap().index, 19, "newcomers get what is held for them");
        for index in 21..=100 {
            region.events.push(index, vec![event(index)]);
        }
        assert_eq!(slow.next().await.err(), Some(EventLag));
        assert_eq!(entries(), 20);
        let many = (0..BEHIND_EVENTS_MAX as u64).map(event).collect();
        region.events.push(101, many);
        assert_eq!(entries(), 2, "however much there is in each");
        drop(slow);
        region.events.push(102, vec![event(102)]);
        assert_eq!(entries(), 1, "and nothing is held for nobody");
    }

    #[proves("EVT-003")]
    #[tokio::test]
    async fn events_of_one_entry_come_together_and_entries_in_order() {
        let region = Arc::new(Region::new(10));
        let mut reader = Subscription::new(Arc::clone(&region), 0);
        region.events.push(5, vec![event(5), event(5)]);
        region.events.push(6, vec![event(6)]);
        assert_eq!(reader.next().await.unwrap().events.len(), 2);
        assert_eq!(reader.next().await.unwrap().index, 6);
    }

    #[tokio::test]
    async fn an_event_is_made_for_one_subscriber_and_kept_for_the_others_within_bounds() {
        let region = Arc::new(Region::new(2));
        let mut reader = Subscription::new(Arc::clone(&region), 0);
        region.events.push(5, vec![event(5), event(5)]);
        let entry = reader.next().await.unwrap();
        let large = || Bytes::from(vec![b'x'; SHOWN_BYTES_MAX + 1]);
        assert_eq!(entry.shown(0, || Bytes::from_static(b"first")), "first");
        assert_eq!(entry.shown(0, || Bytes::from_static(b"second")), "first");
        assert_eq!(entry.shown(1, large).len(), SHOWN_BYTES_MAX + 1);
        region.events.push(6, vec![event(6)]);
        let full = reader.next().await.unwrap();
        assert_eq!(full.shown(0, || Bytes::from_static(b"a")), "a");
        assert_eq!(full.shown(0, || Bytes::from_static(b"b")), "b", "not kept while there is too much");
        drop((entry, full, reader));
        for index in [7, 8] {
            region.events.push(index, vec![event(index)]);
        }
        assert_eq!(region.events.shown.load(Ordering::Relaxed), 0, "what is gone counts no more");
    }

    #[test]
    fn the_more_subscribers_the_longer_each_rests() {
        let region = Arc::new(Region::new(2));
        let mut all: Vec<_> = (0..50).map(|_| Subscription::new(Arc::clone(&region), 0)).collect();
        assert_eq!(all[0].rest(), Duration::ZERO);
        all.extend((0..950).map(|_| Subscription::new(Arc::clone(&region), 0)));
        assert_eq!(all[0].rest(), Duration::from_millis(40));
        all.extend((0..950).map(|_| Subscription::new(Arc::clone(&region), 0)));
        assert_eq!(all[0].rest(), REST_MAX);
    }

    #[test]
    fn a_burst_that_nobody_reads_is_not_held_as_a_whole() {
        let region = Region::new(100);
        for index in 1..=50 {
            region.events.push(index, (0..2_000).map(|_| event(index)).collect());
        }
        let buffer = region.events.buffer.lock().unwrap();
        assert!(buffer.events <= UNREAD_EVENTS_MAX && !buffer.entries.is_empty(), "{} events", buffer.events);
        assert_eq!(buffer.events, buffer.entries.iter().map(|(_, entry)| entry.events.len()).sum::<usize>());
    }
}
