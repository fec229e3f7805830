//! What an agent at rest gives back to the machine.
//!
//! Much of a program runs at its start or in a burst of work and then not for a long time, and the pages of that code stay mapped,
//! as memory that the burst needed stays with the allocator. An agent that has had little to do for a while lets go of both; code
//! that it does need comes back from the page cache within microseconds.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use drover_linux::{memory, process};
use drover_rt::Clock;

/// How often the agent looks at how much it had to do.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// An agent that used less processor time than this between two looks is at rest: one twentieth of a core.
const AT_REST: Duration = Duration::from_millis(150);

/// So much work after the last time, what was given back may be mapped again and giving it back is worth the trouble.
const WORTH_IT: Duration = Duration::from_millis(100);

/// How often the threads of this process have been asked to give back what their heaps hold free: only a thread itself can do that.
static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static ANSWERED: Cell<u64> = const { Cell::new(0) };
}

/// For threads that are about to wait for work: gives back what the thread's heap holds free, if that was asked since the last time.
pub(super) fn on_thread_park() {
    let asked = ASKED.load(Ordering::Relaxed);
    if ANSWERED.replace(asked) != asked {
        memory::release_heap();
    }
}

/// Watches over the agent until it ends.
pub(super) async fn give_back_at_rest(clock: Clock) {
    let mut meter = Meter::default();
    loop {
        clock.sleep(LOOK_EVERY).await;
        if meter.is_due(process::cpu_time()) {
            ASKED.fetch_add(1, Ordering::Relaxed);
            match memory::release_code() {
                Ok(bytes) => tracing::trace!(bytes, "gave back mapped code"),
                Err(error) => {
                    tracing::debug!(%error, "mapped code is kept: it cannot be given back here");
                    return;
                }
            }
        }
    }
}

/// Decides from the processor time that the agent has used so far.
#[derive(Default)]
struct Meter {
    last_look: Duration,
    last_given: Option<Duration>,
}

impl Meter {
    fn is_due(&mut self, used: Duration) -> bool {
        let since_look = used.saturating_sub(self.last_look);
        self.last_look = used;
        let due = since_look < AT_REST && self.last_given.is_none_or(|given| used.saturating_sub(given) >= WORTH_IT);
        if due {
            self.last_given = Some(used);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_gives_back_once_after_each_spell_of_work() {
        let mut meter = Meter::default();
        let looks = [
            (400, false),
            (420, true),
            (440, false),
            (2_000, false),
            (4_000, false),
            (4_010, true),
            (4_050, false),
            (4_109, false),
            (4_111, true),
        ];
        for (milliseconds, expected) in looks {
            assert_eq!(meter.is_due(Duration::from_millis(milliseconds)), expected, "at {milliseconds} ms of processor time");
        }
    }
}
