//! Looking back: which version ran when, the fleet at a past instant, changes by time, device, kind and label, what a device
//! said before and after, exports and reports.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::Note;
use versweep::change::ChangeKind;
use versweep::clock::ManualClock;
use versweep::device::{Device, Selector};
use versweep::failure::FailureKind;
use versweep::observation::{Observation, Outcome};
use versweep::recorder::Recorder;
use versweep::store::{ChangeFilter, Reader, Store};

use crate::site::{json_lines, versweep};
use crate::visits::{answered, at, device, failed, id, judgement};

fn at_site(name: &str, site: &str) -> Arc<Device> {
    let labels = [("site".to_owned(), site.to_owned()), ("role".to_owned(), "core".to_owned())];
    Arc::new(Device { labels: labels.into_iter().collect(), ..(*device(name)).clone() })
}

/// A small past: `a` and `b` in ams, `c` in nyc. `a` goes 17.9.4 -> 17.12.3 at 200 and fails at 300; `b` leaves at 250.
async fn past(folder: &Path) -> Reader {
    let path = folder.join("versweep.db");
    let (store, loaded) = Store::open(&path).unwrap();
    let clock = ManualClock::new(at(0));
    let recorder = Recorder::start(store, loaded, judgement(), Arc::new(clock.clone()));
    let flush = async || {
        let (flush, flushed) = oneshot::channel();
        recorder.notes.send(Note::Flush(flush)).await.unwrap();
        flushed.await.unwrap();
    };
    let all = vec![at_site("a", "ams"), at_site("b", "ams"), at_site("c", "nyc")];
    recorder.notes.send(Note::Inventory(all.clone())).await.unwrap();
    let visits = [
        answered("a", 100, "17.9.4"),
        answered("b", 110, "17.9.4"),
        answered("c", 120, "=cmd|'/c calc'!A1"),
        answered("a", 150, "17.9.4"),
        answered("a", 200, "17.12.3"),
        failed("a", 300, FailureKind::Timeout),
    ];
    for visit in visits {
        recorder.notes.send(Note::Visited(Box::new(visit))).await.unwrap();
    }
    flush().await;
    clock.set(at(250));
    recorder.notes.send(Note::Inventory(vec![Arc::clone(&all[0]), Arc::clone(&all[2])])).await.unwrap();
    flush().await;
    drop(recorder.notes);
    recorder.done.await.unwrap().unwrap();
    Reader::open(&path).unwrap()
}

fn by(label: &str, value: &str) -> Selector {
    Selector([(label.to_owned(), vec![value.to_owned()])].into())
}

/// The changes that a filter means, as `device kind`, oldest first.
fn changes(reader: &Reader, filter: &ChangeFilter) -> Vec<String> {
    let mut all = Vec::new();
    let each = |row: versweep::store::ChangeRow| {
        all.push(format!("{} {}", row.stored.change.of, row.stored.change.kind));
        ControlFlow::Continue(())
    };
    reader.each_change(filter, each).unwrap();
    let mut newest: Vec<String> = reader
        .changes_where(filter, None, 999)
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row.stored.change.of, row.stored.change.kind))
        .collect();
    newest.reverse();
    assert_eq!(all, newest, "both ways of asking mean the same rows");
    all
}

