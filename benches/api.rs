//! What a page of `/api/v1/devices` costs with 50,000 devices, and the pages that people look at: server and client in one thread, so that the time is the
//! CPU of both. Only the index of a new snapshot is made by a thread beside it, which the request waits for.

#![expect(clippy::expect_used, reason = "a bench that can't be set up can only end")]

use std::cell::Cell;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use versweep::activity::OnDemand;
use versweep::clock::SystemClock;
use versweep::http::{App, Readiness, serve};
use versweep::known::{DeviceState, Snapshot};
use versweep::metrics::{Exporter, Live};
use versweep::version::Version;
use versweep::web_config::{Keeper, WebConfig};

#[path = "support/fleet.rs"]
mod fleet;

use fleet::state;

const DEVICES: usize = 50_000;
/// Visits between two snapshots of a sweep that is as fast as the recorder's largest batch.
const VISITED: usize = 512;

/// A search, two filters and an order that no other request has made ready.
const PAGE: &str = "/api/v1/devices?q=access&label=role=access&platform=cisco_xe&sort=-version&limit=100";

struct Client(BufReader<TcpStream>);

impl Client {
    async fn get(&mut self, path: &str) -> Vec<u8> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: versweep\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.expect("a request");
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            self.0.read_line(&mut line).await.expect("a head");
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("a body");
        body
    }
}

async fn client(snapshot: Arc<ArcSwap<Snapshot>>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = App {
        snapshot,
        sweeps: Arc::default(),
        on_demand: OnDemand::new().0,
        exporter: Arc::new(ArcSwap::from_pointee(Exporter::new(&[], true))),
        live: Arc::new(Live::default),
        forecasts: watch::channel(Vec::new()).1,
        reload: mpsc::channel(1).0,
        confirm: mpsc::channel(1).0,
        replay: mpsc::channel(1).0,
        readiness: watch::channel(Readiness::Ready).1,
        clock: Arc::new(SystemClock),
        // A list of devices needs no store.
        store: PathBuf::from("/nonexistent"),
        outbox: watch::channel(0).1,
        platforms: Arc::new(Arc::default),
        config: Arc::new(|| "".into()),
        web: Arc::default(),
        keeper: Arc::new(Keeper::new(None, WebConfig::default()).expect("random numbers")),
    };
    tokio::spawn(serve(vec![listener], app, CancellationToken::new()));
    Client(BufReader::new(TcpStream::connect(address).await.expect("a connection")))
}

/// The pages that show the whole fleet.
const PAGES: [&str; 4] =
    ["/", "/?q=access&label=role=access", "/devices?q=access&sort=-version&page=200", "/drift"];

/// The most that a page may have.
const PAGE_MAX: usize = 200 * 1024;

fn get(runtime: &Runtime, client: &mut Client, path: &str) {
    let body = runtime.block_on(client.get(path));
    assert!(body.len() > 2_000, "{}", String::from_utf8_lossy(&body));
    black_box(body);
}

fn pages(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let devices: Vec<_> = (0..DEVICES).map(state).collect();
    let snapshot =
        Arc::new(ArcSwap::from_pointee(Snapshot { devices: devices.clone(), ..Snapshot::default() }));
    let mut client = runtime.block_on(client(Arc::clone(&snapshot)));
    let mut group = criterion.benchmark_group("100 of 50,000 devices, searched, filtered and sorted");
    group.sample_size(30);
    group.bench_function("same snapshot", |bencher| bencher.iter(|| get(&runtime, &mut client, PAGE)));
    let round = Cell::new(0);
    let news = || sweep_on(&snapshot, &round);
    group.bench_function("a new snapshot, 512 devices visited since", |bencher| {
        bencher.iter_batched(news, |()| get(&runtime, &mut client, PAGE), BatchSize::PerIteration);
    });
    let anew = || {
        let devices = (0..DEVICES).map(state).collect();
        snapshot.store(Arc::new(Snapshot { devices, ..Snapshot::default() }));
    };
    group.bench_function("the first of a new inventory", |bencher| {
        bencher.iter_batched(anew, |()| get(&runtime, &mut client, PAGE), BatchSize::PerIteration);
    });
    group.finish();
    let mut group = criterion.benchmark_group("pages of 50,000 devices");
    group.sample_size(30);
    for path in PAGES {
        let length = runtime.block_on(client.get(path)).len();
        assert!(length < PAGE_MAX, "{path}: {length} bytes");
        let of = |what: &str| format!("{path} ({} KiB), {what}", length.div_ceil(1024));
        group.bench_function(of("same snapshot"), |bencher| {
            bencher.iter(|| get(&runtime, &mut client, path));
        });
        group.bench_function(of("a new snapshot"), |bencher| {
            bencher.iter_batched(news, |()| get(&runtime, &mut client, path), BatchSize::PerIteration);
        });
    }
    let apart = || {
        let own = |number: usize| {
            let mut own = DeviceState::clone(&state(number));
            if let Some(facts) = &mut own.known.facts {
                facts.reading.facts.version = Version::new(format!("17.{number}.4"));
            }
            Arc::new(own)
        };
        snapshot
            .store(Arc::new(Snapshot { devices: (0..DEVICES).map(own).collect(), ..Snapshot::default() }));
    };
    group.bench_function(
        "/, the first of a new inventory, every device on a version of its own",
        |bencher| {
            bencher.iter_batched(apart, |()| get(&runtime, &mut client, "/"), BatchSize::PerIteration);
        },
    );
    group.bench_function("/, the first of a new inventory", |bencher| {
        bencher.iter_batched(anew, |()| get(&runtime, &mut client, "/"), BatchSize::PerIteration);
    });
    group.finish();
}

/// A snapshot in which the next devices in turn were visited since.
fn sweep_on(snapshot: &ArcSwap<Snapshot>, round: &Cell<usize>) {
    round.set(round.get() + 1);
    let mut devices = snapshot.load().devices.clone();
    for number in 0..VISITED {
        let place = (round.get() * VISITED + number) % DEVICES;
        devices[place] = visited(&devices[place], round.get());
    }
    snapshot.store(Arc::new(Snapshot { devices, ..Snapshot::default() }));
}

/// The device with a later visit.
fn visited(state: &DeviceState, round: usize) -> Arc<DeviceState> {
    let mut known = state.known.clone();
    if let Some(visit) = &mut known.visit {
        visit.at += std::time::Duration::from_secs(round as u64);
    }
    Arc::new(DeviceState { device: Arc::clone(&state.device), known })
}

criterion_group!(benches, pages);
criterion_main!(benches);
