//! kill -9 of the real daemon at random instants, again and again on the same store, while the fleet changes all the
//! time and a webhook fails at random. The simulator's log is the truth: no change is invented, none that was shown is
//! lost, and every one of them comes to every sink, in order for each device, always under the same id.
//!
//! VERSWEEP_KILL_ROUNDS sets the number of kills, VERSWEEP_KILL_SEED repeats a run's instants.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use versweep::change::ChangeKind;
use versweep::device::DeviceId;
use versweep::sim::Upgrade;
use versweep::store::{ROWS_MAX, Reader, StoredChange};

use crate::daemon::{Daemon, eventually, get, request, sample};
use crate::receiver::Receiver;
use crate::site::{Site, flat};

const DEVICES: usize = 8;

/// Versions by device, in the order in which they were seen.
type Seen = BTreeMap<String, Vec<String>>;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Changes the fleet until told to stop: a device every few milliseconds, so that some changes come between two visits.
fn change_all_the_time(site: &Site, seed: u64, stop: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(seed);
    while !stop.load(Ordering::Relaxed) {
        let device = random.choice(site.devices()).unwrap();
        site.upgrade(device, random.usize(1..6));
        std::thread::sleep(Duration::from_millis(random.u64(1..60)));
    }
}

/// Notes the versions that `/metrics` shows.
fn note_versions(page: &str, seen: &mut Seen) {
    let label = |line: &str, name: &str| {
        let value = line.split_once(&format!("{name}=\""))?.1;
        value.split_once('"').map(|(value, _)| value.to_owned())
    };
    for line in page.lines().filter(|line| line.starts_with("versweep_device_version_info{")) {
        let versions = seen.entry(label(line, "device").unwrap()).or_default();
        let version = label(line, "version").unwrap();
        if versions.last() != Some(&version) {
            versions.push(version);
        }
    }
}

/// Runs the daemon for so long, asks it to sweep without a pause, notes what it shows, and kills it.
fn run_and_kill(site: &Site, life: Duration, seen: &mut Seen) {
    let mut daemon = Daemon::spawn(&site.path("versweep.toml"), site.web());
    let began = Instant::now();
    while began.elapsed() < life {
        // Until it listens there is nobody to answer.
        let _ = request(site.web(), "POST", "/-/sweep");
        if let Ok(answer) = get(site.web(), "/metrics")
            && answer.status == 200
        {
            note_versions(&answer.body, seen);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    daemon.signal("KILL");
    daemon.wait();
    let panicked = daemon.log().iter().any(|line| line.contains("panicked"));
    assert!(!panicked, "{:?}", daemon.log());
}

fn is_of_version(change: &StoredChange) -> bool {
    matches!(change.change.kind, ChangeKind::Upgrade | ChangeKind::Downgrade | ChangeKind::Other)
}

/// Whether `part` stands in `whole` in this order, with anything in between.
fn is_within<'a>(part: impl Iterator<Item = &'a String>, whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.into_iter().all(|wanted| rest.any(|found| found == wanted))
}

/// What the device truly ran, one after the other, with the instant when it began to.
fn truth<'a>(log: &'a [Upgrade], device: &str) -> Vec<&'a Upgrade> {
    log.iter().filter(|upgrade| upgrade.device == device).collect()
}

