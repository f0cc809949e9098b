//! A simulated week over the engine itself, in paused time: sweeps, grants, visits and second visits are the daemon's own,
//! only the devices are scripted. Three sweeps overlap; sites are full, one credential has a login budget and another one a
//! wrong password for half a day; devices die for a day or for good, and some are upgraded. At each visit all that was
//! promised to the network is checked by the device's end, and after each run every device is accounted for.
//!
//! `VERSWEEP_WEEK_DEVICES=10000 cargo test --test behaviours week::` takes a larger fleet than the 2,000 here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use versweep::activity::{BreakerTurn, Note, Reason};
use versweep::budget::Budget;
use versweep::clock::{Clock, Timestamp};
use versweep::device::{CredentialId, Device, Labels, PlatformChoice, PlatformKey, Timeouts};
use versweep::dialogue::Errand;
use versweep::dispatch::{By, Limit, Rules};
use versweep::failure::{FailureKind, Stage};
use versweep::hash::fnv1a;
use versweep::known::{DeviceState, Known, KnownFacts, LastVisit, Snapshot, SweepRecord};
use versweep::observation::{Observation, Outcome, SweepId};
use versweep::probe::Prober;
use versweep::status::SweepStatus;
use versweep::sweep::{Care, Engine, Outlet, Plan, Stop, run};
use versweep::timetable::Windows;
use versweep::transport::{Trace, Transport, TransportError};
use versweep::{breaker, holdoff};

use crate::visits;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);
const SITES: usize = 100;
const SITE_CAP: usize = 3;
const BUDGETED: &str = "c0";
const LOGINS_PER_SECOND: f64 = 10.0;
/// Its password is wrong for half a day.
const CHANGED: &str = "c1";
const BREAKER: breaker::Rules =
    breaker::Rules { failures: 5, window: Duration::from_secs(60), pause: Duration::from_secs(300) };
const HOLDOFF: holdoff::Rules =
    holdoff::Rules { first: Duration::from_secs(300), longest: Duration::from_secs(6 * 3600) };
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a week is played.
#[derive(Clone, Copy)]
struct Script {
    devices: usize,
    days: u32,
    seed: u64,
}

impl Script {
    fn workers(self) -> usize {
        (self.devices / 40).max(4)
    }

    fn length(self) -> Duration {
        DAY * self.days
    }

    /// Half a day, in the middle.
    fn is_wrong(self, now: Duration) -> bool {
        let middle = self.length() / 2;
        (middle..middle + self.length() / 14).contains(&now)
    }

    /// Always the same for the same words: the week can be told again.
    fn chance(self, words: &[&str], of: u64) -> u64 {
        let text = format!("{}/{}", self.seed, words.join("/"));
        fnv1a(text.as_bytes()).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15) % of
    }

    fn is_dead(self, device: &str, now: Duration) -> bool {
        let day = (now.as_secs() / 86_400).to_string();
        // One in fifty is away for a day, another one in fifty for good.
        self.chance(&[device, "dead"], 50) == 0 || self.chance(&[device, &day], 50) == 0
    }

    /// Upgraded once in the week, at its own hour, or never.
    fn version(self, device: &str, now: Duration) -> &'static str {
        let hour = self.chance(&[device, "upgrade"], 10 * 24 * u64::from(self.days));
        if now >= HOUR * u32::try_from(hour).unwrap() { "9.1.3" } else { "9.1.2" }
    }
}

/// The devices' end of all visits.
struct Network {
    script: Script,
    origin: Instant,
    limits: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    inside: HashSet<String>,
    at_site: HashMap<String, usize>,
    budget: Option<Budget>,
    visits: usize,
    refused: usize,
    /// Device, when, for how long: what makes two weeks the same.
    log: Vec<(String, Duration)>,
    /// What must never be.
    broken: Vec<String>,
}

