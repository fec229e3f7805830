//! Keeps the copies that this region has of what another one writes for all.

use std::time::Duration;

use drover_base::Monotonic;
use drover_rt::Clock;
use drover_server::Server;

use super::regions::Links;

/// How long the other region may hold an answer that says that nothing has changed.
const WAIT: Duration = Duration::from_secs(60);
/// How long the links may take to come up before anybody is told that there is none.
const START: Duration = Duration::from_secs(5);
/// The pause between two questions that are answered.
const PACE: Duration = Duration::from_millis(100);
/// The pause after the first failure; it doubles.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest pause.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// What was in use, and so was kept, is looked at again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Where a region stands with its copies.
#[derive(Default)]
struct Progress {
    /// The state of the other region that was copied last; 0 to be told everything.
    since: u64,
    failures: u32,
    /// What was said last, so that it is said once.
    told: String,
    /// When to look again at what was kept.
    again: Option<Monotonic>,
}

/// Follows `region` with `token` until it is dropped.
pub(super) async fn run(links: Links, server: Server, region: String, token: String, clock: Clock) {
    let reached = server.regions_changed();
    if server.named_ways_to_region(&region).is_empty() {
        // That the time is over is told below.
        let _ = clock.timeout(START, reached).await;
    }
    let mut progress = Progress::default();
    loop {
        let changed = server.regions_changed();
        match step(&links, &server, &region, &token, &clock, &mut progress).await {
            Ok(()) => clock.sleep(PACE).await,
            Err(reason) => {
                // Whatever was missed, the next answer has all of it.
                progress.since = 0;
                if progress.told != reason {
                    tracing::warn!(region, reason, "what all regions share is not copied, trying again");
                    progress.told = reason;
                }
                let pause = FIRST_RETRY.saturating_mul(1 << progress.failures.min(8)).min(RETRY_MAX);
                progress.failures = progress.failures.saturating_add(1);
                tokio::select! {
                    () = clock.sleep(pause) => {}
                    // The region may be reached again; not at once, or many events would make many questions.
                    () = changed => clock.sleep(FIRST_RETRY).await,
                }
            }
        }
    }
}

/// Asks once and writes what was told.
async fn step(links: &Links, server: &Server, region: &str, token: &str, clock: &Clock, progress: &mut Progress) -> Result<(), String> {
    let now = clock.monotonic();
    if progress.again.is_some_and(|again| again <= now) {
        (progress.since, progress.again) = (0, None);
    }
    let wait = progress.again.map_or(WAIT, |again| again.since(now).min(WAIT));
    let shared = links.shared(region, token, progress.since, wait).await.map_err(|refusal| refusal.text)?;
    let (written, kept) = server.take_over(&shared).await.map_err(|error| error.text)?;
    if written > 0 {
        tracing::info!(region, entries = written, index = shared.index, "copied what all regions share");
    }
    if progress.failures > 0 {
        tracing::info!(region, "what all regions share is followed");
        (progress.failures, progress.told) = (0, String::new());
    }
    progress.since = shared.index;
    if !kept.is_empty() {
        progress.again.get_or_insert(now + LOOK_AGAIN);
        let kept = format!("gone in the authoritative region, and kept here while it is in use: {}", kept.join("; "));
        if progress.told != kept {
            tracing::warn!(region, "{kept}");
            progress.told = kept;
        }
    }
    Ok(())
}
