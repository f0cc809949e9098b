//! The recorder: commit first, show second; nothing lost, nothing invented.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::{BreakerNews, BreakerTurn, Note, Notes, SkipReason};
use versweep::change::ChangeKind;
use versweep::clock::{Clock as _, ManualClock};
use versweep::device::CredentialId;
use versweep::facts::Facts;
use versweep::failure::FailureKind;
use versweep::known::{DeviceState, OpenBreaker, Snapshot};
use versweep::metrics::{Cut, Encoding, Exporter};
use versweep::observation::Observation;
use versweep::recorder::{Recorder, RecorderHandle};
use versweep::store::{Reader, Store};

use crate::daemon::sample;
use crate::fleet;
use crate::visits::{
    answered, answered_with, at, device, facts, failed, id, judgement, sweep_ended, sweep_id, sweep_started,
};

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("versweep.db");
    (folder, path)
}

fn start(path: &Path) -> RecorderHandle {
    let (store, loaded) = Store::open(path).unwrap();
    Recorder::start(store, loaded, judgement(), Arc::new(ManualClock::new(at(0))))
}

async fn inventory(notes: &Notes, names: &[&str]) {
    notes.send(Note::Inventory(names.iter().map(|name| device(name)).collect())).await.unwrap();
}

async fn visited(notes: &Notes, observations: impl IntoIterator<Item = Observation>) {
    for observation in observations {
        notes.send(Note::Visited(Box::new(observation))).await.unwrap();
    }
}

async fn flush(notes: &Notes) {
    let (sender, answer) = oneshot::channel();
    notes.send(Note::Flush(sender)).await.unwrap();
    answer.await.unwrap();
}

async fn stop(recorder: RecorderHandle) {
    drop(recorder.notes);
    recorder.done.await.unwrap().unwrap();
}

fn state(snapshot: &Snapshot, name: &str) -> Arc<DeviceState> {
    let place = snapshot.devices.binary_search_by(|state| state.device.id.cmp(&id(name))).unwrap();
    Arc::clone(&snapshot.devices[place])
}

fn version(snapshot: &Snapshot, name: &str) -> String {
    state(snapshot, name).known.facts.as_ref().unwrap().reading.facts.version.to_string()
}

#[tokio::test]
async fn what_a_flush_answers_is_committed_and_shown() {
    let (_folder, path) = place();
    let mut recorder = start(&path);
    inventory(&recorder.notes, &["b", "a", "c"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4"), answered("a", 2, "17.12.3")]).await;
    visited(&recorder.notes, [answered("b", 2, "7.5.2"), failed("c", 3, FailureKind::Refused)]).await;
    flush(&recorder.notes).await;

    let snapshot = recorder.snapshot.load_full();
    let names: Vec<_> = snapshot.devices.iter().map(|state| state.device.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(version(&snapshot, "a"), "17.12.3");
    assert_eq!(state(&snapshot, "c").known.is_up(), Some(false));
    assert_eq!((snapshot.totals.visits, snapshot.totals.failures[&FailureKind::Refused]), (4, 1));
    let kinds: Vec<_> = snapshot.recent_changes.iter().map(|change| change.kind).collect();
    let expected = [ChangeKind::FirstSeen, ChangeKind::Upgrade, ChangeKind::FirstSeen];
    assert_eq!(kinds, expected, "newest first; an upgrade by the order of the platform's versions");
    assert_eq!(*recorder.outbox.borrow_and_update(), 3);
    assert_eq!(Reader::open(&path).unwrap().changes(None, 10).unwrap().len(), 3);
    stop(recorder).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4")]).await;
    visited(&recorder.notes, (2..5).map(|second| failed("a", second, FailureKind::Timeout))).await;
    stop(recorder).await;

    let recorder = start(&path);
    inventory(&recorder.notes, &["a"]).await;
    flush(&recorder.notes).await;
    let snapshot = recorder.snapshot.load_full();
    assert_eq!((version(&snapshot, "a"), state(&snapshot, "a").known.unreachable), ("17.9.4".into(), true));
    visited(&recorder.notes, [answered("a", 6, "17.9.4")]).await;
    flush(&recorder.notes).await;
    let snapshot = recorder.snapshot.load_full();
    let kinds: Vec<_> = snapshot.recent_changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Recovered, ChangeKind::Unreachable, ChangeKind::FirstSeen]);
    assert_eq!((snapshot.totals.visits, snapshot.totals.changes[&ChangeKind::Unreachable]), (5, 1));
    stop(recorder).await;
}

#[tokio::test]
async fn a_device_that_leaves_the_inventory_comes_back_with_what_was_known() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a", "b"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4"), answered("b", 1, "17.9.4")]).await;
    inventory(&recorder.notes, &["b"]).await;
    // The visit was on its way when the device left.
    visited(&recorder.notes, [answered("a", 2, "17.12.3")]).await;
    flush(&recorder.notes).await;
    assert_eq!(recorder.snapshot.load().devices.len(), 1);
    inventory(&recorder.notes, &["a", "b"]).await;
    flush(&recorder.notes).await;
    let snapshot = recorder.snapshot.load_full();
    assert_eq!((version(&snapshot, "a"), state(&snapshot, "a").known.version_changes), ("17.12.3".into(), 1));
    stop(recorder).await;
}

