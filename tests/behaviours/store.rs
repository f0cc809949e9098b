//! The database: what it keeps, what it refuses, and how it says so.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use versweep::change::ChangeKind;
use versweep::diff::{FlapRules, Rules, apply, diff};
use versweep::facts::{Facts, Member, More};
use versweep::failure::FailureKind;
use versweep::known::Known;
use versweep::observation::{Observation, Outcome};
use versweep::order::Direction;
use versweep::status::Totals;
use versweep::store::{Batch, Loaded, Outbox, Reader, RunSort, Settled, Store, StoreError, Turn, Visit};
use versweep::version::Version;

use crate::visits::{answered, answered_with, at, facts, failed, id, sweep_ended, sweep_id, sweep_started};

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("versweep.db");
    (folder, path)
}

/// Judges observations of one device the way the recorder does.
pub(crate) fn visits(known: &mut Known, observations: impl IntoIterator<Item = Observation>) -> Batch {
    let rules = Rules {
        down_after: 3,
        order: &|_, _| Some(std::cmp::Ordering::Less),
        flapping: FlapRules::OFF,
        even_clock: true,
    };
    let judge = |observation: Observation| {
        let before = known.clone();
        let mut changes = diff(&before, &observation, &rules);
        changes.retain(|change| change.kind != ChangeKind::FirstSeen);
        *known = apply(&before, &observation, &rules);
        let raw = match observation.outcome {
            Outcome::Answered { raw, .. } => Some(raw),
            Outcome::Failed { raw, .. } => raw,
        };
        Visit { device: observation.device, before, after: known.clone(), changes, raw, labels: None }
    };
    Batch { visits: observations.into_iter().map(judge).collect(), ..Batch::default() }
}

fn message(result: Result<(Store, Loaded), StoreError>, path: &Path) -> String {
    result.expect_err("it should refuse").to_string().replace(path.to_str().unwrap(), "FILE")
}

/// The rows of every table, counted by another program's eyes.
fn rows(path: &Path, table: &str) -> usize {
    let reader = Reader::open(path).unwrap();
    match table {
        "change" => reader.changes(None, 10_000).unwrap().len(),
        "sweep" => reader.runs(None, None, 10_000).unwrap().len(),
        "history" => reader.history(&id("a")).unwrap().len(),
        _ => panic!("no such table"),
    }
}

#[test]
fn everything_comes_back_after_a_restart() {
    let (_folder, path) = place();
    let (mut store, loaded) = Store::open(&path).unwrap();
    assert!(loaded.known.is_empty() && loaded.last_sequence == 0);
    let mut known = Known::default();
    let uptime = Some(std::time::Duration::from_secs(86_400));
    let mut batch = visits(
        &mut known,
        [
            answered_with("a", 10, Facts { uptime, hostname: None, ..facts("17.9.4") }),
            answered("a", 20, "17.12.3"),
            failed("a", 30, FailureKind::Auth),
            failed("a", 40, FailureKind::Timeout),
            failed("a", 50, FailureKind::Timeout),
        ],
    );
    batch.sweeps = vec![sweep_ended(10, 1), sweep_started(50, 1)];
    batch.totals.visits = 5;
    batch.totals.failures = [(FailureKind::Auth, 1), (FailureKind::Timeout, 2)].into();
    batch.totals.changes = [(ChangeKind::Upgrade, 1)].into();
    batch.totals.sweeps = [("all".to_owned(), 1)].into();
    batch.totals.skipped = [("all".to_owned(), 7)].into();
    assert_eq!(store.commit(&batch).unwrap(), 2);
    drop(store);

    let (_store, loaded) = Store::open(&path).unwrap();
    assert_eq!(loaded.known[&id("a")], known);
    assert_eq!(loaded.totals, batch.totals);
    assert_eq!(loaded.last_sequence, 2);
    assert_eq!(loaded.last_complete["all"], at(11));
    let kinds: Vec<_> = loaded.recent_changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Unreachable, ChangeKind::Upgrade], "newest first");
    let cut = &loaded.last_sweeps[0];
    assert_eq!((cut.ended, cut.complete), (Some(at(50)), false), "cut off: it ended with the last visit");
}

