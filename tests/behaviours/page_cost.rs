//! What the first page of a new inventory costs: a measurement, for docs/performance.md.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use versweep::known::{DeviceState, Snapshot};

use crate::fleet;
use crate::http::House;
use crate::pages::{numbered, page};

const DEVICES: usize = 50_000;
/// Versions that a fleet of one platform usually runs.
const VERSIONS: usize = 9;
const CPU_MAX: Duration = Duration::from_millis(200);
const PAGE_MAX: usize = 200 * 1024;

/// The CPU time that each of this process's threads has had, in nanoseconds.
fn cpu() -> BTreeMap<OsString, u64> {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap());
    let spent = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap();
        (thread.file_name(), text.split(' ').next().unwrap().parse().unwrap())
    };
    threads.map(spent).collect()
}

/// What was spent since then. A thread that worked meanwhile is still there: idle ones end after ten seconds.
fn since(before: &BTreeMap<OsString, u64>) -> Duration {
    let spent = |(thread, now): (OsString, u64)| now - before.get(&thread).unwrap_or(&0);
    Duration::from_nanos(cpu().into_iter().map(spent).sum())
}

/// Waits until nothing is done in this process any more.
async fn quiet() {
    loop {
        let before = cpu();
        tokio::time::sleep(Duration::from_secs(1)).await;
        if since(&before) < Duration::from_millis(20) {
            return;
        }
    }
}

fn usual() -> Snapshot {
    let mut fleet = numbered(DEVICES);
    for (number, state) in fleet.devices.iter_mut().enumerate() {
        let mut own = DeviceState::clone(state);
        let version = format!("17.{}.4", number % VERSIONS);
        own.known.facts = Some(fleet::facts("cisco_xe", "C9300-48P", &version, fleet::noon()));
        *state = Arc::new(own);
    }
    fleet
}

#[tokio::test]
#[ignore = "a measurement; run it alone"]
#[expect(clippy::print_stdout, reason = "a measurement is for whoever asked for it")]
async fn the_first_page_of_a_new_inventory_is_only_read() {
    let house = House::open(Snapshot::default()).await;
    for (what, fleet, max) in [
        ("9 versions", usual as fn() -> Snapshot, Some(CPU_MAX)),
        // Nobody's fleet: what a page can cost at most.
        ("50,000 versions", || numbered(DEVICES), None),
    ] {
        for path in ["/", "/", "/", "/devices", "/devices?q=access&sort=-version&page=200", "/drift"] {
            house.snapshot.store(Arc::new(fleet()));
            quiet().await;
            let before = cpu();
            let body = page(&house, path).await;
            let spent = since(&before);
            println!(
                "{what}: {path}: {:.1} ms, {} KiB",
                spent.as_secs_f64() * 1e3,
                body.len().div_ceil(1024)
            );
            assert!(max.is_none_or(|max| spent < max) && body.len() < PAGE_MAX, "{what}: {path}: {spent:?}");
        }
    }
}
