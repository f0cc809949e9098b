//! How many visits of one core are on their way in at once, from the connection to the end of the login.
//!
//! A login is work for this machine. Of a thousand that begin together each takes as long as all of them, through caches
//! that hold none of it, and only then do a thousand devices begin to work out their answers. One after the other they
//! cost less, and the first devices work while the last are logged in to. So a core is given a few logins at a time; the
//! worker of whoever waits for its turn is held.
//!
//! That must not slow down logins that wait for the device, not for this machine: whoever is still on its way after
//! [`PATIENCE`] counts no more, and the next one follows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turns, Notify};
use tokio::time::{Instant, sleep_until};

/// Enough that the core never waits for one device, few enough that what they need stays in its caches.
const PLACES: usize = 32;

/// With very many workers more may be on their way, so that they all are within 32 times [`PATIENCE`].
const WORKERS_PER_PLACE: usize = 32;

/// After that long a login waits for its device.
const PATIENCE: Duration = Duration::from_millis(40);

/// The way in of one core's visits. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Doorway(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    places: AtomicUsize,
    /// Who is on the way in, by when they came.
    inside: Mutex<Inside>,
    /// First come, first served: whoever has the turn is next.
    turns: Turns<()>,
    /// Rung when a place is given back.
    freed: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        let places = AtomicUsize::new(PLACES);
        Self { places, inside: Mutex::default(), turns: Turns::new(()), freed: Notify::new() }
    }
}

#[derive(Debug, Default)]
struct Inside {
    visits: VecDeque<(u64, Instant)>,
    next: u64,
}

/// A visit's place in the doorway, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    doorway: Doorway,
    number: u64,
}

impl Doorway {
    /// Makes it wide enough for so many workers.
    pub fn fit(&self, workers: usize) {
        self.0.places.store(PLACES.max(workers / WORKERS_PER_PLACE), Ordering::Relaxed);
    }

    /// Waits for a place. May be dropped at any point.
    pub async fn enter(&self) -> Place {
        let _turn = self.0.turns.lock().await;
        loop {
            match self.try_enter() {
                Ok(place) => return place,
                Err(free_at) => tokio::select! {
                    () = self.0.freed.notified() => {}
                    () = sleep_until(free_at) => {}
                },
            }
        }
    }

    /// A place, or when the one who came first counts no more.
    fn try_enter(&self) -> Result<Place, Instant> {
        let now = Instant::now();
        let places = self.0.places.load(Ordering::Relaxed);
        self.with(|inside| {
            while inside.visits.front().is_some_and(|(_, since)| now - *since >= PATIENCE) {
                inside.visits.pop_front();
            }
            match inside.visits.front() {
                Some((_, since)) if inside.visits.len() >= places => Err(*since + PATIENCE),
                _ => {
                    let number = inside.next;
                    inside.next += 1;
                    inside.visits.push_back((number, now));
                    Ok(Place { doorway: self.clone(), number })
                }
            }
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inside) -> R) -> R {
        act(&mut self.0.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.doorway.with(|inside| {
            // In order of their numbers. One that took too long isn't there any more.
            if let Ok(found) = inside.visits.binary_search_by_key(&self.number, |(number, _)| *number) {
                inside.visits.remove(found);
            }
        });
        self.doorway.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    async fn full() -> (Doorway, Vec<Place>) {
        let (doorway, mut places) = (Doorway::default(), Vec::new());
        for _ in 0..PLACES {
            places.push(doorway.enter().await);
        }
        (doorway, places)
    }

    /// Whether it is done without any time passing.
    fn done(future: std::pin::Pin<&mut impl Future<Output = Place>>) -> Option<Place> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_one_comes_in_as_a_place_is_given_back_first_come_first_served() {
        let (doorway, mut places) = full().await;
        let (mut first, mut second) = (pin!(doorway.enter()), pin!(doorway.enter()));
        assert!(done(first.as_mut()).is_none());
        assert!(done(second.as_mut()).is_none());
        places.truncate(PLACES - 1);
        assert!(done(second.as_mut()).is_none());
        let first = done(first.as_mut());
        assert!(first.is_some());
        assert!(done(second.as_mut()).is_none());
        drop(first);
        assert!(done(second.as_mut()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn logins_that_wait_for_their_devices_hold_up_nobody_for_longer_than_patience() {
        let (doorway, places) = full().await;
        let began = Instant::now();
        let mut late = Vec::new();
        for _ in 0..PLACES {
            late.push(doorway.enter().await);
        }
        assert_eq!(began.elapsed(), PATIENCE);
        // Those that counted no more give nothing back.
        drop(places);
        assert!(done(pin!(doorway.enter())).is_none());
        late.pop();
        assert!(done(pin!(doorway.enter())).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_passes_the_turn_on() {
        let (doorway, mut places) = full().await;
        {
            let mut gives_up = pin!(doorway.enter());
            assert!(done(gives_up.as_mut()).is_none());
        }
        places.pop();
        assert!(done(pin!(doorway.enter())).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_workers_all_are_on_their_way_within_two_seconds_whatever_their_devices_do() {
        let doorway = Doorway::default();
        doorway.fit(10_000);
        let (began, mut places) = (Instant::now(), Vec::new());
        for _ in 0..10_000 {
            places.push(doorway.enter().await);
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        doorway.fit(256);
        drop(places);
        let _places = full().await;
    }
}
