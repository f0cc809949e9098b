//! kill -9 at any instant loses no committed change and invents none (behaviour 19).
//!
//! A child process runs the real store, recorder and JSON lines sink on a script in which something happens at every
//! visit. It is killed at random instants, again and again on the same database; after each kill the database must
//! hold exactly what the script says for the visits that it knows of, and it must know of every visit that the child had
//! reported as committed. VERSWEEP_CRASH_ROUNDS sets the number of kills.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::{Judgement, Note};
use versweep::change::ChangeKind;
use versweep::clock::{SystemClock, Timestamp};
use versweep::courier::{self, Setup};
use versweep::diff::{FlapRules, Rules, apply, diff};
use versweep::event::Event;
use versweep::failure::FailureKind;
use versweep::known::Known;
use versweep::observation::Observation;
use versweep::recorder::Recorder;
use versweep::sink::{Jsonl, Sink};
use versweep::store::{HistoryRange, Loaded, Outbox, Reader, Store};

use crate::visits::{answered, at, failed, id};

const FOLDER: &str = "VERSWEEP_CRASH_FOLDER";
const DEVICES: usize = 40;
const SINK: &str = "jsonl";
/// Never carried, so that the whole outbox stays to be looked at.
const WITNESS: &str = "witness";
const DOWN_AFTER: u32 = 3;

fn name(device: usize) -> String {
    format!("device-{device:02}")
}

/// What the device does at its visit of that number: a new version at every other visit, some failures, some outages.
fn scripted(device: usize, visit: i64) -> Observation {
    let name = name(device);
    if visit % 7 == 3 || (20..24).contains(&(visit % 30)) {
        return failed(&name, visit, FailureKind::Timeout);
    }
    answered(&name, visit, &format!("{device}.{}", visit / 2))
}

/// The child: not a test by itself, it returns at once unless the parent has set the stage.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(visit_for_ever(Path::new(&folder)));
}

async fn visit_for_ever(folder: &Path) {
    let path = folder.join("versweep.db");
    let (mut store, loaded) = Store::open(&path).unwrap();
    store.set_sinks(&[SINK, WITNESS]).unwrap();
    let mut next: Vec<i64> = (0..DEVICES).map(|device| visits_in(&loaded, device)).collect();
    // Without profiles each new version is an "other"; compiling them would take most of the child's short life.
    let judgement = Judgement {
        platforms: Arc::default(),
        down_after: DOWN_AFTER,
        flapping: FlapRules::default(),
        keep_history: Duration::from_secs(1 << 40),
        policies: Arc::default(),
    };
    let recorder = Recorder::start(store, loaded, judgement, Arc::new(SystemClock));
    let jsonl = Sink::jsonl(Jsonl::new(&folder.join("events.jsonl"), None, "/test"));
    let setup = Setup::plain(SINK, jsonl);
    let _courier = courier::start(setup, &path, recorder.outbox.clone(), Arc::new(SystemClock)).unwrap();
    loop {
        for (device, next) in next.iter_mut().enumerate() {
            // Uneven, so that batches begin and end anywhere.
            for _ in 0..fastrand::u32(0..4) {
                recorder.notes.send(Note::Visited(Box::new(scripted(device, *next)))).await.unwrap();
                *next += 1;
            }
        }
        let (sender, answer) = oneshot::channel();
        recorder.notes.send(Note::Flush(sender)).await.unwrap();
        answer.await.unwrap();
        let visits: Vec<_> = next.iter().map(i64::to_string).collect();
        writeln!(std::io::stdout().lock(), "committed {}", visits.join(" ")).unwrap();
    }
}

/// How many visits the store knows of: the script's visits are a second apart.
fn visits_in(loaded: &Loaded, device: usize) -> i64 {
    let visit = loaded.known.get(&id(&name(device))).and_then(|known| known.visit.as_ref());
    visit.map_or(0, |visit| (visit.at - at(0)).num_seconds() + 1)
}

