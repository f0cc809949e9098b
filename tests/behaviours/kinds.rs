//! Rule 13: each kind of change with what was before, what is now, why, the sweep, and whether it was confirmed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::{Judgement, Note, SourceNews, SourceState};
use versweep::change::{Change, ChangeKind};
use versweep::clock::ManualClock;
use versweep::device::Device;
use versweep::diff::FlapRules;
use versweep::facts::{Facts, Member, More};
use versweep::failure::FailureKind;
use versweep::observation::{Observation, Outcome};
use versweep::recorder::Recorder;
use versweep::status::RefreshFailure;
use versweep::store::{Reader, Store};
use versweep::version::Version;

use crate::policy::policies;
use crate::visits::{answered, answered_with, at, device, facts, failed, id, judgement};

/// What two readings said.
fn twice(observation: Observation) -> Observation {
    Observation { confirmed: true, ..observation }
}

fn with_parts(patches: &[&str], members: &[&str]) -> Facts {
    let member = |name: &&str| Member {
        name: (*name).to_owned(),
        version: Some(Version::new("17.9.4")),
        model: None,
        serial: None,
    };
    let more = More {
        members: members.iter().map(member).collect(),
        patches: patches.iter().map(|patch| (*patch).to_owned()).collect(),
        next_boot: None,
    };
    Facts { more: Some(Box::new(more)), ..facts("17.9.4") }
}

fn up_for(minutes: u64) -> Facts {
    Facts { uptime: Some(Duration::from_secs(60 * minutes)), ..facts("17.9.4") }
}

/// The devices' visits, by name; each device is made for the kind that it is named after.
fn visits() -> Vec<Observation> {
    let changed = |device: &'static str, before: Facts, after: Facts| {
        [answered_with(device, 1, before), twice(answered_with(device, 4_000, after))]
    };
    let version = |device: &'static str, after: &str| changed(device, facts("17.9.4"), facts(after));
    let mut all = Vec::new();
    all.extend(version("upgrade", "17.12.3"));
    all.extend(version("downgrade", "17.6.1"));
    all.extend(version("other", "a word"));
    all.extend(changed("patched", with_parts(&["A"], &["1"]), with_parts(&["A", "B"], &["1"])));
    all.extend(changed(
        "image",
        facts("17.9.4"),
        Facts { image: Some("flash:other".into()), ..facts("17.9.4") },
    ));
    all.extend(changed("members", with_parts(&[], &["1", "2"]), with_parts(&[], &["1"])));
    all.extend(changed(
        "replaced",
        facts("17.9.4"),
        Facts { serial: Some("FOC2".into()), ..facts("17.9.4") },
    ));
    all.extend([answered("host_key", 1, "17.9.4"), failed("host_key", 2, FailureKind::HostKey)]);
    all.push(answered("first_seen", 1, "17.9.4"));
    all.extend([answered("removed", 1, "17.9.4"), answered("returned", 1, "17.9.4")]);
    all.push(Observation { identity: Some("n:1".into()), ..answered("before", 1, "17.9.4") });
    all.push(answered("unreachable", 1, "17.9.4"));
    all.extend((2..5).map(|second| failed("unreachable", second, FailureKind::Timeout)));
    all.push(answered("recovered", 1, "17.9.4"));
    all.extend((2..5).map(|second| failed("recovered", second, FailureKind::Timeout)));
    all.push(answered("recovered", 5, "17.9.4"));
    all.extend(changed("rebooted", up_for(600), up_for(5)));
    all.extend(version("policy_lost", "17.12.3"));
    all.extend(version("policy_regained", "17.12.3"));
    all.push(twice(answered("policy_regained", 4_001, "17.9.5")));
    let mut reread = answered_with("parser", 2, Facts { model: Some("C9300".into()), ..facts("17.9.4") });
    if let Outcome::Answered { reading, .. } = &mut reread.outcome {
        reading.revision += 1;
    }
    all.extend([answered("parser", 1, "17.9.4"), reread]);
    let turns = ["17.9.4", "17.12.3"].into_iter().cycle();
    all.extend((1..7).zip(turns).map(|(second, version)| twice(answered("flapping", second, version))));
    all
}

