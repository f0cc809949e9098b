//! kill -9 of the real daemon at random instants, again and again on the same store, while the fleet changes all the
//! time, a webhook and a program fail at random and a file is rotated. The simulator's log is the truth: no change is
//! invented, none that was shown is lost, and every one of them comes to every sink, in order for each device, always
//! under the same id. What a policy lost and regained follows from the versions, no more and no less.
//!
//! VERSWEEP_KILL_ROUNDS sets the number of kills, VERSWEEP_KILL_SEED repeats a run's instants.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use versweep::change::ChangeKind;
use versweep::device::DeviceId;
use versweep::sim::{SimDevice, Upgrade};
use versweep::store::{ROWS_MAX, Reader, StoredChange};

use crate::daemon::{Daemon, eventually, get, request, sample};
use crate::receiver::Receiver;
use crate::site::{Site, flat};

const DEVICES: usize = 8;

/// The sinks, by name.
const SINKS: [&str; 4] = ["jsonl", "rotated", "webhook", "command"];

/// Versions by device, in the order in which they were seen.
type Seen = BTreeMap<String, Vec<String>>;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// The smallest size by which a file may be rotated: far more than a run of a few rounds tells.
const ROTATE_AT: u64 = 1 << 20;

/// Up to how many bytes a life tells before it rotates.
const ROTATE_LATER: u64 = 4 << 10;

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
    let reader = match Reader::open(&site.path("versweep.db")) {
        Ok(reader) => reader,
        // Killed before it had made its store, it can't have shown anything.
        Err(error) if seen.is_empty() && error.to_string().contains("not there yet") => return,
        Err(error) => panic!("the store opens after a kill: {error}"),
    };
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

/// The approved versions are every second one of a platform: a step of 1, 3 or 5 loses or regains, one of 2 or 4 doesn't.
fn approved(device: &SimDevice) -> Vec<&'static str> {
    device.platform().versions().iter().copied().step_by(2).collect()
}

/// A policy for each platform of the fleet.
fn policies(site: &Site) -> String {
    let by_platform: BTreeMap<&str, Vec<&str>> =
        site.devices().iter().map(|device| (device.platform().key(), approved(device))).collect();
    let policy = |(platform, approved): (&&str, &Vec<&str>)| {
        format!(
            "[[policy]]\nname = '{platform}'\nselect = {{ platform = '{platform}' }}\napproved = {approved:?}\n"
        )
    };
    by_platform.iter().map(policy).collect()
}

/// What policies told of a device is what its history comes to: each step between approved and not, once, in order.
fn check_policy(site: &Site) {
    let reader = Reader::open(&site.path("versweep.db")).unwrap();
    for device in site.devices() {
        let id = DeviceId::new(device.name()).unwrap();
        let approved = approved(device);
        let complies: Vec<bool> = reader
            .history(&id)
            .unwrap()
            .iter()
            .map(|range| approved.contains(&range.version.as_str()))
            .collect();
        let flips = complies.windows(2).filter(|pair| pair[0] != pair[1]).map(|pair| pair[1]);
        let mut changes = reader.changes(Some(&id), ROWS_MAX).unwrap();
        changes.reverse();
        let told = changes.iter().filter_map(|stored| match stored.change.kind {
            ChangeKind::PolicyLost => Some(false),
            ChangeKind::PolicyRegained => Some(true),
            _ => None,
        });
        assert!(told.eq(flips), "{}: what policies told and the history", device.name());
    }
}

/// The whole lines of files of events, in the order in which they came. A kill may tear a line.
fn lines(paths: &[PathBuf]) -> Vec<Value> {
    let (mut events, mut torn) = (Vec::new(), 0);
    for path in paths {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            match serde_json::from_str(line) {
                Ok(event) => events.push(event),
                Err(_) => torn += 1,
            }
        }
    }
    assert!(torn <= 1_000, "{torn} torn lines");
    events
}

