//! What judging one visit costs, what committing a full batch costs, and what a sweep of 100,000 devices costs the recorder
//! as a whole: from the first note to the last commit and the snapshot of it.

#![expect(clippy::expect_used, reason = "a bench that can't be set up can only end")]

use std::cmp::Ordering;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::Instant;
use versweep::activity::{Judgement, Note, Notes};
use versweep::clock::{SystemClock, Timestamp};
use versweep::device::{Device, DeviceId, PlatformKey};
use versweep::diff::{FlapRules, Rules, apply, diff};
use versweep::facts::{Facts, Reading};
use versweep::known::Known;
use versweep::observation::{Observation, Outcome, StageTimes, SweepId};
use versweep::platform::Platforms;
use versweep::recorder::Recorder;
use versweep::store::{Batch, Store, Visit};
use versweep::version::Version;

#[path = "support/fleet.rs"]
mod fleet;

const RULES: Rules<'static> =
    Rules { down_after: 3, order: &|_, _| Some(Ordering::Less), flapping: FlapRules::OFF, even_clock: true };
const BATCH: usize = 512;
const FLEET: usize = 100_000;

fn observation(device: usize, minute: i64, version: &str) -> Observation {
    let at = Timestamp::UNIX_EPOCH + chrono::Duration::minutes(30_000_000 + minute);
    let facts = Facts {
        version: Version::new(version),
        model: Some("C9300-48P".into()),
        serial: Some(format!("FOC{device:08}")),
        hostname: Some(format!("core{device}.example.net")),
        image: Some("flash:packages.conf".into()),
        uptime: Some(Duration::from_secs(86_400 + 60 * u64::try_from(minute).unwrap_or(0))),
        more: None,
    };
    let reading =
        Reading { platform: PlatformKey::new("cisco_xe"), revision: 1, pattern: "version".into(), facts };
    Observation {
        device: DeviceId::new(&format!("core{device}.example.net")).expect("a fine name"),
        identity: None,
        sweep: SweepId::starting(at),
        at,
        took: Duration::from_secs(2),
        stages: StageTimes::default(),
        attempts: 1,
        confirmed: false,
        ssh: None,
        outcome: Outcome::Answered {
            reading,
            raw: "Cisco IOS XE Software, Version 17.9.4\n".repeat(60).into(),
        },
    }
}

fn judged(before: &Known, observation: &Observation) -> Visit {
    let changes = diff(before, observation, &RULES);
    let after = apply(before, observation, &RULES);
    let raw = match &observation.outcome {
        Outcome::Answered { raw, .. } if !changes.is_empty() => Some(raw.clone()),
        _ => None,
    };
    Visit { device: observation.device.clone(), before: before.clone(), after, changes, raw, labels: None }
}

fn judging(criterion: &mut Criterion) {
    let first = observation(1, 0, "17.9.4");
    let known = apply(&Known::default(), &first, &RULES);
    let mut group = criterion.benchmark_group("diff");
    for (name, version) in [("unchanged", "17.9.4"), ("upgraded", "17.12.3")] {
        let next = observation(1, 15, version);
        group.bench_function(name, |bencher| bencher.iter(|| judged(black_box(&known), black_box(&next))));
    }
    group.finish();
}

fn batch(from: &[Known], minute: i64, version: &str) -> Batch {
    let visits =
        from.iter().enumerate().map(|(device, known)| judged(known, &observation(device, minute, version)));
    Batch { visits: visits.collect(), ..Batch::default() }
}

fn open(folder: &Path) -> (Store, Vec<Known>) {
    let (mut store, _) = Store::open(&folder.join("versweep.db")).expect("a fresh store");
    let first = batch(&vec![Known::default(); BATCH], 0, "17.9.4");
    store.commit(&first).expect("a commit");
    (store, first.visits.into_iter().map(|visit| visit.after).collect())
}

