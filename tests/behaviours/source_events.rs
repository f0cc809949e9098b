//! Sources of the inventory that can't be used, as events: each reason once, one when it is over, also across restarts; and a
//! source is no device anywhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::{Note, SourceNews, SourceState};
use versweep::change::{ChangeKind, Whose};
use versweep::clock::{Clock, ManualClock};
use versweep::device::Selector;
use versweep::event::{Event, Post, Route};
use versweep::known::Snapshot;
use versweep::recorder::{Recorder, RecorderHandle};
use versweep::sink::CloudEvent;
use versweep::status::RefreshFailure;
use versweep::store::{Again, ChangeFilter, ChangeSort, EventSort, MailRoom, Outbox, Reader, Store, Turn};

use crate::daemon::{Daemon, eventually, get, sample};
use crate::receiver::Receiver;
use crate::site::{Site, versweep};
use crate::source_server::{Reply, SourceServer};
use crate::visits::{answered, at, device, id, judgement};

const DAY: i64 = 86_400;

/// A recorder on a store of its own, which can be restarted.
struct House {
    _folder: TempDir,
    path: PathBuf,
    recorder: Option<RecorderHandle>,
    /// No two looks are at the same instant.
    clock: Arc<ManualClock>,
}

fn start(path: &Path, clock: &Arc<ManualClock>) -> RecorderHandle {
    let (store, loaded) = Store::open(path).unwrap();
    assert!(loaded.known.keys().all(|device| device.as_str() == "sd"), "{:?}", loaded.known.keys());
    Recorder::start(store, loaded, judgement(), Arc::clone(clock) as Arc<dyn Clock>)
}

fn failing(reason: RefreshFailure) -> SourceState {
    SourceState::Failing { reason, why: format!("made up: {}", reason.as_str()) }
}

const GOOD: SourceState = SourceState::Good { why: "the last look at it was good" };

fn news(source: &str, state: SourceState) -> SourceNews {
    SourceNews { source: source.into(), state }
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("versweep.db");
        let clock = Arc::new(ManualClock::new(at(0)));
        Self { recorder: Some(start(&path, &clock)), path, _folder: folder, clock }
    }

    async fn tell(&self, note: Note) -> Arc<Snapshot> {
        let recorder = self.recorder.as_ref().unwrap();
        recorder.notes.send(note).await.unwrap();
        let (sender, answer) = oneshot::channel();
        recorder.notes.send(Note::Flush(sender)).await.unwrap();
        answer.await.unwrap();
        recorder.snapshot.load_full()
    }

    async fn look(&self, source: &str, state: SourceState) {
        self.tell(Note::Source(news(source, state))).await;
        self.clock.advance(Duration::from_secs(1));
    }

    async fn stop(&mut self) {
        let recorder = self.recorder.take().unwrap();
        drop(recorder.notes);
        recorder.done.await.unwrap().unwrap();
        self.clock.advance(Duration::from_secs(100));
    }

    async fn restart(&mut self) {
        self.stop().await;
        self.recorder = Some(start(&self.path, &self.clock));
    }

    /// What was told of sources, oldest first.
    fn told(&self) -> Vec<String> {
        let mut changes = Reader::open(&self.path).unwrap().changes(None, 99).unwrap();
        changes.reverse();
        let of_sources =
            changes.into_iter().map(|stored| stored.change).filter(|change| change.device().is_none());
        of_sources
            .map(|change| {
                format!("{} {}: {} -> {}", change.kind, change.of.name(), change.before, change.after)
            })
            .collect()
    }
}

#[tokio::test]
async fn each_reason_is_told_once_and_then_that_it_is_over() {
    use RefreshFailure::{Garbage, Status};
    let mut house = House::new();
    house.tell(Note::Sources(vec![news("sd", SourceState::Unseen), news("file", GOOD)])).await;
    assert_eq!(house.told(), [] as [&str; 0], "nobody was told that anything was wrong");
    // A server that fails now in one way and now in another.
    for reason in [Status, Status, Garbage, Status, Garbage] {
        house.look("sd", failing(reason)).await;
    }
    let two = ["source_failed sd: good -> status", "source_failed sd: status -> garbage"];
    assert_eq!(house.told(), two);

    // Neither a restart tells it again nor that nobody has looked yet.
    house.restart().await;
    house.tell(Note::Sources(vec![news("sd", SourceState::Unseen), news("file", GOOD)])).await;
    house.look("sd", failing(Status)).await;
    house.look("sd", failing(Garbage)).await;
    assert_eq!(house.told(), two);
    house.look("sd", GOOD).await;
    house.look("sd", GOOD).await;
    house.restart().await;
    house.look("sd", GOOD).await;
    assert_eq!(house.told()[2..], ["source_recovered sd: garbage -> good"]);
    house.look("sd", failing(Status)).await;
    assert_eq!(house.told()[3..], ["source_failed sd: good -> status"], "another time it is news again");
}

