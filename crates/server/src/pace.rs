//! When much is going on, what concerns one node, and what ends in the log, is gathered for a moment instead of being told one by one.
//!
//! A single change is passed on at once. Once more than [`BUSY`] changes came within a tenth of a second, a message to a node, or an
//! entry with reports of nodes, follows the one before after a while at the earliest; a message costs both sides far more than
//! another allocation in it. The more nodes there are to tell, the longer that while is, so that all together are sent a bounded
//! number of messages a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drover_base::Monotonic;
use tokio::sync::mpsc;

/// The length of the windows in which changes are counted.
const WINDOW: Duration = Duration::from_millis(100);
/// More changes within a window are many.
const BUSY: u64 = 200;
/// How long what follows is held back for one listener or a few.
pub(crate) const GATHER: Duration = Duration::from_millis(50);
/// How long it is held back at most, however many listen.
const GATHER_MAX: Duration = Duration::from_secs(1);
/// Messages a second to all listeners together, as far as [`GATHER_MAX`] allows.
const MESSAGES: u32 = 1_000;

/// Turns that others get at most before what waits is taken to be all.
const TURNS: usize = 4;

/// Takes what has come in. Whoever is ready to bring more is let run before, so that it goes along: a log entry costs more
/// than another item in it.
pub(crate) async fn gather<T>(queue: &mut mpsc::Receiver<T>, mut take: impl FnMut(T) -> bool) {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        let mut came = false;
        while let Ok(item) = queue.try_recv() {
            came = true;
            if !take(item) {
                return;
            }
        }
        if !came {
            return;
        }
    }
}

/// Counts what goes on.
#[derive(Default)]
pub(crate) struct Pace {
    windows: Mutex<Windows>,
    listeners: AtomicUsize,
}

#[derive(Default)]
struct Windows {
    began: Monotonic,
    now: u64,
    before: u64,
}

impl Windows {
    fn turn(&mut self, now: Monotonic) {
        let passed = now.since(self.began);
        if passed >= WINDOW {
            self.before = if passed < WINDOW * 2 { self.now } else { 0 };
            (self.now, self.began) = (0, now);
        }
    }
}

impl Pace {
    /// There is one more who is told what concerns it.
    pub(crate) fn join(&self) {
        self.listeners.fetch_add(1, Ordering::Relaxed);
    }

    /// One who [joined](Self::join) is there no longer.
    pub(crate) fn leave(&self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }

    fn gather(&self) -> Duration {
        let listeners = u32::try_from(self.listeners.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        (Duration::from_secs(1) / MESSAGES).saturating_mul(listeners).clamp(GATHER, GATHER_MAX)
    }

    /// So many changes more.
    pub(crate) fn count(&self, now: Monotonic, changes: usize) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now);
        windows.now += changes as u64;
    }

    /// The time before which nothing should follow what was told at `last`, if there is much to tell.
    pub(crate) fn hold(&self, now: Monotonic, last: Option<Monotonic>) -> Option<Monotonic> {
        let until = last? + self.gather();
        if until <= now {
            return None;
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.turn(now);
        (windows.now.max(windows.before) > BUSY).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_closely_while_much_is_going_on_is_held_back() {
        let (pace, at) = (Pace::default(), |ms| Monotonic::default() + Duration::from_millis(ms));
        pace.count(at(1_000), 200);
        assert_eq!(pace.hold(at(1_010), Some(at(1_000))), None, "not many yet");
        pace.count(at(1_020), 1);
        assert_eq!(pace.hold(at(1_030), Some(at(1_010))), Some(at(1_060)));
        assert_eq!(pace.hold(at(1_030), None), None, "the first message waits for nothing");
        assert_eq!(pace.hold(at(1_060), Some(at(1_010))), None, "held back long enough");
        assert_eq!(pace.hold(at(1_130), Some(at(1_110))), Some(at(1_160)), "the window before counts");
        assert_eq!(pace.hold(at(1_400), Some(at(1_390))), None, "quiet again");
    }

    #[test]
    fn the_more_listen_the_longer_is_gathered() {
        let (pace, at) = (Pace::default(), |ms| Monotonic::default() + Duration::from_millis(ms));
        pace.count(at(1_000), 201);
        for (listeners, milliseconds) in [(1, 50), (50, 50), (100, 100), (500, 500), (1_000, 1_000), (10_000, 1_000)] {
            while pace.listeners.load(Ordering::Relaxed) < listeners {
                pace.join();
            }
            assert_eq!(pace.hold(at(1_000), Some(at(1_000))), Some(at(1_000 + milliseconds)), "{listeners} listeners");
        }
        for _ in 1..10_000 {
            pace.leave();
        }
        assert_eq!(pace.hold(at(1_000), Some(at(1_000))), Some(at(1_050)));
    }
}