fn spawn_child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Lets a child run until it has reported a few commits, kills it soon after, and gives its last report.
fn run_and_kill(folder: &Path, random: &mut fastrand::Rng) -> Vec<i64> {
    let mut child = spawn_child(folder);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = Vec::new();
    let mut take = |line: &str| {
        if let Some((_, visits)) = line.split_once("committed ") {
            last = visits.split(' ').map(|visits| visits.parse().unwrap()).collect();
        }
        !last.is_empty()
    };
    let enough = random.usize(1..12);
    let reports = lines.by_ref().map(Result::unwrap).filter(|line| take(line)).take(enough).count();
    assert_eq!(reports, enough, "the child ended by itself");
    std::thread::sleep(Duration::from_micros(random.u64(0..15_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    // What the child still managed to say before it died counts as well; a line may be cut off.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    for line in rest.iter().filter(|line| line.split(' ').count() == DEVICES + 1) {
        let whole = line.rsplit(' ').next().is_some_and(|visits| !visits.is_empty());
        if whole && !std::ptr::eq(line, rest.last().unwrap()) {
            take(line);
        }
    }
    last
}

/// What the script says for the first so many visits of a device.
struct Model {
    known: Known,
    changes: Vec<(ChangeKind, String, String, i64)>,
    ranges: Vec<(String, i64, i64)>,
}

fn model(device: usize, visits: i64) -> Model {
    let mut model = Model { known: Known::default(), changes: Vec::new(), ranges: Vec::new() };
    for visit in 0..visits {
        let observation = scripted(device, visit);
        let rules = Rules {
            down_after: DOWN_AFTER,
            order: &|_, _| None,
            flapping: FlapRules::default(),
            even_clock: true,
        };
        let changes = diff(&model.known, &observation, &rules);
        model.known = apply(&model.known, &observation, &rules);
        model
            .changes
            .extend(changes.into_iter().map(|change| (change.kind, change.before, change.after, visit)));
        if model.known.is_up() == Some(true) {
            let version = format!("{device}.{}", visit / 2);
            match model.ranges.last_mut() {
                Some((last, _, seen)) if *last == version => *seen = visit,
                _ => model.ranges.push((version, visit, visit)),
            }
        }
    }
    model
}

fn check(folder: &Path, reported: &[i64]) {
    let path = folder.join("versweep.db");
    let (store, loaded) = Store::open(&path).expect("the store opens after a kill");
    drop(store);
    let reader = Reader::open(&path).unwrap();
    let events = Outbox::open(&path, WITNESS).unwrap().next(1_000_000).unwrap();
    let mut by_device: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in &events {
        by_device.entry(event.change.of.to_string()).or_default().push(event);
    }
    let mut changes = 0;
    for (device, &reported) in reported.iter().enumerate() {
        let name = name(device);
        let visits = visits_in(&loaded, device);
        assert!(visits >= reported, "{name}: {reported} visits were committed, the store knows of {visits}");
        let model = model(device, visits);
        if visits > 0 {
            assert_eq!(loaded.known[&id(&name)], model.known, "{name} after {visits} visits");
        }
        let stored: Vec<_> = by_device.remove(&name).unwrap_or_default();
        let second = |event: &&Event| (event.change.at - at(0)).num_seconds();
        let stored: Vec<_> = stored
            .iter()
            .map(|event| {
                (event.change.kind, event.change.before.clone(), event.change.after.clone(), second(event))
            })
            .collect();
        assert_eq!(stored, model.changes, "{name} after {visits} visits: events");
        assert_eq!(reader.changes(Some(&id(&name)), 10_000).unwrap().len(), stored.len(), "{name}: changes");
        changes += stored.len();
        check_history(&name, &reader.history(&id(&name)).unwrap(), &model);
    }
    let total: u64 = loaded.totals.changes.values().sum();
    assert_eq!((total, events.len()), (changes as u64, changes), "counters and outbox rows");
    check_lines(folder, &path, &events);
}

fn check_history(name: &str, ranges: &[HistoryRange], model: &Model) {
    let second = |time: Timestamp| (time - at(0)).num_seconds();
    let stored: Vec<_> = ranges
        .iter()
        .map(|range| (range.version.clone(), second(range.first_seen), second(range.last_seen)))
        .collect();
    assert_eq!(stored, model.ranges, "{name}: history");
    assert!(ranges.iter().rev().skip(1).all(|range| !range.current), "{name}: one open range");
}

/// Every event that the sink's cursor has passed stands in the file, in order, at least once.
fn check_lines(folder: &Path, path: &Path, events: &[Event]) {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
    let mut sequences: Vec<i64> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|line| line["data"]["sequence"].as_i64().unwrap())
        .collect();
    sequences.sort_unstable();
    sequences.dedup();
    let pending = Outbox::open(path, SINK).unwrap().next(1).unwrap();
    let passed: Vec<_> = events
        .iter()
        .map(|event| event.sequence)
        .take_while(|&sequence| pending.first().is_none_or(|next| sequence < next.sequence))
        .collect();
    assert!(sequences.starts_with(&passed), "{} lines, {} events passed", sequences.len(), passed.len());
}

#[test]
fn a_kill_at_any_instant_loses_nothing_and_invents_nothing() {
    let rounds = std::env::var("VERSWEEP_CRASH_ROUNDS").ok().map_or(20, |rounds| rounds.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let mut random = fastrand::Rng::new();
    let mut before = vec![0; DEVICES];
    for round in 0..rounds {
        let seed = random.get_seed();
        let reported = run_and_kill(folder.path(), &mut random);
        check(folder.path(), &reported);
        assert!(
            reported.iter().sum::<i64>() > before.iter().sum(),
            "round {round}, seed {seed}: nothing was done"
        );
        before = reported;
    }
}
