//! A device that its source calls by another name keeps its past: found again by its stable identity.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::Note;
use versweep::change::ChangeKind;
use versweep::clock::ManualClock;
use versweep::device::Device;
use versweep::failure::FailureKind;
use versweep::known::{Known, Snapshot};
use versweep::observation::Observation;
use versweep::recorder::{Recorder, RecorderHandle};
use versweep::store::{Again, ChangeFilter, LetterState, MailRoom, Outbox, Reader, Store};

use crate::visits::{answered, at, device, failed, id, judgement, sweep_id};

/// A recorder on a store of its own, which can be restarted.
struct House {
    _folder: TempDir,
    path: PathBuf,
    recorder: Option<RecorderHandle>,
    /// The time by the clock: the removal and the return of one device are not the same instant.
    seconds: i64,
}

fn start(path: &Path, seconds: i64) -> RecorderHandle {
    let (store, loaded) = Store::open(path).unwrap();
    Recorder::start(store, loaded, judgement(), Arc::new(ManualClock::new(at(seconds))))
}

/// A device of the inventory: `name`, or `name=identity`.
fn named(text: &str) -> Arc<Device> {
    let (name, identity) = text.split_once('=').map_or((text, None), |(name, id)| (name, Some(id.into())));
    Arc::new(Device { identity, ..(*device(name)).clone() })
}

fn of(text: &str, observation: Observation) -> Observation {
    let device = named(text);
    Observation { device: device.id.clone(), identity: device.identity.clone(), ..observation }
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("versweep.db");
        Self { recorder: Some(start(&path, 0)), path, _folder: folder, seconds: 0 }
    }

    async fn tell(&self, note: Note) {
        self.recorder.as_ref().unwrap().notes.send(note).await.unwrap();
    }

    async fn inventory(&self, devices: &[&str]) -> Arc<Snapshot> {
        self.tell(Note::Inventory(devices.iter().map(|text| named(text)).collect())).await;
        self.shown().await
    }

    async fn visited(&self, text: &str, observation: Observation) {
        self.tell(Note::Visited(Box::new(of(text, observation)))).await;
    }

    async fn shown(&self) -> Arc<Snapshot> {
        let (sender, answer) = oneshot::channel();
        self.tell(Note::Flush(sender)).await;
        answer.await.unwrap();
        self.recorder.as_ref().unwrap().snapshot.load_full()
    }

    async fn restart(&mut self) {
        let recorder = self.recorder.take().unwrap();
        drop(recorder.notes);
        recorder.done.await.unwrap().unwrap();
        self.seconds += 100;
        self.recorder = Some(start(&self.path, self.seconds));
    }

    /// The changes of a device, oldest first, each with the name that it was told with.
    fn changes(&self, name: &str) -> Vec<(String, ChangeKind)> {
        let mut changes = Reader::open(&self.path).unwrap().changes(Some(&id(name)), 99).unwrap();
        changes.reverse();
        changes.into_iter().map(|stored| (stored.change.of.to_string(), stored.change.kind)).collect()
    }

    fn kinds(&self, name: &str) -> Vec<ChangeKind> {
        self.changes(name).into_iter().map(|(_, kind)| kind).collect()
    }
}

fn known(snapshot: &Snapshot, name: &str) -> Known {
    snapshot.device(name).unwrap().known.clone()
}

fn version(snapshot: &Snapshot, name: &str) -> Option<String> {
    known(snapshot, name).facts.map(|facts| facts.reading.facts.version.as_str().to_owned())
}

