//! Events on their way out: in order, at least once, never in the recorder's way.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use versweep::change::ChangeKind;
use versweep::clock::SystemClock;
use versweep::courier::{self, Setup};
use versweep::diff::{FlapRules, Rules, apply, diff};
use versweep::known::Known;
use versweep::sink::{DIGEST_ID, Journal, Jsonl, Rotation, Sink, message_id};
use versweep::store::{Batch, Outbox, Store, Visit};

use crate::visits::{answered, sweep_id};

/// A store with one event for each version after the first.
pub(crate) fn store_with(folder: &TempDir, versions: &[&str]) -> (Store, PathBuf, i64) {
    let path = folder.path().join("versweep.db");
    let (mut store, _) = Store::open(&path).unwrap();
    store.set_sinks(&["test"]).unwrap();
    let sequence = commit(&mut store, "core1.ams", versions);
    (store, path, sequence)
}

pub(crate) fn commit(store: &mut Store, device: &str, versions: &[&str]) -> i64 {
    let rules = Rules {
        down_after: 3,
        order: &|_, _| Some(std::cmp::Ordering::Less),
        flapping: FlapRules::OFF,
        even_clock: true,
    };
    let mut known = Known::default();
    let mut batch = Batch::default();
    for (second, version) in (1..).zip(versions) {
        let observation = answered(device, second, version);
        let before = known.clone();
        let mut changes = diff(&before, &observation, &rules);
        changes.retain(|change| change.kind != ChangeKind::FirstSeen);
        known = apply(&before, &observation, &rules);
        batch.visits.push(Visit {
            device: observation.device,
            before,
            after: known.clone(),
            changes,
            raw: None,
            labels: None,
        });
    }
    store.commit(&batch).unwrap()
}

/// A file of JSON lines that is never rotated.
fn jsonl(path: &Path) -> Sink {
    Sink::jsonl(Jsonl::new(path, None, "/test"))
}

/// Runs a courier over what is in the outbox until it has ended.
async fn carry(sink: Sink, store: &Path, sequence: i64) -> versweep::status::SinkStatus {
    let (news, seen) = watch::channel(sequence);
    let clock = Arc::new(SystemClock);
    let courier = courier::start(Setup::plain("test", sink), store, seen, clock).unwrap();
    drop(news);
    courier.done.await.unwrap();
    courier.status.borrow().clone()
}

pub(crate) fn lines(path: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn json_lines_are_as_documented() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["17.9.4", "17.12.3\u{1b}[31m"]);
    let file = folder.path().join("events.jsonl");
    let status = carry(jsonl(&file), &db, sequence).await;
    assert_eq!((status.deliveries, status.pending, status.failures, status.oldest_pending), (1, 0, 0, None));
    let sweep = sweep_id(2);
    let expected = format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{sweep}:upgrade:core1.ams\",\"source\":\"/test\",\
         \"type\":\"versweep.change.upgrade\",\"subject\":\"core1.ams\",\"time\":\"2026-09-21T14:13:22.000Z\",\
         \"severity\":\"notice\",\"datacontenttype\":\"application/json\",\
         \"dataschema\":\"urn:versweep:schema:change:1\",\"data\":{{\"sequence\":1,\"kind\":\"upgrade\",\
         \"device\":\"core1.ams\",\"source\":null,\"platform\":\"cisco_xe\",\"model\":\"C9300-48P\",\"labels\":{{}},\"before\":\"17.9.4\",\
         \"after\":\"17.12.3\u{fffd}[31m\",\"subject\":\"\",\"why\":\"newer by the order of cisco_xe\",\
         \"confirmed\":false,\"sweep\":\"{sweep}\",\
         \"message\":\"core1.ams was upgraded from 17.9.4 to 17.12.3\u{fffd}[31m\"}}}}\n"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777 & !0o640, 0);
}

#[tokio::test]
async fn a_cursor_outlives_the_process_and_nothing_comes_twice() {
    let folder = TempDir::new().unwrap();
    let (mut store, db, sequence) = store_with(&folder, &["1", "2", "3"]);
    let file = folder.path().join("events.jsonl");
    carry(jsonl(&file), &db, sequence).await;
    carry(jsonl(&file), &db, sequence).await;
    assert_eq!(lines(&file).len(), 2);
    let versions: Vec<_> = (1..700).map(|number| number.to_string()).collect();
    let sequence = commit(&mut store, "core2.ams", &versions.iter().map(String::as_str).collect::<Vec<_>>());
    let status = carry(jsonl(&file), &db, sequence).await;
    let sequences: Vec<_> =
        lines(&file).iter().map(|line| line["data"]["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted() && sequences.len() > 690, "several handfuls, in order");
    assert_eq!((status.deliveries, status.pending), (sequences.len() as u64, 0));
}

#[tokio::test]
async fn a_torn_last_line_doesnt_spoil_the_next() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2"]);
    let file = folder.path().join("events.jsonl");
    std::fs::write(&file, "{\"id\":\"to").unwrap();
    carry(jsonl(&file), &db, sequence).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let (torn, whole) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"id\":\"to");
    assert_eq!(serde_json::from_str::<serde_json::Value>(whole).unwrap()["data"]["after"], "2");
}

