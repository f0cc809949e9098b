//! A week of a fleet of 10,000 devices in a few seconds: three sweeps that overlap, full sites, a login budget, dead
//! devices and their hold-off, half a day of a wrong password, a reload in between. After each step all that was promised to
//! the network holds, and at the end every device of every run is accounted for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use chrono::TimeDelta;

use super::*;
use crate::budget::Budget;
use crate::clock::Timestamp;
use crate::failure::{Failure, FailureKind, Stage};
use crate::hash::fnv1a;
use crate::holdoff;
use crate::known::{Known, LastVisit};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const SITES: usize = 100;
const BUDGETED: &str = "c0";
/// Its password is wrong for half a day.
const CHANGED: &str = "c1";
const WRONG: std::ops::Range<Duration> =
    Duration::from_secs(2 * 86_400)..Duration::from_secs(2 * 86_400 + 43_200);

const WORKERS: usize = 200;
const SITE_CAP: usize = 6;
const BREAKER: breaker::Rules =
    breaker::Rules { failures: 5, window: seconds_const(60), pause: seconds_const(300) };
const HOLDOFF: holdoff::Rules =
    holdoff::Rules { first: seconds_const(300), longest: seconds_const(6 * 3600) };

const fn seconds_const(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn rules(workers: usize) -> Rules {
    Rules {
        workers,
        limits: vec![by_site(SITE_CAP)],
        breaker: BREAKER,
        logins_per_second: [(CredentialId::new(BUDGETED).expect("a name"), 20.0)].into(),
        fresh_for: seconds(60),
    }
}

/// A sweep: which part of the fleet, how often, spread over what.
struct Sweep {
    name: &'static str,
    every: Duration,
    spread: Duration,
    one_of: usize,
}

const SWEEPS: [Sweep; 3] = [
    Sweep { name: "all", every: seconds_const(8 * 3600), spread: seconds_const(3600), one_of: 1 },
    Sweep { name: "core", every: HOUR, spread: seconds_const(300), one_of: 40 },
    Sweep { name: "edge", every: seconds_const(6 * 3600), spread: Duration::ZERO, one_of: 8 },
];

/// What happens at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ends(Ticket),
    Due(usize),
    Reload(usize),
}

/// A run that is on: what it was to visit, and what became of it.
struct Running {
    sweep: usize,
    is_second: bool,
    expected: usize,
    waiting: HashSet<DeviceId>,
    busy: usize,
    again: Vec<Arc<Device>>,
    visited: usize,
    held: usize,
    fresh: usize,
}

struct Going {
    run: RunId,
    device: Arc<Device>,
    began: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    started: usize,
    skipped: usize,
    visits: usize,
    held: usize,
    fresh: usize,
    refused: usize,
    refused_then_good: usize,
    left_alone: usize,
}

struct Week {
    dispatch: Dispatch,
    workers: usize,
    now: Duration,
    fleet: Vec<Arc<Device>>,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    runs: BTreeMap<RunId, Running>,
    going: HashMap<Ticket, Going>,
    visited: HashSet<DeviceId>,
    at_site: HashMap<String, usize>,
    budget: Budget,
    known: HashMap<DeviceId, Known>,
    counts: Counts,
}

/// Always the same for the same words: the week can be told again.
fn chance(words: &[&str], of: u64) -> u64 {
    fnv1a(words.join("/").as_bytes()).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15) % of
}

fn wall(now: Duration) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::from_std(now).expect("a week")
}

impl Week {
    fn new(devices: usize) -> Self {
        let name = |n: usize| format!("d{n:05}");
        let one = |n: usize| device(&name(n), &format!("s{}", n % SITES), &format!("c{}", n % 3), &[]);
        let mut events = BinaryHeap::new();
        for (number, sweep) in SWEEPS.iter().enumerate() {
            let times = (0..).map(|turn| sweep.every * turn).take_while(|due| *due < 7 * DAY);
            events.extend(times.map(|due| Reverse((due, Event::Due(number)))));
        }
        events.push(Reverse((4 * DAY + seconds(7), Event::Reload(64))));
        Self {
            dispatch: Dispatch::new(rules(WORKERS)),
            workers: WORKERS,
            now: Duration::ZERO,
            fleet: (0..devices).map(one).collect(),
            events,
            runs: BTreeMap::new(),
            going: HashMap::new(),
            visited: HashSet::new(),
            at_site: HashMap::new(),
            budget: Budget::per_second(20.0).expect("a rate"),
            known: HashMap::new(),
            counts: Counts::default(),
        }
    }

