//! The watchdog's ping: sent only while the alarm clock rings and the recorder moves, so that systemd restarts a daemon
//! that has gone silent.

use std::time::Duration;

use tokio::time::timeout;
use tracing::error;

use super::notify;
use crate::recorder::Pulse;
use crate::schedule::Alarms;

/// Pings for as long as both are alive. Returns at once where systemd doesn't watch.
pub(super) async fn keep(alarms: Alarms, pulse: Pulse) {
    let Some(period) = notify::ping_period() else { return };
    let mut beats = pulse.beats();
    loop {
        // The wait is itself the proof that the alarm clock rings.
        let rang = timeout(period * 2, alarms.ring_after(alarm_within(period))).await;
        if !matches!(rang, Ok(Ok(()))) {
            error!("the alarm clock is silent: no ping for the watchdog");
            continue;
        }
        let moved = pulse.beats() != beats;
        beats = pulse.beats();
        if moved || pulse.is_waiting() {
            notify::ping();
        } else {
            error!("the recorder is stuck: no ping for the watchdog");
        }
    }
}

/// The alarm clock counts in whole seconds and looks twice in each.
fn alarm_within(period: Duration) -> Duration {
    period.saturating_sub(Duration::from_secs(2)).max(Duration::from_secs(1))
}
