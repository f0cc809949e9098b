//! How long a run will take. No formula: the dispatch itself hands out the visits, under the same limits and in the same
//! order, while a clock is passed in that jumps from one visit's end to the next. So what it says is as right as the
//! durations that it is given, and as what else goes on at the same time leaves it, which it doesn't know of.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use crate::breaker;
use crate::device::Device;
use crate::dispatch::{Dispatch, Ending, Next, Rules, RunRules, Ticket, Urgency, Wish};
use crate::status::Waiting;

/// How often the run is looked at to see what its devices wait for; a look costs as much as there are values of limits.
const LOOKS: u32 = 500;

/// A visit that is to be made.
#[derive(Debug, Clone)]
pub struct Visit {
    /// To which device.
    pub device: Arc<Device>,
    /// Not before this time, counted from the run's beginning.
    pub due: Duration,
    /// How long it will take.
    pub takes: Duration,
}

/// What devices wait for while a run is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cap {
    /// A free worker.
    Workers,
    /// A place within a `[[workers.limit]]`, by what that goes by.
    Limit(String),
    /// A login.
    Logins,
    /// Their place in the sweep's spread, and nothing else.
    Spread,
}

/// How a run will go.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// From its beginning to its last visit's end.
    pub took: Duration,
    /// Visits.
    pub visits: usize,
    /// Workers that are busy, on the mean over the whole time.
    pub busy: f64,
    /// The most visits that go on at once.
    pub busy_most: usize,
    /// What devices wait for, with the share of the time in which some do: the largest first.
    pub binds: Vec<(Cap, f64)>,
}

/// What is at work while a run is played.
struct Play {
    dispatch: Dispatch,
    now: Duration,
    going: BinaryHeap<Reverse<(Duration, Ticket)>>,
    work: Duration,
    busy_most: usize,
    waited: BTreeMap<Cap, u32>,
    looks: u32,
}

/// Plays a run through.
#[must_use]
pub fn forecast(rules: Rules, visits: &[Visit]) -> Forecast {
    let takes: BTreeMap<&str, Duration> =
        visits.iter().map(|visit| (visit.device.id.as_str(), visit.takes)).collect();
    let wish = |visit: &Visit| Wish {
        device: Arc::clone(&visit.device),
        due: visit.due,
        expected: visit.takes,
        good: true,
    };
    // What was refused once is no matter of a forecast.
    let never = breaker::Rules { failures: 0, ..rules.breaker };
    let workers = u32::try_from(rules.workers).unwrap_or(u32::MAX).max(1);
    let mut play = Play {
        dispatch: Dispatch::new(Rules { breaker: never, fresh_for: Duration::ZERO, ..rules }),
        now: Duration::ZERO,
        going: BinaryHeap::new(),
        work: visits.iter().map(|visit| visit.takes).sum(),
        busy_most: 0,
        waited: BTreeMap::new(),
        looks: 0,
    };
    let last_due = visits.iter().map(|visit| visit.due).max().unwrap_or_default();
    let between_looks = ((play.work / workers).max(last_due) / LOOKS).max(Duration::from_millis(1));
    let run = RunRules { name: "".into(), urgency: Urgency::Usual, fresh_for: Duration::ZERO, paused: false };
    play.dispatch.open(run, visits.iter().map(wish).collect());
    let mut next_look = Duration::ZERO;
    while let Some(next) = play.hand_out(&takes) {
        // Until then nothing changes, so that one look stands for all that fall into that time.
        let mut looks = 0;
        while next_look < next {
            looks += 1;
            next_look += between_looks;
        }
        if looks > 0 {
            play.look(looks);
        }
        play.pass_to(next);
    }
    play.end(visits.len())
}

impl Play {
    /// Begins what may begin; gives the time of what happens next.
    fn hand_out(&mut self, takes: &BTreeMap<&str, Duration>) -> Option<Duration> {
        loop {
            match self.dispatch.next(self.now) {
                Next::Visit(_, ticket, device) => {
                    let takes = takes.get(device.id.as_str()).copied().unwrap_or_default();
                    self.going.push(Reverse((self.now + takes, ticket)));
                }
                Next::Held(..) | Next::Fresh(..) => {}
                Next::Wait(until) => {
                    self.busy_most = self.busy_most.max(self.going.len());
                    let ends = self.going.peek().map(|Reverse((end, _))| *end);
                    return [until, ends].into_iter().flatten().min().map(|next| next.max(self.now));
                }
            }
        }
    }

    fn pass_to(&mut self, next: Duration) {
        self.now = next;
        while let Some(Reverse((end, ticket))) = self.going.peek().copied() {
            if end > self.now {
                break;
            }
            self.going.pop();
            self.dispatch.ended(ticket, Ending::Answered, self.now);
        }
    }

    fn look(&mut self, looks: u32) {
        self.looks += looks;
        let Waiting { worker, spread, limit, budget, .. } = self.dispatch.waiting();
        let mut seen: Vec<Cap> = limit.into_keys().map(Cap::Limit).collect();
        seen.extend((worker > 0).then_some(Cap::Workers));
        seen.extend((budget > 0).then_some(Cap::Logins));
        if seen.is_empty() && spread > 0 {
            seen.push(Cap::Spread);
        }
        for cap in seen {
            *self.waited.entry(cap).or_default() += looks;
        }
    }

    fn end(self, visits: usize) -> Forecast {
        let looks = f64::from(self.looks.max(1));
        let mut binds: Vec<(Cap, f64)> =
            self.waited.into_iter().map(|(cap, looks_of)| (cap, f64::from(looks_of) / looks)).collect();
        binds.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let busy = if self.now.is_zero() { 0.0 } else { self.work.div_duration_f64(self.now) };
        Forecast { took: self.now, visits, busy, busy_most: self.busy_most, binds }
    }
}

/// The fewest workers with which the run takes no longer than that; `None` where no number of workers is enough, because
/// something else binds.
#[must_use]
pub fn workers_within(rules: &Rules, visits: &[Visit], within: Duration) -> Option<usize> {
    let fits = |workers: usize| forecast(Rules { workers, ..rules.clone() }, visits).took <= within;
    let most = visits.len().max(1);
    if !fits(most) {
        return None;
    }
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = low.midpoint(high);
        if fits(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests;