impl Network {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn with<R>(&self, act: impl FnOnce(&mut Seen) -> R) -> R {
        act(&mut self.limits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A session begins: may it?
    fn enter(&self, device: &Device) -> Session<'_> {
        let (name, site) = (device.id.to_string(), site(device));
        let (now, workers) = (self.now(), self.script.workers());
        self.with(|seen| {
            seen.visits += 1;
            seen.log.push((name.clone(), now));
            let mut broken = Vec::new();
            if !seen.inside.insert(name.clone()) {
                broken.push(format!("two sessions on {name}"));
            }
            if seen.inside.len() > workers {
                broken.push("more visits than workers".to_owned());
            }
            let at_site = seen.at_site.entry(site.clone()).or_default();
            *at_site += 1;
            if *at_site > SITE_CAP {
                broken.push(format!("{at_site} visits at {site}"));
            }
            if device.credential.as_str() == BUDGETED
                && seen.budget.as_mut().is_some_and(|budget| budget.take(now).is_err())
            {
                broken.push("over the login budget".to_owned());
            }
            seen.broken.extend(broken.into_iter().map(|what| format!("{now:?}: {what}")));
        });
        Session { network: self, name, site }
    }
}

/// A session that goes on.
struct Session<'a> {
    network: &'a Network,
    name: String,
    site: String,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.network.with(|seen| {
            seen.inside.remove(&self.name);
            if let Some(at_site) = seen.at_site.get_mut(&self.site) {
                *at_site -= 1;
            }
        });
    }
}

impl Transport for Network {
    async fn visit(
        &self,
        device: &Device,
        errand: &Errand,
        trace: &mut Trace,
    ) -> Result<Vec<String>, TransportError> {
        let session = self.enter(device);
        let (name, began) = (session.name.clone(), self.now());
        if self.script.is_dead(&name, began) {
            sleep(CONNECT_TIMEOUT).await;
            return Err(TransportError::new(FailureKind::Timeout, Stage::Connect, "nobody there"));
        }
        let number = self.with(|seen| seen.visits).to_string();
        sleep(Duration::from_millis(300 + self.script.chance(&[&name, &number], 3000))).await;
        if device.credential.as_str() == CHANGED && self.script.is_wrong(self.now()) {
            self.with(|seen| seen.refused += 1);
            return Err(TransportError::new(FailureKind::Auth, Stage::Auth, "refused"));
        }
        trace.finish();
        // Read twice within one sweep it is the same: what a device runs follows from the day that the visit began in.
        let version = self.script.version(&name, began);
        let answer = format!(
            "FRRouting {version} (r1) on Linux(6.1.0-28-amd64).\nconfigured with:\n    '--prefix=/usr'\n"
        );
        Ok(vec![answer; errand.commands.len()])
    }
}

/// Wall time that goes with the paused one.
struct WeekClock(Instant);

impl Clock for WeekClock {
    fn now(&self) -> Timestamp {
        visits::at(0) + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }

    fn running(&self) -> Duration {
        self.0.elapsed()
    }
}

fn site(device: &Device) -> String {
    device.labels.get("site").unwrap_or_default().to_owned()
}

fn fleet(devices: usize) -> Vec<Arc<Device>> {
    let patient = Duration::from_secs(60);
    let one = |n: usize| {
        Arc::new(Device {
            platform: PlatformChoice::Named(PlatformKey::new("frr")),
            credential: CredentialId::new(&format!("c{}", n % 3)).unwrap(),
            labels: Labels::from_iter([("site".to_owned(), format!("s{}", n % SITES))]),
            timeouts: Timeouts { visit: patient, connect: patient, login: patient, command: patient },
            ..visits::device(&format!("d{n:05}")).as_ref().clone()
        })
    };
    (0..devices).map(one).collect()
}

/// A sweep: which part of the fleet, how often, spread over what.
#[derive(Clone, Copy)]
struct Sweep {
    name: &'static str,
    every: Duration,
    spread: Duration,
    one_of: usize,
}

const SWEEPS: [Sweep; 3] = [
    Sweep { name: "all", every: Duration::from_secs(8 * 3600), spread: Duration::from_secs(3600), one_of: 1 },
    Sweep { name: "core", every: HOUR, spread: Duration::from_secs(300), one_of: 40 },
    Sweep { name: "edge", every: Duration::from_secs(6 * 3600), spread: Duration::ZERO, one_of: 8 },
];

#[derive(Debug, Default)]
struct Counts {
    runs: usize,
    skipped: usize,
    fresh: usize,
    held: usize,
    left_alone: usize,
    second_visits: usize,
    upgrades: usize,
    opened: usize,
    closed: usize,
}

/// What a recorder would know, in as few words as the sweeps ask for.
struct Book {
    states: BTreeMap<String, Arc<DeviceState>>,
    counts: Counts,
}

