//! What systemd is told: ready, reloading, stopping, and the watchdog's ping. Without systemd all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Ready to be scraped and to sweep.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "no monotonic clock for systemd"),
    }
}

/// The stop has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// The daemon is alive.
pub(super) fn ping() {
    tell(&[NotifyState::Watchdog]);
}

/// How often to ping, where systemd watches: twice in its period.
pub(super) fn ping_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|period| period / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be notified");
    }
}