#[tokio::test]
async fn all_that_is_known_moves_along_and_is_told_once() {
    let mut house = House::new();
    house.inventory(&["a=n:1", "b=n:2"]).await;
    house.visited("a=n:1", answered("a", 1, "17.9.4")).await;
    house.visited("a=n:1", failed("a", 2, FailureKind::Timeout)).await;
    house.visited("b=n:2", answered("b", 1, "17.9.4")).await;
    let before = known(&*house.shown().await, "a");
    assert_eq!(before.consecutive_failures, 1, "its hold-off");

    let snapshot = house.inventory(&["b=n:2", "z=n:1"]).await;
    assert_eq!(known(&snapshot, "z"), before);
    let expected = [("a".to_owned(), ChangeKind::FirstSeen), ("z".to_owned(), ChangeKind::Renamed)];
    assert_eq!(house.changes("z"), expected, "what was told before keeps its name");
    assert_eq!(house.changes("a"), [], "no device is called so");
    let recent: Vec<_> = snapshot.recent_changes.iter().map(|change| change.kind).collect();
    assert_eq!(recent, [ChangeKind::Renamed, ChangeKind::FirstSeen, ChangeKind::FirstSeen]);
    let told = &snapshot.recent_changes[0];
    assert_eq!((told.before.as_str(), told.after.as_str()), ("a", "z"));

    // The same again, and after a restart, is no news.
    house.inventory(&["b=n:2", "z=n:1"]).await;
    house.restart().await;
    let snapshot = house.inventory(&["b=n:2", "z=n:1"]).await;
    assert_eq!(known(&snapshot, "z"), before);
    assert_eq!(house.changes("z"), expected);
    let history = Reader::open(&house.path).unwrap().history(&id("z")).unwrap();
    assert_eq!(history.len(), 1);
    house.visited("z=n:1", answered("z", 3, "17.12.3")).await;
    house.shown().await;
    assert_eq!(house.kinds("z")[2..], [ChangeKind::Upgrade], "compared with what ran under the old name");
}

#[tokio::test]
async fn a_name_that_changed_while_nothing_ran_is_found_at_the_start() {
    let mut house = House::new();
    house.inventory(&["a=n:1"]).await;
    house.visited("a=n:1", answered("a", 1, "17.9.4")).await;
    house.restart().await;
    let snapshot = house.inventory(&["z=n:1"]).await;
    assert_eq!(version(&snapshot, "z").as_deref(), Some("17.9.4"));
    assert_eq!(house.kinds("z"), [ChangeKind::FirstSeen, ChangeKind::Renamed]);
}

#[tokio::test]
async fn devices_exchange_their_names_in_one_look() {
    let mut house = House::new();
    house.inventory(&["a=n:1", "b=n:2", "c=n:3"]).await;
    for (text, version) in [("a=n:1", "17.1.1"), ("b=n:2", "17.2.2"), ("c=n:3", "17.3.3")] {
        house.visited(text, answered("x", 1, version)).await;
    }
    house.inventory(&["a=n:3", "b=n:1", "c=n:2"]).await;
    house.restart().await;
    let snapshot = house.inventory(&["a=n:3", "b=n:1", "c=n:2"]).await;
    for (name, expected) in [("a", "17.3.3"), ("b", "17.1.1"), ("c", "17.2.2")] {
        assert_eq!(version(&snapshot, name).as_deref(), Some(expected), "{name}");
        assert_eq!(house.kinds(name), [ChangeKind::FirstSeen, ChangeKind::Renamed], "{name}");
    }
}

#[tokio::test]
async fn a_name_that_another_device_has_at_once_begins_anew() {
    let house = House::new();
    house.inventory(&["a=n:1"]).await;
    house.visited("a=n:1", answered("a", 1, "17.9.4")).await;
    let snapshot = house.inventory(&["a=n:2", "old-a=n:1"]).await;
    assert_eq!(version(&snapshot, "old-a").as_deref(), Some("17.9.4"));
    assert_eq!(version(&snapshot, "a"), None, "nothing is known of the new one");
    house.visited("a=n:2", answered("a", 2, "17.12.3")).await;
    house.shown().await;
    assert_eq!(house.kinds("a"), [ChangeKind::FirstSeen]);
    assert_eq!(house.kinds("old-a"), [ChangeKind::FirstSeen, ChangeKind::Renamed]);
}

