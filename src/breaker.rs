//! The breaker of one credential (rule 3): when it is refused on several devices within a short time, nobody logs in with
//! it any more until one device, known to be good, has taken it again. A wrong password in a roll-out locks one account
//! a handful of times instead of once a device.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::time::Duration;

use crate::device::DeviceId;

/// When a breaker opens, and how long it stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Refusals on that many distinct devices open it; 0 switches it off.
    pub failures: usize,
    /// Within this time.
    pub window: Duration,
    /// How long nobody tries before one device may.
    pub pause: Duration,
}

/// What a device said of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It let us in.
    Accepted,
    /// It refused the login.
    Refused,
    /// It was not asked, or didn't say.
    Silent,
}

/// Whether a device may be logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Yes.
    Go,
    /// No: the breaker is open.
    Held,
}

/// How a breaker turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It opened: one event, one metric. Nobody tries until that time.
    Opened(Duration),
    /// The canary was refused as well: nobody tries until that time.
    Reopened(Duration),
    /// It closed: the credential is good again.
    Closed,
}

/// The breaker. Times are counted from one origin and never go back.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    state: State,
    recent: Recent,
}

/// The verdicts of the window, counted: a fast sweep has tens of thousands of logins in one.
#[derive(Debug, Default)]
struct Recent {
    /// Oldest first, each with the device where it refused. Bounded by the logins of one window.
    verdicts: VecDeque<(Duration, Option<DeviceId>)>,
    /// How many of them are refusals.
    refused: usize,
    /// The same for each device.
    refused_by: BTreeMap<DeviceId, usize>,
}

impl Recent {
    fn add(&mut self, device: &DeviceId, verdict: Verdict, now: Duration) {
        let refused = (verdict == Verdict::Refused).then(|| device.clone());
        if let Some(device) = &refused {
            self.refused += 1;
            *self.refused_by.entry(device.clone()).or_default() += 1;
        }
        self.verdicts.push_back((now, refused));
    }

    fn forget_before(&mut self, begin: Duration) {
        while self.verdicts.front().is_some_and(|(at, _)| *at < begin) {
            let Some((_, Some(device))) = self.verdicts.pop_front() else { continue };
            self.refused -= 1;
            if let Entry::Occupied(mut count) = self.refused_by.entry(device) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }

    /// Whether that many devices have refused, and more logins than not.
    fn speaks_against(&self, devices: usize) -> bool {
        self.refused_by.len() >= devices && self.refused * 2 > self.verdicts.len()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed,
    /// Until then nobody tries.
    Open {
        until: Duration,
    },
    /// One device tries.
    Trying {
        canary: DeviceId,
    },
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: State::Closed, recent: Recent::default() }
    }

    /// Other rules, from a reload; the state stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// What [`Self::ask`] would say, without a canary being noted.
    #[must_use]
    pub fn would_say(&self, known_good: bool, now: Duration) -> Permission {
        match self.state {
            State::Closed => Permission::Go,
            State::Open { until } if now >= until && known_good => Permission::Go,
            State::Open { .. } | State::Trying { .. } => Permission::Held,
        }
    }

    /// Whether a login that was let go may not begin any more: it has opened since, and this is not its canary.
    #[must_use]
    pub fn forbids(&self, device: &DeviceId) -> bool {
        match &self.state {
            State::Closed => false,
            State::Open { .. } => true,
            State::Trying { canary } => canary != device,
        }
    }

    /// Opens it as it was before a restart, for the rest of its pause: never for longer than a whole one, whatever the
    /// wall clock says that is left.
    pub fn reopen(&mut self, left: Duration, now: Duration) {
        self.state = State::Open { until: now + left.min(self.rules.pause) };
    }

    /// Asks for a login. `known_good` says that this device answered when it was last visited: only such a one may be
    /// the canary, because another's refusal would say nothing of the credential.
    pub fn ask(&mut self, device: &DeviceId, known_good: bool, now: Duration) -> Permission {
        let permission = self.would_say(known_good, now);
        if permission == Permission::Go && self.is_open() {
            self.state = State::Trying { canary: device.clone() };
        }
        permission
    }

    /// Tells what a device said. Every login that was let go must be told of, also one that came to nothing.
    pub fn tell(&mut self, device: &DeviceId, verdict: Verdict, now: Duration) -> Option<Turn> {
        if let State::Trying { canary } = &self.state {
            return if canary == device { self.canary_said(verdict, now) } else { None };
        }
        if verdict == Verdict::Silent || self.is_open() {
            return None;
        }
        self.recent.add(device, verdict, now);
        self.recent.forget_before(now.saturating_sub(self.rules.window));
        if self.rules.failures == 0 || !self.recent.speaks_against(self.rules.failures) {
            return None;
        }
        Some(Turn::Opened(self.open(now)))
    }

    fn canary_said(&mut self, verdict: Verdict, now: Duration) -> Option<Turn> {
        match verdict {
            Verdict::Accepted => {
                self.state = State::Closed;
                Some(Turn::Closed)
            }
            Verdict::Refused => Some(Turn::Reopened(self.open(now))),
            // It says nothing of the credential: the next good device may try at once.
            Verdict::Silent => {
                self.state = State::Open { until: now };
                None
            }
        }
    }

