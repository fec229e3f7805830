//! Tells the service manager that started the agent how it stands, if one did and asks for it (`NOTIFY_SOCKET`, as systemd has
//! it with `Type=notify` and `Type=notify-reload`). Without one, nothing happens.

use sd_notify::NotifyState;

/// The agent answers.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager was not told of the reload: no clock"),
    }
}

/// The agent is on its way out.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, ?states, "the service manager was not told");
    }
}
