//! How long to wait after a failure: exponential backoff with full jitter, so that many who failed together don't come back
//! together.

use std::time::Duration;

/// The pauses of one kind of retry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The most after the first failure; it doubles with each one.
    pub(super) first: Duration,
    /// The most after any.
    pub(super) longest: Duration,
}

impl Pace {
    /// The pause after so many failures in a row, by a chance from 0 to 1. Never quite nothing: a wait that costs no time
    /// counts for none, and would be tried for ever.
    pub(super) fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
        let most = self.first.saturating_mul(doubled).min(self.longest);
        most.mul_f64(chance).max(self.first / 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(300) };

    #[test]
    fn pauses_double_up_to_the_longest_and_lie_anywhere_below() {
        let most = |failures| PACE.pause(failures, 1.0).as_secs();
        assert_eq!([most(1), most(2), most(3), most(9), most(10), most(400)], [1, 2, 4, 256, 300, 300]);
        assert_eq!(PACE.pause(10, 0.5), Duration::from_secs(150));
        assert_eq!(PACE.pause(10, 0.0), Duration::from_millis(50));
    }
}