impl Book {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot { devices: self.states.values().cloned().collect(), ..Snapshot::default() })
    }

    fn note(&mut self, seen: &Observation) {
        let Some(state) = self.states.get_mut(seen.device.as_str()) else { panic!("{}", seen.device) };
        let mut known = state.known.clone();
        self.counts.second_visits += usize::from(seen.attempts > 1);
        let failure = match &seen.outcome {
            Outcome::Failed { failure, .. } => {
                assert!(seen.attempts <= 2, "{}: at most one second visit", seen.device);
                assert!(failure.kind != FailureKind::Auth || seen.attempts == 1, "a password is tried once");
                assert_ne!(failure.kind, FailureKind::Internal, "{}", failure.detail);
                if failure.kind == FailureKind::Breaker {
                    self.counts.held += 1;
                    return;
                }
                Some(failure.clone())
            }
            Outcome::Answered { reading, .. } => {
                let version = |known: &Known| known.facts.as_ref().map(|f| f.reading.facts.version.clone());
                if version(&known).is_some_and(|version| version != reading.facts.version) {
                    self.counts.upgrades += 1;
                    // A change is told when it was read twice (rule 12), or in the second visit to a device that failed.
                    assert_eq!(seen.attempts, 2, "{} changed and was read once", seen.device);
                }
                known.facts = Some(KnownFacts {
                    reading: reading.clone(),
                    seen_at: seen.at,
                    version_since: seen.at,
                    boot_time: None,
                });
                None
            }
        };
        known.consecutive_failures = if failure.is_some() { known.consecutive_failures + 1 } else { 0 };
        known.visit = Some(LastVisit { at: seen.at, took: seen.took, failure });
        *state = Arc::new(DeviceState { device: Arc::clone(&state.device), known });
    }
}

struct Week {
    script: Script,
    origin: Instant,
    network: Arc<Network>,
    prober: Arc<Prober<Network>>,
    engine: Engine,
    book: Mutex<Book>,
}

impl Week {
    fn new(script: Script) -> Self {
        let origin = Instant::now();
        let budget = Budget::per_second(LOGINS_PER_SECOND);
        let limits = Mutex::new(Seen { budget, ..Seen::default() });
        let network = Arc::new(Network { script, origin, limits });
        let clock: Arc<dyn Clock> = Arc::new(WeekClock(origin));
        let platforms = visits::judgement().platforms;
        let prober = Arc::new(Prober { transport: Arc::clone(&network), platforms, clock });
        let site = By::Label("site".to_owned());
        let engine = Engine::with_rules(Rules {
            workers: script.workers(),
            limits: vec![Limit { by: site, max: Some(SITE_CAP), logins_per_second: None }],
            breaker: BREAKER,
            logins_per_second: [(CredentialId::new(BUDGETED).unwrap(), LOGINS_PER_SECOND)].into(),
            fresh_for: Duration::from_secs(60),
        });
        let state = |device| Arc::new(DeviceState { device, known: Known::default() });
        let states = fleet(script.devices).into_iter().map(|d| (d.id.to_string(), state(d))).collect();
        let book = Mutex::new(Book { states, counts: Counts::default() });
        Self { script, origin, network, prober, engine, book }
    }