/// The changes of a device that no sweep found, oldest first, as another program reads them.
fn moves(path: &Path, name: &str) -> Vec<(ChangeKind, String)> {
    let mut changes = Reader::open(path).unwrap().changes(Some(&id(name)), 99).unwrap();
    changes.retain(|stored| stored.change.sweep.is_none());
    changes.reverse();
    changes.into_iter().map(|stored| (stored.change.kind, stored.change.id())).collect()
}

#[tokio::test]
async fn leaving_the_inventory_and_coming_back_is_told_once_also_across_restarts() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a", "b", "new"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4"), answered("b", 1, "17.9.4")]).await;
    flush(&recorder.notes).await;
    inventory(&recorder.notes, &["b"]).await;
    inventory(&recorder.notes, &["b"]).await;
    flush(&recorder.notes).await;
    assert_eq!(recorder.snapshot.load().recent_changes[0].kind, ChangeKind::Removed);
    stop(recorder).await;
    let removed = (ChangeKind::Removed, "1790000000000000:removed:a".to_owned());
    assert_eq!(moves(&path, "a"), std::slice::from_ref(&removed));

    // Not again at a restart; what left while nothing ran is told then.
    let recorder = start(&path);
    inventory(&recorder.notes, &[]).await;
    stop(recorder).await;
    assert_eq!((moves(&path, "a"), moves(&path, "b").len()), (vec![removed.clone()], 1));

    let recorder = start(&path);
    inventory(&recorder.notes, &["a", "b", "new"]).await;
    flush(&recorder.notes).await;
    assert_eq!(state(&recorder.snapshot.load(), "a").known.removed, None);
    stop(recorder).await;
    let returned = (ChangeKind::Returned, "1790000000000000:returned:a".to_owned());
    assert_eq!(moves(&path, "a"), [removed, returned]);
    assert_eq!(moves(&path, "new"), [], "never visited: nothing is known that could change");
}