/// It is found out in one batch with all else, and each event has an identity of its own.
#[tokio::test]
async fn what_comes_together_is_told_in_its_order() {
    let house = House::new();
    let recorder = house.recorder.as_ref().unwrap();
    for state in [failing(RefreshFailure::Timeout), GOOD, failing(RefreshFailure::Timeout), GOOD] {
        recorder.notes.send(Note::Source(news("sd", state))).await.unwrap();
    }
    let both = vec![news("sd", GOOD), news("file", failing(RefreshFailure::Unreadable))];
    let snapshot = house.tell(Note::Sources(both)).await;
    assert_eq!(house.told().len(), 5);
    let counted = |kind| snapshot.totals.changes[&kind];
    assert_eq!((counted(ChangeKind::SourceFailed), counted(ChangeKind::SourceRecovered)), (3, 2));
}

/// A source that has left the configuration: nobody waits to hear that it is good again.
#[tokio::test]
async fn a_source_that_is_gone_is_forgotten() {
    let mut house = House::new();
    house.look("sd", failing(RefreshFailure::Denied)).await;
    house.look("file", failing(RefreshFailure::Invalid)).await;
    house.tell(Note::Sources(vec![news("file", failing(RefreshFailure::Invalid))])).await;
    house.restart().await;
    house.look("sd", GOOD).await;
    assert_eq!(house.told().len(), 2, "nothing is over of which nothing is known");
    house.look("sd", failing(RefreshFailure::Denied)).await;
    house.look("file", failing(RefreshFailure::Invalid)).await;
    assert_eq!(house.told()[2..], ["source_failed sd: good -> denied"], "the other one was never away");
}

/// What was told is deleted some day; that it was told is not.
#[tokio::test]
async fn a_trouble_that_lasts_longer_than_history_is_told_once_all_the_same() {
    let mut house = House::new();
    house.look("sd", failing(RefreshFailure::Denied)).await;
    house.stop().await;
    let (mut store, _) = Store::open(&house.path).unwrap();
    while store.prune(at(1000 * DAY)).unwrap() {}
    drop(store);
    assert_eq!(house.told(), [] as [&str; 0]);
    house.clock.set(at(1000 * DAY));
    house.recorder = Some(start(&house.path, &house.clock));
    house.look("sd", failing(RefreshFailure::Denied)).await;
    assert_eq!(house.told(), [] as [&str; 0]);
    house.look("sd", GOOD).await;
    assert_eq!(house.told(), ["source_recovered sd: denied -> good"]);
}

/// A look that brings nothing new is no reason to write.
#[tokio::test]
async fn a_look_that_brings_no_news_writes_nothing() {
    let house = House::new();
    house.look("sd", failing(RefreshFailure::Denied)).await;
    house.look("file", GOOD).await;
    let written = || std::fs::metadata(house.path.with_extension("db-wal")).unwrap().len();
    let before = written();
    assert!(before > 0);
    for _ in 0..10 {
        house.look("sd", failing(RefreshFailure::Denied)).await;
        house.look("file", GOOD).await;
    }
    house.tell(Note::Sources(vec![news("sd", failing(RefreshFailure::Denied)), news("file", GOOD)])).await;
    assert_eq!(written(), before);
}