/// Else a restart would show, and alerts would go by, a run of before the step for as long as the clock was ahead.
#[test]
fn after_a_clock_was_set_back_the_last_run_is_the_one_that_came_last() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    for number in [5_000, 3] {
        store.commit(&Batch { sweeps: vec![sweep_ended(number, 1)], ..Batch::default() }).unwrap();
    }
    // The last run is kept, however old; the one from the future is not older than it by its times.
    store.prune(at(1_000)).unwrap();
    drop(store);
    let (_store, loaded) = Store::open(&path).unwrap();
    assert_eq!(loaded.last_complete["all"], at(4));
    assert_eq!(loaded.last_sweeps, [sweep_ended(3, 1)]);
}

/// The same of the lists of runs: a run of before the step stood first in them, and a page behind it left the later ones out.
#[test]
fn after_a_clock_was_set_back_runs_stand_in_the_order_in_which_they_began() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    // The clock was ahead for the second and third.
    let runs = [10, 5_000, 5_100, 20, 30].map(|number| sweep_ended(number, u64::from(number)));
    for run in &runs {
        store.commit(&Batch { sweeps: vec![run.clone()], ..Batch::default() }).unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    let newest_first: Vec<_> = runs.iter().rev().cloned().collect();
    assert_eq!(reader.runs(None, None, 9).unwrap(), newest_first);
    let walked = |sort, direction| {
        let (mut walked, mut behind) = (Vec::new(), None);
        while let [run] = &reader.runs_sorted(Some("all"), Turn { sort, direction, behind }, 1).unwrap()[..] {
            behind = Some(run.id);
            walked.push(run.clone());
        }
        walked
    };
    assert_eq!(walked(RunSort::Began, Direction::Descending), newest_first);
    assert_eq!(walked(RunSort::Began, Direction::Ascending), runs);
    assert_eq!(walked(RunSort::Sweep, Direction::Ascending), newest_first, "equal ones, newest first");
    let by_devices = walked(RunSort::Devices, Direction::Descending);
    assert_eq!(by_devices.iter().map(|run| run.devices).collect::<Vec<_>>(), [5_100, 5_000, 30, 20, 10]);

    // Behind a run that was deleted in between, the next page goes on where that run was.
    let behind = |number| reader.runs(None, Some(sweep_id(number)), 9).unwrap();
    assert_eq!(behind(25), newest_first[1..]);
    assert_eq!(behind(5), []);
    let ascending = Turn { sort: RunSort::Began, direction: Direction::Ascending, behind: Some(sweep_id(5)) };
    assert_eq!(reader.runs_sorted(None, ascending, 9).unwrap(), runs);
}

#[test]
fn members_patches_and_the_next_boot_come_back_and_go_when_the_device_no_longer_tells() {
    let (_folder, path) = place();
    let member = |name: &str, version: Option<&str>, serial: Option<&str>| Member {
        name: name.to_owned(),
        version: version.map(Version::new),
        model: None,
        serial: serial.map(str::to_owned),
    };
    let more = More {
        members: vec![member("1", Some("17.9.4"), Some("FOC1")), member("2 \"standby\"", None, None)],
        patches: vec!["CSCwi12345".to_owned()],
        next_boot: Some("flash:next.bin".to_owned()),
    };
    let with = |more: Option<More>| Facts { more: more.map(Box::new), ..facts("17.9.4") };
    let mut known = Known::default();
    for (second, said) in [(10, Some(more)), (20, None)] {
        let (mut store, _) = Store::open(&path).unwrap();
        store.commit(&visits(&mut known, [answered_with("a", second, with(said.clone()))])).unwrap();
        drop(store);
        let (_store, loaded) = Store::open(&path).unwrap();
        assert_eq!(loaded.known[&id("a")], known);
        assert_eq!(known.facts.as_ref().unwrap().reading.facts.more.as_deref(), said.as_ref());
    }
}

#[test]
fn readers_see_history_changes_and_what_the_device_said() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    let mut known = Known::default();
    let seen = [
        answered("a", 10, "17.9.4"),
        answered("a", 20, "17.9.4"),
        answered("a", 30, "17.12.3"),
        failed("a", 40, FailureKind::Parse),
        answered("a", 50, "17.12.3"),
    ];
    store.commit(&visits(&mut known, seen)).unwrap();

    let reader = Reader::open(&path).unwrap();
    let ranges = reader.history(&id("a")).unwrap();
    let ranges: Vec<_> = ranges
        .iter()
        .map(|range| (range.version.as_str(), range.first_seen, range.last_seen, range.current))
        .collect();
    assert_eq!(ranges, [("17.9.4", at(10), at(20), false), ("17.12.3", at(30), at(50), true)]);
    let changes = reader.changes(Some(&id("a")), 10).unwrap();
    assert_eq!(changes.len(), 1);
    let said = reader.raw_of_change(changes[0].number).unwrap().unwrap();
    assert_eq!(said.text, "Cisco IOS XE Software, Version 17.12.3\n");
    assert_eq!(reader.raw_of_failure(&id("a")).unwrap().unwrap().text, "half an ans");
    assert_eq!(reader.changes(Some(&id("b")), 10).unwrap(), []);
}