/// Holds the store against the simulator's log and against what was shown.
fn check(site: &Site, seen: &Seen, first: &BTreeMap<String, String>) {
    let path = site.path("versweep.db");
    if !path.exists() {
        return;
    }
    let reader = Reader::open(&path).expect("the store opens after a kill");
    let log = site.fleet().upgrades();
    for device in site.devices() {
        let id = DeviceId::new(device.name()).unwrap();
        let history = reader.history(&id).unwrap();
        let versions: Vec<String> = history.iter().map(|range| range.version.clone()).collect();
        let mut changes = reader.changes(Some(&id), ROWS_MAX).unwrap();
        changes.retain(is_of_version);
        changes.reverse();

        // Each step of the history is a change, and each change a step of the history.
        let steps: Vec<_> = versions.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        let told: Vec<_> =
            changes.iter().map(|c| (c.change.before.as_str(), c.change.after.as_str())).collect();
        assert_eq!(told, steps, "{}: changes and history", device.name());
        let open = history.iter().filter(|range| range.current).count();
        assert_eq!(open, usize::from(!history.is_empty()), "{}: one current version", device.name());
        assert!(history.windows(2).all(|pair| pair[0].last_seen <= pair[1].first_seen), "{}", device.name());

        // Nothing is invented: what was recorded the device truly ran, in this order, and no earlier than recorded.
        let truth = truth(&log, device.name());
        let begins = std::iter::once(&first[device.name()]).chain(truth.iter().map(|upgrade| &upgrade.new));
        let ran: Vec<String> = begins.cloned().collect();
        assert!(is_within(versions.iter(), &ran), "{}: {versions:?} is not within {ran:?}", device.name());
        for change in &changes {
            let after = &change.change.after;
            // The simulator notes the instant a little after the device has changed.
            let at = change.change.at + Duration::from_secs(2);
            let began = truth.iter().any(|upgrade| upgrade.new == *after && upgrade.at <= at);
            assert!(began || *after == ran[0], "{}: {after} before its time", device.name());
        }

        // Nothing that was shown is lost: commit first, show second.
        if let Some(seen) = seen.get(device.name()) {
            assert!(
                is_within(seen.iter(), &versions),
                "{}: {seen:?} was shown, {versions:?} kept",
                device.name()
            );
        }
    }
}

/// Every change stands in the file, at least once, always under the same id. A kill may tear a line.
fn check_lines(path: &Path, changes: &[StoredChange]) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
    let mut torn = 0;
    for line in text.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            torn += 1;
            continue;
        };
        let event = flat(event);
        let id = event["id"].as_str().unwrap().to_owned();
        if let Some(before) = by_id.insert(id, event.clone()) {
            assert_eq!(before, event, "one id, one event");
        }
    }
    assert!(torn <= 1_000, "{torn} torn lines");
    let key = |device: &str, sweep: &str, kind: &str, before: &str, after: &str| {
        [device, sweep, kind, before, after].map(str::to_owned)
    };
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let mut lines: Vec<_> = by_id
        .values()
        .map(|event| ["device", "sweep", "type", "before", "after"].map(|name| text(event, name)))
        .collect();
    let mut stored: Vec<_> = changes
        .iter()
        .map(|StoredChange { change: c, .. }| {
            key(c.device.as_str(), &c.sweep.unwrap().to_string(), c.kind.as_str(), &c.before, &c.after)
        })
        .collect();
    lines.sort_unstable();
    stored.sort_unstable();
    assert_eq!(lines, stored, "the file of events and the store");
}

/// A receiver that fails at random until it is told to be well: it refuses single events, is overloaded, asks for time.
fn failing_receiver(seed: u64, well: &Arc<AtomicBool>) -> Receiver {
    let (random, well) = (Mutex::new(fastrand::Rng::with_seed(seed)), Arc::clone(well));
    Receiver::start(move |_| {
        let chance = random.lock().unwrap().u8(0..100);
        let answer = match chance {
            _ if well.load(Ordering::Relaxed) => "204 No Content",
            0..15 => "500 Oops",
            15..25 => "503 Busy",
            25..30 => "429 Later\r\nRetry-After: 1",
            _ => "204 No Content",
        };
        answer.to_owned()
    })
}

