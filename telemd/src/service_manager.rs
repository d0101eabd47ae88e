//! What the service manager is told, as sd_notify(3) has it. Without one, all
//! of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

fn notify(states: &[NotifyState<'_>]) {
    // Nobody listens, or nobody can: that is no reason to stop.
    let _ = sd_notify::notify(false, states);
}

/// The start, or a reload, is over.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// The end begins.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// A line for the administrator.
pub(crate) fn status(line: &str) {
    notify(&[NotifyState::Status(line)]);
}

/// The stations answer.
pub(crate) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be said: half the time after which the service
/// manager gives the daemon up. `None`: it does not watch.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    let mut microseconds = 0;
    sd_notify::watchdog_enabled(false, &mut microseconds).then(|| Duration::from_micros(microseconds / 2))
}
