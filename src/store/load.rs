//! What a start reads back.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row};

use super::row::{IS_DEVICE, KNOWN_COLUMNS, known, nonsense, optional_time, time, uncount};
use super::{Loaded, RECENT_CHANGES, breakers, outbox, read, sources, standings};
use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::device::DeviceId;
use crate::failure::FailureKind;
use crate::known::{Known, SweepRecord};
use crate::status::Totals;

pub(super) fn load(connection: &mut Connection) -> rusqlite::Result<Loaded> {
    close_cut_sweeps(connection)?;
    let recent = read::changes(connection, None, RECENT_CHANGES)?;
    Ok(Loaded {
        known: devices(connection)?,
        totals: totals(connection)?,
        last_sweeps: last_sweeps(connection)?,
        last_complete: last_complete(connection)?,
        recent_changes: recent.into_iter().map(|stored| stored.change).collect(),
        breakers: breakers::load(connection)?,
        last_sequence: outbox::last_sequence(connection)?,
        failing_sources: sources::load(connection)?,
        policies: standings::policies(connection)?,
    })
}

/// A sweep without an end belongs to a process that is dead, for this one holds the lock. It ended, incomplete, with the
/// last visit that was committed.
fn close_cut_sweeps(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE sweep SET complete = 0,
            ended = max(started, coalesce((SELECT max(visit_at) FROM device), started)) WHERE ended IS NULL",
        [],
    )?;
    Ok(())
}

fn devices(connection: &Connection) -> rusqlite::Result<HashMap<DeviceId, Known>> {
    connection
        .prepare(&format!("SELECT {KNOWN_COLUMNS} FROM device WHERE {IS_DEVICE}"))?
        .query_map([], known)?
        .collect()
}

fn last_sweeps(connection: &Connection) -> rusqlite::Result<Vec<SweepRecord>> {
    // SQLite gives the other columns of the row that holds the maximum. The newest is the one that was written last: by its
    // times, runs of before a clock was set back would be the newest for as long.
    let newest = "SELECT id, name, reason, started, ended, devices, answered, failed, complete, max(rowid)
        FROM sweep GROUP BY name ORDER BY name";
    connection.prepare(newest)?.query_map([], sweep)?.collect()
}

pub(super) fn sweep(row: &Row<'_>) -> rusqlite::Result<SweepRecord> {
    let id: String = row.get("id")?;
    Ok(SweepRecord {
        id: id.parse().map_err(|_| nonsense(row, "id"))?,
        name: row.get("name")?,
        reason: row.get("reason")?,
        started: time(row, "started")?,
        ended: optional_time(row, "ended")?,
        devices: uncount(row.get("devices")?),
        answered: uncount(row.get("answered")?),
        failed: uncount(row.get("failed")?),
        complete: row.get("complete")?,
    })
}

fn last_complete(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Timestamp>> {
    connection
        .prepare("SELECT name, ended, max(rowid) FROM sweep WHERE complete GROUP BY name")?
        .query_map([], |row| Ok((row.get("name")?, time(row, "ended")?)))?
        .collect()
}

fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let mut totals = Totals::default();
    let mut statement = connection.prepare("SELECT what, label, value FROM counter")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (what, label): (String, String) = (row.get(0)?, row.get(1)?);
        count_in(&mut totals, &what, label, uncount(row.get(2)?));
    }
    Ok(totals)
}

/// A label that this version doesn't know is left out: a kind can be retired without touching old databases.
fn count_in(totals: &mut Totals, what: &str, label: String, value: u64) {
    match what {
        "visits" => totals.visits = value,
        "failures" => totals.failures.extend(FailureKind::from_name(&label).map(|kind| (kind, value))),
        "changes" => totals.changes.extend(ChangeKind::from_name(&label).map(|kind| (kind, value))),
        "sweeps" => totals.sweeps.extend([(label, value)]),
        "blackouts" => totals.blackouts.extend([(label, value)]),
        "skipped" => totals.skipped.extend([(label, value)]),
        _ => {}
    }
}
