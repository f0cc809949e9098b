//! A sweep that does no harm: login budget, breaker, one more try at the tail, a second reading of a change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use versweep::activity::{Note, Reason};
use versweep::breaker;
use versweep::clock::{Clock, SystemClock, Timestamp};
use versweep::device::{CredentialId, Device, PlatformChoice, PlatformKey};
use versweep::dispatch::Rules;
use versweep::failure::{Failure, FailureKind, Stage};
use versweep::known::{DeviceState, Known, LastVisit, Snapshot, SweepRecord};
use versweep::observation::{Observation, Outcome, SweepId};
use versweep::probe::Prober;
use versweep::status::SweepStatus;
use versweep::sweep::{Care, Engine, Outlet, Plan, Stop, run};
use versweep::timetable::{Window, Windows};
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};

use crate::visits;

fn said(version: &str) -> String {
    format!(
        "FRRouting {version} (r0) on Linux(6.1.0).\nMade up by a test.\nconfigured with:\n    '--prefix=/usr'\n"
    )
}

fn frr(version: &str) -> FakeAnswer {
    FakeAnswer::output(said(version))
}

fn device(name: &str, credential: &str) -> Arc<Device> {
    let credential = CredentialId::new(credential).unwrap();
    let platform = PlatformChoice::Named(PlatformKey::new("frr"));
    Arc::new(Device { platform, credential, ..visits::device(name).as_ref().clone() })
}

pub(crate) fn devices(count: usize, credential: &str) -> Vec<Arc<Device>> {
    (0..count).map(|number| device(&format!("{credential}{number}"), credential)).collect()
}

/// What is known when each of these devices was last seen to run that version.
fn running(version: &str, devices: &[Arc<Device>]) -> Arc<Snapshot> {
    let platforms = visits::judgement().platforms;
    let profile = platforms.get(&PlatformKey::new("frr")).unwrap();
    let text = said(version);
    let mut states: Vec<_> = devices
        .iter()
        .map(|device| {
            let observation = Observation {
                device: device.id.clone(),
                identity: None,
                sweep: SweepId::starting(visits::at(0)),
                at: visits::at(0),
                took: Duration::ZERO,
                stages: versweep::observation::StageTimes::default(),
                attempts: 1,
                confirmed: false,
                ssh: None,
                outcome: Outcome::Answered {
                    reading: versweep::parse::parse(profile, &text).unwrap(),
                    raw: text.as_str().into(),
                },
            };
            let rules = versweep::diff::Rules {
                down_after: 3,
                order: &|_, _| None,
                flapping: versweep::diff::FlapRules::OFF,
                even_clock: true,
            };
            let known = versweep::diff::apply(&Known::default(), &observation, &rules);
            Arc::new(DeviceState { device: Arc::clone(device), known })
        })
        .collect();
    states.sort_by(|a, b| a.device.id.cmp(&b.device.id));
    Arc::new(Snapshot { devices: states, ..Snapshot::default() })
}

pub(crate) struct Sweep {
    pub(crate) engine: Engine,
    pub(crate) transport: FakeTransport,
    before: Arc<Snapshot>,
    care: Care,
    pub(crate) blackout: Windows,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Wall time that goes with the paused time of tests.
struct PausedClock(Timestamp, Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        self.0 + self.1.elapsed()
    }

    fn running(&self) -> Duration {
        self.1.elapsed()
    }
}

impl Sweep {
    pub(crate) fn of(transport: FakeTransport) -> Self {
        Self {
            engine: Engine::new(64),
            transport,
            before: Arc::default(),
            care: Care::default(),
            blackout: Windows::default(),
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) async fn over(&self, devices: &[Arc<Device>]) -> Vec<Observation> {
        let (record, seen) = self.named("all", devices).await;
        assert!(record.complete);
        assert_eq!(seen.len(), devices.len(), "every device is told of once");
        seen
    }

    async fn named(&self, name: &str, devices: &[Arc<Device>]) -> (SweepRecord, Vec<Observation>) {
        let plan = self.plan(name, devices);
        let (notes, mut told) = mpsc::channel(16);
        let (status, _) = watch::channel(SweepStatus::default());
        let engine = self.engine.clone();
        let going =
            tokio::spawn(
                async move { run(&engine, plan, &Outlet { notes, status }, &Stop::default()).await },
            );
        let mut seen = Vec::new();
        while let Some(note) = told.recv().await {
            if let Note::Visited(observation) = note {
                seen.push(*observation);
            }
        }
        (going.await.unwrap().unwrap(), seen)
    }

    pub(crate) fn plan(&self, name: &str, devices: &[Arc<Device>]) -> Plan<FakeTransport> {
        Plan {
            id: visits::sweep_id(1),
            name: name.into(),
            reason: Reason::Schedule,
            devices: devices.to_vec(),
            spread: Duration::ZERO,
            prober: Arc::new(Prober {
                transport: Arc::new(self.transport.clone()),
                platforms: visits::judgement().platforms,
                clock: Arc::clone(&self.clock),
            }),
            before: Arc::clone(&self.before),
            care: self.care,
            blackout: self.blackout.clone(),
            fresh_for: Duration::from_secs(60),
        }
    }
}

/// The detail of a device's failure.
fn detail<'a>(seen: &'a [Observation], device: &str) -> (FailureKind, &'a str) {
    let found = seen.iter().find(|visit| visit.device.as_str() == device).unwrap();
    match &found.outcome {
        Outcome::Failed { failure, .. } => (failure.kind, &failure.detail),
        Outcome::Answered { .. } => panic!("{device} answered"),
    }
}