    fn site(device: &Device) -> String {
        device.labels.get("site").unwrap_or_default().to_owned()
    }

    fn is_dead(&self, device: &Device) -> bool {
        let day = (self.now.as_secs() / 86_400).to_string();
        // One in fifty is away for a day, another one in fifty for good.
        chance(&[device.id.as_str(), "dead"], 50) == 0 || chance(&[device.id.as_str(), &day], 50) == 0
    }

    fn open(&mut self, number: usize) {
        let sweep = &SWEEPS[number];
        if self.runs.values().any(|run| run.sweep == number) {
            self.counts.skipped += 1;
            return;
        }
        self.counts.started += 1;
        let held = |device: &Device| {
            let known = self.known.get(&device.id);
            known.is_some_and(|known| holdoff::holds(known, &HOLDOFF, wall(self.now)))
        };
        let part: Vec<_> = self.fleet.iter().step_by(sweep.one_of).collect();
        let chosen: Vec<_> =
            part.iter().filter(|device| !held(device)).map(|device| Arc::clone(device)).collect();
        self.counts.left_alone += part.len() - chosen.len();
        self.begin_run(number, false, chosen, sweep.spread, seconds(60));
    }

    fn begin_run(
        &mut self,
        sweep: usize,
        is_second: bool,
        devices: Vec<Arc<Device>>,
        spread: Duration,
        fresh_for: Duration,
    ) {
        let wishes: Vec<Wish> = devices
            .iter()
            .map(|device| {
                let known = self.known.get(&device.id);
                Wish {
                    device: Arc::clone(device),
                    due: self.now + spread_over(spread, &device.id),
                    expected: known
                        .and_then(|known| known.visit.as_ref())
                        .map_or(Duration::MAX, |visit| visit.took),
                    good: known.is_some_and(|known| known.is_up() == Some(true)),
                }
            })
            .collect();
        let run = self.dispatch.open(RunRules { fresh_for, ..usual(SWEEPS[sweep].name) }, wishes);
        let waiting: HashSet<_> = devices.iter().map(|device| device.id.clone()).collect();
        let expected = waiting.len();
        self.runs.insert(
            run,
            Running {
                sweep,
                is_second,
                expected,
                waiting,
                busy: 0,
                again: Vec::new(),
                visited: 0,
                held: 0,
                fresh: 0,
            },
        );
    }

    /// Hands out all that may begin, and checks that it may.
    fn pump(&mut self) -> Option<Duration> {
        loop {
            match self.dispatch.next(self.now) {
                Next::Visit(run, ticket, device) => self.begin(run, ticket, device),
                Next::Held(run, device) => {
                    self.counts.held += 1;
                    let run = self.handed_out(run, &device);
                    run.held += 1;
                }
                Next::Fresh(run, device, _) => {
                    self.counts.fresh += 1;
                    let run = self.handed_out(run, &device);
                    run.fresh += 1;
                }
                Next::Wait(until) => {
                    assert_eq!(self.dispatch.busy(), self.going.len());
                    if self.going.len() < self.workers {
                        assert_eq!(
                            self.dispatch.waiting().worker,
                            0,
                            "workers idle while devices wait for one"
                        );
                    }
                    return until;
                }
            }
        }
    }

    fn handed_out(&mut self, run: RunId, device: &Device) -> &mut Running {
        let run = self.runs.get_mut(&run).expect("a run that is on");
        assert!(run.waiting.remove(&device.id), "{} was handed out twice, or not wanted", device.id);
        run
    }

    fn begin(&mut self, run: RunId, ticket: Ticket, device: Arc<Device>) {
        assert!(self.going.len() < self.workers, "more visits than workers");
        assert!(self.visited.insert(device.id.clone()), "two sessions on {}", device.id);
        let at_site = self.at_site.entry(Self::site(&device)).or_default();
        *at_site += 1;
        assert!(*at_site <= SITE_CAP, "too many at {}", Self::site(&device));
        if device.credential.as_str() == BUDGETED {
            assert!(self.budget.take(self.now).is_ok(), "over the budget");
        }
        self.counts.visits += 1;
        let running = self.handed_out(run, &device);
        running.busy += 1;
        running.visited += 1;
        let visits = self.counts.visits.to_string();
        let took =
            if self.is_dead(&device) { 5000 } else { 300 + chance(&[device.id.as_str(), &visits], 3000) };
        self.events.push(Reverse((self.now + Duration::from_millis(took), Event::Ends(ticket))));
        self.going.insert(ticket, Going { run, device, began: self.now });
    }

