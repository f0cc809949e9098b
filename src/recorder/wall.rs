//! How far wall time can be believed. Clocks are set: a machine that boots in 1970 learns the year a minute later. Times
//! from before and from after that can't be compared, and what seems old may be of today.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::{Clock, Timestamp};
use crate::device::DeviceId;

/// A clock that is corrected moves by less between two looks; one that is set moves by more.
const STEP: TimeDelta = TimeDelta::minutes(1);

/// So long a clock must have run evenly, once it was set, before anything is deleted by it.
const PROBATION: Duration = Duration::from_secs(3_600);

/// A start that is so much later than the last thing recorded may be a wrong clock.
const LONG_PAUSE: TimeDelta = TimeDelta::days(31);

/// One look at the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Wall time.
    pub(super) now: Timestamp,
    /// How long the machine has been running.
    pub(super) running: Duration,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), running: clock.running() }
    }
}

/// What is known of the wall clock.
#[derive(Debug)]
pub(super) struct Wall {
    last: Moment,
    /// Since when it has run evenly, by its own time: since the start or since it was last set.
    even_since: Timestamp,
    /// The devices whose last answer came since then.
    answered: HashSet<DeviceId>,
    /// When it is believed again, by the machine's running time.
    doubted_until: Option<Duration>,
}

impl Wall {
    /// The clock at a start; `newest` is the last thing that was recorded before it.
    pub(super) fn new(moment: Moment, newest: Option<Timestamp>) -> Self {
        let paused_long = newest.is_some_and(|newest| moment.now - newest > LONG_PAUSE);
        Self {
            last: moment,
            even_since: moment.now,
            answered: HashSet::new(),
            doubted_until: paused_long.then(|| moment.running + PROBATION),
        }
    }

    /// Looks at the clock; gives by how much it was set, where it was.
    pub(super) fn look(&mut self, moment: Moment) -> Option<TimeDelta> {
        let elapsed = moment.running.saturating_sub(self.last.running);
        let expected = self.last.now + elapsed;
        self.last = moment;
        let step = moment.now - expected;
        if step.abs() <= STEP {
            return None;
        }
        self.even_since = moment.now;
        self.answered.clear();
        self.doubted_until = Some(moment.running + PROBATION);
        Some(step)
    }

    /// Whether wall time has run evenly since the device's last answer.
    pub(super) fn even_since_answer(&self, device: &DeviceId) -> bool {
        self.answered.contains(device)
    }

    /// Another device goes by this name now: nothing is known of its last answer.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.answered.remove(device);
    }

    /// Takes note of an answer. One that was on its way while the clock was set has its time from before.
    pub(super) fn answered(&mut self, device: &DeviceId, at: Timestamp) {
        if (self.even_since..=self.last.now).contains(&at) {
            self.answered.insert(device.clone());
        } else {
            self.answered.remove(device);
        }
    }

    /// Whether what seems too old to keep may be deleted.
    pub(super) fn is_believed(&self) -> bool {
        self.doubted_until.is_none_or(|until| until <= self.last.running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(now: i64, running: u64) -> Moment {
        Moment { now: Timestamp::from_timestamp(now, 0).unwrap(), running: Duration::from_secs(running) }
    }

    #[test]
    fn a_clock_that_is_slewed_is_even_and_one_that_is_set_is_not() {
        let mut wall = Wall::new(moment(1_000, 0), None);
        assert_eq!(wall.look(moment(4_630, 3_600)), None);
        assert_eq!(wall.look(moment(8_260, 7_200)), None, "30 s an hour, again");
        assert_eq!(wall.look(moment(90_000, 7_201)), Some(TimeDelta::seconds(81_739)));
        assert_eq!(wall.look(moment(10_000, 7_202)), Some(TimeDelta::seconds(-80_001)));
    }

    #[test]
    fn nothing_is_deleted_within_an_hour_of_a_step_or_after_a_long_pause() {
        let mut wall = Wall::new(moment(1_000, 0), None);
        assert!(wall.is_believed());
        wall.look(moment(50_000_000, 10));
        assert!(!wall.is_believed());
        wall.look(moment(50_003_600, 3_610));
        assert!(wall.is_believed());

        let day = 86_400;
        let after = |days: i64| Wall::new(moment(days * day, 0), Timestamp::from_timestamp(0, 0));
        assert!(after(31).is_believed());
        assert!(!after(32).is_believed());
    }

    #[test]
    fn an_answer_counts_for_the_clock_that_it_was_given_by() {
        let device = DeviceId::new("core1").unwrap();
        let mut wall = Wall::new(moment(1_000, 0), None);
        assert!(!wall.even_since_answer(&device), "not after a restart");
        wall.look(moment(1_010, 10));
        wall.answered(&device, moment(1_005, 0).now);
        assert!(wall.even_since_answer(&device));
        for set_to in [9_000, 500] {
            wall.look(moment(set_to, 11));
            assert!(!wall.even_since_answer(&device));
            wall.answered(&device, moment(1_008, 0).now);
            assert!(!wall.even_since_answer(&device), "it was on its way");
            wall.look(moment(set_to + 10, 21));
            wall.answered(&device, moment(set_to + 5, 0).now);
            assert!(wall.even_since_answer(&device));
            wall.forget(&device);
            assert!(!wall.even_since_answer(&device), "the name is another device's");
        }
    }
}
