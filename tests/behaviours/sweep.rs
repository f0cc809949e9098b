//! The engine: thousands of scripted devices in virtual time. The cap holds, a device is never visited twice at once,
//! a slow one costs one worker and nothing else, and a stop loses nothing that was begun.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use versweep::activity::{Note, Reason};
use versweep::clock::{Clock as _, SystemClock};
use versweep::device::{Device, PlatformChoice, PlatformKey, Timeouts};
use versweep::failure::{FailureKind, Stage};
use versweep::known::{DeviceState, Known, LastVisit, Snapshot, SweepRecord};
use versweep::observation::{Observation, Outcome, SweepId};
use versweep::probe::Prober;
use versweep::status::SweepStatus;
use versweep::sweep::{Care, Engine, Outlet, Plan, RecorderEnded, Stop, run};
use versweep::timetable::Windows;
use versweep::transport::fake::{FakeAnswer, FakeTransport, Script};

use crate::visits;

const ANSWER: &str =
    "FRRouting 9.1.2 (r1) on Linux(6.1.0-28-amd64).\nconfigured with:\n    '--prefix=/usr'\n";
const SECOND: Duration = Duration::from_secs(1);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn answer() -> FakeAnswer {
    FakeAnswer::output(ANSWER)
}

fn device(name: &str, deadline: Duration) -> Arc<Device> {
    let patient = seconds(1_000_000);
    let timeouts = Timeouts { visit: deadline, connect: patient, login: patient, command: patient };
    let platform = PlatformChoice::Named(PlatformKey::new("frr"));
    Arc::new(Device { platform, timeouts, ..visits::device(name).as_ref().clone() })
}

/// Devices `r0`, `r1`, ... with a deadline that only a stuck one meets.
fn devices(count: usize) -> Vec<Arc<Device>> {
    (0..count).map(|number| device(&format!("r{number}"), seconds(600))).collect()
}

fn plan(transport: &FakeTransport, devices: &[Arc<Device>], spread: Duration) -> Plan<FakeTransport> {
    let prober = Prober {
        transport: Arc::new(transport.clone()),
        platforms: visits::judgement().platforms,
        clock: Arc::new(SystemClock),
    };
    let (name, reason, devices) = ("all".into(), Reason::Schedule, devices.to_vec());
    Plan {
        id: SweepId::starting(SystemClock.now()),
        name,
        reason,
        devices,
        spread,
        prober: Arc::new(prober),
        before: Arc::default(),
        care: Care::default(),
        blackout: Windows::default(),
        fresh_for: Duration::ZERO,
    }
}

/// A sweep that goes on, with a recorder that only listens.
struct Going {
    record: JoinHandle<Result<SweepRecord, RecorderEnded>>,
    notes: JoinHandle<Vec<Note>>,
    status: watch::Receiver<SweepStatus>,
    stop: Stop,
}

impl Going {
    fn start(engine: &Engine, plan: Plan<FakeTransport>) -> Self {
        let (notes, mut told) = mpsc::channel(16);
        let (status, watched) = watch::channel(SweepStatus::default());
        let (engine, stop) = (engine.clone(), Stop::default());
        let listened = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(note) = told.recv().await {
                all.push(note);
            }
            all
        });
        let sweep_stop = stop.clone();
        let record =
            tokio::spawn(async move { run(&engine, plan, &Outlet { notes, status }, &sweep_stop).await });
        Self { record, notes: listened, status: watched, stop }
    }

    /// The record with what the recorder was told in between.
    async fn end(self) -> (SweepRecord, Vec<Observation>) {
        let record = self.record.await.unwrap().unwrap();
        let mut notes = self.notes.await.unwrap();
        assert!(matches!(notes.remove(0), Note::SweepStarted(begun) if begun.id == record.id));
        assert!(matches!(notes.pop(), Some(Note::SweepEnded(ended)) if ended == record));
        let visits: Vec<Observation> = notes.into_iter().map(visit).collect();
        assert!(visits.iter().all(|visit| visit.sweep == record.id));
        let status = self.status.borrow().clone();
        assert_eq!((status.running, status.busy, status.total as u64), (None, 0, record.devices));
        assert_eq!((status.answered as u64, status.failed as u64), (record.answered, record.failed));
        (record, visits)
    }
}