#[tokio::test]
async fn events_keep_their_order_when_the_inventory_changes_among_visits() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4")]).await;
    inventory(&recorder.notes, &[]).await;
    inventory(&recorder.notes, &["a"]).await;
    visited(&recorder.notes, [answered("a", 2, "17.12.3")]).await;
    stop(recorder).await;
    let mut told = Reader::open(&path).unwrap().changes(None, 99).unwrap();
    told.reverse();
    let kinds: Vec<_> = told.iter().map(|stored| stored.change.kind).collect();
    let expected = [ChangeKind::FirstSeen, ChangeKind::Removed, ChangeKind::Returned, ChangeKind::Upgrade];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn sweeps_are_kept_with_their_counts() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a", "b"]).await;
    recorder.notes.send(Note::SweepStarted(sweep_started(1, 2))).await.unwrap();
    visited(&recorder.notes, [answered("a", 1, "17.9.4")]).await;
    recorder
        .notes
        .send(Note::SweepSkipped { sweep: "all".into(), at: at(1), why: SkipReason::Running })
        .await
        .unwrap();
    flush(&recorder.notes).await;
    let snapshot = recorder.snapshot.load_full();
    let running = &snapshot.last_sweeps[0];
    assert_eq!((running.ended, running.answered, snapshot.totals.skipped["all"]), (None, 1, 1));
    assert_eq!(
        Reader::open(&path).unwrap().runs(None, None, 9).unwrap()[0].answered,
        1,
        "true numbers if it crashed now"
    );

    recorder.notes.send(Note::SweepEnded(sweep_ended(1, 2))).await.unwrap();
    flush(&recorder.notes).await;
    let snapshot = recorder.snapshot.load_full();
    assert_eq!((snapshot.last_complete["all"], snapshot.totals.sweeps["all"]), (at(2), 1));
    stop(recorder).await;
    let sweeps = Reader::open(&path).unwrap().runs(None, None, 9).unwrap();
    assert_eq!(sweeps, [sweep_ended(1, 2)]);
}

/// Selections that are asked for on demand go by one name and may overlap: the end of one is not that of the other.
#[tokio::test]
async fn two_runs_of_one_name_are_counted_apart() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a", "b"]).await;
    for number in [1, 2] {
        recorder.notes.send(Note::SweepStarted(sweep_started(number, 1))).await.unwrap();
    }
    recorder.notes.send(Note::SweepEnded(sweep_ended(2, 1))).await.unwrap();
    visited(&recorder.notes, [answered("a", 1, "17.9.4")]).await;
    flush(&recorder.notes).await;
    let shown = recorder.snapshot.load().last_sweeps.clone();
    let counts: Vec<_> = shown.iter().map(|run| (run.id, run.answered, run.ended.is_some())).collect();
    assert_eq!(counts, [(sweep_id(1), 1, false), (sweep_id(2), 1, true)]);
    stop(recorder).await;
}

/// A restart is no reason to try a refused password on the fleet again.
#[tokio::test]
async fn an_open_breaker_is_known_after_a_restart() {
    let (_folder, path) = place();
    let credential = CredentialId::new("netops").unwrap();
    let turned = |at, turn| Note::Breaker(BreakerNews { credential: credential.clone(), at, turn });
    let recorder = start(&path);
    for note in [
        turned(at(10), BreakerTurn::Opened { until: at(310) }),
        turned(at(400), BreakerTurn::Reopened { until: at(700) }),
    ] {
        recorder.notes.send(note).await.unwrap();
    }
    stop(recorder).await;
    let recorder = start(&path);
    let open = OpenBreaker { credential: credential.clone(), since: at(10), until: at(700) };
    assert_eq!(recorder.snapshot.load().breakers, [open]);
    recorder.notes.send(turned(at(701), BreakerTurn::Closed)).await.unwrap();
    stop(recorder).await;
    assert_eq!(start(&path).snapshot.load().breakers, []);
}

/// While a run is on, `/metrics` still tells how long the one before took and when it ended.
#[tokio::test]
async fn a_running_sweep_is_shown_beside_the_one_that_ended_before() {
    let (_folder, path) = place();
    let recorder = start(&path);
    recorder.notes.send(Note::SweepStarted(sweep_started(1, 2))).await.unwrap();
    recorder.notes.send(Note::SweepEnded(sweep_ended(1, 2))).await.unwrap();
    recorder.notes.send(Note::SweepStarted(sweep_started(10, 2))).await.unwrap();
    flush(&recorder.notes).await;
    let shown = recorder.snapshot.load().last_sweeps.clone();
    assert_eq!(shown, [sweep_started(10, 2), sweep_ended(1, 2)]);

    let exporter = Exporter::new(&[], true);
    let live = fleet::live(at(12));
    let page =
        exporter.page(&recorder.snapshot.load_full(), &live, &Cut::default(), Encoding::Identity).await;
    let page = String::from_utf8(page.unwrap()).unwrap();
    assert!(page.contains("versweep_sweep_last_duration_seconds{sweep=\"all\"} 1\n"), "{page}");
    let ended = sample(&page, "versweep_sweep_last_end_timestamp_seconds{sweep=\"all\"}");
    assert_eq!(ended, Some(1_790_000_002.0));

    recorder.notes.send(Note::SweepEnded(sweep_ended(10, 2))).await.unwrap();
    flush(&recorder.notes).await;
    assert_eq!(recorder.snapshot.load().last_sweeps, [sweep_ended(10, 2)]);
    stop(recorder).await;
}