/// A file that is rotated, and what was put aside, oldest first.
fn with_rotated(site: &Site, name: &str) -> Vec<PathBuf> {
    let aside = (1..=1_000).map(|number| site.path(&format!("{name}.{number}")));
    let mut paths: Vec<PathBuf> = aside.filter(|path| path.exists()).collect();
    paths.reverse();
    paths.push(site.path(name));
    paths
}

/// Fills the file that is rotated up to `short` bytes below its size, as if as much had been told: a line that is a hole,
/// so that it costs no disk.
fn fill(site: &Site, short: u64) {
    let path = site.path("rotated.jsonl");
    let file = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(path).unwrap();
    if file.metadata().unwrap().len() < ROTATE_AT - short {
        file.write_all_at(b"\n", ROTATE_AT - short - 1).unwrap();
    }
}

/// A program that notes the events which it is given, and fails before or after that as chance wills, until it is told to
/// be well.
fn failing_program(site: &Site) -> String {
    let (taken, well) = (site.path("program.jsonl"), site.path("program-is-well"));
    let script = format!(
        "read -r line\nchance=$(od -An -N1 -tu1 /dev/urandom)\n[ -e {well} ] && chance=255\n\
         [ $chance -lt 25 ] && {{ echo not now >&2; exit 1; }}\n\
         printf '%s\\n' \"$line\" >>{taken}\n[ $chance -lt 40 ] && exit 3\nexit 0\n",
        taken = taken.display(),
        well = well.display()
    );
    site.write("program.sh", &script);
    format!("[[sink]]\ntype = 'command'\nargv = ['/bin/sh', '{}']\n", site.path("program.sh").display())
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

/// What a sink took: every change at least once, always the same under one id, and in order for each device; gives how
/// many came more than once.
fn check_taken(sink: &str, taken: Vec<Value>, changes: &[StoredChange]) -> usize {
    let taken: Vec<Value> = taken.into_iter().map(flat).collect();
    let mut first: BTreeMap<String, &Value> = BTreeMap::new();
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    for event in &taken {
        let id = event["id"].as_str().unwrap().to_owned();
        if let Some(before) = first.get(&id) {
            assert_eq!(*before, event, "{sink}: one id, one event");
            continue;
        }
        first.insert(id, event);
        let (device, sequence) = (event["device"].as_str().unwrap(), event["sequence"].as_i64().unwrap());
        let before = newest.insert(device, sequence).unwrap_or(0);
        assert!(before < sequence, "{sink}: {device}: {sequence} after {before}");
    }
    let mut stored: Vec<(String, [&str; 3])> = changes
        .iter()
        .map(|StoredChange { change: c, .. }| (c.id(), [c.kind.as_str(), &c.before, &c.after]))
        .collect();
    stored.sort_unstable();
    let again = taken.len() - first.len();
    let text = |event: &'_ Value, name: &str| event[name].as_str().unwrap().to_owned();
    let told: Vec<_> = first
        .into_iter()
        .map(|(id, event)| (id, ["type", "before", "after"].map(|name| text(event, name))))
        .collect();
    assert_eq!(told.len(), stored.len(), "{sink}: as many as in the store");
    let differs = told.iter().zip(&stored).find(|(told, stored)| told.0 != stored.0 || told.1 != stored.1);
    assert_eq!(differs, None, "{sink}: what it took and the store");
    again
}

/// All changes in the store, newest first, however many they are.
fn all_changes(site: &Site) -> Vec<StoredChange> {
    let reader = Reader::open(&site.path("versweep.db")).unwrap();
    let of = |device: &Arc<SimDevice>| {
        let changes = reader.changes(Some(&DeviceId::new(device.name()).unwrap()), ROWS_MAX).unwrap();
        assert!(changes.len() < ROWS_MAX, "more changes of a device than one may ask for");
        changes
    };
    site.devices().iter().flat_map(of).collect()
}

#[expect(clippy::print_stdout, reason = "shown when the test fails, and with --nocapture")]
fn tell(line: &str) {
    println!("{line}");
}

/// Holds what each sink took against the store, and tells the numbers.
fn check_sinks(site: &Site, receiver: &Receiver, changes: &[StoredChange]) {
    let rotated = with_rotated(site, "rotated.jsonl");
    tell(&format!("rotated {} times", rotated.len() - 1));
    assert!(rotated.len() > 1, "the file was never rotated");
    let taken = [
        lines(&[site.path("events.jsonl")]),
        lines(&rotated),
        receiver.taken(),
        lines(&[site.path("program.jsonl")]),
    ];
    for (sink, taken) in SINKS.into_iter().zip(taken) {
        let count = taken.len();
        let again = check_taken(sink, taken, changes);
        tell(&format!("{sink}: {count} taken, {again} of them again"));
    }
    let posts = receiver.all();
    let failed = posts.iter().filter(|post| post.status >= 300).count();
    let is_of_policy = |kind| matches!(kind, ChangeKind::PolicyLost | ChangeKind::PolicyRegained);
    let of_policies = changes.iter().filter(|stored| is_of_policy(stored.change.kind)).count();
    tell(&format!(
        "{} changes, {of_policies} of them of policies, {} posts, {failed} failed",
        changes.len(),
        posts.len()
    ));
}

/// Waits until the daemon has seen what the fleet runs now and every sink has all.
fn catch_up(site: &Site, daemon: &Daemon, seen: &mut Seen) {
    eventually("the last daemon has caught up", || {
        let page = daemon.page("/metrics");
        note_versions(&page, seen);
        site.devices().iter().all(|device| {
            seen.get(device.name()).and_then(|versions| versions.last()) == Some(&device.version())
        })
    });
    eventually("every sink has all", || {
        let page = daemon.page("/metrics");
        let pending = |sink: &&str| sample(&page, &format!("versweep_sink_pending{{sink=\"{sink}\"}}"));
        SINKS.iter().all(|sink| pending(sink) == Some(0.0))
    });
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
    let rotated = "[[sink]]\ntype = 'jsonl'\nname = 'rotated'\npath = 'rotated.jsonl'\nrotate_mib = 1\nrotate_keep = 1000\n";
    let more = format!("{sink}{rotated}{}{}", failing_program(&site), policies(&site));
    site.write("versweep.toml", &format!("{}{more}", site.config("every = '1s'", 8)));
    let named = |device: &Arc<SimDevice>| (device.name().to_owned(), device.version());
    let first: BTreeMap<String, String> = site.devices().iter().map(named).collect();
    let mut seen = Seen::new();

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| change_all_the_time(&site, seed, &stop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..rounds {
                // The first ones while they make the store; then from the middle of a start to a few sweeps later.
                let longest = if round < 3 { 100 } else { 3000 };
                let life = Duration::from_millis(random.u64(0..longest));
                // Rotated by the first handful of a life, or by a later one.
                fill(&site, random.u64(0..ROTATE_LATER));
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
    site.write("program-is-well", "");
    let mut daemon = site.daemon();
    catch_up(&site, &daemon, &mut seen);
    // One more rotation, of which it is known that it takes place: nothing else is written now.
    fill(&site, 0);
    site.upgrade(&site.devices()[0], 1);
    catch_up(&site, &daemon, &mut seen);
    let page = daemon.page("/metrics");
    for sink in SINKS {
        assert_eq!(
            sample(&page, &format!("versweep_sink_dead_total{{sink=\"{sink}\"}}")),
            Some(0.0),
            "{sink}"
        );
    }
    assert!(daemon.stop().success());
    check(&site, &seen, &first);
    let changes = all_changes(&site);
    assert!(changes.len() as u64 >= rounds, "{} changes: the test did not do its work", changes.len());
    check_policy(&site);
    check_sinks(&site, &receiver, &changes);
    tell(&format!("{rounds} kills, {} upgrades of the fleet", site.fleet().upgrades().len()));

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
