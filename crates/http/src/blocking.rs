//! Blocking reads: a reply is held until the index of its data passes the one the client has seen, or time is up.

use std::sync::Arc;
use std::time::Duration;

use drover_server::Concern;

use crate::error::ApiError;
use crate::query::ReadOptions;
use crate::request::Request;

/// Where snapshots come from.
pub trait Source: Send + Sync {
    /// An immutable view.
    type Snapshot: Send + Sync;
    /// The newest view.
    fn snapshot(&self) -> Arc<Self::Snapshot>;
    /// The index of a view.
    fn index(snapshot: &Self::Snapshot) -> u64;
    /// Returns once there is a view newer than the one with the index `seen` in what concerns the reader; may return early. Cancel-safe.
    fn changed(&self, seen: u64, concern: &Concern) -> impl Future<Output = ()> + Send;
}

/// Looks within [`PACE`] that follow a change at once; under a load of changes that are not the reader's, it looks once per [`PACE`].
const LOOKS_AT_ONCE: u32 = 4;
/// How often a reader looks whose data did not change while other data keeps changing.
const PACE: Duration = Duration::from_millis(50);

/// A value with the index of the data it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The index.
    pub index: u64,
    /// The value.
    pub value: T,
}

/// Reads, and as long as the data is no newer than the client's, waits for a change and reads again.
///
/// Up to a sixteenth of the wait is added at random, so that clients which started together do not return together.
/// When the time is up the current value is returned.
///
/// # Errors
/// As `read` has them, at once.
pub async fn blocking<S: Source, T>(
    source: &S,
    request: &Request,
    options: &ReadOptions,
    read: impl Fn(&S::Snapshot) -> Result<At<T>, ApiError>,
) -> Result<At<T>, ApiError> {
    hold(source, request, options, |snapshot, over| {
        let mut found = read(snapshot)?;
        // Whoever waits can wait for what is told.
        if options.index > 0 {
            found.index = found.index.max(1);
        }
        Ok(over(found.index).then_some(found))
    })
    .await
}

/// The same for data whose index is known without reading it: it is read once.
///
/// # Errors
/// As `read` has them, once the data is newer or the time is up.
pub async fn blocking_at<S: Source, T>(
    source: &S,
    request: &Request,
    options: &ReadOptions,
    index: impl Fn(&S::Snapshot) -> u64,
    read: impl Fn(&S::Snapshot) -> Result<T, ApiError>,
) -> Result<At<T>, ApiError> {
    hold(source, request, options, |snapshot, over| {
        let index = if options.index > 0 { index(snapshot).max(1) } else { index(snapshot) };
        if over(index) { Ok(Some(At { index, value: read(snapshot)? })) } else { Ok(None) }
    })
    .await
}

/// Looks until a look says that it is over; it asks with the index of its data.
async fn hold<S: Source, T>(
    source: &S,
    request: &Request,
    options: &ReadOptions,
    look: impl Fn(&S::Snapshot, &dyn Fn(u64) -> bool) -> Result<Option<At<T>>, ApiError>,
) -> Result<At<T>, ApiError> {
    let wait = options.wait + jitter(options.wait, request.entropy.seed());
    let deadline = request.clock.monotonic() + wait;
    let (mut window, mut looks) = (request.clock.monotonic(), 0);
    loop {
        let now = request.clock.monotonic();
        if now.since(window) >= PACE {
            (window, looks) = (now, 0);
        } else if looks >= LOOKS_AT_ONCE {
            request.clock.sleep_until(Some((window + PACE).min(deadline))).await;
            (window, looks) = (request.clock.monotonic(), LOOKS_AT_ONCE - 1);
        }
        looks += 1;
        let snapshot = source.snapshot();
        let over = |index| options.index == 0 || index > options.index || request.clock.monotonic() >= deadline;
        if let Some(found) = look(&snapshot, &over)? {
            return Ok(found);
        }
        let seen = S::index(&snapshot);
        // A view that is held keeps alive what has changed since.
        drop(snapshot);
        tokio::select! {
            () = source.changed(seen, &request.concern) => {}
            () = request.clock.sleep_until(Some(deadline)) => {}
        }
    }
}

fn jitter(wait: Duration, seed: u64) -> Duration {
    let bound = (wait / 16).as_nanos().max(1);
    Duration::from_nanos(u64::try_from(u128::from(seed) % bound).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use tokio::sync::watch;

    use super::*;

    struct Fake(watch::Sender<Arc<u64>>);

    impl Source for Fake {
        type Snapshot = u64;
        fn snapshot(&self) -> Arc<u64> {
            self.0.borrow().clone()
        }
        fn index(snapshot: &u64) -> u64 {
            *snapshot
        }
        async fn changed(&self, seen: u64, _: &Concern) {
            let mut receiver = self.0.subscribe();
            let _ = receiver.wait_for(|newest| **newest > seen).await;
        }
    }

    async fn read(source: &Fake, target: &str) -> At<&'static str> {
        let request = Request::bare(Method::GET, target);
        let options = request.read_options().unwrap();
        blocking(source, &request, &options, |snapshot| Ok(At { index: *snapshot / 10, value: "data" })).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_held_until_its_own_index_passes() {
        let source = Arc::new(Fake(watch::Sender::new(Arc::new(10))));
        assert_eq!(read(&source, "/?index=0").await.index, 1);
        let writer = async {
            for index in [15, 19, 20] {
                tokio::time::sleep(Duration::from_secs(1)).await;
                source.0.send_replace(Arc::new(index));
            }
        };
        let started = tokio::time::Instant::now();
        let (found, ()) = tokio::join!(read(&source, "/?index=1"), writer);
        assert_eq!((found.index, started.elapsed().as_secs()), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_with_the_current_value_and_a_little_jitter() {
        let source = Fake(watch::Sender::new(Arc::new(10)));
        let started = tokio::time::Instant::now();
        assert_eq!(read(&source, "/?index=5&wait=16s").await.index, 1);
        let held = started.elapsed();
        assert!(held >= Duration::from_secs(16) && held <= Duration::from_millis(17_010), "{held:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_looks_a_bounded_number_of_times_while_other_data_changes() {
        let source = Arc::new(Fake(watch::Sender::new(Arc::new(10))));
        let looks = std::cell::Cell::new(0);
        let request = Request::bare(Method::GET, "/?index=1");
        let options = request.read_options().unwrap();
        let reader = blocking(&*source, &request, &options, |snapshot| {
            looks.set(looks.get() + 1);
            Ok(At { index: if *snapshot >= 2_000 { 2 } else { 1 }, value: () })
        });
        let writer = async {
            for index in 1_000..=2_000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                source.0.send_replace(Arc::new(index));
            }
        };
        let (found, ()) = tokio::join!(reader, writer);
        assert_eq!(found.unwrap().index, 2);
        assert!(looks.get() <= 30, "{} looks in a second of changes", looks.get());
    }
}