/// A campaign over a whole fleet must not push the changes of other devices out of what is shown.
#[tokio::test]
async fn hundreds_of_changes_stay_shown_also_after_a_restart() {
    let (_folder, path) = place();
    let recorder = start(&path);
    visited(&recorder.notes, (0..1200).map(|n| answered("a", n, &format!("17.{n}.1")))).await;
    flush(&recorder.notes).await;
    assert_eq!(recorder.snapshot.load().recent_changes.len(), 1200);
    stop(recorder).await;
    let recorder = start(&path);
    flush(&recorder.notes).await;
    let shown = recorder.snapshot.load_full();
    assert_eq!((shown.recent_changes.len(), shown.recent_changes[0].after.as_str()), (1200, "17.1199.1"));
    stop(recorder).await;
}

#[tokio::test]
async fn a_device_that_was_not_visited_is_counted_and_that_is_all() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4"), failed("a", 2, FailureKind::Breaker)]).await;
    flush(&recorder.notes).await;
    let snapshot = recorder.snapshot.load_full();
    assert_eq!((snapshot.totals.visits, snapshot.totals.failures[&FailureKind::Breaker]), (1, 1));
    assert_eq!(state(&snapshot, "a").known.visit.as_ref().unwrap().at, at(1));
    stop(recorder).await;
}

#[tokio::test]
async fn old_rows_are_deleted_when_a_sweep_ends() {
    let (_folder, path) = place();
    let (store, loaded) = Store::open(&path).unwrap();
    let clock = ManualClock::new(at(0));
    let recorder = Recorder::start(store, loaded, judgement(), Arc::new(clock.clone()));
    visited(&recorder.notes, [answered("a", 1, "17.9.4"), answered("a", 2, "17.12.3")]).await;
    flush(&recorder.notes).await;
    let kept = || {
        let reader = Reader::open(&path).unwrap();
        (reader.changes(None, 9).unwrap().len(), reader.history(&id("a")).unwrap().len())
    };
    // A clock that was set ahead takes nothing with it, until it has run evenly for an hour.
    clock.set(at(401 * 86_400));
    recorder.notes.send(Note::SweepEnded(sweep_ended(401 * 86_400, 1))).await.unwrap();
    flush(&recorder.notes).await;
    clock.set(at(0));
    recorder.notes.send(Note::SweepEnded(sweep_ended(1, 2))).await.unwrap();
    flush(&recorder.notes).await;
    assert_eq!(kept(), (2, 2));
    clock.advance(Duration::from_secs(401 * 86_400));
    recorder.notes.send(Note::SweepEnded(sweep_ended(401 * 86_400, 3))).await.unwrap();
    stop(recorder).await;
    assert_eq!(kept(), (0, 1));
}

#[tokio::test]
async fn what_happens_twice_in_one_batch_is_told_twice() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a"]).await;
    visited(&recorder.notes, [answered("a", 1, "17.9.4")]).await;
    flush(&recorder.notes).await;
    // The recorder runs on this thread: it finds all three together.
    for names in [&[][..], &["a"], &[]] {
        inventory(&recorder.notes, names).await;
    }
    flush(&recorder.notes).await;
    let told: Vec<_> = moves(&path, "a").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(told, [ChangeKind::Removed, ChangeKind::Returned, ChangeKind::Removed]);
    assert_eq!(recorder.snapshot.load().totals.changes[&ChangeKind::Removed], 2);
    stop(recorder).await;
}

