//! Reading beside the writer: queries for people, through connections that can't write.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::row::{nonsense, optional_time, time, uncount, whose};
use super::{StoreError, open, raw};
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::{DeviceId, PlatformKey};

/// The most rows that one query gives.
pub const ROWS_MAX: usize = 10_000;

/// A read-only view of the database. Calls block; from async code use `spawn_blocking`.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    pub(super) connection: Connection,
}

/// A change as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// Its number in the store, for [`Reader::raw_of_change`].
    pub number: i64,
    /// The change.
    pub change: Change,
    /// The platform that the device answered as; absent when it never answered.
    pub platform: Option<PlatformKey>,
}

/// A version that a device was seen to run, from one answer to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRange {
    /// The platform that read it.
    pub platform: PlatformKey,
    /// The version's text.
    pub version: String,
    /// The first answer with it.
    pub first_seen: Timestamp,
    /// The last answer with it.
    pub last_seen: Timestamp,
    /// Whether it is the version that the device is known to run.
    pub current: bool,
}

/// How long a device's last visit took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastVisitTook {
    /// So long.
    pub took: Duration,
    /// Whether it was answered.
    pub answered: bool,
}

/// What a device said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRaw {
    /// The beginning of it, as much as was kept.
    pub text: String,
    /// Its whole length in bytes.
    pub size: u64,
}

impl Reader {
    /// Opens an existing database for reading.
    ///
    /// # Errors
    /// When it is not there, not readable, not versweep's or of a newer schema.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), connection: open::reader(path)? })
    }

    /// Changes, newest first, at most `limit` and [`ROWS_MAX`], of one device or of all.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn changes(&self, device: Option<&DeviceId>, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        self.told(changes(&self.connection, device, limit))
    }

    /// The versions of a device, oldest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn history(&self, device: &DeviceId) -> Result<Vec<HistoryRange>, StoreError> {
        self.told(history(&self.connection, device))
    }

    /// How long the last visit of each device took, by name, and whether it was answered.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn last_visits(&self) -> Result<BTreeMap<String, LastVisitTook>, StoreError> {
        let sql = "SELECT name, visit_took, failure_kind IS NULL FROM device WHERE visit_took IS NOT NULL";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let row = |row: &Row<'_>| {
                let took = Duration::from_micros(row.get::<_, i64>(1)?.unsigned_abs());
                Ok((row.get(0)?, LastVisitTook { took, answered: row.get(2)? }))
            };
            statement.query_map([], row)?.collect()
        };
        self.told(read())
    }

    /// What the device said when the change was found, where it was kept.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn raw_of_change(&self, number: i64) -> Result<Option<StoredRaw>, StoreError> {
        let sql = "SELECT size, zlib FROM change_raw WHERE change = ?1";
        self.told(self.connection.query_row(sql, [number], stored_raw).optional())
    }

    /// What the device had said when it last failed, where it had said anything.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn raw_of_failure(&self, device: &DeviceId) -> Result<Option<StoredRaw>, StoreError> {
        let sql = "SELECT size, zlib FROM failure_raw JOIN device ON device.id = failure_raw.device WHERE name = ?1";
        self.told(self.connection.query_row(sql, [device.as_str()], stored_raw).optional())
    }

    pub(super) fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, "read", error))
    }
}

pub(super) fn stored_raw(row: &Row<'_>) -> rusqlite::Result<StoredRaw> {
    let zlib: Vec<u8> = row.get("zlib")?;
    let text = raw::unpack(&zlib).map_err(|_| nonsense(row, "zlib"))?;
    Ok(StoredRaw { text, size: uncount(row.get("size")?) })
}

pub(super) fn limited(limit: usize) -> i64 {
    i64::try_from(limit.min(ROWS_MAX)).unwrap_or(i64::MAX)
}

pub(super) fn changes(
    connection: &Connection,
    device: Option<&DeviceId>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredChange>> {
    let of_all =
        "SELECT change.*, coalesce(called, name) AS name FROM change JOIN device ON device.id = change.device
        ORDER BY change.id DESC LIMIT ?1";
    let of_one =
        "SELECT change.*, coalesce(called, name) AS name FROM change JOIN device ON device.id = change.device
        WHERE device.name = ?2 ORDER BY change.id DESC LIMIT ?1";
    match device {
        None => connection.prepare_cached(of_all)?.query_map([limited(limit)], stored_change)?.collect(),
        Some(device) => connection
            .prepare_cached(of_one)?
            .query_map(params![limited(limit), device.as_str()], stored_change)?
            .collect(),
    }
}

pub(super) fn stored_change(row: &Row<'_>) -> rusqlite::Result<StoredChange> {
    let (sweep, kind): (Option<String>, String) = (row.get("sweep")?, row.get("kind")?);
    let sweep = sweep.map(|id| id.parse().map_err(|_| nonsense(row, "sweep"))).transpose()?;
    let change = Change {
        of: whose(row, "name")?,
        sweep,
        at: time(row, "at")?,
        kind: ChangeKind::from_name(&kind).ok_or_else(|| nonsense(row, "kind"))?,
        before: row.get("before")?,
        after: row.get("after")?,
        subject: row.get("subject")?,
        why: row.get("why")?,
        confirmed: row.get("confirmed")?,
    };
    let platform: Option<String> = row.get("platform")?;
    Ok(StoredChange { number: row.get("id")?, change, platform: platform.as_deref().map(PlatformKey::new) })
}

fn history(connection: &Connection, device: &DeviceId) -> rusqlite::Result<Vec<HistoryRange>> {
    let sql = "SELECT history.platform, history.version, first_seen, coalesce(last_seen, seen_at) AS last_seen,
            last_seen IS NULL AS current
        FROM history JOIN device ON device.id = history.device WHERE name = ?1 ORDER BY history.id DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut ranges: Vec<HistoryRange> = statement
        .query_map(params![device.as_str(), limited(ROWS_MAX)], |row| {
            Ok(HistoryRange {
                platform: PlatformKey::new(&row.get::<_, String>("platform")?),
                version: row.get("version")?,
                first_seen: time(row, "first_seen")?,
                last_seen: optional_time(row, "last_seen")?.ok_or_else(|| nonsense(row, "last_seen"))?,
                current: row.get("current")?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    ranges.reverse();
    Ok(ranges)
}
