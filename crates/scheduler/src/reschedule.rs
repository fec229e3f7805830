//! When a failed allocation may be replaced (REC-027…039).

use std::time::Duration;

use drover_base::WallTime;
use drover_model::{DelayFunction, RescheduleEvent, ReschedulePolicy};
use drover_state::Alloc;

/// A failure that is due within this time is replaced at once (REC-032).
const SOON: Duration = Duration::from_secs(1);
/// How many attempts are remembered under an unlimited policy (REC-035).
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

/// What the policy says about a failed allocation. `due` says that the follow-up evaluation for it is the one at hand.
pub fn verdict(alloc: &Alloc, policy: Option<&ReschedulePolicy>, now: WallTime, due: bool) -> Verdict {
    let forced = alloc.transition.force_reschedule == Some(true);
    let past = alloc.reschedules.as_deref().map(Vec::as_slice).unwrap_or_default();
    let Some(policy) = policy.filter(|policy| forced || policy.enabled()) else { return Verdict::No };
    let failed_at = alloc.failure_time();
    let delay = next_delay(policy, past, failed_at);
    if !forced && !policy.unlimited {
        let counted = past.iter().filter(|event| failed_at.since(event.time) < policy.interval).count();
        if counted >= policy.attempts as usize || delay >= policy.interval {
            return Verdict::No;
        }
    }
    let at = failed_at + delay;
    if forced || due || at <= now + SOON {
        let event = RescheduleEvent {
            time: now,
            previous_alloc: alloc.id,
            previous_node: alloc.node_id,
            delay_ns: i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX),
        };
        return Verdict::Now(remembered(policy, past, failed_at).into_iter().chain([event]).collect());
    }
    Verdict::At(at)
}

fn remembered(policy: &ReschedulePolicy, past: &[RescheduleEvent], failed_at: WallTime) -> Vec<RescheduleEvent> {
    if policy.unlimited {
        let skip = past.len().saturating_sub(REMEMBERED - 1);
        return past[skip..].to_vec();
    }
    past.iter().filter(|event| failed_at.since(event.time) < policy.interval).cloned().collect()
}

fn next_delay(policy: &ReschedulePolicy, past: &[RescheduleEvent], failed_at: WallTime) -> Duration {
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
        let quiet = failed_at.since(last.time);
        return if delay_of(last) >= policy.max_delay && quiet > policy.max_delay { policy.delay } else { policy.max_delay };
    }
    grown.max(policy.delay)
}
