//! The outbox: events in order, and how far each sink has come. At least once, in order: the cursor moves only after
//! the sink has delivered.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::row::{optional_time, uncount};
use super::{StoreError, open, read};
use crate::clock::Timestamp;
use crate::event::Event;

/// One sink's end of the outbox, on its own connection, so that a slow sink never holds up the recorder.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
    sink: String,
}

/// How far a sink has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Events delivered since the store was made.
    pub deliveries: u64,
    /// Events not delivered yet.
    pub pending: u64,
    /// When the oldest of them happened.
    pub oldest_pending: Option<Timestamp>,
}

impl Outbox {
    /// Opens the outbox for the sink of that name. A sink that [`super::Store::set_sinks`] has not made known begins with
    /// what happens from now on.
    ///
    /// # Errors
    /// When the database can't be opened or written.
    pub fn open(path: &Path, sink: &str) -> Result<Self, StoreError> {
        let outbox = Self { path: path.to_owned(), connection: open::second(path)?, sink: sink.to_owned() };
        outbox.told(
            "write",
            last_sequence(&outbox.connection).and_then(|now| add_sink(&outbox.connection, sink, now)),
        )?;
        Ok(outbox)
    }

    /// The next events of this sink in order, at most `limit`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn next(&self, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.told("read", self.events(limit))
    }

    /// Says that this sink has delivered `count` events, the last of them with this sequence.
    ///
    /// # Errors
    /// When the database can't be written: the same events come again.
    pub fn delivered(&self, sequence: i64, count: usize) -> Result<(), StoreError> {
        let sql =
            "UPDATE sink SET delivered = ?2, deliveries = deliveries + ?3 WHERE name = ?1 AND delivered < ?2";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.told("write", self.connection.execute(sql, params![self.sink, sequence, count]).map(|_| ()))
    }

    /// How far this sink has come.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn standing(&self) -> Result<Standing, StoreError> {
        // The count reads the outbox's own small pages only; one row is looked up for its time.
        let sql = "WITH passed (sequence, deliveries) AS (
                SELECT coalesce(max(delivered), 0), coalesce(max(deliveries), 0) FROM sink WHERE name = ?1)
            SELECT deliveries,
                (SELECT count(*) FROM outbox WHERE outbox.sequence > passed.sequence) AS pending,
                (SELECT at FROM outbox JOIN change ON change.id = outbox.change
                    WHERE outbox.sequence > passed.sequence ORDER BY outbox.sequence LIMIT 1) AS oldest
            FROM passed";
        let standing = self.connection.query_row(sql, [&self.sink], |row| {
            Ok(Standing {
                deliveries: uncount(row.get("deliveries")?),
                pending: uncount(row.get("pending")?),
                oldest_pending: optional_time(row, "oldest")?,
            })
        });
        self.told("read", standing)
    }

    fn events(&self, limit: usize) -> rusqlite::Result<Vec<Event>> {
        let sql = "SELECT sequence, change.*, name FROM outbox JOIN change ON change.id = outbox.change
            JOIN device ON device.id = change.device
            WHERE sequence > coalesce((SELECT delivered FROM sink WHERE name = ?1), 0) ORDER BY sequence LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(sql)?
            .query_map(params![self.sink, limit], |row| {
                let stored = read::stored_change(row)?;
                Ok(Event { sequence: row.get("sequence")?, change: stored.change, platform: stored.platform })
            })?
            .collect()
    }

    fn told<T>(&self, doing: &'static str, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, doing, error))
    }
}

/// The newest sequence ever given out, also when its row is deleted since.
pub(super) fn last_sequence(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

pub(super) fn set_sinks(connection: &mut Connection, names: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = last_sequence(&transaction)?;
    transaction.execute("UPDATE sink SET active = 0", [])?;
    for name in names {
        add_sink(&transaction, name, now)?;
    }
    transaction.commit()
}

fn add_sink(connection: &Connection, name: &str, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sink (name, delivered, deliveries, active) VALUES (?1, ?2, 0, 1)
        ON CONFLICT (name) DO UPDATE SET active = 1 WHERE NOT active";
    connection.execute(sql, params![name, now]).map(|_| ())
}
