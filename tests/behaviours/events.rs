//! The events of a real daemon: sinks that come and go, a receiver that hangs, a store that others hold, and the documents.

use std::net::TcpListener;

use serde_json::Value;
use versweep::change::{Change, ChangeKind, Whose};
use versweep::device::{Labels, PlatformKey};
use versweep::event::{Event, Post, Severity};
use versweep::sink::CloudEvent;

use crate::daemon::{Daemon, eventually, sample};
use crate::daemon_run::{two_more_sweeps, until_all_are_known};
use crate::receiver::Receiver;
use crate::site::Site;
use crate::visits::{at, id, sweep_id};

fn webhook(name: &str, url: &str) -> String {
    format!(
        "[[sink]]\ntype = 'webhook'\nname = '{name}'\nurl = '{url}'\nallow_private = true\nkinds = ['upgrade', 'other', 'downgrade']\n"
    )
}

fn of_sink(daemon: &Daemon, metric: &str, sink: &str) -> Option<f64> {
    sample(&daemon.page("/metrics"), &format!("versweep_sink_{metric}{{sink=\"{sink}\"}}"))
}

/// Writes the usual configuration with more behind it, and has the daemon take it.
fn reload(site: &Site, more: &str) {
    let config = site.config("every = '1s'", 8);
    site.write("versweep.toml", &format!("{config}{more}"));
    let answer = crate::daemon::request(site.web(), "POST", "/-/reload").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A webhook that comes with a reload is told what happens from then on, one that goes is told nothing more, and the file
/// beside them goes on as if nothing were.
#[test]
fn sinks_are_exchanged_at_a_reload() {
    let site = Site::new(1);
    let (first, second) =
        (Receiver::start(|_| "200 OK".to_owned()), Receiver::start(|_| "200 OK".to_owned()));
    let mut daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    let device = &site.devices()[0];
    let step = |told: &Receiver, count: usize| {
        let (_, after) = site.upgrade(device, 1);
        eventually("it is told", || told.taken().len() == count);
        assert_eq!(told.taken().last().unwrap()["data"]["after"], after.as_str());
    };
    reload(&site, &webhook("hook", &first.url()));
    step(&first, 1);
    reload(&site, &webhook("hook", &second.url()));
    step(&second, 1);
    reload(&site, &webhook("hook", &second.url()));
    step(&second, 2);
    assert_eq!(of_sink(&daemon, "deliveries_total", "hook"), Some(3.0), "one sink by its name, one cursor");
    reload(&site, "");
    assert_eq!(of_sink(&daemon, "deliveries_total", "hook"), None);
    assert!(daemon.stop().success());
    assert_eq!((first.taken().len(), second.taken().len(), site.events().len()), (1, 2, 3), "each once");
}

/// A receiver that takes connections and answers nothing, for longer than this test lasts.
#[test]
fn a_receiver_that_hangs_slows_neither_sweeps_nor_other_sinks() {
    let site = Site::new(2);
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", hanging.local_addr().unwrap());
    let more = format!("{}timeout = '5m'\n", webhook("hangs", &url));
    site.write("versweep.toml", &format!("{}{more}", site.config("every = '1s'", 8)));
    let daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    for device in site.devices() {
        site.upgrade(device, 1);
    }
    let (_connection, _) = hanging.accept().unwrap();
    two_more_sweeps(&daemon);
    eventually("the file has both", || site.events().len() == 2);
    assert_eq!(of_sink(&daemon, "pending", "jsonl"), Some(0.0));
    assert!(of_sink(&daemon, "pending", "hangs") >= Some(1.0), "also while it is tried");
    // Ended by the drop: a graceful stop would wait for the grace.
}

#[test]
fn events_are_listed_and_told_again_beside_a_running_daemon() {
    let site = Site::new(1);
    let mut daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    site.upgrade(&site.devices()[0], 1);
    eventually("it is told", || site.events().len() == 1);
    let id = site.events()[0]["id"].as_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let arguments = [&["events", "--config.file", "versweep.toml"], arguments].concat();
        let output = site.versweep(&arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    eventually("nothing waits", || run(&["list", "--output", "json"]).1.is_empty());
    let (code, said, _) = run(&["replay", "--sink", "jsonl", "--id", &id]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "1 event goes to jsonl again, within half a minute when the daemon runs\n")
    );
    eventually("it comes again, the same", || {
        let events = site.events();
        events.len() == 2 && events[0] == events[1]
    });
    assert!(daemon.stop().success());

    // With nobody to carry it, it is listed.
    assert_eq!(run(&["replay", "--sink", "jsonl", "--since", "2020-01-01T00:00:00Z"]).0, Some(0));
    let (_, listed, _) = run(&["list", "--state", "held", "--output", "json"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), 2, "first_seen and the upgrade");
    assert_eq!((&listed[1]["id"], &listed[1]["error"]), (&id.into(), &"asked for again".into()));
    let (code, _, error) = run(&["replay", "--sink", "nobody"]);
    assert_eq!(
        (code, error.as_str()),
        (Some(1), "versweep: the store knows no sink \"nobody\", only: jsonl\n")
    );
    assert_eq!(run(&["replay", "--sink", "jsonl", "--id", "x"]).0, Some(1));
}

/// Another process holds the database's write lock for longer than a statement waits: nothing is lost, all goes on by
/// itself.
#[test]
fn a_store_that_another_process_holds_makes_everybody_wait() {
    let site = Site::new(1);
    let mut daemon = site.daemon();
    until_all_are_known(&daemon, &site);
    eventually("the first is told", || of_sink(&daemon, "pending", "jsonl") == Some(0.0));
    let held = rusqlite::Connection::open(site.path("versweep.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (_, after) = site.upgrade(&site.devices()[0], 1);
    eventually("it is told that the store takes nothing", || {
        daemon.log().iter().any(|line| line.contains("sweeps wait until it takes writes again"))
    });
    assert!(site.events().is_empty(), "nothing is told that is not committed");
    held.execute_batch("ROLLBACK").unwrap();
    drop(held);
    eventually("it is told in the end", || site.events().len() == 1);
    assert_eq!(site.events()[0]["after"], after.as_str());
    assert!(daemon.stop().success());
}

fn event(kind: ChangeKind) -> Post {
    let of_source = [ChangeKind::SourceFailed, ChangeKind::SourceRecovered].contains(&kind);
    let subject = if kind == ChangeKind::PolicyLost { "core" } else { "" }.to_owned();
    let change = Change {
        of: if of_source { Whose::Source("sd".into()) } else { id("core1.ams").into() },
        sweep: Some(sweep_id(7)),
        at: at(7),
        kind,
        subject,
        before: "17.9.4".into(),
        after: "17.12.3".into(),
        why: "newer".into(),
        confirmed: true,
    };
    let labels: Labels = [("site".to_owned(), "ams".to_owned())].into_iter().collect();
    let (platform, model) = (Some(PlatformKey::new("cisco_xe")), Some("C9300-48P".to_owned()));
    Post::Event(Event { sequence: 42, change, platform, model, labels })
}

fn digest(kind: ChangeKind) -> Post {
    let Post::Event(one) = event(kind) else { panic!() };
    let fold = versweep::event::fold(sweep_id(7), &[one.clone(), Event { sequence: 43, ..one }], 1, "site");
    Post::Digest(fold.digests[&42].clone())
}

fn json(post: &Post) -> Value {
    serde_json::from_slice(&CloudEvent::new("/versweep", post).json()).unwrap()
}

/// The rules of CloudEvents 1.0, section 2 of the specification and of its JSON format.
#[test]
fn every_event_keeps_the_rules_of_cloud_events() {
    for post in ChangeKind::ALL.into_iter().flat_map(|kind| [event(kind), digest(kind)]) {
        let event = json(&post);
        let attributes = event.as_object().unwrap();
        for (name, value) in attributes.iter().filter(|(name, _)| *name != "data") {
            assert!(
                name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{name}"
            );
            assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{name}: {value}");
        }
        for required in ["id", "source", "specversion", "type"] {
            assert!(attributes.contains_key(required), "{required}");
        }
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["datacontenttype"], "application/json");
        assert!(chrono::DateTime::parse_from_rfc3339(event["time"].as_str().unwrap()).is_ok());
        assert!(event["data"].is_object());
        assert_eq!(event["severity"], Severity::of(post.kind()).as_str());
    }
}

/// docs/events.md and docs/event.schema.json name all there is, and nothing else.
#[test]
fn the_documents_name_every_kind_attribute_and_field() {
    let guide = include_str!("../../docs/events.md");
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with("| `")).collect();
    let has_row =
        |name: &str| rows.iter().any(|row| row.split('|').nth(1).unwrap().contains(&format!("`{name}`")));
    let told = json(&event(ChangeKind::Upgrade));
    for name in told.as_object().unwrap().keys().chain(told["data"].as_object().unwrap().keys()) {
        let known = ["specversion", "datacontenttype", "data"].contains(&name.as_str());
        assert!(known || has_row(name), "{name}");
    }
    for field in json(&digest(ChangeKind::Upgrade))["data"].as_object().unwrap().keys() {
        assert!(guide.contains(&format!("`{field}`")), "{field}");
    }
    for kind in ChangeKind::ALL {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| `{kind}` |"))), "{kind}");
        let severity = rows.iter().any(|row| {
            row.starts_with(&format!("| `{kind}` | `"))
                && row.ends_with(&format!("| {} |", Severity::of(kind)))
        });
        assert!(severity, "{kind}: the journal's table");
    }
    // The example is an event as it leaves.
    let line = guide.lines().find(|line| line.starts_with("{\"specversion\"")).unwrap();
    let example: Value = serde_json::from_str(line).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((names(&example), names(&example["data"])), (names(&told), names(&told["data"])));

    let schema: Value = serde_json::from_str(include_str!("../../docs/event.schema.json")).unwrap();
    let kinds: Vec<_> = ChangeKind::ALL.into_iter().map(ChangeKind::as_str).collect();
    assert_eq!(schema["$defs"]["kind"]["enum"], serde_json::json!(kinds));
    for (post, definition) in
        [(event(ChangeKind::Upgrade), "change"), (digest(ChangeKind::Upgrade), "digest")]
    {
        let mut required: Vec<_> = schema["$defs"][definition]["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        required.sort_unstable();
        let mut given = names(&json(&post)["data"]);
        given.sort_unstable();
        assert_eq!(given, required, "{definition}");
    }
    assert_eq!(schema["properties"]["dataschema"]["const"], versweep::sink::SCHEMA);
}