    fn book<R>(&self, act: impl FnOnce(&mut Book) -> R) -> R {
        act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All turns of a sweep, one after the other: never two of its runs at once.
    async fn turns(self: Arc<Self>, sweep: Sweep) {
        let mut turn = 0;
        while sweep.every * turn < self.script.length() {
            sleep_until(self.origin + sweep.every * turn).await;
            self.one_run(sweep).await;
            let next = u32::try_from(self.origin.elapsed().as_nanos() / sweep.every.as_nanos()).unwrap() + 1;
            self.book(|book| book.counts.skipped += (next - turn - 1) as usize);
            turn = next;
        }
    }

    async fn one_run(&self, sweep: Sweep) {
        let now = self.prober.clock.now();
        let before = self.book(|book| book.snapshot());
        let part: Vec<_> = before.devices.iter().step_by(sweep.one_of).collect();
        let is_held = |state: &DeviceState| holdoff::holds(&state.known, &HOLDOFF, now);
        let chosen = part.iter().filter(|state| !is_held(state));
        let devices: Vec<_> = chosen.map(|state| Arc::clone(&state.device)).collect();
        let left_alone = part.len() - devices.len();
        let due: HashSet<String> = devices.iter().map(|device| device.id.to_string()).collect();
        let plan = Plan {
            id: SweepId::starting(now),
            name: sweep.name.into(),
            reason: Reason::Schedule,
            devices,
            spread: sweep.spread,
            prober: Arc::clone(&self.prober),
            before: Arc::clone(&before),
            care: Care { retry: true, confirm_after: Some(Duration::from_secs(30)) },
            blackout: Windows::default(),
            fresh_for: Duration::from_secs(60),
        };
        let (record, told, fresh) = self.run(plan).await;
        assert!(record.complete && told.iter().all(|name| due.contains(name)), "{}", sweep.name);
        let once: HashSet<_> = told.iter().collect();
        assert_eq!(once.len(), told.len(), "{}: a device was told of twice", sweep.name);
        assert_eq!(told.len() + fresh, due.len(), "{}: every due device is accounted for", sweep.name);
        self.book(|book| {
            book.counts.runs += 1;
            book.counts.fresh += fresh;
            book.counts.left_alone += left_alone;
        });
    }

    /// Runs it; gives the devices that were told of, and how many needed no visit.
    async fn run(&self, plan: Plan<Network>) -> (SweepRecord, Vec<String>, usize) {
        let (notes, mut heard) = mpsc::channel(64);
        let (status, watched) = watch::channel(SweepStatus::default());
        let outlet = Outlet { notes, status };
        let listening = async {
            let mut told = Vec::new();
            while let Some(note) = heard.recv().await {
                match note {
                    Note::Visited(seen) => {
                        self.book(|book| book.note(&seen));
                        told.push(seen.device.to_string());
                    }
                    Note::Breaker(news) => self.book(|book| match news.turn {
                        BreakerTurn::Closed => book.counts.closed += 1,
                        BreakerTurn::Opened { .. } => book.counts.opened += 1,
                        BreakerTurn::Reopened { .. } => {}
                    }),
                    _ => {}
                }
            }
            told
        };
        let stop = Stop::default();
        let sweeping = async {
            let record = run(&self.engine, plan, &outlet, &stop).await.unwrap();
            drop(outlet);
            record
        };
        let (record, told) = tokio::join!(sweeping, listening);
        let fresh = watched.borrow().fresh;
        (record, told, fresh)
    }
}

/// Plays it on one thread in paused time.
fn played(script: Script) -> Arc<Week> {
    alone(async move {
        let week = Arc::new(Week::new(script));
        let mut sweeps = JoinSet::new();
        for sweep in SWEEPS {
            sweeps.spawn(Arc::clone(&week).turns(sweep));
        }
        sweeps.join_all().await;
        week
    })
}

fn alone<R>(future: impl Future<Output = R>) -> R {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn devices() -> usize {
    let asked = std::env::var("VERSWEEP_WEEK_DEVICES").ok();
    asked.map_or(2_000, |count| count.parse().expect("VERSWEEP_WEEK_DEVICES is a number"))
}

#[test]
fn a_week_over_the_engine_harms_nobody_and_loses_nothing() {
    let script = Script { devices: devices(), days: 7, seed: 1 };
    let week = played(script);
    let counts = week.book(|book| std::mem::take(&mut book.counts));
    let seen = week.network.with(std::mem::take);
    assert!(seen.broken.is_empty(), "{:#?}", &seen.broken[..seen.broken.len().min(10)]);
    assert!(seen.inside.is_empty() && week.engine.status().busy == 0, "all came to an end");

    let turns = |sweep: &Sweep| (0..).take_while(|turn| sweep.every * *turn < script.length()).count();
    let due: usize = SWEEPS.iter().map(turns).sum();
    assert_eq!((counts.runs, counts.skipped), (due, 0), "every instant had its run: {counts:?}");
    assert!(seen.visits > script.devices * 20, "{} visits", seen.visits);
    assert!(counts.fresh > 0 && counts.left_alone > 0 && counts.upgrades > 0, "{counts:?}");
    assert!(counts.second_visits > counts.upgrades, "{counts:?}");
    // Those that were on their way when the breaker opened, and one canary a pause.
    let pauses = (script.length().as_secs() / 14).div_ceil(BREAKER.pause.as_secs());
    let bound = BREAKER.failures + script.workers() + usize::try_from(pauses).unwrap();
    assert!(seen.refused <= bound, "{} refused logins, {bound} at most", seen.refused);
    assert!(counts.held > 0 && counts.opened >= 1 && counts.closed >= 1, "{counts:?}");
}

#[test]
fn the_same_seed_tells_the_same_week_and_another_one_doesnt() {
    let visits = |seed| played(Script { devices: 300, days: 1, seed }).network.with(std::mem::take).log;
    let first = visits(1);
    assert!(first.len() > 900, "{}", first.len());
    assert!(first == visits(1), "the same devices at the same times");
    assert!(first != visits(2));
}