/// Records them all; the first change of each device that is of the kind it is named after.
async fn told(path: &Path) -> Vec<Change> {
    let (store, loaded) = Store::open(path).unwrap();
    let only = ["policy_lost", "policy_regained"].map(|name| format!("'{name}'")).join(", ");
    let policy = format!("[[policy]]\nname = 'p'\nselect = {{ device = [{only}] }}\napproved = '17.9.*'\n");
    let flapping = FlapRules { changes: 5, window: TimeDelta::hours(1) };
    let judgement = Judgement { flapping, policies: policies(&policy), ..judgement() };
    let recorder = Recorder::start(store, loaded, judgement, Arc::new(ManualClock::new(at(9_000))));
    let names: Vec<&str> = ChangeKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let all = |without: &[&str]| -> Note {
        let there = names.iter().filter(|name| !without.contains(name));
        // Known by its identity, and called `renamed` at the end.
        let renamed = if without.is_empty() { "before" } else { "renamed" };
        let renamed = Device { id: id(renamed), identity: Some("n:1".into()), ..(*device("x")).clone() };
        let others = there.filter(|name| **name != "renamed").map(|name| device(name));
        Note::Inventory(others.chain([Arc::new(renamed)]).collect())
    };
    recorder.notes.send(all(&[])).await.unwrap();
    for visit in visits() {
        recorder.notes.send(Note::Visited(Box::new(visit))).await.unwrap();
    }
    let source = |source: &str, state| SourceNews { source: source.into(), state };
    let failing = || SourceState::Failing { reason: RefreshFailure::Garbage, why: "no list".to_owned() };
    let news = ["source_failed", "source_recovered"].map(|name| source(name, failing())).to_vec();
    recorder.notes.send(Note::Sources(news)).await.unwrap();
    let good = SourceState::Good { why: "the last look at it was good" };
    recorder.notes.send(Note::Source(source("source_recovered", good))).await.unwrap();
    recorder.notes.send(all(&["removed", "returned"])).await.unwrap();
    recorder.notes.send(all(&["removed"])).await.unwrap();
    let (flush, flushed) = oneshot::channel();
    recorder.notes.send(Note::Flush(flush)).await.unwrap();
    flushed.await.unwrap();
    drop(recorder.notes);
    recorder.done.await.unwrap().unwrap();
    let mut changes = Reader::open(path).unwrap().changes(None, 999).unwrap();
    changes.reverse();
    let own = |kind: &ChangeKind| {
        let mut of_kind = changes.iter().filter(|stored| stored.change.kind == *kind);
        let own = of_kind.find(|stored| stored.change.of.name() == kind.as_str());
        own.unwrap_or_else(|| panic!("no {kind} in {changes:#?}")).change.clone()
    };
    ChangeKind::ALL.iter().map(own).collect()
}

#[tokio::test]
async fn each_kind_is_told_with_all_that_explains_it() {
    let folder = TempDir::new().unwrap();
    let told = told(&folder.path().join("versweep.db")).await;
    // What was read once only, and what no sweep finds.
    let once = [ChangeKind::HostKey, ChangeKind::FirstSeen, ChangeKind::Parser];
    let of_source = [ChangeKind::SourceFailed, ChangeKind::SourceRecovered];
    let by_inventory =
        [&of_source[..], &[ChangeKind::Removed, ChangeKind::Returned, ChangeKind::Renamed]].concat();
    let with_subject = [ChangeKind::PolicyLost, ChangeKind::PolicyRegained, ChangeKind::Flapping];
    for change in told {
        let kind = change.kind;
        assert!(!change.why.is_empty(), "{change:?}");
        assert!(!change.after.is_empty(), "{change:?}");
        assert_eq!(change.before.is_empty(), kind == ChangeKind::FirstSeen, "{change:?}");
        assert_ne!(change.before, change.after, "{change:?}");
        assert_eq!(change.confirmed, !once.contains(&kind), "{change:?}");
        assert_eq!(change.sweep.is_none(), by_inventory.contains(&kind), "{change:?}");
        assert_eq!(change.device().is_none(), of_source.contains(&kind), "{change:?}");
        assert_eq!(change.subject.is_empty(), !with_subject.contains(&kind), "{change:?}");
    }
}