#[test]
fn a_clock_that_was_set_back_makes_no_range_that_ends_before_it_begins() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    let mut known = Known::default();
    let seen = [answered("a", 100, "17.9.4"), answered("a", 50, "17.9.4"), answered("a", 60, "17.12.3")];
    store.commit(&visits(&mut known, seen)).unwrap();
    let ranges = Reader::open(&path).unwrap().history(&id("a")).unwrap();
    let told: Vec<_> = ranges.iter().map(|range| (range.version.as_str(), range.current)).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&("17.12.3", true)), "{told:?}");
    assert!(ranges.iter().all(|range| range.first_seen <= range.last_seen), "{ranges:?}");
}

#[test]
fn a_sweep_without_changes_adds_no_history() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    let mut known = Known::default();
    store.commit(&visits(&mut known, [answered("a", 0, "17.9.4")])).unwrap();
    for round in 1..100 {
        let mut batch = visits(&mut known, [answered("a", round, "17.9.4")]);
        batch.totals = Totals { visits: 1 + u64::try_from(round).unwrap(), ..Totals::default() };
        store.commit(&batch).unwrap();
    }
    assert_eq!((rows(&path, "history"), rows(&path, "change")), (1, 0));
    assert_eq!(Reader::open(&path).unwrap().raw_of_failure(&id("a")).unwrap(), None);
}

#[test]
fn the_same_change_twice_is_one_row_and_one_event() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    store.set_sinks(&["test"]).unwrap();
    let mut known = Known::default();
    let batch = visits(&mut known, [answered("a", 0, "17.9.4"), answered("a", 1, "17.12.3")]);
    store.commit(&batch).unwrap();
    // A batch whose answer was lost, tried again: only state may be rewritten.
    let again = Batch {
        visits: vec![Visit { before: known.clone(), ..batch.visits[1].clone() }],
        ..Batch::default()
    };
    store.commit(&again).unwrap();
    assert_eq!((rows(&path, "change"), rows(&path, "history")), (1, 2));
    assert_eq!(Outbox::open(&path, "test").unwrap().next(10).unwrap().len(), 1);
}

/// A sink has taken so many events, up to that sequence.
fn delivered(outbox: &mut Outbox, passed: i64, delivered: u64) {
    let (letters, done) = (Vec::new(), Vec::new());
    let waited = std::time::Duration::ZERO;
    outbox.settle(&Settled { passed, delivered, letters, done, waited, now: at(0) }).unwrap();
}

#[test]
fn old_rows_go_but_not_before_every_sink_has_them() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    store.set_sinks(&["quick", "slow", "gone"]).unwrap();
    store.set_sinks(&["quick", "slow"]).unwrap();
    let mut known = Known::default();
    let upgrades = (0..10).map(|round| answered("a", round, &format!("17.{round}")));
    let mut batch = visits(&mut known, upgrades);
    batch.sweeps = vec![sweep_ended(1, 1), sweep_ended(2, 1)];
    store.commit(&batch).unwrap();
    let mut quick = Outbox::open(&path, "quick").unwrap();
    let mut slow = Outbox::open(&path, "slow").unwrap();
    delivered(&mut quick, 9, 9);
    delivered(&mut slow, 4, 4);
    assert!(!store.prune(at(100)).unwrap(), "nothing more to do");
    assert_eq!(rows(&path, "change"), 5, "those that the slow sink has before it");
    assert_eq!(rows(&path, "history"), 1, "the open range stays");
    assert_eq!(rows(&path, "sweep"), 1, "the newest run stays");
    let next: Vec<_> = slow.next(10).unwrap().into_iter().map(|event| event.sequence).collect();
    assert_eq!(next, [5, 6, 7, 8, 9]);
    delivered(&mut slow, 9, 5);
    store.prune(at(100)).unwrap();
    assert_eq!(rows(&path, "change"), 0);
    assert_eq!(slow.standing().unwrap().deliveries, 9);
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_it() {
    let (_folder, path) = place();
    let first = Store::open(&path).unwrap();
    let told = message(Store::open(&path), &path);
    let process = std::process::id();
    let expected = format!(
        "the store FILE is in use by another versweep (process {process}): stop that one, or set another [store] path"
    );
    assert_eq!(told, expected);
    drop(first);
    assert!(Store::open(&path).is_ok());
}