#[tokio::test]
async fn the_journal_gets_structured_fields() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["17.9.4", "17.12.3\nPRIORITY=0"]);
    let socket = folder.path().join("journal");
    let journald = UnixDatagram::bind(&socket).unwrap();
    carry(Sink::journal(Journal::new(&socket)), &db, sequence).await;
    journald.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bytes = [0; 4096];
    let length = journald.recv(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..length]).unwrap();
    let mut fields: Vec<_> = text.lines().map(|line| line.split_once('=').unwrap()).collect();
    fields.sort_unstable();
    let sweep = sweep_id(2).to_string();
    let event = format!("{sweep}:upgrade:core1.ams");
    let expected = [
        ("MESSAGE", "core1.ams was upgraded from 17.9.4 to 17.12.3\u{fffd}PRIORITY=0"),
        ("MESSAGE_ID", message_id(versweep::change::ChangeKind::Upgrade)),
        ("PRIORITY", "5"),
        ("SYSLOG_IDENTIFIER", "versweep"),
        ("VERSWEEP_AFTER", "17.12.3\u{fffd}PRIORITY=0"),
        ("VERSWEEP_BEFORE", "17.9.4"),
        ("VERSWEEP_CONFIRMED", "false"),
        ("VERSWEEP_DEVICE", "core1.ams"),
        ("VERSWEEP_EVENT_ID", &event),
        ("VERSWEEP_KIND", "upgrade"),
        ("VERSWEEP_MODEL", "C9300-48P"),
        ("VERSWEEP_PLATFORM", "cisco_xe"),
        ("VERSWEEP_SWEEP", &sweep),
        ("VERSWEEP_TIME", "2026-09-21T14:13:22.000Z"),
        ("VERSWEEP_WHY", "newer by the order of cisco_xe"),
    ];
    assert_eq!(fields, expected);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_down_gets_everything_when_it_is_back() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2", "3"]);
    let socket = folder.path().join("journal");
    let (_news, seen) = watch::channel(sequence);
    let setup = Setup::plain("test", Sink::journal(Journal::new(&socket)));
    let mut courier = courier::start(setup, &db, seen, Arc::new(SystemClock)).unwrap();
    let down = courier.status.wait_for(|status| status.failures == 3).await.unwrap().clone();
    assert_eq!((down.pending, down.deliveries), (2, 0));
    assert!(down.oldest_pending.is_some());
    let journald = UnixDatagram::bind(&socket).unwrap();
    let up = courier.status.wait_for(|status| status.pending == 0).await.unwrap().clone();
    assert_eq!((up.deliveries, up.failures >= 3), (2, true));
    let mut bytes = [0; 4096];
    for after in ["VERSWEEP_AFTER=2\n", "VERSWEEP_AFTER=3\n"] {
        let length = journald.recv(&mut bytes).unwrap();
        assert!(std::str::from_utf8(&bytes[..length]).unwrap().contains(after));
    }
}

#[tokio::test]
async fn a_stop_leaves_undelivered_events_in_the_store() {
    let folder = TempDir::new().unwrap();
    let (_store, db, sequence) = store_with(&folder, &["1", "2"]);
    let status = carry(jsonl(folder.path()), &db, sequence).await;
    assert_eq!((status.pending, status.failures > 0), (1, true), "a folder is no file");
    assert_eq!(Outbox::open(&db, "test").unwrap().next(10).unwrap().len(), 1);
}

#[test]
fn the_guide_names_every_kind_with_its_message_id() {
    let guide = include_str!("../../docs/events.md");
    for kind in versweep::change::ChangeKind::ALL {
        assert!(guide.contains(&format!("| `{kind}` | `{}` |", message_id(kind))), "{kind}");
    }
}

#[tokio::test]
async fn a_file_is_put_aside_at_its_size_and_the_oldest_goes() {
    let folder = TempDir::new().unwrap();
    let (mut store, db, _) = store_with(&folder, &["1", "2"]);
    let file = folder.path().join("events.jsonl");
    let rotation = Some(Rotation { size: 600, keep: 2 });
    let mut sequence = 0;
    for round in 0..5 {
        sequence = commit(&mut store, &format!("core{round}.lon"), &["1", "2"]);
        carry(Sink::jsonl(Jsonl::new(&file, rotation, "/test")), &db, sequence).await;
    }
    let named = |ending: &str| folder.path().join(format!("events.jsonl{ending}"));
    let last = |path: &Path| lines(path).last().unwrap()["data"]["sequence"].as_i64().unwrap();
    // Each line is larger than half the size: every delivery begins a file of its own.
    assert_eq!([last(&file), last(&named(".1")), last(&named(".2"))], [sequence, sequence - 1, sequence - 2]);
    assert!(!named(".3").exists());
}

/// Text and page of every kind, as `journalctl -x` shows them.
#[test]
fn the_catalog_explains_every_message_id() {
    let catalog = include_str!("../../systemd/versweep.catalog");
    let ids = ChangeKind::ALL.into_iter().map(message_id).chain([DIGEST_ID]);
    for id in ids {
        let entry =
            catalog.split("-- ").find(|entry| entry.starts_with(id)).unwrap_or_else(|| panic!("{id}"));
        for part in ["\nSubject: ", "\nDefined-By: versweep\n", "\n\n"] {
            assert!(entry.contains(part), "{id}: {part:?}");
        }
    }
    assert_eq!(
        catalog.matches("\n-- ").count() + usize::from(catalog.starts_with("-- ")),
        ChangeKind::ALL.len() + 1
    );
}
