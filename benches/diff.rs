//! What judging one visit costs, and what committing a full batch costs: the recorder's share of a sweep.

#![expect(clippy::expect_used, reason = "a bench that can't be set up can only end")]

use std::cmp::Ordering;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use versweep::clock::Timestamp;
use versweep::device::{DeviceId, PlatformKey};
use versweep::diff::{FlapRules, Rules, apply, diff};
use versweep::facts::{Facts, Reading};
use versweep::known::Known;
use versweep::observation::{Observation, Outcome, StageTimes, SweepId};
use versweep::store::{Batch, Store, Visit};
use versweep::version::Version;

const RULES: Rules<'static> =
    Rules { down_after: 3, order: &|_, _| Some(Ordering::Less), flapping: FlapRules::OFF, even_clock: true };
const BATCH: usize = 512;

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

criterion_group!(benches, judging, committing);
criterion_main!(benches);