fn visit(note: Note) -> Observation {
    match note {
        Note::Visited(observation) => *observation,
        other => panic!("between a sweep's start and end stand its visits, not {other:?}"),
    }
}

fn failure(visits: &[Observation], device: &str) -> (FailureKind, Stage) {
    let found = visits.iter().find(|visit| visit.device.as_str() == device);
    match &found.expect("a visit to it").outcome {
        Outcome::Failed { failure, .. } => (failure.kind, failure.stage),
        Outcome::Answered { .. } => panic!("{device} answered"),
    }
}

/// How long a device takes: half a second to two and a half.
fn slowness(name: &str) -> Duration {
    let number: u64 = name.trim_start_matches('r').parse().unwrap();
    Duration::from_millis(500 + number * 7919 % 2000)
}

#[tokio::test(start_paused = true)]
async fn thousands_of_devices_stay_under_the_cap_and_no_worker_idles() {
    const CAP: usize = 64;
    let transport =
        FakeTransport::new().otherwise(Script::by(|device, _| answer().after(slowness(device.as_str()))));
    let fleet = devices(3000);
    let began = Instant::now();
    let (record, seen) =
        Going::start(&Engine::new(CAP), plan(&transport, &fleet, Duration::ZERO)).end().await;

    assert_eq!((record.devices, record.answered, record.failed, record.complete), (3000, 3000, 0, true));
    assert_eq!(transport.peak(), CAP, "the cap is kept and used");
    let mut names: Vec<_> = seen.iter().map(|visit| visit.device.to_string()).collect();
    let begun: Vec<_> = transport.visits().iter().map(|visit| visit.device.to_string()).collect();
    assert_ne!(names, begun, "results come as they are complete, in any order");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3000, "each device once");
    // Whoever never lets a worker idle while a device waits is done within this, by Graham's bound.
    let work: Duration = fleet.iter().map(|device| slowness(device.id.as_str())).sum();
    assert!(began.elapsed() <= work / 64 + Duration::from_millis(2600), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_sweeps_over_the_same_devices_never_meet_on_one() {
    let transport =
        FakeTransport::new().otherwise(Script::by(|device, _| answer().after(slowness(device.as_str()))));
    let (engine, fleet) = (Engine::new(16), devices(200));
    let one = Going::start(&engine, plan(&transport, &fleet, Duration::ZERO));
    let other = Going::start(&engine, plan(&transport, &fleet, seconds(5)));
    // The fake panics at a second visit to a device, which would be told as `internal`.
    for sweep in [one, other] {
        let (record, _) = sweep.end().await;
        assert_eq!((record.answered, record.failed, record.complete), (200, 0, true));
    }
    let visits = transport.visits();
    assert!(visits.iter().all(|visit| visit.number <= 2));
    assert!(transport.peak() <= 16, "the cap is that of all sweeps together");
    for second in visits.iter().filter(|visit| visit.number == 2) {
        let first = visits.iter().find(|visit| visit.device == second.device).unwrap();
        // IOS XR takes one new session a second and refuses another one.
        assert!(second.began - first.began >= SECOND, "{}", second.device);
    }
}

/// Two runs that overlap, one begun before a renaming and one after it: each device is visited once at a time, under
/// whatever name.
#[tokio::test(start_paused = true)]
async fn two_sweeps_never_meet_on_a_device_that_is_renamed_between_them() {
    let transport = FakeTransport::new().otherwise(answer().after(seconds(10)));
    let engine = Engine::new(16);
    let named = |name: &str, identity: &str| {
        Arc::new(Device { identity: Some(identity.into()), ..device(name, seconds(600)).as_ref().clone() })
    };
    let before = [named("a", "n:1"), named("b", "n:2"), named("c", "n:3")];
    // One has a new name, two have exchanged theirs, and one has come that has a name of before.
    let after = [named("z", "n:1"), named("b", "n:3"), named("c", "n:2"), named("a", "n:4")];
    let one = Going::start(&engine, plan(&transport, &before, Duration::ZERO));
    let other = Going::start(&engine, plan(&transport, &after, seconds(1)));
    let (_, first) = one.end().await;
    let (_, second) = other.end().await;
    assert_eq!((first.len(), second.len()), (3, 4));
    // The fake panics at a second visit to a device, which would be told as `internal`.
    for visit in first.iter().chain(&second) {
        assert!(matches!(visit.outcome, Outcome::Answered { .. }), "{}: {:?}", visit.device, visit.outcome);
    }
    let began: Vec<_> = transport.visits().iter().map(|visit| visit.began).collect();
    assert_eq!(
        (began[3] - began[0], began[6] - began[3]),
        (seconds(10), Duration::ZERO),
        "all four as soon as they are free"
    );
}

/// A device that another sweep visits is passed over, not waited for.
#[tokio::test(start_paused = true)]
async fn a_device_that_is_taken_does_not_hold_up_the_ones_behind_it() {
    let transport = FakeTransport::new()
        .answers("r0", Script::in_turn(vec![answer().after(seconds(100)), answer()]))
        .otherwise(answer().after(SECOND));
    let (engine, fleet) = (Engine::new(2), devices(20));
    let slow = Going::start(&engine, plan(&transport, &fleet[..1], Duration::ZERO));
    sleep(SECOND).await;
    let began = Instant::now();
    let whole = Going::start(&engine, plan(&transport, &fleet, Duration::ZERO));
    sleep(Duration::from_millis(19_500)).await;
    assert_eq!(whole.status.borrow().answered, 19, "one worker, one second each, r0 passed over");
    let (record, _) = whole.end().await;
    assert_eq!((record.answered, began.elapsed().as_secs()), (20, 99), "and r0 as soon as it is free");
    slow.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stuck_device_holds_one_worker_until_its_deadline_and_nothing_else() {
    let transport =
        FakeTransport::new().answers("stuck", FakeAnswer::stuck()).otherwise(answer().after(SECOND));
    let mut fleet = devices(100);
    fleet.push(device("stuck", seconds(30)));
    let began = Instant::now();
    let sweep = Going::start(&Engine::new(2), plan(&transport, &fleet, Duration::ZERO));
    let (record, seen) = sweep.end().await;
    assert_eq!((record.answered, record.failed, record.complete), (100, 1, true));
    assert_eq!(failure(&seen, "stuck"), (FailureKind::Deadline, Stage::Connect));
    let stuck = seen.iter().find(|visit| visit.device.as_str() == "stuck").unwrap();
    assert_eq!(stuck.took, seconds(30), "the deadline is hard");
    assert_eq!(transport.open(), 0, "and the connection is closed");
    // 130 seconds of work, two workers: the other one took what the stuck one's could not.
    assert!(began.elapsed() <= seconds(66), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_names_the_stage_that_it_struck() {
    let stages = [Stage::Connect, Stage::Kex, Stage::Auth, Stage::Command];
    let transport = stages.iter().fold(FakeTransport::new(), |transport, stage| {
        transport.answers(stage.as_str(), FakeAnswer::hangs(*stage))
    });
    let fleet: Vec<_> = stages.iter().map(|stage| device(stage.as_str(), seconds(10))).collect();
    let (_, seen) = Going::start(&Engine::new(8), plan(&transport, &fleet, Duration::ZERO)).end().await;
    for stage in stages {
        assert_eq!(failure(&seen, stage.as_str()), (FailureKind::Deadline, stage));
    }
}

/// Dead devices at the end would leave all other workers idle for a whole timeout.
#[tokio::test(start_paused = true)]
async fn what_took_longest_the_last_time_begins_first() {
    let (is_dead, timeout) = (|name: &str| name.ends_with('7'), seconds(10));
    let transport =
        FakeTransport::new().otherwise(Script::by(move |device, _| match is_dead(device.as_str()) {
            true => FakeAnswer::fails(FailureKind::Timeout).delayed(Stage::Connect, timeout),
            false => answer().after(SECOND),
        }));
    let fleet = devices(100);
    let known = |device: &Arc<Device>| {
        let took = if is_dead(device.id.as_str()) { timeout } else { SECOND };
        let visit = Some(LastVisit { at: visits::at(0), took, failure: None });
        Arc::new(DeviceState { device: Arc::clone(device), known: Known { visit, ..Known::default() } })
    };
    let mut states: Vec<_> = fleet.iter().map(known).collect();
    states.sort_by(|one, other| one.device.id.cmp(&other.device.id));
    let before = Arc::new(Snapshot { devices: states, ..Snapshot::default() });
    let began = Instant::now();
    let plan = Plan { before, ..plan(&transport, &fleet, Duration::ZERO) };
    Going::start(&Engine::new(20), plan).end().await;

    let first: Vec<_> = transport.visits().into_iter().take(10).map(|visit| visit.device).collect();
    assert!(first.iter().all(|device| is_dead(device.as_str())), "{first:?}");
    // The other workers have 90 s of work to share meanwhile: the sweep is over with the timeout.
    assert_eq!(began.elapsed().as_secs(), timeout.as_secs());
}

#[tokio::test(start_paused = true)]
async fn starts_are_spread_and_every_sweep_keeps_the_same_places() {
    let fleet = devices(1000);
    let mut starts = Vec::new();
    for _ in 0..2 {
        let transport = FakeTransport::new().otherwise(answer());
        let began = Instant::now();
        Going::start(&Engine::new(64), plan(&transport, &fleet, seconds(100))).end().await;
        let of_one: Vec<_> =
            transport.visits().into_iter().map(|visit| (visit.device, visit.began - began)).collect();
        starts.push(of_one);
    }
    assert_eq!(starts[0], starts[1], "the same in every sweep, and so after a restart");
    for tenth in 0..10 {
        let within = |at: Duration| (tenth * 10..tenth * 10 + 10).contains(&at.as_secs());
        let count = starts[0].iter().filter(|(_, at)| within(*at)).count();
        assert!((60..=140).contains(&count), "{count} of 1000 starts in one tenth of the time");
    }
    let neighbours = starts[0].windows(2).filter(|pair| pair[0].0 < pair[1].0).count();
    assert!((400..=600).contains(&neighbours), "not in the order of the names: {neighbours} of 999 ascend");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_what_was_begun_and_begins_nothing_new() {
    let transport = FakeTransport::new().otherwise(answer().after(seconds(10)));
    let sweep = Going::start(&Engine::new(10), plan(&transport, &devices(100), Duration::ZERO));
    sleep(seconds(25)).await;
    let drained = Instant::now();
    sweep.stop.drain.cancel();
    let (record, seen) = sweep.end().await;
    assert_eq!((record.answered, record.failed, record.complete), (30, 0, false));
    assert_eq!((seen.len(), transport.visits().len()), (30, 30));
    assert_eq!(drained.elapsed().as_secs(), 5, "as long as the visits under way took");
}

/// Also while no worker is free, while nothing is due yet and while the device is another sweep's.
#[tokio::test(start_paused = true)]
async fn a_drain_is_heeded_whatever_the_sweep_waits_for() {
    let transport = FakeTransport::new().otherwise(answer().after(seconds(500)));
    let (engine, fleet) = (Engine::new(1), devices(3));
    let holder = Going::start(&engine, plan(&transport, &fleet[..1], Duration::ZERO));
    sleep(SECOND).await;
    let no_worker = Going::start(&engine, plan(&transport, &fleet, Duration::ZERO));
    let not_due = Going::start(&engine, plan(&transport, &fleet, seconds(1_000_000)));
    sleep(SECOND).await;
    engine.resize(2);
    let taken = Going::start(&engine, plan(&transport, &fleet[..1], Duration::ZERO));
    sleep(SECOND).await;
    let waiting = Instant::now();
    for sweep in [taken, not_due] {
        sweep.stop.drain.cancel();
        let (record, seen) = sweep.end().await;
        assert_eq!((record.complete, seen.len()), (false, 0));
    }
    assert!(waiting.elapsed() < SECOND);
    no_worker.stop.drain.cancel();
    assert_eq!(no_worker.end().await.0.answered, 1, "it was begun when the cap rose");
    holder.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_grace_breaks_visits_off_without_a_trace() {
    let transport = FakeTransport::new().otherwise(answer().after(seconds(10)));
    let sweep = Going::start(&Engine::new(10), plan(&transport, &devices(100), Duration::ZERO));
    sleep(seconds(25)).await;
    let stopped = Instant::now();
    sweep.stop.drain.cancel();
    sweep.stop.abort.cancel();
    let (record, seen) = sweep.end().await;
    assert_eq!((record.answered, record.failed, record.complete, seen.len()), (20, 0, false, 20));
    assert_eq!(transport.open(), 0, "their connections are closed");
    assert!(stopped.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_visit_and_is_told_as_internal() {
    // The fake panics where it has no script.
    let transport = (1..50).fold(FakeTransport::new(), |transport, number| {
        transport.answers(&format!("r{number}"), answer().after(SECOND))
    });
    let (engine, fleet) = (Engine::new(2), devices(50));
    let (record, seen) = Going::start(&engine, plan(&transport, &fleet, Duration::ZERO)).end().await;
    assert_eq!((record.answered, record.failed, record.complete), (49, 1, true));
    assert_eq!(failure(&seen, "r0").0, FailureKind::Internal);
    assert_eq!(engine.status().busy, 0, "its worker is back");
    Going::start(&engine, plan(&transport, &fleet[..1], Duration::ZERO)).end().await;
    assert_eq!(transport.visits_to("r0"), 2, "and so is the claim on the device");
}

#[tokio::test(start_paused = true)]
async fn a_slow_recorder_slows_the_sweep_and_memory_stays() {
    const ROOM: usize = 4;
    const CAP: usize = 8;
    let transport = FakeTransport::new().otherwise(answer().after(SECOND));
    let (notes, mut told) = mpsc::channel(ROOM);
    let (status, _) = watch::channel(SweepStatus::default());
    let plan = plan(&transport, &devices(500), Duration::ZERO);
    let sweep = tokio::spawn(async move {
        run(&Engine::new(CAP), plan, &Outlet { notes, status }, &Stop::default()).await
    });
    sleep(seconds(3600)).await;
    // One place is the beginning's; each worker waits with a result in its hand.
    assert_eq!((transport.visits().len(), transport.open()), (ROOM - 1 + CAP, 0));
    for _ in 0..10 {
        told.recv().await.unwrap();
    }
    sleep(seconds(3600)).await;
    assert_eq!(transport.visits().len(), ROOM - 1 + CAP + 10, "one new visit for each result taken");
    let listening = tokio::spawn(async move { while told.recv().await.is_some() {} });
    assert_eq!(sweep.await.unwrap().unwrap().answered, 500);
    listening.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sweep_without_a_recorder_ends_with_an_error() {
    let transport = FakeTransport::new().otherwise(answer().after(SECOND));
    let (notes, told) = mpsc::channel(16);
    let (status, _) = watch::channel(SweepStatus::default());
    let plan = plan(&transport, &devices(50), Duration::ZERO);
    let sweep =
        tokio::spawn(
            async move { run(&Engine::new(5), plan, &Outlet { notes, status }, &Stop::default()).await },
        );
    sleep(Duration::from_millis(1500)).await;
    drop(told);
    assert_eq!(sweep.await.unwrap(), Err(RecorderEnded));
    assert_eq!(transport.open(), 0, "nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn the_cap_follows_a_reload_in_the_middle_of_a_sweep() {
    let transport = FakeTransport::new().otherwise(answer().after(seconds(10)));
    let engine = Engine::new(2);
    let sweep = Going::start(&engine, plan(&transport, &devices(100), Duration::ZERO));
    sleep(seconds(15)).await;
    assert_eq!(transport.open(), 2);
    engine.resize(20);
    sleep(SECOND).await;
    assert_eq!((transport.open(), engine.status().busy), (20, 20), "at once");
    engine.resize(5);
    sleep(SECOND).await;
    assert_eq!((transport.open(), engine.status().workers), (20, 5), "none is broken off");
    assert_eq!(engine.status().busy, 20, "and none is hidden");
    sleep(seconds(10)).await;
    assert_eq!((transport.open(), engine.status().busy), (5, 5));
    let (record, _) = sweep.end().await;
    assert_eq!((record.answered, transport.peak()), (100, 20));
}

/// A small sweep gets its share of the workers while a big one has all of them taken.
#[tokio::test(start_paused = true)]
async fn a_big_sweep_does_not_starve_a_small_one() {
    let transport = FakeTransport::new()
        .otherwise(Script::by(|device, _| answer().after(slowness(device.as_str().trim_start_matches('s')))));
    let engine = Engine::new(10);
    let big = Going::start(&engine, plan(&transport, &devices(5000), Duration::ZERO));
    sleep(seconds(20)).await;
    let began = Instant::now();
    let few: Vec<_> = (0..10).map(|number| device(&format!("s{number}"), seconds(600))).collect();
    let (record, _) = Going::start(&engine, plan(&transport, &few, Duration::ZERO)).end().await;
    assert_eq!(record.answered, 10);
    assert!(began.elapsed() < seconds(20), "the big one takes 750 s, this one took {:?}", began.elapsed());
    big.stop.drain.cancel();
    big.end().await;
}