#[tokio::test]
async fn changes_are_found_by_time_device_kind_and_label() {
    let folder = TempDir::new().unwrap();
    let reader = past(folder.path()).await;
    let all = ChangeFilter::default;
    assert_eq!(
        changes(&reader, &all()),
        ["a first_seen", "b first_seen", "c first_seen", "a upgrade", "b removed"]
    );
    let since = ChangeFilter { since: Some(at(200)), ..all() };
    assert_eq!(changes(&reader, &since), ["a upgrade", "b removed"]);
    let until = ChangeFilter { since: Some(at(110)), until: Some(at(200)), ..all() };
    assert_eq!(changes(&reader, &until), ["b first_seen", "c first_seen"]);
    let device = ChangeFilter { device: Some(id("a")), ..all() };
    assert_eq!(changes(&reader, &device), ["a first_seen", "a upgrade"]);
    let kinds = ChangeFilter { kinds: vec![ChangeKind::Removed, ChangeKind::Upgrade], ..all() };
    assert_eq!(changes(&reader, &kinds), ["a upgrade", "b removed"]);
    // A device that left keeps the site it had.
    let ams = ChangeFilter { select: by("site", "ams"), since: Some(at(111)), ..all() };
    assert_eq!(changes(&reader, &ams), ["a upgrade", "b removed"]);
    assert_eq!(changes(&reader, &ChangeFilter { select: by("site", "x' OR '1'='1"), ..all() }), [""; 0]);
    assert_eq!(changes(&reader, &ChangeFilter { select: by("platform", "cisco_xe"), ..all() }).len(), 5);
    let first = &reader.changes_where(&all(), None, 1).unwrap()[0];
    assert_eq!(first.labels.get("site"), Some("ams"));
    let next = reader.changes_where(&all(), Some(first.stored.number), 1).unwrap();
    assert_eq!(next[0].stored.change.kind, ChangeKind::Upgrade, "a page further");
}