fn committing(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, known) = open(folder.path());
    let mut group = criterion.benchmark_group("commit_512");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    let mut minute = 0;
    group.bench_function("unchanged", |bencher| {
        let next = |minute: &mut i64| {
            *minute += 15;
            batch(&known, *minute, "17.9.4")
        };
        bencher.iter_batched(|| next(&mut minute), |batch| store.commit(&batch), BatchSize::PerIteration);
    });
    // Up and down in turn: each batch is 512 changes with history, events and texts.
    let mut known = known;
    group.bench_function("changed", |bencher| {
        let next = |minute: &mut i64, known: &mut Vec<Known>| {
            *minute += 15;
            let runs = known[0].facts.as_ref().map_or("", |facts| facts.reading.facts.version.as_str());
            let batch = batch(known, *minute, if runs == "17.9.4" { "17.12.3" } else { "17.9.4" });
            known.splice(.., batch.visits.iter().map(|visit| visit.after.clone()));
            batch
        };
        bencher.iter_batched(
            || next(&mut minute, &mut known),
            |batch| store.commit(&batch),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// The answers of the whole fleet, one of a hundred with another version than the sweep before.
fn sweep(devices: &[Arc<Device>], round: usize) -> Vec<Note> {
    let minute = 15 * i64::try_from(round).expect("few rounds");
    let id = observation(0, minute, "").sweep;
    let visited = devices.iter().enumerate().map(|(number, device)| {
        // Each sweep finds another hundredth of the fleet changed.
        let changes = (0..=round).filter(|round| (number + round) % 100 == 0).count();
        let version = ["17.9.4", "17.12.3"][changes % 2];
        let seen =
            Observation { device: device.id.clone(), sweep: id, ..observation(number, minute, version) };
        Note::Visited(Box::new(seen))
    });
    visited.collect()
}

/// Gives the recorder all of it and waits until the last is committed and published.
async fn recorded(notes: &Notes, sweep: Vec<Note>) {
    for note in sweep {
        notes.send(note).await.expect("a running recorder");
    }
    let (flush, flushed) = oneshot::channel();
    notes.send(Note::Flush(flush)).await.expect("a running recorder");
    flushed.await.expect("a running recorder");
}

fn recording(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, loaded) = Store::open(&folder.path().join("versweep.db")).expect("a fresh store");
    let judgement = Judgement {
        platforms: Arc::new(Platforms::builtin()),
        down_after: 3,
        flapping: FlapRules::OFF,
        keep_history: Duration::from_secs(400 * 86_400),
        policies: Arc::default(),
    };
    let devices: Vec<_> = (0..FLEET).map(|number| Arc::clone(&fleet::state(number).device)).collect();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let recorder = {
        let _inside = runtime.enter();
        Recorder::start(store, loaded, judgement, Arc::new(SystemClock))
    };
    runtime.block_on(async {
        let inventory = Note::Inventory(devices.clone());
        recorder.notes.send(inventory).await.expect("a running recorder");
        recorded(&recorder.notes, sweep(&devices, 0)).await;
    });
    let mut group = criterion.benchmark_group("record_100000");
    group.throughput(Throughput::Elements(FLEET as u64)).sample_size(10);
    let mut round = 0;
    group.bench_function("one_of_100_changed", |bencher| {
        bencher.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                round += 1;
                let sweep = sweep(&devices, round);
                let began = Instant::now();
                runtime.block_on(recorded(&recorder.notes, sweep));
                spent += began.elapsed();
            }
            spent
        });
    });
    group.finish();
    // Proof that the rounds were what they are said to be.
    let changes: u64 = recorder.snapshot.load().totals.changes.values().sum();
    let (fleet, rounds) = (FLEET as u64, u64::try_from(round).expect("few rounds"));
    assert_eq!(changes, fleet + rounds * fleet / 100);
}

criterion_group!(benches, judging, committing, recording);
criterion_main!(benches);
