//! How many visits are on their way in at once, from the connection to the end of the login.
//!
//! A login is work for this machine. Of a thousand that begin together each takes as long as all of them, through caches
//! that hold none of it, and only then do a thousand devices begin to work out their answers. A few at a time cost less,
//! and the first devices work while the last are logged in to.
//!
//! That must not slow down logins that wait for the device, not for this machine: whoever is still on its way after
//! [`PATIENCE`] counts no more, and the next one follows.

use std::collections::VecDeque;
use std::time::Duration;

use super::Ticket;

/// For each core: enough that it never waits for one device, few enough that what they need stays in its caches.
const PLACES: usize = 32;

/// With very many workers more may be on their way, so that they all are within 32 times [`PATIENCE`].
const WORKERS_PER_PLACE: usize = 32;

/// After that long a login waits for its device.
const PATIENCE: Duration = Duration::from_millis(40);

/// Who is on the way in.
#[derive(Debug, Default)]
pub(super) struct Doorway {
    /// As many places as these cores serve; none is as many as there are workers.
    cores: Option<usize>,
    /// In the order in which they came, which is that of their tickets.
    inside: VecDeque<(Ticket, Duration)>,
}

impl Doorway {
    /// Visits share so many cores.
    pub(super) fn share(&mut self, cores: usize) {
        self.cores = Some(cores);
    }

    /// Until when there is no place, unless one is given back before.
    pub(super) fn full_until(&mut self, workers: usize, now: Duration) -> Option<Duration> {
        let places = (self.cores? * PLACES).max(workers / WORKERS_PER_PLACE);
        while self.inside.front().is_some_and(|(_, since)| now >= *since + PATIENCE) {
            self.inside.pop_front();
        }
        let (_, since) = self.inside.front().filter(|_| self.inside.len() >= places)?;
        Some(*since + PATIENCE)
    }

    /// A visit is handed out.
    pub(super) fn enter(&mut self, ticket: Ticket, now: Duration) {
        if self.cores.is_some() {
            self.inside.push_back((ticket, now));
        }
    }

    /// A visit is logged in, or has ended. Says whether it had a place until then.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        let found = self.inside.binary_search_by_key(&ticket, |(ticket, _)| *ticket);
        found.is_ok_and(|place| self.inside.remove(place).is_some())
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
        doorway.enter(Ticket(1), Duration::ZERO);
        assert_eq!(doorway.full_until(1, Duration::ZERO), None);
        assert!(!doorway.leave(Ticket(1)));
    }
}
