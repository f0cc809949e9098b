//! A sweep's blackout: within its windows no visit begins. Those that go on are not broken off.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use super::engine::Seat;
use crate::clock::{Clock, Timestamp};
use crate::timetable::Windows;

/// Down while a window holds.
pub(super) struct Curtain {
    windows: Windows,
    clock: Arc<dyn Clock>,
    down: bool,
    /// The minute at which the clock was looked at last.
    minute: i64,
}

impl Curtain {
    pub(super) fn new(windows: Windows, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        let down = windows.hold(now);
        Self { windows, clock, down, minute: minute_of(now) }
    }

    /// Whether it is down now. Nobody turned it while the last visits of a round came to their end.
    pub(super) fn is_down(&mut self) -> bool {
        let now = self.clock.now();
        self.minute = minute_of(now);
        self.down = self.windows.hold(now);
        self.down
    }

    /// Waits for the next whole minute, at which alone windows begin and end, to call [`Self::turn`]. Looked at anew each
    /// time, so that a clock that is set is followed.
    pub(super) async fn minute(&self) {
        if self.windows.is_empty() {
            return pending().await;
        }
        let now = self.clock.now();
        let into = now.timestamp_millis().rem_euclid(60_000);
        let left = u64::try_from(60_000 - into).unwrap_or(60_000);
        sleep(Duration::from_millis(left)).await;
    }

    /// Raises or lowers it as the windows say now. For whoever is too busy to wait for a minute: while visits end one after
    /// the other, the wait for the next minute begins anew each time, and one minute's end may fall between two waits.
    pub(super) fn turn(&mut self, seat: &Seat) {
        if self.windows.is_empty() {
            return;
        }
        let now = self.clock.now();
        if minute_of(now) == self.minute {
            return;
        }
        self.minute = minute_of(now);
        let down = self.windows.hold(now);
        match (self.down, down) {
            (false, true) => {
                info!("a blackout begins: no visit of this sweep begins until it ends");
                seat.pause();
            }
            (true, false) => {
                info!("the blackout ends");
                seat.resume();
            }
            _ => {}
        }
        self.down = down;
    }
}

fn minute_of(time: Timestamp) -> i64 {
    time.timestamp().div_euclid(60)
}
