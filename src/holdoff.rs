//! How long a dead device is left alone (rule 7). It follows from what is known of the device, so that it outlives a
//! restart without a state of its own.

use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::failure::FailureKind;
use crate::known::Known;

/// The hold-off's length: `first` after the first failed visit, twice as much after each further one, `longest` at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// After the first failed visit; zero switches holding off off.
    pub first: Duration,
    /// The cap.
    pub longest: Duration,
}

/// Whether a schedule leaves the device alone at this instant. One answer ends it. A last visit that lies farther ahead than the hold-off is
/// long, because the wall clock was set back, holds nothing.
#[must_use]
pub fn holds(known: &Known, rules: &Rules, now: Timestamp) -> bool {
    hold(known, rules).is_some_and(|(at, hold)| (now - at).abs() < hold)
}

/// From when a device is left alone, and for how long; `None` when it may be visited.
fn hold(known: &Known, rules: &Rules) -> Option<(Timestamp, TimeDelta)> {
    let visit = known.visit.as_ref()?;
    let failure = visit.failure.as_ref()?;
    if !costs_the_sweep(failure.kind) || rules.first.is_zero() {
        return None;
    }
    let doublings = known.consecutive_failures.saturating_sub(1).min(31);
    let hold = rules.first.saturating_mul(1 << doublings).min(rules.longest);
    Some((visit.at, TimeDelta::from_std(hold).ok()?))
}

/// Whether trying again soon costs a worker its time or an account its attempts. A device that answers, only not what was
/// asked for, costs neither.
fn costs_the_sweep(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Dns
        | FailureKind::Refused
        | FailureKind::Unreachable
        | FailureKind::Timeout
        | FailureKind::Disconnected
        | FailureKind::Kex
        | FailureKind::HostKey
        | FailureKind::Auth
        | FailureKind::Prompt
        | FailureKind::Deadline => true,
        FailureKind::Denied
        | FailureKind::Command
        | FailureKind::Parse
        | FailureKind::OutputLimit
        | FailureKind::Breaker
        | FailureKind::Cancelled
        | FailureKind::Internal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, Stage};
    use crate::known::LastVisit;

    const RULES: Rules = Rules { first: Duration::from_secs(60), longest: Duration::from_secs(3600) };

    fn failing(kind: FailureKind, failures: u32) -> Known {
        let failure = Failure::new(kind, Stage::Connect, String::new());
        let visit = LastVisit { at: Timestamp::UNIX_EPOCH, took: Duration::ZERO, failure: Some(failure) };
        Known { visit: Some(visit), consecutive_failures: failures, ..Known::default() }
    }

    fn seconds(known: &Known) -> Option<i64> {
        hold(known, &RULES).map(|(_, hold)| hold.num_seconds())
    }

    #[test]
    fn it_doubles_up_to_the_cap() {
        let holds = [1, 2, 3, 7, 40].map(|failures| seconds(&failing(FailureKind::Timeout, failures)));
        assert_eq!(holds, [60, 120, 240, 3600, 3600].map(Some));
    }

    #[test]
    fn it_ends_with_an_answer_and_never_begins_for_a_device_that_answers() {
        let mut answered = failing(FailureKind::Timeout, 3);
        answered.visit.as_mut().expect("a visit").failure = None;
        assert_eq!(seconds(&answered), None);
        assert_eq!(seconds(&Known::default()), None);
        assert_eq!(seconds(&failing(FailureKind::Parse, 9)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_by_days_holds_nobody_for_days() {
        let known = failing(FailureKind::Timeout, 2);
        let after = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let held = [0, 119, 120, -119, -120, -172_800].map(|at| holds(&known, &RULES, after(at)));
        assert_eq!(held, [true, true, false, true, false, false]);
    }

    #[test]
    fn zero_switches_it_off() {
        let off = Rules { first: Duration::ZERO, ..RULES };
        assert_eq!(hold(&failing(FailureKind::Auth, 5), &off), None);
    }
}
