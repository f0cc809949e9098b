//! How many visits are on their way in at once, from the connection to the end of the login.
//!
//! A login is work for this machine. Of a thousand that begin together each takes as long as all of them, through caches
//! that hold none of it, and only then do a thousand devices begin to work out their answers. A few at a time cost less,
//! and the first devices work while the last are logged in to.
//!
//! That must not slow down logins that wait for the device, not for this machine: whoever is still on its way after
//! [`PATIENCE`] counts no more, and the next one follows. Until its core has come to a visit at all, it waits for this machine,
//! though for no longer than [`STUCK`].

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::Ticket;

/// For each core: enough that it never waits for one device, few enough that what they need stays in its caches.
const PLACES: usize = 32;

/// With very many workers more may be on their way, so that they all are within 32 times [`PATIENCE`].
const WORKERS_PER_PLACE: usize = 32;

/// After that long a login waits for its device.
const PATIENCE: Duration = Duration::from_millis(40);

/// No core takes that long to come to a visit unless it is stuck, and then it is not to hold up the others.
const STUCK: Duration = Duration::from_secs(1);

/// Who is on the way in.
#[derive(Debug, Default)]
pub(super) struct Doorway {
    /// As many places as these cores serve; none is as many as there are workers.
    cores: Option<NonZeroUsize>,
    /// Until when each counts.
    inside: HashMap<Ticket, Duration>,
    /// The same, the first to count no more first.
    leaving: BTreeSet<(Duration, Ticket)>,
}

impl Doorway {
    /// Visits share so many cores; with none that are theirs, they are not counted.
    pub(super) fn share(&mut self, cores: usize) {
        self.cores = NonZeroUsize::new(cores);
    }

    /// Until when there is no place, unless one is given back before.
    pub(super) fn full_until(&mut self, workers: usize, now: Duration) -> Option<Duration> {
        let places = (self.cores?.get() * PLACES).max(workers / WORKERS_PER_PLACE);
        self.expire(now);
        let (until, _) = self.leaving.first()?;
        (self.inside.len() >= places).then_some(*until)
    }

    /// A visit is handed out.
    pub(super) fn enter(&mut self, ticket: Ticket, now: Duration) {
        if self.cores.is_some() {
            self.count(ticket, now + STUCK);
        }
    }

    /// Its core has come to a visit.
    pub(super) fn set_out(&mut self, ticket: Ticket, now: Duration) {
        self.expire(now);
        if self.leave(ticket) {
            self.count(ticket, now + PATIENCE);
        }
    }

    /// A visit is logged in, or has ended. Says whether it had a place until then.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        let until = self.inside.remove(&ticket);
        until.is_some_and(|until| self.leaving.remove(&(until, ticket)))
    }

    /// Counts those no more whose time has come.
    fn expire(&mut self, now: Duration) {
        while let Some(&(until, ticket)) = self.leaving.first()
            && until <= now
        {
            self.leave(ticket);
        }
    }

    fn count(&mut self, ticket: Ticket, until: Duration) {
        self.inside.insert(ticket, until);
        self.leaving.insert((until, ticket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Lets in as many as there is room for at that time.
    fn fill(doorway: &mut Doorway, workers: usize, tickets: &mut u64, now: Duration) -> usize {
        let before = *tickets;
        while doorway.full_until(workers, now).is_none() {
            doorway.enter(Ticket(*tickets), now);
            doorway.set_out(Ticket(*tickets), now);
            *tickets += 1;
        }
        usize::try_from(*tickets - before).unwrap()
    }

    #[test]
    fn a_place_that_is_given_back_is_the_next_ones() {
        let (mut doorway, mut tickets) = (Doorway::default(), 0);
        doorway.share(2);
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(0)), 64);
        assert_eq!(doorway.full_until(500, millis(39)), Some(PATIENCE));
        assert!(doorway.leave(Ticket(7)));
        assert!(!doorway.leave(Ticket(7)));
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(39)), 1);
    }

    #[test]
    fn logins_that_wait_for_their_devices_hold_up_nobody_for_longer_than_patience() {
        let (mut doorway, mut tickets) = (Doorway::default(), 0);
        doorway.share(1);
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(5)), 32);
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(44)), 0);
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(45)), 32);
        // Those that counted no more give nothing back.
        assert!(!doorway.leave(Ticket(0)));
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(46)), 0);
    }

    #[test]
    fn whoever_waits_for_its_core_counts_unless_that_is_stuck() {
        let (mut doorway, mut tickets) = (Doorway::default(), 32);
        doorway.share(1);
        (0..32).for_each(|ticket| doorway.enter(Ticket(ticket), millis(0)));
        assert_eq!(doorway.full_until(500, millis(900)), Some(millis(1000)));
        doorway.set_out(Ticket(9), millis(901));
        assert_eq!(doorway.full_until(500, millis(940)), Some(millis(941)));
        assert_eq!(doorway.full_until(500, millis(941)), None);
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(999)), 1);
        assert_eq!(fill(&mut doorway, 500, &mut tickets, millis(1000)), 31);
    }

    #[test]
    fn however_many_workers_all_are_on_their_way_within_two_seconds_whatever_their_devices_do() {
        let (mut doorway, mut tickets) = (Doorway::default(), 0);
        doorway.share(1);
        let mut now = Duration::ZERO;
        while tickets < 10_000 {
            assert!(now < millis(2000), "{tickets}");
            fill(&mut doorway, 10_000, &mut tickets, now);
            now = doorway.full_until(10_000, now).unwrap();
        }
    }

    #[test]
    fn without_cores_of_their_own_visits_are_not_counted() {
        let mut doorway = Doorway::default();
        doorway.share(0);
        doorway.enter(Ticket(1), Duration::ZERO);
        assert_eq!(doorway.full_until(1, Duration::ZERO), None);
        assert!(!doorway.leave(Ticket(1)));
    }
}