#[tokio::test]
async fn the_fleet_is_known_at_any_past_instant() {
    let folder = TempDir::new().unwrap();
    let reader = past(folder.path()).await;
    let fleet = |seconds: i64, select: &Selector| -> Vec<String> {
        let past = reader.fleet_at(at(seconds), select).unwrap();
        past.iter().map(|past| format!("{} {}", past.device, past.version)).collect()
    };
    let all = Selector::default();
    assert_eq!(fleet(99, &all), [""; 0], "nobody had answered yet");
    assert_eq!(fleet(100, &all), ["a 17.9.4"]);
    assert_eq!(fleet(199, &by("site", "ams")), ["a 17.9.4", "b 17.9.4"]);
    assert_eq!(fleet(200, &by("site", "ams")), ["a 17.12.3", "b 17.9.4"]);
    assert_eq!(fleet(250, &by("role", "core"))[0], "a 17.12.3", "b is no longer in the inventory");
    assert_eq!(fleet(250, &all).len(), 2);
    let then = &reader.fleet_at(at(180), &by("device", "a")).unwrap()[0];
    assert_eq!((then.since, then.seen), (at(100), at(150)), "last seen with it before that instant");
    let now = &reader.fleet_at(at(9_999), &by("device", "a")).unwrap()[0];
    assert_eq!((now.since, now.seen), (at(200), at(200)), "a failed visit is no answer");
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = versweep(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn exports_are_for_programs_and_spreadsheets() {
    let folder = TempDir::new().unwrap();
    let _reader = past(folder.path()).await;
    let store = folder.path().join("versweep.db");
    let export = |more: &[&str]| {
        let whole = [&["export", more[0], "--store", store.to_str().unwrap()], &more[1..]].concat();
        let (code, out, err) = run(&whole);
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let lines = json_lines(export(&["changes", "--kind", "upgrade", "--output", "json"]).as_bytes());
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(
        (&line["device"], &line["before"], &line["after"]),
        (&"a".into(), &"17.9.4".into(), &"17.12.3".into())
    );
    assert_eq!((&line["labels"]["site"], &line["confirmed"]), (&"ams".into(), &Value::Bool(false)));
    let csv = export(&["versions", "--select", "site=nyc"]);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "device,platform,version,first_seen,last_seen,current,labels");
    assert_eq!(rows.len(), 2);
    assert!(
        rows[1].starts_with("c,cisco_xe,'=cmd|'/c calc'!A1,"),
        "no formula for a spreadsheet: {}",
        rows[1]
    );
    assert!(rows[1].ends_with(",true,role=core;site=nyc"), "{}", rows[1]);
    let then = at(180).to_rfc3339();
    let table = export(&["devices", "--at", &then, "--output", "table"]);
    assert!(table.contains("17.9.4") && !table.contains("17.12.3"), "{table}");
    let by_devices = run(&["devices", "--at", &then, "--store", store.to_str().unwrap()]);
    assert_eq!(by_devices.1, table, "{}", by_devices.2);
    for (wrong, says) in [("--since=someday", "write a date"), ("--kind=upgrades", "there are: upgrade")] {
        let (code, _, err) = run(&["export", "changes", wrong]);
        assert_eq!(code, Some(64));
        assert!(err.contains(says), "{err}");
    }
}

#[tokio::test]
async fn one_device_shows_its_past_and_what_it_said() {
    let folder = TempDir::new().unwrap();
    let _reader = past(folder.path()).await;
    let store = folder.path().join("versweep.db");
    let (code, out, err) = run(&["history", "a", "--diff", "--store", store.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    for expected in [
        "a was upgraded from 17.9.4 to 17.12.3 (newer by the order of cisco_xe, read once)",
        "-Cisco IOS XE Software, Version 17.9.4\n+Cisco IOS XE Software, Version 17.12.3\n",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    let (code, _, err) = run(&["history", "nobody", "--store", store.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing is known of nobody"), "{err}");
}

#[tokio::test]
async fn a_report_shows_versions_drift_odd_ones_and_changes() {
    let folder = TempDir::new().unwrap();
    let _reader = past(folder.path()).await;
    let config = folder.path().join("versweep.toml");
    let text = "[store]\npath = 'versweep.db'\n[credentials.lab]\nusername = 'u'\npassword = { file = 'none' }\n\
        [[policy]]\nname = 'p'\nselect = { site = 'ams' }\napproved = '17.9.*'\nmax_age = '3660d'\n";
    std::fs::write(&config, text).unwrap();
    let report =
        |more: &[&str]| run(&[&["report", "--config.file", config.to_str().unwrap()], more].concat());
    let (code, out, err) = report(&["--since", "2020-01-01"]);
    assert_eq!(code, Some(0), "secrets are not asked for: {err}");
    for expected in [
        "## Versions by platform\n",
        "| cisco\\_xe | C9300-48P | 17.12.3 | 1 |\n",
        "## Drift from policies\n",
        "| a | p | drifted | 17.12.3 | 17.12.3 is not among the approved versions |\n",
        "## Odd ones out\n",
        "## Changes\n",
        "3 first\\_seen, 1 removed, 1 upgrade",
    ] {
        assert!(out.contains(expected), "{expected}:\n{out}");
    }
    assert!(!out.contains("| b | p |"), "b is no longer in the inventory: {out}");
    let (code, out, _) = report(&["--format", "csv", "--section", "drift"]);
    assert_eq!((code, out.lines().next()), (Some(0), Some("device,policy,result,version,why")));
    assert_eq!(out.lines().count(), 2);
    let (code, _, err) = report(&["--format", "csv"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("give one --section"), "{err}");
}

/// What another profile revision reads is kept apart from what two readings of one sweep must agree on.
#[test]
fn what_is_news_is_read_twice_and_what_was_only_read_anew_is_not() {
    use versweep::diff::{disagreement, wants_second_reading};
    use versweep::facts::Facts;

    use crate::visits::facts;
    let reading = |observation: Observation| match observation.outcome {
        Outcome::Answered { reading, .. } => reading,
        Outcome::Failed { .. } => panic!("an answer"),
    };
    let with = |facts: Facts| reading(crate::visits::answered_with("a", 1, facts));
    let last = with(facts("17.9.4"));
    let other_serial = with(Facts { serial: Some("FOC2".into()), ..facts("17.9.4") });
    let other_host = with(Facts { hostname: Some("renamed".into()), ..facts("17.9.4") });
    let no_model = with(Facts { model: None, ..facts("17.9.4") });
    assert!(wants_second_reading(&last, &with(facts("17.12.3"))));
    assert!(wants_second_reading(&last, &other_serial));
    assert!(!wants_second_reading(&last, &last));
    assert!(!wants_second_reading(&last, &other_host), "a name is no fact of what runs");
    assert!(!wants_second_reading(&last, &no_model), "a field must stand in both answers to differ");
    let mut anew = other_serial.clone();
    anew.revision += 1;
    assert!(!wants_second_reading(&last, &anew), "that will be told as parser");
    let apart = disagreement(&last.facts, &other_serial.facts).unwrap();
    assert_eq!(apart, "serial number FOC0001TEST and then FOC2");
}