/// A device and a source of the same name, and nothing of the one is the other's.
#[tokio::test]
async fn a_source_is_no_device() {
    let mut house = House::new();
    house.tell(Note::Inventory(vec![device("sd")])).await;
    house.tell(Note::Visited(Box::new(answered("sd", 1, "17.9.4")))).await;
    Outbox::open(&house.path, "sink").unwrap();
    house.look("sd", failing(RefreshFailure::Denied)).await;
    house.look("other", failing(RefreshFailure::Denied)).await;
    house.restart().await;
    let snapshot = house.tell(Note::Inventory(vec![])).await;
    assert!(snapshot.devices.is_empty());
    let snapshot = house.tell(Note::Inventory(vec![device("sd"), device("other")])).await;
    assert_eq!(snapshot.devices.len(), 2);
    assert!(
        snapshot.device("other").unwrap().known.visit.is_none(),
        "nothing is known of a device of that name"
    );

    let reader = Reader::open(&house.path).unwrap();
    let kinds = |device: &str| -> Vec<ChangeKind> {
        let changes = reader.changes(Some(&id(device)), 99).unwrap();
        changes.into_iter().map(|stored| stored.change.kind).collect()
    };
    assert_eq!(kinds("sd"), [ChangeKind::Returned, ChangeKind::Removed, ChangeKind::FirstSeen]);
    assert_eq!(kinds("other"), [], "neither removed nor returned");
    assert_eq!(reader.known_with_labels().unwrap().len(), 1);
    assert_eq!(reader.last_visits().unwrap().len(), 1);
    assert_eq!(reader.fleet_at(at(99), &Selector::default()).unwrap().len(), 1);
    let of_labels = Selector([("site".to_owned(), vec!["ams".to_owned()])].into_iter().collect());
    let filter = ChangeFilter { select: of_labels, ..ChangeFilter::default() };
    assert!(reader.changes_where(&filter, None, 99).unwrap().is_empty());
    // All of it in any order, page by page.
    for sort in [ChangeSort::Device, ChangeSort::Kind, ChangeSort::After, ChangeSort::Number] {
        let (mut behind, mut seen) = (None, 0);
        loop {
            let turn = Turn { sort, direction: versweep::order::Direction::Ascending, behind };
            let rows = reader.changes_sorted(&ChangeFilter::default(), turn, 1).unwrap();
            let Some(row) = rows.last() else { break };
            (behind, seen) = (Some(row.stored.number), seen + 1);
        }
        assert_eq!(seen, 5, "{sort:?}");
    }
    let turn =
        Turn { sort: EventSort::Device, direction: versweep::order::Direction::Ascending, behind: None };
    assert_eq!(reader.events_sorted(turn, 99).unwrap().len(), 5);
}

/// The events of a source as sinks get them.
#[tokio::test]
async fn an_event_of_a_source_names_it_and_no_device() {
    let house = House::new();
    let outbox = Outbox::open(&house.path, "sink").unwrap();
    house.look("sd", failing(RefreshFailure::Denied)).await;
    let [event]: [Event; 1] = outbox.next(9).unwrap().try_into().unwrap();
    assert_eq!(event.change.of, Whose::Source("sd".into()));
    assert_eq!(event.message(), "inventory source sd can't be used (denied): made up: denied");
    assert_eq!(event.id(), format!("{}:source_failed:sd", at(0).timestamp_micros()));
    assert!(Route::default().takes(&event));
    let some = Selector([("device".to_owned(), vec!["*".to_owned(), "sd".to_owned()])].into_iter().collect());
    assert!(
        !Route { select: some, ..Route::default() }.takes(&event),
        "who selects devices selects no source"
    );
    let kinds = vec![ChangeKind::SourceFailed];
    assert!(Route { kinds, ..Route::default() }.takes(&event));

    let told: Value =
        serde_json::from_slice(&CloudEvent::new("/versweep", &Post::Event(event.clone())).json()).unwrap();
    assert_eq!(told.get("subject"), None);
    assert_eq!(
        (&told["type"], &told["severity"]),
        (&"versweep.change.source_failed".into(), &"warning".into())
    );
    assert_eq!((&told["data"]["device"], &told["data"]["source"]), (&Value::Null, &"sd".into()));
    assert_eq!(told["data"]["subject"], "");

    // It can be asked for again by its identity, and has letters of its own.
    let ids = vec![event.id()];
    let passed = versweep::store::Settled {
        passed: event.sequence,
        delivered: 0,
        letters: Vec::new(),
        done: Vec::new(),
        waited: Duration::ZERO,
        now: at(1),
    };
    let mut outbox = outbox;
    let mut room = MailRoom::open(&house.path).unwrap();
    versweep::store::rename_sinks(&house.path, &["sink"]).unwrap();
    outbox.settle(&passed).unwrap();
    assert_eq!(room.again("sink", &Again::Ids(ids)).unwrap(), 1);
    let pile = outbox.pile(9).unwrap();
    assert_eq!(
        pile.held.iter().map(|held| held.of.clone()).collect::<Vec<_>>(),
        [Whose::Source("sd".into())]
    );
}

