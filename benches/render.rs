//! What `/metrics` costs: the first scrape of a new snapshot, and every further one.

#![expect(clippy::expect_used, reason = "a bench that can't be set up can only end")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use versweep::known::Snapshot;
use versweep::metrics::{Cut, Encoding, Exporter, Live};

#[path = "support/fleet.rs"]
mod fleet;

use fleet::state;

const DEVICES: usize = 10_000;

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