#[tokio::test]
async fn a_device_that_takes_the_name_of_one_that_is_gone_keeps_its_own_past() {
    let mut house = House::new();
    house.inventory(&["a=n:1", "b=n:2"]).await;
    house.visited("a=n:1", answered("a", 1, "17.1.1")).await;
    house.visited("b=n:2", answered("b", 1, "17.2.2")).await;
    let snapshot = house.inventory(&["a=n:2"]).await;
    assert_eq!(version(&snapshot, "a").as_deref(), Some("17.2.2"));
    assert_eq!(house.kinds("a"), [ChangeKind::FirstSeen, ChangeKind::Renamed]);
    assert_eq!(house.kinds("a~1"), [ChangeKind::FirstSeen, ChangeKind::Removed]);

    // It comes back under a name of its own, also after a restart.
    house.restart().await;
    let snapshot = house.inventory(&["a=n:2", "c=n:1"]).await;
    assert_eq!(version(&snapshot, "c").as_deref(), Some("17.1.1"));
    assert_eq!(
        house.kinds("c"),
        [ChangeKind::FirstSeen, ChangeKind::Removed, ChangeKind::Renamed, ChangeKind::Returned]
    );
}

#[tokio::test]
async fn a_device_that_was_entered_anew_is_the_same_device() {
    let house = House::new();
    house.inventory(&["a=n:1"]).await;
    house.visited("a=n:1", answered("a", 1, "17.9.4")).await;
    let snapshot = house.inventory(&["a=n:7"]).await;
    assert_eq!(
        version(&snapshot, "a").as_deref(),
        Some("17.9.4"),
        "its name says so, and nobody says otherwise"
    );
    let snapshot = house.inventory(&["z=n:7"]).await;
    assert_eq!(version(&snapshot, "z").as_deref(), Some("17.9.4"), "found by the new identity");
    // A source that gives no identity any more takes none away.
    house.inventory(&["z"]).await;
    let snapshot = house.inventory(&["y=n:7"]).await;
    assert_eq!(version(&snapshot, "y").as_deref(), Some("17.9.4"));
}

#[tokio::test]
async fn nothing_moves_while_another_source_still_has_the_old_name() {
    let house = House::new();
    house.inventory(&["a=netbox:1"]).await;
    house.visited("a=netbox:1", answered("a", 1, "17.9.4")).await;
    let snapshot = house.inventory(&["a", "z=netbox:1"]).await;
    assert_eq!(version(&snapshot, "a").as_deref(), Some("17.9.4"));
    assert_eq!(version(&snapshot, "z"), None);
    // Nor does it later, when both are known.
    house.visited("z=netbox:1", answered("z", 2, "17.9.4")).await;
    house.inventory(&["z=netbox:1"]).await;
    assert_eq!(house.kinds("a"), [ChangeKind::FirstSeen, ChangeKind::Removed]);
    assert_eq!(house.kinds("z"), [ChangeKind::FirstSeen]);
}

#[tokio::test]
async fn a_device_that_another_source_had_under_the_new_name_stays_as_it_is() {
    let house = House::new();
    house.inventory(&["a=netbox:1", "z"]).await;
    house.visited("a=netbox:1", answered("a", 1, "17.1.1")).await;
    house.visited("z", answered("z", 1, "17.2.2")).await;
    let snapshot = house.inventory(&["z=netbox:1"]).await;
    assert_eq!(version(&snapshot, "z").as_deref(), Some("17.2.2"));
    assert_eq!((house.kinds("z").len(), house.kinds("a").last()), (1, Some(&ChangeKind::Removed)));
}