/// What was told of sources, by the file of events.
pub(crate) fn told(site: &Site, source: &str) -> Vec<String> {
    let events = crate::site::events(&site.path("events.jsonl"));
    let of_it = events.iter().filter(|event| event["source"] == source);
    of_it
        .map(|event| {
            assert_eq!(event["device"], Value::Null);
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            format!("{} {}", text("type").trim_start_matches("source_"), text("after"))
        })
        .collect()
}

fn devices(daemon: &Daemon) -> usize {
    daemon.page("/metrics").lines().filter(|line| line.starts_with("versweep_device_info{")).count()
}

/// A page of NetBox's with that many devices. It lacks a field of that name; of the third device where it is one of devices.
fn page(count: usize, lacks: &str) -> Reply {
    let device = |n: usize| {
        let mut device = serde_json::json!({ "id": n, "name": format!("sw{n}"),
            "platform": { "slug": "arista-eos" }, "primary_ip": { "address": format!("192.0.2.{n}/24") } });
        if n == 3 {
            device.as_object_mut().unwrap().remove(lacks);
        }
        device
    };
    let results: Vec<Value> = (1..=count).map(device).collect();
    let mut page = serde_json::json!({ "count": count, "next": null, "previous": null, "results": results });
    page.as_object_mut().unwrap().remove(lacks);
    Reply::Whole(200, page.to_string())
}

/// A daemon whose only source is that registry, `nb`.
fn with_registry(server: &SourceServer) -> (Site, Daemon) {
    with_registry_and(server, "")
}

/// The same with these tables behind it.
fn with_registry_and(server: &SourceServer, more: &str) -> (Site, Daemon) {
    let source = format!(
        "[[inventory]]\ntype = 'netbox'\nname = 'nb'\nurl = 'http://{}/'\nallow_private = true\ninterval = '1s'\n\
         token = {{ file = 'password' }}\n{more}",
        server.address()
    );
    let site = Site::new(1);
    let own = "[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n";
    site.write("versweep.toml", &site.config("schedule = 'never'", 8).replace(own, &source));
    let daemon = site.daemon();
    (site, daemon)
}

/// A registry whose token is refused, whose answers lack fields, and of whose devices one lacks its address: the metric and the
/// event say why.
#[test]
fn a_registry_that_answers_otherwise_is_told() {
    let server = SourceServer::start(move |_| page(10, ""));
    let (site, mut daemon) = with_registry(&server);
    assert_eq!(devices(&daemon), 10);
    let metric = |daemon: &Daemon, name: &str| {
        sample(&daemon.page("/metrics"), &format!("versweep_inventory_{name}{{source=\"nb\""))
    };

    // One device that lacks a field is left out, is counted, and has not left the network.
    server.answer(move |_| page(10, "primary_ip"));
    eventually("it is left out", || metric(&daemon, "dropped_entries") == Some(1.0));
    assert_eq!((devices(&daemon), metric(&daemon, "last_refresh_success")), (9, Some(1.0)));
    server.answer(move |_| page(10, ""));
    eventually("it is back", || devices(&daemon) == 10);

    let mut expected = Vec::new();
    for (reply, reason) in [
        (Reply::Whole(403, "{\"detail\":\"Invalid token\"}".into()), "denied"),
        (page(10, "results"), "garbage"),
        (page(0, ""), "shrunk"),
    ] {
        server.answer(move |_| reply.clone());
        expected.push(format!("failed {reason}"));
        eventually(reason, || told(&site, "nb") == expected);
        let series = format!("versweep_inventory_failure_info{{source=\"nb\",reason=\"{reason}\"}} 1");
        eventually(reason, || daemon.page("/metrics").contains(&series));
        assert_eq!(devices(&daemon), 10, "{reason}: what was known stays");
    }
    let events = crate::site::events(&site.path("events.jsonl"));
    let stays = |event: &Value| {
        event["why"].as_str().unwrap().starts_with("its last good list of 10 devices stays in force: ")
    };
    assert!(events.iter().all(stays), "{events:#?}");

    // A confirmation is the end of it.
    let url = format!("http://{}", site.web());
    let list = list_that_waits(&site, &url);
    let confirmed = site.versweep(&["inventory", "--confirm", "nb", "--list", &list, "--url", &url]);
    assert!(confirmed.status.success());
    eventually("it is over", || told(&site, "nb").last().is_some_and(|last| last == "recovered good"));
    let events = crate::site::events(&site.path("events.jsonl"));
    let last = events.iter().rfind(|event| event["type"] == "source_recovered").unwrap();
    assert_eq!((&last["before"], &last["why"]), (&"shrunk".into(), &"the shorter list was confirmed".into()));
    assert!(daemon.stop().success());
}