/// What the webhook took: every change at least once, always the same under one id, and in order for each device.
fn check_webhook(receiver: &Receiver, changes: &[StoredChange]) {
    let taken: Vec<Value> = receiver.taken().into_iter().map(flat).collect();
    let mut first: BTreeMap<String, &Value> = BTreeMap::new();
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    for event in &taken {
        let id = event["id"].as_str().unwrap().to_owned();
        if let Some(before) = first.get(&id) {
            assert_eq!(*before, event, "one id, one event");
            continue;
        }
        first.insert(id, event);
        let (device, sequence) = (event["device"].as_str().unwrap(), event["sequence"].as_i64().unwrap());
        let before = newest.insert(device, sequence).unwrap_or(0);
        assert!(before < sequence, "{device}: {sequence} after {before}");
    }
    let told: Vec<String> = first.into_keys().collect();
    let mut stored: Vec<String> = changes.iter().map(|stored| stored.change.id()).collect();
    stored.sort_unstable();
    assert_eq!(told, stored, "the webhook and the store");
}

#[expect(clippy::print_stdout, reason = "shown when the test fails, and with --nocapture")]
fn tell(line: &str) {
    println!("{line}");
}

#[test]
fn a_daemon_killed_at_any_instant_loses_nothing_and_invents_nothing() {
    let rounds = number("VERSWEEP_KILL_ROUNDS").unwrap_or(12);
    let seed = number("VERSWEEP_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    tell(&format!("VERSWEEP_KILL_SEED={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::new(DEVICES);
    let well = Arc::new(AtomicBool::new(false));
    let receiver = failing_receiver(seed, &well);
    let sink = format!("[[sink]]\ntype = 'webhook'\nurl = '{}'\nallow_private = true\n", receiver.url());
    site.write("versweep.toml", &format!("{}{sink}", site.config("every = '1s'", 8)));
    let named = |device: &Arc<versweep::sim::SimDevice>| (device.name().to_owned(), device.version());
    let first: BTreeMap<String, String> = site.devices().iter().map(named).collect();
    let mut seen = Seen::new();

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| change_all_the_time(&site, seed, &stop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..rounds {
                // From the middle of its start to a few sweeps later.
                let life = Duration::from_millis(random.u64(50..3000));
                run_and_kill(&site, life, &mut seen);
                check(&site, &seen, &first);
            }
        }));
        // Without this a failed round would wait for the changing thread for ever.
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });

    // The fleet is quiet now: a last daemon catches up, delivers everything and stops in order.
    well.store(true, Ordering::Relaxed);
    let mut daemon = site.daemon();
    eventually("the last daemon has caught up", || {
        let page = daemon.page("/metrics");
        note_versions(&page, &mut seen);
        site.devices().iter().all(|device| {
            seen.get(device.name()).and_then(|versions| versions.last()) == Some(&device.version())
        })
    });
    eventually("the webhook has all", || {
        let page = daemon.page("/metrics");
        sample(&page, "versweep_sink_pending{sink=\"webhook\"}") == Some(0.0)
    });
    let page = daemon.page("/metrics");
    assert_eq!(sample(&page, "versweep_sink_dead_total{sink=\"webhook\"}"), Some(0.0));
    assert!(daemon.stop().success());
    check(&site, &seen, &first);
    let changes = Reader::open(&site.path("versweep.db")).unwrap().changes(None, ROWS_MAX).unwrap();
    assert!(changes.len() as u64 >= rounds, "{} changes: the test did not do its work", changes.len());
    check_lines(&site.path("events.jsonl"), &changes);
    check_webhook(&receiver, &changes);
    let posts = receiver.all();
    let failed = posts.iter().filter(|post| post.status >= 300).count();
    tell(&format!(
        "{rounds} kills, {} changes, {} posts, {failed} of them failed",
        changes.len(),
        posts.len()
    ));

    // The counters outlived every kill, too.
    site.write("versweep.toml", &site.config("schedule = 'never'", 8));
    let daemon = site.daemon();
    let page = daemon.page("/metrics");
    let counted: f64 = ChangeKind::ALL
        .iter()
        .map(|kind| sample(&page, &format!("versweep_changes_total{{kind=\"{kind}\"}}")).unwrap())
        .sum();
    assert_eq!(counted, f64::from(u32::try_from(changes.len()).unwrap()));
}