#[tokio::test]
async fn identities_of_two_sources_are_two() {
    let house = House::new();
    house.inventory(&["a=netbox:1"]).await;
    house.visited("a=netbox:1", answered("a", 1, "17.9.4")).await;
    let snapshot = house.inventory(&["z=other:1"]).await;
    assert_eq!(version(&snapshot, "z"), None);
    assert_eq!(house.kinds("a"), [ChangeKind::FirstSeen, ChangeKind::Removed]);
}

#[tokio::test]
async fn a_visit_that_was_on_its_way_counts_for_the_device_that_was_visited() {
    let house = House::new();
    house.inventory(&["a=n:1", "b=n:2"]).await;
    house.visited("a=n:1", answered("a", 1, "17.1.1")).await;
    house.visited("b=n:2", answered("b", 1, "17.2.2")).await;
    // In one batch with the inventory that came between.
    house.tell(Note::Inventory(["a=n:2", "b=n:1"].map(named).to_vec())).await;
    house.visited("a=n:1", answered("a", 2, "17.1.9")).await;
    let snapshot = house.shown().await;
    assert_eq!(version(&snapshot, "b").as_deref(), Some("17.1.9"));
    assert_eq!(version(&snapshot, "a").as_deref(), Some("17.2.2"));
    assert_eq!(house.kinds("b"), [ChangeKind::FirstSeen, ChangeKind::Renamed, ChangeKind::Upgrade]);

    // The one that was visited has gone, and its name is another's: that one did not answer so.
    house.inventory(&["a=n:2", "b=n:9"]).await;
    house.visited("b=n:1", answered("b", 3, "1.1.1")).await;
    assert_eq!(version(&*house.shown().await, "b").as_deref(), Some("17.1.9"));
}

#[tokio::test]
async fn events_keep_their_identities_across_a_renaming() {
    let house = House::new();
    house.inventory(&["a=n:1"]).await;
    house.visited("a=n:1", answered("a", 1, "17.9.4")).await;
    house.shown().await;
    let outbox = Outbox::open(&house.path, "late").unwrap();
    house.visited("a=n:1", answered("a", 2, "17.12.3")).await;
    house.shown().await;
    let ids = || -> Vec<String> { outbox.next(9).unwrap().iter().map(versweep::event::Event::id).collect() };
    let upgrade = format!("{}:upgrade:a", sweep_id(2));
    assert_eq!(ids(), [upgrade.as_str()]);
    house.inventory(&["z=n:1"]).await;
    assert_eq!(ids(), [upgrade.as_str(), &format!("{}:renamed:z", at(0).timestamp_micros())]);

    let reader = Reader::open(&house.path).unwrap();
    let undelivered = reader.undelivered("late", 9).unwrap();
    assert_eq!((undelivered[0].event.id(), undelivered[0].state), (upgrade.clone(), LetterState::Pending));
    let filter = ChangeFilter { device: Some(id("z")), ..ChangeFilter::default() };
    let rows = reader.changes_where(&filter, None, 9).unwrap();
    assert_eq!(rows.last().unwrap().stored.change.of, id("a").into(), "of z, and told of a");
    let asked = MailRoom::open(&house.path).unwrap().again("late", &Again::Ids(vec![upgrade])).unwrap();
    assert_eq!(asked, 0, "found, and not passed yet");
}

/// A thousand devices get other names in one transaction.
#[tokio::test]
async fn a_whole_fleet_is_renamed_at_once() {
    let house = House::new();
    let names = |prefix: &str| -> Vec<String> { (0..1000).map(|n| format!("{prefix}{n}=n:{n}")).collect() };
    let (old, new) = (names("old"), names("new"));
    house.inventory(&old.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for text in &old {
        house.visited(text, answered("x", 1, "17.9.4")).await;
    }
    let snapshot = house.inventory(&new.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(snapshot.devices.iter().all(|state| state.known.facts.is_some()));
    assert_eq!(snapshot.totals.changes[&ChangeKind::Renamed], 1000);
    assert_eq!(snapshot.totals.changes.get(&ChangeKind::Removed), None);
}