    fn end(&mut self, ticket: Ticket) {
        let Going { run, device, began } = self.going.remove(&ticket).expect("a visit that is on");
        let failure = if self.is_dead(&device) {
            Some(FailureKind::Timeout)
        } else if device.credential.as_str() == CHANGED && WRONG.contains(&self.now) {
            Some(FailureKind::Auth)
        } else {
            None
        };
        let (verdict, ending) = match failure {
            None => (Verdict::Accepted, Ending::Answered),
            Some(FailureKind::Auth) => (Verdict::Refused, Ending::Failed),
            Some(_) => (Verdict::Silent, Ending::Failed),
        };
        self.dispatch.tell(ticket, verdict, self.now);
        self.dispatch.ended(ticket, ending, self.now);
        self.visited.remove(&device.id);
        *self.at_site.get_mut(&Self::site(&device)).expect("a site") -= 1;

        let known = self.known.entry(device.id.clone()).or_default();
        let was_up = known.is_up() != Some(false);
        known.consecutive_failures = if failure.is_some() { known.consecutive_failures + 1 } else { 0 };
        let failed = failure.map(|kind| Failure::new(kind, Stage::Connect, ""));
        known.visit = Some(LastVisit { at: wall(self.now), took: self.now - began, failure: failed });
        match failure {
            Some(FailureKind::Auth) => self.counts.refused += 1,
            None if device.credential.as_str() == CHANGED && self.now > WRONG.end => {
                self.counts.refused_then_good += 1
            }
            _ => {}
        }
        let run = self.runs.get_mut(&run).expect("a run that is on");
        run.busy -= 1;
        if was_up && !run.is_second && failure.is_some_and(FailureKind::may_retry) {
            run.again.push(device);
        }
    }

    /// Closes what is done: all that it was to visit was visited, held or fresh.
    fn close_what_is_done(&mut self) {
        let done = |run: &Running| run.waiting.is_empty() && run.busy == 0;
        let done: Vec<RunId> = self.runs.iter().filter(|(_, run)| done(run)).map(|(id, _)| *id).collect();
        for id in done {
            let run = self.runs.remove(&id).expect("it was there");
            assert_eq!(run.visited + run.held + run.fresh, run.expected, "{}", SWEEPS[run.sweep].name);
            assert_eq!(self.dispatch.waiting_of(id), 0);
            self.dispatch.close(id, self.now);
            if !run.again.is_empty() {
                self.begin_run(run.sweep, true, run.again, Duration::ZERO, Duration::ZERO);
            }
        }
    }

    fn pass(&mut self) {
        loop {
            let wake = self.pump();
            self.close_what_is_done();
            let next = self.events.peek().map(|Reverse((at, _))| *at);
            let Some(at) = [wake, next].into_iter().flatten().min() else { break };
            // What a run that was just closed leaves to do is due now.
            self.now = self.now.max(at);
            while let Some(Reverse((at, event))) = self.events.peek().copied() {
                if at > self.now {
                    break;
                }
                self.events.pop();
                match event {
                    Event::Ends(ticket) => self.end(ticket),
                    Event::Due(sweep) => self.open(sweep),
                    Event::Reload(workers) => {
                        self.workers = workers;
                        self.dispatch.set_rules(rules(workers));
                    }
                }
            }
        }
    }
}

#[test]
fn in_a_week_nothing_is_lost_and_no_cap_is_passed() {
    let mut week = Week::new(10_000);
    week.pass();
    assert!(week.runs.is_empty() && week.going.is_empty(), "all came to an end");
    let Counts { started, skipped, visits, held, fresh, refused, refused_then_good, left_alone } =
        week.counts;
    let turns = |sweep: &Sweep| (0..).take_while(|turn| sweep.every * *turn < 7 * DAY).count();
    let due: usize = SWEEPS.iter().map(turns).sum();
    assert_eq!(started + skipped, due, "every instant is accounted for");
    assert_eq!(skipped, 0, "a small sweep is done in its time beside a big one");
    assert!(visits > 250_000 && fresh > 0 && left_alone > 1_000, "{:?}", week.counts);
    // Those that were on their way when the breaker opened, and one canary a pause.
    let pauses = (0..).take_while(|pause| WRONG.start + BREAKER.pause * *pause < WRONG.end).count();
    assert!(refused <= BREAKER.failures + WORKERS + pauses, "{refused} refused logins");
    assert!(held > 5_000 && refused_then_good > 10_000, "the breaker opened, and closed: {:?}", week.counts);
}
