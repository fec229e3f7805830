//! The clock: wall time for what is stored and shown, monotonic time for deadlines, and sleeping.
//!
//! Monotonic time is tokio's, so a runtime with a paused clock drives both; wall time under simulation is an epoch plus
//! that virtual time, and may be made to jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use drover_base::{Monotonic, WallTime};
use tokio::time::Instant;

/// A handle to the time of this process or of one simulated machine.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    wall: Wall,
}

#[derive(Clone, Debug)]
enum Wall {
    System,
    /// Nanoseconds of epoch to add to the virtual time; a jump changes them.
    Virtual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock. Must be called inside a tokio runtime.
    pub fn system() -> Self {
        Self { started: Instant::now(), wall: Wall::System }
    }

    /// A wall clock that starts at `epoch` and follows the runtime's (paused) clock.
    pub fn simulated(epoch: WallTime) -> Self {
        Self { started: Instant::now(), wall: Wall::Virtual(Arc::new(AtomicI64::new(epoch.0))) }
    }

    /// Makes a simulated wall clock jump by `nanoseconds`; a system clock stays as it is.
    pub fn jump(&self, nanoseconds: i64) {
        if let Wall::Virtual(epoch) = &self.wall {
            epoch.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// The wall time now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now(&self) -> WallTime {
        match &self.wall {
            Wall::System => {
                let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                WallTime(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
            }
            Wall::Virtual(epoch) => WallTime(epoch.load(Ordering::Relaxed)) + self.started.elapsed(),
        }
    }

    /// The monotonic time now.
    pub fn monotonic(&self) -> Monotonic {
        Monotonic(0) + self.started.elapsed()
    }

    /// Returns after `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Returns once the monotonic time reaches `deadline`; never, if there is none.
    pub async fn sleep_until(&self, deadline: Option<Monotonic>) {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(self.started + Duration::from_nanos(deadline.0)).await,
            None => std::future::pending().await,
        }
    }

    /// Returns once the wall time reaches `deadline`, measured from now on the monotonic clock.
    pub async fn sleep_until_wall(&self, deadline: Option<WallTime>) {
        match deadline {
            Some(deadline) => self.sleep(deadline.since(self.now())).await,
            None => std::future::pending().await,
        }
    }

    /// The output of `future`, or `None` if it takes longer than `limit`.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}