pub(crate) fn failures(seen: &[Observation], wanted: FailureKind) -> usize {
    let is =
        |o: &&Observation| matches!(&o.outcome, Outcome::Failed { failure, .. } if failure.kind == wanted);
    seen.iter().filter(is).count()
}

pub(crate) fn rules(workers: usize, logins_per_second: &[(&str, f64)]) -> Rules {
    let rate = |(name, rate): &(&str, f64)| (CredentialId::new(name).unwrap(), *rate);
    Rules {
        workers,
        breaker: breaker::Rules {
            failures: 5,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(300),
        },
        logins_per_second: logins_per_second.iter().map(rate).collect(),
        ..Rules::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_paces_its_own_credential_and_no_other() {
    let mut sweep = Sweep::of(FakeTransport::new().otherwise(Script::always(frr("8.4.4"))));
    sweep.engine = Engine::with_rules(rules(64, &[("slow", 10.0)]));
    let began = Instant::now();
    sweep.over(&devices(300, "free")).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());

    let began = Instant::now();
    let both: Vec<_> = devices(100, "slow").into_iter().chain(devices(300, "fast")).collect();
    let seen = sweep.over(&both).await;
    assert!(began.elapsed() >= Duration::from_secs(9), "100 logins at 10 a second: {:?}", began.elapsed());
    let early = seen.iter().take(300).filter(|o| o.device.as_str().starts_with("fast")).count();
    assert!(early > 290, "a credential without budget is in nobody's way: {early}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_on_a_handful_of_devices_and_not_on_the_fleet() {
    let refused = FakeTransport::new().otherwise(Script::always(FakeAnswer::fails(FailureKind::Auth)));
    let mut sweep = Sweep::of(refused);
    sweep.engine = Engine::with_rules(rules(4, &[]));
    let fleet = devices(500, "roll");
    let seen = sweep.over(&fleet).await;
    // Those under way when the fifth refusal came can't be called back.
    assert!(sweep.transport.visits().len() <= 5 + 4, "{} logins", sweep.transport.visits().len());
    assert_eq!(failures(&seen, FailureKind::Breaker) + failures(&seen, FailureKind::Auth), 500);
    assert!(sweep.engine.status().gates[0].open);

    // Within the pause nobody tries.
    let before = sweep.transport.visits().len();
    let seen = sweep.over(&fleet).await;
    assert_eq!((failures(&seen, FailureKind::Breaker), sweep.transport.visits().len()), (500, before));

    // After it one device tries, and another pause begins.
    tokio::time::advance(Duration::from_secs(301)).await;
    sweep.over(&fleet).await;
    assert_eq!(sweep.transport.visits().len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_closes_when_a_good_device_lets_the_canary_in() {
    let script =
        Script::by(|_, visit| if visit == 1 { FakeAnswer::fails(FailureKind::Auth) } else { frr("8.4.4") });
    let mut sweep = Sweep::of(FakeTransport::new().otherwise(script));
    sweep.engine = Engine::with_rules(rules(1, &[]));
    let fleet = devices(5, "roll");
    assert_eq!(failures(&sweep.over(&fleet).await, FailureKind::Auth), 5);
    assert!(sweep.engine.status().gates[0].open);
    tokio::time::advance(Duration::from_secs(301)).await;
    sweep.over(&fleet[..1]).await;
    assert!(!sweep.engine.status().gates[0].open);
    assert_eq!(failures(&sweep.over(&fleet).await, FailureKind::Breaker), 0);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_once_more_and_a_refused_login_never() {
    let down = |kind| Script::in_turn(vec![FakeAnswer::fails(kind), frr("8.4.4")]);
    let transport = FakeTransport::new()
        .answers("a0", down(FailureKind::Timeout))
        .answers("a1", down(FailureKind::Auth))
        .answers("a2", down(FailureKind::HostKey))
        .answers("a3", Script::always(FakeAnswer::fails(FailureKind::Refused)));
    let mut sweep = Sweep::of(transport);
    sweep.care = Care { retry: true, confirm_after: None };
    let fleet = devices(4, "a");
    let seen = sweep.over(&fleet).await;
    let visits = ["a0", "a1", "a2", "a3"].map(|name| sweep.transport.visits_to(name));
    assert_eq!(visits, [2, 1, 1, 2]);
    let answered = seen.iter().find(|o| o.device.as_str() == "a0").unwrap();
    assert!(matches!(answered.outcome, Outcome::Answered { .. }));
    assert_eq!(answered.attempts, 2);
    assert_eq!(failures(&seen, FailureKind::Auth), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_read_twice_before_it_is_told() {
    let transport = FakeTransport::new()
        .answers("a0", Script::always(frr("8.4.4")))
        .answers("a1", Script::always(frr("9.1.2")))
        .answers("a2", Script::in_turn(vec![frr("9.1.2"), frr("8.4.4")]))
        .answers("a3", Script::in_turn(vec![frr("9.1.2"), FakeAnswer::fails(FailureKind::Disconnected)]));
    let fleet = devices(4, "a");
    let mut sweep = Sweep::of(transport);
    sweep.before = running("8.4.4", &fleet);
    sweep.care = Care { retry: true, confirm_after: Some(Duration::from_secs(10)) };
    let began = Instant::now();
    let seen = sweep.over(&fleet).await;
    assert!(began.elapsed() >= Duration::from_secs(10));
    let visits = ["a0", "a1", "a2", "a3"].map(|name| sweep.transport.visits_to(name));
    assert_eq!(visits, [1, 2, 2, 2], "one reading where nothing changed, two elsewhere, never three");
    let told = |name: &str| &seen.iter().find(|o| o.device.as_str() == name).unwrap().outcome;
    let version = |outcome: &Outcome| match outcome {
        Outcome::Answered { reading, .. } => reading.facts.version.to_string(),
        Outcome::Failed { failure, .. } => failure.kind.to_string(),
    };
    let versions = ["a0", "a1", "a2", "a3"].map(|name| version(told(name)));
    assert_eq!(versions, ["8.4.4", "9.1.2", "parse", "disconnected"]);
}

/// `login block-for` of IOS: after too many refused logins nobody is let in, by a refused connection.
#[tokio::test(start_paused = true)]
async fn a_device_in_its_quiet_mode_is_told_as_what_it_is() {
    let transport = FakeTransport::new().otherwise(Script::always(FakeAnswer::fails(FailureKind::Refused)));
    let mut sweep = Sweep::of(transport);
    sweep.engine = Engine::with_rules(rules(4, &[]));
    sweep.care = Care { retry: true, confirm_after: None };
    let fleet = devices(12, "a");
    sweep.before = refused(&fleet[..10], SystemClock.now() - Duration::from_secs(300));
    let seen = sweep.over(&fleet).await;
    let (kind, told) = detail(&seen, "a3");
    assert_eq!(kind, FailureKind::Refused, "what happened on the wire");
    assert!(told.contains("quiet mode") && told.contains("5 min"), "{told}");
    assert!(!detail(&seen, "a11").1.contains("quiet mode"), "no login was refused there");
    assert!(!sweep.engine.status().gates[0].open, "nothing was sent, so that nothing was refused");
    assert_eq!(sweep.transport.visits_to("a3"), 1, "and it is not tried again");

    sweep.before = refused(&fleet, SystemClock.now() - Duration::from_secs(7200));
    assert!(!detail(&sweep.over(&fleet).await, "a3").1.contains("quiet mode"), "that was long ago");
}

/// What is known of devices whose last visit, at that instant, ended with a refused login.
fn refused(devices: &[Arc<Device>], at: Timestamp) -> Arc<Snapshot> {
    let failure = Failure::new(FailureKind::Auth, Stage::Auth, "");
    let visit = LastVisit { at, took: Duration::ZERO, failure: Some(failure) };
    let known = Known { visit: Some(visit), consecutive_failures: 1, ..Known::default() };
    let state =
        |device: &Arc<Device>| Arc::new(DeviceState { device: Arc::clone(device), known: known.clone() });
    let mut states: Vec<_> = devices.iter().map(state).collect();
    states.sort_by(|a, b| a.device.id.cmp(&b.device.id));
    Arc::new(Snapshot { devices: states, ..Snapshot::default() })
}

/// Of two sweeps that want the same devices the second takes what the first found.
#[tokio::test(start_paused = true)]
async fn a_fresh_result_of_another_sweep_does_for_this_one() {
    let answer = frr("8.4.4").after(Duration::from_secs(3));
    let mut sweep = Sweep::of(FakeTransport::new().otherwise(Script::always(answer)));
    sweep.engine = Engine::with_rules(Rules { fresh_for: Duration::from_secs(60), ..rules(100, &[]) });
    let fleet = devices(20, "a");
    let (first, second) = tokio::join!(sweep.named("all", &fleet), sweep.named("core", &fleet));
    assert_eq!(sweep.transport.visits().len(), 20, "one login to each device");
    assert_eq!(first.1.len() + second.1.len(), 20, "each is told of once");
    for (record, _) in [first, second] {
        assert_eq!((record.answered, record.complete), (20, true), "and counts in both");
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(sweep.named("core", &fleet).await.1.len(), 20, "an old result does not do");
    assert_eq!(sweep.named("core", &fleet).await.1.len(), 20, "nor does its own");
}

/// A device that is called otherwise meanwhile, by a source that knows it by an identity, was visited all the same; and one
/// that has its old name was not.
#[tokio::test(start_paused = true)]
async fn a_fresh_result_goes_by_the_device_and_not_by_its_name() {
    let mut sweep = Sweep::of(FakeTransport::new().otherwise(Script::always(frr("8.4.4"))));
    sweep.engine = Engine::with_rules(Rules { fresh_for: Duration::from_secs(60), ..rules(100, &[]) });
    let named = |name: &str, identity: Option<&str>| {
        let identity = identity.map(Into::into);
        Arc::new(Device { identity, ..device(name, "a").as_ref().clone() })
    };
    let before =
        [named("r0", Some("n:0")), named("r1", Some("n:1")), named("r2", None), named("r3", Some("n:3"))];
    assert_eq!(sweep.named("all", &before).await.1.len(), 4);
    // Two exchange their names, one gets an identity, and one lost its source's.
    let after =
        [named("r0", Some("n:1")), named("r1", Some("n:0")), named("r2", Some("n:2")), named("r3", None)];
    assert_eq!(sweep.named("core", &after).await.1.len(), 0, "each was visited just now");
    let others = [named("z0", Some("n:0")), named("r1", Some("n:9"))];
    let visited = sweep.named("core", &others).await.1;
    assert_eq!(visited.len(), 1);
    assert_eq!(visited[0].device.as_str(), "r1", "the one that has taken its name");
}

/// A window that begins while a sweep is on: what goes on comes to its end, the rest waits for the window's.
#[tokio::test(start_paused = true)]
async fn no_visit_begins_in_a_blackout() {
    let answer = frr("8.4.4").after(Duration::from_secs(30));
    let mut sweep = Sweep::of(FakeTransport::new().otherwise(Script::always(answer)));
    sweep.engine = Engine::with_rules(rules(10, &[]));
    let began = Instant::now();
    // A Wednesday, 90 s before the window: three rounds of ten begin before it.
    let start = "2026-11-25T07:58:30Z".parse().unwrap();
    sweep.clock = Arc::new(PausedClock(start, began));
    sweep.blackout = Windows::new(chrono_tz::UTC, vec![Window::new("Mon-Fri 08:00-09:00").unwrap()]);
    sweep.over(&devices(50, "a")).await;
    let dark = Duration::from_secs(90)..Duration::from_secs(3690);
    let starts: Vec<_> = sweep.transport.visits().iter().map(|visit| visit.began - began).collect();
    let early = starts.iter().filter(|start| **start < dark.start).count();
    let late = starts.iter().filter(|start| **start >= dark.end).count();
    assert_eq!((early, late), (30, 20), "{starts:?}");

    // One that begins within a window waits for its end.
    let again = Instant::now();
    sweep.clock = Arc::new(PausedClock("2026-11-25T08:59:00Z".parse().unwrap(), again));
    sweep.over(&devices(1, "b")).await;
    let visit = sweep.transport.visits().pop().unwrap();
    assert_eq!((visit.began - again).as_secs(), 60);
}
