//! A daemon whose wall clock is set while it runs, forward and back, by libfaketime. What is elapsed stays true, as on a
//! machine whose clock is set.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use versweep::clock::{Clock as _, SystemClock, Timestamp};
use versweep::device::DeviceId;
use versweep::sim::{Fault, SimDevice};
use versweep::store::Reader;

use crate::daemon::{Daemon, eventually, request, sample};
use crate::site::{Site, events};

const HOUR: i64 = 3_600;

/// The watchdog's period in microseconds: as long as a busy machine needs.
const WATCHDOG: &str = "12000000";

/// The clock of a daemon, and its watchdog.
struct Turned {
    site: Site,
    /// How far the clock shows beside the true one, in seconds.
    ahead: i64,
    pings: Arc<AtomicUsize>,
}

impl Turned {
    fn new(site: Site) -> Self {
        let socket = UnixDatagram::bind(site.path("notify")).unwrap();
        let pings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&pings);
        std::thread::spawn(move || {
            let mut message = [0; 4_096];
            while let Ok(length) = socket.recv(&mut message) {
                let is_ping =
                    message[..length].split(|byte| *byte == b'\n').any(|line| line == b"WATCHDOG=1");
                counted.fetch_add(usize::from(is_ping), Ordering::Relaxed);
            }
        });
        let mut turned = Self { site, ahead: 0, pings };
        turned.set(0);
        turned
    }

    /// Sets the clock to so many seconds before or behind the true time. The file is there at every instant.
    fn set(&mut self, ahead: i64) {
        self.ahead = ahead;
        self.site.write("clock.new", &format!("{ahead:+}\n"));
        std::fs::rename(self.site.path("clock.new"), self.site.path("clock")).unwrap();
    }

    /// What the daemon's clock shows.
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::seconds(self.ahead)
    }

    fn daemon(&self) -> Daemon {
        let mut command = Command::new("env");
        command
            .arg(format!("LD_PRELOAD={}", library().display()))
            .arg(format!("FAKETIME_TIMESTAMP_FILE={}", self.site.path("clock").display()))
            .args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"])
            .arg(format!("NOTIFY_SOCKET={}", self.site.path("notify").display()))
            .arg(format!("WATCHDOG_USEC={WATCHDOG}"))
            .args([env!("CARGO_BIN_EXE_versweep"), "run", "--config.file"])
            .arg(self.site.path("versweep.toml"));
        let mut daemon = Daemon::spawn_as(command, self.site.web());
        daemon.wait_ready();
        daemon
    }

    /// Waits until every device was visited by the clock as it is set now, and until the watchdog has its ping again.
    fn goes_on(&self, daemon: &Daemon) {
        let near = TimeDelta::hours(1);
        eventually("every device is visited by the clock that was set", || {
            let page = daemon.page("/metrics");
            self.site.devices().iter().all(|device| {
                let series =
                    format!("versweep_device_last_visit_timestamp_seconds{{device=\"{}\"", device.name());
                sample(&page, &series).is_some_and(|at| (instant(at) - self.now()).abs() < near)
            })
        });
        let before = self.pings.load(Ordering::Relaxed);
        eventually("a ping for the watchdog", || self.pings.load(Ordering::Relaxed) > before);
    }

    /// Asks for a sweep, and waits until it has ended.
    fn sweeps_on_demand(&self, daemon: &Daemon) {
        let series = "versweep_sweeps_total{sweep=\"by-hand\"}";
        let ended = || sample(&daemon.page("/metrics"), series).unwrap_or(0.0);
        let before = ended();
        eventually("a sweep is begun on demand", || {
            let asked = request(self.site.web(), "POST", "/-/sweep?sweep=by-hand");
            asked.is_ok_and(|answer| answer.status == 202)
        });
        eventually("it ends", || ended() > before);
    }

    /// All events of a device, oldest first: what changed, from what to what.
    fn told(&self, device: &SimDevice) -> Vec<(String, String, String)> {
        let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        let of_it = |event: &Value| event["device"] == device.name();
        let all = events(&self.site.path("events.jsonl")).into_iter().filter(of_it);
        all.map(|event| (text(&event, "type"), text(&event, "before"), text(&event, "after"))).collect()
    }

    /// Upgrades a device and waits until that is told; gives the version before and the new one.
    fn upgrade(&self, device: &SimDevice) -> (String, String) {
        let (before, after) = self.site.upgrade(device, 1);
        eventually("the upgrade is told", || {
            let told = self.told(device);
            told.last().is_some_and(|(_, b, a)| (b.as_str(), a.as_str()) == (&before, &after))
        });
        (before, after)
    }

    fn until_told(&self, device: &SimDevice, kind: &str) {
        eventually(kind, || self.told(device).last().is_some_and(|told| told.0 == kind));
    }
}

fn instant(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second doesn't matter here")]
    let seconds = seconds as i64;
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap()
}

fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("libfaketime of the package faketime")
}

fn says(daemon: &mut Daemon, words: &str) -> usize {
    daemon.log().iter().filter(|line| line.contains(words)).count()
}

