//! A login budget: so many a second and no more, however many workers are free (rule 4). Pure arithmetic over times
//! that are passed in, so that paused tests hold.

use std::time::Duration;

/// How far a budget may run ahead of its even pace, so that a timer's lateness isn't lost for good.
const AHEAD: Duration = Duration::from_millis(100);

/// Hands out logins at an even pace (the generic cell rate algorithm).
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    interval: Duration,
    /// When the next login would be due at an even pace, counted from the same origin as the times passed in.
    due: Duration,
}

impl Budget {
    /// A budget of that many logins a second; `None` for a rate that is no positive number.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        let interval = Duration::try_from_secs_f64(1.0 / rate).ok()?;
        (rate > 0.0 && !interval.is_zero()).then_some(Self { interval, due: Duration::ZERO })
    }

    /// The rate, for people and gauges.
    #[must_use]
    pub fn rate(&self) -> f64 {
        1.0 / self.interval.as_secs_f64()
    }

    /// Whether a login is there at `now`.
    ///
    /// # Errors
    /// The time at which one will be there, when none is.
    pub fn peek(&self, now: Duration) -> Result<(), Duration> {
        let earliest = self.due.saturating_sub(AHEAD);
        if now < earliest { Err(earliest) } else { Ok(()) }
    }

    /// Takes a login at `now`.
    ///
    /// # Errors
    /// As [`Self::peek`].
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.peek(now)?;
        self.due = self.due.max(now) + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nonsense_is_no_budget() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Budget::per_second(rate), None, "{rate}");
        }
    }

    proptest! {
        /// Over any stretch of time there are at most rate x time logins, and those that may run ahead.
        #[test]
        fn never_over_the_rate(rate in 0.5_f64..500.0, steps in prop::collection::vec(0_u64..200, 1..300)) {
            let mut budget = Budget::per_second(rate).expect("a rate");
            let (mut now, mut taken) = (Duration::ZERO, 0_u32);
            for step in steps {
                now += Duration::from_millis(step);
                while budget.take(now).is_ok() {
                    taken += 1;
                }
                let allowed = rate * (now + AHEAD).as_secs_f64() + 1.0;
                prop_assert!(f64::from(taken) <= allowed + 1e-6, "{taken} in {now:?} at {rate}");
            }
        }

        /// Who waits as told gets its login then.
        #[test]
        fn a_wait_is_enough(rate in 0.5_f64..500.0) {
            let mut budget = Budget::per_second(rate).expect("a rate");
            let mut now = Duration::ZERO;
            for _ in 0..100 {
                if let Err(until) = budget.take(now) {
                    prop_assert!(until > now);
                    now = until;
                    prop_assert!(budget.take(now).is_ok());
                }
            }
        }
    }
}
