//! Long lists on pages: they are sorted over all of their rows, by any column, and each row is on one page.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use versweep::change::{Change, ChangeKind};
use versweep::event::Severity;
use versweep::known::{Snapshot, SweepRecord};
use versweep::observation::SweepId;
use versweep::order::compare;

use crate::fleet;
use crate::http::House;
use crate::pages::{numbered, page, walked};

const CHANGES: usize = 250;
const RUNS: usize = 120;
const KINDS: [ChangeKind; 3] = [ChangeKind::Upgrade, ChangeKind::Downgrade, ChangeKind::Recovered];

/// A change with its number.
type Row = (usize, Change);
/// A column by its key, and how it sorts.
type Column<'a, R> = (&'a str, fn(&R, &R) -> Ordering);

/// In the order of their numbers, which is that of the devices' names.
fn changes() -> Vec<Change> {
    let change = |(number, state): (usize, &Arc<versweep::known::DeviceState>)| Change {
        of: state.device.id.clone().into(),
        sweep: None,
        at: fleet::noon() - Duration::from_secs(number as u64),
        kind: KINDS[number % KINDS.len()],
        subject: String::new(),
        before: format!("1.{}", number % 7),
        after: format!("9.{}", (number * 37) % CHANGES),
        why: format!("reason {}", number % 3),
        confirmed: true,
    };
    numbered(CHANGES).devices.iter().enumerate().map(change).collect()
}

fn runs() -> Vec<SweepRecord> {
    let run = |number: usize| {
        let started = fleet::noon() - Duration::from_secs(3600 * (number as u64 + 1));
        SweepRecord {
            id: SweepId::starting(started),
            name: format!("sweep-{}", number % 11),
            reason: "schedule".to_owned(),
            started,
            ended: (number != 3).then(|| started + Duration::from_secs((number as u64 * 31) % 97)),
            devices: number as u64 % 5,
            answered: 1,
            failed: number as u64 % 2,
            complete: number.is_multiple_of(4),
        }
    };
    (0..RUNS).map(run).collect()
}

async fn house() -> House {
    let recent_changes = changes().into_iter().map(Arc::new).collect();
    House::open(Snapshot { recent_changes, last_sweeps: runs(), ..numbered(CHANGES) }).await
}

/// Walks through the list by each column in both directions: nothing is missing, nothing comes twice, each row stands
/// where it should.
async fn sorts<R>(
    house: &House,
    (path, table, key): (&str, &str, &str),
    rows: &[R],
    name: impl Fn(&R) -> String,
    columns: &[Column<'_, R>],
) {
    for (column, order) in columns {
        for sign in ["", "-"] {
            let target = format!("{path}?{key}={sign}{column}");
            let found = walked(house, &target, table).await;
            assert_eq!(found.len(), rows.len(), "{target}");
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), rows.len(), "{target}");
            let rows: Vec<&R> =
                found.iter().map(|key| rows.iter().find(|row| name(row) == *key).unwrap()).collect();
            let wrong = |pair: &[&R]| {
                let order = order(pair[0], pair[1]);
                if sign.is_empty() { order.is_gt() } else { order.is_lt() }
            };
            assert!(!rows.windows(2).any(wrong), "{target}: {found:?}");
        }
    }
}

#[tokio::test]
async fn changes_are_sorted_over_all_of_them() {
    let house = house().await;
    let numbers: Vec<(usize, Change)> = (1..).zip(changes()).collect();
    sorts(
        &house,
        ("/changes", "changes", "sort"),
        &numbers,
        |(number, _): &Row| number.to_string(),
        &[
            ("at", |a, b| a.0.cmp(&b.0)),
            ("device", |a, b| a.1.of.cmp(&b.1.of)),
            ("kind", |a, b| a.1.kind.as_str().cmp(b.1.kind.as_str())),
            ("before", |a, b| compare(&a.1.before, &b.1.before)),
            ("after", |a, b| compare(&a.1.after, &b.1.after)),
            ("why", |a, b| a.1.why.cmp(&b.1.why)),
        ],
    )
    .await;
    // What is chosen stays chosen, and another order begins at the beginning.
    let chosen = walked(&house, "/changes?kind=upgrade&sort=after", "changes").await;
    assert_eq!(chosen.len(), CHANGES.div_ceil(3));
    let second = page(&house, "/changes?sort=after&after=5").await;
    assert!(second.contains("href=\"/changes?sort=-after\"") && second.contains("« first"), "{second}");
    // A row that is no longer kept.
    assert!(page(&house, "/changes?sort=after&after=9999").await.contains("9.0"));
}

#[tokio::test]
async fn events_are_sorted_over_all_of_them() {
    let house = house().await;
    let numbers: Vec<(usize, Change)> = (1..).zip(changes()).collect();
    sorts(
        &house,
        ("/events", "events", "sort"),
        &numbers,
        |(number, _): &Row| number.to_string(),
        &[
            ("sequence", |a, b| a.0.cmp(&b.0)),
            ("at", |a, b| a.1.at.cmp(&b.1.at)),
            ("severity", |a, b| Severity::of(a.1.kind).cmp(&Severity::of(b.1.kind))),
            ("kind", |a, b| a.1.kind.as_str().cmp(b.1.kind.as_str())),
            ("device", |a, b| a.1.of.cmp(&b.1.of)),
            ("message", |a, b| a.1.why.cmp(&b.1.why)),
        ],
    )
    .await;
}

#[tokio::test]
async fn runs_are_sorted_over_all_of_them() {
    let house = house().await;
    let ids = house.snapshot.load().last_sweeps.clone();
    sorts(
        &house,
        ("/sweeps", "runs", "runs"),
        &ids,
        |run: &SweepRecord| run.id.to_string(),
        &[
            ("started", |a, b| a.started.cmp(&b.started)),
            ("sweep", |a, b| compare(&a.name, &b.name)),
            ("took", |a, b| a.ended.map(|at| at - a.started).cmp(&b.ended.map(|at| at - b.started))),
            ("devices", |a, b| a.devices.cmp(&b.devices)),
            ("failed", |a, b| a.failed.cmp(&b.failed)),
            ("complete", |a, b| a.complete.cmp(&b.complete)),
        ],
    )
    .await;
    let one = walked(&house, "/sweeps?sweep=sweep-3&runs=-took", "runs").await;
    assert_eq!(one.len(), ids.iter().filter(|run| run.name == "sweep-3").count());
}