/// A fleet of four: two that are upgraded, one that is ill for a while, one that nothing happens to.
fn site() -> Site {
    let site = Site::new(4);
    let by_hand = "[[sweep]]\nname = 'by-hand'\nschedule = 'never'\n";
    // What is a day old may go, and a device that fails is left alone for two seconds.
    let config = site
        .config("every = '1s'\nfresh_for = '0s'", 8)
        .replace("path = 'versweep.db'\n", "path = 'versweep.db'\nkeep_history = '1d'\n")
        .replace("[holdoff]\nfirst = '0s'\n", "[holdoff]\nfirst = '2s'\nlongest = '2s'\n");
    site.write("versweep.toml", &(config + by_hand));
    site
}

/// Events have ids and numbers of their own, in the file as in the store, and the store's history is what was told.
fn check(site: &Site, told: &BTreeMap<String, Vec<(String, String, String)>>) {
    let events = events(&site.path("events.jsonl"));
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "an id is one event's: {events:?}");
    let numbers: Vec<i64> = events.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    check_store(&site.path("versweep.db"), told);
}

fn check_store(path: &Path, told: &BTreeMap<String, Vec<(String, String, String)>>) {
    let reader = Reader::open(path).unwrap();
    for (device, told) in told {
        let id = DeviceId::new(device).unwrap();
        let mut changes = reader.changes(Some(&id), 99).unwrap();
        changes.reverse();
        let kept: Vec<_> = changes
            .into_iter()
            .map(|stored| (stored.change.kind.to_string(), stored.change.before, stored.change.after))
            .collect();
        assert_eq!(kept, *told, "nothing of {device} was deleted");
        let history = reader.history(&id).unwrap();
        let ran = history.windows(2).map(|pair| (pair[0].version.as_str(), pair[1].version.as_str()));
        let is_of_version = |kind: &str| ["upgrade", "downgrade", "other"].contains(&kind);
        let steps = told.iter().filter(|(kind, ..)| is_of_version(kind));
        assert!(
            ran.eq(steps.map(|(_, before, after)| (before.as_str(), after.as_str()))),
            "{device}: {history:?}"
        );
        assert!(
            history.iter().all(|range| range.first_seen <= range.last_seen || range.current),
            "{history:?}"
        );
    }
}

#[test]
#[ignore = "needs libfaketime: run by make test"]
fn a_clock_that_is_set_forward_and_back_stops_nothing_invents_nothing_and_loses_nothing() {
    let mut turned = Turned::new(site());
    let devices: Vec<_> = turned.site.devices().to_vec();
    let [one, two, ill, calm] = devices.as_slice() else { panic!("four devices") };
    let mut daemon = turned.daemon();
    turned.goes_on(&daemon);
    let mut upgrades = vec![(one, turned.upgrade(one))];

    turned.set(25 * HOUR);
    eventually("the step is told", || says(&mut daemon, "the clock was set") == 1);
    turned.goes_on(&daemon);
    turned.sweeps_on_demand(&daemon);
    upgrades.push((two, turned.upgrade(two)));
    turned.site.set_fault(ill, Some(Fault::Refuse));
    turned.until_told(ill, "unreachable");

    turned.set(-23 * HOUR);
    eventually("the step back is told", || says(&mut daemon, "the clock was set") == 2);
    // It was last visited in what is the future now.
    turned.site.set_fault(ill, None);
    turned.goes_on(&daemon);
    turned.until_told(ill, "recovered");
    turned.sweeps_on_demand(&daemon);
    upgrades.push((one, turned.upgrade(one)));
    assert_eq!(says(&mut daemon, "the alarm clock is silent"), 0, "{:?}", daemon.log());
    assert!(daemon.stop().success());

    let mut daemon = turned.daemon();
    turned.goes_on(&daemon);
    upgrades.push((two, turned.upgrade(two)));
    let page = daemon.page("/metrics");
    let last = sample(&page, "versweep_sweep_last_success_timestamp_seconds{sweep=\"by-hand\"}").unwrap();
    assert!(instant(last) < turned.now(), "the last run is that of after the step, not that of the future");
    assert_eq!(says(&mut daemon, "panicked"), 0);
    assert!(daemon.stop().success());

    let mut told: BTreeMap<_, _> =
        devices.iter().map(|device| (device.name().to_owned(), turned.told(device))).collect();
    check(&turned.site, &told);
    let kinds =
        |device: &SimDevice| -> Vec<_> { told[device.name()].iter().map(|told| told.0.as_str()).collect() };
    assert_eq!(kinds(ill), ["first_seen", "unreachable", "recovered"]);
    assert_eq!(kinds(calm), ["first_seen"]);
    for device in [one, two] {
        let (told, done) =
            (told.remove(device.name()).unwrap(), upgrades.iter().filter(|of| of.0.name() == device.name()));
        let told: Vec<_> = told.into_iter().skip(1).map(|(_, before, after)| (before, after)).collect();
        assert_eq!(told, done.map(|(_, versions)| versions.clone()).collect::<Vec<_>>());
    }
}