#[test]
fn damage_is_told_and_nothing_is_touched() {
    let (_folder, path) = place();
    let (mut store, _) = Store::open(&path).unwrap();
    for device in 0..300 {
        let name = format!("device-{device:04}");
        store.commit(&visits(&mut Known::default(), [answered(&name, 0, "17.9.4")])).unwrap();
    }
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let told = message(Store::open(&path), &path);
    assert!(told.starts_with("the store FILE is damaged or no database ("), "{told}");
    assert!(
        told.ends_with("move it away with its -wal and -shm files and start anew, or restore a backup"),
        "{told}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);

    std::fs::write(&path, "# this is some other file\n".repeat(200)).unwrap();
    assert!(message(Store::open(&path), &path).starts_with("the store FILE is damaged or no database ("));
}

/// Writes a big-endian number into the database's header: user_version stands at 60, application_id at 68.
fn patch_header(path: &Path, offset: usize, value: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn newer_and_foreign_databases_are_left_alone() {
    let (_folder, path) = place();
    drop(Store::open(&path).unwrap());
    patch_header(&path, 60, 7);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(
        message(Store::open(&path), &path),
        "the store FILE was written by a newer versweep: it has schema 7, this one knows 3; nothing was changed; run the \
         newer versweep, or restore the backup from before the upgrade"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(matches!(Reader::open(&path), Err(StoreError::Newer { found: 7, known: 3, .. })));
    patch_header(&path, 68, 42);
    assert_eq!(
        message(Store::open(&path), &path),
        "FILE is another program's database: nothing was changed; set another [store] path"
    );
}

#[test]
fn a_bad_place_is_told() {
    let (folder, path) = place();
    let told = message(Store::open(folder.path()), folder.path());
    assert_eq!(told, "the store FILE can't be opened: it is a folder; [store] path names a file");
    let nowhere = folder.path().join("no/such/versweep.db");
    let told = message(Store::open(&nowhere), folder.path());
    assert_eq!(
        told,
        "the store FILE/no/such/versweep.db can't be opened: its folder FILE/no/such is not there; make it, writable for \
         versweep's user"
    );
    let told = Reader::open(&path).unwrap_err().to_string();
    assert!(told.ends_with("it is not there yet; `versweep run` or `versweep sweep` makes it"), "{told}");
    // So a daemon leaves it that is killed before it has made its tables.
    std::fs::write(&path, "").unwrap();
    let told = Reader::open(&path).unwrap_err().to_string();
    assert!(told.ends_with("it is not there yet; `versweep run` or `versweep sweep` makes it"), "{told}");
    // Nobody writes there, root neither.
    let told = Store::open(Path::new("/proc/self/versweep.db")).unwrap_err().to_string();
    assert!(told.starts_with("the store /proc/self/versweep.db can't be "), "{told}");
}

#[test]
fn a_store_that_may_only_be_read_is_told() {
    let (folder, path) = place();
    drop(Store::open(&path).unwrap());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "what devices said is not for everybody");
    // Root may write everywhere but on the kernel's own file systems: there the folder refuses.
    let refused = Store::open(Path::new("/sys/versweep.db")).unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. } | StoreError::Place { .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("/sys/versweep.db"), "{told}");
    drop(folder);
}

/// A device costs little, and a sweep in which nothing changes costs no room at all.
#[test]
fn the_database_stays_small() {
    let (_folder, path) = place();
    let devices = 2_000;
    let mut fleet: Vec<Known> = vec![Known::default(); devices];
    let mut size_after_sweep = |round: i64| {
        // Closing moves all of the log into the database.
        let (mut store, _) = Store::open(&path).unwrap();
        let one = |(number, known): (usize, &mut Known)| {
            visits(known, [answered(&format!("device-{number:05}.example.net"), round, "17.9.4")]).visits
        };
        let visits = fleet.iter_mut().enumerate().flat_map(one).collect();
        store.commit(&Batch { visits, ..Batch::default() }).unwrap();
        drop(store);
        usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap()
    };
    // The tables themselves take a page each, however many devices there are.
    drop(Store::open(&path).unwrap());
    let empty = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let first = size_after_sweep(1);
    let each = (first - empty) / devices;
    assert!(each < 400, "{each} bytes a device");
    let later = (2..6).map(&mut size_after_sweep).max().unwrap();
    assert!(later <= first + first / 10, "from {first} to {later} bytes though nothing changed");
}
