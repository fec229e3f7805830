//! When a failed allocation may be replaced (REC-027…039).

use std::time::Duration;

use drover_base::WallTime;
use drover_model::{DelayFunction, RescheduleEvent, ReschedulePolicy};
use drover_state::Alloc;

/// A failure that is due within this time is replaced at once (REC-032).
const SOON: Duration = Duration::from_secs(1);
/// How many attempts are remembered under an unlimited policy, beside the new one (REC-035).
const REMEMBERED: usize = 5;

/// The verdict on a failed allocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Never again.
    No,
    /// Now, with the attempts to remember.
    Now(Vec<RescheduleEvent>),
    /// At this time.
    At(WallTime),
}

/// A failure as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// When it happened.
    pub at: WallTime,
    /// Whether the evaluation at hand was made for it.
    pub due: bool,
    /// Whether an operator asks for the replacement, whatever the policy says (REC-040).
    pub forced: bool,
}

impl Failure {
    /// The failure of an allocation as its tasks report it.
    pub fn of(alloc: &Alloc) -> Self {
        Self { at: alloc.failure_time(), due: false, forced: false }
    }
}

/// What the policy says about a failed allocation.
pub fn verdict(alloc: &Alloc, policy: Option<&ReschedulePolicy>, now: WallTime, failure: Failure) -> Verdict {
    let past = alloc.rare.reschedules.as_deref().map(Vec::as_slice).unwrap_or_default();
    let Some(policy) = policy.filter(|policy| failure.forced || policy.enabled()) else { return Verdict::No };
    let delay = next_delay(policy, past, failure.at);
    // The first attempt is free; a number of attempts limits the others, whatever else the policy says.
    if !failure.forced && policy.attempts > 0 && !past.is_empty() {
        let counted = past.iter().filter(|event| inside(policy, event, failure.at)).count();
        if counted >= policy.attempts as usize || delay >= policy.interval {
            return Verdict::No;
        }
    }
    let at = failure.at + delay;
    if failure.forced || failure.due || at <= now + SOON {
        let event = RescheduleEvent {
            time: now,
            previous_alloc: alloc.id,
            previous_node: alloc.node_id,
            delay_ns: i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX),
        };
        return Verdict::Now(remembered(policy, past, now).into_iter().chain([event]).collect());
    }
    Verdict::At(at)
}

/// Whether an attempt counts against the policy's interval, seen from a time (REC-031).
fn inside(policy: &ReschedulePolicy, event: &RescheduleEvent, from: WallTime) -> bool {
    from.since(event.time) < policy.interval
}

fn remembered(policy: &ReschedulePolicy, past: &[RescheduleEvent], now: WallTime) -> Vec<RescheduleEvent> {
    if policy.attempts == 0 || policy.interval.is_zero() {
        return past[past.len().saturating_sub(REMEMBERED)..].to_vec();
    }
    past.iter().filter(|event| inside(policy, event, now)).cloned().collect()
}

/// The delay before the next attempt (REC-029, REC-030).
pub fn next_delay(policy: &ReschedulePolicy, past: &[RescheduleEvent], failed_at: WallTime) -> Duration {
    let delay_of = |event: &RescheduleEvent| Duration::from_nanos(u64::try_from(event.delay_ns).unwrap_or(0));
    let Some(last) = past.last() else { return policy.delay };
    let grown = match policy.delay_function {
        DelayFunction::Constant => return policy.delay,
        DelayFunction::Exponential => delay_of(last).saturating_mul(2),
        DelayFunction::Fibonacci => match past {
            [.., before, last] => delay_of(before).saturating_add(delay_of(last)),
            _ => policy.delay,
        },
    };
    if !policy.max_delay.is_zero() && grown >= policy.max_delay {
        // Long enough without a failure starts over (REC-030).
        return if failed_at.since(last.time) > policy.max_delay { policy.delay } else { policy.max_delay };
    }
    grown.max(policy.delay)
}
