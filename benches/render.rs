//! What `/metrics` costs: the first scrape of a new snapshot, and every further one.

#![expect(clippy::expect_used, reason = "a bench that can't be set up can only end")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use versweep::clock::Timestamp;
use versweep::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use versweep::facts::{Facts, Reading};
use versweep::known::{DeviceState, Known, KnownFacts, LastVisit, Snapshot};
use versweep::metrics::{Cut, Encoding, Exporter, Live};
use versweep::version::Version;

const DEVICES: usize = 10_000;

fn state(number: usize) -> Arc<DeviceState> {
    let limit = Duration::from_secs(30);
    let at = Timestamp::UNIX_EPOCH + chrono::Duration::minutes(30_000_000);
    let platform = PlatformKey::new("cisco_xe");
    let labels = [("site", format!("s{}", number % 200)), ("role", "access".to_owned())];
    let device = Device {
        id: DeviceId::new(&format!("access{number:05}.example.net")).expect("a fine name"),
        endpoint: Endpoint { host: format!("10.0.{}.{}", number / 250, number % 250), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Named(platform.clone()),
        credential: CredentialId::new("netops").expect("a fine name"),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        identity: None,
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Labels>(),
    };
    let facts = Facts {
        version: Version::new(format!("17.{}.4", number % 9)),
        model: Some("C9300-48P".into()),
        serial: None,
        hostname: None,
        image: None,
        uptime: Some(Duration::from_secs(86_400)),
        more: None,
    };
    let reading = Reading { platform, revision: 1, pattern: "version".into(), facts };
    let facts = KnownFacts { reading, seen_at: at, version_since: at, boot_time: Some(at) };
    let visit = LastVisit { at, took: Duration::from_secs(2), failure: None };
    let known = Known { facts: Some(facts), visit: Some(visit), ..Known::default() };
    Arc::new(DeviceState { device: Arc::new(device), known })
}

fn page(runtime: &Runtime, exporter: &Exporter, snapshot: &Arc<Snapshot>) -> Vec<u8> {
    let (live, cut) = (Live::default(), Cut::default());
    let page = exporter.page(snapshot, &live, &cut, Encoding::Gzip);
    runtime.block_on(page).expect("a page")
}

fn rendering(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let devices: Vec<_> = (0..DEVICES).map(state).collect();
    let snapshot = || Arc::new(Snapshot { devices: devices.clone(), ..Snapshot::default() });
    let mut group = criterion.benchmark_group("metrics");
    group.sample_size(20).throughput(Throughput::Elements(DEVICES as u64));
    group.bench_function("first scrape of a snapshot of 10,000 devices", |bencher| {
        let exporter = Exporter::new(&[], true);
        bencher.iter_batched(
            snapshot,
            |snapshot| black_box(page(&runtime, &exporter, &snapshot)),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("every further scrape", |bencher| {
        let (exporter, snapshot) = (Exporter::new(&[], true), snapshot());
        page(&runtime, &exporter, &snapshot);
        bencher.iter(|| black_box(page(&runtime, &exporter, &snapshot)));
    });
    group.finish();
}

criterion_group!(benches, rendering);
criterion_main!(benches);