    /// Opens it and gives the time until which nobody tries.
    fn open(&mut self, now: Duration) -> Duration {
        let until = now + self.rules.pause;
        self.recent = Recent::default();
        self.state = State::Open { until };
        until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules =
        Rules { failures: 5, window: Duration::from_secs(60), pause: Duration::from_secs(300) };

    fn device(number: usize) -> DeviceId {
        DeviceId::new(&format!("r{number}")).expect("a name")
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(RULES);
        let turns: Vec<_> =
            (0..5).map(|n| breaker.tell(&device(n), Verdict::Refused, at(n as u64))).collect();
        assert_eq!(turns, [None, None, None, None, Some(Turn::Opened(at(304)))]);
        breaker
    }

    #[test]
    fn five_devices_open_it_and_one_device_five_times_does_not() {
        assert!(opened().is_open());
        let mut breaker = Breaker::new(RULES);
        for second in 0..20 {
            assert_eq!(breaker.tell(&device(1), Verdict::Refused, at(second)), None);
        }
    }

    #[test]
    fn refusals_among_many_acceptances_are_those_devices_own_matter() {
        let mut breaker = Breaker::new(RULES);
        for number in 0..100 {
            let verdict = if number % 3 == 0 { Verdict::Refused } else { Verdict::Accepted };
            assert_eq!(breaker.tell(&device(number), verdict, at(1)), None);
        }
    }

    #[test]
    fn refusals_far_apart_do_not_add_up() {
        let mut breaker = Breaker::new(RULES);
        for number in 0..50 {
            assert_eq!(breaker.tell(&device(number), Verdict::Refused, at(number as u64 * 61)), None);
        }
    }

    #[test]
    fn after_the_pause_one_good_device_tries_and_its_success_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(&device(7), true, at(10)), Permission::Held, "within the pause");
        assert_eq!(breaker.ask(&device(7), false, at(400)), Permission::Held, "not known to be good");
        assert_eq!(breaker.ask(&device(8), true, at(400)), Permission::Go, "the canary");
        assert_eq!(breaker.ask(&device(9), true, at(400)), Permission::Held, "one at a time");
        assert_eq!(breaker.tell(&device(8), Verdict::Accepted, at(401)), Some(Turn::Closed));
        assert_eq!(breaker.ask(&device(9), false, at(402)), Permission::Go);
    }

    #[test]
    fn a_refused_canary_means_another_pause_and_a_silent_one_another_canary() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(&device(8), true, at(400)), Permission::Go);
        let again = Some(Turn::Reopened(at(701)));
        assert_eq!(breaker.tell(&device(8), Verdict::Refused, at(401)), again);
        assert_eq!(breaker.ask(&device(9), true, at(500)), Permission::Held);
        assert_eq!(breaker.ask(&device(9), true, at(800)), Permission::Go);
        assert_eq!(breaker.tell(&device(9), Verdict::Silent, at(801)), None);
        assert_eq!(breaker.ask(&device(10), true, at(801)), Permission::Go);
    }

    /// It would not end if each looked at all others.
    #[test]
    fn a_login_costs_the_same_however_many_there_were_within_the_window() {
        let mut breaker = Breaker::new(RULES);
        for number in 0..1_000_000 {
            let verdict = if number % 1000 == 0 { Verdict::Refused } else { Verdict::Accepted };
            assert_eq!(breaker.tell(&device(number % 1000), verdict, at(1)), None);
        }
        assert_eq!(breaker.tell(&device(1), Verdict::Refused, at(62)), None);
        assert_eq!((breaker.recent.verdicts.len(), breaker.recent.refused_by.len()), (1, 1));
    }

    proptest! {
        /// It opens when enough distinct devices and more than half of the logins within the window refused, counted anew
        /// at each step.
        #[test]
        fn it_opens_by_what_the_window_holds(steps in prop::collection::vec((0_usize..12, any::<bool>(), 0_u64..20), 1..300)) {
            let mut breaker = Breaker::new(RULES);
            let (mut now, mut said) = (at(0), Vec::new());
            for (number, refused, later) in steps {
                now += at(later);
                said.push((now, number, refused));
                let verdict = if refused { Verdict::Refused } else { Verdict::Accepted };
                let opened = breaker.tell(&device(number), verdict, now).is_some();
                let within: Vec<_> = said.iter().filter(|(at, ..)| *at + RULES.window >= now).collect();
                let against: Vec<_> = within.iter().filter(|(.., refused)| *refused).map(|(_, n, _)| *n).collect();
                let distinct: std::collections::BTreeSet<_> = against.iter().collect();
                prop_assert_eq!(opened, distinct.len() >= RULES.failures && against.len() * 2 > within.len());
                if opened {
                    break;
                }
            }
        }

        /// Whatever is told while it is open, nobody but one canary at a time is let go.
        #[test]
        fn open_means_one_at_a_time(steps in prop::collection::vec((0_usize..30, any::<bool>(), 0_u64..100, 0_u8..3), 1..200)) {
            let mut breaker = opened();
            let (mut now, mut canary) = (at(10), None);
            for (number, good, later, said) in steps {
                now += at(later);
                if !breaker.is_open() {
                    break;
                }
                if breaker.ask(&device(number), good, now) == Permission::Go {
                    prop_assert!(good && canary.is_none());
                    canary = Some(number);
                }
                let verdict = [Verdict::Accepted, Verdict::Refused, Verdict::Silent][usize::from(said)];
                if let Some(one) = canary && later % 2 == 0 {
                    breaker.tell(&device(one), verdict, now);
                    canary = None;
                }
            }
        }
    }
}