#[tokio::test]
async fn a_clock_that_is_set_invents_no_reboot_and_hides_none() {
    const MINUTE: u64 = 60;
    const YEARS: i64 = 50 * 365 * 86_400;
    let (_folder, path) = place();
    let clock = ManualClock::new(at(0));
    let open = || {
        let (store, loaded) = Store::open(&path).unwrap();
        Recorder::start(store, loaded, judgement(), Arc::new(clock.clone()))
    };
    let mut recorder = open();
    let told = |recorder: &RecorderHandle| {
        recorder.snapshot.load().totals.changes.get(&ChangeKind::Rebooted).copied().unwrap_or(0)
    };
    let visit = async |recorder: &RecorderHandle, uptime: u64| {
        let facts = Facts { uptime: Some(Duration::from_secs(uptime * MINUTE)), ..facts("17.9.4") };
        visited(&recorder.notes, [answered_with("a", (clock.now() - at(0)).num_seconds(), facts)]).await;
        flush(&recorder.notes).await;
        told(recorder)
    };
    let pass = |minutes: u64| clock.advance(Duration::from_secs(minutes * MINUTE));

    assert_eq!(visit(&recorder, 10).await, 0);
    pass(5);
    clock.set(clock.now() + chrono::TimeDelta::seconds(YEARS));
    assert_eq!(visit(&recorder, 15).await, 0, "set ahead: it has been up all the time");
    pass(20);
    assert_eq!(
        visit(&recorder, 18).await,
        1,
        "an even clock tells a boot though the uptime is longer than the last"
    );
    pass(15);
    clock.set(clock.now() - chrono::TimeDelta::seconds(YEARS));
    assert_eq!(visit(&recorder, 4).await, 2, "set back: its uptime has shrunk");
    pass(15);
    assert_eq!(visit(&recorder, 19).await, 2);

    // What another process saw may be of another clock.
    stop(recorder).await;
    pass(15);
    clock.set(clock.now() + chrono::TimeDelta::seconds(YEARS));
    recorder = open();
    assert_eq!(visit(&recorder, 34).await, 2);
    stop(recorder).await;
    pass(15);
    recorder = open();
    assert_eq!(visit(&recorder, 3).await, 3);
    stop(recorder).await;
}

/// A fast fleet once had a commit for every two or three visits, each of which costs as much as ten of them.
#[tokio::test(start_paused = true)]
async fn notes_that_come_fast_are_committed_together() {
    let (_folder, path) = place();
    let recorder = start(&path);
    inventory(&recorder.notes, &["a"]).await;
    flush(&recorder.notes).await;
    let before = recorder.pulse.beats();
    for second in 1..=100 {
        visited(&recorder.notes, [answered("a", second, "17.9.4")]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    flush(&recorder.notes).await;
    let beats = recorder.pulse.beats() - before;
    assert!(beats < 20, "each commit is three beats: {beats} for notes within a tenth of a second");
    assert_eq!(recorder.snapshot.load().totals.visits, 100);
    stop(recorder).await;
}

#[tokio::test]
async fn a_waiting_recorder_proves_itself_alive() {
    let (_folder, path) = place();
    let recorder = start(&path);
    let before = recorder.pulse.beats();
    flush(&recorder.notes).await;
    assert!(recorder.pulse.beats() > before);
    stop(recorder).await;
}

/// One that began and ended while another went on has its row behind that one's, also where all came in one batch.
#[tokio::test]
async fn runs_of_one_batch_stand_in_the_order_in_which_they_began() {
    let (_folder, path) = place();
    let recorder = start(&path);
    for note in [
        Note::SweepStarted(sweep_started(1, 3)),
        Note::SweepStarted(sweep_started(2, 0)),
        Note::SweepEnded(sweep_ended(2, 0)),
    ] {
        recorder.notes.send(note).await.unwrap();
    }
    flush(&recorder.notes).await;
    let runs = Reader::open(&path).unwrap().runs(None, None, 9).unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [2, 1].map(sweep_id));
    stop(recorder).await;
}