/// The API, the pages, the metrics and the commands tell of a source, and none of them takes it for a device.
#[test]
fn a_source_is_told_of_everywhere_and_is_a_device_nowhere() {
    let server = SourceServer::start(move |_| page(10, ""));
    let (site, daemon) = with_registry(&server);
    server.answer(|_| Reply::Whole(403, String::new()));
    eventually("it is told", || told(&site, "nb") == ["failed denied"]);

    let json = |path: &str| -> Value { serde_json::from_str(&get(site.web(), path).unwrap().body).unwrap() };
    let changes = json("/api/v1/changes?kind=source_failed");
    let change = &changes["changes"][0];
    assert_eq!((&change["device"], &change["source"]), (&Value::Null, &"nb".into()));
    assert!(change["id"].as_str().unwrap().ends_with(":source_failed:nb"), "{change}");
    assert_eq!(json("/api/v1/changes?device=nb")["changes"], Value::Array(vec![]));
    let events = json("/api/v1/events");
    assert_eq!(
        (events["events"].as_array().unwrap().len(), &events["events"][0]["source"]),
        (1, &"nb".into())
    );
    assert_eq!(json("/api/v1/events?device=nb")["events"], Value::Array(vec![]));
    assert_eq!(json("/api/v1/devices")["devices"].as_array().unwrap().len(), 10);
    assert_eq!(get(site.web(), "/api/v1/devices/nb").unwrap().status, 404);

    for path in ["/", "/changes", "/events", "/changes/1"] {
        let page = get(site.web(), path).unwrap().body;
        assert!(page.contains("inventory source nb"), "{path}");
        assert!(!page.contains("/devices/nb") && !page.contains("/devices/inventory"), "{path}");
        assert!(!page.contains("What the device said"), "{path}");
    }
    let page = daemon.page("/metrics");
    assert_eq!(sample(&page, "versweep_changes_total{kind=\"source_failed\"}"), Some(1.0));
    assert!(!page.contains("device=\"nb\"") && !page.contains("device=\"inventory"));

    let url = format!("http://{}", site.web());
    let store = site.path("versweep.db").to_str().unwrap().to_owned();
    for (arguments, wanted) in [
        (&["changes", "--url", &url][..], "inventory source nb  source_failed"),
        (&["export", "changes", "--store", &store, "--output", "csv"], ",,nb,source_failed,"),
    ] {
        let output = site.versweep(arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains(wanted), "{arguments:?}: {said}");
    }
}

/// The log named it in the field that holds a device's name.
#[test]
fn a_refused_event_of_a_source_is_logged_with_the_source() {
    let receiver = Receiver::start(|_| "400 No".to_owned());
    let sink = format!(
        "[[sink]]\ntype = 'webhook'\nname = 'hook'\nurl = '{}'\nallow_private = true\n",
        receiver.url()
    );
    let server = SourceServer::start(move |_| page(10, ""));
    let (_site, mut daemon) = with_registry_and(&server, &sink);
    server.answer(|_| Reply::Whole(403, String::new()));
    let refused =
        |daemon: &mut Daemon| daemon.log().iter().find(|line| line.contains("an event was refused")).cloned();
    eventually("it is refused", || refused(&mut daemon).is_some());
    let line = refused(&mut daemon).unwrap();
    assert!(line.contains("source=\"nb\"") && !line.contains("device="), "{line}");
}

/// What stands for the list that waits.
fn list_that_waits(site: &Site, url: &str) -> String {
    let arguments = ["inventory", "--config.file", "versweep.toml", "--url", url, "--output", "json"];
    let output = site.versweep(&arguments);
    let lines = crate::site::json_lines(&output.stdout);
    lines.iter().find_map(|line| line["list"].as_str()).unwrap().to_owned()
}

/// `versweep schema` and the checks of a configuration know the kinds.
#[test]
fn a_sink_may_ask_for_the_events_of_sources_only() {
    let folder = TempDir::new().unwrap();
    let config = "[[sink]]\ntype = 'jsonl'\npath = 'e'\nkinds = ['source_failed', 'source_recovered']\n";
    std::fs::write(folder.path().join("versweep.toml"), config).unwrap();
    let output = versweep(&["check"]).arg(folder.path().join("versweep.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("kinds"), "{said}");
}
